#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/loop.h"

enum { PATIENCE_MS = 10000 };

/* A child, what it said, and how it ended. */
struct run {
    struct io_loop *loop;
    struct io_child *child;
    int in, out; /* ours; -1 when closed */
    bool ended;
    int status, signal;
    char text[4096];
};

static void on_end(void *context, int status, int number)
{
    struct run *run = context;

    run->ended = true;
    run->status = status;
    run->signal = number;
    io_loop_stop(run->loop);
}

static const char *const plain_env[] = {"PATH=/usr/bin:/bin", NULL};

static void begin(struct run *run, struct io_loop *loop, const char *const *argv,
                  const char *const *env)
{
    *run = (struct run){.loop = loop};
    enum helio_err err =
        io_child_new(&run->child, loop, argv, env, &run->in, &run->out, on_end, run);
    if (err)
        fail_msg("%s: %s (%s)", argv[0], helio_strerror(err), strerror(errno));
}

static void begin_shell(struct run *run, struct io_loop *loop, const char *command)
{
    const char *const argv[] = {"/bin/sh", "-c", command, NULL};

    begin(run, loop, argv, plain_env);
}

static void close_input(struct run *run)
{
    close(run->in);
    run->in = -1;
}

static void wait_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    int n;

    do
        n = poll(&poll_fd, 1, PATIENCE_MS);
    while (n < 0 && errno == EINTR); /* a child has ended */
    if (n != 1)
        fail_msg("the child says nothing");
}

/* All it says, to the end. */
static void read_text(struct run *run)
{
    size_t n = 0;
    ssize_t k;

    do {
        wait_readable(run->out);
        k = read(run->out, run->text + n, sizeof run->text - 1 - n);
        assert_true(k >= 0);
        n += (size_t)k;
    } while (k > 0);
    run->text[n] = '\0';
}

static void finish(struct run *run)
{
    if (!run->ended)
        io_loop_run(run->loop);
    assert_true(run->ended);
    io_child_free(run->child);
    if (run->in >= 0)
        close(run->in);
    close(run->out);
}

static struct io_loop *new_loop(void)
{
    struct io_loop *loop;

    assert_int_equal(io_loop_new(&loop), HELIO_OK);
    return loop;
}

static const struct end_case {
    const char *command;
    int status, signal;
} end_cases[] = {
    {"exit 0", 0, 0},
    {"exit 3", 3, 0},
    {"exit 255", 255, 0},
    {"kill -KILL $$", 0, SIGKILL},
    {"kill -PIPE $$; exit 1", 0, SIGPIPE},
    {"kill -USR1 $$; exit 1", 0, SIGUSR1},
    {"yes | head -n 1 >/dev/null; exit 4", 4, 0},
    {"/nowhere/at/all 2>/dev/null", 127, 0},
};

static void how_it_ended(void **state)
{
    struct io_loop *loop = *state;

    for (size_t i = 0; i < sizeof end_cases / sizeof *end_cases; i++) {
        const struct end_case *c = &end_cases[i];
        struct run run;

        begin_shell(&run, loop, c->command);
        finish(&run);
        if (run.status != c->status || run.signal != c->signal)
            fail_msg("%s: expected %d, signal %d; saw %d, signal %d", c->command, c->status,
                     c->signal, run.status, run.signal);
    }
}

static const struct no_start_case {
    const char *program;
    int error;
} no_start_cases[] = {
    {"/nowhere/at/all", ENOENT},
    {"helio-no-such-program", ENOENT},
    {"/etc/passwd", EACCES},
    {"/etc/passwd/x", ENOTDIR},
};

static size_t count_descriptors(void)
{
    size_t n = 0;

    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void what_cannot_be_started(void **state)
{
    struct io_loop *loop = *state;
    size_t before = count_descriptors();

    for (size_t i = 0; i < sizeof no_start_cases / sizeof *no_start_cases; i++) {
        const struct no_start_case *c = &no_start_cases[i];
        const char *const argv[] = {c->program, NULL};
        struct run run = {.loop = loop};

        errno = 0;
        assert_int_equal(
            io_child_new(&run.child, loop, argv, plain_env, &run.in, &run.out, on_end, &run),
            HELIO_E_SYSTEM);
        if (errno != c->error)
            fail_msg("%s: expected %s, saw %s", c->program, strerror(c->error), strerror(errno));
        assert_false(run.ended);
    }
    io_loop_run(loop);
    assert_int_equal(count_descriptors(), before);
}

static void expect_text(struct run *run, const char *expected)
{
    read_text(run);
    if (strcmp(run->text, expected) != 0)
        fail_msg("expected \"%s\", saw \"%s\"", expected, run->text);
}

static void it_has_the_environment_it_was_given(void **state)
{
    static const char *const argv[] = {"env", NULL};
    static const char *const env[] = {"PATH=/usr/bin:/bin", "A=two words", "B=$(false) ; \"'",
                                      "C=", NULL};
    struct run run;

    assert_int_equal(setenv("HELIO_TEST_OWN", "1", 1), 0);
    begin(&run, *state, argv, env);
    expect_text(&run, "PATH=/usr/bin:/bin\nA=two words\nB=$(false) ; \"'\nC=\n");
    finish(&run);
    assert_int_equal(run.status, 0);
}

static void it_is_where_we_are(void **state)
{
    char here[PATH_MAX + 1];
    struct run run;

    assert_non_null(getcwd(here, PATH_MAX));
    strcat(here, "\n");
    begin_shell(&run, *state, "pwd -P");
    expect_text(&run, here);
    finish(&run);
}

static void words_go_through(void **state)
{
    struct run run;

    begin_shell(&run, *state, "cat; echo done");
    assert_int_equal(write(run.in, "over there\n", 11), 11);
    close_input(&run);
    expect_text(&run, "over there\ndone\n");
    finish(&run);
}

/* Of our open descriptors, those of another child's among them, it has its three; 3 is the folder. */
static void it_has_three_descriptors(void **state)
{
    static const char program[] = "import os; print(*sorted(os.listdir('/proc/self/fd')))";
    static const char *const argv[] = {"/usr/bin/python3", "-Ic", program, NULL};
    struct run other, run;

    begin_shell(&other, *state, "cat");
    begin(&run, *state, argv, plain_env);
    expect_text(&run, "0 1 2 3\n");
    finish(&run);
    close_input(&other);
    finish(&other);
}

/* Programs expect to wait in read and write; we do not. */
static void its_ends_block(void **state)
{
    static const char program[] = "import os; print(*map(os.get_blocking, (0, 1)))";
    static const char *const argv[] = {"/usr/bin/python3", "-Ic", program, NULL};
    struct run run;

    begin(&run, *state, argv, plain_env);
    assert_true(fcntl(run.in, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(run.out, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(run.in, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(run.out, F_GETFD) & FD_CLOEXEC);
    expect_text(&run, "True True\n");
    finish(&run);
}

/* Signals 1 to 31; the rest of the mask is left to whoever started these tests. */
static void it_takes_signals_as_usual(void **state)
{
    static const char program[] = "exec sed -nE 's/^(SigBlk|SigIgn):.*[08](.{7})$/\\1 \\2/p' "
                                  "/proc/self/status";
    sigset_t blocked;
    struct run run;

    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR2);
    assert_int_equal(sigprocmask(SIG_BLOCK, &blocked, NULL), 0);
    signal(SIGUSR1, SIG_IGN);
    begin_shell(&run, *state, program);
    expect_text(&run, "SigBlk 0000000\nSigIgn 0000000\n");
    finish(&run);
    signal(SIGUSR1, SIG_DFL);
    assert_int_equal(sigprocmask(SIG_UNBLOCK, &blocked, NULL), 0);
}

/* Its output has an end only when its own children are gone, too. */
static void a_signal_reaches_the_whole_session(void **state)
{
    struct run run;
    char ready[6];

    begin_shell(&run, *state, "sleep 1000 & sleep 1000 & echo ready; wait");
    wait_readable(run.out);
    assert_int_equal(read(run.out, ready, sizeof ready), 6);
    io_child_kill(run.child, SIGTERM);
    expect_text(&run, "");
    io_loop_run(run.loop);
    assert_int_equal(run.signal, SIGTERM);
    io_child_kill(run.child, SIGTERM); /* has ended: nobody gets it */
    finish(&run);
}

/* It asks only when we have said something, for its limit is set after it has begun. */
static void it_has_the_limit_that_we_began_with(void **state)
{
    struct rlimit limit;
    struct run run;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 200;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(io_raise_file_limit() > limit.rlim_cur);
    begin_shell(&run, *state, "read x; ulimit -Sn");
    assert_int_equal(write(run.in, "\n", 1), 1);
    expect_text(&run, "200\n");
    finish(&run);
}

/* Freed while it runs: nobody is called, it goes on, and leaves no zombie. */
static void one_that_is_freed_is_reaped(void **state)
{
    struct run run;
    struct io_loop *loop = *state;

    begin_shell(&run, loop, "read x; echo \"$x\"");
    io_child_free(run.child);
    io_loop_run(loop); /* does not wait for it */
    assert_int_equal(write(run.in, "alive\n", 6), 6);
    expect_text(&run, "alive\n");
    for (int i = 0; waitpid(-1, NULL, WNOHANG | __WALL) != -1 && i < PATIENCE_MS; i++) {
        uv_run(&loop->uv, UV_RUN_NOWAIT);
        usleep(1000);
    }
    assert_int_equal(errno, ECHILD);
    assert_false(run.ended);
    close(run.in);
    close(run.out);
}

static void a_loop_does_not_wait_for_one_that_was_freed(void **state)
{
    struct io_loop *loop = new_loop();
    struct run run;

    (void)state;
    begin_shell(&run, loop, "exec cat");
    io_child_free(run.child);
    io_loop_free(loop);
    close_input(&run);
    expect_text(&run, "");
    close(run.out);
    assert_true(waitpid(-1, NULL, 0) > 0);
}

/* A loop of its own on another thread, with children that end while others do. */
static void on_other_thread(void *context)
{
    unsigned *good = context;
    struct io_loop *loop = NULL;

    if (io_loop_new(&loop))
        return;
    for (int i = 0; i < 20; i++) {
        const char *const argv[] = {"/bin/sh", "-c", "exit 7", NULL};
        struct run run = {.loop = loop};

        if (io_child_new(&run.child, loop, argv, plain_env, &run.in, &run.out, on_end, &run))
            break;
        io_loop_run(loop);
        *good += run.ended && run.status == 7 && run.signal == 0;
        io_child_free(run.child);
        close(run.in);
        close(run.out);
    }
    io_loop_free(loop);
}

static void each_loop_hears_of_its_own(void **state)
{
    enum { THREADS = 3 };
    struct io_thread *threads[THREADS];
    unsigned good[THREADS] = {0};

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(io_thread_new(&threads[i], on_other_thread, &good[i]), HELIO_OK);
    for (int i = 0; i < 20; i++) {
        struct run run;

        begin_shell(&run, *state, "exit 9");
        finish(&run);
        assert_int_equal(run.status, 9);
    }
    for (int i = 0; i < THREADS; i++) {
        io_thread_join(threads[i]);
        assert_int_equal(good[i], 20);
    }
}

static size_t descriptors_before;

static int set_up(void **state)
{
    signal(SIGPIPE, SIG_IGN);
    /* What whoever started us has left open. */
    for (int fd = 3; fd < 1024; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    *state = new_loop();
    /* libuv opens its own with the first child. */
    struct run run;
    begin_shell(&run, *state, "exit 0");
    finish(&run);
    io_loop_run(*state);
    descriptors_before = count_descriptors();
    return 0;
}

static int clear(void **state)
{
    struct io_loop *loop = *state;

    io_loop_run(loop);
    if (count_descriptors() != descriptors_before) {
        print_error("%zu descriptors, and there were %zu\n", count_descriptors(),
                    descriptors_before);
        return -1;
    }
    io_loop_free(loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(how_it_ended),
        cmocka_unit_test(what_cannot_be_started),
        cmocka_unit_test(it_has_the_environment_it_was_given),
        cmocka_unit_test(it_is_where_we_are),
        cmocka_unit_test(words_go_through),
        cmocka_unit_test(it_has_three_descriptors),
        cmocka_unit_test(its_ends_block),
        cmocka_unit_test(it_takes_signals_as_usual),
        cmocka_unit_test(a_signal_reaches_the_whole_session),
        cmocka_unit_test(one_that_is_freed_is_reaped),
        cmocka_unit_test(a_loop_does_not_wait_for_one_that_was_freed),
        cmocka_unit_test(each_loop_hears_of_its_own),
        cmocka_unit_test(it_has_the_limit_that_we_began_with),
    };

    return cmocka_run_group_tests_name("child", tests, set_up, clear);
}
