/* SPDX-License-Identifier: Apache-2.0 */
/* People who run the database clusters: they change settings, pause, drain, order restarts and
 * copies, plan switchovers, confirm that a holder is dead; and the switch that a fence command
 * pulls. When the faults are over they leave everything in order. */
#ifndef QUORATE_TESTS_SIM_ADMINS_H
#define QUORATE_TESTS_SIM_ADMINS_H

#include "tests/sim/world.h"

void admins_open(struct world *w);
void admins_close(struct world *w);
/* How that power switch answers: whether the host really goes off, and whether it says so. One
 * that only says so is met where nothing rests on it alone. */
struct admins_fence {
    bool is_cut, is_said;
    int64_t takes_us;
};
void admins_fence(struct world *w, unsigned cluster, struct admins_fence *ret);
/* A member's tags in such a world. */
struct agt_config;
void admins_tag(struct world *w, unsigned member, struct agt_config *config);

#endif
