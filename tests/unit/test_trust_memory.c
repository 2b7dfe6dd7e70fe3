/*
 * Each allocation of src/identity, and of the reading and writing of keys under it, fails in turn:
 * the call says so, frees what it had, and leaves the files as they were.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helio.h"
#include "support/memory.h"
#include "unit/scratch.h"

static helio_identity *saved; /* made before anything fails */

static enum helio_err known_load(void)
{
    helio_known *known;
    enum helio_err err = helio_known_load(&known, "known", NULL);

    helio_known_free(known);
    return err;
}

static enum helio_err known_add(void)
{
    helio_fingerprint fp = {{1}};

    return helio_known_add("known", "new", &fp);
}

static enum helio_err known_add_first(void)
{
    helio_fingerprint fp = {{1}};

    return helio_known_add("first", "new", &fp);
}

static enum helio_err known_remove(void)
{
    return helio_known_remove("known", "s7");
}

static enum helio_err identity_load(void)
{
    helio_identity *id;
    enum helio_err err = helio_identity_load(&id, "identity", NULL, NULL);

    helio_identity_free(id);
    return err;
}

static enum helio_err identity_save(void)
{
    return helio_identity_save(saved, "first", NULL, 0);
}

/* at_least: allocations that the call cannot do without, so that the test cannot pass idly. */
static const struct call {
    const char *what;
    enum helio_err (*run)(void);
    unsigned at_least;
} rows[] = {
    {"load", known_load, 4},
    {"add", known_add, 8},
    {"add to no file", known_add_first, 5},
    {"remove", known_remove, 8},
    {"load an identity", identity_load, 3},
    {"save an identity", identity_save, 2},
};

static void write_known(void)
{
    char text[HELIO_FINGERPRINT_TEXT], lines[40 * (HELIO_FINGERPRINT_TEXT + 8)];
    size_t n = 0;

    for (unsigned i = 0; i < 40; i++) {
        helio_fingerprint fp = {{(uint8_t)i}};

        helio_fingerprint_format(&fp, text);
        n += (size_t)snprintf(lines + n, sizeof lines - n, "s%u %s\n", i, text);
    }
    scratch_write("known", lines, n, 0600);
}

static void assert_unchanged(const struct call *row, unsigned failed, const char *before,
                             size_t before_n)
{
    size_t n;
    char *text = scratch_read("known", &n);

    if (n != before_n || memcmp(text, before, n) != 0 || scratch_exists("first") ||
        scratch_count(".helio-") != 0)
        fail_msg("%s: call %u failed and left a trace", row->what, failed);
    free(text);
}

static void run_row(const struct call *row)
{
    enum helio_err err = HELIO_E_MEMORY;
    size_t n;

    write_known();
    assert_int_equal(helio_identity_save(saved, "identity", NULL, 0), HELIO_OK);
    char *before = scratch_read("known", &n);
    for (unsigned i = 1; err != HELIO_OK; i++) {
        long long before_live = memory_live_ours();

        memory_arm(i, false);
        err = row->run();
        unsigned made = (unsigned)memory_disarm();
        if (memory_live_ours() != before_live)
            fail_msg("%s: call %u failed, %lld blocks left", row->what, i,
                     memory_live_ours() - before_live);
        if (err != (made < i ? HELIO_OK : HELIO_E_MEMORY))
            fail_msg("%s: call %u of %u failed, seen %s", row->what, i, made, helio_strerror(err));
        if (err)
            assert_unchanged(row, i, before, n);
        else if (made < row->at_least)
            fail_msg("%s: expected %u allocations, seen %u", row->what, row->at_least, made);
    }
    free(before);
    assert_int_equal(scratch_empty(NULL), 0);
}

static void each_failed_allocation_is_told(void **state)
{
    (void)state;
    assert_int_equal(helio_identity_generate(&saved, 2048), HELIO_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        run_row(&rows[i]);
    helio_identity_free(saved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(each_failed_allocation_is_told, scratch_empty),
    };

    return cmocka_run_group_tests_name("trust_memory", tests, scratch_enter, scratch_leave);
}
