/*
 * test_say.c: what is said is harmless and whole: for people as text, for programs as JSON.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/say.h"

static const struct quoted_case {
    const char *text;
    size_t n;
    size_t cap;
    const char *quoted;
} quoted_cases[] = {
    {"alice", 5, 64, "alice"},
    {"", 0, 64, ""},
    {"na\xc3\xafve", 6, 64, "na\xc3\xafve"},
    {"a\x1b[2Jb", 6, 64, "a\\x1b[2Jb"},
    {"a\0b\n", 4, 64, "a\\x00b\\x0a"},
    {"\xff\xc3", 2, 64, "\\xff\\xc3"},
    {"\xe2\x80\xae!", 4, 64, "\\xe2\\x80\\xae!"},
    {"\xc2\x9b", 2, 64, "\\xc2\\x9b"},
    {"12345", 5, 6, "12345"},
    {"123456", 6, 6, "12..."},
    {"123456", 6, 4, "..."},
    {"\x01", 1, 4, "..."},
    {"\x01", 1, 5, "\\x01"},
    {"a\x01z", 3, 7, "a\\x01z"},
    {"a\x01z", 3, 6, "a..."},
    {"\xc3\xaf\xc3\xaf\xc3\xaf", 6, 6, "\xc3\xaf..."}, /* never half a character */
};

static void quoted_text_is_harmless_and_fits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof quoted_cases / sizeof *quoted_cases; i++) {
        const struct quoted_case *c = &quoted_cases[i];
        char out[65];

        memset(out, '#', sizeof out);
        say_quoted(out, c->cap, c->text, c->n);
        if (strcmp(out, c->quoted) != 0 || out[c->cap] != '#')
            fail_msg("row %zu: expected '%s', seen '%s'", i, c->quoted, out);
    }
}

/* Every text of one and two bytes, and every size of room for it. */
static void quoted_text_fits_any_room(void **state)
{
    (void)state;
    for (unsigned pair = 0; pair < 0x10000; pair++) {
        const uint8_t text[3] = {(uint8_t)(pair >> 8), (uint8_t)pair, 'x'};

        for (size_t cap = 4; cap <= 12; cap++) {
            char out[16];

            memset(out, '#', sizeof out);
            say_quoted(out, cap, text, sizeof text);
            size_t n = strnlen(out, cap);
            if (n >= cap || out[cap] != '#' || !text_is_name((const uint8_t *)out, n))
                fail_msg("bytes %04x in room for %zu: '%s'", pair, cap, out);
        }
    }
}

static const struct word_case {
    const char *text;
    const char *word;
} word_cases[] = {
    {"bob", "bob"},
    {"/home/a_b/x-1.pem", "/home/a_b/x-1.pem"},
    {"[::1]:7000", "'[::1]:7000'"},
    {"", "''"},
    {"two words", "'two words'"},
    {"$(reboot)", "'$(reboot)'"},
    {"bob's", "'bob'\\''s'"},
    {"'", "''\\'''"},
    {"a;b", "'a;b'"},
    {"~", "'~'"},
    {"na\xc3\xafve", "'na\xc3\xafve'"},
};

/* The shell itself is asked what the word means. */
static void shell_words_mean_their_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof word_cases / sizeof *word_cases; i++) {
        char word[64], command[128], seen[64] = "";

        say_shell_word(word, sizeof word, word_cases[i].text);
        assert_string_equal(word, word_cases[i].word);
        snprintf(command, sizeof command, "printf %%s %s", word);
        FILE *f = popen(command, "r");
        assert_non_null(f);
        seen[fread(seen, 1, sizeof seen - 1, f)] = '\0';
        assert_int_equal(pclose(f), 0);
        assert_string_equal(seen, word_cases[i].text);
    }
}

static void shell_words_stay_in_their_room(void **state)
{
    (void)state;
    for (size_t cap = 8; cap < 30; cap++) {
        char out[40];

        memset(out, '#', sizeof out);
        say_shell_word(out, cap, "a'''''''''''''''''''''''''''''''");
        size_t n = strnlen(out, cap);
        assert_true(n < cap && out[cap] == '#' && out[0] == '\'' && out[n - 1] == '\'');
    }
}

struct heard {
    char text[4096];
    unsigned times;
};

static void hear(void *context, const char *text, size_t n)
{
    struct heard *h = context;

    assert_true(n < sizeof h->text);
    memcpy(h->text, text, n);
    h->text[n] = '\0';
    h->times++;
}

static void levels_are_kept_apart(void **state)
{
    (void)state;
    for (int mode = 0; mode < 4; mode++) {
        bool quiet = mode & 1, verbose = mode & 2;
        struct heard h = {.times = 0};

        say_setup(quiet, verbose, false);
        say_through(hear, &h);
        say_error("e", "x");
        say_warn("w", "x");
        assert_int_equal(h.times, 2);
        say_note("n", "x");
        assert_int_equal(h.times, quiet ? 2 : 3);
        h.times = 0;
        say_detail("d", "x");
        assert_int_equal(h.times, verbose ? 1 : 0);
    }
    say_through(NULL, NULL);
}

static void messages_are_harmless_wherever_text_came_from(void **state)
{
    (void)state;
    struct heard h = {.times = 0};

    say_setup(false, false, false);
    say_through(hear, &h);
    say_error("e", "one %s\ntwo", "\x1b[2J\r\xff\xe2\x80\xae");
    say_through(NULL, NULL);
    assert_string_equal(h.text, "helio: one \\x1b[2J\\x0d\\xff\\xe2\\x80\\xae\ntwo\n");
}

static void json_holds_fields_and_escapes(void **state)
{
    (void)state;
    struct heard h = {.times = 0};

    say_setup(true, false, true);
    say_through(hear, &h);
    say_fields(
        SAY_ERROR, "an-event",
        (const struct say_field[]){{.key = "who", .text = "\"a\\\x1b\xff\xe2\x80\xae\xc3\xaf"},
                                   {.key = "n", .number = UINT64_MAX},
                                   {.key = NULL}},
        "%s\nb", "a");
    say_through(NULL, NULL);
    const char *tail = strstr(h.text, "\"level\"");
    assert_int_equal(strncmp(h.text, "{\"time\":\"2", 10), 0);
    assert_non_null(tail);
    assert_string_equal(tail, "\"level\":\"error\",\"event\":\"an-event\",\"message\":\"a\\nb\","
                              "\"who\":\"\\\"a\\\\\\u001b\\\\xff\\u202e\xc3\xaf\","
                              "\"n\":18446744073709551615}\n");
}

/* A caller may report errno and look at it again. */
static void saying_keeps_errno(void **state)
{
    (void)state;
    struct heard h = {.times = 0};

    say_setup(false, false, true);
    say_through(hear, &h);
    errno = 4711;
    say_error("e", "x");
    assert_int_equal(errno, 4711);
    say_through(NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quoted_text_is_harmless_and_fits),
        cmocka_unit_test(quoted_text_fits_any_room),
        cmocka_unit_test(shell_words_mean_their_text),
        cmocka_unit_test(shell_words_stay_in_their_room),
        cmocka_unit_test(levels_are_kept_apart),
        cmocka_unit_test(messages_are_harmless_wherever_text_came_from),
        cmocka_unit_test(json_holds_fields_and_escapes),
        cmocka_unit_test(saying_keeps_errno),
    };

    return cmocka_run_group_tests_name("say", tests, NULL, NULL);
}
