#include "talk/talk.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/home.h"
#include "cli/station.h"
#include "talk/report.h"
#include "talk/ask.h"

enum { PATIENCE_MS = 2000 };

/* ---------------------------------------------------------------------------------- the call -- */

static void on_open(struct talk *talk)
{
    talk->call.open = true;
    /* A chat shows the same as its state line. */
    if (talk->way != &talk_chat || talk->options->log_json)
        report_open(talk);
    if (talk->on_open)
        talk->on_open(talk);
    if (talk->way->begin(talk) == HELIO_OK)
        talk->call.begun = true;
    else
        call_fail_here(talk);
}

static void on_line_event(void *context, struct io_line *line, const helio_event *event)
{
    struct talk *talk = context;

    (void)line;
    switch (event->kind) {
    case HELIO_EVENT_PEER:
        trust_call(talk);
        break;
    case HELIO_EVENT_WAITING:
        say_note("waiting", "%s is asking its user about our key; that may take up to %d seconds",
                 talk->call.who, HELIO_WAIT_SECONDS);
        break;
    case HELIO_EVENT_OPEN:
        on_open(talk);
        break;
    case HELIO_EVENT_RESULT:
        talk->call.result = event->data[0];
        break;
    case HELIO_EVENT_DATA:
    case HELIO_EVENT_MESSAGE:
    case HELIO_EVENT_CLOSED:
        if (talk->call.begun)
            talk->way->event(talk, event);
        break;
    default:
        break;
    }
}

static void on_line_writable(void *context, struct io_line *line)
{
    struct talk *talk = context;

    (void)line;
    if (talk->call.begun)
        talk->way->writable(talk);
}

static void on_line_ended(void *context, struct io_line *line, enum helio_err err)
{
    struct talk *talk = context;

    if (talk->dying) {
        io_line_free(line);
        talk->call.line = NULL;
        return;
    }
    io_timer_stop(talk->patience);
    talk->call.err = err;
    talk->call.ended = true;
    trust_cancel(talk);
    if (talk->call.begun)
        talk->way->finish(talk);
    else
        call_finished(talk);
}

static const struct io_line_handlers line_handlers = {
    .event = on_line_event,
    .writable = on_line_writable,
    .ended = on_line_ended,
};

int call_begin(struct talk *talk, struct io_stream *stream, const char *label, uint64_t handshake)
{
    enum helio_err err;

    talk->call = (struct call){0};
    snprintf(talk->call.label, sizeof talk->call.label, "%s", label);
    snprintf(talk->call.who, sizeof talk->call.who, "%s", *label ? label : io_stream_name(stream));
    say_detail("call", "%s %s", *label ? "reached" : "called by", io_stream_name(stream));
    err = io_line_new(&talk->call.line, talk->loop, stream, &talk->config, talk->role, handshake,
                      &line_handlers, talk);
    if (err)
        say_error("call", "cannot begin a session: %s", helio_strerror(err));
    return (int)exit_status_of(err);
}

void call_clear(struct talk *talk)
{
    io_line_free(talk->call.line);
    talk->call.line = NULL;
}

static bool left_in_order(const struct talk *talk)
{
    return talk->way == &talk_chat && talk->call.err == HELIO_OK && talk->signal != SIGTERM;
}

void call_finished(struct talk *talk)
{
    int status = report_end(talk);

    if (talk->call.local != STATUS_DONE)
        status = (int)talk->call.local;
    else if (talk->signal && !left_in_order(talk))
        status = talk_signal_status(talk);
    if (talk->call.open)
        report_close(talk, status);
    talk->on_ended(talk, status);
}

void call_fail_here(struct talk *talk)
{
    if (talk->call.local == STATUS_DONE)
        talk->call.local = STATUS_LOCAL;
    talk->call.refused = true;
    if (!talk->call.ended)
        io_line_fail(talk->call.line, HELIO_E_SYSTEM);
}

/* ----------------------------------------------------------------------------------- signals -- */

int talk_signal_status(const struct talk *talk)
{
    return talk->signal ? 128 + talk->signal : STATUS_DONE;
}

static void on_patience(void *context)
{
    struct talk *talk = context;

    if (talk->call.line && !talk->call.ended)
        io_line_drop(talk->call.line);
}

/* The first closes the line in order; the second leaves at once. */
static void on_signal(void *context, int number)
{
    struct talk *talk = context;
    struct call *call = &talk->call;

    if (number == SIGWINCH || number == SIGCONT) {
        if (call->begun && talk->way->window)
            talk->way->window(talk, number);
        return;
    }
    if (talk->signal || !call->line || call->ended) {
        talk->signal = talk->signal ? talk->signal : number;
        io_loop_stop(talk->loop);
        return;
    }
    talk->signal = number;
    call->interrupted = true;
    if (!call->begun) {
        io_line_drop(call->line);
        return;
    }
    io_timer_set(talk->patience, PATIENCE_MS);
    talk->way->stop(talk);
}

int talk_take_signals(struct talk *talk)
{
    enum helio_err err = io_signals_new(&talk->signals, talk->loop, on_signal, talk);

    if (err)
        say_error("loop", "cannot watch signals: %s", helio_strerror(err));
    return (int)exit_status_of(err);
}

void talk_leave_signals(struct talk *talk)
{
    io_signals_free(talk->signals);
    talk->signals = NULL;
}

/* ----------------------------------------------------------------------------- begin and end -- */

static const struct talk_way *choose_way(const struct options *options)
{
    if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
        return &talk_chat;
    return options->classic ? &talk_classic : &talk_pipe;
}

static void warn_of_classic(void)
{
    say_warn("insecure",
             "CLASSIC IS INSECURE.  Whoever is on the way can read, alter and forge all of it.\n"
             "Nobody proves who they are, and a line that was cut looks like one that ended.");
}

static int load_keys(struct talk *talk)
{
    int status = (int)home_identity(talk->options, &talk->identity);

    if (status == STATUS_DONE)
        status = (int)home_known(talk->options, &talk->known);
    if (status == STATUS_DONE)
        status = (int)trust_pin_resolve(talk->options, talk->known, &talk->pin);
    return status;
}

static void fill_config(struct talk *talk)
{
    const struct options *options = talk->options;

    talk->config = station_config(options, talk->identity);
    talk->config.service = talk->role == HELIO_INITIATOR && !options->classic ? TALK_SERVICE : NULL;
    talk->config.trace = say_shows(SAY_DETAIL) ? report_trace : NULL;
    talk->config.trace_context = talk;
}

int talk_begin(struct talk *talk, struct options *options, helio_role role)
{
    enum helio_err err;
    int status = STATUS_DONE;

    *talk = (struct talk){.options = options, .role = role};
    talk->way = choose_way(options);
    if (options->classic)
        warn_of_classic();
    else
        status = load_keys(talk);
    if (status != STATUS_DONE)
        return status;
    fill_config(talk);
    err = io_loop_new(&talk->loop);
    if (!err)
        err = io_timer_new(&talk->patience, talk->loop, on_patience, talk);
    if (err)
        say_error("loop", "cannot make an event loop: %s", helio_strerror(err));
    return (int)exit_status_of(err);
}

int talk_reload_known(struct talk *talk)
{
    helio_known *known = NULL;
    int status = (int)home_known(talk->options, &known);

    if (status == STATUS_DONE) {
        helio_known_free(talk->known);
        talk->known = known;
    }
    return status;
}

void talk_end(struct talk *talk)
{
    talk->dying = true;
    trust_cancel(talk);
    if (talk->call.line && talk->call.ended)
        call_clear(talk);
    else if (talk->call.line)
        io_line_drop(talk->call.line); /* on_line_ended frees it while the loop ends */
    if (talk->way->free)
        talk->way->free(talk);
    talk_leave_signals(talk);
    io_timer_free(talk->patience);
    io_loop_free(talk->loop);
    helio_known_free(talk->known);
    helio_identity_free(talk->identity);
}
