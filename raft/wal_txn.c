/* SPDX-License-Identifier: Apache-2.0 */
/* Operations of the log store's transaction: changes go into the batch, reads see it. */
#include <stdlib.h>

#include "base/assert.h"
#include "raft/wal_internal.h"

static struct wal_log *log_of(struct store_txn *txn)
{
    return (struct wal_log *)txn;
}

static int table_check(enum store_table table)
{
    return table == STORE_META || table == STORE_LOG ? 0 : BASE_E_UNSUPPORTED;
}

void wal_reads_free(struct wal_log *log)
{
    while (log->reads != NULL) {
        struct wal_read *next = log->reads->next;
        free(log->reads);
        log->reads = next;
    }
}

/* --- reading --- */

/* Bytes of a place, into memory that lives until the job ends or something is written; or where
 * they lie in the batch. */
static int read_place(struct wal_log *log, const struct wal_place *place, struct slice *ret)
{
    const struct wal_io *io = &log->options.io;
    struct wal_segment *segment = wal_segment_find(log, place->segment);
    BASE_ASSERT(segment != NULL);
    if (segment == wal_current(log) && place->offset >= log->append_at) {
        size_t at = (size_t)(place->offset - log->append_at);
        BASE_ASSERT(at + place->len <= log->batch.len);
        *ret = slice_from(log->batch.data + at, place->len);
        return 0;
    }
    struct wal_read *read = malloc(sizeof(*read) + place->len);
    if (read == NULL) {
        return BASE_E_NOMEM;
    }
    int native = io->pread(io->ctx, segment->file, read->bytes, place->len, place->offset);
    if (native != 0) {
        free(read);
        return wal_fail(log, "read", segment->number, place->offset, native);
    }
    read->next = log->reads;
    log->reads = read;
    *ret = slice_from(read->bytes, place->len);
    return 0;
}

/* The log row of a key; NULL: none. */
static const struct wal_place *place_of(struct wal_log *log, struct slice key)
{
    uint64_t index = 0;
    bool is_index = key.len == 8 && slice_take_u64_be(&key, &index) == 0;
    return is_index ? wal_rows_find(&log->rows, index) : NULL;
}

static int wal_get(struct store_txn *txn, enum store_table table, struct slice key,
                   struct slice *ret)
{
    struct wal_log *log = log_of(txn);
    if (table == STORE_LOG) {
        const struct wal_place *place = place_of(log, key);
        return place == NULL ? BASE_E_NOTFOUND : read_place(log, place, ret);
    }
    bool is_found = false;
    size_t at = wal_meta_seek(&log->rows, key, &is_found);
    if (table != STORE_META || !is_found) {
        return table == STORE_META ? BASE_E_NOTFOUND : BASE_E_UNSUPPORTED;
    }
    *ret = wal_meta_value(&log->rows.metas[at]);
    return 0;
}

/* The smallest index whose key is not below `key`; UINT64_MAX: none. */
static uint64_t index_from(struct slice key)
{
    uint64_t index = 0;
    for (size_t i = 0; i < 8; i++) {
        index = index << 8 | (i < key.len ? key.data[i] : 0);
    }
    return key.len > 8 && index < UINT64_MAX ? index + 1 : index;
}

/* Shows one log row; its memory goes at once. */
static int visit_index(struct wal_log *log, uint64_t index, store_visit_fn *visit, void *ctx)
{
    const struct wal_place *place = wal_rows_find(&log->rows, index);
    uint8_t memory[8];
    struct buf key = buf_over(memory, sizeof(memory));
    struct slice value = SLICE_EMPTY;
    struct wal_read *before = log->reads;
    if (place == NULL) {
        return 0;
    }
    int rc = read_place(log, place, &value);
    if (rc == 0) {
        buf_put_u64_be(&key, index);
        rc = visit(ctx, buf_slice(&key), value);
    }
    while (log->reads != before) {
        struct wal_read *next = log->reads->next;
        free(log->reads);
        log->reads = next;
    }
    return rc;
}

static int scan_log(struct wal_log *log, uint64_t from, store_visit_fn *visit, void *ctx)
{
    const struct wal_rows *rows = &log->rows;
    int rc = 0;
    for (uint64_t i = from > rows->first ? from - rows->first : 0; i < rows->count && rc == 0;
         i++) {
        rc = visit_index(log, rows->first + i, visit, ctx);
    }
    return rc > 0 ? 0 : rc;
}

static int wal_scan(struct store_txn *txn, enum store_table table, struct slice from,
                    store_visit_fn *visit, void *ctx)
{
    struct wal_log *log = log_of(txn);
    bool is_found = false;
    int rc = table_check(table);
    if (rc == 0 && table == STORE_LOG) {
        return scan_log(log, index_from(from), visit, ctx);
    }
    for (size_t i = wal_meta_seek(&log->rows, from, &is_found); rc == 0 && i < log->rows.meta_count;
         i++) {
        const struct wal_meta *meta = &log->rows.metas[i];
        rc = visit(ctx, wal_meta_key(meta), wal_meta_value(meta));
    }
    return rc > 0 ? 0 : rc;
}

static int scan_log_back(struct wal_log *log, uint64_t before, store_visit_fn *visit, void *ctx)
{
    const struct wal_rows *rows = &log->rows;
    uint64_t below = before > rows->first ? before - rows->first : 0;
    int rc = 0;
    for (uint64_t i = below < rows->count ? below : rows->count; i > 0 && rc == 0; i--) {
        rc = visit_index(log, rows->first + i - 1, visit, ctx);
    }
    return rc > 0 ? 0 : rc;
}

static int wal_scan_back(struct store_txn *txn, enum store_table table, struct slice before,
                         store_visit_fn *visit, void *ctx)
{
    struct wal_log *log = log_of(txn);
    bool is_found = false;
    int rc = table_check(table);
    if (rc == 0 && table == STORE_LOG) {
        return scan_log_back(log, before.len == 0 ? UINT64_MAX : index_from(before), visit, ctx);
    }
    size_t end =
        before.len == 0 ? log->rows.meta_count : wal_meta_seek(&log->rows, before, &is_found);
    for (size_t i = end; rc == 0 && i > 0; i--) {
        const struct wal_meta *meta = &log->rows.metas[i - 1];
        rc = visit(ctx, wal_meta_key(meta), wal_meta_value(meta));
    }
    return rc > 0 ? 0 : rc;
}

/* --- changing --- */

static int wal_put(struct store_txn *txn, enum store_table table, struct slice key,
                   struct slice value)
{
    struct wal_log *log = log_of(txn);
    struct wal_op op = {.type = WAL_OP_PUT, .table = table, .key = key, .value = value};
    int rc = table_check(table);
    if (rc == 0 && (key.len == 0 || key.len > STORE_KEY_MAX || value.len > WAL_BODY_MAX)) {
        rc = BASE_E_TOOBIG;
    }
    if (rc == 0 && table == STORE_LOG && key.len != 8) {
        rc = BASE_E_INVALID;
    }
    if (rc == 0) {
        rc = wal_add(log, &op);
        wal_reads_free(log); /* only now: the value may be one that was read */
    }
    return rc;
}

static int wal_del(struct store_txn *txn, enum store_table table, struct slice key)
{
    struct wal_log *log = log_of(txn);
    struct wal_op op = {.type = WAL_OP_DEL, .table = table, .key = key};
    bool is_there = false;
    int rc = table_check(table);
    if (rc == 0 && table == STORE_LOG) {
        is_there = place_of(log, key) != NULL;
    } else if (rc == 0) {
        (void)wal_meta_seek(&log->rows, key, &is_there);
    }
    if (rc != 0 || !is_there) {
        return rc != 0 ? rc : BASE_E_NOTFOUND;
    }
    rc = wal_add(log, &op);
    wal_reads_free(log);
    return rc;
}

/* Names the range by its indexes; counts what is in it. */
static int del_range_log(struct wal_log *log, uint64_t from, uint64_t before, uint64_t rows_max,
                         uint64_t *ret_rows)
{
    const struct wal_rows *rows = &log->rows;
    struct wal_op op = {.type = WAL_OP_DEL_RANGE};
    uint64_t count = 0;
    for (uint64_t i = from > rows->first ? from - rows->first : 0;
         i < rows->count && rows->first + i < before && (rows_max == 0 || count < rows_max); i++) {
        if (wal_rows_find(rows, rows->first + i) != NULL) {
            op.first = count == 0 ? rows->first + i : op.first;
            op.last = rows->first + i;
            count++;
        }
    }
    *ret_rows = count;
    return count == 0 ? 0 : wal_add(log, &op);
}

static int del_range_meta(struct wal_log *log, struct slice from, struct slice before,
                          uint64_t rows_max, uint64_t *ret_rows)
{
    uint8_t memory[STORE_KEY_MAX];
    uint64_t count = 0;
    bool is_found = false;
    int rc = 0;
    while (rc == 0 && (rows_max == 0 || count < rows_max)) {
        size_t at = wal_meta_seek(&log->rows, from, &is_found);
        if (at == log->rows.meta_count ||
            (before.len > 0 && slice_compare(wal_meta_key(&log->rows.metas[at]), before) >= 0)) {
            break;
        }
        struct buf key = buf_over(memory, sizeof(memory));
        buf_put(&key, wal_meta_key(&log->rows.metas[at]));
        struct wal_op op = {.type = WAL_OP_DEL, .table = STORE_META, .key = buf_slice(&key)};
        rc = wal_add(log, &op);
        count += rc == 0;
    }
    *ret_rows = count;
    return rc;
}

static int wal_del_range(struct store_txn *txn, enum store_table table, struct slice from,
                         struct slice before, uint64_t rows_max, uint64_t *ret_rows)
{
    struct wal_log *log = log_of(txn);
    uint64_t rows = 0;
    int rc = table_check(table);
    if (rc == 0 && table == STORE_LOG) {
        uint64_t end = before.len == 0 ? UINT64_MAX : index_from(before);
        rc = del_range_log(log, index_from(from), end, rows_max, &rows);
    } else if (rc == 0) {
        rc = del_range_meta(log, from, before, rows_max, &rows);
    }
    wal_reads_free(log);
    if (rc == 0 && ret_rows != NULL) {
        *ret_rows = rows;
    }
    return rc;
}

static int wal_size(struct store_txn *txn, uint64_t *ret_bytes, uint64_t *ret_bytes_used)
{
    const struct wal_log *log = log_of(txn);
    uint64_t bytes = log->spare.size;
    uint64_t used = log->rows.bytes;
    for (size_t i = 0; i < log->segment_count; i++) {
        bytes += log->segments[i].size;
    }
    for (size_t i = 0; i < log->rows.meta_count; i++) {
        used += log->rows.metas[i].key_len + log->rows.metas[i].value_len;
    }
    *ret_bytes = bytes;
    *ret_bytes_used = used;
    return 0;
}

const struct store_txn_ops wal_txn_ops = {
    .get = wal_get,
    .put = wal_put,
    .del = wal_del,
    .scan = wal_scan,
    .scan_back = wal_scan_back,
    .del_range = wal_del_range,
    .size = wal_size,
};
