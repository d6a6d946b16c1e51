/* SPDX-License-Identifier: Apache-2.0 */
/* See rescue.h. */
#include "tests/sim/rescue.h"

#include "agents/driver.h"
#include <stdlib.h>

#include "tests/sim/members.h"
#include "tests/sim/nodes.h"
#include "tests/sim/truth.h"
#include "tests/sim/truth_ops.h"

#define LOOK_US (500 * MS)
#define PATIENCE_US (3 * SECOND)

struct rescue {
    int64_t waits_since[DB_CLUSTERS_MAX]; /* 0: it does not */
};

/* Words that tell an operator whom the cluster needs, or that he has to choose. */
static bool is_for_operator(const struct arb_note *note)
{
    return note->kind == ARB_NOTE_WAITS_UNFIT || note->kind == ARB_NOTE_WAITS_POSITION ||
           (note->kind == ARB_NOTE_WAITS_FOR_VOTES && note->why == ARB_REFUSE_NOT_USABLE);
}

/* The record's holder or a voter has run read-write by hand, and was not copied since; or the
 * cluster was another's standby, and a change of that met a copy that was half made: its data are
 * elsewhere. */
static bool is_spoiled(struct world *w, unsigned cluster)
{
    const struct db_setup *d = &w->setup.databases[cluster];
    struct msg_record record;
    if (!truth_ops_record(w, cluster, &record)) {
        return false;
    }
    uint32_t needed =
        truth_set(w, &record.voters) | truth_set(w, &(struct msg_names){1, {record.holder}});
    for (unsigned i = d->first; i < d->first + d->members; i++) {
        if ((needed >> i & 1) != 0 && pg_of(w, i)->dir.is_by_hand) {
            return true;
        }
    }
    return record.is_standby_cluster || record.role_epoch != 0;
}

/* Neither spoiled, half made, nor given up for a new copy, by an order that somebody gave before.
 */
static bool is_usable(struct world *w, unsigned member)
{
    const struct pg_directory *dir = &pg_of(w, member)->dir;
    const struct member *m = member_of(w, member);
    bool is_given_up = m->agent != NULL && agt_driver_agent(m->agent)->disk.is_clone_needed;
    return dir->exists && !dir->is_bad && !dir->is_by_hand && dir->count > 0 && !is_given_up;
}

bool rescue_is_hopeless(struct world *w, unsigned cluster)
{
    const struct db_setup *d = &w->setup.databases[cluster];
    struct arb_note note;
    /* After a restore a person names a member, and is told of each why it cannot go on. */
    bool is_told =
        (nodes_waits(w, cluster, &note) && is_for_operator(&note)) || truth_is_unconfirmed(w);
    if (!is_told || !is_spoiled(w, cluster)) {
        return false;
    }
    for (unsigned i = d->first; i < d->first + d->members; i++) {
        if (is_usable(w, i)) {
            return false;
        }
    }
    w->tally.hopeless++;
    return true;
}

static void look(struct world *w, unsigned cluster)
{
    const struct arb_request force = {.kind = ARB_REQUEST_FAILOVER, .is_forced = true};
    int64_t *since = &w->rescue->waits_since[cluster];
    struct arb_note note;
    if (!nodes_waits(w, cluster, &note) || !is_for_operator(&note) || !is_spoiled(w, cluster)) {
        *since = 0;
        return;
    }
    *since = *since == 0 ? w->now_us : *since;
    if (w->now_us - *since >= PATIENCE_US && nodes_request(w, cluster, &force) == 0) {
        trace(w, TRACE_MARK, 62, cluster, note.kind, note.why);
        truth_ops_forced(w, cluster);
        *since = 0;
    }
}

static void tick(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    (void)number;
    (void)bytes;
    for (unsigned i = 0; i < w->setup.clusters; i++) {
        look(w, i);
    }
    world_at(w, w->now_us + LOOK_US, NULL, tick, w);
}

void rescue_open(struct world *w)
{
    w->rescue = must_alloc(1, sizeof(*w->rescue));
    if (w->setup.has_databases) {
        world_at(w, w->setup.faults_end_us + SECOND, NULL, tick, w);
    }
}

void rescue_close(struct world *w)
{
    free(w->rescue);
    w->rescue = NULL;
}
