/* SPDX-License-Identifier: Apache-2.0 */
/* The key-value state machine: what a committed entry does to the store, and what a read sees.
 *
 * Pure and deterministic: the outcome depends on the entry and on the store's content alone, never
 * on memory, time or the node. Where an answer does not fit into the scratch memory it is the
 * answer that is cut (is_cut), not the change. A negative return is a failure of the store and
 * fatal; refusals are part of the outcome. Used by kv/service.c in store jobs, by tests and by the
 * simulator.
 */
#ifndef QUORATE_KV_CORE_APPLY_H
#define QUORATE_KV_CORE_APPLY_H

#include "kv/core/lease.h"
#include "kv/core/view.h"
#include "proto/msg/kv.h"

/* A row of STORE_ARBITER; slices are borrowed from the store or from the entry. */
struct kv_record {
    uint64_t epoch;
    uint64_t revision;
    struct slice blob;
};

struct kv_outcome {
    enum kv_error error;
    bool is_cut;      /* the request took effect, but `response` is not complete */
    bool is_changed;  /* the revision grew by one */
    int64_t revision; /* of the store, afterwards */
    struct kv_response
        response;             /* kind NONE unless error is KV_OK; headers hold the revision alone */
    bool is_void;             /* guard_term or auth revision: as if the entry had not been there */
    int64_t compact_revision; /* COMPACT that was not refused: what is older is gone from now on */
    struct kv_lease_row lease; /* LEASE_GRANT, LEASE_REVOKE not refused: of which */
    bool is_alarm_changed;
    /* SWAP only: error is KV_OK (won) or SWAP_VOID, and this is the record that stands now (0, 0:
     * none). */
    struct kv_record record;
};

/* Applies an entry of any kind below KV_KIND_FIRST_UNLOGGED but RANGE. entry_term: the Raft term of
 * the entry itself. Slices of the outcome live in the request, in the scratch arena, or (record of
 * a void swap) in the store until its next write. */
MUST_CHECK int kv_core_apply(struct store_txn *txn, struct kv_scratch *scratch,
                             const struct kv_command *command, uint64_t entry_term,
                             struct kv_outcome *ret);
/* Answers a RANGE, a TXN that only reads, LEASE_LEASES, ALARM (get), or a read of users and roles.
 * Slices live until the next write. */
MUST_CHECK int kv_core_read(struct store_txn *txn, struct kv_scratch *scratch,
                            const struct kv_request *request, struct kv_outcome *ret);

/* Current revision; 1 in a fresh store. */
MUST_CHECK int kv_core_revision(struct store_txn *txn, int64_t *ret);

/* Visits the arbiter's records in order of names. 0: go on, 1: stop, negative: error; must not
 * write. */
typedef int kv_record_fn(void *ctx, struct slice name, const struct kv_record *record);
MUST_CHECK int kv_core_records(struct store_txn *txn, kv_record_fn *visit, void *ctx);

/* Checksum over all tables of the state machine: equal states, equal sums, however far the removal
 * of compacted rows has come on this node. Reads everything; for tests and Maintenance.Hash. */
MUST_CHECK int kv_core_hash(struct store_txn *txn, uint32_t *ret);

#endif
