/*
 * test_footprint.c: how much heap a session holds, OpenSSL's share included: one that is open and
 * quiet after bulk has gone through it, and one whose peer has not proved its key yet.
 *
 * Counted over many sessions, so that what is made once in a process does not show.  malloc's own
 * caches are turned off by the environment (tests/meson.build).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session/pair.h"

/* A line may hold 8 KiB in all: this is the part of the engine (test_quiet.c has the whole). */
enum { SESSIONS = 64, OPEN_MAX = 4 * 1024, STRANGER_MAX = 5 * 1024 };

static const uint16_t suites[] = {HELIO_SUITE_IDEA_CTR_POLY1305, HELIO_SUITE_CHACHA20_POLY1305,
                                  HELIO_SUITE_AES_256_GCM};

static size_t heap(void)
{
    struct mallinfo2 now = mallinfo2();

    return now.uordblks + now.hblkhd;
}

static void say(const char *what, uint16_t suite, size_t n)
{
    print_message("%s, %s: %zu bytes of heap\n", what, helio_suite_name(suite), n);
}

/* Bulk from the initiator, until every buffer has had its full size and epochs have changed. */
static void send_bulk(struct pair *p)
{
    static const uint8_t bytes[HELIO_SEND_MAX];

    for (int i = 0; i < 40; i++) {
        p->responder_saw.data_n = p->initiator_saw.data_n = 0;
        assert_int_equal(helio_session_send(p->initiator.session, bytes, sizeof bytes, HELIO_DATA),
                         HELIO_OK);
        assert_int_equal(helio_session_send(p->responder.session, bytes, sizeof bytes, HELIO_DATA),
                         HELIO_OK);
        pair_run(p, i % 2 ? 0 : 30000); /* whole frames, and frames in pieces */
    }
}

static struct pair *new_pairs(void)
{
    struct pair *pairs = calloc(SESSIONS, sizeof *pairs);

    assert_non_null(pairs);
    pair_new(&pairs[0], suites[0], 1); /* what is made once is made */
    pair_run(&pairs[0], 0);
    pair_free(&pairs[0]);
    return pairs;
}

static void open_and_quiet(uint16_t suite)
{
    struct pair *pairs = new_pairs();
    size_t before = heap(), each;

    for (int i = 0; i < SESSIONS; i++) {
        pair_new(&pairs[i], suite, (uint64_t)i);
        pair_run(&pairs[i], 0);
        send_bulk(&pairs[i]);
        helio_session_trim(pairs[i].initiator.session);
        helio_session_trim(pairs[i].responder.session);
    }
    each = (heap() - before) / SESSIONS / 2;
    say("open and quiet", suite, each);
    assert_in_range(each, 1, OPEN_MAX);
    send_bulk(&pairs[0]); /* a session that was trimmed goes on */
    assert_int_equal(pairs[0].responder_saw.data_n, HELIO_SEND_MAX);
    for (int i = 0; i < SESSIONS; i++)
        pair_free(&pairs[i]);
    free(pairs);
}

static void quiet_sessions_are_small(void **state)
{
    (void)state;
    if (heap() == 0)
        skip(); /* under a sanitizer malloc is another one */
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++)
        open_and_quiet(suites[i]);
}

/* What a stranger makes a responder hold: it has its answer, and of AUTH all but the last byte. */
static void strangers(uint16_t suite)
{
    static uint8_t bytes[1 << 14];
    struct pair *pairs = new_pairs();
    size_t held = 0;

    for (int i = 0; i < SESSIONS; i++) {
        struct pair *p = &pairs[i];
        size_t before, n;

        pair_new(p, suite, (uint64_t)i);
        n = station_pull(&p->initiator, bytes, sizeof bytes);
        station_free(&p->responder);
        before = heap();
        assert_int_equal(station_new(&p->responder, HELIO_RESPONDER, suite, (uint64_t)i), 0);
        station_feed(&p->responder, bytes, n, 0, &p->responder_saw);
        held += heap() - before;
        before = heap();
        n = station_pull(&p->responder, bytes, sizeof bytes);
        helio_session_trim(p->responder.session);
        held -= before - heap();
        station_feed(&p->initiator, bytes, n, 0, &p->initiator_saw);
        n = station_pull(&p->initiator, bytes, sizeof bytes);
        before = heap();
        station_feed(&p->responder, bytes, n - 1, 0, &p->responder_saw);
        held += heap() - before;
        assert_int_equal(p->responder_saw.count[HELIO_EVENT_PEER], 0);
    }
    say("not authenticated", suite, held / SESSIONS);
    assert_in_range(held / SESSIONS, 1, STRANGER_MAX);
    for (int i = 0; i < SESSIONS; i++)
        pair_free(&pairs[i]);
    free(pairs);
}

static void strangers_get_little(void **state)
{
    (void)state;
    if (heap() == 0)
        skip();
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++)
        strangers(suites[i]);
}

static int tear_down(void **state)
{
    (void)state;
    test_identities_free();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quiet_sessions_are_small),
        cmocka_unit_test(strangers_get_little),
    };

    return cmocka_run_group_tests_name("footprint", tests, NULL, tear_down);
}
