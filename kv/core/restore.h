/* SPDX-License-Identifier: Apache-2.0 */
/* The restore id of a store: STORE_META "quorum.restore" of the state store, a random number that
 * is written when a quorum begins anew from an image or by force, and part of every image of it
 * from then on. Records of the arbiter that were made under another one are unconfirmed. Pure;
 * storage thread. */
#ifndef QUORATE_KV_CORE_RESTORE_H
#define QUORATE_KV_CORE_RESTORE_H

#include "raft/port_store.h"

#define KV_META_RESTORE "quorum.restore" /* u64 big-endian, crc32c of these 8 bytes big-endian */

/* 0 when the store was never restored. BASE_E_CORRUPT: damaged; the node must not go on. */
MUST_CHECK int kv_core_restore_id(struct store_txn *txn, uint64_t *ret);
/* id is random and not 0. Errors of store_put. */
MUST_CHECK int kv_core_restore_id_set(struct store_txn *txn, uint64_t id);

#endif
