/*
 * dial.c: from HOST:PORT to a connection, and from [HOST:]PORT to a listener.
 *
 * A dial owns its look-up and every attempt that is under way.  An attempt's stream points back to
 * the dial (owner) until it wins or is closed; a look-up that cannot be called off any more
 * outlives the dial and finds its owner gone.
 */
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/loop.h"

enum { ADDRESS_MAX = 16, HEAD_START_MS = 250, BACKLOG = 128 };

/* ----------------------------------------------------------------------------------- streams -- */

enum helio_err stream_new(struct io_stream **out, struct io_loop *loop)
{
    struct io_stream *stream = calloc(1, sizeof *stream);

    if (!stream)
        return HELIO_E_MEMORY;
    if (uv_tcp_init(&loop->uv, &stream->tcp)) {
        free(stream);
        return HELIO_E_SYSTEM;
    }
    stream->loop = loop;
    *out = stream;
    return HELIO_OK;
}

const char *io_stream_name(const struct io_stream *stream)
{
    return stream->name;
}

void io_stream_free(struct io_stream *stream)
{
    if (stream)
        uv_close((uv_handle_t *)&stream->tcp, free_handle);
}

/* ----------------------------------------------------------------------------------- look-up -- */

static const int family_numbers[] = {
    [IO_FAMILY_ANY] = AF_UNSPEC,
    [IO_FAMILY_4] = AF_INET,
    [IO_FAMILY_6] = AF_INET6,
};

static struct addrinfo lookup_hints(enum io_family family, int flags)
{
    return (struct addrinfo){
        .ai_family = family_numbers[family],
        .ai_socktype = SOCK_STREAM,
        .ai_protocol = IPPROTO_TCP,
        .ai_flags = flags | AI_NUMERICSERV,
    };
}

struct lookup {
    uv_getaddrinfo_t request;
    struct io_loop *loop;
    struct io_dial *dial; /* NULL once nobody waits */
};

struct io_dial {
    uv_timer_t deadline; /* first: the dial is freed when both timers are closed */
    uv_timer_t stagger;
    unsigned timers;
    struct io_loop *loop;
    struct lookup *lookup;
    struct addrinfo *addresses;
    const struct addrinfo *next;             /* the one to try next */
    struct io_stream *attempts[ADDRESS_MAX]; /* NULL when it is over */
    size_t started;
    size_t pending;
    bool finished;
    struct io_report report;
    io_dial_fn *fn;
    void *context;
};

static void on_dial_timer_closed(uv_handle_t *handle)
{
    struct io_dial *dial = handle->data;

    if (--dial->timers == 0)
        free(dial);
}

/* Ends everything that is under way, except for the winner. */
static void finish(struct io_dial *dial)
{
    dial->finished = true;
    uv_timer_stop(&dial->deadline);
    uv_timer_stop(&dial->stagger);
    if (dial->lookup) {
        dial->lookup->dial = NULL;
        uv_cancel((uv_req_t *)&dial->lookup->request);
        dial->lookup = NULL;
    }
    for (size_t i = 0; i < dial->started; i++) {
        io_stream_free(dial->attempts[i]);
        dial->attempts[i] = NULL;
    }
}

static void give_up(struct io_dial *dial)
{
    finish(dial);
    dial->fn(dial->context, NULL, &dial->report);
}

static void try_next(struct io_dial *dial);

static void on_stagger(uv_timer_t *timer)
{
    try_next(timer->data);
}

static void on_deadline(uv_timer_t *timer)
{
    struct io_dial *dial = timer->data;

    for (size_t i = 0; i < dial->started; i++)
        if (dial->attempts[i])
            report_add(&dial->report, dial->attempts[i]->name, IO_FAULT_TIMED_OUT);
    /* Whatever the others said, what ended this was the clock. */
    dial->report.fault = IO_FAULT_TIMED_OUT;
    give_up(dial);
}

static void forget_attempt(struct io_dial *dial, const struct io_stream *stream)
{
    for (size_t i = 0; i < dial->started; i++)
        if (dial->attempts[i] == stream)
            dial->attempts[i] = NULL;
    dial->pending--;
}

static void on_connect(uv_connect_t *request, int status)
{
    struct io_stream *stream = (struct io_stream *)request->handle;
    struct io_dial *dial = stream->owner;

    if (status == UV_ECANCELED)
        return; /* the stream is being closed, and the dial may be gone */
    forget_attempt(dial, stream);
    if (status) {
        report_add(&dial->report, stream->name, fault_of(status));
        io_stream_free(stream);
        try_next(dial);
        return;
    }
    finish(dial);
    stream->owner = NULL;
    dial->fn(dial->context, stream, &dial->report);
}

/* False when it failed at once: the report has it. */
static bool start_attempt(struct io_dial *dial, const struct sockaddr *address)
{
    struct io_stream *stream = NULL;
    char name[IO_NAME_SIZE];
    int error;

    address_format(address, name, sizeof name);
    if (stream_new(&stream, dial->loop)) {
        report_add(&dial->report, name, IO_FAULT_SYSTEM);
        return false;
    }
    memcpy(stream->name, name, sizeof name);
    stream->owner = dial;
    error = uv_tcp_connect(&stream->connect, &stream->tcp, address, on_connect);
    if (error) {
        report_add(&dial->report, name, fault_of(error));
        io_stream_free(stream);
        return false;
    }
    dial->attempts[dial->started++] = stream;
    dial->pending++;
    return true;
}

static void try_next(struct io_dial *dial)
{
    bool under_way = false;

    while (dial->next && dial->started < ADDRESS_MAX && !under_way) {
        under_way = start_attempt(dial, dial->next->ai_addr);
        dial->next = dial->next->ai_next;
    }
    if (dial->next && dial->started < ADDRESS_MAX)
        uv_timer_start(&dial->stagger, on_stagger, HEAD_START_MS, 0);
    else if (dial->pending == 0)
        give_up(dial);
}

static void on_lookup(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses)
{
    struct lookup *lookup = (struct lookup *)request;
    struct io_dial *dial = lookup->dial;

    lookup->loop->resolving--;
    free(lookup);
    if (!dial) {
        uv_freeaddrinfo(addresses);
        return;
    }
    dial->lookup = NULL;
    if (status) {
        dial->report.fault = fault_of(status);
        give_up(dial);
        return;
    }
    dial->addresses = addresses;
    dial->next = addresses;
    try_next(dial);
}

static enum helio_err start_lookup(struct io_dial *dial, const struct io_place *place,
                                   enum io_family family)
{
    struct addrinfo hints = lookup_hints(family, 0);
    struct lookup *lookup = calloc(1, sizeof *lookup);
    char port[8];

    if (!lookup)
        return HELIO_E_MEMORY;
    snprintf(port, sizeof port, "%u", place->port);
    lookup->loop = dial->loop;
    lookup->dial = dial;
    if (uv_getaddrinfo(&dial->loop->uv, &lookup->request, on_lookup, place->host, port, &hints)) {
        free(lookup);
        return HELIO_E_SYSTEM;
    }
    dial->lookup = lookup;
    dial->loop->resolving++;
    return HELIO_OK;
}

enum helio_err io_dial_new(struct io_dial **out, struct io_loop *loop, const struct io_place *place,
                           enum io_family family, uint64_t timeout, io_dial_fn *fn, void *context)
{
    struct io_dial *dial = calloc(1, sizeof *dial);
    enum helio_err err;

    if (!dial)
        return HELIO_E_MEMORY;
    dial->loop = loop;
    dial->fn = fn;
    dial->context = context;
    err = start_lookup(dial, place, family);
    if (err) {
        free(dial);
        return err;
    }
    uv_timer_init(&loop->uv, &dial->deadline);
    uv_timer_init(&loop->uv, &dial->stagger);
    dial->timers = 2;
    dial->deadline.data = dial->stagger.data = dial;
    uv_update_time(&loop->uv);
    uv_timer_start(&dial->deadline, on_deadline, timeout, 0);
    *out = dial;
    return HELIO_OK;
}

void io_dial_free(struct io_dial *dial)
{
    if (!dial)
        return;
    if (!dial->finished)
        finish(dial);
    uv_freeaddrinfo(dial->addresses);
    uv_close((uv_handle_t *)&dial->deadline, on_dial_timer_closed);
    uv_close((uv_handle_t *)&dial->stagger, on_dial_timer_closed);
}

/* --------------------------------------------------------------------------------- listening -- */

struct listening {
    uv_tcp_t tcp;
    struct io_listener *listener;
};

struct io_listener {
    struct io_loop *loop;
    struct listening *sockets[ADDRESS_MAX];
    size_t count;
    uint16_t port;
    io_accept_fn *fn;
    void *context;
};

static void name_stream(struct io_stream *stream)
{
    struct sockaddr_storage address;
    int n = sizeof address;

    if (uv_tcp_getpeername(&stream->tcp, (struct sockaddr *)&address, &n))
        snprintf(stream->name, sizeof stream->name, "(already gone)");
    else
        address_format((struct sockaddr *)&address, stream->name, sizeof stream->name);
}

static void on_connection(uv_stream_t *server, int status)
{
    struct listening *socket = (struct listening *)server;
    struct io_listener *listener = socket->listener;
    struct io_stream *stream = NULL;

    if (status || stream_new(&stream, listener->loop))
        return; /* out of descriptors or memory: the next one may have better luck */
    if (uv_accept(server, (uv_stream_t *)&stream->tcp)) {
        io_stream_free(stream);
        return;
    }
    name_stream(stream);
    listener->fn(listener->context, stream);
}

/* With port 0 the first socket gets one from the system, and the others must take the same. */
static void set_port(struct sockaddr *address, uint16_t port)
{
    if (address->sa_family == AF_INET6)
        ((struct sockaddr_in6 *)address)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)address)->sin_port = htons(port);
}

static uint16_t bound_port(const uv_tcp_t *tcp)
{
    struct sockaddr_storage address;
    int n = sizeof address;
    struct sockaddr_in6 in6;

    if (uv_tcp_getsockname(tcp, (struct sockaddr *)&address, &n))
        return 0;
    /* The port stands at the same place in both families. */
    memcpy(&in6, &address, sizeof in6);
    return ntohs(in6.sin6_port);
}

static int listen_at(struct io_listener *listener, struct sockaddr *address, unsigned flags)
{
    struct listening *socket = calloc(1, sizeof *socket);
    int error;

    if (!socket)
        return UV_ENOMEM;
    set_port(address, listener->port);
    error = uv_tcp_init(&listener->loop->uv, &socket->tcp);
    if (error) {
        free(socket);
        return error;
    }
    socket->listener = listener;
    error = uv_tcp_bind(&socket->tcp, address, flags);
    if (!error)
        error = uv_listen((uv_stream_t *)&socket->tcp, BACKLOG, on_connection);
    if (error) {
        uv_close((uv_handle_t *)&socket->tcp, free_handle);
        return error;
    }
    listener->port = bound_port(&socket->tcp);
    listener->sockets[listener->count++] = socket;
    return 0;
}

static int report_listen(struct io_listener *listener, struct sockaddr *address, unsigned flags,
                         struct io_report *report)
{
    int error = listen_at(listener, address, flags);
    char name[IO_NAME_SIZE];

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
    int error = UV_EAFNOSUPPORT;

    if (family != IO_FAMILY_4)
        error = report_listen(listener, (struct sockaddr *)&in6,
                              family == IO_FAMILY_6 ? UV_TCP_IPV6ONLY : 0, report);
    /* Without IPv6 in this kernel (or switched off), IPv4 alone is all there is. */
    if (family != IO_FAMILY_6 && fault_of(error) != IO_FAULT_NONE &&
        fault_of(error) != IO_FAULT_IN_USE)
        report_listen(listener, (struct sockaddr *)&in, 0, report);
}

static void listen_on_host(struct io_listener *listener, const char *host, enum io_family family,
                           struct io_report *report)
{
    struct addrinfo hints = lookup_hints(family, AI_PASSIVE);
    struct addrinfo *addresses = NULL;
    int error = getaddrinfo(host, NULL, &hints, &addresses);

    if (error) {
        report->fault = IO_FAULT_NO_HOST;
        return;
    }
    for (struct addrinfo *a = addresses; a && listener->count < ADDRESS_MAX; a = a->ai_next)
        report_listen(listener, a->ai_addr, UV_TCP_IPV6ONLY * (a->ai_family == AF_INET6), report);
    freeaddrinfo(addresses);
}

enum helio_err io_listener_new(struct io_listener **out, struct io_loop *loop,
                               const struct io_place *place, enum io_family family,
                               io_accept_fn *fn, void *context, struct io_report *report)
{
    struct io_listener *listener = calloc(1, sizeof *listener);

    *out = NULL;
    *report = (struct io_report){.fault = IO_FAULT_SYSTEM};
    if (!listener)
        return HELIO_E_MEMORY;
    report->fault = IO_FAULT_NONE;
    listener->loop = loop;
    listener->port = place->port;
    listener->fn = fn;
    listener->context = context;
    if (place->host[0])
        listen_on_host(listener, place->host, family, report);
    else
        listen_everywhere(listener, family, report);
    if (listener->count == 0 || report->fault == IO_FAULT_IN_USE) {
        /* A port that somebody else has on one of the addresses is not ours on any of them. */
        io_listener_free(listener);
        return HELIO_E_SYSTEM;
    }
    *out = listener;
    return HELIO_OK;
}

uint16_t io_listener_port(const struct io_listener *listener)
{
    return listener->port;
}

void io_listener_free(struct io_listener *listener)
{
    if (!listener)
        return;
    for (size_t i = 0; i < listener->count; i++)
        uv_close((uv_handle_t *)&listener->sockets[i]->tcp, free_handle);
    free(listener);
}
