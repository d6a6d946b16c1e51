/* SPDX-License-Identifier: Apache-2.0 */
/* The one place that says which user may make which request: a table with a rule for every kind of
 * proto/msg/kv.h, and a walk through every key that a request reads or writes, however deep.
 *
 * Deny by default: a kind without a row does not compile, an operation that the walk does not know
 * is refused. What a key costs is told by the user's grants, merged intervals made from the roles.
 * Pure; used by kv/auth.c before a request is proposed and by auth.c when it is applied.
 */
#ifndef QUORATE_KV_CORE_AUTH_WALK_H
#define QUORATE_KV_CORE_AUTH_WALK_H

#include "kv/core/auth_rows.h"

/* Keys from begin on up to, not including, end; is_open: without end. */
struct kv_span {
    struct slice begin;
    struct slice end;
    bool is_open;
};

/* In order, apart from each other, none empty. */
struct kv_spans {
    struct kv_span *items;
    size_t count;
};

/* What one user may do. */
struct kv_grants {
    struct slice user;
    bool is_root; /* has the role root: everything */
    struct kv_texts roles;
    struct kv_spans reads;
    struct kv_spans writes;
};

/* Spans of the permissions of all `count` roles. Permissions without any key or of an unknown type
 * grant nothing. Bytes are borrowed, lists and some keys lie in the arena. BASE_E_TOOBIG. */
MUST_CHECK int kv_grants_build(struct base_arena *arena, const struct kv_role *roles, size_t count,
                               struct kv_grants *ret);
/* Reads user and roles and builds the grants; BASE_E_NOTFOUND: no such user. A role that is gone
 * grants nothing. */
MUST_CHECK int kv_grants_read(struct store_txn *txn, struct base_arena *arena, struct slice user,
                              struct kv_grants *ret);
/* Whether all of the interval (etcd's notation: no end, one key; "\0": all from key on) lies in one
 * span. An interval that ends before it begins counts as its first key. */
bool kv_spans_have(const struct kv_spans *spans, struct kv_interval interval);

/* KV_OK, PERMISSION_DENIED, or USER_EMPTY. grants NULL: nobody in particular asks, which few
 * requests allow. For a request that a client made while authentication is enabled. Permissions
 * that depend on what a lease holds are not part of it: kv_auth_admit. */
enum kv_error kv_auth_walk(const struct kv_grants *grants, const struct kv_request *request);
/* The same for a watch. */
enum kv_error kv_auth_walk_watch(const struct kv_grants *grants,
                                 const struct kv_watch_create *create);
/* For what is not a request to the store (snapshots, hand-made methods). */
enum kv_error kv_auth_walk_admin(const struct kv_grants *grants);

/* Visits all operations of all branches and depths, transactions themselves too. */
struct kv_txn_walk {
    size_t depth;
    bool is_too_deep; /* operations have been left out */
    struct {
        const struct kv_txn *txn;
        size_t at;
    } levels[KV_TXN_DEPTH_MAX];
};
void kv_txn_walk_begin(struct kv_txn_walk *walk, const struct kv_txn *txn);
/* NULL at the end. */
const struct kv_op *kv_txn_walk_next(struct kv_txn_walk *walk);

#endif
