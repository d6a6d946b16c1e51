/* SPDX-License-Identifier: Apache-2.0 */
/* What the core knows of the log: which term stands at which index, as runs of equal terms, and the
 * size in bytes of recent entries. Bodies live with the glue and the store.
 *
 * Invariants: runs are in order of index and of term, both strictly growing; the first run starts
 * at first_index; an empty log has no runs and last_index + 1 = first_index. When the table of runs
 * is full the oldest are forgotten, as a compaction does: first_index moves up.
 */
#ifndef QUORATE_RAFT_CORE_LOG_H
#define QUORATE_RAFT_CORE_LOG_H

#include "base/error.h"
#include "base/types.h"

#define RAFT_RUNS_MAX 4096  /* terms that are told apart */
#define RAFT_SIZES_MAX 8192 /* recent entries whose size is known */

struct raft_run {
    uint64_t start; /* first index with this term */
    uint64_t term;
};

struct raft_log {
    uint64_t first_index; /* first entry held; those before it are only in the applied state */
    uint64_t prev_term;   /* term at first_index - 1; 0 at the very beginning */
    uint64_t last_index;
    uint64_t memory_from; /* from here on bodies are in the glue's memory and sizes are known */
    uint32_t run_count;
    struct raft_run runs[RAFT_RUNS_MAX];
    uint32_t sizes[RAFT_SIZES_MAX]; /* by index modulo RAFT_SIZES_MAX */
};

/* An empty log whose last compacted entry is (index, term); 0, 0 for a new one. */
void raft_log_init(struct raft_log *log, uint64_t index, uint64_t term);
/* Puts one entry at last_index + 1; term at least that of the last one. BASE_E_NOSPACE: the table
 * of runs is full and nothing before `keep_from` can be forgotten. */
MUST_CHECK int raft_log_append(struct raft_log *log, uint64_t term, size_t bytes,
                               uint64_t keep_from);
/* Room for `runs` more terms, if need be by forgetting old ones before `keep_from`. False: too many
 * terms come after it. */
MUST_CHECK bool raft_log_make_room(struct raft_log *log, uint32_t runs, uint64_t keep_from);
/* Forgets everything up to `index`: first_index <= index <= last_index. */
void raft_log_compact(struct raft_log *log, uint64_t index);
/* Takes off everything from `from` on; first_index <= from. */
void raft_log_truncate(struct raft_log *log, uint64_t from);
/* True and the term when the log knows it: first_index - 1 <= index <= last_index. */
bool raft_log_term(const struct raft_log *log, uint64_t index, uint64_t *ret_term);
uint64_t raft_log_last_term(const struct raft_log *log);
/* Highest index <= `index` that is held and whose term is <= `term`; first_index - 1 if there is
 * none. Used by both sides of a rejected append to skip whole terms. */
uint64_t raft_log_seek(const struct raft_log *log, uint64_t index, uint64_t term);
/* Size of an entry in memory: log->memory_from <= index <= last_index. */
uint32_t raft_log_bytes(const struct raft_log *log, uint64_t index);
/* Broken invariant as text, NULL when all hold. */
const char *raft_log_check(const struct raft_log *log);

#endif
