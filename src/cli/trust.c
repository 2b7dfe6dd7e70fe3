#include "cli/trust.h"

#include <errno.h>
#include <string.h>

#include "cli/home.h"
#include "cli/say.h"

/* -------------------------------------------------------------------------------------- peer -- */

enum exit_status trust_pin_resolve(const struct options *options, const helio_known *known,
                                   struct trust_pin *pin)
{
    *pin = (struct trust_pin){0};
    if (!options->peer)
        return STATUS_DONE;
    pin->set = true;
    snprintf(pin->name, sizeof pin->name, "%s", options->peer);
    if (helio_fingerprint_parse(&pin->fingerprint, options->peer) == HELIO_OK)
        return STATUS_DONE;
    if (strncmp(options->peer, "SHA256:", 7) == 0)
        return (enum exit_status)usage_error(
            NULL, "--peer \"%.64s\" is not a whole fingerprint: SHA256: and 43 characters",
            options->peer);
    const helio_station *station = helio_known_by_name(known, options->peer);
    if (!station) {
        say_error("unknown-peer",
                  "there is no station \"%.255s\" in %s, so --peer cannot hold it to a key\n"
                  "Give its fingerprint to --peer, or first: helio trust add NAME FINGERPRINT",
                  options->peer, options->known);
        return STATUS_USAGE;
    }
    pin->by_name = true;
    pin->fingerprint = station->fingerprint;
    return STATUS_DONE;
}

/* ------------------------------------------------------------------------------- remembering -- */

enum exit_status trust_remember(const struct options *options, const struct trust_case *c)
{
    char name[256], fingerprint[HELIO_FINGERPRINT_TEXT];
    enum exit_status status = home_make(options, c->known_path);

    if (status != STATUS_DONE)
        return status;
    trust_new_name(c, name);
    helio_fingerprint_format(&c->peer->fingerprint, fingerprint);
    enum helio_err err = helio_known_add(c->known_path, name, &c->peer->fingerprint);
    /* A claimed name that somebody else took meanwhile, or one that the file cannot hold. */
    if (err == HELIO_E_ARGUMENT || (err == HELIO_E_EXISTS && c->role == HELIO_RESPONDER)) {
        memcpy(name, fingerprint, sizeof fingerprint);
        err = helio_known_add(c->known_path, name, &c->peer->fingerprint);
    }
    if (err == HELIO_E_EXISTS) {
        say_error("trust", "meanwhile another key was remembered as %s in %s\nCall again.", name,
                  c->known_path);
        return STATUS_LOCAL;
    }
    if (err != HELIO_OK)
        return home_known_error("write", c->known_path, err, 0);
    say_fields(SAY_NOTE, "trust-added",
               (const struct say_field[]){{.key = "name", .text = name},
                                          {.key = "fingerprint", .text = fingerprint},
                                          {.key = NULL}},
               "remembered the station as %s (%s)", name, fingerprint);
    return STATUS_DONE;
}

/* ---------------------------------------------------------------------------------- refusals -- */

/* A claimed name between quotes, which it cannot close by itself. */
static const char *claim(const char *name, char *out, size_t cap)
{
    say_quoted(out, cap, name, strlen(name));
    for (char *p = out; (p = strchr(p, '"')); p++)
        *p = '\'';
    return out;
}

/* "the station at host:port", or "the station from 192.0.2.1:7 that calls itself "alice"". */
static const char *who(const struct trust_case *c, char *out, size_t cap)
{
    char name[SAY_QUOTED_MAX];

    if (c->role == HELIO_INITIATOR)
        snprintf(out, cap, "the station at %s", c->label);
    else if (*c->peer->name)
        snprintf(out, cap, "the station from %s that calls itself \"%s\"", c->address,
                 claim(c->peer->name, name, sizeof name));
    else
        snprintf(out, cap, "the station from %s", c->address);
    return out;
}

/* "helio trust add NAME", with --known when that file was named, and fit to be pasted. */
static void trust_command(const struct options *options, const char *action, const char *name,
                          char *out, size_t cap)
{
    char file[1024] = "", word[4 * 255 + 8];
    bool given = options->known_given;

    if (given)
        say_shell_word(file, sizeof file, options->known);
    snprintf(out, cap, "helio trust %s%s%s%s %s", action, given ? " --known " : "", file,
             *name == '-' ? " --" : "", say_shell_word(word, sizeof word, name));
}

static const char *const unknown_reasons[] = {
    [TRUST_NO_ANSWER] = "known, and nobody answered in time",
    [TRUST_NO_TERMINAL] = "known, and there is no terminal to ask at",
    [TRUST_UNASKED] = "on the roll",
    [TRUST_NEVER_ASKED] = "known",
};

static void say_unknown(const struct options *options, const struct trust_case *c,
                        const char *who_text, const char *fingerprint, enum trust_reply reply)
{
    char name[256], command[4096];

    if (reply == TRUST_NO) {
        say_error("unknown-station", "%s is not trusted: refused", who_text);
        return;
    }
    trust_new_name(c, name);
    /* Where the fingerprint would be the name, there is a better one. */
    trust_command(options, "add", strcmp(name, fingerprint) == 0 ? "NAME" : name, command,
                  sizeof command);
    say_fields(SAY_ERROR, "unknown-station",
               (const struct say_field[]){{.key = "fingerprint", .text = fingerprint},
                                          {.key = "command", .text = command},
                                          {.key = NULL}},
               "%s is not %s: refused\n"
               "If this is its fingerprint, trust it with: %s %s%s",
               who_text, unknown_reasons[reply], command, fingerprint,
               reply == TRUST_UNASKED ? " (and send SIGHUP)" : "");
}

static void say_changed(const struct options *options, const struct trust_case *c,
                        const helio_station *station, const char *who_text, const char *now)
{
    char before[HELIO_FINGERPRINT_TEXT], command[4096];

    helio_fingerprint_format(&station->fingerprint, before);
    trust_command(options, "remove", station->name, command, sizeof command);
    say_fields(SAY_ERROR, "changed-key",
               (const struct say_field[]){{.key = "name", .text = station->name},
                                          {.key = "fingerprint", .text = now},
                                          {.key = "known_fingerprint", .text = before},
                                          {.key = "file", .text = c->known_path},
                                          {.key = "line", .number = station->line},
                                          {.key = "command", .text = command},
                                          {.key = NULL}},
               "WARNING: THE KEY OF %s HAS CHANGED.  Refused.\n"
               "Somebody may be in between, or the station has a new key: ask its operator.\n"
               "  who:   %s\n"
               "  known: %s (%s:%u)\n"
               "  now:   %s\n"
               "If the new key is right, forget the old one: %s",
               station->name, who_text, before, c->known_path, station->line, now, command);
}

static void say_wrong_peer(const struct trust_case *c, const char *who_text, const char *now)
{
    char wanted[HELIO_FINGERPRINT_TEXT];

    helio_fingerprint_format(&c->pin->fingerprint, wanted);
    say_fields(SAY_ERROR, "wrong-peer",
               (const struct say_field[]){{.key = "fingerprint", .text = now},
                                          {.key = "wanted", .text = wanted},
                                          {.key = NULL}},
               "%s is not the one that --peer asks for: refused\nIts fingerprint is %s, not %s.",
               who_text, now, wanted);
}

void trust_say_refusal(const struct options *options, const struct trust_case *c,
                       const struct trust_decision *d, enum trust_reply reply)
{
    char now[HELIO_FINGERPRINT_TEXT], who_text[2 * SAY_QUOTED_MAX];

    helio_fingerprint_format(&c->peer->fingerprint, now);
    who(c, who_text, sizeof who_text);
    if (d->verdict == TRUST_CHANGED)
        say_changed(options, c, d->station, who_text, now);
    else if (d->verdict == TRUST_WRONG_PEER)
        say_wrong_peer(c, who_text, now);
    else
        say_unknown(options, c, who_text, now, reply);
}

/* ---------------------------------------------------------------------------------- question -- */

void trust_question(const struct trust_case *c, char *out, size_t cap)
{
    char fingerprint[HELIO_FINGERPRINT_TEXT], who_text[2 * SAY_QUOTED_MAX];
    char at[SAY_QUOTED_MAX] = "", address[SAY_QUOTED_MAX];

    helio_fingerprint_format(&c->peer->fingerprint, fingerprint);
    who(c, who_text, sizeof who_text);
    who_text[0] = 'T';
    if (c->role == HELIO_INITIATOR && strcmp(c->address, c->label) != 0)
        snprintf(at, sizeof at, " (%.80s)",
                 say_quoted(address, sizeof address, c->address, strlen(c->address)));
    snprintf(out, cap,
             "%s%s is not known here.\nIts RSA-%u key has the fingerprint %s\n"
             "Do you trust it (yes/no/[fingerprint])? ",
             who_text, at, c->peer->bits, fingerprint);
}
