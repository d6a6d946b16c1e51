/* SPDX-License-Identifier: Apache-2.0 */
/* Leases in the tables: which there are, and which keys hang on which.
 *
 *   STORE_KV_LEASES      id (big-endian)       -> granted TTL, remaining TTL of the last checkpoint
 *   STORE_KV_LEASE_KEYS  id (big-endian), key  -> nothing
 *   STORE_META           "kv.leases"           -> how many there are
 *
 * When a lease ends is the leader's to say (kv/lease.h); here it ends with its revoke alone. Pure;
 * used by kv/core, and by kv/lease.c to read.
 */
#ifndef QUORATE_KV_CORE_LEASE_H
#define QUORATE_KV_CORE_LEASE_H

#include "kv/core/view.h"

struct kv_lease_row {
    int64_t id;
    int64_t ttl;       /* seconds, as granted */
    int64_t remaining; /* seconds left at the last checkpoint; 0: none was made */
};

/* BASE_E_NOTFOUND, BASE_E_CORRUPT. */
MUST_CHECK int kv_lease_get(struct store_txn *txn, int64_t id, struct kv_lease_row *ret);

/* A put gives a key to a lease, or takes it away; 0 is no lease. The lease was looked up before. */
MUST_CHECK int kv_lease_attach(struct kv_view *view, uint64_t id, struct slice key);
MUST_CHECK int kv_lease_detach(struct kv_view *view, uint64_t id, struct slice key);

/* chosen_id: used when the request leaves the id open. LEASE_EXISTS, LEASE_NOT_FOUND (no id at
 * all), TOO_MANY_REQUESTS (KV_LEASES_MAX). */
MUST_CHECK int kv_lease_grant_apply(struct kv_view *view, const struct kv_lease_grant *grant,
                                    uint64_t chosen_id, enum kv_error *ret_error,
                                    struct kv_lease_row *ret);
/* Deletes the lease and, in order and in one revision, its keys. LEASE_NOT_FOUND. */
MUST_CHECK int kv_lease_revoke_apply(struct kv_view *view, int64_t id, enum kv_error *ret_error);
/* Leases that are no more are passed over. */
MUST_CHECK int kv_lease_checkpoint_apply(struct kv_view *view,
                                         const struct kv_lease_checkpoints *checkpoints);

/* Visits the leases from this id on, ordered as unsigned numbers. 0: go on, 1: stop; must not
 * write. */
typedef int kv_lease_fn(void *ctx, const struct kv_lease_row *lease);
MUST_CHECK int kv_lease_each(struct store_txn *txn, uint64_t from, kv_lease_fn *visit, void *ctx);

/* Answers of reads. Too little memory sets view->is_cut. LEASE_TTL: ttl is -1 or as granted. */
MUST_CHECK int kv_lease_leases_read(struct kv_view *view, struct kv_lease_leases_response *ret);
MUST_CHECK int kv_lease_ttl_read(struct kv_view *view, const struct kv_lease_ttl *request,
                                 struct kv_lease_ttl_response *ret);

#endif
