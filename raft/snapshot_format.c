/* SPDX-License-Identifier: Apache-2.0 */
/* See snapshot_format.h. */
#include "raft/snapshot_format.h"

#include <string.h>

#include "base/assert.h"
#include "base/canary.h"
#include "base/crc32c.h"

#define MAGIC UINT32_C(0x51494d47) /* "QIMG" */
#define ROW_HEADER 7u
#define END_BYTES 16u

enum block_type { BLOCK_HEAD = 1, BLOCK_ROWS = 2, BLOCK_END = 3 };

bool snapshot_has_row(enum store_table table, struct slice key)
{
    if (CANARY(SNAPSHOT_OMITS_TABLE) && table == STORE_KV_LEASES) {
        return false;
    }
    return table != STORE_LOG && !(table == STORE_META && slice_equal(key, SLICE_LIT("raft.ids")));
}

/* Checksum of type, length and payload, continued from the block before. */
static uint32_t checksum_of(uint32_t crc, uint32_t type, struct slice payload)
{
    uint8_t memory[8];
    struct buf b = buf_over(memory, sizeof(memory));
    buf_put_u32_be(&b, type);
    buf_put_u32_be(&b, (uint32_t)payload.len);
    return base_crc32c(base_crc32c(crc, buf_slice(&b)), payload);
}

/* --- writer --- */

/* Leaves room for the header, which is known last. */
static void block_open(struct snapshot_writer *writer)
{
    static const uint8_t header[SNAPSHOT_BLOCK_HEADER];
    writer->is_out = false;
    buf_reset(&writer->block);
    buf_put(&writer->block, slice_from(header, sizeof(header)));
}

static struct slice block_close(struct snapshot_writer *writer, enum block_type type)
{
    struct slice block = buf_slice(&writer->block);
    struct slice payload = slice_skip(block, SNAPSHOT_BLOCK_HEADER);
    struct buf header = buf_over(writer->block.data, SNAPSHOT_BLOCK_HEADER);
    BASE_ASSERT(!writer->block.is_full);
    writer->crc = checksum_of(writer->crc, (uint32_t)type, payload);
    buf_put_u32_be(&header, MAGIC);
    buf_put_u32_be(&header, (uint32_t)type);
    buf_put_u32_be(&header, (uint32_t)payload.len);
    buf_put_u32_be(&header, writer->crc);
    writer->bytes += block.len;
    writer->is_out = true;
    return block;
}

struct snapshot_writer snapshot_writer_over(uint8_t *memory)
{
    return (struct snapshot_writer){.block = buf_over(memory, SNAPSHOT_BLOCK_MAX)};
}

struct slice snapshot_writer_head(struct snapshot_writer *writer, const struct snapshot_head *head)
{
    BASE_ASSERT(!writer->is_begun);
    BASE_ASSERT(head->configuration.len <= SNAPSHOT_ROW_MAX);
    writer->is_begun = true;
    block_open(writer);
    buf_put_u32_be(&writer->block, SNAPSHOT_FORMAT);
    buf_put_u64_be(&writer->block, head->cluster_id);
    buf_put_u64_be(&writer->block, head->index);
    buf_put_u64_be(&writer->block, head->term);
    buf_put(&writer->block, head->configuration);
    return block_close(writer, BLOCK_HEAD);
}

int snapshot_writer_row(struct snapshot_writer *writer, enum store_table table, struct slice key,
                        struct slice value, struct slice *ret)
{
    BASE_ASSERT(writer->is_begun);
    if (key.len > STORE_KEY_MAX || value.len > SNAPSHOT_ROW_MAX - STORE_KEY_MAX - ROW_HEADER) {
        return BASE_E_TOOBIG;
    }
    if (writer->is_out) {
        block_open(writer);
    }
    buf_put_u8(&writer->block, (uint8_t)table);
    buf_put_u8(&writer->block, (uint8_t)(key.len >> 8));
    buf_put_u8(&writer->block, (uint8_t)key.len);
    buf_put_u32_be(&writer->block, (uint32_t)value.len);
    buf_put(&writer->block, key);
    buf_put(&writer->block, value);
    writer->rows++;
    writer->row_bytes += key.len + value.len;
    bool is_full = writer->block.len - SNAPSHOT_BLOCK_HEADER >= SNAPSHOT_BLOCK_FULL;
    *ret = is_full ? block_close(writer, BLOCK_ROWS) : SLICE_EMPTY;
    return 0;
}

struct slice snapshot_writer_flush(struct snapshot_writer *writer)
{
    bool has_rows = !writer->is_out && writer->block.len > SNAPSHOT_BLOCK_HEADER;
    return has_rows ? block_close(writer, BLOCK_ROWS) : SLICE_EMPTY;
}

struct slice snapshot_writer_end(struct snapshot_writer *writer)
{
    BASE_ASSERT(writer->is_begun && writer->is_out);
    block_open(writer);
    buf_put_u64_be(&writer->block, writer->rows);
    buf_put_u64_be(&writer->block, writer->row_bytes);
    struct slice block = block_close(writer, BLOCK_END);
    while (writer->bytes % SNAPSHOT_ALIGN != 0) {
        buf_put_u8(&writer->block, 0);
        writer->bytes++;
        block.len++;
    }
    return block;
}

/* --- reader --- */

struct snapshot_reader snapshot_reader_over(uint8_t *memory, struct snapshot_visitor visitor)
{
    return (struct snapshot_reader){.block = buf_over(memory, SNAPSHOT_BLOCK_MAX),
                                    .visitor = visitor,
                                    .wanted = SNAPSHOT_BLOCK_HEADER,
                                    .last_table = -1};
}

static int read_head(struct snapshot_reader *reader, struct slice payload)
{
    struct snapshot_head head = {0};
    uint32_t format = 0;
    if (slice_take_u32_be(&payload, &format) != 0) {
        return BASE_E_CORRUPT;
    }
    if (format != SNAPSHOT_FORMAT) {
        return BASE_E_UNSUPPORTED;
    }
    if (slice_take_u64_be(&payload, &head.cluster_id) != 0 ||
        slice_take_u64_be(&payload, &head.index) != 0 ||
        slice_take_u64_be(&payload, &head.term) != 0) {
        return BASE_E_CORRUPT;
    }
    head.configuration = payload;
    reader->has_head = true;
    reader->index = head.index;
    return reader->visitor.head == NULL ? 0 : reader->visitor.head(reader->visitor.ctx, &head);
}

/* Rows come in order, each once. */
static int check_order(struct snapshot_reader *reader, uint8_t table, struct slice key)
{
    struct slice last = slice_from(reader->last_key, reader->last_key_len);
    bool is_behind = reader->last_table < (int)table ||
                     (reader->last_table == (int)table && slice_compare(last, key) < 0);
    if (!is_behind) {
        return BASE_E_CORRUPT;
    }
    memcpy(reader->last_key, key.data, key.len);
    reader->last_key_len = key.len;
    reader->last_table = (int)table;
    return 0;
}

static int read_row(struct snapshot_reader *reader, struct slice *rest)
{
    uint8_t table = 0;
    uint8_t high = 0;
    uint8_t low = 0;
    uint32_t value_len = 0;
    struct slice key = SLICE_EMPTY;
    struct slice value = SLICE_EMPTY;
    if (slice_take_u8(rest, &table) != 0 || slice_take_u8(rest, &high) != 0 ||
        slice_take_u8(rest, &low) != 0 || slice_take_u32_be(rest, &value_len) != 0 ||
        slice_take_bytes(rest, (size_t)high << 8 | low, &key) != 0 ||
        slice_take_bytes(rest, value_len, &value) != 0 || key.len == 0 || key.len > STORE_KEY_MAX ||
        table == STORE_LOG) {
        return BASE_E_CORRUPT;
    }
    if (table >= STORE_TABLE_COUNT) {
        return BASE_E_UNSUPPORTED;
    }
    int rc = check_order(reader, table, key);
    if (rc == 0) {
        reader->rows++;
        reader->row_bytes += key.len + value.len;
        rc = reader->visitor.row(reader->visitor.ctx, (enum store_table)table, key, value);
    }
    return rc;
}

static int read_end(struct snapshot_reader *reader, struct slice payload)
{
    uint64_t rows = 0;
    uint64_t row_bytes = 0;
    if (payload.len != END_BYTES || slice_take_u64_be(&payload, &rows) != 0 ||
        slice_take_u64_be(&payload, &row_bytes) != 0 || rows != reader->rows ||
        row_bytes != reader->row_bytes) {
        return BASE_E_CORRUPT;
    }
    reader->has_end = true;
    return 0;
}

static int read_block(struct snapshot_reader *reader, uint32_t type, struct slice payload)
{
    int rc = 0;
    if (type == BLOCK_HEAD && !reader->has_head) {
        return read_head(reader, payload);
    }
    if (type == BLOCK_END && reader->has_head) {
        return read_end(reader, payload);
    }
    if (type != BLOCK_ROWS || !reader->has_head || payload.len == 0) {
        return BASE_E_CORRUPT;
    }
    while (rc == 0 && payload.len > 0) {
        rc = read_row(reader, &payload);
    }
    return rc;
}

/* The block holds `wanted` bytes: a header, or a whole block. */
static int block_grown(struct snapshot_reader *reader)
{
    struct slice rest = buf_slice(&reader->block);
    uint32_t magic = 0;
    uint32_t type = 0;
    uint32_t len = 0;
    uint32_t crc = 0;
    int rc = 0;
    if (slice_take_u32_be(&rest, &magic) != 0 || slice_take_u32_be(&rest, &type) != 0 ||
        slice_take_u32_be(&rest, &len) != 0 || slice_take_u32_be(&rest, &crc) != 0 ||
        magic != MAGIC || len > SNAPSHOT_BLOCK_MAX - SNAPSHOT_BLOCK_HEADER) {
        return BASE_E_CORRUPT;
    }
    if (rest.len < len) {
        reader->wanted = SNAPSHOT_BLOCK_HEADER + len;
        return 0;
    }
    reader->crc = checksum_of(reader->crc, type, rest);
    if (crc != reader->crc) {
        return BASE_E_CORRUPT;
    }
    rc = read_block(reader, type, rest);
    buf_reset(&reader->block);
    reader->wanted = SNAPSHOT_BLOCK_HEADER;
    return rc;
}

/* Behind the end there are zeros up to the next multiple. */
static int take_padding(struct snapshot_reader *reader, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.data[i] != 0 || reader->bytes % SNAPSHOT_ALIGN == 0) {
            return BASE_E_CORRUPT;
        }
        reader->bytes++;
    }
    return 0;
}

int snapshot_reader_take(struct snapshot_reader *reader, struct slice bytes)
{
    while (reader->status == 0 && bytes.len > 0) {
        if (reader->has_end) {
            reader->status = take_padding(reader, bytes);
            break;
        }
        size_t missing = reader->wanted - reader->block.len;
        size_t len = bytes.len < missing ? bytes.len : missing;
        buf_put(&reader->block, slice_from(bytes.data, len));
        bytes = slice_skip(bytes, len);
        reader->bytes += len;
        if (reader->block.len == reader->wanted) {
            reader->status = block_grown(reader);
        }
    }
    return reader->status;
}

int snapshot_reader_end(const struct snapshot_reader *reader)
{
    if (reader->status != 0) {
        return reader->status;
    }
    bool is_whole = reader->has_end && reader->bytes % SNAPSHOT_ALIGN == 0;
    return is_whole ? 0 : BASE_E_CORRUPT;
}
