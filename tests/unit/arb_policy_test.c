/* SPDX-License-Identifier: Apache-2.0 */
/* Who takes over, and when it is better that nobody does: tags and zone, fetching what a candidate
 * lacks, asynchronous mode, failsafe lists, the interval between failovers. */
#include "tests/unit/arb_scene.h"

static struct msg_report tagged_vote(const char *member, uint64_t lsn, bool is_nofailover)
{
    struct msg_report r = vote_of(member, 3, lsn);
    r.is_nofailover = is_nofailover;
    return r;
}

static enum arb_refusal why_of(const char *member)
{
    struct base_name name = name_of(member);
    for (uint8_t i = 0; i < w.c.decision.inputs_count; i++) {
        if (base_name_equal(&w.c.decision.inputs[i].member, &name)) {
            return w.c.decision.inputs[i].why;
        }
    }
    return ARB_REFUSAL_COUNT;
}

/* --- tags choose among equals --- */

static void test_s4_among_equals_priority_then_the_zone_of_the_holder(void **state)
{
    (void)state;
    struct msg_report r = primary_of("pg1");
    r.zone = name_of("east");
    send(r);
    send(handback_of("pg1"));
    w.c.views[arb_view_find(&w.c, &w.c.record.holder)].report.zone = name_of("east");
    struct msg_report a = vote_of("pg2", 3, 5000), b = vote_of("pg3", 3, 5000);
    a.zone = name_of("west");
    b.zone = name_of("east");
    send(a);
    send(b);
    assert_true(is_holder("pg3"));
    assert_int_equal(why_of("pg3"), ARB_REFUSE_NONE);
    assert_int_equal(why_of("pg2"), ARB_REFUSE_NOT_PREFERRED);
    assert_int_equal(why_of("pg1"), ARB_REFUSE_HOLDER);
}

static void test_s4_who_cannot_write_or_is_behind_is_named_with_the_reason(void **state)
{
    (void)state;
    all_speak();
    send(handback_of("pg1"));
    struct msg_report full = vote_of("pg2", 3, 5000);
    full.is_write_failing = true;
    send(full);
    send(vote_of("pg3", 3, 5000));
    assert_true(is_holder("pg3"));
    assert_int_equal(why_of("pg2"), ARB_REFUSE_WRITE_FAILING);
}

/* --- fetching first --- */

static void test_s4_who_may_take_over_fetches_what_it_lacks(void **state)
{
    (void)state;
    all_speak();
    send(handback_of("pg1"));
    send(tagged_vote("pg2", 5000, true));
    send(vote_of("pg3", 3, 4000));
    assert_int_equal(w.c.record.epoch, 3);
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_CATCH_UP);
    assert_int_equal(w.order[3].goal, MSG_GOAL_VOTE);
    assert_string_equal(w.order[3].catch_up_from.text, "pg2");
    struct msg_report fetching = report_of("pg3");
    fetching.position.lsn = 4500;
    fetching.promised = w.c.attempt;
    send(fetching);
    assert_string_equal(w.order[3].catch_up_from.text, "pg2");
    fetching = report_of("pg3");
    fetching.position.lsn = 5000;
    fetching.promised = w.c.attempt;
    send(fetching);
    assert_int_equal(w.c.record.epoch, 3);
    assert_string_equal(w.order[3].catch_up_from.text, ""); /* detaches, and votes anew */
    send(vote_of("pg3", 3, 5000));
    assert_true(is_holder("pg3"));
    assert_int_equal(w.c.record.floor.lsn, 5000);
    assert_int_equal(why_of("pg2"), ARB_REFUSE_NOFAILOVER);
}

static void test_s4_a_grant_ends_the_fetching_too(void **state)
{
    (void)state;
    all_speak();
    wait_us(3 * S);
    tick();
    send(tagged_vote("pg2", 5000, true));
    send(vote_of("pg3", 3, 4000));
    assert_string_equal(w.order[3].catch_up_from.text, "pg2");
    send(primary_of("pg1"));
    confirm();
    assert_true(w.order[1].is_granted);
    send(report_of("pg3"));
    assert_int_equal(w.order[3].goal, MSG_GOAL_FOLLOW);
    assert_string_equal(w.order[3].catch_up_from.text, "");
}

/* --- asynchronous mode --- */

static void asynchronous(uint64_t limit)
{
    struct msg_record r = base_record();
    r.sync_mode = MSG_SYNC_ASYNC;
    r.voters = names(NULL, NULL);
    r.votes_needed_r = 0;
    r.maximum_lag_bytes = limit;
    r.revision++;
    load(r);
    all_speak(); /* position 5000 is known */
    wait_us(3 * S);
    tick();
    send(report_of("pg2"));
    send(report_of("pg3"));
}

static void test_s4_asynchronous_within_the_limit_of_what_is_known(void **state)
{
    (void)state;
    asynchronous(1000);
    send(vote_of("pg2", 3, 3900));
    send(vote_of("pg3", 3, 3900));
    wait_us(S);
    tick();
    assert_int_equal(w.c.record.epoch, 3);
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_WAITS_LAG);
    assert_int_equal(w.c.waiting.a, 1100);
    send(vote_of("pg3", 3, 4000));
    wait_us(S);
    send(vote_of("pg3", 3, 4000));
    assert_true(is_holder("pg3"));
    assert_true(w.c.decision.is_loss_possible);
    assert_int_equal(w.c.decision.loss_bound_bytes, 1000);
    assert_int_equal(why_of("pg2"), ARB_REFUSE_LAG);
}

/* What a failsafe round told a standby counts as known. */
static void test_s4_positions_of_failsafe_rounds_count(void **state)
{
    struct msg_record r = base_record();
    (void)state;
    r.sync_mode = MSG_SYNC_ASYNC;
    r.voters = names(NULL, NULL);
    r.votes_needed_r = 0;
    r.revision++;
    load(r);
    all_speak();
    struct msg_report told = report_of("pg2");
    told.failsafe_position = (struct msg_position){3, 3, 9000};
    send(told);
    assert_int_equal(w.c.known.lsn, 9000);
}

/* Nobody can fetch from the barred one: within the limit the other takes over. */
static void test_s4_asynchronous_a_barred_member_is_not_waited_for_for_ever(void **state)
{
    (void)state;
    asynchronous(1000);
    for (int i = 0; i < 20; i++) {
        send(tagged_vote("pg2", 5000, true));
        struct msg_report r = vote_of("pg3", 3, 4500);
        r.is_vote_valid = base_name_is_empty(&w.c.catch_up_from);
        send(r);
        wait_us(250 * MS);
    }
    assert_true(is_holder("pg3"));
    assert_int_equal(w.c.decision.loss_bound_bytes, 500);
}

/* --- section 9 --- */

static struct msg_report with_list(const char *a, const char *b)
{
    struct msg_report r = primary_of("pg1");
    r.failsafe_members = names(a, b);
    return r;
}

static void test_s9_only_members_that_the_holder_has_confirmed_take_over(void **state)
{
    (void)state;
    all_speak();
    send(with_list("pg2", NULL));
    assert_int_equal(w.c.record.failsafe_members.count, 1);
    send(handback_of("pg1"));
    send(vote_of("pg2", 3, 4000));
    send(vote_of("pg3", 3, 5000));
    assert_int_equal(w.c.record.epoch, 3); /* pg3 has not granted anything to pg1 */
    struct base_name pg3 = name_of("pg3");
    assert_int_equal(arb_vote_check(&w.c, &w.c.views[arb_view_find(&w.c, &pg3)]),
                     ARB_REFUSE_NOT_CONFIRMED);
}

static void test_s9_the_list_comes_from_a_report_of_this_leadership(void **state)
{
    (void)state;
    all_speak();
    send(with_list("pg2", "pg3"));
    run((struct arb_event){.kind = ARB_EVENT_LOST});
    lead(6);
    struct msg_report r = with_list(NULL, NULL);
    r.order_term = 5;
    send(r);
    assert_int_equal(w.c.record.failsafe_members.count, 2);
    confirm();
    send(with_list(NULL, NULL));
    assert_int_equal(w.c.record.failsafe_members.count, 0);
}

/* Off and on again: who has not heard yet that it is on says that it asks nobody, and asks. */
static void test_s9_who_would_ask_nobody_while_failsafe_is_on_has_not_heard_of_it(void **state)
{
    struct msg_record r = base_record();
    (void)state;
    r.is_failsafe = true;
    r.failsafe_members = names("pg2", NULL);
    r.revision++;
    load(r);
    all_speak();
    send(with_list(NULL, NULL));
    assert_int_equal(w.c.record.failsafe_members.count, 1);
    r = w.c.record;
    r.is_failsafe = false;
    r.revision++;
    load(r);
    all_speak();
    send(with_list(NULL, NULL));
    assert_int_equal(w.c.record.failsafe_members.count, 0);
}

static void remove_member(const char *member)
{
    struct arb_request r = {.kind = ARB_REQUEST_REMOVE, .candidate = name_of(member)};
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &r});
}

/* The holder may be cut off, and still ask the one that is removed: nobody else grants it then. */
static void test_s9_the_last_of_the_list_stays_in_it(void **state)
{
    (void)state;
    all_speak();
    send(report_of("pg4"));
    send(with_list("pg4", NULL));
    assert_int_equal(w.c.record.failsafe_members.count, 1);
    wait_us(10 * S);
    remove_member("pg4");
    assert_int_equal(w.answer, 0);
    assert_int_equal(w.c.record.failsafe_members.count, 1);
    struct base_name pg4 = name_of("pg4");
    run((struct arb_event){.kind = ARB_EVENT_FORGET, .member = &pg4});
    confirm();
    send(with_list("pg4", NULL)); /* nor does it go by being unknown */
    assert_int_equal(w.c.record.failsafe_members.count, 1);
    send(with_list("pg2", "pg4"));
    assert_int_equal(w.c.record.failsafe_members.count, 1);
    assert_string_equal(w.c.record.failsafe_members.names[0].text, "pg2");
}

/* A fence that is not trusted says nothing of what the other members grant. */
static void test_s9_only_a_trusted_fence_lifts_the_list(void **state)
{
    (void)state;
    struct base_name pg3 = name_of("pg3");
    all_speak();
    send(with_list("pg2", NULL));
    w.c.record.fencing_epoch = w.c.record.epoch;
    w.c.fence = ARB_FENCE_OK;
    assert_false(arb_is_confirmed_for_failsafe(&w.c, &pg3));
    w.c.record.is_fence_trusted = true;
    assert_true(arb_is_confirmed_for_failsafe(&w.c, &pg3));
}

/* --- the interval between failovers --- */

static void fail_over_to(const char *member, const char *other)
{
    send(vote_of(member, w.c.record.epoch, 5000));
    send(vote_of(other, w.c.record.epoch, 4000));
}

static void to_pg2(void)
{
    struct msg_record r = base_record();
    r.failover_interval_ms = 60000;
    r.revision++;
    load(r);
    all_speak();
    send(handback_of("pg1"));
    fail_over_to("pg2", "pg3");
    assert_true(is_holder("pg2"));
    struct msg_report p = primary_of("pg2");
    p.position.lsn = 6000;
    send(p);
    assert_true(w.c.record.is_opened);
}

static struct msg_report crashed(const char *member)
{
    struct msg_report r = handback_of(member);
    r.position.lsn = 6000;
    return r;
}

static void test_the_holder_goes_on_in_place_soon_after_a_failover(void **state)
{
    (void)state;
    to_pg2();
    wait_us(S);
    send(crashed("pg2"));
    assert_int_equal(w.c.record.epoch, 5);
    assert_true(is_holder("pg2"));
    assert_int_equal(w.c.decision.kind, ARB_DECIDE_RETURN);
    wait_us(S); /* it cannot open: no more is lost by waiting */
    send(crashed("pg2"));
    assert_int_equal(w.c.record.epoch, 5);
    assert_true(w.c.is_attempt);
}

static void test_after_the_interval_the_role_goes_on(void **state)
{
    (void)state;
    to_pg2();
    wait_us(61 * S);
    send(crashed("pg2"));
    assert_int_equal(w.c.record.epoch, 4);
    assert_true(w.c.is_attempt);
}

static void test_three_in_an_hour_are_enough(void **state)
{
    (void)state;
    to_pg2();
    arb_note_failover(&w.c, w.now);
    arb_note_failover(&w.c, w.now);
    wait_us(3500 * S);
    send(crashed("pg2"));
    assert_int_equal(w.c.decision.kind, ARB_DECIDE_RETURN);
}

static void test_a_silent_holder_is_never_held_off_for(void **state)
{
    (void)state;
    to_pg2();
    wait_us(3 * S);
    tick();
    assert_true(w.c.is_attempt);
    struct msg_report full = crashed("pg2");
    full.is_write_failing = true;
    send(full);
    assert_int_equal(w.c.record.epoch, 4); /* no return while it cannot write */
}

/* Its processes hang in the kernel and cannot be ended: it says that it holds nothing any more,
 * cannot hand back, and is heard all the time. */
static void test_a_holder_that_disowns_its_role_is_granted_nothing(void **state)
{
    (void)state;
    all_speak();
    for (int i = 0; i < 9; i++) {
        wait_us(250 * MS);
        struct msg_report r = report_of("pg1");
        r.instance = 0;
        r.is_receiving = false;
        r.db_state = MSG_DB_STOPPING;
        send(r);
        assert_int_equal(w.fx.ticket, 0);
        assert_false(w.order[1].is_granted);
        send(report_of("pg2"));
        send(report_of("pg3"));
    }
    assert_true(w.c.is_attempt);
    send(vote_of("pg2", 3, 5000));
    send(vote_of("pg3", 3, 5000));
    assert_true(is_holder("pg2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_s4_among_equals_priority_then_the_zone_of_the_holder),
        TEST(test_s4_who_cannot_write_or_is_behind_is_named_with_the_reason),
        TEST(test_s4_who_may_take_over_fetches_what_it_lacks),
        TEST(test_s4_a_grant_ends_the_fetching_too),
        TEST(test_s4_asynchronous_within_the_limit_of_what_is_known),
        TEST(test_s4_positions_of_failsafe_rounds_count),
        TEST(test_s4_asynchronous_a_barred_member_is_not_waited_for_for_ever),
        TEST(test_s9_only_members_that_the_holder_has_confirmed_take_over),
        TEST(test_s9_the_list_comes_from_a_report_of_this_leadership),
        TEST(test_s9_who_would_ask_nobody_while_failsafe_is_on_has_not_heard_of_it),
        TEST(test_s9_the_last_of_the_list_stays_in_it),
        TEST(test_s9_only_a_trusted_fence_lifts_the_list),
        TEST(test_the_holder_goes_on_in_place_soon_after_a_failover),
        TEST(test_after_the_interval_the_role_goes_on),
        TEST(test_three_in_an_hour_are_enough),
        TEST(test_a_silent_holder_is_never_held_off_for),
        TEST(test_a_holder_that_disowns_its_role_is_granted_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
