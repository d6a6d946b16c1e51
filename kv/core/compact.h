/* SPDX-License-Identifier: Apache-2.0 */
/* Compaction: taking old versions away, and the checksum that must not notice it.
 *
 *   STORE_META  "kv.compact"    -> the compact revision (rows.h); absent: nothing was ever
 * compacted STORE_META  "kv.compacted"  -> rows up to here are gone: of this node alone, never of
 * the state
 *
 * An entry sets the compact revision R and nothing else: from then on nothing below R is read, on
 * all nodes alike. The rows go later, in small steps, on each node at its own pace. What stays of a
 * key: all versions from R on, and if there is none at R itself the newest below, unless that is a
 * tombstone. A tombstone at R stays until the next compaction, so that a watch from R still hears
 * of it. Pure.
 */
#ifndef QUORATE_KV_CORE_COMPACT_H
#define QUORATE_KV_CORE_COMPACT_H

#include "kv/core/view.h"

#define KV_META_COMPACTED "kv.compacted"

/* The compact revision, -1 when there is none. */
MUST_CHECK int kv_compact_get(struct store_txn *txn, int64_t *ret);
/* COMPACTED for a revision not above the compact revision, FUTURE_REVISION above the newest. */
MUST_CHECK int kv_compact_apply(struct kv_view *view, const struct kv_compact *compact,
                                enum kv_error *ret_error);

struct kv_compact_progress {
    int64_t scheduled; /* compact revision, -1: none */
    int64_t finished;  /* rows for it are gone, -1: never */
};
MUST_CHECK int kv_compact_progress_get(struct store_txn *txn, struct kv_compact_progress *ret);
/* One step of removal: looks at about rows_max rows, and stores how far it came. Nothing is left to
 * do when finished is scheduled. */
MUST_CHECK int kv_compact_step(struct store_txn *txn, uint32_t rows_max,
                               struct kv_compact_progress *ret);

/* A checksum under way, over every version up to `revision` that compaction leaves. Equal for equal
 * histories, however far removal has come. */
struct kv_hash_walk {
    int64_t revision; /* set by the caller: 1 or more */
    int64_t compact;  /* set by kv_hash_begin */
    uint32_t crc;
    bool is_done;
    bool is_void; /* a compaction came in between: begin anew */
    struct kv_bytes at;
};
/* FUTURE_REVISION, COMPACTED; revision 0 or less: the newest. */
MUST_CHECK int kv_hash_begin(struct store_txn *txn, int64_t revision, enum kv_error *ret_error,
                             struct kv_hash_walk *ret);
/* Looks at about rows_max rows (0: all). */
MUST_CHECK int kv_hash_step(struct store_txn *txn, uint32_t rows_max, struct kv_hash_walk *walk);

#endif
