/* SPDX-License-Identifier: Apache-2.0 */
/* Encoding of the key-value rows; see rows.h. */
#include "kv/core/rows.h"

#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"

#define ROW_FORMAT 1u
#define ROW_TOMBSTONE 1u
#define ZEROS_AT_END 0x80u /* behind a zero: two bytes of length follow, and then the end */
#define ZEROS_MAX 127u     /* in one piece that something follows: 0xff for one, 0x81 for 127 */

_Static_assert(KV_KEY_MAX + 1 + KV_REV_BYTES <= STORE_KEY_MAX, "an index row fits into a key");

struct slice kv_bytes_slice(const struct kv_bytes *bytes)
{
    return slice_from(bytes->data, bytes->len);
}

/* Zero bytes from `at` on. */
static size_t zero_run(struct slice key, size_t at)
{
    size_t run = 0;
    while (at + run < key.len && key.data[at + run] == 0) {
        run++;
    }
    return run;
}

/* One piece of the escaped form of key from *at on: a byte, or a run of zeros. Its length. */
static size_t escape_piece(struct slice key, size_t *at, uint8_t out[4])
{
    size_t run = zero_run(key, *at);
    out[0] = key.data[*at];
    if (run == 0) {
        *at += 1;
        return 1;
    }
    if (*at + run == key.len) {
        size_t shown = run < UINT16_MAX ? run : UINT16_MAX;
        out[1] = ZEROS_AT_END;
        out[2] = (uint8_t)(shown >> 8);
        out[3] = (uint8_t)shown;
        *at += run;
        return 4;
    }
    run = run < ZEROS_MAX ? run : ZEROS_MAX;
    out[1] = (uint8_t)(0x100 - run);
    *at += run;
    return 2;
}

bool kv_key_fits(struct slice key)
{
    size_t escaped = 1 + KV_REV_BYTES;
    if (key.len == 0 || key.len > KV_KEY_MAX) {
        return false;
    }
    for (size_t at = 0; at < key.len;) {
        uint8_t piece[4];
        escaped += escape_piece(key, &at, piece);
    }
    return escaped <= STORE_KEY_MAX;
}

void kv_key_escape(struct slice key, struct kv_bytes *ret)
{
    ret->len = 0;
    for (size_t at = 0; at < key.len && ret->len < sizeof(ret->data);) {
        uint8_t piece[4];
        size_t len = escape_piece(key, &at, piece);
        size_t room = sizeof(ret->data) - ret->len;
        len = len < room ? len : room;
        memcpy(ret->data + ret->len, piece, len);
        ret->len += len;
    }
}

static void put_rev(struct buf *out, struct kv_rev rev)
{
    BASE_ASSERT(rev.main <= INT64_MAX);
    buf_put_u64_be(out, rev.main);
    buf_put_u32_be(out, rev.sub);
}

static int take_rev(struct slice *s, struct kv_rev *ret)
{
    struct kv_rev rev;
    if (slice_take_u64_be(s, &rev.main) != 0 || slice_take_u32_be(s, &rev.sub) != 0 ||
        rev.main > INT64_MAX) {
        return BASE_E_CORRUPT;
    }
    *ret = rev;
    return 0;
}

void kv_rev_encode(struct kv_rev rev, struct kv_bytes *ret)
{
    struct buf out = buf_over(ret->data, sizeof(ret->data));
    put_rev(&out, rev);
    ret->len = out.len;
}

int kv_rev_decode(struct slice bytes, struct kv_rev *ret)
{
    return take_rev(&bytes, ret) != 0 || bytes.len != 0 ? BASE_E_CORRUPT : 0;
}

void kv_index_encode(struct slice key, struct kv_rev rev, struct kv_bytes *ret)
{
    BASE_ASSERT(kv_key_fits(key));
    kv_key_escape(key, ret);
    struct buf out = buf_over(ret->data, sizeof(ret->data));
    out.len = ret->len;
    buf_put_u8(&out, 0);
    put_rev(&out, rev);
    ret->len = out.len;
}

int kv_index_decode(struct slice row, struct slice *ret_escaped, struct kv_rev *ret_rev)
{
    struct slice escaped;
    if (row.len < KV_REV_BYTES + 2 ||
        slice_take_bytes(&row, row.len - KV_REV_BYTES, &escaped) != 0 ||
        take_rev(&row, ret_rev) != 0) {
        return BASE_E_CORRUPT;
    }
    *ret_escaped = escaped;
    return 0;
}

void kv_stamp_encode(const struct kv_stamp *stamp, struct buf *out)
{
    put_rev(out, stamp->rev);
    buf_put_u64_be(out, stamp->create);
    buf_put_u64_be(out, stamp->version);
    buf_put_u64_be(out, stamp->lease);
}

int kv_stamp_decode(struct slice bytes, struct kv_stamp *ret)
{
    struct kv_stamp stamp;
    if (take_rev(&bytes, &stamp.rev) != 0 || slice_take_u64_be(&bytes, &stamp.create) != 0 ||
        slice_take_u64_be(&bytes, &stamp.version) != 0 ||
        slice_take_u64_be(&bytes, &stamp.lease) != 0 || bytes.len != 0) {
        return BASE_E_CORRUPT;
    }
    *ret = stamp;
    return 0;
}

int kv_meta_get(struct store_txn *txn, struct slice name, uint64_t *ret)
{
    struct slice bytes;
    uint64_t value = 0;
    int rc = store_get(txn, STORE_META, name, &bytes);
    if (rc == 0 && (slice_take_u64_be(&bytes, &value) != 0 || bytes.len != 0)) {
        rc = BASE_E_CORRUPT;
    }
    if (rc == 0) {
        *ret = value;
    }
    return rc;
}

int kv_meta_put(struct store_txn *txn, struct slice name, uint64_t value)
{
    uint8_t bytes[8];
    struct buf out = buf_over(bytes, sizeof(bytes));
    buf_put_u64_be(&out, value);
    return store_put(txn, STORE_META, name, buf_slice(&out));
}

void kv_row_encode(const struct kv_row *row, struct buf *out)
{
    size_t start = out->len;
    buf_put_u32_be(out, 0); /* the checksum's place */
    buf_put_u8(out, ROW_FORMAT);
    buf_put_u8(out, row->is_tombstone ? ROW_TOMBSTONE : 0);
    buf_put_u64_be(out, row->create);
    buf_put_u64_be(out, row->version);
    buf_put_u64_be(out, row->lease);
    buf_put_u32_be(out, (uint32_t)row->key.len);
    buf_put(out, row->key);
    buf_put(out, row->value);
    BASE_ASSERT(!out->is_full);
    uint32_t crc = base_crc32c(0, slice_skip(buf_slice(out), start + 4));
    struct buf head = buf_over(out->data + start, 4);
    buf_put_u32_be(&head, crc);
}

int kv_row_decode(struct slice bytes, struct kv_row *ret)
{
    struct kv_row row;
    uint32_t crc = 0;
    uint32_t key_len = 0;
    uint8_t format = 0;
    uint8_t flags = 0;
    if (slice_take_u32_be(&bytes, &crc) != 0 || base_crc32c(0, bytes) != crc ||
        slice_take_u8(&bytes, &format) != 0 || format != ROW_FORMAT ||
        slice_take_u8(&bytes, &flags) != 0 || slice_take_u64_be(&bytes, &row.create) != 0 ||
        slice_take_u64_be(&bytes, &row.version) != 0 ||
        slice_take_u64_be(&bytes, &row.lease) != 0 || slice_take_u32_be(&bytes, &key_len) != 0 ||
        slice_take_bytes(&bytes, key_len, &row.key) != 0) {
        return BASE_E_CORRUPT;
    }
    row.is_tombstone = (flags & ROW_TOMBSTONE) != 0;
    row.value = bytes;
    *ret = row;
    return 0;
}
