/*
 * rsa_key.h: what the files of RSA share inside src/crypto.
 *
 * Invariant: a struct rsa_key that anyone holds has passed the rule of its kind in rsa_adopt, so
 * bits and size are in range and buffers of RSA_SIGNATURE_MAX bytes suffice.
 */
#ifndef HELIO_CRYPTO_RSA_KEY_H
#define HELIO_CRYPTO_RSA_KEY_H

#include <stdbool.h>

#include "crypto/rsa.h"

struct rsa_key {
    struct evp_pkey_st *pkey; /* OpenSSL's EVP_PKEY */
    unsigned bits;
    size_t size;
};

/*
 * What a kind of key must be; modulus odd and exponent odd, at least 3, below the modulus, always.
 */
struct rsa_rule {
    unsigned bits_min;
    unsigned bits_max;
    bool any_exponent; /* else 65537 alone */
};

extern const struct rsa_rule rsa_rule_station;
extern const struct rsa_rule rsa_rule_classic;

/* Puts a key into a struct if it keeps the rule, else HELIO_E_KEY.  Takes pkey over in any case. */
HELIO_MUST_CHECK enum helio_err rsa_adopt(struct rsa_key **out, struct evp_pkey_st *pkey,
                                          const struct rsa_rule *rule);
/* A fresh pair of so many bits and e = 65537, not looked at yet. */
HELIO_MUST_CHECK enum helio_err rsa_draw(struct evp_pkey_st **out, unsigned bits);
/* Reads a canonical SubjectPublicKeyInfo of rsaEncryption, der[0..n) whole; else HELIO_E_KEY. */
HELIO_MUST_CHECK enum helio_err rsa_read_public(struct evp_pkey_st **out, const uint8_t *der,
                                                size_t n);

/* Reads an RSAPrivateKey of two primes, der[0..n) whole; else HELIO_E_KEY. */
HELIO_MUST_CHECK enum helio_err rsa_read_private(struct evp_pkey_st **out, const uint8_t *der,
                                                 size_t n);

/* The reverse; *out is for OPENSSL_clear_free, *n bytes. */
HELIO_MUST_CHECK enum helio_err rsa_write_private(const struct rsa_key *key, uint8_t **out,
                                                  size_t *n);

/* x^e and x^d mod N: in and out are rsa_size bytes; HELIO_E_BROKEN when in is not below N. */
HELIO_MUST_CHECK enum helio_err rsa_raw_public(const struct rsa_key *key, const uint8_t *in,
                                               uint8_t *out);
HELIO_MUST_CHECK enum helio_err rsa_raw_private(const struct rsa_key *key, const uint8_t *in,
                                                uint8_t *out);

#endif
