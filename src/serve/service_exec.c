/*
 * service_exec.c: a process of its own for each station (helio serve --exec CMD).
 *
 * CMD is run by /bin/sh -c.  The line is its standard input and output; standard error is the
 * server's.  Who called stands in the environment, as data: nothing that a station says becomes part
 * of a command.
 *
 * The end, in order: the peer's close is the end of CMD's input.  Our direction closes when CMD's
 * output has ended and CMD has exited, and CMD's status goes before (protocol.md 6, result).  As
 * with sshd a process that CMD left behind keeps the line open as long as it holds the output.  CMD
 * may close its input early, as head does: the rest is thrown away.
 *
 * The end, out of order: when the line is gone first, CMD and all in its session get SIGHUP, as from
 * a terminal that hangs up, and those still there after HANGUP_MS SIGKILL.  Until then the command
 * outlives its guest (an orphan) and holds the post.
 *
 * When the server stops, CMD may go on; SIGTERM comes when three quarters of --grace are over, and
 * the end as above when all of it is, sooner.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "serve/serve.h"

enum {
    HANGUP_MS = 5000,
    STOP_HANGUP_MS = 1000, /* the same when the server stops: there was a SIGTERM before */
    KILL_MS = 2000
};

struct command {
    struct guest *guest; /* NULL: an orphan */
    struct post *post;
    struct io_child *child;
    struct io_relay *relay;
    struct io_timer *timer; /* NULL before it is needed */
    bool output_ended;
    bool exited;
    bool told;   /* the peer has the result */
    bool killed; /* an orphan that has got its SIGKILL */
    uint8_t result;
};

static const char *const asked_as[] = {"exec", "line", "", NULL};

/* ------------------------------------------------------------------------------- environment -- */

/* What is the server's own business, and what could pass for a word of ours about the peer. */
static const char *const hidden[] = {
    "HELIO_",          "NOTIFY_SOCKET=", "LISTEN_PID=",  "LISTEN_FDS=",
    "LISTEN_FDNAMES=", "WATCHDOG_USEC=", "WATCHDOG_PID="};

static bool is_hidden(const char *variable)
{
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (strncmp(variable, hidden[i], strlen(hidden[i])) == 0)
            return true;
    return false;
}

enum { OWN_VARIABLES = 6 };

struct environment {
    const char **all; /* ended by NULL, the inherited first */
    char *own[OWN_VARIABLES];
};

static void environment_clear(struct environment *environment)
{
    for (size_t i = 0; i < OWN_VARIABLES; i++)
        free(environment->own[i]);
    free(environment->all);
}

static size_t inherit(const char **all)
{
    size_t n = 0;

    for (char **variable = environ; *variable; variable++)
        if (!is_hidden(*variable))
            all[n++] = *variable;
    return n;
}

static size_t count_environ(void)
{
    size_t n = 0;

    while (environ[n])
        n++;
    return n;
}

static void session_text(const helio_session *session, char out[65])
{
    uint8_t id[32] = {0};
    enum helio_err ignored = helio_session_id(session, id);

    (void)ignored; /* the line is open: there is one */
    for (size_t i = 0; i < sizeof id; i++)
        snprintf(out + 2 * i, 3, "%02x", id[i]);
}

static enum helio_err environment_new(struct environment *out, const struct guest *guest)
{
    const helio_session *session = io_line_session(guest->line);
    const helio_peer *peer = helio_session_peer(session);
    const char *suite = helio_suite_name(helio_session_suite(session));
    char fingerprint[HELIO_FINGERPRINT_TEXT], id[65];
    size_t n;

    *out = (struct environment){.all = calloc(count_environ() + OWN_VARIABLES + 1, sizeof(char *))};
    if (!out->all)
        return HELIO_E_MEMORY;
    helio_fingerprint_format(&peer->fingerprint, fingerprint);
    session_text(session, id);
    const struct {
        const char *name, *value;
    } own[OWN_VARIABLES] = {
        {"HELIO_PEER", guest->who},
        {"HELIO_PEER_FINGERPRINT", fingerprint},
        {"HELIO_PEER_CLAIMS", peer->name},
        {"HELIO_PEER_ADDRESS", io_line_name(guest->line)},
        {"HELIO_SESSION", id},
        {"HELIO_SUITE", suite ? suite : ""},
    };
    n = inherit(out->all);
    for (size_t i = 0; i < OWN_VARIABLES; i++) {
        if (asprintf(&out->own[i], "%s=%s", own[i].name, own[i].value) < 0) {
            out->own[i] = NULL;
            environment_clear(out);
            return HELIO_E_MEMORY;
        }
        out->all[n + i] = out->own[i];
    }
    return HELIO_OK;
}

/* ----------------------------------------------------------------------------------- killing -- */

static void command_free(struct command *command)
{
    io_relay_free(command->relay);
    io_child_free(command->child);
    io_timer_free(command->timer);
    free(command);
}

static void orphan_end(struct command *command)
{
    struct post *post = command->post;

    command_free(command);
    post_let_go(post);
}

static void kill_later(struct command *command, uint64_t milliseconds);

/* An orphan that outlives even SIGKILL hangs in the kernel: nobody waits for it. */
static void on_timer(void *context)
{
    struct command *command = context;

    if (command->guest) {
        io_child_kill(command->child, SIGTERM);
    } else if (command->killed) {
        orphan_end(command);
    } else {
        command->killed = true;
        io_child_kill(command->child, SIGKILL);
        kill_later(command, KILL_MS);
    }
}

/* on_timer in so many milliseconds; without memory for a timer at once. */
static void kill_later(struct command *command, uint64_t milliseconds)
{
    if (!command->timer &&
        io_timer_new(&command->timer, post_loop(command->post), on_timer, command)) {
        command->timer = NULL;
        on_timer(command);
        return;
    }
    io_timer_set(command->timer, milliseconds);
}

/* ------------------------------------------------------------------------------------ ending -- */

/*
 * Output and process have both ended: says how, and closes.  HELIO_E_AGAIN comes back by writable;
 * any other error ends the line by itself.
 */
static void tell_result(struct command *command)
{
    struct io_line *line = command->guest->line;

    if (!command->output_ended || !command->exited || command->told)
        return;
    if (io_line_send(line, &command->result, 1, HELIO_RESULT) == HELIO_E_AGAIN)
        return;
    command->told = true;
    io_relay_close(command->relay);
}

static bool on_output_ended(void *context)
{
    struct command *command = context;

    command->output_ended = true;
    tell_result(command);
    return false; /* tell_result closes */
}

/* What CMD does not want to read is its own affair; that its output cannot be read is ours. */
static bool on_failed(void *context, bool writing, int error)
{
    struct command *command = context;

    if (writing)
        return true;
    command->guest->cause = "command's output failed";
    say_warn("exec", "cannot read what the command of %s writes: %s", command->guest->who,
             strerror(error));
    return false;
}

static const struct io_relay_handlers relay_handlers = {
    .input_ended = on_output_ended,
    .failed = on_failed,
};

static void on_child_exit(void *context, int status, int number)
{
    struct command *command = context;

    command->exited = true;
    command->result = (uint8_t)(number ? 128 + number : status);
    if (!command->guest) {
        orphan_end(command);
        return;
    }
    say_detail("exec-ended", "the command of %s has ended with status %u", command->guest->who,
               command->result);
    tell_result(command);
}

/* ------------------------------------------------------------------------------- the service -- */

static enum helio_err start_child(struct command *command, int *in, int *out)
{
    struct guest *guest = command->guest;
    const char *const argv[] = {"/bin/sh", "-c", guest_serve(guest)->options->exec, NULL};
    struct environment environment;
    enum helio_err err = environment_new(&environment, guest);

    if (err)
        return err;
    err = io_child_new(&command->child, post_loop(command->post), argv, environment.all, in, out,
                       on_child_exit, command);
    if (err) {
        command->child = NULL;
        guest->cause = "command not started";
        say_warn("exec", "cannot start the command for %s: %s", guest->who,
                 err == HELIO_E_SYSTEM ? strerror(errno) : helio_strerror(err));
    }
    environment_clear(&environment);
    return err;
}

static enum helio_err exec_begin(struct guest *guest)
{
    struct command *command = calloc(1, sizeof *command);
    enum helio_err err;
    int in, out;

    if (!command)
        return HELIO_E_MEMORY;
    guest->state = command;
    command->guest = guest;
    command->post = guest->post;
    err = start_child(command, &in, &out);
    if (err)
        return err;
    err = io_relay_new(&command->relay, post_loop(command->post), guest->line, out, in,
                       &relay_handlers, command);
    if (err)
        command->relay = NULL;
    return err;
}

static void exec_event(struct guest *guest, const helio_event *event)
{
    static const helio_event newline = {HELIO_EVENT_DATA, (const uint8_t *)"\n", 1};
    struct command *command = guest->state;

    io_relay_event(command->relay, event);
    if (guest_lacks_newline(event))
        io_relay_event(command->relay, &newline);
}

static void exec_writable(struct guest *guest)
{
    struct command *command = guest->state;

    tell_result(command);
    io_relay_writable(command->relay);
}

static void exec_stop(struct guest *guest)
{
    kill_later(guest->state, guest_serve(guest)->options->grace * UINT64_C(750));
}

static void exec_end(struct guest *guest)
{
    struct command *command = guest->state;
    bool stopping = atomic_load(&guest_serve(guest)->stopping);

    guest->state = NULL;
    if (!command)
        return;
    io_relay_free(command->relay);
    command->relay = NULL;
    if (command->exited || !command->child) {
        command_free(command);
        return;
    }
    command->guest = NULL;
    post_hold(command->post);
    io_child_kill(command->child, SIGHUP);
    kill_later(command, stopping ? STOP_HANGUP_MS : HANGUP_MS);
}

const struct service service_exec = {
    .name = "exec",
    .called_by = STATION_CALL,
    .asked_as = asked_as,
    .descriptors = 3, /* a pipe to the command and one from it */
    .begin = exec_begin,
    .event = exec_event,
    .writable = exec_writable,
    .stop = exec_stop,
    .end = exec_end,
};
