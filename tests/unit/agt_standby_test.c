/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of the agent's core and driver, continued: standby, rejoin, vote, restarts and
 * strangers. One named test a rule; each ends with the world's own checks.
 */
#include "tests/unit/agt_scene.h"

/* --- standby -----------------------------------------------------------------------------------
 */

static void test_empty_directory_is_cloned(void **state)
{
    (void)state;
    fresh();
    world_agent_start(&w);
    world_record(&w, 3, "b");
    w.upstream_timeline = 3;
    w.is_upstream_open = false;
    w.record.is_opened = false;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 300);
    assert_int_equal(w.orders[DB_ORDER_CLONE], 0); /* nothing to clone from yet */
    w.is_upstream_open = true;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 400);
    assert_int_equal(w.orders[DB_ORDER_CLONE], 1);
    assert_true(w.report.is_receiving);
    assert_int_equal(w.report.position.lineage, 3);
    assert_int_equal(w.guard.status.is_armed, false);
    good();
}

/* A look at the directory that began while it was half a copy is none behind the copy: it would be
 * copied once more, and started when that is called off. */
static void test_an_old_look_at_a_new_copy_changes_nothing(void **state)
{
    (void)state;
    fresh();
    world_agent_start(&w);
    world_record(&w, 3, "b");
    w.upstream_timeline = 3;
    w.is_upstream_open = true;
    for (int ms = 0; world_agent(&w)->rewound_epoch == 0 && ms < 2000; ms++) {
        world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 1);
    }
    assert_int_equal(w.orders[DB_ORDER_CLONE], 1);
    struct db_view old = world_agent(&w)->view;
    old.has_directory = old.is_directory_bad = true;
    old.orders_done = 0;
    agt_driver_db_view(&w.driver, &old);
    assert_false(world_agent(&w)->is_gone_seen);
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 600);
    assert_int_equal(w.orders[DB_ORDER_CLONE], 1);
    assert_true(w.report.is_receiving);
    good();
}

static void test_standby_follows_the_new_holder_without_a_restart(void **state)
{
    (void)state;
    standby();
    world_record(&w, 2, "d");
    w.record.floor.lsn = 2000;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 300);
    assert_true(w.orders[DB_ORDER_FOLLOW] > 0);
    struct base_name d = world_name("d");
    assert_true(base_name_equal(&w.db.upstream, &d));
    assert_int_equal(w.starts, 1);
    assert_int_equal(w.signals[AGT_SIGNAL_FAST], 0);
    good();
}

static void test_former_holder_with_more_wal_is_rewound(void **state)
{
    (void)state;
    primary();
    world_crash(&w);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    w.db.lsn = 9000;
    world_record(&w, 3, "b"); /* floor 2000 */
    w.upstream_timeline = 3;
    w.is_upstream_open = false;
    w.record.is_opened = false;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 300);
    assert_true(w.report.is_rejoin_needed);
    assert_int_equal(w.orders[DB_ORDER_REWIND], 0); /* not before the source has opened */
    w.is_upstream_open = true;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 500);
    assert_int_equal(w.orders[DB_ORDER_REWIND], 1);
    assert_int_equal(w.orders[DB_ORDER_CLONE], 0);
    assert_true(w.report.is_receiving);
    assert_false(w.report.is_rejoin_needed);
    good();
}

/* That it was rewound counts for the epoch in which it was. */
static void test_former_holder_is_rewound_for_each_epoch_that_it_is_ahead_of(void **state)
{
    (void)state;
    primary();
    world_crash(&w);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    for (uint32_t epoch = 3; epoch <= 4; epoch++) {
        w.db.lsn = 9000;
        w.db.is_receiving = false;
        world_record(&w, epoch, epoch == 3 ? "b" : "d"); /* floor 2000 */
        w.upstream_timeline = epoch;
        world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 800);
        assert_int_equal(w.orders[DB_ORDER_REWIND], epoch - 2);
        assert_true(w.report.is_receiving);
    }
    good();
}

static void test_who_has_no_data_or_holds_the_role_needs_no_rejoin(void **state)
{
    (void)state;
    fresh();
    world_agent_start(&w);
    world_hold_ms(&w, MSG_GOAL_NONE, false, 300);
    assert_false(w.report.is_rejoin_needed);
    primary();
    assert_false(w.report.is_rejoin_needed);
    standby();
    w.db.is_receiving = false; /* the holder is gone: its history is the same still */
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 300);
    assert_false(w.report.is_rejoin_needed);
    good();
}

/* What is known of a directory at rest may be less than what the server had replayed: a standby
 * that was stopped because it is ahead is rewound, and not started as it is. */
static void test_standby_that_is_ahead_is_rewound_whatever_it_shows_at_rest(void **state)
{
    (void)state;
    standby();
    w.db.lsn = 9000;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 600); /* seen */
    world_record(&w, 2, "d");
    w.record.floor.lsn = 2000;
    w.upstream_timeline = 2;
    for (int ms = 0; w.db.is_running && ms < 5000; ms += 5) {
        world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 5);
    }
    assert_false(w.db.is_running);
    assert_int_equal(w.orders[DB_ORDER_REWIND], 0);
    w.db.lsn = 1500; /* of its last checkpoint */
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 1500);
    assert_int_equal(w.orders[DB_ORDER_REWIND], 1);
    assert_int_equal(w.starts, 2);
    assert_true(w.report.is_receiving);
    good();
}

/* A server that was just started tells how far it has read; what lay on disk before it is there all
 * the same. */
static void test_own_wal_counts_before_it_is_read(void **state)
{
    (void)state;
    fresh();
    world_directory(&w, 1, 1, 2500);
    world_agent_start(&w);
    world_record(&w, 1, "b");
    for (int ms = 0; !w.db.is_running && ms < 2000; ms++) {
        world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 1);
    }
    assert_int_equal(w.orders[DB_ORDER_FOLLOW], 0);
    w.db.lsn = 1500; /* read so far */
    world_record(&w, 2, "d");
    w.record.floor.lsn = 2000;
    w.upstream_timeline = 2;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 3000);
    assert_int_equal(w.orders[DB_ORDER_FOLLOW], 0);
    assert_int_equal(w.orders[DB_ORDER_REWIND], 1);
    assert_true(w.report.is_receiving);
    good();
}

/* A number that an epoch has reserved is told though no directory has it: a restored quorum has
 * forgotten the epoch. */
static void test_reserved_timeline_is_reported(void **state)
{
    (void)state;
    standby();
    assert_int_equal(w.report.timeline_highest, 1);
    world_record(&w, 5, "d");
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 600);
    assert_true(w.db.timeline < 5);
    assert_int_equal(w.report.timeline_highest, 5);
    world_agent_start(&w); /* it stands on disk */
    world_run_ms(&w, 600);
    assert_int_equal(w.report.timeline_highest, 5);
    good();
}

/* Hours of copying are not owed to a setting that could not be written once. */
static void test_standby_that_cannot_be_pointed_elsewhere_keeps_its_data(void **state)
{
    (void)state;
    standby();
    w.follow_status = BASE_E_IO;
    world_record(&w, 2, "d");
    w.record.floor.lsn = 2000;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 600);
    assert_true(w.orders[DB_ORDER_FOLLOW] > 0);
    assert_false(world_agent(&w)->want.is_clone_needed);
    w.follow_status = 0;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 2000);
    assert_int_equal(w.orders[DB_ORDER_CLONE], 0);
    assert_true(w.report.is_receiving);
    good();
}

static void test_what_has_failed_is_told_until_it_is_done(void **state)
{
    (void)state;
    const char *follows = agt_table_row(AGT_STATE_STANDBY, AGT_GOAL_FOLLOW)->sentence;
    standby();
    world_record(&w, 2, "d");
    w.follow_status = BASE_E_TIMEOUT;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 400);
    assert_string_not_equal(w.report.note.text, follows);
    w.follow_status = 0;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 2000);
    assert_true(w.report.is_receiving);
    assert_string_equal(w.report.note.text, follows);
    good();
}

static void test_failed_rewind_becomes_a_clone_only_when_it_is_final(void **state)
{
    (void)state;
    primary();
    world_record(&w, 3, "b");
    w.upstream_timeline = 3;
    w.db.lsn = 9000;
    w.rewind_status = BASE_E_UNREACHABLE;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 3000);
    assert_true(w.orders[DB_ORDER_REWIND] > 1);
    assert_int_equal(w.orders[DB_ORDER_CLONE], 0);
    w.rewind_status = BASE_E_STATE;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 8000);
    assert_int_equal(w.orders[DB_ORDER_CLONE], 1);
    assert_true(w.report.is_receiving);
    good();
}

static void test_same_timeline_number_is_a_clone(void **state)
{
    (void)state;
    primary(); /* opened timeline 2 in epoch 2 */
    world_record(&w, 3, "b");
    w.record.timeline = 2; /* both promoted apart to one number */
    w.upstream_timeline = 2;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 1000);
    assert_int_equal(w.orders[DB_ORDER_REWIND], 0);
    assert_int_equal(w.orders[DB_ORDER_CLONE], 1);
    good();
}

/* Who was the holder when it was cut off may be none any more. */
static void test_nothing_is_given_up_by_an_old_order(void **state)
{
    (void)state;
    primary();
    w.kill_us = 5000 * BASE_US_PER_MS;
    world_record(&w, 3, "b");
    w.record.timeline = 2; /* both promoted apart to one number */
    w.upstream_timeline = 2;
    world_order(&w, MSG_GOAL_FOLLOW, false);
    world_run_ms(&w, 9000);
    assert_false(w.db.is_running);
    assert_false(world_agent(&w)->want.is_clone_needed);
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 1000);
    assert_int_equal(w.orders[DB_ORDER_CLONE], 1);
    good();
}

static void test_silent_receiver_reconnects(void **state)
{
    (void)state;
    standby();
    uint32_t before = w.orders[DB_ORDER_FOLLOW];
    w.db.is_receiving = false;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 3000);
    assert_int_equal(w.orders[DB_ORDER_FOLLOW], before);
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 2000);
    assert_true(w.orders[DB_ORDER_FOLLOW] > before);
    assert_true(w.report.is_receiving);
    good();
}

static void test_other_system_identifier_is_left_alone(void **state)
{
    (void)state;
    fresh();
    world_directory(&w, 1, 1, 2000);
    w.db.system_id = 12345;
    world_agent_start(&w);
    world_record(&w, 2, "b");
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 1000);
    assert_int_equal(w.starts, 0);
    assert_int_equal(w.orders[DB_ORDER_CLONE] + w.orders[DB_ORDER_REWIND], 0);
    assert_int_equal(w.report.db_state, MSG_DB_FAILED);
    assert_non_null(strstr(w.report.note.text, "another cluster"));
    good();
}

/* --- vote --------------------------------------------------------------------------------------
 */

/* Its WAL is gone upstream: refused and started anew by the server, ten times a second. */
static void test_receiver_that_never_streams_on_is_none(void **state)
{
    (void)state;
    standby();
    uint32_t before = w.orders[DB_ORDER_FOLLOW];
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 8000);
    assert_int_equal(w.orders[DB_ORDER_FOLLOW], before);
    w.db.is_receiver_flapping = true;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 6000);
    assert_true(w.orders[DB_ORDER_FOLLOW] > before);
    good();
}

/* Of the agent as well: it has started anew, and no leader has told it the ttl yet. */
static void test_probe_that_hangs_is_no_news_before_the_first_order_either(void **state)
{
    (void)state;
    standby();
    world_agent_start(&w);
    world_run_ms(&w, 500);
    assert_int_equal(w.report.db_state, MSG_DB_STANDBY);
    w.db.is_hanging = true;
    world_run_ms(&w, 1500);
    assert_int_equal(w.report.db_state, MSG_DB_STANDBY);
    world_run_ms(&w, 1000);
    assert_int_equal(w.report.db_state, MSG_DB_STARTING);
    good();
}

/* Nothing else need come for it to be told. */
static void test_standby_that_hangs_is_told_the_moment_its_ttl_is_over(void **state)
{
    (void)state;
    standby();
    w.db.is_hanging = true;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 150);
    w.are_views_silent = true;
    assert_false(world_agent(&w)->view.is_answering);
    struct base_mono until = base_mono_add_us(world_agent(&w)->answered_at, WORLD_TTL_US);
    world_run_ms(&w, base_mono_diff_us(until, w.now) / BASE_US_PER_MS - 1);
    assert_int_equal(w.report.db_state, MSG_DB_STANDBY);
    uint64_t reports = w.reports;
    world_run_ms(&w, 2);
    assert_int_equal(w.reports, reports + 1);
    assert_int_equal(w.report.db_state, MSG_DB_STARTING);
    good();
}

static void test_vote_needs_promise_on_disk_and_receiver_gone(void **state)
{
    (void)state;
    standby();
    w.save_us = 50 * BASE_US_PER_MS;
    w.attempt = (struct msg_attempt){1, 3};
    world_order(&w, MSG_GOAL_VOTE, false);
    world_run_ms(&w, 40);
    assert_false(w.db.is_receiving);
    assert_false(w.report.is_vote_valid); /* the promise is not on disk yet */
    assert_int_equal(w.report.promised.number, 0);
    world_run_ms(&w, 30);
    assert_true(w.report.is_vote_valid); /* told at once, not with the next heartbeat */
    assert_int_equal(w.report.promised.number, 3);
    assert_int_equal(w.report.position.lsn, w.db.lsn);
    good();
}

/* Started with the old setting in the moment of the change, or by a server that was never told. */
static void test_receiver_that_comes_back_is_taken_away_again(void **state)
{
    (void)state;
    standby();
    w.attempt = (struct msg_attempt){1, 3};
    world_hold_ms(&w, MSG_GOAL_VOTE, false, 500);
    assert_true(w.report.is_vote_valid);
    assert_non_null(strstr(w.report.note.text, "has voted"));
    uint32_t before = w.orders[DB_ORDER_DETACH];
    w.db.is_receiving = true;
    world_hold_ms(&w, MSG_GOAL_VOTE, false, 1000);
    assert_true(w.orders[DB_ORDER_DETACH] > before);
    assert_false(w.db.is_receiving);
    assert_true(w.report.is_vote_valid);
    good();
}

static void test_vote_waits_for_the_detach_even_without_a_receiver(void **state)
{
    (void)state;
    standby();
    w.db.is_receiving = false; /* the holder is gone, and may come back */
    w.is_detach_held = true;
    w.attempt = (struct msg_attempt){1, 3};
    world_hold_ms(&w, MSG_GOAL_VOTE, false, 500);
    assert_int_equal(w.report.promised.number, 3);
    assert_false(w.report.is_vote_valid);
    good();
}

static void test_promise_survives_a_restart_and_ends_as_told(void **state)
{
    (void)state;
    standby();
    w.attempt = (struct msg_attempt){1, 3};
    world_hold_ms(&w, MSG_GOAL_VOTE, false, 200);
    assert_true(w.report.is_vote_valid);
    world_agent_start(&w);
    w.attempt = (struct msg_attempt){0, 0};
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 500); /* nothing said about the attempt's end */
    assert_false(w.db.is_receiving);
    assert_int_equal(w.report.promised.number, 3);
    assert_true(w.report.is_vote_valid);
    w.ended = (struct msg_attempt){1, 2};
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 300);
    assert_false(w.db.is_receiving);
    w.ended = (struct msg_attempt){1, 3};
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 300);
    assert_true(w.db.is_receiving);
    assert_int_equal(w.report.promised.number, 0);
    assert_false(w.report.is_vote_valid);
    good();
}

/* Its order was on the way when the attempt ended. */
static void test_an_attempt_that_has_ended_is_promised_nothing(void **state)
{
    (void)state;
    standby();
    w.attempt = w.ended = (struct msg_attempt){1, 3};
    world_hold_ms(&w, MSG_GOAL_VOTE, false, 500);
    assert_int_equal(w.durable.promised.number, 0);
    assert_false(w.report.is_vote_valid);
    w.attempt = (struct msg_attempt){1, 4};
    world_hold_ms(&w, MSG_GOAL_VOTE, false, 500);
    assert_int_equal(w.durable.promised.number, 4);
    assert_true(w.report.is_vote_valid);
    good();
}

static void test_promise_ends_with_a_higher_epoch(void **state)
{
    (void)state;
    standby();
    w.attempt = (struct msg_attempt){1, 3};
    world_hold_ms(&w, MSG_GOAL_VOTE, false, 200);
    world_record(&w, 2, "d");
    w.attempt = (struct msg_attempt){0, 0};
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 300);
    assert_true(w.db.is_receiving);
    assert_int_equal(w.report.promised.number, 0);
    good();
}

static void test_stopped_member_votes_without_a_receiver(void **state)
{
    (void)state;
    fresh();
    world_directory(&w, 1, 1, 2000);
    world_agent_start(&w);
    world_record(&w, 1, "b");
    w.attempt = (struct msg_attempt){1, 1};
    world_hold_ms(&w, MSG_GOAL_VOTE, false, 400);
    assert_int_equal(w.starts, 1);
    assert_false(w.db.is_receiving);
    assert_true(w.report.is_vote_valid);
    good();
}

/* Whether the upstream has what is needed is found out when it is told to follow again. */
static void test_a_receiver_that_comes_and_goes_is_not_taken_out_each_time(void **state)
{
    (void)state;
    standby();
    w.db.is_refused = true;
    memset(w.orders, 0, sizeof(w.orders));
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 20000);
    assert_in_range(w.orders[DB_ORDER_DETACH], 2, 3);
    assert_in_range(w.orders[DB_ORDER_FOLLOW], 4, 6); /* after each, and again */
    good();
}

/* Its position is what it has replayed until then: who compares positions must not pass it over. */
static void test_a_started_standby_says_that_it_has_not_read_all_it_has(void **state)
{
    (void)state;
    fresh();
    world_directory(&w, 1, 1, 2000);
    w.db.is_reading = true;
    world_agent_start(&w);
    world_record(&w, 1, "b");
    w.attempt = (struct msg_attempt){1, 1};
    world_hold_ms(&w, MSG_GOAL_VOTE, false, 400);
    assert_true(w.report.is_end_unread);
    assert_false(w.report.is_vote_valid);
    w.db.is_reading = false;
    world_hold_ms(&w, MSG_GOAL_VOTE, false, 400);
    assert_false(w.report.is_end_unread);
    assert_true(w.report.is_vote_valid);
    good();
}

/* Started to vote, and its agent anew, which does not know any more what lay there: what has been
 * replayed is the holder's history, what comes behind it is not. */
static void test_a_started_standby_does_not_follow_before_it_has_read_all_it_has(void **state)
{
    (void)state;
    fresh();
    world_directory(&w, 1, 1, 2000);
    w.db.is_reading = true;
    world_agent_start(&w);
    world_record(&w, 1, "b");
    w.attempt = (struct msg_attempt){1, 1};
    world_hold_ms(&w, MSG_GOAL_VOTE, false, 400);
    world_agent_start(&w);
    world_record(&w, 2, "b");
    w.record.floor = (struct msg_position){1, 1, 1500};
    w.ended = w.attempt;
    w.upstream_timeline = 2;
    w.is_upstream_open = true;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 1000);
    assert_int_equal(w.orders[DB_ORDER_FOLLOW], 0);
    assert_int_equal(w.signals[AGT_SIGNAL_FAST], 0);
    w.db.is_reading = false;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 1000);
    assert_int_equal(w.orders[DB_ORDER_FOLLOW], 0);
    assert_int_equal(w.orders[DB_ORDER_REWIND], 1);
    assert_true(w.report.is_receiving);
    good();
}

/* Nor is it held to be refused by the holder meanwhile, however long that takes. */
static void test_a_standby_that_reads_its_own_log_is_not_refused(void **state)
{
    (void)state;
    fresh();
    world_directory(&w, 1, 1, 2000);
    w.durable.openings[0].is_own = false;
    world_agent_start(&w);
    world_record(&w, 3, "b"); /* nobody tells where epoch 2 began */
    w.record.floor = (struct msg_position){2, 2, 2500};
    w.upstream_timeline = 3;
    w.is_upstream_open = true;
    w.db.is_reading = true;
    for (int ms = 0; ms < 60000; ms++) {
        w.db.is_receiving = false; /* it asks nobody yet */
        world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 1);
    }
    assert_true(w.report.is_end_unread);
    assert_int_equal(w.signals[AGT_SIGNAL_FAST], 0);
    assert_int_equal(w.orders[DB_ORDER_REWIND], 0);
    good();
}

static void test_voter_that_wins_promotes(void **state)
{
    (void)state;
    standby();
    w.attempt = (struct msg_attempt){1, 3};
    world_hold_ms(&w, MSG_GOAL_VOTE, false, 200);
    world_record(&w, 2, "a");
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    assert_true(w.report.is_open);
    good();
}

/* --- restarts, rogues, others ------------------------------------------------------------------
 */

static void test_agent_restart_under_a_primary_leaves_it_alone(void **state)
{
    (void)state;
    primary();
    uint64_t opened = w.report.opened_lsn;
    uint32_t orders = w.orders[DB_ORDER_SET_SYNC];
    world_agent_start(&w);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 15);
    assert_true(w.report.is_open); /* as soon as guard, view and order are known */
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    assert_int_equal(w.starts, 1);
    assert_int_equal(w.kills, 0);
    assert_int_equal(w.report.opened_lsn, opened);
    assert_true(w.orders[DB_ORDER_SET_SYNC] > orders); /* made sure of again */
    assert_true(w.report.is_sync_known);
    good();
}

static void test_restarted_agent_keeps_the_guards_deadline(void **state)
{
    (void)state;
    primary();
    world_agent_start(&w);
    world_run_ms(&w, 50); /* no order yet */
    struct msg_report now;
    agt_report_peek(world_agent(&w), w.now, &now);
    assert_int_equal(now.epoch_held, 2);
    assert_true(now.lease_left_us > 0);
    world_run_ms(&w, 2000);
    assert_int_equal(w.guard.status.tree, GUARD_TREE_FROZEN);
    good();
}

/* What this member had the right to write is known after a restart of the agent, without an order:
 * it may be the only copy. */
static void test_own_directory_stands_before_an_order(void **state)
{
    (void)state;
    primary();
    w.db.was_primary = true;
    world_run_ms(&w, 8000); /* frozen, ended, handed back */
    assert_int_equal(w.report.epoch_handed_back, 2);
    world_agent_start(&w);
    world_run_ms(&w, 300);
    assert_int_equal(w.report.db_state, MSG_DB_STOPPED);
    assert_int_equal(w.report.position.lineage, 2);
    good();
}

/* The one before it may have said that a smaller set is in force, and the record may have been
 * narrowed by that: only who grants was the leader since. */
static void test_a_restarted_agent_sets_no_set_before_a_grant(void **state)
{
    (void)state;
    primary();
    world_agent_start(&w);
    memset(w.orders, 0, sizeof(w.orders));
    world_hold_ms(&w, MSG_GOAL_HOLD, false, 1000);
    assert_true(w.report.is_open);
    assert_int_equal(w.orders[DB_ORDER_SET_SYNC], 0);
    assert_false(w.report.is_sync_known);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    assert_int_equal(w.orders[DB_ORDER_SET_SYNC], 1);
    assert_true(w.report.is_sync_known);
    good();
}

/* It does not wait until the time is over that failures with the former holder have earned. */
static void test_a_new_holder_is_cloned_from_at_once(void **state)
{
    (void)state;
    fresh();
    world_agent_start(&w);
    world_record(&w, 3, "b");
    w.upstream_timeline = 3;
    w.is_upstream_open = true;
    w.clone_status = BASE_E_UNREACHABLE;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 30000);
    uint32_t tried = w.orders[DB_ORDER_CLONE];
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 4000);
    assert_in_range(w.orders[DB_ORDER_CLONE], tried, tried + 1);
    tried = w.orders[DB_ORDER_CLONE];
    w.clone_status = 0;
    world_record(&w, 4, "b");
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 300);
    assert_int_equal(w.orders[DB_ORDER_CLONE], tried + 1);
    good();
}

/* Also when it was cloned in this very epoch. */
static void test_standby_without_its_wal_upstream_is_cloned_again(void **state)
{
    (void)state;
    test_empty_directory_is_cloned(state);
    uint32_t clones = w.orders[DB_ORDER_CLONE];
    w.db.is_receiving = false;
    w.follow_status = BASE_E_COMPACTED;
    for (int ms = 0; w.orders[DB_ORDER_CLONE] == clones && ms < 20000; ms += 100) {
        world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 100);
    }
    assert_int_equal(w.orders[DB_ORDER_CLONE], clones + 1);
    good();
}

static void test_new_guard_hands_back_for_its_predecessor(void **state)
{
    (void)state;
    primary();
    w.db.is_running = w.db.is_ready = false;
    guard_core_init(&w.guard, 4712, 50 * BASE_US_PER_MS, w.now);
    world_agent_start(&w);
    w.record.holder_instance = 4711;
    world_hold_ms(&w, MSG_GOAL_NONE, false, 300);
    assert_int_equal(w.report.instance, 4712);
    assert_int_equal(w.report.epoch_handed_back, 2);
    assert_false(w.report.is_handback_clean);
    /* the same member, a new epoch: promotes to a new timeline, without a vote */
    uint32_t starts = w.starts;
    world_record(&w, 3, "a");
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 500);
    assert_int_equal(w.starts, starts + 1);
    assert_int_equal(w.orders[DB_ORDER_PROMOTE], 2);
    assert_true(w.report.is_open);
    assert_int_equal(w.report.position.lineage, 3);
    good();
}

/* The last look was at what ran under the one before. */
static void test_behind_a_new_guard_nothing_is_done_before_a_look(void **state)
{
    (void)state;
    standby();
    uint32_t prepared = w.orders[DB_ORDER_PREPARE_STANDBY];
    w.are_views_silent = true;
    w.db.is_running = w.db.is_ready = w.db.is_receiving = false;
    guard_core_init(&w.guard, 4712, 50 * BASE_US_PER_MS, w.now);
    agt_driver_guard_status(&w.driver, &w.guard.status);
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 500);
    assert_int_equal(w.orders[DB_ORDER_PREPARE_STANDBY], prepared);
    w.are_views_silent = false;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 500);
    assert_true(w.report.is_receiving);
    good();
}

/* A leader that did not know yet that its own entry names this member had it started for a vote,
 * under another guard. What runs in recovery stands in the way of the member's next epoch. */
static void test_what_recovers_ends_for_the_next_epoch_of_its_member(void **state)
{
    (void)state;
    fresh();
    world_directory(&w, 1, 1, 2000);
    world_agent_start(&w);
    world_record(&w, 1, "b");
    w.attempt = (struct msg_attempt){1, 1};
    world_hold_ms(&w, MSG_GOAL_VOTE, false, 400);
    assert_true(w.report.is_vote_valid);
    world_record(&w, 2, "a");
    w.record.holder_instance = 4710; /* of before the host was started */
    w.attempt = (struct msg_attempt){0, 0};
    world_hold_ms(&w, MSG_GOAL_NONE, false, 600);
    assert_int_equal(w.signals[AGT_SIGNAL_FAST], 1);
    assert_true(w.report.is_tree_gone);
    assert_int_equal(w.report.position.lineage, 1);
    assert_int_equal(w.report.position.lsn, 2000);
    assert_int_equal(w.report.epoch_handed_back, 2);
    world_record(&w, 3, "a");
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    assert_int_equal(w.orders[DB_ORDER_PROMOTE], 1);
    assert_true(w.report.is_open);
    good();
}

/* Its own epoch was to be fenced before its first grant: the same, whether anybody takes over or
 * not, and it says that nothing was armed. While it is only asked for anew, a grant may come. */
static void test_who_was_elected_in_vain_ends_what_recovers(void **state)
{
    (void)state;
    standby();
    world_record(&w, 2, "a");
    world_hold_ms(&w, MSG_GOAL_NONE, false, 600);
    assert_int_equal(w.signals[AGT_SIGNAL_FAST], 0);
    w.attempt = (struct msg_attempt){1, 1};
    world_hold_ms(&w, MSG_GOAL_NONE, false, 600);
    assert_int_equal(w.signals[AGT_SIGNAL_FAST], 0);
    w.attempt = (struct msg_attempt){0, 0};
    w.record.fencing_epoch = w.record.epoch;
    w.record.revision++;
    world_hold_ms(&w, MSG_GOAL_NONE, false, 600);
    assert_int_equal(w.signals[AGT_SIGNAL_FAST], 1);
    assert_true(w.report.is_tree_gone);
    assert_int_equal(w.report.epoch_handed_back, 2);
    good();
}

/* Nothing of a standby of others is ended by an attempt, nor anything by an order that refuses. */
static void test_who_is_not_named_goes_on_in_recovery(void **state)
{
    (void)state;
    standby();
    w.attempt = (struct msg_attempt){1, 1};
    world_hold_ms(&w, MSG_GOAL_NONE, false, 600);
    assert_int_equal(w.report.db_state, MSG_DB_STANDBY);
    w.attempt = (struct msg_attempt){0, 0};
    world_record(&w, 2, "a");
    w.record.holder_instance = 4710;
    world_hold_ms(&w, MSG_GOAL_REFUSED, false, 600);
    assert_int_equal(w.signals[AGT_SIGNAL_FAST], 0);
    assert_int_equal(w.report.db_state, MSG_DB_STANDBY);
    good();
}

/* The epoch is written down before a guard is armed for it; another guard has come meanwhile. */
static void test_a_grant_is_of_the_guard_that_it_was_given_to(void **state)
{
    (void)state;
    fresh();
    w.clone_status = BASE_E_UNREACHABLE;
    world_agent_start(&w);
    world_record(&w, 1, "b");
    w.is_upstream_open = true;
    for (int ms = 0; w.orders[DB_ORDER_CLONE] == 0 && ms < 2000; ms++) {
        world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 1);
    }
    w.are_views_silent = true; /* nobody sees what has come of it: nothing is handed back */
    world_run_ms(&w, 50);
    assert_false(world_agent(&w)->is_gone_seen);
    w.save_us = 200 * BASE_US_PER_MS;
    world_record(&w, 2, "a");
    world_order(&w, MSG_GOAL_HOLD, true);
    world_run_ms(&w, 50);
    assert_true(world_agent(&w)->has_grant);
    guard_core_init(&w.guard, 4712, 50 * BASE_US_PER_MS, w.now);
    agt_driver_guard_status(&w.driver, &w.guard.status);
    world_run_ms(&w, 1000);
    assert_int_equal(w.report.instance, 4712);
    assert_int_equal(w.arms, 0);
    good();
}

static void test_holder_without_data_hands_the_role_back(void **state)
{
    (void)state;
    fresh();
    world_agent_start(&w);
    world_record(&w, 2, "a");
    world_hold_ms(&w, MSG_GOAL_HOLD, false, 300);
    assert_int_equal(w.report.epoch_handed_back, 2);
    assert_int_equal(w.starts, 0);
    good();
}

static void test_stall_of_the_agent_is_noted(void **state)
{
    (void)state;
    standby();
    world_stall_ms(&w, 700);
    world_run_ms(&w, 10);
    assert_true(w.report.pause_worst_us >= 400 * BASE_US_PER_MS);
    good();
}

static void test_reports_are_regular_and_bounded(void **state)
{
    (void)state;
    standby();
    uint64_t before = w.reports;
    world_run_ms(&w, 2500);
    assert_in_range(w.reports - before, 9, 12);
    before = w.reports;
    for (int i = 0; i < 50; i++) { /* connections that come and go within 50 ms */
        agt_driver_connected(&w.driver);
        world_run_ms(&w, 1);
    }
    assert_in_range(w.reports - before, 3, 7);
    good();
}

static void test_bad_frames_are_dropped(void **state)
{
    (void)state;
    standby();
    struct net_identity node = {.role = NET_ROLE_NODE, .node_id = 1};
    struct net_identity agent = {.role = NET_ROLE_AGENT};
    agt_driver_receive(&w.driver, &node, SLICE_LIT("\x03garbage"));
    agt_driver_receive(&w.driver, &node, SLICE_EMPTY);
    agt_driver_receive(&w.driver, &agent, SLICE_LIT("\x03"));
    assert_true(w.driver.frames_bad >= 2);
    good();
}

/* The holder of a standby cluster, rewound, and promoted by hand behind that: its line may have the
 * number that the primary elsewhere takes next, where a rewind sees no difference. */
static void test_holder_of_a_standby_cluster_that_was_promoted_by_hand_is_cloned(void **state)
{
    (void)state;
    primary();
    world_record(&w, 3, "a");
    w.record.is_standby_cluster = true;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 2000);
    assert_int_equal(w.orders[DB_ORDER_REWIND], 1);
    w.db.is_in_recovery = w.db.is_receiving = false;
    w.db.timeline++;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 3000);
    assert_int_equal(w.orders[DB_ORDER_REWIND], 1);
    assert_int_equal(w.orders[DB_ORDER_CLONE], 1);
    assert_true(w.db.is_remote);
    assert_true(w.db.is_in_recovery);
    assert_false(w.report.is_open);
    good();
}

/* The cluster became another's standby while this member, which streams from the holder, stood on a
 * line that was opened here: the other side may use its number for another one. */
static void test_a_line_of_the_former_role_is_rewound_and_never_followed(void **state)
{
    (void)state;
    standby();
    world_record(&w, 3, "a");
    w.record.is_standby_cluster = true;
    w.record.role_epoch = 3;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 3000);
    assert_int_equal(w.orders[DB_ORDER_REWIND], 1);
    assert_true(w.db.is_remote);
    assert_int_equal(w.driver.agent.disk.openings_count, 0); /* none of what it holds now */
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 2000);
    assert_int_equal(w.orders[DB_ORDER_REWIND], 1);
    good();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holder_of_a_standby_cluster_that_was_promoted_by_hand_is_cloned),
        cmocka_unit_test(test_a_line_of_the_former_role_is_rewound_and_never_followed),
        cmocka_unit_test(test_empty_directory_is_cloned),
        cmocka_unit_test(test_an_old_look_at_a_new_copy_changes_nothing),
        cmocka_unit_test(test_standby_follows_the_new_holder_without_a_restart),
        cmocka_unit_test(test_former_holder_with_more_wal_is_rewound),
        cmocka_unit_test(test_former_holder_is_rewound_for_each_epoch_that_it_is_ahead_of),
        cmocka_unit_test(test_who_has_no_data_or_holds_the_role_needs_no_rejoin),
        cmocka_unit_test(test_standby_that_is_ahead_is_rewound_whatever_it_shows_at_rest),
        cmocka_unit_test(test_reserved_timeline_is_reported),
        cmocka_unit_test(test_failed_rewind_becomes_a_clone_only_when_it_is_final),
        cmocka_unit_test(test_same_timeline_number_is_a_clone),
        cmocka_unit_test(test_nothing_is_given_up_by_an_old_order),
        cmocka_unit_test(test_standby_that_cannot_be_pointed_elsewhere_keeps_its_data),
        cmocka_unit_test(test_what_has_failed_is_told_until_it_is_done),
        cmocka_unit_test(test_probe_that_hangs_is_no_news_before_the_first_order_either),
        cmocka_unit_test(test_standby_that_hangs_is_told_the_moment_its_ttl_is_over),
        cmocka_unit_test(test_silent_receiver_reconnects),
        cmocka_unit_test(test_receiver_that_never_streams_on_is_none),
        cmocka_unit_test(test_other_system_identifier_is_left_alone),
        cmocka_unit_test(test_vote_needs_promise_on_disk_and_receiver_gone),
        cmocka_unit_test(test_receiver_that_comes_back_is_taken_away_again),
        cmocka_unit_test(test_vote_waits_for_the_detach_even_without_a_receiver),
        cmocka_unit_test(test_promise_survives_a_restart_and_ends_as_told),
        cmocka_unit_test(test_an_attempt_that_has_ended_is_promised_nothing),
        cmocka_unit_test(test_promise_ends_with_a_higher_epoch),
        cmocka_unit_test(test_stopped_member_votes_without_a_receiver),
        cmocka_unit_test(test_a_receiver_that_comes_and_goes_is_not_taken_out_each_time),
        cmocka_unit_test(test_a_started_standby_says_that_it_has_not_read_all_it_has),
        cmocka_unit_test(test_a_started_standby_does_not_follow_before_it_has_read_all_it_has),
        cmocka_unit_test(test_a_standby_that_reads_its_own_log_is_not_refused),
        cmocka_unit_test(test_voter_that_wins_promotes),
        cmocka_unit_test(test_agent_restart_under_a_primary_leaves_it_alone),
        cmocka_unit_test(test_restarted_agent_keeps_the_guards_deadline),
        cmocka_unit_test(test_own_wal_counts_before_it_is_read),
        cmocka_unit_test(test_a_restarted_agent_sets_no_set_before_a_grant),
        cmocka_unit_test(test_a_new_holder_is_cloned_from_at_once),
        cmocka_unit_test(test_own_directory_stands_before_an_order),
        cmocka_unit_test(test_standby_without_its_wal_upstream_is_cloned_again),
        cmocka_unit_test(test_new_guard_hands_back_for_its_predecessor),
        cmocka_unit_test(test_behind_a_new_guard_nothing_is_done_before_a_look),
        cmocka_unit_test(test_what_recovers_ends_for_the_next_epoch_of_its_member),
        cmocka_unit_test(test_who_was_elected_in_vain_ends_what_recovers),
        cmocka_unit_test(test_who_is_not_named_goes_on_in_recovery),
        cmocka_unit_test(test_a_grant_is_of_the_guard_that_it_was_given_to),
        cmocka_unit_test(test_holder_without_data_hands_the_role_back),
        cmocka_unit_test(test_stall_of_the_agent_is_noted),
        cmocka_unit_test(test_reports_are_regular_and_bounded),
        cmocka_unit_test(test_bad_frames_are_dropped),
    };
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
