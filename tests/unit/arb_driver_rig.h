/* SPDX-License-Identifier: Apache-2.0 */
/* One quorum node over the real Raft node, key-value service and a store in memory, with the
 * arbiter's driver on it; members played by the test. For arb_driver_test.c and
 * arb_driver_rows_test.c. */
#ifndef QUORATE_TESTS_UNIT_ARB_DRIVER_RIG_H
#define QUORATE_TESTS_UNIT_ARB_DRIVER_RIG_H

#include "tests/support/cm.h"

#include "arbiter/driver.h"
#include "arbiter/record_json.h"
#include "base/canary.h"
#include "base/name.h"
#include "kv/core/restore.h"
#include "proto/wire/agent.h"
#include "raft/store_mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RIG __attribute__((unused)) static

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
    unsigned configs[8];        /* configuration documents by link, and the last one's revision */
    uint64_t config_revisions[8];
    char config_text[512];
    unsigned fences;
    struct arb_fence_job fence; /* the last one */
} w;

RIG struct base_mono clock_now(void *ctx)
{
    (void)ctx;
    w.now.us++; /* never the same moment twice */
    return w.now;
}

RIG struct base_wall clock_wall(void *ctx)
{
    (void)ctx;
    w.now.us++;
    return (struct base_wall){w.now.us};
}

RIG bool net_send(void *ctx, uint64_t link, struct slice payload)
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
    } else if (payload.data[0] == NET_FRAME_CONFIG) {
        static uint8_t text[MSG_CONFIG_MAX];
        struct msg_config config;
        assert_int_equal(wire_config_decode(slice_skip(payload, 1), text, &config), 0);
        w.configs[link]++;
        w.config_revisions[link] = config.revision;
        (void)snprintf(w.config_text, sizeof(w.config_text), "%.*s", (int)config.text.len,
                       (const char *)config.text.data);
    }
    return true;
}

RIG void on_swapped(void *user, const struct kv_swapped *swapped)
{
    (void)user;
    arb_driver_swapped(w.driver, swapped);
}

RIG void on_restore_known(void *user, uint64_t restore_id)
{
    (void)user;
    arb_driver_set_restore(w.driver, restore_id);
}

RIG void on_role(void *user)
{
    (void)user;
    arb_driver_role_changed(w.driver);
}

RIG void on_fence(void *user, const struct arb_fence_job *job)
{
    (void)user;
    w.fences++;
    w.fence = *job;
}

RIG void on_loaded(void *user, int status)
{
    (void)user;
    assert_int_equal(status, 0);
    arb_driver_records_told(w.driver);
}

RIG void step_disks(void)
{
    for (int i = 0; i < 3; i++) {
        store_mem_step(w.log);
        store_mem_step(w.store);
    }
}

RIG void settle(void)
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

RIG void wait_ms(int64_t ms)
{
    for (int64_t t = 0; t < ms; t += 10) {
        w.now.us += 10 * BASE_US_PER_MS;
        settle();
    }
}

RIG void node_up(void)
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
    struct arb_driver_options ao = {.node = w.node,
                                    .service = w.service,
                                    .net = net,
                                    .clock = clock,
                                    .clusters_max = 2,
                                    .fence = on_fence};
    assert_int_equal(arb_driver_open(&ao, &w.driver), 0);
    arb_driver_records_stale(w.driver);
    raft_node_start(w.node);
    step_disks();
    assert_int_equal(kv_service_load_records(w.service, on_loaded), 0);
    wait_ms(2000);
    assert_true(arb_driver_is_leader(w.driver));
}

RIG void node_down(void)
{
    settle();
    kv_service_close(w.service);
    w.node = raft_node_destroy(w.node);
    w.driver = arb_driver_close(w.driver);
}

RIG int setup(void **state)
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

RIG int teardown(void **state)
{
    (void)state;
    node_down();
    w.log = store_mem_destroy(w.log);
    w.store = store_mem_destroy(w.store);
    return 0;
}

RIG struct base_name name_of(const char *text)
{
    struct base_name name = {{0}};
    assert_int_equal(base_name_from_text(text, &name), 0);
    return name;
}

RIG const struct arb_cluster *cluster(void)
{
    struct base_name name = name_of("main");
    const struct arb_cluster *c = arb_driver_find(w.driver, &name);
    assert_non_null(c);
    return c;
}

RIG struct msg_report report_of(unsigned id)
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

RIG struct msg_report empty_of(unsigned id)
{
    struct msg_report r = report_of(id);
    r.db_state = MSG_DB_EMPTY;
    r.system_id = 0;
    r.position = (struct msg_position){0, 0, 0};
    r.has_seed = true;
    r.epoch_seen = w.orders[id].record.epoch;
    return r;
}

RIG struct msg_report primary_of(unsigned id)
{
    struct msg_report r = report_of(id);
    const struct msg_order *o = &w.orders[id];
    r.db_state = MSG_DB_PRIMARY;
    r.is_open = true;
    r.epoch_held = o->record.epoch;
    r.lease_left_us = BASE_US_PER_S;
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

RIG int send_as(const struct msg_report *report, const struct net_identity *from, uint64_t link)
{
    static uint8_t memory[WIRE_AGENT_BYTES_MAX + 1];
    struct buf b = buf_over(memory, sizeof(memory));
    buf_put_u8(&b, NET_FRAME_REPORT);
    assert_int_equal(wire_report_encode(report, &b), 0);
    return arb_driver_receive(w.driver, link, from, buf_slice(&b));
}

RIG void send(struct msg_report report)
{
    struct net_identity from = {
        .role = NET_ROLE_AGENT, .cluster = report.cluster, .member = report.member};
    assert_int_equal(send_as(&report, &from, (uint64_t)(report.member.text[2] - '0')), 0);
    settle();
}

/* pg1 makes the database, the others follow, the synchronous set grows to ANY 1 of two. */
RIG void build(void)
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

RIG void read_done(struct kv_call *call, enum kv_error error, struct slice response)
{
    struct reader *r = (struct reader *)(void *)call;
    assert_int_equal(error, KV_OK);
    size_t len = response.len < sizeof(r->text) - 1 ? response.len : sizeof(r->text) - 1;
    for (size_t i = 0; i < len; i++) { /* the message's own bytes do not matter here */
        r->text[i] = response.data[i] == 0 ? ' ' : (char)response.data[i];
    }
    r->is_done = true;
}

RIG const char *read_key(const char *key)
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
