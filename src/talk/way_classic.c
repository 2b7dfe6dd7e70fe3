/*
 * way_classic.c: classic between standard input and standard output.
 *
 * Classic takes turns and has no framing (docs/classic.md).  A line of stdin is a message, sent
 * when it is our turn; the initiator begins.  What comes is gathered until nothing has come for
 * TALK_GATHER_MS, which is all that tells an answer's end; then it is written as one line and the
 * turn is ours.  At the end of stdin we wait for the answer that is due, and end the connection.
 *
 * Nothing here is authenticated: what is written may be anybody's.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "talk/talk.h"

/* A piece of stdin comes on top of a line that waits for its turn. */
enum { PENDING_MAX = HELIO_SEND_MAX + IO_PIECE };

struct turns {
    struct io_input *input;
    struct io_output *output;
    struct io_timer *gather;
    struct buffer pending;  /* from stdin, not sent yet */
    struct buffer incoming; /* a message that may go on */
    bool input_ended;
    bool output_ended;
    bool our_turn;
    bool closing; /* we have said the last word */
    bool finishing;
};

static struct turns *turns_of(struct talk *talk)
{
    return talk->way_state;
}

/* ----------------------------------------------------------------------------------- sending -- */

static void close_line(struct talk *talk)
{
    struct turns *t = turns_of(talk);

    if (t->closing)
        return;
    t->closing = true;
    io_input_pause(t->input);
    io_line_close(talk->call.line);
}

static void refuse_line(struct talk *talk, size_t n, enum helio_err err)
{
    if (err == HELIO_E_TOO_LONG)
        say_error("too-long",
                  "a line of stdin has %zu bytes; a message of classic has at most %d, our name "
                  "included\nIt was not sent, and nothing after it.",
                  n, HELIO_CLASSIC_MESSAGE_MAX);
    else
        say_error("send", "cannot send: %s", helio_strerror(err));
    call_fail_here(talk);
}

/*
 * Takes the next line off pending; false when there is no whole one.  At the end of stdin what is
 * left is a line, too.  A line of HELIO_SEND_MAX bytes without an end is too long, whatever
 * follows.
 */
static bool next_line(const struct turns *t, size_t *n, size_t *taken)
{
    size_t size = buffer_size(&t->pending);
    const uint8_t *end = size > 0 ? memchr(buffer_front(&t->pending), '\n', size) : NULL;

    *n = end ? (size_t)(end - buffer_front(&t->pending)) : size;
    *taken = end ? *n + 1 : size;
    return end || (size > 0 && (t->input_ended || size >= HELIO_SEND_MAX));
}

static void pump(struct talk *talk)
{
    struct turns *t = turns_of(talk);
    enum helio_err err = HELIO_OK;
    size_t n, taken;

    while (t->our_turn && !t->closing && err == HELIO_OK && next_line(t, &n, &taken)) {
        if (n > 0) { /* classic has no empty message */
            err = io_line_send(talk->call.line, buffer_front(&t->pending), n, HELIO_MESSAGE);
            t->our_turn = false;
        }
        if (err != HELIO_OK)
            refuse_line(talk, n, err);
        buffer_consume(&t->pending, taken);
    }
    if (err != HELIO_OK)
        return;
    if (t->our_turn && t->input_ended)
        close_line(talk);
    else if (!t->input_ended && !t->closing && !next_line(t, &n, &taken))
        io_input_resume(t->input);
}

static bool on_input(void *context, const uint8_t *data, size_t n)
{
    struct talk *talk = context;
    struct turns *t = turns_of(talk);

    if (buffer_append(&t->pending, data, n) != HELIO_OK)
        return false;
    pump(talk);
    if (next_line(t, &n, &n))
        io_input_pause(t->input);
    return true;
}

static void on_input_ended(void *context, int error)
{
    struct talk *talk = context;

    turns_of(talk)->input_ended = true;
    if (error) {
        say_error("stdin", "cannot read from stdin: %s", strerror(error));
        call_fail_here(talk);
    } else {
        pump(talk);
    }
}

static const struct io_input_handlers input_handlers = {.data = on_input, .ended = on_input_ended};

/* --------------------------------------------------------------------------------- receiving -- */

static void output_failed(struct talk *talk, int error)
{
    struct turns *t = turns_of(talk);

    if (!t->output_ended)
        say_error("stdout", "cannot write to stdout: %s", strerror(error));
    t->output_ended = true;
    call_fail_here(talk);
    if (t->finishing)
        call_finished(talk);
}

static void on_output_failed(void *context, int error)
{
    output_failed(context, error);
}

/* A message is at most 512 bytes and comes in turns: the line need not be paused for stdout. */
static void on_output_drained(void *context)
{
    struct talk *talk = context;

    if (turns_of(talk)->finishing && talk->keep)
        call_finished(talk);
}

static void on_output_ended(void *context, int error)
{
    struct talk *talk = context;
    struct turns *t = turns_of(talk);

    if (error) {
        output_failed(talk, error);
        return;
    }
    t->output_ended = true;
    if (t->finishing)
        call_finished(talk);
}

static const struct io_output_handlers output_handlers = {
    .drained = on_output_drained,
    .failed = on_output_failed,
    .ended = on_output_ended,
};

/* What has been gathered is a message. */
static void write_message(struct talk *talk)
{
    struct turns *t = turns_of(talk);
    size_t n = buffer_size(&t->incoming);
    int error = 0;

    io_timer_stop(t->gather);
    if (n == 0)
        return;
    if (!t->output_ended)
        error = io_output_write(t->output, buffer_front(&t->incoming), n);
    if (!error && !t->output_ended)
        error = io_output_write(t->output, (const uint8_t *)"\n", 1);
    buffer_clear(&t->incoming);
    if (error)
        output_failed(talk, error);
}

static void on_gathered(void *context)
{
    struct talk *talk = context;

    write_message(talk);
    turns_of(talk)->our_turn = true;
    pump(talk);
}

static void classic_event(struct talk *talk, const helio_event *event)
{
    struct turns *t = turns_of(talk);

    if (event->kind == HELIO_EVENT_CLOSED) {
        write_message(talk);
        if (buffer_size(&t->pending) > 0 && !t->closing)
            say_warn("unsent", "%s has hung up; what was still to be sent stays unsent",
                     talk->call.who);
        close_line(talk);
        return;
    }
    /*
     * The engine lets no turn pass 512 bytes, but turns of a peer that does not wait may pile up.
     */
    if (buffer_append(&t->incoming, event->data, event->size) != HELIO_OK) {
        write_message(talk);
        if (buffer_append(&t->incoming, event->data, event->size) != HELIO_OK)
            call_fail_here(talk);
    }
    io_timer_set(t->gather, TALK_GATHER_MS);
}

/* ----------------------------------------------------------------------------------- the way -- */

static enum helio_err classic_open(struct talk *talk)
{
    struct turns *t = calloc(1, sizeof *t);
    enum helio_err err;

    if (!t)
        return HELIO_E_MEMORY;
    talk->way_state = t;
    buffer_init(&t->pending, PENDING_MAX);
    buffer_init(&t->incoming, PENDING_MAX);
    err = io_timer_new(&t->gather, talk->loop, on_gathered, talk);
    if (!err)
        err = io_input_new(&t->input, talk->loop, STDIN_FILENO, &input_handlers, talk);
    if (!err)
        err = io_output_new(&t->output, talk->loop, STDOUT_FILENO, &output_handlers, talk);
    return err;
}

static enum helio_err classic_begin(struct talk *talk)
{
    enum helio_err err = talk->way_state ? HELIO_OK : classic_open(talk);
    struct turns *t = turns_of(talk);

    if (err) {
        say_error("stdio", "cannot use stdin and stdout: %s", helio_strerror(err));
        return err;
    }
    t->finishing = t->closing = false;
    t->our_turn = talk->role == HELIO_INITIATOR;
    pump(talk);
    return HELIO_OK;
}

static void classic_writable(struct talk *talk)
{
    (void)talk; /* one message is never more than the queue takes */
}

static void classic_stop(struct talk *talk)
{
    turns_of(talk)->closing = true;
    io_input_pause(turns_of(talk)->input);
    io_line_hang_up(talk->call.line);
}

static void classic_finish(struct talk *talk)
{
    struct turns *t = turns_of(talk);

    write_message(talk);
    io_input_pause(t->input);
    t->finishing = true;
    if (t->output_ended || (talk->keep && !io_output_blocked(t->output)))
        call_finished(talk);
    else if (!talk->keep)
        io_output_end(t->output);
}

static void classic_free(struct talk *talk)
{
    struct turns *t = turns_of(talk);

    if (!t)
        return;
    buffer_clear(&t->pending);
    buffer_clear(&t->incoming);
    io_timer_free(t->gather);
    io_input_free(t->input);
    io_output_free(t->output);
    free(t);
    talk->way_state = NULL;
}

const struct talk_way talk_classic = {
    .begin = classic_begin,
    .event = classic_event,
    .writable = classic_writable,
    .stop = classic_stop,
    .finish = classic_finish,
    .free = classic_free,
};
