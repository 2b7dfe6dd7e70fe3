#include "talk/chat.h"

#include <errno.h>
#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/text.h"
#include "base/wipe.h"
#include "talk/draw.h"

/*
 * How a key travels.  chat_readable cuts what it read into whole units: a run of text, a control
 * key, an escape sequence.  libedit reads keys one by one and would wait inside a sequence for the
 * rest of it; because it is only ever handed a whole unit, it never has to wait.  It changes its
 * line, and draws it, to /dev/null.  After each unit the line is looked at, after each read it is
 * drawn here.
 *
 * How the screen stands.  While `shown`, the typed line is drawn in the last rows, as `layout`
 * says, and the terminal's cursor is in it.  Everything that appears erases it from its first row
 * down, writes above, and draws it again, in one write.
 */

#define PROMPT "> "

enum {
    READ_MAX = 4096,
    SEQUENCE_MAX = 32, /* an escape sequence longer than that is none of a keyboard's */
    HISTORY_MAX = 100,
    INDENT = 6, /* the width of "15:04 ": what is said stands in its own column */
};

/* What a key that we bound asks for; done once libedit has returned. */
enum action { ACTION_NONE, ACTION_ACCEPT, ACTION_END, ACTION_CLEAR };

struct history_line {
    wchar_t *text; /* ends with a NUL */
    size_t n;
};

struct chat {
    struct chat_calls calls;
    void *context;
    char *own_name;
    char *state;
    bool plain; /* the terminal cannot move its cursor */
    bool colour;
    bool reflows; /* it breaks rows that a narrower window made too long */
    bool ended;
    bool full_told; /* that this line is too long */

    bool shown;
    struct layout layout;
    unsigned width;
    unsigned height;

    EditLine *edit;
    FILE *nowhere; /* where libedit draws, through a buffer of ours, which is wiped */
    char nowhere_buffer[BUFSIZ];
    enum action action;
    wchar_t keys[SEQUENCE_MAX]; /* one unit, for libedit to read */
    size_t keys_n;
    size_t keys_read;

    char in[READ_MAX + SEQUENCE_MAX]; /* what was read and is not yet a whole unit */
    size_t in_n;

    struct history_line history[HISTORY_MAX]; /* the newest first */
    size_t history_n;
    size_t history_at;
};

/* ------------------------------------------------------------------------------ the terminal -- */

/* For exit: whoever leaves without chat_free must not leave the shell without an echo. */
static struct termios terminal_before;
static bool terminal_taken;

static void terminal_restore(void)
{
    if (terminal_taken)
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal_before);
    terminal_taken = false;
}

static enum helio_err terminal_take(void)
{
    static bool registered;

    if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &terminal_before) != 0)
        return HELIO_E_SYSTEM;
    if (!registered && atexit(terminal_restore) != 0)
        return HELIO_E_MEMORY;
    registered = true;
    terminal_taken = true;
    return HELIO_OK;
}

static void terminal_measure(struct chat *chat)
{
    struct winsize size = {0};

    (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    chat->width = size.ws_col ? size.ws_col : 80;
    chat->height = size.ws_row ? size.ws_row : 24;
}

static void terminal_learn(struct chat *chat)
{
    const char *term = getenv("TERM");
    const char *no_colour = getenv("NO_COLOR");

    chat->plain = !term || !*term || strcmp(term, "dumb") == 0;
    chat->colour = !chat->plain && (!no_colour || !*no_colour);
    /* xterm and the console cut long rows off; a tmux inside an xterm does not. */
    chat->reflows =
        !(getenv("XTERM_VERSION") && !getenv("TMUX")) && term && strncmp(term, "linux", 5) != 0;
    terminal_measure(chat);
}

/* All of it, though libuv may have made the terminal non-blocking.  A terminal that is gone is
 * noticed by reading. */
static void terminal_write(const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t written = write(STDOUT_FILENO, bytes, n);

        if (written >= 0) {
            bytes += written;
            n -= (size_t)written;
        } else if (errno == EAGAIN) {
            struct pollfd ready = {.fd = STDOUT_FILENO, .events = POLLOUT};

            (void)poll(&ready, 1, -1);
        } else if (errno != EINTR) {
            return;
        }
    }
}

/*
 * wcwidth, and with it every column, depends on the locale; what we speak is UTF-8 whatever it is.
 */
static void locale_speak_utf8(void)
{
    (void)setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        (void)setlocale(LC_CTYPE, "C.UTF-8");
}

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
    if (chat->plain || chat->ended)
        return;
    const LineInfoW *line = el_wline(chat->edit);
    struct typed typed = {.prompt = PROMPT,
                          .text = line->buffer,
                          .n = (size_t)(line->lastchar - line->buffer),
                          .cursor = (size_t)(line->cursor - line->buffer)};

    /* Half of the window stays for what is being said. */
    chat->layout = draw_typed(ink, &typed, chat->width, (chat->height + 1) / 2, &chat->layout);
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
    if (chat->colour)
        pen_style(pen, sequence);
}

#define STYLE_OFF "\033[0m"
#define STYLE_FAINT "\033[2m"
#define STYLE_OWN "\033[32m"
#define STYLE_PEER "\033[36m"

static void draw_note(struct chat *chat, struct ink *ink, const char *text)
{
    struct pen pen = pen_on(ink, chat->width, 3);

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
    struct pen pen = pen_on(&ink, chat->width, INDENT);
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
    unsigned was = chat->width;
    struct ink ink = {0};

    terminal_measure(chat);
    if (chat->shown && chat->reflows) {
        unsigned above = layout_rows_above(&chat->layout, was, chat->width);

        ink_move(&ink, above < chat->height ? above : chat->height - 1, 'A');
        ink_text(&ink, "\r\033[J");
        chat->shown = false;
    }
    typed_erase(chat, &ink);
    frame_show(chat, &ink);
}

/* ----------------------------------------------------------------------------------- history -- */

static void history_line_free(struct history_line *line)
{
    wipe(line->text, line->n * sizeof *line->text);
    free(line->text);
    *line = (struct history_line){0};
}

static void history_add(struct chat *chat, const wchar_t *text, size_t n)
{
    const struct history_line *newest = &chat->history[0];

    if (chat->history_n > 0 && newest->n == n && wmemcmp(newest->text, text, n) == 0)
        return;
    wchar_t *copy = malloc((n + 1) * sizeof *copy);
    if (!copy)
        return; /* a line that is not remembered is no reason to end a conversation */
    wmemcpy(copy, text, n);
    copy[n] = L'\0';
    if (chat->history_n == HISTORY_MAX)
        history_line_free(&chat->history[--chat->history_n]);
    memmove(chat->history + 1, chat->history, chat->history_n * sizeof *chat->history);
    chat->history[0] = (struct history_line){.text = copy, .n = n};
    chat->history_n++;
}

/* libedit's question for a line of the past; "next" is older to it. */
static int history_step(void *context, HistEventW *event, int operation, ...)
{
    struct chat *chat = context;
    size_t oldest = chat->history_n ? chat->history_n - 1 : 0;
    size_t at = chat->history_at;

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
    if (at >= chat->history_n)
        return -1;
    chat->history_at = at;
    event->num = (int)(chat->history_n - at);
    event->str = chat->history[at].text;
    return 0;
}

/* ---------------------------------------------------------------------------------- the line -- */

static size_t line_bytes(const LineInfoW *line)
{
    size_t n = 0;
    char utf8[4];

    for (const wchar_t *at = line->buffer; at < line->lastchar; at++)
        n += utf8_encode(*at, utf8);
    return n;
}

static void line_reset(struct chat *chat)
{
    const LineInfoW *line = el_wline(chat->edit);
    size_t n = (size_t)(line->lastchar - line->buffer);

    /* The buffer is libedit's and only lent to be read, but what is in it is the user's secret, and
     * libedit has no call that forgets it. */
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): the cast takes const away, knowingly. */
    wipe((void *)(uintptr_t)line->buffer, n * sizeof *line->buffer);
    /* Off and on again: libedit's way to begin a line in this mode. */
    (void)el_wset(chat->edit, EL_UNBUFFERED, 0);
    (void)el_wset(chat->edit, EL_UNBUFFERED, 1);
    chat->full_told = false;
}

static void line_too_long(struct chat *chat)
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
    if (!chat->plain)
        show_message(chat, STYLE_OWN, time(NULL), chat->own_name, text, n);
}

static void line_accept(struct chat *chat)
{
    const LineInfoW *line = el_wline(chat->edit);
    size_t bytes = line_bytes(line);

    if (bytes == 0)
        return;
    if (bytes > CHAT_LINE_MAX) { /* yanked together */
        line_too_long(chat);
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
    history_add(chat, line->buffer, (size_t)(line->lastchar - line->buffer));
    line_reset(chat);
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

static void action_do(struct chat *chat)
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

/* ---------------------------------------------------------------------------------- the keys -- */

static int key_read(EditLine *edit, wchar_t *key)
{
    struct chat *chat = NULL;

    (void)el_wget(edit, EL_CLIENTDATA, &chat);
    if (chat->keys_read == chat->keys_n)
        return 0;
    *key = chat->keys[chat->keys_read++];
    return 1;
}

static unsigned char key_asks(EditLine *edit, enum action action)
{
    struct chat *chat = NULL;

    (void)el_wget(edit, EL_CLIENTDATA, &chat);
    chat->action = action;
    return CC_NORM;
}

static unsigned char key_accept(EditLine *edit, wint_t key)
{
    (void)key;
    return key_asks(edit, ACTION_ACCEPT);
}

static unsigned char key_clear(EditLine *edit, wint_t key)
{
    (void)key;
    return key_asks(edit, ACTION_CLEAR);
}

static unsigned char key_delete(EditLine *edit, wint_t key)
{
    const LineInfoW *line = el_wline(edit);

    (void)key;
    if (line->cursor == line->lastchar)
        return CC_ERROR;
    (void)el_cursor(edit, 1);
    el_wdeletestr(edit, 1);
    return CC_REFRESH;
}

static unsigned char key_delete_or_end(EditLine *edit, wint_t key)
{
    const LineInfoW *line = el_wline(edit);

    if (line->lastchar == line->buffer)
        return key_asks(edit, ACTION_END);
    return key_delete(edit, key);
}

/* Keys that we give a meaning of ours, and those of libedit's that would wait for a further key. */
static const struct binding {
    const wchar_t *key;
    const wchar_t *command;
} bindings[] = {
    {L"^M", L"chat-accept"},
    {L"^J", L"chat-accept"},
    {L"^D", L"chat-delete-or-end"},
    {L"^L", L"chat-clear"},
    {L"^G", L"chat-delete"}, /* no key of a person's: stands for Delete, see sequences */
    {L"^I", L"ed-insert"},
    {L"^W", L"ed-delete-prev-word"},
    {L"^R", L"ed-search-prev-history"},
    {L"^S", L"ed-search-next-history"},
    {L"^V", L"ed-unassigned"},
    {L"^X", L"ed-unassigned"},
    {L"\\ex", L"ed-unassigned"},
    {L"\\eX", L"ed-unassigned"},
};

static const struct command {
    const wchar_t *name;
    const wchar_t *help;
    unsigned char (*run)(EditLine *, wint_t);
} commands[] = {
    {L"chat-accept", L"Send the line", key_accept},
    {L"chat-clear", L"Clear the screen and show the state", key_clear},
    {L"chat-delete", L"Delete the character under the cursor", key_delete},
    {L"chat-delete-or-end", L"Delete, or end our direction", key_delete_or_end},
};

/*
 * Escape sequences of the keys that people press, as libedit's own keys.  Translated here because
 * terminals disagree with their terminfo entries, and because libedit types the rest of a sequence
 * that it does not know into the line.
 */
static const struct sequence {
    const char *bytes; /* behind the escape */
    const wchar_t *keys;
} sequences[] = {
    {"[A", L"\x10"},     {"OA", L"\x10"},                                         /* up */
    {"[B", L"\x0e"},     {"OB", L"\x0e"},                                         /* down */
    {"[C", L"\x06"},     {"OC", L"\x06"},                                         /* right */
    {"[D", L"\x02"},     {"OD", L"\x02"},                                         /* left */
    {"[H", L"\x01"},     {"OH", L"\x01"},     {"[1~", L"\x01"}, {"[7~", L"\x01"}, /* home */
    {"[F", L"\x05"},     {"OF", L"\x05"},     {"[4~", L"\x05"}, {"[8~", L"\x05"}, /* end */
    {"[3~", L"\x07"},                                                             /* delete */
    {"[1;5D", L"\033b"}, {"[1;3D", L"\033b"}, {"Od", L"\033b"},                   /* a word left */
    {"[1;5C", L"\033f"}, {"[1;3C", L"\033f"}, {"Oc", L"\033f"},                   /* a word right */
    {"[3;5~", L"\033d"}, {"[3;3~", L"\033d"}, /* delete a word */
};

/* Lets libedit work off one unit. */
static void keys_feed(struct chat *chat, const wchar_t *keys, size_t n)
{
    wmemcpy(chat->keys, keys, n);
    chat->keys_n = n;
    chat->keys_read = 0;
    while (chat->keys_read < chat->keys_n && chat->action == ACTION_NONE) {
        int got = 0;

        (void)el_wgets(chat->edit, &got);
    }
    chat->keys_n = chat->keys_read = 0;
    action_do(chat);
}

static void feed_sequence(struct chat *chat, const char *bytes, size_t n)
{
    for (size_t i = 0; i < sizeof sequences / sizeof *sequences; i++) {
        const struct sequence *s = &sequences[i];

        if (strlen(s->bytes) == n - 1 && memcmp(s->bytes, bytes + 1, n - 1) == 0) {
            keys_feed(chat, s->keys, wcslen(s->keys));
            return;
        }
    }
}

static void feed_keys(struct chat *chat, const char *bytes, size_t n)
{
    wchar_t keys[2];

    for (size_t i = 0; i < n; i++)
        keys[i] = (unsigned char)bytes[i];
    keys_feed(chat, keys, n);
}

/* Puts a run of text in at the cursor, at once: a long paste key by key would take long. */
static void feed_text(struct chat *chat, const char *bytes, size_t n)
{
    size_t room = line_bytes(el_wline(chat->edit));
    wchar_t *wide = malloc((n + 1) * sizeof *wide);
    size_t count = 0;

    room = room < CHAT_LINE_MAX ? CHAT_LINE_MAX - room : 0;
    for (size_t i = 0; wide && i < n;) {
        uint32_t code;
        size_t taken = utf8_decode((const uint8_t *)bytes + i, n - i, &code);
        size_t size = taken ? taken : 3;

        if (size > room) {
            line_too_long(chat);
            break;
        }
        wide[count++] =
            taken ? (wchar_t)code : L'\ufffd'; /* not UTF-8: not what was meant anyway */
        i += taken ? taken : 1;
        room -= size;
    }
    if (wide && count == 1 && *wide < 0x7f) {
        keys_feed(chat, wide, 1);
    } else if (wide) {
        wide[count] = L'\0';
        (void)el_winsertstr(chat->edit, wide);
    }
    if (wide)
        wipe(wide, (n + 1) * sizeof *wide);
    free(wide);
}

/* --------------------------------------------------------------------------------- the units -- */

static bool is_text(char byte)
{
    return (unsigned char)byte >= 0x20 && byte != 0x7f;
}

/* How many bytes at the end of p[0..n) are the beginning of a character whose rest is to come. */
static size_t utf8_unfinished(const char *p, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        unsigned char byte = (unsigned char)p[n - back];
        size_t length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 0;

        if (length > 0)
            return length > back ? back : 0;
        if (byte < 0x80)
            return 0;
    }
    return 0;
}

static size_t text_length(const char *p, size_t n)
{
    size_t length = 0;

    while (length < n && is_text(p[length]))
        length++;
    return length < n ? length : length - utf8_unfinished(p, length);
}

/* The length of the escape sequence at p[0..n), 0 when it is not all there.  ECMA-48, 5.4. */
static size_t sequence_length(const char *p, size_t n)
{
    if (n < 2)
        return 0;
    if (p[1] == 'O')
        return n < 3 ? 0 : 3;
    if (p[1] != '[')
        return 2;
    size_t length = 2;
    while (length < n && p[length] >= 0x20 && p[length] <= 0x3f)
        length++;
    if (length < n)
        return length + 1;
    return length > SEQUENCE_MAX ? length : 0;
}

/* Takes one unit from p[0..n), n > 0; returns its length, 0 when it is not all there. */
static size_t feed_unit(struct chat *chat, const char *p, size_t n)
{
    size_t length;

    if (p[0] == '\033') {
        length = sequence_length(p, n);
        if (length > 2)
            feed_sequence(chat, p, length);
        else if (length == 2 && p[1] > 0x20)
            feed_keys(chat, p, 2);
    } else if (is_text(p[0])) {
        length = text_length(p, n);
        if (length > 0)
            feed_text(chat, p, length);
    } else {
        length = 1;
        if (p[0] != 0x07)
            feed_keys(chat, p, 1);
    }
    return length;
}

static void feed_all(struct chat *chat)
{
    size_t at = 0;

    while (at < chat->in_n && !chat->ended) {
        size_t length = feed_unit(chat, chat->in + at, chat->in_n - at);

        if (length == 0)
            break;
        at += length;
    }
    memmove(chat->in, chat->in + at, chat->in_n - at);
    chat->in_n -= at;
    wipe(chat->in + chat->in_n, at);
}

/* ------------------------------------------------------------------ a terminal that is plain -- */

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
    memmove(chat->in, chat->in + at, chat->in_n - at);
    chat->in_n -= at;
    wipe(chat->in + chat->in_n, at);
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
    if (chat->plain) {
        plain_lines(chat);
        return;
    }
    feed_all(chat);
    typed_redraw(chat);
}

/* ---------------------------------------------------------------------------- life and death -- */

void chat_continued(struct chat *chat)
{
    if (chat->plain)
        return;
    (void)el_wset(chat->edit, EL_PREP_TERM, 0);
    (void)el_wset(chat->edit, EL_PREP_TERM, 1);
    terminal_measure(chat);
    /* What came while we were stopped may have been shown, and the line drawn, before this. */
    terminal_write("\r\033[J", 4);
    chat->shown = false;
    typed_redraw(chat);
}

static enum helio_err editor_open(struct chat *chat)
{
    EditLine *edit;

    chat->nowhere = fopen("/dev/null", "we");
    if (!chat->nowhere)
        return HELIO_E_SYSTEM;
    (void)setvbuf(chat->nowhere, chat->nowhere_buffer, _IOFBF, sizeof chat->nowhere_buffer);
    edit = el_init_fd("helio", stdin, chat->nowhere, chat->nowhere, STDIN_FILENO, STDOUT_FILENO,
                      STDERR_FILENO);
    chat->edit = edit;
    if (!edit)
        return HELIO_E_MEMORY;
    int bad = el_wset(edit, EL_CLIENTDATA, chat);
    bad |= el_wset(edit, EL_EDITOR, L"emacs");
    bad |= el_wset(edit, EL_SIGNAL, 0);
    bad |= el_wset(edit, EL_GETCFN, key_read);
    bad |= el_wset(edit, EL_HIST, history_step, chat);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        bad |= el_wset(edit, EL_ADDFN, commands[i].name, commands[i].help, commands[i].run);
    for (size_t i = 0; i < sizeof bindings / sizeof *bindings; i++)
        bad |= el_wset(edit, EL_BIND, bindings[i].key, bindings[i].command, (wchar_t *)NULL);
    /* Ctrl-S must not stop the output, and with it the loop. */
    bad |= el_wset(edit, EL_SETTY, L"-d", L"-ixon", (wchar_t *)NULL);
    bad |= el_wset(edit, EL_UNBUFFERED, 1);
    return bad ? HELIO_E_SYSTEM : HELIO_OK;
}

static void editor_close(struct chat *chat)
{
    if (chat->edit) {
        line_reset(chat);
        el_end(chat->edit);
    }
    if (chat->nowhere)
        fclose(chat->nowhere);
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
    locale_speak_utf8();
    terminal_learn(chat);
    err = chat->plain ? HELIO_OK : editor_open(chat);
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
    editor_close(chat);
    terminal_restore();
    while (chat->history_n > 0)
        history_line_free(&chat->history[--chat->history_n]);
    free(chat->own_name);
    free(chat->state);
    wipe(chat, sizeof *chat);
    free(chat);
}
