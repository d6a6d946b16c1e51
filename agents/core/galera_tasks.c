/* SPDX-License-Identifier: Apache-2.0 */
/* Operators' tasks of a Galera member. A restart and a reinit are carried out when the arbiter says
 * that it is this member's turn (goals RESTART and REJOIN); what has begun and what has ended is on
 * disk. There are no settings to be read again: a reload ends at once. */
#include "agents/core/internal.h"

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

void agt_galera_tasks(struct agt_run *run, enum agt_galera_state state)
{
    struct agt *a = run->a;
    static const enum msg_task_kind kinds[] = {MSG_TASK_RESTART, MSG_TASK_REINIT};
    const struct msg_task *reload = agt_task_of(a, MSG_TASK_RELOAD);
    if (reload != NULL) {
        agt_task_end(run, reload, 0);
    }
    for (size_t i = 0; i < BASE_COUNT_OF(kinds); i++) {
        const struct msg_task *t = agt_task_of(a, kinds[i]);
        bool is_begun = t != NULL && a->disk.task_begun == t->id && a->want.task_begun == t->id;
        if (is_begun && state == AGT_GALERA_SYNCED && !agt_is_former_root(a)) {
            agt_task_end(run, t, 0);
        }
    }
    bool is_called_off = agt_order_is_in_force(a) && a->want.task_begun != 0 &&
                         agt_task_of(a, MSG_TASK_RESTART) == NULL &&
                         agt_task_of(a, MSG_TASK_REINIT) == NULL;
    if (is_called_off) {
        a->want.task_begun = 0;
    }
}
