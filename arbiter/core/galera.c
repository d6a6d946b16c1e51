/* SPDX-License-Identifier: Apache-2.0 */
/* A Galera cluster while its Primary component is there: whom it consists of, who is its writer.
 *
 * Epoch, lease, handback and pause are those of every engine; there are no votes, no floor, no
 * timeline and no synchronous set: any member of one Primary component can write after one causal
 * read. The component of the record is told by the generation stamp of its members, or by being in
 * one view with those who have it; what a report alone says (same uuid, same seqno) proves nothing.
 * Sections C2, C3 and C8 of the design; the rules themselves are galera_rules.h.
 */
#include "arbiter/core/galera_internal.h"
#include "base/assert.h"
#include "base/canary.h"
#include "base/name.h"

#include <string.h>

/* --- hooks --- */

static bool is_no_uuid(const uint8_t uuid[static 16])
{
    static const uint8_t none[16];
    return memcmp(uuid, none, sizeof(none)) == 0;
}

bool arb_galera_has_data(const struct msg_report *report)
{
    return !is_no_uuid(report->galera.position.uuid) || report->galera.generation != 0;
}

/* One that formed a Primary by nobody's grant has no uuid, and one that is to be cloned may have
 * any. */
bool arb_galera_is_other(const struct msg_record *record, const struct msg_report *report)
{
    return report->engine != MSG_ENGINE_GALERA ||
           (!is_no_uuid(record->galera.uuid) && !is_no_uuid(report->galera.position.uuid) &&
            memcmp(record->galera.uuid, report->galera.position.uuid, 16) != 0 &&
            report->galera.state != MSG_GALERA_NEEDS_SST);
}

bool arb_galera_is_same_host(const struct msg_record *record, const struct msg_report *report)
{
    return report->galera.generation != 0 && !arb_galera_is_other(record, report);
}

/* A reader runs without a right: what its guard has started itself, read-only, is another process
 * than the writer that was there before; two of them cannot have one directory. */
bool arb_galera_is_old_gone(const struct msg_report *report)
{
    enum msg_galera_state state = report->galera.state;
    bool is_up =
        state == MSG_GALERA_SYNCED || state == MSG_GALERA_DONOR || state == MSG_GALERA_NONPRIM;
    bool is_reader = is_up && report->galera.is_read_only && !report->is_open &&
                     !report->is_adopted && report->epoch_held == 0;
    return report->is_tree_gone || is_reader;
}

bool arb_galera_is_serving(const struct msg_report *report)
{
    return report->is_open;
}

/* A position is known committed when its member was still Primary in a later report: what is told
 * in the instant of a crash may be ahead of the disk. So is what it has received and not applied
 * yet: the component has ordered it, and who wrote it may have told a client. */
void arb_galera_taken_in(struct arb_cluster *c, struct arb_view *view,
                         const struct msg_report *before)
{
    struct arb_galera *g = &c->galera;
    const struct msg_galera_record *r = &c->record.galera;
    bool is_confirmed = before->session == view->report.session &&
                        gal_is_member(r, &before->galera) && gal_is_member(r, &view->report.galera);
    if (view->report.galera.state == MSG_GALERA_NONPRIM) {
        view->has_outside = true;
        view->outside_seqno = gal_received(&view->report.galera);
        view->outside_of = view->report.galera.generation;
    }
    if (gal_is_waiting_to_join(&view->report.galera) && !gal_is_waiting_to_join(&before->galera)) {
        view->waiting_since = view->heard;
    }
    if (g->high_water_of != r->generation) {
        g->high_water_of = r->generation;
        g->high_water = -1;
    }
    int64_t seqno = before->galera.position.seqno;
    bool is_forgotten = seqno < 0 || CANARY(GALERA_QUEUE_FORGOTTEN);
    int64_t ordered = is_forgotten ? seqno : seqno + (int64_t)before->galera.recv_queue;
    if (is_confirmed && ordered > g->high_water) {
        g->high_water = ordered;
    }
}

int64_t arb_galera_high_water(const struct arb_cluster *c)
{
    const struct msg_galera_record *r = &c->record.galera;
    bool is_of_now = c->galera.high_water_of == r->generation;
    return is_of_now && c->galera.high_water > r->high_water ? c->galera.high_water : r->high_water;
}

/* A holder that cannot write in the component of the record has its lease run out. What it is doing
 * is not known while its agent is new. */
bool arb_galera_may_hold(const struct arb_cluster *c, const struct arb_view *view)
{
    const struct msg_galera_report *r = &view->report.galera;
    bool is_known = r->generation == c->record.galera.generation || c->record.galera.grant.is_kept;
    bool is_one_of_us = is_known && gal_is_member(&c->record.galera, r);
    switch (r->state) {
    case MSG_GALERA_UNKNOWN:
    case MSG_GALERA_STALLED:
        return true;
    case MSG_GALERA_SYNCED:
    case MSG_GALERA_DONOR:
        return is_one_of_us || c->record.state == MSG_RECORD_BOOTSTRAP;
    case MSG_GALERA_DOWN:
    case MSG_GALERA_NEEDS_SST:
    case MSG_GALERA_WAITING:
    case MSG_GALERA_JOINING:
    case MSG_GALERA_NONPRIM:
    case MSG_GALERA_INCONSISTENT:
    case MSG_GALERA_SUSPECT_NIL:
    case MSG_GALERA_STARTING:
        break;
    }
    return c->record.state == MSG_RECORD_BOOTSTRAP;
}

/* fast_takeover: a Primary view that was formed after the holder spoke last and that it is not in:
 * by Galera's own quorum it can commit nothing; reads there may be stale until its lease ends. */
bool arb_galera_is_evicted(const struct arb_cluster *c, struct base_mono now)
{
    uint8_t at = arb_view_find(c, &c->record.holder);
    if (!c->record.galera.is_fast_takeover || at == ARB_NOBODY || !c->views[at].has_report ||
        arb_view_is_live(c, &c->views[at], now)) {
        return false;
    }
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct msg_galera_report *r = &c->views[i].report.galera;
        if (arb_galera_is_in(c, &c->views[i], now) && r->state == MSG_GALERA_SYNCED &&
            !gal_view_has(&r->view, &c->record.holder) &&
            r->view.conf_id > c->views[at].report.galera.view.conf_id) {
            return true;
        }
    }
    return false;
}

const char *arb_galera_refuses(const struct arb_request *request)
{
    if (request->kind == ARB_REQUEST_FAILOVER) {
        return "Galera's members all have what is committed: a writer that is lost is replaced by "
               "itself, kv db switchover moves it, and a recovery that waits is lifted by kv db "
               "confirm";
    }
    if (request->kind == ARB_REQUEST_TASK && request->task.kind == MSG_TASK_RELOAD) {
        return "MariaDB reads its files at a start alone: SET GLOBAL changes what can be changed, "
               "kv db restart the rest";
    }
    return NULL;
}

/* --- the component --- */

bool arb_galera_is_in(const struct arb_cluster *c, const struct arb_view *view,
                      struct base_mono now)
{
    return view->has_report && view->refused == ARB_REFUSE_NONE && arb_view_is_live(c, view, now) &&
           gal_is_member(&c->record.galera, &view->report.galera);
}

/* Who has the stamp goes before who is only seen with them; then the newest view. */
static bool knows_more(const struct arb_cluster *c, const struct msg_galera_report *a,
                       const struct msg_galera_report *b)
{
    bool is_stamped_a = a->generation == c->record.galera.generation;
    bool is_stamped_b = b->generation == c->record.galera.generation;
    return is_stamped_a != is_stamped_b ? is_stamped_a : a->view.conf_id > b->view.conf_id;
}

uint8_t arb_galera_reference(const struct arb_cluster *c, struct base_mono now)
{
    uint8_t best = ARB_NOBODY;
    for (uint8_t i = 0; i < c->views_count; i++) {
        if (arb_galera_is_in(c, &c->views[i], now) &&
            (best == ARB_NOBODY ||
             knows_more(c, &c->views[i].report.galera, &c->views[best].report.galera))) {
            best = i;
        }
    }
    return best;
}

/* The newest view, each weight as its own node tells it. */
static struct msg_galera_view present_view(const struct arb_cluster *c,
                                           const struct arb_view *reference, struct base_mono now)
{
    struct msg_galera_view view = reference->report.galera.view;
    for (uint8_t i = 0; i < view.count; i++) {
        uint8_t at = arb_view_find(c, &view.nodes[i].node);
        if (at != ARB_NOBODY && arb_galera_is_in(c, &c->views[at], now) &&
            gal_view_is_same(&c->views[at].report.galera.view, &view) &&
            c->views[at].report.galera.weight != 0) {
            view.nodes[i].weight = c->views[at].report.galera.weight;
        }
    }
    return view;
}

static bool is_view_news(const struct msg_galera_view *is, const struct msg_galera_view *was)
{
    bool is_other = is->conf_id > was->conf_id;
    for (uint8_t i = 0; !is_other && gal_view_is_same(is, was) && i < is->count; i++) {
        is_other = is->nodes[i].weight != was->nodes[i].weight;
    }
    return is_other;
}

/* Each Primary view is written down: the last one decides who may bootstrap. */
static bool note_view(struct arb_turn *t, const struct arb_view *reference)
{
    struct arb_cluster *c = t->c;
    struct msg_galera_view view = present_view(c, reference, t->event->now);
    bool is_stamped = reference->report.galera.generation == c->record.galera.generation;
    if (!is_stamped || view.conf_id == 0 || !is_view_news(&view, &c->record.galera.view)) {
        return false;
    }
    struct msg_record next = c->record;
    next.galera.view = view;
    next.galera.high_water = arb_galera_high_water(c);
    struct arb_note *note = arb_say(t, ARB_NOTE_GALERA_VIEW);
    note->member = reference->member;
    note->a = view.conf_id;
    note->b = view.count;
    note->c = gal_view_weight(&view);
    arb_propose(t, ARB_DECIDE_GALERA_VIEW, &next);
    return true;
}

/* --- the writer --- */

enum arb_refusal arb_galera_fitness(const struct arb_cluster *c, const struct arb_view *view,
                                    struct base_mono now)
{
    if (view->refused != ARB_REFUSE_NONE) {
        return view->refused;
    }
    enum arb_refusal why = arb_candidate_check(c, view, now);
    if (why != ARB_REFUSE_NONE) {
        return why;
    }
    if (view->report.priority == 0) {
        return ARB_REFUSE_NO_PRIORITY;
    }
    return gal_writer_check(&c->record.galera, &view->report.galera);
}

static struct gal_choice choice_of(const struct arb_cluster *c, const struct arb_view *view)
{
    return (struct gal_choice){.name = &view->member,
                               .is_target = base_name_equal(&view->member, &c->record.target),
                               .is_holder = base_name_equal(&view->member, &c->record.holder),
                               .priority = view->report.priority,
                               .recv_queue = view->report.galera.recv_queue};
}

static uint8_t choose(const struct arb_cluster *c, struct base_mono now, bool is_other)
{
    uint8_t best = ARB_NOBODY;
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        if (arb_galera_fitness(c, view, now) != ARB_REFUSE_NONE ||
            (is_other && base_name_equal(&view->member, &c->record.holder))) {
            continue;
        }
        struct gal_choice a = choice_of(c, view);
        struct gal_choice b = best == ARB_NOBODY ? a : choice_of(c, &c->views[best]);
        if (best == ARB_NOBODY || gal_writer_is_better(&a, &b)) {
            best = i;
        }
    }
    return best;
}

uint8_t arb_galera_choose_writer(const struct arb_cluster *c, struct base_mono now)
{
    uint8_t best = c->record.state == MSG_RECORD_SWITCHOVER ? choose(c, now, true) : ARB_NOBODY;
    return best != ARB_NOBODY ? best : choose(c, now, false);
}

enum arb_refusal arb_galera_target_check(const struct arb_cluster *c, const struct arb_view *view,
                                         struct base_mono now)
{
    return base_name_equal(&view->member, &c->record.holder) ? ARB_REFUSE_HOLDER
                                                             : arb_galera_fitness(c, view, now);
}

uint8_t arb_galera_target_choose(const struct arb_cluster *c, struct base_mono now)
{
    return choose(c, now, true);
}

static void say_nobody(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    struct arb_note note = {.kind = ARB_NOTE_GALERA_NO_WRITER, .why = ARB_REFUSE_SILENT};
    note.member = c->record.holder;
    for (uint8_t i = 0; i < c->views_count; i++) {
        enum arb_refusal why = arb_galera_fitness(c, &c->views[i], t->event->now);
        if (why != ARB_REFUSE_NONE && why != ARB_REFUSE_SILENT && note.why == ARB_REFUSE_SILENT) {
            note.member = c->views[i].member;
            note.why = why;
        }
    }
    arb_say_waiting(t, &note);
}

/* After a cold start the data stand on one node: the writer waits for a second one, for a while. */
static bool is_alone_yet(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    struct arb_galera *g = &c->galera;
    uint8_t synced = 0;
    for (uint8_t i = 0; i < c->views_count; i++) {
        synced = (uint8_t)(synced + (arb_galera_is_in(c, &c->views[i], t->event->now) &&
                                     c->views[i].report.galera.state == MSG_GALERA_SYNCED));
    }
    bool is_waiting = g->has_formed && c->views_count > 1 && synced < 2 &&
                      base_mono_diff_us(t->event->now, g->formed) < GALERA_FORMED_US;
    g->has_formed = is_waiting;
    if (is_waiting) {
        arb_say_waiting(t, &(struct arb_note){.kind = ARB_NOTE_GALERA_SECOND,
                                              .a = GALERA_FORMED_US / BASE_US_PER_S});
    }
    return is_waiting;
}

/* Where a member was named, its next report may be needed to see that it is fit. Where the writer
 * was lost, the others may have been lost with it: who follows has spoken since. */
static bool is_worth_waiting(const struct arb_turn *t, uint8_t best)
{
    const struct arb_cluster *c = t->c;
    uint8_t target = arb_view_find(c, &c->record.target);
    bool is_planned = c->record.state == MSG_RECORD_SWITCHOVER;
    if (!is_planned && c->handed != ARB_OVER_NO &&
        !base_mono_before(c->handed_at, c->views[best].heard)) {
        return true;
    }
    return c->record.state == MSG_RECORD_SWITCHOVER && target != ARB_NOBODY && target != best &&
           arb_view_is_live(c, &c->views[target], t->event->now) &&
           base_mono_diff_us(t->event->now, c->over_at) < 2 * arb_heartbeat_us(c);
}

static void take_over(struct arb_turn *t, uint8_t i)
{
    struct arb_cluster *c = t->c;
    const struct arb_view *view = &c->views[i];
    bool is_same = base_name_equal(&view->member, &c->record.holder);
    bool is_planned = c->record.state == MSG_RECORD_SWITCHOVER;
    enum arb_decision_kind kind = is_same      ? ARB_DECIDE_RETURN
                                  : is_planned ? ARB_DECIDE_HANDOVER
                                               : ARB_DECIDE_FAILOVER;
    struct msg_record next = arb_record_next(c, view, t->event->wall);
    next.voters = (struct msg_names){0};
    next.floor_epoch = 0;
    next.galera.high_water = arb_galera_high_water(c);
    enum arb_note_kind said = is_planned ? ARB_NOTE_GALERA_HANDED_OVER : ARB_NOTE_GALERA_WRITER;
    struct arb_note *note = arb_say(t, is_same ? ARB_NOTE_GALERA_WRITER_AGAIN : said);
    note->member = c->record.holder;
    note->other = view->member;
    note->a = next.epoch;
    note->b =
        (uint64_t)(view->report.galera.position.seqno > 0 ? view->report.galera.position.seqno : 0);
    arb_decision_begin(t, kind, &view->member);
    arb_propose(t, kind, &next);
}

static void elect(struct arb_turn *t)
{
    uint8_t best = arb_galera_choose_writer(t->c, t->event->now);
    if (best == ARB_NOBODY) {
        say_nobody(t);
    } else if (!is_worth_waiting(t, best) && !is_alone_yet(t)) {
        take_over(t, best);
    }
}

/* --- what is to be done --- */

/* Settings and orders wait for nobody's right. */
static bool keep_house(struct arb_turn *t, bool is_there)
{
    return arb_settings(t) || arb_ttl_settle(t) || (is_there && arb_galera_joiner(t)) ||
           arb_galera_tasks(t);
}

static bool decide_writer(struct arb_turn *t, bool is_there)
{
    struct arb_cluster *c = t->c;
    enum arb_over over = arb_lease_over(c, t->event->now);
    const struct arb_view *holder = arb_view_holder(c);
    if (over != ARB_OVER_NO) {
        arb_note_over(t, over);
        if (arb_fence(t) || !is_there) {
            return t->fx->has_swap;
        }
        elect(t);
        return t->fx->has_swap;
    }
    if (arb_lease_has_run_out(c, t->event->now)) {
        arb_say_waiting(t, &(struct arb_note){.kind = ARB_NOTE_WAITS_FENCE,
                                              .member = c->record.holder,
                                              .other = c->name});
    } else if (c->record.state != MSG_RECORD_BOOTSTRAP && holder != NULL &&
               arb_view_is_holder(c, holder) && arb_watch_holder(t, holder)) {
        return true;
    }
    return arb_fence(t);
}

/* It speaks, and has nothing to tell, or what it tells is of another history. */
static bool is_mute(const struct arb_cluster *c, const struct msg_galera_report *r)
{
    return r->is_unreadable || !gal_is_same_history(&c->record.galera, r->generation);
}

/* An operator's word holds until the member speaks: it was not dead, or is another machine. */
static void forget_the_dead(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    for (uint8_t i = 0; i < c->views_count; i++) {
        if (arb_view_is_live(c, &c->views[i], t->event->now)) {
            arb_names_remove(&c->galera.dead, &c->views[i].member);
            if (!is_mute(c, &c->views[i].report.galera)) {
                arb_names_remove(&c->galera.excused, &c->views[i].member);
            }
        }
    }
}

static void say_rogues(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        if (arb_view_is_live(c, view, t->event->now) && view->refused == ARB_REFUSE_NONE &&
            arb_galera_is_rogue(c, view, t->event->now)) {
            arb_say_waiting(t, &(struct arb_note){.kind = ARB_NOTE_GALERA_ROGUE,
                                                  .member = view->member,
                                                  .other = c->name});
        }
    }
}

void arb_galera_decide(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    forget_the_dead(t);
    uint8_t at = arb_galera_reference(c, t->event->now);
    const struct arb_view *reference = at == ARB_NOBODY ? NULL : &c->views[at];
    bool is_done = arb_galera_grant_watch(t);
    if (!is_done && reference != NULL) {
        is_done = arb_galera_recovered(t, reference) || note_view(t, reference);
    }
    is_done = is_done || decide_writer(t, reference != NULL);
    if (!is_done && reference == NULL) {
        is_done = arb_galera_recover(t);
    }
    if (!is_done) {
        (void)keep_house(t, reference != NULL);
    }
    say_rogues(t);
    c->is_waiting = c->is_waiting_said;
}
