/*
 * verb_bench.c: figures of this machine, for people and, with --json, for programs.
 *
 * What is compared takes turns, so that a machine that slows down slows all of them down; a figure is
 * the median of its turns.  Everything happens in memory.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/say.h"

enum { TURNS = 5, LENGTH_MAX = 65536 };

/* A turn lasts at least this long. */
static const double turn_seconds = 0.002;

/* What this thread got of the processor: others that run on it are left out. */
static double seconds_now(void)
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

static double median(double rates[TURNS])
{
    qsort(rates, TURNS, sizeof *rates, compare_rates);
    return rates[TURNS / 2];
}

/* One figure as a line or as an element of a JSON array. */
static void print_rate(const struct options *options, const char *what, const char *name, size_t n,
                       double rate)
{
    static bool more;

    if (options->json)
        printf("%s{\"what\":\"%s\",\"name\":\"%s\",\"bytes\":%zu,\"mb_per_s\":%.1f}",
               more ? ",\n" : "[", what, name, n, rate / 1e6);
    else
        printf("%-5s %-18s %6zu bytes %9.1f MB/s\n", what, name, n, rate / 1e6);
    more = true;
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
    double start = seconds_now(), passed;

    do {
        for (size_t i = 0; i < calls; i++)
            helio_idea_ctr(idea, 0, text, text, n);
        bytes += calls * n;
        passed = seconds_now() - start;
    } while (passed < turn_seconds);
    return (double)bytes / passed;
}

static int bench_idea(const struct options *options)
{
    static const size_t lengths[] = {16, 64, 256, 1024, 4096, 16384, LENGTH_MAX};
    static const uint8_t key[16] = "any key will do";
    static uint8_t text[LENGTH_MAX];
    const char *names[KERNELS_MAX];
    size_t kernels = find_kernels(names);
    helio_idea idea;

    helio_idea_set_key(&idea, key);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        double rates[KERNELS_MAX][TURNS];

        for (int turn = 0; turn < TURNS; turn++)
            for (size_t k = 0; k < kernels; k++) {
                (void)!helio_idea_limit(names[k]); /* found before */
                rates[k][turn] = idea_turn(&idea, text, lengths[i]);
            }
        for (size_t k = 0; k < kernels; k++)
            print_rate(options, "idea", names[k], lengths[i], median(rates[k]));
    }
    (void)!helio_idea_limit(names[0]);
    helio_idea_clear(&idea);
    return STATUS_DONE;
}

/* ------------------------------------------------------------------------------------- seal -- */

/* A frame takes a little more than its content. */
enum { SUITES_MAX = 8, WIRE_MAX = LENGTH_MAX + 4096 };

/* Two stations with an open line between them, and what is on it. */
struct line {
    helio_session *ends[2];
    uint8_t wire[WIRE_MAX];
};

/* Moves what one end has to the other, and trusts whoever is there. */
static enum helio_err carry(struct line *line, int from)
{
    size_t n = helio_session_pull(line->ends[from], line->wire, sizeof line->wire);
    helio_session *to = line->ends[!from];
    enum helio_err err = HELIO_OK;

    for (size_t at = 0, used; err == HELIO_OK && at < n; at += used) {
        helio_event event = {.kind = HELIO_EVENT_NONE};

        err = helio_session_feed(to, line->wire + at, n - at, &used);
        do
            err = err == HELIO_OK ? helio_session_next(to, &event) : err;
        while (err == HELIO_OK && event.kind != HELIO_EVENT_NONE &&
               (event.kind != HELIO_EVENT_PEER || (err = helio_session_trust(to)) == HELIO_OK));
    }
    return err;
}

static enum helio_err line_open(struct line *line, const helio_identity *id, uint16_t suite)
{
    helio_config config = {.identity = id, .suites = &suite, .suite_count = 1};
    enum helio_err err = helio_session_new(&line->ends[0], &config, HELIO_INITIATOR);

    if (err == HELIO_OK)
        err = helio_session_new(&line->ends[1], &config, HELIO_RESPONDER);
    /* HELLO, REPLY, AUTH, ACCEPT. */
    for (int from = 0, steps = 4; err == HELIO_OK && steps > 0; steps--, from = !from)
        err = carry(line, from);
    return err;
}

static void line_free(struct line *line)
{
    helio_session_free(line->ends[0]);
    helio_session_free(line->ends[1]);
}

/* The rates of sealing (send and peek) and of opening (feed and next) full records. */
static enum helio_err seal_turn(struct line *line, double *seal, double *open)
{
    static const uint8_t text[LENGTH_MAX];
    double sealing = 0, opening = 0, bytes = 0;
    enum helio_err err = HELIO_OK;

    while (err == HELIO_OK && sealing + opening < 2 * turn_seconds) {
        helio_event event = {.kind = HELIO_EVENT_NONE};
        const uint8_t *wire;
        size_t used = 0;
        double start = seconds_now();

        err = helio_session_send(line->ends[0], text, sizeof text, HELIO_DATA);
        size_t n = helio_session_peek(line->ends[0], &wire);
        double sealed = seconds_now();
        if (err == HELIO_OK)
            err = helio_session_feed(line->ends[1], wire, n, &used);
        if (err == HELIO_OK)
            err = helio_session_next(line->ends[1], &event);
        helio_session_pull(line->ends[0], NULL, n);
        if (err == HELIO_OK && (used != n || event.size != sizeof text))
            err = HELIO_E_STATE;
        sealing += sealed - start;
        opening += seconds_now() - sealed;
        bytes += sizeof text;
    }
    *seal = bytes / sealing;
    *open = bytes / opening;
    return err;
}

static enum helio_err seal_turns(const struct options *options, struct line *lines, size_t count)
{
    double seal[SUITES_MAX][TURNS], open[SUITES_MAX][TURNS];
    enum helio_err err = HELIO_OK;

    for (int turn = 0; turn < TURNS; turn++)
        for (size_t i = 0; i < count && err == HELIO_OK; i++)
            err = seal_turn(&lines[i], &seal[i][turn], &open[i][turn]);
    for (size_t i = 0; i < count && err == HELIO_OK; i++) {
        print_rate(options, "seal", helio_suite_name(helio_suite_at(i)), LENGTH_MAX,
                   median(seal[i]));
        print_rate(options, "open", helio_suite_name(helio_suite_at(i)), LENGTH_MAX,
                   median(open[i]));
    }
    return err;
}

static int bench_seal(const struct options *options)
{
    struct line *lines = calloc(SUITES_MAX, sizeof *lines);
    helio_identity *id = NULL;
    enum helio_err err = lines ? HELIO_OK : HELIO_E_MEMORY;
    size_t count = 0;

    if (err == HELIO_OK)
        err = helio_identity_generate(&id, HELIO_RSA_BITS_MIN);
    for (; err == HELIO_OK && count < SUITES_MAX && helio_suite_at(count); count++)
        err = line_open(&lines[count], id, helio_suite_at(count));
    if (err == HELIO_OK)
        err = seal_turns(options, lines, count);
    for (size_t i = 0; i < count; i++)
        line_free(&lines[i]);
    free(lines);
    helio_identity_free(id);
    if (err == HELIO_OK)
        return STATUS_DONE;
    say_error("bench", "the measurement failed: %s", helio_strerror(err));
    return (int)exit_status_of(err);
}

/* ------------------------------------------------------------------------------------ table -- */

static const struct bench {
    const char *name;
    int (*run)(const struct options *options);
} benches[] = {
    {"idea", bench_idea},
    {"seal", bench_seal},
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
        return usage_error("bench", "there is no measurement \"%.64s\"; say idea or seal", argv[0]);
    if (options->json && status == STATUS_DONE)
        puts("]");
    return status;
}
