/* SPDX-License-Identifier: Apache-2.0 */
/* The rule of the watchdog. */
#include "agents/guard/watchdog_rule.h"

#include "base/canary.h"

#define PERIOD_MAX_US (INT64_C(100) * BASE_US_PER_MS)

int64_t guard_watchdog_period_us(int64_t timeout_us)
{
    int64_t period = timeout_us / 8;
    return period > PERIOD_MAX_US ? PERIOD_MAX_US : period < 1000 ? 1000 : period;
}

int64_t guard_watchdog_lead_us(const struct guard_status *status, int64_t timeout_us)
{
    return guard_watchdog_period_us(timeout_us) + status->margin_us / 2;
}

bool guard_watchdog_is_wanted(const struct guard_status *status, struct base_mono now)
{
    bool is_nothing_there =
        status->tree == GUARD_TREE_GONE && !base_mono_before(now, status->deadline);
    return status->is_armed && !is_nothing_there;
}

bool guard_watchdog_may_feed(const struct guard_status *status, struct base_mono now,
                             int64_t timeout_us)
{
    if (!status->is_armed || status->tree == GUARD_TREE_GONE || status->tree == GUARD_TREE_FROZEN ||
        CANARY(WATCHDOG_FED_ALWAYS)) {
        return true;
    }
    struct base_mono end = base_mono_add_us(status->deadline, status->soft_us);
    return base_mono_diff_us(end, now) >= timeout_us;
}
