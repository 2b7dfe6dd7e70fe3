/*
 * idea.c: IDEA here and elsewhere, and the ciphers it is held against, in one run.
 *
 * Everything takes turns, in another order each round; a figure is the median over the rounds, and a
 * ratio the median of the ratios within each round, so that what slows the machine for a while slows
 * both sides of it.  Time is the thread's processor time.  Cycles are counted with the clock found
 * right after a turn, by a chain of multiplications that each wait for the one before: the clock
 * depends on what the processor was just made to do, and the time stamp counter does not follow it.
 *
 * Prints JSON.  Exit status 1 when two implementations of IDEA disagree.
 */
#include <gcrypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/aead.h"
#include "cpu/cpu.h"
#include "idea/idea.h"
#include "others.h"

enum { ROUNDS = 11, LENGTH_MAX = 1 << 20 };
enum { CHAIN = 20000, MULTIPLIER_LATENCY = 3 }; /* of every x86-64 core since 2008 */

static const double turn_seconds = 0.004;
static const uint8_t key[AEAD_KEY_MAX] = "what the key is does not matter";
static const size_t lengths[] = {16, 64, 256, 1024, 4096, 16384, 65536, 262144, LENGTH_MAX};
enum { LENGTHS = sizeof lengths / sizeof *lengths };

static helio_idea idea;
static gcry_cipher_hd_t gcrypt;
static struct aead_key aeads[AEAD_COUNT];
static uint8_t text[LENGTH_MAX], out[LENGTH_MAX];

/* -------------------------------------------------------------------------------- subjects -- */

struct subject {
    const char *name;
    size_t longest;
    void (*run)(const struct subject *s, size_t n);
    const struct idea_kernel *kernel;
    enum aead_cipher aead;
    void (*other)(uint8_t *out, const uint8_t *in, size_t n);
};

static void run_kernel(const struct subject *s, size_t n)
{
    s->kernel->ctr(&idea, 0, out, text, n);
}

static void run_seal(const struct subject *s, size_t n)
{
    static uint64_t number;
    uint8_t tag[AEAD_TAG_SIZE];

    if (aead_seal(&aeads[s->aead], number++, NULL, 0, text, n, out, tag) != HELIO_OK)
        abort();
}

static void run_other(const struct subject *s, size_t n)
{
    s->other(out, text, n);
}

static void gcrypt_ctr(uint8_t *to, const uint8_t *from, size_t n)
{
    static const uint8_t counter[8];

    if (gcry_cipher_setctr(gcrypt, counter, sizeof counter) ||
        gcry_cipher_encrypt(gcrypt, to, n, from, n))
        abort();
}

#define SEALS AEAD_TEXT_MAX, run_seal
static const struct subject subjects[] = {
#if defined(__x86_64__)
    {"avx512bw", LENGTH_MAX, run_kernel, &idea_kernel_avx512bw, 0, NULL},
    {"avx2", LENGTH_MAX, run_kernel, &idea_kernel_avx2, 0, NULL},
    {"sse2", LENGTH_MAX, run_kernel, &idea_kernel_sse2, 0, NULL},
#elif defined(__aarch64__)
    {"neon", LENGTH_MAX, run_kernel, &idea_kernel_neon, 0, NULL},
#endif
    {"portable", LENGTH_MAX, run_kernel, &idea_kernel_portable, 0, NULL},
    {"idea-ctr-poly1305", SEALS, NULL, AEAD_IDEA_CTR_POLY1305, NULL},
    {"chacha20-poly1305", SEALS, NULL, AEAD_CHACHA20_POLY1305, NULL},
    {"aes-256-gcm", SEALS, NULL, AEAD_AES_256_GCM, NULL},
    {"libgcrypt", LENGTH_MAX, run_other, NULL, 0, gcrypt_ctr},
    {"crypto++", LENGTH_MAX, run_other, NULL, 0, cryptopp_ctr},
    {"botan", LENGTH_MAX, run_other, NULL, 0, botan_ctr},
};
enum { SUBJECTS = sizeof subjects / sizeof *subjects };

static bool can_run(const struct subject *s, size_t n)
{
    return n <= s->longest && (!s->kernel || (s->kernel->needs & ~cpu_features()) == 0);
}

static bool set_up(void)
{
    bool good = gcry_check_version(NULL) != NULL &&
                gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0) == 0 &&
                gcry_cipher_open(&gcrypt, GCRY_CIPHER_IDEA, GCRY_CIPHER_MODE_CTR, 0) == 0 &&
                gcry_cipher_setkey(gcrypt, key, IDEA_KEY_SIZE) == 0;

    helio_idea_set_key(&idea, key);
    botan_set_key(key);
    cryptopp_set_key(key);
    for (int i = 0; i < AEAD_COUNT; i++)
        good = good && aead_set_key(&aeads[i], (enum aead_cipher)i, key, key) == HELIO_OK;
    return good;
}

/* Figures of something that computes something else would be of no use. */
static bool all_agree(void)
{
    enum { SOME = 10000 };
    static uint8_t expected[SOME];
    bool agree = true;

    idea_kernel_portable.ctr(&idea, 0, expected, text, SOME);
    for (size_t i = 0; i < SUBJECTS; i++)
        if (subjects[i].run != run_seal && can_run(&subjects[i], SOME)) {
            subjects[i].run(&subjects[i], SOME);
            if (memcmp(out, expected, SOME) != 0) {
                fprintf(stderr, "%s computes something else\n", subjects[i].name);
                agree = false;
            }
        }
    return agree;
}

/* ------------------------------------------------------------------------------------ time -- */

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Cycles a second, or 0 where a chain's length in cycles is not known. */
static double clock_now(void)
{
#if defined(__x86_64__)
    uint64_t x = 3;
    double start = seconds_now();

    for (int i = 0; i < CHAIN / 4; i++)
        __asm__ volatile("imul %0, %0\n\timul %0, %0\n\timul %0, %0\n\timul %0, %0" : "+r"(x));
    return CHAIN * MULTIPLIER_LATENCY / (seconds_now() - start);
#else
    return 0;
#endif
}

struct figure {
    double rate;   /* bytes a second */
    double cycles; /* a byte */
};

static struct figure turn(const struct subject *s, size_t n)
{
    size_t calls = 1 + 16384 / n;
    double start = seconds_now(), passed, bytes = 0;

    do {
        for (size_t i = 0; i < calls; i++)
            s->run(s, n);
        bytes += (double)(calls * n);
        passed = seconds_now() - start;
    } while (passed < turn_seconds);
    return (struct figure){bytes / passed, clock_now() * passed / bytes};
}

/* --------------------------------------------------------------------------------- figures -- */

static struct figure figures[SUBJECTS][ROUNDS]; /* of one length; rate 0: not run */

static void measure(size_t n)
{
    memset(figures, 0, sizeof figures);
    for (size_t round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < SUBJECTS; i++) {
            size_t which = (i + round) % SUBJECTS;

            if (can_run(&subjects[which], n))
                figures[which][round] = turn(&subjects[which], n);
        }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double values[ROUNDS])
{
    qsort(values, ROUNDS, sizeof *values, compare);
    return values[ROUNDS / 2];
}

static double median_rate(size_t which)
{
    double values[ROUNDS];

    for (int round = 0; round < ROUNDS; round++)
        values[round] = figures[which][round].rate;
    return median(values);
}

static double median_cycles(size_t which)
{
    double values[ROUNDS];

    for (int round = 0; round < ROUNDS; round++)
        values[round] = figures[which][round].cycles;
    return median(values);
}

static double median_ratio(size_t which, size_t to)
{
    double values[ROUNDS];

    for (int round = 0; round < ROUNDS; round++)
        values[round] = figures[which][round].rate / figures[to][round].rate;
    return median(values);
}

static void print_subject(size_t which, size_t n)
{
    static bool more;

    printf(
        "%s\n  {\"name\": \"%s\", \"bytes\": %zu, \"mb_per_s\": %.1f, \"cycles_per_byte\": %.3f, "
        "\"ratio_to\": {",
        more ? "," : "", subjects[which].name, n, median_rate(which) / 1e6, median_cycles(which));
    const char *comma = "";
    for (size_t to = 0; to < SUBJECTS; to++)
        if (to != which && figures[to][0].rate > 0) {
            printf("%s\"%s\": %.3f", comma, subjects[to].name, median_ratio(which, to));
            comma = ", ";
        }
    printf("}}");
    more = true;
}

int main(void)
{
    if (!set_up() || !all_agree())
        return EXIT_FAILURE;
    printf("{\"rounds\": %d, \"figures\": [", ROUNDS);
    for (size_t i = 0; i < LENGTHS; i++) {
        measure(lengths[i]);
        for (size_t which = 0; which < SUBJECTS; which++)
            if (figures[which][0].rate > 0)
                print_subject(which, lengths[i]);
    }
    printf("\n]}\n");
    return EXIT_SUCCESS;
}
