/* SPDX-License-Identifier: Apache-2.0 */
/* When leases end: the leader's part, in memory.
 *
 * Which leases there are is replicated (kv/core/lease.h); when one ends is for the leader alone to
 * decide. It reads all leases when it becomes leader, gives each its full time (or what was left at
 * the last checkpoint) plus one election timeout, and keeps a deadline for each. A lease past its
 * deadline is revoked by an entry that is void unless it is applied in the very term in which this
 * was decided, and nothing is decided before a quorum round has confirmed that this node still
 * leads: a leader that was stopped for a while finds out first. Once a revoke is proposed a renewal
 * waits for its outcome. So the TTL is a lower bound: a lease may live longer, never shorter.
 *
 * Bounds: KV_LEASES_MAX leases of some 50 bytes each, 16 revokes under way, 1,000 a second. Loop
 * thread only. Part of the key-value service (service_internal.h).
 */
#ifndef QUORATE_KV_LEASE_H
#define QUORATE_KV_LEASE_H

#include "base/error.h"
#include "proto/msg/kv.h"

#define KV_LEASE_REVOKES_MAX 16u
#define KV_LEASE_REVOKES_PER_S 1000
#define KV_LEASE_CHECKPOINT_US \
    INT64_C(300000000) /* between checkpoints, and the least time left \
                        */

struct kv_call;
struct kv_leases;
struct kv_service;

MUST_CHECK int kv_leases_open(struct kv_service *service, struct kv_leases **ret);
void kv_leases_close(struct kv_leases *leases);

/* Looks at the node's role: begins to keep deadlines, or stops. */
void kv_leases_role_changed(struct kv_leases *leases);
/* The store holds another state. */
void kv_leases_restored(struct kv_leases *leases);
/* An applied entry granted or revoked a lease. */
void kv_leases_granted(struct kv_leases *leases, int64_t id, int64_t ttl);
void kv_leases_revoked(struct kv_leases *leases, int64_t id);
void kv_leases_tick(struct kv_leases *leases);
/* Ends all calls held here. */
void kv_leases_fail(struct kv_leases *leases, enum kv_error error);

/* LEASE_KEEP_ALIVE on the leader; ended later. */
void kv_leases_keep_alive(struct kv_leases *leases, struct kv_call *call);
/* LEASE_TTL on the leader: passed on to the reads once deadlines are known. */
void kv_leases_ttl(struct kv_leases *leases, struct kv_call *call);
/* Seconds left, rounded down, 0 or more; -1: unknown; KV_LEASE_NOT_KEPT: this node does not keep
 * deadlines. */
#define KV_LEASE_NOT_KEPT INT64_C(-2)
int64_t kv_leases_remaining(const struct kv_leases *leases, int64_t id);

struct kv_leases_stats {
    uint32_t count;
    uint64_t expired;
    uint64_t renewed;
};
struct kv_leases_stats kv_leases_stats(const struct kv_leases *leases);

#endif
