/* SPDX-License-Identifier: Apache-2.0 */
/* The order in which the recorded set (V, r) and the database's set (S, k) move to a target (T, t).
 *
 * Safe is exactly |S \ V| <= k - r. One order does for every change: widen the record, change the
 * database, wait for the barrier, narrow the record. Each step leaves a safe state, may be followed
 * by a crash, and the target may be another one at the next step. Pure; the arbiter asks again
 * after each report and carries out one step at a time. The exhaustive test walks all small sets
 * with positions.
 */
#ifndef QUORATE_ARBITER_CORE_SYNCSET_H
#define QUORATE_ARBITER_CORE_SYNCSET_H

#include "arbiter/core/names.h"

/* A set and how many of it: (V, r), (S, k) or (T, t). */
struct arb_set {
    struct msg_names names;
    uint8_t count;
};

enum arb_sync_kind {
    ARB_SYNC_DONE,     /* record and database are at the target */
    ARB_SYNC_WIDEN,    /* put `set` into the record: a superset with a count not above */
    ARB_SYNC_DATABASE, /* put `set` (the target) in force in the database */
    ARB_SYNC_WAIT,     /* for the barrier of exactly the target */
    ARB_SYNC_NARROW,   /* put `set` (the target) into the record */
    ARB_SYNC_STUCK,    /* the united set has no room (more than MSG_MEMBERS_MAX names) */
};

struct arb_sync_step {
    enum arb_sync_kind kind;
    struct arb_set set;
};

struct arb_sync_state {
    struct arb_set record;   /* V, r */
    bool is_database_known;  /* false: (S, k) is not to be relied on; never narrows then */
    struct arb_set database; /* S, k: in force in every walsender, and no other wish under way */
    bool is_barrier_passed;  /* for exactly S, k */
};

bool arb_set_equal(const struct arb_set *a, const struct arb_set *b);
/* |S \ V| <= k - r */
bool arb_sync_is_safe(const struct arb_set *record, const struct arb_set *database);
/* Voters needed: max(1, |V| - r + 1); 0 when r is 0 and no number suffices. */
uint8_t arb_votes_needed(const struct arb_set *record);

struct arb_sync_step arb_sync_plan(const struct arb_sync_state *state,
                                   const struct arb_set *target);

#endif
