/* SPDX-License-Identifier: Apache-2.0 */
/* Who hears whom, and when that becomes a new view. */
#include "tests/sim/gal_inner.h"
#include "tests/sim/members.h"
#include "tests/sim/net.h"
#include "tests/sim/nodes.h"
#include "tests/sim/truth_gal.h"

#define LOOK_US (100 * MS)
/* Tuned: suspected after 2 s, and a view takes up to one more. */
#define SUSPECT_MIN_US (2100 * MS)
#define SUSPECT_MAX_US (3300 * MS)
/* Somebody who was evicted while it stood still finds out. */
#define BELIEVES_MIN_US (1200 * MS)
#define BELIEVES_MAX_US (6 * SECOND)

struct wsrep_peer *wsrep_peer_of(struct world *w, unsigned place)
{
    return place == WSREP_ARBITRATOR ? &w->galera->arbitrator : &wsrep_of(w, place)->peer;
}

static struct base_rand *rand_of(struct world *w)
{
    return &wsrep_of(w, wsrep_first(w))->rand;
}

static bool is_in_group(const struct wsrep *g)
{
    return g->phase == WSREP_WAITING || g->phase == WSREP_OPEN || g->phase == WSREP_STOPPING;
}

static bool is_present(struct world *w, unsigned place)
{
    if (place == WSREP_ARBITRATOR) {
        const struct process *node = node_process(w, 0);
        return w->setup.has_arbitrator && node->is_up && node->stopped == 0;
    }
    const struct wsrep *g = wsrep_of(w, place);
    return is_in_group(g) && wsrep_is_awake(g);
}

static unsigned address(unsigned place)
{
    return place == WSREP_ARBITRATOR ? ADDRESS_NODE : ADDRESS_DB + place;
}

/* Where frames get through one way alone, no connection lives for long. */
static bool is_linked(struct world *w, unsigned a, unsigned b)
{
    return !net_is_cut(w, address(a), address(b)) && !net_is_cut(w, address(b), address(a));
}

uint32_t wsrep_reach(struct world *w, unsigned place)
{
    uint32_t reached = is_present(w, place) ? bit(place) : 0, before = 0;
    while (reached != before) {
        before = reached;
        FOR_PLACES(w, from)
        {
            FOR_PLACES(w, to)
            {
                bool is_new = (before & bit(from)) != 0 && (reached & bit(to)) == 0;
                if (is_new && is_present(w, to) && is_linked(w, from, to)) {
                    reached |= bit(to);
                }
            }
        }
    }
    return reached;
}

unsigned wsrep_weight(const struct wsrep_view *v, uint32_t set)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < WSREP_PLACES; i++) {
        sum += (set & v->members & bit(i)) != 0 ? v->weight[i] : 0;
    }
    return sum;
}

unsigned wsrep_view_size(const struct wsrep_view *v)
{
    return (unsigned)__builtin_popcount(v->members);
}

bool wsrep_is_primary(const struct wsrep *g)
{
    return is_in_group(g) && g->peer.view.is_primary;
}

/* All of its view hear each other and have the same view, whatever they have noticed so far. */
bool wsrep_can_replicate(const struct wsrep *g)
{
    struct world *w = g->world;
    bool has_state = g->state == WSREP_SYNCED || g->state == WSREP_DONOR;
    if (!wsrep_is_awake(g) || !wsrep_is_primary(g) || !has_state) {
        return false;
    }
    const struct wsrep_view *v = &g->peer.view;
    uint32_t others = v->members & ~v->left, heard = wsrep_reach(w, g->member);
    FOR_PLACES(w, place)
    {
        if ((others & bit(place)) != 0 && wsrep_peer_of(w, place)->view.id != v->id) {
            return false;
        }
    }
    return (others & ~heard) == 0;
}

/* --- when --- */

/* Of the places that it hears, those that have left its view for another. */
static uint32_t moved(struct world *w, const struct wsrep_peer *peer, uint32_t heard)
{
    uint32_t set = 0;
    FOR_PLACES(w, place)
    {
        bool is_asked = (heard & peer->view.members & ~peer->view.left & bit(place)) != 0;
        set |= is_asked && wsrep_peer_of(w, place)->view.id != peer->view.id ? bit(place) : 0;
    }
    return set;
}

static void notice(struct world *w, struct wsrep_peer *peer, uint32_t heard)
{
    int64_t now = w->now_us, due = 0;
    uint32_t missing = peer->view.members & ~peer->view.left & ~heard;
    uint32_t elsewhere = moved(w, peer, heard);
    uint32_t more = heard & ~peer->apart & (~peer->view.members | peer->view.left);
    uint32_t gone = peer->view.members & peer->view.left;
    if ((missing | elsewhere | more | gone) == 0) {
        peer->silent_us = peer->due_us = 0;
        peer->missing = 0;
        return;
    }
    if ((missing & ~peer->missing) != 0) {
        due = now + draw(rand_of(w), SUSPECT_MIN_US, SUSPECT_MAX_US);
    } else if (elsewhere != 0 && peer->due_us == 0) {
        due = now + draw(rand_of(w), BELIEVES_MIN_US, BELIEVES_MAX_US);
    } else if (peer->due_us == 0) {
        due = now + draw(rand_of(w), 200 * MS, 1500 * MS);
    }
    peer->missing = missing;
    peer->due_us = due > peer->due_us ? due : peer->due_us;
    bool is_stuck = (missing | elsewhere) != 0;
    peer->silent_us = !is_stuck ? 0 : peer->silent_us != 0 ? peer->silent_us : now;
}

/* All of them are ready, and one at least needs it. */
static bool is_due(struct world *w, uint32_t set)
{
    bool is_needed = false;
    FOR_PLACES(w, place)
    {
        const struct wsrep_peer *peer = wsrep_peer_of(w, place);
        if ((set & bit(place)) != 0 && peer->due_us > w->now_us) {
            return false;
        }
        is_needed = is_needed || ((set & bit(place)) != 0 && peer->due_us != 0);
    }
    return is_needed;
}

/* Of what it hears, without those that belong to another Primary component. */
static uint32_t together(struct world *w, unsigned place, uint32_t heard)
{
    return heard & ~wsrep_peer_of(w, place)->apart;
}

void wsrep_group_look(struct world *w)
{
    uint32_t done = 0;
    if (w->galera->is_looking) {
        return;
    }
    w->galera->is_looking = true;
    if (!node_process(w, 0)->is_up) { /* garbd remembers nothing */
        w->galera->arbitrator = (struct wsrep_peer){.view = {.members = bit(WSREP_ARBITRATOR)}};
    }
    FOR_PLACES(w, place)
    {
        uint32_t heard = wsrep_reach(w, place);
        if (heard != 0) {
            notice(w, wsrep_peer_of(w, place), heard);
        }
    }
    FOR_PLACES(w, place)
    {
        uint32_t heard = wsrep_reach(w, place), set = heard != 0 ? together(w, place, heard) : 0;
        if ((set & ~done) != 0 && (set & done) == 0 && is_due(w, set)) {
            wsrep_reconfigure(w, set);
        }
        done |= set;
    }
    w->galera->is_looking = false;
    for (unsigned i = wsrep_first(w); i < wsrep_end(w); i++) {
        wsrep_waits_look(wsrep_of(w, i));
    }
}

static void look(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    (void)number;
    (void)bytes;
    wsrep_group_look(w);
    world_at(w, w->now_us + LOOK_US, NULL, look, w);
}

void wsrep_group_open(struct world *w)
{
    w->galera->arbitrator.view.members = bit(WSREP_ARBITRATOR);
    world_at(w, w->now_us + LOOK_US, NULL, look, w);
}

/* --- comings and goings --- */

static void forget_apart(struct world *w, unsigned member)
{
    FOR_PLACES(w, place)
    {
        wsrep_peer_of(w, place)->apart &= ~bit(member);
    }
}

void wsrep_join(struct wsrep *g)
{
    struct world *w = g->world;
    forget_apart(w, g->member);
    g->peer = (struct wsrep_peer){.view = {.members = bit(g->member)}};
    g->state = WSREP_INIT;
    if (g->start.is_new_cluster) {
        g->phase = WSREP_WAITING;
        wsrep_bootstrap(g, bit(g->member), bit(g->member), 0);
        return;
    }
    g->is_restored = g->dir.has_gvwstate;
    if (g->dir.has_gvwstate) {
        g->peer.last = g->dir.gvwstate;
    }
    wsrep_view_make(w, bit(g->member), &g->peer.view);
    wsrep_set_phase(g, WSREP_WAITING);
    wsrep_group_look(w);
}

void wsrep_leave(struct wsrep *g, bool is_orderly)
{
    struct world *w = g->world;
    uint32_t heard = wsrep_reach(w, g->member);
    FOR_PLACES(w, place)
    {
        struct wsrep_peer *peer = wsrep_peer_of(w, place);
        bool is_told = is_orderly && (heard & bit(place)) != 0 && place != g->member;
        if (is_told && peer->view.id == g->peer.view.id) {
            peer->view.left |= bit(g->member);
        }
        if (is_told && peer->last.id == g->peer.last.id) {
            peer->last.left |= bit(g->member);
        }
    }
    forget_apart(w, g->member);
    g->peer = (struct wsrep_peer){.view = {.members = bit(g->member)}};
}
