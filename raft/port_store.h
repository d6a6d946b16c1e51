/* SPDX-License-Identifier: Apache-2.0 */
/* Port: ordered byte tables with one write transaction per batch, run by one storage thread.
 *
 * Everything that a quorum node keeps lives in named tables and is changed by jobs. There are two
 * stores behind this port: the log store (STORE_META with ids and hard state, STORE_LOG), whose
 * every batch is one flush of an append-only file (raft/wal_store.c), and the state store (all
 * other tables, and a STORE_META of its own with ids, applied index and configuration), which
 * commits when somebody waits for it or some time has passed (raft/env_lmdb.c). An entry is applied
 * only after it is durable in the log store, so the state never runs ahead of the log but by an
 * installed snapshot. The storage thread takes jobs in the order of
 * submission, runs each inside one open write transaction, and commits when the queue is empty or
 * the batch is large (group commit); a crash leaves either all jobs of a batch or none of them, and
 * never a later batch without an earlier one. Implementations: raft/wal_store.c (append-only
 * files), raft/env_lmdb.c (LMDB), raft/store_mem.c (memory; also the simulated disk).
 *
 * A job sees the effects of all jobs before it, committed or not.
 */
#ifndef QUORATE_RAFT_PORT_STORE_H
#define QUORATE_RAFT_PORT_STORE_H

#include "base/error.h"
#include "base/slice.h"

/* Tables; the number is part of the file format, never reuse one. */
enum store_table {
    STORE_META =
        0, /* text key -> value: hard state, applied index, membership, format version, ids */
    STORE_LOG = 1,        /* big-endian index -> term, type, body, checksum */
    STORE_KV_CURRENT = 2, /* user key -> newest revision, so that "latest" needs one look-up */
    STORE_KV_REVS = 3, /* big-endian (main, sub) -> key, value, create, version, lease, tombstone */
    STORE_KV_INDEX = 4, /* (key, revision) -> nothing: history of one key in order */
    STORE_KV_LEASES = 5,
    STORE_ARBITER = 6,       /* cluster name -> epoch, revision, binary record (guarded swap) */
    STORE_KV_LEASE_KEYS = 7, /* (big-endian lease, key) -> nothing: what is attached to a lease */
    STORE_AUTH = 8,          /* users, roles, whether enabled, auth revision */
    STORE_TABLE_COUNT
};
#define STORE_KEY_MAX 511 /* bytes, LMDB's compile-time limit */

struct store_txn;

/* Visits one row; slices are valid during the call only. Return 0 to go on, 1 to stop, or an error
 * code. A visitor must not write. */
typedef int store_visit_fn(void *ctx, struct slice key, struct slice value);

struct store_txn_ops {
    int (*get)(struct store_txn *txn, enum store_table table, struct slice key, struct slice *ret);
    int (*put)(struct store_txn *txn, enum store_table table, struct slice key, struct slice value);
    int (*del)(struct store_txn *txn, enum store_table table, struct slice key);
    int (*scan)(struct store_txn *txn, enum store_table table, struct slice from,
                store_visit_fn *visit, void *ctx);
    int (*scan_back)(struct store_txn *txn, enum store_table table, struct slice before,
                     store_visit_fn *visit, void *ctx);
    int (*del_range)(struct store_txn *txn, enum store_table table, struct slice from,
                     struct slice before, uint64_t rows_max, uint64_t *ret_rows);
    int (*size)(struct store_txn *txn, uint64_t *ret_bytes, uint64_t *ret_bytes_used);
};

struct store_txn {
    const struct store_txn_ops *ops;
};

/* Value of a key, valid until the next write in this transaction. BASE_E_NOTFOUND; other errors are
 * fatal. */
static inline int store_get(struct store_txn *txn, enum store_table table, struct slice key,
                            struct slice *ret)
{
    return txn->ops->get(txn, table, key, ret);
}
/* Inserts or replaces. Key 1 to STORE_KEY_MAX bytes (BASE_E_TOOBIG). BASE_E_NOSPACE when map or
 * disk is full: the job must fail with it and the node stops; nothing of the batch is kept. */
static inline int store_put(struct store_txn *txn, enum store_table table, struct slice key,
                            struct slice value)
{
    return txn->ops->put(txn, table, key, value);
}
/* Removes a key; BASE_E_NOTFOUND when it is not there. */
static inline int store_del(struct store_txn *txn, enum store_table table, struct slice key)
{
    return txn->ops->del(txn, table, key);
}
/* Visits rows with key >= from in ascending order (empty `from`: all). Returns 0 at the end or
 * after a stop, or the visitor's error. */
static inline int store_scan(struct store_txn *txn, enum store_table table, struct slice from,
                             store_visit_fn *visit, void *ctx)
{
    return txn->ops->scan(txn, table, from, visit, ctx);
}
/* Visits rows with key < before in descending order (empty `before`: from the last row). */
static inline int store_scan_back(struct store_txn *txn, enum store_table table,
                                  struct slice before, store_visit_fn *visit, void *ctx)
{
    return txn->ops->scan_back(txn, table, before, visit, ctx);
}

/* Removes rows with from <= key < before (empty `before`: to the last), at most rows_max of them
 * (0: all), in ascending order; ret_rows (may be NULL): how many. */
static inline int store_del_range(struct store_txn *txn, enum store_table table, struct slice from,
                                  struct slice before, uint64_t rows_max, uint64_t *ret_rows)
{
    return txn->ops->del_range(txn, table, from, before, rows_max, ret_rows);
}

/* Size of the store as it stands on disk, and the part of it that is in use. */
static inline int store_size(struct store_txn *txn, uint64_t *ret_bytes, uint64_t *ret_bytes_used)
{
    return txn->ops->size(txn, ret_bytes, ret_bytes_used);
}

/* One piece of work. The submitter owns the memory and keeps it until done was called. */
struct store_job {
    /* Storage thread. Negative: the whole batch is void and the node must stop. */
    int (*run)(struct store_job *job, struct store_txn *txn);
    /* Loop thread. With wants_durable after the commit that contains the job, else right after run.
     * status: 0, or the error with which the store failed (once failed, every later job fails too).
     */
    void (*done)(struct store_job *job, int status);
    bool wants_durable;
    /* A job that only reads: the store need not commit for its sake. */
    bool is_read_only;
    struct store_job *next; /* the port's */
};

struct store_port {
    void *ctx;
    /* Loop thread. Never blocks, never fails: bounded by the submitters' own limits. `done` is
     * never called from inside submit. Completions come in the order of submission within each
     * class of wants_durable. */
    void (*submit)(void *ctx, struct store_job *job);
};

#endif
