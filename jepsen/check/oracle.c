/* SPDX-License-Identifier: Apache-2.0 */
/* All orders of a tiny history, by depth-first walk over an explicit stack. */
#include "jepsen/check/oracle.h"

#include "jepsen/check/model.h"

_Static_assert(CHK_ORACLE_KEYS <= CHK_MODEL_KEYS, "oracle keys fit the model");

struct walk {
    const struct chk_op *ops[CHK_ORACLE_OPS];
    size_t count;
    struct chk_slots slots;
    unsigned must; /* bits of operations that have to appear */
};

static bool collect(const struct chk_history *h, struct walk *w)
{
    if (h->keys_count > CHK_ORACLE_KEYS) {
        return false;
    }
    for (size_t i = 0; i < h->keys_count; i++) {
        w->slots.keys[w->slots.count++] = (uint32_t)i;
    }
    for (size_t i = 0; i < h->count; i++) {
        if (h->ops[i].status == CHK_FAILED) {
            continue;
        }
        if (w->count == CHK_ORACLE_OPS) {
            return false;
        }
        w->must |= h->ops[i].status == CHK_DONE ? 1u << w->count : 0;
        w->ops[w->count++] = &h->ops[i];
    }
    return true;
}

/* May `next` be the next one, when `done` went before: no operation still to come had returned
 * before its call. */
static bool may_follow(const struct walk *w, unsigned done, size_t next)
{
    if ((done >> next & 1) != 0) {
        return false;
    }
    for (size_t i = 0; i < w->count; i++) {
        bool is_open = (done >> i & 1) == 0 && (w->must >> i & 1) != 0;
        if (is_open && w->ops[i]->return_us < w->ops[next]->call_us) {
            return false;
        }
    }
    return true;
}

struct chk_result chk_oracle(const struct chk_history *h)
{
    struct walk w = {.count = 0};
    struct chk_result result = {CHK_UNKNOWN, "too large for brute force", SIZE_MAX, SIZE_MAX, 0};
    if (!collect(h, &w)) {
        return result;
    }
    struct {
        struct chk_state state;
        unsigned done;
        size_t next;
    } stack[CHK_ORACLE_OPS + 1] = {{{{0}}, 0, 0}};
    size_t depth = 1;
    while (depth > 0) {
        result.steps++;
        if ((stack[depth - 1].done & w.must) == w.must) {
            result.verdict = CHK_OK;
            result.text = "linearizable";
            return result;
        }
        size_t next = stack[depth - 1].next++;
        if (next == w.count) {
            depth--;
            continue;
        }
        struct chk_state state = stack[depth - 1].state;
        unsigned done = stack[depth - 1].done;
        if (may_follow(&w, done, next) && chk_step(&w.slots, w.ops[next], &state)) {
            stack[depth].state = state;
            stack[depth].done = done | 1u << next;
            stack[depth].next = 0;
            depth++;
        }
    }
    result.verdict = CHK_VIOLATED;
    result.text = "no order explains the replies";
    return result;
}
