/*
 * hash.h: SHA-256, SHA-1 (for classic alone), HMAC-SHA-256 and HKDF (RFC 5869), by OpenSSL.
 */
#ifndef HELIO_CRYPTO_HASH_H
#define HELIO_CRYPTO_HASH_H

#include "helio.h"

enum { SHA256_SIZE = 32, SHA1_SIZE = 20 };

/* A running SHA-256 that can be asked for its value and go on. */
struct sha256;

HELIO_MUST_CHECK enum helio_err sha256_new(struct sha256 **out);
void sha256_free(struct sha256 *h);
HELIO_MUST_CHECK enum helio_err sha256_add(struct sha256 *h, const void *p, size_t n);
/* The hash of all that was added, followed by p[0..n), which is not added; n may be 0. */
HELIO_MUST_CHECK enum helio_err sha256_value(const struct sha256 *h, const void *p, size_t n,
                                             uint8_t out[SHA256_SIZE]);

/* In one go. */
HELIO_MUST_CHECK enum helio_err sha256(uint8_t out[SHA256_SIZE], const void *p, size_t n);
HELIO_MUST_CHECK enum helio_err sha1(uint8_t out[SHA1_SIZE], const void *p, size_t n);
HELIO_MUST_CHECK enum helio_err hmac_sha256(uint8_t out[SHA256_SIZE], const void *key, size_t key_n,
                                            const void *p, size_t n);

HELIO_MUST_CHECK enum helio_err hkdf_extract(uint8_t out[SHA256_SIZE], const void *salt,
                                             size_t salt_n, const void *ikm, size_t ikm_n);
/* n is at most 255 * 32, else HELIO_E_ARGUMENT; info_n at most 512. */
HELIO_MUST_CHECK enum helio_err hkdf_expand(uint8_t *out, size_t n,
                                            const uint8_t secret[SHA256_SIZE], const void *info,
                                            size_t info_n);

#endif
