/*
 * flood.c: connections at a steady rate that cost the server and never mean it.
 *
 * Four kinds: silent says nothing; hello says a HELLO that holds (its share is any 32 bytes) and
 * waits, so that the server signs for nothing; hangup leaves as soon as the HELLO is sent; garbage
 * waits for the REPLY and answers with bytes that mean nothing.  No kind costs us any RSA, so one
 * process can ask for many times what a server can sign.
 *
 * At most so many connections at a time: the oldest makes room for the next.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stations.h"

enum { HELLO_SIZE = 4 + 1 + 32 + 1 + 2 + 2 + 32, EVENTS = 256 };

enum kind { SILENT, HELLO, HANGUP, GARBAGE, KINDS };
static const char *const kind_names[KINDS] = {"silent", "hello", "hangup", "garbage"};

struct flood {
    const struct settings *settings;
    enum kind kind;
    int epoll;
    struct connection *connections; /* a ring */
    unsigned next, sources;
    uint64_t luck;
    uint64_t began, made, hellos, replies, ended_by_server, made_room;
    struct tally errors;
};

struct connection {
    int fd; /* -1: none */
    bool said, answered;
};

static void hang_up(struct connection *connection)
{
    /* A reset: thousands of ports that wait for late packets are no use to anybody. */
    static const struct linger now = {.l_onoff = 1, .l_linger = 0};

    if (connection->fd < 0)
        return;
    setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(connection->fd);
    connection->fd = -1;
}

/* protocol.md 5.1, with one suite. */
static void make_hello(struct flood *flood, uint8_t out[HELLO_SIZE])
{
    static const uint8_t head[] = {1, 0, 0, HELLO_SIZE - 4, 1};
    static const uint8_t middle[] = {1, 1, 1, 0, 32};

    memcpy(out, head, sizeof head);
    draw_bytes(&flood->luck, out + sizeof head, 32);
    memcpy(out + sizeof head + 32, middle, sizeof middle);
    draw_bytes(&flood->luck, out + sizeof head + 32 + sizeof middle, 32);
}

/* It is connected. */
static void speak(struct flood *flood, struct connection *connection)
{
    uint8_t hello[HELLO_SIZE];

    connection->said = true;
    if (flood->kind == SILENT)
        return;
    make_hello(flood, hello);
    if (send(connection->fd, hello, sizeof hello, MSG_NOSIGNAL) != sizeof hello) {
        flood->ended_by_server++;
        hang_up(connection);
        return;
    }
    flood->hellos++;
    if (flood->kind == HANGUP)
        hang_up(connection);
}

static void hear(struct flood *flood, struct connection *connection)
{
    uint8_t bytes[4096];
    ssize_t n = recv(connection->fd, bytes, sizeof bytes, 0);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        flood->ended_by_server++;
        hang_up(connection);
        return;
    }
    flood->replies += !connection->answered;
    if (flood->kind == GARBAGE && !connection->answered) {
        draw_bytes(&flood->luck, bytes, sizeof bytes);
        if (send(connection->fd, bytes, sizeof bytes, MSG_NOSIGNAL) < 0)
            flood->ended_by_server++;
    }
    connection->answered = true;
}

static void watch(struct flood *flood, struct connection *connection, uint32_t events, int how)
{
    struct epoll_event wanted = {.events = events, .data = {.ptr = connection}};

    if (epoll_ctl(flood->epoll, how, connection->fd, &wanted))
        tally_add(&flood->errors, strerror(errno));
}

static void call(struct flood *flood)
{
    const struct settings *settings = flood->settings;
    struct connection *connection = &flood->connections[flood->next++ % settings->stations];

    if (connection->fd >= 0) {
        flood->made_room++;
        hang_up(connection);
    }
    *connection = (struct connection){.fd = socket_from(settings, flood->sources++, SOCK_NONBLOCK)};
    flood->made++;
    if (connection->fd < 0) {
        tally_add(&flood->errors, strerror(errno));
        return;
    }
    if (connect(connection->fd, (const struct sockaddr *)&settings->server,
                settings->server_size) &&
        errno != EINPROGRESS) {
        tally_add(&flood->errors, strerror(errno));
        hang_up(connection);
        return;
    }
    watch(flood, connection, EPOLLOUT, EPOLL_CTL_ADD);
}

static void on_ready(struct flood *flood, const struct epoll_event *event)
{
    struct connection *connection = event->data.ptr;

    if (connection->fd < 0)
        return; /* it went in this very turn */
    if (!connection->said && !(event->events & (EPOLLERR | EPOLLHUP))) {
        speak(flood, connection);
        if (connection->fd >= 0)
            watch(flood, connection, EPOLLIN, EPOLL_CTL_MOD);
        return;
    }
    hear(flood, connection);
}

/*
 * Each at its time, not many at once: a burst would measure how long it takes to get through a burst.
 */
static void run(struct flood *flood)
{
    const struct settings *settings = flood->settings;
    uint64_t end = settings->seconds * UINT64_C(1000000000), passed;
    struct epoll_event events[EVENTS];

    flood->began = nanoseconds();
    while ((passed = nanoseconds() - flood->began) < end) {
        uint64_t due = flood->made * UINT64_C(1000000000) / settings->rate;
        uint64_t rest = due > passed ? due - passed : 0;
        struct timespec wait = {.tv_sec = (time_t)(rest / 1000000000),
                                .tv_nsec = (long)(rest % 1000000000)};

        if (rest == 0)
            call(flood);
        for (int i = 0, n = epoll_pwait2(flood->epoll, events, EVENTS, &wait, NULL); i < n; i++)
            on_ready(flood, &events[i]);
    }
}

static void report(const struct flood *flood)
{
    double seconds = (double)(nanoseconds() - flood->began) / 1e9;

    printf("{\"kind\":\"%s\",\"seconds\":%.1f,\"made\":%llu,\"per_second\":%.1f,\"hellos\":%llu,"
           "\"replies\":%llu,\"ended_by_server\":%llu,\"made_room\":%llu,",
           kind_names[flood->kind], seconds, (unsigned long long)flood->made,
           (double)flood->made / seconds, (unsigned long long)flood->hellos,
           (unsigned long long)flood->replies, (unsigned long long)flood->ended_by_server,
           (unsigned long long)flood->made_room);
    tally_print(&flood->errors, "errors");
    puts("}");
}

static bool find_kind(struct flood *flood, const char *name)
{
    flood->kind = SILENT;
    while (flood->kind < KINDS && strcmp(kind_names[flood->kind], name) != 0)
        flood->kind++;
    return flood->kind < KINDS;
}

int run_flood(const struct settings *settings)
{
    struct flood flood = {.settings = settings, .luck = settings->seed};

    if (!find_kind(&flood, settings->kind)) {
        fputs("stations: cannot flood: no such kind\n", stderr);
        return 2;
    }
    flood.connections = calloc(settings->stations, sizeof *flood.connections);
    flood.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!flood.connections || flood.epoll < 0) {
        perror("stations: cannot flood");
        free(flood.connections);
        return 1;
    }
    for (unsigned i = 0; i < settings->stations; i++)
        flood.connections[i].fd = -1;
    run(&flood);
    report(&flood);
    for (unsigned i = 0; i < settings->stations; i++)
        hang_up(&flood.connections[i]);
    close(flood.epoll);
    free(flood.connections);
    return tally_total(&flood.errors) > 0;
}
