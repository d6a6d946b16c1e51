/* SPDX-License-Identifier: Apache-2.0 */
/* Operators' tasks of the record, and the configuration document.
 *
 * One task at a time, the lowest id first; the next one begins when the record has dropped the one
 * before. What has begun and what has ended is on disk, so that a restarted agent neither restarts
 * the database twice nor forgets to tell. The table does the work: a RESTART only asks for the
 * stop, in the epoch and under the lease that there is, and what is down then is started by the
 * rules of section 7; a REINIT calls the directory one that needs a clone.
 */
#include "agents/core/internal.h"
#include "base/canary.h"
#include "base/mark.h"

/* Due means that the leader has taken the time out: no clock of ours has a say. */
static const struct msg_task *task_due(const struct agt *a)
{
    const struct msg_task *best = NULL;
    if (!agt_order_is_in_force(a)) {
        return NULL;
    }
    for (uint8_t i = 0; i < a->order.record.tasks_count; i++) {
        const struct msg_task *t = &a->order.record.tasks[i];
        bool is_ours = base_name_equal(&t->member, &a->config.member) && t->at_wall_us == 0;
        if (is_ours && t->kind != MSG_TASK_NONE && (best == NULL || t->id < best->id)) {
            best = t;
        }
    }
    bool is_done = best != NULL && best->id == a->want.task_done && !CANARY(TASK_TWICE);
    return is_done ? NULL : best;
}

/* As an engine asks whose arbiter sees to the turns. */
const struct msg_task *agt_task_of(const struct agt *a, enum msg_task_kind kind)
{
    if (!agt_order_is_in_force(a)) {
        return NULL;
    }
    for (uint8_t i = 0; i < a->order.record.tasks_count; i++) {
        const struct msg_task *t = &a->order.record.tasks[i];
        if (t->kind == kind && t->at_wall_us == 0 && t->id != a->want.task_done &&
            base_name_equal(&t->member, &a->config.member)) {
            return t;
        }
    }
    return NULL;
}

void agt_task_end(struct agt_run *run, const struct msg_task *t, int status)
{
    struct agt *a = run->a;
    a->want.task_done = t->id;
    a->want.task_status = status;
    a->want.task_begun = 0;
    a->reload_task = 0;
    agt_fx_log(run, status == 0 ? "an operator's order is done" : "an operator's order failed",
               status == 0 ? NULL : base_error_text(status));
}

static void task_begin(struct agt_run *run, const struct msg_task *t)
{
    struct agt *a = run->a;
    a->want.task_begun = t->id;
    a->want.task_instance = a->guard.instance;
    a->want.task_starts = a->guard.starts;
    a->is_retired = false; /* whoever orders it has looked */
    a->config_refused = 0;
    agt_fx_log(run, "begins an operator's order",
               t->kind == MSG_TASK_RESTART ? "restart" : "reinit");
}

bool agt_is_restarting(const struct agt *a)
{
    const struct msg_task *t = task_due(a);
    return t != NULL && t->kind == MSG_TASK_RESTART && a->want.task_begun == t->id;
}

bool agt_is_former_root(const struct agt *a)
{
    return a->guard.instance == a->disk.task_instance && a->guard.starts == a->disk.task_starts;
}

static bool is_standing(const struct agt *a, enum agt_state state)
{
    return state == AGT_STATE_STANDBY || state == AGT_STATE_STARTING ||
           state == AGT_STATE_PRIMARY || (state == AGT_STATE_WINNER && agt_is_standby_leader(a));
}

static bool is_back(const struct agt *a, enum agt_state state)
{
    return state == AGT_STATE_STANDBY || (state == AGT_STATE_PRIMARY && a->is_open_ready) ||
           (state == AGT_STATE_WINNER && agt_is_standby_leader(a));
}

/* A primary writes its dirty pages beforehand, so that the stop is short. */
static bool is_checkpointed(struct agt_run *run, enum agt_state state)
{
    struct agt *a = run->a;
    if (state != AGT_STATE_PRIMARY || a->checkpoint_epoch == a->guard.epoch) {
        return true;
    }
    struct db_order order = agt_order_make(a, DB_ORDER_CHECKPOINT);
    order.epoch = a->guard.epoch;
    agt_want_order(run, &order);
    return false;
}

static bool work_restart(struct agt_run *run, const struct msg_task *t, enum agt_state state)
{
    struct agt *a = run->a;
    if (a->want.task_begun != t->id) {
        bool is_needed = !t->is_pending_only || a->view.is_restart_pending || a->is_retired;
        if (!is_needed) {
            agt_task_end(run, t, 0);
            return false;
        }
        if (is_standing(a, state) && !is_checkpointed(run, state)) {
            return true;
        }
        task_begin(run, t);
        return false;
    }
    if (a->disk.task_begun != t->id) {
        return false; /* saved first */
    }
    if (agt_is_former_root(a) && is_standing(a, state)) {
        agt_do_stop(run);
        return true;
    }
    if (!agt_is_former_root(a) && is_back(a, state)) {
        agt_task_end(run, t, 0);
    }
    return false;
}

static bool work_reinit(struct agt_run *run, const struct msg_task *t, enum agt_state state)
{
    struct agt *a = run->a;
    if (agt_holds(a) || agt_is_holder(a)) {
        agt_task_end(run, t, BASE_E_STATE);
        return false;
    }
    if (a->want.task_begun != t->id) {
        if (agt_holder_is_ready(a)) { /* else there would be none to clone */
            task_begin(run, t);
            a->want.is_clone_needed = true;
        }
        return false;
    }
    if (a->disk.task_begun != t->id) {
        return false;
    }
    if (a->want.is_clone_needed && is_standing(a, state)) {
        agt_do_stop(run); /* what follows is the table's */
        return true;
    }
    if (!a->want.is_clone_needed && state == AGT_STATE_STANDBY) {
        agt_task_end(run, t, 0);
    }
    return false;
}

static bool work_reload(struct agt_run *run, const struct msg_task *t, enum agt_state state)
{
    struct agt *a = run->a;
    if (!is_standing(a, state)) {
        agt_task_end(run, t, BASE_E_STATE);
        return false;
    }
    if (a->task.id != 0 && a->task.id != a->reload_order) {
        return false; /* behind what is under way */
    }
    struct db_order order = agt_order_make(a, DB_ORDER_CONFIGURE);
    order.config_revision = a->config_at_hand != 0 ? a->config_at_hand : a->view.config_revision;
    if (a->task.id == 0) {
        a->failure.kind = a->failure.kind == DB_ORDER_CONFIGURE ? DB_ORDER_NONE : a->failure.kind;
        agt_want_order(run, &order);
        a->reload_task = t->id;
        a->reload_order = a->task.id;
    }
    return true;
}

void agt_reload_done(struct agt_run *run, const struct db_done *done)
{
    struct agt *a = run->a;
    const struct msg_task *t = task_due(a);
    if (done->id == a->reload_order && t != NULL && t->id == a->reload_task) {
        agt_task_end(run, t, done->status);
    }
    a->reload_order = done->id == a->reload_order ? 0 : a->reload_order;
}

/* The document that the engine was handed is not the one in force: when nothing else is to do. */
static bool configure(struct agt_run *run, enum agt_state state)
{
    struct agt *a = run->a;
    bool is_ours = a->task.id == 0 || a->task.order.kind == DB_ORDER_CONFIGURE;
    if (!is_back(a, state) || !is_ours || a->config_at_hand == 0 || !a->view.is_answering ||
        a->view.config_revision == a->config_at_hand || a->config_refused == a->config_at_hand) {
        return false;
    }
    if (a->failure.kind == DB_ORDER_CONFIGURE && base_mono_before(run->now, a->failure.retry_at)) {
        agt_wake_at(run, a->failure.retry_at);
        return false;
    }
    struct db_order order = agt_order_make(a, DB_ORDER_CONFIGURE);
    order.config_revision = a->config_at_hand;
    agt_want_order(run, &order);
    return true;
}

bool agt_work(struct agt_run *run, enum agt_state state, enum agt_goal goal)
{
    struct agt *a = run->a;
    const struct msg_task *t = a->has_guard && a->has_view ? task_due(a) : NULL;
    bool is_restart = t != NULL && t->kind == MSG_TASK_RESTART;
    bool may_act = goal == AGT_GOAL_HOLD || goal == AGT_GOAL_FOLLOW || goal == AGT_GOAL_NONE ||
                   (goal == AGT_GOAL_REST && is_restart);
    if (!a->has_guard || !agt_order_is_in_force(a) || (!may_act && goal != AGT_GOAL_PAUSED)) {
        return false;
    }
    if (t == NULL && a->want.task_begun != 0) {
        a->want.task_begun = 0; /* called off */
    }
    if (t != NULL && t->kind == MSG_TASK_RELOAD) {
        return work_reload(run, t, state);
    }
    if (t != NULL && goal != AGT_GOAL_PAUSED) {
        bool is_over =
            t->kind == MSG_TASK_RESTART ? work_restart(run, t, state) : work_reinit(run, t, state);
        if (is_over) {
            return true;
        }
    }
    return configure(run, state);
}
