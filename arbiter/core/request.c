/* SPDX-License-Identifier: Apache-2.0 */
/* What operators ask for: dispatch, and the forced failover. Answered in the same step, with the
 * reason when it is refused; what was accepted takes the same way as every other decision.
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

void arb_answer_member(struct arb_turn *t, int status, const struct base_name *member,
                       const char *text)
{
    uint8_t memory[BASE_TEXT_MAX];
    struct buf b = buf_over(memory, sizeof(memory));
    buf_put(&b, base_name_slice(member));
    buf_put_u8(&b, ' ');
    buf_put_text(&b, text);
    arb_answer(t, status, "");
    t->fx->answer_text = base_text_from(buf_slice(&b));
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
        bool is_known = arb_is_loss_known(c);
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

static void carry_out(struct arb_turn *t)
{
    const struct arb_engine *engine = arb_engine_of(t->c);
    if (engine->request != NULL && engine->request(t)) {
        return;
    }
    switch (t->event->request->kind) {
    case ARB_REQUEST_SWITCHOVER:
        arb_request_switchover(t);
        return;
    case ARB_REQUEST_FAILOVER:
        request_failover(t);
        return;
    case ARB_REQUEST_CONFIRM:
        arb_confirm(t);
        return;
    case ARB_REQUEST_CONFIRM_DEAD:
        arb_request_dead(t);
        return;
    case ARB_REQUEST_PAUSE:
        arb_request_pause(t);
        return;
    case ARB_REQUEST_RESUME:
        arb_request_resume(t);
        return;
    case ARB_REQUEST_DRAIN:
    case ARB_REQUEST_UNDRAIN:
        arb_request_drain(t, t->event->request->kind == ARB_REQUEST_DRAIN);
        return;
    case ARB_REQUEST_TASK:
        arb_request_task(t);
        return;
    case ARB_REQUEST_CANCEL:
        if (t->event->request->is_catch_up) {
            arb_answer(t, BASE_E_INVALID, "only a new primary of MongoDB catches up");
        } else {
            arb_request_cancel(t);
        }
        return;
    case ARB_REQUEST_REMOVE:
        arb_request_remove(t);
        return;
    case ARB_REQUEST_FORCE_RECONFIGURE:
        arb_answer(t, BASE_E_INVALID, "only a MongoDB replica set has a forced reconfiguration");
        return;
    }
    BASE_UNREACHABLE();
}

/* In a pause nobody acts: what would have to be carried out waits for the resume. */
static bool is_for_later(const struct arb_turn *t)
{
    enum arb_request_kind kind = t->event->request->kind;
    bool is_acting = kind == ARB_REQUEST_SWITCHOVER || kind == ARB_REQUEST_FAILOVER ||
                     kind == ARB_REQUEST_TASK || kind == ARB_REQUEST_CONFIRM_DEAD ||
                     kind == ARB_REQUEST_FORCE_RECONFIGURE;
    return t->c->record.is_paused && is_acting;
}

/* Needs no record, and changes none: the whole cluster is to go. */
static bool is_for_all(const struct arb_turn *t)
{
    return t->event->request->kind == ARB_REQUEST_REMOVE &&
           base_name_is_empty(&t->event->request->candidate);
}

void arb_request(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    enum arb_request_kind kind = t->event->request->kind;
    if (!c->is_leader || !c->is_ready) {
        arb_answer(t, BASE_E_NOTLEADER, "this node does not lead");
    } else if (c->is_swapping) {
        arb_answer(t, BASE_E_BUSY, "another change is on its way, try again");
    } else if (c->record.epoch == 0 && kind != ARB_REQUEST_CONFIRM && !is_for_all(t)) {
        arb_answer(t, BASE_E_NOTFOUND, "there is no such cluster");
    } else if (kind == ARB_REQUEST_CONFIRM) {
        arb_confirm(t);
    } else if (arb_is_unconfirmed(c) && !is_for_all(t)) {
        arb_answer(t, BASE_E_STATE,
                   "unconfirmed after a restore of the quorum; kv db confirm comes first");
    } else if (arb_view_ahead(c) != NULL && !is_for_all(t)) {
        arb_answer(t, BASE_E_STATE,
                   "a member has seen a higher epoch than the record's; kv db confirm lifts it");
    } else if (arb_engine_of(c)->refuses != NULL &&
               arb_engine_of(c)->refuses(t->event->request) != NULL) {
        arb_answer(t, BASE_E_INVALID, arb_engine_of(c)->refuses(t->event->request));
    } else if (is_for_later(t)) {
        arb_answer(t, BASE_E_STATE, "the cluster is paused; kv db resume comes first");
    } else {
        carry_out(t);
    }
}
