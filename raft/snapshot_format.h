/* SPDX-License-Identifier: Apache-2.0 */
/* Images of the state store as bytes: a writer that makes blocks out of rows, and a reader that
 * takes the bytes in pieces of any size. No I/O, no allocation: the caller gives the memory.
 *
 * An image is a row of blocks, all numbers big-endian:
 *   block: magic "QIMG", type u32, length of payload u32, crc32c u32, payload
 *   head (first): format u32, cluster u64, index u64, term u64, configuration (as STORE_META
 *     "raft.members" holds it; the rest of the payload)
 *   rows: any number of { table u8, key length u16, value length u32, key, value }, in ascending
 *     order of (table, key) over the whole image, no row twice
 *   end (last): rows u64, bytes of keys and values u64
 * followed by zeros up to a multiple of 512 bytes. Each crc32c covers type, length and payload and
 * continues that of the block before, so the last one covers everything. Files that leave the
 * cluster have a SHA-256 of all this (32 bytes) behind them; it is not made or read here.
 * Left out: STORE_LOG, and STORE_META "raft.ids", which belong to one node alone.
 */
#ifndef QUORATE_RAFT_SNAPSHOT_FORMAT_H
#define QUORATE_RAFT_SNAPSHOT_FORMAT_H

#include "raft/port_store.h"

#define SNAPSHOT_FORMAT 1u
#define SNAPSHOT_BLOCK_HEADER 16u
#define SNAPSHOT_ALIGN 512u
#define SNAPSHOT_DIGEST 32u                  /* bytes of the SHA-256 behind a saved image */
#define SNAPSHOT_BLOCK_FULL (64u << 10)      /* payload at which a block is ended */
#define SNAPSHOT_ROW_MAX ((uint32_t)4 << 20) /* bytes of one row */
#define SNAPSHOT_BLOCK_MAX (SNAPSHOT_BLOCK_FULL + SNAPSHOT_ROW_MAX + 1024u)

struct snapshot_head {
    uint64_t cluster_id;
    uint64_t index;
    uint64_t term;
    struct slice configuration; /* value of STORE_META "raft.members"; may be empty */
};

/* Whether a row belongs into an image. */
bool snapshot_has_row(enum store_table table, struct slice key);

/* --- writer --- */

struct snapshot_writer {
    struct buf block; /* over SNAPSHOT_BLOCK_MAX bytes of the caller's */
    uint32_t crc;
    uint64_t bytes; /* handed out so far */
    uint64_t rows;
    uint64_t row_bytes;
    bool is_begun;
    bool is_out; /* the block was handed out; the next call begins another */
};

/* `memory`: SNAPSHOT_BLOCK_MAX bytes. */
struct snapshot_writer snapshot_writer_over(uint8_t *memory);
/* Each of these gives bytes that come next in the image (maybe none), valid until the next call. */
struct slice snapshot_writer_head(struct snapshot_writer *writer, const struct snapshot_head *head);
/* Rows in order. BASE_E_TOOBIG: larger than SNAPSHOT_ROW_MAX. */
MUST_CHECK int snapshot_writer_row(struct snapshot_writer *writer, enum store_table table,
                                   struct slice key, struct slice value, struct slice *ret);
/* What is left of rows; call before end. */
struct slice snapshot_writer_flush(struct snapshot_writer *writer);
struct slice snapshot_writer_end(struct snapshot_writer *writer);

/* --- reader --- */

struct snapshot_visitor {
    void *ctx;
    /* Once, before all rows; slices are valid during the call. An error ends the reading. May be
     * NULL. */
    int (*head)(void *ctx, const struct snapshot_head *head);
    int (*row)(void *ctx, enum store_table table, struct slice key, struct slice value);
};

struct snapshot_reader {
    struct buf block;
    struct snapshot_visitor visitor;
    uint32_t crc;
    uint32_t wanted; /* bytes that the block must have before something can be said */
    uint64_t bytes;  /* taken so far */
    uint64_t rows;
    uint64_t row_bytes;
    uint64_t index; /* of the head, once it was seen */
    int status;     /* first error */
    bool has_head;
    bool has_end;
    int last_table; /* of the last row; -1: none */
    size_t last_key_len;
    uint8_t last_key[STORE_KEY_MAX];
};

/* `memory`: SNAPSHOT_BLOCK_MAX bytes. */
struct snapshot_reader snapshot_reader_over(uint8_t *memory, struct snapshot_visitor visitor);
/* Takes the next bytes. BASE_E_CORRUPT, BASE_E_UNSUPPORTED (another format), or the visitor's
 * error; the same again ever after. */
MUST_CHECK int snapshot_reader_take(struct snapshot_reader *reader, struct slice bytes);
/* After the last byte: whether the image was complete. BASE_E_CORRUPT when not. */
MUST_CHECK int snapshot_reader_end(const struct snapshot_reader *reader);

#endif
