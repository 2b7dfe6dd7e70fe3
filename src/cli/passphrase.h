/*
 * passphrase.h: asking for a passphrase without showing, keeping or leaking it.
 *
 * It comes from the terminal with the echo off, or from --passphrase-fd: up to the first newline or
 * the end, and never a byte more, so that the descriptor may go on as something else.  The echo
 * comes back however the question ends, by a signal included.
 */
#ifndef HELIO_CLI_PASSPHRASE_H
#define HELIO_CLI_PASSPHRASE_H

#include "cli/options.h"

/* The context of passphrase_ask: whose key file is being opened. */
struct passphrase_source {
    const struct options *options;
    const char *path;
    /* What came of it. */
    bool asked; /* somebody at a terminal: worth another try */
    bool said;  /* what went wrong has been said already */
};

/* A helio_passphrase_fn for helio_identity_load; context is a struct passphrase_source. */
enum helio_err passphrase_ask(void *context, char *out, size_t cap, size_t *n);

/*
 * For a new key: from --passphrase-fd, or asked twice.  At least one byte.  Errors are said here:
 * HELIO_E_PASSPHRASE.  The caller wipes out on every way.
 */
HELIO_MUST_CHECK enum helio_err passphrase_new(const struct options *options, const char *path,
                                               char *out, size_t cap, size_t *n);

#endif
