#include "identity/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

enum { READ_CHUNK = 16384 };

/* Cleaning up must not hide why it became necessary. */
static void close_keeping_errno(int fd)
{
    int saved = errno;

    if (fd >= 0)
        close(fd);
    errno = saved;
}

/* p[0..n) followed by tail, or NULL.  All strings here are made by this, so by malloc alone. */
static char *join(const char *p, size_t n, const char *tail)
{
    size_t tail_n = strlen(tail);
    char *s = malloc(n + tail_n + 1);

    if (!s)
        return NULL;
    memcpy(s, p, n);
    memcpy(s + n, tail, tail_n + 1);
    return s;
}

/* -- reading -- */

static bool owner_is_stranger(uid_t owner)
{
    uid_t we = geteuid();

    return owner != we && owner != 0 && we != 0;
}

/* out has room for limit + 1 bytes: that the last one is used tells a file that is too long. */
static enum helio_err read_to_end(int fd, struct buffer *out)
{
    while (buffer_room(out) > 0) {
        size_t want = buffer_room(out) < READ_CHUNK ? buffer_room(out) : READ_CHUNK;
        uint8_t *at;
        enum helio_err err = buffer_reserve(out, want, &at);

        if (err)
            return err;
        ssize_t got = read(fd, at, want);
        if (got == 0)
            return HELIO_OK;
        if (got > 0)
            buffer_commit(out, (size_t)got);
        else if (errno != EINTR)
            return HELIO_E_SYSTEM;
    }
    return HELIO_E_TOO_LONG;
}

enum helio_err file_read(const char *path, mode_t forbidden, size_t limit, struct buffer *out,
                         struct stat *st)
{
    struct stat seen;
    enum helio_err err = HELIO_E_SYSTEM;

    buffer_init(out, limit + 1);
    /* O_NONBLOCK: opening a pipe without a writer would otherwise wait for one. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return HELIO_E_SYSTEM;
    if (fstat(fd, &seen) != 0)
        goto out;
    err = HELIO_E_MODE;
    if (!S_ISREG(seen.st_mode) || (seen.st_mode & forbidden) || owner_is_stranger(seen.st_uid))
        goto out;
    if (st)
        *st = seen;
    err = read_to_end(fd, out);
out:
    close_keeping_errno(fd);
    return err;
}

/* -- writing -- */

/*
 * A file on its way: in its directory, but not under its name.  Ended by aside_end on every path.
 */
struct aside {
    int dir;
    int fd;
    char name[sizeof ".helio-" + 16]; /* "" when there is no file to remove */
};

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static enum helio_err open_directory_of(const char *path, int *dir)
{
    size_t n = (size_t)(last_part(path) - path);
    /* The slash stays: "/x" stands in "/", and opening "a/" is opening "a". */
    char *name = join(path, n, n > 0 ? "" : ".");

    if (!name)
        return HELIO_E_MEMORY;
    *dir = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(name);
    return *dir < 0 ? HELIO_E_SYSTEM : HELIO_OK;
}

static enum helio_err aside_begin(struct aside *a, const char *path)
{
    uint64_t number;
    enum helio_err err;

    *a = (struct aside){.dir = -1, .fd = -1};
    err = open_directory_of(path, &a->dir);
    if (err)
        return err;
    /* Nobody can lay something in the way of a name that cannot be foretold. */
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        return HELIO_E_SYSTEM;
    snprintf(a->name, sizeof a->name, ".helio-%016llx", (unsigned long long)number);
    a->fd = openat(a->dir, a->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (a->fd < 0) {
        a->name[0] = '\0';
        return HELIO_E_SYSTEM;
    }
    return HELIO_OK;
}

static void aside_end(struct aside *a)
{
    int saved = errno;

    if (a->name[0])
        unlinkat(a->dir, a->name, 0);
    errno = saved;
    close_keeping_errno(a->fd);
    close_keeping_errno(a->dir);
}

static enum helio_err write_whole(int fd, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t put = write(fd, p, n);

        if (put < 0 && errno != EINTR)
            return HELIO_E_SYSTEM;
        if (put > 0) {
            p += put;
            n -= (size_t)put;
        }
    }
    return HELIO_OK;
}

/* Owner before mode: changing the owner may take bits away. */
static enum helio_err take_after(int fd, const struct stat *like)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return HELIO_E_SYSTEM;
    if ((st.st_uid != like->st_uid || st.st_gid != like->st_gid) &&
        fchown(fd, like->st_uid, like->st_gid) != 0)
        return HELIO_E_SYSTEM;
    return fchmod(fd, like->st_mode & 0777) != 0 ? HELIO_E_SYSTEM : HELIO_OK;
}

static enum helio_err aside_fill(struct aside *a, const void *p, size_t n, const struct stat *like)
{
    enum helio_err err = write_whole(a->fd, p, n);

    if (err)
        return err;
    if (like)
        err = take_after(a->fd, like);
    else if (fchmod(a->fd, 0600) != 0) /* the umask may have taken too much */
        err = HELIO_E_SYSTEM;
    if (err)
        return err;
    return fsync(a->fd) != 0 ? HELIO_E_SYSTEM : HELIO_OK;
}

/* EINVAL: a file system that does not sync directories has nothing better to offer. */
static enum helio_err sync_directory(int dir)
{
    return fsync(dir) != 0 && errno != EINVAL ? HELIO_E_SYSTEM : HELIO_OK;
}

enum helio_err file_create(const char *path, const void *p, size_t n)
{
    struct aside a;
    enum helio_err err = aside_begin(&a, path);

    if (err)
        goto out;
    err = aside_fill(&a, p, n, NULL);
    if (err)
        goto out;
    /* link, unlike rename, does not replace what is there. */
    if (linkat(a.dir, a.name, a.dir, last_part(path), 0) != 0) {
        err = errno == EEXIST ? HELIO_E_EXISTS : HELIO_E_SYSTEM;
        goto out;
    }
    if (unlinkat(a.dir, a.name, 0) == 0)
        a.name[0] = '\0';
    err = sync_directory(a.dir);
out:
    aside_end(&a);
    return err;
}

enum helio_err file_replace(const char *path, const void *p, size_t n, const struct stat *like)
{
    struct aside a;
    enum helio_err err = aside_begin(&a, path);

    if (err)
        goto out;
    err = aside_fill(&a, p, n, like);
    if (err)
        goto out;
    if (renameat(a.dir, a.name, a.dir, last_part(path)) != 0) {
        err = HELIO_E_SYSTEM;
        goto out;
    }
    a.name[0] = '\0';
    err = sync_directory(a.dir);
out:
    aside_end(&a);
    return err;
}

/* -- finding and locking -- */

enum helio_err file_resolve(const char *path, char **out)
{
    char real[PATH_MAX];
    struct stat st;

    *out = NULL;
    if (realpath(path, real)) {
        path = real;
    } else if (errno != ENOENT) {
        return HELIO_E_SYSTEM;
    } else if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode)) {
        /* A link that leads nowhere.  A file that is there now was made in between. */
        errno = ENOENT;
        return HELIO_E_SYSTEM;
    }
    *out = join(path, strlen(path), "");
    return *out ? HELIO_OK : HELIO_E_MEMORY;
}

static enum helio_err open_lock(const char *path, int *fd)
{
    char *name = join(path, strlen(path), ".lock");

    if (!name)
        return HELIO_E_MEMORY;
    *fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
    free(name);
    return *fd < 0 ? HELIO_E_SYSTEM : HELIO_OK;
}

/* A lock that root makes on a user's file is the user's, who could not open it otherwise. */
static enum helio_err give_to_owner_of(const char *path, int fd)
{
    struct stat st;

    if (geteuid() != 0 || stat(path, &st) != 0 || st.st_uid == 0)
        return HELIO_OK;
    return fchown(fd, st.st_uid, st.st_gid) != 0 ? HELIO_E_SYSTEM : HELIO_OK;
}

enum helio_err file_lock(const char *path, int *lock)
{
    int fd = -1;
    enum helio_err err = open_lock(path, &fd);

    *lock = -1;
    if (err)
        return err;
    err = give_to_owner_of(path, fd);
    while (!err && flock(fd, LOCK_EX) != 0)
        if (errno != EINTR)
            err = HELIO_E_SYSTEM;
    if (err)
        close_keeping_errno(fd);
    else
        *lock = fd;
    return err;
}

void file_unlock(int lock)
{
    close_keeping_errno(lock);
}
