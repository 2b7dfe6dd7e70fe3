#include "cli/passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/wipe.h"
#include "cli/say.h"

/* ------------------------------------------------------------------------- from a descriptor -- */

/* HELIO_E_SYSTEM with errno, HELIO_E_TOO_LONG, HELIO_E_PASSPHRASE when it is empty. */
static enum helio_err read_descriptor(int fd, char *out, size_t cap, size_t *n)
{
    *n = 0;
    for (;;) {
        char byte;
        ssize_t got = read(fd, &byte, 1);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return HELIO_E_SYSTEM;
        if (got == 0 || byte == '\n')
            return *n > 0 ? HELIO_OK : HELIO_E_PASSPHRASE;
        if (*n == cap)
            return HELIO_E_TOO_LONG;
        out[(*n)++] = byte;
    }
}

static enum helio_err from_descriptor(int fd, char *out, size_t cap, size_t *n)
{
    enum helio_err err = read_descriptor(fd, out, cap, n);

    if (err == HELIO_E_SYSTEM)
        say_error("passphrase", "cannot read the passphrase from --passphrase-fd %d: %s", fd,
                  strerror(errno));
    else if (err == HELIO_E_PASSPHRASE)
        say_error("passphrase", "the passphrase from --passphrase-fd %d is empty", fd);
    else if (err != HELIO_OK)
        say_error("passphrase", "the passphrase from --passphrase-fd %d is over %zu bytes", fd,
                  cap);
    return err;
}

/* --------------------------------------------------------------------------- at the terminal -- */

/* A signal that would end or stop us waits until the echo is back; it is then sent again. */
static const int guarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, SIGALRM};
enum { GUARDED = sizeof guarded / sizeof *guarded };

static volatile sig_atomic_t caught;

static void catch_signal(int number)
{
    caught = number;
}

struct guard {
    struct sigaction before[GUARDED];
    sigset_t mask;         /* as it was */
    struct termios normal; /* as it was */
};

static bool guard_enter(struct guard *g, int tty)
{
    struct sigaction action = {.sa_handler = catch_signal};
    struct termios silent;
    sigset_t all;

    caught = 0;
    sigemptyset(&all);
    for (size_t i = 0; i < GUARDED; i++)
        sigaddset(&all, guarded[i]);
    if (tcgetattr(tty, &g->normal) != 0)
        return false;
    /* Blocked except inside ppoll: none can come between the look at caught and the wait. */
    sigprocmask(SIG_BLOCK, &all, &g->mask);
    for (size_t i = 0; i < GUARDED; i++) {
        sigaction(guarded[i], NULL, &g->before[i]);
        if (g->before[i].sa_handler != SIG_IGN)
            sigaction(guarded[i], &action, NULL);
    }
    silent = g->normal;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    silent.c_lflag |= ICANON | ISIG;
    tcsetattr(tty, TCSAFLUSH, &silent);
    return true;
}

static void guard_leave(const struct guard *g, int tty)
{
    int number = caught;

    tcsetattr(tty, TCSAFLUSH, &g->normal);
    for (size_t i = 0; i < GUARDED; i++)
        sigaction(guarded[i], &g->before[i], NULL);
    sigprocmask(SIG_SETMASK, &g->mask, NULL);
    if (number)
        kill(getpid(), number); /* delivered before kill returns, if it is to be at all */
}

static void put_terminal(int tty, const char *text)
{
    size_t n = strlen(text);

    while (n > 0) {
        ssize_t done = write(tty, text, n);

        if (done < 0 && errno != EINTR)
            return;
        if (done > 0) {
            text += done;
            n -= (size_t)done;
        }
    }
}

/* One line without its newline; the terminal's own editing has been at it. */
static enum helio_err read_terminal(int tty, const sigset_t *mask, char *out, size_t cap, size_t *n)
{
    *n = 0;
    for (;;) {
        struct pollfd readable = {.fd = tty, .events = POLLIN};
        char byte;

        if (caught)
            return HELIO_E_PASSPHRASE;
        if (ppoll(&readable, 1, NULL, mask) < 0)
            continue; /* only a signal; caught tells */
        ssize_t got = read(tty, &byte, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return HELIO_E_PASSPHRASE;
        if (byte == '\n')
            return HELIO_OK;
        if (*n == cap)
            return HELIO_E_TOO_LONG;
        out[(*n)++] = byte;
    }
}

/* Asks once; again after a stop and a continuation. */
static enum helio_err ask_terminal(int tty, const char *prompt, char *out, size_t cap, size_t *n)
{
    enum helio_err err;
    int number;

    do {
        struct guard guard;

        if (!guard_enter(&guard, tty))
            return HELIO_E_PASSPHRASE;
        put_terminal(tty, prompt);
        err = read_terminal(tty, &guard.mask, out, cap, n);
        put_terminal(tty, "\n");
        number = caught;
        guard_leave(&guard, tty);
    } while (number == SIGTSTP || number == SIGTTIN || number == SIGTTOU);
    if (err == HELIO_E_TOO_LONG)
        say_error("passphrase", "a passphrase has at most %zu bytes", cap);
    return err;
}

static int open_terminal(void)
{
    return open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
}

static void make_prompt(char *prompt, size_t cap, const char *what, const char *path)
{
    char shown[SAY_QUOTED_MAX];

    snprintf(prompt, cap, "%s for %s: ", what, say_quoted(shown, sizeof shown, path, strlen(path)));
}

/* --------------------------------------------------------------------------------- functions -- */

enum helio_err passphrase_ask(void *context, char *out, size_t cap, size_t *n)
{
    struct passphrase_source *source = context;
    char prompt[SAY_QUOTED_MAX + 64];

    *n = 0;
    if (source->options->passphrase_fd >= 0) {
        enum helio_err err = from_descriptor(source->options->passphrase_fd, out, cap, n);

        source->said = err != HELIO_OK;
        return err;
    }
    int tty = open_terminal();
    if (tty < 0)
        return HELIO_E_PASSPHRASE;
    make_prompt(prompt, sizeof prompt, "Passphrase", source->path);
    enum helio_err err = ask_terminal(tty, prompt, out, cap, n);
    source->said = err == HELIO_E_TOO_LONG;
    source->asked = err == HELIO_OK;
    close(tty);
    return err;
}

static enum helio_err ask_twice(int tty, const char *path, char *out, size_t cap, size_t *n)
{
    char prompt[SAY_QUOTED_MAX + 64], again[HELIO_PASSPHRASE_MAX];
    size_t again_n = 0;

    make_prompt(prompt, sizeof prompt, "New passphrase", path);
    enum helio_err err = ask_terminal(tty, prompt, out, cap, n);
    if (err != HELIO_OK)
        return err;
    if (*n == 0) {
        say_error("passphrase", "the passphrase is empty: nothing was made");
        return HELIO_E_PASSPHRASE;
    }
    err = ask_terminal(tty, "The same again: ", again, sizeof again, &again_n);
    if (err == HELIO_OK && (again_n != *n || !equal_secret(again, out, again_n))) {
        say_error("passphrase", "the two passphrases differ: nothing was made");
        err = HELIO_E_PASSPHRASE;
    }
    wipe(again, sizeof again);
    return err;
}

enum helio_err passphrase_new(const struct options *options, const char *path, char *out,
                              size_t cap, size_t *n)
{
    *n = 0;
    if (options->passphrase_fd >= 0)
        return from_descriptor(options->passphrase_fd, out, cap, n);
    int tty = open_terminal();
    if (tty < 0) {
        say_error("passphrase", "there is no terminal to ask for a passphrase at\n"
                                "Hand it in with --passphrase-fd.");
        return HELIO_E_PASSPHRASE;
    }
    enum helio_err err = ask_twice(tty, path, out, cap, n);
    close(tty);
    return err;
}
