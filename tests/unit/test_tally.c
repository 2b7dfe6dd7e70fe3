/*
 * test_tally.c: what is said of those who were not served is all of it, and never much.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "serve/serve.h"

enum { SECOND = 1000, START = 50000 };

static struct options options = {.max_handshakes = 4, .no_penalties = true};
static struct serve serve = {.options = &options};
static const struct io_caller caller = {.fd = -1, .name = "192.0.2.1:7"};
static char said[4096];

static void listen_in(void *context, const char *text, size_t n)
{
    (void)context;
    assert_true(strlen(said) + n < sizeof said);
    strncat(said, text, n);
}

static int begin(void **state)
{
    (void)state;
    *said = '\0';
    say_setup(false, false, false);
    say_through(listen_in, NULL);
    return metrics_new(&serve.metrics) || tally_new(&serve.tally, &serve);
}

static int end(void **state)
{
    (void)state;
    say_through(NULL, NULL);
    tally_free(serve.tally);
    metrics_free(serve.metrics);
    return 0;
}

/* Lets so many in, and says how each has gone. */
static void come_and_go(unsigned n, enum gate_outcome outcome, uint64_t now)
{
    for (unsigned i = 0; i < n; i++) {
        assert_true(tally_admit(serve.tally, &caller, now));
        tally_settle(serve.tally, &caller.source, outcome, 3, now);
    }
}

static void a_quiet_second_says_nothing(void **state)
{
    (void)state;
    /* These have messages of their own, or are nobody's fault. */
    come_and_go(3, GATE_OPENED, START);
    come_and_go(2, GATE_REFUSED, START);
    come_and_go(2, GATE_OURS, START);
    tally_say(serve.tally, START);
    assert_string_equal(said, "");
}

static void all_is_in_one_line(void **state)
{
    (void)state;
    unsigned in = 0, out = 0;

    come_and_go(2, GATE_LEFT, START);
    come_and_go(1, GATE_TIMED_OUT, START);
    while (in < options.max_handshakes)
        if (tally_admit(serve.tally, &caller, START))
            in++;
        else
            out++;
    assert_false(tally_admit(serve.tally, &caller, START));
    assert_false(tally_admit(serve.tally, &caller, START));
    tally_say(serve.tally, START);
    char full[64], dropped[64];
    snprintf(full, sizeof full, out ? " early, 2 full)" : "(2 full)");
    snprintf(dropped, sizeof dropped, "helio: connections dropped: %u (", out + 2);
    assert_memory_equal(said, dropped, strlen(dropped));
    assert_non_null(strstr(said, full));
    assert_non_null(strstr(said, "; handshakes that came to nothing: 3 (2 left, 1 timed-out)\n"));
}

static void counts_are_said_once_and_once_a_second(void **state)
{
    (void)state;
    tally_say(serve.tally, START);
    come_and_go(1, GATE_LEFT, START + 1);
    tally_say(serve.tally, START + SECOND - 1);
    assert_string_equal(said, "");
    tally_say(serve.tally, START + SECOND);
    assert_string_equal(said, "helio: handshakes that came to nothing: 1 (1 left)\n");
    tally_say(serve.tally, START + 2 * SECOND);
    assert_string_equal(said, "helio: handshakes that came to nothing: 1 (1 left)\n");
}

static void single_messages_are_bounded(void **state)
{
    (void)state;
    unsigned may = 0;

    for (unsigned i = 0; i < 25; i++)
        may += tally_may_say(serve.tally, START + i);
    assert_int_equal(may, 10);
    assert_true(tally_may_say(serve.tally, START + SECOND));
    tally_say(serve.tally, START + SECOND);
    assert_string_equal(said, "helio: messages left out: 15\n");
}

/* Of two loops, each with a clock that stands still while its callbacks run. */
static void clocks_that_differ_do_not_make_messages(void **state)
{
    (void)state;
    unsigned may = 0;

    for (unsigned i = 0; i < 40; i++)
        may += tally_may_say(serve.tally, START + i - i % 4 * 10);
    assert_int_equal(may, 10);
}

int main(void)
{
#define ROW(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        ROW(a_quiet_second_says_nothing),
        ROW(all_is_in_one_line),
        ROW(counts_are_said_once_and_once_a_second),
        ROW(single_messages_are_bounded),
        ROW(clocks_that_differ_do_not_make_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
