/* SPDX-License-Identifier: Apache-2.0 */
/* Compaction in small steps; see compact.h. */
#include "kv/core/compact.h"

#include <string.h>

#include "base/assert.h"
#include "base/canary.h"

int kv_compact_get(struct store_txn *txn, int64_t *ret)
{
    uint64_t revision = 0;
    int rc = kv_meta_get(txn, SLICE_LIT(KV_META_COMPACT), &revision);
    *ret = rc == 0 ? (int64_t)revision : -1;
    return rc == BASE_E_NOTFOUND ? 0 : rc;
}

int kv_compact_apply(struct kv_view *view, const struct kv_compact *compact,
                     enum kv_error *ret_error)
{
    int64_t standing = -1;
    int rc = kv_compact_get(view->txn, &standing);
    if (rc != 0) {
        return rc;
    }
    *ret_error = compact->revision <= standing    ? KV_E_COMPACTED
                 : compact->revision > view->base ? KV_E_FUTURE_REVISION
                                                  : KV_OK;
    return *ret_error != KV_OK
               ? 0
               : kv_meta_put(view->txn, SLICE_LIT(KV_META_COMPACT), (uint64_t)compact->revision);
}

/* --- how far removal has come --- */

struct progress {
    int64_t finished;
    int64_t target;   /* of the pass under way */
    struct kv_rev at; /* next row of it */
};

static int progress_get(struct store_txn *txn, struct progress *ret)
{
    struct slice bytes;
    uint64_t finished = 0;
    uint64_t target = 0;
    *ret = (struct progress){.finished = -1, .target = -1};
    int rc = store_get(txn, STORE_META, SLICE_LIT(KV_META_COMPACTED), &bytes);
    if (rc != 0) {
        return rc == BASE_E_NOTFOUND ? 0 : rc;
    }
    if (slice_take_u64_be(&bytes, &finished) != 0 || slice_take_u64_be(&bytes, &target) != 0 ||
        slice_take_u64_be(&bytes, &ret->at.main) != 0 ||
        slice_take_u32_be(&bytes, &ret->at.sub) != 0 || bytes.len != 0) {
        return BASE_E_CORRUPT;
    }
    ret->finished = (int64_t)finished;
    ret->target = (int64_t)target;
    return 0;
}

static int progress_put(struct store_txn *txn, const struct progress *progress)
{
    uint8_t bytes[28];
    struct buf out = buf_over(bytes, sizeof(bytes));
    buf_put_u64_be(&out, (uint64_t)progress->finished);
    buf_put_u64_be(&out, (uint64_t)progress->target);
    buf_put_u64_be(&out, progress->at.main);
    buf_put_u32_be(&out, progress->at.sub);
    return store_put(txn, STORE_META, SLICE_LIT(KV_META_COMPACTED), buf_slice(&out));
}

/* --- one row --- */

struct found {
    struct slice key; /* escaped, with its end mark */
    struct kv_rev rev;
    bool is_found;
};

static int find_before(void *ctx, struct slice key, struct slice value)
{
    struct found *found = ctx;
    struct slice escaped;
    struct kv_rev rev;
    (void)value;
    int rc = kv_index_decode(key, &escaped, &rev);
    if (rc == 0 && slice_equal(escaped, found->key)) {
        found->rev = rev;
        found->is_found = true;
    }
    return rc != 0 ? rc : 1;
}

static int remove_version(struct store_txn *txn, struct slice key, struct kv_rev rev)
{
    struct kv_bytes at;
    kv_index_encode(key, rev, &at);
    int rc = store_del(txn, STORE_KV_INDEX, kv_bytes_slice(&at));
    if (rc == 0) {
        kv_rev_encode(rev, &at);
        rc = store_del(txn, STORE_KV_REVS, kv_bytes_slice(&at));
    }
    return rc == BASE_E_NOTFOUND ? BASE_E_CORRUPT : rc; /* an index pointed to it */
}

/* The versions that this one, up to the target, makes superfluous: as rows are taken in their order
 * at most one is left. */
static int remove_before(struct store_txn *txn, struct slice key, struct kv_rev rev, int64_t target)
{
    struct kv_bytes at;
    struct found found = {.is_found = false};
    kv_index_encode(key, rev, &at);
    found.key = slice_from(at.data, at.len - KV_REV_BYTES);
    int rc = store_scan_back(txn, STORE_KV_INDEX, kv_bytes_slice(&at), find_before, &found);
    bool is_old = found.is_found && found.rev.main < (uint64_t)target;
    return rc == 0 && is_old ? remove_version(txn, key, found.rev) : rc;
}

/* --- one step --- */

#define STEP_ROWS 32u /* remembered before they are changed, as a walk must not write */

struct seen {
    struct kv_rev rev;
    bool is_tombstone;
    struct kv_bytes key;
};

struct pass {
    int64_t target;
    size_t count;
    bool is_end;
    struct seen rows[STEP_ROWS];
};

static int pass_row(void *ctx, struct slice key, struct slice value)
{
    struct pass *pass = ctx;
    struct seen *seen = &pass->rows[pass->count];
    struct kv_row row;
    if (kv_rev_decode(key, &seen->rev) != 0) {
        return BASE_E_CORRUPT;
    }
    if (seen->rev.main > (uint64_t)pass->target) {
        pass->is_end = true;
        return 1;
    }
    int rc = kv_row_decode(value, &row);
    if (rc != 0 || !kv_key_fits(row.key)) {
        return BASE_E_CORRUPT;
    }
    seen->is_tombstone = row.is_tombstone;
    seen->key.len = row.key.len;
    memcpy(seen->key.data, row.key.data, row.key.len);
    return ++pass->count == STEP_ROWS;
}

static bool goes(const struct seen *seen, int64_t target)
{
    /* One at the target itself is what a watch from there is owed. */
    return seen->is_tombstone &&
           (seen->rev.main < (uint64_t)target || CANARY(EARLY_TOMBSTONE_DROP));
}

static int pass_run(struct store_txn *txn, struct pass *pass, struct kv_rev *at)
{
    struct kv_bytes from;
    pass->count = 0;
    pass->is_end = false;
    kv_rev_encode(*at, &from);
    int rc = store_scan(txn, STORE_KV_REVS, kv_bytes_slice(&from), pass_row, pass);
    pass->is_end |= pass->count < STEP_ROWS;
    for (size_t i = 0; i < pass->count && rc == 0; i++) {
        const struct seen *seen = &pass->rows[i];
        struct slice key = kv_bytes_slice(&seen->key);
        rc = remove_before(txn, key, seen->rev, pass->target);
        if (rc == 0 && goes(seen, pass->target)) {
            rc = remove_version(txn, key, seen->rev);
        }
        *at = (struct kv_rev){seen->rev.main, seen->rev.sub + 1};
    }
    return rc;
}

int kv_compact_progress_get(struct store_txn *txn, struct kv_compact_progress *ret)
{
    struct progress progress;
    int rc = kv_compact_get(txn, &ret->scheduled);
    rc = rc != 0 ? rc : progress_get(txn, &progress);
    if (rc == 0) {
        ret->finished = progress.finished;
    }
    return rc;
}

int kv_compact_step(struct store_txn *txn, uint32_t rows_max, struct kv_compact_progress *ret)
{
    struct progress progress;
    struct pass pass;
    int64_t scheduled = -1;
    int rc = kv_compact_get(txn, &scheduled);
    rc = rc != 0 ? rc : progress_get(txn, &progress);
    if (rc == 0 && progress.finished < scheduled) {
        if (progress.target != scheduled && progress.at.main == (uint64_t)progress.target) {
            progress.at.sub = 0; /* tombstones there were kept for the target that was */
        }
        progress.target = pass.target = scheduled;
        pass.is_end = false;
        for (uint32_t rows = 0; rc == 0 && rows < rows_max && !pass.is_end; rows += STEP_ROWS) {
            rc = pass_run(txn, &pass, &progress.at);
        }
        if (rc == 0 && pass.is_end) {
            progress.finished = scheduled;
            progress.at = (struct kv_rev){scheduled > 0 ? (uint64_t)scheduled : 0, 0};
        }
        rc = rc != 0 ? rc : progress_put(txn, &progress);
    }
    if (rc == 0) {
        *ret = (struct kv_compact_progress){scheduled, progress.finished};
    }
    return rc;
}
