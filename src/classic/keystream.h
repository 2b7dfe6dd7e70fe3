/*
 * keystream.h: what IDEA makes of the session digest: classic's keystream, the same for every
 * message of a session.
 *
 * The original gives its cipher library a 16-byte counter for a cipher of 8-byte blocks.  The
 * library encrypts all 16 bytes as two blocks and takes that as keystream.  The counter is the key
 * itself, and either stays (CONSTANT: 16 bytes of keystream, repeated) or goes up by one for each
 * 16 bytes, as one big-endian number of 128 bits (INCREMENTING).
 *
 * Invariant: block is the keystream of counter whenever position % 16 is not 0.
 */
#ifndef HELIO_CLASSIC_KEYSTREAM_H
#define HELIO_CLASSIC_KEYSTREAM_H

#include "classic/transport.h"
#include "helio.h"

enum { KEYSTREAM_KEY = 16, KEYSTREAM_OFFSET_MAX = DIGEST_TEXT - KEYSTREAM_KEY };

struct keystream {
    helio_idea idea;
    helio_classic_counter mode;
    uint8_t key[KEYSTREAM_KEY];
    uint8_t counter[KEYSTREAM_KEY];
    uint8_t block[KEYSTREAM_KEY];
    size_t position;
};

/* The key is the 16 characters at digest + offset; offset <= KEYSTREAM_OFFSET_MAX. */
void keystream_set_key(struct keystream *k, const uint8_t digest[DIGEST_TEXT], unsigned offset,
                       helio_classic_counter mode);
/* Back to the first byte: a new message begins. */
void keystream_restart(struct keystream *k);
/* XORs the next n bytes of keystream into p. */
void keystream_apply(struct keystream *k, uint8_t *p, size_t n);
void keystream_clear(struct keystream *k);

#endif
