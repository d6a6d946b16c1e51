/* SPDX-License-Identifier: Apache-2.0 */
/* A primary that is there and does not serve: writing fails, or nothing is answered any more.
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
    bool is_async = a->order.record.sync_mode == MSG_SYNC_ASYNC;
    return agt_has_successor(a) && (is_async || agt_has_enough_voters(a));
}

/* True when the role is given up for it. */
bool agt_gives_up_writing(struct agt_run *run)
{
    struct agt *a = run->a;
    struct base_mono due = base_mono_add_us(a->write_failing_since, agt_hang_timeout_us(a) / 2);
    if (a->write_views < WRITE_VIEWS || CANARY(FULL_DISK_HOLDS_ON)) {
        return false;
    }
    if (base_mono_before(run->now, due) || !agt_is_replaceable(a)) {
        agt_wake_at(run, base_mono_max(due, base_mono_add_us(run->now, AGT_REPEAT_US)));
        return false;
    }
    MARK(AGENT_CANNOT_WRITE);
    agt_fx_log(run, "cannot write, and a standby can: hands the role on", NULL);
    a->is_handback_wanted = true;
    agt_count_crash(run);
    agt_do_stop(run);
    return true;
}
