/* SPDX-License-Identifier: Apache-2.0 */
/* Each kind of jepsen-check: which checker, with what settings. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "jepsen/check/append.h"
#include "jepsen/check/bank.h"
#include "jepsen/check/lease.h"
#include "jepsen/check/linear.h"
#include "jepsen/check/lock.h"
#include "jepsen/check/prober.h"
#include "jepsen/check/rto.h"
#include "jepsen/check/set.h"
#include "jepsen/check/shrink.h"
#include "jepsen/check/watch_log.h"
#include "jepsen/check/witness.h"
#include "jepsen/tools/judge.h"

#define SEARCH_STEPS UINT64_C(200000000)
#define SHRINK_OPS 2000

static void count_history(const struct chk_history *h, struct chk_report *report)
{
    static const char *const names[] = {"info", "ok", "fail", "info"};
    for (size_t i = 1; i < BASE_COUNT_OF(names); i++) {
        chk_report_count(report, names[i], 0);
    }
    for (size_t i = 0; i < h->count; i++) {
        chk_report_count(report, names[h->ops[i].status], 1);
    }
    chk_report_count(report, "keys", (int64_t)h->keys_count);
}

static bool has_revisions(const struct chk_history *h)
{
    for (size_t i = 0; i < h->count; i++) {
        if (h->ops[i].status == CHK_DONE && h->ops[i].revision == 0) {
            return false;
        }
    }
    return true;
}

/* One line: who, from when to when, what. */
static void tell_operation(const struct chk_history *h, size_t index, struct chk_report *report)
{
    const struct chk_op *op = &h->ops[index];
    struct buf *out = &report->text;
    if (!chk_report_line(report, "  process ")) {
        return;
    }
    buf_put_dec(out, op->process);
    buf_put_text(out, " [");
    buf_put_int(out, op->call_us);
    buf_put_text(out, "..");
    if (op->return_us != CHK_NO_RETURN) {
        buf_put_int(out, op->return_us);
    }
    buf_put_text(out, op->status == CHK_DONE ? "] " : "] unknown: ");
    judge_put_operation(out, h, op);
}

static int run_register(const struct judge_options *options, struct judge_input *input,
                        struct chk_report *report)
{
    const struct chk_history *h = &input->history;
    count_history(h, report);
    (void)options;
    if (chk_report_value(report, "ok") == 0) {
        (void)chk_report_find(report, CHK_UNKNOWN, "nothing was acknowledged");
    }
    if (has_revisions(h)) {
        struct chk_result result = chk_witness(h, input->memory, input->memory_bytes);
        if (chk_report_find(report, result.verdict, result.text)) {
            chk_report_hit(report, result.op, "this");
            chk_report_hit(report, result.other, "against this");
            (void)chk_report_line(report, "by revisions: ");
            buf_put_text(&report->text, result.text);
            for (size_t i = 0; i < report->hits_count; i++) {
                if (report->hits[i].index < h->count) {
                    tell_operation(h, report->hits[i].index, report);
                }
            }
        }
    } else {
        chk_report_count(report, "without_revisions", 1);
    }
    const struct chk_linear_limits limits = {input->memory, input->memory_bytes, SEARCH_STEPS};
    struct chk_result result = chk_linear(h, &limits);
    chk_report_count(report, "steps", (int64_t)result.steps);
    if (result.verdict == CHK_OK) {
        return 0;
    }
    static uint32_t small[SHRINK_OPS];
    size_t count = result.verdict == CHK_VIOLATED
                       ? chk_linear_shrink(h, result.op, &limits, small, SHRINK_OPS)
                       : 0;
    (void)chk_report_find(report, result.verdict, result.text);
    if (count > 0) {
        report->hits_count = 0;
    }
    (void)chk_report_line(report, "by search: ");
    buf_put_text(&report->text, result.text);
    buf_put_text(&report->text, count > 0 ? "; the smallest part that shows it:" : "");
    for (size_t i = 0; i < count; i++) {
        tell_operation(h, small[i], report);
        chk_report_hit(report, small[i], small[i] == result.op ? "stuck here" : "with this");
    }
    if (count == 0) {
        chk_report_hit(report, result.op, "stuck here");
    }
    return 0;
}

static struct base_arena arena_of(const struct judge_input *input)
{
    return base_arena_over(input->memory, input->memory_bytes);
}

static int run_append(const struct judge_options *options, struct judge_input *input,
                      struct chk_report *report)
{
    const struct chk_append_options append = {options->allow, SEARCH_STEPS};
    struct base_arena arena = arena_of(input);
    chk_report_statuses(report, &input->log);
    chk_append(&input->log, &append, &arena, report);
    return 0;
}

static int run_set(const struct judge_options *options, struct judge_input *input,
                   struct chk_report *report)
{
    struct base_arena arena = arena_of(input);
    chk_report_statuses(report, &input->log);
    chk_set(&input->log, options->allow, &arena, report);
    return 0;
}

static int run_bank(const struct judge_options *options, struct judge_input *input,
                    struct chk_report *report)
{
    chk_report_statuses(report, &input->log);
    chk_bank(&input->log, options->total, options->allow, report);
    return 0;
}

static int run_lock(const struct judge_options *options, struct judge_input *input,
                    struct chk_report *report)
{
    struct base_arena arena = arena_of(input);
    chk_report_statuses(report, &input->log);
    chk_lock(&input->log, options->no_tokens, &arena, report);
    return 0;
}

static int run_lease(const struct judge_options *options, struct judge_input *input,
                     struct chk_report *report)
{
    struct base_arena arena = arena_of(input);
    chk_report_statuses(report, &input->log);
    chk_lease(&input->log, options->bound_us, &arena, report);
    return 0;
}

static int run_prober(const struct judge_options *options, struct judge_input *input,
                      struct chk_report *report)
{
    const struct chk_prober_options prober = {options->gap_us, options->silence_us};
    struct base_arena arena = arena_of(input);
    chk_prober(&input->log, &prober, &arena, report);
    return 0;
}

static int run_rto(const struct judge_options *options, struct judge_input *input,
                   struct chk_report *report)
{
    struct base_arena arena = arena_of(input);
    size_t cap = input->history.count + input->log.txs_count;
    int64_t *acks = base_arena_take(&arena, cap + 1, sizeof(*acks));
    if (acks == NULL) {
        (void)chk_report_find(report, CHK_UNKNOWN, "memory too small");
        return 0;
    }
    size_t count = chk_rto_acks(&input->history, &input->log, acks, cap);
    chk_rto(&input->log, acks, count, options->gap_us, options->bound_us, &arena, report);
    return 0;
}

static int run_watch(const struct judge_options *options, struct judge_input *input,
                     struct chk_report *report)
{
    struct base_arena arena = arena_of(input);
    size_t line = 0;
    const char *why = "";
    int rc = chk_watch_log(input->contents[0], &arena, report, &line, &why);
    if (rc != 0) {
        (void)fprintf(stderr, "jepsen-check: %s:%zu: %s\n", options->files[0], line, why);
    }
    return rc;
}

const struct judge_kind judge_kinds[] = {
    {"register", "key-value operations: revision witness and linearizability search", false,
     run_register},
    {"append", "transactions of list appends: order, cycles, lost [--allow G2,G2-realtime,...]",
     false, run_append},
    {"set", "elements added, the set read: lost, stale, never read [--allow stale,vanished]", false,
     run_set},
    {"bank", "transfers and balances: the total stays [--total N]", false, run_bank},
    {"lock", "locks with tokens at the guarded resource [--no-tokens: by time]", false, run_lock},
    {"lease", "leases: early, torn, renewed after the end, immortal [--bound-ms N]", false,
     run_lease},
    {"watch", "watches (one file): ordered, unique, atomic, reliable, resumable, bookmarkable",
     true, run_watch},
    {"prober", "two hosts writable or acknowledging at one time [--gap-ms N] [--silence-ms N]",
     false, run_prober},
    {"rto",
     "time without acknowledged writes per fault [--faults FILE] [--events FILE] "
     "[--gap-ms N] [--bound-ms N]",
     false, run_rto},
    {NULL, NULL, false, NULL},
};

const struct judge_kind *judge_kind_named(const char *name)
{
    for (const struct judge_kind *kind = judge_kinds; kind->name != NULL; kind++) {
        if (strcmp(kind->name, name) == 0) {
            return kind;
        }
    }
    return NULL;
}
