#include "talk/history.h"

#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"

static void free_line(struct history_line *line)
{
    wipe(line->text, line->n * sizeof *line->text);
    free(line->text);
    *line = (struct history_line){0};
}

void history_add(struct history *history, const wchar_t *text, size_t n)
{
    const struct history_line *newest = &history->lines[0];

    if (history->n > 0 && newest->n == n && wmemcmp(newest->text, text, n) == 0)
        return;
    wchar_t *copy = malloc((n + 1) * sizeof *copy);
    if (!copy)
        return; /* a line that is not remembered is no reason to end a conversation */
    wmemcpy(copy, text, n);
    copy[n] = L'\0';
    if (history->n == HISTORY_MAX)
        free_line(&history->lines[--history->n]);
    memmove(history->lines + 1, history->lines, history->n * sizeof *history->lines);
    history->lines[0] = (struct history_line){.text = copy, .n = n};
    history->n++;
}

/* "next" is older to libedit. */
int history_step(void *context, HistEventW *event, int operation, ...)
{
    struct history *history = context;
    size_t oldest = history->n ? history->n - 1 : 0;
    size_t at = history->at;

    switch (operation) {
    case H_FIRST:
        at = 0;
        break;
    case H_LAST:
        at = oldest;
        break;
    case H_NEXT:
        at++;
        break;
    case H_PREV:
        if (at == 0)
            return -1;
        at--;
        break;
    case H_CURR:
        break;
    default:
        return -1;
    }
    if (at >= history->n)
        return -1;
    history->at = at;
    event->num = (int)(history->n - at);
    event->str = history->lines[at].text;
    return 0;
}

void history_clear(struct history *history)
{
    while (history->n > 0)
        free_line(&history->lines[--history->n]);
}
