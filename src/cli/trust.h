/*
 * trust.h: whether a station that proved its key is the one we want to talk to.
 *
 * trust_decide is a pure function: it reads no file and asks nobody.  Around it stand what acts on
 * its verdict: the question to the user, remembering the answer, and the texts of a refusal.
 *
 * The rules, in this order:
 *  1. --peer names one station: that key is trusted and no other, known_stations or not.
 *  2. An initiator finds an entry named as the address it dialled: the key must be that entry's,
 *     else it has changed.
 *  3. A key that is ours or stands in known_stations under any name is trusted.
 *  4. A responder finds an entry named as the initiator calls itself (with another key, by 3): it
 *     has changed.
 *  5. Any other key is unknown; --accept-new trusts and remembers it.  It never helps a
 *     changed one.
 * A server with a list of its own, or an empty one, leaves our own key out of rule 3.
 *
 * An initiator remembers a station as "host:port".  A responder remembers it under the name that
 * it claims when that is free and has no ':' in it; else under its fingerprint.  (With a ':' a
 * caller could plant its key under an address that we may dial later.)
 */
#ifndef HELIO_CLI_TRUST_H
#define HELIO_CLI_TRUST_H

#include "cli/cli.h"

/* What --peer asks for. */
struct trust_pin {
    bool set;
    helio_fingerprint fingerprint;
    bool by_name;   /* --peer gave a name, else a fingerprint */
    char name[256]; /* as it was given */
};

/* All that a decision rests on.  Pointers stay the caller's. */
struct trust_case {
    const helio_known *known;
    const helio_fingerprint *own; /* our own station's; NULL: it is a stranger like any other */
    const struct trust_pin *pin;  /* may be NULL */
    bool accept_new;
    helio_role role;        /* ours */
    const char *label;      /* initiator: "host:port" or "[v6]:port" as dialled, in lower case;
                               responder: not used */
    const helio_peer *peer; /* what the session knows of it; its name is a claim */
    const char *address;    /* for people: where it is connected, as "192.0.2.1:40312" */
    const char *known_path; /* for people and for trust_remember */
};

enum trust_verdict { TRUST_TRUSTED, TRUST_UNKNOWN, TRUST_CHANGED, TRUST_WRONG_PEER };

struct trust_decision {
    enum trust_verdict verdict;
    bool remember;  /* trusted by --accept-new: call trust_remember */
    bool own;       /* trusted because the key is our own */
    char name[256]; /* trusted: its name here; unknown: the one that trust_remember would give it */
    const helio_station *station; /* changed: the entry with the old key; good as long as known */
};

struct trust_decision trust_decide(const struct trust_case *c);

/*
 * Reads --peer into *pin: a fingerprint, or a name that must be known (the names "host:port" that
 * an initiator remembers included).  Call it before any connection is made.  STATUS_DONE, or
 * STATUS_USAGE after having said what is wrong.
 */
HELIO_MUST_CHECK enum exit_status
trust_pin_resolve(const struct options *options, const helio_known *known, struct trust_pin *pin);

enum trust_reply {
    TRUST_YES,
    TRUST_NO,
    TRUST_AGAIN,       /* neither: ask again (trust_read_reply only) */
    TRUST_NO_ANSWER,   /* the time is over (in the loop only) */
    TRUST_NO_TERMINAL, /* nobody to ask */
    TRUST_UNASKED,     /* a server asks nobody: its list says who is served */
    TRUST_NEVER_ASKED  /* a forward asks nobody, either: nobody sits there when a client comes */
};

/* Whether trust_ask would find a terminal. */
bool trust_can_ask(void);
/*
 * Asks as ssh asks, at /dev/tty, else at stdin when stdin and stderr are terminals; blocks until
 * there is an answer.
 */
enum trust_reply trust_ask(const struct trust_case *c);

/*
 * The same in pieces, for who owns the terminal already: the question, with its prompt at the end …
 */
void trust_question(const struct trust_case *c, char *out, size_t cap);
#define TRUST_ASK_AGAIN "Please type 'yes', 'no' or the fingerprint: "
/* … and what a line typed in answer means; line has no newline. */
enum trust_reply trust_read_reply(const struct trust_case *c, const char *line);

/*
 * Adds the station to known_stations under the name of the rule above and says so.  STATUS_DONE, or
 * STATUS_LOCAL after having said why not: then the line should not go on as if it were known.
 */
HELIO_MUST_CHECK enum exit_status trust_remember(const struct options *options,
                                                 const struct trust_case *c);

/*
 * Says, loudly where it must be, why a station is refused.  For TRUST_UNKNOWN reply tells what came
 * of asking: TRUST_NO, TRUST_NO_ANSWER, TRUST_NO_TERMINAL, TRUST_UNASKED or
 * TRUST_NEVER_ASKED.
 */
void trust_say_refusal(const struct options *options, const struct trust_case *c,
                       const struct trust_decision *d, enum trust_reply reply);

/* The name that trust_remember would use; out holds 256 bytes. */
void trust_new_name(const struct trust_case *c, char out[256]);

#endif
