/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by wal_log.c (the batch), wal_txn.c (operations), wal_segment.c (files) and wal_recover.c
 * (opening). Nobody else includes it. */
#ifndef QUORATE_RAFT_WAL_INTERNAL_H
#define QUORATE_RAFT_WAL_INTERNAL_H

#include "raft/wal_format.h"
#include "raft/wal_log.h"
#include "raft/wal_rows.h"

struct wal_segment {
    uint64_t number;
    uint64_t size; /* of the file */
    uint64_t live; /* log rows that lie in it */
    int file;
};

/* A value read from a file, kept until the job ends or something is written. */
struct wal_read {
    struct wal_read *next;
    uint8_t bytes[];
};

struct wal_log {
    struct store_txn txn; /* first: the operations are handed a pointer to it */
    struct wal_log_options options;
    struct wal_rows rows;
    struct wal_segment *segments; /* ascending numbers without gaps; the last one is current */
    size_t segment_count;
    size_t segment_cap;
    struct wal_segment spare; /* number 0: none; `size` grows up to segment_bytes */
    bool is_spare_flushed;
    uint64_t append_at; /* in the current file */
    uint64_t sequence;  /* of the last batch */
    uint64_t store_id;
    uint32_t crc;         /* of the last batch */
    bool is_sealed;       /* there is none, or it is an empty one: see wal_log_seal */
    uint64_t since_spare; /* bytes written by batches since the last piece of the spare */
    struct buf batch;     /* header and body; len 0: none */
    struct wal_read *reads;
    struct wal_log_stats stats;
    int failed;
    char text[WAL_LOG_TEXT_MAX];
};

/* wal_log.c */
int wal_code_of(int native); /* of a negative errno number */
/* Notes the first error: `what` of file `number` at `offset` (UINT64_MAX: none). Returns its code.
 */
int wal_fail(struct wal_log *log, const char *what, uint64_t number, uint64_t offset, int native);
/* Damage: the file, the place, and what to do. Returns BASE_E_CORRUPT. */
int wal_damaged(struct wal_log *log, const char *what, uint64_t number, uint64_t offset);
void wal_name(uint64_t number, char ret[WAL_NAME_MAX]);
/* Adds to the batch, which begins with it if need be. */
int wal_add(struct wal_log *log, const struct wal_op *op);
/* Makes room for what is added to the batch. */
int wal_reserve(struct wal_log *log, size_t bytes);
/* Puts one operation into effect in memory; `at`: where a put's value lies. */
int wal_take_effect(struct wal_log *log, const struct wal_op *op, struct wal_place at);

/* wal_segment.c */
struct wal_segment *wal_current(struct wal_log *log);
/* The segment by number; NULL: not there. */
struct wal_segment *wal_segment_find(struct wal_log *log, uint64_t number);
int wal_segment_add(struct wal_log *log, struct wal_segment segment);
/* Goes on in the next file, which is made ready if it is not. */
int wal_segment_roll(struct wal_log *log);
/* Whether a file of this size may serve again: large enough, and not much larger. */
bool wal_is_usable(const struct wal_log *log, uint64_t size);
int wal_make_spare(struct wal_log *log, uint64_t number);
int wal_fill_spare(struct wal_log *log, uint64_t bytes);

/* wal_txn.c */
extern const struct store_txn_ops wal_txn_ops;
void wal_reads_free(struct wal_log *log);

/* wal_recover.c */
int wal_recover(struct wal_log *log);

#endif
