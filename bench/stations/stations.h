/*
 * stations.h: many stations in one process, to load a server with and to see how it bears it.
 *
 * What it is.  A program beside helio that calls one server on this machine in one of three ways:
 * open (many lines, measured, held, and used), churn (stations that come, talk, go and come again,
 * every byte of the echo checked) and flood (connections that cost the server and never mean it).
 * Each way prints JSON, one object a line, on stdout.
 *
 * Never: calls anything but this machine's own addresses.
 */
#ifndef HELIO_BENCH_STATIONS_H
#define HELIO_BENCH_STATIONS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/io.h"

enum { UNTIL_SIGNAL = 1000001 };

struct settings {
    struct sockaddr_storage server;
    socklen_t server_size;
    helio_identity *identity;
    helio_fingerprint peer; /* of the server */
    bool peer_given;
    helio_config config;
    uint16_t suite;
    unsigned stations; /* open, churn: how many; flood: connections at a time */
    unsigned at_once;  /* open: handshakes at a time */
    unsigned sources;  /* addresses to call from, from 127.1.0.0 on; 0: the system chooses */
    unsigned seconds;  /* open: of pings; churn, flood: of everything */
    unsigned hold;     /* open: seconds that lines stay open after that, or UNTIL_SIGNAL */
    unsigned pingers;  /* open: how many lines send pings */
    unsigned every;    /* open: milliseconds between two pings of one line */
    unsigned size;     /* open: bytes of a ping */
    unsigned stay;     /* churn: seconds of a visit, on average */
    unsigned rest;     /* churn: seconds between two visits, on average */
    unsigned report;   /* churn: seconds between two lines of output, 0: only at the end */
    unsigned rate;     /* flood: connections a second */
    const char *kind;  /* flood: what they do */
    uint64_t seed;
};

/* The three ways.  0, or 1 when something went wrong that should not have (it was printed). */
int run_open(const struct settings *settings);
int run_churn(const struct settings *settings);
int run_flood(const struct settings *settings);

/* -- calling (call.c) -- */

/* A socket bound to the address of that number, not yet connected; -1: errno says why. */
int socket_from(const struct settings *settings, unsigned number, int flags);
/* Calls the server from there.  On failure *line is NULL and what went wrong is returned. */
const char *call_server(struct io_line **line, const struct settings *settings,
                        struct io_loop *loop, unsigned number,
                        const struct io_line_handlers *handlers, void *context);
/* The answer to HELIO_EVENT_PEER: the server must be the one that was named. */
void call_judge(const struct settings *settings, struct io_line *line);

/* -- figures (call.c) -- */

/* A clock that only goes forward. */
uint64_t microseconds(void);

/* Durations in microseconds, all of them kept. */
struct sample {
    uint32_t *values;
    size_t n, cap;
};
void sample_add(struct sample *sample, uint64_t value);
/* "NAME":{"n":…,"p50":…,"p90":…,"p99":…,"max":…}, in milliseconds; sorts the sample. */
void sample_print(struct sample *sample, const char *name);
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
