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

#define ORDERS_MAX 512
#define POLICY_US (60 * SECOND) /* a former opt-in may still be the last that an agent knows */
#define SICK_US (30 * SECOND)   /* so long ago a set was not healthy: what is done about it */
#define HELLO_US (3200 * MS)    /* 3 s, by a clock that may drift */
#define FREEZE_MAX_US (60 * SECOND + 600 * MS)
#define DEAD_US (110 * SECOND) /* 120 s by clocks that may drift, and by what was heard last */
#define LATE_US (5 * SECOND)   /* an order's limit, and what was on its way */

/* An order as the log has it. */
struct ordered {
    struct msg_mongodb_order order;
    uint64_t token;
    int64_t given_us, at_us; /* its phase was given then */
    bool was_forced_sent;
};

struct truth_mongo {
    struct ordered orders[ORDERS_MAX]; /* by epoch % ORDERS_MAX */
    struct msg_mongodb_record record;  /* the newest */
    uint64_t epoch;
    int64_t kill_policy_us, stepdown_policy_us; /* the log had such an opt-in then; -1 never */
    int64_t writable_us[MEMBERS_MAX];           /* it was, then, in ... */
    uint64_t writable_term[MEMBERS_MAX];
    uint64_t said_term;
    int said_by;                    /* who has said 200 for that term */
    int64_t sick_us[MEMBERS_MAX];   /* then it was cut off, or its disk did nothing; -1 never */
    int64_t heard_us[MEMBERS_MAX];  /* some node has heard its agent */
    int64_t linked_us[MEMBERS_MAX]; /* it ran, and the primary and it heard each other */
    int64_t majority_us;            /* then a majority of voters could hear each other */
    int64_t acked_us;
    bool is_held[MEMBERS_MAX]; /* left out by force, and not wiped since */
    bool is_spoiled;           /* a directory forgot its vote */
    uint64_t lost;
};

static struct truth_mongo *truth_of(const struct world *w)
{
    return w->truth_mongo;
}

void truth_mongo_open(struct world *w)
{
    w->truth_mongo = must_alloc(1, sizeof(*w->truth_mongo));
    struct truth_mongo *t = w->truth_mongo;
    t->kill_policy_us = t->stepdown_policy_us = -1;
    t->said_by = -1;
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        t->sick_us[i] = t->writable_us[i] = -1;
    }
}

void truth_mongo_close(struct world *w)
{
    free(w->truth_mongo);
    w->truth_mongo = NULL;
}

static const char *name_of(const struct world *w, unsigned member)
{
    return w->members->list[member].name.text;
}

static struct mset *set_of(const struct world *w)
{
    return w->mongo->set;
}

/* --- what happens in the set --- */

static void is_lawful(struct world *w, unsigned member)
{
    struct mset_truth truth;
    struct truth_mongo *t = truth_of(w);
    mset_truth(set_of(w), &truth);
    if (truth.initiations > 1) {
        world_fail(w, INVARIANT_MONGODB_INITIATE, "%s is initiated, and the set was before",
                   name_of(w, member));
    }
    if (truth.twice_won > 0 && !truth.is_forced && !t->is_spoiled) {
        world_fail(w, INVARIANT_MONGODB_TERM, "%s is elected in a term that another one has won",
                   name_of(w, member));
    }
}

/* Whoever takes writes has all that was told to be safe, unless a person gave it up, or votes were
 * forgotten. */
static void has_all(struct world *w, unsigned member)
{
    struct mset_truth truth;
    struct truth_mongo *t = truth_of(w);
    mset_truth(set_of(w), &truth);
    uint64_t lost = mset_judge(set_of(w), mongo_node(w, member));
    if (lost > t->lost && !truth.is_forced && !t->is_spoiled) {
        world_fail(w, INVARIANT_MONGODB_LOST,
                   "%s takes writes without %lu of %lu writes that the majority had acknowledged",
                   name_of(w, member), (unsigned long)lost, (unsigned long)truth.majority_acked);
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

/* Votes of the newest configuration that this member and those that it hears have. */
static bool has_majority(struct world *w, unsigned member, const struct mset_config *c)
{
    struct mset_majorities of;
    unsigned votes = 0;
    mset_majorities(c, &of);
    for (unsigned i = 0; i < c->count; i++) {
        int node = mset_by_host(set_of(w), c->members[i].host.text);
        unsigned other = mongo_first(w) + (unsigned)(node < 0 ? 0 : node);
        bool is_there = node >= 0 && runs(w, other) && hear_each_other(w, member, other);
        votes += is_there && !c->members[i].is_newly_added ? c->members[i].votes : 0;
    }
    return runs(w, member) && votes >= of.vote;
}

static bool newest_config(struct world *w, struct mset_config *ret)
{
    struct mset_config c;
    bool has = false;
    for (unsigned i = 0; i < w->setup.mongodb_members; i++) {
        if (mset_config_get(set_of(w), i, &c, NULL) == 0 &&
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
    if (mset_is_writable(set_of(w), node)) {
        struct mset_hello h;
        mset_hello(set_of(w), node, &h);
        t->writable_us[member] = w->now_us;
        t->writable_term[member] = h.election_term;
    }
    if (mset_is_sick(set_of(w), node) || !has_majority(w, member, c)) {
        t->sick_us[member] = w->now_us;
    } else {
        t->majority_us = w->now_us;
    }
    if (primary >= 0 && runs(w, member) &&
        hear_each_other(w, member, mongo_first(w) + (unsigned)primary)) {
        t->linked_us[member] = w->now_us;
    }
    if (mset_frozen_until(set_of(w), node) > w->now_us + FREEZE_MAX_US) {
        world_fail(w, INVARIANT_MONGODB_FROZEN, "%s stays frozen for more than 60 s",
                   name_of(w, member));
    }
}

void truth_mongo_look(struct world *w)
{
    struct mset_config c;
    uint64_t term;
    if (!newest_config(w, &c)) {
        return;
    }
    int primary = mset_primary(set_of(w), &term);
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
                   "%s is %s without an order, and nobody has allowed it", name_of(w, member),
                   is_kill ? "killed" : "told to step down");
    }
    if (t->sick_us[member] < 0 || w->now_us - t->sick_us[member] > SICK_US) {
        world_fail(w, INVARIANT_MONGODB_TOUCHED,
                   "%s is %s without an order, and was well: neither cut off nor stuck",
                   name_of(w, member), is_kill ? "killed" : "told to step down");
    }
}

static void is_ordered(struct world *w, unsigned member, const struct db_order *order)
{
    const struct truth_mongo *t = truth_of(w);
    const struct ordered *o = ordered(t, order->epoch);
    const struct agt *agent = agt_driver_agent(w->members->list[member].agent);
    if (o == NULL) {
        world_fail(w, INVARIANT_MONGODB_EPOCH, "%s carries out an order of epoch %lu that is none",
                   name_of(w, member), (unsigned long)order->epoch);
    }
    if (order->epoch < agent->disk.epoch_seen) {
        world_fail(w, INVARIANT_MONGODB_EPOCH,
                   "%s carries out an order of epoch %lu, and has seen epoch %lu",
                   name_of(w, member), (unsigned long)order->epoch,
                   (unsigned long)agent->disk.epoch_seen);
    }
    if (w->now_us - o->at_us > (int64_t)o->order.limit_ms * MS + LATE_US) {
        world_fail(w, INVARIANT_MONGODB_EPOCH,
                   "%s carries out the order of epoch %lu %ld s after it was given, its limit is "
                   "%u ms",
                   name_of(w, member), (unsigned long)order->epoch,
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
                   name_of(w, member), (unsigned long)order->epoch,
                   o->was_forced_sent ? "once more" : "that nobody has ordered");
    }
    o->was_forced_sent = true;
    for (unsigned i = 0; i < ORDERS_MAX; i++) {
        const struct ordered *other = &t->orders[i];
        if (other != o && other->was_forced_sent && other->token == o->token) {
            world_fail(w, INVARIANT_MONGODB_FORCED,
                       "%s forces a configuration by a token that was "
                       "used in epoch %lu",
                       name_of(w, member), (unsigned long)other->order.epoch);
        }
    }
}

static void is_one_step(struct world *w, unsigned member, const struct mset_command *command)
{
    struct mset_config before;
    if (mset_config_get(set_of(w), mongo_node(w, member), &before, NULL) != 0) {
        return;
    }
    for (unsigned i = 0; i < command->config.count; i++) {
        const struct mset_member *m = &command->config.members[i];
        for (unsigned j = 0; j < before.count; j++) {
            const struct mset_member *was = &before.members[j];
            if (was->id == m->id && was->votes == 0 && m->votes > 0 && m->priority_x10 > 0) {
                world_fail(w, INVARIANT_MONGODB_STEPS,
                           "%s gives %s its vote and a priority in one step", name_of(w, member),
                           m->host.text);
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
    bool is_barred = m->agent != NULL && m->agent_process.is_up &&
                     agt_driver_agent(m->agent)->disk.mongodb.barred_epoch != 0;
    if (is_barred && mset_has_directory(set_of(w), mongo_node(w, member))) {
        world_fail(w, INVARIANT_MONGODB_BARRED, "mongod of %s starts, and is barred until wiped",
                   name_of(w, member));
    }
}

/* Of one that is not stale there may go what only it and a lost one had. */
void truth_mongo_wiped(struct world *w, unsigned member)
{
    struct truth_mongo *t = truth_of(w);
    uint64_t term;
    int primary = mset_primary(set_of(w), &term);
    uint64_t lost = primary >= 0 ? mset_judge(set_of(w), (unsigned)primary) : 1;
    t->is_held[member] = false;
    if (lost > t->lost) {
        t->is_spoiled = true; /* it was the only one that had it: known, and judged by others */
    }
}

void truth_mongo_spoiled(struct world *w)
{
    truth_of(w)->is_spoiled = true;
}

void truth_mongo_heard(struct world *w, unsigned member)
{
    truth_of(w)->heard_us[member] = w->now_us;
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

/* --- the log --- */

static void may_be_given(struct world *w, const struct msg_record *old,
                         const struct msg_record *new)
{
    struct truth_mongo *t = truth_of(w);
    const struct msg_mongodb_order *o = &new->mongodb.order;
    if (old->mongodb.order.state == MSG_MONGODB_ORDER_OPEN) {
        world_fail(w, INVARIANT_MONGODB_ONE_ORDER,
                   "epoch %lu gives an order while that of %lu is "
                   "open",
                   (unsigned long)new->epoch, (unsigned long)old->epoch);
    }
    if (o->epoch != new->epoch || new->epoch != old->epoch + 1) {
        world_fail(w, INVARIANT_MONGODB_EPOCH, "an order of epoch %lu stands in a record of %lu",
                   (unsigned long)o->epoch, (unsigned long)new->epoch);
    }
    if (o->kind == MSG_MONGODB_ORDER_INITIATE && old->mongodb.is_initiated) {
        world_fail(w, INVARIANT_MONGODB_INITIATE, "epoch %lu has the set initiated again",
                   (unsigned long)new->epoch);
    }
    bool needs_majority =
        o->kind != MSG_MONGODB_ORDER_INITIATE && o->kind != MSG_MONGODB_ORDER_FORCE &&
        o->kind != MSG_MONGODB_ORDER_RESYNC && o->kind != MSG_MONGODB_ORDER_RESTART;
    if (needs_majority && w->now_us - t->majority_us > 20 * SECOND) {
        world_fail(w, INVARIANT_MONGODB_MINORITY,
                   "epoch %lu gives order %d, and no majority of the set has heard each other for "
                   "%ld s",
                   (unsigned long)new->epoch, (int)o->kind,
                   (long)((w->now_us - t->majority_us) / SECOND));
    }
}

/* Its token is out, was given before, and is spent with it. */
static void is_by_token(struct world *w, const struct msg_record *old, const struct msg_record *new)
{
    const struct truth_mongo *t = truth_of(w);
    const struct msg_mongodb_force *f = &old->mongodb.force;
    if (new->mongodb.order.kind != MSG_MONGODB_ORDER_FORCE) {
        return;
    }
    for (unsigned i = 0; i < ORDERS_MAX; i++) {
        const struct ordered *other = &t->orders[i];
        if (other->order.kind == MSG_MONGODB_ORDER_FORCE && other->token == f->token) {
            world_fail(w, INVARIANT_MONGODB_FORCED,
                       "epoch %lu forces a configuration by the token that epoch %lu has used",
                       (unsigned long)new->epoch, (unsigned long)other->order.epoch);
        }
    }
    if (f->token == 0 || f->given_epoch >= new->epoch ||
        new->mongodb.force.done_epoch != new->epoch) {
        world_fail(w, INVARIANT_MONGODB_FORCED,
                   "epoch %lu forces a configuration, and no token of a person allows it",
                   (unsigned long)new->epoch);
    }
}

/* Votes are taken of who is dead by the primary's word and by its agent's silence. */
static void is_dead(struct world *w, const struct msg_record *new)
{
    const struct truth_mongo *t = truth_of(w);
    const struct msg_mongodb_order *o = &new->mongodb.order;
    int member = member_by_name(w, &o->subject);
    if (o->kind != MSG_MONGODB_ORDER_UNVOTE || member < 0) {
        return;
    }
    for (unsigned i = 0; i < new->mongodb.leaving.count; i++) {
        if (base_name_equal(&new->mongodb.leaving.names[i], &o->subject)) {
            return;
        }
    }
    int64_t seen_us =
        t->heard_us[member] > t->linked_us[member] ? t->heard_us[member] : t->linked_us[member];
    if (w->now_us - seen_us < DEAD_US) {
        world_fail(w, INVARIANT_MONGODB_DEAD,
                   "epoch %lu takes the vote of %s, which was there %ld s ago",
                   (unsigned long)new->epoch, name_of(w, (unsigned)member),
                   (long)((w->now_us - seen_us) / SECOND));
    }
}

static const struct mset_member *in_config(struct world *w, const struct mset_config *c,
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

/* What the log calls done can be seen in the set. Configurations may have moved on since. */
static void is_done(struct world *w, const struct msg_record *new)
{
    const struct truth_mongo *t = truth_of(w);
    const struct msg_mongodb_order *o = &new->mongodb.order;
    struct mset_config c;
    bool has = newest_config(w, &c), is_seen = true;
    const struct mset_member *m = has ? in_config(w, &c, &o->subject) : NULL;
    int member = member_by_name(w, &o->subject);
    if (o->kind == MSG_MONGODB_ORDER_INITIATE) {
        is_seen = has;
    } else if (o->kind == MSG_MONGODB_ORDER_ADD) {
        is_seen = m != NULL;
    } else if (o->kind == MSG_MONGODB_ORDER_VOTE) {
        is_seen = m != NULL && m->votes == 1;
    } else if (o->kind == MSG_MONGODB_ORDER_UNVOTE) {
        is_seen = m != NULL && m->votes == 0;
    } else if (o->kind == MSG_MONGODB_ORDER_REMOVE) {
        is_seen = m == NULL;
    } else if (o->kind == MSG_MONGODB_ORDER_SWITCHOVER && member >= 0) {
        is_seen = t->writable_us[member] >= t->orders[o->epoch % ORDERS_MAX].given_us;
    }
    if (!is_seen) {
        world_fail(w, INVARIANT_MONGODB_DONE,
                   "the log calls order %d of epoch %lu done, and it is "
                   "not",
                   (int)o->kind, (unsigned long)o->epoch);
    }
}

static void note_policy(struct world *w, const struct msg_record *new)
{
    struct truth_mongo *t = truth_of(w);
    const struct msg_mongodb_policy *p = &new->mongodb.policy;
    bool is_kill = p->cut_off == MSG_MONGODB_CUT_OFF_KILL || p->gray == MSG_MONGODB_GRAY_KILL;
    if (is_kill) {
        t->kill_policy_us = INT64_MAX / 4;
    } else if (t->kill_policy_us == INT64_MAX / 4) {
        t->kill_policy_us = w->now_us;
    }
    bool is_step = p->cut_off != MSG_MONGODB_CUT_OFF_REPORT || p->gray != MSG_MONGODB_GRAY_REPORT;
    if (is_step) {
        t->stepdown_policy_us = INT64_MAX / 4;
    } else if (t->stepdown_policy_us == INT64_MAX / 4) {
        t->stepdown_policy_us = w->now_us;
    }
}

/* Who was left out by force comes back with empty hands alone. */
static void is_wiped_first(struct world *w, const struct msg_record *new)
{
    struct truth_mongo *t = truth_of(w);
    for (unsigned i = mongo_first(w); i < mongo_end(w); i++) {
        bool is_listed = false;
        for (unsigned k = 0; k < new->mongodb.barred.count; k++) {
            is_listed |= base_name_equal(&new->mongodb.barred.names[k], &w->members->list[i].name);
        }
        if (t->is_held[i] && !is_listed && mset_has_directory(set_of(w), mongo_node(w, i))) {
            world_fail(w, INVARIANT_MONGODB_BARRED,
                       "%s was left out by force and is let in again, and nobody has wiped it",
                       name_of(w, i));
        }
        t->is_held[i] = is_listed;
    }
}

void truth_mongo_record(struct world *w, const struct msg_record *old, const struct msg_record *new)
{
    struct truth_mongo *t = truth_of(w);
    const struct msg_mongodb_order *o = &new->mongodb.order;
    bool is_new =
        o->epoch != old->mongodb.order.epoch ||
        (o->state == MSG_MONGODB_ORDER_OPEN && old->mongodb.order.state != MSG_MONGODB_ORDER_OPEN);
    bool is_ended = o->state != old->mongodb.order.state || is_new;
    note_policy(w, new);
    is_wiped_first(w, new);
    if (is_new && o->epoch != 0) {
        may_be_given(w, old, new);
        is_dead(w, new);
        is_by_token(w, old, new);
        t->orders[o->epoch % ORDERS_MAX] =
            (struct ordered){*o, old->mongodb.force.token, w->now_us, w->now_us, false};
        w->tally.mongodb_orders++;
    }
    if (is_new || o->phase != old->mongodb.order.phase || is_ended) {
        trace(w, TRACE_MONGODB_RECORD, new->epoch, (uint64_t)o->kind, o->phase, (uint64_t)o->state);
    }
    if (o->phase != old->mongodb.order.phase) {
        t->orders[o->epoch % ORDERS_MAX].at_us = w->now_us; /* a phase has its own time */
    }
    if (is_ended && o->state == MSG_MONGODB_ORDER_DONE) {
        w->tally.mongodb_done++;
        is_done(w, new);
    }
    w->tally.mongodb_failed += is_ended && o->state == MSG_MONGODB_ORDER_FAILED;
    t->record = new->mongodb;
    t->epoch = new->epoch;
}

/* --- clients --- */

void truth_mongo_primary_said(struct world *w, unsigned member)
{
    struct truth_mongo *t = truth_of(w);
    struct mset_truth truth;
    int64_t at_us = t->writable_us[member];
    mset_truth(set_of(w), &truth);
    if (at_us < 0 || w->now_us - at_us > HELLO_US) {
        world_fail(w, INVARIANT_MONGODB_PRIMARY,
                   "%s says that it is primary, and was that %ld ms ago at the latest",
                   name_of(w, member), at_us < 0 ? -1L : (long)((w->now_us - at_us) / MS));
    }
    uint64_t term = t->writable_term[member];
    bool is_other = term == t->said_term && t->said_by != (int)member;
    if (is_other && !truth.is_forced && !t->is_spoiled) {
        world_fail(w, INVARIANT_MONGODB_PRIMARY, "%s and %s say that they are primary of term %lu",
                   name_of(w, member), name_of(w, (unsigned)t->said_by), (unsigned long)term);
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

static void all_are_in(struct world *w)
{
    struct mset_config c;
    bool has = newest_config(w, &c);
    for (unsigned i = mongo_first(w); i < mongo_end(w); i++) {
        const struct base_name *name = &w->members->list[i].name;
        const struct mset_member *m = has ? in_config(w, &c, name) : NULL;
        enum mset_state state = mset_state_of(set_of(w), mongo_node(w, i));
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
    int primary = mset_primary(set_of(w), &term);
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
