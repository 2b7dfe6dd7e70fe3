#include "cpu/cpu.h"

#include <stdatomic.h>
#include <stdint.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

/* Which register states the operating system switches; ask only when CPUID says OSXSAVE. */
static uint32_t saved_states(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/* CPUID leaves 1 and 7, and XCR0 (Intel SDM volume 1, 13.3, 14.3 and 15.2; volume 2, CPUID). */
static unsigned detect(void)
{
    enum { OSXSAVE = 1 << 27, AVX = 1 << 28 };   /* leaf 1, ecx */
    enum { STATE_YMM = 0x06, STATE_ZMM = 0xe6 }; /* xmm and ymm; and all of zmm and k */
    enum { AVX2 = 1 << 5, AVX512F = 1 << 16, AVX512BW = 1 << 30 }; /* leaf 7, ebx */
    unsigned a, b, c, d, found = 0;

    if (!__get_cpuid(1, &a, &b, &c, &d))
        return 0;
    found |= d & bit_SSE2 ? CPU_SSE2 : 0;
    uint32_t saved = c & OSXSAVE && c & AVX ? saved_states() : 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return found;
    if ((saved & STATE_YMM) == STATE_YMM)
        found |= b & AVX2 ? CPU_AVX2 : 0;
    if ((saved & STATE_ZMM) == STATE_ZMM)
        found |= b & AVX512F && b & AVX512BW ? CPU_AVX512BW : 0;
    return found;
}

#elif defined(__aarch64__)

/* Advanced SIMD is part of the base of AArch64's procedure call standard. */
static unsigned detect(void)
{
    return CPU_NEON;
}

#else

static unsigned detect(void)
{
    return 0;
}

#endif

static atomic_uint allowed = CPU_ALL;

/* Two threads may both detect at first: they find the same. */
unsigned cpu_features(void)
{
    enum { KNOWN = CPU_ALL + 1 };
    static atomic_uint detected;
    unsigned found = atomic_load_explicit(&detected, memory_order_relaxed);

    if (found == 0) {
        found = detect() | KNOWN;
        atomic_store_explicit(&detected, found, memory_order_relaxed);
    }
    return found & atomic_load_explicit(&allowed, memory_order_relaxed) & CPU_ALL;
}

void cpu_allow(unsigned features)
{
    atomic_store_explicit(&allowed, features, memory_order_relaxed);
}
