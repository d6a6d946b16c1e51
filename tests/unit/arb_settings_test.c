/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration document against the record: what is taken over when, the longest ttl of an
 * epoch, `first k`, standby clusters. Each test is named after the rule that it holds fast. */
#include "tests/unit/arb_scene.h"

static struct msg_record document(uint64_t revision)
{
    struct msg_record s = {.config_revision = revision,
                           .ttl_ms = 2000,
                           .heartbeat_ms = 250,
                           .freeze_max_ms = 3000,
                           .sync_count = 1,
                           .maximum_lag_bytes = 1000};
    return s;
}

static void told(struct msg_record settings)
{
    run((struct arb_event){.kind = ARB_EVENT_SETTINGS, .settings = &settings});
}

static void test_a_document_is_taken_over_as_it_is(void **state)
{
    struct msg_record s = document(1);
    (void)state;
    s.on_crash = MSG_ON_CRASH_RESTART;
    s.start_timeout_ms = 5000;
    s.failover_interval_ms = 1000;
    s.is_failsafe = true;
    s.fence_mode = MSG_FENCE_TRY;
    s.is_sync_strict = true;
    s.sync_count = 2;
    all_speak();
    told(s);
    assert_int_equal(w.swap_kind, ARB_DECIDE_SETTINGS);
    assert_true(was_said(ARB_NOTE_SETTINGS));
    const struct msg_record *r = &w.c.record;
    assert_int_equal(r->config_revision, 1);
    assert_int_equal(r->on_crash, MSG_ON_CRASH_RESTART);
    assert_int_equal(r->start_timeout_ms, 5000);
    assert_int_equal(r->failover_interval_ms, 1000);
    assert_true(r->is_failsafe && r->is_sync_strict);
    assert_int_equal(r->fence_mode, MSG_FENCE_TRY);
    assert_int_equal(r->sync_count, 2);
    assert_int_equal(r->votes_needed_r, 1); /* the planner's, step by step */
    assert_int_equal(r->epoch, 3);
    told(s);
    assert_false(w.fx.has_swap);
}

static void test_a_document_that_breaks_the_bounds_is_refused_once(void **state)
{
    struct msg_record s = document(1);
    (void)state;
    s.heartbeat_ms = 501; /* of a ttl of 2000 */
    told(s);
    assert_false(w.fx.has_swap);
    assert_true(was_said(ARB_NOTE_SETTINGS_REFUSED));
    told(s);
    assert_false(was_said(ARB_NOTE_SETTINGS_REFUSED));
    s = document(2);
    s.ttl_ms = 599;
    s.heartbeat_ms = 100;
    told(s);
    assert_false(w.fx.has_swap);
    assert_true(was_said(ARB_NOTE_SETTINGS_REFUSED));
    assert_int_equal(w.c.record.config_revision, 0);
}

/* Its guard would refuse every grant: with the holder's nobody has the role any more. */
static void test_a_ttl_in_which_a_watchdog_has_no_room_is_not_taken_over(void **state)
{
    struct msg_record s = document(1);
    (void)state;
    all_speak();
    w.c.views[2].report.ttl_least_ms = 1500;
    s.ttl_ms = 1000;
    told(s);
    assert_false(w.fx.has_swap);
    assert_true(was_said(ARB_NOTE_SETTINGS_NO_ROOM));
    told(s);
    assert_false(was_said(ARB_NOTE_SETTINGS_NO_ROOM));
    s = document(2);
    s.ttl_ms = 1500;
    told(s);
    assert_int_equal(w.c.record.config_revision, 2);
    /* Its watchdog was changed since: what does not make the lease shorter makes nothing worse. */
    w.c.views[2].report.ttl_least_ms = 1600;
    s.config_revision = 3;
    told(s);
    assert_int_equal(w.c.record.config_revision, 3);
}

static void test_a_longer_ttl_counts_from_the_entry_on(void **state)
{
    struct msg_record s = document(1);
    (void)state;
    s.ttl_ms = 10000;
    told(s);
    all_speak();
    assert_int_equal(w.order[1].ttl_us, 10 * S);
    wait_us(9 * S);
    tick();
    assert_false(w.c.is_attempt);
}

/* The holder was granted 10 s just before: the shorter ttl must not let anybody in before. */
static void lower_ttl(void)
{
    struct msg_record r = base_record();
    r.ttl_ms = 10000;
    r.revision++;
    load(r);
    all_speak();
    told(document(1));
    assert_int_equal(w.c.record.ttl_ms, 2000);
    assert_int_equal(w.c.record.ttl_longest_ms, 10000);
    assert_int_equal(w.c.record.config_revision, 1);
}

static void test_s2_after_a_shorter_ttl_the_longer_leases_run_out_first(void **state)
{
    (void)state;
    lower_ttl();
    wait_us(9 * S);
    tick();
    assert_false(w.c.is_attempt);
    wait_us(2 * S);
    tick();
    assert_true(w.c.is_attempt);
}

/* All are there, for a heartbeat. */
static void go_on(void)
{
    all_speak();
    wait_us(250 * MS);
}

/* Shortened, made longer again, granted, shortened again: the wait begins with the last of it. */
static void test_s2_a_ttl_that_was_longer_again_is_waited_for_anew(void **state)
{
    struct msg_record longer = document(2);
    (void)state;
    lower_ttl();
    for (int i = 0; i < 36; i++) { /* 9 s */
        go_on();
    }
    assert_int_equal(w.c.record.ttl_longest_ms, 10000);
    longer.ttl_ms = 10000;
    told(longer);
    go_on();
    assert_int_equal(w.order[1].ttl_us, 10 * S);
    told(document(3));
    for (int i = 0; i < 36; i++) {
        go_on();
        assert_int_equal(w.c.record.ttl_longest_ms, 10000);
    }
}

/* What else is written to the record meanwhile does not make the wait longer. */
static void test_a_shorter_ttl_counts_in_time_though_the_record_changes(void **state)
{
    (void)state;
    lower_ttl();
    for (int i = 0; i < 45; i++) {
        struct msg_record s = document(2 + (uint64_t)i);
        s.start_timeout_ms = 5000 + (uint32_t)i;
        told(s);
        go_on();
    }
    assert_int_equal(w.c.record.config_revision, 46);
    assert_int_equal(w.c.record.ttl_longest_ms, 2000);
}

/* A leader that has the record from an image, and has not seen the entry in its log. */
static void test_s2_a_new_leader_knows_of_the_longer_leases(void **state)
{
    (void)state;
    lower_ttl();
    struct msg_record r = w.c.record;
    struct base_name name = name_of("main");
    arb_cluster_init(&w.c, &name);
    load(r);
    lead(6);
    wait_us(9 * S);
    tick();
    assert_false(w.c.is_attempt);
}

static void test_s2_the_shorter_ttl_counts_when_no_longer_lease_can_run(void **state)
{
    (void)state;
    lower_ttl();
    for (int i = 0; i < 45; i++) {
        wait_us(250 * MS);
        send(report_of("pg2"));
        send(report_of("pg3"));
        send(primary_of("pg1"));
        confirm();
        assert_int_equal(w.order[1].ttl_us, 2 * S);
    }
    assert_int_equal(w.c.record.ttl_longest_ms, 2000);
    wait_us(lease_wait_us(2 * S));
    tick();
    assert_true(w.c.is_attempt);
}

static void test_s5_to_asynchronous_mode_r_goes_first(void **state)
{
    struct msg_record s = document(1);
    (void)state;
    s.sync_mode = MSG_SYNC_ASYNC;
    all_speak();
    told(s);
    assert_int_equal(w.c.record.sync_mode, MSG_SYNC_ASYNC);
    assert_int_equal(w.c.record.votes_needed_r, 0);
    assert_int_equal(w.c.record.voters.count, 2); /* emptied after the database has let go */
    send(primary_of("pg1"));
    confirm();
    assert_true(w.order[1].has_sync);
    assert_int_equal(w.order[1].sync_count, 0);
    told(document(2));
    assert_int_equal(w.c.record.sync_mode, MSG_SYNC_ON);
    assert_int_equal(w.c.record.votes_needed_r, 0); /* until it is confirmed */
}

static void test_in_an_outage_only_what_may_end_it_is_taken_over(void **state)
{
    struct msg_record s = document(1);
    (void)state;
    s.sync_mode = MSG_SYNC_ASYNC;
    s.fence_mode = MSG_FENCE_TRY;
    s.ttl_ms = w.c.record.ttl_ms + 1000; /* the former lease would be waited for anew */
    uint32_t ttl_ms = w.c.record.ttl_ms;
    all_speak();
    wait_us(3 * S);
    tick();
    told(s);
    assert_int_equal(w.c.record.fence_mode, MSG_FENCE_TRY);
    assert_int_equal(w.c.record.ttl_ms, ttl_ms);
    assert_int_equal(w.c.record.sync_mode, MSG_SYNC_ON);
    assert_int_equal(w.c.record.votes_needed_r, 1);
    assert_int_equal(w.c.record.config_revision, 0);
}

static void test_a_switchover_does_not_hold_a_document_up(void **state)
{
    (void)state;
    all_speak();
    struct arb_request request = {.kind = ARB_REQUEST_SWITCHOVER, .candidate = name_of("pg2")};
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &request});
    assert_int_equal(w.c.record.state, MSG_RECORD_SWITCHOVER);
    told(document(1));
    assert_int_equal(w.c.record.config_revision, 1);
    assert_int_equal(w.c.record.state, MSG_RECORD_SWITCHOVER);
}

/* Both are wanted at the end of a swap; only one can lie in the log. */
static void test_a_document_waits_until_a_switchover_is_given_up(void **state)
{
    (void)state;
    all_speak();
    w.holds_swap = true;
    struct arb_request request = {.kind = ARB_REQUEST_SWITCHOVER, .candidate = name_of("pg2")};
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &request});
    told(document(1));
    struct msg_report wiped = report_of("pg2");
    wiped.db_state = MSG_DB_EMPTY;
    send(wiped);
    struct msg_record switching = w.c.swap_record;
    run((struct arb_event){.kind = ARB_EVENT_RECORD, .record = &switching, .is_own = true});
    assert_int_equal(w.swap_kind, ARB_DECIDE_ABANDON);
    w.holds_swap = false;
    struct msg_record given_up = w.c.swap_record;
    run((struct arb_event){.kind = ARB_EVENT_RECORD, .record = &given_up, .is_own = true});
    assert_int_equal(w.c.record.state, MSG_RECORD_RUNNING);
    assert_int_equal(w.c.record.config_revision, 1);
}

static void found(struct msg_record s)
{
    struct base_name name = name_of("main");
    arb_cluster_init(&w.c, &name);
    told(s);
    lead(5);
    struct msg_report r = report_of("pg1");
    r.system_id = 0;
    r.epoch_seen = 0;
    r.db_state = MSG_DB_EMPTY;
    r.position = (struct msg_position){0};
    r.has_seed = true;
    r.seed_ttl_ms = 600;
    r.seed_heartbeat_ms = 100;
    send(r);
    wait_us(S);
    r.number++;
    send(r);
    assert_int_equal(w.c.record.epoch, 1);
}

static void test_the_first_record_is_made_of_the_document(void **state)
{
    struct msg_record s = document(4);
    (void)state;
    s.ttl_ms = 7000;
    found(s);
    assert_int_equal(w.c.record.ttl_ms, 7000);
    assert_int_equal(w.c.record.config_revision, 4);
    s.heartbeat_ms = 7000; /* not lawful: the member's file then */
    found(s);
    assert_int_equal(w.c.record.ttl_ms, 600);
    assert_int_equal(w.c.record.config_revision, 0);
}

/* --- first k --- */

static struct msg_report with_priority(const char *member, uint8_t priority)
{
    struct msg_report r = report_of(member);
    r.priority = priority;
    return r;
}

static void beat(void)
{
    struct msg_report p = primary_of("pg1");
    p.standbys_count = 0;
    for (uint8_t i = 2; i <= 4; i++) {
        char text[] = "pg0";
        text[2] = (char)('0' + i);
        p.standbys[p.standbys_count++] = (struct msg_standby){name_of(text), 5000, true, true};
    }
    send(with_priority("pg2", 1));
    send(with_priority("pg3", 9));
    send(with_priority("pg4", 1));
    send(p);
    confirm();
    wait_us(250 * MS);
}

static void test_s5_first_k_takes_the_best_and_a_spare_moves_up(void **state)
{
    struct msg_record r = base_record();
    (void)state;
    r.sync_mode = MSG_SYNC_FIRST;
    r.sync_count = 2;
    r.voters = names(NULL, NULL);
    r.votes_needed_r = 0;
    r.revision++;
    load(r);
    beat();
    beat();
    struct arb_set target = arb_sync_target(&w.c, w.now);
    struct msg_names wanted = names("pg2", "pg3"); /* pg3 by priority, pg2 by name */
    assert_int_equal(target.count, 2);
    assert_true(arb_names_equal(&target.names, &wanted));
    struct arb_request drain = {.kind = ARB_REQUEST_DRAIN, .candidate = name_of("pg3")};
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &drain});
    assert_int_equal(w.answer, 0);
    target = arb_sync_target(&w.c, w.now);
    wanted = names("pg2", "pg4");
    assert_true(arb_names_equal(&target.names, &wanted));
}

static void test_s5_first_k_a_new_leader_keeps_whom_it_has_not_heard_yet(void **state)
{
    struct msg_record r = base_record();
    (void)state;
    r.sync_mode = MSG_SYNC_FIRST;
    r.voters = names("pg3", NULL);
    r.revision++;
    load(r);
    lead(6);
    send(with_priority("pg2", 9));
    struct msg_report holder = primary_of("pg1");
    holder.standbys[holder.standbys_count++] =
        (struct msg_standby){name_of("pg2"), 5000, true, true};
    send(holder);
    struct arb_set target = arb_sync_target(&w.c, w.now);
    assert_true(arb_names_equal(&target.names, &r.voters));
    send(with_priority("pg3", 1));
    target = arb_sync_target(&w.c, w.now);
    struct msg_names wanted = names("pg2", NULL);
    assert_true(arb_names_equal(&target.names, &wanted));
}

/* --- standby clusters --- */

static void test_a_promoted_cluster_opens_on_a_timeline_above_all(void **state)
{
    struct msg_record r = base_record();
    struct msg_record s = document(1);
    (void)state;
    r.is_standby_cluster = true;
    r.is_opened = false;
    r.voters = names(NULL, NULL);
    r.votes_needed_r = 0;
    r.revision++;
    load(r);
    struct msg_report leader = report_of("pg1");
    leader.epoch_held = 3;
    leader.position = (struct msg_position){1, 40, 9000};
    leader.timeline_highest = 41;
    send(leader);
    confirm();
    assert_int_equal(w.order[1].goal, MSG_GOAL_HOLD);
    assert_true(w.order[1].is_granted);
    told(s);
    assert_int_equal(w.c.record.epoch, 4);
    assert_true(is_holder("pg1"));
    assert_false(w.c.record.is_standby_cluster);
    assert_int_equal(w.c.record.timeline, 50);
    assert_int_equal(w.c.record.floor.lsn, 9000);
    assert_int_equal(w.c.record.config_revision, 1);
    s.config_revision = 2;
    s.is_standby_cluster = true;
    struct msg_report odd = primary_of("pg1");
    odd.position.lineage = 9;            /* of an epoch that never was */
    s.ttl_ms = w.c.record.ttl_ms + 1000; /* without it no guard may be armed, and the role waits */
    send(odd);
    told(s);
    assert_int_equal(w.c.record.epoch, 4);
    assert_int_equal(w.c.record.config_revision, 1);
    assert_int_equal(w.c.record.ttl_ms, s.ttl_ms);
    assert_int_equal(w.c.record.ttl_longest_ms, s.ttl_ms);
    send(primary_of("pg1"));
    assert_int_equal(w.c.record.epoch, 5);
    assert_true(is_holder("pg1") && w.c.record.is_standby_cluster);
    assert_int_equal(w.c.record.floor.lsn, 0);
    send(primary_of("pg1"));
    assert_false(w.c.record.is_opened); /* it is never one that opens */
}

static void test_a_standby_leader_is_replaced_by_the_most_advanced(void **state)
{
    struct msg_record r = base_record();
    (void)state;
    r.is_standby_cluster = true;
    r.is_opened = false;
    r.voters = names(NULL, NULL);
    r.votes_needed_r = 0;
    r.floor = (struct msg_position){0};
    r.floor_epoch = 0;
    r.maximum_lag_bytes = 10000;
    r.revision++;
    load(r);
    struct msg_report leader = report_of("pg1");
    leader.epoch_held = 3;
    leader.position = (struct msg_position){1, 40, 9000};
    send(leader);
    confirm();
    wait_us(3 * S);
    struct msg_report a = report_of("pg2"), b = report_of("pg3");
    a.position = b.position = (struct msg_position){1, 40, 8000};
    send(a);
    send(b);
    assert_int_equal(w.order[2].goal, MSG_GOAL_VOTE);
    send(vote_of("pg2", 1, 8000));
    send(vote_of("pg3", 1, 8500));
    assert_true(is_holder("pg3"));
    assert_true(w.c.record.is_standby_cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_document_is_taken_over_as_it_is),
        TEST(test_a_document_that_breaks_the_bounds_is_refused_once),
        TEST(test_a_ttl_in_which_a_watchdog_has_no_room_is_not_taken_over),
        TEST(test_a_longer_ttl_counts_from_the_entry_on),
        TEST(test_s2_after_a_shorter_ttl_the_longer_leases_run_out_first),
        TEST(test_s2_a_new_leader_knows_of_the_longer_leases),
        TEST(test_s2_the_shorter_ttl_counts_when_no_longer_lease_can_run),
        TEST(test_s2_a_ttl_that_was_longer_again_is_waited_for_anew),
        TEST(test_a_shorter_ttl_counts_in_time_though_the_record_changes),
        TEST(test_s5_to_asynchronous_mode_r_goes_first),
        TEST(test_in_an_outage_only_what_may_end_it_is_taken_over),
        TEST(test_a_switchover_does_not_hold_a_document_up),
        TEST(test_a_document_waits_until_a_switchover_is_given_up),
        TEST(test_the_first_record_is_made_of_the_document),
        TEST(test_s5_first_k_takes_the_best_and_a_spare_moves_up),
        TEST(test_s5_first_k_a_new_leader_keeps_whom_it_has_not_heard_yet),
        TEST(test_a_promoted_cluster_opens_on_a_timeline_above_all),
        TEST(test_a_standby_leader_is_replaced_by_the_most_advanced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
