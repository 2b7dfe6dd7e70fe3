/*
 * service_echo.c: what comes goes back, as what it came: data as data, messages as messages.
 *
 * Normally nothing is kept here.  When the line takes no more (its peer does not read), the piece
 * that did not fit and those that were read already wait, and the line is paused: at most what
 * io_line_pause says.
 */
#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"
#include "serve/serve.h"

/* A piece that waits. */
struct piece {
    struct piece *next;
    helio_content content;
    size_t n;
    uint8_t bytes[];
};

struct echo {
    struct piece *first;
    struct piece **end; /* where the next one is hooked in */
    bool peer_closed;
    bool stopping;
};

static enum helio_err echo_begin(struct guest *guest)
{
    struct echo *echo = calloc(1, sizeof *echo);

    if (!echo)
        return HELIO_E_MEMORY;
    echo->end = &echo->first;
    guest->state = echo;
    return HELIO_OK;
}

static void keep(struct guest *guest, const helio_event *event, helio_content content)
{
    struct echo *echo = guest->state;
    struct piece *piece = malloc(sizeof *piece + event->size);

    if (!piece) {
        guest_fail(guest, "no memory");
        return;
    }
    *piece = (struct piece){.content = content, .n = event->size};
    if (event->size > 0)
        memcpy(piece->bytes, event->data, event->size);
    *echo->end = piece;
    echo->end = &piece->next;
    io_line_pause(guest->line);
}

static void forget_first(struct echo *echo)
{
    struct piece *piece = echo->first;

    echo->first = piece->next;
    if (!echo->first)
        echo->end = &echo->first;
    wipe(piece->bytes, piece->n);
    free(piece);
}

/* Our direction ends after the last piece, and then all that came has gone back. */
static void close_if_done(struct guest *guest)
{
    struct echo *echo = guest->state;

    if (echo->first || !(echo->peer_closed || echo->stopping))
        return;
    io_line_close(guest->line);
    if (echo->peer_closed)
        io_line_confirm(guest->line);
}

static void send_back(struct guest *guest, const helio_event *event, helio_content content)
{
    struct echo *echo = guest->state;
    enum helio_err err = HELIO_E_AGAIN;

    /* Our direction has ended: what still comes cannot go back, and the peer is to know. */
    if (echo->stopping && !echo->first) {
        guest_fail(guest, "stopped");
        return;
    }
    if (!echo->first)
        err = io_line_send(guest->line, event->data, event->size, content);
    if (err == HELIO_E_AGAIN)
        keep(guest, event, content);
}

static void echo_event(struct guest *guest, const helio_event *event)
{
    struct echo *echo = guest->state;

    switch (event->kind) {
    case HELIO_EVENT_DATA:
        send_back(guest, event, HELIO_DATA);
        break;
    case HELIO_EVENT_MESSAGE:
        send_back(guest, event, HELIO_MESSAGE);
        break;
    case HELIO_EVENT_CLOSED:
        echo->peer_closed = true;
        close_if_done(guest);
        break;
    default:
        break;
    }
}

static void echo_writable(struct guest *guest)
{
    struct echo *echo = guest->state;

    while (echo->first) {
        const struct piece *piece = echo->first;

        /* Any other error ends the line. */
        if (io_line_send(guest->line, piece->bytes, piece->n, piece->content))
            return;
        forget_first(echo);
    }
    io_line_resume(guest->line);
    close_if_done(guest);
}

static void echo_stop(struct guest *guest)
{
    struct echo *echo = guest->state;

    echo->stopping = true;
    close_if_done(guest);
}

static void echo_end(struct guest *guest)
{
    struct echo *echo = guest->state;

    if (!echo)
        return;
    while (echo->first)
        forget_first(echo);
    free(echo);
    guest->state = NULL;
}

const struct service service_echo = {
    .name = "echo",
    .called_by = STATION_CALL,
    .asked_as = (const char *const[]){"line", "echo", NULL},
    .begin = echo_begin,
    .event = echo_event,
    .writable = echo_writable,
    .stop = echo_stop,
    .end = echo_end,
};
