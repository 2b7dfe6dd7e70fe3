/*
 * repr.h: a tuple of one byte string as Python 2 prints it, ('...',) or ("...",), which is how the
 * original sends the encrypted key.
 *
 * The original gives what it received to eval and so runs whatever the peer wrote.  Here it is
 * parsed, byte by byte, by a machine that knows this one form: no other literal, no spaces, no
 * spelling of a byte but the one that Python 2 itself would have chosen.  So for every value there
 * is exactly one text, and repr_add accepts it exactly when repr_write writes it.
 */
#ifndef HELIO_CLASSIC_REPR_H
#define HELIO_CLASSIC_REPR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    REPR_VALUE_MAX = 256,                   /* a number below a 2048-bit modulus */
    REPR_TEXT_MAX = 4 * REPR_VALUE_MAX + 5, /* every byte as \xNN; brackets, comma, two quotes */
    REPR_READ_MAX = 1024                    /* what the original reads: a longer text is refused */
};

/* Writes the tuple of value[0..n), n <= REPR_VALUE_MAX, and returns its length, at most 4n + 5. */
size_t repr_write(uint8_t out[REPR_TEXT_MAX], const uint8_t *value, size_t n);

enum repr_status {
    REPR_MORE, /* right so far */
    REPR_DONE, /* value[0..n) is whole; this byte was the last */
    REPR_BAD   /* not such a tuple, or over a limit */
};

/*
 * Invariant: n <= REPR_VALUE_MAX, taken <= REPR_READ_MAX.  After DONE or BAD nothing may be added.
 */
struct repr_parser {
    uint8_t value[REPR_VALUE_MAX];
    size_t n;
    size_t taken; /* bytes of text */
    unsigned step;
    uint8_t quote;
    uint8_t high; /* the first digit of a \xNN */
};

void repr_begin(struct repr_parser *p);
enum repr_status repr_add(struct repr_parser *p, uint8_t c);

#endif
