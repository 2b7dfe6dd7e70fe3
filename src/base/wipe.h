/*
 * wipe.h: the one wipe function and the one compare function for secrets, and a help against
 * compilers that are too clever about them.
 *
 * Both functions take time that depends on n alone.  Every secret is wiped on every way out of the function or
 * object that owns it.
 */
#ifndef HELIO_BASE_WIPE_H
#define HELIO_BASE_WIPE_H

#include <stddef.h>
#include <stdint.h>

/* Overwrites p[0..n) with zeros in a way that the compiler may not leave out; n = 0 is fine. */
void wipe(void *p, size_t n);

/* 1 when a[0..n) and b[0..n) are equal, else 0; without a branch on their bytes. */
int equal_secret(const void *a, const void *b, size_t n);

/*
 * x, without the compiler knowing what it is.  From what it knows it may conclude that a mask has
 * only two values, and put a conditional jump where arithmetic stood; gcc 12 -O3 did.
 */
static inline uint32_t opaque_u32(uint32_t x)
{
    __asm__("" : "+r"(x));
    return x;
}

#endif
