/* SPDX-License-Identifier: Apache-2.0 */
/* The log store without its thread: segment files, the batch being gathered, recovery.
 *
 * Files wal-NUMBER.seg (16 hexadecimal digits, numbers without gaps) hold batches (wal_format.h);
 * the last one with a batch in it is the current one. One further file is kept ready: of full size,
 * written with zeros or left over from a file whose rows are all gone, so that a flush has no
 * metadata to write. A batch is written only after the one before it is flushed; so a bad batch is
 * one that a crash has torn if, and only if, no good batch with a higher sequence follows. So that
 * the last one with something in it does not stay without one behind it, wal_log_seal adds an empty
 * one: damage done to it later, when the files are not used, does not pass for a crash then.
 *
 * One thread at a time. After the first error nothing works any more but wal_log_free.
 */
#ifndef QUORATE_RAFT_WAL_LOG_H
#define QUORATE_RAFT_WAL_LOG_H

#include "raft/port_store.h"
#include "raft/wal_io.h"

#define WAL_LOG_TEXT_MAX 512
#define WAL_NAME_MAX 32

struct wal_log;

struct wal_log_options {
    struct wal_io io;
    uint64_t segment_bytes; /* a multiple of 512 */
    uint64_t fresh_id;      /* random; used when there are no files yet */
};

struct wal_log_stats {
    uint64_t batches;
    uint64_t flushes;
    uint64_t bytes;
    uint64_t segments;
    uint64_t torn; /* batches cut at open: 0 or 1 */
};

/* Reads and checks all files, or makes the first. ret_text: WAL_LOG_TEXT_MAX bytes. */
MUST_CHECK int wal_log_open(const struct wal_log_options *options, struct wal_log **ret,
                            char *ret_text);
struct wal_log *wal_log_free(struct wal_log *log);

/* The operations of port_store.h; changes gather in the batch. */
struct store_txn *wal_log_txn(struct wal_log *log);
/* Values given out so far may go. Call after each job. */
void wal_log_job_end(struct wal_log *log);
/* Bytes gathered; 0: nothing has changed. */
size_t wal_log_batch_bytes(const struct wal_log *log);
/* Writes and flushes the batch. */
MUST_CHECK int wal_log_commit(struct wal_log *log);
/* Puts an empty batch behind the last one, unless that is one itself. No batch may be open. */
MUST_CHECK int wal_log_seal(struct wal_log *log);
/* A small piece of the work that keeps the next file ready and lets go of files that are not
 * needed. ret_more: call again when there is nothing better to do. With is_busy only what cannot
 * wait is done. */
MUST_CHECK int wal_log_prepare(struct wal_log *log, bool is_busy, bool *ret_more);
/* What the first error was and where, for people; "" before. */
const char *wal_log_text(const struct wal_log *log);
struct wal_log_stats wal_log_stats(const struct wal_log *log);

#endif
