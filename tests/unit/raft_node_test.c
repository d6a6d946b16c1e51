/* SPDX-License-Identifier: Apache-2.0 */
/* One node alone with its store: a group of one from first start over restarts, damage, a full
 * disk, limits; and the ring of recent entries against a model. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/cm.h"

#include "base/rand.h"
#include "proto/wire/raft.h"
#include "raft/entry_ring.h"
#include "raft/log_store.h"
#include "raft/node.h"
#include "raft/store_mem.h"

struct desk {
    struct store_mem *log;
    struct store_mem *store;
    uint64_t keep;
    uint64_t last_changed;
    int changed_status;
    size_t members_count, restored_count;
    uint64_t restored_index;
    struct raft_node *node;
    int64_t now_us;
    int started, halted, read_status;
    size_t started_count, applied_count, dropped_count, read_count, halted_count, role_count;
    size_t confirmed_count;
    uint64_t last_cookie, last_index;
    uint8_t last_result[64];
    size_t last_result_len;
};

static struct base_mono desk_now(void *ctx)
{
    const struct desk *d = ctx;
    return (struct base_mono){d->now_us};
}

static bool desk_send(void *ctx, uint64_t link, struct slice payload)
{
    (void)ctx;
    (void)link;
    (void)payload;
    return false;
}

static int desk_apply(void *ctx, struct store_txn *txn, const struct raft_applied *entry,
                      struct buf *result)
{
    (void)ctx;
    buf_put_text(result, "done ");
    buf_put(result, slice_from(entry->data.data, entry->data.len < 8 ? entry->data.len : 8));
    return store_put(txn, STORE_KV_CURRENT, SLICE_LIT("last"), entry->data);
}

static void desk_applied(void *ctx, uint64_t index, uint64_t term, uint64_t cookie,
                         struct slice result)
{
    struct desk *d = ctx;
    (void)term;
    d->applied_count++;
    d->last_cookie = cookie;
    d->last_index = index;
    d->last_result_len = result.len;
    memcpy(d->last_result, result.data, result.len);
}

static void desk_dropped(void *ctx, uint64_t cookie, int status)
{
    struct desk *d = ctx;
    (void)cookie;
    assert_int_equal(status, BASE_E_CANCELED);
    d->dropped_count++;
}

static void desk_read_ready(void *ctx, uint64_t cookie, int status)
{
    struct desk *d = ctx;
    (void)cookie;
    d->read_status = status;
    d->read_count++;
}

static void desk_role_changed(void *ctx)
{
    ((struct desk *)ctx)->role_count++;
}

static void desk_started(void *ctx, int status)
{
    struct desk *d = ctx;
    d->started = status;
    d->started_count++;
}

static void desk_changed(void *ctx, uint64_t cookie, int status)
{
    struct desk *d = ctx;
    d->last_changed = cookie;
    d->changed_status = status;
}

static void desk_members_changed(void *ctx)
{
    ((struct desk *)ctx)->members_count++;
}

static void desk_restored(void *ctx, uint64_t index)
{
    struct desk *d = ctx;
    d->restored_count++;
    d->restored_index = index;
}

static void desk_halted(void *ctx, int status)
{
    struct desk *d = ctx;
    d->halted = status;
    d->halted_count++;
}

/* Both disks, until nothing is left to do. */
static void settle(struct desk *d)
{
    while (store_mem_queued(d->log) + store_mem_uncommitted(d->log) + store_mem_ready(d->log) +
               store_mem_queued(d->store) + store_mem_uncommitted(d->store) +
               store_mem_ready(d->store) >
           0) {
        store_mem_step(d->log);
        store_mem_step(d->store);
    }
}

/* The log's disk alone. */
static void settle_log(struct desk *d)
{
    store_mem_step(d->log);
}

/* The state store runs its jobs and does not commit. */
static void run_state(struct desk *d)
{
    while (store_mem_run_one(d->store)) {
        (void)store_mem_complete(d->store);
    }
}

static void power_loss(struct desk *d)
{
    store_mem_crash(d->log);
    store_mem_crash(d->store);
}

static int create(struct desk *d, uint64_t cluster, uint64_t id, size_t count)
{
    struct raft_member members[3];
    memset(members, 0, sizeof(members));
    for (size_t i = 0; i < 3; i++) {
        members[i].id = id + i;
    }
    struct raft_node_config config = {.cluster_id = cluster,
                                      .id = id,
                                      .members = members,
                                      .member_count = count,
                                      .log_keep_entries = d->keep,
                                      .seed = 5};
    struct raft_node_ports ports = {.log = store_mem_port(d->log),
                                    .store = store_mem_port(d->store),
                                    .net = {.ctx = d, .send = desk_send},
                                    .clock = {.ctx = d, .now = desk_now}};
    struct raft_machine machine = {.ctx = d,
                                   .apply = desk_apply,
                                   .applied = desk_applied,
                                   .dropped = desk_dropped,
                                   .read_ready = desk_read_ready,
                                   .role_changed = desk_role_changed,
                                   .started = desk_started,
                                   .changed = desk_changed,
                                   .members_changed = desk_members_changed,
                                   .restored = desk_restored,
                                   .halted = desk_halted};
    return raft_node_create(&config, &ports, &machine, &d->node);
}

static void open_desk(struct desk *d)
{
    memset(d, 0, sizeof(*d));
    d->now_us = 1000000;
    d->log = store_mem_create();
    assert_non_null(d->log);
    d->store = store_mem_create();
    assert_non_null(d->store);
}

static void start(struct desk *d)
{
    assert_int_equal(create(d, 7, 1, 1), 0);
    raft_node_start(d->node);
    settle(d);
    if (d->started == 0) {
        raft_node_tick(d->node);
        settle(d);
    }
}

static void restart(struct desk *d)
{
    power_loss(d);
    d->node = raft_node_destroy(d->node);
    start(d);
}

static void close_desk(struct desk *d)
{
    power_loss(d);
    d->node = raft_node_destroy(d->node);
    d->log = store_mem_destroy(d->log);
    d->store = store_mem_destroy(d->store);
}

static int propose(struct desk *d, const char *text, uint64_t cookie)
{
    return raft_node_propose(d->node, slice_from_text(text), cookie, NULL, NULL);
}

static void test_group_of_one_from_first_start(void **state)
{
    (void)state;
    struct desk d;
    struct raft_node_status s;
    uint64_t index = 0, term = 0;
    open_desk(&d);
    assert_int_equal(create(&d, 7, 1, 1), 0);
    assert_int_equal(propose(&d, "x", 1), BASE_E_STATE);
    assert_int_equal(raft_node_read(d.node, 1), BASE_E_STATE);
    assert_true(raft_node_deadline(d.node).us == BASE_MONO_NEVER.us);
    d.node = raft_node_destroy(d.node);
    start(&d);
    raft_node_status(d.node, &s);
    assert_true(s.role == RAFT_LEADER && s.term == 1 && s.has_applied_own_term);
    assert_true(s.elected_at.us == d.now_us);
    assert_int_equal(raft_node_propose(d.node, SLICE_LIT("hello"), 42, &index, &term), 0);
    assert_true(index == 2 && term == 1);
    assert_int_equal(d.applied_count, 0); /* never from inside a call */
    settle(&d);
    assert_int_equal(d.applied_count, 1);
    assert_true(d.last_cookie == 42 && d.last_index == 2);
    assert_memory_equal(d.last_result, "done hello", d.last_result_len);
    assert_int_equal(raft_node_read(d.node, 5), 0);
    assert_int_equal(d.read_count, 0);
    settle(&d);
    assert_true(d.read_count == 1 && d.read_status == 0);
    close_desk(&d);
}

static void test_status_before_start_is_empty(void **state)
{
    (void)state;
    struct desk d;
    struct raft_node_status s;
    open_desk(&d);
    assert_int_equal(create(&d, 7, 1, 3), 0);
    raft_node_status(d.node, &s);
    assert_true(!s.is_started && !s.is_halted && s.last_index == 0 && s.leader_id == 0);
    assert_int_equal(raft_node_configuration(d.node)->members[2].id, 3);
    assert_int_equal(raft_node_configuration(d.node)->count, 3);
    assert_true(raft_node_cluster_id(d.node) == 7);
    close_desk(&d);
}

/* What peers say is believed only of themselves. */
static void test_frames_of_others_are_refused(void **state)
{
    (void)state;
    static uint8_t memory[4096], bytes[512];
    struct desk d;
    struct wire_arena arena;
    struct buf out = buf_over(bytes, sizeof(bytes));
    struct msg_raft m = {.type = MSG_RAFT_HEARTBEAT, .cluster = 7, .from = 2, .to = 1, .term = 1};
    open_desk(&d);
    assert_int_equal(create(&d, 7, 1, 3), 0);
    raft_node_start(d.node);
    settle(&d);
    wire_arena_init(&arena, memory, sizeof(memory));
    buf_put_u8(&out, NET_FRAME_RAFT);
    assert_int_equal(wire_raft_encode(&m, &arena, &out), 0);
    assert_int_equal(raft_node_receive(d.node, 3, buf_slice(&out)), BASE_E_DENIED);
    assert_int_equal(raft_node_receive(d.node, 2, buf_slice(&out)), 0);
    m.cluster = 8;
    out.len = 1;
    assert_int_equal(wire_raft_encode(&m, &arena, &out), 0);
    assert_int_equal(raft_node_receive(d.node, 2, buf_slice(&out)), BASE_E_DENIED);
    struct msg_raft_entry members = {.term = 1, .type = MSG_RAFT_ENTRY_MEMBERS};
    m = (struct msg_raft){.type = MSG_RAFT_APPEND,
                          .cluster = 7,
                          .from = 2,
                          .to = 1,
                          .term = 1,
                          .entry_count = 1,
                          .entries = &members};
    out.len = 1;
    assert_int_equal(wire_raft_encode(&m, &arena, &out), 0);
    assert_int_equal(raft_node_receive(d.node, 2, buf_slice(&out)), BASE_E_PROTO);
    close_desk(&d);
}

static void confirmed(struct raft_confirm *confirm, int status)
{
    (void)confirm;
    assert_int_equal(status, 0);
}

static void test_confirm_answers_later(void **state)
{
    (void)state;
    struct desk d;
    open_desk(&d);
    start(&d);
    struct raft_confirm confirm = {.done = confirmed};
    assert_int_equal(raft_node_confirm(d.node, &confirm), 0);
    assert_true(confirm.term == 1 && confirm.next == NULL);
    settle(&d);
    close_desk(&d);
}

static void test_restart_replays_nothing_twice(void **state)
{
    (void)state;
    struct desk d;
    struct raft_node_status s;
    open_desk(&d);
    start(&d);
    for (uint64_t i = 1; i <= 300; i++) {
        assert_int_equal(propose(&d, "entry", i), 0);
    }
    settle(&d);
    assert_int_equal(d.applied_count, 300);
    restart(&d);
    assert_int_equal(d.applied_count, 300);
    raft_node_status(d.node, &s);
    assert_true(s.term == 2 && s.last_index == 302 && s.applied_index == 302);
    /* Durable but not yet applied: applied after the restart, without its cookie. */
    assert_int_equal(propose(&d, "late", 9), 0);
    settle_log(&d);
    restart(&d);
    assert_int_equal(d.applied_count, 301);
    assert_true(d.last_cookie == 0 && d.last_index == 303);
    close_desk(&d);
}

static void test_refusals(void **state)
{
    (void)state;
    struct desk d;
    static uint8_t large[4u << 20];
    open_desk(&d);
    start(&d);
    assert_int_equal(propose(&d, "x", 0), BASE_E_INVALID);
    assert_int_equal(propose(&d, "", 1), BASE_E_INVALID);
    assert_int_equal(raft_node_propose(d.node, slice_from(large, sizeof(large)), 1, NULL, NULL),
                     BASE_E_TOOBIG);
    size_t taken = 0;
    while (propose(&d, "fill", taken + 1) == 0) {
        taken++;
    }
    assert_int_equal(propose(&d, "x", 1), BASE_E_BUSY);
    assert_int_equal(taken, 4096);
    settle(&d);
    assert_int_equal(d.applied_count, 4096);
    taken = 0;
    while (raft_node_propose(d.node, slice_from(large, 1 << 20), taken + 1, NULL, NULL) == 0) {
        taken++;
    }
    assert_in_range(taken, 4, 8);
    settle(&d);
    assert_int_equal(raft_node_propose(d.node, slice_from(large, 1 << 20), 1, NULL, NULL), 0);
    assert_int_equal(raft_node_receive(d.node, 1, SLICE_EMPTY), BASE_E_PROTO);
    assert_int_equal(raft_node_receive(d.node, 1, SLICE_LIT("\1\xff\xff")), BASE_E_PROTO);
    close_desk(&d);
    open_desk(&d);
    assert_int_equal(create(&d, 0, 1, 1), BASE_E_INVALID);
    assert_int_equal(create(&d, 7, 1, 0), 0); /* joins: waits for a leader */
    d.node = raft_node_destroy(d.node);
    close_desk(&d);
}

static void test_full_disk_stops_the_node(void **state)
{
    (void)state;
    struct desk d;
    open_desk(&d);
    start(&d);
    store_mem_fail_at(d.log, 1, BASE_E_NOSPACE);
    assert_int_equal(propose(&d, "x", 1), 0);
    assert_int_equal(raft_node_read(d.node, 2), 0);
    settle(&d);
    assert_int_equal(d.halted, BASE_E_NOSPACE);
    assert_true(d.halted_count == 1 && d.dropped_count == 1 && d.applied_count == 0);
    assert_int_equal(d.read_count, 1);
    assert_int_equal(propose(&d, "x", 2), BASE_E_STATE);
    raft_node_tick(d.node);
    restart(&d); /* with room again it goes on where it was durable */
    assert_int_equal(propose(&d, "y", 3), 0);
    settle(&d);
    assert_int_equal(d.last_cookie, 3);
    close_desk(&d);
}

/* Every single store call may fail: the node stops, and the next life finds all that was
 * acknowledged. */
static void test_each_store_call_may_fail(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 120; n++) {
        struct desk d;
        open_desk(&d);
        store_mem_fail_at(n % 2 == 0 ? d.log : d.store, n / 2 + 1, BASE_E_IO);
        start(&d);
        for (uint64_t i = 1; i <= 5 && d.started == 0; i++) {
            if (propose(&d, "entry", i) != 0) {
                break;
            }
            settle(&d);
        }
        size_t acknowledged = d.applied_count;
        assert_true(d.halted_count <= 1);
        struct raft_node_status s;
        d.started = 0;
        d.halted_count = 0;
        restart(&d);
        raft_node_status(d.node, &s);
        assert_true(s.role == RAFT_LEADER && s.last_index > acknowledged);
        close_desk(&d);
    }
}

static void flip_entry(struct desk *d, uint64_t index)
{
    uint8_t key[8], copy[64];
    struct buf b = buf_over(key, sizeof(key));
    struct slice value = SLICE_EMPTY;
    buf_put_u64_be(&b, index);
    struct store_txn *txn = store_mem_txn(d->log);
    assert_int_equal(store_get(txn, STORE_LOG, buf_slice(&b), &value), 0);
    memcpy(copy, value.data, value.len);
    copy[value.len - 1] ^= 1;
    assert_int_equal(store_put(txn, STORE_LOG, buf_slice(&b), slice_from(copy, value.len)), 0);
    store_mem_commit(d->log);
}

static void test_damage_is_refused(void **state)
{
    (void)state;
    struct desk d;
    open_desk(&d);
    start(&d);
    assert_int_equal(propose(&d, "a", 1), 0);
    assert_int_equal(propose(&d, "b", 2), 0);
    settle(&d);
    flip_entry(&d, 2);
    restart(&d);
    assert_int_equal(d.started, BASE_E_CORRUPT);
    assert_int_equal(propose(&d, "x", 1), BASE_E_STATE);
    flip_entry(&d, 2);
    restart(&d);
    assert_int_equal(d.started, 0);
    /* A hole in the log. */
    uint8_t key[8];
    struct buf b = buf_over(key, sizeof(key));
    buf_put_u64_be(&b, 2);
    assert_int_equal(store_del(store_mem_txn(d.log), STORE_LOG, buf_slice(&b)), 0);
    store_mem_commit(d.log);
    restart(&d);
    assert_int_equal(d.started, BASE_E_CORRUPT);
    close_desk(&d);
}

/* Another log, or none, is not ours: with it our vote would be lost. */
static void test_a_lost_log_is_refused(void **state)
{
    (void)state;
    struct desk d;
    open_desk(&d);
    start(&d);
    assert_int_equal(propose(&d, "a", 1), 0);
    settle(&d);
    power_loss(&d);
    d.node = raft_node_destroy(d.node);
    d.log = store_mem_destroy(d.log);
    d.log = store_mem_create();
    start(&d);
    assert_int_equal(d.started, BASE_E_CORRUPT);
    close_desk(&d);
}

/* It may have voted before it has applied anything. */
static void test_a_log_lost_before_the_first_apply_is_refused(void **state)
{
    (void)state;
    struct desk d;
    open_desk(&d);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(create(&d, 7, 1, 3), 0);
        raft_node_start(d.node);
        settle(&d);
        assert_int_equal(d.started, i == 0 ? 0 : BASE_E_CORRUPT);
        power_loss(&d);
        d.node = raft_node_destroy(d.node);
        d.log = store_mem_destroy(d.log);
        d.log = store_mem_create();
    }
    close_desk(&d);
}

/* --- two stores --- */

static void test_nothing_is_applied_before_it_is_durable_in_the_log(void **state)
{
    (void)state;
    struct desk d;
    open_desk(&d);
    start(&d);
    assert_int_equal(propose(&d, "x", 1), 0);
    assert_true(store_mem_run_one(d.log));
    (void)store_mem_complete(d.log);
    run_state(&d);
    assert_int_equal(d.applied_count, 0);
    store_mem_commit(d.log);
    (void)store_mem_complete(d.log);
    run_state(&d);
    assert_int_equal(d.applied_count, 1);
    close_desk(&d);
}

/* The state store commits lazily; what a crash takes from it comes again, out of the log. */
static void test_state_that_was_not_durable_is_applied_again(void **state)
{
    (void)state;
    struct desk d;
    struct raft_node_status s;
    open_desk(&d);
    start(&d);
    for (uint64_t i = 1; i <= 600; i++) {
        assert_int_equal(propose(&d, i == 600 ? "newest" : "entry", i), 0);
        settle_log(&d);
        run_state(&d);
    }
    assert_int_equal(d.applied_count, 600);
    restart(&d);
    assert_int_equal(d.applied_count, 1200);
    assert_memory_equal(d.last_result, "done newest", d.last_result_len);
    raft_node_status(d.node, &s);
    assert_true(s.applied_index == 602 && s.role == RAFT_LEADER);
    close_desk(&d);
}

/* Bug 9: what was acknowledged before a crash is read after it, however little the state store had
 * made durable. */
static void test_a_read_after_a_restart_sees_all_that_was_acknowledged(void **state)
{
    (void)state;
    struct desk d;
    struct raft_node_status s;
    open_desk(&d);
    start(&d);
    for (uint64_t i = 1; i <= 40; i++) {
        assert_int_equal(propose(&d, "entry", i), 0);
        settle_log(&d);
        run_state(&d);
    }
    assert_int_equal(d.last_cookie, 40);
    power_loss(&d);
    d.node = raft_node_destroy(d.node);
    d.applied_count = 0;
    assert_int_equal(create(&d, 7, 1, 1), 0);
    raft_node_start(d.node);
    settle(&d);
    raft_node_tick(d.node);
    while (raft_node_read(d.node, 1) != 0) {
        settle_log(&d);
    }
    while (d.read_count == 0) {
        settle_log(&d);
        (void)store_mem_run_one(d.store);
        (void)store_mem_complete(d.store);
    }
    raft_node_status(d.node, &s);
    assert_true(d.read_status == 0 && s.applied_index >= 41 && d.applied_count == 40);
    close_desk(&d);
}

static size_t rows_of(struct desk *d)
{
    struct msg_raft_entry entry;
    size_t rows = 0;
    for (uint64_t i = 1; i < 1000; i++) {
        rows += log_store_get(store_mem_txn(d->log), i, &entry) == 0;
    }
    return rows;
}

/* Bug 12: the log forgets only what the state store has durably. */
static void test_the_log_forgets_only_what_is_durably_applied(void **state)
{
    (void)state;
    struct desk d;
    struct raft_node_status s;
    open_desk(&d);
    d.keep = 20;
    start(&d);
    for (uint64_t i = 1; i <= 200; i++) {
        assert_int_equal(propose(&d, "entry", i), 0);
        settle_log(&d);
        run_state(&d);
    }
    raft_node_status(d.node, &s);
    assert_true(s.first_index == 1 && s.applied_index == 201);
    settle(&d);
    raft_node_status(d.node, &s);
    assert_true(s.first_index > 150 && s.first_index <= 201 - 20 + 1);
    assert_int_equal(rows_of(&d), 201 - s.first_index + 1);
    power_loss(&d);
    d.node = raft_node_destroy(d.node);
    start(&d);
    raft_node_status(d.node, &s);
    assert_true(s.role == RAFT_LEADER && s.applied_index == 202);
    assert_int_equal(d.applied_count, 200);
    close_desk(&d);
}

/* The end of the log is gone, as when its last batch rots and looks torn: what was acknowledged
 * with it is not to be passed over as if an image had been installed. */
static void test_a_log_that_lost_its_end_is_refused(void **state)
{
    (void)state;
    struct desk d;
    for (int is_empty = 0; is_empty < 2; is_empty++) {
        open_desk(&d);
        start(&d);
        for (uint64_t i = 1; i <= 10; i++) {
            assert_int_equal(propose(&d, "entry", i), 0);
        }
        settle(&d);
        uint64_t last = rows_of(&d);
        uint64_t from = is_empty ? 1 : last;
        assert_int_equal(log_store_remove(store_mem_txn(d.log), from, last), 0);
        store_mem_commit(d.log);
        restart(&d);
        assert_int_equal(d.started, BASE_E_CORRUPT);
        close_desk(&d);
    }
}

/* A crash between the installation of an image and the new beginning of the log. */
static void test_a_log_behind_an_image_begins_anew(void **state)
{
    (void)state;
    struct desk d;
    struct raft_node_status s;
    for (int is_longer = 0; is_longer < 2; is_longer++) {
        for (int has_intent = 0; has_intent < 2; has_intent++) {
            open_desk(&d);
            start(&d);
            for (uint64_t i = 1; i <= 10; i++) {
                assert_int_equal(propose(&d, "entry", i), 0);
            }
            settle(&d);
            uint64_t index = is_longer ? 50 : 5;
            assert_int_equal(log_store_save_applied(store_mem_txn(d.store), index, 3), 0);
            if (has_intent) {
                assert_int_equal(log_store_save_image(store_mem_txn(d.log), index, 3), 0);
            }
            store_mem_commit(d.store);
            store_mem_commit(d.log);
            restart(&d);
            if (!has_intent) { /* two stores that contradict each other */
                assert_int_equal(d.started, BASE_E_CORRUPT);
            } else {
                assert_int_equal(d.started, 0);
                raft_node_status(d.node, &s);
                assert_true(s.first_index == index + 1 && s.last_index == index + 1);
                assert_true(s.term == 4 && s.has_applied_own_term);
                assert_int_equal(rows_of(&d), 1);
                assert_true(d.restored_count == 1 && d.restored_index == index);
            }
            close_desk(&d);
        }
    }
}

/* Power fails when an image is installed, the log behind it still empty, and the next image
 * announced in the place of the first. */
static void test_an_image_announced_upon_another(void **state)
{
    (void)state;
    struct desk d;
    struct raft_node_status s;
    uint64_t index = 0, term = 0;
    open_desk(&d);
    start(&d);
    settle(&d);
    assert_int_equal(log_store_save_applied(store_mem_txn(d.store), 50, 3), 0);
    assert_int_equal(log_store_reset(store_mem_txn(d.log), 50, 3), 0);
    assert_int_equal(log_store_save_image(store_mem_txn(d.log), 80, 4), 0);
    store_mem_commit(d.store);
    store_mem_commit(d.log);
    restart(&d);
    assert_int_equal(d.started, 0);
    raft_node_status(d.node, &s);
    assert_true(s.first_index == 51 && s.last_index == 51);
    assert_int_equal(log_store_load_reset(store_mem_txn(d.log), &index, &term), 0);
    assert_true(index == 50 && term == 3);
    close_desk(&d);
}

/* --- members --- */

static void test_members_are_kept_over_restarts(void **state)
{
    (void)state;
    struct desk d;
    struct raft_configuration next, stored;
    open_desk(&d);
    start(&d);
    assert_int_equal(log_store_load_members(store_mem_txn(d.store), &stored), 0);
    assert_true(stored.index == 0 && stored.count == 1);
    next = *raft_node_configuration(d.node);
    next.members[next.count] = (struct raft_member){.id = 9, .is_learner = true};
    memcpy(next.members[next.count].peer_url.text, "https://nine:1", 15);
    next.count++;
    assert_int_equal(raft_node_change_members(d.node, &next, 0), BASE_E_INVALID);
    assert_int_equal(raft_node_change_members(d.node, &next, 77), 0);
    assert_int_equal(d.last_changed, 0); /* never from inside a call */
    settle(&d);
    assert_true(d.last_changed == 77 && d.changed_status == 0 && d.members_count == 1);
    assert_int_equal(log_store_load_members(store_mem_txn(d.store), &stored), 0);
    assert_true(stored.index == 2 && stored.count == 2);
    assert_string_equal(stored.members[1].peer_url.text, "https://nine:1");
    restart(&d); /* what it is started with counts no more */
    assert_int_equal(raft_node_configuration(d.node)->count, 2);
    assert_int_equal(raft_node_configuration(d.node)->index, 2);
    struct raft_member_status m;
    assert_true(raft_node_member_status(d.node, 9, &m) && m.match_index == 0);
    assert_true(raft_node_member_status(d.node, 1, &m) && m.match_index == 3);
    assert_false(raft_node_member_status(d.node, 5, &m));
    assert_int_equal(raft_node_transfer(d.node, 9, 5), BASE_E_INVALID);
    close_desk(&d);
}

static void feed(struct desk *d, struct msg_raft m)
{
    static uint8_t memory[4096], bytes[512];
    struct wire_arena arena;
    struct buf out = buf_over(bytes, sizeof(bytes));
    wire_arena_init(&arena, memory, sizeof(memory));
    buf_put_u8(&out, NET_FRAME_RAFT);
    m.cluster = 7;
    m.from = 2;
    m.to = 1;
    assert_int_equal(wire_raft_encode(&m, &arena, &out), 0);
    assert_int_equal(raft_node_receive(d->node, 2, buf_slice(&out)), 0);
    settle(d);
}

/* Leads three, of which one answers and writes nothing. */
static void lead_without_quorum(struct desk *d)
{
    open_desk(d);
    assert_int_equal(create(d, 7, 1, 3), 0);
    raft_node_start(d->node);
    settle(d);
    d->now_us = raft_node_deadline(d->node).us;
    raft_node_tick(d->node);
    feed(d, (struct msg_raft){.type = MSG_RAFT_PREVOTE_REPLY, .proposed_term = 1});
    feed(d, (struct msg_raft){.type = MSG_RAFT_VOTE_REPLY, .term = 1});
    struct raft_node_status s;
    raft_node_status(d->node, &s);
    assert_int_equal(s.role, RAFT_LEADER);
}

static void test_entries_without_a_majority_are_bounded(void **state)
{
    (void)state;
    static uint8_t large[1u << 20];
    struct desk d;
    lead_without_quorum(&d);
    size_t taken = 0;
    while (raft_node_propose(d.node, slice_from(large, sizeof(large)), taken + 1, NULL, NULL) ==
           0) {
        taken++;
        settle(&d); /* durable here, so that memory may be given up */
        assert_true(taken <= 8);
    }
    assert_in_range(taken, 4, 8);
    assert_int_equal(propose(&d, "small", 99), 0); /* small ones still fit */
    feed(&d, (struct msg_raft){.type = MSG_RAFT_HEARTBEAT, .term = 2});
    assert_int_equal(d.dropped_count, taken + 1);
    close_desk(&d);
}

static void test_a_change_that_is_lost_with_leadership_is_told(void **state)
{
    (void)state;
    struct desk d;
    lead_without_quorum(&d);
    struct raft_configuration next = *raft_node_configuration(d.node);
    next.count = 2;
    assert_int_equal(raft_node_change_members(d.node, &next, 5), BASE_E_STATE);
    feed(&d,
         (struct msg_raft){.type = MSG_RAFT_APPEND_REPLY, .term = 1, .index = 1, .received = 1});
    assert_int_equal(raft_node_change_members(d.node, &next, 6), 0);
    assert_int_equal(raft_node_change_members(d.node, &next, 7), BASE_E_BUSY);
    settle(&d);
    assert_int_equal(d.last_changed, 0);
    feed(&d, (struct msg_raft){.type = MSG_RAFT_HEARTBEAT, .term = 2});
    assert_true(d.last_changed == 6 && d.changed_status == BASE_E_CANCELED);
    close_desk(&d);
}

static void test_transfer_ends_with_the_other_leading(void **state)
{
    (void)state;
    struct desk d;
    lead_without_quorum(&d);
    assert_int_equal(raft_node_transfer(d.node, 2, 8), 0);
    assert_int_equal(raft_node_transfer(d.node, 3, 9), BASE_E_BUSY);
    assert_int_equal(propose(&d, "x", 1), BASE_E_BUSY);
    feed(&d, (struct msg_raft){.type = MSG_RAFT_HEARTBEAT, .term = 2});
    assert_true(d.last_changed == 8 && d.changed_status == 0);
    close_desk(&d);
}

static void test_a_joining_node_stands_for_nothing(void **state)
{
    (void)state;
    struct desk d;
    struct raft_node_status s;
    open_desk(&d);
    assert_int_equal(create(&d, 7, 1, 0), 0);
    raft_node_start(d.node);
    settle(&d);
    for (int i = 0; i < 10; i++) {
        d.now_us = raft_node_deadline(d.node).us;
        raft_node_tick(d.node);
        settle(&d);
    }
    raft_node_status(d.node, &s);
    assert_true(s.is_started && s.role == RAFT_FOLLOWER && s.term == 0);
    assert_int_equal(raft_node_configuration(d.node)->count, 0);
    close_desk(&d);
}

static void test_foreign_store_is_refused(void **state)
{
    (void)state;
    struct desk d;
    open_desk(&d);
    start(&d);
    d.node = raft_node_destroy(d.node);
    assert_int_equal(create(&d, 8, 1, 1), 0);
    raft_node_start(d.node);
    settle(&d);
    assert_int_equal(d.started, BASE_E_CONFLICT);
    power_loss(&d);
    d.node = raft_node_destroy(d.node);
    assert_int_equal(create(&d, 7, 2, 1), 0);
    raft_node_start(d.node);
    settle(&d);
    assert_int_equal(d.started, BASE_E_CONFLICT);
    close_desk(&d);
}

static void test_ring_against_a_model(void **state)
{
    (void)state;
    enum { CAP = 4096, MODEL = 100000 };
    static uint64_t model_term[MODEL];
    struct ring_record **slots = calloc(ENTRY_RING_SLOTS, sizeof(*slots));
    uint8_t *memory = calloc(1, CAP);
    assert_true(slots != NULL && memory != NULL);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct base_rand r = base_rand_make(seed, 2);
        struct entry_ring ring;
        uint64_t last = 0, term = 1, refused = 0;
        memset(slots, 0, ENTRY_RING_SLOTS * sizeof(*slots));
        entry_ring_init(&ring, memory, CAP, base_rand_between(&r, 200, CAP), slots);
        for (int i = 0; i < 3000; i++) {
            uint8_t body[300];
            uint64_t batch = base_rand_between(&r, 1, 4);
            size_t len = base_rand_between(&r, 0, sizeof(body));
            size_t size = entry_ring_size_of(len);
            if (base_rand_chance_ppm(&r, 30000) && last > ring.durable) {
                uint64_t from = base_rand_between(&r, ring.durable + 1, last);
                entry_ring_truncate(&ring, from, last);
                last = from - 1;
                term++;
            }
            if (!entry_ring_make_room(&ring, batch * size, size)) {
                ring.durable = last;
                refused++;
                continue;
            }
            for (; batch > 0; batch--) {
                last++;
                memset(body, (int)(last & 0xff), sizeof(body));
                struct msg_raft_entry entry = {
                    .term = term, .type = MSG_RAFT_ENTRY_DATA, .body = slice_from(body, len)};
                (void)entry_ring_put(&ring, last, &entry);
                model_term[last] = term;
            }
            if (base_rand_chance_ppm(&r, 300000)) {
                ring.durable =
                    base_rand_between(&r, ring.durable < last ? ring.durable : last, last);
            }
            for (uint64_t at = ring.first_live; at <= last; at++) {
                const struct ring_record *record = entry_ring_find(&ring, at);
                struct msg_raft_entry entry;
                assert_non_null(record);
                assert_int_equal(
                    log_store_decode(at, slice_from(record->value, record->value_len), &entry), 0);
                assert_true(entry.term == model_term[at]);
            }
            assert_true(ring.first_live <= ring.durable + 1);
        }
        assert_true(refused > 0);
    }
    free(memory);
    free(slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_group_of_one_from_first_start),
        cmocka_unit_test(test_status_before_start_is_empty),
        cmocka_unit_test(test_frames_of_others_are_refused),
        cmocka_unit_test(test_confirm_answers_later),
        cmocka_unit_test(test_restart_replays_nothing_twice),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_full_disk_stops_the_node),
        cmocka_unit_test(test_each_store_call_may_fail),
        cmocka_unit_test(test_damage_is_refused),
        cmocka_unit_test(test_a_lost_log_is_refused),
        cmocka_unit_test(test_a_log_lost_before_the_first_apply_is_refused),
        cmocka_unit_test(test_nothing_is_applied_before_it_is_durable_in_the_log),
        cmocka_unit_test(test_state_that_was_not_durable_is_applied_again),
        cmocka_unit_test(test_a_read_after_a_restart_sees_all_that_was_acknowledged),
        cmocka_unit_test(test_the_log_forgets_only_what_is_durably_applied),
        cmocka_unit_test(test_a_log_behind_an_image_begins_anew),
        cmocka_unit_test(test_an_image_announced_upon_another),
        cmocka_unit_test(test_a_log_that_lost_its_end_is_refused),
        cmocka_unit_test(test_members_are_kept_over_restarts),
        cmocka_unit_test(test_entries_without_a_majority_are_bounded),
        cmocka_unit_test(test_a_change_that_is_lost_with_leadership_is_told),
        cmocka_unit_test(test_transfer_ends_with_the_other_leading),
        cmocka_unit_test(test_a_joining_node_stands_for_nothing),
        cmocka_unit_test(test_foreign_store_is_refused),
        cmocka_unit_test(test_ring_against_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
