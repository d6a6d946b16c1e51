/* SPDX-License-Identifier: Apache-2.0 */
/* Life of a modelled mariadbd. */
#include "tests/sim/gal.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/faults.h"
#include "tests/sim/members.h"
#include "tests/sim/truth_gal.h"

#define WAITS_FOR_PRIMARY_US (34 * SECOND)
#define FLUSH_EVERY_US SECOND

struct wsrep *wsrep_of(struct world *w, unsigned member)
{
    return &w->members->list[member].gal;
}

bool wsrep_exists(const struct world *w)
{
    return w->setup.galera_members > 0;
}

unsigned wsrep_first(const struct world *w)
{
    return w->setup.members;
}

unsigned wsrep_end(const struct world *w)
{
    return w->setup.members + w->setup.galera_members;
}

void wsrep_open(struct world *w)
{
    w->galera = must_alloc(1, sizeof(*w->galera));
    w->galera->rows_count = 1; /* 0 is no row */
    w->galera->next_value = 1;
    if (wsrep_exists(w)) {
        wsrep_group_open(w);
    }
}

void wsrep_close(struct world *w)
{
    free(w->galera->rows);
    free(w->galera);
    w->galera = NULL;
}

void wsrep_init(struct world *w, struct wsrep *g, unsigned member, struct process *process)
{
    g->world = w;
    g->member = member;
    g->rand = world_stream(w, STREAM_GALERA, member);
    g->process = process;
    g->donor = -1;
    g->weight = 1;
    g->dir.file_seqno = g->dir.seqno = -1;
}

void wsrep_free(struct wsrep *g)
{
    free(g->dir.rows);
    free(g->queue);
}

bool wsrep_is_awake(const struct wsrep *g)
{
    return g->process->is_up && g->process->stopped == 0 && g->phase != WSREP_DOWN;
}

void wsrep_set_phase(struct wsrep *g, enum wsrep_phase phase)
{
    g->phase = phase;
    trace(g->world, TRACE_GALERA_STATE, g->member, (uint64_t)phase,
          (uint64_t)g->state + (wsrep_is_primary(g) ? 16 : 0), (uint64_t)g->dir.seqno);
    truth_gal_note(g->world, g);
}

/* --- start --- */

static void waited_in_vain(void *ctx, uint64_t number, struct slice bytes)
{
    struct wsrep *g = ctx;
    (void)number;
    (void)bytes;
    if (g->phase == WSREP_WAITING && !wsrep_is_primary(g) && !g->dir.has_gvwstate) {
        wsrep_exit(g, 256);
    }
}

/* The kernel writes what was only handed to it, or the server hands over what it only had itself.
 */
static void flush(void *ctx, uint64_t number, struct slice bytes)
{
    struct wsrep *g = ctx;
    (void)number;
    (void)bytes;
    g->dir.written = g->dir.flushed = g->dir.count;
    world_at(g->world, g->world->now_us + FLUSH_EVERY_US, g->process, flush, g);
}

/* The position that the group is told; a file that says nothing is no position. */
static void take_position(struct wsrep *g)
{
    struct wsrep_directory *d = &g->dir;
    if (!g->start.has_position) {
        bool is_told = !d->is_grastate_empty && d->file_seqno >= 0;
        g->start.uuid = d->is_grastate_empty ? WSREP_UUID_NIL : d->uuid;
        g->start.seqno = is_told ? d->file_seqno : -1;
        g->start.has_position = is_told;
    }
}

static bool may_bootstrap(const struct wsrep *g)
{
    return g->dir.is_safe || (g->dir.uuid == WSREP_UUID_NIL && !g->dir.is_grastate_empty);
}

/* A history without a name gets one; one that was not told where it stands begins at 0, with all
 * its rows. */
static void take_history(struct wsrep *g)
{
    struct wsrep_directory *d = &g->dir;
    if (d->uuid == WSREP_UUID_NIL && d->count == 0) {
        d->uuid = ++g->world->galera->uuids;
        d->seqno = 0;
    } else if (!g->start.has_position) {
        d->uuid = WSREP_UUID_NIL;
        d->seqno = 0;
    }
    g->uuid = d->uuid;
}

static void loaded(void *ctx, uint64_t number, struct slice bytes)
{
    struct wsrep *g = ctx;
    (void)number;
    (void)bytes;
    if (g->start.is_new_cluster && !may_bootstrap(g)) {
        wsrep_exit(g, 256); /* it may not be safe to bootstrap from this node */
        return;
    }
    take_position(g);
    if (g->start.is_new_cluster) {
        take_history(g);
    }
    g->dir.file_seqno = -1;
    g->uuid = g->dir.uuid;
    wsrep_join(g);
    world_at(g->world, g->world->now_us + WAITS_FOR_PRIMARY_US, g->process, waited_in_vain, g);
}

void wsrep_start(struct wsrep *g)
{
    g->started_us = g->world->now_us;
    g->start = g->prepared;
    g->is_read_only = true; /* as its configuration says */
    g->is_read_only_wanted = true;
    g->reject = WSREP_REJECT_NONE;
    g->is_desynced = g->is_applying = g->is_applier_blocked = g->is_recovered = false;
    g->causal = (struct wsrep_causal){.came_through = BASE_MONO_LONG_AGO};
    g->writable_epoch = 0;
    g->waits_count = 0;
    g->state = WSREP_INIT;
    wsrep_queue_clear(g);
    wsrep_set_phase(g, WSREP_LOADING);
    int64_t us = draw(&g->rand, 100 * MS, chance(&g->rand, 100000) ? 4 * SECOND : 600 * MS);
    world_at(g->world, g->world->now_us + us, g->process, loaded, g);
    world_at(g->world, g->world->now_us + FLUSH_EVERY_US, g->process, flush, g);
}

/* --- end --- */

void wsrep_gone(struct wsrep *g, bool is_power_loss)
{
    if (g->phase == WSREP_DOWN) {
        process_stop(g->process);
        return;
    }
    wsrep_transfer_ends(g);
    wsrep_waits_fail(g, false);
    wsrep_leave(g, false);
    wsrep_crash_data(g, is_power_loss);
    process_stop(g->process);
    g->state = WSREP_INIT;
    wsrep_set_phase(g, WSREP_DOWN);
}

static void gone_by_itself(void *ctx, uint64_t number, struct slice bytes)
{
    struct wsrep *g = ctx;
    (void)bytes;
    if (g->phase != WSREP_DOWN) {
        wsrep_gone(g, false);
    }
    guard_root_exited(&g->world->members->list[g->member], (int)number);
}

void wsrep_exit(struct wsrep *g, int status)
{
    world_at_with(g->world, g->world->now_us + draw(&g->rand, MS, 50 * MS), g->process,
                  gone_by_itself, g, (uint64_t)status, SLICE_EMPTY);
}

static void stopped(void *ctx, uint64_t number, struct slice bytes)
{
    struct wsrep *g = ctx;
    struct wsrep_directory *d = &g->dir;
    (void)number;
    (void)bytes;
    while (wsrep_queue_len(g) > 0 && g->is_applier_blocked) {
        world_at(g->world, g->world->now_us + 500 * MS, g->process, stopped, g);
        return;
    }
    wsrep_transfer_ends(g); /* a view may have made it a joiner while it was stopping */
    wsrep_apply_all(g);
    bool is_last = wsrep_is_primary(g) && wsrep_view_size(&g->peer.view) == 1;
    d->written = d->flushed = d->count;
    wsrep_waits_fail(g, false);
    wsrep_leave(g, true);
    if (!d->is_grastate_empty) {
        d->file_seqno = d->seqno;
        d->is_safe = is_last;
    }
    d->has_gvwstate = false;
    process_stop(g->process);
    g->state = WSREP_INIT;
    wsrep_set_phase(g, WSREP_DOWN);
    wsrep_group_look(g->world);
    guard_root_exited(&g->world->members->list[g->member], 0);
}

void wsrep_signal(struct wsrep *g, int signal_number)
{
    (void)signal_number;
    if (g->phase == WSREP_WAITING || g->phase == WSREP_DOWN || g->phase == WSREP_STOPPING) {
        return; /* waiting for a component it does not listen */
    }
    if (g->phase == WSREP_LOADING) {
        wsrep_exit(g, 0);
        return;
    }
    wsrep_transfer_ends(g);
    wsrep_set_phase(g, WSREP_STOPPING);
    world_at(g->world, g->world->now_us + draw(&g->rand, 500 * MS, 2500 * MS), g->process, stopped,
             g);
}
