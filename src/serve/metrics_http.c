/*
 * metrics_http.c: one page, for a scraper that comes every few seconds.
 *
 * The loop accepts the connections, so that taken ports are found and told as for stations, and
 * hands them to libmicrohttpd's thread, where everything else happens.  Whoever can reach the port
 * may be hostile: a connection has little memory for its headers and little patience, and when there
 * are CROWD of them the oldest is cut for each that comes.  A scraper is done within milliseconds,
 * so those who hold on are the ones that go.
 *
 * The bound on connections is ours: libmicrohttpd (0.9.75) has one, too, and hangs when it is reached
 * by connections that were handed to it.
 *
 * Invariants:
 *  - fds[0..count) are open descriptors of libmicrohttpd's, oldest first; its thread alone looks at
 *    them;
 *  - live counts the connections that it was handed and has not closed, at most CONNECTIONS.
 */
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/say.h"
#include "cli/station.h"
#include "serve/metrics.h"

/* CROWD is well below CONNECTIONS: who was cut is still there until libmicrohttpd has seen it. */
enum { CONNECTIONS = 128, CROWD = 16, TIMEOUT_S = 10, MEMORY = 8 << 10, STACK = 256 << 10 };

struct metrics_http {
    struct metrics *metrics;
    struct io_listener *listener;
    struct MHD_Daemon *daemon;
    atomic_uint live;
    int fds[CROWD];
    size_t count;
};

/* ----------------------------------------------------------------------------------- the page -- */

/* The text as it is now, for free; NULL without memory. */
static char *make_text(struct metrics *metrics, size_t *n)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, n);

    if (!f)
        return NULL;
    metrics_write(metrics, f);
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static struct MHD_Response *make_page(struct metrics *metrics)
{
    size_t n = 0;
    char *text = make_text(metrics, &n);
    struct MHD_Response *response =
        text ? MHD_create_response_from_buffer(n, text, MHD_RESPMEM_MUST_FREE) : NULL;

    if (!response) {
        free(text);
        return NULL;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                            "text/plain; version=0.0.4; charset=utf-8");
    return response;
}

static struct MHD_Response *make_refusal(unsigned code)
{
    static char not_found[] = "There is nothing but /metrics.\n";
    static char not_allowed[] = "GET and HEAD only.\n";
    char *text = code == MHD_HTTP_NOT_FOUND ? not_found : not_allowed;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_PERSISTENT);

    if (!response)
        return NULL;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain");
    if (code == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    return response;
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned code,
                              struct MHD_Response *response)
{
    enum MHD_Result result;

    if (!response)
        return MHD_NO;
    result = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response); /* lets go; the connection has it */
    return result;
}

/* Called when the headers are there, and again when the whole request is. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *body,
                                  size_t *body_n, void **request)
{
    static char seen;
    struct metrics_http *http = context;

    (void)version;
    (void)body;
    (void)body_n;
    if (strcmp(url, "/metrics") != 0)
        return answer(connection, MHD_HTTP_NOT_FOUND, make_refusal(MHD_HTTP_NOT_FOUND));
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
                      make_refusal(MHD_HTTP_METHOD_NOT_ALLOWED));
    if (!*request) {
        *request = &seen;
        return MHD_YES;
    }
    *body_n = 0; /* a body, if there is one, is not looked at */
    return answer(connection, MHD_HTTP_OK, make_page(http->metrics));
}

/* ------------------------------------------------------------------------------- connections -- */

static void remove_fd(struct metrics_http *http, int fd)
{
    size_t i = 0;

    while (i < http->count && http->fds[i] != fd)
        i++;
    if (i == http->count)
        return;
    http->count--;
    memmove(&http->fds[i], &http->fds[i + 1], (http->count - i) * sizeof *http->fds);
}

static void on_connection(void *context, struct MHD_Connection *connection, void **own,
                          enum MHD_ConnectionNotificationCode what)
{
    struct metrics_http *http = context;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

    (void)own;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED)
        atomic_fetch_sub(&http->live, 1);
    if (!info)
        return;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        remove_fd(http, info->connect_fd);
        return;
    }
    if (http->count >= CROWD) {
        shutdown(http->fds[0], SHUT_RDWR);
        remove_fd(http, http->fds[0]); /* not twice */
    }
    http->fds[http->count++] = info->connect_fd;
}

static void on_accept(void *context, const struct io_caller *caller)
{
    struct metrics_http *http = context;
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};

    if (atomic_fetch_add(&http->live, 1) >= CONNECTIONS) {
        atomic_fetch_sub(&http->live, 1);
        close(caller->fd);
        return;
    }
    memcpy(&address.sin6_addr, caller->source.address, sizeof address.sin6_addr);
    /* It closes the descriptor when it cannot take it. */
    if (MHD_add_connection(http->daemon, caller->fd, (const struct sockaddr *)&address,
                           sizeof address) != MHD_YES)
        atomic_fetch_sub(&http->live, 1);
}

/* --------------------------------------------------------------------------------- begin, end -- */

static void announce(const struct metrics_http *http, const struct io_place *place)
{
    struct io_place there = *place;
    char text[STATION_PLACE_SIZE];

    there.port = io_listener_port(http->listener);
    if (!*there.host)
        io_own_address(IO_FAMILY_ANY, there.host);
    io_place_format(&there, text, sizeof text);
    say_fields(SAY_NOTE, "metrics",
               (const struct say_field[]){{.key = "address", .text = text},
                                          {.key = "port", .number = there.port},
                                          {.key = NULL}},
               "metrics at http://%s/metrics", text);
}

static struct MHD_Daemon *start_daemon(struct metrics_http *http)
{
    /* clang-format off */
    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL,
        on_request, http,
        MHD_OPTION_CONNECTION_LIMIT, 2 * (unsigned)CONNECTIONS,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY,
        MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
        MHD_OPTION_END);
    /* clang-format on */
}

int metrics_http_new(struct metrics_http **out, struct metrics *metrics, struct io_loop *loop,
                     const struct io_place *place, enum io_family family)
{
    struct metrics_http *http = calloc(1, sizeof *http);
    struct io_report report;
    int status = STATUS_LOCAL;

    *out = NULL;
    if (!http) {
        say_error("memory", "%s", helio_strerror(HELIO_E_MEMORY));
        return STATUS_LOCAL;
    }
    http->metrics = metrics;
    http->daemon = start_daemon(http);
    if (!http->daemon) {
        say_error("metrics", "cannot start the thread that tells metrics");
        goto out;
    }
    if (io_listener_new(&http->listener, loop, place, family, on_accept, http, &report)) {
        status = station_not_listening(place, &report);
        goto out;
    }
    announce(http, place);
    *out = http;
    return STATUS_DONE;
out:
    metrics_http_free(http);
    return status;
}

void metrics_http_free(struct metrics_http *http)
{
    if (!http)
        return;
    io_listener_free(http->listener);
    if (http->daemon)
        MHD_stop_daemon(http->daemon);
    free(http);
}
