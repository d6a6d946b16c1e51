/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants of the lease, each next to its sentence in section 2 of the safety rules: what a grant
 * rests on, what a deadline counts from, how long a leader waits, what a handback ends. They see
 * what is sent and when, by the clocks of those who send it, and no fault and no planted bug. */
#ifndef QUORATE_TESTS_SIM_TRUTH_LEASE_H
#define QUORATE_TESTS_SIM_TRUTH_LEASE_H

#include "proto/msg/agent.h"
#include "tests/sim/world.h"

#define INVARIANT_GRANT_ROUND "grant-after-round"
#define INVARIANT_GRANT_READY "grant-after-own-term"
#define INVARIANT_DEADLINE "deadline-from-report"
#define INVARIANT_WAITS "leader-waits-out"
#define INVARIANT_HANDBACK_FINAL "handback-is-final"
#define INVARIANT_FLOOR_EPOCH "floor-epoch-of-the-choice"

struct member;
struct truth_lease;

struct truth_lease *truth_lease_new(void);

/* A report leaves its agent; a quorum node takes it in. */
void truth_lease_report(struct world *w, const struct member *m, const struct msg_report *report,
                        uint32_t crc);
void truth_lease_heard(struct world *w, unsigned node, unsigned member, struct slice payload);
/* A node's role may have changed, by its clock `now`; a frame leaves it. */
void truth_lease_role(struct world *w, unsigned node, struct base_mono now);
void truth_lease_round(struct world *w, unsigned node);
/* An order leaves a node; a node decides that a new epoch begins without a handback's help. */
void truth_lease_order(struct world *w, unsigned node, const struct msg_order *order,
                       struct base_mono now);
void truth_lease_decided(struct world *w, unsigned node, const struct base_name *cluster,
                         uint64_t epoch, struct base_mono now);
/* A guard has taken a step; it lets a stopped tree go on. */
void truth_lease_guard(struct world *w, const struct member *m);
void truth_lease_thaw(struct world *w, const struct member *m);
/* A failsafe round allows a later end. */
void truth_lease_extend(struct world *w, unsigned member, uint64_t epoch, struct base_mono until);
/* A new epoch stands in the record. */
void truth_lease_epoch(struct world *w, const struct msg_record *old, const struct msg_record *new);

#endif
