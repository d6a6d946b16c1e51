/* SPDX-License-Identifier: Apache-2.0 */
/* How much damage do the checkers see? Good histories, one damage each, counted by kind. Not every
 * damage is visible: a read that lost its last value may well have come earlier. The share is
 * printed; below its bound the test fails.
 */
#include "tests/support/cm.h"

#include <string.h>

#include "jepsen/check/append.h"
#include "jepsen/check/linear.h"
#include "jepsen/check/set.h"
#include "jepsen/check/witness.h"
#include "jepsen/tools/make.h"

#define OPS 400
#define ROUNDS 200u

static struct chk_op ops[OPS];
static struct chk_tx txs[OPS];
static struct chk_tx_step steps[OPS * 3];
static int64_t values[OPS * 300];
static struct chk_key names[64];
static _Alignas(16) uint8_t memory[8 << 20];
static char text[8192];

static struct make_options options_of(uint64_t seed)
{
    return (struct make_options){.seed = seed, .clients = 6, .keys = 5, .lost_ppm = 10000};
}

static struct chk_history made_register(uint64_t seed)
{
    struct chk_history h = chk_history_over(ops, OPS, names, BASE_COUNT_OF(names));
    const struct make_options options = options_of(seed);
    make_register(&h, OPS, &options);
    return h;
}

static struct chk_log made_log(uint64_t seed, bool is_set)
{
    struct chk_log log = {.txs = txs,
                          .txs_cap = OPS,
                          .steps = steps,
                          .steps_cap = BASE_COUNT_OF(steps),
                          .values = values,
                          .values_cap = BASE_COUNT_OF(values),
                          .names = names,
                          .names_cap = BASE_COUNT_OF(names)};
    const struct make_options options = options_of(seed);
    memset(names, 0, sizeof(names));
    (is_set ? make_set : make_append)(&log, OPS, &options);
    return log;
}

static bool register_is_fine(const struct chk_history *h)
{
    struct chk_linear_limits limits = {memory, sizeof(memory), 2000000};
    return chk_witness(h, memory, sizeof(memory)).verdict == CHK_OK &&
           chk_linear(h, &limits).verdict == CHK_OK;
}

static bool log_is_fine(const struct chk_log *log, bool is_set)
{
    struct base_arena arena = base_arena_over(memory, sizeof(memory));
    struct chk_report report = chk_report_over(text, sizeof(text));
    const struct chk_append_options options = {NULL, 1000000};
    if (is_set) {
        chk_set(log, NULL, &arena, &report);
    } else {
        chk_append(log, &options, &arena, &report);
    }
    return report.verdict == CHK_OK;
}

/* --- damages of key-value histories; false: nothing to damage here --- */

static struct chk_op *any_op(struct chk_history *h, struct base_rand *r, enum chk_kind kind)
{
    for (int tries = 0; tries < 1000; tries++) {
        struct chk_op *op = &h->ops[base_rand_between(r, 0, h->count - 1)];
        bool is_fit = op->status == CHK_DONE && op->parts[0].kind == kind && op->is_applied;
        if (is_fit && (kind != CHK_READ || op->parts[0].value != 0)) {
            return op;
        }
    }
    return NULL;
}

static bool other_value(struct chk_history *h, struct base_rand *r)
{
    struct chk_op *op = any_op(h, r, CHK_READ);
    op->parts[0].value += (int64_t)base_rand_between(r, 1, 20);
    return true;
}

static bool swap_reads(struct chk_history *h, struct base_rand *r)
{
    for (int tries = 0; tries < 1000; tries++) {
        struct chk_op *a = any_op(h, r, CHK_READ), *b = any_op(h, r, CHK_READ);
        if (a->parts[0].key == b->parts[0].key && a->parts[0].value != b->parts[0].value) {
            struct chk_part kept = a->parts[0];
            uint64_t revision = a->revision;
            a->parts[0] = b->parts[0];
            a->revision = b->revision;
            b->parts[0] = kept;
            b->revision = revision;
            return true;
        }
    }
    return false;
}

static bool lose_write(struct chk_history *h, struct base_rand *r)
{
    any_op(h, r, CHK_WRITE)->status = CHK_FAILED;
    return true;
}

static bool early_return(struct chk_history *h, struct base_rand *r)
{
    struct chk_op *op = any_op(h, r, CHK_WRITE);
    op->call_us -= 1500;
    op->return_us = op->call_us + 10;
    return true;
}

static bool wrong_clock(struct chk_history *h, struct base_rand *r)
{
    uint32_t process = (uint32_t)base_rand_between(r, 0, 5);
    for (size_t i = 0; i < h->count; i++) {
        if (h->ops[i].process == process) {
            h->ops[i].call_us += 3000;
            h->ops[i].return_us += h->ops[i].return_us == CHK_NO_RETURN ? 0 : 3000;
        }
    }
    return true;
}

/* --- damages of lists and sets --- */

static struct chk_tx *any_read(struct chk_log *log, struct base_rand *r, struct chk_tx_step **ret)
{
    for (int tries = 0; tries < 5000; tries++) {
        struct chk_tx *tx = &log->txs[base_rand_between(r, 0, log->txs_count - 1)];
        struct chk_tx_step *step = &log->steps[tx->first + base_rand_between(r, 0, tx->count - 1)];
        if (tx->status == CHK_DONE && step->count >= 2) {
            *ret = step;
            return tx;
        }
    }
    fail();
    return NULL;
}

static bool shorten_read(struct chk_log *log, struct base_rand *r)
{
    struct chk_tx_step *step = NULL;
    (void)any_read(log, r, &step);
    step->count--;
    if (step->kind == CHK_ALL) { /* the order of a set means nothing: any of them */
        log->values[step->first + base_rand_between(r, 0, step->count - 1)] =
            log->values[step->first + step->count];
    }
    return true;
}

static bool swap_values(struct chk_log *log, struct base_rand *r)
{
    struct chk_tx_step *step = NULL;
    (void)any_read(log, r, &step);
    int64_t *list = log->values + step->first, kept = list[0];
    list[0] = list[step->count - 1];
    list[step->count - 1] = kept;
    return step->kind == CHK_LIST;
}

/* Nobody ever saw it, though it was acknowledged. */
static bool lose_value(struct chk_log *log, struct base_rand *r)
{
    struct chk_tx_step *step = NULL;
    (void)any_read(log, r, &step);
    int64_t lost = log->values[step->first + base_rand_between(r, 0, step->count - 1)];
    for (size_t i = 0; i < log->steps_count; i++) {
        struct chk_tx_step *s = &log->steps[i];
        uint32_t left = 0;
        for (uint32_t j = 0; j < s->count; j++) {
            int64_t value = log->values[s->first + j];
            log->values[s->first + left] = value;
            left += value != lost;
        }
        s->count = left;
    }
    return true;
}

static bool read_twice(struct chk_log *log, struct base_rand *r)
{
    struct chk_tx_step *step = NULL;
    (void)any_read(log, r, &step);
    log->values[step->first + step->count - 1] = log->values[step->first];
    return true;
}

static bool wrong_times(struct chk_log *log, struct base_rand *r)
{
    uint32_t process = (uint32_t)base_rand_between(r, 0, 5);
    for (size_t i = 0; i < log->txs_count; i++) {
        if (log->txs[i].process == process) {
            log->txs[i].call_us += 3000;
            log->txs[i].return_us += log->txs[i].return_us == CHK_NO_RETURN ? 0 : 3000;
        }
    }
    return true;
}

static void tell(const char *what, const char *damage, unsigned seen, unsigned done,
                 unsigned percent)
{
    print_message("%-8s %-14s seen %3u of %3u\n", what, damage, seen, done);
    assert_true(done > ROUNDS / 4);
    assert_true(seen * 100 >= done * percent);
}

static void registers(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool (*damage)(struct chk_history *h, struct base_rand *r);
        unsigned percent; /* that must be seen */
    } damages[] = {{"other value", other_value, 95},
                   {"reads swapped", swap_reads, 60},
                   {"write lost", lose_write, 30},
                   {"return early", early_return, 60},
                   {"wrong clock", wrong_clock, 95}};
    for (size_t d = 0; d < BASE_COUNT_OF(damages); d++) {
        unsigned seen = 0, done = 0;
        for (uint64_t seed = 0; seed < ROUNDS; seed++) {
            struct base_rand r = base_rand_make(seed, 21);
            struct chk_history h = made_register(seed);
            assert_true(d > 0 || register_is_fine(&h));
            if (damages[d].damage(&h, &r)) {
                done++;
                seen += !register_is_fine(&h);
            }
        }
        tell("register", damages[d].name, seen, done, damages[d].percent);
    }
}

static void logs(bool is_set)
{
    static const struct {
        const char *name;
        bool (*damage)(struct chk_log *log, struct base_rand *r);
        unsigned percent[2]; /* of lists, of sets */
    } damages[] = {{"read shortened", shorten_read, {30, 80}},
                   {"values swapped", swap_values, {95, 0}},
                   {"value lost", lose_value, {60, 95}},
                   {"read twice", read_twice, {95, 95}},
                   {"wrong clock", wrong_times, {95, 20}}};
    for (size_t d = 0; d < BASE_COUNT_OF(damages); d++) {
        unsigned seen = 0, done = 0;
        for (uint64_t seed = 0; seed < ROUNDS; seed++) {
            struct base_rand r = base_rand_make(seed, 22);
            struct chk_log log = made_log(seed, is_set);
            assert_true(d > 0 || log_is_fine(&log, is_set));
            if (damages[d].damage(&log, &r)) {
                done++;
                seen += !log_is_fine(&log, is_set);
            }
        }
        if (damages[d].percent[is_set] > 0) {
            tell(is_set ? "set" : "append", damages[d].name, seen, done,
                 damages[d].percent[is_set]);
        }
    }
}

static void lists(void **state)
{
    (void)state;
    logs(false);
}

static void sets(void **state)
{
    (void)state;
    logs(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers),
        cmocka_unit_test(lists),
        cmocka_unit_test(sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
