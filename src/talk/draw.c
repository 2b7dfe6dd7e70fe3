#include "talk/draw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/wipe.h"

/* --------------------------------------------------------------------------------------- ink -- */

/* Moves to a larger place by hand: realloc would leave a copy of the old bytes behind. */
static bool ink_grow(struct ink *ink, size_t n)
{
    size_t capacity = ink->capacity ? ink->capacity : 512;

    while (capacity - ink->n < n) {
        if (capacity > SIZE_MAX / 2)
            return false;
        capacity *= 2;
    }
    if (capacity == ink->capacity)
        return true;
    char *bytes = malloc(capacity);
    if (!bytes)
        return false;
    if (ink->n)
        memcpy(bytes, ink->bytes, ink->n);
    wipe(ink->bytes, ink->n);
    free(ink->bytes);
    ink->bytes = bytes;
    ink->capacity = capacity;
    return true;
}

void ink_put(struct ink *ink, const char *bytes, size_t n)
{
    if (n == 0 || ink->failed)
        return;
    if (!ink_grow(ink, n)) {
        ink->failed = true;
        return;
    }
    memcpy(ink->bytes + ink->n, bytes, n);
    ink->n += n;
}

void ink_text(struct ink *ink, const char *text)
{
    ink_put(ink, text, strlen(text));
}

void ink_move(struct ink *ink, unsigned count, char letter)
{
    char sequence[16];

    if (count == 0)
        return;
    snprintf(sequence, sizeof sequence, "\033[%u%c", count, letter);
    ink_text(ink, sequence);
}

void ink_clear(struct ink *ink)
{
    wipe(ink->bytes, ink->n);
    free(ink->bytes);
    *ink = (struct ink){0};
}

/* -------------------------------------------------------------------------------- characters -- */

size_t utf8_encode(wchar_t wide, char out[4])
{
    uint32_t code = (uint32_t)wide;
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t leads[] = {0x00, 0xc0, 0xe0, 0xf0};

    for (size_t i = n; i-- > 1; code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(leads[n - 1] | code);
    return n;
}

/* What is drawn for one character, and in how many columns. */
struct glyph {
    char bytes[16];
    size_t n;
    unsigned width;
};

static void glyph_escape(struct glyph *glyph, uint8_t byte)
{
    static const char digits[] = "0123456789abcdef";
    const char escaped[] = {'\\', 'x', digits[byte >> 4], digits[byte & 15]};

    memcpy(glyph->bytes + glyph->n, escaped, sizeof escaped);
    glyph->n += sizeof escaped;
    glyph->width += (unsigned)sizeof escaped;
}

static struct glyph glyph_of(wchar_t code)
{
    struct glyph glyph = {0};
    char utf8[4];
    size_t n = utf8_encode(code, utf8);
    int width = text_code_shown((uint32_t)code) ? wcwidth(code) : -1;

    if (width >= 0) {
        memcpy(glyph.bytes, utf8, n);
        glyph.n = n;
        glyph.width = (unsigned)width;
    } else {
        for (size_t i = 0; i < n; i++)
            glyph_escape(&glyph, (uint8_t)utf8[i]);
    }
    return glyph;
}

/* --------------------------------------------------------------------------------------- pen -- */

struct pen pen_on(struct ink *ink, unsigned width, unsigned indent)
{
    /* An indent that leaves no room for text would never end. */
    return (struct pen){.ink = ink,
                        .width = width ? width : 1,
                        .indent = indent + 8 <= width ? indent : 0,
                        .last = UINT32_MAX};
}

static bool pen_draws(const struct pen *pen)
{
    return pen->ink && pen->row >= pen->first && pen->row <= pen->last;
}

static void pen_put(struct pen *pen, const char *bytes, size_t n, unsigned width)
{
    if (pen_draws(pen))
        ink_put(pen->ink, bytes, n);
    pen->column += width;
}

static void pen_newline(struct pen *pen)
{
    bool drawn = pen_draws(pen);

    pen->row++;
    pen->column = 0;
    if (drawn && pen_draws(pen))
        ink_text(pen->ink, "\r\n");
    for (unsigned i = 0; i < pen->indent; i++)
        pen_put(pen, " ", 1, 1);
}

static void pen_glyph(struct pen *pen, const struct glyph *glyph)
{
    if (glyph->width <= pen->width && pen->column + glyph->width > pen->width)
        pen_newline(pen);
    /* What is wider than the whole terminal is broken like text: only escapes can be, or a terminal
     * of one column. */
    if (pen->column + glyph->width <= pen->width) {
        pen_put(pen, glyph->bytes, glyph->n, glyph->width);
        return;
    }
    for (size_t i = 0; i < glyph->width; i++) {
        if (pen->column >= pen->width)
            pen_newline(pen);
        pen_put(pen, glyph->width == glyph->n ? glyph->bytes + i : "?", 1, 1);
    }
}

static void pen_tab(struct pen *pen)
{
    unsigned stop = (pen->column / 8 + 1) * 8;

    if (pen->column >= pen->width) {
        pen_newline(pen);
        stop = pen->column + 8;
    }
    while (pen->column < stop && pen->column < pen->width)
        pen_put(pen, " ", 1, 1);
}

void pen_code(struct pen *pen, wchar_t code)
{
    if (code == L'\n') {
        pen_newline(pen);
    } else if (code == L'\t') {
        pen_tab(pen);
    } else {
        struct glyph glyph = glyph_of(code);

        pen_glyph(pen, &glyph);
        wipe(&glyph, sizeof glyph);
    }
}

void pen_bytes(struct pen *pen, const char *p, size_t n)
{
    const uint8_t *at = (const uint8_t *)p;

    while (n > 0) {
        uint32_t code;
        size_t taken = utf8_decode(at, n, &code);

        if (taken > 0) {
            pen_code(pen, (wchar_t)code);
        } else {
            struct glyph glyph = {0};

            glyph_escape(&glyph, *at);
            pen_glyph(pen, &glyph);
            taken = 1;
        }
        at += taken;
        n -= taken;
    }
}

static size_t word_length(const char *p, size_t n)
{
    size_t length = 0;

    while (length < n && !strchr(" \t\n", p[length]))
        length++;
    /* strchr finds the NUL, too; here it is a character like others. */
    return length < n && p[length] == '\0' ? length + 1 : length;
}

void pen_words(struct pen *pen, const char *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        size_t length = word_length(p + at, n - at);
        struct pen measure = pen_on(NULL, UINT32_MAX, 0);

        pen_bytes(&measure, p + at, length);
        /* A word that fits in no row is cut where the row ends. */
        if (pen->column > pen->indent && measure.column > pen->width - pen->column &&
            measure.column <= pen->width - pen->indent)
            pen_newline(pen);
        pen_bytes(pen, p + at, length);
        at += length;
        if (length > 0 || at == n)
            continue;
        /* Spaces at a row's end vanish in it. */
        if (p[at] != ' ' || pen->column < pen->width)
            pen_code(pen, (wchar_t)p[at]);
        at++;
    }
}

void pen_text(struct pen *pen, const char *text)
{
    pen_bytes(pen, text, strlen(text));
}

void pen_style(struct pen *pen, const char *sequence)
{
    pen_put(pen, sequence, strlen(sequence), 0);
}

/* ---------------------------------------------------------------------------- the typed line -- */

/* Runs the pen over the line; returns where the cursor stands. */
static struct layout typed_walk(struct pen *pen, const struct typed *typed)
{
    struct layout at = {0};

    pen_text(pen, typed->prompt);
    for (size_t i = 0; i <= typed->n; i++) {
        /* A character that does not fit takes the cursor along to the next row. */
        unsigned room = 1;
        if (i < typed->n && typed->text[i] != L'\t')
            room = glyph_of(typed->text[i]).width;
        if (i == typed->cursor) {
            bool fits = pen->column + room <= pen->width;

            at.row = fits ? pen->row : pen->row + 1;
            at.column = fits ? pen->column : 0;
        }
        if (i < typed->n)
            pen_code(pen, typed->text[i]);
    }
    at.rows = pen->row + 1;
    at.end = pen->column;
    if (at.row >= at.rows) {
        /* The cursor waits behind a full last row. */
        pen_newline(pen);
        at.rows = at.row + 1;
        at.end = 0;
    }
    return at;
}

static void layout_choose_rows(struct layout *layout, unsigned most, const struct layout *before)
{
    unsigned first = before->first;

    if (layout->rows <= most) {
        first = 0;
    } else {
        if (first + most > layout->rows)
            first = layout->rows - most;
        if (layout->row < first)
            first = layout->row;
        if (layout->row >= first + most)
            first = layout->row - most + 1;
    }
    layout->first = first;
    layout->last = first + most < layout->rows ? first + most - 1 : layout->rows - 1;
}

struct layout draw_typed(struct ink *ink, const struct typed *typed, unsigned width, unsigned most,
                         const struct layout *before)
{
    struct pen counting = pen_on(NULL, width, 0);
    struct layout layout = typed_walk(&counting, typed);

    layout_choose_rows(&layout, most ? most : 1, before);
    struct pen drawing = pen_on(ink, width, 0);
    drawing.first = layout.first;
    drawing.last = layout.last;
    typed_walk(&drawing, typed);
    ink_move(ink, layout.last - layout.row, 'A');
    ink_text(ink, "\r");
    ink_move(ink, layout.column, 'C');
    return layout;
}

unsigned layout_rows_above(const struct layout *layout, unsigned was, unsigned is)
{
    unsigned shown = layout->row - layout->first;

    if (is >= was || is == 0)
        return shown;
    return shown * ((was + is - 1) / is) + layout->column / is;
}
