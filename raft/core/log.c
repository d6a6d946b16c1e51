/* SPDX-License-Identifier: Apache-2.0 */
/* The log as runs of terms. */
#include "raft/core/log.h"

#include <string.h>

#include "base/assert.h"

void raft_log_init(struct raft_log *log, uint64_t index, uint64_t term)
{
    BASE_ASSERT((index == 0) == (term == 0));
    log->first_index = index + 1;
    log->prev_term = term;
    log->last_index = index;
    log->memory_from = index + 1;
    log->run_count = 0;
}

/* Position of the run that holds `index`, by halving. first_index <= index <= last_index. */
static uint32_t run_of(const struct raft_log *log, uint64_t index)
{
    uint32_t low = 0;
    uint32_t high = log->run_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (log->runs[middle].start <= index) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

bool raft_log_term(const struct raft_log *log, uint64_t index, uint64_t *ret_term)
{
    if (index + 1 < log->first_index || index > log->last_index) {
        return false;
    }
    *ret_term = index + 1 == log->first_index ? log->prev_term : log->runs[run_of(log, index)].term;
    return true;
}

uint64_t raft_log_last_term(const struct raft_log *log)
{
    return log->run_count == 0 ? log->prev_term : log->runs[log->run_count - 1].term;
}

void raft_log_compact(struct raft_log *log, uint64_t index)
{
    BASE_ASSERT(index >= log->first_index);
    BASE_ASSERT(index <= log->last_index);
    uint32_t drop = run_of(log, index);
    log->prev_term = log->runs[drop].term;
    log->first_index = index + 1;
    bool is_run_gone = index == log->last_index ||
                       (drop + 1 < log->run_count && log->runs[drop + 1].start == index + 1);
    drop += is_run_gone;
    log->run_count -= drop;
    memmove(log->runs, log->runs + drop, log->run_count * sizeof(log->runs[0]));
    if (log->run_count > 0) {
        log->runs[0].start = log->first_index;
    }
    if (log->memory_from < log->first_index) {
        log->memory_from = log->first_index;
    }
}

/* Drops the oldest quarter of the runs, or as many as are not needed. */
static int forget_oldest(struct raft_log *log, uint64_t keep_from)
{
    uint32_t drop = RAFT_RUNS_MAX / 4;
    while (drop > 0 && log->runs[drop].start > keep_from) {
        drop--;
    }
    if (drop == 0) {
        return BASE_E_NOSPACE;
    }
    raft_log_compact(log, log->runs[drop].start - 1);
    return 0;
}

bool raft_log_make_room(struct raft_log *log, uint32_t runs, uint64_t keep_from)
{
    while (log->run_count + runs > RAFT_RUNS_MAX) {
        if (forget_oldest(log, keep_from) != 0) {
            return false;
        }
    }
    return true;
}

int raft_log_append(struct raft_log *log, uint64_t term, size_t bytes, uint64_t keep_from)
{
    BASE_ASSERT(term >= raft_log_last_term(log));
    BASE_ASSERT(term > 0);
    if (log->run_count == 0 || log->runs[log->run_count - 1].term != term) {
        if (log->run_count == RAFT_RUNS_MAX) {
            int rc = forget_oldest(log, keep_from);
            if (rc != 0) {
                return rc;
            }
        }
        log->runs[log->run_count++] = (struct raft_run){.start = log->last_index + 1, .term = term};
    }
    log->last_index++;
    log->sizes[log->last_index % RAFT_SIZES_MAX] =
        bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes;
    if (log->last_index - log->memory_from >= RAFT_SIZES_MAX) {
        log->memory_from = log->last_index - RAFT_SIZES_MAX + 1;
    }
    return 0;
}

void raft_log_truncate(struct raft_log *log, uint64_t from)
{
    BASE_ASSERT(from >= log->first_index);
    if (from > log->last_index) {
        return;
    }
    log->last_index = from - 1;
    while (log->run_count > 0 && log->runs[log->run_count - 1].start >= from) {
        log->run_count--;
    }
    if (log->memory_from > from) {
        log->memory_from = from;
    }
}

uint64_t raft_log_seek(const struct raft_log *log, uint64_t index, uint64_t term)
{
    if (index > log->last_index) {
        index = log->last_index;
    }
    if (index < log->first_index) {
        return log->first_index - 1;
    }
    uint32_t at = run_of(log, index);
    while (log->runs[at].term > term) {
        index = log->runs[at].start - 1;
        if (at == 0) {
            break;
        }
        at--;
    }
    return index;
}

uint32_t raft_log_bytes(const struct raft_log *log, uint64_t index)
{
    BASE_ASSERT(index >= log->memory_from);
    BASE_ASSERT(index <= log->last_index);
    return log->sizes[index % RAFT_SIZES_MAX];
}

const char *raft_log_check(const struct raft_log *log)
{
    if (log->run_count == 0) {
        return log->last_index + 1 == log->first_index ? NULL : "a log without runs has entries";
    }
    if (log->runs[0].start != log->first_index || log->runs[0].term < log->prev_term) {
        return "the first run does not start at the first index";
    }
    if (log->runs[log->run_count - 1].start > log->last_index) {
        return "the last run is empty";
    }
    for (uint32_t i = 1; i < log->run_count; i++) {
        if (log->runs[i].start <= log->runs[i - 1].start ||
            log->runs[i].term <= log->runs[i - 1].term) {
            return "runs are out of order";
        }
    }
    return log->memory_from > log->last_index + 1 ? "memory begins behind the log" : NULL;
}
