/*
 * draw.h: text laid out in the rows of a terminal.
 *
 * What it is.  The part of the chat that computes: which row and column a character falls in, and
 * the bytes that draw it there.  It knows no terminal and writes nothing; what it makes is
 * collected in a struct ink, which the owner writes out and wipes.
 *
 * Invariants: rows are broken here, with "\r\n", never by the terminal, so that no text, however
 * chosen, can begin a row of its own: every row but the first begins with the indent.  Characters
 * that text_code_shown refuses, and bytes that are not UTF-8, are drawn as \xNN.
 *
 * The widths are wcwidth's, so LC_CTYPE must be a UTF-8 locale.
 */
#ifndef HELIO_TALK_DRAW_H
#define HELIO_TALK_DRAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <wchar.h>

/* Bytes on their way to the terminal.  Zero it before use; failed is set when memory ran out. */
struct ink {
    char *bytes;
    size_t n;
    size_t capacity;
    bool failed;
};

void ink_put(struct ink *ink, const char *bytes, size_t n);
void ink_text(struct ink *ink, const char *text);
/* "\x1b[" count letter; nothing when count is 0. */
void ink_move(struct ink *ink, unsigned count, char letter);
/* Wipes and frees; usable again. */
void ink_clear(struct ink *ink);

/* Where the next character goes.  Only the rows first to last are drawn; the others are counted. */
struct pen {
    struct ink *ink; /* NULL: only count */
    unsigned width;  /* of the terminal, at least 1 */
    unsigned indent; /* columns left empty at the beginning of each further row */
    unsigned row;
    unsigned column;
    unsigned first;
    unsigned last;
};

/* A pen at row 0, column 0 that draws everything. */
struct pen pen_on(struct ink *ink, unsigned width, unsigned indent);
/* One character.  A newline begins a row; a tab moves to the next multiple of 8. */
void pen_code(struct pen *pen, wchar_t code);
/* p[0..n), taken as UTF-8 where it is. */
void pen_bytes(struct pen *pen, const char *p, size_t n);
/* The same; a row ends between words where it can. */
void pen_words(struct pen *pen, const char *p, size_t n);
void pen_text(struct pen *pen, const char *text);
/* Bytes that take no room, such as a colour. */
void pen_style(struct pen *pen, const char *sequence);

/* code as UTF-8 in out[0..4]; returns how many bytes. */
size_t utf8_encode(wchar_t wide, char out[4]);

/* How the typed line stands in its rows. */
struct layout {
    unsigned rows; /* at least 1 */
    unsigned end;  /* columns used in the last row */
    unsigned row;  /* where the cursor is */
    unsigned column;
    unsigned first; /* the row that is drawn first: not 0 when the line is too tall */
    unsigned last;
};

/* A line being typed: what stands before it, its characters, and where among them the cursor is. */
struct typed {
    const char *prompt;
    const wchar_t *text;
    size_t n;
    size_t cursor; /* 0 to n */
};

/*
 * Lays typed out in a terminal of that width and draws it to ink, at most `most` rows of it, those
 * around the cursor.  before is the layout that was drawn last, so that the rows shown move only
 * when they must.  Afterwards the terminal's cursor is at layout.row, layout.column.
 */
struct layout draw_typed(struct ink *ink, const struct typed *typed, unsigned width, unsigned most,
                         const struct layout *before);

/*
 * In how many rows above the cursor a line drawn in a terminal `was` columns wide stands now that
 * it is `is` columns wide, when the terminal breaks rows that became too long (most do).
 */
unsigned layout_rows_above(const struct layout *layout, unsigned was, unsigned is);

#endif
