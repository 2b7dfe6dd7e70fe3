/*
 * loop.h: what the files of this room share; the only header that shows libuv.
 *
 * The loop owns one buffer for reading from sockets, and one for all other descriptors.  Who has read
 * into one has used it up before it returns, or keeps what is left elsewhere; so all lines and all
 * inputs share them, and one that is idle costs no memory for reading.  There are two, because an
 * input may be resumed by what came from a socket.
 */
#ifndef HELIO_IO_LOOP_H
#define HELIO_IO_LOOP_H

#include <sys/resource.h>
#include <uv.h>

#include "io/io.h"

enum { LOOP_READ_SIZE = 256 * 1024 };
enum { KEEPALIVE_SECONDS = 60 }; /* of silence, before a peer is asked whether it lives */

struct io_loop {
    uv_loop_t uv;
    uv_async_t posted;
    uv_mutex_t lock; /* for the posts, which come from any thread */
    struct post *posts, **last_post;
    unsigned resolving;  /* name look-ups that still run in a thread and cannot be called off */
    struct works *works; /* work.h */
    uint8_t read_buffer[LOOP_READ_SIZE];
    uint8_t input_buffer[IO_PIECE];
    bool
        input_lent; /* one input's consumer has resumed another: that one needs memory of its own */
};

struct io_stream {
    uv_tcp_t tcp;
    uv_connect_t connect; /* here, because libuv looks at it until the stream is closed */
    struct io_loop *loop;
    void *owner; /* whose the callbacks on tcp are, while it is not a plain stream */
    char name[IO_NAME_SIZE];
};

/* A new unconnected stream. */
HELIO_MUST_CHECK enum helio_err stream_new(struct io_stream **out, struct io_loop *loop);
/* What to ask getaddrinfo for. */
struct addrinfo lookup_hints(enum io_family family, int flags);
/* ADDRESS:PORT or [ADDRESS]:PORT. */
void address_format(const struct sockaddr *address, char *out, size_t cap);
/* What to call an error of libuv's. */
enum io_fault fault_of(int uv_error);
/* Adds "WHERE what" to the report's detail and keeps the most telling fault. */
void report_add(struct io_report *report, const char *where, enum io_fault fault);

/* What io_raise_file_limit found, for children; NULL when it did not change anything. */
const struct rlimit *original_file_limit(void);
/* When the loop ends: children that were freed and still run are not waited for any more. */
void children_forget(struct io_loop *loop);

/* Frees data after uv_close; for handles that stand first in their struct. */
void free_handle(uv_handle_t *handle);

#endif
