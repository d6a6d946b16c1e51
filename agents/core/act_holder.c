/* SPDX-License-Identifier: Apache-2.0 */
/* Actions of the holder: make, start, promote, open, hand over, settle after an exit, hand back.
 *
 * Nothing here may let the database accept writes without agt_is_lease_ahead, and nothing may arm
 * or start in an epoch whose handback has been decided.
 */
#include <string.h>

#include "agents/core/internal.h"
#include "base/canary.h"
#include "base/mark.h"

void agt_do_init(struct agt_run *run)
{
    if (!run->a->is_gone_seen) {
        return;
    }
    bool is_remote = run->a->order.record.is_standby_cluster;
    struct db_order order = agt_order_make(run->a, is_remote ? DB_ORDER_CLONE : DB_ORDER_INIT);
    order.is_remote = is_remote;
    agt_want_order(run, &order);
}

/* S and k as the order wants them; without a word about them, what the record promises: S = V, k =
 * r. */
static void sync_wanted(const struct agt *a, struct db_order *order)
{
    order->sync_names = a->order.has_sync ? a->order.sync_names : a->order.record.voters;
    order->sync_count = a->order.has_sync ? a->order.sync_count : a->order.record.votes_needed_r;
}

/* A standby must have what is raised before its primary has. One without a database will copy the
 * primary's, and with it what it must have. */
static bool is_anybody_behind(const struct agt *a)
{
    for (uint8_t i = 0; i < a->order.members_count; i++) {
        const struct msg_member *m = &a->order.members[i];
        bool has_database = m->db_state != MSG_DB_EMPTY && m->db_state != MSG_DB_CREATING;
        bool is_behind =
            m->config_revision != a->order.record.config_revision || m->is_restart_pending;
        if (m->is_heard && has_database && is_behind &&
            !base_name_equal(&m->member, &a->config.member)) {
            return true;
        }
    }
    return false;
}

/* Opened in this epoch before: a primary again, in place. Else: a standby that will be promoted to
 * the timeline reserved for the epoch. */
static struct db_order prepare_for_holder(const struct agt *a)
{
    bool is_remote = a->order.record.is_standby_cluster;
    bool is_opened_here =
        !is_remote && agt_disk_lineage(&a->want, a->view.timeline) == a->order.record.epoch;
    struct db_order order =
        agt_order_make(a, is_opened_here ? DB_ORDER_PREPARE_PRIMARY : DB_ORDER_PREPARE_STANDBY);
    order.is_remote = is_remote;
    if (is_opened_here) {
        sync_wanted(a, &order);
        /* Section 6: closed until k of S have all, but for the very first start. Also when this
         * agent knows of no crash and of no opening: who asked for the promotion may have stood
         * still since, or be gone, while clients wrote. */
        bool is_first = a->want.made_system != 0 || a->is_first_start;
        order.is_gated = !is_first && !CANARY(GATE_OPENED_EARLY);
        order.is_raise_held = is_anybody_behind(a);
    }
    return order;
}

/* As long as the record does not name the database that was made, another member may be asked to
 * make it: what this one would acknowledge until then would be in nobody else's. */
static bool is_unnamed(const struct agt *a)
{
    return a->order.record.state == MSG_RECORD_BOOTSTRAP && !CANARY(START_BEFORE_NAMED);
}

/* Demoted: a directory that ran read-write here comes onto the line of the primary elsewhere. */
static bool rewinds_to_remote(struct agt_run *run)
{
    struct agt *a = run->a;
    bool is_done = a->rewound_epoch != 0 && a->rewound_epoch == a->order.record.epoch;
    if (!a->order.record.is_standby_cluster || is_done ||
        !(a->view.was_primary || agt_is_own_line(a) || agt_is_of_former_role(a))) {
        return false;
    }
    struct db_order order = agt_order_make(a, DB_ORDER_REWIND);
    order.is_remote = true;
    agt_want_order(run, &order);
    return true;
}

void agt_do_start_holder(struct agt_run *run)
{
    struct agt *a = run->a;
    if (!a->is_gone_seen || !agt_is_holder(a) || is_unnamed(a)) {
        return;
    }
    if (!agt_holds(a) && agt_gives_up_unarmed(run)) {
        agt_do_resign(run);
        return;
    }
    if (rewinds_to_remote(run)) {
        return;
    }
    struct db_order order = prepare_for_holder(a);
    if (!agt_order_equal(&a->prepared, &order)) {
        agt_want_order(run, &order);
        return;
    }
    /* Armed before it can accept a write. */
    if (agt_is_lease_ahead(a, run->now)) {
        agt_start(run);
    }
}

/* A standby that was elected has never been armed: it is stopped, and the epoch handed back from
 * there. */
void agt_do_await_grant(struct agt_run *run)
{
    if (agt_is_holder(run->a) && agt_gives_up_unarmed(run)) {
        agt_do_stop(run);
    }
}

void agt_do_watch_start(struct agt_run *run)
{
    struct agt *a = run->a;
    if (!agt_holds(a)) {
        return;
    }
    struct base_mono since = a->has_answered ? a->answered_at : a->root_since;
    if (a->exit_epoch == a->guard.epoch && !a->has_answered) {
        since = a->exit_at; /* restart in place: the time counts from the crash */
    }
    /* One that has served and is silent now hangs; one that recovers after a crash is at work. */
    int64_t limit_us = a->has_answered ? agt_hang_timeout_us(a) : agt_start_timeout_us(a);
    struct base_mono due = base_mono_add_us(since, limit_us);
    if (base_mono_before(run->now, due) || a->silent_views < AGT_SILENT_VIEWS ||
        !agt_has_successor(a)) {
        agt_wake_at(run, base_mono_max(due, base_mono_add_us(run->now, AGT_REPEAT_US)));
        return;
    }
    agt_fx_log(run, "the holder's database does not answer in time, ends it", NULL);
    a->is_handback_wanted = true;
    /* Once: what is being ended is looked at several times more. What was silent while its lease
     * ran out (its host stood still) has not crashed. */
    if (a->has_answered && !a->stop.is_killed && agt_is_lease_ahead(a, run->now)) {
        agt_count_crash(run);
    }
    agt_kill(run);
}

static void refuse_timeline(struct agt_run *run)
{
    struct agt *a = run->a;
    agt_fx_log(run, "on another timeline than the one reserved for the epoch, does not open", NULL);
    a->is_promotion_wrong = true;
    a->want.is_clone_needed = true;
    a->is_handback_wanted = true;
    agt_kill(run);
}

/* A standby cluster's holder receives from the primary elsewhere; the engine knows from whom. */
static void follow_remote(struct agt_run *run)
{
    struct agt *a = run->a;
    a->want.role = AGT_ROLE_HOLDER;
    a->exit_epoch = 0;
    if (agt_is_of_former_role(a)) {
        agt_do_stop(run); /* then a rewind from there */
        return;
    }
    if (!a->is_remote_followed) {
        struct db_order order = agt_order_make(a, DB_ORDER_FOLLOW);
        order.is_remote = true;
        agt_want_order(run, &order);
    }
}

void agt_do_promote(struct agt_run *run)
{
    struct agt *a = run->a;
    if (a->is_promotion_wrong && !CANARY(OPEN_ON_ANY_TIMELINE)) {
        refuse_timeline(run);
        return;
    }
    if (!agt_is_holder(a) || !agt_has_right(a, run->now) || a->is_handback_wanted ||
        agt_failsafe_is_bound(a)) {
        return;
    }
    if (a->order.record.is_standby_cluster) {
        follow_remote(run);
        return;
    }
    if (a->promoted_epoch == a->order.record.epoch) {
        return; /* done; the next view says so */
    }
    struct db_order order = agt_order_make(a, DB_ORDER_PROMOTE);
    order.timeline = a->order.record.timeline;
    agt_want_order(run, &order);
}

/* Where this epoch opens, from the first view that answers. Standbys are confirmed by it, so it is
 * taken also while a crash restart keeps clients out: the barrier may wait for a standby that comes
 * in. */
static bool opening_taken(struct agt *a)
{
    uint64_t epoch = a->order.record.epoch;
    if (a->opened_epoch == epoch) {
        return true;
    }
    if (!a->view.is_answering) {
        return false;
    }
    bool is_known = a->want.opened_epoch == epoch;
    a->opened_lsn = is_known ? a->want.opened_lsn : a->view.lsn;
    a->opened_epoch = epoch;
    return true;
}

static void opened(struct agt_run *run)
{
    struct agt *a = run->a;
    uint64_t epoch = a->order.record.epoch;
    if (!opening_taken(a)) {
        return; /* its position is not known: the next view that answers opens */
    }
    if (!a->is_open_ready) {
        agt_fx_log(run, "open for writes", a->order.record.cluster.text);
    }
    a->is_open_ready = true;
    a->exit_epoch = 0; /* a later exit has its own time */
    a->want.opened_epoch = epoch;
    a->want.opened_lsn = a->opened_lsn;
    a->want.opened_root_pid = a->guard.root_pid;
    a->want.role = AGT_ROLE_HOLDER;
}

/* The process before this one may have said that a smaller set is in force, by which the record was
 * narrowed since: an order from before that, or of a leader that is none any more, would put the
 * larger one in force again. Who grants was the leader when this process had begun to report. */
static bool is_word_of_the_leader(const struct agt *a)
{
    return (a->granted_term != 0 && a->order.term >= a->granted_term) || CANARY(SYNC_BY_ANY_ORDER);
}

/* True when the settings wanted are in force and their barrier has passed as far as it is needed.
 */
static bool sync_step(struct agt_run *run)
{
    struct agt *a = run->a;
    if (!is_word_of_the_leader(a)) {
        MARK(AGENT_SYNC_WAITS_FOR_GRANT);
        return false;
    }
    struct db_order order = agt_order_make(a, DB_ORDER_SET_SYNC);
    sync_wanted(a, &order);
    bool is_same = a->is_sync_in_force && a->sync_count == order.sync_count &&
                   agt_names_equal(&a->sync_names, &order.sync_names);
    if (!is_same || a->are_clients_out) {
        agt_want_order(run, &order);
        return false;
    }
    if (!a->is_barrier_passed) {
        order.kind = DB_ORDER_BARRIER;
        agt_want_order(run, &order);
    }
    return a->is_barrier_passed || !a->is_gated;
}

/* A new agent under a primary that was open: it still is. */
static void reopened(struct agt *a)
{
    if (a->want.opened_epoch == a->guard.epoch && a->guard.root_pid != 0 &&
        a->want.opened_root_pid == a->guard.root_pid && !a->is_gated) {
        a->opened_epoch = a->want.opened_epoch;
        a->opened_lsn = a->want.opened_lsn;
        a->is_open_ready = true;
    }
}

/* In a pause the sync set alone is kept: commits must not wait for a standby that an operator has
 * stopped, nor count on it. */
void agt_do_stay(struct agt_run *run)
{
    reopened(run->a);
    if (agt_is_holder(run->a) && run->a->is_open_ready) {
        (void)sync_step(run);
    }
}

/* Demoted: what follows is a rewind from the primary elsewhere. One that had been rewound in this
 * epoch already was promoted by hand: its line may have the number that the primary elsewhere takes
 * next, and a rewind sees no difference then. */
static void closes_for_elsewhere(struct agt_run *run)
{
    struct agt *a = run->a;
    if (a->rewound_epoch != 0 && a->rewound_epoch == a->order.record.epoch &&
        !a->want.is_clone_needed) {
        agt_fx_log(run, "a standby cluster's database runs read-write by hand: needs a clone",
                   NULL);
        a->want.is_clone_needed = true;
    }
    agt_do_stop(run);
}

void agt_do_open(struct agt_run *run)
{
    struct agt *a = run->a;
    if (!agt_is_holder(a) || a->is_handback_wanted) {
        return;
    }
    if (a->order.record.is_standby_cluster) {
        closes_for_elsewhere(run);
        return;
    }
    agt_writing_watch(run);
    if (a->is_handback_wanted || agt_gives_up_unrenewed(run)) {
        return;
    }
    if (agt_disk_lineage(&a->want, a->view.timeline) != a->order.record.epoch &&
        !CANARY(OPEN_ON_ANY_TIMELINE)) {
        if (a->wrong_views >= AGT_ROGUE_VIEWS || a->is_promotion_wrong) {
            refuse_timeline(run);
        }
        return;
    }
    reopened(a); /* the settings are made sure of meanwhile */
    if (sync_step(run) && agt_has_right(a, run->now)) {
        opened(run);
    } else if (a->is_sync_in_force) {
        (void)opening_taken(a);
    }
}

void agt_do_clients_out(struct agt_run *run)
{
    struct agt *a = run->a;
    if (a->are_clients_out || a->was_in_recovery) {
        return;
    }
    struct db_order order = agt_order_make(a, DB_ORDER_CLIENTS_OUT);
    agt_want_order(run, &order);
}

/* The stop takes its course once asked: a server that was told to stop does not change its mind. */
void agt_do_stop(struct agt_run *run)
{
    struct agt *a = run->a;
    struct agt_stop *stop = &a->stop;
    int64_t fast_us = agt_ttl_us(a) > BASE_US_PER_S ? agt_ttl_us(a) : BASE_US_PER_S;
    if (!stop->is_asked) {
        *stop = (struct agt_stop){.is_asked = true, .since = run->now};
        agt_fx_add(run, AGT_FX_GUARD_SIGNAL)->number = AGT_SIGNAL_FAST;
    }
    struct base_mono immediate_at = base_mono_add_us(stop->since, fast_us);
    struct base_mono kill_at = base_mono_add_us(stop->since, fast_us + fast_us / 2);
    if (!stop->is_immediate && !base_mono_before(run->now, immediate_at)) {
        MARK(AGENT_STOPS_AT_ONCE);
        stop->is_immediate = true;
        agt_fx_log(run, "fast stop takes too long, stops at once", NULL);
        agt_fx_add(run, AGT_FX_GUARD_SIGNAL)->number = AGT_SIGNAL_IMMEDIATE;
    }
    if (!base_mono_before(run->now, kill_at)) {
        agt_kill(run);
    } else {
        agt_wake_at(run, stop->is_immediate ? kill_at : immediate_at);
    }
}

void agt_do_hand_over(struct agt_run *run)
{
    struct agt *a = run->a;
    if (a->checkpoint_epoch != a->guard.epoch) {
        struct db_order order = agt_order_make(a, DB_ORDER_CHECKPOINT);
        order.epoch = a->guard.epoch;
        agt_want_order(run, &order);
        return;
    }
    agt_do_stop(run);
}

void agt_do_hand_back(struct agt_run *run)
{
    struct agt *a = run->a;
    struct base_mono look_until = base_mono_add_us(a->gone_at, AGT_GONE_VIEW_WAIT_US);
    a->is_handback_wanted = true;
    /* Whether it was shut down in order stands in the control file; a short look is worth a vote.
     */
    if (a->is_clean_hoped && !a->is_gone_seen && base_mono_before(run->now, look_until)) {
        agt_wake_at(run, look_until);
        return;
    }
    if (a->handback_epoch != a->guard.epoch) {
        a->handback_epoch = a->guard.epoch;
        a->is_handback_clean = a->is_clean_hoped && a->is_gone_seen && a->view.is_shut_down_clean &&
                               a->ran_epoch == a->guard.epoch && a->opened_epoch == a->guard.epoch;
        a->handback_lsn = a->is_handback_clean ? a->view.shutdown_lsn : 0;
        agt_fx_log(run, "hands the epoch back", a->is_handback_clean ? "clean" : "not clean");
    }
    agt_hand_back(run, a->guard.epoch);
}

void agt_do_resign(struct agt_run *run)
{
    struct agt *a = run->a;
    if (!a->is_gone_seen || !agt_is_holder(a) ||
        a->order.record.epoch <= a->guard.epoch_handed_back) {
        return;
    }
    agt_hand_back(run, a->order.record.epoch);
}

/* True: the third one in a minute. */
static bool crash_again(struct agt_run *run)
{
    struct agt *a = run->a;
    for (size_t i = BASE_COUNT_OF(a->crashes) - 1; i > 0; i--) {
        a->crashes[i] = a->crashes[i - 1];
    }
    a->crashes[0] = run->now;
    struct base_mono third = a->crashes[BASE_COUNT_OF(a->crashes) - 1];
    return base_mono_diff_us(run->now, third) <= AGT_CRASH_WINDOW_US;
}

static void retire(struct agt_run *run)
{
    MARK(AGENT_RETIRES);
    run->a->is_retired = true;
    run->a->is_handback_wanted = true;
    agt_fx_log(run, "the database crashed three times in a minute: hands the role on, stays down",
               NULL);
}

void agt_count_crash(struct agt_run *run)
{
    if (crash_again(run)) {
        retire(run);
    }
}

static bool is_failover_better(const struct agt *a)
{
    switch (agt_on_crash_of(a)) {
    case AGT_ON_CRASH_FAILOVER:
        return true;
    case AGT_ON_CRASH_RESTART:
        return false;
    case AGT_ON_CRASH_AUTO:
        break;
    }
    return agt_has_enough_voters(a);
}

void agt_on_exit(struct agt_run *run)
{
    struct agt *a = run->a;
    if (a->stop.is_asked) { /* we wanted it to end */
        if (agt_is_restarting(a)) {
            a->exit_at = run->now; /* ... and to come back within the time that a crash has */
            a->exit_epoch = a->guard.epoch;
        }
        return;
    }
    a->exit_at = a->exit_epoch == a->guard.epoch ? a->exit_at : run->now;
    a->exit_epoch = a->guard.epoch;
    if (agt_is_paused(a)) { /* whoever works on it has ended it, perhaps: not counted */
        a->is_handback_wanted = is_failover_better(a);
        agt_fx_log(run, "the database exited in a pause: stays down until the resume", NULL);
        return;
    }
    if (crash_again(run)) {
        retire(run);
    } else if (is_failover_better(a)) {
        a->is_handback_wanted = true;
        agt_fx_log(run, "the database exited: enough voters are streaming, hands back", NULL);
    } else {
        MARK(AGENT_RESTARTS_IN_PLACE);
        agt_fx_log(run, "the database exited: restarts it in place", NULL);
    }
}

/* Nothing runs and an epoch is held. Section 7: in place only under a lease whose deadline lies
 * ahead. */
void agt_do_settle(struct agt_run *run)
{
    struct agt *a = run->a;
    bool is_crash = a->exit_epoch == a->guard.epoch;
    bool is_late = is_crash && agt_has_successor(a) &&
                   base_mono_diff_us(run->now, a->exit_at) >= agt_start_timeout_us(a);
    if (a->is_handback_wanted || a->guard.epoch <= a->handback_asked || is_late ||
        a->guard.epoch != agt_epoch_known(a) ||
        (a->ran_epoch == a->guard.epoch && !agt_is_lease_ahead(a, run->now))) {
        agt_do_hand_back(run);
        return;
    }
    if (!a->view.has_directory || a->view.is_directory_bad || a->want.is_clone_needed) {
        bool is_remote = a->order.record.is_standby_cluster && agt_is_holder(a);
        if (is_remote || (agt_goal_of(a) == AGT_GOAL_INIT && !a->want.is_clone_needed)) {
            agt_do_init(run);
        } else if (a->is_gone_seen) {
            agt_do_hand_back(run);
        }
        return;
    }
    agt_do_start_holder(run);
}
