/*
 * transport.h: what classic sends under RSA, and the session digest that both stations make of it.
 */
#ifndef HELIO_CLASSIC_TRANSPORT_H
#define HELIO_CLASSIC_TRANSPORT_H

#include "helio.h"

enum { TRANSPORT_KEY = 16, DIGEST_TEXT = 40 };

/*
 * "AES-128-CTR(k) over k with a counter that always is k": k xor AES(k, k).  Sixteen bytes are one
 * block, so the counter is asked for once.
 */
HELIO_MUST_CHECK enum helio_err transport_from_random(uint8_t t[TRANSPORT_KEY],
                                                      const uint8_t k[TRANSPORT_KEY]);

/*
 * SHA-1 of p[0..n) in lower-case hex, no NUL: the session digest, and the hash of the public key.
 */
HELIO_MUST_CHECK enum helio_err digest_text(uint8_t out[DIGEST_TEXT], const void *p, size_t n);

#endif
