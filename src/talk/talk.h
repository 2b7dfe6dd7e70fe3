/*
 * talk.h: what listen and connect share: one station at a time, from the call to the exit status.
 *
 * What it is.  struct talk holds what stays the same for all calls (identity, known stations,
 * loop); struct call is one call: a line, what became of the question of trust, and the status it
 * ends with.  What is said on an open line goes through a struct talk_way: pipe, chat, or the pipe
 * of classic.
 *
 * Who calls whom: verb_listen.c and verb_connect.c make connections and hand each to call_begin;
 * ask.c decides about trust; the way moves the words; at the end talk.c reports, and the
 * verb's on_ended hears the status.
 *
 * Invariants: a way sees only what was authenticated after HELIO_EVENT_OPEN; "connected" is said
 * only then; standard input is not read before.
 */
#ifndef HELIO_TALK_TALK_H
#define HELIO_TALK_TALK_H

#include "cli/cli.h"
#include "cli/say.h"
#include "cli/trust.h"
#include "io/io.h"

/* The service that connect asks for (protocol.md 5.3). */
#define TALK_SERVICE "line"

/* Classic has no framing, and a stream in a chat none either: a pause this long ends a message. */
#define TALK_GATHER_MS 200

struct talk;

/* How words come and go on an open line. */
struct talk_way {
    /* The line is open.  HELIO_OK, or what went wrong here (said already). */
    enum helio_err (*begin)(struct talk *talk);
    /* DATA, MESSAGE and CLOSED. */
    void (*event)(struct talk *talk, const helio_event *event);
    void (*writable)(struct talk *talk);
    /* A signal: our direction ends in order. */
    void (*stop)(struct talk *talk);
    /* The line is gone: writes what is left, then calls call_finished. */
    void (*finish)(struct talk *talk);
    /* SIGWINCH, SIGCONT; may be NULL. */
    void (*window)(struct talk *talk, int number);
    /* At the very end, also without a begin. */
    void (*free)(struct talk *talk);
};

extern const struct talk_way talk_pipe, talk_chat, talk_classic;

/* One call. */
struct call {
    struct io_line *line;
    char label[IO_HOST_SIZE + 16]; /* initiator: HOST:PORT as asked for */
    char who[SAY_QUOTED_MAX];      /* the station, for people: its name here, or its address */
    bool open;
    bool begun;             /* the way was told */
    bool asking;            /* the user decides: now (responder), or when the line is gone */
    bool refused;           /* the reason for the end was said already */
    bool interrupted;       /* by the user, who knows */
    enum exit_status local; /* a failure of our own (said already), or STATUS_DONE */
    enum helio_err err;     /* how the line ended */
    uint8_t result;         /* how the command at the other end ended; 0 when there was none */
    bool ended;
};

struct talk {
    struct options *options;
    helio_role role;
    struct io_loop *loop;
    struct io_signals *signals;
    struct io_timer *patience; /* after a signal: how long the peer may take to close, too */
    helio_identity *identity;  /* NULL in classic, as known */
    helio_known *known;
    struct trust_pin pin;
    helio_config config;
    bool keep;  /* more stations come: standard output stays open */
    bool dying; /* talk_end has begun: nothing is reported any more */
    int signal; /* the first that came, or 0 */
    const struct talk_way *way;
    void *way_state; /* the way's own, from its first begin on */
    struct call call;
    struct trust_question *question;    /* ask.c's own */
    void (*on_open)(struct talk *talk); /* the verb's; may be NULL */
    /* The verb's: the call is over.  It calls call_clear when it has looked at it. */
    void (*on_ended)(struct talk *talk, int status);
    void *verb; /* the verb's own */
};

/* Prepares everything up to the first call.  STATUS_DONE, or another status, said already. */
HELIO_MUST_CHECK int talk_begin(struct talk *talk, struct options *options, helio_role role);
/* Also after a failed talk_begin. */
void talk_end(struct talk *talk);

/* Takes the signals, so that they close the line in order. */
HELIO_MUST_CHECK int talk_take_signals(struct talk *talk);
/* They end the process again. */
void talk_leave_signals(struct talk *talk);
/* 128 + the number of the signal that came, or STATUS_DONE. */
int talk_signal_status(const struct talk *talk);

/* Begins a call on stream, which it takes over; label is "" for a responder. */
HELIO_MUST_CHECK int call_begin(struct talk *talk, struct io_stream *stream, const char *label,
                                uint64_t handshake);
void call_clear(struct talk *talk);
/* The way has written everything. */
void call_finished(struct talk *talk);
/* A failure of our own, said already: the peer is told, and the call ends with STATUS_LOCAL. */
void call_fail_here(struct talk *talk);
/* The state line: peer, fingerprint, suite, key exchange. */
void call_describe(const struct talk *talk, char *out, size_t cap);

/* Reads known_stations anew; on failure (said already) the old list stays. */
int talk_reload_known(struct talk *talk);

#endif
