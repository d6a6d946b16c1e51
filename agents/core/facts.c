/* SPDX-License-Identifier: Apache-2.0 */
/* What follows from the guard's status, the view, the durable state and the order. No effects here.
 */
#include <string.h>

#include "agents/core/internal.h"
#include "base/canary.h"
#include "base/lease_math.h"
#include "base/mark.h"

#define ARM_WORDS_MIN 3 /* of the guard, none of which takes what was asked before them */

bool agt_holds(const struct agt *a)
{
    return a->has_guard && a->guard.epoch > a->guard.epoch_handed_back;
}

bool agt_is_guard_deaf(const struct agt *a, struct base_mono now)
{
    return a->has_guard && a->is_arm_asked &&
           base_mono_diff_us(now, a->arm_asked_at) > agt_ttl_us(a);
}

bool agt_is_arm_taken(const struct agt *a)
{
    return a->guard.is_armed && a->guard.epoch == a->arm_epoch &&
           !base_mono_before(a->guard.deadline, a->arm_deadline);
}

bool agt_is_arm_refused(const struct agt *a, struct base_mono now)
{
    return a->has_guard && a->arm_epoch > a->guard.epoch && a->arm_epoch == agt_epoch_known(a) &&
           base_mono_diff_us(now, a->arm_since) > agt_ttl_us(a);
}

/* A slow guard takes them one after the other, a stopped one says nothing at all. */
bool agt_is_renewal_refused(const struct agt *a, struct base_mono now)
{
    return agt_is_lease_ahead(a, now) && a->arm_epoch == a->guard.epoch && !agt_is_arm_taken(a) &&
           a->arm_words >= ARM_WORDS_MIN &&
           base_mono_diff_us(now, a->arm_since) > agt_ttl_us(a) / 8 * 3;
}

/* Killed, and still there: processes that wait for a disk that hangs end when it goes on. They run
 * no more code of theirs, so nothing is acknowledged. */
struct base_mono agt_undying_from(const struct agt *a)
{
    bool is_killed = a->has_guard && (a->guard.tree == GUARD_TREE_KILLING ||
                                      a->guard.tree == GUARD_TREE_ROOT_EXITED);
    return is_killed && agt_holds(a) ? base_mono_add_us(a->guard.changed, agt_ttl_us(a) / 2)
                                     : BASE_MONO_NEVER;
}

bool agt_is_undying(const struct agt *a, struct base_mono now)
{
    return !base_mono_before(now, agt_undying_from(a));
}

uint64_t agt_epoch_known(const struct agt *a)
{
    return a->want.epoch_seen;
}

int64_t agt_ttl_us(const struct agt *a)
{
    uint32_t ms = a->has_order ? a->order.record.ttl_ms : 0;
    return (int64_t)(ms > 0 ? ms : LEASE_TTL_DEFAULT_MS) * BASE_US_PER_MS;
}

bool agt_is_lease_ahead(const struct agt *a, struct base_mono now)
{
    return agt_holds(a) && a->guard.is_armed && a->guard.epoch == agt_epoch_known(a) &&
           a->guard.epoch > a->handback_asked && /* an asked handback is final, told or not */
           base_mono_before(now, a->guard.deadline);
}

bool agt_has_right(const struct agt *a, struct base_mono now)
{
    return agt_is_lease_ahead(a, now) && a->guard.tree == GUARD_TREE_RUNNING;
}

static bool is_state_open(const struct agt *a, struct base_mono now)
{
    if (agt_is_galera(a)) {
        return agt_galera_is_serving(agt_galera_state_of(a, now)) && !a->is_handback_wanted;
    }
    return agt_state_of(a, now) == AGT_STATE_PRIMARY;
}

bool agt_is_open(const struct agt *a, struct base_mono now)
{
    return (agt_has_right(a, now) || agt_has_paused_right(a)) && a->is_open_ready &&
           !a->stop.is_asked && is_state_open(a, now);
}

bool agt_order_is_in_force(const struct agt *a)
{
    return a->has_order && a->order.record.epoch == a->disk.epoch_seen &&
           a->disk.epoch_seen == a->want.epoch_seen;
}

bool agt_is_holder(const struct agt *a)
{
    return agt_order_is_in_force(a) && a->has_guard && a->order.record.epoch > 0 &&
           base_name_equal(&a->order.record.holder, &a->config.member) &&
           (a->order.record.holder_instance == a->guard.instance || CANARY(INSTANCE_IGNORED));
}

int agt_attempt_compare(struct msg_attempt a, struct msg_attempt b)
{
    if (a.term != b.term) {
        return a.term < b.term ? -1 : 1;
    }
    return a.number < b.number ? -1 : a.number > b.number;
}

bool agt_promise_is_kept(const struct agt *a)
{
    return a->want.promised.number != 0; /* of an attempt it is above 0 */
}

/* Whether what a standby says is all it has: since its start it has read its own log to the end, or
 * received more. */
static bool has_read_end(const struct agt *a)
{
    return a->view.is_wal_end_reached || a->has_receiver_run ||
           (a->stopped_end_lsn > 0 && a->view.replay_lsn >= a->stopped_end_lsn);
}

bool agt_is_end_unread(const struct agt *a)
{
    const struct db_view *v = &a->view;
    bool is_primary = v->is_answering && !v->is_in_recovery;
    return a->has_view && v->is_process && !is_primary && !has_read_end(a) &&
           !CANARY(REPLAY_IS_ALL);
}

/* Promise on disk, receiver gone, and a position read after that: section 4.2. */
bool agt_vote_is_final(const struct agt *a)
{
    if (!agt_promise_is_kept(a) || !agt_order_is_in_force(a) || agt_holds(a) ||
        agt_attempt_compare(a->disk.promised, a->want.promised) != 0) {
        return false;
    }
    if (!a->has_guard || a->guard.tree != GUARD_TREE_RUNNING || !a->has_view) {
        return false;
    }
    if (CANARY(VOTE_BEFORE_STOP)) {
        return a->view.is_answering && a->view.is_in_recovery;
    }
    if (!a->is_detached) {
        return false;
    }
    const struct db_view *v = &a->view;
    /* The first view behind the completion may have begun before it, the second cannot. */
    bool is_fresh = v->orders_done >= a->detach_id || a->detach_views >= 2;
    return is_fresh && has_read_end(a) && v->is_answering && v->is_in_recovery && !v->has_receiver;
}

static bool is_made_here(const struct agt *a)
{
    return a->has_view && a->view.has_directory && a->view.system_id != 0 &&
           a->view.system_id == a->want.made_system;
}

bool agt_has_foreign_system(const struct agt *a)
{
    return a->has_order && a->has_view && a->order.record.system_id != 0 && a->view.has_directory &&
           a->view.system_id != 0 && a->view.system_id != a->order.record.system_id &&
           !is_made_here(a);
}

bool agt_is_passed_over(const struct agt *a)
{
    return is_made_here(a) && agt_order_is_in_force(a) && a->order.record.epoch > 0 &&
           !base_name_equal(&a->order.record.holder, &a->config.member) &&
           a->order.record.system_id != a->view.system_id;
}

/* A probe that hangs once is no news: the last answer of this root stands for one ttl. */
static bool is_answering(const struct agt *a, struct base_mono now)
{
    return a->has_answered &&
           (a->view.is_answering || base_mono_diff_us(now, a->answered_at) < agt_ttl_us(a));
}

bool agt_is_taken_over(const struct agt *a)
{
    return a->has_guard && a->guard.is_adopted && a->guard.epoch == 0 &&
           a->guard.epoch_handed_back == 0;
}

/* No arbiter ever led it: until one does, nobody can say that it writes without a right. From then
 * on only the record's own holder, on the line that the record names, has one to wait for. */
bool agt_is_adoptable(const struct agt *a)
{
    const struct msg_record *r = &a->order.record;
    if (!agt_is_taken_over(a) || a->want.epoch_seen == 0 || CANARY(ADOPTED_SPARED)) {
        return agt_is_taken_over(a);
    }
    return a->has_order && r->epoch == a->want.epoch_seen &&
           base_name_equal(&r->holder, &a->config.member) &&
           r->holder_instance == a->guard.instance && a->has_view &&
           agt_disk_lineage(&a->want, a->view.timeline) == r->epoch;
}

bool agt_is_beside_a_process(const struct agt *a)
{
    return a->guard.tree == GUARD_TREE_GONE && a->view.is_process;
}

bool agt_is_left_running(const struct agt *a)
{
    bool is_ours = agt_is_taken_over(a) && a->guard.tree == GUARD_TREE_RUNNING &&
                   (a->want.epoch_seen == 0 || agt_has_foreign_system(a));
    return is_ours || a->config.mongodb.is_watched;
}

static enum agt_state state_running(const struct agt *a, struct base_mono now)
{
    if (agt_is_taken_over(a) && agt_has_foreign_system(a)) {
        return AGT_STATE_FOREIGN; /* of another cluster: never ours to end */
    }
    if (!is_answering(a, now)) {
        return AGT_STATE_STARTING;
    }
    if (a->was_in_recovery) {
        return agt_holds(a) ? AGT_STATE_WINNER : AGT_STATE_STANDBY;
    }
    if (agt_holds(a)) {
        return AGT_STATE_PRIMARY;
    }
    if (agt_is_adoptable(a)) {
        return AGT_STATE_ADOPTED;
    }
    return a->rogue_views >= AGT_ROGUE_VIEWS ? AGT_STATE_ROGUE : AGT_STATE_STARTING;
}

static enum agt_state state_gone(const struct agt *a)
{
    if (a->foreign_views >= AGT_ROGUE_VIEWS) {
        return AGT_STATE_FOREIGN;
    }
    if (agt_holds(a)) {
        return AGT_STATE_DOWN;
    }
    if ((!a->view.has_directory && !a->view.is_directory_bad) || agt_is_passed_over(a)) {
        return AGT_STATE_EMPTY;
    }
    return a->view.is_directory_bad || a->want.is_clone_needed ? AGT_STATE_BAD : AGT_STATE_STOPPED;
}

enum agt_state agt_state_of(const struct agt *a, struct base_mono now)
{
    if (!a->has_guard || !a->has_view) {
        return AGT_STATE_BLIND;
    }
    switch (a->guard.tree) {
    case GUARD_TREE_GONE:
        return state_gone(a);
    case GUARD_TREE_RUNNING:
        return state_running(a, now);
    case GUARD_TREE_FREEZING:
    case GUARD_TREE_FROZEN:
        return AGT_STATE_FROZEN;
    case GUARD_TREE_KILLING:
    case GUARD_TREE_ROOT_EXITED:
        return AGT_STATE_ENDING;
    }
    BASE_UNREACHABLE();
}

/* The order asks the holder for something: only this guard, and only while the epoch was not handed
 * back. */
static enum agt_goal goal_of_holder(const struct agt *a, enum agt_goal goal)
{
    if (!agt_is_holder(a) || a->order.record.epoch <= a->guard.epoch_handed_back) {
        return AGT_GOAL_NONE;
    }
    if (goal == AGT_GOAL_HAND_OVER) {
        return goal;
    }
    return a->order.record.state == MSG_RECORD_BOOTSTRAP ? AGT_GOAL_INIT : AGT_GOAL_HOLD;
}

/* The record names this member, and what runs here gets no right in this epoch, which is another
 * guard's, or is to be fenced and granted no more. It was started for a vote, say, by a leader that
 * had not applied yet the entry that names it. The member's next epoch waits until the tree is gone
 * and the epoch handed back: the fence may fail for ever, and a pause in between leaves the arbiter
 * without another sign that nothing is armed. */
static bool is_to_rest(const struct agt *a)
{
    const struct msg_record *r = &a->order.record;
    bool is_over = r->holder_instance != a->guard.instance || r->fencing_epoch == r->epoch;
    return a->has_guard && base_name_equal(&r->holder, &a->config.member) && is_over &&
           !agt_holds(a) && !CANARY(HOLDER_KEEPS_RECOVERING);
}

enum agt_goal agt_goal_of(const struct agt *a)
{
    if (agt_is_paused(a)) {
        return AGT_GOAL_PAUSED;
    }
    if (a->is_shutdown) {
        return agt_is_left_running(a) ? AGT_GOAL_NONE : AGT_GOAL_SHUTDOWN;
    }
    if (!agt_order_is_in_force(a)) {
        return AGT_GOAL_NONE;
    }
    if (a->order.goal == MSG_GOAL_REFUSED || agt_has_foreign_system(a)) {
        return AGT_GOAL_REFUSED;
    }
    if (a->order.record.epoch == 0) {
        return AGT_GOAL_NONE;
    }
    switch (a->order.goal) {
    case MSG_GOAL_NONE:
        return is_to_rest(a) ? AGT_GOAL_REST : AGT_GOAL_NONE;
    case MSG_GOAL_REFUSED:
        return AGT_GOAL_NONE;
    case MSG_GOAL_INIT:
        return goal_of_holder(a, AGT_GOAL_INIT);
    case MSG_GOAL_HOLD:
        return goal_of_holder(a, AGT_GOAL_HOLD);
    case MSG_GOAL_HAND_OVER:
        return goal_of_holder(a, AGT_GOAL_HAND_OVER);
    case MSG_GOAL_VOTE: /* not before its last failsafe grant has run out: section 9 */
        return a->is_retired || (agt_failsafe_is_bound(a) && !agt_promise_is_kept(a))
                   ? AGT_GOAL_NONE
                   : AGT_GOAL_VOTE;
    case MSG_GOAL_FOLLOW:
        if (a->is_retired) {
            return AGT_GOAL_NONE;
        }
        return agt_promise_is_kept(a) ? AGT_GOAL_VOTE : AGT_GOAL_FOLLOW;
    }
    return AGT_GOAL_NONE;
}

/* A standby that was just started tells how far it has read, not what it has. */
static uint64_t end_on_disk(const struct agt *a)
{
    const struct db_view *v = &a->view;
    if (!v->is_process) {
        return v->is_shut_down_clean && v->shutdown_lsn > 0 ? v->shutdown_lsn : v->lsn;
    }
    return v->lsn > a->stopped_end_lsn ? v->lsn : a->stopped_end_lsn;
}

/* A history of before the cluster became another's standby, or its own again, in a member that was
 * not there meanwhile. Timeline numbers of the two sites may be the same. */
bool agt_is_history_over(const struct agt *a)
{
    const struct msg_record *r = &a->order.record;
    return a->has_order && !r->is_standby_cluster && a->want.openings_count > 0 &&
           a->want.openings[0].epoch < r->role_epoch;
}

/* The history of the primary elsewhere is one for all, whatever numbers its timelines have. After
 * the promotion of the cluster it is what was not opened here since; and what its holder was
 * promoted with. */
uint64_t agt_lineage(const struct agt *a)
{
    const struct msg_record *r = &a->order.record;
    uint64_t lineage = agt_disk_lineage(&a->want, a->view.timeline);
    if (!a->has_order || a->want.is_clone_needed || a->view.timeline == 0) {
        return lineage;
    }
    bool is_left = r->role_epoch != 0 && lineage == 0 && !agt_is_history_over(a);
    bool is_promoted = r->role_epoch != 0 && r->floor_epoch == r->role_epoch && !r->is_opened &&
                       lineage < r->role_epoch && base_name_equal(&r->holder, &a->config.member);
    return r->is_standby_cluster || is_left || is_promoted ? AGT_LINEAGE_ELSEWHERE : lineage;
}

enum agt_prefix agt_prefix_of(const struct agt *a)
{
    if (a->want.is_clone_needed) {
        return AGT_PREFIX_NO; /* also what was copied in this epoch */
    }
    if (a->rewound_epoch != 0 && a->rewound_epoch == a->order.record.epoch) {
        return AGT_PREFIX_YES;
    }
    uint64_t lineage = agt_disk_lineage(&a->want, a->view.timeline);
    if (a->refused_epoch != 0 && a->refused_epoch == a->order.record.epoch) {
        return AGT_PREFIX_NO; /* the holder did not stream to it */
    }
    if (a->order.record.is_standby_cluster) {
        return AGT_PREFIX_UNKNOWN; /* its timelines are not ours: the server itself must tell */
    }
    if (agt_is_history_over(a)) {
        return AGT_PREFIX_NO;
    }
    if (lineage == 0 && agt_lineage(a) == AGT_LINEAGE_ELSEWHERE) {
        return AGT_PREFIX_UNKNOWN; /* where it was left is the server's to tell, too */
    }
    return agt_disk_prefix(&a->want, a->order.record.epoch, lineage, end_on_disk(a));
}

bool agt_is_own_line(const struct agt *a)
{
    uint64_t lineage = agt_disk_lineage(&a->want, a->view.timeline);
    const struct agt_opening *opening = agt_disk_opening(&a->want, lineage);
    return opening != NULL && opening->is_own;
}

/* The cluster became another's standby, and this directory has not been brought onto the other's
 * line since: a rewind or clone forgets what was opened here before. It may stand on a line by
 * whose number the primary elsewhere calls one that left our history earlier: a server streams by
 * number and notices nothing, a rewind looks at where lines begin. */
bool agt_is_of_former_role(const struct agt *a)
{
    const struct msg_record *r = &a->order.record;
    return a->has_order && r->is_standby_cluster && a->want.openings_count > 0 &&
           a->want.openings[0].epoch < r->role_epoch && a->view.timeline != 0 &&
           !CANARY(FORMER_ROLE_FOLLOWED);
}

/* What only was never seen here may try to follow: the server itself refuses WAL of another line. A
 * directory on a line of which this member was the holder may not. */
bool agt_may_follow(const struct agt *a)
{
    enum agt_prefix prefix = agt_prefix_of(a);
    if (CANARY(REJOIN_WITHOUT_REWIND)) {
        return true;
    }
    return prefix == AGT_PREFIX_YES ||
           (prefix == AGT_PREFIX_UNKNOWN && !agt_is_own_line(a) && !agt_is_of_former_role(a));
}

/* Also through an upstream that streams from the holder itself: the server refuses another line. */
bool agt_is_receiving_from_holder(const struct agt *a)
{
    if (!a->view.is_receiving || a->is_detached) {
        return false;
    }
    const struct base_name *from =
        base_name_is_empty(&a->view.receiving_from) ? &a->followed : &a->view.receiving_from;
    return base_name_equal(from, &a->order.record.holder) ||
           (!base_name_is_empty(&a->upstream) && base_name_equal(from, &a->upstream));
}

bool agt_is_rejoin_needed(const struct agt *a)
{
    if (!a->has_view || !a->view.has_directory || !agt_order_is_in_force(a) || agt_holds(a) ||
        a->order.record.epoch == 0 || agt_is_holder(a) || agt_is_passed_over(a)) {
        return false;
    }
    if (a->view.is_directory_bad || a->want.is_clone_needed) {
        return true;
    }
    return !agt_is_receiving_from_holder(a) && !agt_may_follow(a);
}

const struct msg_member *agt_holder_address(const struct agt *a)
{
    for (uint8_t i = 0; i < a->order.members_count; i++) {
        const struct msg_member *m = &a->order.members[i];
        if (base_name_equal(&m->member, &a->order.record.holder)) {
            return m->host.text[0] != '\0' && m->db_port != 0 ? m : NULL;
        }
    }
    return NULL;
}

/* The holder of a standby cluster never opens: it is ready while it receives from elsewhere. */
bool agt_holder_is_ready(const struct agt *a)
{
    const struct msg_member *m = agt_holder_address(a);
    if (m != NULL && a->order.record.is_standby_cluster) {
        return m->is_heard && m->db_state == MSG_DB_STANDBY && m->is_receiving;
    }
    return m != NULL && (m->is_open || a->order.record.is_opened);
}

/* Section 4.4: |V| - r + 1 voters, at least one; with r = 0 no number suffices. */
bool agt_has_enough_voters(const struct agt *a)
{
    const struct msg_record *r = &a->order.record;
    if (!a->has_order || r->votes_needed_r == 0) {
        return false;
    }
    int need = (int)r->voters.count - (int)r->votes_needed_r + 1;
    return (int)a->streaming_voters >= (need < 1 ? 1 : need);
}

/* Somebody else runs who could be chosen: else giving up a slow recovery gains nothing, and loses
 * its work. */
bool agt_has_successor(const struct agt *a)
{
    const struct msg_record *r = &a->order.record;
    for (uint8_t i = 0; a->has_order && i < a->order.members_count; i++) {
        const struct msg_member *m = &a->order.members[i];
        bool may_follow = r->sync_mode == MSG_SYNC_ASYNC ||
                          (r->votes_needed_r > 0 && agt_names_has(&r->voters, &m->member));
        if (may_follow && m->db_state == MSG_DB_STANDBY &&
            !base_name_equal(&m->member, &a->config.member)) {
            return true;
        }
    }
    return false;
}

/* The same guard has a new epoch, and what runs has never left recovery: it goes on. */
bool agt_is_carried_over(const struct agt *a)
{
    const struct msg_record *r = &a->order.record;
    bool is_named = a->has_order && r->epoch == agt_epoch_known(a) && a->has_guard &&
                    base_name_equal(&r->holder, &a->config.member) &&
                    r->holder_instance == a->guard.instance;
    return is_named && agt_holds(a) && a->guard.epoch < r->epoch &&
           a->guard.tree == GUARD_TREE_RUNNING && a->has_answered && a->was_in_recovery &&
           a->promoted_epoch == 0 && a->task.order.kind != DB_ORDER_PROMOTE;
}

bool agt_is_drained(const struct agt *a)
{
    return a->has_order && agt_names_has(&a->order.record.drained, &a->config.member);
}

bool agt_is_standby_leader(const struct agt *a)
{
    return a->has_order && a->order.record.is_standby_cluster && agt_is_holder(a) && agt_holds(a);
}

bool agt_names_has(const struct msg_names *names, const struct base_name *name)
{
    for (uint8_t i = 0; i < names->count; i++) {
        if (base_name_equal(&names->names[i], name)) {
            return true;
        }
    }
    return false;
}

bool agt_names_equal(const struct msg_names *a, const struct msg_names *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (uint8_t i = 0; i < a->count; i++) {
        if (!base_name_equal(&a->names[i], &b->names[i])) {
            return false;
        }
    }
    return true;
}

/* A handback is repeated until a higher epoch is seen; without anybody to hear it, for one ttl,
 * after which the lease has run out anyway. */
bool agt_is_finished(const struct agt *a, struct base_mono now)
{
    if (a->is_shutdown && (agt_is_paused(a) || agt_is_left_running(a))) {
        return true; /* the agent alone: guard and database go on */
    }
    if (!a->is_shutdown || !a->has_guard || a->guard.tree != GUARD_TREE_GONE || agt_holds(a)) {
        return false;
    }
    bool is_known = !agt_is_holder(a) || a->order.record.epoch > a->guard.epoch_handed_back;
    return is_known || !base_mono_before(now, base_mono_add_us(a->gone_at, agt_ttl_us(a)));
}
