/*
 * test_trust.c: the rules of trust.h as a table of what is known, who is there and what follows;
 * and the answers that a user may type.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/trust.h"

/* Keys are numbers here: key k has the fingerprint of 32 bytes k.  OWN is our own. */
enum { OWN = 9 };

static helio_fingerprint key(int k)
{
    helio_fingerprint fp;

    memset(fp.sha256, k, sizeof fp.sha256);
    return fp;
}

static const struct entry {
    const char *name;
    int key;
} entries[] = {
    {"host:7000", 1}, {"bob", 2}, {"bobby", 2}, {"[::1]:7000", 3}, {"alice", 4}, {"wrong:7", 4},
};

/* The known stations above, by way of a file, as the program has them. */
static int load_known(void **state)
{
    char path[] = "/tmp/helio-trust-XXXXXX";
    int fd = mkstemp(path);
    helio_known *known = NULL;

    if (fd < 0)
        return -1;
    FILE *f = fdopen(fd, "w");
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        char text[HELIO_FINGERPRINT_TEXT];
        helio_fingerprint fp = key(entries[i].key);

        helio_fingerprint_format(&fp, text);
        fprintf(f, "%s %s\n", entries[i].name, text);
    }
    fclose(f);
    enum helio_err err = helio_known_load(&known, path, NULL);
    unlink(path);
    *state = known;
    return err == HELIO_OK ? 0 : -1;
}

static int free_known(void **state)
{
    helio_known_free(*state);
    return 0;
}

#define I HELIO_INITIATOR
#define R HELIO_RESPONDER
#define BY_NAME true
#define BY_KEY false

static const struct decision_case {
    helio_role role;
    const char *label; /* what the initiator dialled, what the responder was told */
    int key;           /* who is there */
    int pin;           /* --peer's key, or 0 */
    bool pin_by_name;
    bool accept_new;
    enum trust_verdict verdict;
    const char *name;    /* expected; "FP": the fingerprint itself */
    const char *changed; /* the entry that is named, or NULL */
    bool remember;
} decision_cases[] = {
    /* The address that was dialled is known. */
    {I, "host:7000", 1, 0, 0, false, TRUST_TRUSTED, "host:7000", NULL, false},
    {I, "host:7000", 5, 0, 0, false, TRUST_CHANGED, "", "host:7000", false},
    {I, "host:7000", 5, 0, 0, true, TRUST_CHANGED, "", "host:7000", false},
    {I, "host:7000", 2, 0, 0, false, TRUST_CHANGED, "", "host:7000", false},
    {I, "host:7000", OWN, 0, 0, true, TRUST_CHANGED, "", "host:7000", false},
    {I, "[::1]:7000", 3, 0, 0, false, TRUST_TRUSTED, "[::1]:7000", NULL, false},
    {I, "[::1]:7000", 1, 0, 0, true, TRUST_CHANGED, "", "[::1]:7000", false},
    /* It is not, but the key is. */
    {I, "other:7000", 1, 0, 0, false, TRUST_TRUSTED, "host:7000", NULL, false},
    {I, "other:7000", 2, 0, 0, false, TRUST_TRUSTED, "bob", NULL, false},
    {I, "host:7001", 2, 0, 0, true, TRUST_TRUSTED, "bob", NULL, false},
    {I, "other:7000", OWN, 0, 0, false, TRUST_TRUSTED, "own station", NULL, false},
    /* Neither. */
    {I, "other:7000", 5, 0, 0, false, TRUST_UNKNOWN, "other:7000", NULL, false},
    {I, "other:7000", 5, 0, 0, true, TRUST_TRUSTED, "other:7000", NULL, true},
    {I, "#other:7000", 5, 0, 0, true, TRUST_TRUSTED, "FP", NULL, true},
    {I, "an other:7000", 5, 0, 0, true, TRUST_TRUSTED, "FP", NULL, true},
    /* A responder goes by the key, and by the claimed name only to be alarmed. */
    {R, "bob", 2, 0, 0, false, TRUST_TRUSTED, "bob", NULL, false},
    {R, "anybody", 2, 0, 0, false, TRUST_TRUSTED, "bob", NULL, false},
    {R, "alice", 2, 0, 0, false, TRUST_TRUSTED, "bob", NULL, false},
    {R, "", 2, 0, 0, false, TRUST_TRUSTED, "bob", NULL, false},
    {R, "alice", OWN, 0, 0, false, TRUST_TRUSTED, "own station", NULL, false},
    {R, "alice", 5, 0, 0, false, TRUST_CHANGED, "", "alice", false},
    {R, "alice", 5, 0, 0, true, TRUST_CHANGED, "", "alice", false},
    {R, "host:7000", 5, 0, 0, true, TRUST_CHANGED, "", "host:7000", false},
    {R, "carol", 5, 0, 0, false, TRUST_UNKNOWN, "carol", NULL, false},
    {R, "carol", 5, 0, 0, true, TRUST_TRUSTED, "carol", NULL, true},
    {R, "na\xc3\xafve", 5, 0, 0, true, TRUST_TRUSTED, "na\xc3\xafve", NULL, true},
    /* Claimed names that are no names here. */
    {R, "", 5, 0, 0, true, TRUST_TRUSTED, "FP", NULL, true},
    {R, "two words", 5, 0, 0, true, TRUST_TRUSTED, "FP", NULL, true},
    {R, "bank:7000", 5, 0, 0, true, TRUST_TRUSTED, "FP", NULL, true},
    {R, "SHA256:abc", 5, 0, 0, true, TRUST_TRUSTED, "FP", NULL, true},
    {R, "#carol", 5, 0, 0, true, TRUST_TRUSTED, "FP", NULL, true},
    {R, "ca\x1brol", 5, 0, 0, true, TRUST_TRUSTED, "FP", NULL, true},
    {R, "ca\xffrol", 5, 0, 0, true, TRUST_TRUSTED, "FP", NULL, true},
    {R, "ca\nrol", 5, 0, 0, true, TRUST_TRUSTED, "FP", NULL, true},
    /* --peer: that station and no other. */
    {I, "host:7000", 1, 1, BY_KEY, false, TRUST_TRUSTED, "host:7000", NULL, false},
    {I, "host:7000", 2, 2, BY_NAME, false, TRUST_TRUSTED, "pinned", NULL, false},
    {I, "host:7000", 1, 2, BY_NAME, false, TRUST_WRONG_PEER, "", NULL, false},
    {I, "host:7000", 1, 2, BY_KEY, true, TRUST_WRONG_PEER, "", NULL, false},
    {I, "host:7000", 5, 5, BY_KEY, false, TRUST_TRUSTED, "pinned", NULL, false},
    {I, "other:7000", OWN, 2, BY_NAME, true, TRUST_WRONG_PEER, "", NULL, false},
    {I, "other:7000", OWN, OWN, BY_KEY, false, TRUST_TRUSTED, "pinned", NULL, false},
    {I, "other:7000", 5, 2, BY_NAME, true, TRUST_WRONG_PEER, "", NULL, false},
    {R, "carol", 5, 5, BY_KEY, true, TRUST_TRUSTED, "pinned", NULL, false},
    {R, "alice", 5, 5, BY_KEY, false, TRUST_TRUSTED, "pinned", NULL, false},
    {R, "bob", 4, 2, BY_NAME, true, TRUST_WRONG_PEER, "", NULL, false},
    {R, "bob", 5, 2, BY_NAME, true, TRUST_WRONG_PEER, "", NULL, false},
    {R, "", OWN, 2, BY_NAME, false, TRUST_WRONG_PEER, "", NULL, false},
};

static void decide_row(size_t i, const helio_known *known)
{
    const struct decision_case *row = &decision_cases[i];
    helio_peer peer = {.fingerprint = key(row->key), .bits = 2048, .service = ""};
    helio_fingerprint own = key(OWN);
    struct trust_pin pin = {.set = row->pin != 0,
                            .by_name = row->pin_by_name,
                            .fingerprint = key(row->pin),
                            .name = "pinned"};
    char fingerprint[HELIO_FINGERPRINT_TEXT];

    peer.name = row->role == HELIO_RESPONDER ? row->label : "a claim";
    helio_fingerprint_format(&peer.fingerprint, fingerprint);
    struct trust_case c = {.known = known,
                           .own = &own,
                           .pin = &pin,
                           .accept_new = row->accept_new,
                           .role = row->role,
                           .label = row->role == HELIO_INITIATOR ? row->label : NULL,
                           .peer = &peer,
                           .address = "192.0.2.1:7"};
    struct trust_decision d = trust_decide(&c);
    const char *name = strcmp(row->name, "FP") == 0 ? fingerprint : row->name;
    const char *entry = d.station ? d.station->name : "";

    if (d.verdict != row->verdict || strcmp(d.name, name) != 0 || d.remember != row->remember ||
        strcmp(entry, row->changed ? row->changed : "") != 0 ||
        d.own != (row->key == OWN && row->verdict == TRUST_TRUSTED))
        fail_msg("row %zu (%s, key %d): expected verdict %d as '%s', entry '%s', remember %d; "
                 "seen %d as '%s', entry '%s', remember %d, own %d",
                 i, row->label, row->key, row->verdict, name, row->changed ? row->changed : "",
                 row->remember, d.verdict, d.name, entry, d.remember, d.own);
}

static void decisions_follow_the_rules(void **state)
{
    for (size_t i = 0; i < sizeof decision_cases / sizeof *decision_cases; i++)
        decide_row(i, *state);
}

static void no_pin_is_as_good_as_an_unset_one(void **state)
{
    helio_peer peer = {.fingerprint = key(2), .name = "", .service = ""};
    helio_fingerprint own = key(OWN);
    struct trust_case c = {
        .known = *state, .own = &own, .role = HELIO_RESPONDER, .peer = &peer, .address = ""};

    assert_int_equal(trust_decide(&c).verdict, TRUST_TRUSTED);
    peer.fingerprint = key(7);
    assert_int_equal(trust_decide(&c).verdict, TRUST_UNKNOWN);
}

/* A server with a list of its own: our key is a stranger, unless it is in there or --peer says it. */
static void our_own_key_may_be_a_stranger(void **state)
{
    helio_peer peer = {.fingerprint = key(OWN), .name = "", .service = ""};
    struct trust_pin pin = {.set = true, .fingerprint = key(OWN), .name = "pinned"};
    struct trust_case c = {.known = *state, .role = HELIO_RESPONDER, .peer = &peer, .address = ""};

    assert_int_equal(trust_decide(&c).verdict, TRUST_UNKNOWN);
    c.pin = &pin;
    assert_int_equal(trust_decide(&c).verdict, TRUST_TRUSTED);
    assert_false(trust_decide(&c).own);
    c.pin = NULL;
    peer.fingerprint = key(2);
    assert_int_equal(trust_decide(&c).verdict, TRUST_TRUSTED);
    peer.name = "alice";
    peer.fingerprint = key(OWN);
    assert_int_equal(trust_decide(&c).verdict, TRUST_CHANGED);
}

/* A name of 255 bytes is the longest that fits; one more is not cut but not used. */
static void names_are_never_cut(void **state)
{
    char name[300];
    helio_peer peer = {.fingerprint = key(5), .name = "", .service = ""};
    char fingerprint[HELIO_FINGERPRINT_TEXT], out[256];
    struct trust_case c = {.known = *state, .role = HELIO_INITIATOR, .label = name, .peer = &peer};

    helio_fingerprint_format(&peer.fingerprint, fingerprint);
    memset(name, 'a', sizeof name);
    name[255] = '\0';
    trust_new_name(&c, out);
    assert_string_equal(out, name);
    name[255] = 'a';
    name[256] = '\0';
    trust_new_name(&c, out);
    assert_string_equal(out, fingerprint);
}

static const struct reply_case {
    const char *line; /* "FP" stands for the right fingerprint, "OTHER" for another */
    enum trust_reply reply;
} reply_cases[] = {
    {"yes", TRUST_YES},       {"no", TRUST_NO},          {"YES", TRUST_YES},
    {" yes \r", TRUST_YES},   {"No", TRUST_NO},          {"FP", TRUST_YES},
    {"OTHER", TRUST_AGAIN},   {"", TRUST_AGAIN},         {"y", TRUST_AGAIN},
    {"n", TRUST_AGAIN},       {"yess", TRUST_AGAIN},     {"yes no", TRUST_AGAIN},
    {"ye", TRUST_AGAIN},      {"none", TRUST_AGAIN},     {"yes\x01", TRUST_AGAIN},
    {"SHA256:", TRUST_AGAIN}, {"\xff\xfe", TRUST_AGAIN},
};

static void replies_are_read_strictly(void **state)
{
    (void)state;
    helio_peer peer = {.fingerprint = key(5), .name = "", .service = ""};
    struct trust_case c = {.role = HELIO_INITIATOR, .label = "host:1", .peer = &peer};

    for (size_t i = 0; i < sizeof reply_cases / sizeof *reply_cases; i++) {
        const struct reply_case *row = &reply_cases[i];
        helio_fingerprint fp = key(strcmp(row->line, "OTHER") == 0 ? 6 : 5);
        char text[HELIO_FINGERPRINT_TEXT];
        bool whole = strcmp(row->line, "FP") == 0 || strcmp(row->line, "OTHER") == 0;

        helio_fingerprint_format(&fp, text);
        enum trust_reply seen = trust_read_reply(&c, whole ? text : row->line);
        if (seen != row->reply)
            fail_msg("'%s': expected %d, seen %d", row->line, row->reply, seen);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decisions_follow_the_rules),
        cmocka_unit_test(no_pin_is_as_good_as_an_unset_one),
        cmocka_unit_test(our_own_key_may_be_a_stranger),
        cmocka_unit_test(names_are_never_cut),
        cmocka_unit_test(replies_are_read_strictly),
    };

    return cmocka_run_group_tests_name("trust", tests, load_known, free_known);
}
