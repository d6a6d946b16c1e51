/* SPDX-License-Identifier: Apache-2.0 */
/* Plans: the schedule of faults, drawn up front. */
#include "tests/sim/plan.h"

#include <stdlib.h>

#include "base/slice.h"
#include "tests/sim/world.h"

enum fault_group { GROUP_NODE, GROUP_DATABASE, GROUP_STANDSTILL };

static const enum fault_group groups[FAULT_DRAWN_COUNT] = {
#define FAULT_GROUP(id, name, group, floor, fn) [FAULT_##id] = GROUP_##group,
    FAULT_KINDS_DRAWN(FAULT_GROUP)
#undef FAULT_GROUP
};

#define OFTEN 30u

static unsigned draw_weight(const struct plan *p, const struct setup_wish *wish,
                            enum fault_kind kind)
{
    static const unsigned choice[] = {0, 0, 1, 1, 3};
    struct base_rand r = seed_stream(p->seed, STREAM_WEIGHT, kind);
    unsigned weight = wish->is_often[kind] ? OFTEN : choice[draw(&r, 0, 4)];
    if (kind == FAULT_GALERA_BY_HAND) { /* few seeds allow it */
        return p->setup.has_hands ? weight + 1 : 0;
    }
    if (kind == FAULT_MONGODB_RESTORED) { /* few seeds allow it */
        return p->setup.is_mongodb_restored ? weight + 1 : 0;
    }
    if (kind >= FAULT_MONGODB_FIRST) {
        return p->setup.mongodb_members > 0 ? 2 * weight : 0;
    }
    if (kind >= FAULT_HOSTS_FIRST) {
        return p->setup.watchdog_ms > 0 ? weight + 2 : 0;
    }
    if (kind >= FAULT_GALERA_FIRST) {
        return p->setup.galera_members > 0 ? weight : 0;
    }
    switch (groups[kind]) {
    case GROUP_DATABASE:
        return p->setup.has_databases ? weight : 0;
    case GROUP_STANDSTILL: /* few seeds allow it, so all of them have it */
        return p->setup.has_databases && p->setup.is_standstill ? weight + 3 : 0;
    case GROUP_NODE:
        break;
    }
    return weight;
}

bool plan_may_have(enum fault_kind kind)
{
    return kind < FAULT_DRAWN_COUNT ||
           (kind >= FAULT_GALERA_FIRST && kind < FAULT_GALERA_TAIL_LOST) ||
           (kind >= FAULT_HOSTS_FIRST && kind < FAULT_WATCHDOG_RESET) ||
           kind >= FAULT_MONGODB_FIRST;
}

/* Which kinds this seed uses, and how much: each kind has a stream of its own for that. */
static unsigned draw_weights(const struct plan *p, const struct setup_wish *wish,
                             unsigned *ret_weights)
{
    unsigned sum = 0;
    for (unsigned kind = 0; kind < FAULT_KIND_COUNT; kind++) {
        bool is_drawn = plan_may_have((enum fault_kind)kind);
        ret_weights[kind] = is_drawn ? draw_weight(p, wish, (enum fault_kind)kind) : 0;
        sum += ret_weights[kind];
    }
    return sum;
}

static enum fault_kind draw_kind(struct base_rand *r, const unsigned *weights, unsigned sum)
{
    unsigned at = (unsigned)draw(r, 0, sum - 1), kind = 0;
    while (at >= weights[kind]) {
        at -= weights[kind++];
    }
    return (enum fault_kind)kind;
}

/* The set's own faults wait until its ladder has been climbed, or its story is told. An order that
 * is to fail needs a quorum that is well: each new leader waits its limit anew. */
static bool is_quiet(const struct setup *s, enum fault_kind kind, int64_t at_us)
{
    bool is_of_set = kind >= FAULT_MONGODB_FIRST;
    if (s->has_mongodb_token && at_us >= MONGODB_LOST_US) {
        return true;
    }
    if (s->has_mongodb_token || s->has_mongodb_parted) {
        return is_of_set;
    }
    return s->has_mongodb_ladder && is_of_set && at_us < MONGODB_LADDER_END_US;
}

void plan_draw(uint64_t seed, const struct setup_wish *wish, struct plan *ret)
{
    unsigned weights[FAULT_KIND_COUNT];
    ret->seed = seed;
    ret->faults_count = 0;
    ret->hash_until_us = 0;
    setup_draw(seed, wish, &ret->setup);
    unsigned sum = draw_weights(ret, wish, weights);
    if (ret->setup.is_calm || sum == 0) {
        return;
    }
    struct base_rand r = seed_stream(seed, STREAM_FAULTS, 0);
    int64_t gap_max_us = draw(&r, SECOND, 12 * SECOND);
    int64_t at_us = draw(&r, 5 * SECOND, 12 * SECOND);
    while (at_us < ret->setup.faults_end_us && ret->faults_count < PLAN_FAULTS_MAX) {
        enum fault_kind kind = draw_kind(&r, weights, sum);
        if (!is_quiet(&ret->setup, kind, at_us)) {
            struct planned_fault *f = &ret->faults[ret->faults_count++];
            *f = (struct planned_fault){(unsigned)ret->faults_count, at_us, kind};
        }
        at_us += draw(&r, 100 * MS, gap_max_us);
    }
}

static bool keep(struct plan *p, const char *numbers, bool is_only)
{
    static bool is_listed[PLAN_FAULTS_MAX + 1];
    for (size_t i = 0; i <= PLAN_FAULTS_MAX; i++) {
        is_listed[i] = false;
    }
    for (const char *at = numbers; *at != '\0';) {
        char *end = NULL;
        unsigned long number = strtoul(at, &end, 10);
        if (end == at || number > PLAN_FAULTS_MAX || (*end != ',' && *end != '\0')) {
            return false;
        }
        is_listed[number] = true;
        at = *end == ',' ? end + 1 : end;
    }
    size_t kept = 0;
    for (size_t i = 0; i < p->faults_count; i++) {
        if (is_listed[p->faults[i].number] == is_only) {
            p->faults[kept++] = p->faults[i];
        }
    }
    p->faults_count = kept;
    return true;
}

bool plan_keep_only(struct plan *p, const char *numbers)
{
    return keep(p, numbers, true);
}

bool plan_keep_others(struct plan *p, const char *numbers)
{
    return keep(p, numbers, false);
}
