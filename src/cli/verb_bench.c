/*
 * verb_bench.c: figures of this machine, for people and, with --json, for programs.
 *
 * What is compared takes turns, so that a machine that slows down slows all of them down; a figure is
 * the median of its turns.  Everything happens in memory.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/bench.h"
#include "cli/say.h"

double bench_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int compare_rates(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double bench_median(double rates[BENCH_TURNS])
{
    qsort(rates, BENCH_TURNS, sizeof *rates, compare_rates);
    return rates[BENCH_TURNS / 2];
}

static void print_json(const char *what, const char *name, const struct bench_figure *figure)
{
    static bool more;

    printf("%s{\"what\":\"%s\",\"name\":\"%s\",", more ? ",\n" : "[", what, name);
    if (figure->bytes)
        printf("\"bytes\":%zu,\"mb_per_s\":%.1f}", figure->bytes, figure->rate / 1e6);
    else
        printf("\"bits\":%u,\"per_s\":%.1f}", figure->bits, figure->rate);
    more = true;
}

void bench_print(const struct options *options, const char *what, const char *name,
                 struct bench_figure figure)
{
    if (options->json)
        print_json(what, name, &figure);
    else if (figure.bytes)
        printf("%-9s %-18s %6zu bytes %9.1f MB/s\n", what, name, figure.bytes, figure.rate / 1e6);
    else
        printf("%-9s %-18s %6u bits  %9.1f a second\n", what, name, figure.bits, figure.rate);
}

/* ------------------------------------------------------------------------------------- idea -- */

enum { KERNELS_MAX = 8 };

/* The names of those that can run here, the fastest first; leaves the first of them in use. */
static size_t find_kernels(const char *names[KERNELS_MAX])
{
    size_t count = 0;
    static const char *const all[] = {"avx512bw", "neon", "avx2", "sse2", "portable"};
    const char *fastest = helio_idea_kernel(); /* the user may have set a limit */
    bool allowed = false;

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        allowed = allowed || strcmp(all[i], fastest) == 0;
        if (allowed && helio_idea_limit(all[i]) == HELIO_OK &&
            strcmp(helio_idea_kernel(), all[i]) == 0)
            names[count++] = all[i];
    }
    return count;
}

/* The rate of counter mode in messages of n bytes. */
static double idea_turn(const helio_idea *idea, uint8_t *text, size_t n)
{
    size_t calls = 1 + 16384 / n, bytes = 0;
    double start = bench_now(), passed;

    do {
        for (size_t i = 0; i < calls; i++)
            helio_idea_ctr(idea, 0, text, text, n);
        bytes += calls * n;
        passed = bench_now() - start;
    } while (passed < BENCH_TURN_SECONDS);
    return (double)bytes / passed;
}

static int bench_idea(const struct options *options)
{
    static const size_t lengths[] = {16, 64, 256, 1024, 4096, 16384, BENCH_LENGTH_MAX};
    static const uint8_t key[16] = "any key will do";
    static uint8_t text[BENCH_LENGTH_MAX];
    const char *names[KERNELS_MAX];
    size_t kernels = find_kernels(names);
    helio_idea idea;

    helio_idea_set_key(&idea, key);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        double rates[KERNELS_MAX][BENCH_TURNS];

        for (int turn = 0; turn < BENCH_TURNS; turn++)
            for (size_t k = 0; k < kernels; k++) {
                (void)!helio_idea_limit(names[k]); /* found before */
                rates[k][turn] = idea_turn(&idea, text, lengths[i]);
            }
        for (size_t k = 0; k < kernels; k++)
            bench_print(options, "idea", names[k],
                        (struct bench_figure){.bytes = lengths[i], .rate = bench_median(rates[k])});
    }
    (void)!helio_idea_limit(names[0]);
    helio_idea_clear(&idea);
    return STATUS_DONE;
}

/* ------------------------------------------------------------------------------------ table -- */

static const struct bench {
    const char *name;
    int (*run)(const struct options *options);
} benches[] = {
    {"idea", bench_idea},
    {"seal", bench_seal},
    {"handshake", bench_handshake},
    {"pipe", bench_pipe},
};

int verb_bench(struct options *options, int argc, char **argv)
{
    int status = STATUS_DONE;
    bool ran = false;

    for (size_t i = 0; i < sizeof benches / sizeof *benches && status == STATUS_DONE; i++)
        if (argc == 0 || strcmp(argv[0], benches[i].name) == 0) {
            status = benches[i].run(options);
            ran = true;
        }
    if (!ran)
        return usage_error("bench",
                           "there is no measurement \"%.64s\"; say idea, seal, handshake or pipe",
                           argv[0]);
    if (options->json && status == STATUS_DONE)
        puts("]");
    return status;
}
