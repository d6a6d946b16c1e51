/* SPDX-License-Identifier: Apache-2.0 */
/* Who may bootstrap a Galera cluster that nobody is the Primary component of: pure functions. */
#include "arbiter/core/galera_source.h"

#include "base/canary.h"
#include "base/name.h"

/* --- rule 1: arithmetic --- */

/* Weights of the last Primary view by what is known of its nodes. */
struct sums {
    uint32_t all, silent, dead, live, left;
    bool is_any_silent; /* with data */
    bool is_any_live;
};

static struct sums sum_up(const struct gal_node *nodes, uint8_t count, uint8_t candidate)
{
    struct sums s = {0};
    for (uint8_t i = 0; i < count; i++) {
        uint32_t weight = nodes[i].weight;
        s.all += weight;
        switch (nodes[i].evidence) {
        case GAL_SILENT:
            s.silent += weight;
            s.is_any_silent = s.is_any_silent || !nodes[i].is_arbitrator;
            break;
        case GAL_DEAD:
            s.dead += weight;
            break;
        case GAL_LIVE:
            s.live += i == candidate ? 0 : weight;
            s.is_any_live = s.is_any_live || i != candidate;
            break;
        case GAL_STOPPED:
            break;
        case GAL_LEFT:
            s.left += weight;
            break;
        }
    }
    return s;
}

bool gal_is_alone(const struct gal_node *nodes, uint8_t count, uint8_t candidate)
{
    struct sums s = sum_up(nodes, count, candidate);
    if (CANARY(GALERA_SILENCE_IS_EVIDENCE)) {
        s.silent = 0;
        s.is_any_silent = false;
    }
    /* Who left in order is not counted by those who stayed. */
    uint32_t stayed = s.all - s.left;
    bool was_last = !s.is_any_silent || 2 * (s.silent + s.dead) <= stayed;
    bool can_none_come =
        (!s.is_any_silent && !s.is_any_live) || 2 * (s.silent + s.live) + s.dead <= stayed;
    return was_last && can_none_come;
}

/* --- what is known of a member --- */

static const struct gal_member *find(const struct gal_situation *s, const struct base_name *name)
{
    for (uint8_t i = 0; i < s->count; i++) {
        if (base_name_equal(&s->members[i].name, name)) {
            return &s->members[i];
        }
    }
    return NULL;
}

static enum gal_evidence evidence_of(const struct gal_situation *s, const struct gal_member *m,
                                     bool is_as_if_stopped)
{
    if (!gal_is_heard(m)) {
        return m != NULL && m->is_dead ? GAL_DEAD : GAL_SILENT;
    }
    const struct msg_galera_report *r = m->report;
    bool is_down = r->state == MSG_GALERA_DOWN || r->state == MSG_GALERA_NEEDS_SST;
    if (is_as_if_stopped || (is_down && r->is_fenced && r->inhibited >= s->next)) {
        return is_down && r->is_left ? GAL_LEFT : GAL_STOPPED;
    }
    bool is_out = r->state == MSG_GALERA_NONPRIM || r->state == MSG_GALERA_INCONSISTENT;
    return is_out && !r->is_primary ? GAL_LIVE : GAL_SILENT;
}

/* --- the last Primary view --- */

struct last {
    const struct msg_galera_view *view; /* NULL: none known */
    uint64_t generation;
    const struct gal_member *clash; /* knows it with other nodes */
};

static void take_view(struct last *last, const struct msg_galera_view *view, uint64_t generation,
                      const struct gal_member *teller)
{
    if (view->conf_id == 0 || view->count == 0) {
        return;
    }
    bool is_equal = last->view != NULL && generation == last->generation &&
                    view->conf_id == last->view->conf_id;
    bool is_newer = last->view == NULL || generation > last->generation ||
                    (generation == last->generation && view->conf_id > last->view->conf_id);
    if (is_newer) {
        *last = (struct last){view, generation, NULL};
    } else if (is_equal && !gal_view_is_same(view, last->view)) {
        last->clash = teller;
    }
}

static struct last last_view(const struct gal_situation *s)
{
    struct last last = {.view = NULL};
    take_view(&last, &s->record->view, s->record->generation, NULL);
    for (uint8_t i = 0; i < s->count; i++) {
        const struct gal_member *m = &s->members[i];
        if (gal_is_heard(m) && gal_is_current(s, m)) {
            bool is_of_now = gal_is_same_history(s->record, m->report->generation);
            take_view(&last, &m->report->view,
                      is_of_now ? s->record->generation : m->report->generation, m);
        }
    }
    return last;
}

/* An orderly stop takes the file with the last view away: what was there between the last look of
 * the agent (they look twice a second) and the stop is not told. */
static bool has_leaver(const struct gal_situation *s, const struct msg_galera_view *view)
{
    for (uint8_t i = 0; i < view->count; i++) {
        const struct gal_member *m = find(s, &view->nodes[i].node);
        if (gal_is_heard(m) && evidence_of(s, m, true) == GAL_LEFT) {
            return true;
        }
    }
    return false;
}

/* It may have come into a view that nobody has told of, and been left alone in it: who was let in,
 * and who ran when it was last heard where a member of the last view has left since. Who was down
 * stays so unless it is let in. */
static bool may_have_joined(const struct gal_situation *s, const struct gal_member *m,
                            const struct msg_galera_view *known)
{
    const struct msg_galera_record *r = s->record;
    bool was_let_in =
        base_name_equal(&m->name, &r->sst_joiner) || base_name_equal(&m->name, &r->restarting);
    bool was_down = m->report != NULL && (m->report->state == MSG_GALERA_DOWN ||
                                          m->report->state == MSG_GALERA_NEEDS_SST);
    return !gal_is_heard(m) && (was_let_in || (!was_down && has_leaver(s, known)));
}

static uint8_t weight_of(const struct msg_galera_record *r, const struct base_name *name)
{
    for (uint8_t i = 0; i < r->weights.count; i++) {
        if (base_name_equal(&r->weights.nodes[i].node, name)) {
            return r->weights.nodes[i].weight;
        }
    }
    return 1;
}

/* Who may be in the last view: without any that is known, everybody. */
static struct msg_galera_view with_joiners(const struct gal_situation *s,
                                           const struct msg_galera_view *known)
{
    struct msg_galera_view view = {.conf_id = 0};
    if (known != NULL) {
        view = *known;
    }
    for (uint8_t i = 0; i < s->count && view.count < MSG_GALERA_NODES_MAX; i++) {
        const struct gal_member *m = &s->members[i];
        if (!gal_view_has(&view, &m->name) && (known == NULL || may_have_joined(s, m, known))) {
            view.nodes[view.count++] =
                (struct msg_galera_node){m->name, weight_of(s->record, &m->name)};
        }
    }
    return view;
}

static bool is_alone_by(const struct gal_situation *s, const struct msg_galera_view *known,
                        uint8_t candidate, bool is_as_if_stopped)
{
    const struct msg_galera_view view = with_joiners(s, known);
    struct gal_node nodes[MSG_GALERA_NODES_MAX];
    uint8_t at = GAL_NOBODY;
    for (uint8_t i = 0; i < view.count; i++) {
        const struct gal_member *m = find(s, &view.nodes[i].node);
        nodes[i] = (struct gal_node){view.nodes[i].weight, evidence_of(s, m, is_as_if_stopped),
                                     base_name_equal(&view.nodes[i].node, &s->record->arbitrator)};
        if (candidate != GAL_NOBODY && m == &s->members[candidate]) {
            at = i;
        }
    }
    return gal_is_alone(nodes, view.count, at);
}

/* By the weights of everybody who tells the last view: they change without a new one. */
static bool is_alone(const struct gal_situation *s, const struct last *last, uint8_t candidate,
                     bool is_as_if_stopped)
{
    bool is_good = is_alone_by(s, last->view, candidate, is_as_if_stopped);
    for (uint8_t i = 0; is_good && last->view != NULL && i < s->count; i++) {
        const struct gal_member *m = &s->members[i];
        if (gal_is_heard(m) && gal_is_current(s, m) &&
            gal_view_is_same(&m->report->view, last->view)) {
            is_good = is_alone_by(s, &m->report->view, candidate, is_as_if_stopped);
        }
    }
    return is_good;
}

/* --- what stands against a grant --- */

static bool say(struct gal_verdict *v, enum gal_why why, const struct base_name *member)
{
    v->why = why;
    v->member = *member;
    return true;
}

static bool has_primary(const struct gal_situation *s, struct gal_verdict *v)
{
    for (uint8_t i = 0; i < s->count; i++) {
        if (gal_is_heard(&s->members[i]) && gal_is_member(s->record, s->members[i].report)) {
            return say(v, GAL_IS_PRIMARY, &s->members[i].name);
        }
    }
    return false;
}

/* The node of the last grant may still carry it out, or has, unless it is known not to be Primary
 * and has promised to take no older grant. */
static bool has_open_grant(const struct gal_situation *s, struct gal_verdict *v)
{
    if (!gal_is_granting(s->record) || CANARY(GALERA_SECOND_GRANT)) {
        return false;
    }
    const struct gal_member *m = find(s, &s->record->grant.node);
    enum gal_evidence evidence = evidence_of(s, m, false);
    bool has_promised = gal_is_heard(m) && m->report->inhibited >= s->next;
    bool is_revoked = evidence == GAL_DEAD || (evidence != GAL_SILENT && has_promised);
    enum gal_why why = gal_is_heard(m) ? GAL_NOT_FENCED : GAL_GRANT_OPEN;
    return !is_revoked && say(v, why, &s->record->grant.node);
}

static bool has_clash(const struct gal_situation *s, const struct last *last, struct gal_verdict *v)
{
    const struct gal_member *other = gal_other_uuid(s);
    if (last->clash != NULL) {
        return say(v, GAL_VIEWS_CLASH, &last->clash->name);
    }
    return other != NULL && say(v, GAL_UUIDS_CLASH, &other->name);
}

/* What a damaged one has is told to nobody: a person goes on without it, and nobody else. */
static bool has_unproven(const struct gal_situation *s, const struct last *last,
                         struct gal_verdict *v)
{
    const struct msg_galera_view view = with_joiners(s, last->view);
    for (uint8_t i = 0; i < s->count; i++) {
        const struct gal_member *m = &s->members[i];
        bool is_damaged = gal_is_heard(m) && m->report->is_unreadable;
        bool is_in_view = gal_view_has(&view, &m->name);
        if (gal_is_unproven(s, m, v->age, is_in_view) && !(is_damaged && m->is_excused)) {
            return say(v, is_damaged ? GAL_DAMAGED : GAL_UNPROVEN, &m->name);
        }
    }
    return false;
}

/* First node of the view that is silent, the arbitrator last: it can be told nothing. */
static const struct base_name *silent_node(const struct gal_situation *s,
                                           const struct msg_galera_view *view)
{
    const struct base_name *found = &s->record->arbitrator;
    for (uint8_t i = view->count; i-- > 0;) {
        const struct base_name *name = &view->nodes[i].node;
        const struct gal_member *m = find(s, name);
        if (!gal_is_heard(m) && !base_name_equal(name, &s->record->arbitrator)) {
            found = name;
        }
    }
    return found;
}

/* First node that is heard and would have to be seen stopped. */
static const struct base_name *running_node(const struct gal_situation *s,
                                            const struct msg_galera_view *view, uint8_t candidate)
{
    const struct base_name *found = &s->members[candidate].name;
    for (uint8_t i = view->count; i-- > 0;) {
        const struct gal_member *m = find(s, &view->nodes[i].node);
        if (gal_is_heard(m) && m != &s->members[candidate] &&
            evidence_of(s, m, false) != GAL_STOPPED && evidence_of(s, m, false) != GAL_LEFT) {
            found = &m->name;
        }
    }
    return found;
}

/* Its process runs, and what it is in is not known: in no view that was told, perhaps, and in one
 * that was not. */
static bool is_running(const struct gal_member *m)
{
    enum msg_galera_state state = m->report->state;
    return state != MSG_GALERA_DOWN && state != MSG_GALERA_NEEDS_SST &&
           state != MSG_GALERA_NONPRIM && state != MSG_GALERA_INCONSISTENT &&
           state != MSG_GALERA_UNKNOWN;
}

static bool has_running(const struct gal_situation *s, uint8_t candidate, struct gal_verdict *v)
{
    for (uint8_t i = 0; i < s->count; i++) {
        if (i != candidate && gal_is_heard(&s->members[i]) && is_running(&s->members[i])) {
            return say(v, GAL_NOT_FENCED, &s->members[i].name);
        }
    }
    return false;
}

static bool has_others(const struct gal_situation *s, const struct last *last, uint8_t candidate,
                       struct gal_verdict *v)
{
    const struct msg_galera_view view = with_joiners(s, last->view);
    if (is_alone(s, last, candidate, false)) {
        return has_running(s, candidate, v);
    }
    return is_alone(s, last, candidate, true)
               ? say(v, GAL_NOT_FENCED, running_node(s, &view, candidate))
               : say(v, GAL_NOT_ALONE, silent_node(s, &view));
}

/* A cold start waits for all who may have more: from data of before for everybody; a live node of
 * the last view has what was ordered in it. */
static bool has_missing(const struct gal_situation *s, const struct last *last,
                        struct gal_verdict *v)
{
    bool is_of_now = v->age == GAL_AGE_NOW;
    const struct msg_galera_view view = with_joiners(s, is_of_now ? last->view : NULL);
    for (uint8_t i = 0; i < view.count; i++) {
        const struct base_name *name = &view.nodes[i].node;
        const struct gal_member *m = find(s, name);
        bool is_passed = m != NULL && (gal_is_heard(m) || m->is_dead || m->is_excused);
        if (!is_passed && !base_name_equal(name, &s->record->arbitrator)) {
            return say(v, GAL_MISSING, name);
        }
    }
    return false;
}

/* It says that its data are of an older history, and has more than the best source. Its agent may
 * have stood still when its server was let in: then it has what was committed in this history, and
 * the stamp on its disk tells of before. Nobody can tell it from a copy that went another way. */
static bool has_stamped_late(const struct gal_situation *s, const struct last *last, uint8_t best,
                             struct gal_verdict *v)
{
    const struct msg_galera_view view = with_joiners(s, last->view);
    int64_t has = gal_received(s->members[best].report);
    for (uint8_t i = 0; i < s->count; i++) {
        const struct gal_member *m = &s->members[i];
        bool is_counted = gal_is_heard(m) && !m->is_dead && !m->is_excused;
        if (is_counted && gal_view_has(&view, &m->name) && gal_is_ours(s, m->report) &&
            !gal_is_current(s, m) && m->report->position.seqno > has &&
            !CANARY(GALERA_LATE_STAMP_TRUSTED)) {
            return say(v, GAL_OTHER_STAMP, &m->name);
        }
    }
    return false;
}

/* It runs, and was left out of the last view: it has to be stopped, and then has a prefix. */
static bool is_left_outside(const struct gal_situation *s, struct gal_verdict *v)
{
    const struct gal_member *m = &s->members[v->candidate];
    return gal_is_out(m) && !v->is_live && say(v, GAL_NOT_FENCED, &m->name);
}

static void fill_source(const struct gal_situation *s, const struct last *last,
                        struct gal_verdict *v)
{
    v->candidate = gal_source(s, &v->age);
    v->conf_id = last->view == NULL ? 0 : last->view->conf_id;
    if (v->candidate == GAL_NOBODY) {
        return;
    }
    const struct gal_member *m = &s->members[v->candidate];
    v->is_live = gal_is_out(m) && last->view != NULL && gal_view_has(last->view, &m->name);
    v->base = m->report->position;
    v->base.seqno = gal_received(m->report);
    v->lost = s->high_water > v->base.seqno ? (uint64_t)(s->high_water - v->base.seqno) : 0;
}

/* Data that are older than the beginning of the last bootstrap are taken by name alone. */
static enum gal_why loss_of(const struct gal_situation *s, const struct gal_verdict *v,
                            bool is_chosen)
{
    if (v->age == GAL_AGE_OLDER && !is_chosen && !CANARY(GALERA_OLDER_UNSAID)) {
        return GAL_OLDER;
    }
    if (s->is_loss_accepted) {
        return GAL_GRANTABLE;
    }
    if (v->age == GAL_AGE_BEFORE && !CANARY(GALERA_BEFORE_UNSAID)) {
        return GAL_BEFORE;
    }
    return v->lost > 0 ? GAL_LOSS : GAL_GRANTABLE;
}

void gal_decide(const struct gal_situation *s, struct gal_verdict *ret)
{
    struct gal_verdict *v = ret;
    *v = (struct gal_verdict){.candidate = GAL_NOBODY, .base = {.seqno = -1}};
    if (has_primary(s, v) || has_open_grant(s, v)) {
        return;
    }
    struct last last = last_view(s);
    bool is_chosen = !base_name_is_empty(&s->wanted) && s->is_loss_accepted;
    fill_source(s, &last, v);
    bool is_clash = has_clash(s, &last, v);
    v->is_torn = is_clash || v->age == GAL_AGE_OLDER;
    if ((is_clash && !is_chosen) || has_unproven(s, &last, v)) {
        return;
    }
    if (v->candidate == GAL_NOBODY) {
        (void)say(v, GAL_NO_SOURCE, &s->wanted);
        return;
    }
    if (has_others(s, &last, v->candidate, v) || (!v->is_live && has_missing(s, &last, v)) ||
        has_stamped_late(s, &last, v->candidate, v) || is_left_outside(s, v)) {
        return;
    }
    (void)say(v, loss_of(s, v, is_chosen), &s->members[v->candidate].name);
}

bool gal_is_worth_stopping(const struct gal_situation *s)
{
    struct last last = last_view(s);
    return is_alone(s, &last, GAL_NOBODY, true);
}
