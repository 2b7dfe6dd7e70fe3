#include "helio1/record.h"

#include <assert.h>
#include <string.h>

#include "base/wipe.h"

enum helio_err direction_begin(struct direction *d, enum aead_cipher cipher,
                               const uint8_t secret[SHA256_SIZE])
{
    *d = (struct direction){.cipher = cipher};
    memcpy(d->secret, secret, SHA256_SIZE);
    return schedule_key(&d->key, cipher, d->secret);
}

void direction_clear(struct direction *d)
{
    uint32_t epoch = d->epoch;

    aead_clear(&d->key);
    wipe(d, sizeof *d);
    d->epoch = epoch;
}

static enum helio_err begin_next_epoch(struct direction *d)
{
    enum helio_err err;

    if (d->epoch == UINT32_MAX) {
        d->spent = true;
        return HELIO_OK; /* the record just done was good; there is no next */
    }
    err = schedule_next_epoch(d->secret);
    if (err)
        return err;
    d->epoch++;
    d->number = 0;
    d->blocks = 0;
    return schedule_key(&d->key, d->cipher, d->secret);
}

/* Counts a record of n bytes of plaintext that was sealed or opened. */
static enum helio_err count_record(struct direction *d, size_t n)
{
    d->number++;
    d->blocks += RECORD_KEY_BLOCKS + (n + BLOCK_SIZE - 1) / BLOCK_SIZE;
    if (d->blocks < EPOCH_BLOCKS)
        return HELIO_OK;
    return begin_next_epoch(d);
}

static unsigned floor_log2(size_t x)
{
    unsigned log = 0;

    while (x >>= 1)
        log++;
    return log;
}

size_t record_padme(size_t length)
{
    if (length < 4)
        return length; /* as the formula has it, whose logarithms of less make no sense */
    unsigned e = floor_log2(length);
    unsigned s = floor_log2(e) + 1; /* at most e, since e >= 2 */
    size_t step_minus_one = ((size_t)1 << (e - s)) - 1;

    return (length + step_minus_one) & ~step_minus_one;
}

size_t record_plain_size(enum record_kind kind, size_t content_n)
{
    return kind == RECORD_MESSAGE ? record_padme(content_n + 1) : content_n + 1;
}

enum helio_err record_seal(struct direction *d, enum record_kind kind, const uint8_t *content,
                           size_t content_n, uint8_t *frame)
{
    size_t n = record_plain_size(kind, content_n);
    uint8_t *text = frame + FRAME_HEADER_SIZE;
    enum helio_err err;

    assert(content_n <= CONTENT_MAX);
    if (d->spent)
        return HELIO_E_EXHAUSTED;
    frame_header_put(frame, FRAME_RECORD, n + AEAD_TAG_SIZE);
    text[content_n] = (uint8_t)kind;
    memset(text + content_n + 1, 0, n - content_n - 1);
    err = aead_seal_pieces(&d->key, d->number, frame, FRAME_HEADER_SIZE, content, content_n, text,
                           n, text + n);
    return err ? err : count_record(d, n);
}

/* Takes padding and kind off text[0..n). */
static enum helio_err take_kind(const uint8_t *text, size_t n, struct record *out)
{
    while (n > 0 && text[n - 1] == 0)
        n--;
    if (n == 0 || text[n - 1] >= RECORD_KIND_END || n - 1 > CONTENT_MAX)
        return HELIO_E_BROKEN;
    *out = (struct record){(enum record_kind)text[n - 1], text, n - 1};
    return HELIO_OK;
}

enum helio_err record_open(struct direction *d, const uint8_t *frame, size_t n, uint8_t *text,
                           struct record *out)
{
    const uint8_t *sealed = frame + FRAME_HEADER_SIZE;
    size_t text_n = n - FRAME_HEADER_SIZE - AEAD_TAG_SIZE;
    enum helio_err err;

    if (d->spent)
        return HELIO_E_EXHAUSTED;
    err = aead_open(&d->key, d->number, frame, FRAME_HEADER_SIZE, sealed, text_n, text,
                    sealed + text_n);
    if (err)
        return err;
    err = count_record(d, text_n);
    return err ? err : take_kind(text, text_n, out);
}
