#include "io/work.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/wipe.h"

enum {
    NICER = 10, /* how much nicer the threads are: a tenth of the share of a thread that is not */
    THREADS_MAX = 64
};

enum { WAITING, RUNNING, CANCELLED };

/* ----------------------------------------------------------------------------- lists and bells -- */

/* A list that many push to and one takes whole. */
typedef _Atomic(struct work *) work_list;

static void push(work_list *list, struct work *work)
{
    work->next = atomic_load(list);
    while (!atomic_compare_exchange_weak(list, &work->next, work))
        continue;
}

/* All that was pushed, oldest first. */
static struct work *take_all(work_list *list)
{
    struct work *newest = atomic_exchange(list, NULL), *oldest = NULL;

    while (newest) {
        struct work *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

/* An eventfd is a count: n more, and it cannot be full. */
static void ring(int fd, uint64_t n)
{
    ssize_t ignored;

    do
        ignored = write(fd, &n, sizeof n);
    while (ignored < 0 && errno == EINTR);
}

static void hear(int fd)
{
    uint64_t n;
    ssize_t ignored;

    do
        ignored = read(fd, &n, sizeof n);
    while (ignored < 0 && errno == EINTR);
}

/* -------------------------------------------------------------------------------- the threads -- */

static struct {
    pthread_mutex_t lock; /* of loops, count, threads and fd */
    unsigned loops;
    unsigned count;
    pthread_t threads[THREADS_MAX];
    int fd;          /* counts what is given, and at the end one for each thread */
    work_list given; /* by the loops */

    pthread_mutex_t turn_lock; /* among the threads */
    struct work *turn;         /* given earlier, oldest first */
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .turn_lock = PTHREAD_MUTEX_INITIALIZER};

struct works {
    uv_poll_t poll;
    int fd;
    work_list done;
    atomic_uint returning; /* threads that still touch this struct */
    unsigned count;
};

/* Blocks; NULL when the thread is to end.  There are never more counts than works but at the end. */
static struct work *next_work(void)
{
    struct work *work;

    hear(pool.fd);
    pthread_mutex_lock(&pool.turn_lock);
    if (!pool.turn)
        pool.turn = take_all(&pool.given);
    work = pool.turn;
    if (work)
        pool.turn = work->next;
    pthread_mutex_unlock(&pool.turn_lock);
    return work;
}

static void run(struct work *work)
{
    enum helio_err ignored; /* the session has latched it */
    size_t used = 0;

    if (work->kind == WORK_TRUST) {
        ignored = helio_session_trust(work->session);
    } else {
        ignored = helio_session_feed(work->session, work->bytes + work->used, work->n - work->used,
                                     &used);
        work->used += used;
    }
    (void)ignored;
}

static bool claim(struct work *work, int state)
{
    int waiting = WAITING;

    return atomic_compare_exchange_strong(&work->state, &waiting, state);
}

/* Once it is pushed the loop may be done with all of its works. */
static void give_back(struct work *work)
{
    struct works *works = work->works;

    atomic_fetch_add(&works->returning, 1);
    push(&works->done, work);
    ring(works->fd, 1);
    atomic_fetch_sub(&works->returning, 1);
}

/* The kernel's struct sched_attr in its first form; the C library has none. */
struct schedule {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period; /* nanoseconds */
};

/*
 * On Linux a thread has a priority of its own.  A lower one gives it less of a busy processor, but
 * does not yet have it step aside when a loop wakes: since Linux 6.12 a thread whose turns are
 * shorter may interrupt one whose turns are long, and the longest that may be asked for is 100 ms.
 * Older kernels take the priority and pass over the rest.
 */
static void give_way(void)
{
    struct schedule schedule = {
        .size = sizeof schedule,
        .nice = getpriority(PRIO_PROCESS, (id_t)gettid()) + NICER,
        .runtime = 100 * 1000 * 1000,
    };

    (void)syscall(SYS_sched_setattr, 0, &schedule, 0); /* without it all works, less evenly */
}

static void *serve(void *unused)
{
    struct work *work;

    give_way();
    while ((work = next_work())) {
        if (claim(work, RUNNING))
            run(work);
        give_back(work);
    }
    return unused;
}

/* Signals are for the threads that were there before. */
static void start_threads(unsigned wanted)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool.count < wanted && pool.count < THREADS_MAX &&
           pthread_create(&pool.threads[pool.count], NULL, serve, NULL) == 0)
        pool.count++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void stop_threads(void)
{
    ring(pool.fd, pool.count);
    while (pool.count > 0)
        pthread_join(pool.threads[--pool.count], NULL);
    close(pool.fd);
}

static enum helio_err join_pool(void)
{
    enum helio_err err = HELIO_OK;

    pthread_mutex_lock(&pool.lock);
    if (pool.loops == 0) {
        pool.fd = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
        if (pool.fd >= 0)
            start_threads(io_processors());
        if (pool.fd >= 0 && pool.count == 0)
            close(pool.fd);
        err = pool.count > 0 ? HELIO_OK : HELIO_E_SYSTEM;
    }
    if (!err)
        pool.loops++;
    pthread_mutex_unlock(&pool.lock);
    return err;
}

static void leave_pool(void)
{
    pthread_mutex_lock(&pool.lock);
    if (--pool.loops == 0)
        stop_threads();
    pthread_mutex_unlock(&pool.lock);
}

/* ------------------------------------------------------------------------------ a loop's works -- */

static void on_returned(uv_poll_t *poll, int status, int events)
{
    struct works *works = poll->data;
    struct work *work;

    (void)status;
    (void)events;
    hear(works->fd);
    work = take_all(&works->done);
    while (work) {
        struct work *next = work->next;

        if (--works->count == 0)
            uv_unref((uv_handle_t *)&works->poll); /* the loop may end */
        work->done(work->context);
        work = next;
    }
}

enum helio_err works_new(struct works **out, uv_loop_t *loop)
{
    struct works *works = calloc(1, sizeof *works);
    enum helio_err err = works ? join_pool() : HELIO_E_MEMORY;

    if (err)
        goto out;
    works->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (works->fd < 0 || uv_poll_init(loop, &works->poll, works->fd)) {
        if (works->fd >= 0)
            close(works->fd);
        leave_pool();
        err = HELIO_E_SYSTEM;
        goto out;
    }
    works->poll.data = works;
    uv_poll_start(&works->poll, UV_READABLE, on_returned);
    uv_unref((uv_handle_t *)&works->poll);
    *out = works;
    works = NULL;
out:
    free(works);
    return err;
}

unsigned works_count(const struct works *works)
{
    return works->count;
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct works *works = handle->data;

    close(works->fd);
    free(works);
}

void works_free(struct works *works)
{
    /* A thread between push and ring: it takes a moment, and only here. */
    while (atomic_load(&works->returning) > 0)
        usleep(100);
    leave_pool();
    uv_close((uv_handle_t *)&works->poll, on_poll_closed);
}

/* ------------------------------------------------------------------------------------- a work -- */

struct work *work_new(const uint8_t *bytes, size_t n)
{
    struct work *work = calloc(1, sizeof *work + n);

    if (!work)
        return NULL;
    work->n = n;
    if (n > 0)
        memcpy(work->bytes, bytes, n);
    return work;
}

void work_start(struct work *work, enum work_kind kind, struct works *works, helio_session *session,
                work_fn *done, void *context)
{
    work->works = works;
    work->kind = kind;
    work->session = session;
    work->done = done;
    work->context = context;
    atomic_store(&work->state, WAITING);
    if (works->count++ == 0)
        uv_ref((uv_handle_t *)&works->poll);
    push(&pool.given, work);
    ring(pool.fd, 1);
}

void work_cancel(struct work *work)
{
    claim(work, CANCELLED);
}

void work_free(struct work *work)
{
    if (!work)
        return;
    wipe(work->bytes, work->n); /* what came right behind the handshake may be content */
    free(work);
}
