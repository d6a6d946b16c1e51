/* SPDX-License-Identifier: Apache-2.0 */
/* MongoDB sets: what may stand in the log, and what must have happened for it. */
#include <string.h>

#include "base/name.h"
#include "tests/sim/members.h"
#include "tests/sim/mongo.h"
#include "tests/sim/truth.h"
#include "tests/sim/truth_mongo_inner.h"

static bool is_named(const struct msg_names *names, const struct base_name *name)
{
    for (unsigned i = 0; i < names->count; i++) {
        if (base_name_equal(&names->names[i], name)) {
            return true;
        }
    }
    return false;
}

/* Allowed by the very record that orders it. */
static void may_be_killed(struct world *w, const struct msg_record *new)
{
    w->tally.mongodb_kills_ordered++;
    if (new->mongodb.policy.gray != MSG_MONGODB_GRAY_KILL) {
        world_fail(w, INVARIANT_MONGODB_KILL, "epoch %lu orders a kill, and nobody has allowed it",
                   (unsigned long)new->epoch);
    }
}

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
        world_fail(
            w, INVARIANT_MONGODB_EPOCH,
            "an order of epoch %lu stands in a record of epoch %lu, and the one before was %lu",
            (unsigned long)o->epoch, (unsigned long)new->epoch, (unsigned long)old->epoch);
    }
    if (o->kind == MSG_MONGODB_ORDER_INITIATE && old->mongodb.is_initiated) {
        world_fail(w, INVARIANT_MONGODB_INITIATE, "epoch %lu has the set initiated again",
                   (unsigned long)new->epoch);
    }
    if (o->kind == MSG_MONGODB_ORDER_VOTE && o->priority_x10 > 0) {
        world_fail(w, INVARIANT_MONGODB_STEPS,
                   "epoch %lu gives %s its vote and a priority in one step",
                   (unsigned long)new->epoch, o->subject.text);
    }
    if (o->kind == MSG_MONGODB_ORDER_KILL) {
        may_be_killed(w, new);
    }
    bool needs_majority =
        o->kind != MSG_MONGODB_ORDER_INITIATE && o->kind != MSG_MONGODB_ORDER_FORCE &&
        o->kind != MSG_MONGODB_ORDER_RESYNC && o->kind != MSG_MONGODB_ORDER_RESTART;
    if (needs_majority && w->now_us - t->majority_us > MINORITY_US) {
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

/* Who may be left out: down a moment ago, as evidence may be as old, or named. */
void truth_mongo_planned(struct world *w, const struct msg_names *destroyed)
{
    struct truth_mongo *t = truth_of(w);
    t->planned_us = w->now_us;
    for (unsigned i = mongo_first(w); i < mongo_end(w); i++) {
        const struct member *m = &w->members->list[i];
        if (is_named(destroyed, &m->name) || !m->tree.is_up ||
            w->now_us - t->down_us[i] < PLAN_US) {
            t->fenced_us[i] = w->now_us;
        }
    }
}

/* Left out are those who were down, or whom a person has named. */
static void is_plan_lawful(struct world *w, const struct msg_mongodb_force *old,
                           const struct msg_mongodb_force *new)
{
    const struct truth_mongo *t = truth_of(w);
    bool is_given = new->token != 0 && new->token != old->token;
    for (unsigned i = 0; is_given && i < new->lost.count; i++) {
        int member = member_by_name(w, &new->lost.names[i]);
        if (member >= 0 && t->planned_us - t->fenced_us[member] > PLAN_US) {
            world_fail(w, INVARIANT_MONGODB_FORCED,
                       "a plan leaves %s out, whose mongod runs, and nobody has named it",
                       new->lost.names[i].text);
        }
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
    if (is_named(&new->mongodb.leaving, &o->subject)) {
        return;
    }
    int64_t seen_us =
        t->heard_us[member] > t->linked_us[member] ? t->heard_us[member] : t->linked_us[member];
    if (w->now_us - seen_us < DEAD_US) {
        world_fail(w, INVARIANT_MONGODB_DEAD,
                   "epoch %lu takes the vote of %s, which was there %ld s ago",
                   (unsigned long)new->epoch, truth_mongo_name(w, (unsigned)member),
                   (long)((w->now_us - seen_us) / SECOND));
    }
}

/* What the log calls done can be seen in the set. Configurations may have moved on since. */
static void is_done(struct world *w, const struct msg_record *new)
{
    const struct truth_mongo *t = truth_of(w);
    const struct msg_mongodb_order *o = &new->mongodb.order;
    struct mset_config c;
    bool has = truth_mongo_config(w, &c), is_seen = true;
    const struct mset_member *m = has ? truth_mongo_in(w, &c, &o->subject) : NULL;
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
        bool is_listed = is_named(&new->mongodb.barred, &w->members->list[i].name);
        if (t->is_held[i] && !is_listed && mset_has_directory(w->mongo->set, mongo_node(w, i))) {
            world_fail(w, INVARIANT_MONGODB_BARRED,
                       "%s was left out by force and is let in again, and nobody has wiped it",
                       truth_mongo_name(w, i));
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
    is_plan_lawful(w, &old->mongodb.force, &new->mongodb.force);
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
        t->orders[o->epoch % ORDERS_MAX].order = *o; /* a phase has its own time, and limit */
        t->orders[o->epoch % ORDERS_MAX].at_us = w->now_us;
    }
    if (is_ended && o->state == MSG_MONGODB_ORDER_DONE) {
        w->tally.mongodb_done++;
        is_done(w, new);
    }
    w->tally.mongodb_failed += is_ended && o->state == MSG_MONGODB_ORDER_FAILED;
    t->record = new->mongodb;
    t->epoch = new->epoch;
}
