/* SPDX-License-Identifier: Apache-2.0 */
/* The arbiter's core against sections 5 and 8 of the safety contract, bootstrap and refusals: the
 * synchronous set, switchover, who must not take part. Each test is named after the rule that it
 * holds fast. */
#include "tests/unit/arb_scene.h"

#include <string.h>

/* --- section 5 --- */

static struct msg_report primary_with(const char *s1, const char *s2, uint8_t k, bool is_passed)
{
    struct msg_report r = primary_of("pg1");
    r.sync_names = names(s1, s2);
    r.sync_count = k;
    r.is_sync_barrier_passed = is_passed;
    r.standbys_count = 2;
    r.standbys[0] = (struct msg_standby){name_of("pg2"), 5000, true, true};
    r.standbys[1] = (struct msg_standby){name_of("pg3"), 5000, true, true};
    return r;
}

static void start_alone(void)
{
    struct msg_record r = base_record();
    r.voters = names(NULL, NULL);
    r.votes_needed_r = 0;
    r.revision++;
    load(r);
    send(report_of("pg2"));
    send(report_of("pg3"));
}

static void test_s5_members_come_in_by_the_one_safe_order(void **state)
{
    (void)state;
    start_alone();
    send(primary_with(NULL, NULL, 0, true));
    confirm();
    assert_int_equal(w.c.record.voters.count, 2); /* widened, r still 0 */
    assert_int_equal(w.c.record.votes_needed_r, 0);
    send(primary_with(NULL, NULL, 0, true));
    confirm();
    assert_true(w.order[1].has_sync);
    assert_int_equal(w.order[1].sync_names.count, 2);
    assert_int_equal(w.order[1].sync_count, 1);
    send(primary_with("pg2", "pg3", 1, false));
    confirm();
    assert_int_equal(w.c.record.votes_needed_r, 0); /* barrier */
    send(primary_with("pg2", "pg3", 1, true));
    assert_int_equal(w.c.record.votes_needed_r, 1);
    assert_int_equal(w.c.record.voters.count, 2);
}

static void test_s5_the_record_is_not_narrowed_on_a_report_older_than_the_wish(void **state)
{
    (void)state;
    all_speak();
    w.has_order[1] = false; /* the holder has not taken the wish of this leader in */
    struct msg_report r = primary_with("pg2", NULL, 1, true);
    r.order_number = 0;
    struct msg_report nosync = report_of("pg3");
    nosync.is_nosync = true;
    send(nosync);
    send(r);
    assert_int_equal(w.c.record.voters.count, 2);
    confirm();
    assert_int_equal(w.order[1].sync_names.count, 1);
    send(primary_with("pg2", NULL, 1, true)); /* echoes that order */
    assert_int_equal(w.c.record.voters.count, 1);
}

static void test_s5_an_unconfirmed_member_stays_out(void **state)
{
    (void)state;
    start_alone();
    struct msg_report r = primary_with(NULL, NULL, 0, true);
    r.standbys[0].is_confirmed = false;
    r.standbys[1].is_streaming = false;
    send(r);
    confirm();
    assert_int_equal(w.c.record.voters.count, 0);
}

/* It has not taken the epoch yet: what it still says of standbys is of the epoch before. */
static void test_s5_what_a_holder_says_before_it_holds_lets_nobody_in(void **state)
{
    (void)state;
    start_alone();
    struct msg_report early = primary_with(NULL, NULL, 0, true);
    early.epoch_held = 0;
    send(early);
    struct msg_report holding = primary_with(NULL, NULL, 0, true);
    holding.standbys_count = 0;
    send(holding);
    assert_int_equal(w.c.record.voters.count, 0);
    send(primary_with(NULL, NULL, 0, true));
    assert_int_equal(w.c.record.voters.count, 2);
}

static void test_s5_a_silent_standby_leaves_after_two_ttl(void **state)
{
    (void)state;
    all_speak();
    for (int i = 0; i < 17; i++) {
        wait_us(250 * MS);
        send(report_of("pg3"));
        struct msg_report r = primary_with("pg2", "pg3", 1, true);
        r.standbys[0].is_streaming = false;
        send(r);
        confirm();
        assert_int_equal(w.c.has_wish ? w.c.wish.names.count : 2, i < 16 ? 2 : 1);
    }
}

static void test_s5_without_standbys_the_primary_goes_on_alone_unless_strict(void **state)
{
    (void)state;
    for (int strict = 0; strict < 2; strict++) {
        assert_int_equal(setup(NULL), 0);
        struct msg_record r = base_record();
        r.is_sync_strict = strict == 1;
        r.revision++;
        load(r);
        for (int i = 0; i < 20; i++) {
            struct msg_report lonely = primary_with("pg2", "pg3", 1, true);
            lonely.standbys_count = 0;
            send(lonely);
            confirm();
            wait_us(250 * MS);
        }
        assert_int_equal(w.c.record.votes_needed_r, strict);
        assert_int_equal(w.c.record.voters.count, 2);
    }
}

/* Two members: the winner has nobody left in V; r goes to 0 first. */
static void test_s5_the_winner_of_two_lowers_r_before_it_goes_on_alone(void **state)
{
    (void)state;
    struct msg_record r = base_record();
    r.voters = names("pg2", NULL);
    r.revision++;
    load(r);
    send(report_of("pg2"));
    send(primary_of("pg1"));
    confirm();
    send(handback_of("pg1"));
    send(vote_of("pg2", 3, 5000));
    assert_true(is_holder("pg2"));
    assert_int_equal(w.c.record.votes_needed_r, 1);
    struct msg_report p = primary_of("pg2");
    p.is_open = false;
    p.is_sync_known = false;
    send(p);
    assert_int_equal(w.c.record.votes_needed_r, 0);
    confirm();
    assert_true(w.order[2].has_sync);
    assert_int_equal(w.order[2].sync_count, 0);
}

/* --- section 8 --- */

static void ask_switchover(const char *to)
{
    struct arb_request r = {.kind = ARB_REQUEST_SWITCHOVER, .candidate = name_of(to)};
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &r});
}

static struct msg_report clean_of(const char *member, uint64_t lsn)
{
    struct msg_report r = handback_of(member);
    r.is_handback_clean = true;
    r.handback_lsn = lsn;
    r.position.lsn = lsn;
    return r;
}

static void test_s8_a_switchover_needs_no_vote(void **state)
{
    (void)state;
    all_speak();
    ask_switchover("pg3");
    assert_int_equal(w.fx.has_answer ? w.fx.answer : 0, 0);
    assert_int_equal(w.c.record.state, MSG_RECORD_SWITCHOVER);
    assert_int_equal(w.order[1].goal, MSG_GOAL_HAND_OVER);
    assert_int_equal(w.order[3].goal, MSG_GOAL_FOLLOW);
    send(clean_of("pg1", 5100));
    assert_true(is_holder("pg1")); /* the target has not received the shutdown checkpoint */
    assert_false(w.c.is_attempt);
    struct msg_report other =
        report_of("pg2"); /* another one that has it does not overtake the target */
    other.position.lsn = 5100;
    send(other);
    assert_true(is_holder("pg1"));
    struct msg_report t = report_of("pg3");
    t.position.lsn = 5100;
    send(t);
    assert_true(is_holder("pg3"));
    assert_int_equal(w.c.record.state, MSG_RECORD_RUNNING);
    assert_int_equal(w.c.record.floor.lsn, 5100);
    assert_int_equal(w.c.record.voters.count, 1);
    assert_int_equal(w.c.decision.kind, ARB_DECIDE_HANDOVER);
    assert_true(w.order[3].is_granted);
}

static void test_s8_after_anything_but_a_clean_stop_a_vote_decides(void **state)
{
    (void)state;
    all_speak();
    ask_switchover("pg3");
    send(handback_of("pg1"));
    assert_true(w.c.is_attempt);
    struct msg_report t = vote_of("pg3", 3, 5000);
    send(t);
    assert_true(is_holder("pg1"));
    send(vote_of("pg2", 3, 5000));
    assert_true(is_holder("pg3")); /* the target among equals */
}

/* What else has been heard may have a higher position and is no copy of this cluster. */
static void test_s8_after_a_clean_stop_no_foreign_or_broken_copy_takes_over(void **state)
{
    (void)state;
    all_speak();
    send(clean_of("pg1", 5100));
    struct msg_report other = report_of("pg2");
    other.system_id = SYSTEM + 1;
    other.position.lsn = 9000;
    send(other);
    struct msg_report broken = report_of("pg3");
    broken.db_state = MSG_DB_FAILED;
    broken.position.lsn = 9000;
    send(broken);
    assert_true(is_holder("pg1"));
    struct msg_report whole = report_of("pg3");
    whole.position.lsn = 5100;
    send(whole);
    assert_true(is_holder("pg3"));
}

static void test_s8_the_target_vanishes_before_the_stop(void **state)
{
    (void)state;
    all_speak();
    ask_switchover("pg3");
    for (int i = 0; i < 10; i++) {
        wait_us(250 * MS);
        send(report_of("pg2"));
        send(primary_of("pg1"));
        confirm();
    }
    assert_int_equal(w.c.record.state, MSG_RECORD_RUNNING);
    assert_true(is_holder("pg1") && w.c.record.epoch == 3);
}

/* Its agent was restarted meanwhile: the first report says nothing of the database. */
static void test_s8_a_target_that_has_not_looked_yet_is_waited_for(void **state)
{
    (void)state;
    all_speak();
    struct msg_report again = report_of("pg3");
    again.session++;
    again.number = 1;
    again.db_state = MSG_DB_UNKNOWN;
    again.is_receiving = false;
    again.position = (struct msg_position){0, 0, 0};
    ask_switchover("pg3");
    send(again);
    assert_int_equal(w.c.record.state, MSG_RECORD_SWITCHOVER);
    struct msg_report empty = again;
    empty.db_state = MSG_DB_EMPTY;
    empty.number++;
    send(empty);
    assert_int_equal(w.c.record.state, MSG_RECORD_RUNNING);
    again.number = empty.number + 1;
    send(again);
    ask_switchover("pg3");
    assert_string_equal(w.fx.answer_text.text,
                        "pg3 cannot take over: it has not told the position of its data yet");
}

static void test_s8_refusals_name_their_reason(void **state)
{
    (void)state;
    all_speak();
    struct msg_report tagged = report_of("pg2");
    tagged.is_nofailover = true;
    send(tagged);
    ask_switchover("pg2");
    assert_int_equal(w.fx.answer, BASE_E_STATE);
    assert_string_equal(w.fx.answer_text.text, "pg2 cannot take over: it is tagged nofailover");
    ask_switchover("pg1");
    assert_int_equal(w.fx.answer, BASE_E_STATE);
    ask_switchover("pg9");
    assert_int_equal(w.fx.answer, BASE_E_NOTFOUND);
    assert_int_equal(w.c.record.state, MSG_RECORD_RUNNING);
}

/* --- bootstrap and refusals --- */

static struct msg_report empty_of(const char *member)
{
    struct msg_report r = report_of(member);
    r.system_id = 0;
    r.db_state = MSG_DB_EMPTY;
    r.is_receiving = false;
    r.position = (struct msg_position){0, 0, 0};
    r.timeline_highest = 0;
    r.has_seed = true;
    r.seed_ttl_ms = 600;
    r.seed_heartbeat_ms = 100;
    r.seed_sync_count = MSG_MEMBERS_MAX; /* more standbys than there can be */
    return r;
}

static int setup_empty(void **state)
{
    struct base_name name = name_of("main");
    (void)state;
    memset(&w, 0, sizeof(w));
    w.now.us = 1000 * S;
    arb_cluster_init(&w.c, &name);
    lead(5);
    return 0;
}

static void test_bootstrap_the_smallest_name_heard_within_a_second(void **state)
{
    (void)state;
    send(empty_of("pg2"));
    wait_us(900 * MS);
    send(empty_of("pg1"));
    assert_int_equal(w.c.record.epoch, 0);
    wait_us(100 * MS);
    tick();
    assert_int_equal(w.c.record.epoch, 1);
    assert_true(is_holder("pg1"));
    assert_int_equal(w.c.record.state, MSG_RECORD_BOOTSTRAP);
    assert_int_equal(w.c.record.timeline, 1);
    assert_int_equal(w.c.record.ttl_ms, 600);
    assert_int_equal(w.c.record.sync_count, 1);
    assert_int_equal(w.order[1].goal, MSG_GOAL_INIT);
    assert_true(w.order[1].is_granted);
    assert_int_equal(w.order[2].goal, MSG_GOAL_NONE);
    struct msg_report made = empty_of("pg1");
    made.db_state = MSG_DB_STOPPED; /* not all of it is there, or cannot be read */
    send(made);
    assert_int_equal(w.c.record.state, MSG_RECORD_BOOTSTRAP);
    made.number++;
    made.system_id = SYSTEM;
    send(made);
    assert_int_equal(w.c.record.state, MSG_RECORD_RUNNING);
    assert_int_equal(w.c.record.system_id, SYSTEM);
    assert_int_equal(w.order[2].goal, MSG_GOAL_FOLLOW);
}

static uint32_t interval_founded_with(uint32_t seed_ms)
{
    assert_int_equal(setup_empty(NULL), 0);
    struct msg_report r = empty_of("pg1");
    r.seed_failover_interval_ms = seed_ms;
    send(r);
    wait_us(S);
    r.number++;
    send(r);
    assert_int_equal(w.c.record.epoch, 1);
    return w.c.record.failover_interval_ms;
}

static void test_bootstrap_with_the_failover_interval_of_the_founders_file(void **state)
{
    (void)state;
    assert_int_equal(interval_founded_with(0), ARB_FAILOVER_INTERVAL_DEFAULT_MS);
    assert_int_equal(interval_founded_with(1500), 1500);
    assert_int_equal(interval_founded_with(UINT32_MAX), 0); /* none */
}

static void test_bootstrap_never_over_data(void **state)
{
    (void)state;
    send(empty_of("pg1"));
    struct msg_report r = report_of("pg2");
    r.epoch_seen = 0;
    send(r);
    wait_us(2 * S);
    send(empty_of("pg1"));
    assert_int_equal(w.c.record.epoch, 0);
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_BOOTSTRAP_WAITS);
}

static void test_another_system_identifier_is_refused(void **state)
{
    (void)state;
    struct msg_report r = report_of("pg2");
    r.system_id = 1;
    r.epoch_seen = 99; /* of its own cluster: blocks nobody here */
    send(r);
    assert_int_equal(w.order[2].goal, MSG_GOAL_REFUSED);
    assert_string_equal(w.order[2].reason.text,
                        "has a data directory of another system identifier");
    send(primary_of("pg1"));
    assert_int_not_equal(w.fx.ticket, 0);
}

/* What is not known yet may say another thing. */
static void test_nobody_is_refused_by_a_node_that_is_not_ready(void **state)
{
    (void)state;
    run((struct arb_event){.kind = ARB_EVENT_LEADER, .term = 6, .elected = w.now});
    send(primary_of("pg1"));
    struct msg_report twin = primary_of("pg1");
    twin.instance = 555;
    twin.session = 556;
    send(twin);
    assert_false(w.fx.has_refusal);
    run((struct arb_event){.kind = ARB_EVENT_READY});
    send(twin);
    assert_true(w.fx.has_refusal);
}

/* Who looks on is told of changes, not of every report. */
static void test_a_report_that_says_the_same_is_no_change(void **state)
{
    (void)state;
    send(report_of("pg2"));
    unsigned bit = 1u << arb_view_find(&w.c, &(struct base_name){"pg2"});
    assert_int_equal(w.fx.changed, bit);
    send(report_of("pg2"));
    assert_int_equal(w.fx.changed, 0);
    struct msg_report r = report_of("pg2");
    r.is_receiving = false;
    send(r);
    assert_int_equal(w.fx.changed, bit);
}

static void test_the_newer_of_two_living_namesakes_is_refused(void **state)
{
    (void)state;
    send(primary_of("pg1"));
    struct msg_report twin = primary_of("pg1");
    twin.instance = 555;
    twin.session = 556;
    twin.number = 1;
    send(twin);
    assert_true(w.fx.has_refusal);
    assert_int_equal(w.fx.refusal.goal, MSG_GOAL_NONE); /* the other one may be dead */
    wait_us(250 * MS);
    send(primary_of("pg1"));
    twin.number = 2;
    send(twin);
    assert_int_equal(w.fx.refusal.goal, MSG_GOAL_REFUSED);
    assert_int_equal(w.c.views[arb_view_find(&w.c, &twin.member)].report.instance, 101);
    wait_us(1100 * MS); /* the first one is silent for four heartbeats */
    twin.number = 3;
    send(twin);
    assert_false(w.fx.has_refusal);
    assert_int_equal(w.c.views[arb_view_find(&w.c, &twin.member)].report.instance, 555);
}

static void test_a_restarted_agent_with_the_same_guard_goes_on_at_once(void **state)
{
    (void)state;
    send(primary_of("pg1"));
    struct msg_report again = primary_of("pg1");
    again.session = 4000;
    again.number = 1;
    send(again);
    confirm();
    assert_true(w.order[1].is_granted && w.order[1].session == 4000);
    struct msg_report late = primary_of("pg1"); /* of the former process */
    late.handback_lsn = 1;
    send(late);
    assert_int_equal(w.c.views[arb_view_find(&w.c, &late.member)].report.session, 4000);
}

static void test_late_and_doubled_reports_are_dropped(void **state)
{
    (void)state;
    struct msg_report old = report_of("pg2");
    struct msg_report newer = report_of("pg2");
    newer.position.lsn = 6000;
    send(newer);
    send(old);
    assert_false(w.has_order[2]);
    assert_int_equal(w.c.views[arb_view_find(&w.c, &old.member)].report.position.lsn, 6000);
}

static void test_a_void_swap_frees_the_way(void **state)
{
    (void)state;
    all_speak();
    w.holds_swap = true;
    send(handback_of("pg1"));
    send(vote_of("pg2", 3, 5000));
    send(vote_of("pg3", 3, 5000));
    assert_true(w.c.is_swapping);
    run((struct arb_event){.kind = ARB_EVENT_SWAP_ENDED});
    assert_false(w.c.is_swapping);
    tick();
    assert_true(w.fx.has_swap && w.fx.record.epoch == 4);
}

/* Everything at its limits goes through without touching anything outside. */
static void test_a_cluster_full_of_members(void **state)
{
    (void)state;
    for (int i = 0; i < MSG_MEMBERS_MAX + 2; i++) {
        struct msg_report r = report_of("pg2");
        char text[] = "pgA";
        text[2] = (char)('a' + i);
        r.member = name_of(text);
        r.session = (uint64_t)i + 1;
        struct arb_event event = {.kind = ARB_EVENT_REPORT, .now = w.now, .report = &r, .link = 1};
        arb_step(&w.c, &event, &w.fx);
        if (i > MSG_MEMBERS_MAX) {
            assert_true(w.fx.has_refusal && w.fx.refusal.goal == MSG_GOAL_REFUSED);
        }
    }
    assert_int_equal(w.c.views_count, MSG_MEMBERS_MAX);
}

static void test_every_sentence_can_be_made(void **state)
{
    (void)state;
    for (int kind = 0; kind < ARB_NOTE_COUNT; kind++) {
        uint8_t memory[512];
        struct buf b = buf_over(memory, sizeof(memory));
        struct arb_note note = {.kind = (enum arb_note_kind)kind,
                                .member = name_of("pg1"),
                                .other = name_of("pg2"),
                                .c = UINT64_C(0x16B374D848)};
        arb_note_put(&note, &b);
        assert_false(b.is_full);
        assert_true(b.len > 10);
    }
    uint8_t memory[32];
    struct buf b = buf_over(memory, sizeof(memory));
    arb_lsn_put(UINT64_C(0x16B374D848), &b);
    assert_true(slice_equal(buf_slice(&b), SLICE_LIT("16/B374D848")));
}

/* A record or a report may have been written by a later version. */
static void test_what_has_no_word_here_is_called_as_nothing_is(void **state)
{
    (void)state;
    const char *order = arb_mongodb_order_word(MSG_MONGODB_ORDER_NONE);
    const char *set = arb_mongodb_set_word(MSG_MONGODB_SET_UNKNOWN);
    assert_string_equal(arb_mongodb_order_word(MSG_MONGODB_ORDER_COUNT), order);
    assert_string_not_equal(arb_mongodb_order_word(MSG_MONGODB_ORDER_COUNT - 1), order);
    assert_string_equal(arb_mongodb_set_word(MSG_MONGODB_SET_STATE_COUNT), set);
    assert_string_not_equal(arb_mongodb_set_word(MSG_MONGODB_SET_STATE_COUNT - 1), set);
}

static void test_a_step_with_too_much_to_say_keeps_the_first_and_the_last(void **state)
{
    struct arb_event event = {.now = w.now};
    struct arb_turn t = {&w.c, &event, &w.fx};
    (void)state;
    w.fx.notes_count = 0;
    for (uint64_t i = 0; i < ARB_NOTES_MAX + 5; i++) {
        arb_say(&t, ARB_NOTE_TASK)->a = i;
    }
    assert_int_equal(w.fx.notes_count, ARB_NOTES_MAX);
    assert_int_equal(w.fx.notes[ARB_NOTES_MAX - 2].a, ARB_NOTES_MAX - 2);
    assert_int_equal(w.fx.notes[ARB_NOTES_MAX - 1].a, ARB_NOTES_MAX + 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_s5_members_come_in_by_the_one_safe_order),
        TEST(test_s5_the_record_is_not_narrowed_on_a_report_older_than_the_wish),
        TEST(test_s5_an_unconfirmed_member_stays_out),
        TEST(test_s5_what_a_holder_says_before_it_holds_lets_nobody_in),
        TEST(test_s5_a_silent_standby_leaves_after_two_ttl),
        TEST(test_s5_without_standbys_the_primary_goes_on_alone_unless_strict),
        TEST(test_s5_the_winner_of_two_lowers_r_before_it_goes_on_alone),
        TEST(test_s8_a_switchover_needs_no_vote),
        TEST(test_s8_after_anything_but_a_clean_stop_a_vote_decides),
        TEST(test_s8_after_a_clean_stop_no_foreign_or_broken_copy_takes_over),
        TEST(test_s8_the_target_vanishes_before_the_stop),
        TEST(test_s8_a_target_that_has_not_looked_yet_is_waited_for),
        TEST(test_s8_refusals_name_their_reason),
        cmocka_unit_test_setup(test_bootstrap_the_smallest_name_heard_within_a_second, setup_empty),
        cmocka_unit_test(test_bootstrap_with_the_failover_interval_of_the_founders_file),
        cmocka_unit_test_setup(test_bootstrap_never_over_data, setup_empty),
        TEST(test_another_system_identifier_is_refused),
        TEST(test_nobody_is_refused_by_a_node_that_is_not_ready),
        TEST(test_a_report_that_says_the_same_is_no_change),
        TEST(test_the_newer_of_two_living_namesakes_is_refused),
        TEST(test_a_restarted_agent_with_the_same_guard_goes_on_at_once),
        TEST(test_late_and_doubled_reports_are_dropped),
        TEST(test_a_void_swap_frees_the_way),
        TEST(test_a_cluster_full_of_members),
        TEST(test_every_sentence_can_be_made),
        TEST(test_what_has_no_word_here_is_called_as_nothing_is),
        TEST(test_a_step_with_too_much_to_say_keeps_the_first_and_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
