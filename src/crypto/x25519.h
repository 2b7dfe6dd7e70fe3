/*
 * x25519.h: Diffie-Hellman on Curve25519 (RFC 7748), by OpenSSL.  Private keys are any 32 random
 * bytes; clamping happens inside.
 */
#ifndef HELIO_CRYPTO_X25519_H
#define HELIO_CRYPTO_X25519_H

#include "helio.h"

enum { X25519_SIZE = 32 };

HELIO_MUST_CHECK enum helio_err x25519_public(uint8_t out[X25519_SIZE],
                                              const uint8_t private_key[X25519_SIZE]);
/* HELIO_E_BROKEN when the result is all zero: the peer's share was of small order (RFC 7748, 6.1). */
HELIO_MUST_CHECK enum helio_err x25519_shared(uint8_t out[X25519_SIZE],
                                              const uint8_t private_key[X25519_SIZE],
                                              const uint8_t share[X25519_SIZE]);

#endif
