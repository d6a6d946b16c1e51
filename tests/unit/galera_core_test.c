/* SPDX-License-Identifier: Apache-2.0 */
/* The arbiter's core with Galera clusters: founding, the writer, recoveries (turns:
 * galera_turn_test). Each test is named after what it holds fast; the planted bugs must turn the
 * same scenes wrong. */
#include "base/canary.h"
#include "tests/unit/galera_scene.h"

#include <stdlib.h>
#include <string.h>

/* --- founding --- */

static void test_a_blank_cluster_is_founded_when_all_are_heard(void **state)
{
    (void)state;
    gal_nodes[3].is_silent = true;
    gal_nodes[2].report.priority = 5;
    gal_pass(5 * S);
    assert_int_equal(w.c.record.epoch, 0);
    assert_true(gal_is_waiting_for(ARB_NOTE_GALERA_FOUND_WAITS));
    gal_nodes[3].is_silent = false;
    gal_pass(2 * S);
    assert_int_equal(w.c.record.epoch, 1);
    assert_int_equal(w.c.record.state, MSG_RECORD_BOOTSTRAP);
    assert_true(gal_is_granted_to("gn2"));
    assert_int_equal(gal_goal(2), MSG_GALERA_GOAL_BOOTSTRAP);
    assert_int_equal(w.order[2].goal, MSG_GOAL_INIT);
    assert_int_equal(gal_goal(1), MSG_GALERA_GOAL_INHIBIT);
    gal_obey(2);
    gal_all();
    assert_int_equal(w.c.record.state, MSG_RECORD_RUNNING);
    assert_int_equal(gal_record()->generation, 1);
    assert_int_equal(gal_record()->grant.state, MSG_GALERA_GRANT_DONE);
    gal_all();
    assert_int_equal(w.order[2].goal, MSG_GOAL_HOLD);
    assert_true(w.c.record.is_opened);
    for (unsigned i = 0; i < 6; i++) { /* one after the other */
        unsigned joining = 0;
        for (unsigned n = 1; n <= 3; n += 2) {
            bool is_out = !gal_nodes[n].report.galera.is_primary;
            joining += is_out && gal_goal(n) == MSG_GALERA_GOAL_REJOIN;
        }
        assert_true(joining <= 1);
        gal_obey_all();
    }
    assert_true(gal_nodes[1].report.galera.is_primary && gal_nodes[3].report.galera.is_primary);
    assert_int_equal(gal_record()->view.count, 3);
}

/* Files that name no number ask for one member. */
static void test_founding_waits_for_one_at_least(void **state)
{
    (void)state;
    gal_seed_members = 0;
    gal_nodes[2].is_silent = gal_nodes[3].is_silent = true;
    gal_nodes[1].report.galera.state = MSG_GALERA_UNKNOWN;
    gal_pass(5 * S);
    assert_true(gal_is_waiting_for(ARB_NOTE_GALERA_FOUND_WAITS));
    assert_true(w.c.waiting.a == 1 && w.c.waiting.b == 0);
    gal_nodes[1].report.galera.state = MSG_GALERA_NEEDS_SST;
    gal_pass(5 * S);
    assert_true(gal_is_granted_to("gn1"));
}

static void found_with(uint32_t ttl_ms, uint32_t heartbeat_ms)
{
    assert_int_equal(gal_setup_blank(NULL), 0);
    for (unsigned n = 1; n <= GAL_MEMBERS; n++) {
        gal_nodes[n].report.seed_ttl_ms = ttl_ms;
        gal_nodes[n].report.seed_heartbeat_ms = heartbeat_ms;
    }
    gal_pass(2 * S);
    assert_int_equal(w.c.record.epoch, 1);
}

static void test_the_first_record_has_the_times_of_the_members_files_within_the_bounds(void **state)
{
    (void)state;
    found_with(ARB_GALERA_TTL_MIN_MS, 1);
    assert_int_equal(w.c.record.ttl_ms, ARB_GALERA_TTL_MIN_MS);
    assert_int_equal(w.c.record.heartbeat_ms, 1);
    assert_int_equal(w.c.record.sync_mode, MSG_SYNC_ASYNC);
    assert_int_equal(w.c.record.sync_count, 1); /* as a document without it says */
    found_with(ARB_GALERA_TTL_MIN_MS - 1, 0);
    assert_int_equal(w.c.record.ttl_ms, ARB_GALERA_TTL_DEFAULT_MS);
    assert_int_equal(w.c.record.heartbeat_ms, ARB_GALERA_HEARTBEAT_DEFAULT_MS);
    found_with(LEASE_TTL_MAX_MS, LEASE_TTL_MAX_MS / LEASE_HEARTBEATS_PER_TTL_MIN);
    assert_int_equal(w.c.record.ttl_ms, LEASE_TTL_MAX_MS);
    assert_int_equal(w.c.record.heartbeat_ms, LEASE_TTL_MAX_MS / LEASE_HEARTBEATS_PER_TTL_MIN);
    found_with(LEASE_TTL_MAX_MS + 1, LEASE_TTL_MAX_MS);
    assert_int_equal(w.c.record.ttl_ms, ARB_GALERA_TTL_DEFAULT_MS);
    assert_int_equal(w.c.record.heartbeat_ms, ARB_GALERA_HEARTBEAT_DEFAULT_MS);
}

static void test_a_running_cluster_is_taken_in_with_its_uuid(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 3; n++) {
        gal_is_synced(n, 40, 14u);
        gal_nodes[n].report.galera.position.seqno = 500;
        gal_nodes[n].report.galera.is_read_only = n != 3;
    }
    gal_pass(2 * S);
    assert_int_equal(w.c.record.epoch, 1);
    assert_true(is_holder("gn3"));
    assert_int_equal(gal_record()->generation, 1);
    assert_int_equal(gal_record()->uuid[0], 0xaa);
    assert_int_equal(gal_goal(1), MSG_GALERA_GOAL_JOIN); /* and is stamped with it */
    gal_obey_all();
    assert_int_equal(gal_nodes[1].report.galera.generation, 1);
}

/* It was made Primary by hand and has no name yet. */
static void test_a_component_without_a_uuid_is_not_taken_in(void **state)
{
    (void)state;
    gal_is_synced(1, 40, 2u);
    memset(gal_nodes[1].report.galera.position.uuid, 0, 16);
    gal_pass(5 * S);
    assert_int_equal(w.c.record.epoch, 0);
}

static void test_data_without_a_record_wait_for_an_operator(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 3; n++) {
        gal_is_synced(n, 40, 14u);
        gal_is_down(n, 500 + (int64_t)n);
    }
    gal_pass(30 * S);
    assert_int_equal(w.c.record.epoch, 0);
    assert_true(gal_is_waiting_for(ARB_NOTE_GALERA_DATA_WAITS));
    gal_ask(ARB_REQUEST_CONFIRM, NULL, false);
    assert_int_equal(w.answer, 0);
    assert_true(w.c.record.epoch > 0);
    gal_pass(3 * S);
    gal_obey_all();
    assert_true(gal_is_granted_to("gn3"));
    gal_obey_all();
    assert_int_equal(gal_record()->generation, 1);
}

/* The view changes before anybody is stamped: who stays in it is a member all the same. */
static void test_a_running_cluster_is_confirmed_with_its_members(void **state)
{
    (void)state;
    gal_is_synced(1, 40, 14u);
    gal_is_synced(2, 40, 14u);
    gal_is_synced(3, 39, 8u); /* says something else: somebody has to look */
    gal_pass(5 * S);
    assert_int_equal(w.c.record.epoch, 0);
    gal_ask(ARB_REQUEST_CONFIRM, NULL, false);
    assert_int_equal(w.answer, 0);
    assert_int_equal(gal_record()->generation, 1);
    gal_is_synced(1, 41, 6u);
    gal_is_synced(2, 41, 6u);
    gal_pass(2 * S);
    assert_int_equal(gal_goal(2), MSG_GALERA_GOAL_JOIN);
    assert_true(gal_is_member(gal_record(), &gal_nodes[2].report.galera));
}

/* Two views have one number, as after a split that nobody saw. */
static void test_a_confirmed_record_has_the_view_of_the_member_that_was_named(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 3; n++) {
        gal_is_synced(n, 40, n == 2 ? 4u : 10u);
        gal_is_down(n, 500);
    }
    gal_pass(2 * S);
    gal_ask(ARB_REQUEST_CONFIRM, "gn2", false);
    assert_int_equal(w.answer, 0);
    assert_int_equal(gal_record()->view.conf_id, 40);
    assert_int_equal(gal_record()->view.count, 1);
    assert_string_equal(gal_record()->view.nodes[0].node.text, "gn2");
}

/* gn3 is of before, with higher numbers. */
static void test_a_confirmed_record_has_nothing_of_another_generation(void **state)
{
    (void)state;
    for (int64_t known = -1; known <= 1; known++) { /* -1: not known */
        assert_int_equal(gal_setup_blank(NULL), 0);
        for (unsigned n = 1; n <= 3; n++) {
            gal_is_synced(n, n == 3 ? 50 : 40, n == 3 ? 14u : 6u);
            gal_is_down(n, n == 3 ? 999 : known);
            gal_nodes[n].report.galera.generation = n == 3 ? 1 : 2;
        }
        gal_pass(2 * S);
        gal_ask(ARB_REQUEST_CONFIRM, NULL, false);
        assert_int_equal(w.answer, 0);
        assert_int_equal(gal_record()->generation, 2);
        assert_int_equal(gal_record()->view.conf_id, 40);
        assert_int_equal(gal_record()->high_water, known);
        assert_false(gal_may_merge(gal_record(), &gal_nodes[3].report.galera, 0));
        assert_int_equal(w.note[ARB_NOTE_ADOPTED].c, known == 1 ? 1 : 0); /* as is said, too */
    }
}

/* --- the writer --- */

static void test_the_lease_of_a_silent_writer_is_waited_for_and_a_second(void **state)
{
    (void)state;
    gal_nodes[1].is_silent = true;
    gal_is_synced(2, 8, 12u);
    gal_is_synced(3, 8, 12u);
    gal_nodes[3].report.priority = 3;
    gal_pass(6 * S + 500 * MS);
    assert_int_equal(w.c.record.epoch, 1);
    gal_pass(S);
    assert_int_equal(w.c.record.epoch, 2);
    assert_true(is_holder("gn3"));
}

static void test_fast_takeover_goes_by_the_view_that_evicted(void **state)
{
    (void)state;
    struct msg_record next = w.c.record;
    next.revision++;
    next.galera.is_fast_takeover = true;
    load(next);
    gal_all();
    gal_nodes[1].is_silent = true;
    gal_pass(3 * S);
    assert_int_equal(w.c.record.epoch, 1);
    gal_is_synced(2, 8, 12u);
    gal_is_synced(3, 8, 12u);
    gal_all();
    assert_int_equal(w.c.record.epoch, 2);
    assert_true(is_holder("gn2"));
}

static void test_a_writer_that_hands_back_is_replaced_at_once(void **state)
{
    (void)state;
    gal_is_nonprim(1);
    gal_is_synced(2, 8, 12u);
    gal_is_synced(3, 8, 12u);
    gal_pass(S); /* who follows has spoken since */
    assert_int_equal(w.c.record.epoch, 2);
    assert_true(is_holder("gn2"));
}

static void test_nobody_who_is_not_synced_becomes_the_writer(void **state)
{
    (void)state;
    gal_nodes[2].report.galera.state = MSG_GALERA_DONOR;
    gal_nodes[3].report.galera.state = MSG_GALERA_STALLED;
    gal_is_down(1, 100);
    gal_pass(20 * S);
    assert_int_equal(w.c.record.epoch, 1);
    assert_true(gal_is_waiting_for(ARB_NOTE_GALERA_NO_WRITER));
    gal_is_synced(3, 8, 12u);
    gal_all();
    assert_true(is_holder("gn3"));
}

static void test_of_those_who_cannot_write_one_that_is_heard_is_named_with_its_reason(void **state)
{
    (void)state;
    gal_nodes[1].is_silent = true;
    gal_is_synced(2, 8, 12u);
    gal_is_synced(3, 8, 12u);
    gal_nodes[2].report.galera.state = MSG_GALERA_DONOR;
    gal_nodes[3].report.galera.state = MSG_GALERA_STALLED;
    gal_pass(10 * S);
    assert_true(gal_is_waiting_for(ARB_NOTE_GALERA_NO_WRITER));
    assert_string_equal(w.c.waiting.member.text, "gn2");
    assert_int_equal(w.c.waiting.why, ARB_REFUSE_DONOR);
}

/* Its agent is new, or its server does not answer for a moment: its lease goes on. */
static void test_a_writer_of_which_little_is_known_keeps_the_lease(void **state)
{
    static const enum msg_galera_state said[] = {MSG_GALERA_UNKNOWN, MSG_GALERA_STALLED};
    (void)state;
    for (size_t i = 0; i < BASE_COUNT_OF(said); i++) {
        assert_int_equal(gal_setup(NULL), 0);
        gal_nodes[1].report.galera.state = said[i];
        for (unsigned k = 0; k < 8; k++) {
            gal_pass(S);
            assert_true(w.order[1].is_granted);
        }
        assert_int_equal(w.c.record.epoch, 1);
    }
}

static void test_a_switchover_goes_to_the_one_named(void **state)
{
    (void)state;
    gal_ask(ARB_REQUEST_SWITCHOVER, "gn3", false);
    assert_int_equal(w.answer, 0);
    gal_all();
    assert_int_equal(w.order[1].goal, MSG_GOAL_HAND_OVER);
    gal_hands_back(1);
    gal_all();
    assert_int_equal(w.c.record.epoch, 2);
    assert_true(is_holder("gn3"));
    gal_pass(60 * S); /* nothing goes back by itself */
    assert_true(is_holder("gn3"));
}

static void test_what_makes_no_sense_is_refused_with_the_reason(void **state)
{
    (void)state;
    gal_ask(ARB_REQUEST_FAILOVER, NULL, true);
    assert_int_equal(w.answer, BASE_E_INVALID);
    gal_order_task(MSG_TASK_RELOAD, "gn2");
    assert_int_equal(w.answer, BASE_E_INVALID);
    gal_ask(ARB_REQUEST_CONFIRM, NULL, false);
    assert_int_equal(w.answer, BASE_E_STATE);
}

static void test_in_a_pause_nobody_acts(void **state)
{
    (void)state;
    gal_ask(ARB_REQUEST_PAUSE, NULL, false);
    assert_int_equal(w.answer, 0);
    for (unsigned n = 1; n <= 3; n++) {
        gal_is_down(n, 100);
    }
    gal_pass(60 * S);
    assert_int_equal(gal_record()->inhibit, 0);
    assert_int_equal(gal_goal(2), MSG_GALERA_GOAL_KEEP);
}

/* The writer's host was started anew meanwhile, and runs a reader: nothing of the old one is left.
 */
static void test_a_pause_ends_though_the_writer_s_guard_is_another(void **state)
{
    (void)state;
    gal_ask(ARB_REQUEST_PAUSE, NULL, false);
    gal_ask(ARB_REQUEST_RESUME, NULL, false);
    assert_true(w.c.record.is_unarmed);
    gal_nodes[1].instance_more = 1000;
    gal_nodes[1].report.is_adopted = true; /* of that it is not known */
    gal_nodes[1].report.galera.is_read_only = true;
    gal_pass(30 * S);
    assert_int_equal(w.c.record.epoch, 1);
    gal_nodes[1].report.is_adopted = false;
    gal_pass(30 * S);
    assert_int_equal(w.c.record.epoch, 2);
    assert_true(w.c.record.is_opened);
}

/* --- recovery --- */

static void kill_all(void)
{
    for (unsigned n = 1; n <= 3; n++) {
        gal_is_down(n, -1);
    }
}

static void test_after_a_total_outage_who_has_most_starts(void **state)
{
    (void)state;
    kill_all();
    gal_all();
    gal_all();
    assert_int_equal(gal_goal(1), MSG_GALERA_GOAL_KEEP);
    gal_pass(2 * S);
    assert_int_equal(gal_record()->inhibit, 2);
    assert_int_equal(gal_goal(1), MSG_GALERA_GOAL_INHIBIT);
    gal_obey_all();
    assert_true(gal_record()->grant.state != MSG_GALERA_GRANT_GIVEN || gal_is_granted_to("gn1"));
}

static void test_the_laggard_is_not_chosen(void **state)
{
    (void)state;
    kill_all();
    gal_pass(3 * S);
    gal_is_down(1, 100);
    gal_is_down(2, 110);
    gal_is_down(3, 100);
    for (unsigned n = 1; n <= 3; n++) {
        gal_nodes[n].report.galera.inhibited = 2;
    }
    gal_nodes[1].report.galera.is_safe_to_bootstrap = true;
    gal_all();
    assert_true(gal_is_granted_to("gn2"));
    assert_false(gal_record()->grant.is_live);
    gal_obey_all();
    assert_int_equal(gal_record()->generation, 2);
    assert_int_equal(w.c.record.epoch, 1); /* a second member first */
    for (unsigned i = 0; i < 6; i++) {
        gal_obey_all();
    }
    assert_int_equal(gal_record()->view.count, 3);
    assert_int_equal(w.c.record.epoch, 2);
    assert_int_equal(gal_nodes[3].report.galera.generation, 2);
}

/* The others were removed: no second copy is to come. */
static void test_a_cluster_of_one_writes_at_once_after_a_cold_start(void **state)
{
    (void)state;
    gal_nodes[2].is_silent = gal_nodes[3].is_silent = true;
    gal_is_synced(1, 8, 2u);
    gal_pass(20 * S);
    for (unsigned n = 2; n <= 3; n++) {
        struct base_name name = name_of(gal_name(n));
        run((struct arb_event){.kind = ARB_EVENT_FORGET, .member = &name});
    }
    assert_int_equal(w.c.views_count, 1);
    gal_is_down(1, 100);
    gal_pass(17 * S);
    gal_obey_all();
    gal_obey_all();
    assert_int_equal(gal_record()->generation, 2);
    gal_pass(2 * S);
    assert_int_equal(w.c.record.epoch, 2);
}

/* Whoever has that too has a prefix. */
static void test_a_cold_start_from_zero_is_one_from_data(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 3; n++) {
        gal_is_down(n, 0);
    }
    gal_pass(17 * S);
    gal_obey_all();
    gal_ask(ARB_REQUEST_CONFIRM, NULL, true); /* more was known committed */
    gal_obey_all();
    gal_obey_all();
    assert_int_equal(gal_record()->generation, 2);
    assert_int_equal(gal_record()->grant.base.seqno, 0);
}

static void test_two_of_three_wait_for_the_third_and_say_so(void **state)
{
    (void)state;
    kill_all();
    gal_nodes[3].is_silent = true;
    gal_pass(17 * S);
    gal_obey_all();
    gal_pass(60 * S);
    assert_int_equal(gal_record()->grant.generation, 1);
    assert_true(gal_is_waiting_for(ARB_NOTE_GALERA_MISSING));
    struct base_name gn3 = name_of("gn3");
    assert_true(base_name_equal(&w.c.waiting.member, &gn3));
    gal_ask(ARB_REQUEST_CONFIRM, NULL, false); /* what it would cost */
    assert_int_equal(w.answer, BASE_E_STATE);
    struct arb_request r = {.kind = ARB_REQUEST_CONFIRM};
    assert_int_equal(arb_names_add(&r.overridden, &gn3), 0);
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &r});
    assert_int_equal(w.answer, 0);
    gal_pass(3 * S);
    assert_true(gal_is_granted_to("gn1"));
}

static void test_one_of_three_is_nobody(void **state)
{
    (void)state;
    gal_is_nonprim(1);
    gal_nodes[2].is_silent = gal_nodes[3].is_silent = true;
    gal_pass(60 * S);
    assert_int_equal(gal_record()->inhibit, 0);
    assert_true(gal_is_waiting_for(ARB_NOTE_GALERA_NOT_ALONE));
    gal_ask(ARB_REQUEST_CONFIRM, "gn9", true);
    assert_int_equal(w.answer, BASE_E_NOTFOUND);
    gal_ask(ARB_REQUEST_CONFIRM, NULL, true);
    assert_int_equal(w.answer, 0);
    gal_pass(60 * S);
    assert_int_equal(gal_record()->grant.generation,
                     1); /* force does not set the arithmetic aside */
    gal_ask(ARB_REQUEST_CONFIRM_DEAD, "gn2", true);
    gal_ask(ARB_REQUEST_CONFIRM_DEAD, "gn3", true);
    gal_pass(3 * S);
    assert_true(gal_is_granted_to("gn1"));
    assert_true(gal_record()->grant.is_live);
}

static void test_who_speaks_again_is_not_dead(void **state)
{
    (void)state;
    gal_is_nonprim(1);
    gal_nodes[2].is_silent = gal_nodes[3].is_silent = true;
    gal_pass(20 * S);
    gal_ask(ARB_REQUEST_CONFIRM_DEAD, "gn2", true);
    gal_nodes[2].is_silent = false;
    gal_is_nonprim(2);
    gal_pass(S);
    gal_nodes[2].is_silent = true;
    gal_pass(5 * S);
    gal_ask(ARB_REQUEST_CONFIRM_DEAD, "gn3", true);
    gal_pass(20 * S);
    assert_int_equal(gal_record()->grant.generation, 1);
    assert_true(gal_is_waiting_for(ARB_NOTE_GALERA_NOT_ALONE));
}

static void test_of_two_nodes_the_survivor_goes_on(void **state)
{
    (void)state;
    gal_be_two();
    gal_nodes[1].is_silent = true; /* the writer's host */
    gal_is_nonprim(2);
    gal_pass(2 * S);
    assert_int_equal(gal_record()->grant.generation, 1);
    gal_pass(2 * S);
    assert_true(gal_is_granted_to("gn2"));
    assert_true(gal_record()->grant.is_live);
    gal_obey_all();
    assert_int_equal(gal_record()->generation, 2);
    assert_int_equal(gal_record()->view.count, 1);
    gal_pass(4 * S);
    assert_int_equal(w.c.record.epoch, 2);
    assert_true(is_holder("gn2"));
}

/* The other one runs on, and may have received what the survivor has not. */
static void test_of_two_nodes_the_other_one_is_cloned_unless_it_was_seen_behind(void **state)
{
    (void)state;
    gal_be_two();
    gal_nodes[1].is_silent = true;
    gal_is_nonprim(2);
    gal_pass(4 * S);
    gal_obey_all();
    assert_int_equal(gal_record()->generation, 2);
    gal_nodes[1].is_silent = false; /* back, and in the component by itself */
    gal_is_synced(1, 10, 6u);
    gal_is_synced(2, 10, 6u);
    gal_pass(9 * S);
    assert_int_equal(gal_goal(1), MSG_GALERA_GOAL_REJOIN);
    assert_true(is_holder("gn2"));
    gal_is_nonprim(1); /* out again: seen with what it has received */
    gal_is_synced(2, 11, 4u);
    gal_pass(S);
    assert_int_equal(gal_goal(1), MSG_GALERA_GOAL_JOIN);
    gal_nodes[1].report.galera.recv_queue = 50;
    gal_pass(S);
    assert_int_equal(gal_goal(1), MSG_GALERA_GOAL_WAIT); /* is stopped */
}

static void test_of_two_nodes_one_that_was_stopped_waits_for_the_other(void **state)
{
    (void)state;
    gal_be_two();
    gal_nodes[1].is_silent = true;
    gal_is_down(2, 100); /* a cold start: the other one may have more */
    gal_pass(30 * S);
    gal_obey_all();
    gal_pass(5 * S);
    assert_int_equal(gal_record()->grant.generation, 1);
    assert_true(gal_is_waiting_for(ARB_NOTE_GALERA_MISSING));
}

static void gn1_is_granted(void)
{
    kill_all();
    gal_pass(3 * S);
    gal_obey_all();
    assert_true(gal_is_granted_to("gn1"));
}

static void gn1_bootstraps(void)
{
    w.has_order[1] = true;
    gal_obey(1);
}

static void test_a_grant_that_failed_ends_the_attempts(void **state)
{
    (void)state;
    gn1_is_granted();
    gal_nodes[1].report.galera.grant_generation = 2;
    gal_nodes[1].report.galera.grant_status = BASE_E_STATE;
    gal_pass(120 * S);
    assert_int_equal(gal_record()->grant.state, MSG_GALERA_GRANT_FAILED);
    assert_true(gal_is_waiting_for(ARB_NOTE_GALERA_FAILED_WAITS));
    gal_ask(ARB_REQUEST_CONFIRM, NULL, false);
    assert_int_equal(w.answer, 0);
    gal_pass(3 * S);
    gal_obey_all();
    gal_all();
    assert_int_equal(gal_record()->grant.generation, 3);
    assert_int_equal(gal_record()->grant.state, MSG_GALERA_GRANT_GIVEN);
}

static void test_after_a_founder_that_failed_another_try_is_a_new_grant(void **state)
{
    (void)state;
    struct msg_galera_report *g = &gal_nodes[1].report.galera;
    gal_pass(2 * S);
    assert_true(gal_is_granted_to("gn1"));
    g->generation = g->grant_generation = 1;
    g->grant_status = BASE_E_STATE;
    g->position.seqno = 0; /* there may be something by now */
    gal_pass(S);
    assert_int_equal(gal_record()->grant.state, MSG_GALERA_GRANT_FAILED);
    gal_ask(ARB_REQUEST_CONFIRM, NULL, false);
    assert_int_equal(w.answer, 0);
    gal_pass(3 * S);
    gal_obey_all();
    assert_true(gal_is_waiting_for(ARB_NOTE_GALERA_FOUND_WAITS));
    g->position.seqno = -1;
    gal_pass(3 * S);
    assert_int_equal(w.c.record.epoch, 2);
    assert_int_equal(gal_record()->grant.state, MSG_GALERA_GRANT_GIVEN);
    assert_int_equal(gal_record()->grant.generation, 2);
}

static void test_a_bootstrap_that_was_done_counts_though_its_node_is_down_again(void **state)
{
    (void)state;
    gn1_is_granted();
    gn1_bootstraps();
    gal_is_down(1, 103);
    gal_nodes[1].report.galera.view.conf_id = 3; /* somebody came in and left */
    gal_pass(S);
    assert_int_equal(gal_record()->generation, 2);
    assert_int_equal(gal_record()->view.conf_id, 3);
    assert_int_equal(gal_record()->high_water, 103);
    gal_pass(3 * S);
    gal_obey_all();
    assert_int_equal(gal_record()->grant.generation, 3);
}

/* Its agent told no view of it: it was alone in the first one. */
static void test_a_bootstrap_whose_view_nobody_told_was_of_its_node_alone(void **state)
{
    (void)state;
    gn1_is_granted();
    struct msg_galera_view before = gal_nodes[1].report.galera.view;
    gn1_bootstraps();
    gal_is_down(1, 103);
    gal_nodes[1].report.galera.view = before;
    gal_nodes[1].report.galera.weight = 0; /* nobody is there to be asked */
    gal_pass(S);
    assert_int_equal(gal_record()->generation, 2);
    assert_int_equal(gal_record()->view.conf_id, 1);
    assert_int_equal(gal_record()->view.count, 1);
    assert_int_equal(gal_record()->view.nodes[0].weight, 1);
    assert_string_equal(gal_record()->view.nodes[0].node.text, "gn1");
}

/* ... or in the one after that of which it was left. */
static void test_a_node_that_went_on_alone_did_so_in_the_view_after_the_last(void **state)
{
    (void)state;
    gal_be_two();
    struct msg_galera_view before = gal_record()->view;
    gal_nodes[1].is_silent = true;
    gal_is_nonprim(2);
    gal_pass(4 * S);
    assert_true(gal_is_granted_to("gn2"));
    w.has_order[2] = true;
    gal_obey(2);
    gal_is_down(2, 103);
    gal_nodes[2].report.galera.view = before;
    gal_pass(S);
    assert_int_equal(gal_record()->generation, 2);
    assert_int_equal(gal_record()->view.conf_id, before.conf_id + 1);
    assert_int_equal(gal_record()->view.count, 1);
}

/* It was Primary with it, and a loss of power has torn its data before it said so. */
static void test_a_bootstrap_whose_data_are_damaged_since_has_failed(void **state)
{
    (void)state;
    gn1_is_granted();
    gn1_bootstraps();
    gal_is_down(1, -1);
    gal_nodes[1].report.galera.is_unreadable = true;
    gal_pass(S);
    assert_int_equal(gal_record()->generation, 1);
    assert_int_equal(gal_record()->grant.state, MSG_GALERA_GRANT_FAILED);
    assert_true(gal_is_waiting_for(ARB_NOTE_GALERA_FAILED_WAITS));
    assert_int_equal(w.note[ARB_NOTE_GALERA_FAILED].b, -BASE_E_CORRUPT);
}

/* The component has ordered it, and who wrote it, silent since, may have told a client. */
static void test_what_was_received_and_not_applied_is_not_given_up_unsaid(void **state)
{
    (void)state;
    gal_nodes[1].report.galera.recv_queue = 5;
    gal_pass(S);
    assert_int_equal(w.c.galera.high_water, gal_nodes[1].report.galera.position.seqno + 5);
    gal_nodes[1].report.galera.recv_queue = 0;
    for (unsigned n = 1; n <= 3; n++) {
        gal_is_down(n, gal_nodes[n].report.galera.position.seqno);
    }
    gal_pass(3 * S);
    gal_obey_all();
    gal_pass(S);
    assert_true(gal_is_waiting_for(ARB_NOTE_GALERA_LOSS));
}

static void is_granted_and_falls_silent(void)
{
    gn1_is_granted();
    gal_nodes[1].is_silent = true;
}

static void test_the_node_of_a_grant_is_never_passed_over_while_it_may_start(void **state)
{
    (void)state;
    is_granted_and_falls_silent();
    gal_pass(300 * S);
    assert_true(gal_is_granted_to("gn1"));
    assert_true(gal_is_waiting_for(ARB_NOTE_GALERA_GRANT_SILENT));
    gal_ask(ARB_REQUEST_CONFIRM, NULL, true);
    gal_pass(5 * S);
    assert_true(gal_is_granted_to("gn1"));
}

static void assert_grant_stands_and_document_is_followed(void)
{
    struct msg_record s = w.c.record;
    s.config_revision = 7;
    s.start_timeout_ms = 5000;
    run((struct arb_event){.kind = ARB_EVENT_SETTINGS, .settings = &s});
    gal_pass(S);
    assert_true(gal_is_granted_to("gn1"));
    assert_int_equal(w.c.record.config_revision, 7);
    assert_int_equal(w.c.record.start_timeout_ms, 5000);
}

static void test_while_a_grant_stands_open_the_document_is_followed(void **state)
{
    (void)state;
    is_granted_and_falls_silent();
    gal_pass(10 * S);
    assert_grant_stands_and_document_is_followed();
}

/* Who was granted may be Primary alone: the others keep the number that they have. */
static void test_a_component_that_comes_back_under_an_open_grant_keeps_its_number(void **state)
{
    (void)state;
    is_granted_and_falls_silent();
    gal_is_synced(2, 8, 12u);
    gal_is_synced(3, 8, 12u);
    gal_pass(10 * S);
    assert_grant_stands_and_document_is_followed();
    assert_int_equal(gal_record()->generation, 1);
}

static void test_a_component_that_comes_back_goes_on_under_the_new_number(void **state)
{
    (void)state;
    kill_all();
    gal_pass(3 * S);
    assert_int_equal(gal_record()->inhibit, 2);
    for (unsigned n = 1; n <= 3; n++) { /* their agents had been asleep */
        gal_is_synced(n, 7, 14u);
        gal_nodes[n].report.galera.inhibited = 2;
    }
    gal_all();
    assert_int_equal(gal_record()->generation, 2);
    assert_int_equal(gal_record()->grant.state, MSG_GALERA_GRANT_DONE);
    gal_all();
    assert_int_equal(gal_goal(3), MSG_GALERA_GOAL_JOIN);
    gal_obey_all();
    gal_all();
    assert_true(w.c.record.epoch >= 2 && w.c.record.is_opened);
    kill_all();
    gal_pass(3 * S);
    assert_int_equal(gal_record()->inhibit, 3);
    for (unsigned n = 1; n <= 3; n++) { /* and once more: one history from the first number on */
        gal_is_synced(n, 7, 14u);
    }
    gal_all();
    assert_int_equal(gal_record()->generation, 3);
    assert_true(gal_is_same_history(gal_record(), 1));
}

static void test_less_than_was_known_committed_waits_for_an_operator(void **state)
{
    (void)state;
    gal_nodes[2].report.galera.position.seqno = 140;
    gal_all();
    gal_all(); /* confirmed by a later report */
    kill_all();
    gal_pass(3 * S);
    for (unsigned n = 1; n <= 3; n++) {
        gal_is_down(n, 139);
        gal_nodes[n].report.galera.inhibited = 2;
    }
    gal_pass(30 * S);
    assert_int_equal(gal_record()->grant.generation, 1);
    assert_true(gal_is_waiting_for(ARB_NOTE_GALERA_LOSS));
    assert_int_equal(w.c.waiting.c, 1);
    gal_ask(ARB_REQUEST_CONFIRM, NULL, false); /* what it would cost */
    assert_int_equal(w.answer, BASE_E_STATE);
    assert_non_null(strstr(w.fx.answer_text.text, "missing: 1; --force accepts that loss"));
    gal_ask(ARB_REQUEST_CONFIRM, NULL, true);
    gal_all();
    assert_int_equal(gal_record()->grant.state, MSG_GALERA_GRANT_GIVEN);
}

/* By the settings, of a cluster whose data may be lost. */
static void test_a_loss_is_accepted_at_once_where_the_settings_say_so(void **state)
{
    (void)state;
    gal_pass(2 * S);
    struct msg_record next = w.c.record;
    next.revision++;
    next.galera.recovery_wait_us = 0;
    load(next);
    kill_all();
    gal_pass(3 * S);
    for (unsigned n = 1; n <= 3; n++) {
        gal_is_down(n, 50);
        gal_nodes[n].report.galera.inhibited = 2;
    }
    gal_all();
    assert_int_equal(gal_record()->grant.state, MSG_GALERA_GRANT_GIVEN);
}

/* It is heard, and what it tells is of another history: the word against it holds all the same. */
static void test_who_has_another_stamp_and_more_is_left_out_by_a_word(void **state)
{
    (void)state;
    gal_two_go_on_in_generation_2();
    gal_all();
    for (unsigned n = 1; n <= 3; n++) {
        gal_is_down(n, n == 3 ? 999 : 130);
        gal_nodes[n].report.galera.inhibited = 3;
        gal_nodes[n].report.galera.generation = n == 3 ? 1 : 2;
    }
    gal_nodes[1].report.galera.view = gal_nodes[2].report.galera.view = w.c.record.galera.view;
    struct base_name gn3 = name_of("gn3");
    w.c.record.galera.view.nodes[w.c.record.galera.view.count++] = (struct msg_galera_node){gn3, 1};
    gal_nodes[1].report.galera.view = gal_nodes[2].report.galera.view = w.c.record.galera.view;
    gal_pass(30 * S);
    assert_int_equal(gal_record()->grant.generation, 2);
    assert_true(gal_is_waiting_for(ARB_NOTE_GALERA_MISSING));
    assert_true(base_name_equal(&w.c.waiting.member, &gn3));
    struct arb_request r = {.kind = ARB_REQUEST_CONFIRM, .is_forced = true};
    assert_int_equal(arb_names_add(&r.overridden, &gn3), 0);
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &r});
    gal_all();
    assert_int_equal(gal_record()->grant.state, MSG_GALERA_GRANT_GIVEN);
}

static void test_the_generation_before_is_gone_back_to_by_a_word_alone(void **state)
{
    (void)state;
    gal_two_go_on_in_generation_2();
    gal_all();
    for (unsigned n = 1; n <= 3; n++) {
        gal_is_down(n, n == 3 ? 40 : -1);
        gal_nodes[n].report.galera.state = n == 3 ? MSG_GALERA_DOWN : MSG_GALERA_NEEDS_SST;
    }
    gal_nodes[3].report.galera.view.conf_id = 0; /* it was in none that the grant does not count */
    gal_pass(17 * S);
    gal_obey_all();
    gal_pass(60 * S);
    assert_int_equal(gal_record()->grant.generation, 2);
    assert_true(gal_is_waiting_for(ARB_NOTE_GALERA_BEFORE));
    gal_ask(ARB_REQUEST_CONFIRM, NULL, false); /* what it would cost */
    assert_int_equal(gal_record()->grant.generation, 2);
    gal_ask(ARB_REQUEST_CONFIRM, NULL, true);
    gal_all();
    assert_true(gal_is_granted_to("gn3"));
}

static void test_a_member_of_another_history_is_fenced_then_cloned(void **state)
{
    (void)state;
    gal_two_go_on_in_generation_2();
    gal_is_synced(3, 9, 8u); /* bootstrapped by hand: same uuid, same view number */
    gal_all();
    assert_int_equal(gal_goal(3), MSG_GALERA_GOAL_FENCE);
    assert_true(gal_is_waiting_for(ARB_NOTE_GALERA_ROGUE));
    assert_string_equal(w.c.waiting.member.text, "gn3");
    gal_is_down(3, 120);
    gal_pass(2 * S);
    assert_int_equal(gal_goal(3), MSG_GALERA_GOAL_REJOIN);
    gal_nodes[3].report.galera.state = MSG_GALERA_SUSPECT_NIL;
    gal_all();
    assert_int_equal(gal_goal(3), MSG_GALERA_GOAL_FENCE);
}

/* Each of the two has the right stamp. */
static void test_of_two_components_the_one_without_the_writer_is_fenced(void **state)
{
    (void)state;
    gal_two_are_synced();
    gal_is_synced(3, 8, 8u);
    gal_all();
    assert_int_equal(gal_goal(3), MSG_GALERA_GOAL_FENCE);
    assert_int_equal(gal_goal(1), MSG_GALERA_GOAL_JOIN);
    assert_int_equal(gal_goal(2), MSG_GALERA_GOAL_JOIN);
    assert_true(gal_is_waiting_for(ARB_NOTE_GALERA_ROGUE));
    assert_string_equal(w.c.waiting.member.text, "gn3");
}

int main(void)
{
    (void)base_canary_select(getenv("QUORATE_CANARY"));
    const struct CMUnitTest tests[] = {
        GAL_BLANK_TEST(test_a_blank_cluster_is_founded_when_all_are_heard),
        GAL_BLANK_TEST(test_founding_waits_for_one_at_least),
        GAL_BLANK_TEST(test_the_first_record_has_the_times_of_the_members_files_within_the_bounds),
        GAL_BLANK_TEST(test_a_running_cluster_is_taken_in_with_its_uuid),
        GAL_BLANK_TEST(test_a_component_without_a_uuid_is_not_taken_in),
        GAL_BLANK_TEST(test_data_without_a_record_wait_for_an_operator),
        GAL_BLANK_TEST(test_a_running_cluster_is_confirmed_with_its_members),
        GAL_BLANK_TEST(test_a_confirmed_record_has_the_view_of_the_member_that_was_named),
        GAL_BLANK_TEST(test_a_confirmed_record_has_nothing_of_another_generation),
        GAL_TEST(test_the_lease_of_a_silent_writer_is_waited_for_and_a_second),
        GAL_TEST(test_fast_takeover_goes_by_the_view_that_evicted),
        GAL_TEST(test_a_writer_that_hands_back_is_replaced_at_once),
        GAL_TEST(test_nobody_who_is_not_synced_becomes_the_writer),
        GAL_TEST(test_of_those_who_cannot_write_one_that_is_heard_is_named_with_its_reason),
        GAL_TEST(test_a_writer_of_which_little_is_known_keeps_the_lease),
        GAL_TEST(test_a_switchover_goes_to_the_one_named),
        GAL_TEST(test_what_makes_no_sense_is_refused_with_the_reason),
        GAL_TEST(test_in_a_pause_nobody_acts),
        GAL_TEST(test_a_pause_ends_though_the_writer_s_guard_is_another),
        GAL_TEST(test_after_a_total_outage_who_has_most_starts),
        GAL_TEST(test_the_laggard_is_not_chosen),
        GAL_TEST(test_a_cluster_of_one_writes_at_once_after_a_cold_start),
        GAL_TEST(test_a_cold_start_from_zero_is_one_from_data),
        GAL_TEST(test_two_of_three_wait_for_the_third_and_say_so),
        GAL_TEST(test_one_of_three_is_nobody),
        GAL_TEST(test_who_speaks_again_is_not_dead),
        GAL_TEST(test_of_two_nodes_the_survivor_goes_on),
        GAL_TEST(test_of_two_nodes_the_other_one_is_cloned_unless_it_was_seen_behind),
        GAL_TEST(test_of_two_nodes_one_that_was_stopped_waits_for_the_other),
        GAL_TEST(test_a_grant_that_failed_ends_the_attempts),
        GAL_TEST(test_a_bootstrap_whose_view_nobody_told_was_of_its_node_alone),
        GAL_TEST(test_a_node_that_went_on_alone_did_so_in_the_view_after_the_last),
        GAL_TEST(test_a_bootstrap_whose_data_are_damaged_since_has_failed),
        GAL_TEST(test_what_was_received_and_not_applied_is_not_given_up_unsaid),
        GAL_BLANK_TEST(test_after_a_founder_that_failed_another_try_is_a_new_grant),
        GAL_TEST(test_a_bootstrap_that_was_done_counts_though_its_node_is_down_again),
        GAL_TEST(test_the_node_of_a_grant_is_never_passed_over_while_it_may_start),
        GAL_TEST(test_while_a_grant_stands_open_the_document_is_followed),
        GAL_TEST(test_a_component_that_comes_back_under_an_open_grant_keeps_its_number),
        GAL_TEST(test_a_component_that_comes_back_goes_on_under_the_new_number),
        GAL_TEST(test_less_than_was_known_committed_waits_for_an_operator),
        GAL_TEST(test_a_loss_is_accepted_at_once_where_the_settings_say_so),
        GAL_TEST(test_who_has_another_stamp_and_more_is_left_out_by_a_word),
        GAL_TEST(test_the_generation_before_is_gone_back_to_by_a_word_alone),
        GAL_TEST(test_a_member_of_another_history_is_fenced_then_cloned),
        GAL_TEST(test_of_two_components_the_one_without_the_writer_is_fenced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
