#include "io/work.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/wipe.h"

/* ------------------------------------------------------------------------------------- posts -- */

struct post {
    struct post *next;
    io_fn *fn;
    void *context;
};

/* True when there was something.  What is posted meanwhile stays for the next time. */
static bool run_posts(struct io_loop *loop)
{
    struct post *post;
    bool any;

    uv_mutex_lock(&loop->lock);
    post = loop->posts;
    loop->posts = NULL;
    loop->last_post = &loop->posts;
    uv_mutex_unlock(&loop->lock);
    any = post != NULL;
    while (post) {
        struct post *next = post->next;

        post->fn(post->context);
        free(post);
        post = next;
    }
    return any;
}

static void on_posted(uv_async_t *async)
{
    run_posts(async->data);
}

enum helio_err io_loop_post(struct io_loop *loop, io_fn *fn, void *context)
{
    struct post *post = malloc(sizeof *post);

    if (!post)
        return HELIO_E_MEMORY;
    *post = (struct post){.fn = fn, .context = context};
    uv_mutex_lock(&loop->lock);
    *loop->last_post = post;
    loop->last_post = &post->next;
    uv_mutex_unlock(&loop->lock);
    uv_async_send(&loop->posted);
    return HELIO_OK;
}

void io_loop_hold(struct io_loop *loop)
{
    uv_ref((uv_handle_t *)&loop->posted);
}

/* -------------------------------------------------------------------------------------- loop -- */

enum helio_err io_loop_new(struct io_loop **out)
{
    struct io_loop *loop = calloc(1, sizeof *loop);

    if (!loop)
        return HELIO_E_MEMORY;
    bool locked = uv_mutex_init(&loop->lock) == 0;
    bool begun = locked && uv_loop_init(&loop->uv) == 0;
    bool works = begun && works_new(&loop->works, &loop->uv) == HELIO_OK;

    if (works && uv_async_init(&loop->uv, &loop->posted, on_posted) == 0) {
        loop->posted.data = loop;
        loop->last_post = &loop->posts;
        /* Whoever runs a loop for its lines only is done when they are. */
        uv_unref((uv_handle_t *)&loop->posted);
        *out = loop;
        return HELIO_OK;
    }
    if (works) {
        works_free(loop->works);
        uv_run(&loop->uv, UV_RUN_DEFAULT);
    }
    if (begun)
        uv_loop_close(&loop->uv);
    if (locked)
        uv_mutex_destroy(&loop->lock);
    free(loop);
    return HELIO_E_SYSTEM;
}

void io_loop_run(struct io_loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void io_loop_stop(struct io_loop *loop)
{
    uv_stop(&loop->uv);
}

uint64_t io_loop_now(struct io_loop *loop)
{
    return uv_now(&loop->uv);
}

/*
 * libuv waits for its threads when the process exits, and one may sit in getaddrinfo for half a
 * minute.  Nobody needs its answer.
 */
static void leave_without_threads(int status, void *unused)
{
    (void)unused;
    fflush(NULL);
    _exit(status);
}

void io_loop_free(struct io_loop *loop)
{
    if (!loop)
        return;
    uv_close((uv_handle_t *)&loop->posted, NULL);
    run_posts(loop);
    do {
        children_forget(loop);
        /* What was freed is still being closed; what a work uses may be freed after the loop. */
        while (works_count(loop->works) > 0 || (loop->resolving == 0 && uv_loop_alive(&loop->uv)))
            uv_run(&loop->uv, UV_RUN_ONCE);
    } while (run_posts(loop));
    if (loop->resolving > 0) {
        /* A thread still writes to a request that hangs on this loop: both are left to the exit. */
        on_exit(leave_without_threads, NULL);
        return;
    }
    works_free(loop->works);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    uv_loop_close(&loop->uv);
    uv_mutex_destroy(&loop->lock);
    wipe(loop->read_buffer, sizeof loop->read_buffer);
    wipe(loop->input_buffer, sizeof loop->input_buffer);
    free(loop);
}

void free_handle(uv_handle_t *handle)
{
    free(handle);
}

/* ----------------------------------------------------------------------------------- threads -- */

struct io_thread {
    uv_thread_t uv;
    io_fn *fn;
    void *context;
};

static void on_thread(void *argument)
{
    struct io_thread *thread = argument;

    thread->fn(thread->context);
}

enum helio_err io_thread_new(struct io_thread **out, io_fn *fn, void *context)
{
    struct io_thread *thread = calloc(1, sizeof *thread);

    if (!thread)
        return HELIO_E_MEMORY;
    thread->fn = fn;
    thread->context = context;
    if (uv_thread_create(&thread->uv, on_thread, thread)) {
        free(thread);
        return HELIO_E_SYSTEM;
    }
    *out = thread;
    return HELIO_OK;
}

void io_thread_join(struct io_thread *thread)
{
    if (!thread)
        return;
    uv_thread_join(&thread->uv);
    free(thread);
}

unsigned io_processors(void)
{
    return uv_available_parallelism();
}

/* ------------------------------------------------------------------------------------- timer -- */

struct io_timer {
    uv_timer_t uv;
    io_fn *fn;
    void *context;
};

static void on_timer(uv_timer_t *uv)
{
    struct io_timer *timer = (struct io_timer *)uv;

    timer->fn(timer->context);
}

enum helio_err io_timer_new(struct io_timer **out, struct io_loop *loop, io_fn *fn, void *context)
{
    struct io_timer *timer = calloc(1, sizeof *timer);

    if (!timer)
        return HELIO_E_MEMORY;
    uv_timer_init(&loop->uv, &timer->uv);
    timer->fn = fn;
    timer->context = context;
    *out = timer;
    return HELIO_OK;
}

void io_timer_set(struct io_timer *timer, uint64_t milliseconds)
{
    /* The loop's clock stands still while callbacks run, and some of them take long. */
    uv_update_time(timer->uv.loop);
    uv_timer_start(&timer->uv, on_timer, milliseconds, 0);
}

void io_timer_stop(struct io_timer *timer)
{
    uv_timer_stop(&timer->uv);
}

void io_timer_free(struct io_timer *timer)
{
    if (timer)
        uv_close((uv_handle_t *)&timer->uv, free_handle);
}

/* ----------------------------------------------------------------------------------- signals -- */

static const int signal_numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGCONT};
enum { SIGNAL_COUNT = sizeof signal_numbers / sizeof *signal_numbers };

struct io_signals {
    uv_signal_t uv[SIGNAL_COUNT];
    unsigned open; /* handles that are not closed */
    io_signal_fn *fn;
    void *context;
};

static void on_signal(uv_signal_t *uv, int number)
{
    struct io_signals *signals = uv->data;

    signals->fn(signals->context, number);
}

static void on_signal_closed(uv_handle_t *handle)
{
    struct io_signals *signals = handle->data;

    if (--signals->open == 0)
        free(signals);
}

/* nohup and the shell's & let a program start with signals ignored; so they stay. */
static bool ignored(int number)
{
    struct sigaction action;

    return sigaction(number, NULL, &action) == 0 && !(action.sa_flags & SA_SIGINFO) &&
           action.sa_handler == SIG_IGN;
}

enum helio_err io_signals_new(struct io_signals **out, struct io_loop *loop, io_signal_fn *fn,
                              void *context)
{
    struct io_signals *signals = calloc(1, sizeof *signals);

    if (!signals)
        return HELIO_E_MEMORY;
    signals->fn = fn;
    signals->context = context;
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        uv_signal_t *uv = &signals->uv[i];

        if (uv_signal_init(&loop->uv, uv))
            break;
        uv->data = signals;
        signals->open++;
        if (!ignored(signal_numbers[i]))
            uv_signal_start(uv, on_signal, signal_numbers[i]);
        /* Waiting for a signal alone is no reason to stay. */
        uv_unref((uv_handle_t *)uv);
    }
    if (signals->open < SIGNAL_COUNT) {
        if (signals->open == 0)
            free(signals);
        else
            io_signals_free(signals);
        return HELIO_E_SYSTEM;
    }
    *out = signals;
    return HELIO_OK;
}

void io_signals_free(struct io_signals *signals)
{
    if (!signals)
        return;
    for (unsigned i = 0, n = signals->open; i < n; i++)
        uv_close((uv_handle_t *)&signals->uv[i], on_signal_closed);
}

/* -------------------------------------------------------------------------------------- poll -- */

struct io_poll {
    uv_poll_t uv;
    io_fn *fn;
    void *context;
};

static void on_poll(uv_poll_t *uv, int status, int events)
{
    struct io_poll *poll = (struct io_poll *)uv;

    (void)status;
    (void)events;
    poll->fn(poll->context);
}

enum helio_err io_poll_new(struct io_poll **out, struct io_loop *loop, int fd, io_fn *fn,
                           void *context)
{
    int flags = fcntl(fd, F_GETFL);
    struct io_poll *poll = calloc(1, sizeof *poll);

    if (!poll)
        return HELIO_E_MEMORY;
    if (uv_poll_init(&loop->uv, &poll->uv, fd)) {
        free(poll);
        return HELIO_E_SYSTEM;
    }
    /* libuv has set O_NONBLOCK; the terminal belongs to others, too, and they do not expect it. */
    if (flags >= 0)
        fcntl(fd, F_SETFL, flags);
    poll->fn = fn;
    poll->context = context;
    uv_poll_start(&poll->uv, UV_READABLE, on_poll);
    *out = poll;
    return HELIO_OK;
}

void io_poll_free(struct io_poll *poll)
{
    if (poll)
        uv_close((uv_handle_t *)&poll->uv, free_handle);
}
