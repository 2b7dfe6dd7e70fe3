/*
 * say.h: everything that is said to a person (or, with --log json, to a program) on stderr.
 *
 * A message is one or two lines: what was tried, with whom, what went wrong, what to do next.  It
 * is written with a single write.  Bytes that could move the cursor, hide text or turn its
 * direction never reach the terminal, wherever in a message they came from: they are shown as \xHH.
 * Nothing secret is ever handed to this module.
 *
 * With --log json each message is one JSON object on one line: "time" (RFC 3339, UTC), "level",
 * "event", "message" and the fields of the message.
 *
 * For any thread; but say_setup comes before there is a second one.
 */
#ifndef HELIO_CLI_SAY_H
#define HELIO_CLI_SAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum say_level {
    SAY_ERROR, /* always shown */
    SAY_WARN,  /* always shown */
    SAY_NOTE,  /* not with -q */
    SAY_DETAIL /* only with -v */
};

/* Extra keys of a JSON line; text messages do not show them.  An array ends with key NULL. */
struct say_field {
    const char *key;
    const char *text; /* NULL: number counts */
    uint64_t number;
};

void say_setup(bool quiet, bool verbose, bool json);
/* Whether a message of that level would be shown. */
bool say_shows(enum say_level level);

/*
 * event: a short fixed name for programs, as "no-connection"; format: the sentence for people,
 * lines parted by '\n', without one at the end.
 */
void say_error(const char *event, const char *format, ...) __attribute__((format(printf, 2, 3)));
void say_warn(const char *event, const char *format, ...) __attribute__((format(printf, 2, 3)));
void say_note(const char *event, const char *format, ...) __attribute__((format(printf, 2, 3)));
void say_detail(const char *event, const char *format, ...) __attribute__((format(printf, 2, 3)));
void say_fields(enum say_level level, const char *event, const struct say_field *fields,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

/*
 * From now on hands each finished message (harmless, ending with '\n') to print instead of writing
 * it to stderr: for a screen with a line being typed on it.  NULL: stderr again.  print says nothing
 * itself.
 */
typedef void say_printer(void *context, const char *text, size_t n);
void say_through(say_printer *print, void *context);

/*
 * Writes bytes[0..n) to out as harmless text and a NUL: what base/text.h does not allow, and bytes that
 * are not UTF-8, become \xHH.  Ends with "..." when cap is too small; cap >= 4.  Returns out.
 */
char *say_quoted(char *out, size_t cap, const void *bytes, size_t n);

/*
 * text as one word of a POSIX shell, in quotes when it needs them; cut when cap, at least 8, is too
 * small.  For use inside a message, which makes it harmless.  Returns out.
 */
char *say_shell_word(char *out, size_t cap, const char *text);

/*
 * text as a JSON string.  Bytes that are not UTF-8, which JSON cannot hold, become the text \xHH.
 */
void say_json_string(FILE *f, const char *text);

/* Room for a quoted name of HELIO_NAME_MAX or a known station's 255 bytes. */
enum { SAY_QUOTED_MAX = 4 * 255 + 8 };

#endif
