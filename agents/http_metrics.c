/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of an agent in Prometheus text, from one table. Names that Patroni has keep its names and
 * meanings; the others begin with quorate_. */
#include "agents/http.h"

#include "base/name.h"

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

static uint64_t not_below_zero(int64_t value)
{
    return value > 0 ? (uint64_t)value : 0;
}

static uint64_t seen_wall_s(const struct agt_http_snapshot *s)
{
    bool is_seen = s->order_age_us >= 0 && s->wall.us != 0;
    return is_seen ? not_below_zero(s->wall.us - s->order_age_us) / BASE_US_PER_S : 0;
}

static bool is_unlocked(const struct agt_http_snapshot *s)
{
    return s->order == NULL || s->order->record.epoch == 0;
}

static uint64_t confirmed_standbys(const struct msg_report *r)
{
    uint64_t count = 0;
    for (uint8_t i = 0; i < r->standbys_count; i++) {
        count += r->standbys[i].is_confirmed;
    }
    return count;
}

/*  name, type, help, value */
#define METRICS(X) \
    X("patroni_postgres_running", "gauge", "1 if the database answers", agt_http_is_running(s)) \
    X("patroni_postmaster_start_time", "gauge", "start of the root process, 0 unknown", \
      s->seen != NULL ? not_below_zero(s->seen->root_started_wall_us) / BASE_US_PER_S : 0) \
    X("patroni_primary", "gauge", "1 if this member serves as the primary", s->is_open) \
    X("patroni_replica", "gauge", "1 if this member is a running standby", \
      agt_http_is_standby(s) && !agt_http_check_standby_leader(s, SLICE_EMPTY)) \
    X("patroni_standby_leader", "gauge", "1 if the holder of a standby cluster", \
      agt_http_check_standby_leader(s, SLICE_EMPTY)) \
    X("patroni_sync_standby", "gauge", "1 if a streaming voter", agt_http_is_voter(s)) \
    X("patroni_quorum_standby", "gauge", "1 if a streaming voter, any of which suffice", \
      agt_http_check_quorum(s, SLICE_EMPTY)) \
    X("patroni_xlog_location", "counter", "position of the primary, 0 on a standby", \
      r->db_state == MSG_DB_PRIMARY ? r->position.lsn : 0) \
    X("patroni_xlog_received_location", "counter", "received and flushed, 0 on the primary", \
      r->db_state == MSG_DB_PRIMARY ? 0 : r->position.lsn) \
    X("patroni_xlog_replayed_location", "counter", "replayed, 0 on the primary", \
      r->db_state == MSG_DB_PRIMARY ? 0 : r->replay_lsn) \
    X("patroni_postgres_streaming", "gauge", "1 if the receiver streams", r->is_receiving) \
    X("patroni_postgres_server_version", "gauge", "as 150004, 0 unknown", r->db_version) \
    X("patroni_postgres_timeline", "counter", "timeline", r->position.timeline) \
    X("patroni_postgres_state", "gauge", "state of the database", state_number(r->db_state)) \
    X("patroni_cluster_unlocked", "gauge", "1 if there is no record yet", is_unlocked(s)) \
    X("patroni_failsafe_mode_is_active", "gauge", "1 if the right comes from the members", \
      r->is_failsafe) \
    X("patroni_failsafe_mode_enabled", "gauge", "1 if it may", \
      s->order != NULL && s->order->record.is_failsafe) \
    X("patroni_dcs_last_seen", "gauge", "time of the last order", seen_wall_s(s)) \
    X("patroni_pending_restart", "gauge", "1 if settings wait for a restart", \
      r->is_restart_pending) \
    X("patroni_is_paused", "gauge", "1 if the cluster is paused", agt_http_is_paused(s)) \
    X("patroni_failover_priority", "gauge", "priority tag", r->priority) \
    X("quorate_epoch_seen", "counter", "highest epoch on disk", r->epoch_seen) \
    X("quorate_epoch_held", "gauge", "epoch that the guard holds, 0 none", r->epoch_held) \
    X("quorate_lease_left_ms", "gauge", "time to the deadline, 0 if none", \
      not_below_zero(r->lease_left_us) / 1000) \
    X("quorate_lease_left_least_ms", "gauge", \
      "least that was left when a grant came, since the agent's start, 0 if none came", \
      s->lease_least_us == INT64_MAX ? 0 : not_below_zero(s->lease_least_us) / 1000) \
    X("quorate_pause_worst_ms", "gauge", "longest stall of the agent", \
      not_below_zero(r->pause_worst_us) / 1000) \
    X("quorate_freeze_last_us", "gauge", "from the deadline until the tree was seen stopped", \
      s->guard != NULL ? not_below_zero(s->guard->freeze_us) : 0) \
    X("quorate_database_starts", "counter", "roots started by this guard", \
      s->guard != NULL ? s->guard->starts : 0) \
    X("quorate_adopted", "gauge", "1 if the guard did not start the database", \
      s->guard != NULL && s->guard->is_adopted) \
    X("quorate_watchdog_fed", "gauge", "1 while the guard feeds a watchdog", \
      s->guard != NULL && s->guard->watchdog == GUARD_WATCHDOG_FED) \
    X("quorate_guard_pause_worst_us", "gauge", \
      "how late the guard came to its turn at worst under a lease", \
      s->guard != NULL ? s->guard->pause_worst_us : 0) \
    X("quorate_guard_pause_lease_left_ms", "gauge", "what was left of the lease at that moment", \
      s->guard != NULL ? s->guard->pause_left_us / BASE_US_PER_MS : 0) \
    X("quorate_reports", "counter", "reports sent by this agent process", r->number) \
    X("quorate_sync_count", "gauge", "standbys that a commit waits for, 0 if none or not known", \
      r->is_sync_known ? r->sync_count : 0) \
    X("quorate_standbys", "gauge", "standbys connected", r->standbys_count) \
    X("quorate_standbys_confirmed", "gauge", "of these, caught up", confirmed_standbys(r)) \
    X("quorate_lag_bytes", "gauge", "not replayed of what is known to be written", \
      r->db_state == MSG_DB_PRIMARY ? 0 : agt_http_lag(s, false)) \
    X("quorate_rejoin_needed", "gauge", "1 if the directory must be rewound or cloned", \
      r->is_rejoin_needed) \
    X("quorate_drained", "gauge", "1 if an operator has drained the member", \
      agt_http_is_drained(s)) \
    X("quorate_write_failing", "gauge", "1 if the write probe fails", r->is_write_failing) \
    X("quorate_connections", "gauge", "client connections", r->connections) \
    X("quorate_connections_max", "gauge", "client connections allowed", r->connections_max) \
    X("quorate_disk_free_bytes", "gauge", "of the data directory's file system, 0 unknown", \
      r->disk_free_bytes) \
    X("quorate_work_done_bytes", "gauge", "of a clone or rewind under way", r->work_done_bytes) \
    X("quorate_work_total_bytes", "gauge", "of a clone or rewind under way", r->work_total_bytes) \
    X("quorate_config_revision", "gauge", "configuration in force, 0 none", r->config_revision) \
    X("quorate_frames_bad", "counter", "frames that could not be read", s->frames_bad)

static void put_head(struct buf *b, const char *name, const char *type, const char *help)
{
    buf_put_text(b, "# HELP ");
    buf_put_text(b, name);
    buf_put_u8(b, ' ');
    buf_put_text(b, help);
    buf_put_text(b, "\n# TYPE ");
    buf_put_text(b, name);
    buf_put_u8(b, ' ');
    buf_put_text(b, type);
    buf_put_u8(b, '\n');
}

/* NAMESUFFIX{scope=...,name=...,le="..."} followed by a blank. */
static void put_name(const struct msg_report *r, struct buf *b, const char *name,
                     const char *suffix, const char *le)
{
    buf_put_text(b, name);
    buf_put_text(b, suffix);
    buf_put_text(b, "{scope=\"");
    buf_put_text(b, r->cluster.text);
    buf_put_text(b, "\",name=\"");
    buf_put_text(b, r->member.text);
    if (le != NULL) {
        buf_put_text(b, "\",le=\"");
        buf_put_text(b, le);
    }
    buf_put_text(b, "\"} ");
}

static void put_pauses(const struct agt_http_snapshot *s, struct buf *b)
{
#define TEXT(us, text) text,
    static const char *const bounds[] = {AGT_HTTP_PAUSES(TEXT)};
#undef TEXT
    static const char name[] = "quorate_pause_seconds";
    uint64_t below = 0;
    put_head(b, name, "histogram", "how late timers of the agent's loop fired");
    for (size_t i = 0; i < BASE_COUNT_OF(bounds); i++) {
        below += s->seen->pauses[i];
        put_name(s->report, b, name, "_bucket", bounds[i]);
        buf_put_dec(b, below);
        buf_put_u8(b, '\n');
    }
    put_name(s->report, b, name, "_sum", NULL);
    buf_put_dec(b, (uint64_t)(s->seen->pauses_sum_us / BASE_US_PER_S));
    buf_put_u8(b, '.');
    uint64_t fraction = (uint64_t)(s->seen->pauses_sum_us % BASE_US_PER_S);
    for (uint64_t scale = 100000; scale > 0; scale /= 10) {
        buf_put_u8(b, (uint8_t)('0' + fraction / scale % 10));
    }
    buf_put_u8(b, '\n');
    put_name(s->report, b, name, "_count", NULL);
    buf_put_dec(b, s->seen->pauses_count);
    buf_put_u8(b, '\n');
}

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
    put_head(b, "quorate_info", "gauge", "version of the agent");
    buf_put_text(b, "quorate_info{scope=\"");
    buf_put_text(b, r->cluster.text);
    buf_put_text(b, "\",name=\"");
    buf_put_text(b, r->member.text);
    buf_put_text(b, "\",version=\"" QUORATE_VERSION "\"} 1\n");
    for (size_t i = 0; i < BASE_COUNT_OF(metrics); i++) {
        put_head(b, metrics[i].name, metrics[i].type, metrics[i].help);
        put_name(r, b, metrics[i].name, "", NULL);
        buf_put_dec(b, metrics[i].value);
        buf_put_u8(b, '\n');
    }
    if (s->seen != NULL) {
        put_pauses(s, b);
    }
}
