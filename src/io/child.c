/*
 * child.c: another program, with a pipe each way.
 *
 * Every descriptor of ours is close-on-exec, so that a child has its three and no other.  Its ends
 * of the pipes block, as programs expect of their standard input and output; ours do not.  libuv
 * gives it default signals and an empty mask, and reaps it on the loop it belongs to.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "io/loop.h"

struct io_child {
    uv_process_t uv; /* first */
    io_child_fn *fn;
    void *context;
    bool ended;
    bool freed;
};

/* The child's standard input and output: its own ends and ours. */
struct pipes {
    int in, out;
    int our_in, our_out;
};

static void close_pipes(const struct pipes *pipes)
{
    const int fds[] = {pipes->in, pipes->out, pipes->our_in, pipes->our_out};

    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* 0 or an errno. */
static int make_pipes(struct pipes *pipes)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1}, error = 0;

    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
        error = errno;
    *pipes = (struct pipes){.in = in[0], .our_in = in[1], .our_out = out[0], .out = out[1]};
    if (!error && (fcntl(in[1], F_SETFL, O_NONBLOCK) || fcntl(out[0], F_SETFL, O_NONBLOCK)))
        error = errno;
    if (error)
        close_pipes(pipes);
    return error;
}

static void on_exit_of_child(uv_process_t *uv, int64_t status, int number)
{
    struct io_child *child = (struct io_child *)uv;

    child->ended = true;
    if (child->freed)
        uv_close((uv_handle_t *)uv, free_handle);
    else
        child->fn(child->context, (int)status, number);
}

/* libuv only reads them, and knows no const. */
static char **without_const(const char *const *texts)
{
    union {
        const char *const *texts;
        char **same;
    } either = {.texts = texts};

    return either.same;
}

/* 0 or an errno. */
static int spawn(struct io_child *child, struct io_loop *loop, const char *const *argv,
                 const char *const *env, const struct pipes *pipes)
{
    const struct rlimit *limit = original_file_limit();
    uv_stdio_container_t stdio[] = {
        {.flags = UV_INHERIT_FD, .data.fd = pipes->in},
        {.flags = UV_INHERIT_FD, .data.fd = pipes->out},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
    };
    const uv_process_options_t options = {
        .file = argv[0],
        .args = without_const(argv),
        .env = without_const(env),
        .flags = UV_PROCESS_DETACHED,
        .stdio = stdio,
        .stdio_count = sizeof stdio / sizeof *stdio,
        .exit_cb = on_exit_of_child,
    };
    int error = uv_spawn(&loop->uv, &child->uv, &options);

    /*
     * A limit raised for thousands of lines is no good for programs that know select().  Between
     * fork and exec libuv lets nobody in, so the child has our limit for its first instants.
     */
    if (!error && limit)
        prlimit(child->uv.pid, RLIMIT_NOFILE, limit, NULL);
    return -error;
}

enum helio_err io_child_new(struct io_child **out, struct io_loop *loop, const char *const *argv,
                            const char *const *env, int *in, int *out_fd, io_child_fn *fn,
                            void *context)
{
    struct io_child *child = calloc(1, sizeof *child);
    struct pipes pipes;
    int error;

    if (!child)
        return HELIO_E_MEMORY;
    child->fn = fn;
    child->context = context;
    error = make_pipes(&pipes);
    if (error) {
        free(child);
        errno = error;
        return HELIO_E_SYSTEM;
    }
    error = spawn(child, loop, argv, env, &pipes);
    if (error) {
        close_pipes(&pipes);
        uv_close((uv_handle_t *)&child->uv, free_handle);
        errno = error;
        return HELIO_E_SYSTEM;
    }
    close(pipes.in);
    close(pipes.out);
    *out = child;
    *in = pipes.our_in;
    *out_fd = pipes.our_out;
    return HELIO_OK;
}

void io_child_kill(struct io_child *child, int number)
{
    if (!child->ended)
        kill(-child->uv.pid, number);
}

void io_child_free(struct io_child *child)
{
    if (!child || child->freed)
        return;
    child->freed = true;
    if (child->ended)
        uv_close((uv_handle_t *)&child->uv, free_handle);
    else
        uv_unref((uv_handle_t *)&child->uv);
}

static void forget(uv_handle_t *handle, void *unused)
{
    (void)unused;
    if (handle->type == UV_PROCESS && !uv_is_closing(handle))
        uv_close(handle, free_handle);
}

void children_forget(struct io_loop *loop)
{
    uv_walk(&loop->uv, forget, NULL);
}
