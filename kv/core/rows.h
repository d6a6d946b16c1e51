/* SPDX-License-Identifier: Apache-2.0 */
/* How the key-value state stands in the tables of the store. Part of the file format.
 *
 *   STORE_KV_CURRENT  key                      -> stamp of the newest version of each living key
 *   STORE_KV_REVS     main, sub (big-endian)   -> one version: crc32c, flags, numbers, key, value
 *   STORE_KV_INDEX    escaped key, main, sub   -> flags: the history of one key in order
 *   STORE_ARBITER     name                     -> epoch, revision, blob
 *   STORE_META        "kv.revision"            -> newest main revision; absent means 1, a fresh
 * store
 *   leases, compaction, alarms: see lease.h, compact.h, alarm.h
 *
 * An escaped key has runs of zero bytes written as 0x00 and a byte: 0x80 and the run's length in
 * two bytes where the key ends with it, else 0x100 less its length (a longer run sorts first, as
 * what follows it is above zero). It ends with one 0x00, and as a revision never begins with 0x80
 * or more, rows sort by key first and by revision second. Pure; used by kv/core alone.
 */
#ifndef QUORATE_KV_CORE_ROWS_H
#define QUORATE_KV_CORE_ROWS_H

#include "base/error.h"
#include "base/slice.h"
#include "proto/msg/kv.h"
#include "raft/port_store.h"

#define KV_ROW_OVERHEAD 64u
#define KV_ROW_MAX (KV_REQUEST_MAX + KV_KEY_MAX + KV_ROW_OVERHEAD)
#define KV_REV_BYTES 12u
#define KV_META_REVISION "kv.revision"
#define KV_META_COMPACT "kv.compact" /* see compact.h */
#define KV_FRESH_REVISION INT64_C(1)

/* One change: the number of the request that made it and the place within that request. */
struct kv_rev {
    uint64_t main;
    uint32_t sub;
};

/* What is known of a living key without its value. */
struct kv_stamp {
    struct kv_rev rev;
    uint64_t create;
    uint64_t version;
    uint64_t lease;
};

/* One version of a key; a tombstone has key and revision only. */
struct kv_row {
    bool is_tombstone;
    uint64_t create;
    uint64_t version;
    uint64_t lease;
    struct slice key;
    struct slice value;
};

/* A key in bytes, in memory of its own. */
struct kv_bytes {
    size_t len;
    uint8_t data[STORE_KEY_MAX];
};
struct slice kv_bytes_slice(const struct kv_bytes *bytes);

/* Whether a key may be stored: not empty, at most KV_KEY_MAX, and its index row within
 * STORE_KEY_MAX. */
bool kv_key_fits(struct slice key);
/* The key's escaped form without its end mark; cut at STORE_KEY_MAX. */
void kv_key_escape(struct slice key, struct kv_bytes *ret);

void kv_rev_encode(struct kv_rev rev, struct kv_bytes *ret);
/* BASE_E_CORRUPT. */
MUST_CHECK int kv_rev_decode(struct slice bytes, struct kv_rev *ret);
void kv_index_encode(struct slice key, struct kv_rev rev, struct kv_bytes *ret);
/* Splits an index row: the escaped key with its end mark, and the revision. BASE_E_CORRUPT. */
MUST_CHECK int kv_index_decode(struct slice row, struct slice *ret_escaped, struct kv_rev *ret_rev);

void kv_stamp_encode(const struct kv_stamp *stamp, struct buf *out);
MUST_CHECK int kv_stamp_decode(struct slice bytes, struct kv_stamp *ret);

/* `out` must have room for KV_ROW_MAX. */
void kv_row_encode(const struct kv_row *row, struct buf *out);
/* Checks the checksum; key and value point into `bytes`. BASE_E_CORRUPT. */
MUST_CHECK int kv_row_decode(struct slice bytes, struct kv_row *ret);

/* A number in STORE_META. BASE_E_NOTFOUND, BASE_E_CORRUPT. */
MUST_CHECK int kv_meta_get(struct store_txn *txn, struct slice name, uint64_t *ret);
MUST_CHECK int kv_meta_put(struct store_txn *txn, struct slice name, uint64_t value);

#endif
