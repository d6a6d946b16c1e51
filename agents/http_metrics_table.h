/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of an agent: one table, from which they are written (http_metrics.c) and documented
 * (docs/metrics.md). Names that Patroni has keep its names and meanings. */
#ifndef QUORATE_AGENTS_HTTP_METRICS_TABLE_H
#define QUORATE_AGENTS_HTTP_METRICS_TABLE_H

/* clang-format off */
/* name, type, help, value: an expression of http_metrics.c over `s` (struct agt_http_snapshot) and
 * `r` (its report). Labels: scope (the cluster) and name (the member). */
#define AGT_HTTP_METRICS(X) \
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
    X("quorate_certificate_not_after_seconds", "gauge", \
      "when the agent's certificate ends, in seconds since 1970; 0 without TLS", \
      not_below_zero(s->certificate_end_us) / BASE_US_PER_S) \
    X("quorate_frames_bad", "counter", "frames that could not be read", s->frames_bad)

/* Of Galera members alone; `g` is their part of the report. */
#define AGT_HTTP_GALERA_METRICS(X) \
    X("quorate_galera_writer", "gauge", "1 if /writer says yes", s->galera.is_writer) \
    X("quorate_galera_reader", "gauge", "1 if /reader says yes", s->galera.is_reader) \
    X("quorate_galera_primary", "gauge", "1 in the Primary component", g->is_primary) \
    X("quorate_galera_synced", "gauge", "1 if synced", g->state == MSG_GALERA_SYNCED) \
    X("quorate_galera_donor", "gauge", "1 while a donor, or desynced", \
      g->state == MSG_GALERA_DONOR) \
    X("quorate_galera_seqno", "counter", "last committed, 0 unknown", \
      not_below_zero(g->position.seqno)) \
    X("quorate_galera_generation", "counter", "of the data here, 0 none", g->generation) \
    X("quorate_galera_cluster_size", "gauge", "members of the component", g->size) \
    X("quorate_galera_weight", "gauge", "own pc.weight, 0 unknown", g->weight) \
    X("quorate_galera_conf_id", "counter", "of the last Primary view", g->view.conf_id) \
    X("quorate_galera_recv_queue", "gauge", "write sets that wait to be applied", g->recv_queue) \
    X("quorate_galera_flow_paused", "gauge", "1 if flow control holds the cluster", \
      g->is_flow_paused) \
    X("quorate_galera_stalled_ms", "gauge", "for how long nothing came through, 0 if it does", \
      g->stalled_ms) \
    X("quorate_galera_read_only", "gauge", "1 if read_only is on", g->is_read_only) \
    X("quorate_galera_rejecting", "gauge", "1 if all queries are rejected", g->is_rejecting) \
    X("quorate_galera_evidence_age_ms", "gauge", "age of what is known of the server, 0 nothing", \
      not_below_zero(s->galera.evidence_age_us) / 1000) \
    X("quorate_galera_causal_age_ms", "gauge", "since the last causal read, 0 none", \
      not_below_zero(s->galera.causal_age_us) / 1000) \
    X("quorate_galera_data_bytes", "gauge", "of the data directory, 0 unknown", g->data_bytes)

/* Of MongoDB members alone; `m` is their part of the report. */
#define AGT_HTTP_MONGODB_METRICS(X) \
    X("quorate_mongodb_primary", "gauge", "1 if /primary says yes", s->mongodb.is_primary) \
    X("quorate_mongodb_secondary", "gauge", "1 if /secondary says yes", s->mongodb.is_secondary) \
    X("quorate_mongodb_arbiter", "gauge", "1 if an arbiter", s->mongodb.is_arbiter) \
    X("quorate_mongodb_state", "gauge", \
      "0 unknown, 1 absent, 2 down, 3 starting, 4 syncing, 5 secondary, 6 lagging, 7 stale, 8 " \
      "recovering, 9 rolling back, 10 draining, 11 primary, 12 gray, 13 arbiter, 14 maintenance, " \
      "15 hung, 16 held down", m->state) \
    X("quorate_mongodb_term", "counter", "as the server tells it, 0 unknown", m->term) \
    X("quorate_mongodb_config_version", "counter", "of its configuration, 0 unknown", \
      m->config.version) \
    X("quorate_mongodb_live_voters", "gauge", "healthy and heard by this member, itself included", \
      m->live_voters) \
    X("quorate_mongodb_majority", "gauge", "voters that an election needs, 0 unknown", \
      m->majority) \
    X("quorate_mongodb_lag_ms", "gauge", "behind the primary, 0 if none or unknown", \
      known_ms(m->lag_ms)) \
    X("quorate_mongodb_commit_age_ms", "gauge", \
      "primary: how far the majority point is behind its last write", m->commit_age_ms) \
    X("quorate_mongodb_canary_late_ms", "gauge", \
      "primary: for how long no canary write has come through, 0 if they do", m->canary_ms) \
    X("quorate_mongodb_oplog_seconds", "gauge", "window of the oplog, 0 unknown", m->oplog_s) \
    X("quorate_mongodb_cache_dirty_ratio_permille", "gauge", "of the cache, 0 unknown", \
      m->cache_dirty_permille) \
    X("quorate_mongodb_sync_permille", "gauge", "of an initial sync under way", \
      m->sync_permille) \
    X("quorate_mongodb_rollbacks", "counter", "rollbacks seen by this agent", m->rollbacks) \
    X("quorate_mongodb_evidence_age_ms", "gauge", "age of the last hello, 0 none", \
      not_below_zero(s->mongodb.evidence_age_us) / 1000) \
    X("quorate_mongodb_login_refused", "gauge", "1 if only hello is known", m->is_login_refused) \
    X("quorate_mongodb_frozen", "gauge", "1 while it may not stand, by an order", m->is_frozen) \
    X("quorate_mongodb_held", "gauge", "1 if killed and kept down", s->mongodb.is_held) \
    X("quorate_mongodb_barred", "gauge", "1 if left out by force and not wiped yet", \
      m->barred_epoch != 0) \
    X("quorate_mongodb_control_lost", "gauge", "1 without a word of the arbiter for 5 s", \
      s->mongodb.is_control_lost) \
    X("quorate_mongodb_commands_failed", "counter", "commands of this agent that failed", \
      s->mongodb.commands_failed) \
    X("quorate_mongodb_certificate_not_after_seconds", "gauge", \
      "when the member's own certificate ends, in seconds since 1970; 0 unknown", \
      not_below_zero(s->mongodb.certificate_end_us) / BASE_US_PER_S)
/* clang-format on */

/* Those that are written in another way, in the order of http_metrics.c: type, name, labels,
 * help. */
#define AGT_HTTP_OTHER_METRICS(X) \
    X("gauge", "quorate_info", "version", "version of the agent") \
    X("histogram", "quorate_pause_seconds", "le", "how late timers of the agent's loop fired")

#endif
