/* SPDX-License-Identifier: Apache-2.0 */
/* The whole API of a quorum node in one object, for the daemon: the registry with the services that
 * need nothing but the key-value service, and the two transports in front of it. Services with
 * state of their own (watch, auth, lock, election) are registered by whoever makes them, at
 * api_registry. Loop thread only. */
#ifndef QUORATE_KV_API_API_H
#define QUORATE_KV_API_API_H

#include "kv/api/methods.h"

struct api;

struct api_options {
    struct kv_service *service;
    bool is_insecure; /* no TLS: no roles */
    uint64_t cluster_id;
    uint64_t member_id;
    void *ctx;
    bool (*is_healthy)(void *ctx); /* a leader is known and this node applies */
    bool (*is_learner)(void *ctx); /* NULL: never */
    /* As in rpc_registry_options; each may be NULL. */
    bool (*may_begin)(void *ctx, const struct rpc_call *call);
    void (*ended)(void *ctx, const struct rpc_call *call, struct slice message,
                  enum io_grpc_status status);
    struct snapshot_port snapshot; /* export_begin NULL: Maintenance.Snapshot is UNIMPLEMENTED */
    struct io_grpc_handler next;   /* for other gRPC paths; lookup NULL: none */
    struct io_http_handler pages;  /* for other HTTP paths; request NULL: 404 */
};

MUST_CHECK int api_open(const struct api_options *options, struct api **ret);
struct rpc_registry *api_registry(struct api *api);
/* Handlers for io_server_new. */
struct io_grpc_handler api_grpc(struct api *api);
struct io_http_handler api_http(struct api *api);
/* Images served since the start. */
uint64_t api_snapshots(const struct api *api);
/* Time passes; some times a second. */
void api_tick(struct api *api, struct base_mono now);
/* After the server, the stores and the service are closed. NULL is fine. Returns NULL. */
struct api *api_close(struct api *api);

#endif
