/* SPDX-License-Identifier: Apache-2.0 */
/* The operator who reads why a cluster waits. When the faults are over and the arbiter still says
 * that it needs a member whose directory was spoiled by hand (started read-write past its agent, or
 * promoted before its own promotion had begun), or that a change of sites has met half copied, he
 * forces a failover to the best of the others: what is lost then is given up by his word, and the
 * cluster must work again. Nothing else makes him act, so that no other outage is hidden.
 */
#ifndef QUORATE_TESTS_SIM_RESCUE_H
#define QUORATE_TESTS_SIM_RESCUE_H

#include "tests/sim/world.h"

/* Nobody can be forced, or every copy of a standby cluster is half made: no other member has a
 * directory that can be used, and the arbiter has said what it needs. What an operator does then
 * (docs/databases.md) is not modelled. */
bool rescue_is_hopeless(struct world *w, unsigned cluster);

void rescue_open(struct world *w);
void rescue_close(struct world *w);

#endif
