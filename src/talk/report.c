#include "talk/report.h"

#include <stdio.h>

#include "cli/station.h"

enum { TRACE_SHOWN = 64 };

static const char *suite_text(uint16_t suite)
{
    const char *name = helio_suite_name(suite);

    return name ? name : "classic";
}

/* The key exchange stands in the high byte (protocol.md 3). */
static const char *exchange_text(uint16_t suite)
{
    return suite >> 8 == 0x01 ? "X25519" : "none";
}

void call_describe(const struct talk *talk, char *out, size_t cap)
{
    const helio_session *session = io_line_session(talk->call.line);
    const helio_peer *peer = helio_session_peer(session);
    uint16_t suite = helio_session_suite(session);
    char fingerprint[HELIO_FINGERPRINT_TEXT];

    if (!peer) {
        snprintf(out, cap, "%s, classic: INSECURE, nobody proved who they are", talk->call.who);
        return;
    }
    helio_fingerprint_format(&peer->fingerprint, fingerprint);
    snprintf(out, cap, "%s, %s, %s, %s", talk->call.who, fingerprint, suite_text(suite),
             exchange_text(suite));
}

void report_open(const struct talk *talk)
{
    const helio_session *session = io_line_session(talk->call.line);
    const helio_peer *peer = helio_session_peer(session);
    uint16_t suite = helio_session_suite(session);
    char fingerprint[HELIO_FINGERPRINT_TEXT] = "", state[2 * SAY_QUOTED_MAX];

    if (peer)
        helio_fingerprint_format(&peer->fingerprint, fingerprint);
    call_describe(talk, state, sizeof state);
    say_fields(SAY_NOTE, "open",
               (const struct say_field[]){{.key = "peer", .text = talk->call.who},
                                          {.key = "claims", .text = peer ? peer->name : ""},
                                          {.key = "address", .text = io_line_name(talk->call.line)},
                                          {.key = "fingerprint", .text = fingerprint},
                                          {.key = "suite", .text = suite_text(suite)},
                                          {.key = "exchange", .text = exchange_text(suite)},
                                          {.key = NULL}},
               "connected: %s", state);
}

void report_close(const struct talk *talk, int status)
{
    struct io_line_account account = io_line_account(talk->call.line);
    char moved[STATION_ACCOUNT_SIZE];

    say_fields(talk->options->log_json ? SAY_NOTE : SAY_DETAIL, "close",
               (const struct say_field[]){{.key = "peer", .text = talk->call.who},
                                          {.key = "address", .text = io_line_name(talk->call.line)},
                                          {.key = "sent", .number = account.sent},
                                          {.key = "received", .number = account.received},
                                          {.key = "milliseconds", .number = account.duration},
                                          {.key = "result", .number = talk->call.result},
                                          {.key = "status", .number = (uint64_t)status},
                                          {.key = NULL}},
               "closed: %s, %s, status %d", talk->call.who, station_account(&account, moved),
               status);
}

/* %s is the station. */
struct ending {
    enum helio_err err;
    const char *event;
    const char *before; /* the line was never open */
    const char *after;
};

static const struct ending endings[] = {
    {HELIO_E_CUT, "cut",
     "%s hung up before the line was open\n"
     "Its own messages say why.  Is --classic said on both sides or on neither?",
     "the line to %s was cut before both sides had closed it\n"
     "What came until then is genuine, but it is not all."},
    {HELIO_E_BROKEN, "broken",
     "the handshake with %s failed: something was altered, or it speaks another protocol\n"
     "Is it a Heliograph station, and is --classic said on both sides or on neither?",
     "the line to %s was altered on its way, or the station broke the protocol\n"
     "Nothing of what was altered has been used."},
    {HELIO_E_ALERT, "alert", "%s gave up before the line was open\nIts own messages say why.",
     "%s gave up: it met a failure of its own, or was sent "
     "something altered\nIts own messages say which."},
    {HELIO_E_NO_COMMON, "no-common",
     "%s speaks no version or suite that we speak, too\nLook at --suite on both sides.", NULL},
    {HELIO_E_TIMEOUT, "timed-out",
     "%s did not open the line in time\nIs it a Heliograph station? --timeout gives it longer.",
     NULL},
};

static const char *const refusal_texts[] = {
    [HELIO_REFUSE_UNTRUSTED] = "%s does not trust our key\nIts operator can run: helio trust add "
                               "NAME %s",
    [HELIO_REFUSE_SERVICE] = "%s does not offer what we ask for (our key is %s)",
    [HELIO_REFUSE_BUSY] = "%s is talking to another station: call again later (our key is %s)",
    [HELIO_REFUSE_NO_ANSWER] =
        "nobody at %s answered whether our key is to be trusted\nCall again, "
        "or have its operator run: helio trust add NAME %s",
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the formats stand in the tables above */

static void report_refused(const struct talk *talk, helio_refusal why)
{
    const char *text =
        (size_t)why < sizeof refusal_texts / sizeof *refusal_texts ? refusal_texts[why] : NULL;
    char own[HELIO_FINGERPRINT_TEXT];

    helio_fingerprint_format(helio_identity_fingerprint(talk->identity), own);
    say_error("refused", text ? text : "%s refused our key %s", talk->call.who, own);
}

static void report_error(const struct talk *talk, enum helio_err err)
{
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const struct ending *e = &endings[i];

        if (e->err != err)
            continue;
        say_error(e->event, talk->call.open && e->after ? e->after : e->before, talk->call.who);
        return;
    }
    say_error("failed", "the line to %s failed: %s", talk->call.who, helio_strerror(err));
}

#pragma GCC diagnostic pop

/* The line was fine; what ran at its other end was not. */
static void report_result(const struct call *call)
{
    say_fields(SAY_ERROR, "result",
               (const struct say_field[]){{.key = "peer", .text = call->who},
                                          {.key = "result", .number = call->result},
                                          {.key = NULL}},
               "the command at %s ended with status %u", call->who, call->result);
}

int report_end(const struct talk *talk)
{
    const struct call *call = &talk->call;
    helio_refusal why = helio_session_refusal(io_line_session(call->line));

    if (call->err == HELIO_OK && call->result != 0 && !call->interrupted) {
        report_result(call);
        return STATUS_RESULT;
    }
    if (call->err == HELIO_OK || call->refused || call->interrupted)
        return (int)exit_status_of(call->err);
    if (call->err == HELIO_E_REFUSED) {
        report_refused(talk, why);
        return why == HELIO_REFUSE_BUSY ? STATUS_NO_CONNECTION : STATUS_TRUST;
    }
    if (call->err == HELIO_E_RETURNING)
        say_note("returning", "%s is asking its user about our key and will call again", call->who);
    else
        report_error(talk, call->err);
    return (int)exit_status_of(call->err);
}

/* ------------------------------------------------------------------------------------- trace -- */

static bool is_text(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != '\n' && (p[i] < 0x20 || p[i] > 0x7e))
            return false;
    return true;
}

/* Classic's steps are text, as the original printed them; helio/1's are bytes. */
void report_trace(void *context, const char *what, const uint8_t *data, size_t n)
{
    char hex[2 * TRACE_SHOWN + 1] = "";
    const struct talk *talk = context;

    if (talk->options->classic && is_text(data, n)) {
        say_detail("step", "%s: %.*s", what, (int)n, (const char *)data);
        return;
    }
    for (size_t i = 0; i < n && i < TRACE_SHOWN; i++)
        snprintf(hex + 2 * i, 3, "%02x", data[i]);
    say_detail("step", "%s%s%s%s", what, n > 0 ? ": " : "", hex, n > TRACE_SHOWN ? "..." : "");
}
