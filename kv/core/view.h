/* SPDX-License-Identifier: Apache-2.0 */
/* One request's way through the store: the transaction, the revisions, the memory, and walks over
 * keys.
 *
 * A view is made per request. Reads see the store as it stands in the transaction, so also the
 * earlier changes of the same request. Functions return 0 or a store error, which is fatal for the
 * node; what a client may be told is an enum kv_error in an output. Pure; used by kv/core alone.
 */
#ifndef QUORATE_KV_CORE_VIEW_H
#define QUORATE_KV_CORE_VIEW_H

#include "base/arena.h"
#include "kv/core/rows.h"

/* Memory that one thread lends to kv/core, one request at a time. */
struct kv_scratch {
    struct base_arena arena; /* lists and copies of responses; reset by the lender */
    struct buf row;          /* capacity at least KV_ROW_MAX */
};

struct kv_view {
    struct store_txn *txn;
    struct kv_scratch *scratch;
    int64_t base;       /* revision before this request */
    uint64_t chosen_id; /* of the entry */
    uint32_t changes;   /* made by it so far; the next one's sub number */
    bool is_copying;    /* what goes into a response is copied, as writes follow that may move it */
    bool is_cut;        /* the arena is full: the response is not complete */
};

/* BASE_E_CORRUPT when the stored revision is damaged. */
MUST_CHECK int kv_view_open(struct store_txn *txn, struct kv_scratch *scratch, struct kv_view *ret);
/* Newest revision as this request sees it. */
int64_t kv_view_revision(const struct kv_view *view);

/* An interval of keys in etcd's notation; see struct kv_range. */
struct kv_interval {
    struct slice key;
    struct slice end;
};
bool kv_interval_has(struct kv_interval interval, struct slice key);
/* Whether some key lies in both. */
bool kv_interval_overlaps(struct kv_interval a, struct kv_interval b);

/* A living key found by a walk; `key` is valid during the call only. Of a walk at an older revision
 * `rev` alone: the row that it names has the rest. */
struct kv_cell {
    struct slice key;
    struct kv_rev rev;
    uint64_t lease;
};
/* 0: go on, 1: stop, negative: error. Must not write. */
typedef int kv_cell_fn(void *ctx, const struct kv_cell *cell);

/* Visits the keys of the interval that live at `revision` (0: as the request sees them now), in
 * order. */
MUST_CHECK int kv_view_each(struct kv_view *view, struct kv_interval interval, int64_t revision,
                            kv_cell_fn *visit, void *ctx);
/* The version that a cell names; borrowed from the store until its next write. */
MUST_CHECK int kv_view_load(struct kv_view *view, struct kv_rev rev, struct kv_pair *ret);
/* Stamp of the newest version of a living key; BASE_E_NOTFOUND. */
MUST_CHECK int kv_view_stamp(struct kv_view *view, struct slice key, struct kv_stamp *ret);
/* Moves key and value of a pair into the arena where the view is copying. What does not fit sets
 * is_cut and leaves both empty. */
void kv_view_keep(struct kv_view *view, struct kv_pair *pair);

#endif
