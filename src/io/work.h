/*
 * work.h: a step of a handshake, done by one of libuv's threads.
 *
 * RSA takes milliseconds, and in a loop no other line would move meanwhile.  A work holds the bytes
 * that came for a session, hands them to it on another thread (or the user's yes), and comes back.
 * A few threads serve the whole process (the same that look names up), at a lower priority: however
 * many strangers call, open lines go first.
 *
 * Ownership: from work_start until done is called, session and work are the thread's.  Nobody else
 * touches them, but for work_cancel.  A session's random and trace are called on that thread.
 */
#ifndef HELIO_IO_WORK_H
#define HELIO_IO_WORK_H

#include "io/loop.h"

/* The longest frame of a handshake fits (protocol.md 2), and little more is held for a stranger. */
enum { WORK_BYTES_MAX = 4096 };

enum work_kind { WORK_FEED, WORK_TRUST };

/* On the loop's thread, never from inside work_start; the work is the caller's again. */
typedef void work_fn(void *context);

struct work {
    uv_work_t uv;
    struct io_loop *loop;
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
void work_start(struct work *work, enum work_kind kind, struct io_loop *loop,
                helio_session *session, work_fn *done, void *context);
/* If it has not begun it will not run; done is called all the same. */
void work_cancel(struct work *work);
void work_free(struct work *work);

/* Before a loop is used: as many threads as processors, unless the user's environment says. */
void work_prepare(void);

#endif
