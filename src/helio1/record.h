/*
 * record.h: one direction of an open line: records, their numbers and its epochs (protocol.md 4.4
 * and 6).
 *
 * A direction seals or opens, never both.  Both stations count blocks alike and so change keys at
 * the same record without a message.
 *
 * Invariants: blocks < EPOCH_BLOCKS between calls, unless spent, and so number < 2^15; a number is
 * used once under a key; the secret of an epoch is gone once the next has begun.
 */
#ifndef HELIO_HELIO1_RECORD_H
#define HELIO_HELIO1_RECORD_H

#include "helio1/schedule.h"

struct direction {
    enum aead_cipher cipher;
    uint8_t secret[SHA256_SIZE];
    struct aead_key key;
    uint64_t number;
    uint64_t blocks;
    uint32_t epoch;
    bool spent; /* the last epoch is used up: nothing more can be sealed or opened */
};

HELIO_MUST_CHECK enum helio_err direction_begin(struct direction *d, enum aead_cipher cipher,
                                                const uint8_t secret[SHA256_SIZE]);
/* Wipes all but the epoch's number, which is public; a zeroed struct is fine. */
void direction_clear(struct direction *d);

/* L rounded up so that its length tells O(log log L) bits (Nikitin et al. 2019); L >= 1. */
size_t record_padme(size_t length);

/* What the plaintext of a record takes: content, kind and padding (messages only). */
size_t record_plain_size(enum record_kind kind, size_t content_n);

/*
 * Writes a whole frame, FRAME_HEADER_SIZE + record_plain_size + AEAD_TAG_SIZE bytes, to frame; the
 * content is sealed on its way there.
 * content_n <= CONTENT_MAX; content does not overlap frame.  HELIO_E_EXHAUSTED.
 */
HELIO_MUST_CHECK enum helio_err record_seal(struct direction *d, enum record_kind kind,
                                            const uint8_t *content, size_t content_n,
                                            uint8_t *frame);
/* What a record says: content points into the text that record_open was given. */
struct record {
    enum record_kind kind;
    const uint8_t *content;
    size_t n;
};

/*
 * Opens frame[0..n), header included, to text, which has room for n bytes, and is the frame's own
 * body or does not overlap it.  HELIO_E_BROKEN for all that is not a record that the peer's
 * direction sealed as its next; HELIO_E_EXHAUSTED.
 */
HELIO_MUST_CHECK enum helio_err record_open(struct direction *d, const uint8_t *frame, size_t n,
                                            uint8_t *text, struct record *out);

#endif
