/* SPDX-License-Identifier: Apache-2.0 */
/* Faults of links: flapping, clogging, old frames that come again. */
#include <string.h>

#include "tests/sim/faults.h"
#include "tests/sim/net.h"
#include "tests/sim/nodes.h"

/* Links between a node and everybody, or one other; cut and whole in turn. */
struct flapping {
    unsigned node, other; /* other == node: everybody */
    int64_t until_us, half_us;
    bool is_one_way;
};

static void flap(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    struct flapping f;
    (void)number;
    memcpy(&f, bytes.data, sizeof(f));
    if (w->now_us >= f.until_us || w->now_us >= w->setup.faults_end_us) {
        return;
    }
    int64_t cut_until_us = w->now_us + f.half_us;
    for (unsigned to = 0; to < ADDRESSES; to++) {
        if (to == f.node || (f.other != f.node && to != f.other)) {
            continue;
        }
        net_cut(w, f.node, to, cut_until_us, false);
        if (!f.is_one_way) {
            net_cut(w, to, f.node, cut_until_us, false);
        }
    }
    world_at_with(w, w->now_us + 2 * f.half_us, NULL, flap, w, 0, bytes);
}

void strike_flapping(struct world *w, struct strike *s)
{
    struct flapping f;
    memset(&f, 0, sizeof(f));
    f.node = ADDRESS_NODE + strike_node(w, s);
    f.other = chance(&s->rand, 500000) ? f.node : ADDRESS_NODE + strike_place(w, s);
    f.half_us = draw(&s->rand, 20 * MS, 600 * MS);
    f.is_one_way = chance(&s->rand, 300000);
    int64_t for_us = draw(&s->rand, SECOND, 8 * SECOND);
    f.until_us = w->now_us + for_us;
    fault_bit(w, s->kind, f.node, 0, for_us);
    flap(w, 0, slice_from((const void *)&f, sizeof(f)));
}

/* What a node sends to another, or to all, stays on the way and comes all at once. */
void strike_clog(struct world *w, struct strike *s)
{
    unsigned node = strike_node(w, s), other = strike_place(w, s);
    bool is_all = chance(&s->rand, 400000);
    int64_t for_us = draw(&s->rand, 200 * MS, 6 * SECOND);
    fault_bit(w, s->kind, ADDRESS_NODE + node, 0, for_us);
    for (unsigned to = 0; to < ADDRESSES; to++) {
        if (is_all || to == ADDRESS_NODE + other) {
            net_clog(w, ADDRESS_NODE + node, to, w->now_us + for_us);
        }
    }
}

/* Frames that arrived long ago arrive again. */
void strike_replay(struct world *w, struct strike *s)
{
    unsigned count = net_replay(w, &s->rand, (unsigned)draw(&s->rand, 1, 12));
    if (count > 0) {
        fault_bit(w, s->kind, 0, 0, 0);
    }
}
