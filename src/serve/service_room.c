/*
 * service_room.c: a chat room of all stations (helio serve --room): what each says.
 *
 * What is said, as a message or as the lines of a stream, is cut at line ends, and each line goes
 * to every other station (room.h) as one message, "NAME: text".  Since no message holds a line end
 * nobody can make a line that looks like another station's.  What else could trouble a terminal is
 * made harmless where it is shown.
 *
 * A station that says too much is not read for a while, so that its own connection fills; what had
 * been read already waits here.
 *
 * All guests are at one post (one_post), so one thread has all of this to itself.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "serve/room.h"

enum {
    WAITING_MAX = 2 * 512 * 1024, /* io_line_pause may let 512 KiB through */
    /* A line costs one, and one more for each COST_BYTES of it. */
    COST_BYTES = 4096,
    CREDIT_PER_SECOND = 50,
    CREDIT_MAX = 100
};

struct speaker {
    struct member member;
    bool closed;           /* it has nothing more to say … */
    bool lost;             /* … and something that it said came too late */
    bool overlong;         /* the line under way is too long, and thrown away */
    struct buffer line;    /* the beginning of a line */
    struct buffer waiting; /* lines, each with its '\n', that it may not say yet */
    struct io_timer *patience;
    uint64_t credit; /* thousandths */
    uint64_t credited_at;
};

static const char *const asked_as[] = {"line", "", NULL};

/* ---------------------------------------------------------------------------------- speaking -- */

static void earn_credit(struct speaker *speaker)
{
    uint64_t now = io_loop_now(post_loop(speaker->member.guest->post));
    uint64_t earned = (now - speaker->credited_at) * CREDIT_PER_SECOND;

    speaker->credited_at = now;
    speaker->credit += earned;
    if (speaker->credit > CREDIT_MAX * 1000)
        speaker->credit = CREDIT_MAX * 1000;
}

static uint64_t cost_of(size_t n)
{
    return (1 + n / COST_BYTES) * 1000;
}

/* All that it said has been told: it may go. */
static void depart(struct speaker *speaker)
{
    struct io_line *line = speaker->member.guest->line;

    room_leave(&speaker->member);
    if (speaker->lost) {
        guest_fail(speaker->member.guest, "stopped");
        return;
    }
    io_line_resume(line); /* its receipt is still to come */
    io_line_confirm(line);
    io_line_close(line);
}

/* To everybody else. */
static void speak(struct speaker *speaker, const uint8_t *line, size_t n)
{
    speaker->credit -= cost_of(n);
    room_say(&speaker->member, line, n);
}

static void wait_for_credit(struct speaker *speaker, uint64_t needed)
{
    uint64_t lacking = needed > speaker->credit ? needed - speaker->credit : 0;

    io_line_pause(speaker->member.guest->line);
    io_timer_set(speaker->patience, lacking / CREDIT_PER_SECOND + 1);
}

/* Says what has waited, as far as there is credit. */
static void on_patience(void *context)
{
    struct speaker *speaker = context;
    struct buffer *waiting = &speaker->waiting;

    earn_credit(speaker);
    while (buffer_size(waiting) > 0) {
        const uint8_t *line = buffer_front(waiting);
        const uint8_t *end = memchr(line, '\n', buffer_size(waiting));
        size_t n = (size_t)(end - line);

        if (speaker->credit < cost_of(n)) {
            wait_for_credit(speaker, cost_of(n));
            return;
        }
        speak(speaker, line, n);
        buffer_consume(waiting, n + 1);
    }
    buffer_clear(waiting);
    if (speaker->closed)
        depart(speaker);
    else
        io_line_resume(speaker->member.guest->line);
}

static enum helio_err hold_back(struct speaker *speaker, const uint8_t *line, size_t n)
{
    enum helio_err err = HELIO_OK;

    if (!speaker->patience)
        err = io_timer_new(&speaker->patience, post_loop(speaker->member.guest->post), on_patience,
                           speaker);
    if (!err && n + 1 > buffer_room(&speaker->waiting))
        err = HELIO_E_MEMORY;
    if (!err)
        err = buffer_append(&speaker->waiting, line, n);
    if (!err)
        err = buffer_append(&speaker->waiting, "\n", 1);
    if (!err && buffer_size(&speaker->waiting) == n + 1)
        wait_for_credit(speaker, cost_of(n));
    return err;
}

/* One line is complete. */
static void take_line(struct speaker *speaker, const uint8_t *line, size_t n)
{
    if (n == 0)
        return;
    if (!speaker->member.here) {
        speaker->lost = true;
        return;
    }
    earn_credit(speaker);
    if (buffer_size(&speaker->waiting) == 0 && speaker->credit >= cost_of(n))
        speak(speaker, line, n);
    else if (hold_back(speaker, line, n))
        guest_fail(speaker->member.guest, "no memory for what it said");
}

static void refuse_line(struct speaker *speaker)
{
    char note[96];
    int n = snprintf(note, sizeof note,
                     "* not told to anybody: a line of more than %d bytes is too long",
                     (int)ROOM_LINE_MAX);

    speaker->overlong = false;
    if (speaker->member.here)
        room_tell(&speaker->member, note, (size_t)n);
}

static void end_line(struct speaker *speaker)
{
    if (speaker->overlong)
        refuse_line(speaker);
    else
        take_line(speaker, buffer_front(&speaker->line), buffer_size(&speaker->line));
    buffer_clear(&speaker->line);
}

/* A piece of a line; the rest of one that is too long is not kept. */
static void add_to_line(struct speaker *speaker, const uint8_t *text, size_t n)
{
    enum helio_err err = speaker->overlong ? HELIO_OK : buffer_append(&speaker->line, text, n);

    if (err == HELIO_E_AGAIN) {
        speaker->overlong = true;
        buffer_clear(&speaker->line);
    } else if (err) {
        guest_fail(speaker->member.guest, "no memory for what it said");
    }
}

/*
 * Up to the first line end.  A carriage return is one, too: for many readers of text it is, and
 * what follows it would pass for a line of its own.
 */
static size_t line_length(const uint8_t *text, size_t n)
{
    size_t i = 0;

    while (i < n && text[i] != '\n' && text[i] != '\r')
        i++;
    return i;
}

static void take(struct speaker *speaker, const uint8_t *text, size_t n)
{
    while (n > 0) {
        size_t length = line_length(text, n);

        add_to_line(speaker, text, length);
        if (length == n)
            return;
        end_line(speaker);
        text += length + 1;
        n -= length + 1;
    }
}

/* ------------------------------------------------------------------------------- the service -- */

static int room_prepare(struct serve *serve)
{
    serve->service_state = room_new();
    if (serve->service_state)
        return STATUS_DONE;
    say_error("memory", "no memory for the room");
    return STATUS_LOCAL;
}

static void room_clear(struct serve *serve)
{
    room_free(serve->service_state);
    serve->service_state = NULL;
}

static enum helio_err room_begin(struct guest *guest)
{
    struct speaker *speaker = calloc(1, sizeof *speaker);

    if (!speaker)
        return HELIO_E_MEMORY;
    guest->state = speaker;
    speaker->member.guest = guest;
    speaker->credit = CREDIT_MAX * 1000;
    speaker->credited_at = io_loop_now(post_loop(guest->post));
    buffer_init(&speaker->line, ROOM_LINE_MAX);
    buffer_init(&speaker->waiting, WAITING_MAX);
    room_enter(&speaker->member);
    return HELIO_OK;
}

static void room_event(struct guest *guest, const helio_event *event)
{
    struct speaker *speaker = guest->state;

    take(speaker, event->data, event->size);
    if (event->kind != HELIO_EVENT_DATA)
        end_line(speaker);
    if (event->kind != HELIO_EVENT_CLOSED)
        return;
    speaker->closed = true;
    if (buffer_size(&speaker->waiting) == 0)
        depart(speaker);
}

static void room_writable(struct guest *guest)
{
    struct speaker *speaker = guest->state;

    if (speaker->member.here)
        room_catch_up(&speaker->member);
}

/* What a station says from now on comes too late; its own close ends the line. */
static void room_stop(struct guest *guest)
{
    static const char note[] = "* the server is closing";
    struct speaker *speaker = guest->state;

    if (!room_step_out(&speaker->member))
        return;
    speaker->lost = buffer_size(&speaker->waiting) > 0;
    buffer_clear(&speaker->waiting);
    if (speaker->patience)
        io_timer_stop(speaker->patience);
    room_tell(&speaker->member, note, sizeof note - 1);
    if (speaker->closed) {
        depart(speaker);
        return;
    }
    io_line_close(guest->line);
    io_line_resume(guest->line);
}

static void room_end(struct guest *guest)
{
    struct speaker *speaker = guest->state;

    if (!speaker)
        return;
    room_leave(&speaker->member);
    io_timer_free(speaker->patience);
    buffer_clear(&speaker->line);
    buffer_clear(&speaker->waiting);
    free(speaker);
    guest->state = NULL;
}

const struct service service_room = {
    .name = "room",
    .called_by = STATION_CALL,
    .asked_as = asked_as,
    .one_post = true,
    .prepare = room_prepare,
    .begin = room_begin,
    .event = room_event,
    .writable = room_writable,
    .stop = room_stop,
    .end = room_end,
    .clear = room_clear,
};
