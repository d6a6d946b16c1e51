/* SPDX-License-Identifier: Apache-2.0 */
/* How log, hard state, applied index and configuration lie in the tables of the two stores.
 * Functions that take a transaction run on the storage thread.
 *
 * STORE_LOG: big-endian index -> [term u64][crc32c u32][type u8][body], numbers big-endian; the
 * checksum covers index, term, type and body. STORE_META: "raft.ids" (format u32, cluster u64, node
 * u64), "raft.state" (term u64, vote u64), "raft.applied" (index u64, term u64), "raft.image" (the
 * same), each with a crc32c behind it, and "raft.members". Ids are in both stores, log, state and
 * image in the log's, applied and members in the state store. Damage is BASE_E_CORRUPT, never
 * skipped.
 */
#ifndef QUORATE_RAFT_LOG_STORE_H
#define QUORATE_RAFT_LOG_STORE_H

#include "proto/msg/raft.h"
#include "raft/core/types.h"
#include "raft/port_snapshot.h"
#include "raft/port_store.h"

#define LOG_STORE_FORMAT 1u
#define LOG_STORE_HEADER 13u /* bytes of a stored entry before its body */

/* Makes the stored form: LOG_STORE_HEADER + body.len bytes at `memory`. */
void log_store_encode(uint64_t index, const struct msg_raft_entry *entry, uint8_t *memory);
/* Reads the stored form of entry `index`; the body points into `value`. BASE_E_CORRUPT. */
MUST_CHECK int log_store_decode(uint64_t index, struct slice value, struct msg_raft_entry *ret);

/* Puts one encoded entry. */
MUST_CHECK int log_store_put(struct store_txn *txn, uint64_t index, struct slice value);
/* Removes entries from..to, all of which are there. */
MUST_CHECK int log_store_remove(struct store_txn *txn, uint64_t from, uint64_t to);
/* One entry, valid until the next write of the transaction. BASE_E_NOTFOUND, BASE_E_CORRUPT. */
MUST_CHECK int log_store_get(struct store_txn *txn, uint64_t index, struct msg_raft_entry *ret);

struct log_store_state {
    uint64_t term;
    uint64_t vote;
    uint64_t applied_index;
    uint64_t applied_term;
};
/* What of it is in this store; the rest is 0. */
MUST_CHECK int log_store_save_state(struct store_txn *txn, uint64_t term, uint64_t vote);
MUST_CHECK int log_store_save_applied(struct store_txn *txn, uint64_t index, uint64_t term);
/* BASE_E_CORRUPT. */
MUST_CHECK int log_store_load_state(struct store_txn *txn, struct log_store_state *ret);
/* The configuration of the applied state, with its index, in the state store: "raft.members" (index
 * u64, bytes of raft/core/members.h, crc32c). BASE_E_NOTFOUND: none yet; BASE_E_CORRUPT,
 * BASE_E_UNSUPPORTED. */
MUST_CHECK int log_store_save_members(struct store_txn *txn,
                                      const struct raft_configuration *configuration);
MUST_CHECK int log_store_load_members(struct store_txn *txn, struct raft_configuration *ret);
/* In the log's store: the image (index, term) that is about to be installed, "raft.image". */
MUST_CHECK int log_store_save_image(struct store_txn *txn, uint64_t index, uint64_t term);
MUST_CHECK int log_store_load_image(struct store_txn *txn, uint64_t *ret_index, uint64_t *ret_term);
/* Removes the whole log, which begins anew behind the state (index, term): "raft.reset" says so,
 * since the announcement may be that of a later image before the first entry is there. */
MUST_CHECK int log_store_reset(struct store_txn *txn, uint64_t index, uint64_t term);
MUST_CHECK int log_store_load_reset(struct store_txn *txn, uint64_t *ret_index, uint64_t *ret_term);
/* Removes entries up to `index`. */
MUST_CHECK int log_store_trim(struct store_txn *txn, uint64_t index);
/* Whether ids have been written. */
MUST_CHECK int log_store_has_ids(struct store_txn *txn, bool *ret);
/* The ids that a store was made with. BASE_E_NOTFOUND: a new store; BASE_E_CORRUPT,
 * BASE_E_UNSUPPORTED. */
MUST_CHECK int log_store_load_ids(struct store_txn *txn, uint64_t *ret_cluster, uint64_t *ret_node);
/* Writes the ids into a new store, or compares. BASE_E_CONFLICT: another cluster's or node's;
 * BASE_E_UNSUPPORTED: another format. */
MUST_CHECK int log_store_check_ids(struct store_txn *txn, uint64_t cluster, uint64_t node);

/* What an image of the state store as it stands is an image of: cluster, applied index and term,
 * configuration; 0 and empty in a store that lacks them. `bytes` is not known here. BASE_E_CORRUPT,
 * BASE_E_UNSUPPORTED. */
MUST_CHECK int log_store_load_info(struct store_txn *txn, struct snapshot_info *ret);

/* Called for each entry in order. Nonzero ends the walk with it. */
typedef int log_store_entry_fn(void *ctx, uint64_t index, const struct msg_raft_entry *entry);
/* Walks the whole log, checking every checksum and that no index is missing. */
MUST_CHECK int log_store_walk(struct store_txn *txn, log_store_entry_fn *visit, void *ctx);

#endif
