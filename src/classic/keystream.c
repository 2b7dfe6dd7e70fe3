#include "classic/keystream.h"

#include <assert.h>
#include <string.h>

#include "base/wipe.h"

enum { HALF = KEYSTREAM_KEY / 2 };

void keystream_set_key(struct keystream *k, const uint8_t digest[DIGEST_TEXT], unsigned offset,
                       helio_classic_counter mode)
{
    assert(offset <= KEYSTREAM_OFFSET_MAX);
    k->mode = mode;
    memcpy(k->key, digest + offset, sizeof k->key);
    helio_idea_set_key(&k->idea, k->key);
    keystream_restart(k);
}

void keystream_restart(struct keystream *k)
{
    memcpy(k->counter, k->key, sizeof k->counter);
    k->position = 0;
}

/* Adds carry (0 or 1) to the counter without a branch on its bytes: it holds the key. */
static void add_to_counter(struct keystream *k, unsigned carry)
{
    for (size_t i = sizeof k->counter; i-- > 0;) {
        carry += k->counter[i];
        k->counter[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

static void next_block(struct keystream *k)
{
    if (k->position > 0)
        add_to_counter(k, k->mode == HELIO_CLASSIC_INCREMENTING);
    helio_idea_encrypt(&k->idea, k->block, k->counter);
    helio_idea_encrypt(&k->idea, k->block + HALF, k->counter + HALF);
}

void keystream_apply(struct keystream *k, uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t at = k->position % sizeof k->block;

        if (at == 0)
            next_block(k);
        p[i] ^= k->block[at];
        k->position++;
    }
}

void keystream_clear(struct keystream *k)
{
    wipe(k, sizeof *k);
}
