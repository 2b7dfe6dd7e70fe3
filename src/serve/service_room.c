/*
 * service_room.c: a chat room of all stations (helio serve --room).
 *
 * What is said, as a message or as the lines of a stream, is cut at line ends, and each line goes
 * to every other station as one message, "NAME: text".  NAME is the one on the roll, so nobody
 * chooses it, and since no message holds a line end nobody can make a line that looks like another
 * station's.  Lines that begin with "* " are the room's own: no name on the roll is followed by a
 * space.  What else could trouble a terminal is made harmless where it is shown.
 *
 * The bounds.  A station whose queue is full misses messages and is told how many once it reads
 * again; nobody waits for it.  A station that says too much is not read for a while, so that its
 * own connection fills; what had been read already waits here.
 *
 * All guests are at one post (one_post), so one thread has all of this to itself.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/wipe.h"
#include "serve/serve.h"

enum {
    NAME_SIZE = SAY_QUOTED_MAX + 12, /* with "#2" when the same station is here twice */
    LINE_MAX_BYTES = 64000,
    WAITING_MAX = 2 * 512 * 1024, /* io_line_pause may let 512 KiB through */
    LISTED_MAX = 20,              /* names that a newcomer is told */
    NOTE_SIZE = (LISTED_MAX + 1) * NAME_SIZE + 128,
    /* A line costs one, and one more for each COST_BYTES of it. */
    COST_BYTES = 4096,
    CREDIT_PER_SECOND = 50,
    CREDIT_MAX = 100
};

static_assert(NAME_SIZE + 2 + LINE_MAX_BYTES <= HELIO_SEND_MAX, "\"NAME: line\" is one message");

struct member {
    struct guest *guest;
    struct member *next, *previous;
    unsigned number;       /* 1, or which of several from the same station */
    bool here;             /* in the room: hears what is said */
    bool closed;           /* it has nothing more to say … */
    bool lost;             /* … and something that it said came too late */
    bool overlong;         /* the line under way is too long, and thrown away */
    uint64_t missed;       /* messages that it had no room for, and was not told of yet */
    struct buffer line;    /* the beginning of a line */
    struct buffer waiting; /* lines, each with its '\n', that it may not say yet */
    struct io_timer *patience;
    uint64_t credit; /* thousandths */
    uint64_t credited_at;
};

struct room {
    struct member *first;
    unsigned count;
    uint8_t text[HELIO_SEND_MAX]; /* the message being told */
};

static const char *const asked_as[] = {"line", "", NULL};

static struct room *room_of(const struct guest *guest)
{
    return guest_serve(guest)->service_state;
}

static const char *name_of(const struct member *member, char out[NAME_SIZE])
{
    if (member->number > 1)
        snprintf(out, NAME_SIZE, "%s#%u", member->guest->who, member->number);
    else
        snprintf(out, NAME_SIZE, "%s", member->guest->who);
    return out;
}

/* ----------------------------------------------------------------------------------- hearing -- */

/* Says how much was missed; false while there is still no room even for that. */
static bool catch_up(struct member *member)
{
    char note[64];
    int n;

    if (member->missed == 0)
        return true;
    n = snprintf(note, sizeof note, "* you missed %llu message%s",
                 (unsigned long long)member->missed, member->missed == 1 ? "" : "s");
    if (io_line_send(member->guest->line, (const uint8_t *)note, (size_t)n, HELIO_MESSAGE))
        return false;
    member->missed = 0;
    return true;
}

/*
 * Once something was missed, nothing is told before the station knows: a shorter message that
 * still found room would hide the gap.  Errors other than a full queue end the line by themselves.
 */
static void tell(struct member *member, const void *text, size_t n)
{
    if (member->missed > 0 ||
        io_line_send(member->guest->line, text, n, HELIO_MESSAGE) == HELIO_E_AGAIN)
        member->missed++;
}

static void tell_others(struct room *room, const struct member *speaker, const void *text, size_t n)
{
    for (struct member *member = room->first; member; member = member->next)
        if (member != speaker)
            tell(member, text, n);
}

/* "* bob has joined (3 here)" */
static void announce(struct room *room, const struct member *member, const char *what)
{
    char name[NAME_SIZE], note[NAME_SIZE + 64];
    int n = snprintf(note, sizeof note, "* %s has %s (%u here)", name_of(member, name), what,
                     room->count);

    tell_others(room, member, note, (size_t)n);
}

/* ---------------------------------------------------------------------------------- speaking -- */

static void earn_credit(struct member *member)
{
    uint64_t now = io_loop_now(post_loop(member->guest->post));
    uint64_t earned = (now - member->credited_at) * CREDIT_PER_SECOND;

    member->credited_at = now;
    member->credit += earned;
    if (member->credit > CREDIT_MAX * 1000)
        member->credit = CREDIT_MAX * 1000;
}

static uint64_t cost_of(size_t n)
{
    return (1 + n / COST_BYTES) * 1000;
}

/* To everybody else; n is at most LINE_MAX_BYTES. */
static void speak(struct member *member, const uint8_t *line, size_t n)
{
    struct room *room = room_of(member->guest);
    char name[NAME_SIZE];
    int begin = snprintf((char *)room->text, NAME_SIZE + 2, "%s: ", name_of(member, name));

    member->credit -= cost_of(n);
    memcpy(room->text + begin, line, n);
    tell_others(room, member, room->text, (size_t)begin + n);
}

static void leave(struct member *member);

/* All that it said has been told: it may go. */
static void depart(struct member *member)
{
    struct io_line *line = member->guest->line;

    leave(member);
    if (member->lost) {
        guest_fail(member->guest, "stopped");
        return;
    }
    io_line_resume(line); /* its receipt is still to come */
    io_line_confirm(line);
    io_line_close(line);
}

static void wait_for_credit(struct member *member, uint64_t needed)
{
    uint64_t lacking = needed > member->credit ? needed - member->credit : 0;

    io_line_pause(member->guest->line);
    io_timer_set(member->patience, lacking / CREDIT_PER_SECOND + 1);
}

/* Says what has waited, as far as there is credit. */
static void on_patience(void *context)
{
    struct member *member = context;
    struct buffer *waiting = &member->waiting;

    earn_credit(member);
    while (buffer_size(waiting) > 0) {
        const uint8_t *line = buffer_front(waiting);
        const uint8_t *end = memchr(line, '\n', buffer_size(waiting));
        size_t n = (size_t)(end - line);

        if (member->credit < cost_of(n)) {
            wait_for_credit(member, cost_of(n));
            return;
        }
        speak(member, line, n);
        buffer_consume(waiting, n + 1);
    }
    buffer_clear(waiting);
    if (member->closed)
        depart(member);
    else
        io_line_resume(member->guest->line);
}

static enum helio_err hold_back(struct member *member, const uint8_t *line, size_t n)
{
    enum helio_err err = HELIO_OK;

    if (!member->patience)
        err = io_timer_new(&member->patience, post_loop(member->guest->post), on_patience, member);
    if (!err && n + 1 > buffer_room(&member->waiting))
        err = HELIO_E_MEMORY;
    if (!err)
        err = buffer_append(&member->waiting, line, n);
    if (!err)
        err = buffer_append(&member->waiting, "\n", 1);
    if (!err && buffer_size(&member->waiting) == n + 1)
        wait_for_credit(member, cost_of(n));
    return err;
}

/* One line is complete. */
static void take_line(struct member *member, const uint8_t *line, size_t n)
{
    if (n == 0)
        return;
    if (!member->here) {
        member->lost = true;
        return;
    }
    earn_credit(member);
    if (buffer_size(&member->waiting) == 0 && member->credit >= cost_of(n))
        speak(member, line, n);
    else if (hold_back(member, line, n))
        guest_fail(member->guest, "no memory for what it said");
}

static void refuse_line(struct member *member)
{
    char note[96];
    int n = snprintf(note, sizeof note,
                     "* not told to anybody: a line of more than %d bytes is too long",
                     (int)LINE_MAX_BYTES);

    member->overlong = false;
    if (member->here)
        tell(member, note, (size_t)n);
}

static void end_line(struct member *member)
{
    if (member->overlong)
        refuse_line(member);
    else
        take_line(member, buffer_front(&member->line), buffer_size(&member->line));
    buffer_clear(&member->line);
}

/* A piece of a line; the rest of one that is too long is not kept. */
static void add_to_line(struct member *member, const uint8_t *text, size_t n)
{
    enum helio_err err = member->overlong ? HELIO_OK : buffer_append(&member->line, text, n);

    if (err == HELIO_E_AGAIN) {
        member->overlong = true;
        buffer_clear(&member->line);
    } else if (err) {
        guest_fail(member->guest, "no memory for what it said");
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

static void take(struct member *member, const uint8_t *text, size_t n)
{
    while (n > 0) {
        size_t length = line_length(text, n);

        add_to_line(member, text, length);
        if (length == n)
            return;
        end_line(member);
        text += length + 1;
        n -= length + 1;
    }
}

/* ---------------------------------------------------------------------------- coming, going -- */

static bool is_taken(const struct room *room, const char *name)
{
    char other[NAME_SIZE];

    /* Without a number it is the only one of its station, and names on the roll are unique. */
    if (!strchr(name, '#'))
        return false;
    for (const struct member *member = room->first; member; member = member->next)
        if (strcmp(name_of(member, other), name) == 0)
            return true;
    return false;
}

/* The same station may be here several times, and a name on the roll may look like "bob#2". */
static void choose_number(const struct room *room, struct member *newcomer)
{
    char name[NAME_SIZE];

    newcomer->number = 1;
    for (const struct member *member = room->first; member; member = member->next)
        if (strcmp(member->guest->who, newcomer->guest->who) == 0 &&
            member->number >= newcomer->number)
            newcomer->number = member->number + 1;
    while (is_taken(room, name_of(newcomer, name)))
        newcomer->number++;
}

/* Who is here; cut by its own bounds: the longest names, all of them, fit. */
static void greet(const struct room *room, struct member *newcomer)
{
    char name[NAME_SIZE], note[NOTE_SIZE];
    unsigned listed = 0;
    size_t n;

    n = (size_t)snprintf(note, sizeof note, "* you are %s; %s", name_of(newcomer, name),
                         room->count ? "here:" : "nobody else is here");
    for (const struct member *member = room->first; member && listed < LISTED_MAX;
         member = member->next, listed++)
        n += (size_t)snprintf(note + n, sizeof note - n, "%s %s", listed ? "," : "",
                              name_of(member, name));
    if (listed < room->count)
        n += (size_t)snprintf(note + n, sizeof note - n, " and %u more", room->count - listed);
    tell(newcomer, note, n);
}

static void enter(struct room *room, struct member *member)
{
    choose_number(room, member);
    greet(room, member);
    member->next = room->first;
    if (room->first)
        room->first->previous = member;
    room->first = member;
    room->count++;
    member->here = true;
    announce(room, member, "joined");
}

/* Out of the list; the second time does nothing. */
static bool step_out(struct room *room, struct member *member)
{
    if (!member->here)
        return false;
    member->here = false;
    if (member->previous)
        member->previous->next = member->next;
    else
        room->first = member->next;
    if (member->next)
        member->next->previous = member->previous;
    room->count--;
    return true;
}

static void leave(struct member *member)
{
    struct room *room = room_of(member->guest);

    if (step_out(room, member))
        announce(room, member, "left");
}

/* ------------------------------------------------------------------------------- the service -- */

static int room_prepare(struct serve *serve)
{
    serve->service_state = calloc(1, sizeof(struct room));
    if (serve->service_state)
        return STATUS_DONE;
    say_error("memory", "no memory for the room");
    return STATUS_LOCAL;
}

static void room_clear(struct serve *serve)
{
    if (serve->service_state)
        wipe(serve->service_state, sizeof(struct room));
    free(serve->service_state);
    serve->service_state = NULL;
}

static enum helio_err room_begin(struct guest *guest)
{
    struct member *member = calloc(1, sizeof *member);

    if (!member)
        return HELIO_E_MEMORY;
    guest->state = member;
    member->guest = guest;
    member->credit = CREDIT_MAX * 1000;
    member->credited_at = io_loop_now(post_loop(guest->post));
    buffer_init(&member->line, LINE_MAX_BYTES);
    buffer_init(&member->waiting, WAITING_MAX);
    enter(room_of(guest), member);
    return HELIO_OK;
}

static void room_event(struct guest *guest, const helio_event *event)
{
    struct member *member = guest->state;

    take(member, event->data, event->size);
    if (event->kind != HELIO_EVENT_DATA)
        end_line(member);
    if (event->kind != HELIO_EVENT_CLOSED)
        return;
    member->closed = true;
    if (buffer_size(&member->waiting) == 0)
        depart(member);
}

static void room_writable(struct guest *guest)
{
    struct member *member = guest->state;

    if (member->here)
        (void)catch_up(member);
}

/* What a station says from now on comes too late; its own close ends the line. */
static void room_stop(struct guest *guest)
{
    static const char note[] = "* the server is closing";
    struct member *member = guest->state;

    if (!step_out(room_of(guest), member))
        return;
    member->lost = buffer_size(&member->waiting) > 0;
    buffer_clear(&member->waiting);
    if (member->patience)
        io_timer_stop(member->patience);
    tell(member, note, sizeof note - 1);
    if (member->closed) {
        depart(member);
        return;
    }
    io_line_close(guest->line);
    io_line_resume(guest->line);
}

static void room_end(struct guest *guest)
{
    struct member *member = guest->state;

    if (!member)
        return;
    leave(member);
    io_timer_free(member->patience);
    buffer_clear(&member->line);
    buffer_clear(&member->waiting);
    free(member);
    guest->state = NULL;
}

const struct service service_room = {
    .name = "room",
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
