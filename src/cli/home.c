#include "cli/home.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/passphrase.h"
#include "cli/say.h"

enum { PASSPHRASE_TRIES = 3 };

/* ----------------------------------------------------------------------------- the directory -- */

static enum exit_status no_memory(void)
{
    say_error("memory", "%s", helio_strerror(HELIO_E_MEMORY));
    return STATUS_LOCAL;
}

/* The base directory specification: a relative XDG_CONFIG_HOME counts as none. */
static const char *home_path(struct options *options)
{
    const char *own = getenv("HELIO_HOME");
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *user = getenv("HOME");

    if (own && *own)
        return own;
    if (config && *config == '/')
        return options_keep(options, config, "/helio");
    if (!user || !*user) {
        const struct passwd *entry = getpwuid(geteuid());

        user = entry ? entry->pw_dir : NULL;
    }
    return user ? options_keep(options, user, "/.config/helio") : NULL;
}

/* Who may write to the directory may exchange every file in it, whatever the files' own modes. */
static enum exit_status home_check(const char *home)
{
    struct stat st;

    if (stat(home, &st) != 0) {
        if (errno == ENOENT)
            return STATUS_DONE;
        say_error("home", "cannot use the directory %s: %s", home, strerror(errno));
        return STATUS_LOCAL;
    }
    if (!S_ISDIR(st.st_mode)) {
        say_error("home", "%s is not a directory\nSet HELIO_HOME to one, or move it away.", home);
        return STATUS_LOCAL;
    }
    if ((st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & 022)) {
        char word[1024];

        say_error("home",
                  "others may write to the directory %s, so its keys are not safe\nRun: "
                  "chmod go-w %s (or set HELIO_HOME to a directory of your own)",
                  home, say_shell_word(word, sizeof word, home));
        return STATUS_LOCAL;
    }
    return STATUS_DONE;
}

enum exit_status home_find(struct options *options)
{
    options->home = home_path(options);
    if (!options->home) {
        say_error("home", "there is no home directory to keep keys in\nSet HELIO_HOME to one.");
        return STATUS_LOCAL;
    }
    if (!options->identity)
        options->identity = options_keep(options, options->home, "/identity.pem");
    if (!options->known)
        options->known = options_keep(options, options->home, "/known_stations");
    if (!options->identity || !options->known)
        return no_memory();
    return home_check(options->home);
}

/* mkdir -p, each with mode 0700; path is cut at each slash in turn and mended again. */
static int make_directories(char *path)
{
    for (char *p = path + 1;; p++) {
        char was = *p;

        if (was != '/' && was != '\0')
            continue;
        *p = '\0';
        int result = mkdir(path, 0700);
        *p = was;
        if (result != 0 && errno != EEXIST)
            return -1;
        if (was == '\0')
            return 0;
    }
}

enum exit_status home_make(const struct options *options, const char *path)
{
    size_t n = strlen(options->home);

    if (strncmp(path, options->home, n) != 0 || path[n] != '/')
        return STATUS_DONE;
    char *copy = strdup(options->home);
    if (!copy)
        return no_memory();
    int result = make_directories(copy);
    free(copy);
    if (result == 0)
        return STATUS_DONE;
    say_error("home", "cannot create the directory %s: %s\nSet HELIO_HOME to one of your own.",
              options->home, strerror(errno));
    return STATUS_LOCAL;
}

/* ------------------------------------------------------------------------------ the identity -- */

/* What is wrong with a key file and, after a newline, what to do about it; %s is its path. */
static const struct advice {
    enum helio_err err;
    const char *wrong;
    const char *todo; /* NULL: nothing but the obvious */
    bool with_path;   /* todo ends with the path as a word for the shell */
} key_advice[] = {
    {HELIO_E_MODE, "others may read or write it", "Run: chmod 600 ", true},
    {HELIO_E_FORMAT, "it is not a private key in PKCS#8 PEM", "Make one with: helio keygen FILE",
     false},
    {HELIO_E_KEY, "it is not an RSA key of 2048 to 8192 bits with exponent 65537",
     "Make one with: helio keygen FILE", false},
    {HELIO_E_PASSPHRASE, "its passphrase is missing or wrong",
     "Type it at a terminal, or hand it in with --passphrase-fd.", false},
    {HELIO_E_TOO_LONG, "it is over 64 KiB, too long for a key", NULL, false},
    {HELIO_E_EXISTS, "it is there already, and keys are never overwritten",
     "Name another FILE, or move it away.", false},
};

/*
 * HELIO_E_MODE is said of three things, and chmod helps against one only: to run it on /dev/null
 * or on a directory would do harm.  NULL when it is the mode.
 */
static const char *not_the_mode(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return NULL;
    if (!S_ISREG(st.st_mode))
        return "it is not a regular file";
    return st.st_uid != geteuid() && st.st_uid != 0 && geteuid() != 0 ? "it belongs to another user"
                                                                      : NULL;
}

static const struct advice *advice_for(enum helio_err err)
{
    for (size_t i = 0; i < sizeof key_advice / sizeof *key_advice; i++)
        if (key_advice[i].err == err)
            return &key_advice[i];
    return NULL;
}

enum exit_status home_identity_error(const char *what, const char *path, enum helio_err err)
{
    const struct advice *advice = advice_for(err);
    int saved = errno;
    char word[1024] = "";
    const char *foreign = err == HELIO_E_MODE ? not_the_mode(path) : NULL;

    if (err == HELIO_E_SYSTEM && saved == ENOENT && strcmp(what, "read") == 0)
        say_error("identity", "cannot read the identity %s: %s\nMake one with: helio keygen %s",
                  path, strerror(saved), say_shell_word(word, sizeof word, path));
    else if (err == HELIO_E_SYSTEM)
        say_error("identity", "cannot %s the identity %s: %s", what, path, strerror(saved));
    else if (foreign)
        say_error("identity", "cannot %s the identity %s: %s\nMake one with: helio keygen FILE",
                  what, path, foreign);
    else if (!advice)
        say_error("identity", "cannot %s the identity %s: %s", what, path, helio_strerror(err));
    else
        say_error("identity", "cannot %s the identity %s: %s%s%s%s", what, path, advice->wrong,
                  advice->todo ? "\n" : "", advice->todo ? advice->todo : "",
                  advice->with_path ? say_shell_word(word, sizeof word, path) : "");
    return STATUS_LOCAL;
}

/* Another process may be doing the same at this moment: then its identity is ours, too. */
static enum exit_status first_identity(const struct options *options, helio_identity **out)
{
    char fingerprint[HELIO_FINGERPRINT_TEXT];
    enum exit_status status = home_make(options, options->identity);

    if (status != STATUS_DONE)
        return status;
    enum helio_err err = helio_identity_generate(out, options->bits);
    if (err == HELIO_OK)
        err = helio_identity_save(*out, options->identity, NULL, 0);
    if (err == HELIO_OK) {
        helio_fingerprint_format(helio_identity_fingerprint(*out), fingerprint);
        say_fields(SAY_NOTE, "identity-made",
                   (const struct say_field[]){{.key = "file", .text = options->identity},
                                              {.key = "fingerprint", .text = fingerprint},
                                              {.key = NULL}},
                   "this is the first use: made the identity %s\nIts fingerprint is %s",
                   options->identity, fingerprint);
        return STATUS_DONE;
    }
    int saved = errno;
    helio_identity_free(*out);
    *out = NULL;
    errno = saved;
    if (err == HELIO_E_EXISTS) {
        err = helio_identity_load(out, options->identity, NULL, NULL);
        if (err == HELIO_OK)
            return STATUS_DONE;
    }
    return home_identity_error("make", options->identity, err);
}

enum exit_status home_identity(const struct options *options, helio_identity **out)
{
    enum helio_err err = HELIO_OK;

    *out = NULL;
    for (int i = 0; i < PASSPHRASE_TRIES; i++) {
        struct passphrase_source source = {.options = options, .path = options->identity};

        err = helio_identity_load(out, options->identity, passphrase_ask, &source);
        if (err == HELIO_OK)
            return STATUS_DONE;
        if (source.said)
            return STATUS_LOCAL;
        if (err != HELIO_E_PASSPHRASE || !source.asked)
            break;
    }
    if (err == HELIO_E_SYSTEM && errno == ENOENT && !options->identity_given)
        return first_identity(options, out);
    return home_identity_error("read", options->identity, err);
}

/* ------------------------------------------------------------------------ the known stations -- */

enum exit_status home_known_error(const char *what, const char *path, enum helio_err err,
                                  unsigned line)
{
    int saved = errno;
    char word[1024];
    const char *foreign = err == HELIO_E_MODE ? not_the_mode(path) : NULL;

    if (err == HELIO_E_FORMAT && line > 0)
        say_error("known",
                  "%s:%u: this is not \"NAME FINGERPRINT\", or the name comes twice\n"
                  "Correct or delete that line.",
                  path, line);
    else if (err == HELIO_E_FORMAT)
        say_error("known",
                  "cannot %s %s: it has a line that is not \"NAME FINGERPRINT\", or a name twice\n"
                  "helio trust list says which.",
                  what, path);
    else if (foreign)
        say_error("known", "cannot %s %s: %s", what, path, foreign);
    else if (err == HELIO_E_MODE)
        say_error("known", "cannot %s %s: others may write to it\nRun: chmod go-w %s", what, path,
                  say_shell_word(word, sizeof word, path));
    else
        say_error("known", "cannot %s %s: %s", what, path,
                  err == HELIO_E_SYSTEM ? strerror(saved) : helio_strerror(err));
    return STATUS_LOCAL;
}

enum exit_status home_known(const struct options *options, helio_known **out)
{
    unsigned line = 0;
    enum helio_err err = helio_known_load(out, options->known, &line);

    return err == HELIO_OK ? STATUS_DONE : home_known_error("read", options->known, err, line);
}
