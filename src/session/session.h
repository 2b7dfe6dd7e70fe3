/*
 * session.h: what both protocols share: the object behind helio_session, its latch, its one pending
 * event and its output queue.
 *
 * A protocol embeds struct helio_session as the first member of its own struct and hands in its
 * table of operations.  The public functions in session.c check the latch, call the operation, and
 * latch what it returns; an operation therefore just returns its error, and never cleans up after
 * itself: session_latch calls farewell (queue a last alert) and then wipe (all keys), once.
 *
 * Invariants:
 *  - error is set once and never changes; after that no operation but destroy is called again;
 *  - at most one event is pending, and feed takes nothing while one is;
 *  - out holds at most SESSION_OUT_MAX bytes.  What is queued there is sealed already.
 */
#ifndef HELIO_SESSION_SESSION_H
#define HELIO_SESSION_SESSION_H

#include <stdbool.h>

#include "base/buffer.h"
#include "helio.h"

/* Room for four full records and what the engine adds by itself. */
enum { SESSION_OUT_MAX = 4 * 67604 + 4096 };

struct session_ops {
    /* Takes bytes until all are used or an event is pending. */
    enum helio_err (*feed)(struct helio_session *, const uint8_t *in, size_t n, size_t *used);
    /* HELIO_OK when the transport was allowed to end here, else HELIO_E_CUT. */
    enum helio_err (*eof)(struct helio_session *);
    enum helio_err (*trust)(struct helio_session *);
    enum helio_err (*wait)(struct helio_session *);
    /* Queues the refusal; the caller latches HELIO_E_UNTRUSTED without a farewell. */
    void (*refuse)(struct helio_session *, helio_refusal why);
    enum helio_err (*send)(struct helio_session *, const uint8_t *data, size_t n, helio_content);
    enum helio_err (*close)(struct helio_session *);
    enum helio_err (*confirm)(struct helio_session *);
    /* Queues the last alert that err calls for, if any; may fail silently. */
    void (*farewell)(struct helio_session *, enum helio_err err);
    bool (*done)(const struct helio_session *);
    enum helio_err (*id)(const struct helio_session *, uint8_t out[32]);
    uint64_t (*epochs)(const struct helio_session *, bool sent);
    enum helio_err (*export_key)(const struct helio_session *, const char *label,
                                 const uint8_t *context, size_t context_n, uint8_t *out, size_t n);
    /* Frees buffers that are empty.  May be NULL; no event is pending. */
    void (*trim)(struct helio_session *);
    /* Wipes every secret; the struct stays. */
    void (*wipe)(struct helio_session *);
    /* wipe, and frees the whole struct. */
    void (*destroy)(struct helio_session *);
};

struct helio_session {
    const struct session_ops *ops;
    helio_role role;
    enum helio_err error;
    helio_refusal refusal; /* what the peer said when it refused us */
    helio_event event;     /* pending when kind is not HELIO_EVENT_NONE */
    struct buffer out;
    uint16_t suite;
    bool peer_known; /* peer is filled in */
    helio_peer peer;
    helio_random_fn *random;
    void *random_context;
    helio_trace_fn *trace;
    void *trace_context;
};

/* Fills in the common part from the config; s is zeroed. */
void session_init(struct helio_session *s, const struct session_ops *ops,
                  const helio_config *config, helio_role role);
/* Frees what session_init and the queue hold; a protocol's destroy calls it. */
void session_clear(struct helio_session *s);
/* The first error wins: farewell, wipe. */
void session_latch(struct helio_session *s, enum helio_err err);
/* Puts the one pending event; there must be none. */
void session_raise(struct helio_session *s, helio_event_kind kind, const uint8_t *data, size_t n);
HELIO_MUST_CHECK enum helio_err session_random(struct helio_session *s, uint8_t *out, size_t n);
void session_trace(struct helio_session *s, const char *what, const void *data, size_t n);

#endif
