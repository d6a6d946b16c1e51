/* SPDX-License-Identifier: Apache-2.0 */
/* The arbiter's core with Galera clusters: who joins, who gives, whose turn it is. Each test is
 * named after what it holds fast; the planted bugs must turn the same scenes wrong. */
#include "tests/unit/galera_scene.h"

#include <string.h>

/* --- turns --- */

static void test_one_member_joins_at_a_time(void **state)
{
    (void)state;
    gal_is_synced(1, 8, 2u);
    gal_is_down(2, 100);
    gal_is_down(3, 100);
    gal_pass(2 * S);
    assert_int_equal((gal_goal(2) == MSG_GALERA_GOAL_JOIN) + (gal_goal(3) == MSG_GALERA_GOAL_JOIN),
                     1);
    assert_int_equal((gal_goal(2) == MSG_GALERA_GOAL_WAIT) + (gal_goal(3) == MSG_GALERA_GOAL_WAIT),
                     1);
    gal_pass(62 * S); /* it does not start: the other one has its turn */
    assert_int_equal(gal_goal(3), MSG_GALERA_GOAL_JOIN);
    assert_int_equal(gal_goal(2), MSG_GALERA_GOAL_WAIT);
}

/* Its server is ending: what it will be found as is not known yet. */
static void test_who_is_ending_has_no_turn(void **state)
{
    (void)state;
    gal_two_are_synced();
    gal_is_down(3, 100);
    gal_nodes[3].report.galera.state = MSG_GALERA_UNKNOWN;
    gal_pass(2 * S);
    assert_int_equal(gal_goal(3), MSG_GALERA_GOAL_KEEP);
    assert_string_equal(gal_record()->sst_joiner.text, "");
    gal_is_down(3, 100);
    gal_pass(2 * S);
    assert_string_equal(gal_record()->sst_joiner.text, "gn3");
    assert_int_equal(gal_goal(3), MSG_GALERA_GOAL_JOIN);
}

#define GB (UINT64_C(1) << 30)

static void test_nobody_joins_without_the_space_for_it(void **state)
{
    (void)state;
    gal_two_are_synced();
    gal_nodes[1].report.galera.data_bytes = 10 * GB;
    gal_nodes[2].report.galera.data_bytes = 11 * GB;
    gal_nodes[3].report.galera.data_bytes = GB;
    gal_nodes[3].report.disk_free_bytes = 9 * GB;
    memset(gal_nodes[3].report.galera.position.uuid, 0, 16); /* only everything would do */
    gal_all();
    gal_is_down(3, -1);
    gal_nodes[3].report.galera.state = MSG_GALERA_NEEDS_SST;
    gal_pass(2 * S);
    assert_int_equal(gal_goal(3), MSG_GALERA_GOAL_WAIT);
    assert_true(gal_is_waiting_for(ARB_NOTE_GALERA_NO_SPACE));
    gal_nodes[3].report.disk_free_bytes = 10 * GB; /* and its own makes way */
    gal_pass(S);
    assert_string_equal(gal_record()->sst_joiner.text, "gn3");
}

static void needs_everything(unsigned member)
{
    memset(gal_nodes[member].report.galera.position.uuid, 0, 16);
    gal_all();
    gal_is_down(member, -1);
    gal_nodes[member].report.galera.state = MSG_GALERA_NEEDS_SST;
}

static void the_last_reader_is_kept(void)
{
    struct msg_record next = w.c.record;
    next.revision++;
    next.galera.is_reader_kept = true;
    load(next);
    gal_two_are_synced();
}

static void test_the_last_reader_gives_only_by_a_person_s_word(void **state)
{
    (void)state;
    the_last_reader_is_kept();
    needs_everything(3);
    gal_pass(2 * S);
    assert_int_equal(gal_goal(3), MSG_GALERA_GOAL_WAIT);
    assert_true(gal_is_waiting_for(ARB_NOTE_GALERA_KEEPS_READER));
    gal_order_task(MSG_TASK_REINIT, "gn3");
    gal_pass(S);
    assert_string_equal(gal_record()->sst_joiner.text, "gn3");
}

static void test_the_last_reader_gives_what_is_lacking(void **state)
{
    (void)state;
    the_last_reader_is_kept();
    gal_is_down(3, 100);
    gal_pass(2 * S);
    assert_int_equal(gal_goal(3), MSG_GALERA_GOAL_JOIN);
}

/* Its server finds the data damaged: it is not asked again where they came from. */
static void test_data_that_cannot_be_read_are_made_anew(void **state)
{
    (void)state;
    gal_two_are_synced();
    gal_is_down(3, -1);
    gal_nodes[3].report.galera.is_unreadable = true;
    gal_pass(2 * S);
    assert_string_equal(gal_record()->sst_joiner.text, "gn3");
    assert_int_equal(gal_goal(3), MSG_GALERA_GOAL_REJOIN);
}

/* It may have a prefix of what is in force: that is joined with, all else is cloned. */
static void test_who_has_another_stamp_tells_its_position_before_it_joins(void **state)
{
    static const struct {
        int64_t seqno;
        bool is_unreadable;
        enum msg_galera_goal goal;
    } rows[] = {{50, false, MSG_GALERA_GOAL_JOIN},
                {51, false, MSG_GALERA_GOAL_REJOIN},
                {-1, true, MSG_GALERA_GOAL_REJOIN}};
    (void)state;
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        assert_int_equal(gal_setup(NULL), 0);
        gal_two_go_on_in_generation_2();
        gal_is_down(3, -1);
        gal_nodes[3].report.galera.view.conf_id = 0;
        gal_pass(2 * S);
        assert_string_equal(gal_record()->sst_joiner.text, "gn3");
        assert_int_equal(gal_goal(3), MSG_GALERA_GOAL_INHIBIT);
        gal_is_down(3, rows[i].seqno);
        gal_nodes[3].report.galera.is_unreadable = rows[i].is_unreadable;
        gal_all();
        assert_int_equal(gal_goal(3), rows[i].goal);
    }
}

/* No component is there: somebody's commits may be in it, and a person has to say so. */
static void test_damage_does_not_let_a_recovery_pass(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 3; n++) {
        gal_is_down(n, n == 3 ? -1 : 100);
    }
    gal_nodes[3].report.galera.is_unreadable = true;
    gal_pass(17 * S);
    gal_obey_all();
    gal_pass(60 * S);
    assert_int_equal(gal_record()->grant.generation, 1);
    assert_true(gal_is_waiting_for(ARB_NOTE_GALERA_DAMAGED));
    struct arb_request r = {.kind = ARB_REQUEST_CONFIRM, .overridden = {1, {name_of("gn3")}}};
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &r});
    gal_pass(3 * S);
    assert_true(gal_is_granted_to("gn1"));
}

static void test_what_is_lacking_needs_no_space(void **state)
{
    (void)state;
    gal_two_are_synced();
    gal_nodes[1].report.galera.data_bytes = 10 * GB;
    gal_nodes[3].report.disk_free_bytes = GB;
    gal_all();
    gal_is_down(3, 100);
    gal_pass(2 * S);
    assert_int_equal(gal_goal(3), MSG_GALERA_GOAL_JOIN);
}

static void test_a_clone_by_order_waits_for_space(void **state)
{
    (void)state;
    gal_nodes[1].report.galera.data_bytes = 10 * GB;
    gal_nodes[3].report.galera.data_bytes = GB;
    gal_nodes[3].report.disk_free_bytes = GB;
    gal_pass(S);
    gal_order_task(MSG_TASK_REINIT, "gn3");
    gal_pass(S);
    assert_true(gal_is_waiting_for(ARB_NOTE_TASK_WAITS));
    assert_int_equal(gal_goal(3), MSG_GALERA_GOAL_JOIN);
}

static void ends_restart(unsigned n)
{
    struct msg_report *r = &gal_nodes[n].report;
    for (uint8_t i = 0; i < w.c.record.tasks_count; i++) {
        const struct msg_task *task = &w.c.record.tasks[i];
        struct base_name name = name_of(gal_name(n));
        if (base_name_equal(&task->member, &name)) {
            r->task_id = task->id;
        }
    }
}

/* --- who gives --- */

/* gn1 writes; gn2 and gn3 could both give: who would write next does not. */
static void test_a_reader_gives_and_the_writer_last(void **state)
{
    (void)state;
    gal_nodes[3].report.galera.recv_queue = 400; /* however far behind it is */
    gal_all();
    gal_order_task(MSG_TASK_REINIT, "gn2");
    gal_pass(S);
    assert_string_equal(gal_record()->sst_joiner.text, "gn2");
    assert_string_equal(gal_record()->sst_donor.text, "gn3");
}

static void test_the_writer_gives_where_nobody_else_can(void **state)
{
    (void)state;
    gal_is_synced(1, 8, 2u);
    gal_is_down(2, 100);
    gal_is_down(3, 100);
    gal_pass(2 * S);
    assert_string_equal(gal_record()->sst_joiner.text, "gn2");
    assert_string_equal(gal_record()->sst_donor.text, "gn1");
    gal_is_synced(1, 9, 6u);
    gal_is_synced(2, 9, 6u);
    gal_pass(2 * S);
    assert_string_equal(gal_record()->sst_joiner.text, "gn3");
    assert_string_equal(gal_record()->sst_donor.text, "gn2");
}

/* gn2 is in the component, and its stamp is of before: where there was a bootstrap since, what it
 * has may be of another history, and it could be the one that gives. */
static void test_nobody_joins_while_one_without_the_stamp_is_in(void **state)
{
    (void)state;
    for (unsigned is_kept = 0; is_kept <= 1; is_kept++) {
        assert_int_equal(gal_setup(NULL), 0);
        gal_two_go_on_in_generation_2();
        struct msg_record next = w.c.record;
        next.revision++;
        next.galera.grant.is_kept = is_kept == 1;
        load(next);
        gal_all();
        gal_nodes[2].report.galera.generation = 1;
        gal_is_down(3, 100);
        gal_pass(3 * S);
        assert_string_equal(gal_record()->sst_joiner.text, is_kept == 1 ? "gn3" : "");
    }
}

/* It runs, and nobody knows yet what it has: a restart would let it join by its number. */
static void test_data_of_another_generation_are_not_restarted(void **state)
{
    (void)state;
    gal_order_task(MSG_TASK_RESTART, "gn3");
    gal_all();
    gal_all();
    assert_int_equal(gal_goal(3), MSG_GALERA_GOAL_RESTART);
    gal_two_go_on_in_generation_2();
    gal_is_nonprim(3);
    gal_nodes[3].report.galera.generation = 1;
    gal_all();
    assert_int_not_equal(gal_goal(3), MSG_GALERA_GOAL_RESTART);
    gal_is_down(3, -1);
    gal_nodes[3].report.galera.generation = 1;
    gal_all();
    assert_int_not_equal(gal_goal(3), MSG_GALERA_GOAL_RESTART);
}

static void test_a_restart_has_its_donor_until_it_ends(void **state)
{
    (void)state;
    gal_order_task(MSG_TASK_RESTART, "gn3");
    gal_all();
    gal_all();
    assert_string_equal(gal_record()->restarting.text, "gn3");
    assert_string_equal(gal_record()->sst_donor.text, "gn2");
    ends_restart(3);
    gal_pass(20 * S);
    assert_string_equal(gal_record()->restarting.text, "");
    assert_string_equal(gal_record()->sst_donor.text, "");
}

static void test_a_rolling_restart_takes_the_writer_last(void **state)
{
    (void)state;
    static const char *const all[] = {"gn2", "gn3", "gn1"};
    for (unsigned n = 0; n < 3; n++) {
        gal_order_task(MSG_TASK_RESTART, all[n]);
        assert_int_equal(w.answer, 0);
    }
    gal_all();
    gal_all();
    assert_int_equal(gal_goal(2), MSG_GALERA_GOAL_RESTART);
    assert_int_equal(gal_goal(3), MSG_GALERA_GOAL_JOIN);
    ends_restart(2);
    gal_nodes[2].report.galera.recv_queue = 400;
    gal_pass(10 * S);
    assert_int_equal(gal_goal(3), MSG_GALERA_GOAL_JOIN); /* it is watched for a while */
    assert_true(gal_is_waiting_for(ARB_NOTE_TASK_WAITS));
    gal_pass(10 * S);
    assert_int_equal(gal_goal(3), MSG_GALERA_GOAL_JOIN); /* and has not caught up */
    gal_nodes[2].report.galera.recv_queue = 3;           /* under writers it is hardly ever empty */
    gal_pass(S);
    gal_nodes[2].report.galera.recv_queue = 0;
    assert_int_equal(gal_goal(3), MSG_GALERA_GOAL_RESTART);
    ends_restart(3);
    gal_pass(20 * S);
    assert_int_equal(w.c.record.state, MSG_RECORD_SWITCHOVER);
    assert_int_equal(w.order[1].goal, MSG_GOAL_HAND_OVER);
    gal_hands_back(1);
    gal_pass(2 * S);
    assert_true(is_holder("gn2"));
    assert_int_equal(gal_goal(1), MSG_GALERA_GOAL_RESTART);
    ends_restart(1);
    gal_pass(2 * S);
    assert_int_equal(w.c.record.tasks_count, 0);
}

/* The entry that the quorum was slow with. */
static void commit(void)
{
    struct msg_record r = w.fx.record;
    run((struct arb_event){.kind = ARB_EVENT_RECORD, .record = &r, .is_own = true});
}

/* The quorum is slow: it is restarted before the leader has looked at it under way. */
static void test_each_one_is_watched_anew(void **state)
{
    (void)state;
    gal_order_task(MSG_TASK_RESTART, "gn2");
    gal_all();
    ends_restart(2);
    gal_pass(30 * S);
    assert_string_equal(gal_record()->restarting.text, "");
    struct arb_request later = {.kind = ARB_REQUEST_TASK};
    later.task = (struct msg_task){
        .kind = MSG_TASK_RESTART, .member = name_of("gn1"), .at_wall_us = w.now.us + 1000 * S};
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &later});
    w.holds_swap = true;
    gal_order_task(MSG_TASK_RESTART, "gn3");
    commit();
    for (unsigned n = 1; n <= 3; n++) {
        gal_is_synced(n, 9, 14u);
    }
    gal_all();
    commit();
    assert_string_equal(gal_record()->restarting.text, "gn3");
    ends_restart(3);
    gal_all();
    commit(); /* the view */
    commit(); /* the end of its order */
    w.holds_swap = false;
    assert_int_equal(w.c.record.tasks_count, 1);
    gal_pass(10 * S);
    assert_string_equal(gal_record()->restarting.text, "gn3");
    gal_pass(10 * S);
    assert_string_equal(gal_record()->restarting.text, "");
}

static void test_a_restart_that_waits_says_what_the_other_one_does(void **state)
{
    (void)state;
    gal_nodes[2].report.galera.state = MSG_GALERA_DONOR;
    gal_all();
    gal_order_task(MSG_TASK_RESTART, "gn3");
    gal_pass(S);
    assert_true(gal_is_waiting_for(ARB_NOTE_TASK_WAITS));
    assert_string_equal(w.c.waiting.other.text, "gn2");
    assert_int_equal(w.c.waiting.why, ARB_REFUSE_DONOR);
    gal_nodes[2].report.galera.state = MSG_GALERA_JOINING;
    gal_pass(S);
    assert_true(gal_is_waiting_for(ARB_NOTE_TASK_WAITS));
    assert_int_equal(w.c.waiting.why, ARB_REFUSE_NOT_SYNCED);
    assert_int_equal(gal_goal(3), MSG_GALERA_GOAL_JOIN);
}

/* The member being restarted has lost its data meanwhile, and another one that is down needs less.
 */
static void test_the_one_being_restarted_comes_in_first(void **state)
{
    (void)state;
    gal_order_task(MSG_TASK_RESTART, "gn3");
    gal_all();
    gal_all();
    assert_int_equal(gal_goal(3), MSG_GALERA_GOAL_RESTART);
    gal_is_synced(1, 8, 1u);
    gal_is_down(2, 90);
    gal_is_down(3, -1);
    gal_nodes[3].report.galera.state = MSG_GALERA_NEEDS_SST;
    memset(gal_nodes[3].report.galera.position.uuid, 0, sizeof(gal_record()->uuid));
    gal_nodes[3].report.galera.generation = 0;
    gal_pass(2 * S);
    assert_string_equal(gal_record()->restarting.text, "gn3");
    assert_string_equal(gal_record()->sst_joiner.text, "gn3");
    assert_int_equal(gal_goal(3), MSG_GALERA_GOAL_REJOIN);
    assert_int_equal(gal_goal(2), MSG_GALERA_GOAL_WAIT);
}

static void test_a_clone_by_order_keeps_its_turn_to_the_end(void **state)
{
    (void)state;
    gal_order_task(MSG_TASK_REINIT, "gn1");
    assert_int_equal(w.answer, BASE_E_STATE); /* the writer's data are nobody else's */
    gal_order_task(MSG_TASK_REINIT, "gn3");
    gal_pass(S);
    assert_int_equal(gal_goal(3), MSG_GALERA_GOAL_REJOIN);
    gal_two_are_synced();
    gal_is_down(3, -1);
    gal_pass(5 * S);
    assert_int_equal(gal_goal(3), MSG_GALERA_GOAL_REJOIN);
    assert_string_equal(gal_record()->sst_joiner.text, "gn3");
    for (unsigned n = 1; n <= 3; n++) {
        gal_is_synced(n, 9, 14u);
    }
    gal_pass(S);
    assert_string_equal(gal_record()->sst_joiner.text, "gn3");
    ends_restart(3);
    gal_pass(S);
    assert_string_equal(gal_record()->sst_joiner.text, "");
}

static void test_a_switchover_that_nobody_can_take_goes_back(void **state)
{
    (void)state;
    gal_ask(ARB_REQUEST_SWITCHOVER, "gn3", false);
    gal_is_synced(1, 8, 2u);
    gal_is_nonprim(2);
    gal_is_nonprim(3);
    gal_all();
    gal_hands_back(1);
    gal_pass(4 * S);
    assert_int_equal(w.c.record.epoch, 2);
    assert_true(is_holder("gn1"));
}

/* Nobody is there to hand over to. */
static void test_a_writer_that_is_alone_is_restarted_as_it_is(void **state)
{
    (void)state;
    gal_nodes[2].is_silent = gal_nodes[3].is_silent = true;
    gal_is_synced(1, 8, 2u);
    gal_pass(20 * S);
    gal_order_task(MSG_TASK_RESTART, "gn1");
    gal_all();
    gal_all();
    assert_int_equal(gal_goal(1), MSG_GALERA_GOAL_RESTART);
}

static void test_of_two_the_one_that_stays_is_given_weight_first(void **state)
{
    (void)state;
    gal_be_two();
    gal_order_task(MSG_TASK_RESTART, "gn2");
    gal_all();
    gal_all();
    assert_int_equal(gal_goal(2), MSG_GALERA_GOAL_JOIN);
    assert_int_equal(w.order[1].galera_weight, 2);
    gal_nodes[1].report.galera.weight = 2;
    gal_pass(S);
    assert_int_equal(gal_goal(2), MSG_GALERA_GOAL_RESTART);
}

static void test_of_two_the_reader_is_cloned_when_the_writer_has_more_weight(void **state)
{
    (void)state;
    gal_be_two();
    gal_order_task(MSG_TASK_REINIT, "gn2");
    gal_all();
    gal_all();
    assert_int_equal(gal_goal(2), MSG_GALERA_GOAL_JOIN);
    assert_int_equal(w.order[1].galera_weight, 2);
    gal_nodes[1].report.galera.weight = 2;
    for (unsigned n = 1; n <= 2; n++) {
        gal_nodes[n].report.galera.view.nodes[0].weight = 2;
    }
    gal_pass(S);
    assert_int_equal(gal_goal(2), MSG_GALERA_GOAL_REJOIN);
    assert_string_equal(gal_record()->sst_donor.text, "gn1");
}

/* Its order waited for the writer's weight; the writer's host is lost, and what is to be cloned is
 * all that is left. */
static void test_the_last_copy_is_not_cloned(void **state)
{
    (void)state;
    gal_be_two();
    gal_order_task(MSG_TASK_REINIT, "gn2");
    gal_all();
    gal_nodes[1].is_silent = true;
    gal_is_nonprim(2);
    for (unsigned i = 0; i < 3; i++) {
        gal_pass(2 * S);
        gal_obey_all();
        assert_int_not_equal(gal_goal(2), MSG_GALERA_GOAL_REJOIN);
    }
    assert_int_equal(gal_record()->generation, 2);
    gal_pass(S);
    assert_int_not_equal(gal_goal(2), MSG_GALERA_GOAL_REJOIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        GAL_TEST(test_one_member_joins_at_a_time),
        GAL_TEST(test_who_is_ending_has_no_turn),
        GAL_TEST(test_nobody_joins_without_the_space_for_it),
        GAL_TEST(test_data_that_cannot_be_read_are_made_anew),
        GAL_TEST(test_who_has_another_stamp_tells_its_position_before_it_joins),
        GAL_TEST(test_damage_does_not_let_a_recovery_pass),
        GAL_TEST(test_the_last_reader_gives_only_by_a_person_s_word),
        GAL_TEST(test_the_last_reader_gives_what_is_lacking),
        GAL_TEST(test_what_is_lacking_needs_no_space),
        GAL_TEST(test_a_clone_by_order_waits_for_space),
        GAL_TEST(test_a_reader_gives_and_the_writer_last),
        GAL_TEST(test_the_writer_gives_where_nobody_else_can),
        GAL_TEST(test_nobody_joins_while_one_without_the_stamp_is_in),
        GAL_TEST(test_data_of_another_generation_are_not_restarted),
        GAL_TEST(test_a_restart_has_its_donor_until_it_ends),
        GAL_TEST(test_a_rolling_restart_takes_the_writer_last),
        GAL_TEST(test_each_one_is_watched_anew),
        GAL_TEST(test_a_restart_that_waits_says_what_the_other_one_does),
        GAL_TEST(test_the_one_being_restarted_comes_in_first),
        GAL_TEST(test_a_clone_by_order_keeps_its_turn_to_the_end),
        GAL_TEST(test_a_switchover_that_nobody_can_take_goes_back),
        GAL_TEST(test_a_writer_that_is_alone_is_restarted_as_it_is),
        GAL_TEST(test_of_two_the_one_that_stays_is_given_weight_first),
        GAL_TEST(test_the_last_copy_is_not_cloned),
        GAL_TEST(test_of_two_the_reader_is_cloned_when_the_writer_has_more_weight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
