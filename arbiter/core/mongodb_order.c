/* SPDX-License-Identifier: Apache-2.0 */
/* MongoDB: what each member is told beside the record: whether its mongod shall run, how much time
 * the open order has left, whether the others are well enough for a primary to be given up.
 */
#include "arbiter/core/mongodb_internal.h"
#include "arbiter/core/names.h"
#include "base/name.h"

/* It had no agent when it was left out by force: its data are of the other side. */
static bool is_stranger_left_out(const struct arb_cluster *c, const struct arb_view *view)
{
    struct msg_mongodb_host host = arb_mongodb_host(c, view);
    return arb_mongodb_has_data(&view->report) &&
           mdb_hosts_has(&c->record.mongodb.barred_hosts, &host);
}

static enum msg_mongodb_goal goal_of(const struct arb_cluster *c, const struct arb_view *view)
{
    const struct msg_mongodb_record *r = &c->record.mongodb;
    bool is_left_out = r->force.token != 0 && r->force.given_epoch == c->record.epoch &&
                       arb_names_has(&r->force.lost, &view->member);
    if (view->refused != ARB_REFUSE_NONE || arb_is_unconfirmed(c) || arb_view_ahead(c) != NULL) {
        return MSG_MONGODB_GOAL_HOLD;
    }
    if (c->record.epoch == 0) {
        /* Empty: so that it can be initiated. With data, and never led by anybody (else it is ahead
         * of this record): as its host would start it, nobody can have left it out by force. */
        bool may_run = !arb_mongodb_has_data(&view->report) || c->restore_id == 0;
        return may_run ? MSG_MONGODB_GOAL_RUN : MSG_MONGODB_GOAL_KEEP;
    }
    if (arb_names_has(&r->barred, &view->member) || is_stranger_left_out(c, view)) {
        return MSG_MONGODB_GOAL_BAR;
    }
    return c->record.is_paused || is_left_out ? MSG_MONGODB_GOAL_HOLD : MSG_MONGODB_GOAL_RUN;
}

/* By this leadership's clock, since it knows of the order's phase. */
static uint32_t time_left_ms(const struct arb_cluster *c, struct base_mono now)
{
    const struct msg_mongodb_order *o = &c->record.mongodb.order;
    const struct arb_mongodb *m = &c->mongodb;
    if (!arb_mongodb_is_open(&c->record) || c->record.is_paused) {
        return 0;
    }
    bool is_known = m->has_order && m->order_epoch == o->epoch && m->order_phase == o->phase;
    uint32_t gone_ms = is_known ? arb_mongodb_since_ms(now, m->order_since) : 0;
    return gone_ms < o->limit_ms ? o->limit_ms - gone_ms : 0;
}

void arb_mongodb_order(const struct arb_cluster *c, const struct arb_view *view,
                       struct base_mono now, struct msg_order *order)
{
    struct arb_sight s;
    arb_mongodb_look(c, now, &s);
    uint8_t at = arb_mongodb_peer(c, &s, &view->member);
    order->mongodb.goal = goal_of(c, view);
    if (order->mongodb.goal == MSG_MONGODB_GOAL_RUN ||
        order->mongodb.goal == MSG_MONGODB_GOAL_BAR) {
        order->mongodb.order_left_ms = time_left_ms(c, now);
    }
    order->mongodb.is_majority_elsewhere =
        at != MDB_NOBODY && mdb_is_majority_elsewhere(&s.set, s.opinions, at);
}
