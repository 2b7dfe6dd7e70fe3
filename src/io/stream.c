/*
 * stream.c: a connection, before a line or somebody else takes it over.
 *
 * A stream is a handle of libuv's and so its loop's for good; what has to change loops does so as
 * a bare descriptor, in an io_caller or out of io_stream_release.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/loop.h"

enum helio_err stream_new(struct io_stream **out, struct io_loop *loop)
{
    struct io_stream *stream = calloc(1, sizeof *stream);

    if (!stream)
        return HELIO_E_MEMORY;
    if (uv_tcp_init(&loop->uv, &stream->tcp)) {
        free(stream);
        return HELIO_E_SYSTEM;
    }
    stream->loop = loop;
    *out = stream;
    return HELIO_OK;
}

enum helio_err io_stream_adopt(struct io_stream **out, struct io_loop *loop,
                               const struct io_caller *caller)
{
    struct io_stream *stream = NULL;
    enum helio_err err = stream_new(&stream, loop);

    if (!err && uv_tcp_open(&stream->tcp, caller->fd)) {
        io_stream_free(stream);
        err = HELIO_E_SYSTEM;
    }
    if (err) {
        close(caller->fd);
        return err;
    }
    memcpy(stream->name, caller->name, sizeof stream->name);
    *out = stream;
    return HELIO_OK;
}

const char *io_stream_name(const struct io_stream *stream)
{
    return stream->name;
}

void io_stream_free(struct io_stream *stream)
{
    if (stream)
        uv_close((uv_handle_t *)&stream->tcp, free_handle);
}

int io_stream_release(struct io_stream *stream)
{
    uv_os_fd_t fd;
    int own = -1;

    /* libuv gives no descriptor back, but closes its own only. */
    if (uv_fileno((const uv_handle_t *)&stream->tcp, &fd) == 0)
        own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    io_stream_free(stream);
    return own;
}

void io_tune(int fd)
{
    /* As libuv asks on a line's connection: every second, ten times. */
    static const int on = 1, seconds = KEEPALIVE_SECONDS, interval = 1, probes = 10;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

void io_reset_at_close(int fd, bool reset)
{
    const struct linger linger = {.l_onoff = reset, .l_linger = 0};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}
