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

/* Numbers of holds, to be sorted by something else than their call. */
struct numbers {
    const struct hold *holds;
    uint32_t *list;
};

static void number_swap(void *list, size_t i, size_t j)
{
    uint32_t *numbers = ((struct numbers *)list)->list, kept = numbers[i];
    numbers[i] = numbers[j];
    numbers[j] = kept;
}

static bool from_before(const void *list, size_t i, size_t j)
{
    const struct numbers *n = list;
    return n->holds[n->list[i]].from_us < n->holds[n->list[j]].from_us;
}

/* Those of known outcome among the holds `from` to `to`, in order of their return. */
static size_t sort_returns(struct locks *l, size_t from, size_t to, bool is_write)
{
    size_t count = 0;
    for (size_t i = from; i < to; i++) {
        if (l->holds[i].is_write == is_write && l->holds[i].is_told) {
            l->by_return[count++] = (uint32_t)i;
        }
    }
    struct numbers numbers = {l->holds, l->by_return};
    chk_heap_sort(&numbers, count, from_before, number_swap);
    return count;
}

/* Writes of one lock (or its acquisitions): in order of call, against the highest token that had
 * returned before. `from` to `to` are the holds of the lock. */
static void judge_order(struct locks *l, size_t from, size_t to, bool is_write)
{
    size_t count = sort_returns(l, from, to, is_write), returned = 0;
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

/* By token, acquisitions first. */
static bool token_before(const void *list, size_t i, size_t j)
{
    const struct numbers *t = list;
    const struct hold *a = &t->holds[t->list[i]], *b = &t->holds[t->list[j]];
    if (a->token != b->token) {
        return a->token < b->token;
    }
    return a->is_write != b->is_write ? b->is_write : a->call_us < b->call_us;
}

/* Same tokens, and writes under tokens that nobody can have: the first acquisition with the token,
 * or one of unknown outcome, must have been called by then. */
static void judge_tokens(struct locks *l, size_t from, size_t to)
{
    size_t count = 0;
    int64_t unknown_us = CHK_NO_RETURN;
    for (size_t i = from; i < to; i++) {
        const struct hold *hold = &l->holds[i];
        if (hold->is_told) {
            l->by_return[count++] = (uint32_t)i;
        } else if (hold->call_us < unknown_us) {
            unknown_us = hold->call_us;
        }
    }
    struct numbers by = {l->holds, l->by_return};
    chk_heap_sort(&by, count, token_before, number_swap);
    const struct hold *giver = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct hold *hold = &l->holds[l->by_return[i]];
        bool is_same = giver != NULL && giver->token == hold->token;
        if (hold->is_write) {
            bool is_given = is_same && giver->call_us <= hold->from_us;
            if (!is_given && unknown_us > hold->from_us) {
                find(l, "token never given", "token_never_given", hold, NULL);
            }
        } else if (is_same) {
            find(l, "token twice", "token_twice", hold, giver);
        } else {
            giver = hold;
        }
    }
}

/* Two holders for certain: each had the answer, and neither had asked to release. In order of the
 * answer, a holder overlaps with whoever lasts longest among those before it. */
static void judge_time(struct locks *l, size_t from, size_t to, bool no_tokens)
{
    size_t count = sort_returns(l, from, to, false);
    const struct hold *longest = NULL, *second = NULL; /* of another process than the longest */
    for (size_t i = 0; i < count; i++) {
        const struct hold *a = &l->holds[l->by_return[i]];
        bool is_own = longest != NULL && longest->process == a->process;
        const struct hold *b = is_own ? second : longest;
        if (b != NULL && b->to_us > a->from_us && a->to_us > a->from_us) {
            chk_report_count(l->report, "overlaps", 1);
            if (no_tokens) {
                find(l, "held twice", "held_twice", a, b);
            }
        }
        if (longest == NULL || a->to_us >= longest->to_us) {
            second = is_own ? second : longest;
            longest = a;
        } else if (!is_own && (second == NULL || a->to_us >= second->to_us)) {
            second = a;
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
