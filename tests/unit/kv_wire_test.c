/* SPDX-License-Identifier: Apache-2.0 */
/* The key-value codec against generated protobuf-c code, and against damaged bytes. */
#include <stdlib.h>
#include <string.h>

#include "command.pb-c.h"
#include "health.pb-c.h"
#include "kv.pb-c.h"
#include "kv/core/check.h"
#include "proto/wire/kv.h"
#include "tests/support/cm.h"
#include "tests/unit/kv_model.h"
#include "tests/unit/kv_random.h"

#define BYTES ((size_t)1 << 20)

static uint8_t memory[BYTES];
static uint8_t decode_memory[BYTES];
static uint8_t first[BYTES];
static uint8_t second[BYTES];

static const ProtobufCMessageDescriptor *descriptor_of(enum kv_kind kind, bool is_response)
{
    switch ((uint32_t)kind) {
    case KV_KIND_RANGE:
        return is_response ? &etcdserverpb__range_response__descriptor
                           : &etcdserverpb__range_request__descriptor;
    case KV_KIND_PUT:
        return is_response ? &etcdserverpb__put_response__descriptor
                           : &etcdserverpb__put_request__descriptor;
    case KV_KIND_DELETE:
        return is_response ? &etcdserverpb__delete_range_response__descriptor
                           : &etcdserverpb__delete_range_request__descriptor;
    case KV_KIND_TXN:
        return is_response ? &etcdserverpb__txn_response__descriptor
                           : &etcdserverpb__txn_request__descriptor;
    case KV_KIND_STATUS:
        return is_response ? &etcdserverpb__status_response__descriptor
                           : &etcdserverpb__status_request__descriptor;
    case KV_KIND_MEMBER_LIST:
        return is_response ? &etcdserverpb__member_list_response__descriptor
                           : &etcdserverpb__member_list_request__descriptor;
    default:
        break;
    }
    return &quorate__log__command__descriptor;
}

/* protobuf-c reads the bytes, knows every field, and writes the same bytes. */
static void assert_same_as_protobuf_c(const ProtobufCMessageDescriptor *descriptor,
                                      const struct buf *bytes)
{
    ProtobufCMessage *message =
        protobuf_c_message_unpack(descriptor, NULL, bytes->len, bytes->data);
    assert_non_null(message);
    assert_int_equal(message->n_unknown_fields, 0);
    assert_int_equal(protobuf_c_message_get_packed_size(message), bytes->len);
    assert_int_equal(protobuf_c_message_pack(message, second), bytes->len);
    assert_memory_equal(second, bytes->data, bytes->len);
    protobuf_c_message_free_unpacked(message, NULL);
}

static void check_request(const struct kv_request *request)
{
    struct buf out = buf_over(first, sizeof(first));
    struct buf again = buf_over(second, sizeof(second));
    struct base_arena arena = base_arena_over(decode_memory, sizeof(decode_memory));
    struct kv_request decoded;
    enum kv_kind kind = (enum kv_kind)request->kind;
    assert_int_equal(kv_wire_encode_request(request, &out), 0);
    assert_same_as_protobuf_c(descriptor_of(kind, false), &out);
    assert_int_equal(kv_wire_decode_request(kind, buf_slice(&out), &arena, &decoded), 0);
    assert_int_equal(kv_wire_encode_request(&decoded, &again), 0);
    assert_true(slice_equal(buf_slice(&out), buf_slice(&again)));
}

static void check_response(const struct kv_response *response)
{
    struct buf out = buf_over(first, sizeof(first));
    struct buf again = buf_over(second, sizeof(second));
    struct base_arena arena = base_arena_over(decode_memory, sizeof(decode_memory));
    struct kv_response decoded;
    enum kv_kind kind = (enum kv_kind)response->kind;
    assert_int_equal(kv_wire_encode_response(response, &out), 0);
    assert_same_as_protobuf_c(descriptor_of(kind, true), &out);
    assert_int_equal(kv_wire_decode_response(kind, buf_slice(&out), &arena, &decoded), 0);
    assert_int_equal(kv_wire_encode_response(&decoded, &again), 0);
    assert_true(slice_equal(buf_slice(&out), buf_slice(&again)));
}

static void check_command(const struct kv_request *request, struct random_source *source)
{
    struct buf out = buf_over(first, sizeof(first));
    struct buf again = buf_over(second, sizeof(second));
    struct base_arena arena = base_arena_over(decode_memory, sizeof(decode_memory));
    struct kv_command decoded;
    struct kv_command command = {.origin_node = random_below(source, 6),
                                 .origin_life = base_rand_next(&source->rand),
                                 .request_id = random_below(source, 500),
                                 .request = *request};
    assert_int_equal(kv_wire_encode_command(&command, &out), 0);
    assert_same_as_protobuf_c(&quorate__log__command__descriptor, &out);
    assert_int_equal(kv_wire_decode_command(buf_slice(&out), &arena, &decoded), 0);
    assert_int_equal(decoded.request.kind, request->kind);
    assert_int_equal(decoded.origin_life, command.origin_life);
    assert_int_equal(kv_wire_encode_command(&decoded, &again), 0);
    assert_true(slice_equal(buf_slice(&out), buf_slice(&again)));
}

static void random_messages(void **state)
{
    (void)state;
    struct kv_model *model = kv_model_create();
    struct base_arena arena = base_arena_over(memory, sizeof(memory));
    struct random_source source = {.rand = base_rand_make(3, 1), .arena = &arena};
    for (int i = 0; i < 5000; i++) {
        struct kv_response response = {0};
        base_arena_reset(&arena);
        source.revision = kv_model_revision(model);
        struct kv_request request = random_request(&source);
        check_request(&request);
        if (request.kind != KV_KIND_RANGE) {
            check_command(&request, &source);
        }
        if (kv_model_do(model, &request, &arena, &response) == KV_OK) {
            check_response(&response);
        }
    }
    kv_model_destroy(model);
}

static struct kv_request swap_request(void)
{
    static struct kv_swap_put puts[] = {
        {SLICE_LIT("/quorate/a"), SLICE_LIT("{}"), false},
        {SLICE_LIT("/quorate/b"), {NULL, 0}, true},
    };
    return (struct kv_request){.kind = KV_KIND_SWAP,
                               .swap = {.name = SLICE_LIT("pg"),
                                        .expect_epoch = 4,
                                        .expect_revision = UINT64_MAX,
                                        .term = 9,
                                        .new_epoch = 5,
                                        .new_revision = 1,
                                        .blob = SLICE_LIT("\0\1\2"),
                                        .puts = {puts, 2}}};
}

static void other_messages(void **state)
{
    (void)state;
    struct random_source source = {.rand = base_rand_make(5, 1)};
    struct kv_request request = swap_request();
    check_command(&request, &source);
    request = (struct kv_request){.kind = KV_KIND_STATUS};
    check_request(&request);
    request = (struct kv_request){.kind = KV_KIND_MEMBER_LIST, .member_list = {true}};
    check_request(&request);
    struct slice texts[] = {SLICE_LIT("http://127.0.0.1:2379"), SLICE_LIT("http://[::1]:2379")};
    struct kv_member members[] = {
        {.id = UINT64_MAX, .name = SLICE_LIT("n1"), .peer_urls = {texts, 2}, .is_learner = true},
        {.client_urls = {texts, 1}}};
    struct kv_response response = {.kind = KV_KIND_MEMBER_LIST,
                                   .member_list = {.has_header = true, .members = {members, 2}}};
    check_response(&response);
    response = (struct kv_response){.kind = KV_KIND_STATUS,
                                    .status = {.has_header = true,
                                               .header = {1, 2, -3, 4},
                                               .version = SLICE_LIT("3.4.23"),
                                               .db_size = 5,
                                               .leader = 6,
                                               .raft_index = 7,
                                               .raft_term = 8,
                                               .raft_applied_index = 9,
                                               .errors = {texts, 2},
                                               .db_size_in_use = 10,
                                               .is_learner = true}};
    check_response(&response);
}

static void health_messages(void **state)
{
    (void)state;
    struct buf out = buf_over(first, sizeof(first));
    struct kv_health_request request = {SLICE_LIT("etcdserverpb.KV")};
    struct kv_health_response response = {KV_HEALTH_NOT_SERVING};
    assert_int_equal(kv_wire_encode_health_request(&request, &out), 0);
    assert_same_as_protobuf_c(&grpc__health__v1__health_check_request__descriptor, &out);
    assert_int_equal(kv_wire_decode_health_request(buf_slice(&out), &request), 0);
    assert_int_equal(request.service.len, 15);
    buf_reset(&out);
    assert_int_equal(kv_wire_encode_health_response(&response, &out), 0);
    assert_same_as_protobuf_c(&grpc__health__v1__health_check_response__descriptor, &out);
    assert_int_equal(kv_wire_decode_health_response(buf_slice(&out), &response), 0);
    assert_int_equal(response.status, KV_HEALTH_NOT_SERVING);
}

/* --- damaged and hostile bytes --- */

/* Whatever decodes must encode and decode again to the same, and pass the checks without harm. */
static bool decode_any(struct slice bytes)
{
    struct base_arena arena = base_arena_over(decode_memory, sizeof(decode_memory));
    struct kv_command command;
    int rc = kv_wire_decode_command(bytes, &arena, &command);
    assert_true(rc == 0 || rc == BASE_E_PROTO || rc == BASE_E_TOOBIG);
    if (rc != 0) {
        return false;
    }
    struct buf out = buf_over(first, sizeof(first));
    assert_int_equal(kv_wire_encode_command(&command, &out), 0);
    (void)kv_check_request(&command.request);
    if (command.request.kind == KV_KIND_SWAP) {
        (void)kv_check_swap(&command.request.swap);
    }
    return true;
}

static struct slice mutate(struct random_source *source, struct buf *bytes)
{
    size_t flips = 1 + random_below(source, 4);
    for (size_t i = 0; i < flips && bytes->len > 0; i++) {
        size_t at = random_below(source, bytes->len);
        switch (random_below(source, 4)) {
        case 0:
            bytes->data[at] ^= (uint8_t)(1u << random_below(source, 8));
            break;
        case 1:
            bytes->data[at] = (uint8_t)random_below(source, 256);
            break;
        case 2:
            bytes->len = at;
            break;
        default:
            memmove(bytes->data + at, bytes->data + at + 1, bytes->len - at - 1);
            bytes->len--;
            break;
        }
    }
    /* a block of its own size, so that the sanitizer sees a read beyond the end */
    uint8_t *copy = malloc(bytes->len > 0 ? bytes->len : 1);
    assert_non_null(copy);
    memcpy(copy, bytes->data, bytes->len);
    return slice_from(copy, bytes->len);
}

static void mutations_do_no_harm(void **state)
{
    (void)state;
    struct base_arena arena = base_arena_over(memory, sizeof(memory));
    struct random_source source = {.rand = base_rand_make(11, 1), .arena = &arena, .revision = 50};
    size_t accepted = 0;
    for (int i = 0; i < 60000; i++) {
        base_arena_reset(&arena);
        struct buf out = buf_over(second, sizeof(second));
        struct kv_command command = {.origin_node = 1, .request_id = 7};
        do {
            command.request = i % 10 == 0 ? swap_request() : random_request(&source);
        } while (command.request.kind == KV_KIND_RANGE);
        assert_int_equal(kv_wire_encode_command(&command, &out), 0);
        struct slice bytes = mutate(&source, &out);
        accepted += decode_any(bytes);
        free((void *)(uintptr_t)bytes.data);
    }
    assert_in_range(accepted, 1000, 59000);
}

static void deep_nesting_is_refused(void **state)
{
    (void)state;
    /* a transaction in the first operation of a transaction, and so on; each level adds four bytes
     * and more */
    uint8_t bytes[4096];
    size_t at = sizeof(bytes);
    for (size_t depth = 0; depth < 100; depth++) {
        static const uint8_t keys[] = {0x22, 0x12}; /* RequestOp.request_txn, TxnRequest.success */
        for (size_t k = 0; k < 2; k++) {
            size_t len = sizeof(bytes) - at;
            if (len > 127) {
                bytes[--at] = (uint8_t)(len >> 7);
                bytes[--at] = (uint8_t)(len | 0x80);
            } else {
                bytes[--at] = (uint8_t)len;
            }
            bytes[--at] = keys[k];
        }
    }
    struct base_arena arena = base_arena_over(decode_memory, sizeof(decode_memory));
    struct kv_request request;
    struct slice all = slice_from(bytes + at, sizeof(bytes) - at);
    assert_int_equal(kv_wire_decode_request(KV_KIND_TXN, all, &arena, &request), BASE_E_PROTO);
}

static void many_parts_do_not_overflow_the_arena(void **state)
{
    (void)state;
    for (size_t i = 0; i + 2 <= sizeof(first); i += 2) { /* empty operations, two bytes each */
        first[i] = 0x12;
        first[i + 1] = 0;
    }
    struct base_arena arena = base_arena_over(decode_memory, sizeof(decode_memory));
    struct kv_request request;
    assert_int_equal(
        kv_wire_decode_request(KV_KIND_TXN, slice_from(first, sizeof(first)), &arena, &request),
        BASE_E_TOOBIG);
}

static void full_buffers_are_noticed(void **state)
{
    (void)state;
    struct kv_command command = {.origin_node = 1, .request = swap_request()};
    struct buf whole = buf_over(first, sizeof(first));
    assert_int_equal(kv_wire_encode_command(&command, &whole), 0);
    for (size_t cap = 0; cap < whole.len; cap++) {
        struct buf out = buf_over(second, cap);
        assert_int_equal(kv_wire_encode_command(&command, &out), BASE_E_TOOBIG);
        assert_int_equal(out.len, 0);
    }
    struct buf out = buf_over(second, whole.len);
    assert_int_equal(kv_wire_encode_command(&command, &out), 0);
}

static void error_table(void **state)
{
    (void)state;
    assert_string_equal(kv_error_text(KV_OK), "");
    assert_int_equal(kv_error_grpc(KV_OK), 0);
    assert_string_equal(kv_error_text(KV_E_COMPACTED),
                        "etcdserver: mvcc: required revision has been compacted");
    assert_int_equal(kv_error_grpc(KV_E_COMPACTED), 11);
    assert_int_equal(kv_error_grpc(KV_E_COUNT), 2);
    for (int error = 1; error < KV_E_COUNT; error++) {
        assert_true(strlen(kv_error_text((enum kv_error)error)) > 10);
        assert_in_range(kv_error_grpc((enum kv_error)error), 1, 16);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_messages),
        cmocka_unit_test(other_messages),
        cmocka_unit_test(health_messages),
        cmocka_unit_test(mutations_do_no_harm),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(many_parts_do_not_overflow_the_arena),
        cmocka_unit_test(full_buffers_are_noticed),
        cmocka_unit_test(error_table),
    };
    return cmocka_run_group_tests_name("kv_wire", tests, NULL, NULL);
}
