/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the key-value API and log entries: what is read can be written, and read again as the
 * same. */
#include "proto/wire/kv.h"
#include "proto/wire/kv_tables.h"
#include "tests/fuzz/fuzz.h"

#define BYTES ((size_t)1 << 18)
#define OBJECT_MAX 4096u

static const struct wire_pb_message *const tables[] = {
    &wire_kv_range_table,
    &wire_kv_range_response_table,
    &wire_kv_put_table,
    &wire_kv_put_response_table,
    &wire_kv_delete_table,
    &wire_kv_delete_response_table,
    &wire_kv_txn_table,
    &wire_kv_txn_response_table,
    &wire_kv_member_list_table,
    &wire_kv_member_list_response_table,
    &wire_kv_swap_table,
    &wire_kv_status_response_table,
    &wire_kv_alarm_table,
    &wire_kv_alarm_response_table,
    &wire_kv_authenticate_table,
    &wire_kv_compact_table,
    &wire_kv_event_table,
    &wire_kv_lease_checkpoints_table,
    &wire_kv_lease_grant_table,
    &wire_kv_lease_ttl_response_table,
    &wire_kv_campaign_table,
    &wire_kv_leader_response_table,
    &wire_kv_member_add_table,
    &wire_kv_member_add_response_table,
    &wire_kv_role_grant_table,
    &wire_kv_role_get_response_table,
    &wire_kv_user_add_table,
    &wire_kv_names_response_table,
    &wire_kv_watch_create_table,
    &wire_kv_watch_request_table,
    &wire_kv_watch_response_table,
    &wire_kv_snapshot_response_table,
};

static uint8_t memory[2][BYTES];
static uint8_t bytes[2][BYTES];

static void by_table(const struct wire_pb_message *table, struct slice in)
{
    static _Alignas(16) uint8_t object[2][OBJECT_MAX];
    struct base_arena arena = base_arena_over(memory[0], BYTES);
    struct base_arena other = base_arena_over(memory[1], BYTES);
    struct buf out = buf_over(bytes[0], BYTES);
    struct buf again = buf_over(bytes[1], BYTES);
    BASE_ASSERT(table->size <= OBJECT_MAX);
    if (wire_pb_decode(table, in, &arena, object[0]) != 0 ||
        wire_pb_encode(table, object[0], &out) != 0) {
        return;
    }
    int rc = wire_pb_decode(table, buf_slice(&out), &other, object[1]);
    BASE_ASSERT(rc == 0);
    rc = wire_pb_encode(table, object[1], &again);
    BASE_ASSERT(rc == 0 && slice_equal(buf_slice(&out), buf_slice(&again)));
}

static void command(struct slice in)
{
    struct base_arena arena = base_arena_over(memory[0], BYTES);
    struct base_arena other = base_arena_over(memory[1], BYTES);
    struct buf out = buf_over(bytes[0], BYTES);
    struct buf again = buf_over(bytes[1], BYTES);
    struct kv_command first;
    struct kv_command second;
    if (kv_wire_decode_command(in, &arena, &first) != 0 ||
        kv_wire_encode_command(&first, &out) != 0) {
        return;
    }
    int rc = kv_wire_decode_command(buf_slice(&out), &other, &second);
    BASE_ASSERT(rc == 0);
    rc = kv_wire_encode_command(&second, &again);
    BASE_ASSERT(rc == 0 && slice_equal(buf_slice(&out), buf_slice(&again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_from(data, size);
    uint8_t what = fuzz_u8(&in);
    struct kv_request request;
    struct kv_response response;
    struct base_arena arena = base_arena_over(memory[0], BYTES);
    if (what < 128) {
        by_table(tables[what % BASE_COUNT_OF(tables)], in);
    } else if (what < 192) {
        command(in);
    } else if (what < 224) {
        (void)!kv_wire_decode_request((enum kv_kind)(what - 192), in, &arena, &request);
    } else {
        (void)!kv_wire_decode_response((enum kv_kind)(what - 224), in, &arena, &response);
    }
    return 0;
}
