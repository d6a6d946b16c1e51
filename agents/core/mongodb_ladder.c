/* SPDX-License-Identifier: Apache-2.0 */
/* What a MongoDB member's agent does by itself, and only where the record has opted in.
 *
 * A primary that is cut off: three samples of its own status, a second apart, count fewer live
 * voters than a majority, and the arbiter is silent too. The arbiter's silence alone is nothing:
 * MongoDB's own majority is what counts. A primary that is gray: hello says writable, and the
 * canary's writes do not come through; heartbeats are answered from memory, so that its set does
 * not see it. Steps of 5 s: polite step-down, forced, and the guard; each is taken again only after
 * half a minute.
 */
#include "agents/core/mongodb_internal.h"
#include "base/canary.h"

#define STEP_US (5 * BASE_US_PER_S)
#define AGAIN_US (INT64_C(30) * BASE_US_PER_S)
#define CUT_SAMPLES 3
#define CUT_STEP_DOWN_S 30u
#define GRAY_STEP_DOWN_S 60u

/* --- cut off --- */

static bool is_sampled_cut_off(const struct agt *a, struct base_mono now)
{
    const struct db_mongodb_view *v = &a->view.mongodb;
    bool is_seen = agt_mongodb_has_hello(a, now, AGT_MONGODB_EVIDENCE_US) && v->hello.is_writable;
    bool is_few = agt_mongodb_has_status(a, now) && agt_mongodb_has_config(a) &&
                  agt_mongodb_live_voters(a, now) < agt_mongodb_majority(a);
    return is_seen && agt_mongodb_is_control_lost(a, now) &&
           (is_few || CANARY(MONGODB_ACTS_ON_LOST_CONTROL));
}

/* One sample for each status that was asked for a second after the last. */
void agt_mongodb_sample(struct agt_run *run)
{
    struct agt *a = run->a;
    struct agt_mongodb_ladder *l = &a->mongodb.ladder;
    if (!is_sampled_cut_off(a, run->now)) {
        l->cut_samples = 0;
        return;
    }
    struct base_mono asked_at = a->view.mongodb.status.at;
    bool is_next = base_mono_diff_us(asked_at, l->cut_at) >= BASE_US_PER_S;
    if (l->cut_samples == 0 || is_next) {
        l->cut_samples = (uint8_t)(l->cut_samples < CUT_SAMPLES ? l->cut_samples + 1 : CUT_SAMPLES);
        l->cut_at = asked_at;
    }
}

static bool is_cut_off(const struct agt *a, struct base_mono now)
{
    return a->mongodb.ladder.cut_samples >= CUT_SAMPLES && is_sampled_cut_off(a, now);
}

/* --- the steps --- */

static void step_set(struct agt_run *run, enum agt_mongodb_step step)
{
    struct agt_mongodb_ladder *l = &run->a->mongodb.ladder;
    l->step = step;
    l->step_at = run->now;
    l->step_id = 0;
}

static void ladder_leave(struct agt_run *run)
{
    struct agt *a = run->a;
    struct agt_mongodb_ladder *l = &a->mongodb.ladder;
    bool is_kept = a->stop.is_killed; /* of what was killed the end is awaited */
    if (l->step == AGT_MONGODB_STEP_KILL && !is_kept) {
        a->want.mongodb.is_held = false;
    }
    if (!is_kept) {
        step_set(run, AGT_MONGODB_STEP_NONE);
        l->is_told_cut_off = l->is_told_gray = false;
    }
}

static void tell(struct agt_run *run, bool *is_told, const char *what, const char *detail)
{
    if (!*is_told) {
        agt_fx_log(run, what, detail);
        *is_told = true;
    }
}

static void step_down(struct agt_run *run, uint32_t seconds, bool is_forced)
{
    struct agt *a = run->a;
    struct agt_mongodb_ladder *l = &a->mongodb.ladder;
    struct db_order order = agt_order_make(a, DB_ORDER_MONGODB_STEP_DOWN);
    order.epoch = 0; /* nobody's order: the opt-in's */
    order.timeout_us = STEP_US;
    order.mongodb.expected_term = agt_mongodb_term(a);
    order.mongodb.is_forced = is_forced;
    order.mongodb.seconds = seconds;
    order.mongodb.catch_up_s = is_forced ? 0 : (uint32_t)(STEP_US / BASE_US_PER_S) - 1;
    if (l->step_id != 0) {
        return; /* once for each step */
    }
    uint64_t before = a->task.id;
    a->failure.kind = a->failure.kind == order.kind ? DB_ORDER_NONE : a->failure.kind;
    agt_want_order(run, &order);
    l->step_id = a->task.id != before ? a->task.id : 0;
}

/* It has had its time, and hello says writable still. */
static bool is_step_spent(struct agt_run *run)
{
    const struct agt_mongodb_ladder *l = &run->a->mongodb.ladder;
    struct base_mono at = base_mono_add_us(l->step_at, STEP_US);
    bool is_late = !base_mono_before(run->now, at);
    if (!is_late) {
        agt_wake_at(run, at);
    }
    /* This look is from after the end of its order. */
    bool is_over = l->step_id != 0 && run->a->view.orders_done >= l->step_id;
    return is_late || is_over;
}

static void rest(struct agt_run *run)
{
    struct agt_mongodb_ladder *l = &run->a->mongodb.ladder;
    struct base_mono at = base_mono_add_us(l->step_at, AGAIN_US);
    if (base_mono_before(run->now, at)) {
        agt_wake_at(run, at);
        return;
    }
    step_set(run, AGT_MONGODB_STEP_NONE);
}

static void kill_cut_off(struct agt_run *run)
{
    struct agt *a = run->a;
    if (agt_mongodb_is_watched(a) || a->stop.is_killed) {
        return;
    }
    agt_fx_log(run, "the primary is cut off and does not step down: ends it, as opted in", NULL);
    a->mongodb.ladder.killed_at = run->now;
    agt_kill(run);
}

static bool cut_off(struct agt_run *run)
{
    struct agt *a = run->a;
    struct agt_mongodb_ladder *l = &a->mongodb.ladder;
    enum msg_mongodb_cut_off policy = agt_mongodb_cut_off(a);
    if (policy == MSG_MONGODB_CUT_OFF_REPORT) {
        tell(run, &l->is_told_cut_off, "this primary is cut off from the majority of its set",
             "its writes may be rolled back; nothing is done (cut_off: report)");
        return false;
    }
    tell(run, &l->is_told_cut_off, "this primary is cut off from the majority of its set",
         "steps it down");
    if (l->step == AGT_MONGODB_STEP_NONE || l->step == AGT_MONGODB_STEP_POLITE) {
        step_set(run, AGT_MONGODB_STEP_FORCED); /* nobody is there to be asked politely */
    }
    if (l->step == AGT_MONGODB_STEP_FORCED && !is_step_spent(run)) {
        step_down(run, CUT_STEP_DOWN_S, true);
    } else if (policy == MSG_MONGODB_CUT_OFF_KILL) {
        kill_cut_off(run);
    } else {
        rest(run);
    }
    return true;
}

/* --- gray --- */

static bool may_kill(const struct agt *a, struct base_mono now)
{
    bool is_opted_in =
        agt_mongodb_gray(a) == MSG_MONGODB_GRAY_KILL || CANARY(MONGODB_KILLS_UNASKED);
    return is_opted_in && agt_mongodb_is_majority_elsewhere(a, now) && !agt_mongodb_is_watched(a);
}

/* That it is to stay down is on disk before it is ended. */
static void kill_gray(struct agt_run *run)
{
    struct agt *a = run->a;
    struct agt_mongodb_ladder *l = &a->mongodb.ladder;
    if (l->step != AGT_MONGODB_STEP_KILL) {
        step_set(run, AGT_MONGODB_STEP_KILL);
        a->want.mongodb.is_held = true;
        agt_fx_log(run, "the primary does not write and does not step down: ends it, as opted in",
                   "the other voters are healthy");
    }
    if (a->disk.mongodb.is_held && a->want.mongodb.is_held) {
        agt_kill(run);
    }
}

static bool gray(struct agt_run *run)
{
    struct agt *a = run->a;
    struct agt_mongodb_ladder *l = &a->mongodb.ladder;
    if (agt_mongodb_gray(a) == MSG_MONGODB_GRAY_REPORT && !CANARY(MONGODB_KILLS_UNASKED)) {
        tell(run, &l->is_told_gray, "this primary does not write: its canary does not come through",
             "a disk that hangs or is full? nothing is done (gray: report)");
        return false;
    }
    tell(run, &l->is_told_gray, "this primary does not write: its canary does not come through",
         "steps it down");
    if (l->step == AGT_MONGODB_STEP_NONE) {
        step_set(run, AGT_MONGODB_STEP_POLITE);
    }
    bool is_elsewhere = agt_mongodb_is_majority_elsewhere(a, run->now);
    if (l->step == AGT_MONGODB_STEP_POLITE && is_step_spent(run) && is_elsewhere) {
        step_set(run, AGT_MONGODB_STEP_FORCED);
    }
    if (!is_step_spent(run) && l->step != AGT_MONGODB_STEP_KILL) {
        step_down(run, GRAY_STEP_DOWN_S, l->step == AGT_MONGODB_STEP_FORCED);
    } else if (l->step != AGT_MONGODB_STEP_POLITE && may_kill(a, run->now)) {
        kill_gray(run);
    } else {
        rest(run);
    }
    return true;
}

/* The arbiter sees to it by an order of its own, or it is to end anyway. */
static bool is_idle(const struct agt *a)
{
    enum agt_mongodb_goal goal = agt_mongodb_goal_of(a);
    const struct msg_mongodb_order *o = agt_mongodb_order(a);
    bool is_ordered =
        o != NULL && (o->kind == MSG_MONGODB_ORDER_STEP_DOWN ||
                      o->kind == MSG_MONGODB_ORDER_SWITCHOVER || o->kind == MSG_MONGODB_ORDER_KILL);
    bool is_run = goal == AGT_MONGODB_GOAL_RUN || goal == AGT_MONGODB_GOAL_NONE ||
                  goal == AGT_MONGODB_GOAL_HELD; /* on disk, of a kill that is under way */
    return !is_run || is_ordered;
}

bool agt_mongodb_ladder(struct agt_run *run)
{
    struct agt *a = run->a;
    bool is_left = is_idle(a);
    if (!is_left && is_cut_off(a, run->now)) {
        return cut_off(run);
    }
    if (!is_left && agt_mongodb_is_gray(a, run->now)) {
        return gray(run);
    }
    ladder_leave(run);
    return false;
}
