#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/wipe.h"
#include "cli/cli.h"
#include "cli/home.h"
#include "cli/passphrase.h"
#include "cli/say.h"

static int save(const struct options *options, const helio_identity *id, const char *path)
{
    char passphrase[HELIO_PASSPHRASE_MAX], fingerprint[HELIO_FINGERPRINT_TEXT];
    size_t n = 0;
    enum helio_err err = HELIO_OK;

    if (options->passphrase || options->passphrase_fd >= 0)
        err = passphrase_new(options, path, passphrase, sizeof passphrase, &n);
    bool asked = err == HELIO_OK;
    if (asked)
        err = helio_identity_save(id, path, passphrase, n);
    int saved = errno;
    wipe(passphrase, sizeof passphrase);
    errno = saved;
    if (!asked)
        return STATUS_LOCAL;
    if (err != HELIO_OK)
        return (int)home_identity_error("write", path, err);
    helio_fingerprint_format(helio_identity_fingerprint(id), fingerprint);
    puts(fingerprint);
    say_detail("identity-made", "wrote %s: RSA, %u bits, %s", path, helio_identity_bits(id),
               n > 0 ? "with a passphrase" : "without a passphrase");
    return STATUS_DONE;
}

int verb_keygen(struct options *options, int argc, char **argv)
{
    const char *path = argc > 0 ? argv[0] : options->identity;
    helio_identity *id = NULL;

    enum exit_status status = home_make(options, path);
    if (status != STATUS_DONE)
        return (int)status;
    /* Only to be quick: saving decides, and never overwrites. */
    if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return (int)home_identity_error("write", path, HELIO_E_EXISTS);
    enum helio_err err = helio_identity_generate(&id, options->bits);
    if (err != HELIO_OK)
        return (int)home_identity_error("make", path, err);
    int result = save(options, id, path);
    helio_identity_free(id);
    return result;
}
