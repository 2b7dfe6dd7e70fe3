/*
 * trust_ask.c: the question at the terminal, for a caller that may block: connect, which holds no
 * line meanwhile.  A listener asks in its loop (talk/ask.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli/say.h"
#include "cli/trust.h"

enum { REPLY_MAX = 256 };

/* Where to ask: the same descriptor twice, or stdin and stderr.  False when there is nobody. */
static bool open_terminal(int *in, int *out)
{
    int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

    if (tty >= 0) {
        *in = *out = tty;
        return true;
    }
    *in = STDIN_FILENO;
    *out = STDERR_FILENO;
    return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

static void close_terminal(int in)
{
    if (in > STDERR_FILENO)
        close(in);
}

bool trust_can_ask(void)
{
    int in, out;
    bool can = open_terminal(&in, &out);

    if (can)
        close_terminal(in);
    return can;
}

static void put(int fd, const char *text)
{
    size_t n = strlen(text);

    while (n > 0) {
        ssize_t done = write(fd, text, n);

        if (done < 0 && errno != EINTR && errno != EAGAIN)
            return;
        if (done > 0) {
            text += done;
            n -= (size_t)done;
        }
    }
}

/* The terminal may be shared, and then not wait in read. */
static void wait_readable(int in)
{
    struct pollfd readable = {.fd = in, .events = POLLIN};

    (void)poll(&readable, 1, -1);
}

/* One line into line[0..REPLY_MAX); too long a line is cut, and so is no answer of the three. */
static enum trust_reply read_line(int in, char *line)
{
    for (size_t n = 0;;) {
        char byte;

        line[n] = '\0';
        wait_readable(in);
        ssize_t got = read(in, &byte, 1);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got <= 0)
            return TRUST_NO;
        if (byte == '\n')
            return TRUST_AGAIN;
        if (n + 1 < REPLY_MAX)
            line[n++] = byte;
    }
}

enum trust_reply trust_ask(const struct trust_case *c)
{
    char question[4 * SAY_QUOTED_MAX], line[REPLY_MAX];
    enum trust_reply reply = TRUST_AGAIN;
    int in, out;

    if (!open_terminal(&in, &out))
        return TRUST_NO_TERMINAL;
    trust_question(c, question, sizeof question);
    (void)tcflush(in, TCIFLUSH); /* what was typed before is no answer */
    put(out, question);
    while (reply == TRUST_AGAIN) {
        reply = read_line(in, line);
        if (reply == TRUST_NO)
            put(out, "\n");
        if (reply == TRUST_AGAIN)
            reply = trust_read_reply(c, line);
        if (reply == TRUST_AGAIN)
            put(out, TRUST_ASK_AGAIN);
    }
    close_terminal(in);
    return reply;
}
