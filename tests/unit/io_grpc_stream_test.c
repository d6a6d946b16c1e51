/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of the blocking gRPC client against a small server in a thread that says hello, sends
 * each message back, and ends the stream when it is half-closed. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/io/grpc_client.h"
#include "proto/io/server.h"
#include "tests/unit/io_test_support.h"

#define LARGE_BYTES (1u << 20)
#define WAIT_MS 5000

static struct {
    struct io_loop *loop;
    struct io_server *server;
    struct io_wake *stop;
    pthread_t thread;
    struct io_grpc_client *client;
} place;

static enum io_grpc_kind lookup(void *ctx, struct slice path)
{
    (void)ctx;
    if (slice_equal(path, SLICE_LIT("/test/Echo"))) {
        return IO_GRPC_UNARY;
    }
    return slice_equal(path, SLICE_LIT("/stream/Echo")) ? IO_GRPC_STREAM : IO_GRPC_NONE;
}

static void unary(void *ctx, struct io_grpc_call *call, struct slice message)
{
    (void)ctx;
    io_grpc_reply(call, IO_GRPC_OK, NULL, message);
}

static void opened(void *ctx, struct io_grpc_call *call)
{
    (void)ctx;
    assert_int_equal(io_grpc_send(call, SLICE_LIT("hello")), 0);
}

static void message_came(void *ctx, struct io_grpc_call *call, struct slice message)
{
    (void)ctx;
    if (slice_equal(message, SLICE_LIT("fail"))) {
        io_grpc_finish(call, IO_GRPC_ABORTED, "as asked");
    } else {
        assert_int_equal(io_grpc_send(call, message), 0);
    }
}

static void half_closed(void *ctx, struct io_grpc_call *call)
{
    (void)ctx;
    io_grpc_finish(call, IO_GRPC_OK, NULL);
}

static void canceled(void *ctx, struct io_grpc_call *call, enum io_grpc_status status)
{
    (void)ctx;
    (void)call;
    (void)status;
}

static const struct io_grpc_handler grpc = {.lookup = lookup,
                                            .unary = unary,
                                            .opened = opened,
                                            .message = message_came,
                                            .half_closed = half_closed,
                                            .canceled = canceled};

static void stop(void *ctx)
{
    (void)ctx;
    io_loop_stop(place.loop);
}

static void *serve(void *ctx)
{
    (void)ctx;
    io_loop_run(place.loop);
    return NULL;
}

static int setup(void **state)
{
    struct io_why why = {""};
    char endpoint[64];
    const struct io_server_options options = {.address = test_loopback(0), .grpc = &grpc};
    (void)state;
    memset(&place, 0, sizeof(place));
    assert_int_equal(io_loop_new(&place.loop), 0);
    assert_int_equal(io_server_new(place.loop, &options, &place.server, &why), 0);
    assert_int_equal(io_wake_new(place.loop, stop, NULL, &place.stop), 0);
    (void)snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%u", io_server_port(place.server));
    const struct io_grpc_client_options client = {.endpoints = endpoint};
    assert_int_equal(io_grpc_client_new(&client, &place.client, &why), 0);
    return pthread_create(&place.thread, NULL, serve, NULL);
}

static void server_end(void)
{
    if (place.server != NULL) {
        io_wake_send(place.stop);
        assert_int_equal(pthread_join(place.thread, NULL), 0);
        place.server = io_server_free(place.server);
    }
}

static int teardown(void **state)
{
    (void)state;
    server_end();
    place.client = io_grpc_client_free(place.client);
    place.stop = io_wake_free(place.stop);
    place.loop = io_loop_free(place.loop);
    return 0;
}

static void open_stream(const char *path)
{
    struct io_why why = {""};
    if (io_grpc_stream_open(place.client, path, WAIT_MS, &why) != 0) {
        fail_msg("%s", why.text);
    }
}

static void send_message(struct slice message)
{
    struct io_why why = {""};
    assert_int_equal(io_grpc_stream_send(place.client, message, WAIT_MS, &why), 0);
}

static void expect_message(struct slice wanted)
{
    struct io_grpc_answer answer;
    struct io_why why = {""};
    bool is_end = true;
    assert_int_equal(io_grpc_stream_next(place.client, WAIT_MS, &answer, &is_end, &why), 0);
    assert_false(is_end);
    assert_true(slice_equal(slice_from(answer.data, answer.len), wanted));
    io_grpc_answer_free(&answer);
}

static void expect_end(enum io_grpc_status status, const char *message)
{
    struct io_grpc_answer answer;
    struct io_why why = {""};
    bool is_end = false;
    assert_int_equal(io_grpc_stream_next(place.client, WAIT_MS, &answer, &is_end, &why), 0);
    assert_true(is_end);
    assert_int_equal(answer.status, status);
    assert_string_equal(answer.message.text, message);
    assert_null(answer.data);
}

static void test_messages_both_ways(void **state)
{
    struct io_why why = {""};
    (void)state;
    open_stream("/stream/Echo");
    expect_message(SLICE_LIT("hello"));
    send_message(SLICE_LIT("one"));
    send_message(SLICE_LIT("two"));
    send_message(SLICE_EMPTY);
    expect_message(SLICE_LIT("one"));
    expect_message(SLICE_LIT("two"));
    expect_message(SLICE_EMPTY);
    assert_int_equal(io_grpc_stream_half_close(place.client, WAIT_MS, &why), 0);
    expect_end(IO_GRPC_OK, "");
}

/* Larger than any window: it goes out while frames of the other side come in. */
static void test_a_message_larger_than_the_window(void **state)
{
    (void)state;
    uint8_t *data = malloc(LARGE_BYTES);
    assert_non_null(data);
    for (size_t i = 0; i < LARGE_BYTES; i++) {
        data[i] = (uint8_t)(i * 31 >> 3);
    }
    open_stream("/stream/Echo");
    expect_message(SLICE_LIT("hello"));
    for (int i = 0; i < 3; i++) {
        send_message(slice_from(data, LARGE_BYTES));
        expect_message(slice_from(data, LARGE_BYTES));
    }
    free(data);
}

static void test_silence_is_a_timeout_and_the_stream_stands(void **state)
{
    struct io_grpc_answer answer;
    struct io_why why = {""};
    bool is_end = true;
    (void)state;
    open_stream("/stream/Echo");
    expect_message(SLICE_LIT("hello"));
    assert_int_equal(io_grpc_stream_next(place.client, 20, &answer, &is_end, &why), BASE_E_TIMEOUT);
    assert_false(is_end);
    send_message(SLICE_LIT("still here"));
    expect_message(SLICE_LIT("still here"));
}

static void test_the_server_ends_it_with_a_reason(void **state)
{
    struct io_why why = {""};
    (void)state;
    open_stream("/stream/Echo");
    expect_message(SLICE_LIT("hello"));
    send_message(SLICE_LIT("fail"));
    expect_end(IO_GRPC_ABORTED, "as asked");
    assert_int_equal(io_grpc_stream_send(place.client, SLICE_LIT("x"), WAIT_MS, &why),
                     BASE_E_CLOSED);
}

static void test_an_unknown_method(void **state)
{
    struct io_grpc_answer answer;
    struct io_why why = {""};
    bool is_end = false;
    (void)state;
    open_stream("/stream/Nothing");
    assert_int_equal(io_grpc_stream_next(place.client, WAIT_MS, &answer, &is_end, &why), 0);
    assert_true(is_end);
    assert_int_equal(answer.status, IO_GRPC_UNIMPLEMENTED);
}

static void test_a_server_that_goes_away(void **state)
{
    struct io_grpc_answer answer;
    struct io_why why = {""};
    bool is_end = false;
    (void)state;
    open_stream("/stream/Echo");
    expect_message(SLICE_LIT("hello"));
    server_end();
    int status = io_grpc_stream_next(place.client, WAIT_MS, &answer, &is_end, &why);
    assert_true(status == BASE_E_CLOSED || (is_end && answer.status == IO_GRPC_UNAVAILABLE));
    io_grpc_stream_close(place.client);
    assert_int_equal(io_grpc_stream_open(place.client, "/stream/Echo", 500, &why),
                     BASE_E_UNREACHABLE);
}

static void test_a_call_after_a_stream(void **state)
{
    struct io_grpc_answer answer;
    struct io_why why = {""};
    (void)state;
    open_stream("/stream/Echo");
    expect_message(SLICE_LIT("hello"));
    assert_int_equal(
        io_grpc_call(place.client, "/test/Echo", SLICE_LIT("call"), WAIT_MS, &answer, &why), 0);
    assert_int_equal(answer.status, IO_GRPC_OK);
    assert_true(slice_equal(slice_from(answer.data, answer.len), SLICE_LIT("call")));
    io_grpc_answer_free(&answer);
    open_stream("/stream/Echo");
    expect_message(SLICE_LIT("hello"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_messages_both_ways),
        TEST(test_a_message_larger_than_the_window),
        TEST(test_silence_is_a_timeout_and_the_stream_stands),
        TEST(test_the_server_ends_it_with_a_reason),
        TEST(test_an_unknown_method),
        TEST(test_a_server_that_goes_away),
        TEST(test_a_call_after_a_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
