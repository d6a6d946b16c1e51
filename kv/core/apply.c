/* SPDX-License-Identifier: Apache-2.0 */
/* The entry points of the key-value state machine; see apply.h. */
#include "kv/core/apply.h"

#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "kv/core/check.h"
#include "kv/core/mvcc.h"
#include "kv/core/range.h"
#include "kv/core/txn.h"

/* --- the arbiter's records --- */

static int record_decode(struct slice bytes, struct kv_record *ret)
{
    struct kv_record record;
    uint32_t crc = 0;
    if (slice_take_u32_be(&bytes, &crc) != 0 || base_crc32c(0, bytes) != crc ||
        slice_take_u64_be(&bytes, &record.epoch) != 0 ||
        slice_take_u64_be(&bytes, &record.revision) != 0) {
        return BASE_E_CORRUPT;
    }
    record.blob = bytes;
    *ret = record;
    return 0;
}

static int record_write(struct kv_view *view, const struct kv_swap *swap)
{
    struct buf *row = &view->scratch->row;
    buf_reset(row);
    buf_put_u32_be(row, 0);
    buf_put_u64_be(row, swap->new_epoch);
    buf_put_u64_be(row, swap->new_revision);
    buf_put(row, swap->blob);
    BASE_ASSERT(!row->is_full);
    uint32_t crc = base_crc32c(0, slice_skip(buf_slice(row), 4));
    struct buf head = buf_over(row->data, 4);
    buf_put_u32_be(&head, crc);
    return store_put(view->txn, STORE_ARBITER, swap->name, buf_slice(row));
}

static int swap_puts(struct kv_view *view, const struct kv_swap *swap)
{
    for (size_t i = 0; i < swap->puts.count; i++) {
        const struct kv_swap_put *item = &swap->puts.items[i];
        struct kv_put put = {.key = item->key, .value = item->value};
        struct kv_delete gone = {.key = item->key};
        struct kv_put_response put_response;
        struct kv_delete_response delete_response;
        int rc = item->is_delete ? kv_delete_apply(view, &gone, &delete_response)
                                 : kv_put_apply(view, &put, &put_response);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

/* Compare and swap on (epoch, revision), bound to the term of the leader that decided it: two
 * leaders that decide at once are harmless, as the second swap fails here on every node alike. */
static int swap_apply(struct kv_view *view, const struct kv_swap *swap, uint64_t entry_term,
                      struct kv_outcome *outcome)
{
    struct slice bytes;
    struct kv_record standing = {0};
    int rc = swap->name.len == 0 || swap->name.len > BASE_NAME_MAX
                 ? BASE_E_NOTFOUND
                 : store_get(view->txn, STORE_ARBITER, swap->name, &bytes);
    if (rc == 0) {
        rc = record_decode(bytes, &standing);
    }
    if (rc != 0 && rc != BASE_E_NOTFOUND) {
        return rc;
    }
    outcome->record = standing;
    if (kv_check_swap(swap) != KV_OK || swap->term != entry_term ||
        swap->expect_epoch != standing.epoch || swap->expect_revision != standing.revision) {
        outcome->error = KV_E_SWAP_VOID;
        return 0;
    }
    outcome->record = (struct kv_record){swap->new_epoch, swap->new_revision, swap->blob};
    rc = record_write(view, swap);
    return rc != 0 ? rc : swap_puts(view, swap);
}

struct records {
    kv_record_fn *visit;
    void *ctx;
};

static int records_row(void *ctx, struct slice key, struct slice value)
{
    struct records *records = ctx;
    struct kv_record record;
    int rc = record_decode(value, &record);
    return rc != 0 ? rc : records->visit(records->ctx, key, &record);
}

int kv_core_records(struct store_txn *txn, kv_record_fn *visit, void *ctx)
{
    struct records records = {visit, ctx};
    return store_scan(txn, STORE_ARBITER, SLICE_EMPTY, records_row, &records);
}

/* --- requests --- */

static int put_apply(struct kv_view *view, const struct kv_put *put, struct kv_outcome *outcome)
{
    int rc = kv_put_precheck(view, put, &outcome->error);
    if (rc != 0 || outcome->error != KV_OK) {
        return rc;
    }
    return kv_put_apply(view, put, &outcome->response.put);
}

static int apply_checked(struct kv_view *view, const struct kv_request *request,
                         struct kv_outcome *outcome)
{
    outcome->error = kv_check_request(request);
    if (outcome->error != KV_OK) {
        return 0;
    }
    switch (request->kind) {
    case KV_KIND_PUT:
        return put_apply(view, &request->put, outcome);
    case KV_KIND_DELETE:
        return kv_delete_apply(view, &request->delete_range, &outcome->response.delete_range);
    case KV_KIND_TXN:
        return kv_txn_run(view, &request->txn, &outcome->error, &outcome->response.txn);
    default:
        outcome->error = KV_E_MALFORMED;
        return 0;
    }
}

static void finish(const struct kv_view *view, const struct kv_request *request,
                   struct kv_outcome *outcome)
{
    bool has_response = outcome->error == KV_OK && request->kind != KV_KIND_SWAP;
    outcome->response.kind = has_response ? request->kind : (uint32_t)KV_KIND_NONE;
    outcome->is_cut = view->is_cut;
    outcome->is_changed = view->changes > 0;
    outcome->revision = kv_view_revision(view);
    BASE_ASSERT(BASE_IMPLIES(outcome->error != KV_OK, view->changes == 0));
}

int kv_core_apply(struct store_txn *txn, struct kv_scratch *scratch,
                  const struct kv_request *request, uint64_t entry_term, struct kv_outcome *ret)
{
    struct kv_view view;
    struct kv_outcome outcome = {.error = KV_OK};
    int rc = kv_view_open(txn, scratch, &view);
    if (rc != 0) {
        return rc;
    }
    view.is_copying = true;
    rc = request->kind == KV_KIND_SWAP ? swap_apply(&view, &request->swap, entry_term, &outcome)
                                       : apply_checked(&view, request, &outcome);
    if (rc == 0) {
        rc = kv_view_close(&view);
    }
    if (rc == 0) {
        finish(&view, request, &outcome);
        *ret = outcome;
    }
    return rc;
}

int kv_core_read(struct store_txn *txn, struct kv_scratch *scratch,
                 const struct kv_request *request, struct kv_outcome *ret)
{
    struct kv_view view;
    struct kv_outcome outcome = {.error = kv_check_request(request)};
    int rc = kv_view_open(txn, scratch, &view);
    if (rc != 0) {
        return rc;
    }
    if (outcome.error == KV_OK && !kv_request_is_read(request)) {
        outcome.error = KV_E_MALFORMED;
    }
    if (outcome.error == KV_OK && request->kind == KV_KIND_RANGE) {
        outcome.error = kv_range_revision_check(&request->range, view.base);
    }
    if (outcome.error == KV_OK) {
        rc = request->kind == KV_KIND_RANGE
                 ? kv_range_read(&view, &request->range, &outcome.response.range)
                 : kv_txn_run(&view, &request->txn, &outcome.error, &outcome.response.txn);
    }
    if (rc == 0) {
        finish(&view, request, &outcome);
        *ret = outcome;
    }
    return rc;
}

int kv_core_revision(struct store_txn *txn, int64_t *ret)
{
    struct kv_view view;
    int rc = kv_view_open(txn, NULL, &view);
    if (rc == 0) {
        *ret = view.base;
    }
    return rc;
}

/* --- checksum --- */

static int hash_row(void *ctx, struct slice key, struct slice value)
{
    uint32_t *crc = ctx;
    uint8_t lengths[16];
    struct buf out = buf_over(lengths, sizeof(lengths));
    buf_put_u64_be(&out, key.len);
    buf_put_u64_be(&out, value.len);
    *crc = base_crc32c(*crc, buf_slice(&out));
    *crc = base_crc32c(*crc, key);
    *crc = base_crc32c(*crc, value);
    return 0;
}

int kv_core_hash(struct store_txn *txn, uint32_t *ret)
{
    static const enum store_table tables[] = {STORE_KV_CURRENT, STORE_KV_REVS, STORE_KV_INDEX,
                                              STORE_KV_LEASES, STORE_ARBITER};
    int64_t revision = 0;
    int rc = kv_core_revision(txn, &revision);
    uint32_t crc = (uint32_t)revision;
    for (size_t i = 0; i < BASE_COUNT_OF(tables) && rc == 0; i++) {
        rc = store_scan(txn, tables[i], SLICE_EMPTY, hash_row, &crc);
    }
    if (rc == 0) {
        *ret = crc;
    }
    return rc;
}
