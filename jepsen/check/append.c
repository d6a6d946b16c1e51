/* SPDX-License-Identifier: Apache-2.0 */
/* List appends: elements and versions here, edges and cycles in append_cycles.c. */
#include "jepsen/check/append_inner.h"

#define NONE UINT32_MAX

/* --- elements by (key, value) --- */

static size_t element_slot(const struct append *a, uint32_t key, int64_t value)
{
    uint64_t hash = ((uint64_t)key << 32 ^ (uint64_t)value) * UINT64_C(0x9e3779b97f4a7c15);
    size_t slot = (size_t)(hash >> 20) & (a->index_cap - 1);
    while (a->index[slot] != 0) {
        const struct element *e = &a->elements[a->index[slot] - 1];
        if (e->key == key && e->value == value) {
            break;
        }
        slot = (slot + 1) & (a->index_cap - 1);
    }
    return slot;
}

static struct element *element_of(const struct append *a, uint32_t key, int64_t value)
{
    uint32_t found = a->index[element_slot(a, key, value)];
    return found == 0 ? NULL : &a->elements[found - 1];
}

const struct element *append_element(const struct append *a, uint32_t key, int64_t value)
{
    return element_of(a, key, value);
}

static bool find(struct append *a, enum chk_verdict verdict, const char *rule, uint32_t tx,
                 const char *what)
{
    chk_report_count(a->report, rule, 1);
    if (chk_is_allowed(a->options->allow, rule)) {
        return false;
    }
    bool is_first = chk_report_find(a->report, verdict, rule);
    if (chk_report_line(a->report, rule)) {
        buf_put_text(&a->report->text, ": ");
        buf_put_text(&a->report->text, what);
        buf_put_text(&a->report->text, ": ");
        chk_report_tx(a->report, a->log, tx);
    }
    if (is_first) {
        chk_report_hit(a->report, tx, rule);
    }
    return is_first;
}

/* Elements of one transaction are numbered in the order of its steps. */
static void link_element(struct append *a, uint32_t number)
{
    struct element *e = &a->elements[number - 1];
    for (uint32_t i = number - 1; i > 0 && a->elements[i - 1].tx == e->tx; i--) {
        if (a->elements[i - 1].key == e->key) {
            a->elements[i - 1].is_last = false;
            e->before = i;
            return;
        }
    }
}

static bool collect_elements(struct append *a)
{
    for (uint32_t tx = 0; tx < a->log->txs_count; tx++) {
        for (uint32_t i = 0; i < a->log->txs[tx].count; i++) {
            const struct chk_tx_step *step = &a->log->steps[a->log->txs[tx].first + i];
            if (step->kind != CHK_APPEND) {
                continue;
            }
            size_t slot = element_slot(a, step->name, step->value);
            if (a->index[slot] != 0) {
                (void)find(a, CHK_UNKNOWN, "a value was appended twice by the workload", tx, "by");
                return false;
            }
            a->elements[a->elements_count] = (struct element){
                .key = step->name, .value = step->value, .tx = tx, .is_last = true};
            a->index[slot] = ++a->elements_count;
            link_element(a, a->elements_count);
        }
    }
    return true;
}

/* --- reads --- */

/* How much of a read list is from before the transaction itself: all but its own values at the end,
 * which must be all that it has appended so far. NONE when they are not. */
uint32_t append_outer(const struct append *a, uint32_t tx, uint32_t at)
{
    const struct chk_tx *t = &a->log->txs[tx];
    const struct chk_tx_step *read = &a->log->steps[t->first + at];
    uint32_t left = read->count;
    for (uint32_t i = at; i-- > 0;) {
        const struct chk_tx_step *step = &a->log->steps[t->first + i];
        if (step->kind != CHK_APPEND || step->name != read->name) {
            continue;
        }
        if (left == 0 || a->log->values[read->first + left - 1] != step->value) {
            return NONE;
        }
        left--;
    }
    for (uint32_t i = 0; i < left; i++) {
        const struct element *e = element_of(a, read->name, a->log->values[read->first + i]);
        if (e != NULL && e->tx == tx) {
            return NONE;
        }
    }
    return left;
}

/* An earlier read of the same key in the same transaction must have seen as much. */
static bool agrees_with_itself(const struct append *a, uint32_t tx, uint32_t at, uint32_t outer)
{
    const struct chk_tx *t = &a->log->txs[tx];
    const struct chk_tx_step *read = &a->log->steps[t->first + at];
    for (uint32_t i = 0; i < at; i++) {
        const struct chk_tx_step *step = &a->log->steps[t->first + i];
        bool is_same = step->kind == CHK_LIST && step->is_known && step->name == read->name;
        if (is_same && append_outer(a, tx, i) != outer) {
            return false;
        }
    }
    return true;
}

static void learn_longest(struct append *a)
{
    for (uint32_t tx = 0; tx < a->log->txs_count; tx++) {
        const struct chk_tx *t = &a->log->txs[tx];
        for (uint32_t i = 0; t->status == CHK_DONE && i < t->count; i++) {
            const struct chk_tx_step *step = &a->log->steps[t->first + i];
            if (step->kind != CHK_LIST || !step->is_known) {
                continue;
            }
            struct version *v = &a->versions[step->name];
            if (v->step == 0 || step->count > v->count) {
                v->step = t->first + i + 1;
                v->count = step->count;
                v->reader = tx;
            }
            v->last_call_us =
                v->reads == 0 || t->call_us > v->last_call_us ? t->call_us : v->last_call_us;
            v->reads++;
            a->reads++;
        }
    }
}

/* What one transaction appended to a key stands together, in its order. */
static void judge_together(struct append *a)
{
    for (uint32_t i = 0; i < a->elements_count; i++) {
        const struct element *e = &a->elements[i];
        bool is_torn =
            e->order != 0 && e->before != 0 && a->elements[e->before - 1].order + 1 != e->order;
        if (is_torn &&
            find(a, CHK_VIOLATED, "torn", e->tx, "its values do not stand together in the list")) {
            chk_report_hit(a->report, a->versions[e->key].reader, "longest list");
        }
    }
}

static void judge_versions(struct append *a, uint32_t key)
{
    struct version *v = &a->versions[key];
    for (uint32_t i = 0; i < v->count; i++) {
        struct element *e = element_of(a, key, version_value(a, v, i));
        if (e == NULL) {
            (void)find(a, CHK_VIOLATED, "foreign", v->reader, "a value nobody appended was read");
        } else if (e->order != 0) {
            (void)find(a, CHK_VIOLATED, "duplicate", v->reader, "a value stands twice in a list");
        } else {
            e->order = i + 1;
            if (a->log->txs[e->tx].status == CHK_FAILED &&
                find(a, CHK_VIOLATED, "G1a", v->reader, "a value of a failed one was read")) {
                chk_report_hit(a->report, e->tx, "failed");
            }
        }
    }
}

bool append_is_prefix(const struct append *a, const struct chk_tx_step *read)
{
    const struct version *v = &a->versions[read->name];
    return memcmp(&a->log->values[read->first], &a->log->values[a->log->steps[v->step - 1].first],
                  read->count * sizeof(int64_t)) == 0;
}

/* The last value that came from others must be the last one of its transaction. */
static void judge_middle(struct append *a, uint32_t tx, const struct chk_tx_step *read,
                         uint32_t outer)
{
    const struct element *e =
        outer == 0 ? NULL : element_of(a, read->name, a->log->values[read->first + outer - 1]);
    if (e != NULL && !e->is_last &&
        find(a, CHK_VIOLATED, "G1b", tx, "saw the middle of another transaction")) {
        chk_report_hit(a->report, e->tx, "its appends");
    }
}

static void judge_read(struct append *a, uint32_t tx, uint32_t at)
{
    const struct chk_tx_step *read = &a->log->steps[a->log->txs[tx].first + at];
    uint32_t outer = append_outer(a, tx, at);
    if (outer == NONE || !agrees_with_itself(a, tx, at, outer)) {
        (void)find(a, CHK_VIOLATED, "internal", tx, "disagrees with its own steps");
        return;
    }
    if (read->count > 0 && !append_is_prefix(a, read)) {
        if (find(a, CHK_VIOLATED, "incompatible", tx,
                 "its list is no beginning of the longest one")) {
            chk_report_hit(a->report, a->versions[read->name].reader, "longest list");
        }
        return;
    }
    judge_middle(a, tx, read, outer);
}

static void judge_reads(struct append *a)
{
    for (uint32_t tx = 0; tx < a->log->txs_count; tx++) {
        const struct chk_tx *t = &a->log->txs[tx];
        for (uint32_t i = 0; t->status == CHK_DONE && i < t->count; i++) {
            const struct chk_tx_step *step = &a->log->steps[t->first + i];
            if (step->kind == CHK_LIST && step->is_known) {
                judge_read(a, tx, i);
            }
        }
    }
}

/* Acknowledged, and a read that began afterwards does not have it. */
static void judge_lost(struct append *a)
{
    for (uint32_t i = 0; i < a->elements_count; i++) {
        const struct element *e = &a->elements[i];
        const struct chk_tx *t = &a->log->txs[e->tx];
        const struct version *v = &a->versions[e->key];
        if (e->order != 0 || t->status != CHK_DONE) {
            continue;
        }
        chk_report_count(a->report, "unread", 1);
        if (v->reads > 0 && v->last_call_us > t->return_us) {
            bool is_first =
                find(a, CHK_VIOLATED, "lost", e->tx, "acknowledged, and missing in a later read");
            if (is_first) {
                chk_report_hit(a->report, v->reader, "longest list");
            }
        }
    }
}

bool chk_is_allowed(const char *allow, const char *name)
{
    struct slice left = slice_from_text(allow), want = slice_from_text(name);
    while (left.len > 0) {
        size_t len = 0;
        while (len < left.len && left.data[len] != ',') {
            len++;
        }
        if (slice_equal(slice_from(left.data, len), want)) {
            return true;
        }
        left = slice_skip(left, len + 1);
    }
    return false;
}

static bool prepare(struct append *a, struct base_arena *arena)
{
    a->index_cap = 16;
    while (a->index_cap < a->log->steps_count * 2) {
        a->index_cap *= 2;
    }
    a->elements = base_arena_take(arena, a->log->steps_count + 1, sizeof(*a->elements));
    a->index = base_arena_take(arena, a->index_cap, sizeof(*a->index));
    a->versions = base_arena_take(arena, a->log->names_count + 1, sizeof(*a->versions));
    return a->elements != NULL && a->index != NULL && a->versions != NULL;
}

void chk_append(const struct chk_log *log, const struct chk_append_options *options,
                struct base_arena *arena, struct chk_report *report)
{
    static const char *const counts[] = {"lost", "incompatible", "duplicate", "foreign", "G1a",
                                         "G1b",  "internal",     "torn",      "cycles",  "unread"};
    struct append a = {.log = log, .options = options, .report = report};
    for (size_t i = 0; i < BASE_COUNT_OF(counts); i++) {
        chk_report_count(report, counts[i], 0);
    }
    if (!prepare(&a, arena)) {
        (void)chk_report_find(report, CHK_UNKNOWN, "memory too small");
        return;
    }
    if (!collect_elements(&a)) {
        return;
    }
    learn_longest(&a);
    for (uint32_t key = 0; key < log->names_count; key++) {
        judge_versions(&a, key);
    }
    judge_together(&a);
    judge_reads(&a);
    judge_lost(&a);
    append_cycles(&a, arena);
    chk_report_count(report, "appends", (int64_t)a.elements_count);
    chk_report_count(report, "reads", (int64_t)a.reads);
    if (a.reads == 0 || a.elements_count == 0) {
        (void)chk_report_find(report, CHK_UNKNOWN, "nothing was appended or nothing was read");
    }
}
