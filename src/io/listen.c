/*
 * listen.c: from [HOST:]PORT to sockets that accept.
 *
 * The sockets are bare descriptors that the loop watches, because an accepted connection may be
 * served on another thread's loop, and libuv would tie it to this one.
 *
 * A door is one listening socket.  When the process (or the machine) has no descriptors left, a
 * caller can be neither accepted nor turned away, and the loop would turn on its call for ever.  So
 * one descriptor is kept in reserve: it is given up for the time that it takes to accept a caller
 * and close, and then all doors rest for a moment.
 *
 * Invariants:
 *  - freed: no door accepts any more; the memory goes with the last of libuv's handles;
 *  - resting: no door is watched, and the timer runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/loop.h"

enum { DOOR_MAX = 16, ACCEPT_MAX = 16, REST_MS = 100, PORT_TRIES = 16 };

struct door {
    uv_poll_t poll; /* first: the callback finds its door by it */
    int fd;
    struct io_listener *listener;
};

struct io_listener {
    struct io_loop *loop;
    struct door doors[DOOR_MAX];
    size_t count;
    uv_timer_t rest;
    unsigned handles; /* doors and timer, as far as they are not closed */
    bool freed;
    int spare; /* the descriptor in reserve, or -1 */
    uint16_t port;
    io_accept_fn *fn;
    void *context;
};

/* --------------------------------------------------------------------------------- accepting -- */

static int open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_ready(uv_poll_t *poll, int status, int events);

static void watch(struct io_listener *listener)
{
    for (size_t i = 0; i < listener->count; i++)
        uv_poll_start(&listener->doors[i].poll, UV_READABLE, on_ready);
}

static void on_rested(uv_timer_t *timer)
{
    struct io_listener *listener = timer->data;

    if (listener->spare < 0)
        listener->spare = open_spare();
    watch(listener);
}

static void rest(struct io_listener *listener)
{
    for (size_t i = 0; i < listener->count; i++)
        uv_poll_stop(&listener->doors[i].poll);
    uv_update_time(&listener->loop->uv);
    uv_timer_start(&listener->rest, on_rested, REST_MS, 0);
}

/* Who cannot be served should know at once. */
static void turn_one_away(struct door *door)
{
    struct io_listener *listener = door->listener;
    int fd;

    if (listener->spare < 0)
        return;
    close(listener->spare);
    fd = accept4(door->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    listener->spare = open_spare();
}

/* What accept(2) says about one caller and not about us: the next one may have better luck. */
static bool concerns_caller(int error)
{
    static const int errors[] = {ECONNABORTED, EINTR,        EPROTO,      ENOPROTOOPT, ENETDOWN,
                                 EHOSTDOWN,    EHOSTUNREACH, ENETUNREACH, ENONET,      EOPNOTSUPP,
                                 ETIMEDOUT,    ECONNRESET,   EPERM};

    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i] == error)
            return true;
    return false;
}

static void describe(struct io_caller *caller, const struct sockaddr_storage *address)
{
    uint8_t *out = caller->source.address;

    if (address->ss_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, address, sizeof in6);
        memcpy(out, &in6.sin6_addr, sizeof caller->source.address);
    } else if (address->ss_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, address, sizeof in);
        out[10] = out[11] = 0xff;
        memcpy(out + 12, &in.sin_addr, 4);
    } else {
        snprintf(caller->name, sizeof caller->name, "(no address)");
        return;
    }
    address_format((const struct sockaddr *)address, caller->name, sizeof caller->name);
}

/* False when there is nobody more to accept now. */
static bool accept_one(struct door *door)
{
    struct io_listener *listener = door->listener;
    struct sockaddr_storage address = {0};
    socklen_t n = sizeof address;
    struct io_caller caller = {
        .fd = accept4(door->fd, (struct sockaddr *)&address, &n, SOCK_NONBLOCK | SOCK_CLOEXEC),
    };

    if (caller.fd >= 0) {
        describe(&caller, &address);
        listener->fn(listener->context, &caller);
        return !listener->freed;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return false;
    if (concerns_caller(errno))
        return true;
    if (errno == EMFILE || errno == ENFILE)
        turn_one_away(door);
    rest(listener);
    return false;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct door *door = (struct door *)poll;

    (void)events;
    if (status) {
        rest(door->listener); /* libuv has stopped watching it */
        return;
    }
    for (int i = 0; i < ACCEPT_MAX && accept_one(door); i++)
        ;
}

/* ----------------------------------------------------------------------------------- sockets -- */

/* With port 0 the first socket gets one from the system, and the others must take the same. */
static void set_port(struct sockaddr *address, uint16_t port)
{
    if (address->sa_family == AF_INET6)
        ((struct sockaddr_in6 *)address)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)address)->sin_port = htons(port);
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t n = sizeof address;
    struct sockaddr_in6 in6;

    if (getsockname(fd, (struct sockaddr *)&address, &n) ||
        (address.ss_family != AF_INET && address.ss_family != AF_INET6))
        return 0;
    /* The port stands at the same place in both families. */
    memcpy(&in6, &address, sizeof in6);
    return ntohs(in6.sin6_port);
}

/*
 * A listening socket, or an error of libuv's.  SO_REUSEADDR takes a port over from connections that
 * are past, not from another listener: that one is found also where only one of us is on all
 * addresses.
 */
static int open_socket(const struct sockaddr *address, socklen_t size, bool only_ipv6)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1, only = only_ipv6, error = 0;

    if (fd < 0)
        return uv_translate_sys_error(errno);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) ||
        (address->sa_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only)) ||
        bind(fd, address, size) || listen(fd, SOMAXCONN)) {
        error = uv_translate_sys_error(errno);
        close(fd);
    }
    return error ? error : fd;
}

/* Takes fd over, also on failure: an error of libuv's. */
static int add_door(struct io_listener *listener, int fd)
{
    struct door *door = &listener->doors[listener->count];
    int error =
        listener->count < DOOR_MAX ? uv_poll_init(&listener->loop->uv, &door->poll, fd) : UV_ENOMEM;

    if (error) {
        close(fd);
        return error;
    }
    door->poll.data = door;
    door->fd = fd;
    door->listener = listener;
    listener->count++;
    listener->handles++;
    if (listener->port == 0)
        listener->port = bound_port(fd);
    return 0;
}

static int listen_at(struct io_listener *listener, struct sockaddr *address, bool only_ipv6,
                     struct io_report *report)
{
    socklen_t size =
        address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    char name[IO_NAME_SIZE];
    int error;

    set_port(address, listener->port);
    error = open_socket(address, size, only_ipv6);
    if (error >= 0)
        error = add_door(listener, error);
    if (error) {
        address_format(address, name, sizeof name);
        report_add(report, name, fault_of(error));
    }
    return error;
}

static void listen_everywhere(struct io_listener *listener, enum io_family family,
                              struct io_report *report)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    if (family != IO_FAMILY_4) {
        int error = listen_at(listener, (struct sockaddr *)&in6, family == IO_FAMILY_6, report);

        if (!error || family == IO_FAMILY_6 || fault_of(error) == IO_FAULT_IN_USE)
            return;
        /* Without IPv6 in this kernel (or switched off), IPv4 alone is all there is. */
        *report = (struct io_report){.fault = IO_FAULT_NONE};
    }
    listen_at(listener, (struct sockaddr *)&in, false, report);
}

/*
 * localhost is this machine in both families, whatever the resolver knows of it (RFC 6761, 6.3): many
 * a /etc/hosts has it for IPv4 alone, and another program could take the other half of the port.
 */
static void listen_on_loopback(struct io_listener *listener, enum io_family family,
                               struct io_report *report)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};

    if (family != IO_FAMILY_6)
        listen_at(listener, (struct sockaddr *)&in, false, report);
    if (family == IO_FAMILY_4)
        return;
    int error = listen_at(listener, (struct sockaddr *)&in6, true, report);

    /* Without IPv6 in this kernel (or switched off), IPv4 alone is all there is. */
    if (error && fault_of(error) != IO_FAULT_IN_USE && listener->count > 0)
        *report = (struct io_report){.fault = IO_FAULT_NONE};
}

static void listen_on_host(struct io_listener *listener, const char *host, enum io_family family,
                           struct io_report *report)
{
    struct addrinfo hints = lookup_hints(family, AI_PASSIVE);
    struct addrinfo *addresses = NULL;

    if (getaddrinfo(host, NULL, &hints, &addresses)) {
        report->fault = IO_FAULT_NO_HOST;
        return;
    }
    for (struct addrinfo *a = addresses; a && listener->count < DOOR_MAX; a = a->ai_next)
        listen_at(listener, a->ai_addr, a->ai_family == AF_INET6, report);
    freeaddrinfo(addresses);
}

/* --------------------------------------------------------------------------------- listeners -- */

static enum helio_err listener_new(struct io_listener **out, struct io_loop *loop, io_accept_fn *fn,
                                   void *context)
{
    struct io_listener *listener = calloc(1, sizeof *listener);

    if (!listener)
        return HELIO_E_MEMORY;
    listener->loop = loop;
    listener->fn = fn;
    listener->context = context;
    listener->spare = open_spare();
    uv_timer_init(&loop->uv, &listener->rest);
    listener->rest.data = listener;
    listener->handles = 1;
    *out = listener;
    return HELIO_OK;
}

/* True when all that was asked for is ours. */
static bool listen_once(struct io_listener *listener, const struct io_place *place,
                        enum io_family family, struct io_report *report)
{
    *report = (struct io_report){.fault = IO_FAULT_NONE};
    listener->port = place->port;
    if (strcasecmp(place->host, "localhost") == 0)
        listen_on_loopback(listener, family, report);
    else if (place->host[0])
        listen_on_host(listener, place->host, family, report);
    else
        listen_everywhere(listener, family, report);
    /* A port that somebody else has on one of the addresses is not ours on any of them. */
    return listener->count > 0 && report->fault != IO_FAULT_IN_USE;
}

enum helio_err io_listener_new(struct io_listener **out, struct io_loop *loop,
                               const struct io_place *place, enum io_family family,
                               io_accept_fn *fn, void *context, struct io_report *report)
{
    struct io_listener *listener = NULL;
    enum helio_err err;
    int tries = 0;

    *out = NULL;
    for (;;) {
        *report = (struct io_report){.fault = IO_FAULT_SYSTEM};
        err = listener_new(&listener, loop, fn, context);
        if (err)
            return err;
        if (listen_once(listener, place, family, report))
            break;
        io_listener_free(listener);
        /* What the system chose for one family may be somebody's in the other. */
        if (place->port || report->fault != IO_FAULT_IN_USE || ++tries == PORT_TRIES)
            return HELIO_E_SYSTEM;
    }
    watch(listener);
    *out = listener;
    return HELIO_OK;
}

enum helio_err io_listener_adopt(struct io_listener **out, struct io_loop *loop, const int *fds,
                                 size_t n, io_accept_fn *fn, void *context)
{
    struct io_listener *listener = NULL;
    enum helio_err err = listener_new(&listener, loop, fn, context);

    *out = NULL;
    for (size_t i = 0; i < n; i++) {
        if (err) {
            close(fds[i]);
            continue;
        }
        fcntl(fds[i], F_SETFD, FD_CLOEXEC);
        if (add_door(listener, fds[i]))
            err = HELIO_E_SYSTEM;
    }
    if (err) {
        io_listener_free(listener);
        return err;
    }
    watch(listener);
    *out = listener;
    return HELIO_OK;
}

uint16_t io_listener_port(const struct io_listener *listener)
{
    return listener->port;
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct io_listener *listener =
        handle->type == UV_TIMER ? handle->data : ((struct door *)handle)->listener;

    if (--listener->handles == 0)
        free(listener);
}

void io_listener_free(struct io_listener *listener)
{
    if (!listener)
        return;
    listener->freed = true;
    for (size_t i = 0; i < listener->count; i++) {
        uv_close((uv_handle_t *)&listener->doors[i].poll, on_listener_closed);
        close(listener->doors[i].fd);
    }
    uv_close((uv_handle_t *)&listener->rest, on_listener_closed);
    if (listener->spare >= 0)
        close(listener->spare);
}
