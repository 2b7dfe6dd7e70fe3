/*
 * verb_forward.c: helio forward [HOST:]PORT STATION:PORT.
 */
#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/home.h"
#include "forward/forward.h"

/* ------------------------------------------------------------------------------------- stopping -- */

void forward_left(struct forward *forward)
{
    if (forward->stopping && !forward->first)
        io_loop_stop(forward->loop);
}

static void on_grace(void *context)
{
    struct forward *forward = context;
    unsigned dropped = joints_drop(forward);

    if (dropped > 0)
        say_warn("grace", "connections that had not ended after %u seconds: %u; they are reset",
                 forward->options->grace, dropped);
}

static void stop(struct forward *forward)
{
    forward->stopping = true;
    io_listener_free(forward->listener);
    forward->listener = NULL;
    io_timer_stop(forward->retry);
    joints_give_up(forward);
    if (!forward->first) {
        io_loop_stop(forward->loop);
        return;
    }
    say_note("stopping", "no new connections; those that are open have %u seconds to end",
             forward->options->grace);
    io_timer_set(forward->grace, 1000 * (uint64_t)forward->options->grace);
}

static void on_signal(void *context, int number)
{
    struct forward *forward = context;

    if (number == SIGHUP) /* the list is read for every call anyway */
        say_note("reload", "known stations are read anew for each connection");
    if (number != SIGINT && number != SIGTERM)
        return;
    if (!forward->stopping) {
        stop(forward);
        return;
    }
    forward->signal = number;
    io_loop_stop(forward->loop);
}

/* ------------------------------------------------------------------------------------ beginning -- */

static void on_accept(void *context, const struct io_caller *caller)
{
    joint_begin(context, caller);
}

static void on_retry(void *context)
{
    struct forward *forward = context;

    joints_give_up(forward);
    joints_look(forward);
    joints_call(forward);
}

/*
 * Whoever reaches the local port speaks in our name, so without a host only this machine does: on
 * both loopback addresses.  "*" stands for all of them.
 */
static void choose_local(struct io_place *place)
{
    if (strcmp(place->host, "*") == 0)
        place->host[0] = '\0';
    else if (!*place->host)
        snprintf(place->host, sizeof place->host, "localhost");
}

static int prepare(struct forward *forward, struct options *options)
{
    helio_known *known = NULL;
    int status = (int)home_identity(options, &forward->identity);

    forward->options = options;
    if (status == STATUS_DONE)
        status = (int)home_known(options, &known);
    if (status == STATUS_DONE)
        status = (int)trust_pin_resolve(options, known, &forward->pin);
    helio_known_free(known);
    if (status != STATUS_DONE)
        return status;
    forward->config = station_config(options, forward->identity);
    forward->config.service = "forward";
    joints_set_bound(forward, io_raise_file_limit());
    enum helio_err err = io_loop_new(&forward->loop);

    if (!err)
        err = io_signals_new(&forward->signals, forward->loop, on_signal, forward);
    if (!err)
        err = io_timer_new(&forward->retry, forward->loop, on_retry, forward);
    if (!err)
        err = io_timer_new(&forward->grace, forward->loop, on_grace, forward);
    if (err)
        say_error("loop", "cannot make an event loop: %s", helio_strerror(err));
    return (int)exit_status_of(err);
}

static int run(struct forward *forward, const struct io_place *local)
{
    struct io_report report;

    if (io_listener_new(&forward->listener, forward->loop, local, station_family(forward->options),
                        on_accept, forward, &report))
        return station_not_listening(local, &report);
    say_fields(
        SAY_NOTE, "forwarding",
        (const struct say_field[]){{.key = "port", .number = io_listener_port(forward->listener)},
                                   {.key = "station", .text = forward->label},
                                   {.key = NULL}},
        "forwarding %s port %u to %s", *local->host ? local->host : "every address,",
        io_listener_port(forward->listener), forward->label);
    io_loop_run(forward->loop);
    return forward->signal ? 128 + forward->signal : STATUS_DONE;
}

static void clear(struct forward *forward)
{
    forward->stopping = true;
    io_listener_free(forward->listener);
    joints_drop(forward); /* the rest goes while the loop ends */
    io_signals_free(forward->signals);
    io_timer_free(forward->retry);
    io_timer_free(forward->grace);
    io_loop_free(forward->loop);
    helio_identity_free(forward->identity);
}

int verb_forward(struct options *options, int argc, char **argv)
{
    struct forward forward = {0};
    struct io_place local;
    const char *wrong = io_place_parse(&local, argv[0], false);
    int status;

    (void)argc;
    if (wrong)
        return usage_error("forward", "\"%.100s\" is not [HOST:]PORT: %s", argv[0], wrong);
    wrong = io_place_parse(&forward.station, argv[1], true);
    if (wrong)
        return usage_error("forward", "\"%.100s\" is not STATION:PORT: %s", argv[1], wrong);
    choose_local(&local);
    io_place_format(&forward.station, forward.label, sizeof forward.label);
    for (char *p = forward.label; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    status = prepare(&forward, options);
    if (status == STATUS_DONE)
        status = run(&forward, &local);
    clear(&forward);
    return status;
}
