/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON gateway's two halves against protobuf-c and against what etcd 3.4.23 answered to the
 * same bodies; damaged JSON; bounds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rand.h"
#include "kv.pb-c.h"
#include "kv/api/json.h"
#include "tests/support/cm.h"

#define RANGE (&etcdserverpb__range_request__descriptor)
#define PUT (&etcdserverpb__put_request__descriptor)
#define TXN (&etcdserverpb__txn_request__descriptor)
#define ADD (&etcdserverpb__member_add_request__descriptor)
#define WATCH (&etcdserverpb__watch_request__descriptor)
#define ALARM (&etcdserverpb__alarm_request__descriptor)

struct pair {
    const ProtobufCMessageDescriptor *type;
    const char *json;
    const char *expected; /* the error, or the message as JSON again */
};

/* Bodies that etcd refuses, with its words. */
static const struct pair refused[] = {
    {PUT, "{\"lease\":\"abc\"}", "invalid character 'a' looking for beginning of value"},
    {PUT, "{\"lease\":\"1x\"}", "invalid character 'x' after top-level value"},
    {PUT, "{\"lease\":\"\"}", "unexpected end of JSON input"},
    {PUT, "{\"lease\":1.5}", "json: cannot unmarshal number 1.5 into Go value of type int64"},
    {PUT, "{\"lease\":true}", "json: cannot unmarshal bool into Go value of type int64"},
    {PUT, "{\"lease\":{}}", "json: cannot unmarshal object into Go value of type int64"},
    {PUT, "{\"lease\":99999999999999999999}",
     "json: cannot unmarshal number 99999999999999999999 into Go value of type int64"},
    {PUT, "{\"key\":\"Zm9\"}", "illegal base64 data at input byte 0"},
    {PUT, "{\"key\":\"Zm9v=\"}", "illegal base64 data at input byte 4"},
    {PUT, "{\"key\":\"Zm9vZm9\"}", "illegal base64 data at input byte 4"},
    {PUT, "{\"key\":\"a\\u0000\"}", "illegal base64 data at input byte 1"},
    {PUT, "{\"key\":5}", "json: cannot unmarshal number into Go value of type []uint8"},
    {PUT, "{\"key\":true}", "json: cannot unmarshal bool into Go value of type []uint8"},
    {PUT, "{\"key\":[1000]}", "json: cannot unmarshal number 1000 into Go value of type uint8"},
    {PUT, "{\"prev_kv\":\"true\"}", "json: cannot unmarshal string into Go value of type bool"},
    {PUT, "[]", "json: cannot unmarshal array into Go value of type map[string]json.RawMessage"},
    {PUT, "5", "json: cannot unmarshal number into Go value of type map[string]json.RawMessage"},
    {PUT, "{", "unexpected EOF"},
    {PUT, "{\"key\":\"Zm9v\" \"lease\":9}", "invalid character '\"' after object key:value pair"},
    {PUT, "{\"key\" 5}", "invalid character '5' after object key"},
    {PUT, "{5:5}", "invalid character '5' looking for beginning of object key string"},
    {PUT, "{\"key\":\"Zm9v\",}",
     "invalid character '}' looking for beginning of object key string"},
    {PUT, "{\"key\":tru}", "invalid character '}' in literal true (expecting 'e')"},
    {PUT, "{\"key\":\"Zm\n9v\"}", "invalid character '\\n' in string literal"},
    {RANGE, "{\"sort_order\":\"BOGUS\"}",
     "unknown value \"BOGUS\" for enum etcdserverpb.RangeRequest_SortOrder"},
    {RANGE, "{\"sort_order\":1.5}",
     "json: cannot unmarshal number 1.5 into Go value of type etcdserverpb.RangeRequest_SortOrder"},
    {TXN, "{\"compare\":{}}",
     "json: cannot unmarshal object into Go value of type []json.RawMessage"},
    {TXN, "{\"compare\":[5]}",
     "json: cannot unmarshal number into Go value of type map[string]json.RawMessage"},
    {ADD, "{\"peerURLs\":[5]}", "json: cannot unmarshal number into Go value of type string"},
    {WATCH, "{\"create_request\":{\"filters\":\"NODELETE\"}}",
     "invalid target \"slice\" for enum etcdserverpb.WatchCreateRequest_FilterType"},
    {WATCH, "{\"create_request\":{\"filters\":[1,\"BOG\"]}}",
     "unknown value \"BOG\" for enum etcdserverpb.WatchCreateRequest_FilterType"},
    {ALARM, "{\"memberID\":-1}", "json: cannot unmarshal number -1 into Go value of type uint64"},
    {PUT, "{\"a\":-}", "invalid character '}' in numeric literal"},
    {PUT, "{\"a\":1.}", "invalid character '}' after decimal point in numeric literal"},
    {PUT, "{\"a\":1e}", "invalid character '}' in exponent of numeric literal"},
    {PUT, "{\"a\":[1 2]}", "invalid character '2' after array element"},
    {PUT, "{\"a\":\"\\x\"}", "invalid character 'x' in string escape code"},
    {PUT, "{\"a\":\"\\u00g0\"}", "invalid character 'g' in \\u hexadecimal character escape"},
};

/* Bodies that etcd takes, and what it understands. */
static const struct pair taken[] = {
    {PUT, "{\"key\":\"Zm9v\",\"value\":\"YmFy\",\"bogus\":[{\"x\":\"]\"}]}",
     "{\"key\":\"Zm9v\",\"value\":\"YmFy\"}"},
    {PUT, "{\"key\":\"Zm9v\"}x", "{\"key\":\"Zm9v\"}"},
    {PUT, "{\"prevKv\":true,\"ignoreLease\":false,\"lease\":\" 7 \"}",
     "{\"lease\":\"7\",\"prev_kv\":true}"},
    {PUT, "{\"key\":null,\"lease\":null,\"prev_kv\":null}", "{}"},
    {PUT, "null", "{}"},
    {PUT, "{\"key\":[102,111]}", "{\"key\":\"Zm8=\"}"},
    {PUT, "{\"key\":\"Zm\\n9v\"}", "{\"key\":\"Zm9v\"}"},
    {PUT, "{\"key\":\"Zm9vZm==\"}", "{\"key\":\"Zm9vZg==\"}"},
    {PUT, "{\"\\u006bey\":\"Zm9v\"}", "{\"key\":\"Zm9v\"}"},
    {PUT, "{\"key\":\"Zm9v\",\"key\":\"YQ==\"}", "{\"key\":\"YQ==\"}"},
    {PUT, "{\"lease\":-9223372036854775808}", "{\"lease\":\"-9223372036854775808\"}"},
    {RANGE, "{\"sort_order\":\"DESCEND\",\"sort_target\":4}",
     "{\"sort_order\":\"DESCEND\",\"sort_target\":\"VALUE\"}"},
    {RANGE, "{\"sort_order\":7}", "{\"sort_order\":7}"},
    {TXN,
     "{\"compare\":[{\"key\":\"Zm9v\",\"target\":\"VERSION\",\"version\":\"1\"}],\"success\":"
     "[{\"requestRange\":{\"key\":\"Zm9v\"}},{}],\"failure\":[{\"request_txn\":{\"success\":"
     "[{\"request_put\":{}}]}}]}",
     "{\"compare\":[{\"key\":\"Zm9v\",\"version\":\"1\"}],\"success\":[{\"request_range\":"
     "{\"key\":\"Zm9v\"}},{}],\"failure\":[{\"request_txn\":{\"success\":"
     "[{\"request_put\":{}}]}}]}"},
    {TXN, "{\"success\":[{\"request_put\":null}]}", "{\"success\":[{}]}"},
    {ADD, "{\"peerURLs\":[\"http://<a&\\\"\\u20ac\\ud83d\\ude00\\ud83d\"],\"isLearner\":true}",
     "{\"peerURLs\":[\"http://\\u003ca\\u0026\\\"\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbd\"],"
     "\"isLearner\":true}"},
    {ALARM, "{\"action\":\"ACTIVATE\",\"memberID\":18446744073709551615,\"alarm\":1}",
     "{\"action\":\"ACTIVATE\",\"memberID\":\"18446744073709551615\",\"alarm\":\"NOSPACE\"}"},
};

static void refusals_are_those_of_etcd(void **state)
{
    (void)state;
    for (size_t i = 0; i < BASE_COUNT_OF(refused); i++) {
        struct slice text = slice_from_text(refused[i].json);
        struct io_bytes out = {0};
        struct json_error error = {""};
        assert_int_equal(json_read(refused[i].type, &text, &out, &error), BASE_E_INVALID);
        assert_string_equal(error.text, refused[i].expected);
        io_bytes_free(&out);
    }
}

/* Through protobuf-c, so that what we write is protobuf for others too. */
static struct io_bytes repack(const ProtobufCMessageDescriptor *type, const struct io_bytes *bytes)
{
    ProtobufCMessage *message = protobuf_c_message_unpack(type, NULL, bytes->len, bytes->data);
    struct io_bytes out = {0};
    assert_non_null(message);
    assert_int_equal(message->n_unknown_fields, 0);
    assert_int_equal(io_bytes_reserve(&out, protobuf_c_message_get_packed_size(message)), 0);
    out.len = protobuf_c_message_pack(message, out.data);
    protobuf_c_message_free_unpacked(message, NULL);
    return out;
}

static void what_is_read_is_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < BASE_COUNT_OF(taken); i++) {
        struct slice text = slice_from_text(taken[i].json);
        struct io_bytes out = {0};
        struct io_bytes json = {0};
        struct json_error error = {""};
        assert_int_equal(json_read(taken[i].type, &text, &out, &error), 0);
        struct io_bytes again = repack(taken[i].type, &out);
        assert_int_equal(json_write(taken[i].type, slice_from(again.data, again.len), &json), 0);
        assert_int_equal(io_bytes_append(&json, slice_from("", 1)), 0);
        assert_string_equal((const char *)json.data, taken[i].expected);
        io_bytes_free(&out);
        io_bytes_free(&again);
        io_bytes_free(&json);
    }
}

static void bodies_are_sequences(void **state)
{
    (void)state;
    struct slice text = SLICE_LIT(" {\"lease\":1}\n{\"lease\":2}  ");
    struct io_bytes out = {0};
    struct json_error error;
    assert_int_equal(json_read(PUT, &text, &out, &error), 0);
    assert_int_equal(json_read(PUT, &text, &out, &error), 0);
    assert_int_equal(json_read(PUT, &text, &out, &error), BASE_E_NOTFOUND);
    io_bytes_free(&out);
}

/* `depth` arrays inside each other in a field that nobody knows. */
static int read_deep(size_t depth)
{
    char *text = malloc(2 * depth + 8);
    assert_non_null(text);
    memcpy(text, "{\"a\":", 5);
    memset(text + 5, '[', depth);
    memset(text + 5 + depth, ']', depth);
    text[5 + 2 * depth] = '}';
    struct slice slice = slice_from(text, 6 + 2 * depth);
    struct io_bytes out = {0};
    struct json_error error;
    int rc = json_read(PUT, &slice, &out, &error);
    io_bytes_free(&out);
    free(text);
    return rc;
}

static void depth_is_bounded(void **state)
{
    (void)state;
    assert_int_equal(read_deep(JSON_DEPTH_MAX - 1), 0);
    assert_int_equal(read_deep(JSON_DEPTH_MAX), BASE_E_INVALID);
    assert_int_equal(read_deep(100000), BASE_E_INVALID);
}

/* Damaged bodies are refused or understood, and never read beyond their end. */
static void damaged_bodies_do_no_harm(void **state)
{
    (void)state;
    struct base_rand rand = base_rand_make(9, 1);
    size_t refusals = 0;
    for (int i = 0; i < 20000; i++) {
        const struct pair *pair = &taken[base_rand_next(&rand) % BASE_COUNT_OF(taken)];
        size_t len = strlen(pair->json);
        char *copy = malloc(len);
        assert_non_null(copy);
        memcpy(copy, pair->json, len);
        for (uint64_t flips = 1 + base_rand_next(&rand) % 3; flips > 0 && len > 0; flips--) {
            static const char bytes[] = "{}[]\":,\\u0 tn1\x80-";
            size_t at = base_rand_next(&rand) % len;
            copy[at] = bytes[base_rand_next(&rand) % (sizeof(bytes) - 1)];
        }
        if (base_rand_next(&rand) % 4 == 0) {
            len = base_rand_next(&rand) % len;
        }
        char *exact = malloc(len > 0 ? len : 1); /* so that the sanitizer sees the end */
        assert_non_null(exact);
        memcpy(exact, copy, len);
        struct slice text = slice_from(exact, len);
        struct io_bytes out = {0};
        struct io_bytes json = {0};
        struct json_error error;
        int rc = json_read(pair->type, &text, &out, &error);
        if (rc == 0) {
            assert_int_equal(json_write(pair->type, slice_from(out.data, out.len), &json), 0);
        } else {
            refusals++;
        }
        io_bytes_free(&out);
        io_bytes_free(&json);
        free(exact);
        free(copy);
    }
    assert_in_range(refusals, 1000, 19999);
}

static void damaged_messages_are_not_written(void **state)
{
    (void)state;
    static const uint8_t wrong_type[] = {0x0a, 2, 0x0a, 0}; /* a header's number as bytes */
    struct io_bytes out = {0};
    assert_int_equal(json_write(&etcdserverpb__put_response__descriptor,
                                slice_from(wrong_type, sizeof(wrong_type)), &out),
                     BASE_E_PROTO);
    out.len = 0;
    assert_int_equal(
        json_write(&etcdserverpb__put_response__descriptor, slice_from(wrong_type, 3), &out),
        BASE_E_PROTO);
    io_bytes_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_are_those_of_etcd),
        cmocka_unit_test(what_is_read_is_written),
        cmocka_unit_test(bodies_are_sequences),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(damaged_bodies_do_no_harm),
        cmocka_unit_test(damaged_messages_are_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
