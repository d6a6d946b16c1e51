/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of the agent's core and driver: one named test a rule of safety.md sections 1-8, over
 * the real guard core and a modelled database. Each ends with the world's own checks.
 */
#include "agents/core/internal.h"
#include "base/lease_math.h"
#include "tests/unit/agt_scene.h"

static void stream_voters_seen(void)
{
    stream_voters();
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
}

/* --- table, disk, lease ------------------------------------------------------------------------
 */

static void test_table_is_total_and_well_formed(void **state)
{
    (void)state;
    assert_true(agt_table_is_well_formed());
    for (int s = 0; s < AGT_STATE_COUNT; s++) {
        for (int g = 0; g < AGT_GOAL_COUNT; g++) {
            const struct agt_row *row = agt_table_row((enum agt_state)s, (enum agt_goal)g);
            assert_true(strlen(row->sentence) < 200);
            /* Nothing is started or promoted without a goal, and nothing but the holder's goals
             * promotes. */
            bool is_holders = g == AGT_GOAL_INIT || g == AGT_GOAL_HOLD;
            if (row->action == AGT_DO_PROMOTE || row->action == AGT_DO_OPEN ||
                row->action == AGT_DO_START_HOLDER) {
                assert_true(is_holders);
            }
        }
        assert_true(agt_state_text((enum agt_state)s)[0] != '\0');
    }
}

static struct agt_disk disk_sample(void)
{
    struct agt_disk d = {.epoch_seen = 9,
                         .promised = {3, 4},
                         .role = AGT_ROLE_VOTER,
                         .opened_epoch = 2,
                         .opened_lsn = 77,
                         .opened_root_pid = 4242};
    /* 2 <- 3 <- 5 (4 never opened), 6 came back on 5's line, 7 <- 6 */
    struct agt_opening o[] = {{2, 2, 1, 200, 2, true},
                              {3, 3, 2, 300, 3, false},
                              {5, 5, 3, 500, 5, true},
                              {6, 6, 3, 500, 5, false},
                              {7, 8, 6, 700, 7, false}};
    for (size_t i = 0; i < BASE_COUNT_OF(o); i++) {
        assert_true(agt_disk_remember(&d, &o[i]));
    }
    return d;
}

static void test_disk_survives_and_refuses_damage(void **state)
{
    (void)state;
    struct agt_disk d = disk_sample();
    struct agt_disk back = {0};
    uint8_t memory[AGT_DISK_BYTES_MAX];
    struct buf b = buf_over(memory, sizeof(memory));
    assert_int_equal(agt_disk_encode(&d, &b), 0);
    assert_int_equal(agt_disk_decode(buf_slice(&b), &back), 0);
    assert_true(agt_disk_equal(&d, &back));
    size_t first = b.len;
    assert_int_equal(agt_disk_encode(&d, &b), 0); /* behind what is there */
    assert_int_equal(agt_disk_decode(slice_skip(buf_slice(&b), first), &back), 0);
    d.made_system = 7;
    assert_false(agt_disk_equal(&d, &back));
    b.len = 0;
    assert_int_equal(agt_disk_encode(&d, &b), 0);
    assert_int_equal(agt_disk_decode(buf_slice(&b), &back), 0);
    assert_true(agt_disk_equal(&d, &back));
    for (size_t i = 0; i < b.len; i++) {
        memory[i] ^= 0x40;
        assert_int_equal(agt_disk_decode(buf_slice(&b), &back), BASE_E_CORRUPT);
        memory[i] ^= 0x40;
        assert_int_equal(agt_disk_decode(slice_from(memory, i), &back), BASE_E_CORRUPT);
    }
}

static void test_disk_holds_its_limit_of_openings(void **state)
{
    (void)state;
    struct agt_disk d = {0};
    for (uint64_t e = 1; e <= 100; e++) {
        struct agt_opening o = {.epoch = e, .timeline = (uint32_t)e, .parent = e - 1};
        assert_true(agt_disk_remember(&d, &o));
        assert_false(agt_disk_remember(&d, &o));
    }
    assert_int_equal(d.openings_count, AGT_OPENINGS_MAX);
    assert_null(agt_disk_opening(&d, 36));
    assert_non_null(agt_disk_opening(&d, 37));
    uint8_t memory[AGT_DISK_BYTES_MAX];
    struct buf b = buf_over(memory, sizeof(memory));
    assert_int_equal(agt_disk_encode(&d, &b), 0);
}

static void test_lineage_and_prefix(void **state)
{
    (void)state;
    struct agt_disk d = disk_sample();
    assert_int_equal(agt_disk_lineage(&d, 8), 7);
    assert_int_equal(agt_disk_lineage(&d, 4), 0);
    /* own line, whole */
    assert_int_equal(agt_disk_prefix(&d, 5, 5, 99999), AGT_PREFIX_YES);
    /* left where it still was, or past it */
    assert_int_equal(agt_disk_prefix(&d, 5, 3, 500), AGT_PREFIX_YES);
    assert_int_equal(agt_disk_prefix(&d, 5, 3, 501), AGT_PREFIX_NO);
    assert_int_equal(agt_disk_prefix(&d, 5, 2, 300), AGT_PREFIX_YES);
    assert_int_equal(agt_disk_prefix(&d, 5, 2, 301), AGT_PREFIX_NO);
    /* opened apart, never in the line */
    assert_int_equal(agt_disk_prefix(&d, 5, 4, 10), AGT_PREFIX_NO);
    /* the same holder came back: where its line was left is not told */
    assert_int_equal(agt_disk_prefix(&d, 6, 5, 900), AGT_PREFIX_UNKNOWN);
    assert_int_equal(agt_disk_prefix(&d, 6, 3, 500), AGT_PREFIX_YES);
    /* an opening never seen; unknown lineage; one from the future */
    assert_int_equal(agt_disk_prefix(&d, 9, 3, 1), AGT_PREFIX_UNKNOWN);
    assert_int_equal(agt_disk_prefix(&d, 7, 0, 1), AGT_PREFIX_NO);
    assert_int_equal(agt_disk_prefix(&d, 5, 7, 1), AGT_PREFIX_NO);
    assert_true(agt_disk_is_reserved_here(&d, 5));
    assert_false(agt_disk_is_reserved_here(&d, 3));
    d.is_clone_needed = true;
    assert_int_equal(agt_disk_lineage(&d, 8), 0);
}

static void test_sent_ring_knows_only_its_numbers(void **state)
{
    (void)state;
    static struct agt_lease lease;
    struct base_mono at = {0};
    agt_lease_init(&lease, 7);
    assert_false(agt_lease_sent_at(&lease, 0, &at));
    assert_false(agt_lease_sent_at(&lease, 1, &at));
    for (int i = 1; i <= AGT_SENT_MAX + 10; i++) {
        assert_int_equal(agt_lease_send(&lease, (struct base_mono){i * 1000}), i);
    }
    assert_false(agt_lease_sent_at(&lease, 10, &at));
    assert_true(agt_lease_sent_at(&lease, 11, &at));
    assert_int_equal(at.us, 11000);
}

/* --- lease -------------------------------------------------------------------------------------
 */

static void test_deadline_counts_from_the_sending_of_the_report(void **state)
{
    (void)state;
    primary();
    uint64_t number = w.report.number;
    struct base_mono sent = w.sent[number];
    uint32_t arms = w.arms;
    world_run_ms(&w, 40); /* the answer is slow */
    world_order_for(&w, number, MSG_GOAL_HOLD, true);
    struct base_mono want = lease_deadline(sent, WORLD_TTL_US);
    assert_true(w.arms == arms || w.armed_deadline.us == want.us);
    assert_int_equal(w.guard.status.deadline.us, want.us);
    good();
}

/* For operators: how near to its end the lease has come. */
static void test_the_least_that_was_left_of_the_lease_is_known(void **state)
{
    (void)state;
    primary();
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 2000);
    int64_t least_us = world_agent(&w)->lease_least_us;
    assert_true(least_us > 1200 * BASE_US_PER_MS && least_us < WORLD_TTL_US - WORLD_MARGIN_US);
    world_run_ms(&w, 1000); /* nobody grants */
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1000);
    assert_true(world_agent(&w)->lease_least_us < least_us - 700 * BASE_US_PER_MS);
    good();
}

static void test_grant_for_another_session_or_number_is_nothing(void **state)
{
    (void)state;
    primary();
    world_run_ms(&w, 300); /* a report that nobody has answered */
    uint32_t arms = w.arms;
    w.options.config.session += 5; /* as an answer to a former process */
    world_order_for(&w, w.report.number, MSG_GOAL_HOLD, true);
    w.options.config.session -= 5;
    assert_int_equal(w.arms, arms);
    world_order_for(&w, w.report.number + 1, MSG_GOAL_HOLD, true); /* never sent */
    assert_int_equal(w.arms, arms);
    good();
}

static void test_grant_to_another_guard_is_nothing(void **state)
{
    (void)state;
    standby();
    world_record(&w, 2, "a");
    w.record.holder_instance = 1; /* a former guard of this member */
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 400);
    assert_int_equal(w.arms, 0);
    assert_int_equal(w.orders[DB_ORDER_PROMOTE], 0);
    good();
}

static void test_lower_epoch_is_refused(void **state)
{
    (void)state;
    fresh();
    world_directory(&w, 5, 5, 2000);
    world_agent_start(&w);
    world_record(&w, 3, "a"); /* a quorum restored from a backup */
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 500);
    assert_int_equal(w.arms, 0);
    assert_int_equal(w.starts, 0);
    assert_int_equal(w.report.epoch_seen, 5);
    good();
}

static void test_epoch_is_on_disk_before_it_is_acted_on(void **state)
{
    (void)state;
    standby();
    w.save_us = 300 * BASE_US_PER_MS;
    world_record(&w, 2, "a");
    world_order(&w, MSG_GOAL_HOLD, true);
    world_run_ms(&w, 250);
    assert_int_equal(w.arms, 0);
    assert_int_equal(w.report.epoch_seen, 1);
    world_run_ms(&w, 100); /* saved: the grant at hand is used, none is waited for */
    assert_int_equal(w.report.epoch_seen, 2);
    assert_int_equal(w.arms, 1);
    good();
}

static void test_failed_save_is_tried_again_and_nothing_done(void **state)
{
    (void)state;
    standby();
    w.save_status = BASE_E_NOSPACE;
    world_record(&w, 2, "a");
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    assert_int_equal(w.arms, 0);
    w.save_status = 0;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    assert_true(w.report.is_open);
    good();
}

/* --- holder ------------------------------------------------------------------------------------
 */

static void test_winner_arms_promotes_sets_sync_then_opens(void **state)
{
    (void)state;
    standby();
    world_record(&w, 2, "a");
    w.record.timeline = 7;
    world_hold_ms(&w, MSG_GOAL_HOLD, false, 300);
    assert_int_equal(w.orders[DB_ORDER_PROMOTE], 0); /* elected, but not armed */
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 6);
    assert_true(w.arms > 0);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    assert_int_equal(w.orders[DB_ORDER_PROMOTE], 1);
    assert_int_equal(w.db.timeline, 7);
    assert_int_equal(w.orders[DB_ORDER_SET_SYNC], 1);
    assert_true(w.report.is_open && w.report.is_sync_known);
    assert_int_equal(w.report.sync_count, 1); /* S = V, k = r */
    assert_int_equal(w.report.sync_names.count, 2);
    assert_true(w.report.is_sync_barrier_passed);
    assert_int_equal(w.report.position.lineage, 2);
    assert_int_equal(w.report.opened_lsn, w.db.lsn);
    assert_int_equal(w.starts, 1); /* the standby was not restarted */
    good();
}

static void test_promotion_to_another_timeline_does_not_open(void **state)
{
    (void)state;
    standby();
    w.promote_status = BASE_E_CONFLICT;
    world_record(&w, 2, "a");
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    assert_false(w.report.is_open);
    assert_true(w.kills > 0);
    assert_int_equal(w.report.epoch_handed_back, 2);
    assert_int_equal(w.orders[DB_ORDER_SET_SYNC], 0);
    assert_true(w.durable.is_clone_needed);
    /* and comes back by a clone only */
    world_record(&w, 3, "b");
    w.upstream_timeline = 3;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 400);
    assert_int_equal(w.orders[DB_ORDER_CLONE], 1);
    assert_int_equal(w.orders[DB_ORDER_REWIND], 0);
    assert_true(w.report.is_receiving);
    good();
}

static void test_holder_on_an_unexpected_timeline_does_not_open(void **state)
{
    (void)state;
    standby();
    w.promote_offset = 5; /* and the promotion says that all is well */
    world_record(&w, 2, "a");
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1000);
    assert_false(w.report.is_open);
    assert_int_equal(w.orders[DB_ORDER_SET_SYNC], 0);
    assert_int_equal(w.kills, 1);
    assert_int_equal(w.report.epoch_handed_back, 2);
    good();
}

static void test_older_orders_change_nothing(void **state)
{
    (void)state;
    primary();
    world_run_ms(&w, 600);
    uint64_t newest = w.report.number;
    world_order_for(&w, newest, MSG_GOAL_HOLD, true);
    world_order_for(&w, newest - 1, MSG_GOAL_HAND_OVER, false); /* overtaken on its way */
    w.term--;                                                   /* a leader that was */
    world_order_for(&w, newest, MSG_GOAL_HAND_OVER, false);
    w.term++;
    world_run_ms(&w, 100);
    assert_int_equal(w.orders[DB_ORDER_CHECKPOINT], 0);
    assert_true(w.report.is_open);
    assert_int_equal(world_agent(&w)->order_number, newest);
    good();
}

static void test_sync_is_said_only_when_in_force(void **state)
{
    (void)state;
    primary();
    w.is_barrier_held = true;
    w.has_sync = true;
    w.sync_names.count = 1;
    w.sync_names.names[0] = world_name("b");
    w.sync_count = 1;
    world_order(&w, MSG_GOAL_HOLD, true);
    world_run_ms(&w, 1); /* the order is under way */
    struct msg_report now;
    agt_report_peek(world_agent(&w), w.now, &now);
    assert_false(now.is_sync_known);
    assert_true(now.is_open);
    world_run_ms(&w, 20);
    assert_true(w.report.is_sync_known);
    assert_int_equal(w.report.sync_names.count, 1);
    assert_false(w.report.is_sync_barrier_passed);
    /* a new wish interrupts the barrier */
    w.sync_names.names[0] = world_name("d");
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 50);
    assert_true(base_name_equal(&w.report.sync_names.names[0], &w.sync_names.names[0]));
    w.is_barrier_held = false;
    w.sync_names.names[0] = world_name("b");
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 50);
    assert_true(w.report.is_sync_barrier_passed);
    good();
}

static void test_standby_is_confirmed_past_the_opening(void **state)
{
    (void)state;
    primary();
    stream_voters_seen();
    assert_int_equal(w.report.standbys_count, 2);
    assert_true(w.report.standbys[0].is_confirmed);
    w.db.standbys[0].flush_lsn = w.report.opened_lsn - 1;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    assert_false(w.report.standbys[0].is_confirmed);
    good();
}

static void test_higher_epoch_ends_the_holder_before_anything_is_saved(void **state)
{
    (void)state;
    primary();
    w.save_us = 500 * BASE_US_PER_MS;
    world_record(&w, 3, "b");
    w.upstream_timeline = 3;
    world_order(&w, MSG_GOAL_FOLLOW, false);
    assert_int_equal(w.kills, 1); /* in the same step */
    world_run_ms(&w, 400);
    assert_int_equal(w.report.epoch_handed_back, 2);
    assert_int_equal(w.report.epoch_seen, 2);
    assert_false(w.report.is_open);
    w.save_us = 2 * BASE_US_PER_MS;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 800);
    assert_true(w.report.is_receiving);
    good();
}

static void test_a_handed_back_epoch_is_never_armed_again(void **state)
{
    (void)state;
    primary();
    stream_voters_seen();
    uint64_t old_number = w.report.number;
    world_crash(&w);
    world_hold_ms(&w, MSG_GOAL_HOLD, false, 100);
    assert_int_equal(w.report.epoch_handed_back, 2);
    uint32_t arms = w.arms;
    world_order_for(&w, old_number, MSG_GOAL_HOLD, true); /* late, doubled */
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 500);
    assert_int_equal(w.arms, arms);
    assert_int_equal(w.starts, 1);
    good();
}

static void test_handback_comes_after_the_whole_tree_has_gone(void **state)
{
    (void)state;
    primary();
    stream_voters_seen();
    w.kill_us = 500 * BASE_US_PER_MS; /* backends outlive the root for long */
    world_crash(&w);
    world_run_ms(&w, 10);
    assert_int_equal(w.report.epoch_handed_back, 0); /* not at the exit of the root */
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);     /* the leader does not know yet */
    assert_int_equal(w.report.epoch_handed_back, 2);
    uint32_t arms = w.arms;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    assert_int_equal(w.arms, arms);
    good();
}

static void test_old_word_of_the_guard_is_dropped(void **state)
{
    (void)state;
    primary();
    stream_voters_seen();
    struct guard_status old = w.guard.status;
    world_crash(&w);
    world_run_ms(&w, 12); /* the tree has gone, the handback is asked for */
    struct guard_status gone = w.guard.status;
    gone.epoch_handed_back = 0;
    gone.is_armed = true;
    world_run_ms(&w, 20);
    assert_int_equal(w.guard.status.epoch_handed_back, 2);
    agt_driver_guard_status(&w.driver, &gone);
    agt_driver_guard_status(&w.driver, &old);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 500);
    assert_int_equal(w.starts, 1);
    assert_int_equal(w.report.epoch_held, 0);
    good();
}

/* --- crash -------------------------------------------------------------------------------------
 */

static void test_crash_with_enough_voters_hands_back_at_once(void **state)
{
    (void)state;
    primary();
    stream_voters_seen();
    w.db.standbys_count = 1; /* V = {b, d}, r = 1 asks for two; with r = 2 one is enough */
    w.record.votes_needed_r = 2;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 260);
    world_crash(&w);
    world_run_ms(&w, 40);
    assert_int_equal(w.report.epoch_handed_back, 2);
    assert_false(w.report.is_handback_clean);
    assert_true(w.report.is_tree_gone);
    assert_int_equal(w.starts, 1);
    good();
}

static void test_crash_without_voters_restarts_in_place_behind_the_gate(void **state)
{
    (void)state;
    primary();
    w.is_barrier_held = true;
    world_crash(&w);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    assert_int_equal(w.starts, 2);
    assert_int_equal(w.report.epoch_handed_back, 0);
    assert_int_equal(w.report.epoch_held, 2);
    assert_int_equal(w.orders[DB_ORDER_PREPARE_PRIMARY], 1);
    assert_true(w.db.is_gated);
    assert_false(w.report.is_open); /* section 6: until k of S have all */
    w.is_barrier_held = false;
    w.has_sync = true; /* the arbiter lowers k */
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    assert_true(w.report.is_open);
    assert_false(w.db.is_gated);
    assert_int_equal(w.orders[DB_ORDER_PROMOTE], 1);
    good();
}

/* The primary crashes while its agent is away; a new one starts it again, closed until the barrier
 * has passed. */
static void crashed_and_restarted_behind_the_gate(void)
{
    w.is_barrier_held = true;
    world_crash(&w);
    world_stall_ms(&w, 50);
    world_agent_start(&w);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 400);
    assert_int_equal(w.starts, 2);
    assert_int_equal(w.orders[DB_ORDER_PREPARE_PRIMARY], 1);
    assert_true(w.db.is_gated);
    assert_false(w.report.is_open);
    w.is_barrier_held = false;
    w.has_sync = true; /* the arbiter lowers k */
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    assert_true(w.report.is_open);
    assert_false(w.db.is_gated);
    good();
}

/* The agent that saw the crash is not the one that starts the database again. */
static void test_crash_while_the_agent_is_away_restarts_behind_the_gate(void **state)
{
    (void)state;
    primary();
    crashed_and_restarted_behind_the_gate();
}

/* With its disk, say: what it has acknowledged is elsewhere, and never an empty database again. */
static void test_crash_that_takes_the_data_along_makes_no_new_database(void **state)
{
    (void)state;
    primary();
    w.db.has_directory = false;
    world_crash(&w);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1500);
    assert_int_equal(w.orders[DB_ORDER_INIT], 0);
    assert_int_equal(w.starts, 1);
    assert_int_equal(w.report.epoch_handed_back, 2);
    good();
}

/* It wrote behind the back of an agent that stood still from the promotion on, and another agent
 * starts it again: nothing that is remembered tells of an opening, or of a crash. */
static void test_crash_behind_a_promotion_restarts_behind_the_gate(void **state)
{
    (void)state;
    standby();
    world_record(&w, 2, "a");
    while (w.orders[DB_ORDER_PROMOTE] == 0) {
        world_hold_ms(&w, MSG_GOAL_HOLD, true, 10);
    }
    world_stall_ms(&w, 300);
    assert_false(w.db.is_in_recovery);
    assert_int_equal(w.durable.opened_epoch, 0);
    crashed_and_restarted_behind_the_gate();
}

static void test_crash_restart_needs_a_deadline_ahead(void **state)
{
    (void)state;
    primary();
    world_run_ms(&w, 1600); /* no grant any more; 1.8 s after the last one it would freeze */
    w.kill_us = 400 * BASE_US_PER_MS;
    world_crash(&w);
    world_run_ms(&w, 600);
    assert_int_equal(w.starts, 1);
    assert_int_equal(w.report.epoch_handed_back, 2);
    good();
}

static void test_three_crashes_in_a_minute_hand_the_role_on(void **state)
{
    (void)state;
    primary();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(w.report.epoch_handed_back, 0);
        world_crash(&w);
        world_hold_ms(&w, MSG_GOAL_HOLD, true, 2000);
    }
    assert_int_equal(w.report.epoch_handed_back, 2);
    assert_int_equal(w.report.db_state, MSG_DB_FAILED);
    uint32_t starts = w.starts;
    world_record(&w, 3, "b");
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 1000);
    assert_int_equal(w.starts, starts); /* stays down */
    good();
}

static void test_holder_that_does_not_answer_has_its_time(void **state)
{
    (void)state;
    primary();
    w.db.is_hanging = true;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 4500); /* of the 5 s that one has which has answered */
    assert_int_equal(w.kills, 0);
    assert_false(w.report.is_open);
    w.kill_us = 600 * BASE_US_PER_MS;
    while (w.kills == 0) {
        world_hold_ms(&w, MSG_GOAL_HOLD, true, 10);
    }
    uint32_t arms = w.arms; /* the handback is decided: grants are used no more */
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1000);
    assert_int_equal(w.arms, arms);
    assert_int_equal(w.kills, 1);
    assert_int_equal(w.report.epoch_handed_back, 2);
    good();
}

/* Each crash has the whole time to come back from, however long ago the one before was. */
static void test_second_crash_in_an_epoch_is_restarted_in_place_as_well(void **state)
{
    (void)state;
    primary();
    for (int i = 0; i < 3; i++) {
        world_crash(&w);
        world_hold_ms(&w, MSG_GOAL_HOLD, true, 40000);
        assert_int_equal(w.report.epoch_held, 2);
        assert_true(w.report.is_open);
    }
    good();
}

static void test_slow_recovery_goes_on_when_nobody_else_could_take_over(void **state)
{
    (void)state;
    primary();
    w.record.voters.count = 0; /* it alone has everything */
    w.record.votes_needed_r = 0;
    w.record.revision++;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    w.db.is_hanging = true;
    world_crash(&w);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 60000);
    assert_int_equal(w.kills, 1); /* of what the crash had left */
    assert_int_equal(w.starts, 2);
    assert_int_equal(w.report.epoch_handed_back, 0);
    w.db.is_hanging = false;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 500);
    assert_true(w.report.is_open);
    good();
}

static void test_barrier_that_times_out_goes_on(void **state)
{
    (void)state;
    primary();
    w.barrier_status = BASE_E_TIMEOUT;
    w.has_sync = true;
    w.sync_names.count = 1;
    w.sync_names.names[0] = world_name("b");
    w.sync_count = 1;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 500);
    assert_true(w.report.is_sync_known && !w.report.is_sync_barrier_passed);
    w.barrier_status = 0;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 50); /* no pause between the tries */
    assert_true(w.report.is_sync_barrier_passed);
    good();
}

/* --- freeze ------------------------------------------------------------------------------------
 */

static void test_freeze_and_thaw_within_the_same_epoch(void **state)
{
    (void)state;
    primary();
    uint64_t old = w.report.number;
    world_run_ms(&w, 2000);
    assert_int_equal(w.guard.status.tree, GUARD_TREE_FROZEN);
    assert_int_equal(w.report.db_state, MSG_DB_FROZEN);
    assert_false(w.report.is_open);
    assert_int_equal(w.orders[DB_ORDER_CLIENTS_OUT], 1);
    world_order_for(&w, old, MSG_GOAL_HOLD,
                    true); /* a late answer to an old report thaws nothing */
    assert_int_equal(w.guard.status.tree, GUARD_TREE_FROZEN);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 300);
    assert_int_equal(w.guard.status.tree, GUARD_TREE_RUNNING);
    assert_true(w.report.is_open);
    assert_int_equal(w.starts, 1);
    good();
}

static void test_freeze_max_over_hands_back(void **state)
{
    (void)state;
    primary();
    world_run_ms(&w, 6000);
    assert_int_equal(w.guard.status.tree, GUARD_TREE_GONE);
    assert_int_equal(w.report.epoch_handed_back, 2);
    assert_int_equal(w.starts, 1);
    good();
}

static void test_frozen_is_killed_not_thawed_to_hand_over(void **state)
{
    (void)state;
    primary();
    world_run_ms(&w, 2000);
    world_record(&w, 2, "a");
    world_order(&w, MSG_GOAL_HAND_OVER, false);
    world_run_ms(&w, 100);
    assert_int_equal(w.kills, 1);
    assert_int_equal(w.signals[AGT_SIGNAL_FAST], 0);
    assert_int_equal(w.report.epoch_handed_back, 2);
    good();
}

/* --- hand over ---------------------------------------------------------------------------------
 */

static void test_hand_over_is_clean_and_final(void **state)
{
    (void)state;
    primary();
    w.record.state = MSG_RECORD_SWITCHOVER;
    w.record.target = world_name("b");
    w.record.revision++;
    world_hold_ms(&w, MSG_GOAL_HAND_OVER, true, 200);
    assert_int_equal(w.orders[DB_ORDER_CHECKPOINT], 1);
    assert_int_equal(w.signals[AGT_SIGNAL_FAST], 1);
    assert_int_equal(w.report.epoch_handed_back, 2);
    assert_true(w.report.is_handback_clean);
    assert_int_equal(w.report.handback_lsn, w.db.lsn);
    uint64_t reports = w.reports;
    world_run_ms(&w, 1100); /* repeated with every heartbeat */
    assert_true(w.reports >= reports + 4);
    assert_true(w.report.is_handback_clean);
    /* the target opens where we stopped: plain start, no rewind */
    uint64_t stopped = w.db.lsn;
    world_record(&w, 3, "b");
    w.record.floor = (struct msg_position){2, 2, stopped};
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 500);
    assert_int_equal(w.orders[DB_ORDER_REWIND] + w.orders[DB_ORDER_CLONE], 0);
    assert_true(w.report.is_receiving);
    good();
}

static void test_slow_stop_is_bounded(void **state)
{
    (void)state;
    primary();
    w.is_stop_slow = true;
    w.record.state = MSG_RECORD_SWITCHOVER;
    w.record.revision++;
    world_hold_ms(&w, MSG_GOAL_HAND_OVER, true, 1900);
    assert_int_equal(w.signals[AGT_SIGNAL_FAST], 1);
    assert_int_equal(w.signals[AGT_SIGNAL_IMMEDIATE], 0);
    assert_false(w.report.is_open);
    world_hold_ms(&w, MSG_GOAL_HAND_OVER, true, 400);
    assert_int_equal(w.signals[AGT_SIGNAL_IMMEDIATE], 1);
    world_hold_ms(&w, MSG_GOAL_HAND_OVER, true, 1200);
    assert_int_equal(w.kills, 1);
    assert_int_equal(w.report.epoch_handed_back, 2);
    assert_false(w.report.is_handback_clean);
    good();
}

static void test_hand_over_called_off_before_the_stop_changes_nothing(void **state)
{
    (void)state;
    primary();
    w.record.state = MSG_RECORD_SWITCHOVER;
    w.record.revision++;
    world_order(&w, MSG_GOAL_HAND_OVER, true);
    world_run_ms(&w, 1);
    w.record.state = MSG_RECORD_RUNNING;
    w.record.revision++;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 500);
    assert_true(w.report.is_open);
    assert_int_equal(w.signals[AGT_SIGNAL_FAST], 0);
    good();
}

static void test_hand_over_called_off_after_the_stop_restarts_in_place(void **state)
{
    (void)state;
    primary();
    w.record.state = MSG_RECORD_SWITCHOVER;
    w.record.revision++;
    world_hold_ms(&w, MSG_GOAL_HAND_OVER, true, 15);
    assert_int_equal(w.signals[AGT_SIGNAL_FAST], 1);
    w.record.state = MSG_RECORD_RUNNING;
    w.record.revision++;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 500);
    assert_int_equal(w.starts, 2);
    assert_true(w.report.is_open);
    assert_int_equal(w.report.epoch_handed_back, 0);
    good();
}

static void test_shutdown_hands_over_first(void **state)
{
    (void)state;
    primary();
    agt_driver_shutdown(&w.driver);
    assert_false(agt_driver_is_finished(&w.driver));
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 200);
    assert_true(w.report.is_handback_clean);
    assert_false(agt_driver_is_finished(&w.driver)); /* nobody may have heard of the handback */
    world_record(&w, 3, "b");
    w.upstream_timeline = 3;
    world_order(&w, MSG_GOAL_FOLLOW, false);
    assert_true(agt_driver_is_finished(&w.driver));
    assert_int_equal(w.starts, 1);
    good();
}

static void test_shutdown_ends_also_when_nobody_hears_of_it(void **state)
{
    (void)state;
    primary();
    agt_driver_shutdown(&w.driver);
    world_run_ms(&w, 500);
    assert_true(w.report.epoch_handed_back > 0);
    assert_false(agt_driver_is_finished(&w.driver));
    world_run_ms(&w, 2500);
    assert_true(agt_driver_is_finished(&w.driver));
    good();
}

/* Operators look at it: one that they have configured and that is not fed saves nobody. */
static void test_a_watchdog_is_told_as_fed_when_the_guard_says_so(void **state)
{
    (void)state;
    primary();
    assert_false(w.report.is_watchdog_fed); /* there is none */
    w.guard.status.watchdog = GUARD_WATCHDOG_FED;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    assert_true(w.report.is_watchdog_fed);
    w.guard.status.watchdog = GUARD_WATCHDOG_HUNGRY;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    assert_false(w.report.is_watchdog_fed);
    good();
}

static void test_guard_that_does_not_answer_is_no_ground_for_a_lease(void **state)
{
    (void)state;
    primary();
    uint64_t instance = w.report.instance;
    assert_true(instance != 0);
    w.is_guard_silent = true;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1900);
    assert_int_equal(w.report.instance, instance);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 800);
    assert_int_equal(w.report.instance, 0);
    assert_int_equal(w.report.epoch_held, 0);
    assert_false(w.report.is_open);
    assert_false(w.report.is_tree_gone);
    w.is_guard_silent = false;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 800);
    assert_int_equal(w.report.instance, instance);
    good();
}

static void test_guard_that_refuses_is_told_of_and_asked_again(void **state)
{
    (void)state;
    standby();
    uint64_t instance = w.report.instance;
    w.is_arm_refused = true;
    world_record(&w, 2, "a");
    w.record.votes_needed_r = 0; /* nobody else may have it */
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1900);
    assert_null(strstr(w.report.note.text, "refuses"));
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 800);
    assert_non_null(strstr(w.report.note.text, "refuses the lease"));
    assert_int_equal(w.report.instance, instance); /* not deaf: it is granted on */
    assert_int_equal(w.report.epoch_held, 0);
    w.is_arm_refused = false;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 800);
    assert_int_equal(w.report.epoch_held, 2);
    assert_null(strstr(w.report.note.text, "refuses"));
    good();
}

/* What it was asked first may be taken up to the end of the ttl that it was granted for. */
static void test_guard_has_a_whole_ttl_to_be_armed_in(void **state)
{
    (void)state;
    standby();
    w.is_arm_refused = true;
    world_record(&w, 2, "a");
    for (int ms = 0; w.arms == 0 && ms < 1000; ms++) {
        world_hold_ms(&w, MSG_GOAL_HOLD, true, 1);
    }
    world_run_ms(&w, 2); /* and it answers */
    struct msg_report report;
    struct base_mono end = base_mono_add_us(world_agent(&w)->arm_since, WORLD_TTL_US);
    agt_report_peek(world_agent(&w), end, &report);
    assert_null(strstr(report.note.text, "refuses"));
    agt_report_peek(world_agent(&w), base_mono_add_us(end, 1), &report);
    assert_non_null(strstr(report.note.text, "refuses the lease"));
    good();
}

static void test_agent_fits_into_its_memory(void **state)
{
    (void)state;
    assert_true(sizeof(struct agt_driver) < 192 * 1024);
}

/* Only the very first start opens without the gate. */
static void test_a_start_is_the_first_one_of_what_was_made_here(void **state)
{
    (void)state;
    struct agt *a = calloc(1, sizeof(*a));
    struct agt_effects *fx = calloc(1, sizeof(*fx));
    assert_true(a != NULL && fx != NULL);
    struct agt_run run = {.a = a, .fx = fx, .now = {BASE_US_PER_S}};
    a->guard.tree = GUARD_TREE_GONE;
    agt_start(&run);
    assert_true(a->is_start_asked);
    assert_false(a->is_first_start);
    a->is_start_asked = false;
    a->want.made_system = 7;
    agt_start(&run);
    assert_true(a->is_start_asked && a->is_first_start);
    assert_int_equal(a->want.made_system, 0);
    free(fx);
    free(a);
}

/* A directory that could not be read yet is not another cluster's. */
static void test_only_a_system_that_is_known_is_foreign(void **state)
{
    (void)state;
    struct agt *a = calloc(1, sizeof(*a));
    assert_non_null(a);
    a->has_order = a->has_view = a->view.has_directory = true;
    a->order.record.system_id = 7;
    assert_false(agt_has_foreign_system(a));
    a->view.system_id = 8;
    assert_true(agt_has_foreign_system(a));
    a->view.system_id = 7;
    assert_false(agt_has_foreign_system(a));
    free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_total_and_well_formed),
        cmocka_unit_test(test_a_start_is_the_first_one_of_what_was_made_here),
        cmocka_unit_test(test_only_a_system_that_is_known_is_foreign),
        cmocka_unit_test(test_disk_survives_and_refuses_damage),
        cmocka_unit_test(test_disk_holds_its_limit_of_openings),
        cmocka_unit_test(test_lineage_and_prefix),
        cmocka_unit_test(test_sent_ring_knows_only_its_numbers),
        cmocka_unit_test(test_deadline_counts_from_the_sending_of_the_report),
        cmocka_unit_test(test_the_least_that_was_left_of_the_lease_is_known),
        cmocka_unit_test(test_grant_for_another_session_or_number_is_nothing),
        cmocka_unit_test(test_grant_to_another_guard_is_nothing),
        cmocka_unit_test(test_lower_epoch_is_refused),
        cmocka_unit_test(test_epoch_is_on_disk_before_it_is_acted_on),
        cmocka_unit_test(test_failed_save_is_tried_again_and_nothing_done),
        cmocka_unit_test(test_winner_arms_promotes_sets_sync_then_opens),
        cmocka_unit_test(test_promotion_to_another_timeline_does_not_open),
        cmocka_unit_test(test_holder_on_an_unexpected_timeline_does_not_open),
        cmocka_unit_test(test_older_orders_change_nothing),
        cmocka_unit_test(test_sync_is_said_only_when_in_force),
        cmocka_unit_test(test_standby_is_confirmed_past_the_opening),
        cmocka_unit_test(test_higher_epoch_ends_the_holder_before_anything_is_saved),
        cmocka_unit_test(test_a_handed_back_epoch_is_never_armed_again),
        cmocka_unit_test(test_handback_comes_after_the_whole_tree_has_gone),
        cmocka_unit_test(test_old_word_of_the_guard_is_dropped),
        cmocka_unit_test(test_crash_with_enough_voters_hands_back_at_once),
        cmocka_unit_test(test_crash_without_voters_restarts_in_place_behind_the_gate),
        cmocka_unit_test(test_crash_that_takes_the_data_along_makes_no_new_database),
        cmocka_unit_test(test_crash_while_the_agent_is_away_restarts_behind_the_gate),
        cmocka_unit_test(test_crash_behind_a_promotion_restarts_behind_the_gate),
        cmocka_unit_test(test_crash_restart_needs_a_deadline_ahead),
        cmocka_unit_test(test_three_crashes_in_a_minute_hand_the_role_on),
        cmocka_unit_test(test_holder_that_does_not_answer_has_its_time),
        cmocka_unit_test(test_second_crash_in_an_epoch_is_restarted_in_place_as_well),
        cmocka_unit_test(test_slow_recovery_goes_on_when_nobody_else_could_take_over),
        cmocka_unit_test(test_barrier_that_times_out_goes_on),
        cmocka_unit_test(test_freeze_and_thaw_within_the_same_epoch),
        cmocka_unit_test(test_freeze_max_over_hands_back),
        cmocka_unit_test(test_frozen_is_killed_not_thawed_to_hand_over),
        cmocka_unit_test(test_hand_over_is_clean_and_final),
        cmocka_unit_test(test_slow_stop_is_bounded),
        cmocka_unit_test(test_hand_over_called_off_before_the_stop_changes_nothing),
        cmocka_unit_test(test_hand_over_called_off_after_the_stop_restarts_in_place),
        cmocka_unit_test(test_shutdown_hands_over_first),
        cmocka_unit_test(test_shutdown_ends_also_when_nobody_hears_of_it),
        cmocka_unit_test(test_a_watchdog_is_told_as_fed_when_the_guard_says_so),
        cmocka_unit_test(test_guard_that_does_not_answer_is_no_ground_for_a_lease),
        cmocka_unit_test(test_guard_that_refuses_is_told_of_and_asked_again),
        cmocka_unit_test(test_guard_has_a_whole_ttl_to_be_armed_in),
        cmocka_unit_test(test_agent_fits_into_its_memory),
    };
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
