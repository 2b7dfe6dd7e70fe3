/*
 * Keys from strangers and from files.  Input: which reader, then its text; for a station's public
 * key the text is patches, u16 offset and a byte, on one that is right.
 */
#undef NDEBUG
#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/rsa.h"

static void read_patched(const uint8_t *in, size_t n)
{
    uint8_t der[RSA_PUBLIC_DER_MAX], again[RSA_PUBLIC_DER_MAX];
    static struct rsa_key *right;
    struct rsa_key *key;
    size_t der_n, again_n;

    if (!right)
        assert(rsa_generate(&right, 2048) == HELIO_OK);
    assert(rsa_public_der(right, der, &der_n) == HELIO_OK);
    for (; n >= 3; in += 3, n -= 3)
        der[get_u16(in) % der_n] = in[2];
    enum helio_err err = rsa_from_public_der(&key, der, der_n);
    assert(err == HELIO_OK || err == HELIO_E_KEY);
    if (err)
        return;
    assert(rsa_public_der(key, again, &again_n) == HELIO_OK && again_n == der_n);
    assert(memcmp(again, der, der_n) == 0);
    rsa_free(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
    struct rsa_key *key = NULL;
    enum helio_err err = HELIO_E_KEY;
    const char *text = (const char *)in + 1;

    if (n < 2)
        return -1;
    if (in[0] % 4 == 0)
        read_patched(in + 1, n - 1);
    else if (in[0] % 4 == 1)
        err = rsa_classic_from_public_pem(&key, text, n - 1);
    else if (in[0] == '-') /* a file of keys as it is */
        err = rsa_from_private_pem(&key, (const char *)in, n, NULL, NULL);
    else
        err = rsa_from_private_pem(&key, text, n - 1, NULL, NULL);
    assert((err == HELIO_OK) == (key != NULL));
    assert(err != HELIO_E_MEMORY && err != HELIO_E_CRYPTO);
    rsa_free(key);
    return 0;
}
