/* SPDX-License-Identifier: Apache-2.0 */
/* Plans of the simulator: drawn alike from a seed, faults taken away one by one, setups as text. */
#include "tests/support/cm.h"

#include <string.h>

#include "tests/sim/plan.h"
#include "tests/sim/world.h"

static struct plan one, other;

/* A seed with many faults. */
static void draw_many(struct plan *p)
{
    const struct setup_wish wish = {.is_kv_only = false};
    for (uint64_t seed = 1; p->faults_count < 20; seed++) {
        plan_draw(seed, &wish, p);
    }
}

static void a_seed_gives_one_plan(void **state)
{
    (void)state;
    draw_many(&one);
    draw_many(&other);
    assert_memory_equal(&one.setup, &other.setup, sizeof(one.setup));
    assert_int_equal(one.faults_count, other.faults_count);
    for (size_t i = 0; i < one.faults_count; i++) {
        assert_int_equal(one.faults[i].at_us, other.faults[i].at_us);
        assert_int_equal(one.faults[i].kind, other.faults[i].kind);
        assert_int_equal(one.faults[i].number, i + 1);
    }
}

static void faults_go_by_number_and_move_nothing(void **state)
{
    (void)state;
    draw_many(&one);
    other = one;
    assert_true(plan_keep_others(&one, "2,5"));
    assert_int_equal(one.faults_count, other.faults_count - 2);
    assert_int_equal(one.faults[0].number, 1);
    assert_int_equal(one.faults[1].number, 3);
    assert_int_equal(one.faults[1].at_us, other.faults[2].at_us);
    assert_true(plan_keep_only(&one, "3"));
    assert_int_equal(one.faults_count, 1);
    assert_int_equal(one.faults[0].number, 3);
    assert_false(plan_keep_only(&one, "3;4"));
    assert_false(plan_keep_only(&one, "x"));
}

static void a_setup_is_set_by_names(void **state)
{
    struct setup s;
    (void)state;
    memset(&s, 0, sizeof(s));
    assert_true(setup_set(&s, "nodes", 3));
    assert_true(setup_set(&s, "is_ordered", 1));
    assert_true(setup_set(&s, "db2.ttl_ms", 600));
    assert_int_equal(s.nodes, 3);
    assert_true(s.is_ordered);
    assert_int_equal(s.databases[1].ttl_ms, 600);
    assert_false(setup_set(&s, "nobody", 1));
    assert_false(setup_set(&s, "db2.nobody", 1));
    assert_false(setup_set(&s, "db9.ttl_ms", 1));
}

static void a_setup_as_text_says_all_of_it(void **state)
{
    struct setup again;
    char line[256], name[64];
    long value = 0;
    (void)state;
    memset(&again, 0, sizeof(again));
    draw_many(&one);
    FILE *text = tmpfile();
    assert_non_null(text);
    setup_write(&one.setup, text);
    rewind(text);
    while (fgets(line, sizeof(line), text) != NULL) {
        assert_int_equal(sscanf(line, "set %63s %ld", name, &value), 2);
        assert_true(setup_set(&again, name, value));
    }
    (void)fclose(text);
    assert_int_equal(again.nodes, one.setup.nodes);
    assert_int_equal(again.end_us, one.setup.end_us);
    assert_int_equal(again.members, one.setup.members);
    assert_int_equal(again.databases[0].ttl_ms, one.setup.databases[0].ttl_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_gives_one_plan),
        cmocka_unit_test(faults_go_by_number_and_move_nothing),
        cmocka_unit_test(a_setup_is_set_by_names),
        cmocka_unit_test(a_setup_as_text_says_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
