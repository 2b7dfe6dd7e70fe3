/*
 * What a peer that is authenticated and malicious sends: any records, sealed as they should be.
 * Input: again and again u16 length, a call for the station to make, kind, content.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/bytes.h"
#include "helio1/state.h"
#include "session/pair.h"

static struct pair p;
static uint8_t frame[FRAME_MAX];

static void send_record(unsigned kind, const uint8_t *content, size_t n)
{
    struct helio1 *peer = helio1_of(p.initiator.session);
    enum record_kind k = (enum record_kind)kind;
    size_t frame_n = FRAME_HEADER_SIZE + record_plain_size(k, n) + AEAD_TAG_SIZE;

    assert_int_equal(record_seal(&peer->send, k, content, n, frame), HELIO_OK);
    p.responder_saw.data_n = 0;
    station_feed(&p.responder, frame, frame_n, 0, &p.responder_saw);
}

/* Whatever they give: the session keeps its first error. */
static void make_call(unsigned which)
{
    static const uint8_t text[100];
    helio_session *s = p.responder.session;
    enum helio_err before = helio_session_error(s), err = HELIO_OK;

    if (which % 8 == 1)
        err = helio_session_close(s);
    else if (which % 8 == 2)
        err = helio_session_confirm(s);
    else if (which % 8 == 3)
        err = helio_session_send(s, text, sizeof text, HELIO_MESSAGE);
    else if (which % 8 == 4)
        helio_session_pull(s, frame, sizeof frame);
    assert_true(before == HELIO_OK || (helio_session_error(s) == before &&
                                       (err == before || which % 8 < 1 || which % 8 > 3)));
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
    struct reader r = reader_over(in, n);

    pair_new(&p, 0, 9);
    pair_run(&p, 0);
    assert_int_equal(p.responder_saw.count[HELIO_EVENT_OPEN], 1);
    while (r.left > 0 && !r.failed) {
        size_t size = read_u16(&r);
        unsigned call = read_u8(&r), kind = read_u8(&r);
        const uint8_t *content = read_bytes(&r, size < r.left ? size : r.left);

        make_call(call);
        if (content)
            send_record(kind, content, (size_t)(r.at - content));
    }
    pair_free(&p);
    return 0;
}
