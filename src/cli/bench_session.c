/*
 * bench_session.c: how fast sessions are: records, handshakes, and both ends of a line at once.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/bench.h"
#include "cli/say.h"

/* ------------------------------------------------------------------------------------ lines -- */

/* A frame takes a little more than its content. */
enum { SUITES_MAX = 8, WIRE_MAX = BENCH_LENGTH_MAX + 4096 };

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

/* The figure of a suite's records. */
static void print_suite(const struct options *options, const char *what, size_t suite,
                        double rates[BENCH_TURNS])
{
    bench_print(options, what, helio_suite_name(helio_suite_at(suite)),
                (struct bench_figure){.bytes = BENCH_LENGTH_MAX, .rate = bench_median(rates)});
}

static int status_after(enum helio_err err)
{
    if (err == HELIO_OK)
        return STATUS_DONE;
    say_error("bench", "the measurement failed: %s", helio_strerror(err));
    return (int)exit_status_of(err);
}

typedef enum helio_err turns_fn(const struct options *options, struct line *lines, size_t count);

/* Hands turns an open line for each suite. */
static int with_lines(const struct options *options, turns_fn *turns)
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
        err = turns(options, lines, count);
    for (size_t i = 0; i < count; i++)
        line_free(&lines[i]);
    free(lines);
    helio_identity_free(id);
    return status_after(err);
}

/* ------------------------------------------------------------------------------------- seal -- */

/* The rates of sealing (send and peek) and of opening (feed and next) full records. */
static enum helio_err seal_turn(struct line *line, double *seal, double *open)
{
    static const uint8_t text[BENCH_LENGTH_MAX];
    double sealing = 0, opening = 0, bytes = 0;
    enum helio_err err = HELIO_OK;

    while (err == HELIO_OK && sealing + opening < 2 * BENCH_TURN_SECONDS) {
        helio_event event = {.kind = HELIO_EVENT_NONE};
        const uint8_t *wire;
        size_t used = 0;
        double start = bench_now();

        err = helio_session_send(line->ends[0], text, sizeof text, HELIO_DATA);
        size_t n = helio_session_peek(line->ends[0], &wire);
        double sealed = bench_now();
        if (err == HELIO_OK)
            err = helio_session_feed(line->ends[1], wire, n, &used);
        if (err == HELIO_OK)
            err = helio_session_next(line->ends[1], &event);
        helio_session_pull(line->ends[0], NULL, n);
        if (err == HELIO_OK && (used != n || event.size != sizeof text))
            err = HELIO_E_STATE;
        sealing += sealed - start;
        opening += bench_now() - sealed;
        bytes += sizeof text;
    }
    *seal = bytes / sealing;
    *open = bytes / opening;
    return err;
}

static enum helio_err seal_turns(const struct options *options, struct line *lines, size_t count)
{
    double seal[SUITES_MAX][BENCH_TURNS], open[SUITES_MAX][BENCH_TURNS];
    enum helio_err err = HELIO_OK;

    for (int turn = 0; turn < BENCH_TURNS; turn++)
        for (size_t i = 0; i < count && err == HELIO_OK; i++)
            err = seal_turn(&lines[i], &seal[i][turn], &open[i][turn]);
    for (size_t i = 0; i < count && err == HELIO_OK; i++) {
        print_suite(options, "seal", i, seal[i]);
        print_suite(options, "open", i, open[i]);
    }
    return err;
}

int bench_seal(const struct options *options)
{
    return with_lines(options, seal_turns);
}

/* ------------------------------------------------------------------------------------- pipe -- */

/* Moves what ends[0] has through the sockets to ends[1]; what comes out is counted in *bytes. */
static enum helio_err pass_through(struct line *line, const int fds[2], size_t *bytes)
{
    const uint8_t *wire;
    size_t n, used = 0;
    ssize_t moved;
    enum helio_err err = HELIO_OK;

    if ((n = helio_session_peek(line->ends[0], &wire)) > 0) {
        moved = write(fds[0], wire, n);
        if (moved < 0 && errno != EAGAIN)
            return HELIO_E_SYSTEM;
        helio_session_pull(line->ends[0], NULL, moved > 0 ? (size_t)moved : 0);
    }
    moved = read(fds[1], line->wire, sizeof line->wire);
    if (moved <= 0)
        return moved < 0 && errno == EAGAIN ? HELIO_OK : HELIO_E_SYSTEM;
    for (size_t at = 0; err == HELIO_OK && at < (size_t)moved; at += used) {
        helio_event event = {.kind = HELIO_EVENT_NONE};

        err = helio_session_feed(line->ends[1], line->wire + at, (size_t)moved - at, &used);
        if (err == HELIO_OK)
            err = helio_session_next(line->ends[1], &event);
        *bytes += event.size;
    }
    return err;
}

static enum helio_err pipe_turn(struct line *line, const int fds[2], double *rate)
{
    static const uint8_t text[BENCH_LENGTH_MAX];
    double start = bench_now(), passed = 0, bytes = 0;
    enum helio_err err = HELIO_OK;

    while (err == HELIO_OK && passed < 2 * BENCH_TURN_SECONDS) {
        size_t through = 0;

        err = helio_session_send(line->ends[0], text, sizeof text, HELIO_DATA);
        while (err == HELIO_OK && through < sizeof text)
            err = pass_through(line, fds, &through);
        bytes += sizeof text;
        passed = bench_now() - start;
    }
    *rate = bytes / passed;
    return err;
}

static enum helio_err pipe_turns(const struct options *options, struct line *lines, size_t count)
{
    double rates[SUITES_MAX][BENCH_TURNS];
    enum helio_err err = HELIO_OK;
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds))
        return HELIO_E_SYSTEM;
    for (int turn = 0; turn < BENCH_TURNS; turn++)
        for (size_t i = 0; i < count && err == HELIO_OK; i++)
            err = pipe_turn(&lines[i], fds, &rates[i][turn]);
    for (size_t i = 0; i < count && err == HELIO_OK; i++)
        print_suite(options, "pipe", i, rates[i]);
    close(fds[0]);
    close(fds[1]);
    return err;
}

int bench_pipe(const struct options *options)
{
    return with_lines(options, pipe_turns);
}

/* -------------------------------------------------------------------------------- handshake -- */

/* Seconds that each role took for one handshake. */
static enum helio_err handshake_once(const helio_identity *id, double spent[2])
{
    struct line *line = calloc(1, sizeof *line);
    helio_config config = {.identity = id};
    enum helio_err err = line ? HELIO_OK : HELIO_E_MEMORY;

    for (int role = 0; role < 2 && err == HELIO_OK; role++) {
        double start = bench_now();

        err = helio_session_new(&line->ends[role], &config,
                                role == 0 ? HELIO_INITIATOR : HELIO_RESPONDER);
        spent[role] += bench_now() - start;
    }
    /* HELLO, REPLY, AUTH, ACCEPT: the work is done by who takes it in. */
    for (int from = 0, step = 0; err == HELIO_OK && step < 4; step++, from = !from) {
        double start = bench_now();

        err = carry(line, from);
        spent[!from] += bench_now() - start;
    }
    if (line)
        line_free(line);
    free(line);
    return err;
}

static enum helio_err handshake_turn(const helio_identity *id, double *initiator, double *responder,
                                     double *both)
{
    enum { TIMES = 16 };
    double spent[2] = {0, 0};
    enum helio_err err = HELIO_OK;

    for (int i = 0; i < TIMES && err == HELIO_OK; i++)
        err = handshake_once(id, spent);
    *initiator = TIMES / spent[0];
    *responder = TIMES / spent[1];
    *both = TIMES / (spent[0] + spent[1]);
    return err;
}

int bench_handshake(const struct options *options)
{
    static const char *const names[] = {"initiator", "responder", "both"};
    double rates[3][BENCH_TURNS];
    helio_identity *id = NULL;
    enum helio_err err = helio_identity_generate(&id, HELIO_RSA_BITS_DEFAULT);

    for (int turn = 0; turn < BENCH_TURNS && err == HELIO_OK; turn++)
        err = handshake_turn(id, &rates[0][turn], &rates[1][turn], &rates[2][turn]);
    for (int i = 0; i < 3 && err == HELIO_OK; i++)
        bench_print(
            options, "handshake", names[i],
            (struct bench_figure){.bits = helio_identity_bits(id), .rate = bench_median(rates[i])});
    helio_identity_free(id);
    return status_after(err);
}
