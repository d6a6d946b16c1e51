/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of the log store's files: batches and the operations in them. Pure; no I/O, no allocation.
 *
 * A file is a row of batches, each at a multiple of 512 bytes (the unit that a disk writes whole):
 *   magic "QWAL", format u32, store id u64, file number u64, sequence u64, length of body u32,
 *   crc32c of the batch before u32, flags u32, 0 u32, crc32c u32 of all before and the body; body;
 *   anything up to the next multiple of 512. All numbers big-endian.
 * Sequences grow by one. The random store id keeps bytes of users' values from ever passing for a
 * batch. Operations in the body:
 *   1 put:       table u8, key length u16, value length u32, key, value
 *   2 delete:    table u8, key length u16, key
 *   3 delete log range: first u64, last u64 (indexes of STORE_LOG, both gone)
 *   4 log range: first u64, last u64: what STORE_LOG spans; 0, 0: nothing
 * The first batch of a file has flag 1 and begins with a log range and a put of every STORE_META
 * row, so that older files can go as soon as no entry is left in them.
 */
#ifndef QUORATE_RAFT_WAL_FORMAT_H
#define QUORATE_RAFT_WAL_FORMAT_H

#include "raft/port_store.h"

#define WAL_FORMAT 1u
#define WAL_HEADER 52u /* bytes */
#define WAL_ALIGN 512u
#define WAL_BODY_MAX ((uint32_t)1 << 28)
#define WAL_FLAG_FIRST 1u /* first of its file */
#define WAL_PUT_OVERHEAD 8u

struct wal_header {
    uint32_t format;
    uint64_t store_id;
    uint64_t segment;
    uint64_t sequence;
    uint32_t body_len;
    uint32_t crc_before;
    uint32_t flags;
    uint32_t crc;
};

static inline uint64_t wal_align(uint64_t bytes)
{
    return (bytes + WAL_ALIGN - 1) / WAL_ALIGN * WAL_ALIGN;
}

/* Writes the header into the first WAL_HEADER bytes at `batch`, whose body (header->body_len)
 * follows; sets header->crc. */
void wal_header_seal(struct wal_header *header, uint8_t *batch);
/* Reads a header. False: not the beginning of a batch. The body is not looked at. */
bool wal_header_read(struct slice bytes, struct wal_header *ret);
/* Whether header and body at `batch` (WAL_HEADER + body_len bytes) are whole. */
bool wal_batch_is_whole(const struct wal_header *header, const uint8_t *batch);

enum wal_op_type { WAL_OP_PUT = 1, WAL_OP_DEL = 2, WAL_OP_DEL_RANGE = 3, WAL_OP_LOG_RANGE = 4 };

struct wal_op {
    enum wal_op_type type;
    enum store_table table;
    struct slice key;
    struct slice value;
    uint64_t first;
    uint64_t last;
};

/* Bytes that an operation takes. */
size_t wal_op_size(const struct wal_op *op);
void wal_op_put(struct buf *body, const struct wal_op *op);
/* Takes the next operation from the front of a body. BASE_E_PROTO. */
MUST_CHECK int wal_op_take(struct slice *body, struct wal_op *ret);

#endif
