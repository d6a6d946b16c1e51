/* SPDX-License-Identifier: Apache-2.0 */
/* A Galera member: what follows from the guard's status, the view, the durable state and the order.
 * No effects here. */
#include <string.h>

#include "agents/core/internal.h"
#include "base/canary.h"

static const uint8_t no_uuid[16];

bool agt_is_galera(const struct agt *a)
{
    return a->config.engine == MSG_ENGINE_GALERA;
}

bool agt_galera_is_serving(enum agt_galera_state state)
{
    return state == AGT_GALERA_SYNCED || state == AGT_GALERA_DONOR || state == AGT_GALERA_STALLED;
}

/* --- the present state --- */

static enum agt_galera_state state_gone(const struct agt *a)
{
    const struct db_galera_view *g = &a->view.galera;
    if (a->foreign_views >= AGT_ROGUE_VIEWS) {
        return AGT_GALERA_FOREIGN;
    }
    if (!a->is_gone_seen) {
        return AGT_GALERA_BLIND; /* not looked at since it went down */
    }
    /* A recovery after a broken transfer succeeds, and finds nothing. */
    bool is_nothing = memcmp(g->position.uuid, no_uuid, sizeof(no_uuid)) == 0 ||
                      (g->is_position_recovered && g->position.seqno < 0);
    if (!a->view.has_directory || g->is_transfer_broken || is_nothing) {
        return AGT_GALERA_NEEDS_SST;
    }
    return g->is_position_recovered ? AGT_GALERA_DOWN : AGT_GALERA_UNPROVEN;
}

static enum agt_galera_state state_closed(const struct agt *a, struct base_mono now)
{
    if (a->view.galera.is_transfer_broken) {
        return AGT_GALERA_JOINING; /* a transfer is under way: SQL opens behind it */
    }
    int64_t closed_us = base_mono_diff_us(now, a->galera.root_seen_at);
    return closed_us > AGT_GALERA_CLOSED_US ? AGT_GALERA_WAITING : AGT_GALERA_STARTING;
}

/* A Primary component of somebody else's history: formed from gvwstate.dat, or another cluster. */
static bool is_of_another(const struct agt *a)
{
    const struct db_galera_view *g = &a->view.galera;
    const uint8_t *ours = a->has_order ? a->order.record.galera.uuid : no_uuid;
    if (g->is_nil || memcmp(g->uuid, no_uuid, sizeof(no_uuid)) == 0) {
        return true;
    }
    return memcmp(ours, no_uuid, sizeof(no_uuid)) != 0 &&
           memcmp(ours, g->uuid, sizeof(g->uuid)) != 0;
}

static enum agt_galera_state state_primary(const struct agt *a)
{
    const struct db_galera_view *g = &a->view.galera;
    if (is_of_another(a)) {
        return AGT_GALERA_SUSPECT_NIL;
    }
    /* Behind a desync (a backup, a lock on all tables) it is joined again for a moment, and ready.
     */
    bool is_back_soon = g->local == DB_GALERA_JOINED && g->is_ready && a->galera.has_view;
    if (g->local == DB_GALERA_DONOR || is_back_soon) {
        return AGT_GALERA_DONOR;
    }
    /* Before it is known with whom, the view that is told would be of the life before. */
    if (g->local != DB_GALERA_LOCAL_SYNCED || !g->is_ready || !a->galera.has_view) {
        return AGT_GALERA_JOINING;
    }
    bool is_stalled = !g->is_evs_operational || g->is_flow_paused ||
                      (int64_t)g->stuck_ms * BASE_US_PER_MS > BASE_US_PER_S;
    return is_stalled ? AGT_GALERA_STALLED : AGT_GALERA_SYNCED;
}

static enum agt_galera_state state_running(const struct agt *a, struct base_mono now)
{
    if (!a->has_answered) {
        return state_closed(a, now);
    }
    if (!a->view.is_answering) {
        return AGT_GALERA_STALLED;
    }
    if (a->view.galera.is_inconsistent) {
        return AGT_GALERA_INCONSISTENT;
    }
    if (a->view.galera.is_primary) {
        return state_primary(a);
    }
    bool is_joining = a->view.galera.local == DB_GALERA_JOINER;
    return is_joining ? AGT_GALERA_JOINING : AGT_GALERA_NONPRIM;
}

enum agt_galera_state agt_galera_state_of(const struct agt *a, struct base_mono now)
{
    if (!a->has_guard || !a->has_view) {
        return AGT_GALERA_BLIND;
    }
    switch (a->guard.tree) {
    case GUARD_TREE_GONE:
        return state_gone(a);
    case GUARD_TREE_RUNNING:
        return state_running(a, now);
    case GUARD_TREE_FREEZING:
    case GUARD_TREE_FROZEN:
    case GUARD_TREE_KILLING:
    case GUARD_TREE_ROOT_EXITED:
        return AGT_GALERA_ENDING;
    }
    BASE_UNREACHABLE();
}

bool agt_galera_is_damaged(const struct agt *a, enum agt_galera_state state)
{
    return state == AGT_GALERA_UNPROVEN && a->galera.damages >= AGT_GALERA_DAMAGES;
}

/* --- the goal in force --- */

/* Carried out once: its generation is above that of the data, or it is the one under way. */
const struct msg_galera_grant *agt_galera_grant(const struct agt *a)
{
    const struct msg_galera_grant *g = &a->order.record.galera.grant;
    const struct agt_galera_disk *d = &a->want.galera;
    if (!a->has_order || g->state != MSG_GALERA_GRANT_GIVEN || g->generation == 0 ||
        !base_name_equal(&g->node, &a->config.member) || g->generation < d->inhibit) {
        return NULL;
    }
    bool is_new = g->generation > d->generation && g->generation > d->grant_begun;
    bool is_under_way = g->generation == d->grant_begun && d->grant_done != g->generation;
    return is_new || is_under_way || CANARY(GRANT_CARRIED_OUT_TWICE) ? g : NULL;
}

/* A record of an older history than the data: from a quorum that was restored. */
static bool is_record_older(const struct agt *a)
{
    const struct msg_galera_record *r = &a->order.record.galera;
    uint64_t newest = r->grant.generation > r->generation ? r->grant.generation : r->generation;
    return newest < a->want.galera.generation;
}

/* Nothing is started by an old word: others may have gone on without this member by now, and Galera
 * would let it in by its number. */
static bool is_start_unheard(const struct agt *a)
{
    return a->galera.is_unheard && a->guard.tree == GUARD_TREE_GONE &&
           !CANARY(GALERA_STARTS_UNHEARD);
}

static enum agt_galera_goal goal_of_order(const struct agt *a)
{
    bool is_inhibited =
        a->order.record.galera.generation < a->want.galera.inhibit || is_start_unheard(a);
    switch (a->order.galera_goal) {
    case MSG_GALERA_GOAL_KEEP:
        return AGT_GALERA_GOAL_NONE;
    case MSG_GALERA_GOAL_JOIN:
        return is_inhibited ? AGT_GALERA_GOAL_WAIT : AGT_GALERA_GOAL_JOIN;
    case MSG_GALERA_GOAL_BOOTSTRAP:
        return agt_galera_grant(a) != NULL ? AGT_GALERA_GOAL_BOOTSTRAP : AGT_GALERA_GOAL_INHIBIT;
    case MSG_GALERA_GOAL_INHIBIT:
        return AGT_GALERA_GOAL_INHIBIT;
    case MSG_GALERA_GOAL_FENCE:
        return AGT_GALERA_GOAL_FENCE;
    case MSG_GALERA_GOAL_WAIT:
        return AGT_GALERA_GOAL_WAIT;
    case MSG_GALERA_GOAL_REJOIN:
        return is_inhibited ? AGT_GALERA_GOAL_WAIT : AGT_GALERA_GOAL_REJOIN;
    case MSG_GALERA_GOAL_RESTART:
        return is_inhibited ? AGT_GALERA_GOAL_WAIT : AGT_GALERA_GOAL_RESTART;
    }
    return AGT_GALERA_GOAL_NONE;
}

/* Taken over while it runs: as it is until the first record names its cluster, and for good where
 * its component has another history than the record: another cluster's node, never ours to end. */
static bool is_left_alone(const struct agt *a)
{
    bool is_other = agt_is_taken_over(a) && a->want.galera.generation == 0 && a->has_answered &&
                    a->view.galera.is_primary && is_of_another(a);
    return agt_is_left_running(a) || is_other;
}

enum agt_galera_goal agt_galera_goal_of(const struct agt *a)
{
    if (agt_is_paused(a) || is_left_alone(a)) {
        return AGT_GALERA_GOAL_PAUSED;
    }
    if (a->is_shutdown) {
        return AGT_GALERA_GOAL_SHUTDOWN;
    }
    if (!agt_order_is_in_force(a) || is_record_older(a)) {
        return AGT_GALERA_GOAL_NONE;
    }
    return a->order.goal == MSG_GOAL_REFUSED ? AGT_GALERA_GOAL_REFUSED : goal_of_order(a);
}

/* --- what health checks may say --- */

/* Also at the very moment after a pause of the whole host, before any step was taken. */
bool agt_galera_is_fresh(const struct agt *a, struct base_mono now)
{
    return a->has_answered && a->view.is_answering && a->guard.tree == GUARD_TREE_RUNNING &&
           base_mono_diff_us(now, a->view.galera.asked_at) <= AGT_GALERA_EVIDENCE_US &&
           (base_mono_diff_us(now, a->galera.tick_at) <= AGT_GALERA_GAP_US ||
            CANARY(READER_AFTER_PAUSE));
}

bool agt_galera_is_writer(const struct agt *a, struct base_mono now)
{
    const struct db_galera_view *g = &a->view.galera;
    return agt_is_open(a, now) && agt_galera_is_fresh(a, now) && !g->is_read_only &&
           !g->is_rejecting && !base_mono_before(g->asked_at, a->galera.paused_at);
}

bool agt_galera_is_reader(const struct agt *a, struct base_mono now, bool is_donor_fine)
{
    const struct db_galera_view *g = &a->view.galera;
    enum agt_galera_state state = agt_galera_state_of(a, now);
    bool is_state_fine = state == AGT_GALERA_SYNCED || state == AGT_GALERA_STALLED ||
                         (state == AGT_GALERA_DONOR && is_donor_fine);
    bool is_causal = base_mono_diff_us(now, g->causal_at) <= AGT_GALERA_EVIDENCE_US &&
                     !base_mono_before(g->causal_at, a->galera.paused_at);
    return is_state_fine && agt_galera_is_fresh(a, now) && !g->is_rejecting &&
           (is_causal || CANARY(READER_AFTER_PAUSE)) && !a->stop.is_asked;
}
