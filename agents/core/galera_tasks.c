/* SPDX-License-Identifier: Apache-2.0 */
/* Operators' tasks of a Galera member. A restart and a reinit are carried out when the arbiter says
 * that it is this member's turn (goals RESTART and REJOIN); what has begun and what has ended is on
 * disk. There are no settings to be read again: a reload ends at once. */
#include "agents/core/internal.h"

const struct msg_task *agt_galera_task(const struct agt *a, enum msg_task_kind kind)
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

void agt_galera_task_end(struct agt_run *run, const struct msg_task *t, int status)
{
    struct agt *a = run->a;
    a->want.task_done = t->id;
    a->want.task_status = status;
    a->want.task_begun = 0;
    agt_fx_log(run, status == 0 ? "an operator's order is done" : "an operator's order failed",
               status == 0 ? NULL : base_error_text(status));
}

bool agt_galera_task_begin(struct agt_run *run, const struct msg_task *t)
{
    struct agt *a = run->a;
    if (a->want.task_begun != t->id) {
        a->want.task_begun = t->id;
        a->want.task_instance = a->guard.instance;
        a->want.task_starts = a->guard.starts;
        agt_fx_log(run, "begins an operator's order",
                   t->kind == MSG_TASK_RESTART ? "restart" : "reinit");
    }
    return a->disk.task_begun == t->id;
}

bool agt_galera_is_former_root(const struct agt *a)
{
    return a->guard.instance == a->disk.task_instance && a->guard.starts == a->disk.task_starts;
}

void agt_galera_tasks(struct agt_run *run, enum agt_galera_state state)
{
    struct agt *a = run->a;
    static const enum msg_task_kind kinds[] = {MSG_TASK_RESTART, MSG_TASK_REINIT};
    const struct msg_task *reload = agt_galera_task(a, MSG_TASK_RELOAD);
    if (reload != NULL) {
        agt_galera_task_end(run, reload, 0);
    }
    for (size_t i = 0; i < BASE_COUNT_OF(kinds); i++) {
        const struct msg_task *t = agt_galera_task(a, kinds[i]);
        bool is_begun = t != NULL && a->disk.task_begun == t->id && a->want.task_begun == t->id;
        if (is_begun && state == AGT_GALERA_SYNCED && !agt_galera_is_former_root(a)) {
            agt_galera_task_end(run, t, 0);
        }
    }
    bool is_called_off = agt_order_is_in_force(a) && a->want.task_begun != 0 &&
                         agt_galera_task(a, MSG_TASK_RESTART) == NULL &&
                         agt_galera_task(a, MSG_TASK_REINIT) == NULL;
    if (is_called_off) {
        a->want.task_begun = 0;
    }
}
