/* SPDX-License-Identifier: Apache-2.0 */
/* The gRPC client of daemons against a server on the same loop: calls beside each other, streams,
 * large messages, refusals, cancelling, and ends from both sides. */
#include <stdlib.h>
#include <string.h>

#include "proto/io/grpc_channel.h"
#include "proto/io/server.h"
#include "tests/unit/io_test_support.h"

#define LARGE ((size_t)1 << 20)
#define CALLS 20

static struct {
    struct io_loop *loop;
    struct io_server *server;
    struct io_grpc_channel *channel;
    bool is_up, is_down, is_canceled;
    struct io_grpc_call *stream; /* the server's side */
} place;

/* What one call heard. */
struct heard {
    size_t bytes, messages;
    bool has_ended, is_message, closes_channel;
    enum io_grpc_status status;
    char text[128];
};

/* --- the server --- */

static enum io_grpc_kind lookup(void *ctx, struct slice path)
{
    (void)ctx;
    if (slice_equal(path, SLICE_LIT("/test/Echo")) || slice_equal(path, SLICE_LIT("/test/Fail"))) {
        return IO_GRPC_UNARY;
    }
    return slice_equal(path, SLICE_LIT("/test/Stream")) ? IO_GRPC_STREAM : IO_GRPC_NONE;
}

static void unary(void *ctx, struct io_grpc_call *call, struct slice message)
{
    (void)ctx;
    if (slice_equal(io_grpc_path(call), SLICE_LIT("/test/Fail"))) {
        io_grpc_reply(call, IO_GRPC_PERMISSION_DENIED, "not for \xc3\xa4 you", SLICE_EMPTY);
    } else {
        io_grpc_reply(call, IO_GRPC_OK, NULL, message);
    }
}

static void opened(void *ctx, struct io_grpc_call *call)
{
    (void)ctx;
    place.stream = call;
}

static void message_came(void *ctx, struct io_grpc_call *call, struct slice message)
{
    (void)ctx;
    if (slice_equal(message, SLICE_LIT("end"))) {
        io_grpc_finish(call, IO_GRPC_ABORTED, "as asked");
    } else {
        assert_int_equal(io_grpc_send(call, message), 0);
        assert_int_equal(io_grpc_send(call, message), 0);
    }
}

static void half_closed(void *ctx, struct io_grpc_call *call)
{
    (void)ctx;
    (void)call;
}

static void canceled(void *ctx, struct io_grpc_call *call, enum io_grpc_status status)
{
    (void)ctx;
    (void)call;
    (void)status;
    place.is_canceled = true;
}

static const struct io_grpc_handler grpc = {.lookup = lookup,
                                            .unary = unary,
                                            .opened = opened,
                                            .message = message_came,
                                            .half_closed = half_closed,
                                            .canceled = canceled};

/* --- the client --- */

static void channel_up(void *ctx, struct io_grpc_channel *channel)
{
    (void)ctx;
    assert_ptr_equal(channel, place.channel);
    place.is_up = true;
}

static void channel_down(void *ctx, struct io_grpc_channel *channel, const char *why)
{
    (void)ctx;
    assert_ptr_equal(channel, place.channel);
    assert_true(strlen(why) > 0);
    place.channel = NULL;
    place.is_down = true;
}

static const struct io_grpc_channel_events channel_events = {.up = channel_up,
                                                             .down = channel_down};

static void heard_message(void *ctx, struct io_grpc_sent *sent, struct slice message)
{
    struct heard *h = ctx;
    (void)sent;
    h->bytes += message.len;
    h->messages++;
    h->is_message = true;
    if (h->closes_channel) {
        place.channel = io_grpc_channel_close(place.channel);
    }
}

static void heard_end(void *ctx, struct io_grpc_sent *sent, enum io_grpc_status status,
                      const char *text)
{
    struct heard *h = ctx;
    (void)sent;
    h->has_ended = true;
    h->status = status;
    (void)snprintf(h->text, sizeof(h->text), "%s", text);
}

static const struct io_grpc_sent_events sent_events = {.message = heard_message,
                                                       .ended = heard_end};

static struct io_grpc_sent *call(const char *path, struct slice message, bool is_stream,
                                 struct heard *h)
{
    struct io_grpc_sent *sent = NULL;
    assert_int_equal(
        io_grpc_channel_call(place.channel, path, message, is_stream, &sent_events, h, &sent), 0);
    return sent;
}

static int setup(void **state)
{
    struct io_why why = {""};
    const struct io_server_options options = {.address = test_loopback(0), .grpc = &grpc};
    (void)state;
    memset(&place, 0, sizeof(place));
    assert_int_equal(io_loop_new(&place.loop), 0);
    assert_int_equal(io_server_new(place.loop, &options, &place.server, &why), 0);
    const struct io_grpc_channel_options channel = {
        .address = test_loopback(io_server_port(place.server)), .events = &channel_events};
    assert_int_equal(io_grpc_channel_open(place.loop, &channel, &place.channel), 0);
    run_until(place.loop, &place.is_up);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    place.channel = io_grpc_channel_close(place.channel);
    run_for(place.loop, 20 * BASE_US_PER_MS);
    place.server = io_server_free(place.server);
    place.loop = io_loop_free(place.loop);
    return 0;
}

/* --- tests --- */

static void test_calls_beside_each_other(void **state)
{
    static struct heard heard[CALLS];
    (void)state;
    memset(heard, 0, sizeof(heard));
    for (size_t i = 0; i < CALLS; i++) {
        (void)call("/test/Echo", slice_from("0123456789abcdefghij", i), false, &heard[i]);
    }
    for (size_t i = 0; i < CALLS; i++) {
        run_until(place.loop, &heard[i].has_ended);
        assert_int_equal(heard[i].status, IO_GRPC_OK);
        assert_int_equal(heard[i].messages, 1);
        assert_int_equal(heard[i].bytes, i);
    }
}

static void test_a_large_message_there_and_back(void **state)
{
    struct heard heard = {0};
    uint8_t *data = calloc(1, LARGE);
    (void)state;
    assert_non_null(data);
    (void)call("/test/Echo", slice_from(data, LARGE), false, &heard);
    free(data); /* it was copied */
    run_until(place.loop, &heard.has_ended);
    assert_int_equal(heard.status, IO_GRPC_OK);
    assert_int_equal(heard.bytes, LARGE);
}

static void test_refusals_carry_their_words(void **state)
{
    struct heard fail = {0};
    struct heard unknown = {0};
    (void)state;
    (void)call("/test/Fail", SLICE_LIT("x"), false, &fail);
    (void)call("/test/Nothing", SLICE_LIT("x"), false, &unknown);
    run_until(place.loop, &fail.has_ended);
    run_until(place.loop, &unknown.has_ended);
    assert_int_equal(fail.status, IO_GRPC_PERMISSION_DENIED);
    assert_string_equal(fail.text, "not for \xc3\xa4 you");
    assert_int_equal(fail.messages, 0);
    assert_int_equal(unknown.status, IO_GRPC_UNIMPLEMENTED);
}

static void test_a_stream_both_ways(void **state)
{
    struct heard heard = {0};
    (void)state;
    struct io_grpc_sent *sent = call("/test/Stream", SLICE_LIT("one"), true, &heard);
    run_until(place.loop, &heard.is_message);
    assert_int_equal(io_grpc_sent_message(sent, SLICE_LIT("second")), 0);
    assert_int_equal(io_grpc_sent_message(sent, SLICE_LIT("end")), 0);
    run_until(place.loop, &heard.has_ended);
    assert_int_equal(heard.status, IO_GRPC_ABORTED);
    assert_string_equal(heard.text, "as asked");
    assert_int_equal(heard.messages, 4);
    assert_int_equal(heard.bytes, 2 * (3 + 6));
}

static void test_a_canceled_call_says_nothing_more(void **state)
{
    struct heard heard = {0};
    struct heard other = {0};
    (void)state;
    struct io_grpc_sent *sent = call("/test/Stream", SLICE_LIT("one"), true, &heard);
    run_until(place.loop, &heard.is_message);
    io_grpc_sent_cancel(sent);
    size_t messages = heard.messages;
    run_until(place.loop, &place.is_canceled); /* the server hears of it */
    (void)call("/test/Echo", SLICE_LIT("x"), false, &other);
    run_until(place.loop, &other.has_ended); /* the channel lives on */
    assert_int_equal(heard.messages, messages);
    assert_false(heard.has_ended);
}

static void test_the_server_goes(void **state)
{
    struct heard heard = {0};
    (void)state;
    (void)call("/test/Stream", SLICE_LIT("one"), true, &heard);
    run_until(place.loop, &heard.is_message);
    place.server = io_server_free(place.server);
    run_until(place.loop, &place.is_down);
}

static void test_nobody_there(void **state)
{
    (void)state;
    uint16_t port = io_server_port(place.server);
    place.channel = io_grpc_channel_close(place.channel);
    place.server = io_server_free(place.server);
    run_for(place.loop, 20 * BASE_US_PER_MS);
    const struct io_grpc_channel_options channel = {.address = test_loopback(port),
                                                    .events = &channel_events};
    assert_int_equal(io_grpc_channel_open(place.loop, &channel, &place.channel), 0);
    run_until(place.loop, &place.is_down);
}

/* From inside of a callback, with more to be told. */
static void test_closed_while_hearing(void **state)
{
    struct heard heard = {.closes_channel = true};
    (void)state;
    (void)call("/test/Stream", SLICE_LIT("one"), true, &heard);
    run_until(place.loop, &heard.is_message);
    run_for(place.loop, 50 * BASE_US_PER_MS);
    assert_int_equal(heard.messages, 1);
    assert_false(place.is_down);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_calls_beside_each_other),
        TEST(test_a_large_message_there_and_back),
        TEST(test_refusals_carry_their_words),
        TEST(test_a_stream_both_ways),
        TEST(test_a_canceled_call_says_nothing_more),
        TEST(test_the_server_goes),
        TEST(test_nobody_there),
        TEST(test_closed_while_hearing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
