/*
 * helio.c: main, and the table of verbs.
 *
 * main makes the process safe to hold keys in (no core dumps, no debugger of the same user), makes
 * sure that the three standard descriptors exist, hands over to the verb, and reports what only
 * turns up at the end: that stdout did not take what was written.
 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/say.h"

static const struct verb verbs[] = {
    {"keygen", VERB_KEYGEN, "[FILE]", "make a new identity",
     "Makes an RSA key, writes it to FILE (default: identity.pem in HELIO_HOME) and prints its\n"
     "fingerprint.  A file that is there is never overwritten.\n",
     0, 1, verb_keygen},
    {"id", VERB_ID, "", "print our own fingerprint",
     "Prints the fingerprint of our identity: what other stations know us by.\n", 0, 0, verb_id},
    {"trust", VERB_TRUST, "[list|add|remove] ...", "show or change the known stations",
     "  helio trust [list]                 the known stations, one NAME FINGERPRINT a line\n"
     "  helio trust add NAME FINGERPRINT   know a station by that name\n"
     "  helio trust remove NAME            forget it\n",
     0, 3, verb_trust},
    {"listen", VERB_LISTEN, "[HOST:]PORT", "wait for one station, talk, leave",
     "Waits for a station to call, talks to it, and leaves with the status of the line.  At a\n"
     "terminal this is a chat; with stdin or stdout redirected it is a pipe.  Port 0 takes any\n"
     "free port.  The command for the other side is printed.\n",
     1, 1, verb_listen},
    {"connect", VERB_CONNECT, "HOST:PORT", "call a station",
     "Calls a station that listens, talks to it, and leaves with the status of the line.  At a\n"
     "terminal this is a chat; with stdin or stdout redirected it is a pipe.  An IPv6 address\n"
     "goes in brackets: [::1]:4000.\n",
     1, 1, verb_connect},
    {"serve", VERB_SERVE, "[HOST:]PORT", "serve many stations at once",
     "Serves every station on the roll that calls, many at a time, each with one of:\n"
     "  --echo                what it sends comes back\n"
     "  --exec CMD            a process of its own, run by sh -c\n"
     "  --forward HOST:PORT   a connection of its own to there\n"
     "  --room                a chat room of all\n"
     "On the roll are the known stations, or with --allow FILE the ones in FILE and no others;\n"
     "SIGHUP has it read again.  SIGTERM stops in order.  The port may be left out when systemd\n"
     "hands the socket over.\n",
     0, 1, verb_serve},
    {"forward", VERB_FORWARD, "[HOST:]PORT STATION:PORT", "bring a local port to a station",
     "Each connection to the local port comes out at the station's helio serve --forward, on\n"
     "a line of its own.  Without a HOST only this machine reaches the port; *:PORT opens it\n"
     "to all.  While the station cannot be reached connections wait, for 30 seconds unless\n"
     "--timeout says otherwise, and are reset when it stays away.  A connection whose line was\n"
     "cut is reset, never just ended.\n",
     2, 2, verb_forward},
    {"bench", VERB_BENCH, "[idea|seal|handshake|pipe]", "how fast this machine is",
     "  helio bench idea        IDEA in counter mode, by kernel and length\n"
     "  helio bench seal        records of 64 KiB, sealed and opened, by suite\n"
     "  helio bench handshake   handshakes with RSA-3072 on both sides, by role\n"
     "  helio bench pipe        records of 64 KiB from end to end through a socket, by suite\n"
     "Without an argument: all of them.  One processor.\n",
     0, 1, verb_bench},
    {"demo", VERB_DEMO, "", "watch two stations talk, each step explained",
     "Runs two stations as two processes on this machine, first with helio/1, then with classic,\n"
     "and shows what each step of the handshake is for.  Uses a directory of its own, which it\n"
     "removes; our identity and known stations are not touched.\n",
     0, 0, verb_demo},
};

/*
 * A closed standard descriptor would be given to the next file opened, and messages would be
 * written into it.  So each gets a file that behaves as a closed one should: no input, failing
 * output.
 */
static void keep_standard_descriptors(void)
{
    static const int flags[] = {O_RDONLY, O_RDONLY, O_WRONLY};

    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", flags[fd]) != fd)
            _exit(STATUS_LOCAL);
}

static void keep_secrets_in(void)
{
    static const struct rlimit none = {0, 0};

    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
}

/* A full disk may show only now. */
static int finish(int status)
{
    int error = ferror(stdout) ? EIO : 0;

    if (fflush(stdout) != 0 || (close(STDOUT_FILENO) != 0 && errno != EBADF && errno != EINTR))
        error = errno;
    if (!error)
        return status;
    say_error("stdout", "cannot write to stdout: %s", strerror(error));
    return status == STATUS_DONE ? STATUS_LOCAL : status;
}

/* HELIO_IDEA_KERNEL takes away the faster kernels of IDEA; it cannot add any. */
static bool limit_kernel(void)
{
    const char *name = getenv("HELIO_IDEA_KERNEL");

    if (!name || !*name || helio_idea_limit(name) == HELIO_OK)
        return true;
    say_error("usage",
              "HELIO_IDEA_KERNEL: this program has no kernel \"%.64s\"\n"
              "Give avx512bw, avx2, sse2, neon or portable, or leave it unset.",
              name);
    return false;
}

int main(int argc, char **argv)
{
    static struct options options;
    const struct verb *verb = NULL;
    int first = 0;

    keep_standard_descriptors();
    keep_secrets_in();
    signal(SIGPIPE, SIG_IGN);
    setlocale(LC_CTYPE, "");
    int status = STATUS_USAGE;
    if (limit_kernel())
        status =
            options_parse(&options, argc, argv, verbs, sizeof verbs / sizeof *verbs, &verb, &first);
    if (status < 0)
        status = verb->run(&options, argc - first, argv + first);
    options_clear(&options);
    return finish(status);
}
