/*
 * open.c: many lines, opened as fast as so many handshakes at a time go; then some of them send
 * pings, small messages that the server echoes; then all are held, and at the end closed in order.
 *
 * A ping that is due while the one before is on its way is counted from when it was due: a server
 * that stops answering is not let off with one slow answer.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stations.h"

enum { CLOSE_MS = 60000 };

struct crowd {
    const struct settings *settings;
    struct io_loop *loop;
    struct io_signals *signals;
    struct io_timer *clock;
    void (*next)(struct crowd *crowd); /* what begins when the clock has run down */
    struct station *stations;
    uint64_t began;
    unsigned called, under_way, open, failed, closed;
    bool pinging, closing, told;
    struct sample handshakes, pings;
    struct tally errors;
};

struct station {
    struct crowd *crowd;
    struct io_line *line;
    struct io_timer *timer;
    uint64_t called;
    uint64_t sent, due; /* of the ping that is on its way, and of one that waits; 0: none */
    size_t received;
    bool open;
};

static uint8_t text[HELIO_SEND_MAX];

static void call_more(struct crowd *crowd);
static void after_opening(struct crowd *crowd);

static void print_errors(struct crowd *crowd)
{
    tally_print(&crowd->errors, "errors");
    puts("}");
    fflush(stdout);
}

static void after(struct crowd *crowd, uint64_t milliseconds, void (*next)(struct crowd *crowd))
{
    crowd->next = next;
    io_timer_set(crowd->clock, milliseconds);
}

static void on_clock(void *context)
{
    struct crowd *crowd = context;

    crowd->next(crowd);
}

/* -------------------------------------------------------------------------------------- pings -- */

static void ping(struct station *station, uint64_t since)
{
    station->sent = since;
    station->received = 0;
    if (io_line_send(station->line, text, station->crowd->settings->size, HELIO_MESSAGE))
        tally_add(&station->crowd->errors, "a ping was not taken");
}

static void on_ping_timer(void *context)
{
    struct station *station = context;
    uint64_t now = nanoseconds();

    if (!station->open || !station->crowd->pinging)
        return;
    io_timer_set(station->timer, station->crowd->settings->every);
    if (!station->sent)
        ping(station, now);
    else if (!station->due)
        station->due = now;
}

static void take_pong(struct station *station, const helio_event *event)
{
    struct crowd *crowd = station->crowd;
    size_t size = crowd->settings->size;

    if (!station->sent || station->received + event->size > size ||
        memcmp(text + station->received, event->data, event->size) != 0) {
        tally_add(&crowd->errors, "a wrong echo");
        return;
    }
    station->received += event->size;
    if (station->received < size)
        return;
    sample_add(&crowd->pings, nanoseconds() - station->sent);
    station->sent = 0;
    if (station->due && crowd->pinging)
        ping(station, station->due);
    station->due = 0;
}

/* -------------------------------------------------------------------------------------- lines -- */

static void settle(struct station *station)
{
    struct crowd *crowd = station->crowd;

    crowd->under_way--;
    if (station->open) {
        crowd->open++;
        sample_add(&crowd->handshakes, nanoseconds() - station->called);
    } else {
        crowd->failed++;
    }
    call_more(crowd);
}

static void on_event(void *context, struct io_line *line, const helio_event *event)
{
    struct station *station = context;

    switch (event->kind) {
    case HELIO_EVENT_PEER:
        call_judge(station->crowd->settings, line);
        break;
    case HELIO_EVENT_OPEN:
        station->open = true;
        settle(station);
        break;
    case HELIO_EVENT_DATA:
    case HELIO_EVENT_MESSAGE:
        take_pong(station, event);
        break;
    case HELIO_EVENT_CLOSED:
        io_line_confirm(line);
        io_line_close(line);
        break;
    default:
        break;
    }
}

static void on_writable(void *context, struct io_line *line)
{
    (void)context;
    (void)line;
}

static void finish(struct crowd *crowd)
{
    io_timer_stop(crowd->clock);
    io_loop_stop(crowd->loop);
}

static void on_ended(void *context, struct io_line *line, enum helio_err err)
{
    struct station *station = context;
    struct crowd *crowd = station->crowd;
    bool was_open = station->open;

    if (err != HELIO_OK)
        tally_add(&crowd->errors, helio_strerror(err));
    else if (!crowd->closing)
        tally_add(&crowd->errors, "the server closed");
    station->line = NULL;
    station->open = false;
    io_line_free(line);
    if (!was_open) {
        settle(station);
        return;
    }
    crowd->open--;
    crowd->closed += err == HELIO_OK;
    if (crowd->closing && crowd->open == 0)
        finish(crowd);
}

static const struct io_line_handlers handlers = {
    .event = on_event,
    .writable = on_writable,
    .ended = on_ended,
};

static void call_more(struct crowd *crowd)
{
    const struct settings *settings = crowd->settings;

    while (crowd->called < settings->stations && crowd->under_way < settings->at_once &&
           !crowd->closing) {
        struct station *station = &crowd->stations[crowd->called];
        const char *wrong;

        station->crowd = crowd;
        station->called = nanoseconds();
        wrong =
            call_server(&station->line, settings, crowd->loop, crowd->called, &handlers, station);
        crowd->called++;
        if (wrong) {
            tally_add(&crowd->errors, wrong);
            crowd->failed++;
        } else {
            crowd->under_way++;
        }
    }
    if (crowd->under_way == 0 && !crowd->told && !crowd->closing) {
        crowd->told = true;
        after_opening(crowd);
    }
}

/* ------------------------------------------------------------------------------------- phases -- */

static void give_up(struct crowd *crowd)
{
    tally_add(&crowd->errors, "not all lines came to their end");
    finish(crowd);
}

static void close_all(struct crowd *crowd)
{
    if (crowd->closing)
        return;
    crowd->closing = true;
    crowd->pinging = false;
    for (unsigned i = 0; i < crowd->called; i++)
        if (crowd->stations[i].line && crowd->stations[i].open)
            io_line_close(crowd->stations[i].line);
        else if (crowd->stations[i].line)
            io_line_drop(crowd->stations[i].line);
    if (crowd->open == 0)
        finish(crowd);
    else
        after(crowd, CLOSE_MS, give_up);
}

static void begin_hold(struct crowd *crowd)
{
    crowd->pinging = false;
    if (crowd->pings.n > 0) {
        printf("{\"phase\":\"pinged\",\"open\":%u,", crowd->open);
        sample_print(&crowd->pings, "ping_ms", stdout);
        putchar(',');
        print_errors(crowd);
    }
    if (crowd->open == 0)
        close_all(crowd);
    else if (crowd->settings->hold != UNTIL_SIGNAL)
        after(crowd, crowd->settings->hold * 1000, close_all);
}

static void begin_pings(struct crowd *crowd)
{
    const struct settings *settings = crowd->settings;
    unsigned every = settings->pingers ? settings->stations / settings->pingers : 0;

    crowd->pinging = true;
    for (unsigned i = 0; i < settings->pingers; i++) {
        struct station *station = &crowd->stations[i * (every ? every : 1) % settings->stations];

        if (!station->open || station->timer)
            continue;
        if (io_timer_new(&station->timer, crowd->loop, on_ping_timer, station)) {
            tally_add(&crowd->errors, "no memory for a timer");
            continue;
        }
        /* Not all at once. */
        io_timer_set(station->timer, (uint64_t)settings->every * i / settings->pingers);
    }
    after(crowd, settings->seconds * 1000, begin_hold);
}

static void after_opening(struct crowd *crowd)
{
    double seconds = (double)(nanoseconds() - crowd->began) / 1e9;

    printf("{\"phase\":\"opened\",\"open\":%u,\"failed\":%u,\"seconds\":%.3f,\"per_second\":%.1f,",
           crowd->open, crowd->failed, seconds, crowd->open / seconds);
    sample_print(&crowd->handshakes, "handshake_ms", stdout);
    putchar(',');
    print_errors(crowd);
    if (crowd->settings->pingers > 0)
        begin_pings(crowd);
    else
        begin_hold(crowd);
}

static void on_signal(void *context, int number)
{
    if (number == SIGINT || number == SIGTERM)
        close_all(context);
}

static bool prepare(struct crowd *crowd)
{
    crowd->stations = calloc(crowd->settings->stations, sizeof *crowd->stations);
    return crowd->stations && !io_loop_new(&crowd->loop) &&
           !io_signals_new(&crowd->signals, crowd->loop, on_signal, crowd) &&
           !io_timer_new(&crowd->clock, crowd->loop, on_clock, crowd);
}

static void clear(struct crowd *crowd)
{
    for (unsigned i = 0; i < crowd->called; i++)
        io_timer_free(crowd->stations[i].timer);
    io_timer_free(crowd->clock);
    io_signals_free(crowd->signals);
    io_loop_free(crowd->loop);
    sample_clear(&crowd->handshakes);
    sample_clear(&crowd->pings);
    free(crowd->stations);
}

int run_open(const struct settings *settings)
{
    struct crowd crowd = {.settings = settings, .began = nanoseconds()};
    uint64_t seed = settings->seed;

    draw_bytes(&seed, text, sizeof text);
    if (!prepare(&crowd)) {
        fputs("stations: cannot begin: no memory or no descriptors\n", stderr);
        return 1;
    }
    call_more(&crowd);
    io_loop_run(crowd.loop);
    printf("{\"phase\":\"closed\",\"closed\":%u,", crowd.closed);
    print_errors(&crowd);
    clear(&crowd);
    return tally_total(&crowd.errors) > 0;
}
