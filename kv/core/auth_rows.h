/* SPDX-License-Identifier: Apache-2.0 */
/* How users and roles stand in the store. Part of the file format; every row begins with a crc32c
 * of the rest.
 *
 *   STORE_AUTH  "c"         -> enabled, auth revision, generation; absent: not enabled, 1, 1
 *   STORE_AUTH  "u" + name  -> flags, password hash, roles in order of names
 *   STORE_AUTH  "r" + name  -> permissions in order of keys, of equal keys in order of granting
 *
 * The auth revision is the one that clients see, counted as etcd counts it; the generation moves
 * with every change of what anybody may do, also when authentication is switched on. Pure; used by
 * kv/core and by the reader of kv/auth.c.
 */
#ifndef QUORATE_KV_CORE_AUTH_ROWS_H
#define QUORATE_KV_CORE_AUTH_ROWS_H

#include "kv/core/view.h"
#include "proto/msg/kv.h"

#define KV_AUTH_ROOT "root" /* name of the user and of the role that may do everything */

struct kv_auth_config {
    bool is_enabled;
    uint64_t revision;
    uint64_t generation;
};

struct kv_user {
    bool is_no_password;
    struct slice hash; /* empty: no password fits */
    struct kv_texts roles;
};

struct kv_role {
    struct kv_permissions permissions;
};

/* Reads answer BASE_E_NOTFOUND, BASE_E_CORRUPT, or BASE_E_TOOBIG when the arena is too small.
 * Lists lie in the arena, bytes in the store until its next write. */
MUST_CHECK int kv_auth_config_read(struct store_txn *txn, struct kv_auth_config *ret);
MUST_CHECK int kv_auth_config_write(struct store_txn *txn, struct kv_scratch *scratch,
                                    const struct kv_auth_config *config);
MUST_CHECK int kv_user_read(struct store_txn *txn, struct base_arena *arena, struct slice name,
                            struct kv_user *ret);
MUST_CHECK int kv_role_read(struct store_txn *txn, struct base_arena *arena, struct slice name,
                            struct kv_role *ret);
/* Writes go through scratch->row, so that what is written may have been read from the store. */
MUST_CHECK int kv_user_write(struct store_txn *txn, struct kv_scratch *scratch, struct slice name,
                             const struct kv_user *user);
MUST_CHECK int kv_role_write(struct store_txn *txn, struct kv_scratch *scratch, struct slice name,
                             const struct kv_role *role);
MUST_CHECK int kv_user_remove(struct store_txn *txn, struct slice name);
MUST_CHECK int kv_role_remove(struct store_txn *txn, struct slice name);

/* The value of a row as it stands in the store; for those who scan the table. */
MUST_CHECK int kv_user_decode(struct slice row, struct base_arena *arena, struct kv_user *ret);
MUST_CHECK int kv_role_decode(struct slice row, struct base_arena *arena, struct kv_role *ret);

/* Names of all users or roles from `from` on, in order. 0: go on, 1: stop, negative: error. */
typedef int kv_auth_name_fn(void *ctx, struct slice name, struct slice row);
MUST_CHECK int kv_users_each(struct store_txn *txn, struct slice from, kv_auth_name_fn *visit,
                             void *ctx);
MUST_CHECK int kv_roles_each(struct store_txn *txn, struct slice from, kv_auth_name_fn *visit,
                             void *ctx);

#endif
