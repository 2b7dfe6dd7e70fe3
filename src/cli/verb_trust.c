#include <errno.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/home.h"
#include "cli/say.h"

static const char name_rule[] = "a name has 1 to 255 bytes without spaces and control characters, "
                                "and does not begin with #";

static int trust_list(const struct options *options, char **argv)
{
    helio_known *known;
    enum exit_status status = home_known(options, &known);

    (void)argv;
    if (status != STATUS_DONE)
        return (int)status;
    for (size_t i = 0; i < helio_known_count(known); i++) {
        const helio_station *station = helio_known_at(known, i);
        char fingerprint[HELIO_FINGERPRINT_TEXT], shown[SAY_QUOTED_MAX];

        helio_fingerprint_format(&station->fingerprint, fingerprint);
        printf("%s %s\n", say_quoted(shown, sizeof shown, station->name, strlen(station->name)),
               fingerprint);
    }
    helio_known_free(known);
    return STATUS_DONE;
}

/* The name is there with another key: says which, and how to forget it. */
static int say_exists(const struct options *options, const char *name)
{
    char word[4 * 255 + 8];
    helio_known *known;
    enum exit_status status = home_known(options, &known);

    if (status != STATUS_DONE)
        return (int)status;
    const helio_station *station = helio_known_by_name(known, name);
    say_error("trust",
              "%s:%u: %s is known already, with another key\nTo forget that one: helio "
              "trust remove %s%s",
              options->known, station ? station->line : 0, name, *name == '-' ? "-- " : "",
              say_shell_word(word, sizeof word, name));
    helio_known_free(known);
    return STATUS_LOCAL;
}

static int trust_add(const struct options *options, char **argv)
{
    static const char prefix[] = "SHA256:";
    const char *name = argv[0], *text = argv[1];
    helio_fingerprint fingerprint;

    if (helio_fingerprint_parse(&fingerprint, text) != HELIO_OK)
        return usage_error("trust",
                           "\"%.64s\" is not a fingerprint: give SHA256: and 43 characters, "
                           "as helio id prints it",
                           text);
    /* Such a name would be taken for another station's fingerprint. */
    if (strncmp(name, prefix, sizeof prefix - 1) == 0 && strcmp(name, text) != 0)
        return usage_error("trust", "a name cannot begin with %s", prefix);
    enum exit_status status = home_make(options, options->known);
    if (status != STATUS_DONE)
        return (int)status;
    enum helio_err err = helio_known_add(options->known, name, &fingerprint);
    if (err == HELIO_E_ARGUMENT)
        return usage_error("trust", "%s", name_rule);
    if (err == HELIO_E_EXISTS)
        return say_exists(options, name);
    if (err != HELIO_OK)
        return (int)home_known_error("write", options->known, err, 0);
    say_detail("trust-added", "%s is trusted: %s", name, text);
    return STATUS_DONE;
}

static int trust_remove(const struct options *options, char **argv)
{
    enum helio_err err = helio_known_remove(options->known, argv[0]);

    /* Nothing can be removed from a file that is not there. */
    if (err == HELIO_E_NOT_FOUND || (err == HELIO_E_SYSTEM && errno == ENOENT)) {
        say_error("trust", "there is no station %s in %s\nhelio trust list shows the names.",
                  argv[0], options->known);
        return STATUS_LOCAL;
    }
    if (err != HELIO_OK)
        return (int)home_known_error("write", options->known, err, 0);
    say_detail("trust-removed", "%s is no longer trusted", argv[0]);
    return STATUS_DONE;
}

static const struct action {
    const char *name;
    int args;
    const char *usage;
    int (*run)(const struct options *options, char **argv);
} actions[] = {
    {"list", 0, "list", trust_list},
    {"add", 2, "add NAME FINGERPRINT", trust_add},
    {"remove", 1, "remove NAME", trust_remove},
};

int verb_trust(struct options *options, int argc, char **argv)
{
    const char *word = argc > 0 ? argv[0] : "list";

    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        const struct action *action = &actions[i];

        if (strcmp(action->name, word) != 0)
            continue;
        if (argc > 0 && argc - 1 != action->args)
            return usage_error("trust", "usage: helio trust [options] %s", action->usage);
        return action->run(options, argv + 1);
    }
    return usage_error("trust", "there is no \"%.64s\" here: list, add or remove", word);
}
