/* idea-ctr-poly1305 (protocol.md 7): RFC 8439's construction around IDEA in counter mode. */
#include "crypto/aead_ops.h"

#include <openssl/evp.h>

#include "base/bytes.h"
#include "base/wipe.h"
#include "crypto/result.h"

/* The u48 record number stands above the u16 block number: the fields never meet. */
enum { BLOCK_BITS = 16, TEXT_BLOCK = 4, MAC_KEY_SIZE = 32, MAC_ALIGNMENT = 16 };

_Static_assert(AEAD_TEXT_MAX / 8 + TEXT_BLOCK == 1 << BLOCK_BITS,
               "the longest text must end with the last block of its record");

static enum helio_err idea_start(struct aead_key *k)
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, k->ops->algorithm, NULL);
    EVP_MAC_CTX *context = mac ? EVP_MAC_CTX_new(mac) : NULL; /* keeps mac by itself */

    EVP_MAC_free(mac);
    k->context = context;
    return crypto_result(context, mac ? HELIO_E_MEMORY : HELIO_E_CRYPTO);
}

static void idea_end(struct aead_key *k)
{
    EVP_MAC_CTX_free(k->context);
}

static enum helio_err idea_set_key(struct aead_key *k, const uint8_t *key)
{
    helio_idea_set_key(&k->idea, key);
    return HELIO_OK;
}

static bool mac_padded(EVP_MAC_CTX *mac, const uint8_t *p, size_t n)
{
    static const uint8_t zeros[MAC_ALIGNMENT];
    size_t pad = (MAC_ALIGNMENT - n % MAC_ALIGNMENT) % MAC_ALIGNMENT;

    return (n == 0 || EVP_MAC_update(mac, p, n) == 1) &&
           (pad == 0 || EVP_MAC_update(mac, zeros, pad) == 1);
}

static enum helio_err compute_tag(struct aead_key *k, const struct aead_record *r,
                                  const uint8_t *cipher_text, uint8_t tag[AEAD_TAG_SIZE])
{
    uint8_t key[MAC_KEY_SIZE] = {0}, lengths[16];
    size_t tag_n = 0;

    helio_idea_ctr(&k->idea, r->number << BLOCK_BITS, key, key, sizeof key);
    put_u64_little(lengths, r->ad_n);
    put_u64_little(lengths + 8, r->n);
    bool ok = EVP_MAC_init(k->context, key, sizeof key, NULL) == 1 &&
              mac_padded(k->context, r->ad, r->ad_n) && mac_padded(k->context, cipher_text, r->n) &&
              EVP_MAC_update(k->context, lengths, sizeof lengths) == 1 &&
              EVP_MAC_final(k->context, tag, &tag_n, AEAD_TAG_SIZE) == 1 && tag_n == AEAD_TAG_SIZE;

    wipe(key, sizeof key);
    return ok ? HELIO_OK : crypto_result(false, HELIO_E_CRYPTO);
}

static void xor_text(const struct aead_key *k, const struct aead_record *r)
{
    helio_idea_ctr(&k->idea, r->number << BLOCK_BITS | TEXT_BLOCK, r->out, r->in, r->n);
}

static enum helio_err idea_seal(struct aead_key *k, const struct aead_record *r,
                                uint8_t tag[AEAD_TAG_SIZE])
{
    xor_text(k, r);
    return compute_tag(k, r, r->out, tag);
}

static enum helio_err idea_open(struct aead_key *k, const struct aead_record *r,
                                const uint8_t tag[AEAD_TAG_SIZE])
{
    uint8_t expected[AEAD_TAG_SIZE];
    enum helio_err err = compute_tag(k, r, r->in, expected);

    if (err == HELIO_OK && !equal_secret(expected, tag, sizeof expected))
        err = HELIO_E_BROKEN;
    if (err == HELIO_OK)
        xor_text(k, r);
    wipe(expected, sizeof expected); /* of a forged record it would be the tag to send next */
    return err;
}

const struct aead_ops aead_idea_ctr_poly1305 = {
    .algorithm = "POLY1305",
    .key_size = 16,
    .iv_size = 0,
    .start = idea_start,
    .end = idea_end,
    .set_key = idea_set_key,
    .seal = idea_seal,
    .open = idea_open,
};
