#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/text.h"
#include "base/wipe.h"

static void equal_secret_compares_every_byte(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 40; n++) {
        uint8_t a[40] = {0}, b[40] = {0};

        assert_int_equal(equal_secret(a, b, n), 1);
        for (size_t bit = 0; bit < 8 * n; bit++) {
            b[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_equal(equal_secret(a, b, n), 0);
            b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

static void buffer_keeps_order_and_bound(void **state)
{
    (void)state;
    struct buffer b;
    uint8_t next_in = 0, next_out = 0;

    buffer_init(&b, 2000);
    for (unsigned step = 0; step < 5000; step++) {
        uint8_t chunk[97];
        size_t n = step * 31 % sizeof chunk;

        for (size_t i = 0; i < n; i++)
            chunk[i] = (uint8_t)(next_in + i);
        enum helio_err err = buffer_append(&b, chunk, n);
        if (err == HELIO_OK)
            next_in = (uint8_t)(next_in + n);
        else
            assert_true(err == HELIO_E_AGAIN && buffer_size(&b) + n > 2000);
        assert_true(b.capacity <= 2000);
        size_t out = step * 17 % 89;
        if (out > buffer_size(&b))
            out = buffer_size(&b);
        for (size_t i = 0; i < out; i++)
            assert_int_equal(buffer_front(&b)[i], (uint8_t)(next_out + i));
        next_out = (uint8_t)(next_out + out);
        buffer_consume(&b, out);
    }
    buffer_clear(&b);
    assert_null(b.data);
}

static void reader_never_passes_its_end(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0x01, 0x00, 0x02, 0xaa, 0xbb, 0x03, 0xcc};
    struct reader r = reader_over(bytes, sizeof bytes);

    assert_int_equal(read_u8(&r), 1);
    struct span s = read_opaque16(&r);
    assert_true(s.n == 2 && s.p[1] == 0xbb);
    s = read_opaque8(&r);
    assert_true(s.n == 0 && s.p == NULL);
    assert_false(reader_ended(&r));
    assert_null(read_bytes(&r, 0));
}

static const struct name_case {
    const char *text;
    size_t n;
    bool good;
} name_cases[] = {
    {"alice", 5, true},
    {"", 0, true},
    {"two words", 9, true},
    {"na\xc3\xafve \xf0\x9f\x9b\xb0", 11, true},
    {"a\0b", 3, false},
    {"bell\a", 5, false},
    {"\x1b[2J", 4, false},
    {"del\x7f", 4, false},
    {"\xc2\x9b", 2, false},         /* C1: CSI */
    {"\xe2\x80\xae", 3, false},     /* right-to-left override */
    {"\xe2\x81\xa6", 3, false},     /* left-to-right isolate */
    {"a\xe2\x80\x8b", 4, false},    /* zero-width space */
    {"a\xef\xbb\xbf", 4, false},    /* byte order mark */
    {"\xd8\x9c", 2, false},         /* Arabic letter mark */
    {"a\xe2\x80\x8d", 4, true},     /* zero-width joiner: scripts need it */
    {"\xe2\x80\xa8", 3, false},     /* line separator */
    {"\xc0\xaf", 2, false},         /* overlong */
    {"\xe0\x80\xaf", 3, false},     /* overlong */
    {"\xed\xa0\x80", 3, false},     /* surrogate */
    {"\xf4\x90\x80\x80", 4, false}, /* past U+10FFFF */
    {"\xc3", 1, false},             /* cut */
    {"\x80", 1, false},             /* no lead */
    {"\xff", 1, false},
};

static void names_are_harmless_to_show(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof name_cases / sizeof *name_cases; i++) {
        const struct name_case *c = &name_cases[i];

        if (text_is_name((const uint8_t *)c->text, c->n) != c->good)
            fail_msg("name case %zu: expected %d", i, c->good);
    }
}

static void every_error_has_a_text(void **state)
{
    (void)state;
    for (int e = -1; e <= HELIO_ERR_COUNT; e++)
        assert_non_null(helio_strerror((enum helio_err)e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_secret_compares_every_byte),
        cmocka_unit_test(buffer_keeps_order_and_bound),
        cmocka_unit_test(reader_never_passes_its_end),
        cmocka_unit_test(names_are_harmless_to_show),
        cmocka_unit_test(every_error_has_a_text),
    };

    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
