/* SPDX-License-Identifier: Apache-2.0 */
/* What goes on in a store besides the checked operations: leases are granted, keys hang on them,
 * they end or are revoked, and history is compacted. One request at a time, to whoever leads. */
#ifndef QUORATE_TESTS_SIM_CHORES_H
#define QUORATE_TESTS_SIM_CHORES_H

#include "tests/sim/world.h"

void chores_open(struct world *w);
/* A frame leaves a node. Where it says that the time of a lease is over, somebody asks for a
 * renewal. */
void chores_overhear(struct world *w, unsigned node, struct slice payload);
/* The quorum begins anew: whether leases are still there is not known. */
void chores_restart(struct world *w);
/* An id that no lease of this run has had. */
int64_t chores_new_lease(struct world *w);
void chores_close(struct world *w);

#endif
