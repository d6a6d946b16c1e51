/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of where a webhook may be: URLs taken apart, and nothing plain beyond this host. */
#include "tests/support/cm.h"

#include <stdbool.h>
#include <string.h>

#include "arbiter/notify/post.h"

static int parse(const char *url, struct post_target *ret)
{
    struct io_why why = {""};
    memset(ret, 0, sizeof(*ret));
    return post_target_parse(url, ret, &why);
}

static void test_parts(void **state)
{
    struct post_target t;
    (void)state;
    assert_int_equal(parse("https://hooks.example.org/a/b?c=d", &t), 0);
    assert_string_equal(t.address.host, "hooks.example.org");
    assert_int_equal(t.address.port, 443);
    assert_string_equal(t.path, "/a/b?c=d");
    assert_int_equal(parse("https://[2001:db8::1]:8443", &t), 0);
    assert_string_equal(t.address.host, "2001:db8::1");
    assert_int_equal(t.address.port, 8443);
    assert_string_equal(t.path, "/");
}

static void test_refused(void **state)
{
    static const char *const urls[] = {"",
                                       "hooks.example.org/x",
                                       "ftp://a/b",
                                       "https://",
                                       "https://a:0x/b",
                                       "https://a/b c",
                                       "https://a/b\r\nHost: evil"};
    struct post_target t;
    (void)state;
    for (size_t i = 0; i < BASE_COUNT_OF(urls); i++) {
        if (parse(urls[i], &t) != BASE_E_INVALID) {
            fail_msg("'%s' is taken", urls[i]);
        }
    }
}

static void test_plain_is_for_loopback(void **state)
{
    struct post_target t;
    (void)state;
    assert_int_equal(parse("http://127.0.0.1:9000/x", &t), 0);
    assert_int_equal(t.address.port, 9000);
    assert_int_equal(parse("http://[::1]/x", &t), 0);
    assert_int_equal(t.address.port, 80);
    assert_int_equal(parse("http://10.0.0.1/x", &t), BASE_E_DENIED);
    assert_int_equal(parse("http://hooks.example.org/x", &t), BASE_E_DENIED);
    assert_int_equal(parse("http://127.0.0.1.example.org/x", &t), BASE_E_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parts), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_plain_is_for_loopback)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
