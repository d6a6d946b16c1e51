/* SPDX-License-Identifier: Apache-2.0 */
/* Orders to members, planned switchovers, drained and removed members in the arbiter's core. */
#include "tests/unit/arb_scene.h"

static void ask(struct arb_request r)
{
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &r});
}

static void ask_member(enum arb_request_kind kind, const char *member)
{
    struct arb_request r = {.kind = kind};
    if (member != NULL) {
        r.candidate = name_of(member);
    }
    ask(r);
}

static void order(enum msg_task_kind kind, const char *member, int64_t at_wall_us)
{
    ask((struct arb_request){
        .kind = ARB_REQUEST_TASK,
        .task = {.kind = kind, .member = name_of(member), .at_wall_us = at_wall_us}});
}

static const struct msg_task *task_of(const char *member)
{
    struct base_name name = name_of(member);
    for (uint8_t i = 0; i < w.c.record.tasks_count; i++) {
        if (base_name_equal(&w.c.record.tasks[i].member, &name)) {
            return &w.c.record.tasks[i];
        }
    }
    return NULL;
}

static uint64_t task_id(const char *member)
{
    const struct msg_task *task = task_of(member);
    return task == NULL ? 0 : task->id;
}

static bool has_begun(const char *member)
{
    const struct msg_task *task = task_of(member);
    return task != NULL && task->at_wall_us == 0;
}

static struct msg_report ended(const char *member, int32_t status)
{
    struct msg_report r = is_holder(member) ? primary_of(member) : report_of(member);
    const struct msg_task *task = task_of(member);
    r.task_id = task == NULL ? 0 : task->id;
    r.task_status = status;
    return r;
}

/* --- orders to members --- */

static void test_restarts_go_one_at_a_time_and_the_holder_last(void **state)
{
    (void)state;
    all_speak();
    order(MSG_TASK_RESTART, "pg1", 0);
    assert_int_equal(w.answer, 0);
    assert_true(was_said(ARB_NOTE_TASK));
    w.holds_swap = true; /* the three are there before the first turn comes */
    run((struct arb_event){.kind = ARB_EVENT_SWAP_ENDED});
    w.holds_swap = false;
    struct msg_record r = w.c.record;
    int64_t now = w.now.us;
    r.tasks_count = 3;
    r.tasks[0] = (struct msg_task){
        .id = 5, .kind = MSG_TASK_RESTART, .member = name_of("pg1"), .at_wall_us = now};
    r.tasks[1] = (struct msg_task){
        .id = 6, .kind = MSG_TASK_RESTART, .member = name_of("pg3"), .at_wall_us = now};
    r.tasks[2] = (struct msg_task){
        .id = 7, .kind = MSG_TASK_RESTART, .member = name_of("pg2"), .at_wall_us = now};
    r.revision++;
    load(r);
    assert_true(has_begun("pg3"));
    assert_false(has_begun("pg1") || has_begun("pg2"));
    struct msg_report down = report_of("pg3");
    down.is_receiving = false;
    send(down);
    assert_false(has_begun("pg2"));
    down = ended("pg3", 0);
    down.is_receiving = false;
    send(down);
    assert_null(task_of("pg3"));
    assert_false(has_begun("pg2")); /* pg3 does not stream yet */
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_TASK_WAITS);
    send(report_of("pg3"));
    assert_true(has_begun("pg2"));
    assert_false(has_begun("pg1"));
    send(ended("pg2", BASE_E_TIMEOUT));
    assert_null(task_of("pg2"));
    assert_true(has_begun("pg1"));
    assert_true(is_holder("pg1") && w.c.record.epoch == 3);
    send(ended("pg1", 0));
    assert_int_equal(w.c.record.tasks_count, 0);
}

static void test_the_end_of_a_task_is_said(void **state)
{
    (void)state;
    all_speak();
    order(MSG_TASK_RELOAD, "pg2", 0);
    assert_true(has_begun("pg2")); /* disturbs nobody */
    w.holds_swap = true;
    send(ended("pg2", BASE_E_TIMEOUT));
    assert_true(was_said(ARB_NOTE_TASK_FAILED));
    uint8_t memory[256];
    struct buf b = buf_over(memory, sizeof(memory));
    for (uint8_t i = 0; i < w.fx.notes_count; i++) {
        if (w.fx.notes[i].kind == ARB_NOTE_TASK_FAILED) {
            arb_note_put(&w.fx.notes[i], &b);
        }
    }
    assert_true(slice_equal(buf_slice(&b), SLICE_LIT("reload of pg2 failed: timed out (3000010)")));
}

static void test_the_holders_restart_waits_for_standbys_that_must_go_first(void **state)
{
    (void)state;
    all_speak();
    struct msg_report pending = report_of("pg2");
    pending.is_restart_pending = true;
    send(pending);
    order(MSG_TASK_RESTART, "pg1", 0);
    tick();
    assert_false(has_begun("pg1"));
    assert_int_equal(w.c.waiting.why, ARB_REFUSE_RESTART_PENDING);
    send(report_of("pg2"));
    assert_true(has_begun("pg1"));
}

static void test_a_directory_of_the_holder_is_never_thrown_away(void **state)
{
    (void)state;
    all_speak();
    order(MSG_TASK_REINIT, "pg1", 0);
    assert_int_equal(w.answer, BASE_E_STATE);
    assert_int_equal(w.c.record.tasks_count, 0);
    order(MSG_TASK_REINIT, "pg2", w.now.us + 100 * S);
    assert_int_equal(w.answer, 0);
    send(handback_of("pg1"));
    send(vote_of("pg2", 3, 5000));
    send(vote_of("pg3", 3, 4999));
    assert_true(is_holder("pg2"));
    send(primary_of("pg2"));
    confirm();
    send(primary_of("pg2"));
    assert_int_equal(w.c.record.tasks_count, 0); /* dropped: it is the primary by now */
}

static void test_a_planned_task_waits_for_its_time(void **state)
{
    (void)state;
    all_speak();
    order(MSG_TASK_RESTART, "pg2", w.now.us + S);
    tick();
    assert_false(has_begun("pg2"));
    wait_us(S);
    send(report_of("pg2"));
    send(report_of("pg3"));
    send(primary_of("pg1"));
    assert_true(has_begun("pg2"));
}

/* The clock of the one who was asked was a day ahead of the next leader's. */
static void test_an_order_without_a_time_depends_on_no_clock(void **state)
{
    static const char *const all[] = {"pg2", "pg3"};
    (void)state;
    all_speak();
    w.wall_ahead_us = 86400 * S;
    for (size_t i = 0; i < BASE_COUNT_OF(all); i++) {
        order(MSG_TASK_RESTART, all[i], 0);
        assert_int_equal(w.answer, 0);
    }
    w.wall_ahead_us = 0;
    lead(w.c.term + 1);
    all_speak();
    all_speak();
    assert_true(has_begun("pg2"));
    send(ended("pg2", 0));
    all_speak();
    assert_true(has_begun("pg3"));
}

/* Also the first moment that there is: what is asked for a time is not "now". */
static void test_an_order_keeps_the_time_that_it_was_given(void **state)
{
    static const int64_t times[] = {1, INT64_MAX};
    (void)state;
    all_speak();
    for (size_t i = 0; i < BASE_COUNT_OF(times); i++) {
        w.holds_swap = true;
        order(MSG_TASK_RESTART, "pg2", times[i]);
        assert_int_equal(w.answer, 0);
        assert_string_equal(w.fx.answer_text.text, "pg2 is asked when the time has come");
        assert_int_equal(w.fx.record.tasks[0].at_wall_us, times[i]);
        run((struct arb_event){.kind = ARB_EVENT_SWAP_ENDED});
    }
}

static void test_only_what_is_pending_is_restarted_if_asked_so(void **state)
{
    (void)state;
    all_speak();
    struct arb_request r = {
        .kind = ARB_REQUEST_TASK,
        .task = {.kind = MSG_TASK_RESTART, .member = name_of("pg2"), .is_pending_only = true}};
    ask(r);
    assert_int_equal(w.answer, 0);
    assert_int_equal(w.c.record.tasks_count, 0);
    r.task.at_wall_us = w.now.us + S;
    ask(r);
    assert_int_equal(w.c.record.tasks_count, 1);
    wait_us(S);
    send(report_of("pg2"));
    assert_int_equal(w.c.record.tasks_count, 0);
}

static void test_orders_are_bounded_and_not_doubled(void **state)
{
    (void)state;
    all_speak();
    order(MSG_TASK_RESTART, "pg2", w.now.us + S);
    order(MSG_TASK_RESTART, "pg2", w.now.us + S);
    assert_int_equal(w.answer, BASE_E_EXISTS);
    order(MSG_TASK_RESTART, "pg9", 0);
    assert_int_equal(w.answer, BASE_E_NOTFOUND);
    struct msg_record r = w.c.record;
    r.tasks_count = MSG_TASKS_MAX;
    for (uint8_t i = 0; i < MSG_TASKS_MAX; i++) {
        r.tasks[i] = (struct msg_task){
            .id = 5, .kind = MSG_TASK_RESTART, .member = name_of("pg2"), .at_wall_us = INT64_MAX};
    }
    r.revision++;
    load(r);
    order(MSG_TASK_RELOAD, "pg3", 0);
    assert_int_equal(w.answer, BASE_E_BUSY);
}

static void test_the_tasks_of_a_lost_member_can_be_canceled(void **state)
{
    (void)state;
    all_speak();
    order(MSG_TASK_RESTART, "pg2", 0);
    order(MSG_TASK_RELOAD, "pg3", w.now.us + 100 * S);
    assert_int_equal(w.c.record.tasks_count, 2);
    ask_member(ARB_REQUEST_CANCEL, "pg2");
    assert_int_equal(w.answer, 0);
    assert_null(task_of("pg2"));
    assert_non_null(task_of("pg3"));
    ask_member(ARB_REQUEST_CANCEL, "pg2");
    assert_int_equal(w.answer, BASE_E_NOTFOUND);
    ask_member(ARB_REQUEST_CANCEL, NULL);
    assert_int_equal(w.c.record.tasks_count, 0);
}

static void test_the_tasks_of_a_removed_member_go_with_it(void **state)
{
    (void)state;
    all_speak();
    send(report_of("pg4"));
    order(MSG_TASK_RELOAD, "pg4", w.now.us + 100 * S);
    order(MSG_TASK_RELOAD, "pg3", w.now.us + 100 * S);
    order(MSG_TASK_RESTART, "pg4", w.now.us + 100 * S);
    assert_int_equal(w.c.record.tasks_count, 3);
    wait_us(10 * S);
    ask_member(ARB_REQUEST_REMOVE, "pg4");
    assert_int_equal(w.answer, 0);
    assert_null(task_of("pg4"));
    assert_non_null(task_of("pg3"));
    assert_int_equal(w.c.record.tasks_count, 1);
}

/* --- a clone of a voter --- */

static bool is_voter(const char *member)
{
    struct base_name name = name_of(member);
    return arb_names_has(&w.c.record.voters, &name);
}

/* The holder does what it was told last, and its standbys stream. */
static void go_on(void)
{
    static const char *const standbys[] = {"pg2", "pg3"};
    struct msg_report r = primary_of("pg1");
    r.standbys_count = 0;
    for (size_t i = 0; i < BASE_COUNT_OF(standbys); i++) {
        send(report_of(standbys[i]));
        r.standbys[r.standbys_count++] = (struct msg_standby){name_of(standbys[i]), 5000, 1, 1};
    }
    if (w.has_order[1] && w.order[1].has_sync) {
        r.sync_names = w.order[1].sync_names;
        r.sync_count = w.order[1].sync_count;
    }
    send(r);
    confirm();
    wait_us(100 * MS);
}

static void test_s5_a_voter_leaves_the_set_before_its_copy_is_thrown_away(void **state)
{
    (void)state;
    all_speak();
    order(MSG_TASK_REINIT, "pg2", 0);
    order(MSG_TASK_REINIT, "pg3", 0);
    assert_false(has_begun("pg2"));
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_TASK_WAITS);
    assert_int_equal(w.c.waiting.why, ARB_REFUSE_IS_VOTER);
    for (int i = 0; i < 10 && !has_begun("pg2"); i++) {
        go_on();
        assert_true(is_voter("pg3")); /* one at a time */
        assert_false(has_begun("pg2") && is_voter("pg2"));
    }
    assert_true(has_begun("pg2"));
    for (int i = 0; i < 10; i++) { /* streaming, but its end is not told yet */
        go_on();
        assert_true(!is_voter("pg2") && is_voter("pg3") && !has_begun("pg3"));
    }
    send(ended("pg2", 0));
    for (int i = 0; i < 20 && !has_begun("pg3"); i++) {
        go_on();
    }
    assert_true(has_begun("pg3") && is_voter("pg2") && !is_voter("pg3"));
}

/* Commits would wait for nobody at all: an operator is told, and the order waits. */
static void test_s5_a_last_voter_is_not_thrown_away_in_strict_mode(void **state)
{
    (void)state;
    struct msg_record r = base_record();
    r.is_sync_strict = true;
    r.sync_count = 2;
    r.votes_needed_r = 2;
    r.revision++;
    load(r);
    all_speak();
    order(MSG_TASK_REINIT, "pg2", 0);
    for (int i = 0; i < 20; i++) {
        go_on();
        assert_true(is_voter("pg2") && !has_begun("pg2"));
    }
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_TASK_WAITS);
    assert_int_equal(w.c.waiting.why, ARB_REFUSE_LAST_VOTER);
    order(MSG_TASK_RELOAD, "pg3", w.now.us + 1);
    wait_us(1);
    go_on();
    assert_true(has_begun("pg3")); /* keeps nobody waiting that disturbs nobody */
}

/* The store is an older one again, in an epoch above: what was done before is not this order. */
static void test_s1_an_order_after_a_restore_has_an_id_of_its_own(void **state)
{
    all_speak();
    uint64_t revision = w.c.record.revision;
    order(MSG_TASK_RELOAD, "pg2", 0);
    uint64_t id = task_id("pg2");
    assert_int_equal(setup(state), 0);
    struct msg_record r = base_record();
    r.epoch = 1003;
    r.revision = revision;
    r.timeline = r.timeline_highest = 1003;
    load(r);
    send(report_of("pg2"));
    order(MSG_TASK_RELOAD, "pg2", 0);
    assert_true(id > 0 && task_id("pg2") > id);
}

/* --- planned switchovers --- */

static void plan(const char *to, int64_t at_wall_us)
{
    struct arb_request r = {.kind = ARB_REQUEST_SWITCHOVER, .at_wall_us = at_wall_us};
    if (to != NULL) {
        r.candidate = name_of(to);
    }
    ask(r);
}

static void test_s8_a_planned_switchover_is_checked_again_when_it_is_due(void **state)
{
    (void)state;
    all_speak();
    plan("pg2", w.now.us - 1);
    assert_int_equal(w.answer, BASE_E_INVALID);
    plan("pg2", w.now.us + 500 * MS);
    assert_int_equal(w.answer, 0);
    wait_us(500 * MS);
    struct msg_report tagged = report_of("pg2");
    tagged.is_nofailover = true;
    send(tagged);
    assert_int_equal(w.c.record.state, MSG_RECORD_RUNNING);
    assert_int_equal(w.c.record.switchover_at_wall_us, 0);
    plan(NULL, w.now.us + 500 * MS);
    assert_int_equal(w.answer, 0);
    wait_us(250 * MS);
    send(report_of("pg3"));
    send(primary_of("pg1"));
    wait_us(250 * MS);
    tick();
    assert_int_equal(w.c.record.state, MSG_RECORD_SWITCHOVER);
    struct base_name pg3 = name_of("pg3");
    assert_true(base_name_equal(&w.c.record.target, &pg3));
    assert_int_equal(w.c.record.switchover_at_wall_us, 0);
}

/* Nobody decided for so long. */
static enum msg_record_state planned_and_late(int64_t us)
{
    assert_int_equal(setup(NULL), 0);
    all_speak();
    plan(NULL, w.now.us + S);
    w.wall_ahead_us = S + us;
    send(report_of("pg2"));
    assert_int_equal(w.c.record.switchover_at_wall_us, 0);
    return w.c.record.state;
}

static void test_s8_a_planned_switchover_that_is_a_minute_late_is_dropped(void **state)
{
    (void)state;
    assert_int_equal(planned_and_late(ARB_SCHEDULE_LATE_US), MSG_RECORD_SWITCHOVER);
    assert_int_equal(planned_and_late(ARB_SCHEDULE_LATE_US + 1), MSG_RECORD_RUNNING);
}

static void test_s8_a_switchover_can_be_canceled_before_the_stop(void **state)
{
    (void)state;
    all_speak();
    plan("pg2", w.now.us + 100 * S);
    plan("pg2", 0);
    assert_int_equal(w.c.record.state, MSG_RECORD_SWITCHOVER);
    ask_member(ARB_REQUEST_CANCEL, NULL);
    assert_int_equal(w.answer, 0);
    assert_int_equal(w.c.record.state, MSG_RECORD_RUNNING);
    assert_true(is_holder("pg1") && w.c.record.epoch == 3);
    plan("pg2", 0);
    struct msg_report stopped = primary_of("pg1");
    stopped.db_state = MSG_DB_STOPPED;
    stopped.is_open = false;
    send(stopped);
    ask_member(ARB_REQUEST_CANCEL, NULL);
    assert_int_equal(w.answer, BASE_E_STATE);
}

static void test_s8_a_planned_switchover_can_be_canceled_alone(void **state)
{
    (void)state;
    struct arb_request alone = {.kind = ARB_REQUEST_CANCEL, .is_planned = true};
    all_speak();
    order(MSG_TASK_RELOAD, "pg3", w.now.us + 100 * S);
    ask(alone);
    assert_int_equal(w.answer, BASE_E_NOTFOUND);
    plan("pg2", w.now.us + 100 * S);
    ask(alone);
    assert_int_equal(w.answer, 0);
    assert_int_equal(w.c.record.switchover_at_wall_us, 0);
    assert_int_equal(w.c.record.tasks_count, 1);
    plan("pg2", 0);
    ask(alone);
    assert_int_equal(w.answer, BASE_E_NOTFOUND); /* it is under way */
    assert_int_equal(w.c.record.state, MSG_RECORD_SWITCHOVER);
}

static void test_s8_a_planned_switchover_is_canceled_with_all_else(void **state)
{
    (void)state;
    all_speak();
    plan("pg2", w.now.us + 100 * S);
    ask_member(ARB_REQUEST_CANCEL, NULL);
    assert_int_equal(w.answer, 0);
    assert_int_equal(w.swap_kind, ARB_DECIDE_SCHEDULE);
    assert_int_equal(w.c.record.switchover_at_wall_us, 0);
    plan("pg2", 0);
    plan("pg2", w.now.us + 100 * S);
    ask_member(ARB_REQUEST_CANCEL, NULL);
    assert_int_equal(w.swap_kind, ARB_DECIDE_ABANDON); /* also of the one that is under way */
    assert_int_equal(w.c.record.switchover_at_wall_us, 0);
}

/* --- drained and removed --- */

static void test_a_drained_member_takes_no_role(void **state)
{
    (void)state;
    all_speak();
    ask_member(ARB_REQUEST_DRAIN, "pg2");
    assert_int_equal(w.answer, 0);
    struct arb_set target = arb_sync_target(&w.c, w.now);
    struct base_name pg2 = name_of("pg2");
    assert_false(arb_names_has(&target.names, &pg2));
    send(handback_of("pg1"));
    send(vote_of("pg2", 3, 5000));
    send(vote_of("pg3", 3, 5000));
    assert_true(is_holder("pg3"));
}

static void test_a_drained_holder_hands_over_when_somebody_can_take_over(void **state)
{
    (void)state;
    all_speak();
    wait_us(S);
    send(primary_of("pg1"));
    confirm();
    ask_member(ARB_REQUEST_DRAIN, "pg1");
    assert_int_equal(w.answer, BASE_E_STATE); /* nobody is heard */
    struct arb_request r = {
        .kind = ARB_REQUEST_DRAIN, .candidate = name_of("pg1"), .is_forced = true};
    ask(r);
    assert_int_equal(w.answer, 0);
    tick();
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_DRAIN_WAITS);
    send(report_of("pg2"));
    assert_int_equal(w.c.record.state, MSG_RECORD_SWITCHOVER);
    ask_member(ARB_REQUEST_UNDRAIN, "pg1");
    assert_int_equal(w.answer, 0);
    ask_member(ARB_REQUEST_UNDRAIN, "pg1");
    assert_int_equal(w.answer, BASE_E_STATE);
}

static void test_a_drain_that_waits_holds_nothing_else_up(void **state)
{
    (void)state;
    all_speak();
    wait_us(S);
    struct arb_request r = {
        .kind = ARB_REQUEST_DRAIN, .candidate = name_of("pg1"), .is_forced = true};
    ask(r);
    for (int i = 0; i < 8; i++) { /* no standby is heard: no commit is to wait for one */
        wait_us(S);
        send(primary_of("pg1"));
        confirm();
    }
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_DRAIN_WAITS);
    assert_int_equal(w.c.record.votes_needed_r, 0);
}

static void test_a_member_that_is_gone_is_forgotten(void **state)
{
    struct base_name pg4 = name_of("pg4");
    (void)state;
    all_speak();
    send(report_of("pg4"));
    ask_member(ARB_REQUEST_REMOVE, "pg4");
    assert_int_equal(w.answer, BASE_E_STATE); /* it is heard */
    ask_member(ARB_REQUEST_DRAIN, "pg4");
    wait_us(S);
    ask_member(ARB_REQUEST_REMOVE, "pg1");
    assert_int_equal(w.answer, BASE_E_STATE); /* the holder */
    ask_member(ARB_REQUEST_REMOVE, "pg2");
    assert_int_equal(w.answer, BASE_E_STATE); /* a voter */
    ask_member(ARB_REQUEST_REMOVE, "pg4");
    assert_int_equal(w.answer, 0);
    assert_int_equal(w.c.record.drained.count, 0);
    run((struct arb_event){.kind = ARB_EVENT_FORGET, .member = &pg4});
    assert_int_equal(arb_view_find(&w.c, &pg4), ARB_NOBODY);
    struct base_name pg2 = name_of("pg2");
    run((struct arb_event){.kind = ARB_EVENT_FORGET, .member = &pg2});
    assert_int_not_equal(arb_view_find(&w.c, &pg2), ARB_NOBODY); /* recorded commits rest on it */
}

static void test_a_cluster_is_removed_when_nobody_is_heard(void **state)
{
    (void)state;
    all_speak();
    ask_member(ARB_REQUEST_REMOVE, NULL);
    assert_int_equal(w.answer, BASE_E_STATE);
    wait_us(S);
    ask_member(ARB_REQUEST_REMOVE, NULL);
    assert_int_equal(w.answer, BASE_E_BUSY); /* the lease may run */
    wait_us(5 * S);
    ask_member(ARB_REQUEST_REMOVE, NULL);
    assert_int_equal(w.answer, 0);
    assert_false(w.fx.has_swap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_restarts_go_one_at_a_time_and_the_holder_last),
        TEST(test_the_end_of_a_task_is_said),
        TEST(test_the_holders_restart_waits_for_standbys_that_must_go_first),
        TEST(test_a_directory_of_the_holder_is_never_thrown_away),
        TEST(test_a_planned_task_waits_for_its_time),
        TEST(test_an_order_without_a_time_depends_on_no_clock),
        TEST(test_an_order_keeps_the_time_that_it_was_given),
        TEST(test_only_what_is_pending_is_restarted_if_asked_so),
        TEST(test_orders_are_bounded_and_not_doubled),
        TEST(test_the_tasks_of_a_lost_member_can_be_canceled),
        TEST(test_the_tasks_of_a_removed_member_go_with_it),
        TEST(test_s8_a_planned_switchover_is_checked_again_when_it_is_due),
        TEST(test_s8_a_planned_switchover_that_is_a_minute_late_is_dropped),
        TEST(test_s8_a_switchover_can_be_canceled_before_the_stop),
        TEST(test_s5_a_voter_leaves_the_set_before_its_copy_is_thrown_away),
        TEST(test_s5_a_last_voter_is_not_thrown_away_in_strict_mode),
        TEST(test_s1_an_order_after_a_restore_has_an_id_of_its_own),
        TEST(test_s8_a_planned_switchover_can_be_canceled_alone),
        TEST(test_s8_a_planned_switchover_is_canceled_with_all_else),
        TEST(test_a_drained_member_takes_no_role),
        TEST(test_a_drained_holder_hands_over_when_somebody_can_take_over),
        TEST(test_a_drain_that_waits_holds_nothing_else_up),
        TEST(test_a_member_that_is_gone_is_forgotten),
        TEST(test_a_cluster_is_removed_when_nobody_is_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
