/* SPDX-License-Identifier: Apache-2.0 */
/* Figures and their names; see metrics.h. */
#include "arbiter/quorated/metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "arbiter/notify/notify.h"
#include "arbiter/quorated/clients.h"
#include "arbiter/quorated/metrics_table.h"
#include "arbiter/quorated/stores.h"
#include "arbiter/web/web.h"
#include "base/metric.h"
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
    uint64_t certificate_end, viewers;
    uint64_t told, told_failed, told_dropped, told_waiting;
};

static const struct row {
    const char *type;
    const char *name;
    const char *help;
    size_t offset;
} rows[] = {
#define ROW(type, name, member, help) {#type, #name, help, offsetof(struct figures, member)},
    QUORATED_FIGURES(ROW)
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

static void read_notify(const struct notify *notify, struct figures *f)
{
    struct notify_stats s = notify_stats(notify);
    f->told = s.delivered;
    f->told_failed = s.failed;
    f->told_dropped = s.dropped;
    f->told_waiting = s.waiting;
}

/* --- writing --- */

enum other {
#define OTHER_ENUM(id, type, name, labels, help) OTHER_##id,
    QUORATED_OTHER_METRICS(OTHER_ENUM)
#undef OTHER_ENUM
};
static const struct base_metric_row others[] = {
#define OTHER_ROW(id, type, name, labels, help) {#type, #name, labels, help},
    QUORATED_OTHER_METRICS(OTHER_ROW)
#undef OTHER_ROW
};

/* Returns its name. */
static const char *put_other_head(struct buf *b, enum other id)
{
    base_metric_head(b, others[id].type, others[id].name, others[id].help);
    return others[id].name;
}

static void put_row(struct buf *b, const struct row *row, uint64_t value)
{
    base_metric_head(b, row->type, row->name, row->help);
    base_metric_name(b, row->name, "", NULL);
    base_metric_u64(b, value);
}

static void put_histogram(struct buf *b, enum other id, const struct store_thread_stats *stats)
{
    uint64_t sum = 0;
    uint64_t upto_us = 1000;
    const char *name = put_other_head(b, id);
    for (size_t i = 0; i < STORE_BUCKETS; i++, upto_us *= 2) {
        char text[32] = "+Inf";
        sum += stats->buckets[i];
        if (i + 1 < STORE_BUCKETS) {
            (void)snprintf(text, sizeof(text), "%llu.%03llu",
                           (unsigned long long)(upto_us / 1000000),
                           (unsigned long long)(upto_us / 1000 % 1000));
        }
        const struct base_metric_label labels[] = {{"le", text}, {NULL, NULL}};
        base_metric_name(b, name, "_bucket", labels);
        base_metric_u64(b, sum);
    }
    base_metric_name(b, name, "_sum", NULL);
    base_metric_seconds(b, (uint64_t)stats->sum_us);
    base_metric_name(b, name, "_count", NULL);
    base_metric_u64(b, sum);
}

#define SERVICE_MAX 96

/* A method's value; code NULL: none. */
static void put_call(struct buf *b, const char *name, const char *path, const char *code,
                     uint64_t value)
{
    char service[SERVICE_MAX];
    const char *slash = strrchr(path, '/');
    (void)snprintf(service, sizeof(service), "%.*s", (int)(slash - path - 1), path + 1);
    const struct base_metric_label labels[] = {{"grpc_service", service},
                                               {"grpc_method", slash + 1},
                                               {code == NULL ? NULL : "grpc_code", code},
                                               {NULL, NULL}};
    base_metric_name(b, name, "", labels);
    base_metric_u64(b, value);
}

static void put_calls(struct buf *b, const struct rpc_registry *registry)
{
    const struct rpc_route *route = NULL;
    const char *name = put_other_head(b, OTHER_HANDLED);
    for (size_t i = 0; (route = rpc_route_at(registry, i)) != NULL; i++) {
        for (size_t code = 0; code < BASE_COUNT_OF(route->handled); code++) {
            if (route->handled[code] > 0) {
                put_call(b, name, route->method->path, rpc_status_name((enum io_grpc_status)code),
                         route->handled[code]);
            }
        }
    }
    name = put_other_head(b, OTHER_STARTED);
    for (size_t i = 0; (route = rpc_route_at(registry, i)) != NULL; i++) {
        if (route->started > 0) {
            put_call(b, name, route->method->path, NULL, route->started);
        }
    }
}

static uint64_t us_of(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_usec;
}

static void put_labelled(struct buf *b, enum other id, const char *label, const char *value)
{
    const struct base_metric_label labels[] = {{label, value}, {NULL, NULL}};
    base_metric_name(b, put_other_head(b, id), "", labels);
    base_metric_u64(b, 1);
}

static void put_process(struct buf *b, const struct quorated_pages *pages)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        base_metric_name(b, put_other_head(b, OTHER_CPU), "", NULL);
        base_metric_seconds(b, us_of(usage.ru_utime) + us_of(usage.ru_stime));
    }
    base_metric_name(b, put_other_head(b, OTHER_START), "", NULL);
    base_metric_seconds(b, pages->started_us);
    put_labelled(b, OTHER_VERSION, "server_version", "3.4.23");
    put_labelled(b, OTHER_BUILD, "version", QUORATE_VERSION);
}

static void put_events(struct buf *b, const struct quorated_pages *pages)
{
    const char *name = put_other_head(b, OTHER_EVENTS);
    for (size_t i = 0; i < ARB_NOTE_COUNT; i++) {
        if (pages->notes[i] > 0) {
            const struct base_metric_label labels[] = {
                {"event", arb_note_name((enum arb_note_kind)i)}, {NULL, NULL}};
            base_metric_name(b, name, "", labels);
            base_metric_u64(b, pages->notes[i]);
        }
    }
}

static void put_stores(struct buf *b, struct figures *f, const struct quorated_stores *stores)
{
    if (stores->log != NULL) {
        struct wal_store_stats log;
        wal_store_stats(stores->log, &log);
        f->wal_bytes = log.bytes;
        f->wal_segments = log.segments;
        put_histogram(b, OTHER_LOG_FLUSH, &log.thread);
    }
    if (stores->state != NULL) {
        struct env_lmdb_stats state;
        env_lmdb_stats(stores->state, &state);
        put_histogram(b, OTHER_COMMIT, &state.thread);
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
    if (pages->tls != NULL) {
        f.certificate_end = (uint64_t)(io_tls_own_end_us(pages->tls) / BASE_US_PER_S);
    }
    if (pages->notify != NULL) {
        read_notify(*pages->notify, &f);
    }
    f.viewers = pages->web == NULL ? 0 : web_viewers(pages->web);
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
    put_events(b, pages);
    if (pages->arbiter != NULL) {
        quorated_metrics_put_databases(pages->arbiter, b);
    }
    put_process(b, pages);
}
