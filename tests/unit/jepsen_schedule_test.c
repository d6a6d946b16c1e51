/* SPDX-License-Identifier: Apache-2.0 */
/* Plans of runs: repeatable, complete, within their time; and tables that are refused. */
#include "tests/support/cm.h"

#include <string.h>

#include "jepsen/run/schedule.h"

#define TABLE \
    "# a comment\n" \
    "a set seconds 60\n" \
    "a set calm_ms 500 1000 # between them\n" \
    "a set least 2\n" \
    "a set nodes 3\n" \
    "a fault 0 kill leader 3 100 900\n" \
    "a fault 0 pause one 0 1000 2000\n" \
    "a fault 1 halves all 1 2000 3000\n" \
    "b fault 0 kill leader 3 100\n" \
    "c set seconds 1\n" \
    "c fault 0 kill leader 1 2000 3000\n" \
    "d what 1\n"

static struct schedule_menu menu;
static struct schedule_entry entries[200], again[200];
static size_t line, count, count_again;

static int read_run(const char *run)
{
    return schedule_read(SLICE_LIT(TABLE), run, &menu, &line);
}

static void test_table(void **state)
{
    (void)state;
    assert_int_equal(read_run("a"), 0);
    assert_int_equal(menu.count, 3);
    assert_int_equal(menu.length_ms, 60000);
    assert_int_equal(menu.least, 2);
    assert_string_equal(menu.faults[2].kind, "halves");
    assert_string_equal(menu.faults[2].rule, "all");
    assert_int_equal(menu.faults[2].lane, 1);
    assert_int_equal(menu.faults[1].for_max_ms, 2000);
    assert_int_equal(read_run("nobody"), BASE_E_NOTFOUND);
    assert_int_equal(read_run("b"), BASE_E_INVALID);
    assert_int_equal(line, 9);
    assert_int_equal(read_run("d"), BASE_E_INVALID);
}

static void test_plans(void **state)
{
    (void)state;
    assert_int_equal(read_run("a"), 0);
    for (uint64_t seed = 1; seed <= 200; seed++) {
        uint32_t times[3] = {0}, lane_end[2] = {0};
        assert_int_equal(schedule_plan(&menu, seed, entries, 200, &count), 0);
        for (size_t i = 0; i < count; i++) {
            const struct schedule_fault *fault = &menu.faults[entries[i].fault];
            assert_true(i == 0 || entries[i - 1].at_ms <= entries[i].at_ms);
            assert_true(entries[i].at_ms >= lane_end[fault->lane] + menu.calm_min_ms);
            assert_in_range(entries[i].for_ms, fault->for_min_ms, fault->for_max_ms);
            lane_end[fault->lane] = entries[i].at_ms + entries[i].for_ms;
            assert_true(lane_end[fault->lane] <= menu.length_ms);
            times[entries[i].fault]++;
        }
        assert_true(times[0] > 2 && times[2] > 2);
        assert_int_equal(times[1], 2); /* its weight is 0 */
    }
}

static void test_repeats(void **state)
{
    (void)state;
    assert_int_equal(read_run("a"), 0);
    assert_int_equal(schedule_plan(&menu, 7, entries, 200, &count), 0);
    assert_int_equal(schedule_plan(&menu, 7, again, 200, &count_again), 0);
    assert_int_equal(count, count_again);
    assert_memory_equal(entries, again, count * sizeof(entries[0]));
    assert_int_equal(schedule_plan(&menu, 8, again, 200, &count_again), 0);
    assert_true(count != count_again || memcmp(entries, again, count * sizeof(entries[0])) != 0);
}

static void test_limits(void **state)
{
    (void)state;
    assert_int_equal(read_run("c"), 0);
    assert_int_equal(schedule_plan(&menu, 1, entries, 200, &count), BASE_E_INVALID);
    assert_int_equal(read_run("a"), 0);
    assert_int_equal(schedule_plan(&menu, 1, entries, 5, &count), BASE_E_NOSPACE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_plans),
                                       cmocka_unit_test(test_repeats),
                                       cmocka_unit_test(test_limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
