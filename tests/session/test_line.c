/* Two honest stations: handshake, messages, streams, epochs, closing, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "session/pair.h"

static const uint16_t suites[] = {HELIO_SUITE_IDEA_CTR_POLY1305, HELIO_SUITE_CHACHA20_POLY1305,
                                  HELIO_SUITE_AES_256_GCM};
enum { SUITES = sizeof suites / sizeof *suites };

static void open_pair(struct pair *p, uint16_t suite, uint64_t seed)
{
    pair_new(p, suite, seed);
    pair_run(p, 0);
    assert_int_equal(p->initiator_saw.error, HELIO_OK);
    assert_int_equal(p->responder_saw.error, HELIO_OK);
    assert_int_equal(p->initiator_saw.count[HELIO_EVENT_OPEN], 1);
    assert_int_equal(p->responder_saw.count[HELIO_EVENT_OPEN], 1);
}

static void both_sides_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUITES; i++) {
        struct pair p;
        uint8_t a[100], b[100];

        open_pair(&p, suites[i], 1 + i);
        const helio_peer *bob = helio_session_peer(p.initiator.session);
        const helio_peer *alice = helio_session_peer(p.responder.session);
        assert_string_equal(bob->name, "bob");
        assert_string_equal(alice->name, "alice");
        assert_string_equal(alice->service, "line");
        assert_int_equal(bob->bits, 2048);
        assert_true(helio_fingerprint_equal(&bob->fingerprint,
                                            helio_identity_fingerprint(test_identity(1))));
        assert_true(helio_fingerprint_equal(&alice->fingerprint,
                                            helio_identity_fingerprint(test_identity(0))));
        assert_int_equal(helio_session_suite(p.initiator.session), suites[i]);
        assert_int_equal(helio_session_suite(p.responder.session), suites[i]);
        assert_int_equal(helio_session_id(p.initiator.session, a), HELIO_OK);
        assert_int_equal(helio_session_id(p.responder.session, b), HELIO_OK);
        assert_memory_equal(a, b, 32);
        assert_int_equal(helio_session_export(p.initiator.session, "test", a, 32, a, sizeof a),
                         HELIO_OK);
        assert_int_equal(helio_session_export(p.responder.session, "test", b, 32, b, sizeof b),
                         HELIO_OK);
        assert_memory_equal(a, b, sizeof a);
        pair_free(&p);
    }
}

static void default_suite_is_idea(void **state)
{
    (void)state;
    struct pair p;

    open_pair(&p, 0, 3);
    assert_int_equal(helio_session_suite(p.initiator.session), HELIO_SUITE_IDEA_CTR_POLY1305);
    pair_free(&p);
}

static void any_split_gives_the_same(void **state)
{
    (void)state;
    static const size_t steps[] = {0, 1, 2, 3, 5, 7, 1000};
    uint8_t first[32], id[32];

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct pair p;

        pair_new(&p, 0, 4);
        pair_run(&p, steps[i]);
        assert_int_equal(helio_session_id(p.initiator.session, i ? id : first), HELIO_OK);
        if (i > 0)
            assert_memory_equal(first, id, 32);
        pair_free(&p);
    }
}

static void send_ok(struct station *s, const void *data, size_t n, helio_content content)
{
    assert_int_equal(helio_session_send(s->session, data, n, content), HELIO_OK);
}

static void messages_and_data_arrive(void **state)
{
    (void)state;
    struct pair p;

    open_pair(&p, 0, 5);
    send_ok(&p.initiator, "hello", 5, HELIO_MESSAGE);
    send_ok(&p.initiator, "", 0, HELIO_MESSAGE);
    send_ok(&p.responder, "stream", 6, HELIO_DATA);
    send_ok(&p.responder, "ping!", 5, HELIO_PING);
    pair_run(&p, 1);
    assert_int_equal(p.responder_saw.count[HELIO_EVENT_MESSAGE], 2);
    assert_int_equal(p.responder_saw.count[HELIO_EVENT_PONG], 1);
    assert_memory_equal(p.responder_saw.data, "hello", 5);
    assert_int_equal(p.initiator_saw.count[HELIO_EVENT_DATA], 1);
    assert_memory_equal(p.initiator_saw.data, "stream", 6);
    pair_free(&p);
}

static void directions_close_by_themselves(void **state)
{
    (void)state;
    struct pair p;

    open_pair(&p, 0, 6);
    assert_int_equal(helio_session_close(p.initiator.session), HELIO_OK);
    pair_run(&p, 0);
    assert_int_equal(p.responder_saw.count[HELIO_EVENT_CLOSED], 1);
    assert_int_equal(helio_session_send(p.initiator.session, (const uint8_t *)"x", 1, HELIO_DATA),
                     HELIO_E_STATE);
    assert_int_equal(helio_session_close(p.initiator.session), HELIO_E_STATE);
    assert_false(helio_session_done(p.initiator.session));
    send_ok(&p.responder, "late", 4, HELIO_DATA);
    assert_int_equal(helio_session_close(p.responder.session), HELIO_OK);
    pair_run(&p, 0);
    assert_memory_equal(p.initiator_saw.data, "late", 4);
    assert_false(helio_session_done(p.initiator.session));
    assert_int_equal(helio_session_confirm(p.initiator.session), HELIO_OK);
    assert_int_equal(helio_session_confirm(p.initiator.session), HELIO_E_STATE);
    assert_int_equal(helio_session_confirm(p.responder.session), HELIO_OK);
    pair_run(&p, 0);
    assert_true(helio_session_done(p.initiator.session));
    assert_true(helio_session_done(p.responder.session));
    assert_int_equal(helio_session_eof(p.initiator.session), HELIO_OK);
    assert_int_equal(helio_session_eof(p.responder.session), HELIO_OK);
    pair_free(&p);
}

/* All was sent, and then the peer could not store it: the sender hears of it. */
static void failure_after_close_is_told(void **state)
{
    (void)state;
    struct pair p;

    open_pair(&p, 0, 14);
    assert_int_equal(helio_session_close(p.responder.session), HELIO_OK);
    send_ok(&p.initiator, "data", 4, HELIO_DATA);
    assert_int_equal(helio_session_close(p.initiator.session), HELIO_OK);
    pair_run(&p, 0);
    helio_session_fail(p.responder.session, HELIO_E_SYSTEM);
    pair_run(&p, 0);
    assert_int_equal(p.initiator_saw.error, HELIO_E_ALERT);
    pair_free(&p);
}

/* Without its receipt the end of the transport is a cut, also behind the peer's close. */
static void end_without_receipt_is_a_cut(void **state)
{
    (void)state;
    struct pair p;

    open_pair(&p, 0, 15);
    assert_int_equal(helio_session_confirm(p.responder.session), HELIO_E_STATE);
    assert_int_equal(helio_session_close(p.responder.session), HELIO_OK);
    assert_int_equal(helio_session_close(p.initiator.session), HELIO_OK);
    pair_run(&p, 0);
    assert_int_equal(helio_session_eof(p.initiator.session), HELIO_E_CUT);
    pair_free(&p);
}

static void end_without_close_is_a_cut(void **state)
{
    (void)state;
    struct pair p;

    open_pair(&p, 0, 7);
    send_ok(&p.initiator, "x", 1, HELIO_DATA);
    pair_run(&p, 0);
    assert_int_equal(helio_session_eof(p.responder.session), HELIO_E_CUT);
    assert_int_equal(helio_session_error(p.responder.session), HELIO_E_CUT);
    assert_int_equal(helio_session_pending(p.responder.session), 0);
    pair_free(&p);
}

/* All that may be said about a command, and what may follow. */
static void a_result_is_the_last_word(void **state)
{
    (void)state;
    struct pair p;
    static const uint8_t zero[2];
    uint8_t killed = 128 + 15;

    open_pair(&p, 0, 17);
    helio_session *s = p.responder.session;
    send_ok(&p.responder, "its output", 10, HELIO_DATA);
    assert_int_equal(helio_session_send(s, zero, 0, HELIO_RESULT), HELIO_E_ARGUMENT);
    assert_int_equal(helio_session_send(s, zero, 2, HELIO_RESULT), HELIO_E_TOO_LONG);
    send_ok(&p.responder, &killed, 1, HELIO_RESULT);
    assert_int_equal(helio_session_send(s, zero, 1, HELIO_RESULT), HELIO_E_STATE);
    assert_int_equal(helio_session_send(s, zero, 1, HELIO_DATA), HELIO_E_STATE);
    assert_int_equal(helio_session_send(s, zero, 0, HELIO_MESSAGE), HELIO_E_STATE);
    send_ok(&p.responder, "ping", 4, HELIO_PING);
    send_ok(&p.initiator, "still talking", 13, HELIO_DATA);
    pair_run(&p, 0);
    assert_int_equal(p.initiator_saw.count[HELIO_EVENT_RESULT], 1);
    assert_int_equal(p.initiator_saw.result, killed);
    assert_int_equal(p.initiator_saw.data_n, 10);
    assert_int_equal(p.responder_saw.data_n, 13);
    assert_int_equal(p.responder_saw.count[HELIO_EVENT_PONG], 1);
    assert_int_equal(helio_session_close(s), HELIO_OK);
    assert_int_equal(helio_session_send(s, zero, 1, HELIO_RESULT), HELIO_E_STATE);
    pair_run(&p, 0);
    assert_int_equal(p.initiator_saw.count[HELIO_EVENT_CLOSED], 1);
    assert_int_equal(p.initiator_saw.error, HELIO_OK);
    pair_free(&p);
}

/* protocol.md 4.4: how often so many records of data replace the key. */
static uint64_t epochs_after(unsigned records, size_t size)
{
    size_t blocks = 4 + (size + 1 + 7) / 8, epoch = ((1 << 17) + blocks - 1) / blocks;

    return records / epoch;
}

/* Crosses epochs by blocks (large records) and by records (small ones), in both directions. */
static void epochs_change_unseen(void **state)
{
    (void)state;
    static uint8_t block[HELIO_SEND_MAX];
    static const struct {
        size_t size;
        unsigned count;
    } runs[] = {{HELIO_SEND_MAX, 60}, {1, 70000}, {8000, 300}};
    struct stream random = {8};

    stream_fill(&random, block, sizeof block);
    for (size_t suite = 0; suite < SUITES; suite++) {
        for (size_t run = 0; run < sizeof runs / sizeof *runs; run++) {
            struct pair p;

            open_pair(&p, suites[suite], 9 + run);
            for (unsigned i = 0; i < runs[run].count; i++) {
                struct station *from = i % 2 ? &p.initiator : &p.responder;
                struct seen *saw = i % 2 ? &p.responder_saw : &p.initiator_saw;

                saw->data_n = 0;
                send_ok(from, block, runs[run].size, HELIO_DATA);
                pair_run(&p, 0);
                assert_int_equal(saw->error, HELIO_OK);
                assert_int_equal(saw->data_n, runs[run].size);
                assert_memory_equal(saw->data, block, runs[run].size);
            }
            uint64_t epochs = epochs_after(runs[run].count / 2, runs[run].size);
            helio_session *ends[] = {p.initiator.session, p.responder.session};
            for (size_t i = 0; i < 2; i++) {
                helio_session_fail(ends[i],
                                   i ? HELIO_E_CUT : HELIO_OK); /* it counts all the same */
                assert_int_equal(helio_session_epochs(ends[i], 1), epochs);
                assert_int_equal(helio_session_epochs(ends[i], 0), epochs);
            }
            assert_true(epochs > 0);
            pair_free(&p);
        }
    }
}

static void peek_shows_what_pull_gives(void **state)
{
    (void)state;
    struct pair p;
    const uint8_t *queue;
    uint8_t bytes[64];

    open_pair(&p, 0, 16);
    assert_int_equal(helio_session_peek(p.initiator.session, &queue), 0);
    assert_null(queue);
    send_ok(&p.initiator, "peek", 4, HELIO_DATA);
    size_t n = helio_session_peek(p.initiator.session, &queue);
    assert_int_equal(n, helio_session_pending(p.initiator.session));
    assert_in_range(n, 8, sizeof bytes);
    memcpy(bytes, queue, n);
    assert_int_equal(helio_session_pull(p.initiator.session, NULL, 7), 7);
    assert_int_equal(helio_session_pull(p.initiator.session, bytes + 7, sizeof bytes), n - 7);
    station_feed(&p.responder, bytes, n, 0, &p.responder_saw);
    assert_int_equal(p.responder_saw.error, HELIO_OK);
    assert_memory_equal(p.responder_saw.data, "peek", 4);
    pair_free(&p);
}

static void limits_are_kept(void **state)
{
    (void)state;
    static uint8_t block[HELIO_SEND_MAX + 1];
    struct pair p;
    unsigned taken = 0;

    open_pair(&p, 0, 12);
    helio_session *s = p.initiator.session;
    assert_int_equal(helio_session_send(s, block, sizeof block, HELIO_DATA), HELIO_E_TOO_LONG);
    assert_int_equal(helio_session_send(s, block, 65, HELIO_PING), HELIO_E_TOO_LONG);
    assert_int_equal(helio_session_error(s), HELIO_OK);
    while (helio_session_send(s, block, HELIO_SEND_MAX, HELIO_MESSAGE) == HELIO_OK)
        taken++;
    assert_int_equal(helio_session_send(s, block, HELIO_SEND_MAX, HELIO_MESSAGE), HELIO_E_AGAIN);
    assert_in_range(taken, 2, 5);
    assert_in_range(helio_session_pending(s), 1, 300000);
    p.responder_saw.data_n = 0;
    struct seen *saw = &p.responder_saw;
    while (helio_session_pending(s) > 0) {
        static uint8_t wire[80000];
        size_t n = helio_session_pull(s, wire, sizeof wire);

        station_feed(&p.responder, wire, n, 0, saw);
        saw->data_n = 0;
    }
    assert_int_equal(saw->error, HELIO_OK);
    assert_int_equal(saw->count[HELIO_EVENT_MESSAGE], taken);
    pair_free(&p);
}

/* A peer that pings and never reads costs bounded memory. */
static void pings_do_not_pile_up(void **state)
{
    (void)state;
    static uint8_t wire[1 << 19];
    struct pair p;
    uint8_t content[64] = {0};

    open_pair(&p, 0, 13);
    for (unsigned round = 0; round < 8; round++) {
        for (unsigned i = 0; i < 1000; i++)
            send_ok(&p.initiator, content, sizeof content, HELIO_PING);
        size_t n = station_pull(&p.initiator, wire, sizeof wire);
        station_feed(&p.responder, wire, n, 0, &p.responder_saw);
        assert_int_equal(p.responder_saw.error, HELIO_OK);
        assert_in_range(helio_session_pending(p.responder.session), 1, 300000);
    }
    pair_free(&p);
}

static void bad_config_is_refused(void **state)
{
    (void)state;
    static const uint16_t unknown = 0x0142;
    char long_name[HELIO_NAME_MAX + 2];
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    const helio_config configs[] = {
        {.identity = NULL},
        {.identity = test_identity(0), .name = "bad\nname"},
        {.identity = test_identity(0), .name = long_name},
        {.identity = test_identity(0), .service = "two words"},
        {.identity = test_identity(0), .suites = &unknown, .suite_count = 1},
        {.identity = test_identity(0), .suites = &unknown, .suite_count = 0},
    };

    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        helio_session *s;

        if (helio_session_new(&s, &configs[i], HELIO_INITIATOR) != HELIO_E_ARGUMENT || s)
            fail_msg("config %zu was taken", i);
    }
}

static int teardown(void **state)
{
    (void)state;
    test_identities_free();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_agree),
        cmocka_unit_test(default_suite_is_idea),
        cmocka_unit_test(any_split_gives_the_same),
        cmocka_unit_test(messages_and_data_arrive),
        cmocka_unit_test(directions_close_by_themselves),
        cmocka_unit_test(failure_after_close_is_told),
        cmocka_unit_test(a_result_is_the_last_word),
        cmocka_unit_test(end_without_receipt_is_a_cut),
        cmocka_unit_test(end_without_close_is_a_cut),
        cmocka_unit_test(epochs_change_unseen),
        cmocka_unit_test(peek_shows_what_pull_gives),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(pings_do_not_pile_up),
        cmocka_unit_test(bad_config_is_refused),
    };

    return cmocka_run_group_tests_name("line", tests, NULL, teardown);
}
