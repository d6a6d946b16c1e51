/* SPDX-License-Identifier: Apache-2.0 */
/* One run of the world, from its plan to the verdict. */
#ifndef QUORATE_TESTS_SIM_RUN_H
#define QUORATE_TESTS_SIM_RUN_H

#include "tests/sim/plan.h"
#include "tests/sim/world.h"

/* 0: every invariant held; 1: world->failure_name did not. Close it in either case but the end of
 * the process. The plan must live until then. */
int run_plan(struct world *w, const struct plan *plan, bool is_tracing);
void run_close(struct world *w);
/* The last steps, and the line `FAILED NAME: ...`. */
void run_print_failure(const struct world *w);

#endif
