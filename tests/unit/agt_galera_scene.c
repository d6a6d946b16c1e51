/* SPDX-License-Identifier: Apache-2.0 */
/* See agt_galera_scene.h. */
#include "tests/unit/agt_galera_scene.h"

#include <string.h>

#include "tests/support/cm.h"

struct agt_galera_world w;
const uint8_t uuid[16] = {1, 2, 3};

static void effects(void)
{
    struct agt_effects fx = w.fx;
    for (uint8_t i = 0; i < fx.count; i++) {
        switch (fx.list[i].kind) {
        case AGT_FX_GUARD_START:
            w.starts++;
            break;
        case AGT_FX_GUARD_ARM:
            w.arms++;
            w.soft_us = fx.list[i].soft_us;
            w.guard.is_armed = true;
            w.guard.epoch = fx.list[i].epoch;
            w.guard.deadline = fx.list[i].deadline;
            break;
        case AGT_FX_GUARD_RELEASE:
            w.releases++;
            w.released = fx.list[i].epoch;
            break;
        case AGT_FX_GUARD_HAND_BACK:
            w.hand_backs++;
            break;
        case AGT_FX_GUARD_KILL:
            w.kills++;
            break;
        case AGT_FX_GUARD_SIGNAL:
            w.terms += fx.list[i].number == AGT_SIGNAL_TERM;
            break;
        case AGT_FX_DB_ORDER:
            w.asked = fx.db_order.kind;
            w.ask = fx.db_order;
            break;
        case AGT_FX_SAVE:
            w.saves++;
            if (!w.is_disk_slow) {
                feed((struct agt_event){.kind = AGT_EVENT_SAVED});
            }
            break;
        case AGT_FX_REPORT: {
            static struct msg_report report;
            agt_report_make(&w.a, w.now, &report);
            w.reports++;
            break;
        }
        case AGT_FX_DB_CANCEL:
            w.cancels++;
            break;
        case AGT_FX_GUARD_DISARM:
        case AGT_FX_LOG:
        case AGT_FX_FAILSAFE_ASK:
            break;
        }
    }
}

void feed(struct agt_event event)
{
    event.now = w.now;
    agt_step(&w.a, &event, &w.fx);
    effects();
}

void pass(int64_t us)
{
    w.now = base_mono_add_us(w.now, us);
}

void tick(void)
{
    feed((struct agt_event){.kind = AGT_EVENT_TIMER});
}

void look(void)
{
    w.view.galera.asked_at = w.now;
    w.view.orders_done = w.a.ids;
    feed((struct agt_event){.kind = AGT_EVENT_VIEW, .view = &w.view});
}

void causal_look(void)
{
    w.view.galera.causal_at = w.now;
    look();
}

void guard_says(void)
{
    feed((struct agt_event){.kind = AGT_EVENT_GUARD, .guard = &w.guard});
}

void order_comes(void)
{
    w.order.session = w.a.lease.session;
    w.order.number = w.a.lease.number;
    feed((struct agt_event){.kind = AGT_EVENT_ORDER, .order = &w.order});
}

void done(int status)
{
    struct db_done ended = {.id = w.ask.id, .kind = w.ask.kind, .status = status};
    w.asked = DB_ORDER_NONE;
    feed((struct agt_event){.kind = AGT_EVENT_DONE, .done = &ended});
}

struct base_name name_of(const char *text)
{
    struct base_name name;
    assert_int_equal(base_name_from_text(text, &name), 0);
    return name;
}

void begin(void)
{
    memset(&w, 0, sizeof(w));
    w.now = (struct base_mono){1000 * SECOND};
    struct agt_config config = {.engine = MSG_ENGINE_GALERA,
                                .cluster = name_of("shop"),
                                .member = name_of("g1"),
                                .session = 7,
                                .has_seed = true,
                                .seed_ttl_ms = 6000,
                                .seed_heartbeat_ms = 500};
    struct agt_disk disk = {0};
    agt_init(&w.a, &config, &disk, w.now);
    w.guard.instance = 77;
    w.view.galera.position.seqno = -1;
    w.view.galera.causal_at = BASE_MONO_LONG_AGO;
    w.order.term = 3;
    w.order.record.cluster = config.cluster;
    w.order.record.engine = MSG_ENGINE_GALERA;
    w.order.record.ttl_ms = 6000;
    w.order.record.heartbeat_ms = 500;
    w.order.record.galera.generation = 1;
    memcpy(w.order.record.galera.uuid, uuid, sizeof(uuid));
    tick();
    guard_says();
}

void agent_restarts(const struct agt_disk *disk)
{
    struct agt_disk kept = *disk;
    struct agt_config config = w.a.config;
    agt_init(&w.a, &config, &kept, w.now);
    tick();
    guard_says();
}

void begin_down(void)
{
    begin();
    w.view.has_directory = true;
    memcpy(w.view.galera.saved.uuid, uuid, sizeof(uuid));
    w.view.galera.saved.seqno = 120;
    memcpy(w.view.galera.position.uuid, uuid, sizeof(uuid));
    w.view.galera.position.seqno = 120;
    w.view.galera.is_position_recovered = true;
    look();
}

void root_runs(void)
{
    w.guard.tree = GUARD_TREE_RUNNING;
    w.guard.root_pid = 4242;
    w.guard.starts++;
    w.guard.changed = w.now;
    w.view.is_process = true;
    guard_says();
}

void root_ends(void)
{
    w.guard.tree = GUARD_TREE_GONE;
    w.guard.root_pid = 0;
    w.guard.changed = w.now;
    w.view.is_process = false;
    w.view.is_answering = false;
    guard_says();
}

void be_synced(void)
{
    w.view.is_answering = true;
    w.view.galera.is_primary = true;
    w.view.galera.is_ready = true;
    w.view.galera.is_connected = true;
    w.view.galera.is_evs_operational = true;
    w.view.galera.is_read_only = true;
    w.view.galera.local = DB_GALERA_LOCAL_SYNCED;
    w.view.galera.size = 3;
    w.view.galera.weight = 1;
    memcpy(w.view.galera.uuid, uuid, sizeof(uuid));
    w.view.galera.conf_id = 5;
    w.view.galera.view.conf_id = 5;
    w.view.galera.view.count = 1;
    w.view.galera.view.nodes[0] = (struct msg_galera_node){.node = name_of("g1"), .weight = 1};
}

void begin_synced(void)
{
    begin_down();
    root_runs();
    be_synced();
    causal_look();
    w.order.record.epoch = 1;
    w.order.record.revision = 1;
    w.order.record.holder = name_of("g2");
    w.order.galera_goal = MSG_GALERA_GOAL_JOIN;
    order_comes();
    causal_look();
}

void grant(uint64_t epoch)
{
    w.order.record.epoch = epoch;
    w.order.record.revision++;
    w.order.record.holder = name_of("g1");
    w.order.record.holder_instance = 77;
    w.order.goal = MSG_GOAL_HOLD;
    w.order.is_granted = true;
    w.order.granted_epoch = epoch;
    w.order.ttl_us = TTL;
    pass(10 * MS);
    tick();
    order_comes();
}

void begin_writer(void)
{
    begin_synced();
    grant(2);
    guard_says();
    assert_int_equal(w.asked, DB_ORDER_PROMOTE);
    w.view.galera.is_read_only = false;
    done(0);
    causal_look();
    assert_true(agt_galera_is_writer(&w.a, w.now));
}
