/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over the readings; see bank.h. */
#include "jepsen/check/bank.h"

#include "jepsen/check/append.h"

struct bank {
    const struct chk_log *log;
    struct chk_report *report;
    const char *allow;
    int64_t total;
    uint32_t accounts;
    bool is_open; /* total and accounts are known */
};

static int64_t sum_of(const struct chk_log *log, const struct chk_tx_step *step)
{
    uint64_t sum = 0; /* wraps instead of overflowing: bad input shall not end the checker */
    for (uint32_t i = 0; i < step->count; i++) {
        sum += (uint64_t)log->values[step->first + i];
    }
    return (int64_t)sum;
}

static void find(struct bank *b, const char *rule, size_t tx, const char *what, int64_t seen,
                 int64_t instead)
{
    chk_report_count(b->report, rule, 1);
    if (chk_is_allowed(b->allow, rule)) {
        return;
    }
    if (chk_report_find(b->report, CHK_VIOLATED, rule)) {
        chk_report_hit(b->report, tx, rule);
    }
    if (chk_report_line(b->report, what)) {
        buf_put_int(&b->report->text, seen);
        buf_put_text(&b->report->text, " instead of ");
        buf_put_int(&b->report->text, instead);
        buf_put_text(&b->report->text, ": ");
        chk_report_tx(b->report, b->log, tx);
    }
}

static void judge(struct bank *b, size_t tx, const struct chk_tx_step *step)
{
    int64_t sum = sum_of(b->log, step);
    chk_report_count(b->report, "readings", 1);
    if (!b->is_open) {
        b->total = b->total < 0 ? sum : b->total;
        b->accounts = step->count;
        b->is_open = true;
    }
    if (sum != b->total) {
        find(b, "wrong_total", tx, "a total of ", sum, b->total);
    }
    if (step->count != b->accounts) {
        find(b, "accounts_differ", tx, "accounts: ", step->count, b->accounts);
    }
    for (uint32_t i = 0; i < step->count; i++) {
        int64_t balance = b->log->values[step->first + i];
        if (balance < 0) {
            find(b, "negative", tx, "a balance of ", balance, 0);
        }
    }
}

static void learn_opening(struct bank *b)
{
    for (size_t i = 0; i < b->log->steps_count; i++) {
        const struct chk_tx_step *step = &b->log->steps[i];
        if (step->kind == CHK_OPEN && step->is_known && !b->is_open) {
            b->total = b->total < 0 ? sum_of(b->log, step) : b->total;
            b->accounts = step->count;
            b->is_open = true;
        }
    }
}

void chk_bank(const struct chk_log *log, int64_t total, const char *allow,
              struct chk_report *report)
{
    static const char *const counts[] = {"readings", "wrong_total", "negative", "accounts_differ"};
    struct bank b = {.log = log, .report = report, .allow = allow, .total = total};
    int64_t transfers = 0;
    for (size_t i = 0; i < BASE_COUNT_OF(counts); i++) {
        chk_report_count(report, counts[i], 0);
    }
    learn_opening(&b);
    for (size_t tx = 0; tx < log->txs_count; tx++) {
        const struct chk_tx *t = &log->txs[tx];
        for (uint32_t i = 0; t->status == CHK_DONE && i < t->count; i++) {
            const struct chk_tx_step *step = &log->steps[t->first + i];
            transfers += step->kind == CHK_TRANSFER;
            if (step->kind == CHK_BALANCES && step->is_known) {
                judge(&b, tx, step);
            }
        }
    }
    chk_report_count(report, "transfers", transfers);
    if (transfers == 0 || chk_report_value(report, "readings") == 0) {
        (void)chk_report_find(report, CHK_UNKNOWN, "nothing was moved or nothing was read");
    }
}
