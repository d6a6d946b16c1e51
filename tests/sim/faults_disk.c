/* SPDX-License-Identifier: Apache-2.0 */
/* Faults of a node's disks and clocks: hanging, failing, full; jumps of the wall clock. */
#include "tests/sim/faults.h"
#include "tests/sim/nodes.h"

/* One of a node's disks, or both. */
static void hang_disks(struct world *w, struct strike *s, unsigned node, int64_t for_us)
{
    int64_t which = draw(&s->rand, 0, 3);
    if (which != 1) {
        disk_hang_until(node_log(w, node), w->now_us + for_us);
    }
    if (which != 2) {
        disk_hang_until(node_state(w, node), w->now_us + for_us);
    }
}

static struct disk *draw_disk(struct world *w, struct strike *s, unsigned node)
{
    return chance(&s->rand, 500000) ? node_log(w, node) : node_state(w, node);
}

void strike_disk_hang(struct world *w, struct strike *s)
{
    unsigned node = strike_node(w, s);
    int64_t for_us = draw(&s->rand, 100 * MS, chance(&s->rand, 700000) ? 2 * SECOND : 9 * SECOND);
    fault_bit(w, s->kind, node, 0, for_us);
    hang_disks(w, s, node, for_us);
}

void strike_disk_fail(struct world *w, struct strike *s)
{
    unsigned node = strike_node(w, s);
    fault_bit(w, s->kind, node, 0, 0);
    disk_fail_next_sync(draw_disk(w, s, node));
}

/* One write of some that follow fails; the process has to stop. Counted when it does. */
void strike_write_fail(struct world *w, struct strike *s)
{
    unsigned node = strike_node(w, s);
    disk_fail_write(draw_disk(w, s, node), (uint64_t)draw(&s->rand, 1, 30));
}

void strike_node_disk_full(struct world *w, struct strike *s)
{
    unsigned node = strike_node(w, s);
    int64_t for_us = draw(&s->rand, 200 * MS, 6 * SECOND);
    disk_full_until(draw_disk(w, s, node), w->now_us + for_us);
}

/* Leadership goes away and comes back while the others' disks stall: what lies in a log is then
 * uncertain. */
void strike_leader_flip(struct world *w, struct strike *s)
{
    int leader = nodes_leader(w);
    if (leader < 0 || w->setup.nodes < 3) {
        return;
    }
    fault_bit(w, s->kind, (unsigned)leader, 0, 0);
    for (unsigned i = 0; i < w->setup.slots; i++) {
        if (i != (unsigned)leader) {
            hang_disks(w, s, i, draw(&s->rand, 40 * MS, 300 * MS));
        }
    }
    process_pause(w, node_process(w, (unsigned)leader), draw(&s->rand, 100 * MS, 900 * MS));
}

/* Somebody sets the clock: nothing that matters may look at it. */
void strike_wall_jump(struct world *w, struct strike *s)
{
    unsigned node = strike_node(w, s);
    struct host_clock *c = node_process(w, node)->clock;
    bool is_far = chance(&s->rand, 500000);
    int64_t most_us = is_far ? 86400 * 365 * SECOND : 100 * SECOND;
    c->wall_offset_us = draw(&s->rand, -most_us, most_us);
    fault_bit(w, s->kind, node, 0, 0);
}
