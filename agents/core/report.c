/* SPDX-License-Identifier: Apache-2.0 */
/* The report: what the agent knows, in the words of the protocol. Claims are made only when they
 * hold now. */
#include <string.h>

#include "agents/core/internal.h"
#include "base/canary.h"
#include "base/crc32c.h"
#include "base/mark.h"

static enum msg_db_state db_state_gone(const struct agt *a)
{
    if (a->task.order.kind == DB_ORDER_INIT || a->task.order.kind == DB_ORDER_CLONE ||
        a->task.order.kind == DB_ORDER_REWIND) {
        return MSG_DB_CREATING;
    }
    if (a->is_retired || agt_has_foreign_system(a) || a->view.is_directory_bad ||
        a->want.is_clone_needed) {
        return MSG_DB_FAILED;
    }
    return a->view.has_directory && !agt_is_passed_over(a) ? MSG_DB_STOPPED : MSG_DB_EMPTY;
}

/* What the look has read is at rest by nobody's word. */
static bool is_unclear(const struct agt *a)
{
    return agt_is_beside_a_process(a) && !CANARY(RUN_BY_HAND_AT_REST);
}

static enum msg_db_state db_state_of(const struct agt *a, struct base_mono now)
{
    if (is_unclear(a)) {
        return MSG_DB_UNKNOWN;
    }
    switch (agt_state_of(a, now)) {
    case AGT_STATE_BLIND:
    case AGT_STATE_FOREIGN:
    case AGT_STATE_COUNT:
        return MSG_DB_UNKNOWN;
    case AGT_STATE_ENDING:
        return MSG_DB_STOPPING;
    case AGT_STATE_FROZEN:
        return MSG_DB_FROZEN;
    case AGT_STATE_DOWN:
    case AGT_STATE_EMPTY:
    case AGT_STATE_BAD:
    case AGT_STATE_STOPPED:
        return db_state_gone(a);
    case AGT_STATE_STARTING:
        return a->stop.is_asked ? MSG_DB_STOPPING : MSG_DB_STARTING;
    case AGT_STATE_STANDBY:
        return a->stop.is_asked ? MSG_DB_STOPPING : MSG_DB_STANDBY;
    case AGT_STATE_WINNER:
        if (agt_is_standby_leader(a)) {
            return a->stop.is_asked ? MSG_DB_STOPPING : MSG_DB_STANDBY;
        }
        return a->stop.is_asked ? MSG_DB_STOPPING : MSG_DB_PROMOTING;
    case AGT_STATE_PRIMARY:
    case AGT_STATE_ADOPTED:
    case AGT_STATE_ROGUE:
        return a->stop.is_asked ? MSG_DB_STOPPING : MSG_DB_PRIMARY;
    }
    BASE_UNREACHABLE();
}

/* Taken in: on disk, and no deadline runs any more. */
static bool is_paused_here(const struct agt *a)
{
    return a->disk.is_paused && a->has_guard && !(agt_holds(a) && agt_is_armed_again(a));
}

static void fill_member(const struct agt *a, struct base_mono now, struct msg_report *r)
{
    r->is_noloadbalance = a->config.is_noloadbalance || agt_is_drained(a);
    r->is_clonefrom = a->config.is_clonefrom;
    r->zone = a->config.zone;
    r->replicatefrom = a->config.replicatefrom;
    r->is_paused = is_paused_here(a);
    r->is_adopted = a->has_guard && a->guard.is_adopted;
    r->ttl_least_ms = a->config.ttl_least_ms;
    r->is_watchdog_fed = a->has_guard && a->guard.watchdog == GUARD_WATCHDOG_FED;
    r->is_failsafe = a->failsafe.is_in_force && agt_is_lease_ahead(a, now);
    r->failsafe_members = a->failsafe.members;
    if (a->failsafe.position_epoch == a->disk.epoch_seen) {
        r->failsafe_position = a->failsafe.position;
    }
    r->task_id = a->disk.task_done;
    r->task_status = a->disk.task_status;
}

/* A cluster that runs is taken over by its primary's member alone: a standby that offered itself
 * would be promoted beside a primary whose agent has not spoken yet. */
static bool is_offered(const struct agt *a)
{
    return !a->config.is_adopted_running || CANARY(ADOPTED_STANDBY_OFFERED) ||
           (a->has_answered && !a->was_in_recovery && agt_is_adoptable(a));
}

static void fill_identity(const struct agt *a, struct base_mono now, struct msg_report *r)
{
    r->cluster = a->config.cluster;
    r->member = a->config.member;
    r->instance = a->has_guard ? a->guard.instance : 0;
    r->session = a->lease.session;
    if (a->has_order) { /* the leader relies on it before it narrows the record */
        r->order_term = a->order.term;
        r->order_number = a->order.number;
    }
    r->host = a->config.host;
    r->db_port = a->config.db_port;
    r->http_port = a->config.http_port;
    r->is_nofailover = a->config.is_nofailover || base_mono_before(now, a->barred_until);
    r->is_nosync = a->config.is_nosync;
    r->priority = a->config.priority;
    r->pause_worst_us = a->pause_worst_us;
    r->has_seed = a->config.has_seed;
    r->seed_ttl_ms = a->config.seed_ttl_ms;
    r->seed_heartbeat_ms = a->config.seed_heartbeat_ms;
    r->seed_freeze_max_ms = a->config.seed_freeze_max_ms;
    r->seed_sync_mode = a->config.seed_sync_mode;
    r->seed_sync_strict = a->config.seed_sync_strict;
    r->seed_sync_count = a->config.seed_sync_count;
    r->seed_failover_interval_ms = a->config.seed_failover_interval_ms;
    r->seed_adopt = a->config.seed_adopt && is_offered(a);
}

static void fill_right(const struct agt *a, struct base_mono now, struct msg_report *r)
{
    r->epoch_seen = a->disk.epoch_seen;
    if (!a->has_guard) {
        return;
    }
    r->epoch_held = agt_holds(a) ? a->guard.epoch : 0;
    r->epoch_handed_back = a->guard.epoch_handed_back;
    r->is_handback_clean = a->is_handback_clean && a->handback_epoch == r->epoch_handed_back;
    r->handback_lsn = r->is_handback_clean ? a->handback_lsn : 0;
    if (a->guard.is_armed && agt_holds(a)) {
        r->lease_left_us = base_mono_diff_us(a->guard.deadline, now);
    }
    r->is_tree_gone = a->guard.tree == GUARD_TREE_GONE && a->has_view && !a->view.is_process;
}

static void fill_standbys(const struct agt *a, struct msg_report *r)
{
    r->standbys_count = a->view.standbys_count;
    for (uint8_t i = 0; i < r->standbys_count; i++) {
        r->standbys[i] = a->view.standbys[i];
        r->standbys[i].is_confirmed = r->opened_lsn > 0 && r->standbys[i].is_streaming &&
                                      r->standbys[i].flush_lsn >= r->opened_lsn;
    }
}

/* Also a number that was only reserved, by an epoch that this member knows of: a quorum that was
 * restored does not, and would give it out again. */
static uint32_t timeline_highest(const struct agt *a)
{
    uint32_t highest = a->view.timeline_highest;
    for (uint8_t i = 0; i < a->want.openings_count; i++) {
        uint32_t reserved = a->want.openings[i].timeline;
        highest = reserved > highest ? reserved : highest;
    }
    return highest;
}

static void fill_database(const struct agt *a, struct base_mono now, struct msg_report *r)
{
    const struct db_view *v = &a->view;
    if (!a->has_view) {
        return;
    }
    r->db_state = db_state_of(a, now);
    r->timeline_highest = timeline_highest(a);
    if (agt_is_passed_over(a)) {
        return;
    }
    r->system_id = v->system_id;
    r->position.lineage = v->is_directory_bad ? 0 : agt_lineage(a);
    r->position.timeline = v->timeline;
    r->position.lsn = v->lsn;
    r->replay_lsn = v->replay_lsn;
    r->is_open = agt_is_open(a, now);
    r->is_receiving = v->is_process && v->is_receiving;
    r->is_rejoin_needed = agt_is_rejoin_needed(a);
    r->is_vote_valid = agt_vote_is_final(a);
    r->is_end_unread = agt_is_end_unread(a);
}

static void fill_engine(const struct agt *a, struct msg_report *r)
{
    const struct db_view *v = &a->view;
    if (!a->has_view) {
        return;
    }
    r->config_revision = v->config_revision;
    r->is_restart_pending = v->is_restart_pending;
    r->pending_restart = v->pending_restart;
    r->is_write_failing = v->is_process && v->is_write_failing;
    r->db_version = v->version;
    r->connections = v->connections;
    r->connections_max = v->connections_max;
    r->disk_free_bytes = v->disk_free_bytes;
    r->work_done_bytes = v->work_done_bytes;
    r->work_total_bytes = v->work_total_bytes;
    if (v->is_process && v->is_receiving) {
        r->upstream = base_name_is_empty(&v->receiving_from) ? a->followed : v->receiving_from;
    }
}

static void fill_holder(const struct agt *a, struct base_mono now, struct msg_report *r)
{
    if (!a->has_view || agt_state_of(a, now) != AGT_STATE_PRIMARY) {
        return;
    }
    if (a->opened_epoch == a->guard.epoch) {
        r->opened_lsn = a->opened_lsn;
    }
    if (a->is_sync_in_force) {
        r->is_sync_known = true;
        r->sync_names = a->sync_names;
        r->sync_count = a->sync_count;
        r->is_sync_barrier_passed = a->is_barrier_passed;
    }
    fill_standbys(a, r);
}

static void fill_note(const struct agt *a, struct msg_report *r)
{
    const struct agt_row *row = agt_table_row(a->state, a->goal);
    struct buf b = buf_over(r->note.text, BASE_TEXT_MAX);
    memset(&r->note, 0, sizeof(r->note));
    if (agt_has_foreign_system(a)) {
        buf_put_text(&b, "the data directory belongs to another cluster (system identifier)");
    } else if (a->is_retired) {
        buf_put_text(&b,
                     "crashed three times in a minute: stays down until 'kv db restart' or 'kv db "
                     "reinit' of this member, or a restart of its agent");
    } else if (a->has_order && a->order.goal == MSG_GOAL_REFUSED) {
        buf_put(&b, base_text_slice(&a->order.reason));
    } else if (agt_vote_is_final(a)) {
        buf_put_text(&b, "has voted with all it has, waits for the decision");
    } else {
        buf_put_text(&b, row->sentence);
    }
    if (a->failure.kind != DB_ORDER_NONE) {
        buf_put_text(&b, "; ");
        buf_put(&b, base_text_slice(&a->note));
    }
    if (a->has_guard && a->guard.is_adopted) {
        buf_put_text(&b, "; adopted");
    }
    if (a->has_view && a->view.warning.text[0] != '\0') {
        buf_put_text(&b, "; ");
        buf_put(&b, base_text_slice(&a->view.warning));
    }
}

/* A guard that has not answered for a ttl was not armed either: its lease is over, and whoever
 * grants on would keep the role at a member that cannot serve. */
static void disown(struct msg_report *r, const char *why)
{
    r->instance = 0;
    r->epoch_held = 0;
    r->lease_left_us = 0;
    r->is_tree_gone = false;
    r->is_open = false;
    r->is_vote_valid = false;
    r->note = base_text_from(slice_from_text(why));
}

void agt_report_peek(const struct agt *a, struct base_mono now, struct msg_report *ret)
{
    memset(ret, 0, sizeof(*ret));
    fill_identity(a, now, ret);
    fill_member(a, now, ret);
    fill_right(a, now, ret);
    fill_engine(a, ret);
    if (agt_engine(a) != NULL) {
        agt_engine(a)->report(a, now, ret);
    } else {
        fill_database(a, now, ret);
        fill_holder(a, now, ret);
        fill_note(a, ret);
    }
    ret->order_term = a->order_term;
    ret->order_number = a->order_number;
    ret->promised = a->disk.promised;
    ret->number = a->lease.number;
    if (agt_is_guard_deaf(a, now)) {
        MARK(AGENT_GUARD_DEAF);
        disown(ret, "the guard does not answer");
    } else if (agt_is_undying(a, now) && !CANARY(UNDYING_KEEPS_ROLE)) {
        MARK(AGENT_UNDYING);
        disown(ret, "processes of the database were killed and do not end: a disk hangs?");
    } else if (agt_is_arm_refused(a, now)) {
        ret->note = base_text_from(slice_from_text(
            "the guard refuses the lease, see its log: with watchdog.mode require it wants the "
            "device, and a ttl that leaves room for watchdog.timeout"));
    }
}

void agt_report_make(struct agt *a, struct base_mono t_send, struct msg_report *ret)
{
    uint64_t number = agt_lease_send(&a->lease, t_send);
    agt_report_peek(a, t_send, ret);
    BASE_ASSERT(ret->number == number);
    a->has_reported = true;
    a->reported_at = t_send;
    a->is_report_urgent = false;
}

static uint32_t mix(uint32_t crc, uint64_t value)
{
    return base_crc32c(crc, slice_from(&value, sizeof(value)));
}

/* What is told at once when it changes; positions and times are not among it. */
uint32_t agt_report_digest(const struct agt *a, struct base_mono now)
{
    uint32_t crc = mix(0, a->has_guard ? a->guard.instance : 0);
    crc = mix(crc, a->disk.epoch_seen);
    crc = mix(crc, agt_holds(a) ? a->guard.epoch : 0);
    crc = mix(crc, a->has_guard ? a->guard.epoch_handed_back : 0);
    crc = mix(crc, a->has_guard ? (uint64_t)a->guard.tree : 99);
    crc = mix(crc, a->disk.promised.term);
    crc = mix(crc, a->disk.promised.number);
    crc = mix(crc, is_paused_here(a));
    crc = mix(crc, agt_is_undying(a, now));
    crc = mix(crc, a->disk.task_done);
    crc = base_crc32c(crc, slice_from(&a->failsafe.members, sizeof(a->failsafe.members)));
    if (agt_engine(a) != NULL) {
        return mix(crc, agt_engine(a)->digest(a, now));
    }
    if (!a->has_view) {
        return crc;
    }
    crc = mix(crc, a->view.config_revision);
    crc = mix(crc, a->view.is_restart_pending);
    crc = mix(crc, a->view.is_write_failing);
    crc = mix(crc, (uint64_t)db_state_of(a, now));
    crc = mix(crc, agt_is_open(a, now));
    crc = mix(crc, agt_vote_is_final(a));
    crc = mix(crc, agt_is_end_unread(a));
    crc = mix(crc, a->view.is_process);
    crc = mix(crc, a->view.is_receiving);
    crc = mix(crc, agt_is_passed_over(a) ? 0 : a->view.system_id);
    crc = mix(crc, a->is_sync_in_force);
    crc = mix(crc, a->is_barrier_passed);
    crc = mix(crc, a->sync_count);
    crc = base_crc32c(crc, slice_from(&a->sync_names, sizeof(a->sync_names)));
    for (uint8_t i = 0; i < a->view.standbys_count; i++) {
        const struct msg_standby *s = &a->view.standbys[i];
        crc = base_crc32c(crc, slice_from(&s->member, sizeof(s->member)));
        crc = mix(crc, s->is_streaming);
        crc = mix(crc, a->opened_lsn > 0 && s->flush_lsn >= a->opened_lsn);
    }
    return crc;
}
