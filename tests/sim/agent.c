/* SPDX-License-Identifier: Apache-2.0 */
/* The shell of a simulated agent: ports of agents/driver.c over modelled guard, database, disk and
 * network. */
#include <stdlib.h>
#include <string.h>

#include "agents/driver.h"
#include "base/assert.h"
#include "base/canary.h"
#include "base/name.h"
#include "tests/sim/admins.h"
#include "tests/sim/adopted.h"
#include "tests/sim/members.h"
#include "tests/sim/net.h"
#include "tests/sim/truth.h"
#include "tests/sim/truth_mongo.h"
#include "tests/sim/truth_ops.h"

static void rearm(struct member *m, int64_t at_us);

/* --- ports --- */

static bool net_port_send(void *ctx, uint64_t link, struct slice payload)
{
    struct member *m = ctx;
    truth_report(m->world, m, payload);
    return net_send(m->world, ADDRESS_AGENT + m->index, ADDRESS_NODE + (unsigned)link - 1, payload);
}

/* A connection leads to one guard, and nothing is sent over it before that one has been heard. */
static void command(void *ctx, struct guard_event event)
{
    struct member *m = ctx;
    if (m->agent->agent.guard.instance == m->guard.status.instance || CANARY(GUARD_UNHEARD)) {
        guard_command(m, &event);
    }
}

static void guard_port_start(void *ctx)
{
    const struct member *m = ctx;
    truth_ops_starts(m->world, m);
    command(ctx, (struct guard_event){.kind = GUARD_EV_START});
}

static void guard_port_arm(void *ctx, uint64_t epoch, struct base_mono deadline,
                           int64_t freeze_max_us)
{
    struct guard_event event = {.kind = GUARD_EV_ARM, .epoch = epoch, .deadline = deadline};
    event.freeze_max_us = freeze_max_us;
    command(ctx, event);
}

static void guard_port_arm_soft(void *ctx, uint64_t epoch, struct base_mono deadline,
                                int64_t soft_us)
{
    struct guard_event event = {.kind = GUARD_EV_ARM, .epoch = epoch, .deadline = deadline};
    event.soft_us = soft_us;
    command(ctx, event);
}

static void guard_port_release(void *ctx, uint64_t epoch)
{
    command(ctx, (struct guard_event){.kind = GUARD_EV_HAND_BACK, .epoch = epoch, .soft_us = 1});
}

static void guard_port_disarm(void *ctx)
{
    command(ctx, (struct guard_event){.kind = GUARD_EV_DISARM});
}

static void guard_port_signal(void *ctx, int signal_number)
{
    const struct member *m = ctx;
    truth_mongo_ends(m->world, m);
    command(ctx, (struct guard_event){.kind = GUARD_EV_SIGNAL, .number = signal_number});
}

static void guard_port_kill(void *ctx)
{
    const struct member *m = ctx;
    truth_mongo_ends(m->world, m);
    command(ctx, (struct guard_event){.kind = GUARD_EV_KILL});
}

static void guard_port_hand_back(void *ctx, uint64_t epoch)
{
    command(ctx, (struct guard_event){.kind = GUARD_EV_HAND_BACK, .epoch = epoch});
}

static void db_port_order(void *ctx, const struct db_order *order)
{
    struct member *m = ctx;
    if (m->is_galera) {
        wsrep_order(&m->gal, order);
    } else if (m->is_mongodb) {
        mongo_order(&m->mongo, order);
    } else {
        pg_order(&m->pg, order);
    }
}

static void db_port_configure(void *ctx, uint64_t revision, struct slice text)
{
    struct member *m = ctx;
    pg_configure(&m->pg, revision, text);
}

static void save_done(void *ctx, uint64_t number, struct slice bytes)
{
    struct member *m = ctx;
    (void)number;
    memcpy(m->saved, bytes.data, bytes.len);
    m->saved_len = bytes.len;
    agt_driver_saved(m->agent, 0);
}

static void state_port_save(void *ctx, struct slice bytes)
{
    struct member *m = ctx;
    BASE_ASSERT(bytes.len <= sizeof(m->saved));
    int64_t us = draw(&m->rand, 300, chance(&m->rand, 30000) ? 300 * MS : 6 * MS);
    world_at_with(m->world, m->world->now_us + us, &m->agent_process, save_done, m, 0, bytes);
}

static void wake(void *ctx, uint64_t number, struct slice bytes)
{
    struct member *m = ctx;
    (void)bytes;
    if (number == m->agent_wake_number) {
        m->agent_wake_us = INT64_MAX;
        agt_driver_timer(m->agent);
    }
}

static void rearm(struct member *m, int64_t at_us)
{
    m->agent_wake_us = at_us;
    world_at_with(m->world, at_us + 30, &m->agent_process, wake, m, ++m->agent_wake_number,
                  SLICE_EMPTY);
}

static void port_wake(void *ctx, struct base_mono at)
{
    struct member *m = ctx;
    rearm(m, clock_true_us(&m->clock, at));
}

static void port_log(void *ctx, const char *text)
{
    const struct member *m = ctx;
    trace_text(m->world, ADDRESS_AGENT + m->index, text);
}

/* --- what comes in --- */

/* Between agents: a letter, then the message. */
#define FAILSAFE_ASK 'Q'
#define FAILSAFE_ANSWER 'A'

static void failsafe_send(struct member *m, unsigned to, uint8_t kind, struct slice message)
{
    uint8_t memory[1 + AGT_FAILSAFE_BYTES_MAX];
    memory[0] = kind;
    memcpy(memory + 1, message.data, message.len);
    (void)net_send(m->world, ADDRESS_AGENT + m->index, ADDRESS_AGENT + to,
                   slice_from(memory, message.len + 1));
}

static void failsafe_ask(void *ctx, const struct agt_failsafe_peer *peers, uint8_t count,
                         struct slice request)
{
    struct member *m = ctx;
    truth_ops_asked(m->world, m, request);
    for (uint8_t i = 0; i < count; i++) {
        int to = member_by_name(m->world, &peers[i].member);
        if (to >= 0 && (unsigned)to != m->index) {
            failsafe_send(m, (unsigned)to, FAILSAFE_ASK, request);
        }
    }
}

static void failsafe_arrive(struct member *m, unsigned from, struct slice payload)
{
    struct net_identity identity = {.role = NET_ROLE_AGENT};
    uint8_t memory[AGT_FAILSAFE_BYTES_MAX], kind = payload.data[0];
    struct buf answer = buf_over(memory, sizeof(memory));
    struct slice message = slice_skip(payload, 1);
    identity.member = member_of(m->world, from)->name;
    identity.cluster = *cluster_name(cluster_of(m->world, from));
    if (kind == FAILSAFE_ANSWER) {
        truth_ops_answered(m->world, m, from, message);
        agt_driver_failsafe_answer(m->agent, &identity.member, message);
    } else if (agt_driver_failsafe(m->agent, &identity, message, &answer) == 0) {
        truth_ops_granted(m->world, m, message, buf_slice(&answer));
        failsafe_send(m, from, FAILSAFE_ANSWER, buf_slice(&answer));
    }
}

void agent_arrive(struct member *m, unsigned from, struct slice payload)
{
    if (from >= ADDRESS_DB) {
        return; /* of a standby that has no upstream: it called nobody in particular */
    }
    if (m->agent != NULL && from >= ADDRESS_AGENT) {
        failsafe_arrive(m, from - ADDRESS_AGENT, payload);
        return;
    }
    struct net_identity identity = {.role = NET_ROLE_NODE, .node_id = from - ADDRESS_NODE + 1};
    if (m->agent != NULL) {
        agt_driver_receive(m->agent, &identity, payload);
    }
}

static void status_arrive(void *ctx, uint64_t number, struct slice bytes)
{
    struct member *m = ctx;
    struct guard_status status;
    (void)number;
    memcpy(&status, bytes.data, sizeof(status));
    agt_driver_guard_status(m->agent, &status);
}

void agent_guard_status(struct member *m)
{
    world_at_with(m->world, m->world->now_us + draw(&m->rand, 20, 200), &m->agent_process,
                  status_arrive, m, 0, slice_from(&m->guard.status, sizeof(m->guard.status)));
}

static void view_arrive(void *ctx, uint64_t number, struct slice bytes)
{
    struct member *m = ctx;
    struct db_view view;
    (void)number;
    memcpy(&view, bytes.data, sizeof(view));
    m->is_probing = false;
    agt_driver_db_view(m->agent, &view);
    if (m->is_probe_wanted) {
        agent_view(m);
    }
}

/* One probe at a time. What it saw arrives a little later; one that hangs, when its time is over.
 */
void agent_view(struct member *m)
{
    struct db_view view;
    m->is_probe_wanted = m->is_probing;
    if (m->is_probing) {
        return;
    }
    m->is_probing = true;
    if (m->is_galera) {
        wsrep_look_at(&m->gal, &view);
    } else if (m->is_mongodb) {
        mongo_look_at(&m->mongo, &view);
    } else {
        pg_view(&m->pg, &view);
    }
    bool is_hanging = view.is_process && !view.is_answering;
    int64_t us = is_hanging ? 100 * MS : draw(&m->rand, 200, 8 * MS);
    world_at_with(m->world, m->world->now_us + us, &m->agent_process, view_arrive, m, 0,
                  slice_from(&view, sizeof(view)));
}

static void probe(void *ctx, uint64_t number, struct slice bytes)
{
    struct member *m = ctx;
    (void)number;
    (void)bytes;
    agent_view(m);
    world_at(m->world, m->world->now_us + database_of(m->world, m->index)->heartbeat_ms * MS / 2,
             &m->agent_process, probe, m);
}

static void order_done(void *ctx, const struct db_done *done)
{
    struct member *m = ctx;
    agt_driver_db_done(m->agent, done);
}

/* --- life --- */

static void config_of(struct member *m, struct agt_config *config)
{
    const struct db_setup *s = database_of(m->world, m->index);
    config->member = m->name;
    config->cluster = *cluster_name(cluster_of(m->world, m->index));
    config->host = base_text_from(base_name_slice(&m->name));
    config->db_port = (uint16_t)(5432 + m->index);
    config->http_port = (uint16_t)(8008 + m->index);
    config->session = base_rand_next(&m->rand) | 1;
    config->has_seed = true;
    /* In every other seed somebody has set the watchdog otherwise since the agent's start. */
    config->ttl_least_ms = m->world->seed % 2 == 0 ? 2 * m->world->setup.watchdog_ms : 0;
    config->seed_ttl_ms = s->ttl_ms;
    config->seed_heartbeat_ms = s->heartbeat_ms;
    config->seed_freeze_max_ms = s->freeze_max_ms;
    config->seed_sync_mode = s->is_async ? MSG_SYNC_ASYNC : MSG_SYNC_ON;
    config->seed_sync_strict = s->is_strict;
    config->seed_sync_count = (uint8_t)s->sync_count;
    /* One cluster fails over as often as it can be made to, the other by the default. */
    admins_tag(m->world, m->index, config);
    adopted_config(m, config);
    config->seed_failover_interval_ms = cluster_of(m->world, m->index) == 0 ? UINT32_MAX : 0;
    if (m->is_galera) {
        config->engine = MSG_ENGINE_GALERA;
        config->seed_members = (uint8_t)m->world->setup.galera_members;
        config->priority = (uint8_t)(100 + m->index % 2);
    }
    if (m->is_mongodb) {
        config->engine = MSG_ENGINE_MONGODB;
        config->seed_members = (uint8_t)m->world->setup.mongodb_members;
        config->mongodb.is_arbiter = mongo_is_arbiter(m->world, m->index);
        config->mongodb.priority = config->mongodb.is_arbiter ? 0 : 1;
        config->mongodb.set_name = (struct base_name){"rs"};
    }
}

static void orders_forget(struct member *m)
{
    if (m->is_galera) {
        wsrep_order_forget(&m->gal);
    } else if (m->is_mongodb) {
        mongo_order_forget(&m->mongo);
    } else {
        pg_order_forget(&m->pg);
    }
}

void agent_start(struct member *m)
{
    struct world *w = m->world;
    struct agt_driver_options options = {.nodes_count = (uint8_t)w->setup.slots};
    config_of(m, &options.config);
    options.ports = (struct agt_ports){
        .net = {m, net_port_send},
        .clock = clock_port_of(&m->clock),
        .guard = {.ctx = m,
                  .start = guard_port_start,
                  .arm = guard_port_arm,
                  .arm_soft = guard_port_arm_soft,
                  .release = guard_port_release,
                  .disarm = guard_port_disarm,
                  .signal = guard_port_signal,
                  .kill = guard_port_kill,
                  .hand_back = guard_port_hand_back},
        .db = {.ctx = m, .order = db_port_order, .configure = db_port_configure},
        .failsafe = {m, failsafe_ask},
        .state = {m, state_port_save},
        .ctx = m,
        .wake = port_wake,
        .log = port_log,
    };
    for (unsigned i = 0; i < w->setup.slots; i++) {
        options.nodes[i] = i + 1;
    }
    if (m->saved_len > 0) {
        BASE_ASSERT(agt_disk_decode(slice_from(m->saved, m->saved_len), &options.disk) == 0);
    }
    process_start(&m->agent_process);
    m->agent_wake_us = INT64_MAX;
    m->is_probing = m->is_probe_wanted = false;
    m->agent = must_alloc(1, sizeof(*m->agent));
    BASE_ASSERT(agt_driver_init(m->agent, &options) == 0);
    m->pg.agent = m->gal.agent = m->mongo.agent = m;
    m->pg.done = m->gal.done = m->mongo.done = order_done;
    m->pg.orders_done = m->gal.orders_done = m->mongo.orders_done = 0;
    orders_forget(m);
    memset(&m->pg.order, 0, sizeof(m->pg.order));
    memset(&m->gal.order, 0, sizeof(m->gal.order));
    memset(&m->mongo.order, 0, sizeof(m->mongo.order));
    trace(w, TRACE_AGENT_UP, m->index, m->agent_process.life, 0, 0);
    agt_driver_start(m->agent);
    agent_guard_status(m);
    world_at(w, w->now_us + draw(&m->rand, MS, 20 * MS), &m->agent_process, probe, m);
}

void agent_stop(struct member *m, unsigned why)
{
    if (!m->agent_process.is_up) {
        return;
    }
    trace(m->world, TRACE_AGENT_DOWN, m->index, why, 0, 0);
    process_stop(&m->agent_process);
    orders_forget(m);
    free(m->agent);
    m->agent = NULL;
}
