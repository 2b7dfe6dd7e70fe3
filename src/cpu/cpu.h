/*
 * cpu.h: what this processor can do, of what there is a kernel for.
 *
 * A feature counts only when the operating system saves the registers that it needs.  What is found
 * never changes while a process runs; cpu_allow can hide some of it and show it again, so that tests
 * can walk every subset.  Any thread may ask at any time.
 *
 * Owns one word of process-wide state, the features allowed.  Knows nothing of what they are for.
 */
#ifndef HELIO_CPU_CPU_H
#define HELIO_CPU_CPU_H

enum cpu_feature {
    CPU_SSE2 = 1 << 0,
    CPU_AVX2 = 1 << 1,
    CPU_AVX512BW = 1 << 2, /* with AVX-512F, which it cannot be without */
    CPU_NEON = 1 << 3,
    CPU_ALL = (1 << 4) - 1
};

/* Those that are there and allowed. */
unsigned cpu_features(void);
/* From now on no others than these; at first all are allowed. */
void cpu_allow(unsigned features);

#endif
