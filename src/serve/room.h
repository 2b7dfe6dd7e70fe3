/*
 * room.h: who is in the room of helio serve --room, by which name, and what each is told.
 *
 * A station's name is the one on the roll, so nobody chooses it; one that is here several times has
 * a number, too.  Messages that begin with "* " are the room's own: no name on the roll is followed
 * by a space.  Nobody waits for a station whose queue is full: it misses messages, and is told how
 * many once it reads again.
 */
#ifndef HELIO_SERVE_ROOM_H
#define HELIO_SERVE_ROOM_H

#include "serve/serve.h"

enum { ROOM_LINE_MAX = 64000 };

struct room; /* serve->service_state */

struct member {
    struct guest *guest;
    struct member *next, *previous;
    unsigned number; /* 1, or which of several from the same station */
    bool here;       /* in the room: hears what is said */
    uint64_t missed; /* messages that it had no room for, and was not told of yet */
};

struct room *room_new(void); /* NULL: no memory */
void room_free(struct room *room);

/* Tells the newcomer who is here, and them of it. */
void room_enter(struct member *member);
/* Tells the others; does nothing when it is not here any more. */
void room_leave(struct member *member);
/* The same without a word; false when it was not here. */
bool room_step_out(struct member *member);

/* "NAME: line" to everybody else; n is at most ROOM_LINE_MAX, and there is no line end in it. */
void room_say(const struct member *member, const uint8_t *line, size_t n);
/* To one. */
void room_tell(struct member *member, const void *text, size_t n);
/* There is room in its queue: says how much was missed, unless there is still no room for that. */
void room_catch_up(struct member *member);

#endif
