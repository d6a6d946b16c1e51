/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of the agent's core and driver: a primary that is there and does not serve (it cannot
 * write, hangs, does not end, its guard refuses the lease), crashes, and promotions that are
 * refused. Each ends with the world's own checks.
 */
#include "tests/unit/agt_scene.h"

static void test_primary_that_cannot_write_hands_the_role_on(void **state)
{
    (void)state;
    primary();
    assert_false(w.report.is_write_failing);
    w.db.is_write_failing = true;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 8000); /* nobody is fit: it stays */
    assert_true(w.db.is_running);
    assert_true(w.report.is_write_failing);
    stream_voters();
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 4000);
    assert_int_equal(w.report.epoch_handed_back, 2);
    good();
}

static void test_write_that_fails_once_is_nothing(void **state)
{
    (void)state;
    primary();
    stream_voters();
    for (int i = 0; i < 10; i++) {
        w.db.is_write_failing = true;
        world_hold_ms(&w, MSG_GOAL_HOLD, true, 1000);
        w.db.is_write_failing = false;
        world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    }
    assert_true(w.report.is_open);
    assert_int_equal(w.starts, 1);
    good();
}

static void test_hung_primary_is_replaced_in_seconds(void **state)
{
    (void)state;
    primary();
    stream_voters();
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    w.db.is_hanging = true;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 4000);
    assert_true(w.db.is_running);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 2500);
    assert_int_equal(w.report.epoch_handed_back, 2);
    good();
}

/* What waits for a disk does not end when it is killed: the role does not wait for it. */
static void test_killed_tree_that_does_not_end_gives_the_role_up(void **state)
{
    (void)state;
    primary();
    w.kill_us = 60 * BASE_US_PER_S;
    world_run_ms(&w, 5500); /* no grant: frozen, killed */
    assert_int_equal(w.guard.status.tree, GUARD_TREE_KILLING);
    assert_int_equal(w.report.epoch_held, 2);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1500); /* the leader grants again */
    assert_int_equal(w.report.instance, 0);
    assert_int_equal(w.report.epoch_held, 0);
    assert_false(w.report.is_tree_gone);
    uint32_t arms = w.arms;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1000);
    assert_int_equal(w.arms, arms);
    world_run_ms(&w, 60000); /* the disk goes on */
    assert_int_equal(w.report.epoch_handed_back, 2);
    assert_true(w.report.instance != 0);
    good();
}

/* watchdog.mode require, and no device: a winner that cannot be armed stands in nobody's way. */
static void test_winner_whose_guard_refuses_hands_the_role_on(void **state)
{
    (void)state;
    standby();
    w.is_arm_refused = true;
    world_record(&w, 2, "a");
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1900);
    assert_true(w.db.is_running);
    assert_int_equal(w.report.epoch_handed_back, 0);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1500);
    assert_int_equal(w.report.epoch_handed_back, 2);
    assert_true(w.report.is_nofailover); /* not at once again */
    assert_int_equal(w.armed_highest, 2);
    assert_int_equal(w.db.timeline, 1); /* it has never been promoted */
    world_record(&w, 3, "b");
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 2000);
    assert_int_equal(w.report.db_state, MSG_DB_STANDBY);
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 61000);
    assert_false(w.report.is_nofailover);
    good();
}

/* The guard has heard the arm in the end, and the handback behind it was lost: asked for again. */
static void test_winner_whose_handback_was_lost_repeats_it(void **state)
{
    (void)state;
    struct guard_effects fx;
    fresh();
    world_directory(&w, 1, 1, 2000);
    world_agent_start(&w);
    world_record(&w, 2, "a");
    w.is_arm_refused = true;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1800);
    w.is_guard_silent = true;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    assert_int_equal(world_agent(&w)->handback_asked, 2);
    w.is_guard_silent = false;
    const struct guard_event arm = {
        .kind = GUARD_EV_ARM, .now = w.now, .epoch = 2, .deadline = w.armed_deadline};
    assert_int_equal(guard_core_step(&w.guard, &arm, &fx), 0);
    agt_driver_guard_status(&w.driver, &w.guard.status);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 500);
    assert_int_equal(w.report.epoch_handed_back, 2);
    assert_int_equal(w.starts, 0);
    good();
}

/* It serves, and its guard puts the deadline off no more: in order, while the lease still runs. */
static void test_primary_whose_guard_renews_no_more_hands_over(void **state)
{
    (void)state;
    primary();
    w.is_arm_refused = true;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1200); /* nobody is fit: it stays */
    assert_true(w.db.is_running);
    assert_int_equal(w.signals[AGT_SIGNAL_FAST], 0);
    w.is_arm_refused = false;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1000);
    assert_true(w.report.is_open);
    stream_voters();
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    w.is_arm_refused = true;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    assert_int_equal(w.signals[AGT_SIGNAL_FAST], 0); /* a word or two may be late */
    w.is_arm_refused = false;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    w.is_arm_refused = true;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1500);
    assert_int_equal(w.signals[AGT_SIGNAL_FAST], 1);
    assert_int_equal(w.report.epoch_handed_back, 2);
    assert_true(w.report.is_handback_clean);
    assert_true(w.report.is_nofailover);
    good();
}

/* It takes one thing after the other, and its words come seldom. */
static void test_primary_whose_guard_is_slow_does_not_hand_over(void **state)
{
    (void)state;
    primary();
    stream_voters();
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    w.is_arm_refused = true;
    for (int i = 0; i < 2; i++) {
        world_run_ms(&w, 500);
        world_order(&w, MSG_GOAL_HOLD, true);
    }
    world_run_ms(&w, 400);
    assert_int_equal(w.signals[AGT_SIGNAL_FAST], 0);
    w.is_arm_refused = false;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1000);
    assert_true(w.report.is_open);
    good();
}

/* A guard that says nothing has not refused. */
static void test_primary_whose_guard_is_silent_does_not_hand_over(void **state)
{
    (void)state;
    primary();
    stream_voters();
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    w.is_guard_silent = true;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1500);
    assert_int_equal(w.signals[AGT_SIGNAL_FAST], 0);
    w.is_guard_silent = false;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1000);
    assert_true(w.report.is_open);
    good();
}

/* Three pauses of the host in a minute. Its guard's twin comes first and ends the tree: the
 * database has not crashed, and comes back each time. */
static void test_ends_of_leases_are_no_crashes(void **state)
{
    (void)state;
    primary();
    for (uint64_t epoch = 3; epoch < 7; epoch++) {
        w.now = base_mono_add_us(w.now, 4 * BASE_US_PER_S);
        world_crash(&w);
        world_run_ms(&w, 500);
        assert_int_equal(w.report.epoch_handed_back, epoch - 1);
        assert_false(world_agent(&w)->is_retired);
        world_record(&w, epoch, "a");
        world_hold_ms(&w, MSG_GOAL_HOLD, true, 1500);
        assert_true(w.report.is_open);
    }
    good();
}

/* The cluster's settings go before those of the file. */
static void test_record_says_what_follows_a_crash(void **state)
{
    (void)state;
    primary();
    stream_voters();
    w.record.on_crash = MSG_ON_CRASH_RESTART;
    w.record.revision++;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    world_crash(&w);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1000);
    assert_int_equal(w.report.epoch_held, 2);
    assert_int_equal(w.starts, 2);
    w.record.on_crash = MSG_ON_CRASH_FAILOVER;
    w.record.revision++;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    world_crash(&w);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1000);
    assert_int_equal(w.report.epoch_handed_back, 2);
    good();
}

static void test_refused_promotion_hands_back(void **state)
{
    (void)state;
    standby();
    world_record(&w, 2, "a");
    w.promote_refused = true;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    assert_int_equal(w.report.epoch_handed_back, 2);
    assert_true(w.report.is_nofailover); /* not asked again at once */
    world_record(&w, 3, "b");
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 61000);
    assert_false(w.report.is_nofailover);
    assert_true(w.report.is_receiving);
    good();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_primary_that_cannot_write_hands_the_role_on),
        cmocka_unit_test(test_write_that_fails_once_is_nothing),
        cmocka_unit_test(test_hung_primary_is_replaced_in_seconds),
        cmocka_unit_test(test_killed_tree_that_does_not_end_gives_the_role_up),
        cmocka_unit_test(test_winner_whose_guard_refuses_hands_the_role_on),
        cmocka_unit_test(test_winner_whose_handback_was_lost_repeats_it),
        cmocka_unit_test(test_primary_whose_guard_renews_no_more_hands_over),
        cmocka_unit_test(test_primary_whose_guard_is_slow_does_not_hand_over),
        cmocka_unit_test(test_primary_whose_guard_is_silent_does_not_hand_over),
        cmocka_unit_test(test_ends_of_leases_are_no_crashes),
        cmocka_unit_test(test_record_says_what_follows_a_crash),
        cmocka_unit_test(test_refused_promotion_hands_back),
    };
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
