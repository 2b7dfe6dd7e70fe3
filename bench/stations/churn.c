/*
 * churn.c: stations that come, talk, leave and come again.
 *
 * A visit: rest, call, some bursts of bytes that the server echoes, and an end that was decided
 * before: in order, in order with a burst still under way, cut when all is quiet, cut in the middle
 * of a burst, or cut within the handshake.  What is sent is a stream of random bytes that a seed
 * repeats; a second generator says what must come back, and each byte is compared.
 *
 * A visit that ends in any other way than the one decided is an error.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stations.h"

enum {
    PIECE_MAX = 65536,
    BURST_BITS = 17,    /* a burst is at most so many bits long */
    CUT_EARLY_MS = 40,  /* within about a handshake's time */
    SILENCE_MS = 60000, /* nothing comes back: something is stuck */
    TOLD_MAX = 20,      /* the first ones say enough */
    DRAIN_MS = 20000    /* at the end all who are there leave within this */
};

enum ending { IN_ORDER, IN_ORDER_BUSY, CUT_QUIET, CUT_BUSY, CUT_HANDSHAKE, ENDINGS };

static const char *const ending_names[ENDINGS] = {
    [IN_ORDER] = "in order",  [IN_ORDER_BUSY] = "in order, busy",       [CUT_QUIET] = "cut",
    [CUT_BUSY] = "cut, busy", [CUT_HANDSHAKE] = "cut in the handshake",
};

/* Of 100 visits; each row to below the number. */
static const unsigned ending_share[ENDINGS] = {45, 65, 80, 95, 100};

struct churn {
    const struct settings *settings;
    struct io_loop *loop;
    struct io_timer *clock;
    struct station *stations;
    uint64_t began;
    bool leaving;            /* nobody comes any more */
    unsigned lines, present; /* under way at all, and open */
    uint64_t kept_out;
    uint64_t visits[ENDINGS];
    uint64_t calls, sent, received;
    struct tally errors;
    struct sample handshakes;
};

struct station {
    struct churn *churn;
    unsigned number;
    struct io_line *line;
    struct io_timer *timer;
    uint64_t luck;              /* decides what happens */
    uint64_t sending, checking; /* the two generators of one stream */
    enum ending ending;
    unsigned bursts; /* that are still to come */
    uint64_t called;
    uint64_t to_send, on_the_way;
    uint64_t progress; /* when something came last, on the loop's clock */
    bool open, closing, dropped, wrong;
    bool suspect; /* its last visit ended in the handshake: the server may keep it out */
};

static uint8_t buffer[PIECE_MAX];

static void trouble(struct station *station, const char *what)
{
    struct tally *errors = &station->churn->errors;

    if (!station->wrong) {
        tally_add(errors, what);
        if (tally_total(errors) <= TOLD_MAX)
            fprintf(stderr, "stations: station %u, to end %s: %s\n", station->number,
                    ending_names[station->ending], what);
    }
    station->wrong = true;
}

static void drop(struct station *station)
{
    station->dropped = true;
    io_line_drop(station->line);
}

/* From 0 to twice the mean. */
static uint64_t about(struct station *station, uint64_t mean)
{
    return draw_below(&station->luck, 2 * mean + 1);
}

static void rest(struct station *station)
{
    if (!station->churn->leaving)
        io_timer_set(station->timer, about(station, station->churn->settings->rest * 1000));
}

/* ----------------------------------------------------------------------------------- talking -- */

static void end_visit(struct station *station)
{
    station->closing = true;
    if (station->ending == CUT_QUIET || station->ending == CUT_BUSY)
        drop(station);
    else
        io_line_close(station->line);
}

/* False when the line takes no more for now. */
static bool send_piece(struct station *station)
{
    uint64_t before = station->sending, luck = station->luck;
    uint64_t most = station->to_send < PIECE_MAX ? station->to_send : PIECE_MAX;
    size_t n = 1 + (size_t)draw_below(&station->luck, most);
    helio_content content = draw(&station->luck) & 1 ? HELIO_DATA : HELIO_MESSAGE;

    draw_bytes(&station->sending, buffer, n);
    /* Before the call: it may free nothing, but an error comes by ended all the same. */
    if (io_line_send(station->line, buffer, n, content)) {
        station->sending = before;
        station->luck = luck;
        return false;
    }
    station->to_send -= n;
    station->on_the_way += n;
    station->churn->sent += n;
    return true;
}

static void send_on(struct station *station)
{
    while (station->to_send > 0 && !station->wrong && send_piece(station))
        ;
    if (station->to_send == 0 && station->bursts == 0 && !station->closing &&
        (station->ending == IN_ORDER_BUSY || station->ending == CUT_BUSY))
        end_visit(station);
}

static void begin_burst(struct station *station)
{
    station->bursts--;
    /* As many short ones as long ones. */
    station->to_send =
        1 + draw_below(&station->luck, 1u << draw_below(&station->luck, BURST_BITS + 1));
    station->progress = io_loop_now(station->churn->loop);
    send_on(station);
}

static void wait_for_next(struct station *station)
{
    uint64_t mean = station->churn->settings->stay * 1000 / (station->bursts + 1);

    io_timer_set(station->timer, about(station, mean));
}

static void on_timer(void *context);

static void check(struct station *station, const uint8_t *data, size_t n)
{
    if (n > station->on_the_way) {
        trouble(station, "more came than was sent");
    } else {
        draw_bytes(&station->checking, buffer, n);
        if (memcmp(buffer, data, n) != 0)
            trouble(station, "other bytes came than were sent");
    }
    if (station->wrong) {
        drop(station);
        return;
    }
    station->on_the_way -= n;
    station->churn->received += n;
    station->progress = io_loop_now(station->churn->loop);
}

static void on_open(struct station *station)
{
    struct churn *churn = station->churn;

    sample_add(&churn->handshakes, nanoseconds() - station->called);
    churn->present++;
    station->open = true;
    if (station->ending != CUT_HANDSHAKE)
        wait_for_next(station);
}

static void on_event(void *context, struct io_line *line, const helio_event *event)
{
    struct station *station = context;

    switch (event->kind) {
    case HELIO_EVENT_PEER:
        call_judge(station->churn->settings, line);
        break;
    case HELIO_EVENT_OPEN:
        on_open(station);
        break;
    case HELIO_EVENT_DATA:
    case HELIO_EVENT_MESSAGE:
        if (!station->wrong)
            check(station, event->data, event->size);
        break;
    case HELIO_EVENT_CLOSED:
        if (!station->closing)
            trouble(station, "the server closed first");
        else if (station->on_the_way > 0)
            trouble(station, "bytes are missing at the end");
        io_line_confirm(line);
        if (!station->closing)
            io_line_close(line);
        break;
    default:
        break;
    }
}

static void on_writable(void *context, struct io_line *line)
{
    (void)line;
    send_on(context);
}

/* Whether it ended as it was meant to. */
static void note_end(struct station *station, enum helio_err err)
{
    struct churn *churn = station->churn;
    bool cut = station->ending == CUT_HANDSHAKE || station->ending == CUT_QUIET ||
               station->ending == CUT_BUSY;
    bool kept_out = station->suspect && !station->open && !station->dropped && err == HELIO_E_CUT;

    if (kept_out)
        churn->kept_out++;
    else if (err != (cut ? HELIO_E_CUT : HELIO_OK) || cut != station->dropped)
        trouble(station, helio_strerror(err));
    if (station->wrong || kept_out)
        return;
    churn->visits[station->ending]++;
    station->suspect = station->ending == CUT_HANDSHAKE;
}

static void on_ended(void *context, struct io_line *line, enum helio_err err)
{
    struct station *station = context;
    struct churn *churn = station->churn;
    io_timer_stop(station->timer);
    churn->lines--;
    if (station->open)
        churn->present--;
    note_end(station, err);
    station->line = NULL;
    io_line_free(line);
    if (churn->leaving && churn->lines == 0)
        io_timer_stop(churn->clock);
    rest(station);
}

static const struct io_line_handlers handlers = {
    .event = on_event,
    .writable = on_writable,
    .ended = on_ended,
};

/* ------------------------------------------------------------------------------------ visits -- */

static enum ending choose_ending(struct station *station)
{
    uint64_t luck = draw_below(&station->luck, 100);
    enum ending ending = IN_ORDER;

    while (luck >= ending_share[ending])
        ending++;
    return ending;
}

static void call(struct station *station)
{
    const struct settings *settings = station->churn->settings;
    const char *wrong;

    station->ending = choose_ending(station);
    station->bursts = 1 + (unsigned)draw_below(&station->luck, 8);
    station->sending = station->checking = draw(&station->luck);
    station->to_send = station->on_the_way = 0;
    station->open = station->closing = station->dropped = station->wrong = false;
    station->called = nanoseconds();
    station->churn->calls++;
    wrong = call_server(&station->line, settings, station->churn->loop, station->number, &handlers,
                        station);
    if (wrong) {
        trouble(station, wrong);
        rest(station);
        return;
    }
    station->churn->lines++;
    if (station->ending == CUT_HANDSHAKE)
        io_timer_set(station->timer, about(station, CUT_EARLY_MS / 2));
}

static void on_timer(void *context)
{
    struct station *station = context;
    struct io_line *line = station->line;
    bool quiet = station->to_send == 0 && station->on_the_way == 0;

    if (!line) {
        call(station);
    } else if (station->ending == CUT_HANDSHAKE) {
        drop(station);
    } else if (quiet && station->bursts > 0) {
        begin_burst(station);
        if (station->line && !station->closing)
            wait_for_next(station);
    } else if (quiet) {
        end_visit(station);
    } else if (io_loop_now(station->churn->loop) - station->progress > SILENCE_MS) {
        trouble(station, "nothing comes back");
        drop(station);
    } else {
        io_timer_set(station->timer, 1000);
    }
}

/* --------------------------------------------------------------------------------- the whole -- */

static void report(struct churn *churn, bool last)
{
    printf("{\"seconds\":%.1f,\"present\":%u,\"calls\":%llu,\"sent\":%llu,\"received\":%llu,",
           (double)(nanoseconds() - churn->began) / 1e9, churn->present,
           (unsigned long long)churn->calls, (unsigned long long)churn->sent,
           (unsigned long long)churn->received);
    for (int i = 0; last && i < ENDINGS; i++)
        printf("\"%s\":%llu,", ending_names[i], (unsigned long long)churn->visits[i]);
    if (last) {
        printf("\"kept out\":%llu,", (unsigned long long)churn->kept_out);
        sample_print(&churn->handshakes, "handshake_ms", stdout);
        putchar(',');
    }
    tally_print(&churn->errors, "errors");
    puts("}");
    fflush(stdout);
}

/* Everybody leaves, in order whatever they had meant to do. */
static void send_home(struct churn *churn)
{
    churn->leaving = true;
    for (unsigned i = 0; i < churn->settings->stations; i++) {
        struct station *station = &churn->stations[i];

        io_timer_stop(station->timer);
        if (!station->line)
            continue;
        if (!station->open) {
            station->ending = CUT_HANDSHAKE;
            drop(station);
        } else if (!station->closing) {
            station->ending = IN_ORDER;
            station->bursts = 0;
            station->closing = true;
            station->to_send = 0;
            io_line_close(station->line);
        }
    }
    if (churn->lines > 0)
        io_timer_set(churn->clock, DRAIN_MS);
}

static void on_clock(void *context)
{
    struct churn *churn = context;
    const struct settings *settings = churn->settings;
    uint64_t passed = (nanoseconds() - churn->began) / 1000000, end = settings->seconds * 1000u;

    if (churn->leaving) {
        for (unsigned i = 0; i < settings->stations; i++)
            if (churn->stations[i].line) {
                trouble(&churn->stations[i], "it did not come to its end");
                drop(&churn->stations[i]);
            }
    } else if (passed >= end) {
        send_home(churn);
    } else {
        uint64_t next = settings->report ? settings->report * 1000u : end;

        if (settings->report)
            report(churn, false);
        io_timer_set(churn->clock, next < end - passed ? next : end - passed);
    }
}

static bool prepare(struct churn *churn)
{
    const struct settings *settings = churn->settings;

    churn->stations = calloc(settings->stations, sizeof *churn->stations);
    if (!churn->stations || io_loop_new(&churn->loop) ||
        io_timer_new(&churn->clock, churn->loop, on_clock, churn))
        return false;
    for (unsigned i = 0; i < settings->stations; i++) {
        struct station *station = &churn->stations[i];

        *station =
            (struct station){.churn = churn, .number = i, .luck = settings->seed * 1000003u + i};
        if (io_timer_new(&station->timer, churn->loop, on_timer, station))
            return false;
        rest(station);
    }
    return true;
}

int run_churn(const struct settings *settings)
{
    struct churn churn = {.settings = settings, .began = nanoseconds()};

    if (!prepare(&churn)) {
        fputs("stations: cannot begin: no memory or no descriptors\n", stderr);
        return 1;
    }
    on_clock(&churn);
    /* Ends by itself: when nobody is there and no timer runs. */
    io_loop_run(churn.loop);
    report(&churn, true);
    for (unsigned i = 0; i < settings->stations; i++)
        io_timer_free(churn.stations[i].timer);
    io_timer_free(churn.clock);
    io_loop_free(churn.loop);
    sample_clear(&churn.handshakes);
    free(churn.stations);
    return tally_total(&churn.errors) > 0;
}
