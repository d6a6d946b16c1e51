/* SPDX-License-Identifier: Apache-2.0 */
/* Faults of quorum nodes and of the network; those of database hosts are in faults_db.c. */
#include "tests/sim/faults.h"

#include <stdlib.h>

#include "tests/sim/faults_db.h"
#include "tests/sim/net.h"
#include "tests/sim/nodes.h"

static const char *const names[FAULT_KIND_COUNT] = {
#define FAULT_NAME(id, name) [FAULT_##id] = name,
    FAULT_KINDS(FAULT_NAME)
#undef FAULT_NAME
};

const char *fault_name(enum fault_kind kind)
{
    return names[kind];
}

const char *trace_fault_name(uint64_t kind)
{
    return kind < FAULT_KIND_COUNT ? names[kind] : "?";
}

void fault_bit(struct world *w, enum fault_kind kind, unsigned who, unsigned other, int64_t for_us)
{
    w->faults->bit[kind]++;
    trace(w, TRACE_FAULT, kind, who, other, (uint64_t)for_us);
}

static unsigned draw_node(struct world *w)
{
    struct base_rand *r = &w->faults->rand;
    int leader = nodes_leader(w);
    bool is_leader = chance(r, 550000);
    unsigned node = (unsigned)draw(r, 0, w->setup.slots - 1);
    return is_leader && leader >= 0 ? (unsigned)leader : node;
}

static void start_node(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    (void)bytes;
    if (!node_process(w, (unsigned)number)->is_up) {
        node_start(w, (unsigned)number);
    }
}

static void crash_node(struct world *w, enum fault_kind kind, unsigned node, int64_t down_us)
{
    if (!node_process(w, node)->is_up) {
        return;
    }
    fault_bit(w, kind, node, 0, down_us);
    node_crash(w, node, 1);
    world_at_with(w, w->now_us + down_us, NULL, start_node, w, node, SLICE_EMPTY);
}

static void pause_node(struct world *w, unsigned node, int64_t for_us)
{
    struct process *p = node_process(w, node);
    if (p->is_up) {
        fault_bit(w, FAULT_NODE_PAUSE, node, 0, for_us);
        process_pause(w, p, for_us);
    }
}

void fault_cut_both(struct world *w, unsigned a, unsigned b, int64_t for_us, bool is_held)
{
    net_cut(w, a, b, w->now_us + for_us, is_held);
    net_cut(w, b, a, w->now_us + for_us, is_held);
}

static void isolate_node(struct world *w, unsigned node, int64_t for_us, bool is_held)
{
    for (unsigned other = 0; other < ADDRESSES; other++) {
        if (other != ADDRESS_NODE + node) {
            fault_cut_both(w, ADDRESS_NODE + node, other, for_us, is_held);
        }
    }
}

static void quorum_lost(struct world *w, int64_t for_us)
{
    unsigned from = draw_node(w), count = w->setup.slots / 2 + 1;
    fault_bit(w, FAULT_QUORUM_LOST, from, count, for_us);
    for (unsigned i = 0; i < count; i++) {
        unsigned node = (from + i) % w->setup.slots;
        if (chance(&w->faults->rand, 500000)) {
            isolate_node(w, node, for_us, false);
        } else if (node_process(w, node)->is_up) {
            node_crash(w, node, 1);
            world_at_with(w, w->now_us + for_us, NULL, start_node, w, node, SLICE_EMPTY);
        }
    }
}

static void reset_links(struct world *w)
{
    unsigned node = draw_node(w);
    fault_bit(w, FAULT_RESET, node, 0, 0);
    for (unsigned other = 0; other < ADDRESSES; other++) {
        if (chance(&w->faults->rand, 600000)) {
            net_reset(w, ADDRESS_NODE + node, other);
        }
    }
}

static void slow_links(struct world *w, int64_t for_us)
{
    unsigned from = (unsigned)draw(&w->faults->rand, 0, ADDRESSES - 1);
    int64_t extra_us = draw(&w->faults->rand, 20 * MS, 400 * MS);
    fault_bit(w, FAULT_SLOW_LINK, from, 0, extra_us);
    for (unsigned to = 0; to < ADDRESSES; to++) {
        net_slow(w, from, to, w->now_us + for_us, extra_us);
    }
}

/* One of a node's disks, or both. */
static void hang_disks(struct world *w, unsigned node, int64_t for_us)
{
    int64_t which = draw(&w->faults->rand, 0, 3);
    if (which != 1) {
        disk_hang_until(node_log(w, node), w->now_us + for_us);
    }
    if (which != 2) {
        disk_hang_until(node_state(w, node), w->now_us + for_us);
    }
}

/* Leadership goes away and comes back while the others' disks stall: what lies in a log is then
 * uncertain. */
static void leader_flip(struct world *w)
{
    struct base_rand *r = &w->faults->rand;
    int leader = nodes_leader(w);
    if (leader < 0 || w->setup.nodes < 3) {
        return;
    }
    fault_bit(w, FAULT_LEADER_FLIP, (unsigned)leader, 0, 0);
    for (unsigned i = 0; i < w->setup.slots; i++) {
        if (i != (unsigned)leader) {
            hang_disks(w, i, draw(r, 40 * MS, 300 * MS));
        }
    }
    process_pause(w, node_process(w, (unsigned)leader), draw(r, 100 * MS, 900 * MS));
}

static void strike_quorum(struct world *w, enum fault_kind kind)
{
    struct base_rand *r = &w->faults->rand;
    unsigned node = draw_node(w), other = (unsigned)draw(r, 0, w->setup.slots - 1);
    int64_t for_us =
        chance(r, 700000) ? draw(r, 100 * MS, 2 * SECOND) : draw(r, SECOND, 9 * SECOND);
    bool is_held = chance(r, 500000);
    switch ((int)kind) {
    case FAULT_NODE_CRASH:
        crash_node(w, kind, node, for_us);
        break;
    case FAULT_NODE_PAUSE:
        pause_node(w, node, for_us);
        break;
    case FAULT_NODE_ISOLATE:
        fault_bit(w, kind, node, 0, for_us);
        isolate_node(w, node, for_us, is_held);
        break;
    case FAULT_NODE_CUT:
        fault_bit(w, kind, node, other, for_us);
        fault_cut_both(w, ADDRESS_NODE + node, ADDRESS_NODE + other, for_us, is_held);
        break;
    case FAULT_NODE_CUT_ONE_WAY:
        fault_bit(w, kind, node, other, for_us);
        net_cut(w, ADDRESS_NODE + node, ADDRESS_NODE + other, w->now_us + for_us, is_held);
        break;
    case FAULT_QUORUM_LOST:
        quorum_lost(w, for_us);
        break;
    case FAULT_DISK_HANG:
        fault_bit(w, kind, node, 0, for_us);
        hang_disks(w, node, for_us);
        break;
    case FAULT_DISK_FAIL:
        fault_bit(w, kind, node, 0, 0);
        disk_fail_next_sync(chance(r, 500000) ? node_log(w, node) : node_state(w, node));
        break;
    case FAULT_RESET:
        reset_links(w);
        break;
    case FAULT_SLOW_LINK:
        slow_links(w, for_us);
        break;
    case FAULT_LEADER_FLIP:
        leader_flip(w);
        break;
    case FAULT_ROLLING:
        for (unsigned i = 0; i < w->setup.slots; i++) {
            crash_node(w, kind, i, draw(r, 50 * MS, SECOND));
        }
        break;
    default:
        break;
    }
}

static void heal(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    (void)number;
    (void)bytes;
    trace(w, TRACE_MARK, 1, 0, 0, 0);
    net_heal_all(w);
    w->setup.is_vote_crash = false;
    w->setup.loss_ppm = w->setup.double_ppm = w->setup.late_ppm = 0;
    for (unsigned i = 0; i < w->setup.slots; i++) {
        process_thaw(w, node_process(w, i), STOPPED_BY_FAULT);
        disk_hang_until(node_log(w, i), 0);
        disk_hang_until(node_state(w, i), 0);
        start_node(w, i, SLICE_EMPTY);
    }
    faults_db_heal(w);
}

static enum fault_kind draw_kind(struct faults *f)
{
    unsigned at = (unsigned)draw(&f->rand, 0, f->weight_sum - 1);
    enum fault_kind kind = 0;
    while (at >= f->weight[kind]) {
        at -= f->weight[kind++];
    }
    return kind;
}

static void strike(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    struct faults *f = w->faults;
    (void)number;
    (void)bytes;
    if (w->now_us >= w->setup.faults_end_us) {
        return;
    }
    enum fault_kind kind = draw_kind(f);
    if (kind >= FAULT_FIRST_DATABASE && kind != FAULT_ROLLING) {
        faults_db_strike(w, kind);
    } else {
        strike_quorum(w, kind);
    }
    world_at(w, w->now_us + draw(&f->rand, 100 * MS, f->gap_max_us), NULL, strike, w);
}

void faults_open(struct world *w)
{
    static const unsigned weights[] = {0, 0, 1, 1, 3};
    struct faults *f = w->faults = must_alloc(1, sizeof(*f));
    f->rand = world_stream(w, STREAM_FAULTS, 0);
    for (int kind = 0; kind < FAULT_DRAWN_COUNT; kind++) {
        bool is_database = kind >= (int)FAULT_FIRST_DATABASE && kind != FAULT_ROLLING;
        f->weight[kind] = weights[draw(&f->rand, 0, 4)];
        if (is_database && !w->setup.has_databases) {
            f->weight[kind] = 0;
        }
        f->weight_sum += f->weight[kind];
    }
    f->gap_max_us = draw(&f->rand, SECOND, 12 * SECOND);
    if (w->setup.is_calm || f->weight_sum == 0) {
        return;
    }
    world_at(w, w->now_us + draw(&f->rand, 5 * SECOND, 12 * SECOND), NULL, strike, w);
    world_at(w, w->setup.faults_end_us, NULL, heal, w);
}

void faults_close(struct world *w)
{
    free(w->faults);
    w->faults = NULL;
}
