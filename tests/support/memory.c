#include "support/memory.h"

#include <stddef.h>

#include <openssl/crypto.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);

static long long calls, fail_at;
static bool fail_on, on_pause;

enum { OURS, OPENSSL, OWNERS };
static long long live[OWNERS];

void memory_arm(long long at, bool and_on)
{
    calls = 0;
    fail_at = at;
    fail_on = and_on;
}

long long memory_disarm(void)
{
    fail_at = 0;
    return calls;
}

void memory_pause(bool paused)
{
    on_pause = paused;
}

long long memory_live_ours(void)
{
    return live[OURS];
}

long long memory_live_openssl(void)
{
    return live[OPENSSL];
}

static bool refuse(void)
{
    if (on_pause)
        return false;
    calls++;
    return fail_at > 0 && (calls == fail_at || (fail_on && calls > fail_at));
}

static void *take(void *p, int owner)
{
    live[owner] += p != NULL;
    return p;
}

static void *resize(void *old, size_t n, int owner)
{
    void *p = refuse() ? NULL : __real_realloc(old, n);

    live[owner] += old == NULL && p != NULL;
    return p;
}

static void release(void *p, int owner)
{
    live[owner] -= p != NULL;
    __real_free(p);
}

void *__wrap_malloc(size_t n)
{
    return take(refuse() ? NULL : __real_malloc(n), OURS);
}

void *__wrap_calloc(size_t count, size_t n)
{
    return take(refuse() ? NULL : __real_calloc(count, n), OURS);
}

void *__wrap_realloc(void *old, size_t n)
{
    return resize(old, n, OURS);
}

void __wrap_free(void *p)
{
    release(p, OURS);
}

static void *openssl_malloc(size_t n, const char *file, int line)
{
    (void)file, (void)line;
    return take(refuse() ? NULL : __real_malloc(n), OPENSSL);
}

static void *openssl_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file, (void)line;
    return resize(p, n, OPENSSL);
}

static void openssl_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    release(p, OPENSSL);
}

bool memory_watch_openssl(void)
{
    return CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) == 1;
}
