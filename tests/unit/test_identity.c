#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helio.h"
#include "identity/identity.h"
#include "unit/scratch.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

/* tests/vectors/identity/README.md says where these come from. */
#define RSA2048_FINGERPRINT "SHA256:/fo1fyYIYe8VNv9m7kNMVJU1kmra+0Z8Iqb3DRBL8JE"
#define PASSPHRASE "correct horse"

/* ------------------------------------------------------------------------------ fingerprints -- */

static void fingerprints_survive_their_text(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 256; bit++) {
        helio_fingerprint fp = {{0}}, again;
        char text[HELIO_FINGERPRINT_TEXT];

        fp.sha256[bit / 8] = (uint8_t)(1u << bit % 8);
        memset(text, '!', sizeof text);
        helio_fingerprint_format(&fp, text);
        assert_int_equal(strlen(text), 50);
        assert_int_equal(helio_fingerprint_parse(&again, text), HELIO_OK);
        assert_int_equal(helio_fingerprint_equal(&fp, &again), 1);
        again.sha256[31 - bit / 8] ^= 0x10;
        assert_int_equal(helio_fingerprint_equal(&fp, &again), 0);
    }
}

/* Expected texts from Python's base64. */
static void fingerprints_are_written_as_base64_of_the_bytes(void **state)
{
    (void)state;
    helio_fingerprint fp;
    char text[HELIO_FINGERPRINT_TEXT];

    for (unsigned i = 0; i < 32; i++)
        fp.sha256[i] = (uint8_t)i;
    helio_fingerprint_format(&fp, text);
    assert_string_equal(text, "SHA256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
    for (unsigned i = 0; i < 32; i++)
        fp.sha256[i] = (uint8_t)(i * 0xfd + 0xfb);
    helio_fingerprint_format(&fp, text);
    assert_string_equal(text, "SHA256:+/j18u/s6ebj4N3a19TRzsvIxcK/vLm2s7CtqqekoZ4");
}

static const char *const bad_fingerprints[] = {
    "",
    "SHA256:",
    "SHA256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh",
    "SHA256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8A",
    "SHA256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    "SHA256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n",
    " SHA256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
    "SHA256: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh",
    "SHA256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh=",
    "SHA256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdH==",
    "SHA256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh\n",
    "SHA256:AAECAwQFBgcICQoLDA0ODxAR\nhMUFRYXGBkaGxwdHh8",
    "SHA256:-AECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
    "SHA256:_AECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
    "SHA256:\303\251ECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
    "sha256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
    "SHA512:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
    "SHA256=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
    "MD5:00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f",
    /* 43 characters hold two bits more than 32 bytes: they are zero. */
    "SHA256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9",
    "SHA256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+",
    "SHA256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh/",
};

static void fingerprints_have_one_spelling(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_fingerprints); i++) {
        helio_fingerprint fp = {{0xa5}}, before = fp;
        enum helio_err err = helio_fingerprint_parse(&fp, bad_fingerprints[i]);

        if (err != HELIO_E_FORMAT)
            fail_msg("\"%s\": seen %s", bad_fingerprints[i], helio_strerror(err));
        assert_memory_equal(&fp, &before, sizeof fp);
    }
}

/* ----------------------------------------------------------------------------------- loading -- */

/* What a person at the terminal does. */
struct answer {
    const char *passphrase; /* NULL: gives up */
    unsigned asked;
};

static enum helio_err answer(void *context, char *out, size_t cap, size_t *n)
{
    struct answer *a = context;

    a->asked++;
    if (!a->passphrase)
        return HELIO_E_ARGUMENT;
    *n = strlen(a->passphrase);
    assert_true(*n <= cap);
    memcpy(out, a->passphrase, *n);
    return HELIO_OK;
}

/* Copies a key file of the test vectors here, as "identity". */
static void take(const char *file, mode_t mode)
{
    const char *root = getenv("HELIO_SOURCE_ROOT");
    char path[4096];
    size_t n;

    snprintf(path, sizeof path, "%s/tests/vectors/identity/%s", root ? root : ".", file);
    char *text = scratch_read(path, &n);
    scratch_write("identity", text, n, mode);
    free(text);
}

static helio_identity *load(const char *path, struct answer *a)
{
    helio_identity *id;
    enum helio_err err = helio_identity_load(&id, path, a ? answer : NULL, a);

    if (err)
        fail_msg("%s: expected to load, seen %s", path, helio_strerror(err));
    return id;
}

static const struct file_case {
    const char *file;
    const char *passphrase; /* NULL: nobody to ask; "-": asked, gives up */
    enum helio_err err;
    unsigned asked;
} file_cases[] = {
    {"rsa2048.pem", NULL, HELIO_OK, 0},
    {"rsa2048.pem", "needless", HELIO_OK, 0},
    {"rsa2048-scrypt.pem", PASSPHRASE, HELIO_OK, 1},
    {"rsa2048-scrypt.pem", "correct hors", HELIO_E_PASSPHRASE, 1},
    {"rsa2048-scrypt.pem", "", HELIO_E_PASSPHRASE, 1},
    {"rsa2048-scrypt.pem", "-", HELIO_E_PASSPHRASE, 1},
    {"rsa2048-scrypt.pem", NULL, HELIO_E_PASSPHRASE, 0},
    {"rsa2048-pbkdf2.pem", PASSPHRASE, HELIO_OK, 1},
    {"rsa2048-pbkdf2.pem", "Correct horse", HELIO_E_PASSPHRASE, 1},
    {"rsa2048-public.pem", NULL, HELIO_E_FORMAT, 0},
    {"rsa2048-pkcs1.pem", NULL, HELIO_E_FORMAT, 0},
    {"rsa1024.pem", NULL, HELIO_E_KEY, 0},
    {"rsa2040.pem", NULL, HELIO_E_KEY, 0},
    {"rsa8200.pem", NULL, HELIO_E_KEY, 0},
    {"rsa2048-e3.pem", NULL, HELIO_E_KEY, 0},
    {"rsa2048-pss.pem", NULL, HELIO_E_KEY, 0},
    {"ec-p256.pem", NULL, HELIO_E_KEY, 0},
    {"ed25519.pem", NULL, HELIO_E_KEY, 0},
    {"README.md", NULL, HELIO_E_FORMAT, 0},
};

static void each_kind_of_key_file_has_its_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(file_cases); i++) {
        const struct file_case *c = &file_cases[i];
        bool gives_up = c->passphrase && strcmp(c->passphrase, "-") == 0;
        struct answer a = {gives_up ? NULL : c->passphrase, 0};
        helio_identity *id = (helio_identity *)&id;

        take(c->file, 0600);
        enum helio_err err =
            helio_identity_load(&id, "identity", c->passphrase ? answer : NULL, &a);
        if (err != c->err || a.asked != c->asked || !id != (err != HELIO_OK))
            fail_msg("%s, passphrase %s: expected %s, asked %u times; seen %s, asked %u times",
                     c->file, c->passphrase ? c->passphrase : "(nobody)", helio_strerror(c->err),
                     c->asked, helio_strerror(err), a.asked);
        helio_identity_free(id);
    }
    helio_identity_free(NULL);
}

static void an_identity_tells_who_it_is(void **state)
{
    (void)state;
    char text[HELIO_FINGERPRINT_TEXT], path[4096];
    size_t n, der_n;
    helio_fingerprint again;

    take("rsa2048.pem", 0600);
    helio_identity *id = load("identity", NULL);
    assert_int_equal(helio_identity_bits(id), 2048);
    helio_fingerprint_format(helio_identity_fingerprint(id), text);
    assert_string_equal(text, RSA2048_FINGERPRINT);
    snprintf(path, sizeof path, "%s/tests/vectors/identity/rsa2048-public.pem",
             getenv("HELIO_SOURCE_ROOT") ? getenv("HELIO_SOURCE_ROOT") : ".");
    char *pem = scratch_read(path, &n);
    assert_string_equal(helio_identity_public_pem(id), pem);
    free(pem);
    const uint8_t *der = identity_der(id, &der_n);
    assert_int_equal(fingerprint_of_der(&again, der, der_n), HELIO_OK);
    assert_int_equal(helio_fingerprint_equal(&again, helio_identity_fingerprint(id)), 1);
    assert_int_equal(rsa_bits(identity_key(id)), 2048);
    helio_identity_free(id);
}

static const struct mode_case {
    mode_t mode;
    enum helio_err err;
} mode_cases[] = {
    {0600, HELIO_OK},     {0400, HELIO_OK},     {0700, HELIO_OK},     {0640, HELIO_E_MODE},
    {0604, HELIO_E_MODE}, {0620, HELIO_E_MODE}, {0602, HELIO_E_MODE}, {0610, HELIO_E_MODE},
    {0601, HELIO_E_MODE}, {0644, HELIO_E_MODE}, {0666, HELIO_E_MODE}, {0777, HELIO_E_MODE},
};

static void an_identity_open_to_others_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(mode_cases); i++) {
        helio_identity *id;

        take("rsa2048.pem", mode_cases[i].mode);
        assert_int_equal(unlink("link") != 0 && errno != ENOENT, 0);
        assert_int_equal(symlink("identity", "link"), 0);
        /* A link is followed, and the file at its end is what counts. */
        for (unsigned k = 0; k < 2; k++) {
            enum helio_err err = helio_identity_load(&id, k ? "link" : "identity", NULL, NULL);
            if (err != mode_cases[i].err)
                fail_msg("mode %o: expected %s, seen %s", (unsigned)mode_cases[i].mode,
                         helio_strerror(mode_cases[i].err), helio_strerror(err));
            helio_identity_free(id);
        }
    }
}

static void what_is_no_key_file_is_refused(void **state)
{
    (void)state;
    static const char garbage[] = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    char *large = calloc(1, 65537);
    helio_identity *id;

    assert_non_null(large);
    scratch_write("empty", "", 0, 0600);
    assert_int_equal(helio_identity_load(&id, "empty", NULL, NULL), HELIO_E_FORMAT);
    scratch_write("garbage", garbage, sizeof garbage - 1, 0600);
    assert_int_equal(helio_identity_load(&id, "garbage", NULL, NULL), HELIO_E_FORMAT);
    scratch_write("zeros", large, 65536, 0600);
    assert_int_equal(helio_identity_load(&id, "zeros", NULL, NULL), HELIO_E_FORMAT);
    scratch_write("large", large, 65537, 0600);
    assert_int_equal(helio_identity_load(&id, "large", NULL, NULL), HELIO_E_TOO_LONG);
    free(large);
    assert_int_equal(mkdir("directory", 0700), 0);
    assert_int_equal(helio_identity_load(&id, "directory", NULL, NULL), HELIO_E_MODE);
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_int_equal(helio_identity_load(&id, "pipe", NULL, NULL), HELIO_E_MODE);
    assert_int_equal(helio_identity_load(&id, "/dev/null", NULL, NULL), HELIO_E_MODE);
    errno = 0;
    assert_int_equal(helio_identity_load(&id, "nothing", NULL, NULL), HELIO_E_SYSTEM);
    assert_int_equal(errno, ENOENT);
    errno = 0;
    assert_int_equal(helio_identity_load(&id, "empty/identity", NULL, NULL), HELIO_E_SYSTEM);
    assert_int_equal(errno, ENOTDIR);
    assert_null(id);
}

/* Every prefix of a key file: what is cut off is either missed or was not needed. */
static void a_cut_key_file_is_refused(void **state)
{
    (void)state;
    size_t n;

    take("rsa2048.pem", 0600);
    char *text = scratch_read("identity", &n);
    for (size_t cut = 0; cut < n - 1; cut += 13) {
        helio_identity *id;

        scratch_write("cut", text, cut, 0600);
        enum helio_err err = helio_identity_load(&id, "cut", NULL, NULL);
        if (err != HELIO_E_FORMAT)
            fail_msg("%zu of %zu bytes: seen %s", cut, n, helio_strerror(err));
    }
    free(text);
}

/* ------------------------------------------------------------------------------------ saving -- */

static void what_is_saved_is_loaded_again(void **state)
{
    (void)state;
    static const struct {
        const char *passphrase;
        const char *begins;
    } cases[] = {
        {NULL, "-----BEGIN PRIVATE KEY-----\n"},
        {PASSPHRASE, "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"},
        {"\xc3\xa9 \xff", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"},
    };

    take("rsa2048.pem", 0600);
    helio_identity *id = load("identity", NULL);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct answer a = {cases[i].passphrase, 0}, wrong = {"wrong", 0};
        size_t n, length = cases[i].passphrase ? strlen(cases[i].passphrase) : 0;
        helio_identity *again;

        umask(i == 0 ? 0 : 0777); /* neither adds nor takes */
        enum helio_err err = helio_identity_save(id, "saved", cases[i].passphrase, length);
        umask(022);
        assert_int_equal(err, HELIO_OK);
        assert_int_equal(scratch_mode("saved"), 0600);
        assert_int_equal(scratch_count(".helio-"), 0);
        char *text = scratch_read("saved", &n);
        assert_memory_equal(text, cases[i].begins, strlen(cases[i].begins));
        free(text);
        again = load("saved", &a);
        assert_int_equal(a.asked, length > 0);
        assert_int_equal(helio_fingerprint_equal(helio_identity_fingerprint(again),
                                                 helio_identity_fingerprint(id)),
                         1);
        helio_identity_free(again);
        if (length > 0)
            assert_int_equal(helio_identity_load(&again, "saved", answer, &wrong),
                             HELIO_E_PASSPHRASE);
        assert_int_equal(unlink("saved"), 0);
    }
    helio_identity_free(id);
}

static void passphrases_are_as_long_as_can_be_handed_in(void **state)
{
    (void)state;
    char longest[HELIO_PASSPHRASE_MAX + 2];
    struct answer a = {longest, 0};

    take("rsa2048.pem", 0600);
    helio_identity *id = load("identity", NULL), *again;
    memset(longest, 'p', sizeof longest);
    longest[HELIO_PASSPHRASE_MAX + 1] = '\0';
    assert_int_equal(helio_identity_save(id, "saved", longest, HELIO_PASSPHRASE_MAX + 1),
                     HELIO_E_ARGUMENT);
    assert_false(scratch_exists("saved"));
    longest[HELIO_PASSPHRASE_MAX] = '\0';
    assert_int_equal(helio_identity_save(id, "saved", longest, HELIO_PASSPHRASE_MAX), HELIO_OK);
    again = load("saved", &a);
    helio_identity_free(again);
    helio_identity_free(id);
}

static void saving_never_overwrites(void **state)
{
    (void)state;
    static const char precious[] = "precious";
    size_t n;

    take("rsa2048.pem", 0600);
    helio_identity *id = load("identity", NULL);
    scratch_write("file", precious, sizeof precious - 1, 0644);
    assert_int_equal(symlink("nothing", "dangling"), 0);
    assert_int_equal(symlink("file", "link"), 0);
    assert_int_equal(mkdir("directory", 0700), 0);
    static const char *const names[] = {"file", "dangling", "link", "directory"};
    for (size_t i = 0; i < COUNT(names); i++) {
        enum helio_err err = helio_identity_save(id, names[i], NULL, 0);
        if (err != HELIO_E_EXISTS)
            fail_msg("%s: expected %s, seen %s", names[i], helio_strerror(HELIO_E_EXISTS),
                     helio_strerror(err));
    }
    char *text = scratch_read("file", &n);
    assert_string_equal(text, precious);
    free(text);
    assert_int_equal(scratch_mode("file"), 0644);
    assert_false(scratch_exists("nothing"));
    assert_int_equal(scratch_count(".helio-"), 0);
    helio_identity_free(id);
}

static void a_path_may_be_written_in_many_ways(void **state)
{
    (void)state;
    char absolute[4096 + 32];

    take("rsa2048.pem", 0600);
    helio_identity *id = load("identity", NULL);
    assert_int_equal(mkdir("sub", 0700), 0);
    assert_non_null(getcwd(absolute, 4096));
    strcat(absolute, "/sub/absolute");
    const char *const paths[] = {"plain",        "./dot",     "sub/below",
                                 "sub//slashes", "sub/../up", absolute};
    for (size_t i = 0; i < COUNT(paths); i++) {
        enum helio_err err = helio_identity_save(id, paths[i], NULL, 0);

        if (err)
            fail_msg("%s: seen %s", paths[i], helio_strerror(err));
        helio_identity_free(load(paths[i], NULL));
    }
    static const struct {
        const char *path;
        int error;
    } nowhere[] = {
        {"nowhere/identity", ENOENT}, {"identity/x", ENOTDIR}, {"", ENOENT}, {"new/", ENOENT}};
    for (size_t i = 0; i < COUNT(nowhere); i++) {
        errno = 0;
        assert_int_equal(helio_identity_save(id, nowhere[i].path, NULL, 0), HELIO_E_SYSTEM);
        if (errno != nowhere[i].error)
            fail_msg("\"%s\": expected errno %d, seen %d", nowhere[i].path, nowhere[i].error,
                     errno);
    }
    assert_int_equal(scratch_count(".helio-"), 0);
    helio_identity_free(id);
}

static void a_full_disk_leaves_no_half_key(void **state)
{
    (void)state;
    struct rlimit old, small;

    take("rsa2048.pem", 0600);
    helio_identity *id = load("identity", NULL);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){100, old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    errno = 0;
    enum helio_err err = helio_identity_save(id, "saved", NULL, 0);
    int seen = errno;
    /* No assertion before this: it would want to print. */
    int restored = setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(restored, 0);
    assert_int_equal(err, HELIO_E_SYSTEM);
    assert_int_equal(seen, EFBIG);
    assert_false(scratch_exists("saved"));
    assert_int_equal(scratch_count(".helio-"), 0);
    helio_identity_free(id);
}

static void keys_are_made_in_the_sizes_allowed(void **state)
{
    (void)state;
    static const unsigned bad[] = {0, 1024, 2047, 8193, 16384, ~0u};
    helio_identity *id, *other;

    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(helio_identity_generate(&id, bad[i]), HELIO_E_ARGUMENT);
        assert_null(id);
    }
    assert_int_equal(helio_identity_generate(&id, 2048), HELIO_OK);
    assert_int_equal(helio_identity_generate(&other, 2048), HELIO_OK);
    assert_int_equal(helio_identity_bits(id), 2048);
    assert_int_equal(
        helio_fingerprint_equal(helio_identity_fingerprint(id), helio_identity_fingerprint(other)),
        0);
    helio_identity_free(id);
    helio_identity_free(other);
}

#define ROW(f) cmocka_unit_test_teardown(f, scratch_empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(fingerprints_survive_their_text), ROW(fingerprints_are_written_as_base64_of_the_bytes),
        ROW(fingerprints_have_one_spelling),  ROW(each_kind_of_key_file_has_its_answer),
        ROW(an_identity_tells_who_it_is),     ROW(an_identity_open_to_others_is_refused),
        ROW(what_is_no_key_file_is_refused),  ROW(a_cut_key_file_is_refused),
        ROW(what_is_saved_is_loaded_again),   ROW(passphrases_are_as_long_as_can_be_handed_in),
        ROW(saving_never_overwrites),         ROW(a_path_may_be_written_in_many_ways),
        ROW(a_full_disk_leaves_no_half_key),  ROW(keys_are_made_in_the_sizes_allowed),
    };

    return cmocka_run_group_tests_name("identity", tests, scratch_enter, scratch_leave);
}
