/*
 * source.c: descriptors of any kind, made ready to be waited for.
 *
 * What a descriptor is decides how it is used:
 *   pipe, terminal  opened anew through /proc/self/fd, so that O_NONBLOCK is on a description of our
 *                   own; where that fails it is set on the shared one, and taken off at the end
 *   socket          left as it is: MSG_DONTWAIT with each call does the same
 *   the rest        files, /dev/null: cannot be waited for, so used directly, and always ready
 *   adopted         a pipe or socket of our own: gets O_NONBLOCK, and is closed with its source
 *
 * A closed reader (EPIPE) and a full disk (ENOSPC) come back as errno; SIGPIPE is ignored (loop.c).
 */
#include "io/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIPE_BULK = 512 * 1024 };

/* Shared descriptions on which we had to set O_NONBLOCK: 0 to 2 at most. */
static struct {
    int flags;
    bool changed;
} shared[3];

static void restore_flags(int fd)
{
    if (fd < 0 || fd > 2 || !shared[fd].changed)
        return;
    fcntl(fd, F_SETFL, shared[fd].flags);
    shared[fd].changed = false;
}

static void restore_all_flags(void)
{
    for (int fd = 0; fd <= 2; fd++)
        restore_flags(fd);
}

static void remember_flags(int fd, int flags)
{
    static bool registered;

    if (fd < 0 || fd > 2)
        return;
    shared[fd].flags = flags;
    shared[fd].changed = true;
    if (!registered)
        registered = atexit(restore_all_flags) == 0;
}

/* A description of our own of the same pipe or terminal, or -1. */
static int open_anew(int fd, int access)
{
    char path[32];

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static void choose_descriptor(struct source *source, int access)
{
    struct stat status;
    int flags = fcntl(source->original, F_GETFL);

    source->fd = source->original;
    if (fstat(source->original, &status) != 0 || flags < 0)
        return;
    source->socket = S_ISSOCK(status.st_mode);
    source->pollable = source->socket || S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode);
    if (!S_ISFIFO(status.st_mode) && !(S_ISCHR(status.st_mode) && isatty(source->original)))
        return;
    /* A descriptor opened for the other direction must fail, and not begin to work by this. */
    if ((flags & O_ACCMODE) != O_RDWR && (flags & O_ACCMODE) != access)
        return;
    int own = open_anew(source->original, access);
    if (own >= 0)
        source->fd = own;
}

void source_begin(struct source *source, struct io_loop *loop, int fd, int access)
{
    source->original = fd;
    choose_descriptor(source, access);
    int flags = fcntl(source->fd, F_GETFL);

    if (source->pollable && uv_poll_init(&loop->uv, &source->uv.poll, source->fd) == 0) {
        /* libuv has set O_NONBLOCK. */
        if (source->socket && flags >= 0)
            fcntl(source->fd, F_SETFL, flags);
        else if (source->fd == source->original && flags >= 0 && !(flags & O_NONBLOCK))
            remember_flags(source->fd, flags);
        return;
    }
    source->pollable = false;
    uv_idle_init(&loop->uv, &source->uv.idle);
}

enum helio_err source_adopt(struct source *source, struct io_loop *loop, int fd)
{
    struct stat status;

    source->fd = source->original = fd;
    source->adopted = true;
    source->pollable = true;
    source->socket = fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
    /* libuv sets O_NONBLOCK. */
    if (uv_poll_init(&loop->uv, &source->uv.poll, fd) == 0)
        return HELIO_OK;
    close(fd);
    return HELIO_E_SYSTEM;
}

void source_stop_waiting(struct source *source)
{
    source->waiting = false;
    if (source->closing)
        return;
    if (source->pollable)
        uv_poll_stop(&source->uv.poll);
    else
        uv_idle_stop(&source->uv.idle);
}

/* One that is not ours stays open, with the flags that it had. */
static void close_descriptor(struct source *source)
{
    if (source->adopted || source->fd != source->original)
        close(source->fd);
    else
        restore_flags(source->fd);
    source->fd = -1;
}

static void on_source_closed(uv_handle_t *handle)
{
    struct source *source = (struct source *)handle;

    source->closed = true;
    if (source->released)
        free(source);
}

void source_grow(struct source *source)
{
    if (source->grown || source->adopted)
        return;
    source->grown = true;
    /* What is no pipe has no size, and who made one that is larger knew why. */
    int size = fcntl(source->fd, F_GETPIPE_SZ);

    if (size >= 0 && size < PIPE_BULK)
        (void)fcntl(source->fd, F_SETPIPE_SZ, PIPE_BULK);
}

void source_close(struct source *source)
{
    if (source->closing)
        return;
    source_stop_waiting(source);
    source->closing = true;
    uv_close((uv_handle_t *)&source->uv, on_source_closed);
    close_descriptor(source);
}

void source_reset(const struct source *source)
{
    if (source->socket)
        io_reset_at_close(source->fd, true);
}

void source_release(struct source *source)
{
    source_close(source);
    source->released = true;
    if (source->closed)
        free(source);
}

bool source_not_now(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}
