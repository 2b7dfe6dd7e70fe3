#include "helio1/schedule.h"

#include <string.h>

#include "base/bytes.h"
#include "base/wipe.h"

enum { LABEL_MAX = 64 };

static const char label_prefix[] = "helio/1 ";
static const char handshake_salt[] = "helio/1 handshake";

/* protocol.md 4.2; the context is empty or a hash. */
static enum helio_err expand_label(uint8_t *out, size_t n, const uint8_t secret[SHA256_SIZE],
                                   const char *label, const uint8_t *context)
{
    uint8_t info[2 + 1 + sizeof label_prefix + LABEL_MAX + 1 + SHA256_SIZE];
    size_t prefix_n = sizeof label_prefix - 1;
    size_t label_n = strlen(label);
    size_t context_n = context ? SHA256_SIZE : 0;
    uint8_t *p = info;

    if (label_n > LABEL_MAX || n > 0xffff)
        return HELIO_E_ARGUMENT;
    put_u16(p, (unsigned)n);
    p += 2;
    *p++ = (uint8_t)(prefix_n + label_n);
    memcpy(p, label_prefix, prefix_n);
    p += prefix_n;
    memcpy(p, label, label_n);
    p += label_n;
    *p++ = (uint8_t)context_n;
    if (context_n > 0)
        memcpy(p, context, context_n);
    p += context_n;
    return hkdf_expand(out, n, secret, info, (size_t)(p - info));
}

/* A row of the schedule: 32 bytes at out from secret. */
struct derivation {
    uint8_t *out;
    const uint8_t *secret;
    const char *label;
    const uint8_t *context;
};

/* In order, so that a row may stand on an earlier one's output. */
static enum helio_err derive_all(const struct derivation *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        enum helio_err err =
            expand_label(rows[i].out, SHA256_SIZE, rows[i].secret, rows[i].label, rows[i].context);
        if (err)
            return err;
    }
    return HELIO_OK;
}

enum helio_err schedule_handshake(struct handshake_secrets *out, const uint8_t shared[X25519_SIZE],
                                  const uint8_t t1[SHA256_SIZE])
{
    static const uint8_t zeros[SHA256_SIZE];
    uint8_t handshake[SHA256_SIZE];
    uint8_t derived[SHA256_SIZE];
    const struct derivation rows[] = {
        {out->initiator, handshake, "initiator handshake", t1},
        {out->responder, handshake, "responder handshake", t1},
        {out->initiator_confirm, out->initiator, "confirmation", NULL},
        {out->responder_confirm, out->responder, "confirmation", NULL},
        {derived, handshake, "derived", NULL},
    };
    enum helio_err err;

    err = hkdf_extract(handshake, handshake_salt, sizeof handshake_salt - 1, shared, X25519_SIZE);
    if (err)
        goto out;
    err = derive_all(rows, sizeof rows / sizeof *rows);
    if (err)
        goto out;
    err = hkdf_extract(out->master, derived, sizeof derived, zeros, sizeof zeros);
out:
    wipe(handshake, sizeof handshake);
    wipe(derived, sizeof derived);
    if (err)
        wipe(out, sizeof *out);
    return err;
}

enum helio_err schedule_session(struct session_secrets *out, const uint8_t master[SHA256_SIZE],
                                const uint8_t t3[SHA256_SIZE])
{
    const struct derivation rows[] = {
        {out->accept, master, "responder accept", t3},
        {out->initiator_traffic, master, "initiator traffic", t3},
        {out->responder_traffic, master, "responder traffic", t3},
        {out->exporter, master, "exporter", t3},
        {out->id, master, "session id", t3},
    };
    enum helio_err err = derive_all(rows, sizeof rows / sizeof *rows);

    if (err)
        wipe(out, sizeof *out);
    return err;
}

enum helio_err schedule_key(struct aead_key *out, enum aead_cipher cipher,
                            const uint8_t secret[SHA256_SIZE])
{
    uint8_t key[AEAD_KEY_MAX];
    uint8_t iv[AEAD_IV_SIZE];
    bool has_iv = aead_iv_size(cipher) > 0;
    enum helio_err err;

    err = expand_label(key, aead_key_size(cipher), secret, "key", NULL);
    if (err)
        goto out;
    if (has_iv) {
        err = expand_label(iv, sizeof iv, secret, "iv", NULL);
        if (err)
            goto out;
    }
    err = aead_set_key(out, cipher, key, has_iv ? iv : NULL);
out:
    wipe(key, sizeof key);
    wipe(iv, sizeof iv);
    return err;
}

enum helio_err schedule_next_epoch(uint8_t secret[SHA256_SIZE])
{
    uint8_t next[SHA256_SIZE];
    enum helio_err err = expand_label(next, sizeof next, secret, "next epoch", NULL);

    if (!err)
        memcpy(secret, next, sizeof next);
    wipe(next, sizeof next);
    return err;
}

enum helio_err schedule_export(const uint8_t exporter[SHA256_SIZE], const char *label,
                               const uint8_t *context, size_t context_n, uint8_t *out, size_t n)
{
    uint8_t secret[SHA256_SIZE];
    uint8_t context_hash[SHA256_SIZE];
    enum helio_err err;

    if (label[0] == '\0' || strlen(label) > LABEL_MAX || n == 0 || n > 255 * SHA256_SIZE)
        return HELIO_E_ARGUMENT;
    err = sha256(context_hash, context, context_n);
    if (err)
        return err;
    err = expand_label(secret, sizeof secret, exporter, label, NULL);
    if (!err)
        err = expand_label(out, n, secret, "exporter", context_hash);
    wipe(secret, sizeof secret);
    return err;
}
