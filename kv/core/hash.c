/* SPDX-License-Identifier: Apache-2.0 */
/* The checksum over versions, in key order, that does not see how far removal has come; see
 * compact.h. */
#include <string.h>

#include "base/crc32c.h"
#include "kv/core/compact.h"

struct stepping {
    struct store_txn *txn;
    struct kv_hash_walk *walk;
    uint32_t rows_left; /* 0: no bound */
    bool is_bounded;
    /* the newest version, of those that a compaction may take, of the key last seen */
    bool is_kept;
    struct kv_rev kept;
    struct kv_bytes key;
    bool is_stopped;
};

static int hash_version(struct stepping *s, struct kv_rev rev)
{
    struct kv_bytes at;
    struct slice bytes;
    kv_rev_encode(rev, &at);
    int rc = store_get(s->txn, STORE_KV_REVS, kv_bytes_slice(&at), &bytes);
    if (rc == 0) {
        s->walk->crc = base_crc32c(s->walk->crc, kv_bytes_slice(&at));
        s->walk->crc = base_crc32c(s->walk->crc, bytes);
    }
    return rc == BASE_E_NOTFOUND ? BASE_E_CORRUPT : rc;
}

static int flush_kept(struct stepping *s)
{
    bool is_kept = s->is_kept;
    s->is_kept = false;
    return is_kept ? hash_version(s, s->kept) : 0;
}

/* Whether to stop before this row: at the beginning of a key alone, as what is kept of the key
 * before is decided then. */
static bool is_enough(struct stepping *s, struct slice row)
{
    if (!s->is_bounded || s->rows_left > 0) {
        return false;
    }
    memcpy(s->walk->at.data, row.data, row.len);
    s->walk->at.len = row.len;
    s->is_stopped = true;
    return true;
}

static int hash_row(void *ctx, struct slice key, struct slice value)
{
    struct stepping *s = ctx;
    struct slice escaped;
    struct kv_rev rev;
    int rc = kv_index_decode(key, &escaped, &rev);
    if (rc != 0) {
        return rc;
    }
    if (!slice_equal(escaped, kv_bytes_slice(&s->key))) {
        rc = flush_kept(s);
        if (rc != 0 || is_enough(s, key)) {
            return rc != 0 ? rc : 1;
        }
        memcpy(s->key.data, escaped.data, escaped.len);
        s->key.len = escaped.len;
    }
    s->rows_left -= s->rows_left > 0;
    if (rev.main > (uint64_t)s->walk->revision) {
        return 0;
    }
    if (s->walk->compact >= 0 && rev.main < (uint64_t)s->walk->compact) {
        s->is_kept = value.len == 1 && value.data[0] == 0; /* no tombstone */
        s->kept = rev;
        return 0;
    }
    if (s->walk->compact >= 0 && rev.main == (uint64_t)s->walk->compact) {
        s->is_kept = false; /* superseded by this one */
    }
    rc = flush_kept(s);
    return rc != 0 ? rc : hash_version(s, rev);
}

int kv_hash_begin(struct store_txn *txn, int64_t revision, enum kv_error *ret_error,
                  struct kv_hash_walk *ret)
{
    struct kv_view view;
    struct kv_hash_walk walk = {.revision = revision, .at.len = 0};
    int rc = kv_view_open(txn, NULL, &view);
    rc = rc != 0 ? rc : kv_compact_get(txn, &walk.compact);
    if (rc != 0) {
        return rc;
    }
    *ret_error = revision > 0 && revision <= walk.compact ? KV_E_COMPACTED
                 : revision > view.base                   ? KV_E_FUTURE_REVISION
                                                          : KV_OK;
    if (revision <= 0) {
        walk.revision = view.base;
    }
    *ret = walk;
    return 0;
}

int kv_hash_step(struct store_txn *txn, uint32_t rows_max, struct kv_hash_walk *walk)
{
    struct stepping s = {
        .txn = txn, .walk = walk, .rows_left = rows_max, .is_bounded = rows_max > 0};
    int64_t compact = -1;
    s.key.len = 0;
    int rc = kv_compact_get(txn, &compact);
    if (rc != 0 || compact != walk->compact) {
        walk->is_void = true;
        return rc;
    }
    rc = store_scan(txn, STORE_KV_INDEX, kv_bytes_slice(&walk->at), hash_row, &s);
    if (rc == 0 && !s.is_stopped) {
        rc = flush_kept(&s);
        walk->is_done = true;
    }
    return rc;
}
