/* SPDX-License-Identifier: Apache-2.0 */
/* Leases in the tables; see lease.h. */
#include "kv/core/lease.h"

#include <string.h>

#include "base/assert.h"
#include "base/canary.h"
#include "kv/core/mvcc.h"

#define LEASE_ID_BYTES 8u
#define META_LEASES "kv.leases"

_Static_assert(LEASE_ID_BYTES + KV_KEY_MAX <= STORE_KEY_MAX, "an attached key's row fits");

static void id_encode(uint64_t id, struct kv_bytes *ret)
{
    struct buf out = buf_over(ret->data, sizeof(ret->data));
    buf_put_u64_be(&out, id);
    ret->len = out.len;
}

static void attached_encode(uint64_t id, struct slice key, struct kv_bytes *ret)
{
    struct buf out = buf_over(ret->data, sizeof(ret->data));
    buf_put_u64_be(&out, id);
    buf_put(&out, key);
    BASE_ASSERT(!out.is_full);
    ret->len = out.len;
}

static int lease_decode(struct slice bytes, struct kv_lease_row *ret)
{
    uint64_t ttl = 0;
    uint64_t remaining = 0;
    if (slice_take_u64_be(&bytes, &ttl) != 0 || slice_take_u64_be(&bytes, &remaining) != 0 ||
        bytes.len != 0 || ttl > (uint64_t)KV_LEASE_TTL_MAX ||
        remaining > (uint64_t)KV_LEASE_TTL_MAX) {
        return BASE_E_CORRUPT;
    }
    ret->ttl = (int64_t)ttl;
    ret->remaining = (int64_t)remaining;
    return 0;
}

static int lease_put(struct store_txn *txn, const struct kv_lease_row *lease)
{
    uint8_t bytes[16];
    struct buf out = buf_over(bytes, sizeof(bytes));
    struct kv_bytes at;
    id_encode((uint64_t)lease->id, &at);
    buf_put_u64_be(&out, (uint64_t)lease->ttl);
    buf_put_u64_be(&out, (uint64_t)lease->remaining);
    return store_put(txn, STORE_KV_LEASES, kv_bytes_slice(&at), buf_slice(&out));
}

int kv_lease_get(struct store_txn *txn, int64_t id, struct kv_lease_row *ret)
{
    struct kv_bytes at;
    struct slice bytes;
    id_encode((uint64_t)id, &at);
    ret->id = id;
    int rc = store_get(txn, STORE_KV_LEASES, kv_bytes_slice(&at), &bytes);
    return rc != 0 ? rc : lease_decode(bytes, ret);
}

/* --- keys --- */

int kv_lease_attach(struct kv_view *view, uint64_t id, struct slice key)
{
    struct kv_bytes at;
    if (id == 0) {
        return 0;
    }
    attached_encode(id, key, &at);
    return store_put(view->txn, STORE_KV_LEASE_KEYS, kv_bytes_slice(&at), SLICE_EMPTY);
}

int kv_lease_detach(struct kv_view *view, uint64_t id, struct slice key)
{
    struct kv_bytes at;
    if (id == 0) {
        return 0;
    }
    attached_encode(id, key, &at);
    int rc = store_del(view->txn, STORE_KV_LEASE_KEYS, kv_bytes_slice(&at));
    return rc == BASE_E_NOTFOUND ? BASE_E_CORRUPT : rc; /* the key's newest version named it */
}

typedef int attached_fn(void *ctx, struct slice key);

struct attached {
    uint64_t id;
    attached_fn *visit;
    void *ctx;
};

static int attached_row(void *ctx, struct slice key, struct slice value)
{
    struct attached *attached = ctx;
    uint64_t id = 0;
    (void)value;
    if (slice_take_u64_be(&key, &id) != 0) {
        return BASE_E_CORRUPT;
    }
    return id != attached->id ? 1 : attached->visit(attached->ctx, key);
}

static int attached_each(struct store_txn *txn, uint64_t id, attached_fn *visit, void *ctx)
{
    struct attached attached = {id, visit, ctx};
    struct kv_bytes at;
    id_encode(id, &at);
    return store_scan(txn, STORE_KV_LEASE_KEYS, kv_bytes_slice(&at), attached_row, &attached);
}

/* --- entries --- */

static int count_change(struct kv_view *view, bool is_grant, enum kv_error *ret_error)
{
    uint64_t count = 0;
    int rc = kv_meta_get(view->txn, SLICE_LIT(META_LEASES), &count);
    if (rc != 0 && rc != BASE_E_NOTFOUND) {
        return rc;
    }
    if (is_grant && count >= KV_LEASES_MAX) {
        *ret_error = KV_E_TOO_MANY_REQUESTS;
        return 0;
    }
    if (!is_grant && count == 0) {
        return BASE_E_CORRUPT;
    }
    return kv_meta_put(view->txn, SLICE_LIT(META_LEASES), is_grant ? count + 1 : count - 1);
}

int kv_lease_grant_apply(struct kv_view *view, const struct kv_lease_grant *grant,
                         uint64_t chosen_id, enum kv_error *ret_error, struct kv_lease_row *ret)
{
    struct kv_lease_row lease = {.id = grant->id != 0 ? grant->id : (int64_t)chosen_id,
                                 .ttl = grant->ttl};
    struct kv_lease_row old;
    enum kv_error error = KV_OK;
    if (lease.id == 0) {
        *ret_error = KV_E_LEASE_NOT_FOUND; /* what etcd says of the id 0 */
        return 0;
    }
    if (lease.ttl < KV_LEASE_TTL_MIN) {
        lease.ttl = KV_LEASE_TTL_MIN;
    }
    int rc = kv_lease_get(view->txn, lease.id, &old);
    if (rc == 0) {
        error = KV_E_LEASE_EXISTS;
    } else if (rc == BASE_E_NOTFOUND) {
        rc = count_change(view, true, &error);
        if (rc == 0 && error == KV_OK) {
            rc = lease_put(view->txn, &lease);
        }
    }
    *ret_error = error;
    *ret = lease;
    return rc;
}

static int first_key(void *ctx, struct slice key)
{
    struct kv_bytes *first = ctx;
    if (key.len > sizeof(first->data)) {
        return BASE_E_CORRUPT;
    }
    memcpy(first->data, key.data, key.len);
    first->len = key.len;
    return 1;
}

/* Deletes the attached keys one after the other: each is the first of those that are left. */
static int delete_attached(struct kv_view *view, uint64_t id)
{
    for (;;) {
        struct kv_delete_response response;
        struct kv_bytes key = {.len = 0};
        int rc = attached_each(view->txn, id, first_key, &key);
        if (rc != 0 || key.len == 0) {
            return rc;
        }
        struct kv_delete gone = {.key = kv_bytes_slice(&key)};
        rc = kv_delete_apply(view, &gone, &response);
        if (rc == 0 && response.deleted != 1) {
            rc = BASE_E_CORRUPT; /* attached and not there: this would never end */
        }
        if (rc != 0) {
            return rc;
        }
    }
}

int kv_lease_revoke_apply(struct kv_view *view, int64_t id, enum kv_error *ret_error)
{
    struct kv_lease_row lease;
    struct kv_bytes at;
    int rc = kv_lease_get(view->txn, id, &lease);
    if (rc != 0) {
        *ret_error = KV_E_LEASE_NOT_FOUND;
        return rc == BASE_E_NOTFOUND ? 0 : rc;
    }
    *ret_error = KV_OK;
    rc = CANARY(KEYS_OUTLIVE_LEASE) ? 0 : delete_attached(view, (uint64_t)id);
    if (rc == 0) {
        id_encode((uint64_t)id, &at);
        rc = store_del(view->txn, STORE_KV_LEASES, kv_bytes_slice(&at));
    }
    return rc != 0 ? rc : count_change(view, false, ret_error);
}

int kv_lease_checkpoint_apply(struct kv_view *view, const struct kv_lease_checkpoints *checkpoints)
{
    for (size_t i = 0; i < checkpoints->checkpoints.count; i++) {
        const struct kv_lease_checkpoint *item = &checkpoints->checkpoints.items[i];
        struct kv_lease_row lease;
        int rc = kv_lease_get(view->txn, item->id, &lease);
        if (rc == BASE_E_NOTFOUND) {
            continue;
        }
        if (rc == 0) {
            bool is_sane = item->remaining_ttl > 0 && item->remaining_ttl < lease.ttl;
            lease.remaining = is_sane ? item->remaining_ttl : 0;
            rc = lease_put(view->txn, &lease);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

/* --- reads --- */

struct each {
    kv_lease_fn *visit;
    void *ctx;
};

static int each_row(void *ctx, struct slice key, struct slice value)
{
    struct each *each = ctx;
    struct kv_lease_row lease;
    uint64_t id = 0;
    int rc = slice_take_u64_be(&key, &id) != 0 || key.len != 0 ? BASE_E_CORRUPT
                                                               : lease_decode(value, &lease);
    lease.id = (int64_t)id;
    return rc != 0 ? rc : each->visit(each->ctx, &lease);
}

int kv_lease_each(struct store_txn *txn, uint64_t from, kv_lease_fn *visit, void *ctx)
{
    struct each each = {visit, ctx};
    struct kv_bytes at;
    id_encode(from, &at);
    return store_scan(txn, STORE_KV_LEASES, kv_bytes_slice(&at), each_row, &each);
}

struct listing {
    struct kv_view *view;
    struct kv_lease_ids leases;
    struct kv_texts keys;
    size_t count;
};

static int list_lease(void *ctx, const struct kv_lease_row *lease)
{
    struct listing *listing = ctx;
    if (listing->leases.count < listing->count) {
        listing->leases.items[listing->leases.count++].id = lease->id;
    }
    return 0;
}

int kv_lease_leases_read(struct kv_view *view, struct kv_lease_leases_response *ret)
{
    struct listing listing = {.view = view};
    uint64_t count = 0;
    int rc = kv_meta_get(view->txn, SLICE_LIT(META_LEASES), &count);
    rc = rc == BASE_E_NOTFOUND ? 0 : rc;
    if (rc == 0 && count > 0) {
        listing.count = count;
        listing.leases.items =
            base_arena_take(&view->scratch->arena, count, sizeof(*listing.leases.items));
        view->is_cut |= listing.leases.items == NULL;
        if (!view->is_cut) {
            rc = kv_lease_each(view->txn, 0, list_lease, &listing);
        }
    }
    *ret = (struct kv_lease_leases_response){
        .has_header = true, .header.revision = view->base, .leases = listing.leases};
    return rc;
}

static int count_key(void *ctx, struct slice key)
{
    struct listing *listing = ctx;
    (void)key;
    listing->count++;
    return 0;
}

static int list_key(void *ctx, struct slice key)
{
    struct listing *listing = ctx;
    struct slice *place = &listing->keys.items[listing->keys.count++];
    if (base_arena_copy(&listing->view->scratch->arena, key, place) != 0) {
        *place = SLICE_EMPTY;
        listing->view->is_cut = true;
        return 1;
    }
    return 0;
}

static int list_keys(struct listing *listing, uint64_t id)
{
    struct kv_view *view = listing->view;
    int rc = attached_each(view->txn, id, count_key, listing);
    if (rc != 0 || listing->count == 0) {
        return rc;
    }
    listing->keys.items =
        base_arena_take(&view->scratch->arena, listing->count, sizeof(*listing->keys.items));
    view->is_cut |= listing->keys.items == NULL;
    return view->is_cut ? 0 : attached_each(view->txn, id, list_key, listing);
}

int kv_lease_ttl_read(struct kv_view *view, const struct kv_lease_ttl *request,
                      struct kv_lease_ttl_response *ret)
{
    struct listing listing = {.view = view};
    struct kv_lease_row lease;
    struct kv_lease_ttl_response response = {
        .has_header = true, .header.revision = view->base, .id = request->id, .ttl = -1};
    int rc = kv_lease_get(view->txn, request->id, &lease);
    if (rc == 0) {
        response.ttl = response.granted_ttl = lease.ttl;
        if (request->wants_keys) {
            rc = list_keys(&listing, (uint64_t)request->id);
            response.keys = listing.keys;
        }
    }
    *ret = response;
    return rc == BASE_E_NOTFOUND ? 0 : rc;
}
