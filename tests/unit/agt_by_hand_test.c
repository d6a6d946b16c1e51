/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of the agent's core: servers that somebody starts or promotes by hand. Nothing is
 * armed beside one, what it wrote is nobody's history, and it is told as what it is. */
#include "tests/unit/agt_scene.h"

static void test_rogue_is_ended_and_never_armed(void **state)
{
    (void)state;
    standby();
    w.db.is_gated = true;        /* so that the world does not count it as ours */
    w.db.is_in_recovery = false; /* promoted by hand */
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 400);
    assert_int_equal(w.kills, 1);
    assert_false(w.report.is_open);
    good();
}

/* Its history is nobody's, whatever number its timeline has. A fresh copy of a running primary says
 * of itself that it ran read-write, too, and is not copied again. */
static void test_what_ran_by_hand_is_cloned_once(void **state)
{
    (void)state;
    standby();
    w.db.is_gated = true;
    w.db.is_in_recovery = false;
    w.db.was_primary = true;
    w.is_upstream_open = true;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 2000);
    assert_int_equal(w.kills, 1);
    assert_int_equal(w.orders[DB_ORDER_CLONE], 1);
    assert_int_equal(w.orders[DB_ORDER_REWIND], 0);
    assert_true(w.report.is_receiving);
    good();
}

/* From the first look of a new agent on: what somebody writes there is in nobody's history, and
 * stands behind the position that all others have. */
static void test_what_runs_by_hand_is_never_told_as_data_at_rest(void **state)
{
    (void)state;
    fresh();
    world_directory(&w, 1, 1, 2500);
    w.db.is_running = w.db.is_ready = true;
    world_agent_start(&w);
    world_run_ms(&w, 2);
    assert_true(world_agent(&w)->has_view);
    w.are_views_silent = true; /* the next look takes its time */
    world_run_ms(&w, 400);
    assert_int_equal(w.report.position.lsn, 2500);
    assert_int_equal(w.report.db_state, MSG_DB_UNKNOWN);
}

/* A quorum that was restored gives no order before a member is confirmed, by the positions that are
 * reported. */
static void test_what_ran_by_hand_is_not_offered_before_an_order(void **state)
{
    (void)state;
    fresh();
    world_directory(&w, 3, 3, 2000);
    w.db.was_primary = true;
    world_agent_start(&w);
    world_run_ms(&w, 300);
    assert_int_equal(w.report.db_state, MSG_DB_FAILED);
    assert_int_equal(w.report.position.lineage, 0);
    assert_true(w.durable.is_clone_needed);
    good();
}

static void runs_by_hand(bool is_running)
{
    w.db.is_running = w.db.is_ready = is_running;
}

/* Nothing is armed beside a server that the guard could not end; without it the same member is. */
static void test_a_winner_is_armed_when_what_ran_by_hand_is_gone(void **state)
{
    (void)state;
    fresh();
    world_directory(&w, 1, 1, 2000);
    w.db.is_in_recovery = w.db.is_standby_configured = true;
    runs_by_hand(true);
    world_agent_start(&w);
    world_record(&w, 2, "a");
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 400);
    assert_int_equal(w.arms, 0);
    runs_by_hand(false);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1000);
    assert_int_equal(w.report.epoch_held, 2);
    assert_true(w.report.is_open);
    good();
}

/* Nor before the first look, which may find one. */
static void test_a_winner_is_armed_behind_the_first_look(void **state)
{
    (void)state;
    fresh();
    world_directory(&w, 1, 1, 2000);
    w.are_views_silent = true;
    world_agent_start(&w);
    world_record(&w, 2, "a");
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 400);
    assert_false(world_agent(&w)->has_view);
    assert_int_equal(w.arms, 0);
    w.are_views_silent = false;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1000);
    assert_int_equal(w.report.epoch_held, 2);
    good();
}

/* Started behind the last look before the arming: what that has written is nobody's history. */
static void test_a_winner_that_ran_by_hand_is_not_promoted(void **state)
{
    (void)state;
    fresh();
    world_directory(&w, 1, 1, 2000);
    world_agent_start(&w);
    world_record(&w, 2, "a");
    for (int ms = 0; w.arms == 0 && ms < 1000; ms++) {
        world_hold_ms(&w, MSG_GOAL_HOLD, true, 1);
    }
    runs_by_hand(true);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 400);
    assert_int_equal(w.report.epoch_held, 2);
    runs_by_hand(false);
    w.db.was_primary = true;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1000);
    assert_int_equal(w.starts, 0);
    assert_int_equal(w.orders[DB_ORDER_PROMOTE], 0);
    assert_int_equal(w.report.epoch_handed_back, 2);
    assert_int_equal(w.report.db_state, MSG_DB_FAILED);
    good();
}

static void test_rogue_that_is_elected_is_not_armed(void **state)
{
    (void)state;
    standby();
    w.db.is_gated = true;
    w.db.is_in_recovery = false;
    while (world_agent(&w)->was_in_recovery) {
        world_run_ms(&w, 1);
    }
    world_record(&w, 2, "a");
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 90);
    assert_int_equal(w.arms, 0);
    world_hold_ms(&w, MSG_GOAL_HOLD, false, 400);
    assert_int_equal(w.kills, 1);
    good();
}

static void test_foreign_process_is_not_joined(void **state)
{
    (void)state;
    fresh();
    world_directory(&w, 1, 1, 2000);
    w.db.is_running = true; /* started by hand, not the guard's */
    w.db.is_ready = true;
    w.db.is_in_recovery = true;
    world_agent_start(&w);
    world_record(&w, 1, "b");
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 1000);
    assert_int_equal(w.starts, 0);
    assert_false(w.report.is_tree_gone);
    assert_non_null(strstr(w.report.note.text, "did not start"));
    good();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rogue_is_ended_and_never_armed),
        cmocka_unit_test(test_what_ran_by_hand_is_cloned_once),
        cmocka_unit_test(test_what_runs_by_hand_is_never_told_as_data_at_rest),
        cmocka_unit_test(test_what_ran_by_hand_is_not_offered_before_an_order),
        cmocka_unit_test(test_a_winner_is_armed_when_what_ran_by_hand_is_gone),
        cmocka_unit_test(test_a_winner_is_armed_behind_the_first_look),
        cmocka_unit_test(test_a_winner_that_ran_by_hand_is_not_promoted),
        cmocka_unit_test(test_rogue_that_is_elected_is_not_armed),
        cmocka_unit_test(test_foreign_process_is_not_joined),
    };
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
