/*
 * lines.h: two stations in one loop and the line between them, open, over TCP on this machine; for
 * tests of what stands on lines.
 */
#ifndef HELIO_TESTS_UNIT_LINES_H
#define HELIO_TESTS_UNIT_LINES_H

#include "io/loop.h"

struct lines_end {
    struct io_line *line;
    bool open;
    bool ended;
    enum helio_err result;
    /* The test's own, set after lines_open; any may be NULL. */
    void (*event)(void *context, const helio_event *event); /* DATA, MESSAGE, CLOSED */
    void (*writable)(void *context);
    void (*gone)(void *context); /* in the line's ended */
    void *context;
};

/* end[0] is the initiator. */
struct lines {
    struct io_loop *loop;
    struct lines_end end[2];
};

/* Both ends of a TCP connection; buffers: SO_SNDBUF and SO_RCVBUF of both, or 0. */
void tcp_pair(int fds[2], int buffers);

/* loop is the caller's.  Fails the test when the line does not open. */
void lines_open(struct lines *lines, struct io_loop *loop, int buffers);
/* One turn of the loop without waiting, and a moment for the others of this machine. */
void lines_turn(struct lines *lines);
/* Drops what has not ended, waits for it, and frees the lines. */
void lines_close(struct lines *lines);

#endif
