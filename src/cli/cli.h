/*
 * cli.h: the shape of the command line: verbs and exit statuses.
 *
 * main (helio.c) prepares the process, parses every option (options.h), checks the number of
 * positional arguments and calls the verb.  A verb gets the finished options and its positional
 * arguments alone: argv[0] is the first of them, not the verb.  It reports its own errors with
 * say.h and returns an exit status.
 *
 * To add a verb: write verb_NAME.c in the room that it belongs to, list it in that meson.build, give
 * it a bit in options.h, a prototype here and a row in helio.c.
 */
#ifndef HELIO_CLI_CLI_H
#define HELIO_CLI_CLI_H

#include "cli/options.h"
#include "helio.h"

/* What the shell sees; a contract with scripts (helio(1)). */
enum exit_status {
    STATUS_DONE = 0,          /* all was done; for a line: both directions closed, authenticated */
    STATUS_LOCAL = 1,         /* a local failure: a file, memory */
    STATUS_USAGE = 2,         /* wrong usage, or a wrong line in the config file */
    STATUS_NO_CONNECTION = 3, /* refused, no such host, timed out */
    STATUS_TRUST = 4,         /* the station is not trusted, or did not trust us */
    STATUS_LINE = 5,          /* the line was cut, altered, or broke the protocol */
    STATUS_RESULT = 6         /* all arrived, and the command at the other end had failed */
};

struct verb {
    const char *name;
    enum verb_bit bit;   /* its bit in the option table */
    const char *usage;   /* the positional arguments: "[HOST:]PORT" */
    const char *summary; /* one line for the list of verbs */
    const char *text;    /* what --help says under the usage line; ends with a newline */
    int min_args;
    int max_args;
    int (*run)(struct options *options, int argc, char **argv);
};

int verb_keygen(struct options *options, int argc, char **argv);
int verb_id(struct options *options, int argc, char **argv);
int verb_trust(struct options *options, int argc, char **argv);
int verb_listen(struct options *options, int argc, char **argv);
int verb_connect(struct options *options, int argc, char **argv);
int verb_serve(struct options *options, int argc, char **argv);
int verb_forward(struct options *options, int argc, char **argv);
int verb_bench(struct options *options, int argc, char **argv);
int verb_demo(struct options *options, int argc, char **argv);

/* The one table that says which status an error of the library ends with. */
enum exit_status exit_status_of(enum helio_err err);

/*
 * Reports wrong usage of a verb's positional arguments ("ports go from 1 to 65535") and where the
 * help is; returns STATUS_USAGE.
 */
int usage_error(const char *verb, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
