#include "demo/pair.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/say.h"

/* A line with both ends on this machine is done in a second; a machine may be busy. */
enum { DEADLINE_SECONDS = 60, TICK_MS = 100 };

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    interrupted = number;
}

/* ------------------------------------------------------------------------------ the children -- */

/* The parent's environment, without what would lead the child to another station's files. */
static char **environment_of(const struct demo_station *station, char home[DEMO_HOME_MAX + 16])
{
    size_t n = 0, kept = 0;

    while (environ[n])
        n++;
    char **env = calloc(n + 2, sizeof *env);
    if (!env)
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], "HELIO_", 6) != 0)
            env[kept++] = environ[i];
    snprintf(home, DEMO_HOME_MAX + 16, "HELIO_HOME=%s", station->home);
    env[kept] = home;
    return env;
}

static void pipe_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* The child's end of each pipe, which this closes, becomes its descriptor 0, 1, 2. */
static int spawn(struct demo_station *station, const char *const *args, int theirs[3])
{
    char home[DEMO_HOME_MAX + 16];
    char **env = environment_of(station, home);
    posix_spawn_file_actions_t actions;
    /* posix_spawn does not write to them (POSIX: "constants"). */
    union {
        const char *const *in;
        char *const *out;
    } argv = {.in = args};
    int error = env ? posix_spawn_file_actions_init(&actions) : ENOMEM;

    if (!error) {
        for (int fd = 0; fd < 3 && !error; fd++)
            error = posix_spawn_file_actions_adddup2(&actions, theirs[fd], fd);
        if (!error)
            error = posix_spawn(&station->pid, "/proc/self/exe", &actions, NULL, argv.out, env);
        posix_spawn_file_actions_destroy(&actions);
    }
    free(env);
    return error;
}

static bool child_start(struct demo_station *station, const char *const *args)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
    int error = 0;

    station->out.n = station->err.n = 0;
    station->out.bytes[0] = station->err.bytes[0] = '\0';
    station->status = -1;
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
        error = errno;
    if (!error)
        error = spawn(station, args, (int[]){in[0], out[1], err[1]});
    pipe_close(&in[0]);
    pipe_close(&out[1]);
    pipe_close(&err[1]);
    station->in = in[1];
    station->out.fd = out[0];
    station->err.fd = err[0];
    if (!error)
        return true;
    station->pid = 0;
    say_error("demo", "cannot start a process for %s: %s", station->name, strerror(error));
    return false;
}

static void output_read(struct demo_output *output)
{
    size_t room = sizeof output->bytes - 1 - output->n;
    ssize_t n = room > 0 ? read(output->fd, output->bytes + output->n, room) : 0;

    if (n < 0 && errno == EINTR)
        return;
    if (n <= 0)
        pipe_close(&output->fd);
    else
        output->n += (size_t)n;
    output->bytes[output->n] = '\0';
}

static void input_write(struct demo_station *station)
{
    ssize_t n = station->input_n ? write(station->in, station->input, station->input_n) : 0;

    if (n > 0) {
        station->input += n;
        station->input_n -= (size_t)n;
    }
    if (station->input_n == 0 || (n < 0 && errno != EINTR))
        pipe_close(&station->in);
}

/* All has been read that it will ever write: it ends now, or has. */
static void child_reap(struct demo_station *station)
{
    int status = 0;

    while (waitpid(station->pid, &status, 0) < 0 && errno == EINTR)
        if (interrupted)
            kill(station->pid, SIGKILL);
    station->pid = 0;
    station->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void child_end(struct demo_station *station)
{
    pipe_close(&station->in);
    pipe_close(&station->out.fd);
    pipe_close(&station->err.fd);
    if (station->pid > 0) {
        kill(station->pid, SIGKILL);
        child_reap(station);
    }
}

/* Moves what there is to move for one child; returns how many of its outputs are open. */
static unsigned child_serve(struct demo_station *station, const struct pollfd fds[3])
{
    if (station->in >= 0 && fds[0].revents)
        input_write(station);
    if (station->out.fd >= 0 && fds[1].revents)
        output_read(&station->out);
    if (station->err.fd >= 0 && fds[2].revents)
        output_read(&station->err);
    return (station->out.fd >= 0 ? 1u : 0u) + (station->err.fd >= 0 ? 1u : 0u);
}

static unsigned children_serve(struct demo_station *const *stations, size_t count)
{
    struct pollfd fds[2 * 3];
    unsigned open = 0;

    for (size_t i = 0; i < count; i++) {
        const struct demo_station *s = stations[i];

        fds[3 * i] = (struct pollfd){.fd = s->in, .events = POLLOUT};
        fds[3 * i + 1] = (struct pollfd){.fd = s->out.fd, .events = POLLIN};
        fds[3 * i + 2] = (struct pollfd){.fd = s->err.fd, .events = POLLIN};
    }
    if (poll(fds, 3 * count, TICK_MS) < 0)
        return 1; /* a signal: the caller looks */
    for (size_t i = 0; i < count; i++)
        open += child_serve(stations[i], fds + 3 * i);
    return open;
}

static time_t deadline(void)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + DEADLINE_SECONDS;
}

static bool in_time(time_t end)
{
    if (interrupted || deadline() - DEADLINE_SECONDS >= end) {
        say_error("demo", interrupted ? "interrupted" : "the stations took too long");
        return false;
    }
    return true;
}

/* Says how a child failed, in its own words. */
static void child_blame(const struct demo_station *station)
{
    char level[16], message[1024];

    say_error("demo", "%s's process ended with status %d", station->name, station->status);
    for (const char *line = station->err.bytes; *line; line += strcspn(line, "\n") + 1) {
        if (demo_field(line, "level", level, sizeof level) && strcmp(level, "error") == 0 &&
            demo_field(line, "message", message, sizeof message))
            say_error("demo", "%s said: %s", station->name, message);
        if (!line[strcspn(line, "\n")])
            break;
    }
}

static bool children_wait(struct demo_station *const *stations, size_t count)
{
    time_t end = deadline();
    bool good = true;

    while (children_serve(stations, count) > 0)
        if (!in_time(end))
            return false;
    for (size_t i = 0; i < count; i++) {
        child_reap(stations[i]);
        if (stations[i]->status != 0) {
            child_blame(stations[i]);
            good = false;
        }
    }
    return good;
}

/* Runs one command of a station to its end. */
static bool run(struct demo_station *station, const char *const *args)
{
    station->input_n = 0;
    return child_start(station, args) && children_wait(&station, 1);
}

/* -------------------------------------------------------------------------- the two stations -- */

static bool station_new(struct demo *demo, struct demo_station *station, const char *name)
{
    station->name = name;
    snprintf(station->home, sizeof station->home, "%s/%s", demo->directory, name);
    if (!run(station, (const char *const[]){"helio", "--log", "json", "keygen", NULL}))
        return false;
    station->out.bytes[strcspn(station->out.bytes, "\n")] = '\0';
    snprintf(station->fingerprint, sizeof station->fingerprint, "%.*s", HELIO_FINGERPRINT_TEXT - 1,
             station->out.bytes);
    return true;
}

static bool trust(struct demo_station *station, const struct demo_station *other)
{
    return run(station, (const char *const[]){"helio", "--log", "json", "trust", "add", other->name,
                                              other->fingerprint, NULL});
}

static void signals_take(void)
{
    static const int taken[] = {SIGINT, SIGTERM, SIGHUP};

    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        sigaction(taken[i], &(struct sigaction){.sa_handler = on_signal}, NULL);
}

bool demo_begin(struct demo *demo)
{
    const char *parent = getenv("TMPDIR");
    int n;

    *demo = (struct demo){.alice = {.in = -1, .out.fd = -1, .err.fd = -1},
                          .bob = {.in = -1, .out.fd = -1, .err.fd = -1}};
    signals_take();
    n = snprintf(demo->directory, sizeof demo->directory, "%s/helio-demo-XXXXXX",
                 parent && *parent ? parent : "/tmp");
    if (n < 0 || (size_t)n >= sizeof demo->directory || !mkdtemp(demo->directory)) {
        say_error("demo", "cannot make a directory in %s: %s", parent && *parent ? parent : "/tmp",
                  strerror(n < 0 || (size_t)n >= sizeof demo->directory ? ENAMETOOLONG : errno));
        demo->directory[0] = '\0';
        return false;
    }
    return station_new(demo, &demo->alice, "alice") && station_new(demo, &demo->bob, "bob") &&
           trust(&demo->alice, &demo->bob) && trust(&demo->bob, &demo->alice);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

void demo_clear(struct demo *demo)
{
    child_end(&demo->alice);
    child_end(&demo->bob);
    if (*demo->directory && nftw(demo->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS) != 0)
        say_error("demo", "cannot remove %s: %s", demo->directory, strerror(errno));
    demo->directory[0] = '\0';
}

/* ---------------------------------------------------------------------------------- the line -- */

static void args_fill(const char *args[DEMO_ARGS_MAX], const char *verb, const char *place,
                      const char *name, const char *const *extra)
{
    const char *const common[] = {"helio", verb, "-v", "--log", "json", "--name", name, place};
    size_t n = 0;

    for (; n < sizeof common / sizeof *common; n++)
        args[n] = common[n];
    while (*extra && n < DEMO_ARGS_MAX - 1)
        args[n++] = *extra++;
    args[n] = NULL;
}

/* Waits until bob says on which port he listens. */
static bool port_wait(struct demo_station *bob, char *port, size_t cap)
{
    time_t end = deadline();
    const char *line;

    while (!(line = demo_event(bob, "listening"))) {
        if (!in_time(end))
            return false;
        if (children_serve((struct demo_station *const[]){bob}, 1) == 0) {
            child_reap(bob);
            child_blame(bob);
            return false;
        }
    }
    return demo_field(line, "port", port, cap);
}

bool demo_talk(struct demo *demo, const char *const *extra)
{
    const char *args[DEMO_ARGS_MAX];
    char place[32];

    args_fill(args, "listen", "127.0.0.1:0", "bob", extra);
    if (!child_start(&demo->bob, args) || !port_wait(&demo->bob, demo->port, sizeof demo->port))
        return false;
    snprintf(place, sizeof place, "127.0.0.1:%s", demo->port);
    args_fill(args, "connect", place, "alice", extra);
    return child_start(&demo->alice, args) &&
           children_wait((struct demo_station *const[]){&demo->alice, &demo->bob}, 2);
}

/* ------------------------------------------------------------------------------------ events -- */

/*
 * The log is JSON that this program wrote (say.h), one object a line.  In it a quote inside a value
 * always has a backslash before it, so that ,"key": stands for nothing but a key.
 */
static const char *field_find(const char *line, const char *key)
{
    char wanted[32];
    size_t length = strcspn(line, "\n");

    snprintf(wanted, sizeof wanted, ",\"%s\":", key);
    const char *found = strstr(line, wanted);
    return found && found < line + length ? found + strlen(wanted) : NULL;
}

static size_t escape_decode(const char *at, char *out)
{
    if (*at == 'n' || *at == '"' || *at == '\\') {
        *out = *at == 'n' ? '\n' : *at;
        return 1;
    }
    *out = '?'; /* \uXXXX: a character that must not be shown */
    return strspn(at, "u0123456789abcdef") < 5 ? 1 : 5;
}

bool demo_field(const char *line, const char *key, char *out, size_t cap)
{
    const char *at = field_find(line, key);
    size_t n = 0;

    if (!at)
        return false;
    const char *ends = *at == '"' ? "\"\n" : ",}\n";
    at += *at == '"';
    while (*at && !strchr(ends, *at) && n + 1 < cap) {
        if (at[0] == '\\' && at[1]) {
            at++;
            at += escape_decode(at, &out[n++]);
        } else {
            out[n++] = *at++;
        }
    }
    out[n] = '\0';
    return true;
}

static const char *line_next(const char *line)
{
    line += strcspn(line, "\n");
    return *line ? line + 1 : NULL;
}

/* The log up to its last whole line. */
static const char *event_from(const char *line, const char *event)
{
    char name[32];

    for (; line && strchr(line, '\n'); line = line_next(line))
        if (demo_field(line, "event", name, sizeof name) && strcmp(name, event) == 0)
            return line;
    return NULL;
}

const char *demo_event(const struct demo_station *station, const char *event)
{
    return event_from(station->err.bytes, event);
}

bool demo_step(const struct demo_station *station, const char *label, unsigned nth, char *out,
               size_t cap)
{
    size_t length = strlen(label);
    const char *line = station->err.bytes;

    while ((line = event_from(line, "step"))) {
        if (demo_field(line, "message", out, cap) && strncmp(out, label, length) == 0 &&
            strncmp(out + length, ": ", 2) == 0 && nth-- == 0) {
            memmove(out, out + length + 2, strlen(out + length + 2) + 1);
            return true;
        }
        line = line_next(line);
    }
    return false;
}
