#include "helio1/wire.h"

#include <string.h>

#include "base/bytes.h"

/* protocol.md 2: the lengths that a body may have. */
static const struct range {
    size_t least;
    size_t most;
} body_range[FRAME_TYPE_END] = {
    [FRAME_HELLO] = {HELLO_MIN, HELLO_MAX},
    [FRAME_REPLY] = {REPLY_CLEAR_SIZE + PROOF_STEP + AEAD_TAG_SIZE, HANDSHAKE_MAX},
    [FRAME_AUTH] = {PROOF_STEP + AEAD_TAG_SIZE, HANDSHAKE_MAX},
    [FRAME_ACCEPT] = {1 + AEAD_TAG_SIZE, ACCEPT_BODY_MAX + AEAD_TAG_SIZE},
    [FRAME_RECORD] = {1 + AEAD_TAG_SIZE, RECORD_PLAIN_MAX + AEAD_TAG_SIZE},
    [FRAME_LEAVE] = {1 + AEAD_TAG_SIZE, 1 + AEAD_TAG_SIZE},
    [FRAME_ALERT] = {1, 1},
};

void frame_header_put(uint8_t out[FRAME_HEADER_SIZE], enum frame_type type, size_t length)
{
    out[0] = (uint8_t)type;
    put_u24(out + 1, length);
}

bool frame_header_get(struct frame_header *out, const uint8_t in[FRAME_HEADER_SIZE])
{
    unsigned type = in[0];
    size_t length = get_u24(in + 1);

    if (type < FRAME_HELLO || type >= FRAME_TYPE_END)
        return false;
    if (length < body_range[type].least || length > body_range[type].most)
        return false;
    *out = (struct frame_header){.type = (enum frame_type)type, .length = length};
    return true;
}

/* In the default order of preference. */
static const struct suite {
    uint16_t number;
    enum aead_cipher cipher;
    const char *name;
} suites[] = {
    {HELIO_SUITE_IDEA_CTR_POLY1305, AEAD_IDEA_CTR_POLY1305, "idea-ctr-poly1305"},
    {HELIO_SUITE_CHACHA20_POLY1305, AEAD_CHACHA20_POLY1305, "chacha20-poly1305"},
    {HELIO_SUITE_AES_256_GCM, AEAD_AES_256_GCM, "aes-256-gcm"},
};

enum { SUITE_COUNT = sizeof suites / sizeof *suites };

bool suite_cipher(uint16_t suite, enum aead_cipher *cipher)
{
    for (size_t i = 0; i < SUITE_COUNT; i++) {
        if (suites[i].number == suite) {
            *cipher = suites[i].cipher;
            return true;
        }
    }
    return false;
}

const char *helio_suite_name(uint16_t suite)
{
    for (size_t i = 0; i < SUITE_COUNT; i++)
        if (suites[i].number == suite)
            return suites[i].name;
    return NULL;
}

uint16_t helio_suite_by_name(const char *name)
{
    for (size_t i = 0; i < SUITE_COUNT; i++)
        if (strcmp(suites[i].name, name) == 0)
            return suites[i].number;
    return 0;
}

uint16_t helio_suite_at(size_t i)
{
    return i < SUITE_COUNT ? suites[i].number : 0;
}
