#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <malloc.h>
#include <cmocka.h>

#include "classic/classic.h"
#include "classic/hex.h"
#include "classic/keystream.h"
#include "classic/repr.h"
#include "classic/transport.h"
#include "classic_vectors.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static struct bytes text_bytes(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static bool same(struct bytes a, struct bytes b)
{
    return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

static void assert_bytes(const char *what, size_t row, struct bytes seen, struct bytes expected)
{
    if (!same(seen, expected))
        fail_msg("%s, row %zu:\nexpected %zu bytes \"%.*s\"\nseen     %zu bytes \"%.*s\"", what,
                 row, expected.n, (int)expected.n, (const char *)expected.p, seen.n, (int)seen.n,
                 (const char *)seen.p);
}

/* -------------------------------------------------------------------- a station under test -- */

/* Randomness that was handed in: one 16-byte draw after another, then an error. */
struct script {
    const struct bytes *draws;
    size_t count;
    size_t at;
    bool repeat; /* the last draw for ever */
};

static enum helio_err scripted_random(void *context, uint8_t *out, size_t n)
{
    struct script *s = context;

    if (s->at == s->count)
        return HELIO_E_SYSTEM;
    assert_int_equal(s->draws[s->at].n, n);
    memcpy(out, s->draws[s->at].p, n);
    if (!s->repeat || s->at + 1 < s->count)
        s->at++;
    return HELIO_OK;
}

struct station {
    helio_session *session;
    struct script script;
    bool open, closed;
    size_t pieces; /* DATA events */
    uint8_t heard[2048];
    size_t heard_n;
    uint8_t said[2048];
    size_t said_n;
    char trace[32768]; /* "label=data;" for each */
    size_t trace_n;
};

static void note(void *context, const char *what, const uint8_t *data, size_t n)
{
    struct station *st = context;
    int written = snprintf(st->trace + st->trace_n, sizeof st->trace - st->trace_n, "%s=%.*s;",
                           what, (int)n, (const char *)data);

    assert_true(written > 0 && (size_t)written < sizeof st->trace - st->trace_n);
    st->trace_n += (size_t)written;
}

static struct bytes heard(const struct station *st)
{
    return (struct bytes){st->heard, st->heard_n};
}

/* All that waits to be sent, once. */
static struct bytes pull(struct station *st)
{
    st->said_n = helio_session_pull(st->session, st->said, sizeof st->said);
    assert_int_equal(helio_session_pending(st->session), 0);
    return (struct bytes){st->said, st->said_n};
}

static void take_events(struct station *st)
{
    helio_event e;

    while (helio_session_next(st->session, &e) == HELIO_OK && e.kind != HELIO_EVENT_NONE) {
        st->open |= e.kind == HELIO_EVENT_OPEN;
        st->closed |= e.kind == HELIO_EVENT_CLOSED;
        assert_true(e.kind == HELIO_EVENT_OPEN || e.kind == HELIO_EVENT_CLOSED ||
                    e.kind == HELIO_EVENT_DATA);
        if (e.kind != HELIO_EVENT_DATA)
            continue;
        assert_true(st->open && e.size > 0 && st->heard_n + e.size <= sizeof st->heard);
        memcpy(st->heard + st->heard_n, e.data, e.size);
        st->heard_n += e.size;
        st->pieces++;
    }
}

/* Feeds in pieces of so many bytes; 0: all at once. */
static enum helio_err give_pieces(struct station *st, struct bytes b, size_t piece)
{
    size_t at = 0;

    while (at < b.n) {
        size_t n = piece > 0 && piece < b.n - at ? piece : b.n - at, used = 0;
        /* A copy of its own size, so that a sanitizer sees a read past the end. */
        uint8_t *copy = malloc(n);

        assert_non_null(copy);
        memcpy(copy, b.p + at, n);
        enum helio_err err = helio_session_feed(st->session, copy, n, &used);
        free(copy);
        assert_true(used <= n);
        at += used;
        take_events(st);
        if (err)
            return err;
    }
    return HELIO_OK;
}

static enum helio_err give(struct station *st, struct bytes b)
{
    return give_pieces(st, b, 0);
}

/* In two pieces, the first of them `at` bytes long. */
static enum helio_err give_split(struct station *st, struct bytes b, size_t at)
{
    enum helio_err err = give(st, (struct bytes){b.p, at});

    return err ? err : give(st, (struct bytes){b.p + at, b.n - at});
}

static helio_config config_for(struct station *st, const struct bytes *draws, size_t count)
{
    memset(st, 0, sizeof *st);
    st->script = (struct script){.draws = draws, .count = count};
    return (helio_config){.protocol = HELIO_PROTOCOL_CLASSIC,
                          .random = scripted_random,
                          .random_context = &st->script,
                          .trace = note,
                          .trace_context = st};
}

static void start_server(struct station *st, const struct bytes *draws, size_t count)
{
    helio_config config = config_for(st, draws, count);

    assert_int_equal(helio_session_new(&st->session, &config, HELIO_RESPONDER), HELIO_OK);
}

static void start_client_of(struct station *st, helio_config *config,
                            const struct vector_handshake *v)
{
    struct rsa_key *key = NULL;

    assert_int_equal(
        rsa_classic_from_private_pem(&key, (const char *)v->private_pem.p, v->private_pem.n),
        HELIO_OK);
    assert_int_equal(classic_new_with_key(&st->session, config, key), HELIO_OK);
}

static void start_client(struct station *st, const struct vector_handshake *v, const char *name)
{
    helio_config config = config_for(st, NULL, 0);

    config.name = name;
    start_client_of(st, &config, v);
}

static void stop(struct station *st)
{
    helio_session_free(st->session);
    st->session = NULL;
}

static enum helio_err say(struct station *st, struct bytes b)
{
    return helio_session_send(st->session, b.p, b.n, HELIO_MESSAGE);
}

/* A handshake as recorded, up to OPEN. */
static void open_server(struct station *st, const struct vector_handshake *v)
{
    start_server(st, &v->random, 1);
    assert_int_equal(give(st, v->public_pem), HELIO_OK);
    assert_int_equal(give(st, v->hash), HELIO_OK);
    assert_true(st->open);
    pull(st);
}

static void open_client(struct station *st, const struct vector_handshake *v, const char *name)
{
    start_client(st, v, name);
    assert_int_equal(give(st, text_bytes("YES")), HELIO_OK);
    assert_int_equal(give(st, v->reply), HELIO_OK);
    assert_true(st->open);
    pull(st);
}

/* ------------------------------------------------------------------------ the recordings -- */

static const struct vector_handshake *vector_named(const char *name)
{
    for (size_t i = 0; i < COUNT(handshakes); i++)
        if (strcmp(handshakes[i].name, name) == 0)
            return &handshakes[i];
    fail_msg("no recording is called %s", name);
    return NULL;
}

/* A recording whose server our own would not have been: it drew again. */
static bool has_leading_zero(const struct vector_handshake *v)
{
    return v->transported.p[0] == 0;
}

static void what_is_transported_follows_from_what_was_drawn(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(handshakes); i++) {
        const struct vector_handshake *v = &handshakes[i];
        uint8_t t[TRANSPORT_KEY], digest[DIGEST_TEXT];

        assert_int_equal(transport_from_random(t, v->random.p), HELIO_OK);
        assert_bytes("transported key", i, (struct bytes){t, sizeof t}, v->transported);
        assert_int_equal(digest_text(digest, t, sizeof t), HELIO_OK);
        assert_bytes("digest", i, (struct bytes){digest, sizeof digest}, v->digest);
        assert_int_equal(digest_text(digest, v->public_pem.p, v->public_pem.n), HELIO_OK);
        assert_bytes("hash", i, (struct bytes){digest, sizeof digest}, v->hash);
    }
}

static struct bytes trace_of(const struct station *st)
{
    return (struct bytes){(const uint8_t *)st->trace, st->trace_n};
}

static void assert_traced(size_t row, const struct station *st, const char *label,
                          struct bytes data)
{
    char line[2200];
    int n = snprintf(line, sizeof line, "%s=%.*s;", label, (int)data.n, (const char *)data.p);

    assert_true(n > 0 && (size_t)n < sizeof line);
    if (!memmem(trace_of(st).p, trace_of(st).n, line, (size_t)n))
        fail_msg("row %zu: trace lacks %s\nit is %s", row, line, st->trace);
}

static void the_server_answers_as_recorded(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(handshakes); i++) {
        const struct vector_handshake *v = &handshakes[i];
        struct station st;

        if (has_leading_zero(v))
            continue;
        start_server(&st, &v->random, 1);
        assert_int_equal(pull(&st).n, 0);
        assert_int_equal(give(&st, v->public_pem), HELIO_OK);
        assert_bytes("answer", i, pull(&st), text_bytes("YES"));
        assert_false(st.open);
        assert_int_equal(give(&st, v->hash), HELIO_OK);
        assert_bytes("reply", i, pull(&st), v->reply);
        assert_true(st.open);
        assert_traced(i, &st, "public key", v->public_pem);
        assert_traced(i, &st, "public key hash", v->hash);
        assert_traced(i, &st, "session key", v->digest);
        assert_traced(i, &st, "encrypted key", v->reply);
        stop(&st);
    }
}

static void the_client_finds_the_recorded_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(handshakes); i++) {
        const struct vector_handshake *v = &handshakes[i];
        struct station st;

        start_client(&st, v, NULL);
        assert_bytes("public key", i, pull(&st), v->public_pem);
        assert_int_equal(give(&st, text_bytes("YES")), HELIO_OK);
        assert_bytes("hash", i, pull(&st), v->hash);
        assert_false(st.open);
        assert_int_equal(give(&st, v->reply), HELIO_OK);
        assert_int_equal(pull(&st).n, 0);
        assert_true(st.open);
        assert_traced(i, &st, "public key", v->public_pem);
        assert_traced(i, &st, "public key hash", v->hash);
        assert_traced(i, &st, "encrypted key", v->reply);
        assert_traced(i, &st, "session key", v->digest);
        stop(&st);
    }
}

/* Every recorded message read, then written, by a station that begins by reading. */
static void messages_both_ways(struct station *st, const struct vector_handshake *v)
{
    for (size_t i = 0; i < v->message_count; i++) {
        const struct vector_message *m = &v->messages[i];

        st->heard_n = 0;
        assert_int_equal(give(st, m->wire), HELIO_OK);
        assert_bytes(v->name, i, heard(st), m->plain);
        assert_traced(i, st, "ciphertext received", m->wire);
        assert_int_equal(say(st, m->plain), HELIO_OK);
        assert_bytes(v->name, i, pull(st), m->wire);
        assert_traced(i, st, "ciphertext sent", m->wire);
    }
}

static void the_server_talks_as_recorded(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(handshakes); i++) {
        struct station st;

        if (has_leading_zero(&handshakes[i]))
            continue;
        open_server(&st, &handshakes[i]);
        messages_both_ways(&st, &handshakes[i]);
        stop(&st);
    }
}

static void the_client_talks_as_recorded(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(handshakes); i++) {
        const struct vector_handshake *v = &handshakes[i];
        struct station st;

        open_client(&st, v, NULL);
        assert_int_equal(say(&st, v->messages[0].plain), HELIO_OK);
        assert_bytes("first message", i, pull(&st), v->messages[0].wire);
        messages_both_ways(&st, v);
        stop(&st);
    }
}

static void the_client_puts_its_name_before_its_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(handshakes); i++) {
        const struct vector_message *m = &handshakes[i].messages[1];
        struct station st;

        assert_bytes("recorded text", i, m->plain, text_bytes("alice : hi there"));
        open_client(&st, &handshakes[i], "alice");
        assert_int_equal(say(&st, text_bytes("hi there")), HELIO_OK);
        assert_bytes("message", i, pull(&st), m->wire);
        stop(&st);
    }
}

/* What it draws first would have a leading zero: it is drawn again, and no byte of it is used. */
static void the_server_draws_until_the_key_has_no_leading_zero(void **state)
{
    (void)state;
    const struct vector_handshake *zero = vector_named("transported-key-has-leading-zero");
    const struct vector_handshake *good = &handshakes[0];
    const struct bytes draws[] = {zero->random, zero->random, good->random};
    struct station st;

    assert_true(has_leading_zero(zero));
    start_server(&st, draws, COUNT(draws));
    assert_int_equal(give(&st, good->public_pem), HELIO_OK);
    assert_int_equal(give(&st, good->hash), HELIO_OK);
    assert_int_equal(st.script.at, COUNT(draws));
    pull(&st);
    assert_traced(0, &st, "encrypted key", good->reply);
    messages_both_ways(&st, good);
    stop(&st);
}

static void a_generator_that_is_stuck_ends_the_session(void **state)
{
    (void)state;
    const struct vector_handshake *zero = vector_named("transported-key-has-leading-zero");
    const struct {
        size_t count;
        enum helio_err expected;
    } cases[] = {{0, HELIO_E_SYSTEM}, {1, HELIO_E_CRYPTO}};

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct station st;

        start_server(&st, &zero->random, cases[i].count);
        st.script.repeat = true;
        assert_int_equal(give(&st, zero->public_pem), HELIO_OK);
        pull(&st);
        assert_int_equal(give(&st, zero->hash), cases[i].expected);
        assert_int_equal(pull(&st).n, 0);
        assert_false(st.open);
        stop(&st);
    }
}

static void lengths_and_quotes_are_all_there(void **state)
{
    (void)state;
    size_t short_ones = 0, double_quoted = 0, escaped_quotes = 0;

    for (size_t i = 0; i < COUNT(handshakes); i++) {
        const struct vector_handshake *v = &handshakes[i];

        short_ones += v->ciphertext.n == 127;
        double_quoted += v->reply.p[1] == '"';
        escaped_quotes += memmem(v->reply.p, v->reply.n, "\\'", 2) != NULL;
    }
    assert_true(short_ones > 0 && double_quoted > 0 && escaped_quotes > 0);
}

static void variants_are_as_recorded(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(variants); i++)
        for (int mode = HELIO_CLASSIC_CONSTANT; mode <= HELIO_CLASSIC_INCREMENTING; mode++) {
            const struct vector_variant *v = &variants[i];
            uint8_t text[512], wire[1024];
            struct keystream k;

            keystream_set_key(&k, v->digest.p, v->offset, (helio_classic_counter)mode);
            assert_bytes("key", i, (struct bytes){k.key, sizeof k.key}, v->key);
            for (size_t piece = 1; piece <= v->plain.n; piece++) {
                memcpy(text, v->plain.p, v->plain.n);
                keystream_restart(&k);
                for (size_t at = 0; at < v->plain.n; at += piece)
                    keystream_apply(&k, text + at,
                                    piece < v->plain.n - at ? piece : v->plain.n - at);
                hex_write_upper(wire, text, v->plain.n);
                assert_bytes("variant", i, (struct bytes){wire, 2 * v->plain.n},
                             mode == HELIO_CLASSIC_CONSTANT ? v->constant : v->incrementing);
            }
            keystream_clear(&k);
        }
}

/* The counter is one number of 128 bits: a carry goes all the way. */
static void the_incrementing_counter_carries(void **state)
{
    (void)state;
    struct keystream k;
    uint8_t text[2 * KEYSTREAM_KEY] = {0}, expected[KEYSTREAM_KEY];
    static const uint8_t key[DIGEST_TEXT] =
        "0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
    static const uint8_t next[KEYSTREAM_KEY] = "1";

    keystream_set_key(&k, key, 0, HELIO_CLASSIC_INCREMENTING);
    keystream_apply(&k, text, sizeof text);
    helio_idea_encrypt(&k.idea, expected, next);
    helio_idea_encrypt(&k.idea, expected + 8, next + 8);
    assert_memory_equal(text + KEYSTREAM_KEY, expected, sizeof expected);
    keystream_clear(&k);
}

/* Both stations of ours, every place of the key and both counters, on a line of its own each. */
static void stations_agree_in_every_variant(void **state)
{
    (void)state;
    const struct vector_handshake *v = &handshakes[0];

    for (unsigned offset = 0; offset <= 24; offset++)
        for (int mode = HELIO_CLASSIC_CONSTANT; mode <= HELIO_CLASSIC_INCREMENTING; mode++) {
            struct station client, server;
            helio_config c = config_for(&client, NULL, 0), s = config_for(&server, &v->random, 1);
            struct keystream k;
            uint8_t text[200], wire[400], expected[400];

            c.classic_offset = s.classic_offset = offset;
            c.classic_counter = s.classic_counter = (helio_classic_counter)mode;
            start_client_of(&client, &c, v);
            assert_int_equal(helio_session_new(&server.session, &s, HELIO_RESPONDER), HELIO_OK);
            while (helio_session_pending(client.session) + helio_session_pending(server.session)) {
                assert_int_equal(give(&server, pull(&client)), HELIO_OK);
                assert_int_equal(give(&client, pull(&server)), HELIO_OK);
            }
            memset(text, 'x', sizeof text);
            assert_int_equal(say(&client, (struct bytes){text, sizeof text}), HELIO_OK);
            memcpy(wire, pull(&client).p, sizeof wire);
            assert_int_equal(give(&server, (struct bytes){wire, sizeof wire}), HELIO_OK);
            assert_bytes("heard", offset, heard(&server), (struct bytes){text, sizeof text});
            keystream_set_key(&k, v->digest.p, offset, (helio_classic_counter)mode);
            keystream_apply(&k, text, sizeof text);
            hex_write_upper(expected, text, sizeof text);
            assert_bytes("wire", offset, (struct bytes){wire, sizeof wire},
                         (struct bytes){expected, sizeof expected});
            stop(&client);
            stop(&server);
        }
}

/* A fresh key, as in use: nothing recorded, the system's randomness. */
static void fresh_stations_agree(void **state)
{
    (void)state;
    struct station client, server;
    helio_config c = config_for(&client, NULL, 0), s = config_for(&server, NULL, 0);

    c.random = s.random = NULL;
    c.name = "alice";
    assert_int_equal(helio_session_new(&client.session, &c, HELIO_INITIATOR), HELIO_OK);
    assert_int_equal(helio_session_new(&server.session, &s, HELIO_RESPONDER), HELIO_OK);
    while (helio_session_pending(client.session) + helio_session_pending(server.session)) {
        assert_int_equal(give(&server, pull(&client)), HELIO_OK);
        assert_int_equal(give(&client, pull(&server)), HELIO_OK);
    }
    assert_true(client.open && server.open);
    assert_int_equal(say(&client, text_bytes("hi")), HELIO_OK);
    assert_int_equal(give(&server, pull(&client)), HELIO_OK);
    assert_bytes("heard", 0, heard(&server), text_bytes("alice : hi"));
    stop(&client);
    stop(&server);
}

/* ------------------------------------------------------------------------------ the capture -- */

enum { CAPTURED_PEM, CAPTURED_YES, CAPTURED_HASH, CAPTURED_REPLY, CAPTURED_TALK };

static size_t read_hex(uint8_t *out, struct bytes b)
{
    for (size_t i = 0; i < b.n; i++)
        out[i / 2] = (uint8_t)(out[i / 2] << 4 | hex_value(b.p[i]));
    return b.n / 2;
}

static void parse_whole(size_t row, struct bytes text, struct bytes expected)
{
    struct repr_parser p;
    uint8_t again[REPR_TEXT_MAX];

    repr_begin(&p);
    for (size_t i = 0; i < text.n; i++)
        if (repr_add(&p, text.p[i]) != (i + 1 < text.n ? REPR_MORE : REPR_DONE))
            fail_msg("tuple %zu: wrong at character %zu of %.*s", row, i, (int)text.n,
                     (const char *)text.p);
    if (expected.p)
        assert_bytes("parsed", row, (struct bytes){p.value, p.n}, expected);
    assert_bytes("written", row, (struct bytes){again, repr_write(again, p.value, p.n)}, text);
}

/* The captured client's half, in order, to a server of ours; the keys are lost, so sizes are. */
static void the_captured_conversation_runs(void **state)
{
    (void)state;
    struct station st;

    start_server(&st, &handshakes[0].random, 1);
    assert_int_equal(give(&st, capture[CAPTURED_PEM].data), HELIO_OK);
    assert_bytes("answer", 0, pull(&st), capture[CAPTURED_YES].data);
    assert_int_equal(give(&st, capture[CAPTURED_HASH].data), HELIO_OK);
    assert_true(st.open);
    parse_whole(0, pull(&st), (struct bytes){NULL, 0});
    parse_whole(1, capture[CAPTURED_REPLY].data, (struct bytes){NULL, 0});
    for (size_t i = CAPTURED_TALK; i < COUNT(capture); i++) {
        struct bytes data = capture[i].data;

        st.heard_n = 0;
        if (capture[i].from_client) {
            assert_int_equal(give(&st, data), HELIO_OK);
            assert_int_equal(st.heard_n, data.n / 2);
        } else {
            assert_int_equal(helio_session_send(st.session, data.p, data.n / 2, HELIO_MESSAGE),
                             HELIO_OK);
            assert_int_equal(pull(&st).n, data.n);
        }
    }
    stop(&st);
}

/* Why the keystream must not begin anew: one known text, and the rest of the capture lies open. */
static void one_known_message_opens_the_capture(void **state)
{
    (void)state;
    static const char known[] = "alice : hi there";
    static const char *const expected[] = {known, "hello from server", "alice : bye for now",
                                           "second reply"};
    uint8_t stream[16];

    assert_int_equal(COUNT(capture) - CAPTURED_TALK, COUNT(expected));
    read_hex(stream, capture[CAPTURED_TALK].data);
    for (size_t i = 0; i < sizeof stream; i++)
        stream[i] ^= (uint8_t)known[i];
    for (size_t m = 0; m < COUNT(expected); m++) {
        uint8_t text[64] = {0};
        size_t n = read_hex(text, capture[CAPTURED_TALK + m].data);

        for (size_t i = 0; i < n; i++)
            text[i] ^= stream[i % sizeof stream];
        assert_bytes("captured text", m, (struct bytes){text, n}, text_bytes(expected[m]));
    }
}

/* ------------------------------------------------------------------------------- every split -- */

static void every_split_gives_the_server_the_same(void **state)
{
    (void)state;
    const struct vector_handshake *v = vector_named("reply-in-double-quotes");

    for (size_t at = 0; at <= v->public_pem.n; at++) {
        struct station st;

        start_server(&st, &v->random, 1);
        assert_int_equal(give_split(&st, v->public_pem, at), HELIO_OK);
        assert_bytes("answer", at, pull(&st), text_bytes("YES"));
        assert_int_equal(give_split(&st, v->hash, at % (v->hash.n + 1)), HELIO_OK);
        assert_bytes("reply", at, pull(&st), v->reply);
        stop(&st);
    }
}

static void every_split_gives_the_client_the_same(void **state)
{
    (void)state;
    const struct vector_handshake *v = vector_named("reply-with-backslash-and-newline");

    for (size_t at = 0; at <= v->reply.n; at++) {
        struct station st;

        start_client(&st, v, NULL);
        pull(&st);
        assert_int_equal(give_split(&st, text_bytes("YES"), at % 4), HELIO_OK);
        assert_bytes("hash", at, pull(&st), v->hash);
        assert_int_equal(give_split(&st, v->reply, at), HELIO_OK);
        assert_true(st.open);
        assert_traced(at, &st, "session key", v->digest);
        stop(&st);
    }
}

static void every_split_of_a_message_gives_the_same(void **state)
{
    (void)state;
    const struct vector_handshake *v = &handshakes[1];
    struct station st;

    open_server(&st, v);
    for (size_t i = 0; i < v->message_count; i++)
        for (size_t at = 0; at <= v->messages[i].wire.n; at++) {
            st.heard_n = st.trace_n = st.pieces = 0;
            assert_int_equal(give_split(&st, v->messages[i].wire, at), HELIO_OK);
            assert_bytes(v->name, at, heard(&st), v->messages[i].plain);
            assert_true(st.pieces <= 2);
            assert_int_equal(say(&st, text_bytes("next")), HELIO_OK);
            pull(&st);
        }
    stop(&st);
}

static void byte_by_byte_gives_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(handshakes); i++) {
        const struct vector_handshake *v = &handshakes[i];
        struct station st;

        if (!has_leading_zero(v)) {
            start_server(&st, &v->random, 1);
            assert_int_equal(give_pieces(&st, v->public_pem, 1), HELIO_OK);
            assert_int_equal(give_pieces(&st, v->hash, 1), HELIO_OK);
            assert_true(st.open);
            pull(&st);
            assert_traced(i, &st, "encrypted key", v->reply);
            stop(&st);
        }
        start_client(&st, v, NULL);
        assert_int_equal(give_pieces(&st, text_bytes("YES"), 1), HELIO_OK);
        assert_int_equal(give_pieces(&st, v->reply, 1), HELIO_OK);
        pull(&st);
        for (size_t m = 0; m < v->message_count; m++) {
            st.heard_n = st.trace_n = st.pieces = 0;
            assert_int_equal(say(&st, text_bytes("?")), HELIO_OK);
            pull(&st);
            assert_int_equal(give_pieces(&st, v->messages[m].wire, 1), HELIO_OK);
            assert_bytes(v->name, m, heard(&st), v->messages[m].plain);
            assert_int_equal(st.pieces, v->messages[m].plain.n);
        }
        stop(&st);
    }
}

/* A client that does not wait for YES; a server that says its first message with the reply. */
static void what_comes_early_is_not_lost(void **state)
{
    (void)state;
    const struct vector_handshake *v = &handshakes[2];
    uint8_t all[4096];
    struct station st;
    size_t n = 0;

    memcpy(all, v->public_pem.p, v->public_pem.n);
    n += v->public_pem.n;
    memcpy(all + n, v->hash.p, v->hash.n);
    n += v->hash.n;
    memcpy(all + n, v->messages[1].wire.p, v->messages[1].wire.n);
    n += v->messages[1].wire.n;
    start_server(&st, &v->random, 1);
    assert_int_equal(give(&st, (struct bytes){all, n}), HELIO_OK);
    assert_bytes("heard", 0, heard(&st), v->messages[1].plain);
    stop(&st);

    n = v->reply.n;
    memcpy(all, v->reply.p, n);
    memcpy(all + n, v->messages[0].wire.p, v->messages[0].wire.n);
    n += v->messages[0].wire.n;
    start_client(&st, v, NULL);
    assert_int_equal(give(&st, text_bytes("YES")), HELIO_OK);
    assert_int_equal(give(&st, (struct bytes){all, n}), HELIO_OK);
    assert_bytes("heard", 1, heard(&st), v->messages[0].plain);
    stop(&st);
}

/* --------------------------------------------------------------------------------- the tuple -- */

static void tuples_are_written_and_read_as_python_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(reprs); i++) {
        uint8_t text[REPR_TEXT_MAX];
        size_t n = repr_write(text, reprs[i].value.p, reprs[i].value.n);

        assert_bytes("tuple", i, (struct bytes){text, n}, reprs[i].text);
        if (reprs[i].text.n <= REPR_READ_MAX)
            parse_whole(i, reprs[i].text, reprs[i].value);
    }
}

/* What Python would take, or run, and we do not. */
static const struct bad_tuple {
    const char *text;
    size_t n; /* 0: its strlen */
} bad_tuples[] = {
    {"'abc'", 0},
    {" ('abc',)", 0},
    {"( 'abc',)", 0},
    {"('abc' ,)", 0},
    {"('abc', )", 0},
    {"('abc')", 0},
    {"('abc',('def',))", 0},
    {"('abc','def')", 0},
    {"('abc''def',)", 0},
    {"(('abc',),)", 0},
    {"['abc',]", 0},
    {"{'abc',}", 0},
    {"(,)", 0},
    {"()", 0},
    {"(1,)", 0},
    {"(12345678901234567890L,)", 0},
    {"(None,)", 0},
    {"(b'abc',)", 0},
    {"(u'abc',)", 0},
    {"(r'abc',)", 0},
    {"('''abc''',)", 0},
    {"(\"\"\"abc\"\"\",)", 0},
    {"(\"abc\",)", 0},            /* Python takes single quotes here */
    {"('it\\'s',)", 0},           /* and double quotes here */
    {"(\"it\\'s\",)", 0},         /* where nothing is escaped */
    {"(\"it's \\\"x\\\"\",)", 0}, /* and single ones again, with both about */
    {"('\\\"',)", 0},
    {"('\\a',)", 0},
    {"('\\0',)", 0},
    {"('\\101',)", 0},
    {"('\\x4',)", 0},
    {"('\\x4g',)", 0},
    {"('\\xAB',)", 0},
    {"('\\xaB',)", 0},
    {"('\\X00',)", 0},
    {"('\\x41',)", 0}, /* has a shorter form */
    {"('\\x09',)", 0},
    {"('\\x0a',)", 0},
    {"('\\x0d',)", 0},
    {"('\\x5c',)", 0},
    {"('\\x27',)", 0},
    {"('\\x22',)", 0},
    {"('\\u0041',)", 0},
    {"('\\N{DIGIT ONE}',)", 0},
    {"('a\\\nb',)", 0},
    {"('a\nb',)", 0},
    {"('a\tb',)", 0},
    {"('a\0b',)", 8},
    {"('a\x7f',)", 0},
    {"('a\x80',)", 0},
    {"('a\xff',)", 0},
    {"(\0'a',)", 8},
    {"('a',];", 0},
    {"('a'+'b',)", 0},
    {"('a'*9,)", 0},
    {"__import__('os').system('true')", 0},
    {"(__import__('os').system('true'),)", 0},
    {"YES", 0},
    {"\r\n('a',)", 0},
};

static enum repr_status parse_until_not_more(struct bytes text)
{
    struct repr_parser p;
    enum repr_status status = REPR_MORE;

    repr_begin(&p);
    for (size_t i = 0; i < text.n && status == REPR_MORE; i++)
        status = repr_add(&p, text.p[i]);
    return status;
}

static void other_tuples_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_tuples); i++) {
        const struct bad_tuple *t = &bad_tuples[i];
        struct bytes text = {(const uint8_t *)t->text, t->n ? t->n : strlen(t->text)};
        struct station st;

        if (parse_until_not_more(text) != REPR_BAD)
            fail_msg("tuple %zu is not refused: %s", i, t->text);
        start_client(&st, &handshakes[0], NULL);
        assert_int_equal(give(&st, text_bytes("YES")), HELIO_OK);
        assert_int_equal(give(&st, text), HELIO_E_BROKEN);
        assert_int_equal(helio_session_error(st.session), HELIO_E_BROKEN);
        assert_false(st.open);
        stop(&st);
    }
}

static void tuples_have_a_limit(void **state)
{
    (void)state;
    uint8_t text[4 * REPR_READ_MAX], value[REPR_VALUE_MAX];

    memset(text, 'a', sizeof text);
    memcpy(text, "('", 2);
    assert_int_equal(parse_until_not_more((struct bytes){text, 2 + REPR_VALUE_MAX}), REPR_MORE);
    assert_int_equal(parse_until_not_more((struct bytes){text, 3 + REPR_VALUE_MAX}), REPR_BAD);
    /* 254 bytes as \xNN make 1021 characters, 255 make 1025. */
    memset(value, 0xff, sizeof value);
    size_t n = repr_write(text, value, 254);
    assert_int_equal(n, 1021);
    assert_int_equal(parse_until_not_more((struct bytes){text, n}), REPR_DONE);
    n = repr_write(text, value, 255);
    assert_int_equal(parse_until_not_more((struct bytes){text, n - 1}), REPR_MORE);
    assert_int_equal(parse_until_not_more((struct bytes){text, n}), REPR_BAD);
}

/* xorshift64*, so that a failure can be had again from its seed. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1d;
}

/* Half of the bytes from where the rules are, half from anywhere. */
static uint8_t random_byte(uint64_t *state)
{
    static const char special[] = "'\"\\xtnr,() 09afAF\n\t\r";
    uint64_t r = next_random(state);

    return r >> 63 ? (uint8_t)special[(r >> 8) % (sizeof special - 1)] : (uint8_t)(r >> 8);
}

/* Random values come back; a changed text is refused, or is itself the text of another value. */
static void random_tuples_hold_the_rule(void **state)
{
    (void)state;
    const uint64_t seed = 0x68656c696f;
    uint64_t rng = seed;
    size_t accepted = 0;

    for (unsigned round = 0; round < 20000; round++) {
        uint8_t value[40], text[REPR_TEXT_MAX], again[REPR_TEXT_MAX];
        struct repr_parser p;
        size_t n = next_random(&rng) % sizeof value;
        enum repr_status status = REPR_MORE;

        for (size_t i = 0; i < n; i++)
            value[i] = random_byte(&rng);
        size_t text_n = repr_write(text, value, n);
        if (round % 4)
            text[next_random(&rng) % text_n] = random_byte(&rng);
        repr_begin(&p);
        size_t taken = 0;
        while (taken < text_n && status == REPR_MORE)
            status = repr_add(&p, text[taken++]);
        if (round % 4 == 0 && (status != REPR_DONE || p.n != n || memcmp(p.value, value, n) != 0))
            fail_msg("seed %#llx, round %u: did not come back", (unsigned long long)seed, round);
        if (status != REPR_DONE)
            continue;
        accepted++;
        if (repr_write(again, p.value, p.n) != taken || memcmp(again, text, taken) != 0)
            fail_msg("seed %#llx, round %u: taken, but not as Python writes it",
                     (unsigned long long)seed, round);
    }
    assert_true(accepted > 5000 && accepted < 20000);
}

/* --------------------------------------------------------------------------- hostile clients -- */

/* Well-formed keys, none of which a server may use. */
static const char *const bad_keys[] = {
    /* 512 bits */
    "-----BEGIN PUBLIC KEY-----\n"
    "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAOnSXkPWqb6IbGYLzQINp6ZZ2YAeyNah\n"
    "v41WYDGyNkCT8HXT6srOcC9ea/9vXDmj2fGjKInhHeU/U9bS6auBSbMCAwEAAQ==\n"
    "-----END PUBLIC KEY-----",
    /* 1016 bits */
    "-----BEGIN PUBLIC KEY-----\n"
    "MIGeMA0GCSqGSIb3DQEBAQUAA4GMADCBiAKBgADbJ4Nou5ACbSLfGqK49HJOR5d5\n"
    "7UplLOLhcmXul5LTbhnL5Ys319UvEH2nevJm8OfyiAxQ9c4npN1AGEzUhL/5TD1u\n"
    "rQcYzuBuQt6zgJU341c6aH6y+ScMPJH+spJxlSGKGN5ycHraEZQSbzdMzXNNU6Db\n"
    "+Ryk7i+QMHg6UYZ7AgMBAAE=\n"
    "-----END PUBLIC KEY-----",
    /* 2056 bits */
    "-----BEGIN PUBLIC KEY-----\n"
    "MIIBIzANBgkqhkiG9w0BAQEFAAOCARAAMIIBCwKCAQIA1zHDrHTslNJNtZjRlzm3\n"
    "7VHwTLJ0sAQRbovPNgwpQNe1PdbCjSLyCX3cShwXHlCheDNB5Y5BzN5BS4tEX5b+\n"
    "Nfn4Boar149h8hiUfPKoQmTj2MnDVcs/sGQC23YFc3/mrM9qCA7nugWD81oV4tWk\n"
    "mfopc5JDvWzQvFumZoQSyTtnhRqU7969CDnxELT6IdgkQGrkoUjUhQ5pqUL7kLGM\n"
    "mFvPcrCEr9G1WI9rYmbcmHJ8/MFtUiKjt0MajQwyHDh4c+dXKNFXhKsIbTwEIFd2\n"
    "K6d6T/CrvJw9maPI2oAn9J1nt5a0BkX7sqWiyItbSPGfByYHwA8ph+2tIC8TE6/y\n"
    "hV8CAwEAAQ==\n"
    "-----END PUBLIC KEY-----",
    /* P-256 */
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE2s+VlpFf80uM9pQk1Hkc0sv2pf4D\n"
    "lV+siqJYK6LUsiqVZBeuu0i406x6i0wMbh7W1pnfiCb69hm+rCnP02FTqQ==\n"
    "-----END PUBLIC KEY-----",
    "-----BEGIN PUBLIC KEY----------END PUBLIC KEY-----",
    "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----",
    "-----BEGIN PUBLIC KEY-----\nnonsense\n-----END PUBLIC KEY-----",
    "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
};

/* 2048 bits: the most that a server takes. */
static const char large_key[] = "-----BEGIN PUBLIC KEY-----\n"
                                "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA5chnbYdoY1AEZjCyiEC5\n"
                                "g28yQVIFwdhuFq3Gy/V7QwxVxxaOfHlihhbda3XM26xVMDxPDhEn/B41r7phrh0w\n"
                                "EeE2CK8P6DuvpgFKGvVVkKBVlFcBWgCBe8U8qOOTAYGrXRM6QCzNNmTRlHMnjiMo\n"
                                "42X8F8p4IWveRD5DxOaknqHCiYuxnkQ/IOxiZGKdO8GV20k1Y1n20LoWh3/WBSA7\n"
                                "2VZ29Lkgas2edjaKNc9XzFTpvu3PMacLt5DQPJiHxJApsPeTwzMfptKtBahUGZKQ\n"
                                "U2j4YRLoMLFZzNbpuKVzy8FU5HW14s0IkI+PL8lgG+nzaxQoGoQz15jBlfgBZ0V1\n"
                                "wQIDAQAB\n"
                                "-----END PUBLIC KEY-----";

static void hash_of(uint8_t hash[DIGEST_TEXT], const char *text)
{
    assert_int_equal(digest_text(hash, text, strlen(text)), HELIO_OK);
}

static void the_server_takes_keys_up_to_2048_bits(void **state)
{
    (void)state;
    uint8_t hash[DIGEST_TEXT];
    struct station st;

    hash_of(hash, large_key);
    start_server(&st, &handshakes[0].random, 1);
    assert_int_equal(give(&st, text_bytes(large_key)), HELIO_OK);
    assert_int_equal(give(&st, (struct bytes){hash, sizeof hash}), HELIO_OK);
    assert_true(st.open);
    stop(&st);
}

static void the_server_refuses_other_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_keys); i++) {
        uint8_t hash[DIGEST_TEXT];
        struct station st;

        hash_of(hash, bad_keys[i]);
        start_server(&st, &handshakes[0].random, 1);
        assert_int_equal(give(&st, text_bytes(bad_keys[i])), HELIO_OK);
        assert_bytes("answer", i, pull(&st), text_bytes("YES"));
        if (give(&st, (struct bytes){hash, sizeof hash}) != HELIO_E_BROKEN)
            fail_msg("key %zu was taken", i);
        assert_int_equal(pull(&st).n, 0);
        assert_false(st.open);
        assert_int_equal(st.script.at, 0);
        stop(&st);
    }
}

/* Every digit of the hash changed once, and its letters made upper case. */
static void the_server_refuses_a_wrong_hash(void **state)
{
    (void)state;
    const struct vector_handshake *v = &handshakes[0];

    for (size_t at = 0; at <= v->hash.n; at++) {
        uint8_t hash[DIGEST_TEXT];
        struct station st;

        memcpy(hash, v->hash.p, sizeof hash);
        for (size_t i = 0; i < sizeof hash; i++)
            if (at == v->hash.n && hash[i] >= 'a')
                hash[i] = (uint8_t)(hash[i] - 'a' + 'A');
        if (at < v->hash.n)
            hash[at] = hash[at] == '0' ? '1' : '0';
        start_server(&st, &v->random, 1);
        assert_int_equal(give(&st, v->public_pem), HELIO_OK);
        pull(&st);
        assert_int_equal(give(&st, (struct bytes){hash, sizeof hash}), HELIO_E_BROKEN);
        assert_int_equal(pull(&st).n, 0);
        assert_false(st.open);
        stop(&st);
    }
}

/* What a client may not begin with; each is refused at its last byte and not before. */
static const struct bad_opening {
    const char *text;
    size_t n;
} bad_openings[] = {
    {"G", 1},
    {"\n", 1},
    {"\0", 1},
    {"\x16", 1}, /* TLS */
    {"-----BEGIN R", 12},
    {"-----BEGIN PUBLIC KEY----\n", 26},
    {"------", 6},
};

static void the_server_refuses_garbage_at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_openings); i++) {
        const struct bad_opening *o = &bad_openings[i];
        struct station st;

        start_server(&st, NULL, 0);
        assert_int_equal(give(&st, (struct bytes){(const uint8_t *)o->text, o->n - 1}), HELIO_OK);
        if (give(&st, (struct bytes){(const uint8_t *)o->text + o->n - 1, 1}) != HELIO_E_BROKEN)
            fail_msg("opening %zu was taken", i);
        assert_int_equal(pull(&st).n, 0);
        stop(&st);
    }
}

static void the_server_holds_no_more_than_a_key(void **state)
{
    (void)state;
    uint8_t text[1025];
    struct station st;

    memset(text, 'A', sizeof text);
    memcpy(text, bad_keys[0], 26);
    start_server(&st, NULL, 0);
    assert_int_equal(give(&st, (struct bytes){text, 1024}), HELIO_OK);
    assert_int_equal(give(&st, (struct bytes){text + 1024, 1}), HELIO_E_BROKEN);
    stop(&st);
}

/* --------------------------------------------------------------------------- hostile servers -- */

static const char *const bad_answers[] = {"yes", "NO", "Yes", "\n", "YEs", "('a',)"};

static void the_client_refuses_another_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_answers); i++) {
        struct station st;

        start_client(&st, &handshakes[0], NULL);
        pull(&st);
        if (give(&st, text_bytes(bad_answers[i])) != HELIO_E_BROKEN)
            fail_msg("answer %zu was taken: %s", i, bad_answers[i]);
        assert_int_equal(pull(&st).n, 0);
        stop(&st);
    }
}

static enum helio_err give_value(struct station *st, const uint8_t *value, size_t n)
{
    uint8_t text[REPR_TEXT_MAX];

    start_client(st, &handshakes[0], NULL);
    assert_int_equal(give(st, text_bytes("YES")), HELIO_OK);
    return give(st, (struct bytes){text, repr_write(text, value, n)});
}

static void the_client_refuses_other_numbers(void **state)
{
    (void)state;
    uint8_t large[129], random_number[128];
    const struct {
        const char *what;
        const uint8_t *value;
        size_t n;
    } cases[] = {
        {"nothing", large, 0},
        {"not below the modulus", large, 128},
        {"longer than the modulus", large, 129},
        {"a small number, whose root is large", (const uint8_t *)"\x02", 1},
        {"any number", random_number, 128},
    };

    memset(large, 0xff, sizeof large);
    memset(random_number, 0x42, sizeof random_number);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct station st;

        if (give_value(&st, cases[i].value, cases[i].n) != HELIO_E_BROKEN)
            fail_msg("taken: %s", cases[i].what);
        assert_false(st.open);
        stop(&st);
    }
}

/* The original reads a number; zeros before it change nothing, as long as it fits. */
static void the_client_takes_zeros_before_the_number(void **state)
{
    (void)state;
    const struct vector_handshake *v = vector_named("ciphertext-has-leading-zero");
    uint8_t value[128] = {0}, text[REPR_TEXT_MAX];
    struct station st;

    memcpy(value + 1, v->ciphertext.p, v->ciphertext.n);
    start_client(&st, v, NULL);
    assert_int_equal(give(&st, text_bytes("YES")), HELIO_OK);
    assert_int_equal(give(&st, (struct bytes){text, repr_write(text, value, 128)}), HELIO_OK);
    assert_true(st.open);
    assert_traced(0, &st, "session key", v->digest);
    stop(&st);
}

/* --------------------------------------------------------------------------------- hostile talk -- */

static void both_cases_are_read(void **state)
{
    (void)state;
    const struct vector_handshake *v = &handshakes[3];
    struct station st;

    open_server(&st, v);
    for (size_t i = 0; i < v->message_count; i++) {
        uint8_t wire[1024];
        struct bytes m = v->messages[i].wire;

        for (size_t k = 0; k < m.n; k++)
            wire[k] = k % 3 && m.p[k] >= 'A' ? (uint8_t)(m.p[k] - 'A' + 'a') : m.p[k];
        st.heard_n = 0;
        assert_int_equal(give(&st, (struct bytes){wire, m.n}), HELIO_OK);
        assert_bytes("heard", i, heard(&st), v->messages[i].plain);
        assert_int_equal(say(&st, v->messages[i].plain), HELIO_OK);
        assert_bytes("said", i, pull(&st), m);
    }
    stop(&st);
}

/* Every byte that is no hex digit, after every number of good digits up to four, in every split:
 * what was good comes out, the bad byte ends the session. */
static void other_bytes_end_the_line(void **state)
{
    (void)state;
    const struct vector_handshake *v = &handshakes[0];

    for (unsigned bad = 0; bad < 256; bad++) {
        if (hex_value((uint8_t)bad) >= 0)
            continue;
        for (size_t good = 0; good <= 4; good++)
            for (size_t piece = 0; piece <= 2; piece++) {
                uint8_t wire[8];
                struct station st;

                memcpy(wire, v->messages[0].wire.p, good);
                wire[good] = (uint8_t)bad;
                open_server(&st, v);
                if (give_pieces(&st, (struct bytes){wire, good + 1}, piece) != HELIO_E_BROKEN)
                    fail_msg("byte %#x was taken", bad);
                assert_bytes("heard", bad, heard(&st),
                             (struct bytes){v->messages[0].plain.p, good / 2});
                assert_int_equal(helio_session_error(st.session), HELIO_E_BROKEN);
                assert_int_equal(say(&st, text_bytes("x")), HELIO_E_BROKEN);
                assert_int_equal(helio_session_eof(st.session), HELIO_E_BROKEN);
                assert_int_equal(helio_session_done(st.session), 0);
                stop(&st);
            }
    }
}

static void hex_digits_are_exactly_these(void **state)
{
    (void)state;
    static const char digits[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";

    for (unsigned c = 0; c < 256; c++) {
        const char *at = c ? strchr(digits, (int)c) : NULL, *up = c ? strchr(upper, (int)c) : NULL;
        int expected = at ? (int)(at - digits) : up ? (int)(up - upper) : -1;
        uint8_t byte = (uint8_t)c, lower_text[2], upper_text[2];
        char again[3];

        assert_int_equal(hex_value(byte), expected);
        hex_write_lower(lower_text, &byte, 1);
        hex_write_upper(upper_text, &byte, 1);
        snprintf(again, sizeof again, "%02x", c);
        assert_memory_equal(lower_text, again, 2);
        snprintf(again, sizeof again, "%02X", c);
        assert_memory_equal(upper_text, again, 2);
    }
}

/* 1024 digits are a message; one more is not, whole or in pieces, and a new turn counts anew. */
static void a_turn_has_a_limit(void **state)
{
    (void)state;
    const struct vector_handshake *v = &handshakes[0];
    struct bytes longest = v->messages[5].wire;
    static const size_t pieces[] = {0, 1, 2, 3, 1023, 1024};

    assert_int_equal(longest.n, 1024);
    for (size_t i = 0; i < COUNT(pieces); i++) {
        struct station st;

        open_server(&st, v);
        for (int turn = 0; turn < 3; turn++) {
            st.trace_n = st.heard_n = 0;
            assert_int_equal(give_pieces(&st, longest, pieces[i]), HELIO_OK);
            assert_bytes("longest", i, heard(&st), v->messages[5].plain);
            if (turn < 2)
                assert_int_equal(say(&st, text_bytes("on")), HELIO_OK);
        }
        assert_int_equal(give(&st, text_bytes("0")), HELIO_E_BROKEN);
        assert_int_equal(st.heard_n, 512);
        stop(&st);
    }
}

/* -------------------------------------------------------------------------------- turns and end -- */

static void sending_keeps_to_the_turns(void **state)
{
    (void)state;
    const struct vector_handshake *v = &handshakes[0];
    struct bytes wire = v->messages[1].wire;
    struct station st;

    start_server(&st, &v->random, 1);
    assert_int_equal(say(&st, text_bytes("x")), HELIO_E_STATE);
    stop(&st);
    open_server(&st, v);
    assert_int_equal(say(&st, text_bytes("x")), HELIO_E_STATE);
    assert_int_equal(give(&st, (struct bytes){wire.p, 1}), HELIO_OK);
    assert_int_equal(say(&st, text_bytes("x")), HELIO_E_STATE);
    assert_int_equal(give(&st, (struct bytes){wire.p + 1, 1}), HELIO_OK);
    assert_bytes("first byte", 0, heard(&st), text_bytes("a"));
    assert_int_equal(give(&st, (struct bytes){wire.p + 2, 1}), HELIO_OK);
    assert_int_equal(say(&st, text_bytes("x")), HELIO_E_STATE);
    assert_int_equal(give(&st, (struct bytes){wire.p + 3, wire.n - 3}), HELIO_OK);
    assert_int_equal(pull(&st).n, 0);
    assert_int_equal(say(&st, text_bytes("x")), HELIO_OK);
    assert_int_equal(say(&st, text_bytes("x")), HELIO_E_STATE);
    assert_bytes("one message", 0, pull(&st), v->messages[2].wire);
    stop(&st);

    open_client(&st, v, NULL);
    assert_int_equal(say(&st, text_bytes("x")), HELIO_OK);
    assert_int_equal(say(&st, text_bytes("x")), HELIO_E_STATE);
    assert_bytes("one message", 1, pull(&st), v->messages[2].wire);
    assert_int_equal(give(&st, v->messages[0].wire), HELIO_OK);
    assert_int_equal(say(&st, text_bytes("x")), HELIO_OK);
    assert_int_equal(helio_session_error(st.session), HELIO_OK);
    stop(&st);
}

static void what_cannot_be_sent_is_refused_and_costs_no_turn(void **state)
{
    (void)state;
    const struct vector_handshake *v = &handshakes[0];
    uint8_t text[513];
    const struct {
        const char *name;
        size_t n;
        helio_content content;
        enum helio_err expected;
    } cases[] = {
        {NULL, 0, HELIO_MESSAGE, HELIO_E_ARGUMENT},
        {NULL, 513, HELIO_MESSAGE, HELIO_E_TOO_LONG},
        {"alice", 505, HELIO_MESSAGE, HELIO_E_TOO_LONG}, /* "alice : " takes 8 */
        {NULL, 1, HELIO_DATA, HELIO_E_ARGUMENT},
        {NULL, 1, HELIO_PING, HELIO_E_ARGUMENT},
        {NULL, 512, HELIO_MESSAGE, HELIO_OK},
        {"", 512, HELIO_MESSAGE, HELIO_OK},
        {"alice", 504, HELIO_MESSAGE, HELIO_OK},
    };

    memset(text, 'A', sizeof text);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct station st;
        enum helio_err err;

        open_client(&st, v, cases[i].name);
        err = helio_session_send(st.session, text, cases[i].n, cases[i].content);
        if (err != cases[i].expected)
            fail_msg("case %zu: expected %d, seen %d", i, cases[i].expected, err);
        assert_int_equal(pull(&st).n, err ? 0 : 1024);
        assert_int_equal(helio_session_error(st.session), HELIO_OK);
        assert_int_equal(say(&st, text_bytes("x")), err ? HELIO_OK : HELIO_E_STATE);
        stop(&st);
    }
}

static void the_end_of_the_stream_is_a_close_only_between_bytes(void **state)
{
    (void)state;
    const struct vector_handshake *v = &handshakes[0];
    struct station st;

    for (size_t n = 0; n <= v->public_pem.n + v->hash.n; n += 13) {
        size_t pem = n < v->public_pem.n ? n : v->public_pem.n;
        size_t hash = n - pem < v->hash.n ? n - pem : v->hash.n - 1;

        start_server(&st, &v->random, 1);
        assert_int_equal(give(&st, (struct bytes){v->public_pem.p, pem}), HELIO_OK);
        assert_int_equal(give(&st, (struct bytes){v->hash.p, hash}), HELIO_OK);
        assert_int_equal(helio_session_eof(st.session), HELIO_E_CUT);
        assert_int_equal(helio_session_error(st.session), HELIO_E_CUT);
        stop(&st);
    }
    for (size_t n = 0; n < v->reply.n; n += 13) {
        start_client(&st, v, NULL);
        assert_int_equal(give(&st, text_bytes("YES")), HELIO_OK);
        assert_int_equal(give(&st, (struct bytes){v->reply.p, n}), HELIO_OK);
        assert_int_equal(helio_session_eof(st.session), HELIO_E_CUT);
        stop(&st);
    }
    for (size_t n = 0; n <= v->messages[0].wire.n; n++) {
        enum helio_err expected = n % 2 ? HELIO_E_CUT : HELIO_OK;

        open_server(&st, v);
        assert_int_equal(give(&st, (struct bytes){v->messages[0].wire.p, n}), HELIO_OK);
        assert_int_equal(helio_session_eof(st.session), expected);
        take_events(&st);
        assert_int_equal(st.closed, expected == HELIO_OK);
        st.closed = false;
        assert_int_equal(helio_session_eof(st.session), expected);
        take_events(&st);
        assert_false(st.closed); /* said once */
        stop(&st);
    }
}

/* Done: we have closed, and the peer has ended or could only wait for us. */
static void done_waits_for_the_late_answer(void **state)
{
    (void)state;
    const struct vector_handshake *v = &handshakes[0];
    struct bytes answer = v->messages[0].wire;
    struct station st;

    start_server(&st, &v->random, 1);
    assert_int_equal(helio_session_close(st.session), HELIO_E_STATE);
    stop(&st);

    open_client(&st, v, NULL);
    assert_int_equal(helio_session_done(st.session), 0);
    assert_int_equal(helio_session_close(st.session), HELIO_OK);
    assert_int_equal(helio_session_done(st.session), 1);
    assert_int_equal(say(&st, text_bytes("x")), HELIO_E_STATE);
    stop(&st);

    open_client(&st, v, NULL);
    assert_int_equal(say(&st, text_bytes("x")), HELIO_OK);
    assert_int_equal(helio_session_close(st.session), HELIO_OK);
    pull(&st);
    assert_int_equal(helio_session_done(st.session), 0);
    assert_int_equal(give(&st, (struct bytes){answer.p, 3}), HELIO_OK);
    assert_int_equal(helio_session_done(st.session), 0);
    assert_int_equal(give(&st, (struct bytes){answer.p + 3, answer.n - 3}), HELIO_OK);
    assert_int_equal(helio_session_done(st.session), 1);
    assert_bytes("late answer", 0, heard(&st), v->messages[0].plain);
    stop(&st);

    open_server(&st, v);
    assert_int_equal(helio_session_close(st.session), HELIO_OK);
    assert_int_equal(helio_session_done(st.session), 0);
    assert_int_equal(helio_session_eof(st.session), HELIO_OK);
    take_events(&st);
    assert_true(st.closed);
    assert_int_equal(helio_session_done(st.session), 1);
    stop(&st);

    open_server(&st, v);
    assert_int_equal(give(&st, answer), HELIO_OK);
    assert_int_equal(helio_session_eof(st.session), HELIO_OK);
    take_events(&st);
    assert_int_equal(helio_session_done(st.session), 0);
    assert_int_equal(say(&st, text_bytes("x")), HELIO_OK);
    assert_int_equal(helio_session_close(st.session), HELIO_OK);
    assert_int_equal(helio_session_done(st.session), 0); /* still to pull */
    pull(&st);
    assert_int_equal(helio_session_done(st.session), 1);
    stop(&st);
}

static void what_classic_has_not_is_refused(void **state)
{
    (void)state;
    uint8_t out[32];
    struct station st;

    open_server(&st, &handshakes[0]);
    assert_int_equal(helio_session_trust(st.session), HELIO_E_STATE);
    assert_int_equal(helio_session_wait(st.session), HELIO_E_STATE);
    assert_int_equal(helio_session_id(st.session, out), HELIO_E_STATE);
    assert_int_equal(helio_session_export(st.session, "x", NULL, 0, out, sizeof out),
                     HELIO_E_STATE);
    assert_int_equal(helio_session_confirm(st.session), HELIO_OK);
    assert_int_equal(pull(&st).n, 0);
    assert_null(helio_session_peer(st.session));
    assert_int_equal(helio_session_suite(st.session), 0);
    helio_session_refuse(st.session, HELIO_REFUSE_UNTRUSTED);
    assert_int_equal(helio_session_error(st.session), HELIO_E_UNTRUSTED);
    assert_int_equal(pull(&st).n, 0);
    stop(&st);

    open_client(&st, &handshakes[0], NULL);
    helio_session_fail(st.session, HELIO_E_TIMEOUT);
    assert_int_equal(say(&st, text_bytes("x")), HELIO_E_TIMEOUT);
    assert_int_equal(pull(&st).n, 0);
    stop(&st);
}

static bool holds(const struct station *st, struct bytes secret)
{
    return memmem(st->session, malloc_usable_size(st->session), secret.p, secret.n) != NULL;
}

/* The session's own memory, where the key was, after the session has failed. */
static void keys_are_wiped(void **state)
{
    (void)state;
    const struct vector_handshake *v = &handshakes[0];
    const struct bytes key = {v->digest.p, KEYSTREAM_KEY};

    for (int role = HELIO_INITIATOR; role <= HELIO_RESPONDER; role++) {
        struct station st;

        if (role == HELIO_INITIATOR)
            open_client(&st, v, NULL);
        else
            open_server(&st, v);
        assert_int_equal(give(&st, v->messages[0].wire), HELIO_OK);
        assert_true(holds(&st, key));
        assert_true(holds(&st, v->messages[0].plain));
        assert_false(holds(&st, v->random) || holds(&st, v->transported));
        assert_int_equal(give(&st, text_bytes("!")), HELIO_E_BROKEN);
        assert_false(holds(&st, key));
        assert_false(holds(&st, v->messages[0].plain));
        stop(&st);
    }
}

static void a_config_out_of_range_is_refused(void **state)
{
    (void)state;
    static const char long_name[] =
        "12345678901234567890123456789012345678901234567890123456789012345";
    const struct {
        const char *name;
        unsigned offset;
        int counter;
        enum helio_err expected;
    } cases[] = {
        {"alice", 24, HELIO_CLASSIC_INCREMENTING, HELIO_OK},
        {long_name + 1, 0, HELIO_CLASSIC_CONSTANT, HELIO_OK},
        {long_name, 0, HELIO_CLASSIC_CONSTANT, HELIO_E_ARGUMENT},
        {"a\nb", 0, HELIO_CLASSIC_CONSTANT, HELIO_E_ARGUMENT},
        {"alice", 25, HELIO_CLASSIC_CONSTANT, HELIO_E_ARGUMENT},
        {"alice", 0, HELIO_CLASSIC_INCREMENTING + 1, HELIO_E_ARGUMENT},
    };

    assert_int_equal(strlen(long_name), HELIO_NAME_MAX + 1);
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (int role = HELIO_INITIATOR; role <= HELIO_RESPONDER; role++) {
            struct station st;
            helio_config config = config_for(&st, NULL, 0);
            struct rsa_key *key = NULL;
            struct bytes pem = handshakes[0].private_pem;
            enum helio_err err;

            config.name = cases[i].name;
            config.classic_offset = cases[i].offset;
            config.classic_counter = (helio_classic_counter)cases[i].counter;
            assert_int_equal(rsa_classic_from_private_pem(&key, (const char *)pem.p, pem.n),
                             HELIO_OK);
            if (role == HELIO_RESPONDER) {
                rsa_free(key);
                err = classic_new(&st.session, &config, HELIO_RESPONDER);
            } else {
                err = classic_new_with_key(&st.session, &config, key);
            }
            if (err != cases[i].expected)
                fail_msg("case %zu, role %d: expected %d, seen %d", i, role, cases[i].expected,
                         err);
            assert_int_equal(st.session == NULL, err != HELIO_OK);
            stop(&st);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_transported_follows_from_what_was_drawn),
        cmocka_unit_test(the_server_answers_as_recorded),
        cmocka_unit_test(the_client_finds_the_recorded_key),
        cmocka_unit_test(the_server_talks_as_recorded),
        cmocka_unit_test(the_client_talks_as_recorded),
        cmocka_unit_test(the_client_puts_its_name_before_its_text),
        cmocka_unit_test(the_server_draws_until_the_key_has_no_leading_zero),
        cmocka_unit_test(a_generator_that_is_stuck_ends_the_session),
        cmocka_unit_test(lengths_and_quotes_are_all_there),
        cmocka_unit_test(variants_are_as_recorded),
        cmocka_unit_test(the_incrementing_counter_carries),
        cmocka_unit_test(stations_agree_in_every_variant),
        cmocka_unit_test(fresh_stations_agree),
        cmocka_unit_test(the_captured_conversation_runs),
        cmocka_unit_test(one_known_message_opens_the_capture),
        cmocka_unit_test(every_split_gives_the_server_the_same),
        cmocka_unit_test(every_split_gives_the_client_the_same),
        cmocka_unit_test(every_split_of_a_message_gives_the_same),
        cmocka_unit_test(byte_by_byte_gives_the_same),
        cmocka_unit_test(what_comes_early_is_not_lost),
        cmocka_unit_test(tuples_are_written_and_read_as_python_does),
        cmocka_unit_test(other_tuples_are_refused),
        cmocka_unit_test(tuples_have_a_limit),
        cmocka_unit_test(random_tuples_hold_the_rule),
        cmocka_unit_test(the_server_takes_keys_up_to_2048_bits),
        cmocka_unit_test(the_server_refuses_other_keys),
        cmocka_unit_test(the_server_refuses_a_wrong_hash),
        cmocka_unit_test(the_server_refuses_garbage_at_once),
        cmocka_unit_test(the_server_holds_no_more_than_a_key),
        cmocka_unit_test(the_client_refuses_another_answer),
        cmocka_unit_test(the_client_refuses_other_numbers),
        cmocka_unit_test(the_client_takes_zeros_before_the_number),
        cmocka_unit_test(both_cases_are_read),
        cmocka_unit_test(other_bytes_end_the_line),
        cmocka_unit_test(hex_digits_are_exactly_these),
        cmocka_unit_test(a_turn_has_a_limit),
        cmocka_unit_test(sending_keeps_to_the_turns),
        cmocka_unit_test(what_cannot_be_sent_is_refused_and_costs_no_turn),
        cmocka_unit_test(the_end_of_the_stream_is_a_close_only_between_bytes),
        cmocka_unit_test(done_waits_for_the_late_answer),
        cmocka_unit_test(what_classic_has_not_is_refused),
        cmocka_unit_test(keys_are_wiped),
        cmocka_unit_test(a_config_out_of_range_is_refused),
    };

    return cmocka_run_group_tests_name("classic", tests, NULL, NULL);
}
