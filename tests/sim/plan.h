/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of a run: everything that is drawn before it begins. A run follows from its plan alone;
 * shrinking makes plans smaller, and a script is a plan as text.
 *
 * A fault of the schedule has a number. What it draws when it strikes (whom, for how long) comes
 * from a stream of that number, so that taking one fault away moves no other. */
#ifndef QUORATE_TESTS_SIM_PLAN_H
#define QUORATE_TESTS_SIM_PLAN_H

#include <stdio.h>

#include "tests/sim/fault_kinds.h"
#include "tests/sim/setup.h"

#define PLAN_FAULTS_MAX 512

struct planned_fault {
    unsigned number; /* from 1 */
    int64_t at_us;
    enum fault_kind kind;
};

struct plan {
    uint64_t seed;
    struct setup setup;
    struct planned_fault faults[PLAN_FAULTS_MAX];
    size_t faults_count;
    int64_t hash_until_us; /* the world keeps the trace's hash as it was before that moment */
};

void plan_draw(uint64_t seed, const struct setup_wish *wish, struct plan *ret);
/* A schedule can have it; the others come about by themselves. */
bool plan_may_have(enum fault_kind kind);
/* Keeps the faults of a list of numbers ("3,7,12"), or all but those; false: not such a list. */
bool plan_keep_only(struct plan *p, const char *numbers);
bool plan_keep_others(struct plan *p, const char *numbers);

#endif
