/*
 * server.h: the main thread's side of a server: what verb_serve.c prepares and clears, and server.c
 * does while it runs.  Only these two see it; what the posts share is struct serve.
 */
#ifndef HELIO_SERVE_SERVER_H
#define HELIO_SERVE_SERVER_H

#include "serve/serve.h"

enum { SERVER_SOCKETS_MAX = 16 };

struct server {
    struct serve serve;
    struct io_place place; /* host "" and port 0 when systemd has opened the sockets */
    bool place_given;
    int sockets[SERVER_SOCKETS_MAX];
    int socket_count;
    struct io_place metrics_place;
    struct metrics_http *metrics_http;
    struct io_listener *listener;
    struct io_signals *signals;
    struct io_timer *tick;
    struct io_timer *patience; /* while stopping: until the next step */
    enum post_order step;      /* which one that is */
    uint64_t tick_ms;
    char status[80]; /* what systemd was told last */
    int first_signal;
    int second_signal;
};

/* -- server.c -- */

/* An io_accept_fn; context is the server. */
void server_accept(void *context, const struct io_caller *caller);
/* Signals, the tick, and what stopping waits for; verb_serve.c frees them, also on failure. */
HELIO_MUST_CHECK enum helio_err server_watch(struct server *server);
/* Everything stands: tells systemd, and people when nobody could be served. */
void server_ready(struct server *server);

#endif
