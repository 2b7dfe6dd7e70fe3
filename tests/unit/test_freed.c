/*
 * What OpenSSL and the identities leave in memory that they free: nothing of a private key or of a
 * passphrase.  OpenSSL's memory comes from here, and is searched when it goes back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "crypto/rsa.h"

enum { SECRET = 24, SECRETS_MAX = 16 };

/* Parts of secrets, each byte inverted, so that the list itself is not one. */
static struct secret {
    char name[24];
    uint8_t inverted[SECRET];
    unsigned seen;
} secrets[SECRETS_MAX];
static size_t secret_count;
static bool watching;
static const char passphrase[] = "a passphrase that is nowhere else";

static void add_secret(const char *name, const char *form, const uint8_t *p)
{
    struct secret *s = &secrets[secret_count++];

    assert_true(secret_count <= SECRETS_MAX);
    snprintf(s->name, sizeof s->name, "%s, %s", name, form);
    for (size_t i = 0; i < SECRET; i++)
        s->inverted[i] = p[i] ^ 0xff;
}

static bool stands_at(const uint8_t *p, const struct secret *s)
{
    size_t i = 0;

    while (i < SECRET && (p[i] ^ s->inverted[i]) == 0xff)
        i++;
    return i == SECRET;
}

static void search(const uint8_t *p, size_t n)
{
    for (size_t k = 0; k < secret_count; k++)
        for (size_t at = 0; at + SECRET <= n; at++)
            secrets[k].seen += stands_at(p + at, &secrets[k]);
}

static void *watched_malloc(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return malloc(n);
}

static void watched_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    if (p && watching)
        search(p, malloc_usable_size(p));
    free(p);
}

static void *watched_realloc(void *p, size_t n, const char *file, int line)
{
    size_t old = p ? malloc_usable_size(p) : 0;
    void *q = malloc(n);

    if (!q)
        return NULL;
    if (p)
        memcpy(q, p, old < n ? old : n);
    watched_free(p, file, line);
    return q;
}

/* A fresh key as PEM; where its numbers can be recognised goes to the list. */
static void make_key(struct rsa_key **key, char **pem, size_t *n)
{
    static const char *const names[] = {OSSL_PKEY_PARAM_RSA_D, OSSL_PKEY_PARAM_RSA_FACTOR1,
                                        OSSL_PKEY_PARAM_RSA_FACTOR2, OSSL_PKEY_PARAM_RSA_EXPONENT1};
    uint8_t big[HELIO_RSA_BITS_MAX / 8], little[sizeof big];

    assert_int_equal(rsa_generate(key, 2048), HELIO_OK);
    assert_int_equal(rsa_private_pem(*key, NULL, 0, pem, n), HELIO_OK);
    BIO *bio = BIO_new_mem_buf(*pem, (int)*n);
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    assert_non_null(pkey);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        BIGNUM *number = NULL;

        assert_int_equal(EVP_PKEY_get_bn_param(pkey, names[i], &number), 1);
        int size = BN_num_bytes(number);
        BN_bn2bin(number, big);
        BN_bn2lebinpad(number, little, size);
        add_secret(names[i], "big-endian", big + size - SECRET);
        add_secret(names[i], "little-endian", little);
        BN_free(number);
    }
    add_secret("PEM", "as text", (const uint8_t *)*pem + *n / 2);
    add_secret("passphrase", "as text", (const uint8_t *)passphrase);
    EVP_PKEY_free(pkey);
    BIO_free(bio);
}

static enum helio_err say_passphrase(void *context, char *out, size_t cap, size_t *n)
{
    (void)context;
    assert_true(cap >= sizeof passphrase);
    *n = sizeof passphrase - 1;
    memcpy(out, passphrase, *n);
    return HELIO_OK;
}

static void assert_nothing_seen(const char *after)
{
    for (size_t k = 0; k < secret_count; k++)
        if (secrets[k].seen)
            fail_msg("%s: %s was in freed memory %u times", after, secrets[k].name,
                     secrets[k].seen);
}

static void the_search_finds(void)
{
    uint8_t *p = OPENSSL_zalloc(100);

    assert_non_null(p);
    for (size_t i = 0; i < SECRET; i++)
        p[50 + i] = secrets[0].inverted[i] ^ 0xff;
    OPENSSL_free(p);
    assert_int_equal(secrets[0].seen, 1);
    secrets[0].seen = 0;
}

static void keys_are_wiped(void **state)
{
    (void)state;
    static const uint8_t salt[RSA_SALT_SIZE];
    uint8_t signature[RSA_SIGNATURE_MAX];
    struct rsa_key *key, *read;
    char *plain, *again, *sealed;
    size_t plain_n, again_n, sealed_n;

    make_key(&key, &plain, &plain_n);
    watching = true;
    the_search_finds();
    assert_int_equal(rsa_from_private_pem(&read, plain, plain_n, NULL, NULL), HELIO_OK);
    assert_nothing_seen("read");
    assert_int_equal(rsa_private_pem(read, NULL, 0, &again, &again_n), HELIO_OK);
    assert_nothing_seen("written");
    assert_int_equal(again_n, plain_n);
    assert_memory_equal(again, plain, plain_n);
    assert_int_equal(rsa_sign(read, salt, salt, sizeof salt, signature), HELIO_OK);
    assert_nothing_seen("used");
    rsa_free(read);
    assert_int_equal(rsa_private_pem(key, passphrase, sizeof passphrase - 1, &sealed, &sealed_n),
                     HELIO_OK);
    assert_nothing_seen("written, encrypted");
    assert_int_equal(rsa_from_private_pem(&read, sealed, sealed_n, say_passphrase, NULL), HELIO_OK);
    assert_nothing_seen("read, encrypted");
    rsa_free(read);
    rsa_free(key);
    assert_nothing_seen("freed");
    watching = false;
    free(plain);
    free(again);
    free(sealed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(keys_are_wiped)};

    if (CRYPTO_set_mem_functions(watched_malloc, watched_realloc, watched_free) != 1)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
