/* SPDX-License-Identifier: Apache-2.0 */
/* Walks over living keys, now and at an older revision; see view.h. */
#include "kv/core/view.h"

#include <string.h>

#include "base/assert.h"

int kv_view_open(struct store_txn *txn, struct kv_scratch *scratch, struct kv_view *ret)
{
    struct slice row;
    uint64_t revision = (uint64_t)KV_FRESH_REVISION;
    int rc = store_get(txn, STORE_META, SLICE_LIT(KV_META_REVISION), &row);
    if (rc == 0 && (slice_take_u64_be(&row, &revision) != 0 || row.len != 0 ||
                    revision >= (uint64_t)INT64_MAX || revision < 1)) {
        rc = BASE_E_CORRUPT;
    }
    if (rc != 0 && rc != BASE_E_NOTFOUND) {
        return rc;
    }
    *ret = (struct kv_view){.txn = txn, .scratch = scratch, .base = (int64_t)revision};
    return 0;
}

int64_t kv_view_revision(const struct kv_view *view)
{
    return view->base + (view->changes > 0);
}

/* --- intervals --- */

static bool is_from_key(struct slice end)
{
    return end.len == 1 && end.data[0] == 0;
}

/* Whether `key`, which is not below the interval's beginning, is past its end. */
static bool is_past(struct kv_interval interval, struct slice key)
{
    if (interval.end.len == 0) {
        return slice_compare(key, interval.key) > 0;
    }
    return !is_from_key(interval.end) && slice_compare(key, interval.end) >= 0;
}

bool kv_interval_has(struct kv_interval interval, struct slice key)
{
    return slice_compare(key, interval.key) >= 0 && !is_past(interval, key);
}

bool kv_interval_overlaps(struct kv_interval a, struct kv_interval b)
{
    /* The higher of both beginnings lies in both, or nothing does. */
    struct slice start = slice_compare(a.key, b.key) >= 0 ? a.key : b.key;
    return kv_interval_has(a, start) && kv_interval_has(b, start);
}

/* --- one version --- */

int kv_view_load(struct kv_view *view, struct kv_rev rev, struct kv_pair *ret)
{
    struct kv_bytes at;
    struct slice bytes;
    struct kv_row row;
    kv_rev_encode(rev, &at);
    int rc = store_get(view->txn, STORE_KV_REVS, kv_bytes_slice(&at), &bytes);
    if (rc == 0) {
        rc = kv_row_decode(bytes, &row);
    }
    if (rc == BASE_E_NOTFOUND || (rc == 0 && row.is_tombstone)) {
        rc = BASE_E_CORRUPT; /* an index pointed to it */
    }
    if (rc == 0) {
        *ret = (struct kv_pair){.key = row.key,
                                .create_revision = (int64_t)row.create,
                                .mod_revision = (int64_t)rev.main,
                                .version = (int64_t)row.version,
                                .value = row.value,
                                .lease = (int64_t)row.lease};
    }
    return rc;
}

int kv_view_stamp(struct kv_view *view, struct slice key, struct kv_stamp *ret)
{
    struct slice bytes;
    if (!kv_key_fits(key)) {
        return BASE_E_NOTFOUND;
    }
    int rc = store_get(view->txn, STORE_KV_CURRENT, key, &bytes);
    return rc != 0 ? rc : kv_stamp_decode(bytes, ret);
}

void kv_view_keep(struct kv_view *view, struct kv_pair *pair)
{
    struct base_arena *arena = &view->scratch->arena;
    if (!view->is_copying) {
        return;
    }
    if (base_arena_copy(arena, pair->key, &pair->key) != 0 ||
        base_arena_copy(arena, pair->value, &pair->value) != 0) {
        pair->key = SLICE_EMPTY;
        pair->value = SLICE_EMPTY;
        view->is_cut = true;
    }
}

/* --- walks --- */

struct walk {
    struct kv_interval interval;
    kv_cell_fn *visit;
    void *ctx;
    bool is_stopped;
    /* history only */
    int64_t revision;
    struct kv_bytes low; /* escaped bounds; `high` unused without an end */
    struct kv_bytes high;
    struct kv_bytes candidate; /* escaped key whose newest row not above `revision` is `rev` */
    bool is_candidate_dead;
    struct kv_rev rev;
};

static int walk_current_row(void *ctx, struct slice key, struct slice value)
{
    struct walk *walk = ctx;
    struct kv_stamp stamp;
    if (slice_compare(key, walk->interval.key) < 0) {
        return 0; /* the beginning was cut to the store's key size */
    }
    if (is_past(walk->interval, key)) {
        return 1;
    }
    int rc = kv_stamp_decode(value, &stamp);
    return rc != 0 ? rc : walk->visit(walk->ctx, &(struct kv_cell){key, stamp.rev, stamp.lease});
}

static struct slice cut_key(struct slice key)
{
    return slice_from(key.data, key.len > STORE_KEY_MAX ? STORE_KEY_MAX : key.len);
}

static int each_current(struct kv_view *view, struct walk *walk)
{
    if (walk->interval.end.len > 0) {
        return store_scan(view->txn, STORE_KV_CURRENT, cut_key(walk->interval.key),
                          walk_current_row, walk);
    }
    struct kv_stamp stamp;
    int rc = kv_view_stamp(view, walk->interval.key, &stamp);
    if (rc == 0) {
        rc = walk->visit(walk->ctx, &(struct kv_cell){walk->interval.key, stamp.rev, stamp.lease});
    }
    return rc == BASE_E_NOTFOUND || rc > 0 ? 0 : rc;
}

/* Hands on the key whose rows have all been seen. */
static int flush_candidate(struct walk *walk)
{
    if (walk->candidate.len == 0 || walk->is_candidate_dead) {
        return 0;
    }
    walk->candidate.len = 0;
    int rc = walk->visit(walk->ctx, &(struct kv_cell){.rev = walk->rev});
    walk->is_stopped = rc == 1;
    return rc;
}

static bool is_index_past(const struct walk *walk, struct slice escaped)
{
    if (walk->interval.end.len == 0) {
        struct slice bare = slice_from(escaped.data, escaped.len - 1);
        return slice_compare(bare, kv_bytes_slice(&walk->low)) > 0;
    }
    return !is_from_key(walk->interval.end) &&
           slice_compare(escaped, kv_bytes_slice(&walk->high)) >= 0;
}

static int walk_index_row(void *ctx, struct slice key, struct slice value)
{
    struct walk *walk = ctx;
    struct slice escaped;
    struct kv_rev rev;
    int rc = kv_index_decode(key, &escaped, &rev);
    if (rc != 0) {
        return rc;
    }
    if (is_index_past(walk, escaped)) {
        return 1;
    }
    if (!slice_equal(escaped, kv_bytes_slice(&walk->candidate))) {
        rc = flush_candidate(walk);
        walk->candidate.len = 0;
    }
    if (rc != 0 || rev.main > (uint64_t)walk->revision) {
        return rc;
    }
    walk->candidate.len = escaped.len;
    memcpy(walk->candidate.data, escaped.data, escaped.len);
    walk->rev = rev;
    walk->is_candidate_dead = value.len != 1 || value.data[0] != 0;
    return 0;
}

static int each_at(struct kv_view *view, struct walk *walk)
{
    kv_key_escape(walk->interval.key, &walk->low);
    kv_key_escape(walk->interval.end, &walk->high);
    int rc =
        store_scan(view->txn, STORE_KV_INDEX, kv_bytes_slice(&walk->low), walk_index_row, walk);
    if (rc == 0 && !walk->is_stopped) {
        rc = flush_candidate(walk);
    }
    return rc > 0 ? 0 : rc;
}

int kv_view_each(struct kv_view *view, struct kv_interval interval, int64_t revision,
                 kv_cell_fn *visit, void *ctx)
{
    struct walk walk = {.interval = interval, .visit = visit, .ctx = ctx, .revision = revision};
    bool is_now = revision <= 0 || revision == kv_view_revision(view);
    return is_now ? each_current(view, &walk) : each_at(view, &walk);
}
