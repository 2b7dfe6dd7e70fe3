/*
 * standard.c: reading and writing descriptors of any kind without waiting in them.
 *
 * What a descriptor is decides how it is used:
 *   pipe, terminal  opened anew through /proc/self/fd, so that O_NONBLOCK is on a description of our
 *                   own; where that fails it is set on the shared one, and taken off at the end
 *   socket          left as it is: MSG_DONTWAIT with each call does the same
 *   the rest        files, /dev/null: cannot be waited for, so used directly, and always ready
 *
 * A closed reader (EPIPE) and a full disk (ENOSPC) come back as errno; SIGPIPE is ignored (loop.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/wipe.h"
#include "io/loop.h"

enum {
    BURST = 16,                     /* reads in one turn of the loop, so that others get theirs */
    OUTPUT_MAX = 4 * LOOP_READ_SIZE /* more than the line hands out after it was paused */
};

/* ------------------------------------------------------------------------------- descriptors -- */

/*
 * One handle for both kinds of readiness: uv_poll tells of descriptors that can be waited for,
 * uv_idle turns once per turn of the loop for those that are always ready.
 */
struct source {
    union {
        uv_poll_t poll;
        uv_idle_t idle;
    } uv;         /* first: it is freed with its struct when closed */
    int fd;       /* what is read or written */
    int original; /* what we were given */
    bool socket;
    bool pollable;
    bool waiting;
};

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

static void begin_source(struct source *source, struct io_loop *loop)
{
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

static void stop_waiting(struct source *source)
{
    source->waiting = false;
    if (source->pollable)
        uv_poll_stop(&source->uv.poll);
    else
        uv_idle_stop(&source->uv.idle);
}

/* Leaves the original open, with the flags that it had. */
static void close_own(struct source *source)
{
    if (source->fd != source->original)
        close(source->fd);
    else
        restore_flags(source->fd);
    source->fd = source->original;
}

static void end_source(struct source *source)
{
    stop_waiting(source);
    uv_close((uv_handle_t *)&source->uv, free_handle);
    close_own(source);
}

static bool not_now(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

/* ------------------------------------------------------------------------------------- input -- */

struct io_input {
    struct source source; /* first */
    const struct io_input_handlers *handlers;
    void *context;
    size_t held; /* bytes that the consumer has not taken */
    bool wanted;
    bool turning; /* in read_some: a resume from inside is seen by its loop */
    bool ended;
    bool freed;
    uint8_t bytes[HELIO_SEND_MAX];
};

static void read_some(struct io_input *input);

static void on_input_poll(uv_poll_t *poll, int status, int events)
{
    struct io_input *input = (struct io_input *)poll;

    (void)events;
    /* After an error libuv has stopped; the read below says what it was. */
    if (status)
        input->source.waiting = false;
    read_some(input);
}

static void on_input_idle(uv_idle_t *idle)
{
    read_some((struct io_input *)idle);
}

static void wait_for_input(struct io_input *input, bool wait)
{
    struct source *source = &input->source;

    if (wait == source->waiting)
        return;
    if (!wait) {
        stop_waiting(source);
        return;
    }
    source->waiting = true;
    if (source->pollable)
        uv_poll_start(&source->uv.poll, UV_READABLE, on_input_poll);
    else
        uv_idle_start(&source->uv.idle, on_input_idle);
}

static ssize_t read_once(struct io_input *input)
{
    if (input->source.socket)
        return recv(input->source.fd, input->bytes, sizeof input->bytes, MSG_DONTWAIT);
    return read(input->source.fd, input->bytes, sizeof input->bytes);
}

static void end_input(struct io_input *input, int error)
{
    input->ended = true;
    wait_for_input(input, false);
    input->handlers->ended(input->context, error);
}

/* False when it is over for this turn. */
static bool read_and_hand_on(struct io_input *input)
{
    if (input->held == 0) {
        ssize_t n = read_once(input);

        if (n < 0 && not_now(errno))
            return false;
        if (n <= 0) {
            end_input(input, n < 0 ? errno : 0);
            return false;
        }
        input->held = (size_t)n;
    }
    if (!input->handlers->data(input->context, input->bytes, input->held)) {
        input->wanted = false;
        return false;
    }
    input->held = 0;
    return true;
}

static void release_input(struct io_input *input)
{
    wipe(input->bytes, sizeof input->bytes);
    end_source(&input->source);
}

static void read_some(struct io_input *input)
{
    input->turning = true;
    for (int i = 0; i < BURST && input->wanted && !input->ended && !input->freed; i++)
        if (!read_and_hand_on(input))
            break;
    input->turning = false;
    if (input->freed)
        release_input(input);
    else
        wait_for_input(input, input->wanted && !input->ended);
}

enum helio_err io_input_new(struct io_input **out, struct io_loop *loop, int fd,
                            const struct io_input_handlers *handlers, void *context)
{
    struct io_input *input = calloc(1, sizeof *input);

    if (!input)
        return HELIO_E_MEMORY;
    input->handlers = handlers;
    input->context = context;
    input->source.original = fd;
    choose_descriptor(&input->source, O_RDONLY);
    begin_source(&input->source, loop);
    *out = input;
    return HELIO_OK;
}

void io_input_resume(struct io_input *input)
{
    if (input->wanted || input->ended)
        return;
    input->wanted = true;
    /*
     * Reads at once where that cannot block: while a line is busy this saves a turn through the
     * kernel's poll for every piece.  It also sees the end of a FIFO whose writers left before it
     * was opened anew, of which poll would never tell.
     */
    if (!input->turning)
        read_some(input);
}

void io_input_pause(struct io_input *input)
{
    input->wanted = false;
    if (!input->turning)
        wait_for_input(input, false);
}

bool io_input_waiting(struct io_input *input)
{
    if (!input->ended && input->held == 0) {
        ssize_t n = read_once(input);

        input->held = n > 0 ? (size_t)n : 0;
    }
    return input->held > 0;
}

void io_input_free(struct io_input *input)
{
    if (!input || input->freed)
        return;
    input->freed = true;
    if (!input->turning)
        release_input(input);
}

/* ------------------------------------------------------------------------------------ output -- */

struct io_output {
    struct source source; /* first */
    const struct io_output_handlers *handlers;
    void *context;
    struct buffer rest;
    int error; /* the first; nothing is written after it */
    bool ending;
    bool closed;
};

static ssize_t write_once(const struct io_output *output, const uint8_t *data, size_t n)
{
    if (output->source.socket)
        return send(output->source.fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    return write(output->source.fd, data, n);
}

/* Writes what goes now; returns how much, and latches an error that is one. */
static size_t write_now(struct io_output *output, const uint8_t *data, size_t n)
{
    size_t done = 0;

    while (done < n) {
        ssize_t k = write_once(output, data + done, n - done);

        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0 && !not_now(errno))
            output->error = errno;
        if (k <= 0)
            break;
        done += (size_t)k;
    }
    return done;
}

/* The errors of a close count: some file systems tell only then that the disk was full. */
static int close_original(struct io_output *output)
{
    int fd = output->source.original;
    int last, null;

    last = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (last >= 0 && null >= 0 && dup2(null, fd) < 0)
        output->error = output->error ? output->error : errno;
    if (null >= 0)
        close(null);
    if (last >= 0 && close(last) != 0 && errno != EINTR && !output->error)
        output->error = errno;
    return output->error;
}

static void finish_output(struct io_output *output)
{
    if (output->closed)
        return;
    output->closed = true;
    stop_waiting(&output->source);
    close_own(&output->source);
    close_original(output);
    output->handlers->ended(output->context, output->error);
}

static void on_output_ready(uv_poll_t *poll, int status, int events);

static void wait_for_output(struct io_output *output)
{
    if (output->source.waiting)
        return;
    output->source.waiting = true;
    uv_poll_start(&output->source.uv.poll, UV_WRITABLE, on_output_ready);
}

static void on_output_ready(uv_poll_t *poll, int status, int events)
{
    struct io_output *output = (struct io_output *)poll;

    (void)events;
    if (status)
        output->source.waiting = false;
    buffer_consume(&output->rest,
                   write_now(output, buffer_front(&output->rest), buffer_size(&output->rest)));
    if (buffer_size(&output->rest) > 0 && !output->error) {
        wait_for_output(output);
        return;
    }
    stop_waiting(&output->source);
    buffer_clear(&output->rest);
    if (output->ending)
        finish_output(output);
    else if (output->error)
        output->handlers->failed(output->context, output->error);
    else
        output->handlers->drained(output->context);
}

enum helio_err io_output_new(struct io_output **out, struct io_loop *loop, int fd,
                             const struct io_output_handlers *handlers, void *context)
{
    struct io_output *output = calloc(1, sizeof *output);

    if (!output)
        return HELIO_E_MEMORY;
    output->handlers = handlers;
    output->context = context;
    buffer_init(&output->rest, OUTPUT_MAX);
    output->source.original = fd;
    choose_descriptor(&output->source, O_WRONLY);
    begin_source(&output->source, loop);
    *out = output;
    return HELIO_OK;
}

int io_output_write(struct io_output *output, const uint8_t *data, size_t n)
{
    size_t done = 0;

    if (output->error || n == 0)
        return output->error;
    if (buffer_size(&output->rest) == 0)
        done = write_now(output, data, n);
    if (!output->error && done < n) {
        /* Only what can be waited for takes less than all without an error. */
        if (!output->source.pollable || buffer_append(&output->rest, data + done, n - done))
            output->error = ENOMEM;
        else
            wait_for_output(output);
    }
    return output->error;
}

bool io_output_blocked(const struct io_output *output)
{
    return !output->error && buffer_size(&output->rest) > 0;
}

void io_output_end(struct io_output *output)
{
    output->ending = true;
    if (!io_output_blocked(output))
        finish_output(output);
}

void io_output_free(struct io_output *output)
{
    if (!output)
        return;
    buffer_clear(&output->rest);
    if (output->closed)
        uv_close((uv_handle_t *)&output->source.uv, free_handle);
    else
        end_source(&output->source);
}
