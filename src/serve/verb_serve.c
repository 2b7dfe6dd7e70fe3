/*
 * verb_serve.c: helio serve [HOST:]PORT, from the options to the exit status.
 *
 * Everything is prepared here, in the order in which it can fail, and cleared here; in between the
 * main thread runs post 0, and with it what server.c does.
 */
#include <unistd.h>

#include "cli/home.h"
#include "cli/station.h"
#include "serve/server.h"
#include "serve/systemd.h"

enum {
    DESCRIPTORS_KEPT = 64, /* for files, loops and the like */
    STATIONS_MAX = 1000000
};

/* ------------------------------------------------------------------------------------ service -- */

static bool wants_echo(const struct options *options)
{
    return options->echo;
}

static bool wants_exec(const struct options *options)
{
    return options->exec != NULL;
}

static bool wants_forward(const struct options *options)
{
    return options->forward != NULL;
}

static bool wants_room(const struct options *options)
{
    return options->room;
}

static const struct {
    const struct service *service;
    bool (*wanted)(const struct options *options);
} services[] = {
    {&service_echo, wants_echo},
    {&service_exec, wants_exec},
    {&service_forward, wants_forward},
    {&service_room, wants_room},
};

static int choose_service(struct serve *serve)
{
    unsigned wanted = 0;

    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        if (services[i].wanted(serve->options)) {
            serve->service = services[i].service;
            wanted++;
        }
    if (wanted == 1)
        return STATUS_DONE;
    return usage_error("serve", "%s: --echo, --exec CMD, --forward HOST:PORT or --room",
                       wanted > 1 ? "only one of them can be served" : "say what the stations get");
}

/* ------------------------------------------------------------------------------ the beginning -- */

static int no_start(const char *what, enum helio_err err)
{
    if (err)
        say_error("serve", "cannot %s: %s", what, helio_strerror(err));
    return (int)exit_status_of(err);
}

static int read_arguments(struct server *server, int argc, char **argv)
{
    const struct options *options = server->serve.options;
    const char *wrong = NULL;

    server->place_given = argc > 0;
    if (argc > 0)
        wrong = io_place_parse(&server->place, argv[0], false);
    if (wrong)
        return usage_error("serve", "\"%.100s\" is not [HOST:]PORT: %s", argv[0], wrong);
    if (options->metrics)
        wrong = io_place_parse(&server->metrics_place, options->metrics, false);
    if (!wrong && options->metrics && !*server->metrics_place.host)
        wrong = "say on which address, as in localhost:9100";
    if (wrong)
        return usage_error("serve", "--metrics \"%.100s\" is not HOST:PORT: %s", options->metrics,
                           wrong);
    server->socket_count = systemd_sockets(server->sockets, SERVER_SOCKETS_MAX);
    if (server->socket_count < 0)
        return STATUS_LOCAL;
    if (server->socket_count == 0 && !server->place_given)
        return usage_error("serve", "[HOST:]PORT is missing");
    return STATUS_DONE;
}

static int read_keys(struct serve *serve)
{
    struct roll_list *list;
    int status = (int)home_identity(serve->options, &serve->identity);

    if (status == STATUS_DONE)
        status = roll_new(&serve->roll, serve->options);
    if (status != STATUS_DONE)
        return status;
    list = roll_hold(serve->roll);
    status = (int)trust_pin_resolve(serve->options, roll_known(list), &serve->pin);
    roll_let_go(list);
    serve->config = station_config(serve->options, serve->identity);
    return status;
}

/* As many stations as there are descriptors for, or as many as were asked for. */
static void set_bound(struct serve *serve)
{
    unsigned long limit = io_raise_file_limit();
    unsigned long kept = DESCRIPTORS_KEPT + serve->options->max_handshakes;
    unsigned each = serve->service->descriptors ? serve->service->descriptors : 1;
    unsigned long room = limit > kept + each ? (limit - kept) / each : 1;

    if (room > STATIONS_MAX)
        room = STATIONS_MAX;
    serve->max_stations =
        serve->options->max_stations ? serve->options->max_stations : (unsigned)room;
    if (serve->max_stations > room)
        say_warn("file-limit",
                 "this process may have %lu open files, enough for %lu stations and not for %u\n"
                 "Raise the hard limit (ulimit -Hn, LimitNOFILE=) or lower --max-stations.",
                 limit, room, serve->max_stations);
    else
        say_detail("file-limit", "open files: at most %lu; stations: at most %u", limit,
                   serve->max_stations);
}

static enum helio_err make_posts(struct serve *serve)
{
    unsigned count = serve->options->threads ? serve->options->threads : io_processors();
    enum helio_err err = HELIO_OK;

    if (serve->service->one_post)
        count = 1;
    if (count > POSTS_MAX)
        count = POSTS_MAX;
    while (serve->post_count < count && !err) {
        err = post_new(&serve->posts[serve->post_count], serve);
        if (!err)
            serve->post_count++;
    }
    return err;
}

/* Once everything stands that they look at. */
static enum helio_err start_posts(struct serve *serve)
{
    enum helio_err err = HELIO_OK;

    for (unsigned i = 1; i < serve->post_count && !err; i++)
        err = post_start(serve->posts[i]);
    return err;
}

static int open_door(struct server *server)
{
    struct io_loop *loop = post_loop(server->serve.posts[0]);
    enum io_family family = station_family(server->serve.options);
    struct io_report report;

    if (server->socket_count > 0) {
        size_t n = (size_t)server->socket_count;

        server->socket_count = 0;
        return no_start(
            "use the sockets that were handed over",
            io_listener_adopt(&server->listener, loop, server->sockets, n, server_accept, server));
    }
    if (io_listener_new(&server->listener, loop, &server->place, family, server_accept, server,
                        &report))
        return station_not_listening(&server->place, &report);
    return STATUS_DONE;
}

static void announce(const struct server *server)
{
    const struct serve *serve = &server->serve;
    struct roll_list *list = roll_hold(serve->roll);
    size_t stations = helio_known_count(roll_known(list));
    struct io_place there = server->place;
    char fingerprint[HELIO_FINGERPRINT_TEXT], command[STATION_COMMAND_SIZE];

    roll_let_go(list);
    there.port = io_listener_port(server->listener);
    helio_fingerprint_format(helio_identity_fingerprint(serve->identity), fingerprint);
    station_command(serve->options, serve->identity, &there, serve->service->called_by, command);
    say_fields(SAY_NOTE, "serving",
               (const struct say_field[]){{.key = "service", .text = serve->service->name},
                                          {.key = "port", .number = there.port},
                                          {.key = "fingerprint", .text = fingerprint},
                                          {.key = "command", .text = command},
                                          {.key = "roll", .text = roll_path(serve->roll)},
                                          {.key = "stations", .number = stations},
                                          {.key = "threads", .number = serve->post_count},
                                          {.key = NULL}},
               "serving %s on port %u; stations on the roll: %zu (%s); they call with:\n  %s",
               serve->service->name, there.port, stations, roll_path(serve->roll), command);
}

static int prepare(struct server *server)
{
    struct serve *serve = &server->serve;
    int status = read_keys(serve);

    if (status != STATUS_DONE)
        return status;
    set_bound(serve);
    status = no_start("count", metrics_new(&serve->metrics));
    if (status == STATUS_DONE)
        status = no_start("make a gate", tally_new(&serve->tally, serve));
    if (status == STATUS_DONE)
        status = no_start("make event loops", make_posts(serve));
    if (status == STATUS_DONE && serve->service->prepare)
        status = serve->service->prepare(serve);
    return status;
}

static int open_up(struct server *server)
{
    struct serve *serve = &server->serve;
    int status = open_door(server);

    if (status == STATUS_DONE && serve->options->metrics)
        status = metrics_http_new(&server->metrics_http, serve->metrics, post_loop(serve->posts[0]),
                                  &server->metrics_place, station_family(serve->options));
    if (status == STATUS_DONE)
        status = no_start("watch clock and signals", server_watch(server));
    if (status == STATUS_DONE)
        status = no_start("start threads", start_posts(serve));
    return status;
}

static int run(struct server *server)
{
    struct serve *serve = &server->serve;
    int status = prepare(server);

    if (status != STATUS_DONE)
        return status;
    status = open_up(server);
    if (status == STATUS_DONE) {
        announce(server);
        server_ready(server);
        post_run(serve->posts[0]);
        say_note("stopped", "stopped");
        if (server->second_signal)
            status = 128 + server->second_signal;
    }
    return status;
}

/* Posts first, the last one first: what their loops still have to close looks at all the rest. */
static void clear(struct server *server)
{
    struct serve *serve = &server->serve;

    io_listener_free(server->listener);
    io_signals_free(server->signals);
    io_timer_free(server->tick);
    io_timer_free(server->patience);
    metrics_http_free(server->metrics_http);
    for (int i = 0; i < server->socket_count; i++)
        close(server->sockets[i]);
    if (serve->service_state && serve->service->clear)
        serve->service->clear(serve);
    while (serve->post_count > 0)
        post_free(serve->posts[--serve->post_count]);
    tally_free(serve->tally);
    metrics_free(serve->metrics);
    roll_free(serve->roll);
    helio_identity_free(serve->identity);
}

int verb_serve(struct options *options, int argc, char **argv)
{
    struct server server = {
        .serve = {.options = options, .remembering = PTHREAD_MUTEX_INITIALIZER},
    };
    int status = choose_service(&server.serve);

    if (status == STATUS_DONE)
        status = read_arguments(&server, argc, argv);
    if (status == STATUS_DONE)
        status = run(&server);
    clear(&server);
    return status;
}
