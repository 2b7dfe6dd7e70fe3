/*
 * helio1.c: the frame reader, the table of steps, and the operations behind the public functions.
 */
#include "helio1/helio1.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/wipe.h"
#include "helio1/state.h"

/* Which frame may come in which state, and what it does; all else is a violation. */
static const struct step {
    enum state state;
    enum frame_type type;
    helio1_step *run;
} steps[] = {
    {AWAIT_HELLO, FRAME_HELLO, handshake_on_hello},
    {AWAIT_REPLY, FRAME_REPLY, handshake_on_reply},
    {AWAIT_AUTH, FRAME_AUTH, handshake_on_auth},
    {AWAIT_AUTH, FRAME_LEAVE, handshake_on_leave},
    {AWAIT_ACCEPT, FRAME_ACCEPT, handshake_on_accept},
    {OPEN, FRAME_RECORD, line_on_record},
    {AWAIT_HELLO, FRAME_ALERT, handshake_on_alert},
    {AWAIT_REPLY, FRAME_ALERT, handshake_on_alert},
    {AWAIT_AUTH, FRAME_ALERT, handshake_on_alert},
    {AWAIT_ACCEPT, FRAME_ALERT, handshake_on_alert},
};

static helio1_step *find_step(enum state state, enum frame_type type)
{
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (steps[i].state == state && steps[i].type == type)
            return steps[i].run;
    return NULL;
}

/* ------------------------------------------------------------------------------------ frames -- */

/*
 * Moves up to wanted - have bytes into the frame buffer; *whole says whether it holds wanted now.
 */
static enum helio_err fill(struct helio1 *h, size_t wanted, const uint8_t *in, size_t n,
                           size_t *used, bool *whole)
{
    size_t missing = wanted - buffer_size(&h->frame);
    size_t take = n - *used < missing ? n - *used : missing;
    enum helio_err err;
    uint8_t *at;

    /* Room for all that is missing at once: the frame never moves while it comes in. */
    err = buffer_reserve(&h->frame, missing, &at);
    if (err)
        return err;
    if (take > 0)
        memcpy(at, in + *used, take);
    buffer_commit(&h->frame, take);
    *used += take;
    *whole = take == missing;
    return HELIO_OK;
}

/* Judges a header, type and length, before any memory is taken for the body. */
static enum helio_err judge(const struct helio1 *h, const uint8_t *bytes, size_t *frame_n,
                            helio1_step **step)
{
    struct frame_header header;

    if (!frame_header_get(&header, bytes))
        return HELIO_E_BROKEN;
    *step = find_step(h->state, header.type);
    *frame_n = FRAME_HEADER_SIZE + header.length;
    return *step ? HELIO_OK : HELIO_E_BROKEN;
}

/* Gathers one frame as far as in[*used..n) goes, and runs its step when it is whole. */
static enum helio_err gather_frame(struct helio1 *h, const uint8_t *in, size_t n, size_t *used)
{
    helio1_step *step;
    size_t frame_n;
    bool whole = true;
    enum helio_err err = HELIO_OK;

    if (buffer_size(&h->frame) < FRAME_HEADER_SIZE)
        err = fill(h, FRAME_HEADER_SIZE, in, n, used, &whole);
    if (err || !whole)
        return err;
    err = judge(h, buffer_front(&h->frame), &frame_n, &step);
    if (err)
        return err;
    err = fill(h, frame_n, in, n, used, &whole);
    if (err || !whole)
        return err;
    err = step(h, buffer_front(&h->frame), frame_n);
    /* Emptied, not wiped: the event may point into it until the next frame. */
    buffer_consume(&h->frame, frame_n);
    return err;
}

/* A frame that lies whole in in[*used..n) is taken from there; any other is gathered. */
static enum helio_err read_frame(struct helio1 *h, const uint8_t *in, size_t n, size_t *used)
{
    const uint8_t *bytes = in + *used;
    size_t left = n - *used, frame_n;
    helio1_step *step;
    enum helio_err err;

    if (buffer_size(&h->frame) > 0 || left < FRAME_HEADER_SIZE)
        return gather_frame(h, in, n, used);
    err = judge(h, bytes, &frame_n, &step);
    if (err)
        return err;
    if (left < frame_n)
        return gather_frame(h, in, n, used);
    *used += frame_n;
    return step(h, bytes, frame_n);
}

static bool listens(const struct helio1 *h)
{
    bool at_its_end = h->received_close && h->received_receipt;

    return h->state != DECIDE_REPLY && h->state != DECIDE_AUTH && !at_its_end;
}

static enum helio_err op_feed(struct helio_session *s, const uint8_t *in, size_t n, size_t *used)
{
    struct helio1 *h = helio1_of(s);

    while (*used < n && s->event.kind == HELIO_EVENT_NONE) {
        if (!listens(h)) {
            /* Not the peer's turn, or it had ended.  But a peer that gave up gets no answer. */
            h->alerted = in[*used] == FRAME_ALERT;
            return HELIO_E_BROKEN;
        }
        enum helio_err err = read_frame(h, in, n, used);
        if (err)
            return err;
    }
    return HELIO_OK;
}

static enum helio_err op_eof(struct helio_session *s)
{
    const struct helio1 *h = helio1_of(s);

    return h->received_close && h->received_receipt ? HELIO_OK : HELIO_E_CUT;
}

/* -------------------------------------------------------------------------------- operations -- */

static enum helio_err op_trust(struct helio_session *s)
{
    return handshake_trust(helio1_of(s));
}

static enum helio_err op_wait(struct helio_session *s)
{
    return handshake_wait(helio1_of(s));
}

/* Errors after which the peer has nothing to learn: it ended the session itself, or it is gone. */
static bool peer_needs_no_alert(enum helio_err err)
{
    return err == HELIO_E_CUT || err == HELIO_E_REFUSED || err == HELIO_E_RETURNING ||
           err == HELIO_E_ALERT;
}

static void op_farewell(struct helio_session *s, enum helio_err err)
{
    struct helio1 *h = helio1_of(s);
    enum helio_err ignored = HELIO_OK;

    if (peer_needs_no_alert(err))
        return;
    if (h->state != OPEN) {
        ignored = handshake_alert(h, err == HELIO_E_NO_COMMON ? ALERT_NO_COMMON : ALERT_FAILED);
    } else if (!(h->sent_close && h->sent_receipt)) {
        uint8_t why = err == HELIO_E_BROKEN ? RECORD_ALERT_VIOLATION : RECORD_ALERT_FAILED;

        ignored = line_send(h, RECORD_ALERT, &why, 1);
    }
    (void)ignored; /* the session is over; an alert that cannot be sent is a cut to the peer */
}

/* Refusing cannot fail for the caller: without a frame the peer sees a cut instead. */
static void op_refuse(struct helio_session *s, helio_refusal why)
{
    enum helio_err err = handshake_refuse(helio1_of(s), why);

    if (err == HELIO_E_STATE) /* nothing to refuse: the peer is told that we gave up */
        op_farewell(s, HELIO_E_UNTRUSTED);
}

static enum helio_err op_send(struct helio_session *s, const uint8_t *data, size_t n,
                              helio_content content)
{
    static const struct {
        enum record_kind kind;
        size_t least;
        size_t most;
        bool after_result; /* may follow a result */
    } contents[] = {
        [HELIO_DATA] = {RECORD_DATA, 0, CONTENT_MAX, false},
        [HELIO_MESSAGE] = {RECORD_MESSAGE, 0, CONTENT_MAX, false},
        [HELIO_PING] = {RECORD_PING, 0, PING_MAX, true},
        [HELIO_RESULT] = {RECORD_RESULT, RESULT_SIZE, RESULT_SIZE, false},
    };
    struct helio1 *h = helio1_of(s);
    enum helio_err err;

    if (h->state != OPEN || h->sent_close)
        return HELIO_E_STATE;
    if ((size_t)content >= sizeof contents / sizeof *contents || n < contents[content].least)
        return HELIO_E_ARGUMENT;
    if (n > contents[content].most)
        return HELIO_E_TOO_LONG;
    if (h->sent_result && !contents[content].after_result)
        return HELIO_E_STATE;
    if (content == HELIO_DATA && n == 0)
        return HELIO_OK;
    err = line_send(h, contents[content].kind, data, n);
    if (!err && content == HELIO_RESULT)
        h->sent_result = true;
    return err;
}

static enum helio_err op_close(struct helio_session *s)
{
    struct helio1 *h = helio1_of(s);
    enum helio_err err;

    if (h->state != OPEN || h->sent_close)
        return HELIO_E_STATE;
    err = line_send(h, RECORD_CLOSE, NULL, 0);
    if (err)
        return err;
    h->sent_close = true;
    return HELIO_OK;
}

static enum helio_err op_confirm(struct helio_session *s)
{
    struct helio1 *h = helio1_of(s);
    enum helio_err err;

    if (!h->received_close || h->sent_receipt)
        return HELIO_E_STATE;
    err = line_send(h, RECORD_RECEIPT, NULL, 0);
    if (!err)
        h->sent_receipt = true;
    return err;
}

static bool op_done(const struct helio_session *s)
{
    const struct helio1 *h = (const struct helio1 *)(const void *)s;

    return h->sent_close && h->sent_receipt && h->received_close && h->received_receipt;
}

static enum helio_err op_id(const struct helio_session *s, uint8_t out[32])
{
    const struct helio1 *h = (const struct helio1 *)(const void *)s;

    if (h->state != OPEN)
        return HELIO_E_STATE;
    memcpy(out, h->id, sizeof h->id);
    return HELIO_OK;
}

static uint64_t op_epochs(const struct helio_session *s, bool sent)
{
    const struct helio1 *h = (const struct helio1 *)(const void *)s;

    return sent ? h->send.epoch : h->receive.epoch;
}

static enum helio_err op_export(const struct helio_session *s, const char *label,
                                const uint8_t *context, size_t context_n, uint8_t *out, size_t n)
{
    const struct helio1 *h = (const struct helio1 *)(const void *)s;

    if (h->state != OPEN)
        return HELIO_E_STATE;
    return schedule_export(h->exporter, label, context, context_n, out, n);
}

static void op_trim(struct helio_session *s)
{
    struct helio1 *h = helio1_of(s);

    if (buffer_size(&h->frame) == 0)
        buffer_clear(&h->frame);
}

static void op_wipe(struct helio_session *s)
{
    struct helio1 *h = helio1_of(s);

    handshake_forget(h);
    direction_clear(&h->send);
    direction_clear(&h->receive);
    wipe(h->exporter, sizeof h->exporter);
    /* Not given back before destroy: the caller may be looking at the event it fetched last. */
    if (h->frame.data)
        wipe(h->frame.data, h->frame.capacity);
}

static void op_destroy(struct helio_session *s)
{
    struct helio1 *h = helio1_of(s);

    op_wipe(s);
    buffer_clear(&h->frame);
    session_clear(s);
    wipe(h, sizeof *h);
    free(h);
}

static const struct session_ops helio1_ops = {
    .feed = op_feed,
    .eof = op_eof,
    .trust = op_trust,
    .wait = op_wait,
    .refuse = op_refuse,
    .send = op_send,
    .close = op_close,
    .confirm = op_confirm,
    .farewell = op_farewell,
    .done = op_done,
    .id = op_id,
    .epochs = op_epochs,
    .export_key = op_export,
    .trim = op_trim,
    .wipe = op_wipe,
    .destroy = op_destroy,
};

/* ---------------------------------------------------------------------------------- creation -- */

static enum helio_err take_suites(struct suite_list *out, const helio_config *config)
{
    enum aead_cipher ignored;

    if (!config->suites) {
        while (helio_suite_at(out->count)) {
            out->numbers[out->count] = helio_suite_at(out->count);
            out->count++;
        }
        return HELIO_OK;
    }
    if (config->suite_count < 1 || config->suite_count > SUITES_MAX)
        return HELIO_E_ARGUMENT;
    for (size_t i = 0; i < config->suite_count; i++) {
        if (!suite_cipher(config->suites[i], &ignored))
            return HELIO_E_ARGUMENT;
        out->numbers[out->count++] = config->suites[i];
    }
    return HELIO_OK;
}

static enum helio_err take_config(struct helio1 *h, const helio_config *config)
{
    const char *name = config->name ? config->name : "";
    const char *service = config->service ? config->service : "";

    h->identity = config->identity;
    h->name_n = strlen(name);
    h->service_n = strlen(service);
    if (!h->identity || h->name_n > HELIO_NAME_MAX || h->service_n > HELIO_SERVICE_MAX ||
        !text_is_name((const uint8_t *)name, h->name_n) ||
        !text_is_token((const uint8_t *)service, h->service_n))
        return HELIO_E_ARGUMENT;
    memcpy(h->name, name, h->name_n);
    memcpy(h->service, service, h->service_n);
    return take_suites(&h->suites, config);
}

enum helio_err helio1_new(struct helio_session **out, const helio_config *config, helio_role role)
{
    struct helio1 *h = calloc(1, sizeof *h);
    enum helio_err err;

    if (!h)
        return HELIO_E_MEMORY;
    session_init(&h->session, &helio1_ops, config, role);
    buffer_init(&h->frame, FRAME_MAX);
    h->state = AWAIT_HELLO;
    err = take_config(h, config);
    if (!err)
        err = sha256_new(&h->transcript);
    if (!err && role == HELIO_INITIATOR)
        err = handshake_begin(h);
    if (err) {
        op_destroy(&h->session);
        return err;
    }
    *out = &h->session;
    return HELIO_OK;
}
