/* SPDX-License-Identifier: Apache-2.0 */
/* See watchdog.h. The device counts by the clock of its host. */
#include "tests/sim/watchdog.h"

#include "agents/guard/watchdog_rule.h"
#include "tests/sim/faults.h"
#include "tests/sim/members.h"

static int64_t timeout_us(const struct member *m)
{
    return m->world->setup.watchdog_ms * MS;
}

static void tell(struct member *m, enum guard_watchdog state)
{
    struct guard_status *s = &m->guard.status;
    bool is_new = s->watchdog != state;
    s->watchdog = state;
    guard_core_lead_set(&m->guard,
                        m->watchdog.is_open ? guard_watchdog_lead_us(s, timeout_us(m)) : 0);
    if (is_new) {
        agent_guard_status(m);
    }
}

static void fires(void *ctx, uint64_t number, struct slice bytes)
{
    struct member *m = ctx;
    (void)bytes;
    if (m->watchdog.is_open && m->watchdog.fed == number && m->has_power) {
        int64_t boot_us = draw(&m->rand, 2 * SECOND, 6 * SECOND);
        fault_bit(m->world, FAULT_WATCHDOG_RESET, m->index, 0, boot_us);
        member_power_off(m->world, m->index, boot_us);
    }
}

static void feed(struct member *m)
{
    struct base_mono now = clock_now(&m->clock);
    m->watchdog.feed_at = base_mono_add_us(now, guard_watchdog_period_us(timeout_us(m)));
    int64_t at_us = clock_true_us(&m->clock, base_mono_add_us(now, timeout_us(m)));
    world_at_with(m->world, at_us, NULL, fires, m, ++m->watchdog.fed, SLICE_EMPTY);
}

bool watchdog_prepare(struct member *m, struct base_mono deadline)
{
    int64_t needed = timeout_us(m) + guard_watchdog_lead_us(&m->guard.status, timeout_us(m));
    if (timeout_us(m) == 0) {
        return true;
    }
    if (base_mono_diff_us(deadline, clock_now(&m->clock)) <= needed) {
        return false;
    }
    if (!m->watchdog.is_open) {
        m->watchdog.is_open = true;
        feed(m);
        tell(m, GUARD_WATCHDOG_FED);
    }
    return true;
}

void watchdog_off(struct member *m)
{
    m->watchdog.is_open = false;
    m->watchdog.fed++;
}

void watchdog_work(struct member *m)
{
    const struct guard_status *s = &m->guard.status;
    struct base_mono now = clock_now(&m->clock);
    if (!m->watchdog.is_open) {
        return;
    }
    if (!guard_watchdog_is_wanted(s, now)) {
        watchdog_off(m);
        tell(m, GUARD_WATCHDOG_IDLE);
        return;
    }
    tell(m, s->watchdog); /* an arm may have brought another margin */
    if (base_mono_before(now, m->watchdog.feed_at)) {
        return;
    }
    if (!guard_watchdog_may_feed(s, now, timeout_us(m))) {
        tell(m, GUARD_WATCHDOG_HUNGRY);
    } else {
        feed(m);
        tell(m, GUARD_WATCHDOG_FED);
    }
}

struct base_mono watchdog_wake(const struct member *m)
{
    /* Hungry: what may be fed again is an event of its own. */
    bool is_waiting = m->watchdog.is_open && m->guard.status.watchdog != GUARD_WATCHDOG_HUNGRY;
    return is_waiting ? m->watchdog.feed_at : BASE_MONO_NEVER;
}
