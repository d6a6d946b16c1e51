/* SPDX-License-Identifier: Apache-2.0 */
/* Galera: an operator's word. In a recovery that waits: who is gone for good (--dead), whom it goes
 * on without (--override), from where (--primary), with what loss (--force). After a restore of the
 * quorum, or where there are data and no record: the record is made from what the members report.
 *
 * No word sets the arithmetic of rule 1 aside: what may be Primary has to be heard, or be dead.
 */
#include "arbiter/core/galera_internal.h"
#include "base/assert.h"
#include "base/name.h"

#include <string.h>

/* --- a recovery that waits --- */

static void put_count(struct buf *b, const char *what, int64_t n)
{
    buf_put_text(b, what);
    buf_put_int(b, n);
}

/* A person may go on without what it has. */
static bool is_dispensable(enum gal_why why)
{
    return why == GAL_MISSING || why == GAL_OTHER_STAMP || why == GAL_DAMAGED;
}

/* What going on now would cost, and what would be needed for it. */
static void answer_cost(struct arb_turn *t)
{
    const struct arb_cluster *c = t->c;
    const struct gal_verdict *v = &c->galera.verdict;
    uint8_t memory[BASE_TEXT_MAX];
    struct buf b = buf_over(memory, sizeof(memory));
    if (v->candidate != GAL_NOBODY && v->candidate < c->views_count) {
        buf_put(&b, base_name_slice(&c->views[v->candidate].member));
        put_count(&b, " has most, seqno ", v->base.seqno);
        put_count(&b, ": transactions that are known committed and missing: ", (int64_t)v->lost);
        if (is_dispensable(v->why)) {
            buf_put_text(&b, "; ");
            buf_put(&b, base_name_slice(&v->member));
            buf_put_text(&b, " may have more: --override goes on without it");
        }
        bool is_loss = v->lost > 0 || v->why == GAL_BEFORE || v->why == GAL_OLDER;
        buf_put_text(&b, is_loss ? "; --force accepts that loss" : "");
        buf_put_text(&b, v->why == GAL_OLDER ? ", with --primary and its name" : "");
    } else if (c->is_waiting) {
        arb_note_put(&c->waiting, &b);
    }
    arb_answer(t, BASE_E_STATE, "");
    t->fx->answer_text = base_text_from(buf_slice(&b));
}

/* The recovery waits for it though it is heard. */
static bool is_waited_for(const struct arb_cluster *c, const struct base_name *member)
{
    const struct gal_verdict *v = &c->galera.verdict;
    return c->galera.has_verdict && is_dispensable(v->why) && base_name_equal(&v->member, member);
}

static bool is_named_well(struct arb_turn *t)
{
    const struct arb_request *request = t->event->request;
    const struct arb_cluster *c = t->c;
    for (uint8_t i = 0; i < request->overridden.count; i++) {
        uint8_t at = arb_view_find(c, &request->overridden.names[i]);
        if (at == ARB_NOBODY) {
            arb_answer_member(t, BASE_E_NOTFOUND, &request->overridden.names[i],
                              "is no member of this cluster");
            return false;
        }
        if (arb_view_is_live(c, &c->views[at], t->event->now) &&
            !is_waited_for(c, &request->overridden.names[i])) {
            arb_answer_member(t, BASE_E_STATE, &request->overridden.names[i],
                              "is heard: what it has counts");
            return false;
        }
    }
    if (!base_name_is_empty(&request->candidate) &&
        arb_view_find(c, &request->candidate) == ARB_NOBODY) {
        arb_answer_member(t, BASE_E_NOTFOUND, &request->candidate, "is no member of this cluster");
        return false;
    }
    return true;
}

/* --override names who is missing; without --force it only shows what that would cost. */
static void confirm_recovery(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    struct arb_galera *g = &c->galera;
    const struct arb_request *request = t->event->request;
    bool is_retry = c->record.galera.grant.state == MSG_GALERA_GRANT_FAILED;
    bool has_word = request->is_forced || request->overridden.count > 0 || is_retry;
    if (!is_named_well(t)) {
        return;
    }
    if (!has_word) {
        answer_cost(t);
        return;
    }
    for (uint8_t i = 0; i < request->overridden.count; i++) {
        if (arb_names_add(&g->excused, &request->overridden.names[i]) != 0) {
            arb_answer(t, BASE_E_TOOBIG, "too many members are named");
            return;
        }
        arb_say(t, ARB_NOTE_GALERA_OVERRIDE)->member = request->overridden.names[i];
    }
    g->may_retry = true;
    g->is_loss_accepted = g->is_loss_accepted || request->is_forced;
    g->wanted = request->candidate;
    arb_answer(t, 0, "confirmed: the recovery goes on as far as it is safe; kv db why tells");
    arb_decide(t);
}

/* --- a record anew --- */

static uint64_t highest(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Who knows most of the history: highest stamp, Primary, position. */
static bool knows_before(const struct msg_galera_report *a, const struct msg_galera_report *b)
{
    if (a->generation != b->generation) {
        return a->generation > b->generation;
    }
    if (a->is_primary != b->is_primary) {
        return a->is_primary;
    }
    return a->position.seqno > b->position.seqno;
}

static uint8_t choose_teller(const struct arb_turn *t)
{
    const struct arb_cluster *c = t->c;
    const struct base_name *wanted = &t->event->request->candidate;
    uint8_t best = ARB_NOBODY;
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        bool is_asked = base_name_is_empty(wanted) || base_name_equal(wanted, &view->member);
        if (!is_asked || !arb_view_is_live(c, view, t->event->now) || view->report.instance == 0 ||
            !arb_galera_has_data(&view->report)) {
            continue;
        }
        if (best == ARB_NOBODY ||
            knows_before(&view->report.galera, &c->views[best].report.galera)) {
            best = i;
        }
    }
    return best;
}

/* Newest view that anybody of that generation tells. */
static void take_views(const struct arb_cluster *c, struct msg_galera_record *g)
{
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct msg_galera_report *r = &c->views[i].report.galera;
        bool is_of_it = c->views[i].has_report && r->generation == g->generation;
        if (is_of_it && r->view.conf_id > g->view.conf_id) {
            g->view = r->view;
        }
        if (is_of_it && r->position.seqno > g->high_water) {
            g->high_water = r->position.seqno;
        }
        g->inhibit = highest(g->inhibit, c->views[i].has_report ? r->inhibited : 0);
    }
}

static void confirm_anew(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    uint8_t at = choose_teller(t);
    if (at == ARB_NOBODY) {
        arb_answer(t, BASE_E_STATE,
                   "no member that is heard has data of the cluster to go on with");
        return;
    }
    const struct arb_view *view = &c->views[at];
    const struct msg_galera_report *r = &view->report.galera;
    struct msg_record next = arb_record_next(c, view, t->event->wall);
    if (c->record.epoch == 0) {
        arb_take_seed(&view->report, &next);
        arb_settings_begin(c, &next);
    }
    next.tasks_count = 0; /* of a time that is gone */
    next.switchover_at_wall_us = 0;
    next.epoch = arb_epoch_confirmed(c);
    next.floor_epoch = next.epoch;
    next.restore_id = c->restore_id;
    struct msg_galera_record *g = &next.galera;
    memcpy(g->uuid, r->position.uuid, sizeof(g->uuid));
    g->generation = r->generation;
    g->high_water = -1;
    g->view = r->view;
    g->grant = (struct msg_galera_grant){.generation = 0};
    if (g->generation == 0 && r->is_primary) { /* it runs, and was never led */
        g->generation = 1;
        g->grant = (struct msg_galera_grant){.generation = 1,
                                             .node = view->member,
                                             .is_kept = true,
                                             .is_live = true,
                                             .base = r->position,
                                             .conf_id = r->view.conf_id,
                                             .state = MSG_GALERA_GRANT_DONE};
    } else if (g->generation != 0) {
        g->grant = (struct msg_galera_grant){.generation = g->generation,
                                             .node = view->member,
                                             .base = {.seqno = -1},
                                             .state = MSG_GALERA_GRANT_DONE};
    }
    g->sst_joiner = g->sst_donor = g->restarting = (struct base_name){{0}};
    take_views(c, g);
    arb_decision_begin(t, ARB_DECIDE_CONFIRMED, &view->member);
    c->decision.epoch = next.epoch;
    struct arb_note *note =
        arb_say(t, c->record.epoch == 0 ? ARB_NOTE_ADOPTED : ARB_NOTE_CONFIRMED);
    note->member = c->record.holder;
    note->other = view->member;
    note->a = next.epoch;
    note->b = c->record.epoch;
    note->c = g->high_water > 0 ? (uint64_t)g->high_water : 0;
    arb_propose(t, ARB_DECIDE_CONFIRMED, &next);
    arb_answer(t, 0, "confirmed: the record is made from what the members report");
}

void arb_galera_confirm(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    bool is_anew = c->record.epoch == 0 || arb_is_unconfirmed(c) || arb_view_ahead(c) != NULL;
    BASE_ASSERT(c->is_leader && c->is_ready && !c->is_swapping);
    if (is_anew) {
        confirm_anew(t);
    } else if (arb_galera_reference(c, t->event->now) != ARB_NOBODY || c->record.is_paused) {
        arb_answer(t, BASE_E_STATE, "nothing is to be confirmed: no recovery waits");
    } else {
        confirm_recovery(t);
    }
}

/* The holder's right ends by it as in every engine; a recovery waits for it no more. It says
 * nothing about what it did last: rule 1 counts that. */
bool arb_galera_dead(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    const struct base_name *member = &t->event->request->candidate;
    uint8_t at = arb_view_find(c, member);
    bool is_holder = base_name_equal(member, &c->record.holder);
    if (at != ARB_NOBODY && arb_view_is_live(c, &c->views[at], t->event->now)) {
        return false; /* refused as in every engine, unless it is another machine */
    }
    if (base_name_is_empty(member)) {
        arb_answer(t, BASE_E_INVALID, "name a member");
        return true;
    }
    if (arb_names_add(&c->galera.dead, member) != 0) {
        arb_answer(t, BASE_E_TOOBIG, "too many members are dead");
        return true;
    }
    if (is_holder) {
        return false;
    }
    arb_say(t, ARB_NOTE_DEAD)->member = *member;
    arb_answer(t, 0, "confirmed: a recovery does not wait for it");
    arb_decide(t);
    return true;
}
