/*
 * idea_avx2.c: 16 blocks a vector.
 */
#include "idea/idea.h"

#include <immintrin.h>

#include "cpu/cpu.h"

typedef __m256i vec;

enum { LANES = 16, VECTORS = 6 };

#include "idea/vector.h"
#include "idea/vector_narrow.h"

INLINE vec vec_load(const uint16_t p[LANES])
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

INLINE void vec_store(uint16_t p[LANES], vec a)
{
    _mm256_storeu_si256((__m256i *)(void *)p, a);
}

INLINE vec vec_spread(uint32_t pair)
{
    return _mm256_set1_epi32((int)pair);
}

INLINE vec vec_zero(void)
{
    return _mm256_setzero_si256();
}

INLINE vec vec_add(vec a, vec b)
{
    return _mm256_add_epi16(a, b);
}

INLINE vec vec_sub(vec a, vec b)
{
    return _mm256_sub_epi16(a, b);
}

INLINE vec vec_xor(vec a, vec b)
{
    return _mm256_xor_si256(a, b);
}

INLINE vec vec_sub_to_zero(vec a, vec b)
{
    return _mm256_subs_epu16(a, b);
}

INLINE vec vec_multiply_low(vec a, vec b)
{
    return _mm256_mullo_epi16(a, b);
}

INLINE vec vec_multiply_high(vec a, vec b)
{
    return _mm256_mulhi_epu16(a, b);
}

/* Where vec_join leaves them: two neighbours in each 128 bits of each of its four vectors. */
INLINE vec vec_blocks(uint16_t first)
{
    static const uint16_t numbers[LANES] = {0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15};

    return vec_add(vec_load(numbers), spread_word(first));
}

INLINE struct vec_joined vec_join(struct vec_block b)
{
    const vec swap = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14));
    vec wx_low = _mm256_unpacklo_epi16(b.w, b.x), wx_high = _mm256_unpackhi_epi16(b.w, b.x);
    vec yz_low = _mm256_unpacklo_epi16(b.y, b.z), yz_high = _mm256_unpackhi_epi16(b.y, b.z);
    struct vec_joined j = {
        {_mm256_unpacklo_epi32(wx_low, yz_low), _mm256_unpackhi_epi32(wx_low, yz_low),
         _mm256_unpacklo_epi32(wx_high, yz_high), _mm256_unpackhi_epi32(wx_high, yz_high)}};

    UNROLL
    for (int i = 0; i < 4; i++)
        j.part[i] = _mm256_shuffle_epi8(j.part[i], swap);
    return j;
}

const struct idea_kernel idea_kernel_avx2 = {
    .name = "avx2",
    .needs = CPU_AVX2,
    .batch = VECTORS * VECTOR_BYTES,
    .ctr = ctr_vectors,
    .products = products_vectors,
};
