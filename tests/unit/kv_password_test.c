/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes of passwords: what fits, what does not, and limits. */
#include <string.h>

#include "kv/api/password.h"
#include "tests/support/cm.h"

static struct slice sl(const char *text)
{
    return slice_from_text(text);
}

static void a_hash_fits_its_password_alone(void **state)
{
    uint8_t hash[PASSWORD_HASH_BYTES];
    uint8_t again[PASSWORD_HASH_BYTES];
    (void)state;
    assert_int_equal(password_hash(sl("secret"), hash), 0);
    assert_int_equal(password_hash(sl("secret"), again), 0);
    assert_memory_not_equal(hash, again, sizeof(hash)); /* each has its salt */
    assert_memory_equal(hash, "$2b$10$", 7);
    struct slice stored = slice_from(hash, sizeof(hash));
    assert_true(password_fits(sl("secret"), stored));
    assert_false(password_fits(sl("Secret"), stored));
    assert_false(password_fits(sl(""), stored));
    assert_false(password_fits(slice_from("secret\0", 7), stored));
    assert_int_equal(password_hash(sl(""), hash), 0);
    assert_true(password_fits(SLICE_EMPTY, stored));
}

static void nothing_fits_what_is_no_hash(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "secret",
        "$2b$10$......................0123456789012345678901234567890", /* the one for nobody */
        "$2b$31$......................0123456789012345678901234567890", /* would take days */
        "$6$salt$0123456789012345678901234567890123456789012345678901",
        "$2b$1x$......................0123456789012345678901234567890",
    };
    for (size_t i = 0; i < BASE_COUNT_OF(bad); i++) {
        assert_false(password_fits(sl("secret"), sl(bad[i])));
        assert_false(password_fits(SLICE_EMPTY, sl(bad[i])));
    }
}

static void limits_are_kept(void **state)
{
    uint8_t hash[PASSWORD_HASH_BYTES];
    char text[PASSWORD_MAX + 1];
    (void)state;
    memset(text, 'p', sizeof(text));
    assert_int_equal(password_hash(slice_from(text, PASSWORD_MAX), hash), 0);
    assert_int_equal(password_hash(slice_from(text, PASSWORD_MAX + 1), hash), BASE_E_INVALID);
    assert_int_equal(password_hash(slice_from("a\0b", 3), hash), BASE_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hash_fits_its_password_alone),
        cmocka_unit_test(nothing_fits_what_is_no_hash),
        cmocka_unit_test(limits_are_kept),
    };
    return cmocka_run_group_tests_name("kv_password", tests, NULL, NULL);
}
