#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../figures.h"
#include "pump.h"

enum { PIECE = 256 * 1024, TALK_MAX = 65536, WARM_UP = 200 };

static uint8_t piece[PIECE], expected[PIECE];

static bool write_all(const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(1, p, n);

        if (done < 0) {
            fprintf(stderr, "pump: cannot write: %s\n", strerror(errno));
            return false;
        }
        p += done;
        n -= (size_t)done;
    }
    return true;
}

/* Eight bytes a step: draw_bytes, at one, would be slower than the line. */
static void draw_piece(uint64_t *state, uint8_t *out)
{
    for (size_t i = 0; i < PIECE; i += 8) {
        uint64_t word = draw(state);

        memcpy(out + i, &word, 8);
    }
}

int run_source(int argc, char **argv)
{
    uint64_t left = strtoull(argv[0], NULL, 10);
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;

    while (left > 0) {
        size_t n = left < PIECE ? (size_t)left : PIECE;

        if (argc > 1)
            draw_piece(&seed, piece);
        if (!write_all(piece, n))
            return 1;
        left -= n;
    }
    return 0;
}

/* The bytes of a pipe may vanish without having been copied to anybody. */
static ssize_t swallow(void)
{
    static int nowhere = -1;
    ssize_t n = -1;

    if (nowhere < 0)
        nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0)
        n = splice(0, NULL, nowhere, NULL, PIECE, 0);
    return n < 0 && errno == EINVAL ? read(0, piece, PIECE) : n;
}

static bool same_piece(uint64_t *seed, uint64_t at, size_t n)
{
    size_t i = 0;

    while (i < n) {
        size_t from = (size_t)((at + i) % PIECE), some = n - i;

        if (from == 0)
            draw_piece(seed, expected);
        some = some < PIECE - from ? some : PIECE - from;
        if (memcmp(piece + i, expected + from, some) != 0)
            return false;
        i += some;
    }
    return true;
}

/* Of this process. */
static double cpu_seconds(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

int run_sink(int argc, char **argv)
{
    uint64_t seed = argc > 0 ? strtoull(argv[0], NULL, 10) : 0;
    uint64_t bytes = 0, early = 0, first = 0, last = 0;
    bool same = true;
    ssize_t n;

    while ((n = argc > 0 ? read(0, piece, PIECE) : swallow()) > 0) {
        if (argc > 0)
            same = same && same_piece(&seed, bytes, (size_t)n);
        bytes += (uint64_t)n;
        last = nanoseconds();
        if (first == 0) {
            first = last;
            early = bytes;
        }
    }
    printf("{\"bytes\":%llu,\"after_first\":%llu,\"seconds\":%.6f,\"cpu_s\":%.4f,"
           "\"compared\":%s,\"same\":%s}\n",
           (unsigned long long)bytes, (unsigned long long)(bytes - early),
           (double)(last - first) / 1e9, cpu_seconds(), argc > 0 ? "true" : "false",
           same ? "true" : "false");
    return n < 0 || !same;
}

static bool read_all(uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t done = read(0, p, n);

        if (done <= 0) {
            fprintf(stderr, "pump: %s\n", done < 0 ? strerror(errno) : "the other side ended");
            return false;
        }
        p += done;
        n -= (size_t)done;
    }
    return true;
}

int run_ask(int argc, char **argv)
{
    unsigned long rounds = strtoul(argv[0], NULL, 10), size = strtoul(argv[1], NULL, 10);
    FILE *report = fopen(argv[2], "w");
    struct sample sample = {0};
    uint64_t seed = 1;

    (void)argc;
    if (!report || size < 1 || size > TALK_MAX) {
        fputs("pump: no report, or a size out of range\n", stderr);
        return 2;
    }
    for (unsigned long i = 0; i < rounds + WARM_UP; i++) {
        uint64_t began;

        draw_bytes(&seed, expected, size);
        began = nanoseconds();
        if (!write_all(expected, size) || !read_all(piece, size))
            return 1;
        if (i >= WARM_UP)
            sample_add(&sample, nanoseconds() - began);
        if (memcmp(piece, expected, size) != 0) {
            fputs("pump: other bytes came back\n", stderr);
            return 1;
        }
    }
    fputc('{', report);
    sample_print(&sample, "round_ms", report);
    fputs("}\n", report);
    sample_clear(&sample);
    return fclose(report) != 0;
}

int run_answer(int argc, char **argv)
{
    ssize_t n;

    (void)argc;
    (void)argv;
    while ((n = read(0, piece, PIECE)) > 0)
        if (!write_all(piece, (size_t)n))
            return 1;
    return n < 0;
}
