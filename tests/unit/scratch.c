#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char home[4096];

int scratch_enter(void **state)
{
    const char *base = getenv("TMPDIR");

    (void)state;
    snprintf(home, sizeof home, "%s/helio-test-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(home) || chdir(home) != 0) {
        perror(home);
        return -1;
    }
    umask(022);
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    return where->level == 0 ? 0 : remove(path);
}

int scratch_empty(void **state)
{
    (void)state;
    return chdir(home) != 0 || nftw(home, remove_entry, 8, FTW_DEPTH | FTW_PHYS) != 0 ? -1 : 0;
}

int scratch_leave(void **state)
{
    return scratch_empty(state) != 0 || chdir("/") != 0 || rmdir(home) != 0 ? -1 : 0;
}

void scratch_write(const char *name, const void *p, size_t n, mode_t mode)
{
    unlink(name); /* an earlier one may not be writable */
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);

    assert_true(fd >= 0);
    assert_true(write(fd, p, n) == (ssize_t)n);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

char *scratch_read(const char *name, size_t *n)
{
    FILE *f = fopen(name, "rb");
    struct stat st;

    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &st), 0);
    *n = (size_t)st.st_size;
    char *text = malloc(*n + 1);
    assert_non_null(text);
    assert_true(fread(text, 1, *n, f) == *n);
    text[*n] = '\0';
    fclose(f);
    return text;
}

mode_t scratch_mode(const char *name)
{
    struct stat st;

    assert_int_equal(lstat(name, &st), 0);
    return st.st_mode & 07777;
}

unsigned scratch_count(const char *prefix)
{
    DIR *dir = opendir(".");
    const struct dirent *entry;
    unsigned count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)))
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    closedir(dir);
    return count;
}

bool scratch_exists(const char *name)
{
    struct stat st;

    return lstat(name, &st) == 0;
}
