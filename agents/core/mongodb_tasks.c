/* SPDX-License-Identifier: Apache-2.0 */
/* Operators' tasks of a MongoDB member. A restart and a reinit are carried out when the arbiter
 * says that it is this member's turn, by its orders RESTART and RESYNC: the task ends with the
 * order. There are no settings to be read again: a reload ends at once. */
#include "agents/core/mongodb_internal.h"

static const struct msg_task *task_of(const struct agt *a, enum msg_task_kind kind)
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

static void end(struct agt_run *run, const struct msg_task *t, int status)
{
    run->a->want.task_done = t->id;
    run->a->want.task_status = status;
    agt_fx_log(run, status == 0 ? "an operator's order is done" : "an operator's order failed",
               status == 0 ? NULL : base_error_text(status));
}

void agt_mongodb_task_of_order(struct agt_run *run, enum msg_mongodb_order_kind kind, int status)
{
    bool is_restart = kind == MSG_MONGODB_ORDER_RESTART;
    if (!is_restart && kind != MSG_MONGODB_ORDER_RESYNC) {
        return;
    }
    const struct msg_task *t = task_of(run->a, is_restart ? MSG_TASK_RESTART : MSG_TASK_REINIT);
    if (t != NULL) {
        end(run, t, status);
    }
}

void agt_mongodb_tasks(struct agt_run *run)
{
    const struct msg_task *t = task_of(run->a, MSG_TASK_RELOAD);
    if (t != NULL) {
        end(run, t, 0);
    }
}
