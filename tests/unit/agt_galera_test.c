/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent of a Galera member decides: starts, bootstraps, the writer's right and its fence,
 * and what a pause takes away. The world is a guard's status, a view and an order, changed by hand.
 */
#include "tests/support/cm.h"

#include <stdlib.h>
#include <string.h>

#include "base/canary.h"
#include "tests/unit/agt_galera_scene.h"

/* --- tests --- */

static void test_table_is_total(void **state)
{
    (void)state;
    assert_true(agt_galera_table_is_well_formed());
    for (int s = 0; s < AGT_GALERA_STATE_COUNT; s++) {
        for (int g = 0; g < AGT_GALERA_GOAL_COUNT; g++) {
            enum agt_galera_action action =
                agt_galera_table_action((enum agt_galera_state)s, (enum agt_galera_goal)g);
            assert_non_null(agt_galera_action_text(action));
            /* A bootstrap follows from a grant alone. */
            if (action == AGT_GALERA_DO_BOOTSTRAP || action == AGT_GALERA_DO_BOOTSTRAP_LIVE) {
                assert_int_equal(g, AGT_GALERA_GOAL_BOOTSTRAP);
            }
        }
    }
}

static void test_joins_with_its_own_position(void **state)
{
    (void)state;
    begin_down();
    w.order.galera_goal = MSG_GALERA_GOAL_JOIN;
    w.is_disk_slow = true;
    w.saves = 0;
    order_comes();
    assert_int_equal(w.asked, DB_ORDER_NONE); /* the generation is on disk first */
    assert_int_equal(w.saves, 1);
    w.is_disk_slow = false;
    feed((struct agt_event){.kind = AGT_EVENT_SAVED});
    assert_int_equal(w.a.disk.galera.generation, 1);
    assert_int_equal(w.asked, DB_ORDER_GALERA_PREPARE);
    assert_int_equal(w.ask.galera.mode, DB_GALERA_JOIN);
    assert_int_equal(w.ask.galera.position.seqno, 120);
    assert_memory_equal(w.ask.galera.position.uuid, uuid, sizeof(uuid));
    assert_int_equal(w.starts, 0);
    done(0);
    look();
    assert_int_equal(w.starts, 1);
}

/* Data whose history cannot be read, of a member that is known to have had `generation`. */
static void join_without_a_history(uint64_t generation)
{
    begin_down();
    w.a.want.galera.generation = w.a.disk.galera.generation = generation;
    memset(&w.view.galera.position, 0, sizeof(w.view.galera.position));
    w.view.galera.position.seqno = -1;
    look();
    w.order.galera_goal = MSG_GALERA_GOAL_JOIN;
    order_comes();
}

static void test_data_of_nobody_are_not_thrown_away_by_a_transfer(void **state)
{
    (void)state;
    struct msg_report report;
    join_without_a_history(0);
    pass(SECOND);
    look();
    assert_int_equal(w.asked, DB_ORDER_NONE);
    assert_int_equal(w.starts, 0);
    agt_report_peek(&w.a, w.now, &report);
    assert_non_null(strstr(report.note.text, "data of another history: empty it"));
    join_without_a_history(1); /* its own, damaged: all of it is elsewhere */
    assert_int_equal(w.asked, DB_ORDER_GALERA_PREPARE);
    assert_int_equal(w.ask.galera.mode, DB_GALERA_SST);
}

static void is_told_to_restart(void)
{
    w.order.galera_goal = MSG_GALERA_GOAL_RESTART;
    w.order.record.tasks_count = 1;
    w.order.record.tasks[0] =
        (struct msg_task){.id = 11, .kind = MSG_TASK_RESTART, .member = name_of("g1")};
    w.order.record.revision++;
    order_comes();
}

/* Its position was not known when it was told: it may have more than generation 2 was begun with.
 */
static void test_a_restart_starts_nothing_of_another_generation(void **state)
{
    (void)state;
    begin_down();
    w.order.galera_goal = MSG_GALERA_GOAL_JOIN;
    order_comes();
    assert_int_equal(w.a.disk.galera.generation, 1);
    begin_down();
    w.a.want.galera.generation = w.a.disk.galera.generation = 1;
    w.order.record.galera.generation = 2;
    w.order.record.galera.grant = (struct msg_galera_grant){
        .generation = 2, .after = 1, .node = name_of("g2"), .state = MSG_GALERA_GRANT_DONE};
    is_told_to_restart();
    pass(SECOND);
    look();
    assert_int_equal(w.asked, DB_ORDER_NONE);
    assert_int_equal(w.starts, 0);
    assert_int_equal(w.a.disk.galera.generation, 1);
    w.order.record.galera.grant.is_kept = true; /* generation 1 went on under a new number */
    is_told_to_restart();
    look();
    assert_int_equal(w.asked, DB_ORDER_GALERA_PREPARE);
}

static void test_looks_at_the_server_before_are_not_held_against_the_next(void **state)
{
    (void)state;
    begin_synced();
    w.view.is_answering = false;
    look();
    look();
    assert_int_equal(w.a.silent_views, 2);
    root_ends();
    root_runs();
    assert_int_equal(w.a.silent_views, 0);
}

/* g1 joins, g2 writes; what it is started with as donors. `chosen` by the arbiter; NULL: none. */
static const struct msg_names *donors_with(const char *chosen, const char *joiner)
{
    static const struct {
        const char *name;
        enum msg_galera_state state;
        bool is_heard;
    } members[] = {{"g1", MSG_GALERA_DOWN, true},
                   {"g2", MSG_GALERA_SYNCED, true}, /* the writer */
                   {"g3", MSG_GALERA_SYNCED, true},
                   {"g4", MSG_GALERA_SYNCED, false},
                   {"g5", MSG_GALERA_DONOR, true}};
    begin_down();
    for (size_t i = 0; i < BASE_COUNT_OF(members); i++) {
        w.order.members[i].member = name_of(members[i].name);
        w.order.members[i].galera_state = members[i].state;
        w.order.members[i].is_heard = members[i].is_heard;
    }
    w.order.members_count = BASE_COUNT_OF(members);
    w.order.record.holder = name_of("g2");
    w.order.record.galera.sst_joiner = name_of(joiner);
    w.order.record.galera.sst_donor = chosen == NULL ? (struct base_name){{0}} : name_of(chosen);
    w.order.galera_goal = MSG_GALERA_GOAL_JOIN;
    order_comes();
    assert_int_equal(w.asked, DB_ORDER_GALERA_PREPARE);
    return &w.ask.galera.donors;
}

static void test_the_writer_is_the_last_donor(void **state)
{
    (void)state;
    const struct msg_names *donors = donors_with(NULL, "g1");
    assert_int_equal(donors->count, 1);
    assert_string_equal(donors->names[0].text, "g3");
    donors = donors_with("g2", "g1"); /* it writes by now, or nobody else was there */
    assert_int_equal(donors->count, 2);
    assert_string_equal(donors->names[0].text, "g3");
    assert_string_equal(donors->names[1].text, "g2");
}

static void test_the_donor_of_the_record_is_asked_first(void **state)
{
    (void)state;
    const struct msg_names *donors = donors_with("g4", "g1");
    assert_int_equal(donors->count, 2);
    assert_string_equal(donors->names[0].text, "g4");
    assert_string_equal(donors->names[1].text, "g3");
    donors = donors_with("g4", "g5"); /* another one's */
    assert_int_equal(donors->count, 1);
    assert_string_equal(donors->names[0].text, "g3");
}

static void test_recovers_before_anything_else(void **state)
{
    (void)state;
    static const enum msg_galera_goal goals[] = {MSG_GALERA_GOAL_JOIN, MSG_GALERA_GOAL_INHIBIT,
                                                 MSG_GALERA_GOAL_WAIT, MSG_GALERA_GOAL_FENCE};
    for (size_t i = 0; i < BASE_COUNT_OF(goals); i++) {
        begin_down();
        w.view.galera.is_position_recovered = false;
        w.view.galera.position.seqno = -1;
        look();
        w.order.galera_goal = goals[i];
        order_comes();
        assert_int_equal(w.asked, DB_ORDER_GALERA_RECOVER);
        done(0);
        w.view.galera.is_position_recovered = true;
        w.view.galera.position.seqno = 9;
        look();
        if (goals[i] == MSG_GALERA_GOAL_JOIN) {
            assert_int_equal(w.asked, DB_ORDER_GALERA_PREPARE);
            assert_int_equal(w.ask.galera.position.seqno, 9);
        } else {
            assert_int_equal(w.asked, DB_ORDER_NONE);
            assert_int_equal(w.starts, 0);
        }
    }
}

static void test_a_broken_transfer_is_never_a_source(void **state)
{
    (void)state;
    begin_down();
    w.view.galera.is_transfer_broken = true;
    w.view.galera.is_safe_to_bootstrap = true;
    w.order.record.galera.grant = (struct msg_galera_grant){.generation = 2,
                                                            .node = name_of("g1"),
                                                            .base = {.seqno = 3},
                                                            .state = MSG_GALERA_GRANT_GIVEN};
    memcpy(w.order.record.galera.grant.base.uuid, uuid, sizeof(uuid));
    w.order.galera_goal = MSG_GALERA_GOAL_BOOTSTRAP;
    look();
    order_comes();
    assert_int_equal(w.asked, DB_ORDER_NONE);
    assert_int_equal(w.a.want.galera.grant_done, 2);
    assert_int_not_equal(w.a.want.galera.grant_status, 0);
}

static void give_grant(uint64_t generation, int64_t seqno)
{
    struct msg_galera_grant *g = &w.order.record.galera.grant;
    *g = (struct msg_galera_grant){.generation = generation,
                                   .node = name_of("g1"),
                                   .base = {.seqno = seqno},
                                   .state = MSG_GALERA_GRANT_GIVEN};
    memcpy(g->base.uuid, uuid, sizeof(uuid));
    w.order.record.revision++;
    w.order.galera_goal = MSG_GALERA_GOAL_BOOTSTRAP;
    order_comes();
}

static void test_a_grant_is_carried_out_once(void **state)
{
    (void)state;
    begin_down();
    w.is_disk_slow = true;
    give_grant(2, 120);
    assert_int_equal(w.asked, DB_ORDER_NONE); /* begun, and not on disk */
    w.is_disk_slow = false;
    feed((struct agt_event){.kind = AGT_EVENT_SAVED});
    assert_int_equal(w.a.disk.galera.grant_begun, 2);
    assert_int_equal(w.asked, DB_ORDER_GALERA_PREPARE);
    assert_int_equal(w.ask.galera.mode, DB_GALERA_BOOTSTRAP);
    done(0);
    look();
    assert_int_equal(w.starts, 1);
    root_runs();
    root_ends(); /* it has ended before it was Primary: perhaps others have joined it meanwhile */
    look();
    assert_int_equal(w.a.disk.galera.grant_done, 2);
    assert_int_equal(w.a.disk.galera.grant_status, BASE_E_STATE);
    for (int i = 0; i < 5; i++) {
        pass(SECOND);
        look();
        order_comes();
    }
    assert_int_equal(w.starts, 1);
    assert_int_equal(w.asked, DB_ORDER_NONE);
}

/* The agent was restarted, and with it the guard: what was done with the grant is not known. */
static void test_a_grant_of_another_life_is_not_repeated(void **state)
{
    (void)state;
    begin_down();
    struct agt_disk disk = w.a.disk;
    disk.galera.generation = 2;
    disk.galera.grant_begun = 2;
    disk.galera.grant_instance = 55;
    memcpy(disk.galera.uuid, uuid, sizeof(uuid));
    agent_restarts(&disk);
    look();
    give_grant(2, 120);
    assert_int_equal(w.asked, DB_ORDER_NONE);
    assert_int_equal(w.starts, 0);
    assert_int_equal(w.a.disk.galera.grant_done, 2);
    assert_int_equal(w.a.disk.galera.grant_status, BASE_E_CANCELED);
}

/* Once may be chance; then who granted it hears that nothing will come of it. */
static void test_a_grant_of_damaged_data_is_told_as_failed(void **state)
{
    (void)state;
    begin_down();
    w.view.galera.is_position_recovered = false;
    look();
    give_grant(2, 100);
    for (int i = 0; i < 2; i++) {
        struct msg_report report;
        agt_report_peek(&w.a, w.now, &report);
        assert_false(report.galera.is_unreadable);
        assert_int_equal(w.asked, DB_ORDER_GALERA_RECOVER);
        w.asked = DB_ORDER_NONE;
        done(BASE_E_CORRUPT);
        pass(10 * SECOND);
        look();
        tick();
    }
    assert_int_equal(w.asked, DB_ORDER_NONE); /* nor read again soon */
    assert_int_equal(w.a.disk.galera.grant_done, 2);
    assert_int_equal(w.a.disk.galera.grant_status, BASE_E_CORRUPT);
    struct msg_report report;
    agt_report_peek(&w.a, w.now, &report);
    assert_true(report.galera.is_unreadable);
    pass(60 * SECOND);
    look();
    tick();
    assert_int_equal(w.asked, DB_ORDER_GALERA_RECOVER);
}

static void test_grants_that_are_refused(void **state)
{
    (void)state;
    begin_down();
    give_grant(2, 121); /* it has less */
    assert_int_equal(w.a.want.galera.grant_status, BASE_E_STATE);
    begin_down();
    w.order.record.galera.inhibit = 5;
    give_grant(4, 100); /* told to refuse below 5 */
    assert_int_equal(w.asked, DB_ORDER_NONE);
    assert_int_equal(w.starts, 0);
    assert_int_equal(w.a.disk.galera.grant_done, 4); /* and nobody waits for it */
    assert_int_equal(w.a.disk.galera.grant_status, BASE_E_CANCELED);
    begin_down();
    w.order.record.galera.grant.node = name_of("g2");
    give_grant(2, 120);
    w.order.record.galera.grant.node = name_of("g2"); /* another one's */
    begin_down();
    w.order.galera_goal = MSG_GALERA_GOAL_BOOTSTRAP;
    order_comes(); /* none at all */
    assert_int_equal(w.asked, DB_ORDER_NONE);
    assert_int_equal(w.starts, 0);
}

static void test_a_grant_ends_well(void **state)
{
    (void)state;
    begin_down();
    give_grant(2, 100);
    done(0);
    look();
    root_runs();
    be_synced();
    look();
    assert_int_equal(w.a.disk.galera.grant_done, 2);
    assert_int_equal(w.a.disk.galera.grant_status, 0);
    assert_int_equal(w.a.disk.galera.generation, 2);
}

static void test_founding_makes_the_database(void **state)
{
    (void)state;
    begin();
    look();
    memset(w.order.record.galera.uuid, 0, 16);
    w.order.record.galera.generation = 0;
    give_grant(1, -1);
    assert_int_equal(w.asked, DB_ORDER_NONE); /* its base names a history, and there is none */
    begin();
    look();
    w.order.record.galera.generation = 0;
    memset(w.order.record.galera.uuid, 0, 16);
    w.order.record.galera.grant = (struct msg_galera_grant){.generation = 1,
                                                            .node = name_of("g1"),
                                                            .base = {.seqno = -1},
                                                            .state = MSG_GALERA_GRANT_GIVEN};
    w.order.galera_goal = MSG_GALERA_GOAL_BOOTSTRAP;
    order_comes();
    assert_int_equal(w.asked, DB_ORDER_INIT);
    done(0);
    w.view.has_directory = true;
    look();
    assert_int_equal(w.asked, DB_ORDER_GALERA_PREPARE);
    assert_int_equal(w.ask.galera.mode, DB_GALERA_BOOTSTRAP);
}

static void test_live_bootstrap_once(void **state)
{
    (void)state;
    begin_synced();
    w.view.galera.is_primary = false;
    w.view.galera.local = DB_GALERA_INITIALIZED;
    w.view.galera.is_rejecting = true;
    look();
    w.view.galera.position.seqno = 200;
    look();
    w.asked = DB_ORDER_NONE;
    give_grant(2, 150);
    assert_int_equal(w.asked, DB_ORDER_GALERA_BOOTSTRAP);
    done(0);
    look();
    assert_int_equal(w.asked, DB_ORDER_NONE); /* not again, though it is not Primary yet */
    be_synced();
    causal_look();
    assert_int_equal(w.a.disk.galera.grant_done, 2);
    assert_int_equal(w.a.disk.galera.grant_status, 0);
}

static void test_writer_is_armed_soft_and_opens(void **state)
{
    (void)state;
    begin_writer();
    assert_true(w.arms > 0);
    assert_int_equal(w.soft_us, SECOND);
    assert_true(agt_is_open(&w.a, w.now));
    assert_true(agt_galera_is_reader(&w.a, w.now, false));
    w.view.galera.is_read_only = true; /* somebody has set it by hand */
    look();
    assert_false(agt_galera_is_writer(&w.a, w.now));
}

/* A fence's read_only that was still on its way, or somebody's hand. */
static void test_a_writer_that_became_read_only_is_opened_again(void **state)
{
    (void)state;
    begin_writer();
    w.asked = DB_ORDER_NONE;
    look(); /* asked before anything had changed */
    assert_int_equal(w.asked, DB_ORDER_NONE);
    w.view.galera.is_read_only = true;
    pass(100 * MS);
    look();
    assert_int_equal(w.asked, DB_ORDER_PROMOTE);
    assert_false(agt_is_open(&w.a, w.now));
    done(0);
    w.view.galera.is_read_only = false;
    pass(100 * MS);
    causal_look();
    assert_true(agt_is_open(&w.a, w.now));
    assert_true(agt_galera_is_writer(&w.a, w.now));
}

static void test_no_promotion_without_a_right(void **state)
{
    (void)state;
    begin_synced();
    assert_int_equal(w.asked, DB_ORDER_NONE);
    grant(2);
    assert_int_equal(w.arms, 1);
    assert_int_equal(w.asked, DB_ORDER_NONE); /* the guard has not said so yet */
    guard_says();
    assert_int_equal(w.asked, DB_ORDER_PROMOTE);
}

/* At the deadline: rejected first, then given back; never the other way round. */
static void test_lease_end_fences_then_releases(void **state)
{
    (void)state;
    begin_writer();
    while (base_mono_before(w.now, w.guard.deadline)) {
        pass(200 * MS);
        causal_look();
        tick();
    }
    assert_false(agt_galera_is_writer(&w.a, w.now));
    assert_int_equal(w.asked, DB_ORDER_GALERA_FENCE);
    assert_int_equal(w.releases, 0);
    assert_int_equal(w.kills, 0);
    pass(50 * MS);
    done(0);
    assert_int_equal(w.releases, 1);
    assert_int_equal(w.released, 2);
    assert_int_equal(w.kills, 0);
    /* From then on it is armed no more for that epoch. */
    unsigned arms = w.arms;
    grant(2);
    assert_int_equal(w.arms, arms);
}

static void test_a_fence_that_hangs_ends_the_server(void **state)
{
    (void)state;
    begin_writer();
    while (base_mono_before(w.now, w.guard.deadline)) {
        pass(200 * MS);
        causal_look();
        tick();
    }
    assert_int_equal(w.asked, DB_ORDER_GALERA_FENCE);
    pass(600 * MS);
    tick();
    assert_int_equal(w.kills, 0);
    pass(500 * MS);
    tick();
    assert_int_equal(w.kills, 1);
    assert_int_equal(w.releases, 0);
    w.guard.tree = GUARD_TREE_KILLING;
    guard_says();
    root_ends();
    look();
    assert_int_equal(w.hand_backs, 1);
}

static void test_a_higher_epoch_fences_at_once(void **state)
{
    (void)state;
    begin_writer();
    w.order.record.epoch = 3;
    w.order.record.holder = name_of("g2");
    w.order.record.revision++;
    w.order.goal = MSG_GOAL_FOLLOW;
    w.order.is_granted = false;
    order_comes();
    assert_int_equal(w.asked, DB_ORDER_GALERA_FENCE);
    assert_false(agt_galera_is_writer(&w.a, w.now));
}

static void test_hands_over_without_a_stop(void **state)
{
    (void)state;
    begin_writer();
    w.order.goal = MSG_GOAL_HAND_OVER;
    w.order.record.revision++;
    order_comes();
    assert_int_equal(w.asked, DB_ORDER_GALERA_DEMOTE);
    assert_false(agt_galera_is_writer(&w.a, w.now));
    assert_int_equal(w.releases, 0);
    w.view.galera.is_read_only = true;
    done(0);
    assert_int_equal(w.releases, 1);
    assert_int_equal(w.terms, 0);
    assert_int_equal(w.kills, 0);
    tick(); /* before the guard has said so */
    for (uint8_t i = 0; i < w.fx.logs_count; i++) {
        assert_null(strstr(w.fx.logs[i].text, "the lease has run out")); /* it was planned */
    }
}

static void falls_out_of_the_component(void)
{
    w.view.galera.is_primary = false;
    w.view.galera.local = DB_GALERA_INITIALIZED;
    look();
    assert_int_equal(w.asked, DB_ORDER_GALERA_FENCE);
}

static void test_leaving_the_component_fences(void **state)
{
    (void)state;
    begin_writer();
    falls_out_of_the_component();
    done(0);
    assert_int_equal(w.releases, 1);
    w.view.galera.is_rejecting = true;
    w.guard.epoch_handed_back = 2;
    w.guard.is_armed = false;
    guard_says();
    look();
    struct msg_report report;
    agt_report_peek(&w.a, w.now, &report);
    assert_true(report.galera.is_fenced);
    assert_int_equal(report.epoch_handed_back, 2);
    assert_int_equal(report.galera.state, MSG_GALERA_NONPRIM);
}

/* A pause takes the guard's deadline away: it comes behind the end of what must not go on. */
static void test_a_pause_by_an_operator_waits_for_the_fence(void **state)
{
    (void)state;
    begin_writer();
    falls_out_of_the_component();
    w.order.record.is_paused = true;
    w.order.record.revision++;
    pass(10 * MS);
    tick();
    order_comes();
    assert_false(w.a.want.is_paused);
    done(0);
    assert_int_equal(w.releases, 1);
    w.guard.epoch_handed_back = 2;
    w.guard.is_armed = false;
    guard_says();
    assert_true(w.a.want.is_paused);
}

/* Not even the first answer after a pause of the whole host may say yes. */
static void test_a_pause_takes_the_proof_away(void **state)
{
    (void)state;
    begin_writer();
    pass(300 * MS);
    causal_look();
    assert_true(agt_galera_is_reader(&w.a, w.now, false));
    pass(1100 * MS); /* no step was taken meanwhile */
    assert_false(agt_galera_is_reader(&w.a, w.now, false));
    assert_false(agt_galera_is_writer(&w.a, w.now));
    w.asked = DB_ORDER_NONE;
    tick();
    assert_false(agt_galera_is_reader(&w.a, w.now, false));
    assert_int_equal(w.asked, DB_ORDER_GALERA_FENCE); /* sessions are cut */
    w.view.galera.is_rejecting = true;
    done(0);
    pass(100 * MS);
    look(); /* answers, but has proven nothing */
    assert_int_equal(w.asked, DB_ORDER_NONE);
    assert_false(agt_galera_is_reader(&w.a, w.now, false));
    pass(100 * MS);
    causal_look();
    w.view.galera.is_rejecting = false;
    if (w.asked == DB_ORDER_PROMOTE || w.asked == DB_ORDER_GALERA_UNFENCE) {
        done(0);
    }
    causal_look();
    assert_true(agt_galera_is_reader(&w.a, w.now, false));
    assert_int_equal(w.kills, 0);
}

static void test_old_evidence_says_no(void **state)
{
    (void)state;
    begin_writer();
    for (int i = 0; i < 9; i++) {
        pass(250 * MS);
        tick(); /* awake, and nothing comes from the server */
    }
    assert_false(agt_galera_is_writer(&w.a, w.now));
    assert_false(agt_galera_is_reader(&w.a, w.now, false));
}

static void test_non_writer_is_kept_read_only(void **state)
{
    (void)state;
    begin_synced();
    w.view.galera.is_read_only = false;
    look();
    assert_int_equal(w.asked, DB_ORDER_NONE); /* one view may be older than what it tells of */
    look();
    assert_int_equal(w.asked, DB_ORDER_GALERA_DEMOTE);
}

/* The first look may have begun before it was made read-only. */
static void test_a_server_is_made_read_only_after_two_looks_at_it(void **state)
{
    (void)state;
    begin_synced();
    root_ends();
    root_runs();
    be_synced();
    w.view.galera.is_read_only = false;
    causal_look();
    assert_int_equal(w.asked, DB_ORDER_NONE);
    causal_look();
    assert_int_equal(w.asked, DB_ORDER_GALERA_DEMOTE);
}

/* Its looks stall while it answers orders: what they told of before the order is asked for once. */
static void test_a_fence_is_lifted_once_until_the_server_is_seen_again(void **state)
{
    (void)state;
    begin_synced();
    w.view.galera.is_rejecting = true;
    causal_look();
    assert_int_equal(w.asked, DB_ORDER_GALERA_UNFENCE);
    uint64_t id = w.ask.id;
    done(0);
    w.asked = DB_ORDER_NONE;
    pass(100 * MS);
    tick();
    assert_int_equal(w.asked, DB_ORDER_NONE);
    w.view.orders_done = id; /* somebody has shut it again */
    causal_look();
    assert_int_equal(w.asked, DB_ORDER_GALERA_UNFENCE);
}

static void test_waiting_server_is_killed_when_told(void **state)
{
    (void)state;
    begin_down();
    w.order.record.galera.inhibit = 2;
    w.order.galera_goal = MSG_GALERA_GOAL_INHIBIT;
    root_runs();
    order_comes();
    assert_int_equal(w.kills, 0);
    for (int i = 0; i < 21; i++) {
        pass(500 * MS);
        order_comes();
        look();
    }
    assert_true(w.kills > 0);
    assert_int_equal(w.a.disk.galera.inhibit, 2);
}

/* It was synced once; nobody is heard any more, and its server dies. */
static void test_nothing_is_started_by_an_old_word(void **state)
{
    (void)state;
    begin_synced();
    pass(4 * SECOND);
    root_ends();
    look();
    look();
    assert_int_equal(w.asked, DB_ORDER_NONE);
    assert_int_equal(w.starts, 0);
    order_comes();
    assert_int_equal(w.asked, DB_ORDER_GALERA_PREPARE);
}

static void test_a_server_without_a_component_ends_unheard(void **state)
{
    (void)state;
    begin_down();
    w.order.galera_goal = MSG_GALERA_GOAL_JOIN;
    order_comes();
    root_runs();
    for (int i = 0; i < 11; i++) {
        pass(250 * MS);
        look();
    }
    assert_int_equal(w.kills, 0);
    for (int i = 0; i < 3; i++) {
        pass(250 * MS);
        look();
    }
    assert_true(w.kills > 0); /* three seconds without a word */
}

/* Minutes of it, with SQL closed: nobody may take it for one that waits for a component. */
static void test_a_transfer_under_way_is_no_waiting(void **state)
{
    (void)state;
    begin_down();
    w.order.galera_goal = MSG_GALERA_GOAL_KEEP;
    root_runs();
    order_comes();
    for (int i = 0; i < 40; i++) {
        w.view.galera.is_transfer_broken = i < 38;
        pass(500 * MS);
        look();
        struct msg_report report;
        agt_report_peek(&w.a, w.now, &report);
        assert_int_not_equal(report.galera.state, MSG_GALERA_WAITING);
    }
    w.view.galera.is_transfer_broken = true;
    look();
    w.order.record.galera.inhibit = 2; /* no Primary component anywhere: its donor is gone */
    w.order.galera_goal = MSG_GALERA_GOAL_INHIBIT;
    order_comes();
    assert_true(w.kills > 0);
}

/* It has left the component, is non-Primary by that, and flushes for as long as it takes. */
static void test_an_orderly_stop_is_not_cut_short(void **state)
{
    (void)state;
    begin_synced();
    feed((struct agt_event){.kind = AGT_EVENT_SHUTDOWN});
    assert_int_equal(w.terms, 1);
    w.view.galera.is_primary = false;
    for (int i = 0; i < 60; i++) {
        pass(500 * MS);
        look();
    }
    assert_int_equal(w.kills, 0);
}

/* Cut off, it has nothing to flush for anybody, and may hang in the stop for ever. */
static void test_a_cut_off_server_is_not_waited_for_when_it_stops(void **state)
{
    (void)state;
    begin_synced();
    w.view.galera.is_primary = false;
    w.view.galera.local = DB_GALERA_INITIALIZED;
    look();
    feed((struct agt_event){.kind = AGT_EVENT_SHUTDOWN});
    assert_int_equal(w.terms, 1);
    for (int i = 0; i < 19; i++) {
        pass(500 * MS);
        look();
    }
    assert_int_equal(w.kills, 0);
    pass(500 * MS);
    look();
    assert_int_equal(w.kills, 1);
}

static void test_a_restart_that_is_called_off_leaves_nothing_behind(void **state)
{
    (void)state;
    begin_synced();
    is_told_to_restart();
    tick();
    assert_int_equal(w.terms, 1);
    assert_int_equal(w.a.disk.task_begun, 11);
    w.order.galera_goal = MSG_GALERA_GOAL_JOIN;
    w.order.record.tasks_count = 0;
    w.order.record.revision++;
    order_comes();
    assert_int_equal(w.a.disk.task_begun, 0);
    assert_int_equal(w.a.disk.task_done, 0);
}

static void test_cut_off_with_its_host_it_stops(void **state)
{
    (void)state;
    begin_synced();
    falls_out_of_the_component();
    w.view.galera.is_rejecting = true;
    done(0);
    for (int i = 0; i < 10; i++) {
        pass(250 * MS);
        look();
    }
    assert_int_equal(w.terms, 0);
    for (int i = 0; i < 4; i++) {
        pass(250 * MS);
        look();
    }
    assert_int_equal(w.terms, 1); /* three seconds without a word */
    begin_synced();
    w.view.galera.is_primary = false;
    for (int i = 0; i < 20; i++) {
        pass(250 * MS);
        look();
        order_comes(); /* it is heard */
    }
    assert_int_equal(w.terms, 0);
}

static void test_rejoin_clears_first(void **state)
{
    (void)state;
    begin_down();
    w.order.record.galera.generation = 3;
    w.order.galera_goal = MSG_GALERA_GOAL_REJOIN;
    order_comes();
    assert_int_equal(w.asked, DB_ORDER_GALERA_CLEAR);
    assert_int_equal(w.a.want.galera.generation, 0); /* not before the old data have lost theirs */
    memset(&w.view.galera.saved, 0, sizeof(w.view.galera.saved));
    memset(&w.view.galera.position, 0, sizeof(w.view.galera.position));
    w.view.galera.position.seqno = -1;
    w.view.galera.is_position_recovered = false;
    done(0);
    look();
    assert_int_equal(w.asked, DB_ORDER_GALERA_PREPARE);
    assert_int_equal(w.ask.galera.mode, DB_GALERA_SST);
    assert_int_equal(w.a.disk.galera.generation, 3);
}

static void test_inhibited_member_does_not_join_an_older_history(void **state)
{
    (void)state;
    begin_down();
    w.order.record.galera.inhibit = 2;
    w.order.galera_goal = MSG_GALERA_GOAL_JOIN;
    order_comes();
    look();
    assert_int_equal(w.asked, DB_ORDER_NONE);
    w.order.record.galera.generation = 2;
    w.order.record.revision++;
    order_comes();
    assert_int_equal(w.asked, DB_ORDER_GALERA_PREPARE);
}

static void test_what_was_promised_to_be_refused_stays_refused(void **state)
{
    (void)state;
    begin_down();
    w.a.disk.galera.inhibit = w.a.want.galera.inhibit = 5;
    w.order.record.galera.inhibit = 3;
    order_comes();
    assert_int_equal(w.a.disk.galera.inhibit, 5);
    w.order.record.galera.inhibit = 6;
    w.order.record.revision++;
    order_comes();
    assert_int_equal(w.a.disk.galera.inhibit, 6);
}

static void test_foreign_history_is_fenced(void **state)
{
    (void)state;
    begin_synced();
    memset(w.view.galera.uuid, 0, 16);
    w.view.galera.is_nil = true;
    look();
    assert_int_equal(w.asked, DB_ORDER_GALERA_FENCE);
    struct msg_report report;
    agt_report_peek(&w.a, w.now, &report);
    assert_int_equal(report.galera.state, MSG_GALERA_SUSPECT_NIL);
    assert_false(agt_galera_is_reader(&w.a, w.now, true));
}

static void test_agent_stops_in_order(void **state)
{
    (void)state;
    begin_writer();
    feed((struct agt_event){.kind = AGT_EVENT_SHUTDOWN});
    assert_int_equal(w.asked, DB_ORDER_GALERA_DEMOTE);
    assert_int_equal(w.terms, 0);
    w.view.galera.is_read_only = true;
    done(0);
    w.guard.epoch_handed_back = 2;
    w.guard.is_armed = false;
    guard_says();
    assert_int_equal(w.terms, 1);
    root_ends();
    w.order.record.epoch = 3;
    w.order.record.holder = name_of("g2");
    w.order.is_granted = false;
    look();
    order_comes();
    assert_true(agt_is_finished(&w.a, w.now));
}

int main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    (void)base_canary_select(getenv("QUORATE_CANARY"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_total),
        cmocka_unit_test(test_joins_with_its_own_position),
        cmocka_unit_test(test_data_of_nobody_are_not_thrown_away_by_a_transfer),
        cmocka_unit_test(test_a_restart_starts_nothing_of_another_generation),
        cmocka_unit_test(test_looks_at_the_server_before_are_not_held_against_the_next),
        cmocka_unit_test(test_the_writer_is_the_last_donor),
        cmocka_unit_test(test_the_donor_of_the_record_is_asked_first),
        cmocka_unit_test(test_recovers_before_anything_else),
        cmocka_unit_test(test_a_broken_transfer_is_never_a_source),
        cmocka_unit_test(test_a_grant_is_carried_out_once),
        cmocka_unit_test(test_a_grant_of_another_life_is_not_repeated),
        cmocka_unit_test(test_a_grant_of_damaged_data_is_told_as_failed),
        cmocka_unit_test(test_grants_that_are_refused),
        cmocka_unit_test(test_a_grant_ends_well),
        cmocka_unit_test(test_founding_makes_the_database),
        cmocka_unit_test(test_live_bootstrap_once),
        cmocka_unit_test(test_writer_is_armed_soft_and_opens),
        cmocka_unit_test(test_a_writer_that_became_read_only_is_opened_again),
        cmocka_unit_test(test_no_promotion_without_a_right),
        cmocka_unit_test(test_lease_end_fences_then_releases),
        cmocka_unit_test(test_a_fence_that_hangs_ends_the_server),
        cmocka_unit_test(test_a_higher_epoch_fences_at_once),
        cmocka_unit_test(test_hands_over_without_a_stop),
        cmocka_unit_test(test_leaving_the_component_fences),
        cmocka_unit_test(test_a_pause_by_an_operator_waits_for_the_fence),
        cmocka_unit_test(test_a_pause_takes_the_proof_away),
        cmocka_unit_test(test_old_evidence_says_no),
        cmocka_unit_test(test_non_writer_is_kept_read_only),
        cmocka_unit_test(test_a_server_is_made_read_only_after_two_looks_at_it),
        cmocka_unit_test(test_a_fence_is_lifted_once_until_the_server_is_seen_again),
        cmocka_unit_test(test_waiting_server_is_killed_when_told),
        cmocka_unit_test(test_a_transfer_under_way_is_no_waiting),
        cmocka_unit_test(test_an_orderly_stop_is_not_cut_short),
        cmocka_unit_test(test_a_cut_off_server_is_not_waited_for_when_it_stops),
        cmocka_unit_test(test_a_restart_that_is_called_off_leaves_nothing_behind),
        cmocka_unit_test(test_cut_off_with_its_host_it_stops),
        cmocka_unit_test(test_nothing_is_started_by_an_old_word),
        cmocka_unit_test(test_a_server_without_a_component_ends_unheard),
        cmocka_unit_test(test_rejoin_clears_first),
        cmocka_unit_test(test_inhibited_member_does_not_join_an_older_history),
        cmocka_unit_test(test_what_was_promised_to_be_refused_stays_refused),
        cmocka_unit_test(test_foreign_history_is_fenced),
        cmocka_unit_test(test_agent_stops_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
