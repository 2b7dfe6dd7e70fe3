/*
 * test_gate.c: who is let in, with time and randomness of our own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "serve/gate.h"

enum { SECOND = 1000 };

/* ----------------------------------------------------------------------------------- helpers -- */

/* xorshift64*: the same in every run. */
struct generator {
    uint64_t state;
    unsigned calls;
    unsigned fail_from; /* the first call that fails, from 1; 0: none */
};

static uint64_t next_word(struct generator *g)
{
    g->state ^= g->state >> 12;
    g->state ^= g->state << 25;
    g->state ^= g->state >> 27;
    return g->state * UINT64_C(0x2545f4914f6cdd1d);
}

static enum helio_err generate(void *context, uint8_t *out, size_t n)
{
    struct generator *g = context;

    g->calls++;
    if (g->fail_from && g->calls >= g->fail_from)
        return HELIO_E_CRYPTO;
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(next_word(g) >> 32);
    return HELIO_OK;
}

/* The same byte always. */
static enum helio_err repeat(void *context, uint8_t *out, size_t n)
{
    memset(out, *(const uint8_t *)context, n);
    return HELIO_OK;
}

static struct generator generator = {.state = 0x1234567};

static struct gate *new_gate(unsigned handshakes, bool penalties)
{
    struct gate_limits limits = {.handshakes = handshakes, .penalties = penalties};
    struct gate *gate;

    generator = (struct generator){.state = 0x1234567};
    assert_int_equal(gate_new(&gate, &limits, generate, &generator), HELIO_OK);
    return gate;
}

/* 10.0.0.0 and the n-th after it. */
static struct io_source ipv4(uint32_t n)
{
    struct io_source source = {.address = {[10] = 0xff, [11] = 0xff, [12] = 10}};

    source.address[13] = (uint8_t)(n >> 16);
    source.address[14] = (uint8_t)(n >> 8);
    source.address[15] = (uint8_t)n;
    return source;
}

/* A handshake from begin to end. */
static void shake(struct gate *gate, const struct io_source *source, enum gate_outcome outcome,
                  uint64_t now)
{
    enum gate_verdict verdict = gate_ask(gate, source, now);

    if (verdict != GATE_IN)
        fail_msg("at %llu expected to get in, seen %s", (unsigned long long)now,
                 gate_verdict_name(verdict));
    gate_settle(gate, source, outcome, now);
}

static void expect(struct gate *gate, const struct io_source *source, uint64_t now,
                   enum gate_verdict expected, const char *what, size_t row)
{
    enum gate_verdict seen = gate_ask(gate, source, now);

    if (seen == GATE_IN)
        gate_settle(gate, source, GATE_OURS, now);
    if (seen != expected)
        fail_msg("%s, row %zu, at %llu ms: expected %s, seen %s", what, row,
                 (unsigned long long)now, gate_verdict_name(expected), gate_verdict_name(seen));
}

/* So many under way, each of a source of its own; none may be turned away at random. */
static void fill(struct gate *gate, unsigned n)
{
    for (unsigned tries = 0; gate_handshakes(gate) < n; tries++) {
        struct io_source source = ipv4(0x800000 + tries);

        assert_true(tries < 1000 * n);
        (void)gate_ask(gate, &source, 0);
    }
}

/* ----------------------------------------------------------------------------------- the crowd -- */

/* A drop is: word / 2^32 below (n - half) / (limit - half). */
static const struct edge_case {
    unsigned limit, under_way;
    uint8_t byte; /* of which all random words consist */
    enum gate_verdict expected;
} edge_cases[] = {
    {1, 0, 0x00, GATE_IN},        {1, 1, 0xff, GATE_FULL},   {2, 1, 0x00, GATE_IN},
    {2, 2, 0xff, GATE_FULL},      {3, 1, 0x00, GATE_IN},     {3, 2, 0x7f, GATE_EARLY},
    {3, 2, 0x80, GATE_IN},        {3, 3, 0xff, GATE_FULL},   {4, 2, 0x00, GATE_IN},
    {4, 3, 0x7f, GATE_EARLY},     {4, 3, 0x80, GATE_IN},     {8, 4, 0x00, GATE_IN},
    {8, 5, 0x3f, GATE_EARLY},     {8, 5, 0x40, GATE_IN},     {8, 6, 0x7f, GATE_EARLY},
    {8, 6, 0x80, GATE_IN},        {8, 7, 0xbf, GATE_EARLY},  {8, 7, 0xc0, GATE_IN},
    {8, 8, 0xff, GATE_FULL},      {512, 256, 0x00, GATE_IN}, {512, 257, 0, GATE_EARLY},
    {512, 511, 0xfe, GATE_EARLY}, {512, 511, 0xff, GATE_IN}, {512, 512, 0xff, GATE_FULL},
};

static void early_drop_is_exact(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof edge_cases / sizeof *edge_cases; i++) {
        const struct edge_case *c = &edge_cases[i];
        struct gate_limits limits = {.handshakes = c->limit};
        struct io_source source = ipv4(1);
        uint8_t byte = 0xff; /* lets everybody in, until there is none but the limit */
        struct gate *gate;

        assert_int_equal(gate_new(&gate, &limits, repeat, &byte), HELIO_OK);
        fill(gate, c->under_way);
        byte = c->byte;
        /* What was drawn before is used up first. */
        for (int k = 0; k < 64 && c->under_way > c->limit / 2 && c->under_way < c->limit; k++)
            if (gate_ask(gate, &source, 0) == GATE_IN)
                gate_settle(gate, &source, GATE_OURS, 0);
        expect(gate, &source, 0, c->expected, "edge", i);
        assert_int_equal(gate_handshakes(gate), c->under_way);
        gate_free(gate);
    }
}

static void early_drop_rises_with_the_crowd(void **state)
{
    enum { LIMIT = 64, HALF = 32, TRIES = 20000 };
    struct gate *gate = new_gate(LIMIT, false);
    struct io_source source = ipv4(1);

    (void)state;
    for (unsigned n = 0; n <= LIMIT; n++) {
        double p = n <= HALF ? 0 : (double)(n - HALF) / (LIMIT - HALF);
        unsigned dropped = 0;

        fill(gate, n);
        for (int i = 0; i < TRIES; i++) {
            if (gate_ask(gate, &source, 0) == GATE_IN)
                gate_settle(gate, &source, GATE_OURS, 0);
            else
                dropped++;
        }
        /* The variance of so many throws is TRIES p (1 - p); 4.5 deviations are allowed. */
        double off = dropped - TRIES * p;
        if (off * off > 4.5 * 4.5 * TRIES * p * (1 - p))
            fail_msg("%u of %d under way: expected about %.0f dropped of %d, seen %u", n, LIMIT,
                     TRIES * p, TRIES, dropped);
    }
    gate_free(gate);
}

/* Nobody is asked for randomness before it is needed, nor for each drop. */
static void randomness_is_drawn_in_batches(void **state)
{
    struct gate *gate = new_gate(100, false);
    struct io_source source = ipv4(1);

    (void)state;
    fill(gate, 50);
    for (int i = 0; i < 100; i++)
        expect(gate, &source, 0, GATE_IN, "half full", 0);
    assert_int_equal(generator.calls, 0);
    fill(gate, 100);
    gate_settle(gate, &source, GATE_OURS, 0);
    generator.calls = 0;
    for (int i = 0; i < 6400; i++)
        if (gate_ask(gate, &source, 0) == GATE_IN)
            gate_settle(gate, &source, GATE_OURS, 0);
    if (generator.calls < 90 || generator.calls > 101)
        fail_msg("6400 words drawn in %u calls, expected about 100", generator.calls);
    gate_free(gate);
}

static void without_randomness_half_is_all(void **state)
{
    struct gate_limits limits = {.handshakes = 8, .penalties = true};
    struct generator g = {.state = 1, .fail_from = 1};
    struct gate *gate;
    unsigned in = 0;

    (void)state;
    assert_int_equal(gate_new(&gate, &limits, generate, &g), HELIO_E_CRYPTO);
    assert_null(gate);
    g = (struct generator){.state = 1, .fail_from = 2};
    assert_int_equal(gate_new(&gate, &limits, generate, &g), HELIO_OK);
    for (unsigned i = 0; i < 100; i++) {
        struct io_source source = ipv4(i);
        enum gate_verdict verdict = gate_ask(gate, &source, 0);

        in += verdict == GATE_IN;
        assert_true(verdict == GATE_IN || verdict == GATE_EARLY);
    }
    assert_int_equal(in, 5);
    gate_free(gate);
}

/* ----------------------------------------------------------------------------------- penalties -- */

/* One handshake after another, all of one source; then a question every so often. */
static const struct penalty_case {
    const char *what;
    struct {
        enum gate_outcome outcome;
        unsigned times;
        unsigned gap; /* milliseconds before each */
    } steps[3];
    unsigned shut; /* milliseconds after the last until it is let in, 0: at once */
} penalty_cases[] = {
    {"nothing", {{GATE_OPENED, 0, 0}}, 0},
    {"opened", {{GATE_OPENED, 1000, 0}}, 0},
    {"ours", {{GATE_OURS, 1000, 0}}, 0},
    {"left 14 times", {{GATE_LEFT, 14, 0}}, 0},
    {"left 15 times", {{GATE_LEFT, 15, 0}}, 15 * SECOND},
    {"left once a second", {{GATE_LEFT, 1000, SECOND}}, 0},
    {"left twice a second", {{GATE_LEFT, 29, SECOND / 2}}, 15 * SECOND},
    {"refused twice", {{GATE_REFUSED, 2, 0}}, 0},
    {"refused 3 times", {{GATE_REFUSED, 3, 0}}, 15 * SECOND},
    {"refused 3 times, slowly", {{GATE_REFUSED, 3, 1}}, 0},
    {"refused 4 times, slowly", {{GATE_REFUSED, 4, SECOND}}, 17 * SECOND},
    {"refused every 5 s", {{GATE_REFUSED, 1000, 5 * SECOND}}, 0},
    {"timed out", {{GATE_TIMED_OUT, 1, 0}}, 0},
    {"timed out twice", {{GATE_TIMED_OUT, 2, 0}}, 20 * SECOND},
    {"timed out every 10 s", {{GATE_TIMED_OUT, 100, 10 * SECOND}}, 0},
    {"violated", {{GATE_VIOLATED, 1, 0}}, 0},
    {"violated twice", {{GATE_VIOLATED, 2, 0}}, 20 * SECOND},
    {"forgiven", {{GATE_LEFT, 14, 0}, {GATE_OPENED, 1, 0}, {GATE_LEFT, 14, 0}}, 0},
    {"not by a failure of ours",
     {{GATE_LEFT, 14, 0}, {GATE_OURS, 1, 0}, {GATE_LEFT, 1, 0}},
     15 * SECOND},
    {"mixed", {{GATE_REFUSED, 1, 0}, {GATE_LEFT, 1, 0}, {GATE_VIOLATED, 1, 0}}, 16 * SECOND},
};

static void penalties_add_and_run_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof penalty_cases / sizeof *penalty_cases; i++) {
        const struct penalty_case *c = &penalty_cases[i];
        struct gate *gate = new_gate(100, true);
        struct io_source source = ipv4(7), other = ipv4(8);
        uint64_t now = 5000;

        for (size_t k = 0; k < sizeof c->steps / sizeof *c->steps; k++)
            for (unsigned n = 0; n < c->steps[k].times; n++) {
                now += c->steps[k].gap;
                shake(gate, &source, c->steps[k].outcome, now);
            }
        if (c->shut) {
            expect(gate, &source, now, GATE_PENALTY, c->what, i);
            expect(gate, &source, now + c->shut - 1, GATE_PENALTY, c->what, i);
        }
        assert_int_equal(gate_penalized(gate, now), c->shut > 0);
        expect(gate, &other, now, GATE_IN, c->what, i);
        assert_int_equal(gate_penalized(gate, now + c->shut), 0);
        expect(gate, &source, now + c->shut, GATE_IN, c->what, i);
        assert_int_equal(gate_handshakes(gate), 0);
        gate_free(gate);
    }
}

/* What was let in together comes to nothing together. */
static void penalties_have_a_cap(void **state)
{
    struct gate *gate = new_gate(1000, true);
    struct io_source source = ipv4(7);

    (void)state;
    for (int i = 0; i < 500; i++)
        assert_int_equal(gate_ask(gate, &source, 0), GATE_IN);
    for (int i = 0; i < 500; i++)
        gate_settle(gate, &source, GATE_VIOLATED, 0);
    expect(gate, &source, 600 * SECOND - 1, GATE_PENALTY, "cap", 0);
    expect(gate, &source, 600 * SECOND, GATE_IN, "cap", 1);
    gate_free(gate);
}

/* One that had begun before its source was shut out, and opens, forgives. */
static void an_open_line_lets_its_source_in_again(void **state)
{
    struct gate *gate = new_gate(100, true);
    struct io_source source = ipv4(7);

    (void)state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(gate_ask(gate, &source, 0), GATE_IN);
    for (int i = 0; i < 9; i++)
        gate_settle(gate, &source, GATE_TIMED_OUT, 0);
    expect(gate, &source, SECOND, GATE_PENALTY, "before", 0);
    gate_settle(gate, &source, GATE_OPENED, SECOND);
    expect(gate, &source, SECOND, GATE_IN, "after", 0);
    assert_int_equal(gate_penalized(gate, SECOND), 0);
    gate_free(gate);
}

static void without_penalties_sources_are_all_the_same(void **state)
{
    struct gate *gate = new_gate(10, false);
    struct io_source source = ipv4(7);

    (void)state;
    for (int i = 0; i < 1000; i++)
        shake(gate, &source, GATE_VIOLATED, 0);
    assert_int_equal(gate_penalized(gate, 0), 0);
    for (unsigned i = 0; i < 100000 && gate_handshakes(gate) < 10; i++)
        assert_int_not_equal(gate_ask(gate, &source, 0), GATE_SHARE);
    expect(gate, &source, 0, GATE_FULL, "full", 0);
    gate_free(gate);
}

/* ------------------------------------------------------------------------------------- sources -- */

static const struct pair_case {
    struct io_source a, b;
    bool same;
} pair_cases[] = {
    /* clang-format off */
    {{{0x20, 1, 0xd, 0xb8, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 1}},
     {{0x20, 1, 0xd, 0xb8, 1, 2, 3, 4, 9, 9, 9, 9, 9, 9, 9, 9}}, true},
    {{{0x20, 1, 0xd, 0xb8, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 1}},
     {{0x20, 1, 0xd, 0xb8, 1, 2, 3, 5, 0, 0, 0, 0, 0, 0, 0, 1}}, false},
    {{{0x20, 1, 0xd, 0xb8, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 1}},
     {{0xa0, 1, 0xd, 0xb8, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 1}}, false},
    {{{[10] = 0xff, 0xff, 192, 0, 2, 1}}, {{[10] = 0xff, 0xff, 192, 0, 2, 1}}, true},
    {{{[10] = 0xff, 0xff, 192, 0, 2, 1}}, {{[10] = 0xff, 0xff, 192, 0, 2, 2}}, false},
    {{{[10] = 0xff, 0xff, 192, 0, 2, 1}}, {{[10] = 0xff, 0xff, 193, 0, 2, 1}}, false},
    {{{[10] = 0xff, 0xff, 127, 0, 0, 1}}, {{[15] = 1}}, false},
    {{{[15] = 1}}, {{[10] = 0xff, 0xfe, 127, 0, 0, 1}}, true},
    {{{[10] = 0xff, 0xff, 0, 0, 0, 0}}, {{0}}, false},
    /* clang-format on */
};

static void a_source_is_an_address_or_a_network(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof pair_cases / sizeof *pair_cases; i++) {
        const struct pair_case *c = &pair_cases[i];
        struct gate *gate = new_gate(100, true);

        for (int k = 0; k < 2; k++)
            shake(gate, &c->a, GATE_VIOLATED, 0);
        expect(gate, &c->a, 0, GATE_PENALTY, "itself", i);
        expect(gate, &c->b, 0, c->same ? GATE_PENALTY : GATE_IN, "the other", i);
        gate_free(gate);
    }
}

static const struct share_case {
    unsigned limit, share;
} share_cases[] = {{1, 1}, {2, 1}, {3, 1}, {4, 2}, {7, 3}, {256, 128}};

/* And another one is never turned away for it, whatever it does. */
static void one_source_has_half_at_most(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof share_cases / sizeof *share_cases; i++) {
        struct gate *gate = new_gate(share_cases[i].limit, true);
        struct io_source source = ipv4(7), other = ipv4(8);
        unsigned in = 0;

        while (gate_ask(gate, &source, 0) == GATE_IN)
            in++;
        if (in != share_cases[i].share)
            fail_msg("limit %u: expected %u let in, seen %u", share_cases[i].limit,
                     share_cases[i].share, in);
        assert_int_equal(gate_ask(gate, &source, 0), GATE_SHARE);
        for (int k = 0; k < 1000 && share_cases[i].limit > 1; k++)
            expect(gate, &other, 0, GATE_IN, "another", i);
        gate_settle(gate, &source, GATE_OURS, 0);
        expect(gate, &source, 0, GATE_IN, "one has ended", i);
        gate_free(gate);
    }
}

/* Half of one handshake is none, but a source that is known from before has that one, too. */
static void a_limit_of_one_is_for_anybody(void **state)
{
    struct gate *gate = new_gate(1, true);
    struct io_source source = ipv4(7), other = ipv4(8);

    (void)state;
    shake(gate, &source, GATE_LEFT, 0);
    assert_int_equal(gate_ask(gate, &source, 0), GATE_IN);
    expect(gate, &other, 0, GATE_FULL, "another", 0);
    gate_free(gate);
}

/* 2^16 sources in a row, each in for long: chance pushes out some of the last ones, no more. */
static void the_table_takes_sources_in_a_row(void **state)
{
    enum { SOURCES = 1 << 16 };
    struct gate *gate = new_gate(100, true);
    size_t n;

    (void)state;
    for (uint32_t i = 0; i < SOURCES; i++) {
        struct io_source source = ipv4(i);

        for (int k = 0; k < 2; k++)
            shake(gate, &source, GATE_VIOLATED, 0);
    }
    n = gate_penalized(gate, 0);
    /* Thrown at random into 8192 sets of 8: 86 of 100 find room. */
    if (n < SOURCES * 84 / 100 || n > SOURCES * 88 / 100)
        fail_msg("expected about 86 of 100 of %d to be kept, seen %zu", SOURCES, n);
    gate_free(gate);
}

/* A crowd of new sources does not wash the worst ones out. */
static void a_full_table_forgets_the_least(void **state)
{
    enum { WORST = 500, CROWD = 300000 };
    struct gate *gate = new_gate(100, true);

    (void)state;
    for (uint32_t i = 0; i < WORST; i++) {
        struct io_source source = ipv4(i);

        for (int k = 0; k < 40; k++)
            assert_int_equal(gate_ask(gate, &source, 0), GATE_IN);
        for (int k = 0; k < 40; k++)
            gate_settle(gate, &source, GATE_VIOLATED, 0);
    }
    for (uint32_t i = 0; i < CROWD; i++) {
        struct io_source source = ipv4(0x100000 + i);

        shake(gate, &source, GATE_REFUSED, SECOND);
    }
    assert_int_equal(gate_penalized(gate, SECOND), WORST);
    for (uint32_t i = 0; i < WORST; i++) {
        struct io_source source = ipv4(i);

        expect(gate, &source, 2 * SECOND, GATE_PENALTY, "worst", i);
    }
    gate_free(gate);
}

/* More under way than the table has room for: the count of all stays right. */
static void sources_may_be_forgotten_while_they_shake_hands(void **state)
{
    enum { SOURCES = 90000 };
    struct gate *gate = new_gate(2 * SOURCES, true);

    (void)state;
    for (uint32_t i = 0; i < SOURCES; i++) {
        struct io_source source = ipv4(i);

        assert_int_equal(gate_ask(gate, &source, 0), GATE_IN);
    }
    assert_int_equal(gate_handshakes(gate), SOURCES);
    for (uint32_t i = 0; i < SOURCES; i++) {
        struct io_source source = ipv4(i);

        gate_settle(gate, &source, i % 2 ? GATE_LEFT : GATE_OPENED, 0);
    }
    assert_int_equal(gate_handshakes(gate), 0);
    gate_free(gate);
}

/* Against a plain model with room for everybody, in random order. */
static void penalties_are_as_in_a_simple_model(void **state)
{
    enum { SOURCES = 20, STEPS = 50000 };
    static const unsigned cost[GATE_OUTCOMES] = {0, 5000, 1000, 10000, 10000, 0};
    struct gate *gate = new_gate(1000, true);
    struct generator g = {.state = 42};
    uint64_t until[SOURCES] = {0}, now = 0;
    bool shut[SOURCES] = {false};

    (void)state;
    for (int step = 0; step < STEPS; step++) {
        unsigned s = (unsigned)(next_word(&g) >> 33) % SOURCES;
        enum gate_outcome outcome = (enum gate_outcome)((next_word(&g) >> 33) % GATE_OUTCOMES);
        struct io_source source = ipv4(s);
        enum gate_verdict expected, seen;

        now += (next_word(&g) >> 33) % 400;
        if (until[s] <= now) {
            until[s] = now;
            shut[s] = false;
        }
        expected = shut[s] ? GATE_PENALTY : GATE_IN;
        seen = gate_ask(gate, &source, now);
        if (seen != expected)
            fail_msg("seed 42, step %d: expected %s, seen %s", step, gate_verdict_name(expected),
                     gate_verdict_name(seen));
        if (seen != GATE_IN)
            continue;
        gate_settle(gate, &source, outcome, now);
        until[s] = outcome == GATE_OPENED ? now : until[s] + cost[outcome];
        if (until[s] > now + 600 * SECOND)
            until[s] = now + 600 * SECOND;
        shut[s] = until[s] >= now + 15 * SECOND;
    }
    gate_free(gate);
}

/* ---------------------------------------------------------------------------------------- rest -- */

/* The caller's fault, not a station's. */
static void settling_what_was_not_let_in_is_a_mistake(void **state)
{
    pid_t child = fork();
    int status;

    (void)state;
    assert_true(child >= 0);
    if (child == 0) {
        struct gate *gate = new_gate(1, true);
        struct io_source source = ipv4(1);

        signal(SIGABRT, SIG_DFL);
        fclose(stderr);
        gate_settle(gate, &source, GATE_OURS, 0);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void names_tell_them_apart(void **state)
{
    (void)state;
    for (int i = 0; i < GATE_VERDICTS; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(gate_verdict_name((enum gate_verdict)i),
                                    gate_verdict_name((enum gate_verdict)k));
    for (int i = 0; i < GATE_OUTCOMES; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(gate_outcome_name((enum gate_outcome)i),
                                    gate_outcome_name((enum gate_outcome)k));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(early_drop_is_exact),
        cmocka_unit_test(early_drop_rises_with_the_crowd),
        cmocka_unit_test(randomness_is_drawn_in_batches),
        cmocka_unit_test(without_randomness_half_is_all),
        cmocka_unit_test(penalties_add_and_run_down),
        cmocka_unit_test(penalties_have_a_cap),
        cmocka_unit_test(an_open_line_lets_its_source_in_again),
        cmocka_unit_test(without_penalties_sources_are_all_the_same),
        cmocka_unit_test(a_source_is_an_address_or_a_network),
        cmocka_unit_test(one_source_has_half_at_most),
        cmocka_unit_test(a_limit_of_one_is_for_anybody),
        cmocka_unit_test(the_table_takes_sources_in_a_row),
        cmocka_unit_test(a_full_table_forgets_the_least),
        cmocka_unit_test(sources_may_be_forgotten_while_they_shake_hands),
        cmocka_unit_test(penalties_are_as_in_a_simple_model),
        cmocka_unit_test(settling_what_was_not_let_in_is_a_mistake),
        cmocka_unit_test(names_tell_them_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
