/*
 * station.h: what every verb that has lines needs, whoever calls: the session's config as the
 * options say it, and in words where we listen and what a line has moved.
 */
#ifndef HELIO_CLI_STATION_H
#define HELIO_CLI_STATION_H

#include "cli/cli.h"
#include "io/io.h"

/* Room for HOST:PORT, as io_place_format writes it. */
enum { STATION_PLACE_SIZE = IO_HOST_SIZE + 16 };

/* As -4 and -6 say it. */
enum io_family station_family(const struct options *options);

/* How long a handshake may take, in milliseconds. */
uint64_t station_handshake_ms(const struct options *options);

/*
 * Identity (NULL in classic), name and suites; service and trace are the caller's.  What the config
 * points to is the options' and the identity's.
 */
helio_config station_config(const struct options *options, const helio_identity *identity);

/* "sent 5 bytes, received 7 bytes, 1.2 s".  Returns out. */
enum { STATION_ACCOUNT_SIZE = 96 };
const char *station_account(const struct io_line_account *account, char out[STATION_ACCOUNT_SIZE]);

/* Says why there is no listener at place; returns the exit status that it means. */
int station_not_listening(const struct io_place *place, const struct io_report *report);

/*
 * The command by which others reach us: "HOW HOST:PORT --peer FINGERPRINT", how being STATION_CALL or
 * the like.  Without a host in place it names an address of ours.
 */
#define STATION_CALL "helio connect"
enum { STATION_COMMAND_SIZE = 512 };
void station_command(const struct options *options, const helio_identity *identity,
                     const struct io_place *place, const char *how, char out[STATION_COMMAND_SIZE]);

#endif
