#include "identity/identity.h"

#include <string.h>

#include "crypto/encode.h"
#include "crypto/hash.h"

static const char prefix[] = "SHA256:";

enum { PREFIX_SIZE = sizeof prefix - 1 };

_Static_assert(PREFIX_SIZE + BASE64_32_SIZE + 1 == HELIO_FINGERPRINT_TEXT,
               "prefix, base64 and NUL fill the text exactly");

enum helio_err fingerprint_of_der(helio_fingerprint *fp, const uint8_t *der, size_t n)
{
    return sha256(fp->sha256, der, n);
}

void helio_fingerprint_format(const helio_fingerprint *fp, char text[HELIO_FINGERPRINT_TEXT])
{
    memcpy(text, prefix, PREFIX_SIZE);
    base64_from_32(text + PREFIX_SIZE, fp->sha256);
    text[HELIO_FINGERPRINT_TEXT - 1] = '\0';
}

enum helio_err helio_fingerprint_parse(helio_fingerprint *fp, const char *text)
{
    helio_fingerprint parsed;

    if (strnlen(text, HELIO_FINGERPRINT_TEXT) != HELIO_FINGERPRINT_TEXT - 1 ||
        memcmp(text, prefix, PREFIX_SIZE) != 0)
        return HELIO_E_FORMAT;
    enum helio_err err = base64_to_32(parsed.sha256, text + PREFIX_SIZE);
    if (err)
        return err;
    *fp = parsed;
    return HELIO_OK;
}

/* Public on both sides, so memcmp may take the time it likes. */
int helio_fingerprint_equal(const helio_fingerprint *a, const helio_fingerprint *b)
{
    return memcmp(a->sha256, b->sha256, sizeof a->sha256) == 0;
}
