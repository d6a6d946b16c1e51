/* SPDX-License-Identifier: Apache-2.0 */
/* Orders to members of a MongoDB set, and what must wait: it keeps nobody else waiting. */
#include "arbiter/core/mongodb_internal.h"
#include "tests/unit/mongodb_scene.h"
#include <string.h>

static void ask_task(enum msg_task_kind kind, unsigned n)
{
    struct arb_request r = mon_about(ARB_REQUEST_TASK, NULL);
    r.task = (struct msg_task){.kind = kind, .member = name_of(mon_name(n))};
    mon_request(r);
}

static void test_a_rolling_restart_takes_the_primary_last(void **state)
{
    (void)state;
    ask_task(MSG_TASK_RESTART, 1);
    ask_task(MSG_TASK_RESTART, 2);
    assert_int_equal(w.answer, 0);
    mon_pass(1);
    assert_int_equal(mon_order()->kind, MSG_MONGODB_ORDER_RESTART);
    assert_string_equal(mon_order()->member.text, "mg2");
    mon.m[3].is_down = true;
    mon_pass(3);
    uint64_t epoch = w.c.record.epoch;
    mon_pass(20); /* nobody is stopped while another is away */
    assert_int_equal(w.c.record.epoch, epoch);
    assert_int_equal(mon.primary, 1);
}

/* The clock of the one who was asked was a day ahead of the next leader's. */
static void test_a_restart_without_a_time_depends_on_no_clock(void **state)
{
    (void)state;
    w.wall_ahead_us = 86400 * S;
    ask_task(MSG_TASK_RESTART, 1);
    w.wall_ahead_us = 0;
    assert_int_equal(w.c.record.tasks_count, 1);
    lead(w.c.term + 1);
    mon_pass(2); /* others may be asked in the same breath */
    assert_int_equal(mon.primary, 1);
    mon_pass(60);
    assert_int_not_equal(mon.primary, 1);
}

static void test_nobody_reads_its_file_anew(void **state)
{
    (void)state;
    ask_task(MSG_TASK_RELOAD, 2);
    assert_int_equal(w.answer, BASE_E_INVALID);
    assert_int_equal(w.c.record.tasks_count, 0);
}

/* --- what must wait keeps nobody waiting --- */

/* Something of the layout that is due meanwhile. */
static void assert_layout_goes_on(unsigned seconds)
{
    mon.m[2].priority_x10 = 0;
    mon_pass(seconds);
    assert_int_equal(mon.m[2].priority_x10, 10);
    assert_int_equal(mon_order()->kind, MSG_MONGODB_ORDER_PRIORITY);
    assert_int_equal(mon_order()->state, MSG_MONGODB_ORDER_DONE);
}

static void test_a_gray_primary_comes_before_the_layout(void **state)
{
    (void)state;
    struct msg_record r = w.c.record;
    r.revision++;
    r.mongodb.policy.gray = MSG_MONGODB_GRAY_STEPDOWN;
    load(r);
    mon.m[1].canary_ms = 20000;
    mon.m[2].priority_x10 = 0;
    mon.disobeys = true;
    mon_pass(3);
    assert_true(mon_is_open(MSG_MONGODB_ORDER_STEP_DOWN));
}

static void test_a_primary_is_not_emptied(void **state)
{
    (void)state;
    ask_task(MSG_TASK_REINIT, 1);
    assert_int_equal(w.answer, BASE_E_STATE);
    assert_int_equal(w.c.record.tasks_count, 0);
}

static void test_one_is_emptied_at_a_time(void **state)
{
    (void)state;
    mon.m[1].priority = 3;
    mon.disobeys = true;
    mon_pass(2);
    assert_true(mon_is_open(MSG_MONGODB_ORDER_PRIORITY)); /* both wait for its end */
    ask_task(MSG_TASK_REINIT, 2);
    ask_task(MSG_TASK_REINIT, 3);
    mon.disobeys = false;
    mon_pass(1);
    mon.disobeys = true;
    mon.m[2].priority_x10 = 0; /* and the layout comes after them */
    mon_pass(1);
    assert_int_equal(w.c.record.tasks_count, 2);
    assert_true(mon_is_open(MSG_MONGODB_ORDER_RESYNC));
    assert_string_equal(mon_order()->member.text, "mg2");
    assert_int_equal(w.c.record.epoch, 3);
}

static void test_a_reinit_of_one_that_became_primary_keeps_nobody_waiting(void **state)
{
    (void)state;
    mon.m[2].state = MSG_MONGODB_SYNCING; /* one at a time: it waits */
    mon_pass(3);
    ask_task(MSG_TASK_REINIT, 3);
    assert_int_equal(w.answer, 0);
    mon_pass(5);
    assert_true(mon_is_idle());
    mon.m[2].state = MSG_MONGODB_UNKNOWN;
    mon.primary = 3;
    mon.config.term = ++mon.term;
    mon_pass(5);
    assert_true(mon_is_idle());
    assert_int_equal(w.c.waiting.why, ARB_REFUSE_IS_HOLDER);
    assert_layout_goes_on(10);
    assert_int_equal(w.c.record.tasks_count, 1);
    ask_task(MSG_TASK_RESTART, 2);
    mon_pass(5);
    assert_int_equal(mon_order()->kind, MSG_MONGODB_ORDER_RESTART);
    assert_string_equal(mon_order()->member.text, "mg2");
}

static void test_a_task_of_a_silent_member_keeps_nobody_waiting(void **state)
{
    (void)state;
    mon.m[3].is_silent = true;
    mon_pass(20);
    ask_task(MSG_TASK_REINIT, 3);
    assert_int_equal(w.answer, 0);
    mon_pass(5);
    assert_true(mon_is_idle());
    assert_int_equal(w.c.waiting.why, ARB_REFUSE_SILENT);
    assert_layout_goes_on(10);
    assert_int_equal(w.c.record.tasks_count, 1);
    mon.m[3].is_silent = false;
    mon_pass(5);
    assert_int_equal(mon_order()->kind, MSG_MONGODB_ORDER_RESYNC);
    assert_string_equal(mon_order()->member.text, "mg3");
}

/* Seconds until an order is open, or none is. */
static unsigned pass_until(bool is_one_open)
{
    unsigned seconds = 0;
    while (mon_is_idle() == is_one_open && seconds < 300) {
        mon_pass(1);
        seconds++;
    }
    return seconds;
}

static void test_an_initiate_that_fails_is_put_off(void **state)
{
    (void)state;
    mon_blank(3, 0);
    mon.disobeys = true;
    (void)pass_until(true);
    assert_true(mon_is_open(MSG_MONGODB_ORDER_INITIATE));
    (void)pass_until(false);
    assert_int_equal(mon_order()->state, MSG_MONGODB_ORDER_FAILED);
    assert_in_range(pass_until(true), 8, 12);
    (void)pass_until(false);
    assert_in_range(pass_until(true), 18, 22); /* longer each time */
    assert_true(mon_is_open(MSG_MONGODB_ORDER_INITIATE));
}

static void test_who_is_watched_is_neither_restarted_nor_emptied(void **state)
{
    (void)state;
    mon.m[2].is_adopted = true;
    mon_pass(2);
    ask_task(MSG_TASK_RESTART, 2);
    assert_int_equal(w.answer, BASE_E_STATE);
    ask_task(MSG_TASK_REINIT, 2);
    assert_int_equal(w.answer, BASE_E_STATE);
    assert_int_equal(w.c.record.tasks_count, 0);
}

/* Its order times out: it is tried again later, and the layout does not wait for that. */
static void test_a_task_that_fails_is_put_off_alone(void **state)
{
    (void)state;
    mon_pass(2);
    mon.disobeys = true;
    ask_task(MSG_TASK_RESTART, 3);
    (void)pass_until(true);
    assert_true(mon_is_open(MSG_MONGODB_ORDER_RESTART));
    assert_int_equal(w.c.decision.cause, ARB_CAUSE_ASKED);
    (void)pass_until(false);
    assert_int_equal(mon_order()->state, MSG_MONGODB_ORDER_FAILED);
    mon_pass(1);
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_MONGODB_TASK_OFF);
    mon.disobeys = false;
    assert_layout_goes_on(5);
    assert_int_equal(w.c.record.tasks_count, 1);
    mon.disobeys = true;
    assert_in_range(pass_until(true), 1, 10);
    assert_true(mon_is_open(MSG_MONGODB_ORDER_RESTART));
    (void)pass_until(false);
    mon.disobeys = false;
    mon_pass(14);
    assert_true(mon_is_idle()); /* longer each time */
    mon_pass(11);
    assert_int_equal(mon_order()->kind, MSG_MONGODB_ORDER_RESTART);
    for (size_t i = 0; i < BASE_COUNT_OF(w.c.mongodb.waits); i++) {
        assert_int_equal(w.c.mongodb.waits[i].of, 0);
    }
}

static void test_each_of_two_that_fail_is_put_off_for_longer(void **state)
{
    (void)state;
    mon.disobeys = true;
    ask_task(MSG_TASK_RESTART, 2);
    ask_task(MSG_TASK_RESTART, 3);
    mon_pass(1500);
    unsigned failures = 0;
    for (size_t i = 0; i < BASE_COUNT_OF(w.c.mongodb.waits); i++) {
        failures += w.c.mongodb.waits[i].failures;
    }
    assert_int_equal(failures, w.c.record.epoch - (mon_is_idle() ? 1 : 2)); /* none is forgotten */
}

static void test_a_planned_restart_begins_in_time(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 2; n++) {
        mon_running(3, 0);
        struct arb_request r = mon_about(ARB_REQUEST_TASK, NULL);
        r.task = (struct msg_task){.kind = MSG_TASK_RESTART,
                                   .member = name_of(mon_name(n)),
                                   .at_wall_us = w.now.us + 100 * S};
        mon_request(r);
        assert_int_equal(w.answer, 0);
        mon_pass(99);
        assert_int_equal(mon.orders, 0);
        mon_pass(n == 1 ? 5 : 2); /* of the primary after all others */
        assert_true(mon.orders > 0);
    }
}

/* Its agent has done its part, and the server says for itself that it is there again. */
static void test_a_restart_is_done_when_it_answers(void **state)
{
    static const struct {
        enum msg_mongodb_state said;
        bool is_done;
    } rows[] = {{MSG_MONGODB_DOWN, false},       {MSG_MONGODB_HELD, false},
                {MSG_MONGODB_STARTING, false},   {MSG_MONGODB_ABSENT, false},
                {MSG_MONGODB_HUNG, false},       {MSG_MONGODB_SECONDARY, true},
                {MSG_MONGODB_RECOVERING, true},  {MSG_MONGODB_SYNCING, true},
                {MSG_MONGODB_ROLLING_BACK, true}};
    (void)state;
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        mon_running(3, 0);
        mon.disobeys = true;
        ask_task(MSG_TASK_RESTART, 3);
        mon_pass(1);
        assert_true(mon_is_open(MSG_MONGODB_ORDER_RESTART));
        mon.m[3].state = rows[i].said;
        mon.m[3].is_down = rows[i].said == MSG_MONGODB_DOWN;
        mon_pass(3);
        assert_true(mon_is_open(MSG_MONGODB_ORDER_RESTART));
        mon.m[3].order_epoch = mon_order()->epoch;
        mon.m[3].is_order_done = true;
        mon_round();
        assert_int_equal(was_said(ARB_NOTE_MONGODB_ORDER_DONE), rows[i].is_done);
    }
}

/* With nothing left it is in no configuration, and that is where it begins. */
static void test_one_that_was_emptied_is_there_when_it_answers(void **state)
{
    (void)state;
    mon.disobeys = true;
    ask_task(MSG_TASK_REINIT, 3);
    mon_pass(1);
    assert_true(mon_is_open(MSG_MONGODB_ORDER_RESYNC));
    mon.m[3].is_down = true;
    mon.m[3].has_data = false;
    mon.m[3].order_epoch = mon_order()->epoch;
    mon.m[3].is_order_done = true;
    mon_pass(1);
    assert_true(mon_is_open(MSG_MONGODB_ORDER_RESYNC));
    mon.m[3].is_down = false;
    mon.m[3].state = MSG_MONGODB_ABSENT;
    mon_round();
    assert_true(was_said(ARB_NOTE_MONGODB_ORDER_DONE));
}

/* The report that ends it has some: one entry a step. */
static void test_the_end_of_an_order_comes_before_what_is_news(void **state)
{
    (void)state;
    for (unsigned is_late = 0; is_late <= 1; is_late++) {
        mon_running(3, 0);
        mon.disobeys = true;
        mon.m[3].votes = 0;
        mon_pass(is_late == 1 ? 40 : 2);
        assert_true(mon_is_open(MSG_MONGODB_ORDER_VOTE));
        wait_us(is_late == 1 ? 3 * S : S);
        mon.m[1].order_epoch = mon_order()->epoch;
        mon.m[1].is_order_done = is_late == 0;
        mon.m[1].order_status = BASE_E_DENIED;
        mon.config.version++;
        mon_speak(1);
        assert_int_equal(mon_order()->state, MSG_MONGODB_ORDER_FAILED);
        assert_int_equal(mon_order()->status, is_late == 1 ? BASE_E_TIMEOUT : BASE_E_DENIED);
    }
}

/* The order was given by a leader that is gone: by its member and kind the next one knows of which
 * task it is. */
static void test_a_new_leader_puts_off_the_task_alone_too(void **state)
{
    (void)state;
    static const struct {
        enum msg_task_kind task;
        enum msg_mongodb_order_kind order;
    } rows[] = {{MSG_TASK_RESTART, MSG_MONGODB_ORDER_RESTART},
                {MSG_TASK_REINIT, MSG_MONGODB_ORDER_RESYNC}};
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        mon_running(3, 0);
        mon.disobeys = true;
        ask_task(rows[i].task, 3);
        (void)pass_until(true);
        assert_true(mon_is_open(rows[i].order));
        run((struct arb_event){.kind = ARB_EVENT_LOST});
        lead(6);
        mon_pass(1);
        (void)pass_until(false);
        assert_int_equal(mon_order()->state, MSG_MONGODB_ORDER_FAILED);
        mon_pass(1);
        assert_int_equal(w.c.waiting.kind, ARB_NOTE_MONGODB_TASK_OFF);
        mon.disobeys = false;
        assert_layout_goes_on(5);
        assert_int_equal(w.c.record.tasks_count, 1);
    }
}

/* Of the primary something is planned besides. */
static void test_a_new_leader_takes_a_switchover_for_no_task(void **state)
{
    (void)state;
    struct arb_request r = mon_about(ARB_REQUEST_TASK, NULL);
    r.task = (struct msg_task){
        .kind = MSG_TASK_RESTART, .member = name_of("mg1"), .at_wall_us = w.now.us + 3600 * S};
    mon_request(r);
    mon.disobeys = true;
    mon_request(mon_about(ARB_REQUEST_SWITCHOVER, "mg3"));
    run((struct arb_event){.kind = ARB_EVENT_LOST});
    lead(6);
    assert_true(mon_is_open(MSG_MONGODB_ORDER_SWITCHOVER));
    (void)pass_until(false);
    mon_pass(1);
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_MONGODB_BACK_OFF);
}

/* A reload is the agent's to end, and may take as long as it likes. */
static void test_a_task_whose_end_is_awaited_keeps_nobody_waiting(void **state)
{
    (void)state;
    struct msg_record r = w.c.record;
    r.revision++;
    r.tasks[r.tasks_count++] =
        (struct msg_task){.id = 5, .kind = MSG_TASK_RELOAD, .member = name_of("mg3")};
    load(r);
    assert_layout_goes_on(5);
    assert_int_equal(w.c.record.tasks_count, 1);
}

/* Likewise a primary that is drained and cannot hand over. */
static void test_a_drain_that_fails_is_put_off_alone(void **state)
{
    (void)state;
    mon.disobeys = true;
    mon_request(mon_about(ARB_REQUEST_DRAIN, "mg1"));
    (void)pass_until(true);
    assert_true(mon_is_open(MSG_MONGODB_ORDER_SWITCHOVER));
    assert_int_equal(w.c.decision.cause, ARB_CAUSE_DRAINED);
    assert_string_equal(w.c.decision.from.text, "mg1");
    assert_string_equal(w.c.decision.to.text, mon_order()->subject.text);
    (void)pass_until(false);
    mon_pass(1);
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_MONGODB_DRAIN_OFF);
    mon.disobeys = false;
    assert_layout_goes_on(5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MON_TEST(test_a_rolling_restart_takes_the_primary_last),
        MON_TEST(test_a_restart_without_a_time_depends_on_no_clock),
        MON_TEST(test_nobody_reads_its_file_anew),
        MON_TEST(test_a_gray_primary_comes_before_the_layout),
        MON_TEST(test_a_primary_is_not_emptied),
        MON_TEST(test_one_is_emptied_at_a_time),
        MON_TEST(test_a_reinit_of_one_that_became_primary_keeps_nobody_waiting),
        MON_TEST(test_a_task_of_a_silent_member_keeps_nobody_waiting),
        MON_TEST(test_an_initiate_that_fails_is_put_off),
        MON_TEST(test_who_is_watched_is_neither_restarted_nor_emptied),
        MON_TEST(test_a_task_that_fails_is_put_off_alone),
        MON_TEST(test_each_of_two_that_fail_is_put_off_for_longer),
        MON_TEST(test_a_planned_restart_begins_in_time),
        MON_TEST(test_a_restart_is_done_when_it_answers),
        MON_TEST(test_one_that_was_emptied_is_there_when_it_answers),
        MON_TEST(test_the_end_of_an_order_comes_before_what_is_news),
        MON_TEST(test_a_new_leader_puts_off_the_task_alone_too),
        MON_TEST(test_a_new_leader_takes_a_switchover_for_no_task),
        MON_TEST(test_a_task_whose_end_is_awaited_keeps_nobody_waiting),
        MON_TEST(test_a_drain_that_fails_is_put_off_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
