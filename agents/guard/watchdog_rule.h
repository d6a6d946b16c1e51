/* SPDX-License-Identifier: Apache-2.0 */
/* When a watchdog device is open, and when it is fed (safety.md section 3; pure).
 *
 * Fed while the deadline lies at least the device's own timeout ahead: a host that hangs is reset
 * before the lease ends. So the last feeding comes one period before that at the earliest, and a
 * tree that has to be frozen is frozen early by this period and half of the margin: seen stopped,
 * it is fed on, and a host that works is not reset for a lease that has run out.
 */
#ifndef QUORATE_AGENTS_GUARD_WATCHDOG_RULE_H
#define QUORATE_AGENTS_GUARD_WATCHDOG_RULE_H

#include "agents/guard/core_status.h"

/* How often it is fed. */
int64_t guard_watchdog_period_us(int64_t timeout_us);
/* How long before the deadline a tree is frozen: guard_core_lead_set. */
int64_t guard_watchdog_lead_us(const struct guard_status *status, int64_t timeout_us);
/* There is a lease that something may run under: the device is to be open. Else it is closed in
 * order. */
bool guard_watchdog_is_wanted(const struct guard_status *status, struct base_mono now);
bool guard_watchdog_may_feed(const struct guard_status *status, struct base_mono now,
                             int64_t timeout_us);

#endif
