/* SPDX-License-Identifier: Apache-2.0 */
/* Galera: one at a time. Who may join and take a transfer (record.sst_joiner), whose turn it is in
 * a rolling restart (record.restarting; section C9 of the design).
 *
 * Both stand in the record, so that a new leader gives nobody a second turn. A restart waits until
 * all others are Synced and nobody joins; the writer comes last, after it has handed over; the one
 * that was restarted is watched for a while before the next. Of two nodes the one that stays has
 * its weight raised first, so that it stays Primary should the other one crash on its way.
 */
#include "arbiter/core/galera_internal.h"
#include "base/assert.h"
#include "base/canary.h"
#include "base/name.h"

static bool is_synced(const struct arb_turn *t, const struct arb_view *view)
{
    return arb_galera_is_in(t->c, view, t->event->now) &&
           view->report.galera.state == MSG_GALERA_SYNCED;
}

const struct msg_task *arb_galera_task(const struct msg_record *record, enum msg_task_kind kind,
                                       const struct base_name *member)
{
    for (uint8_t i = 0; i < record->tasks_count; i++) {
        const struct msg_task *task = &record->tasks[i];
        if (task->kind == kind && task->at_wall_us == 0 && base_name_equal(&task->member, member)) {
            return task;
        }
    }
    return NULL;
}

bool arb_galera_is_restarted(const struct arb_cluster *c, const struct arb_view *view)
{
    const struct msg_galera_record *g = &c->record.galera;
    const struct msg_galera_report *r = &view->report.galera;
    bool is_ours = gal_is_same_history(g, r->generation) || CANARY(GALERA_RESTART_JOINS_OTHER);
    return arb_galera_task(&c->record, MSG_TASK_RESTART, &view->member) != NULL && is_ours &&
           (!gal_is_waiting_to_join(r) || gal_is_prefix(g, r));
}

/* --- joining --- */

static void propose_joiner(struct arb_turn *t, const struct base_name *name,
                           enum arb_note_kind kind, const struct base_name *said)
{
    struct msg_record next = t->c->record;
    next.galera.sst_joiner = *name;
    next.galera.sst_donor =
        base_name_is_empty(name) ? *name : arb_galera_donor(t->c, name, t->event->now);
    struct arb_note *note = arb_say(t, kind);
    note->member = *said;
    note->a = GALERA_JOIN_AGAIN_US / BASE_US_PER_S;
    arb_propose(t, ARB_DECIDE_GALERA_JOINER, &next);
}

/* True: its turn is over, and it failed. */
static bool has_failed(struct arb_turn *t, const struct arb_view *view)
{
    struct arb_galera *g = &t->c->galera;
    const struct msg_galera_report *r = &view->report.galera;
    if (!g->is_joining) {
        g->is_joining = true;
        g->joining_since = t->event->now;
    }
    int64_t turn_us = base_mono_diff_us(t->event->now, g->joining_since);
    bool is_silent =
        !arb_view_is_fresh(view, t->event->now, GALERA_SILENT_US) && turn_us > GALERA_SILENT_US;
    bool is_idle = gal_is_waiting_to_join(r) && turn_us > GALERA_JOIN_MAX_US;
    bool is_broken = r->is_sst_failed && gal_is_waiting_to_join(r) && turn_us > GALERA_SILENT_US;
    return is_silent || is_idle || is_broken;
}

/* The turn of the present joiner ends when it is in, or cannot get in. */
static bool end_turn(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    const struct base_name nobody = {{0}};
    uint8_t at = arb_view_find(c, &c->record.galera.sst_joiner);
    if (at == ARB_NOBODY) {
        propose_joiner(t, &nobody, ARB_NOTE_GALERA_JOIN_FAILED, &c->record.galera.sst_joiner);
        return true;
    }
    struct arb_view *view = &c->views[at];
    bool is_cloning = arb_galera_task(&c->record, MSG_TASK_REINIT, &view->member) != NULL;
    bool is_in = is_synced(t, view) && !is_cloning;
    if (!is_in && (is_cloning || !has_failed(t, view))) {
        return false;
    }
    c->galera.is_joining = false;
    if (!is_in) {
        view->join_not_before = base_mono_add_us(t->event->now, GALERA_JOIN_AGAIN_US);
    }
    propose_joiner(t, &nobody, is_in ? ARB_NOTE_GALERA_JOINED : ARB_NOTE_GALERA_JOIN_FAILED,
                   &view->member);
    return true;
}

/* Who needs no transfer of everything goes first. */
static bool joins_before(const struct arb_cluster *c, const struct arb_view *a,
                         const struct arb_view *b)
{
    bool is_short_a = gal_is_prefix(&c->record.galera, &a->report.galera);
    bool is_short_b = gal_is_prefix(&c->record.galera, &b->report.galera);
    return is_short_a != is_short_b ? is_short_a : base_name_compare(&a->member, &b->member) < 0;
}

/* In the component, and not yet known to have its history: it must be nobody's donor. */
static bool has_stranger(const struct arb_turn *t)
{
    const struct msg_galera_record *g = &t->c->record.galera;
    for (uint8_t i = 0; i < t->c->views_count; i++) {
        const struct arb_view *view = &t->c->views[i];
        if (arb_galera_is_in(t->c, view, t->event->now) && !g->grant.is_kept &&
            view->report.galera.generation != g->generation) {
            return true;
        }
    }
    return false;
}

/* --- room for a transfer of everything --- */

/* What those have who could give it to `joiner`; 0: nobody has told. */
static uint64_t bytes_given(const struct arb_turn *t, const struct arb_view *joiner)
{
    uint64_t least = 0;
    for (uint8_t i = 0; i < t->c->views_count; i++) {
        const struct arb_view *view = &t->c->views[i];
        uint64_t bytes = view->report.galera.data_bytes;
        if (view != joiner && bytes != 0 && (least == 0 || bytes < least) &&
            arb_galera_is_in(t->c, view, t->event->now)) {
            least = bytes;
        }
    }
    return least;
}

/* A tenth more than the donor has. */
static uint64_t bytes_needed(const struct arb_turn *t, const struct arb_view *joiner)
{
    uint64_t given = bytes_given(t, joiner);
    return given + given / 10;
}

/* The joiner's own data make way. */
static uint64_t bytes_there(const struct arb_view *joiner)
{
    return joiner->report.disk_free_bytes + joiner->report.galera.data_bytes;
}

/* What nobody knows forbids nothing. */
static bool has_space(const struct arb_turn *t, const struct arb_view *joiner)
{
    return joiner->report.disk_free_bytes == 0 || bytes_there(joiner) >= bytes_needed(t, joiner);
}

/* Where people wish so, nobody is served worse for a member that comes in. */
static bool keeps_reader(struct arb_turn *t, const struct arb_view *view)
{
    if (!t->c->record.galera.is_reader_kept || CANARY(GALERA_LAST_READER_GIVES) ||
        !arb_galera_takes_last_reader(t->c, &view->member, t->event->now)) {
        return false;
    }
    arb_say_waiting(t, &(struct arb_note){.kind = ARB_NOTE_GALERA_KEEPS_READER,
                                          .member = view->member,
                                          .other = t->c->name});
    return true;
}

/* It joins by what it lacks, or has room for everything and who gives it; else that is said. */
static bool may_transfer(struct arb_turn *t, const struct arb_view *view)
{
    if (gal_is_prefix(&t->c->record.galera, &view->report.galera)) {
        return true;
    }
    if (has_space(t, view)) {
        return !keeps_reader(t, view);
    }
    arb_say_waiting(t, &(struct arb_note){.kind = ARB_NOTE_GALERA_NO_SPACE,
                                          .member = view->member,
                                          .a = bytes_needed(t, view) >> 20,
                                          .b = bytes_there(view) >> 20});
    return false;
}

/* While one is being restarted nobody else comes in, however little that one would need. */
static bool is_in_turn(const struct arb_cluster *c, const struct arb_view *view)
{
    const struct base_name *restarting = &c->record.galera.restarting;
    return base_name_is_empty(restarting) || base_name_equal(restarting, &view->member);
}

/* Somebody must have been heard from within the component since a member went down: where all are
 * killed at one time, none is told to join the others. */
static uint8_t next_joiner(struct arb_turn *t)
{
    const struct arb_cluster *c = t->c;
    uint8_t best = ARB_NOBODY;
    uint8_t reference = arb_galera_reference(c, t->event->now);
    BASE_ASSERT(reference != ARB_NOBODY);
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        if (!arb_view_is_live(c, view, t->event->now) || view->refused != ARB_REFUSE_NONE ||
            view->report.instance == 0 || !gal_is_waiting_to_join(&view->report.galera) ||
            !is_in_turn(c, view) || base_mono_before(t->event->now, view->join_not_before) ||
            !base_mono_before(view->waiting_since, c->views[reference].heard) ||
            !may_transfer(t, view)) {
            continue;
        }
        if (best == ARB_NOBODY || joins_before(c, view, &c->views[best])) {
            best = i;
        }
    }
    return best;
}

bool arb_galera_joiner(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    if (!base_name_is_empty(&c->record.galera.sst_joiner)) {
        return end_turn(t);
    }
    c->galera.is_joining = false;
    uint8_t at = next_joiner(t);
    if (at == ARB_NOBODY || has_stranger(t)) {
        return false;
    }
    if (arb_galera_is_restarted(c, &c->views[at])) {
        return false; /* on its way already */
    }
    propose_joiner(t, &c->views[at].member, ARB_NOTE_GALERA_JOINER, &c->views[at].member);
    return true;
}

/* --- weights --- */

static uint8_t configured(const struct msg_galera_record *r, const struct base_name *member)
{
    for (uint8_t i = 0; i < r->weights.count; i++) {
        if (base_name_equal(&r->weights.nodes[i].node, member)) {
            return r->weights.nodes[i].weight;
        }
    }
    return 1;
}

/* The other one of two is being restarted or cloned, or is to be. */
static bool stays_of_two(const struct arb_cluster *c, const struct base_name *member)
{
    const struct msg_record *r = &c->record;
    if (r->galera.view.count != 2 || !gal_view_has(&r->galera.view, member)) {
        return false;
    }
    for (uint8_t i = 0; i < r->tasks_count; i++) {
        const struct msg_task *task = &r->tasks[i];
        bool is_leaving = task->kind == MSG_TASK_RESTART || task->kind == MSG_TASK_REINIT;
        if (is_leaving && !base_name_equal(&task->member, member) &&
            !base_name_equal(&task->member, &r->holder)) {
            return true;
        }
    }
    return false;
}

uint8_t arb_galera_weight(const struct arb_cluster *c, const struct base_name *member)
{
    uint8_t weight = configured(&c->record.galera, member);
    bool is_raised = stays_of_two(c, member) && weight <= UINT8_MAX / 2;
    return is_raised ? (uint8_t)(2 * weight) : weight;
}

/* --- restarts and transfers that operators order --- */

static bool is_live(const struct arb_turn *t, const struct base_name *member)
{
    uint8_t at = arb_view_find(t->c, member);
    return at != ARB_NOBODY && arb_view_is_live(t->c, &t->c->views[at], t->event->now);
}

static bool say_waits(struct arb_turn *t, const struct msg_task *task,
                      const struct base_name *other, enum arb_refusal why)
{
    arb_say_waiting(t, &(struct arb_note){.kind = ARB_NOTE_TASK_WAITS,
                                          .member = task->member,
                                          .other = *other,
                                          .a = task->id,
                                          .c = task->kind,
                                          .why = why});
    return false;
}

/* The one that was restarted is Synced with an empty queue for a while, or nobody waits for that.
 */
static bool is_settled(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    struct arb_galera *g = &c->galera;
    const struct base_name *name = &c->record.galera.restarting;
    uint8_t at = arb_view_find(c, name);
    bool is_under_way = arb_galera_task(&c->record, MSG_TASK_RESTART, name) != NULL;
    bool is_good = !is_under_way && at != ARB_NOBODY && is_synced(t, &c->views[at]);
    if (!is_good) {
        g->is_settled = false;
        return !is_under_way && c->record.tasks_count == 0;
    }
    if (!g->is_settled) {
        g->is_settled = true;
        g->settled_since = t->event->now;
    }
    bool is_caught_up = is_good && c->views[at].report.galera.recv_queue <= GALERA_QUEUE_MAX;
    return c->record.tasks_count == 0 ||
           (is_caught_up &&
            base_mono_diff_us(t->event->now, g->settled_since) >= GALERA_SETTLED_US);
}

/* The next one waits for the one that has its turn. */
static bool say_settling(struct arb_turn *t, uint8_t next)
{
    const struct msg_record *r = &t->c->record;
    if (next == ARB_NOBODY || base_name_equal(&r->tasks[next].member, &r->galera.restarting)) {
        return false;
    }
    return say_waits(t, &r->tasks[next], &r->galera.restarting, ARB_REFUSE_SETTLING);
}

static bool end_restart(struct arb_turn *t)
{
    struct msg_record next = t->c->record;
    t->c->galera.is_settled = false;
    next.galera.restarting = next.galera.sst_donor = (struct base_name){{0}};
    arb_propose(t, ARB_DECIDE_TASK, &next);
    return true;
}

static bool is_due(const struct arb_turn *t, const struct msg_task *task)
{
    return arb_task_is_due(t, task) && is_live(t, &task->member);
}

/* The writer last, the others as they were asked. */
static uint8_t next_task(const struct arb_turn *t)
{
    const struct msg_record *r = &t->c->record;
    uint8_t best = ARB_NOBODY;
    for (uint8_t i = 0; i < r->tasks_count; i++) {
        if (r->tasks[i].at_wall_us == 0 && is_live(t, &r->tasks[i].member)) {
            return ARB_NOBODY; /* one is under way */
        }
        bool is_later =
            best != ARB_NOBODY && (!base_name_equal(&r->tasks[best].member, &r->holder) ||
                                   base_name_equal(&r->tasks[i].member, &r->holder));
        if (is_due(t, &r->tasks[i]) && !is_later) {
            best = i;
        }
    }
    return best;
}

static bool has_space_of(const struct arb_turn *t, const struct base_name *member)
{
    uint8_t at = arb_view_find(t->c, member);
    return at == ARB_NOBODY || has_space(t, &t->c->views[at]);
}

/* What it has goes only where another one can give it the same. */
static bool is_last_copy(const struct arb_turn *t, const struct msg_task *task)
{
    struct base_name donor = arb_galera_donor(t->c, &task->member, t->event->now);
    return task->kind == MSG_TASK_REINIT && base_name_is_empty(&donor) &&
           !CANARY(GALERA_LAST_COPY_CLONED);
}

/* Everybody else is in order, and enough weight stays. True: it may begin; else the reason is
 * said. */
static bool may_begin(struct arb_turn *t, const struct msg_task *task)
{
    const struct arb_cluster *c = t->c;
    const struct msg_galera_record *g = &c->record.galera;
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        bool is_other = !base_name_equal(&view->member, &task->member);
        if (is_other && gal_view_has(&g->view, &view->member) && !is_synced(t, view)) {
            bool is_donor = view->report.galera.state == MSG_GALERA_DONOR;
            return say_waits(t, task, &view->member,
                             is_donor ? ARB_REFUSE_DONOR : ARB_REFUSE_NOT_SYNCED);
        }
    }
    if (!base_name_is_empty(&g->sst_joiner)) {
        return say_waits(t, task, &g->sst_joiner, ARB_REFUSE_JOINING);
    }
    if (task->kind == MSG_TASK_REINIT && !has_space_of(t, &task->member)) {
        return say_waits(t, task, &task->member, ARB_REFUSE_NO_SPACE);
    }
    bool is_in_view = gal_view_has(&g->view, &task->member);
    bool is_needed = is_in_view && g->view.count > 1 && !gal_may_leave(&g->view, &task->member);
    if (is_needed || is_last_copy(t, task)) {
        return say_waits(t, task, &task->member, ARB_REFUSE_LAST_COPY);
    }
    return true;
}

/* The writer hands over first; alone it is restarted as it is. */
static bool hand_over_first(struct arb_turn *t, const struct msg_task *task)
{
    struct arb_cluster *c = t->c;
    enum arb_refusal why = ARB_REFUSE_NONE;
    if (c->record.state != MSG_RECORD_RUNNING || arb_switchover_begin(t, &why)) {
        return true;
    }
    say_waits(t, task, &c->record.holder, why);
    return true;
}

static bool begin(struct arb_turn *t, uint8_t at)
{
    struct msg_record next = t->c->record;
    const struct msg_task *task = &next.tasks[at];
    if (task->kind == MSG_TASK_RESTART) {
        next.galera.restarting = task->member;
    } else {
        next.galera.sst_joiner = task->member;
    }
    next.galera.sst_donor = arb_galera_donor(t->c, &task->member, t->event->now);
    struct arb_note *note = arb_say(t, ARB_NOTE_TASK_BEGUN);
    note->member = task->member;
    note->a = task->id;
    note->c = task->kind;
    next.tasks[at].at_wall_us = 0;
    arb_propose(t, ARB_DECIDE_TASK, &next);
    return true;
}

bool arb_galera_tasks(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    if (arb_tasks_ended(t)) {
        return true;
    }
    uint8_t at = next_task(t);
    if (!base_name_is_empty(&c->record.galera.restarting)) {
        return is_settled(t) ? end_restart(t) : say_settling(t, at);
    }
    if (at == ARB_NOBODY || c->record.state != MSG_RECORD_RUNNING) {
        return false;
    }
    const struct msg_task *task = &c->record.tasks[at];
    bool is_holder = base_name_equal(&task->member, &c->record.holder);
    bool is_alone = c->record.galera.view.count <= 1;
    if (arb_galera_reference(c, t->event->now) == ARB_NOBODY) {
        return say_waits(t, task, &task->member, ARB_REFUSE_NOT_SYNCED);
    }
    if (!may_begin(t, task)) {
        return false;
    }
    if (is_holder && !is_alone && task->kind == MSG_TASK_RESTART) {
        (void)hand_over_first(t, task);
        return t->fx->has_swap;
    }
    return begin(t, at);
}
