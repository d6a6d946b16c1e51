/* SPDX-License-Identifier: Apache-2.0 */
/* Switchover (section 8 of the safety rules): asked for now, planned for later, given up, and that
 * of a holder that was drained.
 *
 * A planned one is checked again when it is due, and dropped with the reason when it cannot be done
 * then. Before the stop it can be given up, and the holder goes on; a holder that has stopped by
 * then starts again in place.
 */
#include "arbiter/core/internal.h"
#include "base/assert.h"
#include "base/name.h"

/* --- may it be done --- */

/* Why the holder cannot hand over; NONE: it can. */
static enum arb_refusal check_holder(struct arb_cluster *c, struct base_mono now)
{
    const struct arb_view *holder = arb_view_holder(c);
    if (holder == NULL || !arb_view_is_holder(c, holder) || !arb_view_is_live(c, holder, now)) {
        return ARB_REFUSE_SILENT;
    }
    bool is_serving = c->record.is_standby_cluster ? holder->report.db_state == MSG_DB_STANDBY
                                                   : holder->report.is_open;
    return is_serving ? ARB_REFUSE_NONE : ARB_REFUSE_NOT_OPEN;
}

/* Who would take over, the one wanted or the best one: index, or ARB_NOBODY with the member and the
 * reason. */
static uint8_t find_target(struct arb_turn *t, const struct base_name *wanted,
                           struct base_name *ret_member, enum arb_refusal *ret_why)
{
    struct arb_cluster *c = t->c;
    bool is_named = !base_name_is_empty(wanted);
    *ret_member = is_named ? *wanted : c->record.holder;
    *ret_why = check_holder(c, t->event->now);
    if (*ret_why != ARB_REFUSE_NONE) {
        *ret_member = c->record.holder;
        return ARB_NOBODY;
    }
    uint8_t target = is_named ? arb_view_find(c, wanted) : arb_target_choose(c, t->event->now);
    if (target == ARB_NOBODY) {
        *ret_why = is_named ? ARB_REFUSE_SILENT : ARB_REFUSE_NOBODY_FIT;
        return ARB_NOBODY;
    }
    *ret_why = arb_target_check(c, &c->views[target], t->event->now);
    return *ret_why == ARB_REFUSE_NONE ? target : ARB_NOBODY;
}

static void ask_holder(struct arb_turn *t, uint8_t target)
{
    struct msg_record next = t->c->record;
    next.state = MSG_RECORD_SWITCHOVER;
    next.target = t->c->views[target].member;
    next.switchover_at_wall_us = 0;
    next.switchover_to = (struct base_name){{0}};
    struct arb_note *note = arb_say(t, ARB_NOTE_SWITCHOVER);
    note->member = next.holder;
    note->other = next.target;
    arb_propose(t, ARB_DECIDE_SWITCHOVER, &next);
}

/* --- asked for --- */

static void plan(struct arb_turn *t)
{
    const struct arb_request *request = t->event->request;
    struct msg_record next = t->c->record;
    if (request->at_wall_us <= t->event->wall.us) {
        arb_answer(t, BASE_E_INVALID, "that time has passed");
        return;
    }
    if (base_name_equal(&request->candidate, &next.holder)) {
        arb_answer_member(t, BASE_E_STATE, &request->candidate, "is the primary already");
        return;
    }
    if (!base_name_is_empty(&request->candidate) &&
        arb_view_find(t->c, &request->candidate) == ARB_NOBODY) {
        arb_answer(t, BASE_E_NOTFOUND, "there is no such member");
        return;
    }
    next.switchover_at_wall_us = request->at_wall_us;
    next.switchover_to = request->candidate;
    arb_say(t, ARB_NOTE_SCHEDULED);
    arb_propose(t, ARB_DECIDE_SCHEDULE, &next);
    arb_answer(t, 0, "planned; it is checked again when the time has come");
}

/* "pg2 cannot take over: it is tagged nofailover" */
static void answer_refusal(struct arb_turn *t, const struct base_name *member, enum arb_refusal why)
{
    uint8_t memory[BASE_TEXT_MAX];
    struct buf text = buf_over(memory, sizeof(memory));
    bool is_unknown = arb_view_find(t->c, member) == ARB_NOBODY;
    bool is_holders = base_name_equal(member, &t->c->record.holder) && why != ARB_REFUSE_HOLDER;
    if (why == ARB_REFUSE_NOBODY_FIT || is_unknown) {
        arb_answer(t, BASE_E_NOTFOUND, "there is no member that could take over");
        return;
    }
    buf_put_text(&text, is_holders ? "the primary " : "");
    buf_put(&text, base_name_slice(member));
    buf_put_text(&text, is_holders ? " " : " cannot take over: it ");
    buf_put_text(&text, arb_refusal_text(why));
    arb_answer(t, BASE_E_STATE, "");
    t->fx->answer_text = base_text_from(buf_slice(&text));
}

void arb_request_switchover(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    struct base_name member;
    enum arb_refusal why;
    if (t->event->request->at_wall_us != 0) {
        plan(t);
        return;
    }
    if (c->record.state != MSG_RECORD_RUNNING || arb_lease_over(c, t->event->now) != ARB_OVER_NO) {
        arb_answer(t, BASE_E_STATE, "the cluster is not in its normal state; see kv db why");
        return;
    }
    uint8_t target = find_target(t, &t->event->request->candidate, &member, &why);
    if (target == ARB_NOBODY) {
        answer_refusal(t, &member, why);
        return;
    }
    ask_holder(t, target);
    arb_answer(t, 0, "the primary is asked to hand over");
}

/* --- planned --- */

bool arb_switchover_due(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    int64_t at = c->record.switchover_at_wall_us;
    if (at == 0 || t->event->wall.us < at || c->record.state != MSG_RECORD_RUNNING) {
        return false;
    }
    struct base_name member;
    enum arb_refusal why;
    uint8_t target = find_target(t, &c->record.switchover_to, &member, &why);
    if (t->event->wall.us - at > ARB_SCHEDULE_LATE_US) {
        why = ARB_REFUSE_LATE;
        member = c->record.holder;
    } else if (target != ARB_NOBODY) {
        ask_holder(t, target);
        return true;
    }
    struct msg_record next = c->record;
    struct arb_note *note = arb_say(t, ARB_NOTE_SCHEDULE_DROPPED);
    note->other = member;
    note->why = why;
    next.switchover_at_wall_us = 0;
    next.switchover_to = (struct base_name){{0}};
    arb_propose(t, ARB_DECIDE_SCHEDULE, &next);
    return true;
}

/* --- drained --- */

bool arb_switchover_begin(struct arb_turn *t, enum arb_refusal *ret_why)
{
    const struct base_name anybody = {{0}};
    struct base_name member;
    uint8_t target = find_target(t, &anybody, &member, ret_why);
    if (target == ARB_NOBODY) {
        return false;
    }
    ask_holder(t, target);
    return true;
}

bool arb_drain_holder(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    const struct base_name anybody = {{0}};
    struct base_name member;
    enum arb_refusal why;
    if (c->record.state != MSG_RECORD_RUNNING ||
        !arb_names_has(&c->record.drained, &c->record.holder)) {
        return false;
    }
    uint8_t target = find_target(t, &anybody, &member, &why);
    if (target == ARB_NOBODY) {
        arb_say_waiting(
            t, &(struct arb_note){.kind = ARB_NOTE_DRAIN_WAITS, .member = member, .why = why});
        return false;
    }
    ask_holder(t, target);
    return true;
}

/* --- given up --- */

static void go_on(struct msg_record *next)
{
    next->state = MSG_RECORD_RUNNING;
    next->target = (struct base_name){{0}};
}

/* Whether the target could still take over; NONE or why not. An agent that has just begun has not
 * looked at its database yet: that proves nothing against it. */
static enum arb_refusal check_target(const struct arb_turn *t, uint8_t target)
{
    const struct arb_cluster *c = t->c;
    const struct arb_view *view = &c->views[target];
    if (arb_engine_of(c)->target_check != NULL) {
        return arb_engine_of(c)->target_check(c, view, t->event->now);
    }
    bool has_looked = view->report.db_state != MSG_DB_UNKNOWN;
    if (view->refused == ARB_REFUSE_NONE && has_looked && !arb_has_database(view)) {
        return ARB_REFUSE_NOT_USABLE;
    }
    return view->refused;
}

/* The target has gone before the holder stopped: the holder goes on. */
bool arb_switchover_abandon(struct arb_turn *t, const struct arb_view *holder)
{
    struct arb_cluster *c = t->c;
    uint8_t target = arb_view_find(c, &c->record.target);
    enum arb_refusal why = ARB_REFUSE_SILENT;
    if (target != ARB_NOBODY &&
        arb_view_is_fresh(&c->views[target], t->event->now, arb_ttl_us(c))) {
        why = check_target(t, target);
    }
    if (why == ARB_REFUSE_NONE || !arb_engine_of(c)->is_serving(&holder->report)) {
        return false;
    }
    struct msg_record next = c->record;
    struct arb_note *note = arb_say(t, ARB_NOTE_SWITCHOVER_ENDED);
    note->member = holder->member;
    note->other = c->record.target;
    note->why = why;
    go_on(&next);
    arb_propose(t, ARB_DECIDE_ABANDON, &next);
    return true;
}

/* True when nothing stands against it; else it is answered. */
static bool may_give_up(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    const struct arb_view *holder = arb_view_holder(c);
    if (arb_lease_over(c, t->event->now) == ARB_OVER_NO && holder != NULL &&
        (arb_engine_of(c)->is_serving(&holder->report) || c->record.is_standby_cluster)) {
        return true;
    }
    arb_answer(t, BASE_E_STATE,
               "the primary has been stopped already: the switchover takes its way");
    return false;
}

static void forget_plan(struct arb_turn *t, struct msg_record *next)
{
    arb_say(t, ARB_NOTE_SCHEDULE_CANCELED);
    next->switchover_at_wall_us = 0;
    next->switchover_to = (struct base_name){{0}};
}

static void cancel_plan(struct arb_turn *t)
{
    struct msg_record next = t->c->record;
    if (next.switchover_at_wall_us == 0) {
        arb_answer(t, BASE_E_NOTFOUND, "no switchover is planned");
        return;
    }
    forget_plan(t, &next);
    arb_propose(t, ARB_DECIDE_SCHEDULE, &next);
    arb_answer(t, 0, "canceled");
}

void arb_request_cancel(struct arb_turn *t)
{
    if (t->event->request->is_planned) {
        cancel_plan(t);
        return;
    }
    struct arb_cluster *c = t->c;
    const struct base_name *member = &t->event->request->candidate;
    struct msg_record next = c->record;
    enum arb_decision_kind kind = ARB_DECIDE_TASK;
    uint8_t tasks = arb_tasks_drop(&next, member);
    bool is_all = base_name_is_empty(member);
    if (is_all && next.state == MSG_RECORD_SWITCHOVER) {
        if (!may_give_up(t)) {
            return;
        }
        struct arb_note *note = arb_say(t, ARB_NOTE_SWITCHOVER_CANCELED);
        note->member = next.holder;
        note->other = next.target;
        go_on(&next);
        arb_names_remove(&next.drained, &next.holder); /* or it would be asked again at once */
        kind = ARB_DECIDE_ABANDON;
    }
    if (is_all && next.switchover_at_wall_us != 0) {
        forget_plan(t, &next);
        kind = kind == ARB_DECIDE_TASK ? ARB_DECIDE_SCHEDULE : kind;
    }
    if (tasks == 0 && kind == ARB_DECIDE_TASK) {
        arb_answer(t, BASE_E_NOTFOUND, "there is nothing to be canceled");
        return;
    }
    if (tasks > 0) {
        arb_say(t, ARB_NOTE_CANCELED)->a = tasks;
    }
    arb_propose(t, kind, &next);
    arb_answer(t, 0, "canceled");
}
