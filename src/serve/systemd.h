/*
 * systemd.h: being started and watched by systemd (sd_listen_fds(3), sd_notify(3)).
 *
 * Without systemd, that is without its variables in the environment, all of this does nothing.
 */
#ifndef HELIO_SERVE_SYSTEMD_H
#define HELIO_SERVE_SYSTEMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The listening stream sockets we were started with, close-on-exec; how many, or -1: wrong ones, said. */
int systemd_sockets(int *fds, size_t cap);
/* status: one line for people, as "serving 12 stations". */
void systemd_ready(const char *status);
void systemd_status(const char *status);
void systemd_reloading(void);
void systemd_stopping(void);
/* How often systemd_alive must be called at least, in milliseconds; 0: nobody watches. */
uint64_t systemd_watchdog(void);
/* Does nothing unless systemd_watchdog said that somebody watches. */
void systemd_alive(void);

#endif
