/* SPDX-License-Identifier: Apache-2.0 */
/* The arbiter's core, rule by rule of the safety contract: lease, failover, synchronous set,
 * switchover, bootstrap, refusals. Each test is named after the rule that it holds fast.
 */
#include "tests/support/cm.h"

#include "arbiter/core/internal.h"
#include "base/canary.h"
#include "base/name.h"

#include <string.h>

#define S BASE_US_PER_S
#define MS BASE_US_PER_MS
#define SYSTEM UINT64_C(7001)

static struct world {
    struct arb_cluster c;
    struct arb_effects fx;
    struct base_mono now;
    uint64_t number[16];
    struct msg_order order[16]; /* last one made for each member */
    bool has_order[16];
    bool holds_swap; /* do not apply swaps by themselves */
} w;

static struct base_name name_of(const char *text)
{
    struct base_name name = {{0}};
    assert_int_equal(base_name_from_text(text, &name), 0);
    return name;
}

static uint64_t id_of(const char *member)
{
    return (uint64_t)(member[2] - '0');
}

static void run(struct arb_event event);

/* Does the effects as the driver would: orders with a fresh clock; the commit of a swap comes
 * later. */
static void carry_out(void)
{
    struct arb_effects fx = w.fx;
    for (uint8_t i = 0; i < w.c.views_count; i++) {
        if ((fx.orders >> i & 1) != 0) {
            uint64_t id = id_of(w.c.views[i].member.text);
            arb_order_make(&w.c, i, w.now, &w.order[id]);
            w.has_order[id] = true;
        }
    }
    if (fx.has_swap && !w.holds_swap) {
        run((struct arb_event){.kind = ARB_EVENT_RECORD, .record = &fx.record, .is_own = true});
    }
}

static void run(struct arb_event event)
{
    event.now = w.now;
    event.wall = (struct base_wall){w.now.us};
    arb_step(&w.c, &event, &w.fx);
    carry_out();
}

static void wait_us(int64_t us)
{
    w.now.us += us;
}

static void tick(void)
{
    run((struct arb_event){.kind = ARB_EVENT_TICK});
}

static struct msg_report report_of(const char *member)
{
    struct msg_report r = {.cluster = w.c.name, .member = name_of(member)};
    r.instance = 100 + id_of(member);
    r.session = 1000 + id_of(member);
    r.number = ++w.number[id_of(member)];
    r.system_id = SYSTEM;
    r.epoch_seen = w.c.record.epoch;
    r.db_state = MSG_DB_STANDBY;
    r.is_receiving = true;
    r.position = (struct msg_position){3, 3, 5000};
    r.timeline_highest = 3;
    r.order_term = w.has_order[id_of(member)] ? w.order[id_of(member)].term : 0;
    r.order_number = w.has_order[id_of(member)] ? w.order[id_of(member)].number : 0;
    return r;
}

static struct msg_report primary_of(const char *member)
{
    struct msg_report r = report_of(member);
    r.db_state = MSG_DB_PRIMARY;
    r.is_receiving = false;
    r.is_open = true;
    r.epoch_held = w.c.record.epoch;
    r.position.lineage = w.c.record.epoch;
    r.opened_lsn = 4000;
    r.is_sync_known = true;
    r.sync_names = w.c.record.voters;
    r.sync_count = w.c.record.votes_needed_r;
    r.is_sync_barrier_passed = true;
    for (uint8_t i = 0; i < w.c.record.voters.count; i++) {
        r.standbys[r.standbys_count++] =
            (struct msg_standby){w.c.record.voters.names[i], 5000, true, true};
    }
    return r;
}

static void send(struct msg_report r)
{
    w.has_order[id_of(r.member.text)] = false;
    run((struct arb_event){.kind = ARB_EVENT_REPORT, .report = &r, .link = id_of(r.member.text)});
}

static void confirm(void)
{
    run((struct arb_event){.kind = ARB_EVENT_CONFIRMED, .ticket = w.c.ticket});
}

static struct msg_names names(const char *a, const char *b)
{
    struct msg_names set = {0};
    struct base_name name;
    if (a != NULL) {
        name = name_of(a);
        assert_int_equal(arb_names_add(&set, &name), 0);
    }
    if (b != NULL) {
        name = name_of(b);
        assert_int_equal(arb_names_add(&set, &name), 0);
    }
    return set;
}

static struct msg_record base_record(void)
{
    return (struct msg_record){.cluster = name_of("main"),
                               .epoch = 3,
                               .revision = 9,
                               .system_id = SYSTEM,
                               .state = MSG_RECORD_RUNNING,
                               .holder = name_of("pg1"),
                               .holder_instance = 101,
                               .floor = {2, 2, 4000},
                               .floor_epoch = 3,
                               .timeline = 3,
                               .timeline_highest = 3,
                               .voters = names("pg2", "pg3"),
                               .votes_needed_r = 1,
                               .is_opened = true,
                               .ttl_ms = 2000,
                               .heartbeat_ms = 250,
                               .freeze_max_ms = 3000,
                               .sync_count = 1,
                               .maximum_lag_bytes = 1000};
}

static void load(struct msg_record record)
{
    run((struct arb_event){.kind = ARB_EVENT_RECORD, .record = &record});
}

static void lead(uint64_t term)
{
    run((struct arb_event){.kind = ARB_EVENT_LEADER, .term = term, .elected = w.now});
    run((struct arb_event){.kind = ARB_EVENT_READY});
}

static int setup(void **state)
{
    struct base_name name = name_of("main");
    (void)state;
    memset(&w, 0, sizeof(w));
    w.now.us = 1000 * S;
    arb_cluster_init(&w.c, &name);
    load(base_record());
    lead(5);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_true(base_canary_select(NULL));
    return 0;
}

/* All three speak, the holder is granted. */
static void all_speak(void)
{
    send(report_of("pg2"));
    send(report_of("pg3"));
    send(primary_of("pg1"));
    confirm();
}

static struct msg_report handback_of(const char *member)
{
    struct msg_report r = report_of(member);
    r.epoch_handed_back = w.c.record.epoch;
    r.is_tree_gone = true;
    r.db_state = MSG_DB_STOPPED;
    r.is_receiving = false;
    r.position.lineage = w.c.record.epoch;
    return r;
}

static struct msg_report vote_of(const char *member, uint64_t lineage, uint64_t lsn)
{
    struct msg_report r = report_of(member);
    r.promised = w.c.attempt;
    r.is_vote_valid = true;
    r.is_receiving = false;
    r.position.lineage = lineage;
    r.position.lsn = lsn;
    return r;
}

static bool is_holder(const char *member)
{
    struct base_name name = name_of(member);
    return base_name_equal(&w.c.record.holder, &name);
}

static bool was_said(enum arb_note_kind kind)
{
    for (uint8_t i = 0; i < w.fx.notes_count; i++) {
        if (w.fx.notes[i].kind == kind) {
            return true;
        }
    }
    return false;
}

/* --- section 1
 * ---------------------------------------------------------------------------------------- */

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

/* --- section 2
 * ---------------------------------------------------------------------------------------- */

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

/* --- section 4
 * ---------------------------------------------------------------------------------------- */

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
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_WAITS_CANDIDATE);
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
    send(report_of("pg2"));
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &force});
    assert_int_equal(w.fx.answer, 0);
    send(report_of("pg2"));
    assert_int_equal(w.order[2].goal, MSG_GOAL_VOTE);
    send(vote_of("pg2", 3, 4600));
    assert_true(is_holder("pg2"));
    assert_int_equal(w.c.decision.kind, ARB_DECIDE_FORCED);
    assert_int_equal(w.c.decision.loss_bound_bytes, 400);
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

/* --- section 5
 * ---------------------------------------------------------------------------------------- */

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

/* --- section 8
 * ---------------------------------------------------------------------------------------- */

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

/* --- bootstrap and refusals
 * ------------------------------------------------------------------------------ */

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
    assert_int_equal(w.order[1].goal, MSG_GOAL_INIT);
    assert_true(w.order[1].is_granted);
    assert_int_equal(w.order[2].goal, MSG_GOAL_NONE);
    struct msg_report made = empty_of("pg1");
    made.db_state = MSG_DB_STOPPED;
    made.system_id = SYSTEM;
    send(made);
    assert_int_equal(w.c.record.state, MSG_RECORD_RUNNING);
    assert_int_equal(w.c.record.system_id, SYSTEM);
    assert_int_equal(w.order[2].goal, MSG_GOAL_FOLLOW);
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

/* --- planted bugs: the same scenes must come out wrong
 * ------------------------------------------------------ */
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_s1_timeline_is_above_every_one_reported),
        TEST(test_s1_a_timeline_beyond_reason_is_not_followed),
        TEST(test_s1_another_guard_instance_gets_no_grant),
        TEST(test_s1_an_epoch_above_the_record_blocks_everything),
        TEST(test_s1_the_holder_returns_when_no_vote_is_possible),
        TEST(test_s1_no_return_while_somebody_is_ahead_or_the_tree_lives),
        TEST(test_s2_a_grant_needs_a_confirmation_behind_the_report),
        TEST(test_s2_a_confirmation_for_a_former_agent_process_is_void),
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
        TEST(test_s4_async_takes_the_best_within_the_lag_limit),
        TEST(test_s4_async_without_a_known_position_waits),
        TEST(test_s4_a_forced_failover_shows_its_loss),
        TEST(test_s4_the_story_says_where_the_time_went),
        TEST(test_s5_members_come_in_by_the_one_safe_order),
        TEST(test_s5_the_record_is_not_narrowed_on_a_report_older_than_the_wish),
        TEST(test_s5_an_unconfirmed_member_stays_out),
        TEST(test_s5_a_silent_standby_leaves_after_two_ttl),
        TEST(test_s5_without_standbys_the_primary_goes_on_alone_unless_strict),
        TEST(test_s5_the_winner_of_two_lowers_r_before_it_goes_on_alone),
        TEST(test_s8_a_switchover_needs_no_vote),
        TEST(test_s8_after_anything_but_a_clean_stop_a_vote_decides),
        TEST(test_s8_the_target_vanishes_before_the_stop),
        TEST(test_s8_refusals_name_their_reason),
        cmocka_unit_test_setup(test_bootstrap_the_smallest_name_heard_within_a_second, setup_empty),
        cmocka_unit_test_setup(test_bootstrap_never_over_data, setup_empty),
        TEST(test_another_system_identifier_is_refused),
        TEST(test_the_newer_of_two_living_namesakes_is_refused),
        TEST(test_a_restarted_agent_with_the_same_guard_goes_on_at_once),
        TEST(test_late_and_doubled_reports_are_dropped),
        TEST(test_a_void_swap_frees_the_way),
        TEST(test_a_cluster_full_of_members),
        TEST(test_every_sentence_can_be_made),
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
