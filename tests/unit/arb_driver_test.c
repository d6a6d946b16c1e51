/* SPDX-License-Identifier: Apache-2.0 */
/* The arbiter's driver over the real Raft node, key-value service and a store in memory: one quorum
 * node, three members played by the test. Bootstrap, failover and switchover as they stand in the
 * log and in the keys that people read; restart from the store; frames that must be refused.
 */
#include "tests/support/cm.h"

#include "arbiter/driver.h"
#include "arbiter/record_json.h"
#include "base/canary.h"
#include "base/name.h"
#include "kv/core/restore.h"
#include "proto/wire/agent.h"
#include "raft/store_mem.h"

#include <stdlib.h>
#include <string.h>

#define SYSTEM UINT64_C(7100000000000000001)
#define NODE 1

static struct world {
    struct base_mono now;
    struct store_mem *log;
    struct store_mem *store;
    struct raft_node *node;
    struct kv_service *service;
    struct arb_driver *driver;
    uint64_t life;
    uint64_t numbers[8];
    struct msg_order orders[8]; /* last one by link */
    unsigned granted[8];        /* orders with a grant by link */
} w;

static struct base_mono clock_now(void *ctx)
{
    (void)ctx;
    w.now.us++; /* never the same moment twice */
    return w.now;
}

static struct base_wall clock_wall(void *ctx)
{
    (void)ctx;
    w.now.us++;
    return (struct base_wall){w.now.us};
}

static bool net_send(void *ctx, uint64_t link, struct slice payload)
{
    (void)ctx;
    if (payload.data[0] == NET_FRAME_ORDER) {
        assert_true(link < BASE_COUNT_OF(w.orders));
        assert_int_equal(wire_order_decode(slice_skip(payload, 1), &w.orders[link]), 0);
        w.granted[link] += w.orders[link].is_granted;
        if (w.orders[link].is_granted) { /* booked when it is sent, not when its turn began */
            const struct arb_cluster *c = arb_driver_find(w.driver, &w.orders[link].record.cluster);
            assert_int_equal(c->granted.us, w.now.us);
        }
    }
    return true;
}

static void on_swapped(void *user, const struct kv_swapped *swapped)
{
    (void)user;
    arb_driver_swapped(w.driver, swapped);
}

static void on_restore_known(void *user, uint64_t restore_id)
{
    (void)user;
    arb_driver_set_restore(w.driver, restore_id);
}

static void on_role(void *user)
{
    (void)user;
    arb_driver_role_changed(w.driver);
}

static void on_loaded(void *user, int status)
{
    (void)user;
    assert_int_equal(status, 0);
    arb_driver_records_told(w.driver);
}

static void step_disks(void)
{
    for (int i = 0; i < 3; i++) {
        store_mem_step(w.log);
        store_mem_step(w.store);
    }
}

static void settle(void)
{
    for (int i = 0; i < 4; i++) {
        step_disks();
        raft_node_tick(w.node);
        kv_service_tick(w.service, w.now);
        step_disks();
        if (!base_mono_before(w.now, arb_driver_deadline(w.driver))) {
            arb_driver_tick(w.driver);
        }
    }
}

static void wait_ms(int64_t ms)
{
    for (int64_t t = 0; t < ms; t += 10) {
        w.now.us += 10 * BASE_US_PER_MS;
        settle();
    }
}

static void node_up(void)
{
    static const struct raft_member members[] = {{.id = NODE}};
    struct clock_port clock = {NULL, clock_now, clock_wall};
    struct net_port net = {NULL, net_send};
    struct kv_service_options ko = {.store = store_mem_port(w.store),
                                    .net = net,
                                    .cluster_id = 9,
                                    .member_id = NODE,
                                    .life = ++w.life,
                                    .quota_bytes = UINT64_C(1) << 28,
                                    .version = SLICE_LIT("3.4.23"),
                                    .swapped = on_swapped,
                                    .restore_known = on_restore_known,
                                    .role_changed = on_role};
    struct raft_node_config rc = {
        .cluster_id = 9, .id = NODE, .members = members, .member_count = 1, .seed = w.life};
    struct raft_node_ports ports = {
        .log = store_mem_port(w.log), .store = ko.store, .net = net, .clock = clock};
    struct raft_machine machine;
    assert_int_equal(kv_service_open(&ko, &w.service), 0);
    kv_service_machine(w.service, &machine);
    assert_int_equal(raft_node_create(&rc, &ports, &machine, &w.node), 0);
    kv_service_set_node(w.service, w.node);
    struct arb_driver_options ao = {
        .node = w.node, .service = w.service, .net = net, .clock = clock, .clusters_max = 2};
    assert_int_equal(arb_driver_open(&ao, &w.driver), 0);
    arb_driver_records_stale(w.driver);
    raft_node_start(w.node);
    step_disks();
    assert_int_equal(kv_service_load_records(w.service, on_loaded), 0);
    wait_ms(2000);
    assert_true(arb_driver_is_leader(w.driver));
}

static void node_down(void)
{
    settle();
    kv_service_close(w.service);
    w.node = raft_node_destroy(w.node);
    w.driver = arb_driver_close(w.driver);
}

static int setup(void **state)
{
    (void)state;
    memset(&w, 0, sizeof(w));
    w.now.us = 1000 * BASE_US_PER_S;
    w.log = store_mem_create();
    w.store = store_mem_create();
    assert_non_null(w.log);
    assert_non_null(w.store);
    node_up();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    node_down();
    w.log = store_mem_destroy(w.log);
    w.store = store_mem_destroy(w.store);
    return 0;
}

static struct base_name name_of(const char *text)
{
    struct base_name name = {{0}};
    assert_int_equal(base_name_from_text(text, &name), 0);
    return name;
}

static const struct arb_cluster *cluster(void)
{
    struct base_name name = name_of("main");
    const struct arb_cluster *c = arb_driver_find(w.driver, &name);
    assert_non_null(c);
    return c;
}

static struct msg_report report_of(unsigned id)
{
    char member[] = "pg0";
    member[2] = (char)('0' + (int)id);
    struct msg_report r = {.cluster = name_of("main"), .member = name_of(member)};
    r.instance = 100 + id;
    r.session = 1000 + id;
    r.number = ++w.numbers[id];
    r.order_term = w.orders[id].term;
    r.order_number = w.orders[id].number;
    r.epoch_seen = w.orders[id].record.epoch;
    r.host = base_text_from(SLICE_LIT("127.0.0.\"1\""));
    r.db_port = 5432;
    r.system_id = SYSTEM;
    r.db_state = MSG_DB_STANDBY;
    r.is_receiving = true;
    r.position = (struct msg_position){r.epoch_seen, (uint32_t)r.epoch_seen, 5000};
    return r;
}

static struct msg_report empty_of(unsigned id)
{
    struct msg_report r = report_of(id);
    r.db_state = MSG_DB_EMPTY;
    r.system_id = 0;
    r.position = (struct msg_position){0, 0, 0};
    r.has_seed = true;
    r.epoch_seen = w.orders[id].record.epoch;
    return r;
}

static struct msg_report primary_of(unsigned id)
{
    struct msg_report r = report_of(id);
    const struct msg_order *o = &w.orders[id];
    r.db_state = MSG_DB_PRIMARY;
    r.is_open = true;
    r.epoch_held = o->record.epoch;
    r.opened_lsn = 4000;
    r.is_sync_known = true;
    r.sync_names = o->has_sync ? o->sync_names : o->record.voters;
    r.sync_count = o->has_sync ? o->sync_count : o->record.votes_needed_r;
    r.is_sync_barrier_passed = true;
    for (unsigned i = 1; i <= 3; i++) {
        if (i != id) {
            r.standbys[r.standbys_count++] =
                (struct msg_standby){report_of(i).member, 5000, true, true};
        }
    }
    return r;
}

static int send_as(const struct msg_report *report, const struct net_identity *from, uint64_t link)
{
    static uint8_t memory[WIRE_AGENT_BYTES_MAX + 1];
    struct buf b = buf_over(memory, sizeof(memory));
    buf_put_u8(&b, NET_FRAME_REPORT);
    assert_int_equal(wire_report_encode(report, &b), 0);
    return arb_driver_receive(w.driver, link, from, buf_slice(&b));
}

static void send(struct msg_report report)
{
    struct net_identity from = {
        .role = NET_ROLE_AGENT, .cluster = report.cluster, .member = report.member};
    assert_int_equal(send_as(&report, &from, (uint64_t)(report.member.text[2] - '0')), 0);
    settle();
}

/* pg1 makes the database, the others follow, the synchronous set grows to ANY 1 of two. */
static void build(void)
{
    for (unsigned i = 0; i < 12; i++) {
        for (unsigned id = 1; id <= 3 && w.orders[1].goal != MSG_GOAL_INIT; id++) {
            send(empty_of(id));
        }
        wait_ms(100);
    }
    assert_int_equal(w.orders[1].goal, MSG_GOAL_INIT);
    struct msg_report made = empty_of(1);
    made.db_state = MSG_DB_STOPPED;
    made.system_id = SYSTEM;
    send(made);
    assert_int_equal(w.orders[1].goal, MSG_GOAL_HOLD);
    for (int i = 0; i < 8; i++) {
        send(report_of(2));
        send(report_of(3));
        send(primary_of(1));
        wait_ms(100);
    }
    assert_int_equal(cluster()->record.votes_needed_r, 1);
    assert_int_equal(cluster()->record.voters.count, 2);
    assert_true(cluster()->record.is_opened);
    assert_true(w.granted[1] > 5);
}

/* Value of a key as a reader of the store sees it. */
struct reader {
    struct kv_call call;
    struct kv_request request;
    char text[8192];
    bool is_done;
};

static void read_done(struct kv_call *call, enum kv_error error, struct slice response)
{
    struct reader *r = (struct reader *)(void *)call;
    assert_int_equal(error, KV_OK);
    size_t len = response.len < sizeof(r->text) - 1 ? response.len : sizeof(r->text) - 1;
    for (size_t i = 0; i < len; i++) { /* the message's own bytes do not matter here */
        r->text[i] = response.data[i] == 0 ? ' ' : (char)response.data[i];
    }
    r->is_done = true;
}

static const char *read_key(const char *key)
{
    static struct reader r;
    memset(&r, 0, sizeof(r));
    r.request.kind = KV_KIND_RANGE;
    r.request.range.key = slice_from_text(key);
    r.call =
        (struct kv_call){.request = &r.request, .deadline = BASE_MONO_NEVER, .done = read_done};
    assert_int_equal(kv_service_submit(w.service, &r.call), KV_OK);
    wait_ms(50);
    assert_true(r.is_done);
    return r.text;
}

static void test_bootstrap_reaches_the_keys_that_people_read(void **state)
{
    (void)state;
    build();
    const char *record = read_key("/quorate/v1/clusters/main/record");
    assert_non_null(strstr(record, "\"holder\":\"pg1\""));
    assert_non_null(strstr(record, "\"system_id\":\"7100000000000000001\""));
    assert_non_null(strstr(record, "\"voters\":[\"pg2\",\"pg3\"]"));
    assert_non_null(
        strstr(read_key("/quorate/v1/clusters/main/history/1"), "\"kind\":\"bootstrap\""));
    assert_non_null(strstr(read_key("/quorate/v1/clusters/main/members/pg1"),
                           "\"host\":\"127.0.0.\\\"1\\\"\""));
}

static void fail_over_to_pg3(void)
{
    struct msg_report back = report_of(1);
    back.db_state = MSG_DB_STOPPED;
    back.epoch_handed_back = 1;
    back.is_tree_gone = true;
    send(back);
    assert_int_equal(w.orders[2].goal, MSG_GOAL_VOTE);
    unsigned granted = w.granted[3];
    for (unsigned id = 2; id <= 3; id++) {
        struct msg_report vote = report_of(id);
        vote.promised = w.orders[id].attempt;
        vote.is_vote_valid = true;
        vote.position.lsn = 5000 + id;
        send(vote);
    }
    assert_int_equal(w.orders[3].goal, MSG_GOAL_HOLD);
    assert_int_equal(w.granted[3], granted + 1); /* with the commit, without another report */
    assert_int_equal(w.orders[2].goal, MSG_GOAL_FOLLOW);
}

static void test_failover_by_handback_and_votes(void **state)
{
    (void)state;
    build();
    fail_over_to_pg3();
    send(primary_of(3));
    assert_true(cluster()->record.is_opened);
    const char *history = read_key("/quorate/v1/clusters/main/history/2");
    assert_non_null(strstr(history, "\"kind\":\"failover\",\"from\":\"pg1\",\"to\":\"pg3\""));
    assert_non_null(strstr(history, "\"reason\":\"handed back\""));
    assert_non_null(strstr(history, "\"verdict\":\"fit\""));
    assert_null(strstr(history, "\"open\":-1"));
}

static void test_switchover_by_request(void **state)
{
    (void)state;
    struct arb_request ask = {.kind = ARB_REQUEST_SWITCHOVER};
    struct base_name name = name_of("main");
    struct base_text text;
    build();
    assert_int_equal(arb_driver_request(w.driver, &name, &ask, &text), 0);
    settle();
    assert_int_equal(w.orders[1].goal, MSG_GOAL_HAND_OVER);
    struct msg_report back = report_of(1);
    back.db_state = MSG_DB_STOPPED;
    back.epoch_handed_back = 1;
    back.is_tree_gone = back.is_handback_clean = true;
    back.handback_lsn = back.position.lsn = 5100;
    send(back);
    struct msg_report t = report_of(2);
    t.position.lsn = 5100;
    send(t);
    assert_int_equal(cluster()->record.epoch, 2);
    assert_int_equal(w.orders[2].goal, MSG_GOAL_HOLD);
    assert_non_null(
        strstr(read_key("/quorate/v1/clusters/main/history/2"), "\"kind\":\"switchover\""));
}

/* The record comes back from the store, and the new life waits for the lease that may be running.
 */
static void test_restart_follows_the_record_and_waits(void **state)
{
    (void)state;
    build();
    fail_over_to_pg3();
    uint64_t revision = cluster()->record.revision;
    node_down();
    node_up();
    assert_int_equal(cluster()->record.epoch, 2);
    assert_true(cluster()->record.revision == revision);
    wait_ms(300);
    struct msg_report r = primary_of(3);
    send(r);
    assert_int_equal(cluster()->record.epoch, 2);
    assert_true(w.orders[3].is_granted);
    wait_ms(1900);
    assert_false(cluster()->is_attempt);
    wait_ms(300);
    assert_true(cluster()->is_attempt);
}

/* An image took the place of the store, and this node leads before it has read the records anew:
 * the one it remembers may have passed. */
static void test_records_that_may_be_old_grant_nothing(void **state)
{
    (void)state;
    build();
    unsigned granted = w.granted[1];
    arb_driver_records_stale(w.driver);
    assert_false(arb_driver_is_leader(w.driver));
    for (int i = 0; i < 5; i++) {
        send(primary_of(1));
        wait_ms(100);
    }
    assert_int_equal(w.granted[1], granted);
    assert_int_equal(kv_service_load_records(w.service, on_loaded), 0);
    settle();
    assert_true(arb_driver_is_leader(w.driver));
    send(primary_of(1));
    assert_true(w.granted[1] > granted);
}

static int write_restore_id(struct store_job *job, struct store_txn *txn)
{
    (void)job;
    return kv_core_restore_id_set(txn, UINT64_C(0xabcdef));
}

static void written(struct store_job *job, int status)
{
    (void)job;
    assert_int_equal(status, 0);
}

/* What a restore tool leaves: the records of the image, and a restore id that they do not have. */
static void restore(void)
{
    static struct store_job job = {.run = write_restore_id, .done = written, .wants_durable = true};
    node_down();
    store_mem_port(w.store).submit(store_mem_port(w.store).ctx, &job);
    step_disks();
    node_up();
}

static void test_a_restored_record_waits_for_an_operator(void **state)
{
    struct arb_request ask = {.kind = ARB_REQUEST_CONFIRM};
    struct base_name name = name_of("main");
    struct base_text text;
    (void)state;
    build();
    fail_over_to_pg3();
    restore();
    unsigned granted = w.granted[3];
    for (int i = 0; i < 20; i++) {
        wait_ms(250);
        send(primary_of(3));
        send(report_of(2));
        send(report_of(1));
    }
    assert_true(arb_is_unconfirmed(cluster()));
    assert_int_equal(w.granted[3], granted);
    assert_int_equal(w.orders[2].goal, MSG_GOAL_NONE);
    assert_int_equal(cluster()->record.epoch, 2);
    assert_int_equal(arb_driver_request(w.driver, &name, &ask, &text), BASE_E_STATE);
    assert_non_null(strstr(text.text, "pg3 still has a database process"));
    struct msg_report back = report_of(3);
    back.db_state = MSG_DB_STOPPED;
    back.epoch_handed_back = 2;
    back.is_tree_gone = true;
    back.position = (struct msg_position){2, 2, 6000};
    send(back);
    assert_int_equal(arb_driver_request(w.driver, &name, &ask, &text), 0);
    settle();
    assert_false(arb_is_unconfirmed(cluster()));
    assert_int_equal(cluster()->record.epoch, 3);
    assert_int_equal(w.granted[3], granted + 1);
    assert_non_null(
        strstr(read_key("/quorate/v1/clusters/main/history/3"), "\"kind\":\"confirmed\""));
    node_down();
    node_up();
    assert_false(arb_is_unconfirmed(cluster()));
}

static void test_frames_that_are_refused(void **state)
{
    (void)state;
    struct msg_report r = report_of(1);
    struct net_identity from = {
        .role = NET_ROLE_AGENT, .cluster = r.cluster, .member = name_of("pg2")};
    assert_int_equal(send_as(&r, &from, 1), BASE_E_DENIED); /* speaks for somebody else */
    from.member = r.member;
    from.role = NET_ROLE_VIEWER;
    assert_int_equal(send_as(&r, &from, 1), BASE_E_DENIED);
    from.role = NET_ROLE_AGENT;
    assert_int_equal(arb_driver_receive(w.driver, 1, &from, SLICE_LIT("\x02\xff\xff\xff")),
                     BASE_E_PROTO);
    assert_int_equal(arb_driver_receive(w.driver, 1, &from, SLICE_EMPTY), BASE_E_PROTO);
    assert_int_equal(send_as(&r, &from, 1), 0);
    r.cluster = from.cluster = name_of("second");
    assert_int_equal(send_as(&r, &from, 1), 0);
    r.cluster = from.cluster = name_of("third");
    assert_int_equal(send_as(&r, &from, 1), BASE_E_TOOBIG);
    struct base_text text;
    struct arb_request ask = {.kind = ARB_REQUEST_SWITCHOVER};
    assert_int_equal(arb_driver_request(w.driver, &from.cluster, &ask, &text), BASE_E_NOTFOUND);
}

static void test_json_is_escaped(void **state)
{
    (void)state;
    uint8_t memory[64];
    struct buf b = buf_over(memory, sizeof(memory));
    arb_json_text(&b, SLICE_LIT("a\"b\\c\n\xc3\x7f"));
    assert_true(slice_equal(buf_slice(&b), SLICE_LIT("\"a\\\"b\\\\c\\u000a\\u00c3\\u007f\"")));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    const struct CMUnitTest tests[] = {
        TEST(test_bootstrap_reaches_the_keys_that_people_read),
        TEST(test_failover_by_handback_and_votes),
        TEST(test_switchover_by_request),
        TEST(test_restart_follows_the_record_and_waits),
        TEST(test_records_that_may_be_old_grant_nothing),
        TEST(test_a_restored_record_waits_for_an_operator),
        TEST(test_frames_that_are_refused),
        cmocka_unit_test(test_json_is_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
