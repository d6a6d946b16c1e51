/* SPDX-License-Identifier: Apache-2.0 */
/* raft/store_mem.c with a storage thread around it: it says when jobs run, when they are durable,
 * and what becomes of them at a crash. */
#include "tests/sim/disk.h"

#include <stdlib.h>

#include "base/assert.h"
#include "raft/log_store.h"
#include "raft/store_mem.h"
#include "raft/store_mem_image.h"

#define FLUSH_US (100 * MS) /* lazy: a change that nobody waits for is durable after so long */

struct disk {
    struct world *world;
    unsigned node;
    const struct process *process;
    void (*after)(void *ctx);
    void (*failed)(void *ctx, int status);
    void *ctx;
    struct base_rand rand;
    struct store_mem *mem;
    struct store_port inner;
    struct snapshot_port images;
    bool is_lazy;
    bool is_busy; /* a batch is being run or synced */
    bool is_syncing;
    bool is_failing;
    bool is_flush_due; /* lazy: a flush of what nobody waits for has been set */
    bool is_stepping;  /* an image is being worked on */
    unsigned waiting;  /* jobs that want to be durable, submitted and not run */
    uint64_t batch;    /* jobs in the batch */
    uint64_t crashes;  /* events of an older life mean nothing */
    int64_t hang_until_us;
    int64_t full_until_us;
    uint64_t write_fails_in;  /* changes; 0: none fails */
    uint64_t durable_applied; /* of a state */
};

/* Where nothing is left to be flushed, what is there is what a crash leaves. */
static void note_durable(struct disk *d)
{
    struct log_store_state state;
    if (d->is_lazy && store_mem_uncommitted(d->mem) == 0) {
        BASE_ASSERT(log_store_load_state(store_mem_txn(d->mem), &state) == 0);
        d->durable_applied = state.applied_index;
    }
}

uint64_t disk_durable_applied(const struct disk *d)
{
    return d->durable_applied;
}

/* --- storage thread --- */

static void batch_run(void *ctx, uint64_t number, struct slice bytes);
static void batch_synced(void *ctx, uint64_t number, struct slice bytes);

static void soon(struct disk *d, int64_t after_us, event_fn *fn)
{
    world_at_with(d->world, d->world->now_us + after_us, d->process, fn, d, d->crashes,
                  SLICE_EMPTY);
}

static void batch_soon(struct disk *d)
{
    if (!d->is_busy && store_mem_queued(d->mem) > 0) {
        d->is_busy = true;
        soon(d, draw(&d->rand, 5, 60), batch_run);
    }
}

/* What was run so far becomes durable when batch_synced is called. */
static void start_sync(struct disk *d)
{
    const struct setup *s = &d->world->setup;
    d->is_syncing = true;
    soon(d, draw(&d->rand, s->sync_min_us, s->sync_max_us) + 20, batch_synced);
}

/* Lazy: nobody waits for what was changed, but it shall not stay open for ever. */
static void flush(void *ctx, uint64_t number, struct slice bytes)
{
    struct disk *d = ctx;
    (void)bytes;
    if (number != d->crashes) {
        return;
    }
    d->is_flush_due = false;
    if (!d->is_busy && store_mem_uncommitted(d->mem) > 0) {
        d->is_busy = true;
        start_sync(d);
    }
}

static void flush_later(struct disk *d)
{
    if (!d->is_flush_due && store_mem_uncommitted(d->mem) > 0) {
        d->is_flush_due = true;
        soon(d, FLUSH_US, flush);
    }
}

/* The storage thread's word reaches the loop. */
static void tell(struct disk *d)
{
    (void)store_mem_complete(d->mem);
    d->after(d->ctx);
}

static void batch_ran(void *ctx, uint64_t number, struct slice bytes)
{
    struct disk *d = ctx;
    (void)bytes;
    if (number == d->crashes) {
        tell(d);
    }
}

static void batch_synced(void *ctx, uint64_t number, struct slice bytes)
{
    struct disk *d = ctx;
    (void)bytes;
    if (number != d->crashes) {
        return;
    }
    if (d->hang_until_us > d->world->now_us) {
        soon(d, d->hang_until_us - d->world->now_us, batch_synced);
        return;
    }
    if (d->is_syncing) {
        store_mem_fail_at(d->mem, d->is_failing ? 1 : 0, BASE_E_IO);
        store_mem_commit(d->mem);
        note_durable(d);
    }
    trace(d->world, TRACE_SYNC, d->node, d->batch, d->is_lazy, 0);
    d->is_busy = d->is_syncing = false;
    (void)store_mem_complete(d->mem);
    batch_soon(d);
    flush_later(d);
    d->after(d->ctx);
}

/* Which change of this batch fails. */
static void arm_failures(struct disk *d)
{
    if (d->full_until_us > d->world->now_us) {
        store_mem_fail_at(d->mem, 1, BASE_E_NOSPACE);
    } else if (d->write_fails_in > 0) {
        store_mem_fail_at(d->mem, d->write_fails_in, BASE_E_IO);
        d->write_fails_in = 0;
    }
}

static void batch_run(void *ctx, uint64_t number, struct slice bytes)
{
    struct disk *d = ctx;
    (void)bytes;
    if (number != d->crashes) {
        return;
    }
    bool is_waited_for = d->waiting > 0;
    d->waiting = 0;
    arm_failures(d);
    int before = store_mem_failed(d->mem);
    for (d->batch = 0; store_mem_run_one(d->mem); d->batch++) {
    }
    if (before == 0) {
        d->world->tally.bit[FAULT_WRITE_FAIL] += store_mem_failed(d->mem) == BASE_E_IO;
        d->world->tally.bit[FAULT_NODE_DISK_FULL] += store_mem_failed(d->mem) == BASE_E_NOSPACE;
    }
    soon(d, draw(&d->rand, 2, 20), batch_ran);
    if (is_waited_for || (!d->is_lazy && store_mem_uncommitted(d->mem) > 0)) {
        start_sync(d);
    } else {
        soon(d, 23, batch_synced);
    }
}

static void port_submit(void *ctx, struct store_job *job)
{
    struct disk *d = ctx;
    d->waiting += job->wants_durable;
    d->inner.submit(d->inner.ctx, job);
    batch_soon(d);
}

/* --- images --- */

static void image_step(void *ctx, uint64_t number, struct slice bytes);

static void image_soon(struct disk *d)
{
    if (!d->is_stepping && store_mem_snapshot_pending(d->mem) > 0) {
        d->is_stepping = true;
        soon(d, draw(&d->rand, 20, 5 * MS), image_step);
    }
}

static void image_step(void *ctx, uint64_t number, struct slice bytes)
{
    struct disk *d = ctx;
    (void)bytes;
    if (number != d->crashes) {
        return;
    }
    d->is_stepping = false;
    if (d->hang_until_us <= d->world->now_us && !d->is_syncing) {
        (void)store_mem_snapshot_step(d->mem);
        note_durable(d);
        tell(d);
    }
    image_soon(d);
}

static int export_begin(void *ctx, struct snapshot_job *job)
{
    struct disk *d = ctx;
    int rc = d->images.export_begin(d->images.ctx, job);
    image_soon(d);
    return rc;
}

static int export_read(void *ctx, struct snapshot_job *job, uint64_t offset)
{
    struct disk *d = ctx;
    int rc = d->images.export_read(d->images.ctx, job, offset);
    image_soon(d);
    return rc;
}

static void export_end(void *ctx)
{
    struct disk *d = ctx;
    d->images.export_end(d->images.ctx);
}

static int import_begin(void *ctx, struct snapshot_job *job)
{
    struct disk *d = ctx;
    int rc = d->images.import_begin(d->images.ctx, job);
    image_soon(d);
    return rc;
}

static int import_write(void *ctx, struct snapshot_job *job, struct slice data)
{
    struct disk *d = ctx;
    int rc = d->images.import_write(d->images.ctx, job, data);
    image_soon(d);
    return rc;
}

static int import_install(void *ctx, struct snapshot_job *job)
{
    struct disk *d = ctx;
    int rc = d->images.import_install(d->images.ctx, job);
    image_soon(d);
    return rc;
}

static void import_discard(void *ctx)
{
    struct disk *d = ctx;
    d->images.import_discard(d->images.ctx);
}

/* --- life --- */

static void make_store(struct disk *d)
{
    d->mem = store_mem_create();
    BASE_ASSERT(d->mem != NULL);
    d->inner = store_mem_port(d->mem);
    d->images = store_mem_snapshot_port(d->mem);
    store_mem_on_fatal(d->mem, d->failed, d->ctx);
}

struct disk *disk_open(struct world *w, unsigned node, const struct process *process,
                       void (*after)(void *ctx), void (*failed)(void *ctx, int status), void *ctx,
                       bool is_lazy)
{
    struct disk *d = must_alloc(1, sizeof(*d));
    d->world = w;
    d->node = node;
    d->process = process;
    d->after = after;
    d->failed = failed;
    d->ctx = ctx;
    d->is_lazy = is_lazy;
    d->rand = world_stream(w, STREAM_DISK, is_lazy ? node + 1000 : node);
    make_store(d);
    return d;
}

void disk_close(struct disk *d)
{
    d->mem = store_mem_destroy(d->mem);
    free(d);
}

struct store_port disk_port(struct disk *d)
{
    return (struct store_port){.ctx = d, .submit = port_submit};
}

struct snapshot_port disk_snapshot_port(struct disk *d)
{
    return (struct snapshot_port){.ctx = d,
                                  .export_begin = export_begin,
                                  .export_read = export_read,
                                  .export_end = export_end,
                                  .import_begin = import_begin,
                                  .import_write = import_write,
                                  .import_install = import_install,
                                  .import_discard = import_discard};
}

/* What nobody was told of may be there all the same: what was run, and the first of what waited. */
static void write_part(struct disk *d)
{
    size_t queued = store_mem_queued(d->mem);
    if (queued == 0 && store_mem_uncommitted(d->mem) == 0) {
        return;
    }
    d->world->tally.bit[FAULT_PART_WRITTEN]++;
    for (int64_t i = draw(&d->rand, 0, (int64_t)queued); i > 0; i--) {
        (void)store_mem_run_one(d->mem);
    }
    store_mem_commit(d->mem);
}

void disk_crash(struct disk *d)
{
    store_mem_fail_at(d->mem, 0, 0);
    if (!d->is_failing && chance(&d->rand, 500000)) {
        write_part(d);
    }
    store_mem_crash(d->mem);
    note_durable(d);
    d->crashes++;
    d->is_busy = d->is_syncing = d->is_failing = d->is_flush_due = d->is_stepping = false;
    d->waiting = 0;
    d->hang_until_us = 0;
}

void disk_wipe(struct disk *d)
{
    d->mem = store_mem_destroy(d->mem);
    make_store(d);
    d->durable_applied = 0;
}

struct store_txn *disk_txn(struct disk *d)
{
    return store_mem_txn(d->mem);
}

bool disk_is_idle(const struct disk *d)
{
    return !d->is_busy && store_mem_queued(d->mem) == 0;
}

void disk_settle(struct disk *d)
{
    store_mem_commit(d->mem);
    note_durable(d);
}

void disk_hang_until(struct disk *d, int64_t until_us)
{
    d->hang_until_us = until_us;
}

void disk_fail_write(struct disk *d, uint64_t n)
{
    d->write_fails_in = n;
}

void disk_full_until(struct disk *d, int64_t until_us)
{
    d->full_until_us = until_us;
}

void disk_heal(struct disk *d)
{
    d->hang_until_us = d->full_until_us = 0;
    d->write_fails_in = 0;
}

void disk_fail_next_sync(struct disk *d)
{
    d->is_failing = true;
}
