/*
 * way_pipe.c: a line between standard input and standard output.
 *
 * The two directions know nothing of each other.  Out: bytes of stdin are data; its end closes our
 * direction.  In: data go to stdout as they are, a message gets a newline when it has none; the
 * peer's close closes stdout (unless more stations come).  Each direction stops its source while
 * its sink is full.
 *
 * A terminal as stdin is the exception: it has no end by itself, so that two sides of which neither
 * has more to say would wait for each other.  There the peer's close closes our direction, too.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "talk/talk.h"

struct pipe {
    struct io_input *input;
    struct io_output *output;
    bool input_ended;
    bool hushed;       /* this line's peer has closed, and with it ended what is typed */
    bool output_ended; /* closed, or broken */
    bool finishing;    /* the line is gone */
    bool peer_closed;  /* with --keep: the peer waits to hear that all was written */
    bool in_message;   /* pieces of a message have come … */
    uint8_t last_byte; /* … and this is the last of them */
};

static struct pipe *pipe_of(struct talk *talk)
{
    return talk->way_state;
}

/* ------------------------------------------------------------------------------------- stdin -- */

static bool on_input(void *context, const uint8_t *data, size_t n)
{
    struct talk *talk = context;

    /* Any other error ends the line, and that is reported. */
    if (io_line_send(talk->call.line, data, n, HELIO_DATA) == HELIO_E_AGAIN)
        return false;
    if (io_line_blocked(talk->call.line))
        io_input_pause(pipe_of(talk)->input);
    return true;
}

static void on_input_ended(void *context, int error)
{
    struct talk *talk = context;

    pipe_of(talk)->input_ended = true;
    if (error) {
        say_error("stdin",
                  "cannot read from stdin: %s\nThe other side is told that it did not "
                  "get all.",
                  strerror(error));
        call_fail_here(talk);
    } else {
        io_line_close(talk->call.line);
    }
}

static const struct io_input_handlers input_handlers = {.data = on_input, .ended = on_input_ended};

/* ------------------------------------------------------------------------------------ stdout -- */

static void output_failed(struct talk *talk, int error)
{
    struct pipe *p = pipe_of(talk);

    if (!p->output_ended)
        say_error("stdout",
                  "cannot write to stdout: %s\nThe other side is told that not all "
                  "arrived.",
                  strerror(error));
    p->output_ended = true;
    call_fail_here(talk);
    if (p->finishing)
        call_finished(talk);
}

static void on_output_failed(void *context, int error)
{
    output_failed(context, error);
}

static void on_output_drained(void *context)
{
    struct talk *talk = context;
    struct pipe *p = pipe_of(talk);

    if (p->finishing) {
        call_finished(talk);
        return;
    }
    if (p->peer_closed)
        io_line_confirm(talk->call.line);
    io_line_resume(talk->call.line);
}

static void on_output_ended(void *context, int error)
{
    struct talk *talk = context;
    struct pipe *p = pipe_of(talk);

    if (error) {
        output_failed(talk, error);
        return;
    }
    p->output_ended = true;
    if (p->finishing) {
        call_finished(talk);
        return;
    }
    io_line_confirm(talk->call.line);
    io_line_resume(talk->call.line); /* it was paused if the last bytes did not fit at once */
}

static const struct io_output_handlers output_handlers = {
    .drained = on_output_drained,
    .failed = on_output_failed,
    .ended = on_output_ended,
};

static void write_out(struct talk *talk, const uint8_t *data, size_t n)
{
    struct pipe *p = pipe_of(talk);
    int error;

    if (p->output_ended)
        return;
    error = io_output_write(p->output, data, n);
    if (error)
        output_failed(talk, error);
    else if (io_output_blocked(p->output))
        io_line_pause(talk->call.line);
}

static void end_output(struct talk *talk)
{
    struct pipe *p = pipe_of(talk);

    if (!p->output_ended && !talk->keep)
        io_output_end(p->output);
}

/* ----------------------------------------------------------------------------------- the way -- */

static enum helio_err pipe_open(struct talk *talk)
{
    struct pipe *p = calloc(1, sizeof *p);
    enum helio_err err;

    if (!p)
        return HELIO_E_MEMORY;
    talk->way_state = p;
    err = io_input_new(&p->input, talk->loop, STDIN_FILENO, &input_handlers, talk);
    if (!err)
        err = io_output_new(&p->output, talk->loop, STDOUT_FILENO, &output_handlers, talk);
    return err;
}

static enum helio_err pipe_begin(struct talk *talk)
{
    enum helio_err err = talk->way_state ? HELIO_OK : pipe_open(talk);
    struct pipe *p = pipe_of(talk);

    if (err) {
        say_error("stdio", "cannot use stdin and stdout: %s", helio_strerror(err));
        return err;
    }
    p->finishing = p->in_message = p->peer_closed = p->hushed = false;
    /* With --keep stdin belongs to whoever comes first; later ones find it at its end. */
    if (p->input_ended)
        io_line_close(talk->call.line);
    else
        io_input_resume(p->input);
    return HELIO_OK;
}

/* A message ends in exactly the newline that it brought, or in one of ours. */
static void write_message_end(struct talk *talk)
{
    struct pipe *p = pipe_of(talk);

    if (!p->in_message || p->last_byte != '\n')
        write_out(talk, (const uint8_t *)"\n", 1);
    p->in_message = false;
}

static void hush_terminal(struct talk *talk)
{
    struct pipe *p = pipe_of(talk);

    if (p->input_ended || !isatty(STDIN_FILENO))
        return;
    p->hushed = true;
    io_input_pause(p->input);
    io_line_close(talk->call.line);
}

/* What came is confirmed when it is written: at once, or when stdout has drained or is closed. */
static void take_close(struct talk *talk)
{
    struct pipe *p = pipe_of(talk);

    p->peer_closed = true;
    hush_terminal(talk);
    if (!talk->keep)
        end_output(talk);
    else if (!p->output_ended && !io_output_blocked(p->output))
        io_line_confirm(talk->call.line);
}

static void pipe_event(struct talk *talk, const helio_event *event)
{
    struct pipe *p = pipe_of(talk);

    if (event->size > 0) {
        write_out(talk, event->data, event->size);
        p->in_message = true;
        p->last_byte = event->data[event->size - 1];
    }
    if (event->kind == HELIO_EVENT_MESSAGE)
        write_message_end(talk);
    if (event->kind == HELIO_EVENT_CLOSED)
        take_close(talk);
}

static void pipe_writable(struct talk *talk)
{
    struct pipe *p = pipe_of(talk);

    if (!p->hushed)
        io_input_resume(p->input);
}

/*
 * A signal ends our direction in order, unless that would be a lie: with input left behind the peer
 * must not take what it has for all.
 */
static void pipe_stop(struct talk *talk)
{
    struct pipe *p = pipe_of(talk);
    bool left_behind = !p->input_ended && io_input_waiting(p->input);

    if (!p->input_ended)
        io_input_pause(p->input);
    p->input_ended = true;
    if (!left_behind) {
        io_line_close(talk->call.line);
        return;
    }
    say_warn("interrupted", "interrupted before the end of stdin: %s is told that not all came",
             talk->call.who);
    io_line_fail(talk->call.line, HELIO_E_SYSTEM);
}

static void pipe_finish(struct talk *talk)
{
    struct pipe *p = pipe_of(talk);
    bool settled;

    if (!p->input_ended)
        io_input_pause(p->input);
    p->finishing = true;
    settled = p->output_ended || (talk->keep && !io_output_blocked(p->output));
    if (settled)
        call_finished(talk);
    else
        end_output(talk); /* its end, or being drained, calls call_finished */
}

static void pipe_free(struct talk *talk)
{
    struct pipe *p = pipe_of(talk);

    if (!p)
        return;
    io_input_free(p->input);
    io_output_free(p->output);
    free(p);
    talk->way_state = NULL;
}

const struct talk_way talk_pipe = {
    .begin = pipe_begin,
    .event = pipe_event,
    .writable = pipe_writable,
    .stop = pipe_stop,
    .finish = pipe_finish,
    .free = pipe_free,
};
