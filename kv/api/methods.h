/* SPDX-License-Identifier: Apache-2.0 */
/* The services of the etcd v3 API that need no state of their own beyond the key-value service; the
 * others (watch, auth, lock, election) have headers of their own. Each adds its methods to a
 * registry. Loop thread only. */
#ifndef QUORATE_KV_API_METHODS_H
#define QUORATE_KV_API_METHODS_H

#include "kv/api/rpc.h"
#include "raft/port_snapshot.h"

/* etcdserverpb.KV and etcdserverpb.Cluster: every method is one request to the service. */
MUST_CHECK int api_kv_register(struct rpc_registry *registry);
MUST_CHECK int api_cluster_register(struct rpc_registry *registry);

/* etcdserverpb.Lease. The service answers the requests of keep-alive streams. */
struct api_lease;
MUST_CHECK int api_lease_new(struct rpc_registry *registry, struct kv_service *service,
                             struct api_lease **ret);
/* After the registry and the service are closed. NULL is fine. Returns NULL. */
struct api_lease *api_lease_free(struct api_lease *lease);

/* etcdserverpb.Maintenance. snapshot: where images come from; ctx-less (export_begin NULL):
 * Snapshot is UNIMPLEMENTED. */
struct api_maintenance_options {
    struct kv_service *service;
    struct snapshot_port snapshot;
    uint64_t cluster_id;
    uint64_t member_id;
};
struct api_maintenance;
MUST_CHECK int api_maintenance_new(struct rpc_registry *registry,
                                   const struct api_maintenance_options *options,
                                   struct api_maintenance **ret);
/* Leaves a client behind that takes nothing of its image. Every second or more often. */
void api_maintenance_tick(struct api_maintenance *maintenance, struct base_mono now);
/* Images served since the start. */
uint64_t api_maintenance_snapshots(const struct api_maintenance *maintenance);
/* After the registry and the snapshot port are closed. NULL is fine. Returns NULL. */
struct api_maintenance *api_maintenance_free(struct api_maintenance *maintenance);

/* grpc.health.v1.Health for the service "", the node as a whole. */
struct api_health;
MUST_CHECK int api_health_new(struct rpc_registry *registry, bool (*is_healthy)(void *ctx),
                              void *ctx, struct api_health **ret);
/* Tells watching clients of a change. To be called when it may have changed, or on a timer. */
void api_health_changed(struct api_health *health);
/* NULL is fine. Returns NULL. */
struct api_health *api_health_free(struct api_health *health);

#endif
