/* idea-ctr-poly1305 (protocol.md 7): RFC 8439's construction around IDEA in counter mode. */
#include "crypto/aead_ops.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/bytes.h"
#include "base/wipe.h"
#include "crypto/result.h"

/* The u48 record number stands above the u16 block number: the fields never meet. */
enum { BLOCK_BITS = 16, TEXT_BLOCK = 4, IDEA_BLOCK_BYTES = 8 };
enum { MAC_KEY_SIZE = 32, MAC_ALIGNMENT = 16, LENGTHS_SIZE = 16 };
/* HEAD_SIZE is what the widest kernel does at once. */
enum { HEAD_SIZE = 1536, SHORT_TEXT = HEAD_SIZE - MAC_KEY_SIZE, SHORT_AD = 32 };

_Static_assert(AEAD_TEXT_MAX / 8 + TEXT_BLOCK == 1 << BLOCK_BITS,
               "the longest text must end with the last block of its record");

/* What aead_key.context is. */
struct idea_key {
    helio_idea idea;
    EVP_MAC_CTX *mac;
};

static enum helio_err idea_start(struct aead_key *k)
{
    struct idea_key *own = k->context = calloc(1, sizeof *own);
    EVP_MAC *mac;

    if (!own)
        return HELIO_E_MEMORY;
    mac = EVP_MAC_fetch(NULL, k->ops->algorithm, NULL);
    own->mac = mac ? EVP_MAC_CTX_new(mac) : NULL; /* keeps mac by itself */
    EVP_MAC_free(mac);
    return crypto_result(own->mac, mac ? HELIO_E_MEMORY : HELIO_E_CRYPTO);
}

static void idea_end(struct aead_key *k)
{
    struct idea_key *own = k->context;

    if (!own)
        return;
    EVP_MAC_CTX_free(own->mac);
    wipe(own, sizeof *own);
    free(own);
}

static enum helio_err idea_set_key(struct aead_key *k, const uint8_t *key)
{
    struct idea_key *own = k->context;

    helio_idea_set_key(&own->idea, key);
    return HELIO_OK;
}

static size_t padded(size_t n)
{
    return (n + MAC_ALIGNMENT - 1) / MAC_ALIGNMENT * MAC_ALIGNMENT;
}

static bool mac_padded(EVP_MAC_CTX *mac, const uint8_t *p, size_t n)
{
    uint8_t end[MAC_ALIGNMENT] = {0};
    size_t whole = n / MAC_ALIGNMENT * MAC_ALIGNMENT;

    if (whole < n)
        memcpy(end, p + whole, n - whole);
    return (whole == 0 || EVP_MAC_update(mac, p, whole) == 1) &&
           (whole == n || EVP_MAC_update(mac, end, sizeof end) == 1);
}

static bool mac_parts(EVP_MAC_CTX *mac, const struct aead_record *r, const uint8_t *cipher_text,
                      const uint8_t lengths[LENGTHS_SIZE])
{
    return mac_padded(mac, r->ad, r->ad_n) && mac_padded(mac, cipher_text, r->n) &&
           EVP_MAC_update(mac, lengths, LENGTHS_SIZE) == 1;
}

/* The same bytes in one piece: of a chat line's time the calls of OpenSSL would be the most. */
static bool mac_short(EVP_MAC_CTX *mac, const struct aead_record *r, const uint8_t *cipher_text,
                      const uint8_t lengths[LENGTHS_SIZE])
{
    uint8_t all[SHORT_AD + SHORT_TEXT + LENGTHS_SIZE];
    size_t text_at = padded(r->ad_n), lengths_at = text_at + padded(r->n);

    memset(all, 0, lengths_at);
    if (r->ad_n > 0)
        memcpy(all, r->ad, r->ad_n);
    if (r->n > 0)
        memcpy(all + text_at, cipher_text, r->n);
    memcpy(all + lengths_at, lengths, LENGTHS_SIZE);
    return EVP_MAC_update(mac, all, lengths_at + LENGTHS_SIZE) == 1;
}

static enum helio_err compute_tag(struct idea_key *k, const struct aead_record *r,
                                  const uint8_t key[MAC_KEY_SIZE], const uint8_t *cipher_text,
                                  uint8_t tag[AEAD_TAG_SIZE])
{
    bool is_short = r->ad_n <= SHORT_AD && r->n <= SHORT_TEXT;
    uint8_t lengths[LENGTHS_SIZE];
    size_t tag_n = 0;

    put_u64_little(lengths, r->ad_n);
    put_u64_little(lengths + 8, r->n);
    bool ok = EVP_MAC_init(k->mac, key, MAC_KEY_SIZE, NULL) == 1 &&
              (is_short ? mac_short : mac_parts)(k->mac, r, cipher_text, lengths) &&
              EVP_MAC_final(k->mac, tag, &tag_n, AEAD_TAG_SIZE) == 1 && tag_n == AEAD_TAG_SIZE;

    return ok ? HELIO_OK : crypto_result(false, HELIO_E_CRYPTO);
}

/*
 * The blocks of a record from the first on: the one-time key, and the text if it fits.  A vector of
 * blocks costs the same however many of them are used, so a short record pays once.
 * Returns how much of the text is in the head: all or nothing.
 */
static size_t make_head(const struct idea_key *k, const struct aead_record *r,
                        uint8_t head[HEAD_SIZE])
{
    size_t n = r->n <= SHORT_TEXT ? r->n : 0;

    memset(head, 0, MAC_KEY_SIZE);
    if (n > 0 && r->in_n > 0)
        memcpy(head + MAC_KEY_SIZE, r->in, r->in_n);
    if (n > 0)
        memcpy(head + MAC_KEY_SIZE + r->in_n, r->out + r->in_n, n - r->in_n);
    helio_idea_ctr(&k->idea, r->number << BLOCK_BITS, head, head, MAC_KEY_SIZE + n);
    return n;
}

/* The text to out: from the head when it is there. */
static void put_text(const struct idea_key *k, const struct aead_record *r,
                     const uint8_t head[HEAD_SIZE], size_t done)
{
    uint64_t counter = r->number << BLOCK_BITS | TEXT_BLOCK;
    /* The two pieces may meet inside a block: that one is put together in its place. */
    size_t blocks = r->in_n / IDEA_BLOCK_BYTES;
    size_t first = blocks * IDEA_BLOCK_BYTES;

    if (done > 0) {
        memcpy(r->out, head + MAC_KEY_SIZE, done);
        return;
    }
    if (first < r->in_n)
        memmove(r->out + first, r->in + first, r->in_n - first);
    helio_idea_ctr(&k->idea, counter, r->out, r->in, first);
    helio_idea_ctr(&k->idea, counter + blocks, r->out + first, r->out + first, r->n - first);
}

static enum helio_err idea_seal(struct aead_key *key, const struct aead_record *r,
                                uint8_t tag[AEAD_TAG_SIZE])
{
    struct idea_key *k = key->context;
    uint8_t head[HEAD_SIZE];
    size_t done = make_head(k, r, head);

    put_text(k, r, head, done);
    enum helio_err err = compute_tag(k, r, head, r->out, tag);
    wipe(head, MAC_KEY_SIZE + done);
    return err;
}

static enum helio_err idea_open(struct aead_key *key, const struct aead_record *r,
                                const uint8_t tag[AEAD_TAG_SIZE])
{
    uint8_t expected[AEAD_TAG_SIZE];
    struct idea_key *k = key->context;
    uint8_t head[HEAD_SIZE];
    size_t done = make_head(k, r, head);
    enum helio_err err = compute_tag(k, r, head, r->in, expected);

    if (err == HELIO_OK && !equal_secret(expected, tag, sizeof expected))
        err = HELIO_E_BROKEN;
    if (err == HELIO_OK)
        put_text(k, r, head, done);
    wipe(expected, sizeof expected); /* of a forged record it would be the tag to send next */
    wipe(head, MAC_KEY_SIZE + done);
    return err;
}

const struct aead_ops aead_idea_ctr_poly1305 = {
    .cipher = AEAD_IDEA_CTR_POLY1305,
    .algorithm = "POLY1305",
    .key_size = 16,
    .iv_size = 0,
    .start = idea_start,
    .end = idea_end,
    .set_key = idea_set_key,
    .seal = idea_seal,
    .open = idea_open,
};
