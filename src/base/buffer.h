/*
 * buffer.h: a queue of bytes with a bound.
 *
 * Bytes go in at the end and come out at the front.  The buffer grows on demand up to the bound it
 * was given and never past it; buffer_reserve says no instead.  Memory that held bytes is wiped
 * before it is given back, because plaintext passes through here.
 *
 * Invariant: begin <= end <= capacity <= limit; data is NULL only when capacity is 0.
 */
#ifndef HELIO_BASE_BUFFER_H
#define HELIO_BASE_BUFFER_H

#include "helio.h"

struct buffer {
    uint8_t *data;
    size_t begin;
    size_t end;
    size_t capacity;
    size_t limit;
};

void buffer_init(struct buffer *b, size_t limit);
/* Wipes and frees; the buffer is empty and usable again. */
void buffer_clear(struct buffer *b);

static inline size_t buffer_size(const struct buffer *b)
{
    return b->end - b->begin;
}

/* NULL when nothing was ever put in: in C not even 0 may be added to that. */
static inline uint8_t *buffer_front(const struct buffer *b)
{
    return b->data ? b->data + b->begin : NULL;
}

/* How many bytes may still be added. */
static inline size_t buffer_room(const struct buffer *b)
{
    return b->limit - buffer_size(b);
}

/*
 * Makes room for n more bytes behind the last and hands out its address in *at; add them with
 * buffer_commit.  HELIO_E_AGAIN when that would pass the limit, HELIO_E_MEMORY.
 */
HELIO_MUST_CHECK enum helio_err buffer_reserve(struct buffer *b, size_t n, uint8_t **at);
/* The first n reserved bytes now count. */
void buffer_commit(struct buffer *b, size_t n);
/* reserve, copy, commit. */
HELIO_MUST_CHECK enum helio_err buffer_append(struct buffer *b, const void *p, size_t n);
/* Takes n <= buffer_size bytes off the front. */
void buffer_consume(struct buffer *b, size_t n);

#endif
