/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of the settings that every agent has: what follows from several keys together, and the
 * words of a refusal. Nothing listens, no file is read. */
#include "tests/support/cm.h"

#include <stdio.h>
#include <string.h>

#include "agents/shell/agent_config.h"
#include "agents/shell/outward.h"
#include "proto/io/table.h"

#define FIXED 6 /* arguments of every run */
#define FLAGS_MAX 8

/* clang-format off */
static const struct io_config_key keys[] = {AGENT_KEYS(IO_CONFIG_ROW, "nobody")};
/* clang-format on */
static const struct io_config_spec spec = {
    .program = "agent", .summary = "Test", .keys = keys, .keys_count = AGENT_KEY_COUNT};

static struct {
    struct io_config *config;
    struct agent_settings settings;
    struct io_why why;
} w;

/* Hooks and addresses: read by tests of their own. */
int outward_settings_read(const struct io_config *config, struct agent_settings *ret,
                          struct io_why *why)
{
    (void)config;
    (void)ret;
    (void)why;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    w.config = io_config_free(w.config);
    return 0;
}

/* Of a member that names all that has no default, and these. */
static int read_with(const char *const *flags)
{
    static char given[FIXED + FLAGS_MAX][80] = {"agent",
                                                "--cluster.name=main",
                                                "--member=pg1",
                                                "--advertise=127.0.0.1",
                                                "--quorum.nodes=q1=127.0.0.1:2380",
                                                "--insecure=yes"};
    char *argv[FIXED + FLAGS_MAX + 1] = {NULL};
    int argc = FIXED;
    for (int i = 0; i < argc; i++) {
        argv[i] = given[i];
    }
    for (; *flags != NULL; flags++) {
        (void)snprintf(given[argc], sizeof(given[argc]), "%s", *flags);
        argv[argc] = given[argc];
        argc++;
    }
    w.config = io_config_free(w.config);
    if (io_config_read(&spec, argc, argv, &w.config, &w.why) != 0) {
        fail_msg("%s", w.why.text);
    }
    return agent_settings_read(w.config, &w.settings, &w.why);
}
#define READ(...) read_with((const char *const[]){__VA_ARGS__, NULL})

static void test_a_watchdog_that_must_be_there_says_what_ttl_it_has_room_in(void **state)
{
    (void)state;
    assert_int_equal(READ("--watchdog.mode=require", "--watchdog.timeout=1s"), 0);
    assert_int_equal(w.settings.core.ttl_least_ms, 2000);
    assert_int_equal(READ("--watchdog.mode=try", "--watchdog.timeout=1s"), 0);
    assert_int_equal(w.settings.core.ttl_least_ms, 0);
    assert_int_equal(READ("--watchdog.mode=off", "--watchdog.timeout=60s"), 0);
    assert_int_equal(w.settings.core.ttl_least_ms, 0);
}

static void test_a_watchdog_without_room_in_the_seed_s_ttl_is_refused(void **state)
{
    (void)state;
    assert_int_not_equal(READ("--watchdog.mode=try", "--watchdog.timeout=1001ms"), 0);
    assert_non_null(strstr(w.why.text, "half of the ttl"));
    assert_int_equal(
        READ("--watchdog.mode=require", "--watchdog.timeout=1001ms", "--cluster.ttl=2002ms"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_a_watchdog_that_must_be_there_says_what_ttl_it_has_room_in,
                                  teardown),
        cmocka_unit_test_teardown(test_a_watchdog_without_room_in_the_seed_s_ttl_is_refused,
                                  teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
