/* SPDX-License-Identifier: Apache-2.0 */
/* Figures and their names; see metrics.h. */
#include "arbiter/quorated/metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "arbiter/quorated/clients.h"
#include "arbiter/quorated/stores.h"
#include "kv/api/api.h"
#include "proto/io/link.h"
#include "proto/io/server.h"
#include "raft/env_lmdb.h"
#include "raft/wal_store.h"

/* All figures of one moment. */
struct figures {
    uint64_t has_leader, is_leader, is_learner, leader_changes;
    uint64_t committed, applied, pending, failed, term, last_index, persisted_index, first_index;
    uint64_t revision, compact_revision, bytes_used, quota_bytes, no_space, corrupt;
    uint64_t ranges, puts, deletes, txns, compactions;
    uint64_t watchers, watch_streams, slow_watchers, events;
    uint64_t leases, leases_granted, leases_revoked, leases_expired, leases_renewed;
    uint64_t peer_in, peer_out, peer_frames_in, peer_frames_out, peer_dropped, peers_up;
    uint64_t snapshots, streams, connections;
    uint64_t wal_bytes, wal_segments;
    uint64_t resident, virtual_memory, fds, fds_max;
};

#define FIGURES(X) \
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
    X(gauge, process_max_fds, fds_max, "Most file descriptors allowed.")

static const struct row {
    const char *type;
    const char *name;
    const char *help;
    size_t offset;
} rows[] = {
#define ROW(type, name, member, help) {#type, #name, help, offsetof(struct figures, member)},
    FIGURES(ROW)
#undef ROW
};

/* --- reading --- */

static void read_process(struct figures *f)
{
    char line[128];
    uint64_t pages = 0;
    uint64_t resident = 0;
    struct rlimit limit = {0};
    FILE *file = fopen("/proc/self/statm", "re");
    if (file != NULL) {
        if (fgets(line, sizeof(line), file) != NULL) { /* numbers of pages: all, in memory, ... */
            char *rest = line;
            pages = strtoull(rest, &rest, 10);
            resident = strtoull(rest, NULL, 10);
        }
        (void)fclose(file);
    }
    f->virtual_memory = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    f->resident = resident * (uint64_t)sysconf(_SC_PAGESIZE);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        f->fds_max = limit.rlim_cur;
    }
    DIR *directory = opendir("/proc/self/fd");
    while (directory != NULL && readdir(directory) != NULL) {
        f->fds++;
    }
    if (directory != NULL) {
        f->fds -= f->fds < 3 ? f->fds : 3; /* . and .. and the directory itself */
        (void)closedir(directory);
    }
}

static void read_raft(const struct quorated_pages *pages, struct figures *f)
{
    struct raft_node_status s;
    raft_node_status(pages->node, &s);
    f->has_leader = s.leader_id != 0;
    f->is_leader = s.role == RAFT_LEADER;
    f->leader_changes = pages->leader_changes;
    f->committed = s.commit_index;
    f->applied = s.applied_index;
    f->term = s.term;
    f->first_index = s.first_index;
    f->last_index = s.last_index;
    f->persisted_index = s.persisted_index;
}

static void read_service(const struct quorated_pages *pages, struct figures *f)
{
    struct kv_service_stats s;
    kv_service_stats(pages->service, &s);
    f->revision = (uint64_t)s.revision;
    f->compact_revision = s.compact_revision > 0 ? (uint64_t)s.compact_revision : 0;
    f->bytes_used = s.bytes_used;
    f->quota_bytes = s.quota_bytes;
    f->pending = s.open_calls;
    f->leases = s.leases;
    f->leases_expired = s.leases_expired;
    f->leases_renewed = s.leases_renewed;
    f->no_space = s.has_no_space;
    f->corrupt = s.is_corrupt;
}

/* What was answered with OK, and writes that ended as unavailable. */
static void read_methods(const struct quorated_pages *pages, struct figures *f)
{
    const struct {
        const char *path;
        uint64_t *figure;
        bool is_write;
    } wanted[] = {
        {"/etcdserverpb.KV/Range", &f->ranges, false},
        {"/etcdserverpb.KV/Put", &f->puts, true},
        {"/etcdserverpb.KV/DeleteRange", &f->deletes, true},
        {"/etcdserverpb.KV/Txn", &f->txns, true},
        {"/etcdserverpb.KV/Compact", &f->compactions, true},
        {"/etcdserverpb.Lease/LeaseGrant", &f->leases_granted, true},
        {"/etcdserverpb.Lease/LeaseRevoke", &f->leases_revoked, true},
    };
    const struct rpc_registry *registry = api_registry(pages->api);
    for (size_t i = 0; i < BASE_COUNT_OF(wanted); i++) {
        const struct rpc_route *route = rpc_find_method(registry, slice_from_text(wanted[i].path));
        *wanted[i].figure = route->handled[IO_GRPC_OK];
        f->failed += wanted[i].is_write ? route->handled[IO_GRPC_UNAVAILABLE] : 0;
    }
    f->streams = rpc_streams(registry);
    f->snapshots = api_snapshots(pages->api);
}

static void read_links(const struct quorated_pages *pages, struct figures *f)
{
    struct io_links_stats links = io_links_stats(pages->links);
    f->peer_in = links.bytes_in;
    f->peer_out = links.bytes_out;
    f->peer_frames_in = links.frames_in;
    f->peer_frames_out = links.frames_out;
    f->peer_dropped = links.dropped;
    f->peers_up = links.links_up;
}

static void read_watches(const struct kv_watch_hub *hub, struct figures *f)
{
    struct kv_watch_stats s = kv_watch_stats(hub);
    f->watchers = s.watchers;
    f->watch_streams = s.streams;
    f->slow_watchers = s.behind;
    f->events = s.events;
}

/* --- writing --- */

static void put_head(struct buf *b, const char *type, const char *name, const char *help)
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

static void put_row(struct buf *b, const struct row *row, uint64_t value)
{
    put_head(b, row->type, row->name, row->help);
    buf_put_text(b, row->name);
    buf_put_u8(b, ' ');
    buf_put_dec(b, value);
    buf_put_u8(b, '\n');
}

/* Microseconds as seconds. */
static void put_seconds(struct buf *b, uint64_t us)
{
    char text[40];
    (void)snprintf(text, sizeof(text), "%llu.%06llu", (unsigned long long)(us / 1000000),
                   (unsigned long long)(us % 1000000));
    buf_put_text(b, text);
}

static void put_histogram(struct buf *b, const char *name, const char *help,
                          const struct store_thread_stats *stats)
{
    uint64_t sum = 0;
    uint64_t upto_us = 1000;
    put_head(b, "histogram", name, help);
    for (size_t i = 0; i < STORE_BUCKETS; i++, upto_us *= 2) {
        sum += stats->buckets[i];
        buf_put_text(b, name);
        buf_put_text(b, "_bucket{le=\"");
        if (i + 1 < STORE_BUCKETS) {
            char text[32];
            (void)snprintf(text, sizeof(text), "%llu.%03llu",
                           (unsigned long long)(upto_us / 1000000),
                           (unsigned long long)(upto_us / 1000 % 1000));
            buf_put_text(b, text);
        } else {
            buf_put_text(b, "+Inf");
        }
        buf_put_text(b, "\"} ");
        buf_put_dec(b, sum);
        buf_put_u8(b, '\n');
    }
    buf_put_text(b, name);
    buf_put_text(b, "_sum ");
    put_seconds(b, (uint64_t)stats->sum_us);
    buf_put_u8(b, '\n');
    buf_put_text(b, name);
    buf_put_text(b, "_count ");
    buf_put_dec(b, sum);
    buf_put_u8(b, '\n');
}

/* Service and method of a path as labels: {grpc_service="..",grpc_method=".." */
static void put_labels(struct buf *b, const char *path)
{
    const char *slash = strrchr(path, '/');
    buf_put_text(b, "{grpc_service=\"");
    buf_put(b, slice_from(path + 1, (size_t)(slash - path - 1)));
    buf_put_text(b, "\",grpc_method=\"");
    buf_put_text(b, slash + 1);
    buf_put_u8(b, '"');
}

static void put_calls(struct buf *b, const struct rpc_registry *registry)
{
    static const char *const codes[] = {
        "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
        "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
        "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
        "DataLoss", "Unauthenticated"};
    const struct rpc_route *route = NULL;
    put_head(b, "counter", "grpc_server_handled_total", "Calls ended, over gRPC and JSON.");
    for (size_t i = 0; (route = rpc_route_at(registry, i)) != NULL; i++) {
        for (size_t code = 0; code < BASE_COUNT_OF(codes); code++) {
            if (route->handled[code] > 0) {
                buf_put_text(b, "grpc_server_handled_total");
                put_labels(b, route->method->path);
                buf_put_text(b, ",grpc_code=\"");
                buf_put_text(b, codes[code]);
                buf_put_text(b, "\"} ");
                buf_put_dec(b, route->handled[code]);
                buf_put_u8(b, '\n');
            }
        }
    }
    put_head(b, "counter", "grpc_server_started_total", "Calls begun, over gRPC and JSON.");
    for (size_t i = 0; (route = rpc_route_at(registry, i)) != NULL; i++) {
        if (route->started > 0) {
            buf_put_text(b, "grpc_server_started_total");
            put_labels(b, route->method->path);
            buf_put_text(b, "} ");
            buf_put_dec(b, route->started);
            buf_put_u8(b, '\n');
        }
    }
}

static uint64_t us_of(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_usec;
}

static void put_process(struct buf *b, const struct quorated_pages *pages)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        put_head(b, "counter", "process_cpu_seconds_total", "CPU time used.");
        buf_put_text(b, "process_cpu_seconds_total ");
        put_seconds(b, us_of(usage.ru_utime) + us_of(usage.ru_stime));
        buf_put_u8(b, '\n');
    }
    put_head(b, "gauge", "process_start_time_seconds", "Start, in seconds since 1970.");
    buf_put_text(b, "process_start_time_seconds ");
    put_seconds(b, pages->started_us);
    buf_put_text(b, "\n# HELP etcd_server_version Version that is answered to clients.\n"
                    "# TYPE etcd_server_version gauge\n"
                    "etcd_server_version{server_version=\"3.4.23\"} 1\n"
                    "# HELP quorate_build_info Version of this program.\n"
                    "# TYPE quorate_build_info gauge\n"
                    "quorate_build_info{version=\"" QUORATE_VERSION "\"} 1\n");
}

static void put_stores(struct buf *b, struct figures *f, const struct quorated_stores *stores)
{
    if (stores->log != NULL) {
        struct wal_store_stats log;
        wal_store_stats(stores->log, &log);
        f->wal_bytes = log.bytes;
        f->wal_segments = log.segments;
        put_histogram(b, "etcd_disk_wal_fsync_duration_seconds",
                      "Time of writing and flushing a batch of the log.", &log.thread);
    }
    if (stores->state != NULL) {
        struct env_lmdb_stats state;
        env_lmdb_stats(stores->state, &state);
        put_histogram(b, "etcd_disk_backend_commit_duration_seconds",
                      "Time of a commit of the state store.", &state.thread);
    }
}

void quorated_metrics_put(const struct quorated_pages *pages, struct buf *b)
{
    struct figures f = {0};
    read_process(&f);
    if (pages->node != NULL) {
        read_raft(pages, &f);
    }
    f.is_learner = pages->is_learner != NULL && pages->is_learner(pages->ctx);
    if (pages->service != NULL) {
        read_service(pages, &f);
    }
    if (pages->links != NULL) {
        read_links(pages, &f);
    }
    if (pages->api != NULL) {
        read_methods(pages, &f);
    }
    if (pages->clients != NULL && pages->clients->hub != NULL) {
        read_watches(pages->clients->hub, &f);
    }
    if (pages->server != NULL && *pages->server != NULL) {
        f.connections = io_server_connections(*pages->server);
    }
    if (pages->stores != NULL) {
        put_stores(b, &f, pages->stores);
    }
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        uint64_t value = 0;
        memcpy(&value, (const uint8_t *)&f + rows[i].offset, sizeof(value));
        put_row(b, &rows[i], value);
    }
    if (pages->api != NULL) {
        put_calls(b, api_registry(pages->api));
    }
    put_process(b, pages);
}
