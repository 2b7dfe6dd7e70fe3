/*
 * schedule.h: the key schedule of helio/1 (protocol.md 4), after TLS 1.3's (RFC 8446, section 7).
 *
 * Each stage's secrets are a struct of their own, so that one stage's cannot be handed to another.
 * Whoever holds such a struct wipes it.
 */
#ifndef HELIO_HELIO1_SCHEDULE_H
#define HELIO_HELIO1_SCHEDULE_H

#include "helio1/wire.h"

/* From X25519 and H(T1). */
struct handshake_secrets {
    uint8_t initiator[SHA256_SIZE]; /* seals AUTH and LEAVE */
    uint8_t responder[SHA256_SIZE]; /* seals the proof in REPLY */
    uint8_t initiator_confirm[SHA256_SIZE];
    uint8_t responder_confirm[SHA256_SIZE];
    uint8_t master[SHA256_SIZE];
};

/* From master and H(T3). */
struct session_secrets {
    uint8_t accept[SHA256_SIZE];
    uint8_t initiator_traffic[SHA256_SIZE];
    uint8_t responder_traffic[SHA256_SIZE];
    uint8_t exporter[SHA256_SIZE];
    uint8_t id[SHA256_SIZE]; /* public */
};

HELIO_MUST_CHECK enum helio_err schedule_handshake(struct handshake_secrets *out,
                                                   const uint8_t shared[X25519_SIZE],
                                                   const uint8_t t1[SHA256_SIZE]);
HELIO_MUST_CHECK enum helio_err schedule_session(struct session_secrets *out,
                                                 const uint8_t master[SHA256_SIZE],
                                                 const uint8_t t3[SHA256_SIZE]);
/* The key (and iv) that a sealing secret stands for. */
HELIO_MUST_CHECK enum helio_err schedule_key(struct aead_key *out, enum aead_cipher cipher,
                                             const uint8_t secret[SHA256_SIZE]);
/* Replaces a direction's secret by the next epoch's (4.4). */
HELIO_MUST_CHECK enum helio_err schedule_next_epoch(uint8_t secret[SHA256_SIZE]);
/* 4.5; HELIO_E_ARGUMENT outside its limits. */
HELIO_MUST_CHECK enum helio_err schedule_export(const uint8_t exporter[SHA256_SIZE],
                                                const char *label, const uint8_t *context,
                                                size_t context_n, uint8_t *out, size_t n);

#endif
