/* SPDX-License-Identifier: Apache-2.0 */
/* Whether an asker may still do what he was allowed; see kv_auth_admit in auth.h. */
#include "base/canary.h"
#include "base/mark.h"
#include "kv/core/auth.h"
#include "kv/core/auth_rows.h"
#include "kv/core/auth_walk.h"

#define LEASE_BYTES 8u

struct attached {
    struct slice lease;
    const struct kv_spans *spans;
    bool is_denied;
};

static int attached_key(void *ctx, struct slice row, struct slice value)
{
    struct attached *attached = ctx;
    (void)value;
    if (!slice_has_prefix(row, attached->lease)) {
        return 1;
    }
    struct kv_interval key = {slice_skip(row, LEASE_BYTES), SLICE_EMPTY};
    attached->is_denied = !kv_spans_have(attached->spans, key);
    return attached->is_denied;
}

static int lease_check(struct store_txn *txn, const struct kv_spans *spans, int64_t lease,
                       enum kv_error *error)
{
    uint8_t bytes[LEASE_BYTES];
    struct buf out = buf_over(bytes, sizeof(bytes));
    buf_put_u64_be(&out, (uint64_t)lease);
    struct attached attached = {buf_slice(&out), spans, false};
    int rc = store_scan(txn, STORE_KV_LEASE_KEYS, buf_slice(&out), attached_key, &attached);
    if (rc == 0 && attached.is_denied) {
        *error = KV_E_PERMISSION_DENIED;
    }
    return rc;
}

/* All leases that puts of the transaction name, whichever branch is taken: what may be done must
 * not depend on what the store holds. */
static int txn_check(struct store_txn *txn, const struct kv_spans *spans, const struct kv_txn *tree,
                     enum kv_error *error)
{
    struct kv_txn_walk walk;
    const struct kv_op *op = NULL;
    int64_t last = 0;
    int rc = 0;
    kv_txn_walk_begin(&walk, tree);
    while (rc == 0 && *error == KV_OK && (op = kv_txn_walk_next(&walk)) != NULL) {
        if (op->kind == KV_OP_PUT && op->put.lease != last && op->put.lease != 0) {
            last = op->put.lease;
            rc = lease_check(txn, spans, last, error);
        }
    }
    return rc;
}

static int leases_check(struct store_txn *txn, const struct kv_grants *grants,
                        const struct kv_request *request, enum kv_error *error)
{
    switch (request->kind) {
    case KV_KIND_PUT:
        return lease_check(txn, &grants->writes, request->put.lease, error);
    case KV_KIND_TXN:
        return txn_check(txn, &grants->writes, &request->txn, error);
    case KV_KIND_LEASE_REVOKE:
        return lease_check(txn, &grants->writes, request->lease_id.id, error);
    default:
        return lease_check(txn, &grants->reads, request->lease_ttl.id, error);
    }
}

static bool txn_has_lease(const struct kv_txn *tree)
{
    struct kv_txn_walk walk;
    const struct kv_op *op = NULL;
    kv_txn_walk_begin(&walk, tree);
    while ((op = kv_txn_walk_next(&walk)) != NULL) {
        if (op->kind == KV_OP_PUT && op->put.lease != 0) {
            return true;
        }
    }
    return false;
}

static bool has_lease(const struct kv_request *request)
{
    switch (request->kind) {
    case KV_KIND_PUT:
        return request->put.lease != 0;
    case KV_KIND_TXN:
        return txn_has_lease(&request->txn);
    case KV_KIND_LEASE_REVOKE:
        return true;
    case KV_KIND_LEASE_TTL:
        return request->lease_ttl.wants_keys;
    default:
        return false;
    }
}

int kv_auth_admit(struct store_txn *txn, struct kv_scratch *scratch, const struct kv_asker *asker,
                  const struct kv_request *request, enum kv_error *ret_error)
{
    uint64_t revision = 0;
    struct kv_grants grants;
    enum kv_error error = KV_OK;
    if (asker->auth_revision == KV_ASKER_INTERNAL || request->kind == KV_KIND_SWAP) {
        *ret_error = KV_OK;
        return 0;
    }
    int rc = kv_auth_revision(txn, &revision);
    bool is_known = revision == asker->auth_revision || CANARY(PERMISSION_AT_PROPOSE);
    if (rc == 0 && !is_known) {
        MARK(KV_AUTH_CHANGED_BEFORE_APPLY);
        error = KV_E_AUTH_OLD_REVISION;
    } else if (rc == 0 && revision != 0 && has_lease(request)) {
        size_t used = scratch->arena.used;
        rc = kv_grants_read(txn, &scratch->arena, asker->user, &grants);
        if (rc == BASE_E_NOTFOUND || rc == BASE_E_TOOBIG) {
            error = KV_E_PERMISSION_DENIED;
            rc = 0;
        } else if (rc == 0 && !grants.is_root) {
            rc = leases_check(txn, &grants, request, &error);
        }
        scratch->arena.used = used;
    }
    if (rc == 0) {
        *ret_error = error;
    }
    return rc;
}
