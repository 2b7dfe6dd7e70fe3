/*
 * file.h: reading and writing the small files that a station's trust rests on.
 *
 * Read: the file is opened, then looked at through the descriptor, so that what was judged is what
 * is read.  Symbolic links are followed: it is the file at the end that must be safe.
 *
 * Written: always aside, in the same directory, synced, and only then given its name in one step.
 * Whoever looks sees the old file, the new one or none, never a part; after a crash, too.  On every
 * error the file aside is removed.  Only a killed process leaves one, named .helio-….
 *
 * A function that returns HELIO_E_SYSTEM leaves errno as the call that failed set it.
 */
#ifndef HELIO_IDENTITY_FILE_H
#define HELIO_IDENTITY_FILE_H

#include <sys/stat.h>

#include "base/buffer.h"
#include "helio.h"

/* Permission bits that make file_read refuse a file. */
enum { FILE_OPEN_TO_OTHERS = 077, FILE_WRITABLE_BY_OTHERS = 022 };

/*
 * Reads a regular file of at most limit bytes into out, which need not be initialised and must be
 * cleared afterwards, also on error; st, where not NULL, tells what the file is like.
 *
 * HELIO_E_MODE: not a regular file, some bit of forbidden is set, or its owner is a stranger: not
 * we, not root, while we are not root either (who may read everybody's files, as in ssh).
 * HELIO_E_TOO_LONG, HELIO_E_MEMORY, HELIO_E_SYSTEM.
 */
HELIO_MUST_CHECK enum helio_err file_read(const char *path, mode_t forbidden, size_t limit,
                                          struct buffer *out, struct stat *st);

/* Makes a file of mode 0600; HELIO_E_EXISTS when the name is taken, be it by a dangling link. */
HELIO_MUST_CHECK enum helio_err file_create(const char *path, const void *p, size_t n);

/*
 * Puts a file in the place of the one at path, if any.  It gets the owner, the group and the mode
 * of like, or mode 0600 when like is NULL.  A symbolic link at path would be replaced:
 * file_resolve.
 */
HELIO_MUST_CHECK enum helio_err file_replace(const char *path, const void *p, size_t n,
                                             const struct stat *like);

/*
 * The path of the file at the end of all symbolic links, or path itself when nothing is there yet.
 * A dangling link is HELIO_E_SYSTEM with ENOENT.  The caller frees *out.
 */
HELIO_MUST_CHECK enum helio_err file_resolve(const char *path, char **out);

/*
 * Waits for the exclusive lock on path.  It hangs on a file of its own, path.lock, because path is
 * replaced while it is held; that file is never removed, since a waiter would be left with a lock
 * on nothing.  The kernel drops the lock with its holder, however that ends.
 */
HELIO_MUST_CHECK enum helio_err file_lock(const char *path, int *lock);
/* Keeps errno; -1 is no lock. */
void file_unlock(int lock);

#endif
