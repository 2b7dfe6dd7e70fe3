#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "io/loop.h"
#include "unit/scratch.h"

/* Much longer than anything here takes: what does not come by then does not come. */
enum { PATIENCE_MS = 20000 };

static void on_impatient(void *context)
{
    (void)context;
    fail_msg("nothing happened for %d ms", PATIENCE_MS);
}

/* Runs until somebody stops the loop. */
static void run_until_stopped(struct io_loop *loop)
{
    struct io_timer *timer;

    assert_int_equal(io_timer_new(&timer, loop, on_impatient, NULL), HELIO_OK);
    io_timer_set(timer, PATIENCE_MS);
    io_loop_run(loop);
    io_timer_free(timer);
}

static void on_stop(void *context)
{
    io_loop_stop(context);
}

static void run_for(struct io_loop *loop, uint64_t milliseconds)
{
    struct io_timer *timer;

    assert_int_equal(io_timer_new(&timer, loop, on_stop, loop), HELIO_OK);
    io_timer_set(timer, milliseconds);
    io_loop_run(loop);
    io_timer_free(timer);
}

static struct io_loop *new_loop(void)
{
    struct io_loop *loop;

    assert_int_equal(io_loop_new(&loop), HELIO_OK);
    return loop;
}

/* ------------------------------------------------------------------------------------ places -- */

enum wanted { PLACE, HOST_NEEDED, TARGET };

static const struct place_case {
    const char *text;
    enum wanted wanted;
    const char *wrong; /* NULL: it is right, and the rest holds */
    const char *host;
    uint16_t port;
    bool local;
} place_cases[] = {
    {"4000", PLACE, NULL, "", 4000, false},
    {":4000", PLACE, NULL, "", 4000, false},
    {"0", PLACE, NULL, "", 0, false},
    {"65535", PLACE, NULL, "", 65535, false},
    {"alpha:1", PLACE, NULL, "alpha", 1, false},
    {"alpha:1", HOST_NEEDED, NULL, "alpha", 1, false},
    {"127.0.0.1:0", PLACE, NULL, "127.0.0.1", 0, false},
    {"[::1]:22", HOST_NEEDED, NULL, "::1", 22, false},
    {"[fe80::1%lo]:22", HOST_NEEDED, NULL, "fe80::1%lo", 22, false},
    {"alpha:00022", HOST_NEEDED, NULL, "alpha", 22, false},
    {"", PLACE, "port is missing", NULL, 0, false},
    {":", PLACE, "port is missing", NULL, 0, false},
    {"alpha:", PLACE, "port is missing", NULL, 0, false},
    {"alpha", PLACE, "not a number", NULL, 0, false},
    {"alpha", HOST_NEEDED, "port is missing", NULL, 0, false},
    {"4000", HOST_NEEDED, "port is missing", NULL, 0, false},
    {":4000", HOST_NEEDED, "host is missing", NULL, 0, false},
    {"", HOST_NEEDED, "port is missing", NULL, 0, false},
    {"alpha:0", HOST_NEEDED, "port 0", NULL, 0, false},
    {"[::1]:0", HOST_NEEDED, "port 0", NULL, 0, false},
    {"65536", PLACE, "over 65535", NULL, 0, false},
    {"4294967297", PLACE, "over 65535", NULL, 0, false},
    {"18446744073709551617", PLACE, "over 65535", NULL, 0, false},
    {"-1", PLACE, "not a number", NULL, 0, false},
    {"+1", PLACE, "not a number", NULL, 0, false},
    {" 1", PLACE, "not a number", NULL, 0, false},
    {"1 ", PLACE, "not a number", NULL, 0, false},
    {"0x10", PLACE, "not a number", NULL, 0, false},
    {"\xd9\xa1", PLACE, "not a number", NULL, 0, false},
    {"::1", PLACE, "brackets", NULL, 0, false},
    {"::1:4000", HOST_NEEDED, "brackets", NULL, 0, false},
    {"a:b:c", PLACE, "brackets", NULL, 0, false},
    {"[", PLACE, "after [", NULL, 0, false},
    {"[]", PLACE, "after [", NULL, 0, false},
    {"[]:1", PLACE, "no IPv6 address", NULL, 0, false},
    {"[::1", PLACE, "after [", NULL, 0, false},
    {"[::1]", PLACE, "after [", NULL, 0, false},
    {"[::1]4000", PLACE, "after [", NULL, 0, false},
    {"[::1]:", PLACE, "port is missing", NULL, 0, false},
    {"[alpha]:1", PLACE, "no IPv6 address", NULL, 0, false},
    {"[127.0.0.1]:1", PLACE, "no IPv6 address", NULL, 0, false},
    {"[::1]:1:2", PLACE, "not a number", NULL, 0, false},
    {"/run/x.sock", TARGET, NULL, "/run/x.sock", 0, true},
    {"/run/x:1", TARGET, NULL, "/run/x:1", 0, true},
    {"unix:/run/x.sock", TARGET, NULL, "/run/x.sock", 0, true},
    {"unix:x", TARGET, NULL, "x", 0, true},
    {"unix:", TARGET, "path is missing", NULL, 0, true},
    {"alpha:1", TARGET, NULL, "alpha", 1, false},
    {"unix.example:1", TARGET, NULL, "unix.example", 1, false},
    {"4000", TARGET, "port is missing", NULL, 0, false},
    {"", TARGET, "port is missing", NULL, 0, false},
    {"./x", TARGET, "port is missing", NULL, 0, false},
    /* Without a target's licence these are hosts. */
    {"unix:1", PLACE, NULL, "unix", 1, false},
    {"/run/x.sock", PLACE, "not a number", NULL, 0, false},
};

static const char *parse(struct io_place *out, const char *text, enum wanted wanted)
{
    if (wanted == TARGET)
        return io_place_parse_target(out, text);
    return io_place_parse(out, text, wanted == HOST_NEEDED);
}

static void places_are_parsed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof place_cases / sizeof *place_cases; i++) {
        const struct place_case *c = &place_cases[i];
        struct io_place place;
        const char *wrong = parse(&place, c->text, c->wanted);

        if (!wrong != !c->wrong || (wrong && !strstr(wrong, c->wrong)))
            fail_msg("\"%s\": expected %s, got %s", c->text, c->wrong ? c->wrong : "no complaint",
                     wrong ? wrong : "none");
        if (wrong)
            continue;
        assert_string_equal(place.host, c->host);
        assert_int_equal(place.port, c->port);
        assert_int_equal(place.local, c->local);
    }
}

/* Whatever is accepted means the same when it is written out and read again. */
static void check_written_out(const char *text, enum wanted wanted)
{
    struct io_place place, again;
    char out[IO_HOST_SIZE + 16];

    if (parse(&place, text, wanted))
        return;
    io_place_format(&place, out, sizeof out);
    if (place.local && *place.host != '/')
        return; /* a relative path is written without what made it one */
    assert_null(parse(&again, out, wanted));
    assert_string_equal(again.host, place.host);
    assert_int_equal(again.port, place.port);
    assert_int_equal(again.local, place.local);
}

static void places_survive_cutting_and_changing(void **state)
{
    static const char bytes[] = {'[', ']', ':', '%', '/', '0', '\n', '\x80', '\0'};

    (void)state;
    for (size_t i = 0; i < sizeof place_cases / sizeof *place_cases; i++) {
        size_t n = strlen(place_cases[i].text);

        for (size_t at = 0; at < n; at++)
            for (size_t b = 0; b < sizeof bytes; b++)
                for (enum wanted wanted = PLACE; wanted <= TARGET; wanted++) {
                    char *text = strdup(place_cases[i].text);

                    assert_non_null(text);
                    text[at] = bytes[b];
                    check_written_out(text, wanted);
                    free(text);
                }
    }
}

static void long_names_are_refused_at_the_limit(void **state)
{
    static const struct {
        const char *before, *after;
        enum wanted wanted;
        size_t longest;
    } cases[] = {
        {"", ":1", HOST_NEEDED, IO_HOST_SIZE - 1},
        {"[fe80::1%", "]:1", HOST_NEEDED, IO_HOST_SIZE - 9},
        {"/", "", TARGET, sizeof((struct sockaddr_un *)0)->sun_path - 2},
        {"unix:", "", TARGET, sizeof((struct sockaddr_un *)0)->sun_path - 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t n = cases[i].longest - 1; n <= cases[i].longest + 2; n++) {
            struct io_place place;
            char filler[IO_HOST_SIZE + 8] = "", text[2 * IO_HOST_SIZE];

            memset(filler, 'a', n);
            snprintf(text, sizeof text, "%s%s%s", cases[i].before, filler, cases[i].after);
            const char *wrong = parse(&place, text, cases[i].wanted);
            if (!wrong != (n <= cases[i].longest))
                fail_msg("%s, %zu times a, %s: %s", cases[i].before, n, cases[i].after,
                         wrong ? wrong : "accepted");
            if (wrong)
                assert_non_null(strstr(wrong, "too long"));
        }
    }
}

/* ------------------------------------------------------------------------- posts and threads -- */

enum { POSTERS = 4, POSTS_EACH = 5000 };

struct poster {
    struct inbox *inbox;
    struct io_thread *thread;
    unsigned number;
};

struct letter {
    struct poster *from;
    unsigned number;
};

struct inbox {
    struct io_loop *loop;
    struct poster posters[POSTERS];
    unsigned next[POSTERS]; /* the number expected of each */
    unsigned total;
};

static void on_letter(void *context)
{
    struct letter *letter = context;
    struct inbox *inbox = letter->from->inbox;

    assert_int_equal(letter->number, inbox->next[letter->from->number]);
    inbox->next[letter->from->number]++;
    free(letter);
    if (++inbox->total == POSTERS * POSTS_EACH)
        io_loop_stop(inbox->loop);
}

static void write_letters(void *context)
{
    struct poster *poster = context;

    for (unsigned i = 0; i < POSTS_EACH; i++) {
        struct letter *letter = malloc(sizeof *letter);

        if (!letter)
            abort();
        *letter = (struct letter){.from = poster, .number = i};
        if (io_loop_post(poster->inbox->loop, on_letter, letter))
            abort();
    }
}

static void begin_posting(struct inbox *inbox)
{
    for (unsigned i = 0; i < POSTERS; i++) {
        struct poster *poster = &inbox->posters[i];

        *poster = (struct poster){.inbox = inbox, .number = i};
        assert_int_equal(io_thread_new(&poster->thread, write_letters, poster), HELIO_OK);
    }
}

static void end_posting(struct inbox *inbox)
{
    for (unsigned i = 0; i < POSTERS; i++)
        io_thread_join(inbox->posters[i].thread);
}

static void posts_of_many_threads_arrive_in_order(void **state)
{
    struct inbox inbox = {.loop = new_loop()};

    (void)state;
    io_loop_hold(inbox.loop);
    begin_posting(&inbox);
    run_until_stopped(inbox.loop);
    end_posting(&inbox);
    assert_int_equal(inbox.total, POSTERS * POSTS_EACH);
    io_loop_free(inbox.loop);
    assert_int_equal(inbox.total, POSTERS * POSTS_EACH);
}

static void posts_to_a_stopped_loop_run_when_it_is_freed(void **state)
{
    struct inbox inbox = {.loop = new_loop()};

    (void)state;
    begin_posting(&inbox);
    end_posting(&inbox);
    assert_int_equal(inbox.total, 0);
    io_loop_free(inbox.loop);
    assert_int_equal(inbox.total, POSTERS * POSTS_EACH);
}

struct chain {
    struct io_loop *loop;
    unsigned left;
    unsigned ran;
};

static void on_link(void *context)
{
    struct chain *chain = context;

    chain->ran++;
    if (--chain->left > 0)
        assert_int_equal(io_loop_post(chain->loop, on_link, chain), HELIO_OK);
}

static void posts_may_post(void **state)
{
    struct chain chain = {.loop = new_loop(), .left = 10};

    (void)state;
    assert_int_equal(io_loop_post(chain.loop, on_link, &chain), HELIO_OK);
    io_loop_free(chain.loop);
    assert_int_equal(chain.ran, 10);
}

static void post_late(void *context)
{
    usleep(20000);
    if (io_loop_post(context, on_stop, context))
        abort();
}

/* There is nothing else to wait for here. */
static void a_loop_waits_for_posts_only_when_held(void **state)
{
    struct inbox inbox = {.loop = new_loop()};
    struct io_thread *thread;

    (void)state;
    io_loop_run(inbox.loop);
    io_loop_hold(inbox.loop);
    begin_posting(&inbox);
    io_loop_run(inbox.loop);
    end_posting(&inbox);
    assert_int_equal(inbox.total, POSTERS * POSTS_EACH);
    assert_int_equal(io_thread_new(&thread, post_late, inbox.loop), HELIO_OK);
    io_loop_run(inbox.loop);
    io_thread_join(thread);
    io_loop_free(inbox.loop);
}

static void on_free_timer(void *context)
{
    io_timer_free(context);
}

/* What only a post will free keeps nobody waiting. */
static void posts_run_before_a_loop_is_drained(void **state)
{
    struct io_loop *loop = new_loop();
    struct io_timer *timer;

    (void)state;
    assert_int_equal(io_timer_new(&timer, loop, on_impatient, NULL), HELIO_OK);
    io_timer_set(timer, PATIENCE_MS);
    assert_int_equal(io_loop_post(loop, on_free_timer, timer), HELIO_OK);
    io_loop_free(loop);
}

static void at_least_one_processor(void **state)
{
    (void)state;
    assert_true(io_processors() >= 1);
    assert_true(io_processors() <= (unsigned)sysconf(_SC_NPROCESSORS_CONF));
}

/* ----------------------------------------------------------------------------- plain sockets -- */

/* Address text of either family; "" for none. */
static socklen_t fill_address(struct sockaddr_storage *out, const char *host, uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

    *out = (struct sockaddr_storage){0};
    if (strchr(host, ':')) {
        assert_int_equal(uv_inet_pton(AF_INET6, host, &in6.sin6_addr), 0);
        memcpy(out, &in6, sizeof in6);
        return sizeof in6;
    }
    assert_int_equal(uv_inet_pton(AF_INET, host, &in.sin_addr), 0);
    memcpy(out, &in, sizeof in);
    return sizeof in;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage address;
    struct sockaddr_in6 in6;
    socklen_t n = sizeof address;

    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &n), 0);
    memcpy(&in6, &address, sizeof in6);
    return ntohs(in6.sin6_port);
}

/* A listening socket as another program would open it; its own family only.  -1: no such family. */
static int listening_socket(const char *host, uint16_t port)
{
    struct sockaddr_storage address;
    socklen_t n = fill_address(&address, host, port);
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    if (fd < 0)
        return -1;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    if (address.ss_family == AF_INET6)
        assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on), 0);
    if (bind(fd, (struct sockaddr *)&address, n)) {
        close(fd);
        return -1;
    }
    assert_int_equal(listen(fd, 16), 0);
    return fd;
}

/* A connected socket, or -1; on this machine that does not wait for anybody to accept. */
static int call(const char *host, uint16_t port)
{
    struct sockaddr_storage address;
    socklen_t n = fill_address(&address, host, port);
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, n)) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool have_ipv6(void)
{
    int fd = listening_socket("::1", 0);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool is_free(const char *host, uint16_t port)
{
    int fd = listening_socket(host, port);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/*
 * The same on a port that is nobody's in the other family: below those that the system hands out, for
 * connections of other programs come and go there.
 */
static int holding_socket(const char *host)
{
    uint16_t port = (uint16_t)(10240 + getpid() % 16384);

    for (int tries = 0; tries < 64; tries++, port++)
        if (is_free("0.0.0.0", port) && (!have_ipv6() || is_free("::", port)))
            return listening_socket(host, port);
    fail_msg("no port is free from %u to %u", port - 64u, port - 1u);
    return -1;
}

/* True when the other side has closed, within milliseconds. */
static bool hung_up(int fd, int milliseconds)
{
    struct pollfd poll_for = {.fd = fd, .events = POLLIN};
    char byte;

    return poll(&poll_for, 1, milliseconds) == 1 && recv(fd, &byte, 1, MSG_DONTWAIT) <= 0;
}

/* --------------------------------------------------------------------------------- listeners -- */

enum { CROWD = 100 };

/* Counts callers, and stops the loop when all have come. */
struct door_book {
    struct io_loop *loop;
    struct io_listener *listener;
    unsigned expected;
    unsigned accepted;
    bool free_at_first;
    long linger_us;             /* what each caller costs */
    unsigned in_turn, most_one; /* accepted since the timer, and the most of that */
    struct io_timer *timer;
    struct io_caller last;
};

static void on_caller(void *context, const struct io_caller *caller)
{
    struct door_book *book = context;

    book->accepted++;
    book->in_turn++;
    book->last = *caller;
    close(caller->fd);
    if (book->linger_us)
        usleep((useconds_t)book->linger_us);
    if (book->free_at_first)
        io_listener_free(book->listener);
    if (book->accepted == book->expected)
        io_loop_stop(book->loop);
}

static enum io_fault open_listener(struct door_book *book, const char *text, enum io_family family)
{
    struct io_place place;
    struct io_report report;

    assert_null(io_place_parse(&place, text, false));
    if (io_listener_new(&book->listener, book->loop, &place, family, on_caller, book, &report)) {
        assert_null(book->listener);
        assert_int_not_equal(report.fault, IO_FAULT_NONE);
        return report.fault;
    }
    return IO_FAULT_NONE;
}

static void end_book(struct door_book *book)
{
    io_listener_free(book->listener);
    io_loop_free(book->loop);
}

static const struct {
    const char *listen;
    enum io_family family;
    const char *call, *source; /* how the caller's address looks to the listener; NULL: refused */
    uint8_t address[16];
} reach_cases[] = {
    {"0", IO_FAMILY_ANY, "127.0.0.1", "127.0.0.1:", {[10] = 255, [11] = 255, 127, 0, 0, 1}},
    {"0", IO_FAMILY_ANY, "127.0.0.9", "127.0.0.1:", {[10] = 255, [11] = 255, 127, 0, 0, 1}},
    {"0", IO_FAMILY_ANY, "::1", "[::1]:", {[15] = 1}},
    {"0", IO_FAMILY_4, "127.0.0.1", "127.0.0.1:", {[10] = 255, [11] = 255, 127, 0, 0, 1}},
    {"0", IO_FAMILY_4, "::1", NULL, {0}},
    {"0", IO_FAMILY_6, "::1", "[::1]:", {[15] = 1}},
    {"0", IO_FAMILY_6, "127.0.0.1", NULL, {0}},
    {"[::1]:0", IO_FAMILY_ANY, "::1", "[::1]:", {[15] = 1}},
    {"127.0.0.1:0", IO_FAMILY_ANY, "127.0.0.1", "127.0.0.1:", {[10] = 255, 255, 127, 0, 0, 1}},
    {"127.0.0.1:0", IO_FAMILY_ANY, "127.0.0.9", NULL, {0}},
};

static void check_reach(size_t i)
{
    struct door_book book = {.loop = new_loop(), .expected = 1};
    const char *source = reach_cases[i].source;
    int fd;

    assert_int_equal(open_listener(&book, reach_cases[i].listen, reach_cases[i].family),
                     IO_FAULT_NONE);
    assert_int_not_equal(io_listener_port(book.listener), 0);
    fd = call(reach_cases[i].call, io_listener_port(book.listener));
    if ((fd >= 0) != (source != NULL))
        fail_msg("row %zu: %s", i, fd >= 0 ? "connected" : "refused");
    if (source) {
        char name[IO_NAME_SIZE];

        run_until_stopped(book.loop);
        snprintf(name, sizeof name, "%s%u", source, port_of(fd));
        assert_string_equal(book.last.name, name);
        assert_memory_equal(book.last.source.address, reach_cases[i].address, 16);
        close(fd);
    }
    end_book(&book);
}

static void listeners_are_where_they_say(void **state)
{
    bool ipv6 = have_ipv6();

    (void)state;
    for (size_t i = 0; i < sizeof reach_cases / sizeof *reach_cases; i++)
        if (ipv6 || (!strchr(reach_cases[i].call, ':') && reach_cases[i].family != IO_FAMILY_6))
            check_reach(i);
}

/* Somebody has the port on one address; who overlaps with it must not get it, and who does not, must. */
static const struct {
    const char *holder, *host;
    enum io_family family;
    bool taken;
} taken_cases[] = {
    {"127.0.0.1", "", IO_FAMILY_ANY, true},
    {"127.0.0.9", "", IO_FAMILY_ANY, true},
    {"0.0.0.0", "", IO_FAMILY_ANY, true},
    {"::1", "", IO_FAMILY_ANY, true},
    {"::", "", IO_FAMILY_ANY, true},
    {"127.0.0.1", "", IO_FAMILY_4, true},
    {"0.0.0.0", "", IO_FAMILY_4, true},
    {"::", "", IO_FAMILY_4, false},
    {"::1", "", IO_FAMILY_6, true},
    {"::", "", IO_FAMILY_6, true},
    {"0.0.0.0", "", IO_FAMILY_6, false},
    {"0.0.0.0", "127.0.0.1", IO_FAMILY_ANY, true},
    {"127.0.0.1", "127.0.0.1", IO_FAMILY_ANY, true},
    {"127.0.0.9", "127.0.0.1", IO_FAMILY_ANY, false},
    {"::", "127.0.0.1", IO_FAMILY_ANY, false},
    {"::", "[::1]", IO_FAMILY_ANY, true},
    {"0.0.0.0", "[::1]", IO_FAMILY_ANY, false},
};

static void a_taken_port_is_noticed(void **state)
{
    bool ipv6 = have_ipv6();

    (void)state;
    for (size_t i = 0; i < sizeof taken_cases / sizeof *taken_cases; i++) {
        struct door_book book = {.loop = new_loop()};
        int holder = holding_socket(taken_cases[i].holder);
        char text[64];
        bool needs_ipv6 = strchr(taken_cases[i].holder, ':') || strchr(taken_cases[i].host, ':') ||
                          taken_cases[i].family == IO_FAMILY_6;

        if (ipv6 || !needs_ipv6) {
            assert_true(holder >= 0);
            snprintf(text, sizeof text, "%s:%u", taken_cases[i].host, port_of(holder));
            enum io_fault fault = open_listener(&book, text, taken_cases[i].family);
            if (fault != (taken_cases[i].taken ? IO_FAULT_IN_USE : IO_FAULT_NONE))
                fail_msg("%s is held, family %d of %s: %s", taken_cases[i].holder,
                         taken_cases[i].family, text, io_fault_text(fault));
        }
        if (holder >= 0)
            close(holder);
        end_book(&book);
    }
}

/* Also where the resolver knows localhost in one family only. */
static void localhost_is_taken_when_half_of_it_is(void **state)
{
    static const char *const holders[] = {"127.0.0.1", "::1"};

    (void)state;
    for (size_t i = 0; i < (have_ipv6() ? 2 : 1); i++) {
        struct door_book book = {.loop = new_loop()};
        int holder = holding_socket(holders[i]);
        char text[64];

        assert_true(holder >= 0);
        snprintf(text, sizeof text, "localhost:%u", port_of(holder));
        assert_int_equal(open_listener(&book, text, IO_FAMILY_ANY), IO_FAULT_IN_USE);
        close(holder);
        assert_int_equal(open_listener(&book, text, IO_FAMILY_ANY), IO_FAULT_NONE);
        end_book(&book);
    }
}

static void one_listener_of_ours_is_enough(void **state)
{
    struct door_book book = {.loop = new_loop()}, second = {.loop = book.loop};
    char text[16];

    (void)state;
    assert_int_equal(open_listener(&book, "0", IO_FAMILY_ANY), IO_FAULT_NONE);
    snprintf(text, sizeof text, "%u", io_listener_port(book.listener));
    assert_int_equal(open_listener(&second, text, IO_FAMILY_ANY), IO_FAULT_IN_USE);
    end_book(&book);
}

static void an_address_of_others_is_not_here(void **state)
{
    struct door_book book = {.loop = new_loop()};

    (void)state;
    assert_int_equal(open_listener(&book, "192.0.2.1:0", IO_FAMILY_ANY), IO_FAULT_NOT_HERE);
    end_book(&book);
}

static void a_port_can_be_had_again_at_once(void **state)
{
    struct door_book book = {.loop = new_loop(), .expected = 1};
    char text[16];
    int fd;

    (void)state;
    assert_int_equal(open_listener(&book, "0", IO_FAMILY_ANY), IO_FAULT_NONE);
    snprintf(text, sizeof text, "%u", io_listener_port(book.listener));
    /* The listener's side closes first, and so keeps the port in TIME_WAIT. */
    fd = call("127.0.0.1", io_listener_port(book.listener));
    run_until_stopped(book.loop);
    assert_true(hung_up(fd, PATIENCE_MS));
    close(fd);
    io_listener_free(book.listener);
    assert_int_equal(open_listener(&book, text, IO_FAMILY_ANY), IO_FAULT_NONE);
    end_book(&book);
}

static void sockets_of_others_are_adopted(void **state)
{
    struct door_book book = {.loop = new_loop(), .expected = 2};
    int fds[2] = {listening_socket("127.0.0.1", 0), listening_socket("127.0.0.2", 0)};
    uint16_t ports[2] = {port_of(fds[0]), port_of(fds[1])};
    int callers[2];

    (void)state;
    assert_int_equal(io_listener_adopt(&book.listener, book.loop, fds, 2, on_caller, &book),
                     HELIO_OK);
    assert_int_equal(io_listener_port(book.listener), ports[0]);
    callers[0] = call("127.0.0.1", ports[0]);
    callers[1] = call("127.0.0.2", ports[1]);
    run_until_stopped(book.loop);
    end_book(&book);
    for (int i = 0; i < 2; i++) {
        assert_true(callers[i] >= 0);
        close(callers[i]);
        assert_int_equal(fcntl(fds[i], F_GETFD), -1);
    }
}

static void what_cannot_be_adopted_is_closed(void **state)
{
    struct io_loop *loop = new_loop();
    struct io_listener *listener;
    int fds[2] = {listening_socket("127.0.0.1", 0), open("/dev/null", O_RDONLY)};

    (void)state;
    if (io_listener_adopt(&listener, loop, fds, 2, on_caller, NULL) == HELIO_OK)
        fail_msg("/dev/null was adopted");
    assert_null(listener);
    io_loop_free(loop);
    assert_int_equal(fcntl(fds[0], F_GETFD), -1);
    assert_int_equal(fcntl(fds[1], F_GETFD), -1);
}

/* ----------------------------------------------------------------------------------- a crowd -- */

static void call_many(int *fds, unsigned n, uint16_t port)
{
    for (unsigned i = 0; i < n; i++) {
        fds[i] = call("127.0.0.1", port);
        assert_true(fds[i] >= 0);
    }
}

static void close_many(const int *fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        close(fds[i]);
}

static void on_turn(void *context)
{
    struct door_book *book = context;

    if (book->in_turn > book->most_one)
        book->most_one = book->in_turn;
    book->in_turn = 0;
    io_timer_set(book->timer, 1);
}

/* Every caller costs time, so the timer is due in each turn of the loop. */
static void a_crowd_at_the_door_leaves_turns_to_others(void **state)
{
    struct door_book book = {.loop = new_loop(), .expected = CROWD, .linger_us = 200};
    int fds[CROWD];

    (void)state;
    assert_int_equal(open_listener(&book, "0", IO_FAMILY_4), IO_FAULT_NONE);
    call_many(fds, CROWD, io_listener_port(book.listener));
    assert_int_equal(io_timer_new(&book.timer, book.loop, on_turn, &book), HELIO_OK);
    io_timer_set(book.timer, 1);
    run_until_stopped(book.loop);
    on_turn(&book);
    io_timer_free(book.timer);
    assert_int_equal(book.accepted, CROWD);
    assert_in_range(book.most_one, 2, 16);
    end_book(&book);
    close_many(fds, CROWD);
}

static void a_listener_may_be_freed_while_it_accepts(void **state)
{
    struct door_book book = {.loop = new_loop(), .expected = 1, .free_at_first = true};
    int fds[8];

    (void)state;
    assert_int_equal(open_listener(&book, "0", IO_FAMILY_ANY), IO_FAULT_NONE);
    call_many(fds, 8, io_listener_port(book.listener));
    run_until_stopped(book.loop);
    io_loop_run(book.loop);
    assert_int_equal(book.accepted, 1);
    book.listener = NULL;
    end_book(&book);
    close_many(fds, 8);
}

/* ------------------------------------------------------------------------- no descriptors left -- */

enum { FILLERS_MAX = 256 };

struct fillers {
    int fds[FILLERS_MAX];
    unsigned n;
    struct rlimit before;
};

/* Leaves the process without a descriptor to spare. */
static void exhaust(struct fillers *fillers)
{
    struct rlimit low;
    int fd = 0;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &fillers->before), 0);
    low = fillers->before;
    low.rlim_cur = FILLERS_MAX;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    fillers->n = 0;
    while ((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        fillers->fds[fillers->n++] = fd;
    assert_int_equal(errno, EMFILE);
}

static void recover(struct fillers *fillers)
{
    close_many(fillers->fds, fillers->n);
    fillers->n = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &fillers->before), 0);
}

static double cpu_seconds(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), 0);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static unsigned count_hung_up(const int *fds, unsigned n)
{
    unsigned count = 0;

    for (unsigned i = 0; i < n; i++)
        count += hung_up(fds[i], 0);
    return count;
}

static void without_descriptors_it_rests_and_recovers(void **state)
{
    enum { CALLERS = 10 };
    struct door_book book = {.loop = new_loop(), .expected = CALLERS};
    struct fillers fillers;
    int fds[CALLERS];
    unsigned away;
    double before;

    (void)state;
    assert_int_equal(open_listener(&book, "0", IO_FAMILY_ANY), IO_FAULT_NONE);
    call_many(fds, CALLERS, io_listener_port(book.listener));
    exhaust(&fillers);
    before = cpu_seconds();
    run_for(book.loop, 250);
    before = cpu_seconds() - before;
    assert_int_equal(book.accepted, 0);
    away = count_hung_up(fds, CALLERS);
    /* One at the beginning and one after each rest of 100 ms; on a busy machine one more or less. */
    assert_in_range(away, 1, 4);
    if (before > 0.1)
        fail_msg("it did not rest: %.3f s of processor time in 0.25 s", before);
    recover(&fillers);
    book.expected -= away;
    run_until_stopped(book.loop);
    assert_int_equal(book.accepted + away, CALLERS);
    end_book(&book);
    close_many(fds, CALLERS);
}

static void the_limit_of_descriptors_is_raised(void **state)
{
    struct rlimit before, now;
    unsigned long got;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    now = before;
    now.rlim_cur = FILLERS_MAX;
    assert_true(now.rlim_cur < now.rlim_max);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
    assert_null(original_file_limit());
    got = io_raise_file_limit();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    assert_int_equal(got, now.rlim_cur);
    assert_true(got > FILLERS_MAX);
    assert_true(got >= before.rlim_max || got >= 1048576);
    assert_int_equal(io_raise_file_limit(), got);
    assert_non_null(original_file_limit());
    assert_int_equal(original_file_limit()->rlim_cur, FILLERS_MAX);
    assert_int_equal(original_file_limit()->rlim_max, before.rlim_max);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* ----------------------------------------------------------------------------------- streams -- */

static void a_stream_gives_its_descriptor_back(void **state)
{
    struct io_loop *loop = new_loop();
    struct io_caller caller = {.name = "the other end"};
    struct io_stream *stream;
    int pair[2], fd;
    char word[8] = "";

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    caller.fd = pair[0];
    assert_int_equal(io_stream_adopt(&stream, loop, &caller), HELIO_OK);
    assert_string_equal(io_stream_name(stream), "the other end");
    fd = io_stream_release(stream);
    io_loop_free(loop);
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    /* libuv's own is gone, the connection is not. */
    assert_int_equal(fcntl(pair[0], F_GETFD), -1);
    assert_int_equal(write(fd, "there", 5), 5);
    assert_int_equal(read(pair[1], word, sizeof word), 5);
    assert_int_equal(write(pair[1], "back", 4), 4);
    assert_int_equal(read(fd, word, sizeof word), 4);
    assert_false(hung_up(pair[1], 0));
    close(fd);
    assert_true(hung_up(pair[1], PATIENCE_MS));
    close(pair[1]);
}

static void a_stream_that_is_freed_hangs_up(void **state)
{
    struct io_loop *loop = new_loop();
    struct io_caller caller = {.name = ""};
    struct io_stream *stream;
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    caller.fd = pair[0];
    assert_int_equal(io_stream_adopt(&stream, loop, &caller), HELIO_OK);
    io_stream_free(stream);
    assert_true(hung_up(pair[1], PATIENCE_MS));
    close(pair[1]);
    io_loop_free(loop);
}

/* ----------------------------------------------------------------------------------- dialling -- */

struct answer {
    struct io_loop *loop;
    struct io_dial *dial;
    unsigned calls;
    enum io_fault fault;
    char name[IO_NAME_SIZE];
    char detail[512];
};

static void on_answer(void *context, struct io_stream *stream, const struct io_report *report)
{
    struct answer *answer = context;

    answer->calls++;
    answer->fault = stream ? IO_FAULT_NONE : report->fault;
    if (stream)
        snprintf(answer->name, sizeof answer->name, "%s", io_stream_name(stream));
    snprintf(answer->detail, sizeof answer->detail, "%s", report->detail);
    io_stream_free(stream);
    io_loop_stop(answer->loop);
}

static void dial(struct answer *answer, const struct io_place *place, uint64_t timeout)
{
    assert_int_equal(
        io_dial_new(&answer->dial, answer->loop, place, IO_FAMILY_ANY, timeout, on_answer, answer),
        HELIO_OK);
    assert_int_equal(answer->calls, 0);
}

static void end_answer(struct answer *answer)
{
    io_dial_free(answer->dial);
    io_loop_free(answer->loop);
    assert_true(answer->calls <= 1);
}

static void tcp_answers_are_told(void **state)
{
    int fd = listening_socket("127.0.0.1", 0);
    struct io_place place = {.host = "127.0.0.1", .port = port_of(fd)};
    char where[64];

    (void)state;
    io_place_format(&place, where, sizeof where);
    for (int open = 1; open >= 0; open--) {
        struct answer answer = {.loop = new_loop()};

        dial(&answer, &place, PATIENCE_MS);
        run_until_stopped(answer.loop);
        assert_int_equal(answer.fault, open ? IO_FAULT_NONE : IO_FAULT_REFUSED);
        if (open)
            assert_string_equal(answer.name, where);
        else
            assert_non_null(strstr(answer.detail, where));
        end_answer(&answer);
        if (open)
            close(fd);
    }
}

/* A Unix socket bound to path that listens for so many; -1: does not listen. */
static int local_socket(const char *path, int backlog)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    if (backlog >= 0)
        assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

enum local_state { MISSING, LISTENS, DEAF, LEFT_BEHIND, NO_SOCKET, FULL, LOCAL_STATES };

static const enum io_fault local_faults[LOCAL_STATES] = {
    [MISSING] = IO_FAULT_NO_SOCKET,   [LISTENS] = IO_FAULT_NONE,      [DEAF] = IO_FAULT_REFUSED,
    [LEFT_BEHIND] = IO_FAULT_REFUSED, [NO_SOCKET] = IO_FAULT_REFUSED, [FULL] = IO_FAULT_TIMED_OUT,
};

static int local_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* The descriptor that keeps it so, or -1. */
static int make_local(enum local_state wanted, const char *path)
{
    int fd = -1;

    if (wanted == LISTENS || wanted == FULL)
        fd = local_socket(path, wanted == FULL ? 0 : 4);
    else if (wanted == DEAF || wanted == LEFT_BEHIND)
        fd = local_socket(path, -1);
    else if (wanted == NO_SOCKET)
        fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (wanted == LEFT_BEHIND) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static const struct io_place local_place = {.host = "x.sock", .local = true};

static void unix_answers_are_told(void **state)
{
    (void)state;
    for (enum local_state s = MISSING; s < LOCAL_STATES; s++) {
        struct answer answer = {.loop = new_loop()};
        const char *path = local_place.host;
        int fd = make_local(s, path), caller = -1;

        if (s == FULL)
            caller = local_connect(path);
        dial(&answer, &local_place, s == FULL ? 60 : PATIENCE_MS);
        run_until_stopped(answer.loop);
        if (answer.fault != local_faults[s])
            fail_msg("state %d: %s", (int)s, io_fault_text(answer.fault));
        if (s == LISTENS)
            assert_string_equal(answer.name, path);
        else
            assert_true(strncmp(answer.detail, path, strlen(path)) == 0);
        end_answer(&answer);
        if (fd >= 0)
            close(fd);
        if (caller >= 0)
            close(caller);
        assert_int_equal(scratch_empty(NULL), 0);
    }
}

struct queue {
    int fd;
    unsigned accepted;
};

static void on_room(void *context)
{
    struct queue *queue = context;
    int fd = accept(queue->fd, NULL, NULL);

    assert_true(fd >= 0);
    close(fd);
    queue->accepted++;
}

static void a_full_unix_socket_is_asked_again(void **state)
{
    struct answer answer = {.loop = new_loop()};
    struct queue queue = {0};
    struct io_timer *timer;
    int caller;

    (void)state;
    queue.fd = local_socket(local_place.host, 0);
    caller = local_connect(local_place.host);
    dial(&answer, &local_place, PATIENCE_MS);
    assert_int_equal(io_timer_new(&timer, answer.loop, on_room, &queue), HELIO_OK);
    io_timer_set(timer, 30);
    run_until_stopped(answer.loop);
    assert_int_equal(queue.accepted, 1);
    assert_int_equal(answer.fault, IO_FAULT_NONE);
    io_timer_free(timer);
    end_answer(&answer);
    close(caller);
    close(queue.fd);
    assert_int_equal(scratch_empty(NULL), 0);
}

static void a_dial_can_be_called_off(void **state)
{
    static const struct io_place places[] = {
        {.host = "/nowhere/x.sock", .local = true},
        {.host = "127.0.0.1", .port = 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct answer answer = {.loop = new_loop()};

        dial(&answer, &places[i], PATIENCE_MS);
        io_dial_free(answer.dial);
        answer.dial = NULL;
        io_loop_run(answer.loop);
        assert_int_equal(answer.calls, 0);
        end_answer(&answer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_parsed),
        cmocka_unit_test(places_survive_cutting_and_changing),
        cmocka_unit_test(long_names_are_refused_at_the_limit),
        cmocka_unit_test(posts_of_many_threads_arrive_in_order),
        cmocka_unit_test(posts_to_a_stopped_loop_run_when_it_is_freed),
        cmocka_unit_test(posts_may_post),
        cmocka_unit_test(a_loop_waits_for_posts_only_when_held),
        cmocka_unit_test(posts_run_before_a_loop_is_drained),
        cmocka_unit_test(at_least_one_processor),
        cmocka_unit_test(listeners_are_where_they_say),
        cmocka_unit_test(a_taken_port_is_noticed),
        cmocka_unit_test(localhost_is_taken_when_half_of_it_is),
        cmocka_unit_test(one_listener_of_ours_is_enough),
        cmocka_unit_test(an_address_of_others_is_not_here),
        cmocka_unit_test(a_port_can_be_had_again_at_once),
        cmocka_unit_test(sockets_of_others_are_adopted),
        cmocka_unit_test(what_cannot_be_adopted_is_closed),
        cmocka_unit_test(a_crowd_at_the_door_leaves_turns_to_others),
        cmocka_unit_test(a_listener_may_be_freed_while_it_accepts),
        cmocka_unit_test(without_descriptors_it_rests_and_recovers),
        cmocka_unit_test(the_limit_of_descriptors_is_raised),
        cmocka_unit_test(a_stream_gives_its_descriptor_back),
        cmocka_unit_test(a_stream_that_is_freed_hangs_up),
        cmocka_unit_test(tcp_answers_are_told),
        cmocka_unit_test(unix_answers_are_told),
        cmocka_unit_test(a_full_unix_socket_is_asked_again),
        cmocka_unit_test(a_dial_can_be_called_off),
    };

    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
