#include "io/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/wipe.h"

/* How much nicer the threads are: a tenth of the share of a thread that is not. */
enum { NICER = 10 };

/* -------------------------------------------------------------------------------- the threads -- */

static const char pool_variable[] = "UV_THREADPOOL_SIZE";

static void do_nothing(uv_work_t *request)
{
    (void)request;
}

/*
 * libuv reads the size when the first work comes, and then never again.  So one comes here, and the
 * programs that this process starts later do not find the variable in their environment.
 */
static void start_pool(void)
{
    char size[16];
    uv_loop_t loop;
    uv_work_t first;

    if (getenv(pool_variable) || uv_loop_init(&loop))
        return;
    snprintf(size, sizeof size, "%u", io_processors());
    setenv(pool_variable, size, 1);
    uv_queue_work(&loop, &first, do_nothing, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    unsetenv(pool_variable);
}

void work_prepare(void)
{
    static uv_once_t once = UV_ONCE_INIT;

    uv_once(&once, start_pool);
}

/* On Linux a thread has a priority of its own, under its own number. */
static void lower_priority(void)
{
    static _Thread_local bool lowered;
    id_t thread = (id_t)gettid();

    if (!lowered)
        setpriority(PRIO_PROCESS, thread, getpriority(PRIO_PROCESS, thread) + NICER);
    lowered = true;
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

static void run(uv_work_t *request)
{
    struct work *work = (struct work *)request;
    enum helio_err ignored; /* the session has latched it */
    size_t used = 0;

    lower_priority();
    if (work->kind == WORK_TRUST) {
        ignored = helio_session_trust(work->session);
    } else {
        ignored = helio_session_feed(work->session, work->bytes + work->used, work->n - work->used,
                                     &used);
        work->used += used;
    }
    (void)ignored;
}

static void on_done(uv_work_t *request, int status)
{
    struct work *work = (struct work *)request;

    (void)status; /* who has cancelled it knows */
    work->loop->working--;
    work->done(work->context);
}

void work_start(struct work *work, enum work_kind kind, struct io_loop *loop,
                helio_session *session, work_fn *done, void *context)
{
    work->kind = kind;
    work->loop = loop;
    work->session = session;
    work->done = done;
    work->context = context;
    loop->working++;
    uv_queue_work(&loop->uv, &work->uv, run, on_done); /* fails only without a function */
}

void work_cancel(struct work *work)
{
    uv_cancel((uv_req_t *)&work->uv);
}

void work_free(struct work *work)
{
    if (!work)
        return;
    wipe(work->bytes, work->n); /* what came right behind the handshake may be content */
    free(work);
}
