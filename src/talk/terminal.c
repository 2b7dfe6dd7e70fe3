#include "talk/terminal.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/*
 * Of the process, for exit: whoever leaves without terminal_restore must not leave the shell without
 * an echo.
 */
static struct termios before;
static bool taken;

void terminal_restore(void)
{
    if (taken)
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    taken = false;
}

enum helio_err terminal_take(void)
{
    static bool registered;

    if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before) != 0)
        return HELIO_E_SYSTEM;
    if (!registered && atexit(terminal_restore) != 0)
        return HELIO_E_MEMORY;
    registered = true;
    taken = true;
    return HELIO_OK;
}

void terminal_measure(struct terminal *terminal)
{
    struct winsize size = {0};

    (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    terminal->width = size.ws_col ? size.ws_col : 80;
    terminal->height = size.ws_row ? size.ws_row : 24;
}

void terminal_learn(struct terminal *terminal)
{
    const char *term = getenv("TERM");
    const char *no_colour = getenv("NO_COLOR");

    terminal->plain = !term || !*term || strcmp(term, "dumb") == 0;
    terminal->colour = !terminal->plain && (!no_colour || !*no_colour);
    /* xterm and the console cut long rows off; a tmux inside an xterm does not. */
    terminal->reflows =
        !(getenv("XTERM_VERSION") && !getenv("TMUX")) && term && strncmp(term, "linux", 5) != 0;
    terminal_measure(terminal);
}

void terminal_write(const char *bytes, size_t n)
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

void terminal_speak_utf8(void)
{
    (void)setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        (void)setlocale(LC_CTYPE, "C.UTF-8");
}
