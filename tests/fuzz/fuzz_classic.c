/*
 * What a peer sends to a classic station: as much of an honest run as the input asks for, then
 * bytes of its own.  Input: role and step, u16 honest bytes, the rest.
 */
#undef NDEBUG
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "classic/classic.h"
#include "session/pair.h"

enum { SEED = 6, TRACK_MAX = 4096 };

static char pem[4096];
static size_t pem_n;
static struct track {
    uint8_t bytes[TRACK_MAX];
    size_t n;
} tracks[2]; /* by the role of the station that gets them */

static helio_session *station(helio_role role, struct stream *random)
{
    const helio_config config = {
        .protocol = HELIO_PROTOCOL_CLASSIC, .random = stream_fill, .random_context = random};
    struct rsa_key *key;
    helio_session *s;

    random->state = SEED;
    if (role == HELIO_RESPONDER) {
        assert(classic_new(&s, &config, role) == HELIO_OK);
        return s;
    }
    assert(rsa_classic_from_private_pem(&key, pem, pem_n) == HELIO_OK);
    assert(classic_new_with_key(&s, &config, key) == HELIO_OK);
    return s;
}

/* Feeds, and says something whenever it may. */
static void feed(helio_session *s, const uint8_t *in, size_t n, size_t step)
{
    helio_event event;
    enum helio_err err = HELIO_OK;

    while (n > 0 && !err) {
        size_t used;

        err = helio_session_feed(s, in, step && step < n ? step : n, &used);
        in += used;
        n -= used;
        while (!err && helio_session_next(s, &event) == HELIO_OK && event.kind)
            assert(event.size <= HELIO_CLASSIC_MESSAGE_MAX);
        if (!err && helio_session_send(s, (const uint8_t *)"hi", 2, HELIO_MESSAGE) == HELIO_OK)
            assert(helio_session_pending(s) > 0);
    }
    assert(helio_session_error(s) == err);
}

static void record(void)
{
    struct stream random[2];
    helio_session *s[2] = {station(HELIO_INITIATOR, random), station(HELIO_RESPONDER, random + 1)};

    for (int turn = 0; turn < 8; turn++) {
        struct track *t = &tracks[!(turn & 1)];
        size_t n = helio_session_pull(s[turn & 1], t->bytes + t->n, TRACK_MAX - t->n);

        feed(s[!(turn & 1)], t->bytes + t->n, n, 0);
        t->n += n;
    }
    helio_session_free(s[0]);
    helio_session_free(s[1]);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *root = getenv("HELIO_SOURCE_ROOT");
    char path[4096];

    (void)argc;
    (void)argv;
    assert(root);
    snprintf(path, sizeof path, "%s/tests/vectors/keys/test-only-e-1024.pem", root);
    FILE *in = fopen(path, "r");
    assert(in);
    pem_n = fread(pem, 1, sizeof pem, in);
    fclose(in);
    record();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
    struct stream random;

    if (n < 3)
        return -1;
    helio_role role = in[0] & 1 ? HELIO_RESPONDER : HELIO_INITIATOR;
    const struct track *t = &tracks[role];
    helio_session *s = station(role, &random);

    feed(s, t->bytes, get_u16(in + 1) % (t->n + 1), 0);
    feed(s, in + 3, n - 3, in[0] >> 1);
    helio_session_free(s);
    return 0;
}
