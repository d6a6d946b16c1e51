/* SPDX-License-Identifier: Apache-2.0 */
/* Orders of operators to members: restart, reload, clone anew. They stand in the record until the
 * member has reported their end, or somebody cancels them.
 *
 * When one that was given a time is due is the one thing that a wall clock decides here: it is a
 * schedule. What is asked for at once is due by every leader's clock, however far apart they are.
 * Restarts and clones go one member at a time, standbys before the holder, and only while all
 * voters that are heard are streaming, so that a rolling restart never takes two that commits wait
 * for. What has begun has at_wall_us 0; a member does nothing else.
 *
 * A clone of a member begins when it is in V no more: until it has everything again, no failover
 * may count on what it had. The planner of section 5 takes it out, by its steps, as soon as the
 * order is due, and in again when it streams afterwards.
 */
#include "arbiter/core/internal.h"
#include "base/assert.h"
#include "base/canary.h"
#include "base/name.h"

#define IDS_PER_EPOCH UINT64_C(1000000) /* more than an epoch has revisions */

static bool is_heavy(const struct msg_task *task)
{
    return task->kind != MSG_TASK_RELOAD;
}

static bool is_holder(const struct arb_cluster *c, const struct base_name *member)
{
    return base_name_equal(member, &c->record.holder);
}

static struct arb_note *say_task(struct arb_turn *t, enum arb_note_kind kind,
                                 const struct msg_task *task)
{
    struct arb_note *note = arb_say(t, kind);
    note->member = task->member;
    note->a = task->id;
    note->c = task->kind;
    return note;
}

/* --- taken in --- */

static bool has_same(const struct msg_record *record, const struct msg_task *task)
{
    for (uint8_t i = 0; i < record->tasks_count; i++) {
        if (record->tasks[i].kind == task->kind &&
            base_name_equal(&record->tasks[i].member, &task->member)) {
            return true;
        }
    }
    return false;
}

/* True when there was something against it, which is answered. */
static bool is_refused(struct arb_turn *t, const struct msg_task *task)
{
    const struct arb_cluster *c = t->c;
    uint8_t at = arb_view_find(c, &task->member);
    if (task->kind < MSG_TASK_RESTART || task->kind > MSG_TASK_REINIT) {
        arb_answer(t, BASE_E_INVALID, "there is no such order to a member");
    } else if (at == ARB_NOBODY || !c->views[at].has_report) {
        arb_answer_member(t, BASE_E_NOTFOUND, &task->member, "has not been heard of");
    } else if (task->kind == MSG_TASK_REINIT && is_holder(c, &task->member) &&
               !CANARY(REINIT_OF_HOLDER)) {
        arb_answer_member(t, BASE_E_STATE, &task->member,
                          "is the primary: its data are nobody else's; switch over first");
    } else if (has_same(&c->record, task)) {
        arb_answer_member(t, BASE_E_EXISTS, &task->member,
                          "has that order already; kv db cancel takes it back");
    } else if (c->record.tasks_count == MSG_TASKS_MAX) {
        arb_answer(t, BASE_E_BUSY,
                   "as many orders to members stand as can; kv db cancel ends some");
    } else {
        return false;
    }
    return true;
}

/* An agent knows an order that it has done by its id. Revisions begin anew from an older image when
 * the quorum is restored, epochs never do: the id has both, and grows with either. */
static uint64_t id_next(const struct msg_record *record)
{
    return CANARY(TASK_ID_MET_AGAIN)
               ? record->revision + 1
               : record->epoch * IDS_PER_EPOCH + (record->revision + 1) % IDS_PER_EPOCH;
}

void arb_request_task(struct arb_turn *t)
{
    struct msg_record next = t->c->record;
    struct msg_task task = t->event->request->task;
    if (is_refused(t, &task)) {
        return;
    }
    uint8_t at = arb_view_find(t->c, &task.member);
    if (task.kind == MSG_TASK_RESTART && task.is_pending_only && task.at_wall_us == 0 &&
        !t->c->views[at].report.is_restart_pending) {
        arb_answer_member(t, 0, &task.member, "has nothing that waits for a restart");
        return;
    }
    task.id = id_next(&t->c->record);
    bool is_now = task.at_wall_us <= 0;
    task.at_wall_us = is_now ? MSG_TASK_AT_ONCE : task.at_wall_us;
    if (is_now && !is_heavy(&task)) {
        task.at_wall_us = 0;
    }
    next.tasks[next.tasks_count++] = task;
    (void)say_task(t, ARB_NOTE_TASK, &task);
    arb_propose(t, ARB_DECIDE_TASK, &next);
    arb_answer_member(t, 0, &task.member,
                      is_now ? "is asked; kv db show tells how it goes"
                             : "is asked when the time has come");
}

/* --- ended --- */

uint8_t arb_tasks_drop(struct msg_record *next, const struct base_name *member)
{
    uint8_t left = 0;
    uint8_t before = next->tasks_count;
    for (uint8_t i = 0; i < before; i++) {
        if (!base_name_is_empty(member) && !base_name_equal(member, &next->tasks[i].member)) {
            next->tasks[left++] = next->tasks[i];
        }
    }
    for (uint8_t i = left; i < before; i++) {
        next->tasks[i] = (struct msg_task){0};
    }
    next->tasks_count = left;
    return (uint8_t)(before - left);
}

bool arb_task_is_due(const struct arb_turn *t, const struct msg_task *task)
{
    return task->at_wall_us == MSG_TASK_AT_ONCE ||
           (task->at_wall_us != 0 && task->at_wall_us <= t->event->wall.us);
}

/* Why it cannot be done any more; NONE: it can. A new leader may not have heard of the member yet;
 * one that is removed takes its orders along. */
static enum arb_refusal check_task(const struct arb_turn *t, const struct msg_task *task)
{
    const struct arb_cluster *c = t->c;
    uint8_t at = arb_view_find(c, &task->member);
    if (task->kind == MSG_TASK_REINIT && is_holder(c, &task->member) && !CANARY(REINIT_OF_HOLDER)) {
        return ARB_REFUSE_IS_HOLDER;
    }
    bool is_idle = at != ARB_NOBODY && task->is_pending_only && arb_task_is_due(t, task) &&
                   arb_view_is_live(c, &c->views[at], t->event->now) &&
                   !c->views[at].report.is_restart_pending;
    return is_idle ? ARB_REFUSE_NOTHING_PENDING : ARB_REFUSE_NONE;
}

static bool has_ended(struct arb_turn *t, const struct msg_task *task)
{
    const struct arb_cluster *c = t->c;
    uint8_t at = arb_view_find(c, &task->member);
    enum arb_refusal why = check_task(t, task);
    if (at != ARB_NOBODY && c->views[at].has_report && c->views[at].report.task_id == task->id) {
        int32_t status = c->views[at].report.task_status;
        struct arb_note *note =
            say_task(t, status == 0 ? ARB_NOTE_TASK_DONE : ARB_NOTE_TASK_FAILED, task);
        note->b = status < 0 && status > INT32_MIN ? (uint64_t)-status : 0;
        return true;
    }
    if (why != ARB_REFUSE_NONE) {
        say_task(t, ARB_NOTE_TASK_DROPPED, task)->why = why;
        return true;
    }
    return false;
}

bool arb_tasks_ended(struct arb_turn *t)
{
    struct msg_record next = t->c->record;
    uint8_t left = 0;
    for (uint8_t i = 0; i < t->c->record.tasks_count; i++) {
        if (!has_ended(t, &t->c->record.tasks[i])) {
            next.tasks[left++] = t->c->record.tasks[i];
        }
    }
    if (left == next.tasks_count) {
        return false;
    }
    for (uint8_t i = left; i < next.tasks_count; i++) {
        next.tasks[i] = (struct msg_task){0};
    }
    next.tasks_count = left;
    arb_propose(t, ARB_DECIDE_TASK, &next);
    return true;
}

/* --- begun --- */

static bool is_live(const struct arb_turn *t, const struct base_name *member)
{
    uint8_t at = arb_view_find(t->c, member);
    return at != ARB_NOBODY && arb_view_is_live(t->c, &t->c->views[at], t->event->now);
}

/* Somebody is being restarted or cloned; one that has gone silent meanwhile keeps nobody waiting.
 */
static bool is_one_under_way(const struct arb_turn *t)
{
    const struct msg_record *r = &t->c->record;
    for (uint8_t i = 0; i < r->tasks_count; i++) {
        if (is_heavy(&r->tasks[i]) && r->tasks[i].at_wall_us == 0 &&
            is_live(t, &r->tasks[i].member) && !CANARY(TASK_WHILE_ANOTHER)) {
            return true;
        }
    }
    return false;
}

/* Another one that must go on first, for the sentence; NULL: nobody. */
static const struct arb_view *first_comes(const struct arb_turn *t, const struct msg_task *task)
{
    const struct arb_cluster *c = t->c;
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        bool is_other = !base_name_equal(&view->member, &task->member) &&
                        !is_holder(c, &view->member) && arb_view_is_live(c, view, t->event->now);
        bool is_coming_back =
            arb_names_has(&c->record.voters, &view->member) && !view->report.is_receiving;
        bool is_before = is_holder(c, &task->member) && view->report.is_restart_pending &&
                         !arb_names_has(&c->record.drained, &view->member);
        if (is_other && (is_coming_back || is_before) && !CANARY(TASK_WHILE_ANOTHER)) {
            return view;
        }
    }
    return NULL;
}

/* What disturbs nobody, then standbys, the holder last, each in the order in which they were asked.
 */
static uint8_t next_task(const struct arb_turn *t)
{
    const struct msg_record *r = &t->c->record;
    uint8_t best = ARB_NOBODY;
    for (uint8_t i = 0; i < r->tasks_count; i++) {
        const struct msg_task *task = &r->tasks[i];
        if (!arb_task_is_due(t, task) || !is_live(t, &task->member)) {
            continue;
        }
        if (!is_heavy(task)) {
            return i;
        }
        if (best == ARB_NOBODY ||
            (is_holder(t->c, &r->tasks[best].member) && !is_holder(t->c, &task->member))) {
            best = i;
        }
    }
    return best;
}

/* --- a clone of a voter --- */

/* The ones that have begun, and the next one as soon as nothing else keeps it waiting: two of them
 * never leave at one time. */
void arb_tasks_leaving(const struct arb_turn *t, struct msg_names *ret)
{
    const struct msg_record *r = &t->c->record;
    uint8_t next = r->is_paused || is_one_under_way(t) ? ARB_NOBODY : next_task(t);
    *ret = (struct msg_names){0};
    for (uint8_t i = 0; i < r->tasks_count; i++) {
        const struct msg_task *task = &r->tasks[i];
        bool is_on = task->at_wall_us == 0 || (i == next && first_comes(t, task) == NULL);
        if (task->kind == MSG_TASK_REINIT && is_on && !arb_names_has(ret, &task->member)) {
            int rc = arb_names_add(ret, &task->member);
            BASE_ASSERT(rc == 0); /* no more tasks than names */
        }
    }
}

static bool is_in_the_way(const struct arb_turn *t, const struct msg_task *task)
{
    return task->kind == MSG_TASK_REINIT && arb_names_has(&t->c->record.voters, &task->member) &&
           !CANARY(REINIT_OF_VOTER);
}

/* With strict it stays in the target when nobody else is there. */
static enum arb_refusal why_in_the_way(const struct arb_turn *t, const struct msg_task *task)
{
    struct arb_set target = arb_sync_target(t->c, t->event->now);
    return arb_names_has(&target.names, &task->member) ? ARB_REFUSE_LAST_VOTER
                                                       : ARB_REFUSE_IS_VOTER;
}

static void say_waits(struct arb_turn *t, const struct msg_task *task,
                      const struct base_name *other, enum arb_refusal why)
{
    arb_say_waiting(t, &(struct arb_note){.kind = ARB_NOTE_TASK_WAITS,
                                          .member = task->member,
                                          .other = *other,
                                          .a = task->id,
                                          .c = task->kind,
                                          .why = why});
}

/* Another one goes on first, or the member itself has to leave V. True: said. */
static bool must_wait(struct arb_turn *t, const struct msg_task *task)
{
    const struct arb_view *other = first_comes(t, task);
    if (other != NULL) {
        bool is_pending = is_holder(t->c, &task->member) && other->report.is_restart_pending;
        say_waits(t, task, &other->member,
                  is_pending ? ARB_REFUSE_RESTART_PENDING : ARB_REFUSE_NOT_STREAMING);
        return true;
    }
    if (is_in_the_way(t, task)) {
        say_waits(t, task, &task->member, why_in_the_way(t, task));
        return true;
    }
    return false;
}

bool arb_tasks(struct arb_turn *t)
{
    struct arb_cluster *c = t->c;
    if (arb_tasks_ended(t)) {
        return true;
    }
    uint8_t at = next_task(t);
    arb_tasks_leaving(t, &c->leaving);
    if (at == ARB_NOBODY || c->record.state != MSG_RECORD_RUNNING) {
        return false;
    }
    const struct msg_task *task = &c->record.tasks[at];
    if (is_heavy(task) && (is_one_under_way(t) || must_wait(t, task))) {
        return false;
    }
    struct msg_record next = c->record;
    next.tasks[at].at_wall_us = 0;
    (void)say_task(t, ARB_NOTE_TASK_BEGUN, task);
    arb_propose(t, ARB_DECIDE_TASK, &next);
    return true;
}
