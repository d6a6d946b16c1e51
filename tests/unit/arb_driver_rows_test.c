/* SPDX-License-Identifier: Apache-2.0 */
/* What the driver keeps beside the record: configuration documents and who belongs to a cluster, as
 * rows of the store that every node knows; what is removed; fences that are begun.
 */
#include "tests/unit/arb_driver_rig.h"

static uint64_t configure(const char *name, uint64_t expect, const char *text)
{
    struct base_name cluster_name = name_of(name);
    struct arb_settings_why why = {""};
    uint64_t revision = 0;
    int rc = arb_driver_configure(w.driver, &cluster_name, expect, slice_from_text(text), &revision,
                                  &why);
    if (rc != 0) {
        fail_msg("%s", why.text);
    }
    settle();
    return revision;
}

static int configure_fails(uint64_t expect, const char *text, const char *says)
{
    struct base_name cluster_name = name_of("main");
    struct arb_settings_why why = {""};
    uint64_t revision = 0;
    int rc = arb_driver_configure(w.driver, &cluster_name, expect, slice_from_text(text), &revision,
                                  &why);
    assert_int_not_equal(rc, 0);
    assert_non_null(strstr(why.text, says));
    return rc;
}

/* All three report, so that time passes and settings are taken over. */
static void beat(int times, uint64_t revision_of_2)
{
    for (int i = 0; i < times; i++) {
        struct msg_report two = report_of(2);
        two.config_revision = revision_of_2;
        send(two);
        send(report_of(3));
        send(primary_of(1));
        wait_ms(100);
    }
}

static void test_a_document_that_a_watchdog_has_no_room_in_is_refused_with_a_reason(void **state)
{
    struct msg_report two;
    (void)state;
    build();
    beat(1, 0);
    two = report_of(2);
    two.ttl_least_ms = 2000;
    send(two);
    assert_int_equal(configure_fails(0, "{\"ttl\":\"1s\",\"heartbeat\":\"100ms\"}",
                                     "ttl: 1000 ms; pg2 wants 2000 ms at least"),
                     BASE_E_INVALID);
    assert_int_equal(configure("main", 0, "{\"ttl\":\"2s\"}"), 1);
}

static void test_a_document_reaches_record_members_and_history(void **state)
{
    (void)state;
    build();
    assert_int_equal(configure("main", 0, "{\"freeze_max\":\"2s\",\"on_crash\":\"restart\"}"), 1);
    beat(30, 1);
    assert_int_equal(cluster()->record.config_revision, 1);
    assert_int_equal(cluster()->record.freeze_max_ms, 2000);
    assert_int_equal(cluster()->record.on_crash, MSG_ON_CRASH_RESTART);
    assert_int_equal(w.config_revisions[3], 1);
    assert_string_equal(w.config_text, "{\"freeze_max\":\"2s\",\"on_crash\":\"restart\"}");
    assert_int_equal(w.configs[2], 0);   /* has it already */
    assert_in_range(w.configs[3], 1, 3); /* again and again, but not with each report */
    assert_non_null(strstr(read_key("/quorate/v1/clusters/main/config"), "\"2s\""));
    assert_non_null(
        strstr(read_key("/quorate/v1/clusters/main/config-history/1"), "\"document\":{\"freeze"));
}

static void test_a_document_is_written_over_the_one_that_was_read(void **state)
{
    (void)state;
    build();
    assert_int_equal(configure("main", 0, "{}"), 1);
    assert_int_equal(configure_fails(0, "{}", "has a configuration already"), BASE_E_CONFLICT);
    assert_int_equal(configure_fails(7, "{}", "has revision 1"), BASE_E_CONFLICT);
    assert_int_equal(configure_fails(1, "{\"ttl\":\"1h\"}", "ttl: \"1h\"; allowed: 600ms to 1m"),
                     BASE_E_INVALID);
    assert_int_equal(configure("main", 1, "{\"strict\":true}"), 2);
    struct msg_report ahead = report_of(2); /* knows one that the store has lost */
    ahead.config_revision = 9;
    send(ahead);
    assert_int_equal(configure("main", 2, "{}"), 10);
}

static void test_a_document_is_of_the_cluster_s_engine(void **state)
{
    (void)state;
    build();
    assert_int_equal(configure_fails(0, "{\"galera\":{}}", "this cluster runs PostgreSQL"),
                     BASE_E_INVALID);
    assert_int_equal(configure("shop", 0, "{\"galera\":{}}"), 1); /* not there yet */
}

/* The lease of pg1 has run out and pg3 alone decides nothing: no document can be taken over now. */
static void test_a_document_is_sent_when_the_record_says_so(void **state)
{
    (void)state;
    build();
    assert_int_equal(configure("main", 0, "{\"freeze_max\":\"2s\"}"), 1);
    beat(10, 1);
    for (int i = 0; i < 40; i++) {
        send(report_of(3));
        wait_ms(100);
    }
    assert_int_equal(configure("main", 1, "{\"ttl\":\"4s\"}"), 2);
    memset(w.configs, 0, sizeof(w.configs));
    memset(w.config_text, 0, sizeof(w.config_text));
    for (int i = 0; i < 40; i++) {
        send(report_of(3));
        wait_ms(100);
    }
    assert_int_equal(cluster()->record.config_revision, 1);
    assert_null(strstr(w.config_text, "4s"));
}

static void test_old_documents_go(void **state)
{
    (void)state;
    build();
    for (uint64_t i = 0; i < 22; i++) {
        assert_int_equal(configure("main", i, "{}"), i + 1);
    }
    assert_non_null(strstr(read_key("/quorate/v1/clusters/main/config-history/22"), "document"));
    assert_non_null(strstr(read_key("/quorate/v1/clusters/main/config-history/3"), "document"));
    assert_null(strstr(read_key("/quorate/v1/clusters/main/config-history/2"), "document"));
}

static void test_a_document_comes_ahead_of_the_first_member(void **state)
{
    (void)state;
    assert_int_equal(configure("main", 0, "{\"ttl\":\"3s\",\"heartbeat\":\"500ms\"}"), 1);
    node_down();
    node_up(); /* it is in the store */
    build();
    assert_int_equal(cluster()->record.ttl_ms, 3000);
    assert_int_equal(cluster()->record.config_revision, 1);
    uint64_t revision = 0;
    struct slice text;
    assert_true(arb_driver_document(w.driver, &cluster()->name, &revision, &text));
    assert_int_equal(revision, 1);
}

/* --- who belongs to a cluster --- */

static struct arb_seen seen_of(const char *member)
{
    struct arb_seen seen[MSG_MEMBERS_MAX];
    struct base_name name = name_of(member);
    size_t count = arb_driver_seen(w.driver, cluster(), seen);
    for (size_t i = 0; i < count; i++) {
        if (base_name_equal(&seen[i].member, &name)) {
            return seen[i];
        }
    }
    return (struct arb_seen){.since_wall_us = -1};
}

/* pg3 is silent for so long that it is down. */
static void lose_pg3(void)
{
    for (int i = 0; i < 60; i++) {
        struct msg_report primary = primary_of(1);
        primary.standbys_count = 1;
        send(report_of(2));
        send(primary);
        wait_ms(100);
    }
}

static void test_a_member_that_is_down_stays_known(void **state)
{
    (void)state;
    build();
    beat(10, 0);
    assert_true(seen_of("pg3").is_up);
    int64_t silent = w.now.us;
    lose_pg3();
    struct arb_seen down = seen_of("pg3");
    assert_false(down.is_up);
    assert_in_range(down.since_wall_us, silent - BASE_US_PER_S, silent + BASE_US_PER_S);
    const char *json = read_key("/quorate/v1/clusters/main/members/pg3");
    assert_non_null(strstr(json, "\"is_up\":false"));
    node_down();
    node_up();
    assert_int_equal(seen_of("pg3").since_wall_us, down.since_wall_us);
    assert_int_equal(seen_of("pg3").db_port, 5432);
    send(report_of(3));
    wait_ms(1500);
    send(report_of(3));
    assert_true(seen_of("pg3").is_up);
}

static int order(enum arb_request_kind kind, const char *member, struct base_text *ret_text)
{
    struct base_name name = name_of("main");
    struct arb_request ask = {.kind = kind};
    if (member != NULL) {
        ask.candidate = name_of(member);
    }
    int rc = arb_driver_request(w.driver, &name, &ask, ret_text);
    settle();
    return rc;
}

static void test_a_member_is_removed_when_it_is_gone(void **state)
{
    struct base_text text;
    struct base_name gone = name_of("pg3");
    (void)state;
    build();
    beat(10, 0);
    assert_int_not_equal(order(ARB_REQUEST_REMOVE, "pg3", &text), 0); /* it is heard */
    assert_int_equal(order(ARB_REQUEST_REMOVE, "pg9", &text), BASE_E_NOTFOUND);
    lose_pg3();
    if (order(ARB_REQUEST_REMOVE, "pg3", &text) != 0) {
        fail_msg("%s", text.text);
    }
    wait_ms(100);
    assert_int_equal(seen_of("pg3").since_wall_us, -1);
    assert_int_equal(arb_view_find(cluster(), &gone), ARB_NOBODY);
    assert_null(strstr(read_key("/quorate/v1/clusters/main/members/pg3"), "is_up"));
}

static void test_a_cluster_is_removed_with_all_its_keys(void **state)
{
    struct base_text text;
    struct base_name name = name_of("main");
    (void)state;
    build();
    assert_int_equal(configure("main", 0, "{}"), 1);
    beat(10, 1);
    assert_int_not_equal(order(ARB_REQUEST_REMOVE, NULL, &text), 0); /* it is alive */
    wait_ms(10000);
    assert_int_equal(order(ARB_REQUEST_REMOVE, NULL, &text), 0);
    wait_ms(100);
    assert_null(strstr(read_key("/quorate/v1/clusters/main/record"), "holder"));
    assert_null(strstr(read_key("/quorate/v1/clusters/main/history/1"), "kind"));
    assert_null(strstr(read_key("/quorate/v1/clusters/main/config-history/1"), "document"));
    assert_int_equal(order(ARB_REQUEST_REMOVE, NULL, &text), BASE_E_NOTFOUND);
    const struct arb_cluster *c = arb_driver_find(w.driver, &name);
    assert_true(c == NULL || c->record.epoch == 0);
    node_down();
    node_up();
    assert_null(arb_driver_find(w.driver, &name));
}

static void test_a_planned_cluster_is_removed(void **state)
{
    struct base_text text;
    (void)state;
    assert_int_equal(configure("main", 0, "{}"), 1);
    assert_int_equal(order(ARB_REQUEST_REMOVE, NULL, &text), 0);
    wait_ms(100);
    assert_int_equal(configure("main", 0, "{}"), 1);
}

/* There is room for two: a removed cluster leaves its own. */
static void test_room_comes_back(void **state)
{
    static const char *const names[] = {"a", "b", "c"};
    struct base_text text;
    (void)state;
    assert_int_equal(configure("main", 0, "{}"), 1);
    for (size_t i = 0; i < BASE_COUNT_OF(names); i++) {
        struct base_name other = name_of(names[i]);
        struct arb_request ask = {.kind = ARB_REQUEST_REMOVE};
        assert_int_equal(configure(names[i], 0, "{}"), 1);
        assert_int_equal(configure_fails(0, "{}", "has a configuration already"), BASE_E_CONFLICT);
        assert_int_equal(arb_driver_request(w.driver, &other, &ask, &text), 0);
        wait_ms(100);
    }
}

/* --- fences --- */

/* pg2 and pg3 do what they are asked, without pg1. */
static void vote_for(int64_t ms)
{
    for (int64_t t = 0; t < ms; t += 100) {
        for (unsigned id = 2; id <= 3; id++) {
            struct msg_report r = report_of(id);
            r.is_receiving = false;
            r.promised = w.orders[id].goal == MSG_GOAL_VOTE ? w.orders[id].attempt
                                                            : (struct msg_attempt){0, 0};
            r.is_vote_valid = w.orders[id].goal == MSG_GOAL_VOTE;
            send(r);
        }
        wait_ms(100);
    }
}

static void test_a_fence_is_begun_with_the_document_s_command(void **state)
{
    (void)state;
    build();
    assert_int_equal(configure("main", 0,
                               "{\"fence\":{\"mode\":\"require\",\"command\":\"power\","
                               "\"timeout\":\"7s\"}}"),
                     1);
    beat(20, 1);
    assert_int_equal(cluster()->record.fence_mode, MSG_FENCE_REQUIRE);
    for (int i = 0; i < 60 && w.fences == 0; i++) { /* the host of pg1 is gone */
        send(report_of(2));
        send(report_of(3));
        wait_ms(100);
    }
    assert_int_equal(w.fences, 1);
    assert_string_equal(w.fence.command, "power");
    assert_string_equal(w.fence.member.text, "pg1");
    assert_int_equal(w.fence.timeout_ms, 7000);
    assert_int_equal(w.fence.epoch, cluster()->record.fencing_epoch);
    vote_for(2000);
    assert_int_equal(w.fences, 1); /* one at a time */
    assert_int_equal(cluster()->record.epoch, 1);
    arb_driver_fenced(w.driver, &cluster()->name, w.fence.epoch, true);
    vote_for(2000);
    assert_int_equal(cluster()->record.epoch, 2);
}

int main(void)
{
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    const struct CMUnitTest tests[] = {
        TEST(test_a_document_reaches_record_members_and_history),
        TEST(test_a_document_that_a_watchdog_has_no_room_in_is_refused_with_a_reason),
        TEST(test_a_document_is_of_the_cluster_s_engine),
        TEST(test_a_document_is_written_over_the_one_that_was_read),
        TEST(test_a_document_is_sent_when_the_record_says_so),
        TEST(test_old_documents_go),
        TEST(test_a_document_comes_ahead_of_the_first_member),
        TEST(test_a_member_that_is_down_stays_known),
        TEST(test_a_member_is_removed_when_it_is_gone),
        TEST(test_a_cluster_is_removed_with_all_its_keys),
        TEST(test_a_planned_cluster_is_removed),
        TEST(test_room_comes_back),
        TEST(test_a_fence_is_begun_with_the_document_s_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
