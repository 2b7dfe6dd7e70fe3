/*
 * state.h: what handshake.c and classic.c share: the state of one session.
 *
 * Invariants:
 *  - key is held by an initiator from new until wipe, by a responder never;
 *  - keystream stands where the peer's next byte needs it, from TALK on.  One is enough: our own
 *    message, which is always whole, restarts it before and after;
 *  - digits is how many hex digits the peer has sent in this turn; when it is odd, half holds the
 *    last one, and it is not our turn in the middle of a byte.
 */
#ifndef HELIO_CLASSIC_STATE_H
#define HELIO_CLASSIC_STATE_H

#include "classic/classic.h"
#include "classic/keystream.h"
#include "classic/repr.h"
#include "classic/transport.h"

enum {
    CLASSIC_PEM_MAX = 1024, /* the text of a public key */
    CLASSIC_TEXT_MAX = HELIO_CLASSIC_MESSAGE_MAX,
    CLASSIC_DIGITS_MAX = 2 * CLASSIC_TEXT_MAX,
    CLASSIC_PREFIX_MAX = HELIO_NAME_MAX + 3
};

/* What the peer sends next. */
enum classic_state { AWAIT_YES, AWAIT_REPLY, AWAIT_PEM, AWAIT_HASH, TALK };

struct classic {
    struct helio_session session; /* first: the two are cast into each other */
    enum classic_state state;
    unsigned offset;
    helio_classic_counter counter;
    struct rsa_key *key;
    uint8_t hash[DIGEST_TEXT];         /* of the public key's text, ours or the peer's */
    size_t matched;                    /* how much of a text that is known beforehand has come */
    uint8_t gathered[CLASSIC_PEM_MAX]; /* responder: the peer's key; initiator: the reply */
    size_t gathered_n;
    struct repr_parser reply;
    struct keystream keystream;
    uint8_t prefix[CLASSIC_PREFIX_MAX]; /* initiator: "NAME : " or nothing */
    size_t prefix_n;
    bool our_turn;
    bool closed; /* by us */
    bool ended;  /* by the peer */
    size_t digits;
    uint8_t half;
    uint8_t text[CLASSIC_TEXT_MAX]; /* what the pending event shows */
};

_Static_assert((int)CLASSIC_PEM_MAX >= (int)REPR_READ_MAX, "gathered holds a reply as well");

/* The initiator speaks first: queues its public key.  key is set. */
HELIO_MUST_CHECK enum helio_err classic_begin(struct classic *c);

/* Each takes at least one of in[0..n), n > 0, or fails, and moves state on when its piece is whole. */
HELIO_MUST_CHECK enum helio_err classic_await_yes(struct classic *c, const uint8_t *in, size_t n,
                                                  size_t *used);
HELIO_MUST_CHECK enum helio_err classic_await_reply(struct classic *c, const uint8_t *in, size_t n,
                                                    size_t *used);
HELIO_MUST_CHECK enum helio_err classic_await_pem(struct classic *c, const uint8_t *in, size_t n,
                                                  size_t *used);
HELIO_MUST_CHECK enum helio_err classic_await_hash(struct classic *c, const uint8_t *in, size_t n,
                                                   size_t *used);

#endif
