/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP/1.1 pages of a quorum node: /health, /livez, /readyz, /version and /metrics. Read-only,
 * answered from memory; served on the public port and on the metrics port. Loop thread only. */
#ifndef QUORATE_ARBITER_QUORATED_PAGES_H
#define QUORATE_ARBITER_QUORATED_PAGES_H

#include "kv/service.h"
#include "proto/io/http1.h"
#include "raft/node.h"

struct api;
struct io_links;
struct io_server;
struct quorated_clients;
struct quorated_stores;

/* Where the figures come from; all outlive the pages. Fields may be NULL while starting. */
struct quorated_pages {
    struct raft_node *node;
    struct kv_service *service;
    struct io_links *links;
    struct api *api;
    const struct quorated_clients *clients;
    const struct quorated_stores *stores;
    struct io_server *const *server; /* the public one, once it is there */
    bool (*is_learner)(void *ctx);   /* NULL: never */
    void *ctx;
    uint64_t started_us; /* wall clock */
    struct base_name name;
    uint64_t leader_changes;
    uint64_t last_leader;
    bool has_seen_leader;
};

struct io_http_handler quorated_pages_handler(struct quorated_pages *pages);
/* To be called when the Raft role may have changed. */
void quorated_pages_role_changed(struct quorated_pages *pages);
/* A leader is known and this node has applied something in its life or leads. */
bool quorated_pages_is_ready(const struct quorated_pages *pages);

#endif
