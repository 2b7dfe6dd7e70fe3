#include "crypto/x25519.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "base/wipe.h"
#include "crypto/result.h"

static EVP_PKEY *pair_from(const uint8_t private_key[X25519_SIZE])
{
    return EVP_PKEY_new_raw_private_key_ex(NULL, "X25519", NULL, private_key, X25519_SIZE);
}

enum helio_err x25519_public(uint8_t out[X25519_SIZE], const uint8_t private_key[X25519_SIZE])
{
    size_t n = X25519_SIZE;
    EVP_PKEY *own = pair_from(private_key);
    bool ok = own && EVP_PKEY_get_raw_public_key(own, out, &n) == 1 && n == X25519_SIZE;

    EVP_PKEY_free(own);
    return crypto_result(ok, HELIO_E_CRYPTO);
}

/*
 * A key to derive with, which takes the private half alone.  Without a public one OpenSSL would
 * compute it, as long a multiplication as the one that is wanted: it gets zeros, and nobody looks.
 */
static EVP_PKEY *half_from(const uint8_t private_key[X25519_SIZE])
{
    uint8_t half[X25519_SIZE], unused[X25519_SIZE] = {0};
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, half, sizeof half),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, unused, sizeof unused),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "X25519", NULL);

    memcpy(half, private_key, sizeof half); /* OSSL_PARAM knows no const */
    if (context && EVP_PKEY_fromdata_init(context) == 1 &&
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    wipe(half, sizeof half);
    return key;
}

enum helio_err x25519_shared(uint8_t out[X25519_SIZE], const uint8_t private_key[X25519_SIZE],
                             const uint8_t share[X25519_SIZE])
{
    static const uint8_t zero[X25519_SIZE];
    size_t n = X25519_SIZE;
    EVP_PKEY *own = half_from(private_key);
    EVP_PKEY *peer = EVP_PKEY_new_raw_public_key_ex(NULL, "X25519", NULL, share, X25519_SIZE);
    EVP_PKEY_CTX *context = own ? EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL) : NULL;
    /* validate_peer is 0: it would look for the very share that derive refuses. */
    bool ready = context && peer && EVP_PKEY_derive_init(context) == 1 &&
                 EVP_PKEY_derive_set_peer_ex(context, peer, 0) == 1;
    /* Any 32 bytes are a share, so the one thing that derive refuses is the result zero. */
    enum helio_err err = crypto_result(ready, HELIO_E_CRYPTO);

    if (err == HELIO_OK)
        err = crypto_result(EVP_PKEY_derive(context, out, &n) == 1, HELIO_E_BROKEN);
    if (err == HELIO_OK && n != X25519_SIZE)
        err = HELIO_E_CRYPTO;
    if (err == HELIO_OK && equal_secret(out, zero, X25519_SIZE))
        err = HELIO_E_BROKEN;
    if (err != HELIO_OK)
        wipe(out, X25519_SIZE);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(own);
    return err;
}
