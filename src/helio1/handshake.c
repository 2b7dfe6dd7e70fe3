/*
 * handshake.c: from HELLO to ACCEPT (protocol.md 5), both roles.
 *
 * Each step parses its frame into locals, verifies all of it, and only then changes the session.
 * The transcript grows exactly as protocol.md 4.1 says, so the order of transcript calls here is
 * part of the protocol.
 */
#include <string.h>

#include "base/text.h"
#include "base/wipe.h"
#include "helio1/state.h"

/* What only the exchange up to AUTH needs. */
static void forget_exchange(struct helio1 *h)
{
    sha256_free(h->transcript);
    h->transcript = NULL;
    wipe(h->dh_private, sizeof h->dh_private);
    wipe(&h->handshake, sizeof h->handshake);
}

void handshake_forget(struct helio1 *h)
{
    forget_exchange(h);
    aead_clear(&h->accept);
}

/* ----------------------------------------------------------------------------------- sealing -- */

/* Seals or opens one handshake part under the key that secret stands for. */
static enum helio_err seal_once(struct helio1 *h, const uint8_t secret[SHA256_SIZE],
                                const uint8_t *ad, size_t ad_n, uint8_t *text, size_t n)
{
    struct aead_key key = {0};
    enum helio_err err = schedule_key(&key, h->cipher, secret);

    if (!err)
        err = aead_seal(&key, 0, ad, ad_n, text, n, text, text + n);
    aead_clear(&key);
    return err;
}

static enum helio_err open_once(struct helio1 *h, const uint8_t secret[SHA256_SIZE],
                                const uint8_t *ad, size_t ad_n, const uint8_t *sealed, size_t n,
                                uint8_t *out)
{
    struct aead_key key = {0};
    enum helio_err err = schedule_key(&key, h->cipher, secret);

    if (!err)
        err = aead_open(&key, 0, ad, ad_n, sealed, n - AEAD_TAG_SIZE, out,
                        sealed + n - AEAD_TAG_SIZE);
    aead_clear(&key);
    return err;
}

static const uint8_t *confirm_secret(const struct helio1 *h, helio_role signer)
{
    return signer == HELIO_INITIATOR ? h->handshake.initiator_confirm
                                     : h->handshake.responder_confirm;
}

static const uint8_t *proof_secret(const struct helio1 *h, helio_role signer)
{
    return signer == HELIO_INITIATOR ? h->handshake.initiator : h->handshake.responder;
}

/* A frame with a proof, under construction at the end of the output queue. */
struct proof_frame {
    uint8_t *at;
    size_t head_n; /* header and clear part */
    size_t proof_n;
};

static size_t proof_frame_size(const struct proof_frame *f)
{
    return f->head_n + f->proof_n + AEAD_TAG_SIZE;
}

/* Header and clear part: into the frame and into the transcript. */
static enum helio_err begin_proof_frame(struct helio1 *h, struct proof_frame *f,
                                        enum frame_type type, const uint8_t *clear, size_t clear_n,
                                        size_t extra_n)
{
    f->head_n = FRAME_HEADER_SIZE + clear_n;
    f->proof_n = proof_size(h->identity, extra_n);
    enum helio_err err = buffer_reserve(&h->session.out, proof_frame_size(f), &f->at);

    if (err)
        return err;
    frame_header_put(f->at, type, clear_n + f->proof_n + AEAD_TAG_SIZE);
    if (clear_n > 0)
        memcpy(f->at + FRAME_HEADER_SIZE, clear, clear_n);
    return sha256_add(h->transcript, f->at, f->head_n);
}

/* Our proof over the transcript so far, sealed; then the frame is queued whole. */
static enum helio_err finish_proof_frame(struct helio1 *h, const struct proof_frame *f,
                                         struct span extra)
{
    helio_role role = h->session.role;
    uint8_t *proof = f->at + f->head_n;
    uint8_t salt[RSA_SALT_SIZE];
    enum helio_err err = session_random(&h->session, salt, sizeof salt);

    if (!err)
        err = proof_make(proof, h->identity, role, h->transcript, confirm_secret(h, role), salt,
                         extra);
    if (!err)
        err = seal_once(h, proof_secret(h, role), f->at, f->head_n, proof, f->proof_n);
    if (!err)
        err = sha256_add(h->transcript, proof, f->proof_n + AEAD_TAG_SIZE);
    if (err) {
        wipe(proof, f->proof_n); /* not queued, but it stands in the queue's memory */
        return err;
    }
    buffer_commit(&h->session.out, proof_frame_size(f));
    return HELIO_OK;
}

/*
 * Opens and checks the peer's proof: sealed[0..n) behind head[0..head_n), which the transcript has.
 */
static enum helio_err open_proof(struct helio1 *h, const uint8_t *head, size_t head_n,
                                 const uint8_t *sealed, size_t n, uint8_t plain[PROOF_MAX],
                                 struct proof_claims *claims)
{
    helio_role signer = h->session.role == HELIO_INITIATOR ? HELIO_RESPONDER : HELIO_INITIATOR;
    enum helio_err err = open_once(h, proof_secret(h, signer), head, head_n, sealed, n, plain);

    if (!err)
        err = proof_check(plain, n - AEAD_TAG_SIZE, signer, h->transcript,
                          confirm_secret(h, signer), claims);
    if (!err)
        err = sha256_add(h->transcript, sealed, n);
    return err;
}

static void peer_is(struct helio1 *h, const struct proof_claims *claims)
{
    h->session.peer = (helio_peer){.fingerprint = claims->fingerprint,
                                   .bits = claims->bits,
                                   .name = h->peer_name,
                                   .service = h->peer_service};
    h->session.peer_known = true;
    session_raise(&h->session, HELIO_EVENT_PEER, NULL, 0);
}

/* ----------------------------------------------------------------------------------- secrets -- */

static enum helio_err draw_share(struct helio1 *h, uint8_t random[RANDOM_SIZE])
{
    enum helio_err err = session_random(&h->session, random, RANDOM_SIZE);

    if (!err)
        err = session_random(&h->session, h->dh_private, sizeof h->dh_private);
    return err ? err : x25519_public(h->dh_share, h->dh_private);
}

/* The handshake stage: own private half, the peer's share, and H(T1) as the transcript stands. */
static enum helio_err agree(struct helio1 *h, const void *share)
{
    uint8_t shared[X25519_SIZE];
    uint8_t t1[SHA256_SIZE];
    enum helio_err err;

    if (memcmp(share, h->dh_share, X25519_SIZE) == 0)
        return HELIO_E_BROKEN; /* our own, reflected */
    err = x25519_shared(shared, h->dh_private, share);
    if (!err)
        err = sha256_value(h->transcript, NULL, 0, t1);
    if (!err)
        err = schedule_handshake(&h->handshake, shared, t1);
    wipe(shared, sizeof shared);
    wipe(h->dh_private, sizeof h->dh_private);
    return err;
}

/* The session stage, from H(T3) as the transcript stands; the exchange's secrets end here. */
static enum helio_err derive_session(struct helio1 *h)
{
    bool initiator = h->session.role == HELIO_INITIATOR;
    struct session_secrets secrets;
    uint8_t t3[SHA256_SIZE];
    enum helio_err err = sha256_value(h->transcript, NULL, 0, t3);

    if (!err)
        err = schedule_session(&secrets, h->handshake.master, t3);
    forget_exchange(h);
    if (err)
        return err;
    memcpy(h->exporter, secrets.exporter, sizeof h->exporter);
    memcpy(h->id, secrets.id, sizeof h->id);
    err = schedule_key(&h->accept, h->cipher, secrets.accept);
    if (!err)
        err = direction_begin(&h->send, h->cipher,
                              initiator ? secrets.initiator_traffic : secrets.responder_traffic);
    if (!err)
        err = direction_begin(&h->receive, h->cipher,
                              initiator ? secrets.responder_traffic : secrets.initiator_traffic);
    wipe(&secrets, sizeof secrets);
    return err;
}

static void open_line(struct helio1 *h)
{
    handshake_forget(h);
    h->state = OPEN;
    session_trace(&h->session, "session id", h->id, sizeof h->id);
    session_raise(&h->session, HELIO_EVENT_OPEN, NULL, 0);
}

/* ------------------------------------------------------------------------------------- HELLO -- */

enum helio_err handshake_begin(struct helio1 *h)
{
    struct hello hello = {.suites = h->suites};
    size_t frame_n;
    uint8_t *frame;
    enum helio_err err = draw_share(h, hello.random);

    if (err)
        return err;
    memcpy(hello.share, h->dh_share, sizeof hello.share);
    frame_n = FRAME_HEADER_SIZE + hello_size(&hello);
    err = buffer_reserve(&h->session.out, frame_n, &frame);
    if (err)
        return err;
    frame_header_put(frame, FRAME_HELLO, frame_n - FRAME_HEADER_SIZE);
    hello_put(frame + FRAME_HEADER_SIZE, &hello);
    err = sha256_add(h->transcript, frame, frame_n);
    if (err)
        return err;
    buffer_commit(&h->session.out, frame_n);
    h->state = AWAIT_REPLY;
    session_trace(&h->session, "hello sent", frame, frame_n);
    return HELIO_OK;
}

static enum helio_err choose_suite(struct helio1 *h, uint16_t suite)
{
    if (!suite_cipher(suite, &h->cipher))
        return HELIO_E_NO_COMMON;
    h->session.suite = suite;
    return HELIO_OK;
}

enum helio_err handshake_on_hello(struct helio1 *h, const uint8_t *frame, size_t n)
{
    struct hello hello;
    struct reply reply;
    struct proof_frame f;
    uint8_t clear[REPLY_CLEAR_SIZE];
    static const struct span no_extra;
    enum helio_err err = hello_get(&hello, frame + FRAME_HEADER_SIZE, n - FRAME_HEADER_SIZE);

    if (!err)
        err = choose_suite(h, suite_choose(&hello.suites, &h->suites));
    if (!err)
        err = sha256_add(h->transcript, frame, n);
    if (err)
        return err;
    session_trace(&h->session, "hello received", frame, n);
    reply.suite = h->session.suite;
    err = draw_share(h, reply.random);
    if (err)
        return err;
    memcpy(reply.share, h->dh_share, sizeof reply.share);
    reply_put(clear, &reply);
    err = begin_proof_frame(h, &f, FRAME_REPLY, clear, sizeof clear, 0);
    if (!err)
        err = agree(h, hello.share);
    if (!err)
        err = finish_proof_frame(h, &f, no_extra);
    if (err)
        return err;
    h->state = AWAIT_AUTH;
    session_trace(&h->session, "reply sent", f.at, proof_frame_size(&f));
    return HELIO_OK;
}

/* ------------------------------------------------------------------------------------- REPLY -- */

enum helio_err handshake_on_reply(struct helio1 *h, const uint8_t *frame, size_t n)
{
    size_t head_n = FRAME_HEADER_SIZE + REPLY_CLEAR_SIZE;
    uint8_t plain[PROOF_MAX];
    struct proof_claims claims;
    struct reply reply;
    enum helio_err err = reply_get(&reply, frame + FRAME_HEADER_SIZE);

    if (err)
        return err;
    if (!suite_list_has(&h->suites, reply.suite) || choose_suite(h, reply.suite))
        return HELIO_E_BROKEN;
    err = sha256_add(h->transcript, frame, head_n);
    if (!err)
        err = agree(h, reply.share);
    if (!err)
        err = open_proof(h, frame, head_n, frame + head_n, n - head_n, plain, &claims);
    if (!err && claims.extra.n != 0)
        err = HELIO_E_BROKEN;
    wipe(plain, sizeof plain);
    if (err)
        return err;
    h->state = DECIDE_REPLY;
    session_trace(&h->session, "reply received", frame, n);
    peer_is(h, &claims);
    return HELIO_OK;
}

/* ------------------------------------------------------------------------------- AUTH, LEAVE -- */

static size_t put_opaque8(uint8_t *at, const uint8_t *p, size_t n)
{
    at[0] = (uint8_t)n;
    memcpy(at + 1, p, n);
    return 1 + n;
}

static enum helio_err send_auth(struct helio1 *h)
{
    uint8_t extra[EXTRA_MAX];
    struct proof_frame f;
    size_t n = put_opaque8(extra, h->name, h->name_n);
    enum helio_err err;

    n += put_opaque8(extra + n, h->service, h->service_n);
    err = begin_proof_frame(h, &f, FRAME_AUTH, NULL, 0, n);
    if (!err)
        err = finish_proof_frame(h, &f, (struct span){extra, n});
    if (!err)
        err = derive_session(h);
    if (err)
        return err;
    h->state = AWAIT_ACCEPT;
    session_trace(&h->session, "auth sent", f.at, proof_frame_size(&f));
    return HELIO_OK;
}

static void copy_text(char *out, struct span s)
{
    if (s.n > 0)
        memcpy(out, s.p, s.n);
    out[s.n] = '\0';
}

/* What AUTH carries beyond the proof: name and service. */
static enum helio_err take_extra(struct helio1 *h, struct span extra)
{
    struct reader r = reader_over(extra.p, extra.n);
    struct span name = read_opaque8(&r);
    struct span service = read_opaque8(&r);

    if (!reader_ended(&r) || name.n > HELIO_NAME_MAX || service.n > HELIO_SERVICE_MAX ||
        !text_is_name(name.p, name.n) || !text_is_token(service.p, service.n))
        return HELIO_E_BROKEN;
    copy_text(h->peer_name, name);
    copy_text(h->peer_service, service);
    return HELIO_OK;
}

enum helio_err handshake_on_auth(struct helio1 *h, const uint8_t *frame, size_t n)
{
    uint8_t plain[PROOF_MAX];
    struct proof_claims claims;
    enum helio_err err = sha256_add(h->transcript, frame, FRAME_HEADER_SIZE);

    if (!err)
        err = open_proof(h, frame, FRAME_HEADER_SIZE, frame + FRAME_HEADER_SIZE,
                         n - FRAME_HEADER_SIZE, plain, &claims);
    if (!err)
        err = take_extra(h, claims.extra);
    wipe(plain, sizeof plain);
    if (!err)
        err = derive_session(h);
    if (err)
        return err;
    h->state = DECIDE_AUTH;
    session_trace(&h->session, "auth received", frame, n);
    peer_is(h, &claims);
    return HELIO_OK;
}

/* A one-byte body sealed under the initiator's handshake secret; the session ends with it. */
static enum helio_err send_leave(struct helio1 *h, helio_refusal why)
{
    uint8_t *frame;
    size_t n = FRAME_HEADER_SIZE + 1 + AEAD_TAG_SIZE;
    enum helio_err err = buffer_reserve(&h->session.out, n, &frame);

    if (err)
        return err;
    frame_header_put(frame, FRAME_LEAVE, 1 + AEAD_TAG_SIZE);
    frame[FRAME_HEADER_SIZE] = (uint8_t)why;
    err = seal_once(h, h->handshake.initiator, frame, FRAME_HEADER_SIZE, frame + FRAME_HEADER_SIZE,
                    1);
    if (err)
        return err;
    buffer_commit(&h->session.out, n);
    session_trace(&h->session, "leave sent", frame, n);
    return HELIO_OK;
}

enum helio_err handshake_on_leave(struct helio1 *h, const uint8_t *frame, size_t n)
{
    uint8_t why;
    enum helio_err err = open_once(h, h->handshake.initiator, frame, FRAME_HEADER_SIZE,
                                   frame + FRAME_HEADER_SIZE, n - FRAME_HEADER_SIZE, &why);

    if (err)
        return err;
    if (why != HELIO_REFUSE_UNTRUSTED && why != HELIO_REFUSE_ASKING)
        return HELIO_E_BROKEN;
    session_trace(&h->session, "leave received", frame, n);
    h->session.refusal = (helio_refusal)why;
    return why == HELIO_REFUSE_ASKING ? HELIO_E_RETURNING : HELIO_E_REFUSED;
}

/* ------------------------------------------------------------------------------------ ACCEPT -- */

static enum helio_err send_accept(struct helio1 *h, const uint8_t *body, size_t n)
{
    size_t frame_n = FRAME_HEADER_SIZE + n + AEAD_TAG_SIZE;
    uint8_t *frame, *text;
    enum helio_err err = buffer_reserve(&h->session.out, frame_n, &frame);

    if (err)
        return err;
    text = frame + FRAME_HEADER_SIZE;
    frame_header_put(frame, FRAME_ACCEPT, n + AEAD_TAG_SIZE);
    memcpy(text, body, n);
    err =
        aead_seal(&h->accept, h->accept_number, frame, FRAME_HEADER_SIZE, text, n, text, text + n);
    if (err)
        return err;
    h->accept_number++;
    buffer_commit(&h->session.out, frame_n);
    session_trace(&h->session, "accept sent", frame, frame_n);
    return HELIO_OK;
}

static enum helio_err accepted(struct helio1 *h, const uint8_t *rest, size_t n)
{
    struct reader r = reader_over(rest, n);
    struct span name = read_opaque8(&r);

    if (!reader_ended(&r) || name.n > HELIO_NAME_MAX || !text_is_name(name.p, name.n))
        return HELIO_E_BROKEN;
    copy_text(h->peer_name, name);
    open_line(h);
    return HELIO_OK;
}

static enum helio_err refused(struct helio1 *h, const uint8_t *rest, size_t n)
{
    if (n != 1 || rest[0] < HELIO_REFUSE_UNTRUSTED || rest[0] > HELIO_REFUSE_NO_ANSWER)
        return HELIO_E_BROKEN;
    h->session.refusal = (helio_refusal)rest[0];
    return HELIO_E_REFUSED;
}

static enum helio_err told_to_wait(struct helio1 *h, const uint8_t *rest, size_t n)
{
    (void)rest;
    if (n != 0 || h->waiting)
        return HELIO_E_BROKEN;
    h->waiting = true;
    session_raise(&h->session, HELIO_EVENT_WAITING, NULL, 0);
    return HELIO_OK;
}

enum helio_err handshake_on_accept(struct helio1 *h, const uint8_t *frame, size_t n)
{
    static enum helio_err (*const answers[])(struct helio1 *, const uint8_t *, size_t) = {
        [ACCEPT_YES] = accepted,
        [ACCEPT_NO] = refused,
        [ACCEPT_WAIT] = told_to_wait,
    };
    uint8_t body[ACCEPT_BODY_MAX];
    const uint8_t *sealed = frame + FRAME_HEADER_SIZE;
    size_t body_n = n - FRAME_HEADER_SIZE - AEAD_TAG_SIZE;
    enum helio_err err = aead_open(&h->accept, h->accept_number, frame, FRAME_HEADER_SIZE, sealed,
                                   body_n, body, sealed + body_n);

    if (err)
        return err;
    h->accept_number++;
    if (body[0] >= sizeof answers / sizeof *answers)
        return HELIO_E_BROKEN;
    session_trace(&h->session, "accept received", frame, n);
    return answers[body[0]](h, body + 1, body_n - 1);
}

/* --------------------------------------------------------------------- the caller's decision -- */

static enum helio_err send_yes(struct helio1 *h)
{
    uint8_t body[ACCEPT_BODY_MAX] = {ACCEPT_YES};
    size_t n = 1 + put_opaque8(body + 1, h->name, h->name_n);
    enum helio_err err = send_accept(h, body, n);

    if (!err)
        open_line(h);
    return err;
}

enum helio_err handshake_trust(struct helio1 *h)
{
    switch (h->state) {
    case DECIDE_REPLY:
        return send_auth(h);
    case DECIDE_AUTH:
        return send_yes(h);
    default:
        return HELIO_E_STATE;
    }
}

enum helio_err handshake_wait(struct helio1 *h)
{
    static const uint8_t body[] = {ACCEPT_WAIT};

    if (h->state != DECIDE_AUTH || h->waiting)
        return HELIO_E_STATE;
    h->waiting = true;
    return send_accept(h, body, sizeof body);
}

static enum helio_err send_no(struct helio1 *h, helio_refusal why)
{
    const uint8_t body[] = {ACCEPT_NO, (uint8_t)why};

    return send_accept(h, body, sizeof body);
}

/* A reason that the other side could not read would make of a refusal a broken line. */
enum helio_err handshake_refuse(struct helio1 *h, helio_refusal why)
{
    bool of_responder = why >= HELIO_REFUSE_UNTRUSTED && why <= HELIO_REFUSE_NO_ANSWER;

    switch (h->state) {
    case DECIDE_REPLY:
        return send_leave(h, why == HELIO_REFUSE_ASKING ? why : HELIO_REFUSE_UNTRUSTED);
    case DECIDE_AUTH:
        return send_no(h, of_responder ? why : HELIO_REFUSE_UNTRUSTED);
    default:
        return HELIO_E_STATE;
    }
}

/* ------------------------------------------------------------------------------------- ALERT -- */

enum helio_err handshake_alert(struct helio1 *h, enum clear_alert why)
{
    uint8_t frame[FRAME_HEADER_SIZE + 1];

    if (h->alerted)
        return HELIO_OK;
    frame_header_put(frame, FRAME_ALERT, 1);
    frame[FRAME_HEADER_SIZE] = (uint8_t)why;
    return buffer_append(&h->session.out, frame, sizeof frame);
}

/* Not authenticated: it can end the handshake, as cutting the wire could, and no more. */
enum helio_err handshake_on_alert(struct helio1 *h, const uint8_t *frame, size_t n)
{
    (void)n;
    h->alerted = true;
    if (h->state == AWAIT_REPLY && frame[FRAME_HEADER_SIZE] == ALERT_NO_COMMON)
        return HELIO_E_NO_COMMON;
    return HELIO_E_BROKEN;
}
