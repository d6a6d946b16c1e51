/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of requests that need no store; see check.h. */
#include "kv/core/check.h"

#include "kv/core/alarm.h"
#include "kv/core/auth.h"
#include "kv/core/rows.h"
#include "kv/core/view.h"

#define NO_PARENT UINT32_MAX

static bool is_reserved(struct slice key)
{
    return slice_has_prefix(key, SLICE_LIT(KV_RESERVED_PREFIX));
}

static enum kv_error check_range(const struct kv_range *range)
{
    if (range->key.len == 0) {
        return KV_E_KEY_NOT_PROVIDED;
    }
    if (range->sort_target < KV_SORT_KEY || range->sort_target > KV_SORT_VALUE) {
        return KV_E_INVALID_SORT;
    }
    return KV_OK;
}

static enum kv_error check_put(const struct kv_put *put)
{
    if (put->key.len == 0) {
        return KV_E_KEY_NOT_PROVIDED;
    }
    if (put->is_ignore_value && put->value.len > 0) {
        return KV_E_VALUE_PROVIDED;
    }
    if (put->is_ignore_lease && put->lease != 0) {
        return KV_E_LEASE_PROVIDED;
    }
    if (!kv_key_fits(put->key) || put->value.len > KV_REQUEST_MAX) {
        return KV_E_REQUEST_TOO_LARGE;
    }
    return is_reserved(put->key) ? KV_E_PERMISSION_DENIED : KV_OK;
}

static enum kv_error check_delete(const struct kv_delete *delete_range)
{
    static const uint8_t prefix[] = KV_RESERVED_PREFIX;
    static const uint8_t behind[] = "/quorate0"; /* '0' follows '/' */
    struct kv_interval reserved = {slice_from(prefix, sizeof(prefix) - 1),
                                   slice_from(behind, sizeof(behind) - 1)};
    if (delete_range->key.len == 0) {
        return KV_E_KEY_NOT_PROVIDED;
    }
    struct kv_interval interval = {delete_range->key, delete_range->range_end};
    return kv_interval_overlaps(interval, reserved) ? KV_E_PERMISSION_DENIED : KV_OK;
}

static enum kv_error check_compares(const struct kv_compares *compares)
{
    for (size_t i = 0; i < compares->count; i++) {
        const struct kv_compare *compare = &compares->items[i];
        if (compare->key.len == 0) {
            return KV_E_KEY_NOT_PROVIDED;
        }
    }
    return KV_OK;
}

/* --- transactions, flattened: parents stand before their children --- */

struct flat {
    const struct kv_op *op;
    uint32_t parent; /* place of the enclosing transaction's operation, or NO_PARENT */
    uint32_t at;     /* which operation of its branch */
    bool is_else;
};

struct tree {
    size_t count;
    size_t compares; /* of all levels; bounded as the operations are */
    struct flat ops[KV_TXN_TOTAL_MAX];
};

static enum kv_error check_op(const struct kv_op *op)
{
    switch (op->kind) {
    case KV_OP_RANGE:
        return check_range(&op->range);
    case KV_OP_PUT:
        return check_put(&op->put);
    case KV_OP_DELETE:
        return check_delete(&op->delete_range);
    case KV_OP_TXN:
        return check_compares(&op->txn.compares);
    default:
        return KV_E_KEY_NOT_FOUND; /* what etcd says of an empty operation */
    }
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* The operations that one level takes from its budget. */
static size_t level_size(const struct kv_txn *txn)
{
    return larger(txn->compares.count, larger(txn->then_ops.count, txn->else_ops.count));
}

static enum kv_error flatten_branch(struct tree *tree, const struct kv_ops *ops, uint32_t parent,
                                    bool is_else)
{
    for (size_t i = 0; i < ops->count; i++) {
        if (tree->count == KV_TXN_TOTAL_MAX) {
            return KV_E_TOO_MANY_OPS;
        }
        tree->ops[tree->count++] = (struct flat){&ops->items[i], parent, (uint32_t)i, is_else};
        if (ops->items[i].kind == KV_OP_TXN) {
            tree->compares += ops->items[i].txn.compares.count;
            if (tree->compares > KV_TXN_TOTAL_MAX) {
                return KV_E_TOO_MANY_OPS;
            }
        }
        enum kv_error error = check_op(&ops->items[i]);
        if (error != KV_OK) {
            return error;
        }
    }
    return KV_OK;
}

/* Whether the levels from this transaction up fit into the budget and the depth. */
static bool fits_budget(const struct tree *tree, const struct kv_txn *root, uint32_t at)
{
    size_t used = level_size(root);
    unsigned depth = 1;
    while (at != NO_PARENT) {
        used += level_size(&tree->ops[at].op->txn);
        depth++;
        at = tree->ops[at].parent;
    }
    return used <= KV_TXN_OPS_MAX && depth <= KV_TXN_DEPTH_MAX;
}

static enum kv_error flatten(struct tree *tree, const struct kv_txn *root)
{
    enum kv_error error =
        fits_budget(tree, root, NO_PARENT) ? check_compares(&root->compares) : KV_E_TOO_MANY_OPS;
    const struct kv_txn *txn = root;
    uint32_t parent = NO_PARENT;
    size_t next = 0; /* next place to look for a transaction whose operations are not listed yet */
    while (error == KV_OK && txn != NULL) {
        error = flatten_branch(tree, &txn->then_ops, parent, false);
        if (error == KV_OK) {
            error = flatten_branch(tree, &txn->else_ops, parent, true);
        }
        txn = NULL;
        for (; error == KV_OK && txn == NULL && next < tree->count; next++) {
            if (tree->ops[next].op->kind == KV_OP_TXN) {
                parent = (uint32_t)next;
                txn = &tree->ops[next].op->txn;
            }
        }
        if (txn != NULL && !fits_budget(tree, root, parent)) {
            error = KV_E_TOO_MANY_OPS;
        }
    }
    return error;
}

static unsigned depth_of(const struct tree *tree, uint32_t at)
{
    unsigned depth = 0;
    for (; tree->ops[at].parent != NO_PARENT; at = tree->ops[at].parent) {
        depth++;
    }
    return depth;
}

/* Where the ways down to two operations part. */
struct fork {
    uint32_t
        a; /* the two operations, or their enclosing transactions, on the level where they part */
    uint32_t b;
};

static struct fork fork_of(const struct tree *tree, uint32_t a, uint32_t b)
{
    unsigned depth_a = depth_of(tree, a);
    unsigned depth_b = depth_of(tree, b);
    while (depth_a > depth_b || depth_b > depth_a) {
        if (depth_a > depth_b) {
            a = tree->ops[a].parent;
            depth_a--;
        } else {
            b = tree->ops[b].parent;
            depth_b--;
        }
    }
    while (tree->ops[a].parent != tree->ops[b].parent) {
        a = tree->ops[a].parent;
        b = tree->ops[b].parent;
    }
    return (struct fork){a, b};
}

/* A put and another change that both may run and touch one key. As etcd does it, a delete in a
 * later nested transaction may take away what an earlier nested one has put. */
static bool collides(const struct tree *tree, uint32_t put, uint32_t other)
{
    const struct kv_op *a = tree->ops[put].op;
    const struct kv_op *b = tree->ops[other].op;
    bool is_put = b->kind == KV_OP_PUT;
    if (is_put
            ? !slice_equal(a->put.key, b->put.key)
            : !kv_interval_has((struct kv_interval){b->delete_range.key, b->delete_range.range_end},
                               a->put.key)) {
        return false;
    }
    struct fork fork = fork_of(tree, put, other);
    if (tree->ops[fork.a].is_else != tree->ops[fork.b].is_else) {
        return false;
    }
    bool are_nested = fork.a != put && fork.b != other;
    return is_put || !are_nested || tree->ops[fork.b].at < tree->ops[fork.a].at;
}

static enum kv_error check_overlaps(const struct tree *tree)
{
    for (uint32_t i = 0; i < tree->count; i++) {
        if (tree->ops[i].op->kind != KV_OP_PUT) {
            continue;
        }
        for (uint32_t j = 0; j < tree->count; j++) {
            uint32_t kind = tree->ops[j].op->kind;
            bool is_change = (kind == KV_OP_PUT && j > i) || kind == KV_OP_DELETE;
            if (is_change && collides(tree, i, j)) {
                return KV_E_DUPLICATE_KEY;
            }
        }
    }
    return KV_OK;
}

static enum kv_error check_txn(const struct kv_txn *txn)
{
    struct tree tree;
    tree.count = 0;
    tree.compares = txn->compares.count;
    enum kv_error error = flatten(&tree, txn);
    return error == KV_OK ? check_overlaps(&tree) : error;
}

static enum kv_error check_alarm(const struct kv_alarm *alarm)
{
    bool is_known = alarm->action >= KV_ALARM_GET && alarm->action <= KV_ALARM_DEACTIVATE &&
                    alarm->alarm >= KV_ALARM_NONE && alarm->alarm <= KV_ALARM_CORRUPT;
    return is_known ? KV_OK : KV_E_MALFORMED;
}

static bool is_known(uint32_t kind)
{
    switch (kind) {
#define IS_KNOWN(name, number, m, s, rm, rs) case KV_KIND_##name:
        KV_KINDS(IS_KNOWN)
#undef IS_KNOWN
        return true;
    default:
        return false;
    }
}

enum kv_error kv_check_request(const struct kv_request *request)
{
    switch (request->kind) {
    case KV_KIND_RANGE:
        return check_range(&request->range);
    case KV_KIND_PUT:
        return check_put(&request->put);
    case KV_KIND_DELETE:
        return check_delete(&request->delete_range);
    case KV_KIND_TXN:
        return check_txn(&request->txn);
    case KV_KIND_LEASE_GRANT:
        return request->lease_grant.ttl > KV_LEASE_TTL_MAX ? KV_E_TTL_TOO_LARGE : KV_OK;
    case KV_KIND_ALARM:
        return check_alarm(&request->alarm);
    case KV_KIND_HASH_KV:
        return request->hash_kv.revision < 0 ? KV_E_NEGATIVE_REVISION : KV_OK;
    case KV_KIND_NONE:
    case KV_KIND_SWAP:
        return KV_E_MALFORMED;
    default:
        return is_known(request->kind) ? kv_auth_check(request) : KV_E_MALFORMED;
    }
}

static bool goes_on(const struct kv_swap *swap)
{
    return swap->new_epoch != 0 && swap->new_epoch >= swap->expect_epoch &&
           (swap->new_epoch > swap->expect_epoch || swap->new_revision > swap->expect_revision);
}

bool kv_swap_is_removal(const struct kv_swap *swap)
{
    return swap->expect_epoch != 0 && swap->new_epoch == 0 && swap->new_revision == 0 &&
           swap->blob.len == 0;
}

enum kv_error kv_check_swap(const struct kv_swap *swap)
{
    size_t bytes = swap->blob.len;
    if (swap->name.len == 0 || swap->name.len > KV_SWAP_NAME_MAX || swap->term == 0 ||
        !(kv_swap_is_removal(swap) || goes_on(swap))) {
        return KV_E_MALFORMED;
    }
    for (size_t i = 0; i < swap->puts.count; i++) {
        const struct kv_swap_put *put = &swap->puts.items[i];
        bool has_end = put->is_delete && put->value.len > 0;
        bytes += put->key.len + put->value.len;
        if (!is_reserved(put->key) || !kv_key_fits(put->key) ||
            (has_end && (!is_reserved(put->value) || !kv_key_fits(put->value)))) {
            return KV_E_MALFORMED;
        }
    }
    bool is_large = swap->blob.len > KV_SWAP_BLOB_MAX || swap->puts.count > KV_SWAP_PUTS_MAX ||
                    bytes > KV_REQUEST_MAX;
    return is_large ? KV_E_REQUEST_TOO_LARGE : KV_OK;
}

bool kv_kind_changes_auth(uint32_t kind)
{
    return (kind >= KV_KIND_AUTH_ENABLE && kind <= KV_KIND_ROLE_ADD) ||
           (kind >= KV_KIND_ROLE_DELETE && kind <= KV_KIND_ROLE_REVOKE);
}

static bool has_op(const struct kv_ops *ops, bool is_other_than_range)
{
    for (size_t i = 0; i < ops->count; i++) {
        const struct kv_op *op = &ops->items[i];
        if (is_other_than_range ? op->kind != KV_OP_RANGE : !op->range.is_serializable) {
            return true;
        }
    }
    return false;
}

bool kv_request_is_read(const struct kv_request *request)
{
    if (request->kind == KV_KIND_TXN) {
        return !has_op(&request->txn.then_ops, true) && !has_op(&request->txn.else_ops, true);
    }
    return request->kind == KV_KIND_RANGE ||
           (request->kind == KV_KIND_ALARM && request->alarm.action == KV_ALARM_GET);
}

bool kv_request_is_serializable(const struct kv_request *request)
{
    if (request->kind == KV_KIND_TXN) {
        /* One that only compares says nothing about it: it takes the stronger answer. */
        return request->txn.then_ops.count + request->txn.else_ops.count > 0 &&
               !has_op(&request->txn.then_ops, false) && !has_op(&request->txn.else_ops, false);
    }
    return request->kind == KV_KIND_RANGE && request->range.is_serializable;
}

bool kv_request_has_put(const struct kv_request *request)
{
    /* A transaction with a nested one counts as putting: it is not worth a walk. */
    if (request->kind != KV_KIND_TXN) {
        return request->kind == KV_KIND_PUT || request->kind == KV_KIND_LEASE_GRANT;
    }
    const struct kv_ops *branches[] = {&request->txn.then_ops, &request->txn.else_ops};
    for (size_t b = 0; b < BASE_COUNT_OF(branches); b++) {
        for (size_t i = 0; i < branches[b]->count; i++) {
            uint32_t kind = branches[b]->items[i].kind;
            if (kind == KV_OP_PUT || kind == KV_OP_TXN) {
                return true;
            }
        }
    }
    return false;
}
