/* hex.h: bytes written as hexadecimal, for tables of vectors. */
#ifndef HELIO_TESTS_UNIT_HEX_H
#define HELIO_TESTS_UNIT_HEX_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/*
 * Writes the bytes to out and returns how many; ends the program when the text is not hex or long.
 */
static inline size_t from_hex(uint8_t *out, size_t cap, const char *hex)
{
    size_t n = strlen(hex) / 2;

    if (strlen(hex) % 2 != 0 || n > cap)
        abort();
    for (size_t i = 0; i < n; i++) {
        char two[3] = {hex[2 * i], hex[2 * i + 1], '\0'}, *end;

        out[i] = (uint8_t)strtoul(two, &end, 16);
        if (*end != '\0')
            abort();
    }
    return n;
}

#endif
