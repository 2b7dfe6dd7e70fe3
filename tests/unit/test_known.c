#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "helio.h"
#include "identity/file.h"
#include "unit/scratch.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

/* Fingerprints of nothing in particular. */
#define FP_A "SHA256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define FP_B "SHA256:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8"

enum { FILE_MAX = 16 << 20 };

static helio_fingerprint fp_of_text(const char *text)
{
    helio_fingerprint fp;

    assert_int_equal(helio_fingerprint_parse(&fp, text), HELIO_OK);
    return fp;
}

/* Another one for each name, so that an entry shows whether its two halves belong together. */
static helio_fingerprint fp_of_name(const char *name)
{
    helio_fingerprint fp;
    uint32_t state = 2166136261u;

    for (const char *c = name; *c; c++)
        state = (state ^ (uint8_t)*c) * 16777619u;
    for (size_t i = 0; i < sizeof fp.sha256; i++) {
        state = state * 1664525u + 1013904223u;
        fp.sha256[i] = (uint8_t)(state >> 24);
    }
    return fp;
}

static helio_known *load(const char *path)
{
    helio_known *known;
    unsigned bad_line = 99;
    enum helio_err err = helio_known_load(&known, path, &bad_line);

    if (err || bad_line)
        fail_msg("%s: expected to load, seen %s, line %u", path, helio_strerror(err), bad_line);
    return known;
}

static void assert_text(const char *name, const char *expected, size_t expected_n)
{
    size_t n;
    char *text = scratch_read(name, &n);

    if (n != expected_n || memcmp(text, expected, n) != 0)
        fail_msg("%s: expected (%zu) \"%s\", seen (%zu) \"%s\"", name, expected_n, expected, n,
                 text);
    free(text);
}

/* ----------------------------------------------------------------------------------- reading -- */

#define TEXT(literal) (literal), sizeof(literal) - 1

static const struct good_case {
    const char *text;
    size_t n;
    const char *seen; /* "line=name " for each station */
} good_cases[] = {
    {TEXT(""), ""},
    {TEXT("\n"), ""},
    {TEXT(" \t\r\n\n\r\n# alice " FP_A "\n  # indented\n#"), ""},
    {TEXT("alice " FP_A), "1=alice "},
    {TEXT("alice " FP_A "\n"), "1=alice "},
    {TEXT("alice " FP_A "\r\nbob " FP_B "\r\n"), "1=alice 2=bob "},
    {TEXT("alice " FP_A "\r"), "1=alice "},
    {TEXT("zoe " FP_A "\n\n# x\nbob " FP_A "\nalice " FP_B "\n"), "1=zoe 4=bob 5=alice "},
    {TEXT("\t alice \t " FP_A " \t\n"), "1=alice "},
    {TEXT("example.org:1991 " FP_A "\n[2001:db8::1]:1991 " FP_B "\n"),
     "1=example.org:1991 2=[2001:db8::1]:1991 "},
    {TEXT("a#b " FP_A "\n"), "1=a#b "},
    {TEXT("na\xc3\xafve\xf0\x9f\x9b\xb0 " FP_A "\n"), "1=na\xc3\xafve\xf0\x9f\x9b\xb0 "},
    {TEXT("a " FP_A "\naa " FP_A "\nA " FP_A "\n"), "1=a 2=aa 3=A "},
    {TEXT("# not UTF-8: \xff\xfe\n\nbob " FP_B "\n"), "3=bob "},
};

static void good_files_give_their_stations_in_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good_cases); i++) {
        const struct good_case *c = &good_cases[i];
        char seen[512] = "";

        scratch_write("known", c->text, c->n, 0600);
        helio_known *known = load("known");
        for (size_t k = 0; k < helio_known_count(known); k++) {
            const helio_station *s = helio_known_at(known, k);
            size_t n = strlen(seen);

            snprintf(seen + n, sizeof seen - n, "%u=%s ", s->line, s->name);
            if (helio_known_by_name(known, s->name) != s)
                fail_msg("case %zu: %s is not found by its name", i, s->name);
        }
        if (strcmp(seen, c->seen) != 0)
            fail_msg("case %zu: expected \"%s\", seen \"%s\"", i, c->seen, seen);
        assert_null(helio_known_by_name(known, "nobody"));
        assert_null(helio_known_by_name(known, ""));
        helio_known_free(known);
    }
    helio_known_free(NULL);
}

static const struct bad_case {
    const char *what;
    const char *text;
    size_t n;
    unsigned line;
} bad_cases[] = {
    {"a name alone", TEXT("alice\n"), 1},
    {"a name alone at the end", TEXT("# x\n\nalice"), 3},
    {"a fingerprint alone", TEXT(FP_A "\n"), 1},
    {"the wrong way round", TEXT(FP_A " alice\n"), 1},
    {"a third field", TEXT("bob " FP_B "\nalice " FP_A " laptop\n"), 2},
    {"a comment behind", TEXT("alice " FP_A " # laptop\n"), 1},
    {"a fingerprint too short", TEXT("alice SHA256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh\n"),
     1},
    {"a fingerprint too long", TEXT("alice " FP_A "A\n"), 1},
    {"padded base64", TEXT("alice " FP_A "=\n"), 1},
    {"stray last bits", TEXT("alice SHA256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9\n"), 1},
    {"another hash", TEXT("alice SHA512:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n"), 1},
    {"a lower-case prefix", TEXT("alice sha256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n"), 1},
    {"no prefix", TEXT("alice AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n"), 1},
    {"a NUL in a name", TEXT("al\0ice " FP_A "\n"), 1},
    {"a NUL in a fingerprint", TEXT("alice SHA256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh\0\n"),
     1},
    {"a NUL in a comment", TEXT("bob " FP_B "\n# \0\n"), 2},
    {"a NUL on a blank line", TEXT("\n\n\0\n"), 3},
    {"a NUL at the end", TEXT("alice " FP_A "\n\0"), 2},
    {"a control in a name", TEXT("al\x1b[2Jice " FP_A "\n"), 1},
    {"a CR in the middle", TEXT("alice\r" FP_A "\n"), 1},
    {"two CRs", TEXT("alice " FP_A "\r\r\n"), 1},
    {"CRs alone", TEXT("alice " FP_A "\rbob " FP_B "\r"), 1},
    {"a vertical tab between", TEXT("alice\v" FP_A "\n"), 1},
    {"a right-to-left override", TEXT("al\xe2\x80\xaeice " FP_A "\n"), 1},
    {"not UTF-8",
     TEXT("al\xff"
          "ice " FP_A "\n"),
     1},
    {"a name cut within a character", TEXT("al\xc3 " FP_A "\n"), 1},
    {"a name twice", TEXT("alice " FP_A "\nalice " FP_B "\n"), 2},
    {"a name twice with one key", TEXT("alice " FP_A "\n\nalice " FP_A), 3},
    {"a name three times", TEXT("b " FP_A "\na " FP_A "\nb " FP_A "\nb " FP_A "\n"), 3},
    {"two names twice", TEXT("a " FP_A "\nz " FP_A "\nz " FP_A "\na " FP_A "\n"), 3},
    {"a name twice before a bad line", TEXT("a " FP_A "\na " FP_A "\nbad\n"), 2},
    {"a bad line before a name twice", TEXT("a " FP_A "\nbad\na " FP_A "\n"), 2},
    {"two bad lines", TEXT("bad\nbad\n"), 1},
};

static void bad_files_name_their_first_bad_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_cases); i++) {
        const struct bad_case *c = &bad_cases[i];
        helio_known *known = (helio_known *)&known;
        unsigned line = 0;

        scratch_write("known", c->text, c->n, 0600);
        enum helio_err err = helio_known_load(&known, "known", &line);
        if (err != HELIO_E_FORMAT || line != c->line || known)
            fail_msg("%s: expected line %u, seen line %u, %s", c->what, c->line, line,
                     helio_strerror(err));
        assert_int_equal(helio_known_load(&known, "known", NULL), HELIO_E_FORMAT);
        /* What nobody understands nobody changes. */
        helio_fingerprint fp = fp_of_text(FP_A);
        assert_int_equal(helio_known_add("known", "carol", &fp), HELIO_E_FORMAT);
        assert_int_equal(helio_known_remove("known", "alice"), HELIO_E_FORMAT);
        assert_text("known", c->text, c->n);
    }
}

/* name: so many times unit, as long as the file allows or not. */
static const struct length_case {
    const char *unit;
    unsigned times;
    bool good;
} length_cases[] = {
    {"n", 255, true},           {"n", 256, false},           {"n", 100000, false},
    {"\xe2\x82\xac", 85, true}, {"\xe2\x82\xac", 86, false},
};

static void names_have_at_most_255_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(length_cases); i++) {
        const struct length_case *c = &length_cases[i];
        size_t unit_n = strlen(c->unit), n = unit_n * c->times;
        char *text = malloc(n + sizeof " " FP_A);

        assert_non_null(text);
        for (size_t k = 0; k < n; k++)
            text[k] = c->unit[k % unit_n];
        strcpy(text + n, " " FP_A);
        scratch_write("known", text, strlen(text), 0600);
        helio_known *known;
        unsigned line;
        enum helio_err err = helio_known_load(&known, "known", &line);
        if (err != (c->good ? HELIO_OK : HELIO_E_FORMAT) || line != !c->good)
            fail_msg("length case %zu: seen %s, line %u", i, helio_strerror(err), line);
        helio_known_free(known);
        text[n] = '\0';
        helio_fingerprint fp = fp_of_text(FP_A);
        assert_int_equal(helio_known_add("new", text, &fp), c->good ? HELIO_OK : HELIO_E_ARGUMENT);
        free(text);
        assert_int_equal(scratch_empty(NULL), 0);
    }
}

static void a_fingerprint_finds_its_first_name(void **state)
{
    (void)state;
    static const char text[] = "zoe " FP_B "\nbob " FP_A "\nalice " FP_B "\n";
    helio_fingerprint a = fp_of_text(FP_A), b = fp_of_text(FP_B), none = fp_of_name("none");

    scratch_write("known", text, sizeof text - 1, 0600);
    helio_known *known = load("known");
    assert_string_equal(helio_known_by_fingerprint(known, &a)->name, "bob");
    assert_string_equal(helio_known_by_fingerprint(known, &b)->name, "zoe");
    assert_null(helio_known_by_fingerprint(known, &none));
    helio_known_free(known);
}

/* Against a look at every line, for lists of each small size, every third name a second one. */
static void each_fingerprint_is_found(void **state)
{
    (void)state;
    for (size_t n = 0; n < 40; n++) {
        char text[40 * 80] = "", name[16], fp_text[HELIO_FINGERPRINT_TEXT];
        size_t used = 0;

        for (size_t i = 0; i < n; i++) {
            snprintf(name, sizeof name, "s%zu", i % 3 ? i : i / 2);
            helio_fingerprint fp = fp_of_name(name);
            helio_fingerprint_format(&fp, fp_text);
            used += (size_t)snprintf(text + used, sizeof text - used, "n%zu %s\n", i, fp_text);
        }
        scratch_write("known", text, used, 0600);
        helio_known *known = load("known");
        for (size_t i = 0; i <= n; i++) {
            snprintf(name, sizeof name, "s%zu", i);
            helio_fingerprint fp = fp_of_name(name);
            const helio_station *expected = NULL;
            for (size_t k = 0; k < n && !expected; k++)
                if (helio_fingerprint_equal(&helio_known_at(known, k)->fingerprint, &fp))
                    expected = helio_known_at(known, k);
            const helio_station *seen = helio_known_by_fingerprint(known, &fp);
            if (seen != expected)
                fail_msg("%zu lines, %s: expected %s, seen %s", n, name,
                         expected ? expected->name : "none", seen ? seen->name : "none");
        }
        helio_known_free(known);
    }
}

static void make_file(const char *name, mode_t mode)
{
    scratch_write(name, TEXT("alice " FP_A "\n"), mode);
}

static void make_directory(const char *name, mode_t mode)
{
    assert_int_equal(mkdir(name, mode), 0);
}

static void make_pipe(const char *name, mode_t mode)
{
    assert_int_equal(mkfifo(name, mode), 0);
}

static void make_link(const char *name, mode_t mode)
{
    make_file("target", mode);
    assert_int_equal(symlink("target", name), 0);
}

static void make_nothing(const char *name, mode_t mode)
{
    (void)name;
    (void)mode;
}

static const struct kind_case {
    void (*make)(const char *name, mode_t mode);
    mode_t mode;
    enum helio_err err;
    size_t count;
} kind_cases[] = {
    {make_file, 0600, HELIO_OK, 1},     {make_file, 0644, HELIO_OK, 1},
    {make_file, 0400, HELIO_OK, 1},     {make_file, 0755, HELIO_OK, 1},
    {make_file, 0620, HELIO_E_MODE, 0}, {make_file, 0602, HELIO_E_MODE, 0},
    {make_file, 0666, HELIO_E_MODE, 0}, {make_link, 0600, HELIO_OK, 1},
    {make_link, 0660, HELIO_E_MODE, 0}, {make_directory, 0700, HELIO_E_MODE, 0},
    {make_pipe, 0600, HELIO_E_MODE, 0}, {make_nothing, 0, HELIO_OK, 0},
};

static void only_files_that_no_other_may_write_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(kind_cases); i++) {
        const struct kind_case *c = &kind_cases[i];
        helio_known *known;
        unsigned line = 7;

        c->make("known", c->mode);
        enum helio_err err = helio_known_load(&known, "known", &line);
        if (err != c->err || line != 0 || !known != (err != HELIO_OK))
            fail_msg("kind case %zu: expected %s, seen %s", i, helio_strerror(c->err),
                     helio_strerror(err));
        if (known)
            assert_int_equal(helio_known_count(known), c->count);
        helio_known_free(known);
        helio_fingerprint fp = fp_of_text(FP_B);
        err = helio_known_add("known", "bob", &fp);
        if (err != c->err)
            fail_msg("kind case %zu: expected %s from add, seen %s", i, helio_strerror(c->err),
                     helio_strerror(err));
        assert_int_equal(scratch_count(".helio-"), 0);
        assert_int_equal(scratch_empty(NULL), 0);
    }
}

/* Runs in a child, so that this process stays root. */
static int load_as_nobody(const char *path)
{
    pid_t pid = fork();
    int status = 0;

    if (pid == 0) {
        helio_known *known;

        if (setgid(65534) != 0 || setuid(65534) != 0)
            _exit(100);
        enum helio_err err = helio_known_load(&known, path, NULL);
        helio_known_free(known);
        _exit((int)err);
    }
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void a_strangers_file_is_refused(void **state)
{
    (void)state;
    static const struct {
        uid_t owner;
        enum helio_err err;
    } owners[] = {{0, HELIO_OK}, {65534, HELIO_OK}, {1, HELIO_E_MODE}};

    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(".", 0755), 0);
    for (size_t i = 0; i < COUNT(owners); i++) {
        make_file("known", 0644);
        assert_int_equal(chown("known", owners[i].owner, 0), 0);
        assert_int_equal(load_as_nobody("known"), owners[i].err);
        helio_known_free(load("known")); /* root may read everybody's */
    }
    assert_int_equal(chmod(".", 0700), 0);
}

static void the_systems_refusals_keep_errno(void **state)
{
    (void)state;
    helio_fingerprint fp = fp_of_text(FP_A);
    helio_known *known = load("nowhere/known");

    assert_int_equal(helio_known_count(known), 0);
    helio_known_free(known);
    errno = 0;
    assert_int_equal(helio_known_add("nowhere/known", "alice", &fp), HELIO_E_SYSTEM);
    assert_int_equal(errno, ENOENT);
    errno = 0;
    assert_int_equal(helio_known_remove("nowhere/known", "alice"), HELIO_E_SYSTEM);
    assert_int_equal(errno, ENOENT);
    make_file("plain", 0600);
    errno = 0;
    assert_int_equal(helio_known_load(&known, "plain/known", NULL), HELIO_E_SYSTEM);
    assert_int_equal(errno, ENOTDIR);
    assert_null(known);
}

/* ---------------------------------------------------------------------------------- changing -- */

enum change { ADD, REMOVE };

static const struct change_case {
    const char *before; /* NULL: no file */
    enum change change;
    const char *name;
    const char *fp;
    enum helio_err err;
    const char *after; /* NULL: as before */
} change_cases[] = {
    {NULL, ADD, "alice", FP_A, HELIO_OK, "alice " FP_A "\n"},
    {"", ADD, "alice", FP_A, HELIO_OK, "alice " FP_A "\n"},
    {"# mine\n", ADD, "[::1]:1991", FP_A, HELIO_OK, "# mine\n[::1]:1991 " FP_A "\n"},
    {"# mine", ADD, "alice", FP_A, HELIO_OK, "# mine\nalice " FP_A "\n"},
    {"bob " FP_B, ADD, "alice", FP_B, HELIO_OK, "bob " FP_B "\nalice " FP_B "\n"},
    {" bob\t" FP_B " \r\n\n", ADD, "al", FP_A, HELIO_OK, " bob\t" FP_B " \r\n\nal " FP_A "\n"},
    {"bob " FP_B "\r", ADD, "al", FP_A, HELIO_OK, "bob " FP_B "\r\nal " FP_A "\n"},
    {"bob   " FP_B, ADD, "bob", FP_B, HELIO_OK, NULL},
    {"bob " FP_B "\n", ADD, "bob", FP_A, HELIO_E_EXISTS, NULL},
    {"bob " FP_B "\n", ADD, "", FP_A, HELIO_E_ARGUMENT, NULL},
    {"bob " FP_B "\n", ADD, "#alice", FP_A, HELIO_E_ARGUMENT, NULL},
    {"bob " FP_B "\n", ADD, "al ice", FP_A, HELIO_E_ARGUMENT, NULL},
    {"bob " FP_B "\n", ADD, " alice", FP_A, HELIO_E_ARGUMENT, NULL},
    {"bob " FP_B "\n", ADD, "al\tice", FP_A, HELIO_E_ARGUMENT, NULL},
    {"bob " FP_B "\n", ADD, "alice\n", FP_A, HELIO_E_ARGUMENT, NULL},
    {"bob " FP_B "\n", ADD, "alice\r", FP_A, HELIO_E_ARGUMENT, NULL},
    {"bob " FP_B "\n", ADD, "al\xc2\x9bice", FP_A, HELIO_E_ARGUMENT, NULL},
    {"bob " FP_B "\n", ADD, "al\xe2\x81\xa6", FP_A, HELIO_E_ARGUMENT, NULL},
    {"bob " FP_B "\n", ADD, "al\xff", FP_A, HELIO_E_ARGUMENT, NULL},
    {NULL, REMOVE, "alice", NULL, HELIO_E_NOT_FOUND, NULL},
    {"bob " FP_B "\n", REMOVE, "alice", NULL, HELIO_E_NOT_FOUND, NULL},
    {"bob " FP_B "\n", REMOVE, "bo", NULL, HELIO_E_NOT_FOUND, NULL},
    {"# bob\n", REMOVE, "#", NULL, HELIO_E_NOT_FOUND, NULL},
    {"bob " FP_B "\n", REMOVE, "", NULL, HELIO_E_NOT_FOUND, NULL},
    {"bob " FP_B "\n", REMOVE, "bob", NULL, HELIO_OK, ""},
    {"bob " FP_B, REMOVE, "bob", NULL, HELIO_OK, ""},
    {"a " FP_A "\r\n # x\n\tb  " FP_B "\r\n\r\n \nc " FP_B, REMOVE, "b", NULL, HELIO_OK,
     "a " FP_A "\r\n # x\n\r\n \nc " FP_B},
    {"a " FP_A "\nb " FP_B, REMOVE, "b", NULL, HELIO_OK, "a " FP_A "\n"},
    {"a " FP_A "\nb " FP_B, REMOVE, "a", NULL, HELIO_OK, "b " FP_B},
    {"\n\n# \xff\na " FP_A "\n\n", REMOVE, "a", NULL, HELIO_OK, "\n\n# \xff\n\n"},
};

static enum helio_err apply(const struct change_case *c)
{
    if (c->change == REMOVE)
        return helio_known_remove("known", c->name);
    helio_fingerprint fp = fp_of_text(c->fp);
    return helio_known_add("known", c->name, &fp);
}

static void a_change_touches_one_line_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(change_cases); i++) {
        const struct change_case *c = &change_cases[i];
        const char *after = c->after ? c->after : c->before;

        if (c->before)
            scratch_write("known", c->before, strlen(c->before), 0600);
        enum helio_err err = apply(c);
        if (err != c->err)
            fail_msg("change case %zu: expected %s, seen %s", i, helio_strerror(c->err),
                     helio_strerror(err));
        if (after)
            assert_text("known", after, strlen(after));
        else
            assert_false(scratch_exists("known"));
        assert_int_equal(scratch_count(".helio-"), 0);
        assert_int_equal(scratch_empty(NULL), 0);
    }
}

static void a_refused_name_leaves_no_trace(void **state)
{
    (void)state;
    helio_fingerprint fp = fp_of_text(FP_A);

    assert_int_equal(helio_known_add("known", "al ice", &fp), HELIO_E_ARGUMENT);
    assert_false(scratch_exists("known"));
    assert_false(scratch_exists("known.lock"));
}

static void modes_and_owners_stay(void **state)
{
    (void)state;
    static const struct {
        mode_t umask;
        mode_t before; /* 0: no file */
        mode_t after;
    } cases[] = {
        {0, 0, 0600}, {0777, 0, 0600}, {022, 0644, 0644}, {0777, 0640, 0640}, {0, 0600, 0600}};
    helio_fingerprint fp = fp_of_text(FP_B);

    for (size_t i = 0; i < COUNT(cases); i++) {
        if (cases[i].before)
            make_file("known", cases[i].before);
        if (cases[i].before && geteuid() == 0)
            assert_int_equal(chown("known", 12, 34), 0);
        umask(cases[i].umask);
        enum helio_err err = helio_known_add("known", "bob", &fp);
        umask(022);
        assert_int_equal(err, HELIO_OK);
        assert_int_equal(scratch_mode("known"), cases[i].after);
        struct stat st, lock;
        assert_true(stat("known", &st) == 0 && stat("known.lock", &lock) == 0);
        if (cases[i].before && geteuid() == 0)
            assert_true(st.st_uid == 12 && st.st_gid == 34 && lock.st_uid == 12);
        assert_int_equal(scratch_empty(NULL), 0);
    }
}

static void a_link_stays_and_its_target_changes(void **state)
{
    (void)state;
    static const char before[] = "alice " FP_A "\n";
    static const char after[] = "alice " FP_A "\nbob " FP_B "\n";
    helio_fingerprint fp = fp_of_text(FP_B);
    struct stat st;

    assert_int_equal(mkdir("far", 0700), 0);
    scratch_write("far/target", before, sizeof before - 1, 0600);
    assert_int_equal(symlink("far/target", "middle"), 0);
    assert_int_equal(symlink("middle", "known"), 0);
    assert_int_equal(helio_known_add("known", "bob", &fp), HELIO_OK);
    assert_true(lstat("known", &st) == 0 && S_ISLNK(st.st_mode));
    assert_true(lstat("middle", &st) == 0 && S_ISLNK(st.st_mode));
    assert_true(lstat("far/target", &st) == 0 && S_ISREG(st.st_mode));
    assert_text("far/target", after, sizeof after - 1);
    /* Whichever name one comes by, the lock is the same. */
    assert_true(scratch_exists("far/target.lock"));
    assert_false(scratch_exists("known.lock"));
    assert_int_equal(helio_known_remove("middle", "bob"), HELIO_OK);
    assert_text("far/target", before, sizeof before - 1);

    assert_int_equal(symlink("nothing", "dangling"), 0);
    errno = 0;
    assert_int_equal(helio_known_add("dangling", "bob", &fp), HELIO_E_SYSTEM);
    assert_int_equal(errno, ENOENT);
    assert_true(lstat("dangling", &st) == 0 && S_ISLNK(st.st_mode));
    helio_known_free(load("dangling"));
}

/* ----------------------------------------------------------------------------------------- size -- */

/* So many lines as fit, every one another name, in descending order; returns the length. */
static size_t fill_with_stations(char *text, unsigned *lines)
{
    size_t n = 0;

    *lines = 0;
    while (n + 9 + sizeof FP_A <= FILE_MAX) {
        snprintf(text + n, 10, "s%07u ", 9999999 - ++*lines);
        memcpy(text + n + 9, FP_A "\n", sizeof FP_A);
        n += 9 + sizeof FP_A;
    }
    return n;
}

static void the_largest_file_is_read_at_once(void **state)
{
    (void)state;
    char *text = malloc(FILE_MAX);
    unsigned lines, bad_line;
    helio_known *known;

    assert_non_null(text);
    size_t n = fill_with_stations(text, &lines);
    memset(text + n, '#', FILE_MAX - n);
    scratch_write("known", text, FILE_MAX, 0600);
    clock_t begin = clock();
    known = load("known");
    double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
    assert_int_equal(helio_known_count(known), lines);
    assert_int_equal(helio_known_by_name(known, "s9999998")->line, 1);
    assert_int_equal(helio_known_by_name(known, helio_known_at(known, lines - 1)->name)->line,
                     lines);
    helio_known_free(known);
    /* It takes a fifth of a second; comparing each name with each takes minutes. */
    if (seconds > 20)
        fail_msg("%u stations took %.1f s of processor time", lines, seconds);
    /* The last station again under the name of the first. */
    memcpy(text + n - 9 - sizeof FP_A, "s9999998", 8);
    scratch_write("known", text, FILE_MAX, 0600);
    assert_int_equal(helio_known_load(&known, "known", &bad_line), HELIO_E_FORMAT);
    assert_int_equal(bad_line, lines);
    free(text);
}

static void sixteen_mebibytes_are_the_bound(void **state)
{
    (void)state;
    static const char line[] = "bob " FP_B "\n";
    enum { LINE = sizeof line - 1 };
    helio_fingerprint fp = fp_of_text(FP_B);
    char *text = malloc(FILE_MAX + 1);
    struct stat st;
    helio_known *known;

    assert_non_null(text);
    memset(text, '#', FILE_MAX + 1);
    text[FILE_MAX - LINE - 1] = text[FILE_MAX - LINE] = '\n';
    scratch_write("known", text, FILE_MAX + 1, 0600);
    assert_int_equal(helio_known_load(&known, "known", NULL), HELIO_E_TOO_LONG);
    assert_int_equal(helio_known_add("known", "bob", &fp), HELIO_E_TOO_LONG);
    /* One byte too many for the new line, then none. */
    scratch_write("known", text, FILE_MAX - LINE + 1, 0600);
    assert_int_equal(helio_known_add("known", "bob", &fp), HELIO_E_TOO_LONG);
    assert_true(stat("known", &st) == 0 && st.st_size == FILE_MAX - LINE + 1);
    assert_int_equal(truncate("known", FILE_MAX - LINE), 0);
    assert_int_equal(helio_known_add("known", "bob", &fp), HELIO_OK);
    assert_true(stat("known", &st) == 0 && st.st_size == FILE_MAX);
    known = load("known");
    assert_non_null(helio_known_by_name(known, "bob"));
    helio_known_free(known);
    assert_int_equal(scratch_count(".helio-"), 0);
    free(text);
}

/* ------------------------------------------------------------------------------- adversities -- */

static void a_full_disk_leaves_the_old_file(void **state)
{
    (void)state;
    static const char before[] = "# one line of a hundred bytes is longer than what the limit lets "
                                 "through\nalice " FP_A "\n";
    helio_fingerprint fp = fp_of_text(FP_B);
    struct rlimit old, small;

    /* A file size limit stands for the disk: it, too, lets the first part of a write through. */
    scratch_write("known", before, sizeof before - 1, 0600);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){50, old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    errno = 0;
    enum helio_err add = helio_known_add("known", "bob", &fp);
    int add_errno = errno;
    errno = 0;
    enum helio_err new_file = helio_known_add("new", "bob", &fp);
    int new_errno = errno;
    /* No assertion before this: it would want to print. */
    int restored = setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(restored, 0);
    assert_int_equal(add, HELIO_E_SYSTEM);
    assert_int_equal(add_errno, EFBIG);
    assert_int_equal(new_file, HELIO_E_SYSTEM);
    assert_int_equal(new_errno, EFBIG);
    assert_text("known", before, sizeof before - 1);
    assert_false(scratch_exists("new"));
    assert_int_equal(scratch_count(".helio-"), 0);
}

static void writers_wait_for_the_lock(void **state)
{
    (void)state;
    helio_fingerprint fp = fp_of_text(FP_A);
    int lock, done[2], status;

    assert_int_equal(file_lock("known", &lock), HELIO_OK);
    assert_int_equal(pipe(done), 0);
    pid_t pid = fork();
    if (pid == 0) {
        file_unlock(lock); /* the child's copy would hold it too */
        enum helio_err err = helio_known_add("known", "alice", &fp);
        _exit(write(done[1], "x", 1) == 1 ? (int)err : 100);
    }
    struct pollfd wait = {.fd = done[0], .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 60), 0);
    assert_false(scratch_exists("known"));
    /* Readers do not wait. */
    helio_known_free(load("known"));
    file_unlock(lock);
    assert_true(waitpid(pid, &status, 0) == pid && status == 0);
    assert_true(scratch_exists("known"));
    close(done[0]);
    close(done[1]);
}

static void a_dead_holder_holds_nothing(void **state)
{
    (void)state;
    helio_fingerprint fp = fp_of_text(FP_A);
    int held[2], lock, status;
    char byte;

    assert_int_equal(pipe(held), 0);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(60); /* should this test fail before it kills */
        if (file_lock("known", &lock) || write(held[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(held[0], &byte, 1), 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_true(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
    assert_int_equal(helio_known_add("known", "alice", &fp), HELIO_OK);
    close(held[0]);
    close(held[1]);
}

/* -- many writers -- */

enum { WRITERS = 8, NAMES = 48 /* of each writer; even */ };

/* Adds its names in order and removes each even one once the odd one behind it is there. */
static int write_names(unsigned writer)
{
    char name[32], even[32];

    for (unsigned i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "w%u-%u", writer, i);
        helio_fingerprint fp = fp_of_name(name);
        enum helio_err err = helio_known_add("known", name, &fp);

        if (!err && i % 2 == 1) {
            snprintf(even, sizeof even, "w%u-%u", writer, i - 1);
            err = helio_known_remove("known", even);
        }
        if (err)
            return (int)err;
    }
    return 0;
}

/*
 * What a writer may have in the file at any time: odd names 1, 3, … and then perhaps the next even
 * one, or that and the odd one behind it.  Returns how many of its steps that shows, or -1.
 */
static int steps_seen(const helio_known *known, unsigned writer)
{
    unsigned present[NAMES] = {0}, odd = 1;
    char mark[16];

    snprintf(mark, sizeof mark, "w%u-", writer);
    for (size_t k = 0; k < helio_known_count(known); k++) {
        const helio_station *s = helio_known_at(known, k);
        helio_fingerprint fp = fp_of_name(s->name);

        if (strncmp(s->name, mark, strlen(mark)) != 0)
            continue;
        unsigned long i = strtoul(s->name + strlen(mark), NULL, 10);
        if (i >= NAMES || !helio_fingerprint_equal(&fp, &s->fingerprint))
            return -1;
        present[i] = 1;
    }
    while (odd < NAMES && present[odd] && !present[odd - 1])
        odd += 2;
    for (unsigned i = odd + 1; i < NAMES; i++)
        if (present[i])
            return -1;
    int steps = (int)(odd / 2 * 3);
    if (odd >= NAMES)
        return steps;
    /* present[odd] without present[odd - 1] was passed over above. */
    return steps + (present[odd] ? 2 : present[odd - 1] ? 1 : 0);
}

static void check_steps(unsigned look, int before[WRITERS])
{
    helio_known *known = load("known");

    for (unsigned w = 0; w < WRITERS; w++) {
        int steps = steps_seen(known, w);

        if (steps < before[w])
            fail_msg("look %u: writer %u at step %d after %d", look, w, steps, before[w]);
        before[w] = steps;
    }
    helio_known_free(known);
}

static void many_writers_lose_nothing(void **state)
{
    (void)state;
    pid_t pids[WRITERS];
    int steps[WRITERS] = {0}, status;
    unsigned running = WRITERS, look = 0;

    for (unsigned w = 0; w < WRITERS; w++) {
        pids[w] = fork();
        if (pids[w] == 0)
            _exit(write_names(w));
        assert_true(pids[w] > 0);
    }
    while (running > 0) {
        check_steps(look++, steps);
        for (unsigned w = 0; w < WRITERS; w++)
            if (pids[w] > 0 && waitpid(pids[w], &status, WNOHANG) == pids[w]) {
                if (status != 0)
                    fail_msg("writer %u ended with status %#x", w, (unsigned)status);
                pids[w] = 0;
                running--;
            }
    }
    check_steps(look, steps);
    for (unsigned w = 0; w < WRITERS; w++)
        assert_int_equal(steps[w], NAMES / 2 * 3);
    assert_int_equal(scratch_count(".helio-"), 0);
}

/* -- killed writers -- */

enum { KILLS = 60, OLD_NAMES = 2000, SEED = 20260704 };

/* One byte goes to report once a name is on disk. */
static void add_until_killed(unsigned round, int report)
{
    char name[32];

    alarm(60); /* should the parent fail before it kills */
    for (unsigned i = 0;; i++) {
        snprintf(name, sizeof name, "r%u-%u", round, i);
        helio_fingerprint fp = fp_of_name(name);

        if (helio_known_add("known", name, &fp) || write(report, "x", 1) != 1)
            _exit(1);
    }
}

static unsigned names_reported(int report)
{
    char bytes[256];
    unsigned reported = 0;
    ssize_t n;

    while ((n = read(report, bytes, sizeof bytes)) > 0)
        reported += (unsigned)n;
    return reported;
}

/* Every name that was reported is there, and at most the one that was being written. */
static void check_after_kill(unsigned round, unsigned reported, size_t *count)
{
    helio_known *known = load("known");
    size_t added = helio_known_count(known) - *count;

    if (added < reported || added > reported + 1)
        fail_msg("seed %d, round %u: %u names reported, %zu there", SEED, round, reported, added);
    for (size_t k = 0; k < helio_known_count(known); k++) {
        const helio_station *s = helio_known_at(known, k);
        helio_fingerprint fp = fp_of_name(s->name);

        if (s->line != k + 1 || !helio_fingerprint_equal(&fp, &s->fingerprint))
            fail_msg("seed %d, round %u: line %u is damaged", SEED, round, s->line);
    }
    *count += added;
    helio_known_free(known);
}

static void write_old_names(void)
{
    char text[HELIO_FINGERPRINT_TEXT], name[32];
    FILE *f = fopen("known", "w");

    assert_non_null(f);
    for (unsigned i = 0; i < OLD_NAMES; i++) {
        snprintf(name, sizeof name, "old-%u", i);
        helio_fingerprint fp = fp_of_name(name);
        helio_fingerprint_format(&fp, text);
        fprintf(f, "%s %s\n", name, text);
    }
    assert_int_equal(fclose(f), 0);
}

static void a_killed_writer_leaves_a_whole_file(void **state)
{
    (void)state;
    uint32_t random = SEED;
    size_t count = OLD_NAMES;

    write_old_names();
    for (unsigned round = 0; round < KILLS; round++) {
        int report[2], status;

        assert_int_equal(pipe(report), 0);
        pid_t pid = fork();
        if (pid == 0)
            add_until_killed(round, report[1]);
        assert_true(pid > 0);
        close(report[1]);
        random = random * 1664525u + 1013904223u;
        usleep(random >> 16 & 0x3fff); /* up to 16 ms */
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_true(waitpid(pid, &status, 0) == pid);
        if (!WIFSIGNALED(status))
            fail_msg("seed %d, round %u: the writer failed by itself", SEED, round);
        check_after_kill(round, names_reported(report[0]), &count);
        close(report[0]);
    }
    if (count < OLD_NAMES + KILLS / 4)
        fail_msg("seed %d: only %zu names added in all rounds", SEED, count - OLD_NAMES);
}

#define ROW(f) cmocka_unit_test_teardown(f, scratch_empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(good_files_give_their_stations_in_order),
        ROW(bad_files_name_their_first_bad_line),
        ROW(names_have_at_most_255_bytes),
        ROW(a_fingerprint_finds_its_first_name),
        ROW(each_fingerprint_is_found),
        ROW(only_files_that_no_other_may_write_are_read),
        ROW(a_strangers_file_is_refused),
        ROW(the_systems_refusals_keep_errno),
        ROW(a_change_touches_one_line_alone),
        ROW(a_refused_name_leaves_no_trace),
        ROW(modes_and_owners_stay),
        ROW(a_link_stays_and_its_target_changes),
        ROW(the_largest_file_is_read_at_once),
        ROW(sixteen_mebibytes_are_the_bound),
        ROW(a_full_disk_leaves_the_old_file),
        ROW(writers_wait_for_the_lock),
        ROW(a_dead_holder_holds_nothing),
        ROW(many_writers_lose_nothing),
        ROW(a_killed_writer_leaves_a_whole_file),
    };

    return cmocka_run_group_tests_name("known", tests, scratch_enter, scratch_leave);
}
