#include "serve/roll.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/home.h"
#include "cli/say.h"

struct roll_list {
    helio_known *known;
    atomic_size_t holders; /* the roll itself is one as long as this is its list */
};

struct roll {
    const char *path;
    bool strict;
    /*
     * Guards current, and no more than a look at it: between reading the pointer and counting
     * oneself among the holders, nobody may be the last to let go.
     */
    pthread_mutex_t lock;
    struct roll_list *current;
};

/* helio_known_load takes a missing file for an empty one, but a list that was asked for is meant to
 * be there. */
static enum helio_err load(const struct roll *roll, helio_known **out, unsigned *line)
{
    if (roll->strict && access(roll->path, F_OK) != 0)
        return HELIO_E_SYSTEM;
    return helio_known_load(out, roll->path, line);
}

static int list_read(const struct roll *roll, struct roll_list **out)
{
    unsigned line = 0;
    struct roll_list *list = calloc(1, sizeof *list);
    enum helio_err err = list ? load(roll, &list->known, &line) : HELIO_E_MEMORY;

    *out = NULL;
    if (err) {
        int saved = errno;

        free(list);
        errno = saved;
        return (int)home_known_error("read", roll->path, err, line);
    }
    atomic_init(&list->holders, 1);
    *out = list;
    return STATUS_DONE;
}

int roll_new(struct roll **out, const struct options *options)
{
    struct roll *roll = calloc(1, sizeof *roll);
    int status;

    *out = NULL;
    if (!roll) {
        say_error("memory", "%s", helio_strerror(HELIO_E_MEMORY));
        return STATUS_LOCAL;
    }
    roll->strict = options->allow != NULL;
    roll->path = roll->strict ? options->allow : options->known;
    pthread_mutex_init(&roll->lock, NULL); /* the default kind; it cannot fail on Linux */
    status = list_read(roll, &roll->current);
    if (status != STATUS_DONE) {
        roll_free(roll);
        return status;
    }
    *out = roll;
    return STATUS_DONE;
}

void roll_free(struct roll *roll)
{
    if (!roll)
        return;
    roll_let_go(roll->current);
    pthread_mutex_destroy(&roll->lock);
    free(roll);
}

int roll_reload(struct roll *roll)
{
    struct roll_list *list, *old;
    int status = list_read(roll, &list);

    if (status != STATUS_DONE) {
        say_warn("roll-kept", "the stations that %s named before are served on", roll->path);
        return status;
    }
    say_fields(
        SAY_NOTE, "roll-read",
        (const struct say_field[]){{.key = "file", .text = roll->path},
                                   {.key = "stations", .number = helio_known_count(list->known)},
                                   {.key = NULL}},
        "read %s again: stations %zu", roll->path, helio_known_count(list->known));
    pthread_mutex_lock(&roll->lock);
    old = roll->current;
    roll->current = list;
    pthread_mutex_unlock(&roll->lock);
    roll_let_go(old);
    return STATUS_DONE;
}

const char *roll_path(const struct roll *roll)
{
    return roll->path;
}

bool roll_strict(const struct roll *roll)
{
    return roll->strict;
}

struct roll_list *roll_hold(struct roll *roll)
{
    struct roll_list *list;

    pthread_mutex_lock(&roll->lock);
    list = roll->current;
    atomic_fetch_add_explicit(&list->holders, 1, memory_order_relaxed);
    pthread_mutex_unlock(&roll->lock);
    return list;
}

const helio_known *roll_known(const struct roll_list *list)
{
    return list->known;
}

void roll_let_go(struct roll_list *list)
{
    /* What the others did with the list comes before its end. */
    if (!list || atomic_fetch_sub_explicit(&list->holders, 1, memory_order_acq_rel) != 1)
        return;
    helio_known_free(list->known);
    free(list);
}
