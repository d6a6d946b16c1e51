/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP answers of the agent: the table of health checks row by row, query parameters, methods,
 * bodies. */
#include "tests/support/cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/http.h"
#include "base/canary.h"
#include "base/name.h"

static struct msg_report report;
static struct msg_order order;
static struct agt_disk disk;
static struct guard_status guard;
static struct agt_http_seen seen;
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
    memset(&seen, 0, sizeof(seen));
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
                                      .seen = &seen,
                                      .is_answering = true,
                                      .lease_least_us = INT64_MAX,
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
    report.is_noloadbalance = true;
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

static void node_standby_leader(void)
{
    base(MSG_DB_STANDBY);
    order.record.is_standby_cluster = true;
    order.record.holder = report.member;
    report.epoch_held = 2;
    report.is_receiving = snap.has_right = true;
}

static void node_drained(void)
{
    node_replica();
    order.record.drained.count = 1;
    order.record.drained.names[0] = report.member;
}

static void node_diverged(void) /* its history is not the cluster's */
{
    node_replica();
    report.is_rejoin_needed = true;
}

static int get(const char *method, const char *path, const char *query)
{
    body = buf_over(memory, sizeof(memory));
    struct agt_http_request request = {.method = slice_from_text(method),
                                       .path = slice_from_text(path),
                                       .query = slice_from_text(query)};
    return agt_http_answer(&snap, &request, &body).status;
}

typedef void node_fn(void);
#define NODES 10
static node_fn *const nodes[NODES] = {
    node_primary, node_replica,         node_sync,           node_no_balance, node_down,
    node_frozen,  node_down_with_lease, node_standby_leader, node_drained,    node_diverged};

/* P, R, R in the set, RL, X, U, X with the lease still held, SL, drained, diverged. Differences
 * from Patroni: the columns X with the lease and diverged. */
static const struct {
    const char *paths[5];
    int status[NODES];
} rows[] = {
    {{"/", "/primary", "/master", "/read-write"},
     {200, 503, 503, 503, 503, 503, 503, 503, 503, 503}},
    {{"/standby-leader", "/standby_leader"}, {503, 503, 503, 503, 503, 503, 503, 200, 503, 503}},
    {{"/leader"}, {200, 503, 503, 503, 503, 503, 503, 200, 503, 503}},
    {{"/replica"}, {503, 200, 200, 503, 503, 503, 503, 503, 503, 503}},
    {{"/read-only"}, {200, 200, 200, 503, 503, 503, 503, 200, 503, 503}},
    {{"/synchronous", "/sync", "/quorum"}, {503, 503, 200, 503, 503, 503, 503, 503, 503, 503}},
    {{"/read-only-sync", "/read-only-synchronous", "/read-only-quorum"},
     {200, 503, 200, 503, 503, 503, 503, 200, 503, 503}},
    {{"/asynchronous", "/async"}, {503, 200, 503, 503, 503, 503, 503, 503, 503, 503}},
    {{"/health"}, {200, 200, 200, 200, 503, 503, 503, 200, 200, 200}},
    {{"/liveness"}, {200, 200, 200, 200, 200, 200, 200, 200, 200, 200}},
    {{"/readiness"}, {200, 200, 200, 200, 503, 503, 503, 200, 200, 503}},
    {{"/failsafe"}, {502, 502, 502, 502, 502, 502, 502, 502, 502, 502}},
    {{"/patroni", "/cluster", "/history", "/config", "/metrics"},
     {200, 200, 200, 200, 200, 200, 200, 200, 200, 200}},
};

static void test_health_checks_row_by_row(void **state)
{
    (void)state;
    for (size_t r = 0; r < BASE_COUNT_OF(rows); r++) {
        for (size_t p = 0; p < BASE_COUNT_OF(rows[r].paths) && rows[r].paths[p] != NULL; p++) {
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

/* Out of recovery, on the line of the epoch, under a right, nobody kept out: each is needed. */
static void node_promoted(void)
{
    base(MSG_DB_PRIMARY);
    report.epoch_held = 2;
    report.position.lineage = 2;
    snap.has_right = true;
}

static void test_promoted_and_not_open_yet(void **state)
{
    (void)state;
    node_promoted();
    assert_int_equal(get("GET", "/promoted", ""), 200);
    assert_int_equal(get("GET", "/promoted", "epoch=2"), 200);
    assert_int_equal(get("GET", "/promoted", "epoch=3"), 503);
    assert_int_equal(get("GET", "/promoted", "epoch=x"), 503);
    assert_int_equal(get("GET", "/primary", ""), 503);
    snap.has_right = false;
    assert_int_equal(get("GET", "/promoted", ""), 503);
    node_promoted();
    snap.is_gated = true;
    assert_int_equal(get("GET", "/promoted", ""), 503);
    node_promoted();
    report.position.lineage = 1; /* another timeline than the one reserved */
    assert_int_equal(get("GET", "/promoted", ""), 503);
    node_promoted();
    report.db_state = MSG_DB_PROMOTING;
    assert_int_equal(get("GET", "/promoted", ""), 503);
    node_promoted();
    report.epoch_held = 1;
    assert_int_equal(get("GET", "/promoted", ""), 503);
    node_promoted();
    snap.is_answering = false;
    assert_int_equal(get("GET", "/promoted", ""), 503);
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

/* The holder's position comes with each order; an old order, or one of a silent holder, tells
 * nothing. */
static void test_lag_behind_what_the_holder_has(void **state)
{
    (void)state;
    node_replica();
    order.members_count = 1;
    order.members[0] = (struct msg_member){.member = name("b"), .is_heard = true, .lsn = 15000};
    assert_int_equal(get("GET", "/replica", "lag=4999"), 503);
    assert_int_equal(get("GET", "/replica", "lag=5000"), 200);
    assert_int_equal(get("GET", "/replica", "lag=1&mode=write"), 503);
    report.is_receiving = false; /* known all the same */
    assert_int_equal(get("GET", "/replica", "lag=5000"), 200);
    order.members[0].is_heard = false;
    assert_int_equal(get("GET", "/replica", "lag=1GB"), 503);
    order.members[0].is_heard = true;
    snap.order_age_us = 4000001;
    assert_int_equal(get("GET", "/replica", "lag=1GB"), 503);
}

static void test_any_of_the_set_or_the_first(void **state)
{
    (void)state;
    node_sync();
    order.record.sync_mode = MSG_SYNC_FIRST;
    assert_int_equal(get("GET", "/sync", ""), 200);
    assert_int_equal(get("GET", "/quorum", ""), 503);
    assert_int_equal(get("GET", "/read-only-quorum", ""), 503);
    order.record.votes_needed_r = 0;
    assert_int_equal(get("GET", "/sync", ""), 503);
    assert_int_equal(get("GET", "/async", ""), 200);
}

static void test_standby_leader_needs_the_right(void **state)
{
    (void)state;
    node_standby_leader();
    snap.has_right = false;
    assert_int_equal(get("GET", "/standby-leader", ""), 503);
    node_standby_leader();
    report.epoch_held = 1;
    assert_int_equal(get("GET", "/leader", ""), 503);
    node_standby_leader();
    order.record.is_standby_cluster = false;
    assert_int_equal(get("GET", "/standby-leader", ""), 503);
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
    report.zone = name("x");
    report.is_clonefrom = true;
    assert_int_equal(get("GET", "/replica", "tag_zone=x&tag_clonefrom=true"), 200);
    assert_int_equal(get("GET", "/replica", "tag_zone=X"), 503);
    assert_int_equal(get("GET", "/replica", "tag_replicatefrom="), 503);
    assert_int_equal(get("GET", "/replica", "tag_unknown=false"), 503);
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
    order.record.is_paused = true;
    assert_int_equal(get("GET", "/liveness", ""), 200);
}

static bool has(const char *text)
{
    assert_true(buf_terminate(&body));
    return strstr((const char *)memory, text) != NULL;
}

static bool is_admin;
static struct agt_http_answer answered;

static int order_call(const char *method, const char *path)
{
    body = buf_over(memory, sizeof(memory));
    struct agt_http_request request = {.method = slice_from_text(method),
                                       .path = slice_from_text(path),
                                       .is_identified = is_admin,
                                       .is_admin = is_admin};
    answered = agt_http_answer(&snap, &request, &body);
    return answered.status;
}

static void test_only_safe_methods_and_known_paths(void **state)
{
    (void)state;
    node_primary();
    assert_int_equal(get("DELETE", "/", ""), 405);
    assert_int_equal(get("POST", "/patroni", ""), 405);
    assert_int_equal(get("POST", "/citus", ""), 404);
    assert_int_equal(get("GET", "/primari", ""), 404);
    assert_int_equal(get("GET", "", ""), 404);
    assert_int_equal(get("GET", "/primary/", ""), 200);
}

/* Nothing is ever done here: without an admin's certificate 403, with it the way to the arbiter. */
static void test_orders_are_refused_with_the_command(void **state)
{
    static const char *const calls[][3] = {
        {"POST", "/switchover", "kv db switchover c"}, {"DELETE", "/switchover", "kv db cancel c"},
        {"POST", "/failover", "kv db failover c"},     {"POST", "/restart", "kv db restart c a"},
        {"DELETE", "/restart", "kv db cancel c a"},    {"POST", "/reload", "kv db reload c a"},
        {"POST", "/reinitialize", "kv db reinit c a"}, {"PATCH", "/config", "kv db config set c"},
        {"PUT", "/config", "kv db config edit c"}};
    (void)state;
    node_primary();
    for (size_t i = 0; i < BASE_COUNT_OF(calls); i++) {
        is_admin = false;
        assert_int_equal(order_call(calls[i][0], calls[i][1]), 403);
        assert_true(has(calls[i][2]));
        is_admin = true;
        assert_int_equal(order_call(calls[i][0], calls[i][1]), 501);
        assert_true(has(calls[i][2]));
        assert_true(has("/quorate/v1/databases/"));
    }
    assert_int_equal(order_call("PATCH", "/switchover"), 405);
}

/* Where the leader's own port is known, the client is sent there with its call and its certificate.
 */
static void test_orders_are_sent_on_to_the_leader(void **state)
{
    (void)state;
    node_primary();
    snap.leader_api = "https://q1:2379";
    is_admin = false;
    assert_int_equal(order_call("POST", "/switchover"), 403);
    is_admin = true;
    assert_int_equal(order_call("POST", "/switchover"), 307);
    assert_string_equal(answered.location, "https://q1:2379/quorate/v1/patroni/c/a/switchover");
    assert_int_equal(order_call("DELETE", "/restart"), 307);
    assert_string_equal(answered.location, "https://q1:2379/quorate/v1/patroni/c/a/restart");
    assert_int_equal(order_call("DELETE", "/switchover"), 307);
    assert_string_equal(answered.location, "https://q1:2379/quorate/v1/patroni/c/a/switchover");
    assert_int_equal(order_call("PATCH", "/config"), 307);
    assert_int_equal(order_call("PUT", "/config"), 307);
    assert_string_equal(answered.location, "https://q1:2379/quorate/v1/patroni/c/a/config");
    snap.leader_api = NULL;
    assert_int_equal(order_call("PUT", "/config"), 501);
    assert_string_equal(answered.location, "");
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
    assert_true(has("{\"application_name\":\"b\",\"state\":\"streaming\",\"sync_state\":\"async\","
                    "\"flush_lsn\":\"0/0\",\"confirmed\":false}"));
    report.is_sync_known = true;
    report.sync_count = 1;
    report.sync_names.count = 1;
    report.sync_names.names[0] = name("b");
    assert_int_equal(get("GET", "/", ""), 200);
    assert_true(has("\"sync_state\":\"quorum\""));
    snap.order = NULL;
    assert_int_equal(get("GET", "/patroni", ""), 200);
    assert_true(has("\"cluster_unlocked\":true"));
}

static void test_what_is_said_now_and_then(void **state)
{
    static const char *const words[] = {
        "\"pause\":true",
        "\"pending_restart\":true,\"pending_restart_reason\":\"max_connections 60 -> 80\"",
        "\"failsafe_mode_is_active\":true",
        "\"scheduled_restart\":{\"schedule\":\"2024-02-29T23:59:58.000001+00:00\"",
        "\"noloadbalance\":true",
        "\"zone\":\"east\"",
        "\"postmaster_start_time\":\"1970-01-01T00:00:01.000000+00:00\""};
    (void)state;
    node_drained();
    assert_int_equal(get("GET", "/patroni", ""), 200);
    for (size_t i = 0; i < 4; i++) {
        assert_false(has(words[i]));
    }
    order.record.is_paused = report.is_restart_pending = report.is_failsafe = true;
    report.pending_restart = base_text_from(SLICE_LIT("max_connections 60 -> 80"));
    report.zone = name("east");
    seen.root_started_wall_us = 1000000;
    order.record.tasks_count = 1;
    order.record.tasks[0] = (struct msg_task){
        .kind = MSG_TASK_RESTART, .member = report.member, .at_wall_us = INT64_C(1709251198000001)};
    assert_int_equal(get("GET", "/patroni", ""), 200);
    for (size_t i = 0; i < BASE_COUNT_OF(words); i++) {
        assert_true(has(words[i]));
    }
}

static void test_cluster_json(void **state)
{
    (void)state;
    node_replica();
    for (uint8_t i = 0; i < MSG_MEMBERS_MAX; i++) {
        order.members[i] = (struct msg_member){.member = name("b"),
                                               .upstream = name("c"),
                                               .db_port = 5432,
                                               .http_port = 8008,
                                               .timeline = UINT32_MAX,
                                               .lsn = UINT64_MAX,
                                               .is_heard = true,
                                               .is_restart_pending = true};
        memset(order.members[i].host.text, 'x', BASE_TEXT_MAX);
    }
    order.members_count = MSG_MEMBERS_MAX;
    assert_int_equal(get("GET", "/cluster", ""), 200); /* the largest fits */
    assert_true(has("\"role\":\"leader\""));
    snap.order = NULL;
    assert_int_equal(get("GET", "/cluster", ""), 200);
    assert_true(has("{\"members\":[],\"scope\":\"c\"}"));
}

static void test_cluster_tells_lag_and_who_is_down(void **state)
{
    (void)state;
    node_replica();
    order.record.switchover_at_wall_us = INT64_C(951782400000000);
    order.record.switchover_to = name("a");
    order.members_count = 3;
    order.members[0] = (struct msg_member){.member = name("a"),
                                           .db_state = MSG_DB_STANDBY,
                                           .is_receiving = true,
                                           .is_heard = true,
                                           .lsn = UINT64_C(0x16B374D840),
                                           .replay_lsn = UINT64_C(0x16B374D800)};
    order.members[1] = (struct msg_member){.member = name("b"),
                                           .db_state = MSG_DB_PRIMARY,
                                           .is_open = true,
                                           .is_heard = true,
                                           .lsn = UINT64_C(0x16B374D848)};
    order.members[2] =
        (struct msg_member){.member = name("d"), .db_state = MSG_DB_STANDBY, .lsn = 5};
    order.members[2].host = base_text_from(SLICE_LIT("fd00::1"));
    assert_int_equal(get("GET", "/cluster", ""), 200);
    assert_true(has("\"name\":\"a\",\"role\":\"replica\",\"state\":\"streaming\""));
    assert_true(has("\"receive_lsn\":\"16/B374D840\",\"receive_lag\":8,\"replay_lsn\":\"16/"
                    "B374D800\",\"replay_lag\":72,\"lag\":72"));
    assert_true(has("\"open\":true,\"lsn\":\"16/B374D848\""));
    assert_true(has("\"name\":\"d\",\"role\":\"replica\",\"state\":\"down\",\"api_url\":\"http://"
                    "[fd00::1]:0/patroni\""));
    assert_true(has("\"lag\":\"unknown\""));
    assert_true(
        has("\"scheduled_switchover\":{\"at\":\"2000-02-29T00:00:00.000000+00:00\",\"from\":"
            "\"b\",\"to\":\"a\"}"));
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
    order.record.since_wall_us = 1000000;
    agt_http_seen_record(&seen, &order.record);
    assert_int_equal(get("GET", "/history", ""), 200);
    assert_true(has("[[1,777,\"epoch 2\",\"1970-01-01T00:00:01.000000+00:00\",\"b\"]]"));
    assert_int_equal(get("GET", "/config", ""), 200);
    assert_true(has("{\"ttl\":\"2000ms\""));
    assert_true(has("\"sync\":\"on\""));
    agt_http_seen_config(&seen, 3, SLICE_LIT("{\"ttl\":\"5s\"}"));
    assert_int_equal(get("GET", "/config", ""), 200);
    assert_true(has("{\"ttl\":\"5s\"}\n"));
}

static void test_failsafe_names_who_would_be_asked(void **state)
{
    (void)state;
    node_replica();
    order.record.is_failsafe = true;
    order.record.failsafe_members.count = 1;
    order.record.failsafe_members.names[0] = name("b");
    order.members_count = 2;
    order.members[0] = (struct msg_member){.member = name("b"), .http_port = 8008};
    order.members[0].host = base_text_from(SLICE_LIT("h"));
    order.members[1] = (struct msg_member){.member = name("d"), .http_port = 8008};
    assert_int_equal(get("GET", "/failsafe", ""), 200);
    assert_true(has("{\"b\":{\"api_url\":\"http://h:8008/patroni\"}}"));
}

/* Old epochs fall out, later ones are kept once. */
static void test_what_was_seen_is_bounded(void **state)
{
    (void)state;
    node_replica();
    for (uint64_t epoch = 1; epoch <= AGT_HTTP_EPOCHS_MAX + 6; epoch++) {
        order.record.epoch = epoch;
        agt_http_seen_record(&seen, &order.record);
        agt_http_seen_record(&seen, &order.record);
    }
    assert_int_equal(seen.epochs_count, AGT_HTTP_EPOCHS_MAX);
    assert_null(agt_http_seen_epoch(&seen, 6));
    assert_non_null(agt_http_seen_epoch(&seen, 7));
    static const uint8_t bytes[MSG_CONFIG_MAX + 1];
    agt_http_seen_config(&seen, 1,
                         slice_from(bytes, sizeof(bytes))); /* more than can be: not taken */
    assert_int_equal(seen.config_revision, 0);
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
    assert_true(has("\nquorate_lease_left_least_ms{scope=\"c\",name=\"a\"} 0\n"));
    agt_http_seen_pause(&seen, -1);
    agt_http_seen_pause(&seen, 1000);
    agt_http_seen_pause(&seen, 1001);
    agt_http_seen_pause(&seen, 7500000);
    snap.lease_least_us = 1400000;
    assert_int_equal(get("GET", "/metrics", ""), 200);
    assert_true(has("\nquorate_pause_seconds_bucket{scope=\"c\",name=\"a\",le=\"0.001\"} 2\n"));
    assert_true(has("\nquorate_pause_seconds_bucket{scope=\"c\",name=\"a\",le=\"0.002\"} 3\n"));
    assert_true(has("\nquorate_pause_seconds_bucket{scope=\"c\",name=\"a\",le=\"5\"} 3\n"));
    assert_true(has("\nquorate_pause_seconds_bucket{scope=\"c\",name=\"a\",le=\"+Inf\"} 4\n"));
    assert_true(has("\nquorate_pause_seconds_sum{scope=\"c\",name=\"a\"} 7.502001\n"));
    assert_true(has("\nquorate_pause_seconds_count{scope=\"c\",name=\"a\"} 4\n"));
    assert_true(has("\nquorate_lease_left_least_ms{scope=\"c\",name=\"a\"} 1400\n"));
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
    struct agt_http_request request = {.method = SLICE_LIT("GET"), .path = SLICE_LIT("/primary")};
    assert_int_equal(agt_http_answer(&snap, &request, &body).status, 500);
    assert_int_equal(body.len, 0);
}

/* agents/http.md shows the table as it is. */
static void test_the_page_has_the_table(void **state)
{
    (void)state;
    static char page[65536];
    FILE *file = fopen("agents/http.md", "re");
    assert_non_null(file);
    size_t len = fread(page, 1, sizeof(page) - 1, file);
    (void)fclose(file);
    page[len] = '\0';
    body = buf_over(memory, sizeof(memory));
    agt_http_put_table(&body);
    assert_true(buf_terminate(&body));
    if (strstr(page, (const char *)memory) == NULL) {
        fail_msg("agents/http.md lacks this:\n%s", (const char *)memory);
    }
    body = buf_over(memory, sizeof(memory));
    agt_http_put_galera_table(&body);
    assert_true(buf_terminate(&body));
    if (strstr(page, (const char *)memory) == NULL) {
        fail_msg("agents/http.md lacks this:\n%s", (const char *)memory);
    }
    body = buf_over(memory, sizeof(memory));
    agt_http_put_mongodb_table(&body);
    assert_true(buf_terminate(&body));
    if (strstr(page, (const char *)memory) == NULL) {
        fail_msg("agents/http.md lacks this:\n%s", (const char *)memory);
    }
}

static int galera(const char *path, const char *query)
{
    struct agt_http_request request = {
        .method = SLICE_LIT("GET"), .path = slice_from_text(path), .query = slice_from_text(query)};
    body = buf_over(memory, sizeof(memory));
    return agt_http_answer(&snap, &request, &body).status;
}

static struct agt_http_answer mongodb(const char *path, const char *query)
{
    struct agt_http_request request = {
        .method = SLICE_LIT("GET"), .path = slice_from_text(path), .query = slice_from_text(query)};
    body = buf_over(memory, sizeof(memory));
    return agt_http_answer(&snap, &request, &body);
}

static void test_paths_of_a_mongodb_member(void **state)
{
    (void)state;
    node_primary();
    report.mongodb.lag_ms = UINT32_MAX;
    snap.mongodb =
        (struct agt_http_mongodb){.is_mongodb = true, .state = "secondary", .evidence_age_us = -1};
    assert_int_equal(mongodb("/primary", "").status, 503); /* whatever the lease says */
    assert_int_equal(mongodb("/sync", "").status, 404);
    assert_int_equal(mongodb("/status", "").status, 200);
    assert_null(mongodb("/status", "").control);
    assert_int_equal(mongodb("/health", "").status, 503);
    snap.mongodb.is_fresh = snap.mongodb.is_secondary = true;
    assert_int_equal(mongodb("/health", "").status, 200);
    assert_int_equal(mongodb("/secondary", "").status, 200);
    assert_int_equal(mongodb("/replica", "lag=10s").status, 503); /* not known */
    report.mongodb.lag_ms = 9000;
    assert_int_equal(mongodb("/replica", "lag=10s").status, 200);
    assert_int_equal(mongodb("/replica", "lag=9").status, 200);
    assert_int_equal(mongodb("/replica", "lag=8999ms").status, 503);
    assert_int_equal(mongodb("/replica", "maxlag=8").status, 503);
    assert_int_equal(mongodb("/replica", "lag=ten").status, 200);
    assert_int_equal(mongodb("/any", "").status, 200);
    assert_int_equal(mongodb("/arbiter", "").status, 503);
    snap.mongodb.is_secondary = false;
    snap.mongodb.is_primary = snap.mongodb.is_control_lost = true;
    assert_int_equal(mongodb("/writable", "").status, 200);
    assert_string_equal(mongodb("/primary", "").control, "lost");
    assert_string_equal(mongodb("/secondary", "").control, "lost"); /* also with a no */
    assert_int_equal(mongodb("/metrics", "").status, 200);
    assert_non_null(strstr((const char *)memory, "quorate_mongodb_control_lost{"));
    assert_null(strstr((const char *)memory, "quorate_galera_"));
}

static void test_paths_of_a_galera_member(void **state)
{
    (void)state;
    node_primary();
    snap.galera = (struct agt_http_galera){.is_galera = true, .state = "synced"};
    assert_int_equal(galera("/writer", ""), 503);
    assert_int_equal(galera("/primary", ""), 503); /* whatever PostgreSQL's facts say */
    assert_int_equal(galera("/sync", ""), 404);
    assert_int_equal(galera("/status", ""), 200);
    snap.galera.is_writer = true;
    assert_int_equal(galera("/writer", ""), 200);
    assert_int_equal(galera("/any", ""), 200);
    assert_int_equal(galera("/reader", ""), 503);
    snap.galera.is_writer = false;
    snap.galera.is_reader = snap.galera.is_reader_donor = true;
    assert_int_equal(galera("/replica", "lag=16MB"), 200);
    assert_int_equal(galera("/reader", "donor=no"), 503);
    assert_int_equal(galera("/reader", "donor=yes"), 200);
    assert_int_equal(galera("/donor", ""), 503);
    report.galera.state = MSG_GALERA_DONOR;
    assert_int_equal(galera("/donor", ""), 200);
    assert_int_equal(galera("/health", ""), 503);
    snap.galera.is_fresh = true;
    assert_int_equal(galera("/health", ""), 200);
    assert_non_null(strstr((const char *)memory, "\"state\":\"synced\""));
}

int main(void)
{
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_health_checks_row_by_row),
        cmocka_unit_test(test_promoted_and_not_open_yet),
        cmocka_unit_test(test_lag_in_bytes_and_units),
        cmocka_unit_test(test_lag_behind_what_the_holder_has),
        cmocka_unit_test(test_any_of_the_set_or_the_first),
        cmocka_unit_test(test_standby_leader_needs_the_right),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_liveness_needs_a_loop_that_ran),
        cmocka_unit_test(test_only_safe_methods_and_known_paths),
        cmocka_unit_test(test_orders_are_refused_with_the_command),
        cmocka_unit_test(test_orders_are_sent_on_to_the_leader),
        cmocka_unit_test(test_patroni_json),
        cmocka_unit_test(test_what_is_said_now_and_then),
        cmocka_unit_test(test_cluster_json),
        cmocka_unit_test(test_cluster_tells_lag_and_who_is_down),
        cmocka_unit_test(test_history_and_config),
        cmocka_unit_test(test_failsafe_names_who_would_be_asked),
        cmocka_unit_test(test_what_was_seen_is_bounded),
        cmocka_unit_test(test_metrics_are_well_formed),
        cmocka_unit_test(test_body_that_does_not_fit_is_an_error),
        cmocka_unit_test(test_the_page_has_the_table),
        cmocka_unit_test(test_paths_of_a_galera_member),
        cmocka_unit_test(test_paths_of_a_mongodb_member),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
