/*
 * verb_connect.c: helio connect HOST:PORT.
 *
 * Dials, talks, and returns the status of the line.  When the user must be asked about the
 * station's key, the first call has ended before the question, and a second one follows with that
 * key pinned.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli/station.h"
#include "talk/ask.h"
#include "talk/talk.h"

struct caller {
    struct io_place place;
    char label[STATION_PLACE_SIZE]; /* HOST:PORT in lower case: the name in known_stations */
    struct io_dial *dial;
    uint64_t deadline; /* on the loop's clock, for dialling and handshake together */
    int status;
};

static const char *const advice[IO_FAULT_COUNT] = {
    [IO_FAULT_NO_HOST] = "Look at the spelling of the host, and at -4 and -6.",
    [IO_FAULT_REFUSED] = "Nobody listens there: is helio listen or serve running, and is the port right?",
    [IO_FAULT_TIMED_OUT] = "Nothing answers there: look at the address, or for a firewall between.",
    [IO_FAULT_UNREACHABLE] =
        "This machine has no way there: look at its network, and at -4 and -6.",
};

static void report_no_connection(const struct caller *caller, const struct io_report *report)
{
    const char *help = advice[report->fault];
    const char *detail = report->detail;
    size_t n = strlen(caller->label);

    /* One address, as it was given: it has been said. */
    if (strncmp(detail, caller->label, n) == 0 && detail[n] == ' ' && !strchr(detail, ','))
        detail = "";

    say_fields(SAY_ERROR, "no-connection",
               (const struct say_field[]){{.key = "station", .text = caller->label},
                                          {.key = "reason", .text = io_fault_text(report->fault)},
                                          {.key = "tried", .text = detail},
                                          {.key = NULL}},
               "cannot connect to %s: %s%s%s%s%s%s", caller->label, io_fault_text(report->fault),
               *detail ? " (" : "", detail, *detail ? ")" : "", help ? "\n" : "", help ? help : "");
}

static void finish(struct talk *talk, int status)
{
    struct caller *caller = talk->verb;

    caller->status = status;
    io_loop_stop(talk->loop);
}

static uint64_t time_left(const struct talk *talk)
{
    const struct caller *caller = talk->verb;
    uint64_t now = io_loop_now(talk->loop);

    return now < caller->deadline ? caller->deadline - now : 0;
}

static void on_dialled(void *context, struct io_stream *stream, const struct io_report *report)
{
    struct talk *talk = context;
    struct caller *caller = talk->verb;
    uint64_t handshake;
    int status;

    if (!stream) {
        report_no_connection(caller, report);
        finish(talk, report->fault == IO_FAULT_SYSTEM ? STATUS_LOCAL : STATUS_NO_CONNECTION);
        return;
    }
    /* --timeout is for both; without it each has its own ten seconds. */
    handshake = talk->options->timeout ? time_left(talk) : station_handshake_ms(talk->options);
    status = call_begin(talk, stream, caller->label, handshake);
    if (status != STATUS_DONE)
        finish(talk, status);
}

/* One call, from the dialling to its end.  The call itself is left for a look at it. */
static int call_once(struct talk *talk)
{
    struct caller *caller = talk->verb;
    uint64_t timeout = station_handshake_ms(talk->options);
    enum helio_err err;

    caller->status = STATUS_LOCAL;
    caller->deadline = io_loop_now(talk->loop) + timeout;
    err = io_dial_new(&caller->dial, talk->loop, &caller->place, station_family(talk->options),
                      timeout, on_dialled, talk);
    if (err) {
        say_error("dial", "cannot look up %s: %s", caller->label, helio_strerror(err));
        return STATUS_LOCAL;
    }
    io_loop_run(talk->loop);
    io_dial_free(caller->dial);
    /* A signal before there was a line, or a second one. */
    if (talk->signal && !(talk->call.line && talk->call.ended))
        return talk_signal_status(talk);
    return caller->status;
}

static int converse(struct talk *talk)
{
    int status = talk_take_signals(talk);

    if (status == STATUS_DONE)
        status = call_once(talk);
    if (!talk->call.asking || talk->signal)
        return status;
    /* While the user thinks, Ctrl-C ends the program as always. */
    talk_leave_signals(talk);
    status = trust_ask_and_pin(talk);
    call_clear(talk);
    talk->call.asking = false;
    if (status == STATUS_DONE)
        status = talk_take_signals(talk);
    return status == STATUS_DONE ? call_once(talk) : status;
}

int verb_connect(struct options *options, int argc, char **argv)
{
    struct talk talk;
    struct caller caller = {.status = STATUS_LOCAL};
    const char *wrong = io_place_parse(&caller.place, argv[0], true);
    int status;

    (void)argc;
    if (wrong)
        return usage_error("connect", "\"%.100s\" is not HOST:PORT: %s", argv[0], wrong);
    io_place_format(&caller.place, caller.label, sizeof caller.label);
    for (char *p = caller.label; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    status = talk_begin(&talk, options, HELIO_INITIATOR);
    talk.verb = &caller;
    talk.on_ended = finish;
    if (status == STATUS_DONE)
        status = converse(&talk);
    talk_end(&talk);
    return status;
}
