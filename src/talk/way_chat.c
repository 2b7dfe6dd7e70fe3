/*
 * way_chat.c: a line between two people, at a terminal (chat.h).
 *
 * What is typed is a message.  What comes is shown when its message ends; a stream, which has no
 * messages (a peer in a pipe, or classic), when nothing has come for TALK_GATHER_MS.
 * When the peer closes we close, too: a conversation of one is none.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "talk/chat.h"
#include "talk/talk.h"

/* A longer message is shown in pieces. */
enum { SHOWN_MAX = 2 * HELIO_SEND_MAX };

struct room {
    struct chat *chat;
    struct io_poll *keyboard;
    struct io_timer *gather;
    struct buffer incoming;
    bool stopped; /* our direction has ended */
};

static struct room *room_of(struct talk *talk)
{
    return talk->way_state;
}

/* ------------------------------------------------------------------------------------ typing -- */

static const char *why_not_sent(const struct talk *talk, enum helio_err err)
{
    if (err == HELIO_E_AGAIN)
        return "not sent: the line is busy, the other side does not read";
    if (err == HELIO_E_STATE && talk->options->classic)
        return "not sent: classic takes turns; wait for the answer";
    return err == HELIO_E_TOO_LONG ? "not sent: too long" : "not sent: the line is closed";
}

static bool on_typed(void *context, const char *text, size_t n)
{
    struct talk *talk = context;
    struct room *room = room_of(talk);
    enum helio_err err = HELIO_E_STATE;

    if (!room->stopped)
        err = io_line_send(talk->call.line, (const uint8_t *)text, n, HELIO_MESSAGE);
    if (err)
        chat_note(room->chat, why_not_sent(talk, err));
    return err == HELIO_OK;
}

static void stop_talking(struct talk *talk)
{
    struct room *room = room_of(talk);

    if (room->stopped)
        return;
    room->stopped = true;
    io_poll_free(room->keyboard);
    room->keyboard = NULL;
    if (talk->options->classic)
        io_line_hang_up(talk->call.line);
    else
        io_line_close(talk->call.line);
}

static void on_end(void *context)
{
    stop_talking(context);
}

static const struct chat_calls chat_calls = {.line = on_typed, .end = on_end};

static void on_keyboard(void *context)
{
    struct talk *talk = context;

    chat_readable(room_of(talk)->chat);
}

/* ----------------------------------------------------------------------------------- showing -- */

static void show_incoming(struct talk *talk)
{
    struct room *room = room_of(talk);
    size_t n = buffer_size(&room->incoming);
    const char *text = (const char *)buffer_front(&room->incoming);

    io_timer_stop(room->gather);
    /* A stream's last newline ends its last line; it is no line by itself. */
    chat_message(room->chat, time(NULL), talk->call.who, n > 0 ? text : "",
                 n > 0 && text[n - 1] == '\n' ? n - 1 : n);
    buffer_clear(&room->incoming);
}

static void show_rest(struct talk *talk)
{
    if (buffer_size(&room_of(talk)->incoming) > 0)
        show_incoming(talk);
}

static void on_gathered(void *context)
{
    show_rest(context);
}

static void gather(struct talk *talk, const helio_event *event)
{
    struct room *room = room_of(talk);

    if (event->size > buffer_room(&room->incoming))
        show_rest(talk);
    if (buffer_append(&room->incoming, event->data, event->size) != HELIO_OK) {
        say_error("memory", "no memory for a message");
        call_fail_here(talk);
        return;
    }
    if (event->kind == HELIO_EVENT_MESSAGE)
        show_incoming(talk);
    else
        io_timer_set(room->gather, TALK_GATHER_MS);
}

static void chat_event(struct talk *talk, const helio_event *event)
{
    char note[SAY_QUOTED_MAX + 32];

    if (event->kind != HELIO_EVENT_CLOSED) {
        gather(talk, event);
        return;
    }
    show_rest(talk);
    snprintf(note, sizeof note, "%s has left", talk->call.who);
    chat_note(room_of(talk)->chat, note);
    io_line_confirm(talk->call.line);
    stop_talking(talk);
}

/* What say.h has to say comes with a newline at its end; the chat wants none. */
static void print_note(void *context, const char *text, size_t n)
{
    struct room *room = context;
    char *note = strndup(text, n > 0 && text[n - 1] == '\n' ? n - 1 : n);

    if (note)
        chat_note(room->chat, note);
    free(note);
}

/* ----------------------------------------------------------------------------------- the way -- */

static void leave_room(struct talk *talk)
{
    struct room *room = room_of(talk);

    if (!room)
        return;
    say_through(NULL, NULL);
    io_poll_free(room->keyboard);
    io_timer_free(room->gather);
    chat_free(room->chat);
    buffer_clear(&room->incoming);
    free(room);
    talk->way_state = NULL;
}

static enum helio_err enter_room(struct talk *talk)
{
    struct room *room = calloc(1, sizeof *room);
    enum helio_err err;

    if (!room)
        return HELIO_E_MEMORY;
    talk->way_state = room;
    buffer_init(&room->incoming, SHOWN_MAX);
    err = io_timer_new(&room->gather, talk->loop, on_gathered, talk);
    if (!err)
        err = io_poll_new(&room->keyboard, talk->loop, STDIN_FILENO, on_keyboard, talk);
    if (!err)
        err = chat_new(&room->chat, *talk->options->name ? talk->options->name : "me", &chat_calls,
                       talk);
    return err;
}

static enum helio_err chat_begin(struct talk *talk)
{
    enum helio_err err = enter_room(talk);
    char state[2 * SAY_QUOTED_MAX];

    if (err) {
        leave_room(talk);
        talk->call.begun = false;
        say_error("chat", "cannot use the terminal: %s", helio_strerror(err));
        return err;
    }
    say_through(print_note, room_of(talk));
    call_describe(talk, state, sizeof state);
    chat_state(room_of(talk)->chat, state);
    chat_note(room_of(talk)->chat, "Ctrl-D ends the conversation");
    return HELIO_OK;
}

static void chat_writable(struct talk *talk)
{
    (void)talk; /* the user was told, and types again */
}

/* Each conversation has its own screen; messages about the end go to stderr again. */
static void chat_finish(struct talk *talk)
{
    show_rest(talk);
    leave_room(talk);
    call_finished(talk);
}

static void chat_window(struct talk *talk, int number)
{
    if (number == SIGWINCH)
        chat_resized(room_of(talk)->chat);
    else
        chat_continued(room_of(talk)->chat);
}

const struct talk_way talk_chat = {
    .begin = chat_begin,
    .event = chat_event,
    .writable = chat_writable,
    .stop = stop_talking,
    .finish = chat_finish,
    .window = chat_window,
    .free = leave_room,
};
