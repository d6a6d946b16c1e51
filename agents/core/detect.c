/* SPDX-License-Identifier: Apache-2.0 */
/* A primary that is there and does not serve: writing fails, nothing is answered any more, or its
 * guard refuses the lease (section 3: what it does not arm never serves).
 *
 * Counted as a crash: the role goes on only where a standby is fit for it (section 7); else the
 * database is left as it is, since ending it would help nobody. */
#include "agents/core/internal.h"
#include "base/canary.h"
#include "base/mark.h"

#define HANG_TIMEOUT_US (INT64_C(5) * BASE_US_PER_S)
#define WRITE_VIEWS 3 /* in a row: one slow flush is no failure */

int64_t agt_hang_timeout_us(const struct agt *a)
{
    return a->config.hang_timeout_us > 0 ? a->config.hang_timeout_us : HANG_TIMEOUT_US;
}

int64_t agt_start_timeout_us(const struct agt *a)
{
    if (a->has_order && a->order.record.start_timeout_ms > 0) {
        return (int64_t)a->order.record.start_timeout_ms * BASE_US_PER_MS;
    }
    return a->config.start_timeout_us > 0 ? a->config.start_timeout_us : AGT_START_TIMEOUT_US;
}

enum agt_on_crash agt_on_crash_of(const struct agt *a)
{
    switch (a->has_order ? a->order.record.on_crash : MSG_ON_CRASH_OWN) {
    case MSG_ON_CRASH_AUTO:
        return AGT_ON_CRASH_AUTO;
    case MSG_ON_CRASH_FAILOVER:
        return AGT_ON_CRASH_FAILOVER;
    case MSG_ON_CRASH_RESTART:
        return AGT_ON_CRASH_RESTART;
    case MSG_ON_CRASH_OWN:
        break;
    }
    return a->config.on_crash;
}

void agt_write_seen(struct agt_run *run)
{
    struct agt *a = run->a;
    if (!a->view.is_write_failing || a->view.is_in_recovery) {
        a->write_views = 0;
        return;
    }
    if (a->write_views++ == 0) {
        a->write_failing_since = run->now;
        agt_fx_log(run, "writing fails", a->view.note.text);
    }
}

static bool is_standby_fit(const struct agt *a)
{
    bool is_async = a->order.record.sync_mode == MSG_SYNC_ASYNC;
    return agt_has_successor(a) && (is_async || agt_has_enough_voters(a));
}

bool agt_is_replaceable(const struct agt *a)
{
    switch (agt_on_crash_of(a)) {
    case AGT_ON_CRASH_RESTART:
        return false;
    case AGT_ON_CRASH_FAILOVER:
        return agt_has_successor(a);
    case AGT_ON_CRASH_AUTO:
        break;
    }
    return is_standby_fit(a);
}

void agt_writing_watch(struct agt_run *run)
{
    struct agt *a = run->a;
    struct base_mono due = base_mono_add_us(a->write_failing_since, agt_hang_timeout_us(a) / 2);
    if (a->write_views < WRITE_VIEWS || CANARY(FULL_DISK_HOLDS_ON)) {
        return;
    }
    if (base_mono_before(run->now, due) || !agt_is_replaceable(a)) {
        agt_wake_at(run, base_mono_max(due, base_mono_add_us(run->now, AGT_REPEAT_US)));
        return;
    }
    MARK(AGENT_CANNOT_WRITE);
    agt_fx_log(run, "cannot write, and a standby can: hands the role on", NULL);
    a->is_handback_wanted = true;
    agt_count_crash(run);
    agt_do_stop(run);
}

static void refused_say(struct agt_run *run, const char *what)
{
    agt_fx_log(run, what,
               "see the guard's log: the watchdog device, or the ttl beside its timeout");
    run->a->barred_until = base_mono_add_us(run->now, AGT_BARRED_US);
}

/* True when an epoch that was never armed is given up: nothing has been written under it. */
bool agt_gives_up_unarmed(struct agt_run *run)
{
    struct agt *a = run->a;
    if (!agt_is_arm_refused(a, run->now) || !agt_has_successor(a) ||
        CANARY(REFUSED_ARM_KEEPS_ROLE)) {
        return false;
    }
    if (!a->stop.is_asked && base_mono_before(a->barred_until, run->now)) {
        refused_say(run, "its guard refuses the lease, and another may have it: hands back");
    }
    return true;
}

/* True when the role is given up while the lease still runs: frozen at its end, and killed when
 * freeze_max is over, it would serve nobody for longer. */
bool agt_gives_up_unrenewed(struct agt_run *run)
{
    struct agt *a = run->a;
    if (!agt_is_renewal_refused(a, run->now) || !is_standby_fit(a) ||
        CANARY(REFUSED_ARM_KEEPS_ROLE)) {
        return false;
    }
    refused_say(run, "its guard renews the lease no more, and a standby is fit: hands over");
    a->is_handback_wanted = true;
    agt_do_stop(run);
    return true;
}
