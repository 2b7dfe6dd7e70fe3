#include "classic/hex.h"

/* The distance from '9' + 1 to the first letter: what a value of ten or more is moved up by. */
enum { LOWER_GAP = 'a' - '9' - 1, UPPER_GAP = 'A' - '9' - 1 };

/* (9 - value) >> 8 has all bits set when value > 9 (it went below zero) and none otherwise. */
static uint8_t digit(unsigned value, unsigned gap)
{
    return (uint8_t)('0' + value + ((9u - value) >> 8 & gap));
}

static void write_digits(uint8_t *out, const uint8_t *in, size_t n, unsigned gap)
{
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digit(in[i] >> 4, gap);
        out[2 * i + 1] = digit(in[i] & 15u, gap);
    }
}

void hex_write_lower(uint8_t *out, const uint8_t *in, size_t n)
{
    write_digits(out, in, n, LOWER_GAP);
}

void hex_write_upper(uint8_t *out, const uint8_t *in, size_t n)
{
    write_digits(out, in, n, UPPER_GAP);
}

static const struct range {
    uint8_t first;
    uint8_t last;
    uint8_t value; /* of first */
} ranges[] = {
    {'0', '9', 0},
    {'A', 'F', 10},
    {'a', 'f', 10},
};

int hex_value(uint8_t c)
{
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return c - ranges[i].first + ranges[i].value;
    return -1;
}
