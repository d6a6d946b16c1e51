/* SPDX-License-Identifier: Apache-2.0 */
/* The restore id of a store; see restore.h. */
#include "kv/core/restore.h"

#include "base/assert.h"
#include "base/crc32c.h"

#define ROW_BYTES 12u

int kv_core_restore_id(struct store_txn *txn, uint64_t *ret)
{
    struct slice row;
    uint64_t id = 0;
    uint32_t crc = 0;
    int rc = store_get(txn, STORE_META, SLICE_LIT(KV_META_RESTORE), &row);
    if (rc == BASE_E_NOTFOUND) {
        *ret = 0;
        return 0;
    }
    if (rc != 0) {
        return rc;
    }
    struct slice rest = row;
    if (row.len != ROW_BYTES || slice_take_u64_be(&rest, &id) != 0 ||
        slice_take_u32_be(&rest, &crc) != 0 || id == 0 ||
        crc != base_crc32c(0, slice_from(row.data, 8))) {
        return BASE_E_CORRUPT;
    }
    *ret = id;
    return 0;
}

int kv_core_restore_id_set(struct store_txn *txn, uint64_t id)
{
    uint8_t memory[ROW_BYTES];
    struct buf row = buf_over(memory, sizeof(memory));
    BASE_ASSERT(id != 0);
    buf_put_u64_be(&row, id);
    buf_put_u32_be(&row, base_crc32c(0, buf_slice(&row)));
    return store_put(txn, STORE_META, SLICE_LIT(KV_META_RESTORE), buf_slice(&row));
}
