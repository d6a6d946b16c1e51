/* SPDX-License-Identifier: Apache-2.0 */
/* Users who write, each by way of a node's kv/auth.c as kv/api does it, while an administrator
 * gives and takes roles and permissions, and switches authentication on and off. They log in at one
 * node and show the token at another. */
#ifndef QUORATE_TESTS_SIM_PEOPLE_H
#define QUORATE_TESTS_SIM_PEOPLE_H

#include "tests/sim/world.h"

void people_open(struct world *w);
void people_close(struct world *w);

#endif
