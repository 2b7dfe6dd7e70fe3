/*
 * verb_listen.c: helio listen [HOST:]PORT.
 *
 * One station at a time.  Whoever calls meanwhile goes through the handshake and hears, from a
 * station that proved who it is, that this one is busy; a few of them at once, the rest is hung up
 * on.  Without --keep the port is given up as soon as the line is open, and the status is the
 * line's.
 */
#include <stdio.h>
#include <string.h>

#include "cli/station.h"
#include "talk/talk.h"

enum { BUSY_MAX = 4 };

struct host {
    struct io_place place;
    struct io_listener *listener;
    struct io_timer *patience; /* --timeout: until the line is open */
    struct io_line *busy[BUSY_MAX];
    int status;
};

static void finish(struct talk *talk, int status)
{
    struct host *host = talk->verb;

    host->status = status;
    io_loop_stop(talk->loop);
}

/* -------------------------------------------------------------------------------- the others -- */

static void on_busy_event(void *context, struct io_line *line, const helio_event *event)
{
    (void)context;
    if (event->kind == HELIO_EVENT_PEER)
        io_line_refuse(line, HELIO_REFUSE_BUSY);
}

static void on_busy_writable(void *context, struct io_line *line)
{
    (void)context;
    (void)line;
}

static void on_busy_ended(void *context, struct io_line *line, enum helio_err err)
{
    struct host *host = context;

    (void)err;
    for (size_t i = 0; i < BUSY_MAX; i++)
        if (host->busy[i] == line)
            host->busy[i] = NULL;
    io_line_free(line);
}

static const struct io_line_handlers busy_handlers = {
    .event = on_busy_event,
    .writable = on_busy_writable,
    .ended = on_busy_ended,
};

/* Classic knows no way to say it. */
static void turn_away(struct talk *talk, struct io_stream *stream)
{
    struct host *host = talk->verb;
    helio_config config = talk->config;
    size_t i = 0;

    say_note("busy", "%s called while %s is here: turned away", io_stream_name(stream),
             talk->call.who);
    while (i < BUSY_MAX && host->busy[i])
        i++;
    if (i == BUSY_MAX || talk->options->classic) {
        io_stream_free(stream);
        return;
    }
    config.trace = NULL;
    if (io_line_new(&host->busy[i], talk->loop, stream, &config, HELIO_RESPONDER,
                    station_handshake_ms(talk->options), &busy_handlers, host))
        host->busy[i] = NULL;
}

/* ----------------------------------------------------------------------------------- the one -- */

static void on_accept(void *context, const struct io_caller *caller)
{
    struct talk *talk = context;
    struct io_stream *stream;
    int status;

    if (io_stream_adopt(&stream, talk->loop, caller))
        return; /* out of memory: the next one may have better luck */
    if (talk->call.line) {
        turn_away(talk, stream);
        return;
    }
    status = call_begin(talk, stream, "", station_handshake_ms(talk->options));
    if (status != STATUS_DONE)
        finish(talk, status);
}

static void on_open(struct talk *talk)
{
    struct host *host = talk->verb;

    if (host->patience)
        io_timer_stop(host->patience);
    if (talk->keep)
        return;
    /* The system now answers for us that nobody listens here. */
    io_listener_free(host->listener);
    host->listener = NULL;
}

static void on_call_ended(struct talk *talk, int status)
{
    bool returns = talk->call.err == HELIO_E_RETURNING;

    /* A full disk is full for the next station, too. */
    if (talk->signal || talk->call.local != STATUS_DONE || !(talk->keep || returns)) {
        finish(talk, status);
        return;
    }
    if (talk->keep && !returns)
        say_fields(SAY_NOTE, "next",
                   (const struct say_field[]){{.key = "status", .number = (uint64_t)status},
                                              {.key = NULL}},
                   "%s is gone, status %d; waiting for the next station", talk->call.who, status);
    call_clear(talk);
}

static void on_patience(void *context)
{
    struct talk *talk = context;

    if (talk->call.line) {
        if (!talk->call.ended)
            io_line_fail(talk->call.line, HELIO_E_TIMEOUT);
        return;
    }
    say_error("timed-out", "nobody opened a line within %u seconds", talk->options->timeout);
    finish(talk, STATUS_NO_CONNECTION);
}

/* ----------------------------------------------------------------------------- the beginning -- */

static void announce(const struct talk *talk)
{
    const struct host *host = talk->verb;
    struct io_place there = host->place;
    char fingerprint[HELIO_FINGERPRINT_TEXT] = "", command[STATION_COMMAND_SIZE];

    there.port = io_listener_port(host->listener);
    if (talk->identity)
        helio_fingerprint_format(helio_identity_fingerprint(talk->identity), fingerprint);
    station_command(talk->options, talk->identity, &there, STATION_CALL, command);
    say_fields(SAY_NOTE, "listening",
               (const struct say_field[]){{.key = "port", .number = there.port},
                                          {.key = "fingerprint", .text = fingerprint},
                                          {.key = "command", .text = command},
                                          {.key = NULL}},
               "listening on port %u; on the other computer run:\n  %s", there.port, command);
}

static int start(struct talk *talk)
{
    struct host *host = talk->verb;
    struct io_report report;
    int status = talk_take_signals(talk);

    if (status != STATUS_DONE)
        return status;
    if (io_listener_new(&host->listener, talk->loop, &host->place, station_family(talk->options),
                        on_accept, talk, &report))
        return station_not_listening(&host->place, &report);
    if (talk->options->timeout && !talk->keep) {
        enum helio_err err = io_timer_new(&host->patience, talk->loop, on_patience, talk);

        if (err)
            return (int)exit_status_of(err);
        io_timer_set(host->patience, station_handshake_ms(talk->options));
    }
    announce(talk);
    io_loop_run(talk->loop);
    if (talk->signal && !(talk->call.line && talk->call.ended))
        return talk_signal_status(talk);
    return host->status;
}

static void clear(struct host *host)
{
    io_listener_free(host->listener);
    io_timer_free(host->patience);
    for (size_t i = 0; i < BUSY_MAX; i++)
        if (host->busy[i])
            io_line_drop(host->busy[i]);
}

int verb_listen(struct options *options, int argc, char **argv)
{
    struct talk talk;
    struct host host = {.status = STATUS_LOCAL};
    const char *wrong = io_place_parse(&host.place, argv[0], false);
    int status;

    (void)argc;
    if (wrong)
        return usage_error("listen", "\"%.100s\" is not [HOST:]PORT: %s", argv[0], wrong);
    status = talk_begin(&talk, options, HELIO_RESPONDER);
    talk.verb = &host;
    talk.on_open = on_open;
    talk.on_ended = on_call_ended;
    talk.keep = options->keep;
    if (status == STATUS_DONE)
        status = start(&talk);
    clear(&host);
    talk_end(&talk);
    return status;
}
