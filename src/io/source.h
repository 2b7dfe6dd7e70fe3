/*
 * source.h: a descriptor that can be waited for, or is always ready; what io_input and io_output
 * share.
 *
 * A source stands first in its struct and ends with it: source_release closes the descriptor and
 * the handle, and frees the struct when libuv has let go of it.
 */
#ifndef HELIO_IO_SOURCE_H
#define HELIO_IO_SOURCE_H

#include "io/loop.h"

/*
 * One handle for both kinds of readiness: uv_poll tells of descriptors that can be waited for,
 * uv_idle turns once per turn of the loop for those that are always ready.
 */
struct source {
    union {
        uv_poll_t poll;
        uv_idle_t idle;
    } uv;         /* first */
    int fd;       /* what is read or written; -1 when it is closed */
    int original; /* what we were given */
    bool adopted; /* fd is original, and ours to close */
    bool socket;
    bool pollable;
    bool waiting;
    bool grown;    /* a pipe has got its size for bulk, or has been refused it */
    bool closing;  /* the handle is, or was, being closed */
    bool closed;   /* libuv is done with it */
    bool released; /* by its owner */
};

/* Begins with a descriptor that stays its owner's; access is O_RDONLY or O_WRONLY. */
void source_begin(struct source *source, struct io_loop *loop, int fd, int access);
/* With one that is ours from here on, also on failure.  HELIO_E_SYSTEM when none can wait for it. */
HELIO_MUST_CHECK enum helio_err source_adopt(struct source *source, struct io_loop *loop, int fd);
void source_stop_waiting(struct source *source);
/*
 * Two processes with a small pipe between them wake each other at every turn.  A pipe that bulk goes
 * through is made larger by this, once; where that is refused, the pipe is larger already, or it is
 * no pipe, nothing changes.  Nor with an adopted one: of those a process may have thousands, and the
 * kernel counts their memory for each user.
 */
void source_grow(struct source *source);
/*
 * A TCP connection is reset when it is closed, whoever else holds it: closed in order it would tell
 * the other side that this was all, or that all of its own had arrived.
 */
void source_reset(const struct source *source);
/*
 * Closes the handle, and the descriptor unless it is the owner's.  In this order, for libuv takes a
 * handle's descriptor out of its books by number, whoever has that number then.
 */
void source_close(struct source *source);
/* source_close if that was not called, and frees what the source stands first in. */
void source_release(struct source *source);
/* Whether this errno of a read or write says: later. */
bool source_not_now(int error);

#endif
