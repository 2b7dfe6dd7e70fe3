/*
 * pump.h: the ends of a line under measurement, the same for ours and for everybody's.
 *
 * What it is.  A program that is the source or the sink of a pipe, the two sides of a conversation in
 * small pieces, or the clients and the target of a forwarded port.  It does as little as it can: what
 * it takes of the processor is missing on the line.  Each mode that measures prints one JSON object.
 *
 * Never: calls anything but this machine's own addresses.
 */
#ifndef HELIO_BENCH_PUMP_H
#define HELIO_BENCH_PUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All return an exit status; what went wrong has been said. */

/* -- pipes.c -- */

/*
 * source SIZE [SEED]: writes so many bytes to stdout: zeros, or the stream of that seed.
 * sink [SEED]: reads stdin to its end and says how many bytes came, how long it took from the first
 * piece to the last and how many came after the first, what it used of the processor itself, and
 * with a seed whether they were that stream.
 */
int run_source(int argc, char **argv);
int run_sink(int argc, char **argv);
/*
 * ask ROUNDS SIZE REPORT: writes so many bytes to stdout and waits until as many have come from
 * stdin, again and again; durations go to the file REPORT.
 * answer: writes to stdout what comes from stdin.
 */
int run_ask(int argc, char **argv);
int run_answer(int argc, char **argv);

/* -- ports.c -- */

/*
 * knock PORT SECONDS AT-ONCE: connects, says 64 bytes, hears them again, closes, waits for the other
 * side's end; so many at a time, for so long.
 * target PORT: the other end of knock's connections: says again what it hears.
 */
int run_knock(int argc, char **argv);
int run_target(int argc, char **argv);

#endif
