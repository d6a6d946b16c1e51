/* SPDX-License-Identifier: Apache-2.0 */
/* Clients of a MongoDB set: they write with the majority, or with the primary alone, where /primary
 * answers 200, now and then anywhere. They ask the agents' own predicate, as a balancer would. */
#ifndef QUORATE_TESTS_SIM_MONGO_LOAD_H
#define QUORATE_TESTS_SIM_MONGO_LOAD_H

#include "tests/sim/world.h"

void mongo_load_open(struct world *w);
void mongo_load_close(struct world *w);

#endif
