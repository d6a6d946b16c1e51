/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, feeding and closing the watchdog device. */
#include "agents/guard/watchdog.h"

#include <unistd.h>

#include "agents/guard/log.h"
#include "agents/guard/proc.h"
#include "agents/guard/watchdog_device.h"
#include "agents/guard/watchdog_rule.h"

#define RETRY_US (INT64_C(10) * BASE_US_PER_S)

static void state_set(struct guard *g, enum guard_watchdog state)
{
    struct guard_status *st = &g->core.status;
    if (st->watchdog == state) {
        return;
    }
    guard_log(state == GUARD_WATCHDOG_UNAVAILABLE || state == GUARD_WATCHDOG_HUNGRY ? "error"
                                                                                    : "notice",
              "ev=watchdog state=%s was=%s device=%s", guard_watchdog_text(state),
              guard_watchdog_text(st->watchdog), g->options->watchdog_device);
    st->watchdog = state;
    g->is_push_due = true;
}

static void lead_set(struct guard *g)
{
    int64_t lead =
        g->watchdog.fd < 0 ? 0 : guard_watchdog_lead_us(&g->core.status, g->watchdog.timeout_us);
    guard_core_lead_set(&g->core, lead);
}

static void device_close(struct guard *g, enum guard_watchdog state)
{
    watchdog_device_close(g->watchdog.fd);
    g->watchdog.fd = -1;
    lead_set(g);
    state_set(g, state);
}

static bool device_open(struct guard *g)
{
    struct base_mono now = proc_now();
    int64_t timeout_us = g->options->watchdog_timeout_us;
    g->watchdog.fd = watchdog_device_open(g->options->watchdog_device, &timeout_us);
    if (g->watchdog.fd < 0) {
        g->watchdog.retry_at = base_mono_add_us(now, RETRY_US);
        state_set(g, GUARD_WATCHDOG_UNAVAILABLE);
        return false;
    }
    g->watchdog.timeout_us = timeout_us;
    g->watchdog.feed_at = now;
    lead_set(g);
    state_set(g, GUARD_WATCHDOG_FED);
    return true;
}

static bool has_room(const struct guard *g, struct base_mono deadline, int64_t timeout_us)
{
    int64_t needed = timeout_us + guard_watchdog_lead_us(&g->core.status, timeout_us);
    return base_mono_diff_us(deadline, proc_now()) > needed;
}

/* A grant that came late, or a ttl that was made shorter. Taken while the device counts it would
 * put off the freeze beyond the moment at which the device fires. */
static int no_room(struct guard *g, bool is_required)
{
    if (!is_required) {
        device_close(g, GUARD_WATCHDOG_IDLE);
    }
    return is_required ? BASE_E_RANGE : 0;
}

int guard_watchdog_prepare(struct guard *guard, struct base_mono deadline)
{
    const struct guard_options *o = guard->options;
    bool is_required = o->watchdog_mode == GUARD_WATCHDOG_REQUIRE;
    if (o->watchdog_mode == GUARD_WATCHDOG_NONE) {
        return 0;
    }
    if (guard->watchdog.fd >= 0) {
        return has_room(guard, deadline, guard->watchdog.timeout_us) ? 0
                                                                     : no_room(guard, is_required);
    }
    /* Opened for less it would reset the host before it could be fed. */
    if (!has_room(guard, deadline, o->watchdog_timeout_us)) {
        return is_required ? BASE_E_RANGE : 0;
    }
    if (!is_required && guard->core.status.watchdog == GUARD_WATCHDOG_UNAVAILABLE &&
        base_mono_before(proc_now(), guard->watchdog.retry_at)) {
        return 0;
    }
    if (!device_open(guard)) {
        return is_required ? BASE_E_UNSUPPORTED : 0;
    }
    if (!has_room(guard, deadline, guard->watchdog.timeout_us)) {
        device_close(guard, GUARD_WATCHDOG_IDLE); /* it counts longer than it was asked to */
        return is_required ? BASE_E_RANGE : 0;
    }
    return 0;
}

void guard_watchdog_resume(struct guard *guard)
{
    if (!device_open(guard)) {
        guard_log("error", "ev=watchdog_lost device=%s next=\"the host may be reset\"",
                  guard->options->watchdog_device);
    }
}

static void feed(struct guard *g, struct base_mono now)
{
    g->watchdog.feed_at = base_mono_add_us(now, guard_watchdog_period_us(g->watchdog.timeout_us));
    if (watchdog_device_feed(g->watchdog.fd)) {
        state_set(g, GUARD_WATCHDOG_FED);
        return;
    }
    (void)close(g->watchdog.fd);
    g->watchdog.fd = -1;
    g->watchdog.retry_at = base_mono_add_us(now, RETRY_US);
    lead_set(g);
    state_set(g, GUARD_WATCHDOG_UNAVAILABLE);
}

void guard_watchdog_work(struct guard *guard)
{
    const struct guard_status *st = &guard->core.status;
    struct base_mono now = proc_now();
    if (guard->watchdog.fd < 0) {
        return;
    }
    if (!guard_watchdog_is_wanted(st, now)) {
        device_close(guard, GUARD_WATCHDOG_IDLE);
        return;
    }
    lead_set(guard); /* an arm may have brought another margin */
    if (!guard_watchdog_may_feed(st, now, guard->watchdog.timeout_us)) {
        if (!base_mono_before(now, guard->watchdog.feed_at)) {
            state_set(guard, GUARD_WATCHDOG_HUNGRY);
        }
    } else if (!base_mono_before(now, guard->watchdog.feed_at)) {
        feed(guard, now);
    }
}

struct base_mono guard_watchdog_wake(const struct guard *guard)
{
    /* Hungry: what may be fed again is an event of its own. */
    return guard->watchdog.fd < 0 || guard->core.status.watchdog == GUARD_WATCHDOG_HUNGRY
               ? BASE_MONO_NEVER
               : guard->watchdog.feed_at;
}

void guard_watchdog_end(struct guard *guard)
{
    if (guard->watchdog.fd >= 0) {
        device_close(guard, GUARD_WATCHDOG_IDLE);
    }
}

void guard_watchdog_inherit(const struct guard_options *options)
{
    int64_t timeout_us = options->watchdog_timeout_us;
    int fd = watchdog_device_open(options->watchdog_device, &timeout_us);
    guard_log(fd >= 0 ? "notice" : "error", "ev=watchdog_inherited device=%s done=%d",
              options->watchdog_device, fd >= 0);
    if (fd >= 0) {
        watchdog_device_close(fd);
    }
}
