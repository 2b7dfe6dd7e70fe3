/* Any file of known stations: what can be read is found again, by name and by fingerprint. */
#undef NDEBUG
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helio.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
    char path[64];
    helio_known *known;
    unsigned bad = 0;
    int fd = memfd_create("known_stations", MFD_CLOEXEC);

    assert(fd >= 0 && fchmod(fd, 0600) == 0 && write(fd, in, n) == (ssize_t)n);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    enum helio_err err = helio_known_load(&known, path, &bad);
    assert(err == HELIO_OK ? bad == 0 : err == HELIO_E_FORMAT && bad > 0 && !known);
    for (size_t i = 0; known && i < helio_known_count(known); i++) {
        const helio_station *s = helio_known_at(known, i);

        assert(s->name[0] && strlen(s->name) <= 255 && s->line > 0);
        assert(helio_known_by_name(known, s->name) == s);
        assert(helio_known_by_fingerprint(known, &s->fingerprint) <= s);
    }
    helio_known_free(known);
    close(fd);
    return 0;
}
