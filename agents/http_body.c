/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of the agent's HTTP answers: JSON as Patroni's users know it, and metrics in Prometheus
 * text.
 *
 * Fields are never renamed. What the agent does not know is left out or says "unknown"; nothing is
 * made up.
 */
#include "agents/http.h"

#include "base/name.h"

/* --- JSON --------------------------------------------------------------------------------------
 */

/* A writer that knows whether a comma is due. */
struct json {
    struct buf *b;
    bool is_next;
};

static void json_sep(struct json *j)
{
    if (j->is_next) {
        buf_put_u8(j->b, ',');
    }
    j->is_next = true;
}

static void json_text(struct json *j, struct slice text)
{
    buf_put_u8(j->b, '"');
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c == '"' || c == '\\') {
            buf_put_u8(j->b, '\\');
            buf_put_u8(j->b, c);
        } else if (c < 0x20) {
            buf_put_text(j->b, "\\u");
            buf_put_hex(j->b, c, 4);
        } else {
            buf_put_u8(j->b, c);
        }
    }
    buf_put_u8(j->b, '"');
}

static void json_key(struct json *j, const char *key)
{
    json_sep(j);
    if (key != NULL) {
        json_text(j, slice_from_text(key));
        buf_put_u8(j->b, ':');
    }
}

static void json_open(struct json *j, const char *key, char bracket)
{
    json_key(j, key);
    buf_put_u8(j->b, (uint8_t)bracket);
    j->is_next = false;
}

static void json_close(struct json *j, char bracket)
{
    buf_put_u8(j->b, (uint8_t)bracket);
    j->is_next = true;
}

static void json_put_text(struct json *j, const char *key, const char *text)
{
    json_key(j, key);
    json_text(j, slice_from_text(text));
}

static void json_put_number(struct json *j, const char *key, uint64_t number)
{
    json_key(j, key);
    buf_put_dec(j->b, number);
}

static void json_put_bool(struct json *j, const char *key, bool is_true)
{
    json_key(j, key);
    buf_put_text(j->b, is_true ? "true" : "false");
}

/* --- words -------------------------------------------------------------------------------------
 */

static const char *state_text(enum msg_db_state state)
{
    switch (state) {
    case MSG_DB_UNKNOWN:
        return "unknown";
    case MSG_DB_EMPTY:
    case MSG_DB_STOPPED:
        return "stopped";
    case MSG_DB_CREATING:
        return "creating replica";
    case MSG_DB_STARTING:
        return "starting";
    case MSG_DB_STANDBY:
    case MSG_DB_PROMOTING:
    case MSG_DB_PRIMARY:
        return "running";
    case MSG_DB_STOPPING:
        return "stopping";
    case MSG_DB_FROZEN:
        return "frozen";
    case MSG_DB_FAILED:
        return "start failed";
    }
    return "unknown";
}

/* Patroni's stable numbers; a frozen server counts as stopping. */
static uint64_t state_number(enum msg_db_state state)
{
    switch (state) {
    case MSG_DB_CREATING:
        return 4;
    case MSG_DB_STANDBY:
    case MSG_DB_PROMOTING:
    case MSG_DB_PRIMARY:
        return 5;
    case MSG_DB_STARTING:
        return 6;
    case MSG_DB_FAILED:
        return 8;
    case MSG_DB_STOPPING:
    case MSG_DB_FROZEN:
        return 11;
    case MSG_DB_UNKNOWN:
    case MSG_DB_EMPTY:
    case MSG_DB_STOPPED:
        break;
    }
    return 12;
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

/* --- /patroni ----------------------------------------------------------------------------------
 */

static void put_xlog(struct json *j, const struct agt_http_snapshot *s)
{
    json_open(j, "xlog", '{');
    if (s->report->db_state == MSG_DB_PRIMARY) {
        json_put_number(j, "location", s->report->position.lsn);
    } else {
        json_put_number(j, "received_location", s->report->position.lsn);
        json_put_number(j, "replayed_location", s->report->replay_lsn);
    }
    json_close(j, '}');
}

static void put_replication(struct json *j, const struct agt_http_snapshot *s)
{
    const struct msg_report *r = s->report;
    if (r->standbys_count == 0) {
        return;
    }
    json_open(j, "replication", '[');
    for (uint8_t i = 0; i < r->standbys_count; i++) {
        json_open(j, NULL, '{');
        json_put_text(j, "application_name", r->standbys[i].member.text);
        json_put_text(j, "state", r->standbys[i].is_streaming ? "streaming" : "catchup");
        json_put_bool(j, "confirmed", r->standbys[i].is_confirmed);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void put_tags(struct json *j, const struct agt_http_snapshot *s)
{
    const struct msg_report *r = s->report;
    if (!r->is_nofailover && !r->is_nosync && !s->is_noloadbalance) {
        return;
    }
    json_open(j, "tags", '{');
    if (r->is_nofailover) {
        json_put_bool(j, "nofailover", true);
    }
    if (r->is_nosync) {
        json_put_bool(j, "nosync", true);
    }
    if (s->is_noloadbalance) {
        json_put_bool(j, "noloadbalance", true);
    }
    json_close(j, '}');
}

static void put_quorate(struct json *j, const struct agt_http_snapshot *s)
{
    const struct msg_report *r = s->report;
    json_open(j, "quorate", '{');
    json_put_text(j, "version", QUORATE_VERSION);
    json_put_number(j, "epoch_seen", r->epoch_seen);
    json_put_number(j, "epoch_held", r->epoch_held);
    json_put_bool(j, "open", s->is_open);
    json_put_number(j, "lease_left_ms",
                    r->lease_left_us > 0 ? (uint64_t)(r->lease_left_us / BASE_US_PER_MS) : 0);
    json_put_number(j, "pause_worst_ms", (uint64_t)(r->pause_worst_us / BASE_US_PER_MS));
    json_put_bool(j, "rejoin_needed", r->is_rejoin_needed);
    json_put_bool(j, "adopted", s->guard != NULL && s->guard->is_adopted);
    json_put_text(j, "note", r->note.text);
    json_close(j, '}');
}

void agt_http_put_patroni(const struct agt_http_snapshot *s, struct buf *b)
{
    struct json j = {b, false};
    const struct msg_report *r = s->report;
    json_open(&j, NULL, '{');
    json_put_text(&j, "state", state_text(r->db_state));
    json_put_text(&j, "role", r->db_state == MSG_DB_PRIMARY ? "primary" : "replica");
    put_xlog(&j, s);
    json_put_number(&j, "timeline", r->position.timeline);
    put_replication(&j, s);
    if (agt_http_is_voter(s)) {
        json_put_bool(&j, "sync_standby", true);
        json_put_bool(&j, "quorum_standby", true);
    }
    if (r->is_receiving) {
        json_put_text(&j, "replication_state", "streaming");
    }
    if (is_unlocked(s)) {
        json_put_bool(&j, "cluster_unlocked", true);
    }
    json_put_number(&j, "dcs_last_seen", (uint64_t)seen_wall_s(s));
    put_tags(&j, s);
    json_key(&j, "database_system_identifier");
    buf_put_u8(b, '"');
    buf_put_dec(b, r->system_id);
    buf_put_u8(b, '"');
    json_open(&j, "patroni", '{');
    json_put_text(&j, "version", "4.0.0");
    json_put_text(&j, "scope", r->cluster.text);
    json_put_text(&j, "name", r->member.text);
    json_close(&j, '}');
    put_quorate(&j, s);
    json_close(&j, '}');
    buf_put_u8(b, '\n');
}

/* --- /cluster, /history, /config ---------------------------------------------------------------
 */

static bool names_have(const struct msg_names *names, const struct base_name *name)
{
    for (uint8_t i = 0; i < names->count; i++) {
        if (base_name_equal(&names->names[i], name)) {
            return true;
        }
    }
    return false;
}

static void put_member(struct json *j, const struct agt_http_snapshot *s,
                       const struct msg_member *m)
{
    const struct msg_record *record = &s->order->record;
    bool is_holder = base_name_equal(&record->holder, &m->member);
    bool is_sync = record->votes_needed_r > 0 && names_have(&record->voters, &m->member);
    json_open(j, NULL, '{');
    json_put_text(j, "name", m->member.text);
    json_put_text(j, "role", is_holder ? "leader" : is_sync ? "quorum_standby" : "replica");
    json_put_text(j, "state", state_text(m->db_state));
    json_key(j, "api_url");
    buf_put_text(j->b, "\"http://");
    buf_put(j->b, base_text_slice(&m->host));
    buf_put_u8(j->b, ':');
    buf_put_dec(j->b, m->http_port);
    buf_put_text(j->b, "/patroni\"");
    json_put_text(j, "host", m->host.text);
    json_put_number(j, "port", m->db_port);
    if (is_holder) {
        json_put_number(j, "timeline", record->timeline);
        json_put_bool(j, "open", m->is_open);
    } else {
        json_put_text(j, "lag", "unknown");
    }
    json_close(j, '}');
}

void agt_http_put_cluster(const struct agt_http_snapshot *s, struct buf *b)
{
    struct json j = {b, false};
    json_open(&j, NULL, '{');
    json_open(&j, "members", '[');
    for (uint8_t i = 0; s->order != NULL && i < s->order->members_count; i++) {
        put_member(&j, s, &s->order->members[i]);
    }
    json_close(&j, ']');
    json_put_text(&j, "scope", s->report->cluster.text);
    if (s->order != NULL) {
        json_put_number(&j, "epoch", s->order->record.epoch);
    }
    json_close(&j, '}');
    buf_put_u8(b, '\n');
}

/* [timeline left, where, why]: as far as this agent has seen. */
void agt_http_put_history(const struct agt_http_snapshot *s, struct buf *b)
{
    struct json j = {b, false};
    json_open(&j, NULL, '[');
    for (uint8_t i = 0; i < s->disk->openings_count; i++) {
        const struct agt_opening *o = &s->disk->openings[i];
        const struct agt_opening *parent = agt_disk_opening(s->disk, o->parent);
        if (parent == NULL || o->floor_epoch != o->epoch) {
            continue;
        }
        json_open(&j, NULL, '[');
        json_put_number(&j, NULL, parent->timeline);
        json_put_number(&j, NULL, o->floor_lsn);
        json_key(&j, NULL);
        buf_put_text(b, "\"epoch ");
        buf_put_dec(b, o->epoch);
        buf_put_u8(b, '"');
        json_close(&j, ']');
    }
    json_close(&j, ']');
    buf_put_u8(b, '\n');
}

void agt_http_put_config(const struct agt_http_snapshot *s, struct buf *b)
{
    struct json j = {b, false};
    json_open(&j, NULL, '{');
    if (s->order != NULL && s->order->record.epoch != 0) {
        const struct msg_record *r = &s->order->record;
        json_put_number(&j, "ttl_ms", r->ttl_ms);
        json_put_number(&j, "heartbeat_ms", r->heartbeat_ms);
        json_put_number(&j, "freeze_max_ms", r->freeze_max_ms);
        json_put_number(&j, "maximum_lag_on_failover", r->maximum_lag_bytes);
        json_key(&j, "synchronous_mode");
        buf_put_text(b, r->sync_mode == MSG_SYNC_ON ? "\"quorum\"" : "false");
        json_put_bool(&j, "synchronous_mode_strict", r->is_sync_strict);
        json_put_number(&j, "synchronous_node_count", r->sync_count);
    }
    json_close(&j, '}');
    buf_put_u8(b, '\n');
}

/* --- /metrics ----------------------------------------------------------------------------------
 */

/*  name, type, help, value */
#define METRICS(X) \
    X("patroni_postgres_running", "gauge", "1 if the database answers", agt_http_is_running(s)) \
    X("patroni_primary", "gauge", "1 if this member serves as the primary", s->is_open) \
    X("patroni_replica", "gauge", "1 if this member is a running standby", agt_http_is_standby(s)) \
    X("patroni_standby_leader", "gauge", "always 0", 0) \
    X("patroni_sync_standby", "gauge", "1 if a streaming voter", agt_http_is_voter(s)) \
    X("patroni_quorum_standby", "gauge", "1 if a streaming voter", agt_http_is_voter(s)) \
    X("patroni_xlog_location", "counter", "position of the primary, 0 on a standby", \
      r->db_state == MSG_DB_PRIMARY ? r->position.lsn : 0) \
    X("patroni_xlog_received_location", "counter", "received and flushed, 0 on the primary", \
      r->db_state == MSG_DB_PRIMARY ? 0 : r->position.lsn) \
    X("patroni_xlog_replayed_location", "counter", "replayed, 0 on the primary", \
      r->db_state == MSG_DB_PRIMARY ? 0 : r->replay_lsn) \
    X("patroni_postgres_streaming", "gauge", "1 if the receiver streams", r->is_receiving) \
    X("patroni_postgres_timeline", "counter", "timeline", r->position.timeline) \
    X("patroni_postgres_state", "gauge", "state of the database", state_number(r->db_state)) \
    X("patroni_cluster_unlocked", "gauge", "1 if there is no record yet", is_unlocked(s)) \
    X("patroni_dcs_last_seen", "gauge", "time of the last order", (uint64_t)seen_wall_s(s)) \
    X("patroni_failover_priority", "gauge", "priority tag", r->priority) \
    X("quorate_epoch_seen", "counter", "highest epoch on disk", r->epoch_seen) \
    X("quorate_epoch_held", "gauge", "epoch that the guard holds, 0 none", r->epoch_held) \
    X("quorate_lease_left_ms", "gauge", "time to the deadline, 0 if none", \
      r->lease_left_us > 0 ? (uint64_t)r->lease_left_us / 1000 : 0) \
    X("quorate_pause_worst_ms", "gauge", "longest stall of the agent", \
      (uint64_t)r->pause_worst_us / 1000) \
    X("quorate_freeze_last_us", "gauge", "from the deadline until the tree was seen stopped", \
      s->guard != NULL ? (uint64_t)s->guard->freeze_us : 0) \
    X("quorate_database_starts", "counter", "roots started by this guard", \
      s->guard != NULL ? s->guard->starts : 0) \
    X("quorate_reports", "counter", "reports sent by this agent process", r->number) \
    X("quorate_sync_count", "gauge", "standbys that a commit waits for, 0 if none or not known", \
      r->is_sync_known ? r->sync_count : 0) \
    X("quorate_rejoin_needed", "gauge", "1 if the directory must be rewound or cloned", \
      r->is_rejoin_needed) \
    X("quorate_frames_bad", "counter", "frames that could not be read", s->frames_bad)

void agt_http_put_metrics(const struct agt_http_snapshot *s, struct buf *b)
{
    const struct msg_report *r = s->report;
    const struct {
        const char *name;
        const char *type;
        const char *help;
        uint64_t value;
    } metrics[] = {
#define METRIC_ROW(name, type, help, value) {name, type, help, (uint64_t)(value)},
        METRICS(METRIC_ROW)
#undef METRIC_ROW
    };
    for (size_t i = 0; i < BASE_COUNT_OF(metrics); i++) {
        buf_put_text(b, "# HELP ");
        buf_put_text(b, metrics[i].name);
        buf_put_u8(b, ' ');
        buf_put_text(b, metrics[i].help);
        buf_put_text(b, "\n# TYPE ");
        buf_put_text(b, metrics[i].name);
        buf_put_u8(b, ' ');
        buf_put_text(b, metrics[i].type);
        buf_put_u8(b, '\n');
        buf_put_text(b, metrics[i].name);
        buf_put_text(b, "{scope=\"");
        buf_put_text(b, r->cluster.text);
        buf_put_text(b, "\",name=\"");
        buf_put_text(b, r->member.text);
        buf_put_text(b, "\"} ");
        buf_put_dec(b, metrics[i].value);
        buf_put_u8(b, '\n');
    }
}
