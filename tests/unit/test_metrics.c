/*
 * test_metrics.c: what was counted is told, in the form that Prometheus reads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/metrics.h"

/* ----------------------------------------------------------------------------------- helpers -- */

static struct metrics *new_metrics(void)
{
    struct metrics *metrics;

    assert_int_equal(metrics_new(&metrics), HELIO_OK);
    return metrics;
}

/* The caller frees *text. */
static void tell(struct metrics *metrics, char **text)
{
    size_t n;
    FILE *f = open_memstream(text, &n);

    assert_non_null(f);
    metrics_write(metrics, f);
    assert_int_equal(fclose(f), 0);
}

/* Asserts that the line, a sample, is there, and once. */
static void expect_line(const char *text, const char *line)
{
    char wanted[256];
    const char *first;

    snprintf(wanted, sizeof wanted, "\n%s\n", line);
    first = strstr(text, wanted);
    if (!first || strstr(first + 1, wanted))
        fail_msg("expected the line \"%s\" once in:\n%s", line, text);
}

static void expect_told(struct metrics *metrics, const char *line)
{
    char *text;

    tell(metrics, &text);
    expect_line(text, line);
    free(text);
}

/* ---------------------------------------------------------------------------------- counting -- */

static const struct add_case {
    enum metric metric;
    const char *name;
} add_cases[] = {
    {METRIC_HANDSHAKING, "helio_sessions{state=\"handshake\"}"},
    {METRIC_OPEN, "helio_sessions{state=\"open\"}"},
    {METRIC_ACCEPTED, "helio_connections_accepted_total"},
    {METRIC_BYTES_RECEIVED, "helio_bytes_total{direction=\"received\"}"},
    {METRIC_BYTES_SENT, "helio_bytes_total{direction=\"sent\"}"},
    {METRIC_EPOCHS_RECEIVED, "helio_epochs_total{direction=\"received\"}"},
    {METRIC_EPOCHS_SENT, "helio_epochs_total{direction=\"sent\"}"},
    {METRIC_RELOADS, "helio_roll_reloads_total"},
};

static void each_number_has_its_line(void **state)
{
    enum { CASES = sizeof add_cases / sizeof *add_cases };

    (void)state;
    assert_int_equal(CASES, METRIC_COUNT);
    for (size_t i = 0; i < CASES; i++) {
        struct metrics *metrics = new_metrics();
        char *text, line[128];

        metrics_add(metrics, add_cases[i].metric, INT64_C(5000000000));
        metrics_add(metrics, add_cases[i].metric, -7);
        tell(metrics, &text);
        for (size_t k = 0; k < CASES; k++) {
            snprintf(line, sizeof line, "%s %s", add_cases[k].name, k == i ? "4999999993" : "0");
            expect_line(text, line);
        }
        free(text);
        metrics_free(metrics);
    }
}

static void drops_and_handshakes_have_their_reasons(void **state)
{
    struct metrics *metrics = new_metrics();
    char *text, line[128];

    (void)state;
    for (int i = 0; i < GATE_VERDICTS; i++)
        for (int k = 0; k < i + 1; k++)
            metrics_dropped(metrics, (enum gate_verdict)i);
    for (int i = 0; i < GATE_OUTCOMES; i++)
        for (int k = 0; k < i + 10; k++)
            metrics_handshake(metrics, (enum gate_outcome)i, 1);
    metrics_penalized(metrics, 12);
    metrics_penalized(metrics, 11);
    tell(metrics, &text);
    for (int i = 0; i < GATE_VERDICTS; i++) {
        snprintf(line, sizeof line, "helio_connections_dropped_total{reason=\"%s\"} %d",
                 gate_verdict_name((enum gate_verdict)i), i + 1);
        if (i != GATE_IN)
            expect_line(text, line);
        else
            assert_null(strstr(text, line));
    }
    for (int i = 0; i < GATE_OUTCOMES; i++) {
        snprintf(line, sizeof line, "helio_handshakes_total{result=\"%s\"} %d",
                 gate_outcome_name((enum gate_outcome)i), i + 10);
        expect_line(text, line);
    }
    expect_line(text, "helio_penalized_sources 11");
    free(text);
    metrics_free(metrics);
}

/* Each alone; the bucket is the first that is counted in. */
static const struct bucket_case {
    uint64_t milliseconds;
    const char *bucket, *below; /* below: the last one that it is not in, or NULL */
    const char *sum;
} bucket_cases[] = {
    {0, "0.001", NULL, "0.000"},
    {1, "0.001", NULL, "0.001"},
    {2, "0.002", "0.001", "0.002"},
    {3, "0.005", "0.002", "0.003"},
    {5, "0.005", "0.002", "0.005"},
    {6, "0.01", "0.005", "0.006"},
    {999, "1", "0.5", "0.999"},
    {1000, "1", "0.5", "1.000"},
    {10000, "10", "5", "10.000"},
    {10001, "+Inf", "10", "10.001"},
    {86400000, "+Inf", "10", "86400.000"},
};

static void the_histogram_is_cumulative(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bucket_cases / sizeof *bucket_cases; i++) {
        const struct bucket_case *c = &bucket_cases[i];
        struct metrics *metrics = new_metrics();
        char *text, line[128];

        metrics_handshake(metrics, GATE_OPENED, c->milliseconds);
        metrics_handshake(metrics, GATE_TIMED_OUT, 10000); /* no line was opened: not in it */
        tell(metrics, &text);
        snprintf(line, sizeof line, "helio_handshake_seconds_bucket{le=\"%s\"} 1", c->bucket);
        expect_line(text, line);
        snprintf(line, sizeof line, "helio_handshake_seconds_bucket{le=\"%s\"} 0", c->below);
        if (c->below)
            expect_line(text, line);
        expect_line(text, "helio_handshake_seconds_bucket{le=\"+Inf\"} 1");
        expect_line(text, "helio_handshake_seconds_count 1");
        snprintf(line, sizeof line, "helio_handshake_seconds_sum %s", c->sum);
        expect_line(text, line);
        free(text);
        metrics_free(metrics);
    }
}

/* ------------------------------------------------------------------------------------ causes -- */

static void causes_are_counted_by_their_text(void **state)
{
    struct metrics *metrics = new_metrics();
    char one[] = "cut", same[] = "cut";

    (void)state;
    assert_ptr_not_equal(one, same);
    metrics_closed(metrics, one, 1500);
    metrics_closed(metrics, "a \"b\" \\ c\nd", 600);
    metrics_closed(metrics, same, 7);
    expect_told(metrics, "helio_lines_closed_total{cause=\"cut\"} 2");
    expect_told(metrics, "helio_lines_closed_total{cause=\"a \\\"b\\\" \\\\ c\\nd\"} 1");
    expect_told(metrics, "helio_line_seconds_sum 2.107");
    expect_told(metrics, "helio_line_seconds_count 3");
    metrics_free(metrics);
}

static void too_many_causes_are_others(void **state)
{
    enum { TEXTS = 100 };
    static char texts[TEXTS][8];
    struct metrics *metrics = new_metrics();

    (void)state;
    for (int i = 0; i < TEXTS; i++) {
        snprintf(texts[i], sizeof texts[i], "c%d", i);
        metrics_closed(metrics, texts[i], 0);
    }
    metrics_closed(metrics, "c0", 0);
    expect_told(metrics, "helio_lines_closed_total{cause=\"c0\"} 2");
    expect_told(metrics, "helio_lines_closed_total{cause=\"c63\"} 1");
    expect_told(metrics, "helio_lines_closed_total{cause=\"other\"} 36");
    expect_told(metrics, "helio_line_seconds_count 101");
    metrics_free(metrics);
}

/* ------------------------------------------------------------------------------------- format -- */

static size_t name_length(const char *p)
{
    size_t n = 0;

    while (isalpha((unsigned char)p[n]) || p[n] == '_' || (n > 0 && isdigit((unsigned char)p[n])))
        n++;
    return n;
}

/* Past name="value",… and the closing brace; NULL when it is something else. */
static const char *skip_labels(const char *p)
{
    do {
        size_t n = name_length(++p);

        if (n == 0 || strncmp(p + n, "=\"", 2) != 0)
            return NULL;
        for (p += n + 2; *p != '"'; p++) {
            if (*p == '\0')
                return NULL;
            if (*p == '\\' && !strchr("\\\"n", *++p))
                return NULL;
        }
        p++;
    } while (*p == ',');
    return *p == '}' ? p + 1 : NULL;
}

static bool is_sample(const char *line)
{
    const char *p = line + name_length(line);
    char *end;

    if (p == line)
        return false;
    if (*p == '{')
        p = skip_labels(p);
    if (!p || *p != ' ')
        return false;
    (void)strtod(p + 1, &end);
    return end > p + 1 && *end == '\0';
}

/* A sample belongs to the family whose TYPE was told last: its name, or with one of the suffixes. */
static bool is_of(const char *line, const char *family)
{
    static const char *const suffixes[] = {"", "_bucket", "_sum", "_count"};
    size_t n = name_length(line), f = strlen(family);

    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (n == f + strlen(suffixes[i]) && strncmp(line, family, f) == 0 &&
            strncmp(line + f, suffixes[i], n - f) == 0)
            return true;
    return false;
}

static void check_format(char *text)
{
    char helped[64] = "", typed[64] = "", kind[16], all[4096] = " ";
    char *rest = text;

    assert_int_equal(text[strlen(text) - 1], '\n');
    for (char *line; (line = strsep(&rest, "\n")) && (rest || *line);) {
        if (sscanf(line, "# HELP %63s", helped) == 1) {
            char seen[68];

            snprintf(seen, sizeof seen, " %s ", helped);
            if (strstr(all, seen))
                fail_msg("%s is told twice", helped);
            strcat(all, seen + 1);
        } else if (sscanf(line, "# TYPE %63s %15s", typed, kind) == 2) {
            assert_string_equal(typed, helped);
            assert_true(strstr("counter gauge histogram summary", kind) != NULL);
            if (!strcmp(kind, "counter") && strcmp(typed + strlen(typed) - 6, "_total") != 0)
                fail_msg("a counter's name ends with _total: %s", typed);
        } else if (!is_sample(line) || !is_of(line, typed)) {
            fail_msg("after the type of %s, this is no sample of it: \"%s\"", typed, line);
        }
    }
}

static void the_format_is_prometheus(void **state)
{
    struct metrics *metrics = new_metrics();
    char *text;

    (void)state;
    metrics_closed(metrics, "quote \" and \\ and\nline", 1);
    metrics_closed(metrics, "", 1);
    metrics_handshake(metrics, GATE_OPENED, 3);
    tell(metrics, &text);
    check_format(text);
    free(text);
    metrics_free(metrics);
}

/* ----------------------------------------------------------------------------------- threads -- */

enum { THREADS = 4, ROUNDS = 20000 };

static void *count_on(void *context)
{
    static const char *const causes[] = {"done", "cut", "refused", "timed out", "stopped"};
    struct metrics *metrics = context;

    for (int i = 0; i < ROUNDS; i++) {
        metrics_add(metrics, METRIC_BYTES_SENT, 3);
        metrics_handshake(metrics, GATE_OPENED, 4);
        metrics_closed(metrics, causes[i % 5], 1);
    }
    return NULL;
}

static void nothing_is_lost_between_threads(void **state)
{
    struct metrics *metrics = new_metrics();
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_on, metrics), 0);
    for (int i = 0; i < 20; i++) {
        char *text;

        tell(metrics, &text);
        check_format(text);
        free(text);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    expect_told(metrics, "helio_bytes_total{direction=\"sent\"} 240000");
    expect_told(metrics, "helio_handshake_seconds_count 80000");
    expect_told(metrics, "helio_handshake_seconds_sum 320.000");
    expect_told(metrics, "helio_lines_closed_total{cause=\"done\"} 16000");
    expect_told(metrics, "helio_lines_closed_total{cause=\"stopped\"} 16000");
    expect_told(metrics, "helio_line_seconds_count 80000");
    metrics_free(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_number_has_its_line),
        cmocka_unit_test(drops_and_handshakes_have_their_reasons),
        cmocka_unit_test(the_histogram_is_cumulative),
        cmocka_unit_test(causes_are_counted_by_their_text),
        cmocka_unit_test(too_many_causes_are_others),
        cmocka_unit_test(the_format_is_prometheus),
        cmocka_unit_test(nothing_is_lost_between_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
