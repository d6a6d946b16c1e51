/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of base: slices, names, random numbers, checksums, errors. */
#include "tests/support/cm.h"

#include "base/crc32c.h"
#include "base/error.h"
#include "base/failpoint.h"
#include "base/name.h"
#include "base/rand.h"
#include "base/slice.h"

static void test_crc32c_known_vectors(void **state)
{
    (void)state;
    static const uint8_t zeros[32];
    assert_int_equal(base_crc32c(0, SLICE_LIT("123456789")), 0xe3069283);
    assert_int_equal(base_crc32c(0, slice_from(zeros, sizeof(zeros))), 0x8a9136aa);
    uint32_t first = base_crc32c(0, SLICE_LIT("12345"));
    assert_int_equal(base_crc32c(first, SLICE_LIT("6789")), 0xe3069283);
}

static void test_buf_never_overflows(void **state)
{
    (void)state;
    uint8_t memory[4];
    struct buf b = buf_over(memory, sizeof(memory));
    buf_put_text(&b, "abc");
    buf_put_text(&b, "de");
    assert_true(b.is_full);
    assert_int_equal(b.len, 3);
    buf_put_u8(&b, 'x');
    assert_true(slice_equal(buf_slice(&b), SLICE_LIT("abcx")));
    assert_false(buf_terminate(&b));
}

static void test_numbers_as_text(void **state)
{
    (void)state;
    uint8_t memory[64];
    struct buf b = buf_over(memory, sizeof(memory));
    buf_put_dec(&b, UINT64_MAX);
    buf_put_u8(&b, ' ');
    buf_put_int(&b, INT64_MIN);
    buf_put_u8(&b, ' ');
    buf_put_hex(&b, 0xab, 8);
    assert_true(slice_equal(buf_slice(&b),
                            SLICE_LIT("18446744073709551615 -9223372036854775808 000000ab")));
    uint64_t value = 7;
    assert_int_equal(slice_to_u64(SLICE_LIT("18446744073709551615"), &value), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(slice_to_u64(SLICE_LIT("18446744073709551616"), &value), BASE_E_INVALID);
    assert_int_equal(slice_to_u64(SLICE_LIT("1x"), &value), BASE_E_INVALID);
}

static void test_take_leaves_input_when_short(void **state)
{
    (void)state;
    struct slice s = SLICE_LIT("\x01\x02\x03");
    uint32_t value = 9;
    assert_int_equal(slice_take_u32_be(&s, &value), BASE_E_PROTO);
    assert_int_equal(s.len, 3);
    assert_int_equal(value, 9);
}

static void test_names(void **state)
{
    (void)state;
    struct base_name name;
    assert_int_equal(base_name_from_text("pg-main_1", &name), 0);
    assert_int_equal(base_name_from_text("-pg", &name), BASE_E_INVALID);
    assert_int_equal(base_name_from_text("Pg", &name), BASE_E_INVALID);
    assert_int_equal(base_name_from_text("", &name), BASE_E_INVALID);
    assert_int_equal(base_name_from_text("a/b", &name), BASE_E_INVALID);
    assert_string_equal(name.text, "pg-main_1");
}

static void test_random_streams_are_independent_and_repeatable(void **state)
{
    (void)state;
    struct base_rand a = base_rand_make(1, 1);
    struct base_rand b = base_rand_make(1, 1);
    struct base_rand c = base_rand_make(1, 2);
    bool differs = false;
    for (int i = 0; i < 100; i++) {
        uint64_t x = base_rand_next(&a);
        assert_true(x == base_rand_next(&b));
        differs |= x != base_rand_next(&c);
        uint64_t in = base_rand_between(&c, 5, 7);
        assert_true(in >= 5 && in <= 7);
    }
    assert_true(differs);
}

static void test_error_table(void **state)
{
    (void)state;
    assert_string_equal(base_error_text(0), "no error");
    assert_string_equal(base_error_name(BASE_E_BUSY), "BUSY");
    assert_int_equal(base_error_class_of(BASE_E_CORRUPT), BASE_CLASS_fatal);
    assert_string_equal(base_error_text(-1000), "unknown error");
    assert_int_equal(base_error_class_of(1), BASE_CLASS_fatal);
}

static void test_crc32c_of_any_length_is_the_same_by_both_ways(void **state)
{
    (void)state;
    uint8_t bytes[67];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 37 + 11);
    }
    for (size_t at = 0; at < 9; at++) {
        for (size_t len = 0; at + len <= sizeof(bytes); len++) {
            struct slice s = slice_from(bytes + at, len);
            assert_int_equal(base_crc32c(0, s), base_crc32c_portable(0, s));
            assert_int_equal(base_crc32c(0x12345678, s), base_crc32c_portable(0x12345678, s));
        }
    }
}

static void test_failpoints_have_names_of_their_own(void **state)
{
    enum base_failpoint found;
    (void)state;
    for (enum base_failpoint i = 0; i < BASE_FAILPOINT_COUNT; i++) {
        found = BASE_FAILPOINT_COUNT;
        assert_true(base_failpoint_find(slice_from_text(base_failpoint_name(i)), &found));
        assert_int_equal(found, i);
    }
    assert_false(base_failpoint_find(SLICE_LIT("log.flash"), &found));
    assert_false(base_failpoint_find(SLICE_LIT("log.flushe"), &found));
    assert_false(base_failpoint_find(SLICE_EMPTY, &found));
}

#ifdef QUORATE_CANARIES
static enum base_failpoint last_passed = BASE_FAILPOINT_COUNT;

static int fail_at_send(enum base_failpoint point)
{
    last_passed = point;
    return point == BASE_FAILPOINT_SEND ? BASE_E_IO : 0;
}
#endif

static void test_failpoints_do_what_the_hook_says_in_the_canary_build_alone(void **state)
{
    (void)state;
    assert_int_equal(FAILPOINT(SEND), 0);
#ifdef QUORATE_CANARIES
    base_failpoint_set(fail_at_send);
    assert_int_equal(FAILPOINT(LOG_WRITE), 0);
    assert_int_equal(last_passed, BASE_FAILPOINT_LOG_WRITE);
    assert_int_equal(FAILPOINT(SEND), BASE_E_IO);
    base_failpoint_set(NULL);
    assert_int_equal(FAILPOINT(SEND), 0);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32c_known_vectors),
        cmocka_unit_test(test_crc32c_of_any_length_is_the_same_by_both_ways),
        cmocka_unit_test(test_buf_never_overflows),
        cmocka_unit_test(test_numbers_as_text),
        cmocka_unit_test(test_take_leaves_input_when_short),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_random_streams_are_independent_and_repeatable),
        cmocka_unit_test(test_error_table),
        cmocka_unit_test(test_failpoints_have_names_of_their_own),
        cmocka_unit_test(test_failpoints_do_what_the_hook_says_in_the_canary_build_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
