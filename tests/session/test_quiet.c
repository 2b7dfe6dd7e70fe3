/*
 * test_quiet.c: how much heap a line holds in all (engine, line, stream, OpenSSL) when it is open
 * and quiet after bulk has gone both ways; and that it goes on after that.
 *
 * Both ends are in this process.  malloc's own caches are turned off by the environment
 * (tests/meson.build).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/io.h"
#include "session/pair.h"

enum { LINES = 24, PIECES = 12, LINE_MAX_BYTES = 8 * 1024 };
/* Two turns of a line's own second, on the same clock; and what nothing here takes. */
enum { QUIET_MS = 2200, PATIENCE_MS = 30000 };

struct end {
    struct io_line *line;
    struct all *all;
    size_t to_send;
    size_t received;
};

struct all {
    struct io_loop *loop;
    struct io_listener *listener;
    struct io_dial *dials[LINES];
    struct end ends[2 * LINES];
    int count;
    int open;
    uint16_t suite;
};

static size_t heap(void)
{
    struct mallinfo2 now = mallinfo2();

    return now.uordblks + now.hblkhd;
}

static void send_some(struct end *end)
{
    static const uint8_t bytes[IO_PIECE];
    enum helio_err err = HELIO_OK;

    while (end->to_send > 0) {
        err = io_line_send(end->line, bytes, sizeof bytes, HELIO_DATA);
        if (err)
            break;
        end->to_send--;
    }
    assert_true(err == HELIO_OK || err == HELIO_E_AGAIN);
}

static void stop_when_all_is_there(struct all *all, size_t pieces)
{
    for (int i = 0; i < all->count; i++)
        if (all->ends[i].received < pieces * IO_PIECE)
            return;
    io_loop_stop(all->loop);
}

static void on_event(void *context, struct io_line *line, const helio_event *event)
{
    struct end *end = context;

    if (event->kind == HELIO_EVENT_PEER)
        io_line_trust(line);
    if (event->kind == HELIO_EVENT_OPEN && ++end->all->open == 2 * LINES)
        io_loop_stop(end->all->loop);
    if (event->kind == HELIO_EVENT_DATA) {
        end->received += event->size;
        stop_when_all_is_there(end->all, PIECES);
    }
}

static void on_writable(void *context, struct io_line *line)
{
    (void)line;
    send_some(context);
}

static void on_ended(void *context, struct io_line *line, enum helio_err err)
{
    struct end *end = context;

    (void)err;
    io_line_free(line);
    end->line = NULL;
}

static const struct io_line_handlers handlers = {on_event, on_writable, on_ended};

static void take_stream(struct all *all, struct io_stream *stream, helio_role role)
{
    const helio_config config = {.identity = test_identity(role == HELIO_INITIATOR ? 0 : 1),
                                 .suites = &all->suite,
                                 .suite_count = 1};
    struct end *end = &all->ends[all->count++];

    end->all = all;
    assert_int_equal(
        io_line_new(&end->line, all->loop, stream, &config, role, PATIENCE_MS, &handlers, end),
        HELIO_OK);
}

static void on_accept(void *context, const struct io_caller *caller)
{
    struct all *all = context;
    struct io_stream *stream;

    assert_int_equal(io_stream_adopt(&stream, all->loop, caller), HELIO_OK);
    take_stream(all, stream, HELIO_RESPONDER);
}

static void on_dialled(void *context, struct io_stream *stream, const struct io_report *report)
{
    if (!stream)
        fail_msg("%s", report->detail);
    take_stream(context, stream, HELIO_INITIATOR);
}

static void on_late(void *context)
{
    fail_msg("%s did not come about in %d ms", (const char *)context, PATIENCE_MS);
}

static void on_stop(void *context)
{
    io_loop_stop(context);
}

static void run(struct all *all, uint64_t milliseconds, io_fn *fn, void *context)
{
    struct io_timer *timer;

    assert_int_equal(io_timer_new(&timer, all->loop, fn, context), HELIO_OK);
    io_timer_set(timer, milliseconds);
    io_loop_run(all->loop);
    io_timer_free(timer);
}

static void run_until(struct all *all, const char *what)
{
    run(all, PATIENCE_MS, on_late, (void *)(uintptr_t)what);
}

static void open_lines(struct all *all)
{
    struct io_place place = {.host = "127.0.0.1"};
    struct io_report report;

    assert_int_equal(io_loop_new(&all->loop), HELIO_OK);
    assert_int_equal(
        io_listener_new(&all->listener, all->loop, &place, IO_FAMILY_4, on_accept, all, &report),
        HELIO_OK);
    place.port = io_listener_port(all->listener);
    for (int i = 0; i < LINES; i++)
        assert_int_equal(io_dial_new(&all->dials[i], all->loop, &place, IO_FAMILY_4, PATIENCE_MS,
                                     on_dialled, all),
                         HELIO_OK);
    run_until(all, "opening the lines");
    for (int i = 0; i < LINES; i++)
        io_dial_free(all->dials[i]);
    io_listener_free(all->listener);
}

static void exchange(struct all *all)
{
    for (int i = 0; i < all->count; i++) {
        all->ends[i].to_send = PIECES;
        all->ends[i].received = 0;
        send_some(&all->ends[i]);
    }
    run_until(all, "sending bulk");
}

static void close_lines(struct all *all)
{
    for (int i = 0; i < all->count; i++)
        io_line_drop(all->ends[i].line);
    io_loop_free(all->loop);
}

static void a_quiet_line_is_small(void **state)
{
    static const uint16_t suites[] = {HELIO_SUITE_IDEA_CTR_POLY1305, HELIO_SUITE_CHACHA20_POLY1305,
                                      HELIO_SUITE_AES_256_GCM};
    static struct all all;

    (void)state;
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++) {
        size_t before, each;

        all = (struct all){.suite = suites[i]};
        open_lines(&all); /* once to make what is made once */
        close_lines(&all);
        all = (struct all){.suite = suites[i]};
        before = heap();
        open_lines(&all);
        exchange(&all);
        run(&all, QUIET_MS, on_stop, all.loop);
        each = (heap() - before - malloc_usable_size(all.loop)) / (2 * LINES);
        print_message("%s: %zu bytes of heap\n", helio_suite_name(suites[i]), each);
        if (heap() > 0) /* under a sanitizer malloc is another one */
            assert_in_range(each, 1, LINE_MAX_BYTES);
        exchange(&all);
        close_lines(&all);
    }
}

static int tear_down(void **state)
{
    (void)state;
    test_identities_free();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_quiet_line_is_small)};

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("quiet", tests, NULL, tear_down);
}
