/*
 * classic.c: the state machine of the original's protocol, both roles (docs/classic.md).
 *
 * Nothing is framed.  In the handshake each piece is known by its own last byte.  After it, all
 * that comes between two of our own sends is one message: its keystream goes on through however
 * many pieces the network makes of it, and each piece is handed out as it comes, since nobody can
 * tell which is the last.  What is accepted and what is handed out never depends on the split.
 *
 * Invariants:
 *  - keystream stands where the peer's next byte needs it.  One is enough: our own message, which
 *    is always whole, restarts it before and after;
 *  - digits is how many hex digits the peer has sent in this turn; when it is odd, half holds the
 *    last one, and it is not our turn in the middle of a byte;
 *  - key is held by an initiator from new until wipe, by a responder never.
 */
#include "classic/classic.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/wipe.h"
#include "classic/hex.h"
#include "classic/keystream.h"
#include "classic/repr.h"
#include "classic/transport.h"

enum {
    PEM_MAX = 1024,
    TEXT_MAX = HELIO_CLASSIC_MESSAGE_MAX,
    DIGITS_MAX = 2 * TEXT_MAX,
    /* One draw in 256 has a first byte of zero.  So many in a row are a broken generator. */
    DRAWS_MAX = 64
};

static const char pem_first[] = "-----BEGIN PUBLIC KEY-----";
static const char pem_last[] = "-----END PUBLIC KEY-----";
static const char yes[] = "YES";
static const char after_name[] = " : ";

enum { PEM_FIRST = sizeof pem_first - 1, PEM_LAST = sizeof pem_last - 1, YES = sizeof yes - 1 };

/* What the peer sends next. */
enum state { AWAIT_YES, AWAIT_REPLY, AWAIT_PEM, AWAIT_HASH, TALK };

struct classic {
    struct helio_session session; /* first: the two are cast into each other */
    enum state state;
    unsigned offset;
    helio_classic_counter counter;
    struct rsa_key *key;
    uint8_t hash[DIGEST_TEXT]; /* of the public key's text, ours or the peer's */
    size_t matched;            /* how much of a text that is known beforehand has come */
    uint8_t gathered[PEM_MAX]; /* responder: the public key; initiator: the reply, for the trace */
    size_t gathered_n;
    struct repr_parser reply;
    struct keystream keystream;
    uint8_t prefix[HELIO_NAME_MAX + sizeof after_name]; /* initiator: "NAME : " or nothing */
    size_t prefix_n;
    bool our_turn;
    bool closed; /* by us */
    bool ended;  /* by the peer */
    size_t digits;
    uint8_t half;
    uint8_t text[TEXT_MAX]; /* what the pending event shows */
};

_Static_assert((int)PEM_MAX >= (int)REPR_READ_MAX, "gathered holds a reply as well");

static struct classic *classic_of(struct helio_session *s)
{
    return (struct classic *)s;
}

static const struct classic *classic_of_const(const struct helio_session *s)
{
    return (const struct classic *)s;
}

/* A fault of the key that the peer chose is the peer's fault. */
static enum helio_err blame_peer(enum helio_err err)
{
    return err == HELIO_E_KEY || err == HELIO_E_FORMAT ? HELIO_E_BROKEN : err;
}

/* Takes what of in[0..n) goes on with expected, which began `matched` bytes ago. */
static enum helio_err match(struct classic *c, const void *expected, size_t expected_n,
                            const uint8_t *in, size_t n, size_t *used)
{
    const uint8_t *e = expected;

    while (*used < n && c->matched < expected_n)
        if (in[(*used)++] != e[c->matched++])
            return HELIO_E_BROKEN;
    return HELIO_OK;
}

/* Both stations have t: from here on everything follows from its digest. */
static enum helio_err open_line(struct classic *c, const uint8_t t[TRANSPORT_KEY])
{
    uint8_t digest[DIGEST_TEXT];
    enum helio_err err = digest_text(digest, t, TRANSPORT_KEY);

    if (err)
        goto out;
    session_trace(&c->session, "session key", digest, sizeof digest);
    keystream_set_key(&c->keystream, digest, c->offset, c->counter);
    c->our_turn = c->session.role == HELIO_INITIATOR;
    c->state = TALK;
    session_raise(&c->session, HELIO_EVENT_OPEN, NULL, 0);
out:
    wipe(digest, sizeof digest);
    return err;
}

/* -------------------------------------------------------------------------------- responder -- */

static bool pem_ended(const struct classic *c)
{
    return c->gathered_n >= PEM_FIRST + PEM_LAST &&
           memcmp(c->gathered + c->gathered_n - PEM_LAST, pem_last, PEM_LAST) == 0;
}

/* The original says YES to any text; whether it is a key is looked at after the hash. */
static enum helio_err take_pem(struct classic *c)
{
    session_trace(&c->session, "public key", c->gathered, c->gathered_n);
    enum helio_err err = digest_text(c->hash, c->gathered, c->gathered_n);
    if (err)
        return err;
    c->state = AWAIT_HASH;
    c->matched = 0;
    return buffer_append(&c->session.out, yes, YES);
}

static enum helio_err await_pem(struct classic *c, const uint8_t *in, size_t n, size_t *used)
{
    while (*used < n) {
        uint8_t byte = in[(*used)++];

        if (c->gathered_n == PEM_MAX ||
            (c->gathered_n < PEM_FIRST && byte != (uint8_t)pem_first[c->gathered_n]))
            return HELIO_E_BROKEN;
        c->gathered[c->gathered_n++] = byte;
        if (pem_ended(c))
            return take_pem(c);
    }
    return HELIO_OK;
}

/*
 * Draws k until t does not begin with a zero: the original's client reads t as a number, loses the
 * zero and hashes 15 bytes.
 */
static enum helio_err draw(struct classic *c, uint8_t t[TRANSPORT_KEY])
{
    uint8_t k[TRANSPORT_KEY];
    enum helio_err err = HELIO_E_CRYPTO;

    for (int i = 0; i < DRAWS_MAX; i++) {
        err = session_random(&c->session, k, sizeof k);
        if (err)
            break;
        err = transport_from_random(t, k);
        if (err || t[0] != 0)
            break;
        err = HELIO_E_CRYPTO;
    }
    wipe(k, sizeof k);
    return err;
}

/* Textbook RSA of t as a number; the result as a number, too: without zeros before it. */
static enum helio_err encrypt_and_queue(struct classic *c, const struct rsa_key *peer,
                                        const uint8_t t[TRANSPORT_KEY])
{
    uint8_t number[RSA_CLASSIC_BYTES_MAX] = {0}, encrypted[RSA_CLASSIC_BYTES_MAX];
    uint8_t reply[REPR_TEXT_MAX];
    size_t size = rsa_size(peer), zeros = 0;

    memcpy(number + size - TRANSPORT_KEY, t, TRANSPORT_KEY);
    enum helio_err err = rsa_classic_encrypt(peer, number, encrypted);
    wipe(number, sizeof number);
    if (err)
        return err;
    while (zeros < size - 1 && encrypted[zeros] == 0)
        zeros++;
    size_t n = repr_write(reply, encrypted + zeros, size - zeros);
    session_trace(&c->session, "encrypted key", reply, n);
    return buffer_append(&c->session.out, reply, n);
}

static enum helio_err take_hash(struct classic *c)
{
    uint8_t t[TRANSPORT_KEY];
    struct rsa_key *peer = NULL;
    enum helio_err err;

    session_trace(&c->session, "public key hash", c->hash, sizeof c->hash);
    err = rsa_classic_from_public_pem(&peer, (const char *)c->gathered, c->gathered_n);
    if (err) {
        err = blame_peer(err);
        goto out;
    }
    err = draw(c, t);
    if (err)
        goto out;
    err = encrypt_and_queue(c, peer, t);
    if (err)
        goto out;
    err = open_line(c, t);
out:
    rsa_free(peer);
    wipe(t, sizeof t);
    return err;
}

static enum helio_err await_hash(struct classic *c, const uint8_t *in, size_t n, size_t *used)
{
    enum helio_err err = match(c, c->hash, sizeof c->hash, in, n, used);

    return err || c->matched < sizeof c->hash ? err : take_hash(c);
}

/* -------------------------------------------------------------------------------- initiator -- */

static enum helio_err await_yes(struct classic *c, const uint8_t *in, size_t n, size_t *used)
{
    enum helio_err err = match(c, yes, YES, in, n, used);

    if (err || c->matched < YES)
        return err;
    c->state = AWAIT_REPLY;
    session_trace(&c->session, "public key hash", c->hash, sizeof c->hash);
    return buffer_append(&c->session.out, c->hash, sizeof c->hash);
}

/* True when all bytes are zero; the decrypted number is secret, so all are looked at. */
static bool all_zero(const uint8_t *p, size_t n)
{
    uint8_t any = 0;

    for (size_t i = 0; i < n; i++)
        any |= p[i];
    return any == 0;
}

static enum helio_err take_reply(struct classic *c)
{
    uint8_t number[RSA_CLASSIC_BYTES_MAX] = {0}, t[RSA_CLASSIC_BYTES_MAX] = {0};
    size_t size = rsa_size(c->key), n = c->reply.n;
    enum helio_err err;

    session_trace(&c->session, "encrypted key", c->gathered, c->gathered_n);
    if (n == 0 || n > size)
        return HELIO_E_BROKEN;
    memcpy(number + size - n, c->reply.value, n);
    err = rsa_classic_decrypt(c->key, number, t);
    if (err)
        goto out;
    err = HELIO_E_BROKEN;
    if (!all_zero(t, size - TRANSPORT_KEY))
        goto out;
    err = open_line(c, t + size - TRANSPORT_KEY);
out:
    wipe(t, sizeof t);
    return err;
}

static enum helio_err await_reply(struct classic *c, const uint8_t *in, size_t n, size_t *used)
{
    while (*used < n) {
        uint8_t byte = in[(*used)++];
        enum repr_status status = repr_add(&c->reply, byte);

        if (status == REPR_BAD)
            return HELIO_E_BROKEN;
        c->gathered[c->gathered_n++] = byte; /* at most REPR_READ_MAX: repr_add counts, too */
        if (status == REPR_DONE)
            return take_reply(c);
    }
    return HELIO_OK;
}

/* --------------------------------------------------------------------------------- messages -- */

/* How many of in[0..n) are hex digits, from the first on, and within this turn's limit. */
static size_t count_digits(const struct classic *c, const uint8_t *in, size_t n)
{
    size_t i = 0;

    while (i < n && c->digits + i < DIGITS_MAX && hex_value(in[i]) >= 0)
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
    if (n > TEXT_MAX - c->prefix_n)
        return HELIO_E_TOO_LONG;
    return may_send(c) ? HELIO_OK : HELIO_E_STATE;
}

static enum helio_err op_send(struct helio_session *s, const uint8_t *data, size_t n,
                              helio_content content)
{
    struct classic *c = classic_of(s);
    uint8_t text[TEXT_MAX];
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

/* ------------------------------------------------------------------------------- the frame -- */

static enum helio_err (*const steps[])(struct classic *, const uint8_t *, size_t, size_t *) = {
    [AWAIT_YES] = await_yes, [AWAIT_REPLY] = await_reply,
    [AWAIT_PEM] = await_pem, [AWAIT_HASH] = await_hash,
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
    .export_key = op_export,
    .wipe = op_wipe,
    .destroy = op_destroy,
};

/* ---------------------------------------------------------------------------------- the start --
 */

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

/* The initiator speaks first: its public key, without the newline that ends a PEM file. */
static enum helio_err queue_pem(struct classic *c)
{
    char *pem = NULL;
    enum helio_err err = rsa_public_pem(c->key, &pem);

    if (err)
        return err;
    size_t n = strlen(pem);
    if (n > 0 && pem[n - 1] == '\n')
        n--;
    session_trace(&c->session, "public key", pem, n);
    err = digest_text(c->hash, pem, n);
    if (err == HELIO_OK)
        err = buffer_append(&c->session.out, pem, n);
    free(pem);
    return err;
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
    err = queue_pem(c);
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
