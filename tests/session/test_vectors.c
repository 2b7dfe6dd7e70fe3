/*
 * The sessions of tests/vectors/helio1*.json, which an independent station wrote (what a step means
 * stands at the top of tests/python/make_vectors.py).  Our engine gets the same inputs and the same
 * randomness, in both roles, and has to say the same bytes and report the same events; then all of
 * it again with the input coming one byte at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <gcrypt.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helio.h"
#include "unit/scratch.h"

enum { BYTES_MAX = 1 << 18, DRAWS_MAX = 256, SUITES_MAX = 8, CASES_MAX = 200, KEYS_MAX = 8 };

struct bytes {
    uint8_t p[BYTES_MAX];
    size_t n;
};

/* One station of a case.  Without a session it is only said by the file. */
struct side {
    helio_session *session;
    struct json_object *config;
    char name[HELIO_NAME_MAX + 1];
    char service[HELIO_SERVICE_MAX + 1];
    uint8_t draws[DRAWS_MAX];
    size_t draws_n;
    size_t drawn;
    struct bytes inbox; /* delivered, not yet fed: events are fetched when a step asks for them */
    size_t fed;
    enum helio_err expected; /* how it ends; HELIO_OK unless a step says otherwise */
    int done;
};

struct replay {
    struct json_object *file_case;
    size_t chunk; /* bytes a feed; 0: all */
    size_t step;
    struct side side[2]; /* initiator, responder */
};

/* ------------------------------------------------------------------------------------- JSON -- */

static struct json_object *get(struct json_object *o, const char *key)
{
    struct json_object *value = NULL;

    if (!json_object_object_get_ex(o, key, &value))
        fail_msg("no \"%s\" in %s", key, json_object_to_json_string(o));
    return value;
}

static int has(struct json_object *o, const char *key)
{
    return json_object_object_get_ex(o, key, NULL);
}

static const char *get_text(struct json_object *o, const char *key)
{
    return json_object_get_string(get(o, key));
}

static size_t get_size(struct json_object *o, const char *key)
{
    return (size_t)json_object_get_int64(get(o, key));
}

/* Appends at out[n..cap); returns the new n. */
static size_t from_hex(const char *hex, uint8_t *out, size_t n, size_t cap)
{
    for (; *hex; hex += 2) {
        unsigned byte = 0;

        if (n == cap || sscanf(hex, "%2x", &byte) != 1)
            fail_msg("bad or too long hex at \"%.20s\"", hex);
        out[n++] = (uint8_t)byte;
    }
    return n;
}

static void get_string(struct json_object *o, const char *key, char *out, size_t cap)
{
    out[from_hex(get_text(o, key), (uint8_t *)out, 0, cap - 1)] = 0;
}

/* ------------------------------------------------------------------------------------- keys -- */

static struct {
    char name[64];
    helio_identity *id;
} keys[KEYS_MAX];

static char root[4096];

/* Git keeps no 0600, and a key that others may read is refused: load a private copy. */
static helio_identity *load_key(const char *name)
{
    char path[sizeof root + 128];
    helio_identity *id = NULL;
    size_t n;

    snprintf(path, sizeof path, "%s/tests/vectors/keys/%s", root, name);
    char *pem = scratch_read(path, &n);
    scratch_write("key.pem", pem, n, 0600);
    free(pem);
    enum helio_err err = helio_identity_load(&id, "key.pem", NULL, NULL);
    if (err)
        fail_msg("%s: %s", path, helio_strerror(err));
    return id;
}

static const helio_identity *key(const char *name)
{
    for (size_t i = 0; i < KEYS_MAX; i++) {
        if (!keys[i].id) {
            snprintf(keys[i].name, sizeof keys[i].name, "%s", name);
            keys[i].id = load_key(name);
        }
        if (strcmp(keys[i].name, name) == 0)
            return keys[i].id;
    }
    fail_msg("more than %d keys", KEYS_MAX);
    return NULL;
}

/* --------------------------------------------------------------------------------- stations -- */

static enum helio_err draw(void *context, uint8_t *out, size_t n)
{
    struct side *s = context;

    if (n > s->draws_n - s->drawn)
        return HELIO_E_CRYPTO;
    memcpy(out, s->draws + s->drawn, n);
    s->drawn += n;
    return HELIO_OK;
}

static void side_new(struct side *s, struct json_object *config, helio_role role)
{
    uint16_t suites[SUITES_MAX];

    memset(s, 0, sizeof *s);
    s->config = config;
    if (has(config, "engine"))
        return;
    struct json_object *list = get(config, "suites"), *draws = get(config, "draws");
    size_t suite_count = json_object_array_length(list);
    assert_in_range(suite_count, 1, SUITES_MAX);
    for (size_t i = 0; i < suite_count; i++)
        suites[i] = (uint16_t)json_object_get_int(json_object_array_get_idx(list, i));
    for (size_t i = 0; i < json_object_array_length(draws); i++)
        s->draws_n = from_hex(json_object_get_string(json_object_array_get_idx(draws, i)), s->draws,
                              s->draws_n, sizeof s->draws);
    get_string(config, "name", s->name, sizeof s->name);
    get_string(config, "service", s->service, sizeof s->service);
    const helio_config c = {
        .protocol = HELIO_PROTOCOL_HELIO1,
        .identity = key(get_text(config, "key")),
        .name = s->name,
        .service = role == HELIO_INITIATOR ? s->service : NULL,
        .suites = suites,
        .suite_count = suite_count,
        .random = draw,
        .random_context = s,
    };
    assert_int_equal(helio_session_new(&s->session, &c, role), HELIO_OK);
}

static struct side *side_at(struct replay *r, struct json_object *step, const char *key_name)
{
    return &r->side[strcmp(get_text(step, key_name), "R") == 0];
}

/* The next event, feeding what has been delivered as far as it takes. */
static helio_event next_event(struct replay *r, struct side *s)
{
    helio_event e = {.kind = HELIO_EVENT_NONE};

    while (helio_session_next(s->session, &e) == HELIO_OK && e.kind == HELIO_EVENT_NONE) {
        size_t n = s->inbox.n - s->fed, used = 0;

        if (n == 0)
            break;
        if (r->chunk && n > r->chunk)
            n = r->chunk;
        if (helio_session_feed(s->session, s->inbox.p + s->fed, n, &used) != HELIO_OK)
            break;
        s->fed += used;
    }
    return e;
}

/* Everything delivered is taken in, and no event that the file does not have comes of it. */
static void settle(struct replay *r, struct side *s)
{
    if (!s->session)
        return;
    helio_event e = next_event(r, s);
    if (e.kind != HELIO_EVENT_NONE)
        fail_msg("step %zu: event %d at %s, which the file does not have", r->step, (int)e.kind,
                 s == r->side ? "I" : "R");
}

/* -------------------------------------------------------------------------------- comparing -- */

static void same_hash(struct replay *r, struct json_object *step, const uint8_t *p, size_t n)
{
    uint8_t expected[32], seen[32];

    from_hex(get_text(step, "sha256"), expected, 0, sizeof expected);
    gcry_md_hash_buffer(GCRY_MD_SHA256, seen, p, n);
    if (n != get_size(step, "size") || memcmp(expected, seen, sizeof seen) != 0)
        fail_msg("step %zu: %zu bytes (expected %zu), or their hash differs", r->step, n,
                 get_size(step, "size"));
}

static void same_bytes(struct replay *r, const uint8_t *expected, size_t expected_n,
                       const uint8_t *seen, size_t seen_n)
{
    size_t at = 0;

    while (at < expected_n && at < seen_n && expected[at] == seen[at])
        at++;
    if (at == expected_n && at == seen_n)
        return;
    if (at == expected_n || at == seen_n)
        fail_msg("step %zu: %zu bytes, expected %zu; the same up to there", r->step, seen_n,
                 expected_n);
    fail_msg("step %zu: %zu bytes, expected %zu; byte %zu is %02x, expected %02x", r->step, seen_n,
             expected_n, at, seen[at], expected[at]);
}

/* p[0..n) are what the step describes: as hex, or as size and hash. */
static void same_data(struct replay *r, struct json_object *step, const uint8_t *p, size_t n)
{
    static struct bytes expected;

    if (!has(step, "data")) {
        same_hash(r, step, p, n);
        return;
    }
    expected.n = from_hex(get_text(step, "data"), expected.p, 0, sizeof expected.p);
    same_bytes(r, expected.p, expected.n, p, n);
}

static void same_text(struct replay *r, struct json_object *step, const char *field,
                      const char *seen)
{
    char expected[256];

    get_string(step, field, expected, sizeof expected);
    if (strcmp(expected, seen) != 0)
        fail_msg("step %zu: %s is \"%s\", expected \"%s\"", r->step, field, seen, expected);
}

/* ------------------------------------------------------------------------------------ steps -- */

static void do_start(struct replay *r, struct json_object *step)
{
    (void)step;
    assert_true(helio_session_pending(r->side[0].session) > 0);
}

static void joined_frames(struct json_object *step, struct bytes *out)
{
    struct json_object *frames = get(step, "frames");

    out->n = 0;
    for (size_t i = 0; i < json_object_array_length(frames); i++)
        out->n = from_hex(json_object_get_string(json_object_array_get_idx(frames, i)), out->p,
                          out->n, sizeof out->p);
}

static void deliver(struct replay *r, struct side *to, const struct bytes *b)
{
    settle(r, to);
    memcpy(to->inbox.p, b->p, b->n);
    to->inbox.n = b->n;
    to->fed = 0;
}

static void do_wire(struct replay *r, struct json_object *step)
{
    static struct bytes seen, expected;
    struct side *from = side_at(r, step, "from"), *to = &r->side[from == r->side];

    settle(r, from);
    if (has(step, "frames"))
        joined_frames(step, &expected);
    if (from->session) {
        seen.n = helio_session_pull(from->session, seen.p, sizeof seen.p);
        assert_int_equal(helio_session_pending(from->session), 0);
        if (has(step, "frames"))
            same_bytes(r, expected.p, expected.n, seen.p, seen.n);
        else
            same_hash(r, step, seen.p, seen.n);
    } else {
        seen = expected;
    }
    if (has(step, "deliver"))
        seen.n = from_hex(get_text(step, "deliver"), seen.p, 0, sizeof seen.p);
    if (to->session)
        deliver(r, to, &seen);
}

static void saw_peer(struct replay *r, struct side *s, struct json_object *step)
{
    const helio_peer *peer = helio_session_peer(s->session);
    char fingerprint[HELIO_FINGERPRINT_TEXT];

    assert_non_null(peer);
    helio_fingerprint_format(&peer->fingerprint, fingerprint);
    assert_string_equal(fingerprint, get_text(step, "fingerprint"));
    if (has(step, "name")) {
        same_text(r, step, "name", peer->name);
        same_text(r, step, "service", peer->service);
    }
}

static void saw_open(struct replay *r, struct side *s, struct json_object *step)
{
    uint8_t expected[32], id[32];

    assert_int_equal(helio_session_id(s->session, id), HELIO_OK);
    from_hex(get_text(get(r->file_case, "values"), "session_id"), expected, 0, sizeof expected);
    same_bytes(r, expected, sizeof expected, id, sizeof id);
    if (has(step, "name"))
        same_text(r, step, "name", helio_session_peer(s->session)->name);
}

static void do_event(struct replay *r, struct json_object *step)
{
    static const char *const names[] = {
        [HELIO_EVENT_NONE] = "none",       [HELIO_EVENT_PEER] = "peer",
        [HELIO_EVENT_WAITING] = "waiting", [HELIO_EVENT_OPEN] = "open",
        [HELIO_EVENT_DATA] = "data",       [HELIO_EVENT_MESSAGE] = "message",
        [HELIO_EVENT_PONG] = "pong",       [HELIO_EVENT_CLOSED] = "closed",
        [HELIO_EVENT_RESULT] = "result",
    };
    struct side *s = side_at(r, step, "at");
    helio_event e = next_event(r, s);

    if (strcmp(names[e.kind], get_text(step, "event")) != 0)
        fail_msg("step %zu: event %s, expected %s", r->step, names[e.kind],
                 get_text(step, "event"));
    if (e.kind == HELIO_EVENT_PEER)
        saw_peer(r, s, step);
    else if (e.kind == HELIO_EVENT_OPEN)
        saw_open(r, s, step);
    else if (e.kind == HELIO_EVENT_DATA || e.kind == HELIO_EVENT_MESSAGE ||
             e.kind == HELIO_EVENT_PONG || e.kind == HELIO_EVENT_RESULT)
        same_data(r, step, e.data, e.size);
}

static void do_trust(struct replay *r, struct json_object *step)
{
    assert_int_equal(helio_session_trust(side_at(r, step, "at")->session), HELIO_OK);
}

static void do_wait(struct replay *r, struct json_object *step)
{
    assert_int_equal(helio_session_wait(side_at(r, step, "at")->session), HELIO_OK);
}

static void do_refuse(struct replay *r, struct json_object *step)
{
    helio_session_refuse(side_at(r, step, "at")->session, (helio_refusal)get_size(step, "reason"));
}

static void do_send(struct replay *r, struct json_object *step)
{
    static struct bytes b;
    const char *kind = get_text(step, "kind");
    struct side *s = side_at(r, step, "at");
    static const char *const contents[] = {[HELIO_DATA] = "data",
                                           [HELIO_MESSAGE] = "message",
                                           [HELIO_PING] = "ping",
                                           [HELIO_RESULT] = "result"};
    size_t content = 0;

    while (strcmp(kind, contents[content]) != 0)
        assert_in_range(++content, 0, sizeof contents / sizeof *contents - 1);
    settle(r, s);
    if (has(step, "fill")) {
        b.n = get_size(step, "fill");
        assert_in_range(b.n, 0, sizeof b.p);
        for (size_t i = 0; i < b.n; i++)
            b.p[i] = (uint8_t)(i % 251);
    } else {
        b.n = from_hex(get_text(step, "data"), b.p, 0, sizeof b.p);
    }
    assert_int_equal(helio_session_send(s->session, b.p, b.n, (helio_content)content), HELIO_OK);
}

static void do_close(struct replay *r, struct json_object *step)
{
    struct side *s = side_at(r, step, "at");

    settle(r, s);
    assert_int_equal(helio_session_close(s->session), HELIO_OK);
}

static void do_confirm(struct replay *r, struct json_object *step)
{
    struct side *s = side_at(r, step, "at");

    settle(r, s);
    assert_int_equal(helio_session_confirm(s->session), HELIO_OK);
}

static void do_fail(struct replay *r, struct json_object *step)
{
    struct side *s = side_at(r, step, "at");

    settle(r, s);
    s->expected = HELIO_E_SYSTEM;
    helio_session_fail(s->session, s->expected);
}

static void do_export(struct replay *r, struct json_object *step)
{
    uint8_t context[256], expected[256], seen[256];
    size_t context_n = from_hex(get_text(step, "context"), context, 0, sizeof context);
    size_t n = from_hex(get_text(step, "out"), expected, 0, sizeof expected);

    for (size_t i = 0; i < 2; i++) {
        helio_session *s = r->side[i].session;

        assert_int_equal(
            helio_session_export(s, get_text(step, "label"), context, context_n, seen, n),
            HELIO_OK);
        same_bytes(r, expected, n, seen, n);
    }
}

static void do_end(struct replay *r, struct json_object *step)
{
    static const struct {
        const char *why;
        enum helio_err err;
    } ends[] = {
        {"done", HELIO_OK},
        {"untrusted", HELIO_E_UNTRUSTED},
        {"refused", HELIO_E_REFUSED},
        {"returning", HELIO_E_RETURNING},
        {"no-common", HELIO_E_NO_COMMON},
        {"violation", HELIO_E_BROKEN},
        {"alert", HELIO_E_ALERT},
        {"alert-clear", HELIO_E_BROKEN}, /* not authenticated: could be anyone's */
    };
    const char *why = get_text(step, "why");
    struct side *s = side_at(r, step, "at");
    size_t i = 0;

    settle(r, s);
    while (i < sizeof ends / sizeof *ends && strcmp(ends[i].why, why) != 0)
        i++;
    assert_in_range(i, 0, sizeof ends / sizeof *ends - 1);
    s->expected = ends[i].err;
    s->done = i == 0;
    if (helio_session_error(s->session) != s->expected)
        fail_msg("step %zu: ends with \"%s\", expected \"%s\"", r->step,
                 helio_strerror(helio_session_error(s->session)), helio_strerror(s->expected));
    if (has(step, "reason"))
        assert_int_equal(helio_session_refusal(s->session), get_size(step, "reason"));
}

static const struct {
    const char *name;
    void (*run)(struct replay *, struct json_object *);
} verbs[] = {
    {"start", do_start},     {"wire", do_wire}, {"event", do_event}, {"trust", do_trust},
    {"refuse", do_refuse},   {"wait", do_wait}, {"send", do_send},   {"close", do_close},
    {"confirm", do_confirm}, {"fail", do_fail}, {"end", do_end},     {"export", do_export},
};

/* ------------------------------------------------------------------------------------ cases -- */

static void run_step(struct replay *r, struct json_object *step)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].name, get_text(step, "do")) == 0) {
            verbs[i].run(r, step);
            return;
        }
    fail_msg("step %zu: no verb \"%s\"", r->step, get_text(step, "do"));
}

static void at_the_end(struct replay *r, struct side *s)
{
    if (!s->session)
        return;
    settle(r, s);
    assert_int_equal(helio_session_error(s->session), s->expected);
    assert_int_equal(helio_session_done(s->session), s->done);
    assert_int_equal(helio_session_pending(s->session), 0);
    assert_int_equal(s->drawn, s->draws_n);
}

/* A case, as one test: whole or a byte at a time. */
struct run {
    struct json_object *file_case;
    size_t chunk;
    char name[128];
};

static struct replay replay; /* one at a time; too large for a stack */

static void one_case(void **state)
{
    const struct run *run = *state;
    struct json_object *steps = get(run->file_case, "steps");

    replay.file_case = run->file_case;
    replay.chunk = run->chunk;
    side_new(&replay.side[0], get(run->file_case, "I"), HELIO_INITIATOR);
    side_new(&replay.side[1], get(run->file_case, "R"), HELIO_RESPONDER);
    for (replay.step = 0; replay.step < json_object_array_length(steps); replay.step++)
        run_step(&replay, json_object_array_get_idx(steps, replay.step));
    for (size_t i = 0; i < 2; i++)
        at_the_end(&replay, &replay.side[i]);
}

static int free_sessions(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        helio_session_free(replay.side[i].session);
        replay.side[i].session = NULL;
    }
    return 0;
}

static int leave(void **state)
{
    for (size_t i = 0; i < KEYS_MAX; i++) {
        helio_identity_free(keys[i].id);
        keys[i].id = NULL;
    }
    return scratch_leave(state);
}

static const char *const files[] = {"helio1.json", "helio1-peers.json"};
enum { FILES = sizeof files / sizeof *files };

static struct run runs[2 * CASES_MAX];
static struct CMUnitTest tests[2 * CASES_MAX]; /* cmocka passes over the empty ones */
static size_t tests_n;

static void add_test(struct json_object *file_case, size_t chunk)
{
    struct run *run = &runs[tests_n];

    run->file_case = file_case;
    run->chunk = chunk;
    snprintf(run->name, sizeof run->name, "%s%s", get_text(file_case, "name"),
             chunk ? ", a byte at a time" : "");
    tests[tests_n++] = (struct CMUnitTest){run->name, one_case, NULL, free_sessions, run};
}

/* NULL when the file is not as it should be. */
static struct json_object *add_file(const char *name)
{
    char path[sizeof root + 64];
    struct json_object *file, *cases = NULL;

    snprintf(path, sizeof path, "%s/tests/vectors/%s", root, name);
    file = json_object_from_file(path);
    size_t n = file && json_object_object_get_ex(file, "cases", &cases)
                   ? json_object_array_length(cases)
                   : 0;
    if (n == 0 || n > CASES_MAX - tests_n / 2) {
        fprintf(stderr, "%s: cannot be read, or has no cases, or too many\n", path);
        json_object_put(file);
        return NULL;
    }
    for (size_t i = 0; i < 2 * n; i++)
        add_test(json_object_array_get_idx(cases, i / 2), i % 2);
    return file;
}

int main(void)
{
    const char *source = getenv("HELIO_SOURCE_ROOT");
    struct json_object *loaded[FILES] = {NULL};
    int failed = 0;

    snprintf(root, sizeof root, "%s", source ? source : ".");
    for (size_t i = 0; i < FILES; i++) {
        loaded[i] = add_file(files[i]);
        failed |= loaded[i] == NULL;
    }
    if (!failed)
        failed = cmocka_run_group_tests_name("vectors", tests, scratch_enter, leave);
    for (size_t i = 0; i < FILES; i++)
        json_object_put(loaded[i]);
    return failed;
}
