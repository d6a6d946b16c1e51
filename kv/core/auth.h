/* SPDX-License-Identifier: Apache-2.0 */
/* Users and roles as a part of the state machine: what an entry does to STORE_AUTH, what a read of
 * it sees, and whether an entry is still allowed. Checks, their order and their errors are etcd's.
 * Passwords come as hashes, made by the node that proposes. Pure; called by kv/core/apply.c and by
 * the jobs of kv/service.
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
    uint64_t index;     /* of the entry */
};

/* Applies a request of one of those kinds: fills in outcome->error, or the response with the
 * revision in its header. A refusal leaves no trace. Contract as kv_core_apply. */
MUST_CHECK int kv_auth_apply(struct store_txn *txn, struct kv_scratch *scratch,
                             const struct kv_request *request, struct kv_outcome *ret);
/* Answers AUTH_STATUS, USER_GET, USER_LIST, ROLE_GET, ROLE_LIST; contract as kv_core_read. */
MUST_CHECK int kv_auth_read(struct store_txn *txn, struct kv_scratch *scratch,
                            const struct kv_request *request, struct kv_outcome *ret);
/* The form of a request of those kinds: names not too long, a password's hash of a known kind.
 * Pure; the same answer when it is proposed and when it is applied. */
enum kv_error kv_auth_check(const struct kv_request *request);
/* Whether the asker may still do what the walker has allowed him (auth_walk.h), told by replicated
 * state alone and so alike on every node: AUTH_OLD_REVISION when permissions have changed since;
 * and PERMISSION_DENIED when a lease is put to use or revoked by somebody who may not write all
 * keys that hang on it, or its keys are listed for one who may not read them. To be asked in the
 * job that carries the request out. The node's own requests (KV_ASKER_INTERNAL) and swaps pass. */
MUST_CHECK int kv_auth_admit(struct store_txn *txn, struct kv_scratch *scratch,
                             const struct kv_asker *asker, const struct kv_request *request,
                             enum kv_error *ret_error);
/* What kv_asker.auth_revision is compared with: 0 while authentication is not enabled, else a
 * counter that grows with every change. */
MUST_CHECK int kv_auth_revision(struct store_txn *txn, uint64_t *ret);

#endif
