/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's port over a modelled mongod: its orders. Codes mean what they mean in the real port.
 */
#include <stdio.h>
#include <string.h>

#include "agents/mongodb/codes.h"
#include "base/assert.h"
#include "tests/sim/members.h"
#include "tests/sim/mongo.h"
#include "tests/sim/truth_mongo.h"

static const struct process *agent_of(const struct mongo *g)
{
    return &g->world->members->list[g->member].agent_process;
}

static struct mset *set_of(const struct mongo *g)
{
    return g->world->mongo->set;
}

static unsigned node_of_mongo(const struct mongo *g)
{
    return mongo_node(g->world, g->member);
}

/* --- an order ends --- */

static void complete(struct mongo *g, int status, int32_t code, const char *text)
{
    struct db_done done = {
        .id = g->order.id, .kind = g->order.kind, .status = status, .code = code};
    done.text = base_text_from(slice_from_text(text));
    trace(g->world, TRACE_MONGODB_END, g->member, (uint64_t)g->order.kind, (uint64_t)status,
          (uint64_t)code);
    g->orders_done = g->order.id;
    g->order.id = 0;
    g->order_tag = 0;
    g->order_number++;
    g->done(g->agent, &done);
}

static void replied_later(void *ctx, uint64_t number, struct slice bytes)
{
    struct mongo *g = ctx;
    struct mset_reply reply;
    memcpy(&reply, bytes.data, sizeof(reply));
    if (g->order_number != number || g->order.id == 0) {
        return;
    }
    enum db_order_kind kind = g->order.kind;
    bool is_expected = reply.code == MSET_E_CONNECTION &&
                       (kind == DB_ORDER_MONGODB_SHUTDOWN || kind == DB_ORDER_MONGODB_STEP_DOWN);
    int status = reply.code == MSET_E_CONNECTION ? BASE_E_CLOSED : mdb_code_status(reply.code);
    complete(g, is_expected ? 0 : status, reply.code > 0 ? reply.code : 0, reply.text);
}

static void replied(void *ctx, const struct mset_reply *reply)
{
    struct mongo *g = ctx;
    if (g->order.id != 0 && g->order_tag == reply->tag) {
        world_at_with(g->world, g->world->now_us + draw(&g->rand, 100, MS), agent_of(g),
                      replied_later, g, g->order_number, slice_from(reply, sizeof(*reply)));
    }
}

/* --- is it what it was given for --- */

static int expected(struct mongo *g, const struct db_mongodb_order *o,
                    struct mset_config *ret_config)
{
    struct mset_status status;
    mset_status(set_of(g), node_of_mongo(g), &status);
    if (o->expected_term != 0 && status.code == 0 && status.term != o->expected_term) {
        return BASE_E_CONFLICT;
    }
    bool has = mset_config_get(set_of(g), node_of_mongo(g), ret_config, NULL) == 0;
    const struct mset_version *v = &ret_config->version;
    bool is_wanted = o->expected_config.version != 0 || o->expected_config.term != 0;
    if (is_wanted &&
        (!has || v->version != o->expected_config.version || v->term != o->expected_config.term)) {
        return BASE_E_CONFLICT;
    }
    return 0;
}

/* --- configurations --- */

static struct mset_member *find(struct mset_config *c, const struct msg_mongodb_host *host)
{
    for (unsigned i = 0; i < c->count; i++) {
        if (strcmp(c->members[i].host.text, host->text) == 0) {
            return &c->members[i];
        }
    }
    return NULL;
}

static int add(struct mset_config *c, const struct db_mongodb_order *o)
{
    uint32_t id = 0;
    if (c->count == MSET_MEMBERS_MAX || find(c, &o->host) != NULL) {
        return find(c, &o->host) != NULL ? BASE_E_EXISTS : BASE_E_NOSPACE;
    }
    for (unsigned i = 0; i < c->count; i++) {
        id = c->members[i].id > id ? c->members[i].id : id;
    }
    struct mset_member *m = &c->members[c->count++];
    *m = (struct mset_member){.id = id + 1,
                              .votes = o->votes,
                              .priority_x10 = o->priority_x10,
                              .is_arbiter = o->is_arbiter};
    (void)snprintf(m->host.text, sizeof(m->host.text), "%s", o->host.text);
    return 0;
}

static bool is_survivor(const struct db_mongodb_order *o, const struct mset_member *m)
{
    for (unsigned i = 0; i < o->hosts_count; i++) {
        if (strcmp(o->hosts[i].text, m->host.text) == 0) {
            return true;
        }
    }
    return false;
}

static void keep_only(struct mset_config *c, const struct db_mongodb_order *o)
{
    uint8_t kept = 0;
    for (unsigned i = 0; i < c->count; i++) {
        bool is_left = o->change == DB_MONGODB_SURVIVORS
                           ? !is_survivor(o, &c->members[i])
                           : strcmp(c->members[i].host.text, o->host.text) == 0;
        if (!is_left) {
            c->members[kept++] = c->members[i];
        }
    }
    c->count = kept;
}

/* The one that forces it is electable in it. */
static void raise_host(struct mset_config *c, const struct db_mongodb_order *o)
{
    struct mset_member *m = find(c, &o->host);
    if (m != NULL) {
        m->votes = o->votes > m->votes ? o->votes : m->votes;
        m->priority_x10 = o->priority_x10 > m->priority_x10 ? o->priority_x10 : m->priority_x10;
    }
}

static int change(struct mset_config *c, const struct db_mongodb_order *o)
{
    struct mset_member *m = find(c, &o->host);
    c->version.version++;
    switch (o->change) {
    case DB_MONGODB_ADD:
        return add(c, o);
    case DB_MONGODB_MEMBER:
        if (m == NULL) {
            return BASE_E_NOTFOUND;
        }
        m->votes = o->votes;
        m->priority_x10 = o->priority_x10;
        return 0;
    case DB_MONGODB_REMOVE:
        if (m == NULL) {
            return BASE_E_NOTFOUND;
        }
        keep_only(c, o);
        return 0;
    case DB_MONGODB_TIMEOUTS:
        c->election_timeout_ms = o->election_timeout_ms;
        return 0;
    case DB_MONGODB_SURVIVORS:
        keep_only(c, o);
        raise_host(c, o);
        return c->count == o->hosts_count ? 0 : BASE_E_NOTFOUND;
    case DB_MONGODB_CHANGE_NONE:
        break;
    }
    return BASE_E_INVALID;
}

static void alone(const struct db_mongodb_order *o, struct mset_config *ret)
{
    *ret = (struct mset_config){.set_name = {"rs"},
                                .version = {0, 1},
                                .count = 1,
                                .heartbeat_ms = 2000,
                                .election_timeout_ms = 10000,
                                .heartbeat_timeout_ms = 10000,
                                .catch_up_ms = -1};
    ret->members[0] = (struct mset_member){.id = 0, .votes = 1, .priority_x10 = 10};
    (void)snprintf(ret->members[0].host.text, sizeof(ret->members[0].host.text), "%s",
                   o->host.text);
    if (o->election_timeout_ms != 0) {
        ret->election_timeout_ms = o->election_timeout_ms;
    }
}

/* --- sent --- */

static const struct {
    enum db_order_kind kind;
    enum mset_command_kind command;
} commands[] = {
    {DB_ORDER_MONGODB_INITIATE, MSET_INITIATE},
    {DB_ORDER_MONGODB_RECONFIG, MSET_RECONFIG},
    {DB_ORDER_MONGODB_CONCERN, MSET_SET_CONCERN},
    {DB_ORDER_MONGODB_STEP_DOWN, MSET_STEP_DOWN},
    {DB_ORDER_MONGODB_STEP_UP, MSET_STEP_UP},
    {DB_ORDER_MONGODB_FREEZE, MSET_FREEZE},
    {DB_ORDER_MONGODB_ABORT_CATCHUP, MSET_ABORT_CATCH_UP},
    {DB_ORDER_MONGODB_SHUTDOWN, MSET_SHUTDOWN},
};

static int command_of(struct mongo *g, struct mset_command *ret)
{
    const struct db_mongodb_order *o = &g->order.mongodb;
    *ret = (struct mset_command){.is_forced = o->is_forced || o->change == DB_MONGODB_SURVIVORS,
                                 .seconds = o->seconds,
                                 .catch_up_seconds = o->catch_up_s,
                                 .w = o->is_majority ? MSET_W_MAJORITY : 1,
                                 .max_time_ms = (uint32_t)(g->order.timeout_us / MS)};
    for (size_t i = 0; i < BASE_COUNT_OF(commands); i++) {
        if (commands[i].kind == g->order.kind) {
            ret->kind = commands[i].command;
        }
    }
    BASE_ASSERT(ret->kind != 0);
    int rc = expected(g, o, &ret->config);
    if (rc == 0 && ret->kind == MSET_INITIATE) {
        alone(o, &ret->config);
    } else if (rc == 0 && ret->kind == MSET_RECONFIG) {
        rc = change(&ret->config, o);
    }
    return rc;
}

static void wipe(struct mongo *g)
{
    if (g->process->is_up) {
        complete(g, BASE_E_STATE, 0, "it runs");
        return;
    }
    truth_mongo_wiped(g->world, g->member);
    mset_wipe(set_of(g), node_of_mongo(g));
    g->is_wiped = true;
    complete(g, 0, 0, "the data are aside");
}

static void send(void *ctx, uint64_t number, struct slice bytes)
{
    struct mongo *g = ctx;
    struct mset_command command;
    (void)bytes;
    if (g->order_number != number || g->order.id == 0) {
        return;
    }
    if (g->order.kind == DB_ORDER_MONGODB_WIPE) {
        wipe(g);
        return;
    }
    mongo_turn(g->world);
    enum mset_reach reach = mset_reach(set_of(g), node_of_mongo(g));
    if (reach == MSET_REFUSES) {
        complete(g, BASE_E_UNREACHABLE, 0, "connection refused");
        return;
    }
    if (reach == MSET_HANGS) {
        return; /* until its limit */
    }
    if (mset_is_login_refused(set_of(g), node_of_mongo(g))) {
        complete(g, BASE_E_DENIED, MSET_E_LOGIN, "authentication failed");
        return;
    }
    int rc = command_of(g, &command);
    if (rc == BASE_E_EXISTS) {
        complete(g, 0, 0, "it is so already");
        return;
    }
    if (rc != 0) {
        complete(g, rc, 0, "it is not what the order was given for");
        return;
    }
    truth_mongo_sent(g->world, g->member, &g->order, &command);
    uint64_t tag = mongo_ask(g->world, g->member, &command, replied, g);
    g->order_tag = tag;
    if (tag == 0) {
        complete(g, BASE_E_BUSY, 0, "too much is asked");
    }
}

static void too_late(void *ctx, uint64_t number, struct slice bytes)
{
    struct mongo *g = ctx;
    (void)bytes;
    if (g->order_number == number && g->order.id != 0) {
        mongo_forget(g->world, g->order_tag);
        complete(g, BASE_E_TIMEOUT, 0, "took too long");
    }
}

static void cancelled(void *ctx, uint64_t number, struct slice bytes)
{
    struct mongo *g = ctx;
    (void)bytes;
    if (g->order_number == number && g->order.id != 0) {
        complete(g, BASE_E_CANCELED, 0, "canceled");
    }
}

void mongo_order(struct mongo *g, const struct db_order *order)
{
    trace(g->world, TRACE_MONGODB_ORDER, g->member, (uint64_t)order->kind, order->id,
          (uint64_t)order->mongodb.change);
    if (order->kind == DB_ORDER_CANCEL) {
        if (g->order.id == order->id && g->order.id != 0) {
            mongo_forget(g->world, g->order_tag);
            g->order_number++;
            world_at_with(g->world, g->world->now_us + draw(&g->rand, 100, 5 * MS), agent_of(g),
                          cancelled, g, g->order_number, SLICE_EMPTY);
        }
        return;
    }
    BASE_ASSERT(g->order.id == 0);
    g->order = *order;
    g->order_tag = 0;
    g->order_number++;
    world_at_with(g->world, g->world->now_us + order->timeout_us, agent_of(g), too_late, g,
                  g->order_number, SLICE_EMPTY);
    world_at_with(g->world, g->world->now_us + draw(&g->rand, MS, 8 * MS), agent_of(g), send, g,
                  g->order_number, SLICE_EMPTY);
}

/* The agent is gone: what it has sent goes on, and nobody hears of its end. */
void mongo_order_forget(struct mongo *g)
{
    if (!agent_of(g)->is_up) {
        mongo_forget(g->world, g->order_tag);
        mongo_forget(g->world, g->canary_tag);
        g->order_number++;
        memset(&g->order, 0, sizeof(g->order));
        g->order_tag = g->canary_tag = 0;
        mongo_view_clear(g);
    }
}
