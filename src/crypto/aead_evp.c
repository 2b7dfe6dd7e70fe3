/* The two ciphers that OpenSSL has whole; they differ by name alone. */
#include "crypto/aead_ops.h"

#include <string.h>

#include <openssl/evp.h>

#include "base/wipe.h"
#include "crypto/result.h"

static enum helio_err evp_start(struct aead_key *k)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, k->ops->algorithm, NULL);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    /* Without a key yet; from here on the context keeps the cipher by itself. */
    bool ok = cipher && context && EVP_EncryptInit_ex2(context, cipher, NULL, NULL, NULL) == 1;

    EVP_CIPHER_free(cipher);
    k->context = context;
    return crypto_result(ok, context ? HELIO_E_CRYPTO : HELIO_E_MEMORY);
}

static void evp_end(struct aead_key *k)
{
    EVP_CIPHER_CTX_free(k->context);
}

static enum helio_err evp_set_key(struct aead_key *k, const uint8_t *key)
{
    return crypto_result(EVP_EncryptInit_ex2(k->context, NULL, key, NULL, NULL) == 1,
                         HELIO_E_CRYPTO);
}

static bool update(EVP_CIPHER_CTX *context, uint8_t *out, const uint8_t *in, size_t n)
{
    int done = 0;

    return n == 0 || (EVP_CipherUpdate(context, out, &done, in, (int)n) == 1 && done == (int)n);
}

/* Nonce, associated data and text, in the direction given; the tag is the caller's. */
static bool run(EVP_CIPHER_CTX *context, const uint8_t nonce[AEAD_IV_SIZE], int encrypt,
                const struct aead_record *r)
{
    int done = 0;

    return EVP_CipherInit_ex2(context, NULL, NULL, nonce, encrypt, NULL) == 1 &&
           (r->ad_n == 0 || EVP_CipherUpdate(context, NULL, &done, r->ad, (int)r->ad_n) == 1) &&
           update(context, r->out, r->in, r->in_n) &&
           update(context, r->out + r->in_n, r->out + r->in_n, r->n - r->in_n);
}

static enum helio_err evp_seal(struct aead_key *k, const struct aead_record *r,
                               uint8_t tag[AEAD_TAG_SIZE])
{
    uint8_t nonce[AEAD_IV_SIZE], none[1];
    int done = 0;

    aead_nonce(k, r->number, nonce);
    bool ok = run(k->context, nonce, 1, r) && EVP_EncryptFinal_ex(k->context, none, &done) == 1 &&
              done == 0 &&
              EVP_CIPHER_CTX_ctrl(k->context, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_SIZE, tag) == 1;

    wipe(nonce, sizeof nonce);
    return ok ? HELIO_OK : crypto_result(false, HELIO_E_CRYPTO);
}

static enum helio_err evp_open(struct aead_key *k, const struct aead_record *r,
                               const uint8_t tag[AEAD_TAG_SIZE])
{
    uint8_t nonce[AEAD_IV_SIZE], expected[AEAD_TAG_SIZE], none[1];
    int done = 0;

    aead_nonce(k, r->number, nonce);
    memcpy(expected, tag, sizeof expected); /* OpenSSL's ctrl knows no const */
    bool ran = run(k->context, nonce, 0, r) &&
               EVP_CIPHER_CTX_ctrl(k->context, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_SIZE, expected) == 1;
    bool held = ran && EVP_DecryptFinal_ex(k->context, none, &done) == 1 && done == 0;

    wipe(nonce, sizeof nonce);
    return held ? HELIO_OK : crypto_result(false, ran ? HELIO_E_BROKEN : HELIO_E_CRYPTO);
}

const struct aead_ops aead_chacha20_poly1305 = {
    .cipher = AEAD_CHACHA20_POLY1305,
    .algorithm = "ChaCha20-Poly1305",
    .key_size = 32,
    .iv_size = AEAD_IV_SIZE,
    .start = evp_start,
    .end = evp_end,
    .set_key = evp_set_key,
    .seal = evp_seal,
    .open = evp_open,
};

const struct aead_ops aead_aes_256_gcm = {
    .cipher = AEAD_AES_256_GCM,
    .algorithm = "AES-256-GCM",
    .key_size = 32,
    .iv_size = AEAD_IV_SIZE,
    .start = evp_start,
    .end = evp_end,
    .set_key = evp_set_key,
    .seal = evp_seal,
    .open = evp_open,
};
