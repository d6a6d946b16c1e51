/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that read how the store was, and one who finds it full: every answer about an older
 * revision is held against the truth; while the alarm NOSPACE is on, a node takes no put, and goes
 * on with all else. */
#ifndef QUORATE_TESTS_SIM_READERS_H
#define QUORATE_TESTS_SIM_READERS_H

#include "tests/sim/world.h"

void readers_open(struct world *w);
void readers_close(struct world *w);

#endif
