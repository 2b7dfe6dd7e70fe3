/*
 * What an attacker on the wire can do to a line: every bit flip and every truncation of every
 * frame, frames dropped, doubled, swapped, reflected, replayed from another session.
 *
 * An honest run is recorded once.  Randomness is handed in, so a fresh station with the same seed
 * says the same again, and each attack is played against it from the record.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "session/pair.h"

enum { FRAMES_MAX = 8, FRAME_BYTES = 2048, HEADER = 4, SEED = 77, OTHER_SEED = 78 };
enum { HANDSHAKE_FRAMES = 2 }; /* of those that one station gets */

struct frame {
    uint8_t bytes[FRAME_BYTES];
    size_t n;
};

/* The frames that one station gets, in order. */
struct track {
    struct frame frames[FRAMES_MAX];
    size_t count;
    size_t released[FRAMES_MAX + 1]; /* plaintext bytes that the first k frames give */
};

/* By the role of the station that gets them. */
struct record {
    struct track to[2];
};

static struct record honest, other;

static void cut_into_frames(struct track *t, const uint8_t *bytes, size_t n)
{
    while (n > 0) {
        size_t size = HEADER + ((size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3]);

        assert_true(size <= n && size <= FRAME_BYTES && t->count < FRAMES_MAX);
        memcpy(t->frames[t->count].bytes, bytes, size);
        t->frames[t->count++].n = size;
        bytes += size;
        n -= size;
    }
}

static void carry(struct station *from, struct station *to, struct seen *seen, struct track *t)
{
    static uint8_t bytes[1 << 16];
    size_t n = station_pull(from, bytes, sizeof bytes);
    size_t first = t->count;

    cut_into_frames(t, bytes, n);
    for (size_t k = first; k < t->count; k++) {
        station_feed(to, t->frames[k].bytes, t->frames[k].n, 0, seen);
        t->released[k + 1] = seen->data_n;
    }
}

static void say(struct station *s, const char *text)
{
    const uint8_t *p = (const uint8_t *)text;

    assert_int_equal(helio_session_send(s->session, p, strlen(text), HELIO_DATA), HELIO_OK);
    assert_int_equal(helio_session_send(s->session, p, 3, HELIO_MESSAGE), HELIO_OK);
    assert_int_equal(helio_session_close(s->session), HELIO_OK);
}

static const char *const words[] = {"secret of the initiator", "secret of the responder"};

static void record_run(struct record *r, uint64_t seed)
{
    struct pair p;
    struct track *to_i = &r->to[HELIO_INITIATOR], *to_r = &r->to[HELIO_RESPONDER];

    memset(r, 0, sizeof *r);
    pair_new(&p, 0, seed);
    for (int round = 0; round < 2; round++) {
        carry(&p.initiator, &p.responder, &p.responder_saw, to_r);
        carry(&p.responder, &p.initiator, &p.initiator_saw, to_i);
    }
    say(&p.initiator, words[HELIO_INITIATOR]);
    say(&p.responder, words[HELIO_RESPONDER]);
    carry(&p.initiator, &p.responder, &p.responder_saw, to_r);
    carry(&p.responder, &p.initiator, &p.initiator_saw, to_i);
    assert_int_equal(helio_session_confirm(p.initiator.session), HELIO_OK);
    assert_int_equal(helio_session_confirm(p.responder.session), HELIO_OK);
    carry(&p.initiator, &p.responder, &p.responder_saw, to_r);
    carry(&p.responder, &p.initiator, &p.initiator_saw, to_i);
    assert_true(helio_session_done(p.initiator.session) && helio_session_done(p.responder.session));
    assert_int_equal(to_i->count, 6);
    assert_int_equal(to_r->count, 6);
    pair_free(&p);
}

/* One station that hears what an attacker makes of the record. */
struct play {
    struct station station;
    struct seen seen;
    uint8_t last[FRAME_BYTES]; /* what it said since the attack began */
    size_t last_n;
};

static struct play play;

static void play_begin(helio_role role, size_t honest_frames)
{
    const struct track *t = &honest.to[role];

    memset(&play.seen, 0, sizeof play.seen);
    assert_int_equal(station_new(&play.station, role, 0, SEED), HELIO_OK);
    for (size_t k = 0; k < honest_frames; k++) {
        station_feed(&play.station, t->frames[k].bytes, t->frames[k].n, 0, &play.seen);
        if (k + 1 == HANDSHAKE_FRAMES)
            say(&play.station, words[role]);
    }
    assert_int_equal(play.seen.error, HELIO_OK);
    play.last_n = station_pull(&play.station, play.last, sizeof play.last);
    play.last_n = 0;
}

static void play_bytes(const uint8_t *bytes, size_t n)
{
    station_feed(&play.station, bytes, n, 0, &play.seen);
}

static void play_frames(helio_role role, size_t first)
{
    const struct track *t = &honest.to[role];

    for (size_t k = first; k < t->count; k++)
        play_bytes(t->frames[k].bytes, t->frames[k].n);
}

/* Ends the transport, and judges: an error, nothing released beyond the honest frames before k. */
static void play_judge(helio_role role, size_t k, enum helio_err wanted, const char *what,
                       size_t at)
{
    const char *who = role == HELIO_INITIATOR ? "initiator" : "responder";
    enum helio_err error = play.seen.error;

    if (!error)
        error = helio_session_eof(play.station.session);
    if (wanted ? error != wanted : error != HELIO_E_BROKEN && error != HELIO_E_CUT)
        fail_msg("%s, frame %zu, %s %zu: ended with \"%s\", expected \"%s\" (seed %d)", who, k,
                 what, at, helio_strerror(error), helio_strerror(wanted), SEED);
    if (play.seen.data_n != honest.to[role].released[k])
        fail_msg("%s, frame %zu, %s %zu: released %zu bytes, expected %zu (seed %d)", who, k, what,
                 at, play.seen.data_n, honest.to[role].released[k], SEED);
    if (k < HANDSHAKE_FRAMES && play.seen.count[HELIO_EVENT_OPEN] > 0)
        fail_msg("%s, frame %zu, %s %zu: the line opened (seed %d)", who, k, what, at, SEED);
    assert_int_equal(helio_session_error(play.station.session), error);
    assert_int_equal(helio_session_send(play.station.session, (const uint8_t *)"x", 1, HELIO_DATA),
                     error);
    station_free(&play.station);
}

/* The same, and the peer must be told the same as in every other failure of that stage. */
static void play_judge_uniform(helio_role role, size_t k, const char *what, size_t at)
{
    static const uint8_t alert[] = {7, 0, 0, 1, 1};
    enum { SEALED_ALERT = HEADER + 2 + 16 };

    play.last_n = helio_session_pull(play.station.session, play.last, sizeof play.last);
    if (play.seen.error == HELIO_E_BROKEN && k < HANDSHAKE_FRAMES) {
        const uint8_t *end = play.last + play.last_n - sizeof alert;

        if (play.last_n < sizeof alert || memcmp(end, alert, sizeof alert) != 0)
            fail_msg("frame %zu, %s %zu: no uniform alert (seed %d)", k, what, at, SEED);
    }
    if (play.seen.error == HELIO_E_BROKEN && k >= HANDSHAKE_FRAMES)
        assert_int_equal(play.last_n, SEALED_ALERT);
    play_judge(role, k, HELIO_OK, what, at);
}

/* Every bit of frame k: an altered HELLO may be answered, so the record goes on behind it. */
static void flip_every_bit(helio_role role, size_t k)
{
    struct frame f = honest.to[role].frames[k];

    for (size_t bit = 0; bit < 8 * f.n; bit++) {
        play_begin(role, k);
        f.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        play_bytes(f.bytes, f.n);
        f.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        bool hello = role == HELIO_RESPONDER && k == 0;
        if (hello)
            play_frames(role, k + 1);
        if (hello && play.seen.error == HELIO_E_NO_COMMON)
            station_free(&play.station);
        else
            play_judge_uniform(role, k, "bit", bit);
    }
}

static void bit_flips(void **state)
{
    (void)state;
    for (size_t k = 0; k < honest.to[HELIO_INITIATOR].count; k++)
        flip_every_bit(HELIO_INITIATOR, k);
    for (size_t k = 0; k < honest.to[HELIO_RESPONDER].count; k++)
        flip_every_bit(HELIO_RESPONDER, k);
}

/* A responder that took an altered HELLO answers it; the honest initiator must see that. */
static void altered_hello_never_meets_trust(void **state)
{
    (void)state;
    struct frame f = honest.to[HELIO_RESPONDER].frames[0];
    uint8_t reply[FRAME_BYTES];

    for (size_t bit = 0; bit < 8 * f.n; bit++) {
        struct station responder;
        struct seen ignored = {0};

        assert_int_equal(station_new(&responder, HELIO_RESPONDER, 0, SEED), HELIO_OK);
        f.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        station_feed(&responder, f.bytes, f.n, 0, &ignored);
        f.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        size_t n = station_pull(&responder, reply, sizeof reply);
        station_free(&responder);
        play_begin(HELIO_INITIATOR, 0);
        play_bytes(reply, n);
        if (play.seen.count[HELIO_EVENT_PEER] > 0)
            fail_msg("HELLO with bit %zu altered: the initiator went on (seed %d)", bit, SEED);
        if (n > 0)
            assert_true(play.seen.error == HELIO_E_BROKEN || play.seen.error == HELIO_E_NO_COMMON);
        station_free(&play.station);
    }
}

static void truncations(void **state)
{
    (void)state;
    for (int role = HELIO_INITIATOR; role <= HELIO_RESPONDER; role++) {
        const struct track *t = &honest.to[role];

        for (size_t k = 0; k < t->count; k++) {
            for (size_t n = 0; n < t->frames[k].n; n++) {
                play_begin((helio_role)role, k);
                play_bytes(t->frames[k].bytes, n);
                play_judge((helio_role)role, k, HELIO_E_CUT, "truncated to", n);
            }
        }
    }
}

/* Whole frames out of order.  In each the attack stands where frame k should. */
static void drop(helio_role role, size_t k)
{
    play_frames(role, k + 1);
}

static void duplicate(helio_role role, size_t k)
{
    const struct frame *before = &honest.to[role].frames[k > 0 ? k - 1 : 0];

    if (k == 0)
        play_bytes(before->bytes, before->n);
    play_bytes(before->bytes, before->n);
    play_frames(role, k > 0 ? k : 1);
}

static void swap(helio_role role, size_t k)
{
    const struct track *t = &honest.to[role];

    if (k + 1 < t->count)
        play_bytes(t->frames[k + 1].bytes, t->frames[k + 1].n);
    play_bytes(t->frames[k].bytes, t->frames[k].n);
    play_frames(role, k + 2);
}

static void reflect(helio_role role, size_t k)
{
    const struct frame *own = &honest.to[role == HELIO_INITIATOR].frames[k];

    play_bytes(own->bytes, own->n);
    play_frames(role, k + 1);
}

static void replay(helio_role role, size_t k)
{
    const struct frame *old = &other.to[role].frames[k];

    play_bytes(old->bytes, old->n);
    play_frames(role, k + 1);
}

static void prepend_garbage(helio_role role, size_t k)
{
    static const uint8_t garbage[] = {0};

    play_bytes(garbage, sizeof garbage);
    play_frames(role, k);
}

static void frames_out_of_place(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        void (*attack)(helio_role role, size_t k);
    } attacks[] = {{"drop", drop},       {"duplicate", duplicate}, {"swap", swap},
                   {"reflect", reflect}, {"replay", replay},       {"garbage", prepend_garbage}};

    for (size_t a = 0; a < sizeof attacks / sizeof *attacks; a++) {
        for (int role = HELIO_INITIATOR; role <= HELIO_RESPONDER; role++) {
            for (size_t k = 0; k < honest.to[role].count; k++) {
                /* Two HELLOs: the responder answered the first, honestly; the rest breaks. */
                bool last = k + 1 == honest.to[role].count;
                bool changes_nothing = attacks[a].attack == swap && last;

                if (changes_nothing)
                    continue;
                play_begin((helio_role)role, k);
                attacks[a].attack((helio_role)role, k);
                play_judge((helio_role)role, k, HELIO_OK, attacks[a].name, k);
            }
        }
    }
}

/* What protocol.md 2 lets a station hear first: anything else ends at the header. */
static bool may_come_first(helio_role role, unsigned type, uint32_t length)
{
    static const struct {
        helio_role role;
        unsigned type;
        uint32_t least, most;
    } allowed[] = {
        {HELIO_RESPONDER, 1, 70, 1536},
        {HELIO_RESPONDER, 7, 1, 1},
        {HELIO_INITIATOR, 2, 596, 3584},
        {HELIO_INITIATOR, 7, 1, 1},
    };

    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
        if (allowed[i].role == role && allowed[i].type == type && length >= allowed[i].least &&
            length <= allowed[i].most)
            return true;
    return false;
}

static void lengths_are_judged_in_the_header(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {0,    1,    69,   70,    595,   596,     1536,
                                       1537, 3584, 3585, 67600, 67601, 0xffffff};

    for (int role = HELIO_INITIATOR; role <= HELIO_RESPONDER; role++) {
        for (unsigned type = 0; type < 256; type++) {
            for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
                const uint8_t header[HEADER] = {(uint8_t)type, (uint8_t)(lengths[i] >> 16),
                                                (uint8_t)(lengths[i] >> 8), (uint8_t)lengths[i]};
                bool good = may_come_first((helio_role)role, type, lengths[i]);
                enum helio_err expected = good ? HELIO_OK : HELIO_E_BROKEN;

                play_begin((helio_role)role, 0);
                play_bytes(header, sizeof header);
                if (play.seen.error != expected)
                    fail_msg("role %d, type %u, length %u: \"%s\", expected \"%s\"", role, type,
                             (unsigned)lengths[i], helio_strerror(play.seen.error),
                             helio_strerror(expected));
                station_free(&play.station);
            }
        }
    }
}

static void random_bytes_open_nothing(void **state)
{
    (void)state;
    struct stream random = {SEED};

    for (unsigned round = 0; round < 2000; round++) {
        helio_role role = round % 2 ? HELIO_INITIATOR : HELIO_RESPONDER;
        uint8_t bytes[256];

        play_begin(role, 0);
        stream_fill(&random, bytes, sizeof bytes);
        bytes[0] = (uint8_t)(1 + bytes[0] % 7);
        bytes[1] = 0;
        play_bytes(bytes, sizeof bytes);
        assert_int_equal(play.seen.count[HELIO_EVENT_PEER], 0);
        station_free(&play.station);
    }
}

static int setup(void **state)
{
    (void)state;
    record_run(&honest, SEED);
    record_run(&other, OTHER_SEED);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_identities_free();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bit_flips),
        cmocka_unit_test(altered_hello_never_meets_trust),
        cmocka_unit_test(truncations),
        cmocka_unit_test(frames_out_of_place),
        cmocka_unit_test(lengths_are_judged_in_the_header),
        cmocka_unit_test(random_bytes_open_nothing),
    };

    return cmocka_run_group_tests_name("attack", tests, setup, teardown);
}
