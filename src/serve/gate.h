/*
 * gate.h: who may begin a handshake.
 *
 * What it is.  A handshake costs this machine an RSA signature before it knows who is calling, so
 * their number is bounded: from half of the bound on, connections are dropped at random, the more
 * the fuller it is (random early drop), so that who keeps trying gets in even while somebody floods.
 * And each source (an IPv4 address, an IPv6 /64) collects penalties for handshakes that came to
 * nothing, seconds that add up and run down with time: at 15 of them it is dropped at once until the
 * last has run down, at most ten minutes later.  One source may also have no more than half of the
 * handshakes under way.
 *
 * What it owns: counts, and a table of sources with a bound: when it is full, the one with the least
 * penalty left makes room.
 *
 * Never: looks at a clock or draws randomness by itself; both are handed in.  One thread at a time.
 */
#ifndef HELIO_SERVE_GATE_H
#define HELIO_SERVE_GATE_H

#include <stdbool.h>

#include "helio.h"
#include "io/io.h"

struct gate;

struct gate_limits {
    unsigned handshakes; /* at most so many at a time, at least 1 */
    bool penalties;      /* false: sources are not told apart (all may come through one proxy) */
};

enum gate_verdict {
    GATE_IN,
    GATE_EARLY,   /* dropped at random */
    GATE_FULL,    /* no room at all */
    GATE_PENALTY, /* this source has to wait */
    GATE_SHARE,   /* this source has too many under way */
    GATE_VERDICTS
};

/* How a handshake that was let in has ended. */
enum gate_outcome {
    GATE_OPENED,    /* the line is open: earlier penalties are forgiven */
    GATE_REFUSED,   /* it proved a key that we do not trust, or asked for what we do not offer */
    GATE_LEFT,      /* it went away before it was authenticated */
    GATE_TIMED_OUT, /* it used up its time */
    GATE_VIOLATED,  /* it broke the protocol */
    GATE_OURS,      /* a failure of our own, or our end: nobody's fault */
    GATE_OUTCOMES
};

/* random: of helio_config's kind; NULL: the system's. */
HELIO_MUST_CHECK enum helio_err gate_new(struct gate **out, const struct gate_limits *limits,
                                         helio_random_fn *random, void *random_context);
void gate_free(struct gate *gate);

/* now: milliseconds that only go forward.  GATE_IN counts as a handshake until gate_settle. */
enum gate_verdict gate_ask(struct gate *gate, const struct io_source *source, uint64_t now);
void gate_settle(struct gate *gate, const struct io_source *source, enum gate_outcome outcome,
                 uint64_t now);
unsigned gate_handshakes(const struct gate *gate);
/* Sources that would be dropped now. */
size_t gate_penalized(const struct gate *gate, uint64_t now);
const char *gate_verdict_name(enum gate_verdict verdict); /* "early" …: for metrics and logs */
const char *gate_outcome_name(enum gate_outcome outcome); /* "opened" … */

#endif
