#include "serve/systemd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "cli/say.h"

/* One process has one watchdog, if any. */
static bool watched;

/* Whether fd is one that we can accept stations from: TCP, and listening. */
static bool is_ours(int fd)
{
    return sd_is_socket(fd, AF_INET, SOCK_STREAM, 1) > 0 ||
           sd_is_socket(fd, AF_INET6, SOCK_STREAM, 1) > 0;
}

static int take(int fd, int *out)
{
    if (!is_ours(fd)) {
        say_error("systemd-sockets",
                  "descriptor %d, handed over by systemd, is not a listening TCP socket\n"
                  "In the .socket unit say ListenStream=PORT, and Accept=no.",
                  fd);
        return -1;
    }
    *out = fd;
    return 0;
}

int systemd_sockets(int *fds, size_t cap)
{
    /* Ours alone: what we start must not take them for its own. */
    int n = sd_listen_fds(1);

    if (n < 0) {
        say_error("systemd-sockets", "cannot take systemd's sockets over: %s", strerror(-n));
        return -1;
    }
    if ((size_t)n > cap) {
        say_error("systemd-sockets", "systemd handed over %d sockets; at most %zu will do", n, cap);
        return -1;
    }
    for (int i = 0; i < n; i++)
        if (take(SD_LISTEN_FDS_START + i, &fds[i]) != 0)
            return -1;
    return n;
}

/*
 * Not being heard is no reason to stop serving: who waits for READY=1 has a time limit of its own,
 * and so has the watchdog.  So results are looked at once, for a hint.
 */
static void notify(const char *state)
{
    static bool said;
    int result = sd_notify(0, state);

    if (result >= 0 || said)
        return;
    said = true;
    say_warn("systemd-notify", "cannot tell systemd how we are: %s", strerror(-result));
}

/* assignments and STATUS=, which takes the first line of status. */
static void notify_status(const char *assignments, const char *status)
{
    char text[512];

    snprintf(text, sizeof text, "%sSTATUS=%.*s", assignments, (int)strcspn(status, "\n"), status);
    notify(text);
}

void systemd_ready(const char *status)
{
    notify_status("READY=1\n", status);
}

void systemd_status(const char *status)
{
    notify_status("", status);
}

void systemd_reloading(void)
{
    char text[80];
    struct timespec now;

    /* Type=notify-reload wants to know which of its requests is being answered. */
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
             (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
    notify(text);
}

void systemd_stopping(void)
{
    notify("STOPPING=1");
}

uint64_t systemd_watchdog(void)
{
    uint64_t microseconds = 0;

    watched = sd_watchdog_enabled(0, &microseconds) > 0;
    if (!watched)
        return 0;
    /* Half of the time, as sd_watchdog_enabled(3) advises; never 0, which means nobody watches. */
    return microseconds / 2000 > 0 ? microseconds / 2000 : 1;
}

void systemd_alive(void)
{
    if (watched)
        notify("WATCHDOG=1");
}
