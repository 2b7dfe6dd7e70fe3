/*
 * classic with every allocation failing in turn, ours and OpenSSL's: the call says so, nothing
 * crashes, nothing of ours leaks, and the next session is as good as ever.
 *
 * The linker wraps malloc and its kin for our objects; OpenSSL is handed the same functions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/crypto.h>

#include "classic/classic.h"
#include "classic_vectors.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);

static long long calls;   /* allocations since they were armed */
static long long fail_at; /* this one fails; 0: none */
static long long live;    /* blocks of ours that are not freed */

static bool refuse(void)
{
    return ++calls == fail_at;
}

static void *counted(void *p)
{
    live += p != NULL;
    return p;
}

void *__wrap_malloc(size_t n)
{
    return refuse() ? NULL : counted(__real_malloc(n));
}

void *__wrap_calloc(size_t count, size_t n)
{
    return refuse() ? NULL : counted(__real_calloc(count, n));
}

void *__wrap_realloc(void *p, size_t n)
{
    void *moved = refuse() ? NULL : __real_realloc(p, n);

    live += p == NULL && moved != NULL;
    return moved;
}

void __wrap_free(void *p)
{
    live -= p != NULL;
    __real_free(p);
}

static void *openssl_malloc(size_t n, const char *file, int line)
{
    (void)file, (void)line;
    return refuse() ? NULL : __real_malloc(n);
}

static void *openssl_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file, (void)line;
    return refuse() ? NULL : __real_realloc(p, n);
}

static void openssl_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    __real_free(p);
}

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
    long long armed = fail_at, at = calls;

    /* A real client draws its key; reading one is for tests alone and not under test here. */
    fail_at = 0;
    enum helio_err err =
        rsa_classic_from_private_pem(&key, (const char *)v->private_pem.p, v->private_pem.n);
    fail_at = armed;
    calls = at;
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
    calls = 0;
    assert_int_equal(converse(), HELIO_OK);
    long long count = calls, failed = 0;
    assert_true(count > 20);
    for (long long at = 1; at <= count; at++) {
        long long before = live;

        calls = 0;
        fail_at = at;
        enum helio_err err = converse();
        fail_at = 0;
        failed += err != HELIO_OK;
        if (err && err != HELIO_E_MEMORY && err != HELIO_E_CRYPTO && err != other)
            fail_msg("allocation %lld of %lld: error %d", at, count, err);
        if (live != before)
            fail_msg("allocation %lld of %lld: %lld blocks leaked", at, count, live - before);
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

    if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1)
        return 1;
    return cmocka_run_group_tests_name("classic memory", tests, NULL, NULL);
}
