/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1: heads and chunks as bytes, then a server on loopback: keep-alive, pipelining, limits,
 * streamed answers, slow and vanishing clients. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rand.h"
#include "proto/io/http1_parse.h"
#include "proto/io/server.h"
#include "tests/unit/io_test_support.h"

static struct io_loop *loop;

/* --- bytes --- */

static int parse(const char *text, struct http1_head *head)
{
    struct slice all = slice_from_text(text);
    size_t len = http1_head_end(all);
    assert_true(len > 0);
    return http1_head_parse(slice_from(all.data, len), head);
}

static void heads(void **state)
{
    (void)state;
    struct http1_head head;
    assert_int_equal(
        parse("GET /a/b?lag=1&x HTTP/1.1\r\nHost: h\r\nX-One:  two \r\n\r\nrest", &head), 0);
    assert_true(slice_equal(head.path, SLICE_LIT("/a/b")));
    assert_true(slice_equal(head.query, SLICE_LIT("lag=1&x")));
    assert_true(slice_equal(http1_field(head.fields, SLICE_LIT("x-one")), SLICE_LIT("two")));
    assert_true(head.keeps_alive);
    assert_int_equal(parse("OPTIONS * HTTP/1.0\r\n\r\n", &head), 0);
    assert_false(head.keeps_alive);
    assert_int_equal(
        parse("POST / HTTP/1.1\r\nContent-Length: 12\r\nConnection: a, close\r\n\r\n", &head), 0);
    assert_int_equal(head.content_length, 12);
    assert_false(head.keeps_alive);
    static const struct {
        int status;
        const char *text;
    } bad[] = {
        {400, "GET\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nBad Header: 1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\n folded\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nA : 1\r\n\r\n"},
        {400, "GET relative HTTP/1.1\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {501, "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n"},
        {505, "GET / HTTP/3.0\r\n\r\n"},
    };
    for (size_t i = 0; i < BASE_COUNT_OF(bad); i++) {
        assert_int_equal(parse(bad[i].text, &head), bad[i].status);
    }
}

static void chunks(void **state)
{
    (void)state;
    static const char text[] = "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: x\r\n\r\nnext";
    struct slice all = SLICE_LIT("5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: x\r\n\r\n");
    uint8_t memory[100];
    for (size_t piece = 1; piece < sizeof(text); piece++) {
        struct buf body = buf_over(memory, sizeof(memory));
        size_t at = 0;
        int status = 0;
        for (size_t len = piece; status == 0; len += piece) {
            size_t now = len < sizeof(text) - 1 ? len : sizeof(text) - 1;
            status = http1_chunked(slice_from(text, now), &at, &body);
        }
        assert_int_equal(status, 1);
        assert_int_equal(at, all.len);
        assert_true(slice_equal(buf_slice(&body), SLICE_LIT("hello world")));
    }
    struct buf body = buf_over(memory, sizeof(memory));
    size_t at = 0;
    assert_int_equal(http1_chunked(SLICE_LIT("x\r\n"), &at, &body), BASE_E_PROTO);
    at = 0;
    assert_int_equal(http1_chunked(SLICE_LIT("2\r\nabX"), &at, &body), 0);
    assert_int_equal(http1_chunked(SLICE_LIT("2\r\nabXY"), &at, &body), BASE_E_PROTO);
    assert_int_equal(http1_chunked(SLICE_LIT("fffffffff\r\n"), &at, &body), BASE_E_PROTO);
}

/* A size line is too long or not, however much of it has come. */
static void chunk_lines(void **state)
{
    (void)state;
    static const size_t most = 256;
    uint8_t memory[100];
    char text[300];
    memset(text, 'x', sizeof(text));
    memcpy(text, "2;", 2);
    for (size_t line = most - 1; line <= most + 2; line++) {
        for (size_t len = 0; len <= line + 2; len++) {
            struct buf body = buf_over(memory, sizeof(memory));
            size_t at = 0;
            memset(text + 2, 'x', sizeof(text) - 2);
            memcpy(text + line, "\r\n", 2);
            int status = http1_chunked(slice_from(text, len), &at, &body);
            assert_int_equal(status, line > most && len > most + 1 ? BASE_E_PROTO : 0);
        }
    }
}

/* An absolute target loses its scheme and its authority (RFC 9112 3.2.2). */
static void absolute_targets(void **state)
{
    (void)state;
    static const struct {
        const char *text, *path;
    } good[] = {
        {"GET http://h/ HTTP/1.1\r\n\r\n", "/"},
        {"GET http://h HTTP/1.1\r\n\r\n", "/"},
        {"GET http://h/a/b HTTP/1.1\r\n\r\n", "/a/b"},
        {"GET http:/// HTTP/1.1\r\n\r\n", "/"},
    };
    for (size_t i = 0; i < BASE_COUNT_OF(good); i++) {
        struct http1_head head;
        assert_int_equal(http1_head_parse(slice_from_text(good[i].text), &head), 0);
        assert_true(slice_equal(head.path, slice_from_text(good[i].path)));
    }
}

static void queries(void **state)
{
    (void)state;
    struct slice value = SLICE_EMPTY;
    uint8_t memory[20];
    struct buf b = buf_over(memory, sizeof(memory));
    assert_true(io_http_query_get(SLICE_LIT("a=1&lag=10%20MB&b"), "lag", &value));
    assert_int_equal(io_http_decode(value, true, &b), 0);
    assert_true(slice_equal(buf_slice(&b), SLICE_LIT("10 MB")));
    assert_true(io_http_query_get(SLICE_LIT("a=1&lag=10%20MB&b"), "b", &value));
    assert_int_equal(value.len, 0);
    assert_false(io_http_query_get(SLICE_LIT("lagg=1"), "lag", &value));
    assert_int_equal(io_http_decode(SLICE_LIT("%4"), false, &b), BASE_E_INVALID);
}

/* --- a server --- */

static struct io_server *server;
static struct io_http_exchange *waiting;
static unsigned gone_count;

static void request(void *ctx, struct io_http_exchange *exchange, const struct io_http_request *r)
{
    (void)ctx;
    if (slice_equal(r->path, SLICE_LIT("/echo"))) {
        io_http_add_header(exchange, "X-Test", "yes");
        io_http_reply(exchange, 200, "text/plain", r->body);
    } else if (slice_equal(r->path, SLICE_LIT("/agent"))) {
        io_http_reply(exchange, 200, "text/plain", io_http_header(exchange, "user-agent"));
    } else if (slice_equal(r->path, SLICE_LIT("/later")) ||
               slice_equal(r->path, SLICE_LIT("/stream"))) {
        waiting = exchange;
        if (r->path.data[1] == 's') {
            io_http_reply_begin(exchange, 200, "text/event-stream");
        }
    } else {
        io_http_reply(exchange, 503, "application/json", SLICE_LIT("{}"));
    }
}

static void gone(void *ctx, struct io_http_exchange *exchange)
{
    (void)ctx;
    assert_ptr_equal(exchange, waiting);
    waiting = NULL;
    gone_count++;
}

static unsigned writable_count;

static void writable(void *ctx, struct io_http_exchange *exchange)
{
    (void)ctx;
    assert_ptr_equal(exchange, waiting);
    writable_count++;
}

static const struct io_http_handler handler = {
    .request = request, .gone = gone, .writable = writable};

static struct {
    struct io_stream *stream;
    bool is_open, is_closed, is_deaf; /* deaf: what comes is thrown away */
    char text[300000];
    size_t len;
} client;

static void opened(void *ctx, struct io_stream *stream)
{
    (void)ctx;
    (void)stream;
    client.is_open = true;
}

static void data(void *ctx, struct io_stream *stream, struct slice bytes)
{
    (void)ctx;
    (void)stream;
    if (client.is_deaf) {
        return;
    }
    assert_true(client.len + bytes.len < sizeof(client.text));
    memcpy(client.text + client.len, bytes.data, bytes.len);
    client.len += bytes.len;
    client.text[client.len] = '\0';
}

static void closed(void *ctx, struct io_stream *stream, int status, const char *why)
{
    (void)ctx;
    (void)stream;
    (void)status;
    (void)why;
    client.is_closed = true;
    client.stream = NULL;
}

static const struct io_stream_events events = {opened, data, NULL, closed};

static void dial(void)
{
    const struct io_address address = test_loopback(io_server_port(server));
    const struct io_stream_options options = {.events = &events};
    client.is_open = client.is_closed = false;
    client.len = 0;
    client.text[0] = '\0';
    assert_int_equal(io_stream_connect(loop, &address, &options, &client.stream), 0);
    run_until(loop, &client.is_open);
}

static void hang_up(void)
{
    if (client.stream != NULL) {
        io_stream_abort(client.stream, "done");
        run_until(loop, &client.is_closed);
    }
}

static void send_text(const char *text)
{
    assert_int_equal(io_stream_write(client.stream, slice_from_text(text)), 0);
}

static void await(const char *text)
{
    struct base_mono end = base_mono_add_us(io_now(), 10 * BASE_US_PER_S);
    while (strstr(client.text, text) == NULL) {
        if (!base_mono_before(io_now(), end) || client.is_closed) {
            fail_msg("wanted '%s', got '%s'", text, client.text);
        }
        io_loop_run_once(loop, end);
    }
}

static unsigned count(const char *needle)
{
    unsigned n = 0;
    for (const char *at = client.text; (at = strstr(at, needle)) != NULL; at++) {
        n++;
    }
    return n;
}

static int setup(void **state)
{
    (void)state;
    struct io_why why = {""};
    waiting = NULL;
    gone_count = 0;
    if (io_loop_new(&loop) != 0) {
        return -1;
    }
    const struct io_server_options options = {
        .address = test_loopback(0), .http = &handler, .body_max = 100000, .connections_max = 5};
    return io_server_new(loop, &options, &server, &why);
}

static int teardown(void **state)
{
    (void)state;
    hang_up();
    server = io_server_free(server);
    loop = io_loop_free(loop);
    return 0;
}

static void keep_alive_and_pipelining(void **state)
{
    (void)state;
    dial();
    send_text("GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
    await("HTTP/1.1 503 Service Unavailable\r\nDate: ");
    await(" GMT\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
    client.len = 0;
    for (int i = 0; i < 50; i++) {
        send_text("POST /echo HTTP/1.1\r\nContent-Length: 4\r\n\r\nabc\n");
    }
    send_text("HEAD /echo HTTP/1.1\r\nUser-Agent: me\r\n\r\n"
              "GET /agent HTTP/1.1\r\nUser-Agent: me\r\n\r\n");
    await("\r\n\r\nme");
    assert_int_equal(count("X-Test: yes\r\n"), 51);
    assert_int_equal(count("\r\n\r\nabc\n"), 50);
    send_text("GET /x HTTP/1.0\r\n\r\n");
    run_until(loop, &client.is_closed);
    assert_int_equal(count("Connection: close"), 1);
}

/* One byte at a time, chunked body, 100-continue. */
static void slow_pieces(void **state)
{
    (void)state;
    static const char text[] =
        "\r\nPOST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
        "5\r\nhello\r\n0\r\n\r\n";
    dial();
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        assert_int_equal(io_stream_write(client.stream, slice_from(text + i, 1)), 0);
        run_for(loop, 300);
    }
    await("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n");
    await("\r\n\r\nhello");
}

static void limits(void **state)
{
    (void)state;
    static char big[20000];
    static const struct {
        const char *text, *answer;
    } bad[] = {
        {"GET / HTTP/1.1\r\nContent-Length: 100001\r\n\r\n", "HTTP/1.1 413"},
        {"GET / HTTP/4.1\r\n\r\n", "HTTP/1.1 505"},
        {"nonsense\r\n\r\n", "HTTP/1.1 400"},
        {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 400"},
    };
    for (size_t i = 0; i < BASE_COUNT_OF(bad); i++) {
        dial();
        send_text(bad[i].text);
        run_until(loop, &client.is_closed);
        assert_non_null(strstr(client.text, bad[i].answer));
        assert_non_null(strstr(client.text, "Connection: close"));
    }
    memset(big, 'a', sizeof(big) - 1);
    dial();
    send_text(big);
    run_until(loop, &client.is_closed);
    assert_non_null(strstr(client.text, "HTTP/1.1 431"));
}

/* A request whose head has `head` bytes and whose body `body`. */
static const char *answer_to(size_t head, size_t body)
{
    static char text[IO_HTTP_HEAD + 200000];
    (void)snprintf(text, sizeof(text), "POST /echo HTTP/1.1\r\nContent-Length: %zu\r\nA: ", body);
    size_t at = strlen(text);
    memset(text + at, 'a', head - at - 4);
    memcpy(text + head - 4, "\r\n\r\n", 4);
    memset(text + head, 'b', body);
    text[head + body] = '\0';
    dial();
    send_text(text);
    while (strstr(client.text, "\r\n\r\n") == NULL && !client.is_closed) {
        io_loop_run_once(loop, base_mono_add_us(io_now(), BASE_US_PER_S));
    }
    return client.text;
}

static void limits_are_reached_and_not_passed(void **state)
{
    (void)state;
    assert_non_null(strstr(answer_to(IO_HTTP_HEAD, 1), "HTTP/1.1 200"));
    hang_up();
    assert_non_null(strstr(answer_to(IO_HTTP_HEAD + 1, 1), "HTTP/1.1 431"));
    hang_up();
    assert_non_null(strstr(answer_to(200, 100000), "HTTP/1.1 200")); /* of the server's body_max */
    hang_up();
    assert_non_null(strstr(answer_to(200, 100001), "HTTP/1.1 413"));
    hang_up();
}

/* Reads nothing for a while: what is streamed stops at a bound and goes on when it reads again. */
static void slow_reader(void **state)
{
    (void)state;
    static uint8_t chunk[1000];
    size_t taken = 0;
    memset(chunk, 'z', sizeof(chunk));
    dial();
    client.is_deaf = true;
    send_text("GET /stream HTTP/1.1\r\n\r\n");
    while (waiting == NULL) {
        io_loop_run_once(loop, base_mono_add_us(io_now(), BASE_US_PER_S));
    }
    io_stream_pause(client.stream);
    writable_count = 0;
    for (int rounds = 0; rounds < 50; rounds++) { /* the kernel takes some of it */
        while (io_http_reply_chunk(waiting, slice_from(chunk, sizeof(chunk))) == 0) {
            taken += sizeof(chunk);
            assert_true(taken < ((size_t)64 << 20));
        }
        assert_true(io_http_queued(waiting) <= IO_STREAM_QUEUE);
        run_for(loop, 1000);
    }
    assert_int_equal(io_http_reply_chunk(waiting, slice_from(chunk, sizeof(chunk))), BASE_E_BUSY);
    writable_count = 0;
    io_stream_resume(client.stream);
    while (writable_count == 0) {
        io_loop_run_once(loop, base_mono_add_us(io_now(), BASE_US_PER_S));
    }
    assert_true(io_http_queued(waiting) < IO_STREAM_QUEUE / 2 + sizeof(chunk));
    assert_int_equal(io_http_reply_chunk(waiting, slice_from(chunk, sizeof(chunk))), 0);
    io_http_reply_end(waiting);
    waiting = NULL;
    client.is_deaf = false;
    hang_up();
}

static void too_many_connections(void **state)
{
    (void)state;
    struct io_stream *streams[6] = {NULL};
    const struct io_address address = test_loopback(io_server_port(server));
    const struct io_stream_options options = {.events = &events};
    client.is_closed = false;
    for (int i = 0; i < 6; i++) {
        assert_int_equal(io_stream_connect(loop, &address, &options, &streams[i]), 0);
        run_for(loop, 2000);
    }
    run_until(loop, &client.is_closed);
    assert_int_equal(io_server_connections(server), 5);
    for (int i = 0; i < 5; i++) {
        io_stream_abort(streams[i], "done");
    }
}

static void later_and_gone(void **state)
{
    (void)state;
    dial();
    send_text("GET /later HTTP/1.1\r\n\r\nGET /agent HTTP/1.1\r\nUser-Agent: second\r\n\r\n");
    while (waiting == NULL) {
        io_loop_run_once(loop, base_mono_add_us(io_now(), BASE_US_PER_S));
    }
    run_for(loop, 20000);
    assert_int_equal(client.len, 0); /* answers come in order */
    io_http_reply(waiting, 204, NULL, SLICE_EMPTY);
    await("second");
    assert_non_null(strstr(client.text, "HTTP/1.1 204 No Content\r\nDate: "));
    assert_non_null(strstr(client.text, " GMT\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200"));
    waiting = NULL;
    send_text("GET /later HTTP/1.1\r\n\r\n");
    while (waiting == NULL) {
        io_loop_run_once(loop, base_mono_add_us(io_now(), BASE_US_PER_S));
    }
    hang_up();
    while (gone_count == 0) {
        io_loop_run_once(loop, base_mono_add_us(io_now(), BASE_US_PER_S));
    }
    assert_int_equal(gone_count, 1);
}

static void streamed(void **state)
{
    (void)state;
    static uint8_t chunk[50000];
    unsigned sent = 0;
    memset(chunk, 'z', sizeof(chunk));
    dial();
    send_text("GET /stream HTTP/1.1\r\n\r\n");
    await("Transfer-Encoding: chunked\r\n\r\n");
    assert_int_equal(io_http_reply_chunk(waiting, SLICE_LIT("first")), 0);
    await("5\r\nfirst\r\n");
    io_stream_pause(client.stream);
    while (io_http_reply_chunk(waiting, slice_from(chunk, sizeof(chunk))) == 0) {
        assert_true(++sent < 10000);
    }
    assert_true(sent > 10);
    hang_up();
    while (gone_count == 0) {
        io_loop_run_once(loop, base_mono_add_us(io_now(), BASE_US_PER_S));
    }
    dial();
    send_text("GET /stream HTTP/1.1\r\n\r\n");
    await("Transfer-Encoding: chunked\r\n\r\n");
    io_http_reply_end(waiting);
    await("0\r\n\r\n");
    waiting = NULL;
    send_text("GET /agent HTTP/1.1\r\nUser-Agent: again\r\n\r\n");
    await("again");
}

static void stopped(void *ctx)
{
    *(bool *)ctx = true;
}

static void shutdown_waits_for_answers(void **state)
{
    (void)state;
    bool is_stopped = false;
    dial();
    send_text("GET /later HTTP/1.1\r\n\r\n");
    while (waiting == NULL) {
        io_loop_run_once(loop, base_mono_add_us(io_now(), BASE_US_PER_S));
    }
    io_server_shutdown(server, stopped, &is_stopped);
    run_for(loop, 20000);
    assert_false(is_stopped);
    io_http_reply(waiting, 200, "text/plain", SLICE_LIT("late but there"));
    run_until(loop, &is_stopped);
    run_until(loop, &client.is_closed);
    assert_non_null(strstr(client.text, "late but there"));
}

/* Mutations of a good conversation: any answer will do, the server lives. */
static void mutations(void **state)
{
    (void)state;
    static const char good[] =
        "POST /echo HTTP/1.1\r\nContent-Length: 4\r\nHost: x\r\n\r\nabcd"
        "POST /echo?a=%20 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    struct base_rand r = base_rand_make(3, 9);
    for (int round = 0; round < 300; round++) {
        char copy[sizeof(good)];
        memcpy(copy, good, sizeof(good));
        for (uint64_t n = base_rand_between(&r, 1, 4); n > 0; n--) {
            copy[base_rand_between(&r, 0, sizeof(good) - 2)] = (char)base_rand_next(&r);
        }
        dial();
        assert_int_equal(io_stream_write(client.stream, slice_from(copy, sizeof(good) - 1)), 0);
        run_for(loop, 300);
        hang_up();
    }
    dial();
    send_text("GET /agent HTTP/1.1\r\nUser-Agent: alive\r\n\r\n");
    await("alive");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads),
        cmocka_unit_test(chunks),
        cmocka_unit_test(chunk_lines),
        cmocka_unit_test(absolute_targets),
        cmocka_unit_test(queries),
        cmocka_unit_test_setup_teardown(keep_alive_and_pipelining, setup, teardown),
        cmocka_unit_test_setup_teardown(slow_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(limits, setup, teardown),
        cmocka_unit_test_setup_teardown(limits_are_reached_and_not_passed, setup, teardown),
        cmocka_unit_test_setup_teardown(slow_reader, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_connections, setup, teardown),
        cmocka_unit_test_setup_teardown(later_and_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(streamed, setup, teardown),
        cmocka_unit_test_setup_teardown(shutdown_waits_for_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(mutations, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
