/* SPDX-License-Identifier: Apache-2.0 */
/* Checkers of transactions, sets and locks beside brute force: random tiny histories, true ones and
 * damaged ones, and whether any order at all explains them.
 */
#include "tests/support/cm.h"

#include <string.h>

#include "base/rand.h"
#include "jepsen/check/append.h"
#include "jepsen/check/lock.h"
#include "jepsen/check/set.h"

#define TXS_MAX 8
#define STEPS_MAX 64
#define VALUES_MAX 512
#define SEEDS 100000u
#define KEYS 2u

static struct chk_tx txs[TXS_MAX];
static struct chk_tx_step steps[STEPS_MAX];
static int64_t values[VALUES_MAX];
static struct chk_key names[8];
static _Alignas(16) uint8_t memory[4 << 20];
static char text[16384];

static struct chk_log empty_log(void)
{
    memset(names, 0, sizeof(names));
    return (struct chk_log){.txs = txs,
                            .txs_cap = TXS_MAX,
                            .steps = steps,
                            .steps_cap = STEPS_MAX,
                            .values = values,
                            .values_cap = VALUES_MAX,
                            .names = names,
                            .names_cap = 8};
}

/* --- making: transactions happen one after the other, between their calls and returns --- */

struct maker {
    struct base_rand rand;
    struct chk_log log;
    int64_t lists[KEYS][32];
    size_t lengths[KEYS];
    int64_t next_value;
};

static uint64_t draw(struct maker *m, uint64_t low, uint64_t high)
{
    return base_rand_between(&m->rand, low, high);
}

static void add_step(struct maker *m, struct chk_tx_step step, const int64_t *list, size_t count)
{
    assert_int_equal(chk_log_add_step(&m->log, &step, list, count), 0);
}

/* A transaction at its moment; `happens` or not, and whoever asked may never hear. */
static void begin(struct maker *m, size_t index, int64_t spread, bool *ret_happens)
{
    int64_t moment = (int64_t)index * 10 + 100;
    bool is_lost = base_rand_chance_ppm(&m->rand, 150000);
    struct chk_tx tx = {.process = (uint32_t)index,
                        .status = is_lost ? CHK_INFO : CHK_DONE,
                        .call_us = moment - (int64_t)draw(m, 0, (uint64_t)spread),
                        .return_us = moment + (int64_t)draw(m, 0, (uint64_t)spread)};
    *ret_happens = !is_lost || base_rand_chance_ppm(&m->rand, 600000);
    if (is_lost && !*ret_happens && base_rand_chance_ppm(&m->rand, 300000)) {
        tx.status = CHK_FAILED;
    } else if (is_lost) {
        tx.return_us = CHK_NO_RETURN;
    }
    assert_int_equal(chk_log_add(&m->log, &tx), 0);
}

static void make_lists(struct maker *m, size_t count)
{
    m->log = empty_log();
    uint32_t name = 0;
    assert_int_equal(chk_log_name(&m->log, SLICE_LIT("x"), &name), 0);
    assert_int_equal(chk_log_name(&m->log, SLICE_LIT("y"), &name), 0);
    for (size_t i = 0; i < count; i++) {
        bool happens = false;
        begin(m, i, 25, &happens);
        bool is_known = m->log.txs[i].status == CHK_DONE;
        size_t kept[KEYS] = {m->lengths[0], m->lengths[1]};
        for (uint64_t n = draw(m, 1, 3); n > 0; n--) {
            uint32_t key = (uint32_t)draw(m, 0, KEYS - 1);
            if (base_rand_chance_ppm(&m->rand, 500000)) {
                int64_t value = ++m->next_value;
                m->lists[key][m->lengths[key]++] = value;
                add_step(m, (struct chk_tx_step){.kind = CHK_APPEND, .name = key, .value = value},
                         NULL, 0);
            } else {
                add_step(m,
                         (struct chk_tx_step){.kind = CHK_LIST, .name = key, .is_known = is_known},
                         m->lists[key], is_known ? m->lengths[key] : 0);
            }
        }
        if (!happens) {
            memcpy(m->lengths, kept, sizeof(kept));
        }
    }
}

static void make_set(struct maker *m, size_t count)
{
    m->log = empty_log();
    for (size_t i = 0; i < count; i++) {
        bool happens = false;
        begin(m, i, 25, &happens);
        if (base_rand_chance_ppm(&m->rand, 500000)) {
            int64_t value = ++m->next_value;
            m->lists[0][m->lengths[0]] = value;
            m->lengths[0] += happens;
            add_step(m, (struct chk_tx_step){.kind = CHK_ADD, .value = value}, NULL, 0);
        } else {
            bool is_known = m->log.txs[i].status == CHK_DONE;
            add_step(m, (struct chk_tx_step){.kind = CHK_ALL, .is_known = is_known}, m->lists[0],
                     is_known ? m->lengths[0] : 0);
        }
    }
}

static void damage(struct maker *m)
{
    struct chk_tx *tx = &m->log.txs[draw(m, 0, m->log.txs_count - 1)];
    struct chk_tx_step *step = &m->log.steps[tx->first + draw(m, 0, tx->count - 1)];
    int64_t moved_us = base_rand_chance_ppm(&m->rand, 500000) ? 40 : -40;
    switch (draw(m, 0, 4)) {
    case 0: /* a value is missing at the end */
        step->count -= step->count > 0;
        break;
    case 1: /* two values change places */
        if (step->count > 1) {
            int64_t kept = m->log.values[step->first];
            m->log.values[step->first] = m->log.values[step->first + step->count - 1];
            m->log.values[step->first + step->count - 1] = kept;
        }
        break;
    case 2: /* another value */
        if (step->count > 0) {
            m->log.values[step->first + draw(m, 0, step->count - 1)] =
                (int64_t)draw(m, 1, (uint64_t)m->next_value + 1);
        }
        break;
    case 3: /* wrong times */
        tx->call_us += moved_us;
        tx->return_us = tx->return_us == CHK_NO_RETURN ? CHK_NO_RETURN : tx->call_us + 5;
        break;
    default: /* an acknowledged one never took effect, a failed one did, and the like */
        tx->status = tx->status == CHK_DONE ? CHK_FAILED : tx->status;
        break;
    }
}

/* --- brute force --- */

struct state {
    int64_t lists[KEYS][32];
    size_t lengths[KEYS];
};

static bool same_list(const struct chk_log *log, const struct chk_tx_step *step,
                      const int64_t *list, size_t length, bool in_order)
{
    if (step->count != length) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        bool is_there = log->values[step->first + i] == list[i];
        for (size_t j = 0; j < length && !in_order; j++) {
            is_there = is_there || log->values[step->first + j] == list[i];
        }
        if (!is_there) {
            return false;
        }
    }
    return true;
}

static bool step_fits(const struct chk_log *log, const struct chk_tx_step *step, struct state *s,
                      bool is_known)
{
    uint32_t key = step->kind == CHK_APPEND || step->kind == CHK_LIST ? step->name : 0;
    if (step->kind == CHK_APPEND || step->kind == CHK_ADD) {
        s->lists[key][s->lengths[key]++] = step->value;
        return true;
    }
    return !is_known || !step->is_known ||
           same_list(log, step, s->lists[key], s->lengths[key], step->kind == CHK_LIST);
}

static bool tx_fits(const struct chk_log *log, const struct chk_tx *tx, struct state *s)
{
    for (uint32_t i = 0; i < tx->count; i++) {
        if (!step_fits(log, &log->steps[tx->first + i], s, tx->status == CHK_DONE)) {
            return false;
        }
    }
    return true;
}

static bool may_be_next(const struct chk_log *log, unsigned done, size_t next)
{
    if ((done >> next & 1) != 0 || log->txs[next].status == CHK_FAILED) {
        return false;
    }
    for (size_t i = 0; i < log->txs_count; i++) {
        bool is_open = (done >> i & 1) == 0 && log->txs[i].status == CHK_DONE;
        if (is_open && i != next && log->txs[i].return_us < log->txs[next].call_us) {
            return false;
        }
    }
    return true;
}

/* Is there an order? Depth first over an explicit stack. */
static bool has_order(const struct chk_log *log)
{
    static struct {
        struct state state;
        unsigned done;
        size_t next;
    } stack[TXS_MAX + 1];
    unsigned must = 0;
    for (size_t i = 0; i < log->txs_count; i++) {
        must |= log->txs[i].status == CHK_DONE ? 1u << i : 0;
    }
    memset(&stack[0], 0, sizeof(stack[0]));
    for (size_t depth = 1; depth > 0;) {
        if ((stack[depth - 1].done & must) == must) {
            return true;
        }
        size_t next = stack[depth - 1].next++;
        if (next == log->txs_count) {
            depth--;
            continue;
        }
        stack[depth] = stack[depth - 1];
        stack[depth].next = 0;
        stack[depth].done |= 1u << next;
        if (may_be_next(log, stack[depth - 1].done, next) &&
            tx_fits(log, &log->txs[next], &stack[depth].state)) {
            depth++;
        }
    }
    return false;
}

static void complain(const struct maker *m, uint64_t seed, bool brute,
                     const struct chk_report *report)
{
    static char lines[8192];
    struct buf out = buf_over(lines, sizeof(lines) - 1);
    for (size_t i = 0; i < m->log.txs_count; i++) {
        chk_log_write(&out, &m->log, &m->log.txs[i]);
    }
    (void)buf_terminate(&out);
    print_error("seed %lu: brute force %s, checker %d (%s)\n%s", (unsigned long)seed,
                brute ? "ok" : "violated", (int)report->verdict, report->rule, lines);
    fail();
}

static void lists_agree_with_brute_force(void **state)
{
    (void)state;
    unsigned violated = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct maker m = {.rand = base_rand_make(seed, 2)};
        make_lists(&m, (size_t)draw(&m, 1, 6));
        bool is_damaged = seed % 4 != 0;
        if (is_damaged) {
            damage(&m);
        }
        bool brute = has_order(&m.log);
        struct base_arena arena = base_arena_over(memory, sizeof(memory));
        struct chk_report report = chk_report_over(text, sizeof(text));
        const struct chk_append_options options = {NULL, 1000000};
        chk_append(&m.log, &options, &arena, &report);
        bool is_found = report.verdict == CHK_VIOLATED;
        if (is_found == brute || (!is_damaged && !brute)) {
            complain(&m, seed, brute, &report);
        }
        violated += is_found;
    }
    print_message("%u histories of lists, %u without any order, all named\n", SEEDS, violated);
    assert_true(violated > SEEDS / 10);
}

static void sets_agree_with_brute_force(void **state)
{
    (void)state;
    unsigned violated = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct maker m = {.rand = base_rand_make(seed, 3)};
        make_set(&m, (size_t)draw(&m, 1, TXS_MAX));
        bool is_damaged = seed % 4 != 0;
        if (is_damaged) {
            damage(&m);
        }
        bool brute = has_order(&m.log);
        struct base_arena arena = base_arena_over(memory, sizeof(memory));
        struct chk_report report = chk_report_over(text, sizeof(text));
        chk_set(&m.log, NULL, &arena, &report);
        bool is_found = report.verdict == CHK_VIOLATED;
        if (is_found == brute || (!is_damaged && !brute)) {
            complain(&m, seed, brute, &report);
        }
        violated += is_found;
    }
    print_message("%u histories of sets, %u without any order, all named\n", SEEDS, violated);
    assert_true(violated > SEEDS / 20);
}

/* --- locks: is there an order in which the resource's tokens never go back? --- */

static bool has_token_order(const struct chk_log *log)
{
    size_t order[TXS_MAX], used[TXS_MAX] = {0}, depth = 0;
    memset(order, 0, sizeof(order));
    for (;;) {
        if (depth == log->txs_count) {
            return true;
        }
        size_t next = order[depth];
        while (next < log->txs_count) {
            bool fits = used[next] == 0;
            int64_t token = log->steps[log->txs[next].first].value;
            for (size_t i = 0; i < log->txs_count; i++) {
                bool is_later = used[i] == 0 && i != next;
                fits = fits && !(is_later && log->txs[i].return_us < log->txs[next].call_us);
                fits = fits && !(used[i] != 0 && log->steps[log->txs[i].first].value > token);
            }
            if (fits) {
                break;
            }
            next++;
        }
        order[depth] = next;
        if (next < log->txs_count) {
            used[next] = 1;
            depth++;
            if (depth < TXS_MAX) {
                order[depth] = 0;
            }
            continue;
        }
        if (depth == 0) {
            return false;
        }
        depth--;
        used[order[depth]++] = 0;
    }
}

static void locks_agree_with_brute_force(void **state)
{
    (void)state;
    unsigned violated = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct maker m = {.rand = base_rand_make(seed, 4)};
        m.log = empty_log();
        uint32_t lock = 0;
        assert_int_equal(chk_log_name(&m.log, SLICE_LIT("l"), &lock), 0);
        for (size_t i = 0, count = (size_t)draw(&m, 1, TXS_MAX); i < count; i++) {
            int64_t moment = (int64_t)i * 10;
            struct chk_tx tx = {.process = (uint32_t)i,
                                .status = CHK_DONE,
                                .call_us = moment - (int64_t)draw(&m, 0, 20),
                                .return_us = moment + (int64_t)draw(&m, 0, 20)};
            assert_int_equal(chk_log_add(&m.log, &tx), 0);
            add_step(&m,
                     (struct chk_tx_step){.kind = CHK_GUARDED,
                                          .name = lock,
                                          .value = (int64_t)(i + draw(&m, 1, 3)),
                                          .is_accepted = true},
                     NULL, 0);
        }
        bool brute = has_token_order(&m.log);
        struct base_arena arena = base_arena_over(memory, sizeof(memory));
        struct chk_report report = chk_report_over(text, sizeof(text));
        chk_lock(&m.log, false, &arena, &report);
        bool is_found = chk_report_value(&report, "old_token_accepted") > 0;
        if (is_found == brute) {
            complain(&m, seed, brute, &report);
        }
        violated += is_found;
    }
    print_message("%u histories of guarded writes, %u with tokens going back\n", SEEDS, violated);
    assert_true(violated > SEEDS / 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_agree_with_brute_force),
        cmocka_unit_test(sets_agree_with_brute_force),
        cmocka_unit_test(locks_agree_with_brute_force),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
