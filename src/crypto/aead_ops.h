/*
 * aead_ops.h: what a cipher of aead.h must be able to do.  For src/crypto alone.
 *
 * aead.c has checked every argument before an operation runs, and wipes the output when one fails.
 */
#ifndef HELIO_CRYPTO_AEAD_OPS_H
#define HELIO_CRYPTO_AEAD_OPS_H

#include "crypto/aead.h"

/* One record, sealed or opened: aead.h says what the members are. */
struct aead_record {
    uint64_t number;
    const uint8_t *ad;
    size_t ad_n;
    const uint8_t *in;
    size_t in_n; /* how much of the text is in in; the rest is in its place in out */
    size_t n;
    uint8_t *out;
};

struct aead_ops {
    enum aead_cipher cipher;
    const char *algorithm; /* OpenSSL's name for what context is of */
    size_t key_size;
    size_t iv_size;
    /* Makes k->context.  The only one that may allocate. */
    enum helio_err (*start)(struct aead_key *k);
    /* Frees k->context, which may be NULL. */
    void (*end)(struct aead_key *k);
    enum helio_err (*set_key)(struct aead_key *k, const uint8_t *key);
    enum helio_err (*seal)(struct aead_key *k, const struct aead_record *r,
                           uint8_t tag[AEAD_TAG_SIZE]);
    enum helio_err (*open)(struct aead_key *k, const struct aead_record *r,
                           const uint8_t tag[AEAD_TAG_SIZE]);
};

/* iv XOR (0^4 ‖ u64 number) (protocol.md 3). */
void aead_nonce(const struct aead_key *k, uint64_t number, uint8_t nonce[AEAD_IV_SIZE]);

extern const struct aead_ops aead_idea_ctr_poly1305;
extern const struct aead_ops aead_chacha20_poly1305;
extern const struct aead_ops aead_aes_256_gcm;

#endif
