/* SPDX-License-Identifier: Apache-2.0 */
/* The arbiter's orders at a MongoDB member: every kind against a term or a configuration that has
 * moved, its time over, done already, the agent restarted in the middle; and what each asks of the
 * server and is known to be done by.
 */
#include "tests/support/cm.h"

#include <stdlib.h>
#include <string.h>

#include "agents/core/mongodb_internal.h"
#include "base/canary.h"
#include "base/name.h"
#include "tests/unit/mongodb_member.h"

static struct db_mongodb_view *const v = &w.view.mongodb;

/* --- every kind, and what makes it done --- */

static void there_nothing(void)
{
}

static void config_changes(void)
{
    v->config.version.version++;
}

static void there_initiated(void)
{
    m_be_secondary();
}

static void there_added(void)
{
    struct msg_mongodb_peer *p = &v->config.peers[v->config.peers_count++];
    *p = (struct msg_mongodb_peer){.id = 9, .host = m_host("d:1")};
    config_changes();
}

static void there_vote(void)
{
    v->config.peers[2].votes = 1;
    config_changes();
}

static void there_priority(void)
{
    v->config.peers[2].priority_x10 = 30;
    config_changes();
}

static void there_unvote(void)
{
    v->config.peers[2].votes = 0;
    v->config.peers[2].priority_x10 = 0;
    config_changes();
}

static void there_removed(void)
{
    v->config.peers_count = 2;
    config_changes();
}

static void there_timeouts(void)
{
    v->config.election_timeout_ms = 5000;
    config_changes();
}

static void there_stepped_down(void)
{
    v->hello.is_writable = false;
    v->hello.is_secondary = true;
}

static void there_writable(void)
{
    v->hello.is_writable = true;
    v->hello.term = v->status.term = 8;
}

static void there_concern(void)
{
    v->concern = MSG_MONGODB_CONCERN_SET_MAJORITY;
}

static void there_forced(void)
{
    v->config.peers_count = 2;
    v->config.version = (struct msg_mongodb_version){0, 20000};
}

static void given_none(struct msg_mongodb_order *o)
{
    (void)o;
}

static void given_add(struct msg_mongodb_order *o)
{
    o->subject_host = m_host("d:1");
}

static void given_vote(struct msg_mongodb_order *o)
{
    (void)o;
    v->config.peers[2].votes = 0;
    v->config.peers[2].priority_x10 = 0;
}

static void given_priority(struct msg_mongodb_order *o)
{
    o->priority_x10 = 30;
}

static void given_timeouts(struct msg_mongodb_order *o)
{
    o->election_timeout_ms = 5000;
}

static void given_step_up(struct msg_mongodb_order *o)
{
    o->member = m_name("b");
    o->subject = m_name("a");
}

static void given_others(struct msg_mongodb_order *o)
{
    o->member = m_name("b");
    o->subject = m_name("c");
}

static void given_draining(struct msg_mongodb_order *o)
{
    (void)o;
    v->hello.is_secondary = false;
    v->status.state = 1;
}

static void given_initiate(struct msg_mongodb_order *o)
{
    v->hello.is_in_set = false;
    v->hello.is_secondary = false;
    v->config.at = v->status.at = BASE_MONO_LONG_AGO;
    v->config.version = (struct msg_mongodb_version){0, 0};
    v->config.peers_count = v->status.peers_count = 0;
    v->status.term = 0;
    o->expected_term = 0;
    o->expected_config = (struct msg_mongodb_version){0, 0};
}

static void given_force(struct msg_mongodb_order *o)
{
    struct msg_mongodb_record *r = &w.order.record.mongodb;
    static const char *const names[] = {"a", "b"};
    static const char *const hosts[] = {"a:1", "b:1"};
    o->expected_term = 0;
    r->force.given_epoch = o->epoch - 1;
    r->force.done_epoch = o->epoch;
    r->force.config = o->expected_config;
    r->force.freshest = m_name("a");
    r->force.survivors.count = r->places_count = 2;
    for (uint8_t i = 0; i < 2; i++) {
        r->force.survivors.names[i] = r->places[i].member = m_name(names[i]);
        r->places[i].host = m_host(hosts[i]);
    }
}

static const struct row {
    const char *name;
    enum msg_mongodb_order_kind kind;
    uint8_t phase;
    bool is_primary;
    void (*given)(struct msg_mongodb_order *o);
    void (*there)(void);
    enum db_order_kind ask;
    enum db_mongodb_change change;
    bool is_config; /* bound to a version */
    bool is_term;
    bool is_reply_enough;
    bool is_once;
} rows[] = {
#define K(name) MSG_MONGODB_ORDER_##name
#define A(name) DB_ORDER_MONGODB_##name
    {"initiate", K(INITIATE), 0, false, given_initiate, there_initiated, A(INITIATE), 0, false,
     false, false, false},
    {"add", K(ADD), 0, true, given_add, there_added, A(RECONFIG), DB_MONGODB_ADD, true, true, false,
     false},
    {"vote", K(VOTE), 0, true, given_vote, there_vote, A(RECONFIG), DB_MONGODB_MEMBER, true, true,
     false, false},
    {"priority", K(PRIORITY), 0, true, given_priority, there_priority, A(RECONFIG),
     DB_MONGODB_MEMBER, true, true, false, false},
    {"unvote", K(UNVOTE), 0, true, given_none, there_unvote, A(RECONFIG), DB_MONGODB_MEMBER, true,
     true, false, false},
    {"remove", K(REMOVE), 0, true, given_none, there_removed, A(RECONFIG), DB_MONGODB_REMOVE, true,
     true, false, false},
    {"timeouts", K(TIMEOUTS), 0, true, given_timeouts, there_timeouts, A(RECONFIG),
     DB_MONGODB_TIMEOUTS, true, true, false, false},
    {"freeze", K(SWITCHOVER), 1, false, given_others, there_nothing, A(FREEZE), 0, false, true,
     true, false},
    {"switchover: step down", K(SWITCHOVER), 2, true, given_none, there_stepped_down, A(STEP_DOWN),
     0, false, true, false, false},
    {"step up", K(SWITCHOVER), 3, false, given_step_up, there_writable, A(STEP_UP), 0, false, true,
     false, false},
    {"unfreeze", K(SWITCHOVER), 4, false, given_others, there_nothing, A(FREEZE), 0, false, false,
     true, false},
    {"step down", K(STEP_DOWN), 0, true, given_none, there_stepped_down, A(STEP_DOWN), 0, false,
     true, false, false},
    {"concern", K(CONCERN), 0, true, given_none, there_concern, A(CONCERN), 0, false, true, false,
     false},
    {"abort catch-up", K(ABORT_CATCHUP), 0, false, given_draining, there_writable, A(ABORT_CATCHUP),
     0, false, true, false, false},
    {"force", K(FORCE), 0, false, given_force, there_forced, A(RECONFIG), DB_MONGODB_SURVIVORS,
     true, false, false, true},
};

static void begin(const struct row *r)
{
    if (r->is_primary) {
        m_begin_primary();
    } else {
        m_begin_secondary();
    }
    struct msg_mongodb_order *o = m_order(r->kind);
    o->phase = r->phase;
    r->given(o);
    m_look();
}

static void ended(const struct row *r, int status)
{
    struct msg_mongodb_report *m = m_report();
    if (m->order_epoch != w.order.record.epoch || !m->is_order_done || m->order_status != status) {
        fail_msg("%s: epoch %d, done %d, status %d in place of %d", r->name, (int)m->order_epoch,
                 m->is_order_done, m->order_status, status);
    }
    assert_int_equal(m->order_phase, r->phase);
}

static void open_still(const struct row *r)
{
    struct msg_mongodb_report *m = m_report();
    if (m->order_epoch == w.order.record.epoch && m->is_order_done) {
        fail_msg("%s: has ended with %d", r->name, m->order_status);
    }
}

static void asked(const struct row *r)
{
    if (w.ask.kind != r->ask || w.ask.mongodb.change != r->change) {
        fail_msg("%s: asks %d, %d", r->name, (int)w.ask.kind, (int)w.ask.mongodb.change);
    }
    assert_int_equal(w.ask.epoch, w.order.record.epoch);
}

#define EACH(r) for (const struct row *r = rows; r < rows + BASE_COUNT_OF(rows); r++)

static void test_each_is_done_when_it_was_seen(void **state)
{
    (void)state;
    EACH(r)
    {
        begin(r);
        m_order_send();
        m_look();
        asked(r);
        m_done(0, 0);
        if (!r->is_reply_enough) {
            m_look(); /* the server has said yes, and nothing has changed yet */
            open_still(r);
            r->there();
            m_live(SECOND);
        }
        ended(r, 0);
        m_live(5 * SECOND);
        assert_int_equal(w.asks, 1);
    }
}

static void test_each_waits_for_its_epoch_and_for_its_begin_to_be_saved(void **state)
{
    (void)state;
    EACH(r)
    {
        begin(r);
        w.is_disk_slow = true;
        m_order_send();
        m_look();
        assert_int_equal(w.asks, 0);
        m_saved(); /* the epoch */
        m_look();
        assert_int_equal(w.asks, 0);
        m_saved(); /* that it was begun */
        m_look();
        asked(r);
    }
}

static void test_each_is_refused_when_the_term_has_moved(void **state)
{
    (void)state;
    EACH(r)
    {
        if (!r->is_term) {
            continue;
        }
        begin(r);
        v->status.term++;
        v->hello.term += v->hello.term > 0;
        m_look();
        m_order_send();
        m_live(3 * SECOND);
        ended(r, BASE_E_CONFLICT);
        assert_int_equal(w.asks, 0);
    }
}

static void test_each_is_refused_when_the_configuration_has_moved(void **state)
{
    (void)state;
    EACH(r)
    {
        if (!r->is_config) {
            continue;
        }
        begin(r);
        config_changes();
        m_look();
        m_order_send();
        m_live(3 * SECOND);
        ended(r, BASE_E_CONFLICT);
        assert_int_equal(w.asks, 0);
    }
}

/* It has moved since it was looked at: the port sees it right before. */
static void test_each_ends_with_the_refusal_of_the_port(void **state)
{
    (void)state;
    EACH(r)
    {
        begin(r);
        m_order_send();
        m_look();
        asked(r);
        m_done(BASE_E_CONFLICT, 0);
        open_still(r); /* what it did all the same would be seen first */
        v->status.term += r->kind == MSG_MONGODB_ORDER_SWITCHOVER && r->phase == 3;
        m_live(SECOND);
        ended(r, BASE_E_CONFLICT);
        m_live(3 * SECOND);
        assert_int_equal(w.asks, 1);
    }
}

static void test_each_is_let_be_when_its_time_is_out(void **state)
{
    (void)state;
    EACH(r)
    {
        begin(r);
        w.order.mongodb.order_left_ms = 0;
        m_order_send();
        m_live(3 * SECOND);
        open_still(r);
        assert_int_equal(w.asks, 0);
    }
}

static void test_each_that_runs_out_of_time_says_so(void **state)
{
    (void)state;
    EACH(r)
    {
        if (r->is_reply_enough) {
            continue;
        }
        begin(r);
        m_order_send();
        m_look();
        asked(r);
        assert_true(w.ask.timeout_us <= 20 * SECOND);
        w.is_arbiter_silent = true; /* also when nobody repeats it */
        m_done(0, 0);
        m_live(21 * SECOND);
        ended(r, BASE_E_TIMEOUT);
    }
}

static void test_each_done_already_asks_for_nothing(void **state)
{
    (void)state;
    EACH(r)
    {
        bool is_asked_anyway = r->is_reply_enough || r->kind == MSG_MONGODB_ORDER_CONCERN;
        if (is_asked_anyway || r->kind == MSG_MONGODB_ORDER_FORCE) {
            continue;
        }
        begin(r);
        r->there();
        m_look();
        m_order_comes();
        open_still(r); /* what was seen is older than the order */
        m_live(SECOND);
        ended(r, 0);
        assert_int_equal(w.asks, 0);
    }
}

static void test_each_with_an_agent_that_restarts_in_the_middle(void **state)
{
    (void)state;
    EACH(r)
    {
        begin(r);
        m_order_send();
        m_look();
        asked(r);
        m_agent_restarts(); /* what came of it was not heard; nothing has changed */
        m_live(2 * SECOND);
        if (r->is_once) {
            assert_int_equal(w.ask.kind, DB_ORDER_NONE); /* never twice */
            m_live(20 * SECOND);
            w.order.mongodb.order_left_ms = 0;
            m_live(SECOND);
            ended(r, BASE_E_CANCELED);
            assert_int_equal(w.asks, 1);
            continue;
        }
        assert_int_equal(w.asks, 2);
        asked(r);
        m_agent_restarts();
        if (r->is_reply_enough) {
            continue;
        }
        r->there(); /* the former process's was done */
        m_live(2 * SECOND);
        ended(r, 0);
    }
}

static void test_each_that_has_ended_is_never_begun_again(void **state)
{
    (void)state;
    EACH(r)
    {
        begin(r);
        m_order_send();
        m_look();
        m_done(BASE_E_DENIED, 13);
        m_look();
        m_look();
        ended(r, BASE_E_DENIED);
        assert_int_equal(m_report()->order_code, 13);
        m_agent_restarts();
        m_live(5 * SECOND);
        assert_int_equal(w.asks, 1);
    }
}

static void test_each_of_an_older_epoch_is_not_carried_out(void **state)
{
    (void)state;
    EACH(r)
    {
        begin(r);
        struct agt_disk disk = {.epoch_seen = 9};
        struct db_view view = w.view;
        struct msg_order order = w.order;
        m_begin_with(&disk, false);
        m_root_runs();
        w.view = view;
        w.view.is_process = true;
        w.order = order;
        m_live(SECOND);
        m_order_send();
        m_live(3 * SECOND);
        assert_int_equal(w.asks, 0);
        w.order.record.epoch = 10; /* a record of today with an order of yesterday */
        m_live(3 * SECOND);
        assert_int_equal(w.asks, 0);
    }
}

static void test_each_that_is_called_off_is_let_go(void **state)
{
    (void)state;
    EACH(r)
    {
        begin(r);
        m_order_send();
        m_look();
        asked(r);
        uint64_t epoch = w.order.record.epoch;
        w.order.record.mongodb.order.state = MSG_MONGODB_ORDER_FAILED;
        w.order.record.revision++;
        m_order_comes();
        assert_int_equal(m_report()->order_epoch, epoch);
        assert_true(m_report()->is_order_done);
        assert_int_equal(m_report()->order_status, BASE_E_CANCELED);
        assert_int_equal(m_report()->order_code, 0); /* no server has said no */
        m_done(BASE_E_BUSY, 308);
        m_live(3 * SECOND);
        assert_int_equal(w.asks, 1);
    }
}

static void test_each_for_somebody_else_is_theirs(void **state)
{
    (void)state;
    EACH(r)
    {
        begin(r);
        struct msg_mongodb_order *o = &w.order.record.mongodb.order;
        bool is_others = r->is_reply_enough;
        o->member = m_name(is_others ? "a" : "b");
        o->subject = m_name(is_others ? "b" : "c");
        m_order_send();
        m_live(3 * SECOND);
        assert_int_equal(w.asks, 0);
        open_still(r);
    }
}

static void test_none_is_carried_out_on_hold(void **state)
{
    (void)state;
    EACH(r)
    {
        begin(r);
        w.order.mongodb.goal = MSG_MONGODB_GOAL_HOLD;
        m_order_send();
        m_live(3 * SECOND);
        assert_int_equal(w.asks, 0);
    }
}

/* --- particulars --- */

static void test_busy_is_tried_again(void **state)
{
    (void)state;
    const struct row *r = &rows[1];
    begin(r);
    m_order_send();
    m_look();
    m_done(BASE_E_BUSY, 308); /* the one before is not committed yet */
    m_live(2 * SECOND);
    asked(r);
    assert_int_equal(w.asks, 2);
}

/* A forced configuration has no term until the next primary gives it one. */
static void test_a_forced_version_is_known_without_its_term(void **state)
{
    (void)state;
    EACH(r)
    {
        if (!r->is_config || r->kind == MSG_MONGODB_ORDER_FORCE) {
            continue;
        }
        begin(r);
        w.order.record.mongodb.order.expected_config.term = 0;
        m_order_send();
        m_look();
        asked(r);
        assert_int_equal(w.ask.mongodb.expected_config.term, 1);
        begin(r);
        w.order.record.mongodb.order.expected_config.term = 0;
        config_changes();
        m_look();
        m_order_send();
        m_live(3 * SECOND);
        ended(r, BASE_E_CONFLICT);
    }
}

static void test_a_forced_one_that_timed_out_is_waited_for(void **state)
{
    (void)state;
    const struct row *r = &rows[BASE_COUNT_OF(rows) - 1];
    begin(r);
    w.order.record.mongodb.order.priority_x10 = 10;
    m_order_send();
    m_look();
    asked(r);
    assert_true(w.ask.mongodb.is_forced);
    assert_int_equal(w.ask.mongodb.hosts_count, 2);
    assert_string_equal(w.ask.mongodb.host.text, "a:1"); /* must be able to lead */
    assert_int_equal(w.ask.mongodb.priority_x10, 10);
    m_done(BASE_E_TIMEOUT, 0);
    m_live(5 * SECOND);
    open_still(r);
    assert_int_equal(w.asks, 1);
    r->there();
    m_live(SECOND);
    ended(r, 0);
}

static void test_a_forced_one_needs_all_that_stands_behind_it(void **state)
{
    (void)state;
    const struct row *r = &rows[BASE_COUNT_OF(rows) - 1];
    struct msg_mongodb_force *f = &w.order.record.mongodb.force;
    for (int i = 0; i < 5; i++) {
        begin(r);
        f->done_epoch -= i == 0;
        f->given_epoch += i == 1;
        f->freshest = i == 2 ? m_name("b") : f->freshest;
        f->config.version += i == 3;
        w.order.record.mongodb.places_count = i == 4 ? 1 : 2;
        m_order_send();
        m_live(3 * SECOND);
        assert_int_equal(w.asks, 0);
        ended(r, BASE_E_NOTFOUND);
    }
}

/* The polite step-down has handed over: the target is on its way in a term of its own. */
static void test_a_target_that_is_elected_by_hand_over_is_waited_for(void **state)
{
    (void)state;
    const struct row *r = &rows[9];
    begin(r);
    v->status.term = 8;
    v->hello.primary = m_host("");
    m_look();
    m_order_send();
    m_live(2 * SECOND);
    open_still(r);
    assert_int_equal(w.asks, 0);
    there_writable();
    m_look();
    ended(r, 0);
    begin(r); /* it was asked, and the server was ahead of what was seen here */
    m_order_send();
    m_look();
    m_done(BASE_E_CONFLICT, 0);
    v->status.term = 8;
    v->hello.primary = m_host("");
    m_look();
    open_still(r);
    there_writable();
    m_live(SECOND);
    ended(r, 0);
}

static void test_what_is_frozen_thaws_in_any_term(void **state)
{
    (void)state;
    const struct row *r = &rows[10];
    begin(r);
    v->status.term = 8;
    m_order_send();
    m_look();
    asked(r);
    assert_int_equal(w.ask.mongodb.expected_term, 0);
}

static void test_frozen_is_told_and_bounded(void **state)
{
    (void)state;
    const struct row *r = &rows[7];
    begin(r);
    m_order_send();
    m_look();
    assert_int_equal(w.ask.mongodb.seconds, 30);
    m_done(0, 0);
    assert_true(m_report()->is_frozen);
    struct msg_mongodb_order *o = &w.order.record.mongodb.order;
    o->phase = MSG_MONGODB_PHASE_UNFREEZE;
    w.order.record.revision++;
    m_order_send();
    m_look();
    assert_int_equal(w.ask.mongodb.seconds, 0);
    m_done(BASE_E_STATE, 95); /* it was elected: nothing to be undone */
    assert_int_equal(m_report()->order_status, 0);
    assert_int_equal(m_report()->order_phase, MSG_MONGODB_PHASE_UNFREEZE);
}

static void test_a_restart_ends_with_the_new_process(void **state)
{
    (void)state;
    m_begin_secondary();
    w.order.record.tasks_count = 1;
    w.order.record.tasks[0] =
        (struct msg_task){.id = 5, .kind = MSG_TASK_RESTART, .member = m_name("a")};
    m_live(2 * SECOND);
    assert_int_equal(w.asks, 0); /* not its turn */
    m_order(MSG_MONGODB_ORDER_RESTART);
    m_order_send();
    assert_int_equal(w.ask.kind, DB_ORDER_MONGODB_SHUTDOWN);
    m_done(0, 0);
    m_root_ends();
    m_look();
    m_order_comes();
    assert_true(w.starts > 0);
    m_agent_restarts(); /* in the middle */
    m_order_comes();
    m_root_runs();
    m_live(SECOND);
    assert_false(m_report()->is_order_done);
    m_be_secondary();
    m_live(SECOND);
    assert_true(m_report()->is_order_done);
    assert_int_equal(m_report()->order_status, 0);
    assert_int_equal(w.report.task_id, 5);
    assert_int_equal(w.terms + w.kills, 0);
}

/* Its set has taken it out meanwhile: it runs, answers, and there is nothing more to wait for. */
static void test_a_restart_ends_with_a_process_that_is_in_no_set(void **state)
{
    (void)state;
    m_begin_secondary();
    m_order(MSG_MONGODB_ORDER_RESTART);
    m_order_send();
    m_done(0, 0);
    m_root_ends();
    m_look();
    m_order_comes();
    assert_true(w.starts > 0);
    m_root_runs();
    m_live(SECOND);
    assert_false(m_report()->is_order_done); /* it does not answer yet */
    w.view.is_answering = true;
    m_live(SECOND);
    assert_int_equal(m_report()->state, MSG_MONGODB_ABSENT);
    assert_true(m_report()->is_order_done);
    assert_int_equal(m_report()->order_status, 0);
}

static void test_a_primary_that_nobody_takes_over_from_is_not_restarted(void **state)
{
    (void)state;
    m_begin_primary();
    m_order(MSG_MONGODB_ORDER_RESTART);
    m_order_send();
    m_done(BASE_E_TIMEOUT, 262);
    m_look();
    assert_true(m_report()->is_order_done);
    assert_int_equal(m_report()->order_status, BASE_E_STATE);
    assert_int_equal(m_report()->order_code, 262);
    m_live(30 * SECOND);
    assert_int_equal(w.terms + w.kills, 0);
    m_feed((struct agt_event){.kind = AGT_EVENT_SHUTDOWN}); /* by then somebody may */
    assert_int_equal(w.ask.kind, DB_ORDER_MONGODB_SHUTDOWN);
    assert_int_equal(w.terms, 0);
}

static void test_a_resync_wipes_once(void **state)
{
    (void)state;
    m_begin_secondary();
    m_order(MSG_MONGODB_ORDER_RESYNC);
    m_order_send();
    assert_int_equal(w.ask.kind, DB_ORDER_MONGODB_SHUTDOWN);
    m_done(0, 0);
    m_root_ends();
    m_look();
    m_look();
    assert_int_equal(w.ask.kind, DB_ORDER_MONGODB_WIPE);
    assert_int_equal(w.starts, 0);
    m_agent_restarts(); /* it was done, and nobody told */
    w.view.has_directory = false;
    m_live(SECOND);
    assert_int_equal(w.asks, 2);
    assert_true(w.starts > 0);
    assert_true(w.a.disk.mongodb.is_wiped);
    m_root_runs();
    w.view.has_directory = true; /* it fills it again */
    m_live(2 * SECOND);
    m_agent_restarts();
    m_live(2 * SECOND);
    m_be_secondary();
    v->hello.is_secondary = false;
    v->status.state = 5;
    m_live(SECOND);
    assert_true(m_report()->is_order_done);
    assert_int_equal(m_report()->order_status, 0);
    assert_int_equal(w.asks, 2);
}

/* Left out by force, and an operator wants it back: wiped, no longer barred, and started when the
 * arbiter takes it from its list. */
static void test_a_resync_lifts_a_bar(void **state)
{
    (void)state;
    m_begin_secondary();
    w.order.mongodb.goal = MSG_MONGODB_GOAL_BAR;
    w.order.record.epoch++;
    w.order.record.mongodb.barred_epoch = w.order.record.epoch;
    m_order_comes();
    m_look();
    m_done(0, 0);
    m_root_ends();
    m_live(SECOND);
    assert_int_equal(m_report()->barred_epoch, w.order.record.epoch);
    struct msg_mongodb_order *o = m_order(MSG_MONGODB_ORDER_RESYNC);
    o->expected_term = 0;
    o->expected_config = (struct msg_mongodb_version){0, 0};
    m_order_send();
    m_live(SECOND);
    assert_int_equal(w.ask.kind, DB_ORDER_MONGODB_WIPE);
    w.view.has_directory = false;
    m_done(0, 0);
    m_live(2 * SECOND);
    assert_int_equal(m_report()->barred_epoch, 0);
    assert_false(m_report()->has_data);
    assert_int_equal(w.starts, 0); /* not while it is on the list */
    w.order.mongodb.goal = MSG_MONGODB_GOAL_RUN;
    m_live(SECOND);
    assert_true(w.starts > 0);
    m_root_runs();
    w.view.is_answering = true;
    w.view.has_directory = true;
    m_live(SECOND);
    assert_int_equal(m_report()->state, MSG_MONGODB_ABSENT);
    assert_true(m_report()->is_order_done);
    assert_int_equal(m_report()->order_status, 0);
}

static void test_a_primarys_data_are_not_wiped(void **state)
{
    (void)state;
    m_begin_primary();
    m_order(MSG_MONGODB_ORDER_RESYNC);
    m_order_send();
    m_live(3 * SECOND);
    assert_int_equal(m_report()->order_status, BASE_E_STATE);
    assert_int_equal(w.asks + w.terms, 0);
}

static void test_a_kill_needs_the_opt_in_and_the_others(void **state)
{
    (void)state;
    m_begin_primary();
    w.order.mongodb.is_majority_elsewhere = true;
    m_order(MSG_MONGODB_ORDER_KILL);
    m_order_send();
    m_live(2 * SECOND);
    assert_int_equal(m_report()->order_status, BASE_E_DENIED);
    assert_int_equal(w.kills, 0);
    assert_false(w.a.want.mongodb.is_held);
    w.order.record.mongodb.policy.gray = MSG_MONGODB_GRAY_KILL;
    w.order.mongodb.is_majority_elsewhere = false;
    m_order(MSG_MONGODB_ORDER_KILL);
    m_order_send();
    m_live(2 * SECOND);
    assert_int_equal(w.kills, 0);
    w.order.mongodb.is_majority_elsewhere = true;
    m_live(SECOND);
    assert_true(w.kills > 0);
    m_root_ends();
    m_live(SECOND);
    assert_int_equal(m_report()->order_status, 0);
    assert_true(m_report()->is_order_done);
    assert_int_equal(m_report()->state, MSG_MONGODB_HELD);
}

static void test_watched_ones_are_not_restarted(void **state)
{
    (void)state;
    static const enum msg_mongodb_order_kind kinds[] = {
        MSG_MONGODB_ORDER_RESTART, MSG_MONGODB_ORDER_RESYNC, MSG_MONGODB_ORDER_KILL};
    static const struct agt_disk nothing;
    for (size_t i = 0; i < BASE_COUNT_OF(kinds); i++) {
        m_begin_with(&nothing, true);
        w.view.is_process = true;
        m_be_secondary();
        w.order.record.mongodb.policy.gray = MSG_MONGODB_GRAY_KILL;
        w.order.mongodb.is_majority_elsewhere = true;
        m_order(kinds[i]);
        m_order_send();
        m_live(3 * SECOND);
        assert_int_equal(m_report()->order_status, BASE_E_DENIED);
        assert_int_equal(w.asks + w.kills + w.terms, 0);
    }
}

/* Its log is read by people. */
static void test_each_kind_has_words_and_no_other_has(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < MSG_MONGODB_ORDER_COUNT; kind++) {
        assert_true(strlen(agt_mongodb_order_text((enum msg_mongodb_order_kind)kind)) > 1);
    }
    assert_string_equal(agt_mongodb_order_text(MSG_MONGODB_ORDER_COUNT), "?");
}

static void test_a_member_that_is_down_says_so(void **state)
{
    (void)state;
    m_begin_primary();
    m_root_ends();
    m_look();
    m_order(MSG_MONGODB_ORDER_STEP_DOWN);
    m_order_send();
    assert_int_equal(m_report()->order_status, BASE_E_STATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_is_done_when_it_was_seen),
        cmocka_unit_test(test_each_waits_for_its_epoch_and_for_its_begin_to_be_saved),
        cmocka_unit_test(test_each_is_refused_when_the_term_has_moved),
        cmocka_unit_test(test_each_is_refused_when_the_configuration_has_moved),
        cmocka_unit_test(test_each_ends_with_the_refusal_of_the_port),
        cmocka_unit_test(test_each_is_let_be_when_its_time_is_out),
        cmocka_unit_test(test_each_that_runs_out_of_time_says_so),
        cmocka_unit_test(test_each_done_already_asks_for_nothing),
        cmocka_unit_test(test_each_with_an_agent_that_restarts_in_the_middle),
        cmocka_unit_test(test_each_that_has_ended_is_never_begun_again),
        cmocka_unit_test(test_each_of_an_older_epoch_is_not_carried_out),
        cmocka_unit_test(test_each_that_is_called_off_is_let_go),
        cmocka_unit_test(test_each_for_somebody_else_is_theirs),
        cmocka_unit_test(test_none_is_carried_out_on_hold),
        cmocka_unit_test(test_busy_is_tried_again),
        cmocka_unit_test(test_a_forced_version_is_known_without_its_term),
        cmocka_unit_test(test_a_forced_one_that_timed_out_is_waited_for),
        cmocka_unit_test(test_a_forced_one_needs_all_that_stands_behind_it),
        cmocka_unit_test(test_a_target_that_is_elected_by_hand_over_is_waited_for),
        cmocka_unit_test(test_what_is_frozen_thaws_in_any_term),
        cmocka_unit_test(test_frozen_is_told_and_bounded),
        cmocka_unit_test(test_a_restart_ends_with_the_new_process),
        cmocka_unit_test(test_a_restart_ends_with_a_process_that_is_in_no_set),
        cmocka_unit_test(test_a_primary_that_nobody_takes_over_from_is_not_restarted),
        cmocka_unit_test(test_a_resync_wipes_once),
        cmocka_unit_test(test_a_resync_lifts_a_bar),
        cmocka_unit_test(test_a_primarys_data_are_not_wiped),
        cmocka_unit_test(test_a_kill_needs_the_opt_in_and_the_others),
        cmocka_unit_test(test_watched_ones_are_not_restarted),
        cmocka_unit_test(test_each_kind_has_words_and_no_other_has),
        cmocka_unit_test(test_a_member_that_is_down_says_so),
    };
    (void)base_canary_select(getenv("QUORATE_CANARY"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
