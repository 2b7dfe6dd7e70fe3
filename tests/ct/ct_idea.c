/*
 * ct_idea.c: IDEA, its AEAD and the comparison of tags with secrets that a checker follows
 * (secret.h).  tests/ct/check.py builds this many times and runs it under the checkers; it exits 0
 * by itself, and the checker makes it another status when it saw a leak.
 *
 * With the name of a leak as its argument it commits that leak, to show that it would be seen.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"
#include "ct/secret.h"
#include "kernel/kernels.h"
#ifndef SECRET_BY_MSAN
#include "crypto/aead.h"
#endif

/* All ways through a kernel: less than a block, one vector, two, four, six, and more. */
static const size_t lengths[] = {1, 8, 100, 256, 300, 512, 700, 1500, 4000};
enum { TEXT_MAX = 4000 };

static uint8_t text[TEXT_MAX];

/*
 * Whether a tag held is no secret: the caller acts on it.  All that comes before the answer is.  The
 * linker puts this in the place of equal_secret.
 */
int __real_equal_secret(const void *a, const void *b, size_t n);
int __wrap_equal_secret(const void *a, const void *b, size_t n);

int __wrap_equal_secret(const void *a, const void *b, size_t n)
{
    int equal = __real_equal_secret(a, b, n);

    make_public(&equal, sizeof equal);
    return equal;
}

static void secret_key(uint8_t key[IDEA_KEY_SIZE])
{
    memset(key, 0x5a, IDEA_KEY_SIZE);
    make_secret(key, IDEA_KEY_SIZE);
}

static void run_blocks(void)
{
    uint8_t key[IDEA_KEY_SIZE], block[IDEA_BLOCK_SIZE] = {0};
    helio_idea idea;

    secret_key(key);
    make_secret(block, sizeof block);
    helio_idea_set_key(&idea, key);
    helio_idea_encrypt(&idea, block, block);
    helio_idea_decrypt(&idea, block, block);
    helio_idea_clear(&idea);
    make_public(block, sizeof block);
}

static void run_kernel(const struct idea_kernel *kernel)
{
    uint8_t key[IDEA_KEY_SIZE];
    const uint64_t counter = 0xfffffffffffffff0; /* wraps; it is no secret */
    helio_idea idea;

    secret_key(key);
    helio_idea_set_key(&idea, key);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        make_secret(text, sizeof text);
        kernel->ctr(&idea, counter, text, text, lengths[i]);
    }
    helio_idea_clear(&idea);
}

static bool run_compare(void)
{
    uint8_t a[16] = {1}, b[16] = {1};

    make_secret(a, sizeof a);
    make_secret(b, sizeof b);
    bool equal = equal_secret(a, b, sizeof a);
    b[0] ^= 1;
    return equal && !equal_secret(a, b, sizeof a);
}

#ifdef SECRET_BY_MSAN
/* The sanitizer would have to have built OpenSSL, too. */
static bool run_aead(void)
{
    return true;
}
#else
static bool run_aead(void)
{
    uint8_t key[IDEA_KEY_SIZE], tag[AEAD_TAG_SIZE], ad[4] = "head";
    struct aead_key k = {0};
    bool good = true;

    secret_key(key);
    good = aead_set_key(&k, AEAD_IDEA_CTR_POLY1305, key, NULL) == HELIO_OK;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths && good; i++) {
        make_secret(text, sizeof text);
        good = aead_seal(&k, i, ad, sizeof ad, text, lengths[i], text, tag) == HELIO_OK &&
               aead_open(&k, i, ad, sizeof ad, text, lengths[i], text, tag) == HELIO_OK;
        tag[3] ^= 1;
        good =
            good && aead_open(&k, i, ad, sizeof ad, text, lengths[i], text, tag) == HELIO_E_BROKEN;
    }
    aead_clear(&k);
    return good;
}
#endif

/* ----------------------------------------------------------------------------------- leaks -- */

/* A compiler must not find a way to do these in constant time. */
static volatile unsigned sink;

static void leak_by_branch(uint16_t secret)
{
    if (secret == 0)
        __asm__ volatile("nop");
    else
        sink = secret * 3u;
}

static void leak_by_index(uint16_t secret)
{
    static const volatile uint8_t table[256] = {1, 2, 3};

    sink = table[secret & 0xff];
}

static bool commit(const char *leak)
{
    uint16_t secret = 7;

    make_secret(&secret, sizeof secret);
    if (strcmp(leak, "branch") == 0)
        leak_by_branch(secret);
    else if (strcmp(leak, "index") == 0)
        leak_by_index(secret);
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return commit(argv[1]) ? EXIT_SUCCESS : 2;
    run_blocks();
    bool good = run_compare();
    for (size_t i = 0; idea_kernels[i]; i++)
        if (can_run(idea_kernels[i])) {
            run_kernel(idea_kernels[i]);
            good = good && helio_idea_limit(idea_kernels[i]->name) == HELIO_OK && run_aead() &&
                   helio_idea_limit(idea_kernels[0]->name) == HELIO_OK;
            printf("%s\n", idea_kernels[i]->name);
        }
    return good ? EXIT_SUCCESS : 3;
}
