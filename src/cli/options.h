/*
 * options.h: what the user asked for, from the command line and from the config file.
 *
 * One table (options.c) names every option, the verbs that take it, whether it may stand in the
 * config file, and its line of help; the parser, --help and the config reader all work from it.
 * The command line wins over the config file.  Strings are argv's, static, or kept in the options.
 */
#ifndef HELIO_CLI_OPTIONS_H
#define HELIO_CLI_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include "helio.h"

struct verb;

enum verb_bit {
    VERB_KEYGEN = 1 << 0,
    VERB_ID = 1 << 1,
    VERB_TRUST = 1 << 2,
    VERB_LISTEN = 1 << 3,
    VERB_CONNECT = 1 << 4,
    VERB_DEMO = 1 << 5,
    VERB_BENCH = 1 << 6,
    VERB_SERVE = 1 << 7,
    VERB_FORWARD = 1 << 8,
    VERB_LINES = VERB_LISTEN | VERB_CONNECT | VERB_SERVE | VERB_FORWARD,
    VERB_CLASSIC = VERB_LISTEN | VERB_CONNECT, /* a server never speaks it */
    VERB_ALL = (1 << 9) - 1
};

/* A string that lives as long as the options. */
struct kept_text {
    struct kept_text *next;
    char text[];
};

struct options {
    const char *home;     /* the directory of Heliograph's own files; it may not exist yet */
    const char *identity; /* path, never NULL */
    bool identity_given;  /* somebody named that path: never make one there unasked */
    const char *known;    /* path, never NULL */
    bool known_given;     /* --known or the config file named it */
    const char *peer;     /* --peer as given, or NULL; trust_pin_resolve reads it */
    bool accept_new;
    const char *name; /* what we call ourselves: never NULL, fit for helio_config.name */
    uint16_t suite;   /* the only one to use, or 0 for all of ours */
    unsigned timeout; /* seconds, or 0: not given */
    bool ipv4, ipv6;  /* at most one: only that family */
    bool quiet, verbose;
    bool log_json;
    bool classic;
    unsigned classic_offset;
    helio_classic_counter classic_counter;
    int passphrase_fd;   /* or -1 */
    bool passphrase;     /* keygen: ask for one */
    bool keep;           /* listen: wait for the next station */
    bool echo, room;     /* serve: which service … */
    const char *exec;    /* … NULL unless given: a command for sh -c */
    const char *forward; /* … NULL unless given: HOST:PORT or a Unix socket */
    const char *allow;   /* path, or NULL */
    const char *metrics; /* HOST:PORT, or NULL */
    unsigned threads;    /* 0: not given */
    unsigned grace;      /* seconds that lines get to finish */
    unsigned max_stations, max_handshakes;
    bool no_penalties;
    bool json;
    bool public_pem;
    unsigned bits;
    struct kept_text *kept; /* what options_keep made */
};

/* A row of the table.  Letters and long names are unique. */
struct option_row {
    const char *name;
    int letter;           /* or 0 */
    const char *argument; /* what help calls its argument, or NULL for a switch */
    unsigned verbs;       /* verb_bit of those that take it */
    bool config;          /* it may stand in the config file */
    const char *help;
    const char *wanted; /* completes "NAME: give …" when set says no; NULL for a switch */
    /* Takes value (a switch: NULL for off, else on); false when it is no good. */
    bool (*set)(struct options *, const struct option_row *, const char *value);
    size_t offset; /* the field of struct options, for setters that serve several rows */
    unsigned min, max;
};

/* The table; ends with name NULL. */
extern const struct option_row option_rows[];

/* What holds when nobody says anything; home_find adds the paths. */
void options_defaults(struct options *options);
/* A new string a ‖ b that lives until options_clear; NULL without memory. */
const char *options_keep(struct options *options, const char *a, const char *b);
void options_clear(struct options *options);

/*
 * Sets one option by its long name as the config file does; value is "yes" or "no" for a switch.
 * Returns NULL, or what is wrong with it: a sentence that follows "NAME: ".
 */
const char *options_set(struct options *options, const char *name, const char *value);

/* usage.c: the texts of --help, for the program and for one verb. */
void usage_overview(FILE *out, const struct verb *verbs, size_t n);
void usage_verb(FILE *out, const struct verb *verb);

/*
 * parse.c: parses the whole command line.  argv is permuted as getopt does; *verb is the row of
 * verbs[0..n) that was asked for and *first the index of its first positional argument, argc the
 * end.  Returns -1 to go on, or the exit status when all is said already (--help, --version, wrong
 * usage).
 */
int options_parse(struct options *options, int argc, char **argv, const struct verb *verbs,
                  size_t n, const struct verb **verb, int *first);

#endif
