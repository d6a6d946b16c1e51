/* SPDX-License-Identifier: Apache-2.0 */
/* Orders: the goal of each member from the record and the state of the failover, and the grant.
 *
 * The check whether a grant may go out is made here, at the moment of sending, and the grant is
 * booked with the clock that was read for it.
 */
#include "arbiter/core/internal.h"
#include "base/assert.h"
#include "base/canary.h"
#include "base/mark.h"
#include "base/name.h"

static enum msg_goal goal_of_holder(const struct arb_cluster *c, const struct arb_view *view)
{
    if (!arb_view_is_holder(c, view) || c->handed != ARB_OVER_NO || arb_view_ahead(c) != NULL ||
        arb_fence_is_entered(c)) {
        return MSG_GOAL_NONE; /* waits for the next epoch */
    }
    switch (c->record.state) {
    case MSG_RECORD_BOOTSTRAP:
        return MSG_GOAL_INIT;
    case MSG_RECORD_SWITCHOVER:
        return MSG_GOAL_HAND_OVER;
    case MSG_RECORD_RUNNING:
        return MSG_GOAL_HOLD;
    case MSG_RECORD_NONE:
        break;
    }
    BASE_UNREACHABLE();
}

static enum msg_goal goal_of(const struct arb_cluster *c, const struct arb_view *view)
{
    if (view->refused != ARB_REFUSE_NONE) {
        return MSG_GOAL_REFUSED;
    }
    if (arb_engine_of(c)->is_leaseless || c->record.epoch == 0 || arb_is_unconfirmed(c)) {
        return MSG_GOAL_NONE;
    }
    if (base_name_equal(&view->member, &c->record.holder)) {
        return goal_of_holder(c, view);
    }
    if (arb_view_ahead(c) != NULL || (c->record.is_paused && !CANARY(PAUSE_IGNORED))) {
        return MSG_GOAL_NONE;
    }
    bool is_asked = c->is_attempt && (c->is_forced || arb_is_async(&c->record) ||
                                      arb_names_has(&c->record.voters, &view->member));
    if (is_asked) {
        return MSG_GOAL_VOTE;
    }
    return c->record.state == MSG_RECORD_BOOTSTRAP ? MSG_GOAL_NONE : MSG_GOAL_FOLLOW;
}

static struct base_text reason_of(const struct arb_cluster *c, const struct arb_view *view)
{
    uint8_t memory[2 * BASE_TEXT_MAX];
    struct buf text = buf_over(memory, sizeof(memory));
    if (view->refused != ARB_REFUSE_NONE) {
        buf_put_text(&text, arb_refusal_text(view->refused));
    } else if (c->is_waiting) {
        arb_note_put(&c->waiting, &text);
    }
    return base_text_from(buf_slice(&text));
}

static void add_members(const struct arb_cluster *c, struct base_mono now, struct msg_order *order)
{
    int64_t silent_us = 2 * arb_ttl_us(c);
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        if (!view->has_report || view->refused != ARB_REFUSE_NONE) {
            continue;
        }
        order->members[order->members_count++] = (struct msg_member){
            .member = view->member,
            .host = view->report.host,
            .db_port = view->report.db_port,
            .http_port = view->report.http_port,
            .db_state = view->report.db_state,
            .is_open = view->report.is_open,
            .is_clonefrom = view->report.is_clonefrom,
            .is_heard = base_mono_diff_us(now, view->heard) <= silent_us,
            .timeline = view->report.position.timeline,
            .lsn = view->report.position.lsn,
            .replay_lsn = view->report.replay_lsn,
            .is_receiving = view->report.is_receiving,
            .upstream = view->report.upstream,
            .is_nofailover = view->report.is_nofailover,
            .is_nosync = view->report.is_nosync,
            .is_noloadbalance = view->report.is_noloadbalance,
            .priority = view->report.priority,
            .is_restart_pending = view->report.is_restart_pending,
            .config_revision = view->report.config_revision,
            .galera_state = view->report.galera.state,
            .mongodb_state = view->report.mongodb.state,
        };
    }
}

/* Section 2: decided and booked at the moment of sending. */
static void add_grant(struct arb_cluster *c, const struct arb_view *view, struct base_mono now,
                      struct msg_order *order)
{
    if (!c->is_confirmed || c->confirmed_session != view->report.session ||
        !arb_lease_may_grant(c, view)) {
        return;
    }
    c->is_confirmed = false;
    order->number = c->confirmed_number;
    order->is_granted = true;
    order->granted_epoch = c->record.epoch;
    order->ttl_us = arb_ttl_us(c);
    BASE_ASSERT(!c->has_granted || !base_mono_before(now, c->granted));
    c->has_granted = true;
    c->granted = now;
    if (!CANARY(DEAD_FOR_EVER)) {
        c->dead_epoch = 0; /* it was not dead, and what it is granted from now on counts */
    }
    c->over_at = BASE_MONO_NEVER;
    if (c->is_attempt) { /* section 4.1: its votes are void */
        MARK(GRANT_ENDS_ATTEMPT);
        arb_attempt_end(c);
        c->is_end_unsaid = true;
    }
}

void arb_order_make(struct arb_cluster *c, uint8_t index, struct base_mono now,
                    struct msg_order *ret)
{
    BASE_ASSERT(index < c->views_count && c->is_leader && c->is_ready);
    struct arb_view *view = &c->views[index];
    BASE_ASSERT(view->has_report);
    struct msg_order *order = ret;
    *order = (struct msg_order){.session = view->report.session,
                                .number = view->report.number,
                                .term = c->term,
                                .record = c->record};
    add_grant(c, view, now, order); /* first: it may end an attempt */
    order->goal = goal_of(c, view);
    order->reason = reason_of(c, view);
    if (c->is_attempt) {
        order->attempt = c->attempt;
        if (arb_is_catching_up(c, view)) {
            order->catch_up_from = c->catch_up_from;
        }
    } else if (c->has_granted) {
        order->ended = (struct msg_attempt){c->term, c->attempt.number};
    }
    if (c->has_wish && arb_view_is_holder(c, view)) {
        order->has_sync = true;
        order->sync_names = c->wish.names;
        order->sync_count = c->wish.count;
    }
    add_members(c, now, order);
    if (arb_engine_of(c)->order != NULL) {
        arb_engine_of(c)->order(c, view, now, order);
    }
}
