/*
 * call.c: one call to the station, from dialling until the joint is joined, or is not.
 *
 * A call that does not get through leads back to WAITING.  What would not change by trying again (a
 * key that is not trusted, a refusal) ends the joint at once.
 */
#include <fcntl.h>
#include <string.h>

#include "cli/home.h"
#include "forward/joint.h"

/* ------------------------------------------------------------------------------------- trust -- */

static void refuse(struct joint *joint, const struct trust_case *c, const struct trust_decision *d)
{
    struct forward *forward = joint->forward;

    joint->final = true;
    if (forward_may_say(&forward->untrusted, forward))
        trust_say_refusal(forward->options, c, d, TRUST_NEVER_ASKED);
    io_line_refuse(joint->line, HELIO_REFUSE_UNTRUSTED);
}

/* Reads known_stations anew: what its operator has changed holds for the next connection. */
static void decide(struct joint *joint)
{
    struct forward *forward = joint->forward;
    helio_known *known = NULL;
    struct trust_decision d;

    if (home_known(forward->options, &known) != STATUS_DONE) {
        joint->final = true;
        io_line_refuse(joint->line, HELIO_REFUSE_UNTRUSTED);
        return;
    }
    struct trust_case c = {
        .known = known,
        .own = helio_identity_fingerprint(forward->identity),
        .pin = forward->pin.set ? &forward->pin : NULL,
        .accept_new = forward->options->accept_new,
        .role = HELIO_INITIATOR,
        .label = forward->label,
        .peer = helio_session_peer(io_line_session(joint->line)),
        .address = io_line_name(joint->line),
        .known_path = forward->options->known,
    };
    d = trust_decide(&c);
    memcpy(joint->who, d.name, sizeof d.name);
    if (d.verdict != TRUST_TRUSTED || (d.remember && trust_remember(forward->options, &c)))
        refuse(joint, &c, &d);
    else
        io_line_trust(joint->line);
    helio_known_free(known);
}

/* ------------------------------------------------------------------------------------- relay -- */

static bool on_local_ended(void *context)
{
    (void)context;
    return true;
}

/* The line fails with it: the other end must not take what it has for all. */
static bool on_local_failed(void *context, bool writing, int error)
{
    struct joint *joint = context;

    (void)writing;
    joint->cause = "client broke off";
    say_detail("client", "%s broke off: %s", joint->name, strerror(error));
    return false;
}

static const struct io_relay_handlers relay_handlers = {
    .input_ended = on_local_ended,
    .failed = on_local_failed,
};

/* Should it fail, the relay closes both, and not in order. */
static void join(struct joint *joint, int in, int out)
{
    struct forward *forward = joint->forward;

    joint->local = -1;
    io_reset_at_close(out, true);
    if (io_relay_new(&joint->relay, forward->loop, joint->line, in, out, &relay_handlers, joint)) {
        joint->relay = NULL;
        joint->cause = "no memory";
        io_line_fail(joint->line, HELIO_E_MEMORY);
        return;
    }
    io_reset_at_close(out, false);
}

static void note_reached(struct forward *forward)
{
    if (reach_succeeded(&forward->reach))
        forward_say_reached(forward);
}

static void on_open(struct joint *joint)
{
    struct forward *forward = joint->forward;
    int in = joint->local, out = fcntl(in, F_DUPFD_CLOEXEC, 3);

    joint_set_stage(joint, JOINED);
    note_reached(forward);
    say_detail("open", "%s is joined to %s", joint->name, joint->who);
    if (out < 0) {
        joint->cause = "no descriptor left";
        io_line_fail(joint->line, HELIO_E_SYSTEM);
    } else {
        join(joint, in, out);
    }
    joints_call(forward); /* others may have waited for this one */
}

/* ---------------------------------------------------------------------------------- the call -- */

/* The call did not get through: another one may. */
static void wait_again(struct joint *joint, const char *why)
{
    struct forward *forward = joint->forward;
    uint32_t random = 0;

    if (helio_random_system(NULL, (uint8_t *)&random, sizeof random))
        random = 0; /* only several of us in the same instant would notice */
    joint_set_stage(joint, WAITING);
    if (reach_failed(&forward->reach, forward_now(forward), random) && !forward->stopping)
        forward_say_unreachable(forward, why);
    joints_give_up(forward);
    joints_call(forward);
}

void joint_end_for_good(struct joint *joint)
{
    struct forward *forward = joint->forward;

    reach_ended(&forward->reach);
    joint_leave(joint);
    joints_call(forward);
}

/* It did: the station is there, and does not want us, or we it. */
static void end_answered(struct joint *joint, const char *why)
{
    struct forward *forward = joint->forward;

    note_reached(forward);
    if (why && !joint->final)
        forward_say_refused(joint, why);
    joint_leave(joint);
    joints_call(forward);
}

static const struct {
    enum helio_err err;
    bool again;
    const char *text;
} call_ends[] = {
    {HELIO_E_CUT, true, "it hung up before the line was open"},
    {HELIO_E_ALERT, true, "it gave up before the line was open"},
    {HELIO_E_TIMEOUT, true, "it did not open the line in time"},
    {HELIO_E_BROKEN, false, "what is there does not speak helio/1, or it was altered on its way"},
    {HELIO_E_NO_COMMON, false, "it speaks no version or suite that we speak, too"},
    {HELIO_E_UNTRUSTED, false, NULL}, /* said when it was refused */
};

static const char *const refusals[] = {
    [HELIO_REFUSE_UNTRUSTED] =
        "it does not trust our key; its operator can add it by helio trust add",
    [HELIO_REFUSE_SERVICE] = "it does not forward; is it a helio serve --forward?",
    [HELIO_REFUSE_NO_ANSWER] = "nobody there answered whether our key is to be trusted",
};

/* Why a handshake came to nothing, and whether calling again may help. */
static bool judge(const struct joint *joint, enum helio_err err, const char **why)
{
    helio_refusal refusal = helio_session_refusal(io_line_session(joint->line));

    *why = helio_strerror(err);
    if (err == HELIO_E_REFUSED && refusal == HELIO_REFUSE_BUSY) {
        *why = "it is full";
        return true;
    }
    if (err == HELIO_E_REFUSED && refusal < sizeof refusals / sizeof *refusals && refusals[refusal])
        *why = refusals[refusal];
    for (size_t i = 0; i < sizeof call_ends / sizeof *call_ends; i++)
        if (call_ends[i].err == err) {
            *why = call_ends[i].text;
            return call_ends[i].again && !joint->final;
        }
    return false;
}

static void on_call_ended(struct joint *joint, enum helio_err err)
{
    struct forward *forward = joint->forward;
    const char *why;
    bool again = judge(joint, err, &why) && !forward->stopping;

    io_line_free(joint->line);
    joint->line = NULL;
    if (again) {
        wait_again(joint, why);
        return;
    }
    if (forward->stopping)
        joint_end_for_good(joint);
    else
        end_answered(joint, why);
}

static void on_line_event(void *context, struct io_line *line, const helio_event *event)
{
    struct joint *joint = context;

    switch (event->kind) {
    case HELIO_EVENT_PEER:
        decide(joint);
        break;
    case HELIO_EVENT_WAITING: /* for its user, for minutes; our client does not wait so long */
        io_line_fail(line, HELIO_E_TIMEOUT);
        break;
    case HELIO_EVENT_OPEN:
        on_open(joint);
        break;
    case HELIO_EVENT_DATA:
    case HELIO_EVENT_MESSAGE:
    case HELIO_EVENT_CLOSED:
        if (joint->relay)
            io_relay_event(joint->relay, event);
        break;
    default:
        break;
    }
}

static void on_line_writable(void *context, struct io_line *line)
{
    struct joint *joint = context;

    (void)line;
    if (joint->relay)
        io_relay_writable(joint->relay);
}

static void on_line_ended(void *context, struct io_line *line, enum helio_err err)
{
    struct joint *joint = context;

    if (joint->stage != JOINED) {
        on_call_ended(joint, err);
        return;
    }
    forward_say_closed(joint, err);
    io_relay_free(joint->relay); /* resets what has not ended in order */
    io_line_free(line);
    joint_leave(joint);
}

static const struct io_line_handlers line_handlers = {
    .event = on_line_event,
    .writable = on_line_writable,
    .ended = on_line_ended,
};

static uint64_t time_left(const struct joint *joint, uint64_t most)
{
    uint64_t now = forward_now(joint->forward);
    uint64_t left = joint->deadline > now ? joint->deadline - now : 1;

    return left < most ? left : most;
}

static void on_dialled(void *context, struct io_stream *stream, const struct io_report *report)
{
    struct joint *joint = context;
    struct forward *forward = joint->forward;
    enum helio_err err;

    if (!stream) {
        wait_again(joint, io_fault_text(report->fault));
        return;
    }
    joint_set_stage(joint, CALLING);
    err = io_line_new(&joint->line, forward->loop, stream, &forward->config, HELIO_INITIATOR,
                      time_left(joint, 1000 * HELIO_HANDSHAKE_SECONDS), &line_handlers, joint);
    if (err) {
        say_error("call", "cannot begin a session: %s", helio_strerror(err));
        joint->line = NULL;
        joint_end_for_good(joint);
    }
}

void joint_call(struct joint *joint)
{
    struct forward *forward = joint->forward;
    enum helio_err err;

    io_dial_free(joint->dial);
    joint->dial = NULL;
    joint_set_stage(joint, DIALLING);
    reach_begin(&forward->reach);
    err = io_dial_new(&joint->dial, forward->loop, &forward->station,
                      station_family(forward->options),
                      time_left(joint, 1000 * HELIO_HANDSHAKE_SECONDS), on_dialled, joint);
    if (err) {
        say_error("dial", "cannot look up %s: %s", forward->label, helio_strerror(err));
        joint->dial = NULL;
        joint_end_for_good(joint);
    }
}
