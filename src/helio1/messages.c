#include "helio1/messages.h"

#include <string.h>

#include "base/bytes.h"

enum { KEY_EXCHANGE_X25519 = 0x01 };

size_t hello_size(const struct hello *m)
{
    return 1 + RANDOM_SIZE + 1 + 2 * m->suites.count + 2 + X25519_SIZE;
}

void hello_put(uint8_t *out, const struct hello *m)
{
    *out++ = WIRE_VERSION;
    memcpy(out, m->random, RANDOM_SIZE);
    out += RANDOM_SIZE;
    *out++ = (uint8_t)m->suites.count;
    for (size_t i = 0; i < m->suites.count; i++, out += 2)
        put_u16(out, m->suites.numbers[i]);
    put_u16(out, X25519_SIZE);
    memcpy(out + 2, m->share, X25519_SIZE);
}

/* All suites of one HELLO share one key exchange, the one that its share is for. */
static enum helio_err check_key_exchange(const struct suite_list *suites)
{
    unsigned first = suites->numbers[0] >> 8;

    for (size_t i = 1; i < suites->count; i++)
        if (suites->numbers[i] >> 8 != (int)first)
            return HELIO_E_BROKEN;
    return first == KEY_EXCHANGE_X25519 ? HELIO_OK : HELIO_E_NO_COMMON;
}

enum helio_err hello_get(struct hello *out, const uint8_t *body, size_t n)
{
    struct reader r = reader_over(body, n);
    const uint8_t *random;
    struct span share;
    enum helio_err err;

    /* First: another version may look different in all that follows. */
    if (read_u8(&r) != WIRE_VERSION)
        return HELIO_E_NO_COMMON;
    random = read_bytes(&r, RANDOM_SIZE);
    out->suites.count = read_u8(&r);
    if (out->suites.count < 1 || out->suites.count > SUITES_MAX)
        return HELIO_E_BROKEN;
    for (size_t i = 0; i < out->suites.count; i++)
        out->suites.numbers[i] = (uint16_t)read_u16(&r);
    share = read_opaque16(&r);
    if (!reader_ended(&r))
        return HELIO_E_BROKEN;
    err = check_key_exchange(&out->suites);
    if (err)
        return err;
    if (share.n != X25519_SIZE)
        return HELIO_E_BROKEN;
    memcpy(out->random, random, RANDOM_SIZE);
    memcpy(out->share, share.p, X25519_SIZE);
    return HELIO_OK;
}

void reply_put(uint8_t out[REPLY_CLEAR_SIZE], const struct reply *m)
{
    put_u16(out, m->suite);
    memcpy(out + 2, m->random, RANDOM_SIZE);
    put_u16(out + 2 + RANDOM_SIZE, X25519_SIZE);
    memcpy(out + 2 + RANDOM_SIZE + 2, m->share, X25519_SIZE);
}

enum helio_err reply_get(struct reply *out, const uint8_t in[REPLY_CLEAR_SIZE])
{
    out->suite = get_u16(in);
    memcpy(out->random, in + 2, RANDOM_SIZE);
    if (get_u16(in + 2 + RANDOM_SIZE) != X25519_SIZE)
        return HELIO_E_BROKEN;
    memcpy(out->share, in + 2 + RANDOM_SIZE + 2, X25519_SIZE);
    return HELIO_OK;
}

bool suite_list_has(const struct suite_list *list, uint16_t suite)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->numbers[i] == suite)
            return true;
    return false;
}

uint16_t suite_choose(const struct suite_list *theirs, const struct suite_list *ours)
{
    for (size_t i = 0; i < theirs->count; i++)
        if (suite_list_has(ours, theirs->numbers[i]))
            return theirs->numbers[i];
    return 0;
}
