/* SPDX-License-Identifier: Apache-2.0 */
/* The worst day of a quorum: all its nodes are lost and begin anew from an older image, as `kv
 * snapshot restore` makes them, while agents and databases go on. Then an operator confirms the
 * record of the databases, again and again until it is taken. */
#ifndef QUORATE_TESTS_SIM_RESTORE_H
#define QUORATE_TESTS_SIM_RESTORE_H

#include "tests/sim/world.h"

void restore_open(struct world *w);
void restore_close(struct world *w);

#endif
