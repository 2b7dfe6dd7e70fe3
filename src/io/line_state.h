/*
 * line_state.h: what one line holds, shared by its three files only.
 *
 *   line.c            receiving, ending, and the rest of the interface
 *   line_send.c       from the session's queue to the socket
 *   line_handshake.c  until the line is open: works and wishes, the answers to HELIO_EVENT_PEER
 */
#ifndef HELIO_IO_LINE_STATE_H
#define HELIO_IO_LINE_STATE_H

#include "io/work.h"

enum phase { HANDSHAKE, OPEN, LINGER, GONE };

/* What was asked for while the line was busy; zero: nothing. */
struct wishes {
    enum helio_err failure; /* the first */
    helio_refusal refusal;
    bool trust;
    bool wait;
    bool hang_up;
};

struct io_line {
    struct io_loop *loop;
    struct io_stream *stream;
    uv_timer_t timer; /* the handshake's deadline, then QUIET_MS of an open line, then LINGER's */
    bool moved;       /* since timer was set for QUIET_MS */
    unsigned handles; /* stream and timer, as far as they are not closed; and a work */
    helio_session *session;
    helio_role role;
    bool classic;
    const struct io_line_handlers *handlers;
    void *context;
    enum phase phase;
    enum helio_err result;
    uint8_t *out;
    uv_write_t write;
    bool writing;
    uv_shutdown_t shutdown;
    bool shut;
    bool cannot_send;
    bool lost;          /* a write failed: the peer lacks something */
    bool heard_end;     /* the peer's half of the TCP connection has ended */
    bool wants_close;   /* io_line_close found the queue full */
    bool wants_confirm; /* io_line_confirm did */
    bool starved;       /* io_line_send found the queue full */
    bool paused;
    unsigned stuck;    /* times in a row that QUIET_MS found it paused */
    bool delivering;   /* deliver is running: events are handed out in order, not nested */
    struct work *work; /* bytes of the handshake that the session has not taken; or NULL */
    bool busy;         /* work is under way and has the session */
    bool wants_trust;  /* the user's yes costs RSA, too: for the next work */
    struct wishes wishes;
    uint64_t sent;
    uint64_t received;
    uint64_t ignored; /* bytes read in LINGER */
    uint64_t began_at;
    uint64_t opened_at;
    uint64_t ended_at;
    char name[IO_NAME_SIZE];
};

/* -- line.c -- */

/* After anything that may have changed the session: moves bytes out, and the phase on. */
void line_advance(struct io_line *line);
/* Hands events out.  From inside a handler it does nothing: the loop that called the handler goes on. */
void line_deliver(struct io_line *line);
/* One of what the handles count has let go; after the last the line has ended. */
void line_release(struct io_line *line);
/* Feeds all of p[0..n), and hands out what comes of it. */
void line_take(struct io_line *line, const uint8_t *p, size_t n);
/* Unless there is a reason not to; in LINGER all is read. */
void line_start_reading(struct io_line *line);

/* -- line_send.c -- */

/* As much of the queue as the socket takes now. */
void line_flush(struct io_line *line);

/* -- line_handshake.c -- */

/* In HANDSHAKE, in place of line_take; n is at most WORK_BYTES_MAX. */
void line_take_early(struct io_line *line, const uint8_t *p, size_t n);
/* Fails the session, at the latest when it is back. */
void line_fail_session(struct io_line *line, enum helio_err why);

#endif
