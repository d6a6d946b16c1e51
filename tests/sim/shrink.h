/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a failing plan smaller while the same invariant fails: the end comes earlier, faults go,
 * features and hosts go, clients and operations go. */
#ifndef QUORATE_TESTS_SIM_SHRINK_H
#define QUORATE_TESTS_SIM_SHRINK_H

#include "tests/sim/script.h"

/* Shrinks the script's plan in place and sets its invariant. False: the plan does not fail. Prints
 * what it does. */
bool shrink(struct script *s);

#endif
