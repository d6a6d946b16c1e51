/* SPDX-License-Identifier: Apache-2.0 */
/* Statements at a modelled Galera member. */
#include "tests/sim/gal.h"
#include "tests/sim/members.h"
#include "tests/sim/net.h"
#include "tests/sim/truth_gal.h"

#define FLOW_LIMIT 16

/* wsrep_ready, and nobody is turned away. */
bool wsrep_is_ready(const struct wsrep *g)
{
    bool is_ready = wsrep_is_primary(g) && (g->state == WSREP_SYNCED || g->state == WSREP_DONOR);
    return wsrep_is_awake(g) && g->phase == WSREP_OPEN && is_ready &&
           g->reject == WSREP_REJECT_NONE;
}

/* A read_only that waits for a commit lets nobody else in. */
bool wsrep_is_writable(const struct wsrep *g)
{
    return wsrep_is_ready(g) && !g->is_read_only && !g->is_read_only_wanted;
}

enum wsrep_answer wsrep_select(const struct wsrep *g, uint32_t *ret_count)
{
    *ret_count = g->dir.count;
    if (!wsrep_is_awake(g)) {
        return WSREP_HANGS;
    }
    return wsrep_is_ready(g) ? WSREP_OK : WSREP_REFUSED;
}

/* Somebody's queue is too long. */
bool wsrep_is_flow_paused(const struct world *w, const struct wsrep *g)
{
    for (unsigned i = wsrep_first(w); i < wsrep_end(w); i++) {
        const struct wsrep *other = &w->members->list[i].gal;
        bool is_counted = other->peer.view.id == g->peer.view.id && other->state == WSREP_SYNCED;
        if (is_counted && wsrep_queue_len(other) > FLOW_LIMIT) {
            return true;
        }
    }
    return false;
}

void wsrep_answer(const struct wsrep *g, const struct wsrep_wait *wait, enum sql_outcome outcome)
{
    if (wait->client != 0) {
        sql_answer(g->world, g->member, wait->client, wait->request, outcome);
    }
}

/* In one order, at one moment, to every member of the component. */
static void replicate(struct wsrep *g, struct wsrep_wait *wait)
{
    struct world *w = g->world;
    struct wsrep_row row = {.value = wait->value,
                            .writer = g->member,
                            .lineage = g->peer.view.lineage,
                            .seqno = g->dir.seqno + (int64_t)wsrep_queue_len(g) + 1};
    wait->row = wsrep_row_make(w, &row);
    truth_gal_commit(w, g, wait->row);
    uint32_t number = wait->row;
    for (unsigned i = wsrep_first(w); i < wsrep_end(w); i++) {
        if ((g->peer.view.members >> i & 1) != 0 &&
            wsrep_of(w, i)->peer.view.id == g->peer.view.id) {
            wsrep_queue_push(wsrep_of(w, i), number);
        }
    }
}

void wsrep_waits_look(struct wsrep *g)
{
    bool is_stuck = false;
    if (g->phase != WSREP_OPEN || !wsrep_is_awake(g)) {
        return;
    }
    for (unsigned i = 0; i < g->waits_count; i++) {
        struct wsrep_wait *wait = &g->waits[i];
        if (wait->row == 0 && wsrep_can_replicate(g) && !wsrep_is_flow_paused(g->world, g)) {
            replicate(g, wait);
        }
        is_stuck = is_stuck || wait->row == 0;
    }
    if (!is_stuck && g->is_read_only_wanted && !g->is_read_only) {
        g->is_read_only = true;
        truth_gal_note(g->world, g);
    }
}

void wsrep_waits_fail(struct wsrep *g, bool is_known)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < g->waits_count; i++) {
        if (is_known && g->waits[i].row != 0) {
            g->waits[kept++] = g->waits[i]; /* it is in the queue */
        } else if (is_known) {
            wsrep_answer(g, &g->waits[i], SQL_REFUSED);
        }
    }
    g->waits_count = kept;
    if (is_known) {
        wsrep_waits_look(g);
    }
}

void wsrep_write(struct wsrep *g, uint64_t value, unsigned client, uint64_t request)
{
    struct wsrep_wait wait = {.value = value, .client = client, .request = request};
    if (!wsrep_is_writable(g) || g->is_read_only_wanted || g->waits_count == WSREP_WAITS_MAX) {
        wsrep_answer(g, &wait, SQL_REFUSED);
        return;
    }
    g->waits[g->waits_count++] = wait;
    wsrep_waits_look(g);
}

/* ALL_KILL cuts sessions; the commit of one that was cut goes on without it. */
void wsrep_reject_set(struct wsrep *g, enum wsrep_reject reject)
{
    g->reject = reject;
    for (unsigned i = 0; i < g->waits_count && reject == WSREP_REJECT_ALL_KILL; i++) {
        wsrep_answer(g, &g->waits[i], SQL_UNKNOWN);
        g->waits[i].client = 0;
    }
    truth_gal_note(g->world, g);
}

bool wsrep_read_only_try(struct wsrep *g, bool is_read_only)
{
    g->is_read_only_wanted = is_read_only;
    if (!is_read_only) {
        g->is_read_only = false;
        truth_gal_note(g->world, g);
        return true;
    }
    wsrep_waits_look(g);
    return g->is_read_only;
}
