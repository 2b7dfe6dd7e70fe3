/*
 * report.c: what a forward says of its station and its connections.
 */
#include "forward/joint.h"

enum { RARELY_MS = 60000 };

bool forward_may_say(struct rarely *r, const struct forward *forward)
{
    uint64_t now = forward_now(forward);

    if (now < r->again)
        return false;
    r->again = now + RARELY_MS;
    return true;
}

void forward_say_unreachable(const struct forward *forward, const char *why)
{
    say_fields(SAY_WARN, "unreachable",
               (const struct say_field[]){{.key = "station", .text = forward->label},
                                          {.key = "reason", .text = why},
                                          {.key = NULL}},
               "%s cannot be reached: %s; connections wait while we try again", forward->label,
               why);
}

void forward_say_given_up(const struct joint *joint)
{
    struct forward *forward = joint->forward;
    bool loud = forward_may_say(&forward->unreachable, forward);

    say_fields(loud ? SAY_WARN : SAY_DETAIL, "given-up",
               (const struct say_field[]){{.key = "client", .text = joint->name},
                                          {.key = "station", .text = forward->label},
                                          {.key = NULL}},
               "the connection from %s was reset: %s did not answer in time%s", joint->name,
               forward->label, loud ? " (more of this is said with -v)" : "");
}

void forward_say_refused(const struct joint *joint, const char *why)
{
    struct forward *forward = joint->forward;
    char own[HELIO_FINGERPRINT_TEXT];

    helio_fingerprint_format(helio_identity_fingerprint(forward->identity), own);
    say_fields(forward_may_say(&forward->refused, forward) ? SAY_ERROR : SAY_DETAIL, "refused",
               (const struct say_field[]){{.key = "client", .text = joint->name},
                                          {.key = "station", .text = forward->label},
                                          {.key = "reason", .text = why},
                                          {.key = NULL}},
               "%s: %s (our key is %s)\nConnections to our port are reset.", forward->label, why,
               own);
}

static const char *const causes[HELIO_ERR_COUNT] = {
    [HELIO_OK] = "done",
    [HELIO_E_CUT] = "cut",
    [HELIO_E_BROKEN] = "altered",
    [HELIO_E_ALERT] = "failed there",
    [HELIO_E_MEMORY] = "no memory",
};

void forward_say_closed(const struct joint *joint, enum helio_err err)
{
    const helio_peer *peer = helio_session_peer(io_line_session(joint->line));
    struct io_line_account account = io_line_account(joint->line);
    const char *cause = joint->cause ? joint->cause : causes[err];
    char fingerprint[HELIO_FINGERPRINT_TEXT] = "", moved[STATION_ACCOUNT_SIZE];

    if (!cause)
        cause = "failed here";
    if (peer)
        helio_fingerprint_format(&peer->fingerprint, fingerprint);
    say_fields(SAY_NOTE, "closed",
               (const struct say_field[]){{.key = "client", .text = joint->name},
                                          {.key = "peer", .text = joint->who},
                                          {.key = "fingerprint", .text = fingerprint},
                                          {.key = "address", .text = io_line_name(joint->line)},
                                          {.key = "sent", .number = account.sent},
                                          {.key = "received", .number = account.received},
                                          {.key = "milliseconds", .number = account.duration},
                                          {.key = "cause", .text = cause},
                                          {.key = "status", .number = exit_status_of(err)},
                                          {.key = NULL}},
               "closed: %s, %s, %s", joint->name, station_account(&account, moved), cause);
}

void forward_say_reached(const struct forward *forward)
{
    say_fields(
        SAY_NOTE, "reached",
        (const struct say_field[]){{.key = "station", .text = forward->label}, {.key = NULL}},
        "%s is back", forward->label);
}

void forward_say_full(struct forward *forward)
{
    if (!forward_may_say(&forward->full, forward))
        return;
    say_fields(SAY_WARN, "full",
               (const struct say_field[]){{.key = "connections", .number = forward->count},
                                          {.key = "waiting", .number = forward->waiting},
                                          {.key = NULL}},
               "%lu connections, %lu of them waiting: more are reset", forward->count,
               forward->waiting);
}
