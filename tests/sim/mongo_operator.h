/* SPDX-License-Identifier: Apache-2.0 */
/* People who run a MongoDB set: a document of settings; pauses, drains, restarts, copies ordered,
 * switchovers; and the one who says that a majority is destroyed, and has its remains go on. */
#ifndef QUORATE_TESTS_SIM_MONGO_OPERATOR_H
#define QUORATE_TESTS_SIM_MONGO_OPERATOR_H

#include "tests/sim/world.h"

void mongo_operator_open(struct world *w);
/* Somebody writes a document of settings at that moment, of which an order to the primary follows.
 */
void mongo_operator_wants(struct world *w, int64_t at_us);

#endif
