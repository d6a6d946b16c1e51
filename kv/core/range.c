/* SPDX-License-Identifier: Apache-2.0 */
/* Collecting, filtering, sorting and cutting of key-value pairs; see range.h. */
#include "kv/core/range.h"

#include "base/assert.h"
#include "base/canary.h"
#include "kv/core/compact.h"

/* Pairs are collected in steps of so many: the arena hands out neighbours as long as nobody else
 * takes. */
#define STEP 8u
_Static_assert(STEP * sizeof(struct kv_pair) % BASE_ARENA_ALIGN == 0, "steps leave no gap");

struct collect {
    struct kv_view *view;
    const struct kv_range *range;
    int64_t keep_max; /* pairs to keep, beyond which keys are only counted; 0: all */
    int64_t count;
    struct kv_pairs pairs;
};

int kv_range_revision_check(struct kv_view *view, const struct kv_range *range,
                            enum kv_error *ret_error)
{
    int64_t compact = -1;
    int rc = range->revision > 0 ? kv_compact_get(view->txn, &compact) : 0;
    *ret_error =
        range->revision > view->base ? KV_E_FUTURE_REVISION
        : range->revision > 0 && range->revision < compact && !CANARY(COMPACTED_READ_ANSWERED)
            ? KV_E_COMPACTED
            : KV_OK;
    return rc;
}

static bool is_filtered(const struct kv_range *range)
{
    return range->min_mod_revision != 0 || range->max_mod_revision != 0 ||
           range->min_create_revision != 0 || range->max_create_revision != 0;
}

/* An order that nobody knows sorts nothing. */
static bool is_sorted(const struct kv_range *range)
{
    return range->sort_order == KV_SORT_DESCEND ||
           (range->sort_target != KV_SORT_KEY &&
            (range->sort_order == KV_SORT_NONE || range->sort_order == KV_SORT_ASCEND));
}

static bool passes(const struct kv_range *range, const struct kv_pair *pair)
{
    return (range->min_mod_revision == 0 || pair->mod_revision >= range->min_mod_revision) &&
           (range->max_mod_revision == 0 || pair->mod_revision <= range->max_mod_revision) &&
           (range->min_create_revision == 0 ||
            pair->create_revision >= range->min_create_revision) &&
           (range->max_create_revision == 0 || pair->create_revision <= range->max_create_revision);
}

/* Room for one more pair behind those collected; NULL when the arena is full. */
static struct kv_pair *collect_next(struct collect *collect)
{
    struct kv_pairs *pairs = &collect->pairs;
    if (pairs->count % STEP == 0) {
        struct kv_pair *step = base_arena_take(&collect->view->scratch->arena, STEP, sizeof(*step));
        if (step == NULL) {
            return NULL;
        }
        if (pairs->count == 0) {
            pairs->items = step;
        }
        BASE_ASSERT(step == pairs->items + pairs->count);
    }
    return &pairs->items[pairs->count];
}

static int collect_cell(void *ctx, const struct kv_cell *cell)
{
    struct collect *collect = ctx;
    struct kv_pair pair;
    collect->count++;
    if (collect->range->is_count_only || collect->view->is_cut ||
        (collect->keep_max > 0 && (int64_t)collect->pairs.count == collect->keep_max)) {
        return 0;
    }
    int rc = kv_view_load(collect->view, cell->rev, &pair);
    if (rc != 0 || !passes(collect->range, &pair)) {
        return rc;
    }
    struct kv_pair *place = collect_next(collect);
    if (place == NULL) {
        collect->view->is_cut = true;
        return 0;
    }
    *place = pair;
    collect->pairs.count++;
    return 0;
}

static int order_of(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

/* Order wanted by the request; equal ones stand in the order of their keys. */
static int compare_pairs(const struct kv_range *range, const struct kv_pair *a,
                         const struct kv_pair *b)
{
    int order = 0;
    switch (range->sort_target) {
    case KV_SORT_VERSION:
        order = order_of(a->version, b->version);
        break;
    case KV_SORT_CREATE:
        order = order_of(a->create_revision, b->create_revision);
        break;
    case KV_SORT_MOD:
        order = order_of(a->mod_revision, b->mod_revision);
        break;
    case KV_SORT_VALUE:
        order = slice_compare(a->value, b->value);
        break;
    default:
        order = slice_compare(a->key, b->key);
        break;
    }
    if (range->sort_order == KV_SORT_DESCEND) {
        order = -order;
    }
    return order != 0 ? order : slice_compare(a->key, b->key);
}

static void swap_pairs(struct kv_pair *a, struct kv_pair *b)
{
    struct kv_pair held = *a;
    *a = *b;
    *b = held;
}

static void sift_down(const struct kv_range *range, struct kv_pairs pairs, size_t at)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= pairs.count) {
            return;
        }
        if (child + 1 < pairs.count &&
            compare_pairs(range, &pairs.items[child], &pairs.items[child + 1]) < 0) {
            child++;
        }
        if (compare_pairs(range, &pairs.items[at], &pairs.items[child]) >= 0) {
            return;
        }
        swap_pairs(&pairs.items[at], &pairs.items[child]);
        at = child;
    }
}

/* Heap sort: in place, and no worse on a hostile order. */
static void sort_pairs(const struct kv_range *range, struct kv_pairs pairs)
{
    for (size_t at = pairs.count / 2; at > 0; at--) {
        sift_down(range, pairs, at - 1);
    }
    while (pairs.count > 1) {
        pairs.count--;
        swap_pairs(&pairs.items[0], &pairs.items[pairs.count]);
        sift_down(range, pairs, 0);
    }
}

int kv_range_read(struct kv_view *view, const struct kv_range *range, struct kv_range_response *ret)
{
    struct collect collect = {.view = view, .range = range};
    /* Without an order only the first by key are sorted, and one more to know that there is. */
    bool is_whole = is_filtered(range) || range->sort_order != KV_SORT_NONE;
    bool has_limit = range->limit > 0 && range->limit < INT64_MAX;
    if (has_limit && !is_whole) {
        collect.keep_max = range->limit + 1;
    }
    int rc = kv_view_each(view, (struct kv_interval){range->key, range->range_end}, range->revision,
                          collect_cell, &collect);
    if (rc != 0) {
        return rc;
    }
    struct kv_pairs pairs = collect.pairs;
    bool has_more = false;
    if (is_sorted(range)) {
        sort_pairs(range, pairs);
    }
    if (has_limit && (int64_t)pairs.count > range->limit) {
        pairs.count = (size_t)range->limit;
        has_more = true;
    }
    for (size_t i = 0; i < pairs.count; i++) {
        if (range->is_keys_only) {
            pairs.items[i].value = SLICE_EMPTY;
        }
        kv_view_keep(view, &pairs.items[i]);
    }
    *ret = (struct kv_range_response){.has_header = true,
                                      .header.revision = kv_view_revision(view),
                                      .kvs = pairs,
                                      .has_more = has_more,
                                      .count = collect.count};
    return 0;
}
