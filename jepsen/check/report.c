/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping verdict, counts, hits and text of a checker. */
#include "jepsen/check/report.h"

#include "base/assert.h"

#define LINE_ROOM 512

struct chk_report chk_report_over(void *memory, size_t bytes)
{
    uint8_t *at = memory;
    return (struct chk_report){.verdict = CHK_OK,
                               .rule = "ok",
                               .json = buf_over(at, bytes / 4),
                               .text = buf_over(at + bytes / 4, bytes - bytes / 4)};
}

static struct chk_count *find_count(struct chk_report *report, const char *name)
{
    for (size_t i = 0; i < report->counts_count; i++) {
        if (slice_equal(slice_from_text(report->counts[i].name), slice_from_text(name))) {
            return &report->counts[i];
        }
    }
    return NULL;
}

void chk_report_count(struct chk_report *report, const char *name, int64_t add)
{
    struct chk_count *count = find_count(report, name);
    if (count == NULL) {
        BASE_ASSERT(report->counts_count < CHK_COUNTS_MAX);
        count = &report->counts[report->counts_count++];
        *count = (struct chk_count){name, 0};
    }
    count->value = (int64_t)((uint64_t)count->value + (uint64_t)add);
}

int64_t chk_report_value(const struct chk_report *report, const char *name)
{
    struct chk_report copy = *report;
    const struct chk_count *count = find_count(&copy, name);
    return count == NULL ? 0 : count->value;
}

bool chk_report_find(struct chk_report *report, enum chk_verdict verdict, const char *rule)
{
    if (verdict == CHK_OK || report->verdict == CHK_VIOLATED ||
        (report->verdict == CHK_UNKNOWN && verdict == CHK_UNKNOWN)) {
        return false;
    }
    report->verdict = verdict;
    report->rule = rule;
    report->hits_count = 0;
    return true;
}

void chk_report_hit(struct chk_report *report, size_t index, const char *role)
{
    if (report->hits_count < CHK_HITS_MAX) {
        report->hits[report->hits_count++] = (struct chk_hit){index, role};
    }
}

void chk_report_statuses(struct chk_report *report, const struct chk_log *log)
{
    static const char *const names[] = {"info", "ok", "fail", "info"};
    for (size_t i = 1; i < BASE_COUNT_OF(names); i++) {
        chk_report_count(report, names[i], 0);
    }
    for (size_t i = 0; i < log->txs_count; i++) {
        chk_report_count(report, names[log->txs[i].status], 1);
    }
}

bool chk_report_line(struct chk_report *report, const char *beginning)
{
    if (report->text.cap - report->text.len < LINE_ROOM) {
        return false;
    }
    buf_put_text(&report->text, report->text.len > 0 ? "\n" : "");
    buf_put_text(&report->text, beginning);
    return true;
}

/* A step with a long list shows its end: that is where histories differ. */
static void put_step(struct buf *out, const struct chk_log *log, const struct chk_tx_step *step)
{
    struct chk_tx_step shown = *step;
    if (step->is_known && step->count > 12) {
        shown.first += step->count - 12;
        shown.count = 12;
        buf_put_text(out, "(the last 12 of ");
        buf_put_dec(out, step->count);
        buf_put_text(out, ") ");
    }
    chk_log_write_step(out, log, &shown);
}

void chk_report_tx(struct chk_report *report, const struct chk_log *log, size_t index)
{
    const struct chk_tx *tx = &log->txs[index];
    struct buf *out = &report->text;
    if (out->cap - out->len < LINE_ROOM) {
        return;
    }
    buf_put_text(out, "process ");
    buf_put_dec(out, tx->process);
    buf_put_text(out, " [");
    buf_put_int(out, tx->call_us);
    buf_put_text(out, "..");
    if (tx->return_us != CHK_NO_RETURN) {
        buf_put_int(out, tx->return_us);
    }
    buf_put_text(out, tx->status == CHK_DONE     ? "]"
                      : tx->status == CHK_FAILED ? "] failed"
                                                 : "] unknown");
    for (uint32_t i = 0; i < tx->count && out->cap - out->len > LINE_ROOM / 2; i++) {
        buf_put_text(out, " ");
        put_step(out, log, &log->steps[tx->first + i]);
    }
}
