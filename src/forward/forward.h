/*
 * forward.h: helio forward: a local port whose connections come out at a station.
 *
 * What it is.  struct forward is what there is once: where we listen, the station, whether it can
 * be reached (reach.h).  A joint is one local connection and the line that carries it: it waits for
 * its turn to call, calls, is joined, and ends.
 *
 *   verb_forward.c  the options, the port, signals, the end
 *   joint.c         the connections, from accept to their last word
 *   call.c          a call for one of them: trust, and what follows it
 *   reach.c         when a call may be made
 *   report.c        what is said of it all
 *
 * Invariants: the local connection is not read before the line is open, so that nothing of it is
 * lost when a call fails and another is made; a local connection whose line did not end in order is
 * reset, never closed, so that its other end cannot take what it has for all.
 *
 * One thread, one loop.
 */
#ifndef HELIO_FORWARD_FORWARD_H
#define HELIO_FORWARD_FORWARD_H

#include "cli/cli.h"
#include "cli/say.h"
#include "cli/station.h"
#include "cli/trust.h"
#include "forward/reach.h"
#include "io/io.h"

/* What is said at most once a minute, however often it happens. */
struct rarely {
    uint64_t again; /* not before that time */
};

struct joint;

struct forward {
    struct options *options;
    struct io_loop *loop;
    struct io_signals *signals;
    struct io_listener *listener;
    struct io_place station;
    char label[STATION_PLACE_SIZE]; /* the station as in known_stations */
    helio_identity *identity;
    struct trust_pin pin;
    helio_config config;
    struct reach reach;
    struct io_timer *retry;     /* while joints wait for time to pass */
    struct io_timer *grace;     /* after a signal */
    struct joint *first, *last; /* all of them, in the order in which they came */
    unsigned long count;        /* how many; at most … */
    unsigned long most;
    unsigned long waiting; /* how many of them wait */
    bool stopping;
    int signal; /* the second one that came, or 0 */
    struct rarely untrusted, refused, unreachable, full;
};

/* -- joint.c -- */

/* So many descriptors may be open: how many joints that is. */
void joints_set_bound(struct forward *forward, unsigned long descriptors);
/* Takes a local connection over. */
void joint_begin(struct forward *forward, const struct io_caller *local);
/* Lets those call whose turn it is. */
void joints_call(struct forward *forward);
/* Looks whether those that wait are still there. */
void joints_look(struct forward *forward);
/* Resets those that are not joined yet, when they should not wait any longer. */
void joints_give_up(struct forward *forward);
/* Drops the lines that are left; how many. */
unsigned joints_drop(struct forward *forward);

/* -- verb_forward.c -- */

/* A joint has gone: the last one may end the program. */
void forward_left(struct forward *forward);

#endif
