#include "base/buffer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"

void buffer_init(struct buffer *b, size_t limit)
{
    *b = (struct buffer){.limit = limit};
}

void buffer_clear(struct buffer *b)
{
    if (b->data)
        wipe(b->data, b->capacity);
    free(b->data);
    buffer_init(b, b->limit);
}

/* Doubles from 512 so that appending n bytes one by one copies O(n); never past the limit. */
static size_t grown_capacity(const struct buffer *b, size_t needed)
{
    size_t capacity = b->capacity ? b->capacity : 512;

    while (capacity < needed)
        capacity *= 2;
    return capacity < b->limit ? capacity : b->limit;
}

static enum helio_err grow(struct buffer *b, size_t needed)
{
    size_t size = buffer_size(b);
    size_t capacity = grown_capacity(b, needed);
    uint8_t *data = malloc(capacity);

    if (!data)
        return HELIO_E_MEMORY;
    /* Not realloc: it would leave the old bytes behind unwiped. */
    if (size > 0)
        memcpy(data, buffer_front(b), size);
    buffer_clear(b);
    b->data = data;
    b->end = size;
    b->capacity = capacity;
    return HELIO_OK;
}

enum helio_err buffer_reserve(struct buffer *b, size_t n, uint8_t **at)
{
    size_t size = buffer_size(b);

    if (n > buffer_room(b))
        return HELIO_E_AGAIN;
    if (n > b->capacity - size) {
        enum helio_err err = grow(b, size + n);
        if (err)
            return err;
    } else if (n > b->capacity - b->end) {
        memmove(b->data, buffer_front(b), size);
        b->begin = 0;
        b->end = size;
    }
    *at = b->data + b->end;
    return HELIO_OK;
}

void buffer_commit(struct buffer *b, size_t n)
{
    assert(n <= b->capacity - b->end);
    b->end += n;
}

enum helio_err buffer_append(struct buffer *b, const void *p, size_t n)
{
    uint8_t *at;
    enum helio_err err;

    if (n == 0)
        return HELIO_OK;
    err = buffer_reserve(b, n, &at);
    if (err)
        return err;
    memcpy(at, p, n);
    buffer_commit(b, n);
    return HELIO_OK;
}

void buffer_consume(struct buffer *b, size_t n)
{
    assert(n <= buffer_size(b));
    b->begin += n;
    if (b->begin == b->end)
        b->begin = b->end = 0;
}
