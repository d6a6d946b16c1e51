/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that watch: slow ones, ones whose connection breaks, ones that come back at another node
 * and go on where they were. What they hear is judged by jepsen/check/watch.h. */
#ifndef QUORATE_TESTS_SIM_WATCHERS_H
#define QUORATE_TESTS_SIM_WATCHERS_H

#include "tests/sim/world.h"

void watchers_open(struct world *w);
void watchers_close(struct world *w);
/* No node is up, and what comes next has another history: nothing is resumed. */
void watchers_forget(struct world *w);
/* At the end of a run: everything that a node knew for some seconds was heard. */
void watchers_check(struct world *w);

#endif
