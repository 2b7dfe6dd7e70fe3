/*
 * figures.h: what the programs of this directory measure and count, and the randomness they use.
 *
 * Without memory for another figure the program ends: it would have nothing to tell.
 */
#ifndef HELIO_BENCH_FIGURES_H
#define HELIO_BENCH_FIGURES_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A clock that only goes forward. */
uint64_t nanoseconds(void);

/* Durations in nanoseconds, all of them kept. */
struct sample {
    uint64_t *values;
    size_t n, cap;
};
void sample_add(struct sample *sample, uint64_t value);
/* "NAME":{"n":…,"p50":…,"p90":…,"p99":…,"p999":…,"max":…}, in milliseconds; sorts the sample. */
void sample_print(struct sample *sample, const char *name, FILE *out);
void sample_clear(struct sample *sample);

/* What went wrong, by name, with how often. */
struct tally {
    struct {
        char what[64];
        uint64_t times;
    } rows[24];
    size_t n;
};
void tally_add(struct tally *tally, const char *what);
uint64_t tally_total(const struct tally *tally);
/* "NAME":{"what":times,…} */
void tally_print(const struct tally *tally, const char *name);

/* Random numbers that a seed repeats (SplitMix64: Steele, Lea, Flood 2014). */
uint64_t draw(uint64_t *state);
/* From 0 to below limit; the tiny bias of the remainder does not matter here. */
uint64_t draw_below(uint64_t *state, uint64_t limit);
/* The next n bytes of a stream. */
void draw_bytes(uint64_t *state, uint8_t *out, size_t n);

#endif
