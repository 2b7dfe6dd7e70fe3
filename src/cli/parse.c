/*
 * parse.c: the command line.
 *
 * getopt_long takes it apart first and nothing is acted on until that is done, so that --help wins
 * over every mistake and an unknown verb over its unknown options.  Then the config file is read,
 * and then the command line's options are set over it.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/home.h"
#include "cli/say.h"

enum { ROWS_MAX = 40, CODE_FIRST = 256, CODE_HELP = 1000, CODE_VERSION };

/* What getopt found. */
struct parsed {
    struct given {
        const struct option_row *row;
        const char *value;
    } * given;
    size_t count;
    bool help, version;
    char problem[512]; /* the first mistake, "" when there is none */
    const struct verb *verb;
    const char *verb_word; /* NULL when there was no positional argument at all */
};

static void problem(struct parsed *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void problem(struct parsed *p, const char *format, ...)
{
    va_list args;

    if (p->problem[0])
        return;
    va_start(args, format);
    vsnprintf(p->problem, sizeof p->problem, format, args);
    va_end(args);
}

int usage_error(const char *verb, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (verb)
        say_error("usage", "%s: %s\nSee: helio %s --help", verb, text, verb);
    else
        say_error("usage", "%s\nSee: helio --help", text);
    return STATUS_USAGE;
}

/* ------------------------------------------------------------------------------------ getopt -- */

/* getopt's two tables out of ours; long codes are row numbers from CODE_FIRST on. */
static void make_getopt_tables(struct option *longs, char *shorts)
{
    size_t i = 0;

    *shorts++ = ':'; /* tell a missing argument from an unknown option */
    for (; option_rows[i].name; i++) {
        const struct option_row *row = &option_rows[i];

        longs[i] = (struct option){row->name, row->argument ? required_argument : no_argument, NULL,
                                   CODE_FIRST + (int)i};
        if (row->letter)
            *shorts++ = (char)row->letter;
    }
    longs[i++] = (struct option){"help", no_argument, NULL, CODE_HELP};
    longs[i++] = (struct option){"version", no_argument, NULL, CODE_VERSION};
    longs[i] = (struct option){0};
    memcpy(shorts, "hV", 3);
}

static const struct option_row *row_of_code(int code)
{
    if (code >= CODE_FIRST && code < CODE_HELP)
        return &option_rows[code - CODE_FIRST];
    for (const struct option_row *row = option_rows; row->name; row++)
        if (row->letter && row->letter == code)
            return row;
    return NULL;
}

/*
 * What getopt meant with '?': an option that is not there, or an argument that a switch was given.
 */
static void problem_unknown(struct parsed *p, const char *word)
{
    const struct option_row *row = row_of_code(optopt);

    if (row || optopt >= CODE_HELP)
        problem(p, "--%s takes no argument",
                row                   ? row->name
                : optopt == CODE_HELP ? "help"
                                      : "version");
    else if (optopt)
        problem(p, "there is no option -%c", optopt);
    else
        problem(p, "there is no option %s", word);
}

static void take_apart(struct parsed *p, int argc, char **argv)
{
    struct option longs[ROWS_MAX];
    char shorts[ROWS_MAX + 4];
    int code;

    make_getopt_tables(longs, shorts);
    opterr = 0;
    while ((code = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        const struct option_row *row = row_of_code(code);

        if (row)
            p->given[p->count++] = (struct given){row, row->argument ? optarg : ""};
        else if (code == 'h' || code == CODE_HELP)
            p->help = true;
        else if (code == 'V' || code == CODE_VERSION)
            p->version = true;
        else if (code == ':')
            problem(p, "--%s needs an argument: %s", row_of_code(optopt)->name,
                    row_of_code(optopt)->argument);
        else
            problem_unknown(p, argv[optind - 1]);
    }
}

/* ------------------------------------------------------------------------------------- verbs -- */

/*
 * How many letters must be put in, taken out or exchanged to make b of a; at most 31 letters each.
 */
static size_t distance(const char *a, const char *b)
{
    size_t row[32], n = strlen(b);

    if (strlen(a) > 31 || n > 31)
        return 32;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t corner = row[0]++;

        for (size_t j = 0; j < n; j++) {
            size_t best = corner + (a[i] != b[j]);

            corner = row[j + 1];
            if (corner + 1 < best)
                best = corner + 1;
            if (row[j] + 1 < best)
                best = row[j] + 1;
            row[j + 1] = best;
        }
    }
    return row[n];
}

static const struct verb *find_verb(const struct verb *verbs, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(verbs[i].name, word) == 0)
            return &verbs[i];
    return NULL;
}

static int unknown_verb(const struct verb *verbs, size_t n, const char *word)
{
    const struct verb *nearest = NULL;
    size_t least = 3;

    for (size_t i = 0; i < n; i++) {
        size_t d = distance(word, verbs[i].name);

        if (d < least && d < strlen(verbs[i].name)) {
            least = d;
            nearest = &verbs[i];
        }
    }
    if (nearest)
        return usage_error(NULL, "there is no verb \"%.64s\"; did you mean \"%s\"?", word,
                           nearest->name);
    return usage_error(NULL, "there is no verb \"%.64s\"", word);
}

static int print_version(bool verbose)
{
    printf("helio %s\n", helio_version());
    if (verbose)
        printf("built with " HELIO_LIBRARIES "\nIDEA runs on %s\n", helio_idea_kernel());
    return STATUS_DONE;
}

/* ---------------------------------------------------------------------------------- checking -- */

/* Options that cannot both be given on one command line. */
static const struct pair {
    const char *one;
    const char *other;
    const char *why;
} excluding[] = {
    {"ipv4", "ipv6", "take one of them, or neither"},
    {"json", "public", "take one of them"},
    {"passphrase", "passphrase-fd", "one asks, the other reads: take one of them"},
    {"classic", "peer", "nobody proves a key in classic"},
    {"classic", "accept-new", "nobody proves a key in classic"},
    {"classic", "suite", "classic has no suites"},
    {"allow", "accept-new", "only who is in the file is served"},
    {"allow", "peer", "each of them says who is served"},
};

static const struct pair needing[] = {
    {"classic-offset", "classic", "it means nothing in helio/1"},
    {"classic-counter", "classic", "it means nothing in helio/1"},
};

static bool was_given(const struct parsed *p, const char *name)
{
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->given[i].row->name, name) == 0)
            return true;
    return false;
}

static void check_combinations(struct parsed *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (!(p->given[i].row->verbs & p->verb->bit))
            problem(p, "--%s is not for this verb", p->given[i].row->name);
    for (size_t i = 0; i < sizeof excluding / sizeof *excluding; i++)
        if (was_given(p, excluding[i].one) && was_given(p, excluding[i].other))
            problem(p, "--%s and --%s exclude each other: %s", excluding[i].one, excluding[i].other,
                    excluding[i].why);
    for (size_t i = 0; i < sizeof needing / sizeof *needing; i++)
        if (was_given(p, needing[i].one) && !was_given(p, needing[i].other))
            problem(p, "--%s goes with --%s only: %s", needing[i].one, needing[i].other,
                    needing[i].why);
}

static void check_positionals(struct parsed *p, int count, char **first)
{
    if (count < p->verb->min_args)
        problem(p, "%s is missing; usage: helio %s [options] %s",
                p->verb->min_args == 1 ? p->verb->usage : "an argument", p->verb->name,
                p->verb->usage);
    else if (count > p->verb->max_args)
        problem(p, "\"%.64s\" is one argument too many; usage: helio %s [options]%s%s",
                first[p->verb->max_args], p->verb->name, p->verb->usage[0] ? " " : "",
                p->verb->usage);
}

static void set_given(struct parsed *p, struct options *options)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct given *g = &p->given[i];

        if (!g->row->set(options, g->row, g->value))
            problem(p, "--%s \"%.64s\": give %s", g->row->name, g->value, g->row->wanted);
    }
}

/*
 * The verb is known.  Settings are made three times over: into a scratch copy, so that a mistake is
 * already said in the way that the command line asks for; by the config file; and for good.
 */
static int settle(struct parsed *p, struct options *options, int count, char **positionals)
{
    struct options scratch = *options;

    set_given(p, &scratch);
    say_setup(scratch.quiet, scratch.verbose, scratch.log_json);
    check_combinations(p);
    check_positionals(p, count, positionals);
    if (p->problem[0])
        return usage_error(p->verb->name, "%s", p->problem);
    enum exit_status status = home_find(options);
    if (status == STATUS_DONE)
        status = config_read(options);
    if (status != STATUS_DONE)
        return (int)status;
    set_given(p, options);
    say_setup(options->quiet, options->verbose, options->log_json);
    return -1;
}

/* What other programs have as verbs. */
static void take_option_words(struct parsed *p)
{
    if (!p->verb_word)
        return;
    if (strcmp(p->verb_word, "help") == 0)
        p->help = true;
    else if (strcmp(p->verb_word, "version") == 0)
        p->version = true;
    else
        return;
    p->verb_word = NULL;
}

int options_parse(struct options *options, int argc, char **argv, const struct verb *verbs,
                  size_t n, const struct verb **verb, int *first)
{
    struct parsed p = {.given = calloc((size_t)argc + 1, sizeof *p.given)};
    int status = -1;

    options_defaults(options);
    if (!p.given) {
        say_error("memory", "%s", helio_strerror(HELIO_E_MEMORY));
        return STATUS_LOCAL;
    }
    take_apart(&p, argc, argv);
    p.verb_word = optind < argc ? argv[optind] : NULL;
    take_option_words(&p);
    p.verb = p.verb_word ? find_verb(verbs, n, p.verb_word) : NULL;
    if (p.help && p.verb) {
        usage_verb(stdout, p.verb);
        status = STATUS_DONE;
    } else if (p.version && !p.verb_word) {
        status = print_version(was_given(&p, "verbose"));
    } else if (p.help && !p.verb_word) {
        usage_overview(stdout, verbs, n);
        status = STATUS_DONE;
    } else if (p.verb_word && !p.verb) {
        status = unknown_verb(verbs, n, p.verb_word);
    } else if (p.problem[0] && !p.verb) {
        status = usage_error(NULL, "%s", p.problem);
    } else if (!p.verb) {
        usage_overview(stderr, verbs, n);
        status = STATUS_USAGE;
    } else {
        *verb = p.verb;
        *first = optind + 1;
        status = settle(&p, options, argc - *first, argv + *first);
    }
    free(p.given);
    return status;
}
