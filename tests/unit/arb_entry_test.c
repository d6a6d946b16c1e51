/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of reading history entries: fields that are there and that are not, and the lines of
 * `kv db why` for each kind of decision. */
#include "tests/support/cm.h"

#include <stdbool.h>
#include <string.h>

#include "arbiter/api/entry.h"

static void lines_of(const char *text, struct arb_why_lines *lines)
{
    json_t *entry = json_loads(text, 0, NULL);
    assert_non_null(entry);
    *lines = (struct arb_why_lines){0};
    arb_why_fill(lines, entry);
    json_decref(entry);
}

static bool has_line(const struct arb_why_lines *lines, const char *wanted)
{
    for (size_t i = 0; i < lines->count; i++) {
        if (strstr(lines->list[i], wanted) != NULL) {
            return true;
        }
    }
    return false;
}

static void test_fields(void **state)
{
    (void)state;
    json_t *entry = json_loads("{\"epoch\":7,\"id\":\"18446744073709551615\",\"to\":\"pg1\","
                               "\"floor\":{\"lsn\":\"16/B374D848\"},\"bad\":{\"lsn\":\"x\"}}",
                               0, NULL);
    assert_non_null(entry);
    assert_int_equal(arb_entry_number(entry, "epoch"), 7);
    assert_true(arb_entry_number(entry, "id") == UINT64_MAX);
    assert_int_equal(arb_entry_number(entry, "none"), 0);
    assert_string_equal(arb_entry_text(entry, "to"), "pg1");
    assert_string_equal(arb_entry_text(entry, "epoch"), "");
    assert_string_equal(arb_entry_text(entry, "none"), "");
    assert_true(arb_entry_lsn(json_object_get(entry, "floor"), "lsn") == UINT64_C(0x16B374D848));
    assert_int_equal(arb_entry_lsn(json_object_get(entry, "bad"), "lsn"), 0);
    assert_int_equal(arb_entry_lsn(NULL, "lsn"), 0);
    json_decref(entry);
}

static void test_bootstrap_has_neither_former_nor_votes(void **state)
{
    (void)state;
    struct arb_why_lines lines;
    lines_of(
        "{\"kind\":\"bootstrap\",\"from\":\"\",\"to\":\"pg1\",\"reason\":\"\",\"inputs\":["
        "{\"member\":\"pg1\",\"position\":{\"lineage\":0,\"lsn\":\"0/0\"},\"heard_ago_us\":5000,"
        "\"verdict\":\"not-voter\",\"why\":\"is not in the recorded synchronous set\"},"
        "{\"member\":\"pg2\",\"position\":{\"lineage\":0,\"lsn\":\"0/0\"},\"heard_ago_us\":-1,"
        "\"verdict\":\"not-voter\",\"why\":\"is not in the recorded synchronous set\"}],"
        "\"times_us\":{\"detection\":-1,\"commit\":2000}}",
        &lines);
    assert_string_equal(lines.list[0], "bootstrap: pg1 makes the database, since none was there");
    assert_true(has_line(&lines, "pg1: no data directory, heard 5 ms before; it was chosen"));
    assert_true(has_line(&lines, "pg2: no data directory, not heard of"));
    assert_false(has_line(&lines, "synchronous set"));
    assert_true(has_line(&lines, "2.0 ms  until the decision was committed"));
    assert_false(has_line(&lines, "until the loss was known"));
    arb_why_free(&lines);
    assert_int_equal(lines.count, 0);
}

static void test_failover_begins_after_the_database_was_last_open(void **state)
{
    (void)state;
    struct arb_why_lines lines;
    lines_of(
        "{\"kind\":\"failover\",\"from\":\"pg1\",\"to\":\"pg2\",\"reason\":\"the lease ran out\","
        "\"notes\":[{\"before_us\":9000000,\"event\":\"opened\",\"text\":\"pg1 was opened\"},"
        "{\"before_us\":1500000,\"event\":\"lease-over\",\"text\":\"its lease is over\"},"
        "{\"before_us\":0,\"event\":\"opened\",\"text\":\"pg2 was opened\"}],"
        "\"inputs\":[{\"member\":\"pg3\",\"position\":{\"lineage\":3,\"lsn\":\"0/41673F8\"},"
        "\"heard_ago_us\":1000,\"verdict\":\"behind\",\"why\":\"lacks what another has\"}]}",
        &lines);
    assert_string_equal(lines.list[0],
                        "failover: pg2 takes over from pg1, because: the lease ran out");
    assert_false(has_line(&lines, "pg1 was opened"));
    assert_string_equal(lines.list[1], "   -1.500 s  its lease is over");
    assert_string_equal(lines.list[2], "    0.000 s  pg2 was opened");
    assert_true(has_line(&lines, "pg3: at 0/41673F8 of epoch 3, heard 1 ms before; it lacks what"));
    arb_why_free(&lines);
}

static void test_switchover_and_restart(void **state)
{
    (void)state;
    struct arb_why_lines lines;
    lines_of("{\"kind\":\"switchover\",\"from\":\"pg1\",\"to\":\"pg2\",\"reason\":\"handed back\","
             "\"inputs\":[{\"member\":\"pg3\",\"position\":{\"lineage\":1,\"lsn\":\"0/1\"},"
             "\"heard_ago_us\":0,\"verdict\":\"no-vote\",\"why\":\"has not voted\"}]}",
             &lines);
    assert_string_equal(lines.list[0], "switchover: pg2 takes over from pg1, because: handed back");
    assert_false(has_line(&lines, "has not voted"));
    arb_why_free(&lines);
    lines_of("{\"kind\":\"restart\",\"from\":\"pg1\",\"to\":\"pg1\",\"reason\":\"handed back\"}",
             &lines);
    assert_string_equal(lines.list[0],
                        "restart: pg1 goes on with its own directory, because: handed back");
    arb_why_free(&lines);
}

static void test_entries_of_other_shapes_are_shown_as_far_as_they_go(void **state)
{
    (void)state;
    struct arb_why_lines lines;
    lines_of("{}", &lines);
    assert_int_equal(lines.count, 1);
    arb_why_free(&lines);
    lines_of("{\"kind\":5,\"notes\":{},\"inputs\":[1,null],\"times_us\":[]}", &lines);
    assert_int_equal(lines.count, 3);
    arb_why_free(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_bootstrap_has_neither_former_nor_votes),
        cmocka_unit_test(test_failover_begins_after_the_database_was_last_open),
        cmocka_unit_test(test_switchover_and_restart),
        cmocka_unit_test(test_entries_of_other_shapes_are_shown_as_far_as_they_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
