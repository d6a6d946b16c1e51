/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of the agent's HTTP answers: JSON as Patroni's users know it.
 *
 * Fields are never renamed. What the agent does not know is left out or says "unknown"; nothing is
 * made up.
 */
#include "agents/http.h"
#include "agents/http_json.h"

#include "base/name.h"

/* --- words -------------------------------------------------------------------------------------
 */

static const char *state_text(enum msg_db_state state)
{
    static const char *const texts[] = {
        [MSG_DB_UNKNOWN] = "unknown",           [MSG_DB_EMPTY] = "stopped",
        [MSG_DB_CREATING] = "creating replica", [MSG_DB_STOPPED] = "stopped",
        [MSG_DB_STARTING] = "starting",         [MSG_DB_STANDBY] = "running",
        [MSG_DB_PROMOTING] = "running",         [MSG_DB_PRIMARY] = "running",
        [MSG_DB_STOPPING] = "stopping",         [MSG_DB_FROZEN] = "frozen",
        [MSG_DB_FAILED] = "start failed",
    };
    return (size_t)state < BASE_COUNT_OF(texts) ? texts[state] : "unknown";
}

static bool is_unlocked(const struct agt_http_snapshot *s)
{
    return s->order == NULL || s->order->record.epoch == 0;
}

static int64_t seen_wall_s(const struct agt_http_snapshot *s)
{
    if (s->order_age_us < 0 || s->wall.us == 0) {
        return 0;
    }
    return (s->wall.us - s->order_age_us) / BASE_US_PER_S;
}

static bool names_have(const struct msg_names *names, const struct base_name *name)
{
    for (uint8_t i = 0; i < names->count; i++) {
        if (base_name_equal(&names->names[i], name)) {
            return true;
        }
    }
    return false;
}

/* --- /patroni ----------------------------------------------------------------------------------
 */

static void put_xlog(struct agt_json *j, const struct agt_http_snapshot *s)
{
    agt_json_open(j, "xlog", '{');
    if (s->report->db_state == MSG_DB_PRIMARY) {
        agt_json_put_number(j, "location", s->report->position.lsn);
    } else {
        agt_json_put_number(j, "received_location", s->report->position.lsn);
        agt_json_put_number(j, "replayed_location", s->report->replay_lsn);
    }
    agt_json_close(j, '}');
}

static const char *sync_state_text(const struct agt_http_snapshot *s, const struct base_name *name)
{
    const struct msg_report *r = s->report;
    if (!r->is_sync_known || r->sync_count == 0 || !names_have(&r->sync_names, name)) {
        return "async";
    }
    bool is_any = s->order == NULL || s->order->record.sync_mode == MSG_SYNC_ON;
    return is_any ? "quorum" : "sync";
}

static void put_replication(struct agt_json *j, const struct agt_http_snapshot *s)
{
    const struct msg_report *r = s->report;
    if (r->standbys_count == 0) {
        return;
    }
    agt_json_open(j, "replication", '[');
    for (uint8_t i = 0; i < r->standbys_count; i++) {
        agt_json_open(j, NULL, '{');
        agt_json_put_text(j, "application_name", r->standbys[i].member.text);
        agt_json_put_text(j, "state", r->standbys[i].is_streaming ? "streaming" : "catchup");
        agt_json_put_text(j, "sync_state", sync_state_text(s, &r->standbys[i].member));
        agt_json_put_lsn(j, "flush_lsn", r->standbys[i].flush_lsn);
        agt_json_put_bool(j, "confirmed", r->standbys[i].is_confirmed);
        agt_json_close(j, '}');
    }
    agt_json_close(j, ']');
}

/* The flags that are set, and the texts; nothing at all when there is none. */
static void put_tags(struct agt_json *j, const struct agt_http_snapshot *s)
{
    const struct agt_http_tags tags = agt_http_tags(s);
    agt_json_open(j, "tags", '{');
    for (size_t i = 0; i < BASE_COUNT_OF(tags.flags); i++) {
        if (tags.flags[i].is_set) {
            agt_json_put_bool(j, tags.flags[i].name, true);
        }
    }
    for (size_t i = 0; i < BASE_COUNT_OF(tags.texts); i++) {
        if (tags.texts[i].text[0] != '\0') {
            agt_json_put_text(j, tags.texts[i].name, tags.texts[i].text);
        }
    }
    agt_json_put_number(j, "failover_priority", s->report->priority);
    agt_json_close(j, '}');
}

static void put_scheduled_restart(struct agt_json *j, const struct agt_http_snapshot *s,
                                  const struct base_name *member)
{
    for (uint8_t i = 0; s->order != NULL && i < s->order->record.tasks_count; i++) {
        const struct msg_task *task = &s->order->record.tasks[i];
        if (task->kind == MSG_TASK_RESTART && task->at_wall_us > MSG_TASK_AT_ONCE &&
            base_name_equal(&task->member, member)) {
            agt_json_open(j, "scheduled_restart", '{');
            agt_json_put_time(j, "schedule", task->at_wall_us);
            if (task->is_pending_only) {
                agt_json_put_bool(j, "restart_pending", true);
            }
            agt_json_close(j, '}');
            return;
        }
    }
}

static void put_quorate(struct agt_json *j, const struct agt_http_snapshot *s)
{
    const struct msg_report *r = s->report;
    agt_json_open(j, "quorate", '{');
    agt_json_put_text(j, "version", QUORATE_VERSION);
    agt_json_put_number(j, "epoch_seen", r->epoch_seen);
    agt_json_put_number(j, "epoch_held", r->epoch_held);
    agt_json_put_bool(j, "open", s->is_open);
    agt_json_put_number(j, "lease_left_ms",
                        r->lease_left_us > 0 ? (uint64_t)(r->lease_left_us / BASE_US_PER_MS) : 0);
    agt_json_put_number(j, "pause_worst_ms", (uint64_t)(r->pause_worst_us / BASE_US_PER_MS));
    agt_json_put_bool(j, "rejoin_needed", r->is_rejoin_needed);
    agt_json_put_bool(j, "adopted", s->guard != NULL && s->guard->is_adopted);
    agt_json_put_bool(j, "drained", agt_http_is_drained(s));
    agt_json_put_bool(j, "write_failing", r->is_write_failing);
    agt_json_put_number(j, "config_revision", r->config_revision);
    agt_json_put_number(j, "connections", r->connections);
    agt_json_put_number(j, "connections_max", r->connections_max);
    agt_json_put_number(j, "disk_free_bytes", r->disk_free_bytes);
    if (r->work_total_bytes > 0) {
        agt_json_put_number(j, "work_done_bytes", r->work_done_bytes);
        agt_json_put_number(j, "work_total_bytes", r->work_total_bytes);
    }
    agt_json_put_text(j, "note", r->note.text);
    agt_json_close(j, '}');
}

static const char *role_text(const struct agt_http_snapshot *s)
{
    if (s->report->db_state == MSG_DB_PRIMARY) {
        return "primary";
    }
    return agt_http_check_standby_leader(s, SLICE_EMPTY) ? "standby_leader" : "replica";
}

/* Fields that are there only when there is something to say. */
static void put_now_and_then(struct agt_json *j, const struct agt_http_snapshot *s)
{
    const struct msg_report *r = s->report;
    if (agt_http_is_voter(s)) {
        agt_json_put_bool(j, "sync_standby", true);
        if (agt_http_check_quorum(s, SLICE_EMPTY)) {
            agt_json_put_bool(j, "quorum_standby", true);
        }
    }
    if (r->is_receiving) {
        agt_json_put_text(j, "replication_state", "streaming");
    }
    if (is_unlocked(s)) {
        agt_json_put_bool(j, "cluster_unlocked", true);
    }
    if (r->is_failsafe) {
        agt_json_put_bool(j, "failsafe_mode_is_active", true);
    }
    if (agt_http_is_paused(s)) {
        agt_json_put_bool(j, "pause", true);
    }
    if (r->is_restart_pending) {
        agt_json_put_bool(j, "pending_restart", true);
        agt_json_put_text(j, "pending_restart_reason", r->pending_restart.text);
    }
    put_scheduled_restart(j, s, &r->member);
}

void agt_http_put_patroni(const struct agt_http_snapshot *s, struct buf *b)
{
    struct agt_json j = {b, false};
    const struct msg_report *r = s->report;
    agt_json_open(&j, NULL, '{');
    agt_json_put_text(&j, "state", state_text(r->db_state));
    if (s->seen != NULL && s->seen->root_started_wall_us != 0) {
        agt_json_put_time(&j, "postmaster_start_time", s->seen->root_started_wall_us);
    }
    agt_json_put_text(&j, "role", role_text(s));
    if (r->db_version != 0) {
        agt_json_put_number(&j, "server_version", r->db_version);
    }
    put_xlog(&j, s);
    agt_json_put_number(&j, "timeline", r->position.timeline);
    put_replication(&j, s);
    put_now_and_then(&j, s);
    agt_json_put_number(&j, "dcs_last_seen", (uint64_t)seen_wall_s(s));
    put_tags(&j, s);
    agt_json_key(&j, "database_system_identifier");
    buf_put_u8(b, '"');
    buf_put_dec(b, r->system_id);
    buf_put_u8(b, '"');
    agt_json_open(&j, "patroni", '{');
    agt_json_put_text(&j, "version", "4.0.0");
    agt_json_put_text(&j, "scope", r->cluster.text);
    agt_json_put_text(&j, "name", r->member.text);
    agt_json_close(&j, '}');
    put_quorate(&j, s);
    agt_json_close(&j, '}');
    buf_put_u8(b, '\n');
}

/* --- /cluster ----------------------------------------------------------------------------------
 */

static const char *cluster_role(const struct msg_record *record, const struct base_name *member)
{
    if (base_name_equal(&record->holder, member)) {
        return record->is_standby_cluster ? "standby_leader" : "leader";
    }
    if (record->votes_needed_r == 0 || !names_have(&record->voters, member)) {
        return "replica";
    }
    return record->sync_mode == MSG_SYNC_FIRST ? "sync_standby" : "quorum_standby";
}

static const char *cluster_state(const struct msg_member *m)
{
    if (!m->is_heard) {
        return "down";
    }
    return m->db_state == MSG_DB_STANDBY && m->is_receiving ? "streaming" : state_text(m->db_state);
}

static void put_api_url(struct agt_json *j, const struct msg_member *m)
{
    bool is_v6 = false;
    for (const char *c = m->host.text; *c != '\0'; c++) {
        is_v6 = is_v6 || *c == ':';
    }
    agt_json_key(j, "api_url");
    buf_put_text(j->b, is_v6 ? "\"http://[" : "\"http://");
    buf_put(j->b, base_text_slice(&m->host));
    buf_put_text(j->b, is_v6 ? "]:" : ":");
    buf_put_dec(j->b, m->http_port);
    buf_put_text(j->b, "/patroni\"");
}

static void put_lag(struct agt_json *j, const char *key, uint64_t leader_lsn, uint64_t lsn,
                    bool is_known)
{
    if (is_known) {
        agt_json_put_number(j, key, leader_lsn > lsn ? leader_lsn - lsn : 0);
    } else {
        agt_json_put_text(j, key, "unknown");
    }
}

static void put_positions(struct agt_json *j, const struct agt_http_snapshot *s,
                          const struct msg_member *m)
{
    const struct msg_member *holder = agt_http_member(s, &s->order->record.holder);
    bool is_known = m->is_heard && m->lsn > 0 && holder != NULL && holder->lsn > 0;
    uint64_t leader_lsn = holder != NULL ? holder->lsn : 0;
    agt_json_put_lsn(j, "receive_lsn", m->lsn);
    put_lag(j, "receive_lag", leader_lsn, m->lsn, is_known);
    agt_json_put_lsn(j, "replay_lsn", m->replay_lsn);
    put_lag(j, "replay_lag", leader_lsn, m->replay_lsn, is_known);
    put_lag(j, "lag", leader_lsn, m->replay_lsn, is_known);
}

static void put_member_tags(struct agt_json *j, const struct msg_member *m, bool is_drained)
{
    const struct {
        const char *name;
        bool is_set;
    } flags[] = {{"nofailover", m->is_nofailover},
                 {"nosync", m->is_nosync},
                 {"noloadbalance", m->is_noloadbalance || is_drained},
                 {"clonefrom", m->is_clonefrom}};
    agt_json_open(j, "tags", '{');
    for (size_t i = 0; i < BASE_COUNT_OF(flags); i++) {
        if (flags[i].is_set) {
            agt_json_put_bool(j, flags[i].name, true);
        }
    }
    agt_json_put_number(j, "failover_priority", m->priority);
    agt_json_close(j, '}');
}

static void put_member(struct agt_json *j, const struct agt_http_snapshot *s,
                       const struct msg_member *m)
{
    const struct msg_record *record = &s->order->record;
    bool is_holder = base_name_equal(&record->holder, &m->member);
    agt_json_open(j, NULL, '{');
    agt_json_put_text(j, "name", m->member.text);
    agt_json_put_text(j, "role", cluster_role(record, &m->member));
    agt_json_put_text(j, "state", cluster_state(m));
    put_api_url(j, m);
    agt_json_put_text(j, "host", m->host.text);
    agt_json_put_number(j, "port", m->db_port);
    if (m->timeline > 0) {
        agt_json_put_number(j, "timeline", m->timeline);
    }
    put_member_tags(j, m, names_have(&record->drained, &m->member));
    if (m->is_restart_pending) {
        agt_json_put_bool(j, "pending_restart", true);
    }
    put_scheduled_restart(j, s, &m->member);
    if (is_holder) {
        agt_json_put_bool(j, "open", m->is_open);
        agt_json_put_lsn(j, "lsn", m->lsn);
    } else {
        put_positions(j, s, m);
        if (!base_name_is_empty(&m->upstream)) {
            agt_json_put_text(j, "upstream", m->upstream.text);
        }
    }
    agt_json_close(j, '}');
}

static void put_schedule(struct agt_json *j, const struct msg_record *record)
{
    if (record->switchover_at_wall_us == 0) {
        return;
    }
    agt_json_open(j, "scheduled_switchover", '{');
    agt_json_put_time(j, "at", record->switchover_at_wall_us);
    agt_json_put_text(j, "from", record->holder.text);
    if (!base_name_is_empty(&record->switchover_to)) {
        agt_json_put_text(j, "to", record->switchover_to.text);
    }
    agt_json_close(j, '}');
}

void agt_http_put_cluster(const struct agt_http_snapshot *s, struct buf *b)
{
    struct agt_json j = {b, false};
    agt_json_open(&j, NULL, '{');
    agt_json_open(&j, "members", '[');
    for (uint8_t i = 0; s->order != NULL && i < s->order->members_count; i++) {
        put_member(&j, s, &s->order->members[i]);
    }
    agt_json_close(&j, ']');
    agt_json_put_text(&j, "scope", s->report->cluster.text);
    if (s->order != NULL) {
        if (s->order->record.is_paused) {
            agt_json_put_bool(&j, "pause", true);
        }
        put_schedule(&j, &s->order->record);
        agt_json_put_number(&j, "epoch", s->order->record.epoch);
        agt_json_put_number(&j, "order_age_ms", (uint64_t)(s->order_age_us / BASE_US_PER_MS));
    }
    agt_json_close(&j, '}');
    buf_put_u8(b, '\n');
}

/* --- /history, /config, /failsafe ---------------------------------------------------------------
 */

static void put_opening(struct agt_json *j, const struct agt_http_snapshot *s,
                        const struct agt_opening *o, uint32_t timeline_left)
{
    const struct agt_http_epoch *seen =
        s->seen != NULL ? agt_http_seen_epoch(s->seen, o->epoch) : NULL;
    agt_json_open(j, NULL, '[');
    agt_json_put_number(j, NULL, timeline_left);
    agt_json_put_number(j, NULL, o->floor_lsn);
    agt_json_key(j, NULL);
    buf_put_text(j->b, "\"epoch ");
    buf_put_dec(j->b, o->epoch);
    buf_put_u8(j->b, '"');
    if (seen != NULL) {
        agt_json_put_time(j, NULL, seen->since_wall_us);
        agt_json_put_text(j, NULL, seen->holder.text);
    }
    agt_json_close(j, ']');
}

/* [timeline left, where, why, when, new leader]: as far as this agent has seen. */
void agt_http_put_history(const struct agt_http_snapshot *s, struct buf *b)
{
    struct agt_json j = {b, false};
    agt_json_open(&j, NULL, '[');
    for (uint8_t i = 0; i < s->disk->openings_count; i++) {
        const struct agt_opening *o = &s->disk->openings[i];
        const struct agt_opening *parent = agt_disk_opening(s->disk, o->parent);
        if (parent != NULL && o->floor_epoch == o->epoch) {
            put_opening(&j, s, o, parent->timeline);
        }
    }
    agt_json_close(&j, ']');
    buf_put_u8(b, '\n');
}

static void put_duration(struct agt_json *j, const char *key, uint32_t ms)
{
    agt_json_key(j, key);
    buf_put_u8(j->b, '"');
    buf_put_dec(j->b, ms);
    buf_put_text(j->b, "ms\"");
}

/* What the record says, in the words of the document: of a cluster that has none yet, or of a
 * member that it has not reached. */
static void put_settings(struct agt_json *j, const struct msg_record *r)
{
    static const char *const sync[] = {
        [MSG_SYNC_ON] = "on", [MSG_SYNC_ASYNC] = "off", [MSG_SYNC_FIRST] = "first"};
    put_duration(j, "ttl", r->ttl_ms);
    put_duration(j, "heartbeat", r->heartbeat_ms);
    put_duration(j, "freeze_max", r->freeze_max_ms);
    agt_json_put_text(j, "sync",
                      (size_t)r->sync_mode < BASE_COUNT_OF(sync) ? sync[r->sync_mode] : "on");
    agt_json_put_number(j, "sync_count", r->sync_count);
    agt_json_put_bool(j, "strict", r->is_sync_strict);
    agt_json_put_number(j, "maximum_lag_on_failover", r->maximum_lag_bytes);
    agt_json_put_bool(j, "failsafe", r->is_failsafe);
}

void agt_http_put_config(const struct agt_http_snapshot *s, struct buf *b)
{
    if (s->seen != NULL && s->seen->config_revision != 0) {
        buf_put(b, slice_from(s->seen->config, s->seen->config_len));
        buf_put_u8(b, '\n');
        return;
    }
    struct agt_json j = {b, false};
    agt_json_open(&j, NULL, '{');
    if (!is_unlocked(s)) {
        put_settings(&j, &s->order->record);
    }
    agt_json_close(&j, '}');
    buf_put_u8(b, '\n');
}

void agt_http_put_failsafe(const struct agt_http_snapshot *s, struct buf *b)
{
    struct agt_json j = {b, false};
    agt_json_open(&j, NULL, '{');
    for (uint8_t i = 0; s->order != NULL && i < s->order->members_count; i++) {
        const struct msg_member *m = &s->order->members[i];
        if (names_have(&s->order->record.failsafe_members, &m->member)) {
            agt_json_open(&j, m->member.text, '{');
            put_api_url(&j, m);
            agt_json_close(&j, '}');
        }
    }
    agt_json_close(&j, '}');
    buf_put_u8(b, '\n');
}
