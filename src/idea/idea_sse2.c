/*
 * idea_sse2.c: 8 blocks a vector.
 */
#include "idea/idea.h"

#include <emmintrin.h>

#include "cpu/cpu.h"

typedef __m128i vec;

enum { LANES = 8, VECTORS = 6 };

#include "idea/vector.h"
#include "idea/vector_narrow.h"

INLINE vec vec_load(const uint16_t p[LANES])
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

INLINE void vec_store(uint16_t p[LANES], vec a)
{
    _mm_storeu_si128((__m128i *)(void *)p, a);
}

INLINE vec vec_spread(uint32_t pair)
{
    return _mm_set1_epi32((int)pair);
}

INLINE vec vec_zero(void)
{
    return _mm_setzero_si128();
}

INLINE vec vec_add(vec a, vec b)
{
    return _mm_add_epi16(a, b);
}

INLINE vec vec_sub(vec a, vec b)
{
    return _mm_sub_epi16(a, b);
}

INLINE vec vec_xor(vec a, vec b)
{
    return _mm_xor_si128(a, b);
}

INLINE vec vec_sub_to_zero(vec a, vec b)
{
    return _mm_subs_epu16(a, b);
}

INLINE vec vec_multiply_low(vec a, vec b)
{
    return _mm_mullo_epi16(a, b);
}

INLINE vec vec_multiply_high(vec a, vec b)
{
    return _mm_mulhi_epu16(a, b);
}

/* In order: with one run of 128 bits vec_join has nowhere to take them. */
INLINE vec vec_blocks(uint16_t first)
{
    return vec_add(_mm_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7), spread_word(first));
}

/* SSE2 has no shuffle of bytes. */
INLINE vec swap_bytes(vec a)
{
    return _mm_or_si128(_mm_slli_epi16(a, 8), _mm_srli_epi16(a, 8));
}

INLINE struct vec_joined vec_join(struct vec_block b)
{
    vec w = swap_bytes(b.w), x = swap_bytes(b.x), y = swap_bytes(b.y), z = swap_bytes(b.z);
    vec wx_low = _mm_unpacklo_epi16(w, x), wx_high = _mm_unpackhi_epi16(w, x);
    vec yz_low = _mm_unpacklo_epi16(y, z), yz_high = _mm_unpackhi_epi16(y, z);

    return (struct vec_joined){
        {_mm_unpacklo_epi32(wx_low, yz_low), _mm_unpackhi_epi32(wx_low, yz_low),
         _mm_unpacklo_epi32(wx_high, yz_high), _mm_unpackhi_epi32(wx_high, yz_high)}};
}

const struct idea_kernel idea_kernel_sse2 = {
    .name = "sse2",
    .needs = CPU_SSE2,
    .batch = VECTORS * VECTOR_BYTES,
    .ctr = ctr_vectors,
    .products = products_vectors,
};
