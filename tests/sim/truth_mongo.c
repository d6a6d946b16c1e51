/* SPDX-License-Identifier: Apache-2.0 */
/* See the header. */
#include "tests/sim/truth_mongo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/driver.h"
#include "base/name.h"
#include "tests/sim/members.h"
#include "tests/sim/mongo.h"
#include "tests/sim/net.h"
#include "tests/sim/truth.h"
#include "tests/sim/truth_inner.h"
#include "tests/sim/truth_mongo_inner.h"

void truth_mongo_open(struct world *w)
{
    w->truth_mongo = must_alloc(1, sizeof(*w->truth_mongo));
    struct truth_mongo *t = w->truth_mongo;
    t->kill_policy_us = t->stepdown_policy_us = -1;
    t->said_by = -1;
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        t->sick_us[i] = t->writable_us[i] = -1;
        t->fenced_us[i] = -PLAN_US - 1;
    }
}

void truth_mongo_close(struct world *w)
{
    free(w->truth_mongo);
    w->truth_mongo = NULL;
}

const char *truth_mongo_name(const struct world *w, unsigned member)
{
    return w->members->list[member].name.text;
}

/* --- what happens in the set --- */

static void is_lawful(struct world *w, unsigned member)
{
    struct mset_truth truth;
    struct truth_mongo *t = truth_of(w);
    mset_truth(w->mongo->set, &truth);
    if (truth.initiations > 1) {
        world_fail(w, INVARIANT_MONGODB_INITIATE, "%s is initiated, and the set was before",
                   truth_mongo_name(w, member));
    }
    if (truth.twice_won > 0 && !truth.is_forced && !t->is_spoiled) {
        world_fail(w, INVARIANT_MONGODB_TERM, "%s is elected in a term that another one has won",
                   truth_mongo_name(w, member));
    }
}

/* Whoever takes writes has all that was told to be safe, unless a person gave it up, or votes were
 * forgotten. */
static void has_all(struct world *w, unsigned member)
{
    struct mset_truth truth;
    struct truth_mongo *t = truth_of(w);
    mset_truth(w->mongo->set, &truth);
    uint64_t lost = mset_judge(w->mongo->set, mongo_node(w, member));
    if (lost > t->lost && !truth.is_forced && !t->is_spoiled) {
        world_fail(w, INVARIANT_MONGODB_LOST,
                   "%s takes writes without %lu of %lu writes that the majority had acknowledged",
                   truth_mongo_name(w, member), (unsigned long)lost,
                   (unsigned long)truth.majority_acked);
    }
    t->lost = lost;
}

void truth_mongo_event(struct world *w, unsigned member, enum mset_event_kind kind, uint64_t a,
                       uint64_t b)
{
    (void)a;
    (void)b;
    w->tally.mongodb_elections += kind == MSET_EV_ELECTED;
    w->tally.mongodb_rollbacks += kind == MSET_EV_ROLLBACK;
    w->tally.mongodb_syncs += kind == MSET_EV_SYNC_DONE;
    is_lawful(w, member);
    if (kind == MSET_EV_WRITABLE) {
        has_all(w, member);
    }
}

static bool hear_each_other(const struct world *w, unsigned a, unsigned b)
{
    return a == b || (!net_is_cut(w, ADDRESS_DB + a, ADDRESS_DB + b) &&
                      !net_is_cut(w, ADDRESS_DB + b, ADDRESS_DB + a));
}

static bool runs(const struct world *w, unsigned member)
{
    const struct process *p = &w->members->list[member].tree;
    return p->is_up && p->stopped == 0;
}

/* Votes of the newest configuration that this member and those that it hears have, who ran within
 * that time. */
static bool has_majority(struct world *w, unsigned member, const struct mset_config *c,
                         int64_t within_us)
{
    struct mset_majorities of;
    unsigned votes = 0;
    mset_majorities(c, &of);
    for (unsigned i = 0; i < c->count; i++) {
        int node = mset_by_host(w->mongo->set, c->members[i].host.text);
        unsigned other = mongo_first(w) + (unsigned)(node < 0 ? 0 : node);
        bool is_there = node >= 0 && w->now_us - truth_of(w)->ran_us[other] <= within_us &&
                        hear_each_other(w, member, other);
        votes += is_there && !c->members[i].is_newly_added ? c->members[i].votes : 0;
    }
    return runs(w, member) && votes >= of.vote;
}

bool truth_mongo_config(struct world *w, struct mset_config *ret)
{
    struct mset_config c;
    bool has = false;
    for (unsigned i = 0; i < w->setup.mongodb_members; i++) {
        if (mset_config_get(w->mongo->set, i, &c, NULL) == 0 &&
            (!has || mset_version_order(&c.version, &ret->version) > 0)) {
            *ret = c;
            has = true;
        }
    }
    return has;
}

static void look_at(struct world *w, unsigned member, int primary, const struct mset_config *c)
{
    struct truth_mongo *t = truth_of(w);
    unsigned node = mongo_node(w, member);
    if (mset_is_writable(w->mongo->set, node)) {
        struct mset_hello h;
        mset_hello(w->mongo->set, node, &h);
        t->writable_us[member] = w->now_us;
        t->writable_term[member] = h.election_term;
    }
    bool is_sick = mset_is_sick(w->mongo->set, node);
    if (is_sick || !has_majority(w, member, c, 0)) {
        t->sick_us[member] = w->now_us;
    }
    if (!is_sick && has_majority(w, member, c, EVIDENCE_US)) {
        t->majority_us = w->now_us;
    }
    if (primary >= 0 && runs(w, member) &&
        hear_each_other(w, member, mongo_first(w) + (unsigned)primary)) {
        t->linked_us[member] = w->now_us;
    }
    if (mset_frozen_until(w->mongo->set, node) > w->now_us + FREEZE_MAX_US) {
        world_fail(w, INVARIANT_MONGODB_FROZEN, "%s stays frozen for more than 60 s",
                   truth_mongo_name(w, member));
    }
}

void truth_mongo_look(struct world *w)
{
    struct mset_config c;
    uint64_t term;
    if (!truth_mongo_config(w, &c)) {
        return;
    }
    int primary = mset_primary(w->mongo->set, &term);
    for (unsigned i = mongo_first(w); i < mongo_end(w); i++) {
        truth_of(w)->down_us[i] =
            w->members->list[i].tree.is_up ? truth_of(w)->down_us[i] : w->now_us;
        truth_of(w)->ran_us[i] = runs(w, i) ? w->now_us : truth_of(w)->ran_us[i];
    }
    for (unsigned i = mongo_first(w); i < mongo_end(w); i++) {
        look_at(w, i, primary, &c);
    }
}

/* --- what agents do --- */

static bool is_opted(const struct world *w, int64_t policy_us)
{
    return policy_us >= 0 && w->now_us - policy_us < POLICY_US;
}

static const struct ordered *ordered(const struct truth_mongo *t, uint64_t epoch)
{
    const struct ordered *o = &t->orders[epoch % ORDERS_MAX];
    return epoch != 0 && o->order.epoch == epoch ? o : NULL;
}

/* By opt-in alone, and of a member that is or just was cut off, or whose disk does nothing. */
static void is_by_opt_in(struct world *w, unsigned member, bool is_kill)
{
    const struct truth_mongo *t = truth_of(w);
    bool is_allowed =
        is_opted(w, t->kill_policy_us) || (!is_kill && is_opted(w, t->stepdown_policy_us));
    w->tally.mongodb_alone++;
    if (!is_allowed) {
        world_fail(w, is_kill ? INVARIANT_MONGODB_KILL : INVARIANT_MONGODB_TOUCHED,
                   "%s is %s without an order, and nobody has allowed it",
                   truth_mongo_name(w, member), is_kill ? "killed" : "told to step down");
    }
    if (t->sick_us[member] < 0 || w->now_us - t->sick_us[member] > SICK_US) {
        world_fail(w, INVARIANT_MONGODB_TOUCHED,
                   "%s is %s without an order, and was well: neither cut off nor stuck",
                   truth_mongo_name(w, member), is_kill ? "killed" : "told to step down");
    }
}

static void is_ordered(struct world *w, unsigned member, const struct db_order *order)
{
    const struct truth_mongo *t = truth_of(w);
    const struct ordered *o = ordered(t, order->epoch);
    const struct agt *agent = agt_driver_agent(w->members->list[member].agent);
    if (o == NULL) {
        world_fail(w, INVARIANT_MONGODB_EPOCH, "%s carries out an order of epoch %lu that is none",
                   truth_mongo_name(w, member), (unsigned long)order->epoch);
    }
    if (order->epoch < agent->disk.epoch_seen) {
        world_fail(w, INVARIANT_MONGODB_EPOCH,
                   "%s carries out an order of epoch %lu, and has seen epoch %lu",
                   truth_mongo_name(w, member), (unsigned long)order->epoch,
                   (unsigned long)agent->disk.epoch_seen);
    }
    int64_t from_us = o->at_us > t->elected_us ? o->at_us : t->elected_us;
    if (w->now_us - from_us > (int64_t)o->order.limit_ms * MS + LATE_US) {
        world_fail(w, INVARIANT_MONGODB_EPOCH,
                   "%s carries out the order of epoch %lu %ld s after it was given, its limit is "
                   "%u ms",
                   truth_mongo_name(w, member), (unsigned long)order->epoch,
                   (long)((w->now_us - o->at_us) / SECOND), o->order.limit_ms);
    }
}

/* Never two of one token, never one of two tokens at once. */
static void is_forced_once(struct world *w, unsigned member, const struct db_order *order)
{
    struct truth_mongo *t = truth_of(w);
    struct ordered *o = &t->orders[order->epoch % ORDERS_MAX];
    w->tally.mongodb_forced++;
    if (o->order.kind != MSG_MONGODB_ORDER_FORCE || o->was_forced_sent) {
        world_fail(w, INVARIANT_MONGODB_FORCED, "%s forces a configuration in epoch %lu %s",
                   truth_mongo_name(w, member), (unsigned long)order->epoch,
                   o->was_forced_sent ? "once more" : "that nobody has ordered");
    }
    o->was_forced_sent = true;
    for (unsigned i = 0; i < ORDERS_MAX; i++) {
        const struct ordered *other = &t->orders[i];
        if (other != o && other->was_forced_sent && other->token == o->token) {
            world_fail(w, INVARIANT_MONGODB_FORCED,
                       "%s forces a configuration by a token that was "
                       "used in epoch %lu",
                       truth_mongo_name(w, member), (unsigned long)other->order.epoch);
        }
    }
}

static void is_one_step(struct world *w, unsigned member, const struct mset_command *command)
{
    struct mset_config before;
    if (mset_config_get(w->mongo->set, mongo_node(w, member), &before, NULL) != 0) {
        return;
    }
    for (unsigned i = 0; i < command->config.count; i++) {
        const struct mset_member *m = &command->config.members[i];
        for (unsigned j = 0; j < before.count; j++) {
            const struct mset_member *was = &before.members[j];
            if (was->id == m->id && was->votes == 0 && m->votes > 0 && m->priority_x10 > 0) {
                world_fail(w, INVARIANT_MONGODB_STEPS,
                           "%s gives %s its vote and a priority in one step",
                           truth_mongo_name(w, member), m->host.text);
            }
        }
    }
}

void truth_mongo_sent(struct world *w, unsigned member, const struct db_order *order,
                      const struct mset_command *command)
{
    trace(w, TRACE_MONGODB_SENT, member, (uint64_t)order->kind, order->epoch,
          (uint64_t)order->mongodb.change);
    w->tally.mongodb_sent++;
    if (command->kind == MSET_SHUTDOWN) {
        truth_mongo_ends(w, &w->members->list[member]);
        return;
    }
    if (order->epoch == 0) {
        is_by_opt_in(w, member, false);
        return;
    }
    is_ordered(w, member, order);
    if (command->kind == MSET_RECONFIG && command->is_forced) {
        is_forced_once(w, member, order);
    } else if (command->kind == MSET_RECONFIG) {
        is_one_step(w, member, command);
    }
}

static bool is_end_ordered(const struct truth_mongo *t, const struct member *m)
{
    static const enum msg_mongodb_order_kind kinds[] = {
        MSG_MONGODB_ORDER_KILL, MSG_MONGODB_ORDER_RESYNC, MSG_MONGODB_ORDER_RESTART};
    for (size_t k = 0; k < ORDERS_MAX; k++) {
        const struct msg_mongodb_order *o = &t->orders[k].order;
        bool is_ours = o->epoch != 0 && base_name_equal(&o->member, &m->name) &&
                       m->world->now_us - t->orders[k].at_us < 300 * SECOND;
        for (size_t i = 0; is_ours && i < BASE_COUNT_OF(kinds); i++) {
            if (o->kind == kinds[i]) {
                return true;
            }
        }
    }
    return false;
}

void truth_mongo_ends(struct world *w, const struct member *m)
{
    if (!m->is_mongodb || !m->tree.is_up) {
        return;
    }
    struct truth_mongo *t = truth_of(w);
    const struct agt *agent = agt_driver_agent(m->agent);
    trace(w, TRACE_MONGODB_KILL, m->index, 0, 0, 0);
    if (is_end_ordered(t, m) || agent->disk.mongodb.barred_epoch != 0) {
        return;
    }
    w->tally.mongodb_kills++;
    is_by_opt_in(w, m->index, true);
}

void truth_mongo_starts(struct world *w, unsigned member)
{
    const struct member *m = &w->members->list[member];
    truth_of(w)->down_us[member] = w->now_us;
    bool is_barred = m->agent != NULL && m->agent_process.is_up &&
                     agt_driver_agent(m->agent)->disk.mongodb.barred_epoch != 0;
    if (is_barred && mset_has_directory(w->mongo->set, mongo_node(w, member))) {
        world_fail(w, INVARIANT_MONGODB_BARRED, "mongod of %s starts, and is barred until wiped",
                   truth_mongo_name(w, member));
    }
}

/* Of one that is not stale there may go what only it and a lost one had. */
void truth_mongo_wiped(struct world *w, unsigned member)
{
    struct truth_mongo *t = truth_of(w);
    uint64_t term;
    int primary = mset_primary(w->mongo->set, &term);
    uint64_t lost = primary >= 0 ? mset_judge(w->mongo->set, (unsigned)primary) : 1;
    t->is_held[member] = false;
    if (lost > t->lost) {
        t->is_spoiled = true; /* it was the only one that had it: known, and judged by others */
    }
}

void truth_mongo_elected(struct world *w)
{
    if (mongo_exists(w)) {
        truth_of(w)->elected_us = w->now_us;
    }
}

void truth_mongo_spoiled(struct world *w)
{
    truth_of(w)->is_spoiled = true;
}

/* An agent that says that its mongod is down says that it is dead, too. */
void truth_mongo_heard(struct world *w, unsigned member)
{
    if (w->members->list[member].tree.is_up) {
        truth_of(w)->heard_us[member] = w->now_us;
    }
}

void truth_mongo_report(struct world *w, const struct member *m, const struct msg_report *report)
{
    const struct msg_mongodb_report *r = &report->mongodb;
    char text[200];
    if (w->is_tracing) {
        (void)snprintf(text, sizeof(text),
                       "reports state %d data %d writable %d term %lu config %lu/%lu known %d "
                       "committed %d order %lu/%u done %d status %d barred %lu",
                       (int)r->state, r->has_data, r->is_writable, (unsigned long)r->term,
                       (unsigned long)r->config.term, (unsigned long)r->config.version,
                       r->is_config_known, r->is_config_committed, (unsigned long)r->order_epoch,
                       r->order_phase, r->is_order_done, r->order_status,
                       (unsigned long)r->barred_epoch);
        trace_text(w, ADDRESS_AGENT + m->index, text);
    }
}

/* --- clients --- */

void truth_mongo_primary_said(struct world *w, unsigned member)
{
    struct truth_mongo *t = truth_of(w);
    struct mset_truth truth;
    int64_t at_us = t->writable_us[member];
    mset_truth(w->mongo->set, &truth);
    if (at_us < 0 || w->now_us - at_us > HELLO_US) {
        world_fail(w, INVARIANT_MONGODB_PRIMARY,
                   "%s says that it is primary, and was that %ld ms ago at the latest",
                   truth_mongo_name(w, member), at_us < 0 ? -1L : (long)((w->now_us - at_us) / MS));
    }
    uint64_t term = t->writable_term[member];
    bool is_other = term == t->said_term && t->said_by != (int)member;
    if (is_other && !truth.is_forced && !t->is_spoiled) {
        world_fail(w, INVARIANT_MONGODB_PRIMARY, "%s and %s say that they are primary of term %lu",
                   truth_mongo_name(w, member), truth_mongo_name(w, (unsigned)t->said_by),
                   (unsigned long)term);
    }
    t->said_term = term;
    t->said_by = (int)member;
}

void truth_mongo_acked(struct world *w, unsigned member)
{
    (void)member;
    truth_of(w)->acked_us = w->now_us;
}

/* --- the end --- */

const struct mset_member *truth_mongo_in(struct world *w, const struct mset_config *c,
                                         const struct base_name *name)
{
    struct mset_host host;
    int member = member_by_name(w, name);
    if (member < 0) {
        return NULL;
    }
    mongo_host((unsigned)member, &host);
    for (unsigned i = 0; i < c->count; i++) {
        if (strcmp(c->members[i].host.text, host.text) == 0) {
            return &c->members[i];
        }
    }
    return NULL;
}

static void all_are_in(struct world *w)
{
    struct mset_config c;
    bool has = truth_mongo_config(w, &c);
    for (unsigned i = mongo_first(w); i < mongo_end(w); i++) {
        const struct base_name *name = &w->members->list[i].name;
        const struct mset_member *m = has ? truth_mongo_in(w, &c, name) : NULL;
        enum mset_state state = mset_state_of(w->mongo->set, mongo_node(w, i));
        bool is_well = state == MSET_PRIMARY || state == MSET_SECONDARY || state == MSET_ARBITER;
        if (m == NULL || m->votes == 0 || !is_well) {
            world_fail(w, INVARIANT_LIVENESS, "%s is %s the set at the end, %s, in state %d",
                       name->text, m == NULL ? "not in" : "in",
                       m != NULL && m->votes > 0 ? "votes" : "does not vote", (int)state);
        }
    }
}

void truth_mongo_end(struct world *w)
{
    const struct truth_mongo *t = truth_of(w);
    uint64_t term;
    int primary = mset_primary(w->mongo->set, &term);
    if (t->is_spoiled) {
        return; /* the only copy may be gone: for people */
    }
    if (primary < 0 || t->acked_us < w->setup.end_us - 15 * SECOND) {
        world_fail(w, INVARIANT_LIVENESS,
                   "the set takes no majority write %ld s after the last fault",
                   (long)((w->setup.end_us - w->setup.faults_end_us) / SECOND));
    }
    has_all(w, mongo_first(w) + (unsigned)primary);
    if (t->record.order.state == MSG_MONGODB_ORDER_OPEN &&
        w->now_us - t->orders[t->record.order.epoch % ORDERS_MAX].at_us > 60 * SECOND) {
        world_fail(w, INVARIANT_LIVENESS, "order %d of epoch %lu is still open",
                   (int)t->record.order.kind, (unsigned long)t->record.order.epoch);
    }
    all_are_in(w);
}
