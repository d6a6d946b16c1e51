/* SPDX-License-Identifier: Apache-2.0 */
/* The arbiter's core with a MongoDB replica set: founding, layout, switchover, degrade and restore,
 * repairs, force, what a leader does without its memory, and all that it must leave alone.
 */
#include "arbiter/core/mongodb_internal.h"
#include "tests/unit/mongodb_scene.h"

#include <string.h>

/* --- founding --- */

static void test_a_set_of_three_is_founded(void **state)
{
    (void)state;
    mon_blank(3, 0);
    mon_pass(60);
    assert_true(w.c.record.mongodb.is_initiated);
    for (unsigned n = 1; n <= 3; n++) {
        assert_true(mon.m[n].is_in && mon.m[n].votes == 1 && mon.m[n].priority_x10 == 10);
    }
    /* initiate, then for two: add, vote, priority; each an epoch of its own */
    assert_int_equal(mon.orders, 7);
    assert_int_equal(w.c.record.epoch, 7);
    assert_true(base_name_is_empty(&w.c.record.holder));
    assert_int_equal(mon_state(), MSG_MONGODB_SET_HEALTHY);
    assert_string_equal(w.c.record.mongodb.primary.text, "mg1");
}

static void test_two_and_one_is_founded_with_the_arbiter_last(void **state)
{
    (void)state;
    mon_blank(2, 1);
    mon_pass(60);
    assert_true(mon.m[3].is_in && mon.m[3].votes == 1 && mon.m[3].is_arbiter);
    assert_true(mon.m[2].votes == 1 && mon.m[2].priority_x10 == 10);
    /* with the arbiter the implicit default would have become w:1 */
    assert_int_equal(mon.concern, MSG_MONGODB_CONCERN_SET_MAJORITY);
}

/* A person has set another one meanwhile: it is explicit, and that was ordered. */
static void test_any_explicit_write_concern_will_do(void **state)
{
    (void)state;
    mon_running(2, 1);
    mon.disobeys = true;
    mon.concern = MSG_MONGODB_CONCERN_IMPLICIT_ONE;
    mon_pass(2);
    assert_true(mon_is_open(MSG_MONGODB_ORDER_CONCERN));
    mon.concern = MSG_MONGODB_CONCERN_SET_ONE;
    mon_pass(1);
    assert_int_equal(mon_order()->state, MSG_MONGODB_ORDER_DONE);
}

static void test_three_and_one_is_refused(void **state)
{
    (void)state;
    mon_blank(3, 1);
    mon_pass(60);
    assert_int_equal(w.c.record.epoch, 0);
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_MONGODB_LAYOUT);
    assert_int_equal(w.c.waiting.why, ARB_REFUSE_LAYOUT_THREE_ONE);
}

static void test_founding_waits_for_all(void **state)
{
    (void)state;
    mon_blank(3, 0);
    mon.m[3].is_silent = true;
    mon_pass(60);
    assert_int_equal(w.c.record.epoch, 0);
    assert_int_equal(mon_state(), MSG_MONGODB_SET_UNINITIATED);
    mon.m[1].is_silent = mon.m[2].is_silent = true;
    mon_pass(10);
    assert_int_equal(mon_state(), MSG_MONGODB_SET_UNKNOWN);
    mon.m[1].is_silent = mon.m[2].is_silent = false;
    mon_pass(1);
    mon.m[3].is_silent = false;
    mon.m[3].has_data = true;
    mon_pass(60);
    assert_int_equal(w.c.record.epoch, 0);
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_MONGODB_DATA_WAITS);
}

/* Files that name no number ask for one member. */
static void test_founding_waits_for_one_at_least(void **state)
{
    (void)state;
    mon_blank(1, 0);
    mon.seed_members = 0;
    mon.m[1].is_down = true;
    mon_pass(60);
    assert_int_equal(w.c.record.epoch, 0);
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_MONGODB_FOUND_WAITS);
    assert_true(w.c.waiting.a == 1 && w.c.waiting.b == 0);
    mon.m[1].is_down = false;
    mon_pass(60);
    assert_true(w.c.record.mongodb.is_initiated);
}

static void test_only_the_same_member_initiates_again(void **state)
{
    (void)state;
    mon_blank(3, 0);
    mon.disobeys = true;
    mon_pass(10);
    assert_true(mon_is_open(MSG_MONGODB_ORDER_INITIATE));
    struct base_name first = mon_order()->member;
    mon.m[1].is_silent = true;
    mon_pass(300);
    assert_true(mon_is_idle());
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_MONGODB_FOUND_WAITS);
    mon.m[1].is_silent = false;
    mon_pass(30);
    assert_true(mon_is_open(MSG_MONGODB_ORDER_INITIATE));
    assert_true(base_name_equal(&first, &mon_order()->member));
}

/* Its files are there from its first start on, long before it says whether they are anybody's. */
static void test_a_mongod_that_just_starts_is_not_taken_for_data(void **state)
{
    (void)state;
    mon_blank(3, 0);
    mon.m[2].has_data = true;
    mon.m[2].state = MSG_MONGODB_STARTING;
    mon_pass(10);
    assert_int_equal(w.c.record.epoch, 0);
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_MONGODB_FOUND_WAITS);
    mon.m[2].has_data = false; /* nobody's */
    mon.m[2].state = MSG_MONGODB_UNKNOWN;
    mon_pass(60);
    assert_true(w.c.record.mongodb.is_initiated);
}

/* By hand, at another member, while the order is open: the order ends, and that one is the set. */
static void test_founded_elsewhere_ends_the_order(void **state)
{
    (void)state;
    mon_blank(3, 0);
    mon.disobeys = true;
    mon_pass(10);
    assert_true(mon_is_open(MSG_MONGODB_ORDER_INITIATE));
    unsigned other = strcmp(mon_order()->member.text, mon_name(2)) == 0 ? 3 : 2;
    mon.m[other].is_in = mon.m[other].has_data = true;
    mon.m[other].votes = 1;
    mon.m[other].priority_x10 = 10;
    mon.primary = other;
    mon.has_set_id = true;
    mon_pass(3);
    assert_true(w.c.record.mongodb.is_initiated);
    assert_false(mon_is_open(MSG_MONGODB_ORDER_INITIATE));
    mon_pass(200);
    assert_int_not_equal(mon_order()->kind, MSG_MONGODB_ORDER_INITIATE);
}

static void test_emptied_members_are_never_initiated(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 3; n++) {
        mon.m[n].is_in = mon.m[n].has_data = false;
    }
    mon.primary = 0;
    mon.has_set_id = false;
    mon_pass(400);
    assert_int_equal(mon.orders, 0);
    assert_true(mon_is_idle() && w.c.record.mongodb.is_initiated);
}

static void test_a_running_set_is_taken_in_as_it_is(void **state)
{
    (void)state;
    assert_int_equal(w.c.record.epoch, 1);
    mon_pass(60);
    assert_int_equal(mon.orders, 0);
    assert_int_equal(w.c.record.epoch, 1);
    assert_true(w.c.record.mongodb.is_initiated && w.c.record.mongodb.set_id[0] == 0xab);
    assert_int_equal(w.c.record.mongodb.places_count, 3);
    assert_true(w.order[1].mongodb.goal == MSG_MONGODB_GOAL_RUN && !w.order[1].is_granted);
}

/* Two clusters' agents under one name: whose server is in another set is told nothing. */
static void test_a_member_of_another_set_is_refused(void **state)
{
    (void)state;
    mon_pass(2);
    assert_int_not_equal(w.order[3].goal, MSG_GOAL_REFUSED);
    mon.m[3].is_of_other_set = true;
    mon_pass(2);
    assert_int_equal(w.order[3].goal, MSG_GOAL_REFUSED);
    assert_int_not_equal(w.order[2].goal, MSG_GOAL_REFUSED);
    mon.config.version += 10; /* of the other set */
    mon_speak(3);
    mon.config.version -= 10;
    mon_pass(2);
    assert_int_equal(w.c.record.mongodb.config.version, mon.config.version);
}

/* --- switchover --- */

static void test_a_switchover_goes_through_its_phases(void **state)
{
    (void)state;
    mon_request(mon_about(ARB_REQUEST_SWITCHOVER, "mg3"));
    assert_int_equal(w.answer, 0);
    assert_true(mon_is_open(MSG_MONGODB_ORDER_SWITCHOVER));
    assert_int_equal(mon_order()->phase, MSG_MONGODB_PHASE_FREEZE);
    uint64_t epoch = w.c.record.epoch;
    assert_int_equal(epoch, 2);
    mon_pass(10);
    assert_int_equal(mon.primary, 3);
    assert_int_equal(mon_order()->state, MSG_MONGODB_ORDER_DONE);
    assert_int_equal(w.c.record.epoch, epoch);
    assert_string_equal(w.c.record.mongodb.primary.text, "mg3");
}

static void test_a_switchover_that_nobody_carries_out_ends_unfrozen(void **state)
{
    (void)state;
    mon.disobeys = true;
    mon_request(mon_about(ARB_REQUEST_SWITCHOVER, NULL));
    mon_pass(40);
    assert_int_equal(mon_order()->state, MSG_MONGODB_ORDER_FAILED);
    assert_int_equal(mon_order()->phase, MSG_MONGODB_PHASE_UNFREEZE);
    assert_int_equal(mon_order()->status, BASE_E_TIMEOUT);
}

/* Its part of the phase that is open; in the same report it has news. */
static void says(unsigned n, int32_t status)
{
    mon.m[n].order_epoch = mon_order()->epoch;
    mon.m[n].order_phase = mon_order()->phase;
    mon.m[n].order_status = status;
    mon.m[n].is_order_done = true;
    mon.config.version++;
    mon_speak(n);
}

/* mg1 hands over to mg3, mg2 stands back. */
static void test_a_switchover_ends_with_what_the_one_said_who_could_not(void **state)
{
    static const struct {
        unsigned by;
        int32_t status; /* of the order; who only stands back tells its own part alone */
    } rows[] = {{2, BASE_E_TIMEOUT}, {1, BASE_E_DENIED}, {3, BASE_E_DENIED}};
    (void)state;
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        mon_running(3, 0);
        mon.disobeys = true;
        mon_request(mon_about(ARB_REQUEST_SWITCHOVER, "mg3"));
        says(2, rows[i].by == 2 ? BASE_E_DENIED : 0);
        mon.primary = rows[i].by == 3 ? 0 : mon.primary;
        if (rows[i].by != 2) {
            assert_int_equal(mon_order()->phase, MSG_MONGODB_PHASE_STEP_DOWN);
            says(1, rows[i].by == 1 ? BASE_E_DENIED : 0);
        }
        if (rows[i].by == 3) {
            assert_int_equal(mon_order()->phase, MSG_MONGODB_PHASE_STEP_UP);
            says(3, BASE_E_DENIED);
        }
        assert_int_equal(mon_order()->phase, MSG_MONGODB_PHASE_UNFREEZE);
        mon_pass(12);
        assert_int_equal(mon_order()->state, MSG_MONGODB_ORDER_FAILED);
        assert_int_equal(mon_order()->status, rows[i].status);
    }
}

/* Every report has some: one entry a step. */
static void test_the_steps_of_a_switchover_come_before_what_is_news(void **state)
{
    (void)state;
    mon_request(mon_about(ARB_REQUEST_SWITCHOVER, "mg3"));
    for (unsigned i = 0; i < 10; i++) {
        for (unsigned n = 1; n <= 3; n++) {
            mon.config.version++;
            mon_speak(n);
        }
        mon_round();
    }
    assert_int_equal(mon_order()->state, MSG_MONGODB_ORDER_DONE);
    assert_int_equal(w.c.record.mongodb.config.version, mon.config.version);
}

static void test_a_planned_switchover_is_carried_out_once(void **state)
{
    (void)state;
    struct arb_request r = mon_about(ARB_REQUEST_SWITCHOVER, "mg2");
    r.at_wall_us = w.now.us + 10 * S;
    mon_request(r);
    assert_int_equal(w.answer, 0);
    assert_int_equal(w.c.record.switchover_at_wall_us, r.at_wall_us);
    mon_pass(5);
    assert_int_equal(mon.primary, 1);
    mon_pass(20);
    assert_int_equal(mon.primary, 2);
    assert_int_equal(w.c.record.switchover_at_wall_us, 0);
}

/* With the port it must fit into what a configuration can name. */
static void test_the_address_of_a_newcomer_fits_or_is_none(void **state)
{
    (void)state;
    char text[MSG_MONGODB_HOST_MAX] = {0};
    struct arb_view view = {.member = name_of("mg9"), .has_report = true};
    view.report.db_port = 27017;
    memset(text, 'h', MSG_MONGODB_HOST_MAX - 6);
    view.report.host = base_text_from(slice_from_text(text));
    assert_int_equal(strlen(arb_mongodb_host(&w.c, &view).text), MSG_MONGODB_HOST_MAX);
    text[MSG_MONGODB_HOST_MAX - 6] = 'h';
    view.report.host = base_text_from(slice_from_text(text));
    assert_int_equal(strlen(arb_mongodb_host(&w.c, &view).text), 0);
}

static void test_unfit_targets_are_refused(void **state)
{
    (void)state;
    mon.m[2].lag_ms = 5000;
    mon_round();
    mon_request(mon_about(ARB_REQUEST_SWITCHOVER, "mg2"));
    assert_int_equal(w.answer, BASE_E_STATE);
    mon.m[2].lag_ms = 0;
    mon.m[3].is_down = true;
    mon_round();
    mon_request(mon_about(ARB_REQUEST_SWITCHOVER, "mg2")); /* a voter is missing */
    assert_int_equal(w.answer, BASE_E_STATE);
    mon.m[3].is_down = false;
    mon_round();
    mon_request(mon_about(ARB_REQUEST_SWITCHOVER, "mg1"));
    assert_int_equal(w.answer, BASE_E_STATE);
    mon_request(mon_about(ARB_REQUEST_FAILOVER, "mg2"));
    assert_int_equal(w.answer, BASE_E_INVALID);
    assert_int_equal(w.c.record.epoch, 1);
    mon_running(1, 0);
    mon_request(mon_about(ARB_REQUEST_SWITCHOVER, NULL)); /* it has nobody else */
    assert_int_equal(w.answer, BASE_E_STATE);
    assert_non_null(strstr(w.fx.answer_text.text, "mg1 "));
}

static enum arb_refusal refusal_of(unsigned n)
{
    struct base_name name = name_of(mon_name(n));
    return arb_target_refusal(&w.c, arb_view_find(&w.c, &name), w.now);
}

static void test_why_a_member_cannot_take_over_is_told(void **state)
{
    (void)state;
    assert_int_equal(refusal_of(1), ARB_REFUSE_IS_HOLDER);
    assert_int_equal(refusal_of(2), ARB_REFUSE_NONE);
    mon.m[2].is_silent = true;
    mon_pass(20);
    assert_int_equal(refusal_of(2), ARB_REFUSE_SILENT);
}

/* Somebody runs it, and it is in no configuration. */
static void test_of_who_is_outside_its_own_word_counts_while_it_is_heard(void **state)
{
    (void)state;
    mon.m[4] = (struct mon_member){.exists = true, .is_adopted = true};
    mon_pass(1);
    struct base_name mg4 = name_of("mg4");
    uint8_t at = arb_view_find(&w.c, &mg4);
    assert_int_equal(arb_mongodb_member_state(&w.c, at, w.now), MSG_MONGODB_ABSENT);
    mon.m[4].is_silent = true;
    mon_pass(5);
    assert_int_equal(arb_mongodb_member_state(&w.c, at, w.now), MSG_MONGODB_ABSENT);
    mon_pass(1);
    assert_int_equal(arb_mongodb_member_state(&w.c, at, w.now), MSG_MONGODB_UNKNOWN);
}

static void test_one_order_at_a_time(void **state)
{
    (void)state;
    mon.disobeys = true;
    mon_request(mon_about(ARB_REQUEST_SWITCHOVER, "mg3"));
    mon_request(mon_about(ARB_REQUEST_SWITCHOVER, "mg2"));
    assert_int_equal(w.answer, BASE_E_BUSY);
    mon_request(mon_about(ARB_REQUEST_PAUSE, NULL));
    assert_int_equal(w.answer, BASE_E_BUSY);
    mon_request(mon_about(ARB_REQUEST_CANCEL, NULL));
    assert_int_equal(w.answer, 0);
    mon_pass(12);
    assert_int_equal(mon_order()->state, MSG_MONGODB_ORDER_FAILED);
    assert_int_equal(mon_order()->status, BASE_E_CANCELED);
    assert_int_equal(mon_order()->code, 0); /* nothing of MongoDB's */
    mon_running(3, 0);
    mon.disobeys = true;
    mon.m[3].votes = 0;
    mon_pass(2);
    assert_true(mon_is_open(MSG_MONGODB_ORDER_VOTE));
    mon_request(mon_about(ARB_REQUEST_CANCEL, NULL));
    assert_int_equal(mon_order()->state, MSG_MONGODB_ORDER_FAILED);
    assert_int_equal(mon_order()->status, BASE_E_CANCELED);
    assert_int_equal(mon_order()->code, 0);
}

/* That is another number. */
static void test_what_was_ever_heard_is_not_never_heard(void **state)
{
    (void)state;
    const struct base_mono then = {0};
    for (int64_t ms = (int64_t)UINT32_MAX - 2; ms <= (int64_t)UINT32_MAX + 2; ms++) {
        uint32_t most = ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX - 1;
        assert_int_equal(arb_mongodb_since_ms((struct base_mono){ms * MS}, then), most);
    }
    assert_int_equal(arb_mongodb_since_ms(then, (struct base_mono){5 * MS}), 0);
}

static void test_a_drained_primary_hands_over(void **state)
{
    (void)state;
    mon_request(mon_about(ARB_REQUEST_DRAIN, "mg1"));
    assert_int_equal(w.answer, 0);
    mon_pass(10);
    assert_true(mon.primary != 1 && mon.primary != 0);
}

static void test_steering_waits_for_health_and_ten_minutes(void **state)
{
    (void)state;
    struct msg_record r = w.c.record;
    r.revision++;
    r.mongodb.policy.is_steered = true;
    r.mongodb.policy.zone = name_of("east");
    mon.m[2].zone = name_of("east");
    load(r);
    mon_pass(200);
    assert_int_equal(mon.primary, 1); /* not yet healthy for five minutes */
    mon_pass(110);
    assert_int_equal(mon.primary, 2);
    mon.primary = 1; /* somebody moves it back */
    mon.config.term = ++mon.term;
    mon_pass(400);
    assert_int_equal(mon.primary, 1);
    mon_pass(300);
    assert_int_equal(mon.primary, 2);
}

static void steer_to_east(void)
{
    struct msg_record r = w.c.record;
    r.revision++;
    r.mongodb.policy.is_steered = true;
    r.mongodb.policy.zone = name_of("east");
    load(r);
}

/* Of those in the zone: the highest priority, then the smallest lag. */
static void test_steering_goes_by_priority_then_lag(void **state)
{
    (void)state;
    mon_running(5, 0);
    mon.m[3].zone = mon.m[4].zone = name_of("east");
    for (unsigned n = 2; n <= 5; n++) { /* those outside of it have a higher one */
        mon.m[n].priority = n == 3 || n == 4 ? 2 : 3;
        mon.m[n].priority_x10 = (uint16_t)(10 * mon.m[n].priority);
    }
    mon.m[3].lag_ms = 900;
    steer_to_east();
    mon_pass(320);
    assert_int_equal(mon.primary, 4);
}

static void test_without_a_zone_to_prefer_none_counts(void **state)
{
    (void)state;
    mon.m[2].zone = name_of("east");
    mon.m[2].priority = 2;
    mon.m[2].priority_x10 = 20;
    mon_pass(2);
    mon_request(mon_about(ARB_REQUEST_SWITCHOVER, NULL));
    assert_int_equal(w.answer, 0);
    assert_string_equal(mon_order()->subject.text, "mg2");
}

/* A member in its initial sync reads from somebody: nothing moves without need. */
static void test_steering_waits_for_an_initial_sync(void **state)
{
    (void)state;
    mon_running(5, 0);
    mon.m[2].zone = name_of("east");
    mon.m[5].votes = 0;
    mon.m[5].priority_x10 = 0;
    mon.m[5].state = MSG_MONGODB_SYNCING;
    steer_to_east();
    mon_pass(400);
    assert_int_equal(mon.primary, 1);
    mon.m[5].state = MSG_MONGODB_UNKNOWN;
    mon_pass(60);
    assert_int_equal(mon.primary, 2);
}

/* --- an order's end --- */

static void test_done_is_what_is_read(void **state)
{
    (void)state;
    mon.m[3].priority = 2;
    mon.disobeys = true;
    mon_pass(2);
    assert_true(mon_is_open(MSG_MONGODB_ORDER_PRIORITY));
    mon.m[1].order_epoch = mon_order()->epoch; /* the agent says that it is done, and it is not */
    mon.m[1].is_order_done = true;
    mon_pass(10);
    assert_true(mon_is_open(MSG_MONGODB_ORDER_PRIORITY));
    mon.config.version++; /* somebody has changed something else */
    mon_pass(2);
    assert_true(mon_is_open(MSG_MONGODB_ORDER_PRIORITY));
    mon.m[3].priority_x10 = 20;
    mon_pass(1);
    assert_int_equal(mon_order()->state, MSG_MONGODB_ORDER_DONE);
}

static void test_failures_wait_longer_each_time(void **state)
{
    (void)state;
    mon.m[3].votes = 0;
    mon.m[3].priority_x10 = 0;
    mon.disobeys = true;
    mon_pass(1000);
    /* limit 40 s each, then 10, 20, 40 ... 300 s: far fewer than without */
    assert_in_range(w.c.record.epoch, 4, 9);
    assert_true(w.c.mongodb.failures >= 3);
}

/* Its end is decided again as long as another entry of the record comes first. */
static void test_a_failure_that_comes_too_late_counts_once(void **state)
{
    (void)state;
    mon.m[3].votes = 0;
    mon.m[3].priority_x10 = 0;
    mon.disobeys = true;
    mon_pass(30);
    assert_true(mon_is_open(MSG_MONGODB_ORDER_VOTE));
    w.holds_swap = true;
    for (int i = 0; i < 16; i++) {
        mon_pass(1);
        run((struct arb_event){.kind = ARB_EVENT_SWAP_ENDED});
    }
    assert_int_equal(w.c.mongodb.failures, 1);
    assert_int_equal(w.order[1].mongodb.order_left_ms, 0); /* nobody begins it any more */
    w.holds_swap = false;
    run((struct arb_event){.kind = ARB_EVENT_SWAP_ENDED});
    mon_pass(1);
    assert_int_equal(mon_order()->state, MSG_MONGODB_ORDER_FAILED);
    assert_int_equal(w.c.mongodb.failures, 1);
}

static void test_a_new_leader_waits_a_whole_limit_anew(void **state)
{
    (void)state;
    mon.disobeys = true;
    mon.m[3].votes = 0;
    mon.m[3].priority_x10 = 0;
    mon_pass(30);
    assert_true(mon_is_open(MSG_MONGODB_ORDER_VOTE));
    run((struct arb_event){.kind = ARB_EVENT_LOST});
    lead(6);
    mon_pass(30);
    assert_true(mon_is_open(MSG_MONGODB_ORDER_VOTE));
    assert_in_range(w.order[1].mongodb.order_left_ms, 1000, 15000);
    mon_pass(15);
    assert_true(mon_is_idle());
}

/* Somebody changes a priority again and again: three corrections, then it is left. */
static void test_a_person_wins_the_fight_about_priorities(void **state)
{
    (void)state;
    unsigned corrected = 0;
    for (unsigned i = 0; i < 10; i++) {
        unsigned before = mon.orders;
        mon.m[2].priority_x10 = 50;
        mon.config.version++;
        mon_pass(70);
        corrected += mon.orders - before;
    }
    assert_int_equal(corrected, 3);
    assert_int_equal(mon_state(), MSG_MONGODB_SET_DRIFT);
}

static void test_a_correction_is_repeated_after_a_minute_at_the_earliest(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 2; i++) {
        mon.m[2].priority_x10 = 50;
        mon.config.version++;
        mon_pass(5);
        assert_int_equal(mon.orders, 1);
        mon_pass(i == 1 ? 0 : 50);
    }
    assert_int_equal(mon.orders, 1);
    mon_pass(10);
    assert_int_equal(mon.orders, 2);
}

/* --- nothing in a minority, nothing without the quorum --- */

static void test_nothing_is_ordered_in_a_minority(void **state)
{
    (void)state;
    mon.m[2].is_down = mon.m[3].is_down = true;
    mon.m[1].priority = 5; /* something to correct */
    mon_pass(120);         /* mg1 still says that it is primary */
    assert_int_equal(w.c.record.epoch, 1);
    mon_elect();
    mon_pass(30);
    assert_int_equal(w.c.record.epoch, 1);
    assert_int_equal(mon_state(), MSG_MONGODB_SET_NO_QUORUM);
}

static void test_one_opinion_is_none(void **state)
{
    (void)state;
    mon.m[2].is_silent = mon.m[3].is_silent = true;
    mon_pass(10);
    mon.m[1].priority = 5;
    mon_pass(60);
    assert_int_equal(w.c.record.epoch, 1);
    mon.m[1].is_silent = true;
    mon_pass(10);
    tick();
    assert_int_equal(mon_state(), MSG_MONGODB_SET_UNKNOWN);
}

static void test_pause_holds_everything(void **state)
{
    (void)state;
    mon_request(mon_about(ARB_REQUEST_PAUSE, NULL));
    assert_int_equal(w.answer, 0);
    mon.m[3].votes = 0;
    mon_pass(60);
    assert_int_equal(w.c.record.epoch, 1);
    assert_int_equal(w.order[1].mongodb.goal, MSG_MONGODB_GOAL_HOLD);
    assert_int_equal(mon_state(), MSG_MONGODB_SET_HOLD);
    mon_request((struct arb_request){.kind = ARB_REQUEST_FORCE_RECONFIGURE, .token = 1});
    assert_int_equal(w.answer, BASE_E_STATE);
    mon_request(mon_about(ARB_REQUEST_RESUME, NULL));
    assert_int_equal(w.answer, 0);
    assert_false(w.c.record.is_unarmed);
    mon.m[3].priority_x10 = 0;
    mon_pass(10);
    assert_int_equal(mon.m[3].votes, 1);
}

/* --- two and one --- */

static void degrade_auto(void)
{
    struct msg_record r = w.c.record;
    r.revision++;
    r.mongodb.policy.is_degrade_auto = true;
    load(r);
}

static void test_a_dead_member_loses_its_vote_and_gets_it_back(void **state)
{
    (void)state;
    mon_running(2, 1);
    degrade_auto();
    mon.m[2].is_down = true;
    mon.commit_age_ms = 30000;
    mon_pass(100);
    assert_int_equal(mon.m[2].votes, 1);
    assert_int_equal(mon_state(), MSG_MONGODB_SET_COMMIT_STALLED);
    mon_pass(30);
    assert_int_equal(mon.m[2].votes, 0);
    assert_int_equal(w.c.record.mongodb.degraded.count, 1);
    mon.commit_age_ms = 0;
    mon_pass(2);
    assert_int_equal(mon_state(), MSG_MONGODB_SET_PSA_DEGRADED);
    mon.m[2].is_down = false;
    mon_pass(50);
    assert_int_equal(mon.m[2].votes, 0); /* not back for a minute yet */
    mon_pass(20);
    assert_int_equal(mon.m[2].votes, 1);
    mon_pass(5);
    assert_int_equal(mon.m[2].priority_x10, 10);
    assert_int_equal(w.c.record.mongodb.degraded.count, 0);
    assert_int_equal(mon_state(), MSG_MONGODB_SET_HEALTHY);
}

static void mg2_is_degraded(void)
{
    mon_running(2, 1);
    degrade_auto();
    mon.m[2].is_down = true;
    mon_pass(150);
    assert_int_equal(w.c.record.mongodb.degraded.count, 1);
}

static void test_a_vote_is_taken_away_before_all_else(void **state)
{
    (void)state;
    mon_running(2, 1);
    degrade_auto();
    mon.m[2].is_down = mon.disobeys = true;
    mon.m[1].priority = 3; /* ordered again and again, until both are due */
    for (unsigned i = 0; i < 300 && w.c.record.mongodb.degraded.count == 0; i++) {
        mon_pass(1);
        assert_int_equal(mon_is_open(MSG_MONGODB_ORDER_UNVOTE), w.c.record.mongodb.degraded.count);
    }
    assert_true(mon_is_open(MSG_MONGODB_ORDER_UNVOTE));
}

/* What is due besides waits for the vote, and for nothing while there is none to be given. */
static void test_a_vote_comes_back_before_all_else(void **state)
{
    (void)state;
    mg2_is_degraded();
    mon.m[1].priority = 3;
    mon_pass(5);
    assert_int_equal(mon.m[1].priority_x10, 30);
    mon.m[2].is_down = false;
    mon_pass(50);
    mon.m[1].priority = 2;
    mon.disobeys = true;
    mon_pass(5); /* the priority is ordered first, and fails: then both are due */
    mon_pass(120);
    assert_int_equal(mon_order()->kind, MSG_MONGODB_ORDER_VOTE);
    assert_string_equal(mon_order()->subject.text, "mg2");
    assert_int_equal(mon_order()->votes, 1);
    assert_int_equal(mon_order()->priority_x10, 0); /* never both at once */
}

/* Somebody has taken it out by hand meanwhile: nothing is left to be given back to. */
static void test_a_degraded_member_that_is_gone_keeps_nobody_waiting(void **state)
{
    (void)state;
    mg2_is_degraded();
    mon.m[2].is_in = false;
    mon.config.version++;
    mon.m[1].priority = 3;
    mon_pass(5);
    assert_int_equal(mon.m[1].priority_x10, 30);
}

static void test_the_vote_stays_without_the_word_of_both(void **state)
{
    (void)state;
    mon_running(2, 1);
    degrade_auto();
    mon.m[2].is_silent = true; /* its agent alone */
    mon_pass(300);
    assert_int_equal(mon.m[2].votes, 1);
    mon_running(2, 1);
    mon.m[2].is_down = true; /* both, and nobody has opted in */
    mon_pass(300);
    assert_int_equal(mon.m[2].votes, 1);
}

/* The primary does not hear it, its agent says that it is well. */
static void test_the_primary_alone_is_not_enough(void **state)
{
    (void)state;
    mon_running(2, 1);
    degrade_auto();
    for (unsigned i = 0; i < 300; i++) {
        wait_us(S);
        mon.m[2].is_down = true;
        mon.m[2].dead_ms = 500000;
        mon_speak(1);
        mon_speak(3);
        mon.m[2].is_down = false;
        mon_speak(2);
    }
    assert_int_equal(w.c.record.epoch, 1);
}

/* --- ladder and repairs --- */

static void gray(enum msg_mongodb_gray policy)
{
    struct msg_record r = w.c.record;
    r.revision++;
    r.mongodb.policy.gray = policy;
    load(r);
    mon.m[1].canary_ms = 20000;
}

static void test_a_gray_primary_is_only_told_by_default(void **state)
{
    (void)state;
    gray(MSG_MONGODB_GRAY_REPORT);
    mon_pass(60);
    assert_int_equal(w.c.record.epoch, 1);
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_MONGODB_GRAY);
}

static void test_a_gray_primary_steps_down_and_is_killed_with_the_opt_in_alone(void **state)
{
    (void)state;
    gray(MSG_MONGODB_GRAY_STEPDOWN);
    mon.disobeys = true;
    mon_pass(10);
    assert_true(mon_is_open(MSG_MONGODB_ORDER_STEP_DOWN));
    for (unsigned i = 0; i < 400; i++) {
        mon_pass(1);
        assert_int_not_equal(mon_order()->kind, MSG_MONGODB_ORDER_KILL);
    }
    mon_running(3, 0);
    gray(MSG_MONGODB_GRAY_STEPDOWN);
    mon_pass(3);
    assert_int_equal(mon_order()->kind, MSG_MONGODB_ORDER_STEP_DOWN);
    assert_int_equal(mon_order()->state, MSG_MONGODB_ORDER_DONE);
    mon_running(3, 0);
    gray(MSG_MONGODB_GRAY_KILL);
    mon.disobeys = true;
    mon_pass(60);
    assert_int_equal(mon_order()->kind, MSG_MONGODB_ORDER_KILL);
}

static void test_stale_members_are_told_or_synced_anew(void **state)
{
    (void)state;
    mon.m[3].state = MSG_MONGODB_STALE;
    mon_pass(30);
    assert_int_equal(w.c.record.epoch, 1);
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_MONGODB_STALE);
    struct msg_record r = w.c.record;
    r.revision++;
    r.mongodb.policy.is_resync_auto = true;
    load(r);
    mon_pass(5);
    assert_int_equal(mon.m[3].state, MSG_MONGODB_UNKNOWN);
    assert_int_equal(mon_order()->kind, MSG_MONGODB_ORDER_RESYNC);
}

static unsigned weak_said;

static void count_weak(void)
{
    for (uint8_t i = 0; i < w.fx.notes_count; i++) {
        weak_said += w.fx.notes[i].kind == ARB_NOTE_MONGODB_WEAK;
    }
}

/* Once, and anew when it was well in between; without a primary nobody knows. */
static void test_a_weak_write_concern_is_said_once(void **state)
{
    (void)state;
    weak_said = 0;
    w.told = count_weak;
    for (unsigned i = 1; i <= 2; i++) {
        mon.concern = MSG_MONGODB_CONCERN_SET_ONE;
        mon_pass(5);
        assert_int_equal(weak_said, i);
        mon.m[1].is_silent = true;
        mon_pass(20);
        mon.m[1].is_silent = false;
        mon_pass(5);
        assert_int_equal(weak_said, i);
        mon.concern = MSG_MONGODB_CONCERN_SET_MAJORITY;
        mon_pass(5);
    }
}

static void test_a_rollback_is_said_once(void **state)
{
    (void)state;
    mon.m[2].rollbacks++;
    mon_speak(2);
    assert_true(was_said(ARB_NOTE_MONGODB_ROLLBACK));
    assert_string_equal(w.note[ARB_NOTE_MONGODB_ROLLBACK].member.text, "mg2");
    mon_speak(2);
    assert_false(was_said(ARB_NOTE_MONGODB_ROLLBACK));
}

/* Four may not vote. A file of somebody who is not in the set promises a fifth that never comes. */
static void test_who_is_not_in_the_set_promises_no_voters(void **state)
{
    (void)state;
    mon_running(4, 0);
    mon.m[4].votes = 0;
    mon.m[4].priority_x10 = 0;
    mon.m[5] = (struct mon_member){.exists = true, .is_down = true};
    mon.seed_members = 5;
    mon_speak(5);
    mon.m[5].is_silent = true;
    mon.seed_members = 4;
    mon_pass(60);
    assert_int_equal(mon.m[4].votes, 0);
    assert_int_equal(mon.orders, 0);
    assert_int_equal(w.c.waiting.why, ARB_REFUSE_LAYOUT_EVEN);
}

static void test_a_member_that_is_gone_leaves(void **state)
{
    (void)state;
    mon_running(5, 0);
    mon_request(mon_about(ARB_REQUEST_REMOVE, "mg4"));
    assert_int_equal(w.answer, BASE_E_STATE); /* heard */
    mon.m[4].is_silent = mon.m[4].is_down = true;
    mon_pass(20);
    mon_request(mon_about(ARB_REQUEST_REMOVE, "mg4"));
    assert_int_equal(w.answer, 0);
    mon_pass(5);
    assert_false(mon.m[4].is_in);
    assert_int_equal(w.c.record.mongodb.leaving.count, 0);
    assert_int_equal(w.c.record.mongodb.places_count, 4);
    assert_string_equal(w.c.record.mongodb.places[3].member.text, "mg5");
    mon_running(3, 0);
    mon.m[3].is_silent = mon.m[3].is_down = true;
    mon_pass(20);
    struct arb_request r = mon_about(ARB_REQUEST_REMOVE, "mg3");
    mon_request(r); /* two would be left */
    assert_int_equal(w.answer, BASE_E_STATE);
    r.is_forced = true;
    mon_request(r);
    assert_int_equal(w.answer, 0);
    mon_pass(5);
    assert_false(mon.m[3].is_in);
}

/* --- a new primary that catches up --- */

static void test_catching_up_is_given_up_by_a_persons_word_alone(void **state)
{
    (void)state;
    struct arb_request r = {.kind = ARB_REQUEST_CANCEL, .is_catch_up = true};
    mon_request(r);
    assert_int_equal(w.answer, BASE_E_STATE); /* there is a primary */
    mon.m[1].is_down = true;
    mon.primary = 0;
    mon.term++;
    mon_pass(60);
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_MONGODB_NO_PRIMARY); /* nobody was elected */
    mon.m[2].state = MSG_MONGODB_DRAINING;
    mon_pass(60);
    assert_int_equal(mon.orders, 0);
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_MONGODB_CATCHES_UP);
    assert_string_equal(w.c.waiting.member.text, "mg2");
    mon_request(r);
    assert_int_equal(w.answer, 0);
    assert_true(mon_is_open(MSG_MONGODB_ORDER_ABORT_CATCHUP));
    assert_string_equal(mon_order()->member.text, "mg2");
    mon_pass(2);
    assert_int_equal(mon_order()->state, MSG_MONGODB_ORDER_DONE);
    assert_int_equal(mon.primary, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MON_TEST(test_a_set_of_three_is_founded),
        MON_TEST(test_two_and_one_is_founded_with_the_arbiter_last),
        MON_TEST(test_any_explicit_write_concern_will_do),
        MON_TEST(test_three_and_one_is_refused),
        MON_TEST(test_founding_waits_for_all),
        MON_TEST(test_founding_waits_for_one_at_least),
        MON_TEST(test_only_the_same_member_initiates_again),
        MON_TEST(test_a_mongod_that_just_starts_is_not_taken_for_data),
        MON_TEST(test_founded_elsewhere_ends_the_order),
        MON_TEST(test_emptied_members_are_never_initiated),
        MON_TEST(test_a_running_set_is_taken_in_as_it_is),
        MON_TEST(test_a_member_of_another_set_is_refused),
        MON_TEST(test_a_switchover_goes_through_its_phases),
        MON_TEST(test_a_switchover_that_nobody_carries_out_ends_unfrozen),
        MON_TEST(test_a_switchover_ends_with_what_the_one_said_who_could_not),
        MON_TEST(test_the_steps_of_a_switchover_come_before_what_is_news),
        MON_TEST(test_a_planned_switchover_is_carried_out_once),
        MON_TEST(test_the_address_of_a_newcomer_fits_or_is_none),
        MON_TEST(test_unfit_targets_are_refused),
        MON_TEST(test_why_a_member_cannot_take_over_is_told),
        MON_TEST(test_of_who_is_outside_its_own_word_counts_while_it_is_heard),
        MON_TEST(test_one_order_at_a_time),
        MON_TEST(test_what_was_ever_heard_is_not_never_heard),
        MON_TEST(test_a_drained_primary_hands_over),
        MON_TEST(test_steering_waits_for_health_and_ten_minutes),
        MON_TEST(test_steering_goes_by_priority_then_lag),
        MON_TEST(test_without_a_zone_to_prefer_none_counts),
        MON_TEST(test_steering_waits_for_an_initial_sync),
        MON_TEST(test_done_is_what_is_read),
        MON_TEST(test_failures_wait_longer_each_time),
        MON_TEST(test_a_failure_that_comes_too_late_counts_once),
        MON_TEST(test_a_new_leader_waits_a_whole_limit_anew),
        MON_TEST(test_a_person_wins_the_fight_about_priorities),
        MON_TEST(test_a_correction_is_repeated_after_a_minute_at_the_earliest),
        MON_TEST(test_nothing_is_ordered_in_a_minority),
        MON_TEST(test_one_opinion_is_none),
        MON_TEST(test_pause_holds_everything),
        MON_TEST(test_a_dead_member_loses_its_vote_and_gets_it_back),
        MON_TEST(test_a_vote_is_taken_away_before_all_else),
        MON_TEST(test_a_vote_comes_back_before_all_else),
        MON_TEST(test_a_degraded_member_that_is_gone_keeps_nobody_waiting),
        MON_TEST(test_the_vote_stays_without_the_word_of_both),
        MON_TEST(test_the_primary_alone_is_not_enough),
        MON_TEST(test_a_gray_primary_is_only_told_by_default),
        MON_TEST(test_a_gray_primary_steps_down_and_is_killed_with_the_opt_in_alone),
        MON_TEST(test_stale_members_are_told_or_synced_anew),
        MON_TEST(test_a_weak_write_concern_is_said_once),
        MON_TEST(test_a_rollback_is_said_once),
        MON_TEST(test_who_is_not_in_the_set_promises_no_voters),
        MON_TEST(test_a_member_that_is_gone_leaves),
        MON_TEST(test_catching_up_is_given_up_by_a_persons_word_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
