/* SPDX-License-Identifier: Apache-2.0 */
/* Each kind of jepsen-check: which checker, with what settings. */
#include <string.h>

#include "base/arena.h"
#include "jepsen/check/linear.h"
#include "jepsen/check/shrink.h"
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

static void run_register(const struct judge_options *options, struct judge_input *input,
                         struct chk_report *report)
{
    const struct chk_history *h = &input->history;
    count_history(h, report);
    (void)options;
    if (has_revisions(h)) {
        struct chk_result result = chk_witness(h, input->memory, input->memory_bytes);
        if (chk_report_find(report, result.verdict, result.text)) {
            chk_report_hit(report, result.op, "this");
            chk_report_hit(report, result.other, "against this");
            (void)chk_report_line(report, "by revisions: ");
            buf_put_text(&report->text, result.text);
        }
    } else {
        chk_report_count(report, "without_revisions", 1);
    }
    const struct chk_linear_limits limits = {input->memory, input->memory_bytes, SEARCH_STEPS};
    struct chk_result result = chk_linear(h, &limits);
    chk_report_count(report, "steps", (int64_t)result.steps);
    if (result.verdict == CHK_OK) {
        return;
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
    for (size_t i = 0; i < count; i++) {
        chk_report_hit(report, small[i], small[i] == result.op ? "stuck here" : "with this");
    }
    if (count == 0) {
        chk_report_hit(report, result.op, "stuck here");
    }
}

const struct judge_kind judge_kinds[] = {
    {"register", "key-value operations: revision witness and linearizability search", true,
     run_register},
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
