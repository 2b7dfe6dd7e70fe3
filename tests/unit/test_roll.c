/*
 * test_roll.c: the list of stations is read, held, and read again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/say.h"
#include "serve/roll.h"
#include "unit/scratch.h"

#define KEY_A "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define KEY_B "SHA256:BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

/* ----------------------------------------------------------------------------------- helpers -- */

static char heard[8192];

static void hear(void *context, const char *text, size_t n)
{
    size_t there = strlen(heard);

    (void)context;
    assert_true(there + n < sizeof heard);
    memcpy(heard + there, text, n);
    heard[there + n] = '\0';
}

static int listen_in(void **state)
{
    say_setup(false, false, false);
    say_through(hear, NULL);
    return scratch_enter(state);
}

static int stop_listening(void **state)
{
    say_through(NULL, NULL);
    return scratch_leave(state);
}

static void write_file(const char *name, const char *text)
{
    unlink(name);
    scratch_write(name, text, strlen(text), 0600);
}

static void expect_heard(const char *what)
{
    if (!strstr(heard, what))
        fail_msg("expected to hear \"%s\", heard \"%s\"", what, heard);
}

/* The names on the roll as it is now, each with a blank behind it. */
static const char *names(struct roll *roll)
{
    static char text[256];
    struct roll_list *list = roll_hold(roll);
    const helio_known *known = roll_known(list);

    text[0] = '\0';
    for (size_t i = 0; i < helio_known_count(known); i++) {
        strcat(text, helio_known_at(known, i)->name);
        strcat(text, " ");
    }
    roll_let_go(list);
    return text;
}

/* ----------------------------------------------------------------------------------- beginning -- */

/* "known" and "allow" are written where their text is not NULL. */
static const struct begin_case {
    const char *what;
    const char *known, *allow;
    bool strict;
    int status;
    const char *names; /* or, on failure, what is heard */
} begin_cases[] = {
    {"known stations", "a " KEY_A "\n", "b " KEY_B "\n", false, STATUS_DONE, "a "},
    {"no known stations", NULL, NULL, false, STATUS_DONE, ""},
    {"--allow", "a " KEY_A "\n", "b " KEY_B "\n", true, STATUS_DONE, "b "},
    {"--allow of nobody", "a " KEY_A "\n", "# nobody yet\n", true, STATUS_DONE, ""},
    {"--allow without its file", "a " KEY_A "\n", NULL, true, STATUS_LOCAL,
     "cannot read allow: No such file"},
    {"--allow with a bad line", NULL, "b " KEY_B "\nc\n", true, STATUS_LOCAL, "allow:2: "},
    {"--allow with a name twice", NULL, "b " KEY_B "\n\nb " KEY_A "\n", true, STATUS_LOCAL,
     "allow:3: "},
    {"known with a bad line", "-\n", NULL, false, STATUS_LOCAL, "known:1: "},
};

static void the_roll_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof begin_cases / sizeof *begin_cases; i++) {
        const struct begin_case *c = &begin_cases[i];
        struct options options = {.known = "known", .allow = c->strict ? "allow" : NULL};
        struct roll *roll;
        int status;

        scratch_empty(NULL);
        if (c->known)
            write_file("known", c->known);
        if (c->allow)
            write_file("allow", c->allow);
        heard[0] = '\0';
        status = roll_new(&roll, &options);
        if (status != c->status)
            fail_msg("%s: expected status %d, seen %d (%s)", c->what, c->status, status, heard);
        if (status != STATUS_DONE) {
            assert_null(roll);
            expect_heard(c->names);
            continue;
        }
        assert_string_equal(heard, "");
        assert_string_equal(names(roll), c->names);
        assert_int_equal(roll_strict(roll), c->strict);
        assert_string_equal(roll_path(roll), c->strict ? "allow" : "known");
        roll_free(roll);
    }
}

/* ------------------------------------------------------------------------------ reading again -- */

static const struct again_case {
    const char *what;
    const char *text; /* NULL: the file is gone */
    mode_t mode;
    bool strict;
    int status;
    const char *names;
    const char *heard;
} again_cases[] = {
    {"another", "b " KEY_B "\nc " KEY_A "\n", 0600, true, STATUS_DONE, "b c ", "stations 2"},
    {"nobody", "", 0600, true, STATUS_DONE, "", "stations 0"},
    {"gone", NULL, 0, true, STATUS_LOCAL, "a ", "No such file"},
    {"known gone", NULL, 0, false, STATUS_DONE, "", "stations 0"},
    {"bad line", "b " KEY_B "\nb\n", 0600, true, STATUS_LOCAL, "a ", "file:2: "},
    {"open to others", "b " KEY_B "\n", 0666, true, STATUS_LOCAL, "a ", "others may write"},
};

static void a_bad_file_leaves_the_old_list(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof again_cases / sizeof *again_cases; i++) {
        const struct again_case *c = &again_cases[i];
        struct options options = {.known = "file", .allow = c->strict ? "file" : NULL};
        struct roll *roll;
        int status;

        write_file("file", "a " KEY_A "\n");
        heard[0] = '\0';
        assert_int_equal(roll_new(&roll, &options), STATUS_DONE);
        unlink("file");
        if (c->text) {
            write_file("file", c->text);
            assert_int_equal(chmod("file", c->mode), 0);
        }
        status = roll_reload(roll);
        if (status != c->status)
            fail_msg("%s: expected status %d, seen %d (%s)", c->what, c->status, status, heard);
        assert_string_equal(names(roll), c->names);
        expect_heard(c->heard);
        if (status != STATUS_DONE)
            expect_heard("served on");
        roll_free(roll);
    }
}

/* Who holds a list has it as it was, and as long as it wants to. */
static void a_held_list_does_not_change(void **state)
{
    struct options options = {.known = "file"};
    struct roll *roll;
    struct roll_list *held;

    (void)state;
    write_file("file", "a " KEY_A "\n");
    assert_int_equal(roll_new(&roll, &options), STATUS_DONE);
    held = roll_hold(roll);
    for (int i = 0; i < 3; i++) {
        heard[0] = '\0';
        write_file("file", "b " KEY_B "\n");
        assert_int_equal(roll_reload(roll), STATUS_DONE);
    }
    assert_string_equal(names(roll), "b ");
    assert_non_null(helio_known_by_name(roll_known(held), "a"));
    assert_null(helio_known_by_name(roll_known(held), "b"));
    roll_let_go(held);
    roll_free(roll);
}

/* ----------------------------------------------------------------------------------- threads -- */

/* The two lists that the file has in turn; never something in between. */
static const char *const texts[] = {
    "a " KEY_A "\nb " KEY_A "\n",
    "c " KEY_B "\nd " KEY_B "\ne " KEY_B "\n",
};

struct readers {
    struct roll *roll;
    atomic_bool stop;
    atomic_uint looked, wrong;
};

static void *read_on(void *context)
{
    struct readers *readers = context;

    while (!atomic_load(&readers->stop)) {
        struct roll_list *list = roll_hold(readers->roll);
        const helio_known *known = roll_known(list);
        bool first = helio_known_by_name(known, "a") != NULL;
        size_t n = helio_known_count(known);

        if (n != (first ? 2 : 3) || !helio_known_by_name(known, first ? "b" : "e"))
            atomic_fetch_add(&readers->wrong, 1);
        roll_let_go(list);
        atomic_fetch_add(&readers->looked, 1);
    }
    return NULL;
}

static void readers_and_a_reload_keep_apart(void **state)
{
    enum { THREADS = 3, RELOADS = 200 };
    struct options options = {.known = "file"};
    struct readers readers = {.roll = NULL};
    pthread_t threads[THREADS];

    (void)state;
    write_file("file", texts[0]);
    assert_int_equal(roll_new(&readers.roll, &options), STATUS_DONE);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readers), 0);
    for (int i = 0; i < RELOADS; i++) {
        unsigned looked = atomic_load(&readers.looked);

        heard[0] = '\0';
        write_file("file", texts[i % 2]);
        assert_int_equal(roll_reload(readers.roll), STATUS_DONE);
        while (atomic_load(&readers.looked) == looked)
            usleep(10);
    }
    atomic_store(&readers.stop, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&readers.wrong), 0);
    roll_free(readers.roll);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_roll_is_read, scratch_empty),
        cmocka_unit_test_teardown(a_bad_file_leaves_the_old_list, scratch_empty),
        cmocka_unit_test_teardown(a_held_list_does_not_change, scratch_empty),
        cmocka_unit_test_teardown(readers_and_a_reload_keep_apart, scratch_empty),
    };

    return cmocka_run_group_tests(tests, listen_in, stop_listening);
}
