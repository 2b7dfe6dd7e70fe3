/*
 * idea_avx512bw.c: 32 blocks a vector.
 *
 * While vectors are this wide a processor has two ports for them, and one of the two must do all
 * that compares or shuffles.  So what counts is the number of operations, as long as no more than
 * half of them are of that kind.  Comparing into mask registers and working under a mask saves two
 * in every product against the narrower kernels.
 */
#include "idea/idea.h"

#include <immintrin.h>

#include "cpu/cpu.h"

typedef __m512i vec;

enum { LANES = 32, VECTORS = 6 };

#include "idea/vector.h"

INLINE vec vec_load(const uint16_t p[LANES])
{
    return _mm512_loadu_si512(p);
}

INLINE void vec_store(uint16_t p[LANES], vec a)
{
    _mm512_storeu_si512(p, a);
}

INLINE vec vec_spread(uint32_t pair)
{
    return _mm512_set1_epi32((int)pair);
}

INLINE vec vec_add(vec a, vec b)
{
    return _mm512_add_epi16(a, b);
}

INLINE vec vec_sub(vec a, vec b)
{
    return _mm512_sub_epi16(a, b);
}

INLINE vec vec_xor(vec a, vec b)
{
    return _mm512_xor_si512(a, b);
}

/* ------------------------------------------------------------------------------ arithmetic -- */

/*
 * high - low, and where that borrows: the negative of the product, but for the borrow.  A lane in
 * which x is 0 stands for 65536: its low half is 0 and its high half the factor, which is what the
 * masked multiplication leaves there.
 */
INLINE __mmask32 multiply_halves(vec x, struct vec_factor k, vec *low, vec *high)
{
    *low = _mm512_mullo_epi16(x, k.low);
    *high = _mm512_mask_mulhi_epu16(k.high, _mm512_test_epi16_mask(x, x), x, k.high);
    return _mm512_cmplt_epu16_mask(*high, *low);
}

INLINE vec vec_product(vec x, struct vec_factor k)
{
    vec low, high;
    __mmask32 borrow = multiply_halves(x, k, &low, &high);
    vec difference = vec_sub(high, low);

    return _mm512_mask_add_epi16(difference, borrow, difference, k.one);
}

INLINE vec vec_product_negated(vec x, struct vec_factor k)
{
    vec low, high;
    __mmask32 borrow = multiply_halves(x, k, &low, &high);
    vec difference = vec_sub(low, high);

    return _mm512_mask_sub_epi16(difference, borrow, difference, k.one);
}

INLINE vec vec_product_of_negative(vec n, struct vec_factor k)
{
    vec low = _mm512_mullo_epi16(n, k.low);
    vec high = vec_sub(_mm512_mulhi_epu16(n, k.high), k.high);
    vec difference = vec_sub(low, high);

    return _mm512_mask_sub_epi16(difference, _mm512_cmpgt_epu16_mask(low, high), difference, k.one);
}

/* -------------------------------------------------------------------------- blocks and bytes -- */

/* Where join leaves them: two neighbours in each 128 bits of each of its four vectors. */
INLINE vec vec_blocks(uint16_t first)
{
    static const uint16_t numbers[LANES] = {0,  1,  8,  9,  16, 17, 24, 25, 2,  3,  10,
                                            11, 18, 19, 26, 27, 4,  5,  12, 13, 20, 21,
                                            28, 29, 6,  7,  14, 15, 22, 23, 30, 31};

    return vec_add(vec_load(numbers), spread_word(first));
}

/* The blocks as they go out, 64 bytes a vector. */
struct joined {
    vec part[4];
};

INLINE struct joined join(struct vec_block b)
{
    const vec swap =
        _mm512_broadcast_i32x4(_mm_setr_epi8(1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14));
    vec wx_low = _mm512_unpacklo_epi16(b.w, b.x), wx_high = _mm512_unpackhi_epi16(b.w, b.x);
    vec yz_low = _mm512_unpacklo_epi16(b.y, b.z), yz_high = _mm512_unpackhi_epi16(b.y, b.z);
    struct joined j = {
        {_mm512_unpacklo_epi32(wx_low, yz_low), _mm512_unpackhi_epi32(wx_low, yz_low),
         _mm512_unpacklo_epi32(wx_high, yz_high), _mm512_unpackhi_epi32(wx_high, yz_high)}};

    UNROLL
    for (int i = 0; i < 4; i++)
        j.part[i] = _mm512_shuffle_epi8(j.part[i], swap);
    return j;
}

INLINE void vec_xor_blocks(uint8_t *out, const uint8_t *in, struct vec_block b)
{
    struct joined j = join(b);

    UNROLL
    for (size_t i = 0; i < 4; i++)
        _mm512_storeu_si512(out + 64 * i, vec_xor(j.part[i], _mm512_loadu_si512(in + 64 * i)));
}

/* Lanes under a mask that is 0 are neither read nor written: a page that is not there is no fault. */
INLINE void vec_xor_bytes(uint8_t *out, const uint8_t *in, size_t n, struct vec_block b)
{
    struct joined j = join(b);

    UNROLL
    for (size_t i = 0; i < 4; i++)
        if (n > 64 * i) {
            size_t left = n - 64 * i;
            __mmask64 bytes = left < 64 ? (UINT64_C(1) << left) - 1 : UINT64_MAX;
            vec text = _mm512_maskz_loadu_epi8(bytes, in + 64 * i);

            _mm512_mask_storeu_epi8(out + 64 * i, bytes, vec_xor(j.part[i], text));
        }
}

const struct idea_kernel idea_kernel_avx512bw = {
    .name = "avx512bw",
    .needs = CPU_AVX512BW,
    .batch = VECTORS * VECTOR_BYTES,
    .ctr = ctr_vectors,
    .products = products_vectors,
};
