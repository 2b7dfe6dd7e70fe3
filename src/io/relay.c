/*
 * relay.c: a line and a pair of descriptors, joined.
 *
 * The two directions know nothing of each other.  Out: what the input has is data, its end closes
 * our direction of the line.  In: data and messages go to the output as they are, the peer's close
 * ends the output, and the end of the output is what we confirm.
 *
 * A direction that has failed and is forgiven (handlers.failed) stays open on the other side: the
 * input counts as ended, and what still comes for the output is thrown away and confirmed.
 *
 * talk/way_pipe.c does the same for standard input and output, whose ends are told to a person and
 * which outlive a line.
 */
#include <stdlib.h>
#include <unistd.h>

#include "io/loop.h"

struct io_relay {
    struct io_line *line;
    struct io_input *input;
    struct io_output *output;
    const struct io_relay_handlers *handlers;
    void *context;
    bool input_ended;
    bool may_close;    /* io_relay_close came before the input's end */
    bool output_ended; /* closed, or broken */
    bool peer_closed;
};

/* -------------------------------------------------------------------------------- to the peer -- */

static bool on_input(void *context, const uint8_t *data, size_t n)
{
    struct io_relay *relay = context;
    enum helio_err err = io_line_send(relay->line, data, n, HELIO_DATA);

    /* Any other error ends the line, and there is nobody left to read for. */
    if ((err && err != HELIO_E_AGAIN) || io_line_blocked(relay->line))
        io_input_pause(relay->input);
    return err != HELIO_E_AGAIN;
}

static void on_input_ended(void *context, int error)
{
    struct io_relay *relay = context;

    relay->input_ended = true;
    if (error && !relay->handlers->failed(relay->context, false, error))
        io_line_fail(relay->line, HELIO_E_SYSTEM);
    else if (relay->may_close || relay->handlers->input_ended(relay->context))
        io_line_close(relay->line);
}

static const struct io_input_handlers input_handlers = {.data = on_input, .ended = on_input_ended};

/* ------------------------------------------------------------------------------ from the peer -- */

static void output_failed(struct io_relay *relay, int error)
{
    relay->output_ended = true;
    if (!relay->handlers->failed(relay->context, true, error)) {
        io_line_fail(relay->line, HELIO_E_SYSTEM);
        return;
    }
    if (relay->peer_closed)
        io_line_confirm(relay->line);
    io_line_resume(relay->line);
}

static void on_output_failed(void *context, int error)
{
    output_failed(context, error);
}

static void on_output_drained(void *context)
{
    struct io_relay *relay = context;

    io_line_resume(relay->line);
}

static void on_output_ended(void *context, int error)
{
    struct io_relay *relay = context;

    if (error) {
        output_failed(relay, error);
        return;
    }
    relay->output_ended = true;
    io_line_confirm(relay->line);
    io_line_resume(relay->line); /* it was paused if the last bytes did not fit at once */
}

static const struct io_output_handlers output_handlers = {
    .drained = on_output_drained,
    .failed = on_output_failed,
    .ended = on_output_ended,
};

static void write_out(struct io_relay *relay, const uint8_t *data, size_t n)
{
    int error;

    if (relay->output_ended)
        return;
    error = io_output_write(relay->output, data, n);
    if (error)
        output_failed(relay, error);
    else if (io_output_blocked(relay->output))
        io_line_pause(relay->line);
}

static void take_close(struct io_relay *relay)
{
    relay->peer_closed = true;
    if (relay->output_ended)
        io_line_confirm(relay->line);
    else
        io_output_end(relay->output);
}

/* ----------------------------------------------------------------------------- the interface -- */

enum helio_err io_relay_new(struct io_relay **out, struct io_loop *loop, struct io_line *line,
                            int in, int out_fd, const struct io_relay_handlers *handlers,
                            void *context)
{
    struct io_relay *relay = calloc(1, sizeof *relay);
    enum helio_err err = HELIO_E_MEMORY;

    if (!relay)
        goto out;
    relay->line = line;
    relay->handlers = handlers;
    relay->context = context;
    err = io_input_adopt(&relay->input, loop, in, &input_handlers, relay);
    in = -1;
    if (err)
        goto out;
    err = io_output_adopt(&relay->output, loop, out_fd, &output_handlers, relay);
    out_fd = -1;
out:
    if (err) {
        if (in >= 0)
            close(in);
        if (out_fd >= 0)
            close(out_fd);
        io_relay_free(relay);
        return err;
    }
    *out = relay;
    io_input_resume(relay->input);
    return HELIO_OK;
}

void io_relay_event(struct io_relay *relay, const helio_event *event)
{
    if (event->kind == HELIO_EVENT_CLOSED)
        take_close(relay);
    else if (event->size > 0)
        write_out(relay, event->data, event->size);
}

void io_relay_writable(struct io_relay *relay)
{
    io_input_resume(relay->input);
}

void io_relay_close(struct io_relay *relay)
{
    relay->may_close = true;
    if (relay->input_ended)
        io_line_close(relay->line);
}

void io_relay_free(struct io_relay *relay)
{
    if (!relay)
        return;
    io_input_free(relay->input);
    io_output_free(relay->output);
    free(relay);
}
