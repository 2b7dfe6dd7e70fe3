/*
 * output.c: writing to descriptors of any kind without waiting in them; which kind decides source.c.
 *
 * What the descriptor does not take at once is copied and follows when it can.  The first error is
 * the last: nothing is written after it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buffer.h"
#include "io/source.h"

enum { OUTPUT_MAX = 4 * LOOP_READ_SIZE }; /* more than the line hands out after it was paused */

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
        if (k < 0 && !source_not_now(errno))
            output->error = errno;
        if (k <= 0)
            break;
        done += (size_t)k;
    }
    return done;
}

/* A pipe that is full for the first time may become larger, and then takes more. */
static size_t write_or_grow(struct io_output *output, const uint8_t *data, size_t n)
{
    size_t done = write_now(output, data, n);

    if (done < n && !output->error && !output->source.grown) {
        source_grow(&output->source);
        done += write_now(output, data + done, n - done);
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

/*
 * The reader of a pipe sees its end when we close it.  The other side of a socket may have more to
 * say and is told that we have not; this fails when it has gone in a huff.
 */
static void end_adopted(struct io_output *output)
{
    if (output->source.socket && shutdown(output->source.fd, SHUT_WR) != 0 && !output->error)
        output->error = errno;
    source_close(&output->source);
}

static void finish_output(struct io_output *output)
{
    if (output->closed)
        return;
    output->closed = true;
    if (output->source.adopted) {
        end_adopted(output);
    } else {
        source_close(&output->source);
        close_original(output);
    }
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
    source_stop_waiting(&output->source);
    buffer_clear(&output->rest);
    if (output->ending)
        finish_output(output);
    else if (output->error)
        output->handlers->failed(output->context, output->error);
    else
        output->handlers->drained(output->context);
}

static struct io_output *output_new(const struct io_output_handlers *handlers, void *context)
{
    struct io_output *output = calloc(1, sizeof *output);

    if (output) {
        output->handlers = handlers;
        output->context = context;
        buffer_init(&output->rest, OUTPUT_MAX);
    }
    return output;
}

enum helio_err io_output_new(struct io_output **out, struct io_loop *loop, int fd,
                             const struct io_output_handlers *handlers, void *context)
{
    struct io_output *output = output_new(handlers, context);

    if (!output)
        return HELIO_E_MEMORY;
    source_begin(&output->source, loop, fd, O_WRONLY);
    *out = output;
    return HELIO_OK;
}

enum helio_err io_output_adopt(struct io_output **out, struct io_loop *loop, int fd,
                               const struct io_output_handlers *handlers, void *context)
{
    struct io_output *output = output_new(handlers, context);
    enum helio_err err = HELIO_E_MEMORY;

    if (output)
        err = source_adopt(&output->source, loop, fd);
    else
        close(fd);
    if (err)
        free(output);
    else
        *out = output;
    return err;
}

int io_output_write(struct io_output *output, const uint8_t *data, size_t n)
{
    size_t done = 0;

    if (output->error || n == 0)
        return output->error;
    if (buffer_size(&output->rest) == 0)
        done = write_or_grow(output, data, n);
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

/* What is left behind gets a last chance. */
static void abandon_adopted(struct io_output *output)
{
    if (io_output_blocked(output))
        write_now(output, buffer_front(&output->rest), buffer_size(&output->rest));
    source_reset(&output->source);
}

void io_output_free(struct io_output *output)
{
    if (!output)
        return;
    if (output->source.adopted && !output->closed)
        abandon_adopted(output);
    buffer_clear(&output->rest);
    source_release(&output->source);
}
