#include "talk/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* The initiator gives up after HELIO_WAIT_SECONDS; it should hear "nobody answered" before that. */
enum { QUESTION_SECONDS = HELIO_WAIT_SECONDS - 5, REPLY_MAX = 256 };

/* A question that stands on the terminal while the loop goes on. */
struct trust_question {
    struct io_poll *poll;
    struct io_timer *timer;
    int in;
    int out;
    bool overlong; /* in the middle of a line that is no answer */
};

static struct trust_case case_of(const struct talk *talk)
{
    return (struct trust_case){
        .known = talk->known,
        .own = helio_identity_fingerprint(talk->identity),
        .pin = talk->pin.set ? &talk->pin : NULL,
        .accept_new = talk->options->accept_new,
        .role = talk->role,
        .label = talk->call.label,
        .peer = helio_session_peer(io_line_session(talk->call.line)),
        .address = io_line_name(talk->call.line),
        .known_path = talk->options->known,
    };
}

static bool service_offered(struct talk *talk)
{
    const helio_peer *peer = helio_session_peer(io_line_session(talk->call.line));

    /* Who names no service takes what there is. */
    if (talk->role == HELIO_INITIATOR || !*peer->service ||
        strcmp(peer->service, TALK_SERVICE) == 0)
        return true;
    say_error("service",
              "%s asks for the service \"%s\", which listen does not offer\n"
              "It was told so.  listen and connect talk to each other (service \"%s\").",
              talk->call.who, peer->service, TALK_SERVICE);
    talk->call.refused = true;
    io_line_refuse(talk->call.line, HELIO_REFUSE_SERVICE);
    return false;
}

/*
 * A fingerprint is said anyway, and who dialled one address is not to read another one, where the
 * key was met first.
 */
static bool name_misleads(const struct talk *talk, const char *name)
{
    const char *label = talk->call.label;

    return strncmp(name, "SHA256:", 7) == 0 ||
           (*label && strchr(name, ':') && strcmp(name, label) != 0);
}

static void accept_station(struct talk *talk, const struct trust_decision *d)
{
    const char *self = d->own ? " (our own key)" : "";

    if ((*d->name || d->own) && !name_misleads(talk, d->name))
        snprintf(talk->call.who, sizeof talk->call.who, "%s%s",
                 *d->name ? d->name : io_line_name(talk->call.line), self);
    if (service_offered(talk))
        io_line_trust(talk->call.line);
}

static void refuse(struct talk *talk, const struct trust_decision *d, enum trust_reply reply)
{
    struct trust_case c = case_of(talk);

    trust_say_refusal(talk->options, &c, d, reply);
    talk->call.refused = true;
    io_line_refuse(talk->call.line,
                   reply == TRUST_NO_ANSWER ? HELIO_REFUSE_NO_ANSWER : HELIO_REFUSE_UNTRUSTED);
}

static void remember_and_accept(struct talk *talk)
{
    struct trust_case c = case_of(talk);
    struct trust_decision d = {.verdict = TRUST_TRUSTED};

    if (trust_remember(talk->options, &c) != STATUS_DONE) {
        call_fail_here(talk);
        return;
    }
    /* Under which name, the list knows. */
    if (talk_reload_known(talk) == STATUS_DONE) {
        c = case_of(talk);
        d = trust_decide(&c);
    }
    accept_station(talk, &d);
}

/* ------------------------------------------------------------------------ asking in the loop -- */

static void put(int fd, const char *text)
{
    ssize_t ignored = write(fd, text, strlen(text));

    (void)ignored; /* a terminal that is gone answers no question either */
}

static void free_question(struct talk *talk)
{
    struct trust_question *q = talk->question;

    if (!q)
        return;
    talk->question = NULL;
    talk->call.asking = false;
    io_poll_free(q->poll);
    io_timer_free(q->timer);
    if (q->in > STDERR_FILENO)
        close(q->in);
    free(q);
}

void trust_cancel(struct talk *talk)
{
    if (!talk->question)
        return;
    put(talk->question->out, "\n");
    free_question(talk);
}

static void settle_question(struct talk *talk, enum trust_reply reply)
{
    struct trust_decision d = {.verdict = TRUST_UNKNOWN};

    free_question(talk);
    if (reply == TRUST_YES)
        remember_and_accept(talk);
    else
        refuse(talk, &d, reply);
}

static void on_answer(void *context)
{
    struct talk *talk = context;
    struct trust_case c = case_of(talk);
    char line[REPLY_MAX];
    ssize_t n = read(talk->question->in, line, sizeof line - 1);
    enum trust_reply reply;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        put(talk->question->out, "\n");
        settle_question(talk, TRUST_NO);
        return;
    }
    /* A line longer than any answer comes in pieces: its last one is none by itself. */
    bool whole = line[n - 1] == '\n' && !talk->question->overlong;
    talk->question->overlong = line[n - 1] != '\n';
    if (talk->question->overlong)
        return;
    line[n - 1] = '\0';
    reply = whole ? trust_read_reply(&c, line) : TRUST_AGAIN;
    if (reply == TRUST_AGAIN)
        put(talk->question->out, TRUST_ASK_AGAIN);
    else
        settle_question(talk, reply);
}

static void on_question_timeout(void *context)
{
    struct talk *talk = context;

    put(talk->question->out, "\n");
    settle_question(talk, TRUST_NO_ANSWER);
}

static void put_question(struct talk *talk)
{
    struct trust_case c = case_of(talk);
    char text[4 * SAY_QUOTED_MAX];

    trust_question(&c, text, sizeof text);
    (void)tcflush(talk->question->in, TCIFLUSH); /* what was typed before is no answer */
    put(talk->question->out, text);
}

static bool open_question(struct talk *talk)
{
    struct trust_question *q = calloc(1, sizeof *q);
    int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

    if (!q) {
        if (tty >= 0)
            close(tty);
        return false;
    }
    q->in = tty >= 0 ? tty : STDIN_FILENO;
    q->out = tty >= 0 ? tty : STDERR_FILENO;
    talk->question = q;
    if (io_poll_new(&q->poll, talk->loop, q->in, on_answer, talk) ||
        io_timer_new(&q->timer, talk->loop, on_question_timeout, talk)) {
        free_question(talk);
        return false;
    }
    return true;
}

static void ask_in_loop(struct talk *talk, const struct trust_decision *d)
{
    if (!open_question(talk)) {
        refuse(talk, d, TRUST_NO_TERMINAL);
        return;
    }
    talk->call.asking = true;
    io_timer_set(talk->question->timer, QUESTION_SECONDS * 1000);
    io_line_wait(talk->call.line);
    put_question(talk);
}

/* ------------------------------------------------------------------------------ the decision -- */

static void leave_to_ask(struct talk *talk)
{
    talk->call.asking = true;
    talk->call.refused = true;
    io_line_refuse(talk->call.line, HELIO_REFUSE_ASKING);
}

void trust_call(struct talk *talk)
{
    struct trust_case c;
    struct trust_decision d;

    /* A listener runs for long: what was trusted meanwhile counts.  The old list is better than
     * none. */
    if (talk->keep && talk_reload_known(talk) != STATUS_DONE)
        say_warn("known", "going on with the stations known before");
    c = case_of(talk);
    d = trust_decide(&c);
    if (d.verdict == TRUST_TRUSTED && d.remember)
        remember_and_accept(talk);
    else if (d.verdict == TRUST_TRUSTED)
        accept_station(talk, &d);
    else if (d.verdict != TRUST_UNKNOWN || !trust_can_ask())
        refuse(talk, &d, TRUST_NO_TERMINAL);
    else if (talk->role == HELIO_INITIATOR)
        leave_to_ask(talk);
    else
        ask_in_loop(talk, &d);
}

int trust_ask_and_pin(struct talk *talk)
{
    struct trust_case c = case_of(talk);
    struct trust_decision d = {.verdict = TRUST_UNKNOWN};
    enum trust_reply reply = trust_ask(&c);
    int status;

    if (reply != TRUST_YES) {
        trust_say_refusal(talk->options, &c, &d, reply);
        return STATUS_TRUST;
    }
    status = (int)trust_remember(talk->options, &c);
    if (status != STATUS_DONE)
        return status;
    talk->pin = (struct trust_pin){.set = true, .fingerprint = c.peer->fingerprint};
    helio_fingerprint_format(&c.peer->fingerprint, talk->pin.name);
    return talk_reload_known(talk);
}
