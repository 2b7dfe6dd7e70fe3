/*
 * Two relays on one line: what goes in at one far end must come out at the other, with each
 * direction's end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "session/pair.h"
#include "unit/lines.h"

enum { PATIENCE_S = 10, STALLED_TURNS = 400, CHUNK_MAX = 100000 };

enum kind { PIPES, UNIX_SOCKET, TCP_SOCKET };
static const char *const kind_names[] = {"pipes", "Unix socket", "TCP socket"};

/* ------------------------------------------------------------------------------------ far end -- */

/* The far end of a relay's descriptors: says so many bytes, then that this was all; and listens. */
struct far {
    enum kind kind;
    int to, from;  /* one socket, or two pipes; -1 when closed */
    uint64_t seed; /* of the bytes that we say; the other far end expects them */
    uint64_t will_say, said;
    bool says_end; /* after will_say */
    uint64_t expected_seed, heard;
    bool deaf;  /* does not read */
    bool ended; /* nothing comes any more … */
    int error;  /* … for this reason */
    struct stream sizes;
};

static uint8_t byte_at(uint64_t seed, uint64_t at)
{
    struct stream one = {.state = (seed << 40) + at};

    return (uint8_t)stream_next(&one);
}

static void set_flag(int fd, int flag)
{
    assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | flag), 0);
}

/* *in and *out become the relay's. */
static void far_new(struct far *far, enum kind kind, int *in, int *out)
{
    int a[2], b[2];

    if (kind == PIPES) {
        assert_int_equal(pipe2(a, O_CLOEXEC), 0);
        assert_int_equal(pipe2(b, O_CLOEXEC), 0);
        *in = a[0];
        far->to = a[1];
        far->from = b[0];
        *out = b[1];
        set_flag(far->to, O_NONBLOCK);
    } else {
        if (kind == TCP_SOCKET) {
            static const int on = 1;

            tcp_pair(a, 0);
            /* A reset takes what still waits to be sent, and a short piece would wait by itself. */
            assert_int_equal(setsockopt(a[0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
        } else {
            assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a), 0);
        }
        *in = a[0];
        *out = fcntl(a[0], F_DUPFD_CLOEXEC, 0);
        far->to = far->from = a[1];
    }
    far->kind = kind;
    set_flag(far->from, O_NONBLOCK);
}

static void far_stop_reading(struct far *far)
{
    close(far->from);
    far->from = -1;
}

static void far_close(struct far *far)
{
    if (far->to >= 0)
        close(far->to);
    if (far->from >= 0 && far->from != far->to)
        close(far->from);
    far->to = far->from = -1;
}

/* So that the other side sees it: closed in order, with unread bytes or not, would do for a pipe. */
static void far_reset(struct far *far)
{
    static const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    setsockopt(far->to, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    far_close(far);
    far->ended = true;
}

static void far_end_saying(struct far *far)
{
    far->says_end = false;
    if (far->kind == PIPES) {
        close(far->to);
        far->to = -1;
    } else {
        shutdown(far->to, SHUT_WR); /* fails when it was reset, and reading tells of that */
    }
}

static void far_say(struct far *far)
{
    static uint8_t chunk[CHUNK_MAX];
    uint64_t left = far->will_say - far->said;
    size_t n = 1 + stream_below(&far->sizes, CHUNK_MAX);
    ssize_t k;

    if (left == 0 && far->says_end)
        far_end_saying(far);
    if (left == 0)
        return;
    n = n < left ? n : (size_t)left;
    for (size_t i = 0; i < n; i++)
        chunk[i] = byte_at(far->seed, far->said + i);
    k = write(far->to, chunk, n);
    if (k > 0)
        far->said += (uint64_t)k;
    if (k >= 0 || errno == EAGAIN)
        return;
    far->will_say = far->said; /* nobody listens */
    far->error = errno;        /* whoever asks first hears of a reset, and nobody else */
}

static void far_hear(struct far *far)
{
    static uint8_t chunk[CHUNK_MAX];
    ssize_t k = read(far->from, chunk, 1 + stream_below(&far->sizes, CHUNK_MAX));

    if (k < 0 && errno == EAGAIN)
        return;
    if (k <= 0) {
        far->ended = true;
        if (k < 0 && !far->error)
            far->error = errno;
        return;
    }
    for (size_t i = 0; i < (size_t)k; i++)
        if (chunk[i] != byte_at(far->expected_seed, far->heard + i))
            fail_msg("byte %llu is not what was said", (unsigned long long)(far->heard + i));
    far->heard += (uint64_t)k;
}

static void far_turn(struct far *far)
{
    if (far->to >= 0)
        far_say(far);
    if (far->from >= 0 && !far->deaf && !far->ended)
        far_hear(far);
}

/* --------------------------------------------------------------------------------------- rig -- */

/* What owns a relay. */
struct side {
    struct lines_end *end;
    struct io_relay *relay;
    struct far far;
    bool forgives;
    bool closes_later; /* the owner says when our direction may close */
    bool peer_closed;
    unsigned input_ends;
    unsigned failures;
    bool failed_writing; /* the last of them */
    int error;
    uint64_t given; /* bytes of the peer's */
};

struct rig {
    struct lines lines;
    struct side side[2];
};

static bool on_input_ended(void *context)
{
    struct side *side = context;

    side->input_ends++;
    return !side->closes_later;
}

static bool on_failed(void *context, bool writing, int error)
{
    struct side *side = context;

    side->failures++;
    side->failed_writing = writing;
    side->error = error;
    return side->forgives;
}

static const struct io_relay_handlers relay_handlers = {
    .input_ended = on_input_ended,
    .failed = on_failed,
};

static void on_event(void *context, const helio_event *event)
{
    struct side *side = context;

    side->given += event->size;
    side->peer_closed = side->peer_closed || event->kind == HELIO_EVENT_CLOSED;
    if (side->relay)
        io_relay_event(side->relay, event);
}

static void on_writable(void *context)
{
    struct side *side = context;

    if (side->relay)
        io_relay_writable(side->relay);
}

static void on_gone(void *context)
{
    struct side *side = context;

    io_relay_free(side->relay);
    side->relay = NULL;
}

static void begin_side(struct rig *rig, int which, enum kind kind)
{
    struct side *side = &rig->side[which];
    int in, out;

    side->end = &rig->lines.end[which];
    side->end->event = on_event;
    side->end->writable = on_writable;
    side->end->gone = on_gone;
    side->end->context = side;
    side->far.sizes.state = (uint64_t)which;
    side->far.seed = 1 + (uint64_t)which;
    side->far.expected_seed = 2 - (uint64_t)which;
    far_new(&side->far, kind, &in, &out);
    assert_int_equal(io_relay_new(&side->relay, rig->lines.loop, side->end->line, in, out,
                                  &relay_handlers, side),
                     HELIO_OK);
}

static void rig_new(struct rig *rig, struct io_loop *loop, enum kind first, enum kind second)
{
    memset(rig, 0, sizeof *rig);
    /* Small, so that what the kernel takes does not hide what we do. */
    lines_open(&rig->lines, loop, 65536);
    begin_side(rig, 0, first);
    begin_side(rig, 1, second);
}

static void rig_turn(struct rig *rig)
{
    far_turn(&rig->side[0].far);
    far_turn(&rig->side[1].far);
    lines_turn(&rig->lines);
}

static void rig_free(struct rig *rig)
{
    lines_close(&rig->lines);
    for (int i = 0; i < 2; i++) {
        assert_null(rig->side[i].relay);
        far_close(&rig->side[i].far);
    }
}

typedef bool rig_fn(const struct rig *rig);

static time_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

static void run_until(struct rig *rig, const char *what, rig_fn *done)
{
    time_t end = now() + PATIENCE_S;

    while (!done(rig)) {
        rig_turn(rig);
        if (now() <= end)
            continue;
        for (int i = 0; i < 2; i++) {
            const struct side *s = &rig->side[i];

            print_error("side %d: said %llu of %llu, heard %llu, heard end %d, line ended %d\n", i,
                        (unsigned long long)s->far.said, (unsigned long long)s->far.will_say,
                        (unsigned long long)s->far.heard, s->far.ended, s->end->ended);
        }
        fail_msg("%s: not in %d seconds", what, PATIENCE_S);
    }
}

static bool both_over(const struct rig *rig)
{
    bool over = true;

    for (int i = 0; i < 2; i++)
        over = over && rig->side[i].end->ended &&
               (rig->side[i].far.ended || rig->side[i].far.from < 0);
    return over;
}

static void say(struct rig *rig, int which, uint64_t n, bool end)
{
    rig->side[which].far.will_say += n;
    rig->side[which].far.says_end = end;
}

static void assert_in_order(const struct rig *rig)
{
    for (int i = 0; i < 2; i++) {
        const struct side *side = &rig->side[i];

        if (side->end->result)
            fail_msg("side %d: %s", i, helio_strerror(side->end->result));
        assert_int_equal(side->far.error, 0);
        assert_int_equal(side->failures, 0);
        assert_int_equal(side->far.heard, rig->side[1 - i].far.said);
        assert_int_equal(side->far.said, side->far.will_say);
        assert_int_equal(side->input_ends, 1);
    }
}

/* -------------------------------------------------------------------------------- in good order -- */

static const struct {
    enum kind kind[2];
    uint64_t n[2];
} bytes_cases[] = {
    {{PIPES, PIPES}, {0, 0}},
    {{PIPES, PIPES}, {1, 0}},
    {{PIPES, PIPES}, {65537, 65535}},
    {{PIPES, PIPES}, {3 * 1024 * 1024 + 7, 2 * 1024 * 1024 + 1}},
    {{TCP_SOCKET, PIPES}, {0, 65536}},
    {{TCP_SOCKET, PIPES}, {2 * 1024 * 1024 + 11, 1024 * 1024 + 3}},
    {{UNIX_SOCKET, TCP_SOCKET}, {2 * 1024 * 1024 + 13, 3 * 1024 * 1024 + 5}},
};

static void every_byte_arrives(void **state)
{
    for (size_t i = 0; i < sizeof bytes_cases / sizeof *bytes_cases; i++) {
        struct rig rig;

        rig_new(&rig, *state, bytes_cases[i].kind[0], bytes_cases[i].kind[1]);
        for (int which = 0; which < 2; which++)
            say(&rig, which, bytes_cases[i].n[which], true);
        run_until(&rig, kind_names[bytes_cases[i].kind[0]], both_over);
        assert_in_order(&rig);
        rig_free(&rig);
    }
}

static bool second_heard_end(const struct rig *rig)
{
    return rig->side[1].far.ended;
}

static bool first_heard_end(const struct rig *rig)
{
    return rig->side[0].far.ended;
}

/* One has said all, and still gets everything from the other; whichever of them begins. */
static void each_direction_ends_on_its_own(void **state)
{
    for (int first = 0; first < 2; first++) {
        for (enum kind kind = PIPES; kind <= TCP_SOCKET; kind++) {
            struct rig rig;

            rig_new(&rig, *state, kind, kind);
            say(&rig, first, 100003, true);
            run_until(&rig, "the first end", first ? first_heard_end : second_heard_end);
            assert_int_equal(rig.side[1 - first].far.heard, 100003);
            for (int i = 0; i < 50; i++)
                rig_turn(&rig);
            assert_false(rig.side[first].far.ended);
            assert_false(rig.side[0].end->ended || rig.side[1].end->ended);
            say(&rig, 1 - first, 1000003, true);
            run_until(&rig, "the second end", both_over);
            assert_in_order(&rig);
            rig_free(&rig);
        }
    }
}

static bool second_input_ended(const struct rig *rig)
{
    return rig->side[1].input_ends > 0;
}

static void the_owner_may_say_when_it_closes(void **state)
{
    /* Before the input's end, and after it. */
    for (int late = 0; late < 2; late++) {
        struct rig rig;

        rig_new(&rig, *state, PIPES, PIPES);
        rig.side[1].closes_later = true;
        if (!late) {
            io_relay_close(rig.side[1].relay);
            for (int i = 0; i < 50; i++)
                rig_turn(&rig);
            assert_false(rig.side[0].peer_closed);
        }
        say(&rig, 0, 10, true);
        say(&rig, 1, 70001, true);
        if (late) {
            run_until(&rig, "the input's end", second_input_ended);
            for (int i = 0; i < 50; i++)
                rig_turn(&rig);
            assert_false(rig.side[0].peer_closed);
            io_relay_close(rig.side[1].relay);
        }
        run_until(&rig, "the end", both_over);
        assert_int_equal(rig.side[1].input_ends, late ? 1 : 0);
        rig.side[1].input_ends = 1;
        assert_in_order(&rig);
        rig_free(&rig);
    }
}

/* ------------------------------------------------------------------------------- back-pressure -- */

/* Until nothing moves any more. */
static void run_until_stalled(struct rig *rig, const uint64_t *count)
{
    uint64_t before = *count;

    for (int still = 0; still < STALLED_TURNS; still++) {
        rig_turn(rig);
        if (*count != before)
            still = 0;
        before = *count;
    }
}

/* The source is stopped with less than 3 MiB on the way, and the other direction hears nothing of it. */
static void a_slow_sink_stops_its_source(void **state)
{
    enum { ALL = 12 * 1024 * 1024 + 1, ON_THE_WAY_MAX = 3 * 1024 * 1024 };

    for (enum kind kind = PIPES; kind <= UNIX_SOCKET; kind++) {
        struct rig rig;

        rig_new(&rig, *state, PIPES, kind);
        rig.side[1].far.deaf = true;
        say(&rig, 0, ALL, true);
        run_until_stalled(&rig, &rig.side[0].far.said);
        assert_in_range(rig.side[0].far.said, 65536, ON_THE_WAY_MAX);
        say(&rig, 1, 1000001, true);
        run_until(&rig, "the other direction", first_heard_end);
        assert_int_equal(rig.side[0].far.heard, 1000001);
        rig.side[1].far.deaf = false;
        run_until(&rig, "the rest", both_over);
        assert_in_order(&rig);
        rig_free(&rig);
    }
}

/* ------------------------------------------------------------------------------------ failures -- */

static bool second_heard_some(const struct rig *rig)
{
    return rig->side[1].far.heard > 100000;
}

static bool lines_over(const struct rig *rig)
{
    return rig->side[0].end->ended && rig->side[1].end->ended;
}

/* A target that resets must not look like one that has said all: neither to our peer nor behind it. */
static void a_reset_goes_through(void **state)
{
    for (int quiet = 0; quiet < 2; quiet++) {
        struct rig rig;

        rig_new(&rig, *state, TCP_SOCKET, TCP_SOCKET);
        say(&rig, 0, quiet ? 100001 : 5000000, false);
        run_until(&rig, "the first bytes", second_heard_some);
        far_reset(&rig.side[1].far);
        run_until(&rig, "the end of the lines", lines_over);
        run_until(&rig, "the end behind the peer", first_heard_end);
        assert_true(rig.side[1].failures > 0);
        assert_int_equal(rig.side[1].end->result, HELIO_E_SYSTEM);
        assert_int_not_equal(rig.side[0].end->result, HELIO_OK);
        assert_int_equal(rig.side[0].far.error, ECONNRESET);
        assert_false(rig.side[0].peer_closed);
        rig_free(&rig);
    }
}

/* As head does: reads a little, closes its input, goes on talking. */
static void a_closed_reader_is_forgiven(void **state)
{
    struct rig rig;

    rig_new(&rig, *state, PIPES, PIPES);
    rig.side[1].forgives = true;
    say(&rig, 0, 3000000, true);
    run_until(&rig, "the first bytes", second_heard_some);
    far_stop_reading(&rig.side[1].far);
    say(&rig, 1, 500001, true);
    run_until(&rig, "the end", both_over);
    assert_int_equal(rig.side[0].end->result, HELIO_OK);
    assert_int_equal(rig.side[1].end->result, HELIO_OK);
    assert_int_equal(rig.side[0].far.heard, 500001);
    assert_int_equal(rig.side[0].far.said, 3000000);
    assert_int_equal(rig.side[1].failures, 1);
    assert_true(rig.side[1].failed_writing);
    assert_int_equal(rig.side[1].error, EPIPE);
    rig_free(&rig);
}

static bool second_has_close(const struct rig *rig)
{
    return rig->side[1].peer_closed;
}

enum { PIPE_SIZE = 1024 * 1024, PIPE_FREE = 4096, PIPE_FILLED = PIPE_SIZE - PIPE_FREE };

/* Fills the pipe behind the second side, as large as a pipe may be, but for PIPE_FREE. */
static void fill_sink(struct rig *rig)
{
    static const uint8_t page[PIPE_FREE];
    char name[32];
    int fd;

    assert_int_equal(fcntl(rig->side[1].far.from, F_SETPIPE_SZ, PIPE_SIZE), PIPE_SIZE);
    snprintf(name, sizeof name, "/proc/self/fd/%d", rig->side[1].far.from);
    fd = open(name, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    for (size_t n = 0; n < PIPE_FILLED; n += sizeof page)
        assert_int_equal(write(fd, page, sizeof page), sizeof page);
    close(fd);
}

static void empty_sink(struct rig *rig)
{
    static uint8_t bytes[PIPE_FILLED];

    assert_int_equal(read(rig->side[1].far.from, bytes, sizeof bytes), sizeof bytes);
}

/*
 * A rig whose second side has CLOSED and bytes that its sink has not taken: all that the first says
 * comes in one piece, and there is room for less.
 */
static void rig_blocked(struct rig *rig, struct io_loop *loop, uint64_t n)
{
    rig_new(rig, loop, PIPES, PIPES);
    fill_sink(rig);
    rig->side[1].far.deaf = true;
    say(rig, 0, n, true);
    while (rig->side[0].far.to >= 0)
        far_turn(&rig->side[0].far);
    run_until(rig, "the peer's close", second_has_close);
}

/* What waits for a reader that goes is thrown away and confirmed, too. */
static void a_reader_that_goes_late_is_forgiven(void **state)
{
    struct rig rig;

    rig_blocked(&rig, *state, 5000);
    rig.side[1].forgives = true;
    far_stop_reading(&rig.side[1].far);
    say(&rig, 1, 10, true);
    run_until(&rig, "the end", both_over);
    assert_int_equal(rig.side[0].end->result, HELIO_OK);
    assert_int_equal(rig.side[1].end->result, HELIO_OK);
    assert_int_equal(rig.side[1].error, EPIPE);
    rig_free(&rig);
}

/* The same while the line is paused, with more to come. */
static void a_reader_that_goes_in_the_middle_is_forgiven(void **state)
{
    struct rig rig;

    rig_new(&rig, *state, PIPES, PIPES);
    rig.side[1].forgives = true;
    rig.side[1].far.deaf = true;
    say(&rig, 0, 6000001, true);
    run_until_stalled(&rig, &rig.side[0].far.said);
    far_stop_reading(&rig.side[1].far);
    say(&rig, 1, 10, true);
    run_until(&rig, "the end", both_over);
    assert_int_equal(rig.side[0].end->result, HELIO_OK);
    assert_int_equal(rig.side[1].end->result, HELIO_OK);
    assert_int_equal(rig.side[0].far.said, 6000001);
    rig_free(&rig);
}

/* The line goes before the loop has noticed that there is room again. */
static void what_came_gets_a_last_chance(void **state)
{
    struct rig rig;

    rig_blocked(&rig, *state, 5000);
    empty_sink(&rig);
    while (rig.side[1].far.heard < PIPE_FREE)
        far_hear(&rig.side[1].far);
    io_relay_free(rig.side[1].relay);
    rig.side[1].relay = NULL;
    rig.side[1].far.deaf = false;
    io_line_drop(rig.side[1].end->line);
    run_until(&rig, "the end", both_over);
    assert_int_equal(rig.side[1].far.heard, 5000);
    assert_int_not_equal(rig.side[0].end->result, HELIO_OK);
    rig_free(&rig);
}

static void a_closed_reader_is_not_forgiven(void **state)
{
    struct rig rig;

    rig_new(&rig, *state, PIPES, PIPES);
    say(&rig, 0, 3000000, true);
    run_until(&rig, "the first bytes", second_heard_some);
    far_stop_reading(&rig.side[1].far);
    run_until(&rig, "the end", both_over);
    assert_int_equal(rig.side[1].end->result, HELIO_E_SYSTEM);
    assert_int_not_equal(rig.side[0].end->result, HELIO_OK);
    assert_int_equal(rig.side[1].error, EPIPE);
    rig_free(&rig);
}

/* What had come before the cut is there, and that it was cut can be seen. */
static void a_cut_line_is_no_end(void **state)
{
    for (enum kind kind = PIPES; kind <= TCP_SOCKET; kind++) {
        struct rig rig;

        rig_new(&rig, *state, PIPES, kind);
        say(&rig, 0, 5000000, false);
        run_until(&rig, "the first bytes", second_heard_some);
        io_line_drop(rig.side[0].end->line);
        run_until(&rig, "the end", both_over);
        assert_int_equal(rig.side[1].end->result, HELIO_E_CUT);
        assert_in_range(rig.side[1].given, 100001, 4999999);
        assert_int_equal(rig.side[1].far.heard, rig.side[1].given);
        assert_int_equal(rig.side[1].far.error, kind == TCP_SOCKET ? ECONNRESET : 0);
        assert_false(rig.side[1].peer_closed);
        rig_free(&rig);
    }
}

/* ---------------------------------------------------------------------------------------- life -- */

/* The owner may go at any time: each moment of a short talk is one. */
static void it_can_be_freed_at_any_moment(void **state)
{
    enum { MOMENTS = 60 };

    for (int moment = 0; moment < MOMENTS; moment++) {
        struct rig rig;

        rig_new(&rig, *state, moment % 2 ? PIPES : TCP_SOCKET, UNIX_SOCKET);
        say(&rig, 0, 400001, true);
        say(&rig, 1, 300001, true);
        for (int i = 0; i < moment / 2; i++)
            rig_turn(&rig);
        struct side *side = &rig.side[moment / 2 % 2];
        if (side->relay)
            io_relay_free(side->relay);
        side->relay = NULL;
        if (moment % 3 == 0 && !side->end->ended)
            io_line_fail(side->end->line, HELIO_E_SYSTEM);
        for (int i = 0; i < 10; i++)
            rig_turn(&rig);
        rig_free(&rig);
    }
}

static void nothing_is_left_of_descriptors_that_do_not_serve(void **state)
{
    struct lines lines;
    struct io_relay *relay = NULL;
    struct side side = {0};
    char name[] = "/tmp/helio-test-relay-XXXXXX";
    int pipes[2], file = mkstemp(name);

    assert_true(file >= 0);
    unlink(name);
    lines_open(&lines, *state, 0);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    /* A file can be the other of neither. */
    assert_int_equal(
        io_relay_new(&relay, *state, lines.end[0].line, pipes[0], file, &relay_handlers, &side),
        HELIO_E_SYSTEM);
    assert_int_equal(fcntl(pipes[0], F_GETFD), -1);
    assert_int_equal(fcntl(file, F_GETFD), -1);
    file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(
        io_relay_new(&relay, *state, lines.end[0].line, file, pipes[1], &relay_handlers, &side),
        HELIO_E_SYSTEM);
    assert_int_equal(fcntl(pipes[1], F_GETFD), -1);
    assert_int_equal(fcntl(file, F_GETFD), -1);
    assert_null(relay);
    lines_close(&lines);
}

/* ------------------------------------------------------------------------------ used numbers -- */

static bool take_data(void *context, const uint8_t *data, size_t n)
{
    size_t *taken = context;

    (void)data;
    *taken += n;
    return true;
}

static void take_end(void *context, int error)
{
    (void)context;
    (void)error;
}

/*
 * The number of a descriptor that an output has closed is soon another's.  Freed after that, the
 * output must leave the other alone.
 */
static void a_number_that_is_used_again_is_not_ours(void **state)
{
    static const struct io_input_handlers input_handlers = {.data = take_data, .ended = take_end};
    static const struct io_output_handlers output_handlers = {.ended = take_end};
    struct lines lines = {.loop = *state};
    struct io_output *output;
    struct io_input *input;
    int first[2], second[2];
    size_t taken = 0;

    assert_int_equal(pipe2(first, O_CLOEXEC), 0);
    assert_int_equal(io_output_adopt(&output, *state, first[1], &output_handlers, NULL), HELIO_OK);
    io_output_end(output);
    assert_int_equal(pipe2(second, O_CLOEXEC), 0);
    assert_int_equal(second[0], first[1]);
    assert_int_equal(io_input_adopt(&input, *state, second[0], &input_handlers, &taken), HELIO_OK);
    io_input_resume(input);
    lines_turn(&lines);
    io_output_free(output);
    lines_turn(&lines);
    assert_int_equal(write(second[1], "x", 1), 1);
    for (int i = 0; i < 1000 && taken == 0; i++)
        lines_turn(&lines);
    assert_int_equal(taken, 1);
    io_input_free(input);
    close(first[0]);
    close(second[1]);
}

static size_t count_descriptors(void)
{
    size_t n = 0;

    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static size_t descriptors_before;

static int set_up(void **state)
{
    struct io_loop *loop;
    struct lines lines;

    signal(SIGPIPE, SIG_IGN);
    if (io_loop_new(&loop))
        return -1;
    *state = loop;
    /* With the first connection libuv opens one of its own. */
    lines_open(&lines, loop, 0);
    lines_close(&lines);
    descriptors_before = count_descriptors();
    return 0;
}

static int clear(void **state)
{
    io_loop_run(*state);
    test_identities_free();
    if (count_descriptors() != descriptors_before) {
        print_error("%zu descriptors, and there were %zu\n", count_descriptors(),
                    descriptors_before);
        return -1;
    }
    io_loop_free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_arrives),
        cmocka_unit_test(each_direction_ends_on_its_own),
        cmocka_unit_test(the_owner_may_say_when_it_closes),
        cmocka_unit_test(a_slow_sink_stops_its_source),
        cmocka_unit_test(a_reset_goes_through),
        cmocka_unit_test(a_closed_reader_is_forgiven),
        cmocka_unit_test(a_reader_that_goes_late_is_forgiven),
        cmocka_unit_test(a_reader_that_goes_in_the_middle_is_forgiven),
        cmocka_unit_test(what_came_gets_a_last_chance),
        cmocka_unit_test(a_closed_reader_is_not_forgiven),
        cmocka_unit_test(a_cut_line_is_no_end),
        cmocka_unit_test(it_can_be_freed_at_any_moment),
        cmocka_unit_test(nothing_is_left_of_descriptors_that_do_not_serve),
        cmocka_unit_test(a_number_that_is_used_again_is_not_ours),
    };

    return cmocka_run_group_tests_name("relay", tests, set_up, clear);
}
