/* SPDX-License-Identifier: Apache-2.0 */
/* See wal_format.h. */
#include "raft/wal_format.h"

#include "base/assert.h"
#include "base/crc32c.h"

#define MAGIC UINT32_C(0x5157414c) /* "QWAL" */
#define COVERED (WAL_HEADER - 4u)  /* bytes of the header that its checksum covers */

static uint32_t checksum_of(const uint8_t *batch, uint32_t body_len)
{
    uint32_t crc = base_crc32c(0, slice_from(batch, COVERED));
    return base_crc32c(crc, slice_from(batch + WAL_HEADER, body_len));
}

void wal_header_seal(struct wal_header *header, uint8_t *batch)
{
    struct buf out = buf_over(batch, WAL_HEADER);
    buf_put_u32_be(&out, MAGIC);
    buf_put_u32_be(&out, header->format);
    buf_put_u64_be(&out, header->store_id);
    buf_put_u64_be(&out, header->segment);
    buf_put_u64_be(&out, header->sequence);
    buf_put_u32_be(&out, header->body_len);
    buf_put_u32_be(&out, header->crc_before);
    buf_put_u32_be(&out, header->flags);
    buf_put_u32_be(&out, 0);
    header->crc = checksum_of(batch, header->body_len);
    buf_put_u32_be(&out, header->crc);
    BASE_ASSERT(!out.is_full && out.len == WAL_HEADER);
}

bool wal_header_read(struct slice bytes, struct wal_header *ret)
{
    struct wal_header header = {0};
    uint32_t magic = 0;
    uint32_t zero = 0;
    if (slice_take_u32_be(&bytes, &magic) != 0 || magic != MAGIC ||
        slice_take_u32_be(&bytes, &header.format) != 0 ||
        slice_take_u64_be(&bytes, &header.store_id) != 0 ||
        slice_take_u64_be(&bytes, &header.segment) != 0 ||
        slice_take_u64_be(&bytes, &header.sequence) != 0 ||
        slice_take_u32_be(&bytes, &header.body_len) != 0 ||
        slice_take_u32_be(&bytes, &header.crc_before) != 0 ||
        slice_take_u32_be(&bytes, &header.flags) != 0 || slice_take_u32_be(&bytes, &zero) != 0 ||
        slice_take_u32_be(&bytes, &header.crc) != 0) {
        return false;
    }
    *ret = header;
    return header.body_len <= WAL_BODY_MAX && zero == 0;
}

bool wal_batch_is_whole(const struct wal_header *header, const uint8_t *batch)
{
    return header->crc == checksum_of(batch, header->body_len);
}

size_t wal_op_size(const struct wal_op *op)
{
    switch (op->type) {
    case WAL_OP_PUT:
        return WAL_PUT_OVERHEAD + op->key.len + op->value.len;
    case WAL_OP_DEL:
        return 4 + op->key.len;
    case WAL_OP_DEL_RANGE:
    case WAL_OP_LOG_RANGE:
    default:
        return 17;
    }
}

static void put_u16(struct buf *out, size_t value)
{
    buf_put_u8(out, (uint8_t)(value >> 8));
    buf_put_u8(out, (uint8_t)value);
}

void wal_op_put(struct buf *body, const struct wal_op *op)
{
    buf_put_u8(body, (uint8_t)op->type);
    if (op->type == WAL_OP_DEL_RANGE || op->type == WAL_OP_LOG_RANGE) {
        buf_put_u64_be(body, op->first);
        buf_put_u64_be(body, op->last);
        return;
    }
    buf_put_u8(body, (uint8_t)op->table);
    put_u16(body, op->key.len);
    if (op->type == WAL_OP_PUT) {
        buf_put_u32_be(body, (uint32_t)op->value.len);
    }
    buf_put(body, op->key);
    buf_put(body, op->value);
}

static int take_row(struct slice *rest, struct wal_op *op)
{
    uint8_t table = 0;
    uint8_t high = 0;
    uint8_t low = 0;
    uint32_t value_len = 0;
    if (slice_take_u8(rest, &table) != 0 || slice_take_u8(rest, &high) != 0 ||
        slice_take_u8(rest, &low) != 0 ||
        (op->type == WAL_OP_PUT && slice_take_u32_be(rest, &value_len) != 0) ||
        slice_take_bytes(rest, (size_t)high << 8 | low, &op->key) != 0 ||
        slice_take_bytes(rest, value_len, &op->value) != 0) {
        return BASE_E_PROTO;
    }
    op->table = (enum store_table)table;
    bool is_log = table == STORE_LOG && op->key.len == 8;
    bool is_meta = table == STORE_META && op->key.len > 0 && op->key.len <= STORE_KEY_MAX;
    return is_log || is_meta ? 0 : BASE_E_PROTO;
}

int wal_op_take(struct slice *body, struct wal_op *ret)
{
    struct slice rest = *body;
    struct wal_op op = {0};
    uint8_t type = 0;
    int rc = slice_take_u8(&rest, &type);
    op.type = (enum wal_op_type)type;
    if (rc != 0 || type < WAL_OP_PUT || type > WAL_OP_LOG_RANGE) {
        return BASE_E_PROTO;
    }
    if (type == WAL_OP_PUT || type == WAL_OP_DEL) {
        rc = take_row(&rest, &op);
    } else if (slice_take_u64_be(&rest, &op.first) != 0 ||
               slice_take_u64_be(&rest, &op.last) != 0) {
        rc = BASE_E_PROTO;
    }
    if (rc == 0) {
        *body = rest;
        *ret = op;
    }
    return rc;
}
