/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of the agent's core and driver: what operators ask for (pause, tasks, documents), and
 * whom a standby receives from. Each ends with the
 * world's own checks.
 */
#include "base/crc32c.h"
#include "tests/unit/agt_scene.h"

static void pause_it(bool is_paused)
{
    w.record.is_paused = is_paused;
    w.record.revision++;
}

/* --- pause -------------------------------------------------------------------------------------
 */

static void test_paused_holder_serves_without_an_end(void **state)
{
    (void)state;
    primary();
    pause_it(true);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    assert_true(w.report.is_paused);
    assert_false(w.guard.status.is_armed);
    assert_true(w.durable.is_paused);
    world_run_ms(&w, 60000); /* the quorum is gone */
    assert_true(world_is_writable(&w));
    assert_true(w.report.is_open);
    assert_true(agt_is_open(world_agent(&w), w.now));
    good();
}

static void test_resumed_holder_is_armed_before_anything_else(void **state)
{
    (void)state;
    primary();
    pause_it(true);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    pause_it(false);
    world_hold_ms(&w, MSG_GOAL_HOLD, false, 1000); /* no grant yet */
    assert_true(w.report.is_paused);
    assert_true(w.report.is_open);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    assert_false(w.report.is_paused);
    assert_true(w.guard.status.is_armed);
    assert_true(w.report.is_open);
    world_run_ms(&w, 3000); /* and it ends again */
    assert_false(world_is_writable(&w));
    good();
}

/* The resume is heard while the DISARM is on its way: the guard's last word is from before it. */
static void test_a_disarm_on_its_way_is_waited_for(void **state)
{
    (void)state;
    primary();
    w.is_disarm_held = true;
    pause_it(true);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    pause_it(false);
    world_hold_ms(&w, MSG_GOAL_HOLD, false, 300);
    assert_true(w.guard.status.is_armed);
    assert_true(w.report.is_paused); /* "armed again" would be a lie in a moment */
    world_disarm(&w);
    world_hold_ms(&w, MSG_GOAL_HOLD, false, 300);
    assert_false(w.guard.status.is_armed);
    assert_true(w.report.is_paused);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    assert_false(w.report.is_paused);
    assert_true(w.guard.status.is_armed);
    good();
}

static void test_crash_in_a_pause_stays_down_until_the_resume(void **state)
{
    (void)state;
    primary();
    pause_it(true);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    world_crash(&w);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 5000);
    assert_false(w.db.is_running);
    assert_int_equal(w.report.epoch_held, 2);
    assert_non_null(strstr(w.report.note.text, "stays down until the resume"));
    pause_it(false);
    world_hold_ms(&w, MSG_GOAL_HOLD, false, 300); /* armed first: else it would hand back */
    assert_int_equal(w.report.epoch_held, 2);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    assert_true(w.report.is_open);
    assert_int_equal(w.report.epoch_held, 2);
    good();
}

/* Enough voters streamed when it went down: the role is handed on, but not before the resume. */
static void test_crash_in_a_pause_is_handed_back_after_it(void **state)
{
    (void)state;
    primary();
    stream_voters();
    pause_it(true);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    world_crash(&w);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 5000);
    assert_int_equal(w.report.epoch_handed_back, 0);
    assert_false(w.db.is_running);
    pause_it(false);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1000);
    assert_int_equal(w.report.epoch_handed_back, 2);
    assert_false(w.report.is_paused);
    good();
}

static void test_paused_standby_is_left_alone(void **state)
{
    (void)state;
    standby();
    pause_it(true);
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 600);
    assert_true(w.report.is_paused);
    uint32_t starts = w.starts;
    uint32_t follows = w.orders[DB_ORDER_FOLLOW];
    w.db.is_receiving = false;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 6000);
    assert_int_equal(w.orders[DB_ORDER_FOLLOW], follows);
    world_crash(&w);
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 3000);
    assert_int_equal(w.starts, starts);
    pause_it(false);
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 1000);
    assert_int_equal(w.starts, starts + 1);
    assert_true(w.report.is_receiving);
    good();
}

/* A pause is kept over a restart of the agent, also one that hears of no quorum. */
static void test_agent_restart_in_a_pause_does_nothing(void **state)
{
    (void)state;
    primary();
    pause_it(true);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    uint32_t orders = w.orders[DB_ORDER_SET_SYNC];
    world_agent_start(&w);
    world_run_ms(&w, 5000);
    assert_true(w.report.is_paused);
    assert_true(w.report.is_open);
    assert_int_equal(w.orders[DB_ORDER_SET_SYNC], orders);
    agt_driver_shutdown(&w.driver); /* the agent ends, the database goes on */
    assert_true(agt_driver_is_finished(&w.driver));
    world_run_ms(&w, 1000);
    assert_true(world_is_writable(&w));
    good();
}

/* Without its state file the guard's word is what is left of it. */
static void test_agent_that_lost_its_state_in_a_pause_stays_paused(void **state)
{
    (void)state;
    primary();
    pause_it(true);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    assert_false(w.guard.status.is_armed);
    w.disk_len = 0;
    w.is_pause_lost = true;
    world_agent_start(&w);
    world_run_ms(&w, 1000);
    w.is_pause_lost = false;
    assert_true(w.report.is_paused);
    assert_int_equal(w.report.lease_left_us, 0);
    pause_it(false);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    assert_false(w.report.is_paused);
    assert_true(w.guard.status.is_armed && w.report.lease_left_us > 0);
    good();
}

/* No grant of it will ever come, so that its guard would never be armed again. */
static void test_a_fenced_epoch_is_handed_back_after_a_pause(void **state)
{
    (void)state;
    primary();
    pause_it(true);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    w.record.fencing_epoch = 2;
    world_hold_ms(&w, MSG_GOAL_HOLD, false, 600);
    assert_true(world_is_writable(&w)); /* in the pause nobody acts */
    pause_it(false);
    world_hold_ms(&w, MSG_GOAL_NONE, false, 1000);
    assert_false(world_is_writable(&w));
    assert_int_equal(w.report.epoch_handed_back, 2);
    assert_false(w.report.is_paused);
    good();
}

static void test_pause_thaws_what_it_finds_frozen(void **state)
{
    (void)state;
    primary();
    while (w.guard.status.tree != GUARD_TREE_FROZEN) {
        world_run_ms(&w, 50);
    }
    pause_it(true);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    assert_true(world_is_writable(&w));
    assert_false(w.guard.status.is_armed);
    assert_true(w.report.is_paused);
    good();
}

/* A holder that is being promoted finishes that first: it would serve nobody for as long as the
 * pause lasts. */
static void test_pause_waits_for_an_opening(void **state)
{
    (void)state;
    standby();
    world_record(&w, 2, "a");
    pause_it(true);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1000);
    assert_true(w.report.is_open);
    assert_true(w.report.is_paused);
    good();
}

static void test_higher_epoch_ends_a_paused_holder(void **state)
{
    (void)state;
    primary();
    pause_it(true);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    world_record(&w, 3, "b");
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 100);
    assert_false(w.db.is_running);
    good();
}

/* The cluster's role was changed, and a pause began before the holder had taken that in: its former
 * epoch is armed no more. */
static void test_the_next_epoch_of_a_paused_holder_does_not_wait_for_the_former(void **state)
{
    (void)state;
    primary();
    w.kill_us = 300 * BASE_US_PER_MS;
    world_record(&w, 3, "a");
    w.record.is_standby_cluster = true;          /* else it would open first */
    world_hold_ms(&w, MSG_GOAL_HOLD, false, 50); /* what ran before is being ended */
    pause_it(true);
    world_hold_ms(&w, MSG_GOAL_HOLD, false, 3000);
    assert_false(w.db.is_running);
    assert_true(w.report.is_paused);
    assert_true(w.report.epoch_handed_back < 2);
    pause_it(false);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1500);
    assert_false(w.report.is_paused);
    assert_true(w.report.epoch_held == 3 || w.report.epoch_handed_back == 2);
    good();
}

/* --- tasks -------------------------------------------------------------------------------------
 */

static void drop_tasks(void)
{
    w.record.tasks_count = 0;
    w.record.revision++;
}

static void test_restart_of_a_standby(void **state)
{
    (void)state;
    standby();
    world_task(&w, MSG_TASK_RESTART, 11);
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 1500);
    assert_int_equal(w.starts, 2);
    assert_int_equal(w.signals[AGT_SIGNAL_FAST], 1);
    assert_int_equal(w.report.task_id, 11);
    assert_int_equal(w.report.task_status, 0);
    assert_true(w.report.is_receiving);
    world_agent_start(&w); /* the record still names it: done is done */
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 1500);
    assert_int_equal(w.starts, 2);
    assert_int_equal(w.report.task_id, 11);
    drop_tasks();
    world_task(&w, MSG_TASK_RESTART, 12);
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 1500);
    assert_int_equal(w.starts, 3);
    assert_int_equal(w.report.task_id, 12);
    good();
}

/* In the same epoch, under a lease that goes on, behind a checkpoint. */
static void test_restart_of_the_holder_keeps_its_epoch(void **state)
{
    (void)state;
    primary();
    stream_voters(); /* enough for a failover: none is wanted */
    world_task(&w, MSG_TASK_RESTART, 11);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1500);
    assert_int_equal(w.orders[DB_ORDER_CHECKPOINT], 1);
    assert_int_equal(w.starts, 2);
    assert_int_equal(w.report.epoch_held, 2);
    assert_int_equal(w.report.epoch_handed_back, 0);
    assert_true(w.report.is_open);
    assert_int_equal(w.report.task_id, 11);
    good();
}

/* The restart and another sync set come with one order: the new set is for what runs afterwards. */
static void test_restart_of_the_holder_is_not_held_up_by_a_change_of_the_sync_set(void **state)
{
    (void)state;
    primary();
    w.has_sync = true;
    w.sync_names.count = 1;
    w.sync_names.names[0] = world_name("b");
    w.sync_count = 1;
    world_task(&w, MSG_TASK_RESTART, 11);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1500);
    assert_int_equal(w.orders[DB_ORDER_CHECKPOINT], 1);
    assert_int_equal(w.orders[DB_ORDER_CANCEL], 0);
    assert_int_equal(w.starts, 2);
    assert_int_equal(w.report.task_id, 11);
    assert_true(w.report.is_open);
    good();
}

static void test_restart_that_outlives_the_lease_hands_back(void **state)
{
    (void)state;
    primary();
    w.is_stop_slow = true;
    world_task(&w, MSG_TASK_RESTART, 11);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 200);
    assert_int_equal(w.signals[AGT_SIGNAL_FAST], 1);
    world_run_ms(&w, 6000); /* no more grants */
    assert_false(w.db.is_running);
    assert_int_equal(w.report.epoch_held, 0);
    assert_int_equal(w.report.epoch_handed_back, 2);
    good();
}

/* A server that was told to stop does not change its mind: it is not waited for without an end. */
static void test_restart_that_is_called_off_ends_the_stop_all_the_same(void **state)
{
    (void)state;
    primary();
    w.is_stop_slow = true;
    world_task(&w, MSG_TASK_RESTART, 11);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 200);
    assert_int_equal(w.signals[AGT_SIGNAL_FAST], 1);
    assert_int_equal(w.durable.task_begun, 11);
    drop_tasks();
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 2400);
    assert_int_equal(w.signals[AGT_SIGNAL_IMMEDIATE], 1);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 2000);
    assert_int_equal(w.kills, 1);
    assert_int_equal(w.durable.task_begun, 0); /* and nothing of it is left */
    assert_int_equal(w.report.task_id, 0);
    good();
}

static void test_agent_that_restarts_in_a_restart_goes_on_with_it(void **state)
{
    (void)state;
    standby();
    world_task(&w, MSG_TASK_RESTART, 11);
    for (int ms = 0; w.signals[AGT_SIGNAL_FAST] == 0 && ms < 2000; ms++) {
        world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 1);
    }
    world_agent_start(&w);
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 2000);
    assert_int_equal(w.starts, 2);
    assert_int_equal(w.report.task_id, 11);
    good();
}

static void test_restart_only_when_pending(void **state)
{
    (void)state;
    standby();
    world_task(&w, MSG_TASK_RESTART, 11);
    w.record.tasks[0].is_pending_only = true;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 1000);
    assert_int_equal(w.starts, 1);
    assert_int_equal(w.report.task_id, 11);
    drop_tasks();
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 300);
    w.db.is_restart_pending = true;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 600);
    assert_true(w.report.is_restart_pending);
    world_task(&w, MSG_TASK_RESTART, 12);
    w.record.tasks[0].is_pending_only = true;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 1000);
    assert_int_equal(w.starts, 2);
    good();
}

static void test_task_that_is_not_due_waits(void **state)
{
    (void)state;
    standby();
    world_task(&w, MSG_TASK_RESTART, 11);
    w.record.tasks[0].at_wall_us = 99;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 1000);
    assert_int_equal(w.starts, 1);
    assert_int_equal(w.report.task_id, 0);
    w.record.tasks[0].at_wall_us = 0;
    w.record.tasks[0].member = world_name("b"); /* of another member */
    w.record.revision++;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 1000);
    assert_int_equal(w.starts, 1);
    good();
}

static void test_reinit_throws_away_and_clones(void **state)
{
    (void)state;
    standby();
    world_task(&w, MSG_TASK_REINIT, 11);
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 2000);
    assert_int_equal(w.orders[DB_ORDER_CLONE], 1);
    assert_int_equal(w.report.task_id, 11);
    assert_int_equal(w.report.task_status, 0);
    assert_true(w.report.is_receiving);
    good();
}

static void test_reinit_waits_for_a_holder_that_is_open(void **state)
{
    (void)state;
    standby();
    w.is_upstream_open = false;
    w.record.is_opened = false;
    world_task(&w, MSG_TASK_REINIT, 11);
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 2000);
    assert_true(w.db.is_running);
    assert_false(w.durable.is_clone_needed);
    good();
}

static void test_reinit_of_the_holder_is_refused(void **state)
{
    (void)state;
    primary();
    world_task(&w, MSG_TASK_REINIT, 11);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1000);
    assert_true(w.report.is_open);
    assert_int_equal(w.report.task_id, 11);
    assert_int_equal(w.report.task_status, BASE_E_STATE);
    good();
}

/* Three crashes in a minute: down, until somebody says otherwise. */
static void test_restart_order_lets_a_retired_member_in_again(void **state)
{
    (void)state;
    primary();
    for (int i = 0; i < 3; i++) {
        world_crash(&w);
        world_hold_ms(&w, MSG_GOAL_HOLD, w.report.epoch_handed_back < 2, 600);
    }
    assert_int_equal(w.report.epoch_handed_back, 2);
    world_record(&w, 3, "b");
    w.record.floor.lsn = w.db.lsn;
    w.upstream_timeline = 3;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 3000);
    assert_false(w.db.is_running);
    assert_non_null(strstr(w.report.note.text, "kv db restart"));
    world_task(&w, MSG_TASK_RESTART, 11);
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 3000);
    assert_true(w.report.is_receiving);
    assert_int_equal(w.report.task_id, 11);
    good();
}

/* --- configuration -----------------------------------------------------------------------------
 */

static void test_document_comes_into_force_and_is_reported(void **state)
{
    (void)state;
    primary();
    world_config(&w, 1); /* the record does not name it: nothing */
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    assert_int_equal(w.config_at_hand, 0);
    w.record.config_revision = 7;
    w.record.revision++;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    world_config(&w, 6);
    assert_int_equal(w.config_at_hand, 0);
    world_config(&w, 7);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    assert_int_equal(w.orders[DB_ORDER_CONFIGURE], 1);
    assert_int_equal(w.report.config_revision, 7);
    w.record.config_revision = 3; /* the store was restored */
    w.record.revision++;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    world_config(&w, 3);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    assert_int_equal(w.report.config_revision, 3);
    assert_true(w.report.is_open);
    good();
}

/* What standbys must have first is held back as long as one of them lacks it. */
static void test_raised_parameters_wait_for_the_standbys(void **state)
{
    (void)state;
    primary();
    w.record.config_revision = 2;
    w.record.revision++;
    w.peers[0].config_revision = 2;
    w.peers[1].config_revision = 1; /* has not taken it in */
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    world_crash(&w);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    assert_true(w.db.is_raise_held);
    w.peers[1].config_revision = 2;
    w.peers[1].is_restart_pending = true; /* has it in its files alone */
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    world_crash(&w);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    assert_true(w.db.is_raise_held);
    w.peers[1].is_restart_pending = false;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 61000);
    world_crash(&w);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    assert_false(w.db.is_raise_held);
    assert_true(w.report.is_open);
    good();
}

static void test_refused_document_is_not_tried_again(void **state)
{
    (void)state;
    standby();
    w.configure_status = BASE_E_INVALID;
    w.record.config_revision = 2;
    w.record.revision++;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 300);
    world_config(&w, 2);
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 5000);
    assert_int_equal(w.orders[DB_ORDER_CONFIGURE], 1);
    assert_int_equal(w.report.config_revision, 0);
    w.configure_status = 0;
    world_task(&w, MSG_TASK_RELOAD, 11); /* an operator asks again */
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 600);
    assert_int_equal(w.orders[DB_ORDER_CONFIGURE], 2);
    assert_int_equal(w.report.config_revision, 2);
    assert_int_equal(w.report.task_id, 11);
    assert_int_equal(w.report.task_status, 0);
    good();
}

static void test_reload_tells_why_it_failed(void **state)
{
    (void)state;
    standby();
    w.configure_status = BASE_E_INVALID;
    world_task(&w, MSG_TASK_RELOAD, 11);
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 600);
    assert_int_equal(w.report.task_id, 11);
    assert_int_equal(w.report.task_status, BASE_E_INVALID);
    assert_true(w.report.is_receiving);
    good();
}

/* Both come with one order; whoever asked would hear that it failed. */
static void test_reload_is_not_cut_short_by_a_change_of_the_sync_set(void **state)
{
    (void)state;
    primary();
    w.has_sync = true;
    w.sync_names.count = 1;
    w.sync_names.names[0] = world_name("b");
    w.sync_count = 1;
    world_task(&w, MSG_TASK_RELOAD, 11);
    for (int i = 0; i < 3; i++) { /* words of the leader while it is under way */
        world_order(&w, MSG_GOAL_HOLD, true);
        world_run_ms(&w, 1);
    }
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1500);
    assert_int_equal(w.orders[DB_ORDER_CONFIGURE], 1);
    assert_int_equal(w.orders[DB_ORDER_CANCEL], 0);
    assert_int_equal(w.report.task_id, 11);
    assert_int_equal(w.report.task_status, 0);
    assert_int_equal(w.report.sync_names.count, 1); /* behind it */
    good();
}

/* --- whom a standby receives from --------------------------------------------------------------
 */

static void peer_streams(int index, const char *upstream)
{
    w.peers[index].is_receiving = upstream != NULL;
    w.peers[index].upstream = upstream != NULL ? world_name(upstream) : (struct base_name){{0}};
}

static bool receives_from(const char *name)
{
    struct base_name n = world_name(name);
    return w.db.is_receiving && base_name_equal(&w.db.upstream, &n);
}

static void test_standby_receives_from_the_wished_one_while_that_streams(void **state)
{
    (void)state;
    world_init(&w);
    world_directory(&w, 1, 1, 2000);
    w.options.config.replicatefrom = world_name("d");
    peer_streams(1, "b");
    world_agent_start(&w);
    world_run_ms(&w, 300); /* it knows its guard, and no order yet */
    world_record(&w, 1, "b");
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 600);
    assert_true(receives_from("d")); /* from its start on */
    assert_false(w.report.is_rejoin_needed);
    peer_streams(1, NULL);
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 600);
    assert_true(receives_from("b"));
    peer_streams(1, "b");
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 3000);
    assert_true(receives_from("b")); /* not before it has been calm for a while */
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 4000);
    assert_true(receives_from("d"));
    assert_int_equal(w.starts, 1);
    good();
}

static void test_standbys_never_receive_from_each_other(void **state)
{
    (void)state;
    world_init(&w);
    world_directory(&w, 1, 1, 2000);
    w.options.config.replicatefrom = world_name("d");
    peer_streams(1, "a");
    world_agent_start(&w);
    world_record(&w, 1, "b");
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 600);
    assert_true(receives_from("b"));
    peer_streams(1, "b"); /* it has left; "a" is the one that does not come back */
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 20000);
    assert_true(receives_from("b"));
    good();
}

static void test_clone_spares_the_holder(void **state)
{
    (void)state;
    world_init(&w);
    world_agent_start(&w);
    world_record(&w, 3, "b");
    w.upstream_timeline = 3;
    w.peers[1].is_clonefrom = true;
    peer_streams(1, "b");
    while (w.orders[DB_ORDER_CLONE] == 0) {
        world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 1);
    }
    struct base_name d = world_name("d");
    assert_true(base_name_equal(&w.db.running.upstream_member, &d));
    assert_true(w.db.running.is_source_standby); /* not when somebody has opened it by hand */
    peer_streams(1, NULL);                       /* looks worse now: what is under way goes on */
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 2);
    assert_int_equal(w.orders[DB_ORDER_CANCEL], 0);
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 600);
    assert_true(receives_from("b"));
    good();
}

/* The standby may lack what this member has acknowledged, and a vote with its copy would count. */
static void test_a_voter_clones_the_holder(void **state)
{
    (void)state;
    world_init(&w);
    world_agent_start(&w);
    world_record(&w, 3, "b");
    w.record.voters = (struct msg_names){.count = 2, .names = {world_name("a"), world_name("d")}};
    w.record.votes_needed_r = 1;
    w.upstream_timeline = 3;
    w.peers[1].is_clonefrom = true;
    peer_streams(1, "b");
    while (w.orders[DB_ORDER_CLONE] == 0) {
        world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 1);
    }
    struct base_name b = world_name("b");
    assert_true(base_name_equal(&w.db.running.upstream_member, &b));
    assert_true(w.db.running.is_upstream_only && !w.db.running.is_source_standby);
    good();
}

/* It may have been made one, and have acknowledged as one, since the last order that it has had. */
static void test_who_may_be_a_voter_waits_for_an_order_before_it_clones(void **state)
{
    (void)state;
    standby();
    w.record.voters = (struct msg_names){.count = 1, .names = {world_name("d")}};
    w.record.revision++;
    w.peers[1].is_clonefrom = true;
    peer_streams(1, "b");
    w.is_upstream_open = true;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 300);
    w.db.is_gated = w.db.was_primary = true;
    w.db.is_in_recovery = false; /* promoted by hand */
    world_run_ms(&w, 1000);
    assert_int_equal(w.kills, 1);
    assert_true(w.durable.is_clone_needed);
    assert_int_equal(w.orders[DB_ORDER_CLONE], 0);
    w.record.voters = (struct msg_names){.count = 2, .names = {world_name("a"), world_name("d")}};
    w.record.revision++;
    while (w.orders[DB_ORDER_CLONE] == 0) {
        world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 1);
    }
    struct base_name b = world_name("b");
    assert_true(base_name_equal(&w.db.running.upstream_member, &b));
    good();
}

/* A candidate fetches what a better voter has, its promise standing, and votes when it has let go
 * of it. */
static void test_candidate_catches_up_before_its_vote(void **state)
{
    (void)state;
    standby();
    w.attempt = (struct msg_attempt){1, 1};
    world_hold_ms(&w, MSG_GOAL_VOTE, false, 600);
    assert_true(w.report.is_vote_valid);
    w.catch_up_from = world_name("d");
    world_hold_ms(&w, MSG_GOAL_VOTE, false, 300);
    assert_true(receives_from("d"));
    assert_false(w.report.is_vote_valid);
    assert_int_equal(w.report.promised.number, 1);
    w.db.lsn = 3000;
    w.catch_up_from = (struct base_name){{0}};
    w.attempt.number = 2;
    world_hold_ms(&w, MSG_GOAL_VOTE, false, 600);
    assert_true(w.report.is_vote_valid);
    assert_int_equal(w.report.position.lsn, 3000);
    assert_int_equal(w.report.promised.number, 2);
    good();
}

/* --- standby cluster ---------------------------------------------------------------------------
 */

static void test_holder_of_a_standby_cluster_follows_elsewhere(void **state)
{
    (void)state;
    standby();
    world_record(&w, 2, "a");
    w.record.is_standby_cluster = true;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1000);
    assert_int_equal(w.orders[DB_ORDER_PROMOTE], 0);
    assert_true(w.db.is_remote);
    assert_true(w.db.is_receiving);
    assert_int_equal(w.report.db_state, MSG_DB_STANDBY);
    assert_false(w.report.is_open);
    assert_true(agt_is_standby_leader(world_agent(&w)));
    assert_int_equal(w.starts, 1);
    world_record(&w, 3, "a"); /* promoted: a new epoch, and what runs goes on */
    w.record.is_standby_cluster = false;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1000);
    assert_true(w.report.is_open);
    assert_int_equal(w.report.epoch_held, 3);
    assert_int_equal(w.starts, 1);
    good();
}

/* Its other members are copies of its holder, which never opens. */
static void test_member_of_a_standby_cluster_clones_its_holder(void **state)
{
    (void)state;
    world_init(&w);
    world_agent_start(&w);
    world_record(&w, 2, "b");
    w.record.is_standby_cluster = true;
    w.record.is_opened = false;
    w.peers[0].is_clonefrom = false;
    peer_streams(0, NULL);
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 600);
    assert_int_equal(w.orders[DB_ORDER_CLONE], 0); /* it follows nobody itself */
    w.peers[0].is_receiving = true;
    while (w.orders[DB_ORDER_CLONE] == 0) {
        world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 1);
    }
    struct base_name b = world_name("b");
    assert_true(base_name_equal(&w.db.running.upstream_member, &b));
    assert_true(w.db.running.is_source_standby); /* not when somebody has opened it by hand */
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 1500);
    assert_int_equal(w.orders[DB_ORDER_CLONE], 1);
    assert_true(w.report.is_receiving);
    good();
}

/* Promoted, and the database ends before it has opened: what it has is the history of the primary
 * elsewhere, whatever numbers that has, and with it it comes back. */
static void test_promotion_of_a_standby_cluster_that_is_cut_short_goes_on(void **state)
{
    (void)state;
    standby();
    world_record(&w, 2, "a");
    w.record.is_standby_cluster = true;
    w.record.role_epoch = 2;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1000);
    assert_int_equal(w.report.position.lineage, 1);
    w.db.timeline = 9; /* a failover elsewhere */
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1000);
    world_crash(&w);
    world_record(&w, 3, "a");
    w.record.is_standby_cluster = false;
    w.record.role_epoch = 3;
    w.record.timeline = 10;
    w.record.floor = (struct msg_position){1, 9, w.db.lsn};
    world_hold_ms(&w, MSG_GOAL_NONE, false, 300);
    assert_int_equal(w.report.position.lineage, 1);
    assert_int_equal(w.report.position.timeline, 9);
    good();
}

/* The primary elsewhere was gone for good: what the holder was promoted with is what there is. */
static void test_demoted_holder_that_never_came_there_is_promoted_with_what_it_has(void **state)
{
    (void)state;
    primary();
    w.rewind_status = BASE_E_TIMEOUT;
    world_record(&w, 3, "a");
    w.record.is_standby_cluster = true;
    w.record.role_epoch = 3;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 2000);
    assert_int_equal(w.report.position.lineage, 1);
    world_record(&w, 4, "a");
    w.record.is_standby_cluster = false;
    w.record.role_epoch = 4;
    w.record.floor = (struct msg_position){1, 2, w.db.lsn};
    world_hold_ms(&w, MSG_GOAL_NONE, false, 300);
    assert_int_equal(w.report.position.lineage, 1);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 2000);
    assert_true(w.report.is_open);
    assert_int_equal(w.report.position.lineage, 4);
    good();
}

/* One that was away while the cluster followed another: its numbers mean nothing any more. */
static void test_member_that_missed_a_change_of_role_is_cloned(void **state)
{
    (void)state;
    standby();
    world_record(&w, 7, "b");
    w.record.role_epoch = 5;
    w.record.timeline = 7;
    w.record.floor = (struct msg_position){6, 6, 9000};
    w.db.is_receiving = false;
    w.upstream_timeline = 7;
    world_crash(&w);
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 3000);
    assert_int_equal(w.orders[DB_ORDER_REWIND], 0);
    assert_int_equal(w.orders[DB_ORDER_CLONE], 1);
    assert_true(w.report.is_receiving);
    world_record(&w, 8, "b"); /* and not again */
    w.record.role_epoch = 5;
    w.record.timeline = 8;
    w.upstream_timeline = 8;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 3000);
    assert_int_equal(w.orders[DB_ORDER_CLONE], 1);
    good();
}

static void test_demoted_cluster_is_rewound_to_the_primary_elsewhere(void **state)
{
    (void)state;
    primary();
    world_record(&w, 3, "a");
    w.record.is_standby_cluster = true;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 2000);
    assert_int_equal(w.orders[DB_ORDER_REWIND], 1);
    assert_true(w.db.is_remote);
    assert_true(w.db.is_in_recovery);
    assert_int_equal(w.report.epoch_held, 3);
    assert_false(w.report.is_open);
    good();
}

/* --- the file ----------------------------------------------------------------------------------
 */

/* Whatever its checksum says: a program of another day has written it. */
static bool is_read_as(const struct agt_disk *disk, size_t cut, size_t at, uint8_t value)
{
    uint8_t memory[AGT_DISK_BYTES_MAX];
    struct buf b = buf_over(memory, sizeof(memory));
    struct agt_disk back;
    assert_int_equal(agt_disk_encode(disk, &b), 0);
    b.len -= cut + 4;
    memory[at] = value;
    buf_put_u32_be(&b, base_crc32c(0, slice_from(memory, b.len)));
    return agt_disk_decode(buf_slice(&b), &back) == 0;
}

static void test_state_file_that_is_no_whole_one_is_refused(void **state)
{
    (void)state;
    static const size_t paused_at = 4 + 8 + 8 + 8 + 1 + 1 + 8 + 8 + 4 + 1 + 8;
    const struct agt_disk d = {.epoch_seen = 9, .is_paused = true, .task_done = 7};
    assert_true(is_read_as(&d, 0, paused_at, 1));
    assert_false(is_read_as(&d, 0, paused_at, 2));
    for (size_t cut = 1; cut <= 40; cut++) {
        assert_false(is_read_as(&d, cut, 0, 'Q'));
    }
}

static void test_state_file_of_the_program_before_is_read(void **state)
{
    (void)state;
    uint8_t memory[AGT_DISK_BYTES_MAX];
    struct buf b = buf_over(memory, sizeof(memory));
    struct agt_disk d = {.epoch_seen = 9, .made_system = 5};
    struct agt_disk back;
    assert_int_equal(agt_disk_encode(&d, &b), 0);
    assert_memory_equal(memory, "QAG2", 4); /* nothing of the new is needed */
    assert_int_equal(agt_disk_decode(buf_slice(&b), &back), 0);
    assert_true(agt_disk_equal(&d, &back));
    struct agt_disk all = d;
    all.is_paused = true;
    all.failsafe_ttl_ms = 2000;
    all.task_begun = 4;
    all.task_instance = 5;
    all.task_starts = 6;
    all.task_done = 7;
    all.task_status = BASE_E_STATE;
    b.len = 0;
    assert_int_equal(agt_disk_encode(&all, &b), 0);
    assert_memory_equal(memory, "QAG3", 4);
    assert_int_equal(agt_disk_decode(buf_slice(&b), &back), 0);
    assert_true(agt_disk_equal(&all, &back));
    for (size_t i = 0; i < b.len; i++) {
        memory[i] ^= 0x10;
        assert_int_equal(agt_disk_decode(buf_slice(&b), &back), BASE_E_CORRUPT);
        memory[i] ^= 0x10;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paused_holder_serves_without_an_end),
        cmocka_unit_test(test_resumed_holder_is_armed_before_anything_else),
        cmocka_unit_test(test_a_disarm_on_its_way_is_waited_for),
        cmocka_unit_test(test_crash_in_a_pause_stays_down_until_the_resume),
        cmocka_unit_test(test_crash_in_a_pause_is_handed_back_after_it),
        cmocka_unit_test(test_paused_standby_is_left_alone),
        cmocka_unit_test(test_agent_restart_in_a_pause_does_nothing),
        cmocka_unit_test(test_agent_that_lost_its_state_in_a_pause_stays_paused),
        cmocka_unit_test(test_a_fenced_epoch_is_handed_back_after_a_pause),
        cmocka_unit_test(test_pause_thaws_what_it_finds_frozen),
        cmocka_unit_test(test_pause_waits_for_an_opening),
        cmocka_unit_test(test_higher_epoch_ends_a_paused_holder),
        cmocka_unit_test(test_the_next_epoch_of_a_paused_holder_does_not_wait_for_the_former),
        cmocka_unit_test(test_restart_of_a_standby),
        cmocka_unit_test(test_restart_of_the_holder_keeps_its_epoch),
        cmocka_unit_test(test_restart_of_the_holder_is_not_held_up_by_a_change_of_the_sync_set),
        cmocka_unit_test(test_restart_that_outlives_the_lease_hands_back),
        cmocka_unit_test(test_restart_that_is_called_off_ends_the_stop_all_the_same),
        cmocka_unit_test(test_agent_that_restarts_in_a_restart_goes_on_with_it),
        cmocka_unit_test(test_restart_only_when_pending),
        cmocka_unit_test(test_task_that_is_not_due_waits),
        cmocka_unit_test(test_reinit_throws_away_and_clones),
        cmocka_unit_test(test_reinit_waits_for_a_holder_that_is_open),
        cmocka_unit_test(test_reinit_of_the_holder_is_refused),
        cmocka_unit_test(test_restart_order_lets_a_retired_member_in_again),
        cmocka_unit_test(test_document_comes_into_force_and_is_reported),
        cmocka_unit_test(test_raised_parameters_wait_for_the_standbys),
        cmocka_unit_test(test_refused_document_is_not_tried_again),
        cmocka_unit_test(test_reload_tells_why_it_failed),
        cmocka_unit_test(test_reload_is_not_cut_short_by_a_change_of_the_sync_set),
        cmocka_unit_test(test_standby_receives_from_the_wished_one_while_that_streams),
        cmocka_unit_test(test_standbys_never_receive_from_each_other),
        cmocka_unit_test(test_clone_spares_the_holder),
        cmocka_unit_test(test_a_voter_clones_the_holder),
        cmocka_unit_test(test_who_may_be_a_voter_waits_for_an_order_before_it_clones),
        cmocka_unit_test(test_candidate_catches_up_before_its_vote),
        cmocka_unit_test(test_holder_of_a_standby_cluster_follows_elsewhere),
        cmocka_unit_test(test_member_of_a_standby_cluster_clones_its_holder),
        cmocka_unit_test(test_promotion_of_a_standby_cluster_that_is_cut_short_goes_on),
        cmocka_unit_test(test_demoted_holder_that_never_came_there_is_promoted_with_what_it_has),
        cmocka_unit_test(test_member_that_missed_a_change_of_role_is_cloned),
        cmocka_unit_test(test_demoted_cluster_is_rewound_to_the_primary_elsewhere),
        cmocka_unit_test(test_state_file_of_the_program_before_is_read),
        cmocka_unit_test(test_state_file_that_is_no_whole_one_is_refused),
    };
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
