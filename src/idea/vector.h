/*
 * vector.h: counter mode as every vector kernel does it.  Not a header to share declarations: a
 * kernel includes it once, after it has defined
 *
 *   vec       a vector of LANES words of 16 bits
 *   LANES     8, 16 or 32
 *   VECTORS   how many of them a batch has at most, 2 or more: one alone would wait for the
 *             multiplier most of the time
 *
 * and after it the vec_ functions declared below.  The header defines ctr_vectors and
 * products_vectors.  Lane i of the four vectors w, x, y, z holds one block.
 *
 * Three things are cheaper here than they look:
 *  - While the low 16 bits of the counter do not wrap, w, x and y are the same in all lanes, and so
 *    are the first round's products of w and of s.  They are made once a run, not once a vector.
 *  - The product s is needed as it is only in u = (x ^ z) + s and in s + t.  Negated it serves both:
 *    0 - u = (0 - s) - (x ^ z), which is what the next product wants, and s + t = t - (0 - s).
 *  - The middle words' trade of places at the end of a round is a matter of names.
 */
#include "base/bytes.h"
#include "base/wipe.h"

/* A call in the middle would put all vectors into memory. */
#define INLINE static inline __attribute__((always_inline))
/* The vectors of a batch are an array for the reader only: they must end up in registers. */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

struct vec_factor {
    vec low, high, one;
};

struct vec_block {
    vec w, x, y, z;
};

INLINE vec vec_load(const uint16_t p[LANES]); /* not aligned */
INLINE void vec_store(uint16_t p[LANES], vec a);
/* pair's two halves are equal: that word in every lane. */
INLINE vec vec_spread(uint32_t pair);
INLINE vec vec_add(vec a, vec b);
INLINE vec vec_sub(vec a, vec b);
INLINE vec vec_xor(vec a, vec b);
/* x * k as idea_multiply. */
INLINE vec vec_product(vec x, struct vec_factor k);
/* 0 - x * k. */
INLINE vec vec_product_negated(vec x, struct vec_factor k);
/* x * k, given n = 0 - x. */
INLINE vec vec_product_of_negative(vec n, struct vec_factor k);
/*
 * first + the number of the block whose words stand in each lane: where they stand is for the kernel
 * to choose, so that the shuffles of vec_xor_blocks need not cross lanes.
 */
INLINE vec vec_blocks(uint16_t first);
/* XORs VECTOR_BYTES bytes with the blocks, big-endian and in order. */
INLINE void vec_xor_blocks(uint8_t *out, const uint8_t *in, struct vec_block b);
/* The same for the first n bytes, 0 < n < VECTOR_BYTES, and touches no others. */
INLINE void vec_xor_bytes(uint8_t *out, const uint8_t *in, size_t n, struct vec_block b);

enum { VECTOR_BYTES = IDEA_BLOCK_SIZE * LANES };

INLINE struct vec_factor spread_factor(const uint32_t k[IDEA_FACTOR_SIZE])
{
    return (struct vec_factor){vec_spread(k[IDEA_FACTOR_LOW]), vec_spread(k[IDEA_FACTOR_HIGH]),
                               vec_spread(k[IDEA_FACTOR_ONE])};
}

/* What the first round makes of the words that do not change during a run. */
struct first_round {
    uint16_t w, x, y, s;
};

static struct first_round first_round_of(const uint16_t k[6], uint64_t counter)
{
    struct first_round f;

    f.w = idea_multiply((uint16_t)(counter >> 48), k[0]);
    f.x = (uint16_t)((counter >> 32) + k[1]);
    f.y = (uint16_t)((counter >> 16) + k[2]);
    f.s = (uint16_t)-idea_multiply(f.w ^ f.y, k[4]); /* negated, as below */
    return f;
}

/* The end of a round, from the product s, negated, on; b holds what the round's first four steps
   made. */
INLINE struct vec_block mix(struct vec_block b, vec s, struct vec_factor k)
{
    vec t = vec_product_of_negative(vec_sub(s, vec_xor(b.x, b.z)), k);

    s = vec_sub(t, s);
    return (struct vec_block){vec_xor(b.w, t), vec_xor(b.y, t), vec_xor(b.x, s), vec_xor(b.z, s)};
}

INLINE vec spread_word(uint16_t word)
{
    return vec_spread(word * UINT32_C(0x10001));
}

INLINE void begin(struct vec_block b[], size_t count, const uint32_t *k,
                  const struct first_round *f, vec counts)
{
    const vec w = spread_word(f->w), x = spread_word(f->x), y = spread_word(f->y);
    const vec s = spread_word(f->s);
    const struct vec_factor kz = spread_factor(k + IDEA_WIDE_Z),
                            kt = spread_factor(k + IDEA_WIDE_T);

    UNROLL
    for (size_t i = 0; i < count; i++) {
        vec z = vec_add(counts, spread_word((uint16_t)(LANES * i)));

        b[i] = mix((struct vec_block){w, x, y, vec_product(z, kz)}, s, kt);
    }
}

INLINE void go_round(struct vec_block b[], size_t count, const uint32_t *k)
{
    const struct vec_factor kw = spread_factor(k + IDEA_WIDE_W),
                            kz = spread_factor(k + IDEA_WIDE_Z);
    const struct vec_factor ks = spread_factor(k + IDEA_WIDE_S),
                            kt = spread_factor(k + IDEA_WIDE_T);
    const vec kx = vec_spread(k[IDEA_WIDE_X]), ky = vec_spread(k[IDEA_WIDE_Y]);

    UNROLL
    for (size_t i = 0; i < count; i++) {
        b[i].w = vec_product(b[i].w, kw);
        b[i].x = vec_add(b[i].x, kx);
        b[i].y = vec_add(b[i].y, ky);
        b[i].z = vec_product(b[i].z, kz);
    }
    UNROLL
    for (size_t i = 0; i < count; i++)
        b[i] = mix(b[i], vec_product_negated(vec_xor(b[i].w, b[i].y), ks), kt);
}

/* The output transform: the middle words trade places once more, undoing the last round's trade. */
INLINE void finish(struct vec_block b[], size_t count, const uint32_t *k)
{
    const struct vec_factor kw = spread_factor(k + IDEA_WIDE_W),
                            kz = spread_factor(k + IDEA_WIDE_Z);
    const vec kx = vec_spread(k[IDEA_WIDE_X]), ky = vec_spread(k[IDEA_WIDE_Y]);

    UNROLL
    for (size_t i = 0; i < count; i++)
        b[i] = (struct vec_block){vec_product(b[i].w, kw), vec_add(b[i].y, kx), vec_add(b[i].x, ky),
                                  vec_product(b[i].z, kz)};
}

/*
 * n bytes, at most count vectors of them.  k is the whole schedule; counts has the low words of the
 * first vector's counters.
 */
INLINE void batch(const uint32_t *k, const struct first_round *f, vec counts, size_t count,
                  uint8_t *out, const uint8_t *in, size_t n)
{
    struct vec_block b[VECTORS];

    begin(b, count, k, f, counts);
    k += IDEA_WIDE_ROUND;
    for (size_t round = 1; round < IDEA_ROUNDS; round++, k += IDEA_WIDE_ROUND)
        go_round(b, count, k);
    finish(b, count, k);
    UNROLL
    for (size_t i = 0; i < count; i++) {
        size_t at = VECTOR_BYTES * i;

        if (n >= at + VECTOR_BYTES)
            vec_xor_blocks(out + at, in + at, b[i]);
        else if (n > at)
            vec_xor_bytes(out + at, in + at, n - at, b[i]);
    }
}

/* n bytes whose counters differ in their low words only. */
static void run(const helio_idea *idea, uint64_t counter, uint8_t *out, const uint8_t *in, size_t n)
{
    enum { FULL = VECTORS * VECTOR_BYTES };
    struct first_round f = first_round_of(idea->encrypt, counter);
    vec counts = vec_blocks((uint16_t)counter);

    for (; n >= FULL; n -= FULL, in += FULL, out += FULL) {
        batch(idea->wide, &f, counts, VECTORS, out, in, FULL);
        counts = vec_add(counts, spread_word(VECTORS * LANES));
    }
    /* A short message must not pay for a batch. */
    if (n > 4 * VECTOR_BYTES)
        batch(idea->wide, &f, counts, VECTORS, out, in, n);
    else if (n > 2 * VECTOR_BYTES)
        batch(idea->wide, &f, counts, VECTORS < 4 ? VECTORS : 4, out, in, n);
    else if (n > VECTOR_BYTES)
        batch(idea->wide, &f, counts, 2, out, in, n);
    else if (n > 0)
        batch(idea->wide, &f, counts, 1, out, in, n);
    wipe(&f, sizeof f);
}

static void ctr_vectors(const helio_idea *idea, uint64_t counter, uint8_t *out, const uint8_t *in,
                        size_t n)
{
    while (n > 0) {
        size_t until_wrap = IDEA_BLOCK_SIZE * (0x10000 - (size_t)(counter & 0xffff));
        size_t now = n < until_wrap ? n : until_wrap;

        run(idea, counter, out, in, now);
        counter += now / IDEA_BLOCK_SIZE; /* only the last piece may end inside a block */
        out += now;
        in += now;
        n -= now;
    }
}

INLINE vec product_by(vec x, struct vec_factor k, enum idea_form form)
{
    const vec zero = vec_spread(0);

    if (form == IDEA_FORM_NEGATED)
        return vec_sub(zero, vec_product_negated(x, k));
    if (form == IDEA_FORM_OF_NEGATIVE)
        return vec_product_of_negative(vec_sub(zero, x), k);
    return vec_product(x, k);
}

static void products_vectors(uint16_t *x, size_t n, uint16_t k, enum idea_form form)
{
    uint32_t factor[IDEA_FACTOR_SIZE];

    idea_factor_set(factor, k);
    for (size_t i = 0; i < n; i += LANES)
        vec_store(x + i, product_by(vec_load(x + i), spread_factor(factor), form));
}
