/*
 * work.h: a step of a handshake, done by another thread.
 *
 * RSA takes milliseconds, and in a loop no other line would move meanwhile.  A work holds the bytes
 * that came for a session, hands them to it on another thread (or the user's yes), and comes back.
 * As many threads as there are processors serve all loops of the process, in the order of asking
 * and at a lower priority: however many strangers call, open lines go first.
 *
 * libuv's own pool will not do.  There a thread tells the loop in two steps, and the loop, awake
 * after the first, spins until the second: for long, when the thread has the lower priority and the
 * loop has just taken its processor.  Here nothing that a loop does waits for a thread: both ways
 * works go over lists without a lock.
 *
 * Ownership: from work_start until done is called, session and work are the thread's.  Nobody else
 * touches them, but for work_cancel.  A session's random and trace are called on that thread.
 */
#ifndef HELIO_IO_WORK_H
#define HELIO_IO_WORK_H

#include <stdatomic.h>

#include "io/loop.h"

/* The longest frame of a handshake fits (protocol.md 2), and little more is held for a stranger. */
enum { WORK_BYTES_MAX = 4096 };

enum work_kind { WORK_FEED, WORK_TRUST };

/* On the loop's thread, never from inside work_start; the work is the caller's again. */
typedef void work_fn(void *context);

struct work {
    struct work *next;
    atomic_int state;
    struct works *works;
    helio_session *session;
    enum work_kind kind;
    work_fn *done;
    void *context;
    size_t n;
    size_t used; /* of bytes[0..n), what the session has taken */
    uint8_t bytes[];
};

/* Copies bytes[0..n); NULL when there is no memory. */
struct work *work_new(const uint8_t *bytes, size_t n);
/* WORK_FEED: until all bytes are used, an event is ready, or the session has failed. */
void work_start(struct work *work, enum work_kind kind, struct works *works, helio_session *session,
                work_fn *done, void *context);
/* If it has not begun it will not run; done is called all the same. */
void work_cancel(struct work *work);
void work_free(struct work *work);

/* What a loop needs for its works; the threads are there as long as there is such a loop. */
HELIO_MUST_CHECK enum helio_err works_new(struct works **out, uv_loop_t *loop);
/* Works that are not done. */
unsigned works_count(const struct works *works);
/* When there are none any more; the loop must run once more. */
void works_free(struct works *works);

#endif
