/* SPDX-License-Identifier: Apache-2.0 */
/* Encoding of users and roles; see auth_rows.h. */
#include "kv/core/auth_rows.h"

#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"

#define USER_NO_PASSWORD 1u
#define CRC_BYTES 4u

_Static_assert(1 + KV_AUTH_NAME_MAX <= STORE_KEY_MAX, "a name fits into a key");
_Static_assert(KV_AUTH_GRANTS_MAX *(2 * KV_KEY_MAX + 12) + 64 <= KV_ROW_MAX,
               "the largest role fits into a row");
_Static_assert(KV_AUTH_ROLES_MAX *(KV_AUTH_NAME_MAX + 4) + 256 <= KV_ROW_MAX,
               "the user with the most roles fits into a row");

/* --- keys and checksums --- */

static struct slice key_of(struct kv_bytes *key, char kind, struct slice name)
{
    struct buf out = buf_over(key->data, sizeof(key->data));
    buf_put_u8(&out, (uint8_t)kind);
    buf_put(&out, slice_from(name.data, name.len <= KV_AUTH_NAME_MAX ? name.len : 0));
    return buf_slice(&out);
}

static void row_begin(struct buf *row)
{
    buf_reset(row);
    buf_put_u32_be(row, 0);
}

static int row_end(struct store_txn *txn, struct slice key, struct buf *row)
{
    BASE_ASSERT(!row->is_full);
    uint32_t crc = base_crc32c(0, slice_skip(buf_slice(row), CRC_BYTES));
    struct buf head = buf_over(row->data, CRC_BYTES);
    buf_put_u32_be(&head, crc);
    return store_put(txn, STORE_AUTH, key, buf_slice(row));
}

static int row_open(struct slice *row)
{
    uint32_t crc = 0;
    if (slice_take_u32_be(row, &crc) != 0 || base_crc32c(0, *row) != crc) {
        return BASE_E_CORRUPT;
    }
    return 0;
}

static int row_read(struct store_txn *txn, char kind, struct slice name, struct slice *ret)
{
    struct kv_bytes key;
    if (name.len == 0 || name.len > KV_AUTH_NAME_MAX) {
        return BASE_E_NOTFOUND;
    }
    return store_get(txn, STORE_AUTH, key_of(&key, kind, name), ret);
}

static int row_remove(struct store_txn *txn, char kind, struct slice name)
{
    struct kv_bytes key;
    return store_del(txn, STORE_AUTH, key_of(&key, kind, name));
}

static void put_bytes(struct buf *row, struct slice bytes)
{
    buf_put_u32_be(row, (uint32_t)bytes.len);
    buf_put(row, bytes);
}

static int take_bytes(struct slice *row, struct slice *ret)
{
    uint32_t len = 0;
    struct slice bytes;
    if (slice_take_u32_be(row, &len) != 0 || slice_take_bytes(row, len, &bytes) != 0) {
        return BASE_E_CORRUPT;
    }
    *ret = bytes;
    return 0;
}

/* --- the one row of all --- */

int kv_auth_config_read(struct store_txn *txn, struct kv_auth_config *ret)
{
    struct kv_auth_config config = {.revision = 1, .generation = 1};
    struct slice row;
    uint8_t is_enabled = 0;
    int rc = store_get(txn, STORE_AUTH, SLICE_LIT("c"), &row);
    if (rc == 0) {
        rc = row_open(&row);
        if (rc != 0 || slice_take_u8(&row, &is_enabled) != 0 ||
            slice_take_u64_be(&row, &config.revision) != 0 ||
            slice_take_u64_be(&row, &config.generation) != 0 || config.generation == 0) {
            return BASE_E_CORRUPT;
        }
    } else if (rc != BASE_E_NOTFOUND) {
        return rc;
    }
    config.is_enabled = is_enabled != 0;
    *ret = config;
    return 0;
}

int kv_auth_config_write(struct store_txn *txn, struct kv_scratch *scratch,
                         const struct kv_auth_config *config)
{
    struct buf *row = &scratch->row;
    row_begin(row);
    buf_put_u8(row, config->is_enabled);
    buf_put_u64_be(row, config->revision);
    buf_put_u64_be(row, config->generation);
    return row_end(txn, SLICE_LIT("c"), row);
}

/* --- users --- */

int kv_user_decode(struct slice row, struct base_arena *arena, struct kv_user *ret)
{
    struct kv_user user = {0};
    uint8_t flags = 0;
    uint32_t count = 0;
    int rc = row_open(&row);
    if (rc != 0 || slice_take_u8(&row, &flags) != 0 || take_bytes(&row, &user.hash) != 0 ||
        slice_take_u32_be(&row, &count) != 0 || count > KV_AUTH_ROLES_MAX) {
        return BASE_E_CORRUPT;
    }
    user.is_no_password = (flags & USER_NO_PASSWORD) != 0;
    user.roles.items = base_arena_take(arena, count, sizeof(struct slice));
    if (user.roles.items == NULL && count > 0) {
        return BASE_E_TOOBIG;
    }
    for (uint32_t i = 0; i < count && rc == 0; i++) {
        rc = take_bytes(&row, &user.roles.items[i]);
    }
    user.roles.count = count;
    if (rc == 0) {
        *ret = user;
    }
    return rc;
}

int kv_user_read(struct store_txn *txn, struct base_arena *arena, struct slice name,
                 struct kv_user *ret)
{
    struct slice row;
    int rc = row_read(txn, 'u', name, &row);
    return rc != 0 ? rc : kv_user_decode(row, arena, ret);
}

int kv_user_write(struct store_txn *txn, struct kv_scratch *scratch, struct slice name,
                  const struct kv_user *user)
{
    struct kv_bytes key;
    struct buf *row = &scratch->row;
    BASE_ASSERT(user->roles.count <= KV_AUTH_ROLES_MAX && user->hash.len <= KV_AUTH_HASH_MAX);
    row_begin(row);
    buf_put_u8(row, user->is_no_password ? USER_NO_PASSWORD : 0);
    put_bytes(row, user->hash);
    buf_put_u32_be(row, (uint32_t)user->roles.count);
    for (size_t i = 0; i < user->roles.count; i++) {
        put_bytes(row, user->roles.items[i]);
    }
    return row_end(txn, key_of(&key, 'u', name), row);
}

int kv_user_remove(struct store_txn *txn, struct slice name)
{
    return row_remove(txn, 'u', name);
}

/* --- roles --- */

static int permission_decode(struct slice *row, struct kv_permission *ret)
{
    uint32_t type = 0;
    if (slice_take_u32_be(row, &type) != 0 || take_bytes(row, &ret->key) != 0 ||
        take_bytes(row, &ret->range_end) != 0) {
        return BASE_E_CORRUPT;
    }
    ret->type = (int32_t)type;
    return 0;
}

int kv_role_decode(struct slice row, struct base_arena *arena, struct kv_role *ret)
{
    uint32_t count = 0;
    struct kv_permissions list = {0};
    int rc = row_open(&row);
    if (rc != 0 || slice_take_u32_be(&row, &count) != 0 || count > KV_AUTH_GRANTS_MAX) {
        return BASE_E_CORRUPT;
    }
    list.items = base_arena_take(arena, count, sizeof(struct kv_permission));
    if (list.items == NULL && count > 0) {
        return BASE_E_TOOBIG;
    }
    for (uint32_t i = 0; i < count && rc == 0; i++) {
        rc = permission_decode(&row, &list.items[i]);
    }
    list.count = count;
    if (rc == 0) {
        ret->permissions = list;
    }
    return rc;
}

int kv_role_read(struct store_txn *txn, struct base_arena *arena, struct slice name,
                 struct kv_role *ret)
{
    struct slice row;
    int rc = row_read(txn, 'r', name, &row);
    return rc != 0 ? rc : kv_role_decode(row, arena, ret);
}

int kv_role_write(struct store_txn *txn, struct kv_scratch *scratch, struct slice name,
                  const struct kv_role *role)
{
    struct kv_bytes key;
    struct buf *row = &scratch->row;
    BASE_ASSERT(role->permissions.count <= KV_AUTH_GRANTS_MAX);
    row_begin(row);
    buf_put_u32_be(row, (uint32_t)role->permissions.count);
    for (size_t i = 0; i < role->permissions.count; i++) {
        const struct kv_permission *permission = &role->permissions.items[i];
        buf_put_u32_be(row, (uint32_t)permission->type);
        put_bytes(row, permission->key);
        put_bytes(row, permission->range_end);
    }
    return row_end(txn, key_of(&key, 'r', name), row);
}

int kv_role_remove(struct store_txn *txn, struct slice name)
{
    return row_remove(txn, 'r', name);
}

/* --- walks --- */

struct walk {
    uint8_t kind;
    kv_auth_name_fn *visit;
    void *ctx;
};

static int walk_row(void *ctx, struct slice key, struct slice row)
{
    const struct walk *walk = ctx;
    if (key.len < 1 || key.data[0] != walk->kind) {
        return 1;
    }
    return walk->visit(walk->ctx, slice_skip(key, 1), row);
}

static int names_each(struct store_txn *txn, char kind, struct slice from, kv_auth_name_fn *visit,
                      void *ctx)
{
    struct walk walk = {(uint8_t)kind, visit, ctx};
    struct kv_bytes key;
    return store_scan(txn, STORE_AUTH, key_of(&key, kind, from), walk_row, &walk);
}

int kv_users_each(struct store_txn *txn, struct slice from, kv_auth_name_fn *visit, void *ctx)
{
    return names_each(txn, 'u', from, visit, ctx);
}

int kv_roles_each(struct store_txn *txn, struct slice from, kv_auth_name_fn *visit, void *ctx)
{
    return names_each(txn, 'r', from, visit, ctx);
}
