/*
 * line.c: an open line: records out, records in (protocol.md 6 and 8).
 */
#include "helio1/state.h"

enum helio_err line_send(struct helio1 *h, enum record_kind kind, const uint8_t *content, size_t n)
{
    size_t frame_n = FRAME_HEADER_SIZE + record_plain_size(kind, n) + AEAD_TAG_SIZE;
    uint8_t *frame;
    enum helio_err err = buffer_reserve(&h->session.out, frame_n, &frame);

    if (err)
        return err;
    err = record_seal(&h->send, kind, content, n, frame);
    if (err)
        return err;
    buffer_commit(&h->session.out, frame_n);
    return HELIO_OK;
}

typedef enum helio_err record_handler(struct helio1 *h, const uint8_t *content, size_t n);

static enum helio_err on_data(struct helio1 *h, const uint8_t *content, size_t n)
{
    if (n > 0)
        session_raise(&h->session, HELIO_EVENT_DATA, content, n);
    return HELIO_OK;
}

static enum helio_err on_message(struct helio1 *h, const uint8_t *content, size_t n)
{
    session_raise(&h->session, HELIO_EVENT_MESSAGE, content, n);
    return HELIO_OK;
}

static enum helio_err on_close(struct helio1 *h, const uint8_t *content, size_t n)
{
    (void)content;
    if (n != 0)
        return HELIO_E_BROKEN;
    h->received_close = true;
    session_raise(&h->session, HELIO_EVENT_CLOSED, NULL, 0);
    return HELIO_OK;
}

/* A ping that finds the queue full stays unanswered: a peer that does not read gets no memory. */
static enum helio_err on_ping(struct helio1 *h, const uint8_t *content, size_t n)
{
    enum helio_err err;

    if (n > PING_MAX)
        return HELIO_E_BROKEN;
    if (h->sent_close)
        return HELIO_OK;
    err = line_send(h, RECORD_PONG, content, n);
    return err == HELIO_E_AGAIN ? HELIO_OK : err;
}

static enum helio_err on_pong(struct helio1 *h, const uint8_t *content, size_t n)
{
    if (n > PING_MAX)
        return HELIO_E_BROKEN;
    session_raise(&h->session, HELIO_EVENT_PONG, content, n);
    return HELIO_OK;
}

static enum helio_err on_receipt(struct helio1 *h, const uint8_t *content, size_t n)
{
    (void)content;
    if (n != 0 || !h->sent_close || h->received_receipt)
        return HELIO_E_BROKEN;
    h->received_receipt = true;
    return HELIO_OK;
}

static enum helio_err on_alert(struct helio1 *h, const uint8_t *content, size_t n)
{
    (void)h;
    if (n != 1 || (content[0] != RECORD_ALERT_FAILED && content[0] != RECORD_ALERT_VIOLATION))
        return HELIO_E_BROKEN;
    return HELIO_E_ALERT;
}

static enum helio_err on_result(struct helio1 *h, const uint8_t *content, size_t n)
{
    if (n != RESULT_SIZE)
        return HELIO_E_BROKEN;
    h->received_result = true;
    session_raise(&h->session, HELIO_EVENT_RESULT, content, n);
    return HELIO_OK;
}

/* protocol.md 6: what a direction may still carry after its result, and after its close. */
static bool allowed_now(const struct helio1 *h, enum record_kind kind)
{
    bool says_more = kind == RECORD_DATA || kind == RECORD_MESSAGE || kind == RECORD_RESULT;

    if (h->received_close)
        return kind == RECORD_RECEIPT || kind == RECORD_ALERT;
    return !(h->received_result && says_more);
}

/*
 * Where the text of a frame of n bytes goes: into the frame buffer, which is the session's own.  A frame
 * that was put together there is opened where it lies.
 */
static enum helio_err text_place(struct helio1 *h, size_t n, uint8_t **text)
{
    if (buffer_size(&h->frame) > 0) {
        *text = buffer_front(&h->frame) + FRAME_HEADER_SIZE;
        return HELIO_OK;
    }
    return buffer_reserve(&h->frame, n, text);
}

enum helio_err line_on_record(struct helio1 *h, const uint8_t *frame, size_t n)
{
    static record_handler *const handlers[RECORD_KIND_END] = {
        [RECORD_DATA] = on_data,       [RECORD_MESSAGE] = on_message, [RECORD_CLOSE] = on_close,
        [RECORD_PING] = on_ping,       [RECORD_PONG] = on_pong,       [RECORD_ALERT] = on_alert,
        [RECORD_RECEIPT] = on_receipt, [RECORD_RESULT] = on_result,
    };
    struct record record;
    uint8_t *text;
    enum helio_err err = text_place(h, n, &text);

    if (!err)
        err = record_open(&h->receive, frame, n, text, &record);
    if (err)
        return err;
    if (!allowed_now(h, record.kind))
        return HELIO_E_BROKEN;
    return handlers[record.kind](h, record.content, record.n);
}
