/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of accepted writes per host, compared pairwise in order of time; see prober.h. */
#include "jepsen/check/prober.h"

#include "jepsen/check/sort.h"

struct run {
    uint32_t host;
    int64_t epoch;
    int64_t from_us;   /* return of its first accepted write */
    int64_t to_us;     /* call of its last one */
    int64_t call_us;   /* of the first */
    int64_t return_us; /* of the last */
    uint32_t first;
    uint32_t last;
};

struct probers {
    const struct chk_log *log;
    const struct chk_prober_options *options;
    struct chk_report *report;
    uint32_t *order; /* probes by call */
    struct run *runs;
    uint32_t runs_count;
    uint32_t *open;   /* by host: run plus 1 */
    int64_t *last_us; /* by host: call of its last probe */
};

static void put_probe(struct probers *p, uint32_t index)
{
    const struct chk_probe *probe = &p->log->probes[index];
    struct buf *out = &p->report->text;
    buf_put_text(out, p->log->names[probe->host].text);
    buf_put_text(out, " [");
    buf_put_int(out, probe->call_us);
    buf_put_text(out, "..");
    buf_put_int(out, probe->return_us);
    buf_put_text(out, "] epoch ");
    buf_put_int(out, probe->epoch);
    buf_put_text(out, " timeline ");
    buf_put_int(out, probe->timeline);
    buf_put_text(out, " token ");
    buf_put_int(out, probe->token);
}

static void find(struct probers *p, const char *rule, uint32_t a, uint32_t b)
{
    if (chk_report_find(p->report, CHK_VIOLATED, rule)) {
        chk_report_hit(p->report, a, rule);
        chk_report_hit(p->report, b, "against this");
    }
    if (chk_report_line(p->report, rule)) {
        buf_put_text(&p->report->text, ": ");
        put_probe(p, a);
        buf_put_text(&p->report->text, " beside ");
        put_probe(p, b);
    }
}

static bool probe_before(const void *list, size_t a, size_t b)
{
    const struct probers *p = list;
    uint32_t i = p->order[a], j = p->order[b];
    int64_t call_i = p->log->probes[i].call_us, call_j = p->log->probes[j].call_us;
    return call_i != call_j ? call_i < call_j : i < j;
}

static void probe_swap(void *list, size_t a, size_t b)
{
    uint32_t *order = ((struct probers *)list)->order, kept = order[a];
    order[a] = order[b];
    order[b] = kept;
}

static bool is_accepted(const struct chk_probe *probe, bool acknowledged_only)
{
    return probe->return_us != CHK_NO_RETURN &&
           (acknowledged_only ? probe->status == CHK_DONE : probe->is_writable);
}

static void make_runs(struct probers *p, bool acknowledged_only)
{
    p->runs_count = 0;
    memset(p->open, 0, p->log->names_count * sizeof(*p->open));
    for (size_t i = 0; i < p->log->probes_count; i++) {
        const struct chk_probe *probe = &p->log->probes[p->order[i]];
        if (!is_accepted(probe, acknowledged_only)) {
            continue;
        }
        struct run *run = p->open[probe->host] == 0 ? NULL : &p->runs[p->open[probe->host] - 1];
        bool goes_on = run != NULL && run->epoch == probe->epoch &&
                       probe->call_us - run->return_us <= p->options->gap_us;
        if (goes_on) {
            run->to_us = probe->call_us;
            run->return_us = probe->return_us;
            run->last = p->order[i];
            continue;
        }
        p->runs[p->runs_count] = (struct run){.host = probe->host,
                                              .epoch = probe->epoch,
                                              .from_us = probe->return_us,
                                              .to_us = probe->call_us,
                                              .call_us = probe->call_us,
                                              .return_us = probe->return_us,
                                              .first = p->order[i],
                                              .last = p->order[i]};
        p->open[probe->host] = ++p->runs_count;
    }
}

/* How long two runs were there together for certain; a run of one write counts as a microsecond
 * when it lies inside the other. */
static int64_t together_us(const struct run *a, const struct run *b)
{
    int64_t from_us = a->from_us > b->from_us ? a->from_us : b->from_us;
    int64_t to_us = a->to_us < b->to_us ? a->to_us : b->to_us;
    if (from_us < to_us) {
        return to_us - from_us;
    }
    bool is_a_inside = a->first == a->last && b->from_us < a->call_us && a->return_us < b->to_us;
    bool is_b_inside = b->first == b->last && a->from_us < b->call_us && b->return_us < a->to_us;
    return is_a_inside || is_b_inside;
}

/* Runs are in order of their first call, so those after one that begins too late are too late. */
static void judge_runs(struct probers *p, const char *rule, const char *count, const char *length)
{
    for (uint32_t i = 0; i < p->runs_count; i++) {
        for (uint32_t j = i + 1; j < p->runs_count; j++) {
            const struct run *a = &p->runs[i], *b = &p->runs[j];
            if (b->call_us > a->return_us) {
                break;
            }
            int64_t us = a->host == b->host ? 0 : together_us(a, b);
            if (us > 0) {
                chk_report_count(p->report, count, 1);
                chk_report_count(p->report, length, us);
                find(p, rule, a->last, b->first);
            }
        }
    }
}

static void judge_epochs(struct probers *p)
{
    /* Highest epoch that had returned by then: probes are short, so a pass over those in order of
     * call with the ones returned kept aside is near enough linear. */
    uint32_t highest = UINT32_MAX;
    for (size_t i = 0; i < p->log->probes_count; i++) {
        uint32_t at = p->order[i];
        const struct chk_probe *probe = &p->log->probes[at];
        if (!is_accepted(probe, false) || probe->epoch == 0) {
            continue;
        }
        const struct chk_probe *top = highest == UINT32_MAX ? NULL : &p->log->probes[highest];
        if (top != NULL && probe->epoch < top->epoch && probe->host != top->host &&
            top->return_us < probe->call_us) {
            chk_report_count(p->report, "old_epoch", 1);
            find(p, "old epoch", at, highest);
        }
        if (top == NULL || probe->epoch > top->epoch) {
            highest = at;
        }
    }
}

/* Was there any fault on the host in this time? */
static bool has_reason(const struct probers *p, uint32_t host, int64_t from_us, int64_t to_us)
{
    for (size_t i = 0; i < p->log->faults_count; i++) {
        const struct chk_fault *fault = &p->log->faults[i];
        if (fault->target == host && fault->at_us >= from_us && fault->at_us <= to_us) {
            return true;
        }
    }
    return false;
}

/* A host was not heard of from the end of its last probe until `at_us`. One that waits for an
 * answer is not silent. */
static void judge_gap(struct probers *p, uint32_t host, int64_t from_us, int64_t at_us)
{
    if (at_us - from_us <= p->options->silence_us || has_reason(p, host, from_us, at_us)) {
        return;
    }
    chk_report_count(p->report, "silent", 1);
    (void)chk_report_find(p->report, CHK_UNKNOWN, "a prober was silent");
    if (chk_report_line(p->report, "a prober was silent: ")) {
        buf_put_text(&p->report->text, p->log->names[host].text);
        buf_put_text(&p->report->text, " from ");
        buf_put_int(&p->report->text, from_us);
        buf_put_text(&p->report->text, " to ");
        buf_put_int(&p->report->text, at_us);
    }
}

static void judge_silence(struct probers *p)
{
    int64_t end_us = INT64_MIN, begin_us = CHK_NO_RETURN;
    for (size_t i = 0; i < p->log->probes_count; i++) {
        int64_t call_us = p->log->probes[i].call_us;
        end_us = call_us > end_us ? call_us : end_us;
        begin_us = call_us < begin_us ? call_us : begin_us;
    }
    for (size_t i = 0; i < p->log->names_count; i++) {
        p->last_us[i] = INT64_MIN;
    }
    for (size_t i = 0; i < p->log->probes_count; i++) {
        const struct chk_probe *probe = &p->log->probes[p->order[i]];
        bool is_first = p->last_us[probe->host] == INT64_MIN;
        judge_gap(p, probe->host, is_first ? begin_us : p->last_us[probe->host], probe->call_us);
        chk_report_count(p->report, "hosts", is_first);
        int64_t heard_us = probe->return_us == CHK_NO_RETURN ? probe->call_us : probe->return_us;
        p->last_us[probe->host] =
            is_first || heard_us > p->last_us[probe->host] ? heard_us : p->last_us[probe->host];
    }
    for (uint32_t i = 0; i < p->log->names_count; i++) {
        if (p->last_us[i] != INT64_MIN) {
            judge_gap(p, i, p->last_us[i], end_us);
        }
    }
}

static bool prepare(struct probers *p, struct base_arena *arena)
{
    size_t count = p->log->probes_count + p->log->names_count + 1;
    p->order = base_arena_take(arena, count, sizeof(*p->order));
    p->runs = base_arena_take(arena, count, sizeof(*p->runs));
    p->open = base_arena_take(arena, p->log->names_count + 1, sizeof(*p->open));
    p->last_us = base_arena_take(arena, p->log->names_count + 1, sizeof(*p->last_us));
    for (uint32_t i = 0; p->order != NULL && i < p->log->probes_count; i++) {
        p->order[i] = i;
    }
    return p->order != NULL && p->runs != NULL && p->open != NULL && p->last_us != NULL;
}

void chk_prober(const struct chk_log *log, const struct chk_prober_options *options,
                struct base_arena *arena, struct chk_report *report)
{
    static const char *const counts[] = {"probes",
                                         "hosts",
                                         "accepted",
                                         "acknowledged",
                                         "dual_writable",
                                         "dual_writable_us",
                                         "dual_acknowledged",
                                         "dual_acknowledged_us",
                                         "old_epoch",
                                         "silent"};
    struct probers p = {.log = log, .options = options, .report = report};
    for (size_t i = 0; i < BASE_COUNT_OF(counts); i++) {
        chk_report_count(report, counts[i], 0);
    }
    if (!prepare(&p, arena)) {
        (void)chk_report_find(report, CHK_UNKNOWN, "memory too small");
        return;
    }
    chk_heap_sort(&p, log->probes_count, probe_before, probe_swap);
    for (size_t i = 0; i < log->probes_count; i++) {
        chk_report_count(report, "probes", 1);
        chk_report_count(report, "accepted", is_accepted(&log->probes[i], false));
        chk_report_count(report, "acknowledged", is_accepted(&log->probes[i], true));
    }
    make_runs(&p, true);
    judge_runs(&p, "two acknowledge", "dual_acknowledged", "dual_acknowledged_us");
    make_runs(&p, false);
    judge_runs(&p, "two are writable", "dual_writable", "dual_writable_us");
    judge_epochs(&p);
    judge_silence(&p);
    if (chk_report_value(report, "accepted") == 0) {
        (void)chk_report_find(report, CHK_UNKNOWN, "no probe was accepted");
    }
}
