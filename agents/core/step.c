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
    agent->lease_least_us = INT64_MAX;
    agent->disarm_asked_at = BASE_MONO_LONG_AGO;
    agent->galera.tick_at = BASE_MONO_LONG_AGO;
    agent->galera.paused_at = BASE_MONO_LONG_AGO;
    agent->galera.fence_since = BASE_MONO_NEVER;
    agent->galera.stop_wanted = BASE_MONO_NEVER;
    agent->galera.fenced_at = BASE_MONO_LONG_AGO;
    agent->galera.root_seen_at = now;
    agent->view.galera.causal_at = BASE_MONO_LONG_AGO;
    agent->view.galera.asked_at = BASE_MONO_LONG_AGO;
    agt_mongodb_init(agent, now);
    agent->arm_latest = BASE_MONO_LONG_AGO;
    agent->barred_until = BASE_MONO_LONG_AGO;
    agent->cascade_since = BASE_MONO_NEVER;
    agt_failsafe_start(agent, now);
    agt_lease_init(&agent->lease, config->session);
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
        agt_on_order(run, event->order);
        return;
    case AGT_EVENT_GUARD:
        agt_on_guard(run, event->guard);
        return;
    case AGT_EVENT_VIEW:
        agt_on_view(run, event->view);
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
    case AGT_EVENT_CONFIG:
        run->a->config_at_hand = event->revision;
        return;
    case AGT_EVENT_FAILSAFE_ASKED:
        agt_failsafe_asked(run, event->ask);
        return;
    case AGT_EVENT_FAILSAFE_ANSWER:
        agt_failsafe_answered(run, event->answer);
        return;
    }
    BASE_UNREACHABLE();
}

/* A new guard that sees nothing left of its predecessor hands back for it. */
static void hand_back_for_former(struct agt_run *run)
{
    struct agt *a = run->a;
    const struct msg_record *r = &a->order.record;
    if (agt_order_is_in_force(a) && agt_goal_of(a) != AGT_GOAL_REFUSED && r->epoch > 0 &&
        !agt_holds(a) && a->is_gone_seen && a->guard.tree == GUARD_TREE_GONE && !agt_is_paused(a) &&
        base_name_equal(&r->holder, &a->config.member) && r->holder_instance != a->guard.instance &&
        r->epoch > a->guard.epoch_handed_back) {
        agt_hand_back(run, r->epoch);
    }
}

/* What does not wait for the table or the disk: a higher epoch ends the one that is held, now. */
static void fence(struct agt_run *run)
{
    struct agt *a = run->a;
    if (!a->has_guard) {
        return;
    }
    if (agt_is_undying(a, run->now)) {
        a->is_handback_wanted = true; /* and told as held by nobody: the lease runs out */
    } else {
        agt_wake_at(run, agt_undying_from(a));
    }
    bool is_over = agt_holds(a) && a->guard.epoch < agt_epoch_known(a);
    if (is_over && a->guard.tree != GUARD_TREE_GONE && !agt_is_carried_over(a)) {
        if (!a->stop.is_killed) {
            agt_fx_log(run, "a higher epoch exists: ends the database at once", NULL);
        }
        agt_kill(run);
        agt_wake_at(run, base_mono_add_us(run->now, AGT_REPEAT_US));
    }
    hand_back_for_former(run);
}

static void dispatch(struct agt_run *run, enum agt_action action)
{
    static void (*const actions[AGT_DO_COUNT])(struct agt_run *) = {
        [AGT_DO_INIT] = agt_do_init,
        [AGT_DO_START_HOLDER] = agt_do_start_holder,
        [AGT_DO_AWAIT_GRANT] = agt_do_await_grant,
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
        [AGT_DO_STAY] = agt_do_stay,
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
    if (!agt_work(run, state, goal)) {
        dispatch(run, row->action);
    }
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

int64_t agt_heartbeat_us(const struct agt *a)
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
            a->heartbeat_at = base_mono_add_us(a->heartbeat_at, agt_heartbeat_us(a));
            if (!base_mono_before(run->now, a->heartbeat_at)) {
                a->heartbeat_at = base_mono_add_us(run->now, agt_heartbeat_us(a));
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

/* Of an engine whose replication is ours. */
static void step_own(struct agt_run *run)
{
    fence(run);
    agt_grant_apply(run);
    agt_pause_step(run);
    agt_failsafe_step(run);
    agt_upstream_step(run);
    agt_judge_directory(run);
    act(run);
}

void agt_galera_turn(struct agt_run *run)
{
    if (run->a->has_guard) {
        hand_back_for_former(run);
    }
    agt_grant_apply(run);
    agt_pause_step(run);
    agt_galera_step(run);
}

void agt_step(struct agt *agent, const struct agt_event *event, struct agt_effects *ret_effects)
{
    BASE_ASSERT(agent->magic == AGT_MAGIC);
    struct agt_run run = {.a = agent, .now = event->now, .fx = ret_effects};
    ret_effects->count = 0;
    ret_effects->logs_count = 0;
    ret_effects->wake = BASE_MONO_NEVER;
    bool was_clone_needed = agent->want.is_clone_needed;
    agent->failsafe.is_bound = base_mono_before(run.now, agent->failsafe.bound_until);
    const struct agt_engine *engine = agt_engine(agent);
    if (engine != NULL) {
        engine->tick(&run);
    }
    event_take(&run, event);
    if (engine != NULL) {
        engine->step(&run);
    } else {
        step_own(&run);
    }
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
