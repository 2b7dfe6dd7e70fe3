/*
 * wire.h: every frame, length, limit and label of helio/1 (docs/protocol.md), and nothing else.
 */
#ifndef HELIO_HELIO1_WIRE_H
#define HELIO_HELIO1_WIRE_H

#include <stdbool.h>

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/rsa.h"
#include "crypto/x25519.h"
#include "helio.h"

enum { WIRE_VERSION = 1 };

/* -- frames (2) -- */

enum frame_type {
    FRAME_HELLO = 1,
    FRAME_REPLY = 2,
    FRAME_AUTH = 3,
    FRAME_ACCEPT = 4,
    FRAME_RECORD = 5,
    FRAME_LEAVE = 6,
    FRAME_ALERT = 7,
    FRAME_TYPE_END
};

enum { FRAME_HEADER_SIZE = 4 };

/* -- handshake (5) -- */

enum {
    RANDOM_SIZE = 32,
    SUITES_MAX = 32,
    HELLO_MIN = 1 + RANDOM_SIZE + 1 + 2 + 2 + X25519_SIZE,
    HELLO_MAX = 1536,
    REPLY_CLEAR_SIZE = 2 + RANDOM_SIZE + 2 + X25519_SIZE,

    CONFIRMATION_SIZE = SHA256_SIZE,
    PROOF_STEP = 512, /* a proof is padded to a multiple of this */
    HANDSHAKE_MAX = 3584,
    PROOF_MAX = HANDSHAKE_MAX - AEAD_TAG_SIZE,
    EXTRA_MAX = 1 + HELIO_NAME_MAX + 1 + HELIO_SERVICE_MAX,

    ACCEPT_BODY_MAX = 1 + 1 + HELIO_NAME_MAX
};

/* First byte of ACCEPT. */
enum accept_answer { ACCEPT_YES = 0, ACCEPT_NO = 1, ACCEPT_WAIT = 2 };

/* ALERT in clear. */
enum clear_alert { ALERT_FAILED = 1, ALERT_NO_COMMON = 2 };

/* -- records (6) -- */

enum record_kind {
    RECORD_DATA = 1,
    RECORD_MESSAGE = 2,
    RECORD_CLOSE = 3,
    RECORD_PING = 4,
    RECORD_PONG = 5,
    RECORD_ALERT = 6,
    RECORD_RECEIPT = 7,
    RECORD_RESULT = 8,
    RECORD_KIND_END
};

enum record_alert { RECORD_ALERT_FAILED = 1, RECORD_ALERT_VIOLATION = 2 };

enum {
    CONTENT_MAX = HELIO_SEND_MAX,
    PING_MAX = 64,
    RESULT_SIZE = 1,
    RECORD_PLAIN_MAX = 67584, /* Padme of CONTENT_MAX + 1 */
    FRAME_MAX = FRAME_HEADER_SIZE + RECORD_PLAIN_MAX + AEAD_TAG_SIZE
};

/* -- epochs (4.4) -- */

enum {
    EPOCH_BLOCKS = 1 << 17,
    RECORD_KEY_BLOCKS = 4, /* the one-time Poly1305 key */
    BLOCK_SIZE = 8
};

_Static_assert(HANDSHAKE_MAX % PROOF_STEP == 0,
               "the longest frame leaves room for tag and padding");
_Static_assert((size_t)RECORD_PLAIN_MAX <= (size_t)AEAD_TEXT_MAX, "a record fits under one number");

struct frame_header {
    enum frame_type type;
    size_t length;
};

void frame_header_put(uint8_t out[FRAME_HEADER_SIZE], enum frame_type type, size_t length);
/* False when the type is none of ours or the length is outside its range. */
bool frame_header_get(struct frame_header *out, const uint8_t in[FRAME_HEADER_SIZE]);

/* The cipher of a suite number of ours; false for others (3). */
bool suite_cipher(uint16_t suite, enum aead_cipher *cipher);

#endif
