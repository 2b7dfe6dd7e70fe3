/*
 * aead.h: the three ciphers of helio/1 behind one interface (protocol.md 3 and 7).
 *
 * A key seals or opens records by number.  Whoever holds it makes sure that a number is used once;
 * the epoch rules of protocol.md 4.4 do that.  Nothing is released before the tag holds: after a
 * failed open the output is zeros.
 *
 * The caller owns struct aead_key and ends it with aead_clear on every path.
 */
#ifndef HELIO_CRYPTO_AEAD_H
#define HELIO_CRYPTO_AEAD_H

#include "helio.h"

enum aead_cipher { AEAD_IDEA_CTR_POLY1305, AEAD_CHACHA20_POLY1305, AEAD_AES_256_GCM, AEAD_COUNT };

enum { AEAD_TAG_SIZE = 16, AEAD_KEY_MAX = 32, AEAD_IV_SIZE = 12 };

/* 16 or 32; iv: 0 or AEAD_IV_SIZE. */
size_t aead_key_size(enum aead_cipher cipher);
size_t aead_iv_size(enum aead_cipher cipher);

struct aead_key {
    const struct aead_ops *ops; /* NULL: empty */
    void *context;              /* the operations' own */
    uint8_t iv[AEAD_IV_SIZE];
};

/*
 * Sets a key up; key has aead_key_size bytes, iv aead_iv_size (NULL when 0).  A struct that is
 * zeroed or was cleared may be given; one that holds a key of the same cipher is rekeyed without
 * allocating.
 */
HELIO_MUST_CHECK enum helio_err aead_set_key(struct aead_key *k, enum aead_cipher cipher,
                                             const uint8_t *key, const uint8_t *iv);
/* Wipes and frees what is inside; a zeroed or cleared struct is fine. */
void aead_clear(struct aead_key *k);

/*
 * Encrypts in[0..n) to out and writes the tag over ad, ciphertext and lengths.  out is in, or they
 * do not overlap.  HELIO_E_TOO_LONG when n > AEAD_TEXT_MAX, HELIO_E_ARGUMENT when number >= 2^48.
 */
enum { AEAD_TEXT_MAX = 8 * (65536 - 4) };
HELIO_MUST_CHECK enum helio_err aead_seal(struct aead_key *k, uint64_t number, const uint8_t *ad,
                                          size_t ad_n, const uint8_t *in, size_t n, uint8_t *out,
                                          uint8_t tag[AEAD_TAG_SIZE]);
/*
 * The same for a text in two pieces: in[0..in_n), and then out[in_n..n), which stands there already.
 * So a caller's content goes into a record with what the record adds, without a copy before.
 */
HELIO_MUST_CHECK enum helio_err aead_seal_pieces(struct aead_key *k, uint64_t number,
                                                 const uint8_t *ad, size_t ad_n, const uint8_t *in,
                                                 size_t in_n, uint8_t *out, size_t n,
                                                 uint8_t tag[AEAD_TAG_SIZE]);
/* The reverse.  HELIO_E_BROKEN when the tag does not hold; out is then zeros. */
HELIO_MUST_CHECK enum helio_err aead_open(struct aead_key *k, uint64_t number, const uint8_t *ad,
                                          size_t ad_n, const uint8_t *in, size_t n, uint8_t *out,
                                          const uint8_t tag[AEAD_TAG_SIZE]);

#endif
