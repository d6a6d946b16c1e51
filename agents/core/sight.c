/* SPDX-License-Identifier: Apache-2.0 */
/* What the guard says and what a probe saw, taken in: facts of the root that runs now, and what its
 * end means. Nothing is decided here but what an exit demands at once (act_holder.c).
 */
#include <string.h>

#include "agents/core/internal.h"
#include "base/canary.h"
#include "base/mark.h"

/* --- the guard's word --------------------------------------------------------------------------
 */

static void root_forget(struct agt *a)
{
    a->has_answered = false;
    a->was_in_recovery = false;
    a->rogue_views = 0;
    a->wrong_views = 0;
    a->silent_views = 0;
    a->has_receiver_run = false;
    a->is_detached = false;
    a->detach_views = 0;
    memset(&a->followed, 0, sizeof(a->followed));
    a->is_remote_followed = false;
    a->receiver_pid = 0;
    a->promoted_epoch = 0;
    a->write_views = 0;
    a->is_sync_in_force = false;
    a->is_open_ready = false;
    a->are_clients_out = false;
}

static void root_started(struct agt_run *run)
{
    struct agt *a = run->a;
    root_forget(a);
    a->root_since = run->now;
    a->streaming_voters = 0;
    a->stop = (struct agt_stop){0};
    a->is_start_asked = false;
    a->is_gone_seen = false;
    if (a->prepared.kind == DB_ORDER_PREPARE_STANDBY) {
        a->followed = a->prepared.upstream_member;
        a->followed_host = a->prepared.upstream_host;
        a->followed_port = a->prepared.upstream_port;
        a->is_remote_followed = a->prepared.is_remote;
        a->is_detached = base_name_is_empty(&a->followed) && !a->prepared.is_remote;
        a->detach_id = a->prepared.id;
        a->received_at = run->now;
    }
    a->unfollowed_since = run->now;
    a->checkpoint_epoch = 0;
    a->is_gated = a->prepared.kind == DB_ORDER_PREPARE_PRIMARY && a->prepared.is_gated;
    if (agt_engine(a) != NULL) {
        agt_engine(a)->root_started(run);
    }
    a->is_first_start = false;
    memset(&a->prepared, 0, sizeof(a->prepared));
}

/* Its lease was over: whoever ended it (the guard; its twin, which may come first on a host that
 * stood still) did what it is there for. That is no crash of the database, however often it comes.
 */
static bool is_expired(const struct agt *a, enum guard_tree before)
{
    bool is_guards = before == GUARD_TREE_FREEZING || before == GUARD_TREE_FROZEN ||
                     before == GUARD_TREE_KILLING;
    bool is_late = a->guard.is_armed && !base_mono_before(a->guard.changed, a->guard.deadline);
    return is_guards || (is_late && !CANARY(EXPIRY_COUNTED_AS_CRASH));
}

static void root_gone(struct agt_run *run, enum guard_tree before)
{
    struct agt *a = run->a;
    a->gone_at = run->now;
    a->gone_number = a->lease.number;
    a->is_clean_hoped = a->stop.is_asked && !a->stop.is_immediate && !a->stop.is_killed;
    a->is_gone_seen = false;
    a->is_start_asked = false;
    a->foreign_views = 0;
    memset(&a->prepared, 0, sizeof(a->prepared));
    if (agt_engine(a) != NULL) {
        agt_engine(a)->root_gone(run);
    } else if (agt_holds(a) && is_expired(a, before) && !a->stop.is_asked) {
        a->is_handback_wanted = true;
    } else if (agt_holds(a)) {
        agt_on_exit(run);
    }
    root_forget(a);
    a->stop = (struct agt_stop){0};
}

static void guard_is_new(struct agt *a)
{
    a->ran_epoch = 0;
    a->exit_epoch = 0;
    a->is_start_asked = false;
    a->arm_epoch = 0;
    a->has_grant = a->has_grant && CANARY(GRANT_OUTLIVES_GUARD); /* it was the one before's */
    root_forget(a);
}

/* Overtaken on its way: what only grows has shrunk. */
static bool status_is_old(const struct agt *a, const struct guard_status *status)
{
    const struct guard_status *have = &a->guard;
    if (!a->has_guard || have->instance != status->instance) {
        return false;
    }
    return status->starts < have->starts || status->epoch < have->epoch ||
           status->epoch_handed_back < have->epoch_handed_back ||
           base_mono_before(status->changed, have->changed) ||
           (status->epoch == have->epoch && base_mono_before(status->deadline, have->deadline));
}

/* Only a pause disarms a guard that holds an epoch: where our own file says nothing of one, it was
 * lost. */
static void recall_pause(struct agt_run *run)
{
    struct agt *a = run->a;
    bool is_disarmed = agt_holds(a) && !a->guard.is_armed && a->guard.tree == GUARD_TREE_RUNNING;
    if (is_disarmed && !a->want.is_paused) {
        a->want.is_paused = true;
        agt_fx_log(run, "the guard is disarmed, and no pause is on disk: paused until the resume",
                   NULL);
    }
}

void agt_on_guard(struct agt_run *run, const struct guard_status *status)
{
    struct agt *a = run->a;
    a->is_arm_asked = false;
    if (status_is_old(a, status)) {
        MARK(AGENT_STATUS_OVERTAKEN);
        return;
    }
    struct guard_status old = a->guard;
    bool is_first = !a->has_guard;
    bool is_new = !is_first && old.instance != status->instance;
    a->guard = *status;
    a->has_guard = true;
    a->arm_words++;
    if (is_first || is_new) {
        guard_is_new(a);
        a->root_since = run->now;
        a->unfollowed_since = run->now;
        a->received_at = run->now;
        a->gone_at = run->now;
    }
    if (is_first) { /* of the agent before this one */
        recall_pause(run);
        a->is_disarm_asked = a->want.is_paused;
        a->disarm_after = status->deadline;
    }
    if (is_new || !status->is_armed || base_mono_before(a->disarm_after, status->deadline)) {
        a->is_disarm_asked = false;
    }
    if (status->epoch > agt_epoch_known(a)) {
        a->want.epoch_seen = status->epoch; /* our own file is older than the guard */
    }
    bool is_other_root = !is_first && !is_new &&
                         (status->starts != old.starts ||
                          (old.tree == GUARD_TREE_GONE && status->tree != GUARD_TREE_GONE));
    if (is_other_root) {
        root_started(run);
    }
    if ((status->tree == GUARD_TREE_RUNNING || is_other_root) && agt_holds(a)) {
        a->ran_epoch = status->epoch;
    }
    bool was_running = !is_first && !is_new && (old.tree != GUARD_TREE_GONE || is_other_root);
    if (status->tree == GUARD_TREE_GONE && was_running) {
        root_gone(run, old.tree);
    }
    if (!agt_holds(a) || status->epoch != old.epoch) {
        a->is_handback_wanted = false;
    }
}

/* --- what a probe saw --------------------------------------------------------------------------
 */

static uint8_t count_streaming_voters(const struct agt *a)
{
    uint8_t count = 0;
    for (uint8_t i = 0; i < a->view.standbys_count; i++) {
        const struct msg_standby *s = &a->view.standbys[i];
        if (s->is_streaming && agt_names_has(&a->order.record.voters, &s->member)) {
            count++;
        }
    }
    return count;
}

/* A receiver that is there after all was started with the old setting: it is taken away again. */
static void receiver_watch(struct agt *a)
{
    a->detach_views++;
    bool is_fresh = a->view.orders_done >= a->detach_id || a->detach_views >= 2;
    if (is_fresh && a->view.has_receiver) {
        MARK(AGENT_RECEIVER_AGAIN);
        a->is_detached = false;
    }
}

/* One that is refused what it asks for (WAL that is gone) streams for an instant and comes anew, as
 * often as the server tries: that is not receiving. */
static void receiver_seen(struct agt_run *run)
{
    struct agt *a = run->a;
    if (a->receiver_pid == a->view.receiver_pid) {
        a->received_at = run->now;
    }
    a->receiver_pid = a->view.receiver_pid;
}

static void view_of_running(struct agt_run *run)
{
    struct agt *a = run->a;
    const struct db_view *v = &a->view;
    if (!v->is_process || !v->is_answering) {
        a->silent_views++;
        return;
    }
    a->silent_views = 0;
    a->has_answered = true;
    a->answered_at = run->now;
    a->was_in_recovery = v->is_in_recovery;
    a->has_receiver_run = a->has_receiver_run || v->has_receiver;
    a->rogue_views = v->is_in_recovery || agt_holds(a) ? 0 : a->rogue_views + 1;
    if (a->rogue_views >= AGT_ROGUE_VIEWS) {
        a->rewound_epoch = 0; /* it is no more what was copied */
    }
    if (v->is_receiving) {
        receiver_seen(run);
    }
    if (a->is_detached) {
        receiver_watch(a);
    }
    agt_write_seen(run);
    if (v->is_in_recovery) {
        return;
    }
    a->streaming_voters = count_streaming_voters(a);
    bool is_wrong = agt_disk_lineage(&a->want, v->timeline) != a->guard.epoch;
    a->wrong_views = is_wrong ? a->wrong_views + 1 : 0;
}

void agt_on_view(struct agt_run *run, const struct db_view *view)
{
    struct agt *a = run->a;
    a->view = *view;
    if (a->view.standbys_count > MSG_MEMBERS_MAX) {
        a->view.standbys_count = MSG_MEMBERS_MAX;
    }
    a->has_view = true;
    if (!a->has_guard) {
        return;
    }
    if (a->guard.tree == GUARD_TREE_GONE) {
        a->is_gone_seen = !view->is_process && view->orders_done >= a->directory_order;
        if (a->is_made && view->has_directory && view->system_id != 0) {
            a->is_made = false;
            a->want.made_system = view->system_id;
        }
        a->foreign_views = view->is_process ? a->foreign_views + 1 : 0;
        a->gone_number = view->is_process ? a->lease.number : a->gone_number;
        if (agt_engine(a) != NULL) {
            agt_engine(a)->view(run);
            return;
        }
        if (view->is_process && view->is_answering && !view->is_in_recovery) {
            a->rewound_epoch = 0; /* started by hand, and no more what was copied */
        }
    } else if (agt_engine(a) != NULL) {
        agt_engine(a)->view(run);
    } else if (a->guard.tree == GUARD_TREE_RUNNING) {
        view_of_running(run);
    }
}
