/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's port over a modelled mongod: what a probe sees, and the canary's writes. */
#include <stdio.h>
#include <string.h>

#include "agents/mongodb/codes.h"
#include "tests/sim/members.h"
#include "tests/sim/mongo.h"

#define HELLO_LATE_US SECOND
#define STATUS_US (2 * SECOND)
#define CONFIG_US (5 * SECOND)
#define CANARY_US (2 * SECOND)

static struct base_mono now_of(const struct mongo *g)
{
    return clock_now(&g->world->members->list[g->member].clock);
}

void mongo_view_clear(struct mongo *g)
{
    struct db_mongodb_view *v = &g->view;
    memset(v, 0, sizeof(*v));
    v->hello.at = v->status.at = v->config.at = BASE_MONO_LONG_AGO;
    v->canary_at = v->concern_at = BASE_MONO_LONG_AGO;
    v->canary_since = BASE_MONO_NEVER;
    v->is_login_used = true;
    g->status_us = g->config_us = g->canary_due_us = 0;
    if (g->canary_tag != 0) {
        mongo_forget(g->world, g->canary_tag);
        g->canary_tag = 0;
    }
}

void mongo_optime(const struct mset_optime *from, struct msg_mongodb_optime *ret)
{
    *ret = (struct msg_mongodb_optime){from->term, from->ts};
}

static void host(const struct mset_host *from, struct msg_mongodb_host *ret)
{
    memset(ret, 0, sizeof(*ret));
    (void)snprintf(ret->text, sizeof(ret->text), "%s", from->text);
}

/* --- hello --- */

static void look_hello(struct mongo *g, struct base_mono now)
{
    struct mset_hello h;
    struct db_mongodb_hello *v = &g->view.hello;
    mset_hello(g->world->mongo->set, mongo_node(g->world, g->member), &h);
    memset(v, 0, sizeof(*v));
    v->at = now;
    v->is_writable = h.is_writable;
    v->is_secondary = h.is_secondary;
    v->is_arbiter = h.is_arbiter;
    v->is_in_set = h.is_initiated && !h.is_removed;
    v->is_set_name_wrong = strcmp(h.set_name.text, "rs") != 0;
    v->term = h.election_term;
    v->version = h.is_initiated ? h.config.version.version : 0;
    host(&h.me, &v->self);
    host(&h.primary, &v->primary);
    memcpy(v->process_id, h.process_id, sizeof(v->process_id));
    v->wire_version = h.wire_version;
    mongo_optime(&h.last, &v->applied);
    mongo_optime(&h.majority, &v->committed);
    v->applied_ms = h.last_wall_us / MS;
    v->committed_ms = h.majority_wall_us / MS;
    g->view.misses = 0;
}

/* --- configuration and status --- */

static void peer_of(const struct mset_member *m, struct msg_mongodb_peer *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->id = m->id;
    host(&m->host, &ret->host);
    ret->votes = m->votes;
    ret->priority_x10 = m->priority_x10;
    ret->is_arbiter = m->is_arbiter;
    ret->is_hidden = m->is_hidden;
    ret->is_newly_added = m->is_newly_added;
}

static int by_id(const struct mset_config *c, unsigned rank)
{
    for (unsigned i = 0; i < c->count; i++) {
        unsigned below = 0;
        for (unsigned j = 0; j < c->count; j++) {
            below += c->members[j].id < c->members[i].id;
        }
        if (below == rank) {
            return (int)i;
        }
    }
    return -1;
}

static void look_config(struct mongo *g, struct base_mono now)
{
    struct db_mongodb_config *v = &g->view.config;
    struct mset *s = g->world->mongo->set;
    unsigned node = mongo_node(g->world, g->member);
    struct mset_config c;
    bool is_committed = false;
    if (mset_config_get(s, node, &c, NULL) != 0) {
        memset(v, 0, sizeof(*v));
        v->at = BASE_MONO_LONG_AGO;
        return;
    }
    if (mset_state_of(s, node) == MSET_PRIMARY) {
        (void)mset_config_get(s, node, &c, &is_committed);
    }
    v->at = now;
    v->version = (struct msg_mongodb_version){c.version.term, c.version.version};
    v->is_committed = is_committed;
    memcpy(v->set_id, c.set_id, sizeof(v->set_id));
    v->election_timeout_ms = c.election_timeout_ms;
    v->heartbeat_ms = c.heartbeat_ms;
    v->peers_count = c.count;
    for (unsigned i = 0; i < c.count; i++) {
        peer_of(&c.members[by_id(&c, i)], &v->peers[i]);
    }
}

static uint32_t age_ms(const struct mset *s, int64_t at_us)
{
    return at_us == MSET_NEVER ? UINT32_MAX : (uint32_t)((mset_now(s) - at_us) / MS);
}

static void opinion(const struct mset *s, const struct mset_member_status *m,
                    struct msg_mongodb_peer *ret)
{
    peer_of(&m->member, ret);
    ret->is_self = m->is_self;
    ret->is_healthy = m->is_healthy;
    ret->state = (uint8_t)m->state;
    ret->heard_ms = m->is_self ? 0 : age_ms(s, m->heard_recv);
    ret->ping_ms = m->ping_ms;
    mongo_optime(&m->applied, &ret->optime);
}

static void look_status(struct mongo *g, struct base_mono now)
{
    struct db_mongodb_status *v = &g->view.status;
    struct mset *s = g->world->mongo->set;
    struct mset_status st;
    mset_status(s, mongo_node(g->world, g->member), &st);
    memset(v, 0, sizeof(*v));
    v->at = now;
    v->state = (uint8_t)st.state;
    g->view.code = st.code;
    if (st.code != 0) {
        return;
    }
    v->term = st.term;
    v->majority = st.majority;
    mongo_optime(&st.applied, &v->applied);
    mongo_optime(&st.committed, &v->committed);
    v->sync_permille = st.sync_permille;
    v->peers_count = st.count;
    for (unsigned i = 0; i < st.count; i++) {
        opinion(s, &st.members[i], &v->peers[i]);
        bool is_self = st.members[i].is_self;
        v->is_too_stale |= is_self && strstr(st.members[i].text, "too stale") != NULL;
    }
}

static enum msg_mongodb_default_concern concern_of(const struct mset_server_status *s)
{
    if (s->concern == 0) {
        return s->concern_in_force == 1 ? MSG_MONGODB_CONCERN_IMPLICIT_ONE
                                        : MSG_MONGODB_CONCERN_IMPLICIT_MAJORITY;
    }
    return s->concern == 1                 ? MSG_MONGODB_CONCERN_SET_ONE
           : s->concern == MSET_W_MAJORITY ? MSG_MONGODB_CONCERN_SET_MAJORITY
                                           : MSG_MONGODB_CONCERN_SET_OTHER;
}

static void look_server(struct mongo *g, struct base_mono now)
{
    struct mset *s = g->world->mongo->set;
    unsigned node = mongo_node(g->world, g->member);
    struct mset_server_status st;
    struct mset_oplog oplog;
    mset_server_status(s, node, &st);
    mset_oplog(s, node, &oplog);
    int64_t window = (oplog.last_wall_us - oplog.first_wall_us) / SECOND;
    g->view.oplog_s = oplog.count > 0 ? (uint32_t)window + 1 : 0;
    g->view.cache_dirty_permille = st.cache_dirty_permille;
    g->view.rollback_files = (uint32_t)st.rollbacks;
    g->view.concern = concern_of(&st);
    g->view.concern_at = now;
}

/* --- the canary --- */

static void canary_missed(struct mongo *g)
{
    g->view.canary_since = base_mono_min(g->view.canary_since, g->canary_asked);
    g->view.canary_misses++;
}

/* Nobody to write, by the server's word: that says nothing of its disk. */
static bool is_elsewhere(int code)
{
    int status = mdb_code_status(code);
    return code == MSET_E_CONNECTION || status == BASE_E_DENIED || status == BASE_E_CLOSED ||
           status == BASE_E_CANCELED || code == 10107 || code == 13435 || code == 13436;
}

static void canary_replied(void *ctx, const struct mset_reply *reply)
{
    struct mongo *g = ctx;
    if (g->canary_tag != reply->tag) {
        return;
    }
    g->canary_tag = 0;
    if (reply->code == MSET_OK) {
        g->view.canary_at = g->canary_asked;
        g->view.canary_since = BASE_MONO_NEVER;
        g->view.canary_misses = 0;
    } else if (!is_elsewhere((int)reply->code)) {
        canary_missed(g);
    }
}

static void look_canary(struct mongo *g, struct base_mono now)
{
    struct world *w = g->world;
    bool is_late = g->canary_tag != 0 && w->now_us - g->canary_asked_us >= CANARY_US;
    if (is_late) {
        canary_missed(g);
        mongo_forget(w, g->canary_tag);
        g->canary_tag = 0;
    }
    if (!g->view.hello.is_writable) {
        g->view.canary_since = BASE_MONO_NEVER;
        g->view.canary_misses = 0;
        return;
    }
    if (g->canary_tag == 0 && w->now_us >= g->canary_due_us) {
        struct mset_command write = {.kind = MSET_WRITE, .w = 1, .value = 0, .max_time_ms = 2000};
        g->canary_due_us = w->now_us + CANARY_US;
        g->canary_asked = now;
        g->canary_asked_us = w->now_us;
        g->canary_tag = mongo_ask(w, g->member, &write, canary_replied, g);
    }
}

/* --- all of it --- */

static void hangs(struct mongo *g, struct base_mono now)
{
    struct db_mongodb_view *v = &g->view;
    if (v->misses == 0 && v->silent_since.us == 0) {
        v->silent_since = now;
    }
    v->misses = (uint32_t)(base_mono_diff_us(now, v->silent_since) / HELLO_LATE_US);
}

static void answers(struct mongo *g, struct base_mono now)
{
    struct world *w = g->world;
    uint64_t version = g->view.hello.version;
    g->view.silent_since = (struct base_mono){0};
    look_hello(g, now);
    g->view.is_login_refused = mset_is_login_refused(w->mongo->set, mongo_node(w, g->member));
    if (g->view.is_login_refused) {
        g->view.code = MSET_E_LOGIN;
        return;
    }
    bool is_new = version != g->view.hello.version;
    if (is_new || w->now_us - g->status_us >= STATUS_US) {
        g->status_us = w->now_us;
        look_status(g, now);
        look_server(g, now);
    }
    if (is_new || w->now_us - g->config_us >= CONFIG_US || !g->view.config.is_committed) {
        g->config_us = w->now_us;
        look_config(g, now);
    }
    look_canary(g, now);
}

void mongo_look_at(struct mongo *g, struct db_view *ret)
{
    struct world *w = g->world;
    struct base_mono now = now_of(g);
    mongo_turn(w);
    memset(ret, 0, sizeof(*ret));
    enum mset_reach reach = mset_reach(w->mongo->set, mongo_node(w, g->member));
    ret->orders_done = g->orders_done;
    ret->has_directory = mset_has_directory(w->mongo->set, mongo_node(w, g->member));
    ret->is_process = g->process->is_up;
    ret->is_answering = reach == MSET_ANSWERS;
    if (reach == MSET_ANSWERS) {
        answers(g, now);
    } else if (reach == MSET_HANGS) {
        hangs(g, now);
        look_canary(g, now);
    }
    ret->galera.causal_at = BASE_MONO_LONG_AGO;
    ret->mongodb = g->view;
}
