/*
 * test_reach.c: when a station may be called, with time and randomness of our own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "forward/reach.h"

enum { FIRST = REACH_FIRST_MS, LAST = REACH_LAST_MS };
#define ONLY_A_CALL UINT64_MAX

/* What happens, and after it whether a call may begin, and else how long until time allows it. */
enum what {
    LOOK,
    BEGIN,
    OPENED, /* no news: it was up */
    BACK,   /* the news that it is */
    DOWN,   /* the news that it is */
    FAILED, /* no news: it was down */
    ENDED
};

struct step {
    uint64_t at;
    enum what what;
    bool allowed;
    uint64_t wait;
};

static bool says_news(struct reach *reach, const struct step *step)
{
    switch (step->what) {
    case BEGIN:
        reach_begin(reach);
        return false;
    case OPENED:
    case BACK:
        return reach_succeeded(reach);
    case DOWN:
    case FAILED:
        return reach_failed(reach, step->at, 0); /* 0 shortens nothing */
    case ENDED:
        reach_ended(reach);
        return false;
    default:
        return false;
    }
}

/* Begins 50000 ms after the clock's beginning, which means nothing. */
static const struct {
    const char *name;
    struct step steps[16]; /* ends with 0 */
} rows[] = {
    {"a call, and another while it is under way",
     {{50000, LOOK, true, 0},
      {50000, BEGIN, true, 0},
      {50000, BEGIN, true, 0},
      {50010, OPENED, true, 0},
      {50020, OPENED, true, 0}}},
    {"after the first failure it is down for a moment",
     {{50000, BEGIN, true, 0},
      {50100, DOWN, false, FIRST},
      {50100 + FIRST - 1, LOOK, false, 1},
      {50100 + FIRST, LOOK, true, 0}}},
    {"one call at a time finds out whether it is back",
     {{50000, BEGIN, true, 0},
      {50000, DOWN, false, FIRST},
      {51000, BEGIN, false, ONLY_A_CALL},
      {59000, LOOK, false, ONLY_A_CALL},
      {59000, FAILED, false, 2 * FIRST},
      {60000, BEGIN, false, ONLY_A_CALL},
      {60100, BACK, true, 0},
      {60100, BEGIN, true, 0},
      {60100, BEGIN, true, 0}}},
    {"success forgives: the next pause is a short one",
     {{50000, BEGIN, true, 0},
      {50000, DOWN, false, FIRST},
      {51000, BEGIN, false, ONLY_A_CALL},
      {51000, FAILED, false, 2 * FIRST},
      {52000, BEGIN, false, ONLY_A_CALL},
      {52000, FAILED, false, 4 * FIRST},
      {55000, BEGIN, false, ONLY_A_CALL},
      {55000, BACK, true, 0},
      {56000, BEGIN, true, 0},
      {56000, DOWN, false, FIRST}}},
    {"calls that began before it went down say nothing when they fail, too",
     {{50000, BEGIN, true, 0},
      {50000, BEGIN, true, 0},
      {50000, BEGIN, true, 0},
      {50001, DOWN, false, ONLY_A_CALL},
      {50002, FAILED, false, ONLY_A_CALL},
      {58000, FAILED, true, 0}}}, /* long after the pause: it is not lengthened */
    {"a call that began before it went down may open a line yet",
     {{50000, BEGIN, true, 0},
      {50000, BEGIN, true, 0},
      {50001, DOWN, false, ONLY_A_CALL},
      {50002, BACK, true, 0}}},
    {"what ends for another reason changes nothing",
     {{50000, BEGIN, true, 0},
      {50000, ENDED, true, 0},
      {50000, BEGIN, true, 0},
      {50000, DOWN, false, FIRST},
      {51000, BEGIN, false, ONLY_A_CALL},
      {51000, ENDED, true, 0},
      {51000, BEGIN, false, ONLY_A_CALL},
      {51000, FAILED, false, 2 * FIRST}}},
};

static void run_row(const char *name, const struct step *steps)
{
    struct reach reach = {0};

    for (unsigned i = 0; steps[i].at; i++) {
        const struct step *step = &steps[i];
        bool news = says_news(&reach, step);

        if (news != (step->what == BACK || step->what == DOWN))
            fail_msg("%s, step %u: %s", name, i, news ? "news" : "no news");
        if (reach_allows(&reach, step->at) != step->allowed)
            fail_msg("%s, step %u: a call is %s", name, i, step->allowed ? "refused" : "allowed");
        if (reach_wait(&reach, step->at) != step->wait)
            fail_msg("%s, step %u: waits %ju, wanted %ju", name, i,
                     (uintmax_t)reach_wait(&reach, step->at), (uintmax_t)step->wait);
    }
}

static void row_by_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        run_row(rows[i].name, rows[i].steps);
}

static void so_many_at_once_and_no_more(void **state)
{
    (void)state;
    struct reach reach = {0};

    for (unsigned i = 0; i < REACH_CALLS_MAX; i++) {
        assert_true(reach_allows(&reach, 1));
        reach_begin(&reach);
    }
    assert_false(reach_allows(&reach, 1));
    assert_true(reach_wait(&reach, 1) == ONLY_A_CALL);
    assert_false(reach_succeeded(&reach));
    assert_true(reach_allows(&reach, 1));
}

/* One failure after the other, each as soon as it may be; the pauses come out in the row. */
static void fail_in_a_row(uint64_t *pauses, size_t n, uint32_t random)
{
    struct reach reach = {0};
    uint64_t now = 50000;

    for (size_t i = 0; i < n; i++) {
        assert_true(reach_allows(&reach, now));
        reach_begin(&reach);
        assert_int_equal(reach_failed(&reach, now, random), i == 0);
        pauses[i] = reach_wait(&reach, now);
        now += pauses[i];
    }
}

static void pauses_double_up_to_the_longest(void **state)
{
    (void)state;
    static const uint64_t wanted[] = {FIRST,      2 * FIRST, 4 * FIRST, 8 * FIRST, 16 * FIRST,
                                      32 * FIRST, LAST,      LAST,      LAST};
    uint64_t seen[sizeof wanted / sizeof *wanted];

    fail_in_a_row(seen, sizeof seen / sizeof *seen, 0);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (seen[i] != wanted[i])
            fail_msg("pause %zu: %ju, wanted %ju", i, (uintmax_t)seen[i], (uintmax_t)wanted[i]);
}

/* Whatever the random word: at least half of the pause, at most all of it; and both do occur. */
static void each_pause_is_shortened_by_at_most_half(void **state)
{
    (void)state;
    uint64_t full[10], seen[10];
    bool shortest[10] = {false};

    fail_in_a_row(full, 10, 0);
    for (uint32_t word = 0; word <= LAST; word++) {
        fail_in_a_row(seen, 10, word);
        for (size_t i = 0; i < 10; i++) {
            if (2 * seen[i] < full[i] || seen[i] > full[i])
                fail_msg("word %u, pause %zu: %ju, wanted %ju to %ju", word, i, (uintmax_t)seen[i],
                         (uintmax_t)(full[i] + 1) / 2, (uintmax_t)full[i]);
            shortest[i] |= 2 * seen[i] == full[i];
        }
    }
    for (size_t i = 0; i < 10; i++)
        if (!shortest[i])
            fail_msg("pause %zu is never half of %ju", i, (uintmax_t)full[i]);
    fail_in_a_row(seen, 10, UINT32_MAX);
    for (size_t i = 0; i < 10; i++)
        assert_true(2 * seen[i] >= full[i] && seen[i] <= full[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_by_row),
        cmocka_unit_test(so_many_at_once_and_no_more),
        cmocka_unit_test(pauses_double_up_to_the_longest),
        cmocka_unit_test(each_pause_is_shortened_by_at_most_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
