/* SPDX-License-Identifier: Apache-2.0 */
/* What happened to some keys from one revision on: the events of watches, read from the rows.
 *
 * A read is bounded in events, bytes and rows visited, but never ends inside a revision: the bounds
 * are looked at between revisions alone. It tells the revision to go on from. What lies below the
 * compact revision is not read at all, not even where rows are still there, so that all nodes
 * answer alike. Pure; used by kv/watch.
 */
#ifndef QUORATE_KV_CORE_HISTORY_H
#define QUORATE_KV_CORE_HISTORY_H

#include "kv/core/view.h"
#include "proto/msg/etcd.h"

/* An interval in etcd's notation whose events are wanted. */
struct kv_history_interval {
    struct kv_interval keys;
    bool is_prev_kv; /* with the state before each event */
};

struct kv_history_query {
    const struct kv_history_interval *intervals; /* an event that lies in none is left out */
    size_t count;                                /* at least 1 */
    int64_t from;                                /* revision, at least 1 */
    uint64_t events_max;                         /* at least 1, as the two below */
    uint64_t bytes_max;                          /* of keys and values, previous ones too */
    uint64_t rows_max;
};

struct kv_history_result {
    int64_t revision; /* newest of the store */
    int64_t compact;  /* -1: nothing was compacted */
    /* Everything below `next` (and from query.from on) was visited; revision + 1, or query.from
     * when that is higher, at the end. */
    int64_t next;
    bool is_compacted; /* query.from lies below `compact`: nothing was visited */
    bool is_cut;       /* the visitor was full within revision `next`: forget its events of that */
};

/* One event in order of (main, sub); slices are valid during the call only. 0: go on; 1: it did not
 * fit; negative: error. Must not write. prev_kv is there when an interval that holds the key asks
 * for it, the event is no creation, and the state before is not compacted. */
typedef int kv_history_fn(void *ctx, const struct kv_event *event);

/* 0, a store error (fatal) or the visitor's. */
MUST_CHECK int kv_history_read(struct store_txn *txn, const struct kv_history_query *query,
                               kv_history_fn *visit, void *ctx, struct kv_history_result *ret);

#endif
