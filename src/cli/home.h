/*
 * home.h: where Heliograph keeps its files, and reading them with errors that people understand.
 *
 * The home is $HELIO_HOME, else $XDG_CONFIG_HOME/helio, else ~/.config/helio.  It holds
 * identity.pem, known_stations and config.  It is created with mode 0700 when something is first
 * written to it, and not used when others may write to it.
 */
#ifndef HELIO_CLI_HOME_H
#define HELIO_CLI_HOME_H

#include "cli/cli.h"

/* All return STATUS_DONE, or another status after having said what went wrong. */

/* Finds the home and sets the default paths in options; creates nothing. */
HELIO_MUST_CHECK enum exit_status home_find(struct options *options);

/*
 * Reads the config file over options.  A missing file is an empty one; mistakes are usage errors.
 */
HELIO_MUST_CHECK enum exit_status config_read(struct options *options);

/* Creates the directory that path stands in when it is the home and not there yet. */
HELIO_MUST_CHECK enum exit_status home_make(const struct options *options, const char *path);

/*
 * Loads our identity, asking for its passphrase when it has one.  When there is none and nobody
 * named a file, makes one, saves it and says so.
 */
HELIO_MUST_CHECK enum exit_status home_identity(const struct options *options,
                                                helio_identity **out);

/* Loads the known stations. */
HELIO_MUST_CHECK enum exit_status home_known(const struct options *options, helio_known **out);

/*
 * Says why a file that holds an identity could not be read or written ("read", "write"), and what
 * to do; returns the status.  Looks at errno when err is HELIO_E_SYSTEM.
 */
enum exit_status home_identity_error(const char *what, const char *path, enum helio_err err);

/* The same for the file of known stations; line is 0 when it is not a line's fault. */
enum exit_status home_known_error(const char *what, const char *path, enum helio_err err,
                                  unsigned line);

#endif
