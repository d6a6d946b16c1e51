/* SPDX-License-Identifier: Apache-2.0 */
/* Users and roles as a part of the state machine: what an entry does to STORE_AUTH, what a read of
 * it sees. Pure; called by kv/core/apply.c alone.
 */
#ifndef QUORATE_KV_CORE_AUTH_H
#define QUORATE_KV_CORE_AUTH_H

#include "kv/core/apply.h"

/* What an applied entry of one of the kinds AUTH_ENABLE to ROLE_REVOKE was, for those who keep
 * something in memory. Slices are valid during the call. */
struct kv_auth_event {
    uint32_t kind;
    struct slice name;  /* of the user or role */
    struct slice token; /* AUTHENTICATE */
};

/* Applies a request of one of those kinds: fills in outcome->error, or the response with the
 * revision in its header. A refusal leaves no trace. Contract as kv_core_apply. */
MUST_CHECK int kv_auth_apply(struct store_txn *txn, struct kv_scratch *scratch,
                             const struct kv_request *request, struct kv_outcome *ret);
/* Answers AUTH_STATUS, USER_GET, USER_LIST, ROLE_GET, ROLE_LIST; contract as kv_core_read. */
MUST_CHECK int kv_auth_read(struct store_txn *txn, struct kv_scratch *scratch,
                            const struct kv_request *request, struct kv_outcome *ret);
/* What kv_asker.auth_revision is compared with: 0 while authentication is not enabled, else a
 * counter that grows with every change. */
MUST_CHECK int kv_auth_revision(struct store_txn *txn, uint64_t *ret);
/* Whether a request that was allowed to `asker` still is, by what the store holds now; at apply and
 * in every read. */
MUST_CHECK int kv_auth_admit(struct store_txn *txn, struct kv_scratch *scratch,
                             const struct kv_asker *asker, const struct kv_request *request,
                             enum kv_error *ret_error);

#endif
