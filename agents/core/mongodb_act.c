/* SPDX-License-Identifier: Apache-2.0 */
/* A MongoDB member: the table's actions, as small steps that are repeated until the facts say that
 * they are done; and one step of all. A watched server is nobody's to start, stop or end here. */
#include "agents/core/mongodb_internal.h"
#include "base/canary.h"

#define SHUTDOWN_US (INT64_C(15) * BASE_US_PER_S) /* of the command, a hand-over included */
#define EXIT_US (INT64_C(60) * BASE_US_PER_S)     /* from its reply to the process's end */
#define KILL_US (INT64_C(600) * BASE_US_PER_S) /* from SIGTERM; one that flushes takes its time */
#define KILL_HUNG_US (INT64_C(30) * BASE_US_PER_S)

/* --- stopping: the command, SIGTERM, the guard --- */

static bool is_hung(const struct agt *a, struct base_mono now)
{
    return agt_mongodb_state_of(a, now) == AGT_MONGODB_HUNG || !a->has_answered;
}

/* True while it may work, or has worked and the process is on its way out. */
static bool is_shutdown_tried(struct agt_run *run)
{
    struct agt *a = run->a;
    struct agt_mongodb *m = &a->mongodb;
    if (m->is_shutdown_failed || is_hung(a, run->now)) {
        return false;
    }
    if (m->shutdown_at.us == BASE_MONO_LONG_AGO.us) {
        m->shutdown_at = run->now;
    }
    struct base_mono until = base_mono_add_us(m->shutdown_at, SHUTDOWN_US + EXIT_US);
    if (!base_mono_before(run->now, until)) {
        return false;
    }
    agt_wake_at(run, until);
    struct db_order order = agt_order_make(a, DB_ORDER_MONGODB_SHUTDOWN);
    order.epoch = 0;
    order.timeout_us = SHUTDOWN_US;
    order.mongodb.catch_up_s = (uint32_t)(SHUTDOWN_US / BASE_US_PER_S) - 5;
    if (m->shutdown_id == 0) {
        uint64_t before = a->task.id;
        agt_want_order(run, &order);
        m->shutdown_id = a->task.id != before ? a->task.id : 0;
    }
    return true;
}

static void stop_by_signal(struct agt_run *run)
{
    struct agt *a = run->a;
    struct agt_stop *stop = &a->stop;
    if (!stop->is_asked) {
        *stop = (struct agt_stop){.is_asked = true, .since = run->now};
        agt_fx_add(run, AGT_FX_GUARD_SIGNAL)->number = AGT_SIGNAL_TERM;
    }
    int64_t limit_us = is_hung(a, run->now) ? KILL_HUNG_US : KILL_US;
    struct base_mono kill_at = base_mono_add_us(stop->since, limit_us);
    if (!base_mono_before(run->now, kill_at)) {
        agt_fx_log(run, "mongod does not stop in order, ends it", NULL);
        agt_kill(run);
        return;
    }
    agt_wake_at(run, kill_at);
}

/* `is_polite`: not against a server that finds nobody to take over. True: it is being stopped. */
static bool stop(struct agt_run *run, bool is_polite)
{
    struct agt *a = run->a;
    if (a->guard.tree != GUARD_TREE_RUNNING || a->stop.is_killed || agt_mongodb_is_watched(a)) {
        return true;
    }
    if (a->stop.is_asked) {
        stop_by_signal(run);
        return true;
    }
    if (is_shutdown_tried(run)) {
        return true;
    }
    if (is_polite && a->view.mongodb.hello.is_writable && !is_hung(a, run->now)) {
        return false;
    }
    stop_by_signal(run);
    return true;
}

/* A primary that nobody can take over from goes on: the order fails, and nothing is cut off. */
static void stop_for_order(struct agt_run *run)
{
    if (!stop(run, true)) {
        run->a->mongodb.shutdown_at = BASE_MONO_LONG_AGO;
        run->a->mongodb.shutdown_id = 0;
        run->a->mongodb.is_shutdown_failed = false;
        agt_mongodb_order_end(run, BASE_E_STATE, run->a->mongodb.shutdown_code);
    }
}

/* --- starting --- */

static void start(struct agt_run *run)
{
    struct agt *a = run->a;
    if (agt_mongodb_is_watched(a)) {
        return;
    }
    const struct agt_mongodb_disk *d = &a->disk.mongodb;
    if ((d->barred_epoch != 0 && !CANARY(MONGODB_BARRED_STARTED)) || d->is_held) {
        return; /* that it may run again is on disk first */
    }
    if (base_mono_before(run->now, a->mongodb.start_at)) {
        agt_wake_at(run, a->mongodb.start_at);
        return;
    }
    agt_start(run);
}

static void wipe(struct agt_run *run)
{
    struct agt *a = run->a;
    struct db_order order = agt_order_make(a, DB_ORDER_MONGODB_WIPE);
    order.epoch = a->disk.mongodb.order_epoch;
    if (!a->want.mongodb.is_wiped) {
        agt_want_order(run, &order);
    }
}

/* What was barred stays so over restarts of the agent, before anything is stopped for it. */
static void stop_barred(struct agt_run *run)
{
    struct agt *a = run->a;
    if (a->disk.mongodb.barred_epoch != 0) {
        (void)stop(run, false);
    }
}

static void bar_take(struct agt_run *run)
{
    struct agt *a = run->a;
    const struct msg_mongodb_record *r = &a->order.record.mongodb;
    bool is_told = agt_order_is_in_force(a) && a->order.mongodb.goal == MSG_MONGODB_GOAL_BAR;
    bool is_empty = a->guard.tree == GUARD_TREE_GONE && a->is_gone_seen && !a->view.has_directory;
    uint64_t epoch = r->barred_epoch > 0 ? r->barred_epoch : a->order.record.epoch;
    if (is_told && a->has_view && !is_empty && epoch > a->want.mongodb.barred_epoch) {
        a->want.mongodb.barred_epoch = epoch;
        agt_fx_log(run, "was left out of its set by force: barred until its data are gone", NULL);
    }
}

static void act(struct agt_run *run, enum agt_mongodb_action action, enum agt_mongodb_goal goal)
{
    switch (action) {
    case AGT_MONGODB_DO_WAIT:
    case AGT_MONGODB_DO_REST:
    case AGT_MONGODB_DO_REST_HELD:
    case AGT_MONGODB_DO_REST_BARRED:
    case AGT_MONGODB_DO_SERVE:
    case AGT_MONGODB_DO_COUNT:
        return;
    case AGT_MONGODB_DO_START:
        if (goal == AGT_MONGODB_GOAL_RESYNC) {
            run->a->want.mongodb.is_wiped = true; /* on disk, it is started by another goal */
        } else {
            start(run);
        }
        return;
    case AGT_MONGODB_DO_STOP:
        (void)stop(run, false);
        return;
    case AGT_MONGODB_DO_STOP_BARRED:
        stop_barred(run);
        return;
    case AGT_MONGODB_DO_RESTART:
    case AGT_MONGODB_DO_EMPTY:
        stop_for_order(run);
        return;
    case AGT_MONGODB_DO_WIPE:
        wipe(run);
        return;
    case AGT_MONGODB_DO_KILL:
        if (!agt_mongodb_is_watched(run->a)) {
            agt_kill(run);
        }
        return;
    }
    BASE_UNREACHABLE();
}

static void note_change(struct agt_run *run, enum agt_mongodb_state state,
                        enum agt_mongodb_goal goal)
{
    struct agt_mongodb *m = &run->a->mongodb;
    enum agt_mongodb_action action = agt_mongodb_table_action(state, goal);
    bool is_refused = goal == AGT_MONGODB_GOAL_REFUSED;
    bool is_news = state != m->state || action != agt_mongodb_table_action(m->state, m->goal) ||
                   is_refused != (m->goal == AGT_MONGODB_GOAL_REFUSED);
    m->state = state;
    m->goal = goal;
    if (is_news) {
        agt_fx_log(run, agt_mongodb_state_text(state),
                   is_refused ? run->a->order.reason.text : agt_mongodb_doing(run->a, state, goal));
    }
}

/* What the last order says counts from the sending of the report that it answers: on its way it may
 * have been slow. */
static void order_watch(struct agt_run *run)
{
    struct agt *a = run->a;
    struct agt_mongodb *m = &a->mongodb;
    if (!a->has_order || a->order_at.us == m->taken_at.us) {
        return;
    }
    struct base_mono sent;
    m->taken_at = a->order_at;
    m->told_at = agt_lease_sent_at(&a->lease, a->order.number, &sent) ? sent : BASE_MONO_LONG_AGO;
}

/* Held down, and it runs: somebody has lifted that, or the kill was called off. */
static void held_watch(struct agt *a, enum agt_mongodb_state state, enum agt_mongodb_goal goal)
{
    bool is_under_way = a->mongodb.ladder.step == AGT_MONGODB_STEP_KILL || a->stop.is_killed ||
                        goal == AGT_MONGODB_GOAL_KILL;
    const struct msg_mongodb_order *o = agt_mongodb_order(a);
    bool is_ordered = o != NULL && o->kind == MSG_MONGODB_ORDER_KILL;
    if (a->guard.tree == GUARD_TREE_RUNNING && state != AGT_MONGODB_BLIND && !is_under_way &&
        !is_ordered) {
        a->want.mongodb.is_held = false;
    }
}

void agt_mongodb_step(struct agt_run *run)
{
    struct agt *a = run->a;
    order_watch(run);
    agt_pause_step(run);
    agt_wake_at(run, base_mono_add_us(run->now, AGT_MONGODB_TICK_US));
    if (!a->has_guard || !a->has_view) {
        return;
    }
    enum agt_mongodb_state state = agt_mongodb_state_of(a, run->now);
    bar_take(run);
    bool is_quiet = agt_is_paused(a) || a->is_shutdown;
    bool is_taken = agt_mongodb_ladder(run);
    if (!is_quiet && !is_taken) {
        agt_mongodb_orders(run, state);
        agt_mongodb_tasks(run);
    }
    enum agt_mongodb_goal goal = agt_mongodb_goal_of(a);
    note_change(run, state, goal);
    held_watch(a, state, goal);
    if (is_taken) {
        return;
    }
    bool is_stopping =
        a->stop.is_asked && !a->stop.is_killed && a->guard.tree == GUARD_TREE_RUNNING;
    if (is_stopping && goal != AGT_MONGODB_GOAL_PAUSED) {
        (void)stop(run, false); /* a stop once asked takes its course */
        return;
    }
    act(run, agt_mongodb_table_action(state, goal), goal);
}
