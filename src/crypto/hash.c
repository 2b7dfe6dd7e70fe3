#include "crypto/hash.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include "base/wipe.h"
#include "crypto/result.h"

enum { HKDF_INFO_MAX = 512, HKDF_OUT_MAX = 255 * SHA256_SIZE };

struct sha256 {
    EVP_MD_CTX *running;
    EVP_MD_CTX *scratch; /* where a value is finished, so that running can go on */
};

enum helio_err sha256_new(struct sha256 **out)
{
    enum helio_err err = HELIO_E_MEMORY;
    EVP_MD *md = NULL;
    struct sha256 *h = calloc(1, sizeof *h);

    *out = NULL;
    if (!h)
        goto out;
    h->running = EVP_MD_CTX_new();
    h->scratch = EVP_MD_CTX_new();
    err = crypto_result(h->running && h->scratch, HELIO_E_MEMORY);
    if (err != HELIO_OK)
        goto out;
    md = EVP_MD_fetch(NULL, "SHA256", NULL);
    err = crypto_result(md && EVP_DigestInit_ex2(h->running, md, NULL) == 1, HELIO_E_CRYPTO);
    if (err != HELIO_OK)
        goto out;
    *out = h;
    h = NULL;
out:
    EVP_MD_free(md);
    sha256_free(h);
    return err;
}

void sha256_free(struct sha256 *h)
{
    if (!h)
        return;
    EVP_MD_CTX_free(h->running);
    EVP_MD_CTX_free(h->scratch);
    free(h);
}

enum helio_err sha256_add(struct sha256 *h, const void *p, size_t n)
{
    return crypto_result(EVP_DigestUpdate(h->running, p, n) == 1, HELIO_E_CRYPTO);
}

enum helio_err sha256_value(const struct sha256 *h, const void *p, size_t n,
                            uint8_t out[SHA256_SIZE])
{
    bool ok = EVP_MD_CTX_copy_ex(h->scratch, h->running) == 1 &&
              EVP_DigestUpdate(h->scratch, p, n) == 1 &&
              EVP_DigestFinal_ex(h->scratch, out, NULL) == 1;

    return crypto_result(ok, HELIO_E_CRYPTO);
}

enum helio_err sha256(uint8_t out[SHA256_SIZE], const void *p, size_t n)
{
    return crypto_result(EVP_Q_digest(NULL, "SHA256", NULL, p, n, out, NULL) == 1, HELIO_E_CRYPTO);
}

enum helio_err sha1(uint8_t out[SHA1_SIZE], const void *p, size_t n)
{
    return crypto_result(EVP_Q_digest(NULL, "SHA1", NULL, p, n, out, NULL) == 1, HELIO_E_CRYPTO);
}

enum helio_err hmac_sha256(uint8_t out[SHA256_SIZE], const void *key, size_t key_n, const void *p,
                           size_t n)
{
    static const uint8_t empty; /* OpenSSL takes a NULL key for "keep the one you have" */
    size_t out_n = 0;
    bool ok = EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key_n ? key : &empty, key_n,
                        n ? p : &empty, n, out, SHA256_SIZE, &out_n) != NULL;

    return crypto_result(ok && out_n == SHA256_SIZE, HELIO_E_CRYPTO);
}

enum helio_err hkdf_extract(uint8_t out[SHA256_SIZE], const void *salt, size_t salt_n,
                            const void *ikm, size_t ikm_n)
{
    return hmac_sha256(out, salt, salt_n, ikm, ikm_n); /* RFC 5869, 2.2 */
}

enum helio_err hkdf_expand(uint8_t *out, size_t n, const uint8_t secret[SHA256_SIZE],
                           const void *info, size_t info_n)
{
    EVP_KDF *kdf = NULL;
    EVP_KDF_CTX *context = NULL;
    char mode[] = "EXPAND_ONLY", digest[] = "SHA256";
    uint8_t key[SHA256_SIZE], text[HKDF_INFO_MAX];
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MODE, mode, 0),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key, sizeof key),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, text, info_n),
        OSSL_PARAM_construct_end(),
    };

    if (n > HKDF_OUT_MAX || info_n > sizeof text)
        return HELIO_E_ARGUMENT;
    if (n == 0) /* which OpenSSL would call an error */
        return HELIO_OK;
    memcpy(key, secret, sizeof key); /* OSSL_PARAM knows no const; this needs no cast */
    if (info_n)
        memcpy(text, info, info_n);
    kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    bool ok = context && EVP_KDF_derive(context, out, n, params) == 1;
    enum helio_err err = crypto_result(ok, HELIO_E_CRYPTO);

    if (err != HELIO_OK)
        wipe(out, n);
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    wipe(key, sizeof key);
    return err;
}
