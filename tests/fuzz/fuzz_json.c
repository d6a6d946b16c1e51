/* SPDX-License-Identifier: Apache-2.0 */
/* JSON of the gateway: what is read can be written, and read again as the same message. */
#include "kv.pb-c.h"
#include "kv/api/json.h"
#include "tests/fuzz/fuzz.h"

static const ProtobufCMessageDescriptor *const types[] = {
    &etcdserverpb__range_request__descriptor,
    &etcdserverpb__range_response__descriptor,
    &etcdserverpb__put_request__descriptor,
    &etcdserverpb__txn_request__descriptor,
    &etcdserverpb__txn_response__descriptor,
    &etcdserverpb__watch_request__descriptor,
    &etcdserverpb__watch_response__descriptor,
    &etcdserverpb__lease_grant_request__descriptor,
    &etcdserverpb__member_list_response__descriptor,
    &etcdserverpb__alarm_request__descriptor,
    &etcdserverpb__auth_role_grant_permission_request__descriptor,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_from(data, size);
    const ProtobufCMessageDescriptor *type = types[fuzz_u8(&in) % BASE_COUNT_OF(types)];
    struct io_bytes message = {0}, text = {0}, again = {0}, last = {0};
    struct json_error error;
    if (json_read(type, &in, &message, &error) == 0) {
        int rc = json_write(type, slice_from(message.data, message.len), &text);
        if (rc == 0) {
            struct slice rest = slice_from(text.data, text.len);
            rc = json_read(type, &rest, &again, &error);
            BASE_ASSERT(rc == 0);
            rc = json_write(type, slice_from(again.data, again.len), &last);
            BASE_ASSERT(rc == 0);
            BASE_ASSERT(
                slice_equal(slice_from(text.data, text.len), slice_from(last.data, last.len)));
        }
    }
    io_bytes_free(&message);
    io_bytes_free(&text);
    io_bytes_free(&again);
    io_bytes_free(&last);
    /* as bytes of a message, too */
    if (size > 1 && json_write(type, slice_from(data + 1, size - 1), &text) == 0) {
        struct slice rest = slice_from(text.data, text.len);
        int rc = json_read(type, &rest, &again, &error);
        BASE_ASSERT(rc == 0);
        io_bytes_free(&again);
    }
    io_bytes_free(&text);
    return 0;
}
