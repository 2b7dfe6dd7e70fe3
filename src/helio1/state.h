/*
 * state.h: what one helio/1 session holds, shared by the files of this room only.
 *
 *   helio1.c     the frame reader, the table of steps, the public operations
 *   handshake.c  the steps from HELLO to ACCEPT, and the answers to PEER
 *   line.c       records, once the line is open
 *
 * Who may hold what, and until when:
 *  - dh_private and handshake live from the first message to AUTH, and are wiped by
 *    handshake_forget, which also frees the transcript;
 *  - accept lives from AUTH to the last ACCEPT;
 *  - send, receive and exporter live from AUTH to the end;
 *  - frame gathers an incoming frame that comes in pieces, and holds the plaintext of the last
 *    record; an event's data points there, so it is not touched until the next frame is read.
 */
#ifndef HELIO_HELIO1_STATE_H
#define HELIO_HELIO1_STATE_H

#include "helio1/helio1.h"
#include "helio1/messages.h"
#include "helio1/proof.h"
#include "helio1/record.h"
#include "helio1/schedule.h"

enum state {
    AWAIT_HELLO,  /* responder */
    AWAIT_REPLY,  /* initiator */
    DECIDE_REPLY, /* initiator: PEER was raised, the caller's word is awaited */
    AWAIT_AUTH,   /* responder */
    DECIDE_AUTH,  /* responder: likewise */
    AWAIT_ACCEPT, /* initiator */
    OPEN,
    STATE_COUNT
};

struct helio1 {
    struct helio_session session; /* first: the two are one object */
    enum state state;

    const helio_identity *identity;
    uint8_t name[HELIO_NAME_MAX];
    size_t name_n;
    uint8_t service[HELIO_SERVICE_MAX];
    size_t service_n;
    struct suite_list suites;
    enum aead_cipher cipher;

    struct sha256 *transcript;
    uint8_t dh_private[X25519_SIZE];
    uint8_t dh_share[X25519_SIZE];
    struct handshake_secrets handshake;
    struct aead_key accept;
    uint64_t accept_number;
    bool waiting; /* ACCEPT "wait" was sent or received */
    bool alerted; /* the peer sent a clear ALERT: it gets none back */

    struct direction send;
    struct direction receive;
    uint8_t exporter[SHA256_SIZE];
    uint8_t id[SHA256_SIZE];
    bool sent_result; /* no data or message after it */
    bool sent_close;
    bool sent_receipt; /* only after received_close; ends our direction */
    bool received_result;
    bool received_close;
    bool received_receipt; /* only after sent_close; ends the peer's direction */

    struct buffer frame;
    char peer_name[HELIO_NAME_MAX + 1];
    char peer_service[HELIO_SERVICE_MAX + 1];
};

static inline struct helio1 *helio1_of(struct helio_session *s)
{
    return (struct helio1 *)(void *)s;
}

/*
 * A whole incoming frame: header and body, frame[0..n); in the caller's bytes, or in h->frame when it
 * came in pieces.
 */
typedef enum helio_err helio1_step(struct helio1 *h, const uint8_t *frame, size_t n);

/* -- handshake.c -- */

/* initiator: queues HELLO. */
HELIO_MUST_CHECK enum helio_err handshake_begin(struct helio1 *h);
helio1_step handshake_on_hello, handshake_on_reply, handshake_on_auth, handshake_on_leave,
    handshake_on_accept, handshake_on_alert;
HELIO_MUST_CHECK enum helio_err handshake_trust(struct helio1 *h);
HELIO_MUST_CHECK enum helio_err handshake_wait(struct helio1 *h);
HELIO_MUST_CHECK enum helio_err handshake_refuse(struct helio1 *h, helio_refusal why);
HELIO_MUST_CHECK enum helio_err handshake_alert(struct helio1 *h, enum clear_alert why);
/* Wipes all that only the handshake needs. */
void handshake_forget(struct helio1 *h);

/* -- line.c -- */

helio1_step line_on_record;
HELIO_MUST_CHECK enum helio_err line_send(struct helio1 *h, enum record_kind kind,
                                          const uint8_t *content, size_t n);

#endif
