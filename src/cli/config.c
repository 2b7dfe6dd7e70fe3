/*
 * config.c: the file config in the home: "option = value" lines, read with inih.
 *
 * inih does not say which line it hands over, cuts long lines in pieces, and goes on after a
 * mistake.  So the lines come from a reader of ours that counts them and refuses long ones, and
 * only the first mistake is kept.
 */
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/home.h"
#include "cli/say.h"

struct config {
    FILE *file;
    struct options *options;
    int line;          /* the one read last */
    int bad_line;      /* the first one that is wrong, or 0 */
    char problem[512]; /* and what is wrong with it */
};

static void config_wrong(struct config *c, const char *key, const char *what)
{
    if (c->bad_line)
        return;
    c->bad_line = c->line;
    snprintf(c->problem, sizeof c->problem, "%.64s%s%s", key, *key ? ": " : "", what);
}

/* fgets, but for a line that does not fit or is not text: that is a mistake and the end. */
static char *config_line(char *out, int cap, void *context)
{
    struct config *c = context;
    int n = 0, byte = 0;

    if (c->bad_line)
        return NULL;
    c->line++;
    while (byte != '\n' && (byte = getc(c->file)) != EOF) {
        if (byte == '\0' || n + 1 >= cap) {
            config_wrong(c, "", byte ? "the line is too long" : "this is not text");
            return NULL;
        }
        out[n++] = (char)byte;
    }
    out[n] = '\0';
    return n > 0 ? out : NULL;
}

/* "~/x" in the user's home, "x" in Heliograph's; kept.  NULL without memory. */
static const char *config_path(struct options *options, const char *value)
{
    const char *user = getenv("HOME"), *below;

    if (*value == '/' || !*value)
        return options_keep(options, value, "");
    if (strncmp(value, "~/", 2) == 0 && user)
        return options_keep(options, user, value + 1);
    below = options_keep(options, "/", value);
    return below ? options_keep(options, options->home, below) : NULL;
}

/* inih's handler: 1 to go on, 0 for a mistake.  */
static int config_take(void *context, const char *section, const char *name, const char *value)
{
    struct config *c = context;

    if (c->bad_line)
        return 0;
    if (*section) {
        config_wrong(c, "", "there are no [sections] here");
        return 0;
    }
    bool path =
        strcmp(name, "identity") == 0 || strcmp(name, "known") == 0 || strcmp(name, "allow") == 0;
    const char *copy = path ? config_path(c->options, value) : options_keep(c->options, value, "");
    const char *what = copy ? options_set(c->options, name, copy) : helio_strerror(HELIO_E_MEMORY);
    if (what)
        config_wrong(c, name, what);
    return what == NULL;
}

/*
 * Opens without waiting for a FIFO's writer.  A missing file is no error: STATUS_DONE, *out NULL.
 */
static enum exit_status config_open(const char *path, FILE **out)
{
    struct stat st;
    const char *wrong = NULL, *todo = "";
    char word[1024] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    *out = NULL;
    if (fd < 0 && errno == ENOENT)
        return STATUS_DONE;
    bool seen = fd >= 0 && fstat(fd, &st) == 0;
    if (seen && !S_ISREG(st.st_mode))
        wrong = "it is not a regular file";
    else if (seen && st.st_uid != geteuid() && st.st_uid != 0)
        wrong = "it belongs to another user";
    else if (seen && (st.st_mode & 022)) {
        wrong = "others may write to it";
        todo = "\nRun: chmod go-w ";
        say_shell_word(word, sizeof word, path);
    } else if (!seen || !(*out = fdopen(fd, "r")))
        wrong = strerror(errno);
    if (!wrong)
        return STATUS_DONE;
    if (fd >= 0)
        close(fd);
    say_error("config", "cannot read %s: %s%s%s", path, wrong, todo, word);
    return STATUS_LOCAL;
}

enum exit_status config_read(struct options *options)
{
    struct config c = {.options = options};
    enum exit_status status;
    char *path;

    if (asprintf(&path, "%s/config", options->home) < 0) {
        say_error("memory", "%s", helio_strerror(HELIO_E_MEMORY));
        return STATUS_LOCAL;
    }
    status = config_open(path, &c.file);
    if (!c.file)
        goto out;
    ini_allow_multiline = false;
    int syntax = ini_parse_stream(config_line, &c, config_take, &c);
    /* The first line that inih could not split comes before or is the first that we refused. */
    if (syntax > 0 && (!c.bad_line || syntax < c.bad_line)) {
        c.bad_line = syntax;
        snprintf(c.problem, sizeof c.problem, "write OPTION = VALUE");
    }
    if (ferror(c.file)) {
        say_error("config", "cannot read %s: %s", path, strerror(errno));
        status = STATUS_LOCAL;
    } else if (c.bad_line) {
        say_error("config", "%s:%d: %s", path, c.bad_line, c.problem);
        status = STATUS_USAGE;
    }
    fclose(c.file);
out:
    free(path);
    return status;
}
