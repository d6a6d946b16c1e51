/* SPDX-License-Identifier: Apache-2.0 */
/* A whole group of nodes in one process: raft/node.c unchanged over a lossy, reordering net and
 * disks in memory that are slow, hang, and forget what was not committed when a node crashes;
 * members come and go, logs are compacted and replaced by images, leadership is handed over. The
 * rules are in raft_cluster_test.c, which alone includes this. */
#ifndef QUORATE_TESTS_UNIT_RAFT_GROUP_H
#define QUORATE_TESTS_UNIT_RAFT_GROUP_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cm.h"

#include "base/canary.h"
#include "base/crc32c.h"
#include "base/rand.h"
#include "proto/wire/raft.h"
#include "raft/core/core.h"
#include "raft/log_store.h"
#include "raft/node.h"
#include "raft/store_mem.h"

#define NODES_MAX 7
#define SPARES 2 /* nodes that join, when members change */
#define PACKETS_MAX 4096
#define TERMS_MAX 4096
#define ENTRIES_MAX 65536
#define CLUSTER_ID 77

struct packet {
    int64_t at_ms;
    size_t from, to;
    size_t len;
    uint8_t *data;
};

struct pending_read {
    uint64_t cookie;
    uint64_t floor;
};

struct confirm_slot {
    struct raft_confirm confirm;
    uint64_t floor_term;
    bool is_busy;
};

struct world;
struct host {
    struct world *world;
    size_t number;
    struct store_mem *log;
    struct store_mem *store;
    struct raft_node *node;
    bool is_up;
    bool is_refused;
    int64_t hang_until_ms;
    uint64_t life;
    uint64_t commit_seen;
    uint64_t led_term; /* leader of this term at the last look */
    uint64_t term_seen;
    uint64_t committed_checked;
    uint64_t change_cookie, transfer_cookie; /* 0: none under way */
    struct pending_read reads[64];
    struct confirm_slot confirms[8];
};

struct world {
    uint64_t seed;
    struct base_rand rand;
    int64_t now_ms;
    size_t count;    /* hosts */
    size_t founders; /* members at the first start */
    bool has_changes;
    uint64_t log_keep;
    struct host hosts[NODES_MAX];
    bool is_cut[NODES_MAX][NODES_MAX];
    uint32_t loss_ppm, duplicate_ppm, slow_ppm;
    bool has_faults;
    struct packet packets[PACKETS_MAX];
    size_t packet_count;

    uint64_t leader_of[TERMS_MAX];            /* R1 */
    uint64_t voted_for[NODES_MAX][TERMS_MAX]; /* R2 */
    uint64_t committed_term[ENTRIES_MAX];     /* R4, R7 */
    uint32_t applied_hash[ENTRIES_MAX];       /* R5 */
    uint64_t committed_last;
    uint64_t acked_last;
    uint64_t leader_term_max;
    uint64_t next_cookie;
    uint64_t acked_count, read_count, confirm_count, crash_count, dropped_count;
    uint64_t change_count, transfer_count, restored_count, compacted_count;
    const char *broken;
    uint8_t scratch[1 << 20];
};

static void violate(struct world *w, const char *what)
{
    if (w->broken == NULL) {
        w->broken = what;
    }
}

static uint64_t pick(struct world *w, uint64_t low, uint64_t high)
{
    return base_rand_between(&w->rand, low, high);
}

static bool chance(struct world *w, uint32_t ppm)
{
    return base_rand_chance_ppm(&w->rand, ppm);
}

/* --- ports --- */

static struct base_mono clock_now(void *ctx)
{
    struct host *h = ctx;
    return (struct base_mono){(h->world->now_ms + 1000) * BASE_US_PER_MS};
}

static struct base_wall clock_wall(void *ctx)
{
    (void)ctx;
    return (struct base_wall){0};
}

static void watch_votes(struct world *w, size_t from, struct slice payload)
{
    struct wire_arena arena;
    struct msg_raft m;
    wire_arena_init(&arena, w->scratch, sizeof(w->scratch));
    if (wire_raft_decode(slice_skip(payload, 1), &arena, &m) != 0) {
        violate(w, "a node sends what cannot be decoded");
        return;
    }
    if (m.type == MSG_RAFT_VOTE_REPLY && !m.is_rejected && m.term < TERMS_MAX) {
        uint64_t *voted = &w->voted_for[from][m.term];
        if (*voted != 0 && *voted != m.to) {
            violate(w, "R2: two votes in one term");
        }
        *voted = m.to;
    }
    if (m.type == MSG_RAFT_VOTE && m.term < TERMS_MAX) {
        uint64_t *voted = &w->voted_for[from][m.term];
        if (*voted != 0 && *voted != m.from) {
            violate(w, "R2: a candidate voted for another one");
        }
        *voted = m.from;
    }
}

static void put_packet(struct world *w, size_t from, size_t to, struct slice payload)
{
    if (w->packet_count == PACKETS_MAX) {
        return;
    }
    struct packet *p = &w->packets[w->packet_count++];
    uint64_t delay = chance(w, w->slow_ppm) ? pick(w, 5, 400) : pick(w, 0, 3);
    *p = (struct packet){
        .at_ms = w->now_ms + (int64_t)delay, .from = from, .to = to, .len = payload.len};
    p->data = malloc(payload.len);
    assert_non_null(p->data);
    memcpy(p->data, payload.data, payload.len);
}

static bool net_send(void *ctx, uint64_t link, struct slice payload)
{
    struct host *h = ctx;
    struct world *w = h->world;
    size_t to = (size_t)link - 1;
    watch_votes(w, h->number, payload);
    if (w->is_cut[h->number][to]) {
        return chance(w, 500000);
    }
    if (chance(w, w->loss_ppm)) {
        return true;
    }
    put_packet(w, h->number, to, payload);
    if (chance(w, w->duplicate_ppm)) {
        put_packet(w, h->number, to, payload);
    }
    return true;
}

/* --- state machine: a chain of checksums in the store --- */

static int machine_apply(void *ctx, struct store_txn *txn, const struct raft_applied *entry,
                         struct buf *result)
{
    struct host *h = ctx;
    struct world *w = h->world;
    uint8_t memory[4];
    struct slice value = SLICE_EMPTY;
    uint32_t hash = 0;
    int rc = store_get(txn, STORE_KV_CURRENT, SLICE_LIT("hash"), &value);
    if (rc == 0) {
        rc = slice_take_u32_be(&value, &hash);
    } else if (rc == BASE_E_NOTFOUND) {
        rc = 0;
    }
    if (rc != 0) {
        return rc;
    }
    hash = base_crc32c(hash + (uint32_t)entry->index, entry->data);
    if (entry->index < ENTRIES_MAX) {
        uint32_t *known = &w->applied_hash[entry->index];
        if (*known != 0 && *known != hash) {
            violate(w, "R5: state machines differ");
        }
        *known = hash;
    }
    struct buf b = buf_over(memory, sizeof(memory));
    buf_put_u32_be(&b, hash);
    buf_put_u64_be(result, entry->index);
    return store_put(txn, STORE_KV_CURRENT, SLICE_LIT("hash"), buf_slice(&b));
}

static void machine_applied(void *ctx, uint64_t index, uint64_t term, uint64_t cookie,
                            struct slice result)
{
    struct host *h = ctx;
    struct world *w = h->world;
    uint64_t told = 0;
    assert_int_equal(slice_take_u64_be(&result, &told), 0);
    assert_true(told == index);
    (void)term;
    if (cookie != 0) {
        w->acked_count++;
        w->acked_last = index > w->acked_last ? index : w->acked_last;
        if (index > w->committed_last && index < ENTRIES_MAX) {
            w->committed_last = index;
        }
    }
}

static void machine_dropped(void *ctx, uint64_t cookie, int status)
{
    struct host *h = ctx;
    assert_true(cookie != 0 && status == BASE_E_CANCELED);
    h->world->dropped_count++;
}

static void machine_read_ready(void *ctx, uint64_t cookie, int status)
{
    struct host *h = ctx;
    struct raft_node_status s;
    raft_node_status(h->node, &s);
    for (size_t i = 0; i < BASE_COUNT_OF(h->reads); i++) {
        if (h->reads[i].cookie == cookie) {
            h->reads[i].cookie = 0;
            if (status == 0 && s.applied_index < h->reads[i].floor) {
                violate(h->world, "R9: a read misses an acknowledged write");
            }
            h->world->read_count += status == 0;
            return;
        }
    }
    violate(h->world, "a read was answered twice");
}

static void machine_changed(void *ctx, uint64_t cookie, int status)
{
    struct host *h = ctx;
    uint64_t *slot = h->change_cookie == cookie ? &h->change_cookie : &h->transfer_cookie;
    if (*slot != cookie) {
        violate(h->world, "the end of a change was told twice");
    } else if (status == 0) {
        uint64_t *count =
            slot == &h->change_cookie ? &h->world->change_count : &h->world->transfer_count;
        (*count)++;
    }
    *slot = 0;
}

static void machine_restored(void *ctx, uint64_t index)
{
    struct host *h = ctx;
    struct raft_node_status s;
    raft_node_status(h->node, &s);
    if (s.is_started && s.applied_index != index) {
        violate(h->world, "an image is told of too late");
    }
    h->world->restored_count++;
}

static void machine_started(void *ctx, int status)
{
    struct host *h = ctx;
    h->is_refused = status != 0;
    if (status != 0) {
        violate(h->world, "a node refuses to start");
    }
}

static void machine_halted(void *ctx, int status)
{
    struct host *h = ctx;
    (void)status;
    violate(h->world, "a node halted without a fault of its disk");
}

static void confirm_done(struct raft_confirm *confirm, int status)
{
    struct confirm_slot *slot = (struct confirm_slot *)(void *)confirm;
    slot->is_busy = false;
    if (status == 0 && confirm->term < slot->floor_term) {
        slot->floor_term = UINT64_MAX; /* seen by check_confirms */
    }
}

/* --- life of hosts --- */

static void boot(struct host *h)
{
    struct world *w = h->world;
    struct raft_member members[NODES_MAX];
    memset(members, 0, sizeof(members));
    for (size_t i = 0; i < w->founders; i++) {
        members[i].id = i + 1;
    }
    struct raft_node_config config = {.cluster_id = CLUSTER_ID,
                                      .id = h->number + 1,
                                      .members = members,
                                      .member_count = h->number < w->founders ? w->founders : 0,
                                      .log_keep_entries = w->log_keep,
                                      .snapshot_chunk_bytes = 64,
                                      .seed = w->seed * 1000 + h->number * 100000 + h->life++,
                                      .entry_bytes_max = 4096,
                                      .memory_bytes_max = 64 << 10,
                                      .memory_bytes_usual = 8 << 10,
                                      .result_bytes_max = 256,
                                      .proposals_max = 256,
                                      .reads_max = 64};
    struct raft_node_ports ports = {.log = store_mem_port(h->log),
                                    .store = store_mem_port(h->store),
                                    .snapshot = store_mem_snapshot_port(h->store),
                                    .net = {.ctx = h, .send = net_send},
                                    .clock = {.ctx = h, .now = clock_now, .wall = clock_wall}};
    struct raft_machine machine = {.ctx = h,
                                   .apply = machine_apply,
                                   .applied = machine_applied,
                                   .dropped = machine_dropped,
                                   .read_ready = machine_read_ready,
                                   .started = machine_started,
                                   .changed = machine_changed,
                                   .restored = machine_restored,
                                   .halted = machine_halted};
    assert_int_equal(raft_node_create(&config, &ports, &machine, &h->node), 0);
    memset(h->reads, 0, sizeof(h->reads));
    memset(h->confirms, 0, sizeof(h->confirms));
    h->change_cookie = h->transfer_cookie = 0;
    h->commit_seen = 0;
    h->led_term = 0;
    h->committed_checked = 0;
    h->hang_until_ms = 0;
    h->is_up = true;
    raft_node_start(h->node);
}

static void crash(struct host *h)
{
    store_mem_crash(h->log);
    store_mem_crash(h->store);
    h->node = raft_node_destroy(h->node);
    h->is_up = false;
    h->world->crash_count++;
}

static struct world *world_make(uint64_t seed, size_t count, bool has_changes)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    w->seed = seed;
    w->rand = base_rand_make(seed, 1);
    w->founders = count;
    w->count = count + (has_changes ? SPARES : 0);
    w->has_changes = has_changes;
    w->log_keep = has_changes ? pick(w, 1, 60) : 0;
    w->has_faults = true;
    w->next_cookie = 1;
    w->loss_ppm = (uint32_t)pick(w, 0, 1) * (uint32_t)pick(w, 0, 200000);
    w->duplicate_ppm = (uint32_t)pick(w, 0, 100000);
    w->slow_ppm = (uint32_t)pick(w, 0, 1) * (uint32_t)pick(w, 0, 100000);
    for (size_t i = 0; i < w->count; i++) {
        w->hosts[i].world = w;
        w->hosts[i].number = i;
        w->hosts[i].log = store_mem_create();
        w->hosts[i].store = store_mem_create();
        assert_non_null(w->hosts[i].log);
        assert_non_null(w->hosts[i].store);
        boot(&w->hosts[i]);
    }
    return w;
}

static void world_free(struct world *w)
{
    for (size_t i = 0; i < w->count; i++) {
        struct host *h = &w->hosts[i];
        if (h->is_up) {
            crash(h);
        }
        h->log = store_mem_destroy(h->log);
        h->store = store_mem_destroy(h->store);
    }
    for (size_t i = 0; i < w->packet_count; i++) {
        free(w->packets[i].data);
    }
    free(w);
}

/* --- one millisecond --- */

static void deliver(struct world *w)
{
    for (size_t i = 0; i < w->packet_count;) {
        struct packet p = w->packets[i];
        if (p.at_ms > w->now_ms) {
            i++;
            continue;
        }
        w->packets[i] = w->packets[--w->packet_count];
        struct host *h = &w->hosts[p.to];
        if (h->is_up && !w->is_cut[p.from][p.to] &&
            raft_node_receive(h->node, p.from + 1, slice_from(p.data, p.len)) != 0) {
            violate(w, "a node refuses another one's frame");
        }
        free(p.data);
    }
}

static void run_disk(struct host *h)
{
    struct world *w = h->world;
    if (w->now_ms < h->hang_until_ms) {
        return;
    }
    for (uint64_t n = pick(w, 0, 6); n > 0; n--) {
        (void)store_mem_run_one(h->log);
    }
    for (uint64_t n = pick(w, 0, 6); n > 0; n--) {
        (void)store_mem_run_one(h->store);
    }
    for (uint64_t n = pick(w, 0, 3); n > 0; n--) {
        (void)store_mem_snapshot_step(h->store);
    }
    if (chance(w, 400000)) {
        store_mem_commit(h->log);
    }
    if (chance(w, 100000)) {
        store_mem_commit(h->store);
    }
    (void)store_mem_complete(h->log);
    (void)store_mem_complete(h->store);
}

/* A change of one member, or a transfer, at random; the node may well refuse it. */
static void ask_change(struct world *w, struct host *h)
{
    static struct raft_configuration next;
    uint64_t id = pick(w, 1, w->count);
    uint64_t cookie = w->next_cookie++;
    if (chance(w, 300000)) {
        if (h->transfer_cookie == 0 && raft_node_transfer(h->node, id, cookie) == 0) {
            h->transfer_cookie = cookie;
        }
        return;
    }
    next = *raft_node_configuration(h->node);
    uint32_t at = 0;
    while (at < next.count && next.members[at].id != id) {
        at++;
    }
    if (at == next.count) {
        next.members[next.count++] =
            (struct raft_member){.id = id, .is_learner = chance(w, 500000)};
    } else if (next.members[at].is_learner && chance(w, 700000)) {
        next.members[at].is_learner = false;
    } else {
        next.members[at] = next.members[--next.count];
    }
    if (next.count > 0 && h->change_cookie == 0 &&
        raft_node_change_members(h->node, &next, cookie) == 0) {
        h->change_cookie = cookie;
    }
}

static void ask(struct world *w)
{
    struct host *h = &w->hosts[pick(w, 0, w->count - 1)];
    if (!h->is_up) {
        return;
    }
    if (w->has_changes && chance(w, 60000)) {
        ask_change(w, h);
        return;
    }
    if (chance(w, 500000)) {
        uint8_t data[600];
        memset(data, (int)(w->next_cookie & 0xff), sizeof(data));
        (void)!raft_node_propose(h->node, slice_from(data, pick(w, 1, sizeof(data))),
                                 w->next_cookie++, NULL, NULL);
        return;
    }
    if (chance(w, 600000)) {
        for (size_t i = 0; i < BASE_COUNT_OF(h->reads); i++) {
            if (h->reads[i].cookie == 0) {
                uint64_t cookie = w->next_cookie++;
                h->reads[i] = (struct pending_read){.cookie = cookie, .floor = w->acked_last};
                if (raft_node_read(h->node, cookie) != 0) {
                    h->reads[i].cookie = 0;
                }
                return;
            }
        }
        return;
    }
    struct confirm_slot *slot = &h->confirms[pick(w, 0, BASE_COUNT_OF(h->confirms) - 1)];
    if (!slot->is_busy) {
        slot->confirm.done = confirm_done;
        slot->floor_term = w->leader_term_max;
        slot->is_busy = raft_node_confirm(h->node, &slot->confirm) == 0;
        w->confirm_count += slot->is_busy;
    }
}

static void cut_some(struct world *w)
{
    size_t one = (size_t)pick(w, 0, w->count - 1);
    bool is_one_way = chance(w, 300000);
    for (size_t i = 0; i < w->count; i++) {
        if (i != one && chance(w, 700000)) {
            w->is_cut[one][i] = true;
            w->is_cut[i][one] = !is_one_way;
        }
    }
}

static void heal_net(struct world *w)
{
    memset(w->is_cut, 0, sizeof(w->is_cut));
}

static void do_faults(struct world *w)
{
    struct host *h = &w->hosts[pick(w, 0, w->count - 1)];
    if (chance(w, 3000)) {
        if (h->is_up) {
            crash(h);
        }
    }
    for (size_t i = 0; i < w->count; i++) {
        if (!w->hosts[i].is_up && chance(w, 8000)) {
            boot(&w->hosts[i]);
        }
    }
    if (chance(w, 1500)) {
        cut_some(w);
    }
    if (chance(w, 3000)) {
        heal_net(w);
    }
    if (chance(w, 1000) && h->is_up) {
        h->hang_until_ms = w->now_ms + (int64_t)pick(w, 100, 1500);
    }
}

#endif
