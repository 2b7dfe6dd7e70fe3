/*
 * verb_demo.c: two real stations on loopback, first helio/1, then classic, each step explained.
 *
 * What is real: the processes, the sockets, the keys, the verbs; every value shown was traced by one
 * of the two.  What is fixed: the order of the story and its words, which stand in tables.  A step
 * that did not happen, or that the two did not see alike, ends the story with a failure.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "demo/pair.h"
#include "cli/say.h"

enum { VALUE_MAX = 4096, HEX_SHOWN = 64 };

#define ALICE_SAYS "hi bob\n"
#define BOB_SAYS "hello alice\n"

/* Classic's stations take turns; alice begins. */
#define CLASSIC_ALICE "hi bob, it is me\n", "pay carol 100\n"
#define CLASSIC_BOB "good to hear you\n", "done\n"

/* ----------------------------------------------------------------------------------- telling -- */

enum style { PLAIN, TITLE, ALARM, FAINT, ALICE_STYLE, BOB_STYLE };

static const char *const styles[] = {
    [PLAIN] = "",        [TITLE] = "\033[1m",        [ALARM] = "\033[1;31m",
    [FAINT] = "\033[2m", [ALICE_STYLE] = "\033[36m", [BOB_STYLE] = "\033[32m",
};

static bool colour;

static void tell(enum style style, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void tell(enum style style, const char *format, ...)
{
    va_list args;

    if (colour)
        fputs(styles[style], stdout);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    fputs(colour && style != PLAIN ? "\033[0m\n" : "\n", stdout);
}

static void colour_learn(void)
{
    const char *term = getenv("TERM");
    const char *no_colour = getenv("NO_COLOR");

    colour = isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb") != 0 &&
             !(no_colour && *no_colour);
}

static void tell_title(enum style style, const char *title)
{
    char rule[79] = "";

    if (strlen(title) + 4 < sizeof rule)
        memset(rule, '=', sizeof rule - 1 - (strlen(title) + 4));
    putchar('\n');
    tell(style, "== %s %s", title, rule);
}

/* Text in rows of its own, each indented. */
static void tell_rows(enum style style, const char *indent, const char *text)
{
    while (*text) {
        size_t n = strcspn(text, "\n");

        tell(style, "%s%.*s", indent, (int)n, text);
        text += n + (text[n] == '\n');
    }
}

/* A long value without spaces, in rows that fit. */
static void tell_value(const char *indent, const char *value)
{
    enum { ROW = 70 };

    for (size_t n = strlen(value), at = 0; at < n; at += ROW)
        tell(FAINT, "%s%.*s", indent, ROW, value + at);
}

static bool failed(const char *what)
{
    say_error("demo", "the demonstration failed: %s", what);
    return false;
}

/* ----------------------------------------------------------------------------------- helio/1 -- */

/* One frame of the handshake, as both stations trace it: "LABEL sent", "LABEL received". */
static const struct frame_row {
    const char *label;
    bool from_alice;
    const char *title;
    const char *text;
} frame_rows[] = {
    {"hello", true, "HELLO",
     "Alice calls: the suites that she speaks, in her order, a random number, and\n"
     "her half of a fresh X25519 key exchange.  In the clear; it names nobody.\n"},
    {"reply", false, "REPLY",
     "Bob takes the first suite that he speaks, too, and sends his half.  From here\n"
     "on both can compute the same keys, and nobody who only listens can.  The rest\n"
     "is sealed with them: his RSA key, and his signature over all that was said so\n"
     "far, so that nobody in between can have changed any of it.\n"},
    {"auth", true, "AUTH",
     "Alice knows that key: it is Bob.  Now hers, sealed, too: her RSA key, her\n"
     "signature over everything up to here, her name and what she wants.  Who only\n"
     "listens learns neither; the padding hides how long they are.\n"},
    {"accept", false, "ACCEPT",
     "Bob knows her key as well, and says so.  Only now do the programs say\n"
     "\"connected\": not before both have accepted.\n"},
};

/* A frame begins with its type and the length of what follows, three bytes (protocol.md 2). */
static unsigned long frame_size(const char *hex)
{
    char length[7] = "";

    if (strlen(hex) < 8)
        return 0;
    memcpy(length, hex + 2, 6);
    return 4 + strtoul(length, NULL, 16);
}

static bool tell_frame(const struct demo *demo, unsigned number, const struct frame_row *row)
{
    const struct demo_station *from = row->from_alice ? &demo->alice : &demo->bob;
    const struct demo_station *to = row->from_alice ? &demo->bob : &demo->alice;
    char label[32], sent[VALUE_MAX], received[VALUE_MAX];

    snprintf(label, sizeof label, "%s sent", row->label);
    bool good = demo_step(from, label, 0, sent, sizeof sent);
    snprintf(label, sizeof label, "%s received", row->label);
    good = good && demo_step(to, label, 0, received, sizeof received);
    if (!good || strcmp(sent, received) != 0)
        return failed(row->title);
    putchar('\n');
    tell(row->from_alice ? ALICE_STYLE : BOB_STYLE, "%u. %-7s %s -> %s, %lu bytes", number,
         row->title, from->name, to->name, frame_size(sent));
    tell_rows(PLAIN, "   ", row->text);
    tell(FAINT, "   %.*s%s", HEX_SHOWN, sent, strlen(sent) > HEX_SHOWN ? "..." : "");
    return true;
}

/* What each learned about the other must be what the other is. */
static bool met(const struct demo_station *station, const struct demo_station *other)
{
    const char *open = demo_event(station, "open");
    char fingerprint[HELIO_FINGERPRINT_TEXT];

    return open && demo_field(open, "fingerprint", fingerprint, sizeof fingerprint) &&
           strcmp(fingerprint, other->fingerprint) == 0;
}

static bool tell_open(const struct demo *demo)
{
    char ours[VALUE_MAX], theirs[VALUE_MAX], suite[64], exchange[64];
    const char *open = demo_event(&demo->alice, "open");

    if (!demo_step(&demo->alice, "session id", 0, ours, sizeof ours) ||
        !demo_step(&demo->bob, "session id", 0, theirs, sizeof theirs) || strcmp(ours, theirs) != 0)
        return failed("the session id");
    if (!met(&demo->alice, &demo->bob) || !met(&demo->bob, &demo->alice) ||
        !demo_field(open, "suite", suite, sizeof suite) ||
        !demo_field(open, "exchange", exchange, sizeof exchange))
        return failed("who met whom");
    putchar('\n');
    tell(TITLE, "The line is open.");
    tell(PLAIN, "   suite         %s, key exchange %s", suite, exchange);
    tell(PLAIN, "   session id    %.32s...", ours);
    tell(PLAIN, "                 the same on both sides; public, for comparing");
    tell(ALICE_STYLE, "   alice sees    bob    %s", demo->bob.fingerprint);
    tell(BOB_STYLE, "   bob sees      alice  %s", demo->alice.fingerprint);
    return true;
}

static bool tell_helio1_words(const struct demo *demo)
{
    char sent[16], received[16];
    const char *close = demo_event(&demo->alice, "close");

    if (strcmp(demo->bob.out.bytes, ALICE_SAYS) != 0 ||
        strcmp(demo->alice.out.bytes, BOB_SAYS) != 0)
        return failed("what was said is not what was heard");
    if (!close || !demo_field(close, "sent", sent, sizeof sent) ||
        !demo_field(close, "received", received, sizeof received))
        return failed("the close");
    putchar('\n');
    tell(ALICE_STYLE, "   alice's stdin -> bob's stdout:  %.*s", (int)strcspn(ALICE_SAYS, "\n"),
         demo->bob.out.bytes);
    tell(BOB_STYLE, "   bob's stdin -> alice's stdout:  %.*s", (int)strcspn(BOB_SAYS, "\n"),
         demo->alice.out.bytes);
    tell_rows(PLAIN, "   ",
              "Each in a record, encrypted and with a tag: what was altered, repeated, left\n"
              "out or turned around is noticed before a byte of it is used.  Each direction\n"
              "has keys of its own, and new ones after every 1 MiB (an epoch).\n");
    putchar('\n');
    tell(TITLE, "Both said goodbye, authenticated, and ended with status 0.");
    tell(PLAIN, "   alice sent %s bytes and received %s.  A line that is cut instead ends", sent,
         received);
    tell(PLAIN, "   with status 5, and a station that is not trusted with status 4.");
    return true;
}

static bool tell_helio1(struct demo *demo)
{
    tell_title(TITLE, "helio/1");
    demo->alice.input = ALICE_SAYS;
    demo->alice.input_n = strlen(ALICE_SAYS);
    demo->bob.input = BOB_SAYS;
    demo->bob.input_n = strlen(BOB_SAYS);
    if (!demo_talk(demo, (const char *const[]){NULL}))
        return false;
    tell(BOB_STYLE, "bob runs      helio listen 127.0.0.1:0");
    tell(ALICE_STYLE, "alice runs    helio connect 127.0.0.1:%s", demo->port);
    for (unsigned i = 0; i < sizeof frame_rows / sizeof *frame_rows; i++)
        if (!tell_frame(demo, i + 1, &frame_rows[i]))
            return false;
    return tell_open(demo) && tell_helio1_words(demo);
}

/* ----------------------------------------------------------------------------------- classic -- */

/* A step that both stations trace with the same label and the same value. */
static const struct classic_row {
    const char *label;
    const char *title;
    bool secret;
    const char *before;
    const char *after;
} classic_rows[] = {
    {"public key", "alice -> bob: a public key", false,
     "RSA, 1024 bits, made for this one connection; it belongs to nobody.\n",
     "Whoever is on the way can put his own in its place, towards both.\n"},
    {"public key hash", "alice -> bob: its SHA-1", false, "The text calls this a check.\n",
     "It came over the same wire as the key: whoever replaces the one replaces the\n"
     "other, and nobody notices.\n"},
    {"encrypted key", "bob -> alice: a key, encrypted with hers", false,
     "RSA without padding, as Python 2 prints a tuple.  The original's client\n"
     "calls eval() on this: whoever can send it anything runs code on it.\n",
     ""},
    {"session key", "on both sides: the session key", true,
     "SECRET.  The original prints it on the screen, so classic shows it here:\n",
     "Whoever sees it reads everything.  Its first 16 characters are the IDEA key:\n"
     "hex digits, so 64 bits of key and not 128.  Helio/1 never shows a key.\n"},
};

static bool tell_classic_step(const struct demo *demo, unsigned number,
                              const struct classic_row *row)
{
    char ours[VALUE_MAX], theirs[VALUE_MAX];

    if (!demo_step(&demo->alice, row->label, 0, ours, sizeof ours) ||
        !demo_step(&demo->bob, row->label, 0, theirs, sizeof theirs) || strcmp(ours, theirs) != 0)
        return failed(row->label);
    putchar('\n');
    tell(row->secret ? ALARM : TITLE, "%u. %s", number, row->title);
    tell_rows(PLAIN, "   ", row->before);
    for (char *at = ours, *line; (line = strsep(&at, "\n"));)
        tell_value("      ", line);
    tell_rows(PLAIN, "   ", row->after);
    return true;
}

struct spoken {
    bool from_alice;
    unsigned nth; /* of those that the speaker sends */
    const char *text;
};

/* The way a message stands in the clear: a client puts its name before it. */
static const struct spoken spoken[] = {
    {true, 0, "alice : hi bob, it is me"},
    {false, 0, "good to hear you"},
    {true, 1, "alice : pay carol 100"},
    {false, 1, "done"},
};

static bool ciphertext_of(const struct demo *demo, const struct spoken *s, char *hex, size_t cap)
{
    const struct demo_station *from = s->from_alice ? &demo->alice : &demo->bob;

    return demo_step(from, "ciphertext sent", s->nth, hex, cap);
}

/* text is one of the rows of what a station wrote to its stdout. */
static bool was_heard(const struct demo_station *station, const char *text)
{
    size_t n = strlen(text);

    for (const char *row = station->out.bytes; *row; row += strcspn(row, "\n") + 1) {
        if (strncmp(row, text, n) == 0 && row[n] == '\n')
            return true;
        if (!row[strcspn(row, "\n")])
            break;
    }
    return false;
}

static bool tell_classic_words(const struct demo *demo)
{
    char hex[VALUE_MAX];

    putchar('\n');
    tell(TITLE, "5. what is said: IDEA in counter mode, as hex");
    for (size_t i = 0; i < sizeof spoken / sizeof *spoken; i++) {
        const struct spoken *s = &spoken[i];

        if (!was_heard(s->from_alice ? &demo->bob : &demo->alice, s->text) ||
            !ciphertext_of(demo, s, hex, sizeof hex))
            return failed("what was said is not what was heard");
        tell(s->from_alice ? ALICE_STYLE : BOB_STYLE, "   %-14s %s",
             s->from_alice ? "alice -> bob" : "bob -> alice", s->text);
        tell(FAINT, "   on the wire    %s", hex);
    }
    return true;
}

static unsigned byte_at(const char *hex, size_t i)
{
    const char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

    return (unsigned)strtoul(pair, NULL, 16);
}

/*
 * What the counter that never counts is worth: the first message, known or guessed, gives the 16
 * bytes of keystream that all others are encrypted with, over and over.
 */
static bool tell_classic_attack(const struct demo *demo)
{
    enum { STREAM = 16 };
    const struct spoken *known = &spoken[0], *wanted = &spoken[2];
    char first[VALUE_MAX], second[VALUE_MAX], text[VALUE_MAX] = "";

    if (!ciphertext_of(demo, known, first, sizeof first) ||
        !ciphertext_of(demo, wanted, second, sizeof second))
        return failed("the ciphertexts");
    for (size_t i = 0; 2 * i < strlen(second); i++) {
        unsigned stream = byte_at(first, i % STREAM) ^ (unsigned char)known->text[i % STREAM];

        text[i] = (char)(byte_at(second, i) ^ stream);
    }
    if (strcmp(text, wanted->text) != 0)
        return failed("the attack on classic did not work");
    putchar('\n');
    tell(ALARM, "6. what an eavesdropper makes of it, from the wire alone");
    tell_rows(PLAIN, "   ",
              "Every message, either way, is encrypted with the same 16 bytes, repeated.\n"
              "Who knows or guesses the first message XORs it with what was on the wire,\n"
              "has those 16 bytes, and needs no key.  Done just now with the third:\n");
    tell(ALARM, "      %s", text);
    tell_rows(PLAIN, "   ",
              "Changing 100 into 999 on the way works as easily; nothing would notice.\n"
              "docs/classic.md lists each way in which classic is broken.\n");
    return true;
}

static bool tell_classic(struct demo *demo)
{
    static const char *const alice_lines[] = {CLASSIC_ALICE}, *const bob_lines[] = {CLASSIC_BOB};
    char alice[64], bob[64], warning[VALUE_MAX];

    tell_title(ALARM, "classic: INSECURE, only to talk to the program of the old text");
    snprintf(alice, sizeof alice, "%s%s", alice_lines[0], alice_lines[1]);
    snprintf(bob, sizeof bob, "%s%s", bob_lines[0], bob_lines[1]);
    demo->alice.input = alice;
    demo->alice.input_n = strlen(alice);
    demo->bob.input = bob;
    demo->bob.input_n = strlen(bob);
    if (!demo_talk(demo, (const char *const[]){"--classic", NULL}))
        return false;
    const char *insecure = demo_event(&demo->alice, "insecure");
    if (!insecure || !demo_field(insecure, "message", warning, sizeof warning))
        return failed("classic did not warn");
    tell(BOB_STYLE, "bob runs      helio listen --classic 127.0.0.1:0");
    tell(ALICE_STYLE, "alice runs    helio connect --classic 127.0.0.1:%s", demo->port);
    tell(PLAIN, "both are told:");
    tell_rows(ALARM, "", warning);
    for (unsigned i = 0; i < sizeof classic_rows / sizeof *classic_rows; i++)
        if (!tell_classic_step(demo, i + 1, &classic_rows[i]))
            return false;
    return tell_classic_words(demo) && tell_classic_attack(demo);
}

/* -------------------------------------------------------------------------------------- both -- */

static void tell_beginning(const struct demo *demo)
{
    tell(TITLE, "Heliograph %s: two stations on this machine, as two processes on loopback.",
         helio_version());
    tell_rows(PLAIN, "",
              "Real keys, real sockets, this same program; what you see, the two traced.\n\n"
              "Each has made a key (helio keygen) and was told the other's fingerprint, as\n"
              "two operators would read it out to each other (helio trust add NAME ...):\n");
    tell(ALICE_STYLE, "   alice  %s", demo->alice.fingerprint);
    tell(BOB_STYLE, "   bob    %s", demo->bob.fingerprint);
}

int verb_demo(struct options *options, int argc, char **argv)
{
    struct demo *demo = malloc(sizeof *demo);
    bool good;

    (void)options;
    (void)argc;
    (void)argv;
    if (!demo) {
        say_error("demo", "out of memory");
        return STATUS_LOCAL;
    }
    colour_learn();
    good = demo_begin(demo);
    if (good)
        tell_beginning(demo);
    good = good && tell_helio1(demo) && tell_classic(demo);
    demo_clear(demo);
    free(demo);
    if (good) {
        putchar('\n');
        tell(TITLE, "Both lines worked.  To use it: helio listen 4000, and on the other machine");
        tell(TITLE, "what it prints.");
    }
    return good ? STATUS_DONE : STATUS_LOCAL;
}
