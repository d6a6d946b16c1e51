/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC: our client and Debian's etcdctl against a small server in a thread, plain and TLS;
 * statuses, limits, deadlines, streams; HTTP over HTTP/2; mutated HTTP/2 bytes. */
#include <nghttp2/nghttp2.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/name.h"
#include "base/rand.h"
#include "proto/io/grpc_client.h"
#include "proto/io/server.h"
#include "tests/unit/io_test_support.h"

/* --- the server, on a thread of its own --- */

static struct {
    struct io_loop *loop;
    struct io_server *server;
    struct io_wake *stop;
    pthread_t thread;
    uint16_t port;
    struct io_timer timer;
    uint64_t later_id;
    _Atomic unsigned canceled, deadlines;
} place;

static bool is_path(struct slice path, const char *text)
{
    return slice_equal(path, slice_from_text(text));
}

static enum io_grpc_kind lookup(void *ctx, struct slice path)
{
    (void)ctx;
    if (slice_has_prefix(path, SLICE_LIT("/test/")) || is_path(path, "/etcdserverpb.KV/Range") ||
        is_path(path, "/etcdserverpb.KV/Put")) {
        return IO_GRPC_UNARY;
    }
    return slice_has_prefix(path, SLICE_LIT("/stream/")) ? IO_GRPC_STREAM : IO_GRPC_NONE;
}

static void answer_later(void *ctx)
{
    (void)ctx;
    struct io_grpc_call *call = io_grpc_find(place.server, place.later_id);
    if (call != NULL) {
        io_grpc_reply(call, IO_GRPC_OK, NULL, SLICE_LIT("later"));
    }
}

/* RangeResponse{header{revision 7}, kvs{key "foo", create 2, mod 3, version 1, value "bar"}, count
 * 1} */
static const uint8_t range_response[] = {0x0a, 2,    0x18, 7,    0x12, 16,   0x0a, 3,
                                         'f',  'o',  'o',  0x10, 2,    0x18, 3,    0x20,
                                         1,    0x2a, 3,    'b',  'a',  'r',  0x20, 1};

static void unary(void *ctx, struct io_grpc_call *call, struct slice message)
{
    (void)ctx;
    struct slice path = io_grpc_path(call);
    if (is_path(path, "/test/Echo")) {
        io_grpc_reply(call, IO_GRPC_OK, NULL, message);
    } else if (is_path(path, "/test/Fail")) {
        io_grpc_reply(call, IO_GRPC_NOT_FOUND, "no such thing: 50% \xc3\xa9\n", SLICE_EMPTY);
    } else if (is_path(path, "/test/Later")) {
        place.later_id = io_grpc_call_id(call);
        io_timer_start_in_us(&place.timer, 20000);
    } else if (is_path(path, "/test/Who")) {
        io_grpc_reply(call, IO_GRPC_OK, NULL,
                      base_text_slice(&io_grpc_identity(call)->common_name));
    } else if (is_path(path, "/test/Token")) {
        io_grpc_reply(call, IO_GRPC_OK, NULL, io_grpc_metadata(call, "token"));
    } else if (is_path(path, "/test/Never")) {
        io_grpc_set_user(call, &place);
    } else if (is_path(path, "/etcdserverpb.KV/Range")) {
        io_grpc_reply(call, IO_GRPC_OK, NULL, slice_from(range_response, sizeof(range_response)));
    } else {
        io_grpc_reply(call, IO_GRPC_FAILED_PRECONDITION, "etcdserver: not today", SLICE_EMPTY);
    }
}

static void stream_opened(void *ctx, struct io_grpc_call *call)
{
    (void)ctx;
    assert_int_equal(io_grpc_send(call, SLICE_LIT("hello")), 0);
}

static void stream_message(void *ctx, struct io_grpc_call *call, struct slice message)
{
    (void)ctx;
    if (io_grpc_send(call, message) != 0) {
        io_grpc_finish(call, IO_GRPC_RESOURCE_EXHAUSTED, "slow");
    }
}

static void stream_half_closed(void *ctx, struct io_grpc_call *call)
{
    (void)ctx;
    io_grpc_finish(call, IO_GRPC_OK, NULL);
}

static void canceled(void *ctx, struct io_grpc_call *call, enum io_grpc_status status)
{
    (void)ctx;
    (void)call;
    place.canceled++;
    place.deadlines += status == IO_GRPC_DEADLINE_EXCEEDED;
}

static const struct io_grpc_handler grpc = {
    .lookup = lookup,
    .unary = unary,
    .opened = stream_opened,
    .message = stream_message,
    .half_closed = stream_half_closed,
    .canceled = canceled,
};

static void http_request(void *ctx, struct io_http_exchange *exchange,
                         const struct io_http_request *r)
{
    (void)ctx;
    io_http_add_header(exchange, "X-Method",
                       slice_equal(r->method, SLICE_LIT("POST")) ? "post" : "other");
    io_http_reply(exchange, 200, "application/json",
                  r->body.len > 0 ? r->body : SLICE_LIT("{\"health\":\"true\"}"));
}

static const struct io_http_handler http = {.request = http_request};

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

static void start(struct io_tls *tls)
{
    struct io_why why = {""};
    const struct io_server_options options = {
        .address = test_loopback(0), .tls = tls, .http = &http, .grpc = &grpc};
    memset(&place, 0, sizeof(place));
    assert_int_equal(io_loop_new(&place.loop), 0);
    assert_int_equal(io_server_new(place.loop, &options, &place.server, &why), 0);
    assert_int_equal(io_wake_new(place.loop, stop, NULL, &place.stop), 0);
    io_timer_init(&place.timer, place.loop, answer_later, NULL);
    place.port = io_server_port(place.server);
    assert_int_equal(pthread_create(&place.thread, NULL, serve, NULL), 0);
}

static void finish(void)
{
    io_wake_send(place.stop);
    assert_int_equal(pthread_join(place.thread, NULL), 0);
    place.server = io_server_free(place.server);
    place.stop = io_wake_free(place.stop);
    place.loop = io_loop_free(place.loop);
}

static int setup(void **state)
{
    (void)state;
    test_folder_make();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (place.loop != NULL) {
        finish();
    }
    test_folder_remove();
    return 0;
}

/* --- our client --- */

static struct io_grpc_client *make_client(const char *scheme, const char *ca, const char *name)
{
    struct io_grpc_client *client = NULL;
    struct io_why why = {""};
    char endpoints[100];
    char cert[40];
    char key[40];
    (void)snprintf(endpoints, sizeof(endpoints), "%s127.0.0.1:1,%slocalhost:%u", scheme, scheme,
                   place.port);
    (void)snprintf(cert, sizeof(cert), "%s.pem", name != NULL ? name : "");
    (void)snprintf(key, sizeof(key), "%s.key", name != NULL ? name : "");
    const struct io_grpc_client_options options = {
        .endpoints = endpoints,
        .ca_file = ca != NULL ? test_path(ca) : NULL,
        .cert_file = name != NULL ? test_path(cert) : NULL,
        .key_file = name != NULL ? test_path(key) : NULL,
        .token = "secret.1",
    };
    int status = io_grpc_client_new(&options, &client, &why);
    if (status != 0) {
        fail_msg("%s", why.text);
    }
    return client;
}

static struct io_grpc_answer call_ok(struct io_grpc_client *client, const char *path,
                                     struct slice request)
{
    struct io_grpc_answer answer = {.status = IO_GRPC_UNKNOWN};
    struct io_why why = {""};
    int status = io_grpc_call(client, path, request, 5000, &answer, &why);
    if (status != 0) {
        fail_msg("%s: %d %s", path, status, why.text);
    }
    return answer;
}

static void expect(struct io_grpc_client *client, const char *path, struct slice request,
                   enum io_grpc_status status, struct slice response)
{
    struct io_grpc_answer answer = call_ok(client, path, request);
    if (answer.status != status) {
        fail_msg("%s: status %d (%s)", path, answer.status, answer.message.text);
    }
    assert_true(slice_equal(slice_from(answer.data, answer.len), response));
    io_grpc_answer_free(&answer);
}

static void calls(struct io_grpc_client *client)
{
    static uint8_t big[IO_GRPC_MESSAGE_MAX + 1];
    struct io_grpc_answer answer;
    for (size_t i = 0; i < sizeof(big); i++) {
        big[i] = (uint8_t)(i * 13);
    }
    expect(client, "/test/Echo", SLICE_LIT("hello"), IO_GRPC_OK, SLICE_LIT("hello"));
    expect(client, "/test/Echo", SLICE_EMPTY, IO_GRPC_OK, SLICE_EMPTY);
    expect(client, "/test/Later", SLICE_EMPTY, IO_GRPC_OK, SLICE_LIT("later"));
    expect(client, "/test/Token", SLICE_EMPTY, IO_GRPC_OK, SLICE_LIT("secret.1"));
    struct slice longest = slice_from(big, IO_GRPC_MESSAGE_MAX);
    expect(client, "/test/Echo", longest, IO_GRPC_OK, longest);
    expect(client, "/test/Echo", slice_from(big, sizeof(big)), IO_GRPC_RESOURCE_EXHAUSTED,
           SLICE_EMPTY);
    expect(client, "/no/Such", SLICE_EMPTY, IO_GRPC_UNIMPLEMENTED, SLICE_EMPTY);
    answer = call_ok(client, "/test/Fail", SLICE_EMPTY);
    assert_int_equal(answer.status, IO_GRPC_NOT_FOUND);
    assert_string_equal(answer.message.text,
                        "no such thing: 50% \xc3\xa9?"); /* shown on one line */
    io_grpc_answer_free(&answer);
    for (int i = 0; i < 300; i++) {
        expect(client, "/test/Echo", slice_from(big, (size_t)i * 7), IO_GRPC_OK,
               slice_from(big, (size_t)i * 7));
    }
}

static void plain_calls(void **state)
{
    (void)state;
    start(NULL);
    struct io_grpc_client *client = make_client("", NULL, NULL);
    calls(client);
    client = io_grpc_client_free(client);
}

static void tls_calls(void **state)
{
    (void)state;
    test_ca_make("ca");
    test_cert_make("ca", "n1", "quorate://node/n1", 5);
    test_cert_make("ca", "bob", "quorate://admin/bob", 5);
    struct io_tls *tls = test_tls("ca", "n1", IO_TLS_VERIFY_OPTIONAL);
    start(tls);
    struct io_grpc_client *client = make_client("https://", "ca.pem", "bob");
    calls(client);
    expect(client, "/test/Who", SLICE_EMPTY, IO_GRPC_OK, SLICE_LIT("bob"));
    client = io_grpc_client_free(client);
    client = make_client("https://", "ca.pem", NULL);
    expect(client, "/test/Who", SLICE_EMPTY, IO_GRPC_OK, SLICE_EMPTY);
    client = io_grpc_client_free(client);
    finish();
    tls = io_tls_free(tls);
}

static void client_errors(void **state)
{
    (void)state;
    struct io_grpc_answer answer;
    struct io_why why = {""};
    struct io_grpc_client *client = NULL;
    start(NULL);
    const struct io_grpc_client_options nobody = {.endpoints = "127.0.0.1:1"};
    assert_int_equal(io_grpc_client_new(&nobody, &client, &why), 0);
    assert_int_equal(io_grpc_call(client, "/test/Echo", SLICE_EMPTY, 1000, &answer, &why),
                     BASE_E_UNREACHABLE);
    assert_non_null(strstr(why.text, "cannot connect to 127.0.0.1:1: Connection refused"));
    client = io_grpc_client_free(client);
    client = make_client("", NULL, NULL);
    int status = io_grpc_call(client, "/test/Never", SLICE_EMPTY, 100, &answer, &why);
    if (status == 0) { /* the server's clock may be the first */
        assert_int_equal(answer.status, IO_GRPC_DEADLINE_EXCEEDED);
        io_grpc_answer_free(&answer);
    } else {
        assert_int_equal(status, BASE_E_TIMEOUT);
    }
    expect(client, "/test/Echo", SLICE_LIT("x"), IO_GRPC_OK, SLICE_LIT("x"));
    assert_int_equal(place.canceled, 1);
    client = io_grpc_client_free(client);
    const struct io_grpc_client_options bad = {.endpoints = "a:b"};
    assert_int_equal(io_grpc_client_new(&bad, &client, &why), BASE_E_INVALID);
}

/* The server goes away and comes back: the kept connection is made anew. */
static void server_restarts(void **state)
{
    (void)state;
    start(NULL);
    struct io_grpc_client *client = make_client("", NULL, NULL);
    struct io_why why = {""};
    expect(client, "/test/Echo", SLICE_LIT("x"), IO_GRPC_OK, SLICE_LIT("x"));
    struct io_server_options options = {
        .address = test_loopback(place.port), .http = &http, .grpc = &grpc};
    finish();
    memset(&place, 0, sizeof(place));
    assert_int_equal(io_loop_new(&place.loop), 0);
    assert_int_equal(io_server_new(place.loop, &options, &place.server, &why), 0);
    assert_int_equal(io_wake_new(place.loop, stop, NULL, &place.stop), 0);
    assert_int_equal(pthread_create(&place.thread, NULL, serve, NULL), 0);
    expect(client, "/test/Echo", SLICE_LIT("y"), IO_GRPC_OK, SLICE_LIT("y"));
    client = io_grpc_client_free(client);
}

static void foreign_server(void **state)
{
    (void)state;
    struct io_grpc_answer answer;
    struct io_why why = {""};
    test_ca_make("ca");
    test_ca_make("foreign");
    test_cert_make("foreign", "n1", "quorate://node/n1", 5);
    struct io_tls *tls = test_tls("foreign", "n1", IO_TLS_VERIFY_NONE);
    start(tls);
    struct io_grpc_client *client = make_client("https://", "ca.pem", NULL);
    assert_int_equal(io_grpc_call(client, "/test/Echo", SLICE_EMPTY, 3000, &answer, &why),
                     BASE_E_TLS);
    assert_non_null(strstr(why.text, "foreign authority"));
    client = io_grpc_client_free(client);
    finish();
    tls = io_tls_free(tls);
}

/* --- programs of others --- */

static void run(const char *command, char *output, size_t cap)
{
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t len = fread(output, 1, cap - 1, pipe);
    output[len] = '\0';
    (void)pclose(pipe);
}

static void etcdctl_plain(void **state)
{
    (void)state;
    char command[300];
    char output[2000];
    if (system("command -v etcdctl >/dev/null") != 0) {
        skip();
    }
    start(NULL);
    (void)snprintf(command, sizeof(command),
                   "ETCDCTL_API=3 timeout 20 etcdctl --endpoints=127.0.0.1:%u get foo 2>&1",
                   place.port);
    run(command, output, sizeof(output));
    assert_string_equal(output, "foo\nbar\n");
    (void)snprintf(command, sizeof(command),
                   "ETCDCTL_API=3 timeout 20 etcdctl --endpoints=127.0.0.1:%u put foo bar 2>&1",
                   place.port);
    run(command, output, sizeof(output));
    assert_non_null(strstr(output, "etcdserver: not today"));
}

static void etcdctl_tls(void **state)
{
    (void)state;
    char command[1000];
    char output[2000];
    if (system("command -v etcdctl >/dev/null") != 0) {
        skip();
    }
    test_ca_make("ca");
    test_cert_make("ca", "n1", "quorate://node/n1", 5);
    test_cert_make("ca", "bob", "quorate://admin/bob", 5);
    struct io_tls *tls = test_tls("ca", "n1", IO_TLS_VERIFY_REQUIRED);
    start(tls);
    (void)snprintf(
        command, sizeof(command),
        "ETCDCTL_API=3 timeout 20 etcdctl --endpoints=https://127.0.0.1:%u --cacert=%s --cert=%s "
        "--key=%s get foo 2>&1",
        place.port, test_path("ca.pem"), test_path("bob.pem"), test_path("bob.key"));
    run(command, output, sizeof(output));
    assert_string_equal(output, "foo\nbar\n");
    finish();
    tls = io_tls_free(tls);
}

static void curl_http2(void **state)
{
    (void)state;
    char command[300];
    char output[2000];
    if (system("command -v curl >/dev/null") != 0) {
        skip();
    }
    start(NULL);
    (void)snprintf(command, sizeof(command),
                   "curl -s -m 10 --http2-prior-knowledge http://127.0.0.1:%u/health", place.port);
    run(command, output, sizeof(output));
    assert_string_equal(output, "{\"health\":\"true\"}");
    (void)snprintf(
        command, sizeof(command),
        "curl -s -m 10 --http2-prior-knowledge -i -d '{\"a\":1}' http://127.0.0.1:%u/v3/kv/put",
        place.port);
    run(command, output, sizeof(output));
    assert_non_null(strstr(output, "x-method: post"));
    assert_non_null(strstr(output, "{\"a\":1}"));
    (void)snprintf(command, sizeof(command), "curl -s -m 10 http://127.0.0.1:%u/health",
                   place.port);
    run(command, output, sizeof(output));
    assert_string_equal(output, "{\"health\":\"true\"}");
}

/* --- raw HTTP/2 --- */

static struct slice stream_body; /* what is left of the request's DATA */
static bool is_kept_open;        /* the request does not end with it */

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *data, size_t len,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    size_t taken = stream_body.len < len ? stream_body.len : len;
    (void)session;
    (void)id;
    (void)source;
    (void)user;
    if (taken > 0) {
        memcpy(data, stream_body.data, taken);
    }
    stream_body = slice_skip(stream_body, taken);
    if (stream_body.len == 0 && is_kept_open) {
        return taken > 0 ? (ssize_t)taken : NGHTTP2_ERR_DEFERRED;
    }
    if (stream_body.len == 0) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)taken;
}

static nghttp2_nv field(const char *name, const char *value)
{
    static uint8_t memory[4096];
    static size_t used;
    if (used > sizeof(memory) - 300) {
        used = 0;
    }
    uint8_t *n = memory + used;
    memcpy(n, name, strlen(name));
    used += strlen(name);
    uint8_t *v = memory + used;
    memcpy(v, value, strlen(value));
    used += strlen(value);
    return (nghttp2_nv){n, v, strlen(name), strlen(value), 0};
}

static nghttp2_session *raw_session(nghttp2_on_header_callback on_header,
                                    nghttp2_on_data_chunk_recv_callback on_data)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_session *session = NULL;
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    if (on_header != NULL) {
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    }
    assert_int_equal(nghttp2_session_client_new(&session, callbacks, NULL), 0);
    nghttp2_session_callbacks_del(callbacks);
    (void)nghttp2_submit_settings(session, 0, NULL, 0);
    return session;
}

static void raw_request(nghttp2_session *session, const char *path, const char *extra,
                        const char *value, struct slice body)
{
    nghttp2_data_provider provider = {.read_callback = read_body};
    nghttp2_nv fields[6] = {field(":method", "POST"),
                            field(":scheme", "http"),
                            field(":path", path),
                            field(":authority", "#initially=[127.0.0.1]"),
                            field("content-type", "application/grpc+proto"),
                            field(extra, value)};
    stream_body = body;
    assert_true(nghttp2_submit_request(session, NULL, fields, 6, &provider, NULL) > 0);
}

static struct {
    struct io_loop *loop;
    nghttp2_session *session;
    bool is_open, is_closed;
    char trailers[1000];
    char data[1000];
} raw;

static int raw_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                      size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                      void *user)
{
    size_t used = strlen(raw.trailers);
    (void)session;
    (void)frame;
    (void)flags;
    (void)user;
    (void)snprintf(raw.trailers + used, sizeof(raw.trailers) - used, "%.*s=%.*s;", (int)name_len,
                   (const char *)name, (int)value_len, (const char *)value);
    return 0;
}

static int raw_body(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                    size_t len, void *user)
{
    size_t used = strlen(raw.data);
    (void)session;
    (void)flags;
    (void)id;
    (void)user;
    for (size_t i = 0; i < len && used < sizeof(raw.data) - 1; i++) {
        raw.data[used++] = data[i] >= ' ' ? (char)data[i] : '.';
    }
    return 0;
}

static void raw_flush(struct io_stream *stream)
{
    const uint8_t *data = NULL;
    ssize_t len;
    while ((len = nghttp2_session_mem_send(raw.session, &data)) > 0) {
        assert_int_equal(io_stream_write(stream, slice_from(data, (size_t)len)), 0);
    }
}

static void raw_opened(void *ctx, struct io_stream *stream)
{
    (void)ctx;
    raw_flush(stream);
    raw.is_open = true;
}

static void raw_data(void *ctx, struct io_stream *stream, struct slice bytes)
{
    (void)ctx;
    (void)nghttp2_session_mem_recv(raw.session, bytes.data, bytes.len);
    raw_flush(stream);
}

static void raw_closed(void *ctx, struct io_stream *stream, int status, const char *why)
{
    (void)ctx;
    (void)stream;
    (void)status;
    (void)why;
    raw.is_closed = true;
}

static const struct io_stream_events raw_events = {raw_opened, raw_data, NULL, raw_closed};

/* One request over raw frames; the header fields of the answer must hold the text. */
static void raw_expect(const char *path, const char *extra, const char *value, struct slice body,
                       const char *wanted)
{
    struct io_stream *stream = NULL;
    const struct io_address address = test_loopback(place.port);
    const struct io_stream_options options = {.events = &raw_events};
    memset(&raw, 0, sizeof(raw));
    assert_int_equal(io_loop_new(&raw.loop), 0);
    raw.session = raw_session(raw_header, raw_body);
    raw_request(raw.session, path, extra, value, body);
    assert_int_equal(io_stream_connect(raw.loop, &address, &options, &stream), 0);
    struct base_mono end = base_mono_add_us(io_now(), 5 * BASE_US_PER_S);
    while (strstr(raw.trailers, wanted) == NULL && base_mono_before(io_now(), end)) {
        io_loop_run_once(raw.loop, end);
    }
    if (strstr(raw.trailers, wanted) == NULL) {
        fail_msg("%s: wanted %s, got %s", path, wanted, raw.trailers);
    }
    io_stream_abort(stream, "done");
    run_until(raw.loop, &raw.is_closed);
    nghttp2_session_del(raw.session);
    raw.loop = io_loop_free(raw.loop);
}

static void rules_of_grpc(void **state)
{
    (void)state;
    struct slice one = SLICE_LIT("\0\0\0\0\1a");
    start(NULL);
    raw_expect("/test/Echo", "te", "trailers", one, "grpc-status=0");
    raw_expect("/test/Echo", "te", "trailers", SLICE_EMPTY, "grpc-status=13");
    raw_expect("/test/Echo", "te", "trailers", SLICE_LIT("\0\0\0\0\1a\0\0\0\0\1b"),
               "grpc-status=13");
    raw_expect("/test/Echo", "te", "trailers", SLICE_LIT("\0\0\0\0\5a"), "grpc-status=13");
    raw_expect("/test/Echo", "te", "trailers", SLICE_LIT("\1\0\0\0\1a"), "grpc-status=13");
    raw_expect("/test/Echo", "grpc-encoding", "gzip", SLICE_LIT("\1\0\0\0\1a"), "grpc-status=12");
    raw_expect("/test/Echo", "te", "trailers", SLICE_LIT("\0\177\0\0\1a"), "grpc-status=8");
    raw_expect("/test/Never", "grpc-timeout", "50m", one, "grpc-status=4");
    assert_int_equal(place.deadlines, 1);
    raw_expect("/test/Echo", "grpc-timeout", "soon", one, "grpc-status=13");
    raw_expect("/test/Never", "grpc-timeout", "1n", one, "grpc-status=4");
    raw_expect("/nobody/Knows", "te", "trailers", one, "grpc-message=unknown service nobody");
    raw_expect("/test/Fail", "te", "trailers", one, "grpc-message=no such thing: 50%25 %C3%A9%0A");
    raw_expect("/stream/Echo", "te", "trailers", SLICE_LIT("\0\0\0\0\1a\0\0\0\0\2bb"),
               "grpc-status=0");
    assert_string_equal(raw.data, ".....hello.....a.....bb");
}

static void shut_down(void *ctx)
{
    (void)ctx;
    io_server_shutdown(place.server, stop, NULL);
}

/* A running stream is told UNAVAILABLE, a unary call under way is answered, then the server is
 * done. */
static void shutdown_ends_calls(void **state)
{
    (void)state;
    struct io_wake *wake = NULL;
    struct io_stream *stream = NULL;
    start(NULL);
    io_wake_send(place.stop);
    assert_int_equal(pthread_join(place.thread, NULL), 0);
    assert_int_equal(io_wake_new(place.loop, shut_down, NULL, &wake), 0);
    assert_int_equal(pthread_create(&place.thread, NULL, serve, NULL), 0);
    const struct io_address address = test_loopback(place.port);
    const struct io_stream_options options = {.events = &raw_events};
    memset(&raw, 0, sizeof(raw));
    assert_int_equal(io_loop_new(&raw.loop), 0);
    raw.session = raw_session(raw_header, raw_body);
    raw_request(raw.session, "/test/Later", "te", "trailers", SLICE_LIT("\0\0\0\0\1a"));
    assert_int_equal(io_stream_connect(raw.loop, &address, &options, &stream), 0);
    run_until(raw.loop, &raw.is_open);
    is_kept_open = true;
    raw_request(raw.session, "/stream/Echo", "te", "trailers", SLICE_LIT("\0\0\0\0\1a"));
    raw_flush(stream);
    struct base_mono end = base_mono_add_us(io_now(), 5 * BASE_US_PER_S);
    while (strstr(raw.data, "hello.....a") == NULL && base_mono_before(io_now(), end)) {
        io_loop_run_once(raw.loop, end);
    }
    is_kept_open = false;
    io_wake_send(wake);
    run_until(raw.loop, &raw.is_closed);
    assert_non_null(strstr(raw.data, "later"));
    assert_non_null(strstr(raw.trailers, "grpc-status=0"));
    assert_non_null(strstr(raw.trailers, "grpc-status=14;grpc-message=server stopped"));
    assert_int_equal(pthread_join(place.thread, NULL), 0);
    wake = io_wake_free(wake);
    assert_int_equal(pthread_create(&place.thread, NULL, serve, NULL), 0);
    nghttp2_session_del(raw.session);
    raw.loop = io_loop_free(raw.loop);
}

/* Random damage to a good conversation, sent piece by piece; the server lives on. */
static void mutations(void **state)
{
    (void)state;
    static uint8_t good[8192];
    struct base_rand r = base_rand_make(21, 4);
    struct io_loop *loop = NULL;
    struct buf b = buf_over(good, sizeof(good));
    const uint8_t *data = NULL;
    ssize_t len;
    nghttp2_session *session = raw_session(NULL, NULL);
    raw_request(session, "/stream/Echo", "grpc-timeout", "1S",
                SLICE_LIT("\0\0\0\0\1a\0\0\0\0\2bb"));
    while ((len = nghttp2_session_mem_send(session, &data)) > 0) {
        buf_put(&b, slice_from(data, (size_t)len));
    }
    for (int i = 0; i < 5; i++) {
        raw_request(session, "/test/Echo", "te", "trailers", SLICE_LIT("\0\0\0\0\1a"));
        while ((len = nghttp2_session_mem_send(session, &data)) > 0) {
            buf_put(&b, slice_from(data, (size_t)len));
        }
    }
    nghttp2_session_del(session);
    start(NULL);
    assert_int_equal(io_loop_new(&loop), 0);
    for (int round = 0; round < 400; round++) {
        static uint8_t copy[sizeof(good)];
        const struct io_address address = test_loopback(place.port);
        const struct io_stream_options options = {.events = &raw_events};
        struct io_stream *stream = NULL;
        memcpy(copy, good, b.len);
        for (uint64_t n = base_rand_between(&r, 1, 6); n > 0; n--) {
            copy[base_rand_between(&r, 24, b.len - 1)] = (uint8_t)base_rand_next(&r);
        }
        memset(&raw, 0, sizeof(raw));
        raw.session = raw_session(NULL, NULL);
        while (nghttp2_session_mem_send(raw.session, &data) > 0) {
        }
        assert_int_equal(io_stream_connect(loop, &address, &options, &stream), 0);
        run_until(loop, &raw.is_open);
        size_t first = base_rand_between(&r, 1, b.len);
        (void)!io_stream_write(stream, slice_from(copy, first));
        run_for(loop, 300);
        if (!raw.is_closed) {
            (void)!io_stream_write(stream, slice_from(copy + first, b.len - first));
            run_for(loop, 500);
        }
        if (!raw.is_closed) {
            io_stream_abort(stream, "done");
            run_until(loop, &raw.is_closed);
        }
        nghttp2_session_del(raw.session);
    }
    loop = io_loop_free(loop);
    struct io_grpc_client *client = make_client("", NULL, NULL);
    expect(client, "/test/Echo", SLICE_LIT("alive"), IO_GRPC_OK, SLICE_LIT("alive"));
    client = io_grpc_client_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(plain_calls, setup, teardown),
        cmocka_unit_test_setup_teardown(tls_calls, setup, teardown),
        cmocka_unit_test_setup_teardown(client_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(server_restarts, setup, teardown),
        cmocka_unit_test_setup_teardown(foreign_server, setup, teardown),
        cmocka_unit_test_setup_teardown(etcdctl_plain, setup, teardown),
        cmocka_unit_test_setup_teardown(etcdctl_tls, setup, teardown),
        cmocka_unit_test_setup_teardown(curl_http2, setup, teardown),
        cmocka_unit_test_setup_teardown(rules_of_grpc, setup, teardown),
        cmocka_unit_test_setup_teardown(shutdown_ends_calls, setup, teardown),
        cmocka_unit_test_setup_teardown(mutations, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
