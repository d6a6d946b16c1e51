/* SPDX-License-Identifier: Apache-2.0 */
/* The log store: the store port over append-only segment files, one thread, one flush per batch.
 *
 * Holds STORE_META and STORE_LOG rows only (BASE_E_UNSUPPORTED for other tables); STORE_LOG keys
 * are 8 bytes, big-endian indexes that lie close together. The thread runs jobs in the order of
 * submission, gathers their changes in memory, writes them with one pwrite into space that was
 * written before, and flushes with one fdatasync; jobs submitted meanwhile share the next one.
 * Completions go back to the loop thread as those of env_lmdb.h do. The files are those of
 * raft/wal_log.h; README.md describes the format.
 *
 * After the first error (no space, a failed write or flush, a failed job) every later job fails
 * with it and `fatal` is called once; nothing is tried again, since a flush that failed once may
 * succeed later without having written anything. All functions belong to the loop thread.
 */
#ifndef QUORATE_RAFT_WAL_STORE_H
#define QUORATE_RAFT_WAL_STORE_H

#include "raft/port_store.h"
#include "raft/store_thread.h"
#include "raft/wal_io.h"

#define WAL_SEGMENT_BYTES_DEFAULT (UINT64_C(8) << 20)
#define WAL_SEGMENT_BYTES_MIN (UINT64_C(64) << 10)
#define WAL_STORE_ERROR_MAX 768

struct wal_store;

struct wal_store_options {
    const char *directory;   /* exists, writable; copied. May be the one of env_lmdb. */
    uint64_t segment_bytes;  /* 0: default */
    const struct wal_io *io; /* NULL: the operating system; for tests. Must outlive the store. */
    void *ctx;
    /* Storage thread: completions wait. Called at most once until wal_store_complete was called. */
    void (*notify)(void *ctx);
    /* Loop thread, once, from wal_store_complete: the store has failed. `text` says what and where,
     * and is valid during the call. */
    void (*fatal)(void *ctx, int status, const char *text);
};

/* Opens (and makes, mode 0600) the files wal-NUMBER.seg in the directory, checks all of them, cuts
 * a batch that a crash left half written, and starts the thread. BASE_E_BUSY: another process has
 * it; BASE_E_CORRUPT: damaged, the text says which file and where and how the node rejoins; also
 * BASE_E_NOSPACE, BASE_E_DENIED, BASE_E_NOTFOUND, BASE_E_IO, BASE_E_NOMEM. On failure ret_text, if
 * not NULL, holds one line (WAL_STORE_ERROR_MAX bytes). */
MUST_CHECK int wal_store_open(const struct wal_store_options *options, struct wal_store **ret,
                              char *ret_text);
struct store_port wal_store_port(struct wal_store *store);

/* Calls `done` of the jobs whose work has ended; returns how many. */
size_t wal_store_complete(struct wal_store *store);

/* Ends the thread after all jobs submitted so far, waits for it, and delivers their completions;
 * jobs submitted from those fail with BASE_E_CANCELED. Then close frees. NULL is fine; returns
 * NULL. */
struct wal_store *wal_store_close(struct wal_store *store);

/* For metrics; any time. Worst: since the last call. */
struct wal_store_stats {
    uint64_t batches; /* written and flushed */
    uint64_t flushes; /* all, those of preparing segments included */
    uint64_t jobs;
    uint64_t bytes; /* written by batches */
    uint64_t segments;
    int64_t flush_worst_us; /* of a whole batch: write and flush */
    int64_t flush_last_us;
    struct store_thread_stats thread; /* the times of batches */
};
void wal_store_stats(struct wal_store *store, struct wal_store_stats *ret);

#endif
