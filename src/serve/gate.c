/*
 * gate.c: counts, and the table of sources.
 *
 * The table has SETS sets of WAYS places.  A source's set is a keyed hash of it, with a key drawn at
 * the start, so that nobody outside can pick sources that share a set.  In a full set the source
 * with the least penalty left makes room for the new one: to be forgotten, one has to be outlived by
 * WAYS worse ones.  All of it is allocated once, and every call but gate_penalized looks at WAYS
 * places at most.
 */
#include "serve/gate.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { WAYS = 8, SET_BITS = 13, SETS = 1 << SET_BITS };

/* Words of randomness drawn at a time: asking the system for each would cost more than the rest. */
enum { BATCH = 64 };

/*
 * Milliseconds.  Below PENALTY_MIN nobody is dropped: a mistyped command, a port scanner or a health
 * check every few seconds is no attack.  Who has reached it stays outside until all of its penalty
 * has run down, else it would be back after the part above PENALTY_MIN.
 */
enum { PENALTY_MIN = 15 * 1000, PENALTY_MAX = 600 * 1000 };

/*
 * What a handshake that came to nothing costs its source.  A source may go on doing so once in that
 * time for ever; so it is what we think an attempt has cost us, not what would hurt the source.
 */
static const struct outcome {
    const char *name;
    unsigned penalty; /* milliseconds */
} outcomes[GATE_OUTCOMES] = {
    [GATE_OPENED] = {"opened", 0},
    /* We signed, and it proved a key.  Nearly always a mistake on one of the two sides, but one that
     * a program repeats as fast as it can. */
    [GATE_REFUSED] = {"refused", 5 * 1000},
    /* At most a signature; scanners and health checks do it once and are gone. */
    [GATE_LEFT] = {"left", 1 * 1000},
    /* It held one of few places for as long as it could. */
    [GATE_TIMED_OUT] = {"timed-out", 10 * 1000},
    /* No station of ours does it. */
    [GATE_VIOLATED] = {"violated", 10 * 1000},
    [GATE_OURS] = {"ours", 0},
};

static const char *const verdict_names[GATE_VERDICTS] = {
    [GATE_IN] = "in",           [GATE_EARLY] = "early", [GATE_FULL] = "full",
    [GATE_PENALTY] = "penalty", [GATE_SHARE] = "share",
};

/* A place in the table; it is free when no penalty is left and nothing is under way. */
struct entry {
    uint64_t key;
    uint64_t until;      /* when the last of its penalty is gone */
    uint32_t handshakes; /* under way; too few when the source was pushed out meanwhile */
    bool shut;           /* it reached PENALTY_MIN and is dropped until until */
};

struct gate {
    unsigned limit, half;
    bool penalties;
    unsigned handshakes;
    helio_random_fn *random;
    void *random_context;
    uint32_t words[BATCH];
    size_t words_left;
    uint64_t hash_key[4];
    struct entry (*table)[WAYS]; /* SETS of them, or NULL without penalties */
};

enum helio_err gate_new(struct gate **out, const struct gate_limits *limits,
                        helio_random_fn *random, void *random_context)
{
    struct gate *gate = calloc(1, sizeof *gate);
    enum helio_err err = HELIO_E_MEMORY;

    *out = NULL;
    assert(limits->handshakes >= 1);
    if (!gate)
        return HELIO_E_MEMORY;
    gate->limit = limits->handshakes;
    gate->half = gate->limit / 2;
    gate->penalties = limits->penalties;
    gate->random = random ? random : helio_random_system;
    gate->random_context = random_context;
    if (gate->penalties) {
        gate->table = calloc(SETS, sizeof *gate->table);
        if (!gate->table)
            goto out;
        err = gate->random(random_context, (uint8_t *)gate->hash_key, sizeof gate->hash_key);
        if (err)
            goto out;
    }
    *out = gate;
    return HELIO_OK;
out:
    gate_free(gate);
    return err;
}

void gate_free(struct gate *gate)
{
    if (!gate)
        return;
    free(gate->table);
    free(gate);
}

/* -------------------------------------------------------------------------------- the sources -- */

/*
 * An IPv4 address, or the /64 of an IPv6 one: a site gets a /64 at least, and can use every address
 * in it.  No IPv6 source begins with ff (multicast), so the two kinds stay apart.
 */
static uint64_t source_key(const struct io_source *source)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    const uint8_t *p = source->address;
    uint64_t key = 0;

    if (memcmp(p, mapped, sizeof mapped) == 0)
        return UINT64_C(0xffffffff) << 32 | (uint64_t)p[12] << 24 | (uint64_t)p[13] << 16 |
               (uint64_t)p[14] << 8 | p[15];
    for (size_t i = 0; i < 8; i++)
        key = key << 8 | p[i];
    return key;
}

/* High and low half of the product, into one. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)(product >> 64) ^ (uint64_t)product;
}

static struct entry *set_of(const struct gate *gate, uint64_t key)
{
    uint64_t h = fold(key ^ gate->hash_key[0], gate->hash_key[1]);

    h = fold(h ^ gate->hash_key[2], gate->hash_key[3]);
    return gate->table[h >> (64 - SET_BITS)];
}

static bool entry_is_free(const struct entry *entry, uint64_t now)
{
    return entry->until <= now && entry->handshakes == 0;
}

/* NULL when the table knows nothing of it. */
static struct entry *entry_find(const struct gate *gate, uint64_t key, uint64_t now)
{
    struct entry *set = set_of(gate, key);

    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].key != key || entry_is_free(&set[i], now))
            continue;
        if (set[i].until <= now)
            set[i].shut = false;
        return &set[i];
    }
    return NULL;
}

/* Whether a is the better one to lose. */
static bool entry_is_less(const struct entry *a, const struct entry *b, uint64_t now)
{
    uint64_t x = a->until > now ? a->until : now;
    uint64_t y = b->until > now ? b->until : now;

    return x != y ? x < y : a->handshakes < b->handshakes;
}

/* The same, but there will be one, whoever has to go for it. */
static struct entry *entry_make(const struct gate *gate, uint64_t key, uint64_t now)
{
    struct entry *found = entry_find(gate, key, now);
    struct entry *set = set_of(gate, key), *least = &set[0];

    if (found)
        return found;
    for (size_t i = 1; i < WAYS; i++)
        if (entry_is_less(&set[i], least, now))
            least = &set[i];
    *least = (struct entry){.key = key};
    return least;
}

static void entry_punish(struct entry *entry, unsigned penalty, uint64_t now)
{
    uint64_t left = entry->until > now ? entry->until - now : 0;

    left += penalty;
    if (left > PENALTY_MAX)
        left = PENALTY_MAX;
    if (left >= PENALTY_MIN)
        entry->shut = true;
    entry->until = now + left;
}

/* ----------------------------------------------------------------------------------- the door -- */

/* False without randomness; it will be there again, or the handshakes fail as well. */
static bool draw(struct gate *gate, uint32_t *out)
{
    if (gate->words_left == 0) {
        if (gate->random(gate->random_context, (uint8_t *)gate->words, sizeof gate->words))
            return false;
        gate->words_left = BATCH;
    }
    *out = gate->words[--gate->words_left];
    return true;
}

/* Random early drop: from never, at half of the limit, to always, at the limit. */
static bool dropped_early(struct gate *gate)
{
    uint32_t word;

    if (gate->handshakes <= gate->half)
        return false;
    if (!draw(gate, &word))
        return true;
    /* word / 2^32 < (handshakes - half) / (limit - half), without the division */
    return (uint64_t)word * (gate->limit - gate->half) < (uint64_t)(gate->handshakes - gate->half)
                                                             << 32;
}

/*
 * One source may have half of the handshakes under way: up to there nobody is dropped, so a single
 * noisy one never costs another its place.
 */
static enum gate_verdict ask_source(const struct gate *gate, const struct entry *entry)
{
    if (!entry)
        return GATE_IN;
    if (entry->shut)
        return GATE_PENALTY;
    return entry->handshakes > 0 && entry->handshakes >= gate->half ? GATE_SHARE : GATE_IN;
}

enum gate_verdict gate_ask(struct gate *gate, const struct io_source *source, uint64_t now)
{
    uint64_t key = source_key(source);
    enum gate_verdict verdict = GATE_IN;

    if (gate->penalties)
        verdict = ask_source(gate, entry_find(gate, key, now));
    if (verdict != GATE_IN)
        return verdict;
    if (gate->handshakes >= gate->limit)
        return GATE_FULL;
    if (dropped_early(gate))
        return GATE_EARLY;
    gate->handshakes++;
    if (gate->penalties)
        entry_make(gate, key, now)->handshakes++;
    return GATE_IN;
}

void gate_settle(struct gate *gate, const struct io_source *source, enum gate_outcome outcome,
                 uint64_t now)
{
    uint64_t key = source_key(source);
    struct entry *entry;

    assert(gate->handshakes > 0 && outcome < GATE_OUTCOMES);
    gate->handshakes--;
    if (!gate->penalties)
        return;
    entry = entry_find(gate, key, now);
    if (entry && entry->handshakes > 0)
        entry->handshakes--;
    if (entry && outcome == GATE_OPENED) {
        entry->until = now;
        entry->shut = false;
    }
    if (outcomes[outcome].penalty > 0)
        entry_punish(entry_make(gate, key, now), outcomes[outcome].penalty, now);
}

/* ------------------------------------------------------------------------------------ to tell -- */

unsigned gate_handshakes(const struct gate *gate)
{
    return gate->handshakes;
}

size_t gate_penalized(const struct gate *gate, uint64_t now)
{
    size_t n = 0;

    for (size_t i = 0; gate->table && i < SETS; i++)
        for (size_t k = 0; k < WAYS; k++)
            n += gate->table[i][k].shut && gate->table[i][k].until > now;
    return n;
}

const char *gate_verdict_name(enum gate_verdict verdict)
{
    return verdict_names[verdict];
}

const char *gate_outcome_name(enum gate_outcome outcome)
{
    return outcomes[outcome].name;
}
