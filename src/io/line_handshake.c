/*
 * line_handshake.c: until the line is open.
 *
 * A byte goes another way then: what RSA may follow is done by another thread (work.h), and while the
 * session is there (busy) the socket is not read, and nobody here touches the session.  What is asked
 * for meanwhile is kept as a wish and done when the session is back.  All bytes of a handshake go that
 * way, whether a frame ends in them or not: which frames cost RSA is the session's to know.
 *
 * Invariants: busy only in HANDSHAKE and GONE; a line that is busy has not ended, however GONE it is;
 * work is not NULL when it is busy.
 */
#include "io/line_state.h"

/* A work that waits for its turn is not waited for. */
void line_fail_session(struct io_line *line, enum helio_err why)
{
    if (!line->busy) {
        helio_session_fail(line->session, why);
        return;
    }
    if (!line->wishes.failure)
        line->wishes.failure = why;
    work_cancel(line->work);
}

/* What was asked for while the session was away; what is impossible by now the session knows. */
static void grant(struct io_line *line, const struct wishes *wishes)
{
    if (wishes->failure)
        io_line_fail(line, wishes->failure);
    if (wishes->hang_up)
        io_line_hang_up(line);
    if (wishes->wait)
        io_line_wait(line);
    if (wishes->refusal)
        io_line_refuse(line, wishes->refusal);
    if (wishes->trust)
        io_line_trust(line);
}

static void go_on(struct io_line *line);

static void on_work_done(void *context)
{
    struct io_line *line = context;
    struct wishes wishes = line->wishes;

    line->busy = false;
    line->wishes = (struct wishes){0};
    if (line->phase == GONE) {
        helio_session_fail(line->session, HELIO_E_CUT);
        line_release(line);
        return;
    }
    line->handles--;
    grant(line, &wishes);
    go_on(line);
    line_advance(line);
}

/* The user's yes comes before what the peer has sent since. */
static void begin_work(struct io_line *line)
{
    enum work_kind kind = line->wants_trust ? WORK_TRUST : WORK_FEED;

    uv_read_stop((uv_stream_t *)&line->stream->tcp);
    line->wants_trust = false;
    line->busy = true;
    line->handles++;
    work_start(line->work, kind, line->loop->works, line->session, on_work_done, line);
}

static bool has_rest(const struct io_line *line)
{
    return line->work && line->work->used < line->work->n;
}

/*
 * From event to event of a handshake, as far as the bytes go that are here.  From inside a handler
 * it does nothing: the session is not taken away from who may still ask it something.
 */
static void go_on(struct io_line *line)
{
    if (line->busy || line->delivering)
        return;
    line_deliver(line);
    if (line->phase == HANDSHAKE && !helio_session_error(line->session) &&
        (line->wants_trust || has_rest(line))) {
        begin_work(line);
        return;
    }
    if (has_rest(line)) /* the line is open: the usual way from here on */
        line_take(line, line->work->bytes + line->work->used, line->work->n - line->work->used);
    work_free(line->work);
    line->work = NULL;
    line_start_reading(line);
}

/* There is no work yet: while there is one the socket is not read. */
void line_take_early(struct io_line *line, const uint8_t *p, size_t n)
{
    line->work = work_new(p, n);
    if (!line->work)
        helio_session_fail(line->session, HELIO_E_MEMORY);
    go_on(line);
}

static void trust_later(struct io_line *line)
{
    line->wants_trust = true;
    if (!line->work)
        line->work = work_new(NULL, 0);
    if (!line->work)
        helio_session_fail(line->session, HELIO_E_MEMORY);
    go_on(line);
}

/* An initiator's yes is a signature; a responder's is not, and the line is open when it is said. */
void io_line_trust(struct io_line *line)
{
    enum helio_err ignored; /* the session has latched it */

    if (line->busy) {
        line->wishes.trust = true;
        return;
    }
    if (line->role == HELIO_INITIATOR && line->phase == HANDSHAKE) {
        trust_later(line);
    } else {
        ignored = helio_session_trust(line->session);
        (void)ignored;
        line_deliver(line);
    }
    line_advance(line);
}

void io_line_wait(struct io_line *line)
{
    enum helio_err ignored;

    if (line->busy) {
        line->wishes.wait = true;
        return;
    }
    ignored = helio_session_wait(line->session);
    (void)ignored;
    line_advance(line);
}

void io_line_refuse(struct io_line *line, helio_refusal why)
{
    if (line->busy) {
        line->wishes.refusal = why;
        return;
    }
    helio_session_refuse(line->session, why);
    line_advance(line);
}
