/*
 * service_forward.c: each station's line joined with a connection of its own to one target (helio
 * serve --forward HOST:PORT or /PATH).
 *
 * The target hears of nobody before the line is open, that is before the station has proved its key
 * and the roll has it.  While the target has not answered the line is not read; what had been read
 * already waits here.  From then on io_relay has both: each direction ends on its own, and a slow
 * side stops the other.  A target that breaks off fails the line: the station must not take what it
 * has for all.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "serve/serve.h"

enum {
    CONNECT_MS = 10000,
    EARLY_MAX = 1024 * 1024 /* io_line_pause may let 512 KiB through */
};

struct target {
    struct io_place place;
    char name[IO_HOST_SIZE + 16];
};

struct forwarding {
    struct io_dial *dial;
    struct io_relay *relay; /* NULL before the target has answered */
    struct buffer early;    /* what the station said before that */
    bool early_close;       /* and that it has no more to say */
};

static const char *const asked_as[] = {"forward", "line", "", NULL};

static const struct target *target_of(const struct guest *guest)
{
    return guest_serve(guest)->service_state;
}

/* ---------------------------------------------------------------------------------- failures -- */

static const char *const causes[IO_FAULT_COUNT] = {
    [IO_FAULT_NO_HOST] = "target unknown",           [IO_FAULT_REFUSED] = "target refused",
    [IO_FAULT_TIMED_OUT] = "target timed out",       [IO_FAULT_UNREACHABLE] = "target unreachable",
    [IO_FAULT_NOT_ALLOWED] = "target not permitted",
};

static void report_no_target(const struct guest *guest, const struct io_report *report)
{
    const struct target *target = target_of(guest);
    const char *reason = io_fault_text(report->fault);

    say_fields(SAY_WARN, "no-target",
               (const struct say_field[]){{.key = "peer", .text = guest->who},
                                          {.key = "target", .text = target->name},
                                          {.key = "reason", .text = reason},
                                          {.key = "tried", .text = report->detail},
                                          {.key = NULL}},
               "cannot reach %s for %s: %s", target->name, guest->who, reason);
}

static void fail_here(struct guest *guest)
{
    struct io_report report = {.fault = IO_FAULT_SYSTEM};

    report_no_target(guest, &report);
    guest_fail(guest, "target failed");
}

/* ------------------------------------------------------------------------------------- relay -- */

static bool on_target_ended(void *context)
{
    (void)context;
    return true;
}

/* The relay fails the line. */
static bool on_target_failed(void *context, bool writing, int error)
{
    struct guest *guest = context;
    const struct target *target = target_of(guest);

    guest->cause = "target broke off";
    say_fields(SAY_WARN, "target-broke-off",
               (const struct say_field[]){{.key = "peer", .text = guest->who},
                                          {.key = "target", .text = target->name},
                                          {.key = "reason", .text = strerror(error)},
                                          {.key = NULL}},
               "%s broke off while %s was %s it: %s", target->name, guest->who,
               writing ? "writing to" : "reading from", strerror(error));
    return false;
}

static const struct io_relay_handlers relay_handlers = {
    .input_ended = on_target_ended,
    .failed = on_target_failed,
};

/* What came too early, now in its place.  The relay pauses the line again where it must. */
static void replay(struct guest *guest)
{
    struct forwarding *forwarding = guest->state;
    struct buffer *early = &forwarding->early;
    helio_event data = {HELIO_EVENT_DATA, buffer_front(early), buffer_size(early)};
    helio_event closed = {HELIO_EVENT_CLOSED, NULL, 0};

    if (data.size > 0)
        io_relay_event(forwarding->relay, &data);
    buffer_clear(early);
    if (forwarding->early_close)
        io_relay_event(forwarding->relay, &closed);
}

static void on_dialled(void *context, struct io_stream *stream, const struct io_report *report)
{
    struct guest *guest = context;
    struct forwarding *forwarding = guest->state;
    int in, out;

    if (!stream) {
        const char *cause = causes[report->fault];

        report_no_target(guest, report);
        guest_fail(guest, cause ? cause : "target failed");
        return;
    }
    in = io_stream_release(stream);
    if (in >= 0)
        io_tune(in);
    out = in >= 0 ? fcntl(in, F_DUPFD_CLOEXEC, 0) : -1;
    if (out < 0) {
        if (in >= 0)
            close(in);
        fail_here(guest);
        return;
    }
    if (io_relay_new(&forwarding->relay, post_loop(guest->post), guest->line, in, out,
                     &relay_handlers, guest)) {
        forwarding->relay = NULL;
        fail_here(guest);
        return;
    }
    io_line_resume(guest->line);
    replay(guest);
}

/* ------------------------------------------------------------------------------- the service -- */

static int forward_prepare(struct serve *serve)
{
    struct target *target = calloc(1, sizeof *target);
    const char *wrong;

    if (!target) {
        say_error("memory", "no memory");
        return STATUS_LOCAL;
    }
    serve->service_state = target;
    wrong = io_place_parse_target(&target->place, serve->options->forward);
    if (wrong)
        return usage_error("serve", "--forward \"%.100s\" is neither HOST:PORT nor /PATH: %s",
                           serve->options->forward, wrong);
    io_place_format(&target->place, target->name, sizeof target->name);
    return STATUS_DONE;
}

static void forward_clear(struct serve *serve)
{
    free(serve->service_state);
    serve->service_state = NULL;
}

static enum helio_err forward_begin(struct guest *guest)
{
    struct forwarding *forwarding = calloc(1, sizeof *forwarding);
    enum helio_err err;

    if (!forwarding)
        return HELIO_E_MEMORY;
    guest->state = forwarding;
    buffer_init(&forwarding->early, EARLY_MAX);
    io_line_pause(guest->line);
    err = io_dial_new(&forwarding->dial, post_loop(guest->post), &target_of(guest)->place,
                      IO_FAMILY_ANY, CONNECT_MS, on_dialled, guest);
    if (err) /* nothing was handed out */
        forwarding->dial = NULL;
    return err;
}

static void take(struct guest *guest, const helio_event *event)
{
    struct forwarding *forwarding = guest->state;

    if (forwarding->relay)
        io_relay_event(forwarding->relay, event);
    else if (event->kind == HELIO_EVENT_CLOSED)
        forwarding->early_close = true;
    else if (buffer_append(&forwarding->early, event->data, event->size))
        guest_fail(guest, "no memory for what it said");
}

static void forward_event(struct guest *guest, const helio_event *event)
{
    static const helio_event newline = {HELIO_EVENT_DATA, (const uint8_t *)"\n", 1};

    take(guest, event);
    if (guest_lacks_newline(event))
        take(guest, &newline);
}

static void forward_writable(struct guest *guest)
{
    struct forwarding *forwarding = guest->state;

    if (forwarding->relay)
        io_relay_writable(forwarding->relay);
}

static void forward_end(struct guest *guest)
{
    struct forwarding *forwarding = guest->state;

    if (!forwarding)
        return;
    io_dial_free(forwarding->dial);
    io_relay_free(forwarding->relay);
    buffer_clear(&forwarding->early);
    free(forwarding);
    guest->state = NULL;
}

/* No stop: what a connection still has to say only its two ends know. */
const struct service service_forward = {
    .name = "forward",
    .called_by = "helio forward PORT",
    .asked_as = asked_as,
    .descriptors = 3, /* the target's socket, too, and its duplicate */
    .prepare = forward_prepare,
    .begin = forward_begin,
    .event = forward_event,
    .writable = forward_writable,
    .end = forward_end,
    .clear = forward_clear,
};
