/*
 * bench.h: what the measurements of `helio bench` share.
 *
 * What is compared takes turns, so that a machine that slows down slows all of them down; a figure is
 * the median of its turns.  Time is the thread's processor time.
 */
#ifndef HELIO_CLI_BENCH_H
#define HELIO_CLI_BENCH_H

#include "cli/cli.h"

enum { BENCH_TURNS = 5, BENCH_LENGTH_MAX = 65536 };

/* A turn lasts at least this long. */
#define BENCH_TURN_SECONDS 0.002

/* What this thread got of the processor: others that run on it are left out. */
double bench_now(void);
/* Sorts the rates. */
double bench_median(double rates[BENCH_TURNS]);

/* Bytes a second, by pieces of so many bytes; or, when bytes is 0, times a second with such keys. */
struct bench_figure {
    size_t bytes;
    unsigned bits;
    double rate;
};
/* As a line, or as an element of a JSON array that the verb closes. */
void bench_print(const struct options *options, const char *what, const char *name,
                 struct bench_figure figure);

/* bench_session.c; all return an exit status. */
int bench_seal(const struct options *options);
int bench_handshake(const struct options *options);
int bench_pipe(const struct options *options);

#endif
