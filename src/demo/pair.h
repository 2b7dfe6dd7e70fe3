/*
 * pair.h: two stations as two processes, for `helio demo`.
 *
 * What it is.  Runs this same program as children, each with a HELIO_HOME of its own below one
 * temporary directory, and keeps what they write: stdout as it is, stderr as the events of
 * --log json.
 *
 * What it owns.  The directory and the children: demo_clear ends and removes both.  It trusts
 * nothing that it reads further than its buffers; what the children write is bounded.
 */
#ifndef HELIO_DEMO_PAIR_H
#define HELIO_DEMO_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "helio.h"

enum { DEMO_OUTPUT_MAX = 65536, DEMO_HOME_MAX = 512, DEMO_ARGS_MAX = 16 };

/* What one descriptor of a child gave, with a NUL behind it. */
struct demo_output {
    int fd; /* -1: closed */
    size_t n;
    char bytes[DEMO_OUTPUT_MAX];
};

struct demo_station {
    const char *name;
    char home[DEMO_HOME_MAX];
    char fingerprint[HELIO_FINGERPRINT_TEXT];
    const char *input; /* what goes to its stdin; then that is closed */
    size_t input_n;
    pid_t pid; /* 0: none runs */
    int in;    /* -1: closed */
    struct demo_output out;
    struct demo_output err;
    int status; /* as a shell would give it */
};

struct demo {
    char directory[DEMO_HOME_MAX / 2];
    char port[8];              /* where bob listened last */
    struct demo_station alice; /* the initiator */
    struct demo_station bob;   /* the responder */
};

/* Makes the directory and both stations: keys, and each knows the other.  False: said already. */
bool demo_begin(struct demo *demo);
/* Ends the children and removes the directory; also after a failed demo_begin. */
void demo_clear(struct demo *demo);

/*
 * Runs `helio listen` for bob and, once that listens, `helio connect` for alice, each with its
 * input and the further options in extra (ends with NULL), and waits for both.  True when both
 * ended with status 0; else it has said what went wrong.
 */
bool demo_talk(struct demo *demo, const char *const *extra);

/* One event of a station's log: the rest of the log from its line on.  NULL: there is none. */
const char *demo_event(const struct demo_station *station, const char *event);
/* The value of a key in the event at line, decoded, cut to cap; false when it is not there. */
bool demo_field(const char *line, const char *key, char *out, size_t cap);
/* What the nth step (from 0) with that label carried: "label: what".  False: there is none. */
bool demo_step(const struct demo_station *station, const char *label, unsigned nth, char *out,
               size_t cap);

#endif
