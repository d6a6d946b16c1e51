/* SPDX-License-Identifier: Apache-2.0 */
/* Galera: no Primary component (sections C5 to C7 of the design). Who may bootstrap is decided by
 * gal_decide; here is when it is asked, and the entries that carry it out:
 *
 *   starts-held      no member starts or bootstraps below a generation; those who answer so are
 *                    evidence, and recover their position
 *   bootstrap-grant  the one bootstrap of that generation: the node, and from what
 *   bootstrap-done   it is Primary with at least that: the generation is in force
 *   bootstrap-failed nobody else is tried without an operator
 *   generation-kept  the component came back by itself meanwhile and goes on under the new number
 *
 * A bootstrap is never granted twice: not before the last one is done, or failed and its node is
 * known not to be Primary and to refuse it.
 */
#include "arbiter/core/galera_internal.h"
#include "base/assert.h"
#include "base/name.h"

#include <string.h>

/* Above every one that was used, given, or promised to be refused. */
static uint64_t next_generation(const struct arb_cluster *c)
{
    const struct msg_galera_record *r = &c->record.galera;
    uint64_t next = r->generation + 1;
    if (gal_is_granting(&c->record.galera) && r->grant.generation >= next) {
        next = r->grant.generation + 1;
    }
    return r->inhibit > next ? r->inhibit : next;
}

static bool is_loss_accepted(const struct arb_turn *t)
{
    const struct arb_cluster *c = t->c;
    int64_t wait_us = c->record.galera.recovery_wait_us;
    bool is_over = wait_us >= 0 && c->galera.is_out &&
                   base_mono_diff_us(t->event->now, c->galera.out_since) >= wait_us;
    return c->galera.is_loss_accepted || is_over;
}

static void situation_of(const struct arb_turn *t, struct gal_situation *s)
{
    const struct arb_cluster *c = t->c;
    *s = (struct gal_situation){.record = &c->record.galera,
                                .next = next_generation(c),
                                .high_water = arb_galera_high_water(c),
                                .is_loss_accepted = is_loss_accepted(t),
                                .wanted = c->galera.wanted,
                                .count = c->views_count};
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        s->members[i] =
            (struct gal_member){.name = view->member,
                                .report = view->has_report ? &view->report.galera : NULL,
                                .is_heard = view->refused == ARB_REFUSE_NONE &&
                                            arb_view_is_live(c, view, t->event->now),
                                .is_dead = arb_names_has(&c->galera.dead, &view->member),
                                .is_excused = arb_names_has(&c->galera.excused, &view->member),
                                .is_holder = base_name_equal(&view->member, &c->record.holder),
                                .is_hosted = view->report.instance != 0,
                                .priority = view->report.priority};
    }
}

/* --- the grant --- */

static bool has_said_done(const struct msg_galera_report *r, const struct msg_galera_grant *grant)
{
    return r->grant_generation == grant->generation && r->grant_status == 0;
}

/* It could not carry it out; or it has, and what it formed is damaged since: it has no position
 * that it could tell. */
static bool has_ended_in_vain(const struct msg_galera_report *r,
                              const struct msg_galera_grant *grant)
{
    return r->grant_generation == grant->generation && (r->grant_status != 0 || r->is_unreadable);
}

/* It is Primary with what was granted; or it was, as its agent says, and has gone down since, with
 * whatever it has now. */
static bool is_formed(const struct arb_view *view, const struct msg_galera_grant *grant)
{
    static const uint8_t none[16];
    const struct msg_galera_report *r = &view->report.galera;
    bool is_up = r->is_primary && r->position.seqno >= grant->base.seqno &&
                 (r->state == MSG_GALERA_SYNCED || r->state == MSG_GALERA_DONOR);
    bool was_up = !r->is_primary && has_said_done(r, grant);
    bool has_uuid = memcmp(r->position.uuid, none, sizeof(none)) != 0;
    bool is_same = memcmp(grant->base.uuid, none, sizeof(none)) == 0 ||
                   memcmp(r->position.uuid, grant->base.uuid, sizeof(none)) == 0;
    return (is_up || was_up) && r->generation == grant->generation && has_uuid && is_same &&
           r->position.seqno >= 0;
}

/* The view that it is in by the grant. One that went down again may not have told it: what it tells
 * then is of before. */
static struct msg_galera_view formed_view(const struct arb_view *view,
                                          const struct msg_galera_grant *grant)
{
    const struct msg_galera_report *r = &view->report.galera;
    bool is_told = r->is_primary || (grant->is_live ? r->view.conf_id > grant->conf_id
                                                    : r->view.count == 1 && r->view.conf_id != 0);
    if (is_told) {
        return r->view;
    }
    struct msg_galera_view alone = {.conf_id = grant->is_live ? grant->conf_id + 1 : 1, .count = 1};
    alone.nodes[0] = (struct msg_galera_node){view->member, r->weight != 0 ? r->weight : 1};
    return alone;
}

static void formed(struct arb_turn *t, const struct arb_view *view)
{
    struct arb_cluster *c = t->c;
    struct msg_record next = c->record;
    struct msg_galera_record *g = &next.galera;
    const struct msg_galera_report *r = &view->report.galera;
    bool was_empty = g->grant.base.seqno < 0;
    memcpy(g->uuid, r->position.uuid, sizeof(g->uuid));
    g->generation = g->grant.generation;
    g->grant.state = MSG_GALERA_GRANT_DONE;
    bool is_more = r->is_primary || r->position.seqno > g->high_water;
    g->high_water = is_more ? r->position.seqno : g->high_water;
    g->view = formed_view(view, &next.galera.grant);
    if (was_empty) { /* what was founded has no prefix elsewhere */
        g->grant.base = r->position;
    }
    next.state = next.state == MSG_RECORD_BOOTSTRAP ? MSG_RECORD_RUNNING : next.state;
    c->galera.has_formed = !g->grant.is_live && !was_empty;
    c->galera.formed = t->event->now;
    struct arb_note *note = arb_say(t, ARB_NOTE_GALERA_FORMED);
    note->member = view->member;
    note->a = g->generation;
    note->b = (uint64_t)r->position.seqno;
    arb_propose(t, ARB_DECIDE_GALERA_FORMED, &next);
}

static void failed(struct arb_turn *t, const struct arb_view *view)
{
    struct msg_record next = t->c->record;
    int32_t told = view->report.galera.grant_status;
    int32_t status = told == 0 ? BASE_E_CORRUPT : told;
    next.galera.grant.state = MSG_GALERA_GRANT_FAILED;
    struct arb_note *note = arb_say(t, ARB_NOTE_GALERA_FAILED);
    note->member = view->member;
    note->other = t->c->name;
    note->a = next.galera.grant.generation;
    note->b = status < 0 && status > INT32_MIN ? (uint64_t)-status : 0;
    arb_propose(t, ARB_DECIDE_GALERA_FAILED, &next);
}

static void say_grant(struct arb_turn *t, enum arb_note_kind kind)
{
    const struct msg_galera_grant *grant = &t->c->record.galera.grant;
    arb_say_waiting(
        t, &(struct arb_note){
               .kind = kind, .member = grant->node, .other = t->c->name, .a = grant->generation});
}

bool arb_galera_grant_watch(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    const struct msg_galera_grant *grant = &c->record.galera.grant;
    uint8_t at = arb_view_find(c, &grant->node);
    if (!gal_is_granting(&c->record.galera)) {
        return false;
    }
    bool is_live = at != ARB_NOBODY && c->views[at].refused == ARB_REFUSE_NONE &&
                   arb_view_is_live(c, &c->views[at], t->event->now);
    if (is_live && is_formed(&c->views[at], grant)) {
        formed(t, &c->views[at]);
        return true;
    }
    bool is_given = grant->state == MSG_GALERA_GRANT_GIVEN;
    const struct msg_galera_report *r = is_live ? &c->views[at].report.galera : NULL;
    if (is_given && r != NULL && has_ended_in_vain(r, grant)) {
        failed(t, &c->views[at]);
        return true;
    }
    if (!is_given && !c->galera.may_retry) {
        say_grant(t, ARB_NOTE_GALERA_FAILED_WAITS);
    } else if (is_given) {
        say_grant(t, is_live ? ARB_NOTE_GALERA_GRANTED : ARB_NOTE_GALERA_GRANT_SILENT);
    }
    return false;
}

static bool grant(struct arb_turn *t, const struct gal_situation *s, const struct gal_verdict *v)
{
    struct arb_cluster *c = t->c;
    struct msg_record next = c->record;
    struct msg_galera_record *g = &next.galera;
    g->grant = (struct msg_galera_grant){.generation = s->next,
                                         .after = v->is_torn ? s->next : g->generation,
                                         .node = v->member,
                                         .is_live = v->is_live,
                                         .base = v->base,
                                         .conf_id = v->conf_id,
                                         .state = MSG_GALERA_GRANT_GIVEN};
    g->inhibit = s->next;
    g->high_water = s->high_water;
    g->sst_joiner = g->sst_donor = g->restarting = (struct base_name){{0}};
    struct arb_note *note =
        arb_say(t, v->is_live ? ARB_NOTE_GALERA_GRANT_LIVE : ARB_NOTE_GALERA_GRANT_COLD);
    note->member = v->member;
    note->a = s->next;
    note->b = (uint64_t)v->base.seqno;
    note->c = v->lost;
    c->galera.may_retry = false;
    arb_propose(t, ARB_DECIDE_GALERA_GRANT, &next);
    return true;
}

/* --- waiting --- */

static const struct {
    enum gal_why why;
    enum arb_note_kind kind;
    enum arb_refusal refusal;
} waits[] = {
    {GAL_IS_PRIMARY, ARB_NOTE_GALERA_OUT, ARB_REFUSE_NONE},
    {GAL_GRANT_OPEN, ARB_NOTE_GALERA_GRANT_SILENT, ARB_REFUSE_NONE},
    {GAL_VIEWS_CLASH, ARB_NOTE_GALERA_TWO_HISTORIES, ARB_REFUSE_NONE},
    {GAL_UUIDS_CLASH, ARB_NOTE_GALERA_TWO_HISTORIES, ARB_REFUSE_NONE},
    {GAL_NO_SOURCE, ARB_NOTE_GALERA_NO_SOURCE, ARB_REFUSE_NONE},
    {GAL_UNPROVEN, ARB_NOTE_GALERA_WAITS, ARB_REFUSE_NO_POSITION},
    {GAL_DAMAGED, ARB_NOTE_GALERA_DAMAGED, ARB_REFUSE_NONE},
    {GAL_NOT_ALONE, ARB_NOTE_GALERA_NOT_ALONE, ARB_REFUSE_SILENT},
    {GAL_NOT_FENCED, ARB_NOTE_GALERA_WAITS, ARB_REFUSE_NOT_STOPPED},
    {GAL_MISSING, ARB_NOTE_GALERA_MISSING, ARB_REFUSE_SILENT},
    {GAL_OTHER_STAMP, ARB_NOTE_GALERA_MISSING, ARB_REFUSE_OTHER_GENERATION},
    {GAL_LOSS, ARB_NOTE_GALERA_LOSS, ARB_REFUSE_NONE},
    {GAL_BEFORE, ARB_NOTE_GALERA_BEFORE, ARB_REFUSE_NONE},
    {GAL_OLDER, ARB_NOTE_GALERA_OLDER, ARB_REFUSE_NONE},
};

static void say_verdict(struct arb_turn *t, const struct gal_verdict *v)
{
    for (size_t i = 0; i < BASE_COUNT_OF(waits); i++) {
        if (waits[i].why == v->why) {
            arb_say_waiting(t, &(struct arb_note){.kind = waits[i].kind,
                                                  .member = v->member,
                                                  .other = t->c->name,
                                                  .why = waits[i].refusal,
                                                  .a = t->c->record.galera.grant.generation,
                                                  .c = v->lost});
        }
    }
}

/* Where no process is left anywhere, nothing can come back by itself. */
static bool is_all_down(const struct gal_situation *s)
{
    const struct msg_galera_view *view = &s->record->view;
    uint8_t down = 0;
    for (uint8_t i = 0; i < s->count; i++) {
        const struct gal_member *m = &s->members[i];
        bool is_down =
            m->is_heard && m->report != NULL &&
            (m->report->state == MSG_GALERA_DOWN || m->report->state == MSG_GALERA_NEEDS_SST);
        down = (uint8_t)(down + (is_down && gal_view_has(view, &m->name)));
    }
    return view->count > 0 && down == view->count;
}

static bool is_time(struct arb_turn *t, const struct gal_situation *s)
{
    struct arb_galera *g = &t->c->galera;
    if (!g->is_out) {
        g->is_out = true;
        g->out_since = t->event->now;
    }
    bool is_short = s->record->view.count == 2 || is_all_down(s) || g->may_retry;
    return base_mono_diff_us(t->event->now, g->out_since) >=
           (is_short ? GALERA_OUT_TWO_US : GALERA_OUT_US);
}

static bool hold_starts(struct arb_turn *t, const struct gal_situation *s)
{
    struct msg_record next = t->c->record;
    next.galera.inhibit = s->next;
    next.galera.high_water = s->high_water;
    arb_say(t, ARB_NOTE_GALERA_HELD)->a = s->next;
    arb_propose(t, ARB_DECIDE_GALERA_INHIBIT, &next);
    return true;
}

/* The founder failed before there were any data: another try is a new epoch and a new grant. */
static bool found_again(struct arb_turn *t, const struct gal_situation *s)
{
    struct arb_cluster *c = t->c;
    uint8_t heard;
    uint8_t wanted;
    uint8_t founder = arb_galera_founder(c, t->event->now, &heard, &wanted);
    struct msg_record next = c->record;
    if (founder == ARB_NOBODY) {
        arb_say_waiting(
            t, &(struct arb_note){.kind = ARB_NOTE_GALERA_FOUND_WAITS, .a = wanted, .b = heard});
        return false;
    }
    c->galera.may_retry = false;
    next.galera.inhibit = s->next;
    next.galera.grant.generation = s->next;
    arb_galera_found_at(t, founder, &next);
    return true;
}

bool arb_galera_recover(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    struct gal_situation s;
    struct gal_verdict v;
    situation_of(t, &s);
    bool is_time_over = is_time(t, &s);
    bool is_stuck = gal_is_granting(&c->record.galera) && !c->galera.may_retry &&
                    !arb_names_has(&c->galera.dead, &c->record.galera.grant.node);
    if (is_stuck) { /* said already */
        return false;
    }
    gal_decide(&s, &v);
    c->galera.has_verdict = true;
    c->galera.verdict = v;
    if (!is_time_over) {
        arb_say_waiting(t, &(struct arb_note){.kind = ARB_NOTE_GALERA_OUT});
        return false;
    }
    if (v.why == GAL_GRANTABLE) {
        return grant(t, &s, &v);
    }
    if (v.why == GAL_NO_SOURCE && c->record.state == MSG_RECORD_BOOTSTRAP) {
        return c->record.galera.inhibit < s.next ? hold_starts(t, &s) : found_again(t, &s);
    }
    if (c->record.galera.inhibit < s.next && gal_is_worth_stopping(&s)) {
        return hold_starts(t, &s);
    }
    say_verdict(t, &v);
    return false;
}

/* --- it is back --- */

static void forget_words(struct arb_galera *g)
{
    g->is_out = g->has_verdict = g->is_loss_accepted = g->may_retry = false;
    g->excused = (struct msg_names){0};
    g->wanted = (struct base_name){{0}};
}

static bool keep(struct arb_turn *t, const struct arb_view *reference)
{
    struct arb_cluster *c = t->c;
    const struct msg_galera_report *r = &reference->report.galera;
    struct msg_record next = c->record;
    bool was_kept = next.galera.grant.is_kept && next.galera.grant.state == MSG_GALERA_GRANT_DONE;
    uint64_t before = was_kept ? next.galera.grant.after : next.galera.generation;
    next.galera.generation = next_generation(c);
    next.galera.inhibit = next.galera.generation;
    next.galera.high_water = arb_galera_high_water(c);
    next.galera.view = r->view;
    next.galera.grant = (struct msg_galera_grant){.generation = next.galera.generation,
                                                  .after = before,
                                                  .is_kept = true,
                                                  .node = reference->member,
                                                  .is_live = true,
                                                  .base = r->position,
                                                  .conf_id = r->view.conf_id,
                                                  .state = MSG_GALERA_GRANT_DONE};
    struct arb_note *note = arb_say(t, ARB_NOTE_GALERA_KEPT);
    note->member = reference->member;
    note->a = next.galera.generation;
    arb_propose(t, ARB_DECIDE_GALERA_KEPT, &next);
    return true;
}

bool arb_galera_recovered(struct arb_turn *t, const struct arb_view *reference)
{
    struct arb_cluster *c = t->c;
    const struct msg_galera_record *r = &c->record.galera;
    bool is_with_us = gal_view_has(&reference->report.galera.view, &r->grant.node);
    if (gal_is_granting(&c->record.galera) &&
        (r->grant.state == MSG_GALERA_GRANT_GIVEN || !is_with_us)) {
        return false; /* its node will be, or may be Primary by that grant */
    }
    bool is_begun = r->inhibit > r->generation || gal_is_granting(&c->record.galera);
    if (is_begun && reference->report.galera.generation == r->generation) {
        return keep(t, reference);
    }
    forget_words(&c->galera);
    return false;
}
