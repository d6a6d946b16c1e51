/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of the agent's core: a server that runs is taken over (safety.md section 3, adopted):
 * it serves on until the first record, goes on under it without a restart where that names it, and
 * is ended like any other that writes without a right where it names somebody else. */
#include "tests/unit/agt_scene.h"

#define TIMELINE 3

static void adopted(bool is_standby)
{
    world_init(&w);
    w.options.config.seed_adopt = true;
    w.options.config.is_adopted_running = true;
    world_adopt(&w, TIMELINE, is_standby);
    world_agent_start(&w);
    world_run_ms(&w, 500);
}

/* As the arbiter makes it: the timeline is the one on which the primary serves. */
static void first_record(const char *holder)
{
    world_record(&w, 1, holder);
    w.record.timeline = w.record.timeline_highest = TIMELINE;
    w.record.floor = (struct msg_position){0, TIMELINE, 7000};
    w.record.voters.count = 0;
    w.record.votes_needed_r = 0;
    w.record.is_opened = false;
}

static void test_a_primary_serves_on_and_is_offered(void **state)
{
    (void)state;
    adopted(false);
    world_run_ms(&w, 10000);
    assert_true(world_is_writable(&w));
    assert_int_equal(w.kills, 0);
    assert_true(w.report.seed_adopt && w.report.is_adopted);
    assert_int_equal(w.report.db_state, MSG_DB_PRIMARY);
    assert_false(w.report.is_open);
    assert_int_equal(w.report.epoch_held, 0);
    good();
}

static void test_it_goes_on_under_the_first_grant(void **state)
{
    (void)state;
    adopted(false);
    first_record("a");
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    assert_int_equal(w.kills, 0);
    assert_int_equal(w.starts, 0);
    assert_int_equal(w.orders[DB_ORDER_PROMOTE], 0);
    assert_true(w.arms > 0);
    assert_true(w.orders[DB_ORDER_SET_SYNC] > 0);
    assert_true(w.report.is_open);
    assert_int_equal(w.report.position.lineage, 1);
    good();
}

/* From then on it is as any other: without grants it is frozen, and killed. */
static void test_its_lease_runs_out_like_any_other(void **state)
{
    (void)state;
    adopted(false);
    first_record("a");
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    world_run_ms(&w, 8000);
    assert_int_equal(w.kills, 1);
    assert_false(world_is_writable(&w));
    good();
}

static void test_a_standby_is_not_offered_and_follows(void **state)
{
    (void)state;
    adopted(true);
    assert_false(w.report.seed_adopt);
    assert_int_equal(w.report.db_state, MSG_DB_STANDBY);
    assert_int_equal(w.orders[DB_ORDER_FOLLOW], 0);
    first_record("b");
    w.record.is_opened = true;
    w.upstream_timeline = TIMELINE;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 600);
    assert_int_equal(w.orders[DB_ORDER_FOLLOW], 1);
    assert_int_equal(w.starts, 0);
    assert_int_equal(w.kills, 0);
    good();
}

static void test_another_primary_of_the_cluster_is_ended(void **state)
{
    (void)state;
    adopted(false);
    first_record("b");
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 1000);
    assert_int_equal(w.kills, 1);
    good();
}

static void test_a_server_of_another_cluster_is_left_alone(void **state)
{
    (void)state;
    adopted(false);
    first_record("b");
    w.record.system_id = WORLD_SYSTEM_ID + 1;
    world_hold_ms(&w, MSG_GOAL_REFUSED, false, 5000);
    assert_int_equal(w.kills, 0);
    assert_true(world_is_writable(&w));
    good();
}

/* The agent alone ends: nothing of ours was ever decided. */
static void leaves_it(bool is_standby)
{
    adopted(is_standby);
    agt_driver_shutdown(&w.driver);
    world_run_ms(&w, 1000);
    assert_true(agt_driver_is_finished(&w.driver));
    assert_true(w.db.is_running);
    assert_int_equal(w.signals[AGT_SIGNAL_FAST], 0);
    good();
}

static void test_an_agent_that_is_stopped_leaves_it(void **state)
{
    (void)state;
    leaves_it(false);
    leaves_it(true);
}

/* A restarted agent finds all of it with the guard, and its own promise that it was led. */
static void test_a_new_agent_goes_on_under_it(void **state)
{
    (void)state;
    adopted(false);
    first_record("a");
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    world_agent_start(&w);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    assert_true(w.report.is_open);
    assert_int_equal(w.kills, 0);
    good();
}

int main(void)
{
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_primary_serves_on_and_is_offered),
        cmocka_unit_test(test_it_goes_on_under_the_first_grant),
        cmocka_unit_test(test_its_lease_runs_out_like_any_other),
        cmocka_unit_test(test_a_standby_is_not_offered_and_follows),
        cmocka_unit_test(test_another_primary_of_the_cluster_is_ended),
        cmocka_unit_test(test_a_server_of_another_cluster_is_left_alone),
        cmocka_unit_test(test_an_agent_that_is_stopped_leaves_it),
        cmocka_unit_test(test_a_new_agent_goes_on_under_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
