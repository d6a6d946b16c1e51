/* SPDX-License-Identifier: Apache-2.0 */
/* What the log store knows in memory: the STORE_META rows whole, and where each STORE_LOG row lies.
 *
 * Log rows are places in a ring over the indexes first..first+count-1; places in between may be
 * absent for a while. A place in a file that is not there any more is `lost`: harmless as long as
 * something later takes it away. Nothing is taken back: after a failed batch the store is of no use
 * anyway.
 */
#ifndef QUORATE_RAFT_WAL_ROWS_H
#define QUORATE_RAFT_WAL_ROWS_H

#include "raft/port_store.h"

#define WAL_SPAN_MAX (UINT64_C(1) << 24) /* indexes between the first and the last row */
#define WAL_LOST UINT64_MAX

struct wal_place {
    uint64_t segment; /* 0: no row; WAL_LOST */
    uint32_t offset;
    uint32_t len;
};

struct wal_meta {
    uint8_t *bytes; /* key, then value */
    size_t key_len;
    size_t value_len;
};

struct wal_rows {
    struct wal_place *places;
    size_t cap; /* power of two, or 0 */
    uint64_t first;
    uint64_t count; /* indexes spanned; the first and the last of them are there */
    uint64_t lost;
    uint64_t bytes; /* of the values of log rows */
    struct wal_meta *metas;
    size_t meta_count;
    size_t meta_cap;
};

void wal_rows_free(struct wal_rows *rows);

struct slice wal_meta_key(const struct wal_meta *meta);
struct slice wal_meta_value(const struct wal_meta *meta);
/* Position of the first row with a key >= `key`. */
size_t wal_meta_seek(const struct wal_rows *rows, struct slice key, bool *ret_found);
MUST_CHECK int wal_meta_put(struct wal_rows *rows, struct slice key, struct slice value);
/* BASE_E_NOTFOUND. */
MUST_CHECK int wal_meta_del(struct wal_rows *rows, struct slice key);

/* The place of a row; NULL when there is none. */
const struct wal_place *wal_rows_find(const struct wal_rows *rows, uint64_t index);
/* Puts a row's place; *ret_before is what was there (segment 0: nothing). BASE_E_INVALID: too far
 * from the others, or index 0; BASE_E_NOMEM. */
MUST_CHECK int wal_rows_put(struct wal_rows *rows, uint64_t index, struct wal_place place,
                            struct wal_place *ret_before);
/* Takes a row out; segment 0 when there was none. */
struct wal_place wal_rows_del(struct wal_rows *rows, uint64_t index);

#endif
