/* SPDX-License-Identifier: Apache-2.0 */
/* Three passes: when each lease was seen gone, what it is owed until then, then the observations.
 */
#include "jepsen/check/lease.h"

#define TTL_MAX_US (INT64_C(1) << 55) /* far from overflow */

struct lease {
    uint32_t granted; /* transaction plus 1 */
    uint32_t renewed; /* the one that reaches farthest, plus 1 */
    int64_t deadline_us;
    int64_t latest_us;  /* it may live as long as this; CHK_NO_RETURN nobody knows */
    int64_t revoked_us; /* first call of a revocation */
    int64_t gone_us;    /* first return of an observation that its keys are gone */
    uint32_t gone;      /* that observation, plus 1 */
    int64_t revision;   /* of the first deletion heard of */
    uint32_t revision_tx;
};

struct leases {
    const struct chk_log *log;
    struct chk_report *report;
    struct lease *items; /* by name */
    int64_t bound_us;
    int64_t late_us;
};

static void find(struct leases *l, const char *rule, const char *name, const char *lease, size_t a,
                 size_t b)
{
    chk_report_count(l->report, name, 1);
    if (chk_report_find(l->report, CHK_VIOLATED, rule)) {
        chk_report_hit(l->report, a, rule);
        chk_report_hit(l->report, b, "against this");
    }
    if (chk_report_line(l->report, "lease ")) {
        buf_put_text(&l->report->text, lease);
        buf_put_text(&l->report->text, " ");
        buf_put_text(&l->report->text, rule);
        buf_put_text(&l->report->text, ": ");
        chk_report_tx(l->report, l->log, a);
        buf_put_text(&l->report->text, " against ");
        chk_report_tx(l->report, l->log, b);
    }
}

static void note_right(struct lease *lease, const struct chk_tx *t, uint32_t tx,
                       const struct chk_tx_step *step)
{
    bool is_nothing = t->status == CHK_FAILED || (step->value <= 0 && t->status == CHK_DONE);
    if (is_nothing || (lease->gone != 0 && t->call_us > lease->gone_us)) {
        return;
    }
    if (t->status != CHK_DONE) {
        lease->latest_us = CHK_NO_RETURN;
        return;
    }
    if (step->kind == CHK_GRANT) {
        lease->granted = tx + 1;
    }
    int64_t ttl_us = step->value < TTL_MAX_US ? step->value : TTL_MAX_US;
    if (lease->renewed == 0 || t->call_us + ttl_us > lease->deadline_us) {
        lease->deadline_us = t->call_us + ttl_us;
        lease->renewed = tx + 1;
    }
    if (lease->latest_us != CHK_NO_RETURN && t->return_us + ttl_us > lease->latest_us) {
        lease->latest_us = t->return_us + ttl_us;
    }
}

static void note_gone(struct lease *lease, const struct chk_tx *t, uint32_t tx)
{
    if (t->status == CHK_DONE && (lease->gone == 0 || t->return_us < lease->gone_us)) {
        lease->gone_us = t->return_us;
        lease->gone = tx + 1;
    }
}

static void note_ends(struct leases *l, uint32_t tx, const struct chk_tx_step *step)
{
    const struct chk_tx *t = &l->log->txs[tx];
    struct lease *lease = &l->items[step->name];
    bool is_absent = step->kind == CHK_PRESENT && step->value == 0 && step->number > 0;
    if (step->kind == CHK_REVOKE && chk_tx_may_have(t)) {
        lease->revoked_us = t->call_us < lease->revoked_us ? t->call_us : lease->revoked_us;
    } else if (step->kind == CHK_GONE || is_absent) {
        note_gone(lease, t, tx);
    }
}

static void note_rights(struct leases *l, uint32_t tx, const struct chk_tx_step *step)
{
    if (step->kind == CHK_GRANT || step->kind == CHK_KEEP) {
        note_right(&l->items[step->name], &l->log->txs[tx], tx, step);
    }
}

static void judge_gone(struct leases *l, uint32_t tx, const struct chk_tx_step *step)
{
    const struct chk_tx *t = &l->log->txs[tx];
    struct lease *lease = &l->items[step->name];
    const char *name = l->log->names[step->name].text;
    if (lease->renewed != 0 && t->return_us < lease->deadline_us &&
        lease->revoked_us > t->return_us) {
        find(l, "early", "early", name, tx, lease->renewed - 1);
    }
    if (step->kind != CHK_GONE) {
        return;
    }
    if (lease->revision != 0 && lease->revision != step->value) {
        find(l, "torn", "torn", name, tx, lease->revision_tx);
    }
    lease->revision = step->value;
    lease->revision_tx = tx;
}

static void judge_present(struct leases *l, uint32_t tx, const struct chk_tx_step *step)
{
    const struct chk_tx *t = &l->log->txs[tx];
    const struct lease *lease = &l->items[step->name];
    const char *name = l->log->names[step->name].text;
    if (step->value == 0) {
        if (step->number > 0) {
            judge_gone(l, tx, step);
        }
        return;
    }
    if (step->value < step->number) {
        find(l, "torn", "torn", name, tx, lease->granted != 0 ? lease->granted - 1 : tx);
    }
    if (lease->renewed != 0 && lease->latest_us != CHK_NO_RETURN) {
        int64_t late_us = t->call_us - lease->latest_us;
        l->late_us = late_us > l->late_us ? late_us : l->late_us;
        if (l->bound_us > 0 && late_us > l->bound_us) {
            find(l, "immortal", "immortal", name, tx, lease->renewed - 1);
        }
    }
}

static void judge(struct leases *l, uint32_t tx, const struct chk_tx_step *step)
{
    const struct chk_tx *t = &l->log->txs[tx];
    const struct lease *lease = &l->items[step->name];
    if (t->status != CHK_DONE) {
        return;
    }
    if (step->kind == CHK_GONE) {
        judge_gone(l, tx, step);
    } else if (step->kind == CHK_PRESENT) {
        judge_present(l, tx, step);
    } else if (step->kind == CHK_KEEP && step->value > 0 && lease->gone != 0 &&
               t->call_us > lease->gone_us) {
        find(l, "renewed after its end", "renewed_after_end", l->log->names[step->name].text, tx,
             lease->gone - 1);
    }
}

void chk_lease(const struct chk_log *log, int64_t bound_us, struct base_arena *arena,
               struct chk_report *report)
{
    static const char *const counts[] = {"leases",  "gone", "early", "torn", "renewed_after_end",
                                         "immortal"};
    struct leases l = {.log = log, .report = report, .bound_us = bound_us};
    for (size_t i = 0; i < BASE_COUNT_OF(counts); i++) {
        chk_report_count(report, counts[i], 0);
    }
    l.items = base_arena_take(arena, log->names_count + 1, sizeof(*l.items));
    if (l.items == NULL) {
        (void)chk_report_find(report, CHK_UNKNOWN, "memory too small");
        return;
    }
    for (size_t i = 0; i < log->names_count; i++) {
        l.items[i].latest_us = INT64_MIN;
        l.items[i].revoked_us = CHK_NO_RETURN;
    }
    static void (*const passes[])(struct leases *, uint32_t,
                                  const struct chk_tx_step *) = {note_ends, note_rights, judge};
    for (size_t pass = 0; pass < BASE_COUNT_OF(passes); pass++) {
        for (uint32_t tx = 0; tx < log->txs_count; tx++) {
            for (uint32_t i = 0; i < log->txs[tx].count; i++) {
                const struct chk_tx_step *step = &log->steps[log->txs[tx].first + i];
                if (step->kind < CHK_GRANT || step->kind > CHK_GONE) {
                    continue;
                }
                passes[pass](&l, tx, step);
            }
        }
    }
    for (size_t i = 0; i < log->names_count; i++) {
        chk_report_count(report, "leases", l.items[i].granted != 0);
        chk_report_count(report, "gone", l.items[i].gone != 0);
    }
    chk_report_count(report, "late_max_us", l.late_us);
    if (chk_report_value(report, "leases") == 0) {
        (void)chk_report_find(report, CHK_UNKNOWN, "no lease was granted");
    }
}
