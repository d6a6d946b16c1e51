/* SPDX-License-Identifier: Apache-2.0 */
/* The operator who reads why a Galera cluster waits, and decides what only he may: that a recovery
 * goes on with less than is known committed, without a member that is silent, or once more after a
 * bootstrap that has failed. While faults strike he does so in few seeds, and gives up data by it;
 * afterwards where the arbiter says that it needs him, and not before.
 */
#ifndef QUORATE_TESTS_SIM_GAL_OPERATOR_H
#define QUORATE_TESTS_SIM_GAL_OPERATOR_H

#include "tests/sim/world.h"

void gal_operator_open(struct world *w);

#endif
