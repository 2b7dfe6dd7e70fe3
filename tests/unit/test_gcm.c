/*
 * test_gcm.c: AES-256-GCM by wide vectors against OpenSSL's, at every short length, in one piece and
 * in two.  Skipped where the build or the processor has none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/cpu.h"
#include "crypto/aead_gcm.h"

/* Past two turns of the longest loop, which does 768 bytes; and the longest record. */
enum { SHORT_MAX = 1700, AD_MAX = 40, LONG = 67585 };

static const uint8_t key[32] = "a key of just thirty-two bytes .";
static struct aead_key wide, plain;

static int set_up(void **state)
{
    const uint8_t iv[AEAD_IV_SIZE] = "twelve bytes";

    (void)state;
    wide = (struct aead_key){.ops = aead_gcm_wide()};
    plain = (struct aead_key){.ops = &aead_aes_256_gcm};
    if (!wide.ops)
        return 0;
    memcpy(wide.iv, iv, sizeof iv);
    memcpy(plain.iv, iv, sizeof iv);
    return wide.ops->start(&wide) || wide.ops->set_key(&wide, key) || plain.ops->start(&plain) ||
           plain.ops->set_key(&plain, key);
}

static int tear_down(void **state)
{
    (void)state;
    aead_clear(&wide);
    aead_clear(&plain);
    return 0;
}

static void check(uint64_t number, size_t ad_n, size_t first, size_t n)
{
    static uint8_t text[LONG], seen[LONG], expected[LONG];
    static const uint8_t ad[AD_MAX] = "what is not secret but must not change";
    uint8_t tag[AEAD_TAG_SIZE], expected_tag[AEAD_TAG_SIZE];

    for (size_t i = 0; i < n; i++)
        text[i] = seen[i] = (uint8_t)(i * 73 + number);
    /* What is not the first piece stands in its place. */
    assert_int_equal(aead_seal_pieces(&wide, number, ad, ad_n, text, first, seen, n, tag), 0);
    assert_int_equal(aead_seal(&plain, number, ad, ad_n, text, n, expected, expected_tag), 0);
    if (memcmp(seen, expected, n) != 0 || memcmp(tag, expected_tag, sizeof tag) != 0)
        fail_msg("%zu bytes, %zu of them apart, with %zu beside them: text or tag differ", n, first,
                 ad_n);
    assert_int_equal(aead_open(&wide, number, ad, ad_n, seen, n, seen, tag), 0);
    assert_memory_equal(seen, text, n);

    tag[n % AEAD_TAG_SIZE] ^= (uint8_t)(1 << n % 8);
    assert_int_equal(aead_open(&wide, number, ad, ad_n, expected, n, seen, tag), HELIO_E_BROKEN);
    memset(text, 0, n);
    assert_memory_equal(seen, text, n);
}

static void both_say_the_same(void **state)
{
    (void)state;
    if (!wide.ops)
        skip();
    for (size_t n = 0; n <= SHORT_MAX; n++)
        check(n, n % (AD_MAX + 1), n * n % (n + 1), n);
    for (size_t n = LONG - 70; n <= LONG; n++)
        check((UINT64_C(1) << 48) - 1 - n, 4, n - 1, n);
}

static void a_new_key_is_a_new_key(void **state)
{
    uint8_t other[32], tag[AEAD_TAG_SIZE];
    uint8_t text[5] = "hello";

    (void)state;
    if (!wide.ops)
        skip();
    assert_int_equal(aead_seal(&wide, 1, NULL, 0, text, sizeof text, text, tag), 0);
    memcpy(other, key, sizeof other);
    other[31] ^= 1;
    assert_int_equal(aead_set_key(&wide, AEAD_AES_256_GCM, other, wide.iv), 0);
    assert_int_equal(aead_open(&wide, 1, NULL, 0, text, sizeof text, text, tag), HELIO_E_BROKEN);
    assert_int_equal(aead_set_key(&wide, AEAD_AES_256_GCM, key, wide.iv), 0);
}

static void without_wide_registers_there_is_none(void **state)
{
    (void)state;
    cpu_allow(CPU_ALL & ~(unsigned)CPU_AVX512BW);
    assert_null(aead_gcm_wide());
    cpu_allow(CPU_ALL);
    assert_ptr_equal(aead_gcm_wide(), wide.ops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_say_the_same),
        cmocka_unit_test(a_new_key_is_a_new_key),
        cmocka_unit_test(without_wide_registers_there_is_none),
    };

    return cmocka_run_group_tests_name("gcm", tests, set_up, tear_down);
}
