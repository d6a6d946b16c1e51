/* SPDX-License-Identifier: Apache-2.0 */
/* Orders of the arbiter, taken in: epoch, promise, grant; and the arming by a grant.
 *
 * A grant counts by itself, from the sending of the report that it answers, also when the order
 * around it is overtaken. Its epoch is on disk before the guard hears of it.
 */
#include <string.h>

#include "agents/core/internal.h"
#include "base/canary.h"
#include "base/lease_math.h"
#include "base/mark.h"

static bool order_fits(const struct agt *a, const struct msg_order *o)
{
    return (o->session == a->lease.session || CANARY(REPORT_NUMBER_REUSED)) && o->number > 0 &&
           o->number <= a->lease.number &&
           (o->record.epoch == 0 || base_name_equal(&o->record.cluster, &a->config.cluster));
}

/* An older word of an older leader, or one overtaken on its way. */
static bool order_is_stale(const struct agt *a, const struct msg_order *o)
{
    if (!a->has_order) {
        return false;
    }
    const struct msg_order *have = &a->order;
    if (o->term != have->term) {
        return o->term < have->term;
    }
    if (o->record.epoch != have->record.epoch) {
        return o->record.epoch < have->record.epoch;
    }
    if (o->record.revision != have->record.revision) {
        return o->record.revision < have->record.revision;
    }
    return o->number < a->order_number; /* a grant names the report that it was confirmed for */
}

static void epoch_take(struct agt *a, const struct msg_record *r)
{
    bool is_own = base_name_equal(&r->holder, &a->config.member);
    struct agt_opening opening = {.epoch = r->epoch,
                                  .timeline = r->timeline,
                                  .parent = r->floor.lineage,
                                  .floor_lsn = r->floor.lsn,
                                  .floor_epoch = r->floor_epoch,
                                  .is_own = is_own};
    if (r->state == MSG_RECORD_BOOTSTRAP) {
        opening.timeline = 1; /* initdb has no choice */
    }
    if (r->epoch > a->want.epoch_seen) {
        a->want.epoch_seen = r->epoch;
        a->want.promised = (struct msg_attempt){0, 0};
        if (!agt_failsafe_is_bound(a)) { /* else a restart must wait, still */
            a->want.failsafe_ttl_ms = 0;
        }
    }
    bool has_timeline =
        agt_engine(a) == NULL && !r->is_standby_cluster; /* there it is never taken */
    if (r->epoch > 0 && has_timeline && agt_disk_opening(&a->want, r->epoch) == NULL) {
        (void)agt_disk_remember(&a->want, &opening);
    }
}

static void promise_take(struct agt *a, const struct msg_order *o)
{
    if (agt_promise_is_kept(a) && agt_attempt_compare(o->ended, a->want.promised) >= 0) {
        a->want.promised = (struct msg_attempt){0, 0};
    }
    bool is_new = agt_attempt_compare(o->attempt, a->want.promised) > 0 &&
                  agt_attempt_compare(o->attempt, o->ended) > 0;
    if (o->goal == MSG_GOAL_VOTE && is_new && !agt_holds(a) && !a->is_retired) {
        agt_failsafe_close(a, o->record.epoch);
        a->want.promised = agt_failsafe_is_bound(a) ? a->want.promised : o->attempt;
    }
}

/* The grant of an order counts by itself: from the sending of the report that it answers. */
static void grant_take(struct agt *a, const struct msg_order *o, struct base_mono now)
{
    struct base_mono sent;
    if (!o->is_granted || o->granted_epoch != o->record.epoch || o->ttl_us <= 0 ||
        o->ttl_us > LEASE_TTL_MAX_MS * BASE_US_PER_MS ||
        !base_name_equal(&o->record.holder, &a->config.member) || !a->has_guard ||
        (o->record.holder_instance != a->guard.instance && !CANARY(INSTANCE_IGNORED)) ||
        !agt_lease_sent_at(&a->lease, o->number, &sent)) {
        return;
    }
    if (CANARY(DEADLINE_FROM_RECEIPT)) {
        sent = now;
    }
    struct base_mono deadline = lease_deadline(sent, o->ttl_us);
    if (a->has_grant && a->grant_epoch == o->granted_epoch) {
        deadline = base_mono_max(deadline, a->grant_deadline);
    }
    a->has_grant = true;
    a->grant_epoch = o->granted_epoch;
    a->grant_deadline = deadline;
    a->granted_term = o->term > a->granted_term ? o->term : a->granted_term;
    a->failsafe.is_in_force = false;
}

void agt_on_order(struct agt_run *run, const struct msg_order *o)
{
    struct agt *a = run->a;
    if (!order_fits(a, o)) {
        return;
    }
    /* A quorum restored from an old backup: nobody acts for a lower epoch than one seen before. */
    bool is_taken = CANARY(OLD_EPOCH_ACCEPTED) || CANARY(MONGODB_OLD_ORDER_TAKEN);
    if (o->record.epoch < agt_epoch_known(a) && !is_taken) {
        return;
    }
    epoch_take(a, &o->record);
    grant_take(a, o, run->now);
    if (order_is_stale(a, o)) {
        MARK(AGENT_STALE_ORDER);
        return;
    }
    if (CANARY(OLD_EPOCH_ACCEPTED) && o->record.epoch < a->want.epoch_seen) {
        a->want.epoch_seen = a->disk.epoch_seen = a->saving.epoch_seen = o->record.epoch;
    }
    if (a->has_order && o->record.epoch > a->order.record.epoch && agt_engine(a) == NULL) {
        a->failure.times = 0; /* what failed with the former holder may go well with this one */
        a->failure.retry_at = run->now;
    }
    a->order = *o;
    if (a->order.members_count > MSG_MEMBERS_MAX) {
        a->order.members_count = MSG_MEMBERS_MAX;
    }
    a->has_order = true;
    a->order_at = run->now;
    bool is_later = o->term != a->order_term || o->number > a->order_number;
    a->order_term = o->term;
    a->order_number = is_later ? o->number : a->order_number;
    promise_take(a, o);
    agt_failsafe_order(run);
}

/* In a pause nothing is armed that runs: the lease has no end. What is frozen is thawed. */
static bool is_grant_idle(const struct agt *a)
{
    bool is_frozen = a->guard.tree == GUARD_TREE_FREEZING || a->guard.tree == GUARD_TREE_FROZEN;
    return agt_is_paused(a) && a->order.record.is_paused && !is_frozen;
}

/* A process is there that the guard did not start, or nobody has looked yet: the guard could not
 * end what it would be armed beside. One that it has adopted is its own. */
static bool is_beside_a_stranger(const struct agt *a)
{
    return agt_engine(a) == NULL && !agt_holds(a) && (!a->has_view || agt_is_beside_a_process(a)) &&
           !CANARY(ARMED_BESIDE_A_STRANGER);
}

/* Each arm is answered: the first one that was not taken counts (agt_is_arm_refused). */
static void arm_note(struct agt *a, struct base_mono now)
{
    if (!a->is_arm_asked) {
        a->is_arm_asked = true;
        a->arm_asked_at = now;
    }
    if (a->arm_epoch != a->grant_epoch || agt_is_arm_taken(a)) {
        a->arm_epoch = a->grant_epoch;
        a->arm_since = now;
        a->arm_deadline = a->grant_deadline;
        a->arm_words = 0;
    }
}

void agt_grant_apply(struct agt_run *run)
{
    struct agt *a = run->a;
    if (!a->has_grant || !a->has_guard || a->grant_epoch > a->disk.epoch_seen) {
        return;
    }
    if (agt_holds(a) && a->guard.epoch < a->grant_epoch && !agt_is_carried_over(a)) {
        return; /* the lower one is handed back first, its tree seen gone */
    }
    a->has_grant = false;
    if (agt_is_galera(a) && !agt_holds(a) &&
        !agt_galera_is_serving(agt_galera_state_of(a, run->now))) {
        return; /* a right for a server that takes part; another grant comes with each report */
    }
    if (is_grant_idle(a) || is_beside_a_stranger(a)) {
        return;
    }
    bool is_rogue = a->guard.tree == GUARD_TREE_RUNNING && a->has_answered && !a->was_in_recovery &&
                    !agt_holds(a) && !agt_is_adoptable(a);
    if (is_rogue || a->grant_epoch != a->disk.epoch_seen || a->grant_epoch != agt_epoch_known(a) ||
        (a->grant_epoch <= a->guard.epoch_handed_back && !CANARY(HANDBACK_NOT_FINAL)) ||
        (a->grant_epoch <= a->handback_asked && !CANARY(HANDBACK_NOT_FINAL)) ||
        a->grant_epoch < a->guard.epoch || a->is_handback_wanted || agt_has_foreign_system(a)) {
        return;
    }
    bool is_later = !a->guard.is_armed || a->guard.epoch != a->grant_epoch ||
                    base_mono_before(a->guard.deadline, a->grant_deadline);
    bool is_ahead = base_mono_before(run->now, a->grant_deadline);
    if ((!is_later || !is_ahead) && !CANARY(THAW_ANY_GRANT)) {
        return; /* a late answer to an old report thaws nothing */
    }
    if (a->guard.is_armed && a->guard.epoch == a->grant_epoch) {
        int64_t left_us = base_mono_diff_us(a->guard.deadline, run->now);
        a->lease_least_us = left_us < a->lease_least_us ? left_us : a->lease_least_us;
    }
    uint32_t freeze_ms = a->order.record.freeze_max_ms;
    arm_note(a, run->now);
    a->arm_latest = base_mono_max(a->arm_latest, a->grant_deadline);
    struct agt_effect *fx = agt_fx_add(run, AGT_FX_GUARD_ARM);
    fx->epoch = a->grant_epoch;
    fx->deadline = a->grant_deadline;
    fx->soft_us = agt_is_galera(a) ? AGT_GALERA_FENCE_US : 0;
    fx->freeze_max_us =
        (int64_t)(freeze_ms > 0 ? freeze_ms : LEASE_FREEZE_MAX_DEFAULT_MS) * BASE_US_PER_MS;
}
