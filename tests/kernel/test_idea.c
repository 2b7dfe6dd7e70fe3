/*
 * test_idea.c: IDEA against its definition, its published vectors and libgcrypt.
 *
 * Random cases come from a fixed seed, which HELIO_TEST_SEED replaces; a failure prints it.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <gcrypt.h>

#include "base/bytes.h"
#include "idea/idea.h"
#include "kernel/kernels.h"

static uint64_t seed = 0x1dea1dea1dea1dea;

static void assert_bytes(const char *what, const uint8_t *seen, const uint8_t *expected, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (seen[i] != expected[i])
            fail_msg("%s: byte %zu of %zu: expected %02x, seen %02x (seed %" PRIu64 ")", what, i, n,
                     expected[i], seen[i], seed);
}

/* ------------------------------------------------------------------------------ arithmetic -- */

static void check_product(uint16_t a, uint16_t b)
{
    if (idea_multiply(a, b) != multiply_defined(a, b))
        fail_msg("%u * %u: expected %u, seen %u (seed %" PRIu64 ")", a, b, multiply_defined(a, b),
                 idea_multiply(a, b), seed);
}

static void multiplication_is_modulo_65537(void **state)
{
    (void)state;
    static const uint16_t edges[] = {0,     1,     2,     3,     255,   256,   257,
                                     32767, 32768, 32769, 65279, 65533, 65534, 65535};
    uint64_t random = seed;

    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
        for (unsigned b = 0; b < 65536; b++) {
            check_product(edges[i], (uint16_t)b);
            check_product((uint16_t)b, edges[i]);
        }
    for (int i = 0; i < 2000000; i++) {
        uint64_t pair = random_next(&random);

        check_product((uint16_t)pair, (uint16_t)(pair >> 16));
    }
}

static void every_word_has_an_inverse(void **state)
{
    (void)state;
    for (unsigned a = 0; a < 65536; a++) {
        uint16_t inverse = idea_invert((uint16_t)a);

        if (multiply_defined((uint16_t)a, inverse) != 1)
            fail_msg("inverse of %u: seen %u", a, inverse);
    }
}

/* ------------------------------------------------------------------------- published vectors -- */

/* The subkeys of the key 1, 2, ..., 8 as Lai prints them, for both directions. */
static void key_schedules_are_as_published(void **state)
{
    (void)state;
    static const uint8_t key[16] = {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8};
    static const uint16_t encrypt[IDEA_SUBKEYS] = {
        1,     2,     3,     4,     5,     6,     /* 1 */
        7,     8,     1024,  1536,  2048,  2560,  /* 2 */
        3072,  3584,  4096,  512,   16,    20,    /* 3 */
        24,    28,    32,    4,     8,     12,    /* 4 */
        10240, 12288, 14336, 16384, 2048,  4096,  /* 5 */
        6144,  8192,  112,   128,   16,    32,    /* 6 */
        48,    64,    80,    96,    0,     8192,  /* 7 */
        16384, 24576, 32768, 40960, 49152, 57345, /* 8 */
        128,   192,   256,   320,
    };
    static const uint16_t decrypt[IDEA_SUBKEYS] = {
        65025, 65344, 65280, 26010, 49152, 57345, /* 1 */
        65533, 32768, 40960, 52428, 0,     8192,  /* 2 */
        42326, 65456, 65472, 21163, 16,    32,    /* 3 */
        21835, 65424, 57344, 65025, 2048,  4096,  /* 4 */
        13101, 51200, 53248, 65533, 8,     12,    /* 5 */
        19115, 65504, 65508, 49153, 16,    20,    /* 6 */
        43670, 61440, 61952, 65409, 2048,  2560,  /* 7 */
        18725, 64512, 65528, 21803, 5,     6,     /* 8 */
        1,     65534, 65533, 49153,
    };
    helio_idea idea;

    helio_idea_set_key(&idea, key);
    for (int i = 0; i < IDEA_SUBKEYS; i++)
        if (idea.encrypt[i] != encrypt[i] || idea.decrypt[i] != decrypt[i])
            fail_msg("subkey %d: expected %u and %u, seen %u and %u", i, encrypt[i], decrypt[i],
                     idea.encrypt[i], idea.decrypt[i]);
    helio_idea_clear(&idea);
    for (int i = 0; i < IDEA_SUBKEYS; i++)
        assert_true(idea.encrypt[i] == 0 && idea.decrypt[i] == 0);
    for (size_t i = 0; i < sizeof idea.wide / sizeof *idea.wide; i++)
        assert_int_equal(idea.wide[i], 0);
}

static const struct block_vector {
    uint8_t key[16];
    uint8_t plain[8];
    uint8_t cipher[8];
} block_vectors[] = {
    /* Lai and Massey */
    {{0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8},
     {0, 0, 0, 1, 0, 2, 0, 3},
     {0x11, 0xfb, 0xed, 0x2b, 0x01, 0x98, 0x6d, 0xe5}},
    /* NESSIE, set 8, vectors 0 and 1 */
    {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
     {0xdb, 0x2d, 0x4a, 0x92, 0xaa, 0x68, 0x27, 0x3f},
     {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77}},
    {{0x2b, 0xd6, 0x45, 0x9f, 0x82, 0xc5, 0xb3, 0x00, 0x95, 0x2c, 0x49, 0x10, 0x48, 0x81, 0xff,
      0x48},
     {0xf1, 0x29, 0xa6, 0x60, 0x1e, 0xf6, 0x2a, 0x47},
     {0xea, 0x02, 0x47, 0x14, 0xad, 0x5c, 0x4d, 0x84}},
};

static void blocks_are_as_published(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof block_vectors / sizeof *block_vectors; i++) {
        const struct block_vector *v = &block_vectors[i];
        helio_idea idea;
        uint8_t block[8];

        helio_idea_set_key(&idea, v->key);
        helio_idea_encrypt(&idea, block, v->plain);
        assert_bytes("encryption", block, v->cipher, sizeof block);
        helio_idea_decrypt(&idea, block, block);
        assert_bytes("decryption", block, v->plain, sizeof block);
        helio_idea_clear(&idea);
    }
}

static void hex_field(uint8_t *out, size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++) {
        unsigned value;

        if (sscanf(text + 2 * i, "%2x", &value) != 1)
            fail_msg("not %zu bytes of hex: %s", n, text);
        out[i] = (uint8_t)value;
    }
}

/*
 * One entry of the file: "NAME = HEX" lines, ended by a blank one.  CIPHERTEXTn is what n
 * encryptions, each of the one before, make of PLAINTEXT; only the first half of the entries has
 * those.
 */
struct file_vector {
    uint8_t key[16];
    uint8_t plain[8];
    uint8_t cipher[8];
    uint8_t cipher100[8];
    uint8_t cipher1000[8];
};

enum { SEEN_SHORT = 7, SEEN_ALL = 31 };

static void check_file_vector(const struct file_vector *v, bool chained)
{
    helio_idea idea;
    uint8_t block[8];

    helio_idea_set_key(&idea, v->key);
    helio_idea_decrypt(&idea, block, v->cipher);
    assert_bytes("PLAINTEXT", block, v->plain, sizeof block);
    for (int turn = 1; turn <= (chained ? 1000 : 1); turn++) {
        helio_idea_encrypt(&idea, block, block);
        if (turn == 1)
            assert_bytes("CIPHERTEXT", block, v->cipher, sizeof block);
        if (turn == 100)
            assert_bytes("CIPHERTEXT100", block, v->cipher100, sizeof block);
        if (turn == 1000)
            assert_bytes("CIPHERTEXT1000", block, v->cipher1000, sizeof block);
    }
    helio_idea_clear(&idea);
}

/* Puts a line's value where it belongs; returns that field's bit, or 0 for a line without one. */
static unsigned take_line(struct file_vector *v, const char *line)
{
    const struct {
        const char *name;
        uint8_t *at;
        size_t n;
    } fields[] = {
        {"KEY", v->key, sizeof v->key},
        {"PLAINTEXT", v->plain, sizeof v->plain},
        {"CIPHERTEXT", v->cipher, sizeof v->cipher},
        {"CIPHERTEXT100", v->cipher100, sizeof v->cipher100},
        {"CIPHERTEXT1000", v->cipher1000, sizeof v->cipher1000},
    };
    char name[32], value[64];

    if (sscanf(line, "%31[A-Z0-9] = %63[0-9A-F]", name, value) != 2)
        return 0;
    for (unsigned i = 0; i < sizeof fields / sizeof *fields; i++)
        if (strcmp(name, fields[i].name) == 0) {
            assert_int_equal(strlen(value), 2 * fields[i].n);
            hex_field(fields[i].at, fields[i].n, value);
            return 1u << i;
        }
    return 0;
}

/* 450 entries for encryption, each with three ciphertexts (1350 in all), and 450 for decryption. */
static void debian_vectors_hold(void **state)
{
    (void)state;
    const char *path = getenv("HELIO_IDEA_VECTORS");
    struct file_vector v;
    char line[256];
    unsigned seen = 0, shorts = 0, chains = 0;
    bool more = true;

    if (!path)
        fail_msg("HELIO_IDEA_VECTORS does not say where idea-ecb.txt is");
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("%s: cannot be opened", path);
    while (more) {
        more = fgets(line, sizeof line, file) != NULL;
        if (more && line[0] != '\n') {
            seen |= take_line(&v, line);
            continue;
        }
        if (seen != 0) {
            assert_true(seen == SEEN_SHORT || seen == SEEN_ALL);
            check_file_vector(&v, seen == SEEN_ALL);
            chains += seen == SEEN_ALL;
            shorts += seen == SEEN_SHORT;
        }
        seen = 0;
    }
    (void)fclose(file);
    assert_int_equal(chains, 450);
    assert_int_equal(shorts, 450);
}

/* --------------------------------------------------------------------------------- libgcrypt -- */

enum { KEYS = 4096, BLOCKS = 512 };

static gcry_cipher_hd_t gcrypt_open(int mode)
{
    gcry_cipher_hd_t handle;

    assert_int_equal(gcry_cipher_open(&handle, GCRY_CIPHER_IDEA, mode, 0), 0);
    return handle;
}

/* Two million random blocks under four thousand random keys, each way. */
static void blocks_are_libgcrypts(void **state)
{
    (void)state;
    static uint8_t plain[8 * BLOCKS], theirs[8 * BLOCKS], ours[8 * BLOCKS];
    gcry_cipher_hd_t handle = gcrypt_open(GCRY_CIPHER_MODE_ECB);
    uint64_t random = seed;

    for (int round = 0; round < KEYS; round++) {
        uint8_t key[16];
        helio_idea idea;

        random_fill(&random, key, sizeof key);
        for (size_t i = 0; i < BLOCKS; i++)
            put_u64(plain + 8 * i, random_next(&random));
        assert_int_equal(gcry_cipher_setkey(handle, key, sizeof key), 0);
        assert_int_equal(gcry_cipher_encrypt(handle, theirs, sizeof theirs, plain, sizeof plain),
                         0);
        helio_idea_set_key(&idea, key);
        for (size_t i = 0; i < sizeof plain; i += 8)
            helio_idea_encrypt(&idea, ours + i, plain + i);
        assert_bytes("encryption", ours, theirs, sizeof ours);
        for (size_t i = 0; i < sizeof plain; i += 8)
            helio_idea_decrypt(&idea, ours + i, ours + i);
        assert_bytes("decryption", ours, plain, sizeof ours);
        helio_idea_clear(&idea);
    }
    gcry_cipher_close(handle);
}

/* The same for counter mode, at random lengths and counters, every fourth of them about to wrap. */
static void ctr_is_libgcrypts(void **state)
{
    (void)state;
    static uint8_t in[8 * BLOCKS], theirs[8 * BLOCKS], ours[8 * BLOCKS];
    gcry_cipher_hd_t handle = gcrypt_open(GCRY_CIPHER_MODE_CTR);
    uint64_t random = seed;

    for (int round = 0; round < 2 * KEYS; round++) {
        uint8_t key[16], first[8];
        size_t n = (size_t)(random_next(&random) % sizeof in) + 1;
        uint64_t counter = random_next(&random);
        helio_idea idea;

        if (round % 4 == 0)
            counter |= UINT64_MAX << 8;
        put_u64(first, counter);
        random_fill(&random, key, sizeof key);
        for (size_t i = 0; i < BLOCKS; i++)
            put_u64(in + 8 * i, random_next(&random));
        assert_int_equal(gcry_cipher_setkey(handle, key, sizeof key), 0);
        assert_int_equal(gcry_cipher_setctr(handle, first, sizeof first), 0);
        assert_int_equal(gcry_cipher_encrypt(handle, theirs, n, in, n), 0);
        helio_idea_set_key(&idea, key);
        helio_idea_ctr(&idea, counter, ours, in, n);
        assert_bytes("counter mode", ours, theirs, n);
        helio_idea_clear(&idea);
    }
    gcry_cipher_close(handle);
}

/* ------------------------------------------------------------------------------ counter mode -- */

/* The definition, a block at a time. */
static void ctr_defined(const helio_idea *idea, uint64_t counter, uint8_t *out, const uint8_t *in,
                        size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t block[8];

        put_u64(block, counter + i / 8);
        helio_idea_encrypt(idea, block, block);
        out[i] = in[i] ^ block[i % 8];
    }
}

enum { LENGTH_MAX = 300, GUARD = 16 };

/* One run inside a larger array, which must stay as it is around the run. */
static void check_ctr(const helio_idea *idea, uint64_t counter, const uint8_t *in,
                      const uint8_t *expected, size_t n, size_t in_at, size_t out_at, bool in_place)
{
    uint8_t from[LENGTH_MAX + 2 * GUARD], to[LENGTH_MAX + 2 * GUARD], want[sizeof to];
    uint8_t *out = in_place ? from + in_at : to + out_at;
    uint8_t *around = in_place ? from : to;

    memset(from, 0xa5, sizeof from);
    memset(to, 0xa5, sizeof to);
    memset(want, 0xa5, sizeof want);
    memcpy(from + in_at, in, n);
    memcpy(want + (out - around), expected, n);
    helio_idea_ctr(idea, counter, out, from + in_at, n);
    assert_bytes(in_place ? "in place" : "apart", around, want, sizeof want);
    if (!in_place)
        assert_bytes("input", from + in_at, in, n);
}

static void ctr_takes_any_length_and_alignment(void **state)
{
    (void)state;
    /* The last few wrap: within the first blocks, and across what a kernel does at once. */
    static const uint64_t counters[] = {
        0,          UINT16_MAX - 3, UINT32_MAX - 3,  (UINT64_C(1) << 48) - 2,
        UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - 31, UINT64_MAX - 32};
    uint8_t key[16], in[LENGTH_MAX], expected[LENGTH_MAX];
    uint64_t random = seed;
    helio_idea idea;

    random_fill(&random, key, sizeof key);
    random_fill(&random, in, sizeof in);
    helio_idea_set_key(&idea, key);
    for (size_t c = 0; c < sizeof counters / sizeof *counters; c++) {
        ctr_defined(&idea, counters[c], expected, in, sizeof in);
        for (size_t n = 0; n <= LENGTH_MAX; n++)
            for (size_t at = 0; at < 8; at++) {
                check_ctr(&idea, counters[c], in, expected, n, GUARD + at, GUARD + (at * 3 + n) % 8,
                          false);
                check_ctr(&idea, counters[c], in, expected, n, GUARD + at, 0, true);
            }
    }
    helio_idea_clear(&idea);
}

/* NULL is no array, and n = 0 does not look at it. */
static void ctr_of_nothing_is_nothing(void **state)
{
    (void)state;
    static const uint8_t key[16] = {0};
    helio_idea idea;

    helio_idea_set_key(&idea, key);
    helio_idea_ctr(&idea, 0, NULL, NULL, 0);
    helio_idea_clear(&idea);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multiplication_is_modulo_65537),
        cmocka_unit_test(every_word_has_an_inverse),
        cmocka_unit_test(key_schedules_are_as_published),
        cmocka_unit_test(blocks_are_as_published),
        cmocka_unit_test(debian_vectors_hold),
        cmocka_unit_test(blocks_are_libgcrypts),
        cmocka_unit_test(ctr_is_libgcrypts),
        cmocka_unit_test(ctr_takes_any_length_and_alignment),
        cmocka_unit_test(ctr_of_nothing_is_nothing),
    };
    const char *given = getenv("HELIO_TEST_SEED");

    if (given)
        seed = strtoull(given, NULL, 0);
    if (!gcry_check_version(NULL))
        return EXIT_FAILURE;
    (void)gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
    return cmocka_run_group_tests_name("idea", tests, NULL, NULL);
}
