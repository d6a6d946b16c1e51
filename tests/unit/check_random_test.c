/* SPDX-License-Identifier: Apache-2.0 */
/* Random small histories, true ones and damaged ones: the search must agree with brute force on all
 * of them, the witness must accept every true one and whatever it accepts must be linearizable. A
 * long history shows the bounds.
 */
#include "tests/support/cm.h"

#include <string.h>

#include "base/rand.h"
#include "jepsen/check/linear.h"
#include "jepsen/check/oracle.h"
#include "jepsen/check/witness.h"

#define LONG_OPS 4000

static struct chk_op ops[LONG_OPS];
static struct chk_key keys[2] = {{.text = "a"}, {.text = "b"}};
static _Alignas(16) uint8_t memory[32 << 20];

/* Makes a true history: operations get a moment between call and return at which they really
 * happen. */
struct maker {
    struct base_rand rand;
    struct chk_history h;
    int64_t values[2];
    uint64_t revisions[2];
    uint64_t revision;
    int64_t next_value;
    unsigned keys_count;
};

static void do_part(struct maker *m, struct chk_part *part, bool *is_change)
{
    switch (part->kind) {
    case CHK_READ:
        part->value = m->values[part->key];
        part->revision = part->value != 0 ? m->revisions[part->key] : 0;
        break;
    case CHK_WRITE:
        m->values[part->key] = part->value;
        *is_change = true;
        break;
    case CHK_DELETE:
        part->value = m->values[part->key];
        part->revision = part->value != 0 ? m->revisions[part->key] : 0;
        *is_change = *is_change || part->value != 0;
        if (part->revision % 3 == 2) { /* a reply that only says that there was something */
            part->value = 1;
            part->revision = 0;
        }
        m->values[part->key] = 0;
        break;
    }
}

static void happen(struct maker *m, struct chk_op *op)
{
    bool is_change = false;
    op->is_applied = !op->has_compare || m->values[op->compare_key] == op->compare_value;
    op->has_seen = !op->is_applied && base_rand_chance_ppm(&m->rand, 500000);
    op->compare_seen = op->has_seen ? m->values[op->compare_key] : 0;
    op->seen_revision = op->compare_seen != 0 ? m->revisions[op->compare_key] : 0;
    for (size_t i = 0; op->is_applied && i < op->parts_count; i++) {
        do_part(m, &op->parts[i], &is_change);
    }
    m->revision += is_change;
    for (size_t i = 0; is_change && i < op->parts_count; i++) {
        if (op->parts[i].kind != CHK_READ) {
            m->revisions[op->parts[i].key] = m->revision;
        }
    }
    op->revision = m->revision;
}

static void draw_op(struct maker *m, struct chk_op *op)
{
    uint64_t what = base_rand_between(&m->rand, 0, 9);
    uint32_t key = (uint32_t)base_rand_between(&m->rand, 0, m->keys_count - 1);
    op->parts_count = 1;
    op->parts[0] = (struct chk_part){.key = key};
    if (what < 4) {
        op->parts[0].kind = CHK_READ;
    } else if (what == 4) {
        op->parts[0].kind = CHK_DELETE;
    } else {
        op->parts[0].kind = CHK_WRITE;
        op->parts[0].value = ++m->next_value;
        op->has_compare = what >= 8;
        op->compare_key = key;
        op->compare_value = (int64_t)base_rand_between(&m->rand, 0, (uint64_t)m->next_value);
    }
    if (what == 7 && m->keys_count == 2) {
        op->parts[1] =
            (struct chk_part){.kind = CHK_WRITE, .key = 1 - key, .value = ++m->next_value};
        op->parts_count = 2;
    }
}

static void forget_reply(struct chk_op *op)
{
    op->status = CHK_INFO;
    op->return_us = CHK_NO_RETURN;
    op->revision = 0;
    op->has_seen = false;
    for (size_t i = 0; i < op->parts_count; i++) {
        op->parts[i].value = op->parts[i].kind == CHK_WRITE ? op->parts[i].value : 1;
        op->parts[i].revision = 0;
    }
}

/* `spread`: how far calls and returns lie from the moment; higher means more overlap. */
static void make_history(struct maker *m, size_t count, uint64_t spread, unsigned keys_count)
{
    m->h = chk_history_over(ops, LONG_OPS, keys, 2);
    m->h.keys_count = m->keys_count = keys_count;
    memset(m->values, 0, sizeof(m->values));
    m->revision = 1;
    m->next_value = 0;
    for (size_t i = 0; i < count; i++) {
        struct chk_op op = {.process = (uint32_t)i, .status = CHK_DONE};
        int64_t moment = (int64_t)i * 10;
        op.call_us = moment - (int64_t)base_rand_between(&m->rand, 0, spread);
        op.return_us = moment + (int64_t)base_rand_between(&m->rand, 0, spread);
        draw_op(m, &op);
        bool is_lost = base_rand_chance_ppm(&m->rand, 100000),
             never = is_lost && base_rand_chance_ppm(&m->rand, 400000);
        if (!never) {
            happen(m, &op);
        }
        if (is_lost) {
            forget_reply(&op);
        }
        assert_int_equal(chk_history_add(&m->h, &op), 0);
    }
}

static void damage(struct maker *m)
{
    struct chk_op *op = &m->h.ops[base_rand_between(&m->rand, 0, m->h.count - 1)];
    switch (base_rand_between(&m->rand, 0, 3)) {
    case 0:
        op->parts[0].value = (int64_t)base_rand_between(&m->rand, 0, 6);
        break;
    case 1:
        op->is_applied = op->has_compare ? !op->is_applied : op->is_applied;
        break;
    case 2:
        op->call_us -= 40;
        op->return_us = op->status == CHK_DONE ? op->call_us + 5 : op->return_us;
        break;
    default:
        op->call_us += 40;
        op->return_us = op->status == CHK_DONE ? op->call_us + 5 : op->return_us;
        break;
    }
}

static void random_histories_agree(void **state)
{
    (void)state;
    unsigned violated = 0, caught = 0;
    for (uint64_t seed = 0; seed < 100000; seed++) {
        struct maker m = {.rand = base_rand_make(seed, 1)};
        make_history(&m, (size_t)base_rand_between(&m.rand, 1, 8), 45, 1 + (unsigned)(seed % 2));
        bool is_damaged = seed % 4 != 0;
        if (is_damaged) {
            damage(&m);
        }
        struct chk_linear_limits limits = {memory, 1 << 20, 1000000};
        enum chk_verdict brute = chk_oracle(&m.h).verdict,
                         search = chk_linear(&m.h, &limits).verdict;
        enum chk_verdict witness = chk_witness(&m.h, memory, sizeof(memory)).verdict;
        bool is_fine = brute == search && (is_damaged || (brute == CHK_OK && witness == CHK_OK));
        if (!is_fine) {
            print_error("seed %lu: brute %d search %d witness %d\n", (unsigned long)seed,
                        (int)brute, (int)search, (int)witness);
            fail();
        }
        violated += brute == CHK_VIOLATED;
        caught += brute == CHK_VIOLATED && witness == CHK_VIOLATED;
    }
    print_message("%u damaged histories not linearizable, the witness caught %u of them\n",
                  violated, caught);
    assert_true(violated > 5000);
    assert_true(caught * 100 > violated * 95);
}

static void long_history_is_checked_fast(void **state)
{
    (void)state;
    struct maker m = {.rand = base_rand_make(7, 1)};
    make_history(&m, 2000, 80, 2);
    struct chk_linear_limits limits = {memory, sizeof(memory), 20000000};
    struct chk_result result = chk_linear(&m.h, &limits);
    assert_int_equal(chk_witness(&m.h, memory, sizeof(memory)).verdict, CHK_OK);
    assert_true(result.verdict != CHK_VIOLATED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_histories_agree),
        cmocka_unit_test(long_history_is_checked_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
