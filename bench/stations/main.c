/*
 * main.c: stations MODE ADDRESS:PORT [OPTION...]: what the user asked for.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stations.h"

static const char usage[] =
    "usage: stations open|churn|flood 127.0.0.1:PORT --identity FILE --peer FINGERPRINT [...]\n"
    "  all:   --sources N, --suite NAME, --service NAME, --seed N\n"
    "  open:  --stations N --at-once N, then --pingers N --every MS --size BYTES --seconds N,\n"
    "         then --hold SECONDS (or until SIGTERM)\n"
    "  churn: --stations N --seconds N --stay SECONDS --rest SECONDS --report SECONDS\n"
    "  flood: --rate N --seconds N --stations N --kind silent|hello|hangup|garbage\n";

static _Noreturn void fail(const char *why, const char *what)
{
    fprintf(stderr, "stations: %s: %s\n%s", what, why, usage);
    exit(2);
}

enum { TEXT, NUMBER };

static const struct option long_options[] = {
    {"identity", required_argument, NULL, TEXT},
    {"peer", required_argument, NULL, TEXT},
    {"suite", required_argument, NULL, TEXT},
    {"service", required_argument, NULL, TEXT},
    {"kind", required_argument, NULL, TEXT},
    {"stations", required_argument, NULL, NUMBER},
    {"at-once", required_argument, NULL, NUMBER},
    {"sources", required_argument, NULL, NUMBER},
    {"seconds", required_argument, NULL, NUMBER},
    {"hold", required_argument, NULL, NUMBER},
    {"pingers", required_argument, NULL, NUMBER},
    {"every", required_argument, NULL, NUMBER},
    {"size", required_argument, NULL, NUMBER},
    {"stay", required_argument, NULL, NUMBER},
    {"rest", required_argument, NULL, NUMBER},
    {"report", required_argument, NULL, NUMBER},
    {"rate", required_argument, NULL, NUMBER},
    {"seed", required_argument, NULL, NUMBER},
    {NULL, 0, NULL, 0},
};

static const struct {
    const char *name;
    size_t offset;
    unsigned min, max;
} numbers[] = {
    {"stations", offsetof(struct settings, stations), 1, 1000000},
    {"at-once", offsetof(struct settings, at_once), 1, 100000},
    {"sources", offsetof(struct settings, sources), 0, 65536},
    {"seconds", offsetof(struct settings, seconds), 0, 1000000},
    {"hold", offsetof(struct settings, hold), 0, 1000000},
    {"pingers", offsetof(struct settings, pingers), 0, 1000000},
    {"every", offsetof(struct settings, every), 1, 1000000},
    {"size", offsetof(struct settings, size), 1, HELIO_SEND_MAX},
    {"stay", offsetof(struct settings, stay), 0, 1000000},
    {"rest", offsetof(struct settings, rest), 0, 1000000},
    {"report", offsetof(struct settings, report), 0, 1000000},
    {"rate", offsetof(struct settings, rate), 1, 1000000},
};

static void set_number(struct settings *settings, const char *name, const char *text)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);

    if (*text < '0' || *text > '9' || *end)
        fail("not a number", text);
    if (strcmp(name, "seed") == 0) {
        settings->seed = value;
        return;
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strcmp(numbers[i].name, name) == 0) {
            if (value < numbers[i].min || value > numbers[i].max)
                fail("out of range", name);
            *(unsigned *)((char *)settings + numbers[i].offset) = (unsigned)value;
        }
}

static void set_text(struct settings *settings, const char *name, const char *text)
{
    if (strcmp(name, "identity") == 0) {
        enum helio_err err = helio_identity_load(&settings->identity, text, NULL, NULL);

        if (err)
            fail(helio_strerror(err), text);
    } else if (strcmp(name, "peer") == 0) {
        if (helio_fingerprint_parse(&settings->peer, text))
            fail("not a fingerprint", text);
        settings->peer_given = true;
    } else if (strcmp(name, "suite") == 0) {
        settings->suite = helio_suite_by_name(text);
        if (!settings->suite)
            fail("no such suite", text);
    } else if (strcmp(name, "service") == 0) {
        settings->config.service = text;
    } else {
        settings->kind = text;
    }
}

/* This machine only: nobody else asked for the load. */
static void set_server(struct settings *settings, const char *text)
{
    struct sockaddr_in *four = (struct sockaddr_in *)&settings->server;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&settings->server;
    struct io_place place;
    const char *wrong = io_place_parse(&place, text, true);

    if (wrong)
        fail(wrong, text);
    if (inet_pton(AF_INET, place.host, &four->sin_addr) == 1 &&
        ntohl(four->sin_addr.s_addr) >> 24 == 127) {
        four->sin_family = AF_INET;
        four->sin_port = htons(place.port);
        settings->server_size = sizeof *four;
    } else if (inet_pton(AF_INET6, place.host, &six->sin6_addr) == 1 &&
               IN6_IS_ADDR_LOOPBACK(&six->sin6_addr) && settings->sources == 0) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(place.port);
        settings->server_size = sizeof *six;
    } else {
        fail("only 127.0.0.0/8, or ::1 without --sources", text);
    }
}

static int finish(struct settings *settings, int status)
{
    helio_identity_free(settings->identity);
    return status;
}

int main(int argc, char **argv)
{
    static struct settings settings = {
        .stations = 100,
        .at_once = 16,
        .seconds = 10,
        .hold = UNTIL_SIGNAL,
        .every = 100,
        .size = 64,
        .stay = 60,
        .rest = 60,
        .rate = 100,
        .kind = "hello",
        .seed = 1,
        .config = {.name = "stations", .service = "echo", .suite_count = 0},
    };
    static const struct {
        const char *name;
        int (*run)(const struct settings *settings);
        bool lines; /* it proves a key, and wants one proved */
    } ways[] = {{"open", run_open, true}, {"churn", run_churn, true}, {"flood", run_flood, false}};
    int kind, which = 0;

    signal(SIGPIPE, SIG_IGN);
    io_raise_file_limit();
    while ((kind = getopt_long(argc, argv, "", long_options, &which)) != -1) {
        if (kind == '?')
            fail("no such option", argv[optind - 1]);
        (kind == NUMBER ? set_number : set_text)(&settings, long_options[which].name, optarg);
    }
    if (argc - optind != 2)
        fail("give a mode and an address", argv[0]);
    set_server(&settings, argv[optind + 1]);
    settings.config.identity = settings.identity;
    if (settings.suite) {
        settings.config.suites = &settings.suite;
        settings.config.suite_count = 1;
    }
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (strcmp(ways[i].name, argv[optind]) == 0) {
            if (ways[i].lines && (!settings.identity || !settings.peer_given))
                fail("needs --identity and --peer", argv[optind]);
            return finish(&settings, ways[i].run(&settings));
        }
    fail("no such mode", argv[optind]);
}
