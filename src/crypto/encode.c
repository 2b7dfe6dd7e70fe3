#include "crypto/encode.h"

#include <string.h>

#include <openssl/evp.h>

enum { PADDED_SIZE = BASE64_32_SIZE + 1, DECODED_SIZE = 33 };

void base64_from_32(char out[BASE64_32_SIZE], const uint8_t in[32])
{
    unsigned char text[PADDED_SIZE + 1]; /* OpenSSL adds '=' and a NUL */

    EVP_EncodeBlock(text, in, 32);
    memcpy(out, text, BASE64_32_SIZE);
}

enum helio_err base64_to_32(uint8_t out[32], const char in[BASE64_32_SIZE])
{
    unsigned char text[PADDED_SIZE], bytes[DECODED_SIZE];
    char again[BASE64_32_SIZE];

    memcpy(text, in, BASE64_32_SIZE);
    text[BASE64_32_SIZE] = '=';
    if (EVP_DecodeBlock(bytes, text, sizeof text) != DECODED_SIZE)
        return HELIO_E_FORMAT;
    /* OpenSSL forgives white space and stray last bits; a fingerprint has one spelling. */
    base64_from_32(again, bytes);
    if (memcmp(again, in, sizeof again) != 0)
        return HELIO_E_FORMAT;
    memcpy(out, bytes, 32);
    return HELIO_OK;
}
