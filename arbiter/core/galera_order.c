/* SPDX-License-Identifier: Apache-2.0 */
/* Galera: what each member shall do, beside the writer's goal that every engine has.
 *
 * A member starts only when it is told to join, one at a time; it bootstraps only as the node of
 * the grant in the record. While no Primary component is heard of, nothing is started: a node that
 * waits for others who never come neither serves nor listens.
 */
#include "arbiter/core/galera_internal.h"
#include "base/canary.h"
#include "base/name.h"

static bool is_named(const struct base_name *name, const struct arb_view *view)
{
    return base_name_equal(name, &view->member);
}

/* Primary, and not with those whom the record means: formed by nobody's grant, or left over from an
 * older generation. Where each of two has a right stamp and neither is in the other's view, the one
 * that is not with the holder. */
static bool is_out_of_line(const struct arb_cluster *c, const struct arb_view *view,
                           struct base_mono now)
{
    const struct msg_galera_report *r = &view->report.galera;
    uint8_t holder = arb_view_find(c, &c->record.holder);
    bool is_known = holder != ARB_NOBODY && arb_galera_is_in(c, &c->views[holder], now);
    uint8_t at = is_known ? holder : arb_galera_reference(c, now);
    if (r->state == MSG_GALERA_SUSPECT_NIL) {
        return true;
    }
    bool is_serving = r->state == MSG_GALERA_SYNCED || r->state == MSG_GALERA_DONOR ||
                      r->state == MSG_GALERA_STALLED;
    if (!r->is_primary || !is_serving || c->record.galera.generation == 0) {
        return false;
    }
    if (!gal_is_member(&c->record.galera, r)) {
        return true;
    }
    return at != ARB_NOBODY && !is_named(&c->views[at].member, view) &&
           !gal_view_has(&r->view, &c->views[at].member) &&
           !gal_view_has(&c->views[at].report.galera.view, &view->member);
}

/* The node of a grant is Primary by it before the record says so. */
bool arb_galera_is_rogue(const struct arb_cluster *c, const struct arb_view *view,
                         struct base_mono now)
{
    bool is_by_grant = gal_is_granting(&c->record.galera) &&
                       view->report.galera.generation == c->record.galera.grant.generation;
    return is_out_of_line(c, view, now) && !is_by_grant;
}

/* A recovery is under way, and this member is not the one that starts. */
static enum msg_galera_goal goal_in_recovery(const struct arb_cluster *c,
                                             const struct arb_view *view)
{
    const struct arb_galera *g = &c->galera;
    enum msg_galera_state state = view->report.galera.state;
    bool is_stopped_so =
        state == MSG_GALERA_NONPRIM || state == MSG_GALERA_JOINING || state == MSG_GALERA_STALLED;
    bool is_in_the_way = g->has_verdict && g->verdict.why == GAL_NOT_FENCED &&
                         is_named(&g->verdict.member, view) && is_stopped_so;
    return is_in_the_way ? MSG_GALERA_GOAL_WAIT : MSG_GALERA_GOAL_INHIBIT;
}

/* It joins by itself, or has: unless it may have what the bootstrap has not. */
static enum msg_galera_goal goal_of_running(const struct msg_galera_record *g,
                                            const struct arb_view *view)
{
    const struct msg_galera_report *r = &view->report.galera;
    bool is_known = view->has_outside && view->outside_of == r->generation;
    if (gal_may_merge(g, r, is_known ? view->outside_seqno : -1)) {
        return MSG_GALERA_GOAL_JOIN;
    }
    return r->state == MSG_GALERA_NONPRIM ? MSG_GALERA_GOAL_WAIT : MSG_GALERA_GOAL_REJOIN;
}

static enum msg_galera_goal goal_with_primary(const struct arb_cluster *c,
                                              const struct arb_view *view)
{
    const struct msg_galera_record *g = &c->record.galera;
    const struct msg_galera_report *r = &view->report.galera;
    if (arb_galera_task(&c->record, MSG_TASK_REINIT, &view->member) != NULL) {
        return MSG_GALERA_GOAL_REJOIN;
    }
    if (arb_galera_is_restarted(c, view)) {
        return MSG_GALERA_GOAL_RESTART;
    }
    /* Ending, or not looked at yet: found stopped, it would start by this word, and out of turn. */
    if (r->state == MSG_GALERA_UNKNOWN && !CANARY(GALERA_STARTS_OUT_OF_TURN)) {
        return MSG_GALERA_GOAL_KEEP;
    }
    if (!gal_is_waiting_to_join(r)) {
        return goal_of_running(g, view);
    }
    if (!is_named(&g->sst_joiner, view)) {
        return MSG_GALERA_GOAL_WAIT;
    }
    if (r->state == MSG_GALERA_DOWN && !r->is_position_recovered && !r->is_unreadable &&
        r->generation != g->generation) {
        return MSG_GALERA_GOAL_INHIBIT; /* tells its position, and starts nothing yet */
    }
    return r->state == MSG_GALERA_INCONSISTENT || !gal_is_prefix(g, r) ? MSG_GALERA_GOAL_REJOIN
                                                                       : MSG_GALERA_GOAL_JOIN;
}

static enum msg_galera_goal goal_of(const struct arb_cluster *c, const struct arb_view *view,
                                    struct base_mono now)
{
    const struct msg_galera_record *g = &c->record.galera;
    bool is_held = c->record.epoch == 0 || arb_is_unconfirmed(c) || arb_view_ahead(c) != NULL ||
                   view->refused != ARB_REFUSE_NONE || c->record.is_paused;
    if (is_held) {
        return MSG_GALERA_GOAL_KEEP;
    }
    if (arb_galera_is_rogue(c, view, now)) {
        return MSG_GALERA_GOAL_FENCE;
    }
    if (gal_is_granting(&c->record.galera)) {
        bool is_it = g->grant.state == MSG_GALERA_GRANT_GIVEN && is_named(&g->grant.node, view);
        return is_it ? MSG_GALERA_GOAL_BOOTSTRAP : goal_in_recovery(c, view);
    }
    if (arb_galera_reference(c, now) != ARB_NOBODY) {
        return goal_with_primary(c, view);
    }
    return g->inhibit > g->generation ? goal_in_recovery(c, view) : MSG_GALERA_GOAL_KEEP;
}

void arb_galera_order(const struct arb_cluster *c, const struct arb_view *view,
                      struct base_mono now, struct msg_order *order)
{
    order->galera_goal = goal_of(c, view, now);
    if (order->galera_goal != MSG_GALERA_GOAL_KEEP) {
        order->galera_weight = arb_galera_weight(c, &view->member);
    }
}
