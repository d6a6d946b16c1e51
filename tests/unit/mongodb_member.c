/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/mongodb_member.h"

#include <stdio.h>
#include <string.h>

#include "base/name.h"
#include "tests/support/cm.h"

struct mongodb_member w;

static const uint8_t set_id[12] = {5, 5};

struct base_name m_name(const char *text)
{
    struct base_name name;
    assert_int_equal(base_name_from_text(text, &name), 0);
    return name;
}

struct msg_mongodb_host m_host(const char *text)
{
    struct msg_mongodb_host host = {{0}};
    (void)snprintf(host.text, sizeof(host.text), "%s", text);
    return host;
}

static void log_line(const char *text)
{
    size_t len = strlen(w.log);
    (void)snprintf(w.log + len, sizeof(w.log) - len, "%s\n", text);
}

void m_saved(void)
{
    m_feed((struct agt_event){.kind = AGT_EVENT_SAVED});
}

static void effect(const struct agt_effects *fx, const struct agt_effect *one)
{
    if (w.tell != NULL) {
        w.tell(fx, one);
    }
    switch (one->kind) {
    case AGT_FX_GUARD_START:
        w.starts++;
        return;
    case AGT_FX_GUARD_KILL:
        w.kills++;
        return;
    case AGT_FX_GUARD_SIGNAL:
        w.terms += one->number == AGT_SIGNAL_TERM;
        return;
    case AGT_FX_DB_ORDER:
        w.asks++;
        w.ask = fx->db_order;
        return;
    case AGT_FX_DB_CANCEL:
        w.cancels++;
        return;
    case AGT_FX_SAVE:
        w.saves++;
        if (!w.is_disk_slow) {
            m_saved();
        }
        return;
    case AGT_FX_REPORT:
        agt_report_make(&w.a, w.now, &w.report);
        return;
    case AGT_FX_LOG:
        log_line(fx->logs[one->number].text);
        return;
    case AGT_FX_GUARD_ARM:
    case AGT_FX_GUARD_DISARM:
    case AGT_FX_GUARD_HAND_BACK:
    case AGT_FX_GUARD_RELEASE:
    case AGT_FX_FAILSAFE_ASK:
        fail_msg("effect %d is none of a MongoDB member", (int)one->kind);
        return;
    }
}

void m_feed(struct agt_event event)
{
    event.now = w.now;
    agt_step(&w.a, &event, &w.fx);
    struct agt_effects fx = w.fx;
    for (uint8_t i = 0; i < fx.count; i++) {
        effect(&fx, &fx.list[i]);
    }
}

void m_pass(int64_t us)
{
    w.now = base_mono_add_us(w.now, us);
}

void m_tick(void)
{
    m_feed((struct agt_event){.kind = AGT_EVENT_TIMER});
}

void m_look(void)
{
    struct db_mongodb_view *v = &w.view.mongodb;
    if (w.view.is_answering) {
        v->hello.at = w.now;
        v->status.at = w.now;
        v->config.at = w.now;
        v->concern_at = w.now;
        v->hello.version = v->config.version.version;
    }
    w.view.orders_done = w.ask.kind == DB_ORDER_NONE ? w.a.ids : w.ask.id - 1;
    m_feed((struct agt_event){.kind = AGT_EVENT_VIEW, .view = &w.view});
}

void m_live(int64_t us)
{
    for (int64_t at = 0; at < us; at += 500 * MS) {
        m_pass(500 * MS);
        m_look();
        if (!w.is_arbiter_silent) {
            m_order_comes();
        }
    }
}

void m_guard_says(void)
{
    m_feed((struct agt_event){.kind = AGT_EVENT_GUARD, .guard = &w.guard});
}

void m_order_comes(void)
{
    m_feed((struct agt_event){.kind = AGT_EVENT_CONNECTED}); /* a report, which it answers */
    m_pass(20 * MS);
    m_tick();
    w.order.session = w.a.lease.session;
    w.order.number = w.a.lease.number;
    m_feed((struct agt_event){.kind = AGT_EVENT_ORDER, .order = &w.order});
}

void m_done(int status, int32_t code)
{
    struct db_done ended = {.id = w.ask.id, .kind = w.ask.kind, .status = status, .code = code};
    w.ask.kind = DB_ORDER_NONE;
    m_feed((struct agt_event){.kind = AGT_EVENT_DONE, .done = &ended});
}

static void view_none(void)
{
    struct db_mongodb_view *v = &w.view.mongodb;
    memset(&w.view, 0, sizeof(w.view));
    v->hello.at = v->status.at = v->config.at = BASE_MONO_LONG_AGO;
    v->canary_at = v->concern_at = BASE_MONO_LONG_AGO;
    v->canary_since = BASE_MONO_NEVER;
}

static void agent_begin(const struct agt_disk *disk, bool is_watched)
{
    struct agt_config config = {.engine = MSG_ENGINE_MONGODB,
                                .cluster = m_name("docs"),
                                .member = m_name("a"),
                                .host = base_text_from(SLICE_LIT("a")),
                                .db_port = 1,
                                .session = 7,
                                .has_seed = true,
                                .seed_members = 3,
                                .seed_ttl_ms = 6000,
                                .seed_heartbeat_ms = 500};
    config.mongodb.is_watched = is_watched;
    config.mongodb.priority = 1;
    config.mongodb.set_name = m_name("rs0");
    agt_init(&w.a, &config, disk, w.now);
    w.ask.kind = DB_ORDER_NONE;
}

void m_begin_with(const struct agt_disk *disk, bool is_watched)
{
    memset(&w, 0, sizeof(w));
    w.now = (struct base_mono){1000 * SECOND};
    view_none();
    w.guard.instance = 77;
    w.order.term = 3;
    w.order.record.cluster = m_name("docs");
    w.order.record.engine = MSG_ENGINE_MONGODB;
    w.order.record.ttl_ms = 6000;
    w.order.record.heartbeat_ms = 500;
    agent_begin(disk, is_watched);
    m_tick();
    m_guard_says();
}

void m_begin(void)
{
    static const struct agt_disk nothing;
    m_begin_with(&nothing, false);
}

void m_agent_restarts(void)
{
    struct agt_disk disk = w.a.disk;
    bool is_watched = w.a.config.mongodb.is_watched;
    m_pass(100 * MS);
    agent_begin(&disk, is_watched);
    m_tick();
    m_guard_says();
    m_pass(100 * MS);
    m_look();
}

void m_root_runs(void)
{
    w.guard.tree = GUARD_TREE_RUNNING;
    w.guard.root_pid = 4242;
    w.guard.starts++;
    w.guard.changed = w.now;
    w.view.is_process = true;
    m_guard_says();
}

void m_root_ends(void)
{
    bool has_directory = w.view.has_directory;
    w.guard.tree = GUARD_TREE_GONE;
    w.guard.root_pid = 0;
    w.guard.changed = w.now;
    view_none();
    w.view.has_directory = has_directory;
    m_guard_says();
}

static void peers(void)
{
    static const char *const hosts[] = {"a:1", "b:1", "c:1"};
    struct db_mongodb_view *v = &w.view.mongodb;
    v->config.version = (struct msg_mongodb_version){1, 4};
    v->config.is_committed = true;
    v->config.peers_count = v->status.peers_count = 3;
    v->config.heartbeat_ms = 2000;
    v->config.election_timeout_ms = 10000;
    memcpy(v->config.set_id, set_id, sizeof(set_id));
    for (uint8_t i = 0; i < 3; i++) {
        v->config.peers[i] = (struct msg_mongodb_peer){
            .id = i, .host = m_host(hosts[i]), .votes = 1, .priority_x10 = 10};
        v->status.peers[i] = (struct msg_mongodb_peer){.host = m_host(hosts[i]),
                                                       .is_self = i == 0,
                                                       .is_healthy = true,
                                                       .state = 2,
                                                       .heard_ms = 500,
                                                       .optime = {7, UINT64_C(500) << 32}};
    }
}

static void be_in_set(void)
{
    struct db_mongodb_view *v = &w.view.mongodb;
    w.view.has_directory = true;
    w.view.is_answering = true;
    v->is_login_used = true;
    peers();
    v->hello.is_in_set = true;
    v->hello.self = m_host("a:1");
    v->hello.applied = v->status.applied = (struct msg_mongodb_optime){7, UINT64_C(500) << 32};
    v->status.majority = 2;
    v->status.term = 7;
}

void m_be_primary(uint64_t term)
{
    struct db_mongodb_view *v = &w.view.mongodb;
    be_in_set();
    v->hello.is_secondary = false;
    v->hello.is_writable = true;
    v->hello.term = v->status.term = term;
    v->status.state = v->status.peers[0].state = 1;
    v->hello.primary = m_host("a:1");
}

void m_be_secondary(void)
{
    struct db_mongodb_view *v = &w.view.mongodb;
    be_in_set();
    v->hello.is_writable = false;
    v->hello.is_secondary = true;
    v->hello.term = 0;
    v->status.state = 2;
    v->status.peers[1].state = 1;
    v->hello.primary = m_host("b:1");
}

static void begin_running(void)
{
    m_begin();
    m_root_runs();
    w.order.record.epoch = 1;
    w.order.record.revision = 1;
    w.order.record.mongodb.is_initiated = true;
    memcpy(w.order.record.mongodb.set_id, set_id, sizeof(set_id));
    w.order.mongodb.goal = MSG_MONGODB_GOAL_RUN;
}

void m_begin_secondary(void)
{
    begin_running();
    m_be_secondary();
    m_live(2 * SECOND);
    assert_int_equal(w.a.mongodb.state, AGT_MONGODB_SECONDARY);
}

void m_begin_primary(void)
{
    begin_running();
    m_be_primary(7);
    m_live(2 * SECOND);
    assert_int_equal(w.a.mongodb.state, AGT_MONGODB_PRIMARY);
}

struct msg_mongodb_order *m_order(enum msg_mongodb_order_kind kind)
{
    struct msg_mongodb_order *o = &w.order.record.mongodb.order;
    w.order.record.epoch++;
    w.order.record.revision++;
    w.order.mongodb.order_left_ms = 20000;
    *o = (struct msg_mongodb_order){.epoch = w.order.record.epoch,
                                    .kind = kind,
                                    .state = MSG_MONGODB_ORDER_OPEN,
                                    .member = m_name("a"),
                                    .subject_host = m_host("c:1"),
                                    .expected_term = w.view.mongodb.status.term,
                                    .expected_config = w.view.mongodb.config.version,
                                    .limit_ms = 20000};
    return o;
}

void m_order_send(void)
{
    m_order_comes();
    m_pass(100 * MS);
    m_look();
}

struct msg_mongodb_report *m_report(void)
{
    agt_report_peek(&w.a, w.now, &w.report);
    return &w.report.mongodb;
}
