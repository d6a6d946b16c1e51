/* SPDX-License-Identifier: Apache-2.0 */
/* The batch: gathered in memory, written and flushed once; and the words for errors. See wal_log.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/canary.h"
#include "base/failpoint.h"
#include "raft/wal_internal.h"

#define BATCH_KEPT ((size_t)256 << 10) /* memory of a batch that is kept for the next one */

/* --- errors --- */

int wal_code_of(int native)
{
    switch (-native) {
    case 0:
        return 0;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return BASE_E_NOSPACE;
    case EACCES:
    case EPERM:
    case EROFS:
        return BASE_E_DENIED;
    case ENOENT:
    case ENOTDIR:
        return BASE_E_NOTFOUND;
    case ENOMEM:
        return BASE_E_NOMEM;
    default:
        return BASE_E_IO;
    }
}

void wal_name(uint64_t number, char ret[WAL_NAME_MAX])
{
    (void)snprintf(ret, WAL_NAME_MAX, "wal-%016" PRIx64 ".seg", number);
}

int wal_fail(struct wal_log *log, const char *what, uint64_t number, uint64_t offset, int native)
{
    char name[WAL_NAME_MAX];
    char at[32] = "";
    if (log->failed != 0) {
        return log->failed;
    }
    wal_name(number, name);
    if (offset != UINT64_MAX) {
        (void)snprintf(at, sizeof(at), " at byte %" PRIu64, offset);
    }
    log->failed = wal_code_of(native);
    (void)snprintf(
        log->text, sizeof(log->text), "cannot %s %s%s: %s%s", what, name, at, strerror(-native),
        native == -EMFILE || native == -ENFILE ? " (raise the limit of open files)" : "");
    return log->failed;
}

int wal_damaged(struct wal_log *log, const char *what, uint64_t number, uint64_t offset)
{
    char name[WAL_NAME_MAX];
    wal_name(number, name);
    log->failed = BASE_E_CORRUPT;
    (void)snprintf(log->text, sizeof(log->text),
                   "the log is damaged: %s at byte %" PRIu64
                   " of %s. This node cannot vote any more: on another node take it out of the "
                   "quorum with \"kv member remove\", add it anew with \"kv member add\", and "
                   "start it with an empty data directory",
                   what, offset, name);
    return log->failed;
}

const char *wal_log_text(const struct wal_log *log)
{
    return log->text;
}

/* --- changes in memory --- */

static void unlive(struct wal_log *log, struct wal_place before)
{
    struct wal_segment *segment = wal_segment_find(log, before.segment);
    if (segment != NULL) {
        BASE_ASSERT(segment->live > 0);
        segment->live--;
    }
}

static int effect_on_log(struct wal_log *log, const struct wal_op *op, struct wal_place at)
{
    struct slice key = op->key;
    struct wal_place before = {0};
    uint64_t index = 0;
    int rc = slice_take_u64_be(&key, &index);
    if (rc == 0 && op->type == WAL_OP_PUT) {
        rc = wal_rows_put(&log->rows, index, at, &before);
        struct wal_segment *segment = wal_segment_find(log, at.segment);
        if (rc == 0 && segment != NULL) {
            segment->live++;
        }
    } else if (rc == 0) {
        before = wal_rows_del(&log->rows, index);
        rc = before.segment == 0 ? BASE_E_NOTFOUND : 0;
    }
    unlive(log, before);
    return rc;
}

static void effect_of_range(struct wal_log *log, uint64_t first, uint64_t last)
{
    struct wal_rows *rows = &log->rows;
    if (rows->count == 0) {
        return;
    }
    uint64_t from = first < rows->first ? rows->first : first;
    uint64_t end = rows->first + rows->count - 1;
    uint64_t to = last > end ? end : last;
    for (uint64_t i = 0; from <= to && i <= to - from; i++) {
        unlive(log, wal_rows_del(rows, from + i));
    }
}

int wal_take_effect(struct wal_log *log, const struct wal_op *op, struct wal_place at)
{
    if (op->type == WAL_OP_DEL_RANGE) {
        effect_of_range(log, op->first, op->last);
        return 0;
    }
    if (op->type == WAL_OP_LOG_RANGE) {
        return 0;
    }
    if (op->table == STORE_LOG) {
        return effect_on_log(log, op, at);
    }
    return op->type == WAL_OP_PUT ? wal_meta_put(&log->rows, op->key, op->value)
                                  : wal_meta_del(&log->rows, op->key);
}

/* --- the batch --- */

int wal_reserve(struct wal_log *log, size_t bytes)
{
    size_t wanted = (size_t)wal_align(log->batch.len + bytes);
    size_t cap = log->batch.cap < 4096 ? 4096 : log->batch.cap;
    if (wanted > WAL_BODY_MAX) {
        return BASE_E_TOOBIG;
    }
    while (cap < wanted) {
        cap *= 2;
    }
    if (cap != log->batch.cap) {
        uint8_t *data = realloc(log->batch.data, cap);
        if (data == NULL) {
            return BASE_E_NOMEM;
        }
        log->batch.data = data;
        log->batch.cap = cap;
    }
    return 0;
}

static int append_op(struct wal_log *log, const struct wal_op *op)
{
    int rc = wal_reserve(log, wal_op_size(op));
    if (rc == 0) {
        wal_op_put(&log->batch, op);
        BASE_ASSERT(!log->batch.is_full);
    }
    return rc;
}

/* What the first batch of a file begins with. */
static int append_state(struct wal_log *log)
{
    const struct wal_rows *rows = &log->rows;
    struct wal_op range = {.type = WAL_OP_LOG_RANGE};
    if (rows->count > 0) {
        range.first = rows->first;
        range.last = rows->first + rows->count - 1;
    }
    int rc = append_op(log, &range);
    for (size_t i = 0; i < rows->meta_count && rc == 0; i++) {
        struct wal_op put = {.type = WAL_OP_PUT,
                             .table = STORE_META,
                             .key = wal_meta_key(&rows->metas[i]),
                             .value = wal_meta_value(&rows->metas[i])};
        rc = append_op(log, &put);
    }
    return rc;
}

/* A file ends a little before its room does, so that most batches fit into what was written before;
 * one that does not makes its file longer. */
static bool is_nearly_full(struct wal_log *log)
{
    uint64_t room = log->options.segment_bytes / 16;
    return log->append_at + room > log->options.segment_bytes;
}

static int batch_begin(struct wal_log *log)
{
    static const uint8_t header[WAL_HEADER];
    int rc = is_nearly_full(log) ? wal_segment_roll(log) : 0;
    if (rc == 0) {
        rc = wal_reserve(log, WAL_HEADER);
    }
    if (rc == 0) {
        buf_put(&log->batch, slice_from(header, sizeof(header)));
        rc = log->append_at == 0 ? append_state(log) : 0;
    }
    return rc;
}

int wal_add(struct wal_log *log, const struct wal_op *op)
{
    int rc = log->failed;
    if (rc == 0 && log->batch.len == 0) {
        rc = batch_begin(log);
    }
    if (rc == 0) {
        rc = append_op(log, op);
    }
    if (rc != 0) {
        return rc;
    }
    struct wal_place at = {.segment = wal_current(log)->number,
                           .offset = (uint32_t)(log->append_at + log->batch.len - op->value.len),
                           .len = (uint32_t)op->value.len};
    return wal_take_effect(log, op, at);
}

size_t wal_log_batch_bytes(const struct wal_log *log)
{
    return log->batch.len;
}

static void batch_reset(struct wal_log *log)
{
    buf_reset(&log->batch);
    if (log->batch.cap > BATCH_KEPT) {
        free(log->batch.data);
        log->batch = buf_over(NULL, 0);
    }
}

static int write_and_flush(struct wal_log *log, size_t padded)
{
    const struct wal_io *io = &log->options.io;
    struct wal_segment *current = wal_current(log);
    int native = FAILPOINT(LOG_PWRITE) != 0
                     ? -EIO
                     : io->pwrite(io->ctx, current->file, log->batch.data, padded, log->append_at);
    if (native != 0) {
        return wal_fail(log, "write a batch to", current->number, log->append_at, native);
    }
    current->size =
        log->append_at + padded > current->size ? log->append_at + padded : current->size;
    native = FAILPOINT(LOG_FLUSH) != 0 ? -EIO : io->fdatasync(io->ctx, current->file);
    log->stats.flushes++;
    if (native != 0 && !CANARY(CONTINUE_AFTER_FAILED_SYNC)) {
        return wal_fail(log, "flush", current->number, log->append_at, native);
    }
    native = FAILPOINT(LOG_FLUSHED);
    if (native != 0) {
        return wal_fail(log, "flush", current->number, log->append_at, -EIO);
    }
    return 0;
}

int wal_log_commit(struct wal_log *log)
{
    size_t len = log->batch.len;
    if (log->failed != 0 || len == 0) {
        return log->failed;
    }
    size_t padded = (size_t)wal_align(len);
    struct wal_header header = {.format = WAL_FORMAT,
                                .store_id = log->store_id,
                                .segment = wal_current(log)->number,
                                .sequence = log->sequence + 1,
                                .body_len = (uint32_t)(len - WAL_HEADER),
                                .crc_before = log->crc,
                                .flags = log->append_at == 0 ? WAL_FLAG_FIRST : 0};
    BASE_ASSERT(padded <= log->batch.cap);
    memset(log->batch.data + len, 0, padded - len);
    wal_header_seal(&header, log->batch.data);
    int rc = write_and_flush(log, padded);
    if (rc != 0) {
        return rc;
    }
    log->append_at += padded;
    log->sequence++;
    log->crc = header.crc;
    log->is_sealed = false;
    log->since_spare += padded;
    log->stats.batches++;
    log->stats.bytes += padded;
    batch_reset(log);
    return 0;
}

int wal_log_seal(struct wal_log *log)
{
    int rc = log->failed;
    BASE_ASSERT(rc != 0 || log->batch.len == 0);
    if (rc != 0 || log->is_sealed) {
        return rc;
    }
    rc = batch_begin(log);
    rc = rc != 0 ? rc : wal_log_commit(log);
    log->is_sealed = rc == 0;
    return rc;
}

/* --- life --- */

struct store_txn *wal_log_txn(struct wal_log *log)
{
    return &log->txn;
}

void wal_log_job_end(struct wal_log *log)
{
    wal_reads_free(log);
}

struct wal_log_stats wal_log_stats(const struct wal_log *log)
{
    struct wal_log_stats stats = log->stats;
    stats.segments = log->segment_count;
    return stats;
}

int wal_log_open(const struct wal_log_options *options, struct wal_log **ret, char *ret_text)
{
    struct wal_log *log = calloc(1, sizeof(*log));
    if (log == NULL) {
        return BASE_E_NOMEM;
    }
    BASE_ASSERT(options->segment_bytes % WAL_ALIGN == 0 && options->segment_bytes > 0);
    log->options = *options;
    log->txn.ops = &wal_txn_ops;
    log->store_id = options->fresh_id;
    log->is_sealed = true;
    int rc = wal_recover(log);
    if (rc != 0) {
        if (log->text[0] == 0) {
            (void)snprintf(log->text, sizeof(log->text), "cannot read the log: %s",
                           base_error_text(rc));
        }
        (void)snprintf(ret_text, WAL_LOG_TEXT_MAX, "%s", log->text);
        (void)wal_log_free(log);
        return rc;
    }
    *ret = log;
    return 0;
}

struct wal_log *wal_log_free(struct wal_log *log)
{
    if (log == NULL) {
        return NULL;
    }
    const struct wal_io *io = &log->options.io;
    for (size_t i = 0; i < log->segment_count; i++) {
        io->close(io->ctx, log->segments[i].file);
    }
    if (log->spare.number != 0) {
        io->close(io->ctx, log->spare.file);
    }
    wal_reads_free(log);
    wal_rows_free(&log->rows);
    free(log->segments);
    free(log->batch.data);
    free(log);
    return NULL;
}
