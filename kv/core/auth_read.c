/* SPDX-License-Identifier: Apache-2.0 */
/* Users and roles: what requests read of them; see auth.h. */
#include "base/arena.h"
#include "kv/core/auth.h"
#include "kv/core/auth_rows.h"

struct listing {
    struct base_arena *arena;
    struct kv_texts names;
    size_t room; /* 0: counting */
    bool is_cut;
};

static int listing_name(void *ctx, struct slice name, struct slice row)
{
    struct listing *listing = ctx;
    (void)row;
    if (listing->room == 0) {
        listing->names.count++;
        return 0;
    }
    struct slice *to = &listing->names.items[listing->names.count++];
    listing->is_cut |= base_arena_copy(listing->arena, name, to) != 0;
    return listing->is_cut;
}

static int list_names(struct store_txn *txn, struct kv_scratch *scratch, bool is_users,
                      struct kv_outcome *outcome)
{
    struct listing listing = {.arena = &scratch->arena};
    int rc = is_users ? kv_users_each(txn, SLICE_EMPTY, listing_name, &listing)
                      : kv_roles_each(txn, SLICE_EMPTY, listing_name, &listing);
    listing.room = listing.names.count;
    listing.names.count = 0;
    listing.names.items = base_arena_take(&scratch->arena, listing.room, sizeof(struct slice));
    listing.is_cut = listing.room > 0 && listing.names.items == NULL;
    if (rc == 0 && listing.room > 0 && !listing.is_cut) {
        rc = is_users ? kv_users_each(txn, SLICE_EMPTY, listing_name, &listing)
                      : kv_roles_each(txn, SLICE_EMPTY, listing_name, &listing);
    }
    outcome->is_cut = listing.is_cut;
    outcome->response.names.names = listing.names;
    return rc;
}

static int read_user(struct store_txn *txn, struct kv_scratch *scratch, struct slice name,
                     struct kv_outcome *outcome)
{
    struct kv_user user = {0};
    int rc = kv_user_read(txn, &scratch->arena, name, &user);
    if (rc == BASE_E_NOTFOUND) {
        outcome->error = KV_E_USER_NOT_FOUND;
        return 0;
    }
    outcome->response.names.names = user.roles;
    return rc;
}

static int read_role(struct store_txn *txn, struct kv_scratch *scratch, struct slice name,
                     struct kv_outcome *outcome)
{
    struct kv_role role = {0};
    int rc = kv_role_read(txn, &scratch->arena, name, &role);
    if (rc == BASE_E_NOTFOUND) {
        outcome->error = KV_E_ROLE_NOT_FOUND;
        return 0;
    }
    outcome->response.role_get.permissions = role.permissions;
    return rc;
}

static int read_status(struct store_txn *txn, struct kv_outcome *outcome)
{
    struct kv_auth_config config = {0};
    int rc = kv_auth_config_read(txn, &config);
    outcome->response.auth_status.is_enabled = config.is_enabled;
    outcome->response.auth_status.auth_revision = config.revision;
    return rc;
}

static int read_any(struct store_txn *txn, struct kv_scratch *scratch,
                    const struct kv_request *request, struct kv_outcome *outcome)
{
    switch (request->kind) {
    case KV_KIND_AUTH_STATUS:
        return read_status(txn, outcome);
    case KV_KIND_USER_GET:
        return read_user(txn, scratch, request->name.name, outcome);
    case KV_KIND_ROLE_GET:
        return read_role(txn, scratch, request->name.name, outcome);
    case KV_KIND_USER_LIST:
        return list_names(txn, scratch, true, outcome);
    case KV_KIND_ROLE_LIST:
        return list_names(txn, scratch, false, outcome);
    default:
        outcome->error = KV_E_MALFORMED;
        return 0;
    }
}

int kv_auth_read(struct store_txn *txn, struct kv_scratch *scratch,
                 const struct kv_request *request, struct kv_outcome *ret)
{
    struct kv_outcome outcome = {.error = kv_auth_check(request)};
    int rc = kv_core_revision(txn, &outcome.revision);
    if (rc == 0 && outcome.error == KV_OK) {
        rc = read_any(txn, scratch, request, &outcome);
    }
    if (rc != 0) {
        return rc;
    }
    if (outcome.error == KV_OK) {
        struct kv_header header = {.revision = outcome.revision};
        outcome.response.kind = request->kind;
        switch (request->kind) {
        case KV_KIND_AUTH_STATUS:
            outcome.response.auth_status.has_header = true;
            outcome.response.auth_status.header = header;
            break;
        case KV_KIND_ROLE_GET:
            outcome.response.role_get.has_header = true;
            outcome.response.role_get.header = header;
            break;
        default:
            outcome.response.names.has_header = true;
            outcome.response.names.header = header;
            break;
        }
    }
    *ret = outcome;
    return 0;
}

int kv_auth_revision(struct store_txn *txn, uint64_t *ret)
{
    struct kv_auth_config config;
    int rc = kv_auth_config_read(txn, &config);
    if (rc == 0) {
        *ret = config.is_enabled ? config.generation : 0;
    }
    return rc;
}
