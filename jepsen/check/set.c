/* SPDX-License-Identifier: Apache-2.0 */
/* Reads are gone through from the last to the first: an element that is missing in the read after
 * its run of sightings was missing there last. */
#include "jepsen/check/set.h"

#include "jepsen/check/append.h"
#include "jepsen/check/sort.h"

struct item {
    int64_t value;
    uint32_t tx;        /* that added it */
    uint32_t run;       /* reads from the last one on that contain it without a gap */
    uint32_t last_in;   /* read (from the last one, plus 1) that was counted for it */
    uint32_t in_larger; /* mark of judge_forks */
    bool is_seen;
    int64_t known_us; /* CHK_NO_RETURN: never */
};

struct set {
    const struct chk_log *log;
    struct chk_report *report;
    const char *allow;
    struct item *items; /* open addressing by value; tx + 1 of 0: free */
    size_t cap;
    uint32_t *reads; /* steps, in order of the earliest moment at which they can have happened */
    uint32_t *reader;
    int64_t *from_us; /* a read happened at this moment or later */
    uint32_t reads_count;
};

static struct item *item_at(const struct set *s, int64_t value)
{
    size_t slot = (size_t)((uint64_t)value * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (s->cap - 1);
    while (s->items[slot].tx != 0 && s->items[slot].value != value) {
        slot = (slot + 1) & (s->cap - 1);
    }
    return &s->items[slot];
}

static bool find(struct set *s, const char *rule, size_t tx, const char *what, int64_t value)
{
    chk_report_count(s->report, rule, 1);
    if (chk_is_allowed(s->allow, rule)) {
        return false;
    }
    bool is_first = chk_report_find(s->report, CHK_VIOLATED, rule);
    if (is_first) {
        chk_report_hit(s->report, tx, rule);
    }
    if (chk_report_line(s->report, rule)) {
        buf_put_text(&s->report->text, ": element ");
        buf_put_int(&s->report->text, value);
        buf_put_text(&s->report->text, " ");
        buf_put_text(&s->report->text, what);
        buf_put_text(&s->report->text, ": ");
        chk_report_tx(s->report, s->log, tx);
    }
    return is_first;
}

/* False when the workload added a value twice. */
static bool collect(struct set *s)
{
    for (uint32_t tx = 0; tx < s->log->txs_count; tx++) {
        const struct chk_tx *t = &s->log->txs[tx];
        for (uint32_t i = 0; i < t->count; i++) {
            const struct chk_tx_step *step = &s->log->steps[t->first + i];
            if (step->kind == CHK_ALL && step->is_known && t->status == CHK_DONE) {
                s->reads[s->reads_count] = t->first + i;
                s->reader[s->reads_count++] = tx;
            }
            if (step->kind != CHK_ADD) {
                continue;
            }
            struct item *item = item_at(s, step->value);
            if (item->tx != 0) {
                return false;
            }
            *item = (struct item){.value = step->value,
                                  .tx = tx + 1,
                                  .known_us = t->status == CHK_DONE ? t->return_us : CHK_NO_RETURN};
        }
    }
    return true;
}

static bool read_before(const void *list, size_t a, size_t b)
{
    const struct set *s = list;
    return s->from_us[a] < s->from_us[b];
}

static void read_swap(void *list, size_t a, size_t b)
{
    struct set *s = list;
    uint32_t step = s->reads[a], reader = s->reader[a];
    s->reads[a] = s->reads[b];
    s->reader[a] = s->reader[b];
    s->reads[b] = step;
    s->reader[b] = reader;
    int64_t from_us = s->from_us[a];
    s->from_us[a] = s->from_us[b];
    s->from_us[b] = from_us;
}

static void see(struct set *s, uint32_t from_last, uint32_t read)
{
    const struct chk_tx_step *step = &s->log->steps[s->reads[read]];
    const struct chk_tx *t = &s->log->txs[s->reader[read]];
    for (uint32_t i = 0; i < step->count; i++) {
        int64_t value = s->log->values[step->first + i];
        struct item *item = item_at(s, value);
        if (item->tx == 0 || s->log->txs[item->tx - 1].status == CHK_FAILED) {
            (void)find(s, "foreign", s->reader[read], "was read and never added", value);
            continue;
        }
        if (s->log->txs[item->tx - 1].call_us > t->return_us) {
            (void)find(s, "foreign", s->reader[read], "was read before its addition was called",
                       value);
        }
        if (item->last_in == from_last + 1) {
            (void)find(s, "duplicate", s->reader[read], "stands twice in one read", value);
            continue;
        }
        item->last_in = from_last + 1;
        item->run += item->run == from_last;
        item->is_seen = true;
        item->known_us = t->return_us < item->known_us ? t->return_us : item->known_us;
    }
}

static void put_max(int64_t *max, int64_t value)
{
    *max = value > *max ? value : *max;
}

static bool smaller_before(const void *list, size_t a, size_t b)
{
    const struct set *s = list;
    return s->log->steps[s->reads[a]].count < s->log->steps[s->reads[b]].count;
}

/* Not before its call, nor before the call of any addition that it saw, nor before a smaller read
 * could have happened. Leaves the reads in this order. */
static void date_reads(struct set *s)
{
    int64_t smaller_us = INT64_MIN, equal_us = INT64_MIN;
    chk_heap_sort(s, s->reads_count, smaller_before, read_swap);
    for (uint32_t read = 0; read < s->reads_count; read++) {
        const struct chk_tx_step *step = &s->log->steps[s->reads[read]];
        if (read > 0 && s->log->steps[s->reads[read - 1]].count < step->count) {
            smaller_us = equal_us;
        }
        int64_t from_us = s->log->txs[s->reader[read]].call_us;
        from_us = smaller_us > from_us ? smaller_us : from_us;
        for (uint32_t i = 0; i < step->count; i++) {
            const struct item *item = item_at(s, s->log->values[step->first + i]);
            int64_t added_us = item->tx == 0 ? INT64_MIN : s->log->txs[item->tx - 1].call_us;
            from_us = added_us > from_us ? added_us : from_us;
        }
        s->from_us[read] = from_us;
        equal_us = from_us > equal_us ? from_us : equal_us;
    }
    chk_heap_sort(s, s->reads_count, read_before, read_swap);
}

/* A set that only grows: of two reads the smaller one lies within the larger one. */
static void judge_forks(struct set *s)
{
    chk_heap_sort(s, s->reads_count, smaller_before, read_swap);
    for (uint32_t read = 1; read < s->reads_count; read++) {
        const struct chk_tx_step *small = &s->log->steps[s->reads[read - 1]];
        const struct chk_tx_step *large = &s->log->steps[s->reads[read]];
        for (uint32_t i = 0; i < large->count; i++) {
            item_at(s, s->log->values[large->first + i])->in_larger = read;
        }
        for (uint32_t i = 0; i < small->count; i++) {
            const struct item *item = item_at(s, s->log->values[small->first + i]);
            if (item->tx != 0 && item->in_larger != read) {
                if (find(s, "fork", s->reader[read],
                         "is missing beside elements that came without it", item->value)) {
                    chk_report_hit(s->report, s->reader[read - 1], "sees it, not all of the other");
                }
                break;
            }
        }
    }
}

/* What became of one element. */
static void judge_item(struct set *s, const struct item *item, int64_t *ret_stale_us,
                       int64_t *ret_lost_us)
{
    bool has_missed = item->run < s->reads_count;
    uint32_t missed = has_missed ? s->reads_count - 1 - item->run : 0;
    int64_t missed_us = has_missed ? s->from_us[missed] : 0;
    bool is_missed_late = has_missed && missed_us > item->known_us;
    bool is_acked = s->log->txs[item->tx - 1].status == CHK_DONE;
    if (item->known_us == CHK_NO_RETURN) {
        chk_report_count(s->report, "unconfirmed", 1);
    } else if (item->run == 0 && is_missed_late) {
        put_max(ret_lost_us, missed_us - item->known_us);
        if (find(s, is_acked ? "lost" : "vanished", item->tx - 1,
                 is_acked ? "was acknowledged and is missing in the last read"
                          : "was read once and is missing in the last read",
                 item->value)) {
            chk_report_hit(s->report, s->reader[missed], "does not see it");
        }
    } else if (item->run > 0) {
        chk_report_count(s->report, "stable", 1);
        if (is_missed_late) {
            put_max(ret_stale_us, missed_us - item->known_us);
            if (find(s, "stale", s->reader[missed], "was known and is missing in a later read",
                     item->value)) {
                chk_report_hit(s->report, item->tx - 1, "added it");
            }
        }
    } else {
        chk_report_count(s->report, "never_read", 1);
    }
}

void chk_set(const struct chk_log *log, const char *allow, struct base_arena *arena,
             struct chk_report *report)
{
    static const char *const counts[] = {"stable",      "lost",    "never_read",
                                         "stale",       "fork",    "vanished",
                                         "unconfirmed", "foreign", "duplicate"};
    int64_t stale_us = 0, lost_us = 0;
    struct set s = {.log = log, .report = report, .allow = allow, .cap = 16};
    while (s.cap < log->steps_count * 2) {
        s.cap *= 2;
    }
    for (size_t i = 0; i < BASE_COUNT_OF(counts); i++) {
        chk_report_count(report, counts[i], 0);
    }
    s.items = base_arena_take(arena, s.cap, sizeof(*s.items));
    s.reads = base_arena_take(arena, log->steps_count + 1, sizeof(*s.reads));
    s.reader = base_arena_take(arena, log->steps_count + 1, sizeof(*s.reader));
    s.from_us = base_arena_take(arena, log->steps_count + 1, sizeof(*s.from_us));
    if (s.items == NULL || s.reads == NULL || s.reader == NULL || s.from_us == NULL) {
        (void)chk_report_find(report, CHK_UNKNOWN, "memory too small");
        return;
    }
    if (!collect(&s)) {
        (void)chk_report_find(report, CHK_UNKNOWN, "an element was added twice by the workload");
        return;
    }
    date_reads(&s);
    for (uint32_t i = 0; i < s.reads_count; i++) {
        see(&s, i, s.reads_count - 1 - i);
    }
    for (size_t i = 0; i < s.cap; i++) {
        if (s.items[i].tx != 0 && chk_tx_may_have(&log->txs[s.items[i].tx - 1])) {
            judge_item(&s, &s.items[i], &stale_us, &lost_us);
        }
    }
    judge_forks(&s);
    chk_report_count(report, "reads", s.reads_count);
    chk_report_count(report, "stale_max_us", stale_us);
    chk_report_count(report, "lost_max_us", lost_us);
    if (chk_report_value(report, "stable") == 0) {
        (void)chk_report_find(report, CHK_UNKNOWN, "no element was stable");
    }
}
