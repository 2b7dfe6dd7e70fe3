/*
 * bytes.h: big-endian integers in byte arrays, and a reader that cannot run past its end.
 *
 * A reader latches: once something was missing every later read fails, too, so a parser may read
 * all its fields and ask once, with reader_ended.
 */
#ifndef HELIO_BASE_BYTES_H
#define HELIO_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline void put_u16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void put_u24(uint8_t *p, size_t v)
{
    p[0] = (uint8_t)(v >> 16);
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)v;
}

static inline void put_u64(uint8_t *p, uint64_t v)
{
    for (int i = 7; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
}

static inline void put_u64_little(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++, v >>= 8)
        p[i] = (uint8_t)v;
}

static inline uint16_t get_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline size_t get_u24(const uint8_t *p)
{
    return (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
}

static inline uint64_t get_u64(const uint8_t *p)
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

struct reader {
    const uint8_t *at;
    size_t left;
    bool failed;
};

static inline struct reader reader_over(const uint8_t *p, size_t n)
{
    return (struct reader){.at = p, .left = n};
}

/* The next n bytes, or NULL (and from then on always NULL) when fewer are left. */
static inline const uint8_t *read_bytes(struct reader *r, size_t n)
{
    const uint8_t *p = r->at;

    if (r->failed || n > r->left) {
        r->failed = true;
        return NULL;
    }
    r->at += n;
    r->left -= n;
    return p;
}

/* 0 when missing: look at reader_ended before believing it. */
static inline unsigned read_u8(struct reader *r)
{
    const uint8_t *p = read_bytes(r, 1);

    return p ? p[0] : 0;
}

static inline unsigned read_u16(struct reader *r)
{
    const uint8_t *p = read_bytes(r, 2);

    return p ? get_u16(p) : 0;
}

/* A run of bytes behind its length. */
struct span {
    const uint8_t *p;
    size_t n;
};

static inline struct span read_opaque8(struct reader *r)
{
    size_t n = read_u8(r);
    const uint8_t *p = read_bytes(r, n);

    return (struct span){p, p ? n : 0};
}

static inline struct span read_opaque16(struct reader *r)
{
    size_t n = read_u16(r);
    const uint8_t *p = read_bytes(r, n);

    return (struct span){p, p ? n : 0};
}

/* True when nothing was missing and nothing is left over. */
static inline bool reader_ended(const struct reader *r)
{
    return !r->failed && r->left == 0;
}

#endif
