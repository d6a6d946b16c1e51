/* SPDX-License-Identifier: Apache-2.0 */
/* The section "postgresql" of a configuration document: what it may say, what is refused and with
 * which words, and what the engine reads out of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arbiter/pg_parameters.h"
#include "arbiter/settings_pg.h"
#include "tests/support/cm.h"

static struct arb_settings_pg read;

static int read_section(const char *section, struct arb_settings_why *why)
{
    char text[4096];
    int len = snprintf(text, sizeof(text), "{\"postgresql\": %s}", section);
    assert_true(len > 0 && (size_t)len < sizeof(text));
    memset(why, 0, sizeof(*why));
    return arb_settings_pg_read(slice_from(text, (size_t)len), &read, why);
}

static void good(const char *section)
{
    struct arb_settings_why why;
    if (read_section(section, &why) != 0) {
        fail_msg("%s: %s", section, why.text);
    }
}

/* Refused by the reader and by the checker alike, with these words. */
static void bad(const char *section, const char *words)
{
    struct arb_settings_why why;
    json_error_t error;
    assert_int_equal(read_section(section, &why), BASE_E_INVALID);
    if (strstr(why.text, words) == NULL) {
        fail_msg("%s: wanted '%s' in: %s", section, words, why.text);
    }
    json_t *json = json_loads(section, JSON_DECODE_ANY, &error);
    assert_non_null(json);
    assert_int_equal(arb_settings_postgresql(json, &why), BASE_E_INVALID);
    json_decref(json);
}

static void test_a_full_section(void **state)
{
    (void)state;
    good("{\"parameters\": {\"max_connections\": 200, \"work_mem\": \"8MB\", \"jit\": false,"
         " \"random_page_cost\": 1.1, \"wal_level\": \"logical\", \"app.tenant\": \"it's\"},"
         "\"pg_hba\": [\"hostssl all all 10.0.0.0/8 scram-sha-256\", \"# people\", \"\"],"
         "\"pg_ident\": [\"people \\\"Ann Lee\\\" ann\"],"
         "\"slots\": {\"archive\": {\"type\": \"physical\"},"
         " \"cdc\": {\"type\": \"logical\", \"database\": \"app\", \"plugin\": \"pgoutput\"}},"
         "\"member_slots_ttl\": \"2h\", \"max_slot_wal_keep_size\": \"10GB\","
         "\"use_slots\": false}");
    assert_int_equal(read.parameters_count, 6);
    assert_string_equal(read.parameters[0].name, "max_connections");
    assert_string_equal(read.parameters[0].value, "200");
    assert_string_equal(read.parameters[2].value, "off");
    assert_string_equal(read.parameters[3].value, "1.1");
    assert_true(read.hba.is_given && !read.hba.is_kept);
    assert_int_equal(read.hba.count, 3);
    assert_string_equal(read.ident.lines[0], "people \"Ann Lee\" ann");
    assert_int_equal(read.slots_count, 2);
    assert_true(read.slots[1].is_logical && !read.slots[0].is_logical);
    assert_string_equal(read.slots[1].plugin, "pgoutput");
    assert_true(read.member_slots_ttl_ms == 7200000);
    assert_string_equal(read.max_slot_wal_keep_size, "10GB");
    assert_false(read.use_slots);
}

static void test_defaults(void **state)
{
    struct arb_settings_why why;
    (void)state;
    assert_int_equal(arb_settings_pg_read(SLICE_LIT("{\"ttl\": \"2s\"}"), &read, &why), 0);
    assert_true(read.use_slots && read.member_slots_ttl_ms == 1800000);
    assert_int_equal(read.parameters_count, 0);
    assert_false(read.hba.is_given || read.ident.is_given);
    assert_string_equal(read.standby_host, "");
    assert_int_equal(arb_settings_pg_read(SLICE_LIT("{\"standby_cluster\": {\"host\": \"far\","
                                                    "\"primary_slot_name\": \"s\"}}"),
                                          &read, &why),
                     0);
    assert_string_equal(read.standby_host, "far");
    assert_int_equal(read.standby_port, 5432);
    assert_int_equal(arb_settings_pg_read(SLICE_LIT("{"), &read, &why), BASE_E_INVALID);
    good("{\"pg_hba\": \"keep\", \"pg_ident\": \"keep\"}");
    assert_true(read.hba.is_kept && read.ident.is_kept);
}

static void test_what_is_ours_is_refused_with_the_reason(void **state)
{
    static const struct {
        const char *name;
        const char *reason;
    } ours[] = {{"synchronous_standby_names", "set sync, sync_count"},
                {"Primary_ConnInfo", "follows the member's role"},
                {"primary_slot_name", "follows the member's role"},
                {"restart_after_crash", "guard must see every crash"},
                {"listen_addresses", "belongs to the member"},
                {"port", "belongs to the member"},
                {"hot_standby", "failover relies on it"},
                {"wal_log_hints", "failover relies on it"},
                {"recovery_target_lsn", "stop a promotion short"},
                {"include", "no parameter"},
                {"include_if_exists", "no parameter"},
                {"ssl_key_file", "postgresql.tls*"},
                {"max_slot_wal_keep_size", "postgresql.max_slot_wal_keep_size"}};
    (void)state;
    for (size_t i = 0; i < BASE_COUNT_OF(ours); i++) {
        char section[160];
        (void)snprintf(section, sizeof(section), "{\"parameters\": {\"%s\": \"x\"}}", ours[i].name);
        bad(section, ours[i].reason);
    }
}

static void test_bad_parameters(void **state)
{
    (void)state;
    bad("{\"parameters\": {\"max_connections\": 5}}", "a number from 20 to 262143");
    bad("{\"parameters\": {\"max_connections\": \"many\"}}", "a number from 20");
    bad("{\"parameters\": {\"max_connections\": -1}}", "a number from 20");
    bad("{\"parameters\": {\"max_wal_senders\": 0}}", "a number from 4");
    bad("{\"parameters\": {\"wal_level\": \"minimal\"}}", "replica|logical");
    bad("{\"parameters\": {\"wal_level\": \"repl\"}}", "replica|logical");
    bad("{\"parameters\": {\"work_mem\": \"1MB\\nport=1\"}}", "one line");
    bad("{\"parameters\": {\"work_mem\": null}}", "one line");
    bad("{\"parameters\": {\"work_mem\": [1]}}", "one line");
    bad("{\"parameters\": {\"work mem\": 1}}", "parameter's name");
    bad("{\"parameters\": {\"\": 1}}", "parameter's name");
    bad("{\"parameters\": {\"quorate.upstream\": 1}}", "ours");
    bad("{\"parameters\": {\"work_mem\": 1, \"WORK_MEM\": 2}}", "once");
    bad("{\"parameters\": []}", "an object");
    bad("{\"parmeters\": {}}", "postgresql.parmeters: {}; allowed: no such key");
    bad("[]", "an object");
}

static void test_bad_lines(void **state)
{
    (void)state;
    bad("{\"pg_hba\": [\"hostssl all all 10.0.0.0/8 scram\"]}", "pg_hba[0]");
    bad("{\"pg_hba\": [\"local all all peer\", \"hosts all all all md5\"]}", "pg_hba[1]");
    bad("{\"pg_hba\": [\"host all all 10.0.0.1 md5\"]}", "mask");
    bad("{\"pg_hba\": [\"host all all peer\"]}", "DATABASE USER ADDRESS METHOD");
    bad("{\"pg_hba\": [\"host all all all peer\"]}", "method");
    bad("{\"pg_hba\": [\"host all \\\"all all md5\"]}", "quote");
    bad("{\"pg_hba\": [\"host all all all md5 x\"]}", "NAME=VALUE");
    bad("{\"pg_hba\": [\"host all all all md5\\nlocal all all trust\"]}", "one line");
    bad("{\"pg_hba\": [1]}", "one line");
    bad("{\"pg_hba\": \"leave\"}", "keep");
    bad("{\"pg_hba\": [\"host all all all md5 \\\\\"]}", "next one");
    bad("{\"pg_ident\": [\"quorate joe postgres\"]}", "is ours");
    bad("{\"pg_ident\": [\"people joe\"]}", "MAP SYSTEM-USER");
    assert_null(arb_pg_hba_fault("host all all 10.0.0.1 255.255.255.0 md5"));
    assert_null(arb_pg_hba_fault("host all all ::1/128 scram-sha-256"));
    assert_null(arb_pg_hba_fault("host a, b ,c all samenet reject # not now"));
    assert_null(arb_pg_hba_fault("  # only words"));
    assert_null(arb_pg_hba_fault("hostssl \"my db\" +admins .example.org cert clientname=DN"));
    assert_null(arb_pg_hba_fault("local replication all peer map=people"));
}

static void test_bad_slots_and_limits(void **state)
{
    (void)state;
    bad("{\"slots\": {\"quorate_pg1\": {\"type\": \"physical\"}}}", "begin with quorate_");
    bad("{\"slots\": {\"Up\": {\"type\": \"physical\"}}}", "a-z 0-9 _");
    bad("{\"slots\": {\"s'; drop\": {\"type\": \"physical\"}}}", "a-z 0-9 _");
    bad("{\"slots\": {\"s\": {\"type\": \"logical\"}}}", "database");
    bad("{\"slots\": {\"s\": {\"type\": \"logical\", \"database\": \"d\", \"plugin\": \"p'\"}}}",
        "plugin");
    bad("{\"slots\": {\"s\": {\"type\": \"physical\", \"plugin\": \"p\"}}}", "type");
    bad("{\"slots\": {\"s\": {\"type\": \"physical\", \"x\": 1}}}", "type");
    bad("{\"slots\": {\"s\": 1}}", "type");
    bad("{\"slots\": []}", "an object");
    bad("{\"member_slots_ttl\": \"10s\"}", "1m to 30d");
    bad("{\"member_slots_ttl\": 60}", "1m to 30d");
    bad("{\"max_slot_wal_keep_size\": \"much\"}", "a size");
    bad("{\"max_slot_wal_keep_size\": \"0MB\"}", "a size");
    bad("{\"use_slots\": 1}", "true or false");
    good("{\"max_slot_wal_keep_size\": \"-1\"}");
}

/* Too much of anything is said, not cut. */
static void test_too_many(void **state)
{
    static char text[MSG_CONFIG_MAX];
    struct arb_settings_why why;
    struct buf b = buf_over(text, sizeof(text));
    (void)state;
    buf_put_text(&b, "{\"postgresql\": {\"pg_hba\": [\"\"");
    for (int i = 0; i < ARB_PG_LINES_MAX; i++) {
        buf_put_text(&b, ", \"local all all peer\"");
    }
    buf_put_text(&b, "]}}");
    assert_false(b.is_full);
    assert_int_equal(arb_settings_pg_read(buf_slice(&b), &read, &why), BASE_E_INVALID);
    assert_non_null(strstr(why.text, "fewer lines"));
}

static void test_the_table_of_ordered_ones(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARB_PG_ORDERED_COUNT; i++) {
        const struct arb_pg_ordered *o = arb_pg_ordered(i);
        const struct arb_pg_parameter *p = arb_pg_parameter_find(slice_from_text(o->name));
        assert_non_null(p);
        assert_int_equal(p->kind, ARB_PG_ORDERED);
        assert_true(p->min <= o->fallback && o->fallback <= p->max);
        /* rows of a query sorted by name are read by index */
        assert_true(i == 0 || strcmp(arb_pg_ordered(i - 1)->name, o->name) < 0);
    }
    assert_null(arb_pg_parameter_find(SLICE_LIT("work_mem")));
    assert_null(arb_pg_parameter_find(SLICE_LIT("por")));
    assert_null(arb_pg_parameter_find(SLICE_LIT("ports")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_full_section),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_what_is_ours_is_refused_with_the_reason),
        cmocka_unit_test(test_bad_parameters),
        cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_bad_slots_and_limits),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_the_table_of_ordered_ones),
    };
    return cmocka_run_group_tests_name("arb_settings_pg", tests, NULL, NULL);
}
