/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong: the plan's schedule of faults is carried out, with a preference for whoever
 * leads or holds. Every fault has a counter of how often it really bit (fault_kinds.h is the table;
 * a new fault is a line there and a function here or in faults_*.c).
 */
#ifndef QUORATE_TESTS_SIM_FAULTS_H
#define QUORATE_TESTS_SIM_FAULTS_H

#include "tests/sim/plan.h"
#include "tests/sim/world.h"

/* A fault that strikes now. All it draws comes from `rand`, which is its own. */
struct strike {
    unsigned number; /* on the schedule */
    enum fault_kind kind;
    struct base_rand rand;
};

/* Strikes as the plan says; the plan must live as long as the world. */
void faults_open(struct world *w, const struct plan *plan);
const char *fault_name(enum fault_kind kind);
bool fault_find(const char *name, enum fault_kind *ret);

/* --- for those that do faults --- */
#define FAULT_DECLARE(id, name, group, floor, fn) void fn(struct world *w, struct strike *s);
FAULT_KINDS_DRAWN(FAULT_DECLARE)
#undef FAULT_DECLARE
#define FAULT_DECLARE(id, name, floor, fn) void fn(struct world *w, struct strike *s);
FAULT_KINDS_GALERA(FAULT_DECLARE)
FAULT_KINDS_HOSTS(FAULT_DECLARE)
FAULT_KINDS_MONGODB(FAULT_DECLARE)
#undef FAULT_DECLARE

/* It had an effect: counts and tells; counts only. */
void fault_bit(struct world *w, enum fault_kind kind, unsigned who, unsigned other, int64_t for_us);
void fault_count(struct world *w, enum fault_kind kind);
/* A quorum node, rather the leader; any place. */
unsigned strike_node(struct world *w, struct strike *s);
unsigned strike_place(struct world *w, struct strike *s);
void fault_cut_both(struct world *w, unsigned a, unsigned b, int64_t for_us, bool is_held);

/* --- of a database host, whatever runs there (faults_host.c); those with a strike count it where
 * it had an effect --- */
void host_power_fails(struct world *w, const struct strike *s, unsigned member, int64_t for_us);
void host_agent_crashes(struct world *w, const struct strike *s, unsigned member, int64_t for_us);
void host_agent_pauses(struct world *w, const struct strike *s, unsigned member, int64_t for_us);
void host_guard_crashes(struct world *w, const struct strike *s, unsigned member);
/* From every quorum node. */
void host_agent_is_cut(struct world *w, unsigned member, int64_t for_us);
void host_servers_are_cut(struct world *w, unsigned a, unsigned b, int64_t for_us, bool is_one_way);

#endif
