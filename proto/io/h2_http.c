/* SPDX-License-Identifier: Apache-2.0 */
/* Plain HTTP requests over HTTP/2: what curl and browsers send to a TLS port that offers h2. They
 * go to the same handler as HTTP/1.1 requests; only the way back differs. */
#include <stdio.h>
#include <string.h>

#include "proto/io/h2_internal.h"

#define FIELDS_MAX 24

static struct slice h2_header(const struct io_http_exchange *exchange, struct slice name)
{
    const struct io_grpc_call *call = exchange->owner;
    if (slice_equal(name, SLICE_LIT("host"))) {
        name = SLICE_LIT(":authority");
    }
    return io_headers_get(&call->headers, name);
}

/* Names must be in lower case in HTTP/2 (RFC 9113 8.2). */
static size_t lower_names(const struct io_headers *from, struct io_headers *to)
{
    char text[64];
    size_t count = 0;
    struct slice name;
    struct slice value;
    for (size_t at = 0; io_headers_next(from, &at, &name, &value);) {
        if (name.len >= sizeof(text) || count == FIELDS_MAX - 3) {
            continue;
        }
        for (size_t i = 0; i < name.len; i++) {
            uint8_t c = name.data[i];
            text[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        }
        count += io_headers_add(to, slice_from(text, name.len), value) == 0;
    }
    return count;
}

static void submit_head(struct io_grpc_call *call, int status, const char *type, int64_t length,
                        bool has_body)
{
    nghttp2_nv fields[FIELDS_MAX];
    char number[12];
    char length_text[24];
    size_t count = 0;
    struct io_headers extra = {{0}};
    struct slice name;
    struct slice value;
    (void)snprintf(number, sizeof(number), "%d", status);
    (void)snprintf(length_text, sizeof(length_text), "%lld", (long long)length);
    (void)lower_names(&call->exchange.extra, &extra);
    fields[count++] = h2_field(SLICE_LIT(":status"), slice_from_text(number));
    if (type != NULL) {
        fields[count++] = h2_field(SLICE_LIT("content-type"), slice_from_text(type));
    }
    if (length >= 0) {
        fields[count++] = h2_field(SLICE_LIT("content-length"), slice_from_text(length_text));
    }
    for (size_t at = 0; io_headers_next(&extra, &at, &name, &value) && count < FIELDS_MAX;) {
        fields[count++] = h2_field(name, value);
    }
    h2_submit(call, fields, count, has_body);
    io_headers_free(&extra);
}

static void h2_reply(struct io_http_exchange *exchange, int status, const char *type,
                     struct slice body)
{
    struct io_grpc_call *call = exchange->owner;
    bool has_body = body.len > 0 && !exchange->request.is_head;
    if (has_body && h2_append(call, &body, 1) != 0) {
        status = 503;
        has_body = false;
        body = SLICE_EMPTY;
    }
    call->is_done = true;
    call->is_told = false;
    grpc_message_free(call);
    submit_head(call, status, type, (int64_t)body.len, has_body); /* the call may be gone now */
}

static void h2_begin(struct io_http_exchange *exchange, int status, const char *type)
{
    submit_head(exchange->owner, status, type, -1, true);
}

static int h2_chunk(struct io_http_exchange *exchange, struct slice chunk)
{
    struct io_grpc_call *call = exchange->owner;
    if (exchange->request.is_head) {
        return 0;
    }
    if (io_grpc_queued(call) > 0 && io_grpc_queued(call) + chunk.len > IO_STREAM_QUEUE) {
        call->was_over_half = true;
        return BASE_E_BUSY;
    }
    if (h2_append(call, &chunk, 1) != 0) {
        return BASE_E_BUSY;
    }
    h2_resume(call);
    return 0;
}

static void h2_end(struct io_http_exchange *exchange)
{
    struct io_grpc_call *call = exchange->owner;
    call->is_done = true;
    call->is_told = false;
    grpc_message_free(call);
    h2_resume(call); /* the call may be gone now */
}

static size_t h2_queued(const struct io_http_exchange *exchange)
{
    return io_grpc_queued(exchange->owner);
}

static const struct exchange_ops ops = {h2_header, h2_reply, h2_begin, h2_chunk, h2_end, h2_queued};

void h2_http_request(struct io_grpc_call *call)
{
    struct io_stream *stream = call->h2->conn->stream;
    struct slice target = io_grpc_path(call);
    const uint8_t *mark = memchr(target.data, '?', target.len);
    size_t path_len = mark != NULL ? (size_t)(mark - target.data) : target.len;
    call->exchange.ops = &ops;
    call->exchange.owner = call;
    call->exchange.request = (struct io_http_request){
        .method = io_headers_get(&call->headers, SLICE_LIT(":method")),
        .path = slice_from(target.data, path_len),
        .query = slice_skip(target, path_len + 1),
        .body = slice_from(call->message.data, call->message.len),
        .identity = io_stream_identity(stream),
        .is_tls = io_stream_is_tls(stream),
        .is_loopback = io_stream_is_loopback(stream),
    };
    call->exchange.request.is_head = slice_equal(call->exchange.request.method, SLICE_LIT("HEAD"));
    if (call->is_headers_too_big) {
        h2_reply(&call->exchange, 413, NULL, SLICE_EMPTY);
        return;
    }
    call->is_told = true;
    http1_dispatch(call->h2->conn->server, &call->exchange);
}

void h2_http_gone(struct io_grpc_call *call)
{
    const struct io_server *server = call->h2->conn->server;
    if (call->is_told && server->http.gone != NULL) {
        call->is_told = false;
        server->http.gone(server->http.ctx, &call->exchange);
    }
}
