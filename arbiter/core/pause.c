/* SPDX-License-Identifier: Apache-2.0 */
/* Pause (section 10 of the safety rules): nobody acts, and a paused lease has no end.
 *
 * A holder that hears of a pause has its guard disarmed. So from the entry on, and beyond the
 * resume, the record says that the lease has no end (is_unarmed), until the holder has reported its
 * guard armed again in a report that was made after it took the resume in: a report from before, on
 * its way, says nothing, since an order with the pause may still reach its sender. Nor does one
 * without a deadline: an agent that has lost its state file knows of no pause. Otherwise only a
 * handback, a fence that succeeded, or an operator's word that the holder is dead ends it.
 */
#include "arbiter/core/internal.h"
#include "base/assert.h"
#include "base/canary.h"
#include "base/name.h"

bool arb_is_known_dead(const struct arb_cluster *c)
{
    return c->record.epoch != 0 && (c->fence == ARB_FENCE_OK || c->dead_epoch == c->record.epoch);
}

/* As with a handback for a predecessor: the host was started anew, or its guard is gone, and the
 * present one sees no process of the database left. It has the directory of this cluster: a new
 * machine under the old name knows nothing of what runs on the old one. */
bool arb_is_guard_replaced(const struct arb_cluster *c)
{
    uint8_t at = arb_view_find(c, &c->record.holder);
    const struct arb_view *view = at == ARB_NOBODY ? NULL : &c->views[at];
    return view != NULL && view->has_report && view->refused == ARB_REFUSE_NONE &&
           view->report.instance != 0 && view->report.instance != c->record.holder_instance &&
           arb_engine_of(c)->is_old_gone(&view->report) &&
           arb_engine_of(c)->is_same_host(&c->record, &view->report);
}

void arb_request_pause(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    struct msg_record next = c->record;
    if (next.is_paused) {
        arb_answer(t, 0, "the cluster is paused already");
        return;
    }
    if (next.state != MSG_RECORD_RUNNING) {
        arb_answer(t, BASE_E_STATE,
                   next.state == MSG_RECORD_SWITCHOVER
                       ? "a switchover is under way; kv db cancel ends it, or wait for its end"
                       : "the database is being made");
        return;
    }
    next.is_paused = next.is_unarmed = true;
    arb_propose(t, ARB_DECIDE_PAUSE, &next);
    arb_answer(t, 0, "paused: nothing is promoted, fenced or restarted until kv db resume");
}

void arb_request_resume(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    struct msg_record next = c->record;
    if (!next.is_paused) {
        arb_answer(t, BASE_E_STATE, "the cluster is not paused");
        return;
    }
    bool is_leaseless = arb_engine_of(c)->is_leaseless;
    next.is_paused = false;
    next.is_unarmed = next.is_unarmed && !is_leaseless; /* no guard has a deadline */
    arb_say(t, ARB_NOTE_RESUMED);
    arb_propose(t, ARB_DECIDE_RESUME, &next);
    arb_answer(t, 0,
               is_leaseless ? "resumed: orders are given again"
                            : "resumed: the primary arms its guard again");
}

/* An operator's word about a host that nobody hears; its lease runs out like any other then, and a
 * fence is not asked for. */
void arb_request_dead(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    const struct base_name *member = &t->event->request->candidate;
    uint8_t at = arb_view_find(c, member);
    const struct arb_engine *engine = arb_engine_of(c);
    if (engine->dead != NULL && engine->dead(t)) {
        return;
    }
    if (!base_name_equal(member, &c->record.holder)) {
        arb_answer_member(t, BASE_E_STATE, member,
                          "is not the primary of the record: nothing waits for it");
        return;
    }
    /* One that is heard under its name without its guard may be another machine. */
    bool is_another = at != ARB_NOBODY && c->views[at].report.instance != 0 &&
                      !arb_view_is_holder(c, &c->views[at]) && c->views[at].report.is_tree_gone;
    if (at != ARB_NOBODY && !is_another && arb_view_is_live(c, &c->views[at], t->event->now)) {
        arb_answer_member(t, BASE_E_STATE, member, "is heard: it is not dead");
        return;
    }
    c->dead_epoch = c->record.epoch;
    arb_say(t, ARB_NOTE_DEAD)->member = *member;
    arb_answer(t, 0, "confirmed: its right ends when its last lease has run out");
    if (c->record.is_unarmed) {
        struct msg_record next = c->record;
        next.is_unarmed = false;
        arb_propose(t, ARB_DECIDE_ARMED, &next);
    } else {
        arb_decide(t);
    }
}

/* The report echoes an order that was made after the resume was applied here. */
static bool has_heard_resume(struct arb_cluster *c, const struct msg_report *report)
{
    if (c->resume_session != report->session) {
        c->resume_session = report->session;
        c->resume_number = report->number + 1;
    }
    return (report->order_term == c->term && report->order_number >= c->resume_number) ||
           CANARY(RESUME_WITHOUT_ECHO);
}

bool arb_armed(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    const struct arb_view *holder = arb_view_holder(c);
    if (!c->record.is_unarmed || c->record.is_paused || holder == NULL ||
        !has_heard_resume(c, &holder->report) || holder->report.is_paused ||
        (holder->report.lease_left_us == 0 && !CANARY(ARMED_BY_WORD)) ||
        holder->report.epoch_held != c->record.epoch) {
        return false;
    }
    struct msg_record next = c->record;
    next.is_unarmed = false;
    struct arb_note *note = arb_say(t, ARB_NOTE_ARMED);
    note->member = holder->member;
    note->a = c->record.epoch;
    arb_propose(t, ARB_DECIDE_ARMED, &next);
    return true;
}
