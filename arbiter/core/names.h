/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of member names: sorted, without doubles, at most MSG_MEMBERS_MAX. Pure; used by the planner
 * of the synchronous set, by records and by the vote. Operations that could overflow say so and
 * change nothing.
 */
#ifndef QUORATE_ARBITER_CORE_NAMES_H
#define QUORATE_ARBITER_CORE_NAMES_H

#include "base/error.h"
#include "proto/msg/agent.h"

bool arb_names_has(const struct msg_names *set, const struct base_name *name);
/* Adds; nothing happens when it is there. BASE_E_TOOBIG when the set is full. */
MUST_CHECK int arb_names_add(struct msg_names *set, const struct base_name *name);
/* Takes out; nothing happens when it is not there. */
void arb_names_remove(struct msg_names *set, const struct base_name *name);
bool arb_names_equal(const struct msg_names *a, const struct msg_names *b);
/* Every name of a is in b. */
bool arb_names_within(const struct msg_names *a, const struct msg_names *b);
/* How many of a are not in b. */
uint8_t arb_names_beyond(const struct msg_names *a, const struct msg_names *b);
/* set := set united with more. BASE_E_TOOBIG when there is no room; set is untouched then. */
MUST_CHECK int arb_names_unite(struct msg_names *set, const struct msg_names *more);
/* Sorted, no doubles, no empty name, zero-filled behind count. */
bool arb_names_check(const struct msg_names *set);

#endif
