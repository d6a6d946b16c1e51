/* SPDX-License-Identifier: Apache-2.0 */
/* The storage thread of a store: takes jobs in order, runs them in batches, ends batches, and hands
 * completions back. What a batch is made of is the backend's (env_lmdb.c, wal_store.c).
 *
 * A batch is ended when no job is left in the queue and somebody waits for it to be durable, or
 * when the backend calls it large; with lazy_ms, one that nobody waits for stays open that long.
 * Backend functions run on the storage thread; all others belong to the loop thread, submit may be
 * called by any thread.
 */
#ifndef QUORATE_RAFT_STORE_THREAD_H
#define QUORATE_RAFT_STORE_THREAD_H

#include "raft/port_store.h"

struct store_thread;

struct store_thread_backend {
    void *ctx;
    struct store_txn *txn;
    /* Before the jobs of a batch; may be called again while the batch is open. */
    int (*begin)(void *ctx);
    /* Ends the open batch: what changed is durable when it returns 0. */
    int (*commit)(void *ctx);
    /* Throws the open batch away. */
    void (*abort)(void *ctx);
    void (*job_end)(void *ctx);
    bool (*is_dirty)(void *ctx); /* something has changed in the open batch */
    bool (*is_large)(void *ctx);
    /* One piece of work of the backend's own; `is_busy`: jobs wait. *ret_more: there is more to do.
     * NULL: none. */
    int (*prepare)(void *ctx, bool is_busy, bool *ret_more);
    /* Nothing was committed for seal_ms, or the thread ends; once after the last commit. NULL:
     * nothing is to be done then. */
    int (*seal)(void *ctx);
    uint32_t seal_ms;
};

struct store_thread_options {
    struct store_thread_backend backend;
    uint32_t lazy_ms;
    void *ctx;
    void (*notify)(void *ctx); /* as in env_lmdb.h */
};

#define STORE_BUCKETS 15u

struct store_thread_stats {
    uint64_t commits; /* of batches that had changed something */
    uint64_t jobs;
    int64_t worst_us; /* longest commit since the last call */
    int64_t last_us;
    int64_t sum_us;
    /* Commits by their time: the first took at most 1 ms, each next twice as long, the last more.
     */
    uint64_t buckets[STORE_BUCKETS];
};

/* Starts the thread. BASE_E_NOMEM; ret_native: errno's number. */
MUST_CHECK int store_thread_start(const struct store_thread_options *options,
                                  struct store_thread **ret, int *ret_native);
/* For any thread. After store_thread_stop the job fails with BASE_E_CANCELED. */
void store_thread_submit(void *thread, struct store_job *job);
/* Calls `done` of what has ended; returns how many. *ret_failed: error of the store, or 0. */
size_t store_thread_complete(struct store_thread *thread, int *ret_failed);
/* Makes the loop thread call _complete; for any thread. */
void store_thread_notify(struct store_thread *thread);
/* Ends the thread after all jobs submitted so far. What they completed is still to be delivered. */
void store_thread_stop(struct store_thread *thread);
struct store_thread *store_thread_free(struct store_thread *thread);
struct store_thread_stats store_thread_stats(struct store_thread *thread);

#endif
