#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../figures.h"
#include "pump.h"

enum { WORDS = 64, EVENTS = 128, CONNECTIONS_MAX = 1024, BACKLOG = 1024, PATIENCE_MS = 15000 };

static struct sockaddr_in here(const char *port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static bool watch(int epoll, int fd, uint32_t events, uint64_t value)
{
    struct epoll_event wanted = {.events = events, .data = {.u64 = value}};

    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &wanted) == 0;
}

/* ------------------------------------------------------------------------------------- knock -- */

struct door {
    int fd; /* -1: none */
    size_t heard;
    uint64_t began;
    bool said, closed;
};

struct knock {
    struct sockaddr_in server;
    int epoll;
    unsigned at_once, open;
    uint64_t end;
    struct door doors[CONNECTIONS_MAX];
    struct sample sample;
    struct tally errors;
};

static void leave(struct knock *knock, struct door *door)
{
    close(door->fd);
    door->fd = -1;
    knock->open--;
}

static void knock_at(struct knock *knock, struct door *door)
{
    *door = (struct door){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
                          .began = nanoseconds()};
    if (door->fd < 0 ||
        (connect(door->fd, (const struct sockaddr *)&knock->server, sizeof knock->server) &&
         errno != EINPROGRESS) ||
        !watch(knock->epoll, door->fd, EPOLLOUT | EPOLLIN | EPOLLET,
               (uint64_t)(door - knock->doors))) {
        fprintf(stderr, "pump: cannot connect: %s\n", strerror(errno));
        exit(1);
    }
    knock->open++;
}

/* All came back and our half is closed: the other side's end is the last thing to wait for. */
static void hear(struct knock *knock, struct door *door)
{
    char words[WORDS];
    ssize_t n;

    while ((n = recv(door->fd, words, sizeof words, 0)) > 0)
        door->heard += (size_t)n;
    if (door->heard == WORDS && !door->closed) {
        door->closed = true;
        sample_add(&knock->sample, nanoseconds() - door->began);
        shutdown(door->fd, SHUT_WR);
    }
    if (n < 0 && errno == EAGAIN)
        return;
    if (n < 0)
        tally_add(&knock->errors, strerror(errno));
    else if (door->heard != WORDS)
        tally_add(&knock->errors, "the other side ended early");
    leave(knock, door);
}

static void on_door(struct knock *knock, struct door *door, uint32_t events)
{
    static const char words[WORDS] = "sixty-four bytes that are to be heard again, all of them";

    if (events & EPOLLOUT && !door->said) {
        door->said = true;
        if (send(door->fd, words, sizeof words, MSG_NOSIGNAL) != sizeof words) {
            tally_add(&knock->errors, strerror(errno));
            leave(knock, door);
            return;
        }
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        hear(knock, door);
}

static void run_doors(struct knock *knock)
{
    struct epoll_event events[EVENTS];

    for (;;) {
        for (unsigned i = 0; i < knock->at_once && nanoseconds() < knock->end; i++)
            if (knock->doors[i].fd < 0)
                knock_at(knock, &knock->doors[i]);
        if (knock->open == 0)
            return;
        int n = epoll_wait(knock->epoll, events, EVENTS, PATIENCE_MS);

        if (n <= 0) {
            tally_add(&knock->errors, "nothing happens any more");
            return;
        }
        for (int i = 0; i < n; i++)
            on_door(knock, &knock->doors[events[i].data.u64], events[i].events);
    }
}

int run_knock(int argc, char **argv)
{
    static struct knock knock;
    uint64_t began = nanoseconds();

    (void)argc;
    knock.server = here(argv[0]);
    knock.end = began + strtoull(argv[1], NULL, 10) * 1000000000;
    knock.at_once = (unsigned)strtoul(argv[2], NULL, 10);
    knock.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (knock.at_once < 1 || knock.at_once > CONNECTIONS_MAX || knock.epoll < 0)
        return 2;
    for (unsigned i = 0; i < knock.at_once; i++)
        knock.doors[i].fd = -1;
    run_doors(&knock);
    double seconds = (double)(nanoseconds() - began) / 1e9;

    printf("{\"seconds\":%.3f,\"per_second\":%.1f,", seconds, (double)knock.sample.n / seconds);
    sample_print(&knock.sample, "session_ms", stdout);
    putchar(',');
    tally_print(&knock.errors, "errors");
    puts("}");
    sample_clear(&knock.sample);
    return tally_total(&knock.errors) > 0;
}

/* ------------------------------------------------------------------------------------ target -- */

static void accept_all(int epoll, int listener)
{
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        if (!watch(epoll, fd, EPOLLIN, (uint64_t)fd))
            close(fd);
}

/* Small pieces always fit into the socket's buffer. */
static void repeat(int fd)
{
    char words[4096];
    ssize_t n = recv(fd, words, sizeof words, 0);

    if (n <= 0 || send(fd, words, (size_t)n, MSG_NOSIGNAL) != n)
        close(fd);
}

int run_target(int argc, char **argv)
{
    static const int on = 1;
    struct sockaddr_in address = here(argv[0]);
    struct epoll_event events[EVENTS];
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    (void)argc;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (const struct sockaddr *)&address, sizeof address) ||
        listen(listener, BACKLOG) || !watch(epoll, listener, EPOLLIN, (uint64_t)listener)) {
        fprintf(stderr, "pump: cannot listen: %s\n", strerror(errno));
        return 1;
    }
    for (;;)
        for (int i = 0, n = epoll_wait(epoll, events, EVENTS, -1); i < n; i++)
            if (events[i].data.u64 == (uint64_t)listener)
                accept_all(epoll, listener);
            else
                repeat((int)events[i].data.u64);
}
