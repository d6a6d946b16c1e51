/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of failsafe rounds (safety.md section 9), from the holder's and from a member's side.
 * Each ends with the world's own checks, which know what the members have really granted. */
#include "base/lease_math.h"
#include "tests/unit/agt_scene.h"

static void failsafe_of(const char *first, const char *second)
{
    w.record.is_failsafe = true;
    w.record.failsafe_members.count = 2;
    w.record.failsafe_members.names[0] = world_name(first);
    w.record.failsafe_members.names[1] = world_name(second);
    w.record.revision++;
}

/* "a" is a standby of epoch 1, holder b. */
static void member(void)
{
    world_init(&w);
    world_directory(&w, 1, 1, 2000);
    world_agent_start(&w);
    world_record(&w, 1, "b");
    failsafe_of("a", "d");
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 600);
    assert_true(w.report.is_receiving);
}

/* "a" holds epoch 2 and is open. */
static void holder(void)
{
    member();
    world_record(&w, 2, "a");
    failsafe_of("b", "d");
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    assert_true(w.report.is_open);
}

/* The quorum is silent; b and, when it is willing, d answer each round after so long. */
static void rounds(int64_t ms, int64_t delay_ms, bool is_d_willing)
{
    uint64_t answered = w.asked.round;
    int64_t since = -1;
    for (int64_t i = 0; i < ms; i++) {
        world_run_ms(&w, 1);
        since = w.asked.round == answered ? since : since < 0 ? 0 : since + 1;
        if (since >= delay_ms) {
            answered = w.asked.round;
            since = -1;
            world_failsafe_answer(&w, "b", true);
            world_failsafe_answer(&w, "d", is_d_willing);
        }
    }
}

/* --- the holder --------------------------------------------------------------------------------
 */

static void test_holder_goes_on_while_all_members_grant(void **state)
{
    (void)state;
    holder();
    assert_int_equal(w.report.failsafe_members.count, 2);
    rounds(30000, 3, true);
    assert_true(w.report.is_open);
    assert_true(w.report.is_failsafe);
    assert_true(world_is_writable(&w));
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600); /* the quorum is back */
    assert_false(w.report.is_failsafe);
    uint64_t round = w.asked.round;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 3000);
    assert_int_equal(w.asked.round, round); /* and nobody is asked any more */
    good();
}

static void test_one_refusal_ends_it(void **state)
{
    (void)state;
    holder();
    rounds(2500, 3, false);
    assert_false(world_is_writable(&w));
    good();
}

static void test_deadline_counts_from_the_sending(void **state)
{
    (void)state;
    holder();
    rounds(10000, 150, true); /* the world knows when each round was sent */
    assert_true(w.report.is_open);
    good();
}

/* A frozen database goes on when all grant in time. */
static void test_round_thaws(void **state)
{
    (void)state;
    holder();
    while (w.guard.status.tree != GUARD_TREE_FROZEN) {
        world_run_ms(&w, 20);
    }
    rounds(1000, 3, true);
    assert_true(world_is_writable(&w));
    good();
}

static void test_nobody_is_asked_unless_the_record_names_them(void **state)
{
    (void)state;
    holder();
    w.record.failsafe_members.count = 0;
    w.record.revision++;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    uint64_t round = w.asked.round;
    world_run_ms(&w, 4000);
    assert_int_equal(w.asked.round, round);
    assert_false(world_is_writable(&w));
    good();
}

/* "e" may be a candidate as long as the record names it, also where the order tells nothing of it.
 */
static void test_whoever_the_record_names_must_grant(void **state)
{
    (void)state;
    holder();
    failsafe_of("b", "e");
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    uint64_t round = w.asked.round;
    rounds(4000, 3, true);
    assert_true(w.asked.round > round);
    assert_false(world_is_writable(&w));
    good();
}

/* It is over, and whoever decided on the fence counts on that. */
static void test_epoch_that_is_being_fenced_is_not_extended(void **state)
{
    (void)state;
    holder();
    w.record.fencing_epoch = w.record.epoch;
    w.record.revision++;
    world_hold_ms(&w, MSG_GOAL_NONE, false, 300);
    uint64_t round = w.asked.round;
    rounds(4000, 3, true);
    assert_int_equal(w.asked.round, round);
    assert_false(world_is_writable(&w));
    good();
}

static void test_switched_off_it_names_nobody(void **state)
{
    (void)state;
    holder();
    w.record.is_failsafe = false;
    w.record.revision++;
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 600);
    assert_int_equal(w.report.failsafe_members.count, 0);
    good();
}

/* The program before knows nothing of failsafe: with the next epoch nothing of it is kept. */
static void test_switched_off_the_program_before_reads_the_state_again(void **state)
{
    (void)state;
    member();
    assert_memory_equal(w.disk, "QAG3", 4);
    world_record(&w, 2, "b");
    w.record.is_failsafe = false;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 600);
    assert_memory_equal(w.disk, "QAG2", 4);
    good();
}

/* --- the member --------------------------------------------------------------------------------
 */

/* A round is also asked for while the holder's server does not answer. */
static void test_member_keeps_the_highest_position_that_it_was_told(void **state)
{
    (void)state;
    static const uint64_t later[] = {0, 4000};
    member();
    for (size_t i = 0; i < BASE_COUNT_OF(later); i++) {
        assert_true(world_failsafe_ask(&w, "b", 1));
        assert_true(world_failsafe_ask_at(&w, "b", 1, later[i]));
        world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 500);
        assert_int_equal(w.report.failsafe_position.lsn, 4242);
    }
    assert_true(world_failsafe_ask_at(&w, "b", 1, 5000));
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 500);
    assert_int_equal(w.report.failsafe_position.lsn, 5000);
    good();
}

static void test_member_votes_when_its_grant_has_run_out(void **state)
{
    (void)state;
    member();
    assert_true(world_failsafe_ask(&w, "b", 1));
    assert_int_equal(w.report.failsafe_position.lsn, 0);
    w.attempt = (struct msg_attempt){1, 1};
    world_hold_ms(&w, MSG_GOAL_VOTE, false, 1900);
    assert_int_equal(w.report.promised.number, 0);
    assert_false(w.report.is_vote_valid);
    assert_true(w.report.is_receiving); /* the holder may still need it */
    assert_int_equal(w.report.failsafe_position.lsn, 4242);
    world_hold_ms(&w, MSG_GOAL_VOTE, false, 1000);
    assert_true(w.report.is_vote_valid);
    good();
}

static void test_member_that_is_asked_to_vote_grants_no_more(void **state)
{
    (void)state;
    member();
    assert_true(world_failsafe_ask(&w, "b", 1));
    w.attempt = (struct msg_attempt){1, 1};
    world_hold_ms(&w, MSG_GOAL_VOTE, false, 300);
    assert_false(world_failsafe_ask(&w, "b", 1));
    world_hold_ms(&w, MSG_GOAL_VOTE, false, 3000);
    assert_true(w.report.is_vote_valid);
    assert_false(world_failsafe_ask(&w, "b", 1));
    world_agent_start(&w); /* the promise is on disk */
    world_run_ms(&w, 100);
    assert_false(world_failsafe_ask(&w, "b", 1));
    good();
}

static void test_restarted_member_waits_out_what_it_may_have_granted(void **state)
{
    (void)state;
    member();
    assert_true(world_failsafe_ask(&w, "b", 1));
    world_agent_start(&w);
    w.attempt = (struct msg_attempt){1, 1};
    world_hold_ms(&w, MSG_GOAL_VOTE, false, 1900);
    assert_int_equal(w.report.promised.number, 0);
    world_hold_ms(&w, MSG_GOAL_VOTE, false, 1000);
    assert_true(w.report.is_vote_valid);
    good();
}

static void test_winner_is_not_promoted_before_its_grant_has_run_out(void **state)
{
    (void)state;
    member();
    assert_true(world_failsafe_ask(&w, "b", 1));
    world_record(&w, 2, "a");
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1900);
    assert_int_equal(w.orders[DB_ORDER_PROMOTE], 0);
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 1000);
    assert_true(w.report.is_open);
    good();
}

static void test_epoch_that_is_over_is_not_granted(void **state)
{
    (void)state;
    member();
    world_record(&w, 2, "d");
    failsafe_of("a", "b");
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 600);
    assert_false(world_failsafe_ask(&w, "b", 1));
    assert_false(world_failsafe_ask(&w, "d", 3)); /* nor one that is not known */
    assert_true(world_failsafe_ask(&w, "d", 2));
    good();
}

static void test_longer_ttl_is_noted_before_it_is_granted(void **state)
{
    (void)state;
    member();
    assert_int_equal(w.durable.failsafe_ttl_ms, 2000);
    world_record(&w, 1, "b");
    failsafe_of("a", "d");
    w.record.ttl_ms = 1000;
    world_agent_start(&w);
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 300);
    assert_int_equal(w.durable.failsafe_ttl_ms, 2000); /* what may have been granted before */
    assert_true(world_failsafe_ask(&w, "b", 1));
    good();
}

/* The holder has heard of another ttl first: what is granted is on disk before. */
static void test_ttl_of_the_holder_is_noted_before_it_is_granted(void **state)
{
    (void)state;
    world_init(&w);
    world_directory(&w, 1, 1, 2000);
    world_agent_start(&w);
    world_record(&w, 1, "b");
    failsafe_of("a", "d");
    w.record.ttl_ms = 1000;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 600);
    assert_int_equal(w.durable.failsafe_ttl_ms, 1000);
    assert_false(world_failsafe_ask(&w, "b", 2)); /* of an epoch that is not known */
    world_run_ms(&w, 100);
    assert_int_equal(w.durable.failsafe_ttl_ms, 1000);
    assert_false(world_failsafe_ask(&w, "b", 1)); /* for 2 s */
    world_run_ms(&w, 100);
    assert_int_equal(w.durable.failsafe_ttl_ms, 2000);
    assert_true(world_failsafe_ask(&w, "b", 1));
    good();
}

static void test_strangers_are_refused(void **state)
{
    (void)state;
    uint8_t bytes[2][AGT_FAILSAFE_BYTES_MAX];
    struct buf request = buf_over(bytes[0], sizeof(bytes[0]));
    struct buf reply = buf_over(bytes[1], sizeof(bytes[1]));
    member();
    struct agt_failsafe_ask ask = {.cluster = world_name("c"),
                                   .holder = world_name("b"),
                                   .epoch = 1,
                                   .ttl_ms = 2000,
                                   .round = 1};
    struct net_identity from = {
        .role = NET_ROLE_AGENT, .cluster = world_name("c"), .member = world_name("d")};
    assert_int_equal(agt_failsafe_ask_encode(&ask, &request), 0);
    assert_int_equal(agt_driver_failsafe(&w.driver, &from, buf_slice(&request), &reply),
                     BASE_E_DENIED); /* in another's name */
    from.member = world_name("b");
    from.role = NET_ROLE_VIEWER;
    assert_int_equal(agt_driver_failsafe(&w.driver, &from, buf_slice(&request), &reply),
                     BASE_E_DENIED);
    from.role = NET_ROLE_AGENT;
    from.cluster = world_name("other");
    assert_int_equal(agt_driver_failsafe(&w.driver, &from, buf_slice(&request), &reply),
                     BASE_E_DENIED);
    for (size_t i = 0; i < request.len; i++) {
        bytes[0][i] ^= 1;
        assert_int_equal(agt_driver_failsafe(&w.driver, &from, buf_slice(&request), &reply),
                         BASE_E_PROTO);
        bytes[0][i] ^= 1;
    }
    good();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holder_goes_on_while_all_members_grant),
        cmocka_unit_test(test_one_refusal_ends_it),
        cmocka_unit_test(test_deadline_counts_from_the_sending),
        cmocka_unit_test(test_round_thaws),
        cmocka_unit_test(test_nobody_is_asked_unless_the_record_names_them),
        cmocka_unit_test(test_whoever_the_record_names_must_grant),
        cmocka_unit_test(test_epoch_that_is_being_fenced_is_not_extended),
        cmocka_unit_test(test_switched_off_it_names_nobody),
        cmocka_unit_test(test_switched_off_the_program_before_reads_the_state_again),
        cmocka_unit_test(test_member_keeps_the_highest_position_that_it_was_told),
        cmocka_unit_test(test_member_votes_when_its_grant_has_run_out),
        cmocka_unit_test(test_member_that_is_asked_to_vote_grants_no_more),
        cmocka_unit_test(test_restarted_member_waits_out_what_it_may_have_granted),
        cmocka_unit_test(test_winner_is_not_promoted_before_its_grant_has_run_out),
        cmocka_unit_test(test_epoch_that_is_over_is_not_granted),
        cmocka_unit_test(test_longer_ttl_is_noted_before_it_is_granted),
        cmocka_unit_test(test_ttl_of_the_holder_is_noted_before_it_is_granted),
        cmocka_unit_test(test_strangers_are_refused),
    };
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
