/* SPDX-License-Identifier: Apache-2.0 */
/* Codec of the agent protocol: full round trips, limits, and mutated bytes that must never do harm.
 */
#include "tests/support/cm.h"

#include "base/name.h"
#include "base/rand.h"
#include "proto/wire/agent.h"

#include <string.h>

static struct base_name name_of(const char *text)
{
    struct base_name name = {{0}};
    assert_int_equal(base_name_from_text(text, &name), 0);
    return name;
}

static struct base_name long_name(size_t i)
{
    char text[BASE_NAME_MAX + 1];
    memset(text, 'm', sizeof(text));
    text[0] = (char)('a' + (int)i);
    text[BASE_NAME_MAX] = '\0';
    return name_of(text);
}

static struct base_text long_text(void)
{
    char text[BASE_TEXT_MAX + 1];
    memset(text, 't', sizeof(text));
    text[BASE_TEXT_MAX] = '\0';
    return base_text_from(slice_from_text(text));
}

static void fill_names(struct msg_names *names)
{
    names->count = MSG_MEMBERS_MAX;
    for (size_t i = 0; i < MSG_MEMBERS_MAX; i++) {
        names->names[i] = long_name(i);
    }
}

static struct msg_record full_record(void)
{
    struct msg_record r = {.cluster = long_name(0),
                           .epoch = UINT64_MAX,
                           .revision = UINT64_MAX - 1,
                           .system_id = UINT64_MAX - 2,
                           .state = MSG_RECORD_SWITCHOVER,
                           .holder = long_name(1),
                           .holder_instance = UINT64_MAX - 3,
                           .floor = {UINT64_MAX, UINT32_MAX, UINT64_MAX},
                           .floor_epoch = UINT64_MAX,
                           .timeline = UINT32_MAX,
                           .timeline_highest = UINT32_MAX,
                           .since_wall_us = INT64_MIN,
                           .votes_needed_r = 3,
                           .is_opened = true,
                           .target = long_name(2),
                           .ttl_ms = 2000,
                           .ttl_longest_ms = UINT32_MAX,
                           .heartbeat_ms = 250,
                           .freeze_max_ms = 3000,
                           .sync_mode = MSG_SYNC_ASYNC,
                           .sync_count = 2,
                           .is_sync_strict = true,
                           .maximum_lag_bytes = UINT64_MAX,
                           .restore_id = UINT64_C(0xfedcba9876543210),
                           .on_crash = MSG_ON_CRASH_RESTART,
                           .start_timeout_ms = UINT32_MAX,
                           .failover_interval_ms = 60000,
                           .is_failsafe = true,
                           .fence_mode = MSG_FENCE_REQUIRE,
                           .is_fence_trusted = true,
                           .is_standby_cluster = true,
                           .role_epoch = 12,
                           .config_revision = UINT64_MAX,
                           .is_paused = true,
                           .is_unarmed = true,
                           .fencing_epoch = UINT64_MAX - 4,
                           .switchover_at_wall_us = INT64_MAX,
                           .switchover_to = long_name(3),
                           .tasks_count = MSG_TASKS_MAX};
    fill_names(&r.voters);
    fill_names(&r.drained);
    fill_names(&r.failsafe_members);
    for (size_t i = 0; i < MSG_TASKS_MAX; i++) {
        r.tasks[i] =
            (struct msg_task){UINT64_MAX, MSG_TASK_REINIT, long_name(i), i % 2 == 0, INT64_MAX};
    }
    return r;
}

static struct msg_galera_view full_view(void)
{
    struct msg_galera_view view = {.conf_id = UINT64_MAX, .count = MSG_GALERA_NODES_MAX};
    for (size_t i = 0; i < MSG_GALERA_NODES_MAX; i++) {
        view.nodes[i] = (struct msg_galera_node){long_name(i), (uint8_t)(UINT8_MAX - i)};
    }
    return view;
}

static const struct msg_galera_position full_place = {{1, 2, 3, [15] = 255}, INT64_MAX};

static struct msg_record full_galera_record(void)
{
    struct msg_record r = full_record();
    struct msg_galera_view view = full_view();
    r.engine = MSG_ENGINE_GALERA;
    r.galera = (struct msg_galera_record){.uuid = {9, [15] = 8},
                                          .generation = UINT64_MAX,
                                          .high_water = -1,
                                          .view = view,
                                          .grant = {UINT64_MAX, UINT64_MAX - 1, long_name(1), true,
                                                    true, full_place, 7, MSG_GALERA_GRANT_FAILED},
                                          .inhibit = UINT64_MAX,
                                          .sst_joiner = long_name(2),
                                          .sst_donor = long_name(5),
                                          .restarting = long_name(3),
                                          .arbitrator = long_name(4),
                                          .is_fast_takeover = true,
                                          .is_reader_kept = true,
                                          .recovery_wait_us = -1};
    r.galera.weights.count = view.count;
    memcpy(r.galera.weights.nodes, view.nodes, sizeof(view.nodes));
    return r;
}

static struct msg_galera_report full_galera_report(void)
{
    return (struct msg_galera_report){.state = MSG_GALERA_STARTING,
                                      .position = full_place,
                                      .is_unreadable = true,
                                      .is_position_recovered = true,
                                      .generation = UINT64_MAX,
                                      .inhibited = UINT64_MAX - 1,
                                      .is_fenced = true,
                                      .is_primary = true,
                                      .view = full_view(),
                                      .is_left = true,
                                      .is_safe_to_bootstrap = true,
                                      .is_read_only = true,
                                      .is_rejecting = true,
                                      .is_desynced = true,
                                      .is_flow_paused = true,
                                      .is_causal = true,
                                      .size = UINT8_MAX,
                                      .weight = UINT8_MAX,
                                      .recv_queue = UINT32_MAX,
                                      .stalled_ms = UINT32_MAX,
                                      .data_bytes = UINT64_MAX,
                                      .grant_generation = UINT64_MAX,
                                      .grant_status = INT32_MIN,
                                      .is_sst_failed = true,
                                      .donor = long_name(6),
                                      .seed_members = UINT8_MAX};
}

static struct msg_mongodb_host long_host(void)
{
    struct msg_mongodb_host host;
    memset(host.text, 'h', MSG_MONGODB_HOST_MAX);
    host.text[MSG_MONGODB_HOST_MAX] = '\0';
    return host;
}

static void fill_hosts(struct msg_mongodb_hosts *hosts)
{
    hosts->count = MSG_MONGODB_PEERS_MAX;
    for (size_t i = 0; i < MSG_MONGODB_PEERS_MAX; i++) {
        hosts->list[i] = long_host();
    }
}

static struct msg_record full_mongodb_record(void)
{
    struct msg_record r = full_record();
    struct msg_mongodb_record *m = &r.mongodb;
    r.engine = MSG_ENGINE_MONGODB;
    *m = (struct msg_mongodb_record){.set_name = long_name(0),
                                     .set_id = {1, [11] = 255},
                                     .is_initiated = true,
                                     .primary = long_name(1),
                                     .primary_term = UINT64_MAX,
                                     .config = {5, UINT64_MAX},
                                     .barred_epoch = 7,
                                     .moved_wall_us = INT64_MIN,
                                     .places_count = MSG_MEMBERS_MAX};
    m->order = (struct msg_mongodb_order){.epoch = 9,
                                          .kind = MSG_MONGODB_ORDER_TIMEOUTS,
                                          .state = MSG_MONGODB_ORDER_FAILED,
                                          .phase = MSG_MONGODB_PHASE_UNFREEZE,
                                          .member = long_name(2),
                                          .subject = long_name(3),
                                          .subject_host = long_host(),
                                          .priority_x10 = UINT16_MAX,
                                          .votes = 1,
                                          .is_arbiter = true,
                                          .expected_term = 3,
                                          .expected_config = {4, 5},
                                          .limit_ms = UINT32_MAX,
                                          .election_timeout_ms = 6,
                                          .status = INT32_MIN,
                                          .code = -7};
    m->force = (struct msg_mongodb_force){.token = UINT64_MAX,
                                          .given_epoch = 1,
                                          .config = {2, 3},
                                          .freshest = long_name(4),
                                          .done_epoch = 5};
    m->policy = (struct msg_mongodb_policy){.cut_off = MSG_MONGODB_CUT_OFF_KILL,
                                            .gray = MSG_MONGODB_GRAY_KILL,
                                            .is_degrade_auto = true,
                                            .is_resync_auto = true,
                                            .is_steered = true,
                                            .zone = long_name(5),
                                            .election_timeout_ms = UINT32_MAX};
    fill_names(&m->force.survivors);
    fill_names(&m->force.lost);
    fill_names(&m->degraded);
    fill_names(&m->barred);
    fill_names(&m->leaving);
    fill_hosts(&m->force.strangers);
    fill_hosts(&m->barred_hosts);
    for (size_t i = 0; i < MSG_MEMBERS_MAX; i++) {
        m->places[i] = (struct msg_mongodb_place){long_name(i), long_host()};
    }
    return r;
}

static struct msg_mongodb_report full_mongodb_report(void)
{
    struct msg_mongodb_report r = {.state = MSG_MONGODB_HELD,
                                   .is_arbiter = true,
                                   .is_adopted = true,
                                   .has_data = true,
                                   .is_login_refused = true,
                                   .is_set_name_wrong = true,
                                   .hello_age_ms = UINT32_MAX,
                                   .is_writable = true,
                                   .is_secondary = true,
                                   .term = 3,
                                   .self = long_host(),
                                   .primary = long_host(),
                                   .process_id = {7, [11] = 9},
                                   .wire_version = UINT16_MAX,
                                   .set_id = {1, 2},
                                   .config = {1, 2},
                                   .is_config_known = true,
                                   .is_config_committed = true,
                                   .status_age_ms = 4,
                                   .majority = UINT8_MAX,
                                   .live_voters = 7,
                                   .election_timeout_ms = 10000,
                                   .heartbeat_ms = 2000,
                                   .applied = {3, UINT64_MAX},
                                   .committed = {3, 4},
                                   .lag_ms = UINT32_MAX,
                                   .commit_age_ms = 5,
                                   .canary_ms = 6,
                                   .oplog_s = 7,
                                   .data_bytes = UINT64_MAX,
                                   .sync_permille = 1000,
                                   .cache_dirty_permille = 999,
                                   .rollbacks = 8,
                                   .concern = MSG_MONGODB_CONCERN_SET_OTHER,
                                   .peers_count = MSG_MONGODB_PEERS_MAX,
                                   .order_epoch = 9,
                                   .order_phase = MSG_MONGODB_PHASE_UNFREEZE,
                                   .is_order_done = true,
                                   .order_status = INT32_MIN,
                                   .order_code = 10107,
                                   .is_frozen = true,
                                   .barred_epoch = 11,
                                   .set_name = long_name(6),
                                   .seed_members = UINT8_MAX,
                                   .priority = 1000};
    for (size_t i = 0; i < MSG_MONGODB_PEERS_MAX; i++) {
        r.peers[i] = (struct msg_mongodb_peer){.id = (uint32_t)i,
                                               .host = long_host(),
                                               .votes = 1,
                                               .priority_x10 = 10000,
                                               .is_arbiter = true,
                                               .is_hidden = true,
                                               .is_newly_added = true,
                                               .is_self = true,
                                               .is_healthy = true,
                                               .state = 10,
                                               .heard_ms = UINT32_MAX,
                                               .ping_ms = 3,
                                               .optime = {3, UINT64_MAX}};
    }
    return r;
}

static struct msg_report full_report(void)
{
    struct msg_report r = {0};
    r.cluster = long_name(0);
    r.member = long_name(1);
    r.instance = 1;
    r.session = UINT64_MAX;
    r.number = 3;
    r.order_term = 4;
    r.order_number = 5;
    r.host = long_text();
    r.db_port = UINT16_MAX;
    r.http_port = 8008;
    r.epoch_seen = 6;
    r.epoch_held = 7;
    r.epoch_handed_back = 8;
    r.is_handback_clean = true;
    r.handback_lsn = 9;
    r.lease_left_us = -10;
    r.is_tree_gone = true;
    r.db_state = MSG_DB_FAILED;
    r.system_id = 11;
    r.position = (struct msg_position){12, 13, 14};
    r.timeline_highest = 15;
    r.replay_lsn = 16;
    r.is_open = r.is_receiving = r.is_rejoin_needed = true;
    r.opened_lsn = 17;
    r.promised = (struct msg_attempt){18, 19};
    r.is_vote_valid = r.is_sync_known = true;
    fill_names(&r.sync_names);
    r.sync_count = MSG_MEMBERS_MAX;
    r.is_sync_barrier_passed = true;
    r.standbys_count = MSG_MEMBERS_MAX;
    for (size_t i = 0; i < MSG_MEMBERS_MAX; i++) {
        r.standbys[i] = (struct msg_standby){long_name(i), UINT64_MAX, true, true};
    }
    r.is_nofailover = r.is_nosync = true;
    r.priority = UINT8_MAX;
    r.pause_worst_us = 20;
    r.note = long_text();
    r.has_seed = r.seed_sync_strict = true;
    r.seed_ttl_ms = 21;
    r.seed_heartbeat_ms = 22;
    r.seed_freeze_max_ms = 23;
    r.seed_failover_interval_ms = UINT32_MAX;
    r.seed_sync_mode = MSG_SYNC_FIRST;
    r.is_noloadbalance = r.is_clonefrom = r.is_restart_pending = r.is_paused = true;
    r.is_adopted = r.is_write_failing = r.is_watchdog_fed = r.is_failsafe = true;
    r.ttl_least_ms = 23000;
    r.is_end_unread = true;
    r.zone = long_name(4);
    r.replicatefrom = long_name(5);
    r.upstream = long_name(6);
    r.config_revision = UINT64_MAX;
    r.db_version = 150004;
    r.connections = 90;
    r.connections_max = UINT32_MAX;
    r.disk_free_bytes = UINT64_MAX;
    r.task_id = UINT64_MAX;
    r.task_status = INT32_MIN;
    r.work_done_bytes = 1;
    r.work_total_bytes = UINT64_MAX;
    r.pending_restart = r.note;
    fill_names(&r.failsafe_members);
    return r;
}

static struct msg_order full_order(void)
{
    struct msg_order o = {0};
    o.session = 1;
    o.number = 2;
    o.term = 3;
    o.record = full_record();
    o.goal = MSG_GOAL_REFUSED;
    o.reason = long_text();
    o.is_granted = true;
    o.granted_epoch = 4;
    o.ttl_us = 2000000;
    o.attempt = (struct msg_attempt){5, 6};
    o.has_sync = true;
    fill_names(&o.sync_names);
    o.sync_count = 2;
    o.ended = (struct msg_attempt){7, 8};
    o.members_count = MSG_MEMBERS_MAX;
    for (size_t i = 0; i < MSG_MEMBERS_MAX; i++) {
        o.members[i] = (struct msg_member){.member = long_name(i),
                                           .host = long_text(),
                                           .db_port = 5432,
                                           .http_port = 8008,
                                           .db_state = MSG_DB_FAILED,
                                           .is_open = true,
                                           .is_clonefrom = true,
                                           .is_heard = true,
                                           .timeline = UINT32_MAX,
                                           .lsn = UINT64_MAX,
                                           .replay_lsn = UINT64_MAX,
                                           .is_receiving = true,
                                           .upstream = long_name(i),
                                           .is_nofailover = true,
                                           .is_nosync = true,
                                           .is_noloadbalance = true,
                                           .priority = UINT8_MAX,
                                           .is_restart_pending = true};
    }
    return o;
}

static uint8_t memory[WIRE_AGENT_BYTES_MAX];
static uint8_t memory_again[WIRE_AGENT_BYTES_MAX];

/* Padding bytes of the structs do not matter: what was decoded must encode to the same bytes. */
static void test_full_record_round_trip(void **state)
{
    (void)state;
    struct msg_record in = full_record();
    struct msg_record out;
    struct buf b = buf_over(memory, sizeof(memory));
    struct buf again = buf_over(memory_again, sizeof(memory_again));
    assert_int_equal(wire_record_encode(&in, &b), 0);
    assert_int_equal(wire_record_decode(buf_slice(&b), &out), 0);
    assert_int_equal(wire_record_encode(&out, &again), 0);
    assert_true(slice_equal(buf_slice(&b), buf_slice(&again)));
    assert_true(out.epoch == in.epoch && out.floor.lsn == in.floor.lsn);
    assert_true(out.floor_epoch == in.floor_epoch && out.maximum_lag_bytes == in.maximum_lag_bytes);
    assert_true(out.restore_id == in.restore_id);
    assert_true(out.config_revision == in.config_revision && out.is_paused && out.is_failsafe);
    assert_true(out.tasks[7].id == UINT64_MAX && out.tasks[7].kind == MSG_TASK_REINIT);
    assert_true(out.fence_mode == MSG_FENCE_REQUIRE && out.on_crash == MSG_ON_CRASH_RESTART);
    assert_int_equal(out.voters.count, MSG_MEMBERS_MAX);
    assert_true(base_name_equal(&out.target, &in.target));
}

static void test_full_report_round_trip(void **state)
{
    (void)state;
    struct msg_report in = full_report();
    struct msg_report out;
    struct buf b = buf_over(memory, sizeof(memory));
    struct buf again = buf_over(memory_again, sizeof(memory_again));
    assert_int_equal(wire_report_encode(&in, &b), 0);
    assert_int_equal(wire_report_decode(buf_slice(&b), &out), 0);
    assert_int_equal(wire_report_encode(&out, &again), 0);
    assert_true(slice_equal(buf_slice(&b), buf_slice(&again)));
    assert_true(out.epoch_handed_back == 8 && out.handback_lsn == 9 && out.lease_left_us == -10);
    assert_true(out.position.lineage == 12 && out.promised.number == 19 && out.order_number == 5);
    assert_true(out.standbys[15].is_confirmed && out.seed_sync_strict && out.is_tree_gone);
}

static void test_full_order_round_trip(void **state)
{
    (void)state;
    struct msg_order in = full_order();
    struct msg_order out;
    struct buf b = buf_over(memory, sizeof(memory));
    struct buf again = buf_over(memory_again, sizeof(memory_again));
    assert_int_equal(wire_order_encode(&in, &b), 0);
    assert_int_equal(wire_order_decode(buf_slice(&b), &out), 0);
    assert_int_equal(wire_order_encode(&out, &again), 0);
    assert_true(slice_equal(buf_slice(&b), buf_slice(&again)));
    assert_true(out.is_granted && out.granted_epoch == 4 && out.ttl_us == 2000000);
    assert_true(out.ended.number == 8 && out.attempt.term == 5 &&
                out.record.revision == UINT64_MAX - 1);
    assert_true(out.members[15].is_open && out.members_count == MSG_MEMBERS_MAX);
}

static bool is_same_place(const struct msg_galera_position *a, const struct msg_galera_position *b)
{
    return memcmp(a->uuid, b->uuid, sizeof(a->uuid)) == 0 && a->seqno == b->seqno;
}

static void test_galera_record_round_trip(void **state)
{
    (void)state;
    struct msg_order in = full_order();
    struct msg_order out;
    struct buf b = buf_over(memory, sizeof(memory));
    struct buf again = buf_over(memory_again, sizeof(memory_again));
    in.record = full_galera_record();
    in.galera_goal = MSG_GALERA_GOAL_RESTART;
    in.galera_weight = 2;
    in.members[15].galera_state = MSG_GALERA_STARTING;
    assert_int_equal(wire_order_encode(&in, &b), 0);
    assert_int_equal(wire_order_decode(buf_slice(&b), &out), 0);
    assert_int_equal(wire_order_encode(&out, &again), 0);
    assert_true(slice_equal(buf_slice(&b), buf_slice(&again)));
    const struct msg_galera_record *g = &out.record.galera;
    assert_true(out.record.engine == MSG_ENGINE_GALERA && g->generation == UINT64_MAX);
    assert_true(g->high_water == -1 && g->recovery_wait_us == -1 && g->is_fast_takeover);
    assert_true(g->is_reader_kept);
    assert_true(g->view.count == MSG_GALERA_NODES_MAX && g->weights.nodes[16].weight == 239);
    assert_true(is_same_place(&g->grant.base, &full_place) && g->grant.is_live);
    assert_true(g->grant.state == MSG_GALERA_GRANT_FAILED && g->grant.conf_id == 7);
    assert_true(out.galera_goal == MSG_GALERA_GOAL_RESTART && out.galera_weight == 2);
    assert_true(out.members[15].galera_state == MSG_GALERA_STARTING);
}

static void test_galera_report_round_trip(void **state)
{
    (void)state;
    struct msg_report in = full_report();
    struct msg_report out;
    struct buf b = buf_over(memory, sizeof(memory));
    struct buf again = buf_over(memory_again, sizeof(memory_again));
    in.engine = MSG_ENGINE_GALERA;
    in.galera = full_galera_report();
    assert_int_equal(wire_report_encode(&in, &b), 0);
    assert_int_equal(wire_report_decode(buf_slice(&b), &out), 0);
    assert_int_equal(wire_report_encode(&out, &again), 0);
    assert_true(slice_equal(buf_slice(&b), buf_slice(&again)));
    assert_true(is_same_place(&out.galera.position, &full_place) && out.galera.is_left);
    assert_true(out.galera.grant_status == INT32_MIN && out.galera.seed_members == UINT8_MAX);
    assert_true(out.galera.is_unreadable);
    in.galera.view.nodes[4] = in.galera.view.nodes[3]; /* none twice */
    buf_reset(&b);
    assert_int_equal(wire_report_encode(&in, &b), 0);
    assert_int_equal(wire_report_decode(buf_slice(&b), &out), BASE_E_PROTO);
    in.galera = full_galera_report();
    in.galera.position.seqno = -2;
    buf_reset(&b);
    assert_int_equal(wire_report_encode(&in, &b), 0);
    assert_int_equal(wire_report_decode(buf_slice(&b), &out), BASE_E_PROTO);
}

static void test_mongodb_record_round_trip(void **state)
{
    (void)state;
    struct msg_order in = full_order();
    struct msg_order out;
    struct buf b = buf_over(memory, sizeof(memory));
    struct buf again = buf_over(memory_again, sizeof(memory_again));
    in.record = full_mongodb_record();
    in.mongodb = (struct msg_mongodb_wish){MSG_MONGODB_GOAL_HOLD, UINT32_MAX, true};
    in.members[15].mongodb_state = MSG_MONGODB_HELD;
    assert_int_equal(wire_order_encode(&in, &b), 0);
    assert_int_equal(wire_order_decode(buf_slice(&b), &out), 0);
    assert_int_equal(wire_order_encode(&out, &again), 0);
    assert_true(slice_equal(buf_slice(&b), buf_slice(&again)));
    assert_memory_equal(&in.record.mongodb, &out.record.mongodb, sizeof(in.record.mongodb));
    assert_memory_equal(&in.mongodb, &out.mongodb, sizeof(in.mongodb));
    assert_int_equal(out.members[15].mongodb_state, MSG_MONGODB_HELD);
    in.record.mongodb.places[4] = in.record.mongodb.places[3]; /* none twice */
    buf_reset(&b);
    assert_int_equal(wire_order_encode(&in, &b), 0);
    assert_int_equal(wire_order_decode(buf_slice(&b), &out), BASE_E_PROTO);
    in.record = full_mongodb_record();
    in.record.mongodb.order.kind = MSG_MONGODB_ORDER_COUNT;
    buf_reset(&b);
    assert_int_equal(wire_order_encode(&in, &b), 0);
    assert_int_equal(wire_order_decode(buf_slice(&b), &out), BASE_E_PROTO);
    in.record = full_mongodb_record();
    in.record.mongodb.places_count = MSG_MEMBERS_MAX + 1;
    buf_reset(&b);
    assert_int_equal(wire_order_encode(&in, &b), BASE_E_INVALID);
}

/* Before there is a record a member is told to run all the same. */
static void test_a_wish_needs_no_record(void **state)
{
    (void)state;
    struct msg_order in = {.session = 1, .number = 2, .term = 3};
    struct msg_order out;
    struct buf b = buf_over(memory, sizeof(memory));
    in.mongodb.goal = MSG_MONGODB_GOAL_RUN;
    assert_int_equal(wire_order_encode(&in, &b), 0);
    assert_int_equal(wire_order_decode(buf_slice(&b), &out), 0);
    assert_int_equal(out.mongodb.goal, MSG_MONGODB_GOAL_RUN);
}

static void refuse_mongodb_report(const struct msg_report *in)
{
    struct msg_report out;
    struct buf b = buf_over(memory, sizeof(memory));
    assert_int_equal(wire_report_encode(in, &b), 0);
    assert_int_equal(wire_report_decode(buf_slice(&b), &out), BASE_E_PROTO);
}

static void test_mongodb_report_round_trip(void **state)
{
    (void)state;
    struct msg_report in = full_report();
    struct msg_report out;
    struct buf b = buf_over(memory, sizeof(memory));
    in.engine = MSG_ENGINE_MONGODB;
    in.mongodb = full_mongodb_report();
    assert_int_equal(wire_report_encode(&in, &b), 0);
    assert_int_equal(wire_report_decode(buf_slice(&b), &out), 0);
    assert_memory_equal(&in.mongodb, &out.mongodb, sizeof(in.mongodb));
    in.mongodb.peers[4].id = in.mongodb.peers[3].id; /* by id, none twice */
    refuse_mongodb_report(&in);
    in.mongodb = full_mongodb_report();
    in.mongodb.peers[4].state = 11;
    refuse_mongodb_report(&in);
    in.mongodb = full_mongodb_report();
    in.mongodb.self.text[3] = ' '; /* it goes into commands and pages */
    refuse_mongodb_report(&in);
    in.mongodb = full_mongodb_report();
    in.mongodb.state = MSG_MONGODB_STATE_COUNT;
    refuse_mongodb_report(&in);
    in.mongodb = full_mongodb_report();
    in.engine = MSG_ENGINE_GALERA; /* what another engine says of it is not written */
    buf_reset(&b);
    assert_int_equal(wire_report_encode(&in, &b), 0);
    assert_int_equal(wire_report_decode(buf_slice(&b), &out), 0);
    assert_int_equal(out.mongodb.peers_count, 0);
}

/* What another engine says of Galera is not written, and not read. */
static void test_an_engine_says_its_own_alone(void **state)
{
    (void)state;
    struct msg_record in = full_record();
    struct msg_record out;
    struct buf b = buf_over(memory, sizeof(memory));
    struct buf plain = buf_over(memory_again, sizeof(memory_again));
    assert_int_equal(wire_record_encode(&in, &plain), 0);
    in.galera = full_galera_record().galera;
    assert_int_equal(wire_record_encode(&in, &b), 0);
    assert_true(slice_equal(buf_slice(&b), buf_slice(&plain)));
    assert_int_equal(wire_record_decode(buf_slice(&b), &out), 0);
    assert_true(out.engine == MSG_ENGINE_POSTGRESQL && out.galera.generation == 0);
}

static void test_empty_record_and_report(void **state)
{
    (void)state;
    struct msg_record record = {0};
    struct msg_report report = {.cluster = name_of("c"), .member = name_of("m")};
    struct msg_report nameless = {0};
    struct buf b = buf_over(memory, sizeof(memory));
    assert_int_equal(wire_record_encode(&record, &b), 0);
    assert_int_equal(wire_record_decode(buf_slice(&b), &record), 0);
    buf_reset(&b);
    assert_int_equal(wire_report_encode(&report, &b), 0);
    assert_int_equal(wire_report_decode(buf_slice(&b), &report), 0);
    buf_reset(&b);
    assert_int_equal(wire_report_encode(&nameless, &b), 0);
    assert_int_equal(wire_report_decode(buf_slice(&b), &report), BASE_E_PROTO);
}

static void test_no_room_leaves_the_buffer(void **state)
{
    (void)state;
    struct msg_order order = full_order();
    struct buf b = buf_over(memory, 100);
    assert_int_equal(wire_order_encode(&order, &b), BASE_E_TOOBIG);
    assert_int_equal(b.len, 0);
}

static void test_wrong_fields_are_refused(void **state)
{
    (void)state;
    struct msg_report report = full_report();
    struct msg_order order = full_order();
    struct msg_report kept = full_report();
    struct buf b = buf_over(memory, sizeof(memory));
    report.sync_names.names[3] = report.sync_names.names[2];
    assert_int_equal(wire_report_encode(&report, &b), 0);
    assert_int_equal(wire_report_decode(buf_slice(&b), &kept), BASE_E_PROTO);
    assert_true(kept.number == 3);
    report = full_report();
    report.db_state = (enum msg_db_state)11;
    buf_reset(&b);
    assert_int_equal(wire_report_encode(&report, &b), 0);
    assert_int_equal(wire_report_decode(buf_slice(&b), &kept), BASE_E_PROTO);
    order.goal = (enum msg_goal)7;
    buf_reset(&b);
    assert_int_equal(wire_order_encode(&order, &b), 0);
    assert_int_equal(wire_order_decode(buf_slice(&b), &order), BASE_E_PROTO);
    report = full_report();
    report.standbys_count = MSG_MEMBERS_MAX + 1;
    assert_int_equal(wire_report_encode(&report, &b), BASE_E_INVALID);
}

static void decode_any(struct slice bytes)
{
    static struct msg_report report;
    static struct msg_order order;
    static struct msg_record record;
    int rc[3] = {wire_report_decode(bytes, &report), wire_order_decode(bytes, &order),
                 wire_record_decode(bytes, &record)};
    for (size_t i = 0; i < BASE_COUNT_OF(rc); i++) {
        assert_true(rc[i] == 0 || rc[i] == BASE_E_PROTO);
    }
    if (rc[0] == 0) {
        assert_true(report.standbys_count <= MSG_MEMBERS_MAX && report.db_state <= MSG_DB_FAILED);
    }
}

static void test_mutated_bytes_never_harm(void **state)
{
    (void)state;
    struct base_rand r = base_rand_make(7, 1);
    struct msg_report report = full_report();
    struct msg_order order = full_order();
    struct buf a = buf_over(memory, sizeof(memory));
    struct buf b = buf_over(memory_again, sizeof(memory_again));
    static uint8_t work[WIRE_AGENT_BYTES_MAX];
    assert_int_equal(wire_report_encode(&report, &a), 0);
    assert_int_equal(wire_order_encode(&order, &b), 0);
    for (int round = 0; round < 4000; round++) {
        const struct buf *from = round % 2 == 0 ? &a : &b;
        size_t len = (size_t)base_rand_between(&r, 0, from->len);
        memcpy(work, from->data, len);
        for (uint64_t n = base_rand_between(&r, 0, 4); n > 0 && len > 0; n--) {
            work[base_rand_between(&r, 0, len - 1)] = (uint8_t)base_rand_next(&r);
        }
        decode_any(slice_from(work, len));
    }
}

/* Two bytes of input can ask for a whole struct: the arena must refuse, not the heap give. */
static void test_flood_of_empty_parts_is_refused(void **state)
{
    (void)state;
    static uint8_t flood[WIRE_AGENT_BYTES_MAX];
    struct msg_order order;
    for (size_t i = 0; i + 1 < sizeof(flood); i += 2) {
        flood[i] = 15 << 3 | 2; /* field members, length-delimited */
        flood[i + 1] = 0;
    }
    assert_int_equal(wire_order_decode(slice_from(flood, sizeof(flood)), &order), BASE_E_PROTO);
}

static void test_config_round_trip(void **state)
{
    (void)state;
    static uint8_t text[MSG_CONFIG_MAX + 1];
    static uint8_t copy[MSG_CONFIG_MAX];
    memset(text, 'x', sizeof(text));
    struct msg_config in = {long_name(0), 1, 2, slice_from(text, MSG_CONFIG_MAX)};
    struct msg_config out;
    struct buf b = buf_over(memory, sizeof(memory));
    assert_int_equal(wire_config_encode(&in, &b), 0);
    assert_int_equal(wire_config_decode(buf_slice(&b), copy, &out), 0);
    assert_true(out.term == 1 && out.revision == 2 && slice_equal(in.text, out.text));
    assert_true(base_name_equal(&out.cluster, &in.cluster));
    assert_int_equal(wire_config_decode(slice_from(memory, 20), copy, &out), BASE_E_PROTO);
    in.text.len++;
    assert_int_equal(wire_config_encode(&in, &b), BASE_E_INVALID);
    in = (struct msg_config){long_name(0), 1, 0, SLICE_LIT("{}")};
    b = buf_over(memory, sizeof(memory));
    assert_int_equal(wire_config_encode(&in, &b), 0);
    assert_int_equal(wire_config_decode(buf_slice(&b), copy, &out), BASE_E_PROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_record_round_trip),
        cmocka_unit_test(test_full_report_round_trip),
        cmocka_unit_test(test_full_order_round_trip),
        cmocka_unit_test(test_config_round_trip),
        cmocka_unit_test(test_galera_record_round_trip),
        cmocka_unit_test(test_galera_report_round_trip),
        cmocka_unit_test(test_mongodb_record_round_trip),
        cmocka_unit_test(test_mongodb_report_round_trip),
        cmocka_unit_test(test_a_wish_needs_no_record),
        cmocka_unit_test(test_an_engine_says_its_own_alone),
        cmocka_unit_test(test_empty_record_and_report),
        cmocka_unit_test(test_no_room_leaves_the_buffer),
        cmocka_unit_test(test_wrong_fields_are_refused),
        cmocka_unit_test(test_mutated_bytes_never_harm),
        cmocka_unit_test(test_flood_of_empty_parts_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
