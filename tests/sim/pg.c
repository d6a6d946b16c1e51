/* SPDX-License-Identifier: Apache-2.0 */
/* Life of a modelled PostgreSQL's process tree. */
#include "tests/sim/pg.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "tests/sim/faults.h"
#include "tests/sim/members.h"
#include "tests/sim/truth.h"

#define TICK_US (100 * MS)

struct pg *pg_of(struct world *w, unsigned member)
{
    return &w->members->list[member].pg;
}

void pg_init(struct world *w, struct pg *pg, unsigned member, struct process *tree)
{
    pg->world = w;
    pg->member = member;
    pg->rand = world_stream(w, STREAM_DB, member);
    pg->process = tree;
    pg->dir.upstream = -1;
}

void pg_free(struct pg *pg)
{
    free(pg->dir.records);
}

/* --- who may acknowledge --- */

bool pg_is_serving(const struct pg *pg)
{
    return pg->process->is_up && pg->process->stopped == 0 &&
           (pg->phase == PG_PRIMARY || pg->phase == PG_STOPPING);
}

static unsigned bits(uint32_t set)
{
    return (unsigned)__builtin_popcount(set);
}

static bool can_release(const struct pg *pg, unsigned sender)
{
    const struct pg_sender *s = &pg->senders[sender];
    uint32_t connected = 0;
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        connected |= pg->senders[i].is_connected ? 1u << i : 0;
    }
    bool is_named = s->is_connected && (s->names >> sender & 1) != 0;
    return is_named && s->count > 0 && bits(s->names & connected) >= s->count;
}

static bool is_able(const struct pg *pg)
{
    if (!pg_is_serving(pg) || pg->phase != PG_PRIMARY) {
        return false;
    }
    bool is_able = pg->is_sync_off;
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        is_able = is_able || can_release(pg, i);
    }
    return is_able;
}

void pg_note(struct pg *pg)
{
    bool is_writable = is_able(pg);
    truth_settings(pg->world, pg);
    if (is_writable == pg->is_writable) {
        return;
    }
    pg->is_writable = is_writable;
    if (is_writable) {
        truth_open_writes(pg->world, pg);
    } else {
        trace(pg->world, TRACE_SHUT, pg->member, pg->epoch, pg->phase, 0);
    }
}

void pg_set_phase(struct pg *pg, enum pg_phase phase)
{
    pg->phase = phase;
    pg->dir.was_primary = pg->dir.was_primary || phase == PG_PRIMARY;
    trace(pg->world, TRACE_DB_STATE, pg->member, phase, pg->dir.count, pg_timeline(&pg->dir));
    pg_note(pg);
}

/* --- start --- */

static void replay(void *ctx, uint64_t number, struct slice bytes)
{
    struct pg *pg = ctx;
    (void)number;
    (void)bytes;
    uint32_t end = pg->dir.flushed, step = 1 + (end - pg->replayed) / 2;
    if (pg->replayed >= end) {
        pg_receiver_restart(pg);
        return;
    }
    pg->replayed += step < end - pg->replayed ? step : end - pg->replayed;
    world_at(pg->world, pg->world->now_us + draw(&pg->rand, 5 * MS, 60 * MS), pg->process, replay,
             pg);
}

/* A primary comes up on its own: restart in place, or the very first start. */
static void become_primary(struct pg *pg)
{
    struct pg_record record = {
        .kind = PG_CHECKPOINT, .timeline = pg_timeline(&pg->dir), .writer = (int)pg->member};
    const struct guard_status *guard = &pg->world->members->list[pg->member].guard.status;
    bool is_by_hand = guard->tree == GUARD_TREE_GONE; /* the guard knows nothing of it */
    pg->epoch = record.epoch = is_by_hand ? 0 : guard->epoch;
    pg->is_gate_due = true;
    pg_insert(pg, &record, 0, 0);
    pg->is_sync_off = pg->dir.sync_names == 0 && pg->dir.sync_count == 0;
    pg_set_phase(pg, PG_PRIMARY);
}

static void exit_root(struct pg *pg, int status);
static void leftovers_end(void *ctx, uint64_t number, struct slice bytes);

static void started(void *ctx, uint64_t number, struct slice bytes)
{
    struct pg *pg = ctx;
    (void)number;
    (void)bytes;
    if (!pg->is_root_alive) {
        return;
    }
    if (pg->is_disk_full && !pg->dir.is_standby) {
        fault_count(pg->world, FAULT_DATABASE_DISK_FULL);
        exit_root(pg, 1); /* the checkpoint after recovery needs room */
        world_at(pg->world, pg->world->now_us + MS, pg->process, leftovers_end, pg);
        return;
    }
    if (!pg->dir.is_standby) {
        become_primary(pg);
        return;
    }
    /* Recovery begins with a sync of the whole directory (recovery_init_sync_method): what had been
     * written and not flushed when the server died is durable from here on. */
    pg->dir.flushed = pg->dir.count;
    pg->is_sync_off = false;
    pg->dir.was_primary = false;
    pg_set_phase(pg, PG_STANDBY);
    replay(pg, 0, SLICE_EMPTY);
}

static void tick(void *ctx, uint64_t number, struct slice bytes)
{
    struct pg *pg = ctx;
    (void)number;
    (void)bytes;
    if (pg->phase != PG_STARTING && pg->phase != PG_DOWN) {
        pg_stream_tick(pg);
    }
    world_at(pg->world, pg->world->now_us + TICK_US, pg->process, tick, pg);
}

void pg_start(struct pg *pg)
{
    pg->is_root_alive = true;
    pg->epoch = 0;
    pg->run_connections = pg->dir.connections;
    pg->waits_count = 0;
    memset(pg->senders, 0, sizeof(pg->senders));
    pg->has_received = pg->is_hung = pg->is_client_barred = pg->is_gate_due = false;
    pg_receiver_stop(pg);
    pg->wal_end_at_start = pg->dir.count;
    pg->replayed = pg->dir.count > 20 ? pg->dir.count - 20 : 0;
    pg_set_phase(pg, PG_STARTING);
    int64_t us = draw(&pg->rand, 30 * MS, chance(&pg->rand, 100000) ? 3 * SECOND : 300 * MS);
    world_at(pg->world, pg->world->now_us + us, pg->process, started, pg);
    world_at(pg->world, pg->world->now_us + TICK_US, pg->process, tick, pg);
}

/* --- end --- */

void pg_gone(struct pg *pg, bool is_power_loss)
{
    struct pg_directory *d = &pg->dir;
    bool was_clean = d->is_clean;
    truth_ends(pg->world, pg);
    if (!was_clean && d->count > d->flushed) {
        uint32_t kept =
            is_power_loss ? d->flushed : (uint32_t)draw(&pg->rand, d->flushed, d->count);
        pg_truncate(d, kept);
        d->flushed = d->count;
    }
    pg_cancel_waits(pg);
    pg->is_root_alive = false;
    pg->has_receiver = pg->is_receiving = pg->is_receiver_ending = false;
    memset(pg->senders, 0, sizeof(pg->senders));
    process_stop(pg->process);
    pg_set_phase(pg, PG_DOWN);
    pg->epoch = 0;
    pg_order_forget(pg);
}

static void exit_root(struct pg *pg, int status)
{
    pg->is_root_alive = false;
    guard_root_exited(&pg->world->members->list[pg->member], status);
}

static void leftovers_end(void *ctx, uint64_t number, struct slice bytes)
{
    struct pg *pg = ctx;
    (void)number;
    (void)bytes;
    if (!pg->is_root_alive) {
        pg_gone(pg, false);
    }
}

/* kill -9 of the root alone: its backends live on for a while, and so do their commits. */
void pg_root_killed(struct pg *pg)
{
    int64_t us = draw(&pg->rand, MS, chance(&pg->rand, 300000) ? 3 * SECOND : 300 * MS);
    world_at(pg->world, pg->world->now_us + us, pg->process, leftovers_end, pg);
    pg->has_receiver = pg->is_receiving = pg->is_receiver_ending = false;
    exit_root(pg, 9);
    pg_note(pg);
}

static bool standbys_have_all(const struct pg *pg)
{
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        const struct pg_sender *s = &pg->senders[i];
        if (s->is_connected && s->flushed < pg->dir.count) {
            return false;
        }
    }
    return true;
}

static void stopping(void *ctx, uint64_t number, struct slice bytes)
{
    struct pg *pg = ctx;
    (void)number;
    (void)bytes;
    if (pg->phase != PG_STOPPING || !pg->is_root_alive) {
        return;
    }
    bool is_done = pg->world->now_us >= pg->stop_at_us && pg->dir.flushed == pg->dir.count &&
                   standbys_have_all(pg);
    if (!is_done) {
        pg_send_all(pg);
        world_at(pg->world, pg->world->now_us + 10 * MS, pg->process, stopping, pg);
        return;
    }
    if (!pg->dir.is_standby) {
        pg->dir.is_clean = true;
        pg->dir.clean_position = pg->dir.count;
    }
    exit_root(pg, 0);
    world_at(pg->world, pg->world->now_us + MS, pg->process, leftovers_end, pg);
}

static void stop_fast(struct pg *pg)
{
    if (pg->phase == PG_STOPPING) {
        return;
    }
    bool is_primary = pg->phase == PG_PRIMARY;
    pg_cancel_waits(pg);
    pg_receiver_stop(pg);
    pg->stop_at_us = pg->world->now_us +
                     draw(&pg->rand, 5 * MS, chance(&pg->rand, 100000) ? 4 * SECOND : 200 * MS);
    if (pg->is_stop_slow) {
        pg->is_stop_slow = false;
        pg->stop_at_us += 20 * SECOND;
        fault_bit(pg->world, FAULT_SLOW_STOP, pg->member, 0, 20 * SECOND);
    }
    pg_set_phase(pg, PG_STOPPING);
    if (is_primary) {
        struct pg_record record = {.kind = PG_CHECKPOINT,
                                   .timeline = pg_timeline(&pg->dir),
                                   .epoch = pg->epoch,
                                   .writer = (int)pg->member};
        pg_insert(pg, &record, 0, 0);
    }
    stopping(pg, 0, SLICE_EMPTY);
}

static void stop_now(void *ctx, uint64_t number, struct slice bytes)
{
    struct pg *pg = ctx;
    (void)number;
    (void)bytes;
    if (pg->is_root_alive) {
        exit_root(pg, 2);
        pg_gone(pg, false);
    }
}

void pg_signal(struct pg *pg, int signal_number)
{
    if (!pg->is_root_alive) {
        return;
    }
    if (signal_number == 2) {
        stop_fast(pg);
    } else if (signal_number == 3) {
        world_at(pg->world, pg->world->now_us + draw(&pg->rand, MS, 30 * MS), pg->process, stop_now,
                 pg);
    }
}
