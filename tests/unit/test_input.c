/*
 * test_input.c: io_input on pipes: what a consumer does not take comes again, unchanged, however many
 * inputs share the loop's memory; and a pipe grows when bulk goes through it, only then, and never
 * shrinks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/io.h"

enum { PATIENCE_MS = 20000, BULK = 512 * 1024, ROOM = BULK + IO_PIECE };

/* A consumer of one pipe. */
struct tap {
    struct io_loop *loop;
    struct io_input *input;
    struct tap *other; /* resumed while we look at what we got */
    int refuse;        /* so many times */
    int refused;
    uint8_t *bytes;
    size_t n;
    size_t last; /* how many came in the last call */
    size_t longest;
    bool ended;
    int error;
    int *running; /* taps that have not ended */
};

static bool on_data(void *context, const uint8_t *data, size_t n)
{
    struct tap *tap = context;

    if (n > tap->longest)
        tap->longest = n;
    /* A call that follows a refusal has the same bytes. */
    if (tap->refused > 0 && tap->last != n)
        fail_msg("%zu bytes came again as %zu", tap->last, n);
    tap->last = n;
    if (tap->refuse > tap->refused) {
        tap->refused++;
        return false;
    }
    tap->refused = tap->refuse = 0;
    if (tap->other)
        io_input_resume(tap->other->input);
    assert_true(n <= ROOM - tap->n);
    memcpy(tap->bytes + tap->n, data, n);
    tap->n += n;
    return true;
}

static void on_ended(void *context, int error)
{
    struct tap *tap = context;

    tap->ended = true;
    tap->error = error;
    if (--*tap->running == 0)
        io_loop_stop(tap->loop);
}

static const struct io_input_handlers handlers = {on_data, on_ended};

static uint8_t byte_at(size_t i, int seed)
{
    return (uint8_t)((i + (size_t)seed) * 2654435761u >> 13);
}

static void write_pattern(int fd, size_t n, int seed)
{
    uint8_t *bytes = malloc(n);

    assert_non_null(bytes);
    for (size_t i = 0; i < n; i++)
        bytes[i] = byte_at(i, seed);
    assert_int_equal(write(fd, bytes, n), (ssize_t)n);
    free(bytes);
}

static void check_pattern(const struct tap *tap, size_t n, int seed)
{
    assert_int_equal(tap->n, n);
    for (size_t i = 0; i < n; i++)
        if (tap->bytes[i] != byte_at(i, seed))
            fail_msg("byte %zu of %zu is not what was sent", i, n);
}

typedef enum helio_err begin_fn(struct io_input **out, struct io_loop *loop, int fd,
                                const struct io_input_handlers *handlers, void *context);

static void open_tap_by(begin_fn *begin, struct tap *tap, struct io_loop *loop, int *running,
                        int fd)
{
    *tap = (struct tap){.loop = loop, .running = running, .bytes = malloc(ROOM)};
    assert_non_null(tap->bytes);
    assert_int_equal(begin(&tap->input, loop, fd, &handlers, tap), HELIO_OK);
    ++*running;
}

static void open_tap(struct tap *tap, struct io_loop *loop, int *running, int fd)
{
    open_tap_by(io_input_adopt, tap, loop, running, fd);
}

static void close_tap(struct tap *tap)
{
    assert_true(tap->ended);
    assert_int_equal(tap->error, 0);
    io_input_free(tap->input);
    free(tap->bytes);
}

static void on_late(void *context)
{
    (void)context;
    fail_msg("not over after %d ms", PATIENCE_MS);
}

static void run(struct io_loop *loop, io_fn *fn, void *context, uint64_t milliseconds)
{
    struct io_timer *timer;

    assert_int_equal(io_timer_new(&timer, loop, fn, context), HELIO_OK);
    io_timer_set(timer, milliseconds);
    io_loop_run(loop);
    io_timer_free(timer);
}

static void run_to_the_end(struct io_loop *loop)
{
    run(loop, on_late, NULL, PATIENCE_MS);
}

static void on_stop(void *context)
{
    io_loop_stop(context);
}

static void make_pipe(int ends[2], int size)
{
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    if (size > 0)
        assert_true(fcntl(ends[1], F_SETPIPE_SZ, size) >= size);
}

static void what_is_refused_comes_again(void **state)
{
    struct io_loop *loop;
    struct tap tap;
    int ends[2], running = 0;

    (void)state;
    assert_int_equal(io_loop_new(&loop), HELIO_OK);
    make_pipe(ends, 0);
    write_pattern(ends[1], 40000, 3);
    open_tap(&tap, loop, &running, ends[0]);
    tap.refuse = 2;
    io_input_resume(tap.input);
    assert_int_equal(tap.refused, 1);
    write_pattern(ends[1], 9, 40003); /* stays behind what was refused */
    assert_true(io_input_waiting(tap.input));
    run(loop, on_stop, loop, 30); /* a refusal is a pause */
    assert_int_equal(tap.refused, 1);
    io_input_resume(tap.input);
    assert_int_equal(tap.refused, 2);
    close(ends[1]);
    io_input_resume(tap.input);
    run_to_the_end(loop);
    check_pattern(&tap, 40009, 3);
    close_tap(&tap);
    io_loop_free(loop);
}

static void inputs_share_memory_and_nothing_else(void **state)
{
    struct io_loop *loop;
    struct tap first, second;
    int one[2], two[2], running = 0;

    (void)state;
    assert_int_equal(io_loop_new(&loop), HELIO_OK);
    make_pipe(one, 0);
    make_pipe(two, 0);
    write_pattern(one[1], 50000, 1);
    write_pattern(two[1], 60000, 2);
    close(one[1]);
    close(two[1]);
    open_tap(&first, loop, &running, one[0]);
    open_tap(&second, loop, &running, two[0]);
    first.other = &second;
    io_input_resume(first.input); /* the second is read while the first has the memory */
    assert_int_equal(second.n, 60000);
    run_to_the_end(loop);
    check_pattern(&first, 50000, 1);
    check_pattern(&second, 60000, 2);
    close_tap(&first);
    close_tap(&second);
    io_loop_free(loop);
}

static void bulk_comes_in_pieces(void **state)
{
    struct io_loop *loop;
    struct tap tap;
    int ends[2], running = 0;

    (void)state;
    assert_int_equal(io_loop_new(&loop), HELIO_OK);
    make_pipe(ends, BULK);
    write_pattern(ends[1], BULK, 5);
    close(ends[1]);
    open_tap(&tap, loop, &running, ends[0]);
    io_input_resume(tap.input);
    run_to_the_end(loop);
    check_pattern(&tap, BULK, 5);
    assert_int_equal(tap.longest, IO_PIECE);
    close_tap(&tap);
    io_loop_free(loop);
}

static void a_pipe_grows_with_bulk(void **state)
{
    static const struct {
        begin_fn *begin;
        int size; /* of the pipe; 0: what the kernel gives by itself */
        size_t n;
        bool grows;
    } cases[] = {
        {io_input_new, 0, 1, false},
        {io_input_new, 0, 60000, false},
        {io_input_new, 0, 65536, true},
        {io_input_new, 2 * BULK, 65536, false}, /* nor does it shrink */
        {io_input_adopt, 0, 65536, false},
    };
    struct io_loop *loop;

    (void)state;
    assert_int_equal(io_loop_new(&loop), HELIO_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tap tap;
        int ends[2], running = 0, before, after;

        make_pipe(ends, cases[i].size);
        before = fcntl(ends[1], F_GETPIPE_SZ);
        write_pattern(ends[1], cases[i].n, 7);
        open_tap_by(cases[i].begin, &tap, loop, &running, ends[0]);
        io_input_resume(tap.input);
        after = fcntl(ends[1], F_GETPIPE_SZ);
        if (cases[i].grows ? after <= before : after != before)
            fail_msg("case %zu: the pipe had %d and has %d", i, before, after);
        close(ends[1]);
        run_to_the_end(loop);
        close_tap(&tap);
        if (cases[i].begin == io_input_new)
            close(ends[0]);
    }
    io_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_refused_comes_again),
        cmocka_unit_test(inputs_share_memory_and_nothing_else),
        cmocka_unit_test(bulk_comes_in_pieces),
        cmocka_unit_test(a_pipe_grows_with_bulk),
    };

    return cmocka_run_group_tests_name("input", tests, NULL, NULL);
}
