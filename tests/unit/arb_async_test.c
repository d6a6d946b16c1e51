/* SPDX-License-Identifier: Apache-2.0 */
/* Failovers of a cluster whose commits wait for nobody: what is known of the loss, and when it is
 * not known. */
#include "tests/unit/arb_scene.h"

#include <stdlib.h>
#include <string.h>

static void make_async(void)
{
    struct msg_record r = base_record();
    r.sync_mode = MSG_SYNC_ASYNC;
    r.voters = names(NULL, NULL);
    r.votes_needed_r = 0;
    r.revision++;
    load(r);
}

static void test_s4_async_takes_the_best_within_the_lag_limit(void **state)
{
    (void)state;
    make_async();
    all_speak(); /* the holder was at 5000 */
    wait_us(3 * S);
    send(report_of("pg2"));
    send(report_of("pg3"));
    assert_int_equal(w.order[3].goal, MSG_GOAL_VOTE);
    send(vote_of("pg2", 3, 3999)); /* lags 1001 */
    assert_true(is_holder("pg1"));
    send(vote_of("pg3", 3, 4000)); /* lags 1000: the limit */
    assert_true(is_holder("pg3"));
    assert_true(w.c.decision.is_loss_possible);
    assert_int_equal(w.c.decision.loss_bound_bytes, 1000);
}

static void test_s4_async_beyond_the_lag_limit_says_who_lacks_what(void **state)
{
    uint8_t memory[256];
    struct buf text = buf_over(memory, sizeof(memory));
    (void)state;
    make_async();
    all_speak(); /* the holder was at 5000, and the limit is 1000 */
    wait_us(3 * S);
    send(report_of("pg2"));
    send(report_of("pg3"));
    send(vote_of("pg2", 3, 3000));
    send(vote_of("pg3", 3, 3500));
    wait_us(S);
    send(vote_of("pg2", 3, 3000));
    assert_true(is_holder("pg1"));
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_WAITS_LAG);
    assert_string_equal(w.c.waiting.member.text, "pg3");
    assert_int_equal(w.c.waiting.a, 1500);
    arb_note_put(&w.c.waiting, &text);
    assert_true(buf_terminate(&text));
    assert_non_null(strstr((const char *)memory, "pg3 is the most advanced and lacks 1500 bytes"));
}

/* The holder has opened and written nothing: who has all up to the opening lacks nothing. */
static void test_s4_async_with_a_limit_of_0_who_lacks_nothing_takes_over(void **state)
{
    (void)state;
    make_async();
    struct msg_record r = w.c.record;
    r.maximum_lag_bytes = 0;
    r.revision++;
    load(r);
    struct msg_report holder = primary_of("pg1");
    holder.position.lsn = r.floor.lsn;
    send(holder);
    confirm();
    wait_us(3 * S);
    tick();
    send(vote_of("pg2", r.floor.lineage, r.floor.lsn));
    assert_true(is_holder("pg2"));
    assert_int_equal(w.c.decision.loss_bound_bytes, 0);
}

/* The holder told where it stood before it had opened anything itself. */
static void test_s4_async_who_is_on_a_later_line_than_was_told_lacks_nothing(void **state)
{
    (void)state;
    make_async();
    struct msg_record r = w.c.record;
    r.epoch = 5;
    r.revision++;
    load(r);
    struct msg_report holder = primary_of("pg1");
    holder.position = (struct msg_position){3, 3, 4500};
    send(holder);
    confirm();
    wait_us(3 * S);
    tick();
    send(vote_of("pg2", 4, 4300));
    assert_true(is_holder("pg2"));
    assert_int_equal(w.c.decision.loss_bound_bytes, 0);
}

static void test_s4_async_without_a_known_position_waits(void **state)
{
    (void)state;
    make_async();
    wait_us(3 * S);
    struct msg_report r = report_of("pg2");
    r.position.lineage = 2;
    send(r);
    send(vote_of("pg2", 2, 5000));
    assert_true(is_holder("pg1"));
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_WAITS_POSITION);
}

/* A quorum node that was restarted, and leads, hears of a holder that is gone from standbys alone.
 */
static void test_s4_async_standbys_do_not_tell_how_far_the_holder_was(void **state)
{
    (void)state;
    make_async();
    wait_us(3 * S);
    send(report_of("pg2"));
    send(vote_of("pg2", 3, 3000)); /* the holder may have been anywhere beyond */
    assert_true(is_holder("pg1"));
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_WAITS_POSITION);
    struct msg_report stopped = report_of("pg1"); /* in the end it says so itself */
    stopped.epoch_held = 0;
    stopped.db_state = MSG_DB_STOPPED;
    stopped.position.lsn = 3500;
    send(stopped);
    wait_us(S);
    send(vote_of("pg2", 3, 3000)); /* pg2 itself had said 5000 before */
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_WAITS_LAG);
    assert_int_equal(w.c.waiting.a, 2000);
}

/* Nobody armed it, and what it has is of an epoch before. */
static void test_s4_async_a_holder_that_holds_nothing_tells_of_its_own_line_alone(void **state)
{
    (void)state;
    make_async();
    wait_us(3 * S);
    struct msg_report stopped = report_of("pg1");
    stopped.db_state = MSG_DB_STOPPED;
    stopped.position = (struct msg_position){2, 2, 4500};
    send(stopped);
    send(report_of("pg2"));
    send(vote_of("pg2", 2, 4500));
    assert_true(is_holder("pg1"));
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_WAITS_POSITION);
}

/* It followed while the holder was heard by others alone, who granted it: it may be far ahead. */
static void take_over_after(int64_t silent_us)
{
    make_async();
    all_speak(); /* the holder was at 5000 */
    wait_us(silent_us);
    lead(9);
    wait_us(3 * S);
    send(report_of("pg2"));
    send(vote_of("pg2", 3, 5000));
    send(report_of("pg3"));
    send(vote_of("pg3", 3, 5000));
}

static void test_s4_async_what_was_told_long_before_the_election_bounds_nothing(void **state)
{
    (void)state;
    take_over_after(S);
    assert_false(is_holder("pg1"));
    setup(state);
    take_over_after(5 * S);
    assert_true(is_holder("pg1"));
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_WAITS_POSITION);
}

/* The same node hears of the holder while its server is frozen, then while it is ended. */
static void test_s4_async_a_holder_without_a_position_does_not_tell_how_far_it_was(void **state)
{
    (void)state;
    make_async();
    wait_us(3 * S);
    struct msg_report behind = report_of("pg2");
    behind.position.lsn = 3000;
    send(behind);
    send(vote_of("pg2", 3, 3000));
    struct msg_report mute = report_of("pg1"); /* its guard answers, its server does not */
    mute.epoch_held = 3;
    mute.db_state = MSG_DB_FROZEN;
    mute.is_tree_gone = false;
    mute.position.lsn = 0;
    send(mute);
    wait_us(S);
    send(vote_of("pg2", 3, 3000));
    assert_true(is_holder("pg1"));
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_WAITS_POSITION);
    struct msg_report read = report_of("pg1"); /* from what it left; the limit is 1000 */
    read.is_tree_gone = false;
    read.position.lsn = 4500;
    send(read);
    wait_us(S);
    send(vote_of("pg2", 3, 3000));
    assert_true(is_holder("pg1"));
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_WAITS_LAG);
    send(vote_of("pg2", 3, 3500));
    assert_true(is_holder("pg2"));
}

/* A failsafe round can begin while the server does not answer. */
static void test_s4_async_a_failsafe_round_without_a_position_tells_nothing(void **state)
{
    (void)state;
    make_async();
    wait_us(3 * S);
    struct msg_report told = report_of("pg2");
    told.position.lsn = 3000;
    told.failsafe_position = (struct msg_position){3, 3, 0};
    send(told);
    send(vote_of("pg2", 3, 3000));
    assert_true(is_holder("pg1"));
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_WAITS_POSITION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_s4_async_takes_the_best_within_the_lag_limit),
        TEST(test_s4_async_beyond_the_lag_limit_says_who_lacks_what),
        TEST(test_s4_async_with_a_limit_of_0_who_lacks_nothing_takes_over),
        TEST(test_s4_async_who_is_on_a_later_line_than_was_told_lacks_nothing),
        TEST(test_s4_async_without_a_known_position_waits),
        TEST(test_s4_async_standbys_do_not_tell_how_far_the_holder_was),
        TEST(test_s4_async_a_holder_that_holds_nothing_tells_of_its_own_line_alone),
        TEST(test_s4_async_what_was_told_long_before_the_election_bounds_nothing),
        TEST(test_s4_async_a_holder_without_a_position_does_not_tell_how_far_it_was),
        TEST(test_s4_async_a_failsafe_round_without_a_position_tells_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
