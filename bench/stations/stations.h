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

#include "../figures.h"
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

#endif
