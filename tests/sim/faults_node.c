/* SPDX-License-Identifier: Apache-2.0 */
/* Faults of quorum nodes, their disks and links. */
#include "tests/sim/faults.h"
#include "tests/sim/net.h"
#include "tests/sim/nodes.h"

/* --- what strikes have in common --- */

unsigned strike_place(struct world *w, struct strike *s)
{
    return (unsigned)draw(&s->rand, 0, w->setup.slots - 1);
}

unsigned strike_node(struct world *w, struct strike *s)
{
    int leader = nodes_leader(w);
    bool is_leader = chance(&s->rand, 550000);
    unsigned node = strike_place(w, s);
    return is_leader && leader >= 0 ? (unsigned)leader : node;
}

static int64_t strike_for(struct strike *s)
{
    return chance(&s->rand, 700000) ? draw(&s->rand, 100 * MS, 2 * SECOND)
                                    : draw(&s->rand, SECOND, 9 * SECOND);
}

void fault_cut_both(struct world *w, unsigned a, unsigned b, int64_t for_us, bool is_held)
{
    net_cut(w, a, b, w->now_us + for_us, is_held);
    net_cut(w, b, a, w->now_us + for_us, is_held);
}

/* --- processes --- */

static void start_node(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    (void)bytes;
    if (!node_process(w, (unsigned)number)->is_up) {
        node_start(w, (unsigned)number);
    }
}

static void down_for(struct world *w, unsigned node, int64_t down_us)
{
    node_crash(w, node, 1);
    world_at_with(w, w->now_us + down_us, NULL, start_node, w, node, SLICE_EMPTY);
}

static void crash_node(struct world *w, enum fault_kind kind, unsigned node, int64_t down_us)
{
    if (node_process(w, node)->is_up) {
        fault_bit(w, kind, node, 0, down_us);
        down_for(w, node, down_us);
    }
}

void strike_node_crash(struct world *w, struct strike *s)
{
    unsigned node = strike_node(w, s);
    crash_node(w, s->kind, node, strike_for(s));
}

void strike_rolling(struct world *w, struct strike *s)
{
    for (unsigned i = 0; i < w->setup.slots; i++) {
        crash_node(w, s->kind, i, draw(&s->rand, 50 * MS, SECOND));
    }
}

void strike_node_pause(struct world *w, struct strike *s)
{
    unsigned node = strike_node(w, s);
    int64_t for_us = strike_for(s);
    struct process *p = node_process(w, node);
    if (p->is_up) {
        fault_bit(w, s->kind, node, 0, for_us);
        process_pause(w, p, for_us);
    }
}

/* --- links --- */

static void isolate_node(struct world *w, unsigned node, int64_t for_us, bool is_held)
{
    for (unsigned other = 0; other < ADDRESSES; other++) {
        if (other != ADDRESS_NODE + node) {
            fault_cut_both(w, ADDRESS_NODE + node, other, for_us, is_held);
        }
    }
}

void strike_node_isolate(struct world *w, struct strike *s)
{
    unsigned node = strike_node(w, s);
    int64_t for_us = strike_for(s);
    fault_bit(w, s->kind, node, 0, for_us);
    isolate_node(w, node, for_us, chance(&s->rand, 500000));
}

void strike_node_cut(struct world *w, struct strike *s)
{
    unsigned node = strike_node(w, s), other = strike_place(w, s);
    int64_t for_us = strike_for(s);
    if (node != other) {
        fault_bit(w, s->kind, node, other, for_us);
        fault_cut_both(w, ADDRESS_NODE + node, ADDRESS_NODE + other, for_us,
                       chance(&s->rand, 500000));
    }
}

void strike_node_cut_one_way(struct world *w, struct strike *s)
{
    unsigned node = strike_node(w, s), other = strike_place(w, s);
    int64_t for_us = strike_for(s);
    if (node != other) {
        fault_bit(w, s->kind, node, other, for_us);
        net_cut(w, ADDRESS_NODE + node, ADDRESS_NODE + other, w->now_us + for_us,
                chance(&s->rand, 500000));
    }
}

void strike_quorum_lost(struct world *w, struct strike *s)
{
    unsigned from = strike_node(w, s), count = w->setup.slots / 2 + 1;
    int64_t for_us = strike_for(s);
    fault_bit(w, s->kind, from, count, for_us);
    for (unsigned i = 0; i < count; i++) {
        unsigned node = (from + i) % w->setup.slots;
        if (chance(&s->rand, 500000)) {
            isolate_node(w, node, for_us, false);
        } else if (node_process(w, node)->is_up) {
            down_for(w, node, for_us);
        }
    }
}

void strike_reset(struct world *w, struct strike *s)
{
    unsigned node = strike_node(w, s);
    fault_bit(w, s->kind, node, 0, 0);
    for (unsigned other = 0; other < ADDRESSES; other++) {
        if (chance(&s->rand, 600000)) {
            net_reset(w, ADDRESS_NODE + node, other);
        }
    }
}

/* Everything that one address sends is slow. */
void strike_slow_link(struct world *w, struct strike *s)
{
    unsigned from = (unsigned)draw(&s->rand, 0, ADDRESSES - 1);
    int64_t extra_us = draw(&s->rand, 20 * MS, 400 * MS), for_us = strike_for(s);
    fault_bit(w, s->kind, from, 0, extra_us);
    for (unsigned to = 0; to < ADDRESSES; to++) {
        net_slow(w, from, to, w->now_us + for_us, extra_us);
    }
}
