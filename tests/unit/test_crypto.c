#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <gcrypt.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdio.h>

#include "base/bytes.h"
#include "crypto/aead.h"
#include "crypto/encode.h"
#include "crypto/hash.h"
#include "crypto/x25519.h"
#include "unit/hex.h"

/* Every call to OpenSSL's allocator, counted, so that a test can ask for none. */
static size_t allocations;

static void *counted_malloc(size_t n, const char *file, int line)
{
    (void)file, (void)line;
    allocations++;
    return malloc(n);
}

static void *counted_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file, (void)line;
    allocations++;
    return realloc(p, n);
}

static void plain_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    free(p);
}

/* A byte that depends on where it stands and on a seed. */
static void fill(uint8_t *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)((i * 131 + seed * 29 + (i >> 8)) ^ 0x5a);
}

static void assert_hex(const char *what, const uint8_t *p, size_t n, const char *hex)
{
    uint8_t expected[512];

    if (from_hex(expected, sizeof expected, hex) == n && memcmp(expected, p, n) == 0)
        return;
    fprintf(stderr, "%s: expected %s\n%s: seen     ", what, hex, what);
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "%02x", p[i]);
    fputc('\n', stderr);
    fail_msg("%s differs", what);
}

/* --------------------------------------------------------------------------------------- hashes -- */

static void hashes_match_their_standards(void **state)
{
    (void)state;
    uint8_t out[SHA256_SIZE];

    assert_int_equal(sha256(out, "abc", 3), HELIO_OK); /* FIPS 180-2, appendix B.1 */
    assert_hex("SHA-256", out, SHA256_SIZE,
               "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(sha256(out, NULL, 0), HELIO_OK);
    assert_hex("SHA-256 of nothing", out, SHA256_SIZE,
               "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_int_equal(sha1(out, "abc", 3), HELIO_OK); /* FIPS 180-2, appendix A.1 */
    assert_hex("SHA-1", out, SHA1_SIZE, "a9993e364706816aba3e25717850c26c9cd0d89d");
}

static void a_running_hash_goes_on_after_its_value(void **state)
{
    (void)state;
    struct sha256 *h;
    uint8_t text[300], whole[SHA256_SIZE], running[SHA256_SIZE];

    fill(text, sizeof text, 1);
    assert_int_equal(sha256_new(&h), HELIO_OK);
    for (size_t n = 0; n < sizeof text; n++) {
        size_t tail = (sizeof text - n) / 2;

        assert_int_equal(sha256_value(h, text + n, tail, running), HELIO_OK);
        assert_int_equal(sha256(whole, text, n + tail), HELIO_OK);
        assert_memory_equal(running, whole, SHA256_SIZE);
        assert_int_equal(sha256_value(h, NULL, 0, running), HELIO_OK);
        assert_int_equal(sha256(whole, text, n), HELIO_OK);
        assert_memory_equal(running, whole, SHA256_SIZE);
        assert_int_equal(sha256_add(h, text + n, 1), HELIO_OK);
    }
    sha256_free(h);
    sha256_free(NULL);
}

/* RFC 4231, 4.2 to 4.4 and 4.7. */
static const struct hmac_case {
    const char *key;
    const char *text;
    const char *tag;
} hmac_cases[] = {
    {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
     "ddd"
     "dddd",
     "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    /* No key and no text: well known, and what a NULL would break. */
    {"", "", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
};

static void hmac_matches_rfc_4231(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof hmac_cases / sizeof *hmac_cases; i++) {
        const struct hmac_case *c = &hmac_cases[i];
        uint8_t key[64], text[64], tag[SHA256_SIZE];
        size_t key_n = from_hex(key, sizeof key, c->key);
        size_t text_n = from_hex(text, sizeof text, c->text);

        assert_int_equal(hmac_sha256(tag, key_n ? key : NULL, key_n, text_n ? text : NULL, text_n),
                         HELIO_OK);
        assert_hex("HMAC", tag, sizeof tag, c->tag);
    }
}

/* RFC 5869, appendix A.1 to A.3. */
static const struct hkdf_case {
    const char *ikm;
    const char *salt;
    const char *info;
    const char *prk;
    const char *okm;
} hkdf_cases[] = {
    {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
     "f0f1f2f3f4f5f6f7f8f9", "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
     "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
    {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324252627"
     "28292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
     "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f8081828384858687"
     "88898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
     "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7"
     "d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
     "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
     "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590"
     "e"
     "09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"},
    {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
     "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
     "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
};

static void hkdf_matches_rfc_5869(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof hkdf_cases / sizeof *hkdf_cases; i++) {
        const struct hkdf_case *c = &hkdf_cases[i];
        uint8_t ikm[80], salt[80], info[80], prk[SHA256_SIZE], okm[82];
        size_t ikm_n = from_hex(ikm, sizeof ikm, c->ikm);
        size_t salt_n = from_hex(salt, sizeof salt, c->salt);
        size_t info_n = from_hex(info, sizeof info, c->info);
        size_t okm_n = strlen(c->okm) / 2;

        assert_int_equal(hkdf_extract(prk, salt, salt_n, ikm, ikm_n), HELIO_OK);
        assert_hex("PRK", prk, sizeof prk, c->prk);
        assert_int_equal(hkdf_expand(okm, okm_n, prk, info, info_n), HELIO_OK);
        assert_hex("OKM", okm, okm_n, c->okm);
    }
}

static void hkdf_keeps_its_bounds(void **state)
{
    (void)state;
    static uint8_t out[255 * SHA256_SIZE + 1], info[513];
    uint8_t secret[SHA256_SIZE] = {0};

    assert_int_equal(hkdf_expand(out, sizeof out - 1, secret, info, 512), HELIO_OK);
    assert_int_equal(hkdf_expand(out, sizeof out, secret, info, 0), HELIO_E_ARGUMENT);
    assert_int_equal(hkdf_expand(out, 1, secret, info, 513), HELIO_E_ARGUMENT);
    assert_int_equal(hkdf_expand(out, 0, secret, NULL, 0), HELIO_OK);
}

/* --------------------------------------------------------------------------------------- X25519 -- */

static void x25519_matches_rfc_7748(void **state)
{
    (void)state;
    uint8_t a[X25519_SIZE], b[X25519_SIZE], share_a[X25519_SIZE], share_b[X25519_SIZE];
    uint8_t shared[X25519_SIZE];

    /* 6.1 */
    from_hex(a, sizeof a, "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    from_hex(b, sizeof b, "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    assert_int_equal(x25519_public(share_a, a), HELIO_OK);
    assert_hex("A's share", share_a, sizeof share_a,
               "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    assert_int_equal(x25519_public(share_b, b), HELIO_OK);
    assert_hex("B's share", share_b, sizeof share_b,
               "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
    assert_int_equal(x25519_shared(shared, a, share_b), HELIO_OK);
    assert_hex("A's secret", shared, sizeof shared,
               "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    assert_int_equal(x25519_shared(shared, b, share_a), HELIO_OK);
    assert_hex("B's secret", shared, sizeof shared,
               "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
}

/* The points of small order, and encodings of them that are not reduced. */
static const char *const small_order[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
};

static void x25519_refuses_the_result_zero(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof small_order / sizeof *small_order; i++) {
        uint8_t share[X25519_SIZE], shared[X25519_SIZE], own[X25519_SIZE];
        uint8_t zero[X25519_SIZE] = {0};

        fill(own, sizeof own, (unsigned)i);
        memset(shared, 0xaa, sizeof shared);
        from_hex(share, sizeof share, small_order[i]);
        assert_int_equal(x25519_shared(shared, own, share), HELIO_E_BROKEN);
        assert_memory_equal(shared, zero, sizeof zero);
    }
}

static void randomness_differs(void **state)
{
    (void)state;
    uint8_t a[32] = {0}, b[32] = {0};

    assert_int_equal(helio_random_system(NULL, a, sizeof a), HELIO_OK);
    assert_int_equal(helio_random_system(NULL, b, sizeof b), HELIO_OK);
    assert_memory_not_equal(a, b, sizeof a);
    assert_int_equal(helio_random_system(NULL, a, 0), HELIO_OK);
}

/* ----------------------------------------------------------------------------------------- AEAD -- */

static const char *const cipher_names[AEAD_COUNT] = {
    [AEAD_IDEA_CTR_POLY1305] = "idea-ctr-poly1305",
    [AEAD_CHACHA20_POLY1305] = "chacha20-poly1305",
    [AEAD_AES_256_GCM] = "aes-256-gcm",
};

static const struct aead_case {
    enum aead_cipher cipher;
    const char *key, *iv, *ad, *plain, *sealed, *tag;
} aead_cases[] = {
    /* RFC 8439, 2.8.2 */
    {AEAD_CHACHA20_POLY1305, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
     "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
     "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a2049662049"
     "20636f756c64206f6666657220796f75206f6e6c79206f6e652074697020666f7220746865206675747572652c20"
     "73756e73637265656e20776f756c642062652069742e",
     "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92"
     "728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b"
     "4831d7bc3ff4def08e4b7a9de576d26586cec64b6116",
     "1ae10b594f09e26a7e902ecbd0600691"},
    /* McGrew, Viega: "The Galois/Counter Mode of Operation", test case 16 */
    {AEAD_AES_256_GCM, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
     "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6"
     "b525b16aedf5aa0de657ba637b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b105682"
     "8838c5f61e6393ba7a0abcc9f662",
     "76fc6ece0f4e1768cddf8853bb2d551b"},
};

static void aead_matches_its_standards(void **state)
{
    (void)state;
    /*
     * protocol.md 3: the number is XORed onto the iv, so a number taken off the iv changes nothing.
     */
    static const uint64_t numbers[] = {0, 1, UINT64_C(0xfedcba987654)};

    for (size_t i = 0; i < 3 * sizeof aead_cases / sizeof *aead_cases; i++) {
        const struct aead_case *c = &aead_cases[i / 3];
        uint8_t key[32], iv[AEAD_IV_SIZE], ad[32], text[128], out[128], tag[AEAD_TAG_SIZE], be[8];
        struct aead_key k = {0};
        size_t n = from_hex(text, sizeof text, c->plain), ad_n = from_hex(ad, sizeof ad, c->ad);

        from_hex(key, sizeof key, c->key);
        from_hex(iv, sizeof iv, c->iv);
        put_u64(be, numbers[i % 3]);
        for (size_t j = 0; j < 8; j++)
            iv[4 + j] ^= be[j];
        assert_int_equal(aead_set_key(&k, c->cipher, key, iv), HELIO_OK);
        assert_int_equal(aead_seal(&k, numbers[i % 3], ad, ad_n, text, n, out, tag), HELIO_OK);
        assert_hex(cipher_names[c->cipher], out, n, c->sealed);
        assert_hex("tag", tag, sizeof tag, c->tag);
        aead_clear(&k);
    }
}

/* protocol.md 7 once more, with libgcrypt's IDEA, block by block, and libgcrypt's Poly1305. */
static void idea_blocks(const uint8_t key[16], uint64_t counter, uint8_t *p, size_t n)
{
    gcry_cipher_hd_t idea;

    assert_int_equal(gcry_cipher_open(&idea, GCRY_CIPHER_IDEA, GCRY_CIPHER_MODE_ECB, 0), 0);
    assert_int_equal(gcry_cipher_setkey(idea, key, 16), 0);
    for (size_t i = 0; i < n; i++) {
        static uint8_t block[8], in[8];

        if (i % 8 == 0) {
            put_u64(in, counter + i / 8);
            assert_int_equal(gcry_cipher_encrypt(idea, block, 8, in, 8), 0);
        }
        p[i] ^= block[i % 8];
    }
    gcry_cipher_close(idea);
}

static void idea_expected(const uint8_t key[16], uint64_t number, const uint8_t *ad, size_t ad_n,
                          uint8_t *text, size_t n, uint8_t tag[AEAD_TAG_SIZE])
{
    static const uint8_t zeros[16];
    uint8_t mac_key[32] = {0}, lengths[16] = {0};
    size_t tag_n = AEAD_TAG_SIZE;
    gcry_mac_hd_t mac;

    idea_blocks(key, number << 16, mac_key, sizeof mac_key);
    idea_blocks(key, (number << 16) + 4, text, n);
    for (unsigned i = 0; i < 8; i++) {
        lengths[i] = (uint8_t)(ad_n >> 8 * i);
        lengths[8 + i] = (uint8_t)(n >> 8 * i);
    }
    assert_int_equal(gcry_mac_open(&mac, GCRY_MAC_POLY1305, 0, NULL), 0);
    assert_int_equal(gcry_mac_setkey(mac, mac_key, sizeof mac_key), 0);
    assert_int_equal(gcry_mac_write(mac, ad, ad_n), 0);
    assert_int_equal(gcry_mac_write(mac, zeros, (16 - ad_n % 16) % 16), 0);
    assert_int_equal(gcry_mac_write(mac, text, n), 0);
    assert_int_equal(gcry_mac_write(mac, zeros, (16 - n % 16) % 16), 0);
    assert_int_equal(gcry_mac_write(mac, lengths, sizeof lengths), 0);
    assert_int_equal(gcry_mac_read(mac, tag, &tag_n), 0);
    gcry_mac_close(mac);
}

static const struct idea_case {
    uint64_t number;
    size_t ad_n;
    size_t n;
} idea_cases[] = {
    {0, 0, 0},
    {0, 4, 0},
    {1, 0, 1},
    {2, 4, 7},
    {3, 16, 8},
    {4, 17, 15},
    {5, 15, 16},
    {65535, 4, 17},
    {65536, 4, 64},
    {1, 74, 1000},
    {77, 4, 67584},
    {UINT64_C(0xffffffffffff), 4, 333},
    {9, 4, 65536},
    {0, 0, AEAD_TEXT_MAX},
    {UINT64_C(0xffffffffffff), 4, AEAD_TEXT_MAX},
};

static void idea_matches_an_independent_computation(void **state)
{
    (void)state;
    static uint8_t text[AEAD_TEXT_MAX], expected[AEAD_TEXT_MAX], out[AEAD_TEXT_MAX];
    uint8_t key[16], ad[80], tag[AEAD_TAG_SIZE], expected_tag[AEAD_TAG_SIZE];
    struct aead_key k = {0};

    for (size_t i = 0; i < sizeof idea_cases / sizeof *idea_cases; i++) {
        const struct idea_case *c = &idea_cases[i];

        fill(key, sizeof key, (unsigned)i);
        fill(ad, sizeof ad, (unsigned)i + 100);
        fill(text, c->n, (unsigned)i + 200);
        memcpy(expected, text, c->n);
        idea_expected(key, c->number, ad, c->ad_n, expected, c->n, expected_tag);
        assert_int_equal(aead_set_key(&k, AEAD_IDEA_CTR_POLY1305, key, NULL), HELIO_OK);
        assert_int_equal(aead_seal(&k, c->number, ad, c->ad_n, text, c->n, out, tag), HELIO_OK);
        if (memcmp(out, expected, c->n) != 0 || memcmp(tag, expected_tag, sizeof tag) != 0)
            fail_msg("idea case %zu differs from libgcrypt", i);
    }
    aead_clear(&k);
}

static void new_key(struct aead_key *k, enum aead_cipher cipher, unsigned seed)
{
    uint8_t key[AEAD_KEY_MAX], iv[AEAD_IV_SIZE];

    fill(key, sizeof key, seed);
    fill(iv, sizeof iv, seed + 1);
    assert_int_equal(aead_set_key(k, cipher, key, aead_iv_size(cipher) ? iv : NULL), HELIO_OK);
}

static void aead_opens_what_it_sealed(void **state)
{
    (void)state;
    enum { MOST = 300 };
    static const size_t long_ones[] = {4095, 65536, 67584, AEAD_TEXT_MAX};
    static uint8_t plain[AEAD_TEXT_MAX], sealed[AEAD_TEXT_MAX], in_place[AEAD_TEXT_MAX];

    for (int c = 0; c < AEAD_COUNT; c++) {
        struct aead_key ours = {0}, theirs = {0};

        new_key(&ours, (enum aead_cipher)c, 7);
        new_key(&theirs, (enum aead_cipher)c, 7);
        for (size_t i = 0; i < MOST + sizeof long_ones / sizeof *long_ones; i++) {
            size_t n = i < MOST ? i : long_ones[i - MOST], ad_n = i % 41;
            uint8_t ad[41], tag[AEAD_TAG_SIZE], tag_in_place[AEAD_TAG_SIZE];

            fill(ad, sizeof ad, (unsigned)i);
            fill(plain, n, (unsigned)i);
            memcpy(in_place, plain, n);
            assert_int_equal(aead_seal(&ours, i, ad, ad_n, plain, n, sealed, tag), HELIO_OK);
            assert_int_equal(aead_seal(&ours, i, ad, ad_n, in_place, n, in_place, tag_in_place),
                             HELIO_OK);
            assert_memory_equal(tag, tag_in_place, sizeof tag);
            assert_true(n < 16 || memcmp(sealed, plain, n) != 0);
            if (n > 0)
                assert_memory_equal(sealed, in_place, n);
            assert_int_equal(aead_open(&theirs, i, ad, ad_n, in_place, n, in_place, tag), HELIO_OK);
            assert_int_equal(aead_open(&theirs, i, ad, ad_n, sealed, n, sealed, tag), HELIO_OK);
            if (n > 0) {
                assert_memory_equal(in_place, plain, n);
                assert_memory_equal(sealed, plain, n);
            }
        }
        aead_clear(&ours);
        aead_clear(&theirs);
    }
}

/* One record that some bit was changed in: refused, nothing shown, and no error left behind. */
/* Wherever a text is cut in two, mid-block too, it is sealed as in one piece. */
static void aead_seals_pieces_as_one(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 7, 16, 33, 1503, 1504, 1505, 1600, 5000};
    static uint8_t text[5000], one[5000], two[5000];
    uint8_t ad[4] = {5, 0, 1, 2}, tag_one[AEAD_TAG_SIZE], tag_two[AEAD_TAG_SIZE];

    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)(i * 31 + i / 256);
    for (size_t i = 0; i < AEAD_COUNT * sizeof lengths / sizeof *lengths; i++) {
        enum aead_cipher cipher = (enum aead_cipher)(i % AEAD_COUNT);
        size_t n = lengths[i / AEAD_COUNT], step = n > 100 ? 61 : 1;
        struct aead_key k = {0};

        new_key(&k, cipher, 7);
        assert_int_equal(aead_seal(&k, i, ad, sizeof ad, text, n, one, tag_one), HELIO_OK);
        for (size_t cut = 0; cut <= n; cut += step) {
            memcpy(two + cut, text + cut, n - cut);
            assert_int_equal(aead_seal_pieces(&k, i, ad, sizeof ad, text, cut, two, n, tag_two),
                             HELIO_OK);
            if (memcmp(one, two, n) != 0 || memcmp(tag_one, tag_two, AEAD_TAG_SIZE) != 0)
                fail_msg("%s, %zu bytes cut at %zu: other than in one piece", cipher_names[cipher],
                         n, cut);
        }
        aead_clear(&k);
    }
}

static void assert_refused(struct aead_key *k, uint64_t number, const uint8_t *ad, size_t ad_n,
                           const uint8_t *in, size_t n, const uint8_t *tag, const char *where,
                           size_t bit)
{
    static const uint8_t zeros[64];
    uint8_t out[64], copy[64];

    memset(out, 0xaa, sizeof out);
    memcpy(copy, in, n);
    if (aead_open(k, number, ad, ad_n, in, n, out, tag) != HELIO_E_BROKEN ||
        memcmp(out, zeros, n) != 0 ||
        aead_open(k, number, ad, ad_n, copy, n, copy, tag) != HELIO_E_BROKEN ||
        memcmp(copy, zeros, n) != 0 || out[n] != 0xaa || ERR_peek_error() != 0)
        fail_msg("length %zu, bit %zu of the %s: not refused as it should be", n, bit, where);
}

static void aead_refuses_every_flipped_bit(void **state)
{
    (void)state;
    enum { LONGEST = 40, AD = 5 };

    for (int c = 0; c < AEAD_COUNT; c++) {
        struct aead_key k = {0};

        new_key(&k, (enum aead_cipher)c, 3);
        for (size_t n = 0; n <= LONGEST; n += n < 18 ? 1 : 11) {
            uint8_t ad[AD], text[LONGEST], tag[AEAD_TAG_SIZE];
            const struct {
                const char *name;
                uint8_t *p;
                size_t n;
            } parts[] = {{"tag", tag, sizeof tag}, {"text", text, n}, {"associated data", ad, AD}};

            fill(ad, sizeof ad, 1);
            fill(text, n, 2);
            assert_int_equal(aead_seal(&k, 5, ad, AD, text, n, text, tag), HELIO_OK);
            for (size_t part = 0; part < sizeof parts / sizeof *parts; part++)
                for (size_t bit = 0; bit < 8 * parts[part].n; bit++) {
                    uint8_t mask = (uint8_t)(1u << bit % 8);

                    parts[part].p[bit / 8] ^= mask;
                    assert_refused(&k, 5, ad, AD, text, n, tag, parts[part].name, bit);
                    parts[part].p[bit / 8] ^= mask;
                }
            for (unsigned bit = 0; bit < 48; bit++)
                assert_refused(&k, 5 ^ UINT64_C(1) << bit, ad, AD, text, n, tag, "number", bit);
            assert_refused(&k, 5, ad, AD - 1, text, n, tag, "length of associated data", 0);
            if (n > 0)
                assert_refused(&k, 5, ad, AD, text, n - 1, tag, "length", 0);
            assert_int_equal(aead_open(&k, 5, ad, AD, text, n, text, tag), HELIO_OK);
        }
        aead_clear(&k);
    }
}

static void aead_keeps_its_bounds(void **state)
{
    (void)state;
    static uint8_t text[AEAD_TEXT_MAX + 1];
    uint8_t tag[AEAD_TAG_SIZE], key[AEAD_KEY_MAX] = {0};
    struct aead_key k = {0};

    aead_clear(&k);
    assert_int_equal(aead_set_key(&k, AEAD_COUNT, key, key), HELIO_E_ARGUMENT);
    for (int c = 0; c < AEAD_COUNT; c++) {
        new_key(&k, (enum aead_cipher)c, 0); /* from the cipher before: without a clear */
        assert_int_equal(aead_key_size((enum aead_cipher)c), c == 0 ? 16 : 32);
        assert_int_equal(aead_iv_size((enum aead_cipher)c), c == 0 ? 0 : 12);
        fill(text, sizeof text, 9);
        assert_int_equal(aead_seal(&k, 0, NULL, 0, text, sizeof text, text, tag), HELIO_E_TOO_LONG);
        assert_int_equal(text[0] | text[AEAD_TEXT_MAX], 0);
        fill(text, sizeof text, 9);
        assert_int_equal(aead_open(&k, 0, NULL, 0, text, sizeof text, text, tag), HELIO_E_TOO_LONG);
        assert_int_equal(text[0] | text[AEAD_TEXT_MAX], 0);
        assert_int_equal(aead_seal(&k, UINT64_C(1) << 48, NULL, 0, text, 1, text, tag),
                         HELIO_E_ARGUMENT);
        assert_int_equal(aead_open(&k, UINT64_MAX, NULL, 0, text, 1, text, tag), HELIO_E_ARGUMENT);
    }
    aead_clear(&k);
    assert_int_equal(aead_seal(&k, 0, NULL, 0, text, 1, text, tag), HELIO_E_STATE);
}

static void epochs_allocate_nothing(void **state)
{
    (void)state;
    uint8_t ad[4] = {0}, text[100] = {0}, tag[AEAD_TAG_SIZE];

    for (int c = 0; c < AEAD_COUNT; c++) {
        struct aead_key k = {0};

        new_key(&k, (enum aead_cipher)c, 1);
        size_t before = allocations;
        assert_true(before > 0);
        for (unsigned epoch = 2; epoch < 10; epoch++) {
            new_key(&k, (enum aead_cipher)c, epoch);
            assert_int_equal(aead_seal(&k, 0, ad, sizeof ad, text, sizeof text, text, tag),
                             HELIO_OK);
            assert_int_equal(aead_open(&k, 1, ad, sizeof ad, text, sizeof text, text, tag),
                             HELIO_E_BROKEN);
        }
        if (allocations != before)
            fail_msg("%s: %zu allocations in 8 epochs, expected 0", cipher_names[c],
                     allocations - before);
        aead_clear(&k);
    }
}

/* --------------------------------------------------------------------------------------- base64 -- */

static void base64_has_one_spelling(void **state)
{
    (void)state;
    uint8_t in[32], out[32];
    char text[BASE64_32_SIZE + 1] = {0}, changed[BASE64_32_SIZE];

    assert_int_equal(sha256(in, "abc", 3), HELIO_OK);
    base64_from_32(text, in);
    assert_string_equal(text, "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0");
    assert_int_equal(base64_to_32(out, text), HELIO_OK);
    assert_memory_equal(in, out, sizeof in);
    for (size_t at = 0; at < BASE64_32_SIZE; at++)
        for (int c = 0; c < 256; c++) {
            memcpy(changed, text, sizeof changed);
            changed[at] = (char)c;
            if (base64_to_32(out, changed) == HELIO_OK) {
                char again[BASE64_32_SIZE];

                base64_from_32(again, out);
                if (memcmp(again, changed, sizeof again) != 0)
                    fail_msg("character %zu as 0x%02x: taken, but not what we write", at, c);
            } else if (c == text[at]) {
                fail_msg("character %zu as 0x%02x: refused", at, c);
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_match_their_standards),
        cmocka_unit_test(a_running_hash_goes_on_after_its_value),
        cmocka_unit_test(hmac_matches_rfc_4231),
        cmocka_unit_test(hkdf_matches_rfc_5869),
        cmocka_unit_test(hkdf_keeps_its_bounds),
        cmocka_unit_test(x25519_matches_rfc_7748),
        cmocka_unit_test(x25519_refuses_the_result_zero),
        cmocka_unit_test(randomness_differs),
        cmocka_unit_test(aead_matches_its_standards),
        cmocka_unit_test(idea_matches_an_independent_computation),
        cmocka_unit_test(aead_opens_what_it_sealed),
        cmocka_unit_test(aead_seals_pieces_as_one),
        cmocka_unit_test(aead_refuses_every_flipped_bit),
        cmocka_unit_test(aead_keeps_its_bounds),
        cmocka_unit_test(epochs_allocate_nothing),
        cmocka_unit_test(base64_has_one_spelling),
    };

    CRYPTO_set_mem_functions(counted_malloc, counted_realloc, plain_free);
    gcry_check_version(NULL);
    gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
    return cmocka_run_group_tests_name("crypto", tests, NULL, NULL);
}
