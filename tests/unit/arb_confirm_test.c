/* SPDX-License-Identifier: Apache-2.0 */
/* Section 1 after a restore: unconfirmed records, and what an operator confirms. The quorum was
 * restored from an image in which pg1 holds epoch 3; pg2 has held epochs up to 5 since. */
#include "tests/unit/arb_scene.h"

#include <string.h>

#define IMAGE_RESTORE_ID UINT64_C(0x77)

static void restore(void)
{
    run((struct arb_event){.kind = ARB_EVENT_RESTORE, .restore_id = IMAGE_RESTORE_ID});
    lead(6);
}

/* A lease that has run out: the tree is gone, the epoch is handed back. */
static struct msg_report former_holder(const char *member, uint64_t epoch)
{
    struct msg_report r = report_of(member);
    r.epoch_seen = epoch;
    r.epoch_handed_back = epoch;
    r.is_tree_gone = true;
    r.db_state = MSG_DB_STOPPED;
    r.is_receiving = false;
    r.position = (struct msg_position){epoch, (uint32_t)epoch, 9000};
    r.timeline_highest = (uint32_t)epoch;
    return r;
}

static struct msg_report standby_of(const char *member, uint64_t epoch, uint64_t lsn)
{
    struct msg_report r = report_of(member);
    r.epoch_seen = epoch;
    r.position = (struct msg_position){epoch, (uint32_t)epoch, lsn};
    r.timeline_highest = (uint32_t)epoch;
    return r;
}

static void all_report(void)
{
    send(former_holder("pg2", 5));
    send(standby_of("pg1", 5, 8000));
    send(standby_of("pg3", 5, 9000));
}

static void ask(const char *member, bool is_forced)
{
    struct arb_request request = {.kind = ARB_REQUEST_CONFIRM, .is_forced = is_forced};
    if (member != NULL) {
        request.candidate = name_of(member);
    }
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &request});
}

static void assert_refused(const char *words)
{
    assert_true(w.fx.has_answer);
    assert_int_not_equal(w.fx.answer, 0);
    if (strstr(w.fx.answer_text.text, words) == NULL) {
        fail_msg("said: %s", w.fx.answer_text.text);
    }
    assert_false(w.fx.has_swap);
}

static void test_a_record_of_an_image_grants_nothing(void **state)
{
    (void)state;
    restore();
    send(report_of("pg2"));
    send(report_of("pg3"));
    send(primary_of("pg1")); /* the very holder of the record, in its very epoch */
    assert_int_equal(w.fx.ticket, 0);
    confirm();
    assert_false(w.order[1].is_granted);
    assert_int_equal(w.order[1].goal, MSG_GOAL_NONE);
    send(report_of("pg2"));
    assert_int_equal(w.order[2].goal, MSG_GOAL_NONE);
    assert_string_equal(w.order[2].reason.text,
                        "unconfirmed after a restore of the quorum: nothing is granted or changed; "
                        "run kv db confirm main");
}

static void test_a_record_of_an_image_elects_nobody(void **state)
{
    (void)state;
    restore();
    send(report_of("pg2"));
    send(report_of("pg3"));
    for (int i = 0; i < 100; i++) {
        wait_us(S);
        send(report_of("pg2"));
        send(vote_of("pg3", 3, 5000));
        tick();
        assert_false(w.c.is_attempt);
        assert_false(w.fx.has_swap);
    }
    send(handback_of("pg1"));
    tick();
    assert_int_equal(w.c.handed, ARB_OVER_NO);
    assert_int_equal(w.c.record.epoch, 3);
    assert_int_equal(w.c.record.revision, 9);
}

static void test_operators_are_told_to_confirm_first(void **state)
{
    struct arb_request request = {.kind = ARB_REQUEST_FAILOVER, .is_forced = true};
    (void)state;
    restore();
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &request});
    assert_refused("kv db confirm");
    request = (struct arb_request){.kind = ARB_REQUEST_SWITCHOVER};
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &request});
    assert_refused("kv db confirm");
}

static void test_the_last_primary_goes_on_above_every_epoch(void **state)
{
    (void)state;
    restore();
    wait_us(61 * S);
    all_report();
    ask(NULL, false);
    assert_int_equal(w.fx.answer, 0);
    assert_true(is_holder("pg2"));
    assert_int_equal(w.c.record.epoch, 1005);
    assert_int_equal(w.c.record.revision, 10);
    assert_int_equal(w.c.record.restore_id, IMAGE_RESTORE_ID);
    assert_int_equal(w.c.record.holder_instance, 102);
    assert_int_equal(w.c.record.voters.count, 0);
    assert_int_equal(w.c.record.votes_needed_r, 0);
    assert_true(w.c.record.timeline > 5);
    assert_int_equal(w.c.record.floor.lsn, 9000);
    struct msg_report r = former_holder("pg2", 5);
    r.epoch_seen = 1005;
    send(r);
    confirm();
    assert_true(w.order[2].is_granted);
    assert_int_equal(w.order[2].granted_epoch, 1005);
    assert_int_equal(w.order[2].goal, MSG_GOAL_HOLD);
    send(standby_of("pg3", 1005, 9000));
    assert_int_equal(w.order[3].goal, MSG_GOAL_FOLLOW);
}

/* A lease of a pause has no end: waiting would end nothing. */
static void test_who_runs_in_a_pause_has_to_be_stopped_by_hand(void **state)
{
    (void)state;
    restore();
    wait_us(61 * S);
    all_report();
    struct msg_report r = former_holder("pg2", 5);
    r.epoch_handed_back = 0;
    r.epoch_held = 5;
    r.is_tree_gone = false;
    r.db_state = MSG_DB_PRIMARY;
    r.lease_left_us = S;
    send(r);
    ask(NULL, false);
    assert_refused("try again when that has run out");
    r.number++;
    r.lease_left_us = 0;
    r.is_paused = true;
    send(r);
    ask(NULL, false);
    assert_refused("stop that database by hand on its host");
}

static void test_a_silent_member_stops_a_confirmation(void **state)
{
    (void)state;
    restore();
    wait_us(61 * S);
    send(former_holder("pg2", 5));
    send(standby_of("pg1", 5, 8000));
    ask(NULL, false);
    assert_refused("pg3 is not heard");
    ask(NULL, true);
    assert_int_equal(w.fx.answer, 0);
    assert_int_equal(w.c.record.epoch, 1005);
}

/* Of several, the holder of the record first: nobody else held so high an epoch for certain. */
static void test_of_silent_members_the_holder_is_named_first(void **state)
{
    struct msg_record r = base_record();
    (void)state;
    r.epoch++;
    r.revision++;
    r.holder = name_of("pg2");
    r.holder_instance = 102;
    r.voters = names("pg1", "pg3");
    load(r);
    restore();
    wait_us(61 * S);
    ask(NULL, false);
    assert_refused("pg2 is not heard");
}

/* It held epochs of the quorum that was lost: they are passed over, so that the same number never
 * stands for two histories. */
static void test_an_epoch_of_a_member_left_out_is_never_met_again(void **state)
{
    (void)state;
    restore();
    wait_us(61 * S);
    send(former_holder("pg2", 5));
    send(standby_of("pg1", 5, 8000));
    ask(NULL, true);
    assert_int_equal(w.fx.answer, 0);
    struct msg_report r = former_holder("pg3", 8);
    send(r);
    assert_int_equal(w.order[3].goal, MSG_GOAL_FOLLOW);
    assert_true(w.c.record.epoch > 8);
    assert_false(arb_position_has_floor(&w.c.record, &r.position));
    r = former_holder("pg2", 5);
    r.epoch_seen = w.c.record.epoch;
    send(r);
    confirm();
    assert_true(w.order[2].is_granted);
}

static void test_a_database_under_an_old_lease_stops_it(void **state)
{
    (void)state;
    restore();
    wait_us(61 * S);
    all_report();
    struct msg_report r = former_holder("pg2", 5);
    r.epoch_handed_back = 0;
    r.epoch_held = 5;
    r.is_tree_gone = false;
    r.lease_left_us = S;
    r.db_state = MSG_DB_PRIMARY;
    send(r);
    ask(NULL, false);
    assert_refused("pg2 still has a database process");
    ask(NULL, true);
    assert_refused("pg2 still has a database process");
}

static void test_leases_of_the_former_quorum_are_waited_for(void **state)
{
    (void)state;
    restore();
    all_report();
    wait_us(S);
    all_report();
    ask(NULL, false);
    assert_refused("may still run");
    for (int i = 0; i < 62; i++) {
        wait_us(S);
        all_report();
    }
    ask(NULL, false);
    assert_int_equal(w.fx.answer, 0);
}

static void test_who_was_primary_must_be_shown_or_named(void **state)
{
    (void)state;
    restore();
    wait_us(61 * S);
    send(standby_of("pg1", 5, 8000)); /* all hosts were started anew: nobody remembers holding */
    send(standby_of("pg2", 5, 9000));
    send(standby_of("pg3", 5, 9500));
    ask(NULL, false);
    assert_refused("--primary");
    ask("pg2", false);
    assert_refused("pg3 has a higher position");
    ask("pg4", false);
    assert_refused("pg4 is not heard");
    ask("pg3", false);
    assert_int_equal(w.fx.answer, 0);
    assert_true(is_holder("pg3"));
    assert_int_equal(w.c.record.epoch, 1005);
}

/* It crashed too often and stays down until its agent is restarted: what it has is not nothing. */
static void test_a_failed_database_with_more_is_not_passed_over(void **state)
{
    (void)state;
    restore();
    wait_us(61 * S);
    struct msg_report r = former_holder("pg2", 5);
    r.db_state = MSG_DB_FAILED;
    send(r);
    send(standby_of("pg1", 5, 8000));
    send(standby_of("pg3", 5, 8000));
    ask(NULL, false);
    assert_refused("--primary");
    ask("pg3", false);
    assert_refused("pg2 has a higher position");
    r = former_holder("pg2", 5);
    r.db_state = MSG_DB_FAILED;
    r.position.lineage = 0; /* of no use, and of no known history */
    send(r);
    ask("pg3", false);
    assert_int_equal(w.fx.answer, 0);
    assert_true(is_holder("pg3"));
}

/* It handed back a moment ago, and its agent's last look is older than that: what it has is told by
 * the next one. */
static void test_who_does_not_say_how_far_it_is_is_not_passed_over(void **state)
{
    (void)state;
    restore();
    wait_us(61 * S);
    struct msg_report r = former_holder("pg2", 5);
    r.is_tree_gone = false;
    r.db_state = MSG_DB_UNKNOWN;
    r.position.lsn = 0;
    send(r);
    send(standby_of("pg1", 5, 8000));
    send(standby_of("pg3", 5, 8000));
    ask(NULL, false);
    assert_refused("--primary");
    ask("pg3", false);
    assert_refused("pg2 does not say yet how far it is");
    r = report_of("pg2"); /* its agent is new, and has not looked */
    r.db_state = MSG_DB_UNKNOWN;
    r.system_id = 0;
    r.position = (struct msg_position){0};
    send(r);
    ask("pg3", false);
    assert_refused("pg2 does not say yet how far it is");
    ask("pg3", true);
    assert_int_equal(w.fx.answer, 0);
    assert_true(is_holder("pg3"));
}

/* The end of its log could not be read, or its server does not answer. */
static void test_a_lineage_without_an_lsn_may_be_more(void **state)
{
    (void)state;
    restore();
    wait_us(61 * S);
    send(standby_of("pg1", 5, 8000));
    send(former_holder("pg3", 5));
    static const enum msg_db_state states[] = {MSG_DB_STOPPED, MSG_DB_FAILED, MSG_DB_STARTING};
    for (size_t i = 0; i < BASE_COUNT_OF(states); i++) {
        struct msg_report r = standby_of("pg2", 5, 0);
        r.db_state = states[i];
        send(r);
        ask(NULL, false);
        assert_refused("--primary");
        ask("pg3", false);
        assert_refused("pg2 does not say yet how far it is");
    }
    struct msg_report r = standby_of("pg2", 4, 0); /* an older history is behind in any case */
    r.db_state = MSG_DB_STARTING;
    send(r);
    ask(NULL, false);
    assert_int_equal(w.fx.answer, 0);
    assert_true(is_holder("pg3"));
}

/* Started a moment ago, it has replayed less than lies on its disk. */
static void test_a_standby_that_reads_its_log_may_have_more(void **state)
{
    (void)state;
    restore();
    wait_us(61 * S);
    struct msg_report r = standby_of("pg2", 5, 7000);
    r.is_end_unread = true;
    send(r);
    send(standby_of("pg1", 5, 8000));
    send(former_holder("pg3", 5));
    ask(NULL, false);
    assert_refused("--primary");
    ask("pg3", false);
    assert_refused("pg2 does not say yet how far it is");
    send(standby_of("pg2", 5, 7000)); /* that was all */
    ask("pg3", false);
    assert_int_equal(w.fx.answer, 0);
}

static void test_a_holder_behind_others_is_not_taken_by_itself(void **state)
{
    (void)state;
    restore();
    wait_us(61 * S);
    send(former_holder("pg2", 5)); /* held 5, but its directory is behind pg3's */
    send(standby_of("pg1", 5, 8000));
    send(standby_of("pg3", 5, 9900));
    ask(NULL, false);
    assert_refused("--primary");
}

static void test_nothing_to_confirm(void **state)
{
    (void)state;
    all_speak();
    ask(NULL, false);
    assert_refused("nothing is to be confirmed");
    ask(NULL, true);
    assert_refused("nothing is to be confirmed");
}

static void test_a_confirmed_record_stays_confirmed(void **state)
{
    (void)state;
    struct msg_record r = base_record();
    r.restore_id = IMAGE_RESTORE_ID;
    r.revision++;
    load(r);
    restore();
    assert_false(arb_is_unconfirmed(&w.c));
    all_speak();
    assert_true(w.order[1].is_granted);
}

/* What any other decision does to the restore id is refused by the rule of lawful successors. */
static void test_only_a_confirmation_changes_the_restore_id(void **state)
{
    (void)state;
    struct msg_record old = base_record();
    struct msg_record next = old;
    next.revision++;
    assert_true(arb_record_follows(&old, &next));
    next.restore_id = 1;
    assert_false(arb_record_follows(&old, &next));
    next = old;
    next.revision++;
    next.epoch = 9;
    assert_false(arb_record_follows(&old, &next));
    assert_false(arb_record_confirms(&old, &next)); /* voters of old say nothing any more */
    next.voters.count = 0;
    next.votes_needed_r = 0;
    next.is_opened = false;
    next.timeline = next.timeline_highest = 4;
    next.floor_epoch = 9;
    assert_true(arb_record_confirms(&old, &next));
    next.epoch = old.epoch;
    next.floor_epoch = old.epoch;
    assert_false(arb_record_confirms(&old, &next));
}

/* A cluster that was made after the image was taken: the quorum has no record of it. */
static void lose_record(uint64_t restore_id)
{
    struct base_name name = w.c.name;
    arb_cluster_init(&w.c, &name);
    w.c.restore_id = restore_id;
    memset(w.has_order, 0, sizeof(w.has_order));
    lead(7);
}

static struct msg_report empty_member(const char *member)
{
    struct msg_report r = {.cluster = w.c.name, .member = name_of(member)};
    r.instance = 100 + id_of(member);
    r.session = 1000 + id_of(member);
    r.number = ++w.number[id_of(member)];
    r.db_state = MSG_DB_EMPTY;
    r.is_tree_gone = true;
    r.has_seed = true;
    return r;
}

static void test_no_database_is_made_on_a_restored_quorum(void **state)
{
    (void)state;
    lose_record(IMAGE_RESTORE_ID);
    for (int i = 0; i < 100; i++) {
        wait_us(S);
        send(empty_member("pg3"));
        tick();
        assert_false(w.fx.has_swap);
    }
    assert_true(arb_is_unknown(&w.c));
    assert_int_equal(w.c.record.epoch, 0);
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_FOUND_WAITS);
    ask(NULL, false);
    assert_refused("--force lets a new one be made");
    ask(NULL, true);
    assert_int_equal(w.fx.answer, 0);
    for (int i = 0; i < 3; i++) {
        wait_us(S);
        send(empty_member("pg3"));
    }
    assert_true(is_holder("pg3"));
    assert_int_equal(w.c.record.state, MSG_RECORD_BOOTSTRAP);
    assert_int_equal(w.c.record.restore_id, IMAGE_RESTORE_ID);
    assert_false(arb_is_unknown(&w.c));
}

/* The former quorum's leases may run at members that are not heard: also for an unknown cluster. */
static void test_an_unknown_cluster_waits_for_leases(void **state)
{
    (void)state;
    lose_record(IMAGE_RESTORE_ID);
    wait_us(2 * S);
    send(empty_member("pg3"));
    ask(NULL, true);
    assert_refused("may still run");
}

/* A confirmation of an empty cluster is of one leadership, and ends when a database shows itself.
 */
static void test_a_founding_is_forgotten(void **state)
{
    (void)state;
    lose_record(IMAGE_RESTORE_ID);
    wait_us(61 * S);
    send(empty_member("pg3"));
    ask(NULL, true);
    assert_int_equal(w.fx.answer, 0);
    send(former_holder("pg2", 5));
    wait_us(2 * S);
    send(empty_member("pg3"));
    assert_int_equal(w.c.record.epoch, 0);
    assert_int_equal(w.c.waiting.kind, ARB_NOTE_BOOTSTRAP_WAITS);
    lose_record(IMAGE_RESTORE_ID);
    wait_us(2 * S);
    send(empty_member("pg3"));
    wait_us(2 * S);
    send(empty_member("pg3"));
    assert_int_equal(w.c.record.epoch, 0);
}

/* Members that hold the database of a lost record: it is made again out of their reports. */
static void adopt(uint64_t restore_id)
{
    lose_record(restore_id);
    wait_us(61 * S);
    all_report();
    assert_true(arb_is_unknown(&w.c));
    ask(NULL, false);
    assert_refused("--force lets the last primary go on");
    ask(NULL, true);
    assert_int_equal(w.fx.answer, 0);
    assert_true(is_holder("pg2"));
    assert_int_equal(w.c.record.epoch, 1005);
    assert_int_equal(w.c.record.revision, 1);
    assert_int_equal(w.c.record.system_id, SYSTEM);
    assert_int_equal(w.c.record.restore_id, restore_id);
    assert_int_equal(w.c.record.voters.count, 0);
    assert_int_equal(w.c.record.votes_needed_r, 0);
    assert_true(w.c.record.timeline > 5);
    assert_int_equal(w.c.record.ttl_ms, LEASE_TTL_DEFAULT_MS);
    struct msg_report r = former_holder("pg2", 5);
    r.epoch_seen = 1005;
    send(r);
    confirm();
    assert_true(w.order[2].is_granted);
}

static void test_a_lost_record_is_made_from_the_reports(void **state)
{
    (void)state;
    adopt(IMAGE_RESTORE_ID);
}

static void test_also_in_a_quorum_made_from_nothing(void **state)
{
    (void)state;
    adopt(0);
}

static void test_a_lost_record_needs_its_last_primary(void **state)
{
    (void)state;
    lose_record(IMAGE_RESTORE_ID);
    wait_us(61 * S);
    send(standby_of("pg1", 5, 8000));
    send(standby_of("pg3", 5, 9000));
    ask(NULL, true);
    assert_refused("--primary");
    struct msg_report r = former_holder("pg2", 5);
    r.epoch_handed_back = 0;
    r.epoch_held = 5;
    r.is_tree_gone = false;
    r.lease_left_us = S;
    send(r);
    ask(NULL, true);
    assert_refused("pg2 still has a database process");
}

/* A database that no arbiter has led is nothing to go on with, and is not overwritten. */
static void test_a_foreign_database_is_not_adopted(void **state)
{
    (void)state;
    lose_record(0);
    wait_us(61 * S);
    struct msg_report r = standby_of("pg1", 0, 8000);
    r.position.lineage = 0;
    send(r);
    send(empty_member("pg3"));
    ask(NULL, true);
    assert_refused("no arbiter ever led");
    wait_us(5 * S);
    send(empty_member("pg3"));
    assert_int_equal(w.c.record.epoch, 0);
}

static void test_a_new_cluster_of_a_new_quorum_needs_nobody(void **state)
{
    (void)state;
    lose_record(0);
    send(empty_member("pg3"));
    ask(NULL, true);
    assert_refused("is being made");
    wait_us(2 * S);
    send(empty_member("pg3"));
    assert_true(is_holder("pg3"));
}

#ifdef QUORATE_CANARIES
/* Trusting the record of a day-old image: its holder is granted an epoch that is over. */
static void test_canary_restored_record_trusted(void **state)
{
    (void)state;
    assert_true(base_canary_select("restored-record-trusted"));
    restore();
    all_speak();
    assert_true(w.order[1].is_granted);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_record_of_an_image_grants_nothing),
        TEST(test_a_record_of_an_image_elects_nobody),
        TEST(test_operators_are_told_to_confirm_first),
        TEST(test_the_last_primary_goes_on_above_every_epoch),
        TEST(test_who_runs_in_a_pause_has_to_be_stopped_by_hand),
        TEST(test_a_silent_member_stops_a_confirmation),
        TEST(test_of_silent_members_the_holder_is_named_first),
        TEST(test_an_epoch_of_a_member_left_out_is_never_met_again),
        TEST(test_a_database_under_an_old_lease_stops_it),
        TEST(test_leases_of_the_former_quorum_are_waited_for),
        TEST(test_who_was_primary_must_be_shown_or_named),
        TEST(test_a_standby_that_reads_its_log_may_have_more),
        TEST(test_a_holder_behind_others_is_not_taken_by_itself),
        TEST(test_a_failed_database_with_more_is_not_passed_over),
        TEST(test_who_does_not_say_how_far_it_is_is_not_passed_over),
        TEST(test_a_lineage_without_an_lsn_may_be_more),
        TEST(test_nothing_to_confirm),
        TEST(test_a_confirmed_record_stays_confirmed),
        TEST(test_only_a_confirmation_changes_the_restore_id),
        TEST(test_no_database_is_made_on_a_restored_quorum),
        TEST(test_an_unknown_cluster_waits_for_leases),
        TEST(test_a_founding_is_forgotten),
        TEST(test_a_lost_record_is_made_from_the_reports),
        TEST(test_also_in_a_quorum_made_from_nothing),
        TEST(test_a_lost_record_needs_its_last_primary),
        TEST(test_a_foreign_database_is_not_adopted),
        TEST(test_a_new_cluster_of_a_new_quorum_needs_nobody),
#ifdef QUORATE_CANARIES
        TEST(test_canary_restored_record_trusted),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
