/* SPDX-License-Identifier: Apache-2.0 */
/* Log entries of any bytes that decode, applied to two replicas, one of which drops compacted rows
 * as it goes: the same outcome and the same state, never an error of the store. */
#include "kv/core/apply.h"
#include "kv/core/check.h"
#include "kv/core/compact.h"
#include "proto/wire/kv.h"
#include "raft/store_mem.h"
#include "tests/fuzz/fuzz.h"

#define ARENA ((size_t)1 << 18)

static uint8_t memory[3][ARENA];
static uint8_t row[KV_ROW_MAX];

static struct kv_outcome apply(struct store_mem *store, struct slice bytes, uint8_t *arena_memory)
{
    struct base_arena decoded = base_arena_over(memory[0], ARENA);
    struct kv_scratch scratch = {.arena = base_arena_over(arena_memory, ARENA),
                                 .row = buf_over(row, sizeof(row))};
    struct kv_command command;
    struct kv_outcome outcome = {0};
    int rc = kv_wire_decode_command(bytes, &decoded, &command);
    BASE_ASSERT(rc == 0);
    rc = kv_core_apply(store_mem_txn(store), &scratch, &command, 3, &outcome);
    BASE_ASSERT(rc == 0);
    return outcome;
}

/* An entry of a few bytes: kind and small fields, so that a script hits the same keys often. */
static size_t make(struct slice *in, struct buf *out)
{
    static const char *const keys[] = {"", "a", "ab", "b", "b\xff", "c"};
    uint8_t what = fuzz_u8(in);
    uint8_t flags = fuzz_u8(in);
    struct kv_command command = {.chosen_id = flags % 3u, .request_id = 1};
    struct kv_request *r = &command.request;
    struct slice key = slice_from_text(keys[flags % 6u]);
    struct slice end = (flags & 64) != 0 ? SLICE_LIT("\0") : slice_from_text(keys[what / 6 % 6u]);
    r->kind = KV_KIND_PUT;
    switch (what % 6) {
    case 0:
        r->kind = KV_KIND_DELETE;
        r->delete_range.key = key;
        r->delete_range.range_end = end;
        r->delete_range.is_prev_kv = (flags & 128) != 0;
        break;
    case 1:
        r->kind = KV_KIND_COMPACT;
        r->compact.revision = flags % 32u;
        break;
    case 2:
        r->kind = KV_KIND_LEASE_GRANT;
        r->lease_grant.id = what / 6 % 3u;
        r->lease_grant.ttl = flags;
        break;
    case 3:
        r->kind = KV_KIND_LEASE_REVOKE;
        r->lease_id.id = what / 6 % 3u;
        break;
    default:
        r->put.key = key;
        r->put.value = fuzz_bytes(in, flags % 16u);
        r->put.lease = what / 6 % 3u;
        r->put.is_prev_kv = (flags & 128) != 0;
        break;
    }
    int rc = kv_wire_encode_command(&command, out);
    BASE_ASSERT(rc == 0);
    return out->len;
}

static void one(struct store_mem *a, struct store_mem *b, struct slice bytes, bool compacts)
{
    struct base_arena arena = base_arena_over(memory[0], ARENA);
    struct kv_command command;
    if (kv_wire_decode_command(bytes, &arena, &command) != 0 ||
        command.request.kind == KV_KIND_RANGE) {
        return;
    }
    struct kv_outcome x = apply(a, bytes, memory[1]);
    struct kv_outcome y = apply(b, bytes, memory[2]);
    uint32_t hash[2] = {0, 0};
    if (compacts) {
        struct kv_compact_progress progress;
        int rc = kv_compact_step(store_mem_txn(b), 4, &progress);
        BASE_ASSERT(rc == 0);
    }
    int rc = kv_core_hash(store_mem_txn(a), &hash[0]);
    rc = rc != 0 ? rc : kv_core_hash(store_mem_txn(b), &hash[1]);
    BASE_ASSERT(rc == 0 && hash[0] == hash[1]);
    BASE_ASSERT(x.error == y.error && x.revision == y.revision && x.is_changed == y.is_changed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_from(data, size);
    struct store_mem *a = store_mem_create();
    struct store_mem *b = store_mem_create();
    uint8_t bytes[512];
    BASE_ASSERT(a != NULL && b != NULL);
    for (int i = 0; i < 64 && in.len > 0; i++) {
        uint8_t how = fuzz_u8(&in);
        struct buf out = buf_over(bytes, sizeof(bytes));
        if (how % 4u == 0) {
            one(a, b, fuzz_bytes(&in, fuzz_u8(&in)), (how & 128) != 0);
        } else {
            (void)make(&in, &out);
            one(a, b, buf_slice(&out), (how & 128) != 0);
        }
    }
    (void)store_mem_destroy(a);
    (void)store_mem_destroy(b);
    return 0;
}
