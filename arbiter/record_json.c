/* SPDX-License-Identifier: Apache-2.0 */
/* JSON text of records, members and history. */
#include "arbiter/record_json.h"

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

void arb_json_text(struct buf *out, struct slice text)
{
    buf_put_u8(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c == '"' || c == '\\') {
            buf_put_u8(out, '\\');
            buf_put_u8(out, c);
        } else if (c < ' ' || c >= 0x7f) { /* also what may not be UTF-8 */
            buf_put_text(out, "\\u");
            buf_put_hex(out, c, 4);
        } else {
            buf_put_u8(out, c);
        }
    }
    buf_put_u8(out, '"');
}

/* --- fields: each puts a comma before itself unless it is the first of its object --- */

static void put_key(struct buf *out, const char *key)
{
    if (out->len > 0 && out->data[out->len - 1] != '{') {
        buf_put_u8(out, ',');
    }
    arb_json_text(out, slice_from_text(key));
    buf_put_u8(out, ':');
}

static void put_text(struct buf *out, const char *key, struct slice text)
{
    put_key(out, key);
    arb_json_text(out, text);
}

static void put_word(struct buf *out, const char *key, const char *word)
{
    put_text(out, key, slice_from_text(word));
}

static void put_name(struct buf *out, const char *key, const struct base_name *name)
{
    put_text(out, key, base_name_slice(name));
}

static void put_number(struct buf *out, const char *key, uint64_t value)
{
    put_key(out, key);
    buf_put_dec(out, value);
}

static void put_signed(struct buf *out, const char *key, int64_t value)
{
    put_key(out, key);
    buf_put_int(out, value);
}

static void put_bool(struct buf *out, const char *key, bool value)
{
    put_key(out, key);
    buf_put_text(out, value ? "true" : "false");
}

static void put_id(struct buf *out, const char *key, uint64_t value, bool is_hex)
{
    put_key(out, key);
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
    put_key(out, key);
    buf_put_u8(out, '"');
    arb_lsn_put(lsn, out);
    buf_put_u8(out, '"');
}

static void put_position(struct buf *out, const char *key, const struct msg_position *p)
{
    put_key(out, key);
    buf_put_u8(out, '{');
    put_number(out, "lineage", p->lineage);
    put_number(out, "timeline", p->timeline);
    put_lsn(out, "lsn", p->lsn);
    buf_put_u8(out, '}');
}

static void put_names(struct buf *out, const char *key, const struct msg_names *names)
{
    put_key(out, key);
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
    put_number(out, "id", task->id);
    put_word(out, "kind", arb_task_name(task->kind));
    put_name(out, "member", &task->member);
    put_bool(out, "is_pending_only", task->is_pending_only);
    put_signed(out, "at_wall_us", task->at_wall_us);
    buf_put_u8(out, '}');
}

/* Settings that came later, and what operators asked for. */
static void put_wishes(struct buf *out, const struct msg_record *r)
{
    static const char *const on_crash[] = {"own", "auto", "failover", "restart"};
    static const char *const fence[] = {"off", "try", "require"};
    put_word(out, "on_crash", on_crash[r->on_crash]);
    put_number(out, "start_timeout_ms", r->start_timeout_ms);
    put_number(out, "failover_interval_ms", r->failover_interval_ms);
    put_bool(out, "is_failsafe", r->is_failsafe);
    put_word(out, "fence_mode", fence[r->fence_mode]);
    put_bool(out, "is_fence_trusted", r->is_fence_trusted);
    put_bool(out, "is_standby_cluster", r->is_standby_cluster);
    put_number(out, "config_revision", r->config_revision);
    put_bool(out, "is_paused", r->is_paused);
    put_number(out, "fencing_epoch", r->fencing_epoch);
    put_names(out, "drained", &r->drained);
    put_signed(out, "switchover_at_wall_us", r->switchover_at_wall_us);
    put_name(out, "switchover_to", &r->switchover_to);
    put_names(out, "failsafe_members", &r->failsafe_members);
    put_key(out, "tasks");
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
    put_name(out, "cluster", &r->cluster);
    put_number(out, "epoch", r->epoch);
    put_number(out, "revision", r->revision);
    put_word(out, "state", arb_record_state_name(r->state));
    put_name(out, "holder", &r->holder);
    put_id(out, "holder_instance", r->holder_instance, true);
    put_name(out, "target", &r->target);
    put_bool(out, "is_opened", r->is_opened);
    put_signed(out, "since_wall_us", r->since_wall_us);
    put_id(out, "system_id", r->system_id, false);
    put_position(out, "floor", &r->floor);
    put_number(out, "floor_epoch", r->floor_epoch);
    put_number(out, "timeline", r->timeline);
    put_number(out, "timeline_highest", r->timeline_highest);
    put_names(out, "voters", &r->voters);
    put_number(out, "votes_needed_r", r->votes_needed_r);
    put_number(out, "ttl_ms", r->ttl_ms);
    put_number(out, "heartbeat_ms", r->heartbeat_ms);
    put_number(out, "freeze_max_ms", r->freeze_max_ms);
    put_word(out, "sync_mode", arb_sync_mode_name(r->sync_mode));
    put_number(out, "sync_count", r->sync_count);
    put_bool(out, "is_sync_strict", r->is_sync_strict);
    put_number(out, "maximum_lag_bytes", r->maximum_lag_bytes);
    put_id(out, "restore_id", r->restore_id, true);
    put_wishes(out, r);
    if (r->engine == MSG_ENGINE_GALERA) {
        put_word(out, "engine", "galera");
        arb_json_galera_record(out, &r->galera);
    } else if (r->engine == MSG_ENGINE_MONGODB) {
        put_word(out, "engine", "mongodb");
        arb_json_mongodb_record(out, &r->mongodb);
    }
    buf_put_u8(out, '}');
}

static void put_tags(struct buf *out, const struct msg_report *r)
{
    put_name(out, "zone", &r->zone);
    put_name(out, "replicatefrom", &r->replicatefrom);
    put_name(out, "upstream", &r->upstream);
    put_number(out, "priority", r->priority);
    put_bool(out, "is_nofailover", r->is_nofailover);
    put_bool(out, "is_nosync", r->is_nosync);
    put_bool(out, "is_noloadbalance", r->is_noloadbalance);
    put_bool(out, "is_clonefrom", r->is_clonefrom);
    put_bool(out, "is_restart_pending", r->is_restart_pending);
}

static void put_seen(struct buf *out, const struct arb_seen *seen)
{
    put_bool(out, "is_up", seen->is_up);
    put_signed(out, "since_wall_us", seen->since_wall_us);
}

void arb_json_member(struct buf *out, const struct arb_view *view, const struct arb_seen *seen)
{
    if (view == NULL) { /* nothing but where it was */
        buf_put_u8(out, '{');
        put_name(out, "member", &seen->member);
        put_text(out, "host", base_text_slice(&seen->host));
        put_number(out, "db_port", seen->db_port);
        put_number(out, "http_port", seen->http_port);
        put_word(out, "state", arb_db_state_name(MSG_DB_UNKNOWN));
        put_bool(out, "is_open", false);
        put_seen(out, seen);
        buf_put_u8(out, '}');
        return;
    }
    const struct msg_report *r = &view->report;
    buf_put_u8(out, '{');
    put_name(out, "member", &view->member);
    put_text(out, "host", base_text_slice(&r->host));
    put_number(out, "db_port", r->db_port);
    put_number(out, "http_port", r->http_port);
    put_tags(out, r);
    if (seen != NULL) {
        put_seen(out, seen);
    }
    put_word(out, "state", arb_db_state_name(r->db_state));
    put_bool(out, "is_open", r->is_open);
    put_bool(out, "is_receiving", r->is_receiving);
    put_bool(out, "is_rejoin_needed", r->is_rejoin_needed);
    put_number(out, "timeline", r->position.timeline);
    put_number(out, "epoch_held", r->epoch_held);
    put_word(out, "refused", arb_refusal_name(view->refused));
    put_text(out, "note", base_text_slice(&r->note));
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
    put_name(out, "member", &input->member);
    if (decision->engine == MSG_ENGINE_GALERA) {
        put_number(out, "generation", input->position.lineage);
        put_number(out, "seqno", input->position.lsn);
    } else if (decision->engine == MSG_ENGINE_MONGODB) {
        put_number(out, "term", input->position.lineage);
        put_number(out, "ts", input->position.lsn);
    } else {
        put_position(out, "position", &input->position);
    }
    put_signed(out, "heard_ago_us", input->heard_ago_us);
    put_bool(out, "is_voter", input->is_voter);
    put_bool(out, "is_vote", input->is_vote);
    put_word(out, "verdict", arb_refusal_name(input->why));
    put_word(out, "why", arb_refusal_text(input->why));
    buf_put_u8(out, '}');
}

static void put_note(struct buf *out, const struct arb_note *note, struct base_mono last)
{
    uint8_t memory[512];
    struct buf sentence = buf_over(memory, sizeof(memory));
    arb_note_put(note, &sentence);
    buf_put_u8(out, '{');
    put_signed(out, "before_us", base_mono_diff_us(last, note->at));
    put_word(out, "event", arb_note_name(note->kind));
    put_text(out, "text", buf_slice(&sentence));
    buf_put_u8(out, '}');
}

static void put_times(struct buf *out, const struct arb_decision *d)
{
    put_key(out, "times_us");
    buf_put_u8(out, '{');
    put_signed(out, "detection", d->detection_us);
    put_signed(out, "lease", d->lease_us);
    put_signed(out, "vote", d->vote_us);
    put_signed(out, "commit", d->commit_us);
    put_signed(out, "open", d->open_us);
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
    put_word(out, "kind", arb_decision_name(d->kind));
    put_name(out, "from", &d->from);
    put_name(out, "to", &d->to);
    if (d->kind == ARB_DECIDE_MONGODB_ORDER) {
        arb_json_mongodb_decision(out, d);
    } else {
        put_word(out, "reason", over_name(d->over));
    }
    put_number(out, "attempt_term", d->attempt.term);
    put_number(out, "attempt_number", d->attempt.number);
    put_position(out, "floor", &d->floor);
    put_number(out, "votes_needed", d->votes_needed);
    put_number(out, "votes_counted", d->votes_counted);
    put_bool(out, "is_loss_possible", d->is_loss_possible);
    put_number(out, "loss_bound_bytes", d->loss_bound_bytes);
    put_times(out, d);
}

void arb_json_history(struct buf *out, const struct msg_record *record,
                      const struct arb_decision *decision, const struct arb_note *notes,
                      size_t notes_count)
{
    buf_put_u8(out, '{');
    put_name(out, "cluster", &record->cluster);
    put_number(out, "epoch", record->epoch);
    put_number(out, "timeline", record->timeline);
    put_signed(out, "since_wall_us", record->since_wall_us);
    put_decision(out, decision);
    put_key(out, "inputs");
    buf_put_u8(out, '[');
    for (uint8_t i = 0; i < decision->inputs_count; i++) {
        if (i > 0) {
            buf_put_u8(out, ',');
        }
        put_input(out, decision, &decision->inputs[i]);
    }
    buf_put_text(out, "]");
    put_key(out, "notes");
    buf_put_u8(out, '[');
    for (size_t i = 0; i < notes_count; i++) {
        if (i > 0) {
            buf_put_u8(out, ',');
        }
        put_note(out, &notes[i], notes[notes_count - 1].at);
    }
    buf_put_text(out, "]}");
}
