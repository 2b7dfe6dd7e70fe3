/*
 * classic with every allocation failing in turn, ours and OpenSSL's: the call says so, nothing
 * crashes, nothing of ours leaks, and the next session is as good as ever.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "classic/classic.h"
#include "classic_vectors.h"
#include "support/memory.h"

static enum helio_err recorded_random(void *context, uint8_t *out, size_t n)
{
    (void)context;
    memcpy(out, handshakes[0].random.p, n);
    return HELIO_OK;
}

static enum helio_err feed(helio_session *s, struct bytes b)
{
    enum helio_err err = HELIO_OK;
    size_t at = 0;

    while (at < b.n && err == HELIO_OK) {
        helio_event e;
        size_t used;

        err = helio_session_feed(s, b.p + at, b.n - at, &used);
        at += used;
        while (err == HELIO_OK && helio_session_next(s, &e) == HELIO_OK && e.kind)
            continue;
    }
    return err;
}

static enum helio_err say_one(helio_session *s)
{
    return helio_session_send(s, (const uint8_t *)"text", 4, HELIO_MESSAGE);
}

static const helio_config config = {
    .protocol = HELIO_PROTOCOL_CLASSIC,
    .random = recorded_random,
    .name = "alice",
};

static enum helio_err serve(void)
{
    const struct vector_handshake *v = &handshakes[0];
    helio_session *s = NULL;
    enum helio_err err = helio_session_new(&s, &config, HELIO_RESPONDER);

    if (!err)
        err = feed(s, v->public_pem);
    if (!err)
        err = feed(s, v->hash);
    if (!err)
        err = feed(s, v->messages[0].wire);
    if (!err)
        err = say_one(s);
    helio_session_free(s);
    return err;
}

static enum helio_err call(void)
{
    const struct vector_handshake *v = &handshakes[0];
    const struct bytes yes = {(const uint8_t *)"YES", 3};
    helio_session *s = NULL;
    struct rsa_key *key = NULL;

    /* A real client draws its key; reading one is for tests alone and not under test here. */
    memory_pause(true);
    enum helio_err err =
        rsa_classic_from_private_pem(&key, (const char *)v->private_pem.p, v->private_pem.n);
    memory_pause(false);
    if (!err)
        err = classic_new_with_key(&s, &config, key);
    if (!err)
        err = feed(s, yes);
    if (!err)
        err = feed(s, v->reply);
    if (!err)
        err = say_one(s);
    helio_session_free(s);
    return err;
}

/*
 * OpenSSL may get along without an allocation.  Its reader of PEM does not tell for each that it
 * failed, so a server may find fault with the client's key, which ends the session as well; the
 * other errors are our own.
 */
static void every_allocation_fails_in_turn(enum helio_err (*converse)(void), enum helio_err other)
{
    assert_int_equal(converse(), HELIO_OK); /* OpenSSL fills its caches */
    memory_arm(0, false);
    assert_int_equal(converse(), HELIO_OK);
    long long count = memory_disarm(), failed = 0;
    assert_true(count > 20);
    for (long long at = 1; at <= count; at++) {
        long long before = memory_live_ours();

        memory_arm(at, false);
        enum helio_err err = converse();
        memory_disarm();
        failed += err != HELIO_OK;
        if (err && err != HELIO_E_MEMORY && err != HELIO_E_CRYPTO && err != other)
            fail_msg("allocation %lld of %lld: error %d", at, count, err);
        if (memory_live_ours() != before)
            fail_msg("allocation %lld of %lld: %lld blocks leaked", at, count,
                     memory_live_ours() - before);
        if (converse() != HELIO_OK)
            fail_msg("allocation %lld of %lld: does not recover", at, count);
    }
    assert_true(failed > 10);
}

static void a_server_says_so(void **state)
{
    (void)state;
    every_allocation_fails_in_turn(serve, HELIO_E_BROKEN);
}

static void a_client_says_so(void **state)
{
    (void)state;
    every_allocation_fails_in_turn(call, HELIO_E_MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_says_so),
        cmocka_unit_test(a_client_says_so),
    };

    if (!memory_watch_openssl())
        return 1;
    return cmocka_run_group_tests_name("classic memory", tests, NULL, NULL);
}
