/*
 * ask.h: what becomes of HELIO_EVENT_PEER in a call.
 *
 * An initiator that must ask its user leaves first (HELIO_REFUSE_ASKING) and asks when the line is
 * gone; the verb then calls again.  A responder asks at once, without blocking the loop, while the
 * initiator waits: it has proved its key already.
 */
#ifndef HELIO_TALK_ASK_H
#define HELIO_TALK_ASK_H

#include "talk/talk.h"

/* Answers HELIO_EVENT_PEER of the present call, at once or later. */
void trust_call(struct talk *talk);
/* Takes a question that still stands off the terminal. */
void trust_cancel(struct talk *talk);
/*
 * Initiator, line gone, call.asking set: asks, blocking.  STATUS_DONE: the key is remembered and
 * pinned, call again; else it was said why not.
 */
HELIO_MUST_CHECK int trust_ask_and_pin(struct talk *talk);

#endif
