/*
 * Handshakes on several threads at once, all with the same two identities: what io does with its
 * threads.  Under ThreadSanitizer it shows that nothing else is shared; without, that all of them
 * come to an end, and that each session is one of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "session/pair.h"

enum { THREADS = 4, ROUNDS = 12, WIRE = 8192, ID_SIZE = 32 };

static const uint16_t suites[] = {HELIO_SUITE_IDEA_CTR_POLY1305, HELIO_SUITE_CHACHA20_POLY1305,
                                  HELIO_SUITE_AES_256_GCM};

/* cmocka's checks belong to the main thread: a worker notes what went wrong, and that is looked at. */
struct worker {
    pthread_t thread;
    uint16_t suite;
    enum helio_err err;
    unsigned opened;
    uint8_t ids[ROUNDS][ID_SIZE];
};

static enum helio_err answer(helio_session *session)
{
    helio_event event;
    enum helio_err err;

    do {
        err = helio_session_next(session, &event);
        if (!err && event.kind == HELIO_EVENT_PEER)
            err = helio_session_trust(session);
    } while (!err && event.kind != HELIO_EVENT_NONE);
    return err;
}

/* All that from has to say. */
static enum helio_err carry(helio_session *from, helio_session *to)
{
    uint8_t wire[WIRE];
    size_t n = helio_session_pull(from, wire, sizeof wire), used = 0;
    enum helio_err err = HELIO_OK;

    for (size_t at = 0; at < n && !err; at += used) {
        err = helio_session_feed(to, wire + at, n - at, &used);
        if (!err)
            err = answer(to);
    }
    return err;
}

static enum helio_err talk(helio_session *initiator, helio_session *responder, uint8_t id[ID_SIZE])
{
    uint8_t other[ID_SIZE];
    enum helio_err err = HELIO_OK;

    while (!err && (helio_session_pending(initiator) || helio_session_pending(responder))) {
        err = carry(initiator, responder);
        if (!err)
            err = carry(responder, initiator);
    }
    if (!err)
        err = helio_session_send(initiator, (const uint8_t *)"word", 4, HELIO_MESSAGE);
    if (!err)
        err = carry(initiator, responder);
    if (!err)
        err = helio_session_id(initiator, id);
    if (!err)
        err = helio_session_id(responder, other);
    return !err && memcmp(id, other, ID_SIZE) != 0 ? HELIO_E_BROKEN : err;
}

static void *work(void *argument)
{
    struct worker *w = argument;

    while (w->opened < ROUNDS && !w->err) {
        const helio_config here = {
            .identity = test_identity(0), .name = "alice", .suites = &w->suite, .suite_count = 1};
        const helio_config there = {.identity = test_identity(1), .name = "bob"};
        helio_session *initiator = NULL, *responder = NULL;

        w->err = helio_session_new(&initiator, &here, HELIO_INITIATOR);
        if (!w->err)
            w->err = helio_session_new(&responder, &there, HELIO_RESPONDER);
        if (!w->err)
            w->err = talk(initiator, responder, w->ids[w->opened]);
        helio_session_free(initiator);
        helio_session_free(responder);
        w->opened++;
    }
    return NULL;
}

static void handshakes_share_identities(void **state)
{
    (void)state;
    static struct worker workers[THREADS];

    /* Loaded before there is another thread; what is found at the first use is left to be found. */
    test_identity(0);
    test_identity(1);
    for (size_t i = 0; i < THREADS; i++) {
        workers[i].suite = suites[i % (sizeof suites / sizeof *suites)];
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    for (size_t i = 0; i < THREADS; i++) {
        if (workers[i].err)
            fail_msg("thread %zu, session %u: %s", i, workers[i].opened,
                     helio_strerror(workers[i].err));
        assert_int_equal(workers[i].opened, ROUNDS);
        for (size_t k = 0; k < i * ROUNDS; k++)
            if (memcmp(workers[i].ids[0], workers[k / ROUNDS].ids[k % ROUNDS], ID_SIZE) == 0)
                fail_msg("thread %zu has a session of thread %zu's", i, k / ROUNDS);
    }
    test_identities_free();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(handshakes_share_identities)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
