/*
 * messages.h: the clear parts of HELLO and REPLY as structs (protocol.md 5.1, 5.2).  Bytes in,
 * values out; no state, no secrets.
 */
#ifndef HELIO_HELIO1_MESSAGES_H
#define HELIO_HELIO1_MESSAGES_H

#include "helio1/wire.h"

/* The numbers a station offers or allows, in order of preference. */
struct suite_list {
    uint16_t numbers[SUITES_MAX];
    size_t count;
};

struct hello {
    uint8_t random[RANDOM_SIZE];
    struct suite_list suites;
    uint8_t share[X25519_SIZE];
};

struct reply {
    uint16_t suite;
    uint8_t random[RANDOM_SIZE];
    uint8_t share[X25519_SIZE];
};

/* Bytes of the body that hello_put writes. */
size_t hello_size(const struct hello *m);
void hello_put(uint8_t *out, const struct hello *m);
/* HELIO_E_NO_COMMON for another version or key exchange than ours, else HELIO_E_BROKEN. */
HELIO_MUST_CHECK enum helio_err hello_get(struct hello *out, const uint8_t *body, size_t n);

void reply_put(uint8_t out[REPLY_CLEAR_SIZE], const struct reply *m);
HELIO_MUST_CHECK enum helio_err reply_get(struct reply *out, const uint8_t in[REPLY_CLEAR_SIZE]);

/* The first of theirs that is in ours; 0 when there is none. */
uint16_t suite_choose(const struct suite_list *theirs, const struct suite_list *ours);
bool suite_list_has(const struct suite_list *list, uint16_t suite);

#endif
