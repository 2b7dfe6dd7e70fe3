/*
 * joint.c: the joints, from accept to the end: those that wait, and whose turn it is.  What a call
 * makes of one is call.c's.
 *
 * A joint waits until its time is over; who hangs up while it waits is not called for.  How many
 * there may be is bounded: each needs descriptors, and those that wait must leave some to the call
 * that ends their waiting.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "forward/joint.h"

enum {
    WAIT_SECONDS = 30,
    LOOK_MS = 1000,          /* how often to look whether those that wait are still there */
    WAITING_MAX = 4096,      /* about what a station can let in within WAIT_SECONDS */
    DESCRIPTORS_KEPT = 128,  /* the doors, the loop's, the calls under way */
    DESCRIPTORS_OF_JOINT = 3 /* the local end, its duplicate, the line */
};

uint64_t forward_now(const struct forward *forward)
{
    return io_loop_now(forward->loop);
}

/* ----------------------------------------------------------------------------- coming, going -- */

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

void joint_set_stage(struct joint *joint, enum stage stage)
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

void joint_leave(struct joint *joint)
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
        joint_leave(joint);
    }
    return gone;
}

/* ----------------------------------------------------------------------------- the interface -- */

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
    uint64_t now = forward_now(forward);
    struct joint *joint;

    if (forward->stopping)
        return;
    while (reach_allows(&forward->reach, now) && (joint = first_waiting(forward)))
        if (!leave_if_gone(joint))
            joint_call(joint);
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
    uint64_t now = forward_now(forward);

    for (struct joint *joint = forward->first, *next; joint; joint = next) {
        next = joint->next;
        if (joint->stage == WAITING && (forward->stopping || now >= joint->deadline)) {
            if (!forward->stopping)
                forward_say_given_up(joint);
            joint_leave(joint);
        }
    }
}

unsigned joints_drop(struct forward *forward)
{
    unsigned dropped = 0;

    for (struct joint *joint = forward->first, *next; joint; joint = next) {
        next = joint->next;
        if (joint->stage == DIALLING) {
            joint_end_for_good(joint);
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
    joint->deadline = forward_now(forward) + 1000 * (uint64_t)seconds;
    memcpy(joint->name, local->name, sizeof joint->name);
    io_tune(local->fd);
    link_last(joint);
    joints_call(forward);
}
