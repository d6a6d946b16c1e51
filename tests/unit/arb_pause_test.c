/* SPDX-License-Identifier: Apache-2.0 */
/* Pause and external fences (sections 10 and 3 of the safety contract) in the arbiter's core. Each
 * test is named after the rule that it holds fast; the planted bugs must turn the same scenes
 * wrong. */
#include "tests/unit/arb_scene.h"

static void ask(enum arb_request_kind kind, const char *member)
{
    struct arb_request r = {.kind = kind};
    if (member != NULL) {
        r.candidate = name_of(member);
    }
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &r});
}

static struct msg_report disarmed(void)
{
    struct msg_report r = primary_of("pg1");
    r.is_paused = true;
    r.lease_left_us = 0;
    return r;
}

static void pause_it(void)
{
    all_speak();
    ask(ARB_REQUEST_PAUSE, NULL);
    assert_int_equal(w.answer, 0);
    assert_true(w.c.record.is_paused && w.c.record.is_unarmed);
}

static void votes_of_both(void)
{
    send(report_of("pg2"));
    send(report_of("pg3"));
    send(vote_of("pg2", 3, 5000));
    send(vote_of("pg3", 3, 5000));
}

/* --- section 10 --- */

static void test_s10_in_a_pause_nobody_takes_over(void **state)
{
    (void)state;
    pause_it();
    send(disarmed());
    confirm();
    assert_true(w.order[1].is_granted); /* harmless, and thaws what froze before */
    assert_int_equal(w.order[1].goal, MSG_GOAL_HOLD);
    send(report_of("pg2"));
    assert_int_equal(w.order[2].goal, MSG_GOAL_NONE);
    wait_us(60 * S);
    tick();
    assert_true(w.c.is_waiting && w.c.waiting.kind == ARB_NOTE_PAUSED);
    send(handback_of("pg1"));
    votes_of_both();
    assert_int_equal(w.c.record.epoch, 3);
    assert_false(w.c.is_attempt);
}

static void test_s10_orders_that_act_wait_for_the_resume(void **state)
{
    (void)state;
    pause_it();
    ask(ARB_REQUEST_SWITCHOVER, "pg2");
    assert_int_equal(w.answer, BASE_E_STATE);
    ask(ARB_REQUEST_FAILOVER, NULL);
    assert_int_equal(w.answer, BASE_E_STATE);
    struct arb_request task = {.kind = ARB_REQUEST_TASK,
                               .task = {.kind = MSG_TASK_RESTART, .member = name_of("pg2")}};
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &task});
    assert_int_equal(w.answer, BASE_E_STATE);
    ask(ARB_REQUEST_DRAIN, "pg2"); /* is only written down */
    assert_int_equal(w.answer, 0);
    ask(ARB_REQUEST_PAUSE, NULL);
    assert_int_equal(w.answer, 0);
    ask(ARB_REQUEST_RESUME, NULL);
    assert_int_equal(w.answer, 0);
    ask(ARB_REQUEST_RESUME, NULL);
    assert_int_equal(w.answer, BASE_E_STATE);
}

static void test_s10_what_was_handed_back_in_a_pause_is_taken_over_after_it(void **state)
{
    (void)state;
    pause_it();
    send(disarmed());
    send(handback_of("pg1"));
    ask(ARB_REQUEST_RESUME, NULL);
    assert_true(w.c.is_attempt);
    votes_of_both();
    assert_true(is_holder("pg2"));
    assert_false(w.c.record.is_unarmed || w.c.record.is_paused);
}

static void resume_in_silence(void)
{
    pause_it();
    send(disarmed());
    confirm();
    ask(ARB_REQUEST_RESUME, NULL);
    assert_true(!w.c.record.is_paused && w.c.record.is_unarmed);
    wait_us(60 * S);
    tick();
    votes_of_both();
}

static void test_s10_after_a_pause_a_lease_has_no_end_before_the_guard_is_armed(void **state)
{
    (void)state;
    resume_in_silence();
    assert_int_equal(w.c.record.epoch, 3);
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_WAITS_ARMED);
    run((struct arb_event){.kind = ARB_EVENT_LOST}); /* the next leader knows it from the record */
    lead(6);
    wait_us(60 * S);
    tick();
    votes_of_both();
    assert_int_equal(w.c.record.epoch, 3);
}

static void test_s10_an_operator_confirms_that_the_holder_is_dead(void **state)
{
    (void)state;
    resume_in_silence();
    ask(ARB_REQUEST_CONFIRM_DEAD, "pg2");
    assert_int_equal(w.answer, BASE_E_STATE);
    send(disarmed());
    ask(ARB_REQUEST_CONFIRM_DEAD, "pg1");
    assert_int_equal(w.answer, BASE_E_STATE); /* it is heard */
    wait_us(10 * S);
    ask(ARB_REQUEST_CONFIRM_DEAD, "pg1");
    assert_int_equal(w.answer, 0);
    assert_false(w.c.record.is_unarmed);
    tick();
    assert_true(w.c.is_attempt);
    votes_of_both();
    assert_true(is_holder("pg2"));
}

/* Made before the resume was heard, and on its way since: an order with the pause may still come.
 */
static void test_s10_only_a_report_that_echoes_the_resume_says_armed_again(void **state)
{
    (void)state;
    pause_it();
    struct msg_report before = primary_of("pg1"); /* has not heard of the pause */
    ask(ARB_REQUEST_RESUME, NULL);
    send(before);
    confirm();
    assert_true(w.c.record.is_unarmed);
    struct msg_report r = disarmed();
    send(r); /* echoes, and is disarmed */
    confirm();
    assert_true(w.c.record.is_unarmed && w.order[1].is_granted);
    send(primary_of("pg1"));
    assert_false(w.c.record.is_unarmed);
    assert_true(was_said(ARB_NOTE_ARMED));
    wait_us(3 * S);
    tick();
    assert_true(w.c.is_attempt); /* a lease like any other */
}

/* Its agent has lost the state file, and with it the pause; its guard is disarmed all the same. */
static void test_s10_without_a_deadline_nobody_is_armed_again(void **state)
{
    (void)state;
    pause_it();
    send(disarmed());
    confirm();
    ask(ARB_REQUEST_RESUME, NULL);
    for (int i = 0; i < 3; i++) {
        struct msg_report r = primary_of("pg1");
        r.lease_left_us = 0;
        send(r);
        confirm();
        assert_true(w.c.record.is_unarmed && w.order[1].is_granted);
    }
    struct msg_report r = primary_of("pg1");
    r.lease_left_us = -1; /* it was armed, and that is over */
    send(r);
    assert_false(w.c.record.is_unarmed);
}

static void test_s10_a_later_guard_hands_back_for_a_rebooted_holder(void **state)
{
    (void)state;
    resume_in_silence();
    struct msg_report r = handback_of("pg1");
    r.instance = 777;
    r.session = 778;
    r.number = 1;
    send(r);
    assert_int_equal(w.c.handed, ARB_OVER_HANDBACK);
    assert_true(w.c.is_attempt);
}

/* ... or says that nothing of it is left, without handing back. */
static void test_s10_a_holder_whose_host_was_started_anew_is_not_waited_for(void **state)
{
    (void)state;
    resume_in_silence();
    struct msg_report r = report_of("pg1");
    r.instance = 777;
    r.session = 778;
    r.number = 1;
    r.db_state = MSG_DB_STOPPED;
    r.is_receiving = false;
    send(r);
    assert_int_equal(w.c.record.epoch, 3);
    assert_false(w.c.is_attempt); /* its database may still run */
    r.number = 2;
    r.is_tree_gone = true;
    send(r);
    assert_true(w.c.is_attempt);
}

/* A new machine under the old name knows nothing of what runs on the old one. */
static void test_s10_a_new_machine_does_not_end_the_right_of_the_old_one(void **state)
{
    (void)state;
    resume_in_silence();
    struct msg_report r = report_of("pg1");
    r.instance = 777;
    r.session = 778;
    r.number = 1;
    r.db_state = MSG_DB_EMPTY;
    r.system_id = 0;
    r.position = (struct msg_position){0, 0, 0};
    r.is_receiving = false;
    r.is_tree_gone = true;
    send(r);
    assert_int_equal(w.c.record.epoch, 3);
    assert_false(w.c.is_attempt);
    ask(ARB_REQUEST_CONFIRM_DEAD, "pg1"); /* an operator knows which machine it is */
    assert_int_equal(w.answer, 0);
    wait_us(3 * S);
    tick();
    assert_true(w.c.is_attempt);
}

/* It was not, and what it was granted since counts; so does a pause that comes later. */
static void test_s10_a_dead_holder_that_is_granted_again_is_not_dead(void **state)
{
    (void)state;
    all_speak();
    wait_us(10 * S);
    ask(ARB_REQUEST_CONFIRM_DEAD, "pg1");
    assert_int_equal(w.answer, 0);
    send(primary_of("pg1"));
    confirm();
    assert_true(w.order[1].is_granted);
    ask(ARB_REQUEST_PAUSE, NULL);
    assert_int_equal(w.answer, 0);
    send(disarmed());
    confirm();
    ask(ARB_REQUEST_RESUME, NULL);
    assert_int_equal(w.answer, 0);
    wait_us(60 * S);
    tick();
    assert_false(w.c.is_attempt);
    assert_true(w.c.record.is_unarmed);
}

/* --- section 3, external fence --- */

static void set_fence(enum msg_fence_mode mode, bool is_trusted)
{
    struct msg_record r = base_record();
    r.fence_mode = mode;
    r.is_fence_trusted = is_trusted;
    r.revision++;
    load(r);
    all_speak();
}

static void fenced(bool is_fenced)
{
    run((struct arb_event){
        .kind = ARB_EVENT_FENCED, .fenced_epoch = w.c.record.epoch, .is_fenced = is_fenced});
}

static void test_s3_the_command_runs_after_its_entry(void **state)
{
    (void)state;
    set_fence(MSG_FENCE_TRY, false);
    w.holds_swap = true;
    wait_us(3 * S);
    tick();
    assert_true(w.fx.has_swap && w.fx.swap_kind == ARB_DECIDE_FENCE);
    assert_int_equal(w.fx.record.fencing_epoch, 3);
    assert_false(w.fx.has_fence);
    struct msg_record next = w.c.swap_record;
    run((struct arb_event){.kind = ARB_EVENT_RECORD, .record = &next, .is_own = true});
    assert_true(w.fx.has_fence);
    assert_int_equal(w.fx.fence_epoch, 3);
    assert_string_equal(w.fx.fence_member.text, "pg1");
    tick();
    assert_false(w.fx.has_fence); /* one at a time */
}

static void test_s3_an_epoch_that_is_fenced_is_granted_no_more(void **state)
{
    (void)state;
    set_fence(MSG_FENCE_TRY, false);
    wait_us(3 * S);
    tick();
    assert_int_equal(w.c.record.fencing_epoch, 3);
    send(primary_of("pg1"));
    assert_int_equal(w.fx.ticket, 0);
    assert_false(w.order[1].is_granted);
    assert_int_equal(w.order[1].goal, MSG_GOAL_NONE);
}

static void test_s3_try_waits_for_nothing(void **state)
{
    (void)state;
    set_fence(MSG_FENCE_TRY, false);
    wait_us(3 * S);
    tick();
    votes_of_both();
    assert_true(is_holder("pg2"));
}

static void test_s3_require_is_waited_for_and_tried_again(void **state)
{
    (void)state;
    set_fence(MSG_FENCE_REQUIRE, false);
    wait_us(3 * S);
    tick();
    votes_of_both();
    assert_int_equal(w.c.record.epoch, 3);
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_WAITS_FENCE);
    fenced(false);
    assert_true(was_said(ARB_NOTE_FENCE_FAILED));
    assert_int_equal(w.c.record.epoch, 3);
    wait_us(ARB_FENCE_RETRY_US);
    tick();
    assert_true(w.fx.has_fence);
    send(report_of("pg2"));
    send(vote_of("pg2", 3, 5000));
    fenced(true);
    assert_int_equal(w.c.record.epoch, 4);
    assert_true(is_holder("pg2"));
}

static void test_s3_a_handback_needs_no_fence(void **state)
{
    (void)state;
    set_fence(MSG_FENCE_REQUIRE, false);
    send(handback_of("pg1"));
    votes_of_both();
    assert_true(is_holder("pg2"));
    assert_int_equal(w.c.record.fencing_epoch, 0);
}

static void test_s3_an_operators_word_stands_for_the_fence(void **state)
{
    (void)state;
    set_fence(MSG_FENCE_REQUIRE, false);
    wait_us(3 * S);
    tick();
    votes_of_both();
    assert_int_equal(w.c.record.epoch, 3);
    ask(ARB_REQUEST_CONFIRM_DEAD, "pg1");
    assert_int_equal(w.answer, 0);
    tick();
    assert_true(is_holder("pg2"));
}

/* Between the entry and the end of the lease: a fence that succeeds ends the right only if trusted.
 */
static void fence_before_the_end(bool is_trusted)
{
    struct msg_record r = base_record();
    set_fence(MSG_FENCE_TRY, is_trusted);
    r = w.c.record;
    r.ttl_ms = 2000;
    r.ttl_longest_ms = 60000;
    r.fencing_epoch = 3;
    r.revision++;
    load(r);
    tick();
    w.c.fence = ARB_FENCE_RUNNING;
    fenced(true);
    votes_of_both();
}

static void test_s3_a_fence_does_not_replace_the_lease(void **state)
{
    (void)state;
    fence_before_the_end(false);
    assert_int_equal(w.c.record.epoch, 3);
}

static void test_s3_a_trusted_fence_stands_in_for_the_lease(void **state)
{
    (void)state;
    fence_before_the_end(true);
    assert_true(is_holder("pg2"));
}

static void test_s10_a_fence_ends_a_lease_without_an_end(void **state)
{
    (void)state;
    set_fence(MSG_FENCE_TRY, false);
    ask(ARB_REQUEST_PAUSE, NULL);
    wait_us(10 * S);
    tick();
    assert_int_equal(w.c.record.fencing_epoch, 0); /* nothing is fenced in a pause */
    ask(ARB_REQUEST_RESUME, NULL);
    wait_us(3 * S);
    tick();
    assert_int_equal(w.c.record.fencing_epoch, 3);
    votes_of_both();
    assert_int_equal(w.c.record.epoch, 3);
    fenced(true);
    votes_of_both();
    assert_true(is_holder("pg2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_s10_in_a_pause_nobody_takes_over),
        TEST(test_s10_orders_that_act_wait_for_the_resume),
        TEST(test_s10_what_was_handed_back_in_a_pause_is_taken_over_after_it),
        TEST(test_s10_after_a_pause_a_lease_has_no_end_before_the_guard_is_armed),
        TEST(test_s10_an_operator_confirms_that_the_holder_is_dead),
        TEST(test_s10_only_a_report_that_echoes_the_resume_says_armed_again),
        TEST(test_s10_without_a_deadline_nobody_is_armed_again),
        TEST(test_s10_a_later_guard_hands_back_for_a_rebooted_holder),
        TEST(test_s10_a_holder_whose_host_was_started_anew_is_not_waited_for),
        TEST(test_s10_a_new_machine_does_not_end_the_right_of_the_old_one),
        TEST(test_s10_a_dead_holder_that_is_granted_again_is_not_dead),
        TEST(test_s3_the_command_runs_after_its_entry),
        TEST(test_s3_an_epoch_that_is_fenced_is_granted_no_more),
        TEST(test_s3_try_waits_for_nothing),
        TEST(test_s3_require_is_waited_for_and_tried_again),
        TEST(test_s3_a_handback_needs_no_fence),
        TEST(test_s3_an_operators_word_stands_for_the_fence),
        TEST(test_s3_a_fence_does_not_replace_the_lease),
        TEST(test_s3_a_trusted_fence_stands_in_for_the_lease),
        TEST(test_s10_a_fence_ends_a_lease_without_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
