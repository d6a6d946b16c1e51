/* SPDX-License-Identifier: Apache-2.0 */
/* The state store: the store port over LMDB, one environment, one storage thread; and images of it.
 *
 * The thread runs jobs in the order of submission inside one open write transaction. It commits as
 * soon as a job that wants to be durable has run and the queue is empty; without such a job, when
 * commit_lazy_ms have passed since the first change, or the changes are large, or at the end. While
 * nothing has changed nothing wakes up. Completions go back to the loop thread: `notify`
 * is called from the storage thread (uv_async_send or a write to an eventfd), and the loop thread
 * then calls env_lmdb_complete. Every commit is flushed; MDB_NOSYNC, MDB_WRITEMAP and DUPSORT are
 * never used. After the first error every job fails with it, and `fatal` is called once: the
 * process must stop, never truncate and go on.
 *
 * All functions belong to the loop thread. One environment per directory and process; a lock file
 * keeps a second process out.
 */
#ifndef QUORATE_RAFT_ENV_LMDB_H
#define QUORATE_RAFT_ENV_LMDB_H

#include "raft/port_snapshot.h"
#include "raft/port_store.h"
#include "raft/store_thread.h"

#define ENV_LMDB_MAP_DEFAULT (UINT64_C(1) << 30) /* bytes: what the file may grow to */
#define ENV_LMDB_QUOTA_DEFAULT \
    (UINT64_C(512) << 20) /* bytes in use above which client writes are refused */
#define ENV_LMDB_MAP_MIN (UINT64_C(1) << 20)
#define ENV_LMDB_COMMIT_LAZY_MS 100u /* for a state store whose log is elsewhere */
#define ENV_LMDB_COMMIT_BYTES_DEFAULT (UINT64_C(2) << 20)
#define ENV_LMDB_COMMIT_PAGES_DEFAULT 384u
#define ENV_LMDB_RESIDENT_DEFAULT (UINT64_C(8) << 20)
#define ENV_LMDB_IMAGE_RATE_DEFAULT (UINT64_C(64) << 20)
#define ENV_LMDB_ERROR_MAX 768

struct env_lmdb;

struct env_lmdb_options {
    const char *directory; /* exists, writable; copied */
    uint64_t map_bytes;    /* 0: default */
    /* How long a change may wait for its commit while nobody asks for it. 0: not at all. */
    uint32_t commit_lazy_ms;
    /* Bytes changed, and pages that LMDB keeps in memory for them, at which it commits all the
     * same; 0: defaults. */
    uint64_t commit_bytes;
    uint32_t commit_pages;
    /* Bytes of the file that stay mapped in, about; the kernel keeps them anyway. 0: default. */
    uint64_t resident_bytes;
    /* Bytes a second that making and reading images may take from the disk; 0: default. */
    uint64_t image_bytes_per_s;
    void *ctx;
    /* Storage thread: completions wait. Called at most once until env_lmdb_complete was called. */
    void (*notify)(void *ctx);
    /* Loop thread, once, from env_lmdb_complete: the store has failed. `text` says what and where,
     * and is valid during the call. */
    void (*fatal)(void *ctx, int status, const char *text);
};

/* Opens (and makes, mode 0600) DIRECTORY/store.mdb and starts the thread. BASE_E_BUSY: another
 * process has it; BASE_E_NOSPACE, BASE_E_DENIED, BASE_E_NOTFOUND, BASE_E_CORRUPT, BASE_E_IO ... On
 * failure ret_text, if not NULL, holds one line that says what failed (ENV_LMDB_ERROR_MAX bytes).
 */
MUST_CHECK int env_lmdb_open(const struct env_lmdb_options *options, struct env_lmdb **ret,
                             char *ret_text);
struct store_port env_lmdb_port(struct env_lmdb *env);
/* Images of this store, made by a worker thread that is started with the first of them; its
 * completions come from env_lmdb_complete too. Files: image-out.tmp, image-in.tmp, store.new. */
struct snapshot_port env_lmdb_snapshot_port(struct env_lmdb *env);

/* Calls `done` of the jobs whose work has ended; returns how many. */
size_t env_lmdb_complete(struct env_lmdb *env);

/* Ends the thread after all jobs submitted so far, waits for it, and delivers their completions;
 * jobs submitted from those fail with BASE_E_CANCELED. Then close frees. NULL is fine; returns
 * NULL. */
struct env_lmdb *env_lmdb_close(struct env_lmdb *env);

/* For metrics; any time: batches committed, and the worst commit in microseconds since the last
 * call. */
struct env_lmdb_stats {
    uint64_t commits;
    uint64_t jobs;
    int64_t commit_worst_us;
    int64_t commit_last_us;
    struct store_thread_stats thread; /* the times of commits */
};
void env_lmdb_stats(struct env_lmdb *env, struct env_lmdb_stats *ret);

#endif
