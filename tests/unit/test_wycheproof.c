/*
 * Runs the vectors of Project Wycheproof against src/crypto.  They are large, so they stay outside
 * the project, in ../shared/wycheproof or where HELIO_WYCHEPROOF says; without them the test is
 * skipped.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/rsa.h"
#include "crypto/x25519.h"
#include "unit/hex.h"

enum { SKIPPED = 77 };

/* Bytes of one field.  field_of keeps eight: more than a vector has, so none is overwritten too
 * soon. */
struct bytes {
    uint8_t p[16384];
    size_t n;
};

static const char *text_of(struct json_object *from, const char *name)
{
    struct json_object *value;

    return json_object_object_get_ex(from, name, &value) ? json_object_get_string(value) : "";
}

static int number_of(struct json_object *from, const char *name)
{
    struct json_object *value;

    return json_object_object_get_ex(from, name, &value) ? json_object_get_int(value) : -1;
}

static struct json_object *list_of(struct json_object *from, const char *name)
{
    struct json_object *value;

    if (json_object_object_get_ex(from, name, &value))
        return value;
    fprintf(stderr, "no \"%s\" in the vectors\n", name);
    exit(EXIT_FAILURE);
}

static struct bytes *field_of(struct json_object *from, const char *name)
{
    static struct bytes kept[8];
    static size_t next;
    struct bytes *b = &kept[next++ % 8];

    b->n = from_hex(b->p, sizeof b->p, text_of(from, name));
    return b;
}

static bool is_valid(struct json_object *test)
{
    return strcmp(text_of(test, "result"), "valid") == 0;
}

static bool equal(const struct bytes *expected, const uint8_t *seen, size_t n)
{
    return expected->n == n && memcmp(expected->p, seen, n) == 0;
}

/* Each of these says whether our answer to one vector is the right one. */

static bool run_x25519(struct json_object *group, struct json_object *test)
{
    (void)group;
    static const uint8_t zero[X25519_SIZE];
    struct bytes *own = field_of(test, "private"), *share = field_of(test, "public");
    struct bytes *shared = field_of(test, "shared");
    uint8_t out[X25519_SIZE];
    enum helio_err err = x25519_shared(out, own->p, share->p);

    /* "acceptable" leaves it to the caller whether the result zero is one: to us it is not. */
    if (equal(shared, zero, sizeof zero))
        return err == HELIO_E_BROKEN;
    return err == HELIO_OK && equal(shared, out, sizeof out);
}

static bool run_hkdf(struct json_object *group, struct json_object *test)
{
    (void)group;
    static uint8_t out[16384];
    struct bytes *ikm = field_of(test, "ikm"), *salt = field_of(test, "salt");
    struct bytes *info = field_of(test, "info"), *okm = field_of(test, "okm");
    size_t n = (size_t)number_of(test, "size");
    uint8_t secret[SHA256_SIZE];

    if (n > sizeof out || hkdf_extract(secret, salt->p, salt->n, ikm->p, ikm->n) != HELIO_OK)
        return false;
    enum helio_err err = hkdf_expand(out, n, secret, info->p, info->n);
    return is_valid(test) ? err == HELIO_OK && equal(okm, out, n) : err == HELIO_E_ARGUMENT;
}

static bool run_hmac(struct json_object *group, struct json_object *test)
{
    struct bytes *key = field_of(test, "key"), *message = field_of(test, "msg");
    struct bytes *tag = field_of(test, "tag");
    size_t n = (size_t)number_of(group, "tagSize") / 8;
    uint8_t out[SHA256_SIZE];

    return hmac_sha256(out, key->p, key->n, message->p, message->n) == HELIO_OK &&
           equal(tag, out, n) == is_valid(test);
}

/* Sealing must give the vector and opening must take it back, or both refuse what is invalid. */
static bool run_aead(enum aead_cipher cipher, struct json_object *test)
{
    struct bytes *key = field_of(test, "key"), *iv = field_of(test, "iv");
    struct bytes *ad = field_of(test, "aad"), *plain = field_of(test, "msg");
    struct bytes *sealed = field_of(test, "ct"), *tag = field_of(test, "tag");
    uint8_t out[sizeof plain->p], made[AEAD_TAG_SIZE];
    struct aead_key k = {0};
    bool right = false;

    if (aead_set_key(&k, cipher, key->p, iv->p) != HELIO_OK ||
        aead_seal(&k, 0, ad->p, ad->n, plain->p, plain->n, out, made) != HELIO_OK)
        goto out;
    if ((equal(sealed, out, plain->n) && equal(tag, made, sizeof made)) != is_valid(test))
        goto out;
    enum helio_err err = aead_open(&k, 0, ad->p, ad->n, sealed->p, sealed->n, out, tag->p);
    right =
        is_valid(test) ? err == HELIO_OK && equal(plain, out, sealed->n) : err == HELIO_E_BROKEN;
out:
    aead_clear(&k);
    return right;
}

static bool run_chacha(struct json_object *group, struct json_object *test)
{
    (void)group;
    return run_aead(AEAD_CHACHA20_POLY1305, test);
}

static bool run_aes(struct json_object *group, struct json_object *test)
{
    (void)group;
    return run_aead(AEAD_AES_256_GCM, test);
}

static bool run_pss(struct json_object *group, struct json_object *test)
{
    struct bytes *der = field_of(group, "publicKeyDer"), *message = field_of(test, "msg");
    struct bytes *signature = field_of(test, "sig");
    struct rsa_key *key;

    if (rsa_from_public_der(&key, der->p, der->n) != HELIO_OK)
        return false;
    enum helio_err err = rsa_verify(key, message->p, message->n, signature->p, signature->n);
    rsa_free(key);
    return err == (is_valid(test) ? HELIO_OK : HELIO_E_BROKEN);
}

static bool any_group(struct json_object *group)
{
    (void)group;
    return true;
}

static bool long_nonces_and_tags(struct json_object *group)
{
    return number_of(group, "keySize") == 256 && number_of(group, "ivSize") == 96 &&
           number_of(group, "tagSize") == 128;
}

static bool our_pss(struct json_object *group)
{
    return strcmp(text_of(group, "sha"), "SHA-256") == 0 &&
           strcmp(text_of(group, "mgf"), "MGF1") == 0 &&
           strcmp(text_of(group, "mgfSha"), "SHA-256") == 0 && number_of(group, "sLen") == 32;
}

static const struct vectors {
    const char *file;
    bool (*takes)(struct json_object *group); /* whether a group is for what we do */
    bool (*run)(struct json_object *group, struct json_object *test);
    unsigned least; /* so many vectors must have been run, lest the test test nothing */
} all[] = {
    {"x25519_test.json", any_group, run_x25519, 500},
    {"hkdf_sha256_test.json", any_group, run_hkdf, 80},
    {"hmac_sha256_test.json", any_group, run_hmac, 170},
    {"chacha20_poly1305_test.json", long_nonces_and_tags, run_chacha, 300},
    {"aes_gcm_test.json", long_nonces_and_tags, run_aes, 60},
    {"rsa_pss_2048_sha256_mgf1_32_test.json", our_pss, run_pss, 100},
    {"rsa_pss_3072_sha256_mgf1_32_test.json", our_pss, run_pss, 100},
    {"rsa_pss_misc_test.json", our_pss, run_pss, 1},
};

static unsigned run_group(const struct vectors *v, struct json_object *group, unsigned *wrong)
{
    struct json_object *tests = list_of(group, "tests");
    size_t n = json_object_array_length(tests);

    for (size_t i = 0; i < n; i++) {
        struct json_object *test = json_object_array_get_idx(tests, i);

        if (v->run(group, test))
            continue;
        fprintf(stderr, "%s: vector %d (%s, expected %s): wrong answer\n", v->file,
                number_of(test, "tcId"), text_of(test, "comment"), text_of(test, "result"));
        ++*wrong;
    }
    return (unsigned)n;
}

static unsigned run_file(const struct vectors *v, const char *directory)
{
    char path[4096];
    unsigned ran = 0, wrong = 0;

    snprintf(path, sizeof path, "%s/%s", directory, v->file);
    struct json_object *root = json_object_from_file(path);
    if (!root) {
        fprintf(stderr, "%s\n", json_util_get_last_err());
        return 1;
    }
    struct json_object *groups = list_of(root, "testGroups");
    for (size_t i = 0; i < json_object_array_length(groups); i++) {
        struct json_object *group = json_object_array_get_idx(groups, i);

        if (v->takes(group))
            ran += run_group(v, group, &wrong);
    }
    json_object_put(root);
    printf("%-40s %4u run, %u wrong\n", v->file, ran, wrong);
    if (ran < v->least) {
        fprintf(stderr, "%s: expected at least %u vectors, seen %u\n", v->file, v->least, ran);
        wrong++;
    }
    return wrong;
}

static void find_directory(char *out, size_t cap)
{
    const char *named = getenv("HELIO_WYCHEPROOF"), *root = getenv("HELIO_SOURCE_ROOT");

    if (named)
        snprintf(out, cap, "%s", named);
    else
        snprintf(out, cap, "%s/../shared/wycheproof", root ? root : ".");
}

int main(void)
{
    char directory[2048];
    unsigned wrong = 0;

    find_directory(directory, sizeof directory);
    if (access(directory, R_OK | X_OK) != 0) {
        printf("skipped: no vectors in %s; HELIO_WYCHEPROOF names the directory\n", directory);
        return SKIPPED;
    }
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        wrong += run_file(&all[i], directory);
    return wrong > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
