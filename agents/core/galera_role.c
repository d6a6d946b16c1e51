/* SPDX-License-Identifier: Apache-2.0 */
/* The right of a Galera cluster's writer: taken, kept, fenced, given back (safety.md section 13).
 *
 * The guard is armed so that it kills where our own fence has not been reported done within a
 * second past the deadline; it never freezes, since a frozen member stalls the whole cluster. An
 * epoch is given back while the server runs on only behind a fence, or behind read_only with every
 * session cut; from then on it is armed no more.
 */
#include "agents/core/internal.h"
#include "base/canary.h"

/* An epoch is armed for a server that takes part: one that has not answered yet is new to this
 * process, not to the epoch. */
static bool is_hung(const struct agt *a, struct base_mono now)
{
    if (!a->has_answered) {
        return base_mono_diff_us(now, a->galera.root_seen_at) > agt_hang_timeout_us(a);
    }
    return a->silent_views >= AGT_SILENT_VIEWS &&
           base_mono_diff_us(now, a->answered_at) > agt_hang_timeout_us(a);
}

/* Why the right is over; NULL: it is not. */
static const char *over_why(const struct agt *a, enum agt_galera_state state, struct base_mono now)
{
    bool is_armed = agt_is_paused(a) ? agt_has_paused_right(a) : agt_is_lease_ahead(a, now);
    if (a->guard.epoch < agt_epoch_known(a)) {
        return "a higher epoch exists";
    }
    if (a->is_handback_wanted) {
        return "the role is handed on";
    }
    if (!is_armed && !CANARY(AGENT_IGNORES_LEASE_END)) {
        return "the lease has run out";
    }
    if (state == AGT_GALERA_NONPRIM || state == AGT_GALERA_INCONSISTENT ||
        state == AGT_GALERA_SUSPECT_NIL) {
        return "not in the Primary component";
    }
    if (state == AGT_GALERA_JOINING && a->view.galera.local != DB_GALERA_LOCAL_SYNCED) {
        return "the server does not take part yet";
    }
    return is_hung(a, now) ? "the server does not answer" : NULL;
}

/* Reject first, read-only behind it; what cannot be fenced is killed. Then given back. */
static void fence_and_release(struct agt_run *run, const char *why)
{
    struct agt *a = run->a;
    struct agt_galera *g = &a->galera;
    a->is_open_ready = false;
    a->is_handback_wanted = true;
    if (g->fence_since.us == BASE_MONO_NEVER.us) {
        g->fence_since = run->now;
        g->is_fence_failed = false;
        g->is_fenced = false; /* whatever was done before may have been undone since */
        agt_fx_log(run, "fences the writer", why);
    }
    if (g->is_fenced || CANARY(RELEASE_BEFORE_FENCE)) {
        agt_release(run, a->guard.epoch);
        return;
    }
    struct base_mono kill_at = base_mono_add_us(g->fence_since, AGT_GALERA_FENCE_US);
    if (g->is_fence_failed || !base_mono_before(run->now, kill_at)) {
        agt_fx_log(run, "the writer's server cannot be fenced in time: ends it", NULL);
        agt_kill(run);
        return;
    }
    struct db_order order = agt_order_make(a, DB_ORDER_GALERA_FENCE);
    order.epoch = a->guard.epoch;
    agt_want_order(run, &order);
    agt_wake_at(run, kill_at);
}

/* Planned: what runs is let finish, within a limit; then the same as a fence. */
static void hand_over(struct agt_run *run)
{
    struct agt *a = run->a;
    a->is_open_ready = false;
    if (a->galera.demoted_epoch == a->guard.epoch) {
        a->is_handback_wanted = true;
        agt_release(run, a->guard.epoch);
        return;
    }
    if (a->galera.is_demote_failed) {
        fence_and_release(run, "read_only did not come into force in time");
        return;
    }
    struct db_order order = agt_order_make(a, DB_ORDER_GALERA_DEMOTE);
    order.epoch = a->guard.epoch;
    agt_want_order(run, &order);
}

/* The agent is stopped, the role is asked back, or this server's turn to be restarted has come. */
static bool is_handing_over(const struct agt *a)
{
    bool is_asked = agt_order_is_in_force(a) && a->order.goal == MSG_GOAL_HAND_OVER;
    bool is_restarting = agt_galera_goal_of(a) == AGT_GALERA_GOAL_RESTART &&
                         agt_task_of(a, MSG_TASK_RESTART) != NULL;
    return a->is_shutdown || is_asked || is_restarting;
}

static void promoted(struct agt_run *run)
{
    struct agt *a = run->a;
    if (!a->is_open_ready) {
        agt_fx_log(run, "open for writes", a->order.record.cluster.text);
    }
    a->is_open_ready = true;
    a->opened_epoch = a->guard.epoch;
    a->want.opened_epoch = a->guard.epoch;
    a->want.opened_root_pid = a->guard.root_pid;
    a->want.role = AGT_ROLE_HOLDER;
}

/* Read after the last pause, and late enough to have come behind whatever was committed before. */
static bool is_proven_member(const struct agt *a)
{
    return !base_mono_before(a->view.galera.causal_at, a->galera.paused_at) &&
           !base_mono_before(a->view.galera.asked_at, a->galera.paused_at);
}

/* True when there is something to be done for it. */
static bool hold(struct agt_run *run, enum agt_galera_state state)
{
    struct agt *a = run->a;
    bool is_able = state == AGT_GALERA_SYNCED || state == AGT_GALERA_DONOR;
    if (a->galera.promoted_epoch == a->guard.epoch && is_proven_member(a)) {
        promoted(run);
        return false;
    }
    a->is_open_ready = false;
    if (!is_able || !agt_is_holder(a) || !agt_has_right(a, run->now) || !is_proven_member(a)) {
        return false;
    }
    struct db_order order = agt_order_make(a, DB_ORDER_PROMOTE);
    order.epoch = a->guard.epoch;
    agt_want_order(run, &order);
    return true;
}

/* A new agent under a writer that was open: it still is. */
static void reopened(struct agt *a)
{
    bool is_same = a->want.opened_epoch == a->guard.epoch && a->guard.root_pid != 0 &&
                   a->want.opened_root_pid == a->guard.root_pid;
    if (is_same && a->has_answered && a->view.is_answering && !a->view.galera.is_read_only &&
        !a->view.galera.is_rejecting && a->galera.fence_since.us == BASE_MONO_NEVER.us &&
        base_mono_before(a->galera.fenced_at, a->view.galera.asked_at)) {
        a->galera.promoted_epoch = a->guard.epoch;
    }
}

/* Named, but not able, or to be fenced, and nothing was armed: nobody need wait for it. */
static void resign(struct agt_run *run)
{
    struct agt *a = run->a;
    const struct msg_record *r = &a->order.record;
    bool is_asked =
        agt_order_is_in_force(a) && agt_is_holder(a) &&
        (a->order.goal == MSG_GOAL_HAND_OVER || a->is_shutdown || r->fencing_epoch == r->epoch) &&
        r->epoch > a->guard.epoch_handed_back;
    if (is_asked && a->guard.tree == GUARD_TREE_GONE && a->is_gone_seen) {
        agt_hand_back(run, r->epoch);
    } else if (is_asked && a->guard.tree == GUARD_TREE_RUNNING && a->guard.soft_us > 0 &&
               a->view.is_answering && a->view.galera.is_read_only) {
        agt_release(run, r->epoch);
    }
}

bool agt_galera_role(struct agt_run *run, enum agt_galera_state state)
{
    struct agt *a = run->a;
    if (!agt_holds(a)) {
        a->is_open_ready = false;
        a->galera.fence_since = BASE_MONO_NEVER;
        a->galera.is_demote_failed = false;
        if (a->has_guard && !agt_is_paused(a)) {
            resign(run);
        }
        return false;
    }
    if (a->guard.tree == GUARD_TREE_GONE) {
        a->is_open_ready = false;
        agt_hand_back(run, a->guard.epoch);
        return true;
    }
    if (a->guard.tree != GUARD_TREE_RUNNING) {
        return true;
    }
    if (state == AGT_GALERA_BLIND) {
        return true; /* no look yet; the guard watches the deadline */
    }
    reopened(a);
    const char *why = over_why(a, state, run->now);
    if (why != NULL) {
        fence_and_release(run, why);
        return true;
    }
    if (agt_is_paused(a)) {
        return true;
    }
    if (is_handing_over(a)) {
        hand_over(run);
        return true;
    }
    return hold(run, state);
}
