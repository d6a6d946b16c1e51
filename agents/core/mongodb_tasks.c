/* SPDX-License-Identifier: Apache-2.0 */
/* Operators' tasks of a MongoDB member. A restart and a reinit are carried out when the arbiter
 * says that it is this member's turn, by its orders RESTART and RESYNC: the task ends with the
 * order. There are no settings to be read again: a reload ends at once. */
#include "agents/core/mongodb_internal.h"

void agt_mongodb_task_of_order(struct agt_run *run, enum msg_mongodb_order_kind kind, int status)
{
    bool is_restart = kind == MSG_MONGODB_ORDER_RESTART;
    if (!is_restart && kind != MSG_MONGODB_ORDER_RESYNC) {
        return;
    }
    const struct msg_task *t = agt_task_of(run->a, is_restart ? MSG_TASK_RESTART : MSG_TASK_REINIT);
    if (t != NULL) {
        agt_task_end(run, t, status);
    }
}

void agt_mongodb_tasks(struct agt_run *run)
{
    const struct msg_task *t = agt_task_of(run->a, MSG_TASK_RELOAD);
    if (t != NULL) {
        agt_task_end(run, t, 0);
    }
}
