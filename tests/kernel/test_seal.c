/*
 * test_seal.c: idea-ctr-poly1305 at every short length, against libgcrypt's IDEA and Poly1305 put
 * together as protocol.md 7 says, under every kernel.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <gcrypt.h>

#include "base/bytes.h"
#include "crypto/aead.h"
#include "kernel/kernels.h"

/* Past the longest that is done in one piece, of both kinds, and past a batch of every kernel. */
enum { TEXT_MAX = 1700, AD_MAX = 40, LONG = 65536 };

static const uint8_t key[16] = "a key of sixteen";
static const uint8_t ad[AD_MAX] = "what is not secret but must not change";

static void add_padded(gcry_mac_hd_t mac, const uint8_t *p, size_t n)
{
    static const uint8_t zeros[16];

    assert_int_equal(gcry_mac_write(mac, p, n), 0);
    assert_int_equal(gcry_mac_write(mac, zeros, (16 - n % 16) % 16), 0);
}

static void seal_defined(uint64_t number, size_t ad_n, const uint8_t *text, size_t n, uint8_t *out,
                         uint8_t tag[AEAD_TAG_SIZE])
{
    uint8_t counter[8], mac_key[32] = {0}, lengths[16];
    size_t tag_n = AEAD_TAG_SIZE;
    gcry_cipher_hd_t cipher;
    gcry_mac_hd_t mac;

    assert_int_equal(gcry_cipher_open(&cipher, GCRY_CIPHER_IDEA, GCRY_CIPHER_MODE_CTR, 0), 0);
    assert_int_equal(gcry_cipher_setkey(cipher, key, sizeof key), 0);
    put_u64(counter, number << 16);
    assert_int_equal(gcry_cipher_setctr(cipher, counter, sizeof counter), 0);
    assert_int_equal(gcry_cipher_encrypt(cipher, mac_key, sizeof mac_key, NULL, 0), 0);
    assert_int_equal(gcry_cipher_encrypt(cipher, out, n, text, n), 0);
    gcry_cipher_close(cipher);

    assert_int_equal(gcry_mac_open(&mac, GCRY_MAC_POLY1305, 0, NULL), 0);
    assert_int_equal(gcry_mac_setkey(mac, mac_key, sizeof mac_key), 0);
    add_padded(mac, ad, ad_n);
    add_padded(mac, out, n);
    put_u64_little(lengths, ad_n);
    put_u64_little(lengths + 8, n);
    assert_int_equal(gcry_mac_write(mac, lengths, sizeof lengths), 0);
    assert_int_equal(gcry_mac_read(mac, tag, &tag_n), 0);
    gcry_mac_close(mac);
}

static void check(struct aead_key *k, uint64_t number, size_t ad_n, size_t n)
{
    static uint8_t text[LONG], seen[LONG], expected[LONG];
    uint8_t tag[AEAD_TAG_SIZE], expected_tag[AEAD_TAG_SIZE];

    memset(text, 0x6b, n);
    seal_defined(number, ad_n, text, n, expected, expected_tag);
    memcpy(seen, text, n);
    assert_int_equal(aead_seal(k, number, ad, ad_n, seen, n, seen, tag), HELIO_OK);
    if (memcmp(seen, expected, n) != 0 || memcmp(tag, expected_tag, sizeof tag) != 0)
        fail_msg("%s: %zu bytes with %zu beside them: text or tag differ", helio_idea_kernel(), n,
                 ad_n);
    assert_int_equal(aead_open(k, number, ad, ad_n, seen, n, seen, tag), HELIO_OK);
    assert_memory_equal(seen, text, n);
    tag[n % AEAD_TAG_SIZE] ^= (uint8_t)(1 << n % 8);
    memcpy(seen, expected, n);
    assert_int_equal(aead_open(k, number, ad, ad_n, expected, n, seen, tag), HELIO_E_BROKEN);
    memset(text, 0, n);
    assert_memory_equal(seen, text, n);
}

static void records_are_as_defined(void **state)
{
    (void)state;
    struct aead_key k = {0};

    assert_int_equal(aead_set_key(&k, AEAD_IDEA_CTR_POLY1305, key, NULL), HELIO_OK);
    for (size_t i = 0; idea_kernels[i]; i++) {
        if (!can_run(idea_kernels[i]))
            continue;
        assert_int_equal(helio_idea_limit(idea_kernels[i]->name), HELIO_OK);
        for (size_t n = 0; n <= TEXT_MAX; n++)
            check(&k, UINT64_C(0xfedcba987600) + n, (n * 7) % (AD_MAX + 1), n);
        for (size_t ad_n = 0; ad_n <= AD_MAX; ad_n++)
            check(&k, ad_n, ad_n, ad_n);
        check(&k, 1, 4, LONG);
        assert_int_equal(helio_idea_limit(idea_kernels[0]->name), HELIO_OK);
    }
    aead_clear(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_as_defined),
    };

    if (!gcry_check_version(NULL))
        return EXIT_FAILURE;
    (void)gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
    return cmocka_run_group_tests_name("seal", tests, NULL, NULL);
}
