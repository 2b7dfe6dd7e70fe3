/*
 * joint.c: one local connection and the line that carries it.
 *
 * A call that does not get through leads back to WAITING until the joint's time is over.  What would
 * not change by trying again (a key that is not trusted, a refusal) ends it at once.  Who hangs up
 * while it waits is not called for.
 *
 * How many there may be is bounded: each needs descriptors, and those that wait must leave some to
 * the call that ends their waiting.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/home.h"
#include "forward/joint.h"

enum {
    WAIT_SECONDS = 30,
    LOOK_MS = 1000,          /* how often to look whether those that wait are still there */
    WAITING_MAX = 4096,      /* about what a station can let in within WAIT_SECONDS */
    DESCRIPTORS_KEPT = 128,  /* the doors, the loop's, the calls under way */
    DESCRIPTORS_OF_JOINT = 3 /* the local end, its duplicate, the line */
};

static uint64_t now_of(const struct forward *forward)
{
    return io_loop_now(forward->loop);
}

/* --------------------------------------------------------------------------------- coming, going -- */

static void link_last(struct joint *joint)
{
    struct forward *forward = joint->forward;

    forward->count++;
    forward->waiting += joint->stage == WAITING;
    joint->previous = forward->last;
    if (forward->last)
        forward->last->next = joint;
    else
        forward->first = joint;
    forward->last = joint;
}

static void unlink_joint(struct joint *joint)
{
    struct forward *forward = joint->forward;

    forward->count--;
    forward->waiting -= joint->stage == WAITING;
    *(joint->previous ? &joint->previous->next : &forward->first) = joint->next;
    *(joint->next ? &joint->next->previous : &forward->last) = joint->previous;
}

static void set_stage(struct joint *joint, enum stage stage)
{
    struct forward *forward = joint->forward;

    forward->waiting -= joint->stage == WAITING;
    forward->waiting += stage == WAITING;
    joint->stage = stage;
}

static void reset(int fd)
{
    io_reset_at_close(fd, true);
    close(fd);
}

static void reset_local(struct joint *joint)
{
    if (joint->local >= 0)
        reset(joint->local);
    joint->local = -1;
}

/* Its line, if it had one, has gone. */
static void leave(struct joint *joint)
{
    struct forward *forward = joint->forward;

    reset_local(joint);
    io_dial_free(joint->dial);
    unlink_joint(joint);
    free(joint);
    forward_left(forward);
}

/*
 * The client of a joint that waits.  An end after a request, or of one direction alone, looks like a
 * hang-up, and is carried to a station that is there.  But nobody waits for one that is away with
 * nothing to say.
 */
static bool has_gone(const struct joint *joint)
{
    struct pollfd local = {.fd = joint->local, .events = POLLIN};
    char byte;

    if (poll(&local, 1, 0) <= 0)
        return false;
    if (local.revents & (POLLERR | POLLHUP))
        return true;
    return reach_is_down(&joint->forward->reach) &&
           recv(joint->local, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static bool leave_if_gone(struct joint *joint)
{
    bool gone = has_gone(joint);

    if (gone) {
        say_detail("gone", "%s hung up while it waited", joint->name);
        leave(joint);
    }
    return gone;
}

/* --------------------------------------------------------------------------------------- trust -- */

static void refuse(struct joint *joint, const struct trust_case *c, const struct trust_decision *d)
{
    struct forward *forward = joint->forward;

    joint->final = true;
    if (rarely(&forward->untrusted, forward))
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

/* ---------------------------------------------------------------------------------------- relay -- */

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

    set_stage(joint, JOINED);
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

/* ------------------------------------------------------------------------------------- the call -- */

/* The call did not get through: another one may. */
static void wait_again(struct joint *joint, const char *why)
{
    struct forward *forward = joint->forward;
    uint32_t random = 0;

    if (helio_random_system(NULL, (uint8_t *)&random, sizeof random))
        random = 0; /* only several of us in the same instant would notice */
    set_stage(joint, WAITING);
    if (reach_failed(&forward->reach, now_of(forward), random) && !forward->stopping)
        forward_say_unreachable(forward, why);
    joints_give_up(forward);
    joints_call(forward);
}

/* The call said nothing about the way to the station. */
static void end_for_good(struct joint *joint)
{
    struct forward *forward = joint->forward;

    reach_ended(&forward->reach);
    leave(joint);
    joints_call(forward);
}

/* It did: the station is there, and does not want us, or we it. */
static void end_answered(struct joint *joint, const char *why)
{
    struct forward *forward = joint->forward;

    note_reached(forward);
    if (why && !joint->final)
        forward_say_refused(joint, why);
    leave(joint);
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
        end_for_good(joint);
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
    leave(joint);
}

static const struct io_line_handlers line_handlers = {
    .event = on_line_event,
    .writable = on_line_writable,
    .ended = on_line_ended,
};

static uint64_t time_left(const struct joint *joint, uint64_t most)
{
    uint64_t now = now_of(joint->forward);
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
    set_stage(joint, CALLING);
    err = io_line_new(&joint->line, forward->loop, stream, &forward->config, HELIO_INITIATOR,
                      time_left(joint, 1000 * HELIO_HANDSHAKE_SECONDS), &line_handlers, joint);
    if (err) {
        say_error("call", "cannot begin a session: %s", helio_strerror(err));
        joint->line = NULL;
        end_for_good(joint);
    }
}

static void call(struct joint *joint)
{
    struct forward *forward = joint->forward;
    enum helio_err err;

    io_dial_free(joint->dial);
    joint->dial = NULL;
    set_stage(joint, DIALLING);
    reach_begin(&forward->reach);
    err = io_dial_new(&joint->dial, forward->loop, &forward->station,
                      station_family(forward->options),
                      time_left(joint, 1000 * HELIO_HANDSHAKE_SECONDS), on_dialled, joint);
    if (err) {
        say_error("dial", "cannot look up %s: %s", forward->label, helio_strerror(err));
        joint->dial = NULL;
        end_for_good(joint);
    }
}

/* --------------------------------------------------------------------------------- the interface -- */

/* The first that waits; new ones are linked last, so this is also their order. */
static struct joint *first_waiting(const struct forward *forward)
{
    struct joint *joint = forward->waiting > 0 ? forward->first : NULL;

    while (joint && joint->stage != WAITING)
        joint = joint->next;
    return joint;
}

/* When there is something to do for those that wait, the first of which gives up first. */
static void set_retry(struct forward *forward, uint64_t now)
{
    const struct joint *joint = first_waiting(forward);
    uint64_t wait = reach_wait(&forward->reach, now), left;

    if (!joint)
        return;
    left = joint->deadline > now ? joint->deadline - now : 1;
    if (wait > left)
        wait = left;
    if (reach_is_down(&forward->reach) && wait > LOOK_MS)
        wait = LOOK_MS;
    io_timer_set(forward->retry, wait);
}

void joints_call(struct forward *forward)
{
    uint64_t now = now_of(forward);
    struct joint *joint;

    if (forward->stopping)
        return;
    while (reach_allows(&forward->reach, now) && (joint = first_waiting(forward)))
        if (!leave_if_gone(joint))
            call(joint);
    set_retry(forward, now);
}

void joints_look(struct forward *forward)
{
    for (struct joint *joint = forward->first, *next; joint; joint = next) {
        next = joint->next;
        if (joint->stage == WAITING)
            leave_if_gone(joint);
    }
}

void joints_give_up(struct forward *forward)
{
    uint64_t now = now_of(forward);

    for (struct joint *joint = forward->first, *next; joint; joint = next) {
        next = joint->next;
        if (joint->stage == WAITING && (forward->stopping || now >= joint->deadline)) {
            if (!forward->stopping)
                forward_say_given_up(joint);
            leave(joint);
        }
    }
}

unsigned joints_drop(struct forward *forward)
{
    unsigned dropped = 0;

    for (struct joint *joint = forward->first, *next; joint; joint = next) {
        next = joint->next;
        if (joint->stage == DIALLING) {
            end_for_good(joint);
        } else if (joint->line) {
            joint->cause = "we ended";
            io_line_drop(joint->line);
            dropped++;
        }
    }
    return dropped;
}

void joints_set_bound(struct forward *forward, unsigned long descriptors)
{
    unsigned long most = descriptors > DESCRIPTORS_KEPT ? descriptors - DESCRIPTORS_KEPT : 0;

    forward->most = most / DESCRIPTORS_OF_JOINT + 1;
}

static bool has_room(struct forward *forward)
{
    if (forward->count < forward->most && forward->waiting < WAITING_MAX)
        return true;
    forward_say_full(forward);
    return false;
}

void joint_begin(struct forward *forward, const struct io_caller *local)
{
    struct joint *joint = has_room(forward) ? calloc(1, sizeof *joint) : NULL;
    unsigned seconds = forward->options->timeout ? forward->options->timeout : WAIT_SECONDS;

    if (!joint) {
        reset(local->fd);
        return;
    }
    joint->forward = forward;
    joint->local = local->fd;
    joint->deadline = now_of(forward) + 1000 * (uint64_t)seconds;
    memcpy(joint->name, local->name, sizeof joint->name);
    io_tune(local->fd);
    link_last(joint);
    joints_call(forward);
}
