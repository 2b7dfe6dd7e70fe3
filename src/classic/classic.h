/*
 * classic.h: the protocol of the original Python program (docs/classic.md), in its own room.
 *
 * It is insecure and stays so: it is here to talk to that program byte for byte.  It shares no key,
 * no state and no code path with helio/1 beyond the session frame.
 */
#ifndef HELIO_CLASSIC_CLASSIC_H
#define HELIO_CLASSIC_CLASSIC_H

#include "crypto/rsa.h"
#include "session/session.h"

HELIO_MUST_CHECK enum helio_err classic_new(struct helio_session **out, const helio_config *config,
                                            helio_role role);
/* An initiator with a given key pair instead of a fresh one, for replaying recordings; takes key
 * over. */
HELIO_MUST_CHECK enum helio_err
classic_new_with_key(struct helio_session **out, const helio_config *config, struct rsa_key *key);

#endif
