/*
 * Every allocation fails in turn, ours and OpenSSL's: the call says so, nothing crashes, nothing
 * leaks, and nothing that would have been refused is let in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "session/pair.h"
#include "support/memory.h"

/* What went through before something failed. */
struct outcome {
    enum helio_err error;
    bool opened;
    bool finished;
    bool met; /* it came as far as to the allocation that was to fail */
};

static void speak(struct station *s, struct outcome *o)
{
    const uint8_t *text = (const uint8_t *)"a line of text";
    enum helio_err err = helio_session_send(s->session, text, 14, HELIO_MESSAGE);

    if (!err)
        err = helio_session_close(s->session);
    if (err && !o->error)
        o->error = err;
}

static void confirm(struct station *s, struct outcome *o)
{
    enum helio_err err = helio_session_confirm(s->session);

    if (err && !o->error)
        o->error = err;
}

static void note(const struct seen *saw, struct outcome *o)
{
    if (saw->error && !o->error)
        o->error = saw->error;
}

/* A whole conversation, or as much of it as memory lasts for. */
static struct outcome converse(uint16_t suite)
{
    static struct pair p;
    struct outcome o = {.error = HELIO_OK};

    memset(&p, 0, sizeof p);
    o.error = station_new(&p.initiator, HELIO_INITIATOR, suite, 21);
    if (!o.error)
        o.error = station_new(&p.responder, HELIO_RESPONDER, suite, 21);
    if (!o.error) {
        pair_run(&p, 0);
        o.opened = p.initiator_saw.count[HELIO_EVENT_OPEN] > 0 &&
                   p.responder_saw.count[HELIO_EVENT_OPEN] > 0;
    }
    if (o.opened) {
        speak(&p.initiator, &o);
        speak(&p.responder, &o);
        pair_run(&p, 0);
    }
    if (o.opened) {
        confirm(&p.initiator, &o);
        confirm(&p.responder, &o);
        pair_run(&p, 0);
    }
    note(&p.initiator_saw, &o);
    note(&p.responder_saw, &o);
    o.finished = o.opened && !o.error && helio_session_done(p.initiator.session) &&
                 helio_session_done(p.responder.session);
    pair_free(&p);
    return o;
}

/* OpenSSL renews a key's blinding every so often, so not every conversation allocates as much. */
static struct outcome converse_failing(uint16_t suite, long long at, bool on)
{
    memory_arm(at, on);
    struct outcome o = converse(suite);
    o.met = memory_disarm() >= at;
    return o;
}

/*
 * OpenSSL keeps caches for the life of the process, and a failure may add to one; what a failure
 * adds every time is a leak.  Two blocks a time are let pass: OpenSSL 3.0's encoder loses as many
 * when it fails to list its candidates; whatever we hold of OpenSSL's is more than that.
 */
static bool leaks(uint16_t suite, long long at, bool on)
{
    long long ours = memory_live_ours(), openssl;

    converse_failing(suite, at, on);
    openssl = memory_live_openssl();
    converse_failing(suite, at, on);
    return memory_live_ours() != ours || memory_live_openssl() > openssl + 2;
}

/*
 * Memory that came back is enough to go on.  Keys are loaded anew when it seems not: in OpenSSL 3.0
 * a key whose blinding met a failed allocation never signs again.
 */
static bool recovers(uint16_t suite)
{
    if (converse(suite).finished)
        return true;
    test_identities_free();
    test_identity(0);
    test_identity(1);
    return converse(suite).finished;
}

static void fail_each_in_turn(uint16_t suite, bool on)
{
    assert_true(recovers(suite));
    struct outcome whole = converse(suite);
    if (!whole.finished)
        fail_msg("suite %x: \"%s\" with all the memory there is", suite,
                 helio_strerror(whole.error));
    memory_arm(0, false);
    converse(suite);
    long long total = memory_disarm();
    assert_true(total > 20);

    for (long long at = 1; at <= total; at++) {
        long long ours = memory_live_ours(), openssl = memory_live_openssl();
        struct outcome o = converse_failing(suite, at, on);

        if (o.met && o.error == HELIO_OK && (on || !o.finished))
            fail_msg("suite %x: allocation %lld of %lld failed and nobody said so", suite, at,
                     total);
        if ((memory_live_ours() != ours || memory_live_openssl() > openssl) && leaks(suite, at, on))
            fail_msg("suite %x: allocation %lld of %lld failed and something leaked", suite, at,
                     total);
        if (at % 97 == 0 && !recovers(suite))
            fail_msg("suite %x: allocation %lld of %lld failed, and nothing works since", suite, at,
                     total);
    }
}

static void one_allocation_fails(void **state)
{
    (void)state;
    fail_each_in_turn(HELIO_SUITE_IDEA_CTR_POLY1305, false);
}

static void all_from_one_on_fail(void **state)
{
    (void)state;
    fail_each_in_turn(HELIO_SUITE_IDEA_CTR_POLY1305, true);
    fail_each_in_turn(HELIO_SUITE_CHACHA20_POLY1305, true);
    fail_each_in_turn(HELIO_SUITE_AES_256_GCM, true);
}

static int setup(void **state)
{
    (void)state;
    test_identity(0);
    test_identity(1);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_allocation_fails),
        cmocka_unit_test(all_from_one_on_fail),
    };

    if (!memory_watch_openssl())
        return 1;
    return cmocka_run_group_tests_name("memory", tests, setup, NULL);
}
