#include "stations.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
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
