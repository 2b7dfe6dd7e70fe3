/*
 * chat_driver CONTROL LOG: a chat with nobody, for tests/e2e/test_chat.py.
 *
 * CONTROL is a FIFO of orders, one a line, arguments in hex: "m NAME TEXT" a message comes in,
 * "n TEXT" a note, "s TEXT" the state, "q" leave, "x" exit without chat_free.  LOG gets what the
 * chat reports: "ready", "line TEXT" (in hex), "end", "signal N".  A line that begins with "refuse"
 * is refused.  Each order is logged once it is carried out.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "talk/chat.h"

/* 21:34:00 in every time zone that the tests set (UTC). */
#define MESSAGE_TIME 77640

struct driver {
    struct chat *chat;
    FILE *log;
    bool ended;
    bool left;
};

static volatile sig_atomic_t caught[65];

static void catch (int number)
{
    caught[number] = 1;
}

static bool on_line(void *context, const char *text, size_t n)
{
    struct driver *d = context;

    fputs("line ", d->log);
    for (size_t i = 0; i < n; i++)
        fprintf(d->log, "%02x", (unsigned char)text[i]);
    fputc('\n', d->log);
    fflush(d->log);
    if (strlen(text) != n)
        abort();
    if (strncmp(text, "refuse", 6) == 0) {
        chat_note(d->chat, "refused");
        return false;
    }
    return true;
}

static void on_end(void *context)
{
    struct driver *d = context;

    if (d->ended)
        abort();
    d->ended = true;
    fputs("end\n", d->log);
    fflush(d->log);
}

/* The bytes of a hex word, and a NUL; *n may be NULL. */
static char *unhex(const char *hex, size_t *n)
{
    size_t length = hex ? strlen(hex) / 2 : 0;
    char *out = calloc(1, length + 1);

    for (size_t i = 0; out && i < length; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

        out[i] = (char)strtoul(pair, NULL, 16);
    }
    if (!out)
        abort();
    if (n)
        *n = length;
    return out;
}

static void obey(struct driver *d, char *order)
{
    char *at = NULL;
    const char *what = strtok_r(order, " \n", &at);
    size_t n = 0;
    char *first = unhex(strtok_r(NULL, " \n", &at), NULL);
    char *second = unhex(strtok_r(NULL, " \n", &at), &n);

    if (what && *what == 'm')
        chat_message(d->chat, MESSAGE_TIME, first, second, n);
    else if (what && *what == 'n')
        chat_note(d->chat, first);
    else if (what && *what == 's')
        chat_state(d->chat, first);
    else if (what && *what == 'q')
        d->left = true;
    else if (what && *what == 'x')
        exit(0);
    fprintf(d->log, "did %s\n", what ? what : "nothing");
    fflush(d->log);
    free(first);
    free(second);
}

static void see_signals(struct driver *d)
{
    static const int watched[] = {SIGWINCH, SIGCONT, SIGINT, SIGTERM};

    for (size_t i = 0; i < sizeof watched / sizeof *watched; i++) {
        int number = watched[i];

        if (!caught[number])
            continue;
        caught[number] = 0;
        if (number == SIGWINCH)
            chat_resized(d->chat);
        else if (number == SIGCONT)
            chat_continued(d->chat);
        else
            d->left = true;
        fprintf(d->log, "signal %d\n", number);
        fflush(d->log);
    }
}

static void run(struct driver *d, int control)
{
    FILE *orders = fdopen(control, "r");
    char *order = NULL;
    size_t capacity = 0;
    sigset_t none;

    sigemptyset(&none);
    setvbuf(orders, NULL, _IONBF, 0);
    while (!d->left) {
        struct pollfd fds[2] = {{.fd = d->ended ? -1 : STDIN_FILENO, .events = POLLIN},
                                {.fd = control, .events = POLLIN}};
        int ready = ppoll(fds, 2, NULL, &none);

        see_signals(d);
        if (ready <= 0)
            continue;
        if (fds[0].revents)
            chat_readable(d->chat);
        if (fds[1].revents) {
            if (getline(&order, &capacity, orders) < 0)
                break;
            obey(d, order);
        }
    }
    free(order);
    fclose(orders);
}

int main(int argc, char **argv)
{
    static const struct chat_calls calls = {.line = on_line, .end = on_end};
    struct driver d = {0};
    sigset_t watched;

    if (argc != 3)
        return 2;
    sigemptyset(&watched);
    for (const int *n = (const int[]){SIGWINCH, SIGCONT, SIGINT, SIGTERM, 0}; *n; n++) {
        sigaddset(&watched, *n);
        sigaction(*n, &(struct sigaction){.sa_handler = catch}, NULL);
    }
    sigprocmask(SIG_BLOCK, &watched, NULL); /* but not during ppoll */
    int control = open(argv[1], O_RDWR | O_CLOEXEC);
    d.log = fopen(argv[2], "ae");
    if (control < 0 || !d.log)
        return 2;
    enum helio_err err = chat_new(&d.chat, "me", &calls, &d);
    if (err) {
        fprintf(d.log, "error %d\n", (int)err);
        fclose(d.log);
        return 1;
    }
    fputs("ready\n", d.log);
    fflush(d.log);
    run(&d, control);
    chat_free(d.chat);
    fclose(d.log);
    return 0;
}
