/*
 * io.h: everything that waits.  Sockets, standard input and output, timers and signals for the
 * command line; nothing of libuv shows.
 *
 * What it is.  A loop runs on one thread; a program may have several, and what belongs to one loop
 * is used by its thread alone, except for io_loop_post.  A line (io_line) is a helio_session with
 * its TCP connection; io_input and io_output are two file descriptors of any kind, usually 0 and 1;
 * a relay joins a line with such a pair; a child is another program; the rest finds and makes
 * connections.  Every function returns at once; what happens later comes by callback.
 *
 * Ownership.  What a function creates, its _free (or the one that takes it over) ends.  Callbacks
 * may call anything, also the _free of the object that called, except where said.  io_loop_free
 * comes last, when all else has been freed.
 *
 * Never: decides about trust, writes to stderr, or hands on a byte that the session has not
 * authenticated.  Memory that held plaintext is wiped before it is freed.
 */
#ifndef HELIO_IO_IO_H
#define HELIO_IO_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "helio.h"

/* -------------------------------------------------------------------------------------- loop -- */

struct io_loop;

/* The caller ignores SIGPIPE, and has seen to it that descriptors 0 to 2 are open. */
HELIO_MUST_CHECK enum helio_err io_loop_new(struct io_loop **out);
/* Runs until io_loop_stop, or until nothing is left that could call back. */
void io_loop_run(struct io_loop *loop);
void io_loop_stop(struct io_loop *loop);
/* Milliseconds of a clock that only goes forward. */
uint64_t io_loop_now(struct io_loop *loop);
void io_loop_free(struct io_loop *loop);

typedef void io_fn(void *context);

/*
 * From any thread: fn(context) will run on loop's thread, in the order of posting.  What is posted
 * to a loop that has stopped runs when it is freed.
 */
HELIO_MUST_CHECK enum helio_err io_loop_post(struct io_loop *loop, io_fn *fn, void *context);
/* Held, io_loop_run waits for posts, too, and so returns only after io_loop_stop. */
void io_loop_hold(struct io_loop *loop);

struct io_thread;

/* Runs fn(context), usually a loop of its own, on another thread. */
HELIO_MUST_CHECK enum helio_err io_thread_new(struct io_thread **out, io_fn *fn, void *context);
/* Waits until fn has returned, and frees. */
void io_thread_join(struct io_thread *thread);
/* How many processors this process may use, at least 1. */
unsigned io_processors(void);
/*
 * Lets this process have as many descriptors as it may, and says how many that is.  Children get
 * the limit that was found (io_child_new).  Before other threads begin.
 */
unsigned long io_raise_file_limit(void);

struct io_timer;

HELIO_MUST_CHECK enum helio_err io_timer_new(struct io_timer **out, struct io_loop *loop, io_fn *fn,
                                             void *context);
/* Once, in so many milliseconds; a running timer starts anew. */
void io_timer_set(struct io_timer *timer, uint64_t milliseconds);
void io_timer_stop(struct io_timer *timer);
void io_timer_free(struct io_timer *timer);

struct io_signals;
typedef void io_signal_fn(void *context, int number);

/*
 * SIGINT, SIGTERM, SIGHUP, SIGWINCH and SIGCONT come to fn; the first three end no process now.
 * One that the process was started to ignore stays ignored.
 */
HELIO_MUST_CHECK enum helio_err io_signals_new(struct io_signals **out, struct io_loop *loop,
                                               io_signal_fn *fn, void *context);
void io_signals_free(struct io_signals *signals);

struct io_poll;

/*
 * Calls fn whenever fd (a terminal) has something to read.  The descriptor's flags stay as they
 * are. HELIO_E_SYSTEM when fd cannot be waited for.  One at a time for one fd.
 */
HELIO_MUST_CHECK enum helio_err io_poll_new(struct io_poll **out, struct io_loop *loop, int fd,
                                            io_fn *fn, void *context);
void io_poll_free(struct io_poll *poll);

/* ------------------------------------------------------------------------------------ places -- */

enum { IO_HOST_SIZE = 256, IO_NAME_SIZE = 80 };

enum io_family { IO_FAMILY_ANY, IO_FAMILY_4, IO_FAMILY_6 };

/* HOST:PORT as a person writes it; host is "" when none was given.  Or a Unix socket's path. */
struct io_place {
    char host[IO_HOST_SIZE];
    uint16_t port;
    bool local; /* host is the path of a Unix socket */
};

/*
 * Takes HOST:PORT, [IPV6]:PORT and, unless need_host, PORT or :PORT.  Returns NULL, or what is
 * wrong with the text, in words.  Port 0 is fine only without need_host.
 */
const char *io_place_parse(struct io_place *out, const char *text, bool need_host);
/* The same for what may also be a Unix socket: /PATH, or unix:PATH.  For io_dial_new only. */
const char *io_place_parse_target(struct io_place *out, const char *text);
/* HOST:PORT again, in brackets where needed; a Unix socket as its path. */
void io_place_format(const struct io_place *place, char *out, size_t cap);

/*
 * An address of this machine by which others may reach it, or "localhost" when it has none; for the
 * hint that a listener prints.
 */
void io_own_address(enum io_family family, char out[IO_HOST_SIZE]);

/* Why there is no connection. */
enum io_fault {
    IO_FAULT_NONE,
    IO_FAULT_NO_HOST,     /* the name means nothing, or nothing in the family asked for */
    IO_FAULT_NO_SOCKET,   /* nothing has the path of the Unix socket */
    IO_FAULT_REFUSED,     /* nobody listens there */
    IO_FAULT_TIMED_OUT,   /* no answer */
    IO_FAULT_UNREACHABLE, /* no way there */
    IO_FAULT_IN_USE,      /* listen: the port is taken */
    IO_FAULT_NOT_HERE,    /* listen: the address is not this machine's */
    IO_FAULT_NOT_ALLOWED, /* listen: a port of the superuser's; a Unix socket of somebody else's */
    IO_FAULT_SYSTEM,      /* something local: memory, descriptors */
    IO_FAULT_COUNT
};

struct io_report {
    enum io_fault fault;
    char detail[512]; /* each address that was tried and what became of it; "" when none was */
};

/* "connection refused" …; never NULL. */
const char *io_fault_text(enum io_fault fault);

/* ------------------------------------------------------------------------------- connections -- */

/* A TCP connection that no line has taken over yet. */
struct io_stream;

/* The other end's address and port, as text; good as long as the stream (or its line) is. */
const char *io_stream_name(const struct io_stream *stream);
void io_stream_free(struct io_stream *stream);
/* The bare descriptor, non-blocking, the caller's from now on; the stream is freed.  -1: none. */
int io_stream_release(struct io_stream *stream);

/*
 * For sockets, whoever's they are.  Small pieces go out at once, and a peer that has died is noticed;
 * a Unix socket needs neither.
 */
void io_tune(int fd);
/* Whether closing fd resets its connection, as opposed to an end that would pass for an end. */
void io_reset_at_close(int fd, bool reset);

/* Where a connection comes from, for counting: an IPv6 address, or an IPv4 one mapped into it. */
struct io_source {
    uint8_t address[16];
};

/* A connection that was accepted and belongs to no loop yet: it may go to another thread's. */
struct io_caller {
    int fd;
    struct io_source source;
    char name[IO_NAME_SIZE];
};

/* Takes caller's descriptor over, also on failure. */
HELIO_MUST_CHECK enum helio_err io_stream_adopt(struct io_stream **out, struct io_loop *loop,
                                                const struct io_caller *caller);

struct io_dial;
/* Exactly one of the two is told: stream (now the callee's), or NULL and why. */
typedef void io_dial_fn(void *context, struct io_stream *stream, const struct io_report *report);

/*
 * Looks the host up and tries every address, in the system's order; the next one gets its chance
 * when one has failed or a quarter of a second has passed, and the first to answer wins (RFC 8305,
 * the simple part).  All of it together may take timeout milliseconds.
 */
HELIO_MUST_CHECK enum helio_err io_dial_new(struct io_dial **out, struct io_loop *loop,
                                            const struct io_place *place, enum io_family family,
                                            uint64_t timeout, io_dial_fn *fn, void *context);
/* Before or after fn was called; before: gives up without a call. */
void io_dial_free(struct io_dial *dial);

struct io_listener;
/* The descriptor is the callee's.  caller is good during the call. */
typedef void io_accept_fn(void *context, const struct io_caller *caller);

/*
 * Listens on every address of the host, for localhost on both loopback addresses; without a host on
 * all of this machine's, both families: a port that somebody else has on one of them is in use.  With port 0 the system chooses one.  On
 * failure *out is NULL and report says why.
 *
 * One turn of the loop accepts a bounded number, so that a crowd at the door does not keep those
 * inside waiting.  Without descriptors left it rests for a moment and tries again.
 */
HELIO_MUST_CHECK enum helio_err io_listener_new(struct io_listener **out, struct io_loop *loop,
                                                const struct io_place *place, enum io_family family,
                                                io_accept_fn *fn, void *context,
                                                struct io_report *report);
/* The same with sockets that listen already (somebody opened them for us); takes them over. */
HELIO_MUST_CHECK enum helio_err io_listener_adopt(struct io_listener **out, struct io_loop *loop,
                                                  const int *fds, size_t n, io_accept_fn *fn,
                                                  void *context);
uint16_t io_listener_port(const struct io_listener *listener);
void io_listener_free(struct io_listener *listener);

/* -------------------------------------------------------------------------------------- line -- */

/*
 * What a handshake costs, RSA above all, runs on other threads with a lower priority, a few for the
 * whole process; the loop goes on meanwhile.  Handlers run on the loop's thread, always; random and
 * trace of the session's config run where the session does, so that they must suit any thread.
 */
struct io_line;

/*
 * Bulk moves by the piece: as many bytes as one call of a system reads and one writes, and few enough
 * to stay in a processor's cache on their way.  A piece is two records, each of which makes a frame
 * that is one segment where segments are longest (an MTU of 64 KiB: the loopback), and not a long one
 * and a short one.
 */
enum { IO_RECORD = 127 * 512, IO_PIECE = 2 * IO_RECORD };

struct io_line_handlers {
    /*
     * Whatever helio_session_next gives.  HELIO_EVENT_PEER is to be answered before this returns,
     * with io_line_trust, io_line_wait or io_line_refuse.
     */
    void (*event)(void *context, struct io_line *line, const helio_event *event);
    /* After io_line_send said HELIO_E_AGAIN, or io_line_blocked true: there is room. */
    void (*writable)(void *context, struct io_line *line);
    /*
     * The connection is gone, all that could be sent was sent; called once, never from inside
     * another io_line call.  HELIO_OK: both directions were closed in order.  The session may still
     * be asked until io_line_free.
     */
    void (*ended)(void *context, struct io_line *line, enum helio_err err);
};

/*
 * Takes stream over, also on failure.  The handshake may take handshake milliseconds until
 * HELIO_EVENT_PEER (responder) or the first answer to AUTH (initiator); after HELIO_EVENT_WAITING
 * there are HELIO_WAIT_SECONDS more.
 */
HELIO_MUST_CHECK enum helio_err io_line_new(struct io_line **out, struct io_loop *loop,
                                            struct io_stream *stream, const helio_config *config,
                                            helio_role role, uint64_t handshake,
                                            const struct io_line_handlers *handlers, void *context);
/* Only in or after ended. */
void io_line_free(struct io_line *line);

/*
 * For questions only (peer, suite, refusal, id), in an event or after ended; the peer whenever
 * HELIO_EVENT_PEER has come.  Between the events of a handshake another thread may have it.
 */
const helio_session *io_line_session(const struct io_line *line);
const char *io_line_name(const struct io_line *line);
/* Content bytes each way, and milliseconds: since HELIO_EVENT_OPEN, and from the beginning to it. */
struct io_line_account {
    uint64_t sent;
    uint64_t received;
    uint64_t duration;
    uint64_t handshake; /* 0 while it was never open */
};
struct io_line_account io_line_account(const struct io_line *line);

void io_line_trust(struct io_line *line);
void io_line_wait(struct io_line *line);
void io_line_refuse(struct io_line *line, helio_refusal why);
/*
 * As helio_session_send, but of HELIO_DATA it takes up to IO_PIECE bytes; after HELIO_E_AGAIN wait for
 * writable.  Other errors also come by ended.
 */
HELIO_MUST_CHECK enum helio_err io_line_send(struct io_line *line, const uint8_t *data, size_t n,
                                             helio_content content);
/* True while sent bytes wait for the socket: stop the source until writable, which will be called. */
bool io_line_blocked(struct io_line *line);
/* Ends our direction; what the peer still sends keeps arriving. */
void io_line_close(struct io_line *line);
/* After HELIO_EVENT_CLOSED, once all that came is where it should be: tells the peer so. */
void io_line_confirm(struct io_line *line);
/* Gives up; the peer is told. */
void io_line_fail(struct io_line *line, enum helio_err why);
/*
 * Sends what is queued and ends the connection without waiting for the peer, and ended says
 * HELIO_OK: the only way to end a classic line, which has no close.
 */
void io_line_hang_up(struct io_line *line);
/* Ends the connection this instant; ended says HELIO_E_CUT unless the line had ended already. */
void io_line_drop(struct io_line *line);
/*
 * Back-pressure: stops reading from the socket.  What was read already still comes (less than 512
 * KiB).
 */
void io_line_pause(struct io_line *line);
void io_line_resume(struct io_line *line);

/* -------------------------------------------------------------------- standard input, output -- */

struct io_input;

struct io_input_handlers {
    /* At most IO_PIECE bytes.  False: not now; they are kept, and come again after
     * io_input_resume. */
    bool (*data)(void *context, const uint8_t *data, size_t n);
    /* Nothing comes any more: 0 at the end of input, else an errno. */
    void (*ended)(void *context, int error);
};

/*
 * Reads fd, whatever it is; begins paused.  A descriptor that others share keeps its flags where
 * that is possible (pipes and terminals are opened anew), and gets them back when it is not.
 * Reading a regular file may wait for its disk.
 */
HELIO_MUST_CHECK enum helio_err io_input_new(struct io_input **out, struct io_loop *loop, int fd,
                                             const struct io_input_handlers *handlers,
                                             void *context);
void io_input_resume(struct io_input *input);
void io_input_pause(struct io_input *input);
/*
 * The same for a pipe or a socket that is taken over, also on failure, and closed with the input.
 * Freed before its end it resets a TCP connection: what the other side still says arrives nowhere.
 */
HELIO_MUST_CHECK enum helio_err io_input_adopt(struct io_input **out, struct io_loop *loop, int fd,
                                               const struct io_input_handlers *handlers,
                                               void *context);
/* True when something has come that was not handed on yet. */
bool io_input_waiting(struct io_input *input);
void io_input_free(struct io_input *input);

struct io_output;

struct io_output_handlers {
    /* After a write that left something behind: all of it is out. */
    void (*drained)(void *context);
    /* A write failed later than in its call; nothing more is written. */
    void (*failed)(void *context, int error);
    /* After io_output_end: 0, or the errno of the last write or of the close. */
    void (*ended)(void *context, int error);
};

HELIO_MUST_CHECK enum helio_err io_output_new(struct io_output **out, struct io_loop *loop, int fd,
                                              const struct io_output_handlers *handlers,
                                              void *context);
/*
 * The same for a pipe or a socket that is taken over, also on failure.  Its end closes a pipe, and
 * shuts the sending half of a socket.  Freed before its end it resets a TCP connection, so that the
 * other side does not take what it has for all.
 */
HELIO_MUST_CHECK enum helio_err io_output_adopt(struct io_output **out, struct io_loop *loop,
                                                int fd, const struct io_output_handlers *handlers,
                                                void *context);
/*
 * Writes what the descriptor takes and keeps a copy of the rest.  0, or an errno; then it is over.
 */
HELIO_MUST_CHECK int io_output_write(struct io_output *output, const uint8_t *data, size_t n);
/* True while something is left behind: stop the source. */
bool io_output_blocked(const struct io_output *output);
/* Writes the rest, closes the descriptor (something harmless takes its place), and calls ended. */
void io_output_end(struct io_output *output);
void io_output_free(struct io_output *output);

/* ------------------------------------------------------------------------------------- relay -- */

/*
 * An open line joined with a pair of descriptors: what comes on one goes out on the other, each
 * direction ends on its own, and stops its source while its sink is full.  The line's direction is
 * closed when the input has ended; what the peer sent is confirmed when it has been written and the
 * output closed.
 *
 * The owner of the line hands its events on (DATA, MESSAGE, CLOSED), and its writable, and frees
 * the relay in or before the line's ended.
 */
struct io_relay;

/* None of them frees the relay; io_relay_new may call them, too. */
struct io_relay_handlers {
    /* The input is at its end; false: io_relay_close will be called when our direction may close. */
    bool (*input_ended)(void *context);
    /*
     * Reading (or writing) failed.  True: never mind, it counts as ended, what still comes is
     * thrown away and confirmed.  False: the relay fails the line, so that the peer hears of it.
     * Writing to a socket says EPIPE when the other side had closed before; any other error may
     * have taken from the input what that side still had to say.
     */
    bool (*failed)(void *context, bool writing, int error);
};

/*
 * Takes both descriptors over, also on failure: pipes, or one socket and its duplicate.  Begins at
 * once.
 */
HELIO_MUST_CHECK enum helio_err io_relay_new(struct io_relay **out, struct io_loop *loop,
                                             struct io_line *line, int in, int out_fd,
                                             const struct io_relay_handlers *handlers,
                                             void *context);
void io_relay_event(struct io_relay *relay, const helio_event *event);
void io_relay_writable(struct io_relay *relay);
/* Our direction may close: now, or when the input has ended; input_ended is not asked any more. */
void io_relay_close(struct io_relay *relay);
void io_relay_free(struct io_relay *relay);

/* ------------------------------------------------------------------------------------- child -- */

struct io_child;
/* signal is 0 when the program ended by itself, with status. */
typedef void io_child_fn(void *context, int status, int signal);

/*
 * Starts argv[0] (looked for in PATH) with this environment, in a session of its own, with a pipe
 * each for its stdin and stdout; stderr is ours.  *in is our end of its stdin, *out of its stdout:
 * the caller's to close.  HELIO_E_SYSTEM with errno when it cannot be started.
 */
HELIO_MUST_CHECK enum helio_err io_child_new(struct io_child **child, struct io_loop *loop,
                                             const char *const *argv, const char *const *env,
                                             int *in, int *out, io_child_fn *fn, void *context);
/* To the whole session of the child's; nothing when it has ended. */
void io_child_kill(struct io_child *child, int number);
/* fn is not called any more; a child that still runs is left to itself and reaped. */
void io_child_free(struct io_child *child);

#endif
