/*
 * dial.c: from HOST:PORT, or a Unix socket's path, to a connection.
 *
 * A dial owns its look-up and every attempt that is under way.  An attempt's stream points back to
 * the dial (owner) until it wins or is closed; a look-up that cannot be called off any more
 * outlives the dial and finds its owner gone.
 *
 * A Unix socket answers at once, or says that its queue is full, and then only asking again helps.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/loop.h"

enum { ADDRESS_MAX = 16, HEAD_START_MS = 250, ASK_AGAIN_MS = 20 };

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
    char path[IO_HOST_SIZE];                 /* a Unix socket's, or "" */
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
    if (*dial->path)
        report_add(&dial->report, dial->path, IO_FAULT_TIMED_OUT);
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

/* A connected descriptor, or an error of libuv's. */
static int connect_local(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd, error = 0;

    if (strlen(path) >= sizeof address.sun_path)
        return UV_ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return uv_translate_sys_error(errno);
    if (connect(fd, (struct sockaddr *)&address, sizeof address)) {
        error = uv_translate_sys_error(errno);
        close(fd);
    }
    return error ? error : fd;
}

static void on_local(uv_timer_t *timer)
{
    struct io_dial *dial = timer->data;
    struct io_caller caller = {.fd = connect_local(dial->path)};
    struct io_stream *stream = NULL;
    enum io_fault fault = IO_FAULT_NONE;

    if (caller.fd == UV_EAGAIN) {
        uv_timer_start(&dial->stagger, on_local, ASK_AGAIN_MS, 0);
        return;
    }
    snprintf(caller.name, sizeof caller.name, "%.*s", IO_NAME_SIZE - 1, dial->path);
    if (caller.fd == UV_ENOENT)
        fault = IO_FAULT_NO_SOCKET;
    else if (caller.fd < 0)
        fault = fault_of(caller.fd);
    else if (io_stream_adopt(&stream, dial->loop, &caller))
        fault = IO_FAULT_SYSTEM;
    if (fault) {
        report_add(&dial->report, dial->path, fault);
        give_up(dial);
        return;
    }
    finish(dial);
    dial->fn(dial->context, stream, &dial->report);
}

enum helio_err io_dial_new(struct io_dial **out, struct io_loop *loop, const struct io_place *place,
                           enum io_family family, uint64_t timeout, io_dial_fn *fn, void *context)
{
    struct io_dial *dial = calloc(1, sizeof *dial);
    enum helio_err err = HELIO_OK;

    if (!dial)
        return HELIO_E_MEMORY;
    dial->loop = loop;
    dial->fn = fn;
    dial->context = context;
    if (place->local)
        memcpy(dial->path, place->host, sizeof dial->path);
    else
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
    if (place->local)
        uv_timer_start(&dial->stagger, on_local, 0, 0);
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
