/* SPDX-License-Identifier: Apache-2.0 */
/* Clients of a Galera cluster: some write where /writer answers 200, now and then anywhere; some
 * read where /reader does. They ask the agents' own predicates, as a balancer's check would. */
#ifndef QUORATE_TESTS_SIM_GAL_LOAD_H
#define QUORATE_TESTS_SIM_GAL_LOAD_H

#include "tests/sim/world.h"

void wsrep_load_open(struct world *w);
void wsrep_load_close(struct world *w);

#endif
