/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 and HTTP/2 connections of the server: any bytes, in any chunks. HTTP/1.1 answers do not
 * depend on the chunks. Handlers answer at once, later, or in pieces, as the path says. */
#include <time.h>

#include "proto/io/grpc.h"
#include "proto/io/loop.h"
#include "tests/fuzz/fake_stream.h"
#include "tests/fuzz/fuzz.h"

static struct io_loop *loop;

/* The Date of an answer stands still (the linker puts this in place of time()): else the same bytes
 * in one piece and in many give two answers whenever a second ends between them. */
time_t __wrap_time(time_t *ret);
time_t __wrap_time(time_t *ret)
{
    const time_t now = 784111777; /* RFC 9110's own example */
    if (ret != NULL) {
        *ret = now;
    }
    return now;
}

/* --- handlers --- */

static void request(void *ctx, struct io_http_exchange *exchange, const struct io_http_request *r)
{
    struct slice value = SLICE_EMPTY;
    uint8_t memory[256];
    struct buf text = buf_over(memory, sizeof(memory));
    (void)ctx;
    if (io_http_query_get(r->query, "q", &value)) {
        (void)!io_http_decode(value, true, &text);
    }
    (void)io_http_header(exchange, "host");
    if (r->path.len > 1 && r->path.data[1] == 's') {
        io_http_reply_begin(exchange, 200, "text/plain");
        (void)!io_http_reply_chunk(exchange, r->path);
        (void)!io_http_reply_chunk(exchange, r->body);
        io_http_reply_end(exchange);
        return;
    }
    io_http_reply(exchange, 200, "text/plain", r->body);
}

static enum io_grpc_kind lookup(void *ctx, struct slice path)
{
    (void)ctx;
    if (path.len == 0 || path.len % 3 == 0) {
        return IO_GRPC_NONE;
    }
    return path.len % 3 == 1 ? IO_GRPC_UNARY : IO_GRPC_STREAM;
}

static void unary(void *ctx, struct io_grpc_call *call, struct slice message)
{
    (void)ctx;
    (void)io_grpc_deadline(call);
    io_grpc_reply(call, message.len % 2 == 0 ? IO_GRPC_OK : IO_GRPC_INVALID_ARGUMENT, "a text %",
                  message);
}

static void opened(void *ctx, struct io_grpc_call *call)
{
    (void)ctx;
    (void)call;
}

static void message(void *ctx, struct io_grpc_call *call, struct slice bytes)
{
    (void)ctx;
    (void)!io_grpc_send(call, bytes);
    if (bytes.len == 3) {
        io_grpc_finish(call, IO_GRPC_OK, NULL);
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

/* --- one connection --- */

static struct io_server *server_new(void)
{
    struct io_server *server = calloc(1, sizeof(*server));
    BASE_ASSERT(server != NULL);
    server->loop = loop;
    server->options.body_max = 4096;
    server->http = (struct io_http_handler){.request = request};
    server->grpc = (struct io_grpc_handler){.lookup = lookup,
                                            .unary = unary,
                                            .opened = opened,
                                            .message = message,
                                            .half_closed = half_closed,
                                            .canceled = canceled};
    server->has_http = server->has_grpc = true;
    return server;
}

static struct io_stream speak(bool is_http2, struct slice bytes, size_t chunk)
{
    struct io_server *server = server_new();
    struct io_stream stream = {0};
    struct conn conn = {.server = server, .stream = &stream};
    server->conns = &conn;
    server->conns_count = 1;
    if (is_http2) {
        conn.h2 = h2_new(&conn);
        BASE_ASSERT(conn.h2 != NULL);
    } else {
        conn.http1 = http1_new(&conn);
        BASE_ASSERT(conn.http1 != NULL);
    }
    while (bytes.len > 0 && !stream.is_closed) {
        struct slice piece = fuzz_bytes(&bytes, chunk);
        if (is_http2) {
            h2_data(conn.h2, piece);
        } else {
            http1_data(conn.http1, piece);
        }
    }
    (void)h2_free(conn.h2, true);
    (void)http1_free(conn.http1, true);
    io_timer_stop(&conn.timer);
    BASE_ASSERT(server->answer_bytes == 0 && server->partial_bytes == 0);
    free(server);
    return stream;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    struct slice in = slice_from(data, size);
    uint8_t how = fuzz_u8(&in);
    if (loop == NULL) {
        int rc = io_loop_new(&loop);
        BASE_ASSERT(rc == 0);
    }
    if (how % 2u == 0) {
        struct io_stream whole = speak(false, in, in.len + 1);
        struct io_stream pieces = speak(false, in, how / 2u + 1u);
        BASE_ASSERT(whole.sum == pieces.sum && whole.bytes == pieces.bytes);
        return 0;
    }
    uint8_t *bytes = malloc(in.len + sizeof(preface));
    BASE_ASSERT(bytes != NULL);
    memcpy(bytes, preface, sizeof(preface) - 1);
    if (in.len > 0) {
        memcpy(bytes + sizeof(preface) - 1, in.data, in.len);
    }
    (void)speak(true, slice_from(bytes, in.len + sizeof(preface) - 1), how / 2u + 1u);
    free(bytes);
    return 0;
}
