/*
 * kernels.h: what the tests of the kernels share.
 */
#ifndef HELIO_TESTS_KERNELS_H
#define HELIO_TESTS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/cpu.h"
#include "idea/idea.h"

/* splitmix64: good enough to choose test cases, and four lines. */
static inline uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static inline void random_fill(uint64_t *state, uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)random_next(state);
}

/* The definition: 0 stands for 65536, and 65536 is written as 0. */
static inline uint16_t multiply_defined(uint16_t a, uint16_t b)
{
    uint64_t x = a == 0 ? 65536 : a;
    uint64_t y = b == 0 ? 65536 : b;

    return (uint16_t)(x * y % 65537);
}

/* Whether this processor can run the kernel. */
static inline bool can_run(const struct idea_kernel *kernel)
{
    return (kernel->needs & ~cpu_features()) == 0;
}

#endif
