/* SPDX-License-Identifier: Apache-2.0 */
/* Rows, queues and state transfers of a modelled Galera member. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "tests/sim/faults.h"
#include "tests/sim/gal.h"
#include "tests/sim/members.h"
#include "tests/sim/truth_gal.h"

uint32_t wsrep_row_make(struct world *w, const struct wsrep_row *row)
{
    struct galera *all = w->galera;
    all->rows = must_grow(all->rows, &all->rows_cap, all->rows_count + 1, sizeof(*all->rows));
    all->rows[all->rows_count] = *row;
    return (uint32_t)all->rows_count++;
}

const struct wsrep_row *wsrep_row_of(const struct world *w, uint32_t row)
{
    return &w->galera->rows[row];
}

/* Rows are numbered in the order of their making, and applied in it. */
static bool is_in(const uint32_t *rows, size_t count, uint32_t row)
{
    for (size_t i = count; i > 0 && rows[i - 1] >= row; i--) {
        if (rows[i - 1] == row) {
            return true;
        }
    }
    return false;
}

bool wsrep_has_row(const struct wsrep *g, uint32_t row)
{
    return is_in(g->dir.rows, g->dir.count, row) ||
           is_in(g->queue + g->queue_from, wsrep_queue_len(g), row);
}

void wsrep_directory_make(struct wsrep *g)
{
    struct wsrep_directory *d = &g->dir;
    d->exists = true;
    d->is_grastate_empty = d->is_sst_in_progress = d->is_safe = d->has_gvwstate = false;
    d->uuid = WSREP_UUID_NIL;
    d->file_seqno = d->seqno = -1;
    d->count = d->flushed = d->written = 0;
}

/* --- applying --- */

static void append(struct wsrep *g, uint32_t row)
{
    struct wsrep_directory *d = &g->dir;
    d->rows = must_grow(d->rows, &d->rows_cap, d->count + 1, sizeof(*d->rows));
    d->rows[d->count++] = row;
    d->seqno++;
    unsigned flush = g->world->setup.galera_flush;
    d->written = flush >= 1 ? d->count : d->written;
    d->flushed = flush == 1 ? d->count : d->flushed;
}

size_t wsrep_queue_len(const struct wsrep *g)
{
    return g->queue_to - g->queue_from;
}

void wsrep_queue_clear(struct wsrep *g)
{
    g->queue_from = g->queue_to = 0;
}

static void tell(struct wsrep *g, uint32_t row)
{
    for (unsigned i = 0; i < g->waits_count; i++) {
        struct wsrep_wait *wait = &g->waits[i];
        if (wait->row == row) {
            if (wait->client != 0) {
                truth_gal_ack(g->world, g, row);
                wsrep_answer(g, wait, SQL_ACKNOWLEDGED);
            }
            *wait = g->waits[--g->waits_count];
            return;
        }
    }
}

static void apply_one(struct wsrep *g)
{
    uint32_t row = g->queue[g->queue_from++];
    if (g->queue_from == g->queue_to) {
        wsrep_queue_clear(g);
    }
    append(g, row);
    if (wsrep_row_of(g->world, row)->writer == g->member) {
        tell(g, row);
    }
}

void wsrep_apply_all(struct wsrep *g)
{
    while (wsrep_queue_len(g) > 0) {
        apply_one(g);
    }
}

static void apply(void *ctx, uint64_t number, struct slice bytes)
{
    struct wsrep *g = ctx;
    (void)number;
    (void)bytes;
    g->is_applying = false;
    bool has_state = g->state == WSREP_SYNCED || g->state == WSREP_DONOR || g->state == WSREP_INIT;
    if (wsrep_queue_len(g) > 0 && has_state && !g->is_applier_blocked) {
        apply_one(g);
        wsrep_waits_look(g);
    }
    wsrep_apply_soon(g);
}

void wsrep_apply_soon(struct wsrep *g)
{
    if (g->is_applying || wsrep_queue_len(g) == 0) {
        return;
    }
    g->is_applying = true;
    int64_t us = draw(&g->rand, 300, chance(&g->rand, 20000) ? 300 * MS : 10 * MS);
    bool is_idle = g->is_applier_blocked || g->state == WSREP_JOINER;
    world_at(g->world, g->world->now_us + (is_idle ? 200 * MS : us), g->process, apply, g);
}

void wsrep_queue_push(struct wsrep *g, uint32_t row)
{
    g->queue = must_grow(g->queue, &g->queue_cap, g->queue_to + 1, sizeof(*g->queue));
    g->queue[g->queue_to++] = row;
    wsrep_apply_soon(g);
}

/* What was in the queue is lost here; so is what was not written, or not flushed. */
/* Somebody else has data to go on with: where all copies are gone nothing but a backup helps. */
static bool has_other_copy(struct wsrep *g)
{
    for (unsigned i = wsrep_first(g->world); i < wsrep_end(g->world); i++) {
        const struct wsrep_directory *d = &wsrep_of(g->world, i)->dir;
        if (i != g->member && d->exists && !d->is_damaged && !d->is_sst_in_progress &&
            !d->is_grastate_empty) {
            return true;
        }
    }
    return false;
}

void wsrep_crash_data(struct wsrep *g, bool is_power_loss)
{
    struct wsrep_directory *d = &g->dir;
    uint32_t kept = is_power_loss ? d->flushed : d->written;
    wsrep_queue_clear(g);
    if (kept < d->count) {
        fault_count(g->world, FAULT_GALERA_TAIL_LOST);
        d->seqno -= d->count - kept;
        d->count = kept;
    }
    /* A transfer's files are not flushed by whoever received them, and pages tear. */
    if (is_power_loss && d->exists && chance(&g->rand, 60000) && has_other_copy(g)) {
        g->world->tally.galera_damages++;
        d->is_damaged = true;
    }
    d->flushed = d->written = d->count;
    d->file_seqno = g->phase == WSREP_LOADING ? d->file_seqno : -1;
}

/* --- transfers --- */

#define AGAIN_US SECOND

static bool is_free_donor(struct world *w, unsigned joiner, unsigned member)
{
    const struct wsrep *g = wsrep_of(w, member);
    return member != joiner && g->state == WSREP_SYNCED && g->phase == WSREP_OPEN &&
           wsrep_is_awake(g) && g->peer.view.id == wsrep_of(w, joiner)->peer.view.id;
}

/* Not the writer, where there is another one. */
static int choose_donor(struct wsrep *g)
{
    int donor = -1;
    for (unsigned i = wsrep_first(g->world); i < wsrep_end(g->world); i++) {
        if (is_free_donor(g->world, g->member, i) &&
            (donor < 0 || wsrep_of(g->world, (unsigned)donor)->writable_epoch != 0)) {
            donor = (int)i;
        }
    }
    return donor;
}

static void try_transfer(struct wsrep *g);

static void again(void *ctx, uint64_t number, struct slice bytes)
{
    struct wsrep *g = ctx;
    (void)bytes;
    if (number == g->joined_number && g->state == WSREP_JOINER && wsrep_is_primary(g)) {
        try_transfer(g);
    }
}

/* All that the donor has: the rows behind `from`, or all of them. */
static void take_rows(struct wsrep *g, struct wsrep *donor, int64_t from, bool is_all)
{
    struct wsrep_directory *d = &g->dir;
    wsrep_queue_clear(g);
    int64_t lacking = donor->dir.seqno - from;
    if (is_all || lacking > (int64_t)donor->dir.count) {
        d->count = 0;
        d->seqno = donor->dir.seqno - (int64_t)donor->dir.count;
        lacking = (int64_t)donor->dir.count;
    }
    size_t ahead = lacking < 0 ? (size_t)-lacking : 0; /* of a donor that has not applied it yet */
    for (uint32_t i = donor->dir.count - (lacking > 0 ? (uint32_t)lacking : 0);
         i < donor->dir.count; i++) {
        append(g, donor->dir.rows[i]);
    }
    for (size_t i = donor->queue_from + ahead; i < donor->queue_to; i++) {
        append(g, donor->queue[i]);
    }
    d->uuid = g->uuid = donor->uuid;
    d->is_grastate_empty = d->is_sst_in_progress = false;
    d->written = d->flushed = d->count;
    g->data_lineage = g->peer.view.lineage;
    g->is_sst_failed = false;
}

static void is_synced(struct wsrep *g)
{
    g->donor = -1;
    g->state = WSREP_SYNCED;
    wsrep_set_phase(g, WSREP_OPEN);
    wsrep_waits_look(g);
}

static void transferred(void *ctx, uint64_t number, struct slice bytes)
{
    struct wsrep *g = ctx;
    (void)bytes;
    if (number != g->joined_number || g->state != WSREP_JOINER || g->donor < 0) {
        return;
    }
    struct wsrep *donor = wsrep_of(g->world, (unsigned)g->donor);
    bool is_all = g->dir.is_sst_in_progress;
    if (donor->state != WSREP_SYNCED && donor->state != WSREP_DONOR) {
        try_transfer(g); /* it was restarted meanwhile, and lacks something itself */
        return;
    }
    if (!wsrep_is_awake(donor) || donor->peer.view.id != g->peer.view.id) {
        world_at_with(g->world, g->world->now_us + AGAIN_US, g->process, transferred, g, number,
                      SLICE_EMPTY); /* it is held up; a new view ends it */
        return;
    }
    take_rows(g, donor, g->start.seqno, is_all);
    truth_gal_transferred(g->world, g, donor, is_all);
    if (donor->state == WSREP_DONOR) {
        donor->state = WSREP_SYNCED;
        wsrep_set_phase(donor, donor->phase);
    }
    g->world->tally.galera_ssts += is_all;
    g->world->tally.galera_ists += !is_all;
    is_synced(g);
}

static int64_t begin_sst(struct wsrep *g, struct wsrep *donor)
{
    g->dir.exists = g->dir.is_grastate_empty = g->dir.is_sst_in_progress = true;
    g->dir.is_damaged = false;
    donor->state = WSREP_DONOR;
    wsrep_set_phase(donor, donor->phase);
    return draw(&g->rand, 2 * SECOND, 9 * SECOND);
}

/* What it brought when it was started; a server that ran through brings what it has. */
static void bring(struct wsrep *g)
{
    if (g->phase != WSREP_WAITING) {
        g->start.uuid = g->dir.uuid;
        g->start.seqno = g->dir.seqno + (int64_t)wsrep_queue_len(g);
        wsrep_apply_all(g);
    }
}

static void try_transfer(struct wsrep *g)
{
    int found = choose_donor(g);
    if (found < 0) {
        world_at_with(g->world, g->world->now_us + AGAIN_US, g->process, again, g, g->joined_number,
                      SLICE_EMPTY);
        return;
    }
    struct wsrep *donor = wsrep_of(g->world, (unsigned)found);
    g->donor = found;
    int64_t there = donor->dir.seqno + (int64_t)wsrep_queue_len(donor), us = 0;
    bool is_same = g->start.uuid == donor->uuid && g->start.seqno >= 0 &&
                   !g->dir.is_grastate_empty && donor->uuid != WSREP_UUID_NIL;
    if (is_same && g->start.seqno > there) {
        wsrep_exit(g, 256); /* states have parted: it gives up */
        return;
    }
    if (is_same && !chance(&g->rand, 50000)) { /* the donor's cache has it, mostly */
        us = draw(&g->rand, SECOND, 4 * SECOND);
    } else {
        us = begin_sst(g, donor);
    }
    wsrep_set_phase(g, g->phase);
    world_at_with(g->world, g->world->now_us + us, g->process, transferred, g, g->joined_number,
                  SLICE_EMPTY);
}

void wsrep_transfer(struct wsrep *g)
{
    g->joined_number++;
    bring(g);
    try_transfer(g);
}

/* Somebody waits for this one as its donor. */
static void joiner_is_left(struct wsrep *g)
{
    for (unsigned i = wsrep_first(g->world); i < wsrep_end(g->world); i++) {
        struct wsrep *joiner = wsrep_of(g->world, i);
        if (joiner->donor == (int)g->member && joiner->state == WSREP_JOINER) {
            joiner->donor = -1;
            joiner->joined_number++;
            wsrep_exit(joiner, 256);
        }
    }
}

void wsrep_transfer_ends(struct wsrep *g)
{
    if (g->state == WSREP_DONOR) {
        joiner_is_left(g);
    }
    g->is_sst_failed = g->is_sst_failed || (g->state == WSREP_JOINER && g->dir.is_sst_in_progress);
    if (g->state == WSREP_JOINER && g->donor >= 0) {
        struct wsrep *donor = wsrep_of(g->world, (unsigned)g->donor);
        if (donor->state == WSREP_DONOR) {
            donor->state = WSREP_SYNCED; /* by itself */
            wsrep_set_phase(donor, donor->phase);
        }
    }
    if (g->state == WSREP_JOINER) {
        wsrep_queue_clear(g); /* it lacks what was before that */
    }
    g->donor = -1;
    g->joined_number++;
}
