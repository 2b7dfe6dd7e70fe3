/*
 * hex.h: hexadecimal as classic writes and reads it.
 *
 * The writers handle the session digest, which is the key, and so look nothing up and branch on no
 * byte.  The reader sees only what came over the wire.
 */
#ifndef HELIO_CLASSIC_HEX_H
#define HELIO_CLASSIC_HEX_H

#include <stddef.h>
#include <stdint.h>

/* out has 2n characters, no NUL, and does not overlap in. */
void hex_write_lower(uint8_t *out, const uint8_t *in, size_t n);
void hex_write_upper(uint8_t *out, const uint8_t *in, size_t n);

/* 0 to 15 when c is a digit of either case, else -1. */
int hex_value(uint8_t c);

#endif
