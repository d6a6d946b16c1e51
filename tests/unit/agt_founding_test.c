/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of the agent's core and driver: a member that makes the database (section 1 of
 * safety.md), and one that was passed over while it did. Each ends with the world's own checks.
 */
#include "tests/unit/agt_scene.h"

/* The holder is to make the database. */
static void founding(uint64_t epoch, const char *holder)
{
    world_record(&w, epoch, holder);
    w.record.state = MSG_RECORD_BOOTSTRAP;
    w.record.system_id = 0;
    w.record.timeline = 1;
    w.record.floor = (struct msg_position){0, 0, 0};
    w.record.voters.count = 0;
    w.record.votes_needed_r = 0;
}

static void named(uint64_t system_id)
{
    w.record.state = MSG_RECORD_RUNNING;
    w.record.system_id = system_id;
    w.record.revision++;
}

static void test_bootstrap_makes_and_opens_under_a_grant(void **state)
{
    (void)state;
    fresh();
    world_agent_start(&w);
    founding(1, "a");
    world_hold_ms(&w, MSG_GOAL_INIT, false, 400);
    assert_int_equal(w.orders[DB_ORDER_INIT], 1);
    assert_int_equal(w.starts, 0); /* no grant, no start */
    assert_int_equal(w.report.system_id, WORLD_SYSTEM_ID);
    assert_int_equal(w.report.position.lineage, 1);
    named(WORLD_SYSTEM_ID);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    assert_int_equal(w.starts, 1);
    assert_true(w.report.is_open);
    assert_int_equal(w.report.opened_lsn, w.db.lsn);
    assert_int_equal(w.orders[DB_ORDER_PROMOTE], 0);
    assert_int_equal(w.durable.made_system, 0); /* what has run is never thrown away */
    good();
}

/* A look may come before the new database says what it is called. */
static void test_what_was_made_is_known_by_its_identifier_alone(void **state)
{
    (void)state;
    fresh();
    world_agent_start(&w);
    founding(1, "a");
    while (w.orders[DB_ORDER_INIT] == 0) {
        world_hold_ms(&w, MSG_GOAL_INIT, false, 1);
    }
    w.are_views_silent = true;
    world_run_ms(&w, 10);
    struct db_view early = world_agent(&w)->view;
    early.has_directory = true;
    agt_driver_db_view(&w.driver, &early);
    w.are_views_silent = false;
    world_run_ms(&w, 300);
    assert_int_equal(w.durable.made_system, WORLD_SYSTEM_ID);
    good();
}

/* A fresh copy of a running primary says that it ran read-write: that is no history of ours. */
static void test_a_standby_cluster_is_founded_with_one_copy(void **state)
{
    (void)state;
    fresh();
    world_agent_start(&w);
    founding(1, "a");
    w.record.is_standby_cluster = true;
    w.record.system_id = WORLD_SYSTEM_ID;
    w.db.was_primary = true;
    world_hold_ms(&w, MSG_GOAL_INIT, true, 400);
    assert_int_equal(w.orders[DB_ORDER_CLONE], 1);
    named(WORLD_SYSTEM_ID);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1000);
    assert_int_equal(w.orders[DB_ORDER_REWIND], 0);
    assert_int_equal(w.starts, 1);
    assert_int_equal(w.report.db_state, MSG_DB_STANDBY);
    assert_true(w.report.is_receiving);
    good();
}

/* Until then another member may be asked to make it, and would have nothing of what was
 * acknowledged here. */
static void test_a_database_that_was_made_starts_when_the_record_names_it(void **state)
{
    (void)state;
    fresh();
    world_agent_start(&w);
    founding(1, "a");
    world_hold_ms(&w, MSG_GOAL_INIT, true, 600);
    assert_int_equal(w.orders[DB_ORDER_INIT], 1);
    assert_true(w.arms > 0);
    assert_int_equal(w.starts, 0);
    assert_int_equal(w.report.db_state, MSG_DB_STOPPED);
    assert_int_equal(w.report.system_id, WORLD_SYSTEM_ID);
    assert_int_equal(w.durable.made_system, WORLD_SYSTEM_ID);
    good();
}

static void made_and_passed_over(void)
{
    fresh();
    world_agent_start(&w);
    founding(1, "a");
    world_hold_ms(&w, MSG_GOAL_INIT, true, 600);
    founding(2, "b");
    world_hold_ms(&w, MSG_GOAL_NONE, false, 300);
    assert_int_equal(w.report.epoch_handed_back, 1);
    assert_int_equal(w.report.db_state, MSG_DB_EMPTY);
    assert_int_equal(w.report.system_id, 0);
}

static void test_who_was_passed_over_clones_what_another_made(void **state)
{
    (void)state;
    made_and_passed_over();
    world_agent_start(&w); /* it stands on its disk */
    named(WORLD_SYSTEM_ID + 1);
    w.is_upstream_open = true;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 600);
    assert_int_equal(w.orders[DB_ORDER_CLONE], 1);
    assert_int_equal(w.starts, 1);
    assert_int_equal(w.durable.made_system, 0);
    good();
}

static void test_who_was_passed_over_is_asked_again(void **state)
{
    (void)state;
    made_and_passed_over();
    founding(3, "a");
    world_hold_ms(&w, MSG_GOAL_INIT, true, 300);
    assert_int_equal(w.report.db_state, MSG_DB_STOPPED);
    assert_int_equal(w.report.system_id, WORLD_SYSTEM_ID);
    named(WORLD_SYSTEM_ID);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    assert_true(w.report.is_open);
    assert_int_equal(w.orders[DB_ORDER_INIT], 1);
    good();
}

/* A directory of another cluster is none that was made here. */
static void test_a_foreign_directory_is_never_cloned_over(void **state)
{
    (void)state;
    made_and_passed_over();
    w.db.system_id = WORLD_SYSTEM_ID + 5; /* put there by hand */
    world_hold_ms(&w, MSG_GOAL_NONE, false, 300);
    named(WORLD_SYSTEM_ID + 1);
    w.is_upstream_open = true;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 600);
    assert_int_equal(w.orders[DB_ORDER_CLONE], 0);
    assert_int_equal(w.report.db_state, MSG_DB_FAILED);
    assert_int_equal(w.report.system_id, WORLD_SYSTEM_ID + 5);
    good();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bootstrap_makes_and_opens_under_a_grant),
        cmocka_unit_test(test_what_was_made_is_known_by_its_identifier_alone),
        cmocka_unit_test(test_a_standby_cluster_is_founded_with_one_copy),
        cmocka_unit_test(test_a_database_that_was_made_starts_when_the_record_names_it),
        cmocka_unit_test(test_who_was_passed_over_clones_what_another_made),
        cmocka_unit_test(test_who_was_passed_over_is_asked_again),
        cmocka_unit_test(test_a_foreign_directory_is_never_cloned_over),
    };
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
