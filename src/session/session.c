#include "session/session.h"

#include <assert.h>

#include <string.h>

void session_init(struct helio_session *s, const struct session_ops *ops,
                  const helio_config *config, helio_role role)
{
    s->ops = ops;
    s->role = role;
    s->random = config->random ? config->random : helio_random_system;
    s->random_context = config->random_context;
    s->trace = config->trace;
    s->trace_context = config->trace_context;
    buffer_init(&s->out, SESSION_OUT_MAX);
}

void session_clear(struct helio_session *s)
{
    buffer_clear(&s->out);
}

/* An undelivered event goes with the keys: nothing comes out of a session that has failed. */
static void end_with(struct helio_session *s, enum helio_err err)
{
    s->error = err;
    s->event = (helio_event){.kind = HELIO_EVENT_NONE};
    s->ops->wipe(s);
}

void session_latch(struct helio_session *s, enum helio_err err)
{
    if (s->error || err == HELIO_OK)
        return;
    s->ops->farewell(s, err);
    end_with(s, err);
}

void session_raise(struct helio_session *s, helio_event_kind kind, const uint8_t *data, size_t n)
{
    assert(s->event.kind == HELIO_EVENT_NONE);
    s->event = (helio_event){.kind = kind, .data = data, .size = n};
}

void session_trace(struct helio_session *s, const char *what, const void *data, size_t n)
{
    if (s->trace)
        s->trace(s->trace_context, what, data, n);
}

/* Errors that say "not now" or "not this" about one call, and leave the session as it was. */
static bool leaves_session_whole(enum helio_err err)
{
    switch (err) {
    case HELIO_OK:
    case HELIO_E_AGAIN:
    case HELIO_E_STATE:
    case HELIO_E_TOO_LONG:
    case HELIO_E_ARGUMENT:
        return true;
    default:
        return false;
    }
}

enum helio_err session_random(struct helio_session *s, uint8_t *out, size_t n)
{
    enum helio_err err = s->random(s->random_context, out, n);

    /* A handshake without its random bytes is over, whatever its generator calls that. */
    return err != HELIO_OK && leaves_session_whole(err) ? HELIO_E_CRYPTO : err;
}

static enum helio_err settle(struct helio_session *s, enum helio_err err)
{
    if (!leaves_session_whole(err))
        session_latch(s, err);
    return err;
}

void helio_session_free(helio_session *session)
{
    if (session)
        session->ops->destroy(session);
}

enum helio_err helio_session_feed(helio_session *session, const uint8_t *in, size_t n, size_t *used)
{
    *used = 0;
    if (session->error)
        return session->error;
    return settle(session, session->ops->feed(session, in, n, used));
}

enum helio_err helio_session_eof(helio_session *session)
{
    if (session->error)
        return session->error;
    return settle(session, session->ops->eof(session));
}

enum helio_err helio_session_next(helio_session *session, helio_event *out)
{
    *out = session->event;
    session->event = (helio_event){.kind = HELIO_EVENT_NONE};
    return session->error;
}

/* Answers to a question; while it is pending nobody can have heard it. */
static bool question_pending(const struct helio_session *s)
{
    return s->event.kind != HELIO_EVENT_NONE;
}

enum helio_err helio_session_trust(helio_session *session)
{
    if (session->error)
        return session->error;
    if (question_pending(session))
        return HELIO_E_STATE;
    return settle(session, session->ops->trust(session));
}

enum helio_err helio_session_wait(helio_session *session)
{
    if (session->error)
        return session->error;
    if (question_pending(session))
        return HELIO_E_STATE;
    return settle(session, session->ops->wait(session));
}

void helio_session_refuse(helio_session *session, helio_refusal why)
{
    if (session->error)
        return;
    session->ops->refuse(session, why);
    end_with(session, HELIO_E_UNTRUSTED);
}

enum helio_err helio_session_send(helio_session *session, const uint8_t *data, size_t n,
                                  helio_content content)
{
    if (session->error)
        return session->error;
    return settle(session, session->ops->send(session, data, n, content));
}

enum helio_err helio_session_close(helio_session *session)
{
    if (session->error)
        return session->error;
    return settle(session, session->ops->close(session));
}

enum helio_err helio_session_confirm(helio_session *session)
{
    if (session->error)
        return session->error;
    return settle(session, session->ops->confirm(session));
}

void helio_session_fail(helio_session *session, enum helio_err why)
{
    session_latch(session, why);
}

void helio_session_trim(helio_session *session)
{
    if (buffer_size(&session->out) == 0)
        buffer_clear(&session->out);
    if (session->ops->trim && session->event.kind == HELIO_EVENT_NONE)
        session->ops->trim(session);
}

size_t helio_session_pull(helio_session *session, uint8_t *out, size_t cap)
{
    size_t n = buffer_size(&session->out);

    if (n > cap)
        n = cap;
    if (n == 0)
        return 0;
    if (out)
        memcpy(out, buffer_front(&session->out), n);
    buffer_consume(&session->out, n);
    return n;
}

size_t helio_session_peek(const helio_session *session, const uint8_t **out)
{
    size_t n = buffer_size(&session->out);

    *out = n > 0 ? buffer_front(&session->out) : NULL;
    return n;
}

size_t helio_session_pending(const helio_session *session)
{
    return buffer_size(&session->out);
}

int helio_session_done(const helio_session *session)
{
    return !session->error && session->ops->done(session) && buffer_size(&session->out) == 0;
}

enum helio_err helio_session_error(const helio_session *session)
{
    return session->error;
}

helio_refusal helio_session_refusal(const helio_session *session)
{
    return session->refusal;
}

const helio_peer *helio_session_peer(const helio_session *session)
{
    return session->peer_known ? &session->peer : NULL;
}

uint16_t helio_session_suite(const helio_session *session)
{
    return session->suite;
}

enum helio_err helio_session_id(const helio_session *session, uint8_t out[32])
{
    return session->error ? session->error : session->ops->id(session, out);
}

uint64_t helio_session_epochs(const helio_session *session, int sent)
{
    return session->ops->epochs(session, sent != 0);
}

enum helio_err helio_session_export(const helio_session *session, const char *label,
                                    const uint8_t *context, size_t context_size, uint8_t *out,
                                    size_t n)
{
    if (session->error)
        return session->error;
    return session->ops->export_key(session, label, context, context_size, out, n);
}
