/* SPDX-License-Identifier: Apache-2.0 */
/* Which fault, when, whom, for how long: the plan of a run, from its menu and a seed alone.
 *
 * A menu is a table of text (runs.txt); README.md beside this file says what its lines mean. Faults
 * of one lane follow each other with a calm between them; lanes know nothing of each other. Same
 * menu, length and seed: same plan, on every machine. No clock, no I/O, no allocation.
 */
#ifndef QUORATE_JEPSEN_RUN_SCHEDULE_H
#define QUORATE_JEPSEN_RUN_SCHEDULE_H

#include "base/error.h"
#include "base/slice.h"
#include "base/types.h"

#define SCHEDULE_MENU_MAX 64u
#define SCHEDULE_LANES_MAX 3u
#define SCHEDULE_NAME_MAX 31u

struct schedule_fault {
    char kind[SCHEDULE_NAME_MAX + 1];
    char rule[SCHEDULE_NAME_MAX + 1]; /* who: resolved when it begins */
    uint32_t lane;                    /* from 0 */
    uint32_t weight;                  /* 0: only as often as all are for certain */
    uint32_t for_min_ms, for_max_ms;
};

struct schedule_menu {
    struct schedule_fault faults[SCHEDULE_MENU_MAX];
    size_t count;
    uint32_t length_ms;                /* every fault has ended by then */
    uint32_t calm_min_ms, calm_max_ms; /* between two faults of a lane */
    uint32_t least; /* every fault of the menu so often, weights decide the rest */
};

struct schedule_entry {
    uint32_t at_ms, for_ms;
    size_t fault; /* index in the menu */
};

/* Takes the lines of one run out of the table. NOTFOUND: no such run or no fault in it; INVALID,
 * NOSPACE with the number of the bad line, from 1. */
MUST_CHECK int schedule_read(struct slice table, const char *run, struct schedule_menu *ret,
                             size_t *ret_line);
/* Entries in the order of their beginnings. INVALID: the time is too short for `least` of each;
 * NOSPACE: more than `cap`. */
MUST_CHECK int schedule_plan(const struct schedule_menu *menu, uint64_t seed,
                             struct schedule_entry *entries, size_t cap, size_t *ret_count);

#endif
