#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "session/pair.h"
#include "unit/lines.h"

enum { HANDSHAKE_MS = 10000, PAUSE_US = 50 };

static void set_buffers(int fd, int buffers)
{
    if (buffers == 0)
        return;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffers, sizeof buffers), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffers, sizeof buffers), 0);
}

void tcp_pair(int fds[2], int buffers)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(listener >= 0);
    set_buffers(listener, buffers);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, n), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &n), 0);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fds[0] >= 0);
    set_buffers(fds[0], buffers);
    assert_int_equal(connect(fds[0], (struct sockaddr *)&address, n), 0);
    fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fds[1] >= 0);
    close(listener);
}

static void on_event(void *context, struct io_line *line, const helio_event *event)
{
    struct lines_end *end = context;

    if (event->kind == HELIO_EVENT_PEER)
        io_line_trust(line);
    else if (event->kind == HELIO_EVENT_OPEN)
        end->open = true;
    else if (end->event)
        end->event(end->context, event);
}

static void on_writable(void *context, struct io_line *line)
{
    struct lines_end *end = context;

    (void)line;
    if (end->writable)
        end->writable(end->context);
}

static void on_ended(void *context, struct io_line *line, enum helio_err result)
{
    struct lines_end *end = context;

    (void)line;
    end->ended = true;
    end->result = result;
    if (end->gone)
        end->gone(end->context);
}

static const struct io_line_handlers handlers = {
    .event = on_event,
    .writable = on_writable,
    .ended = on_ended,
};

static void begin_end(struct lines *lines, int which, int fd)
{
    const helio_config config = {
        .protocol = HELIO_PROTOCOL_HELIO1,
        .identity = test_identity(which),
    };
    const struct io_caller caller = {.fd = fd, .name = "test"};
    struct lines_end *end = &lines->end[which];
    struct io_stream *stream;

    assert_int_equal(io_stream_adopt(&stream, lines->loop, &caller), HELIO_OK);
    assert_int_equal(io_line_new(&end->line, lines->loop, stream, &config,
                                 which ? HELIO_RESPONDER : HELIO_INITIATOR, HANDSHAKE_MS, &handlers,
                                 end),
                     HELIO_OK);
}

void lines_open(struct lines *lines, struct io_loop *loop, int buffers)
{
    int fds[2];

    *lines = (struct lines){.loop = loop};
    tcp_pair(fds, buffers);
    begin_end(lines, 0, fds[0]);
    begin_end(lines, 1, fds[1]);
    while (!lines->end[0].open || !lines->end[1].open) {
        lines_turn(lines);
        if (lines->end[0].ended || lines->end[1].ended)
            fail_msg("the line did not open: %s, %s", helio_strerror(lines->end[0].result),
                     helio_strerror(lines->end[1].result));
    }
}

void lines_turn(struct lines *lines)
{
    uv_run(&lines->loop->uv, UV_RUN_NOWAIT);
    usleep(PAUSE_US);
}

void lines_close(struct lines *lines)
{
    for (int i = 0; i < 2; i++)
        if (!lines->end[i].ended)
            io_line_drop(lines->end[i].line);
    while (!lines->end[0].ended || !lines->end[1].ended)
        lines_turn(lines);
    for (int i = 0; i < 2; i++)
        io_line_free(lines->end[i].line);
}
