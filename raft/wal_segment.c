/* SPDX-License-Identifier: Apache-2.0 */
/* Segment files: the current one, those before it that still hold rows, and the next one, made
 * ready ahead of time. See wal_log.h. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "raft/wal_internal.h"

#define PIECE_IDLE ((size_t)256 << 10) /* bytes of the next file made ready at a time */
#define PIECE_BUSY ((size_t)64 << 10)
#define SEGMENTS_KEPT 4u /* under load, files that are not needed go when there are more */

struct wal_segment *wal_current(struct wal_log *log)
{
    BASE_ASSERT(log->segment_count > 0);
    return &log->segments[log->segment_count - 1];
}

struct wal_segment *wal_segment_find(struct wal_log *log, uint64_t number)
{
    if (log->segment_count == 0 || number < log->segments[0].number ||
        number - log->segments[0].number >= log->segment_count) {
        return NULL;
    }
    return &log->segments[number - log->segments[0].number];
}

int wal_segment_add(struct wal_log *log, struct wal_segment segment)
{
    BASE_ASSERT(log->segment_count == 0 || wal_current(log)->number + 1 == segment.number);
    if (log->segment_count == log->segment_cap) {
        size_t cap = log->segment_cap == 0 ? 8 : log->segment_cap * 2;
        struct wal_segment *segments = realloc(log->segments, cap * sizeof(*segments));
        if (segments == NULL) {
            return BASE_E_NOMEM;
        }
        log->segments = segments;
        log->segment_cap = cap;
    }
    log->segments[log->segment_count++] = segment;
    return 0;
}

/* --- the next file --- */

static bool is_oldest_dead(const struct wal_log *log)
{
    return log->segment_count > 1 && log->segments[0].live == 0;
}

static struct wal_segment take_oldest(struct wal_log *log)
{
    struct wal_segment oldest = log->segments[0];
    log->segment_count--;
    memmove(log->segments, log->segments + 1, log->segment_count * sizeof(oldest));
    return oldest;
}

static int sync_names(struct wal_log *log, uint64_t number)
{
    const struct wal_io *io = &log->options.io;
    int native = io->sync_directory(io->ctx);
    return native == 0 ? 0 : wal_fail(log, "make durable the name of", number, UINT64_MAX, native);
}

bool wal_is_usable(const struct wal_log *log, uint64_t size)
{
    return size >= log->options.segment_bytes && size / 2 <= log->options.segment_bytes;
}

/* A file without rows serves again: its old batches name another file, so nothing takes them for
 * new ones. */
static int recycle(struct wal_log *log, uint64_t number)
{
    const struct wal_io *io = &log->options.io;
    struct wal_segment oldest = take_oldest(log);
    char from[WAL_NAME_MAX];
    char to[WAL_NAME_MAX];
    wal_name(oldest.number, from);
    wal_name(number, to);
    oldest.number = number;
    log->spare = oldest;
    log->is_spare_flushed = true;
    int native = io->rename(io->ctx, from, to);
    return native == 0 ? sync_names(log, number)
                       : wal_fail(log, "rename an old file to", number, UINT64_MAX, native);
}

int wal_make_spare(struct wal_log *log, uint64_t number)
{
    const struct wal_io *io = &log->options.io;
    char name[WAL_NAME_MAX];
    if (is_oldest_dead(log) && wal_is_usable(log, log->segments[0].size)) {
        return recycle(log, number);
    }
    wal_name(number, name);
    int file = io->open(io->ctx, name, true);
    if (file < 0) {
        return wal_fail(log, "create", number, UINT64_MAX, file);
    }
    log->spare = (struct wal_segment){.number = number, .file = file};
    log->is_spare_flushed = false;
    return sync_names(log, number);
}

int wal_fill_spare(struct wal_log *log, uint64_t bytes)
{
    static const uint8_t zeros[64 << 10];
    const struct wal_io *io = &log->options.io;
    struct wal_segment *spare = &log->spare;
    while (bytes > 0 && spare->size < log->options.segment_bytes) {
        uint64_t len = log->options.segment_bytes - spare->size;
        len = len > sizeof(zeros) ? sizeof(zeros) : len;
        int native = io->pwrite(io->ctx, spare->file, zeros, (size_t)len, spare->size);
        if (native != 0) {
            return wal_fail(log, "reserve room in", spare->number, spare->size, native);
        }
        spare->size += len;
        bytes -= len > bytes ? bytes : len;
    }
    return 0;
}

static int flush_spare(struct wal_log *log)
{
    const struct wal_io *io = &log->options.io;
    int native = io->fdatasync(io->ctx, log->spare.file);
    log->stats.flushes++;
    if (native != 0) {
        return wal_fail(log, "flush", log->spare.number, UINT64_MAX, native);
    }
    log->is_spare_flushed = log->spare.size >= log->options.segment_bytes;
    return 0;
}

int wal_segment_roll(struct wal_log *log)
{
    uint64_t number = wal_current(log)->number + 1;
    int rc = log->spare.number == 0 ? wal_make_spare(log, number) : 0;
    if (rc == 0 && !log->is_spare_flushed) {
        rc = wal_fill_spare(log, log->options.segment_bytes);
        rc = rc != 0 ? rc : flush_spare(log);
    }
    BASE_ASSERT(rc != 0 || log->spare.number == number);
    if (rc == 0) {
        rc = wal_segment_add(log, log->spare);
    }
    if (rc == 0) {
        log->spare = (struct wal_segment){0};
        log->append_at = 0;
        log->since_spare = 0;
    }
    return rc;
}

/* Files that nobody needs. The batch that took their last rows away is durable by now. */
static int drop_oldest(struct wal_log *log)
{
    const struct wal_io *io = &log->options.io;
    struct wal_segment oldest = take_oldest(log);
    char name[WAL_NAME_MAX];
    wal_name(oldest.number, name);
    io->close(io->ctx, oldest.file);
    int native = io->unlink(io->ctx, name);
    return native == 0 ? sync_names(log, oldest.number)
                       : wal_fail(log, "remove", oldest.number, UINT64_MAX, native);
}

/* One file without rows is kept, to serve again when the next one is needed. */
static bool is_drop_due(const struct wal_log *log, bool is_busy)
{
    if (!is_oldest_dead(log) || (is_busy && log->segment_count <= SEGMENTS_KEPT)) {
        return false;
    }
    return !wal_is_usable(log, log->segments[0].size) ||
           (log->segment_count > 2 && log->segments[1].live == 0);
}

/* Under load: in step with the batches, twice as fast as they fill the current file. */
static int fill_busy(struct wal_log *log)
{
    if (log->since_spare < PIECE_BUSY / 2) {
        return 0;
    }
    uint64_t bytes = log->since_spare * 2;
    log->since_spare = 0;
    return wal_fill_spare(log, bytes);
}

int wal_log_prepare(struct wal_log *log, bool is_busy, bool *ret_more)
{
    int rc = log->failed;
    *ret_more = false;
    if (rc != 0) {
        return rc;
    }
    BASE_ASSERT(log->batch.len == 0);
    if (log->spare.number == 0) {
        rc = wal_make_spare(log, wal_current(log)->number + 1);
        *ret_more = rc == 0;
    } else if (is_drop_due(log, is_busy)) {
        rc = drop_oldest(log);
        *ret_more = rc == 0;
    } else if (!log->is_spare_flushed && is_busy) {
        rc = fill_busy(log);
    } else if (!log->is_spare_flushed) {
        rc = wal_fill_spare(log, PIECE_IDLE);
        rc = rc != 0 ? rc : flush_spare(log);
        *ret_more = rc == 0 && !log->is_spare_flushed;
    }
    return rc;
}
