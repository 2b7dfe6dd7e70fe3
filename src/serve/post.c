/*
 * post.c: a loop, the guests at it, and what the main thread has it do.
 *
 * Orders take no memory of their own: an order is a function, and its context the post.  One that
 * cannot be handed over (no memory) is lost; the main thread gives those that matter again.
 */
#include <stdlib.h>
#include <unistd.h>

#include "serve/serve.h"

struct post {
    struct serve *serve;
    struct io_loop *loop;
    struct io_thread *thread; /* NULL: the main thread's */
    struct guest *guests;
    atomic_uint load; /* guests there, and callers on their way there */
    /* Ordered by the main thread, carried out by the post. */
    unsigned counts_ordered;
    atomic_uint counts_done;
};

struct serve *post_serve(struct post *post)
{
    return post->serve;
}

struct io_loop *post_loop(struct post *post)
{
    return post->loop;
}

enum helio_err post_new(struct post **out, struct serve *serve)
{
    struct post *post = calloc(1, sizeof *post);
    enum helio_err err;

    *out = NULL;
    if (!post)
        return HELIO_E_MEMORY;
    err = io_loop_new(&post->loop);
    if (err) {
        free(post);
        return err;
    }
    post->serve = serve;
    io_loop_hold(post->loop);
    *out = post;
    return HELIO_OK;
}

static void run(void *context)
{
    post_run(context);
}

enum helio_err post_start(struct post *post)
{
    return io_thread_new(&post->thread, run, post);
}

void post_run(struct post *post)
{
    io_loop_run(post->loop);
}

static void leave(void *context)
{
    struct post *post = context;

    io_loop_stop(post->loop);
}

void post_leave(struct post *post)
{
    /* Without memory for it there is no way out in order, and nothing left to lose. */
    if (io_loop_post(post->loop, leave, post))
        _exit(STATUS_LOCAL);
}

void post_free(struct post *post)
{
    if (!post)
        return;
    if (post->thread) {
        post_leave(post);
        io_thread_join(post->thread);
    }
    io_loop_free(post->loop);
    free(post);
}

/* -------------------------------------------------------------------------------- the guests -- */

void post_enter(struct post *post, struct guest *guest)
{
    guest->previous = NULL;
    guest->next = post->guests;
    if (guest->next)
        guest->next->previous = guest;
    post->guests = guest;
}

void post_hold(struct post *post)
{
    atomic_fetch_add(&post->serve->guests, 1);
}

void post_let_go(struct post *post)
{
    struct serve *serve = post->serve;

    /* Either the main thread sees that nobody is here any more, or this one that it stops. */
    if (atomic_fetch_sub(&serve->guests, 1) == 1 && atomic_load(&serve->stopping))
        post_leave(serve->posts[0]);
}

static void one_less(struct post *post)
{
    atomic_fetch_sub(&post->load, 1);
    post_let_go(post);
}

void post_quit(struct post *post, struct guest *guest)
{
    if (guest->next)
        guest->next->previous = guest->previous;
    if (guest->previous)
        guest->previous->next = guest->next;
    else
        post->guests = guest->next;
    one_less(post);
}

static void each(struct post *post, void (*fn)(struct guest *guest))
{
    for (struct guest *guest = post->guests, *next; guest; guest = next) {
        next = guest->next;
        fn(guest);
    }
}

void post_each(struct post *post, void (*fn)(struct guest *guest, void *context), void *context)
{
    for (struct guest *guest = post->guests, *next; guest; guest = next) {
        next = guest->next;
        if (guest->open)
            fn(guest, context);
    }
}

/* A caller on its way to another thread. */
struct taken {
    struct post *post;
    struct io_caller caller;
};

static void take(struct post *post, const struct io_caller *caller)
{
    if (!guest_new(post, caller))
        one_less(post);
}

static void on_taken(void *context)
{
    struct taken *taken = context;

    take(taken->post, &taken->caller);
    free(taken);
}

void post_take(struct post *post, const struct io_caller *caller)
{
    struct taken *taken;

    post_hold(post);
    atomic_fetch_add(&post->load, 1);
    if (!post->thread) {
        take(post, caller);
        return;
    }
    taken = malloc(sizeof *taken);
    if (taken) {
        *taken = (struct taken){.post = post, .caller = *caller};
        if (io_loop_post(post->loop, on_taken, taken) == HELIO_OK)
            return;
    }
    free(taken);
    close(caller->fd);
    tally_settle(post->serve->tally, &caller->source, GATE_OURS, 0,
                 io_loop_now(post->serve->posts[0]->loop)); /* ours, not the other thread's */
    one_less(post);
}

unsigned post_load(const struct post *post)
{
    return atomic_load(&post->load);
}

/* -------------------------------------------------------------------------------- the orders -- */

static void count_one(struct guest *guest, void *unused)
{
    (void)unused;
    guest_count(guest);
}

static void count(void *context)
{
    struct post *post = context;

    post_each(post, count_one, NULL);
    atomic_fetch_add(&post->counts_done, 1);
}

static void sieve(void *context)
{
    each(context, guest_sieve);
}

static void stop(void *context)
{
    each(context, guest_stop);
}

static void fail(void *context)
{
    each(context, guest_give_up);
}

static void drop(void *context)
{
    each(context, guest_drop);
}

static io_fn *const orders[] = {
    [POST_COUNT] = count, [POST_SIEVE] = sieve, [POST_STOP] = stop,
    [POST_FAIL] = fail,   [POST_DROP] = drop,
};

void post_order(struct post *post, enum post_order order)
{
    if (io_loop_post(post->loop, orders[order], post) == HELIO_OK && order == POST_COUNT)
        post->counts_ordered++;
}

bool post_alive(const struct post *post)
{
    return atomic_load(&post->counts_done) == post->counts_ordered;
}
