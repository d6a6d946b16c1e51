/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP pages of a quorum node. Metric names are etcd's where the meaning is the same. */
#include "arbiter/quorated/pages.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/slice.h"
#include "proto/io/link.h"

#define PAGE_MAX_BYTES 16384

static void put_metric(struct buf *b, const char *type, const char *name, const char *help,
                       uint64_t value)
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
    buf_put_text(b, name);
    buf_put_u8(b, ' ');
    buf_put_dec(b, value);
    buf_put_u8(b, '\n');
}

static uint64_t resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        return 0;
    }
    if (fscanf(file, "%*s %lu", &pages) != 1) {
        pages = 0;
    }
    (void)fclose(file);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void put_metrics(const struct quorated_pages *pages, struct buf *b)
{
    struct raft_node_status s;
    raft_node_status(pages->node, &s);
    struct io_links_stats links = io_links_stats(pages->links);
    put_metric(b, "gauge", "etcd_server_has_leader", "1 when a leader is known.", s.leader_id != 0);
    put_metric(b, "gauge", "etcd_server_is_leader", "1 when this node leads.",
               s.role == RAFT_LEADER);
    put_metric(b, "counter", "etcd_server_leader_changes_seen_total", "Changes of the leader seen.",
               pages->leader_changes);
    put_metric(b, "gauge", "etcd_server_proposals_committed_total", "Index of the last commit.",
               s.commit_index);
    put_metric(b, "gauge", "etcd_server_proposals_applied_total", "Index of the last apply.",
               s.applied_index);
    put_metric(b, "gauge", "quorate_raft_term", "Raft term.", s.term);
    put_metric(b, "gauge", "quorate_raft_last_index", "Last index of the log.", s.last_index);
    put_metric(b, "gauge", "quorate_raft_persisted_index", "Last index that is durable here.",
               s.persisted_index);
    put_metric(b, "gauge", "etcd_mvcc_db_total_size_in_use_in_bytes", "Bytes used in the store.",
               kv_service_bytes_used(pages->service));
    put_metric(b, "gauge", "etcd_debugging_mvcc_current_revision", "Current revision.",
               (uint64_t)kv_service_revision(pages->service));
    put_metric(b, "gauge", "quorate_calls_open", "Requests not yet answered.",
               kv_service_open_calls(pages->service));
    put_metric(b, "counter", "quorate_link_frames_in_total", "Frames received.", links.frames_in);
    put_metric(b, "counter", "quorate_link_frames_out_total", "Frames sent.", links.frames_out);
    put_metric(b, "counter", "quorate_link_dropped_total", "Frames not sent: link down or full.",
               links.dropped);
    put_metric(b, "gauge", "quorate_links_up", "Links to peers and agents that are up.",
               links.links_up);
    put_metric(b, "gauge", "process_resident_memory_bytes", "Resident memory.", resident_bytes());
}

bool quorated_pages_is_ready(const struct quorated_pages *pages)
{
    struct raft_node_status s;
    if (pages->node == NULL) {
        return false;
    }
    raft_node_status(pages->node, &s);
    return s.is_started && !s.is_halted && s.leader_id != 0;
}

void quorated_pages_role_changed(struct quorated_pages *pages)
{
    struct raft_node_status s;
    raft_node_status(pages->node, &s);
    if (s.leader_id != 0 && s.leader_id != pages->last_leader) {
        pages->leader_changes += pages->has_seen_leader ? 1 : 0;
        pages->has_seen_leader = true;
        pages->last_leader = s.leader_id;
    }
}

static bool is_path(struct slice path, const char *text)
{
    return slice_equal(path, slice_from_text(text));
}

static void reply_health(struct io_http_exchange *exchange, bool is_ready)
{
    if (is_ready) {
        io_http_reply(exchange, 200, "application/json", SLICE_LIT("{\"health\":\"true\"}\n"));
    } else {
        io_http_reply(exchange, 503, "application/json",
                      SLICE_LIT("{\"health\":\"false\",\"reason\":\"no leader\"}\n"));
    }
}

static void answer(void *ctx, struct io_http_exchange *exchange,
                   const struct io_http_request *request)
{
    const struct quorated_pages *pages = ctx;
    if (!is_path(request->method, "GET") && !is_path(request->method, "HEAD")) {
        io_http_reply(exchange, 405, "text/plain", SLICE_LIT("only GET and HEAD\n"));
    } else if (is_path(request->path, "/health") || is_path(request->path, "/readyz")) {
        reply_health(exchange, quorated_pages_is_ready(pages));
    } else if (is_path(request->path, "/livez")) {
        io_http_reply(exchange, 200, "text/plain", SLICE_LIT("ok\n"));
    } else if (is_path(request->path, "/version")) {
        io_http_reply(exchange, 200, "application/json",
                      SLICE_LIT("{\"etcdserver\":\"3.4.23\",\"etcdcluster\":\"3.4.0\","
                                "\"quorate\":\"" QUORATE_VERSION "\"}\n"));
    } else if (is_path(request->path, "/metrics")) {
        uint8_t memory[PAGE_MAX_BYTES];
        struct buf b = buf_over(memory, sizeof(memory));
        put_metrics(pages, &b);
        io_http_reply(exchange, 200, "text/plain; version=0.0.4", buf_slice(&b));
    } else {
        io_http_reply(exchange, 404, "text/plain", SLICE_LIT("404 page not found\n"));
    }
}

struct io_http_handler quorated_pages_handler(struct quorated_pages *pages)
{
    return (struct io_http_handler){.ctx = pages, .request = answer};
}
