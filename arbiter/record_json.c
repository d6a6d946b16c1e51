/* SPDX-License-Identifier: Apache-2.0 */
/* JSON text of records, members and history. */
#include "arbiter/record_json.h"

#include "arbiter/json_put.h"
#include "arbiter/record_galera.h"
#include "arbiter/record_mongodb.h"
#include "base/assert.h"
#include "base/name.h"

const char *arb_decision_name(enum arb_decision_kind kind)
{
#define DECISION_NAME(id, name) name,
    static const char *const names[] = {ARB_DECISIONS(DECISION_NAME)};
#undef DECISION_NAME
    BASE_ASSERT((size_t)kind < BASE_COUNT_OF(names));
    return names[kind];
}

const char *arb_db_state_name(enum msg_db_state state)
{
    static const char *const names[] = {"unknown",  "empty",   "creating",  "stopped",
                                        "starting", "standby", "promoting", "primary",
                                        "stopping", "frozen",  "failed"};
    BASE_ASSERT((size_t)state < BASE_COUNT_OF(names));
    return names[state];
}

const char *arb_record_state_name(enum msg_record_state state)
{
    static const char *const names[] = {"none", "bootstrap", "running", "switchover"};
    BASE_ASSERT((size_t)state < BASE_COUNT_OF(names));
    return names[state];
}

static void put_id(struct buf *out, const char *key, uint64_t value, bool is_hex)
{
    arb_put_key(out, key);
    buf_put_u8(out, '"');
    if (is_hex) {
        buf_put_hex(out, value, 16);
    } else {
        buf_put_dec(out, value);
    }
    buf_put_u8(out, '"');
}

static void put_lsn(struct buf *out, const char *key, uint64_t lsn)
{
    arb_put_key(out, key);
    buf_put_u8(out, '"');
    arb_lsn_put(lsn, out);
    buf_put_u8(out, '"');
}

static void put_position(struct buf *out, const char *key, const struct msg_position *p)
{
    arb_put_key(out, key);
    buf_put_u8(out, '{');
    arb_put_number(out, "lineage", p->lineage);
    arb_put_number(out, "timeline", p->timeline);
    put_lsn(out, "lsn", p->lsn);
    buf_put_u8(out, '}');
}

static void put_names(struct buf *out, const char *key, const struct msg_names *names)
{
    arb_put_key(out, key);
    buf_put_u8(out, '[');
    for (uint8_t i = 0; i < names->count; i++) {
        if (i > 0) {
            buf_put_u8(out, ',');
        }
        arb_json_text(out, base_name_slice(&names->names[i]));
    }
    buf_put_u8(out, ']');
}

const char *arb_sync_mode_name(enum msg_sync_mode mode)
{
    static const char *const names[] = {"sync", "async", "first"};
    BASE_ASSERT((size_t)mode < BASE_COUNT_OF(names));
    return names[mode];
}

const char *arb_task_name(enum msg_task_kind kind)
{
    static const char *const names[] = {"none", "restart", "reload", "reinit"};
    BASE_ASSERT((size_t)kind < BASE_COUNT_OF(names));
    return names[kind];
}

static void put_task(struct buf *out, const struct msg_task *task)
{
    buf_put_u8(out, '{');
    arb_put_number(out, "id", task->id);
    arb_put_word(out, "kind", arb_task_name(task->kind));
    arb_put_name(out, "member", &task->member);
    arb_put_bool(out, "is_pending_only", task->is_pending_only);
    arb_put_signed(out, "at_wall_us", task->at_wall_us);
    buf_put_u8(out, '}');
}

/* Settings that came later, and what operators asked for. */
static void put_wishes(struct buf *out, const struct msg_record *r)
{
    static const char *const on_crash[] = {"own", "auto", "failover", "restart"};
    static const char *const fence[] = {"off", "try", "require"};
    arb_put_word(out, "on_crash", on_crash[r->on_crash]);
    arb_put_number(out, "start_timeout_ms", r->start_timeout_ms);
    arb_put_number(out, "failover_interval_ms", r->failover_interval_ms);
    arb_put_bool(out, "is_failsafe", r->is_failsafe);
    arb_put_word(out, "fence_mode", fence[r->fence_mode]);
    arb_put_bool(out, "is_fence_trusted", r->is_fence_trusted);
    arb_put_bool(out, "is_standby_cluster", r->is_standby_cluster);
    arb_put_number(out, "config_revision", r->config_revision);
    arb_put_bool(out, "is_paused", r->is_paused);
    arb_put_number(out, "fencing_epoch", r->fencing_epoch);
    put_names(out, "drained", &r->drained);
    arb_put_signed(out, "switchover_at_wall_us", r->switchover_at_wall_us);
    arb_put_name(out, "switchover_to", &r->switchover_to);
    put_names(out, "failsafe_members", &r->failsafe_members);
    arb_put_key(out, "tasks");
    buf_put_u8(out, '[');
    for (size_t i = 0; i < r->tasks_count; i++) {
        buf_put_text(out, i > 0 ? "," : "");
        put_task(out, &r->tasks[i]);
    }
    buf_put_u8(out, ']');
}

void arb_json_record(struct buf *out, const struct msg_record *r)
{
    buf_put_u8(out, '{');
    arb_put_name(out, "cluster", &r->cluster);
    arb_put_number(out, "epoch", r->epoch);
    arb_put_number(out, "revision", r->revision);
    arb_put_word(out, "state", arb_record_state_name(r->state));
    arb_put_name(out, "holder", &r->holder);
    put_id(out, "holder_instance", r->holder_instance, true);
    arb_put_name(out, "target", &r->target);
    arb_put_bool(out, "is_opened", r->is_opened);
    arb_put_signed(out, "since_wall_us", r->since_wall_us);
    put_id(out, "system_id", r->system_id, false);
    put_position(out, "floor", &r->floor);
    arb_put_number(out, "floor_epoch", r->floor_epoch);
    arb_put_number(out, "timeline", r->timeline);
    arb_put_number(out, "timeline_highest", r->timeline_highest);
    put_names(out, "voters", &r->voters);
    arb_put_number(out, "votes_needed_r", r->votes_needed_r);
    arb_put_number(out, "ttl_ms", r->ttl_ms);
    arb_put_number(out, "heartbeat_ms", r->heartbeat_ms);
    arb_put_number(out, "freeze_max_ms", r->freeze_max_ms);
    arb_put_word(out, "sync_mode", arb_sync_mode_name(r->sync_mode));
    arb_put_number(out, "sync_count", r->sync_count);
    arb_put_bool(out, "is_sync_strict", r->is_sync_strict);
    arb_put_number(out, "maximum_lag_bytes", r->maximum_lag_bytes);
    put_id(out, "restore_id", r->restore_id, true);
    put_wishes(out, r);
    if (r->engine == MSG_ENGINE_GALERA) {
        arb_put_word(out, "engine", "galera");
        arb_json_galera_record(out, &r->galera);
    } else if (r->engine == MSG_ENGINE_MONGODB) {
        arb_put_word(out, "engine", "mongodb");
        arb_json_mongodb_record(out, &r->mongodb);
    }
    buf_put_u8(out, '}');
}

static void put_tags(struct buf *out, const struct msg_report *r)
{
    arb_put_name(out, "zone", &r->zone);
    arb_put_name(out, "replicatefrom", &r->replicatefrom);
    arb_put_name(out, "upstream", &r->upstream);
    arb_put_number(out, "priority", r->priority);
    arb_put_bool(out, "is_nofailover", r->is_nofailover);
    arb_put_bool(out, "is_nosync", r->is_nosync);
    arb_put_bool(out, "is_noloadbalance", r->is_noloadbalance);
    arb_put_bool(out, "is_clonefrom", r->is_clonefrom);
    arb_put_bool(out, "is_restart_pending", r->is_restart_pending);
}

static void put_seen(struct buf *out, const struct arb_seen *seen)
{
    arb_put_bool(out, "is_up", seen->is_up);
    arb_put_signed(out, "since_wall_us", seen->since_wall_us);
}

void arb_json_member(struct buf *out, const struct arb_view *view, const struct arb_seen *seen)
{
    if (view == NULL) { /* nothing but where it was */
        buf_put_u8(out, '{');
        arb_put_name(out, "member", &seen->member);
        arb_put_text(out, "host", base_text_slice(&seen->host));
        arb_put_number(out, "db_port", seen->db_port);
        arb_put_number(out, "http_port", seen->http_port);
        arb_put_word(out, "state", arb_db_state_name(MSG_DB_UNKNOWN));
        arb_put_bool(out, "is_open", false);
        put_seen(out, seen);
        buf_put_u8(out, '}');
        return;
    }
    const struct msg_report *r = &view->report;
    buf_put_u8(out, '{');
    arb_put_name(out, "member", &view->member);
    arb_put_text(out, "host", base_text_slice(&r->host));
    arb_put_number(out, "db_port", r->db_port);
    arb_put_number(out, "http_port", r->http_port);
    put_tags(out, r);
    if (seen != NULL) {
        put_seen(out, seen);
    }
    arb_put_word(out, "state", arb_db_state_name(r->db_state));
    arb_put_bool(out, "is_open", r->is_open);
    arb_put_bool(out, "is_receiving", r->is_receiving);
    arb_put_bool(out, "is_rejoin_needed", r->is_rejoin_needed);
    arb_put_number(out, "timeline", r->position.timeline);
    arb_put_number(out, "epoch_held", r->epoch_held);
    arb_put_word(out, "refused", arb_refusal_name(view->refused));
    arb_put_text(out, "note", base_text_slice(&r->note));
    if (r->engine == MSG_ENGINE_GALERA) {
        arb_json_galera_member(out, &r->galera);
    } else if (r->engine == MSG_ENGINE_MONGODB) {
        arb_json_mongodb_member(out, &r->mongodb);
    }
    buf_put_u8(out, '}');
}

static void put_input(struct buf *out, const struct arb_decision *decision,
                      const struct arb_input *input)
{
    buf_put_u8(out, '{');
    arb_put_name(out, "member", &input->member);
    if (decision->engine == MSG_ENGINE_GALERA) {
        arb_put_number(out, "generation", input->position.lineage);
        arb_put_number(out, "seqno", input->position.lsn);
    } else if (decision->engine == MSG_ENGINE_MONGODB) {
        arb_put_number(out, "term", input->position.lineage);
        arb_put_number(out, "ts", input->position.lsn);
    } else {
        put_position(out, "position", &input->position);
    }
    arb_put_signed(out, "heard_ago_us", input->heard_ago_us);
    arb_put_bool(out, "is_voter", input->is_voter);
    arb_put_bool(out, "is_vote", input->is_vote);
    arb_put_word(out, "verdict", arb_refusal_name(input->why));
    arb_put_word(out, "why", arb_refusal_text(input->why));
    buf_put_u8(out, '}');
}

static void put_note(struct buf *out, const struct arb_note *note, struct base_mono last)
{
    uint8_t memory[512];
    struct buf sentence = buf_over(memory, sizeof(memory));
    arb_note_put(note, &sentence);
    buf_put_u8(out, '{');
    arb_put_signed(out, "before_us", base_mono_diff_us(last, note->at));
    arb_put_word(out, "event", arb_note_name(note->kind));
    arb_put_text(out, "text", buf_slice(&sentence));
    buf_put_u8(out, '}');
}

static void put_times(struct buf *out, const struct arb_decision *d)
{
    arb_put_key(out, "times_us");
    buf_put_u8(out, '{');
    arb_put_signed(out, "detection", d->detection_us);
    arb_put_signed(out, "lease", d->lease_us);
    arb_put_signed(out, "vote", d->vote_us);
    arb_put_signed(out, "commit", d->commit_us);
    arb_put_signed(out, "open", d->open_us);
    buf_put_u8(out, '}');
}

static const char *over_name(enum arb_over over)
{
    static const char *const names[] = {"", "handed back after an orderly stop", "handed back",
                                        "the lease ran out"};
    return names[over];
}

static void put_decision(struct buf *out, const struct arb_decision *d)
{
    arb_put_word(out, "kind", arb_decision_name(d->kind));
    arb_put_name(out, "from", &d->from);
    arb_put_name(out, "to", &d->to);
    if (d->kind == ARB_DECIDE_MONGODB_ORDER) {
        arb_json_mongodb_decision(out, d);
    } else {
        arb_put_word(out, "reason", over_name(d->over));
    }
    arb_put_number(out, "attempt_term", d->attempt.term);
    arb_put_number(out, "attempt_number", d->attempt.number);
    put_position(out, "floor", &d->floor);
    arb_put_number(out, "votes_needed", d->votes_needed);
    arb_put_number(out, "votes_counted", d->votes_counted);
    arb_put_bool(out, "is_loss_possible", d->is_loss_possible);
    arb_put_number(out, "loss_bound_bytes", d->loss_bound_bytes);
    put_times(out, d);
}

void arb_json_history(struct buf *out, const struct msg_record *record,
                      const struct arb_decision *decision, const struct arb_note *notes,
                      size_t notes_count)
{
    buf_put_u8(out, '{');
    arb_put_name(out, "cluster", &record->cluster);
    arb_put_number(out, "epoch", record->epoch);
    arb_put_number(out, "timeline", record->timeline);
    arb_put_signed(out, "since_wall_us", record->since_wall_us);
    put_decision(out, decision);
    arb_put_key(out, "inputs");
    buf_put_u8(out, '[');
    for (uint8_t i = 0; i < decision->inputs_count; i++) {
        if (i > 0) {
            buf_put_u8(out, ',');
        }
        put_input(out, decision, &decision->inputs[i]);
    }
    buf_put_text(out, "]");
    arb_put_key(out, "notes");
    buf_put_u8(out, '[');
    for (size_t i = 0; i < notes_count; i++) {
        if (i > 0) {
            buf_put_u8(out, ',');
        }
        put_note(out, &notes[i], notes[notes_count - 1].at);
    }
    buf_put_text(out, "]}");
}
