/*
 * guest.c: one station, from the accepted connection to the line in the log at its end.
 *
 * Two things are told once for each guest, whatever becomes of it: to the gate how its handshake has
 * gone (guest_settle), as soon as that is known; and to people how it ended, when the line is gone.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/station.h"
#include "serve/serve.h"

/* What the end of a line is called in the log, and for the gate when it was never open. */
static const struct ending {
    const char *cause;
    enum gate_outcome outcome;
} endings[HELIO_ERR_COUNT] = {
    [HELIO_OK] = {"done", GATE_OPENED},
    [HELIO_E_MEMORY] = {"no memory", GATE_OURS},
    [HELIO_E_SYSTEM] = {"failed here", GATE_OURS},
    [HELIO_E_CRYPTO] = {"failed here", GATE_OURS},
    [HELIO_E_UNTRUSTED] = {"untrusted", GATE_REFUSED},
    [HELIO_E_REFUSED] = {"untrusted there", GATE_LEFT},
    /* Its user is being asked about our key; once that is free, more than a few times it is not. */
    [HELIO_E_RETURNING] = {"asking there", GATE_LEFT},
    [HELIO_E_NO_COMMON] = {"nothing in common", GATE_LEFT},
    [HELIO_E_TIMEOUT] = {"timed-out", GATE_TIMED_OUT},
    [HELIO_E_CUT] = {"cut", GATE_LEFT},
    [HELIO_E_BROKEN] = {"altered", GATE_VIOLATED},
    [HELIO_E_ALERT] = {"failed there", GATE_LEFT},
    [HELIO_E_EXHAUSTED] = {"exhausted", GATE_OURS},
};

static struct ending ending_of(enum helio_err err)
{
    struct ending ending = endings[err];

    return ending.cause ? ending : (struct ending){"failed here", GATE_OURS};
}

uint64_t guest_now(const struct guest *guest)
{
    return io_loop_now(post_loop(guest->post));
}

void guest_settle(struct guest *guest, enum gate_outcome outcome)
{
    if (guest->settled)
        return;
    guest->settled = true;
    tally_settle(guest_serve(guest)->tally, &guest->source, outcome,
                 io_line_account(guest->line).handshake, guest_now(guest));
}

/* Nothing more can be done to the line.  Before it is open its session may be at work elsewhere. */
static bool is_over(const struct guest *guest)
{
    const helio_session *session = io_line_session(guest->line);

    if (guest->ending || !guest->open)
        return guest->ending;
    return helio_session_error(session) != HELIO_OK || helio_session_done(session);
}

void guest_fail(struct guest *guest, const char *cause)
{
    if (is_over(guest))
        return;
    guest->cause = cause;
    guest->ending = true;
    io_line_fail(guest->line, HELIO_E_SYSTEM);
}

/* ------------------------------------------------------------------------------- what is told -- */

static void say_open(const struct guest *guest)
{
    const helio_session *session = io_line_session(guest->line);
    const helio_peer *peer = helio_session_peer(session);
    const char *suite = helio_suite_name(helio_session_suite(session));
    char fingerprint[HELIO_FINGERPRINT_TEXT];

    helio_fingerprint_format(&peer->fingerprint, fingerprint);
    say_fields(SAY_NOTE, "open",
               (const struct say_field[]){{.key = "peer", .text = guest->who},
                                          {.key = "claims", .text = peer->name},
                                          {.key = "fingerprint", .text = fingerprint},
                                          {.key = "address", .text = io_line_name(guest->line)},
                                          {.key = "service", .text = guest->service->name},
                                          {.key = "suite", .text = suite},
                                          {.key = NULL}},
               "open: %s, %s, from %s, %s", guest->who, fingerprint, io_line_name(guest->line),
               suite);
}

static void say_closed(const struct guest *guest, enum helio_err err, const char *cause)
{
    const helio_peer *peer = helio_session_peer(io_line_session(guest->line));
    struct io_line_account account = io_line_account(guest->line);
    char fingerprint[HELIO_FINGERPRINT_TEXT], moved[STATION_ACCOUNT_SIZE];

    helio_fingerprint_format(&peer->fingerprint, fingerprint);
    say_fields(SAY_NOTE, "closed",
               (const struct say_field[]){{.key = "peer", .text = guest->who},
                                          {.key = "fingerprint", .text = fingerprint},
                                          {.key = "address", .text = io_line_name(guest->line)},
                                          {.key = "service", .text = guest->service->name},
                                          {.key = "sent", .number = account.sent},
                                          {.key = "received", .number = account.received},
                                          {.key = "milliseconds", .number = account.duration},
                                          {.key = "cause", .text = cause},
                                          {.key = "status", .number = exit_status_of(err)},
                                          {.key = NULL}},
               "closed: %s, %s, from %s, %s: %s", guest->who, fingerprint,
               io_line_name(guest->line), station_account(&account, moved), cause);
}

void guest_count(struct guest *guest)
{
    struct metrics *metrics = guest_serve(guest)->metrics;
    const helio_session *session = io_line_session(guest->line);
    struct io_line_account account = io_line_account(guest->line);
    const struct guest_count old = guest->told;
    const struct guest_count now = {
        .sent = account.sent,
        .received = account.received,
        .epochs_sent = helio_session_epochs(session, 1),
        .epochs_received = helio_session_epochs(session, 0),
    };
    const struct {
        enum metric metric;
        uint64_t more;
    } rows[] = {
        {METRIC_BYTES_SENT, now.sent - old.sent},
        {METRIC_BYTES_RECEIVED, now.received - old.received},
        {METRIC_EPOCHS_SENT, now.epochs_sent - old.epochs_sent},
        {METRIC_EPOCHS_RECEIVED, now.epochs_received - old.epochs_received},
    };

    /* Most of them are idle most of the time. */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].more > 0)
            metrics_add(metrics, rows[i].metric, (int64_t)rows[i].more);
    guest->told = now;
}

/* ----------------------------------------------------------------------------------- the line -- */

static void begin(struct guest *guest)
{
    enum helio_err err;

    guest->open = true;
    guest_settle(guest, GATE_OPENED);
    metrics_add(guest_serve(guest)->metrics, METRIC_OPEN, 1);
    say_open(guest);
    /* The roll may have been read again between our yes and now, and only open lines are sieved. */
    guest_sieve(guest);
    if (guest->ending)
        return;
    guest->begun = true;
    err = guest->service->begin(guest);
    if (err && !is_over(guest)) {
        if (!guest->cause)
            guest->cause = ending_of(err).cause;
        guest->ending = true;
        io_line_fail(guest->line, err);
    }
}

static void on_event(void *context, struct io_line *line, const helio_event *event)
{
    struct guest *guest = context;

    switch (event->kind) {
    case HELIO_EVENT_PEER:
        if (guest_admit(guest))
            io_line_trust(line);
        break;
    case HELIO_EVENT_OPEN:
        begin(guest);
        break;
    case HELIO_EVENT_DATA:
    case HELIO_EVENT_MESSAGE:
    case HELIO_EVENT_CLOSED:
        if (guest->begun)
            guest->service->event(guest, event);
        break;
    default:
        break;
    }
}

static void on_writable(void *context, struct io_line *line)
{
    struct guest *guest = context;

    (void)line;
    if (guest->begun)
        guest->service->writable(guest);
}

static void on_ended(void *context, struct io_line *line, enum helio_err err)
{
    struct guest *guest = context;
    struct serve *serve = guest_serve(guest);
    struct ending ending = ending_of(err);
    const char *cause = guest->cause ? guest->cause : ending.cause;

    guest_settle(guest, ending.outcome);
    if (guest->begun)
        guest->service->end(guest);
    if (guest->open) {
        guest_count(guest);
        metrics_add(serve->metrics, METRIC_OPEN, -1);
        metrics_closed(serve->metrics, cause, io_line_account(line).duration);
        say_closed(guest, err, cause);
    } else {
        say_detail("no-line", "no line with %s: %s", guest->who, cause);
    }
    if (guest->counted)
        atomic_fetch_sub(&serve->stations, 1);
    post_quit(guest->post, guest);
    io_line_free(line);
    free(guest->name);
    free(guest);
}

static const struct io_line_handlers handlers = {
    .event = on_event,
    .writable = on_writable,
    .ended = on_ended,
};

bool guest_new(struct post *post, const struct io_caller *caller)
{
    struct serve *serve = post_serve(post);
    struct guest *guest = calloc(1, sizeof *guest);
    struct io_stream *stream;
    uint64_t now;
    enum helio_err err = io_stream_adopt(&stream, post_loop(post), caller);

    if (!err && !guest) {
        io_stream_free(stream);
        err = HELIO_E_MEMORY;
    }
    if (err)
        goto out;
    guest->post = post;
    guest->source = caller->source;
    guest->service = serve->service;
    err = io_line_new(&guest->line, post_loop(post), stream, &serve->config, HELIO_RESPONDER,
                      station_handshake_ms(serve->options), &handlers, guest);
    if (err)
        goto out;
    guest->who = io_line_name(guest->line);
    post_enter(post, guest);
    return true;
out:
    now = io_loop_now(post_loop(post));
    if (tally_may_say(serve->tally, now))
        say_error("call", "cannot serve %s: %s", caller->name, helio_strerror(err));
    tally_settle(serve->tally, &caller->source, GATE_OURS, 0, now);
    free(guest);
    return false;
}

/* ------------------------------------------------------------------------------- from outside -- */

void guest_sieve(struct guest *guest)
{
    if (guest->open && !guest_allowed(guest))
        guest_fail(guest, "no longer allowed");
}

void guest_stop(struct guest *guest)
{
    if (!guest->open)
        guest_fail(guest, "stopped");
    else if (!is_over(guest) && guest->service->stop)
        guest->service->stop(guest);
}

void guest_give_up(struct guest *guest)
{
    guest_fail(guest, "stopped");
}

void guest_drop(struct guest *guest)
{
    if (!is_over(guest))
        guest->cause = "stopped";
    guest->ending = true;
    io_line_drop(guest->line);
}
