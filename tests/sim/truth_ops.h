/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants of what people ask for: pauses, fences, drained members, orders to members, failsafe
 * rounds. */
#ifndef QUORATE_TESTS_SIM_TRUTH_OPS_H
#define QUORATE_TESTS_SIM_TRUTH_OPS_H

#include "arbiter/driver.h"
#include "tests/sim/truth.h"
#include "tests/sim/truth_inner.h"

#define INVARIANT_PAUSE "nobody-acts-in-a-pause"
#define INVARIANT_PAUSED_RIGHT "paused-right-has-no-end"
#define INVARIANT_FENCED_EPOCH "fenced-epoch-is-over"
#define INVARIANT_FENCE_REQUIRED "fence-before-failover"
#define INVARIANT_DRAINED "drained-is-not-chosen"
#define INVARIANT_TASK "task-ends-by-its-word"
#define INVARIANT_REINIT "reinit-behind-the-set"
#define INVARIANT_FAILSAFE "candidate-was-asked"
#define INVARIANT_FAILSAFE_GRANT "failsafe-grant-holds"

/* The newest record of a cluster; false: none. */
bool truth_ops_record(const struct world *w, unsigned cluster, struct msg_record *ret);
/* An operator's word was taken: the holder of the present epoch is dead; something is cancelled. */
void truth_ops_dead(struct world *w, unsigned cluster);
void truth_ops_cancelled(struct world *w, unsigned cluster);
/* A node runs the fence command; how it ended, as the node is told. */
void truth_ops_fence(struct world *w, unsigned cluster, uint64_t epoch);
void truth_ops_fenced(struct world *w, unsigned cluster, uint64_t epoch, bool is_said);
/* A failsafe request leaves a holder; a member's granted answer comes back. */
void truth_ops_asked(struct world *w, const struct member *m, struct slice ask);
void truth_ops_answered(struct world *w, const struct member *m, unsigned by, struct slice answer);

/* The agent has its guard start the database. */
void truth_ops_starts(struct world *w, const struct member *m);
/* A member answers such a request: what it grants binds it. */
void truth_ops_granted(struct world *w, const struct member *m, struct slice ask,
                       struct slice answer);
/* An operator's force was accepted: the next epoch costs what it costs. */
void truth_ops_forced(struct world *w, unsigned cluster);

/* For truth_*.c. A member votes. */
void truth_ops_votes(struct world *w, const struct member *m, const struct msg_report *report);
/* Its right ended by an operator's word or by a fence. */
bool truth_ops_is_ended(const struct truth_db *t);
/* Its guard may be disarmed: it has heard of a pause. */
bool truth_ops_is_unarmed(struct world *w, const struct member *m);
void truth_ops_swapped(struct world *w, unsigned node, unsigned cluster,
                       const struct msg_record *new);
void truth_ops_changes(struct world *w, struct truth_db *t, const struct msg_record *new);
void truth_ops_grants(struct world *w, unsigned node, unsigned cluster, uint64_t epoch);
void truth_ops_report(struct world *w, const struct member *m, const struct msg_report *report);
void truth_ops_ordered(struct world *w, const struct member *m, const struct db_order *order);

#endif
