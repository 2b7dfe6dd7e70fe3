/*
 * encode.h: base64 without padding (RFC 4648, section 4), for fingerprints.
 */
#ifndef HELIO_CRYPTO_ENCODE_H
#define HELIO_CRYPTO_ENCODE_H

#include "helio.h"

enum { BASE64_32_SIZE = 43 };

/* 32 bytes as 43 characters, no NUL. */
void base64_from_32(char out[BASE64_32_SIZE], const uint8_t in[32]);
/* The reverse; HELIO_E_FORMAT unless the text is exactly what base64_from_32 writes. */
HELIO_MUST_CHECK enum helio_err base64_to_32(uint8_t out[32], const char in[BASE64_32_SIZE]);

#endif
