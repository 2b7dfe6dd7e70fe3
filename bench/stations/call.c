#include "stations.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HANDSHAKE_MS = 30000 };

/* ----------------------------------------------------------------------------------- calling -- */

/* The port is chosen with the connection: so many may share an address. */
static bool bind_from(int fd, unsigned number)
{
    static const int on = 1;
    struct sockaddr_in from = {.sin_family = AF_INET};

    from.sin_addr.s_addr = htonl(0x7f010000u + (number & 0xffffu));
    return setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) == 0 &&
           bind(fd, (const struct sockaddr *)&from, sizeof from) == 0;
}

int socket_from(const struct settings *settings, unsigned number, int flags)
{
    int fd = socket(settings->server.ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

    if (fd >= 0 && settings->sources > 0 && !bind_from(fd, number % settings->sources)) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/*
 * On this machine a connection stands when connect returns, or is refused; only a full backlog
 * makes it wait, and that is what is being measured.
 */
static int connect_from(const struct settings *settings, unsigned number)
{
    int fd = socket_from(settings, number, 0);

    if (fd < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)&settings->server, settings->server_size) ||
        fcntl(fd, F_SETFL, O_NONBLOCK)) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

const char *call_server(struct io_line **line, const struct settings *settings,
                        struct io_loop *loop, unsigned number,
                        const struct io_line_handlers *handlers, void *context)
{
    struct io_caller caller = {.name = "server"};
    struct io_stream *stream = NULL;
    enum helio_err err;

    *line = NULL;
    caller.fd = connect_from(settings, number);
    if (caller.fd < 0)
        return strerror(errno);
    err = io_stream_adopt(&stream, loop, &caller);
    if (err == HELIO_OK)
        err = io_line_new(line, loop, stream, &settings->config, HELIO_INITIATOR, HANDSHAKE_MS,
                          handlers, context);
    if (err == HELIO_OK)
        return NULL;
    *line = NULL;
    return helio_strerror(err);
}

void call_judge(const struct settings *settings, struct io_line *line)
{
    const helio_peer *peer = helio_session_peer(io_line_session(line));

    if (helio_fingerprint_equal(&peer->fingerprint, &settings->peer))
        io_line_trust(line);
    else
        io_line_refuse(line, HELIO_REFUSE_UNTRUSTED);
}

/* ----------------------------------------------------------------------------------- figures -- */

uint64_t microseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void sample_add(struct sample *sample, uint64_t value)
{
    if (sample->n == sample->cap) {
        size_t cap = sample->cap ? 2 * sample->cap : 1024;
        uint32_t *values = realloc(sample->values, cap * sizeof *values);

        if (!values) {
            fputs("stations: no memory for figures\n", stderr);
            exit(1);
        }
        sample->values = values;
        sample->cap = cap;
    }
    sample->values[sample->n++] = value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* The smallest value that at least this part of all is not above; in milliseconds. */
static double part(const struct sample *sample, double share)
{
    size_t at = (size_t)(share * (double)sample->n);

    if (sample->n == 0)
        return 0;
    return sample->values[at < sample->n ? at : sample->n - 1] / 1e3;
}

void sample_print(struct sample *sample, const char *name)
{
    if (sample->n > 0)
        qsort(sample->values, sample->n, sizeof *sample->values, compare);
    printf("\"%s\":{\"n\":%zu,\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"p999\":%.3f,\"max\":%.3f}",
           name, sample->n, part(sample, 0.5), part(sample, 0.9), part(sample, 0.99),
           part(sample, 0.999), part(sample, 1));
}

void sample_clear(struct sample *sample)
{
    free(sample->values);
    *sample = (struct sample){0};
}

void tally_add(struct tally *tally, const char *what)
{
    enum { ROWS = sizeof tally->rows / sizeof *tally->rows };
    size_t i = 0;

    while (i < tally->n && strncmp(tally->rows[i].what, what, sizeof tally->rows[i].what - 1) != 0)
        i++;
    if (i == ROWS)
        i = ROWS - 1; /* more kinds of trouble than anybody reads */
    if (i == tally->n) {
        snprintf(tally->rows[i].what, sizeof tally->rows[i].what, "%s", what);
        tally->n++;
    }
    tally->rows[i].times++;
}

uint64_t tally_total(const struct tally *tally)
{
    uint64_t total = 0;

    for (size_t i = 0; i < tally->n; i++)
        total += tally->rows[i].times;
    return total;
}

void tally_print(const struct tally *tally, const char *name)
{
    printf("\"%s\":{", name);
    for (size_t i = 0; i < tally->n; i++)
        printf("%s\"%s\":%llu", i ? "," : "", tally->rows[i].what,
               (unsigned long long)tally->rows[i].times);
    putchar('}');
}

/* --------------------------------------------------------------------------------- randomness -- */

uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t draw_below(uint64_t *state, uint64_t limit)
{
    return limit ? draw(state) % limit : 0;
}

void draw_bytes(uint64_t *state, uint8_t *out, size_t n)
{
    for (; n > 0; n--)
        *out++ = (uint8_t)(draw(state) >> 56);
}
