/* SPDX-License-Identifier: Apache-2.0 */
/* Users and roles; see auth.h. */
#include "kv/core/auth.h"

int kv_auth_apply(struct store_txn *txn, struct kv_scratch *scratch,
                  const struct kv_request *request, struct kv_outcome *ret)
{
    (void)txn;
    (void)scratch;
    (void)request;
    *ret = (struct kv_outcome){.error = KV_E_UNIMPLEMENTED};
    return 0;
}

int kv_auth_read(struct store_txn *txn, struct kv_scratch *scratch,
                 const struct kv_request *request, struct kv_outcome *ret)
{
    (void)txn;
    (void)scratch;
    (void)request;
    *ret = (struct kv_outcome){.error = KV_E_UNIMPLEMENTED};
    return 0;
}

int kv_auth_revision(struct store_txn *txn, uint64_t *ret)
{
    (void)txn;
    *ret = 0;
    return 0;
}

int kv_auth_admit(struct store_txn *txn, struct kv_scratch *scratch, const struct kv_asker *asker,
                  const struct kv_request *request, enum kv_error *ret_error)
{
    uint64_t revision = 0;
    int rc = kv_auth_revision(txn, &revision);
    bool is_free = request->kind == KV_KIND_SWAP || asker->auth_revision == KV_ASKER_INTERNAL;
    (void)scratch;
    *ret_error = is_free || revision == asker->auth_revision ? KV_OK : KV_E_AUTH_OLD_REVISION;
    return rc;
}
