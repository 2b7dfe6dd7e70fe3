/* limit.c: how many descriptors this process may have. */
#include "io/loop.h"

/* More than this no table of the kernel's should have to hold for us. */
enum { LIMIT_MAX = 1048576 };

static struct rlimit original;
static bool raised;

const struct rlimit *original_file_limit(void)
{
    return raised ? &original : NULL;
}

unsigned long io_raise_file_limit(void)
{
    struct rlimit now, most = {.rlim_cur = LIMIT_MAX, .rlim_max = LIMIT_MAX};

    if (getrlimit(RLIMIT_NOFILE, &now))
        return 0;
    if (now.rlim_cur >= LIMIT_MAX)
        return now.rlim_cur;
    if (!raised)
        original = now;
    if (now.rlim_max > LIMIT_MAX)
        most.rlim_max = now.rlim_max;
    /* Beyond the hard limit only the superuser gets, and not in every container. */
    if (setrlimit(RLIMIT_NOFILE, &most)) {
        most = (struct rlimit){.rlim_cur = now.rlim_max, .rlim_max = now.rlim_max};
        if (most.rlim_cur > LIMIT_MAX)
            most.rlim_cur = LIMIT_MAX;
        if (most.rlim_cur <= now.rlim_cur || setrlimit(RLIMIT_NOFILE, &most))
            return now.rlim_cur;
    }
    raised = true;
    return most.rlim_cur;
}
