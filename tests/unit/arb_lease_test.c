/* SPDX-License-Identifier: Apache-2.0 */
/* The arbiter's core against sections 1, 2 and 4 of the safety contract: record, lease, failover.
 * Each test is named after the rule that it holds fast; planted bugs must turn the same scenes
 * wrong. */
#include <string.h>

#include "tests/unit/arb_scene.h"

/* --- section 1 --- */

static void test_s1_timeline_is_above_every_one_reported(void **state)
{
    (void)state;
    all_speak();
    struct msg_report far = report_of("pg3");
    far.timeline_highest = 9;
    send(far);
    send(handback_of("pg1"));
    send(vote_of("pg2", 3, 5000));
    far = vote_of("pg3", 3, 4999);
    far.timeline_highest = 9;
    send(far);
    assert_true(is_holder("pg2"));
    assert_int_equal(w.c.record.timeline, 10);
    assert_int_equal(w.c.record.timeline_highest, 10);
    assert_int_equal(w.c.record.epoch, 4);
}

static void test_s1_a_timeline_beyond_reason_is_not_followed(void **state)
{
    (void)state;
    all_speak();
    struct msg_report far = report_of("pg3");
    far.timeline_highest = UINT32_MAX;
    send(far);
    send(handback_of("pg1"));
    send(vote_of("pg2", 3, 5000));
    send(vote_of("pg3", 3, 5000));
    assert_int_equal(w.c.record.timeline, 4);
}

static void test_s1_another_guard_instance_gets_no_grant(void **state)
{
    (void)state;
    struct msg_report r = primary_of("pg1");
    r.instance = 999;
    send(r);
    assert_int_equal(w.fx.ticket, 0);
    assert_true(w.has_order[1]);
    assert_false(w.order[1].is_granted);
    assert_int_equal(w.order[1].goal, MSG_GOAL_NONE);
}

static void test_s1_an_epoch_above_the_record_blocks_everything(void **state)
{
    (void)state;
    struct msg_report r = report_of("pg2");
    r.epoch_seen = 4;
    send(r);
    assert_true(was_said(ARB_NOTE_BLOCKED));
    send(primary_of("pg1"));
    assert_int_equal(w.fx.ticket, 0);
    wait_us(10 * S);
    tick();
    assert_false(w.c.is_attempt);
}

/* The host of a holder comes back, its tree is gone, nobody ahead: a new epoch without a vote. */
static void test_s1_the_holder_returns_when_no_vote_is_possible(void **state)
{
    (void)state;
    struct msg_record r = base_record();
    r.voters = names(NULL, NULL);
    r.votes_needed_r = 0;
    r.revision++;
    load(r);
    wait_us(3 * S);
    struct msg_report back = handback_of("pg1");
    back.instance = 777;
    back.epoch_handed_back = 0;
    send(back);
    assert_int_equal(w.c.record.epoch, 4);
    assert_true(is_holder("pg1"));
    assert_int_equal(w.c.record.holder_instance, 777);
    assert_int_equal(w.c.record.floor_epoch, 3);
    assert_int_equal(w.c.record.floor.lineage, 3);
    assert_int_equal(w.c.decision.kind, ARB_DECIDE_RETURN);
}

static void test_s1_no_return_while_somebody_is_ahead_or_the_tree_lives(void **state)
{
    (void)state;
    struct msg_record r = base_record();
    r.voters = names(NULL, NULL);
    r.votes_needed_r = 0;
    r.revision++;
    load(r);
    wait_us(3 * S);
    struct msg_report ahead = report_of("pg2");
    ahead.position.lsn = 6000;
    send(ahead);
    struct msg_report back = handback_of("pg1");
    back.position.lsn = 5999;
    send(back);
    assert_int_equal(w.c.record.epoch, 3);
    back = handback_of("pg1");
    back.position.lsn = 6000;
    back.is_tree_gone = false;
    send(back);
    assert_int_equal(w.c.record.epoch, 3);
    back = handback_of("pg1");
    back.position = (struct msg_position){2, 2, 9000}; /* not the directory it had */
    send(back);
    assert_int_equal(w.c.record.epoch, 3);
    back = handback_of("pg1");
    back.position.lsn = 6000;
    send(back);
    assert_int_equal(w.c.record.epoch, 4);
}

/* pg2 held epoch 2 and opened a history of its own, then epoch 3 was decided from the history
 * before: what pg2 has is lost, and it is not ahead of anybody. */
static void test_s1_a_lost_history_does_not_bar_a_return(void **state)
{
    (void)state;
    struct msg_record r = base_record();
    r.voters = names(NULL, NULL);
    r.votes_needed_r = 1;
    r.floor = (struct msg_position){1, 1, 5000};
    r.floor_epoch = 3;
    r.is_opened = false;
    r.revision++;
    load(r);
    wait_us(3 * S);
    struct msg_report lost = report_of("pg2");
    lost.position = (struct msg_position){2, 2, 5100};
    send(lost);
    struct msg_report behind = report_of("pg3");
    behind.position = (struct msg_position){1, 1, 4000};
    send(behind);
    struct msg_report back = handback_of("pg1");
    back.position = (struct msg_position){1, 1, 5000};
    send(back);
    wait_us(S);
    lost = report_of("pg2");
    lost.position = (struct msg_position){2, 2, 5100};
    send(lost);
    back = handback_of("pg1");
    back.position = (struct msg_position){1, 1, 5000};
    send(back);
    assert_int_equal(w.c.record.epoch, 4);
    assert_true(is_holder("pg1"));
    assert_int_equal(w.c.decision.kind, ARB_DECIDE_RETURN);
}

/* --- section 2 --- */

static void test_s2_a_grant_needs_a_confirmation_behind_the_report(void **state)
{
    (void)state;
    send(primary_of("pg1"));
    assert_int_not_equal(w.fx.ticket, 0);
    uint64_t ticket = w.fx.ticket;
    assert_false(w.has_order[1]);
    uint64_t first = w.number[1];
    send(primary_of("pg1"));
    run((struct arb_event){.kind = ARB_EVENT_CONFIRMED, .ticket = ticket});
    assert_true(w.order[1].is_granted);
    assert_true(w.order[1].number == first); /* the second report is not confirmed yet */
    assert_true(w.order[1].granted_epoch == 3 && w.order[1].ttl_us == 2 * S);
    confirm();
    assert_true(w.order[1].number == first + 1);
}

static void test_s2_a_confirmation_for_a_former_agent_process_is_void(void **state)
{
    (void)state;
    send(primary_of("pg1"));
    uint64_t ticket = w.fx.ticket;
    struct msg_report r = primary_of("pg1");
    r.session = 4242;
    r.number = 1;
    send(r);
    run((struct arb_event){.kind = ARB_EVENT_CONFIRMED, .ticket = ticket});
    assert_false(w.order[1].is_granted);
}

/* It arrives when the one after it was replaced, too: the living one must not be shut out for it.
 */
static void test_a_report_from_two_processes_ago_shuts_nobody_out(void **state)
{
    (void)state;
    struct msg_report oldest = primary_of("pg1"), living = primary_of("pg1");
    oldest.session = 4241;
    oldest.number = 1;
    living.session = 4243;
    living.number = 5;
    send(living);
    send(oldest);
    living.number = 6;
    send(living);
    assert_int_equal(w.fx.ticket, 0); /* dropped: it could be as late */
    wait_us(2 * S);
    living.number = 7;
    send(living);
    assert_int_not_equal(w.fx.ticket, 0);
}

static void test_s2_no_grant_before_the_first_entry_of_the_term(void **state)
{
    (void)state;
    run((struct arb_event){.kind = ARB_EVENT_LOST});
    run((struct arb_event){.kind = ARB_EVENT_LEADER, .term = 6, .elected = w.now});
    send(primary_of("pg1"));
    assert_int_equal(w.fx.ticket, 0);
    assert_int_equal(w.fx.orders, 0);
    confirm();
    assert_false(w.c.has_granted);
}

/* The swap is in the log: a confirmed report of the old holder is answered without a grant. */
static void grant_while_swapping(void)
{
    all_speak();
    wait_us(3 * S);
    tick();
    assert_true(w.c.is_attempt);
    send(vote_of("pg2", 3, 5000));
    w.holds_swap = true;
    send(vote_of("pg3", 3, 5000));
    assert_true(w.c.is_swapping);
    send(primary_of("pg1"));
    confirm();
}

static void test_s2_no_grant_while_a_swap_of_the_epoch_is_in_the_log(void **state)
{
    (void)state;
    grant_while_swapping();
    assert_true(w.has_order[1]);
    assert_false(w.order[1].is_granted);
}

static void test_s2_a_handback_is_final(void **state)
{
    (void)state;
    all_speak();
    send(handback_of("pg1"));
    assert_int_equal(w.c.handed, ARB_OVER_HANDBACK);
    struct msg_report r = primary_of("pg1"); /* a later one that claims the epoch again */
    send(r);
    assert_int_equal(w.fx.ticket, 0);
    assert_false(w.order[1].is_granted);
}

static void test_s2_a_handback_of_another_epoch_counts_nothing(void **state)
{
    (void)state;
    all_speak();
    struct msg_report r = primary_of("pg1");
    r.epoch_handed_back = 2;
    send(r);
    assert_int_equal(w.c.handed, ARB_OVER_NO);
    struct msg_report other = report_of("pg2");
    other.epoch_handed_back = 3;
    send(other);
    assert_int_equal(w.c.handed, ARB_OVER_NO);
}

static void test_s2_the_lease_runs_ttl_and_drift_from_the_last_grant(void **state)
{
    (void)state;
    wait_us(5 * S);
    all_speak();
    int64_t wait = lease_wait_us(2 * S);
    assert_true(wait > 2 * S + 2 * S / 100);
    wait_us(wait - 1);
    tick();
    assert_false(w.c.is_attempt);
    assert_int_equal(w.fx.wake.us, w.now.us + 1);
    wait_us(1);
    tick();
    assert_true(w.c.is_attempt);
}

static void a_new_leader(void)
{
    run((struct arb_event){.kind = ARB_EVENT_LOST});
    lead(6);
}

static void test_s2_a_new_leader_waits_from_its_election(void **state)
{
    (void)state;
    all_speak();
    wait_us(10 * S);
    a_new_leader();
    assert_false(w.c.is_attempt);
    send(primary_of("pg1")); /* a report does not shorten the wait */
    wait_us(lease_wait_us(2 * S) - 1);
    tick();
    assert_false(w.c.is_attempt);
    wait_us(1);
    tick();
    assert_true(w.c.is_attempt);
}

static void test_s2_only_a_handback_ends_the_wait_of_a_new_leader(void **state)
{
    (void)state;
    a_new_leader();
    send(handback_of("pg1"));
    assert_true(w.c.is_attempt);
}

static void test_s2_the_longest_ttl_of_the_epoch_counts(void **state)
{
    (void)state;
    struct msg_record r = base_record();
    r.ttl_ms = 10000;
    r.revision = 10;
    load(r);
    r.ttl_ms = 1000;
    r.revision = 11;
    load(r);
    all_speak();
    wait_us(9 * S);
    tick();
    assert_false(w.c.is_attempt);
}

/* --- section 4 --- */

static void test_s4_handback_asks_all_voters_at_once(void **state)
{
    (void)state;
    all_speak();
    w.has_order[2] = w.has_order[3] = false;
    send(handback_of("pg1"));
    assert_true(w.has_order[2] && w.has_order[3]);
    assert_int_equal(w.order[2].goal, MSG_GOAL_VOTE);
    assert_true(w.order[2].attempt.term == 5 && w.order[2].attempt.number == 1);
}

static void test_s4_the_winner_is_told_and_granted_with_the_commit(void **state)
{
    (void)state;
    all_speak();
    send(handback_of("pg1"));
    send(vote_of("pg2", 3, 5000));
    assert_true(is_holder("pg1")); /* |V| - r + 1 = 2 */
    send(vote_of("pg3", 3, 4990));
    assert_true(is_holder("pg2"));
    assert_int_equal(w.order[2].goal, MSG_GOAL_HOLD);
    assert_true(w.order[2].is_granted && w.order[2].granted_epoch == 4);
    assert_int_equal(w.order[3].goal, MSG_GOAL_FOLLOW);
    assert_int_equal(w.c.record.voters.count, 1); /* V without the winner, the same r */
    assert_int_equal(w.c.record.votes_needed_r, 1);
    assert_int_equal(w.c.record.floor.lsn, 5000);
    assert_int_equal(w.c.record.floor_epoch, 4);
    assert_int_equal(w.c.record.holder_instance, 102);
}

static void test_s4_a_grant_ends_the_attempt_and_voids_its_votes(void **state)
{
    (void)state;
    all_speak();
    wait_us(3 * S);
    tick();
    struct msg_report old_vote = vote_of("pg2", 3, 5000);
    send(old_vote);
    send(primary_of("pg1"));
    confirm();
    assert_false(w.c.is_attempt);
    send(report_of("pg3"));
    assert_int_equal(w.order[3].goal, MSG_GOAL_FOLLOW);
    assert_true(w.order[3].ended.term == 5 && w.order[3].ended.number == 1);
    wait_us(3 * S);
    tick();
    assert_true(w.c.attempt.number == 2);
    old_vote.number = ++w.number[2]; /* still the promise of attempt 1 */
    send(old_vote);
    send(vote_of("pg3", 3, 5000));
    assert_true(is_holder("pg1"));
    send(vote_of("pg2", 3, 5000));
    assert_true(is_holder("pg2"));
}

static void test_s4_a_promise_of_an_older_leader_ends_only_after_a_grant(void **state)
{
    (void)state;
    a_new_leader();
    send(report_of("pg2"));
    assert_true(w.order[2].ended.term == 0);
    send(primary_of("pg1"));
    confirm();
    send(report_of("pg2"));
    assert_true(w.order[2].ended.term == 6 && w.order[2].ended.number == 0);
}

static void floor_vote(void)
{
    all_speak();
    send(handback_of("pg1"));
    send(vote_of("pg2", 2, 3999)); /* one byte short of the floor */
    send(vote_of("pg3", 2, 4000));
}

static void test_s4_a_vote_without_the_floor_does_not_count(void **state)
{
    (void)state;
    floor_vote();
    assert_true(is_holder("pg1"));
    assert_true(w.c.is_waiting);
    assert_int_equal(w.c.waiting.why, ARB_REFUSE_LACKS_FLOOR);
    send(vote_of("pg2", 2, 4000));
    assert_true(is_holder("pg2"));
}

static void test_s4_the_floor_by_lineage(void **state)
{
    (void)state;
    struct msg_record r = base_record();
    r.epoch = 7;
    r.floor_epoch = 5;
    r.floor = (struct msg_position){3, 3, 100};
    struct {
        struct msg_position p;
        bool has;
    } rows[] = {{{0, 0, 500}, false}, {{2, 2, 500}, false}, {{3, 3, 99}, false},
                {{3, 3, 100}, true},  {{4, 4, 900}, false}, {{5, 5, 1}, true},
                {{7, 7, 1}, true},    {{8, 8, 900}, false}};
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        assert_int_equal(arb_position_has_floor(&r, &rows[i].p), rows[i].has);
    }
}

static void test_s4_lineage_goes_before_lsn(void **state)
{
    (void)state;
    all_speak();
    send(handback_of("pg1"));
    send(vote_of("pg2", 3, 4500));
    send(vote_of("pg3", 2, 9000)); /* longer, but of the line before */
    assert_true(is_holder("pg2"));
}

static void candidate_by_position(void)
{
    all_speak();
    send(handback_of("pg1"));
    send(vote_of("pg2", 3, 5000));
    send(vote_of("pg3", 3, 5001));
}

static void test_s4_the_most_advanced_voter_wins_whatever_its_name(void **state)
{
    (void)state;
    candidate_by_position();
    assert_true(is_holder("pg3"));
}

static void test_s4_tags_choose_among_equals_only(void **state)
{
    (void)state;
    all_speak();
    send(handback_of("pg1"));
    struct msg_report low = vote_of("pg2", 3, 5000);
    low.priority = 200;
    send(low);
    struct msg_report barred = vote_of("pg3", 3, 5001);
    barred.is_nofailover = true;
    send(barred);
    assert_true(is_holder("pg1")); /* most advanced, but barred: waits and says so */
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_CATCH_UP);
    low = vote_of("pg2", 3, 5001);
    send(low);
    assert_true(is_holder("pg2"));
}

static void test_s4_priority_then_name_among_equals(void **state)
{
    (void)state;
    all_speak();
    send(handback_of("pg1"));
    send(vote_of("pg2", 3, 5000));
    struct msg_report high = vote_of("pg3", 3, 5000);
    high.priority = 1;
    send(high);
    assert_true(is_holder("pg3"));
}

static void test_s4_a_winner_has_one_ttl_before_it_is_passed_over(void **state)
{
    (void)state;
    candidate_by_position();
    assert_true(is_holder("pg3"));
    wait_us(2 * S);
    tick();
    assert_false(w.c.is_attempt);
    wait_us(S / 10);
    tick();
    assert_true(w.c.is_attempt);
}

static void test_s4_with_r_0_nobody_is_promoted(void **state)
{
    (void)state;
    struct msg_record r = base_record();
    r.votes_needed_r = 0;
    r.revision++;
    load(r);
    all_speak();
    wait_us(5 * S);
    tick();
    send(vote_of("pg2", 3, 9000));
    send(vote_of("pg3", 3, 9000));
    assert_true(is_holder("pg1"));
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_WAITS_NO_SYNC);
}

static void test_s4_members_outside_v_do_not_count(void **state)
{
    (void)state;
    all_speak();
    send(report_of("pg4"));
    send(handback_of("pg1"));
    assert_int_equal(w.order[4].goal, MSG_GOAL_FOLLOW);
    send(vote_of("pg4", 3, 9000));
    send(vote_of("pg3", 3, 5000));
    assert_true(is_holder("pg1"));
}

static void test_s4_a_forced_failover_shows_its_loss(void **state)
{
    (void)state;
    struct msg_record r = base_record();
    r.votes_needed_r = 0;
    r.voters = names(NULL, NULL);
    r.revision++;
    load(r);
    all_speak();
    struct arb_request force = {
        .kind = ARB_REQUEST_FAILOVER, .candidate = name_of("pg2"), .is_forced = true};
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &force});
    assert_int_equal(w.fx.answer, BASE_E_STATE); /* the lease runs */
    wait_us(3 * S);
    struct msg_report far = report_of("pg2");
    far.position.lsn = 4600;
    send(far);
    struct arb_request ask = {.kind = ARB_REQUEST_FAILOVER};
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &ask});
    assert_int_equal(w.fx.answer, BASE_E_STATE);
    assert_string_equal(w.fx.answer_text.text,
                        "failover waits for pg1: no standby is known to have everything; by force "
                        "pg2 would lose up to 400 bytes and what came after the last report");
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &force});
    assert_int_equal(w.fx.answer, 0);
    send(report_of("pg2"));
    assert_int_equal(w.order[2].goal, MSG_GOAL_VOTE);
    send(vote_of("pg2", 3, 4600));
    assert_true(is_holder("pg2"));
    assert_int_equal(w.c.decision.kind, ARB_DECIDE_FORCED);
    assert_int_equal(w.c.decision.loss_bound_bytes, 400);
}

static void ask_for_failover_to(const char *member)
{
    struct arb_request ask = {.kind = ARB_REQUEST_FAILOVER, .candidate = name_of(member)};
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &ask});
    assert_int_equal(w.fx.answer, BASE_E_STATE);
}

static void test_s4_of_a_member_that_was_not_heard_no_loss_is_shown(void **state)
{
    (void)state;
    send(report_of("pg2"));
    send(primary_of("pg1"));
    confirm();
    wait_us(3 * S);
    tick();
    ask_for_failover_to("pg2");
    assert_non_null(strstr(w.fx.answer_text.text, "by force pg2"));
    ask_for_failover_to("pg3");
    assert_null(strstr(w.fx.answer_text.text, "by force"));
    ask_for_failover_to("pg9"); /* nobody knows it at all */
    assert_null(strstr(w.fx.answer_text.text, "by force"));
}

static void test_s4_force_without_a_name_takes_the_most_advanced(void **state)
{
    struct msg_record r = base_record();
    struct arb_request force = {.kind = ARB_REQUEST_FAILOVER, .is_forced = true};
    (void)state;
    r.votes_needed_r = 0;
    r.voters = names(NULL, NULL);
    r.revision++;
    load(r);
    all_speak();
    wait_us(3 * S);
    send(report_of("pg2"));
    send(report_of("pg3"));
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &force});
    assert_int_equal(w.fx.answer, 0);
    send(vote_of("pg2", 3, 4600));
    assert_true(is_holder("pg1")); /* pg3 can still be asked, and has more */
    send(vote_of("pg3", 3, 4900));
    assert_true(is_holder("pg3"));
    assert_int_equal(w.c.decision.loss_bound_bytes, 100);
}

static void test_s4_force_does_not_wait_for_a_silent_member(void **state)
{
    struct msg_record r = base_record();
    struct arb_request force = {.kind = ARB_REQUEST_FAILOVER, .is_forced = true};
    (void)state;
    r.votes_needed_r = 0;
    r.voters = names(NULL, NULL);
    r.revision++;
    load(r);
    all_speak();
    wait_us(3 * S);
    send(report_of("pg2"));
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &force});
    send(vote_of("pg2", 3, 4600));
    assert_true(is_holder("pg2"));
}

static void test_s4_the_story_says_where_the_time_went(void **state)
{
    (void)state;
    all_speak();
    wait_us(lease_wait_us(2 * S));
    send(report_of("pg2"));
    send(report_of("pg3"));
    wait_us(20 * MS);
    send(vote_of("pg2", 3, 5000));
    send(vote_of("pg3", 3, 5000));
    const struct arb_decision *d = &w.c.decision;
    assert_int_equal(d->over, ARB_OVER_EXPIRED);
    assert_int_equal(d->detection_us, 500 * MS);
    assert_int_equal(d->lease_us, lease_wait_us(2 * S) - 500 * MS);
    assert_int_equal(d->vote_us, 20 * MS);
    assert_int_equal(d->commit_us, 0);
    assert_int_equal(d->inputs_count, 3);
    wait_us(100 * MS);
    send(primary_of("pg2"));
    assert_true(w.c.record.is_opened);
    assert_int_equal(w.c.decision.open_us, 100 * MS);
}

/* It was silent for longer than counts as lost, and the lease was waited for by nobody. */
static void test_s4_the_story_of_a_handback_has_no_wait_for_the_lease(void **state)
{
    (void)state;
    all_speak();
    wait_us(S);
    send(handback_of("pg1"));
    send(vote_of("pg2", 3, 5000));
    send(vote_of("pg3", 3, 5000));
    assert_int_equal(w.c.decision.over, ARB_OVER_HANDBACK);
    assert_int_equal(w.c.decision.detection_us, S);
    assert_int_equal(w.c.decision.lease_us, 0);
}

/* The winner of the last failover is gone before anybody has followed it. */
static void test_s4_who_is_waited_for_when_there_are_no_voters(void **state)
{
    struct msg_record r = base_record();
    (void)state;
    r.voters = names(NULL, NULL);
    r.revision++;
    load(r);
    wait_us(3 * S);
    send(report_of("pg2"));
    assert_true(w.c.is_waiting);
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_WAITS_NO_SYNC);
    assert_string_equal(w.c.waiting.member.text, "pg1");
}

/* It was chosen with more than the voters have, and what it has was spoiled before it had opened.
 */
static void test_s4_a_holder_beyond_the_voters_that_can_never_go_on_is_said_so(void **state)
{
    (void)state;
    all_speak();
    struct msg_report spoiled = handback_of("pg1");
    spoiled.db_state = MSG_DB_FAILED;
    spoiled.position = (struct msg_position){0, 0, 0};
    send(spoiled);
    send(vote_of("pg2", 2, 3999));
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_WAITS_FOR_VOTES); /* pg3 may have it */
    send(vote_of("pg3", 2, 3999));
    assert_true(w.c.is_waiting && is_holder("pg1"));
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_WAITS_UNFIT);
    send(vote_of("pg2", 2, 4000));
    send(vote_of("pg3", 2, 4000));
    assert_false(is_holder("pg1"));
}

/* It is heard, and what it has can be used by nobody: waiting ends nothing, and force is named. */
static void test_s4_a_holder_that_can_never_go_on_is_said_so(void **state)
{
    struct msg_record r = base_record();
    (void)state;
    r.voters = names(NULL, NULL);
    r.is_opened = false;
    r.revision++;
    load(r);
    struct msg_report spoiled = handback_of("pg1");
    spoiled.db_state = MSG_DB_FAILED;
    spoiled.position = (struct msg_position){0, 0, 0};
    send(spoiled);
    send(report_of("pg2"));
    wait_us(S);
    spoiled.number++;
    send(spoiled);
    assert_true(w.c.is_waiting);
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_WAITS_UNFIT);
    assert_int_equal(w.c.waiting.why, ARB_REFUSE_NOT_USABLE);
    uint8_t memory[BASE_TEXT_MAX];
    struct buf b = buf_over(memory, sizeof(memory));
    arb_note_put(&w.c.waiting, &b);
    assert_false(b.is_full);
    struct arb_request force = {.kind = ARB_REQUEST_FAILOVER, .is_forced = true};
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &force});
    send(vote_of("pg2", 3, 4500));
    wait_us(3 * S);
    send(vote_of("pg2", 3, 4500));
    assert_true(is_holder("pg2"));
}

static void test_s4_a_holder_returns_where_nobody_can_be_forced(void **state)
{
    (void)state;
    all_speak();
    struct msg_report spoiled = report_of("pg2");
    spoiled.db_state = MSG_DB_FAILED;
    spoiled.position = (struct msg_position){0, 0, 0};
    wait_us(5 * S);
    tick();
    send(spoiled);
    struct arb_request force = {.kind = ARB_REQUEST_FAILOVER, .is_forced = true};
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &force});
    assert_int_equal(w.answer, 0);
    wait_us(3 * S);
    tick();
    assert_int_equal(w.c.record.epoch, 3);
    send(handback_of("pg1"));
    tick();
    assert_int_equal(w.c.record.epoch, 4);
    assert_true(is_holder("pg1"));
}

/* Behind the gate of a crash restart; the standbys that it waits for come in by this word. */
static void test_s6_a_closed_gate_does_not_keep_standbys_out(void **state)
{
    (void)state;
    all_speak();
    wait_us(lease_wait_us(2 * S));
    send(report_of("pg2"));
    send(vote_of("pg2", 3, 5000));
    send(vote_of("pg3", 3, 5000));
    assert_true(is_holder("pg2"));
    struct msg_report r = primary_of("pg2");
    r.is_open = false;
    r.opened_lsn = 0;
    send(r);
    assert_false(w.c.record.is_opened);
    r = primary_of("pg2");
    r.is_open = false;
    send(r);
    assert_true(w.c.record.is_opened);
    assert_int_equal(w.c.decision.open_us, -1); /* not open, so not measured */
}

/* --- planted bugs: the same scenes must come out wrong --- */
#ifdef QUORATE_CANARIES
static void test_canary_grant_while_cas(void **state)
{
    (void)state;
    assert_true(base_canary_select("grant-while-cas"));
    grant_while_swapping();
    assert_true(w.order[1].is_granted);
}

static void test_canary_promote_without_waiting(void **state)
{
    (void)state;
    assert_true(base_canary_select("promote-without-waiting"));
    all_speak();
    wait_us(S);
    tick();
    assert_true(w.c.is_attempt);
}

static void test_canary_new_leader_does_not_wait(void **state)
{
    (void)state;
    assert_true(base_canary_select("new-leader-does-not-wait"));
    a_new_leader();
    assert_true(w.c.is_attempt);
}

static void test_canary_no_floor(void **state)
{
    (void)state;
    assert_true(base_canary_select("no-floor"));
    floor_vote();
    assert_true(is_holder("pg3"));
}

static void test_canary_candidate_by_name(void **state)
{
    (void)state;
    assert_true(base_canary_select("candidate-by-name"));
    candidate_by_position();
    assert_true(is_holder("pg2"));
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_s1_timeline_is_above_every_one_reported),
        TEST(test_s1_a_timeline_beyond_reason_is_not_followed),
        TEST(test_s1_another_guard_instance_gets_no_grant),
        TEST(test_s1_an_epoch_above_the_record_blocks_everything),
        TEST(test_s1_the_holder_returns_when_no_vote_is_possible),
        TEST(test_s1_no_return_while_somebody_is_ahead_or_the_tree_lives),
        TEST(test_s1_a_lost_history_does_not_bar_a_return),
        TEST(test_s2_a_grant_needs_a_confirmation_behind_the_report),
        TEST(test_s2_a_confirmation_for_a_former_agent_process_is_void),
        TEST(test_a_report_from_two_processes_ago_shuts_nobody_out),
        TEST(test_s2_no_grant_before_the_first_entry_of_the_term),
        TEST(test_s2_no_grant_while_a_swap_of_the_epoch_is_in_the_log),
        TEST(test_s2_a_handback_is_final),
        TEST(test_s2_a_handback_of_another_epoch_counts_nothing),
        TEST(test_s2_the_lease_runs_ttl_and_drift_from_the_last_grant),
        TEST(test_s2_a_new_leader_waits_from_its_election),
        TEST(test_s2_only_a_handback_ends_the_wait_of_a_new_leader),
        TEST(test_s2_the_longest_ttl_of_the_epoch_counts),
        TEST(test_s4_handback_asks_all_voters_at_once),
        TEST(test_s4_the_winner_is_told_and_granted_with_the_commit),
        TEST(test_s4_a_grant_ends_the_attempt_and_voids_its_votes),
        TEST(test_s4_a_promise_of_an_older_leader_ends_only_after_a_grant),
        TEST(test_s4_a_vote_without_the_floor_does_not_count),
        TEST(test_s4_the_floor_by_lineage),
        TEST(test_s4_lineage_goes_before_lsn),
        TEST(test_s4_the_most_advanced_voter_wins_whatever_its_name),
        TEST(test_s4_tags_choose_among_equals_only),
        TEST(test_s4_priority_then_name_among_equals),
        TEST(test_s4_a_winner_has_one_ttl_before_it_is_passed_over),
        TEST(test_s4_with_r_0_nobody_is_promoted),
        TEST(test_s4_members_outside_v_do_not_count),
        TEST(test_s4_a_forced_failover_shows_its_loss),
        TEST(test_s4_of_a_member_that_was_not_heard_no_loss_is_shown),
        TEST(test_s4_force_without_a_name_takes_the_most_advanced),
        TEST(test_s4_force_does_not_wait_for_a_silent_member),
        TEST(test_s4_the_story_says_where_the_time_went),
        TEST(test_s4_the_story_of_a_handback_has_no_wait_for_the_lease),
        TEST(test_s4_who_is_waited_for_when_there_are_no_voters),
        TEST(test_s4_a_holder_that_can_never_go_on_is_said_so),
        TEST(test_s4_a_holder_beyond_the_voters_that_can_never_go_on_is_said_so),
        TEST(test_s4_a_holder_returns_where_nobody_can_be_forced),
        TEST(test_s6_a_closed_gate_does_not_keep_standbys_out),
#ifdef QUORATE_CANARIES
        TEST(test_canary_grant_while_cas),
        TEST(test_canary_promote_without_waiting),
        TEST(test_canary_new_leader_does_not_wait),
        TEST(test_canary_no_floor),
        TEST(test_canary_candidate_by_name),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
