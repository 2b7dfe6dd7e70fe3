/*
 * scratch.h: a new directory for tests that write files.
 *
 * scratch_enter and scratch_leave are a cmocka group's setup and teardown: between them the working
 * directory is the new one, so plain names are files in it.  scratch_empty is a test's teardown.
 */
#ifndef HELIO_TESTS_SCRATCH_H
#define HELIO_TESTS_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

int scratch_enter(void **state);
int scratch_leave(void **state);
/* Removes what is in it. */
int scratch_empty(void **state);

/* These assert that they succeed. */
void scratch_write(const char *name, const void *p, size_t n, mode_t mode);
/* With a NUL behind the *n bytes; the caller frees it. */
char *scratch_read(const char *name, size_t *n);
mode_t scratch_mode(const char *name);
/* How many names in the working directory begin with prefix. */
unsigned scratch_count(const char *prefix);

bool scratch_exists(const char *name);

#endif
