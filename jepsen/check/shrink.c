/* SPDX-License-Identifier: Apache-2.0 */
/* Shrinking a failing history; see shrink.h. */
#include "jepsen/check/shrink.h"

#include "base/arena.h"

struct shrink {
    const struct chk_history *h;
    struct chk_linear_limits limits; /* of each trial */
    uint32_t *kept;
    size_t count;
    struct chk_op *trial;
    uint32_t *trial_kept;
    unsigned trials_left;
};

static bool touches(const struct chk_op *op, const bool *is_in)
{
    if (op->status == CHK_FAILED) {
        return false;
    }
    bool is_touched = op->has_compare && is_in[op->compare_key];
    for (size_t i = 0; i < op->parts_count; i++) {
        is_touched = is_touched || is_in[op->parts[i].key];
    }
    return is_touched;
}

static bool spread(const struct chk_op *op, bool *is_in)
{
    bool is_new = op->has_compare && !is_in[op->compare_key];
    if (op->has_compare) {
        is_in[op->compare_key] = true;
    }
    for (size_t i = 0; i < op->parts_count; i++) {
        is_new = is_new || !is_in[op->parts[i].key];
        is_in[op->parts[i].key] = true;
    }
    return is_new;
}

/* The operations on the keys that hang together with those of `stuck`; false when too many. */
static bool collect_group(struct shrink *s, size_t stuck, bool *is_in, size_t cap)
{
    (void)spread(&s->h->ops[stuck], is_in);
    for (bool is_growing = true; is_growing;) {
        is_growing = false;
        for (size_t i = 0; i < s->h->count; i++) {
            if (touches(&s->h->ops[i], is_in) && spread(&s->h->ops[i], is_in)) {
                is_growing = true;
            }
        }
    }
    for (size_t i = 0; i < s->h->count; i++) {
        if (!touches(&s->h->ops[i], is_in)) {
            continue;
        }
        if (s->count == cap) {
            return false;
        }
        s->kept[s->count++] = (uint32_t)i;
    }
    chk_sort(s->h->ops, s->kept, s->count, false);
    return true;
}

/* Does `op` depend on the value that a part of another one left behind? */
static bool depends_on(const struct chk_op *op, const struct chk_part *left)
{
    int64_t value = left->kind == CHK_WRITE ? left->value : 0;
    if (op->has_compare && op->compare_key == left->key) {
        bool is_refused = op->status == CHK_DONE && !op->is_applied;
        if (!is_refused ? op->compare_value == value : !op->has_seen || op->compare_seen == value) {
            return true;
        }
    }
    for (size_t i = 0; i < op->parts_count && op->is_applied; i++) {
        const struct chk_part *part = &op->parts[i];
        bool is_any = part->kind == CHK_DELETE && part->value != 0;
        if (part->key == left->key && part->kind != CHK_WRITE && (part->value == value || is_any)) {
            return true;
        }
    }
    return false;
}

static bool is_observed(const struct shrink *s, const uint32_t *kept, size_t count,
                        const struct chk_op *op)
{
    for (size_t p = 0; p < op->parts_count && chk_op_may_write(op); p++) {
        for (size_t i = 0; i < count && op->parts[p].kind != CHK_READ; i++) {
            const struct chk_op *other = &s->h->ops[kept[i]];
            if (other != op && other->status == CHK_DONE && depends_on(other, &op->parts[p])) {
                return true;
            }
        }
    }
    return false;
}

/* Leaves out all that `drop` names unless somebody saw it; keeps the result when it still fails. */
static bool try_without(struct shrink *s, uint32_t process, size_t at)
{
    size_t count = 0;
    for (size_t i = 0; i < s->count; i++) {
        bool is_dropped = at == SIZE_MAX ? s->h->ops[s->kept[i]].process == process : i == at;
        if (!is_dropped) {
            s->trial_kept[count++] = s->kept[i];
        }
    }
    if (count == 0 || count == s->count || s->trials_left == 0) {
        return false;
    }
    for (size_t i = 0; i < s->count; i++) {
        const struct chk_op *op = &s->h->ops[s->kept[i]];
        bool is_dropped = at == SIZE_MAX ? op->process == process : i == at;
        if (is_dropped && is_observed(s, s->trial_kept, count, op)) {
            return false;
        }
    }
    s->trials_left--;
    struct chk_history part = *s->h;
    part.ops = s->trial;
    part.count = count;
    for (size_t i = 0; i < count; i++) {
        s->trial[i] = s->h->ops[s->trial_kept[i]];
    }
    if (chk_linear(&part, &s->limits).verdict != CHK_VIOLATED) {
        return false;
    }
    memcpy(s->kept, s->trial_kept, count * sizeof(*s->kept));
    s->count = count;
    return true;
}

size_t chk_linear_shrink(const struct chk_history *h, size_t stuck,
                         const struct chk_linear_limits *limits, uint32_t *ret, size_t cap)
{
    struct base_arena arena = base_arena_over(limits->memory, limits->memory_bytes);
    bool *is_in = base_arena_take(&arena, h->keys_count, sizeof(*is_in));
    struct shrink s = {.h = h,
                       .kept = ret,
                       .trial = base_arena_take(&arena, cap, sizeof(*s.trial)),
                       .trial_kept = base_arena_take(&arena, cap, sizeof(*s.trial_kept)),
                       .trials_left = 4000};
    if (stuck >= h->count || is_in == NULL || s.trial == NULL || s.trial_kept == NULL ||
        !collect_group(&s, stuck, is_in, cap)) {
        return 0;
    }
    s.limits = (struct chk_linear_limits){arena.memory + arena.used, arena.cap - arena.used,
                                          limits->steps_max};
    for (bool is_smaller = true; is_smaller;) {
        is_smaller = false;
        for (size_t i = 0; i < s.count; i++) {
            is_smaller = try_without(&s, s.h->ops[s.kept[i]].process, SIZE_MAX) || is_smaller;
        }
        for (size_t i = s.count; i-- > 0;) {
            is_smaller = (i < s.count && try_without(&s, 0, i)) || is_smaller;
        }
    }
    return s.count;
}
