/*
 * idea_neon.c: 8 blocks a vector.
 *
 * NEON has no instruction for the high half of a product of words: the whole products of both halves
 * of a vector are made, and their high halves taken together.
 */
#include "idea/idea.h"

#include <arm_neon.h>

#include "cpu/cpu.h"

typedef uint16x8_t vec;

enum { LANES = 8, VECTORS = 6 };

#include "idea/vector.h"
#include "idea/vector_narrow.h"

INLINE vec vec_load(const uint16_t p[LANES])
{
    return vld1q_u16(p);
}

INLINE void vec_store(uint16_t p[LANES], vec a)
{
    vst1q_u16(p, a);
}

INLINE vec vec_spread(uint32_t pair)
{
    return vreinterpretq_u16_u32(vdupq_n_u32(pair));
}

INLINE vec vec_zero(void)
{
    return vdupq_n_u16(0);
}

INLINE vec vec_add(vec a, vec b)
{
    return vaddq_u16(a, b);
}

INLINE vec vec_sub(vec a, vec b)
{
    return vsubq_u16(a, b);
}

INLINE vec vec_xor(vec a, vec b)
{
    return veorq_u16(a, b);
}

INLINE vec vec_sub_to_zero(vec a, vec b)
{
    return vqsubq_u16(a, b);
}

INLINE vec vec_multiply_low(vec a, vec b)
{
    return vmulq_u16(a, b);
}

/* Seen as words, each whole product is its low half and then its high half. */
INLINE vec vec_multiply_high(vec a, vec b)
{
    vec first = vreinterpretq_u16_u32(vmull_u16(vget_low_u16(a), vget_low_u16(b)));
    vec last = vreinterpretq_u16_u32(vmull_high_u16(a, b));

    return vuzp2q_u16(first, last);
}

/* In order: the halves of vec_join's zips are. */
INLINE vec vec_blocks(uint16_t first)
{
    static const uint16_t numbers[LANES] = {0, 1, 2, 3, 4, 5, 6, 7};

    return vec_add(vec_load(numbers), spread_word(first));
}

INLINE uint32x4_t join_words(vec high, vec low, bool last)
{
    vec words = last ? vzip2q_u16(high, low) : vzip1q_u16(high, low);

    return vreinterpretq_u32_u8(vrev16q_u8(vreinterpretq_u8_u16(words)));
}

INLINE struct vec_joined vec_join(struct vec_block b)
{
    uint32x4_t wx_low = join_words(b.w, b.x, false), wx_high = join_words(b.w, b.x, true);
    uint32x4_t yz_low = join_words(b.y, b.z, false), yz_high = join_words(b.y, b.z, true);

    return (struct vec_joined){{vreinterpretq_u16_u32(vzip1q_u32(wx_low, yz_low)),
                                vreinterpretq_u16_u32(vzip2q_u32(wx_low, yz_low)),
                                vreinterpretq_u16_u32(vzip1q_u32(wx_high, yz_high)),
                                vreinterpretq_u16_u32(vzip2q_u32(wx_high, yz_high))}};
}

const struct idea_kernel idea_kernel_neon = {
    .name = "neon",
    .needs = CPU_NEON,
    .batch = VECTORS * VECTOR_BYTES,
    .ctr = ctr_vectors,
    .products = products_vectors,
};
