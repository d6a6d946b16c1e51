/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration document: what is taken, what stands for what is missing, how each mistake is
 * told, and that its canonical form reads as itself. */
#include "tests/support/cm.h"

#include "arbiter/settings.h"

#include <stdio.h>
#include <string.h>

static void refused(const char *text, const char *says)
{
    struct arb_settings settings;
    struct arb_settings_why why = {""};
    assert_int_not_equal(arb_settings_read(slice_from_text(text), &settings, &why), 0);
    if (strstr(why.text, says) == NULL) {
        fail_msg("%s: '%s' does not say '%s'", text, why.text, says);
    }
}

static struct arb_settings read_it(const char *text)
{
    struct arb_settings settings;
    struct arb_settings_why why = {""};
    if (arb_settings_read(slice_from_text(text), &settings, &why) != 0) {
        fail_msg("%s: %s", text, why.text);
    }
    return settings;
}

static void test_defaults(void **state)
{
    (void)state;
    struct arb_settings s = read_it("{}");
    assert_int_equal(s.record.ttl_ms, 2000);
    assert_int_equal(s.record.heartbeat_ms, 250);
    assert_int_equal(s.record.freeze_max_ms, 3000);
    assert_int_equal(s.record.sync_mode, MSG_SYNC_ON);
    assert_int_equal(s.record.sync_count, 1);
    assert_false(s.record.is_sync_strict);
    assert_int_equal(s.record.maximum_lag_bytes, 1 << 20);
    assert_int_equal(s.record.on_crash, MSG_ON_CRASH_OWN);
    assert_int_equal(s.record.start_timeout_ms, 0);
    assert_int_equal(s.record.failover_interval_ms, 60000);
    assert_false(s.record.is_failsafe);
    assert_int_equal(s.record.fence_mode, MSG_FENCE_OFF);
    assert_int_equal(s.fence_timeout_ms, 10000);
    assert_false(s.record.is_standby_cluster);
    assert_int_equal(s.record.config_revision, 0);
}

static void test_every_key(void **state)
{
    (void)state;
    struct arb_settings s = read_it(
        "{\"ttl\":\"0.6s\",\"heartbeat\":\"100ms\",\"freeze_max\":\"0\",\"sync\":\"first\","
        "\"sync_count\":2,\"strict\":true,\"maximum_lag_on_failover\":1099511627776,"
        "\"on_crash\":\"failover\",\"primary_start_timeout\":\"2m\",\"failover_interval\":\"0s\","
        "\"failsafe\":true,\"fence\":{\"mode\":\"require\",\"command\":\"ipmi\",\"timeout\":"
        "\"1s\",\"trust\":true},\"standby_cluster\":{\"host\":\"elsewhere\",\"port\":5433,"
        "\"primary_slot_name\":\"dr\",\"restore_command\":\"cp %f %p\"}}");
    assert_int_equal(s.record.ttl_ms, 600);
    assert_int_equal(s.record.heartbeat_ms, 100);
    assert_int_equal(s.record.freeze_max_ms, 0);
    assert_int_equal(s.record.sync_mode, MSG_SYNC_FIRST);
    assert_int_equal(s.record.sync_count, 2);
    assert_true(s.record.is_sync_strict);
    assert_true(s.record.maximum_lag_bytes == UINT64_C(1) << 40);
    assert_int_equal(s.record.on_crash, MSG_ON_CRASH_FAILOVER);
    assert_int_equal(s.record.start_timeout_ms, 120000);
    assert_int_equal(s.record.failover_interval_ms, 0);
    assert_true(s.record.is_failsafe);
    assert_int_equal(s.record.fence_mode, MSG_FENCE_REQUIRE);
    assert_true(s.record.is_fence_trusted);
    assert_string_equal(s.fence_command, "ipmi");
    assert_int_equal(s.fence_timeout_ms, 1000);
    assert_true(s.record.is_standby_cluster);
}

static void test_mistakes_are_told_with_path_value_and_what_is_allowed(void **state)
{
    (void)state;
    refused("{", "not a JSON object");
    refused("[]", "not a JSON object");
    refused("{\"ttl\":\"2s\",\"ttl\":\"3s\"}", "not a JSON object"); /* which one counts? */
    refused("{\"tt1\":\"2s\"}", "tt1: there is no such key");
    refused("{\"fence\":{\"mod\":\"off\"}}", "fence.mod: there is no such key");
    refused("{\"fence\":\"off\"}", "fence: \"off\"; allowed: an object");
    refused("{\"ttl\":2}", "ttl: 2; allowed: 600ms to 1m");
    refused("{\"ttl\":\"599ms\"}", "ttl: \"599ms\"; allowed: 600ms to 1m");
    refused("{\"ttl\":\"61s\"}", "allowed: 600ms to 1m");
    refused("{\"ttl\":\"-2s\"}", "ttl: \"-2s\"");
    refused("{\"ttl\":\"1e300d\"}", "ttl: ");
    refused("{\"heartbeat\":\"501ms\"}", "at most a quarter of the ttl");
    refused("{\"sync\":\"maybe\"}", "sync: \"maybe\"; allowed: on first off");
    refused("{\"sync_count\":0}", "sync_count: 0; allowed: 1 to 15");
    refused("{\"sync_count\":1.5}", "sync_count: 1.5");
    refused("{\"strict\":1}", "strict: 1; allowed: true false");
    refused("{\"sync\":\"off\",\"strict\":true}", "strict: true; allowed: only with sync");
    refused("{\"on_crash\":\"own\"}", "on_crash: \"own\"; allowed: auto failover restart");
    refused("{\"fence\":{\"mode\":\"try\"}}", "fence.command: ?; allowed: a program");
    refused("{\"fence\":{\"trust\":true}}", "fence.trust: true; allowed: only with fence.mode");
    refused("{\"standby_cluster\":{}}", "standby_cluster: {}; allowed: with a host");
    refused("{\"standby_cluster\":{\"host\":\"a\",\"port\":0}}", "standby_cluster.port: 0");
    refused("{\"standby_cluster\":{\"host\":\"a\\nb\"}}", "standby_cluster.host");
    refused("{\"postgresql\":[]}", "postgresql: []; allowed: an object");
    refused("{\"postgresql\":{\"nothing\":1}}", "postgresql.nothing");
}

/* The command is run on quorum nodes: nothing but a name in their own directory. */
static void test_a_fence_command_is_a_name_and_nothing_else(void **state)
{
    (void)state;
    static const char *const bad[] = {"/bin/sh", "../x", "a/b", ".hidden", "-x", ""};
    for (size_t i = 0; i < BASE_COUNT_OF(bad); i++) {
        char text[128];
        (void)snprintf(text, sizeof(text), "{\"fence\":{\"command\":\"%s\"}}", bad[i]);
        refused(text, "fence.command: ");
    }
}

static void test_too_long_a_document_is_refused(void **state)
{
    static char text[MSG_CONFIG_MAX + 2];
    (void)state;
    memset(text, ' ', sizeof(text) - 1);
    memcpy(text, "{}", 2);
    refused(text, "allowed: at most 24576");
}

static void write_is(const char *text, bool has_defaults, const char *want)
{
    static uint8_t memory[MSG_CONFIG_MAX];
    struct buf b = buf_over(memory, sizeof(memory));
    struct arb_settings_why why = {""};
    assert_int_equal(arb_settings_write(slice_from_text(text), has_defaults, &b, &why), 0);
    if (!slice_equal(buf_slice(&b), slice_from_text(want))) {
        fail_msg("%.*s", (int)b.len, (const char *)memory);
    }
}

static void test_canonical_form(void **state)
{
    (void)state;
    write_is("{ \"strict\" : true , \"ttl\":\"2s\" }", false, "{\"ttl\":\"2s\",\"strict\":true}");
    write_is("{\"postgresql\":{\"parameters\":{\"b\":1,\"a\":2}},\"fence\":{}}", false,
             "{\"postgresql\":{\"parameters\":{\"b\":1,\"a\":2}}}");
    write_is("{\"ttl\":\"4s\"}", true,
             "{\"ttl\":\"4s\",\"heartbeat\":\"250ms\",\"freeze_max\":\"3s\",\"sync\":\"on\","
             "\"sync_count\":1,\"strict\":false,\"maximum_lag_on_failover\":1048576,"
             "\"failover_interval\":\"60s\",\"failsafe\":false,\"fence\":{\"mode\":\"off\","
             "\"timeout\":\"10s\",\"trust\":false}}");
}

/* What the table shows as the default is what is really taken. */
static void test_the_table_s_defaults_are_true(void **state)
{
    (void)state;
    static uint8_t memory[MSG_CONFIG_MAX];
    struct buf b = buf_over(memory, sizeof(memory));
    struct arb_settings_why why = {""};
    struct arb_settings effective;
    assert_int_equal(arb_settings_write(SLICE_LIT("{}"), true, &b, &why), 0);
    assert_int_equal(arb_settings_read(buf_slice(&b), &effective, &why), 0);
    struct arb_settings standard = read_it("{}");
    assert_memory_equal(&effective.record, &standard.record, sizeof(standard.record));
    assert_int_equal(effective.fence_timeout_ms, standard.fence_timeout_ms);
    for (size_t i = 0; arb_setting_at(i) != NULL; i++) {
        assert_true(strlen(arb_setting_at(i)->allowed) > 0);
    }
}

/* A cluster that has none yet: its first document changes nothing that is not asked for. */
static void test_a_record_as_a_document(void **state)
{
    (void)state;
    static uint8_t memory[1024];
    struct buf b = buf_over(memory, sizeof(memory));
    struct arb_settings s = read_it("{}");
    assert_int_equal(arb_settings_of(&s.record, &b), 0);
    assert_true(slice_equal(buf_slice(&b), SLICE_LIT("{}")));
    struct arb_settings own =
        read_it("{\"ttl\":\"600ms\",\"heartbeat\":\"100ms\",\"sync\":\"off\","
                "\"sync_count\":3,\"failsafe\":true,\"on_crash\":\"restart\"}");
    buf_reset(&b);
    assert_int_equal(arb_settings_of(&own.record, &b), 0);
    struct arb_settings again;
    struct arb_settings_why why = {""};
    assert_int_equal(arb_settings_read(buf_slice(&b), &again, &why), 0);
    assert_memory_equal(&own.record, &again.record, sizeof(own.record));
}

static void test_a_mongodb_section_makes_it_mongodb_s(void **state)
{
    (void)state;
    struct arb_settings s = read_it("{\"mongodb\":{}}");
    const struct msg_mongodb_policy *p = &s.record.mongodb.policy;
    assert_int_equal(s.record.engine, MSG_ENGINE_MONGODB);
    assert_int_equal(s.record.ttl_ms, 5000);
    assert_int_equal(s.record.heartbeat_ms, 1000);
    assert_true(!p->is_degrade_auto && !p->is_resync_auto && !p->is_steered); /* all opt-in */
    assert_true(p->gray == MSG_MONGODB_GRAY_REPORT && p->cut_off == MSG_MONGODB_CUT_OFF_REPORT);
    s = read_it("{\"mongodb\":{\"cut_off\":\"stepdown\",\"gray\":\"kill\",\"degrade\":\"auto\","
                "\"resync\":\"auto\",\"steering\":\"on\",\"zone\":\"east\","
                "\"election_timeout\":\"5s\"}}");
    assert_true(p->cut_off == MSG_MONGODB_CUT_OFF_STEPDOWN && p->gray == MSG_MONGODB_GRAY_KILL);
    assert_true(p->is_degrade_auto && p->is_resync_auto && p->is_steered);
    assert_string_equal(p->zone.text, "east");
    assert_int_equal(p->election_timeout_ms, 5000);
    uint8_t bytes[1024];
    struct buf b = buf_over(bytes, sizeof(bytes));
    assert_int_equal(arb_settings_of(&s.record, &b), 0); /* and back */
    struct arb_settings again;
    struct arb_settings_why why = {""};
    assert_int_equal(arb_settings_read(buf_slice(&b), &again, &why), 0);
    assert_memory_equal(&s.record.mongodb, &again.record.mongodb, sizeof(s.record.mongodb));
    refused("{\"mongodb\":{\"gray\":\"maybe\"}}", "mongodb.gray: \"maybe\"; allowed: report");
    refused("{\"mongodb\":{\"election_timeout\":\"10ms\"}}", "mongodb.election_timeout");
    refused("{\"mongodb\":{\"other\":1}}", "mongodb.other");
    refused("{\"mongodb\":{},\"fence\":{\"mode\":\"try\"}}", "fence: means nothing to a MongoDB");
    refused("{\"mongodb\":{},\"sync\":\"on\"}", "sync: means nothing to a MongoDB");
    refused("{\"mongodb\":{},\"galera\":{}}", "mean");
}

static void test_a_galera_section_makes_it_galera_s(void **state)
{
    (void)state;
    struct arb_settings s = read_it("{\"galera\":{}}");
    assert_int_equal(s.record.engine, MSG_ENGINE_GALERA);
    assert_int_equal(s.record.ttl_ms, 6000);
    assert_int_equal(s.record.heartbeat_ms, 500);
    assert_int_equal(s.record.galera.recovery_wait_us, -1);
    assert_false(s.record.galera.is_fast_takeover);
    s = read_it("{\"ttl\":\"5s\",\"galera\":{\"fast_takeover\":true,\"recovery_wait\":\"10m\","
                "\"arbitrator\":\"garb\",\"weights\":{\"n2\":2,\"n1\":0}}}");
    assert_int_equal(s.record.ttl_ms, 5000);
    assert_true(s.record.galera.is_fast_takeover);
    assert_true(s.record.galera.recovery_wait_us == 600 * BASE_US_PER_S);
    assert_string_equal(s.record.galera.arbitrator.text, "garb");
    assert_int_equal(s.record.galera.weights.count, 2);
    assert_string_equal(s.record.galera.weights.nodes[0].node.text, "n1"); /* by name */
    assert_int_equal(s.record.galera.weights.nodes[1].weight, 2);
    refused("{\"ttl\":\"4s\",\"galera\":{}}", "ttl: \"4s\"; allowed: 5s to 1m");
    refused("{\"galera\":{},\"sync\":\"on\"}", "sync: means nothing to a Galera cluster");
    refused("{\"galera\":{},\"postgresql\":{}}", "postgresql: means nothing");
    refused("{\"galera\":{\"weights\":{\"n1\":200}}}", "galera.weights");
    refused("{\"galera\":{\"weights\":[]}}", "galera.weights");
    refused("{\"galera\":{\"recovery_wait\":\"10d\"}}", "never, or 1s to 7d");
    refused("{\"galera\":{\"arbitrator\":\"No Name\"}}", "a node's name");
    refused("{\"galera\":{\"fast\":true}}", "galera.fast: there is no such key");
    refused("{\"galera\":1}", "galera: 1; allowed: an object");
}

static void test_a_galera_document_is_written_as_one(void **state)
{
    (void)state;
    write_is("{\"galera\":{},\"ttl\":\"7s\"}", false, "{\"galera\":{},\"ttl\":\"7s\"}");
    write_is(
        "{\"galera\":{\"weights\":{\"a\":2}}}", true,
        "{\"galera\":{\"fast_takeover\":false,\"recovery_wait\":\"never\","
        "\"keep_reader\":false,\"weights\":{\"a\":2}}"
        ",\"ttl\":\"6s\",\"heartbeat\":\"500ms\",\"fence\":{\"mode\":\"off\",\"timeout\":\"10s\","
        "\"trust\":false}}");
    static uint8_t memory[1024];
    struct buf b = buf_over(memory, sizeof(memory));
    struct arb_settings own =
        read_it("{\"ttl\":\"9s\",\"galera\":{\"fast_takeover\":true,\"recovery_wait\":\"1h\","
                "\"keep_reader\":true,"
                "\"arbitrator\":\"garb\",\"weights\":{\"n1\":3}}}");
    assert_int_equal(arb_settings_of(&own.record, &b), 0);
    struct arb_settings again;
    struct arb_settings_why why = {""};
    assert_int_equal(arb_settings_read(buf_slice(&b), &again, &why), 0);
    assert_memory_equal(&own.record, &again.record, sizeof(own.record));
    assert_true(again.record.galera.is_reader_kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_every_key),
        cmocka_unit_test(test_mistakes_are_told_with_path_value_and_what_is_allowed),
        cmocka_unit_test(test_a_fence_command_is_a_name_and_nothing_else),
        cmocka_unit_test(test_too_long_a_document_is_refused),
        cmocka_unit_test(test_canonical_form),
        cmocka_unit_test(test_the_table_s_defaults_are_true),
        cmocka_unit_test(test_a_record_as_a_document),
        cmocka_unit_test(test_a_mongodb_section_makes_it_mongodb_s),
        cmocka_unit_test(test_a_galera_section_makes_it_galera_s),
        cmocka_unit_test(test_a_galera_document_is_written_as_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
