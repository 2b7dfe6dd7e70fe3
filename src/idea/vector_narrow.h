/*
 * vector_narrow.h: what the kernels without mask registers share, beside vector.h; each includes it
 * once, right after that.
 *
 * Their product starts from n = 0 - x: that runs from 0 for x = 65536 to 65535 for x = 1 without a
 * gap, so that no lane is a special case.  docs/idea.md has the proof.
 */

/* The blocks as they go out, a vector after the other. */
struct vec_joined {
    vec part[4];
};

INLINE vec vec_zero(void);
/* a - b, or 0 where that is negative. */
INLINE vec vec_sub_to_zero(vec a, vec b);
/* The halves of the product of two words without sign. */
INLINE vec vec_multiply_low(vec a, vec b);
INLINE vec vec_multiply_high(vec a, vec b);
INLINE struct vec_joined vec_join(struct vec_block b);

/*
 * The product is *above - *below.  One of the two differences is 0; the other is the distance of the
 * halves, less one for the borrow.
 */
INLINE void multiply_negative(vec n, struct vec_factor k, vec *above, vec *below)
{
    vec low = vec_multiply_low(n, k.low);
    vec high = vec_sub(vec_multiply_high(n, k.high), k.high);

    *above = vec_sub_to_zero(vec_sub_to_zero(low, high), k.one);
    *below = vec_sub_to_zero(high, low);
}

INLINE vec vec_product_of_negative(vec n, struct vec_factor k)
{
    vec above, below;

    multiply_negative(n, k, &above, &below);
    return vec_sub(above, below);
}

INLINE vec vec_product(vec x, struct vec_factor k)
{
    return vec_product_of_negative(vec_sub(vec_zero(), x), k);
}

INLINE vec vec_product_negated(vec x, struct vec_factor k)
{
    vec above, below;

    multiply_negative(vec_sub(vec_zero(), x), k, &above, &below);
    return vec_sub(below, above);
}

INLINE void xor_part(uint8_t *out, const uint8_t *in, vec part)
{
    vec text;

    memcpy(&text, in, sizeof text);
    text = vec_xor(text, part);
    memcpy(out, &text, sizeof text);
}

INLINE void vec_xor_blocks(uint8_t *out, const uint8_t *in, struct vec_block b)
{
    struct vec_joined j = vec_join(b);

    UNROLL
    for (size_t i = 0; i < 4; i++)
        xor_part(out + sizeof(vec) * i, in + sizeof(vec) * i, j.part[i]);
}

/* Not inline: with it the compiler would keep an array of bytes where registers do. */
static void xor_ragged(uint8_t *out, const uint8_t *in, size_t n, const uint8_t *stream)
{
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        uint64_t text, mask;

        memcpy(&text, in + i, 8);
        memcpy(&mask, stream + i, 8);
        text ^= mask;
        memcpy(out + i, &text, 8);
    }
    for (; i < n; i++)
        out[i] = in[i] ^ stream[i];
}

INLINE void vec_xor_bytes(uint8_t *out, const uint8_t *in, size_t n, struct vec_block b)
{
    struct vec_joined j = vec_join(b);

    xor_ragged(out, in, n, (const uint8_t *)j.part);
    wipe(&j, sizeof j);
}
