/*
 * pair.h: helio/1 stations for tests, with handed-in randomness: a seed gives the same bytes on the
 * wire every time.
 */
#ifndef HELIO_TESTS_SESSION_PAIR_H
#define HELIO_TESTS_SESSION_PAIR_H

#include <stdbool.h>

#include "helio.h"

/* A counted stream of random bytes (splitmix64). */
struct stream {
    uint64_t state;
};
enum helio_err stream_fill(void *context, uint8_t *out, size_t n);
uint64_t stream_next(struct stream *s);
/* 0 to below - 1. */
size_t stream_below(struct stream *s, size_t below);

/* The committed test keys, loaded once: 0 and 1 are 2048 bits.  Fails the test when it cannot. */
const helio_identity *test_identity(int which);
void test_identities_free(void);

/* One end of a line. */
struct station {
    helio_session *session;
    struct stream random;
    helio_role role;
};

/* A station with identity 0 (initiator, "alice", asks for "line") or 1 (responder, "bob"). */
enum helio_err station_new(struct station *s, helio_role role, uint16_t suite, uint64_t seed);
void station_free(struct station *s);

/* What came out of a station while bytes went in. */
struct seen {
    unsigned count[HELIO_EVENT_RESULT + 1]; /* events by kind */
    uint8_t result;                         /* of the last RESULT */
    uint8_t data[1 << 17];                  /* of DATA and MESSAGE, joined */
    size_t data_n;
    enum helio_err error; /* the first */
};

/* Feeds in[0..n), at most step bytes a call (0: all), trusting whoever proves a key. */
void station_feed(struct station *s, const uint8_t *in, size_t n, size_t step, struct seen *seen);
/* Pulls all that is queued: *n bytes, at most cap (fails the test when there are more). */
size_t station_pull(struct station *s, uint8_t *out, size_t cap);

struct pair {
    struct station initiator;
    struct station responder;
    struct seen initiator_saw;
    struct seen responder_saw;
};
void pair_new(struct pair *p, uint16_t suite, uint64_t seed);
void pair_free(struct pair *p);
/* Carries bytes both ways until neither has any left. */
void pair_run(struct pair *p, size_t step);

#endif
