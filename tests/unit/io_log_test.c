/* SPDX-License-Identifier: Apache-2.0 */
/* Budgets of log lines: one kind of event never takes another one's lines, and what is left out is
 * said. The window is put into the past instead of waited for. */
#include "proto/io/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#define LINES_MAX 64

static struct {
    unsigned count;
    char lines[LINES_MAX][256];
} seen;

static void take(void *ctx, struct slice line)
{
    (void)ctx;
    size_t len = line.len < sizeof(seen.lines[0]) - 1 ? line.len : sizeof(seen.lines[0]) - 1;
    if (seen.count < LINES_MAX) {
        memcpy(seen.lines[seen.count], line.data, len);
        seen.lines[seen.count][len] = '\0';
    }
    seen.count++;
}

static int setup(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof(seen));
    io_log_set_sink(take, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    io_log_set_sink(NULL, NULL);
    return 0;
}

static void say(struct io_log_site *site, const char *event, unsigned times)
{
    const struct io_field fields[] = {{.key = ""}, io_u64("n", 1)};
    for (unsigned i = 0; i < times; i++) {
        io_log_write(site, IO_LEVEL_NOTICE, "test", event, fields, BASE_COUNT_OF(fields));
    }
}

static void test_a_burst_of_one_event_leaves_the_others_their_lines(void **state)
{
    static struct io_log_site sites[2];
    (void)state;
    say(&sites[0], "burst", 50);
    say(&sites[1], "decision", 1);
    assert_int_equal(seen.count, 21);
    assert_non_null(strstr(seen.lines[20], "ev=decision"));
    assert_null(strstr(seen.lines[20], "suppressed"));
}

static void test_what_is_left_out_is_said(void **state)
{
    static struct io_log_site site;
    (void)state;
    say(&site, "burst", 50);
    assert_null(strstr(seen.lines[18], "last_for="));
    assert_non_null(strstr(seen.lines[19], "last_for=10s"));
    site.window_us -= 10 * BASE_US_PER_S;
    say(&site, "burst", 2);
    assert_int_equal(seen.count, 22);
    assert_non_null(strstr(seen.lines[20], "suppressed=30"));
    assert_null(strstr(seen.lines[21], "suppressed"));
}

static void test_a_site_may_have_a_budget_of_its_own_or_none(void **state)
{
    static struct io_log_site site = {.lines_max = 40};
    (void)state;
    say(&site, "wide", 50);
    assert_int_equal(seen.count, 40);
    say(NULL, "order", 5);
    assert_int_equal(seen.count, 45);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_burst_of_one_event_leaves_the_others_their_lines,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_left_out_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_site_may_have_a_budget_of_its_own_or_none, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
