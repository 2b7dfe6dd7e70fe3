#include "helio1/proof.h"

#include <string.h>

#include "base/wipe.h"

/* Of one length, final zero included, so that what follows stands at the same place. */
enum { CONTEXT_SIZE = 30 };

static const char contexts[][CONTEXT_SIZE] = {
    [HELIO_INITIATOR] = "helio/1, initiator, signature",
    [HELIO_RESPONDER] = "helio/1, responder, signature",
};

enum { SIGNED_SIZE = CONTEXT_SIZE + SHA256_SIZE + SHA256_SIZE };

static size_t unpadded_size(size_t der_n, size_t signature_n, size_t extra_n)
{
    return 2 + der_n + 2 + signature_n + 2 + extra_n + CONFIRMATION_SIZE;
}

size_t proof_size(const helio_identity *id, size_t extra_n)
{
    size_t der_n;

    identity_der(id, &der_n);
    size_t n = unpadded_size(der_n, rsa_size(identity_key(id)), extra_n);
    return (n + PROOF_STEP - 1) / PROOF_STEP * PROOF_STEP;
}

/* The bytes under the signature: context, hash of the transcript, hash of the signer's key. */
static enum helio_err signed_bytes(uint8_t out[SIGNED_SIZE], helio_role signer,
                                   const struct sha256 *transcript, struct span der)
{
    enum helio_err err;

    memcpy(out, contexts[signer], CONTEXT_SIZE);
    err = sha256_value(transcript, NULL, 0, out + CONTEXT_SIZE);
    return err ? err : sha256(out + CONTEXT_SIZE + SHA256_SIZE, der.p, der.n);
}

/* HMAC over the transcript with the fields before the confirmation in it. */
static enum helio_err confirmation_of(uint8_t out[CONFIRMATION_SIZE],
                                      const uint8_t confirm[SHA256_SIZE],
                                      const struct sha256 *transcript, const uint8_t *fields,
                                      size_t n)
{
    uint8_t hash[SHA256_SIZE];
    enum helio_err err = sha256_value(transcript, fields, n, hash);

    return err ? err : hmac_sha256(out, confirm, SHA256_SIZE, hash, sizeof hash);
}

static uint8_t *put_opaque16(uint8_t *at, struct span s)
{
    put_u16(at, (unsigned)s.n);
    if (s.n > 0)
        memcpy(at + 2, s.p, s.n);
    return at + 2 + s.n;
}

enum helio_err proof_make(uint8_t *out, const helio_identity *id, helio_role signer,
                          const struct sha256 *transcript, const uint8_t confirm[SHA256_SIZE],
                          const uint8_t salt[RSA_SALT_SIZE], struct span extra)
{
    uint8_t message[SIGNED_SIZE];
    uint8_t signature[RSA_SIGNATURE_MAX];
    const struct rsa_key *key = identity_key(id);
    struct span der;
    uint8_t *at = out;
    enum helio_err err;

    der.p = identity_der(id, &der.n);
    err = signed_bytes(message, signer, transcript, der);
    if (err)
        return err;
    err = rsa_sign(key, salt, message, sizeof message, signature);
    if (err)
        return err;
    memset(out, 0, proof_size(id, extra.n));
    at = put_opaque16(at, der);
    at = put_opaque16(at, (struct span){signature, rsa_size(key)});
    at = put_opaque16(at, extra);
    return confirmation_of(at, confirm, transcript, out, (size_t)(at - out));
}

struct proof_fields {
    struct span der;
    struct span signature;
    struct span extra;
    const uint8_t *confirmation;
    size_t before_confirmation; /* bytes that the confirmation covers */
};

static bool all_zero(const uint8_t *p, size_t n)
{
    unsigned seen = 0;

    for (size_t i = 0; i < n; i++)
        seen |= p[i];
    return seen == 0;
}

static enum helio_err parse(struct proof_fields *out, const uint8_t *plain, size_t n)
{
    struct reader r = reader_over(plain, n);

    out->der = read_opaque16(&r);
    out->signature = read_opaque16(&r);
    out->extra = read_opaque16(&r);
    out->before_confirmation = n - r.left;
    out->confirmation = read_bytes(&r, CONFIRMATION_SIZE);
    if (r.failed || n % PROOF_STEP != 0 || r.left >= PROOF_STEP || !all_zero(r.at, r.left))
        return HELIO_E_BROKEN;
    return HELIO_OK;
}

static enum helio_err check_signature(const struct proof_fields *f, helio_role signer,
                                      const struct sha256 *transcript, struct proof_claims *out)
{
    uint8_t message[SIGNED_SIZE];
    struct rsa_key *key = NULL;
    enum helio_err err;

    err = rsa_from_public_der(&key, f->der.p, f->der.n);
    if (err)
        return err == HELIO_E_KEY ? HELIO_E_BROKEN : err;
    out->bits = rsa_bits(key);
    err = signed_bytes(message, signer, transcript, f->der);
    if (!err)
        err = rsa_verify(key, message, sizeof message, f->signature.p, f->signature.n);
    rsa_free(key);
    return err;
}

enum helio_err proof_check(const uint8_t *plain, size_t n, helio_role signer,
                           const struct sha256 *transcript, const uint8_t confirm[SHA256_SIZE],
                           struct proof_claims *out)
{
    struct proof_fields f;
    uint8_t expected[CONFIRMATION_SIZE];
    enum helio_err err;

    err = parse(&f, plain, n);
    if (err)
        return err;
    err = check_signature(&f, signer, transcript, out);
    if (err)
        return err;
    err = confirmation_of(expected, confirm, transcript, plain, f.before_confirmation);
    if (!err && !equal_secret(expected, f.confirmation, sizeof expected))
        err = HELIO_E_BROKEN;
    wipe(expected, sizeof expected);
    if (err)
        return err;
    out->extra = f.extra;
    return fingerprint_of_der(&out->fingerprint, f.der.p, f.der.n);
}
