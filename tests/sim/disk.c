/* SPDX-License-Identifier: Apache-2.0 */
/* Sorted arrays of rows, an undo list for what is not durable yet, and a queue of jobs. */
#include "tests/sim/disk.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define BATCH_MAX 512

struct row {
    uint8_t *bytes; /* key, then value */
    size_t key_len, value_len;
};

struct table {
    struct row *rows;
    size_t count, cap;
};

struct undo {
    enum store_table table;
    bool was_there;
    struct row row; /* owned: the old row, or only the key */
};

struct disk {
    struct store_txn txn; /* first: the cast back relies on it */
    struct world *world;
    unsigned node;
    const struct process *process;
    void (*after)(void *ctx);
    void *after_ctx;
    struct base_rand rand;
    struct table tables[STORE_TABLE_COUNT];
    struct undo *undo;
    size_t undo_count, undo_cap;
    struct store_job *queue, **queue_end; /* submitted, not run */
    struct store_job *ran, **ran_end;     /* run, sync not over; wants_durable */
    bool is_busy;                         /* a batch is being run or synced */
    bool is_syncing;
    bool has_failed;
    bool is_failing;
    int64_t hang_until_us;
    uint64_t jobs_in_batch;
};

/* --- rows --- */

static struct slice row_key(const struct row *r)
{
    return slice_from(r->bytes, r->key_len);
}

static struct slice row_value(const struct row *r)
{
    return slice_from(r->bytes + r->key_len, r->value_len);
}

static struct row row_make(struct slice key, struct slice value)
{
    struct row r = {must_alloc(key.len + value.len, 1), key.len, value.len};
    memcpy(r.bytes, key.data, key.len);
    if (value.len > 0) {
        memcpy(r.bytes + key.len, value.data, value.len);
    }
    return r;
}

/* Index of the first row with key >= `key`. */
static size_t lower_bound(const struct table *t, struct slice key)
{
    size_t low = 0, high = t->count;
    if (high > 0 && slice_compare(row_key(&t->rows[high - 1]), key) < 0) {
        return high; /* appending is the usual case */
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (slice_compare(row_key(&t->rows[middle]), key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool has_at(const struct table *t, size_t at, struct slice key)
{
    return at < t->count && slice_equal(row_key(&t->rows[at]), key);
}

static void insert_at(struct table *t, size_t at, struct row row)
{
    t->rows = must_grow(t->rows, &t->cap, t->count + 1, sizeof(struct row));
    memmove(&t->rows[at + 1], &t->rows[at], (t->count - at) * sizeof(struct row));
    t->rows[at] = row;
    t->count++;
}

static struct row remove_at(struct table *t, size_t at)
{
    struct row row = t->rows[at];
    t->count--;
    memmove(&t->rows[at], &t->rows[at + 1], (t->count - at) * sizeof(struct row));
    return row;
}

/* --- transaction --- */

static struct disk *disk_of(struct store_txn *txn)
{
    return (struct disk *)(void *)txn;
}

static void remember(struct disk *d, enum store_table table, bool was_there, struct row row)
{
    d->undo = must_grow(d->undo, &d->undo_cap, d->undo_count + 1, sizeof(struct undo));
    d->undo[d->undo_count++] = (struct undo){table, was_there, row};
}

static int txn_get(struct store_txn *txn, enum store_table table, struct slice key,
                   struct slice *ret)
{
    const struct table *t = &disk_of(txn)->tables[table];
    size_t at = lower_bound(t, key);
    if (!has_at(t, at, key)) {
        return BASE_E_NOTFOUND;
    }
    *ret = row_value(&t->rows[at]);
    return 0;
}

static int txn_put(struct store_txn *txn, enum store_table table, struct slice key,
                   struct slice value)
{
    struct disk *d = disk_of(txn);
    struct table *t = &d->tables[table];
    if (key.len == 0 || key.len > STORE_KEY_MAX) {
        return BASE_E_TOOBIG;
    }
    size_t at = lower_bound(t, key);
    struct row row = row_make(key, value);
    if (has_at(t, at, key)) {
        remember(d, table, true, t->rows[at]);
        t->rows[at] = row;
    } else {
        remember(d, table, false, row_make(key, SLICE_EMPTY));
        insert_at(t, at, row);
    }
    return 0;
}

static int txn_del(struct store_txn *txn, enum store_table table, struct slice key)
{
    struct disk *d = disk_of(txn);
    struct table *t = &d->tables[table];
    size_t at = lower_bound(t, key);
    if (!has_at(t, at, key)) {
        return BASE_E_NOTFOUND;
    }
    remember(d, table, true, remove_at(t, at));
    return 0;
}

static int txn_scan(struct store_txn *txn, enum store_table table, struct slice from,
                    store_visit_fn *visit, void *ctx)
{
    const struct table *t = &disk_of(txn)->tables[table];
    for (size_t at = from.len == 0 ? 0 : lower_bound(t, from); at < t->count; at++) {
        int rc = visit(ctx, row_key(&t->rows[at]), row_value(&t->rows[at]));
        if (rc != 0) {
            return rc > 0 ? 0 : rc;
        }
    }
    return 0;
}

static int txn_scan_back(struct store_txn *txn, enum store_table table, struct slice before,
                         store_visit_fn *visit, void *ctx)
{
    const struct table *t = &disk_of(txn)->tables[table];
    for (size_t at = before.len == 0 ? t->count : lower_bound(t, before); at-- > 0;) {
        int rc = visit(ctx, row_key(&t->rows[at]), row_value(&t->rows[at]));
        if (rc != 0) {
            return rc > 0 ? 0 : rc;
        }
    }
    return 0;
}

static int txn_del_range(struct store_txn *txn, enum store_table table, struct slice from,
                         struct slice before, uint64_t rows_max, uint64_t *ret_rows)
{
    struct disk *d = disk_of(txn);
    struct table *t = &d->tables[table];
    size_t at = from.len == 0 ? 0 : lower_bound(t, from);
    uint64_t rows = 0;
    while (at < t->count && (rows_max == 0 || rows < rows_max) &&
           (before.len == 0 || slice_compare(row_key(&t->rows[at]), before) < 0)) {
        remember(d, table, true, remove_at(t, at));
        rows++;
    }
    if (ret_rows != NULL) {
        *ret_rows = rows;
    }
    return 0;
}

static int txn_size(struct store_txn *txn, uint64_t *ret_bytes, uint64_t *ret_bytes_used)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < STORE_TABLE_COUNT; i++) {
        rows += disk_of(txn)->tables[i].count;
    }
    *ret_bytes = *ret_bytes_used = rows * 100;
    return 0;
}

static const struct store_txn_ops ops = {txn_get,       txn_put,       txn_del, txn_scan,
                                         txn_scan_back, txn_del_range, txn_size};

static void commit(struct disk *d)
{
    for (size_t i = 0; i < d->undo_count; i++) {
        free(d->undo[i].row.bytes);
    }
    d->undo_count = 0;
}

static void roll_back(struct disk *d)
{
    while (d->undo_count > 0) {
        struct undo *u = &d->undo[--d->undo_count];
        struct table *t = &d->tables[u->table];
        size_t at = lower_bound(t, row_key(&u->row));
        if (has_at(t, at, row_key(&u->row))) {
            free(remove_at(t, at).bytes);
        }
        if (u->was_there) {
            insert_at(t, at, u->row);
        } else {
            free(u->row.bytes);
        }
    }
}

/* --- storage thread --- */

static void queue_reset(struct disk *d)
{
    d->queue = d->ran = NULL;
    d->queue_end = &d->queue;
    d->ran_end = &d->ran;
}

static void batch_run(void *ctx, uint64_t number, struct slice bytes);

static void batch_soon(struct disk *d)
{
    if (!d->is_busy && d->queue != NULL) {
        d->is_busy = true;
        world_at(d->world, d->world->now_us + draw(&d->rand, 5, 60), d->process, batch_run, d);
    }
}

static void finish(struct store_job *list, int status)
{
    while (list != NULL) {
        struct store_job *job = list;
        list = job->next;
        job->done(job, status);
    }
}

/* The storage thread's word reaches the loop: jobs that need not be durable. */
static void batch_ran(void *ctx, uint64_t number, struct slice bytes)
{
    struct disk *d = ctx;
    (void)number;
    struct store_job *job = NULL, *list = NULL, **end = &list;
    for (size_t i = 0; i < bytes.len / sizeof(job); i++) {
        memcpy(&job, bytes.data + i * sizeof(job), sizeof(job));
        job->next = NULL;
        *end = job;
        end = &job->next;
    }
    finish(list, d->has_failed ? BASE_E_IO : 0);
    d->after(d->after_ctx);
}

static void batch_synced(void *ctx, uint64_t number, struct slice bytes)
{
    struct disk *d = ctx;
    (void)number;
    (void)bytes;
    if (d->hang_until_us > d->world->now_us) {
        world_at(d->world, d->hang_until_us, d->process, batch_synced, d);
        return;
    }
    if (d->is_failing) {
        d->has_failed = true;
        roll_back(d);
    } else {
        commit(d);
    }
    trace(d->world, TRACE_SYNC, d->node, d->jobs_in_batch, d->has_failed, 0);
    struct store_job *list = d->ran;
    d->ran = NULL;
    d->ran_end = &d->ran;
    d->is_busy = d->is_syncing = false;
    finish(list, d->has_failed ? BASE_E_IO : 0);
    batch_soon(d);
    d->after(d->after_ctx);
}

/* Runs one job; true when the store has to commit for it. */
static bool job_run(struct disk *d, struct store_job *job)
{
    if (d->has_failed) {
        return false;
    }
    if (job->run(job, &d->txn) < 0) {
        d->has_failed = true;
        roll_back(d);
    }
    return !job->is_read_only;
}

static void batch_run(void *ctx, uint64_t number, struct slice bytes)
{
    struct disk *d = ctx;
    struct store_job *soon[BATCH_MAX];
    size_t soon_count = 0;
    bool must_sync = false;
    (void)number;
    (void)bytes;
    d->jobs_in_batch = 0;
    while (d->queue != NULL && d->jobs_in_batch < BATCH_MAX) {
        struct store_job *job = d->queue;
        d->queue = job->next;
        job->next = NULL;
        d->jobs_in_batch++;
        must_sync = job_run(d, job) || must_sync;
        if (job->wants_durable) {
            *d->ran_end = job;
            d->ran_end = &job->next;
        } else {
            soon[soon_count++] = job;
        }
    }
    if (d->queue == NULL) {
        d->queue_end = &d->queue;
    }
    struct slice list = slice_from(soon, soon_count * sizeof(soon[0]));
    world_at_with(d->world, d->world->now_us + draw(&d->rand, 2, 20), d->process, batch_ran, d, 0,
                  list);
    const struct setup *s = &d->world->setup;
    int64_t sync_us = must_sync ? draw(&d->rand, s->sync_min_us, s->sync_max_us) : 3;
    d->is_syncing = must_sync;
    world_at(d->world, d->world->now_us + sync_us + 20, d->process, batch_synced, d);
}

static void port_submit(void *ctx, struct store_job *job)
{
    struct disk *d = ctx;
    job->next = NULL;
    *d->queue_end = job;
    d->queue_end = &job->next;
    batch_soon(d);
}

/* --- life --- */

struct disk *disk_open(struct world *w, unsigned node, const struct process *process,
                       void (*after)(void *ctx), void *ctx)
{
    struct disk *d = must_alloc(1, sizeof(*d));
    d->txn.ops = &ops;
    d->world = w;
    d->node = node;
    d->process = process;
    d->after = after;
    d->after_ctx = ctx;
    d->rand = world_stream(w, STREAM_DISK, node);
    queue_reset(d);
    return d;
}

void disk_close(struct disk *d)
{
    commit(d);
    for (size_t i = 0; i < STORE_TABLE_COUNT; i++) {
        for (size_t j = 0; j < d->tables[i].count; j++) {
            free(d->tables[i].rows[j].bytes);
        }
        free(d->tables[i].rows);
    }
    free(d->undo);
    free(d);
}

struct store_port disk_port(struct disk *d)
{
    return (struct store_port){.ctx = d, .submit = port_submit};
}

void disk_crash(struct disk *d)
{
    if (d->is_syncing && !d->is_failing && chance(&d->rand, 500000)) {
        commit(d);
    } else {
        roll_back(d);
    }
    queue_reset(d);
    d->is_busy = d->is_syncing = d->has_failed = d->is_failing = false;
    d->hang_until_us = 0;
}

bool disk_is_idle(const struct disk *d)
{
    return !d->is_busy && d->queue == NULL;
}

void disk_hang_until(struct disk *d, int64_t until_us)
{
    d->hang_until_us = until_us;
}

void disk_fail_next_sync(struct disk *d)
{
    d->is_failing = true;
}
