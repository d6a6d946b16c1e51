/* SPDX-License-Identifier: Apache-2.0 */
/* Compares, choice of branches and execution of transactions; see txn.h.
 *
 * The tree of nested transactions is walked with a stack of its own, in the same order each time,
 * so that the decision of each transaction can be looked up by its number along the chosen way.
 */
#include "kv/core/txn.h"

#include "base/assert.h"
#include "base/canary.h"
#include "kv/core/check.h"
#include "kv/core/compact.h"
#include "kv/core/mvcc.h"
#include "kv/core/range.h"

/* --- compares --- */

static int order_of(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static int64_t number_if(const struct kv_compare *compare, uint32_t which)
{
    return compare->which == which ? compare->number : 0;
}

static int compare_order(const struct kv_compare *compare, const struct kv_pair *pair)
{
    switch (compare->target) {
    case KV_TARGET_VERSION:
        return order_of(pair->version, number_if(compare, KV_COMPARE_VERSION));
    case KV_TARGET_CREATE:
        return order_of(pair->create_revision, number_if(compare, KV_COMPARE_CREATE));
    case KV_TARGET_MOD:
        return order_of(pair->mod_revision, number_if(compare, KV_COMPARE_MOD));
    case KV_TARGET_LEASE:
        return order_of(pair->lease, number_if(compare, KV_COMPARE_LEASE));
    case KV_TARGET_VALUE:
        return slice_compare(pair->value,
                             compare->which == KV_COMPARE_VALUE ? compare->value : SLICE_EMPTY);
    default:
        return 0; /* a target that nobody knows is equal, as with etcd */
    }
}

static bool compare_pair(const struct kv_compare *compare, const struct kv_pair *pair)
{
    int order = compare_order(compare, pair);
    switch (compare->result) {
    case KV_EQUAL:
        return order == 0;
    case KV_NOT_EQUAL:
        return order != 0;
    case KV_GREATER:
        return order > 0;
    case KV_LESS:
        return order < 0;
    default:
        return true; /* and so holds what nobody knows how to compare */
    }
}

struct comparing {
    struct kv_view *view;
    const struct kv_compare *compare;
    bool is_any;
    bool holds;
};

static int compare_cell(void *ctx, const struct kv_cell *cell)
{
    struct comparing *comparing = ctx;
    struct kv_pair pair;
    int rc = kv_view_load(comparing->view, cell->rev, &pair);
    if (rc != 0) {
        return rc;
    }
    comparing->is_any = true;
    comparing->holds = compare_pair(comparing->compare, &pair);
    return !comparing->holds;
}

static int compare_one(struct kv_view *view, const struct kv_compare *compare, bool *ret)
{
    static const struct kv_pair missing;
    struct comparing comparing = {view, compare, false, true};
    struct kv_interval interval = {compare->key, compare->range_end};
    int64_t revision = 0; /* as the store stands when the entry is applied */
    if (CANARY(COMPARE_AT_PROPOSE) && view->chosen_id != 0) {
        revision = (int64_t)view->chosen_id; /* as it stood when the request came */
    }
    int rc = kv_view_each(view, interval, revision, compare_cell, &comparing);
    if (rc != 0) {
        return rc;
    }
    if (!comparing.is_any) {
        comparing.holds = compare->target != KV_TARGET_VALUE && compare_pair(compare, &missing);
    }
    *ret = comparing.holds;
    return 0;
}

static int compare_all(struct kv_view *view, const struct kv_compares *compares, bool *ret)
{
    bool holds = true;
    for (size_t i = 0; i < compares->count && holds; i++) {
        int rc = compare_one(view, &compares->items[i], &holds);
        if (rc != 0) {
            return rc;
        }
    }
    *ret = holds;
    return 0;
}

/* --- the way through the tree --- */

struct level {
    const struct kv_ops *ops;         /* of the chosen branch */
    size_t at;                        /* next one */
    struct kv_txn_response *response; /* when running */
};

struct way {
    struct kv_view *view;
    size_t depth;
    struct level levels[KV_TXN_DEPTH_MAX];
    size_t taken; /* decisions met so far */
    bool is_then[KV_TXN_TOTAL_MAX + 1];
};

static struct level *way_enter(struct way *way, const struct kv_txn *txn, bool is_then)
{
    BASE_ASSERT(way->depth < KV_TXN_DEPTH_MAX);
    struct level *level = &way->levels[way->depth++];
    *level = (struct level){.ops = is_then ? &txn->then_ops : &txn->else_ops};
    return level;
}

/* Next operation of the chosen way, or NULL at its end; levels that are done are left. */
static const struct kv_op *way_next(struct way *way)
{
    while (way->depth > 0) {
        struct level *level = &way->levels[way->depth - 1];
        if (level->at < level->ops->count) {
            return &level->ops->items[level->at++];
        }
        way->depth--;
    }
    return NULL;
}

/* --- first pass: decide and check, change nothing --- */

static int decide_txn(struct way *way, const struct kv_txn *txn)
{
    BASE_ASSERT(way->taken < BASE_COUNT_OF(way->is_then));
    bool *is_then = &way->is_then[way->taken++];
    int rc = compare_all(way->view, &txn->compares, is_then);
    if (rc == 0) {
        (void)way_enter(way, txn, *is_then);
    }
    return rc;
}

/* In a transaction, as with etcd, a negative revision is one below the compact revision. */
static int range_precheck(struct kv_view *view, const struct kv_range *range,
                          enum kv_error *ret_error)
{
    int64_t compact = -1;
    if (range->revision >= 0) {
        return kv_range_revision_check(view, range, ret_error);
    }
    int rc = kv_compact_get(view->txn, &compact);
    *ret_error = range->revision < compact ? KV_E_COMPACTED : KV_OK;
    return rc;
}

static int decide(struct way *way, const struct kv_txn *txn, enum kv_error *ret_error)
{
    enum kv_error error = KV_OK;
    const struct kv_op *op = NULL;
    int rc = decide_txn(way, txn);
    while (rc == 0 && error == KV_OK && (op = way_next(way)) != NULL) {
        if (op->kind == KV_OP_TXN) {
            rc = decide_txn(way, &op->txn);
        } else if (op->kind == KV_OP_RANGE) {
            rc = range_precheck(way->view, &op->range, &error);
        } else if (op->kind == KV_OP_PUT) {
            rc = kv_put_precheck(way->view, &op->put, &error);
        }
    }
    *ret_error = error;
    return rc;
}

/* --- second pass: run --- */

static void begin_txn(struct way *way, const struct kv_txn *txn, struct kv_txn_response *response)
{
    bool is_then = way->is_then[way->taken++];
    struct level *level = way_enter(way, txn, is_then);
    level->response = response;
    *response = (struct kv_txn_response){.has_header = true, .is_succeeded = is_then};
    if (level->ops->count == 0) {
        return;
    }
    response->responses.items = base_arena_take(&way->view->scratch->arena, level->ops->count,
                                                sizeof(struct kv_op_response));
    way->view->is_cut |= response->responses.items == NULL;
}

/* Place for the answer to the operation just taken; `spare` when the answer is cut anyway. */
static struct kv_op_response *next_response(const struct way *way, struct kv_op_response *spare)
{
    const struct level *level = &way->levels[way->depth - 1];
    struct kv_op_responses *responses = &level->response->responses;
    return responses->items == NULL ? spare : &responses->items[responses->count++];
}

static int run_op(struct way *way, const struct kv_op *op, struct kv_op_response *response)
{
    switch (op->kind) {
    case KV_OP_RANGE:
        return kv_range_read(way->view, &op->range, &response->range);
    case KV_OP_PUT:
        return kv_put_apply(way->view, &op->put, &response->put);
    case KV_OP_DELETE:
        return kv_delete_apply(way->view, &op->delete_range, &response->delete_range);
    default:
        BASE_UNREACHABLE(); /* refused by the check, or a transaction */
    }
}

static int run(struct way *way, const struct kv_txn *txn, struct kv_txn_response *ret)
{
    struct kv_txn_response root;
    struct kv_op_response spare[KV_TXN_DEPTH_MAX];
    const struct kv_op *op = NULL;
    int rc = 0;
    way->taken = 0;
    begin_txn(way, txn, &root);
    while (rc == 0 && (op = way_next(way)) != NULL) {
        if (CANARY(HALF_A_TRANSACTION) && way->view->changes > 0) {
            break;
        }
        struct kv_op_response *response = next_response(way, &spare[way->depth - 1]);
        response->kind = op->kind;
        if (op->kind == KV_OP_TXN) {
            begin_txn(way, &op->txn, &response->txn);
        } else {
            rc = run_op(way, op, response);
        }
    }
    if (rc == 0) {
        root.header.revision = kv_view_revision(way->view); /* nested ones stay empty */
        *ret = root;
    }
    return rc;
}

int kv_txn_run(struct kv_view *view, const struct kv_txn *txn, enum kv_error *ret_error,
               struct kv_txn_response *ret)
{
    struct way way;
    enum kv_error error = KV_OK;
    way.view = view;
    way.depth = 0;
    way.taken = 0;
    int rc = decide(&way, txn, &error);
    if (rc == 0 && error == KV_OK) {
        way.depth = 0;
        rc = run(&way, txn, ret);
    }
    *ret_error = error;
    return rc;
}
