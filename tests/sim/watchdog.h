/* SPDX-License-Identifier: Apache-2.0 */
/* The watchdog of a simulated host: the guard's rule (agents/guard/watchdog_rule.c, unchanged) over
 * a modelled device, which resets the host when it was not fed for its timeout. As with
 * `watchdog.mode: require`: a lease that leaves no room for it is refused. Only in seeds whose
 * setup has `watchdog_ms`; in all others nothing here does anything.
 */
#ifndef QUORATE_TESTS_SIM_WATCHDOG_H
#define QUORATE_TESTS_SIM_WATCHDOG_H

#include "agents/guard/core.h"

struct member;

struct watchdog {
    bool is_open;
    struct base_mono feed_at;
    uint64_t fed; /* number of the last feeding: an older one fires no more */
};

/* Before an arm is taken; false: it is refused. */
bool watchdog_prepare(struct member *m, struct base_mono deadline);
/* After each step of the guard: opens no device, but feeds, closes and says what it does. */
void watchdog_work(struct member *m);
/* When it wants its next turn. */
struct base_mono watchdog_wake(const struct member *m);
/* Nobody holds it open any more: the power is off, or the guard's twin has killed the tree. */
void watchdog_off(struct member *m);

#endif
