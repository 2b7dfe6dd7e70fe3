/*
 * chat.h: the chat at a terminal: a line being typed at the bottom, and above it what was said.
 *
 * What it is.  Keys, editing and the key bindings are libedit's; the drawing is done here, because
 * a line that comes in has to appear above a typed line of any length without tearing it, and
 * because libedit loses combining characters.  It runs no loop: the caller watches standard input
 * and calls chat_readable; everything else may be called at any time from the same thread.
 *
 * What it owns.  The terminal's mode, from chat_new to chat_free (or exit, whichever is first); the
 * typed line and the history, which is kept in memory only and wiped, because it is plaintext.
 *
 * What it never does.  It opens no socket, blocks for no key, handles no signal.  Nothing that the
 * peer chose reaches the terminal as it came: controls and bad UTF-8 are shown as \xNN.
 *
 * On a terminal that cannot move its cursor (TERM unset or "dumb") the line is edited by the kernel
 * and incoming lines are printed where the cursor is.
 */
#ifndef HELIO_TALK_CHAT_H
#define HELIO_TALK_CHAT_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "helio.h"

struct chat;

/* Longest line that can be typed or pasted; what is more is left out, with a note. */
#define CHAT_LINE_MAX 65536

struct chat_calls {
    /*
     * One line was typed: text[0..n), UTF-8 with a NUL behind it, good during the call; n may not
     * be 0 (empty lines are not sent).  True: it counts as said and is shown above.  False: it is
     * not; the caller says why with chat_note.  Either way it is in the history.
     */
    bool (*line)(void *context, const char *text, size_t n);
    /*
     * Ctrl-D on an empty line, or the terminal is gone: our direction ends.  Called once; after
     * it nothing can be typed, but lines may still come in.  Stop watching standard input.
     */
    void (*end)(void *context);
};

/*
 * Takes over the terminal on descriptors 0 and 1, both of which must be terminals.  own_name stands
 * before own lines; it is copied.  HELIO_E_SYSTEM, HELIO_E_MEMORY.
 */
HELIO_MUST_CHECK enum helio_err chat_new(struct chat **out, const char *own_name,
                                         const struct chat_calls *calls, void *context);
/* Wipes, and gives the terminal back on a fresh line.  NULL is fine. */
void chat_free(struct chat *chat);

/*
 * Descriptor 0 has something to read: reads once (at most a few KiB) and calls back for each line
 * that this completes.  The callbacks may call anything here but chat_free.
 */
void chat_readable(struct chat *chat);

/* Shows what someone said.  text may hold anything; newlines in it become rows. */
void chat_message(struct chat *chat, time_t when, const char *name, const char *text, size_t n);
/* Shows a word of the station's own, for example that the peer hung up; no newline at its end. */
void chat_note(struct chat *chat, const char *text);
/*
 * Shows the state line (peer, fingerprint, suite, key exchange) and keeps a copy, which Ctrl-L
 * shows again at the top of a cleared screen.  May be called again when the state changes.
 */
void chat_state(struct chat *chat, const char *text);

/* After SIGWINCH: the window may have another size. */
void chat_resized(struct chat *chat);
/* After SIGCONT: the shell had the terminal; takes it again and draws afresh. */
void chat_continued(struct chat *chat);

#endif
