#include "cli/options.h"

#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

/* ----------------------------------------------------------------------------------- setters -- */

static void *field(struct options *options, const struct option_row *row)
{
    return (char *)options + row->offset;
}

static bool set_switch(struct options *options, const struct option_row *row, const char *value)
{
    *(bool *)field(options, row) = value != NULL;
    return true;
}

/* The command line wins over the config file, and the two families exclude each other. */
static bool set_family(struct options *options, const struct option_row *row, const char *value)
{
    if (value)
        options->ipv4 = options->ipv6 = false;
    return set_switch(options, row, value);
}

static bool set_text(struct options *options, const struct option_row *row, const char *value)
{
    *(const char **)field(options, row) = value;
    return *value != '\0';
}

static bool set_identity(struct options *options, const struct option_row *row, const char *value)
{
    options->identity_given = true;
    return set_text(options, row, value);
}

static bool set_known(struct options *options, const struct option_row *row, const char *value)
{
    options->known_given = true;
    return set_text(options, row, value);
}

/* Digits alone: no sign, no space, no 0x. */
static bool parse_number(const char *text, unsigned min, unsigned max, unsigned *out)
{
    unsigned value = 0;

    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        unsigned digit = (unsigned)(*text - '0');
        if (value > (max - digit) / 10) /* digit <= 9 <= max in every row */
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return value >= min;
}

static bool set_number(struct options *options, const struct option_row *row, const char *value)
{
    return parse_number(value, row->min, row->max, field(options, row));
}

static bool set_descriptor(struct options *options, const struct option_row *row, const char *value)
{
    unsigned fd;

    if (!parse_number(value, row->min, row->max, &fd))
        return false;
    options->passphrase_fd = (int)fd;
    return true;
}

static bool set_name(struct options *options, const struct option_row *row, const char *value)
{
    size_t n = strlen(value);

    (void)row;
    options->name = value;
    return n <= HELIO_NAME_MAX && text_is_name((const uint8_t *)value, n);
}

static bool set_suite(struct options *options, const struct option_row *row, const char *value)
{
    (void)row;
    options->suite = helio_suite_by_name(value);
    return options->suite != 0;
}

static bool set_log(struct options *options, const struct option_row *row, const char *value)
{
    (void)row;
    options->log_json = strcmp(value, "json") == 0;
    return options->log_json || strcmp(value, "text") == 0;
}

static bool set_counter(struct options *options, const struct option_row *row, const char *value)
{
    (void)row;
    bool constant = strcmp(value, "constant") == 0;

    options->classic_counter = constant ? HELIO_CLASSIC_CONSTANT : HELIO_CLASSIC_INCREMENTING;
    return constant || strcmp(value, "incrementing") == 0;
}

/* ------------------------------------------------------------------------------------- table -- */

#define FIELD(name) .offset = offsetof(struct options, name)

const struct option_row option_rows[] = {
    {"identity", 0, "FILE", VERB_KEYGEN | VERB_ID | VERB_LINES, true,
     "our key (default: identity.pem in HELIO_HOME)", "a file name", set_identity, FIELD(identity)},
    {"known", 0, "FILE", VERB_TRUST | VERB_LINES, true,
     "the known stations (default: known_stations in HELIO_HOME)", "a file name", set_known,
     FIELD(known)},
    {"peer", 0, "NAME|FINGERPRINT", VERB_LINES, false, "talk to this station and to no other",
     "the name of a known station or a fingerprint", set_text, FIELD(peer)},
    {"accept-new", 0, NULL, VERB_LINES, true,
     "trust and remember an unknown station without asking", NULL, set_switch, FIELD(accept_new)},
    {"name", 0, "TEXT", VERB_LINES, true, "what we call ourselves (default: user@host)",
     "at most 64 bytes of UTF-8 without control characters", set_name, FIELD(name)},
    {"suite", 0, "NAME", VERB_LINES, true, "use this suite and no other",
     "idea-ctr-poly1305, chacha20-poly1305 or aes-256-gcm", set_suite, FIELD(suite)},
    {"timeout", 0, "SECONDS", VERB_LINES, true, "give up when no line is open by then",
     "a whole number of seconds from 1 to 86400", set_number, FIELD(timeout), 1, 86400},
    {"ipv4", '4', NULL, VERB_LINES, true, "IPv4 only", NULL, set_family, FIELD(ipv4)},
    {"ipv6", '6', NULL, VERB_LINES, true, "IPv6 only", NULL, set_family, FIELD(ipv6)},
    {"keep", 0, NULL, VERB_LISTEN, true, "wait for the next station when one has left", NULL,
     set_switch, FIELD(keep)},
    {"echo", 0, NULL, VERB_SERVE, false, "send back what comes", NULL, set_switch, FIELD(echo)},
    {"exec", 0, "CMD", VERB_SERVE, false, "run CMD for each station, on its line", "a command",
     set_text, FIELD(exec)},
    {"forward", 0, "HOST:PORT", VERB_SERVE, false,
     "join each station with a connection to there (or to a socket, /PATH)",
     "HOST:PORT or the path of a Unix socket", set_text, FIELD(forward)},
    {"room", 0, NULL, VERB_SERVE, false, "a chat room of all stations", NULL, set_switch,
     FIELD(room)},
    {"allow", 0, "FILE", VERB_SERVE, true,
     "serve the stations in FILE and no others (default: known ones)", "a file name", set_text,
     FIELD(allow)},
    {"max-stations", 0, "N", VERB_SERVE, true, "at most N at a time; more hear that we are busy",
     "a whole number from 1 to 1000000", set_number, FIELD(max_stations), 1, 1000000},
    {"max-handshakes", 0, "N", VERB_SERVE, true, "at most N not yet authenticated (default: 256)",
     "a whole number from 1 to 100000", set_number, FIELD(max_handshakes), 1, 100000},
    {"no-penalties", 0, NULL, VERB_SERVE, true,
     "let sources in again at once whose handshakes came to nothing", NULL, set_switch,
     FIELD(no_penalties)},
    {"threads", 0, "N", VERB_SERVE, true, "loops, each on a thread (default: one a processor)",
     "a whole number from 1 to 64", set_number, FIELD(threads), 1, 64},
    {"grace", 0, "SECONDS", VERB_SERVE | VERB_FORWARD, true,
     "when told to stop, give lines so long to finish (default: 10)",
     "a whole number of seconds from 0 to 86400", set_number, FIELD(grace), 0, 86400},
    {"metrics", 0, "HOST:PORT", VERB_SERVE, true, "tell Prometheus at http://HOST:PORT/metrics",
     "HOST:PORT", set_text, FIELD(metrics)},
    {"classic", 0, NULL, VERB_CLASSIC, false, "speak the old, insecure protocol (never by itself)",
     NULL, set_switch, FIELD(classic)},
    {"classic-offset", 0, "0..24", VERB_CLASSIC, true, "where classic's key starts in the digest",
     "a whole number from 0 to 24", set_number, FIELD(classic_offset), 0, 24},
    {"classic-counter", 0, "KIND", VERB_CLASSIC, true, "classic's counter: constant, incrementing",
     "constant or incrementing", set_counter, FIELD(classic_counter)},
    {"bits", 0, "BITS", VERB_KEYGEN, true, "size of the key: 2048 to 8192 (default: 3072)",
     "a whole number from 2048 to 8192", set_number, FIELD(bits), HELIO_RSA_BITS_MIN,
     HELIO_RSA_BITS_MAX},
    {"passphrase", 0, NULL, VERB_KEYGEN, false, "protect the key with a passphrase; asks for it",
     NULL, set_switch, FIELD(passphrase)},
    {"passphrase-fd", 0, "N", VERB_KEYGEN | VERB_ID | VERB_LINES, false,
     "read the key's passphrase from descriptor N", "the number of an open file descriptor",
     set_descriptor, .min = 0, .max = INT_MAX},
    {"json", 0, NULL, VERB_ID | VERB_BENCH, false, "as JSON", NULL, set_switch, FIELD(json)},
    {"public", 0, NULL, VERB_ID, false, "the public key as PEM", NULL, set_switch,
     FIELD(public_pem)},
    {"quiet", 'q', NULL, VERB_ALL, true, "say nothing but warnings and errors", NULL, set_switch,
     FIELD(quiet)},
    {"verbose", 'v', NULL, VERB_ALL, true, "show each step", NULL, set_switch, FIELD(verbose)},
    {"log", 0, "json", VERB_ALL, true, "messages as one JSON object a line", "\"json\" or \"text\"",
     set_log, FIELD(log_json)},
    {.name = NULL},
};

/* --------------------------------------------------------------------------------- functions -- */

/* user@host as far as there are such names and they can be shown. */
static const char *default_name(void)
{
    static char name[HELIO_NAME_MAX + 1];
    char host[256] = "";
    const struct passwd *user = getpwuid(geteuid());

    if (gethostname(host, sizeof host - 1) != 0)
        host[0] = '\0';
    int n = snprintf(name, sizeof name, "%s%s%s", user ? user->pw_name : "",
                     user && host[0] ? "@" : "", host);
    if (n < 0 || (size_t)n >= sizeof name || !text_is_name((const uint8_t *)name, (size_t)n))
        return "";
    return name;
}

void options_defaults(struct options *options)
{
    *options = (struct options){
        .name = default_name(),
        .passphrase_fd = -1,
        .bits = HELIO_RSA_BITS_DEFAULT,
        .max_handshakes = 256,
        .grace = 10,
        .classic_counter = HELIO_CLASSIC_CONSTANT,
    };
}

const char *options_keep(struct options *options, const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    struct kept_text *kept = malloc(sizeof *kept + n + m + 1);

    if (!kept)
        return NULL;
    memcpy(kept->text, a, n);
    memcpy(kept->text + n, b, m + 1);
    kept->next = options->kept;
    options->kept = kept;
    return kept->text;
}

void options_clear(struct options *options)
{
    while (options->kept) {
        struct kept_text *next = options->kept->next;

        free(options->kept);
        options->kept = next;
    }
}

static const struct option_row *row_by_name(const char *name)
{
    for (const struct option_row *row = option_rows; row->name; row++)
        if (strcmp(row->name, name) == 0)
            return row;
    return NULL;
}

const char *options_set(struct options *options, const char *name, const char *value)
{
    static char problem[128];
    const struct option_row *row = row_by_name(name);

    if (!row)
        return "there is no such option; helio(1) lists them";
    if (!row->config)
        return "this can only be said on the command line";
    if (!row->argument) {
        bool on = strcmp(value, "yes") == 0;

        if (!on && strcmp(value, "no") != 0)
            return "say yes or no";
        value = on ? value : NULL;
    }
    if (row->set(options, row, value))
        return NULL;
    snprintf(problem, sizeof problem, "give %s", row->wanted);
    return problem;
}
