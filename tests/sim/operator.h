/* SPDX-License-Identifier: Apache-2.0 */
/* An operator who changes the quorum while it works: adds a learner and promotes it, takes a member
 * away (the leader, too), replaces one by an empty disk under a new id, hands leadership over. One
 * thing at a time, through the API of whoever leads, again when the answer is unknown. */
#ifndef QUORATE_TESTS_SIM_OPERATOR_H
#define QUORATE_TESTS_SIM_OPERATOR_H

#include "tests/sim/world.h"

void operator_open(struct world *w);
void operator_close(struct world *w);

#endif
