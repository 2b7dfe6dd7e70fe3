#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "session/pair.h"

enum { IDENTITIES = 2, CHUNK = 1 << 19 };

static const char *const key_files[IDENTITIES] = {"test-only-a-2048.pem", "test-only-b-2048.pem"};
static helio_identity *identities[IDENTITIES];

uint64_t stream_next(struct stream *s)
{
    uint64_t z = s->state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

size_t stream_below(struct stream *s, size_t below)
{
    return (size_t)(stream_next(s) % below);
}

enum helio_err stream_fill(void *context, uint8_t *out, size_t n)
{
    struct stream *s = context;

    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)stream_next(s);
    return HELIO_OK;
}

/* Git keeps no 0600, and a key file that others may read is refused: load a private copy. */
static helio_identity *load_copy(const char *name)
{
    char from[4096], to[] = "/tmp/helio-test-key-XXXXXX";
    const char *root = getenv("HELIO_SOURCE_ROOT");
    char text[8192];
    helio_identity *id = NULL;

    assert_non_null(root);
    snprintf(from, sizeof from, "%s/tests/vectors/keys/%s", root, name);
    FILE *in = fopen(from, "r");
    if (!in)
        fail_msg("cannot open %s", from);
    size_t n = fread(text, 1, sizeof text, in);
    fclose(in);
    int fd = mkstemp(to);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, n), (ssize_t)n);
    close(fd);
    enum helio_err err = helio_identity_load(&id, to, NULL, NULL);
    unlink(to);
    if (err)
        fail_msg("%s: %s", from, helio_strerror(err));
    return id;
}

const helio_identity *test_identity(int which)
{
    if (!identities[which])
        identities[which] = load_copy(key_files[which]);
    return identities[which];
}

void test_identities_free(void)
{
    for (int i = 0; i < IDENTITIES; i++) {
        helio_identity_free(identities[i]);
        identities[i] = NULL;
    }
}

enum helio_err station_new(struct station *s, helio_role role, uint16_t suite, uint64_t seed)
{
    bool initiator = role == HELIO_INITIATOR;
    const helio_config config = {
        .protocol = HELIO_PROTOCOL_HELIO1,
        .identity = test_identity(initiator ? 0 : 1),
        .name = initiator ? "alice" : "bob",
        .service = initiator ? "line" : NULL,
        .suites = suite ? &suite : NULL,
        .suite_count = suite ? 1 : 0,
        .random = stream_fill,
        .random_context = &s->random,
    };

    s->random.state = seed * 2 + (uint64_t)role;
    s->role = role;
    return helio_session_new(&s->session, &config, role);
}

void station_free(struct station *s)
{
    helio_session_free(s->session);
    s->session = NULL;
}

static void note_event(struct station *s, const helio_event *event, struct seen *seen)
{
    seen->count[event->kind]++;
    if (event->kind == HELIO_EVENT_DATA || event->kind == HELIO_EVENT_MESSAGE) {
        assert_true(event->size <= sizeof seen->data - seen->data_n);
        memcpy(seen->data + seen->data_n, event->data, event->size);
        seen->data_n += event->size;
    }
    if (event->kind == HELIO_EVENT_RESULT) {
        assert_int_equal(event->size, 1);
        seen->result = event->data[0];
    }
    if (event->kind == HELIO_EVENT_PEER) {
        enum helio_err err = helio_session_trust(s->session);

        if (err && !seen->error)
            seen->error = err;
    }
}

static void drain_events(struct station *s, struct seen *seen)
{
    helio_event event;

    do {
        enum helio_err err = helio_session_next(s->session, &event);

        if (err && !seen->error)
            seen->error = err;
        if (err)
            assert_int_equal(event.kind, HELIO_EVENT_NONE);
        if (event.kind != HELIO_EVENT_NONE)
            note_event(s, &event, seen);
    } while (event.kind != HELIO_EVENT_NONE);
}

void station_feed(struct station *s, const uint8_t *in, size_t n, size_t step, struct seen *seen)
{
    while (n > 0 && !seen->error) {
        size_t used, give = step && step < n ? step : n;
        enum helio_err err = helio_session_feed(s->session, in, give, &used);

        if (err && !seen->error)
            seen->error = err;
        drain_events(s, seen);
        in += used;
        n -= used;
    }
}

size_t station_pull(struct station *s, uint8_t *out, size_t cap)
{
    size_t n = helio_session_pull(s->session, out, cap);

    assert_int_equal(helio_session_pending(s->session), 0);
    return n;
}

void pair_new(struct pair *p, uint16_t suite, uint64_t seed)
{
    memset(p, 0, sizeof *p);
    assert_int_equal(station_new(&p->initiator, HELIO_INITIATOR, suite, seed), HELIO_OK);
    assert_int_equal(station_new(&p->responder, HELIO_RESPONDER, suite, seed), HELIO_OK);
}

void pair_free(struct pair *p)
{
    station_free(&p->initiator);
    station_free(&p->responder);
}

void pair_run(struct pair *p, size_t step)
{
    static uint8_t bytes[CHUNK];

    while (helio_session_pending(p->initiator.session) ||
           helio_session_pending(p->responder.session)) {
        size_t n = station_pull(&p->initiator, bytes, sizeof bytes);

        station_feed(&p->responder, bytes, n, step, &p->responder_saw);
        n = station_pull(&p->responder, bytes, sizeof bytes);
        station_feed(&p->initiator, bytes, n, step, &p->initiator_saw);
    }
}
