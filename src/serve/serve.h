/*
 * serve.h: many stations at once: the shared object, the posts, and the guests at them.
 *
 * What it is.  struct serve is what `helio serve` has once: options, identity, listener, gate.  A
 * post is a loop on a thread of its own; post 0 is the main thread's.  A guest is one station's line
 * at one post, from the accepted connection to the log line at its end; what is done with an open
 * line is a service's: echo, exec, forward, room.
 *
 * The way of a connection: the main thread's listener accepts it and asks the gate (gate.h); the
 * post with the fewest guests gets it (io_loop_post) and begins a line; RSA runs on io's own
 * threads; at HELIO_EVENT_PEER guest.c decides by the roll (roll.h); once open the service has the
 * line; at its end guest.c says so, and the main thread hears how the handshake had gone.
 *
 * Who may touch what: a guest and its line only its post's thread; listener, gate and signals only
 * the main thread; roll and metrics any thread, as they say; all else does not change once the posts
 * run.  say.h is for all threads.
 */
#ifndef HELIO_SERVE_SERVE_H
#define HELIO_SERVE_SERVE_H

#include "cli/cli.h"
#include "cli/say.h"
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
    const char *name; /* for people: "echo" */
    /* The names that an initiator may ask for it by (protocol.md 5.3), ended by NULL. */
    const char *const *asked_as;
    bool one_post; /* its guests must all be at one post */
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
    void (*clear)(
        struct serve *serve); /* the reverse of prepare, after the last end; may be NULL */
};

extern const struct service service_echo, service_exec, service_forward, service_room;

/* One station at a post. */
struct guest {
    struct post *post;
    struct guest *next, *previous; /* at the post */
    struct io_line *line;
    struct io_source source;
    const struct service *service;
    void *state;              /* the service's own, from begin to end */
    char who[SAY_QUOTED_MAX]; /* its name on the roll, for people; before that its address */
    const char *cause;        /* why a service ended it, for the log: "target refused"; or NULL */
    bool trusted;             /* PEER was answered with yes */
    bool open;
    bool begun;
};

struct serve {
    struct options *options;
    const struct service *service;
    void *service_state; /* the service's own, from prepare to clear */
    helio_identity *identity;
    struct trust_pin pin;
    helio_config config;
    uint16_t suite;
    struct roll *roll;
    struct metrics *metrics;
    struct gate *gate;
    struct io_listener *listener;
    struct io_signals *signals;
    struct post *posts[POSTS_MAX];
    unsigned post_count;
    /* ... verb_serve.c's own from here on. */
};

/* -- post.c -- */

struct serve *post_serve(struct post *post);
struct io_loop *post_loop(struct post *post);
/* All guests at the post that are open; next is read before fn is called. */
void post_each(struct post *post, void (*fn)(struct guest *guest, void *context), void *context);

/* -- guest.c, for services -- */

/* Ends the line as failed and keeps cause, a fixed text, for the log. */
void guest_fail(struct guest *guest, const char *cause);
static inline struct serve *guest_serve(const struct guest *guest)
{
    return post_serve(guest->post);
}

#endif
