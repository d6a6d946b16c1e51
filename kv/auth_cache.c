/* SPDX-License-Identifier: Apache-2.0 */
/* The copy of users and roles, with every user's grants worked out; see auth.h.
 *
 * Filled in the storage thread from rows that are copied first, as what the store lends is void
 * after the job. Read by the loop thread afterwards, never changed.
 */
#include <string.h>

#include "base/assert.h"
#include "kv/auth_internal.h"

struct fill {
    struct auth_cache *cache;
    struct base_arena arena;
};

static int count_name(void *ctx, struct slice name, struct slice row)
{
    size_t *count = ctx;
    (void)name;
    (void)row;
    (*count)++;
    return 0;
}

static int add_role(void *ctx, struct slice name, struct slice row)
{
    struct fill *fill = ctx;
    struct cached_role *role = &fill->cache->roles[fill->cache->roles_count];
    int rc = base_arena_copy(&fill->arena, name, &role->name);
    rc = rc != 0 ? rc : base_arena_copy(&fill->arena, row, &row);
    rc = rc != 0 ? rc : kv_role_decode(row, &fill->arena, &role->role);
    fill->cache->roles_count += rc == 0;
    return rc;
}

static const struct cached_role *role_find(const struct auth_cache *cache, struct slice name)
{
    size_t low = 0;
    size_t high = cache->roles_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = slice_compare(cache->roles[middle].name, name);
        if (order == 0) {
            return &cache->roles[middle];
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return NULL;
}

static int add_grants(struct fill *fill, struct cached_user *user)
{
    struct kv_role roles[KV_AUTH_ROLES_MAX];
    size_t count = 0;
    user->grants = (struct kv_grants){.user = user->name, .roles = user->user.roles};
    for (size_t i = 0; i < user->user.roles.count; i++) {
        struct slice name = user->user.roles.items[i];
        const struct cached_role *role = role_find(fill->cache, name);
        user->grants.is_root |= slice_equal(name, SLICE_LIT(KV_AUTH_ROOT));
        if (role != NULL) {
            roles[count++] = role->role;
        }
    }
    return kv_grants_build(&fill->arena, roles, count, &user->grants);
}

static int add_user(void *ctx, struct slice name, struct slice row)
{
    struct fill *fill = ctx;
    struct cached_user *user = &fill->cache->users[fill->cache->users_count];
    int rc = base_arena_copy(&fill->arena, name, &user->name);
    rc = rc != 0 ? rc : base_arena_copy(&fill->arena, row, &row);
    rc = rc != 0 ? rc : kv_user_decode(row, &fill->arena, &user->user);
    rc = rc != 0 ? rc : add_grants(fill, user);
    fill->cache->users_count += rc == 0;
    return rc;
}

static int fill_all(struct store_txn *txn, struct fill *fill)
{
    struct auth_cache *cache = fill->cache;
    size_t roles = 0;
    size_t users = 0;
    int rc = kv_roles_each(txn, SLICE_EMPTY, count_name, &roles);
    rc = rc != 0 ? rc : kv_users_each(txn, SLICE_EMPTY, count_name, &users);
    if (rc != 0) {
        return rc;
    }
    cache->roles = base_arena_take(&fill->arena, roles, sizeof(*cache->roles));
    cache->users = base_arena_take(&fill->arena, users, sizeof(*cache->users));
    if ((roles > 0 && cache->roles == NULL) || (users > 0 && cache->users == NULL)) {
        return BASE_E_TOOBIG;
    }
    rc = kv_roles_each(txn, SLICE_EMPTY, add_role, fill);
    return rc != 0 ? rc : kv_users_each(txn, SLICE_EMPTY, add_user, fill);
}

int auth_cache_read(struct store_txn *txn, struct auth_cache *cache)
{
    struct fill fill = {cache, base_arena_over(cache->memory, cache->cap)};
    cache->users_count = 0;
    cache->roles_count = 0;
    int rc = kv_auth_revision(txn, &cache->revision);
    if (rc != 0 || cache->revision == 0) {
        return rc;
    }
    return fill_all(txn, &fill);
}

const struct cached_user *auth_cache_find(const struct auth_cache *cache, struct slice name)
{
    size_t low = 0;
    size_t high = cache->users_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = slice_compare(cache->users[middle].name, name);
        if (order == 0) {
            return &cache->users[middle];
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return NULL;
}
