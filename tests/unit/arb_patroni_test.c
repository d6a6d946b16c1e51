/* SPDX-License-Identifier: Apache-2.0 */
/* Control calls of Patroni's users in the words of our own API: row by row, and what is refused. */
#include "tests/support/cm.h"

#include <stdio.h>
#include <string.h>

#include "arbiter/api/patroni.h"
#include "base/name.h"

#define NOW_US (INT64_C(1700000000) * BASE_US_PER_S) /* 2023-11-14T22:13:20Z */

static struct arb_patroni_call call;

static struct base_name holder(void *ctx, const struct base_name *cluster)
{
    struct base_name name = {{0}};
    (void)ctx;
    if (strcmp(cluster->text, "c") == 0) {
        assert_int_equal(base_name_from_text("a", &name), 0);
    }
    return name;
}

static uint64_t document(void *ctx, const struct base_name *cluster, struct slice *ret_text)
{
    (void)ctx;
    if (strcmp(cluster->text, "c") != 0) {
        return 0;
    }
    *ret_text = SLICE_LIT(
        "{\"ttl\":\"2s\",\"postgresql\":{\"parameters\":{\"work_mem\":\"4MB\",\"fsync\":1}}}");
    return 7;
}

static int ask(const char *method, const char *path, const char *body)
{
    static struct arb_patroni patroni = {.holder = holder, .document = document};
    arb_patroni_translate(slice_from_text(method), slice_from_text(path), slice_from_text(body),
                          &patroni, (struct base_wall){NOW_US}, &call);
    return call.status;
}

static void becomes(const char *method, const char *path, const char *body, const char *name,
                    const char *json)
{
    assert_int_equal(ask(method, path, body), 0);
    assert_string_equal(call.path, name);
    assert_string_equal(call.body, json);
}

static void test_switchover(void **state)
{
    (void)state;
    becomes("POST", "c/b/switchover", "{\"leader\":\"a\",\"candidate\":\"b\"}",
            "/quorate/v1/databases/switchover",
            "{\"cluster\":\"c\",\"to\":\"b\",\"at_wall_us\":0}");
    becomes("POST", "c/b/switchover", "{\"leader\":\"a\",\"candidate\":null}",
            "/quorate/v1/databases/switchover", "{\"cluster\":\"c\",\"to\":\"\",\"at_wall_us\":0}");
    assert_int_equal(ask("POST", "c/b/switchover", "{}"), 400);
    assert_int_equal(ask("POST", "c/b/switchover", ""), 400);
    assert_int_equal(ask("POST", "c/b/switchover", "{\"leader\":\"b\"}"), 412);
    assert_int_equal(ask("POST", "d/b/switchover", "{\"leader\":\"a\"}"), 412);
    assert_int_equal(ask("POST", "c/b/switchover", "{\"leader\":\"a\",\"candidate\":\"a\"}"), 400);
    assert_int_equal(ask("POST", "c/b/switchover", "[1]"), 400);
    assert_int_equal(ask("POST", "c/b/switchover", "{\"leader\":"), 400);
}

static void scheduled(const char *at, const char *us)
{
    char body[200];
    char json[200];
    (void)snprintf(body, sizeof(body), "{\"leader\":\"a\",\"scheduled_at\":\"%s\"}", at);
    (void)snprintf(json, sizeof(json), "{\"cluster\":\"c\",\"to\":\"\",\"at_wall_us\":%s}", us);
    becomes("POST", "c/b/switchover", body, "/quorate/v1/databases/switchover", json);
}

static void test_times(void **state)
{
    static const char *const bad[] = {"2023-11-15T00:00:00", "tomorrow", "2023-11-15T00:00:00+1",
                                      "2023-11-14T22:13:20Z", "2023-11-15T00:00:00+01:00x"};
    (void)state;
    scheduled("2023-11-15T00:00:00Z", "1700006400000000");
    scheduled("2023-11-15T01:00:00+01:00", "1700006400000000");
    scheduled("2023-11-14 18:30:00.250-0530", "1700006400000000");
    for (size_t i = 0; i < BASE_COUNT_OF(bad); i++) {
        char body[200];
        (void)snprintf(body, sizeof(body), "{\"leader\":\"a\",\"scheduled_at\":\"%s\"}", bad[i]);
        assert_int_equal(ask("POST", "c/b/switchover", body), 422);
    }
}

static void test_failover(void **state)
{
    (void)state;
    becomes("POST", "c/b/failover", "{\"candidate\":\"b\"}", "/quorate/v1/databases/failover",
            "{\"cluster\":\"c\",\"to\":\"b\"}");
    becomes("POST", "c/b/failover", "{\"leader\":\"a\",\"candidate\":\"b\"}",
            "/quorate/v1/databases/switchover",
            "{\"cluster\":\"c\",\"to\":\"b\",\"at_wall_us\":0}");
    assert_int_equal(ask("POST", "c/b/failover", "{}"), 400);
    assert_int_equal(
        ask("POST", "c/b/failover", "{\"candidate\":\"b\",\"scheduled_at\":\"2033-01-01T00:00Z\"}"),
        400);
}

static void test_orders_to_one_member(void **state)
{
    (void)state;
    becomes("POST", "c/b/restart", "{\"restart_pending\":true}", "/quorate/v1/databases/task",
            "{\"cluster\":\"c\",\"member\":\"b\",\"kind\":\"restart\",\"pending_only\":true,"
            "\"at_wall_us\":0}");
    becomes("POST", "c/b/restart", "{\"schedule\":\"2023-11-15T00:00:00Z\"}",
            "/quorate/v1/databases/task",
            "{\"cluster\":\"c\",\"member\":\"b\",\"kind\":\"restart\",\"pending_only\":false,"
            "\"at_wall_us\":1700006400000000}");
    assert_int_equal(ask("POST", "c/b/restart", "{\"timeout\":5}"), 400);
    becomes("DELETE", "c/b/restart", "", "/quorate/v1/databases/cancel",
            "{\"cluster\":\"c\",\"member\":\"b\"}");
    becomes("POST", "c/b/reload", "", "/quorate/v1/databases/task",
            "{\"cluster\":\"c\",\"member\":\"b\",\"kind\":\"reload\",\"pending_only\":false,"
            "\"at_wall_us\":0}");
    becomes("POST", "c/b/reinitialize", "{\"force\":true}", "/quorate/v1/databases/task",
            "{\"cluster\":\"c\",\"member\":\"b\",\"kind\":\"reinit\",\"pending_only\":false,"
            "\"at_wall_us\":0}");
}

static void test_a_plan_is_taken_back_alone(void **state)
{
    (void)state;
    becomes("DELETE", "c/b/switchover", "", "/quorate/v1/databases/cancel",
            "{\"cluster\":\"c\",\"planned\":true}");
}

static void test_the_document_is_patched_or_replaced(void **state)
{
    (void)state;
    becomes("PATCH", "c/b/config",
            "{\"ttl\":null,\"sync\":\"off\",\"postgresql\":{\"parameters\":{\"fsync\":null,"
            "\"jit\":\"off\"}}}",
            "/quorate/v1/databases/configure",
            "{\"cluster\":\"c\",\"expect\":7,\"json\":\"{\\\"postgresql\\\":{\\\"parameters\\\":"
            "{\\\"work_mem\\\":\\\"4MB\\\",\\\"jit\\\":\\\"off\\\"}},\\\"sync\\\":"
            "\\\"off\\\"}\"}");
    becomes("PUT", "c/b/config", "{\"sync\":\"off\"}", "/quorate/v1/databases/configure",
            "{\"cluster\":\"c\",\"expect\":7,\"json\":\"{\\\"sync\\\":\\\"off\\\"}\"}");
    becomes("PATCH", "d/b/config", "{\"sync\":\"off\"}", "/quorate/v1/databases/configure",
            "{\"cluster\":\"d\",\"expect\":0,\"json\":\"{\\\"sync\\\":\\\"off\\\"}\"}");
    assert_int_equal(ask("PATCH", "c/b/config", "[]"), 400);
}

static void test_nothing_else(void **state)
{
    static const char *const paths[] = {
        "", "c", "c/b", "c/b/", "//x", "c//restart", "c/b/restart/x", "c/b/config", "c/ b/restart"};
    (void)state;
    for (size_t i = 0; i < BASE_COUNT_OF(paths); i++) {
        assert_int_equal(ask("POST", paths[i], "{}"), 404);
    }
    assert_int_equal(ask("GET", "c/b/restart", ""), 404);
    static char big[2 * ARB_PATRONI_BODY_MAX];
    (void)snprintf(big, sizeof(big), "{\"leader\":\"a\",\"candidate\":\"%070000d\"}", 7);
    assert_int_equal(ask("POST", "c/b/switchover", big), 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_switchover),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_failover),
        cmocka_unit_test(test_orders_to_one_member),
        cmocka_unit_test(test_a_plan_is_taken_back_alone),
        cmocka_unit_test(test_the_document_is_patched_or_replaced),
        cmocka_unit_test(test_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
