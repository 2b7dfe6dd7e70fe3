/*
 * known.c: the file of known stations.
 *
 * The file, line by line: "NAME FINGERPRINT", or a comment (first character '#'), or blank.  Spaces
 * and tabs may surround and separate the two fields; a line ends with LF, CR LF or the end of the
 * file.  A NAME is UTF-8 that may be shown (base/text.h), has no space, does not begin with '#' and
 * is 1 to 255 bytes.  A NUL byte makes any line bad: no editor writes it, a damaged disk does.
 *
 * Reading never changes the file and takes no lock: it is only ever replaced whole.  Changing it
 * copies every other line byte for byte, comments and odd spacing included, and is refused while
 * there is a bad line, since nobody can tell what that was meant to say.
 *
 * Cost: n log n in the size of the file, whatever it holds, for reading, and so for changing; log n
 * for a look.
 */
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "identity/file.h"

enum { KNOWN_FILE_MAX = 16 << 20, KNOWN_NAME_MAX = 255 };

struct helio_known {
    struct buffer text; /* the file, with NULs behind the names, which stations point at */
    helio_station *stations;
    const helio_station **by_name; /* the same, sorted … */
    const helio_station **by_key;  /* … and once more, by fingerprint */
    size_t count;
    size_t capacity;
};

/* -- names -- */

static bool name_may_stand(const char *name, size_t n)
{
    return n >= 1 && n <= KNOWN_NAME_MAX && name[0] != '#' && !memchr(name, ' ', n) &&
           text_is_name((const uint8_t *)name, n);
}

/* -- lines -- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* A stretch of the file's text. */
struct stretch {
    char *p;
    size_t n;
};

/* Cuts the next field off the front of rest; it is empty at the end of the line. */
static struct stretch next_field(struct stretch *rest)
{
    struct stretch field;

    while (rest->n > 0 && is_blank(*rest->p)) {
        rest->p++;
        rest->n--;
    }
    field = (struct stretch){rest->p, 0};
    while (field.n < rest->n && !is_blank(field.p[field.n]))
        field.n++;
    rest->p += field.n;
    rest->n -= field.n;
    return field;
}

/* The line at the front of rest (not empty), without its ending, which is cut off as well. */
static struct stretch next_line(struct stretch *rest)
{
    assert(rest->p && rest->n > 0);
    char *end = memchr(rest->p, '\n', rest->n);
    struct stretch line = {rest->p, end ? (size_t)(end - rest->p) : rest->n};
    size_t taken = end ? line.n + 1 : line.n;

    rest->p += taken;
    rest->n -= taken;
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

/* False when the line is bad; station->name stays NULL when nothing stands in it. */
static bool read_line(struct stretch line, helio_station *station)
{
    char text[HELIO_FINGERPRINT_TEXT];

    if (line.n > 0 && memchr(line.p, '\0', line.n))
        return false;
    struct stretch name = next_field(&line);
    if (name.n == 0 || name.p[0] == '#')
        return true;
    struct stretch fp = next_field(&line);
    if (!name_may_stand(name.p, name.n) || fp.n != sizeof text - 1 || next_field(&line).n != 0)
        return false;
    memcpy(text, fp.p, fp.n);
    text[fp.n] = '\0';
    if (helio_fingerprint_parse(&station->fingerprint, text))
        return false;
    /* At least one blank stands behind the name. */
    name.p[name.n] = '\0';
    station->name = name.p;
    return true;
}

/* -- the list -- */

static enum helio_err list_append(helio_known *known, const helio_station *station)
{
    if (known->count == known->capacity) {
        size_t capacity = known->capacity ? 2 * known->capacity : 16;
        /* No overflow: the file's size bounds the count. */
        helio_station *grown = realloc(known->stations, capacity * sizeof *grown);

        if (!grown)
            return HELIO_E_MEMORY;
        known->stations = grown;
        known->capacity = capacity;
    }
    known->stations[known->count++] = *station;
    return HELIO_OK;
}

/* By name, and in the file's order where names are equal. */
static int compare_stations(const void *a, const void *b)
{
    const helio_station *x = *(const helio_station *const *)a;
    const helio_station *y = *(const helio_station *const *)b;
    int order = strcmp(x->name, y->name);

    return order ? order : (x->line > y->line) - (x->line < y->line);
}

/* By fingerprint, and in the file's order where several names have one. */
static int compare_keys(const void *a, const void *b)
{
    const helio_station *x = *(const helio_station *const *)a;
    const helio_station *y = *(const helio_station *const *)b;
    int order = memcmp(&x->fingerprint, &y->fingerprint, sizeof x->fingerprint);

    return order ? order : (x->line > y->line) - (x->line < y->line);
}

static enum helio_err sort(const helio_known *known, const helio_station ***out,
                           int (*compare)(const void *, const void *))
{
    *out = calloc(known->count, sizeof **out);
    if (!*out)
        return HELIO_E_MEMORY;
    for (size_t i = 0; i < known->count; i++)
        (*out)[i] = &known->stations[i];
    qsort(*out, known->count, sizeof **out, compare);
    return HELIO_OK;
}

static enum helio_err sort_both(helio_known *known)
{
    enum helio_err err;

    if (known->count == 0)
        return HELIO_OK;
    err = sort(known, &known->by_name, compare_stations);
    return err ? err : sort(known, &known->by_key, compare_keys);
}

/* The first line whose name stands in an earlier one, or 0. */
static unsigned first_repeated_line(const helio_known *known)
{
    unsigned first = 0;

    for (size_t i = 1; i < known->count; i++) {
        const helio_station *s = known->by_name[i];

        if (strcmp(known->by_name[i - 1]->name, s->name) == 0 && (first == 0 || s->line < first))
            first = s->line;
    }
    return first;
}

/*
 * Reads known->text into the list.  *bad_line is the first bad line, or 0.  Lines count in an
 * unsigned: there are no more of them than bytes in the file.
 */
static enum helio_err parse(helio_known *known, unsigned *bad_line)
{
    struct stretch rest = {(char *)buffer_front(&known->text), buffer_size(&known->text)};
    enum helio_err err;
    unsigned bad = 0;

    for (unsigned number = 1; rest.n > 0 && bad == 0; number++) {
        helio_station station = {.line = number};

        if (!read_line(next_line(&rest), &station)) {
            bad = number;
        } else if (station.name) {
            err = list_append(known, &station);
            if (err)
                return err;
        }
    }
    err = sort_both(known);
    if (err)
        return err;
    /* What was read stands before the bad line; so does a repetition in it. */
    unsigned repeated = first_repeated_line(known);
    *bad_line = repeated ? repeated : bad;
    return *bad_line ? HELIO_E_FORMAT : HELIO_OK;
}

/* -- loading and looking up -- */

/* Takes text over, also when it fails. */
static enum helio_err known_from_text(helio_known **out, struct buffer *text, unsigned *bad_line)
{
    helio_known *known = calloc(1, sizeof *known);
    enum helio_err err;

    if (!known) {
        buffer_clear(text);
        return HELIO_E_MEMORY;
    }
    known->text = *text;
    buffer_init(text, 0);
    err = parse(known, bad_line);
    if (err)
        helio_known_free(known);
    else
        *out = known;
    return err;
}

/* *st has st_nlink 0 when there is no file, and the text is empty. */
static enum helio_err read_text(const char *path, struct buffer *text, struct stat *st)
{
    *st = (struct stat){0};
    enum helio_err err = file_read(path, FILE_WRITABLE_BY_OTHERS, KNOWN_FILE_MAX, text, st);

    return err == HELIO_E_SYSTEM && errno == ENOENT ? HELIO_OK : err;
}

enum helio_err helio_known_load(helio_known **out, const char *path, unsigned *bad_line)
{
    struct buffer text;
    struct stat st;
    unsigned bad = 0;
    enum helio_err err;

    *out = NULL;
    err = read_text(path, &text, &st);
    if (err)
        buffer_clear(&text);
    else
        err = known_from_text(out, &text, &bad);
    if (bad_line)
        *bad_line = bad;
    return err;
}

void helio_known_free(helio_known *known)
{
    if (!known)
        return;
    buffer_clear(&known->text);
    free(known->stations);
    free(known->by_name);
    free(known->by_key);
    free(known);
}

size_t helio_known_count(const helio_known *known)
{
    return known->count;
}

const helio_station *helio_known_at(const helio_known *known, size_t i)
{
    return &known->stations[i];
}

static int compare_to_name(const void *name, const void *element)
{
    return strcmp(name, (*(const helio_station *const *)element)->name);
}

const helio_station *helio_known_by_name(const helio_known *known, const char *name)
{
    const helio_station **found = NULL;

    if (known->count > 0)
        found = bsearch(name, known->by_name, known->count, sizeof *found, compare_to_name);
    return found ? *found : NULL;
}

const helio_station *helio_known_by_fingerprint(const helio_known *known,
                                                const helio_fingerprint *fp)
{
    size_t low = 0, high = known->count;

    /* The first that does not stand before fp is in low..high; high may be past the last. */
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (memcmp(&known->by_key[middle]->fingerprint, fp, sizeof *fp) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < known->count && helio_fingerprint_equal(&known->by_key[low]->fingerprint, fp)
               ? known->by_key[low]
               : NULL;
}

/* -- changing -- */

/* A file under change.  Ended by change_end on every path. */
struct change {
    char *path; /* behind all symbolic links */
    int lock;
    struct buffer text; /* as it stands on disk */
    struct stat st;
    helio_known *known; /* the same, understood */
};

static enum helio_err change_begin(struct change *c, const char *path)
{
    struct buffer copy;
    unsigned bad_line;
    enum helio_err err;

    *c = (struct change){.lock = -1};
    err = file_resolve(path, &c->path);
    if (err)
        return err;
    err = file_lock(c->path, &c->lock);
    if (err)
        return err;
    err = read_text(c->path, &c->text, &c->st);
    if (err)
        return err;
    /* Understanding writes into the text, and what goes back to disk must be what came from it. */
    buffer_init(&copy, KNOWN_FILE_MAX);
    err = buffer_append(&copy, buffer_front(&c->text), buffer_size(&c->text));
    if (err) {
        buffer_clear(&copy);
        return err;
    }
    return known_from_text(&c->known, &copy, &bad_line);
}

static void change_end(struct change *c)
{
    helio_known_free(c->known);
    buffer_clear(&c->text);
    file_unlock(c->lock);
    free(c->path);
}

static enum helio_err change_commit(const struct change *c)
{
    bool is_new = c->st.st_nlink == 0;

    return file_replace(c->path, buffer_front(&c->text), buffer_size(&c->text),
                        is_new ? NULL : &c->st);
}

/* Puts "NAME FINGERPRINT\n" at the end, behind a final newline that the file may lack. */
static enum helio_err append_line(struct buffer *text, const char *name,
                                  const helio_fingerprint *fp)
{
    char line[1 + KNOWN_NAME_MAX + 1 + HELIO_FINGERPRINT_TEXT];
    size_t size = buffer_size(text), name_n = strlen(name), n = 0;

    if (size > 0 && buffer_front(text)[size - 1] != '\n')
        line[n++] = '\n';
    memcpy(line + n, name, name_n);
    n += name_n;
    line[n++] = ' ';
    helio_fingerprint_format(fp, line + n);
    n += HELIO_FINGERPRINT_TEXT;
    line[n - 1] = '\n'; /* where the NUL was */
    if (size + n > KNOWN_FILE_MAX)
        return HELIO_E_TOO_LONG;
    return buffer_append(text, line, n);
}

enum helio_err helio_known_add(const char *path, const char *name, const helio_fingerprint *fp)
{
    struct change c;
    const helio_station *there;
    enum helio_err err;

    if (!name_may_stand(name, strnlen(name, KNOWN_NAME_MAX + 1)))
        return HELIO_E_ARGUMENT;
    err = change_begin(&c, path);
    if (err)
        goto out;
    there = helio_known_by_name(c.known, name);
    if (there) {
        err = helio_fingerprint_equal(&there->fingerprint, fp) ? HELIO_OK : HELIO_E_EXISTS;
        goto out;
    }
    err = append_line(&c.text, name, fp);
    if (err)
        goto out;
    err = change_commit(&c);
out:
    change_end(&c);
    return err;
}

/* Takes out the line of that number, which is there, with its ending. */
static void remove_line(struct buffer *text, unsigned number)
{
    struct stretch rest = {(char *)buffer_front(text), buffer_size(text)};
    char *line;

    while (--number > 0)
        next_line(&rest);
    line = rest.p;
    next_line(&rest);
    text->end -= (size_t)(rest.p - line);
    memmove(line, rest.p, rest.n);
}

enum helio_err helio_known_remove(const char *path, const char *name)
{
    struct change c;
    const helio_station *there;
    enum helio_err err = change_begin(&c, path);

    if (err)
        goto out;
    there = helio_known_by_name(c.known, name);
    if (!there) {
        err = HELIO_E_NOT_FOUND;
        goto out;
    }
    remove_line(&c.text, there->line);
    err = change_commit(&c);
out:
    change_end(&c);
    return err;
}
