/* SPDX-License-Identifier: Apache-2.0 */
/* Stretches without acknowledgement; see rto.h. */
#include "jepsen/check/rto.h"

#include "jepsen/check/sort.h"

/* The stretch of one fault. */
struct stretch {
    uint32_t kind;
    int64_t on_us;
    int64_t from_us; /* last acknowledgement before */
    int64_t to_us;   /* first one after; CHK_NO_RETURN none came */
};

struct rto {
    const struct chk_log *log;
    struct chk_report *report;
    const int64_t *acks;
    size_t acks_count;
    struct stretch *stretches;
    size_t count;
    int64_t *numbers; /* to be sorted */
};

static bool is_write(const struct chk_log *log, const struct chk_tx *tx)
{
    for (uint32_t i = 0; i < tx->count; i++) {
        const struct chk_tx_step *step = &log->steps[tx->first + i];
        bool is_kind = step->kind == CHK_APPEND || step->kind == CHK_ADD ||
                       step->kind == CHK_TRANSFER || step->kind == CHK_ACQUIRE ||
                       step->kind == CHK_GRANT || (step->kind == CHK_KEEP && step->value > 0);
        if (is_kind || (step->kind == CHK_GUARDED && step->is_accepted)) {
            return true;
        }
    }
    return false;
}

size_t chk_rto_acks(const struct chk_history *h, const struct chk_log *log, int64_t *ret,
                    size_t cap)
{
    size_t count = 0;
    for (size_t i = 0; i < h->count && count < cap; i++) {
        if (chk_op_is_write(&h->ops[i])) {
            ret[count++] = h->ops[i].return_us;
        }
    }
    for (size_t i = 0; i < log->txs_count && count < cap; i++) {
        if (log->txs[i].status == CHK_DONE && is_write(log, &log->txs[i])) {
            ret[count++] = log->txs[i].return_us;
        }
    }
    return count;
}

/* First acknowledgement at or after `at_us`. */
static size_t first_ack(const struct rto *r, int64_t at_us)
{
    size_t low = 0, high = r->acks_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        bool is_lower = r->acks[middle] < at_us;
        low = is_lower ? middle + 1 : low;
        high = is_lower ? high : middle;
    }
    return low;
}

static int64_t next_fault(const struct rto *r, size_t fault)
{
    int64_t next_us = CHK_NO_RETURN;
    for (size_t i = 0; i < r->log->faults_count; i++) {
        const struct chk_fault *other = &r->log->faults[i];
        bool is_later = other->is_on && other->at_us > r->log->faults[fault].at_us;
        next_us = is_later && other->at_us < next_us ? other->at_us : next_us;
    }
    return next_us;
}

/* The longest stretch that touches the time of the fault. */
static struct stretch stretch_of(const struct rto *r, size_t fault)
{
    const struct chk_fault *f = &r->log->faults[fault];
    int64_t end_us = next_fault(r, fault);
    size_t at = first_ack(r, f->at_us);
    struct stretch best = {f->kind, f->at_us, f->at_us, f->at_us};
    for (; at <= r->acks_count; at++) {
        int64_t from_us = at > 0 ? r->acks[at - 1] : f->at_us;
        if (from_us >= end_us) {
            break;
        }
        if (at == r->acks_count) {
            if (best.to_us == f->at_us && from_us <= f->at_us) {
                best = (struct stretch){f->kind, f->at_us, from_us, CHK_NO_RETURN};
            }
            break;
        }
        if (r->acks[at] - from_us > best.to_us - best.from_us) {
            best.from_us = from_us;
            best.to_us = r->acks[at];
        }
    }
    return best;
}

static void put_member(struct buf *out, const char *before, const char *name)
{
    buf_put_text(out, before);
    buf_put_text(out, "\"");
    buf_put_text(out, name);
    buf_put_text(out, "\":");
}

static void put_quantiles(struct buf *out, int64_t *numbers, size_t count)
{
    static const struct {
        const char *name;
        unsigned percent;
    } quantiles[] = {{"min_us", 0}, {"median_us", 50}, {"p90_us", 90}, {"max_us", 100}};
    chk_sort_numbers(numbers, count);
    put_member(out, "", "n");
    buf_put_dec(out, count);
    for (size_t i = 0; i < BASE_COUNT_OF(quantiles) && count > 0; i++) {
        put_member(out, ",", quantiles[i].name);
        buf_put_int(out, numbers[(count - 1) * quantiles[i].percent / 100]);
    }
}

/* Time from what came before a mark (the fault, or another mark) to its first appearance in the
 * stretch; -1 when it is not there. */
static int64_t step_us(const struct rto *r, const struct stretch *s, uint32_t name)
{
    int64_t at_us = CHK_NO_RETURN, before_us = s->on_us;
    for (size_t i = 0; i < r->log->marks_count; i++) {
        const struct chk_mark *m = &r->log->marks[i];
        bool is_inside = m->at_us >= s->on_us && m->at_us <= s->to_us;
        at_us = is_inside && m->name == name && m->at_us < at_us ? m->at_us : at_us;
    }
    for (size_t i = 0; i < r->log->marks_count && at_us != CHK_NO_RETURN; i++) {
        const struct chk_mark *m = &r->log->marks[i];
        bool is_between = m->at_us > before_us && m->at_us < at_us && m->name != name;
        before_us = is_between ? m->at_us : before_us;
    }
    return at_us == CHK_NO_RETURN ? -1 : at_us - before_us;
}

static void put_steps(struct rto *r, uint32_t kind)
{
    struct buf *out = &r->report->json;
    const char *comma = "";
    put_member(out, ",", "steps");
    buf_put_text(out, "{");
    for (uint32_t name = 0; name < r->log->names_count && r->log->marks_count > 0; name++) {
        size_t count = 0;
        for (size_t i = 0; i < r->count; i++) {
            int64_t us = r->stretches[i].kind == kind ? step_us(r, &r->stretches[i], name) : -1;
            if (us >= 0) {
                r->numbers[count++] = us;
            }
        }
        if (count > 0) {
            chk_sort_numbers(r->numbers, count);
            put_member(out, comma, r->log->names[name].text);
            buf_put_int(out, r->numbers[(count - 1) / 2]);
            comma = ",";
        }
    }
    buf_put_text(out, "}");
}

static void put_classes(struct rto *r)
{
    struct buf *out = &r->report->json;
    const char *comma = "";
    put_member(out, ",", "classes");
    buf_put_text(out, "{");
    for (uint32_t kind = 0; kind < r->log->names_count; kind++) {
        size_t count = 0;
        for (size_t i = 0; i < r->count; i++) {
            const struct stretch *s = &r->stretches[i];
            if (s->kind == kind && s->to_us != CHK_NO_RETURN) {
                r->numbers[count++] = s->to_us - s->from_us;
            }
        }
        if (count > 0) {
            put_member(out, comma, r->log->names[kind].text);
            buf_put_text(out, "{");
            put_quantiles(out, r->numbers, count);
            put_steps(r, kind);
            buf_put_text(out, "}");
            comma = ",";
        }
    }
    buf_put_text(out, "}");
}

static void judge_stretches(struct rto *r, int64_t bound_us)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct stretch *s = &r->stretches[i];
        bool is_over = s->to_us == CHK_NO_RETURN;
        bool is_slow = !is_over && bound_us > 0 && s->to_us - s->from_us > bound_us;
        chk_report_count(r->report, "not_recovered", is_over);
        chk_report_count(r->report, "too_slow", is_slow);
        if (!is_over && !is_slow) {
            continue;
        }
        const char *rule = is_over ? "not recovered" : "too slow";
        (void)chk_report_find(r->report, CHK_VIOLATED, rule);
        if (chk_report_line(r->report, rule)) {
            buf_put_text(&r->report->text, ": fault ");
            buf_put_text(&r->report->text, r->log->names[s->kind].text);
            buf_put_text(&r->report->text, " at ");
            buf_put_int(&r->report->text, s->on_us);
            buf_put_text(&r->report->text, ", last acknowledgement before at ");
            buf_put_int(&r->report->text, s->from_us);
            buf_put_text(&r->report->text, is_over ? ", none after" : ", next one at ");
            if (!is_over) {
                buf_put_int(&r->report->text, s->to_us);
            }
        }
    }
}

static void count_gaps(struct rto *r, int64_t gap_us)
{
    int64_t sum_us = 0, longest_us = 0;
    for (size_t i = 1; i < r->acks_count; i++) {
        int64_t us = r->acks[i] - r->acks[i - 1];
        sum_us += us > gap_us ? us : 0;
        longest_us = us > longest_us ? us : longest_us;
    }
    chk_report_count(r->report, "unavailable_us", sum_us);
    chk_report_count(r->report, "longest_us", longest_us);
    chk_report_count(r->report, "span_us",
                     r->acks_count > 0 ? r->acks[r->acks_count - 1] - r->acks[0] : 0);
}

void chk_rto(const struct chk_log *log, int64_t *acks, size_t acks_count, int64_t gap_us,
             int64_t bound_us, struct base_arena *arena, struct chk_report *report)
{
    struct rto r = {.log = log, .report = report, .acks = acks, .acks_count = acks_count};
    chk_report_count(report, "acks", (int64_t)acks_count);
    r.stretches = base_arena_take(arena, log->faults_count + 1, sizeof(*r.stretches));
    r.numbers = base_arena_take(arena, log->faults_count + 1, sizeof(*r.numbers));
    if (acks_count == 0 || r.stretches == NULL || r.numbers == NULL) {
        (void)chk_report_find(report, CHK_UNKNOWN,
                              acks_count == 0 ? "nothing was acknowledged" : "memory too small");
        return;
    }
    chk_sort_numbers(acks, acks_count);
    for (size_t i = 0; i < log->faults_count; i++) {
        if (log->faults[i].is_on) {
            r.stretches[r.count++] = stretch_of(&r, i);
        }
    }
    chk_report_count(report, "faults", (int64_t)r.count);
    count_gaps(&r, gap_us);
    judge_stretches(&r, bound_us);
    put_classes(&r);
}
