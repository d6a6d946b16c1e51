/* SPDX-License-Identifier: Apache-2.0 */
/* Bad luck: at a named point of the product (base/failpoint.h) a node is stopped for a while, dies,
 * or the operation there fails. In the canary variant only; elsewhere no point is ever met. */
#ifndef QUORATE_TESTS_SIM_LUCK_H
#define QUORATE_TESTS_SIM_LUCK_H

#include "tests/sim/world.h"

void luck_open(struct world *w);
void luck_close(struct world *w);
/* All bad luck that was not met is over. */
void luck_heal(struct world *w);

#endif
