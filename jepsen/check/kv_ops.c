/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and answers of operations; see kv_ops.h. */
#include "jepsen/check/kv_ops.h"

#include <string.h>

#include "base/assert.h"

/* --- asking --- */

static struct slice number_text(struct chk_asking *a, int64_t value)
{
    struct buf b = buf_over(a->texts + a->used, sizeof(a->texts) - a->used);
    buf_put_int(&b, value);
    BASE_ASSERT(!b.is_full);
    a->used += b.len;
    return buf_slice(&b);
}

static struct slice key_text(const struct chk_history *h, uint32_t key)
{
    return slice_from_text(h->keys[key].text);
}

static struct kv_op part_op(const struct chk_history *h, const struct chk_part *part, bool is_stale,
                            struct chk_asking *a)
{
    struct kv_op op = {.kind = KV_OP_RANGE};
    if (part->kind == CHK_READ) {
        op.range.key = key_text(h, part->key);
        op.range.is_serializable = is_stale;
    } else if (part->kind == CHK_WRITE) {
        op.kind = KV_OP_PUT;
        op.put.key = key_text(h, part->key);
        op.put.value = number_text(a, part->value);
    } else {
        op.kind = KV_OP_DELETE;
        op.delete_range.key = key_text(h, part->key);
        op.delete_range.is_prev_kv = true;
    }
    return op;
}

static struct kv_compare compare_of(const struct chk_history *h, const struct chk_op *op,
                                    struct chk_asking *a)
{
    struct kv_compare c = {.result = KV_EQUAL, .key = key_text(h, op->compare_key)};
    if (op->compare_value == 0) { /* absent: never created */
        c.target = KV_TARGET_CREATE;
        c.which = KV_COMPARE_CREATE;
    } else {
        c.target = KV_TARGET_VALUE;
        c.which = KV_COMPARE_VALUE;
        c.value = number_text(a, op->compare_value);
    }
    return c;
}

static void ask_txn(const struct chk_history *h, const struct chk_op *op, bool is_stale,
                    struct chk_asking *a)
{
    a->request.kind = KV_KIND_TXN;
    a->request.txn.then_ops = (struct kv_ops){a->ops, op->parts_count};
    if (op->has_compare) {
        const struct chk_part what_else = {.kind = CHK_READ, .key = op->compare_key};
        a->compare = compare_of(h, op, a);
        a->else_op = part_op(h, &what_else, is_stale, a);
        a->request.txn.compares = (struct kv_compares){&a->compare, 1};
        a->request.txn.else_ops = (struct kv_ops){&a->else_op, 1};
    }
}

void chk_ask(const struct chk_history *history, const struct chk_op *op, bool is_stale,
             struct chk_asking *ret)
{
    struct chk_asking *a = ret;
    memset(a, 0, sizeof(*a));
    for (size_t i = 0; i < op->parts_count; i++) {
        a->ops[i] = part_op(history, &op->parts[i], is_stale, a);
    }
    if (op->has_compare || op->parts_count > 1) {
        ask_txn(history, op, is_stale, a);
    } else if (a->ops[0].kind == KV_OP_RANGE) {
        a->request.kind = KV_KIND_RANGE;
        a->request.range = a->ops[0].range;
    } else if (a->ops[0].kind == KV_OP_PUT) {
        a->request.kind = KV_KIND_PUT;
        a->request.put = a->ops[0].put;
    } else {
        a->request.kind = KV_KIND_DELETE;
        a->request.delete_range = a->ops[0].delete_range;
    }
}

/* --- reading the answer --- */

void chk_pair_seen(const struct kv_pairs *pairs, int64_t *ret_value, uint64_t *ret_revision)
{
    uint64_t value = 0;
    *ret_value = 0;
    *ret_revision = 0;
    if (pairs->count > 0 && slice_to_u64(pairs->items[0].value, &value) == 0) {
        *ret_value = (int64_t)value;
        *ret_revision = (uint64_t)pairs->items[0].mod_revision;
    }
}

static void part_seen(const struct kv_pairs *pairs, struct chk_part *part)
{
    chk_pair_seen(pairs, &part->value, &part->revision);
}

static void txn_seen(const struct kv_txn_response *txn, struct chk_op *op)
{
    op->is_applied = txn->is_succeeded;
    if (!op->is_applied && op->has_compare && txn->responses.count == 1) {
        op->has_seen = true;
        chk_pair_seen(&txn->responses.items[0].range.kvs, &op->compare_seen, &op->seen_revision);
    }
    for (size_t i = 0; op->is_applied && i < txn->responses.count && i < op->parts_count; i++) {
        if (op->parts[i].kind == CHK_READ) {
            part_seen(&txn->responses.items[i].range.kvs, &op->parts[i]);
        }
    }
}

const struct kv_header *chk_answered(const struct kv_response *response, struct chk_op *op)
{
    if (response->kind == KV_KIND_RANGE) {
        part_seen(&response->range.kvs, &op->parts[0]);
        return &response->range.header;
    }
    if (response->kind == KV_KIND_PUT) {
        return &response->put.header;
    }
    if (response->kind == KV_KIND_DELETE) {
        part_seen(&response->delete_range.prev_kvs, &op->parts[0]);
        return &response->delete_range.header;
    }
    txn_seen(&response->txn, op);
    return &response->txn.header;
}
