/* SPDX-License-Identifier: Apache-2.0 */
/* Figures that reports print, and what people are shown: recovery times per class, how long two
 * hosts were writable, holders beside each other, the smallest failing part, the picture.
 */
#include "tests/support/cm.h"

#include <stdio.h>
#include <string.h>

#include "jepsen/check/linear.h"
#include "jepsen/check/lock.h"
#include "jepsen/check/picture.h"
#include "jepsen/check/prober.h"
#include "jepsen/check/rto.h"
#include "jepsen/check/shrink.h"
#include "jepsen/tools/make.h"

#define ROWS 256

static struct chk_tx txs[ROWS];
static struct chk_tx_step steps[ROWS];
static int64_t values[ROWS];
static struct chk_key names[ROWS];
static struct chk_probe probes[ROWS];
static struct chk_fault faults[ROWS];
static struct chk_mark marks[ROWS];
static struct chk_op ops[1024];
static _Alignas(16) uint8_t memory[8 << 20];
static char text[1 << 16];

static struct chk_log log_of(const char *lines)
{
    struct chk_log log = {.txs = txs,
                          .txs_cap = ROWS,
                          .steps = steps,
                          .steps_cap = ROWS,
                          .values = values,
                          .values_cap = ROWS,
                          .names = names,
                          .names_cap = ROWS,
                          .probes = probes,
                          .probes_cap = ROWS,
                          .faults = faults,
                          .faults_cap = ROWS,
                          .marks = marks,
                          .marks_cap = ROWS};
    size_t line = 0;
    const char *why = "";
    memset(names, 0, sizeof(names));
    if (chk_log_read(&log, slice_from_text(lines), &line, &why) != 0) {
        print_error("line %zu: %s\n", line, why);
        fail();
    }
    return log;
}

#define FAULT(at, kind) \
    "{\"at\":" #at ",\"kind\":\"" kind "\",\"target\":\"d1\",\"what\":\"on\",\"bit\":1}\n"
#define EVENT(at, name) "{\"at\":" #at ",\"event\":\"" name "\"}\n"

static void recovery_times_by_class(void **state)
{
    (void)state;
    struct chk_log log = log_of(FAULT(1050, "kill") FAULT(5000, "cut") FAULT(9005, "kill")
                                    EVENT(1500, "detect") EVENT(1700, "promote"));
    int64_t acks[] = {10000, 9000, 900, 1000, 1060, 2000, 2100, 4990, 5100, 5200};
    struct base_arena arena = base_arena_over(memory, sizeof(memory));
    struct chk_report report = chk_report_over(text, sizeof(text));
    chk_rto(&log, acks, BASE_COUNT_OF(acks), 500, 0, &arena, &report);
    assert_int_equal(report.verdict, CHK_OK);
    assert_true(buf_terminate(&report.json));
    /* the first kill: an answer that was under way came at 1060, then nothing until 2000, and then
     * the longest stretch: 2100 to 4990 */
    assert_non_null(strstr((char *)report.json.data,
                           "\"kill\":{\"n\":2,\"min_us\":1000,\"median_us\":1000,\"p90_us\":1000,"
                           "\"max_us\":2890"));
    assert_non_null(strstr((char *)report.json.data, "\"cut\":{\"n\":1,\"min_us\":3800"));
    assert_int_equal(chk_report_value(&report, "faults"), 3);
    assert_int_equal(chk_report_value(&report, "longest_us"), 3800);
    assert_int_equal(chk_report_value(&report, "unavailable_us"), 940 + 2890 + 3800 + 1000);
}

static void decisions_break_a_recovery_down(void **state)
{
    (void)state;
    struct chk_log log = log_of(FAULT(1000, "kill") EVENT(1500, "detect") EVENT(1700, "promote"));
    int64_t acks[] = {990, 2500};
    struct base_arena arena = base_arena_over(memory, sizeof(memory));
    struct chk_report report = chk_report_over(text, sizeof(text));
    chk_rto(&log, acks, 2, 500, 1000, &arena, &report);
    assert_int_equal(report.verdict, CHK_VIOLATED);
    assert_string_equal(report.rule, "too slow");
    assert_true(buf_terminate(&report.json));
    assert_non_null(strstr((char *)report.json.data, "\"steps\":{\"detect\":500,\"promote\":200}"));
}

static void two_writable_hosts_are_measured(void **state)
{
    (void)state;
    char lines[8192];
    struct buf out = buf_over(lines, sizeof(lines));
    for (int i = 0; i < 20; i++) {
        /* d1 writes from 0 to 1900, d2 from 1505 on */
        char line[160];
        int len = snprintf(line, sizeof(line),
                           "{\"prober\":\"d%d\",\"type\":\"ok\",\"call\":%d,\"return\":%d,"
                           "\"epoch\":%d}\n",
                           1, i * 100, i * 100 + 10, 1);
        buf_put(&out, slice_from(line, (size_t)len));
        len =
            snprintf(line, sizeof(line),
                     "{\"prober\":\"d2\",\"type\":\"ok\",\"call\":%d,\"return\":%d,\"epoch\":2}\n",
                     1505 + i * 100, 1515 + i * 100);
        buf_put(&out, slice_from(line, (size_t)len));
    }
    assert_true(buf_terminate(&out));
    struct chk_log log = log_of(lines);
    const struct chk_prober_options options = {500, 1000000};
    struct base_arena arena = base_arena_over(memory, sizeof(memory));
    struct chk_report report = chk_report_over(text, sizeof(text));
    chk_prober(&log, &options, &arena, &report);
    assert_int_equal(report.verdict, CHK_VIOLATED);
    assert_int_equal(chk_report_value(&report, "dual_writable_us"), 1900 - 1515);
    assert_int_equal(chk_report_value(&report, "dual_acknowledged"), 1);
    assert_int_equal(chk_report_value(&report, "hosts"), 2);
}

/* Holders beside each other, against every pair. */
static void holders_agree_with_all_pairs(void **state)
{
    (void)state;
    unsigned found = 0;
    for (uint64_t seed = 0; seed < 20000; seed++) {
        struct base_rand r = base_rand_make(seed, 5);
        struct chk_log log = log_of("");
        uint32_t lock = 0;
        int64_t from[8], to[8];
        uint32_t process[8], count = (uint32_t)base_rand_between(&r, 1, 8);
        assert_int_equal(chk_log_name(&log, SLICE_LIT("l"), &lock), 0);
        for (uint32_t i = 0; i < count; i++) {
            from[i] = (int64_t)base_rand_between(&r, 10, 100);
            to[i] = from[i] + (int64_t)base_rand_between(&r, 1, 20);
            process[i] = i; /* one each: a release belongs to one hold */
            const struct chk_tx hold = {.process = i,
                                        .status = CHK_DONE,
                                        .call_us = from[i] - (int64_t)base_rand_between(&r, 0, 9),
                                        .return_us = from[i]};
            const struct chk_tx free = {
                .process = i, .status = CHK_INFO, .call_us = to[i], .return_us = CHK_NO_RETURN};
            const struct chk_tx_step acquire = {.kind = CHK_ACQUIRE, .name = lock, .value = i + 1};
            const struct chk_tx_step release = {.kind = CHK_RELEASE, .name = lock, .value = i + 1};
            assert_int_equal(chk_log_add(&log, &hold), 0);
            assert_int_equal(chk_log_add_step(&log, &acquire, NULL, 0), 0);
            assert_int_equal(chk_log_add(&log, &free), 0);
            assert_int_equal(chk_log_add_step(&log, &release, NULL, 0), 0);
        }
        bool is_held_twice = false;
        for (uint32_t i = 0; i < count; i++) {
            for (uint32_t j = 0; j < i; j++) {
                is_held_twice = is_held_twice ||
                                (process[i] != process[j] && from[i] < to[j] && from[j] < to[i]);
            }
        }
        struct base_arena arena = base_arena_over(memory, sizeof(memory));
        struct chk_report report = chk_report_over(text, sizeof(text));
        chk_lock(&log, true, &arena, &report);
        assert_int_equal(report.verdict == CHK_VIOLATED, is_held_twice);
        found += is_held_twice;
    }
    assert_true(found > 5000 && found < 19000);
}

static struct chk_history broken_history(void)
{
    struct chk_history h = chk_history_over(ops, BASE_COUNT_OF(ops), names, ROWS);
    const struct make_options options = {.seed = 3, .clients = 5, .keys = 4, .lost_ppm = 10000};
    make_register(&h, 600, &options);
    for (size_t i = 400; i < h.count; i++) { /* a read that is far too old */
        struct chk_op *op = &h.ops[i];
        if (op->status == CHK_DONE && op->parts[0].kind == CHK_READ) {
            for (size_t j = 0; j < 100; j++) {
                const struct chk_op *old = &h.ops[j];
                bool is_same = old->status == CHK_DONE && old->parts[0].kind == CHK_WRITE &&
                               old->is_applied && old->parts[0].key == op->parts[0].key;
                if (is_same) {
                    op->parts[0].value = old->parts[0].value;
                    return h;
                }
            }
        }
    }
    fail();
    return h;
}

static void a_violation_shrinks_to_a_few(void **state)
{
    (void)state;
    struct chk_history h = broken_history();
    const struct chk_linear_limits limits = {memory, sizeof(memory), 5000000};
    struct chk_result result = chk_linear(&h, &limits);
    assert_int_equal(result.verdict, CHK_VIOLATED);
    uint32_t small[ROWS];
    size_t count = chk_linear_shrink(&h, result.op, &limits, small, ROWS);
    print_message("600 operations, %zu of them show it\n", count);
    assert_in_range(count, 2, 6);
    struct chk_op part[8];
    for (size_t i = 0; i < count; i++) {
        part[i] = h.ops[small[i]];
    }
    struct chk_history shown = h;
    shown.ops = part;
    shown.count = count;
    assert_int_equal(chk_linear(&shown, &limits).verdict, CHK_VIOLATED);
}

static void the_picture_shows_those_concerned(void **state)
{
    (void)state;
    const struct slice lanes[] = {SLICE_LIT("process 1"), SLICE_LIT("d1 <&>")};
    const struct chk_bar bars[] = {
        {0, 0, 100, CHK_DONE, NULL, SLICE_LIT("put")},
        {1, 50, 90, CHK_DONE, "stale", SLICE_LIT("get \"a\" < 5")},
        {1, 95, CHK_NO_RETURN, CHK_INFO, NULL, SLICE_LIT("never back")},
    };
    const struct chk_band bands[] = {{20, 60, SLICE_LIT("cut d1")}};
    const struct chk_picture picture = {.title = "register: stale",
                                        .findings = SLICE_LIT("one\ntwo"),
                                        .lanes = lanes,
                                        .lanes_count = 2,
                                        .bars = bars,
                                        .bars_count = 3,
                                        .bands = bands,
                                        .bands_count = 1,
                                        .from_us = 0,
                                        .to_us = 120};
    struct buf out = buf_over(text, sizeof(text) - 1);
    chk_picture_svg(&out, &picture);
    assert_true(buf_terminate(&out));
    assert_non_null(strstr(text, "class=\"ok hit\""));
    assert_non_null(strstr(text, "get &quot;a&quot; &lt; 5"));
    assert_non_null(strstr(text, "d1 &lt;&amp;&gt;"));
    assert_null(strstr(text, "d1 <&>"));
    assert_non_null(strstr(text, "class=\"band\""));
    assert_null(strstr(text, "href"));
    buf_reset(&out);
    chk_picture_text(&out, &picture);
    assert_true(buf_terminate(&out));
    assert_non_null(strstr(text, "* 0.050 .. 0.090 ms  d1 <&> ok   get \"a\" < 5   <- stale\n"));
    assert_non_null(strstr(text, "fault 0.020 .. 0.060 ms  cut d1\n"));
}

static void small_rooms_give_unknown_never_ok(void **state)
{
    (void)state;
    struct chk_log log = log_of("{\"process\":1,\"type\":\"ok\",\"call\":0,\"return\":1,"
                                "\"txn\":[[\"acquire\",\"l\",1]]}\n");
    struct base_arena arena = base_arena_over(memory, 16);
    struct chk_report report = chk_report_over(text, sizeof(text));
    chk_lock(&log, true, &arena, &report);
    assert_int_equal(report.verdict, CHK_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recovery_times_by_class),
        cmocka_unit_test(decisions_break_a_recovery_down),
        cmocka_unit_test(two_writable_hosts_are_measured),
        cmocka_unit_test(holders_agree_with_all_pairs),
        cmocka_unit_test(a_violation_shrinks_to_a_few),
        cmocka_unit_test(the_picture_shows_those_concerned),
        cmocka_unit_test(small_rooms_give_unknown_never_ok),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
