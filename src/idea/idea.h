/*
 * idea.h: IDEA behind helio_idea_*: its arithmetic, its kernels, and how one of them is chosen
 * (Lai, Massey: "A Proposal for a New Block Encryption Standard", 1990, and "Markov Ciphers and
 * Differential Cryptanalysis", 1991).  docs/idea.md has the figures.
 *
 * A kernel does counter mode, in which nearly all of the work is; single blocks are done in plain C.
 * The best kernel that the processor can run is taken at first use, once it has been seen to agree
 * with the portable one.
 *
 * Invariants: no branch, no table, no index depends on key or data; a key schedule is read-only once
 * set, and the same for every kernel.
 */
#ifndef HELIO_IDEA_IDEA_H
#define HELIO_IDEA_IDEA_H

#include <stdbool.h>

#include "helio.h"

enum { IDEA_BLOCK_SIZE = 8, IDEA_KEY_SIZE = 16, IDEA_ROUNDS = 8, IDEA_SUBKEYS = 52 };

/*
 * a * b modulo 65537 with 0 standing for 65536 on either side and in the result, for a, b below
 * 65536: IDEA's multiplication.
 */
uint16_t idea_multiply(uint16_t a, uint16_t b);
/* The x with idea_multiply(a, x) == 1, by Fermat: a^65535. */
uint16_t idea_invert(uint16_t a);

/* One block under a schedule, from the encryption or the decryption half of helio_idea. */
void idea_block_portable(const uint16_t subkeys[IDEA_SUBKEYS], uint8_t out[IDEA_BLOCK_SIZE],
                         const uint8_t in[IDEA_BLOCK_SIZE]);

/* -------------------------------------------------------------------- schedules for vectors -- */

/*
 * helio_idea.wide holds the encryption half as the vector kernels want it.  A subkey that is added
 * is one number; one that multiplies is three (docs/idea.md, "The multiplication").  Every word
 * stands twice in its 32 bits: spreading 32 bits over a vector needs no shuffle, spreading 16 does.
 */
enum idea_factor {
    IDEA_FACTOR_LOW,  /* what the low half of the product is made with */
    IDEA_FACTOR_HIGH, /* and the high half */
    IDEA_FACTOR_ONE,  /* what a borrow counts for: 1, except where the subkey is 1 */
    IDEA_FACTOR_SIZE
};

/* Where a round's subkeys begin; the output transform has the first four alone. */
enum idea_wide {
    IDEA_WIDE_W = 0,
    IDEA_WIDE_X = IDEA_WIDE_W + IDEA_FACTOR_SIZE,
    IDEA_WIDE_Y = IDEA_WIDE_X + 1,
    IDEA_WIDE_Z = IDEA_WIDE_Y + 1,
    IDEA_WIDE_S = IDEA_WIDE_Z + IDEA_FACTOR_SIZE,
    IDEA_WIDE_T = IDEA_WIDE_S + IDEA_FACTOR_SIZE,
    IDEA_WIDE_ROUND = IDEA_WIDE_T + IDEA_FACTOR_SIZE
};

_Static_assert(sizeof((helio_idea *)0)->wide / sizeof(uint32_t) ==
                   IDEA_ROUNDS * IDEA_WIDE_ROUND + IDEA_WIDE_S,
               "helio_idea has room for exactly this");

void idea_factor_set(uint32_t factor[IDEA_FACTOR_SIZE], uint16_t k);

/* --------------------------------------------------------------------------------- kernels -- */

/* A kernel multiplies in up to three ways; a test must see each. */
enum idea_form { IDEA_FORM_PLAIN, IDEA_FORM_NEGATED, IDEA_FORM_OF_NEGATIVE, IDEA_FORM_COUNT };

enum { IDEA_PRODUCTS_STEP = 64 };

struct idea_kernel {
    const char *name;
    unsigned needs; /* bits of enum cpu_feature */
    size_t batch;   /* the bytes that it does at once, when there are as many */
    /* As helio_idea_ctr. */
    void (*ctr)(const helio_idea *idea, uint64_t counter, uint8_t *out, const uint8_t *in,
                size_t n);
    /*
     * x[i] = x[i] * k as idea_multiply, by way of the form given; n is a multiple of
     * IDEA_PRODUCTS_STEP.  For tests alone.
     */
    void (*products)(uint16_t *x, size_t n, uint16_t k, enum idea_form form);
};

extern const struct idea_kernel idea_kernel_portable;
#if defined(__x86_64__)
extern const struct idea_kernel idea_kernel_sse2;
extern const struct idea_kernel idea_kernel_avx2;
extern const struct idea_kernel idea_kernel_avx512bw;
#elif defined(__aarch64__)
extern const struct idea_kernel idea_kernel_neon;
#endif

/* All that were compiled in, the fastest first, the portable one last, then NULL. */
extern const struct idea_kernel *const idea_kernels[];

/*
 * Whether the kernel agrees with the portable one on a set of hard cases.  The processor must have
 * what it needs.
 */
bool idea_kernel_agrees(const struct idea_kernel *kernel);

/* The one in use: chosen at the first call, and anew when cpu_features have changed. */
const struct idea_kernel *idea_kernel(void);

#endif
