/* SPDX-License-Identifier: Apache-2.0 */
/* Random walks of one agent through a hostile world: orders lost, late and doubled, crashes,
 * stalls, agent restarts, lost saves, epochs that move on, pauses, operators' tasks, failsafe
 * rounds on either side. After every event the world checks what must never be, and at the end,
 * left in peace, the agent must come to what is asked of it.
 */
#include "tests/support/cm.h"

#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "tests/unit/agt_world.h"

#define SEEDS_DEFAULT 150
#define STEPS 150

static struct world w;
static struct base_rand r;
static uint64_t granted_numbers[8]; /* to be doubled later */
static uint32_t granted_count;
static bool may_be_unarmed; /* since a pause: the lease of "a" may have no end */
static uint64_t resumed_at; /* report number from which "armed again" is believed */
static uint64_t resumed_session;
static struct base_mono bound_until; /* "a" has granted a failsafe round as a member */
static uint64_t task_ids;

static bool chance(uint32_t percent)
{
    return base_rand_chance_ppm(&r, percent * 10000);
}

static uint64_t pick(uint64_t low, uint64_t high)
{
    return base_rand_between(&r, low, high);
}

/* What an arbiter would ask of "a" under the present record. */
static enum msg_goal lawful_goal(void)
{
    struct base_name a = world_name("a");
    bool is_ours = base_name_equal(&w.record.holder, &a) &&
                   w.record.holder_instance == w.guard.status.instance;
    if (is_ours) {
        return w.record.state == MSG_RECORD_SWITCHOVER ? MSG_GOAL_HAND_OVER : MSG_GOAL_HOLD;
    }
    return w.attempt.number > w.ended.number ? MSG_GOAL_VOTE : MSG_GOAL_FOLLOW;
}

/* Section 2: no grant for another guard, nor after the handback. */
static bool may_grant(void)
{
    struct base_name a = world_name("a");
    return base_name_equal(&w.record.holder, &a) &&
           w.record.holder_instance == w.guard.status.instance &&
           w.report.epoch_handed_back < w.record.epoch;
}

static void answer(void)
{
    bool is_granted = may_grant() && chance(80);
    if (w.report.session != w.options.config.session || w.report.number == 0) {
        return;
    }
    uint64_t number = w.report.number;
    if (is_granted) {
        granted_numbers[granted_count++ % 8] = number;
    }
    world_order_for(&w, number, lawful_goal(), is_granted);
}

/* Section 10: after a pause nothing takes over from a holder before it is heard to be armed again.
 */
static void believe_report(void)
{
    bool is_echo = w.report.session == resumed_session && w.report.order_number >= resumed_at;
    if (may_be_unarmed && !w.record.is_paused && is_echo && !w.report.is_paused) {
        may_be_unarmed = false;
    }
    for (uint8_t i = 0; i < w.record.tasks_count; i++) {
        if (w.record.tasks[i].id == w.report.task_id) {
            w.record.tasks[i] = w.record.tasks[--w.record.tasks_count];
            w.record.revision++;
        }
    }
    if (base_mono_before(w.now, bound_until) && w.report.is_vote_valid) {
        w.broken = "a vote before its failsafe grant has run out";
    }
}

static void pause_toggles(void)
{
    w.record.is_paused = !w.record.is_paused;
    w.record.revision++;
    may_be_unarmed = true;
    resumed_at = w.report.number + 1; /* the first one that can answer an order with it */
    resumed_session = w.options.config.session;
}

static void task_comes(void)
{
    static const enum msg_task_kind kinds[] = {MSG_TASK_RESTART, MSG_TASK_RELOAD, MSG_TASK_REINIT};
    if (w.record.tasks_count == 0 && !w.record.is_paused) {
        world_task(&w, kinds[pick(0, 2)], ++task_ids);
    } else {
        w.record.tasks_count = 0; /* called off */
        w.record.revision++;
    }
}

static void failsafe_toggles(void)
{
    struct base_name a = world_name("a");
    w.record.is_failsafe = !w.record.is_failsafe;
    w.record.revision++;
    w.record.failsafe_members.count = 2;
    w.record.failsafe_members.names[0] = world_name("b");
    w.record.failsafe_members.names[1] = world_name("d");
    if (!base_name_equal(&w.record.holder, &a)) {
        w.record.failsafe_members.names[0] = a;
    }
}

static void asked_as_member(void)
{
    struct base_name a = world_name("a");
    if (!base_name_equal(&w.record.holder, &a) &&
        world_failsafe_ask(&w, w.record.holder.text, w.record.epoch)) {
        bound_until = base_mono_add_us(w.now, 2000 * BASE_US_PER_MS);
    }
}

static void answer_round(void)
{
    static uint64_t answered;
    if (w.asked.round == answered || w.asked.session != w.options.config.session) {
        return;
    }
    answered = w.asked.round;
    world_failsafe_answer(&w, "b", chance(90));
    world_failsafe_answer(&w, "d", chance(90));
}

static void epoch_moves(void)
{
    struct base_name a = world_name("a");
    if (w.record.is_paused || (may_be_unarmed && base_name_equal(&w.record.holder, &a))) {
        return;
    }
    static const char *const names[] = {"a", "b", "d"};
    const char *holder = names[pick(0, 2)];
    w.ended = (struct msg_attempt){0, 0};
    w.attempt = (struct msg_attempt){0, 0};
    w.term++;
    world_record(&w, w.record.epoch + 1, holder);
    w.record.floor.lsn = chance(50) ? w.db.lsn : w.db.lsn / 2;
    w.upstream_timeline = w.record.timeline;
    w.upstream_lsn = w.record.floor.lsn + 100;
}

static void double_an_old_grant(void)
{
    if (granted_count == 0 || !may_grant()) {
        return;
    }
    uint64_t number = granted_numbers[pick(0, granted_count < 8 ? granted_count - 1 : 7)];
    if (number <= w.report.number && w.report.session == w.options.config.session) {
        world_order_for(&w, number, lawful_goal(), true);
    }
}

static void agent_restarts(void)
{
    granted_count = 0;
    world_agent_start(&w);
    memset(w.sent, 0, sizeof(w.sent));
}

static void operators_do_something(void)
{
    switch (pick(0, 4)) {
    case 0:
        pause_toggles();
        return;
    case 1:
        task_comes();
        return;
    case 2:
        failsafe_toggles();
        return;
    case 3:
        asked_as_member();
        return;
    default:
        w.db.is_restart_pending = chance(30);
        return;
    }
}

static void something_happens(void)
{
    switch (pick(0, 18)) {
    case 0:
        world_crash(&w);
        return;
    case 1:
        world_stall_ms(&w, (int64_t)pick(50, 2500));
        return;
    case 2:
        agent_restarts();
        return;
    case 3:
        epoch_moves();
        return;
    case 4:
        w.attempt = (struct msg_attempt){w.term, w.attempt.number + 1};
        return;
    case 5:
        w.ended = w.attempt;
        return;
    case 6:
        w.record.state =
            w.record.state == MSG_RECORD_RUNNING ? MSG_RECORD_SWITCHOVER : MSG_RECORD_RUNNING;
        w.record.revision++;
        return;
    case 7:
        w.save_status = chance(50) ? BASE_E_NOSPACE : 0;
        w.save_us = (int64_t)pick(1, 300) * BASE_US_PER_MS;
        return;
    case 8:
        w.promote_status = chance(20) ? BASE_E_CONFLICT : 0;
        w.rewind_status = chance(30) ? BASE_E_STATE : 0;
        return;
    case 9:
        double_an_old_grant();
        return;
    case 10:
        w.is_barrier_held = chance(40);
        w.is_stop_slow = chance(20);
        w.kill_us = (int64_t)pick(5, 200) * BASE_US_PER_MS;
        return;
    case 11:
        w.db.standbys_count = (uint8_t)pick(0, 1);
        w.db.standbys[0] = (struct msg_standby){
            .member = world_name("b"), .flush_lsn = w.db.lsn, .is_streaming = true};
        w.record.votes_needed_r = (uint8_t)pick(0, 2);
        w.record.revision++;
        return;
    case 12:
        w.db.is_hanging = chance(20);
        w.db.is_write_failing = chance(20);
        return;
    case 13:
    case 14:
    case 15:
    case 16:
    case 17:
        operators_do_something();
        return;
    default:
        if (w.db.is_receiving || world_is_writable(&w)) {
            w.db.lsn += pick(0, 1000);
        }
        return;
    }
}

static void left_in_peace(uint64_t seed)
{
    w.save_status = w.promote_status = w.rewind_status = 0;
    w.save_us = 2 * BASE_US_PER_MS;
    w.kill_us = 10 * BASE_US_PER_MS;
    w.is_barrier_held = w.is_stop_slow = w.db.is_hanging = w.db.is_write_failing = false;
    w.record.tasks_count = 0;
    if (w.record.is_paused) {
        pause_toggles();
    }
    world_hold_ms(&w, lawful_goal(), may_grant(), 5000); /* what was paused finds its end */
    w.attempt = w.ended = (struct msg_attempt){0, 0};
    agent_restarts(); /* one that crashed too often is let in again */
    w.term++;
    world_record(&w, w.record.epoch + 1, "b");
    w.upstream_timeline = w.record.timeline;
    w.upstream_lsn = w.db.lsn + 1000;
    w.record.floor.lsn = w.db.lsn;
    world_hold_ms(&w, MSG_GOAL_FOLLOW, false, 30000);
    if (!w.report.is_receiving || w.report.epoch_held != 0) {
        fail_msg("seed %llu: does not follow: %s", (unsigned long long)seed, w.report.note.text);
    }
    world_record(&w, w.record.epoch + 1, "a");
    world_hold_ms(&w, MSG_GOAL_HOLD, true, 3000);
    if (!w.report.is_open) {
        fail_msg("seed %llu: does not open: %s", (unsigned long long)seed, w.report.note.text);
    }
}

static void walk(uint64_t seed)
{
    r = base_rand_make(seed, 1);
    granted_count = 0;
    may_be_unarmed = false;
    bound_until = BASE_MONO_LONG_AGO;
    task_ids = 0;
    world_init(&w);
    w.is_loud = getenv("AGT_SEED") != NULL;
    world_directory(&w, 1, 1, 2000);
    world_agent_start(&w);
    world_record(&w, 1, "b");
    for (int i = 0; i < STEPS && w.broken == NULL; i++) {
        if (chance(30)) {
            something_happens();
        }
        uint64_t before = w.reports;
        world_run_ms(&w, (int64_t)pick(1, 300));
        believe_report();
        answer_round();
        if (w.reports != before && chance(85)) {
            answer();
        }
        if (w.report.number > WORLD_SENT_MAX - 400) {
            agent_restarts();
        }
    }
    if (w.broken == NULL) {
        left_in_peace(seed);
    }
    if (w.broken != NULL) {
        fail_msg("seed %llu: %s", (unsigned long long)seed, w.broken);
    }
}

static void test_random_walks_break_nothing(void **state)
{
    (void)state;
    const char *one = getenv("AGT_SEED");
    if (one != NULL) {
        walk(strtoull(one, NULL, 10));
        return;
    }
    const char *many = getenv("AGT_SEEDS");
    uint64_t count = many != NULL ? strtoull(many, NULL, 10) : SEEDS_DEFAULT;
    for (uint64_t seed = 1; seed <= count; seed++) {
        walk(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_walks_break_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
