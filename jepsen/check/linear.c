/* SPDX-License-Identifier: Apache-2.0 */
/* The search. A point of it is: `base` operations in order of call are all done, `window` tells
 * which of the next ones are too, `open` which of those of unknown outcome are, and the state.
 * Operations of unknown outcome never have to be done, so they stand apart and do not hold `base`
 * back.
 */
#include "jepsen/check/linear.h"

#include <string.h>

#include "base/assert.h"
#include "jepsen/check/model.h"

#define WINDOW_WORDS 4
#define WINDOW_BITS (64 * WINDOW_WORDS)
#define OPEN_MAX 64

struct point {
    struct chk_state state;
    uint64_t window[WINDOW_WORDS]; /* bit i: operation base + i is done */
    uint64_t open;
    uint32_t base;
    uint32_t is_used; /* slot of the memo taken; always 1 in a point */
};

struct frame {
    struct point at;
    uint32_t
        next; /* next candidate: below `closed_count - base` a closed one, then the open ones */
    uint32_t closed_limit;
    int64_t first_return;
};

struct search {
    const struct chk_op *ops;
    int64_t *returns; /* latest moment at which each closed operation has happened */
    struct chk_slots slots;
    uint32_t *closed; /* of this group, in order of call */
    uint32_t closed_count;
    uint32_t open[OPEN_MAX];
    uint32_t open_count;
    struct frame *stack;
    size_t stack_cap;
    size_t depth;
    struct point *memo;
    size_t memo_cap; /* power of two */
    size_t memo_used;
    uint64_t steps_left;
    bool is_over; /* a limit was met */
    uint32_t best_base;
};

struct bump {
    uint8_t *at;
    size_t left;
};

static void *bump_take(struct bump *b, size_t count, size_t size)
{
    size_t bytes = (count * size + 15) & ~(size_t)15;
    if (size != 0 && (count > b->left / size || bytes > b->left)) {
        return NULL;
    }
    void *p = b->at;
    b->at += bytes;
    b->left -= bytes;
    return p;
}

static bool window_has(const struct point *p, uint32_t i)
{
    return (p->window[i / 64] >> (i % 64) & 1) != 0;
}

/* Moves `base` over what is done. */
static void point_settle(struct point *p)
{
    while (window_has(p, 0)) {
        p->base++;
        for (size_t i = 0; i < WINDOW_WORDS; i++) {
            uint64_t carry = i + 1 < WINDOW_WORDS ? p->window[i + 1] << 63 : 0;
            p->window[i] = p->window[i] >> 1 | carry;
        }
    }
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static uint64_t point_hash(const struct point *p)
{
    uint64_t hash = mix(p->base, p->open);
    for (size_t i = 0; i < WINDOW_WORDS; i++) {
        hash = mix(hash, p->window[i]);
    }
    for (size_t i = 0; i < CHK_MODEL_KEYS; i++) {
        hash = mix(hash, (uint64_t)p->state.value[i]);
    }
    return hash;
}

/* True when the point is new; full memo: is_over. */
static bool memo_add(struct search *s, const struct point *p)
{
    size_t slot = (size_t)point_hash(p) & (s->memo_cap - 1);
    while (s->memo[slot].is_used != 0) {
        if (memcmp(&s->memo[slot], p, sizeof(*p)) == 0) {
            return false;
        }
        slot = (slot + 1) & (s->memo_cap - 1);
    }
    if (s->memo_used >= s->memo_cap / 4 * 3) {
        s->is_over = true;
        return false;
    }
    s->memo[slot] = *p;
    s->memo_used++;
    return true;
}

/* How far the closed candidates go: up to the first one called after another that is not done had
 * returned. */
static void frame_prepare(struct search *s, struct frame *f)
{
    f->next = 0;
    f->first_return = CHK_NO_RETURN;
    uint32_t i = 0;
    for (; f->at.base + i < s->closed_count; i++) {
        if (i == WINDOW_BITS) {
            s->is_over = true;
            break;
        }
        const struct chk_op *op = &s->ops[s->closed[f->at.base + i]];
        if (op->call_us > f->first_return) {
            break;
        }
        int64_t return_us = s->returns[s->closed[f->at.base + i]];
        if (!window_has(&f->at, i) && return_us < f->first_return) {
            f->first_return = return_us;
        }
    }
    f->closed_limit = i;
}

static void push(struct search *s, struct point *p)
{
    point_settle(p);
    if (p->base > s->best_base) {
        s->best_base = p->base;
    }
    if (!memo_add(s, p)) {
        return;
    }
    BASE_ASSERT(s->depth < s->stack_cap);
    struct frame *f = &s->stack[s->depth++];
    f->at = *p;
    frame_prepare(s, f);
}

/* An operation that may be next, fits, and is known to change nothing can always go first: any
 * order that works also works with it moved to here. So nothing else needs to be tried. (One of
 * unknown outcome may do nothing here and something elsewhere.) */
static bool advance_for_free(struct search *s)
{
    struct frame *f = &s->stack[s->depth - 1];
    for (uint32_t i = 0; i < f->closed_limit; i++) {
        struct point p = f->at;
        const struct chk_op *op = &s->ops[s->closed[p.base + i]];
        if (!window_has(&p, i) && !chk_op_may_write(op) && chk_step(&s->slots, op, &p.state)) {
            f->next = f->closed_limit + s->open_count;
            p.window[i / 64] |= UINT64_C(1) << (i % 64);
            push(s, &p);
            return true;
        }
    }
    return false;
}

/* The next candidate of the top frame; false when it has none left. */
static bool advance(struct search *s)
{
    struct frame *f = &s->stack[s->depth - 1];
    if (f->next == 0 && advance_for_free(s)) {
        return true;
    }
    uint32_t next = f->next++;
    struct point p = f->at;
    if (next < f->closed_limit) {
        if (!window_has(&p, next) &&
            chk_step(&s->slots, &s->ops[s->closed[p.base + next]], &p.state)) {
            p.window[next / 64] |= UINT64_C(1) << (next % 64);
            push(s, &p);
        }
        return true;
    }
    next -= f->closed_limit;
    if (next >= s->open_count) {
        return false;
    }
    const struct chk_op *op = &s->ops[s->open[next]];
    bool may = (p.open >> next & 1) == 0 && op->call_us <= f->first_return;
    struct chk_state before = p.state;
    if (may && chk_step(&s->slots, op, &p.state) &&
        memcmp(&before, &p.state, sizeof(before)) != 0) {
        p.open |= UINT64_C(1) << next;
        push(s, &p);
    }
    return true;
}

static enum chk_verdict search_run(struct search *s)
{
    struct point start;
    memset(&start, 0, sizeof(start));
    start.is_used = 1;
    push(s, &start);
    while (s->depth > 0) {
        if (s->stack[s->depth - 1].at.base == s->closed_count) {
            return CHK_OK;
        }
        if (s->is_over || s->steps_left == 0) {
            return CHK_UNKNOWN;
        }
        s->steps_left--;
        if (!advance(s)) {
            s->depth--;
        }
    }
    return s->is_over ? CHK_UNKNOWN : CHK_VIOLATED;
}

/* --- groups: union-find over keys that share an operation --- */

static uint32_t find_root(uint32_t *parent, uint32_t key)
{
    while (parent[key] != key) {
        parent[key] = parent[parent[key]];
        key = parent[key];
    }
    return key;
}

static uint32_t first_key(const struct chk_op *op)
{
    return op->has_compare ? op->compare_key : op->parts[0].key;
}

static void group_keys(const struct chk_history *h, uint32_t *parent)
{
    for (uint32_t i = 0; i < h->keys_count; i++) {
        parent[i] = i;
    }
    for (size_t i = 0; i < h->count; i++) {
        const struct chk_op *op = &h->ops[i];
        for (size_t j = 0; j < op->parts_count && op->status != CHK_FAILED; j++) {
            uint32_t a = find_root(parent, first_key(op)), b = find_root(parent, op->parts[j].key);
            parent[a > b ? a : b] = a > b ? b : a;
        }
    }
}

/* Operations and keys by group: those of root r are list[start[r]] to list[start[r + 1]]. */
struct lists {
    uint32_t *op_start, *ops, *key_start, *keys;
};

static bool is_left_out(const struct chk_op *op)
{
    return op->status == CHK_FAILED || op->parts_count == 0;
}

static bool lists_room(struct lists *l, const struct chk_history *h, struct bump *b)
{
    l->op_start = bump_take(b, h->keys_count + 2, sizeof(*l->op_start));
    l->key_start = bump_take(b, h->keys_count + 2, sizeof(*l->key_start));
    l->ops = bump_take(b, h->count + 1, sizeof(*l->ops));
    l->keys = bump_take(b, h->keys_count + 1, sizeof(*l->keys));
    return l->op_start != NULL && l->key_start != NULL && l->ops != NULL && l->keys != NULL;
}

/* Counting sort by root. */
static void lists_fill(struct lists *l, const struct chk_history *h, uint32_t *parent)
{
    memset(l->op_start, 0, (h->keys_count + 2) * sizeof(*l->op_start));
    memset(l->key_start, 0, (h->keys_count + 2) * sizeof(*l->key_start));
    for (uint32_t key = 0; key < h->keys_count; key++) {
        l->key_start[find_root(parent, key) + 2]++;
    }
    for (size_t i = 0; i < h->count; i++) {
        if (!is_left_out(&h->ops[i])) {
            l->op_start[find_root(parent, first_key(&h->ops[i])) + 2]++;
        }
    }
    for (size_t i = 2; i < h->keys_count + 2; i++) {
        l->op_start[i] += l->op_start[i - 1];
        l->key_start[i] += l->key_start[i - 1];
    }
    for (uint32_t key = 0; key < h->keys_count; key++) {
        l->keys[l->key_start[find_root(parent, key) + 1]++] = key;
    }
    for (uint32_t i = 0; i < h->count; i++) {
        if (!is_left_out(&h->ops[i])) {
            l->ops[l->op_start[find_root(parent, first_key(&h->ops[i])) + 1]++] = i;
        }
    }
}

/* One group: the operations that share keys. */
struct group {
    const struct chk_op *all;
    const uint32_t *ops, *keys;
    uint32_t ops_count, keys_count;
};

static struct group group_at(const struct chk_history *h, const struct lists *l, uint32_t root)
{
    return (struct group){h->ops, l->ops + l->op_start[root], l->keys + l->key_start[root],
                          l->op_start[root + 1] - l->op_start[root],
                          l->key_start[root + 1] - l->key_start[root]};
}

/* Did `other` see the value that `part` may have written, or may it need its doing in another way?
 */
static bool is_seen_by(const struct chk_op *other, const struct chk_part *part)
{
    if (other->has_compare && other->compare_key == part->key) {
        bool is_refused = other->status == CHK_DONE && !other->is_applied;
        bool is_told = is_refused && other->has_seen && other->compare_seen == part->value;
        bool is_untold = is_refused && !other->has_seen;
        if (is_told || is_untold || (!is_refused && other->compare_value == part->value)) {
            return true;
        }
    }
    for (size_t i = 0; other->status == CHK_DONE && i < other->parts_count; i++) {
        const struct chk_part *seen = &other->parts[i];
        bool is_value = seen->kind != CHK_WRITE && seen->value == part->value;
        bool is_any = seen->kind == CHK_DELETE && seen->value != 0 && seen->revision == 0;
        if (seen->key == part->key && (is_value || is_any)) {
            return true;
        }
    }
    return false;
}

/* An operation of unknown outcome whose values nobody ever saw may be left out: it can as well
 * never have happened. */
static bool is_needed(const struct group *g, const struct chk_op *op)
{
    for (size_t j = 0; j < op->parts_count; j++) {
        if (op->parts[j].kind == CHK_DELETE) {
            return true;
        }
        for (size_t i = 0; i < g->ops_count; i++) {
            const struct chk_op *other = &g->all[g->ops[i]];
            if (other != op && is_seen_by(other, &op->parts[j])) {
                return true;
            }
        }
    }
    return false;
}

/* First return of an operation whose reply shows that `part` has happened; CHK_NO_RETURN when there
 * is none. */
static int64_t first_witness(const struct group *g, const struct chk_part *part)
{
    int64_t first = CHK_NO_RETURN;
    for (size_t i = 0; i < g->ops_count; i++) {
        const struct chk_op *op = &g->all[g->ops[i]];
        bool is_here = op->has_compare && op->compare_key == part->key;
        bool is_seen = op->status == CHK_DONE && is_here &&
                       (op->is_applied ? op->compare_value == part->value
                                       : op->has_seen && op->compare_seen == part->value);
        for (size_t j = 0; j < op->parts_count; j++) {
            const struct chk_part *other = &op->parts[j];
            bool is_same = other->key == part->key && other->value == part->value;
            if (is_same && other->kind == CHK_WRITE && other != part) {
                return CHK_NO_RETURN; /* another one wrote the same value: who knows whose was seen
                                       */
            }
            is_seen = is_seen || (is_same && other->kind == CHK_READ && op->status == CHK_DONE &&
                                  op->is_applied);
        }
        first = is_seen && op->return_us < first ? op->return_us : first;
    }
    return first;
}

/* An operation of unknown outcome whose value was seen has happened, before the one that saw it
 * returned. */
static int64_t happened_before(const struct group *g, const struct chk_op *op)
{
    int64_t first = CHK_NO_RETURN;
    for (size_t i = 0; i < op->parts_count; i++) {
        if (op->parts[i].kind == CHK_WRITE) {
            int64_t seen_us = first_witness(g, &op->parts[i]);
            first = seen_us < first ? seen_us : first;
        }
    }
    return first;
}

/* Fills the search with the operations of one group; false when it does not fit. */
static bool search_fill(struct search *s, const struct group *g)
{
    if (g->keys_count > CHK_MODEL_KEYS) {
        return false;
    }
    s->slots.count = g->keys_count;
    memcpy(s->slots.keys, g->keys, g->keys_count * sizeof(*g->keys));
    s->closed_count = s->open_count = 0;
    for (uint32_t at = 0; at < g->ops_count; at++) {
        uint32_t i = g->ops[at];
        const struct chk_op *op = &g->all[i];
        s->returns[i] = op->status == CHK_DONE ? op->return_us : happened_before(g, op);
        if (s->returns[i] != CHK_NO_RETURN) {
            s->closed[s->closed_count++] = i;
        } else if (chk_op_may_write(op) && is_needed(g, op)) {
            if (s->open_count == OPEN_MAX) {
                return false;
            }
            s->open[s->open_count++] = i;
        }
    }
    chk_sort(g->all, s->closed, s->closed_count, false);
    return true;
}

/* Takes what the bump allocator has left for stack and memo of this group. */
static bool search_room(struct search *s, struct bump b)
{
    s->stack_cap = (size_t)s->closed_count + s->open_count + 2;
    s->stack = bump_take(&b, s->stack_cap, sizeof(*s->stack));
    if (s->stack == NULL) {
        return false;
    }
    s->memo_cap = 16;
    while (s->memo_cap * 2 * sizeof(*s->memo) <= b.left &&
           s->memo_cap < (size_t)s->closed_count * 16) {
        s->memo_cap *= 2;
    }
    s->memo = bump_take(&b, s->memo_cap, sizeof(*s->memo));
    if (s->memo == NULL) {
        return false;
    }
    memset(s->memo, 0, s->memo_cap * sizeof(*s->memo));
    s->memo_used = s->depth = 0;
    s->best_base = 0;
    s->is_over = false;
    return true;
}

static enum chk_verdict search_group(struct search *s, struct bump b)
{
    enum chk_verdict verdict = search_room(s, b) ? search_run(s) : CHK_UNKNOWN;
    /* The memo grows only when it has to: most groups need little. */
    while (verdict == CHK_UNKNOWN && s->is_over && s->memo != NULL &&
           s->memo_used >= s->memo_cap / 4 * 3) {
        struct bump rest = b;
        size_t cap = s->memo_cap * 8;
        s->stack = bump_take(&rest, s->stack_cap, sizeof(*s->stack));
        s->memo = bump_take(&rest, cap, sizeof(*s->memo));
        if (s->memo == NULL) {
            break;
        }
        s->memo_cap = cap;
        memset(s->memo, 0, cap * sizeof(*s->memo));
        s->memo_used = s->depth = 0;
        s->is_over = false;
        verdict = search_run(s);
    }
    return verdict;
}

static void worse(struct chk_result *result, enum chk_verdict verdict, size_t op)
{
    if (verdict == CHK_OK || result->verdict == CHK_VIOLATED) {
        return;
    }
    result->verdict = verdict;
    result->op = op;
    result->text =
        verdict == CHK_VIOLATED ? "no order explains the replies" : "a limit of the search was met";
}

struct chk_result chk_linear(const struct chk_history *h, const struct chk_linear_limits *limits)
{
    struct chk_result result = {CHK_OK, "linearizable", SIZE_MAX, SIZE_MAX, 0};
    struct bump b = {limits->memory, limits->memory_bytes};
    struct search s = {.ops = h->ops, .steps_left = limits->steps_max};
    uint32_t *parent = bump_take(&b, h->keys_count, sizeof(*parent));
    s.closed = bump_take(&b, h->count, sizeof(*s.closed));
    s.returns = bump_take(&b, h->count, sizeof(*s.returns));
    struct lists lists = {.ops = NULL};
    if (parent == NULL || s.closed == NULL || s.returns == NULL || !lists_room(&lists, h, &b)) {
        worse(&result, CHK_UNKNOWN, SIZE_MAX);
        return result;
    }
    group_keys(h, parent);
    lists_fill(&lists, h, parent);
    for (uint32_t key = 0; key < h->keys_count; key++) {
        if (find_root(parent, key) != key) {
            continue;
        }
        struct group group = group_at(h, &lists, key);
        bool fits = search_fill(&s, &group);
        enum chk_verdict verdict = fits ? search_group(&s, b) : CHK_UNKNOWN;
        size_t stuck = fits && s.best_base < s.closed_count ? s.closed[s.best_base] : SIZE_MAX;
        worse(&result, verdict, stuck);
    }
    result.steps = limits->steps_max - s.steps_left;
    return result;
}
