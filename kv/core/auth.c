/* SPDX-License-Identifier: Apache-2.0 */
/* Users and roles: what requests change about them; see auth.h. Reading is in auth_read.c. */
#include "kv/core/auth.h"

#include <string.h>

#include "base/assert.h"
#include "kv/core/auth_rows.h"
#include "kv/core/auth_walk.h"

/* One request on its way. */
struct change {
    struct store_txn *txn;
    struct kv_scratch *scratch;
    struct kv_auth_config config;
    const struct kv_request *request;
    enum kv_error error;
    bool is_counted; /* etcd's auth revision grows */
    bool is_moved;   /* the generation grows */
};

static struct slice root(void)
{
    return SLICE_LIT(KV_AUTH_ROOT);
}

static bool is_root(struct slice name)
{
    return slice_equal(name, root());
}

static void counted(struct change *change)
{
    change->is_counted = true;
    change->is_moved = true;
}

/* Whether an error of the store is one after all: NOTFOUND becomes what the client is told. */
static int refuse_missing(struct change *change, int rc, enum kv_error error)
{
    if (rc == BASE_E_NOTFOUND) {
        change->error = error;
        return 0;
    }
    return rc;
}

static int user_get(struct change *change, struct slice name, struct kv_user *ret)
{
    int rc = kv_user_read(change->txn, &change->scratch->arena, name, ret);
    return refuse_missing(change, rc, KV_E_USER_NOT_FOUND);
}

static int role_get(struct change *change, struct slice name, struct kv_role *ret)
{
    int rc = kv_role_read(change->txn, &change->scratch->arena, name, ret);
    return refuse_missing(change, rc, KV_E_ROLE_NOT_FOUND);
}

/* --- enabled or not --- */

static bool has_name(const struct kv_texts *names, struct slice name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (slice_equal(names->items[i], name)) {
            return true;
        }
    }
    return false;
}

static int auth_enable(struct change *change)
{
    struct kv_user user = {0};
    if (change->config.is_enabled) {
        return 0;
    }
    int rc = kv_user_read(change->txn, &change->scratch->arena, root(), &user);
    rc = refuse_missing(change, rc, KV_E_ROOT_USER_MISSING);
    if (rc != 0 || change->error != KV_OK) {
        return rc;
    }
    if (!has_name(&user.roles, root())) {
        change->error = KV_E_ROOT_ROLE_MISSING;
        return 0;
    }
    change->config.is_enabled = true;
    change->is_moved = true; /* not counted by etcd */
    return 0;
}

static int auth_disable(struct change *change)
{
    if (change->config.is_enabled) {
        change->config.is_enabled = false;
        counted(change);
    }
    return 0;
}

static int authenticate(struct change *change)
{
    struct kv_user user = {0};
    if (!change->config.is_enabled) {
        change->error = KV_E_AUTH_NOT_ENABLED;
        return 0;
    }
    int rc = kv_user_read(change->txn, &change->scratch->arena, change->request->authenticate.name,
                          &user);
    rc = refuse_missing(change, rc, KV_E_AUTH_FAILED);
    if (rc == 0 && change->error == KV_OK && user.is_no_password) {
        change->error = KV_E_AUTH_FAILED;
    }
    return rc;
}

/* --- users --- */

static int user_add(struct change *change)
{
    const struct kv_user_add *add = &change->request->user_add;
    struct kv_user user = {0};
    if (add->name.len == 0) {
        change->error = KV_E_USER_EMPTY;
        return 0;
    }
    int rc = kv_user_read(change->txn, &change->scratch->arena, add->name, &user);
    if (rc != BASE_E_NOTFOUND) {
        change->error = KV_E_USER_EXISTS;
        return rc;
    }
    bool is_no_password = add->has_options && add->options.is_no_password;
    user = (struct kv_user){.is_no_password = is_no_password,
                            .hash = is_no_password ? SLICE_EMPTY : add->hashed_password};
    counted(change);
    return kv_user_write(change->txn, change->scratch, add->name, &user);
}

static int user_delete(struct change *change)
{
    struct slice name = change->request->name.name;
    struct kv_user user = {0};
    if (change->config.is_enabled && is_root(name)) {
        change->error = KV_E_INVALID_AUTH_MANAGEMENT;
        return 0;
    }
    int rc = user_get(change, name, &user);
    if (rc != 0 || change->error != KV_OK) {
        return rc;
    }
    counted(change);
    return kv_user_remove(change->txn, name);
}

static int user_password(struct change *change)
{
    const struct kv_user_password *password = &change->request->user_password;
    struct kv_user user = {0};
    int rc = user_get(change, password->name, &user);
    if (rc != 0 || change->error != KV_OK) {
        return rc;
    }
    if (!user.is_no_password) {
        user.hash = password->hashed_password;
    }
    counted(change);
    return kv_user_write(change->txn, change->scratch, password->name, &user);
}

/* The user's roles with one more, in order. */
static int roles_with(struct change *change, struct kv_user *user, struct slice role)
{
    struct slice *items =
        base_arena_take(&change->scratch->arena, user->roles.count + 1, sizeof(*items));
    size_t at = 0;
    if (items == NULL || user->roles.count == KV_AUTH_ROLES_MAX) {
        change->error = KV_E_REQUEST_TOO_LARGE;
        return 0;
    }
    while (at < user->roles.count && slice_compare(user->roles.items[at], role) < 0) {
        items[at] = user->roles.items[at];
        at++;
    }
    items[at] = role;
    for (size_t i = at; i < user->roles.count; i++) {
        items[i + 1] = user->roles.items[i];
    }
    user->roles = (struct kv_texts){items, user->roles.count + 1};
    counted(change);
    return kv_user_write(change->txn, change->scratch, change->request->user_role.user, user);
}

static int user_grant(struct change *change)
{
    const struct kv_user_role *grant = &change->request->user_role;
    struct kv_user user = {0};
    struct kv_role role;
    int rc = user_get(change, grant->user, &user);
    if (rc == 0 && change->error == KV_OK && !is_root(grant->role)) {
        rc = role_get(change, grant->role, &role);
    }
    if (rc != 0 || change->error != KV_OK || has_name(&user.roles, grant->role)) {
        return rc; /* what is granted already changes nothing */
    }
    return roles_with(change, &user, grant->role);
}

/* Takes a name out of the list, in place; false: it was not there. */
static bool roles_without(struct kv_texts *roles, struct slice role)
{
    size_t kept = 0;
    for (size_t i = 0; i < roles->count; i++) {
        if (!slice_equal(roles->items[i], role)) {
            roles->items[kept++] = roles->items[i];
        }
    }
    bool is_found = kept < roles->count;
    roles->count = kept;
    return is_found;
}

static int user_revoke(struct change *change)
{
    const struct kv_user_role *revoke = &change->request->user_role;
    struct kv_user user = {0};
    if (change->config.is_enabled && is_root(revoke->user) && is_root(revoke->role)) {
        change->error = KV_E_INVALID_AUTH_MANAGEMENT;
        return 0;
    }
    int rc = user_get(change, revoke->user, &user);
    if (rc != 0 || change->error != KV_OK) {
        return rc;
    }
    if (!roles_without(&user.roles, revoke->role)) {
        change->error = KV_E_ROLE_NOT_GRANTED;
        return 0;
    }
    counted(change);
    return kv_user_write(change->txn, change->scratch, revoke->user, &user);
}

/* --- roles --- */

static int role_add(struct change *change)
{
    struct slice name = change->request->name.name;
    struct kv_role role = {0};
    if (name.len == 0) {
        change->error = KV_E_ROLE_EMPTY;
        return 0;
    }
    int rc = kv_role_read(change->txn, &change->scratch->arena, name, &role);
    if (rc != BASE_E_NOTFOUND) {
        change->error = KV_E_ROLE_EXISTS;
        return rc;
    }
    role = (struct kv_role){0};
    counted(change);
    return kv_role_write(change->txn, change->scratch, name, &role);
}

struct holder {
    struct base_arena *arena;
    struct slice role;
    bool is_found;
    struct kv_bytes name;
};

/* Stops at the first user who has the role. */
static int holder_find(void *ctx, struct slice name, struct slice row)
{
    struct holder *holder = ctx;
    struct kv_user user;
    size_t used = holder->arena->used;
    int rc = kv_user_decode(row, holder->arena, &user);
    holder->arena->used = used; /* nothing of it is kept */
    if (rc != 0 || !has_name(&user.roles, holder->role)) {
        return rc;
    }
    holder->is_found = true;
    holder->name.len = name.len;
    memcpy(holder->name.data, name.data, name.len);
    return 1;
}

/* Takes the role from all users; one at a time, as a walk must not write. */
static int role_take_back(struct change *change, struct slice role)
{
    struct holder holder = {.arena = &change->scratch->arena, .role = role};
    for (;;) {
        struct kv_user user;
        holder.is_found = false;
        int rc = kv_users_each(change->txn, kv_bytes_slice(&holder.name), holder_find, &holder);
        if (rc != 0 || !holder.is_found) {
            return rc;
        }
        size_t used = change->scratch->arena.used;
        rc =
            kv_user_read(change->txn, &change->scratch->arena, kv_bytes_slice(&holder.name), &user);
        if (rc == 0) {
            (void)roles_without(&user.roles, role);
            rc = kv_user_write(change->txn, change->scratch, kv_bytes_slice(&holder.name), &user);
        }
        change->scratch->arena.used = used;
        if (rc != 0) {
            return rc;
        }
    }
}

static int role_delete(struct change *change)
{
    struct slice name = change->request->name.name;
    struct kv_role role;
    if (change->config.is_enabled && is_root(name)) {
        change->error = KV_E_INVALID_AUTH_MANAGEMENT;
        return 0;
    }
    int rc = role_get(change, name, &role);
    if (rc != 0 || change->error != KV_OK) {
        return rc;
    }
    counted(change);
    rc = kv_role_remove(change->txn, name);
    return rc != 0 ? rc : role_take_back(change, name);
}

static bool is_same(const struct kv_permission *permission, struct slice key, struct slice end)
{
    return slice_equal(permission->key, key) && slice_equal(permission->range_end, end);
}

/* The permissions with one more behind those with the same key; or its new type. */
static int permissions_with(struct change *change, struct kv_role *role)
{
    const struct kv_permission *added = &change->request->role_grant.permission;
    struct kv_permissions *list = &role->permissions;
    for (size_t i = 0; i < list->count; i++) {
        if (is_same(&list->items[i], added->key, added->range_end)) {
            list->items[i].type = added->type;
            return 0;
        }
    }
    struct kv_permission *items =
        base_arena_take(&change->scratch->arena, list->count + 1, sizeof(*items));
    if (items == NULL || list->count == KV_AUTH_GRANTS_MAX) {
        change->error = KV_E_REQUEST_TOO_LARGE;
        return 0;
    }
    size_t at = 0;
    while (at < list->count && slice_compare(list->items[at].key, added->key) <= 0) {
        items[at] = list->items[at];
        at++;
    }
    items[at] = *added;
    for (size_t i = at; i < list->count; i++) {
        items[i + 1] = list->items[i];
    }
    *list = (struct kv_permissions){items, list->count + 1};
    return 0;
}

static int role_grant(struct change *change)
{
    const struct kv_role_grant *grant = &change->request->role_grant;
    struct kv_role role = {0};
    int rc = role_get(change, grant->name, &role);
    if (rc == 0 && change->error == KV_OK && !grant->has_permission) {
        change->error = KV_E_PERMISSION_NOT_GIVEN;
    }
    if (rc == 0 && change->error == KV_OK) {
        rc = permissions_with(change, &role);
    }
    if (rc != 0 || change->error != KV_OK) {
        return rc;
    }
    counted(change);
    return kv_role_write(change->txn, change->scratch, grant->name, &role);
}

static int role_revoke(struct change *change)
{
    const struct kv_role_revoke *revoke = &change->request->role_revoke;
    struct kv_role role;
    size_t kept = 0;
    int rc = role_get(change, revoke->role, &role);
    if (rc != 0 || change->error != KV_OK) {
        return rc;
    }
    struct kv_permissions *list = &role.permissions;
    for (size_t i = 0; i < list->count; i++) {
        if (!is_same(&list->items[i], revoke->key, revoke->range_end)) {
            list->items[kept++] = list->items[i];
        }
    }
    if (kept == list->count) {
        change->error = KV_E_PERMISSION_NOT_GRANTED;
        return 0;
    }
    list->count = kept;
    counted(change);
    return kv_role_write(change->txn, change->scratch, revoke->role, &role);
}

/* --- form --- */

static bool is_name(struct slice name)
{
    return name.len <= KV_AUTH_NAME_MAX;
}

enum kv_error kv_auth_check(const struct kv_request *request)
{
    bool fits = true;
    switch (request->kind) {
    case KV_KIND_AUTHENTICATE:
        fits = is_name(request->authenticate.name);
        break;
    case KV_KIND_USER_ADD:
        fits = is_name(request->user_add.name) &&
               request->user_add.hashed_password.len <= KV_AUTH_HASH_MAX;
        break;
    case KV_KIND_USER_PASSWORD:
        fits = is_name(request->user_password.name) &&
               request->user_password.hashed_password.len <= KV_AUTH_HASH_MAX;
        break;
    case KV_KIND_USER_GRANT:
    case KV_KIND_USER_REVOKE:
        fits = is_name(request->user_role.user) && is_name(request->user_role.role);
        break;
    case KV_KIND_ROLE_GRANT:
        fits = is_name(request->role_grant.name) &&
               request->role_grant.permission.key.len <= KV_KEY_MAX &&
               request->role_grant.permission.range_end.len <= KV_KEY_MAX;
        break;
    case KV_KIND_ROLE_REVOKE:
        fits = is_name(request->role_revoke.role);
        break;
    case KV_KIND_USER_DELETE:
    case KV_KIND_USER_GET:
    case KV_KIND_ROLE_ADD:
    case KV_KIND_ROLE_DELETE:
    case KV_KIND_ROLE_GET:
        fits = is_name(request->name.name);
        break;
    default:
        break;
    }
    return fits ? KV_OK : KV_E_REQUEST_TOO_LARGE;
}

/* --- applying --- */

static int change_run(struct change *change)
{
    switch (change->request->kind) {
    case KV_KIND_AUTH_ENABLE:
        return auth_enable(change);
    case KV_KIND_AUTH_DISABLE:
        return auth_disable(change);
    case KV_KIND_AUTHENTICATE:
        return authenticate(change);
    case KV_KIND_USER_ADD:
        return user_add(change);
    case KV_KIND_USER_DELETE:
        return user_delete(change);
    case KV_KIND_USER_PASSWORD:
        return user_password(change);
    case KV_KIND_USER_GRANT:
        return user_grant(change);
    case KV_KIND_USER_REVOKE:
        return user_revoke(change);
    case KV_KIND_ROLE_ADD:
        return role_add(change);
    case KV_KIND_ROLE_DELETE:
        return role_delete(change);
    case KV_KIND_ROLE_GRANT:
        return role_grant(change);
    case KV_KIND_ROLE_REVOKE:
        return role_revoke(change);
    default:
        change->error = KV_E_MALFORMED;
        return 0;
    }
}

static int change_end(struct change *change)
{
    BASE_ASSERT(BASE_IMPLIES(change->error != KV_OK, !change->is_moved));
    change->config.revision += change->is_counted;
    change->config.generation += change->is_moved;
    return change->is_moved ? kv_auth_config_write(change->txn, change->scratch, &change->config)
                            : 0;
}

int kv_auth_apply(struct store_txn *txn, struct kv_scratch *scratch,
                  const struct kv_request *request, struct kv_outcome *ret)
{
    struct kv_outcome outcome = {.error = KV_OK};
    struct change change = {
        .txn = txn, .scratch = scratch, .request = request, .error = kv_auth_check(request)};
    int rc = kv_core_revision(txn, &outcome.revision);
    rc = rc != 0 ? rc : kv_auth_config_read(txn, &change.config);
    if (rc == 0 && change.error == KV_OK) {
        rc = change_run(&change);
    }
    rc = rc != 0 ? rc : change_end(&change);
    if (rc != 0) {
        return rc;
    }
    outcome.error = change.error;
    if (outcome.error == KV_OK) {
        struct kv_header header = {.revision = outcome.revision};
        outcome.response.kind = request->kind;
        if (request->kind == KV_KIND_AUTHENTICATE) {
            outcome.response.authenticate = (struct kv_authenticate_response){
                .has_header = true, .header = header, .token = request->authenticate.token};
        } else {
            outcome.response.header_only =
                (struct kv_header_response){.has_header = true, .header = header};
        }
    }
    *ret = outcome;
    return 0;
}
