/*
 * metrics.h: what is counted, and how it is told in Prometheus' text format (version 0.0.4).
 *
 * Counting is for any thread and never waits.  Names stand in one table in metrics.c; each begins
 * with "helio_".
 */
#ifndef HELIO_SERVE_METRICS_H
#define HELIO_SERVE_METRICS_H

#include <stdio.h>

#include "helio.h"
#include "serve/gate.h"

struct metrics;

enum metric {
    METRIC_HANDSHAKING, /* gauge: sessions by state … */
    METRIC_OPEN,        /* gauge */
    METRIC_ACCEPTED,    /* counter: connections that the gate let in */
    METRIC_BYTES_RECEIVED, /* counters: content of all lines, those that have ended and the open ones */
    METRIC_BYTES_SENT,
    METRIC_EPOCHS_RECEIVED, /* counters: keys that were replaced */
    METRIC_EPOCHS_SENT,
    METRIC_RELOADS, /* of the roll */
    METRIC_COUNT
};

HELIO_MUST_CHECK enum helio_err metrics_new(struct metrics **out);
void metrics_free(struct metrics *metrics);

void metrics_add(struct metrics *metrics, enum metric metric, int64_t n);
void metrics_dropped(struct metrics *metrics, enum gate_verdict why);
/* A handshake has ended; milliseconds go into the histogram when it opened a line. */
void metrics_handshake(struct metrics *metrics, enum gate_outcome outcome, uint64_t milliseconds);
/* A line that was open has ended.  cause: a fixed text, kept as a pointer. */
void metrics_closed(struct metrics *metrics, const char *cause, uint64_t milliseconds);
/* Sources under a penalty now; set by the main thread. */
void metrics_penalized(struct metrics *metrics, size_t sources);
/* All of it. */
void metrics_write(struct metrics *metrics, FILE *out);

/*
 * The page http://HOST:PORT/metrics (metrics_http.c, libmicrohttpd): loop accepts its connections, a
 * thread of its own answers them.
 */
struct metrics_http;
/* STATUS_DONE, or another exit status, said already; where the page is gets said, too. */
HELIO_MUST_CHECK int metrics_http_new(struct metrics_http **out, struct metrics *metrics,
                                      struct io_loop *loop, const struct io_place *place,
                                      enum io_family family);
void metrics_http_free(struct metrics_http *http);

#endif
