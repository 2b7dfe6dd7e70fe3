/*
 * metrics.c: counters that any thread adds to, and the text made of them.
 *
 * Every number stands alone: what is read together need not be from the same instant, so all of it
 * is relaxed.  Where one number must agree with others (a histogram's count with its buckets) it is
 * made from them when the text is written.
 */
#include "serve/metrics.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Upper bounds of the histogram's buckets, in milliseconds; one more has none. */
static const struct bound {
    unsigned milliseconds;
    const char *label; /* in seconds */
} bounds[] = {
    {1, "0.001"}, {2, "0.002"}, {5, "0.005"},  {10, "0.01"}, {20, "0.02"},
    {50, "0.05"}, {100, "0.1"}, {200, "0.2"},  {500, "0.5"}, {1000, "1"},
    {2000, "2"},  {5000, "5"},  {10000, "10"},
};
enum { BOUNDS = sizeof bounds / sizeof *bounds };

/*
 * Causes for which a line has ended.  They are fixed texts of the program's, far fewer than there
 * is room for; one too many would be counted as "other".
 */
enum { CAUSES = 64 };

struct cause {
    _Atomic(const char *) name; /* NULL: free, and so are all behind it */
    atomic_uint_fast64_t lines;
};

struct metrics {
    atomic_int_fast64_t values[METRIC_COUNT];
    atomic_uint_fast64_t dropped[GATE_VERDICTS];
    atomic_uint_fast64_t handshakes[GATE_OUTCOMES];
    atomic_uint_fast64_t buckets[BOUNDS + 1];
    atomic_uint_fast64_t handshake_milliseconds;
    struct cause causes[CAUSES + 1]; /* the last is "other" */
    atomic_uint_fast64_t line_milliseconds;
    atomic_uint_fast64_t penalized;
    time_t started;
};

/* Prometheus' help and type; the rows of one name stand together, and the first has the help. */
static const struct row {
    const char *name;
    const char *label; /* what stands in braces, or "" */
    const char *type;
    const char *help;
    enum metric metric;
} rows[] = {
    {"helio_sessions", "{state=\"handshake\"}", "gauge", "Sessions now, by state.",
     METRIC_HANDSHAKING},
    {"helio_sessions", "{state=\"open\"}", NULL, NULL, METRIC_OPEN},
    {"helio_connections_accepted_total", "", "counter",
     "Connections that were let in to begin a handshake.", METRIC_ACCEPTED},
    {"helio_bytes_total", "{direction=\"received\"}", "counter",
     "Content of lines, in bytes, without what the protocol adds.", METRIC_BYTES_RECEIVED},
    {"helio_bytes_total", "{direction=\"sent\"}", NULL, NULL, METRIC_BYTES_SENT},
    {"helio_epochs_total", "{direction=\"received\"}", "counter",
     "Keys that were replaced because enough had been sent under them.", METRIC_EPOCHS_RECEIVED},
    {"helio_epochs_total", "{direction=\"sent\"}", NULL, NULL, METRIC_EPOCHS_SENT},
    {"helio_roll_reloads_total", "", "counter", "Times that the list of stations was read again.",
     METRIC_RELOADS},
};

enum helio_err metrics_new(struct metrics **out)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);

    *out = metrics;
    if (!metrics)
        return HELIO_E_MEMORY;
    atomic_init(&metrics->causes[CAUSES].name, "other");
    metrics->started = time(NULL);
    return HELIO_OK;
}

void metrics_free(struct metrics *metrics)
{
    free(metrics);
}

/* ----------------------------------------------------------------------------------- counting -- */

static void add(atomic_uint_fast64_t *to, uint64_t n)
{
    atomic_fetch_add_explicit(to, n, memory_order_relaxed);
}

void metrics_add(struct metrics *metrics, enum metric metric, int64_t n)
{
    atomic_fetch_add_explicit(&metrics->values[metric], n, memory_order_relaxed);
}

void metrics_dropped(struct metrics *metrics, enum gate_verdict why)
{
    add(&metrics->dropped[why], 1);
}

void metrics_handshake(struct metrics *metrics, enum gate_outcome outcome, uint64_t milliseconds)
{
    size_t bucket = 0;

    add(&metrics->handshakes[outcome], 1);
    if (outcome != GATE_OPENED)
        return;
    while (bucket < BOUNDS && milliseconds > bounds[bucket].milliseconds)
        bucket++;
    add(&metrics->buckets[bucket], 1);
    add(&metrics->handshake_milliseconds, milliseconds);
}

/* The place of that name, taken now when nobody has it; two threads may come with it at once. */
static struct cause *cause_of(struct metrics *metrics, const char *name)
{
    for (size_t i = 0; i < CAUSES; i++) {
        const char *there = NULL;

        if (atomic_compare_exchange_strong_explicit(&metrics->causes[i].name, &there, name,
                                                    memory_order_acq_rel, memory_order_acquire) ||
            strcmp(there, name) == 0)
            return &metrics->causes[i];
    }
    return &metrics->causes[CAUSES];
}

void metrics_closed(struct metrics *metrics, const char *cause, uint64_t milliseconds)
{
    add(&cause_of(metrics, cause)->lines, 1);
    add(&metrics->line_milliseconds, milliseconds);
}

void metrics_penalized(struct metrics *metrics, size_t sources)
{
    atomic_store_explicit(&metrics->penalized, sources, memory_order_relaxed);
}

/* ------------------------------------------------------------------------------------ telling -- */

static uint64_t get(const atomic_uint_fast64_t *from)
{
    return atomic_load_explicit(from, memory_order_relaxed);
}

static void write_head(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value, between its quotes. */
static void write_escaped(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\\' || *text == '"')
            putc('\\', out);
        if (*text == '\n')
            fputs("\\n", out);
        else
            putc(*text, out);
    }
}

static void write_labelled(FILE *out, const char *name, const char *label, const char *value,
                           uint64_t n)
{
    fprintf(out, "%s{%s=\"", name, label);
    write_escaped(out, value);
    fprintf(out, "\"} %" PRIu64 "\n", n);
}

/* Milliseconds as seconds, exactly. */
static void write_seconds(FILE *out, const char *name, uint64_t milliseconds)
{
    fprintf(out, "%s %" PRIu64 ".%03u\n", name, milliseconds / 1000,
            (unsigned)(milliseconds % 1000));
}

static void write_values(const struct metrics *metrics, FILE *out)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].help)
            write_head(out, rows[i].name, rows[i].type, rows[i].help);
        fprintf(
            out, "%s%s %" PRId64 "\n", rows[i].name, rows[i].label,
            (int64_t)atomic_load_explicit(&metrics->values[rows[i].metric], memory_order_relaxed));
    }
}

static void write_gate(const struct metrics *metrics, FILE *out)
{
    write_head(out, "helio_connections_dropped_total", "counter",
               "Connections that were dropped before a handshake, by reason.");
    for (int i = 0; i < GATE_VERDICTS; i++)
        if (i != GATE_IN)
            write_labelled(out, "helio_connections_dropped_total", "reason",
                           gate_verdict_name((enum gate_verdict)i), get(&metrics->dropped[i]));
    write_head(out, "helio_penalized_sources", "gauge",
               "Sources that are dropped at once for what they did before.");
    fprintf(out, "helio_penalized_sources %" PRIu64 "\n", get(&metrics->penalized));
    write_head(out, "helio_handshakes_total", "counter",
               "Handshakes that have ended, by how they did.");
    for (int i = 0; i < GATE_OUTCOMES; i++)
        write_labelled(out, "helio_handshakes_total", "result",
                       gate_outcome_name((enum gate_outcome)i), get(&metrics->handshakes[i]));
}

static void write_histogram(const struct metrics *metrics, FILE *out)
{
    uint64_t below = 0;

    write_head(out, "helio_handshake_seconds", "histogram",
               "From the accepted connection to the open line.");
    for (size_t i = 0; i < BOUNDS; i++) {
        below += get(&metrics->buckets[i]);
        write_labelled(out, "helio_handshake_seconds_bucket", "le", bounds[i].label, below);
    }
    below += get(&metrics->buckets[BOUNDS]);
    write_labelled(out, "helio_handshake_seconds_bucket", "le", "+Inf", below);
    write_seconds(out, "helio_handshake_seconds_sum", get(&metrics->handshake_milliseconds));
    fprintf(out, "helio_handshake_seconds_count %" PRIu64 "\n", below);
}

static void write_lines(const struct metrics *metrics, FILE *out)
{
    uint64_t all = 0;

    write_head(out, "helio_lines_closed_total", "counter",
               "Lines that were open and have ended, by cause.");
    for (size_t i = 0; i <= CAUSES; i++) {
        const char *name = atomic_load_explicit(&metrics->causes[i].name, memory_order_acquire);
        uint64_t lines = get(&metrics->causes[i].lines);

        all += lines;
        if (name && lines > 0)
            write_labelled(out, "helio_lines_closed_total", "cause", name, lines);
    }
    write_head(out, "helio_line_seconds", "summary", "How long lines that have ended were open.");
    write_seconds(out, "helio_line_seconds_sum", get(&metrics->line_milliseconds));
    fprintf(out, "helio_line_seconds_count %" PRIu64 "\n", all);
}

/* Descriptors that are open, without the one that looks; -1 without /proc. */
static long count_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    long n = -1;

    if (!dir)
        return -1;
    for (const struct dirent *entry; (entry = readdir(dir));)
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

/* In bytes; -1 without /proc. */
static long long resident_memory(void)
{
    FILE *f = fopen("/proc/self/statm", "re");
    long long size, resident = -1;

    if (!f)
        return -1;
    if (fscanf(f, "%lld %lld", &size, &resident) != 2)
        resident = -1;
    fclose(f);
    return resident < 0 ? -1 : resident * sysconf(_SC_PAGESIZE);
}

/* Under the names that Prometheus' own libraries use; what cannot be had is left out. */
static void write_process(const struct metrics *metrics, FILE *out)
{
    struct rlimit limit;
    struct rusage usage;
    long descriptors = count_descriptors();
    long long resident = resident_memory();

    write_head(out, "process_start_time_seconds", "gauge",
               "When the server started, in seconds since 1970.");
    fprintf(out, "process_start_time_seconds %lld\n", (long long)metrics->started);
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        const struct timeval *u = &usage.ru_utime, *s = &usage.ru_stime;

        write_head(out, "process_cpu_seconds_total", "counter", "Processor time, user and system.");
        write_seconds(out, "process_cpu_seconds_total",
                      (uint64_t)(u->tv_sec + s->tv_sec) * 1000 +
                          (uint64_t)(u->tv_usec + s->tv_usec) / 1000);
    }
    if (resident >= 0) {
        write_head(out, "process_resident_memory_bytes", "gauge", "Memory that is resident.");
        fprintf(out, "process_resident_memory_bytes %lld\n", resident);
    }
    if (descriptors >= 0) {
        write_head(out, "process_open_fds", "gauge", "File descriptors that are open.");
        fprintf(out, "process_open_fds %ld\n", descriptors);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        write_head(out, "process_max_fds", "gauge", "File descriptors that may be open.");
        fprintf(out, "process_max_fds %llu\n", (unsigned long long)limit.rlim_cur);
    }
}

void metrics_write(struct metrics *metrics, FILE *out)
{
    write_head(out, "helio_build_info", "gauge", "Always 1: version, and kernel of the cipher.");
    fprintf(out, "helio_build_info{version=\"%s\",kernel=\"%s\"} 1\n", helio_version(),
            helio_idea_kernel());
    write_values(metrics, out);
    write_gate(metrics, out);
    write_histogram(metrics, out);
    write_lines(metrics, out);
    write_process(metrics, out);
}
