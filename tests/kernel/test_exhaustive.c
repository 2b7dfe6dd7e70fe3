/*
 * test_exhaustive.c: what can be tried in full, tried in full, for each kernel that this processor
 * can run.
 *
 * - multiplication: all 2^32 pairs against the definition
 * - inverses: all 65536
 * - blocks: 10^8 in counter mode against libgcrypt, under many keys
 *
 * Built with WITHOUT_LIBGCRYPT, as for another kind of processor, it takes single blocks in the place
 * of libgcrypt's.
 *
 * With the argument "sample" a little of each, for every day.  Plain C without a framework: it says
 * what it does while it does it, because in full it takes minutes.
 *
 * The last line is "N passed, N failed".  Exit status 1 when something failed.
 */
#ifndef WITHOUT_LIBGCRYPT
#include <gcrypt.h>
#endif
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "kernel/kernels.h"

enum { WORDS = 65536, TEXT_BLOCKS = 4096 };

static uint64_t seed = 0x1dea1dea1dea1dea;
static int passed, failed;

static void count(const char *kernel, const char *what, bool good)
{
    printf("%s %s: %s\n", good ? "ok  " : "FAIL", kernel, what);
    fflush(stdout);
    passed += good;
    failed += !good;
}

/* ------------------------------------------------------------------------- multiplication -- */

/* row[x] = x * k by the definition, each from the one before: 65537 is prime, so no x is skipped. */
static void row_defined(uint16_t row[WORDS], uint16_t k)
{
    uint32_t factor = k == 0 ? 65536 : k, product = 0;

    for (uint32_t x = 1; x <= 65536; x++) {
        product += factor;
        if (product >= 65537)
            product -= 65537;
        row[x & 0xffff] = (uint16_t)product;
    }
}

static bool form_agrees(const struct idea_kernel *kernel, uint16_t k, enum idea_form form,
                        const uint16_t expected[WORDS])
{
    static uint16_t seen[WORDS];

    for (unsigned x = 0; x < WORDS; x++)
        seen[x] = (uint16_t)x;
    kernel->products(seen, WORDS, k, form);
    for (unsigned x = 0; x < WORDS; x++)
        if (seen[x] != expected[x]) {
            printf("%s: %u * %u: expected %u, seen %u (form %d)\n", kernel->name, x, k, expected[x],
                   seen[x], (int)form);
            return false;
        }
    return true;
}

static bool row_agrees(const struct idea_kernel *kernel, uint16_t k)
{
    static uint16_t expected[WORDS];
    bool agrees = true;

    row_defined(expected, k);
    for (int form = 0; form < IDEA_FORM_COUNT; form++)
        agrees = agrees && form_agrees(kernel, k, (enum idea_form)form, expected);
    return agrees;
}

/* The row itself against the definition word by word, or it would not be one. */
static bool definition_holds(void)
{
    static uint16_t row[WORDS];
    uint64_t random = seed;

    for (int i = 0; i < 64; i++) {
        uint16_t k = i < 4 ? (uint16_t)(i - 1) : (uint16_t)random_next(&random);

        row_defined(row, k);
        for (unsigned x = 0; x < WORDS; x++)
            if (row[x] != multiply_defined((uint16_t)x, k))
                return false;
    }
    return true;
}

/* Every step-th row, with those at both ends, where all special cases are. */
static void check_products(const struct idea_kernel *kernel, unsigned step)
{
    bool good = true;
    char what[64];
    unsigned rows = 0;

    for (unsigned k = 0; k < WORDS && good; k += k < 4 || k >= WORDS - 8 ? 1 : step, rows++)
        good = row_agrees(kernel, (uint16_t)k);
    snprintf(what, sizeof what, "%u rows of 65536 products", rows);
    count(kernel->name, what, good);
}

static void check_inverses(void)
{
    bool good = true;

    for (unsigned a = 0; a < WORDS && good; a++)
        good = multiply_defined((uint16_t)a, idea_invert((uint16_t)a)) == 1;
    count("all", "65536 inverses", good);
}

/* ---------------------------------------------------------------------------------- blocks -- */

#ifdef WITHOUT_LIBGCRYPT
static const char other[] = "single blocks";

static bool other_ctr(const uint8_t key[IDEA_KEY_SIZE], uint64_t counter, uint8_t *text, size_t n)
{
    helio_idea idea;

    helio_idea_set_key(&idea, key);
    for (size_t i = 0; i < n; i += IDEA_BLOCK_SIZE) {
        put_u64(text + i, counter + i / IDEA_BLOCK_SIZE);
        helio_idea_encrypt(&idea, text + i, text + i);
    }
    helio_idea_clear(&idea);
    return true;
}
#else
static const char other[] = "libgcrypt";

/* The keystream to text[0..n). */
static bool other_ctr(const uint8_t key[IDEA_KEY_SIZE], uint64_t counter, uint8_t *text, size_t n)
{
    static gcry_cipher_hd_t handle;
    uint8_t first[IDEA_BLOCK_SIZE];

    put_u64(first, counter);
    memset(text, 0, n);
    return (handle || gcry_cipher_open(&handle, GCRY_CIPHER_IDEA, GCRY_CIPHER_MODE_CTR, 0) == 0) &&
           gcry_cipher_setkey(handle, key, IDEA_KEY_SIZE) == 0 &&
           gcry_cipher_setctr(handle, first, sizeof first) == 0 &&
           gcry_cipher_encrypt(handle, text, n, NULL, 0) == 0;
}
#endif

static bool text_agrees(const struct idea_kernel *kernel, uint64_t *random)
{
    static uint8_t text[8 * TEXT_BLOCKS], ours[sizeof text];
    uint8_t key[IDEA_KEY_SIZE];
    uint64_t counter = random_next(random);
    helio_idea idea;

    random_fill(random, key, sizeof key);
    /* Some keys have the words 0 and 1, which random ones hardly have. */
    for (uint64_t i = 0, edges = random_next(random); i < 8 && edges % 4 == 0; i++)
        if (edges >> (8 + i) & 1)
            put_u16(key + 2 * i, (unsigned)(edges >> (16 + i) & 1));
    memset(ours, 0, sizeof ours);
    if (!other_ctr(key, counter, text, sizeof text))
        return false;
    helio_idea_set_key(&idea, key);
    kernel->ctr(&idea, counter, ours, ours, sizeof ours);
    helio_idea_clear(&idea);
    if (memcmp(ours, text, sizeof ours) == 0)
        return true;
    printf("%s: another text, counter %016" PRIx64 ", seed %" PRIu64 "\n", kernel->name, counter,
           seed);
    return false;
}

static void check_blocks(const struct idea_kernel *kernel, uint64_t blocks)
{
    uint64_t random = seed, done = 0;
    char what[64];
    bool good = true;

    for (; done < blocks && good; done += TEXT_BLOCKS)
        good = text_agrees(kernel, &random);
    snprintf(what, sizeof what, "%" PRIu64 " blocks against %s", done, other);
    count(kernel->name, what, good);
}

int main(int argc, char **argv)
{
    bool sample = argc > 1 && strcmp(argv[1], "sample") == 0;
    const char *given = getenv("HELIO_TEST_SEED");

    if (argc > 1 && !sample) {
        fputs("usage: test_exhaustive [sample]\n", stderr);
        return 2;
    }
    if (given)
        seed = strtoull(given, NULL, 0);
#ifndef WITHOUT_LIBGCRYPT
    if (!gcry_check_version(NULL))
        return EXIT_FAILURE;
    (void)gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
#endif
    count("definition", "rows by addition are rows by definition", definition_holds());
    check_inverses();
    for (size_t i = 0; idea_kernels[i]; i++) {
        if (!can_run(idea_kernels[i])) {
            printf("skip %s: not on this processor\n", idea_kernels[i]->name);
            continue;
        }
        count(idea_kernels[i]->name, "the trial before first use",
              idea_kernel_agrees(idea_kernels[i]));
        check_products(idea_kernels[i], sample ? 251 : 1);
        check_blocks(idea_kernels[i], sample ? 1000000 : 100000000);
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 && passed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
