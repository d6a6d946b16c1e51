/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing is changed that no permission in force at that entry allows: read from the tables as they
 * stand when it is applied, role by role, without the product's copies and merged intervals.
 */
#include "kv/core/auth_rows.h"
#include "tests/sim/truth.h"
#include "tests/sim/truth_inner.h"

static bool is_in(const struct kv_permission *permission, struct slice key)
{
    struct slice end = permission->range_end;
    bool is_from_key = end.len == 1 && end.data[0] == 0;
    if (end.len == 0) {
        return slice_equal(permission->key, key);
    }
    return slice_compare(key, permission->key) >= 0 && (is_from_key || slice_compare(key, end) < 0);
}

static bool role_may_write(struct store_txn *txn, struct base_arena *arena, struct slice name,
                           struct slice key)
{
    struct kv_role role;
    if (slice_equal(name, SLICE_LIT(KV_AUTH_ROOT))) {
        return true;
    }
    if (kv_role_read(txn, arena, name, &role) != 0) {
        return false;
    }
    for (size_t i = 0; i < role.permissions.count; i++) {
        const struct kv_permission *permission = &role.permissions.items[i];
        bool is_write = permission->type == 1 || permission->type == 2;
        if (is_write && is_in(permission, key)) {
            return true;
        }
    }
    return false;
}

static bool may_write(struct store_txn *txn, struct slice name, struct slice key)
{
    static _Alignas(16) uint8_t memory[1 << 16];
    struct base_arena arena = base_arena_over(memory, sizeof(memory));
    struct kv_user user;
    if (name.len == 0 || kv_user_read(txn, &arena, name, &user) != 0) {
        return false;
    }
    for (size_t i = 0; i < user.roles.count; i++) {
        if (role_may_write(txn, &arena, user.roles.items[i], key)) {
            return true;
        }
    }
    return false;
}

void truth_permitted(struct world *w, struct store_txn *txn, const struct kv_command *command,
                     struct slice key)
{
    struct kv_auth_config config;
    const struct kv_asker *asker = &command->asker;
    if (asker->auth_revision == KV_ASKER_INTERNAL || command->request.kind == KV_KIND_SWAP ||
        kv_auth_config_read(txn, &config) != 0 || !config.is_enabled) {
        return;
    }
    if (!may_write(txn, asker->user, key)) {
        world_fail(w, INVARIANT_PERMITTED, "%.*s changes %.*s, and has no permission to",
                   (int)asker->user.len, (const char *)asker->user.data, (int)key.len,
                   (const char *)key.data);
    }
}
