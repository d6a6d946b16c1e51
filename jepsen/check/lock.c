/* SPDX-License-Identifier: Apache-2.0 */
/* Per lock: acquisitions and writes in order of call, beside a running maximum of what had
 * returned by then. */
#include "jepsen/check/lock.h"

#include "jepsen/check/sort.h"

struct hold {
    uint32_t lock;
    uint32_t tx;
    uint32_t process;
    int64_t token;
    int64_t call_us;
    int64_t from_us; /* return of the acquisition or write */
    int64_t to_us;   /* call of the release */
    bool is_write;
    bool is_told; /* the outcome is known */
};

struct locks {
    const struct chk_log *log;
    struct chk_report *report;
    struct hold *holds; /* by (lock, call) */
    uint32_t *by_return;
    size_t count;
};

static void find(struct locks *l, const char *rule, const char *name, const struct hold *a,
                 const struct hold *b)
{
    chk_report_count(l->report, name, 1);
    if (chk_report_find(l->report, CHK_VIOLATED, rule)) {
        chk_report_hit(l->report, a->tx, rule);
        if (b != NULL) {
            chk_report_hit(l->report, b->tx, "against this");
        }
    }
    if (chk_report_line(l->report, rule)) {
        buf_put_text(&l->report->text, ": ");
        chk_report_tx(l->report, l->log, a->tx);
        buf_put_text(&l->report->text, b == NULL ? "" : " after ");
        if (b != NULL) {
            chk_report_tx(l->report, l->log, b->tx);
        }
    }
}

static bool is_before(const struct hold *a, const struct hold *b)
{
    if (a->lock != b->lock) {
        return a->lock < b->lock;
    }
    return a->call_us != b->call_us ? a->call_us < b->call_us : a->tx < b->tx;
}

static bool hold_before(const void *list, size_t a, size_t b)
{
    const struct hold *holds = list;
    return is_before(&holds[a], &holds[b]);
}

static void hold_swap(void *list, size_t a, size_t b)
{
    struct hold *holds = list, kept = holds[a];
    holds[a] = holds[b];
    holds[b] = kept;
}

static void collect(struct locks *l)
{
    for (uint32_t tx = 0; tx < l->log->txs_count; tx++) {
        const struct chk_tx *t = &l->log->txs[tx];
        for (uint32_t i = 0; chk_tx_may_have(t) && i < t->count; i++) {
            const struct chk_tx_step *step = &l->log->steps[t->first + i];
            bool is_done = t->status == CHK_DONE, is_write = step->kind == CHK_GUARDED;
            if (is_write && is_done) {
                chk_report_count(l->report, step->is_accepted ? "accepted" : "refused", 1);
            }
            bool is_taken = is_write && is_done && step->is_accepted;
            if (step->kind != CHK_ACQUIRE && !is_taken) {
                continue;
            }
            l->holds[l->count++] = (struct hold){.lock = step->name,
                                                 .tx = tx,
                                                 .process = t->process,
                                                 .token = step->value,
                                                 .call_us = t->call_us,
                                                 .from_us = t->return_us,
                                                 .to_us = CHK_NO_RETURN,
                                                 .is_write = is_write,
                                                 .is_told = is_done};
        }
    }
    chk_heap_sort(l->holds, l->count, hold_before, hold_swap);
}

/* A release ends the hold of the same process and token at its call, whatever came of it. */
static void note_releases(struct locks *l)
{
    for (uint32_t tx = 0; tx < l->log->txs_count; tx++) {
        const struct chk_tx *t = &l->log->txs[tx];
        for (uint32_t i = 0; i < t->count; i++) {
            const struct chk_tx_step *step = &l->log->steps[t->first + i];
            const struct hold from = {.lock = step->name, .call_us = t->call_us, .tx = tx};
            size_t low = 0, high = l->count;
            while (low < high) {
                size_t middle = low + (high - low) / 2;
                bool is_lower = is_before(&l->holds[middle], &from);
                low = is_lower ? middle + 1 : low;
                high = is_lower ? high : middle;
            }
            for (size_t at = low; step->kind == CHK_RELEASE && at-- > 0;) {
                struct hold *hold = &l->holds[at];
                if (hold->lock != step->name) {
                    break;
                }
                if (!hold->is_write && hold->process == t->process) {
                    hold->to_us = t->call_us < hold->to_us ? t->call_us : hold->to_us;
                    break;
                }
            }
        }
    }
}

/* Writes of one lock (or its acquisitions): in order of call, against the highest token that had
 * returned before. `from` to `to` are the holds of the lock. */
static void judge_order(struct locks *l, size_t from, size_t to, bool is_write)
{
    size_t count = 0, returned = 0;
    for (size_t i = from; i < to; i++) {
        if (l->holds[i].is_write == is_write && l->holds[i].is_told) {
            l->by_return[count++] = (uint32_t)i;
        }
    }
    /* Insertion: nearly sorted already, since few overlap. */
    for (size_t i = 1; i < count; i++) {
        uint32_t moved = l->by_return[i];
        size_t at = i;
        for (; at > 0 && l->holds[l->by_return[at - 1]].from_us > l->holds[moved].from_us; at--) {
            l->by_return[at] = l->by_return[at - 1];
        }
        l->by_return[at] = moved;
    }
    const struct hold *highest = NULL;
    for (size_t i = from; i < to; i++) {
        const struct hold *hold = &l->holds[i];
        if (hold->is_write != is_write || !hold->is_told) {
            continue;
        }
        while (returned < count && l->holds[l->by_return[returned]].from_us < hold->call_us) {
            const struct hold *before = &l->holds[l->by_return[returned++]];
            highest = highest == NULL || before->token > highest->token ? before : highest;
        }
        if (highest != NULL && hold->token < highest->token) {
            find(l, is_write ? "old token accepted" : "token goes back",
                 is_write ? "old_token_accepted" : "token_goes_back", hold, highest);
        }
    }
}

/* Same tokens, and writes under tokens that nobody can have. */
static void judge_tokens(struct locks *l, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        const struct hold *hold = &l->holds[i];
        bool is_given = false, is_open = false;
        for (size_t j = from; j < to; j++) {
            const struct hold *other = &l->holds[j];
            if (other->is_write || (hold->is_write && other->call_us > hold->from_us)) {
                continue;
            }
            is_open = is_open || !other->is_told;
            bool is_same = other->is_told && other->token == hold->token;
            is_given = is_given || is_same;
            if (!hold->is_write && hold->is_told && is_same && j < i) {
                find(l, "token twice", "token_twice", hold, other);
            }
        }
        if (hold->is_write && !is_given && !is_open) {
            find(l, "token never given", "token_never_given", hold, NULL);
        }
    }
}

/* Two holders for certain: each had the answer, and neither had asked to release. */
static void judge_time(struct locks *l, size_t from, size_t to, bool no_tokens)
{
    for (size_t i = from; i < to; i++) {
        const struct hold *a = &l->holds[i];
        for (size_t j = from; j < i && !a->is_write && a->is_told; j++) {
            const struct hold *b = &l->holds[j];
            int64_t start = a->from_us > b->from_us ? a->from_us : b->from_us;
            int64_t end = a->to_us < b->to_us ? a->to_us : b->to_us;
            if (b->is_write || !b->is_told || b->process == a->process || start >= end) {
                continue;
            }
            chk_report_count(l->report, "overlaps", 1);
            if (no_tokens) {
                find(l, "held twice", "held_twice", a, b);
            }
        }
    }
}

void chk_lock(const struct chk_log *log, bool no_tokens, struct base_arena *arena,
              struct chk_report *report)
{
    static const char *const counts[] = {"acquired",    "accepted",           "refused",
                                         "overlaps",    "old_token_accepted", "token_goes_back",
                                         "token_twice", "token_never_given"};
    struct locks l = {.log = log, .report = report};
    for (size_t i = 0; i < BASE_COUNT_OF(counts); i++) {
        chk_report_count(report, counts[i], 0);
    }
    l.holds = base_arena_take(arena, log->steps_count + 1, sizeof(*l.holds));
    l.by_return = base_arena_take(arena, log->steps_count + 1, sizeof(*l.by_return));
    if (l.holds == NULL || l.by_return == NULL) {
        (void)chk_report_find(report, CHK_UNKNOWN, "memory too small");
        return;
    }
    collect(&l);
    note_releases(&l);
    for (size_t from = 0, to = 0; from < l.count; from = to) {
        for (to = from; to < l.count && l.holds[to].lock == l.holds[from].lock; to++) {
            bool is_acquired = !l.holds[to].is_write && l.holds[to].is_told;
            chk_report_count(report, "acquired", is_acquired);
        }
        if (!no_tokens) {
            judge_order(&l, from, to, false);
            judge_order(&l, from, to, true);
            judge_tokens(&l, from, to);
        }
        judge_time(&l, from, to, no_tokens);
    }
    if (chk_report_value(report, "acquired") == 0 ||
        (!no_tokens && chk_report_value(report, "accepted") == 0)) {
        (void)chk_report_find(report, CHK_UNKNOWN, "nothing was acquired, or nothing accepted");
    }
}
