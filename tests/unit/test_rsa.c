#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <gcrypt.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>

#include "base/wipe.h"
#include "crypto/hash.h"
#include "crypto/rsa.h"
#include "unit/hex.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Committed keys, drawn for tests alone: drawing fresh ones would take most of the time. */
static const char *const key_files[] = {"test-only-a-2048.pem", "test-only-d-2049.pem",
                                        "test-only-c-3072.pem"};

static char *read_key_file(const char *name, size_t *n)
{
    static char text[8192];
    const char *root = getenv("HELIO_SOURCE_ROOT");
    char path[4096];

    snprintf(path, sizeof path, "%s/tests/vectors/keys/%s", root ? root : ".", name);
    FILE *f = fopen(path, "r");
    if (!f)
        fail_msg("%s: cannot be read; is HELIO_SOURCE_ROOT set?", path);
    *n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[*n] = '\0';
    return text;
}

static struct rsa_key *load_key(const char *name)
{
    struct rsa_key *key;
    size_t n;
    char *text = read_key_file(name, &n);

    assert_int_equal(rsa_from_private_pem(&key, text, n, NULL, NULL), HELIO_OK);
    return key;
}

static EVP_PKEY *load_for_openssl(const char *name)
{
    size_t n;
    char *text = read_key_file(name, &n);
    BIO *bio = BIO_new_mem_buf(text, (int)n);
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

    BIO_free(bio);
    assert_non_null(pkey);
    return pkey;
}

/* Says which case it was, and that nothing stays in OpenSSL's queue. */
static void expect(const char *what, enum helio_err expected, enum helio_err seen)
{
    if (seen != expected)
        fail_msg("%s: expected \"%s\", seen \"%s\"", what, helio_strerror(expected),
                 helio_strerror(seen));
    if (ERR_peek_error() != 0)
        fail_msg("%s: left an error in OpenSSL's queue", what);
}

/* ----------------------------------------------------------------------------------- public keys
 * -- */

/* A DER writer of our own, which writes what it is told, canonical or not. */
struct der {
    uint8_t p[2400];
    size_t n;
};

static void der_add(struct der *d, const void *p, size_t n)
{
    memcpy(d->p + d->n, p, n);
    d->n += n;
}

static void der_add_hex(struct der *d, const char *hex)
{
    d->n += from_hex(d->p + d->n, sizeof d->p - d->n, hex);
}

/* Puts tag and length before all that is there. */
static void der_wrap(struct der *d, uint8_t tag)
{
    struct der old = *d;

    d->n = 0;
    d->p[d->n++] = tag;
    if (old.n >= 0x100)
        d->p[d->n++] = 0x82;
    else if (old.n >= 0x80)
        d->p[d->n++] = 0x81;
    if (old.n >= 0x100)
        d->p[d->n++] = (uint8_t)(old.n >> 8);
    d->p[d->n++] = (uint8_t)old.n;
    der_add(d, old.p, old.n);
}

#define RSA_OID "300d06092a864886f70d0101010500"

static const struct key_case {
    const char *what;
    const char *algorithm; /* AlgorithmIdentifier */
    size_t bits;
    const char *before_n; /* zeros before the modulus, "" or not */
    uint8_t last;         /* byte of the modulus */
    const char *exponent; /* content of its INTEGER */
    const char *tail;     /* behind the exponent, inside the key */
    enum helio_err err;
} key_cases[] = {
    {"2048 bits", RSA_OID, 2048, "00", 1, "010001", "", HELIO_OK},
    {"2049 bits", RSA_OID, 2049, "", 1, "010001", "", HELIO_OK},
    {"3072 bits", RSA_OID, 3072, "00", 1, "010001", "", HELIO_OK},
    {"8192 bits", RSA_OID, 8192, "00", 1, "010001", "", HELIO_OK},
    {"8193 bits", RSA_OID, 8193, "", 1, "010001", "", HELIO_E_KEY},
    {"16384 bits", RSA_OID, 16384, "00", 1, "010001", "", HELIO_E_KEY},
    {"2047 bits", RSA_OID, 2047, "", 1, "010001", "", HELIO_E_KEY},
    {"1024 bits", RSA_OID, 1024, "00", 1, "010001", "", HELIO_E_KEY},
    {"even modulus", RSA_OID, 2048, "00", 2, "010001", "", HELIO_E_KEY},
    {"zero too many before the modulus", RSA_OID, 2048, "0000", 1, "010001", "", HELIO_E_KEY},
    {"negative modulus", RSA_OID, 2048, "", 1, "010001", "", HELIO_E_KEY},
    {"e = 3", RSA_OID, 2048, "00", 1, "03", "", HELIO_E_KEY},
    {"e = 1", RSA_OID, 2048, "00", 1, "01", "", HELIO_E_KEY},
    {"e = 65539", RSA_OID, 2048, "00", 1, "010003", "", HELIO_E_KEY},
    {"e = 65537 in four bytes", RSA_OID, 2048, "00", 1, "00010001", "", HELIO_E_KEY},
    {"e that ends like 65537", RSA_OID, 2048, "00", 1, "010203010001", "", HELIO_E_KEY},
    {"something behind e", RSA_OID, 2048, "00", 1, "010001", "020101", HELIO_E_KEY},
    {"a second e", RSA_OID, 2048, "00", 1, "010001", "0203010001", HELIO_E_KEY},
    {"no modulus", RSA_OID, 0, "", 0, "010001", "", HELIO_E_KEY},
    {"modulus zero", RSA_OID, 0, "00", 0, "010001", "", HELIO_E_KEY},
    {"no parameters", "300b06092a864886f70d010101", 2048, "00", 1, "010001", "", HELIO_E_KEY},
    {"empty parameters", "300f06092a864886f70d01010105000500", 2048, "00", 1, "010001", "",
     HELIO_E_KEY},
    {"rsassaPss", "300d06092a864886f70d01010a0500", 2048, "00", 1, "010001", "", HELIO_E_KEY},
    {"rsassaPss without parameters", "300b06092a864886f70d01010a", 2048, "00", 1, "010001", "",
     HELIO_E_KEY},
    {"sha256WithRSAEncryption", "300d06092a864886f70d01010b0500", 2048, "00", 1, "010001", "",
     HELIO_E_KEY},
    {"EC on P-256", "301306072a8648ce3d020106082a8648ce3d030107", 2048, "00", 1, "010001", "",
     HELIO_E_KEY},
};

static void add_modulus(struct der *d, size_t bits, uint8_t last)
{
    size_t n = (bits + 7) / 8;
    uint8_t *p = d->p + d->n;

    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(0xc5 + 7 * i);
    p[0] = (uint8_t)(1u << (bits - 1) % 8);
    p[n - 1] = last;
    d->n += n;
}

static void write_key(struct der *out, const struct key_case *c)
{
    struct der number = {.n = 0}, key = {.n = 0};

    der_add_hex(&number, c->before_n);
    add_modulus(&number, c->bits, c->last);
    der_wrap(&number, 0x02);
    der_add(&key, number.p, number.n);
    number.n = 0;
    der_add_hex(&number, c->exponent);
    der_wrap(&number, 0x02);
    der_add(&key, number.p, number.n);
    der_add_hex(&key, c->tail);
    der_wrap(&key, 0x30);
    number.n = 0;
    der_add_hex(&number, "00"); /* no unused bits */
    der_add(&number, key.p, key.n);
    der_wrap(&number, 0x03);
    out->n = 0;
    der_add_hex(out, c->algorithm);
    der_add(out, number.p, number.n);
    der_wrap(out, 0x30);
}

static void public_keys_are_taken_by_rule(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(key_cases); i++) {
        const struct key_case *c = &key_cases[i];
        struct rsa_key *key = NULL;
        struct der d;
        uint8_t again[RSA_PUBLIC_DER_MAX];
        size_t n;

        write_key(&d, c);
        expect(c->what, c->err, rsa_from_public_der(&key, d.p, d.n));
        assert_true((key != NULL) == (c->err == HELIO_OK));
        if (!key)
            continue;
        assert_int_equal(rsa_bits(key), c->bits);
        assert_int_equal(rsa_size(key), (c->bits + 7) / 8);
        expect(c->what, HELIO_OK, rsa_public_der(key, again, &n));
        assert_int_equal(n, d.n);
        assert_memory_equal(again, d.p, n);
        rsa_free(key);
    }
}

/* Where things stand in the DER of 2048 bits. */
enum { AT_BITS = 19, AT_KEY = 24, AT_MODULUS = 33, MODULUS_SIZE = 256, DER_SIZE = 294 };

/* Bytes cut out of a good key and others put in their place: BER that is not DER, and worse. */
static const struct edit_case {
    const char *what;
    size_t at;
    size_t cut;
    const char *put;
} edit_cases[] = {
    {"a byte behind", DER_SIZE, 0, "00"},
    {"a whole e behind", DER_SIZE, 0, "0203010001"},
    {"length of all in three bytes", 1, 3, "83000122"},
    {"length of all in four bytes", 1, 3, "8400000122"},
    {"length of all one less", 3, 1, "21"},
    {"length of all one more", 3, 1, "23"},
    {"length of all indefinite", 1, 3, "80"},
    {"length of the algorithm in two bytes", 5, 1, "810d"},
    {"length of the bits in three bytes", AT_BITS + 1, 3, "8300010f"},
    {"unused bits", AT_BITS + 4, 1, "01"},
    {"bits as octets", AT_BITS, 1, "04"},
    {"bits constructed", AT_BITS, 1, "23"},
    {"length of the key in three bytes", AT_KEY + 1, 3, "8300010a"},
    {"key as a set", AT_KEY, 1, "31"},
    {"empty", 0, DER_SIZE, ""},
};

static void only_canonical_der_is_a_key(void **state)
{
    (void)state;
    struct der good;

    write_key(&good, &key_cases[0]);
    assert_int_equal(good.n, DER_SIZE);
    for (size_t i = 0; i < COUNT(edit_cases); i++) {
        const struct edit_case *c = &edit_cases[i];
        struct rsa_key *key;
        struct der d = {.n = 0};

        der_add(&d, good.p, c->at);
        der_add_hex(&d, c->put);
        der_add(&d, good.p + c->at + c->cut, good.n - c->at - c->cut);
        expect(c->what, HELIO_E_KEY, rsa_from_public_der(&key, d.p, d.n));
        assert_null(key);
    }
    for (size_t n = 0; n < good.n; n++) {
        struct rsa_key *key;
        uint8_t *exact = malloc(n + 1); /* so that reading past the end would show */

        memcpy(exact, good.p, n);
        expect("cut short", HELIO_E_KEY, rsa_from_public_der(&key, exact, n));
        free(exact);
    }
}

/* Lengths and tags changed at random: no answer but a key that is written the same, or none. */
static void mutated_der_is_a_key_or_none(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0x00, 0x01, 0x02, 0x03, 0x30, 0x80, 0x81, 0x82, 0x83, 0xff};
    uint32_t random = 1; /* the seed */
    struct der good;

    write_key(&good, &key_cases[0]);
    for (unsigned round = 0; round < 20000; round++) {
        struct der d = good;
        struct rsa_key *key;
        char what[32];

        for (unsigned i = 0; i <= round % 4; i++) {
            random = random * 1664525 + 1013904223;
            d.p[(random >> 16) % AT_MODULUS] = bytes[(random >> 8) % sizeof bytes];
        }
        snprintf(what, sizeof what, "round %u", round);
        enum helio_err err = rsa_from_public_der(&key, d.p, d.n);
        expect(what, key ? HELIO_OK : HELIO_E_KEY, err);
        rsa_free(key);
    }
}

/*
 * A flipped bit in the modulus makes another key, unless it is the highest or the lowest, and so it
 * does in the zero before it, short of the sign; elsewhere, none.
 */
static void flipped_bits_do_not_make_the_same_key(void **state)
{
    (void)state;
    struct der d;

    write_key(&d, &key_cases[0]);
    for (size_t bit = 0; bit < 8 * d.n; bit++) {
        size_t from = 8 * AT_MODULUS, to = 8 * (AT_MODULUS + MODULUS_SIZE);
        /* Bits count from a byte's lowest: from + 7 is the modulus' highest, to - 8 its lowest. */
        bool another =
            bit >= from - 8 && bit < to && bit != from - 1 && bit != from + 7 && bit != to - 8;
        struct rsa_key *key;
        char what[64];

        d.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        snprintf(what, sizeof what, "bit %zu of byte %zu", bit % 8, bit / 8);
        expect(what, another ? HELIO_OK : HELIO_E_KEY, rsa_from_public_der(&key, d.p, d.n));
        rsa_free(key);
        d.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* ------------------------------------------------------------------------------------ signatures
 * -- */

/* The same signature by libgcrypt, which can be told the salt, too. */
static gcry_mpi_t number_of(EVP_PKEY *pkey, const char *name)
{
    uint8_t bytes[1024];
    BIGNUM *number = NULL;
    gcry_mpi_t mpi;

    assert_int_equal(EVP_PKEY_get_bn_param(pkey, name, &number), 1);
    size_t n = (size_t)BN_bn2bin(number, bytes);
    BN_free(number);
    assert_int_equal(gcry_mpi_scan(&mpi, GCRYMPI_FMT_USG, bytes, n, NULL), 0);
    return mpi;
}

static gcry_sexp_t private_for_gcrypt(const char *name)
{
    EVP_PKEY *pkey = load_for_openssl(name);
    gcry_mpi_t n = number_of(pkey, OSSL_PKEY_PARAM_RSA_N);
    gcry_mpi_t e = number_of(pkey, OSSL_PKEY_PARAM_RSA_E);
    gcry_mpi_t d = number_of(pkey, OSSL_PKEY_PARAM_RSA_D);
    gcry_sexp_t key;

    assert_int_equal(
        gcry_sexp_build(&key, NULL, "(private-key (rsa (n %m) (e %m) (d %m)))", n, e, d), 0);
    gcry_mpi_release(n);
    gcry_mpi_release(e);
    gcry_mpi_release(d);
    EVP_PKEY_free(pkey);
    return key;
}

static void sign_by_gcrypt(gcry_sexp_t key, const uint8_t salt[RSA_SALT_SIZE], const uint8_t *m,
                           size_t n, uint8_t *out, size_t size)
{
    uint8_t hash[SHA256_SIZE];
    gcry_sexp_t data, signature, s;
    size_t got;

    gcry_md_hash_buffer(GCRY_MD_SHA256, hash, m, n);
    assert_int_equal(gcry_sexp_build(&data, NULL,
                                     "(data (flags pss) (hash sha256 %b) (salt-length 2:32) "
                                     "(random-override %b))",
                                     (int)sizeof hash, hash, RSA_SALT_SIZE, salt),
                     0);
    assert_int_equal(gcry_pk_sign(&signature, data, key), 0);
    s = gcry_sexp_find_token(signature, "s", 0);
    const char *p = gcry_sexp_nth_data(s, 1, &got);
    while (got > size) { /* a zero for the sign */
        p++;
        got--;
    }
    memset(out, 0, size - got);
    memcpy(out + size - got, p, got);
    gcry_sexp_release(s);
    gcry_sexp_release(signature);
    gcry_sexp_release(data);
}

static void signatures_equal_those_of_libgcrypt(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 97, 1000};

    for (size_t i = 0; i < COUNT(key_files); i++) {
        struct rsa_key *key = load_key(key_files[i]);
        gcry_sexp_t other = private_for_gcrypt(key_files[i]);

        for (size_t j = 0; j < COUNT(lengths); j++) {
            uint8_t m[1000], salt[RSA_SALT_SIZE], expected[RSA_SIGNATURE_MAX];
            uint8_t signature[RSA_SIGNATURE_MAX];

            memset(m, (int)(17 * j + 1), sizeof m);
            memset(salt, (int)(i + 10 * j), sizeof salt);
            sign_by_gcrypt(other, salt, m, lengths[j], expected, rsa_size(key));
            expect(key_files[i], HELIO_OK, rsa_sign(key, salt, m, lengths[j], signature));
            if (memcmp(signature, expected, rsa_size(key)) != 0)
                fail_msg("%s, %zu bytes: differs from libgcrypt", key_files[i], lengths[j]);
            expect(key_files[i], HELIO_OK,
                   rsa_verify(key, m, lengths[j], signature, rsa_size(key)));
        }
        gcry_sexp_release(other);
        rsa_free(key);
    }
}

static void altered_signatures_are_refused(void **state)
{
    (void)state;
    static const uint8_t salt[RSA_SALT_SIZE] = {1};
    uint8_t m[] = "the message", signature[RSA_SIGNATURE_MAX + 2] = {0}, *s = signature + 1;

    for (size_t i = 0; i < 2; i++) {
        struct rsa_key *key = load_key(key_files[i]);
        size_t size = rsa_size(key);

        expect("sign", HELIO_OK, rsa_sign(key, salt, m, sizeof m, s));
        for (size_t bit = 0; bit < 8 * size; bit += i == 0 ? 1 : 7) {
            s[bit / 8] ^= (uint8_t)(1u << bit % 8);
            expect("flipped bit", HELIO_E_BROKEN, rsa_verify(key, m, sizeof m, s, size));
            s[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        for (size_t at = 0; at < sizeof m; at++) {
            m[at] ^= 1;
            expect("other message", HELIO_E_BROKEN, rsa_verify(key, m, sizeof m, s, size));
            m[at] ^= 1;
        }
        expect("zero before", HELIO_E_BROKEN, rsa_verify(key, m, sizeof m, s - 1, size + 1));
        expect("zero behind", HELIO_E_BROKEN, rsa_verify(key, m, sizeof m, s, size + 1));
        expect("cut", HELIO_E_BROKEN, rsa_verify(key, m, sizeof m, s, size - 1));
        expect("none", HELIO_E_BROKEN, rsa_verify(key, m, sizeof m, s, 0));
        expect("as it was", HELIO_OK, rsa_verify(key, m, sizeof m, s, size));
        memset(s, 0xff, size);
        expect("not below the modulus", HELIO_E_BROKEN, rsa_verify(key, m, sizeof m, s, size));
        rsa_free(key);
    }
}

/* What others may sign: one choice of everything is ours. */
static const struct choice_case {
    const char *what;
    const char *hash, *mgf_hash;
    int padding;
    int salt;
    enum helio_err err;
} choice_cases[] = {
    {"ours", "SHA256", "SHA256", RSA_PKCS1_PSS_PADDING, 32, HELIO_OK},
    {"no salt", "SHA256", "SHA256", RSA_PKCS1_PSS_PADDING, 0, HELIO_E_BROKEN},
    {"salt of 20", "SHA256", "SHA256", RSA_PKCS1_PSS_PADDING, 20, HELIO_E_BROKEN},
    {"salt of 31", "SHA256", "SHA256", RSA_PKCS1_PSS_PADDING, 31, HELIO_E_BROKEN},
    {"salt of 33", "SHA256", "SHA256", RSA_PKCS1_PSS_PADDING, 33, HELIO_E_BROKEN},
    {"longest salt", "SHA256", "SHA256", RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_MAX,
     HELIO_E_BROKEN},
    {"MGF1 with SHA-1", "SHA256", "SHA1", RSA_PKCS1_PSS_PADDING, 32, HELIO_E_BROKEN},
    {"SHA-512", "SHA512", "SHA256", RSA_PKCS1_PSS_PADDING, 32, HELIO_E_BROKEN},
    {"SHA-1", "SHA1", "SHA1", RSA_PKCS1_PSS_PADDING, 32, HELIO_E_BROKEN},
    {"PKCS #1 v1.5", "SHA256", NULL, RSA_PKCS1_PADDING, 0, HELIO_E_BROKEN},
};

static void one_kind_of_signature_is_taken(void **state)
{
    (void)state;
    static const uint8_t m[] = "the message";
    struct rsa_key *key = load_key(key_files[0]);
    EVP_PKEY *pkey = load_for_openssl(key_files[0]);

    for (size_t i = 0; i < COUNT(choice_cases); i++) {
        const struct choice_case *c = &choice_cases[i];
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        EVP_PKEY_CTX *options;
        uint8_t signature[RSA_SIGNATURE_MAX];
        size_t n = sizeof signature;

        assert_int_equal(EVP_DigestSignInit_ex(context, &options, c->hash, NULL, NULL, pkey, NULL),
                         1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(options, c->padding), 1);
        if (c->padding == RSA_PKCS1_PSS_PADDING) {
            assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md_name(options, c->mgf_hash, NULL), 1);
            assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(options, c->salt), 1);
        }
        assert_int_equal(EVP_DigestSign(context, signature, &n, m, sizeof m), 1);
        expect(c->what, c->err, rsa_verify(key, m, sizeof m, signature, n));
        EVP_MD_CTX_free(context);
    }
    EVP_PKEY_free(pkey);
    rsa_free(key);
}

static void a_public_key_verifies_and_does_not_sign(void **state)
{
    (void)state;
    static const uint8_t salt[RSA_SALT_SIZE];
    uint8_t der[RSA_PUBLIC_DER_MAX], m[3] = {1, 2, 3}, signature[RSA_SIGNATURE_MAX];
    struct rsa_key *drawn, *public_half;
    size_t n;

    expect("draw", HELIO_OK, rsa_generate(&drawn, 2048));
    assert_int_equal(rsa_bits(drawn), 2048);
    expect("write", HELIO_OK, rsa_public_der(drawn, der, &n));
    expect("read", HELIO_OK, rsa_from_public_der(&public_half, der, n));
    expect("sign", HELIO_OK, rsa_sign(drawn, salt, m, sizeof m, signature));
    expect("verify", HELIO_OK, rsa_verify(public_half, m, sizeof m, signature, 256));
    expect("sign without the secret", HELIO_E_CRYPTO,
           rsa_sign(public_half, salt, m, sizeof m, signature));
    rsa_free(public_half);
    rsa_free(drawn);
    expect("2047 bits", HELIO_E_ARGUMENT, rsa_generate(&drawn, 2047));
    expect("8193 bits", HELIO_E_ARGUMENT, rsa_generate(&drawn, 8193));
    assert_null(drawn);
    rsa_free(NULL);
}

/* ------------------------------------------------------------------------------------------- PEM
 * -- */

struct answer {
    enum helio_err err;
    const char *text;
    size_t n;
    unsigned asked;
};

static enum helio_err give(void *context, char *out, size_t cap, size_t *n)
{
    struct answer *a = context;

    a->asked++;
    if (a->n <= cap)
        memcpy(out, a->text, a->n);
    *n = a->n;
    return a->err;
}

static void assert_same_key(const struct rsa_key *a, const struct rsa_key *b)
{
    uint8_t der_a[RSA_PUBLIC_DER_MAX], der_b[RSA_PUBLIC_DER_MAX];
    size_t n_a, n_b;

    expect("DER", HELIO_OK, rsa_public_der(a, der_a, &n_a));
    expect("DER", HELIO_OK, rsa_public_der(b, der_b, &n_b));
    assert_int_equal(n_a, n_b);
    assert_memory_equal(der_a, der_b, n_a);
}

static void private_pem_comes_back(void **state)
{
    (void)state;
    struct rsa_key *key = load_key(key_files[1]), *again;
    char *text;
    size_t n;

    expect("write", HELIO_OK, rsa_private_pem(key, NULL, 0, &text, &n));
    assert_int_equal(strlen(text), n);
    expect("read", HELIO_OK, rsa_from_private_pem(&again, text, n, NULL, NULL));
    assert_same_key(key, again);
    wipe(text, n);
    free(text);
    rsa_free(again);
    rsa_free(key);
}

static void encrypted_pem_wants_its_passphrase(void **state)
{
    (void)state;
    static char longest[HELIO_PASSPHRASE_MAX + 1];
    struct rsa_key *key = load_key(key_files[0]), *again;
    char *text;
    size_t n;

    memset(longest, 'x', sizeof longest);
    expect("too long", HELIO_E_ARGUMENT, rsa_private_pem(key, longest, sizeof longest, &text, &n));
    assert_null(text);
    expect("write", HELIO_OK, rsa_private_pem(key, longest, HELIO_PASSPHRASE_MAX, &text, &n));
    assert_non_null(strstr(text, "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));

    const struct {
        const char *what;
        struct answer answer;
        enum helio_err err;
    } cases[] = {
        {"right", {HELIO_OK, longest, HELIO_PASSPHRASE_MAX, 0}, HELIO_OK},
        {"one byte less", {HELIO_OK, longest, HELIO_PASSPHRASE_MAX - 1, 0}, HELIO_E_PASSPHRASE},
        {"more than fits", {HELIO_OK, longest, HELIO_PASSPHRASE_MAX + 1, 0}, HELIO_E_PASSPHRASE},
        {"empty", {HELIO_OK, longest, 0, 0}, HELIO_E_PASSPHRASE},
        {"gave up", {HELIO_E_SYSTEM, longest, HELIO_PASSPHRASE_MAX, 0}, HELIO_E_PASSPHRASE},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct answer a = cases[i].answer;

        expect(cases[i].what, cases[i].err, rsa_from_private_pem(&again, text, n, give, &a));
        assert_int_equal(a.asked, 1);
        if (again)
            assert_same_key(key, again);
        rsa_free(again);
    }
    expect("nobody to ask", HELIO_E_PASSPHRASE, rsa_from_private_pem(&again, text, n, NULL, NULL));
    wipe(text, n);
    free(text);
    rsa_free(key);
}

/* What stands before and behind a good block, and where its first line's label is changed. */
static const struct text_case {
    const char *what;
    const char *before, *behind;
    enum helio_err err;
} text_cases[] = {
    {"as it is", "", "", HELIO_OK},
    {"empty lines behind", "", "\n\r\n", HELIO_OK},
    {"empty line before", "\n", "", HELIO_E_FORMAT},
    {"text before", "Key:\n", "", HELIO_E_FORMAT},
    {"text behind", "", "x", HELIO_E_FORMAT},
    {"space behind", "", " \n", HELIO_E_FORMAT},
    {"another block behind", "", "-----BEGIN X-----\nAAAA\n-----END X-----\n", HELIO_E_FORMAT},
    {"another block before", "-----BEGIN X-----\nAAAA\n-----END X-----\n", "", HELIO_E_FORMAT},
    {"begun twice", "-----BEGIN PRIVATE KEY-----\n", "", HELIO_E_FORMAT},
};

static void pem_is_one_block_and_nothing_else(void **state)
{
    (void)state;
    char good[8192], text[8192];
    struct rsa_key *key;
    size_t n;

    strcpy(good, read_key_file(key_files[0], &n));
    for (size_t i = 0; i < COUNT(text_cases); i++) {
        const struct text_case *c = &text_cases[i];
        int text_n = snprintf(text, sizeof text, "%s%s%s", c->before, good, c->behind);

        expect(c->what, c->err, rsa_from_private_pem(&key, text, (size_t)text_n, NULL, NULL));
        rsa_free(key);
    }
    for (size_t cut = 0; cut < n; cut += 1 + cut / 8) {
        expect("cut", cut == n - 1 ? HELIO_OK : HELIO_E_FORMAT,
               rsa_from_private_pem(&key, good, cut, NULL, NULL));
        rsa_free(key);
    }
    expect("no last line end", HELIO_OK, rsa_from_private_pem(&key, good, n - 1, NULL, NULL));
    rsa_free(key);
    int text_n = snprintf(text, sizeof text, "%.28sProc-Type: 4,ENCRYPTED\n\n%s", good, good + 28);
    expect("header", HELIO_E_FORMAT, rsa_from_private_pem(&key, text, (size_t)text_n, NULL, NULL));
    good[40] = '\0';
    expect("NUL", HELIO_E_FORMAT, rsa_from_private_pem(&key, good, n, NULL, NULL));
}

/* A damaged file is refused, or was damaged where it does no harm; never a key that cannot sign. */
static void a_damaged_pair_is_not_taken(void **state)
{
    (void)state;
    static const uint8_t salt[RSA_SALT_SIZE];
    char text[8192];
    size_t n, refused = 0;

    strcpy(text, read_key_file(key_files[0], &n));
    for (size_t at = 28; at < n - 28; at += 41) {
        char old = text[at];
        struct rsa_key *key;
        uint8_t signature[RSA_SIGNATURE_MAX];

        if (old == '\n')
            continue;
        text[at] = old == 'A' ? 'B' : 'A';
        enum helio_err err = rsa_from_private_pem(&key, text, n, NULL, NULL);
        if (err == HELIO_OK) {
            expect("sign", HELIO_OK, rsa_sign(key, salt, salt, 1, signature));
        } else {
            assert_true(err == HELIO_E_KEY || err == HELIO_E_FORMAT);
            assert_int_equal(ERR_peek_error(), 0);
            refused++;
        }
        rsa_free(key);
        text[at] = old;
    }
    assert_true(refused > 5);
}

/* --------------------------------------------------------------------------------------- classic
 * -- */

static const struct key_case classic_cases[] = {
    {"1024 bits", RSA_OID, 1024, "00", 1, "010001", "", HELIO_OK},
    {"1025 bits", RSA_OID, 1025, "", 1, "010001", "", HELIO_OK},
    {"2048 bits", RSA_OID, 2048, "00", 1, "010001", "", HELIO_OK},
    {"e = 3", RSA_OID, 1024, "00", 1, "03", "", HELIO_OK},
    {"e = 17", RSA_OID, 1024, "00", 1, "11", "", HELIO_OK},
    {"1023 bits", RSA_OID, 1023, "", 1, "010001", "", HELIO_E_KEY},
    {"2049 bits", RSA_OID, 2049, "", 1, "010001", "", HELIO_E_KEY},
    {"even modulus", RSA_OID, 1024, "00", 2, "010001", "", HELIO_E_KEY},
    {"e = 0", RSA_OID, 1024, "00", 1, "00", "", HELIO_E_KEY},
    {"no e", RSA_OID, 1024, "00", 1, "", "", HELIO_E_KEY},
    {"no modulus", RSA_OID, 0, "", 0, "010001", "", HELIO_E_KEY},
    {"modulus zero", RSA_OID, 0, "00", 0, "010001", "", HELIO_E_KEY},
    {"e = 1", RSA_OID, 1024, "00", 1, "01", "", HELIO_E_KEY},
    {"e = 2", RSA_OID, 1024, "00", 1, "02", "", HELIO_E_KEY},
    {"e = 65536", RSA_OID, 1024, "00", 1, "010000", "", HELIO_E_KEY},
    {"negative e", RSA_OID, 1024, "00", 1, "ff", "", HELIO_E_KEY},
    {"rsassaPss", "300d06092a864886f70d01010a0500", 1024, "00", 1, "010001", "", HELIO_E_KEY},
    {"EC on P-256", "301306072a8648ce3d020106082a8648ce3d030107", 1024, "00", 1, "010001", "",
     HELIO_E_KEY},
};

static enum helio_err read_classic(struct rsa_key **key, const char *label, const struct der *d)
{
    char *text;
    BIO *bio = BIO_new(BIO_s_mem());

    assert_true(PEM_write_bio(bio, label, "", d->p, (long)d->n) > 0);
    long n = BIO_get_mem_data(bio, &text);
    enum helio_err err = rsa_classic_from_public_pem(key, text, (size_t)n);
    BIO_free(bio);
    return err;
}

static void classic_public_keys_are_taken_by_rule(void **state)
{
    (void)state;
    static char huge[2 * 129 + 1];
    struct key_case above = {"e above N", RSA_OID, 1024, "00", 1, huge, "", HELIO_E_KEY};
    struct rsa_key *key;
    struct der d;

    for (size_t i = 0; i < COUNT(classic_cases); i++) {
        write_key(&d, &classic_cases[i]);
        expect(classic_cases[i].what, classic_cases[i].err, read_classic(&key, "PUBLIC KEY", &d));
        rsa_free(key);
    }
    memset(huge, 'f', sizeof huge - 1);
    memset(huge, '0', 2);
    write_key(&d, &above);
    expect(above.what, above.err, read_classic(&key, "PUBLIC KEY", &d));
    write_key(&d, &classic_cases[0]);
    expect("other label", HELIO_E_KEY, read_classic(&key, "RSA PUBLIC KEY", &d));
    expect("no PEM", HELIO_E_KEY, rsa_classic_from_public_pem(&key, "hello", 5));
    expect("nothing", HELIO_E_KEY, rsa_classic_from_public_pem(&key, "", 0));
    assert_null(key);
}

static void classic_decrypts_what_it_encrypted(void **state)
{
    (void)state;
    struct rsa_key *pair, *public_half;
    uint8_t in[128] = {0}, wire[128], out[128];
    char *text;

    expect("draw", HELIO_OK, rsa_classic_generate(&pair));
    assert_int_equal(rsa_bits(pair), RSA_CLASSIC_BITS);
    expect("write", HELIO_OK, rsa_public_pem(pair, &text));
    expect("read", HELIO_OK, rsa_classic_from_public_pem(&public_half, text, strlen(text)));
    for (size_t from = 0; from < sizeof in; from += 9) { /* with fewer and fewer zeros in front */
        memset(in + sizeof in - 1 - from, 0x42, from + 1);
        in[0] &= 0x7f; /* below any modulus of 1024 bits */
        expect("encrypt", HELIO_OK, rsa_classic_encrypt(public_half, in, wire));
        expect("decrypt", HELIO_OK, rsa_classic_decrypt(pair, wire, out));
        assert_memory_equal(in, out, sizeof in);
    }
    memset(in, 0xff, sizeof in);
    expect("encrypt above N", HELIO_E_BROKEN, rsa_classic_encrypt(public_half, in, wire));
    expect("decrypt above N", HELIO_E_BROKEN, rsa_classic_decrypt(pair, in, out));
    expect("decrypt without the secret", HELIO_E_CRYPTO,
           rsa_classic_decrypt(public_half, wire, out));
    free(text);
    rsa_free(public_half);
    rsa_free(pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(public_keys_are_taken_by_rule),
        cmocka_unit_test(only_canonical_der_is_a_key),
        cmocka_unit_test(mutated_der_is_a_key_or_none),
        cmocka_unit_test(flipped_bits_do_not_make_the_same_key),
        cmocka_unit_test(signatures_equal_those_of_libgcrypt),
        cmocka_unit_test(altered_signatures_are_refused),
        cmocka_unit_test(one_kind_of_signature_is_taken),
        cmocka_unit_test(a_public_key_verifies_and_does_not_sign),
        cmocka_unit_test(private_pem_comes_back),
        cmocka_unit_test(encrypted_pem_wants_its_passphrase),
        cmocka_unit_test(pem_is_one_block_and_nothing_else),
        cmocka_unit_test(a_damaged_pair_is_not_taken),
        cmocka_unit_test(classic_public_keys_are_taken_by_rule),
        cmocka_unit_test(classic_decrypts_what_it_encrypted),
    };

    gcry_check_version(NULL);
    gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
    return cmocka_run_group_tests_name("rsa", tests, NULL, NULL);
}
