#include "base/wipe.h"

#include <string.h>

void wipe(void *p, size_t n)
{
    if (n > 0)
        explicit_bzero(p, n);
}

int equal_secret(const void *a, const void *b, size_t n)
{
    const volatile uint8_t *x = a;
    const volatile uint8_t *y = b;
    uint32_t difference = 0;

    /* volatile: a compiler that understood the loop might leave it at the first difference. */
    for (size_t i = 0; i < n; i++)
        difference |= (uint32_t)(x[i] ^ y[i]);
    /* difference is 0 to 255: only 0 borrows into the top bit. */
    return (int)((difference - 1) >> 31);
}
