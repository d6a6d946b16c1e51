/* SPDX-License-Identifier: Apache-2.0 */
/* Random walks of a MongoDB member's agent through a hostile world: orders of all kinds, goals,
 * opt-ins, roles, canaries, lost members, stalls, agents and servers that restart, slow disks,
 * answers of all sorts. With each effect it is checked what must never be; nothing is expected to
 * come to an end.
 */
#include "tests/support/cm.h"

#include <stdlib.h>
#include <string.h>

#include "agents/core/mongodb_internal.h"
#include "base/canary.h"
#include "base/name.h"
#include "base/rand.h"
#include "tests/unit/mongodb_member.h"

#define SEEDS 150
#define STEPS 250

static struct base_rand r;
static uint64_t seed;
static uint64_t forced_epoch;    /* a forced reconfiguration was sent in it */
static bool is_heard;            /* the agent of now has heard the arbiter */
static struct base_mono term_at; /* the last SIGTERM */
static bool is_ended;            /* the agent was told to stop */

static uint64_t pick(uint64_t low, uint64_t high)
{
    return base_rand_between(&r, low, high);
}

static bool chance(uint32_t percent)
{
    return base_rand_chance_ppm(&r, percent * 10000);
}

#define NEVER(condition, text) \
    if (condition) { \
        fail_msg("seed %llu: %s", (unsigned long long)seed, text); \
    }

/* --- what must never be --- */

static bool is_kill_opted_in(void)
{
    const struct msg_mongodb_policy *p = &w.a.order.record.mongodb.policy;
    return w.a.has_order &&
           (p->gray == MSG_MONGODB_GRAY_KILL || p->cut_off == MSG_MONGODB_CUT_OFF_KILL);
}

static void check_kill(void)
{
    bool is_late = base_mono_diff_us(w.now, term_at) >= 30 * SECOND && w.a.stop.is_asked;
    NEVER(!is_kill_opted_in() && !is_late, "killed without an opt-in");
}

static void check_start(void)
{
    NEVER(!is_heard, "started before the arbiter was heard");
    NEVER(w.a.disk.mongodb.barred_epoch != 0 || w.a.want.mongodb.barred_epoch != 0,
          "a barred one is started");
    NEVER(w.a.want.mongodb.is_held, "one that is held down is started");
    NEVER(w.guard.tree != GUARD_TREE_GONE, "started beside a process");
}

static void check_own(const struct db_order *o)
{
    const struct msg_mongodb_policy *p = &w.a.order.record.mongodb.policy;
    if (o->kind == DB_ORDER_MONGODB_SHUTDOWN) {
        enum agt_mongodb_goal goal = agt_mongodb_goal_of(&w.a);
        NEVER(goal != AGT_MONGODB_GOAL_RESTART && goal != AGT_MONGODB_GOAL_RESYNC &&
                  goal != AGT_MONGODB_GOAL_BAR && goal != AGT_MONGODB_GOAL_SHUTDOWN,
              "stopped for nothing");
        return;
    }
    NEVER(o->kind != DB_ORDER_MONGODB_STEP_DOWN, "of nobody's order");
    NEVER(p->gray == MSG_MONGODB_GRAY_REPORT && p->cut_off == MSG_MONGODB_CUT_OFF_REPORT,
          "stepped down without an opt-in");
}

static void check_order(const struct db_order *o)
{
    if (o->epoch == 0) {
        check_own(o);
        return;
    }
    NEVER(o->epoch != w.a.disk.epoch_seen || o->epoch != w.a.want.epoch_seen,
          "an order of an epoch that is not the one on disk");
    NEVER(w.a.disk.mongodb.order_epoch != o->epoch, "an order that was not begun on disk");
    NEVER(w.a.order.record.mongodb.order.epoch != o->epoch, "an order that is not the record's");
    if (o->kind == DB_ORDER_MONGODB_WIPE) {
        NEVER(w.guard.tree != GUARD_TREE_GONE, "wiped beside a process");
        NEVER(w.a.order.record.mongodb.order.kind != MSG_MONGODB_ORDER_RESYNC,
              "wiped without its order");
    }
    if (o->mongodb.change == DB_MONGODB_SURVIVORS) {
        NEVER(forced_epoch == o->epoch, "forced twice for one token");
        forced_epoch = o->epoch;
    }
}

static void tell(const struct agt_effects *fx, const struct agt_effect *one)
{
    bool is_act = one->kind != AGT_FX_SAVE && one->kind != AGT_FX_REPORT &&
                  one->kind != AGT_FX_LOG && one->kind != AGT_FX_DB_CANCEL;
    NEVER(is_act && agt_is_paused(&w.a), "acts in a pause");
    if (one->kind == AGT_FX_GUARD_KILL) {
        check_kill();
    } else if (one->kind == AGT_FX_GUARD_START) {
        check_start();
    } else if (one->kind == AGT_FX_GUARD_SIGNAL) {
        term_at = w.now;
    } else if (one->kind == AGT_FX_DB_ORDER) {
        check_order(&fx->db_order);
    }
}

static void check(void)
{
    const struct db_mongodb_hello *h = &w.a.view.mongodb.hello;
    bool is_primary = agt_mongodb_is_primary(&w.a, w.now);
    NEVER(is_primary && (base_mono_diff_us(w.now, h->at) >= 3 * SECOND || !h->is_writable),
          "the primary by an old hello");
    agt_report_peek(&w.a, w.now, &w.report);
    const struct msg_mongodb_report *m = &w.report.mongodb;
    NEVER(m->is_order_done && m->order_epoch > w.a.disk.epoch_seen,
          "an order has ended in an epoch that is not on disk");
    NEVER(!agt_check(&w.a), "the agent's own invariants");
}

/* --- the world --- */

static void force_fill(struct msg_mongodb_order *o)
{
    struct msg_mongodb_record *rec = &w.order.record.mongodb;
    rec->force.given_epoch = o->epoch - 1;
    rec->force.done_epoch = o->epoch;
    rec->force.config = o->expected_config;
    rec->force.freshest = m_name("a");
    rec->force.survivors.count = rec->places_count = 1;
    rec->force.survivors.names[0] = rec->places[0].member = m_name("a");
    rec->places[0].host = m_host("a:1");
}

static void order_given(void)
{
    enum msg_mongodb_order_kind kind =
        (enum msg_mongodb_order_kind)pick(1, MSG_MONGODB_ORDER_COUNT - 1);
    struct msg_mongodb_order *o = m_order(kind);
    o->phase = kind == MSG_MONGODB_ORDER_SWITCHOVER ? (uint8_t)pick(1, 4) : 0;
    o->member = m_name(chance(80) ? "a" : "b");
    o->subject = m_name(chance(50) ? "a" : "c");
    o->subject_host = m_host(chance(50) ? "c:1" : "d:1");
    o->priority_x10 = (uint16_t)pick(0, 30);
    o->election_timeout_ms = 5000;
    o->expected_term += chance(10);
    o->expected_config.version += chance(10);
    w.order.mongodb.order_left_ms = (uint32_t)pick(0, 20000);
    if (kind == MSG_MONGODB_ORDER_FORCE) {
        force_fill(o);
    }
}

static void server_changes(void)
{
    struct db_mongodb_view *v = &w.view.mongodb;
    if (w.guard.tree != GUARD_TREE_RUNNING) {
        w.view.has_directory = chance(90) && w.view.has_directory;
        return;
    }
    if (chance(40)) {
        m_be_primary(pick(6, 9));
    } else if (chance(60)) {
        m_be_secondary();
        v->status.term = pick(6, 9);
    }
    v->hello.is_secondary = v->hello.is_secondary && chance(85);
    v->status.state = (uint8_t)(chance(85) ? v->status.state : pick(0, 10));
    v->canary_since = chance(60) ? BASE_MONO_NEVER : w.now;
    v->canary_misses = (uint32_t)pick(0, 4);
    v->status.peers[1].is_healthy = chance(70);
    v->status.peers[2].is_healthy = chance(70);
    v->config.version.version += pick(0, 1);
    v->config.peers_count = (uint8_t)pick(1, 3);
    v->misses = chance(90) ? 0 : 3;
    w.view.is_answering = chance(90);
}

static void arbiter_changes(void)
{
    struct msg_mongodb_policy *p = &w.order.record.mongodb.policy;
    p->gray = (enum msg_mongodb_gray)pick(0, 2);
    p->cut_off = (enum msg_mongodb_cut_off)pick(0, 2);
    w.order.mongodb.is_majority_elsewhere = chance(60);
    w.order.mongodb.goal = chance(80) ? MSG_MONGODB_GOAL_RUN : (enum msg_mongodb_goal)pick(0, 3);
    w.order.record.mongodb.barred_epoch = w.order.record.epoch;
    w.order.record.is_paused = chance(10);
    w.order.goal = chance(97) ? MSG_GOAL_NONE : MSG_GOAL_REFUSED;
    w.order.record.revision++;
    if (chance(20)) {
        w.order.record.mongodb.order.state = MSG_MONGODB_ORDER_FAILED;
    }
}

static void process_changes(void)
{
    bool is_killed = w.a.stop.is_killed && w.guard.tree == GUARD_TREE_RUNNING;
    if (w.guard.tree == GUARD_TREE_GONE && w.a.is_start_asked) {
        m_root_runs();
    } else if (is_killed || (w.guard.tree == GUARD_TREE_RUNNING && chance(15))) {
        m_root_ends();
        m_look();
    }
}

static void agent_restarts(void)
{
    is_heard = false;
    is_ended = false;
    w.is_disk_slow = false;
    m_agent_restarts();
}

static void order_comes(void)
{
    is_heard = true;
    m_order_comes();
}

static void answer(void)
{
    static const int statuses[] = {
        0, 0, 0, BASE_E_CONFLICT, BASE_E_STATE, BASE_E_BUSY, BASE_E_TIMEOUT, BASE_E_DENIED};
    int status = statuses[pick(0, BASE_COUNT_OF(statuses) - 1)];
    if (w.ask.kind == DB_ORDER_NONE) {
        return;
    }
    if (w.ask.kind == DB_ORDER_MONGODB_WIPE && status == 0) {
        w.view.has_directory = false;
    }
    m_done(status, status == 0 ? 0 : 262);
}

static void step(void)
{
    switch (pick(0, 12)) {
    case 0:
        order_given();
        order_comes();
        break;
    case 1:
        arbiter_changes();
        order_comes();
        break;
    case 2:
        server_changes();
        m_look();
        break;
    case 3:
        process_changes();
        break;
    case 4:
        answer();
        break;
    case 5:
        m_pass((int64_t)pick(1, 40) * SECOND); /* stands still */
        m_tick();
        break;
    case 6:
        if (chance(30)) {
            agent_restarts();
        }
        break;
    case 7:
        w.is_disk_slow = chance(50);
        m_saved();
        break;
    case 8:
        if (chance(5)) {
            is_ended = true;
            m_feed((struct agt_event){.kind = AGT_EVENT_SHUTDOWN});
        }
        break;
    default:
        w.is_arbiter_silent = chance(40);
        is_heard = is_heard || !w.is_arbiter_silent;
        m_live((int64_t)pick(1, 8) * SECOND);
        break;
    }
}

static void walk(uint64_t number)
{
    seed = number;
    r = base_rand_make(number, 1);
    forced_epoch = 0;
    is_heard = true;
    is_ended = false;
    term_at = BASE_MONO_LONG_AGO;
    if (chance(50)) {
        m_begin_primary();
    } else {
        m_begin_secondary();
    }
    w.tell = tell;
    for (int i = 0; i < STEPS; i++) {
        step();
        check();
    }
}

static void test_random_walks_break_nothing(void **state)
{
    (void)state;
    const char *many = getenv("AGT_SEEDS");
    uint64_t last = many != NULL ? strtoull(many, NULL, 10) : SEEDS;
    for (uint64_t i = 1; i <= last; i++) {
        walk(i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_walks_break_nothing)};
    (void)base_canary_select(getenv("QUORATE_CANARY"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
