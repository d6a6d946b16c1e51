/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of a quorum node: tables, from which they are written (metrics.c,
 * metrics_databases.c) and documented (docs/metrics.md). Names are etcd's where the meaning is the
 * same. */
#ifndef QUORATE_ARBITER_QUORATED_METRICS_TABLE_H
#define QUORATE_ARBITER_QUORATED_METRICS_TABLE_H

/* clang-format off */
/* type, name, field of struct figures (metrics.c), help */
#define QUORATED_FIGURES(X) \
    X(gauge, etcd_server_has_leader, has_leader, "1 when a leader is known.") \
    X(gauge, etcd_server_is_leader, is_leader, "1 when this node leads.") \
    X(gauge, etcd_server_is_learner, is_learner, "1 when this node has no vote.") \
    X(counter, etcd_server_leader_changes_seen_total, leader_changes, "Changes of the leader.") \
    X(gauge, etcd_server_proposals_committed_total, committed, "Index of the last commit.") \
    X(gauge, etcd_server_proposals_applied_total, applied, "Index of the last entry applied.") \
    X(gauge, etcd_server_proposals_pending, pending, "Requests not yet answered.") \
    X(counter, etcd_server_proposals_failed_total, failed, "Writes that ended as unavailable.") \
    X(gauge, quorate_raft_term, term, "Raft term.") \
    X(gauge, quorate_raft_first_index, first_index, "First index of the log.") \
    X(gauge, quorate_raft_last_index, last_index, "Last index of the log.") \
    X(gauge, quorate_raft_persisted_index, persisted_index, "Last index that is durable here.") \
    X(gauge, etcd_debugging_mvcc_current_revision, revision, "Current revision.") \
    X(gauge, etcd_debugging_mvcc_compact_revision, compact_revision, "Revision compacted to.") \
    X(gauge, etcd_mvcc_db_total_size_in_use_in_bytes, bytes_used, "Bytes used in the store.") \
    X(gauge, etcd_mvcc_db_total_size_in_bytes, bytes_used, "Bytes of the store.") \
    X(gauge, etcd_server_quota_backend_bytes, quota_bytes, "Quota of the store.") \
    X(gauge, quorate_alarm_no_space, no_space, "1 while NOSPACE is raised.") \
    X(gauge, quorate_alarm_corrupt, corrupt, "1 while CORRUPT is raised.") \
    X(counter, etcd_mvcc_range_total, ranges, "Ranges answered here.") \
    X(counter, etcd_mvcc_put_total, puts, "Puts answered here.") \
    X(counter, etcd_mvcc_delete_total, deletes, "Deletes answered here.") \
    X(counter, etcd_mvcc_txn_total, txns, "Transactions answered here.") \
    X(counter, quorate_compactions_total, compactions, "Compactions answered here.") \
    X(gauge, etcd_debugging_mvcc_watcher_total, watchers, "Watchers.") \
    X(gauge, etcd_debugging_mvcc_watch_stream_total, watch_streams, "Watch streams.") \
    X(gauge, etcd_debugging_mvcc_slow_watcher_total, slow_watchers, "Watchers that are behind.") \
    X(counter, etcd_debugging_mvcc_events_total, events, "Events sent to watchers.") \
    X(gauge, quorate_leases, leases, "Leases; the leader's figure, 0 elsewhere.") \
    X(counter, etcd_debugging_lease_granted_total, leases_granted, "Leases granted here.") \
    X(counter, etcd_debugging_lease_revoked_total, leases_revoked, "Leases revoked here.") \
    X(counter, etcd_debugging_server_lease_expired_total, leases_expired, "Leases expired.") \
    X(counter, etcd_debugging_lease_renewed_total, leases_renewed, "Leases renewed.") \
    X(counter, etcd_network_peer_received_bytes_total, peer_in, "Bytes from peers and agents.") \
    X(counter, etcd_network_peer_sent_bytes_total, peer_out, "Bytes to peers and agents.") \
    X(counter, quorate_link_frames_in_total, peer_frames_in, "Frames received.") \
    X(counter, quorate_link_frames_out_total, peer_frames_out, "Frames sent.") \
    X(counter, quorate_link_dropped_total, peer_dropped, "Frames not sent: link down or full.") \
    X(gauge, quorate_links_up, peers_up, "Links to peers and agents that are up.") \
    X(counter, quorate_snapshots_served_total, snapshots, "Images given to clients.") \
    X(gauge, quorate_client_streams, streams, "Streams of clients that are open.") \
    X(gauge, quorate_client_connections, connections, "Connections of clients.") \
    X(counter, etcd_disk_wal_write_bytes_total, wal_bytes, "Bytes written to the log.") \
    X(gauge, quorate_wal_segments, wal_segments, "Files of the log.") \
    X(gauge, process_resident_memory_bytes, resident, "Resident memory.") \
    X(gauge, process_virtual_memory_bytes, virtual_memory, "Virtual memory.") \
    X(gauge, process_open_fds, fds, "Open file descriptors.") \
    X(gauge, process_max_fds, fds_max, "Most file descriptors allowed.") \
    X(gauge, quorate_certificate_not_after_seconds, certificate_end, \
      "When this node's certificate ends, in seconds since 1970; 0 without TLS.") \
    X(gauge, quorate_status_viewers, viewers, "Status pages that are kept live.") \
    X(counter, quorate_notify_delivered_total, told, \
      "Events delivered by this node to the command or the webhook.") \
    X(counter, quorate_notify_failed_total, told_failed, "Deliveries that failed; tried again.") \
    X(counter, quorate_notify_dropped_total, told_dropped, \
      "Events lost because the queue was full.") \
    X(gauge, quorate_notify_waiting, told_waiting, \
      "Events that this node would tell if it led, and that were not told yet.")

/* type, name, value of one database cluster: an expression over `c` (its message), help.
 * Label: cluster. On the node that leads only. */
#define QUORATED_DATABASE_FIGURES(X) \
    X(gauge, quorate_database_has_primary, has_primary(c), \
      "1 while a member is open for writes, or hands over.") \
    X(gauge, quorate_database_healthy, strcmp(c->state, "healthy") == 0, \
      "1 while everybody does what it should.") \
    X(gauge, quorate_database_epoch, c->epoch, "Epoch of the present primary.") \
    X(gauge, quorate_database_timeline, c->timeline, "Timeline of the present primary.") \
    X(gauge, quorate_database_primary_since_seconds, seconds(c->since_wall_us), \
      "When the present epoch began, in seconds since 1970.") \
    X(gauge, quorate_database_members, c->n_members, "Members that are known.") \
    X(gauge, quorate_database_members_up, members_up(c), "Members that are heard.") \
    X(gauge, quorate_database_voters, c->n_voters, "Members in the recorded synchronous set.") \
    X(gauge, quorate_database_votes_needed, c->votes_needed_r, \
      "Voters that hold every commit; 0: nobody but the primary is sure to.") \
    X(gauge, quorate_database_sync_lost, is_sync_lost(c), \
      "1 while commits should be synchronous and only the primary has everything.") \
    X(gauge, quorate_database_paused, c->is_paused, "1 while paused by an operator.") \
    X(gauge, quorate_database_unconfirmed, c->is_unconfirmed, \
      "1 while nothing is granted before kv db confirm.") \
    X(gauge, quorate_database_waiting, c->waiting_for[0] != '\0', \
      "1 while a failover waits for something; kv db why tells for what.") \
    X(gauge, quorate_database_config_pending, c->config_newest != c->config_revision, \
      "1 while a newer configuration is not in force yet.")

/* The same of one member over `m`. Labels: cluster, member. */
#define QUORATED_MEMBER_FIGURES(X) \
    X(gauge, quorate_member_up, m->is_up, "1 while the member's agent is heard.") \
    X(gauge, quorate_member_primary, is_primary(c, m), "1 for the recorded primary.") \
    X(gauge, quorate_member_streaming, \
      strcmp(m->state, "streaming") == 0 || strcmp(m->state, "synced") == 0, \
      "1 while the member streams; Galera: while it is synced.") \
    X(gauge, quorate_member_receive_queue, queue_of(m), \
      "Galera: write sets that wait to be applied.") \
    X(gauge, quorate_member_flow_paused, is_flow_paused(m), \
      "Galera: 1 while the member holds the cluster up by flow control.") \
    X(gauge, quorate_member_lag_bytes, not_below_zero(m->lag_bytes), \
      "Bytes behind the primary's last known position; 0 where that is not known.") \
    X(gauge, quorate_member_timeline, m->timeline, "Timeline of the member.") \
    X(gauge, quorate_member_drained, m->is_drained, "1 while drained by an operator.") \
    X(gauge, quorate_member_restart_pending, m->is_restart_pending, \
      "1 while settings wait for a restart.") \
    X(gauge, quorate_member_write_failing, m->is_write_failing, \
      "1 while its disk takes no write.") \
    X(gauge, quorate_member_disk_free_bytes, m->disk_free_bytes, \
      "Free space of the data directory; 0 where that is not known.") \
    X(gauge, quorate_member_pause_worst_us, not_below_zero(m->pause_worst_us), \
      "Longest stall of its agent.")

/* Replica sets of MongoDB alone: type, name, an expression over `c` and its part `g`, help. Label:
 * cluster. */
#define QUORATED_MONGODB_FIGURES(X) \
    X(gauge, quorate_mongodb_term, g->term, "Term of the primary that was seen last.") \
    X(gauge, quorate_mongodb_order_since_seconds, order_since(c), \
      "When the open order was given, in seconds since 1970; 0: none is open.") \
    X(gauge, quorate_mongodb_order_failed, strcmp(g->order_state, "failed") == 0, \
      "1 while the last order is one that failed.") \
    X(gauge, quorate_mongodb_degraded_members, g->n_degraded, \
      "Members whose vote was taken away, until they get it back.") \
    X(gauge, quorate_mongodb_barred_members, g->n_barred, \
      "Members that were left out by force, until they are wiped.") \
    X(gauge, quorate_mongodb_leaving_members, g->n_leaving, \
      "Members that an operator removes and that are in the configuration still.") \
    X(gauge, quorate_mongodb_force_planned, g->is_force_planned, \
      "1 while the token of a forced reconfiguration is out.")
/* ... one line for each state. Labels: cluster, state. */
#define QUORATED_MONGODB_STATES(X) \
    X(SET, gauge, quorate_mongodb_set_state, "1 for the state that the set is in.") \
    X(MEMBERS, gauge, quorate_mongodb_members, "Members that are in the state.")

/* Those that are written in another way: type, name, labels, help. */
#define QUORATED_OTHER_METRICS(X) \
    X(LOG_FLUSH, histogram, etcd_disk_wal_fsync_duration_seconds, "le", \
      "Time of writing and flushing a batch of the log.") \
    X(COMMIT, histogram, etcd_disk_backend_commit_duration_seconds, "le", \
      "Time of a commit of the state store.") \
    X(HANDLED, counter, grpc_server_handled_total, "grpc_service, grpc_method, grpc_code", \
      "Calls ended, over gRPC and JSON.") \
    X(STARTED, counter, grpc_server_started_total, "grpc_service, grpc_method", \
      "Calls begun, over gRPC and JSON.") \
    X(EVENTS, counter, quorate_events_total, "event", \
      "Sentences of the arbiter on this node, by their event (docs/events.md).") \
    X(CPU, counter, process_cpu_seconds_total, "", "CPU time used.") \
    X(START, gauge, process_start_time_seconds, "", "Start, in seconds since 1970.") \
    X(VERSION, gauge, etcd_server_version, "server_version", \
      "Version that is answered to clients.") \
    X(BUILD, gauge, quorate_build_info, "version", "Version of this program.")
/* clang-format on */

#endif
