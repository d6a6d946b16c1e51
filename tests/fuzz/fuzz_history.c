/* SPDX-License-Identifier: Apache-2.0 */
/* Histories of jepsen/check: whatever can be read is written and read again as the same, and every
 * checker comes to a verdict on it without harm. */
#include "jepsen/check/append.h"
#include "jepsen/check/bank.h"
#include "jepsen/check/json.h"
#include "jepsen/check/lease.h"
#include "jepsen/check/linear.h"
#include "jepsen/check/lock.h"
#include "jepsen/check/prober.h"
#include "jepsen/check/rto.h"
#include "jepsen/check/set.h"
#include "jepsen/check/shrink.h"
#include "jepsen/check/watch_log.h"
#include "jepsen/check/witness.h"
#include "tests/fuzz/fuzz.h"

#define ROWS 64

static struct chk_op ops[ROWS];
static struct chk_key keys[2][ROWS];
static struct chk_tx txs[ROWS];
static struct chk_tx_step steps[ROWS];
static int64_t values[4 * ROWS];
static struct chk_probe probes[ROWS];
static struct chk_fault faults[ROWS];
static struct chk_mark marks[ROWS];
static _Alignas(16) uint8_t memory[1 << 20];
static uint8_t written[2][1 << 16];
static char text[8192];

static struct chk_log empty_log(void)
{
    memset(keys, 0, sizeof(keys));
    return (struct chk_log){.txs = txs,
                            .txs_cap = ROWS,
                            .steps = steps,
                            .steps_cap = ROWS,
                            .values = values,
                            .values_cap = BASE_COUNT_OF(values),
                            .names = keys[1],
                            .names_cap = ROWS,
                            .probes = probes,
                            .probes_cap = ROWS,
                            .faults = faults,
                            .faults_cap = ROWS,
                            .marks = marks,
                            .marks_cap = ROWS};
}

static struct buf write_history(const struct chk_history *h, unsigned room)
{
    struct buf out = buf_over(written[room], sizeof(written[room]));
    for (size_t i = 0; i < h->count; i++) {
        chk_json_write(&out, h, &h->ops[i]);
    }
    return out;
}

static struct buf write_log(const struct chk_log *log, unsigned room)
{
    struct buf out = buf_over(written[room], sizeof(written[room]));
    for (size_t i = 0; i < log->txs_count; i++) {
        chk_log_write(&out, log, &log->txs[i]);
    }
    for (size_t i = 0; i < log->probes_count; i++) {
        chk_log_write_probe(&out, log, &log->probes[i]);
    }
    return out;
}

static void judge_history(const struct chk_history *h)
{
    static uint32_t small[ROWS];
    const struct chk_linear_limits limits = {memory, sizeof(memory), 2000};
    (void)chk_witness(h, memory, sizeof(memory));
    struct chk_result result = chk_linear(h, &limits);
    if (result.verdict == CHK_VIOLATED) {
        (void)chk_linear_shrink(h, result.op, &limits, small, ROWS);
    }
}

static struct base_arena fresh(void)
{
    return base_arena_over(memory, sizeof(memory));
}

static void judge_log(const struct chk_log *log, const struct chk_history *h)
{
    static int64_t acks[2 * ROWS];
    const struct chk_append_options append = {"G2", 2000};
    const struct chk_prober_options prober = {500000, 5000000};
    struct chk_report report = chk_report_over(text, sizeof(text));
    struct base_arena arena = fresh();
    chk_append(log, &append, &arena, &report);
    arena = fresh();
    report = chk_report_over(text, sizeof(text));
    chk_set(log, NULL, &arena, &report);
    arena = fresh();
    report = chk_report_over(text, sizeof(text));
    chk_bank(log, -1, NULL, &report);
    report = chk_report_over(text, sizeof(text));
    chk_lock(log, false, &arena, &report);
    arena = fresh();
    report = chk_report_over(text, sizeof(text));
    chk_lease(log, 1000, &arena, &report);
    arena = fresh();
    report = chk_report_over(text, sizeof(text));
    chk_prober(log, &prober, &arena, &report);
    arena = fresh();
    report = chk_report_over(text, sizeof(text));
    size_t count = chk_rto_acks(h, log, acks, BASE_COUNT_OF(acks));
    chk_rto(log, acks, count, 500000, 1, &arena, &report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_from(data, size);
    struct chk_log log = empty_log();
    struct chk_history h = chk_history_over(ops, ROWS, keys[0], ROWS);
    size_t line = 0;
    const char *why = NULL;
    bool is_history = chk_json_read(&h, in, &line, &why) == 0;
    BASE_ASSERT(is_history || (line > 0 && why != NULL));
    why = NULL;
    bool is_log = chk_log_read(&log, in, &line, &why) == 0;
    BASE_ASSERT(is_log || (line > 0 && why != NULL));
    struct base_arena arena = fresh();
    struct chk_report report = chk_report_over(text, sizeof(text));
    (void)!chk_watch_log(in, &arena, &report, &line, &why);
    judge_history(&h);
    judge_log(&log, &h);
    struct buf first = is_history ? write_history(&h, 0) : write_log(&log, 0);
    if (first.is_full || !(is_history || is_log)) {
        return 0;
    }
    if (is_history) {
        h = chk_history_over(ops, ROWS, keys[0], ROWS);
        int rc = chk_json_read(&h, buf_slice(&first), &line, &why);
        BASE_ASSERT(rc == 0);
        struct buf second = write_history(&h, 1);
        BASE_ASSERT(slice_equal(buf_slice(&first), buf_slice(&second)));
    } else {
        log = empty_log();
        int rc = chk_log_read(&log, buf_slice(&first), &line, &why);
        BASE_ASSERT(rc == 0);
        struct buf second = write_log(&log, 1);
        BASE_ASSERT(slice_equal(buf_slice(&first), buf_slice(&second)));
    }
    return 0;
}
