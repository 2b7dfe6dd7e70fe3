/*
 * dispatch.c: which kernel does the work.
 *
 * A kernel is tried at first use, and what came of it is kept.  Threads that come at the same time
 * may each try it; they find the same, so the last store changes nothing.
 */
#include "idea/idea.h"

#include <stdatomic.h>
#include <string.h>

#include "base/wipe.h"
#include "cpu/cpu.h"

const struct idea_kernel *const idea_kernels[] = {
#if defined(__x86_64__)
    &idea_kernel_avx512bw, &idea_kernel_avx2,
    &idea_kernel_sse2,
#elif defined(__aarch64__)
    &idea_kernel_neon,
#endif
    &idea_kernel_portable, NULL,
};

/* ----------------------------------------------------------------------------------- trial -- */

enum { TRIAL_SIZE = 3100 }; /* two batches of the widest kernel, and not whole blocks */

/*
 * Keys whose schedules have the words 0 and 1, on either side of a multiplication, and words that
 * look random.
 */
static const uint8_t trial_keys[][IDEA_KEY_SIZE] = {
    {0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1},
    {0x93, 0x5a, 0xe1, 0x08, 0xff, 0xff, 0x27, 0xc4, 0x80, 0x00, 0x6d, 0x1b, 0x4e, 0xf3, 0x00,
     0xb2},
};

/* The first wraps in 64 bits, the second in its lowest word. */
static const uint64_t trial_counters[] = {UINT64_MAX - 40, 0x0123456789abfff0};

static bool agrees_on_ctr(const struct idea_kernel *kernel, const helio_idea *idea,
                          uint64_t counter, size_t n)
{
    uint8_t seen[TRIAL_SIZE], expected[TRIAL_SIZE];

    for (size_t i = 0; i < n; i++)
        seen[i] = expected[i] = (uint8_t)(i * 167);
    kernel->ctr(idea, counter, seen, seen, n);
    idea_kernel_portable.ctr(idea, counter, expected, expected, n);
    return memcmp(seen, expected, n) == 0;
}

/* Edges on both sides, and a few words in between. */
static void trial_words(uint16_t x[IDEA_PRODUCTS_STEP])
{
    for (unsigned i = 0; i < IDEA_PRODUCTS_STEP; i += 4) {
        x[i] = (uint16_t)(i / 4);
        x[i + 1] = (uint16_t)(0u - i / 4);
        x[i + 2] = (uint16_t)(0x7ff8 + i / 4);
        x[i + 3] = (uint16_t)(i * 4093 + 257);
    }
}

static bool agrees_on_products(const struct idea_kernel *kernel, enum idea_form form)
{
    uint16_t x[IDEA_PRODUCTS_STEP], seen[IDEA_PRODUCTS_STEP];

    trial_words(x);
    for (size_t k = 0; k < IDEA_PRODUCTS_STEP; k++) {
        memcpy(seen, x, sizeof seen);
        kernel->products(seen, IDEA_PRODUCTS_STEP, x[k], form);
        for (size_t i = 0; i < IDEA_PRODUCTS_STEP; i++)
            if (seen[i] != idea_multiply(x[i], x[k]))
                return false;
    }
    return true;
}

bool idea_kernel_agrees(const struct idea_kernel *kernel)
{
    bool agrees = true;

    for (int form = 0; form < IDEA_FORM_COUNT; form++)
        agrees = agrees && agrees_on_products(kernel, (enum idea_form)form);
    for (size_t k = 0; k < sizeof trial_keys / sizeof *trial_keys; k++) {
        helio_idea idea;

        helio_idea_set_key(&idea, trial_keys[k]);
        agrees = agrees && agrees_on_ctr(kernel, &idea, trial_counters[k], TRIAL_SIZE) &&
                 agrees_on_ctr(kernel, &idea, trial_counters[k], 300) &&
                 agrees_on_ctr(kernel, &idea, trial_counters[k], 12);
        helio_idea_clear(&idea);
    }
    return agrees;
}

/* ---------------------------------------------------------------------------------- choice -- */

enum { KERNELS = sizeof idea_kernels / sizeof *idea_kernels - 1 };

/* Whether a kernel may be used, once it has been tried. */
static bool trusted(size_t i)
{
    enum { UNTRIED, GOOD, BAD };
    static atomic_int verdicts[KERNELS];
    int verdict = atomic_load_explicit(&verdicts[i], memory_order_relaxed);

    if (verdict == UNTRIED) {
        verdict = idea_kernel_agrees(idea_kernels[i]) ? GOOD : BAD;
        atomic_store_explicit(&verdicts[i], verdict, memory_order_relaxed);
    }
    return verdict == GOOD;
}

const struct idea_kernel *idea_kernel(void)
{
    unsigned features = cpu_features();
    size_t i = 0;

    /* The last is the portable one: it needs nothing, and there is nothing to hold it against. */
    while (i < KERNELS - 1 && ((idea_kernels[i]->needs & ~features) != 0 || !trusted(i)))
        i++;
    return idea_kernels[i];
}

const char *helio_idea_kernel(void)
{
    return idea_kernel()->name;
}

enum helio_err helio_idea_limit(const char *kernel)
{
    unsigned features = 0;
    bool found = false;

    for (size_t i = 0; i < KERNELS; i++) {
        found = found || strcmp(idea_kernels[i]->name, kernel) == 0;
        if (found)
            features |= idea_kernels[i]->needs;
    }
    if (!found)
        return HELIO_E_NOT_FOUND;
    cpu_allow(features);
    return HELIO_OK;
}
