/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP answers of the agent: the table of health checks row by row, query parameters, methods,
 * bodies. */
#include "tests/support/cm.h"

#include <stdio.h>
#include <string.h>

#include "agents/http.h"
#include "base/name.h"

static struct msg_report report;
static struct msg_order order;
static struct agt_disk disk;
static struct guard_status guard;
static struct agt_http_snapshot snap;
static uint8_t memory[AGT_HTTP_BODY_MAX];
static struct buf body;

static struct base_name name(const char *text)
{
    struct base_name n = {{0}};
    assert_int_equal(base_name_from_text(text, &n), 0);
    return n;
}

static void base(enum msg_db_state state)
{
    memset(&report, 0, sizeof(report));
    memset(&order, 0, sizeof(order));
    memset(&disk, 0, sizeof(disk));
    report.cluster = name("c");
    report.member = name("a");
    report.db_state = state;
    report.position = (struct msg_position){2, 3, 10000};
    report.replay_lsn = 10000;
    order.record.epoch = 2;
    order.record.cluster = report.cluster;
    order.record.holder = name("b");
    order.record.ttl_ms = 2000;
    order.record.votes_needed_r = 1;
    order.record.maximum_lag_bytes = 1000;
    snap = (struct agt_http_snapshot){.report = &report,
                                      .order = &order,
                                      .disk = &disk,
                                      .guard = &guard,
                                      .is_answering = true,
                                      .order_age_us = 1000,
                                      .report_age_us = 1000};
}

/* The columns of the table. */
static void node_primary(void)
{
    base(MSG_DB_PRIMARY);
    report.epoch_held = 2;
    report.is_open = snap.is_open = true;
}

static void node_replica(void)
{
    base(MSG_DB_STANDBY);
    report.is_receiving = true;
}

static void node_sync(void)
{
    node_replica();
    order.record.voters.count = 1;
    order.record.voters.names[0] = report.member;
}

static void node_no_balance(void)
{
    node_replica();
    snap.is_noloadbalance = true;
}

static void node_down(void)
{
    base(MSG_DB_STARTING);
    snap.is_answering = false;
}

static void node_down_with_lease(void)
{
    node_down();
    report.epoch_held = 2;
    report.lease_left_us = 1000000;
}

static void node_frozen(void) /* was the primary, its lease has run out */
{
    base(MSG_DB_FROZEN);
    report.epoch_held = 2;
    snap.is_answering = false;
}

static int get(const char *method, const char *path, const char *query)
{
    body = buf_over(memory, sizeof(memory));
    struct agt_http_request request = {slice_from_text(method), slice_from_text(path),
                                       slice_from_text(query)};
    return agt_http_answer(&snap, &request, &body).status;
}

typedef void node_fn(void);
static node_fn *const nodes[] = {node_primary, node_replica, node_sync,           node_no_balance,
                                 node_down,    node_frozen,  node_down_with_lease};

/* P, R, R in the set, RL, X, U, X with the lease still held. Differences from Patroni: the last
 * column. */
static const struct {
    const char *paths[5];
    int status[7];
} rows[] = {
    {{"/", "/primary", "/master", "/read-write", "/leader"}, {200, 503, 503, 503, 503, 503, 503}},
    {{"/standby-leader", "/standby_leader"}, {503, 503, 503, 503, 503, 503, 503}},
    {{"/replica"}, {503, 200, 200, 503, 503, 503, 503}},
    {{"/read-only"}, {200, 200, 200, 503, 503, 503, 503}},
    {{"/synchronous", "/sync", "/quorum"}, {503, 503, 200, 503, 503, 503, 503}},
    {{"/read-only-sync", "/read-only-synchronous", "/read-only-quorum"},
     {200, 503, 200, 503, 503, 503, 503}},
    {{"/asynchronous", "/async"}, {503, 200, 503, 503, 503, 503, 503}},
    {{"/health"}, {200, 200, 200, 200, 503, 503, 503}},
    {{"/liveness"}, {200, 200, 200, 200, 200, 200, 200}},
    {{"/readiness"}, {200, 200, 200, 200, 503, 503, 503}},
    {{"/patroni", "/cluster", "/history", "/config", "/metrics"},
     {200, 200, 200, 200, 200, 200, 200}},
};

static void test_health_checks_row_by_row(void **state)
{
    (void)state;
    for (size_t r = 0; r < BASE_COUNT_OF(rows); r++) {
        for (size_t p = 0; p < 5 && rows[r].paths[p] != NULL; p++) {
            for (size_t n = 0; n < BASE_COUNT_OF(nodes); n++) {
                nodes[n]();
                int got = get("GET", rows[r].paths[p], "");
                if (got != rows[r].status[n]) {
                    fail_msg("%s, node %zu: %d", rows[r].paths[p], n, got);
                }
                assert_int_equal(get("HEAD", rows[r].paths[p], ""), rows[r].status[n]);
                assert_int_equal(get("OPTIONS", rows[r].paths[p], ""), rows[r].status[n]);
                assert_int_equal(body.len, 0);
            }
        }
    }
}

static void test_lag_in_bytes_and_units(void **state)
{
    (void)state;
    node_replica();
    report.replay_lsn = 10000 - 3000;
    assert_int_equal(get("GET", "/replica", ""), 200);
    assert_int_equal(get("GET", "/replica", "lag=2999"), 503);
    assert_int_equal(get("GET", "/replica", "lag=3000"), 200);
    assert_int_equal(get("GET", "/replica", "lag=2kB"), 503);
    assert_int_equal(get("GET", "/replica", "lag=3kB"), 200);
    assert_int_equal(get("GET", "/replica", "lag=16MB"), 200);
    assert_int_equal(get("GET", "/replica", "lag=99999999999GB"), 200);
    assert_int_equal(get("GET", "/replica", "lag=rubbish"), 200); /* no limit */
    assert_int_equal(get("GET", "/async", "lag=1"), 503);
    assert_int_equal(get("GET", "/read-only", "x=1&lag=1"), 503);
    assert_int_equal(get("GET", "/readiness", ""), 503); /* maximum lag 1000 */
    assert_int_equal(get("GET", "/readiness", "lag=4000"), 200);
    assert_int_equal(get("GET", "/readiness", "lag=1&mode=write"), 200);
    assert_int_equal(get("GET", "/readiness", "lag=1&mode=apply"), 503);
    order.record.floor.lsn = 20000;
    assert_int_equal(get("GET", "/replica", "lag=5000"), 503);
    node_replica();
    report.is_receiving = false; /* lag not known */
    assert_int_equal(get("GET", "/replica", "lag=1GB"), 503);
    assert_int_equal(get("GET", "/replica", ""), 200);
}

static void test_filters(void **state)
{
    (void)state;
    node_replica();
    report.priority = 7;
    assert_int_equal(get("GET", "/replica", "replication_state=streaming"), 200);
    assert_int_equal(get("GET", "/replica", "replication_state=in%20archive%20recovery"), 503);
    assert_int_equal(get("GET", "/replica", "tag_nofailover=false"), 200);
    assert_int_equal(get("GET", "/replica", "tag_nofailover=True"), 503);
    assert_int_equal(get("GET", "/replica", "tag_nosync=FALSE&tag_failover_priority=7"), 200);
    assert_int_equal(get("GET", "/replica", "tag_failover_priority=8"), 503);
    assert_int_equal(get("GET", "/replica", "tag_zone=x"), 503);
    assert_int_equal(get("GET", "/replica", "&&=&tag_=&"), 503);
    report.is_receiving = false;
    assert_int_equal(get("GET", "/replica", "replication_state=streaming"), 503);
}

static void test_liveness_needs_a_loop_that_ran(void **state)
{
    (void)state;
    node_primary();
    snap.report_age_us = 2000001;
    assert_int_equal(get("GET", "/liveness", ""), 503);
    node_replica();
    snap.report_age_us = 3999999;
    assert_int_equal(get("GET", "/liveness", ""), 200);
    snap.report_age_us = 4000001;
    assert_int_equal(get("GET", "/liveness", ""), 503);
    snap.report_age_us = -1;
    assert_int_equal(get("GET", "/liveness", ""), 503);
}

static void test_only_safe_methods_and_known_paths(void **state)
{
    (void)state;
    node_primary();
    assert_int_equal(get("POST", "/switchover", ""), 405);
    assert_int_equal(get("DELETE", "/", ""), 405);
    assert_int_equal(get("GET", "/primari", ""), 404);
    assert_int_equal(get("GET", "", ""), 404);
    assert_int_equal(get("GET", "/primary/", ""), 200);
}

static bool has(const char *text)
{
    assert_true(buf_terminate(&body));
    return strstr((const char *)memory, text) != NULL;
}

static void test_patroni_json(void **state)
{
    (void)state;
    node_sync();
    report.system_id = UINT64_C(7000000000000000001);
    report.note = base_text_from(SLICE_LIT("he said \"no\" \\ end"));
    assert_int_equal(get("GET", "/patroni", ""), 200);
    assert_true(
        has("{\"state\":\"running\",\"role\":\"replica\",\"xlog\":{\"received_location\":10000,"
            "\"replayed_location\":10000},\"timeline\":3,"));
    assert_true(has("\"quorum_standby\":true"));
    assert_true(has("\"database_system_identifier\":\"7000000000000000001\""));
    assert_true(has("\"scope\":\"c\",\"name\":\"a\""));
    assert_true(has("\"he said \\\"no\\\" \\\\ end\""));
    node_primary();
    report.standbys_count = 1;
    report.standbys[0].member = name("b");
    report.standbys[0].is_streaming = true;
    assert_int_equal(get("GET", "/", ""), 200);
    assert_true(has("\"role\":\"primary\",\"xlog\":{\"location\":10000}"));
    assert_true(has("{\"application_name\":\"b\",\"state\":\"streaming\",\"confirmed\":false}"));
    snap.order = NULL;
    assert_int_equal(get("GET", "/patroni", ""), 200);
    assert_true(has("\"cluster_unlocked\":true"));
}

static void test_cluster_json(void **state)
{
    (void)state;
    node_replica();
    for (uint8_t i = 0; i < MSG_MEMBERS_MAX; i++) {
        order.members[i] =
            (struct msg_member){.member = name("b"), .db_port = 5432, .http_port = 8008};
        memset(order.members[i].host.text, 'x', BASE_TEXT_MAX);
    }
    order.members_count = MSG_MEMBERS_MAX;
    assert_int_equal(get("GET", "/cluster", ""), 200); /* the largest fits */
    assert_true(has("\"role\":\"leader\""));
    snap.order = NULL;
    assert_int_equal(get("GET", "/cluster", ""), 200);
    assert_true(has("{\"members\":[],\"scope\":\"c\"}"));
}

static void test_history_and_config(void **state)
{
    (void)state;
    node_replica();
    struct agt_opening o[] = {{1, 1, 0, 0, 1, false}, {2, 3, 1, 777, 2, false}};
    (void)agt_disk_remember(&disk, &o[0]);
    (void)agt_disk_remember(&disk, &o[1]);
    assert_int_equal(get("GET", "/history", ""), 200);
    assert_true(has("[[1,777,\"epoch 2\"]]"));
    assert_int_equal(get("GET", "/config", ""), 200);
    assert_true(has("\"synchronous_mode\":\"quorum\""));
}

static void test_metrics_are_well_formed(void **state)
{
    (void)state;
    node_primary();
    assert_int_equal(get("GET", "/metrics", ""), 200);
    assert_true(has("\npatroni_primary{scope=\"c\",name=\"a\"} 1\n"));
    assert_true(has("\npatroni_postgres_state{scope=\"c\",name=\"a\"} 5\n"));
    assert_true(has("\nquorate_epoch_held{scope=\"c\",name=\"a\"} 2\n"));
    assert_true(has("# TYPE patroni_xlog_location counter\n"));
    assert_true(body.len < AGT_HTTP_BODY_MAX / 2);
    memset(report.cluster.text, 'c', BASE_NAME_MAX);
    memset(report.member.text, 'm', BASE_NAME_MAX);
    assert_int_equal(get("GET", "/metrics", ""), 200); /* the longest names fit */
}

static void test_body_that_does_not_fit_is_an_error(void **state)
{
    (void)state;
    node_primary();
    uint8_t small[100];
    body = buf_over(small, sizeof(small));
    struct agt_http_request request = {SLICE_LIT("GET"), SLICE_LIT("/primary"), SLICE_EMPTY};
    assert_int_equal(agt_http_answer(&snap, &request, &body).status, 500);
    assert_int_equal(body.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_health_checks_row_by_row),
        cmocka_unit_test(test_lag_in_bytes_and_units),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_liveness_needs_a_loop_that_ran),
        cmocka_unit_test(test_only_safe_methods_and_known_paths),
        cmocka_unit_test(test_patroni_json),
        cmocka_unit_test(test_cluster_json),
        cmocka_unit_test(test_history_and_config),
        cmocka_unit_test(test_metrics_are_well_formed),
        cmocka_unit_test(test_body_that_does_not_fit_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
