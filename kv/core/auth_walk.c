/* SPDX-License-Identifier: Apache-2.0 */
/* Grants and the walk; see auth_walk.h. */
#include "kv/core/auth_walk.h"

#include <string.h>

#include "base/assert.h"

#define TYPE_READ 0
#define TYPE_WRITE 1
#define TYPE_BOTH 2

/* --- spans --- */

static bool is_from_key(struct slice end)
{
    return end.len == 1 && end.data[0] == 0;
}

static int span_order(const struct kv_span *a, const struct kv_span *b)
{
    return slice_compare(a->begin, b->begin);
}

static void sift(struct kv_span *items, size_t at, size_t count)
{
    for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && span_order(&items[child], &items[child + 1]) < 0) {
            child++;
        }
        if (span_order(&items[at], &items[child]) >= 0) {
            return;
        }
        struct kv_span held = items[at];
        items[at] = items[child];
        items[child] = held;
        at = child;
    }
}

/* Heap sort: in place, and no input makes it slow. */
static void spans_sort(struct kv_spans *spans)
{
    for (size_t i = spans->count / 2; i > 0; i--) {
        sift(spans->items, i - 1, spans->count);
    }
    for (size_t left = spans->count; left > 1; left--) {
        struct kv_span held = spans->items[0];
        spans->items[0] = spans->items[left - 1];
        spans->items[left - 1] = held;
        sift(spans->items, 0, left - 1);
    }
}

static void spans_merge(struct kv_spans *spans)
{
    size_t kept = 0;
    spans_sort(spans);
    for (size_t i = 0; i < spans->count; i++) {
        const struct kv_span *next = &spans->items[i];
        struct kv_span *last = kept == 0 ? NULL : &spans->items[kept - 1];
        if (last == NULL || (!last->is_open && slice_compare(last->end, next->begin) < 0)) {
            spans->items[kept++] = *next;
        } else if (!last->is_open && (next->is_open || slice_compare(last->end, next->end) < 0)) {
            last->end = next->end;
            last->is_open = next->is_open;
        }
    }
    spans->count = kept;
}

/* BASE_E_RANGE: no key at all lies in it. */
static int span_of(struct base_arena *arena, const struct kv_permission *permission,
                   struct kv_span *ret)
{
    struct kv_span span = {permission->key, permission->range_end, false};
    if (is_from_key(permission->range_end)) {
        span.is_open = true;
    } else if (permission->range_end.len == 0) { /* one key: up to the one that follows it */
        uint8_t *bytes = base_arena_take(arena, permission->key.len + 1, 1);
        if (bytes == NULL) {
            return BASE_E_TOOBIG;
        }
        if (permission->key.len > 0) {
            memcpy(bytes, permission->key.data, permission->key.len);
        }
        span.end = slice_from(bytes, permission->key.len + 1);
    } else if (slice_compare(permission->range_end, permission->key) <= 0) {
        return BASE_E_RANGE;
    }
    *ret = span;
    return 0;
}

static int grants_add(struct base_arena *arena, const struct kv_permission *permission,
                      struct kv_grants *grants)
{
    struct kv_span span;
    int rc = span_of(arena, permission, &span);
    if (rc != 0) {
        return rc == BASE_E_RANGE ? 0 : rc;
    }
    if (permission->type == TYPE_READ || permission->type == TYPE_BOTH) {
        grants->reads.items[grants->reads.count++] = span;
    }
    if (permission->type == TYPE_WRITE || permission->type == TYPE_BOTH) {
        grants->writes.items[grants->writes.count++] = span;
    }
    return 0;
}

int kv_grants_build(struct base_arena *arena, const struct kv_role *roles, size_t count,
                    struct kv_grants *ret)
{
    size_t total = 0;
    int rc = 0;
    struct kv_grants grants = *ret;
    for (size_t i = 0; i < count; i++) {
        total += roles[i].permissions.count;
    }
    grants.reads = (struct kv_spans){base_arena_take(arena, total, sizeof(struct kv_span)), 0};
    grants.writes = (struct kv_spans){base_arena_take(arena, total, sizeof(struct kv_span)), 0};
    if (total > 0 && (grants.reads.items == NULL || grants.writes.items == NULL)) {
        return BASE_E_TOOBIG;
    }
    for (size_t i = 0; i < count && rc == 0; i++) {
        for (size_t j = 0; j < roles[i].permissions.count && rc == 0; j++) {
            rc = grants_add(arena, &roles[i].permissions.items[j], &grants);
        }
    }
    if (rc == 0) {
        spans_merge(&grants.reads);
        spans_merge(&grants.writes);
        *ret = grants;
    }
    return rc;
}

int kv_grants_read(struct store_txn *txn, struct base_arena *arena, struct slice user,
                   struct kv_grants *ret)
{
    struct kv_grants grants = {.user = user};
    struct kv_user row;
    struct kv_role roles[KV_AUTH_ROLES_MAX];
    size_t count = 0;
    int rc = kv_user_read(txn, arena, user, &row);
    if (rc != 0) {
        return rc;
    }
    grants.roles = row.roles;
    for (size_t i = 0; i < row.roles.count; i++) {
        grants.is_root |= slice_equal(row.roles.items[i], SLICE_LIT(KV_AUTH_ROOT));
        rc = kv_role_read(txn, arena, row.roles.items[i], &roles[count]);
        if (rc != 0 && rc != BASE_E_NOTFOUND) {
            return rc;
        }
        count += rc == 0;
    }
    rc = kv_grants_build(arena, roles, count, &grants);
    if (rc == 0) {
        *ret = grants;
    }
    return rc;
}

/* The last span that does not begin behind the key. */
static const struct kv_span *span_at(const struct kv_spans *spans, struct slice key)
{
    size_t low = 0;
    size_t high = spans->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (slice_compare(spans->items[middle].begin, key) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? NULL : &spans->items[low - 1];
}

bool kv_spans_have(const struct kv_spans *spans, struct kv_interval interval)
{
    const struct kv_span *span = span_at(spans, interval.key);
    if (span == NULL || (!span->is_open && slice_compare(interval.key, span->end) >= 0)) {
        return false;
    }
    if (span->is_open || interval.end.len == 0) {
        return true;
    }
    return !is_from_key(interval.end) && slice_compare(interval.end, span->end) <= 0;
}

/* --- operations --- */

static bool may_read(const struct kv_grants *grants, struct slice key, struct slice end)
{
    return grants->is_root || kv_spans_have(&grants->reads, (struct kv_interval){key, end});
}

static bool may_write(const struct kv_grants *grants, struct slice key, struct slice end)
{
    return grants->is_root || kv_spans_have(&grants->writes, (struct kv_interval){key, end});
}

static bool may_put(const struct kv_grants *grants, const struct kv_put *put)
{
    return may_write(grants, put->key, SLICE_EMPTY) &&
           (!put->is_prev_kv || may_read(grants, put->key, SLICE_EMPTY));
}

static bool may_delete(const struct kv_grants *grants, const struct kv_delete *gone)
{
    return may_write(grants, gone->key, gone->range_end) &&
           (!gone->is_prev_kv || may_read(grants, gone->key, gone->range_end));
}

static bool may_compare(const struct kv_grants *grants, const struct kv_compares *compares)
{
    for (size_t i = 0; i < compares->count; i++) {
        if (!may_read(grants, compares->items[i].key, compares->items[i].range_end)) {
            return false;
        }
    }
    return true;
}

static bool may_op(const struct kv_grants *grants, const struct kv_op *op)
{
    switch (op->kind) {
    case KV_OP_RANGE:
        return may_read(grants, op->range.key, op->range.range_end);
    case KV_OP_PUT:
        return may_put(grants, &op->put);
    case KV_OP_DELETE:
        return may_delete(grants, &op->delete_range);
    case KV_OP_TXN:
        return may_compare(grants, &op->txn.compares);
    default:
        return false;
    }
}

void kv_txn_walk_begin(struct kv_txn_walk *walk, const struct kv_txn *txn)
{
    walk->depth = 1;
    walk->is_too_deep = false;
    walk->levels[0].txn = txn;
    walk->levels[0].at = 0;
}

const struct kv_op *kv_txn_walk_next(struct kv_txn_walk *walk)
{
    while (walk->depth > 0) {
        const struct kv_txn *txn = walk->levels[walk->depth - 1].txn;
        size_t at = walk->levels[walk->depth - 1].at++;
        const struct kv_op *op = NULL;
        if (at < txn->then_ops.count) {
            op = &txn->then_ops.items[at];
        } else if (at - txn->then_ops.count < txn->else_ops.count) {
            op = &txn->else_ops.items[at - txn->then_ops.count];
        } else {
            walk->depth--;
            continue;
        }
        if (op->kind == KV_OP_TXN && walk->depth == KV_TXN_DEPTH_MAX) {
            walk->is_too_deep = true;
        } else if (op->kind == KV_OP_TXN) {
            walk->levels[walk->depth].txn = &op->txn;
            walk->levels[walk->depth++].at = 0;
        }
        return op;
    }
    return NULL;
}

static bool may_txn(const struct kv_grants *grants, const struct kv_txn *txn)
{
    struct kv_txn_walk walk;
    const struct kv_op *op = NULL;
    if (!may_compare(grants, &txn->compares)) {
        return false;
    }
    kv_txn_walk_begin(&walk, txn);
    while ((op = kv_txn_walk_next(&walk)) != NULL) {
        if (!may_op(grants, op)) {
            return false;
        }
    }
    return !walk.is_too_deep;
}

/* --- rules --- */

enum rule {
    RULE_NOBODY,   /* the nodes' own */
    RULE_OPEN,     /* who got this far, also without a user */
    RULE_USER,     /* any user */
    RULE_ROOT,     /* users with the role root */
    RULE_ROOT_RAW, /* the same, with the words that etcd has for it */
    RULE_KEYS,     /* by keys */
    RULE_OWN_NAME, /* root, or who asks for himself */
    RULE_OWN_ROLE, /* root, or who has the role */
};

/* etcd's table, with the holes closed that it had: compaction, alarms, hashes, lease lists. STATUS
 * and MEMBER_LIST are what clients ask before they log in (and the certificate stands before them);
 * of leases anybody with a name may make and keep some, what hangs on them is looked at when it is
 * changed. */
#define RULE_RANGE RULE_KEYS
#define RULE_PUT RULE_KEYS
#define RULE_DELETE RULE_KEYS
#define RULE_TXN RULE_KEYS
#define RULE_SWAP RULE_NOBODY
#define RULE_COMPACT RULE_ROOT
#define RULE_LEASE_GRANT RULE_USER
#define RULE_LEASE_REVOKE RULE_USER
#define RULE_LEASE_CHECKPOINT RULE_NOBODY
#define RULE_ALARM RULE_ROOT
#define RULE_AUTH_ENABLE RULE_ROOT
#define RULE_AUTH_DISABLE RULE_ROOT
#define RULE_AUTHENTICATE RULE_OPEN
#define RULE_USER_ADD RULE_ROOT
#define RULE_USER_DELETE RULE_ROOT
#define RULE_USER_PASSWORD RULE_ROOT
#define RULE_USER_GRANT RULE_ROOT
#define RULE_USER_REVOKE RULE_ROOT
#define RULE_ROLE_ADD RULE_ROOT
#define RULE_ROLE_DELETE RULE_ROOT
#define RULE_ROLE_GRANT RULE_ROOT
#define RULE_ROLE_REVOKE RULE_ROOT
#define RULE_STATUS RULE_OPEN
#define RULE_MEMBER_LIST RULE_OPEN
#define RULE_LEASE_KEEP_ALIVE RULE_USER
#define RULE_LEASE_TTL RULE_USER
#define RULE_LEASE_LEASES RULE_USER
#define RULE_HASH RULE_ROOT_RAW
#define RULE_HASH_KV RULE_ROOT
#define RULE_DEFRAGMENT RULE_ROOT_RAW
#define RULE_MOVE_LEADER RULE_ROOT
#define RULE_MEMBER_ADD RULE_ROOT
#define RULE_MEMBER_REMOVE RULE_ROOT
#define RULE_MEMBER_UPDATE RULE_ROOT
#define RULE_MEMBER_PROMOTE RULE_ROOT
#define RULE_AUTH_STATUS RULE_ROOT
#define RULE_USER_GET RULE_OWN_NAME
#define RULE_USER_LIST RULE_ROOT
#define RULE_ROLE_GET RULE_OWN_ROLE
#define RULE_ROLE_LIST RULE_ROOT

static enum rule rule_of(uint32_t kind)
{
    switch (kind) {
#define RULE_CASE(name, number, m, s, rm, rs) \
    case number: \
        return RULE_##name;
        KV_KINDS(RULE_CASE)
#undef RULE_CASE
    default:
        return RULE_NOBODY;
    }
}

static bool may_by_keys(const struct kv_grants *grants, const struct kv_request *request)
{
    switch (request->kind) {
    case KV_KIND_RANGE:
        return may_read(grants, request->range.key, request->range.range_end);
    case KV_KIND_PUT:
        return may_put(grants, &request->put);
    case KV_KIND_DELETE:
        return may_delete(grants, &request->delete_range);
    case KV_KIND_TXN:
        return may_txn(grants, &request->txn);
    default:
        return false;
    }
}

static bool has_role(const struct kv_grants *grants, struct slice role)
{
    for (size_t i = 0; i < grants->roles.count; i++) {
        if (slice_equal(grants->roles.items[i], role)) {
            return true;
        }
    }
    return false;
}

static bool may(const struct kv_grants *grants, const struct kv_request *request, enum rule rule)
{
    switch (rule) {
    case RULE_OPEN:
    case RULE_USER:
        return true;
    case RULE_ROOT:
    case RULE_ROOT_RAW:
        return grants->is_root;
    case RULE_KEYS:
        return may_by_keys(grants, request);
    case RULE_OWN_NAME:
        return grants->is_root || slice_equal(request->name.name, grants->user);
    case RULE_OWN_ROLE:
        return grants->is_root || has_role(grants, request->name.name);
    case RULE_NOBODY:
        break;
    }
    return false;
}

enum kv_error kv_auth_walk(const struct kv_grants *grants, const struct kv_request *request)
{
    enum rule rule = rule_of(request->kind);
    if (grants == NULL && rule != RULE_OPEN) {
        return rule == RULE_ROOT_RAW ? KV_E_MAINTENANCE_NO_USER : KV_E_USER_EMPTY;
    }
    if (grants == NULL || may(grants, request, rule)) {
        return KV_OK;
    }
    return rule == RULE_ROOT_RAW ? KV_E_MAINTENANCE_DENIED : KV_E_PERMISSION_DENIED;
}

enum kv_error kv_auth_walk_watch(const struct kv_grants *grants,
                                 const struct kv_watch_create *create)
{
    /* No key at all means "\0"; an end of "\0" opens the interval and is not one key. */
    struct slice key = create->key.len == 0 ? slice_from("\0", 1) : create->key;
    if (grants == NULL) {
        return KV_E_USER_EMPTY;
    }
    return may_read(grants, key, create->range_end) ? KV_OK : KV_E_PERMISSION_DENIED;
}

enum kv_error kv_auth_walk_admin(const struct kv_grants *grants)
{
    if (grants == NULL) {
        return KV_E_USER_EMPTY;
    }
    return grants->is_root ? KV_OK : KV_E_PERMISSION_DENIED;
}
