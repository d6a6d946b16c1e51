/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that harm: floods of frames, streams and resets, header bombs, tiny windows, silence.
 * Each goes to a limit of proto/io/limits.h and one beyond; whoever goes beyond loses its own
 * connection or call, and a neighbour on the same server is answered all the while. Server and
 * clients share one loop. */
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

#include "proto/io/headers.h"
#include "proto/io/server.h"
#include "tests/unit/io_test_support.h"

#define STREAMS_ASKED (IO_H2_STREAMS + 1)

static struct io_loop *loop;
static struct io_server *server;
static unsigned never_opened;

/* --- the server: /test/Echo, /test/Big (1 MiB), /test/Never --- */

static uint8_t big[1 << 20];

static enum io_grpc_kind lookup(void *ctx, struct slice path)
{
    (void)ctx;
    return slice_has_prefix(path, SLICE_LIT("/test/")) ? IO_GRPC_UNARY : IO_GRPC_NONE;
}

static void unary(void *ctx, struct io_grpc_call *call, struct slice message)
{
    (void)ctx;
    if (slice_equal(io_grpc_path(call), SLICE_LIT("/test/Big"))) {
        io_grpc_reply(call, IO_GRPC_OK, NULL, slice_from(big, sizeof(big)));
    } else if (slice_equal(io_grpc_path(call), SLICE_LIT("/test/Never"))) {
        never_opened++;
    } else {
        io_grpc_reply(call, IO_GRPC_OK, NULL, message);
    }
}

static void canceled(void *ctx, struct io_grpc_call *call, enum io_grpc_status status)
{
    (void)ctx;
    (void)call;
    (void)status;
}

static const struct io_grpc_handler grpc = {.lookup = lookup, .unary = unary, .canceled = canceled};

/* --- a client --- */

struct peer {
    nghttp2_session *session;
    struct io_stream *stream;
    bool is_open, is_closed, is_deaf; /* deaf: it reads nothing of what comes */
    unsigned ok, exhausted, refused, ended;
    uint32_t goaway;
};

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    struct peer *peer = user;
    (void)session;
    (void)frame;
    (void)flags;
    if (slice_equal(slice_from(name, name_len), SLICE_LIT("grpc-status"))) {
        peer->ok += slice_equal(slice_from(value, value_len), SLICE_LIT("0"));
        peer->exhausted += slice_equal(slice_from(value, value_len), SLICE_LIT("8"));
    }
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct peer *peer = user;
    (void)session;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        peer->goaway = frame->goaway.error_code;
    }
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
    struct peer *peer = user;
    (void)session;
    (void)id;
    peer->ended++;
    peer->refused += error == NGHTTP2_REFUSED_STREAM;
    return 0;
}

static void flush(struct peer *peer)
{
    const uint8_t *data = NULL;
    ssize_t len;
    while (!peer->is_closed && (len = nghttp2_session_mem_send(peer->session, &data)) > 0) {
        (void)!io_stream_write(peer->stream, slice_from(data, (size_t)len));
    }
}

static void opened(void *ctx, struct io_stream *stream)
{
    struct peer *peer = ctx;
    (void)stream;
    peer->is_open = true;
    flush(peer);
}

static void data(void *ctx, struct io_stream *stream, struct slice bytes)
{
    struct peer *peer = ctx;
    (void)stream;
    if (!peer->is_deaf) {
        (void)nghttp2_session_mem_recv(peer->session, bytes.data, bytes.len);
        flush(peer);
    }
}

static void closed(void *ctx, struct io_stream *stream, int status, const char *why)
{
    struct peer *peer = ctx;
    (void)stream;
    (void)status;
    (void)why;
    peer->is_closed = true;
}

static const struct io_stream_events events = {opened, data, NULL, closed};

static void peer_open(struct peer *peer, uint32_t window)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window}};
    const struct io_address address = test_loopback(io_server_port(server));
    const struct io_stream_options options = {
        .events = &events, .ctx = peer, .write_queue_max = (size_t)64 << 20};
    memset(peer, 0, sizeof(*peer));
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    assert_int_equal(nghttp2_option_new(&option), 0);
    nghttp2_option_set_peer_max_concurrent_streams(option, 100000);
    assert_int_equal(nghttp2_session_client_new2(&peer->session, callbacks, peer, option), 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    (void)nghttp2_submit_settings(peer->session, 0, settings, 1);
    assert_int_equal(io_stream_connect(loop, &address, &options, &peer->stream), 0);
    run_until(loop, &peer->is_open);
}

static void peer_close(struct peer *peer)
{
    if (!peer->is_closed) {
        io_stream_abort(peer->stream, "done");
        run_until(loop, &peer->is_closed);
    }
    nghttp2_session_del(peer->session);
}

static nghttp2_nv field(const char *name, const char *value)
{
    union {
        const char *in;
        uint8_t *out;
    } n = {.in = name}, v = {.in = value};
    return (nghttp2_nv){n.out, v.out, strlen(name), strlen(value), 0};
}

/* A request with the empty message as its body. */
static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *out, size_t len,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)session;
    (void)id;
    (void)len;
    (void)source;
    (void)user;
    memset(out, 0, 5);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    return 5;
}

static int32_t ask(struct peer *peer, const char *path, const char *extra)
{
    const nghttp2_data_provider provider = {.read_callback = read_body};
    const nghttp2_nv fields[] = {field(":method", "POST"),
                                 field(":scheme", "http"),
                                 field(":path", path),
                                 field(":authority", "x"),
                                 field("content-type", "application/grpc"),
                                 field("extra", extra)};
    return nghttp2_submit_request(peer->session, NULL, fields, BASE_COUNT_OF(fields), &provider,
                                  NULL);
}

/* Runs until *count is at least `wanted` or the peer's connection is closed; at most 10 s. */
static void run_peer(const struct peer *peer, const unsigned *count, unsigned wanted)
{
    struct base_mono end = base_mono_add_us(io_now(), 10 * BASE_US_PER_S);
    while (!peer->is_closed && *count < wanted && base_mono_before(io_now(), end)) {
        io_loop_run_once(loop, end);
    }
}

/* Somebody else is served. */
static void neighbour_is_served(void)
{
    struct peer peer;
    peer_open(&peer, 65535);
    assert_true(ask(&peer, "/test/Echo", "") > 0);
    flush(&peer);
    run_peer(&peer, &peer.ok, 1);
    assert_int_equal(peer.ok, 1);
    peer_close(&peer);
}

static int setup(void **state)
{
    struct io_why why = {""};
    (void)state;
    never_opened = 0;
    assert_int_equal(io_loop_new(&loop), 0);
    const struct io_server_options options = {.address = test_loopback(0), .grpc = &grpc};
    return io_server_new(loop, &options, &server, &why);
}

static int teardown(void **state)
{
    (void)state;
    server = io_server_free(server);
    loop = io_loop_free(loop);
    return 0;
}

/* --- what they do --- */

static void pings(struct peer *peer, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(nghttp2_submit_ping(peer->session, 0, NULL), 0);
    }
    flush(peer);
}

static void ping_flood(void **state)
{
    struct peer peer;
    (void)state;
    peer_open(&peer, 65535);
    pings(&peer, IO_H2_IDLE_FRAMES - 10); /* settings and their acknowledgement count too */
    assert_true(ask(&peer, "/test/Echo", "") > 0);
    flush(&peer);
    run_peer(&peer, &peer.ok, 1);
    assert_int_equal(peer.ok, 1);
    pings(&peer, 2 * IO_H2_IDLE_FRAMES + 2); /* more than that within some second */
    neighbour_is_served();
    run_until(loop, &peer.is_closed);
    assert_int_equal(peer.goaway, NGHTTP2_ENHANCE_YOUR_CALM);
    peer_close(&peer);
}

static void rapid_resets(void **state)
{
    struct peer peer;
    (void)state;
    peer_open(&peer, 65535);
    for (unsigned i = 0; i < 4 * IO_H2_RESETS && !peer.is_closed; i++) {
        int32_t id = ask(&peer, "/test/Never", "");
        flush(&peer); /* out before it is taken back */
        (void)nghttp2_submit_rst_stream(peer.session, 0, id, NGHTTP2_CANCEL);
        flush(&peer);
    }
    neighbour_is_served();
    run_until(loop, &peer.is_closed);
    assert_in_range(never_opened, IO_H2_RESETS, 3 * IO_H2_RESETS);
    peer_close(&peer);
}

static void too_many_streams(void **state)
{
    struct peer peer;
    (void)state;
    peer_open(&peer, 65535);
    for (unsigned i = 0; i < STREAMS_ASKED; i++) {
        assert_true(ask(&peer, "/test/Never", "") > 0);
    }
    flush(&peer);
    run_peer(&peer, &peer.refused, 1);
    assert_int_equal(peer.refused, 1);
    assert_int_equal(never_opened, IO_H2_STREAMS);
    assert_false(peer.is_closed);
    neighbour_is_served();
    peer_close(&peer);
}

static void header_bomb(void **state)
{
    struct peer peer;
    static char text[IO_HEADERS_MAX + 1];
    (void)state;
    memset(text, 'a', sizeof(text) - 1);
    peer_open(&peer, 65535);
    assert_true(ask(&peer, "/test/Echo", text) > 0);
    text[sizeof(text) / 2] = '\0';
    assert_true(ask(&peer, "/test/Echo", text) > 0);
    flush(&peer);
    run_peer(&peer, &peer.ended, 2);
    assert_int_equal(peer.exhausted, 1);
    assert_int_equal(peer.ok, 1);
    peer_close(&peer);
}

/* A client with a window of one byte asks for more than may wait for one connection: what is beyond
 * is refused, and the rest waits without end at its own cost. */
static void tiny_windows(void **state)
{
    struct peer peer;
    const unsigned fit = (unsigned)(IO_CONNECTION_ANSWERS / (sizeof(big) + 5));
    (void)state;
    peer_open(&peer, 1);
    for (unsigned i = 0; i < fit + 1; i++) {
        assert_true(ask(&peer, "/test/Big", "") > 0);
    }
    flush(&peer);
    run_peer(&peer, &peer.exhausted, 1);
    assert_int_equal(peer.exhausted, 1);
    assert_int_equal(peer.ok, 0);
    neighbour_is_served();
    peer_close(&peer);
    neighbour_is_served();
}

/* Asks for much and never reads: it is not read from any more either. */
static void slow_reader(void **state)
{
    struct peer peer;
    (void)state;
    peer_open(&peer, (1u << 31) - 1);
    (void)nghttp2_session_set_local_window_size(peer.session, 0, 0, (1u << 31) - 1);
    io_stream_pause(peer.stream);
    for (unsigned i = 0; i < 200; i++) {
        assert_true(ask(&peer, "/test/Big", "") > 0);
    }
    flush(&peer);
    neighbour_is_served();
    assert_false(peer.is_closed);
    peer_close(&peer);
    neighbour_is_served();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ping_flood, setup, teardown),
        cmocka_unit_test_setup_teardown(rapid_resets, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_streams, setup, teardown),
        cmocka_unit_test_setup_teardown(header_bomb, setup, teardown),
        cmocka_unit_test_setup_teardown(tiny_windows, setup, teardown),
        cmocka_unit_test_setup_teardown(slow_reader, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
