/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP/1.1 pages of a quorum node: /health, /livez, /readyz, /version, /metrics, and those of
 * the status page (arbiter/web). Read-only, answered from memory; served on the public port and on
 * the metrics port. Metrics and status are for those whom arbiter/web/access.h admits. Loop thread
 * only. */
#ifndef QUORATE_ARBITER_QUORATED_PAGES_H
#define QUORATE_ARBITER_QUORATED_PAGES_H

#include "arbiter/driver.h"
#include "arbiter/web/web.h"
#include "kv/service.h"
#include "proto/io/http1.h"
#include "raft/node.h"

struct api;
struct io_links;
struct io_server;
struct io_tls;
struct notify;
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
    const struct arb_driver *arbiter;
    struct web *web;
    struct notify *const *notify;    /* may be NULL behind it: nobody is told */
    const struct io_tls *tls;        /* NULL: insecure */
    struct io_server *const *server; /* the public one, once it is there */
    bool (*is_learner)(void *ctx);   /* NULL: never */
    void *ctx;
    uint64_t started_us; /* wall clock */
    struct base_name name;
    uint64_t node_id;
    uint64_t leader_changes;
    uint64_t last_leader;
    bool has_seen_leader;
    uint64_t leader_now;            /* as told last, 0: none */
    int64_t leader_since_us;        /* wall clock */
    uint64_t notes[ARB_NOTE_COUNT]; /* the arbiter's sentences, counted */
};

struct io_http_handler quorated_pages_handler(struct quorated_pages *pages);
/* To be called when the Raft role may have changed. */
void quorated_pages_role_changed(struct quorated_pages *pages);
/* A leader is known and this node has applied something in its life or leads. */
bool quorated_pages_is_ready(const struct quorated_pages *pages);

/* quorum_view.c: the quorum as this node sees it, for the status page. */
void quorated_pages_quorum(const struct quorated_pages *pages, struct web_quorum *ret);

#endif
