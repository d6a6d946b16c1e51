/* SPDX-License-Identifier: Apache-2.0 */
/* Building histories and the small questions that all checkers ask of one operation. */
#include "jepsen/check/history.h"

#include <string.h>

#include "jepsen/check/sort.h"

static size_t bucket_of(struct slice text, size_t cap)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < text.len; i++) {
        hash = (hash ^ text.data[i]) * UINT64_C(0x100000001b3);
    }
    return (size_t)((hash ^ hash >> 29) % cap);
}

int chk_name(struct chk_key *keys, size_t *count, size_t cap, struct slice text, uint32_t *ret)
{
    if (text.len == 0 || text.len > CHK_KEY_MAX) {
        return BASE_E_TOOBIG;
    }
    if (cap == 0) {
        return BASE_E_NOSPACE;
    }
    struct chk_key *head = &keys[bucket_of(text, cap)];
    for (uint32_t at = head->bucket; at != 0; at = keys[at - 1].next) {
        if (slice_equal(slice_from_text(keys[at - 1].text), text)) {
            *ret = at - 1;
            return 0;
        }
    }
    if (*count == cap) {
        return BASE_E_NOSPACE;
    }
    struct chk_key *key = &keys[*count];
    memset(key->text, 0, sizeof(key->text));
    memcpy(key->text, text.data, text.len);
    *ret = (uint32_t)(*count)++;
    key->next = head->bucket;
    head->bucket = *ret + 1;
    return 0;
}

struct chk_history chk_history_over(struct chk_op *ops, size_t ops_cap, struct chk_key *keys,
                                    size_t keys_cap)
{
    for (size_t i = 0; i < keys_cap; i++) {
        keys[i].bucket = keys[i].next = 0;
    }
    return (struct chk_history){.ops = ops, .cap = ops_cap, .keys = keys, .keys_cap = keys_cap};
}

int chk_history_key(struct chk_history *h, struct slice text, uint32_t *ret)
{
    return chk_name(h->keys, &h->keys_count, h->keys_cap, text, ret);
}

int chk_history_add(struct chk_history *h, const struct chk_op *op)
{
    if (h->count == h->cap) {
        return BASE_E_NOSPACE;
    }
    h->ops[h->count++] = *op;
    return 0;
}

bool chk_op_may_write(const struct chk_op *op)
{
    if (op->status == CHK_FAILED || (op->status == CHK_DONE && !op->is_applied)) {
        return false;
    }
    for (size_t i = 0; i < op->parts_count; i++) {
        const struct chk_part *part = &op->parts[i];
        if (part->kind == CHK_WRITE) {
            return true;
        }
        if (part->kind == CHK_DELETE && (op->status != CHK_DONE || part->value != 0)) {
            return true;
        }
    }
    return false;
}

bool chk_op_is_write(const struct chk_op *op)
{
    return op->status == CHK_DONE && chk_op_may_write(op);
}

struct order {
    const struct chk_op *ops;
    uint32_t *list;
    bool by_return;
};

static bool order_before(const void *list, size_t a, size_t b)
{
    const struct order *o = list;
    uint32_t i = o->list[a], j = o->list[b];
    int64_t time_i = o->by_return ? o->ops[i].return_us : o->ops[i].call_us;
    int64_t time_j = o->by_return ? o->ops[j].return_us : o->ops[j].call_us;
    return time_i != time_j ? time_i < time_j : i < j;
}

static void order_swap(void *list, size_t a, size_t b)
{
    struct order *o = list;
    uint32_t kept = o->list[a];
    o->list[a] = o->list[b];
    o->list[b] = kept;
}

void chk_sort(const struct chk_op *ops, uint32_t *order, size_t count, bool by_return)
{
    struct order o = {ops, order, by_return};
    chk_heap_sort(&o, count, order_before, order_swap);
}
