/*
 * classic_aes.h: one block of AES-128, which is all that classic's key transport takes of it, by
 * OpenSSL.  For classic alone: a cipher without a mode is not for use anywhere else.
 */
#ifndef HELIO_CRYPTO_CLASSIC_AES_H
#define HELIO_CRYPTO_CLASSIC_AES_H

#include "helio.h"

enum { CLASSIC_AES_BLOCK = 16, CLASSIC_AES_KEY = 16 };

/* out may be in, and key may be either. */
HELIO_MUST_CHECK enum helio_err classic_aes_encrypt(uint8_t out[CLASSIC_AES_BLOCK],
                                                    const uint8_t in[CLASSIC_AES_BLOCK],
                                                    const uint8_t key[CLASSIC_AES_KEY]);

#endif
