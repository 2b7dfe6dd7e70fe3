/*
 * line_send.c: io_line_send -> session's queue -> socket.
 *
 * The socket gets the queue as it lies.  When it is full the first few bytes of the queue wait in out,
 * which is memory only as long: libuv tells when they are written, and that is when the socket takes
 * the rest.
 *
 * Invariant: while writing, out[0..) belongs to libuv; on_written frees it.
 */
#include <stdlib.h>

#include "io/line_state.h"

enum { FIRST_BYTES = 4096 }; /* what waits for a socket that is full, on behalf of all the rest */

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
    line_advance(line);
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

void line_flush(struct io_line *line)
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
        line_flush(line);
        err = queue_content(line, data, n, content);
    }
    if (err == HELIO_E_AGAIN)
        line->starved = true;
    if (err == HELIO_OK && (content == HELIO_DATA || content == HELIO_MESSAGE))
        line->sent += n;
    line_advance(line);
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
    line_advance(line);
}

void io_line_confirm(struct io_line *line)
{
    if (!line->busy)
        confirm_session(line);
    line_advance(line);
}
