/* SPDX-License-Identifier: Apache-2.0 */
/* Actions of a standby: clone, rejoin, follow, and the vote.
 *
 * A directory is thrown away only when it is known not to be part of the holder's history and the
 * holder has opened; a source that cannot be reached never costs a copy.
 */
#include <string.h>

#include "agents/core/internal.h"
#include "base/canary.h"
#include "base/mark.h"

static void point_at(struct db_order *order, const struct msg_member *upstream)
{
    order->upstream_member = upstream->member;
    order->upstream_host = upstream->host;
    order->upstream_port = upstream->db_port;
}

/* One that is under way goes on, though another source looks better now: it is half of the work. */
static bool is_cloning(const struct agt *a)
{
    return a->task.id != 0 && a->task.order.kind == DB_ORDER_CLONE && !a->task.is_canceled &&
           a->task.order.epoch == a->order.record.epoch;
}

/* Nobody but the holder is open for writes, and in a standby cluster not even that. What somebody
 * writes there by hand stands on a timeline number that the primary elsewhere may take as well. */
static bool is_source_standby(const struct agt *a, const struct base_name *source)
{
    const struct msg_record *r = &a->order.record;
    return (r->is_standby_cluster || !base_name_equal(source, &r->holder)) &&
           !CANARY(CLONE_OF_HAND_OPENED);
}

void agt_do_clone(struct agt_run *run)
{
    struct agt *a = run->a;
    if (!a->is_gone_seen || !agt_holder_is_ready(a) || agt_is_holder(a) || is_cloning(a) ||
        !agt_knows_its_vote(a)) {
        return;
    }
    struct db_order order = agt_order_make(a, DB_ORDER_CLONE);
    order.is_upstream_only = agt_must_clone_holder(a);
    point_at(&order, agt_clone_source(a));
    order.is_source_standby = is_source_standby(a, &order.upstream_member);
    agt_want_order(run, &order);
    if (is_cloning(a)) {
        agt_fx_log(run, "copies the database of", order.upstream_member.text);
    }
}

/* The line that the control file calls the directory's own last one was never this member's to
 * write. The openings on disk prove it by themselves, since a record that names this member is on
 * disk before it acts. A line that they do not tell was perhaps opened by it: only an order in
 * force says whose it is. */
static bool is_line_of_others(const struct agt *a)
{
    const struct msg_record *r = &a->order.record;
    bool is_ordered = agt_order_is_in_force(a) && r->epoch > 0; /* before, nobody led anything */
    if (agt_is_own_line(a) || (is_ordered && r->state == MSG_RECORD_BOOTSTRAP)) {
        return false;
    }
    bool is_told = agt_disk_lineage(&a->want, a->view.timeline) != 0 &&
                   !agt_disk_is_reserved_here(&a->want, a->view.timeline) &&
                   !CANARY(RUN_BY_HAND_OFFERED);
    return is_told || (is_ordered && !base_name_equal(&r->holder, &a->config.member));
}

/* A directory that ran read-write though this member did not open it: somebody promoted or started
 * it by hand. What it wrote may stand on the timeline number of others, where neither the server
 * nor pg_rewind sees a difference: it is cloned. This waits for no order: where the quorum was
 * restored there is none until an operator confirms a member, by the positions that are reported,
 * and the highest one must not be that of records made by hand. Nor does it wait for who holds the
 * role: what the holder opened is its own line, and a winner that was chosen may have been started
 * by hand before it was armed. */
void agt_judge_directory(struct agt_run *run)
{
    struct agt *a = run->a;
    bool is_copy = a->rewound_epoch != 0 && a->rewound_epoch == a->order.record.epoch;
    if (!a->has_guard || a->guard.tree != GUARD_TREE_GONE || !a->is_gone_seen ||
        !a->view.was_primary || is_copy || a->want.is_clone_needed ||
        (agt_holds(a) && CANARY(WINNER_RUN_BY_HAND)) || agt_is_passed_over(a) ||
        !is_line_of_others(a)) {
        return;
    }
    MARK(AGENT_FINDS_RUN_BY_HAND);
    agt_fx_log(run, "the database ran read-write without a right: needs a clone", NULL);
    a->want.is_clone_needed = true;
}

/* Prepares as a standby of `upstream` (NULL: of nobody) and starts. */
static void start_standby(struct agt_run *run, const struct msg_member *upstream)
{
    struct agt *a = run->a;
    struct db_order order = agt_order_make(a, DB_ORDER_PREPARE_STANDBY);
    if (upstream != NULL) {
        point_at(&order, upstream);
    }
    if (!agt_order_equal(&a->prepared, &order)) {
        agt_want_order(run, &order);
        return;
    }
    agt_start(run);
}

/* Section 4.7. pg_rewind sees nothing to do when both are on one timeline number: that is a clone.
 * So is it where the holder itself is in recovery: a rewind needs a primary to read from. */
static void rewind_or_clone(struct agt_run *run)
{
    struct agt *a = run->a;
    uint64_t lineage = agt_disk_lineage(&a->want, a->view.timeline);
    /* An old order may tell of a holder that is none any more: nothing is given up by it. */
    bool is_told_lately = base_mono_diff_us(run->now, a->order_at) <= agt_ttl_us(a) ||
                          CANARY(CONDEMNED_BY_AN_OLD_ORDER);
    if (!agt_holder_is_ready(a) || !is_told_lately) {
        return;
    }
    if (lineage == 0 || a->view.timeline == a->order.record.timeline ||
        a->order.record.is_standby_cluster || agt_is_history_over(a)) {
        agt_fx_log(run, "its history cannot be joined to the holder's: needs a clone", NULL);
        a->want.is_clone_needed = true;
        return;
    }
    struct db_order order = agt_order_make(a, DB_ORDER_REWIND);
    order.timeline = a->order.record.timeline;
    point_at(&order, agt_holder_address(a));
    agt_want_order(run, &order);
}

void agt_do_rejoin(struct agt_run *run)
{
    struct agt *a = run->a;
    const struct msg_member *holder = agt_holder_address(a);
    if (!a->is_gone_seen || holder == NULL) {
        return;
    }
    if (agt_may_follow(a)) {
        start_standby(run, agt_upstream(a));
    } else {
        rewind_or_clone(run);
    }
}

static bool is_pointed_at(const struct agt *a, const struct msg_member *upstream)
{
    return !a->is_detached && base_name_equal(&a->followed, &upstream->member) &&
           memcmp(&a->followed_host, &upstream->host, sizeof(upstream->host)) == 0 &&
           a->followed_port == upstream->db_port;
}

/* Points the receiver at its upstream. One that hangs on a connection is taken out before that;
 * every other time it is told to follow again, as then the port looks whether the upstream still
 * has what is needed next: a receiver that is refused for that comes and goes all the time. */
static void point(struct agt_run *run, const struct msg_member *upstream, bool is_again)
{
    struct agt *a = run->a;
    bool is_hanging = is_again && a->view.has_receiver && !a->is_detached &&
                      (!a->was_taken_out || CANARY(RECEIVER_TAKEN_OUT_ALWAYS));
    struct db_order order = agt_order_make(a, is_hanging ? DB_ORDER_DETACH : DB_ORDER_FOLLOW);
    if (!is_hanging) {
        point_at(&order, upstream);
    }
    agt_want_order(run, &order);
}

/* A line that was left at a place not known here, and that the open holder does not stream to: to
 * be rewound. */
static void watch_unfollowed(struct agt_run *run)
{
    struct agt *a = run->a;
    if (agt_is_receiving_from_holder(a) || !agt_holder_is_ready(a) || agt_is_end_unread(a)) {
        a->unfollowed_since = run->now;
        return;
    }
    if (agt_prefix_of(a) == AGT_PREFIX_UNKNOWN &&
        base_mono_diff_us(run->now, a->unfollowed_since) > AGT_UNFOLLOWED_US) {
        a->refused_epoch = a->order.record.epoch;
    }
}

void agt_do_follow(struct agt_run *run)
{
    struct agt *a = run->a;
    const struct msg_member *upstream = agt_upstream(a);
    if (upstream == NULL) {
        return;
    }
    watch_unfollowed(run);
    /* By a reinit, also one that was called off since. */
    bool is_condemned = a->want.is_clone_needed && a->disk.is_clone_needed;
    /* At once: its receiver would come back by itself when the holder has changed its line. */
    bool is_former = agt_is_of_former_role(a);
    if (is_condemned || is_former || (!agt_is_receiving_from_holder(a) && !agt_may_follow(a))) {
        if (agt_holder_is_ready(a) || is_former) {
            /* What is known of a directory at rest (its last checkpoint) can look better than what
             * the server has replayed: the verdict stays, or it would be started as it is again. */
            a->refused_epoch = a->order.record.epoch;
            agt_do_stop(run); /* then rewind or clone */
        }
        return;
    }
    /* Behind what is replayed there may be more, of a line that the holder has left before that.
     * The server asks nobody for more until it has read what it has. */
    if (agt_is_end_unread(a) && !CANARY(FOLLOWS_BEFORE_ITS_END)) {
        MARK(AGENT_READS_BEFORE_IT_FOLLOWS);
        return;
    }
    if (!is_pointed_at(a, upstream)) {
        point(run, upstream, false);
        return;
    }
    a->want.role = AGT_ROLE_STANDBY;
    struct base_mono silent_at = base_mono_add_us(a->received_at, 2 * agt_ttl_us(a));
    if (base_mono_before(run->now, silent_at)) {
        agt_wake_at(run, silent_at);
    } else {
        point(run, upstream, true);
    }
}

/* What a better voter has, before the vote (section 4.5): it has promised as well, so nothing of
 * the old holder comes in this way. The promise of this member is on disk first. */
static bool catches_up(struct agt_run *run)
{
    struct agt *a = run->a;
    const struct msg_member *from = agt_catch_up_address(a);
    bool is_promised =
        agt_promise_is_kept(a) && agt_attempt_compare(a->disk.promised, a->want.promised) == 0;
    if (from == NULL || !is_promised) {
        return false;
    }
    if (!is_pointed_at(a, from)) {
        point(run, from, false);
    }
    return true;
}

void agt_do_detach(struct agt_run *run)
{
    struct agt *a = run->a;
    a->want.role = AGT_ROLE_VOTER;
    if (catches_up(run)) {
        return;
    }
    if (!a->is_detached) {
        struct db_order order = agt_order_make(a, DB_ORDER_DETACH);
        agt_want_order(run, &order);
    }
}

void agt_do_start_voter(struct agt_run *run)
{
    struct agt *a = run->a;
    a->want.role = AGT_ROLE_VOTER;
    if (a->is_gone_seen) {
        start_standby(run, NULL);
    }
}
