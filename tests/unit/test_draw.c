#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/text.h"
#include "talk/draw.h"

enum { TEXT_MAX = 300, ROUNDS = 20000 };

/* A small generator, so that a failure can be had again from its seed. */
static uint32_t draw_number(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* One, two and no columns; what is escaped; a tab. */
static const wchar_t alphabet[] =
    L"abc xyz-\u00e9\u65e5\u672c\U0001f6f0\u0301\u200b\u202e\x9b\x1b\t";

static unsigned columns_of(const char *p, size_t n)
{
    unsigned columns = 0;

    while (n > 0) {
        uint32_t code = 0;
        size_t taken = utf8_decode((const uint8_t *)p, n, &code);

        assert_true(taken > 0);
        int width = wcwidth((wchar_t)code);
        assert_true(width >= 0);
        columns += (unsigned)width;
        p += taken;
        n -= taken;
    }
    return columns;
}

/* Checks that no row is wider than it may be; returns how many rows there are. */
static unsigned rows_fit(const char *bytes, size_t n, unsigned width, uint32_t seed)
{
    unsigned rows = 0;

    for (size_t at = 0;; rows++) {
        const char *end = memmem(bytes + at, n - at, "\r\n", 2);
        size_t length = end ? (size_t)(end - bytes) - at : n - at;
        unsigned columns = columns_of(bytes + at, length);

        if (columns > width)
            fail_msg("seed %u: row %u has %u columns of %u", seed, rows, columns, width);
        if (!end)
            return rows + 1;
        at += length + 2;
    }
}

static size_t random_text(uint32_t *state, wchar_t text[TEXT_MAX])
{
    size_t n = draw_number(state) % TEXT_MAX;

    for (size_t i = 0; i < n; i++)
        text[i] = alphabet[draw_number(state) % (sizeof alphabet / sizeof *alphabet - 1)];
    return n;
}

static void typed_rows_fit_and_the_cursor_is_in_them(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= ROUNDS; seed++) {
        uint32_t random = seed;
        wchar_t text[TEXT_MAX];
        struct typed typed = {.prompt = "> ", .text = text, .n = random_text(&random, text)};
        unsigned width = 1 + draw_number(&random) % 50, most = 1 + draw_number(&random) % 12;
        struct layout before = {.first = draw_number(&random) % 9};
        struct ink ink = {0};

        typed.cursor = draw_number(&random) % (typed.n + 1);
        struct layout layout = draw_typed(&ink, &typed, width, most, &before);
        assert_false(ink.failed);
        /* The text ends where the cursor is sent back into it. */
        size_t n = ink.n;
        while (n > 0 && ink.bytes[n - 1] != '\r')
            n--;
        assert_true(n > 0);
        n--;
        const char *up = memmem(ink.bytes, n, "\033[", 2);
        if (up)
            n = (size_t)(up - ink.bytes);
        unsigned rows = rows_fit(ink.bytes, n, width, seed);
        if (rows != layout.last - layout.first + 1 || rows > most || layout.last >= layout.rows ||
            layout.row < layout.first || layout.row > layout.last || layout.column > width)
            fail_msg("seed %u: rows %u of %u (at most %u), shown %u to %u, cursor %u,%u", seed,
                     rows, layout.rows, most, layout.first, layout.last, layout.row, layout.column);
        ink_clear(&ink);
    }
}

static void no_row_of_a_message_begins_without_its_indent(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= ROUNDS; seed++) {
        uint32_t random = seed;
        char bytes[TEXT_MAX];
        size_t n = draw_number(&random) % TEXT_MAX;
        unsigned width = 1 + draw_number(&random) % 50;
        struct ink ink = {0};
        struct pen pen = pen_on(&ink, width, 6);

        for (size_t i = 0; i < n; i++) /* half of it spaces and newlines, the rest anything */
            bytes[i] = draw_number(&random) % 2 ? " \n"[draw_number(&random) % 2]
                                                : (char)draw_number(&random);
        pen_words(&pen, bytes, n);
        if (ink.n > 0 && rows_fit(ink.bytes, ink.n, width, seed) != pen.row + 1)
            fail_msg("seed %u: the pen counts %u rows", seed, pen.row + 1);
        size_t left = ink.n;
        const char *at = ink.bytes;
        while (left > 0 && (at = memmem(at, left, "\r\n", 2))) {
            at += 2;
            left = ink.n - (size_t)(at - ink.bytes);
            if (width >= 14 && (left < 6 || memcmp(at, "      ", 6) != 0))
                fail_msg("seed %u: a row without its indent", seed);
        }
        ink_clear(&ink);
    }
}

static const struct narrowed {
    struct layout layout;
    unsigned was, is, above;
} narrowed[] = {
    {{.rows = 1}, 80, 40, 0},
    {{.rows = 1, .column = 30}, 80, 40, 0},
    {{.rows = 1, .column = 79}, 80, 40, 1},
    {{.rows = 3, .row = 2, .column = 5, .last = 2}, 80, 40, 4},
    {{.rows = 3, .row = 2, .column = 45, .last = 2}, 80, 40, 5},
    {{.rows = 3, .row = 2, .column = 5, .last = 2}, 80, 79, 4},
    {{.rows = 9, .row = 6, .first = 5, .column = 5, .last = 8}, 80, 40, 2},
    {{.rows = 3, .row = 2, .column = 5, .last = 2}, 80, 120, 2},
    {{.rows = 3, .row = 2, .column = 5, .last = 2}, 80, 80, 2},
    {{.rows = 3, .row = 2, .column = 5, .last = 2}, 80, 0, 2},
};

static void rows_above_the_cursor_after_narrowing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof narrowed / sizeof *narrowed; i++) {
        const struct narrowed *c = &narrowed[i];
        unsigned above = layout_rows_above(&c->layout, c->was, c->is);

        if (above != c->above)
            fail_msg("case %zu: expected %u, got %u", i, c->above, above);
    }
}

static void utf8_goes_there_and_back(void **state)
{
    (void)state;
    for (uint32_t code = 1; code <= 0x10ffff; code++) {
        char bytes[4];
        uint32_t back = 0;

        if (code >= 0xd800 && code <= 0xdfff)
            continue;
        size_t n = utf8_encode((wchar_t)code, bytes);
        if (utf8_decode((const uint8_t *)bytes, n, &back) != n || back != code)
            fail_msg("U+%04X comes back as U+%04X", code, back);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(typed_rows_fit_and_the_cursor_is_in_them),
        cmocka_unit_test(no_row_of_a_message_begins_without_its_indent),
        cmocka_unit_test(rows_above_the_cursor_after_narrowing),
        cmocka_unit_test(utf8_goes_there_and_back),
    };

    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        return 1;
    return cmocka_run_group_tests_name("draw", tests, NULL, NULL);
}
