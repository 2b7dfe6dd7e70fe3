/*
 * line.c: a session and its TCP connection.
 *
 * The way of a byte: socket -> loop's read buffer -> helio_session_feed -> event -> handler; before
 * the line is open by way of another thread (line_handshake.c).  And back: line_send.c.
 *
 * The phases go one way.  HANDSHAKE and OPEN are the session's.  LINGER begins when the session has
 * failed or is done: what is queued still goes out (the last alert, the last close), then our half
 * of the TCP connection is shut down, and what the peer still sends is read and thrown away until
 * it hangs up, of a stranger no more than STRANGER_MAX.  Without that the kernel would answer the
 * peer's last bytes with a reset, and a reset takes our alert out of the peer's hands before it has
 * read it.  GONE waits for libuv to let go.
 *
 * Invariants:
 *  - cannot_send: nothing is written any more, but what the peer said before it left is still read;
 *  - in LINGER and GONE no event is handed out, and result never becomes HELIO_OK again.
 */
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "io/line_state.h"

enum { QUIET_MS = 1000 }; /* a line that was busy gets another one to two seconds to go on */
enum { STUCK_MAX = 5 };   /* QUIET_MS that one may be paused before its peer is looked for */
enum { STRANGER_MAX = 64 * 1024 }; /* its handshake is over: it has little more to say */
enum { LINGER_MS = 2000, SHORT_LINGER_MS = 300 };

/* ------------------------------------------------------------------------------- the way out -- */

void line_release(struct io_line *line)
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
    line_release(line);
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

/*
 * Whether the peer has hung up, or cannot be reached.  In helio/1 it does so at the end alone, after our
 * receipt; before that it is a cut.  In classic it is how a line ends.
 */
static bool peer_left(const struct io_line *line)
{
    struct pollfd socket = {.events = POLLRDHUP};

    if (line->classic || line->heard_end ||
        uv_fileno((const uv_handle_t *)&line->stream->tcp, &socket.fd))
        return false;
    return line->cannot_send || poll(&socket, 1, 0) > 0;
}

/*
 * Who does not read does not see the end either.  A sink that stays full may do so for ever, and its
 * source may never end: both would be kept on behalf of nobody.
 */
static void find_quiet(struct io_line *line)
{
    line->stuck = line->paused ? line->stuck + 1 : 0;
    if (line->stuck > STUCK_MAX && peer_left(line)) {
        helio_session_fail(line->session, HELIO_E_CUT);
        line_advance(line);
        return;
    }
    if (line->moved || line->paused)
        uv_timer_start(&line->timer, on_timer, QUIET_MS, 0);
    if (!line->moved)
        helio_session_trim(line->session);
    line->moved = false;
}

static void on_timer(uv_timer_t *timer)
{
    struct io_line *line = timer->data;

    if (line->phase == OPEN) {
        find_quiet(line);
    } else if (line->phase < LINGER) {
        line_fail_session(line, HELIO_E_TIMEOUT);
        line_advance(line);
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

/* --------------------------------------------------------------------------- ending in order -- */

static void on_shutdown(uv_shutdown_t *request, int status)
{
    (void)request;
    (void)status;
}

static void start_linger(struct io_line *line, enum helio_err result)
{
    line->phase = LINGER;
    line->result = result;
    /* Classic has nothing to wait for; and whoever has been silent all along stays so. */
    bool briefly = line->classic || result == HELIO_E_TIMEOUT;

    set_timer(line, briefly ? SHORT_LINGER_MS : LINGER_MS);
    line_start_reading(line);
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

void line_advance(struct io_line *line)
{
    if (line->phase == GONE || line->busy)
        return;
    line_flush(line);
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

void line_deliver(struct io_line *line)
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
void line_take(struct io_line *line, const uint8_t *p, size_t n)
{
    while (n > 0 && line->phase < LINGER) {
        size_t used = 0;

        if (helio_session_feed(line->session, p, n, &used))
            break;
        p += used;
        n -= used;
        line_deliver(line);
    }
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
        line_deliver(line);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct io_line *line = handle->data;

    (void)suggested;
    *out = uv_buf_init((char *)line->loop->read_buffer,
                       line->phase == HANDSHAKE ? WORK_BYTES_MAX : LOOP_READ_SIZE);
}

static void ignore(struct io_line *line, size_t n)
{
    line->ignored += n;
    if (line->opened_at == 0 && line->ignored > STRANGER_MAX)
        disappear(line);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    struct io_line *line = stream->data;

    if (n == 0)
        return;
    if (n < 0)
        take_end(line, (int)n);
    else if (line->phase == LINGER)
        ignore(line, (size_t)n);
    else if (line->phase == HANDSHAKE)
        line_take_early(line, (const uint8_t *)buffer->base, (size_t)n);
    else
        line_take(line, (const uint8_t *)buffer->base, (size_t)n);
    line_advance(line);
}

void line_start_reading(struct io_line *line)
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
    line_start_reading(line);
    *out = line;
    line_advance(line);
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

void io_line_fail(struct io_line *line, enum helio_err why)
{
    line_fail_session(line, why);
    line_advance(line);
}

void io_line_hang_up(struct io_line *line)
{
    if (line->phase >= LINGER)
        return;
    if (line->busy) {
        line->wishes.hang_up = true;
        return;
    }
    line_flush(line);
    if (line->classic)
        start_linger(line, HELIO_OK);
    else
        helio_session_fail(line->session, HELIO_E_CUT);
    line_advance(line);
}

void io_line_drop(struct io_line *line)
{
    if (line->phase < LINGER) {
        line_fail_session(line, HELIO_E_CUT);
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
    if (line->phase == OPEN)
        note_moved(line);
}

void io_line_resume(struct io_line *line)
{
    if (line->phase >= LINGER || !line->paused)
        return;
    line->paused = false;
    line->stuck = 0;
    line_start_reading(line);
}
