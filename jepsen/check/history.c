/* SPDX-License-Identifier: Apache-2.0 */
/* Building histories and the small questions that all checkers ask of one operation. */
#include "jepsen/check/history.h"

#include <string.h>

struct chk_history chk_history_over(struct chk_op *ops, size_t ops_cap, struct chk_key *keys,
                                    size_t keys_cap)
{
    return (struct chk_history){.ops = ops, .cap = ops_cap, .keys = keys, .keys_cap = keys_cap};
}

int chk_history_key(struct chk_history *h, struct slice text, uint32_t *ret)
{
    if (text.len == 0 || text.len > CHK_KEY_MAX) {
        return BASE_E_TOOBIG;
    }
    for (size_t i = 0; i < h->keys_count; i++) {
        if (slice_equal(slice_from_text(h->keys[i].text), text)) {
            *ret = (uint32_t)i;
            return 0;
        }
    }
    if (h->keys_count == h->keys_cap) {
        return BASE_E_NOSPACE;
    }
    struct chk_key *key = &h->keys[h->keys_count];
    memset(key, 0, sizeof(*key));
    memcpy(key->text, text.data, text.len);
    *ret = (uint32_t)h->keys_count++;
    return 0;
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

static bool sorts_before(const struct chk_op *ops, uint32_t a, uint32_t b, bool by_return)
{
    int64_t time_a = by_return ? ops[a].return_us : ops[a].call_us;
    int64_t time_b = by_return ? ops[b].return_us : ops[b].call_us;
    return time_a != time_b ? time_a < time_b : a < b;
}

/* Heap sort: no memory, no recursion, no bad case. */
static void sift_down(const struct chk_op *ops, uint32_t *order, size_t root, size_t count,
                      bool by_return)
{
    for (;;) {
        size_t child = 2 * root + 1;
        if (child >= count) {
            return;
        }
        if (child + 1 < count && sorts_before(ops, order[child], order[child + 1], by_return)) {
            child++;
        }
        if (!sorts_before(ops, order[root], order[child], by_return)) {
            return;
        }
        uint32_t swap = order[root];
        order[root] = order[child];
        order[child] = swap;
        root = child;
    }
}

void chk_sort(const struct chk_op *ops, uint32_t *order, size_t count, bool by_return)
{
    for (size_t root = count / 2; root-- > 0;) {
        sift_down(ops, order, root, count, by_return);
    }
    for (size_t end = count; end-- > 1;) {
        uint32_t swap = order[0];
        order[0] = order[end];
        order[end] = swap;
        sift_down(ops, order, 0, end, by_return);
    }
}
