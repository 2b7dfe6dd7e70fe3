/*
 * server.c: a server that runs, on the main thread: accepting, signals, the tick, the roll read
 * again, and stopping.
 *
 * Stopping goes in steps: SIGTERM or SIGINT closes the door and has every guest finish in order;
 * after --grace those still here are told that we give up; a second later they are dropped, as they
 * are at once by a second signal.  When the last guest has gone, post 0 leaves its loop.
 */
#include "serve/server.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "serve/systemd.h"

enum {
    TICK_MS = 1000,
    DROP_MS = 1000 /* from POST_FAIL to POST_DROP: until the alerts are out */
};

/* ------------------------------------------------------------------------------------- orders -- */

static void order_all(struct server *server, enum post_order order)
{
    for (unsigned i = 0; i < server->serve.post_count; i++)
        post_order(server->serve.posts[i], order);
}

static uint64_t now_of(const struct server *server)
{
    return io_loop_now(post_loop(server->serve.posts[0]));
}

static void describe(const struct server *server, char *out, size_t cap)
{
    const struct serve *serve = &server->serve;

    snprintf(out, cap, "serving %s to %u stations", serve->service->name,
             atomic_load(&serve->stations));
}

/* ----------------------------------------------------------------------------------- stopping -- */

static void leave_if_empty(struct server *server)
{
    if (atomic_load(&server->serve.guests) == 0)
        post_leave(server->serve.posts[0]);
}

static void on_patience(void *context)
{
    struct server *server = context;

    if (server->step == POST_FAIL)
        say_warn("grace", "stations that had not finished in time: %u; their lines end here",
                 atomic_load(&server->serve.stations));
    order_all(server, server->step);
    leave_if_empty(server);
    server->step = POST_DROP;
    io_timer_set(server->patience, DROP_MS);
}

static void stop(struct server *server, int number)
{
    const struct options *options = server->serve.options;

    server->first_signal = number;
    atomic_store(&server->serve.stopping, true);
    systemd_stopping();
    io_listener_free(server->listener);
    server->listener = NULL;
    say_note("stopping", "stopping; stations that have up to %u seconds to finish: %u",
             options->grace, atomic_load(&server->serve.stations));
    order_all(server, POST_STOP);
    server->step = POST_FAIL;
    io_timer_set(server->patience, 1000 * (uint64_t)options->grace);
    leave_if_empty(server);
}

static void stop_at_once(struct server *server, int number)
{
    server->second_signal = number;
    server->step = POST_DROP;
    io_timer_set(server->patience, 0);
}

/* ----------------------------------------------------------------------------------- the roll -- */

/* Whether anybody at all can come in; said when not. */
static void warn_of_nobody(const struct serve *serve)
{
    struct roll_list *list = roll_hold(serve->roll);
    size_t count = helio_known_count(roll_known(list));
    bool anyone =
        count > 0 || serve->pin.set || (serve->options->accept_new && !roll_strict(serve->roll));
    char file[1024] = "", path[1024];

    roll_let_go(list);
    if (anyone)
        return;
    if (roll_strict(serve->roll) || serve->options->known_given)
        snprintf(file, sizeof file, " --known %.900s",
                 say_shell_word(path, sizeof path, roll_path(serve->roll)));
    say_warn("nobody",
             "NOBODY IS SERVED YET: %s names no station\n"
             "Add one with: helio trust add%s NAME FINGERPRINT (and send SIGHUP)",
             roll_path(serve->roll), file);
}

static void reload(struct server *server)
{
    struct serve *serve = &server->serve;
    int status;

    systemd_reloading();
    pthread_mutex_lock(&serve->remembering);
    status = roll_reload(serve->roll);
    pthread_mutex_unlock(&serve->remembering);
    if (status == STATUS_DONE) {
        metrics_add(serve->metrics, METRIC_RELOADS, 1);
        warn_of_nobody(serve);
        order_all(server, POST_SIEVE);
    }
    systemd_ready(server->status);
}

/* ---------------------------------------------------------------------------------- callbacks -- */

static void on_signal(void *context, int number)
{
    struct server *server = context;

    if (number == SIGHUP && !server->first_signal)
        reload(server);
    else if ((number == SIGTERM || number == SIGINT) && !server->first_signal)
        stop(server, number);
    else if ((number == SIGTERM || number == SIGINT) && !server->second_signal)
        stop_at_once(server, number);
}

static struct post *emptiest_post(const struct serve *serve)
{
    struct post *best = serve->posts[0];

    for (unsigned i = 1; i < serve->post_count; i++)
        if (post_load(serve->posts[i]) < post_load(best))
            best = serve->posts[i];
    return best;
}

void server_accept(void *context, const struct io_caller *caller)
{
    struct server *server = context;

    if (tally_admit(server->serve.tally, caller, now_of(server)))
        post_take(emptiest_post(&server->serve), caller);
    else
        close(caller->fd);
}

static void tell_systemd(struct server *server)
{
    char status[sizeof server->status];

    describe(server, status, sizeof status);
    if (server->first_signal || strcmp(status, server->status) == 0)
        return;
    memcpy(server->status, status, sizeof status);
    systemd_status(status);
}

/* A post that has not counted since the last tick hangs, and then systemd should know. */
static void on_tick(void *context)
{
    struct server *server = context;
    const struct serve *serve = &server->serve;
    bool alive = true;

    for (unsigned i = 0; i < serve->post_count; i++) {
        bool one = post_alive(serve->posts[i]);

        alive = alive && one;
        if (one)
            post_order(serve->posts[i], POST_COUNT);
    }
    if (alive)
        systemd_alive();
    tally_say(serve->tally, now_of(server));
    tell_systemd(server);
    io_timer_set(server->tick, server->tick_ms);
}

/* ------------------------------------------------------------------------------ the beginning -- */

enum helio_err server_watch(struct server *server)
{
    struct io_loop *loop = post_loop(server->serve.posts[0]);
    uint64_t watchdog = systemd_watchdog();
    enum helio_err err = io_timer_new(&server->tick, loop, on_tick, server);

    if (!err)
        err = io_timer_new(&server->patience, loop, on_patience, server);
    if (!err)
        err = io_signals_new(&server->signals, loop, on_signal, server);
    if (err)
        return err;
    server->tick_ms = watchdog > 0 && watchdog < 3 * TICK_MS ? watchdog / 3 + 1 : TICK_MS;
    io_timer_set(server->tick, server->tick_ms);
    return HELIO_OK;
}

void server_ready(struct server *server)
{
    warn_of_nobody(&server->serve);
    describe(server, server->status, sizeof server->status);
    systemd_ready(server->status);
}
