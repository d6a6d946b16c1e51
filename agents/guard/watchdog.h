/* SPDX-License-Identifier: Apache-2.0 */
/* The watchdog device that the guard feeds: opened at the first arm, closed in order when there is
 * nothing to guard. Linux: Documentation/watchdog/watchdog-api.rst. */
#ifndef QUORATE_AGENTS_GUARD_WATCHDOG_H
#define QUORATE_AGENTS_GUARD_WATCHDOG_H

#include "agents/guard/guard.h"

/* Before an arm. 0; for `require`, when there would be no watchdog: BASE_E_UNSUPPORTED (the device
 * cannot be opened), BASE_E_RANGE (the deadline is too near for its timeout). */
MUST_CHECK int guard_watchdog_prepare(struct guard *guard, struct base_mono deadline);
/* After an upgrade, whose image let go of an open device: takes it again. */
void guard_watchdog_resume(struct guard *guard);
/* At the end of every round: feeds or closes as the rule says. */
void guard_watchdog_work(struct guard *guard);
/* When guard_watchdog_work is wanted next; BASE_MONO_NEVER. */
struct base_mono guard_watchdog_wake(const struct guard *guard);
/* Orderly end; the tree is gone. */
void guard_watchdog_end(struct guard *guard);
/* The twin, when the tree that a dead guard has left is seen gone: takes the device, which goes on
 * counting, and closes it in order. */
void guard_watchdog_inherit(const struct guard_options *options);

#endif
