/* SPDX-License-Identifier: Apache-2.0 */
/* A strike arms a point; the next node that comes there has the bad luck, and it counts then. */
#include "tests/sim/luck.h"

#include <stdlib.h>

#include "base/failpoint.h"
#include "tests/sim/faults.h"
#include "tests/sim/nodes.h"

/* Points that the simulated nodes pass. */
static const enum base_failpoint points[] = {
    BASE_FAILPOINT_SEND,
    BASE_FAILPOINT_LOG_STATE,
    BASE_FAILPOINT_LOG_WRITE,
    BASE_FAILPOINT_LOG_WRITTEN,
    BASE_FAILPOINT_APPLY_ENTRY,
    BASE_FAILPOINT_APPLY_MEMBERS,
    BASE_FAILPOINT_APPLY_END,
    BASE_FAILPOINT_SNAPSHOT_MAKE,
    BASE_FAILPOINT_SNAPSHOT_READ,
    BASE_FAILPOINT_SNAPSHOT_SEND,
    BASE_FAILPOINT_SNAPSHOT_BEGIN,
    BASE_FAILPOINT_SNAPSHOT_WRITTEN,
    BASE_FAILPOINT_IMAGE_INTENT,
    BASE_FAILPOINT_SNAPSHOT_INSTALL,
    BASE_FAILPOINT_SNAPSHOT_INSTALLED,
    BASE_FAILPOINT_IMAGE_RESET,
    BASE_FAILPOINT_MEMBERS_CHANGE,
};

struct luck {
    bool is_armed;
    enum base_failpoint point;
    enum fault_kind kind;
    unsigned number; /* of the strike */
    int64_t for_us;
    uint64_t passes; /* of the point before it happens */
};

#ifdef QUORATE_CANARIES
static struct world *current;

/* The node whose code runs now; NODES_MAX: none. */
static unsigned running_node(struct world *w)
{
    unsigned node = 0;
    while (node < w->setup.slots && node_process(w, node) != w->running) {
        node++;
    }
    return node < w->setup.slots ? node : NODES_MAX;
}

static void start_again(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    (void)bytes;
    if (!node_process(w, (unsigned)number)->is_up) {
        node_start(w, (unsigned)number);
    }
}

static void die(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    (void)bytes;
    node_crash(w, (unsigned)number, 1);
    world_at_with(w, w->now_us + 500 * MS, NULL, start_again, w, number, SLICE_EMPTY);
}

static int happen(struct world *w, unsigned node)
{
    struct luck *l = w->luck;
    l->is_armed = false;
    w->striking = l->number;
    fault_bit(w, l->kind, node, (unsigned)l->point, l->for_us);
    w->striking = 0;
    if (l->kind == FAULT_LUCK_PAUSE) {
        process_pause(w, node_process(w, node), l->for_us);
        return 0;
    }
    if (l->kind == FAULT_LUCK_CRASH) {
        world_at_with(w, w->now_us, node_process(w, node), die, w, node, SLICE_EMPTY);
        return 0;
    }
    return BASE_E_IO;
}

static int hook(enum base_failpoint point)
{
    struct luck *l = current->luck;
    if (!l->is_armed || l->point != point || l->passes-- > 0) {
        return 0;
    }
    unsigned node = running_node(current);
    if (node == NODES_MAX) {
        l->passes = 1;
        return 0;
    }
    return happen(current, node);
}
#endif

static void arm(struct world *w, struct strike *s)
{
    size_t at = (size_t)draw(&s->rand, 0, (int64_t)BASE_COUNT_OF(points) - 1);
    *w->luck = (struct luck){.is_armed = true,
                             .point = points[at],
                             .kind = s->kind,
                             .number = s->number,
                             .for_us = draw(&s->rand, 50 * MS, 1500 * MS),
                             .passes = (uint64_t)draw(&s->rand, 0, 4)};
}

void strike_luck_fail(struct world *w, struct strike *s)
{
    arm(w, s);
}

void strike_luck_pause(struct world *w, struct strike *s)
{
    arm(w, s);
}

void strike_luck_crash(struct world *w, struct strike *s)
{
    arm(w, s);
}

void luck_open(struct world *w)
{
    w->luck = must_alloc(1, sizeof(*w->luck));
#ifdef QUORATE_CANARIES
    current = w;
    base_failpoint_set(hook);
#endif
}

void luck_close(struct world *w)
{
#ifdef QUORATE_CANARIES
    base_failpoint_set(NULL);
#endif
    free(w->luck);
    w->luck = NULL;
}

void luck_heal(struct world *w)
{
    w->luck->is_armed = false;
}
