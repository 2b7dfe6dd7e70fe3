/*
 * Calls that a careless embedder makes: answers before the question was fetched, a generator that
 * fails with any error at any draw, a refusal for no reason there is, a look at the last event after
 * the session has failed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "session/pair.h"

enum { SEED = 31, WIRE = 8192 };

/* Hands what from has to say to to, and leaves the event that this raises where it is. */
static enum helio_err hand_over(struct station *from, struct station *to)
{
    uint8_t wire[WIRE];
    size_t used, n = station_pull(from, wire, sizeof wire);

    return helio_session_feed(to->session, wire, n, &used);
}

static void an_answer_waits_for_its_question(void **state)
{
    (void)state;
    struct pair p;
    helio_event event;

    pair_new(&p, 0, SEED);
    struct station *turns[][2] = {{&p.responder, &p.initiator}, {&p.initiator, &p.responder}};
    assert_int_equal(hand_over(&p.initiator, &p.responder), HELIO_OK);
    for (size_t i = 0; i < 2; i++) {
        helio_session *asked = turns[i][1]->session;

        assert_int_equal(hand_over(turns[i][0], turns[i][1]), HELIO_OK);
        assert_non_null(helio_session_peer(asked));
        assert_int_equal(helio_session_trust(asked), HELIO_E_STATE);
        assert_int_equal(helio_session_wait(asked), HELIO_E_STATE);
        assert_int_equal(helio_session_next(asked, &event), HELIO_OK);
        assert_int_equal(event.kind, HELIO_EVENT_PEER);
        assert_int_equal(helio_session_trust(asked), HELIO_OK);
        assert_int_equal(helio_session_trust(asked), HELIO_E_STATE);
    }
    assert_int_equal(helio_session_next(p.responder.session, &event), HELIO_OK);
    assert_int_equal(event.kind, HELIO_EVENT_OPEN);
    pair_free(&p);
}

/* A generator that works until its draw number fail_at. */
struct failing {
    struct stream stream;
    unsigned drawn;
    unsigned fail_at;
    enum helio_err error;
};

static enum helio_err fail_fill(void *context, uint8_t *out, size_t n)
{
    struct failing *f = context;

    return f->drawn++ == f->fail_at ? f->error : stream_fill(&f->stream, out, n);
}

static enum helio_err failing_new(struct station *s, helio_role role, struct failing *f)
{
    const helio_config config = {
        .identity = test_identity((int)role), .random = fail_fill, .random_context = f};

    return helio_session_new(&s->session, &config, role);
}

/* Random, share, salt (protocol.md 5.1): whichever is missing, the session is over. */
static void play_failing(helio_role role, struct failing *f)
{
    struct pair p;
    struct station *s = role == HELIO_INITIATOR ? &p.initiator : &p.responder;

    pair_new(&p, 0, SEED);
    station_free(s);
    enum helio_err err = failing_new(s, role, f);
    if (!err) {
        pair_run(&p, 0);
        err = helio_session_error(s->session);
        assert_int_equal(p.initiator_saw.count[HELIO_EVENT_OPEN], 0);
        assert_int_equal(p.responder_saw.count[HELIO_EVENT_OPEN], 0);
    }
    assert_int_equal(f->drawn, f->fail_at + 1);
    if (err == HELIO_OK)
        fail_msg("role %d, draw %u: %s left the session whole", (int)role, f->fail_at,
                 helio_strerror(f->error));
    pair_free(&p);
}

static void a_failing_generator_ends_the_session(void **state)
{
    (void)state;
    for (int e = HELIO_OK + 1; e < HELIO_ERR_COUNT; e++)
        for (unsigned at = 0; at < 3; at++)
            for (int role = HELIO_INITIATOR; role <= HELIO_RESPONDER; role++) {
                struct failing f = {.fail_at = at, .error = (enum helio_err)e};

                play_failing((helio_role)role, &f);
            }
}

/* The peer hears of a refusal, whatever number the caller gives as its reason. */
static void any_reason_refuses(void **state)
{
    (void)state;
    static const struct {
        unsigned why;
        helio_refusal heard;
    } rows[] = {
        {HELIO_REFUSE_UNTRUSTED, HELIO_REFUSE_UNTRUSTED},
        {HELIO_REFUSE_NO_ANSWER, HELIO_REFUSE_NO_ANSWER},
        {HELIO_REFUSE_ASKING, HELIO_REFUSE_UNTRUSTED},
        {0, HELIO_REFUSE_UNTRUSTED},
        {0x101, HELIO_REFUSE_UNTRUSTED},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pair p;
        helio_event event;

        pair_new(&p, 0, SEED);
        assert_int_equal(hand_over(&p.initiator, &p.responder), HELIO_OK);
        assert_int_equal(hand_over(&p.responder, &p.initiator), HELIO_OK);
        assert_int_equal(helio_session_next(p.initiator.session, &event), HELIO_OK);
        assert_int_equal(helio_session_trust(p.initiator.session), HELIO_OK);
        assert_int_equal(hand_over(&p.initiator, &p.responder), HELIO_OK);
        assert_int_equal(helio_session_next(p.responder.session, &event), HELIO_OK);
        helio_session_refuse(p.responder.session, (helio_refusal)rows[i].why);
        assert_int_equal(helio_session_error(p.responder.session), HELIO_E_UNTRUSTED);
        assert_int_equal(hand_over(&p.responder, &p.initiator), HELIO_E_REFUSED);
        assert_int_equal(helio_session_refusal(p.initiator.session), rows[i].heard);
        pair_free(&p);
    }
}

/* A peer that gives up while we decide has broken the rules, but it is not told so. */
static void an_alert_while_deciding_is_not_answered(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[5];
        size_t answer;
    } rows[] = {{{7, 0, 0, 1, 1}, 0}, {{5, 0, 0, 1, 1}, 5}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pair p;
        helio_event event;
        size_t used;

        pair_new(&p, 0, SEED);
        assert_int_equal(hand_over(&p.initiator, &p.responder), HELIO_OK);
        assert_int_equal(hand_over(&p.responder, &p.initiator), HELIO_OK);
        assert_int_equal(helio_session_next(p.initiator.session, &event), HELIO_OK);
        assert_int_equal(event.kind, HELIO_EVENT_PEER);
        assert_int_equal(helio_session_feed(p.initiator.session, rows[i].bytes, 5, &used),
                         HELIO_E_BROKEN);
        assert_int_equal(helio_session_pending(p.initiator.session), rows[i].answer);
        pair_free(&p);
    }
}

/* The sanitizers see to it that the memory is there. */
static void an_event_outlives_a_failure(void **state)
{
    (void)state;
    static const uint8_t words[100] = {'s', 'e', 'c', 'r', 'e', 't'}, zeros[sizeof words];
    struct pair p;
    helio_event event;

    pair_new(&p, 0, SEED);
    pair_run(&p, 0);
    assert_int_equal(helio_session_send(p.initiator.session, words, sizeof words, HELIO_DATA),
                     HELIO_OK);
    assert_int_equal(hand_over(&p.initiator, &p.responder), HELIO_OK);
    assert_int_equal(helio_session_next(p.responder.session, &event), HELIO_OK);
    assert_int_equal(event.size, sizeof words);
    assert_memory_equal(event.data, words, sizeof words);
    helio_session_fail(p.responder.session, HELIO_E_SYSTEM);
    /* Not assert_memory_equal: cmocka is not sanitized. */
    assert_true(memcmp(event.data, zeros, sizeof zeros) == 0);
    pair_free(&p);
}

static int end(void **state)
{
    (void)state;
    test_identities_free();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_waits_for_its_question),
        cmocka_unit_test(a_failing_generator_ends_the_session),
        cmocka_unit_test(any_reason_refuses),
        cmocka_unit_test(an_alert_while_deciding_is_not_answered),
        cmocka_unit_test(an_event_outlives_a_failure),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
