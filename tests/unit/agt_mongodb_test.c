/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent of a MongoDB member decides by itself: starts and stops, what keeps a member down,
 * health checks, the ladder of a primary that is cut off or gray. Orders: agt_mongodb_order_test.c.
 */
#include "tests/support/cm.h"

#include <stdlib.h>
#include <string.h>

#include "base/canary.h"
#include "base/name.h"
#include "tests/unit/mongodb_member.h"

static void test_table_is_total(void **state)
{
    (void)state;
    assert_true(agt_mongodb_table_is_well_formed());
    for (int s = 0; s < AGT_MONGODB_STATE_COUNT; s++) {
        assert_non_null(agt_mongodb_state_text((enum agt_mongodb_state)s));
        for (int g = 0; g < AGT_MONGODB_GOAL_COUNT; g++) {
            assert_non_null(agt_mongodb_goal_text((enum agt_mongodb_goal)g));
            enum agt_mongodb_action action =
                agt_mongodb_table_action((enum agt_mongodb_state)s, (enum agt_mongodb_goal)g);
            assert_true(strlen(agt_mongodb_action_text(action)) > 0);
        }
    }
}

/* --- starts and stops --- */

static void test_nothing_is_started_before_the_arbiter_has_spoken(void **state)
{
    (void)state;
    m_begin();
    w.view.has_directory = true;
    w.is_arbiter_silent = true;
    m_live(30 * SECOND);
    assert_int_equal(w.starts, 0);
    w.order.mongodb.goal = MSG_MONGODB_GOAL_RUN; /* no record yet: a founding begins so */
    m_order_comes();
    assert_true(w.starts > 0);
}

static void test_it_is_started_when_the_arbiter_wants_it_run(void **state)
{
    (void)state;
    m_begin();
    w.view.has_directory = true;
    w.order.record.epoch = 1;
    w.order.mongodb.goal = MSG_MONGODB_GOAL_KEEP;
    m_live(5 * SECOND);
    assert_int_equal(w.starts, 0);
    w.is_disk_slow = true;
    w.order.record.epoch = 2;
    w.order.mongodb.goal = MSG_MONGODB_GOAL_RUN;
    m_live(SECOND);
    assert_int_equal(w.starts, 0); /* its epoch is on disk first */
    m_saved();
    assert_int_equal(w.starts, 1);
}

static void test_what_ends_by_itself_is_started_with_patience(void **state)
{
    (void)state;
    m_begin_secondary();
    m_live(70 * SECOND);
    m_root_ends();
    m_look();
    assert_true(w.starts > 0); /* it had run: at once, also with the arbiter gone */
    for (unsigned i = 0; i < 3; i++) {
        m_root_runs();
        m_pass(100 * MS);
        m_root_ends();
        m_look();
        assert_int_equal(w.starts, 1 + i);
        m_live((INT64_C(2) << i) * SECOND);
        assert_int_equal(w.starts, 2 + i);
    }
}

static void test_lost_control_plane_alone_does_nothing(void **state)
{
    (void)state;
    m_begin_primary();
    w.order.record.mongodb.policy.cut_off = MSG_MONGODB_CUT_OFF_KILL;
    w.order.record.mongodb.policy.gray = MSG_MONGODB_GRAY_KILL;
    m_order_comes();
    w.is_arbiter_silent = true;
    m_live(120 * SECOND);
    assert_int_equal(w.asks + w.kills + w.terms, 0);
    assert_true(agt_mongodb_is_control_lost(&w.a, w.now));
    assert_true(agt_mongodb_is_primary(&w.a, w.now));
}

static void test_agent_stops_it_in_order(void **state)
{
    (void)state;
    m_begin_primary();
    m_feed((struct agt_event){.kind = AGT_EVENT_SHUTDOWN});
    assert_int_equal(w.ask.kind, DB_ORDER_MONGODB_SHUTDOWN);
    assert_false(w.ask.mongodb.is_forced);
    assert_int_equal(w.terms, 0);
    m_done(BASE_E_TIMEOUT, 262); /* nobody has caught up: stopped all the same */
    m_look();
    assert_int_equal(w.terms, 1);
    m_root_ends();
    m_look();
    assert_true(agt_is_finished(&w.a, w.now));
    assert_int_equal(w.starts + w.kills, 0);
}

static void test_pause_leaves_everything(void **state)
{
    (void)state;
    m_begin_primary();
    w.order.record.is_paused = true;
    w.order.record.mongodb.policy.gray = MSG_MONGODB_GRAY_KILL;
    w.order.mongodb.is_majority_elsewhere = true;
    w.order.record.revision++;
    m_order_comes();
    assert_true(w.report.is_paused || agt_is_paused(&w.a));
    w.view.mongodb.canary_since = w.now;
    m_live(60 * SECOND);
    m_order(MSG_MONGODB_ORDER_STEP_DOWN);
    m_order_send();
    m_root_ends();
    m_live(10 * SECOND);
    assert_int_equal(w.asks + w.kills + w.terms + w.starts, 0);
    m_feed((struct agt_event){.kind = AGT_EVENT_SHUTDOWN});
    assert_true(agt_is_finished(&w.a, w.now));
}

static void test_watched_is_nobodys_to_start_or_end(void **state)
{
    (void)state;
    static const struct agt_disk nothing;
    m_begin_with(&nothing, true);
    w.order.mongodb.goal = MSG_MONGODB_GOAL_RUN;
    w.order.record.epoch = 1;
    m_look();
    m_order_comes();
    m_live(5 * SECOND);
    assert_int_equal(w.starts, 0);
    w.view.is_process = true;
    m_be_primary(7);
    m_live(2 * SECOND);
    assert_true(agt_mongodb_is_primary(&w.a, w.now));
    assert_true(m_report()->is_adopted);
    w.order.record.mongodb.policy.gray = MSG_MONGODB_GRAY_KILL;
    w.order.mongodb.is_majority_elsewhere = true;
    w.view.mongodb.canary_since = w.now;
    m_live(90 * SECOND);
    assert_int_equal(w.ask.kind, DB_ORDER_MONGODB_STEP_DOWN); /* that is said to any */
    assert_int_equal(w.kills + w.terms + w.starts, 0);
    w.order.mongodb.goal = MSG_MONGODB_GOAL_BAR;
    w.order.record.mongodb.barred_epoch = 1;
    m_order_comes();
    m_live(5 * SECOND);
    assert_int_equal(m_report()->barred_epoch, 1);
    assert_non_null(strstr(w.report.note.text, "run by somebody else"));
    assert_null(strstr(w.log, "starts mongod"));
    assert_null(strstr(w.log, "stops mongod"));
    m_feed((struct agt_event){.kind = AGT_EVENT_SHUTDOWN});
    assert_true(agt_is_finished(&w.a, w.now));
    assert_int_equal(w.kills + w.terms, 0);
}

/* --- what keeps a member down --- */

static void bar(void)
{
    w.order.mongodb.goal = MSG_MONGODB_GOAL_BAR;
    w.order.record.epoch = 2;
    w.order.record.mongodb.barred_epoch = 2;
    m_order_comes();
}

static void test_barred_is_stored_stopped_and_stays_down(void **state)
{
    (void)state;
    m_begin_secondary();
    w.is_disk_slow = true;
    bar();
    assert_int_equal(w.asks, 0); /* its epoch first */
    m_saved();
    assert_int_equal(w.asks, 0); /* then the bar itself */
    w.is_disk_slow = false;
    m_saved();
    m_look();
    assert_int_equal(w.ask.kind, DB_ORDER_MONGODB_SHUTDOWN);
    m_done(0, 0);
    m_root_ends();
    m_look();
    assert_int_equal(m_report()->state, MSG_MONGODB_HELD);
    assert_int_equal(m_report()->barred_epoch, 2);
    w.is_arbiter_silent = true;
    m_agent_restarts();
    m_live(5 * SECOND);
    w.order.mongodb.goal = MSG_MONGODB_GOAL_RUN; /* whatever is wished */
    w.order.record.epoch = 3;
    m_order_comes();
    m_live(5 * SECOND);
    assert_int_equal(w.starts, 0);
    w.view.has_directory = false; /* wiped by hand */
    m_look();
    m_order_comes();
    assert_int_equal(m_report()->barred_epoch, 0);
    assert_true(w.starts > 0);
}

static void gray_with_opt_in(enum msg_mongodb_gray policy, bool is_elsewhere)
{
    m_begin_primary();
    w.order.record.mongodb.policy.gray = policy;
    w.order.mongodb.is_majority_elsewhere = is_elsewhere;
    m_order_comes();
    w.view.mongodb.canary_since = w.now;
    w.view.mongodb.canary_misses = 1;
}

/* Both steps down fail or hang. */
static void climb(void)
{
    m_live(6 * SECOND + 500 * MS);
    assert_int_equal(w.ask.kind, DB_ORDER_MONGODB_STEP_DOWN);
    assert_false(w.ask.mongodb.is_forced);
    assert_int_equal(w.ask.epoch, 0);
    m_done(BASE_E_TIMEOUT, 262);
    m_look();
    assert_int_equal(w.ask.kind, DB_ORDER_MONGODB_STEP_DOWN);
    assert_true(w.ask.mongodb.is_forced);
    assert_int_equal(w.kills, 0);
    m_live(6 * SECOND); /* hangs: a stuck disk never gives the lock */
}

static void test_gray_climbs_the_ladder_and_stays_down(void **state)
{
    (void)state;
    gray_with_opt_in(MSG_MONGODB_GRAY_KILL, true);
    climb();
    assert_true(w.kills > 0);
    assert_true(w.a.disk.mongodb.is_held); /* before it was ended */
    m_root_ends();
    m_done(BASE_E_TIMEOUT, 0);
    m_live(5 * SECOND);
    assert_int_equal(m_report()->state, MSG_MONGODB_HELD);
    m_agent_restarts();
    m_live(5 * SECOND);
    assert_int_equal(w.starts, 0);
    m_order(MSG_MONGODB_ORDER_RESTART);
    m_order_send();
    m_live(2 * SECOND);
    assert_true(w.starts > 0);
    assert_false(w.a.disk.mongodb.is_held);
}

static void test_each_step_of_the_ladder_is_asked_for_once(void **state)
{
    (void)state;
    gray_with_opt_in(MSG_MONGODB_GRAY_STEPDOWN, true);
    m_live(6 * SECOND + 500 * MS);
    assert_int_equal(w.asks, 1);
    m_done(BASE_E_TIMEOUT, 262);
    m_pass(500 * MS);
    m_tick();
    assert_int_equal(w.asks, 1); /* it may have stepped down: looked at first */
    m_look();
    assert_int_equal(w.asks, 2);
    assert_true(w.ask.mongodb.is_forced);
    m_done(BASE_E_TIMEOUT, 262);
    m_live(20 * SECOND);
    assert_int_equal(w.asks, 2);
}

static void test_that_it_stays_down_is_on_disk_before_it_is_ended(void **state)
{
    (void)state;
    gray_with_opt_in(MSG_MONGODB_GRAY_KILL, true);
    m_live(6 * SECOND + 500 * MS);
    m_done(BASE_E_TIMEOUT, 262);
    m_look();
    w.is_disk_slow = true;
    m_live(6 * SECOND);
    assert_int_equal(w.kills, 0);
    m_saved();
    m_look();
    assert_true(w.kills > 0);
}

static void test_gray_without_opt_in_is_told_alone(void **state)
{
    (void)state;
    gray_with_opt_in(MSG_MONGODB_GRAY_REPORT, true);
    m_live(60 * SECOND);
    assert_int_equal(w.asks + w.kills + w.terms, 0);
    assert_int_equal(m_report()->state, MSG_MONGODB_GRAY);
    assert_true(m_report()->canary_ms >= 59000);
    assert_non_null(strstr(w.log, "gray: report"));
}

static void test_gray_without_opt_in_an_order_is_carried_out(void **state)
{
    (void)state;
    gray_with_opt_in(MSG_MONGODB_GRAY_REPORT, true);
    m_live(10 * SECOND);
    assert_int_equal(m_report()->state, MSG_MONGODB_GRAY);
    m_order(MSG_MONGODB_ORDER_CONCERN);
    m_order_send();
    assert_int_equal(w.ask.kind, DB_ORDER_MONGODB_CONCERN);
}

static void test_gray_with_the_lesser_opt_in_is_not_killed(void **state)
{
    (void)state;
    gray_with_opt_in(MSG_MONGODB_GRAY_STEPDOWN, true);
    climb();
    m_live(20 * SECOND);
    assert_int_equal(w.kills, 0);
}

static void test_gray_is_not_killed_without_the_others(void **state)
{
    (void)state;
    gray_with_opt_in(MSG_MONGODB_GRAY_KILL, false);
    m_live(7 * SECOND);
    m_done(BASE_E_TIMEOUT, 262);
    m_live(20 * SECOND);
    assert_int_equal(w.asks, 1); /* not even forced */
    assert_int_equal(w.kills, 0);
    m_begin(); /* and not on a word that is older than 5 s */
    gray_with_opt_in(MSG_MONGODB_GRAY_KILL, true);
    w.is_arbiter_silent = true;
    m_live(60 * SECOND);
    assert_int_equal(w.kills, 0);
}

static void test_a_canary_that_comes_through_ends_the_ladder(void **state)
{
    (void)state;
    gray_with_opt_in(MSG_MONGODB_GRAY_KILL, true);
    m_live(6 * SECOND + 500 * MS);
    m_done(BASE_E_TIMEOUT, 262);
    w.view.mongodb.canary_since = BASE_MONO_NEVER;
    w.view.mongodb.canary_misses = 0;
    m_live(30 * SECOND);
    assert_int_equal(w.kills, 0);
    assert_int_equal(w.asks, 1);
    assert_int_equal(m_report()->state, MSG_MONGODB_PRIMARY);
}

static void test_the_arbiters_order_goes_before_the_ladder(void **state)
{
    (void)state;
    gray_with_opt_in(MSG_MONGODB_GRAY_KILL, true);
    m_live(6 * SECOND + 500 * MS);
    assert_int_equal(w.ask.epoch, 0);
    m_done(BASE_E_TIMEOUT, 262);
    m_order(MSG_MONGODB_ORDER_STEP_DOWN);
    m_order_send();
    assert_int_equal(w.ask.kind, DB_ORDER_MONGODB_STEP_DOWN);
    assert_int_equal(w.ask.epoch, w.order.record.epoch);
    m_live(10 * SECOND);
    assert_int_equal(w.kills, 0);
    m_done(BASE_E_TIMEOUT, 0);
    m_live(SECOND);
    assert_int_equal(m_report()->order_status, BASE_E_TIMEOUT);
    m_live(2 * SECOND);
    assert_int_equal(w.ask.epoch, 0); /* from the beginning */
    assert_false(w.ask.mongodb.is_forced);
}

static void test_a_gray_one_that_is_barred_is_stopped(void **state)
{
    (void)state;
    gray_with_opt_in(MSG_MONGODB_GRAY_STEPDOWN, true);
    m_live(7 * SECOND);
    m_done(BASE_E_TIMEOUT, 262);
    bar();
    m_live(SECOND);
    assert_int_equal(w.ask.kind, DB_ORDER_MONGODB_SHUTDOWN);
}

/* --- cut off --- */

static void cut_off_with(enum msg_mongodb_cut_off policy)
{
    m_begin_primary();
    w.order.record.mongodb.policy.cut_off = policy;
    m_order_comes();
    w.view.mongodb.status.peers[1].is_healthy = false;
    w.view.mongodb.status.peers[2].heard_ms = 9000; /* healthy still, and silent */
    w.is_arbiter_silent = true;
}

static void test_cut_off_is_reported(void **state)
{
    (void)state;
    cut_off_with(MSG_MONGODB_CUT_OFF_REPORT);
    m_live(30 * SECOND);
    assert_int_equal(w.asks + w.kills, 0);
    assert_non_null(strstr(w.log, "cut off"));
    assert_int_equal(m_report()->live_voters, 1);
}

static void test_cut_off_without_the_opt_in_an_order_ends_in_its_time(void **state)
{
    (void)state;
    cut_off_with(MSG_MONGODB_CUT_OFF_REPORT);
    m_order(MSG_MONGODB_ORDER_CONCERN);
    m_order_send();
    assert_int_equal(w.ask.kind, DB_ORDER_MONGODB_CONCERN);
    m_done(0, 0);
    m_live(21 * SECOND);
    assert_non_null(strstr(w.log, "cut off"));
    assert_true(m_report()->is_order_done);
    assert_int_equal(m_report()->order_status, BASE_E_TIMEOUT);
}

static void test_cut_off_steps_down_with_the_opt_in(void **state)
{
    (void)state;
    cut_off_with(MSG_MONGODB_CUT_OFF_STEPDOWN);
    m_live(5 * SECOND);
    assert_int_equal(w.asks, 0); /* the arbiter was heard less than 5 s ago, and three samples */
    m_live(3 * SECOND);
    assert_int_equal(w.ask.kind, DB_ORDER_MONGODB_STEP_DOWN);
    assert_true(w.ask.mongodb.is_forced);
    assert_int_equal(w.ask.mongodb.seconds, 30);
    m_live(60 * SECOND);
    assert_int_equal(w.kills, 0);
}

static void test_cut_off_from_the_set_alone_is_mongodbs(void **state)
{
    (void)state;
    cut_off_with(MSG_MONGODB_CUT_OFF_KILL);
    w.is_arbiter_silent = false;
    m_live(60 * SECOND);
    assert_int_equal(w.asks + w.kills, 0);
}

static void test_cut_off_is_killed_and_comes_back_with_the_arbiter(void **state)
{
    (void)state;
    cut_off_with(MSG_MONGODB_CUT_OFF_KILL);
    m_live(8 * SECOND);
    assert_int_equal(w.kills, 0);
    m_live(6 * SECOND);
    assert_true(w.kills > 0);
    m_root_ends();
    m_done(BASE_E_TIMEOUT, 0);
    m_live(20 * SECOND);
    assert_int_equal(w.starts, 0);
    assert_int_equal(m_report()->state, MSG_MONGODB_HELD);
    w.is_arbiter_silent = false;
    m_live(2 * SECOND);
    assert_true(w.starts > 0);
}

static void test_a_gray_one_that_is_cut_off_is_not_asked_politely(void **state)
{
    (void)state;
    gray_with_opt_in(MSG_MONGODB_GRAY_STEPDOWN, false);
    w.order.record.mongodb.policy.cut_off = MSG_MONGODB_CUT_OFF_STEPDOWN;
    m_order_comes();
    m_live(6 * SECOND + 500 * MS);
    m_done(BASE_E_TIMEOUT, 262);
    m_look();
    assert_int_equal(w.asks, 1); /* by half a minute's rest */
    w.view.mongodb.status.peers[1].is_healthy = w.view.mongodb.status.peers[2].is_healthy = false;
    w.is_arbiter_silent = true;
    m_live(9 * SECOND);
    assert_int_equal(w.asks, 2);
    assert_true(w.ask.mongodb.is_forced);
    assert_non_null(strstr(w.log, "does not come through"));
    assert_non_null(strstr(w.log, "cut off from the majority"));
}

static void test_of_no_record_no_opt_in_counts(void **state)
{
    (void)state;
    cut_off_with(MSG_MONGODB_CUT_OFF_KILL);
    m_agent_restarts(); /* and no word since */
    m_live(60 * SECOND);
    w.view.mongodb.canary_since = w.now;
    m_live(60 * SECOND);
    assert_int_equal(w.asks + w.kills, 0);
}

static void test_what_was_seen_before_the_host_stood_still_is_void(void **state)
{
    (void)state;
    cut_off_with(MSG_MONGODB_CUT_OFF_STEPDOWN);
    m_live(5 * SECOND);
    m_pass(60 * SECOND); /* frozen: the samples, and what hello said, are of before */
    m_tick();
    assert_false(agt_mongodb_is_primary(&w.a, w.now));
    assert_int_equal(m_report()->hello_age_ms, UINT32_MAX);
    assert_false(m_report()->is_writable);
    m_look();
    m_tick();
    assert_int_equal(w.asks, 0); /* one sample since */
    m_live(3 * SECOND);
    assert_int_equal(w.asks, 1);
}

/* --- health checks and reports --- */

static void test_primary_needs_a_fresh_hello(void **state)
{
    (void)state;
    m_begin_primary();
    assert_true(agt_mongodb_is_primary(&w.a, w.now));
    struct base_mono asked = w.now;
    for (int i = 0; i < 11; i++) {
        m_pass(250 * MS);
        m_tick();
    }
    assert_true(base_mono_diff_us(w.now, asked) < 3 * SECOND);
    assert_true(agt_mongodb_is_primary(&w.a, w.now));
    m_pass(250 * MS);
    m_tick();
    assert_false(agt_mongodb_is_primary(&w.a, w.now));
    m_look();
    assert_true(agt_mongodb_is_primary(&w.a, w.now));
    /* At the very moment after a pause of the host, before any step: a second voids nothing. */
    assert_true(agt_mongodb_is_primary(&w.a, base_mono_add_us(w.now, SECOND)));
    assert_false(agt_mongodb_is_primary(&w.a, base_mono_add_us(w.now, 1100 * MS)));
}

static void test_primary_of_a_term_left_behind_is_none(void **state)
{
    (void)state;
    m_begin_primary();
    w.order.record.mongodb.primary_term = 8;
    m_order_comes();
    assert_false(agt_mongodb_is_primary(&w.a, w.now));
    w.order.record.mongodb.set_id[0] = 99; /* of another set */
    m_order_comes();
    assert_true(agt_mongodb_is_primary(&w.a, w.now));
    w.view.mongodb.status.term = 9; /* its own status knows it */
    m_look();
    assert_false(agt_mongodb_is_primary(&w.a, w.now));
    w.view.mongodb.status.term = 7; /* a member whose term goes back */
    m_look();
    assert_false(agt_mongodb_is_primary(&w.a, w.now));
}

/* Which set it is in was not read yet: what is known of the only one it could be in counts. */
static void test_primary_of_an_unread_set_is_none_when_left_behind(void **state)
{
    (void)state;
    m_begin_primary();
    memset(w.view.mongodb.config.set_id, 0, sizeof(w.view.mongodb.config.set_id));
    m_look();
    assert_true(agt_mongodb_is_primary(&w.a, w.now));
    w.order.record.mongodb.primary_term = 8;
    m_order_comes();
    assert_false(agt_mongodb_is_primary(&w.a, w.now));
}

/* Nobody's guard tells when a watched server was started anew: its own word for its process does.
 * Only then may its term go back. */
static void test_a_watched_primary_of_a_term_left_behind_is_none(void **state)
{
    (void)state;
    static const struct agt_disk nothing;
    m_begin_with(&nothing, true);
    w.view.is_process = true;
    m_be_primary(7);
    w.view.mongodb.hello.process_id[0] = 1;
    m_live(2 * SECOND);
    assert_true(agt_mongodb_is_primary(&w.a, w.now));
    w.view.mongodb.status.term = 9;
    m_look();
    assert_false(agt_mongodb_is_primary(&w.a, w.now));
    w.view.mongodb.status.term = 7;
    m_live(2 * SECOND);
    assert_false(agt_mongodb_is_primary(&w.a, w.now));
    w.view.mongodb.hello.process_id[0] = 2;
    m_look();
    assert_true(agt_mongodb_is_primary(&w.a, w.now));
}

static void test_an_arbiter_is_told_from_the_others(void **state)
{
    (void)state;
    m_begin_secondary();
    assert_false(agt_mongodb_is_arbiter(&w.a, w.now));
    assert_false(m_report()->is_arbiter);
    w.view.mongodb.hello.is_secondary = false;
    w.view.mongodb.hello.is_arbiter = true; /* though its file does not say so */
    m_look();
    assert_true(agt_mongodb_is_arbiter(&w.a, w.now));
    assert_true(m_report()->is_arbiter);
    for (int i = 0; i < 12; i++) {
        m_pass(250 * MS);
        m_tick();
    }
    assert_int_equal(m_report()->state, MSG_MONGODB_ARBITER);
    assert_false(agt_mongodb_is_arbiter(&w.a, w.now)); /* on the word of three seconds ago */
}

static void test_of_no_position_no_lag_is_known(void **state)
{
    (void)state;
    m_begin_secondary();
    assert_int_equal(m_report()->lag_ms, 0);
    w.view.mongodb.hello.applied.ts = w.view.mongodb.status.applied.ts = 0;
    m_look();
    assert_int_equal(m_report()->lag_ms, UINT32_MAX);
    assert_int_equal(m_report()->state, MSG_MONGODB_SECONDARY);
    assert_false(agt_mongodb_is_secondary(&w.a, w.now, 1000));
    m_begin_secondary();
    w.view.mongodb.status.peers[1].optime.ts = 0; /* of the primary */
    m_look();
    assert_int_equal(m_report()->lag_ms, UINT32_MAX);
    assert_false(agt_mongodb_is_secondary(&w.a, w.now, 1000));
    m_begin_secondary();
    w.view.mongodb.status.peers[1].state = 2; /* nobody is primary */
    m_look();
    assert_int_equal(m_report()->lag_ms, UINT32_MAX);
    assert_false(agt_mongodb_is_secondary(&w.a, w.now, 1000));
}

/* Of hello and status one is the newer; a later term goes before any time. */
static void test_the_later_position_is_told(void **state)
{
    (void)state;
    struct db_mongodb_view *v = &w.view.mongodb;
    m_begin_secondary();
    v->hello.applied = v->hello.committed = (struct msg_mongodb_optime){7, 500};
    v->status.applied = v->status.committed = (struct msg_mongodb_optime){7, 501};
    m_look();
    assert_int_equal(m_report()->applied.ts, 501);
    assert_int_equal(m_report()->committed.ts, 501);
    v->hello.applied = v->hello.committed = (struct msg_mongodb_optime){8, 400};
    m_look();
    assert_int_equal(m_report()->applied.ts, 400);
    assert_int_equal(m_report()->committed.term, 8);
    v->status.applied = v->status.committed = (struct msg_mongodb_optime){9, 300};
    m_look();
    assert_int_equal(m_report()->applied.term, 9);
    assert_int_equal(m_report()->committed.ts, 300);
}

/* What it thinks of the others goes with its status, and is gone with it. */
static void test_the_others_are_told_as_its_status_has_them(void **state)
{
    (void)state;
    m_begin_primary();
    w.view.mongodb.status.peers[2].is_healthy = false;
    m_look();
    m_pass(200 * MS);
    m_tick();
    const struct msg_mongodb_report *r = m_report();
    assert_int_equal(r->peers_count, 3);
    assert_true(r->peers[0].is_self && r->peers[1].is_healthy && !r->peers[2].is_healthy);
    assert_int_equal(r->peers[1].heard_ms, 700);
    m_pass(60 * SECOND); /* the host stood still */
    m_tick();
    r = m_report();
    assert_int_equal(r->peers_count, 3);
    assert_false(r->peers[1].is_healthy);
    assert_int_equal(r->peers[1].heard_ms, UINT32_MAX);
}

static void test_states_by_hello_first(void **state)
{
    (void)state;
    struct db_mongodb_view *v = &w.view.mongodb;
    m_begin_secondary();
    assert_true(agt_mongodb_is_secondary(&w.a, w.now, 0));
    v->status.peers[1].optime.ts = UINT64_C(512) << 32;
    m_look();
    assert_int_equal(m_report()->state, MSG_MONGODB_LAGGING);
    assert_int_equal(m_report()->lag_ms, 11000);
    assert_false(agt_mongodb_is_secondary(&w.a, w.now, 10999));
    v->hello.is_secondary = false;
    static const struct {
        uint8_t number;
        enum msg_mongodb_state state;
    } by_number[] = {{0, MSG_MONGODB_STARTING},     {1, MSG_MONGODB_DRAINING},
                     {3, MSG_MONGODB_RECOVERING},   {5, MSG_MONGODB_SYNCING},
                     {9, MSG_MONGODB_ROLLING_BACK}, {10, MSG_MONGODB_ABSENT}};
    for (size_t i = 0; i < BASE_COUNT_OF(by_number); i++) {
        v->status.state = by_number[i].number;
        m_look();
        assert_int_equal(m_report()->state, by_number[i].state);
    }
    v->status.state = 3;
    v->status.is_maintenance = true;
    m_look();
    assert_int_equal(m_report()->state, MSG_MONGODB_MAINTENANCE);
    v->status.is_too_stale = true;
    m_look();
    assert_int_equal(m_report()->state, MSG_MONGODB_STALE);
    v->misses = 3;
    w.view.is_answering = false;
    m_look();
    assert_int_equal(m_report()->state, MSG_MONGODB_HUNG);
}

static void test_a_rollback_is_told_once(void **state)
{
    (void)state;
    struct db_mongodb_view *v = &w.view.mongodb;
    m_begin_secondary();
    assert_int_equal(m_report()->rollbacks, 0);
    v->hello.is_secondary = false;
    v->status.state = 9;
    m_live(3 * SECOND);
    assert_int_equal(m_report()->rollbacks, 1);
    v->hello.is_secondary = true;
    v->status.state = 2;
    v->rollback_files = 3;
    m_live(3 * SECOND);
    assert_int_equal(m_report()->rollbacks, 1);
    v->rollback_files = 5; /* one that nobody saw happen */
    m_live(3 * SECOND);
    assert_int_equal(m_report()->rollbacks, 2);
    m_agent_restarts();
    m_live(3 * SECOND);
    assert_int_equal(m_report()->rollbacks, 2);
}

static void test_a_claim_is_of_the_term_that_it_was_made_in(void **state)
{
    (void)state;
    struct db_mongodb_view *v = &w.view.mongodb;
    m_begin_primary();
    v->status.term = 8; /* looked at later */
    m_live(SECOND);
    assert_true(m_report()->is_writable);
    assert_int_equal(m_report()->term, 7);
    m_begin_secondary();
    v->hello.term = 6; /* claims nothing: the highest that is known */
    v->status.term = 8;
    m_live(SECOND);
    assert_int_equal(m_report()->term, 8);
}

static void test_how_old_the_majority_point_is(void **state)
{
    (void)state;
    struct db_mongodb_view *v = &w.view.mongodb;
    static const struct {
        int64_t applied_ms, committed_ms;
        uint32_t age_ms;
    } rows[] = {{5001, 5000, 1}, {9000, 5000, 4000}, {5000, 5001, 0}, {5000, 0, 0}};
    m_begin_primary();
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        v->hello.applied_ms = rows[i].applied_ms;
        v->hello.committed_ms = rows[i].committed_ms;
        m_live(SECOND);
        assert_int_equal(m_report()->commit_age_ms, rows[i].age_ms);
    }
}

static void test_started_once_is_no_data(void **state)
{
    (void)state;
    m_begin();
    w.order.mongodb.goal = MSG_MONGODB_GOAL_RUN;
    m_root_runs();
    w.view.is_answering = true;
    w.view.has_directory = true;
    m_live(SECOND);
    assert_int_equal(m_report()->state, MSG_MONGODB_ABSENT);
    assert_false(m_report()->has_data);
    w.view.mongodb.has_databases = true;
    m_look();
    assert_true(m_report()->has_data);
}

static void test_held_is_what_is_kept_down_and_is_down(void **state)
{
    (void)state;
    m_begin();
    m_look();
    assert_int_equal(m_report()->state, MSG_MONGODB_DOWN); /* nothing is there yet */
    w.view.has_directory = true;
    m_look();
    assert_int_equal(m_report()->state, MSG_MONGODB_DOWN);
    m_begin_secondary();
    bar();
    assert_int_equal(m_report()->barred_epoch, 2);
    assert_int_equal(m_report()->state, MSG_MONGODB_SECONDARY);
}

/* Fifty days are more milliseconds than there is room for. */
static void test_what_is_very_old_is_never_told_as_new(void **state)
{
    (void)state;
    m_begin_secondary();
    m_pass(INT64_C(50) * 24 * 3600 * SECOND);
    assert_int_equal(m_report()->hello_age_ms, UINT32_MAX - 1);
    assert_int_equal(m_report()->status_age_ms, UINT32_MAX - 1);
}

static void test_durable_state_comes_back(void **state)
{
    (void)state;
    uint8_t memory[AGT_DISK_BYTES_MAX];
    struct agt_disk in = {.epoch_seen = 4};
    struct agt_disk out = {0};
    in.mongodb = (struct agt_mongodb_disk){.order_epoch = 4,
                                           .order_phase = 3,
                                           .order_instance = UINT64_MAX,
                                           .order_starts = 2,
                                           .is_wiped = true,
                                           .done_epoch = 4,
                                           .done_phase = 2,
                                           .done_status = BASE_E_CONFLICT,
                                           .done_code = 103,
                                           .barred_epoch = 3,
                                           .is_held = true,
                                           .rollbacks = 2,
                                           .rollback_files = 7};
    struct buf b = buf_over(memory, sizeof(memory));
    assert_int_equal(agt_disk_encode(&in, &b), 0);
    assert_int_equal(agt_disk_decode(buf_slice(&b), &out), 0);
    assert_true(agt_disk_equal(&in, &out));
    out.mongodb.is_held = false;
    assert_false(agt_disk_equal(&in, &out));
    struct slice cut = buf_slice(&b);
    cut.len--;
    assert_int_equal(agt_disk_decode(cut, &out), BASE_E_CORRUPT);
}

static void test_each_durable_fact_comes_back_for_itself(void **state)
{
    (void)state;
    for (unsigned set = 0; set < 8; set++) {
        uint8_t memory[AGT_DISK_BYTES_MAX];
        struct buf b = buf_over(memory, sizeof(memory));
        struct agt_disk out = {0};
        struct agt_disk in = {.mongodb = {.rollbacks = 1,
                                          .is_wiped = (set & 1) != 0,
                                          .is_held = (set & 2) != 0,
                                          .is_rollback_known = (set & 4) != 0}};
        assert_int_equal(agt_disk_encode(&in, &b), 0);
        assert_int_equal(agt_disk_decode(buf_slice(&b), &out), 0);
        assert_true(agt_disk_equal(&in, &out));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_total),
        cmocka_unit_test(test_nothing_is_started_before_the_arbiter_has_spoken),
        cmocka_unit_test(test_it_is_started_when_the_arbiter_wants_it_run),
        cmocka_unit_test(test_what_ends_by_itself_is_started_with_patience),
        cmocka_unit_test(test_lost_control_plane_alone_does_nothing),
        cmocka_unit_test(test_agent_stops_it_in_order),
        cmocka_unit_test(test_pause_leaves_everything),
        cmocka_unit_test(test_watched_is_nobodys_to_start_or_end),
        cmocka_unit_test(test_barred_is_stored_stopped_and_stays_down),
        cmocka_unit_test(test_gray_climbs_the_ladder_and_stays_down),
        cmocka_unit_test(test_each_step_of_the_ladder_is_asked_for_once),
        cmocka_unit_test(test_that_it_stays_down_is_on_disk_before_it_is_ended),
        cmocka_unit_test(test_gray_without_opt_in_is_told_alone),
        cmocka_unit_test(test_gray_without_opt_in_an_order_is_carried_out),
        cmocka_unit_test(test_gray_with_the_lesser_opt_in_is_not_killed),
        cmocka_unit_test(test_gray_is_not_killed_without_the_others),
        cmocka_unit_test(test_a_canary_that_comes_through_ends_the_ladder),
        cmocka_unit_test(test_the_arbiters_order_goes_before_the_ladder),
        cmocka_unit_test(test_a_gray_one_that_is_barred_is_stopped),
        cmocka_unit_test(test_cut_off_is_reported),
        cmocka_unit_test(test_cut_off_without_the_opt_in_an_order_ends_in_its_time),
        cmocka_unit_test(test_cut_off_steps_down_with_the_opt_in),
        cmocka_unit_test(test_cut_off_from_the_set_alone_is_mongodbs),
        cmocka_unit_test(test_cut_off_is_killed_and_comes_back_with_the_arbiter),
        cmocka_unit_test(test_a_gray_one_that_is_cut_off_is_not_asked_politely),
        cmocka_unit_test(test_of_no_record_no_opt_in_counts),
        cmocka_unit_test(test_what_was_seen_before_the_host_stood_still_is_void),
        cmocka_unit_test(test_primary_needs_a_fresh_hello),
        cmocka_unit_test(test_primary_of_a_term_left_behind_is_none),
        cmocka_unit_test(test_primary_of_an_unread_set_is_none_when_left_behind),
        cmocka_unit_test(test_a_watched_primary_of_a_term_left_behind_is_none),
        cmocka_unit_test(test_an_arbiter_is_told_from_the_others),
        cmocka_unit_test(test_of_no_position_no_lag_is_known),
        cmocka_unit_test(test_the_later_position_is_told),
        cmocka_unit_test(test_the_others_are_told_as_its_status_has_them),
        cmocka_unit_test(test_states_by_hello_first),
        cmocka_unit_test(test_a_rollback_is_told_once),
        cmocka_unit_test(test_a_claim_is_of_the_term_that_it_was_made_in),
        cmocka_unit_test(test_how_old_the_majority_point_is),
        cmocka_unit_test(test_started_once_is_no_data),
        cmocka_unit_test(test_held_is_what_is_kept_down_and_is_down),
        cmocka_unit_test(test_what_is_very_old_is_never_told_as_new),
        cmocka_unit_test(test_durable_state_comes_back),
        cmocka_unit_test(test_each_durable_fact_comes_back_for_itself),
    };
    (void)base_canary_select(getenv("QUORATE_CANARY"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
