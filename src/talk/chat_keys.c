#include "talk/chat_state.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "base/wipe.h"

/* ---------------------------------------------------------------------------------- the line -- */

size_t chat_line_bytes(const struct chat *chat)
{
    const LineInfoW *line = el_wline(chat->edit);
    size_t n = 0;
    char utf8[4];

    for (const wchar_t *at = line->buffer; at < line->lastchar; at++)
        n += utf8_encode(*at, utf8);
    return n;
}

void chat_line_reset(struct chat *chat)
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
    chat_act(chat);
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
    size_t room = chat_line_bytes(chat);
    wchar_t *wide = malloc((n + 1) * sizeof *wide);
    size_t count = 0;

    room = room < CHAT_LINE_MAX ? CHAT_LINE_MAX - room : 0;
    for (size_t i = 0; wide && i < n;) {
        uint32_t code;
        size_t taken = utf8_decode((const uint8_t *)bytes + i, n - i, &code);
        size_t size = taken ? taken : 3;

        if (size > room) {
            chat_line_too_long(chat);
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

void chat_keys_feed(struct chat *chat)
{
    size_t at = 0;

    while (at < chat->in_n && !chat->ended) {
        size_t length = feed_unit(chat, chat->in + at, chat->in_n - at);

        if (length == 0)
            break;
        at += length;
    }
    chat_consume(chat, at);
}

/* -------------------------------------------------------------------------------- the editor -- */

enum helio_err chat_editor_open(struct chat *chat)
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
    bad |= el_wset(edit, EL_HIST, history_step, &chat->history);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        bad |= el_wset(edit, EL_ADDFN, commands[i].name, commands[i].help, commands[i].run);
    for (size_t i = 0; i < sizeof bindings / sizeof *bindings; i++)
        bad |= el_wset(edit, EL_BIND, bindings[i].key, bindings[i].command, (wchar_t *)NULL);
    /* Ctrl-S must not stop the output, and with it the loop. */
    bad |= el_wset(edit, EL_SETTY, L"-d", L"-ixon", (wchar_t *)NULL);
    bad |= el_wset(edit, EL_UNBUFFERED, 1);
    return bad ? HELIO_E_SYSTEM : HELIO_OK;
}

void chat_editor_close(struct chat *chat)
{
    if (chat->edit) {
        chat_line_reset(chat);
        el_end(chat->edit);
    }
    if (chat->nowhere)
        fclose(chat->nowhere);
}
