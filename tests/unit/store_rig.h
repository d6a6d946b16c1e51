/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs with numbers, each of which needs the row of the one before, and stores that commit when
 * they like; for the tests of stores alone. */
#ifndef QUORATE_TESTS_UNIT_STORE_RIG_H
#define QUORATE_TESTS_UNIT_STORE_RIG_H

#include <string.h>

#include "tests/support/cm.h"
#include "tests/unit/kv_support.h"

struct numbered {
    struct store_job job;
    struct numbered_log *log;
    uint32_t number;
    int fail_with;
    int status; /* 1: not done yet */
};

struct numbered_log {
    uint32_t last[2]; /* newest completion per class of wants_durable */
    uint32_t done;
    uint32_t failed;
    bool is_out_of_order;
};

static inline void number_key(uint32_t number, uint8_t *bytes)
{
    struct buf out = buf_over(bytes, 8);
    buf_put_u64_be(&out, number + UINT64_C(1));
}

/* Writes its own row after having seen the row of the job before it. */
static inline int numbered_run(struct store_job *job, struct store_txn *txn)
{
    struct numbered *self = (struct numbered *)job;
    uint8_t key[8];
    struct slice found;
    if (self->fail_with != 0) {
        return self->fail_with;
    }
    if (self->number > 0) {
        number_key(self->number - 1, key);
        int rc = store_get(txn, STORE_LOG, slice_from(key, 8), &found);
        if (rc != 0) {
            return rc;
        }
    }
    number_key(self->number, key);
    return store_put(txn, STORE_LOG, slice_from(key, 8), SLICE_LIT("row"));
}

static inline void numbered_done(struct store_job *job, int status)
{
    struct numbered *self = (struct numbered *)job;
    struct numbered_log *log = self->log;
    uint32_t *last = &log->last[self->job.wants_durable];
    log->is_out_of_order |= self->number + 1 <= *last;
    *last = self->number + 1;
    self->status = status;
    log->done++;
    log->failed += status != 0;
}

static inline void numbered_submit(struct test_store *store, struct numbered *jobs, uint32_t count,
                                   struct numbered_log *log)
{
    struct store_port port = test_store_port(store);
    for (uint32_t i = 0; i < count; i++) {
        jobs[i].log = log;
        jobs[i].number = i;
        jobs[i].status = 1;
        jobs[i].job = (struct store_job){
            .run = numbered_run, .done = numbered_done, .wants_durable = i % 3 != 0};
        port.submit(port.ctx, &jobs[i].job);
    }
}

/* --- what stands in a store afterwards --- */

struct sequence {
    uint32_t next;
    bool has_gap;
};

static inline int sequence_visit(void *ctx, struct slice key, struct slice value)
{
    struct sequence *sequence = ctx;
    uint64_t number = 0;
    (void)value;
    sequence->next++;
    sequence->has_gap |= slice_take_u64_be(&key, &number) != 0 || number != sequence->next;
    return 0;
}

static inline int sequence_run(void *ctx, struct store_txn *txn)
{
    return store_scan(txn, STORE_LOG, SLICE_EMPTY, sequence_visit, ctx);
}

/* --- commits that nobody waits for --- */

struct lazy_options {
    uint32_t lazy_ms;
    uint32_t pages;
    uint64_t bytes;
};

static inline void ignore_notify(void *ctx)
{
    (void)ctx;
}

static inline struct env_lmdb *open_lazy(const char *directory, struct lazy_options lazy)
{
    struct env_lmdb *env = NULL;
    char text[ENV_LMDB_ERROR_MAX];
    struct env_lmdb_options options = {.directory = directory,
                                       .commit_lazy_ms = lazy.lazy_ms,
                                       .commit_pages = lazy.pages,
                                       .commit_bytes = lazy.bytes,
                                       .notify = ignore_notify};
    assert_int_equal(env_lmdb_open(&options, &env, text), 0);
    return env;
}

/* Submits `count` jobs from number `first` on and waits until all of them are done. */

#endif
