/*
 * handshake.c: how classic's two stations come to one key (docs/classic.md 1.1 to 1.3).
 *
 * Nothing is framed; each piece is known by its own last byte, and whatever follows that byte is
 * left for the next step.
 */
#include "classic/state.h"

#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"

/* One draw in 256 has a first byte of zero.  So many in a row are a broken generator. */
enum { DRAWS_MAX = 64 };

static const char pem_first[] = "-----BEGIN PUBLIC KEY-----";
static const char pem_last[] = "-----END PUBLIC KEY-----";
static const char yes[] = "YES";

enum { PEM_FIRST = sizeof pem_first - 1, PEM_LAST = sizeof pem_last - 1, YES = sizeof yes - 1 };

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

/* --------------------------------------------------------------------------------- responder -- */

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

enum helio_err classic_await_pem(struct classic *c, const uint8_t *in, size_t n, size_t *used)
{
    while (*used < n) {
        uint8_t byte = in[(*used)++];

        if (c->gathered_n == CLASSIC_PEM_MAX ||
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

enum helio_err classic_await_hash(struct classic *c, const uint8_t *in, size_t n, size_t *used)
{
    enum helio_err err = match(c, c->hash, sizeof c->hash, in, n, used);

    return err || c->matched < sizeof c->hash ? err : take_hash(c);
}

/* --------------------------------------------------------------------------------- initiator -- */

/* The original's text lacks the newline that ends a PEM file. */
enum helio_err classic_begin(struct classic *c)
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

enum helio_err classic_await_yes(struct classic *c, const uint8_t *in, size_t n, size_t *used)
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

enum helio_err classic_await_reply(struct classic *c, const uint8_t *in, size_t n, size_t *used)
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
