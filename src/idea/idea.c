/*
 * idea.c: key schedules and the public face of IDEA.  The work on blocks is done by the kernels.
 */
#include "idea/idea.h"

#include "base/bytes.h"
#include "base/wipe.h"

uint16_t idea_invert(uint16_t a)
{
    uint16_t x = a;

    /*
     * 65537 is prime, so a^65536 = 1 and a^65535 is the inverse.  x is a^(2^k - 1) at the head of
     * the loop; (2^k - 1) * 2^k + (2^k - 1) = 2^2k - 1 is what one turn makes of the exponent.
     */
    for (int k = 1; k < 16; k *= 2) {
        uint16_t y = x;

        for (int i = 0; i < k; i++)
            y = idea_multiply(y, y);
        x = idea_multiply(x, y);
    }
    return x;
}

/* The key's eight words, then those of the key rotated left by 25, and so on until there are 52. */
static void set_encrypt(uint16_t subkeys[IDEA_SUBKEYS], const uint8_t key[IDEA_KEY_SIZE])
{
    uint64_t half[2] = {get_u64(key), get_u64(key + 8)};

    for (int i = 0; i < IDEA_SUBKEYS; i++) {
        if (i > 0 && i % 8 == 0) {
            uint64_t high = half[0];

            half[0] = high << 25 | half[1] >> 39;
            half[1] = half[1] << 25 | high >> 39;
        }
        subkeys[i] = (uint16_t)(half[i / 4 % 2] >> (48 - 16 * (i % 4)));
    }
    wipe(half, sizeof half);
}

/*
 * The same network run backwards: rounds in reverse order, the four words that meet the data
 * directly inverted, the two inside the round as they are.  Encryption swaps the middle words
 * between rounds but not before the first round nor before the output transform, so the middle
 * subkeys trade places in all but those two.
 */
static void set_decrypt(uint16_t decrypt[IDEA_SUBKEYS], const uint16_t encrypt[IDEA_SUBKEYS])
{
    for (int round = 0; round <= IDEA_ROUNDS; round++) {
        uint16_t *d = decrypt + 6 * round;
        const uint16_t *e = encrypt + 6 * (IDEA_ROUNDS - round);
        int swapped = round > 0 && round < IDEA_ROUNDS;

        d[0] = idea_invert(e[0]);
        d[1] = (uint16_t)-e[swapped ? 2 : 1];
        d[2] = (uint16_t)-e[swapped ? 1 : 2];
        d[3] = idea_invert(e[3]);
        if (round < IDEA_ROUNDS) {
            d[4] = e[-2];
            d[5] = e[-1];
        }
    }
}

/*
 * The kernels multiply by 65537 - k, which is -k, because of what that does to their special cases:
 * k = 0, that is 65536, becomes 1 and is none any more.  Left is k = 1, which would be 65536: there
 * the product is x, and 0 - x * 0xffff with neither high half nor borrow says so.
 *
 * negative is 1 - k in 16 bits, so 0 just then; special is 0xffff then and 0 otherwise, both of them
 * twice.
 */
void idea_factor_set(uint32_t factor[IDEA_FACTOR_SIZE], uint16_t k)
{
    const uint32_t both = 0x10001;
    uint32_t word = (1u - k) & 0xffff;
    uint32_t negative = word * both;
    uint32_t special = opaque_u32((word - 1) >> 16) * both;

    factor[IDEA_FACTOR_LOW] = negative | special;
    factor[IDEA_FACTOR_HIGH] = negative;
    factor[IDEA_FACTOR_ONE] = both & ~special;
}

static void set_wide(uint32_t *wide, const uint16_t subkeys[IDEA_SUBKEYS])
{
    const uint16_t *k = subkeys;

    for (int round = 0; round <= IDEA_ROUNDS; round++, k += 6, wide += IDEA_WIDE_ROUND) {
        idea_factor_set(wide + IDEA_WIDE_W, k[0]);
        wide[IDEA_WIDE_X] = k[1] * UINT32_C(0x10001);
        wide[IDEA_WIDE_Y] = k[2] * UINT32_C(0x10001);
        idea_factor_set(wide + IDEA_WIDE_Z, k[3]);
        if (round < IDEA_ROUNDS) {
            idea_factor_set(wide + IDEA_WIDE_S, k[4]);
            idea_factor_set(wide + IDEA_WIDE_T, k[5]);
        }
    }
}

void helio_idea_set_key(helio_idea *idea, const uint8_t key[IDEA_KEY_SIZE])
{
    set_encrypt(idea->encrypt, key);
    set_decrypt(idea->decrypt, idea->encrypt);
    set_wide(idea->wide, idea->encrypt);
}

void helio_idea_clear(helio_idea *idea)
{
    wipe(idea, sizeof *idea);
}

void helio_idea_encrypt(const helio_idea *idea, uint8_t out[IDEA_BLOCK_SIZE],
                        const uint8_t in[IDEA_BLOCK_SIZE])
{
    idea_block_portable(idea->encrypt, out, in);
}

void helio_idea_decrypt(const helio_idea *idea, uint8_t out[IDEA_BLOCK_SIZE],
                        const uint8_t in[IDEA_BLOCK_SIZE])
{
    idea_block_portable(idea->decrypt, out, in);
}

void helio_idea_ctr(const helio_idea *idea, uint64_t counter, uint8_t *out, const uint8_t *in,
                    size_t n)
{
    idea_kernel()->ctr(idea, counter, out, in, n);
}
