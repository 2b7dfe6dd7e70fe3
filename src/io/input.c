/*
 * input.c: reading from descriptors of any kind without waiting in them; which kind decides source.c.
 *
 * An input reads into the loop's memory and hands on from there.  What the consumer does not take is
 * kept, and comes again before anything else is read.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/wipe.h"
#include "io/source.h"

enum {
    BURST = 8,             /* reads in one turn of the loop, so that others get theirs */
    PIPE_SMALL = 64 * 1024 /* what the kernel gives a pipe by itself */
};

struct io_input {
    struct source source; /* first */
    const struct io_input_handlers *handlers;
    void *context;
    struct io_loop *loop;
    struct buffer rest; /* what the consumer has not taken */
    bool wanted;
    bool turning; /* in read_some: a resume from inside is seen by its loop */
    bool ended;
    bool freed;
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
        source_stop_waiting(source);
        return;
    }
    source->waiting = true;
    if (source->pollable)
        uv_poll_start(&source->uv.poll, UV_READABLE, on_input_poll);
    else
        uv_idle_start(&source->uv.idle, on_input_idle);
}

/* Memory for one read: the loop's, or when another input has that, some of its own. */
static uint8_t *borrow(struct io_loop *loop)
{
    if (loop->input_lent)
        return malloc(IO_PIECE);
    loop->input_lent = true;
    return loop->input_buffer;
}

static void give_back(struct io_loop *loop, uint8_t *bytes)
{
    if (bytes == loop->input_buffer) {
        loop->input_lent = false;
    } else if (bytes) {
        wipe(bytes, IO_PIECE);
        free(bytes);
    }
}

static ssize_t read_once(struct io_input *input, uint8_t *bytes)
{
    ssize_t n;

    if (!bytes) {
        errno = ENOMEM;
        return -1;
    }
    if (input->source.socket)
        n = recv(input->source.fd, bytes, IO_PIECE, MSG_DONTWAIT);
    else
        n = read(input->source.fd, bytes, IO_PIECE);
    if (n >= PIPE_SMALL)
        source_grow(&input->source);
    return n;
}

static void end_input(struct io_input *input, int error)
{
    input->ended = true;
    wait_for_input(input, false);
    input->handlers->ended(input->context, error);
}

/* What the consumer left the last time; false when it does so again. */
static bool hand_on_rest(struct io_input *input)
{
    bool taken = input->handlers->data(input->context, buffer_front(&input->rest),
                                       buffer_size(&input->rest));

    if (taken)
        buffer_clear(&input->rest);
    else
        input->wanted = false;
    return taken;
}

/* Returns what read does; error is its errno, or that of keeping what the consumer did not take. */
static ssize_t read_into(struct io_input *input, uint8_t *bytes, int *error)
{
    ssize_t n = read_once(input, bytes);

    *error = n < 0 ? errno : 0;
    if (n > 0 && !input->handlers->data(input->context, bytes, (size_t)n)) {
        input->wanted = false;
        if (buffer_append(&input->rest, bytes, (size_t)n))
            *error = ENOMEM;
    }
    return n;
}

/* False when it is over for this turn. */
static bool read_and_hand_on(struct io_input *input)
{
    uint8_t *bytes;
    ssize_t n;
    int error;

    if (buffer_size(&input->rest) > 0)
        return hand_on_rest(input);
    bytes = borrow(input->loop);
    n = read_into(input, bytes, &error);
    give_back(input->loop, bytes);
    if (n > 0 && !error)
        return true;
    if (!input->freed && !source_not_now(error))
        end_input(input, error);
    return false;
}

static void release_input(struct io_input *input)
{
    buffer_clear(&input->rest);
    source_release(&input->source);
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

static struct io_input *input_new(struct io_loop *loop, const struct io_input_handlers *handlers,
                                  void *context)
{
    struct io_input *input = calloc(1, sizeof *input);

    if (input) {
        input->loop = loop;
        buffer_init(&input->rest, IO_PIECE);
        input->handlers = handlers;
        input->context = context;
    }
    return input;
}

enum helio_err io_input_new(struct io_input **out, struct io_loop *loop, int fd,
                            const struct io_input_handlers *handlers, void *context)
{
    struct io_input *input = input_new(loop, handlers, context);

    if (!input)
        return HELIO_E_MEMORY;
    source_begin(&input->source, loop, fd, O_RDONLY);
    *out = input;
    return HELIO_OK;
}

enum helio_err io_input_adopt(struct io_input **out, struct io_loop *loop, int fd,
                              const struct io_input_handlers *handlers, void *context)
{
    struct io_input *input = input_new(loop, handlers, context);
    enum helio_err err = HELIO_E_MEMORY;

    if (input)
        err = source_adopt(&input->source, loop, fd);
    else
        close(fd);
    if (err)
        free(input);
    else
        *out = input;
    return err;
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
    if (!input->ended && buffer_size(&input->rest) == 0) {
        uint8_t *bytes = borrow(input->loop);
        ssize_t n = read_once(input, bytes);
        /* Bytes that cannot be kept have come all the same. */
        bool lost = n > 0 && buffer_append(&input->rest, bytes, (size_t)n) != HELIO_OK;

        give_back(input->loop, bytes);
        if (lost)
            return true;
    }
    return buffer_size(&input->rest) > 0;
}

void io_input_free(struct io_input *input)
{
    if (!input || input->freed)
        return;
    input->freed = true;
    if (input->source.adopted && !input->ended)
        source_reset(&input->source);
    if (!input->turning)
        release_input(input);
}
