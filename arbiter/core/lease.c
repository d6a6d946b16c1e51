/* SPDX-License-Identifier: Apache-2.0 */
/* The leader's side of the lease (section 2 of the safety rules): when a grant may be sent, how
 * long a lease is held to be running, and handbacks. All moments are of this node's clock and of
 * this leadership.
 */
#include "arbiter/core/internal.h"
#include "base/assert.h"
#include "base/canary.h"
#include "base/mark.h"
#include "base/name.h"

void arb_lease_reset(struct arb_cluster *c)
{
    c->has_granted = false;
    c->granted = BASE_MONO_LONG_AGO;
    c->began = BASE_MONO_LONG_AGO;
    c->tickets_count = 0;
    c->is_confirmed = false;
    c->over_at = BASE_MONO_NEVER;
}

/* A handback names the epoch. It counts from the guard that the record names, or from a later guard
 * of the same host that sees no process of the old one left and still has the directory of this
 * cluster. */
static bool may_hand_back(const struct arb_cluster *c, const struct arb_view *view)
{
    const struct msg_report *report = &view->report;
    if (view->refused != ARB_REFUSE_NONE || report->epoch_handed_back == 0 ||
        (report->epoch_handed_back < c->record.epoch && !CANARY(HANDBACK_ANY_EPOCH)) ||
        !base_name_equal(&view->member, &c->record.holder)) {
        return false;
    }
    if (arb_view_is_holder(c, view)) {
        return true;
    }
    MARK(HANDBACK_BY_LATER_GUARD);
    return report->instance != 0 && arb_engine_of(c)->is_old_gone(report) &&
           arb_engine_of(c)->is_same_host(&c->record, report);
}

bool arb_lease_handback(struct arb_turn *t, const struct arb_view *view)
{
    struct arb_cluster *c = t->c;
    if (c->record.epoch == 0 || c->handed != ARB_OVER_NO || arb_is_unconfirmed(c) ||
        !may_hand_back(c, view)) {
        return false;
    }
    bool is_clean = view->report.is_handback_clean && view->report.handback_lsn != 0 &&
                    arb_view_is_holder(c, view);
    c->handed = is_clean ? ARB_OVER_CLEAN : ARB_OVER_HANDBACK;
    c->handed_at = t->event->now;
    c->handback_lsn = is_clean ? view->report.handback_lsn : 0;
    struct arb_note *note =
        arb_say(t, is_clean ? ARB_NOTE_HANDED_BACK_CLEAN : ARB_NOTE_HANDED_BACK);
    note->member = view->member;
    note->a = c->record.epoch;
    note->b = c->handback_lsn;
    return true;
}

int64_t arb_lease_wait_us(const struct arb_cluster *c, int64_t ttl_us)
{
    return lease_wait_us(ttl_us) + arb_engine_of(c)->kill_us;
}

struct base_mono arb_lease_end(const struct arb_cluster *c)
{
    uint32_t ttl_ms = CANARY(TTL_LOWERED_AT_ONCE) ? c->record.ttl_ms : c->ttl_longest_ms;
    int64_t wait_us = arb_lease_wait_us(c, ttl_ms * BASE_US_PER_MS);
    struct base_mono from =
        c->began; /* a winner has one ttl before it is passed over, section 4.5 */
    if (c->has_granted) {
        from = base_mono_max(from, c->granted);
    }
    bool is_heard = c->has_holder_good && !base_mono_before(c->holder_good, c->elected);
    if (!CANARY(NEW_LEADER_DOES_NOT_WAIT) && !(CANARY(HOLDER_REPORT_CUTS) && is_heard)) {
        from = base_mono_max(from, c->elected); /* grants of others may still be under way */
    }
    if (CANARY(PROMOTE_WITHOUT_WAITING) && c->has_holder_good) {
        return base_mono_add_us(c->holder_good, 2 * arb_heartbeat_us(c));
    }
    return base_mono_add_us(from, wait_us);
}

enum arb_over arb_lease_over(const struct arb_cluster *c, struct base_mono now)
{
    if (c->handed != ARB_OVER_NO) {
        return c->handed;
    }
    bool may_stand = c->record.is_fence_trusted || CANARY(FENCE_STANDS_FOR_LEASE);
    if (c->fence == ARB_FENCE_OK && may_stand) {
        return ARB_OVER_EXPIRED;
    }
    bool (*is_harmless)(const struct arb_cluster *, struct base_mono) =
        arb_engine_of(c)->is_harmless;
    if (is_harmless != NULL && !c->record.is_unarmed && is_harmless(c, now)) {
        return ARB_OVER_EXPIRED;
    }
    if (!arb_lease_has_run_out(c, now)) {
        return ARB_OVER_NO;
    }
    return arb_fence_is_missing(c) ? ARB_OVER_NO : ARB_OVER_EXPIRED;
}

/* Section 10: the guard of a holder that heard of a pause is disarmed, and the lease has no end
 * until it is known to be armed again, or dead. */
bool arb_lease_has_run_out(const struct arb_cluster *c, struct base_mono now)
{
    bool is_endless = c->record.is_unarmed && !arb_is_known_dead(c) && !arb_is_guard_replaced(c) &&
                      !CANARY(RESUME_FORGETS_PAUSE);
    return !is_endless && !base_mono_before(now, arb_lease_end(c));
}

bool arb_lease_may_grant(const struct arb_cluster *c, const struct arb_view *view)
{
    bool is_ready = c->is_ready || CANARY(GRANT_BEFORE_NOOP);
    if (!c->is_leader || !is_ready || c->record.epoch == 0 || arb_is_unconfirmed(c)) {
        return false;
    }
    if (c->is_swapping && c->is_swap_epoch && !CANARY(GRANT_WHILE_CAS)) {
        MARK(GRANT_HELD_FOR_SWAP);
        return false; /* an entry that would replace the epoch lies in the log */
    }
    if (arb_fence_is_entered(c) && !CANARY(GRANT_WHILE_FENCED)) {
        return false;
    }
    bool (*may_hold)(const struct arb_cluster *, const struct arb_view *) =
        arb_engine_of(c)->may_hold;
    return arb_view_is_holder(c, view) && c->handed == ARB_OVER_NO &&
           view->report.epoch_handed_back < c->record.epoch && arb_view_ahead(c) == NULL &&
           (may_hold == NULL || may_hold(c, view));
}

void arb_lease_ask(struct arb_turn *t, const struct arb_view *view)
{
    struct arb_cluster *c = t->c;
    if (c->tickets_count == ARB_TICKETS_MAX) { /* confirmations do not come: the oldest is void */
        MARK(CONFIRMATIONS_MISSING);
        for (uint8_t i = 1; i < ARB_TICKETS_MAX; i++) {
            c->tickets[i - 1] = c->tickets[i];
        }
        c->tickets_count--;
    }
    c->tickets[c->tickets_count++] =
        (struct arb_ticket){++c->ticket, view->report.session, view->report.number};
    t->fx->ticket = c->ticket;
    if (CANARY(NO_QUORUM_ROUND)) {
        arb_lease_confirmed(t, c->ticket);
    }
}

void arb_lease_confirmed(struct arb_turn *t, uint64_t ticket)
{
    struct arb_cluster *c = t->c;
    uint8_t taken = 0;
    while (taken < c->tickets_count &&
           (c->tickets[taken].ticket <= ticket || CANARY(STALE_ROUND))) {
        c->is_confirmed = true;
        c->confirmed_session = c->tickets[taken].session;
        c->confirmed_number = c->tickets[taken].number;
        taken++;
    }
    for (uint8_t i = taken; i < c->tickets_count; i++) {
        c->tickets[i - taken] = c->tickets[i];
    }
    c->tickets_count = (uint8_t)(c->tickets_count - taken);
    uint8_t holder = arb_view_find(c, &c->record.holder);
    if (taken > 0 && holder != ARB_NOBODY) {
        t->fx->orders |= (uint16_t)(1u << holder);
    }
}
