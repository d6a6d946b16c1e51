/* SPDX-License-Identifier: Apache-2.0 */
/* The schedule of faults is carried out, and ends; names. */
#include "tests/sim/faults.h"

#include <string.h>

#include "base/canary.h"
#include "tests/sim/faults_db.h"
#include "tests/sim/faults_gal.h"
#include "tests/sim/faults_mongo.h"
#include "tests/sim/luck.h"
#include "tests/sim/net.h"
#include "tests/sim/nodes.h"

static const char *const names[FAULT_KIND_COUNT] = {
#define FAULT_NAME(id, name, group, floor, fn) [FAULT_##id] = name,
    FAULT_KINDS_DRAWN(FAULT_NAME)
#undef FAULT_NAME
#define FAULT_NAME(id, name, floor) [FAULT_##id] = name,
        FAULT_KINDS_OTHER(FAULT_NAME)
#undef FAULT_NAME
#define FAULT_NAME(id, name, floor, fn) [FAULT_##id] = name,
            FAULT_KINDS_GALERA(FAULT_NAME)
#undef FAULT_NAME
                [FAULT_GALERA_TAIL_LOST] = "galera-tail-lost",
#define FAULT_NAME(id, name, floor, fn) [FAULT_##id] = name,
    FAULT_KINDS_HOSTS(FAULT_NAME)
#undef FAULT_NAME
        [FAULT_WATCHDOG_RESET] = "watchdog-reset",
#define FAULT_NAME(id, name, floor, fn) [FAULT_##id] = name,
    FAULT_KINDS_MONGODB(FAULT_NAME)
#undef FAULT_NAME
};

typedef void strike_fn(struct world *w, struct strike *s);
static strike_fn *const strikes[FAULT_KIND_COUNT] = {
#define FAULT_STRIKE(id, name, group, floor, fn) [FAULT_##id] = fn,
    FAULT_KINDS_DRAWN(FAULT_STRIKE)
#undef FAULT_STRIKE
#define FAULT_STRIKE(id, name, floor, fn) [FAULT_##id] = fn,
        FAULT_KINDS_GALERA(FAULT_STRIKE) FAULT_KINDS_HOSTS(FAULT_STRIKE)
            FAULT_KINDS_MONGODB(FAULT_STRIKE)
#undef FAULT_STRIKE
};

const char *fault_name(enum fault_kind kind)
{
    return names[kind];
}

bool fault_find(const char *name, enum fault_kind *ret)
{
    for (int kind = 0; kind < FAULT_KIND_COUNT; kind++) {
        if (strcmp(name, names[kind]) == 0) {
            *ret = (enum fault_kind)kind;
            return true;
        }
    }
    return false;
}

void fault_count(struct world *w, enum fault_kind kind)
{
    w->tally.bit[kind]++;
}

void fault_bit(struct world *w, enum fault_kind kind, unsigned who, unsigned other, int64_t for_us)
{
    fault_count(w, kind);
    trace(w, TRACE_FAULT, kind, who, other, (uint64_t)for_us);
    if (w->bites_count < BITES_MAX) {
        w->bite_numbers[w->bites_count] = w->striking;
        w->bites[w->bites_count++] =
            (struct trace_record){w->now_us, TRACE_FAULT, {kind, who, other, (uint64_t)for_us}};
    }
}

static void strike(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    struct planned_fault f;
    memcpy(&f, bytes.data, sizeof(f));
    struct strike s = {(unsigned)number, f.kind, world_stream(w, STREAM_STRIKE, number)};
    w->striking = f.number;
    if (f.kind != FAULT_NODE_PAUSE || !CANARY(FAULT_DOES_NOTHING)) {
        strikes[f.kind](w, &s);
    }
    w->striking = 0;
}

/* The end of all faults. */
static void heal(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    (void)number;
    (void)bytes;
    trace(w, TRACE_HEAL, 0, 0, 0, 0);
    net_heal_all(w);
    w->setup.is_vote_crash = false;
    w->setup.loss_ppm = w->setup.double_ppm = w->setup.late_ppm = 0;
    for (unsigned i = 0; i < w->setup.slots; i++) {
        process_thaw(w, node_process(w, i), STOPPED_BY_FAULT);
        disk_heal(node_log(w, i));
        disk_heal(node_state(w, i));
        if (!node_process(w, i)->is_up) {
            node_start(w, i);
        }
    }
    faults_db_heal(w);
    faults_gal_heal(w);
    faults_mongo_heal(w);
    luck_heal(w);
}

void faults_open(struct world *w, const struct plan *plan)
{
    for (size_t i = 0; i < plan->faults_count; i++) {
        const struct planned_fault *f = &plan->faults[i];
        world_at_with(w, f->at_us, NULL, strike, w, f->number,
                      slice_from((const void *)f, sizeof(*f)));
    }
    if (!w->setup.is_calm) {
        world_at(w, w->setup.faults_end_us, NULL, heal, w);
    }
}
