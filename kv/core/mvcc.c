/* SPDX-License-Identifier: Apache-2.0 */
/* Puts and deletes on the rows; see mvcc.h. Each change adds a version and never alters one. */
#include "kv/core/mvcc.h"

#include <string.h>

#include "base/assert.h"
#include "base/canary.h"
#include "kv/core/lease.h"

/* --- one version of one key --- */

static int write_version(struct kv_view *view, struct kv_rev rev, const struct kv_row *row)
{
    struct kv_bytes at;
    uint8_t flags = row->is_tombstone;
    buf_reset(&view->scratch->row);
    kv_row_encode(row, &view->scratch->row);
    kv_rev_encode(rev, &at);
    int rc =
        store_put(view->txn, STORE_KV_REVS, kv_bytes_slice(&at), buf_slice(&view->scratch->row));
    if (rc == 0) {
        kv_index_encode(row->key, rev, &at);
        rc = store_put(view->txn, STORE_KV_INDEX, kv_bytes_slice(&at), slice_from(&flags, 1));
    }
    view->changes++;
    return rc;
}

static struct kv_rev next_rev(const struct kv_view *view)
{
    return (struct kv_rev){(uint64_t)view->base + 1, view->changes};
}

static int write_living(struct kv_view *view, const struct kv_row *row)
{
    uint8_t bytes[KV_REV_BYTES + 24];
    struct kv_stamp stamp = {next_rev(view), row->create, row->version, row->lease};
    struct buf out = buf_over(bytes, sizeof(bytes));
    kv_stamp_encode(&stamp, &out);
    BASE_ASSERT(!out.is_full);
    int rc = write_version(view, stamp.rev, row);
    return rc != 0 ? rc : store_put(view->txn, STORE_KV_CURRENT, row->key, buf_slice(&out));
}

static int write_tombstone(struct kv_view *view, struct slice key, uint64_t lease)
{
    struct kv_row row = {.is_tombstone = true, .key = key};
    int rc = write_version(view, next_rev(view), &row);
    rc = rc != 0 ? rc : store_del(view->txn, STORE_KV_CURRENT, key);
    return rc != 0 ? rc : kv_lease_detach(view, lease, key);
}

/* The key hangs on another lease from now on. */
static int move_lease(struct kv_view *view, struct slice key, uint64_t from, uint64_t to)
{
    if (from == to) {
        return 0;
    }
    int rc = kv_lease_detach(view, from, key);
    return rc != 0 ? rc : kv_lease_attach(view, to, key);
}

/* --- put --- */

int kv_put_precheck(struct kv_view *view, const struct kv_put *put, enum kv_error *ret_error)
{
    struct kv_stamp stamp;
    enum kv_error error = KV_OK;
    if (put->lease != 0) {
        struct kv_lease_row lease;
        int rc = kv_lease_get(view->txn, put->lease, &lease);
        if (rc != 0 && rc != BASE_E_NOTFOUND) {
            return rc;
        }
        error = rc == 0 ? KV_OK : KV_E_LEASE_NOT_FOUND;
    }
    if (error == KV_OK && (put->is_ignore_value || put->is_ignore_lease)) {
        int rc = kv_view_stamp(view, put->key, &stamp);
        if (rc != 0 && rc != BASE_E_NOTFOUND) {
            return rc;
        }
        error = rc == 0 ? KV_OK : KV_E_KEY_NOT_FOUND;
    }
    *ret_error = error;
    return 0;
}

int kv_put_apply(struct kv_view *view, const struct kv_put *put, struct kv_put_response *ret)
{
    struct kv_stamp stamp;
    struct kv_pair old = {0};
    struct kv_put_response response = {.has_header = true};
    int rc = kv_view_stamp(view, put->key, &stamp);
    bool is_old = rc == 0;
    if (rc != 0 && rc != BASE_E_NOTFOUND) {
        return rc;
    }
    if (is_old && (put->is_prev_kv || put->is_ignore_value)) {
        rc = kv_view_load(view, stamp.rev, &old);
        if (rc != 0) {
            return rc;
        }
        response.has_prev_kv = put->is_prev_kv;
        response.prev_kv = old;
        if (put->is_prev_kv) {
            kv_view_keep(view, &response.prev_kv);
        }
    }
    struct kv_row row = {.create = is_old ? stamp.create : (uint64_t)view->base + 1,
                         .version = is_old && !CANARY(VERSION_FORGOTTEN) ? stamp.version + 1 : 1,
                         .lease =
                             put->is_ignore_lease && is_old ? stamp.lease : (uint64_t)put->lease,
                         .key = put->key,
                         /* encoded into the row's own memory before anything is written */
                         .value = put->is_ignore_value ? old.value : put->value};
    rc = write_living(view, &row);
    rc = rc != 0 ? rc : move_lease(view, put->key, is_old ? stamp.lease : 0, row.lease);
    if (rc == 0) {
        response.header.revision = kv_view_revision(view);
        *ret = response;
    }
    return rc;
}

/* --- delete --- */

#define DELETE_STEP 16u /* keys remembered before they are deleted, as a walk must not write */

struct doomed {
    struct kv_rev rev;
    uint64_t lease;
    struct kv_bytes key;
};

struct gather {
    size_t count;
    struct doomed keys[DELETE_STEP];
};

static int gather_cell(void *ctx, const struct kv_cell *cell)
{
    struct gather *gather = ctx;
    struct doomed *doomed = &gather->keys[gather->count++];
    BASE_ASSERT(cell->key.len <= sizeof(doomed->key.data));
    doomed->rev = cell->rev;
    doomed->lease = cell->lease;
    doomed->key.len = cell->key.len;
    memcpy(doomed->key.data, cell->key.data, cell->key.len);
    return gather->count == DELETE_STEP;
}

/* Adds the version that is about to go to the response; NULL-safe when memory is short. */
static int keep_previous(struct kv_view *view, struct kv_rev rev, struct kv_pair *place)
{
    int rc = kv_view_load(view, rev, place);
    if (rc == 0) {
        kv_view_keep(view, place);
    }
    return rc;
}

static int count_cell(void *ctx, const struct kv_cell *cell)
{
    size_t *count = ctx;
    (void)cell;
    (*count)++;
    return 0;
}

/* Makes room for the answer's previous versions. Too little memory cuts the answer, never the
 * deletion. */
static int reserve_previous(struct kv_view *view, struct kv_interval interval, struct kv_pairs *ret)
{
    size_t count = 0;
    int rc = kv_view_each(view, interval, 0, count_cell, &count);
    if (rc == 0 && count > 0) {
        ret->items = base_arena_take(&view->scratch->arena, count, sizeof(*ret->items));
        if (ret->items == NULL) {
            view->is_cut = true;
        }
    }
    return rc;
}

static int delete_gathered(struct kv_view *view, const struct gather *gather,
                           struct kv_pairs *previous)
{
    for (size_t i = 0; i < gather->count; i++) {
        const struct doomed *doomed = &gather->keys[i];
        int rc = 0;
        if (previous->items != NULL && !view->is_cut) {
            rc = keep_previous(view, doomed->rev, &previous->items[previous->count++]);
        }
        if (rc == 0) {
            rc = write_tombstone(view, kv_bytes_slice(&doomed->key), doomed->lease);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

int kv_delete_apply(struct kv_view *view, const struct kv_delete *delete_range,
                    struct kv_delete_response *ret)
{
    struct kv_interval interval = {delete_range->key, delete_range->range_end};
    struct kv_delete_response response = {.has_header = true};
    struct gather gather;
    int rc = 0;
    if (delete_range->is_prev_kv) {
        rc = reserve_previous(view, interval, &response.prev_kvs);
    }
    do {
        gather.count = 0;
        if (rc == 0) {
            rc = kv_view_each(view, interval, 0, gather_cell, &gather);
        }
        if (rc == 0) {
            rc = delete_gathered(view, &gather, &response.prev_kvs);
        }
        response.deleted += (int64_t)gather.count;
        /* what was found is gone, so the walk begins anew at the first key that is left */
    } while (rc == 0 && gather.count == DELETE_STEP && delete_range->range_end.len > 0);
    if (rc == 0) {
        response.header.revision = kv_view_revision(view);
        *ret = response;
    }
    return rc;
}

int kv_view_close(struct kv_view *view)
{
    uint8_t bytes[8];
    struct buf out = buf_over(bytes, sizeof(bytes));
    if (view->changes == 0) {
        return 0;
    }
    buf_put_u64_be(&out, (uint64_t)view->base + 1);
    return store_put(view->txn, STORE_META, SLICE_LIT(KV_META_REVISION), buf_slice(&out));
}
