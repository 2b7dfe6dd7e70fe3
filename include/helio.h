/*
 * helio.h: the public interface of libhelio, a station-to-station secure line.
 *
 * What it is.  A session engine: bytes in, bytes out.  It opens no socket, reads no clock, starts
 * no thread; the caller moves the bytes and owns the deadlines.  Beside it stand the things a
 * caller needs around a session: identities (RSA keys), fingerprints, the file of known stations,
 * and IDEA by itself.
 *
 * Two protocols stand behind the engine.  helio/1 (docs/protocol.md) is authenticated and
 * forward-secret.  classic (docs/classic.md) is the protocol of an old teaching text; it is
 * insecure, exists to talk to that program, and is used only when the caller asks for it by name.
 *
 * Ownership.  What a function creates, its matching _free or _clear ends; every _free takes NULL
 * and wipes.  A pointer handed out stays the library's; each function says how long it stays good.
 *
 * Errors.  Every function that can fail returns enum helio_err; HELIO_OK is 0.  A session latches
 * its first error, wipes its keys, and answers every later call with that same error.
 *
 * Threads.  An object may be used by one thread at a time, except that any number of sessions may
 * share an identity; different objects never share state.  A callback does not call the session that
 * called it.
 */
#ifndef HELIO_H
#define HELIO_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define HELIO_API __attribute__((visibility("default")))
#define HELIO_MUST_CHECK __attribute__((warn_unused_result))
#else
#define HELIO_API
#define HELIO_MUST_CHECK
#endif

/* ------------------------------------------------------------------------------------ errors -- */

enum helio_err {
    HELIO_OK = 0,
    HELIO_E_ARGUMENT,   /* a value that the caller passed on is out of its range */
    HELIO_E_MEMORY,     /* no memory */
    HELIO_E_SYSTEM,     /* the operating system refused; errno says why */
    HELIO_E_CRYPTO,     /* the crypto library failed, or a signature of our own did not verify */
    HELIO_E_EXISTS,     /* the file or the name is there already */
    HELIO_E_NOT_FOUND,  /* no such name */
    HELIO_E_FORMAT,     /* a file is not in its format */
    HELIO_E_KEY,        /* a key is of the wrong kind, size or exponent */
    HELIO_E_MODE,       /* a file that must be private is open to others */
    HELIO_E_PASSPHRASE, /* the passphrase is missing or wrong */
    HELIO_E_AGAIN,      /* the output queue is full: pull, then call again; nothing was taken */
    HELIO_E_STATE,      /* the call does not fit what the session is doing */
    HELIO_E_TOO_LONG,   /* more than one call or one message may hold */
    HELIO_E_UNTRUSTED,  /* we refused the peer */
    HELIO_E_REFUSED,    /* the peer refused us */
    HELIO_E_RETURNING,  /* the peer left to ask its user about our key and will call again */
    HELIO_E_NO_COMMON,  /* no protocol version or suite that both stations speak */
    HELIO_E_TIMEOUT,    /* a deadline of the caller's passed (only helio_session_fail sets it) */
    HELIO_E_CUT,        /* the transport ended before an authenticated close */
    HELIO_E_BROKEN, /* what came was altered or broke the protocol; never says which check failed */
    HELIO_E_ALERT,  /* the peer said, authenticated, that it failed and gave up */
    HELIO_E_EXHAUSTED, /* a direction ran out of epochs */
    HELIO_ERR_COUNT
};

/* One line of English without a full stop, for any value; never NULL. */
HELIO_API const char *helio_strerror(enum helio_err err);

/* "0.1.0"; static. */
HELIO_API const char *helio_version(void);

/* -------------------------------------------------------------------------------- randomness -- */

/* Fills out[0..n) with random bytes; anything but HELIO_OK ends the session that asked. */
typedef enum helio_err helio_random_fn(void *context, uint8_t *out, size_t n);

/* The operating system's generator, by way of the crypto library.  context is not used. */
HELIO_API HELIO_MUST_CHECK enum helio_err helio_random_system(void *context, uint8_t *out,
                                                              size_t n);

/* ------------------------------------------------------------------------------ fingerprints -- */

/* SHA-256 over the DER SubjectPublicKeyInfo of an RSA key.  Public; plain to copy and compare. */
typedef struct helio_fingerprint {
    uint8_t sha256[32];
} helio_fingerprint;

/* "SHA256:" and 43 characters of unpadded base64 and a NUL. */
#define HELIO_FINGERPRINT_TEXT 51

HELIO_API void helio_fingerprint_format(const helio_fingerprint *fp,
                                        char text[HELIO_FINGERPRINT_TEXT]);
/* HELIO_E_FORMAT unless text is exactly what helio_fingerprint_format writes. */
HELIO_API HELIO_MUST_CHECK enum helio_err helio_fingerprint_parse(helio_fingerprint *fp,
                                                                  const char *text);
/* 1 when equal, 0 when not. */
HELIO_API int helio_fingerprint_equal(const helio_fingerprint *a, const helio_fingerprint *b);

/* -------------------------------------------------------------------------------- identities -- */

/* An RSA key pair of 2048 to 8192 bits with e = 65537: who a station is. */
typedef struct helio_identity helio_identity;

#define HELIO_RSA_BITS_MIN 2048
#define HELIO_RSA_BITS_MAX 8192
#define HELIO_RSA_BITS_DEFAULT 3072

/*
 * Asked when a key file is encrypted.  Writes at most cap bytes of passphrase to out and their
 * number to *n; anything but HELIO_OK gives up.  The library wipes out afterwards.
 */
typedef enum helio_err helio_passphrase_fn(void *context, char *out, size_t cap, size_t *n);
#define HELIO_PASSPHRASE_MAX 1024

HELIO_API HELIO_MUST_CHECK enum helio_err helio_identity_generate(helio_identity **out,
                                                                  unsigned bits);
/*
 * Reads a PKCS#8 PEM file, encrypted or not; ask may be NULL when no passphrase can be had.
 * HELIO_E_SYSTEM (errno), HELIO_E_MODE (not a regular file, neither ours nor root's, or group or
 * others may read or write it), HELIO_E_FORMAT, HELIO_E_KEY, HELIO_E_PASSPHRASE, HELIO_E_TOO_LONG (over 64 KiB).
 */
HELIO_API HELIO_MUST_CHECK enum helio_err helio_identity_load(helio_identity **out,
                                                              const char *path,
                                                              helio_passphrase_fn *ask,
                                                              void *context);
/*
 * Writes PKCS#8 PEM with mode 0600, aside and then linked into place, so that a half-written key
 * never has the final name.  Never overwrites: HELIO_E_EXISTS.  A passphrase of n > 0 bytes
 * encrypts the file (PBES2: scrypt, AES-256-CBC).
 */
HELIO_API HELIO_MUST_CHECK enum helio_err
helio_identity_save(const helio_identity *id, const char *path, const char *passphrase, size_t n);
HELIO_API void helio_identity_free(helio_identity *id);

HELIO_API unsigned helio_identity_bits(const helio_identity *id);
HELIO_API const helio_fingerprint *helio_identity_fingerprint(const helio_identity *id);
/* The public half as PEM SubjectPublicKeyInfo text; good as long as id is. */
HELIO_API const char *helio_identity_public_pem(const helio_identity *id);

/* ---------------------------------------------------------------------------- known stations -- */

/* One line of a known_stations file. */
typedef struct helio_station {
    const char *name;              /* no spaces or control characters, at most 255 bytes, unique */
    helio_fingerprint fingerprint; /* several names may have one fingerprint */
    unsigned line;                 /* where it stands in the file, from 1 */
} helio_station;

/* The file of known stations, as it was when it was read. */
typedef struct helio_known helio_known;

/*
 * A missing file is an empty list.  HELIO_E_FORMAT with the line number in *bad_line (may be NULL)
 * when a line is not "NAME FINGERPRINT", a comment or blank, or a name comes twice; HELIO_E_MODE
 * when group or others may write it; HELIO_E_TOO_LONG over 16 MiB; HELIO_E_SYSTEM.
 */
HELIO_API HELIO_MUST_CHECK enum helio_err helio_known_load(helio_known **out, const char *path,
                                                           unsigned *bad_line);
HELIO_API void helio_known_free(helio_known *known);
HELIO_API size_t helio_known_count(const helio_known *known);
/* In file order; i < count.  Good as long as known is. */
HELIO_API const helio_station *helio_known_at(const helio_known *known, size_t i);
/* NULL when there is none; by fingerprint: the first in the file. */
HELIO_API const helio_station *helio_known_by_name(const helio_known *known, const char *name);
HELIO_API const helio_station *helio_known_by_fingerprint(const helio_known *known,
                                                          const helio_fingerprint *fp);
/*
 * Change the file on disk under an exclusive lock: read it again, write aside, sync, rename.
 * Writers in other processes wait; a reader sees the old or the new file, never a mixture.
 * add: HELIO_E_EXISTS when the name is there with another key (the same key is HELIO_OK),
 * HELIO_E_ARGUMENT for a name that cannot stand in the file.  remove: HELIO_E_NOT_FOUND.
 */
HELIO_API HELIO_MUST_CHECK enum helio_err helio_known_add(const char *path, const char *name,
                                                          const helio_fingerprint *fp);
HELIO_API HELIO_MUST_CHECK enum helio_err helio_known_remove(const char *path, const char *name);

/* ------------------------------------------------------------------------------------ suites -- */

/* Numbers as on the wire: key exchange in the high byte, cipher in the low (protocol.md 3). */
enum {
    HELIO_SUITE_IDEA_CTR_POLY1305 = 0x0101,
    HELIO_SUITE_CHACHA20_POLY1305 = 0x0102,
    HELIO_SUITE_AES_256_GCM = 0x0103
};

/* "idea-ctr-poly1305" …, or NULL for a number that is no suite of ours. */
HELIO_API const char *helio_suite_name(uint16_t suite);
/* 0 when no suite has that name. */
HELIO_API uint16_t helio_suite_by_name(const char *name);
/* The i-th suite in the default order of preference, 0 past the last. */
HELIO_API uint16_t helio_suite_at(size_t i);

/* ---------------------------------------------------------------------------------- sessions -- */

typedef struct helio_session helio_session;

/* initiator: the one who calls; responder: the one who is called. */
typedef enum helio_role { HELIO_INITIATOR, HELIO_RESPONDER } helio_role;

typedef enum helio_protocol { HELIO_PROTOCOL_HELIO1, HELIO_PROTOCOL_CLASSIC } helio_protocol;

/* How classic's counter behaves: the text has both (docs/classic.md). */
typedef enum helio_classic_counter {
    HELIO_CLASSIC_CONSTANT,
    HELIO_CLASSIC_INCREMENTING
} helio_classic_counter;

/*
 * Told of each step as it happens, for people who watch: what is a short fixed label, data are its
 * bytes (n may be 0), good during the call only.  helio/1 shows nothing secret.  classic shows what
 * the original printed, its session key included.
 */
typedef void helio_trace_fn(void *context, const char *what, const uint8_t *data, size_t n);

/* Zero it, then fill in; everything is copied or used only inside calls, except where said. */
typedef struct helio_config {
    helio_protocol protocol;
    const helio_identity
        *identity;          /* helio/1: needed, must outlive the session; classic: not used */
    const char *name;       /* shown to the peer; UTF-8 without controls, 0 to 64 bytes, or NULL */
    const char *service;    /* initiator: what it asks for; printable ASCII, 0 to 64, or NULL */
    const uint16_t *suites; /* in order of preference; NULL: all of ours */
    size_t suite_count;
    helio_random_fn *random; /* NULL: helio_random_system */
    void *random_context;
    helio_trace_fn *trace; /* NULL: none */
    void *trace_context;
    unsigned classic_offset; /* 0 to 24: where the IDEA key starts in the session digest */
    helio_classic_counter classic_counter;
} helio_config;

#define HELIO_NAME_MAX 64
#define HELIO_SERVICE_MAX 64
#define HELIO_SEND_MAX 65536          /* bytes that one helio_session_send takes */
#define HELIO_CLASSIC_MESSAGE_MAX 512 /* bytes of text in a classic message, name included */
#define HELIO_HANDSHAKE_SECONDS 10    /* whole handshake; the caller's clock enforces it */
#define HELIO_WAIT_SECONDS 120        /* how long an initiator waits after HELIO_EVENT_WAITING */

/* What is known of the other side.  Pointers are good as long as the session is. */
typedef struct helio_peer {
    helio_fingerprint fingerprint;
    unsigned bits;       /* RSA modulus */
    const char *name;    /* what it calls itself: a claim.  "" until said (responder: in ACCEPT) */
    const char *service; /* responder's view: what the initiator asks for */
} helio_peer;

typedef enum helio_event_kind {
    HELIO_EVENT_NONE,
    HELIO_EVENT_PEER,    /* the peer proved its key: decide (trust, refuse; responder also wait) */
    HELIO_EVENT_WAITING, /* initiator: the responder is asking its user; be patient */
    HELIO_EVENT_OPEN,    /* both sides accepted: data may flow */
    HELIO_EVENT_DATA,    /* a piece of the stream, or of a message that goes on */
    HELIO_EVENT_MESSAGE, /* the last (or only) piece of a message; may be empty */
    HELIO_EVENT_PONG,    /* the answer to a ping, with its content */
    HELIO_EVENT_CLOSED,  /* the peer closed its direction, authenticated; ours may go on */
    HELIO_EVENT_RESULT   /* how the command that the peer ran ended: data[0], as HELIO_RESULT */
} helio_event_kind;

typedef struct helio_event {
    helio_event_kind kind;
    const uint8_t *data; /* authenticated bytes; good until the next feed, next or free, and zeros
                            once the session has failed */
    size_t size;
} helio_event;

/* What helio_session_send sends. */
typedef enum helio_content {
    HELIO_DATA,    /* stream bytes, or the beginning of a message; not padded */
    HELIO_MESSAGE, /* the end of a message, or a whole one; padded, so that its length tells little
                    */
    HELIO_PING,    /* at most 64 bytes; the peer's engine answers by itself */
    /*
     * One byte, once: how the command that we ran for the peer has ended; 0: well, else its exit
     * status, or 128 and the number of the signal that killed it.  Only pings and the close follow.
     */
    HELIO_RESULT
} helio_content;

/* Why a station is refused; told to it authenticated (protocol.md 5.4, 5.5). */
typedef enum helio_refusal {
    HELIO_REFUSE_UNTRUSTED = 1, /* we do not trust that key */
    HELIO_REFUSE_SERVICE = 2,   /* responder: we do not offer that service */
    HELIO_REFUSE_BUSY = 3,      /* responder: no room */
    HELIO_REFUSE_NO_ANSWER = 4, /* responder: our user did not answer in time */
    HELIO_REFUSE_ASKING = 5     /* initiator: we hang up to ask our user, and call again */
} helio_refusal;

/*
 * HELIO_E_ARGUMENT for a config that is not as described above; classic initiators draw an RSA key.
 */
HELIO_API HELIO_MUST_CHECK enum helio_err
helio_session_new(helio_session **out, const helio_config *config, helio_role role);
HELIO_API void helio_session_free(helio_session *session);

/*
 * Hands in bytes from the transport.  *used says how many were taken; it is less than n when an
 * event is ready that must be fetched first.  Loop: feed, then next until HELIO_EVENT_NONE, until
 * all is used.  On an error there may be a last alert to pull and send.
 */
HELIO_API HELIO_MUST_CHECK enum helio_err
helio_session_feed(helio_session *session, const uint8_t *in, size_t n, size_t *used);
/*
 * The transport has ended: HELIO_OK when the peer had closed and confirmed, else the session fails:
 * HELIO_E_CUT.  Fetch the last event first: one that is still pending goes with a session that fails,
 * and in classic stands in the way of HELIO_EVENT_CLOSED.
 */
HELIO_API HELIO_MUST_CHECK enum helio_err helio_session_eof(helio_session *session);

/* Fetches the next event; kind is HELIO_EVENT_NONE when there is none. */
HELIO_API HELIO_MUST_CHECK enum helio_err helio_session_next(helio_session *session,
                                                             helio_event *out);

/*
 * Answers to HELIO_EVENT_PEER, once it has been fetched: else HELIO_E_STATE.  refuse latches
 * HELIO_E_UNTRUSTED here, HELIO_E_REFUSED there; a reason that is not for this role is told as
 * HELIO_REFUSE_UNTRUSTED.
 */
HELIO_API HELIO_MUST_CHECK enum helio_err helio_session_trust(helio_session *session);
HELIO_API HELIO_MUST_CHECK enum helio_err helio_session_wait(helio_session *session);
HELIO_API void helio_session_refuse(helio_session *session, helio_refusal why);

/*
 * Takes all n bytes or none.  HELIO_E_AGAIN: pull first.  HELIO_E_STATE: not open, or closed.
 * HELIO_E_TOO_LONG: n > HELIO_SEND_MAX, or a classic message, a ping or a result over its limit.
 * HELIO_E_ARGUMENT: a result without its byte, or no such content.
 * classic knows whole messages only, each as the end of our turn: HELIO_E_STATE out of turn.
 */
HELIO_API HELIO_MUST_CHECK enum helio_err
helio_session_send(helio_session *session, const uint8_t *data, size_t n, helio_content content);
/* Ends our direction, authenticated; what the peer still sends keeps arriving.  HELIO_E_AGAIN as
 * send. */
HELIO_API HELIO_MUST_CHECK enum helio_err helio_session_close(helio_session *session);

/*
 * After HELIO_EVENT_CLOSED: tells the peer that all it sent has arrived and is where it should be
 * (written, stored).  The peer is not done before that.  HELIO_E_STATE before, and the second time.
 * classic has no such word: HELIO_OK and nothing is sent.
 */
HELIO_API HELIO_MUST_CHECK enum helio_err helio_session_confirm(helio_session *session);

/* Gives up for a reason of the caller's own (a deadline, a full disk); the peer is told that we
 * did. */
HELIO_API void helio_session_fail(helio_session *session, enum helio_err why);

/*
 * Gives back the memory that only a busy session needs: buffers with nothing in them.  For one that has
 * been quiet for a while; the next feed or send takes what it needs again.  What the event fetched last
 * pointed to is gone.
 */
HELIO_API void helio_session_trim(helio_session *session);

/*
 * Moves up to cap bytes for the transport to out, or drops them when out is NULL; returns how many.
 * Works after failure, too.
 */
HELIO_API size_t helio_session_pull(helio_session *session, uint8_t *out, size_t cap);
/*
 * The same bytes where they lie, without a copy: returns how many, and *out is good until the next
 * call on this session.  What the transport took of them is dropped by a pull to NULL.
 */
HELIO_API size_t helio_session_peek(const helio_session *session, const uint8_t **out);
/* How many bytes pull would give now. */
HELIO_API size_t helio_session_pending(const helio_session *session);

/*
 * 1 once both directions have closed, both stations have confirmed, and nothing is left to pull.
 */
HELIO_API int helio_session_done(const helio_session *session);
/* The latched error, or HELIO_OK. */
HELIO_API enum helio_err helio_session_error(const helio_session *session);
/* After HELIO_E_REFUSED and HELIO_E_RETURNING: what the peer gave as its reason; else 0. */
HELIO_API helio_refusal helio_session_refusal(const helio_session *session);
/* NULL before HELIO_EVENT_PEER (and always in classic, where nobody proves anything). */
HELIO_API const helio_peer *helio_session_peer(const helio_session *session);
/* The suite, once chosen, else 0. */
HELIO_API uint16_t helio_session_suite(const helio_session *session);
/* The same 32 bytes on both sides, new in each session, public.  HELIO_E_STATE before OPEN. */
HELIO_API HELIO_MUST_CHECK enum helio_err helio_session_id(const helio_session *session,
                                                           uint8_t out[32]);
/*
 * How often the key of one direction was replaced (protocol.md 4.4): of ours (sent is 1), or of the
 * peer's (0).  Also after the end.
 */
HELIO_API uint64_t helio_session_epochs(const helio_session *session, int sent);
/*
 * Key material for the caller's own use, bound to this session, label (1 to 64 bytes of ASCII) and
 * context (protocol.md 4.5).  1 to 8160 bytes.  HELIO_E_STATE before OPEN.
 */
HELIO_API HELIO_MUST_CHECK enum helio_err
helio_session_export(const helio_session *session, const char *label, const uint8_t *context,
                     size_t context_size, uint8_t *out, size_t n);

/* -------------------------------------------------------------------------------------- IDEA -- */

/*
 * The cipher by itself: 64-bit blocks, 128-bit keys, big-endian (Lai & Massey 1991).  The caller
 * owns the struct and wipes it with helio_idea_clear.  Constant time: no branch, no table.
 * Not authenticated: for an embedder who knows why; a line wants a session.
 */
typedef struct helio_idea {
    uint16_t encrypt[52];
    uint16_t decrypt[52];
    uint32_t wide[120]; /* encrypt once more, prepared for vectors */
} helio_idea;

HELIO_API void helio_idea_set_key(helio_idea *idea, const uint8_t key[16]);
HELIO_API void helio_idea_clear(helio_idea *idea);
/* out may be in. */
HELIO_API void helio_idea_encrypt(const helio_idea *idea, uint8_t out[8], const uint8_t in[8]);
HELIO_API void helio_idea_decrypt(const helio_idea *idea, uint8_t out[8], const uint8_t in[8]);
/*
 * XORs n bytes with the keystream: block i is E(big-endian 64-bit (counter + i mod 2^64)).
 * Any n, any alignment; out is in, or the two do not overlap.
 */
HELIO_API void helio_idea_ctr(const helio_idea *idea, uint64_t counter, uint8_t *out,
                              const uint8_t *in, size_t n);

/*
 * Counter mode has a kernel for each of several instruction sets: "avx512bw", "avx2", "sse2",
 * "neon", "portable".  The fastest that this processor can run is chosen at the first use; which,
 * says helio_idea_kernel.
 */
HELIO_API const char *helio_idea_kernel(void);
/*
 * From now on, in the whole process, no kernel faster than the one named; "avx512bw" or "neon" lifts
 * the limit.  For tests and measurements.  HELIO_E_NOT_FOUND when there is none of that name in this
 * library.
 */
HELIO_API HELIO_MUST_CHECK enum helio_err helio_idea_limit(const char *kernel);

#ifdef __cplusplus
}
#endif

#endif
