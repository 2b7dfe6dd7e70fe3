/*
 * reach.h: when the station may be called.
 *
 * What it is.  While the station answers, a bounded number of calls may be under way.  When a call
 * has not reached it, it counts as down: then one call at a time finds out whether it is back, with
 * pauses that double (exponential back-off), each shortened at random so that many forwards of one
 * station do not all come back in the same instant.  The first call that opens a line ends that.
 *
 * Never: looks at a clock or draws randomness by itself; both are handed in.
 */
#ifndef HELIO_FORWARD_REACH_H
#define HELIO_FORWARD_REACH_H

#include <stdbool.h>
#include <stdint.h>

enum { REACH_CALLS_MAX = 32, REACH_FIRST_MS = 250, REACH_LAST_MS = 15000 };

/* Zeroed: nothing is under way, and nothing bad is known of the station. */
struct reach {
    unsigned calling;
    bool probing;   /* down: the one call that is under way finds out whether it still is */
    unsigned pause; /* the last one, in milliseconds, before it was shortened; 0: it is up */
    uint64_t next;  /* down: no call before that time */
};

bool reach_is_down(const struct reach *reach);
/* Whether a call may begin now; milliseconds of a clock that only goes forward. */
bool reach_allows(const struct reach *reach, uint64_t now);
/* How long until time alone may change that answer; UINT64_MAX: only the end of a call will. */
uint64_t reach_wait(const struct reach *reach, uint64_t now);

/* A call begins; each is ended by one of the three that follow. */
void reach_begin(struct reach *reach);
/* It opened a line, or got a final answer.  True: the station had been down. */
bool reach_succeeded(struct reach *reach);
/* It did not get through.  True: the station had been up.  random: any 32 bits. */
bool reach_failed(struct reach *reach, uint64_t now, uint32_t random);
/* It ended for a reason that says nothing about the way there. */
void reach_ended(struct reach *reach);

#endif
