/* SPDX-License-Identifier: Apache-2.0 */
/* The arbiter's core with a MongoDB replica set whose majority is lost, or whose record is: forced
 * reconfiguration by tokens and a person's word, who is barred, what waits for a confirmation.
 */
#include "tests/unit/mongodb_scene.h"

#include <stdio.h>
#include <string.h>

/* --- force --- */

static struct arb_request force(uint64_t token)
{
    return (struct arb_request){
        .kind = ARB_REQUEST_FORCE_RECONFIGURE, .token = token, .random = 0x5eed};
}

static void lose_majority(void)
{
    mon.m[2].is_down = mon.m[3].is_down = true;
    mon_elect();
    mon_pass(3);
}

static void test_force_needs_a_lost_majority_and_fenced_members(void **state)
{
    (void)state;
    mon_request(force(0));
    assert_int_equal(w.answer, BASE_E_STATE); /* all is well */
    lose_majority();
    mon.m[3].is_silent = true;
    mon_pass(20);
    mon_request(force(0));
    assert_int_equal(w.answer, BASE_E_STATE); /* mg3 may run */
    struct arb_request r = force(0);
    r.destroyed = names("mg3", NULL);
    mon_request(r);
    assert_int_equal(w.answer, 0);
    assert_int_equal(w.c.record.epoch, 1);
    assert_true(w.c.record.mongodb.force.token != 0);
}

/* It runs: that it does not answer, is starting or has left the set is no word that it is down. */
static void test_a_mongod_that_runs_is_left_out_by_a_persons_word_alone(void **state)
{
    (void)state;
    static const enum msg_mongodb_state runs[] = {MSG_MONGODB_HUNG, MSG_MONGODB_STARTING,
                                                  MSG_MONGODB_ABSENT};
    for (size_t i = 0; i < BASE_COUNT_OF(runs); i++) {
        mon_running(5, 0);
        mon.m[3].is_down = mon.m[4].is_down = mon.m[5].is_down = true;
        mon_elect();
        mon.m[2].state = runs[i];
        mon_pass(3);
        mon_request(force(0));
        assert_int_equal(w.answer, BASE_E_STATE);
        assert_non_null(strstr(w.fx.answer_text.text, "mg2 may still run"));
        assert_int_equal(w.c.record.mongodb.force.token, 0);
        struct arb_request r = force(0);
        r.destroyed = names("mg2", NULL);
        mon_request(r);
        assert_int_equal(w.answer, 0);
        mon_request(mon_about(ARB_REQUEST_CANCEL, NULL));
        mon.m[2].state = MSG_MONGODB_HELD; /* its agent has ended it */
        mon_pass(3);
        mon_request(force(0));
        assert_int_equal(w.answer, 0);
        assert_int_equal(w.c.record.mongodb.force.lost.count, 4);
    }
}

static void test_a_token_is_good_once(void **state)
{
    (void)state;
    lose_majority();
    mon_request(force(0));
    uint64_t token = w.c.record.mongodb.force.token;
    assert_true(token != 0);
    mon_request(force(token + 1));
    assert_int_equal(w.answer, BASE_E_STATE);
    mon.disobeys = true;
    mon_request(force(token));
    assert_int_equal(w.answer, 0);
    assert_true(mon_is_open(MSG_MONGODB_ORDER_FORCE));
    assert_int_equal(w.c.record.epoch, 2);
    assert_int_equal(w.c.record.mongodb.barred.count, 2);
    mon_pass(70);
    assert_int_equal(mon_order()->state, MSG_MONGODB_ORDER_FAILED);
    mon_request(force(token));
    assert_int_equal(w.answer, BASE_E_STATE);
    assert_int_equal(w.c.record.epoch, 2);
}

/* The same plan at the same moment: what differs is what the asked node alone knows. */
static uint64_t token_of_plan(uint64_t random)
{
    mon_running(3, 0);
    lose_majority();
    struct arb_request r = force(0);
    r.random = random;
    mon_request(r);
    return w.c.record.mongodb.force.token;
}

static void test_a_token_follows_from_secret_bits(void **state)
{
    (void)state;
    uint64_t first = token_of_plan(1);
    assert_true(first != 0 && first == token_of_plan(1));
    assert_true(token_of_plan(2) != first && token_of_plan(UINT64_C(1) << 62) != first);
    assert_int_equal(token_of_plan(0), 0);
    assert_int_equal(w.answer, BASE_E_INVALID);
}

static void test_the_lost_are_barred_until_they_are_wiped(void **state)
{
    (void)state;
    lose_majority();
    mon_request(force(0));
    mon_request(force(w.c.record.mongodb.force.token));
    mon_pass(5);
    assert_int_equal(mon_order()->state, MSG_MONGODB_ORDER_DONE);
    assert_int_equal(mon.primary, 1);
    assert_int_equal(w.order[2].mongodb.goal, MSG_MONGODB_GOAL_BAR);
    mon_pass(30);
    assert_false(mon.m[2].is_in);
    mon.m[2].has_data = mon.m[3].has_data = false; /* wiped */
    mon.m[2].is_down = false;
    mon.m[2].state = MSG_MONGODB_STARTING; /* what will it be with? */
    mon_pass(2);
    assert_int_equal(w.c.record.mongodb.barred.count, 1);
    mon.m[2].state = MSG_MONGODB_UNKNOWN;
    mon_pass(2);
    assert_int_equal(w.c.record.mongodb.barred.count, 0);
    mon.m[2].is_down = mon.m[3].is_down = false;
    mon_pass(60);
    assert_true(mon.m[2].is_in && mon.m[3].is_in && mon.m[3].votes == 1);
}

/* It was the primary when the majority was lost, and no other has come since. */
static void test_a_barred_primary_may_be_emptied(void **state)
{
    (void)state;
    lose_majority();
    w.c.record.mongodb.primary = name_of(mon_name(2));
    mon_request(force(0));
    mon.disobeys = true;
    mon_request(force(w.c.record.mongodb.force.token));
    assert_int_equal(w.c.record.mongodb.barred.count, 2);
    struct arb_request r = mon_about(ARB_REQUEST_TASK, NULL);
    r.task = (struct msg_task){.kind = MSG_TASK_REINIT, .member = name_of(mon_name(2))};
    mon_request(r);
    assert_int_equal(w.answer, 0);
    assert_int_equal(w.c.record.tasks_count, 1);
}

/* It is in the set no more, and the order is to it alone. */
static void test_a_barred_member_has_time_to_empty_itself(void **state)
{
    (void)state;
    lose_majority();
    mon_request(force(0));
    mon_request(force(w.c.record.mongodb.force.token));
    mon_pass(5);
    assert_int_equal(mon_order()->state, MSG_MONGODB_ORDER_DONE);
    struct arb_request r = mon_about(ARB_REQUEST_TASK, NULL);
    r.task = (struct msg_task){.kind = MSG_TASK_REINIT, .member = name_of(mon_name(2))};
    mon.disobeys = true;
    mon_request(r);
    mon_pass(5);
    assert_true(mon_is_open(MSG_MONGODB_ORDER_RESYNC));
    assert_string_equal(mon_order()->member.text, "mg2");
    assert_int_equal(w.order[2].mongodb.goal, MSG_MONGODB_GOAL_BAR);
    assert_true(w.order[2].mongodb.order_left_ms > 0);
}

/* What a plan was made for has changed since. */
static void test_a_token_is_void_when_the_survivors_change(void **state)
{
    (void)state;
    mon_running(5, 0);
    mon.m[3].is_down = mon.m[4].is_down = mon.m[5].is_down = true;
    mon_elect();
    mon_pass(3);
    mon_request(force(0));
    uint64_t token = w.c.record.mongodb.force.token;
    assert_true(token != 0);
    mon.m[2].is_down = true;
    mon_pass(3);
    mon_request(force(token));
    assert_int_equal(w.answer, BASE_E_STATE);
}

/* Its agent had said that it was down, and nobody that it is destroyed. */
static void test_a_token_is_no_word_about_one_that_runs_by_now(void **state)
{
    (void)state;
    lose_majority();
    mon_request(force(0));
    uint64_t token = w.c.record.mongodb.force.token;
    mon.m[3].is_down = false;
    mon.m[3].state = MSG_MONGODB_STARTING;
    mon_pass(2);
    mon_request(force(token));
    assert_int_equal(w.answer, BASE_E_STATE);
    assert_non_null(strstr(w.fx.answer_text.text, "mg3 may still run"));
    mon.m[2].is_silent = true; /* what was said of who is silent holds */
    mon_pass(20);
    struct arb_request r = force(token);
    r.destroyed = names("mg3", NULL);
    mon_request(r);
    assert_int_equal(w.answer, 0);
    assert_int_equal(w.c.record.mongodb.barred.count, 2);
}

/* It would go on with the others: another plan, which is what the person is told. */
static void test_a_token_is_void_when_one_of_the_lost_is_back(void **state)
{
    (void)state;
    mon_running(5, 0);
    mon.m[2].is_down = mon.m[3].is_down = mon.m[4].is_down = mon.m[5].is_down = true;
    mon_elect();
    mon_pass(3);
    mon_request(force(0));
    uint64_t token = w.c.record.mongodb.force.token;
    mon.m[2].is_down = false;
    mon_pass(2);
    mon_request(force(token));
    assert_int_equal(w.answer, BASE_E_STATE);
    assert_non_null(strstr(w.fx.answer_text.text, "ask for a new plan"));
    mon_request(force(0));
    assert_int_equal(w.answer, 0);
    assert_int_equal(w.c.record.mongodb.force.survivors.count, 2);
}

/* Who would be left out is held while a plan is out: until it is canceled, or forgotten. */
static void test_a_plan_that_is_not_carried_out_ends(void **state)
{
    (void)state;
    lose_majority();
    mon_request(force(0));
    mon_pass(2);
    assert_int_equal(w.order[2].mongodb.goal, MSG_MONGODB_GOAL_HOLD);
    mon_request(mon_about(ARB_REQUEST_CANCEL, NULL));
    assert_int_equal(w.answer, 0);
    mon_pass(2);
    assert_int_equal(w.order[2].mongodb.goal, MSG_MONGODB_GOAL_RUN);
    mon_request(force(0));
    uint64_t token = w.c.record.mongodb.force.token;
    mon_pass(605);
    assert_true(token != 0 && w.c.record.mongodb.force.token == 0);
    assert_int_equal(w.order[2].mongodb.goal, MSG_MONGODB_GOAL_RUN);
    mon_request(force(token));
    assert_int_equal(w.answer, BASE_E_STATE);
}

/* The hosts behind the first `agents` never had one. */
static void run_with_strangers(unsigned members, unsigned agents)
{
    mon_blank(members, 0);
    mon.has_set_id = true;
    mon.term = 3;
    mon.config = (struct msg_mongodb_version){3, 7};
    mon.primary = 1;
    mon.concern = MSG_MONGODB_CONCERN_SET_MAJORITY;
    for (unsigned n = 1; n <= members; n++) {
        mon.m[n].is_in = mon.m[n].has_data = true;
        mon.m[n].votes = 1;
        mon.m[n].priority_x10 = 10;
        mon.m[n].is_silent = n > agents;
    }
    mon_pass(5);
}

static struct arb_request force_without(const char *host)
{
    struct arb_request r = force(0);
    (void)snprintf(r.destroyed_hosts.list[0].text, MSG_MONGODB_HOST_MAX, "%s", host);
    r.destroyed_hosts.count = 1;
    return r;
}

static struct base_text answer;

static void keep_answer(void)
{
    answer = w.fx.answer_text.text[0] != '\0' ? w.fx.answer_text : answer;
}

static void test_a_plan_tells_what_is_lost(void **state)
{
    static const struct {
        uint64_t committed_s;
        const char *said;
    } rows[] = {{999, "; it has all that is known as committed, later commits are lost"},
                {1000, "; it has all that is known as committed, later commits are lost"},
                {1007, "; it lacks committed writes of the last 7 s known, and all later ones"},
                {0, "; how much is lost is not known"}};
    (void)state;
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        mon_running(3, 0);
        mon.committed_ts = rows[i].committed_s << 32;
        lose_majority();
        w.told = keep_answer;
        mon_request(force(0));
        assert_int_equal(w.answer, 0);
        assert_non_null(strstr(answer.text, rows[i].said));
    }
}

static void test_a_host_without_an_agent_is_left_out_by_a_persons_word(void **state)
{
    (void)state;
    run_with_strangers(3, 2);
    assert_int_equal(w.c.record.epoch, 1);
    assert_int_equal(arb_view_find(&w.c, &(struct base_name){"mg3"}), ARB_NOBODY);
    mon.m[2].is_down = mon.m[3].is_down = true;
    mon_elect();
    mon_pass(8);
    mon_request(force(0));
    assert_int_equal(w.answer, BASE_E_STATE);
    mon_request(force_without("10.0.0.9:27017")); /* in no configuration */
    assert_int_equal(w.answer, BASE_E_NOTFOUND);
    w.told = keep_answer;
    mon_request(force_without("10.0.0.3:27017"));
    assert_int_equal(w.answer, 0);
    assert_non_null(strstr(answer.text, "; barred until wiped: mg2, 10.0.0.3:27017; "));
    assert_int_equal(w.c.record.mongodb.force.strangers.count, 1);
    mon_request(force(w.c.record.mongodb.force.token)); /* the word is in the record */
    assert_int_equal(w.answer, 0);
    assert_int_equal(w.c.record.mongodb.barred_hosts.count, 1);
    mon_pass(5);
    assert_int_equal(mon_order()->state, MSG_MONGODB_ORDER_DONE);
    assert_int_equal(mon.primary, 1);
    mon.m[3].is_silent = mon.m[3].is_down = false; /* an agent comes to it, with data of before */
    mon.m[3].is_in = false;
    mon_pass(3);
    assert_int_equal(w.order[3].mongodb.goal, MSG_MONGODB_GOAL_BAR);
    mon_pass(20);
    assert_false(mon.m[3].is_in);
    mon.m[3].has_data = false;
    mon_pass(3);
    assert_int_equal(w.order[3].mongodb.goal, MSG_MONGODB_GOAL_RUN);
    assert_int_equal(w.c.record.mongodb.barred_hosts.count, 0);
}

static void test_hosts_without_agents_may_be_all_that_is_lost(void **state)
{
    (void)state;
    run_with_strangers(5, 2);
    assert_int_equal(w.c.record.epoch, 1);
    mon.m[3].is_down = mon.m[4].is_down = mon.m[5].is_down = true;
    mon_elect();
    mon_pass(8);
    struct arb_request r = force_without("10.0.0.3:27017");
    for (unsigned n = 4; n <= 5; n++) {
        struct msg_mongodb_host *host = &r.destroyed_hosts.list[r.destroyed_hosts.count++];
        (void)snprintf(host->text, sizeof(host->text), "10.0.0.%u:27017", n);
    }
    w.told = keep_answer;
    mon_request(r);
    assert_int_equal(w.answer, 0);
    assert_non_null(strstr(answer.text, "; barred until wiped: 10.0.0.3:27017, 10.0.0.4:27017, "));
}

static void test_the_freshest_goes_on(void **state)
{
    (void)state;
    mon_running(5, 0);
    mon.m[3].is_down = mon.m[4].is_down = mon.m[5].is_down = true;
    mon.m[2].ts = mon.m[1].ts + 5;
    mon_elect();
    mon_pass(3);
    mon_request(force(0));
    assert_string_equal(w.c.record.mongodb.force.freshest.text, "mg2");
}

/* Alone with a priority of 0 it would never lead: the set would stay without a primary for good. */
static void test_the_freshest_is_able_to_lead(void **state)
{
    (void)state;
    static const uint16_t in_files[] = {0, 1, 3};
    for (size_t i = 0; i < BASE_COUNT_OF(in_files); i++) {
        mon_running(3, 0);
        mon.disobeys = true;
        lose_majority();
        mon.m[1].priority = in_files[i];
        mon_pass(1);
        mon_request(force(0));
        mon_request(force(w.c.record.mongodb.force.token));
        assert_true(mon_is_open(MSG_MONGODB_ORDER_FORCE));
        assert_int_equal(mon_order()->votes, 1);
        assert_int_equal(mon_order()->priority_x10, in_files[i] == 0 ? 10 : in_files[i] * 10);
    }
}

/* --- after a restore of the quorum --- */

static void test_nothing_is_ordered_from_an_image_until_confirmed(void **state)
{
    (void)state;
    run((struct arb_event){.kind = ARB_EVENT_RESTORE, .restore_id = 77});
    mon.m[3].votes = 0;
    mon.m[3].priority_x10 = 0;
    mon_pass(30);
    assert_int_equal(w.c.record.epoch, 1);
    assert_int_equal(w.order[1].mongodb.goal, MSG_MONGODB_GOAL_HOLD);
    mon_request(mon_about(ARB_REQUEST_CONFIRM, NULL));
    assert_int_equal(w.answer, 0);
    assert_true(w.c.record.epoch > 1000);
    mon_pass(10);
    assert_int_equal(mon.m[3].votes, 1);
}

/* --- without a record --- */

/* Data everywhere, nobody runs. */
static void mon_rebooted(uint64_t epoch_seen)
{
    mon_blank(3, 0);
    for (unsigned n = 1; n <= 3; n++) {
        mon.m[n].has_data = mon.m[n].is_down = true;
        mon.m[n].epoch_seen = epoch_seen;
    }
    mon_pass(10);
}

static void test_who_was_never_led_is_started_without_a_record(void **state)
{
    (void)state;
    mon_rebooted(0);
    assert_int_equal(w.c.record.epoch, 0);
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_MONGODB_DATA_WAITS);
    assert_int_equal(w.order[1].mongodb.goal, MSG_MONGODB_GOAL_RUN);
    run((struct arb_event){.kind = ARB_EVENT_RESTORE, .restore_id = 77}); /* made anew by force */
    mon_pass(3);
    assert_int_equal(w.order[1].mongodb.goal, MSG_MONGODB_GOAL_KEEP);
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_MONGODB_DOWN_WAITS);
}

/* Their record is lost: somebody may have been left out by force. A person's word starts them. */
static void test_who_was_led_is_started_by_a_persons_word_alone(void **state)
{
    (void)state;
    mon_rebooted(9);
    mon.m[3].barred_epoch = 8;
    mon_pass(60);
    assert_int_equal(w.c.record.epoch, 0);
    assert_int_not_equal(w.order[1].mongodb.goal, MSG_MONGODB_GOAL_RUN);
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_MONGODB_DOWN_WAITS);
    mon_request(mon_about(ARB_REQUEST_CONFIRM, NULL));
    assert_int_equal(w.answer, BASE_E_STATE);
    struct arb_request r = mon_about(ARB_REQUEST_CONFIRM, NULL);
    r.is_forced = true;
    mon_request(r);
    assert_int_equal(w.answer, 0);
    assert_true(w.c.record.epoch > 1000 && w.c.record.mongodb.is_initiated);
    mon_pass(2);
    assert_int_equal(w.order[1].mongodb.goal, MSG_MONGODB_GOAL_RUN);
    assert_int_equal(w.order[3].mongodb.goal, MSG_MONGODB_GOAL_BAR);
    assert_int_equal(mon.orders, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MON_TEST(test_force_needs_a_lost_majority_and_fenced_members),
        MON_TEST(test_a_mongod_that_runs_is_left_out_by_a_persons_word_alone),
        MON_TEST(test_a_token_is_good_once),
        MON_TEST(test_a_token_follows_from_secret_bits),
        MON_TEST(test_the_lost_are_barred_until_they_are_wiped),
        MON_TEST(test_a_barred_primary_may_be_emptied),
        MON_TEST(test_a_barred_member_has_time_to_empty_itself),
        MON_TEST(test_a_token_is_void_when_the_survivors_change),
        MON_TEST(test_a_token_is_no_word_about_one_that_runs_by_now),
        MON_TEST(test_a_token_is_void_when_one_of_the_lost_is_back),
        MON_TEST(test_a_plan_that_is_not_carried_out_ends),
        MON_TEST(test_a_plan_tells_what_is_lost),
        MON_TEST(test_a_host_without_an_agent_is_left_out_by_a_persons_word),
        MON_TEST(test_hosts_without_agents_may_be_all_that_is_lost),
        MON_TEST(test_the_freshest_goes_on),
        MON_TEST(test_the_freshest_is_able_to_lead),
        MON_TEST(test_nothing_is_ordered_from_an_image_until_confirmed),
        MON_TEST(test_who_was_never_led_is_started_without_a_record),
        MON_TEST(test_who_was_led_is_started_by_a_persons_word_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
