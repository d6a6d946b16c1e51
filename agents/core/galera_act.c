/* SPDX-License-Identifier: Apache-2.0 */
/* A Galera member: the table's actions, as small steps that are repeated until the facts say that
 * they are done. The writer's right comes first (galera_role.c). */
#include <string.h>

#include "agents/core/internal.h"
#include "base/canary.h"

/* A server that waits for a component does not listen; one that flushes takes its time. */
#define STOP_LIMIT_US (INT64_C(900) * BASE_US_PER_S)
#define STOP_LOOK_US (INT64_C(1500) * BASE_US_PER_MS)
#define DAMAGED_AGAIN_US (INT64_C(60) * BASE_US_PER_S)
#define STOP_LIMIT_CLOSED_US (INT64_C(10) * BASE_US_PER_S)

static int64_t stop_limit_us(const struct agt *a, enum agt_galera_state state)
{
    /* One that has left the component to stop is non-Primary, too, and flushes. */
    bool may_be_deaf = !a->has_answered || (state == AGT_GALERA_NONPRIM && !a->want.galera.is_left);
    return may_be_deaf ? STOP_LIMIT_CLOSED_US : STOP_LIMIT_US;
}

/* With whom it was when it left is what a later recovery counts with: looked at once more, right
 * before. */
static bool is_looked_at(struct agt_run *run)
{
    struct agt *a = run->a;
    struct agt_galera *g = &a->galera;
    const struct db_galera_view *v = &a->view.galera;
    if (g->stop_wanted.us == BASE_MONO_NEVER.us) {
        g->stop_wanted = run->now;
    }
    struct base_mono until = base_mono_add_us(g->stop_wanted, STOP_LOOK_US);
    bool is_seen = !base_mono_before(v->asked_at, g->stop_wanted) && v->view.conf_id == v->conf_id;
    if (is_seen || !v->is_primary || !a->has_answered || !base_mono_before(run->now, until)) {
        return true;
    }
    agt_wake_at(run, until);
    return false;
}

void agt_galera_stop(struct agt_run *run)
{
    struct agt *a = run->a;
    struct agt_stop *stop = &a->stop;
    if (a->guard.tree != GUARD_TREE_RUNNING || stop->is_killed) {
        return;
    }
    if (!stop->is_asked && !is_looked_at(run)) {
        return;
    }
    if (!stop->is_asked) {
        *stop = (struct agt_stop){.is_asked = true, .since = run->now};
        a->want.galera.is_left =
            a->has_answered && a->view.is_answering && a->view.galera.is_primary;
        agt_fx_add(run, AGT_FX_GUARD_SIGNAL)->number = AGT_SIGNAL_TERM;
    }
    int64_t limit_us = stop_limit_us(a, agt_galera_state_of(a, run->now));
    struct base_mono kill_at = base_mono_add_us(stop->since, limit_us);
    if (!base_mono_before(run->now, kill_at)) {
        agt_fx_log(run, "the server does not stop in order, ends it", NULL);
        agt_kill(run);
    } else {
        agt_wake_at(run, kill_at);
    }
}

static void want(struct agt_run *run, enum db_order_kind kind)
{
    struct db_order order = agt_order_make(run->a, kind);
    order.epoch = 0;
    agt_want_order(run, &order);
}

static void fence(struct agt_run *run)
{
    struct agt *a = run->a;
    if (!a->view.is_answering || (a->view.galera.is_rejecting && a->view.galera.is_read_only)) {
        return;
    }
    if (!a->galera.is_fenced) {
        want(run, DB_ORDER_GALERA_FENCE);
    }
}

/* The generation that the component carries on is its own from now on. */
static void stamp(struct agt *a)
{
    const struct msg_galera_record *r = &a->order.record.galera;
    bool is_of_record = memcmp(r->uuid, a->view.galera.uuid, sizeof(r->uuid)) == 0;
    if (agt_order_is_in_force(a) && a->order.galera_goal == MSG_GALERA_GOAL_JOIN && is_of_record &&
        r->generation > a->want.galera.generation) {
        a->want.galera.generation = r->generation;
        memcpy(a->want.galera.uuid, r->uuid, sizeof(r->uuid));
    }
}

/* Since the last pause nothing has been proven: sessions are cut and kept out until it is. */
static bool is_in_doubt(const struct agt *a)
{
    const struct db_galera_view *g = &a->view.galera;
    return base_mono_before(g->causal_at, a->galera.paused_at) ||
           base_mono_before(g->asked_at, a->galera.paused_at);
}

/* Without a right. One that was taken over writes on until the first record names the writer, also
 * while that record is being saved, and its holder until the first grant comes. */
static bool is_writing_unasked(const struct agt *a)
{
    bool is_settling = a->disk.epoch_seen != a->want.epoch_seen;
    bool is_spared = agt_is_taken_over(a) && (agt_is_holder(a) || is_settling);
    return a->galera.writable_views >= AGT_ROGUE_VIEWS && !agt_holds(a) && !is_spared;
}

static void serve(struct agt_run *run, enum agt_galera_state state)
{
    struct agt *a = run->a;
    const struct db_galera_view *g = &a->view.galera;
    stamp(a);
    if (is_in_doubt(a) && a->galera.paused_at.us != BASE_MONO_LONG_AGO.us) {
        bool is_since = !base_mono_before(a->galera.fenced_at, a->galera.paused_at);
        if (!is_since || !a->galera.is_fenced) {
            want(run, DB_ORDER_GALERA_FENCE);
        }
        return;
    }
    if (g->causal_at.us == BASE_MONO_LONG_AGO.us || a->view.orders_done < a->galera.settled_order) {
        return;
    }
    if (g->is_rejecting || a->galera.is_fenced) {
        want(run, DB_ORDER_GALERA_UNFENCE);
    } else if (is_writing_unasked(a)) {
        want(run, DB_ORDER_GALERA_DEMOTE);
    } else if (a->order.galera_weight != 0 && agt_order_is_in_force(a) &&
               a->order.galera_weight != g->weight && state == AGT_GALERA_SYNCED) {
        struct db_order order = agt_order_make(a, DB_ORDER_GALERA_WEIGHT);
        order.epoch = 0;
        order.galera.weight = a->order.galera_weight;
        agt_want_order(run, &order);
    }
}

/* In the component with data of another generation, or because an operator wants them anew. */
static void leave(struct agt_run *run, enum agt_galera_state state)
{
    struct agt *a = run->a;
    const struct msg_task *t = agt_task_of(a, MSG_TASK_REINIT);
    bool is_other = a->want.galera.generation != a->order.record.galera.generation;
    if (t != NULL && agt_galera_task_begin(run, t) && agt_is_former_root(a)) {
        agt_galera_stop(run);
    } else if (t == NULL && is_other) {
        agt_galera_stop(run);
    } else {
        serve(run, state);
    }
}

static void restart(struct agt_run *run, enum agt_galera_state state)
{
    const struct msg_task *t = agt_task_of(run->a, MSG_TASK_RESTART);
    if (t != NULL && agt_galera_task_begin(run, t) && agt_is_former_root(run->a)) {
        agt_galera_stop(run);
    } else if (t == NULL) {
        serve(run, state);
    }
}

/* Only what was not started by the grant is ended for it. */
static void watch(struct agt_run *run, enum agt_galera_state state)
{
    if (state == AGT_GALERA_WAITING && !agt_galera_is_granted_root(run->a)) {
        agt_kill(run);
    }
}

/* Data that were found damaged are not read again soon: whoever decides on them comes first. */
static void recover(struct agt_run *run, enum agt_galera_state state)
{
    struct base_mono again = base_mono_add_us(run->a->galera.damaged_at, DAMAGED_AGAIN_US);
    if (agt_galera_is_damaged(run->a, state) && base_mono_before(run->now, again)) {
        agt_wake_at(run, again);
        return;
    }
    want(run, DB_ORDER_GALERA_RECOVER);
}

static void act(struct agt_run *run, enum agt_galera_state state, enum agt_galera_action action)
{
    switch (action) {
    case AGT_GALERA_DO_WAIT:
    case AGT_GALERA_DO_REST:
    case AGT_GALERA_DO_COUNT:
        return;
    case AGT_GALERA_DO_RECOVER:
        recover(run, state);
        return;
    case AGT_GALERA_DO_JOIN:
        agt_galera_join(run, true);
        return;
    case AGT_GALERA_DO_TRANSFER:
        agt_galera_join(run, false);
        return;
    case AGT_GALERA_DO_BOOTSTRAP:
    case AGT_GALERA_DO_BOOTSTRAP_LIVE:
        agt_galera_bootstrap(run, state);
        return;
    case AGT_GALERA_DO_WATCH:
        watch(run, state);
        return;
    case AGT_GALERA_DO_SERVE:
        serve(run, state);
        return;
    case AGT_GALERA_DO_FENCE:
        fence(run);
        return;
    case AGT_GALERA_DO_CLEAR:
        want(run, DB_ORDER_GALERA_CLEAR);
        return;
    case AGT_GALERA_DO_LEAVE:
        leave(run, state);
        return;
    case AGT_GALERA_DO_RESTART:
        restart(run, state);
        return;
    case AGT_GALERA_DO_STOP:
        agt_galera_stop(run);
        return;
    case AGT_GALERA_DO_KILL:
        agt_kill(run);
        return;
    }
    BASE_UNREACHABLE();
}

static void note_change(struct agt_run *run, enum agt_galera_state state, enum agt_galera_goal goal)
{
    struct agt *a = run->a;
    enum agt_galera_action action = agt_galera_table_action(state, goal);
    bool is_refused = goal == AGT_GALERA_GOAL_REFUSED;
    bool is_news = state != a->galera.state ||
                   action != agt_galera_table_action(a->galera.state, a->galera.goal) ||
                   is_refused != (a->galera.goal == AGT_GALERA_GOAL_REFUSED);
    a->galera.state = state;
    a->galera.goal = goal;
    if (is_news) {
        agt_fx_log(run, agt_galera_state_text(state),
                   is_refused ? a->order.reason.text : agt_galera_action_text(action));
    }
}

/* Taken from the record whatever the goal is: nobody bootstraps or starts below it from now on. */
static void inhibit_take(struct agt *a)
{
    if (agt_order_is_in_force(a) && a->order.record.galera.inhibit > a->want.galera.inhibit) {
        a->want.galera.inhibit = a->order.record.galera.inhibit;
    }
}

/* Cut off with its host: others may go on without it in a new generation, and a server that merges
 * into that by itself has a history nobody has looked at: only a transfer of everything would do.
 * Down, with a proven position, it comes back by what it lacks; it is started under a word of now
 * alone (galera_facts.c), and what was started just before the words ended waits for no component.
 * True: it has been seen to. */
static bool is_alone(struct agt_run *run, enum agt_galera_state state, enum agt_galera_goal goal)
{
    struct agt *a = run->a;
    bool is_closed = state == AGT_GALERA_STARTING || state == AGT_GALERA_WAITING;
    if (!a->galera.is_unheard || goal == AGT_GALERA_GOAL_PAUSED) {
        return false;
    }
    if (state == AGT_GALERA_NONPRIM) {
        agt_galera_stop(run);
        return true;
    }
    if (is_closed && !agt_galera_is_granted_root(a) && !CANARY(GALERA_STARTS_UNHEARD)) {
        agt_kill(run);
        return true;
    }
    return false;
}

static void hear(struct agt *a, struct base_mono now)
{
    struct base_mono until = base_mono_add_us(a->order_at, AGT_GALERA_ALONE_US);
    a->galera.is_unheard = a->has_order && !base_mono_before(now, until);
}

void agt_galera_step(struct agt_run *run)
{
    struct agt *a = run->a;
    inhibit_take(a);
    agt_wake_at(run, base_mono_add_us(run->now, AGT_GALERA_TICK_US));
    if (!a->has_guard || !a->has_view) {
        return;
    }
    hear(a, run->now);
    enum agt_galera_state state = agt_galera_state_of(a, run->now);
    enum agt_galera_goal goal = agt_galera_goal_of(a);
    note_change(run, state, goal);
    agt_galera_grant_watch(run, state);
    bool is_role = agt_galera_role(run, state);
    if (goal != AGT_GALERA_GOAL_PAUSED) {
        agt_galera_tasks(run, state);
    }
    if (is_role) {
        return;
    }
    bool is_stopping =
        a->stop.is_asked && !a->stop.is_killed && a->guard.tree == GUARD_TREE_RUNNING;
    if (is_stopping) {
        agt_galera_stop(run); /* a stop once asked takes its course */
        return;
    }
    if (is_alone(run, state, goal)) {
        return;
    }
    act(run, state, agt_galera_table_action(state, goal));
}
