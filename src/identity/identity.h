/*
 * identity.h: what the protocols need of an identity beyond the public interface.
 *
 * An identity is a checked RSA key pair with everything about its public half worked out once, when
 * it is made: the DER that goes into a handshake, its fingerprint, its PEM.  It never changes after
 * that, so what is handed out here stays good, and the same, until helio_identity_free.
 */
#ifndef HELIO_IDENTITY_IDENTITY_H
#define HELIO_IDENTITY_IDENTITY_H

#include "crypto/rsa.h"
#include "helio.h"

/* The key pair, to sign with. */
const struct rsa_key *identity_key(const helio_identity *id);
/* DER SubjectPublicKeyInfo of the public half, *n <= RSA_PUBLIC_DER_MAX bytes. */
const uint8_t *identity_der(const helio_identity *id, size_t *n);

/* The fingerprint of the public key whose DER SubjectPublicKeyInfo is der[0..n); the DER is not
 * looked into. */
HELIO_MUST_CHECK enum helio_err fingerprint_of_der(helio_fingerprint *fp, const uint8_t *der,
                                                   size_t n);

#endif
