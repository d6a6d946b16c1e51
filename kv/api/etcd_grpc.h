/* SPDX-License-Identifier: Apache-2.0 */
/* The etcd v3 API over gRPC: paths and bytes on one side, kv/service on the other.
 *
 * Serves KV (Range, Put, DeleteRange, Txn), Maintenance.Status, Cluster.MemberList and
 * grpc.health.v1.Health.Check; any other path goes to the next handler, or is UNIMPLEMENTED. Who
 * may call what: an admin's certificate everything, a viewer's only what reads, others nothing;
 * without TLS (loopback only) everybody everything. Loop thread only.
 */
#ifndef QUORATE_KV_API_ETCD_GRPC_H
#define QUORATE_KV_API_ETCD_GRPC_H

#include "kv/service.h"
#include "proto/io/server.h"

struct kv_api;

struct kv_api_options {
    struct kv_service *service;
    bool is_insecure; /* no TLS: no roles */
    /* Is there a leader, and does this node apply? For grpc.health.v1. */
    bool (*is_healthy)(void *ctx);
    void *ctx;
    struct io_grpc_handler next; /* for other paths; lookup NULL: none */
};

MUST_CHECK int kv_api_new(const struct kv_api_options *options, struct kv_api **ret);
/* The handler for io_server_new. */
struct io_grpc_handler kv_api_handler(struct kv_api *api);
/* The server whose calls are answered; after io_server_new. */
void kv_api_set_server(struct kv_api *api, struct io_server *server);
/* Frees it; calls under way are answered to nobody. The service must be closed before. NULL is
 * fine. */
struct kv_api *kv_api_free(struct kv_api *api);

#endif
