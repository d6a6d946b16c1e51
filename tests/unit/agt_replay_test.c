/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of an old order on the wire: a bootstrap that was granted to this member is carried out
 * once, and the very frame that granted it is sent again over a real TLS link, by a node with a
 * right certificate: on the same connection, to the agent's next process, and said anew as a quorum
 * would that was set back. Driver, link and core are the product's; guard, disk and database are
 * kept by hand.
 */
#include <stdlib.h>
#include <string.h>

#include "agents/driver.h"
#include "base/canary.h"
#include "base/name.h"
#include "proto/io/link.h"
#include "tests/unit/io_test_support.h"

#define NODE 1

static const uint8_t uuid[16] = {1, 2, 3};
static const struct net_identity self_node = {.role = NET_ROLE_NODE, .node_id = NODE};
static const struct net_identity self_agent = {
    .role = NET_ROLE_AGENT, .cluster = {"shop"}, .member = {"g1"}};

static struct io_loop *loop;
static struct io_tls *tls_node;
static struct io_tls *tls_agent;
static struct io_links *node_links;
static struct io_links *agent_links;
static struct agt_driver driver;

static struct world {
    bool is_up;      /* the node has the agent's link */
    uint64_t link;   /* its number there */
    bool has_report; /* one came since the flag was taken down */
    struct msg_report report;
    bool has_order; /* one came in at the agent */
    struct guard_status guard;
    struct db_view view;
    bool is_save_due;
    uint8_t disk[AGT_DISK_BYTES_MAX];
    size_t disk_len;
    struct db_order asked; /* NONE: nothing */
    unsigned starts, bootstraps;
} w;

static struct base_name name_of(const char *text)
{
    struct base_name name;
    assert_int_equal(base_name_from_text(text, &name), 0);
    return name;
}

/* --- the node's end --- */

static void node_received(void *ctx, uint64_t link, const struct net_identity *from,
                          struct slice payload)
{
    uint8_t kind = 0;
    (void)ctx;
    assert_int_equal(from->role, NET_ROLE_AGENT);
    w.link = link;
    assert_int_equal(slice_take_u8(&payload, &kind), 0);
    assert_int_equal(kind, NET_FRAME_REPORT);
    assert_int_equal(wire_report_decode(payload, &w.report), 0);
    w.has_report = true;
}

static void node_up(void *ctx, uint64_t link, const struct net_identity *who)
{
    (void)ctx;
    (void)who;
    w.link = link;
    w.is_up = true;
}

static void nothing(void *ctx, uint64_t link, const struct net_identity *who)
{
    (void)ctx;
    (void)link;
    (void)who;
}

static const struct io_link_events node_events = {node_received, node_up, nothing};

/* --- the agent's end --- */

static void agent_received(void *ctx, uint64_t link, const struct net_identity *from,
                           struct slice payload)
{
    (void)ctx;
    (void)link;
    w.has_order = true;
    agt_driver_receive(&driver, from, payload);
}

static void agent_up(void *ctx, uint64_t link, const struct net_identity *who)
{
    (void)ctx;
    (void)link;
    (void)who;
    agt_driver_connected(&driver);
}

static const struct io_link_events agent_events = {agent_received, agent_up, nothing};

static struct base_mono clock_now(void *ctx)
{
    (void)ctx;
    return io_now();
}

static struct base_wall clock_wall(void *ctx)
{
    (void)ctx;
    return (struct base_wall){0};
}

static void guard_start(void *ctx)
{
    (void)ctx;
    w.starts++;
}

static void guard_arm(void *ctx, uint64_t epoch, struct base_mono deadline, int64_t us)
{
    (void)ctx;
    (void)epoch;
    (void)deadline;
    (void)us;
}

static void guard_plain(void *ctx)
{
    (void)ctx;
}

static void guard_number(void *ctx, int number)
{
    (void)ctx;
    (void)number;
}

static void guard_epoch(void *ctx, uint64_t epoch)
{
    (void)ctx;
    (void)epoch;
}

static void db_ordered(void *ctx, const struct db_order *order)
{
    (void)ctx;
    w.asked = *order;
    w.bootstraps +=
        order->kind == DB_ORDER_GALERA_PREPARE && order->galera.mode == DB_GALERA_BOOTSTRAP;
}

static void state_save(void *ctx, struct slice bytes)
{
    (void)ctx;
    assert_true(bytes.len <= sizeof(w.disk));
    memcpy(w.disk, bytes.data, bytes.len);
    w.disk_len = bytes.len;
    w.is_save_due = true;
}

static void wake(void *ctx, struct base_mono at)
{
    (void)ctx;
    (void)at;
}

static void log_line(void *ctx, const char *text)
{
    (void)ctx;
    (void)text;
}

static void agent_begins(uint64_t session)
{
    struct io_why why = {""};
    struct agt_driver_options options = {
        .config = {.engine = MSG_ENGINE_GALERA,
                   .cluster = name_of("shop"),
                   .member = name_of("g1"),
                   .session = session,
                   .has_seed = true,
                   .seed_ttl_ms = 6000,
                   .seed_heartbeat_ms = 100},
        .ports = {.clock = {NULL, clock_now, clock_wall},
                  .guard = {NULL, guard_start, guard_arm, guard_arm, guard_epoch, guard_plain,
                            guard_number, guard_plain, guard_epoch},
                  .db = {.order = db_ordered},
                  .state = {NULL, state_save},
                  .wake = wake,
                  .log = log_line},
        .nodes = {NODE},
        .nodes_count = 1};
    struct io_links_options links = {.self = self_agent, .tls = tls_agent, .events = &agent_events};
    struct io_link_node node = {.node_id = NODE,
                                .address = test_loopback(io_links_port(node_links))};
    if (w.disk_len > 0) {
        assert_int_equal(agt_disk_decode(slice_from(w.disk, w.disk_len), &options.disk), 0);
    }
    w.is_up = false;
    assert_int_equal(io_links_new(loop, &links, &agent_links, &why), 0);
    options.ports.net = io_links_port_of(agent_links);
    assert_int_equal(agt_driver_init(&driver, &options), 0);
    assert_int_equal(io_links_add(agent_links, &node, &why), 0);
    agt_driver_start(&driver);
    run_until(loop, &w.is_up);
}

static void agent_ends(void)
{
    agent_links = io_links_free(agent_links);
}

/* What host and disk have done meanwhile, told to the agent until it wants nothing more. */
static void settle(void)
{
    for (int i = 0; i < 20; i++) {
        if (w.is_save_due) {
            w.is_save_due = false;
            agt_driver_saved(&driver, 0);
        }
        if (w.asked.kind != DB_ORDER_NONE) {
            struct db_done done = {.id = w.asked.id, .kind = w.asked.kind};
            w.asked.kind = DB_ORDER_NONE;
            agt_driver_db_done(&driver, &done);
        }
        w.view.galera.asked_at = io_now();
        w.view.orders_done = driver.agent.ids;
        agt_driver_guard_status(&driver, &w.guard);
        agt_driver_db_view(&driver, &w.view);
    }
}

/* A member that was killed with all others: down, with a proven position. */
static void be_down(void)
{
    w.guard = (struct guard_status){.instance = 77, .starts = w.guard.starts};
    w.view = (struct db_view){.has_directory = true};
    w.view.galera.causal_at = BASE_MONO_LONG_AGO;
    w.view.galera.position.seqno = w.view.galera.saved.seqno = 120;
    memcpy(w.view.galera.position.uuid, uuid, sizeof(uuid));
    memcpy(w.view.galera.saved.uuid, uuid, sizeof(uuid));
    w.view.galera.is_position_recovered = true;
    settle();
}

/* --- orders --- */

static uint64_t reported(void)
{
    w.has_report = false;
    agt_driver_timer(&driver);
    while (!w.has_report) {
        run_for(loop, 20 * BASE_US_PER_MS);
        agt_driver_timer(&driver);
    }
    return w.report.number;
}

/* Answers the agent's latest report; the record is that of a recovery whose grant is g1's. */
static struct msg_order granting(uint64_t epoch)
{
    struct msg_order o = {
        .number = reported(), .term = 3, .galera_goal = MSG_GALERA_GOAL_BOOTSTRAP};
    o.session = w.report.session;
    o.record = (struct msg_record){.cluster = self_agent.cluster,
                                   .engine = MSG_ENGINE_GALERA,
                                   .epoch = epoch,
                                   .revision = 10 * epoch,
                                   .state = MSG_RECORD_RUNNING,
                                   .holder = name_of("g2"),
                                   .ttl_ms = 6000,
                                   .heartbeat_ms = 100};
    struct msg_galera_record *g = &o.record.galera;
    g->generation = 1;
    g->inhibit = 2;
    g->high_water = 120;
    memcpy(g->uuid, uuid, sizeof(uuid));
    g->grant = (struct msg_galera_grant){.generation = 2,
                                         .after = 1,
                                         .node = self_agent.member,
                                         .base = {.seqno = 120},
                                         .state = MSG_GALERA_GRANT_GIVEN};
    memcpy(g->grant.base.uuid, uuid, sizeof(uuid));
    return o;
}

static uint8_t frame_bytes[1 + WIRE_AGENT_BYTES_MAX];

static struct slice frame_of(const struct msg_order *order)
{
    struct buf b = buf_over(frame_bytes, sizeof(frame_bytes));
    buf_put_u8(&b, NET_FRAME_ORDER);
    assert_int_equal(wire_order_encode(order, &b), 0);
    return buf_slice(&b);
}

/* To the agent as it stands on the wire, and until it has it. */
static void send_bytes(struct slice frame)
{
    struct net_port port = io_links_port_of(node_links);
    w.has_order = false;
    assert_true(port.send(port.ctx, w.link, frame));
    run_until(loop, &w.has_order);
    settle();
}

static uint8_t newest_bytes[1 + WIRE_AGENT_BYTES_MAX];
static struct slice newest; /* of epoch 5 ... */
static uint64_t newest_number;

static struct slice keep(struct slice frame, uint8_t *memory)
{
    memcpy(memory, frame.data, frame.len);
    return slice_from(memory, frame.len);
}

/* The grant is carried out: started with it, Primary, and the record goes on in epoch 5. */
static struct slice carried_out(uint8_t *memory)
{
    struct msg_order o = granting(4);
    struct slice old = keep(frame_of(&o), memory);
    send_bytes(old);
    assert_int_equal(w.bootstraps, 1);
    assert_int_equal(w.starts, 1);
    w.guard.tree = GUARD_TREE_RUNNING;
    w.guard.root_pid = 4242;
    w.guard.starts++;
    w.view.is_process = w.view.is_answering = true;
    w.view.galera.is_primary = w.view.galera.is_ready = w.view.galera.is_connected = true;
    w.view.galera.is_evs_operational = w.view.galera.is_read_only = true;
    w.view.galera.local = DB_GALERA_LOCAL_SYNCED;
    memcpy(w.view.galera.uuid, uuid, sizeof(uuid));
    w.view.galera.conf_id = w.view.galera.view.conf_id = 1;
    w.view.galera.view.count = 1;
    w.view.galera.view.nodes[0] = (struct msg_galera_node){self_agent.member, 1};
    settle();
    assert_int_equal(driver.agent.disk.galera.grant_done, 2);
    o = granting(5);
    o.galera_goal = MSG_GALERA_GOAL_JOIN;
    o.record.galera.generation = 2;
    o.record.galera.grant.state = MSG_GALERA_GRANT_DONE;
    newest = keep(frame_of(&o), newest_bytes);
    newest_number = o.number;
    send_bytes(newest);
    assert_int_equal(driver.agent.order.record.epoch, 5);
    return old;
}

static void assert_refused(uint64_t epoch)
{
    assert_int_equal(w.bootstraps, 1); /* each is prepared anew */
    assert_int_equal(driver.agent.disk.epoch_seen, epoch);
    assert_int_equal(driver.agent.disk.galera.generation, 2);
    assert_int_equal(driver.frames_bad, 0); /* it is understood, and not followed */
}

static uint8_t kept[1 + WIRE_AGENT_BYTES_MAX];

static void test_the_frame_of_an_old_grant_again(void **state)
{
    (void)state;
    be_down();
    struct slice old = carried_out(kept);
    send_bytes(old);
    assert_int_equal(driver.agent.order.record.epoch, 5);
    assert_refused(5);
    be_down(); /* where it could be carried out again; it joins, as it was told last */
    send_bytes(old);
    assert_int_equal(driver.agent.order.record.epoch, 5);
    assert_refused(5);
}

static void test_the_frame_of_an_old_grant_to_the_next_process(void **state)
{
    (void)state;
    be_down();
    struct slice old = carried_out(kept);
    agent_ends();
    agent_begins(8);
    be_down();
    while (reported() < newest_number) { /* as many as the one before: its session tells */
    }
    send_bytes(old);
    send_bytes(newest);
    assert_false(driver.agent.has_order);
    assert_refused(5);
}

/* As a quorum says it that was set back: of this process, of its latest report, of a later term. */
static void test_an_old_grant_that_is_said_anew(void **state)
{
    (void)state;
    be_down();
    (void)carried_out(kept);
    agent_ends();
    agent_begins(8);
    be_down();
    struct msg_order o = granting(4);
    o.term = 9;
    send_bytes(frame_of(&o));
    assert_false(driver.agent.has_order);
    assert_refused(5);
    o = granting(6); /* confirmed by an operator: the grant is the one that was done */
    o.term = 9;
    send_bytes(frame_of(&o));
    assert_true(driver.agent.has_order);
    assert_refused(6);
}

static int setup(void **state)
{
    struct io_why why = {""};
    const struct io_address address = test_loopback(0);
    struct io_links_options links = {.self = self_node, .events = &node_events};
    (void)state;
    memset(&w, 0, sizeof(w));
    test_folder_make();
    test_ca_make("ca");
    test_cert_make("ca", "n1", "quorate://node/n1", 5);
    test_cert_make("ca", "g1", "quorate://agent/shop/g1", 5);
    tls_node = test_tls("ca", "n1", IO_TLS_VERIFY_REQUIRED);
    tls_agent = test_tls("ca", "g1", IO_TLS_VERIFY_REQUIRED);
    links.tls = tls_node;
    links.name = name_of("n1");
    links.token = base_text_from(SLICE_LIT("q"));
    assert_int_equal(io_loop_new(&loop), 0);
    assert_int_equal(io_links_new(loop, &links, &node_links, &why), 0);
    assert_int_equal(io_links_listen(node_links, &address, &why), 0);
    agent_begins(7);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    agent_ends();
    node_links = io_links_free(node_links);
    loop = io_loop_free(loop);
    tls_node = io_tls_free(tls_node);
    tls_agent = io_tls_free(tls_agent);
    test_folder_remove();
    return 0;
}

#define REPLAY_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        REPLAY_TEST(test_the_frame_of_an_old_grant_again),
        REPLAY_TEST(test_the_frame_of_an_old_grant_to_the_next_process),
        REPLAY_TEST(test_an_old_grant_that_is_said_anew),
    };
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
