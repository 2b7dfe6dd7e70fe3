/*
 * What an attacker on the wire sends to a helio/1 station: as much of an honest run as the input
 * asks for, then bytes of its own.  Input: role and frames, u16 bytes of the next frame, the rest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/bytes.h"
#include "session/pair.h"

enum { SEED = 5, TRACK_MAX = 1 << 16, FRAMES_MAX = 8 };

/* What the station of a role gets in an honest run, and where its frames begin. */
static struct track {
    uint8_t bytes[TRACK_MAX];
    size_t frames[FRAMES_MAX + 1];
    size_t count;
} tracks[2];
static const uint8_t words[] = "said under seal";
static struct seen seen;

static void carry(struct station *from, struct station *to, struct seen *to_saw)
{
    struct track *t = &tracks[to->role];
    size_t at = t->frames[t->count], n = station_pull(from, t->bytes + at, TRACK_MAX - at);

    station_feed(to, t->bytes + at, n, 0, to_saw);
    for (size_t end = at + n; at < end && t->count < FRAMES_MAX; t->frames[++t->count] = at)
        at += 4 + get_u24(t->bytes + at + 1);
}

static void say(struct station *s)
{
    assert_int_equal(helio_session_send(s->session, words, sizeof words, HELIO_MESSAGE), HELIO_OK);
    assert_int_equal(helio_session_close(s->session), HELIO_OK);
}

static void record(void)
{
    static struct pair p;

    pair_new(&p, 0, SEED);
    for (int round = 0; round < 3; round++) {
        if (round == 2) {
            say(&p.initiator);
            say(&p.responder);
        }
        carry(&p.initiator, &p.responder, &p.responder_saw);
        carry(&p.responder, &p.initiator, &p.initiator_saw);
    }
    assert_int_equal(p.initiator_saw.data_n, sizeof words);
    pair_free(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
    struct station s;

    if (tracks[0].count == 0)
        record();
    if (n < 3)
        return -1;
    helio_role role = in[0] & 1 ? HELIO_RESPONDER : HELIO_INITIATOR;
    const struct track *t = &tracks[role];
    size_t k = (in[0] >> 1) % t->count, frame_n = t->frames[k + 1] - t->frames[k];

    memset(&seen, 0, sizeof seen);
    assert_int_equal(station_new(&s, role, 0, SEED), HELIO_OK);
    station_feed(&s, t->bytes, t->frames[k] + get_u16(in + 1) % (frame_n + 1), 0, &seen);
    station_feed(&s, in + 3, n - 3, in[0] >> 5, &seen);
    /* Nothing but the honest words, or nothing. */
    assert_true(seen.data_n == 0 || seen.data_n == sizeof words);
    assert_memory_equal(seen.data, words, seen.data_n);
    station_free(&s);
    return 0;
}
