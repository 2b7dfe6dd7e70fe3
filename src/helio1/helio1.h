/*
 * helio1.h: the helio/1 protocol (docs/protocol.md) behind the session frame.
 */
#ifndef HELIO_HELIO1_HELIO1_H
#define HELIO_HELIO1_HELIO1_H

#include "session/session.h"

HELIO_MUST_CHECK enum helio_err helio1_new(struct helio_session **out, const helio_config *config,
                                           helio_role role);

#endif
