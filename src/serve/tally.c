/*
 * tally.c: the gate behind its lock, and counts of those who were not served.
 *
 * A flood must not fill the disk: what is said of single callers is bounded for each second, and the
 * rest comes in one line.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "serve/serve.h"

enum { SAY_MAX = 10, SECOND = 1000, LIST_SIZE = 256, MESSAGE_SIZE = 2 * LIST_SIZE + 128 };

struct tally {
    struct metrics *metrics;
    struct gate *gate;
    pthread_mutex_t lock; /* guards the gate and all below */
    uint64_t dropped[GATE_VERDICTS];
    uint64_t failed[GATE_OUTCOMES];
    uint64_t unsaid;  /* messages that came on top of SAY_MAX */
    uint64_t said_at; /* when the second began … */
    unsigned said;    /* … in which so many messages were written */
    uint64_t reported_at;
};

enum helio_err tally_new(struct tally **out, struct serve *serve)
{
    const struct gate_limits limits = {.handshakes = serve->options->max_handshakes,
                                       .penalties = !serve->options->no_penalties};
    struct tally *tally = calloc(1, sizeof *tally);
    enum helio_err err;

    *out = NULL;
    if (!tally)
        return HELIO_E_MEMORY;
    err = gate_new(&tally->gate, &limits, NULL, NULL);
    if (err) {
        free(tally);
        return err;
    }
    tally->metrics = serve->metrics;
    pthread_mutex_init(&tally->lock, NULL); /* the default kind; it cannot fail on Linux */
    *out = tally;
    return HELIO_OK;
}

void tally_free(struct tally *tally)
{
    if (!tally)
        return;
    gate_free(tally->gate);
    pthread_mutex_destroy(&tally->lock);
    free(tally);
}

bool tally_admit(struct tally *tally, const struct io_caller *caller, uint64_t now)
{
    enum gate_verdict verdict;

    pthread_mutex_lock(&tally->lock);
    verdict = gate_ask(tally->gate, &caller->source, now);
    if (verdict != GATE_IN)
        tally->dropped[verdict]++;
    pthread_mutex_unlock(&tally->lock);
    if (verdict == GATE_IN) {
        metrics_add(tally->metrics, METRIC_ACCEPTED, 1);
        metrics_add(tally->metrics, METRIC_HANDSHAKING, 1);
        return true;
    }
    metrics_dropped(tally->metrics, verdict);
    say_detail("dropped", "dropped a connection from %s: %s", caller->name,
               gate_verdict_name(verdict));
    return false;
}

void tally_settle(struct tally *tally, const struct io_source *source, enum gate_outcome outcome,
                  uint64_t handshake, uint64_t now)
{
    pthread_mutex_lock(&tally->lock);
    gate_settle(tally->gate, source, outcome, now);
    tally->failed[outcome]++;
    pthread_mutex_unlock(&tally->lock);
    metrics_add(tally->metrics, METRIC_HANDSHAKING, -1);
    metrics_handshake(tally->metrics, outcome, handshake);
}

bool tally_may_say(struct tally *tally, uint64_t now)
{
    bool may;

    pthread_mutex_lock(&tally->lock);
    /* Threads come with clocks of their loops, some of which are a little behind. */
    if (now >= tally->said_at + SECOND) {
        tally->said_at = now;
        tally->said = 0;
    }
    may = tally->said < SAY_MAX;
    if (may)
        tally->said++;
    else
        tally->unsaid++;
    pthread_mutex_unlock(&tally->lock);
    return may;
}

/* ------------------------------------------------------------------------------- the summary -- */

/* "3 early, 1 penalty", or "". */
static void list_counts(char out[LIST_SIZE], const uint64_t *counts, size_t n,
                        const char *(*name)(size_t))
{
    size_t used = 0;

    *out = '\0';
    /* Each of the few names is short: all of them with the largest numbers fit. */
    for (size_t i = 0; i < n && used < LIST_SIZE; i++)
        if (counts[i] > 0)
            used += (size_t)snprintf(out + used, LIST_SIZE - used, "%s%" PRIu64 " %s",
                                     used ? ", " : "", counts[i], name(i));
}

/* "; what: 4 (3 early, 1 penalty)", the semicolon only behind another; nothing when n is 0. */
static void add_part(char out[MESSAGE_SIZE], const char *what, uint64_t n, const char *list)
{
    size_t used = strlen(out);

    if (n > 0)
        snprintf(out + used, MESSAGE_SIZE - used, "%s%s: %" PRIu64 "%s%s%s", used ? "; " : "", what,
                 n, *list ? " (" : "", list, *list ? ")" : "");
}

static const char *verdict_name(size_t i)
{
    return gate_verdict_name((enum gate_verdict)i);
}

static const char *outcome_name(size_t i)
{
    return gate_outcome_name((enum gate_outcome)i);
}

static uint64_t sum(const uint64_t *counts, size_t n)
{
    uint64_t total = 0;

    for (size_t i = 0; i < n; i++)
        total += counts[i];
    return total;
}

static void say_summary(const uint64_t dropped[GATE_VERDICTS], const uint64_t failed[GATE_OUTCOMES],
                        uint64_t unsaid)
{
    uint64_t drops = sum(dropped, GATE_VERDICTS), failures = sum(failed, GATE_OUTCOMES);
    char why[LIST_SIZE], how[LIST_SIZE], message[MESSAGE_SIZE] = "";

    if (drops + failures + unsaid == 0)
        return;
    list_counts(why, dropped, GATE_VERDICTS, verdict_name);
    list_counts(how, failed, GATE_OUTCOMES, outcome_name);
    add_part(message, "connections dropped", drops, why);
    add_part(message, "handshakes that came to nothing", failures, how);
    add_part(message, "messages left out", unsaid, "");
    say_fields(SAY_NOTE, "turned-away",
               (const struct say_field[]){{.key = "dropped", .number = drops},
                                          {.key = "dropped_why", .text = why},
                                          {.key = "failed", .number = failures},
                                          {.key = "failed_how", .text = how},
                                          {.key = "unsaid", .number = unsaid},
                                          {.key = NULL}},
               "%s", message);
}

void tally_say(struct tally *tally, uint64_t now)
{
    uint64_t dropped[GATE_VERDICTS], failed[GATE_OUTCOMES], unsaid;
    size_t penalized;

    if (now - tally->reported_at < SECOND)
        return;
    tally->reported_at = now;
    pthread_mutex_lock(&tally->lock);
    for (size_t i = 0; i < GATE_VERDICTS; i++) {
        dropped[i] = tally->dropped[i];
        tally->dropped[i] = 0;
    }
    for (size_t i = 0; i < GATE_OUTCOMES; i++) {
        failed[i] = tally->failed[i];
        tally->failed[i] = 0;
    }
    unsaid = tally->unsaid;
    tally->unsaid = 0;
    penalized = gate_penalized(tally->gate, now);
    pthread_mutex_unlock(&tally->lock);
    /* What was opened or refused has messages of its own. */
    failed[GATE_OPENED] = failed[GATE_REFUSED] = failed[GATE_OURS] = 0;
    metrics_penalized(tally->metrics, penalized);
    say_summary(dropped, failed, unsaid);
}
