/*
 * memory.h: allocations that fail when a test says so, and a count of the blocks not yet freed.
 *
 * The linker wraps malloc and its kin for our objects (the rows of memory_tests in meson.build);
 * OpenSSL is handed the same functions by memory_watch_openssl.
 */
#ifndef HELIO_TESTS_SUPPORT_MEMORY_H
#define HELIO_TESTS_SUPPORT_MEMORY_H

#include <stdbool.h>

/* Before OpenSSL allocates anything, so first thing in main.  False: too late. */
bool memory_watch_openssl(void);

/* From now on allocations are counted from 1, and number at fails (0: none), with and_on all after. */
void memory_arm(long long at, bool and_on);
/* None fails any more; returns how many there were since memory_arm. */
long long memory_disarm(void);

/* While paused allocations neither fail nor count: for what is not under test. */
void memory_pause(bool paused);

/* Blocks not yet freed, by whose they are. */
long long memory_live_ours(void);
long long memory_live_openssl(void);

#endif
