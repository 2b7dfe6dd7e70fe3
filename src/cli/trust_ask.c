/*
 * trust_ask.c: the question at the terminal, for a caller that may block.  It knows nothing of
 * events, signals and other threads; a descriptor that becomes readable ends it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <termios.h>
#include <time.h>
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

static long long now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* True when the terminal has something to read; false when it is time to stop. */
static bool wait_readable(int in, int cancel_fd, long long deadline)
{
    for (;;) {
        struct pollfd fds[] = {{.fd = in, .events = POLLIN}, {.fd = cancel_fd, .events = POLLIN}};
        long long left = deadline ? deadline - now_ms() : -1;

        if (deadline && left <= 0)
            return false;
        int ready = poll(fds, 2, (int)left);
        if (ready < 0 && errno != EINTR)
            return false;
        if (ready > 0 && fds[1].revents) /* poll passes over a cancel_fd of -1 */
            return false;
        if (ready > 0)
            return true;
    }
}

/* One line into line[0..REPLY_MAX); too long a line is cut, and so is no answer of the three. */
static enum trust_reply read_line(int in, int cancel_fd, long long deadline, char *line)
{
    for (size_t n = 0;;) {
        char byte;

        line[n] = '\0';
        if (!wait_readable(in, cancel_fd, deadline))
            return TRUST_NO_ANSWER;
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

enum trust_reply trust_ask(const struct trust_case *c, unsigned seconds, int cancel_fd)
{
    char question[4 * SAY_QUOTED_MAX], line[REPLY_MAX];
    long long deadline = seconds ? now_ms() + seconds * 1000LL : 0;
    enum trust_reply reply = TRUST_AGAIN;
    int in, out;

    if (!open_terminal(&in, &out))
        return TRUST_NO_TERMINAL;
    trust_question(c, question, sizeof question);
    (void)tcflush(in, TCIFLUSH); /* what was typed before is no answer */
    put(out, question);
    while (reply == TRUST_AGAIN) {
        reply = read_line(in, cancel_fd, deadline, line);
        if (reply == TRUST_NO || reply == TRUST_NO_ANSWER)
            put(out, "\n");
        if (reply == TRUST_AGAIN)
            reply = trust_read_reply(c, line);
        if (reply == TRUST_AGAIN)
            put(out, TRUST_ASK_AGAIN);
    }
    close_terminal(in);
    return reply;
}
