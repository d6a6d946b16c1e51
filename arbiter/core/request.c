/* SPDX-License-Identifier: Apache-2.0 */
/* What operators ask for: switchover and forced failover (confirmations are in confirm.c). Answered
 * in the same step, with the reason when it is refused; what was accepted takes the same way as
 * every other decision.
 */
#include "arbiter/core/internal.h"
#include "base/assert.h"
#include "base/name.h"

void arb_answer(struct arb_turn *t, int status, const char *text)
{
    t->fx->has_answer = true;
    t->fx->answer = status;
    t->fx->answer_text = base_text_from(slice_from_text(text));
}

static void request_switchover(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    const struct arb_request *request = t->event->request;
    const struct arb_view *holder = arb_view_holder(c);
    if (c->record.state != MSG_RECORD_RUNNING || arb_lease_over(c, t->event->now) != ARB_OVER_NO) {
        arb_answer(t, BASE_E_STATE, "the cluster is not in its normal state; see kv db why");
        return;
    }
    if (holder == NULL || !arb_view_is_holder(c, holder) || !holder->report.is_open ||
        !arb_view_is_live(c, holder, t->event->now)) {
        arb_answer(t, BASE_E_STATE,
                   "the primary is not open for writes, nothing can be handed over");
        return;
    }
    uint8_t target = base_name_is_empty(&request->candidate)
                         ? arb_target_choose(c, t->event->now)
                         : arb_view_find(c, &request->candidate);
    if (target == ARB_NOBODY) {
        arb_answer(t, BASE_E_NOTFOUND, "there is no member that could take over");
        return;
    }
    enum arb_refusal why = arb_target_check(c, &c->views[target], t->event->now);
    if (why != ARB_REFUSE_NONE) {
        uint8_t memory[BASE_TEXT_MAX + 1];
        struct buf text = buf_over(memory, BASE_TEXT_MAX);
        buf_put(&text, base_name_slice(&c->views[target].member));
        buf_put_text(&text, " cannot take over: it ");
        buf_put_text(&text, arb_refusal_text(why));
        arb_answer(t, BASE_E_STATE, "");
        t->fx->answer_text = base_text_from(buf_slice(&text));
        return;
    }
    struct msg_record next = c->record;
    next.state = MSG_RECORD_SWITCHOVER;
    next.target = c->views[target].member;
    struct arb_note *note = arb_say(t, ARB_NOTE_SWITCHOVER);
    note->member = c->record.holder;
    note->other = next.target;
    arb_propose(t, ARB_DECIDE_SWITCHOVER, &next);
    arb_answer(t, 0, "the primary is asked to hand over");
}

/* Who would take over by force: the one asked for, or the most advanced that is alive. */
static uint8_t forced_choice(const struct arb_cluster *c, const struct base_name *wanted,
                             struct base_mono now)
{
    uint8_t best = ARB_NOBODY;
    if (!base_name_is_empty(wanted)) {
        return arb_view_find(c, wanted);
    }
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        if (base_name_equal(&view->member, &c->record.holder) || !arb_view_is_live(c, view, now) ||
            view->refused != ARB_REFUSE_NONE || !arb_has_database(view)) {
            continue;
        }
        if (best == ARB_NOBODY ||
            arb_position_compare(&view->report.position, &c->views[best].report.position) > 0) {
            best = i;
        }
    }
    return best;
}

/* What an unforced request is told: why it waits, and what force would cost. */
static void answer_cost(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    uint8_t memory[BASE_TEXT_MAX];
    struct buf text = buf_over(memory, sizeof(memory));
    uint8_t i = forced_choice(c, &t->event->request->candidate, t->event->now);
    if (c->is_waiting) {
        arb_note_put(&c->waiting, &text);
    } else {
        buf_put_text(&text, "a failover is under way by itself");
    }
    if (i != ARB_NOBODY && c->views[i].has_report) {
        bool is_known = c->known.lineage != 0;
        buf_put_text(&text, "; by force ");
        buf_put(&text, base_name_slice(&c->views[i].member));
        buf_put_text(&text, is_known ? " would lose up to " : " would lose an unknown amount");
        if (is_known) {
            buf_put_dec(&text, arb_loss_bound(c, &c->views[i].report.position));
            buf_put_text(&text, " bytes and what came after the last report");
        }
    }
    arb_answer(t, BASE_E_STATE, "");
    t->fx->answer_text = base_text_from(buf_slice(&text));
}

static void request_failover(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    const struct arb_request *request = t->event->request;
    if (arb_lease_over(c, t->event->now) == ARB_OVER_NO) {
        arb_answer(t, BASE_E_STATE,
                   "the primary holds its lease; a switchover is what hands it over");
        return;
    }
    if (!request->is_forced) {
        answer_cost(t);
        return;
    }
    if (!base_name_is_empty(&request->candidate) &&
        arb_view_find(c, &request->candidate) == ARB_NOBODY) {
        arb_answer(t, BASE_E_NOTFOUND, "there is no such member");
        return;
    }
    c->is_forced = true;
    c->forced_candidate = request->candidate;
    arb_attempt_end(c); /* all members are asked now: a new attempt */
    arb_answer(t, 0, "the failover is forced as soon as the members have reported their positions");
    arb_decide(t);
}

void arb_request(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    if (!c->is_leader || !c->is_ready) {
        arb_answer(t, BASE_E_NOTLEADER, "this node does not lead");
    } else if (c->is_swapping) {
        arb_answer(t, BASE_E_BUSY, "another change is on its way, try again");
    } else if (c->record.epoch == 0 && t->event->request->kind != ARB_REQUEST_CONFIRM) {
        arb_answer(t, BASE_E_NOTFOUND, "there is no such cluster");
    } else if (t->event->request->kind == ARB_REQUEST_CONFIRM) {
        arb_confirm(t);
    } else if (arb_is_unconfirmed(c)) {
        arb_answer(t, BASE_E_STATE,
                   "unconfirmed after a restore of the quorum; kv db confirm comes first");
    } else if (arb_view_ahead(c) != NULL) {
        arb_answer(t, BASE_E_STATE,
                   "a member has seen a higher epoch than the record's; kv db confirm lifts it");
    } else if (t->event->request->kind == ARB_REQUEST_SWITCHOVER) {
        request_switchover(t);
    } else if (t->event->request->kind == ARB_REQUEST_FAILOVER) {
        request_failover(t);
    } else {
        arb_answer(t, BASE_E_UNSUPPORTED, "this arbiter does not know that order yet");
    }
}
