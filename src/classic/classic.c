/*
 * classic.c: the original's protocol behind the session frame, both roles (docs/classic.md).
 *
 * Nothing is framed.  After the handshake (handshake.c) all that comes between two of our own sends
 * is one message: its keystream goes on through however many pieces the network makes of it, and
 * each piece is handed out as it comes, since nobody can tell which is the last.  What is accepted
 * and what is handed out never depends on the split.
 */
#include "classic/state.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/wipe.h"
#include "classic/hex.h"

static const char after_name[] = " : ";

_Static_assert(HELIO_NAME_MAX + sizeof after_name - 1 <= CLASSIC_PREFIX_MAX,
               "the longest name fits");

static struct classic *classic_of(struct helio_session *s)
{
    return (struct classic *)s;
}

static const struct classic *classic_of_const(const struct helio_session *s)
{
    return (const struct classic *)s;
}

/* ---------------------------------------------------------------------------------- messages -- */

/* How many of in[0..n) are hex digits, from the first on, and within this turn's limit. */
static size_t count_digits(const struct classic *c, const uint8_t *in, size_t n)
{
    size_t i = 0;

    while (i < n && c->digits + i < CLASSIC_DIGITS_MAX && hex_value(in[i]) >= 0)
        i++;
    return i;
}

/* Pairs digits up, the held one first; returns how many bytes that makes. */
static size_t decode(struct classic *c, const uint8_t *in, size_t n)
{
    size_t size = 0;

    for (size_t i = 0; i < n; i++, c->digits++) {
        uint8_t value = (uint8_t)hex_value(in[i]);

        if (c->digits % 2 == 0)
            c->half = value;
        else
            c->text[size++] = (uint8_t)(c->half << 4 | value);
    }
    return size;
}

/* What is good is handed out; what is not is refused when it alone is left, at the next call. */
static enum helio_err talk(struct classic *c, const uint8_t *in, size_t n, size_t *used)
{
    size_t count = count_digits(c, in, n);

    if (count == 0)
        return HELIO_E_BROKEN;
    *used = count;
    session_trace(&c->session, "ciphertext received", in, count);
    size_t size = decode(c, in, count);
    if (size == 0)
        return HELIO_OK;
    keystream_apply(&c->keystream, c->text, size);
    c->our_turn = true;
    session_raise(&c->session, HELIO_EVENT_DATA, c->text, size);
    return HELIO_OK;
}

/* The peer has taken its turn, and not half of a byte is missing. */
static bool may_send(const struct classic *c)
{
    return c->our_turn && c->digits % 2 == 0;
}

static enum helio_err check_send(const struct classic *c, size_t n, helio_content content)
{
    if (c->state != TALK || c->closed)
        return HELIO_E_STATE;
    if (content != HELIO_MESSAGE || n == 0)
        return HELIO_E_ARGUMENT;
    if (n > CLASSIC_TEXT_MAX - c->prefix_n)
        return HELIO_E_TOO_LONG;
    return may_send(c) ? HELIO_OK : HELIO_E_STATE;
}

static enum helio_err op_send(struct helio_session *s, const uint8_t *data, size_t n,
                              helio_content content)
{
    struct classic *c = classic_of(s);
    uint8_t text[CLASSIC_TEXT_MAX];
    uint8_t *wire;
    enum helio_err err = check_send(c, n, content);

    if (err)
        return err;
    size_t size = c->prefix_n + n;
    err = buffer_reserve(&s->out, 2 * size, &wire);
    if (err)
        return err;
    memcpy(text, c->prefix, c->prefix_n);
    memcpy(text + c->prefix_n, data, n);
    keystream_restart(&c->keystream);
    keystream_apply(&c->keystream, text, size);
    hex_write_upper(wire, text, size);
    buffer_commit(&s->out, 2 * size);
    session_trace(s, "ciphertext sent", wire, 2 * size);
    keystream_restart(&c->keystream);
    c->our_turn = false;
    c->digits = 0;
    wipe(text, sizeof text);
    return HELIO_OK;
}

/* --------------------------------------------------------------------------------- the frame -- */

static enum helio_err (*const steps[])(struct classic *, const uint8_t *, size_t, size_t *) = {
    [AWAIT_YES] = classic_await_yes,
    [AWAIT_REPLY] = classic_await_reply,
    [AWAIT_PEM] = classic_await_pem,
    [AWAIT_HASH] = classic_await_hash,
    [TALK] = talk,
};

/* Every step takes a byte or fails, so this ends. */
static enum helio_err op_feed(struct helio_session *s, const uint8_t *in, size_t n, size_t *used)
{
    struct classic *c = classic_of(s);

    while (*used < n && s->event.kind == HELIO_EVENT_NONE) {
        size_t taken = 0;
        enum helio_err err = steps[c->state](c, in + *used, n - *used, &taken);

        *used += taken;
        if (err)
            return err;
    }
    return HELIO_OK;
}

/* The end of the stream is the only goodbye there is: a cut and an end look the same. */
static enum helio_err op_eof(struct helio_session *s)
{
    struct classic *c = classic_of(s);

    if (c->state != TALK || c->digits % 2 != 0)
        return HELIO_E_CUT;
    if (!c->ended && s->event.kind == HELIO_EVENT_NONE)
        session_raise(s, HELIO_EVENT_CLOSED, NULL, 0);
    c->ended = true;
    return HELIO_OK;
}

/* Nobody proves who they are, so there is nothing to decide. */
static enum helio_err op_decide(struct helio_session *s)
{
    (void)s;
    return HELIO_E_STATE;
}

static void op_refuse(struct helio_session *s, helio_refusal why)
{
    (void)s;
    (void)why;
}

static enum helio_err op_close(struct helio_session *s)
{
    struct classic *c = classic_of(s);

    if (c->state != TALK)
        return HELIO_E_STATE;
    c->closed = true;
    return HELIO_OK;
}

/* The original has no word for it. */
static enum helio_err op_confirm(struct helio_session *s)
{
    (void)s;
    return HELIO_OK;
}

static void op_farewell(struct helio_session *s, enum helio_err err)
{
    (void)s;
    (void)err;
}

/*
 * Closed by us, and nothing more can be expected: the peer has ended, too, or it is our turn, which
 * we shall not take.  While it is the peer's turn a late answer may still come.
 */
static bool op_done(const struct helio_session *s)
{
    const struct classic *c = classic_of_const(s);

    return c->closed && (c->ended || may_send(c));
}

static enum helio_err op_id(const struct helio_session *s, uint8_t out[32])
{
    (void)s;
    (void)out;
    return HELIO_E_STATE;
}

static uint64_t op_epochs(const struct helio_session *s, bool sent)
{
    (void)s;
    (void)sent;
    return 0;
}

static enum helio_err op_export(const struct helio_session *s, const char *label,
                                const uint8_t *context, size_t context_n, uint8_t *out, size_t n)
{
    (void)s;
    (void)label;
    (void)context;
    (void)context_n;
    (void)out;
    (void)n;
    return HELIO_E_STATE;
}

static void op_wipe(struct helio_session *s)
{
    struct classic *c = classic_of(s);

    keystream_clear(&c->keystream);
    rsa_free(c->key);
    c->key = NULL;
    c->half = 0;
    wipe(c->text, sizeof c->text);
}

static void op_destroy(struct helio_session *s)
{
    struct classic *c = classic_of(s);

    op_wipe(s);
    session_clear(s);
    wipe(c, sizeof *c);
    free(c);
}

static const struct session_ops classic_ops = {
    .feed = op_feed,
    .eof = op_eof,
    .trust = op_decide,
    .wait = op_decide,
    .refuse = op_refuse,
    .send = op_send,
    .close = op_close,
    .confirm = op_confirm,
    .farewell = op_farewell,
    .done = op_done,
    .id = op_id,
    .epochs = op_epochs,
    .export_key = op_export,
    .wipe = op_wipe,
    .destroy = op_destroy,
};

/* --------------------------------------------------------------------------------- the start -- */

static enum helio_err check_config(const helio_config *config)
{
    size_t n = config->name ? strnlen(config->name, HELIO_NAME_MAX + 1) : 0;

    if (n > HELIO_NAME_MAX || !text_is_name((const uint8_t *)config->name, n))
        return HELIO_E_ARGUMENT;
    if (config->classic_offset > KEYSTREAM_OFFSET_MAX)
        return HELIO_E_ARGUMENT;
    if (config->classic_counter != HELIO_CLASSIC_CONSTANT &&
        config->classic_counter != HELIO_CLASSIC_INCREMENTING)
        return HELIO_E_ARGUMENT;
    return HELIO_OK;
}

static enum helio_err create(struct classic **out, const helio_config *config, helio_role role)
{
    enum helio_err err = check_config(config);

    if (err)
        return err;
    struct classic *c = calloc(1, sizeof *c);
    if (!c)
        return HELIO_E_MEMORY;
    session_init(&c->session, &classic_ops, config, role);
    c->state = role == HELIO_INITIATOR ? AWAIT_YES : AWAIT_PEM;
    c->offset = config->classic_offset;
    c->counter = config->classic_counter;
    repr_begin(&c->reply);
    if (role == HELIO_INITIATOR && config->name && config->name[0]) {
        size_t name_n = strlen(config->name);

        memcpy(c->prefix, config->name, name_n);
        memcpy(c->prefix + name_n, after_name, sizeof after_name - 1);
        c->prefix_n = name_n + sizeof after_name - 1;
    }
    *out = c;
    return HELIO_OK;
}

enum helio_err classic_new_with_key(struct helio_session **out, const helio_config *config,
                                    struct rsa_key *key)
{
    struct classic *c = NULL;
    enum helio_err err;

    *out = NULL;
    err = create(&c, config, HELIO_INITIATOR);
    if (err) {
        rsa_free(key);
        return err;
    }
    c->key = key;
    err = classic_begin(c);
    if (err) {
        op_destroy(&c->session);
        return err;
    }
    *out = &c->session;
    return HELIO_OK;
}

static enum helio_err new_responder(struct helio_session **out, const helio_config *config)
{
    struct classic *c = NULL;
    enum helio_err err = create(&c, config, HELIO_RESPONDER);

    if (err)
        return err;
    *out = &c->session;
    return HELIO_OK;
}

enum helio_err classic_new(struct helio_session **out, const helio_config *config, helio_role role)
{
    struct rsa_key *key = NULL;
    enum helio_err err;

    *out = NULL;
    if (role == HELIO_RESPONDER)
        return new_responder(out, config);
    err = check_config(config); /* before the time that a key takes */
    if (err)
        return err;
    err = rsa_classic_generate(&key);
    return err ? err : classic_new_with_key(out, config, key);
}
