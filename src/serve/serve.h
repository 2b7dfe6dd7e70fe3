/*
 * serve.h: many stations at once: the shared object, the posts, and the guests at them.
 *
 * What it is.  struct serve is what `helio serve` has once: options, identity, roll, tally.  A post
 * is a loop on a thread of its own; post 0 is the main thread's.  A guest is one station's line at
 * one post, from the accepted connection to the log line at its end; what is done with an open line
 * is a service's: echo, exec, forward, room.
 *
 * The way of a connection: the main thread's listener accepts it and asks the gate (gate.h); the
 * post with the fewest guests gets it (io_loop_post) and begins a line; RSA runs on io's own
 * threads; at HELIO_EVENT_PEER guest_admit.c decides by the roll (roll.h), and guest.c tells the
 * gate how the handshake has gone; once open the service has the line; at its end guest.c says so.
 *
 * Who may touch what: a guest and its line only its post's thread; listener, signals and timers only
 * the main thread; the gate whoever holds its lock (tally.c); roll, metrics and counts any thread;
 * all else does not change once the posts run.  say.h is for all threads.
 */
#ifndef HELIO_SERVE_SERVE_H
#define HELIO_SERVE_SERVE_H

#include <pthread.h>
#include <stdatomic.h>

#include "cli/cli.h"
#include "cli/say.h"
#include "cli/station.h"
#include "cli/trust.h"
#include "io/io.h"
#include "serve/gate.h"
#include "serve/metrics.h"
#include "serve/roll.h"

enum { POSTS_MAX = 64 };

struct serve;
struct guest;
struct post;

/* What is done with open lines.  All are called on the guest's own thread. */
struct service {
    const char *name;      /* for people: "echo" */
    const char *called_by; /* the beginning of the command by which stations come: STATION_CALL */
    /* The names that an initiator may ask for it by (protocol.md 5.3), ended by NULL. */
    const char *const *asked_as;
    bool one_post;        /* its guests must all be at one post */
    unsigned descriptors; /* that a guest takes, its own socket included; 0: that one alone */
    /* Once, before any guest; reads the options.  STATUS_DONE, or another, said already; may be NULL. */
    int (*prepare)(struct serve *serve);
    /* The line is open.  HELIO_OK, or why it cannot be served: the peer is told, guest.c says it. */
    enum helio_err (*begin)(struct guest *guest);
    /* DATA, MESSAGE, CLOSED. */
    void (*event)(struct guest *guest, const helio_event *event);
    void (*writable)(struct guest *guest);
    /* The server wants to stop: finish what is under way and close.  May be NULL: nothing to do. */
    void (*stop)(struct guest *guest);
    /* The line is gone (or begin failed): frees guest->state.  Called once for each begin. */
    void (*end)(struct guest *guest);
    /* The reverse of prepare, after the last end; may be NULL. */
    void (*clear)(struct serve *serve);
};

extern const struct service service_echo, service_exec, service_forward, service_room;

struct tally;

/* Bytes of content, and keys that were replaced. */
struct guest_count {
    uint64_t sent, received, epochs_sent, epochs_received;
};

/* One station at a post. */
struct guest {
    struct post *post;
    struct guest *next, *previous; /* at the post */
    struct io_line *line;
    struct io_source source;
    const struct service *service;
    void *state;             /* the service's own, from begin to end */
    const char *who;         /* its name on the roll, for people; before that its address */
    char *name;              /* who, when it is a name */
    const char *cause;       /* why it was ended, for the log: "target refused"; or NULL */
    struct guest_count told; /* what the metrics have of it already */
    bool settled;            /* the gate knows how its handshake has gone */
    bool counted;            /* it is one of serve->stations */
    bool open;
    bool begun;  /* the service was told, and wants to hear of the end */
    bool ending; /* a failure of ours is under way */
};

struct serve {
    struct options *options;
    const struct service *service;
    void *service_state; /* the service's own, from prepare to clear */
    helio_identity *identity;
    struct trust_pin pin;
    helio_config config;
    struct roll *roll;
    struct metrics *metrics;
    struct post *posts[POSTS_MAX];
    unsigned post_count;
    unsigned max_stations;
    atomic_uint stations; /* that were let in at PEER and have not ended */
    atomic_uint guests;   /* all, at all posts, and what holds one */
    atomic_bool stopping; /* nobody is let in any more */
    struct tally *tally;
    pthread_mutex_t remembering; /* one writer of known_stations, one reload of the roll */
};

/* -- post.c -- */

struct serve *post_serve(struct post *post);
struct io_loop *post_loop(struct post *post);
/* All guests at the post that are open; next is read before fn is called. */
void post_each(struct post *post, void (*fn)(struct guest *guest, void *context), void *context);
/*
 * From the post's thread: something of a service's has outlived its guest, and counts as one until
 * it is let go.
 */
void post_hold(struct post *post);
void post_let_go(struct post *post);

/* The main thread makes and ends posts; post 0 is its own, and runs by post_run. */
HELIO_MUST_CHECK enum helio_err post_new(struct post **out, struct serve *serve);
HELIO_MUST_CHECK enum helio_err post_start(struct post *post); /* on a thread of its own */
void post_run(struct post *post);
/* From any thread: the post leaves its loop. */
void post_leave(struct post *post);
/* After the thread has ended, or without one; all guests are gone. */
void post_free(struct post *post);

/* From the main thread, each carried out on the post's.  A caller's descriptor is the post's now. */
void post_take(struct post *post, const struct io_caller *caller);
unsigned post_load(const struct post *post); /* guests there and on the way there */
enum post_order {
    POST_COUNT, /* tell the metrics, and show that the post is alive */
    POST_SIEVE, /* end those that are on the roll no longer */
    POST_STOP,  /* finish in order */
    POST_FAIL,  /* tell those still here that we give up */
    POST_DROP   /* at once */
};
void post_order(struct post *post, enum post_order order);
/* Whether every POST_COUNT has been carried out. */
bool post_alive(const struct post *post);

/* For guest.c, on the post's thread. */
void post_enter(struct post *post, struct guest *guest);
void post_quit(struct post *post, struct guest *guest);

/* -- guest.c -- */

/* Ends the line as failed and keeps cause, a fixed text, for the log. */
void guest_fail(struct guest *guest, const char *cause);
static inline struct serve *guest_serve(const struct guest *guest)
{
    return post_serve(guest->post);
}

/*
 * What was typed at a terminal is a message without a newline; a program that reads lines gets one
 * for it, as from a pipe.
 */
static inline bool guest_lacks_newline(const helio_event *event)
{
    return event->kind == HELIO_EVENT_MESSAGE &&
           (event->size == 0 || event->data[event->size - 1] != '\n');
}

/* For guest_admit.c: the loop's clock, and to the gate, unless it knows, how the handshake has gone. */
uint64_t guest_now(const struct guest *guest);
void guest_settle(struct guest *guest, enum gate_outcome outcome);

/* For post.c.  Takes the descriptor over.  False: there is no guest, that was said and settled. */
bool guest_new(struct post *post, const struct io_caller *caller);
void guest_count(struct guest *guest); /* an open one */
void guest_sieve(struct guest *guest);
void guest_stop(struct guest *guest);
void guest_give_up(struct guest *guest);
void guest_drop(struct guest *guest);

/* -- guest_admit.c, for guest.c -- */

/* At HELIO_EVENT_PEER: whether it may come in.  If not, it has been refused or failed. */
bool guest_admit(struct guest *guest);
/* Whether its key is still one that we serve, by the roll as it stands now. */
bool guest_allowed(const struct guest *guest);

/* -- tally.c: the gate, and what is said of those who were not served -- */

HELIO_MUST_CHECK enum helio_err tally_new(struct tally **out, struct serve *serve);
void tally_free(struct tally *tally);
/* The main thread: whether a caller may come in; if not, it is counted. */
bool tally_admit(struct tally *tally, const struct io_caller *caller, uint64_t now);
/* Any thread: how the handshake of one who came in has gone. */
void tally_settle(struct tally *tally, const struct io_source *source, enum gate_outcome outcome,
                  uint64_t handshake, uint64_t now);
/*
 * Any thread: whether one more message about a station that was turned away may be written now; if
 * not, it is counted.  A crowd at the door must not fill the disk.
 */
bool tally_may_say(struct tally *tally, uint64_t now);
/* The main thread, once a second: says in one line what was not said one by one. */
void tally_say(struct tally *tally, uint64_t now);

#endif
