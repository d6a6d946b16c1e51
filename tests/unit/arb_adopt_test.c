/* SPDX-License-Identifier: Apache-2.0 */
/* A database that was there before there was an arbiter: who becomes the first holder, and when
 * only an operator can say so. */
#include "tests/unit/arb_scene.h"

#include <stdlib.h>
#include <string.h>

static void no_record(void)
{
    struct base_name name = w.c.name;
    arb_cluster_init(&w.c, &name);
    memset(w.has_order, 0, sizeof(w.has_order));
    lead(7);
}

/* Stopped, and never led by anybody. */
static struct msg_report stopped(const char *member, uint64_t lsn)
{
    struct msg_report r = report_of(member);
    r.db_state = MSG_DB_STOPPED;
    r.epoch_seen = 0;
    r.is_receiving = false;
    r.is_tree_gone = true;
    r.timeline_highest = 4;
    r.position = (struct msg_position){0, 4, lsn};
    r.has_seed = true;
    return r;
}

static struct msg_report offering(const char *member, uint64_t lsn)
{
    struct msg_report r = stopped(member, lsn);
    r.seed_adopt = true;
    return r;
}

static struct msg_report empty(const char *member)
{
    struct msg_report r = stopped(member, 0);
    r.db_state = MSG_DB_EMPTY;
    r.system_id = 0;
    r.timeline_highest = 0;
    r.position = (struct msg_position){0, 0, 0};
    return r;
}

static void speak_for(int64_t us, const struct msg_report *a, const struct msg_report *b)
{
    for (int64_t passed = 0; passed < us; passed += 200 * MS) {
        struct msg_report first = *a;
        struct msg_report second = *b;
        first.number = report_of(a->member.text).number;
        second.number = report_of(b->member.text).number;
        send(first);
        send(second);
        wait_us(200 * MS);
        tick();
    }
}

static void until_adopted(const struct msg_report *a, const struct msg_report *b)
{
    for (int i = 0; i < 15 && w.c.record.epoch == 0; i++) {
        speak_for(200 * MS, a, b);
    }
}

static void test_what_is_offered_becomes_the_clusters(void **state)
{
    (void)state;
    no_record();
    struct msg_report a = offering("pg2", 9000);
    struct msg_report b = empty("pg3");
    speak_for(200 * MS, &a, &b);
    assert_int_equal(w.c.record.epoch, 0); /* others may speak yet */
    until_adopted(&a, &b);
    assert_true(is_holder("pg2"));
    assert_int_equal(w.c.record.epoch, 1);
    assert_int_equal(w.c.record.system_id, SYSTEM);
    assert_int_equal(w.c.record.timeline, 5); /* above what the directory has */
    assert_int_equal(w.c.record.floor.lsn, 9000);
    assert_int_equal(w.c.record.votes_needed_r, 0);
    assert_int_equal(w.c.record.state, MSG_RECORD_RUNNING);
}

/* Its first start failed, or its lease ran out meanwhile: it has what it was taken over with. */
static void test_whose_first_start_failed_starts_again(void **state)
{
    (void)state;
    no_record();
    struct msg_report a = offering("pg2", 9000);
    struct msg_report b = empty("pg3");
    until_adopted(&a, &b);
    assert_true(is_holder("pg2"));
    a.epoch_seen = a.epoch_handed_back = 1;
    a.position.lsn = 8999; /* not what was taken over */
    speak_for(5 * S, &a, &b);
    assert_int_equal(w.c.record.epoch, 1);
    a.position.lsn = 9000;
    speak_for(400 * MS, &a, &b);
    assert_int_equal(w.c.record.epoch, 2);
    assert_true(is_holder("pg2"));
    w.c.record.is_opened = true; /* somebody may have been told something since */
    a.epoch_seen = a.epoch_handed_back = 2;
    speak_for(5 * S, &a, &b);
    assert_int_equal(w.c.record.epoch, 2);
}

static void test_two_offers_need_a_word(void **state)
{
    (void)state;
    no_record();
    struct msg_report a = offering("pg2", 9000);
    struct msg_report b = offering("pg3", 8000);
    speak_for(3 * S, &a, &b);
    assert_int_equal(w.c.record.epoch, 0);
}

static void test_a_better_copy_is_not_passed_over(void **state)
{
    (void)state;
    no_record();
    struct msg_report a = offering("pg2", 9000);
    struct msg_report b = stopped("pg3", 9001);
    speak_for(3 * S, &a, &b);
    assert_int_equal(w.c.record.epoch, 0);
}

/* The key stays in the file; once led, a lost record is an operator's affair. */
static void test_who_has_seen_an_epoch_is_not_adopted(void **state)
{
    (void)state;
    no_record();
    struct msg_report a = offering("pg2", 9000);
    struct msg_report b = empty("pg3");
    b.epoch_seen = 4;
    speak_for(3 * S, &a, &b);
    assert_int_equal(w.c.record.epoch, 0);
}

static void test_a_restored_quorum_adopts_nothing(void **state)
{
    (void)state;
    no_record();
    w.c.restore_id = 0x77;
    struct msg_report a = offering("pg2", 9000);
    struct msg_report b = empty("pg3");
    speak_for(3 * S, &a, &b);
    assert_int_equal(w.c.record.epoch, 0);
}

static void confirm_with(const char *member)
{
    struct arb_request request = {.kind = ARB_REQUEST_CONFIRM};
    if (member != NULL) {
        request.candidate = name_of(member);
    }
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &request});
}

static void test_an_operator_names_it(void **state)
{
    (void)state;
    no_record();
    struct msg_report a = stopped("pg2", 9000);
    struct msg_report b = empty("pg3");
    speak_for(S, &a, &b);
    confirm_with(NULL);
    assert_int_not_equal(w.fx.answer, 0);
    assert_non_null(strstr(w.fx.answer_text.text, "--primary"));
    confirm_with("pg2");
    assert_true(is_holder("pg2"));
    assert_int_equal(w.c.record.epoch, 1);
}

/* --- a cluster that runs is taken over --- */

static struct msg_report serving(const char *member, uint64_t lsn)
{
    struct msg_report r = offering(member, lsn);
    r.db_state = MSG_DB_PRIMARY;
    r.is_adopted = true;
    r.is_tree_gone = false;
    return r;
}

/* Its member offers nothing (agents/core). */
static struct msg_report fed(const char *member, uint64_t lsn)
{
    struct msg_report r = stopped(member, lsn);
    r.db_state = MSG_DB_STANDBY;
    r.is_adopted = true;
    r.is_tree_gone = false;
    r.is_receiving = true;
    return r;
}

static void test_a_running_primary_goes_on_where_it_is(void **state)
{
    (void)state;
    no_record();
    struct msg_report a = serving("pg2", 9000);
    struct msg_report b = fed("pg3", 9500); /* its report is newer than the primary's */
    speak_for(3 * S, &a, &b);
    assert_true(is_holder("pg2"));
    assert_int_equal(w.c.record.epoch, 1);
    assert_int_equal(w.c.record.timeline, 4); /* on which it serves: nothing is promoted */
    assert_int_equal(w.c.record.timeline_highest, 4);
    assert_int_equal(w.c.record.votes_needed_r, 0);
}

static void test_running_standbys_wait_for_their_primary(void **state)
{
    (void)state;
    no_record();
    struct msg_report a = fed("pg2", 9000);
    struct msg_report b = fed("pg3", 9000);
    speak_for(5 * S, &a, &b);
    assert_int_equal(w.c.record.epoch, 0);
}

static void test_two_that_serve_need_a_word(void **state)
{
    (void)state;
    no_record();
    struct msg_report a = serving("pg2", 9000);
    struct msg_report b = serving("pg3", 8000);
    speak_for(3 * S, &a, &b);
    assert_int_equal(w.c.record.epoch, 0);
}

static void test_a_standby_that_is_ahead_and_not_fed_is_not_passed_over(void **state)
{
    (void)state;
    no_record();
    struct msg_report a = serving("pg2", 9000);
    struct msg_report b = fed("pg3", 9500);
    b.is_receiving = false;
    speak_for(3 * S, &a, &b);
    assert_int_equal(w.c.record.epoch, 0);
    b = fed("pg3", 9000);
    b.position.timeline = b.timeline_highest = 5; /* promoted since by somebody */
    speak_for(3 * S, &a, &b);
    assert_int_equal(w.c.record.epoch, 0);
}

int main(void)
{
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_offered_becomes_the_clusters),
        TEST(test_whose_first_start_failed_starts_again),
        TEST(test_two_offers_need_a_word),
        TEST(test_a_better_copy_is_not_passed_over),
        TEST(test_who_has_seen_an_epoch_is_not_adopted),
        TEST(test_a_restored_quorum_adopts_nothing),
        TEST(test_an_operator_names_it),
        TEST(test_a_running_primary_goes_on_where_it_is),
        TEST(test_running_standbys_wait_for_their_primary),
        TEST(test_two_that_serve_need_a_word),
        TEST(test_a_standby_that_is_ahead_and_not_fed_is_not_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
