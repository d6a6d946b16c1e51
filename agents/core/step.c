/* SPDX-License-Identifier: Apache-2.0 */
/* One step: take the event in, fence where it must be, act by the table, save, report, say when to
 * wake.
 *
 * Fencing comes first and waits for nothing. Everything else that an order asks for waits until its
 * epoch is on disk, so that no restart can bring back a lower one.
 */
#include <string.h>

#include "agents/core/internal.h"
#include "base/canary.h"
#include "base/lease_math.h"
#include "base/mark.h"

#define AGT_MAGIC 0x61677463u
#define AGT_SAVE_RETRY_US (INT64_C(200) * BASE_US_PER_MS)

void agt_init(struct agt *agent, const struct agt_config *config, const struct agt_disk *disk,
              struct base_mono now)
{
    BASE_ASSERT(config->session != 0);
    BASE_ASSERT(agt_table_is_well_formed());
    memset(agent, 0, sizeof(*agent));
    agent->magic = AGT_MAGIC;
    agent->config = *config;
    agent->disk = *disk;
    agent->want = *disk;
    if (CANARY(PROMISE_FORGOTTEN)) {
        agent->disk.promised = agent->want.promised = (struct msg_attempt){0, 0};
    }
    agent->heartbeat_at = now;
    agent->wake = now;
    agent->handback_asked_at = BASE_MONO_LONG_AGO;
    agent->reported_at = BASE_MONO_LONG_AGO;
    for (size_t i = 0; i < BASE_COUNT_OF(agent->crashes); i++) {
        agent->crashes[i] = BASE_MONO_LONG_AGO;
    }
    agt_lease_init(&agent->lease, config->session);
}

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
    a->promoted_epoch = 0;
    a->is_sync_in_force = false;
    a->is_barrier_passed = false;
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
        a->is_detached = base_name_is_empty(&a->followed);
        a->detach_id = a->prepared.id;
        a->received_at = run->now;
    }
    a->unfollowed_since = run->now;
    a->is_gated = a->prepared.kind == DB_ORDER_PREPARE_PRIMARY && a->prepared.is_gated;
    a->is_first_start = false;
    memset(&a->prepared, 0, sizeof(a->prepared));
}

static void root_gone(struct agt_run *run, enum guard_tree before)
{
    struct agt *a = run->a;
    a->gone_at = run->now;
    a->is_clean_hoped = a->stop.is_asked && !a->stop.is_immediate && !a->stop.is_killed;
    a->is_gone_seen = false;
    a->is_start_asked = false;
    a->foreign_views = 0;
    memset(&a->prepared, 0, sizeof(a->prepared));
    bool is_fenced = before == GUARD_TREE_FREEZING || before == GUARD_TREE_FROZEN ||
                     before == GUARD_TREE_KILLING;
    if (agt_holds(a) && is_fenced && !a->stop.is_asked) {
        a->is_handback_wanted = true; /* freeze_max was over: the guard ended it */
    } else if (agt_holds(a)) {
        agt_on_exit(run);
    }
    root_forget(a);
    a->stop = (struct agt_stop){0};
}

static void guard_is_new(struct agt *a)
{
    a->is_handback_wanted = false;
    a->ran_epoch = 0;
    a->exit_epoch = 0;
    a->is_start_asked = false;
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

static void on_guard(struct agt_run *run, const struct guard_status *status)
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
    if (is_first || is_new) {
        guard_is_new(a);
        a->root_since = run->now;
        a->unfollowed_since = run->now;
        a->received_at = run->now;
        a->gone_at = run->now;
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
        a->received_at = run->now;
    }
    if (a->is_detached) {
        receiver_watch(a);
    }
    if (v->is_in_recovery) {
        return;
    }
    a->streaming_voters = count_streaming_voters(a);
    bool is_wrong = agt_disk_lineage(&a->want, v->timeline) != a->guard.epoch;
    a->wrong_views = is_wrong ? a->wrong_views + 1 : 0;
}

static void on_view(struct agt_run *run, const struct db_view *view)
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
        if (view->is_process && view->is_answering && !view->is_in_recovery) {
            a->rewound_epoch = 0; /* started by hand, and no more what was copied */
        }
    } else if (a->guard.tree == GUARD_TREE_RUNNING) {
        view_of_running(run);
    }
}

/* --- orders ------------------------------------------------------------------------------------
 */

static bool order_fits(const struct agt *a, const struct msg_order *o)
{
    return (o->session == a->lease.session || CANARY(REPORT_NUMBER_REUSED)) && o->number > 0 &&
           o->number <= a->lease.number &&
           (o->record.epoch == 0 || base_name_equal(&o->record.cluster, &a->config.cluster));
}

/* An older word of an older leader, or one overtaken on its way. */
static bool order_is_stale(const struct agt *a, const struct msg_order *o)
{
    if (!a->has_order) {
        return false;
    }
    const struct msg_order *have = &a->order;
    if (o->term != have->term) {
        return o->term < have->term;
    }
    if (o->record.epoch != have->record.epoch) {
        return o->record.epoch < have->record.epoch;
    }
    if (o->record.revision != have->record.revision) {
        return o->record.revision < have->record.revision;
    }
    return o->number < a->order_number; /* a grant names the report that it was confirmed for */
}

static void epoch_take(struct agt *a, const struct msg_record *r)
{
    bool is_own = base_name_equal(&r->holder, &a->config.member);
    struct agt_opening opening = {.epoch = r->epoch,
                                  .timeline = r->timeline,
                                  .parent = r->floor.lineage,
                                  .floor_lsn = r->floor.lsn,
                                  .floor_epoch = r->floor_epoch,
                                  .is_own = is_own};
    if (r->state == MSG_RECORD_BOOTSTRAP) {
        opening.timeline = 1; /* initdb has no choice */
    }
    if (r->epoch > a->want.epoch_seen) {
        a->want.epoch_seen = r->epoch;
        a->want.promised = (struct msg_attempt){0, 0};
    }
    if (r->epoch > 0 && agt_disk_opening(&a->want, r->epoch) == NULL) {
        (void)agt_disk_remember(&a->want, &opening);
    }
}

static void promise_take(struct agt *a, const struct msg_order *o)
{
    if (agt_promise_is_kept(a) && agt_attempt_compare(o->ended, a->want.promised) >= 0) {
        a->want.promised = (struct msg_attempt){0, 0};
    }
    bool is_new = agt_attempt_compare(o->attempt, a->want.promised) > 0 &&
                  agt_attempt_compare(o->attempt, o->ended) > 0;
    if (o->goal == MSG_GOAL_VOTE && is_new && !agt_holds(a) && !a->is_retired) {
        a->want.promised = o->attempt;
    }
}

/* The grant of an order counts by itself: from the sending of the report that it answers. */
static void grant_take(struct agt *a, const struct msg_order *o, struct base_mono now)
{
    struct base_mono sent;
    if (!o->is_granted || o->granted_epoch != o->record.epoch || o->ttl_us <= 0 ||
        o->ttl_us > LEASE_TTL_MAX_MS * BASE_US_PER_MS ||
        !base_name_equal(&o->record.holder, &a->config.member) || !a->has_guard ||
        (o->record.holder_instance != a->guard.instance && !CANARY(INSTANCE_IGNORED)) ||
        !agt_lease_sent_at(&a->lease, o->number, &sent)) {
        return;
    }
    if (CANARY(DEADLINE_FROM_RECEIPT)) {
        sent = now;
    }
    struct base_mono deadline = lease_deadline(sent, o->ttl_us);
    if (a->has_grant && a->grant_epoch == o->granted_epoch) {
        deadline = base_mono_max(deadline, a->grant_deadline);
    }
    a->has_grant = true;
    a->grant_epoch = o->granted_epoch;
    a->grant_deadline = deadline;
}

static void on_order(struct agt_run *run, const struct msg_order *o)
{
    struct agt *a = run->a;
    if (!order_fits(a, o)) {
        return;
    }
    /* A quorum restored from an old backup: nobody acts for a lower epoch than one seen before. */
    if (o->record.epoch < agt_epoch_known(a) && !CANARY(OLD_EPOCH_ACCEPTED)) {
        return;
    }
    epoch_take(a, &o->record);
    grant_take(a, o, run->now);
    if (order_is_stale(a, o)) {
        MARK(AGENT_STALE_ORDER);
        return;
    }
    if (CANARY(OLD_EPOCH_ACCEPTED) && o->record.epoch < a->want.epoch_seen) {
        a->want.epoch_seen = a->disk.epoch_seen = a->saving.epoch_seen = o->record.epoch;
    }
    a->order = *o;
    if (a->order.members_count > MSG_MEMBERS_MAX) {
        a->order.members_count = MSG_MEMBERS_MAX;
    }
    a->has_order = true;
    a->order_at = run->now;
    bool is_later = o->term != a->order_term || o->number > a->order_number;
    a->order_term = o->term;
    a->order_number = is_later ? o->number : a->order_number;
    promise_take(a, o);
}

/* Arms the guard with the grant at hand, once its epoch is on disk and as long as it was not given
 * up. */
void agt_grant_apply(struct agt_run *run)
{
    struct agt *a = run->a;
    if (!a->has_grant || !a->has_guard || a->grant_epoch > a->disk.epoch_seen) {
        return;
    }
    if (agt_holds(a) && a->guard.epoch < a->grant_epoch) {
        return; /* the lower one is handed back first, its tree seen gone */
    }
    a->has_grant = false;
    bool is_rogue = a->guard.tree == GUARD_TREE_RUNNING && a->has_answered && !a->was_in_recovery &&
                    !agt_holds(a);
    if (is_rogue || a->grant_epoch != a->disk.epoch_seen || a->grant_epoch != agt_epoch_known(a) ||
        (a->grant_epoch <= a->guard.epoch_handed_back && !CANARY(HANDBACK_NOT_FINAL)) ||
        (a->grant_epoch <= a->handback_asked && !CANARY(HANDBACK_NOT_FINAL)) ||
        a->grant_epoch < a->guard.epoch || a->is_handback_wanted || agt_has_foreign_system(a)) {
        return;
    }
    bool is_later = !a->guard.is_armed || a->guard.epoch != a->grant_epoch ||
                    base_mono_before(a->guard.deadline, a->grant_deadline);
    bool is_ahead = base_mono_before(run->now, a->grant_deadline);
    if ((!is_later || !is_ahead) && !CANARY(THAW_ANY_GRANT)) {
        return; /* a late answer to an old report thaws nothing */
    }
    uint32_t freeze_ms = a->order.record.freeze_max_ms;
    if (!a->is_arm_asked) {
        a->is_arm_asked = true;
        a->arm_asked_at = run->now;
    }
    struct agt_effect *fx = agt_fx_add(run, AGT_FX_GUARD_ARM);
    fx->epoch = a->grant_epoch;
    fx->deadline = a->grant_deadline;
    fx->freeze_max_us =
        (int64_t)(freeze_ms > 0 ? freeze_ms : LEASE_FREEZE_MAX_DEFAULT_MS) * BASE_US_PER_MS;
}

/* --- the step ----------------------------------------------------------------------------------
 */

static void on_saved(struct agt_run *run, int status)
{
    struct agt *a = run->a;
    if (!a->is_saving) {
        return;
    }
    a->is_saving = false;
    if (status == 0) {
        a->disk = a->saving;
        return;
    }
    a->save_retry_at = base_mono_add_us(run->now, AGT_SAVE_RETRY_US);
    agt_fx_log(run, "cannot save the agent's state, tries again in 200 ms",
               base_error_text(status));
}

static void on_timer(struct agt_run *run)
{
    struct agt *a = run->a;
    int64_t late = base_mono_diff_us(run->now, a->wake);
    if (late > a->pause_worst_us) {
        a->pause_worst_us = late;
    }
}

static void event_take(struct agt_run *run, const struct agt_event *event)
{
    switch (event->kind) {
    case AGT_EVENT_ORDER:
        on_order(run, event->order);
        return;
    case AGT_EVENT_GUARD:
        on_guard(run, event->guard);
        return;
    case AGT_EVENT_VIEW:
        on_view(run, event->view);
        return;
    case AGT_EVENT_DONE:
        agt_order_done(run, event->done);
        return;
    case AGT_EVENT_SAVED:
        on_saved(run, event->status);
        return;
    case AGT_EVENT_TIMER:
        on_timer(run);
        return;
    case AGT_EVENT_CONNECTED:
        run->a->is_report_urgent = true;
        return;
    case AGT_EVENT_SHUTDOWN:
        run->a->is_shutdown = true;
        return;
    }
    BASE_UNREACHABLE();
}

/* What does not wait for the table or the disk: a higher epoch ends the one that is held, now. A
 * new guard that sees nothing left of its predecessor hands back for it. */
static void fence(struct agt_run *run)
{
    struct agt *a = run->a;
    if (!a->has_guard) {
        return;
    }
    bool is_over = agt_holds(a) && a->guard.epoch < agt_epoch_known(a);
    if (is_over && a->guard.tree != GUARD_TREE_GONE) {
        if (!a->stop.is_killed) {
            agt_fx_log(run, "a higher epoch exists: ends the database at once", NULL);
        }
        agt_kill(run);
        agt_wake_at(run, base_mono_add_us(run->now, AGT_REPEAT_US));
    }
    const struct msg_record *r = &a->order.record;
    if (agt_order_is_in_force(a) && agt_goal_of(a) != AGT_GOAL_REFUSED && r->epoch > 0 &&
        !agt_holds(a) && a->is_gone_seen && a->guard.tree == GUARD_TREE_GONE &&
        base_name_equal(&r->holder, &a->config.member) && r->holder_instance != a->guard.instance &&
        r->epoch > a->guard.epoch_handed_back) {
        agt_hand_back(run, r->epoch);
    }
}

static void dispatch(struct agt_run *run, enum agt_action action)
{
    static void (*const actions[AGT_DO_COUNT])(struct agt_run *) = {
        [AGT_DO_INIT] = agt_do_init,
        [AGT_DO_START_HOLDER] = agt_do_start_holder,
        [AGT_DO_WATCH_START] = agt_do_watch_start,
        [AGT_DO_PROMOTE] = agt_do_promote,
        [AGT_DO_OPEN] = agt_do_open,
        [AGT_DO_CLIENTS_OUT] = agt_do_clients_out,
        [AGT_DO_SETTLE] = agt_do_settle,
        [AGT_DO_HAND_BACK] = agt_do_hand_back,
        [AGT_DO_RESIGN] = agt_do_resign,
        [AGT_DO_HAND_OVER] = agt_do_hand_over,
        [AGT_DO_STOP] = agt_do_stop,
        [AGT_DO_KILL] = agt_kill,
        [AGT_DO_CLONE] = agt_do_clone,
        [AGT_DO_REJOIN] = agt_do_rejoin,
        [AGT_DO_FOLLOW] = agt_do_follow,
        [AGT_DO_DETACH] = agt_do_detach,
        [AGT_DO_START_VOTER] = agt_do_start_voter,
    };
    if (actions[action] != NULL) {
        actions[action](run);
    }
}

/* The agent may see it before the arbiter does. */
static const char *refusal_of(const struct agt *a)
{
    return agt_has_foreign_system(a)
               ? "the data directory belongs to another cluster (system identifier)"
               : a->order.reason.text;
}

static void act(struct agt_run *run)
{
    struct agt *a = run->a;
    enum agt_state state = agt_state_of(a, run->now);
    enum agt_goal goal = agt_goal_of(a);
    const struct agt_row *row = agt_table_row(state, goal);
    if (state != a->state || goal != a->goal) {
        bool is_refused = goal == AGT_GOAL_REFUSED; /* then the reason is what matters */
        agt_fx_log(run, is_refused ? row->sentence : agt_state_text(state),
                   is_refused ? refusal_of(a) : row->sentence);
    }
    a->state = state;
    a->goal = goal;
    /* A stop once asked takes its course, whatever is wanted now. */
    if (a->stop.is_asked && !a->stop.is_killed && a->guard.tree == GUARD_TREE_RUNNING &&
        row->action != AGT_DO_KILL) {
        agt_do_stop(run);
        return;
    }
    dispatch(run, row->action);
}

static void save(struct agt_run *run)
{
    struct agt *a = run->a;
    if (a->is_saving || agt_disk_equal(&a->want, &a->disk)) {
        return;
    }
    if (base_mono_before(run->now, a->save_retry_at)) {
        agt_wake_at(run, a->save_retry_at);
        return;
    }
    a->saving = a->want;
    a->is_saving = true;
    agt_fx_add(run, AGT_FX_SAVE);
}

static int64_t heartbeat_us(const struct agt *a)
{
    uint32_t ms = a->has_order ? a->order.record.heartbeat_ms : 0;
    ms = ms > 0 ? ms : a->config.seed_heartbeat_ms;
    return (int64_t)(ms > 0 ? ms : LEASE_HEARTBEAT_DEFAULT_MS) * BASE_US_PER_MS;
}

/* Once a heartbeat; at once when something changed that matters, at most one such in 10 ms. */
static void report(struct agt_run *run)
{
    struct agt *a = run->a;
    uint32_t digest = agt_report_digest(a, run->now);
    a->is_report_urgent = a->is_report_urgent || digest != a->digest;
    a->digest = digest;
    struct base_mono urgent_at = base_mono_add_us(a->reported_at, AGT_EXTRA_REPORT_US);
    bool is_due = !base_mono_before(run->now, a->heartbeat_at);
    if (is_due || (a->is_report_urgent && !base_mono_before(run->now, urgent_at))) {
        agt_fx_add(run, AGT_FX_REPORT);
        a->reported_at = run->now;
        a->is_report_urgent = false;
        if (is_due) {
            a->heartbeat_at = base_mono_add_us(a->heartbeat_at, heartbeat_us(a));
            if (!base_mono_before(run->now, a->heartbeat_at)) {
                a->heartbeat_at = base_mono_add_us(run->now, heartbeat_us(a));
            }
        }
    }
    if (a->is_report_urgent) {
        agt_wake_at(run, urgent_at);
    }
    agt_wake_at(run, base_mono_max(a->heartbeat_at, base_mono_add_us(run->now, 1)));
}

/* The moments at which what we say of ourselves changes without an event. */
static void wake_for_deadlines(struct agt_run *run)
{
    struct agt *a = run->a;
    if (agt_is_lease_ahead(a, run->now)) {
        agt_wake_at(run, a->guard.deadline);
    }
    if (a->has_answered && !a->view.is_answering) {
        struct base_mono until = base_mono_add_us(a->answered_at, agt_ttl_us(a));
        if (base_mono_before(run->now, until)) {
            agt_wake_at(run, until);
        }
    }
}

void agt_step(struct agt *agent, const struct agt_event *event, struct agt_effects *ret_effects)
{
    BASE_ASSERT(agent->magic == AGT_MAGIC);
    struct agt_run run = {.a = agent, .now = event->now, .fx = ret_effects};
    ret_effects->count = 0;
    ret_effects->logs_count = 0;
    ret_effects->wake = BASE_MONO_NEVER;
    bool was_clone_needed = agent->want.is_clone_needed;
    event_take(&run, event);
    fence(&run);
    agt_grant_apply(&run);
    agt_judge_directory(&run);
    act(&run);
    save(&run);
    report(&run);
    wake_for_deadlines(&run);
    if (was_clone_needed != agent->want.is_clone_needed) {
        agt_wake_at(&run, run.now);
    }
    agent->wake = ret_effects->wake;
    BASE_ASSERT_SLOW(agt_check(agent));
}

bool agt_check(const struct agt *a)
{
    bool ok = a->disk.epoch_seen <= a->want.epoch_seen;
    ok = ok && BASE_IMPLIES(a->is_saving, a->saving.epoch_seen <= a->want.epoch_seen);
    ok = ok && BASE_IMPLIES(a->is_sync_in_force, a->guard.tree != GUARD_TREE_GONE);
    ok = ok && BASE_IMPLIES(a->is_open_ready, a->guard.tree != GUARD_TREE_GONE);
    ok = ok && BASE_IMPLIES(a->has_order, a->order.record.epoch <= a->want.epoch_seen);
    ok = ok && a->view.standbys_count <= MSG_MEMBERS_MAX;
    return ok;
}
