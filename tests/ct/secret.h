/*
 * secret.h: tells a checker of memory which bytes are secret, by calling them undefined.
 *
 * valgrind and MemorySanitizer both report a branch, or an address, that depends on undefined bytes,
 * and follow them through arithmetic: what they say of a secret is that the time, or the cache,
 * shows it.  Without either these functions do nothing.
 */
#ifndef HELIO_TESTS_CT_SECRET_H
#define HELIO_TESTS_CT_SECRET_H

#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
#define SECRET_BY_MSAN
#endif
#endif

#ifdef SECRET_BY_MSAN
#include <sanitizer/msan_interface.h>
#else
#include <valgrind/memcheck.h>
#endif

static inline void make_secret(void *p, size_t n)
{
#ifdef SECRET_BY_MSAN
    __msan_poison(p, n);
#else
    VALGRIND_MAKE_MEM_UNDEFINED(p, n);
#endif
}

static inline void make_public(void *p, size_t n)
{
#ifdef SECRET_BY_MSAN
    __msan_unpoison(p, n);
#else
    VALGRIND_MAKE_MEM_DEFINED(p, n);
#endif
}

#endif
