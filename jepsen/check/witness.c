/* SPDX-License-Identifier: Apache-2.0 */
/* Three passes: give every write its revision (told, or learnt from a reader), line up the writes
 * of each key by revision, then judge each operation against that and against real time.
 */
#include "jepsen/check/witness.h"

#include "jepsen/check/sort.h"

/* One change of one key. */
struct change {
    uint64_t revision;
    int64_t value; /* 0: deleted */
    uint32_t key;
    uint32_t op;
};

struct witness {
    const struct chk_history *h;
    uint64_t *revision; /* of each operation, told or learnt; 0 none */
    uint32_t *by_call;
    uint32_t *by_return;
    uint32_t *unknown; /* operations of unknown outcome */
    size_t unknown_count;
    struct change *changes; /* sorted by (key, revision) */
    size_t changes_count;
    struct chk_result result;
};

static size_t round_up(size_t bytes)
{
    return (bytes + 15) & ~(size_t)15;
}

size_t chk_witness_bytes(size_t count, size_t keys)
{
    (void)keys;
    return round_up(count * sizeof(uint64_t)) + 3 * round_up(count * sizeof(uint32_t)) +
           round_up(count * CHK_PARTS_MAX * sizeof(struct change));
}

static bool violated(struct witness *w, const char *text, size_t op, size_t other)
{
    w->result = (struct chk_result){CHK_VIOLATED, text, op, other, w->result.steps};
    return false;
}

/* --- pass 1: revisions --- */

/* The operation of unknown outcome that wrote this value to this key; SIZE_MAX when there is none.
 * Values are unique, so there is one at most. */
static size_t find_unknown_writer(const struct witness *w, uint32_t key, int64_t value)
{
    for (size_t i = 0; i < w->unknown_count; i++) {
        const struct chk_op *op = &w->h->ops[w->unknown[i]];
        for (size_t j = 0; j < op->parts_count; j++) {
            const struct chk_part *part = &op->parts[j];
            if (part->kind == CHK_WRITE && part->key == key && part->value == value) {
                return w->unknown[i];
            }
        }
    }
    return SIZE_MAX;
}

/* A reader saw (key, value) under a modification revision: whoever wrote it may be one of unknown
 * outcome. */
static bool learn_from(struct witness *w, size_t reader, const struct chk_part *seen)
{
    size_t writer = find_unknown_writer(w, seen->key, seen->value);
    if (writer == SIZE_MAX) {
        return true; /* a known writer, or nobody: judged by the third pass */
    }
    if (w->revision[writer] != 0 && w->revision[writer] != seen->revision) {
        return violated(w, "unknown write twice", reader, writer);
    }
    if (w->h->ops[reader].return_us < w->h->ops[writer].call_us) {
        return violated(w, "seen before its call", reader, writer);
    }
    w->revision[writer] = seen->revision;
    return true;
}

static bool learn_revisions(struct witness *w)
{
    for (size_t i = 0; i < w->h->count; i++) {
        const struct chk_op *op = &w->h->ops[i];
        if (op->status == CHK_DONE) {
            if (op->revision == 0) {
                w->result =
                    (struct chk_result){CHK_UNKNOWN, "a reply without revision", i, SIZE_MAX, 0};
                return false;
            }
            w->revision[i] = op->revision;
        }
    }
    for (size_t i = 0; i < w->h->count; i++) {
        const struct chk_op *op = &w->h->ops[i];
        if (op->status == CHK_DONE && op->has_seen && op->seen_revision != 0) {
            struct chk_part seen = {CHK_READ, op->compare_key, op->compare_seen, op->seen_revision};
            if (!learn_from(w, i, &seen)) {
                return false;
            }
        }
        for (size_t j = 0; op->status == CHK_DONE && op->is_applied && j < op->parts_count; j++) {
            const struct chk_part *part = &op->parts[j];
            bool is_told = part->kind != CHK_WRITE && part->value != 0 && part->revision != 0;
            if (is_told && !learn_from(w, i, part)) {
                return false;
            }
        }
    }
    return true;
}

/* --- pass 2: the changes of each key, in order --- */

static bool change_before(const void *list, size_t i, size_t j)
{
    const struct change *a = (const struct change *)list + i, *b = (const struct change *)list + j;
    return a->key != b->key ? a->key < b->key : a->revision < b->revision;
}

static void change_swap(void *list, size_t i, size_t j)
{
    struct change *changes = list, kept = changes[i];
    changes[i] = changes[j];
    changes[j] = kept;
}

static void collect_changes(struct witness *w)
{
    for (size_t i = 0; i < w->h->count; i++) {
        const struct chk_op *op = &w->h->ops[i];
        if (w->revision[i] == 0 || !chk_op_may_write(op)) {
            continue;
        }
        for (size_t j = 0; j < op->parts_count; j++) {
            const struct chk_part *part = &op->parts[j];
            bool is_change =
                part->kind == CHK_WRITE || (part->kind == CHK_DELETE && part->value != 0);
            if (is_change) {
                int64_t value = part->kind == CHK_WRITE ? part->value : 0;
                w->changes[w->changes_count++] =
                    (struct change){w->revision[i], value, part->key, (uint32_t)i};
            }
        }
    }
    chk_heap_sort(w->changes, w->changes_count, change_before, change_swap);
}

static bool check_unique(struct witness *w)
{
    for (size_t i = 1; i < w->changes_count; i++) {
        const struct change *a = &w->changes[i - 1], *b = &w->changes[i];
        if (a->key == b->key && a->revision == b->revision && a->op != b->op) {
            return violated(w, "revision twice", a->op, b->op);
        }
    }
    return true;
}

/* --- pass 3: every operation against the order --- */

/* The newest change of `key` at or below `revision`; NULL when there is none. */
static const struct change *newest(const struct witness *w, uint32_t key, uint64_t revision)
{
    size_t low = 0, high = w->changes_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct change *c = &w->changes[middle];
        if (c->key < key || (c->key == key && c->revision <= revision)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 && w->changes[low - 1].key == key ? &w->changes[low - 1] : NULL;
}

/* Could an operation of unknown outcome, not placed yet, have changed the key before `reader`
 * returned? One that wrote a value which somebody saw has been placed; so a reader that saw nothing
 * asks for deletions only. */
static bool may_be_changed(const struct witness *w, uint32_t key, const struct chk_op *reader,
                           bool deletions_only)
{
    for (size_t i = 0; i < w->unknown_count; i++) {
        const struct chk_op *op = &w->h->ops[w->unknown[i]];
        if (w->revision[w->unknown[i]] != 0 || op->call_us > reader->return_us) {
            continue;
        }
        for (size_t j = 0; j < op->parts_count; j++) {
            enum chk_kind kind = op->parts[j].kind;
            if (op->parts[j].key == key &&
                (kind == CHK_DELETE || (kind == CHK_WRITE && !deletions_only))) {
                return true;
            }
        }
    }
    return false;
}

static bool check_read(struct witness *w, size_t index, const struct chk_part *part)
{
    const struct chk_op *op = &w->h->ops[index];
    uint64_t at = chk_op_is_write(op) ? op->revision - 1 : op->revision;
    const struct change *c = newest(w, part->key, at);
    size_t other = c != NULL ? c->op : SIZE_MAX;
    int64_t expected = c != NULL ? c->value : 0;
    if (part->value == 0) {
        return expected == 0 || may_be_changed(w, part->key, op, true) ||
               violated(w, "stale or foreign read", index, other);
    }
    if (c == NULL || expected != part->value) {
        return violated(w, "stale or foreign read", index, other);
    }
    if (part->revision != 0 && part->revision != c->revision) {
        return violated(w, "stale or foreign read", index, other);
    }
    return true;
}

static bool check_compare(struct witness *w, size_t index)
{
    const struct chk_op *op = &w->h->ops[index];
    uint64_t at = chk_op_is_write(op) ? op->revision - 1 : op->revision;
    const struct change *c = newest(w, op->compare_key, at);
    int64_t value = c != NULL ? c->value : 0;
    if (!op->is_applied && op->has_seen) {
        struct chk_part seen = {CHK_READ, op->compare_key, op->compare_seen, op->seen_revision};
        return op->compare_seen == op->compare_value
                   ? violated(w, "comparison wrong", index, SIZE_MAX)
                   : check_read(w, index, &seen);
    }
    if ((value == op->compare_value) == op->is_applied ||
        may_be_changed(w, op->compare_key, op, false)) {
        return true;
    }
    return violated(w, "comparison wrong", index, c != NULL ? c->op : SIZE_MAX);
}

static bool check_op(struct witness *w, size_t index)
{
    const struct chk_op *op = &w->h->ops[index];
    if (op->status != CHK_DONE) {
        return true;
    }
    if (op->has_compare && !check_compare(w, index)) {
        return false;
    }
    for (size_t j = 0; op->is_applied && j < op->parts_count; j++) {
        const struct chk_part *part = &op->parts[j];
        if (part->kind == CHK_READ && !check_read(w, index, part)) {
            return false;
        }
        if (part->kind == CHK_DELETE && part->revision != 0) {
            if (!check_read(w, index, part)) {
                return false;
            }
        } else if (part->kind == CHK_DELETE) {
            uint64_t at = part->value != 0 ? op->revision - 1 : op->revision;
            const struct change *c = newest(w, part->key, at);
            bool was_there = c != NULL && c->value != 0;
            bool is_fine =
                was_there == (part->value != 0) || may_be_changed(w, part->key, op, false);
            if (!is_fine) {
                return violated(w, "stale or foreign read", index, c != NULL ? c->op : SIZE_MAX);
            }
        }
    }
    return true;
}

/* Whoever is called after another returned has no lower revision, and a higher one when it wrote.
 */
static bool check_real_time(struct witness *w)
{
    const struct chk_op *ops = w->h->ops;
    size_t returned = 0, highest_op = SIZE_MAX;
    uint64_t highest = 0;
    for (size_t i = 0; i < w->h->count; i++) {
        uint32_t index = w->by_call[i];
        while (returned < w->h->count &&
               ops[w->by_return[returned]].return_us < ops[index].call_us) {
            uint32_t before = w->by_return[returned++];
            if (ops[before].status == CHK_DONE && w->revision[before] > highest) {
                highest = w->revision[before];
                highest_op = before;
            }
        }
        uint64_t revision = w->revision[index];
        bool is_strict = chk_op_may_write(&ops[index]);
        if (revision != 0 && highest != 0 &&
            (is_strict ? revision <= highest : revision < highest)) {
            return violated(w, "order against real time", index, highest_op);
        }
    }
    return true;
}

struct chk_result chk_witness(const struct chk_history *h, void *memory, size_t memory_bytes)
{
    struct witness w = {.h = h, .result = {CHK_OK, "revisions agree", SIZE_MAX, SIZE_MAX, 0}};
    if (memory_bytes < chk_witness_bytes(h->count, h->keys_count)) {
        w.result = (struct chk_result){CHK_UNKNOWN, "memory too small", SIZE_MAX, SIZE_MAX, 0};
        return w.result;
    }
    uint8_t *at = memory;
    w.revision = (uint64_t *)(void *)at;
    at += round_up(h->count * sizeof(uint64_t));
    w.by_call = (uint32_t *)(void *)at;
    at += round_up(h->count * sizeof(uint32_t));
    w.by_return = (uint32_t *)(void *)at;
    at += round_up(h->count * sizeof(uint32_t));
    w.unknown = (uint32_t *)(void *)at;
    at += round_up(h->count * sizeof(uint32_t));
    w.changes = (struct change *)(void *)at;
    for (uint32_t i = 0; i < h->count; i++) {
        w.revision[i] = 0;
        w.by_call[i] = w.by_return[i] = i;
        if (h->ops[i].status == CHK_INFO || h->ops[i].status == CHK_INVOKED) {
            w.unknown[w.unknown_count++] = i;
        }
    }
    chk_sort(h->ops, w.by_call, h->count, false);
    chk_sort(h->ops, w.by_return, h->count, true);
    if (!learn_revisions(&w)) {
        return w.result;
    }
    collect_changes(&w);
    bool is_fine = check_unique(&w) && check_real_time(&w);
    for (size_t i = 0; is_fine && i < h->count; i++) {
        is_fine = check_op(&w, i);
    }
    return w.result;
}
