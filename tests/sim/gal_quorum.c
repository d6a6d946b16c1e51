/* SPDX-License-Identifier: Apache-2.0 */
/* Views of the modelled Galera group: which component is Primary, whose state it goes on with. */
#include "base/assert.h"
#include "tests/sim/gal_inner.h"
#include "tests/sim/members.h"
#include "tests/sim/truth_gal.h"

/* --- lineages --- */

bool wsrep_is_by_hand(const struct world *w, uint32_t lineage)
{
    return lineage < WSREP_LINEAGES_MAX && w->galera->is_by_hand[lineage];
}

uint32_t wsrep_lineage_new(struct world *w, bool is_by_hand)
{
    uint32_t lineage = ++w->galera->lineages;
    BASE_ASSERT(lineage < WSREP_LINEAGES_MAX);
    w->galera->is_by_hand[lineage] = is_by_hand;
    return lineage;
}

/* --- views --- */

void wsrep_view_make(struct world *w, uint32_t members, struct wsrep_view *ret)
{
    *ret = (struct wsrep_view){.id = ++w->galera->views, .members = members};
    FOR_PLACES(w, place)
    {
        ret->weight[place] = place == WSREP_ARBITRATOR ? 1 : (uint8_t)wsrep_of(w, place)->weight;
    }
}

/* Without a component: statements fail, a transfer is broken off. */
static void loses_primary(struct wsrep *g, bool was_primary)
{
    wsrep_transfer_ends(g);
    g->state = WSREP_INIT;
    if (was_primary) {
        wsrep_waits_fail(g, true);
    }
    wsrep_set_phase(g, g->phase);
}

static void enters_primary(struct world *w, struct wsrep *g, bool has_state)
{
    struct wsrep_directory *d = &g->dir;
    uint32_t servers = g->peer.view.members & ~bit(WSREP_ARBITRATOR);
    d->is_safe = servers == bit(g->member);
    d->has_gvwstate = true;
    d->gvwstate = g->peer.view;
    truth_gal_component(w, g);
    g->data_lineage = has_state ? g->peer.view.lineage : g->data_lineage;
    if (has_state && g->state != WSREP_DONOR) {
        g->state = WSREP_SYNCED;
        wsrep_set_phase(g, g->phase == WSREP_STOPPING ? WSREP_STOPPING : WSREP_OPEN);
    } else if (!has_state && g->state != WSREP_JOINER) {
        g->state = WSREP_JOINER;
        wsrep_transfer(g);
    } else if (!has_state && g->donor >= 0 &&
               (g->peer.view.members & bit((unsigned)g->donor)) == 0) {
        wsrep_transfer_ends(g); /* its donor is gone: it gives up */
        wsrep_exit(g, 256);
    }
    wsrep_waits_look(g);
}

/* These have that view from now on; those of `with_state` go on with what they have. */
static void install(struct world *w, const struct wsrep_view *view, uint32_t with_state)
{
    trace(w, TRACE_GALERA_VIEW, view->members, view->is_primary, view->conf_id, view->lineage);
    FOR_PLACES(w, place)
    {
        struct wsrep_peer *peer = wsrep_peer_of(w, place);
        bool was_primary = peer->view.is_primary;
        if ((view->members & bit(place)) == 0) {
            continue;
        }
        peer->view = *view;
        peer->missing = 0;
        peer->silent_us = peer->due_us = 0;
        peer->last = view->is_primary ? *view : peer->last;
        if (place == WSREP_ARBITRATOR) {
            continue;
        }
        if (!view->is_primary) {
            loses_primary(wsrep_of(w, place), was_primary);
        } else {
            bool is_joining = was_primary && wsrep_of(w, place)->state == WSREP_JOINER;
            enters_primary(w, wsrep_of(w, place), (with_state & bit(place)) != 0 && !is_joining);
        }
    }
}

/* The new component has a state: that of those who bring one. */
static void take_state(struct world *w, uint32_t from, uint32_t members)
{
    uint32_t uuid = WSREP_UUID_NIL;
    FOR_PLACES(w, place)
    {
        if (place != WSREP_ARBITRATOR && (from & bit(place)) != 0) {
            uuid = wsrep_of(w, place)->uuid;
        }
    }
    FOR_PLACES(w, place)
    {
        if (place != WSREP_ARBITRATOR && (members & bit(place)) != 0) {
            wsrep_of(w, place)->uuid = uuid;
        }
    }
}

static void install_primary(struct world *w, const struct wsrep_view *from, uint32_t with_state,
                            uint32_t members)
{
    struct wsrep_view view;
    wsrep_view_make(w, members, &view);
    view.is_primary = true;
    view.conf_id = from->conf_id + 1;
    view.lineage = from->lineage;
    take_state(w, with_state, members);
    install(w, &view, with_state);
}

static void install_non_primary(struct world *w, uint32_t members)
{
    struct wsrep_view view;
    wsrep_view_make(w, members, &view);
    install(w, &view, 0);
}

/* --- quorum --- */

/* Those of the set who are in that Primary view still. */
static uint32_t holders_of(struct world *w, const struct wsrep_view *v, uint32_t set)
{
    uint32_t holders = 0;
    FOR_PLACES(w, place)
    {
        const struct wsrep_peer *peer = wsrep_peer_of(w, place);
        bool is_in = (set & v->members & bit(place)) != 0;
        holders |= is_in && peer->view.is_primary && peer->view.id == v->id ? bit(place) : 0;
    }
    return holders;
}

static bool has_quorum(const struct wsrep_view *v, uint32_t holders)
{
    return 2 * wsrep_weight(v, holders) > wsrep_weight(v, v->members & ~v->left);
}

/* Somebody of them has a complete state: joiners alone are no Primary component, whatever their
 * weight (Galera: "no node with complete state"). */
static bool has_state(struct world *w, uint32_t set)
{
    FOR_PLACES(w, place)
    {
        bool is_server = place != WSREP_ARBITRATOR && (set & bit(place)) != 0;
        enum wsrep_state state = is_server ? wsrep_of(w, place)->state : WSREP_INIT;
        if (state == WSREP_SYNCED || state == WSREP_DONOR) {
            return true;
        }
    }
    return false;
}

/* A Primary view with quorum in this set, with a greater id than `below`... the greatest; NULL. */
static const struct wsrep_view *quorate(struct world *w, uint32_t set, uint64_t below)
{
    const struct wsrep_view *best = NULL;
    FOR_PLACES(w, place)
    {
        const struct wsrep_view *v = &wsrep_peer_of(w, place)->view;
        bool is_asked = (set & bit(place)) != 0 && v->is_primary && v->id < below;
        if (is_asked && (best == NULL || v->id > best->id) &&
            has_quorum(v, holders_of(w, v, set)) && has_state(w, holders_of(w, v, set))) {
            best = v;
        }
    }
    return best;
}

/* All of the last Primary view are together again, and none of them has had another since. */
static const struct wsrep_view *all_of_last(struct world *w, uint32_t set)
{
    const struct wsrep_view *last = NULL;
    FOR_PLACES(w, place)
    {
        const struct wsrep_view *v = &wsrep_peer_of(w, place)->last;
        if ((set & bit(place)) != 0 && v->id != 0 && (last == NULL || v->id > last->id)) {
            last = v;
        }
    }
    if (last == NULL || (last->members & ~last->left & ~set) != 0) {
        return NULL;
    }
    FOR_PLACES(w, place)
    {
        bool is_of_it = (last->members & ~last->left & bit(place)) != 0;
        if (is_of_it && wsrep_peer_of(w, place)->last.id != last->id) {
            return NULL;
        }
    }
    return last;
}

static int64_t position_of(const struct wsrep *g)
{
    return g->dir.seqno + (int64_t)wsrep_queue_len(g);
}

/* Formed anew without anybody's word. Where one of them was started without its position, nobody's
 * is compared, nothing is transferred, and the history has no name any more. */
static void form_anew(struct world *w, const struct wsrep_view *last, uint32_t set)
{
    uint32_t bringing = last->members & ~last->left & set & ~bit(WSREP_ARBITRATOR), with_state = 0;
    bool is_known = true;
    int64_t best = -1;
    struct wsrep_view from = *last;
    FOR_PLACES(w, place)
    {
        if ((bringing & bit(place)) == 0) {
            continue;
        }
        const struct wsrep *g = wsrep_of(w, place);
        if (g->phase == WSREP_WAITING && !g->is_restored) {
            bringing &= ~bit(place); /* its transfer was broken off: it has no state */
            continue;
        }
        is_known = is_known && (g->phase != WSREP_WAITING || g->start.has_position);
        best = position_of(g) > best ? position_of(g) : best;
    }
    FOR_PLACES(w, place)
    {
        if ((bringing & bit(place)) != 0) {
            struct wsrep *g = wsrep_of(w, place);
            with_state |= !is_known || position_of(g) == best ? bit(place) : 0;
            g->uuid = is_known ? g->uuid : WSREP_UUID_NIL;
            g->dir.uuid = g->uuid;
            g->dir.seqno = is_known ? g->dir.seqno : 0;
        }
    }
    if (with_state == 0) {
        install_non_primary(w, set);
        return;
    }
    from.conf_id = is_known ? from.conf_id : UINT64_MAX; /* 0 afterwards */
    install_primary(w, &from, with_state, set);
}

/* Two components with quorum: they stay apart, and whoever has none joins the newer one. */
static void stay_apart(struct world *w, const struct wsrep_view *newer, uint32_t set)
{
    for (const struct wsrep_view *older = quorate(w, set, newer->id); older != NULL;
         older = quorate(w, set, older->id)) {
        uint32_t there = holders_of(w, older, set), here = set & ~there;
        FOR_PLACES(w, place)
        {
            wsrep_peer_of(w, place)->apart |= (there & bit(place)) != 0  ? here
                                              : (here & bit(place)) != 0 ? there
                                                                         : 0;
        }
        if (there != older->members) {
            struct wsrep_view from = *older;
            install_primary(w, &from, there, there);
            return; /* views have moved: look again */
        }
        set &= ~there;
    }
    uint32_t holders = holders_of(w, newer, set);
    struct wsrep_view from = *newer;
    install_primary(w, &from, holders, set);
}

void wsrep_reconfigure(struct world *w, uint32_t set)
{
    const struct wsrep_view *best = quorate(w, set, UINT64_MAX);
    if (best != NULL && quorate(w, set, best->id) != NULL) {
        stay_apart(w, best, set);
        return;
    }
    if (best != NULL) {
        struct wsrep_view from = *best;
        install_primary(w, &from, holders_of(w, best, set), set);
        return;
    }
    const struct wsrep_view *last = all_of_last(w, set);
    if (last != NULL) {
        form_anew(w, last, set);
    } else {
        install_non_primary(w, set);
    }
}

void wsrep_weigh(struct wsrep *g, unsigned weight)
{
    g->weight = weight;
    FOR_PLACES(g->world, place)
    {
        struct wsrep_peer *peer = wsrep_peer_of(g->world, place);
        if (peer->view.id == g->peer.view.id) {
            peer->view.weight[g->member] = (uint8_t)weight;
            peer->last.weight[g->member] = (uint8_t)weight;
        }
    }
}

void wsrep_bootstrap(struct wsrep *g, uint32_t members, uint32_t with_state, uint64_t conf_id)
{
    struct wsrep_view from = {.conf_id = conf_id};
    from.lineage = wsrep_lineage_new(g->world, g->start.is_by_hand);
    truth_gal_bootstrap(g->world, g, from.lineage, members);
    install_primary(g->world, &from, with_state, members);
}

bool wsrep_pc_bootstrap(struct wsrep *g, bool is_by_hand)
{
    if (!wsrep_is_awake(g) || g->phase != WSREP_OPEN || wsrep_is_primary(g)) {
        return false;
    }
    uint32_t members = 0;
    FOR_PLACES(g->world, place)
    {
        bool is_same = wsrep_peer_of(g->world, place)->view.id == g->peer.view.id;
        members |= is_same && (g->peer.view.members & bit(place)) != 0 ? bit(place) : 0;
    }
    g->start.is_by_hand = is_by_hand;
    uint32_t with_state = 0;
    FOR_PLACES(g->world, place)
    {
        bool is_server = place != WSREP_ARBITRATOR && (members & bit(place)) != 0;
        with_state |= is_server && wsrep_of(g->world, place)->phase == WSREP_OPEN &&
                              position_of(wsrep_of(g->world, place)) == position_of(g)
                          ? bit(place)
                          : 0;
    }
    wsrep_bootstrap(g, members, with_state, g->peer.last.conf_id);
    g->start.is_by_hand = false;
    return true;
}
