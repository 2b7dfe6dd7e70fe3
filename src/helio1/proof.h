/*
 * proof.h: how a station proves its key in REPLY and AUTH (protocol.md 5.3): public key, signature
 * and confirmation over the transcript, as SIGMA has it.
 *
 * Both roles use the same structure; what differs, the context string and the confirmation's
 * secret, hangs on the role of the signer, and that is what stops reflection.
 */
#ifndef HELIO_HELIO1_PROOF_H
#define HELIO_HELIO1_PROOF_H

#include "base/bytes.h"
#include "helio1/wire.h"
#include "identity/identity.h"

/* What a proof with that identity and extra takes, padding included; the tag is not counted. */
size_t proof_size(const helio_identity *id, size_t extra_n);

/*
 * Writes the proof, proof_size bytes, to out.  transcript is T of protocol.md 4.1: all up to the
 * byte before the sealed part.  The salt is fresh randomness.
 */
HELIO_MUST_CHECK enum helio_err proof_make(uint8_t *out, const helio_identity *id,
                                           helio_role signer, const struct sha256 *transcript,
                                           const uint8_t confirm[SHA256_SIZE],
                                           const uint8_t salt[RSA_SALT_SIZE], struct span extra);

/* What a good proof says; spans point into the proof. */
struct proof_claims {
    helio_fingerprint fingerprint;
    unsigned bits;
    struct span extra;
};

/* HELIO_E_BROKEN unless all of plain[0..n) is a proof by signer over this transcript. */
HELIO_MUST_CHECK enum helio_err proof_check(const uint8_t *plain, size_t n, helio_role signer,
                                            const struct sha256 *transcript,
                                            const uint8_t confirm[SHA256_SIZE],
                                            struct proof_claims *out);

#endif
