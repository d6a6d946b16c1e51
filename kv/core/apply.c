/* SPDX-License-Identifier: Apache-2.0 */
/* The entry points of the key-value state machine; see apply.h. */
#include "kv/core/apply.h"

#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "kv/core/alarm.h"
#include "kv/core/auth.h"
#include "kv/core/check.h"
#include "kv/core/compact.h"
#include "kv/core/lease.h"
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
    if (kv_swap_is_removal(swap)) {
        return store_del(view->txn, STORE_ARBITER, swap->name);
    }
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
        struct kv_delete gone = {.key = item->key, .range_end = item->value};
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
    int rc = swap->name.len == 0 || swap->name.len > KV_SWAP_NAME_MAX
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

static int grant_apply(struct kv_view *view, const struct kv_command *command,
                       struct kv_outcome *outcome)
{
    int rc = kv_lease_grant_apply(view, &command->request.lease_grant, command->chosen_id,
                                  &outcome->error, &outcome->lease);
    outcome->response.lease_grant = (struct kv_lease_grant_response){
        .has_header = true, .id = outcome->lease.id, .ttl = outcome->lease.ttl};
    outcome->response.lease_grant.header.revision = view->base;
    return rc;
}

static int revoke_apply(struct kv_view *view, int64_t id, struct kv_outcome *outcome)
{
    outcome->lease.id = id;
    int rc = kv_lease_revoke_apply(view, id, &outcome->error);
    outcome->response.header_only.has_header = true;
    outcome->response.header_only.header.revision = kv_view_revision(view);
    return rc;
}

static int compact_apply(struct kv_view *view, const struct kv_compact *compact,
                         struct kv_outcome *outcome)
{
    int rc = kv_compact_apply(view, compact, &outcome->error);
    outcome->compact_revision = outcome->error == KV_OK ? compact->revision : 0;
    outcome->response.header_only.has_header = true;
    outcome->response.header_only.header.revision = view->base;
    return rc;
}

static int apply_kind(struct kv_view *view, const struct kv_command *command,
                      struct kv_outcome *outcome)
{
    const struct kv_request *request = &command->request;
    switch (request->kind) {
    case KV_KIND_PUT:
        return put_apply(view, &request->put, outcome);
    case KV_KIND_DELETE:
        return kv_delete_apply(view, &request->delete_range, &outcome->response.delete_range);
    case KV_KIND_TXN:
        return kv_txn_run(view, &request->txn, &outcome->error, &outcome->response.txn);
    case KV_KIND_COMPACT:
        return compact_apply(view, &request->compact, outcome);
    case KV_KIND_LEASE_GRANT:
        return grant_apply(view, command, outcome);
    case KV_KIND_LEASE_REVOKE:
        return revoke_apply(view, request->lease_id.id, outcome);
    case KV_KIND_LEASE_CHECKPOINT:
        outcome->response.header_only.has_header = true;
        outcome->response.header_only.header.revision = view->base;
        return kv_lease_checkpoint_apply(view, &request->checkpoints);
    case KV_KIND_ALARM:
        outcome->is_alarm_changed = request->alarm.action != KV_ALARM_GET;
        return kv_alarm_apply(view, &request->alarm, &outcome->response.alarm);
    default:
        outcome->error = KV_E_MALFORMED;
        return 0;
    }
}

/* Whether an entry still stands: what a leader decided by time ends with its term, what was allowed
 * to somebody ends with the users and roles that it was decided by. */
static int admit(struct kv_view *view, const struct kv_command *command, uint64_t entry_term,
                 enum kv_error *ret_error)
{
    if (command->guard_term != 0 && command->guard_term != entry_term) {
        *ret_error = KV_E_LEADER_CHANGED;
        return 0;
    }
    return kv_auth_admit(view->txn, view->scratch, &command->asker, &command->request, ret_error);
}

static int apply_checked(struct kv_view *view, const struct kv_command *command,
                         uint64_t entry_term, struct kv_outcome *outcome)
{
    const struct kv_request *request = &command->request;
    int rc = admit(view, command, entry_term, &outcome->error);
    outcome->is_void = outcome->error != KV_OK;
    if (rc != 0 || outcome->is_void) {
        return rc;
    }
    if (request->kind == KV_KIND_SWAP) {
        return swap_apply(view, &request->swap, entry_term, outcome);
    }
    if (kv_kind_changes_auth(request->kind)) {
        return kv_auth_apply(view->txn, view->scratch, request, outcome);
    }
    outcome->error = kv_check_request(request);
    return outcome->error != KV_OK ? 0 : apply_kind(view, command, outcome);
}

static void finish(const struct kv_view *view, const struct kv_request *request,
                   struct kv_outcome *outcome)
{
    bool has_response = outcome->error == KV_OK && request->kind != KV_KIND_SWAP;
    outcome->response.kind = has_response ? request->kind : (uint32_t)KV_KIND_NONE;
    outcome->is_cut |= view->is_cut;
    outcome->is_changed = view->changes > 0;
    outcome->revision = kv_view_revision(view);
    BASE_ASSERT(BASE_IMPLIES(outcome->error != KV_OK, view->changes == 0));
}

int kv_core_apply(struct store_txn *txn, struct kv_scratch *scratch,
                  const struct kv_command *command, uint64_t entry_term, struct kv_outcome *ret)
{
    struct kv_view view;
    struct kv_outcome outcome = {.error = KV_OK};
    int rc = kv_view_open(txn, scratch, &view);
    if (rc != 0) {
        return rc;
    }
    view.is_copying = true;
    view.chosen_id = command->chosen_id;
    rc = apply_checked(&view, command, entry_term, &outcome);
    if (rc == 0) {
        rc = kv_view_close(&view);
    }
    if (rc == 0) {
        finish(&view, &command->request, &outcome);
        *ret = outcome;
    }
    return rc;
}

/* --- reads --- */

static int read_kind(struct kv_view *view, const struct kv_request *request,
                     struct kv_outcome *outcome)
{
    int rc = 0;
    switch (request->kind) {
    case KV_KIND_RANGE:
        rc = kv_range_revision_check(view, &request->range, &outcome->error);
        return rc != 0 || outcome->error != KV_OK
                   ? rc
                   : kv_range_read(view, &request->range, &outcome->response.range);
    case KV_KIND_TXN:
        return kv_txn_run(view, &request->txn, &outcome->error, &outcome->response.txn);
    case KV_KIND_ALARM:
        return kv_alarm_apply(view, &request->alarm, &outcome->response.alarm);
    case KV_KIND_LEASE_LEASES:
        return kv_lease_leases_read(view, &outcome->response.leases);
    case KV_KIND_LEASE_TTL:
        return kv_lease_ttl_read(view, &request->lease_ttl, &outcome->response.lease_ttl);
    default:
        return kv_auth_read(view->txn, view->scratch, request, outcome);
    }
}

static bool is_core_read(const struct kv_request *request)
{
    switch (request->kind) {
    case KV_KIND_LEASE_LEASES:
    case KV_KIND_LEASE_TTL:
    case KV_KIND_AUTH_STATUS:
    case KV_KIND_USER_GET:
    case KV_KIND_USER_LIST:
    case KV_KIND_ROLE_GET:
    case KV_KIND_ROLE_LIST:
        return true;
    default:
        return kv_request_is_read(request);
    }
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
    if (outcome.error == KV_OK && !is_core_read(request)) {
        outcome.error = KV_E_MALFORMED;
    }
    if (outcome.error == KV_OK) {
        rc = read_kind(&view, request, &outcome);
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
    static const enum store_table tables[] = {STORE_KV_CURRENT, STORE_KV_LEASES,
                                              STORE_KV_LEASE_KEYS, STORE_ARBITER, STORE_AUTH};
    struct kv_hash_walk walk;
    enum kv_error error = KV_OK;
    int rc = kv_hash_begin(txn, 0, &error, &walk);
    if (rc == 0) {
        walk.crc = (uint32_t)(walk.revision + walk.compact);
        rc = kv_hash_step(txn, 0, &walk);
    }
    for (size_t i = 0; i < BASE_COUNT_OF(tables) && rc == 0; i++) {
        rc = store_scan(txn, tables[i], SLICE_EMPTY, hash_row, &walk.crc);
    }
    if (rc == 0) {
        *ret = walk.crc;
    }
    return rc;
}
