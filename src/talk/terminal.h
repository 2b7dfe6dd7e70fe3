/*
 * terminal.h: the terminal on descriptors 0 and 1: its mode, what it can do, and writing to it.
 *
 * It owns the terminal's mode from terminal_take to terminal_restore, or exit, whichever is first.
 * It reads nothing, and what is written goes out as it is: what may be shown is decided above it.
 */
#ifndef HELIO_TALK_TERMINAL_H
#define HELIO_TALK_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

#include "helio.h"

struct terminal {
    unsigned width;
    unsigned height;
    bool plain; /* it cannot move its cursor */
    bool colour;
    bool reflows; /* it breaks rows that a narrower window made too long */
};

/* Keeps the mode for terminal_restore.  HELIO_E_SYSTEM when one of the two is no terminal. */
HELIO_MUST_CHECK enum helio_err terminal_take(void);
/* The second time, or without terminal_take, it does nothing. */
void terminal_restore(void);

/* All of it: what the environment says, and the size. */
void terminal_learn(struct terminal *terminal);
/* Width and height as they are now. */
void terminal_measure(struct terminal *terminal);
/*
 * wcwidth, and with it every column, depends on the locale; what we speak is UTF-8 whatever it is.
 */
void terminal_speak_utf8(void);

/*
 * All of it, though libuv may have made the terminal non-blocking.  A terminal that is gone is
 * noticed by reading.
 */
void terminal_write(const char *bytes, size_t n);

#endif
