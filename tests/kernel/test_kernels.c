/*
 * test_kernels.c: every kernel that this processor can run, at every length and place, and the
 * choice among them.
 *
 * Random cases come from a fixed seed, which HELIO_TEST_SEED replaces; a failure prints it.  With
 * HELIO_TEST_FULL each length is tried at all 64 alignments, else at 16 of them, which change from
 * length to length.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "kernel/kernels.h"

/* A little more than four batches of the widest kernel: 6 vectors of 32 blocks of 8 bytes. */
enum { LENGTH_MAX = 4 * 6 * 32 * 8 + 7, ALIGNMENTS = 64, CANARY = 64 };

static uint64_t seed = 0x1dea1dea1dea1dea;

static const uint8_t keys[][IDEA_KEY_SIZE] = {
    {0x2b, 0xd6, 0x45, 0x9f, 0x82, 0xc5, 0xb3, 0x00, 0x95, 0x2c, 0x49, 0x10, 0x48, 0x81, 0xff,
     0x48},
    {0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1}, /* schedules of zeros and ones */
    {0},
};

/* Counter mode from single blocks, which test_idea.c holds against what is published. */
static void ctr_defined(const helio_idea *idea, uint64_t counter, uint8_t *out, const uint8_t *in,
                        size_t n)
{
    uint8_t block[IDEA_BLOCK_SIZE];

    for (size_t i = 0; i < n; i++) {
        if (i % IDEA_BLOCK_SIZE == 0) {
            put_u64(block, counter + i / IDEA_BLOCK_SIZE);
            idea_block_portable(idea->encrypt, block, block);
        }
        out[i] = in[i] ^ block[i % IDEA_BLOCK_SIZE];
    }
}

/* ---------------------------------------------------------------------- lengths and places -- */

/* Memory that ends where pages begin that nobody may touch. */
struct area {
    uint8_t *start;
    size_t size;
};

static struct area area_new(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = (LENGTH_MAX + 2 * ALIGNMENTS + page - 1) / page * page;
    uint8_t *p = mmap(NULL, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(p != MAP_FAILED);
    assert_int_equal(mprotect(p + page, size, PROT_READ | PROT_WRITE), 0);
    return (struct area){p + page, size};
}

static void area_free(struct area area)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    assert_int_equal(munmap(area.start - page, area.size + 2 * page), 0);
}

/* What a test hands to a kernel, and what must come of it. */
struct trial {
    const struct idea_kernel *kernel;
    helio_idea idea;
    uint64_t counter;
    uint8_t text[LENGTH_MAX], expected[LENGTH_MAX];
    struct area in, out;
};

static void check_bytes(const struct trial *t, const uint8_t *seen, const uint8_t *expected,
                        size_t n, size_t length, const char *what)
{
    if (memcmp(seen, expected, n) == 0)
        return;
    for (size_t i = 0; i < n; i++)
        if (seen[i] != expected[i])
            fail_msg("%s, %s, %zu bytes from counter %016" PRIx64
                     ": byte %zu: expected %02x, seen %02x (seed %" PRIu64 ")",
                     t->kernel->name, what, length, t->counter, i, expected[i], seen[i], seed);
}

/* Fills the n bytes on both sides of the text, as far as there is room, or looks at them. */
static void around(const struct trial *t, struct area area, uint8_t *p, size_t n, bool look)
{
    static const uint8_t zeros[CANARY];
    size_t before = (size_t)(p - area.start), after = area.size - before - n;

    before = before < CANARY ? before : CANARY;
    after = after < CANARY ? after : CANARY;
    if (look) {
        check_bytes(t, p - before, zeros, before, n, "before the text");
        check_bytes(t, p + n, zeros, after, n, "after the text");
    } else {
        memset(p - before, 0, before);
        memset(p + n, 0, after);
    }
}

static void check_apart(const struct trial *t, uint8_t *out, uint8_t *in, size_t n)
{
    memcpy(in, t->text, n);
    memset(out, 0x55, n);
    around(t, t->out, out, n, false);
    t->kernel->ctr(&t->idea, t->counter, out, in, n);
    check_bytes(t, out, t->expected, n, n, "apart");
    check_bytes(t, in, t->text, n, n, "the input");
    around(t, t->out, out, n, true);
}

static void check_in_place(const struct trial *t, uint8_t *p, size_t n)
{
    memcpy(p, t->text, n);
    around(t, t->out, p, n, false);
    t->kernel->ctr(&t->idea, t->counter, p, p, n);
    check_bytes(t, p, t->expected, n, n, "in place");
    around(t, t->out, p, n, true);
}

/* Against the guard page before, against the one behind, and the two mixed. */
static void check_place(const struct trial *t, size_t n, size_t alignment)
{
    size_t other = (alignment * 5 + n) % ALIGNMENTS;
    uint8_t *out_first = t->out.start + alignment, *in_first = t->in.start + other;
    uint8_t *out_last = t->out.start + t->out.size - alignment - n;
    uint8_t *in_last = t->in.start + t->in.size - other - n;

    check_apart(t, out_first, in_last, n);
    check_apart(t, out_last, in_first, n);
    check_in_place(t, alignment % 2 ? out_first : out_last, n);
}

static void every_length_at_every_place(void **state)
{
    (void)state;
    static struct trial t;
    bool full = getenv("HELIO_TEST_FULL") != NULL;
    size_t places = full ? ALIGNMENTS : 16;
    uint64_t random = seed;

    t.in = area_new();
    t.out = area_new();
    t.counter = 0x0123456789ab0004;
    random_fill(&random, t.text, sizeof t.text);
    helio_idea_set_key(&t.idea, keys[0]);
    ctr_defined(&t.idea, t.counter, t.expected, t.text, sizeof t.text);
    for (size_t k = 0; idea_kernels[k]; k++) {
        t.kernel = idea_kernels[k];
        size_t longest = 4 * t.kernel->batch + 7;
        assert_true(longest <= LENGTH_MAX);
        for (size_t n = 0; n <= longest && can_run(t.kernel); n++)
            for (size_t i = 0; i < places; i++)
                check_place(&t, n, full ? i : (i * 4 + n) % ALIGNMENTS);
    }
    area_free(t.in);
    area_free(t.out);
    helio_idea_clear(&t.idea);
}

/* -------------------------------------------------------------------------------- counters -- */

static void check_counter(const helio_idea *idea, const struct idea_kernel *kernel,
                          uint64_t counter, size_t n)
{
    static struct trial t;

    t.kernel = kernel;
    t.counter = counter;
    memset(t.text, 0x3c, n);
    ctr_defined(idea, counter, t.expected, t.text, n);
    kernel->ctr(idea, counter, t.text, t.text, n);
    check_bytes(&t, t.text, t.expected, n, n, "counter");
}

/*
 * Where a word of the counter wraps: before, behind, and at each place inside a batch; and anywhere.
 */
static void every_counter_wraps(void **state)
{
    (void)state;
    static const unsigned widths[] = {16, 32, 48, 64};
    uint64_t random = seed;

    for (size_t k = 0; idea_kernels[k]; k++)
        for (size_t i = 0; i < sizeof keys / sizeof *keys && can_run(idea_kernels[k]); i++) {
            helio_idea idea;

            helio_idea_set_key(&idea, keys[i]);
            for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
                for (uint64_t before = 0; before < 200; before += 1 + before / 12) {
                    uint64_t counter = widths[w] < 64 ? UINT64_C(7) << widths[w] : 0;

                    check_counter(&idea, idea_kernels[k], counter - before, 1600 + before % 8);
                }
            for (int j = 0; j < 100; j++)
                check_counter(&idea, idea_kernels[k], random_next(&random),
                              random_next(&random) % LENGTH_MAX);
            helio_idea_clear(&idea);
        }
}

/* More than 2^16 blocks: the low word wraps while whole batches run. */
static void a_long_text_goes_through_two_wraps(void **state)
{
    (void)state;
    enum { LONG = 8 * (65536 + 5000) + 3 };
    uint8_t *expected = malloc(LONG), *seen = malloc(LONG);
    const uint64_t counter = 0xffffffffffff0000 - 4000;
    helio_idea idea;

    assert_true(expected && seen);
    helio_idea_set_key(&idea, keys[0]);
    memset(expected, 0, LONG);
    ctr_defined(&idea, counter, expected, expected, LONG);
    for (size_t k = 0; idea_kernels[k]; k++)
        if (can_run(idea_kernels[k])) {
            memset(seen, 0, LONG);
            idea_kernels[k]->ctr(&idea, counter, seen, seen, LONG);
            if (memcmp(seen, expected, LONG) != 0)
                fail_msg("%s: a long text differs", idea_kernels[k]->name);
        }
    helio_idea_clear(&idea);
    free(expected);
    free(seen);
}

/* ---------------------------------------------------------------------------------- choice -- */

static void features_are_the_compilers(void **state)
{
    (void)state;
#if defined(__x86_64__)
    unsigned expected = CPU_SSE2;

    /* The compilers' own detection looks at XCR0, too. */
    expected |= __builtin_cpu_supports("avx2") ? CPU_AVX2 : 0;
    expected |= __builtin_cpu_supports("avx512bw") ? CPU_AVX512BW : 0;
    assert_int_equal(cpu_features(), expected);
#elif defined(__aarch64__)
    assert_int_equal(cpu_features(), CPU_NEON);
#else
    assert_int_equal(cpu_features(), 0);
#endif
}

static void every_subset_of_features_works(void **state)
{
    (void)state;
    static uint8_t seen[2000], expected[sizeof seen];
    unsigned there = cpu_features();
    helio_idea idea;

    helio_idea_set_key(&idea, keys[0]);
    ctr_defined(&idea, 5, expected, expected, sizeof expected);
    for (unsigned allowed = 0; allowed <= CPU_ALL; allowed++) {
        size_t k = 0;

        while (idea_kernels[k]->needs & ~(allowed & there))
            k++;
        cpu_allow(allowed);
        assert_int_equal(cpu_features(), allowed & there);
        assert_ptr_equal(idea_kernel(), idea_kernels[k]);
        assert_string_equal(helio_idea_kernel(), idea_kernels[k]->name);
        memset(seen, 0, sizeof seen);
        helio_idea_ctr(&idea, 5, seen, seen, sizeof seen);
        cpu_allow(CPU_ALL);
        assert_memory_equal(seen, expected, sizeof seen);
    }
    helio_idea_clear(&idea);
}

static void a_limit_lowers_and_lifts(void **state)
{
    (void)state;
    const char *fastest = helio_idea_kernel();

    for (size_t k = 0; idea_kernels[k]; k++) {
        bool possible = can_run(idea_kernels[k]);

        assert_int_equal(helio_idea_limit(idea_kernels[k]->name), HELIO_OK);
        assert_string_equal(helio_idea_kernel(), possible ? idea_kernels[k]->name : fastest);
        assert_int_equal(helio_idea_limit(idea_kernels[0]->name), HELIO_OK);
        assert_string_equal(helio_idea_kernel(), fastest);
    }
    assert_int_equal(helio_idea_limit("abacus"), HELIO_E_NOT_FOUND);
    assert_int_equal(helio_idea_limit(""), HELIO_E_NOT_FOUND);
    assert_string_equal(helio_idea_kernel(), fastest);
}

/* ----------------------------------------------------------------------------------- trial -- */

/* Kernels that are wrong in one way each: the trial must see it. */

static void ctr_right(const helio_idea *idea, uint64_t counter, uint8_t *out, const uint8_t *in,
                      size_t n)
{
    idea_kernel_portable.ctr(idea, counter, out, in, n);
}

static void ctr_without_carry(const helio_idea *idea, uint64_t counter, uint8_t *out,
                              const uint8_t *in, size_t n)
{
    size_t until_wrap = 8 * (0x10000 - (size_t)(counter & 0xffff));
    size_t first = n < until_wrap ? n : until_wrap;

    ctr_right(idea, counter, out, in, first);
    ctr_right(idea, counter & ~UINT64_C(0xffff), out + first, in + first, n - first);
}

static void ctr_that_skips_the_end(const helio_idea *idea, uint64_t counter, uint8_t *out,
                                   const uint8_t *in, size_t n)
{
    ctr_right(idea, counter, out, in, n - n % 8);
}

static void ctr_with_one_wrong_bit(const helio_idea *idea, uint64_t counter, uint8_t *out,
                                   const uint8_t *in, size_t n)
{
    ctr_right(idea, counter, out, in, n);
    if (n > 3000)
        out[3000] ^= 1;
}

static void products_right(uint16_t *x, size_t n, uint16_t k, enum idea_form form)
{
    idea_kernel_portable.products(x, n, k, form);
}

/* As if 0 were a number like others. */
static void products_without_zero(uint16_t *x, size_t n, uint16_t k, enum idea_form form)
{
    (void)form;
    for (size_t i = 0; i < n; i++)
        x[i] = (uint16_t)((uint32_t)x[i] * k % 65537);
}

static void products_wrong_in_one_form(uint16_t *x, size_t n, uint16_t k, enum idea_form form)
{
    products_right(x, n, k, form);
    for (size_t i = 0; i < n && form == IDEA_FORM_OF_NEGATIVE; i++)
        x[i] = (uint16_t)(x[i] + (k == 1));
}

static void a_wrong_kernel_is_noticed(void **state)
{
    (void)state;
    static const struct idea_kernel right = {"right", 0, 1, ctr_right, products_right};
    static const struct idea_kernel wrong[] = {
        {"no carry", 0, 1, ctr_without_carry, products_right},
        {"no end", 0, 1, ctr_that_skips_the_end, products_right},
        {"one bit", 0, 1, ctr_with_one_wrong_bit, products_right},
        {"no zero", 0, 1, ctr_right, products_without_zero},
        {"one form", 0, 1, ctr_right, products_wrong_in_one_form},
    };

    assert_true(idea_kernel_agrees(&right));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (idea_kernel_agrees(&wrong[i]))
            fail_msg("nobody noticed: %s", wrong[i].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_at_every_place),
        cmocka_unit_test(every_counter_wraps),
        cmocka_unit_test(a_long_text_goes_through_two_wraps),
        cmocka_unit_test(features_are_the_compilers),
        cmocka_unit_test(every_subset_of_features_works),
        cmocka_unit_test(a_limit_lowers_and_lifts),
        cmocka_unit_test(a_wrong_kernel_is_noticed),
    };
    const char *given = getenv("HELIO_TEST_SEED");

    if (given)
        seed = strtoull(given, NULL, 0);
    return cmocka_run_group_tests_name("kernels", tests, NULL, NULL);
}
