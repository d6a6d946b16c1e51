/* SPDX-License-Identifier: Apache-2.0 */
/* Pause (safety.md section 10): nobody acts.
 *
 * The pause is on disk before the guard is disarmed, and stays there until the guard has been armed
 * again under a fresh grant, so that an agent that restarts in between neither acts nor believes
 * that a lease without end has run out. A holder on its way to open finishes that first. Fencing by
 * a higher epoch goes on: whoever decided on one has ended the pause for this member.
 */
#include "agents/core/internal.h"
#include "base/canary.h"
#include "base/mark.h"

bool agt_is_paused(const struct agt *a)
{
    return a->want.is_paused && !CANARY(AGENT_ACTS_IN_PAUSE);
}

/* Elected and not open in this epoch yet, or closed behind the gate after a crash. */
static bool is_on_its_way(const struct agt *a)
{
    const struct msg_record *r = &a->order.record;
    bool is_ours =
        agt_is_holder(a) && r->epoch > a->guard.epoch_handed_back && !r->is_standby_cluster;
    bool is_closed = a->guard.tree == GUARD_TREE_RUNNING && !a->is_open_ready;
    return is_ours && (a->want.opened_epoch != r->epoch || is_closed);
}

/* Only under an order in force that says so now; the guard's word may be on its way. */
static void disarm(struct agt_run *run)
{
    struct agt *a = run->a;
    bool is_leaving = a->is_saving && !a->saving.is_paused; /* of the resume before */
    bool is_saved = (a->disk.is_paused && !is_leaving) || CANARY(PAUSE_NOT_SAVED);
    bool is_frozen = a->guard.tree == GUARD_TREE_FREEZING || a->guard.tree == GUARD_TREE_FROZEN;
    if (!is_saved || !a->guard.is_armed || is_frozen) {
        return;
    }
    struct base_mono due = base_mono_add_us(a->disarm_asked_at, AGT_REPEAT_US);
    if (base_mono_before(run->now, due)) {
        agt_wake_at(run, due);
        return;
    }
    a->disarm_asked_at = run->now;
    a->is_disarm_asked = true;
    a->disarm_after = base_mono_max(a->arm_latest, a->guard.deadline);
    agt_fx_add(run, AGT_FX_GUARD_DISARM);
    agt_wake_at(run, base_mono_add_us(run->now, AGT_REPEAT_US));
}

/* Armed, and nothing that would disarm it is on its way: what the guard is asked it does in turn.
 */
bool agt_is_armed_again(const struct agt *a)
{
    return a->guard.is_armed && (!a->is_disarm_asked || CANARY(DISARM_OVERTAKEN));
}

static bool is_right_again(const struct agt *a)
{
    /* A lower epoch is armed no more: the next one waits until it is handed back. */
    bool is_over = a->is_handback_wanted || a->guard.epoch < a->order.record.epoch;
    bool is_given_up = is_over && a->guard.tree == GUARD_TREE_GONE;
    return !agt_holds(a) || !agt_is_holder(a) || is_given_up || CANARY(RESUME_ACTS_FIRST) ||
           (agt_is_armed_again(a) && a->guard.epoch == a->order.record.epoch);
}

/* After the resume: an epoch that is being fenced is granted no more, so that its guard will never
 * be armed again. What runs without a deadline is ended, and the epoch handed back. */
static void give_up_fenced(struct agt_run *run)
{
    struct agt *a = run->a;
    bool is_over = agt_holds(a) && !a->guard.is_armed &&
                   a->order.record.fencing_epoch == a->guard.epoch && !CANARY(FENCED_HOLDS_ON);
    if (!is_over) {
        return;
    }
    if (!a->is_handback_wanted) {
        agt_fx_log(run, "its epoch is being fenced: ends the database and hands back", NULL);
    }
    a->is_handback_wanted = true;
    if (a->guard.tree == GUARD_TREE_RUNNING) {
        agt_kill(run);
    }
}

void agt_pause_step(struct agt_run *run)
{
    struct agt *a = run->a;
    if (!a->has_guard || !agt_order_is_in_force(a) || a->order.record.epoch == 0) {
        return;
    }
    if (a->order.record.is_paused) {
        if (!a->want.is_paused && !is_on_its_way(a)) {
            MARK(AGENT_PAUSES);
            a->want.is_paused = true;
            agt_fx_log(run, "paused: nothing is started, stopped or promoted here", NULL);
        }
        if (a->want.is_paused) {
            disarm(run);
        }
        return;
    }
    if (a->want.is_paused) {
        give_up_fenced(run);
    }
    if (a->want.is_paused && is_right_again(a)) {
        a->want.is_paused = false;
        a->exit_at = run->now; /* what went down meanwhile has its time from now on */
        agt_fx_log(run, "the pause has ended, found", agt_state_text(agt_state_of(a, run->now)));
    }
}

/* The lease of a pause has no end. */
bool agt_has_paused_right(const struct agt *a)
{
    return agt_is_paused(a) && a->disk.is_paused && agt_holds(a) && !a->guard.is_armed &&
           a->guard.tree == GUARD_TREE_RUNNING && a->guard.epoch == agt_epoch_known(a) &&
           a->guard.epoch > a->handback_asked && !a->is_handback_wanted;
}
