/* SPDX-License-Identifier: Apache-2.0 */
/* Stored users and roles, revisions and leases, with a right checksum over any bytes. */
#include "base/crc32c.h"
#include "kv/core/auth_rows.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t memory[1u << 16];
    static uint8_t bytes[1u << 16];
    struct slice in = slice_from(data, size);
    uint8_t how = fuzz_u8(&in);
    struct buf out = buf_over(bytes, sizeof(bytes));
    if (how % 2u == 0) {
        buf_put_u32_be(&out, base_crc32c(0, in));
    }
    buf_put(&out, in);
    if (out.is_full) {
        return 0;
    }
    struct base_arena arena = base_arena_over(memory, sizeof(memory));
    struct kv_user user;
    struct kv_role role;
    struct kv_row row;
    struct kv_stamp stamp;
    struct kv_rev rev;
    struct slice escaped;
    (void)!kv_user_decode(buf_slice(&out), &arena, &user);
    (void)!kv_role_decode(buf_slice(&out), &arena, &role);
    (void)!kv_row_decode(buf_slice(&out), &row);
    (void)!kv_stamp_decode(buf_slice(&out), &stamp);
    (void)!kv_rev_decode(in, &rev);
    (void)!kv_index_decode(in, &escaped, &rev);
    return 0;
}
