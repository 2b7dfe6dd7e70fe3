#include "talk/chat_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "base/wipe.h"

#define PROMPT "> "

enum { INDENT = 6 }; /* the width of "15:04 ": what is said stands in its own column */

/* ----------------------------------------------------------------------------------- drawing -- */

static void typed_erase(struct chat *chat, struct ink *ink)
{
    if (!chat->shown)
        return;
    ink_move(ink, chat->layout.row - chat->layout.first, 'A');
    ink_text(ink, "\r\033[J");
    chat->shown = false;
}

static void typed_draw(struct chat *chat, struct ink *ink)
{
    if (chat->terminal.plain || chat->ended)
        return;
    const LineInfoW *line = el_wline(chat->edit);
    struct typed typed = {.prompt = PROMPT,
                          .text = line->buffer,
                          .n = (size_t)(line->lastchar - line->buffer),
                          .cursor = (size_t)(line->cursor - line->buffer)};

    /* Half of the window stays for what is being said. */
    chat->layout = draw_typed(ink, &typed, chat->terminal.width, (chat->terminal.height + 1) / 2,
                              &chat->layout);
    chat->shown = true;
}

/* Writes the frame that began with typed_erase. */
static void frame_show(struct chat *chat, struct ink *ink)
{
    typed_draw(chat, ink);
    terminal_write(ink->bytes, ink->n);
    ink_clear(ink);
}

static void style(struct chat *chat, struct pen *pen, const char *sequence)
{
    if (chat->terminal.colour)
        pen_style(pen, sequence);
}

#define STYLE_OFF "\033[0m"
#define STYLE_FAINT "\033[2m"
#define STYLE_OWN "\033[32m"
#define STYLE_PEER "\033[36m"

static void draw_note(struct chat *chat, struct ink *ink, const char *text)
{
    struct pen pen = pen_on(ink, chat->terminal.width, 3);

    style(chat, &pen, STYLE_FAINT);
    pen_text(&pen, "-- ");
    pen_words(&pen, text, strlen(text));
    style(chat, &pen, STYLE_OFF);
    ink_text(ink, "\r\n");
}

static void show_message(struct chat *chat, const char *name_style, time_t when, const char *name,
                         const char *text, size_t n)
{
    struct ink ink = {0};
    struct tm local = {0};
    char clock[8] = "--:--";

    if (localtime_r(&when, &local))
        (void)strftime(clock, sizeof clock, "%H:%M", &local);
    typed_erase(chat, &ink);
    struct pen pen = pen_on(&ink, chat->terminal.width, INDENT);
    style(chat, &pen, STYLE_FAINT);
    pen_text(&pen, clock);
    style(chat, &pen, STYLE_OFF);
    pen_text(&pen, " ");
    style(chat, &pen, name_style);
    pen_text(&pen, name);
    pen_text(&pen, ":");
    style(chat, &pen, STYLE_OFF);
    pen_text(&pen, " ");
    pen_words(&pen, text, n);
    ink_text(&ink, "\r\n");
    frame_show(chat, &ink);
}

void chat_message(struct chat *chat, time_t when, const char *name, const char *text, size_t n)
{
    show_message(chat, STYLE_PEER, when, name, text, n);
}

void chat_note(struct chat *chat, const char *text)
{
    struct ink ink = {0};

    typed_erase(chat, &ink);
    draw_note(chat, &ink, text);
    frame_show(chat, &ink);
}

void chat_state(struct chat *chat, const char *text)
{
    char *copy = strdup(text);

    if (copy) {
        free(chat->state);
        chat->state = copy;
    }
    chat_note(chat, text);
}

static void screen_clear(struct chat *chat)
{
    struct ink ink = {0};

    ink_text(&ink, "\033[H\033[2J");
    chat->shown = false;
    if (chat->state)
        draw_note(chat, &ink, chat->state);
    frame_show(chat, &ink);
}

static void typed_redraw(struct chat *chat)
{
    struct ink ink = {0};

    typed_erase(chat, &ink);
    frame_show(chat, &ink);
}

void chat_resized(struct chat *chat)
{
    unsigned was = chat->terminal.width;
    struct ink ink = {0};

    terminal_measure(&chat->terminal);
    if (chat->shown && chat->terminal.reflows) {
        unsigned above = layout_rows_above(&chat->layout, was, chat->terminal.width);

        ink_move(&ink, above < chat->terminal.height ? above : chat->terminal.height - 1, 'A');
        ink_text(&ink, "\r\033[J");
        chat->shown = false;
    }
    typed_erase(chat, &ink);
    frame_show(chat, &ink);
}

/* ---------------------------------------------------------------------------------- the line -- */

void chat_line_too_long(struct chat *chat)
{
    if (!chat->full_told)
        chat_note(chat, "the line is too long; what is past 65536 bytes is left out");
    chat->full_told = true;
}

/* Hands a line to the caller and shows it when the caller took it. */
static void line_say(struct chat *chat, const char *text, size_t n)
{
    if (!chat->calls.line(chat->context, text, n))
        return;
    if (!chat->terminal.plain)
        show_message(chat, STYLE_OWN, time(NULL), chat->own_name, text, n);
}

static void line_accept(struct chat *chat)
{
    const LineInfoW *line = el_wline(chat->edit);
    size_t bytes = chat_line_bytes(chat);

    if (bytes == 0)
        return;
    if (bytes > CHAT_LINE_MAX) { /* yanked together */
        chat_line_too_long(chat);
        return;
    }
    char *text = malloc(bytes + 4);
    if (!text) {
        chat_note(chat, "no memory to send that");
        return;
    }
    size_t n = 0;
    for (const wchar_t *at = line->buffer; at < line->lastchar; at++)
        n += utf8_encode(*at, text + n);
    text[n] = '\0';
    history_add(&chat->history, line->buffer, (size_t)(line->lastchar - line->buffer));
    chat_line_reset(chat);
    line_say(chat, text, n);
    wipe(text, n);
    free(text);
}

static void line_end(struct chat *chat)
{
    if (chat->ended)
        return;
    struct ink ink = {0};
    typed_erase(chat, &ink);
    chat->ended = true;
    frame_show(chat, &ink);
    chat->calls.end(chat->context);
}

void chat_act(struct chat *chat)
{
    enum action action = chat->action;

    chat->action = ACTION_NONE;
    if (action == ACTION_ACCEPT)
        line_accept(chat);
    else if (action == ACTION_END)
        line_end(chat);
    else if (action == ACTION_CLEAR)
        screen_clear(chat);
}

/* ----------------------------------------------------------------------------------- reading -- */

void chat_consume(struct chat *chat, size_t n)
{
    memmove(chat->in, chat->in + n, chat->in_n - n);
    chat->in_n -= n;
    wipe(chat->in + chat->in_n, n);
}

/* The kernel edits; a read gives at most one line, whole unless it is very long. */
static void plain_lines(struct chat *chat)
{
    size_t at = 0;

    while (at < chat->in_n) {
        const char *end = memchr(chat->in + at, '\n', chat->in_n - at);
        size_t n = end ? (size_t)(end - (chat->in + at)) : chat->in_n - at;

        /* Half a line only when there is no room to wait for the rest. */
        if (!end && chat->in_n < READ_MAX)
            break;
        char *text = n ? strndup(chat->in + at, n) : NULL;
        if (text) {
            line_say(chat, text, strlen(text));
            wipe(text, n);
            free(text);
        }
        at += n + (end ? 1 : 0);
    }
    chat_consume(chat, at);
}

void chat_readable(struct chat *chat)
{
    if (chat->ended)
        return;
    size_t room = sizeof chat->in - chat->in_n;
    ssize_t n = read(STDIN_FILENO, chat->in + chat->in_n, room < READ_MAX ? room : READ_MAX);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        line_end(chat);
        return;
    }
    chat->in_n += (size_t)n;
    if (chat->terminal.plain) {
        plain_lines(chat);
        return;
    }
    chat_keys_feed(chat);
    typed_redraw(chat);
}

/* ---------------------------------------------------------------------------- life and death -- */

void chat_continued(struct chat *chat)
{
    if (chat->terminal.plain)
        return;
    (void)el_wset(chat->edit, EL_PREP_TERM, 0);
    (void)el_wset(chat->edit, EL_PREP_TERM, 1);
    terminal_measure(&chat->terminal);
    /* What came while we were stopped may have been shown, and the line drawn, before this. */
    terminal_write("\r\033[J", 4);
    chat->shown = false;
    typed_redraw(chat);
}

enum helio_err chat_new(struct chat **out, const char *own_name, const struct chat_calls *calls,
                        void *context)
{
    enum helio_err err;
    struct chat *chat = calloc(1, sizeof *chat);

    *out = NULL;
    if (!chat)
        return HELIO_E_MEMORY;
    chat->calls = *calls;
    chat->context = context;
    err = terminal_take();
    if (err)
        goto out;
    err = HELIO_E_MEMORY;
    chat->own_name = strdup(own_name);
    if (!chat->own_name)
        goto out;
    terminal_speak_utf8();
    terminal_learn(&chat->terminal);
    err = chat->terminal.plain ? HELIO_OK : chat_editor_open(chat);
    if (err)
        goto out;
    typed_redraw(chat);
    *out = chat;
    chat = NULL;
out:
    chat_free(chat);
    return err;
}

void chat_free(struct chat *chat)
{
    struct ink ink = {0};

    if (!chat)
        return;
    chat->ended = true;
    typed_erase(chat, &ink);
    frame_show(chat, &ink);
    chat_editor_close(chat);
    terminal_restore();
    history_clear(&chat->history);
    free(chat->own_name);
    free(chat->state);
    wipe(chat, sizeof *chat);
    free(chat);
}
