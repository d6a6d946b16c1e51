/* SPDX-License-Identifier: Apache-2.0 */
/* See kv_model.h. Recursion is welcome here: the requests are our own. */
#include "tests/unit/kv_model.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/cm.h"
#include "tests/unit/kv_random.h"

struct change {
    size_t key;
    bool is_delete;
    struct kv_pair pair;
};

struct kv_model {
    struct change *changes;
    size_t count;
    size_t cap;
    int64_t revision; /* of the last finished request */
    bool is_changed;  /* by the request at hand */
    int64_t compact;  /* -1: never */
    bool leases[RANDOM_LEASES + 1];
    struct base_arena *arena;
};

struct kv_model *kv_model_create(void)
{
    struct kv_model *model = calloc(1, sizeof(*model));
    assert_non_null(model);
    model->revision = 1;
    model->compact = -1;
    return model;
}

void kv_model_destroy(struct kv_model *model)
{
    for (size_t i = 0; i < model->count; i++) {
        free((void *)(uintptr_t)model->changes[i].pair.value.data);
    }
    free(model->changes);
    free(model);
}

int64_t kv_model_revision(const struct kv_model *model)
{
    return model->revision + model->is_changed;
}

static bool in_interval(struct slice key, struct slice begin, struct slice end)
{
    if (end.len == 0) {
        return slice_equal(key, begin);
    }
    bool is_open = end.len == 1 && end.data[0] == 0;
    return slice_compare(key, begin) >= 0 && (is_open || slice_compare(key, end) < 0);
}

/* What the key held at a revision; 0: now. NULL: nothing. */
static const struct kv_pair *look(const struct kv_model *model, size_t key, int64_t revision)
{
    for (size_t i = model->count; i > 0; i--) {
        const struct change *change = &model->changes[i - 1];
        if (change->key == key && (revision <= 0 || change->pair.mod_revision <= revision)) {
            return change->is_delete ? NULL : &change->pair;
        }
    }
    return NULL;
}

static void record(struct kv_model *model, size_t key, bool is_delete, struct kv_pair pair)
{
    if (model->count == model->cap) {
        model->cap = model->cap == 0 ? 64 : model->cap * 2;
        model->changes = realloc(model->changes, model->cap * sizeof(*model->changes));
        assert_non_null(model->changes);
    }
    if (pair.value.len > 0) {
        uint8_t *copy = malloc(pair.value.len);
        assert_non_null(copy);
        memcpy(copy, pair.value.data, pair.value.len);
        pair.value.data = copy;
    } else {
        pair.value = SLICE_EMPTY;
    }
    pair.key = random_keys[key];
    pair.mod_revision = model->revision + 1;
    model->changes[model->count++] = (struct change){key, is_delete, pair};
    model->is_changed = true;
}

static size_t key_of(struct slice key)
{
    for (size_t i = 0; i < RANDOM_KEYS; i++) {
        if (slice_equal(random_keys[i], key)) {
            return i;
        }
    }
    fail();
    return 0;
}

/* --- checks --- */

static uint32_t mask_of(struct slice begin, struct slice end)
{
    uint32_t mask = 0;
    for (size_t i = 0; i < RANDOM_KEYS; i++) {
        mask |= (uint32_t)in_interval(random_keys[i], begin, end) << i;
    }
    return mask;
}

static enum kv_error check_range(const struct kv_range *range)
{
    if (range->key.len == 0) {
        return KV_E_KEY_NOT_PROVIDED;
    }
    return range->sort_target > 4 ? KV_E_INVALID_SORT : KV_OK;
}

static enum kv_error check_put(const struct kv_put *put)
{
    if (put->key.len == 0) {
        return KV_E_KEY_NOT_PROVIDED;
    }
    if (put->is_ignore_value && put->value.len > 0) {
        return KV_E_VALUE_PROVIDED;
    }
    return put->is_ignore_lease && put->lease != 0 ? KV_E_LEASE_PROVIDED : KV_OK;
}

/* A delete of everything, or from some key on, takes the reserved keys with it. */
static enum kv_error check_delete(const struct kv_delete *gone)
{
    if (gone->key.len == 0) {
        return KV_E_KEY_NOT_PROVIDED;
    }
    struct slice reserved = SLICE_LIT("/quorate/");
    return in_interval(reserved, gone->key, gone->range_end) ? KV_E_PERMISSION_DENIED : KV_OK;
}

/* Breadth first, as errors of outer operations are found first. */
static enum kv_error check_ops(const struct kv_txn *txn)
{
    for (size_t i = 0; i < txn->compares.count; i++) {
        if (txn->compares.items[i].key.len == 0) {
            return KV_E_KEY_NOT_PROVIDED;
        }
    }
    return KV_OK;
}

static enum kv_error check_op(const struct kv_op *op)
{
    switch (op->kind) {
    case KV_OP_RANGE:
        return check_range(&op->range);
    case KV_OP_PUT:
        return check_put(&op->put);
    case KV_OP_DELETE:
        return check_delete(&op->delete_range);
    default:
        return check_ops(&op->txn);
    }
}

static enum kv_error check_tree(const struct kv_txn *root)
{
    const struct kv_txn *queue[256] = {root};
    size_t count = 1;
    enum kv_error error = check_ops(root);
    for (size_t at = 0; at < count && error == KV_OK; at++) {
        const struct kv_ops *branches[] = {&queue[at]->then_ops, &queue[at]->else_ops};
        for (size_t i = 0; i < branches[0]->count + branches[1]->count && error == KV_OK; i++) {
            const struct kv_op *op = i < branches[0]->count
                                         ? &branches[0]->items[i]
                                         : &branches[1]->items[i - branches[0]->count];
            error = check_op(op);
            if (op->kind == KV_OP_TXN) {
                assert_true(count < BASE_COUNT_OF(queue));
                queue[count++] = &op->txn;
            }
        }
    }
    return error;
}

struct touched {
    uint32_t puts;
    uint32_t deletes;
    bool is_bad;
};

/* etcd's rule, with a bit per key. */
static struct touched touch(const struct kv_ops *ops)
{
    struct touched all = {0};
    for (size_t i = 0; i < ops->count; i++) {
        const struct kv_op *op = &ops->items[i];
        if (op->kind == KV_OP_DELETE) {
            all.deletes |= mask_of(op->delete_range.key, op->delete_range.range_end);
        }
    }
    for (size_t i = 0; i < ops->count; i++) {
        const struct kv_op *op = &ops->items[i];
        if (op->kind != KV_OP_TXN) {
            continue;
        }
        struct touched yes = touch(&op->txn.then_ops);
        struct touched no = touch(&op->txn.else_ops);
        all.is_bad |= yes.is_bad || no.is_bad || (yes.puts & (all.puts | all.deletes)) != 0;
        all.puts |= yes.puts;
        all.is_bad |= (no.puts & ((all.puts & ~yes.puts) | all.deletes)) != 0;
        all.puts |= no.puts;
        all.deletes |= yes.deletes | no.deletes;
    }
    for (size_t i = 0; i < ops->count; i++) {
        const struct kv_op *op = &ops->items[i];
        if (op->kind == KV_OP_PUT) {
            uint32_t bit = mask_of(op->put.key, SLICE_EMPTY);
            all.is_bad |= (bit & (all.puts | all.deletes)) != 0;
            all.puts |= bit;
        }
    }
    return all;
}

/* --- single operations --- */

static int compare_numbers(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static const struct kv_range *sort_by; /* qsort has no argument for it */

static int compare_pairs(const void *left, const void *right)
{
    const struct kv_pair *a = left;
    const struct kv_pair *b = right;
    int order = 0;
    if (sort_by->sort_target == KV_SORT_VERSION) {
        order = compare_numbers(a->version, b->version);
    } else if (sort_by->sort_target == KV_SORT_CREATE) {
        order = compare_numbers(a->create_revision, b->create_revision);
    } else if (sort_by->sort_target == KV_SORT_MOD) {
        order = compare_numbers(a->mod_revision, b->mod_revision);
    } else if (sort_by->sort_target == KV_SORT_VALUE) {
        order = slice_compare(a->value, b->value);
    } else {
        order = slice_compare(a->key, b->key);
    }
    order = sort_by->sort_order == KV_SORT_DESCEND ? -order : order;
    return order != 0 ? order : slice_compare(a->key, b->key);
}

static bool is_wanted(const struct kv_range *range, const struct kv_pair *pair)
{
    if (range->min_mod_revision != 0 && pair->mod_revision < range->min_mod_revision) {
        return false;
    }
    if (range->max_mod_revision != 0 && pair->mod_revision > range->max_mod_revision) {
        return false;
    }
    if (range->min_create_revision != 0 && pair->create_revision < range->min_create_revision) {
        return false;
    }
    return range->max_create_revision == 0 || pair->create_revision <= range->max_create_revision;
}

static struct kv_range_response do_range(struct kv_model *model, const struct kv_range *range)
{
    struct kv_range_response response = {.has_header = true};
    response.header.revision = kv_model_revision(model);
    response.kvs.items = base_arena_take(model->arena, RANDOM_KEYS, sizeof(struct kv_pair));
    for (size_t key = 0; key < RANDOM_KEYS; key++) {
        const struct kv_pair *pair = look(model, key, range->revision);
        if (pair == NULL || !in_interval(pair->key, range->key, range->range_end)) {
            continue;
        }
        response.count++;
        if (!range->is_count_only && is_wanted(range, pair)) {
            response.kvs.items[response.kvs.count++] = *pair;
        }
    }
    bool is_filtered = range->min_mod_revision != 0 || range->max_mod_revision != 0 ||
                       range->min_create_revision != 0 || range->max_create_revision != 0;
    if (range->sort_order == 0 && !is_filtered && range->limit > 0 &&
        (int64_t)response.kvs.count > range->limit) {
        response.kvs.count = (size_t)range->limit + 1; /* the first by key are sorted */
    }
    sort_by = range;
    if (range->sort_order <= 2) {
        qsort(response.kvs.items, response.kvs.count, sizeof(struct kv_pair), compare_pairs);
    }
    if (range->limit > 0 && (int64_t)response.kvs.count > range->limit) {
        response.kvs.count = (size_t)range->limit;
        response.has_more = true;
    }
    for (size_t i = 0; i < response.kvs.count && range->is_keys_only; i++) {
        response.kvs.items[i].value = SLICE_EMPTY;
    }
    return response;
}

static struct kv_put_response do_put(struct kv_model *model, const struct kv_put *put)
{
    struct kv_put_response response = {.has_header = true};
    size_t key = key_of(put->key);
    const struct kv_pair *old = look(model, key, 0);
    struct kv_pair pair = {.create_revision =
                               old != NULL ? old->create_revision : model->revision + 1,
                           .version = old != NULL ? old->version + 1 : 1,
                           .value = put->value,
                           .lease = put->lease};
    if (old != NULL && put->is_ignore_lease) {
        pair.lease = old->lease;
    }
    if (old != NULL && put->is_ignore_value) {
        pair.value = old->value;
    }
    if (old != NULL && put->is_prev_kv) {
        response.has_prev_kv = true;
        response.prev_kv = *old;
    }
    record(model, key, false, pair);
    response.header.revision = kv_model_revision(model);
    return response;
}

static struct kv_delete_response do_delete(struct kv_model *model, const struct kv_delete *gone)
{
    struct kv_delete_response response = {.has_header = true};
    response.prev_kvs.items = base_arena_take(model->arena, RANDOM_KEYS, sizeof(struct kv_pair));
    for (size_t key = 0; key < RANDOM_KEYS; key++) {
        const struct kv_pair *pair = look(model, key, 0);
        if (pair != NULL && in_interval(pair->key, gone->key, gone->range_end)) {
            if (gone->is_prev_kv) {
                response.prev_kvs.items[response.prev_kvs.count++] = *pair;
            }
            response.deleted++;
            record(model, key, true, (struct kv_pair){0});
        }
    }
    response.header.revision = kv_model_revision(model);
    return response;
}

/* --- transactions --- */

static bool holds_for(const struct kv_compare *compare, const struct kv_pair *pair)
{
    static const uint32_t members[] = {KV_COMPARE_VERSION, KV_COMPARE_CREATE, KV_COMPARE_MOD,
                                       KV_COMPARE_VALUE, KV_COMPARE_LEASE};
    const int64_t numbers[] = {pair->version, pair->create_revision, pair->mod_revision, 0,
                               pair->lease};
    bool is_fitting = compare->which == members[compare->target];
    int order = compare_numbers(numbers[compare->target], is_fitting ? compare->number : 0);
    if (compare->target == KV_TARGET_VALUE) {
        order = slice_compare(pair->value, is_fitting ? compare->value : SLICE_EMPTY);
    }
    const bool results[] = {order == 0, order > 0, order < 0, order != 0};
    return results[compare->result];
}

static bool holds(const struct kv_model *model, const struct kv_compare *compare)
{
    bool is_any = false;
    for (size_t key = 0; key < RANDOM_KEYS; key++) {
        const struct kv_pair *pair = look(model, key, 0);
        if (pair != NULL && in_interval(pair->key, compare->key, compare->range_end)) {
            is_any = true;
            if (!holds_for(compare, pair)) {
                return false;
            }
        }
    }
    const struct kv_pair missing = {0};
    return is_any || (compare->target != KV_TARGET_VALUE && holds_for(compare, &missing));
}

static bool has_lease(const struct kv_model *model, int64_t id)
{
    return id == 0 || (id > 0 && id <= (int64_t)RANDOM_LEASES && model->leases[id]);
}

static enum kv_error revision_error(const struct kv_model *model, int64_t revision)
{
    if (revision <= 0) {
        return KV_OK;
    }
    return revision > model->revision  ? KV_E_FUTURE_REVISION
           : revision < model->compact ? KV_E_COMPACTED
                                       : KV_OK;
}

/* Decisions in the order of the way through the tree. */
struct decisions {
    bool taken[256];
    size_t count;
};

static enum kv_error decide(const struct kv_model *model, const struct kv_txn *txn,
                            struct decisions *decisions)
{
    bool is_then = true;
    for (size_t i = 0; i < txn->compares.count; i++) {
        is_then = is_then && holds(model, &txn->compares.items[i]);
    }
    decisions->taken[decisions->count++] = is_then;
    const struct kv_ops *ops = is_then ? &txn->then_ops : &txn->else_ops;
    enum kv_error error = KV_OK;
    for (size_t i = 0; i < ops->count && error == KV_OK; i++) {
        const struct kv_op *op = &ops->items[i];
        if (op->kind == KV_OP_TXN) {
            error = decide(model, &op->txn, decisions);
        } else if (op->kind == KV_OP_RANGE) {
            error = revision_error(model, op->range.revision);
        } else if (op->kind == KV_OP_PUT && !has_lease(model, op->put.lease)) {
            error = KV_E_LEASE_NOT_FOUND;
        } else if (op->kind == KV_OP_PUT && (op->put.is_ignore_lease || op->put.is_ignore_value) &&
                   look(model, key_of(op->put.key), 0) == NULL) {
            error = KV_E_KEY_NOT_FOUND;
        }
    }
    return error;
}

static struct kv_txn_response execute(struct kv_model *model, const struct kv_txn *txn,
                                      struct decisions *decisions)
{
    struct kv_txn_response response = {.has_header = true,
                                       .is_succeeded = decisions->taken[decisions->count++]};
    const struct kv_ops *ops = response.is_succeeded ? &txn->then_ops : &txn->else_ops;
    response.responses.items =
        base_arena_take(model->arena, ops->count, sizeof(struct kv_op_response));
    for (size_t i = 0; i < ops->count; i++) {
        const struct kv_op *op = &ops->items[i];
        struct kv_op_response *item = &response.responses.items[response.responses.count++];
        item->kind = op->kind;
        if (op->kind == KV_OP_RANGE) {
            item->range = do_range(model, &op->range);
        } else if (op->kind == KV_OP_PUT) {
            item->put = do_put(model, &op->put);
        } else if (op->kind == KV_OP_DELETE) {
            item->delete_range = do_delete(model, &op->delete_range);
        } else {
            item->txn = execute(model, &op->txn, decisions);
        }
    }
    return response;
}

static enum kv_error do_txn(struct kv_model *model, const struct kv_txn *txn,
                            struct kv_response *ret)
{
    struct decisions decisions = {.count = 0};
    enum kv_error error = check_tree(txn);
    if (error == KV_OK && (touch(&txn->then_ops).is_bad || touch(&txn->else_ops).is_bad)) {
        error = KV_E_DUPLICATE_KEY;
    }
    if (error == KV_OK) {
        error = decide(model, txn, &decisions);
    }
    if (error == KV_OK) {
        decisions.count = 0;
        ret->txn = execute(model, txn, &decisions);
        ret->txn.header.revision = kv_model_revision(model);
    }
    return error;
}

static enum kv_error do_single_put(struct kv_model *model, const struct kv_put *put,
                                   struct kv_response *ret)
{
    enum kv_error error = check_put(put);
    if (error == KV_OK && !has_lease(model, put->lease)) {
        error = KV_E_LEASE_NOT_FOUND;
    }
    if (error == KV_OK && (put->is_ignore_value || put->is_ignore_lease) &&
        look(model, key_of(put->key), 0) == NULL) {
        error = KV_E_KEY_NOT_FOUND;
    }
    if (error == KV_OK) {
        ret->put = do_put(model, put);
    }
    return error;
}

static enum kv_error do_grant(struct kv_model *model, const struct kv_lease_grant *grant,
                              struct kv_response *ret)
{
    if (model->leases[grant->id]) {
        return KV_E_LEASE_EXISTS;
    }
    model->leases[grant->id] = true;
    ret->lease_grant = (struct kv_lease_grant_response){
        .has_header = true, .id = grant->id, .ttl = grant->ttl < 2 ? 2 : grant->ttl};
    ret->lease_grant.header.revision = model->revision;
    return KV_OK;
}

static enum kv_error do_revoke(struct kv_model *model, int64_t id, struct kv_response *ret)
{
    if (!model->leases[id]) {
        return KV_E_LEASE_NOT_FOUND;
    }
    model->leases[id] = false;
    for (size_t key = 0; key < RANDOM_KEYS; key++) {
        const struct kv_pair *pair = look(model, key, 0);
        if (pair != NULL && pair->lease == id) {
            record(model, key, true, (struct kv_pair){0});
        }
    }
    ret->header_only.has_header = true;
    ret->header_only.header.revision = kv_model_revision(model);
    return KV_OK;
}

static enum kv_error do_compact(struct kv_model *model, int64_t revision, struct kv_response *ret)
{
    if (revision <= model->compact || revision > model->revision) {
        return revision <= model->compact ? KV_E_COMPACTED : KV_E_FUTURE_REVISION;
    }
    model->compact = revision;
    ret->header_only.has_header = true;
    ret->header_only.header.revision = model->revision;
    return KV_OK;
}

enum kv_error kv_model_do(struct kv_model *model, const struct kv_request *request,
                          struct base_arena *arena, struct kv_response *ret)
{
    enum kv_error error = KV_OK;
    model->arena = arena;
    ret->kind = request->kind;
    if (request->kind == KV_KIND_PUT) {
        error = do_single_put(model, &request->put, ret);
    } else if (request->kind == KV_KIND_TXN) {
        error = do_txn(model, &request->txn, ret);
    } else if (request->kind == KV_KIND_LEASE_GRANT) {
        error = do_grant(model, &request->lease_grant, ret);
    } else if (request->kind == KV_KIND_LEASE_REVOKE) {
        error = do_revoke(model, request->lease_id.id, ret);
    } else if (request->kind == KV_KIND_COMPACT) {
        error = do_compact(model, request->compact.revision, ret);
    } else if (request->kind == KV_KIND_DELETE) {
        error = check_delete(&request->delete_range);
        if (error == KV_OK) {
            ret->delete_range = do_delete(model, &request->delete_range);
        }
    } else {
        error = check_range(&request->range);
        if (error == KV_OK) {
            error = revision_error(model, request->range.revision);
        }
        if (error == KV_OK) {
            ret->range = do_range(model, &request->range);
        }
    }
    model->revision = kv_model_revision(model);
    model->is_changed = false;
    return error;
}
