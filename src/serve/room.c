#include "serve/room.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"

enum {
    NAME_SIZE = SAY_QUOTED_MAX + 12, /* with "#2" when the same station is here twice */
    LISTED_MAX = 20,                 /* names that a newcomer is told */
    NOTE_SIZE = (LISTED_MAX + 1) * NAME_SIZE + 128
};

static_assert(NAME_SIZE + 2 + ROOM_LINE_MAX <= HELIO_SEND_MAX, "\"NAME: line\" is one message");

struct room {
    struct member *first;
    unsigned count;
    uint8_t text[HELIO_SEND_MAX]; /* the message being told */
};

struct room *room_new(void)
{
    return calloc(1, sizeof(struct room));
}

void room_free(struct room *room)
{
    if (room)
        wipe(room, sizeof *room);
    free(room);
}

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

void room_catch_up(struct member *member)
{
    char note[64];
    int n;

    if (member->missed == 0)
        return;
    n = snprintf(note, sizeof note, "* you missed %llu message%s",
                 (unsigned long long)member->missed, member->missed == 1 ? "" : "s");
    if (!io_line_send(member->guest->line, (const uint8_t *)note, (size_t)n, HELIO_MESSAGE))
        member->missed = 0;
}

/*
 * Once something was missed, nothing is told before the station knows: a shorter message that
 * still found room would hide the gap.  Errors other than a full queue end the line by themselves.
 */
void room_tell(struct member *member, const void *text, size_t n)
{
    if (member->missed > 0 ||
        io_line_send(member->guest->line, text, n, HELIO_MESSAGE) == HELIO_E_AGAIN)
        member->missed++;
}

static void tell_others(struct room *room, const struct member *speaker, const void *text, size_t n)
{
    for (struct member *member = room->first; member; member = member->next)
        if (member != speaker)
            room_tell(member, text, n);
}

void room_say(const struct member *member, const uint8_t *line, size_t n)
{
    struct room *room = room_of(member->guest);
    char name[NAME_SIZE];
    int begin = snprintf((char *)room->text, NAME_SIZE + 2, "%s: ", name_of(member, name));

    memcpy(room->text + begin, line, n);
    tell_others(room, member, room->text, (size_t)begin + n);
}

/* ----------------------------------------------------------------------------- coming, going -- */

/* "* bob has joined (3 here)" */
static void announce(struct room *room, const struct member *member, const char *what)
{
    char name[NAME_SIZE], note[NAME_SIZE + 64];
    int n = snprintf(note, sizeof note, "* %s has %s (%u here)", name_of(member, name), what,
                     room->count);

    tell_others(room, member, note, (size_t)n);
}

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
    room_tell(newcomer, note, n);
}

void room_enter(struct member *member)
{
    struct room *room = room_of(member->guest);

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

bool room_step_out(struct member *member)
{
    struct room *room = room_of(member->guest);

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

void room_leave(struct member *member)
{
    if (room_step_out(member))
        announce(room_of(member->guest), member, "left");
}
