/*
 * line.c: a session and its TCP connection.
 *
 * The way of a byte: socket -> loop's read buffer -> helio_session_feed -> event -> handler; and
 * io_line_send -> session's queue -> socket.  When the socket is full the first few bytes of the queue
 * wait in out, which is memory only as long: libuv tells when they are written, and that is when the
 * socket takes the rest of the queue.
 *
 * Until the line is open a byte goes another way: what RSA may follow is done by another thread
 * (work.h), and while the session is there (busy) the socket is not read, and nobody here touches
 * the session.  What is asked for meanwhile is kept as a wish and done when the session is back.  All
 * bytes of a handshake go that way, whether a frame ends in them or not: which frames cost RSA is
 * the session's to know.
 *
 * The phases go one way.  HANDSHAKE and OPEN are the session's.  LINGER begins when the session has
 * failed or is done: what is queued still goes out (the last alert, the last close), then our half
 * of the TCP connection is shut down, and what the peer still sends is read and thrown away until
 * it hangs up.  Without that the kernel would answer the peer's last bytes with a reset, and a
 * reset takes our alert out of the peer's hands before it has read it.  GONE waits for libuv to let
 * go.
 *
 * Invariants:
 *  - writing: out[0..) belongs to libuv until on_written;
 *  - cannot_send: nothing is written any more, but what the peer said before it left is still read;
 *  - in LINGER and GONE no event is handed out, and result never becomes HELIO_OK again;
 *  - busy only in HANDSHAKE and GONE; a line that is busy has not ended, however GONE it is.
 */
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "io/work.h"

enum { FIRST_BYTES = 4096 }; /* what waits for a socket that is full, on behalf of all the rest */
enum { QUIET_MS = 1000 };    /* a line that was busy gets another one to two seconds to go on */
enum { LINGER_MS = 2000, SHORT_LINGER_MS = 300, KEEPALIVE_SECONDS = 60 };

enum phase { HANDSHAKE, OPEN, LINGER, GONE };

/* What was asked for while the line was busy; zero: nothing. */
struct wishes {
    enum helio_err failure; /* the first */
    helio_refusal refusal;
    bool trust;
    bool wait;
    bool hang_up;
};

struct io_line {
    struct io_loop *loop;
    struct io_stream *stream;
    uv_timer_t timer; /* the handshake's deadline, then QUIET_MS of an open line, then LINGER's */
    bool moved;       /* since timer was set for QUIET_MS */
    unsigned handles; /* stream and timer, as far as they are not closed; and a work */
    helio_session *session;
    helio_role role;
    bool classic;
    const struct io_line_handlers *handlers;
    void *context;
    enum phase phase;
    enum helio_err result;
    uint8_t *out;
    uv_write_t write;
    bool writing;
    uv_shutdown_t shutdown;
    bool shut;
    bool cannot_send;
    bool lost;          /* a write failed: the peer lacks something */
    bool heard_end;     /* the peer's half of the TCP connection has ended */
    bool wants_close;   /* io_line_close found the queue full */
    bool wants_confirm; /* io_line_confirm did */
    bool starved;       /* io_line_send found the queue full */
    bool paused;
    bool delivering;   /* deliver is running: events are handed out in order, not nested */
    struct work *work; /* bytes of the handshake that the session has not taken; or NULL */
    bool busy;         /* work is under way and has the session */
    bool wants_trust;  /* the user's yes costs RSA, too: for the next work */
    struct wishes wishes;
    uint64_t sent;
    uint64_t received;
    uint64_t began_at;
    uint64_t opened_at;
    uint64_t ended_at;
    char name[IO_NAME_SIZE];
};

/* ------------------------------------------------------------------------------- the way out -- */

/* One of those that held the line has let go. */
static void release(struct io_line *line)
{
    if (--line->handles == 0)
        line->handlers->ended(line->context, line, line->result);
}

static void on_closed(uv_handle_t *handle)
{
    struct io_line *line = handle->data;

    if (handle == (uv_handle_t *)&line->stream->tcp) {
        free(line->stream);
        line->stream = NULL;
    }
    release(line);
}

static void disappear(struct io_line *line)
{
    if (line->phase == GONE)
        return;
    line->phase = GONE;
    line->ended_at = uv_now(&line->loop->uv);
    uv_close((uv_handle_t *)&line->stream->tcp, on_closed);
    uv_close((uv_handle_t *)&line->timer, on_closed);
}

/* Bytes that the peer's machine has not acknowledged yet. */
static bool peer_lags(const struct io_line *line)
{
    uv_os_fd_t fd;
    int n = 0;

    return !line->cannot_send && uv_fileno((const uv_handle_t *)&line->stream->tcp, &fd) == 0 &&
           ioctl(fd, SIOCOUTQ, &n) == 0 && n > 0;
}

static void advance(struct io_line *line);

/* A work that waits for its turn is not waited for. */
static void fail_session(struct io_line *line, enum helio_err why)
{
    if (!line->busy) {
        helio_session_fail(line->session, why);
        return;
    }
    if (!line->wishes.failure)
        line->wishes.failure = why;
    work_cancel(line->work);
}

static void on_timer(uv_timer_t *timer);

/*
 * Called when bytes may have moved.  A line that is not open holds its buffers no longer than it must:
 * its peer is a stranger.  An open one keeps them until it has been quiet for a while.
 */
static void note_moved(struct io_line *line)
{
    if (line->phase == HANDSHAKE && !line->delivering)
        helio_session_trim(line->session);
    if (line->phase != OPEN)
        return;
    line->moved = true;
    if (!uv_is_active((uv_handle_t *)&line->timer))
        uv_timer_start(&line->timer, on_timer, QUIET_MS, 0);
}

static void find_quiet(struct io_line *line)
{
    if (line->moved)
        uv_timer_start(&line->timer, on_timer, QUIET_MS, 0);
    else
        helio_session_trim(line->session);
    line->moved = false;
}

static void on_timer(uv_timer_t *timer)
{
    struct io_line *line = timer->data;

    if (line->phase == OPEN) {
        find_quiet(line);
    } else if (line->phase < LINGER) {
        fail_session(line, HELIO_E_TIMEOUT);
        advance(line);
    } else if (line->result == HELIO_OK && peer_lags(line)) {
        /* All went well and the peer is slow: what is on its way should arrive. */
        uv_timer_start(&line->timer, on_timer, LINGER_MS, 0);
    } else {
        disappear(line);
    }
}

static void set_timer(struct io_line *line, uint64_t milliseconds)
{
    uv_update_time(&line->loop->uv);
    uv_timer_start(&line->timer, on_timer, milliseconds, 0);
}

/* ----------------------------------------------------------------------------------- sending -- */

static void on_written(uv_write_t *request, int status)
{
    struct io_line *line = request->data;

    free(line->out);
    line->out = NULL;
    line->writing = false;
    if (status)
        line->cannot_send = line->lost = true;
    if (line->phase == GONE)
        return;
    advance(line);
    if (line->starved && line->phase == OPEN && helio_session_pending(line->session) == 0) {
        line->starved = false;
        line->handlers->writable(line->context, line);
    }
}

/* The next bytes of the queue: copied out of it, and sent when they can be. */
static void write_later(struct io_line *line, size_t n)
{
    uv_stream_t *stream = (uv_stream_t *)&line->stream->tcp;

    if (n > FIRST_BYTES)
        n = FIRST_BYTES;
    line->out = malloc(n);
    if (line->out) {
        n = helio_session_pull(line->session, line->out, n);
        uv_buf_t rest = uv_buf_init((char *)line->out, (unsigned)n);

        line->write.data = line;
        line->writing = uv_write(&line->write, stream, &rest, 1, on_written) == 0;
    } else {
        helio_session_fail(line->session, HELIO_E_MEMORY);
    }
    if (line->writing)
        return;
    line->cannot_send = line->lost = true;
    free(line->out);
    line->out = NULL;
}

/* Hands the queue to the socket as it lies, without a copy. */
static void write_queue(struct io_line *line)
{
    const uint8_t *queue;
    size_t n = helio_session_peek(line->session, &queue);
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): libuv only reads it, and knows no const. */
    uv_buf_t all = uv_buf_init((char *)(uintptr_t)queue, (unsigned)n);
    int done = uv_try_write((uv_stream_t *)&line->stream->tcp, &all, 1);

    if (done > 0)
        n -= helio_session_pull(line->session, NULL, (size_t)done);
    /* Full; or broken, which uv_write will say again. */
    if (n > 0)
        write_later(line, n);
}

/* Close and receipt wait for room in the queue like anything else. */
static void close_session(struct io_line *line)
{
    line->wants_close = helio_session_close(line->session) == HELIO_E_AGAIN;
}

static void confirm_session(struct io_line *line)
{
    line->wants_confirm = helio_session_confirm(line->session) == HELIO_E_AGAIN;
}

/*
 * Nobody reads it any more.  Who waits for room gets some, goes on, and so comes to what the peer
 * said before it left, and to the end.
 */
static void discard_queue(struct io_line *line)
{
    size_t n = helio_session_pending(line->session);

    if (n == 0)
        return;
    line->lost = true;
    helio_session_pull(line->session, NULL, n);
}

static void flush(struct io_line *line)
{
    while (!line->writing && !line->cannot_send && helio_session_pending(line->session) > 0) {
        write_queue(line);
        if (line->wants_close)
            close_session(line);
        if (line->wants_confirm)
            confirm_session(line);
    }
    if (line->cannot_send)
        discard_queue(line);
}

/* --------------------------------------------------------------------------- ending in order -- */

static void on_shutdown(uv_shutdown_t *request, int status)
{
    (void)request;
    (void)status;
}

static void start_reading(struct io_line *line);

static void start_linger(struct io_line *line, enum helio_err result)
{
    line->phase = LINGER;
    line->result = result;
    /* Classic has nothing to wait for; and whoever has been silent all along stays so. */
    bool briefly = line->classic || result == HELIO_E_TIMEOUT;

    set_timer(line, briefly ? SHORT_LINGER_MS : LINGER_MS);
    start_reading(line);
}

/* All is written: says so to the peer, and leaves when the peer has left. */
static void finish_linger(struct io_line *line)
{
    bool unsent = line->lost || line->writing || helio_session_pending(line->session) > 0;

    if (unsent && !line->cannot_send)
        return;
    if (unsent && line->result == HELIO_OK && !line->classic)
        line->result = HELIO_E_CUT; /* our close never got out */
    if (!unsent && !line->shut && !line->cannot_send) {
        line->shut = true;
        uv_shutdown(&line->shutdown, (uv_stream_t *)&line->stream->tcp, on_shutdown);
    }
    if (line->heard_end || line->cannot_send)
        disappear(line);
}

/* After anything that may have changed the session: moves bytes out, and the phase on. */
static void advance(struct io_line *line)
{
    if (line->phase == GONE || line->busy)
        return;
    flush(line);
    if (line->phase < LINGER) {
        bool done = helio_session_done(line->session);

        /* The peer has closed and left, and ours cannot reach it any more. */
        if (line->cannot_send && line->heard_end && !done)
            helio_session_fail(line->session, HELIO_E_CUT);
        if (done || helio_session_error(line->session))
            start_linger(line, helio_session_error(line->session));
    }
    note_moved(line);
    if (line->phase == LINGER)
        finish_linger(line);
}

/* --------------------------------------------------------------------------------- receiving -- */

static void note_event(struct io_line *line, const helio_event *event)
{
    switch (event->kind) {
    case HELIO_EVENT_PEER:
        /* From here on a responder waits for its own user, an initiator still for ACCEPT. */
        if (line->role == HELIO_RESPONDER)
            uv_timer_stop(&line->timer);
        break;
    case HELIO_EVENT_WAITING:
        set_timer(line, HELIO_WAIT_SECONDS * 1000);
        break;
    case HELIO_EVENT_OPEN:
        uv_timer_stop(&line->timer);
        line->phase = OPEN;
        line->opened_at = uv_now(&line->loop->uv);
        break;
    case HELIO_EVENT_DATA:
    case HELIO_EVENT_MESSAGE:
        line->received += event->size;
        break;
    default:
        break;
    }
}

/* Called from inside a handler it does nothing: the loop that called the handler goes on. */
static void deliver(struct io_line *line)
{
    helio_event event;

    if (line->delivering)
        return;
    line->delivering = true;
    while (line->phase < LINGER && helio_session_next(line->session, &event) == HELIO_OK &&
           event.kind != HELIO_EVENT_NONE) {
        note_event(line, &event);
        line->handlers->event(line->context, line, &event);
    }
    line->delivering = false;
}

/*
 * Each turn takes bytes, or hands out an event, or ends: feed takes something when none is pending.
 */
static void take(struct io_line *line, const uint8_t *p, size_t n)
{
    while (n > 0 && line->phase < LINGER) {
        size_t used = 0;

        if (helio_session_feed(line->session, p, n, &used))
            break;
        p += used;
        n -= used;
        deliver(line);
    }
}

/* ------------------------------------------------------------------------------ the handshake -- */

static void go_on(struct io_line *line);

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

static void on_work_done(void *context)
{
    struct io_line *line = context;
    struct wishes wishes = line->wishes;

    line->busy = false;
    line->wishes = (struct wishes){0};
    if (line->phase == GONE) {
        helio_session_fail(line->session, HELIO_E_CUT);
        release(line);
        return;
    }
    line->handles--;
    grant(line, &wishes);
    go_on(line);
    advance(line);
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
    deliver(line);
    if (line->phase == HANDSHAKE && !helio_session_error(line->session) &&
        (line->wants_trust || has_rest(line))) {
        begin_work(line);
        return;
    }
    if (has_rest(line)) /* the line is open: the usual way from here on */
        take(line, line->work->bytes + line->work->used, line->work->n - line->work->used);
    work_free(line->work);
    line->work = NULL;
    start_reading(line);
}

/* There is no work yet: while there is one the socket is not read. */
static void take_early(struct io_line *line, const uint8_t *p, size_t n)
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

/* The peer's half is over.  A reset says the same, and that ours is, too. */
static void take_end(struct io_line *line, int status)
{
    uv_read_stop((uv_stream_t *)&line->stream->tcp);
    line->heard_end = true;
    if (status != UV_EOF)
        line->cannot_send = true;
    if (line->phase == LINGER) {
        /* Who has read everything does not reset the connection. */
        if (status != UV_EOF && line->result == HELIO_OK && !line->classic)
            line->result = HELIO_E_CUT;
        disappear(line);
    } else if (helio_session_eof(line->session) == HELIO_OK) {
        deliver(line);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct io_line *line = handle->data;

    (void)suggested;
    *out = uv_buf_init((char *)line->loop->read_buffer,
                       line->phase == HANDSHAKE ? WORK_BYTES_MAX : LOOP_READ_SIZE);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    struct io_line *line = stream->data;

    if (n == 0)
        return;
    if (n < 0)
        take_end(line, (int)n);
    else if (line->phase == HANDSHAKE)
        take_early(line, (const uint8_t *)buffer->base, (size_t)n);
    else
        take(line, (const uint8_t *)buffer->base, (size_t)n);
    advance(line);
}

/* Unless there is a reason not to; in LINGER all is read. */
static void start_reading(struct io_line *line)
{
    bool held = line->paused && line->phase < LINGER;

    if (line->phase != GONE && !line->busy && !line->heard_end && !held)
        uv_read_start((uv_stream_t *)&line->stream->tcp, on_alloc, on_read);
}

/* ----------------------------------------------------------------------------- the interface -- */

enum helio_err io_line_new(struct io_line **out, struct io_loop *loop, struct io_stream *stream,
                           const helio_config *config, helio_role role, uint64_t handshake,
                           const struct io_line_handlers *handlers, void *context)
{
    struct io_line *line = calloc(1, sizeof *line);
    enum helio_err err = line ? helio_session_new(&line->session, config, role) : HELIO_E_MEMORY;

    if (err) {
        io_stream_free(stream);
        free(line);
        return err;
    }
    line->loop = loop;
    line->stream = stream;
    line->role = role;
    line->classic = config->protocol == HELIO_PROTOCOL_CLASSIC;
    line->handlers = handlers;
    line->context = context;
    memcpy(line->name, stream->name, sizeof line->name);
    uv_timer_init(&loop->uv, &line->timer);
    line->handles = 2;
    line->began_at = uv_now(&loop->uv);
    line->timer.data = stream->tcp.data = line;
    uv_tcp_nodelay(&stream->tcp, 1);
    uv_tcp_keepalive(&stream->tcp, 1, KEEPALIVE_SECONDS);
    set_timer(line, handshake);
    start_reading(line);
    *out = line;
    advance(line);
    return HELIO_OK;
}

void io_line_free(struct io_line *line)
{
    if (!line)
        return;
    helio_session_free(line->session);
    work_free(line->work);
    free(line->out);
    free(line);
}

const helio_session *io_line_session(const struct io_line *line)
{
    return line->session;
}

const char *io_line_name(const struct io_line *line)
{
    return line->name;
}

struct io_line_account io_line_account(const struct io_line *line)
{
    uint64_t until = line->phase == GONE ? line->ended_at : uv_now(&line->loop->uv);

    return (struct io_line_account){
        .sent = line->sent,
        .received = line->received,
        .duration = line->opened_at ? until - line->opened_at : 0,
        .handshake = line->opened_at ? line->opened_at - line->began_at : 0,
    };
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
        deliver(line);
    }
    advance(line);
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
    advance(line);
}

void io_line_refuse(struct io_line *line, helio_refusal why)
{
    if (line->busy) {
        line->wishes.refusal = why;
        return;
    }
    helio_session_refuse(line->session, why);
    advance(line);
}

/* All or nothing: an empty queue has room for a piece, one that is not might have too little. */
static enum helio_err send_piece(struct io_line *line, const uint8_t *data, size_t n)
{
    enum helio_err err = HELIO_OK;

    if (n > IO_PIECE)
        return HELIO_E_TOO_LONG;
    if (helio_session_pending(line->session) > 0)
        return HELIO_E_AGAIN;
    for (size_t at = 0; at < n && err == HELIO_OK; at += IO_RECORD) {
        size_t now = n - at < IO_RECORD ? n - at : IO_RECORD;

        err = helio_session_send(line->session, data + at, now, HELIO_DATA);
    }
    return err;
}

static enum helio_err queue_content(struct io_line *line, const uint8_t *data, size_t n,
                                    helio_content content)
{
    if (line->busy)
        return HELIO_E_STATE;
    if (content == HELIO_DATA && n > IO_RECORD)
        return send_piece(line, data, n);
    return helio_session_send(line->session, data, n, content);
}

enum helio_err io_line_send(struct io_line *line, const uint8_t *data, size_t n,
                            helio_content content)
{
    enum helio_err err = queue_content(line, data, n, content);

    if (err == HELIO_E_AGAIN && line->phase == OPEN) {
        flush(line);
        err = queue_content(line, data, n, content);
    }
    if (err == HELIO_E_AGAIN)
        line->starved = true;
    if (err == HELIO_OK && (content == HELIO_DATA || content == HELIO_MESSAGE))
        line->sent += n;
    advance(line);
    return err;
}

bool io_line_blocked(struct io_line *line)
{
    if (line->phase != OPEN || helio_session_pending(line->session) == 0)
        return false;
    line->starved = true;
    return true;
}

/* A line that is busy is not open: there is nothing to close or to confirm. */
void io_line_close(struct io_line *line)
{
    if (!line->busy)
        close_session(line);
    advance(line);
}

void io_line_confirm(struct io_line *line)
{
    if (!line->busy)
        confirm_session(line);
    advance(line);
}

void io_line_fail(struct io_line *line, enum helio_err why)
{
    fail_session(line, why);
    advance(line);
}

void io_line_hang_up(struct io_line *line)
{
    if (line->phase >= LINGER)
        return;
    if (line->busy) {
        line->wishes.hang_up = true;
        return;
    }
    flush(line);
    if (line->classic)
        start_linger(line, HELIO_OK);
    else
        helio_session_fail(line->session, HELIO_E_CUT);
    advance(line);
}

void io_line_drop(struct io_line *line)
{
    if (line->phase < LINGER) {
        fail_session(line, HELIO_E_CUT);
        line->result = line->busy ? HELIO_E_CUT : helio_session_error(line->session);
    }
    disappear(line);
}

void io_line_pause(struct io_line *line)
{
    if (line->phase >= LINGER || line->paused)
        return;
    line->paused = true;
    uv_read_stop((uv_stream_t *)&line->stream->tcp);
}

void io_line_resume(struct io_line *line)
{
    if (line->phase >= LINGER || !line->paused)
        return;
    line->paused = false;
    start_reading(line);
}
