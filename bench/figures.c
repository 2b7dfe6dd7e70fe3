#include "figures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t nanoseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void sample_add(struct sample *sample, uint64_t value)
{
    if (sample->n == sample->cap) {
        size_t cap = sample->cap ? 2 * sample->cap : 1024;
        uint64_t *values = realloc(sample->values, cap * sizeof *values);

        if (!values) {
            fputs("no memory for figures\n", stderr);
            exit(1);
        }
        sample->values = values;
        sample->cap = cap;
    }
    sample->values[sample->n++] = value;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* The smallest value that at least this part of all is not above; in milliseconds. */
static double part(const struct sample *sample, double share)
{
    size_t at = (size_t)(share * (double)sample->n);

    if (sample->n == 0)
        return 0;
    return (double)sample->values[at < sample->n ? at : sample->n - 1] / 1e6;
}

void sample_print(struct sample *sample, const char *name, FILE *out)
{
    if (sample->n > 0)
        qsort(sample->values, sample->n, sizeof *sample->values, compare);
    fprintf(out,
            "\"%s\":{\"n\":%zu,\"p50\":%.4f,\"p90\":%.4f,\"p99\":%.4f,\"p999\":%.4f,\"max\":%.4f}",
            name, sample->n, part(sample, 0.5), part(sample, 0.9), part(sample, 0.99),
            part(sample, 0.999), part(sample, 1));
}

void sample_clear(struct sample *sample)
{
    free(sample->values);
    *sample = (struct sample){0};
}

void tally_add(struct tally *tally, const char *what)
{
    enum { ROWS = sizeof tally->rows / sizeof *tally->rows };
    size_t i = 0;

    while (i < tally->n && strncmp(tally->rows[i].what, what, sizeof tally->rows[i].what - 1) != 0)
        i++;
    if (i == ROWS)
        i = ROWS - 1; /* more kinds of trouble than anybody reads */
    if (i == tally->n) {
        snprintf(tally->rows[i].what, sizeof tally->rows[i].what, "%s", what);
        tally->n++;
    }
    tally->rows[i].times++;
}

uint64_t tally_total(const struct tally *tally)
{
    uint64_t total = 0;

    for (size_t i = 0; i < tally->n; i++)
        total += tally->rows[i].times;
    return total;
}

void tally_print(const struct tally *tally, const char *name)
{
    printf("\"%s\":{", name);
    for (size_t i = 0; i < tally->n; i++)
        printf("%s\"%s\":%llu", i ? "," : "", tally->rows[i].what,
               (unsigned long long)tally->rows[i].times);
    putchar('}');
}

/* --------------------------------------------------------------------------------- randomness -- */

uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t draw_below(uint64_t *state, uint64_t limit)
{
    return limit ? draw(state) % limit : 0;
}

void draw_bytes(uint64_t *state, uint8_t *out, size_t n)
{
    for (; n > 0; n--)
        *out++ = (uint8_t)(draw(state) >> 56);
}
