/* SPDX-License-Identifier: Apache-2.0 */
/* What a failed run tells: the world it was, what went wrong in it, its last steps, what the broken
 * rule says and what was seen. */
#ifndef QUORATE_TESTS_SIM_STORY_H
#define QUORATE_TESTS_SIM_STORY_H

#include "tests/sim/world.h"

void story_print(const struct world *w);

#endif
