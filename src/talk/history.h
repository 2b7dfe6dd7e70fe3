/*
 * history.h: the lines that were typed, for libedit's keys that bring them back.
 *
 * It owns them, in memory only, and wipes them, because they are plaintext.
 */
#ifndef HELIO_TALK_HISTORY_H
#define HELIO_TALK_HISTORY_H

#include <histedit.h>
#include <stddef.h>
#include <wchar.h>

enum { HISTORY_MAX = 100 };

struct history_line {
    wchar_t *text; /* ends with a NUL */
    size_t n;
};

/* Zero it before use. */
struct history {
    struct history_line lines[HISTORY_MAX]; /* the newest first */
    size_t n;
    size_t at;
};

/* Unless it is the newest already.  The oldest goes when there are too many. */
void history_add(struct history *history, const wchar_t *text, size_t n);
/* libedit's question for a line of the past (EL_HIST); context is the history. */
int history_step(void *context, HistEventW *event, int operation, ...);
void history_clear(struct history *history);

#endif
