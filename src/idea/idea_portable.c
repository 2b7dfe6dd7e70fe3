/*
 * idea_portable.c: IDEA in plain C, for every machine.
 *
 * One round function serves the single block and the counter mode.  Counter mode runs it on LANES
 * blocks side by side, word by word in arrays of uint16_t, in loops of fixed length: a compiler can
 * turn each loop into the machine's vector instructions, and one that does not still gets it right.
 *
 * Nothing here compares words: where a comparison stands, a compiler may put a conditional jump.
 */
#include "idea/idea.h"

#include "base/bytes.h"
#include "base/wipe.h"

enum { LANES = 32 };

/*
 * Proof.  65537 is prime.  A word stands for itself, or, when it is 0, for 65536 = -1 (mod 65537).
 *
 * Neither is 0.  a * b = 65536 * high + low = low - high (mod 65537).  low = high would make the
 * prime divide a * b, so it does not happen.  If low > high, low - high is in 1..65535: the answer.
 * If low < high, low - high + 65537 is in 2..65536: the answer, and in 16 bits low - high + 1,
 * where 65536 comes out as 0 as it should.  So the answer is low - high + borrow, where borrow is 1
 * when low < high: both are below 2^16, and low - high wraps past 2^31 just then.
 *
 * One or both are 0.  The answer is -b, -a or 1 (mod 65537), that is 65537 - b, 65537 - a or 1; in
 * 16 bits all three are 1 - a - b.  high, low and borrow are 0, so 1 - a - b is added under a mask.
 *
 * The mask is 0xffff just when a * b = 0: high | low is at most 0xffff, and taking 1 away leaves
 * something in the upper half only when it was 0.  a * b < 2^32 does not overflow; the last sum is
 * one modulo 2^16, which wrapping modulo 2^32 does not disturb.
 */
static inline uint16_t multiply(uint16_t a, uint16_t b)
{
    uint32_t product = (uint32_t)a * b;
    uint32_t high = product >> 16;
    uint32_t low = product & 0xffff;
    uint32_t borrow = (low - high) >> 31;
    uint32_t mask = ((high | low) - 1) >> 16;

    return (uint16_t)(low - high + borrow + (mask & (1u - a - b)));
}

uint16_t idea_multiply(uint16_t a, uint16_t b)
{
    return multiply(a, b);
}

/*
 * One round: *w to *z are the block's four words, k the round's six subkeys.  Always inline,
 * because a call in the loop over the lanes would keep it from being vectorised.
 */
static inline __attribute__((always_inline)) void round_of(uint16_t *w, uint16_t *x, uint16_t *y,
                                                           uint16_t *z, const uint16_t k[6])
{
    uint16_t a = multiply(*w, k[0]);
    uint16_t b = (uint16_t)(*x + k[1]);
    uint16_t c = (uint16_t)(*y + k[2]);
    uint16_t d = multiply(*z, k[3]);
    uint16_t s = multiply(a ^ c, k[4]);
    uint16_t t = multiply((uint16_t)((b ^ d) + s), k[5]);

    s = (uint16_t)(s + t);
    *w = a ^ t;
    *x = c ^ t; /* the middle words trade places */
    *y = b ^ s;
    *z = d ^ s;
}

/* The output transform: the middle words trade places once more, undoing the last round's trade. */
static inline __attribute__((always_inline)) void finish(uint16_t *w, uint16_t *x, uint16_t *y,
                                                         uint16_t *z, const uint16_t k[4])
{
    uint16_t b = (uint16_t)(*y + k[1]);
    uint16_t c = (uint16_t)(*x + k[2]);

    *w = multiply(*w, k[0]);
    *x = b;
    *y = c;
    *z = multiply(*z, k[3]);
}

void idea_block_portable(const uint16_t subkeys[IDEA_SUBKEYS], uint8_t out[IDEA_BLOCK_SIZE],
                         const uint8_t in[IDEA_BLOCK_SIZE])
{
    uint16_t x[4];

    for (int i = 0; i < 4; i++)
        x[i] = get_u16(in + 2 * i);
    for (int round = 0; round < IDEA_ROUNDS; round++)
        round_of(&x[0], &x[1], &x[2], &x[3], subkeys + 6 * round);
    finish(&x[0], &x[1], &x[2], &x[3], subkeys + 6 * IDEA_ROUNDS);
    for (int i = 0; i < 4; i++)
        put_u16(out + 2 * i, x[i]);
}

/* LANES blocks: word i of block n is x[i][n]. */
struct lanes {
    uint16_t x[4][LANES];
};

/* Blocks counter, counter + 1, ... */
static void lanes_count(struct lanes *lanes, uint64_t counter)
{
    for (size_t n = 0; n < LANES; n++) {
        uint64_t block = counter + n;

        for (int i = 0; i < 4; i++)
            lanes->x[i][n] = (uint16_t)(block >> (48 - 16 * i));
    }
}

static void lanes_encrypt(struct lanes *lanes, const uint16_t subkeys[IDEA_SUBKEYS])
{
    uint16_t(*x)[LANES] = lanes->x;
    const uint16_t *k = subkeys;

    for (int round = 0; round < IDEA_ROUNDS; round++, k += 6)
        for (size_t n = 0; n < LANES; n++)
            round_of(&x[0][n], &x[1][n], &x[2][n], &x[3][n], k);
    for (size_t n = 0; n < LANES; n++)
        finish(&x[0][n], &x[1][n], &x[2][n], &x[3][n], k);
}

/* count blocks, at most LANES. */
static void ctr_lanes(const helio_idea *idea, uint64_t counter, uint8_t *out, const uint8_t *in,
                      size_t count)
{
    struct lanes lanes;

    lanes_count(&lanes, counter);
    lanes_encrypt(&lanes, idea->encrypt);
    for (size_t n = 0; n < count; n++)
        for (int i = 0; i < 4; i++) {
            size_t at = IDEA_BLOCK_SIZE * n + 2 * (size_t)i;

            put_u16(out + at, (unsigned)(get_u16(in + at) ^ lanes.x[i][n]));
        }
    wipe(&lanes, sizeof lanes);
}

/* n bytes of one block. */
static void ctr_block(const helio_idea *idea, uint64_t counter, uint8_t *out, const uint8_t *in,
                      size_t n)
{
    uint8_t block[IDEA_BLOCK_SIZE];

    put_u64(block, counter);
    idea_block_portable(idea->encrypt, block, block);
    for (size_t i = 0; i < n; i++)
        out[i] = in[i] ^ block[i];
    wipe(block, sizeof block);
}

static void ctr_portable(const helio_idea *idea, uint64_t counter, uint8_t *out, const uint8_t *in,
                         size_t n)
{
    /* All lanes together take as long as this many blocks one by one. */
    enum { FEW = 10 };

    while (n > 0) {
        size_t blocks = n / IDEA_BLOCK_SIZE;
        bool many = blocks > FEW;
        size_t now = many ? (blocks < LANES ? blocks : LANES) : 1;
        size_t bytes = now * IDEA_BLOCK_SIZE < n ? now * IDEA_BLOCK_SIZE : n;

        if (many)
            ctr_lanes(idea, counter, out, in, now);
        else
            ctr_block(idea, counter, out, in, bytes);
        counter += now;
        out += bytes;
        in += bytes;
        n -= bytes;
    }
}

static void products_portable(uint16_t *x, size_t n, uint16_t k, enum idea_form form)
{
    (void)form;
    for (size_t i = 0; i < n; i++)
        x[i] = multiply(x[i], k);
}

const struct idea_kernel idea_kernel_portable = {
    .name = "portable",
    .needs = 0,
    .batch = LANES * IDEA_BLOCK_SIZE,
    .ctr = ctr_portable,
    .products = products_portable,
};
