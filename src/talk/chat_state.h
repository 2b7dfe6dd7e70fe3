/*
 * chat_state.h: what one chat holds, shared by its two files only.
 *
 *   chat.c       the interface, the screen, and what becomes of a typed line
 *   chat_keys.c  from the bytes that were read to the line: units, keys, libedit
 *
 * How a key travels.  chat_readable cuts what it read into whole units: a run of text, a control
 * key, an escape sequence.  libedit reads keys one by one and would wait inside a sequence for the
 * rest of it; because it is only ever handed a whole unit, it never has to wait.  It changes its
 * line, and draws it, to /dev/null.  After each unit the line is looked at, after each read it is
 * drawn by chat.c.
 *
 * How the screen stands.  While `shown`, the typed line is drawn in the last rows, as `layout`
 * says, and the terminal's cursor is in it.  Everything that appears erases it from its first row
 * down, writes above, and draws it again, in one write.
 */
#ifndef HELIO_TALK_CHAT_STATE_H
#define HELIO_TALK_CHAT_STATE_H

#include <histedit.h>
#include <stdio.h>

#include "talk/chat.h"
#include "talk/draw.h"
#include "talk/history.h"
#include "talk/terminal.h"

enum {
    READ_MAX = 4096,
    SEQUENCE_MAX = 32 /* an escape sequence longer than that is none of a keyboard's */
};

/* What a key that we bound asks for; done once libedit has returned. */
enum action { ACTION_NONE, ACTION_ACCEPT, ACTION_END, ACTION_CLEAR };

struct chat {
    struct chat_calls calls;
    void *context;
    char *own_name;
    char *state;
    struct terminal terminal;
    bool ended;
    bool full_told; /* that this line is too long */

    bool shown;
    struct layout layout;

    EditLine *edit;
    FILE *nowhere; /* where libedit draws, through a buffer of ours, which is wiped */
    char nowhere_buffer[BUFSIZ];
    enum action action;
    wchar_t keys[SEQUENCE_MAX]; /* one unit, for libedit to read */
    size_t keys_n;
    size_t keys_read;

    char in[READ_MAX + SEQUENCE_MAX]; /* what was read and is not yet a whole unit */
    size_t in_n;

    struct history history;
};

/* -- chat.c -- */

/* Does what chat->action says, which is nothing after it. */
void chat_act(struct chat *chat);
/* Says so, once for each line. */
void chat_line_too_long(struct chat *chat);
/* Forgets the first n bytes of in. */
void chat_consume(struct chat *chat, size_t n);

/* -- chat_keys.c -- */

HELIO_MUST_CHECK enum helio_err chat_editor_open(struct chat *chat);
/* Also after a chat_editor_open that failed, or none. */
void chat_editor_close(struct chat *chat);
/* Works off the whole units in chat->in. */
void chat_keys_feed(struct chat *chat);
/* The length of the typed line as UTF-8. */
size_t chat_line_bytes(const struct chat *chat);
/* Wipes the typed line and begins another. */
void chat_line_reset(struct chat *chat);

#endif
