#include "crypto/aead_gcm.h"

#include <string.h>

#include "base/bytes.h"
#include "base/wipe.h"

static const uint64_t number_limit = UINT64_C(1) << 48;

static const struct aead_ops *const ciphers[AEAD_COUNT] = {
    [AEAD_IDEA_CTR_POLY1305] = &aead_idea_ctr_poly1305,
    [AEAD_CHACHA20_POLY1305] = &aead_chacha20_poly1305,
    [AEAD_AES_256_GCM] = &aead_aes_256_gcm,
};

size_t aead_key_size(enum aead_cipher cipher)
{
    return ciphers[cipher]->key_size;
}

size_t aead_iv_size(enum aead_cipher cipher)
{
    return ciphers[cipher]->iv_size;
}

/* Whose operations a new key of this cipher gets. */
static const struct aead_ops *best_ops(enum aead_cipher cipher)
{
    const struct aead_ops *wide = cipher == AEAD_AES_256_GCM ? aead_gcm_wide() : NULL;

    return wide ? wide : ciphers[cipher];
}

enum helio_err aead_set_key(struct aead_key *k, enum aead_cipher cipher, const uint8_t *key,
                            const uint8_t *iv)
{
    enum helio_err err = HELIO_OK;

    if ((unsigned)cipher >= AEAD_COUNT)
        return HELIO_E_ARGUMENT;
    if (!k->ops || k->ops->cipher != cipher) {
        aead_clear(k);
        k->ops = best_ops(cipher);
        err = k->ops->start(k);
    }
    if (err == HELIO_OK)
        err = k->ops->set_key(k, key);
    if (err != HELIO_OK) {
        aead_clear(k);
        return err;
    }
    if (k->ops->iv_size > 0)
        memcpy(k->iv, iv, k->ops->iv_size);
    return HELIO_OK;
}

void aead_clear(struct aead_key *k)
{
    if (k->ops)
        k->ops->end(k);
    wipe(k, sizeof *k);
}

void aead_nonce(const struct aead_key *k, uint64_t number, uint8_t nonce[AEAD_IV_SIZE])
{
    uint8_t be[8];

    put_u64(be, number);
    memcpy(nonce, k->iv, AEAD_IV_SIZE);
    for (size_t i = 0; i < sizeof be; i++)
        nonce[AEAD_IV_SIZE - sizeof be + i] ^= be[i];
}

static enum helio_err check(const struct aead_key *k, const struct aead_record *r)
{
    if (!k->ops)
        return HELIO_E_STATE;
    if (r->number >= number_limit || r->in_n > r->n)
        return HELIO_E_ARGUMENT;
    /* OpenSSL counts in int: the bound on ad is for that, no frame comes near it. */
    return r->n > AEAD_TEXT_MAX || r->ad_n > AEAD_TEXT_MAX ? HELIO_E_TOO_LONG : HELIO_OK;
}

enum helio_err aead_seal(struct aead_key *k, uint64_t number, const uint8_t *ad, size_t ad_n,
                         const uint8_t *in, size_t n, uint8_t *out, uint8_t tag[AEAD_TAG_SIZE])
{
    return aead_seal_pieces(k, number, ad, ad_n, in, n, out, n, tag);
}

enum helio_err aead_seal_pieces(struct aead_key *k, uint64_t number, const uint8_t *ad, size_t ad_n,
                                const uint8_t *in, size_t in_n, uint8_t *out, size_t n,
                                uint8_t tag[AEAD_TAG_SIZE])
{
    const struct aead_record r = {number, ad, ad_n, in, in_n, n, out};
    enum helio_err err = check(k, &r);

    if (err == HELIO_OK)
        err = k->ops->seal(k, &r, tag);
    if (err != HELIO_OK) {
        wipe(out, n); /* in place it still held the plaintext, and would have been sent */
        wipe(tag, AEAD_TAG_SIZE);
    }
    return err;
}

enum helio_err aead_open(struct aead_key *k, uint64_t number, const uint8_t *ad, size_t ad_n,
                         const uint8_t *in, size_t n, uint8_t *out,
                         const uint8_t tag[AEAD_TAG_SIZE])
{
    const struct aead_record r = {number, ad, ad_n, in, n, n, out};
    enum helio_err err = check(k, &r);

    if (err == HELIO_OK)
        err = k->ops->open(k, &r, tag);
    if (err != HELIO_OK)
        wipe(out, n);
    return err;
}
