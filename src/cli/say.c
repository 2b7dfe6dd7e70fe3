#include "cli/say.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

/*
 * One process has one stderr, so there is one of these.  The lock is for the writing: a message goes
 * out whole, and by the printer that holds then.
 */
static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER;
static struct {
    bool quiet, verbose, json;
    say_printer *print;
    void *context;
} saying;

static const char *const level_names[] = {
    [SAY_ERROR] = "error",
    [SAY_WARN] = "warning",
    [SAY_NOTE] = "note",
    [SAY_DETAIL] = "detail",
};

void say_setup(bool quiet, bool verbose, bool json)
{
    saying.quiet = quiet;
    saying.verbose = verbose;
    saying.json = json;
}

void say_through(say_printer *print, void *context)
{
    pthread_mutex_lock(&writing);
    saying.print = print;
    saying.context = context;
    pthread_mutex_unlock(&writing);
}

bool say_shows(enum say_level level)
{
    switch (level) {
    case SAY_NOTE:
        return !saying.quiet;
    case SAY_DETAIL:
        return saying.verbose;
    default:
        return true;
    }
}

/* ----------------------------------------------------------------------------- harmless text -- */

/*
 * The next piece of p[0..n), n > 0, that is shown or escaped as a whole.  Returns its length in
 * bytes; *code is its code point when it is UTF-8, and *shown whether it may be shown as it is.
 */
static size_t next_piece(const uint8_t *p, size_t n, uint32_t *code, bool *utf8, bool *shown)
{
    size_t taken = utf8_decode(p, n, code);

    *utf8 = taken > 0;
    *shown = *utf8 && text_code_shown(*code);
    return *utf8 ? taken : 1;
}

char *say_quoted(char *out, size_t cap, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    size_t used = 0, cut = 0; /* cut: the end of the last piece that leaves room for "..." */

    while (n > 0) {
        uint32_t code;
        bool utf8, shown;
        size_t taken = next_piece(p, n, &code, &utf8, &shown);
        size_t needed = shown ? taken : 4 * taken;

        if (needed >= cap - used) {
            memcpy(out + cut, "...", 3);
            used = cut + 3;
            break;
        }
        if (shown)
            memcpy(out + used, p, taken);
        else
            for (size_t i = 0; i < taken; i++)
                snprintf(out + used + 4 * i, 5, "\\x%02x", p[i]);
        used += needed;
        if (used + 3 < cap)
            cut = used;
        p += taken;
        n -= taken;
    }
    out[used] = '\0';
    return out;
}

char *say_shell_word(char *out, size_t cap, const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "@%+=:,./_-";
    size_t used = 0;

    if (*text && strspn(text, plain) == strlen(text) && strlen(text) < cap) {
        memcpy(out, text, strlen(text) + 1);
        return out;
    }
    out[used++] = '\'';
    /* The longest that one step adds is 4; the closing quote and the NUL need 2. */
    for (; *text && used + 6 <= cap; text++) {
        if (*text == '\'') {
            memcpy(out + used, "'\\''", 4);
            used += 4;
        } else {
            out[used++] = *text;
        }
    }
    out[used++] = '\'';
    out[used] = '\0';
    return out;
}

static void put_harmless(FILE *f, const char *text)
{
    const uint8_t *p = (const uint8_t *)text;
    size_t n = strlen(text);

    while (n > 0) {
        uint32_t code;
        bool utf8, shown;
        size_t taken = next_piece(p, n, &code, &utf8, &shown);

        if (shown || *p == '\n')
            fwrite(p, 1, taken, f);
        else
            for (size_t i = 0; i < taken; i++)
                fprintf(f, "\\x%02x", p[i]);
        p += taken;
        n -= taken;
    }
}

void say_json_string(FILE *f, const char *text)
{
    const uint8_t *p = (const uint8_t *)text;
    size_t n = strlen(text);

    fputc('"', f);
    while (n > 0) {
        uint32_t code;
        bool utf8, shown;
        size_t taken = next_piece(p, n, &code, &utf8, &shown);

        if (!utf8)
            fprintf(f, "\\\\x%02x", *p);
        else if (code == '\n')
            fputs("\\n", f);
        else if (!shown) /* all that is not shown lies below U+10000 */
            fprintf(f, "\\u%04" PRIx32, code);
        else if (*p == '"' || *p == '\\')
            fprintf(f, "\\%c", *p);
        else
            fwrite(p, 1, taken, f);
        p += taken;
        n -= taken;
    }
    fputc('"', f);
}

/* ---------------------------------------------------------------------------------- messages -- */

static void put_json_line(FILE *f, enum say_level level, const char *event,
                          const struct say_field *fields, const char *message)
{
    struct timespec now = {0};
    struct tm utc = {0};
    char stamp[64] = "";

    clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &utc))
        strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    fprintf(f, "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"event\":", stamp, now.tv_nsec / 1000000,
            level_names[level]);
    say_json_string(f, event);
    fputs(",\"message\":", f);
    say_json_string(f, message);
    for (; fields && fields->key; fields++) {
        fputc(',', f);
        say_json_string(f, fields->key);
        fputc(':', f);
        if (fields->text)
            say_json_string(f, fields->text);
        else
            fprintf(f, "%" PRIu64, fields->number);
    }
    fputs("}\n", f);
}

/*
 * All of it, although stderr may be a terminal that somebody else made non-blocking.  There is
 * nobody to tell when stderr itself fails.
 */
static void write_stderr(const char *text, size_t n)
{
    while (n > 0) {
        ssize_t done = write(STDERR_FILENO, text, n);

        if (done >= 0) {
            text += done;
            n -= (size_t)done;
        } else if (errno == EAGAIN) {
            struct pollfd writable = {.fd = STDERR_FILENO, .events = POLLOUT};

            poll(&writable, 1, -1);
        } else if (errno != EINTR) {
            return;
        }
    }
}

static void say_message(enum say_level level, const char *event, const struct say_field *fields,
                        const char *message)
{
    char *line = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&line, &n);

    if (!f)
        return;
    if (saying.json) {
        put_json_line(f, level, event, fields, message);
    } else {
        fputs("helio: ", f);
        put_harmless(f, message);
        fputc('\n', f);
    }
    if (fclose(f) == 0) {
        pthread_mutex_lock(&writing);
        if (saying.print)
            saying.print(saying.context, line, n);
        else
            write_stderr(line, n);
        pthread_mutex_unlock(&writing);
    }
    free(line);
}

static void say_list(enum say_level level, const char *event, const struct say_field *fields,
                     const char *format, va_list args) __attribute__((format(printf, 4, 0)));

static void say_list(enum say_level level, const char *event, const struct say_field *fields,
                     const char *format, va_list args)
{
    int saved = errno;
    char *message;

    if (!say_shows(level))
        return;
    if (vasprintf(&message, format, args) < 0) {
        say_message(level, event, NULL, "out of memory");
    } else {
        say_message(level, event, fields, message);
        free(message);
    }
    errno = saved;
}

void say_error(const char *event, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say_list(SAY_ERROR, event, NULL, format, args);
    va_end(args);
}

void say_warn(const char *event, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say_list(SAY_WARN, event, NULL, format, args);
    va_end(args);
}

void say_note(const char *event, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say_list(SAY_NOTE, event, NULL, format, args);
    va_end(args);
}

void say_detail(const char *event, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say_list(SAY_DETAIL, event, NULL, format, args);
    va_end(args);
}

void say_fields(enum say_level level, const char *event, const struct say_field *fields,
                const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say_list(level, event, fields, format, args);
    va_end(args);
}
