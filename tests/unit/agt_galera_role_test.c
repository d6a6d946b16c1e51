/* SPDX-License-Identifier: Apache-2.0 */
/* What ends the role of a Galera cluster's writer, and what does not. More: agt_galera_test.c. */
#include "tests/support/cm.h"

#include <stdlib.h>
#include <string.h>

#include "base/canary.h"
#include "base/error.h"
#include "tests/unit/agt_galera_scene.h"

/* A hook of its host: another one is asked, and not this one again at once. */
static void test_who_may_not_be_promoted_gives_the_role_back(void **state)
{
    (void)state;
    struct msg_report report;
    begin_synced();
    grant(2);
    guard_says();
    assert_int_equal(w.asked, DB_ORDER_PROMOTE);
    done(BASE_E_DENIED);
    assert_int_equal(w.asked, DB_ORDER_GALERA_FENCE);
    done(0);
    assert_int_equal(w.releases, 1);
    agt_report_peek(&w.a, w.now, &report);
    assert_true(report.is_nofailover);
}

/* A fence of before is lifted by the promotion itself. */
static void test_a_promotion_is_not_cut_short(void **state)
{
    (void)state;
    begin_synced();
    grant(2);
    guard_says();
    assert_int_equal(w.asked, DB_ORDER_PROMOTE);
    w.view.galera.is_rejecting = true;
    causal_look();
    assert_int_equal(w.cancels, 0);
}

/* Granted and looked at all the while; a look that hangs with this agent is no proof yet. */
static void test_a_writer_that_hangs_gives_the_role_back(void **state)
{
    (void)state;
    begin_writer();
    w.asked = DB_ORDER_NONE;
    w.view.is_answering = false;
    for (int i = 0; i < 14; i++) {
        pass(490 * MS);
        grant(2);
        guard_says();
    }
    look();
    look();
    assert_int_equal(w.asked, DB_ORDER_NONE);
    look();
    assert_int_equal(w.asked, DB_ORDER_GALERA_FENCE);
}

/* Between two looks it was out, and is back: others may have been named meanwhile. */
static void test_an_absence_between_two_looks_ends_the_role(void **state)
{
    (void)state;
    begin_writer();
    for (int i = 0; i < 2; i++) {
        w.view.galera.conf_id++; /* somebody has come or gone */
        w.view.galera.gcomm[0] = 1;
        causal_look();
        causal_look();
        assert_true(agt_galera_is_writer(&w.a, w.now));
    }
    w.view.galera.conf_id += 2;
    causal_look();
    assert_int_equal(w.asked, DB_ORDER_GALERA_FENCE);
    begin_writer();
    w.view.galera.gcomm[0] = 1;
    causal_look();
    assert_true(agt_galera_is_writer(&w.a, w.now));
    w.view.galera.gcomm[0] = 2; /* it has come back as another one */
    causal_look();
    assert_int_equal(w.asked, DB_ORDER_GALERA_FENCE);
}

static void test_a_writer_that_is_a_donor_writes_on(void **state)
{
    (void)state;
    begin_writer();
    w.asked = DB_ORDER_NONE;
    w.view.galera.local = DB_GALERA_DONOR;
    causal_look();
    assert_true(agt_galera_is_writer(&w.a, w.now));
    assert_int_equal(w.asked, DB_ORDER_NONE);
}

/* Also when another agent sees it end, which has not looked at it yet. */
static void test_the_end_of_the_writers_server_hands_the_role_on(void **state)
{
    (void)state;
    begin_writer();
    agent_restarts(&w.a.disk);
    root_ends();
    unsigned arms = w.arms;
    grant(2);
    assert_int_equal(w.arms, arms);
    look();
    assert_int_equal(w.hand_backs, 1);
}

/* Nothing was armed, and nothing will be: who takes over need not wait for a fence that fails. */
static void test_who_is_fenced_before_the_first_grant_gives_the_role_back(void **state)
{
    (void)state;
    begin_down();
    w.order.record.epoch = 2;
    w.order.record.holder = name_of("g1");
    w.order.record.holder_instance = 77;
    w.order.record.revision++;
    w.order.goal = MSG_GOAL_NONE;
    order_comes();
    tick();
    assert_int_equal(w.hand_backs, 0);
    w.order.record.fencing_epoch = 2;
    w.order.record.revision++;
    order_comes();
    assert_int_equal(w.hand_backs, 1);
}

/* Its server runs on as a reader: nobody can write to it, and it is given back as it is. */
static void test_who_runs_read_only_gives_an_unarmed_role_back(void **state)
{
    (void)state;
    for (unsigned is_read_only = 0; is_read_only <= 1; is_read_only++) {
        begin_synced();
        w.guard.soft_us = SECOND;
        guard_says();
        w.view.galera.is_read_only = is_read_only == 1;
        look();
        w.order.record.epoch = w.order.record.fencing_epoch = 2;
        w.order.record.holder = name_of("g1");
        w.order.record.holder_instance = 77;
        w.order.record.revision++;
        order_comes();
        assert_int_equal(w.arms, 0);
        assert_int_equal(w.releases, is_read_only);
        assert_int_equal(w.released, 2 * is_read_only);
    }
}

static void stands_still_for(int64_t us)
{
    w.asked = DB_ORDER_NONE;
    pass(us);
    tick();
}

static void test_who_is_fenced_since_a_pause_is_fenced_again_after_the_next_one(void **state)
{
    (void)state;
    begin_synced();
    stands_still_for(2 * SECOND);
    assert_int_equal(w.asked, DB_ORDER_GALERA_FENCE);
    w.view.galera.is_rejecting = true;
    done(0);
    stands_still_for(100 * MS);
    assert_int_equal(w.asked, DB_ORDER_NONE);
    stands_still_for(2 * SECOND); /* somebody may have come in meanwhile */
    assert_int_equal(w.asked, DB_ORDER_GALERA_FENCE);
}

/* A health check may come before the step that finds a pause: both mean the same by it. */
static void test_a_pause_begins_when_a_check_says_no(void **state)
{
    (void)state;
    for (int64_t more = 0; more <= 1; more++) {
        begin_writer();
        pass(AGT_GALERA_GAP_US + more);
        assert_int_equal(agt_galera_is_reader(&w.a, w.now, false), more == 0);
        stands_still_for(0);
        assert_int_equal(w.asked, more == 0 ? DB_ORDER_NONE : DB_ORDER_GALERA_FENCE);
    }
}

static void grant_live_bootstrap(int64_t seqno)
{
    w.order.record.galera.grant = (struct msg_galera_grant){.generation = 2,
                                                            .node = name_of("g1"),
                                                            .is_live = true,
                                                            .base = {.seqno = seqno},
                                                            .state = MSG_GALERA_GRANT_GIVEN};
    memcpy(w.order.record.galera.grant.base.uuid, uuid, sizeof(uuid));
    w.order.record.revision++;
    w.order.galera_goal = MSG_GALERA_GOAL_BOOTSTRAP;
    order_comes();
}

static void is_not_started_for_it(void)
{
    assert_int_not_equal(w.asked, DB_ORDER_GALERA_PREPARE);
    assert_int_equal(w.starts, 0);
    assert_int_equal(w.a.disk.galera.grant_done, 2);
    assert_int_equal(w.a.disk.galera.grant_status, BASE_E_STATE);
}

/* Granted where it ran; its server has ended since. The others may be Primary again by themselves,
 * and a start would make a second component. */
static void test_a_grant_for_what_runs_is_not_carried_out_by_a_start(void **state)
{
    (void)state;
    begin_down();
    grant_live_bootstrap(120);
    tick();
    is_not_started_for_it();
}

/* Nor when it ends before it could be asked. */
static void test_a_grant_that_was_begun_where_it_ran_is_not_carried_out_by_a_start(void **state)
{
    (void)state;
    begin_synced();
    w.view.galera.is_primary = false;
    w.view.galera.local = DB_GALERA_INITIALIZED;
    w.view.galera.is_rejecting = true;
    w.view.galera.position.seqno = 200;
    look();
    look();
    w.asked = DB_ORDER_NONE;
    w.is_disk_slow = true;
    grant_live_bootstrap(150);
    assert_int_equal(w.a.want.galera.grant_begun, 2);
    assert_int_equal(w.asked, DB_ORDER_NONE); /* begun, and not on disk */
    root_ends();
    w.is_disk_slow = false;
    feed((struct agt_event){.kind = AGT_EVENT_SAVED});
    w.view.galera.is_position_recovered = true;
    w.view.galera.position.seqno = 200;
    look();
    is_not_started_for_it();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_may_not_be_promoted_gives_the_role_back),
        cmocka_unit_test(test_a_promotion_is_not_cut_short),
        cmocka_unit_test(test_a_writer_that_hangs_gives_the_role_back),
        cmocka_unit_test(test_an_absence_between_two_looks_ends_the_role),
        cmocka_unit_test(test_a_writer_that_is_a_donor_writes_on),
        cmocka_unit_test(test_the_end_of_the_writers_server_hands_the_role_on),
        cmocka_unit_test(test_who_is_fenced_before_the_first_grant_gives_the_role_back),
        cmocka_unit_test(test_who_runs_read_only_gives_an_unarmed_role_back),
        cmocka_unit_test(test_who_is_fenced_since_a_pause_is_fenced_again_after_the_next_one),
        cmocka_unit_test(test_a_pause_begins_when_a_check_says_no),
        cmocka_unit_test(test_a_grant_for_what_runs_is_not_carried_out_by_a_start),
        cmocka_unit_test(test_a_grant_that_was_begun_where_it_ran_is_not_carried_out_by_a_start),
    };
    (void)base_canary_select(getenv("QUORATE_CANARY"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
