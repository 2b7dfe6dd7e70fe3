/*
 * joint.h: one local connection and the line that carries it, shared by joint.c, call.c, and
 * report.c, which says what becomes of it.
 *
 *   WAITING  for its turn to call, or for the station to come back; the local end is not touched
 *   DIALLING the TCP connection to the station is being made
 *   CALLING  the handshake
 *   JOINED   io_relay has both; the local descriptor is its own now
 */
#ifndef HELIO_FORWARD_JOINT_H
#define HELIO_FORWARD_JOINT_H

#include "forward/forward.h"

enum stage { WAITING, DIALLING, CALLING, JOINED };

struct joint {
    struct forward *forward;
    struct joint *next, *previous;
    enum stage stage;
    int local; /* -1 once the relay has it */
    char name[IO_NAME_SIZE];
    uint64_t deadline; /* when it gives up waiting */
    struct io_dial *dial;
    struct io_line *line;
    struct io_relay *relay;
    char who[256];     /* the station's name here */
    const char *cause; /* why we ended it, for the log; or NULL */
    bool final;        /* calling again would change nothing */
};

/* -- joint.c -- */

uint64_t forward_now(const struct forward *forward);
void joint_set_stage(struct joint *joint, enum stage stage);
/* Its end; its line, if it had one, has gone. */
void joint_leave(struct joint *joint);

/* -- call.c -- */

/* It is its turn: dials. */
void joint_call(struct joint *joint);
/* Ends it; its call said nothing about the way to the station. */
void joint_end_for_good(struct joint *joint);

/* -- report.c -- */

/* True when it is time to say it again. */
bool forward_may_say(struct rarely *r, const struct forward *forward);
/* The station; once, until it is back. */
void forward_say_unreachable(const struct forward *forward, const char *why);
void forward_say_reached(const struct forward *forward);
/* Aloud once a minute; the first two are said with -v every time. */
void forward_say_given_up(const struct joint *joint);
void forward_say_refused(const struct joint *joint, const char *why);
void forward_say_full(struct forward *forward);
/* Each that was joined. */
void forward_say_closed(const struct joint *joint, enum helio_err err);

#endif
