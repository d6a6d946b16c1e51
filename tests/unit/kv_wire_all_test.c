/* SPDX-License-Identifier: Apache-2.0 */
/* Every message of the API and of the log: what protobuf-c writes, our tables read and write again
 * to the same bytes; damaged bytes are refused or understood. Messages are made at random from the
 * descriptors, so a field that a table lacks, or has with another number or type, is found. */
#include <stdlib.h>
#include <string.h>

#include "base/rand.h"
#include "command.pb-c.h"
#include "election.pb-c.h"
#include "health.pb-c.h"
#include "kv.pb-c.h"
#include "lock.pb-c.h"
#include "proto/wire/kv.h"
#include "proto/wire/kv_tables.h"
#include "tests/support/cm.h"

#define ROUNDS 300
#define BYTES ((size_t)1 << 18)
#define OBJECT_MAX 4096u

/* table, descriptor */
#define MESSAGES(X) \
    X(header, etcdserverpb__response_header) \
    X(pair, mvccpb__key_value) \
    X(event, mvccpb__event) \
    X(range, etcdserverpb__range_request) \
    X(range_response, etcdserverpb__range_response) \
    X(put, etcdserverpb__put_request) \
    X(put_response, etcdserverpb__put_response) \
    X(delete, etcdserverpb__delete_range_request) \
    X(delete_response, etcdserverpb__delete_range_response) \
    X(txn, etcdserverpb__txn_request) \
    X(txn_response, etcdserverpb__txn_response) \
    X(compact, etcdserverpb__compaction_request) \
    X(header_response, etcdserverpb__compaction_response) \
    X(watch_request, etcdserverpb__watch_request) \
    X(watch_create, etcdserverpb__watch_create_request) \
    X(watch_cancel, etcdserverpb__watch_cancel_request) \
    X(watch_response, etcdserverpb__watch_response) \
    X(lease_grant, etcdserverpb__lease_grant_request) \
    X(lease_grant_response, etcdserverpb__lease_grant_response) \
    X(lease_id, etcdserverpb__lease_revoke_request) \
    X(lease_id, etcdserverpb__lease_keep_alive_request) \
    X(lease_id, etcdserverpb__lease_status) \
    X(header_response, etcdserverpb__lease_revoke_response) \
    X(lease_keep_alive_response, etcdserverpb__lease_keep_alive_response) \
    X(lease_ttl, etcdserverpb__lease_time_to_live_request) \
    X(lease_ttl_response, etcdserverpb__lease_time_to_live_response) \
    X(empty, etcdserverpb__lease_leases_request) \
    X(lease_leases_response, etcdserverpb__lease_leases_response) \
    X(lease_checkpoint, etcdserverpb__lease_checkpoint) \
    X(lease_checkpoints, etcdserverpb__lease_checkpoint_request) \
    X(header_response, etcdserverpb__lease_checkpoint_response) \
    X(member, etcdserverpb__member) \
    X(member_add, etcdserverpb__member_add_request) \
    X(member_add_response, etcdserverpb__member_add_response) \
    X(member_id, etcdserverpb__member_remove_request) \
    X(member_id, etcdserverpb__member_promote_request) \
    X(member_update, etcdserverpb__member_update_request) \
    X(member_list, etcdserverpb__member_list_request) \
    X(member_list_response, etcdserverpb__member_list_response) \
    X(member_list_response, etcdserverpb__member_remove_response) \
    X(member_list_response, etcdserverpb__member_update_response) \
    X(member_list_response, etcdserverpb__member_promote_response) \
    X(alarm, etcdserverpb__alarm_request) \
    X(alarm_member, etcdserverpb__alarm_member) \
    X(alarm_response, etcdserverpb__alarm_response) \
    X(empty, etcdserverpb__status_request) \
    X(status_response, etcdserverpb__status_response) \
    X(empty, etcdserverpb__defragment_request) \
    X(header_response, etcdserverpb__defragment_response) \
    X(empty, etcdserverpb__hash_request) \
    X(hash_response, etcdserverpb__hash_response) \
    X(hash_kv, etcdserverpb__hash_kvrequest) \
    X(hash_kv_response, etcdserverpb__hash_kvresponse) \
    X(snapshot_response, etcdserverpb__snapshot_response) \
    X(move_leader, etcdserverpb__move_leader_request) \
    X(header_response, etcdserverpb__move_leader_response) \
    X(empty, etcdserverpb__auth_enable_request) \
    X(header_response, etcdserverpb__auth_enable_response) \
    X(empty, etcdserverpb__auth_disable_request) \
    X(header_response, etcdserverpb__auth_disable_response) \
    X(empty, etcdserverpb__auth_status_request) \
    X(auth_status_response, etcdserverpb__auth_status_response) \
    X(authenticate, etcdserverpb__authenticate_request) \
    X(authenticate, quorate__log__authenticate) \
    X(authenticate_response, etcdserverpb__authenticate_response) \
    X(user_add, etcdserverpb__auth_user_add_request) \
    X(user_add, quorate__log__user_add) \
    X(header_response, etcdserverpb__auth_user_add_response) \
    X(auth_name, etcdserverpb__auth_user_get_request) \
    X(names_response, etcdserverpb__auth_user_get_response) \
    X(empty, etcdserverpb__auth_user_list_request) \
    X(names_response, etcdserverpb__auth_user_list_response) \
    X(auth_name, etcdserverpb__auth_user_delete_request) \
    X(header_response, etcdserverpb__auth_user_delete_response) \
    X(user_password, etcdserverpb__auth_user_change_password_request) \
    X(user_password, quorate__log__user_password) \
    X(header_response, etcdserverpb__auth_user_change_password_response) \
    X(user_role, etcdserverpb__auth_user_grant_role_request) \
    X(header_response, etcdserverpb__auth_user_grant_role_response) \
    X(user_role, etcdserverpb__auth_user_revoke_role_request) \
    X(header_response, etcdserverpb__auth_user_revoke_role_response) \
    X(auth_name, etcdserverpb__auth_role_add_request) \
    X(header_response, etcdserverpb__auth_role_add_response) \
    X(auth_name, etcdserverpb__auth_role_get_request) \
    X(role_get_response, etcdserverpb__auth_role_get_response) \
    X(empty, etcdserverpb__auth_role_list_request) \
    X(names_response, etcdserverpb__auth_role_list_response) \
    X(auth_name, etcdserverpb__auth_role_delete_request) \
    X(header_response, etcdserverpb__auth_role_delete_response) \
    X(role_grant, etcdserverpb__auth_role_grant_permission_request) \
    X(header_response, etcdserverpb__auth_role_grant_permission_response) \
    X(role_revoke, etcdserverpb__auth_role_revoke_permission_request) \
    X(header_response, etcdserverpb__auth_role_revoke_permission_response) \
    X(user_options, authpb__user_add_options) \
    X(permission, authpb__permission) \
    X(lock, v3lockpb__lock_request) \
    X(lock_response, v3lockpb__lock_response) \
    X(unlock, v3lockpb__unlock_request) \
    X(header_response, v3lockpb__unlock_response) \
    X(campaign, v3electionpb__campaign_request) \
    X(campaign_response, v3electionpb__campaign_response) \
    X(leader_key, v3electionpb__leader_key) \
    X(leader, v3electionpb__leader_request) \
    X(leader_response, v3electionpb__leader_response) \
    X(resign, v3electionpb__resign_request) \
    X(header_response, v3electionpb__resign_response) \
    X(proclaim, v3electionpb__proclaim_request) \
    X(header_response, v3electionpb__proclaim_response) \
    X(swap, quorate__log__swap)

struct message {
    const char *name;
    const struct wire_pb_message *table;
    const ProtobufCMessageDescriptor *type;
};

static const struct message messages[] = {
#define ROW(table, type) {#type, &wire_kv_##table##_table, &type##__descriptor},
    MESSAGES(ROW)
#undef ROW
};

static uint8_t arena_memory[BYTES];
static uint8_t object[OBJECT_MAX];
static uint8_t object_again[OBJECT_MAX];
static uint8_t made[BYTES];
static uint8_t packed[BYTES];
static uint8_t ours[BYTES];

static uint64_t below(struct base_rand *rand, uint64_t bound)
{
    return base_rand_next(rand) % bound;
}

/* --- random messages, by descriptor --- */

static void put_varint(struct buf *b, uint64_t value)
{
    for (; value > 127; value >>= 7) {
        buf_put_u8(b, (uint8_t)(value | 0x80));
    }
    buf_put_u8(b, (uint8_t)value);
}

static void make(const ProtobufCMessageDescriptor *type, struct base_rand *rand, unsigned depth,
                 struct buf *out);

static void make_field(const ProtobufCFieldDescriptor *field, struct base_rand *rand,
                       unsigned depth, struct buf *out)
{
    uint8_t memory[4096];
    struct buf inner = buf_over(memory, depth == 0 ? sizeof(memory) : sizeof(memory) >> depth);
    bool is_enum = field->type == PROTOBUF_C_TYPE_ENUM;
    size_t len = below(rand, 20);
    uint64_t number = base_rand_next(rand) >> below(rand, 64);
    if (is_enum) {
        number = below(rand, ((const ProtobufCEnumDescriptor *)field->descriptor)->n_values);
    } else if (field->type == PROTOBUF_C_TYPE_BOOL) {
        number = below(rand, 2);
    } else if (field->type == PROTOBUF_C_TYPE_UINT32) {
        number &= UINT32_MAX;
    }
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        make(field->descriptor, rand, depth + 1, &inner);
    } else if (field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_BYTES) {
        while (inner.len < len) {
            buf_put_u8(&inner,
                       (uint8_t)(field->type == PROTOBUF_C_TYPE_STRING ? 'a' + below(rand, 26)
                                                                       : below(rand, 256)));
        }
    } else {
        put_varint(out, (uint64_t)field->id << 3);
        put_varint(out, number);
        return;
    }
    if (!inner.is_full) {
        put_varint(out, (uint64_t)field->id << 3 | 2);
        put_varint(out, inner.len);
        buf_put(out, buf_slice(&inner));
    }
}

static void make(const ProtobufCMessageDescriptor *type, struct base_rand *rand, unsigned depth,
                 struct buf *out)
{
    unsigned unions_done = 0;
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        bool is_union = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
        size_t times = field->label == PROTOBUF_C_LABEL_REPEATED ? below(rand, 4) : below(rand, 2);
        if ((is_union && unions_done > 0) ||
            (depth >= 5 && field->type == PROTOBUF_C_TYPE_MESSAGE)) {
            continue;
        }
        unions_done += is_union && times > 0;
        for (; times > 0; times--) {
            make_field(field, rand, depth, out);
        }
    }
}

/* What protobuf-c makes of bytes; its length. */
static size_t repack(const struct message *message, struct slice bytes)
{
    ProtobufCMessage *unpacked =
        protobuf_c_message_unpack(message->type, NULL, bytes.len, bytes.data);
    assert_non_null(unpacked);
    assert_int_equal(unpacked->n_unknown_fields, 0);
    assert_true(protobuf_c_message_get_packed_size(unpacked) <= sizeof(packed));
    size_t len = protobuf_c_message_pack(unpacked, packed);
    protobuf_c_message_free_unpacked(unpacked, NULL);
    return len;
}

static void every_message_is_that_of_protobuf_c(void **state)
{
    (void)state;
    struct base_rand rand = base_rand_make(31, 1);
    for (size_t i = 0; i < BASE_COUNT_OF(messages); i++) {
        assert_true(messages[i].table->size <= OBJECT_MAX);
        for (int round = 0; round < ROUNDS; round++) {
            struct buf b = buf_over(made, sizeof(made));
            struct buf out = buf_over(ours, sizeof(ours));
            struct base_arena arena = base_arena_over(arena_memory, sizeof(arena_memory));
            make(messages[i].type, &rand, 0, &b);
            assert_false(b.is_full);
            size_t len = repack(&messages[i], buf_slice(&b));
            assert_int_equal(wire_pb_decode(messages[i].table, buf_slice(&b), &arena, object), 0);
            assert_int_equal(wire_pb_encode(messages[i].table, object, &out), 0);
            if (out.len != len || memcmp(ours, packed, len) != 0) {
                fail_msg("%s, round %d", messages[i].name, round);
            }
        }
    }
}

static void damaged_messages_do_no_harm(void **state)
{
    (void)state;
    struct base_rand rand = base_rand_make(32, 1);
    size_t refused = 0;
    for (size_t i = 0; i < BASE_COUNT_OF(messages); i++) {
        for (int round = 0; round < ROUNDS; round++) {
            struct buf b = buf_over(made, sizeof(made));
            make(messages[i].type, &rand, 0, &b);
            for (uint64_t flips = 1 + below(&rand, 4); flips > 0 && b.len > 0; flips--) {
                b.data[below(&rand, b.len)] = (uint8_t)below(&rand, 256);
            }
            b.len = below(&rand, 4) == 0 ? below(&rand, b.len + 1) : b.len;
            uint8_t *exact = malloc(b.len > 0 ? b.len : 1); /* the sanitizer sees its end */
            assert_non_null(exact);
            memcpy(exact, b.data, b.len);
            struct base_arena arena = base_arena_over(arena_memory, sizeof(arena_memory));
            int rc = wire_pb_decode(messages[i].table, slice_from(exact, b.len), &arena, object);
            assert_true(rc == 0 || rc == BASE_E_PROTO || rc == BASE_E_TOOBIG);
            refused += rc != 0;
            if (rc == 0) {
                struct buf out = buf_over(ours, sizeof(ours));
                struct buf again = buf_over(packed, sizeof(packed));
                assert_int_equal(wire_pb_encode(messages[i].table, object, &out), 0);
                assert_int_equal(
                    wire_pb_decode(messages[i].table, buf_slice(&out), &arena, object_again), 0);
                assert_int_equal(wire_pb_encode(messages[i].table, object_again, &again), 0);
                assert_true(slice_equal(buf_slice(&out), buf_slice(&again)));
            }
            free(exact);
        }
    }
    assert_in_range(refused, BASE_COUNT_OF(messages) * ROUNDS / 20,
                    BASE_COUNT_OF(messages) * ROUNDS * 19 / 20);
}

/* Clients may send a list of enumerations packed, one by one, or in parts of both. */
static void lists_of_enumerations_come_in_any_form(void **state)
{
    (void)state;
    static const struct slice forms[] = {
        SLICE_LIT("\x2a\x03\x01\x00\x01"),         /* packed */
        SLICE_LIT("\x28\x01\x28\x00\x28\x01"),     /* one by one */
        SLICE_LIT("\x28\x01\x2a\x02\x00\x01"),     /* both */
        SLICE_LIT("\x2a\x01\x01\x28\x00\x28\x01"), /* both, the other way round */
    };
    for (size_t i = 0; i < BASE_COUNT_OF(forms); i++) {
        struct kv_watch_create create;
        struct base_arena arena = base_arena_over(arena_memory, sizeof(arena_memory));
        assert_int_equal(wire_pb_decode(&wire_kv_watch_create_table, forms[i], &arena, &create), 0);
        assert_true(slice_equal(create.filters, SLICE_LIT("\1\0\1")));
    }
    struct kv_watch_create create;
    struct base_arena none = {0};
    assert_int_equal(wire_pb_decode(&wire_kv_watch_create_table, forms[1], &none, &create),
                     BASE_E_TOOBIG);
}

/* Each kind that may stand in the log has its member in the schema's Command, with its number. */
static void every_kind_of_the_log_has_its_number(void **state)
{
    (void)state;
    static const enum kv_kind kinds[] = {
#define KIND(name, number, m, s, rm, rs) KV_KIND_##name,
        KV_KINDS(KIND)
#undef KIND
    };
    for (size_t i = 0; i < BASE_COUNT_OF(kinds); i++) {
        const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(
            &quorate__log__command__descriptor, (unsigned)kinds[i]);
        bool is_logged = kinds[i] != KV_KIND_RANGE && kinds[i] < KV_KIND_FIRST_UNLOGGED;
        assert_int_equal(field != NULL && field->type == PROTOBUF_C_TYPE_MESSAGE, is_logged);
        struct kv_command command = {.origin_node = 7, .request = {.kind = kinds[i]}};
        struct buf out = buf_over(ours, sizeof(ours));
        assert_int_equal(kv_wire_encode_command(&command, &out),
                         is_logged ? 0 : BASE_E_UNSUPPORTED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_is_that_of_protobuf_c),
        cmocka_unit_test(damaged_messages_do_no_harm),
        cmocka_unit_test(lists_of_enumerations_come_in_any_form),
        cmocka_unit_test(every_kind_of_the_log_has_its_number),
    };
    return cmocka_run_group_tests_name("kv_wire_all", tests, NULL, NULL);
}
