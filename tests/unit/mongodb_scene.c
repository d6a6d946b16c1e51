/* SPDX-License-Identifier: Apache-2.0 */
/* The scene of mongodb_scene.h. */
#include "tests/unit/mongodb_scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mon_set mon;

const char *mon_name(unsigned n)
{
    static const char *const names[] = {"", "mg1", "mg2", "mg3", "mg4", "mg5"};
    return names[n];
}

static struct msg_mongodb_host host_of(unsigned n)
{
    struct msg_mongodb_host host = {{0}};
    (void)snprintf(host.text, sizeof(host.text), "10.0.0.%u:27017", n);
    return host;
}

static bool is_up(const struct mon_member *m)
{
    return m->exists && !m->is_down && m->state != MSG_MONGODB_HELD;
}

/* One that starts does not yet. */
static bool answers(const struct mon_member *m)
{
    return is_up(m) && m->state != MSG_MONGODB_STARTING;
}

static unsigned voters(bool is_only_up)
{
    unsigned count = 0;
    for (unsigned n = 1; n <= MON_MEMBERS; n++) {
        const struct mon_member *m = &mon.m[n];
        count += m->is_in && m->votes > 0 && (!is_only_up || answers(m));
    }
    return count;
}

void mon_elect(void)
{
    unsigned best = 0;
    bool has_majority = voters(true) >= voters(false) / 2 + 1;
    if (mon.primary != 0 && has_majority && is_up(&mon.m[mon.primary]) &&
        mon.m[mon.primary].is_in) {
        return;
    }
    for (unsigned n = 1; has_majority && n <= MON_MEMBERS; n++) {
        const struct mon_member *m = &mon.m[n];
        bool may = m->is_in && is_up(m) && m->votes > 0 && m->priority_x10 > 0 && !m->is_arbiter &&
                   n != mon.primary;
        if (may && (best == 0 || m->priority_x10 > mon.m[best].priority_x10)) {
            best = n;
        }
    }
    mon.term += best != 0;
    mon.config.term = best != 0 ? mon.term : mon.config.term;
    mon.primary = best;
}

/* --- reports --- */

static enum msg_mongodb_state state_of(unsigned n)
{
    const struct mon_member *m = &mon.m[n];
    if (!is_up(m)) {
        return m->state == MSG_MONGODB_HELD ? m->state : MSG_MONGODB_DOWN;
    }
    if (!m->is_in) {
        return m->state == MSG_MONGODB_STARTING ? m->state : MSG_MONGODB_ABSENT;
    }
    if (n == mon.primary) {
        return m->canary_ms > 0 ? MSG_MONGODB_GRAY : MSG_MONGODB_PRIMARY;
    }
    if (m->is_arbiter) {
        return MSG_MONGODB_ARBITER;
    }
    return m->state != MSG_MONGODB_UNKNOWN ? m->state : MSG_MONGODB_SECONDARY;
}

static uint8_t number_of(enum msg_mongodb_state s)
{
    switch ((int)s) {
    case MSG_MONGODB_PRIMARY:
    case MSG_MONGODB_GRAY:
    case MSG_MONGODB_DRAINING:
        return 1;
    case MSG_MONGODB_ARBITER:
        return 7;
    case MSG_MONGODB_STALE:
        return 3;
    case MSG_MONGODB_SYNCING:
        return 5;
    case MSG_MONGODB_DOWN:
    case MSG_MONGODB_HELD:
        return 8;
    default:
        return 2;
    }
}

static void fill_peers(unsigned self, struct msg_mongodb_report *r)
{
    for (unsigned n = 1; n <= MON_MEMBERS; n++) {
        const struct mon_member *m = &mon.m[n];
        if (!m->is_in) {
            continue;
        }
        r->peers[r->peers_count++] =
            (struct msg_mongodb_peer){.id = n,
                                      .host = host_of(n),
                                      .votes = m->votes,
                                      .priority_x10 = m->priority_x10,
                                      .is_arbiter = m->is_arbiter,
                                      .is_self = n == self,
                                      .is_healthy = answers(m),
                                      .state = number_of(state_of(n)),
                                      .heard_ms = answers(m) ? 500 : m->dead_ms,
                                      .optime = {mon.term, m->ts}};
    }
}

static void fill_set(unsigned n, struct msg_mongodb_report *r)
{
    const struct mon_member *m = &mon.m[n];
    r->self = host_of(n);
    r->config = mon.config;
    r->is_config_known = true;
    r->is_config_committed = n == mon.primary;
    r->is_writable = n == mon.primary;
    r->is_secondary = r->state == MSG_MONGODB_SECONDARY;
    r->term = mon.term;
    r->majority = (uint8_t)(voters(false) / 2 + 1);
    r->live_voters = (uint8_t)voters(true);
    r->election_timeout_ms = 10000;
    r->applied = (struct msg_mongodb_optime){mon.term, m->ts};
    r->committed = (struct msg_mongodb_optime){mon.term, mon.committed_ts};
    r->lag_ms = n == mon.primary ? 0 : m->lag_ms;
    r->oplog_s = 86400;
    r->canary_ms = m->canary_ms;
    r->commit_age_ms = n == mon.primary ? mon.commit_age_ms : 0;
    r->concern = mon.concern;
    if (mon.primary != 0) {
        r->primary = host_of(mon.primary);
    }
    if (mon.has_set_id) {
        r->set_id[0] = mon.m[n].is_of_other_set ? 0xcd : 0xab;
    }
    fill_peers(n, r);
}

void mon_speak(unsigned n)
{
    struct mon_member *m = &mon.m[n];
    struct msg_report r = report_of(mon_name(n));
    struct msg_mongodb_report *g = &r.mongodb;
    r.engine = MSG_ENGINE_MONGODB;
    r.epoch_seen = r.epoch_seen > m->epoch_seen ? r.epoch_seen : m->epoch_seen;
    r.system_id = 0;
    r.has_seed = true;
    r.zone = m->zone;
    r.db_port = 27017;
    char host[16];
    (void)snprintf(host, sizeof(host), "10.0.0.%u", n);
    r.host = base_text_from(slice_from_text(host));
    g->state = state_of(n);
    g->is_arbiter = m->is_arbiter;
    g->is_adopted = m->is_adopted;
    g->has_data = m->has_data;
    g->set_name = name_of("rs0");
    g->seed_members = (uint8_t)mon.seed_members;
    g->priority = m->priority;
    g->wire_version = 17;
    g->lag_ms = g->status_age_ms = g->hello_age_ms = UINT32_MAX;
    g->order_epoch = m->order_epoch;
    g->order_phase = m->order_phase;
    g->order_status = m->order_status;
    g->is_order_done = m->is_order_done;
    g->barred_epoch = m->barred_epoch;
    g->rollbacks = m->rollbacks;
    if (answers(m)) {
        g->hello_age_ms = g->status_age_ms = 200;
        if (m->is_in) {
            fill_set(n, g);
        }
    }
    send(r);
}

/* --- obedience --- */

static unsigned who(const struct base_name *name)
{
    for (unsigned n = 1; n <= MON_MEMBERS; n++) {
        if (strcmp(name->text, mon_name(n)) == 0) {
            return n;
        }
    }
    return 0;
}

static void part(unsigned n, int32_t status)
{
    const struct msg_mongodb_order *o = &w.c.record.mongodb.order;
    mon.m[n].order_epoch = o->epoch;
    mon.m[n].order_phase = o->phase;
    mon.m[n].order_status = status;
    mon.m[n].is_order_done = true;
}

static void hand_over(const struct msg_mongodb_order *o)
{
    unsigned to = who(&o->subject);
    switch ((enum msg_mongodb_phase)o->phase) {
    case MSG_MONGODB_PHASE_FREEZE:
    case MSG_MONGODB_PHASE_UNFREEZE:
        for (unsigned n = 1; n <= MON_MEMBERS; n++) {
            part(n, 0);
        }
        return;
    case MSG_MONGODB_PHASE_STEP_DOWN:
        mon.primary = 0;
        part(who(&o->member), 0);
        return;
    case MSG_MONGODB_PHASE_STEP_UP:
        mon.primary = to;
        mon.config.term = ++mon.term;
        part(to, 0);
        return;
    case MSG_MONGODB_PHASE_ONLY:
        return;
    }
}

static void force(void)
{
    for (unsigned n = 1; n <= MON_MEMBERS; n++) {
        struct base_name name = name_of(mon_name(n));
        if (mon.m[n].is_in && !arb_names_has(&w.c.record.mongodb.force.survivors, &name)) {
            mon.m[n].is_in = false;
        }
    }
    mon.config = (struct msg_mongodb_version){0, mon.config.version + 10007};
    mon_elect();
}

static void reconfigure(const struct msg_mongodb_order *o, struct mon_member *m)
{
    m->is_in = o->kind != MSG_MONGODB_ORDER_REMOVE;
    m->votes = o->kind == MSG_MONGODB_ORDER_UNVOTE ? 0
               : o->kind == MSG_MONGODB_ORDER_ADD  ? (uint8_t)m->is_arbiter
                                                   : 1;
    m->priority_x10 = o->kind == MSG_MONGODB_ORDER_PRIORITY ? o->priority_x10
                      : o->kind == MSG_MONGODB_ORDER_VOTE   ? m->priority_x10
                                                            : 0;
    m->has_data = m->has_data || !m->is_arbiter;
    mon.config.version++;
}

static void obey(void)
{
    const struct msg_mongodb_order *o = &w.c.record.mongodb.order;
    unsigned n = who(&o->member);
    unsigned s = o->subject.text[0] != '\0' ? who(&o->subject) : 0;
    if (o->state != MSG_MONGODB_ORDER_OPEN || mon.disobeys || n == 0 || mon.m[n].is_silent ||
        (mon.m[n].order_epoch == o->epoch && mon.m[n].order_phase == o->phase)) {
        return;
    }
    mon.orders++;
    switch ((int)o->kind) {
    case MSG_MONGODB_ORDER_INITIATE:
        mon.has_set_id = true;
        mon.config = (struct msg_mongodb_version){1, 1};
        mon.term = 1;
        mon.primary = n;
        mon.m[n].is_in = mon.m[n].has_data = true;
        mon.m[n].votes = 1;
        mon.m[n].priority_x10 = o->priority_x10;
        break;
    case MSG_MONGODB_ORDER_SWITCHOVER:
        hand_over(o);
        return;
    case MSG_MONGODB_ORDER_STEP_DOWN:
        mon.m[n].canary_ms = 0;
        mon.primary = n;
        mon.m[n].is_down = true;
        mon_elect();
        mon.m[n].is_down = false;
        break;
    case MSG_MONGODB_ORDER_KILL:
        mon.m[n].state = MSG_MONGODB_HELD;
        mon_elect();
        break;
    case MSG_MONGODB_ORDER_CONCERN:
        mon.concern = MSG_MONGODB_CONCERN_SET_MAJORITY;
        break;
    case MSG_MONGODB_ORDER_RESYNC:
    case MSG_MONGODB_ORDER_RESTART:
        mon.m[n].state = MSG_MONGODB_UNKNOWN;
        mon.m[n].is_down = false;
        break;
    case MSG_MONGODB_ORDER_FORCE:
        force();
        break;
    case MSG_MONGODB_ORDER_ABORT_CATCHUP:
        mon.primary = who(&o->member);
        mon.m[mon.primary].state = MSG_MONGODB_UNKNOWN;
        break;
    default:
        assert_true(s != 0);
        reconfigure(o, &mon.m[s]);
        break;
    }
    part(n, 0);
}

void mon_round(void)
{
    for (unsigned n = 1; n <= MON_MEMBERS; n++) {
        if (mon.m[n].exists && !mon.m[n].is_silent) {
            mon_speak(n);
        }
    }
    obey();
}

void mon_pass(unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        wait_us(S);
        for (unsigned n = 1; n <= MON_MEMBERS; n++) {
            mon.m[n].dead_ms += is_up(&mon.m[n]) ? 0 : 1000;
        }
        mon_round();
    }
}

/* --- scenes --- */

const struct msg_mongodb_order *mon_order(void)
{
    return &w.c.record.mongodb.order;
}

enum msg_mongodb_set_state mon_state(void)
{
    return arb_mongodb_state(&w.c, w.now);
}

static void begin(unsigned data, unsigned arbiters)
{
    struct base_name name = name_of("main");
    (void)base_canary_select(getenv("QUORATE_CANARY"));
    memset(&w, 0, sizeof(w));
    memset(&mon, 0, sizeof(mon));
    w.now.us = 1000 * S;
    arb_cluster_init(&w.c, &name);
    lead(5);
    mon.seed_members = data + arbiters;
    mon.concern = MSG_MONGODB_CONCERN_IMPLICIT_MAJORITY;
    for (unsigned n = 1; n <= data + arbiters; n++) {
        mon.m[n] = (struct mon_member){.exists = true,
                                       .is_arbiter = n > data,
                                       .priority = n > data ? 0 : 1,
                                       .ts = UINT64_C(1000) << 32,
                                       .lag_ms = 100};
    }
    mon.committed_ts = UINT64_C(1000) << 32;
}

void mon_blank(unsigned data, unsigned arbiters)
{
    begin(data, arbiters);
}

void mon_running(unsigned data, unsigned arbiters)
{
    begin(data, arbiters);
    mon.has_set_id = true;
    mon.term = 3;
    mon.config = (struct msg_mongodb_version){3, 7};
    mon.primary = 1;
    mon.concern = MSG_MONGODB_CONCERN_SET_MAJORITY;
    for (unsigned n = 1; n <= data + arbiters; n++) {
        mon.m[n].is_in = mon.m[n].has_data = true;
        mon.m[n].votes = 1;
        mon.m[n].priority_x10 = n > data ? 0 : 10;
    }
    mon_pass(3);
}

void mon_request(struct arb_request r)
{
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &r});
}

struct arb_request mon_about(enum arb_request_kind kind, const char *member)
{
    struct arb_request r = {.kind = kind};
    if (member != NULL) {
        r.candidate = name_of(member);
    }
    return r;
}

bool mon_is_open(enum msg_mongodb_order_kind kind)
{
    return mon_order()->state == MSG_MONGODB_ORDER_OPEN && mon_order()->kind == kind;
}

bool mon_is_idle(void)
{
    return mon_order()->state != MSG_MONGODB_ORDER_OPEN;
}

int mon_setup(void **state)
{
    (void)state;
    mon_running(3, 0);
    return 0;
}
