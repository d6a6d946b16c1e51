/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC calls of a server: what a request must look like, messages in, answers and trailers out.
 *
 * The rules are those of "gRPC over HTTP2" (grpc/doc/PROTOCOL-HTTP2.md). A call that breaks them is
 * answered by us and its handler never sees it. is_told says whether a handler is waiting: it is
 * cleared by the answer or by the one `canceled`.
 */
#include "proto/io/grpc.h"

#include <stdio.h>
#include <string.h>

#include "proto/io/h2_internal.h"

static struct slice header(const struct io_grpc_call *call, const char *name)
{
    return io_headers_get(&call->headers, slice_from_text(name));
}

static const struct io_grpc_handler *handler_of(const struct io_grpc_call *call)
{
    return &call->h2->conn->server->grpc;
}

/* --- answers --- */

/* Percent-encoded: all but 0x20 to 0x7e, and '%' (Status-Message in PROTOCOL-HTTP2.md). */
static void set_status(struct io_grpc_call *call, enum io_grpc_status status, const char *message)
{
    call->status = status;
    for (const char *c = message != NULL ? message : ""; *c != '\0'; c++) {
        unsigned char byte = (unsigned char)*c;
        char text[4] = {(char)byte, '\0'};
        if (byte < ' ' || byte > '~' || byte == '%') {
            (void)snprintf(text, sizeof(text), "%%%02X", byte);
        }
        if (call->status_text.len + sizeof(text) > 4096 ||
            io_bytes_append(&call->status_text, slice_from_text(text)) != 0) {
            return;
        }
    }
}

size_t grpc_trailers(const struct io_grpc_call *call, nghttp2_nv fields[2])
{
    static const char *const digits[] = {"0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
                                         "9", "10", "11", "12", "13", "14", "15", "16"};
    BASE_ASSERT((size_t)call->status < BASE_COUNT_OF(digits));
    fields[0] = h2_field(SLICE_LIT("grpc-status"), slice_from_text(digits[call->status]));
    fields[1] = h2_field(SLICE_LIT("grpc-message"),
                         slice_from(call->status_text.data, call->status_text.len));
    return call->status_text.len > 0 ? 2 : 1;
}

/* The handler has nothing to do with this call any more; the stream is ended behind what is queued.
 */
static void end_call(struct io_grpc_call *call, enum io_grpc_status status, const char *message)
{
    nghttp2_nv fields[4] = {h2_field(SLICE_LIT(":status"), SLICE_LIT("200")),
                            h2_field(SLICE_LIT("content-type"), SLICE_LIT("application/grpc"))};
    io_timer_stop(&call->timer);
    grpc_message_free(call);
    call->is_told = false;
    call->is_done = true;
    set_status(call, status, message);
    if (call->is_begun) {
        h2_resume(call);
        return;
    }
    if (call->out.len > 0) {
        h2_submit(call, fields, 2, true);
        return;
    }
    size_t count = 2 + grpc_trailers(call, fields + 2); /* trailers only */
    h2_submit(call, fields, count, false);
}

static void refuse_call(struct io_grpc_call *call, enum io_grpc_status status, const char *message)
{
    if (!call->is_done) {
        call->kind = call->kind == CALL_NEW ? CALL_REFUSED : call->kind;
        end_call(call, status, message);
    }
}

static int put_message(struct io_grpc_call *call, struct slice message)
{
    uint8_t prefix[GRPC_PREFIX];
    struct buf b = buf_over(prefix, sizeof(prefix));
    buf_put_u8(&b, 0);
    buf_put_u32_be(&b, (uint32_t)message.len);
    const struct slice pieces[2] = {buf_slice(&b), message};
    return h2_append(call, pieces, 2);
}

void io_grpc_reply(struct io_grpc_call *call, enum io_grpc_status status, const char *message,
                   struct slice response)
{
    BASE_ASSERT(call->magic == CALL_MAGIC && call->is_told && call->kind == CALL_UNARY);
    if (status == IO_GRPC_OK && put_message(call, response) != 0) {
        status = IO_GRPC_RESOURCE_EXHAUSTED;
        message = "quorate: too many answers wait for this client";
    }
    end_call(call, status, message);
}

int io_grpc_send(struct io_grpc_call *call, struct slice message)
{
    BASE_ASSERT(call->magic == CALL_MAGIC && call->is_told && call->kind == CALL_STREAM);
    size_t queued = io_grpc_queued(call);
    if (queued > 0 && queued + message.len > IO_STREAM_QUEUE) {
        call->was_over_half = true;
        return BASE_E_BUSY;
    }
    if (put_message(call, message) != 0) {
        return BASE_E_BUSY;
    }
    h2_resume(call);
    return 0;
}

size_t io_grpc_queued(const struct io_grpc_call *call)
{
    return call->out.len - call->out_at;
}

void io_grpc_finish(struct io_grpc_call *call, enum io_grpc_status status, const char *message)
{
    BASE_ASSERT(call->magic == CALL_MAGIC && call->is_told && call->kind == CALL_STREAM);
    end_call(call, status, message);
}

/* --- what handlers ask --- */

struct slice io_grpc_path(const struct io_grpc_call *call)
{
    return header(call, ":path");
}

struct slice io_grpc_metadata(const struct io_grpc_call *call, const char *name)
{
    return header(call, name);
}

const struct io_identity *io_grpc_identity(const struct io_grpc_call *call)
{
    return io_stream_identity(call->h2->conn->stream);
}

struct base_mono io_grpc_deadline(const struct io_grpc_call *call)
{
    return call->deadline;
}

void io_grpc_set_user(struct io_grpc_call *call, void *user)
{
    call->user = user;
}

void *io_grpc_user(const struct io_grpc_call *call)
{
    return call->user;
}

uint64_t io_grpc_call_id(const struct io_grpc_call *call)
{
    return call->id;
}

struct io_grpc_call *io_grpc_find(struct io_server *server, uint64_t call_id)
{
    struct io_grpc_call *call = server->buckets[call_id % SERVER_CALL_BUCKETS];
    while (call != NULL && call->id != call_id) {
        call = call->bucket_next;
    }
    return call != NULL && call->is_told ? call : NULL;
}

/* --- requests --- */

/* TimeoutValue TimeoutUnit: 1 to 8 digits and one of H M S m u n. False: malformed. */
static bool parse_timeout(struct slice text, int64_t *ret_us)
{
    static const struct {
        char unit;
        int64_t ns;
    } units[] = {{'H', INT64_C(3600000000000)},
                 {'M', INT64_C(60000000000)},
                 {'S', INT64_C(1000000000)},
                 {'m', 1000000},
                 {'u', 1000},
                 {'n', 1}};
    uint64_t number = 0;
    if (text.len < 2 || text.len > 9 ||
        slice_to_u64(slice_from(text.data, text.len - 1), &number) != 0) {
        return false;
    }
    for (size_t i = 0; i < BASE_COUNT_OF(units); i++) {
        if (units[i].unit == (char)text.data[text.len - 1]) {
            int64_t us_per_unit = units[i].ns / 1000;
            *ret_us = us_per_unit > 0 ? (int64_t)number * us_per_unit : (int64_t)(number / 1000);
            return true;
        }
    }
    return false;
}

static void deadline_passed(void *ctx)
{
    struct io_grpc_call *call = ctx;
    const struct io_grpc_handler *handler = handler_of(call);
    if (call->is_told) {
        call->is_told = false;
        handler->canceled(handler->ctx, call, IO_GRPC_DEADLINE_EXCEEDED);
    }
    refuse_call(call, IO_GRPC_DEADLINE_EXCEEDED, "context deadline exceeded");
}

/* False: refused already. */
static bool take_timeout(struct io_grpc_call *call)
{
    struct slice text = header(call, "grpc-timeout");
    int64_t us = 0;
    if (text.len == 0) {
        return true;
    }
    if (!parse_timeout(text, &us)) {
        refuse_call(call, IO_GRPC_INTERNAL, "malformed grpc-timeout");
        return false;
    }
    call->deadline = base_mono_add_us(io_now(), us);
    io_timer_init(&call->timer, call->h2->conn->server->loop, deadline_passed, call);
    io_timer_start(&call->timer, call->deadline);
    return true;
}

static bool is_grpc(const struct io_grpc_call *call)
{
    struct slice type = header(call, "content-type");
    struct slice wanted = SLICE_LIT("application/grpc");
    if (!slice_equal(header(call, ":method"), SLICE_LIT("POST")) ||
        !slice_has_prefix(type, wanted)) {
        return false;
    }
    return type.len == wanted.len || type.data[wanted.len] == '+' || type.data[wanted.len] == ';';
}

/* Not gRPC and nobody for plain HTTP: 405 or 415. */
static void refuse_http(struct io_grpc_call *call)
{
    bool is_post = slice_equal(header(call, ":method"), SLICE_LIT("POST"));
    const nghttp2_nv fields[] = {
        h2_field(SLICE_LIT(":status"), is_post ? SLICE_LIT("415") : SLICE_LIT("405"))};
    call->kind = CALL_REFUSED;
    call->is_done = true;
    h2_submit(call, fields, BASE_COUNT_OF(fields), false);
}

static void open_stream(struct io_grpc_call *call)
{
    const struct io_grpc_handler *handler = handler_of(call);
    const nghttp2_nv fields[] = {
        h2_field(SLICE_LIT(":status"), SLICE_LIT("200")),
        h2_field(SLICE_LIT("content-type"), SLICE_LIT("application/grpc"))};
    call->kind = CALL_STREAM;
    call->is_told = true;
    h2_submit(call, fields, BASE_COUNT_OF(fields), true);
    handler->opened(handler->ctx, call);
}

/* In the words of Go's server, which etcd's clients know. */
static void refuse_path(struct io_grpc_call *call)
{
    const struct io_grpc_handler *handler = handler_of(call);
    struct slice path = slice_skip(io_grpc_path(call), 1);
    struct io_why why;
    size_t len = path.len < 200 ? path.len : 200;
    size_t slash = len;
    while (slash > 0 && path.data[slash - 1] != '/') {
        slash--;
    }
    struct slice service = slice_from(path.data, slash > 0 ? slash - 1 : 0);
    if (slash == 0) {
        io_why_set(&why, "malformed method name: \"/%.*s\"", (int)len, (const char *)path.data);
        refuse_call(call, IO_GRPC_RESOURCE_EXHAUSTED, why.text);
        return;
    }
    if (handler->has_service != NULL && handler->has_service(handler->ctx, service)) {
        io_why_set(&why, "unknown method %.*s for service %.*s", (int)(len - slash),
                   (const char *)path.data + slash, (int)service.len, (const char *)service.data);
    } else {
        io_why_set(&why, "unknown service %.*s", (int)service.len, (const char *)service.data);
    }
    refuse_call(call, IO_GRPC_UNIMPLEMENTED, why.text);
}

static void open_grpc(struct io_grpc_call *call)
{
    const struct io_server *server = call->h2->conn->server;
    enum io_grpc_kind kind = IO_GRPC_NONE;
    if (server->is_stopping) {
        refuse_call(call, IO_GRPC_UNAVAILABLE, "server stopped");
        return;
    }
    if (server->has_grpc) {
        kind = server->grpc.lookup(server->grpc.ctx, io_grpc_path(call));
    }
    if (kind == IO_GRPC_NONE) {
        refuse_path(call);
        return;
    }
    if (!take_timeout(call)) {
        return;
    }
    if (kind == IO_GRPC_STREAM) {
        open_stream(call);
        return;
    }
    call->kind = CALL_UNARY; /* the handler is told when its message is complete */
}

void grpc_headers_done(struct io_grpc_call *call)
{
    struct slice path = io_grpc_path(call);
    if (call->is_malformed || path.len == 0 || path.data[0] != '/' ||
        header(call, ":method").len == 0) {
        call->is_done = true;
        h2_reset(call, NGHTTP2_PROTOCOL_ERROR);
    } else if (call->is_headers_too_big) {
        refuse_call(call, IO_GRPC_RESOURCE_EXHAUSTED, "headers are too large");
    } else if (is_grpc(call)) {
        open_grpc(call);
    } else if (call->h2->conn->server->has_http) {
        call->kind = CALL_HTTP; /* answered when its body is complete */
    } else {
        refuse_http(call);
    }
}

static void count_partial(const struct io_grpc_call *call, size_t gone)
{
    call->h2->partial_bytes -= gone;
    call->h2->conn->server->partial_bytes -= gone;
}

void grpc_message_free(struct io_grpc_call *call)
{
    count_partial(call, call->message.len);
    io_bytes_free(&call->message);
}

/* Adds to the message; false: no room, the call was refused. */
static bool keep(struct io_grpc_call *call, struct slice bytes)
{
    struct io_server *server = call->h2->conn->server;
    if (server->partial_bytes + bytes.len > IO_SERVER_PARTIAL ||
        call->h2->partial_bytes + bytes.len > IO_CONNECTION_PARTIAL ||
        io_bytes_append(&call->message, bytes) != 0) {
        refuse_call(call, IO_GRPC_RESOURCE_EXHAUSTED, "too many requests under way");
        return false;
    }
    server->partial_bytes += bytes.len;
    call->h2->partial_bytes += bytes.len;
    return true;
}

static uint32_t message_length(const struct io_grpc_call *call)
{
    return (uint32_t)call->prefix[1] << 24 | (uint32_t)call->prefix[2] << 16 |
           (uint32_t)call->prefix[3] << 8 | (uint32_t)call->prefix[4];
}

/* The prefix is complete. False: the call was refused. */
static bool check_prefix(struct io_grpc_call *call)
{
    if (call->prefix[0] != 0) {
        struct slice encoding = header(call, "grpc-encoding");
        bool is_named = encoding.len > 0 && !slice_equal(encoding, SLICE_LIT("identity"));
        refuse_call(call, is_named ? IO_GRPC_UNIMPLEMENTED : IO_GRPC_INTERNAL,
                    is_named ? "message compression is not supported; send identity"
                             : "compressed flag without grpc-encoding");
        return false;
    }
    if (message_length(call) > IO_GRPC_MESSAGE_MAX) {
        struct io_why why;
        io_why_set(&why, "grpc: received message larger than max (%u vs. %u)", message_length(call),
                   IO_GRPC_MESSAGE_MAX);
        refuse_call(call, IO_GRPC_RESOURCE_EXHAUSTED, why.text);
        return false;
    }
    if (call->kind == CALL_UNARY && call->messages_count > 0) {
        refuse_call(call, IO_GRPC_INTERNAL, "more than one message in a unary call");
        return false;
    }
    return true;
}

static void message_complete(struct io_grpc_call *call)
{
    const struct io_grpc_handler *handler = handler_of(call);
    call->messages_count++;
    call->prefix_len = 0;
    if (call->kind == CALL_STREAM && call->is_told) {
        struct io_bytes message = call->message; /* the handler may end the call */
        call->message = (struct io_bytes){0};
        count_partial(call, message.len);
        handler->message(handler->ctx, call, slice_from(message.data, message.len));
        io_bytes_free(&message);
    }
}

/* Takes what belongs to the message under way; false: the call has ended. */
static bool take_piece(struct io_grpc_call *call, struct slice *bytes)
{
    if (call->prefix_len < GRPC_PREFIX) {
        call->prefix[call->prefix_len++] = bytes->data[0];
        *bytes = slice_skip(*bytes, 1);
        if (call->prefix_len < GRPC_PREFIX) {
            return true;
        }
        if (!check_prefix(call)) {
            return false;
        }
    }
    size_t wanted = message_length(call) - call->message.len;
    struct slice piece = slice_from(bytes->data, bytes->len < wanted ? bytes->len : wanted);
    if (!keep(call, piece)) {
        return false;
    }
    *bytes = slice_skip(*bytes, piece.len);
    if (call->message.len == message_length(call)) {
        message_complete(call);
    }
    return !call->is_done;
}

void grpc_data(struct io_grpc_call *call, struct slice bytes)
{
    if (call->is_done) {
        return; /* refused or answered already: dropped */
    }
    if (call->kind == CALL_HTTP) {
        if (call->message.len + bytes.len > call->h2->conn->server->options.body_max) {
            call->is_headers_too_big = true; /* told 413 at the end of the request */
            return;
        }
        (void)keep(call, bytes);
        return;
    }
    while (bytes.len > 0 && take_piece(call, &bytes)) {
    }
}

void grpc_remote_closed(struct io_grpc_call *call)
{
    const struct io_grpc_handler *handler = handler_of(call);
    if (call->is_done) {
        return;
    }
    if (call->kind == CALL_HTTP) {
        h2_http_request(call);
    } else if (call->prefix_len > 0) {
        if (call->is_told) {
            call->is_told = false;
            handler->canceled(handler->ctx, call, IO_GRPC_CANCELLED);
        }
        refuse_call(call, IO_GRPC_INTERNAL, "the request ends inside a message");
    } else if (call->kind == CALL_STREAM) {
        handler->half_closed(handler->ctx, call);
    } else if (call->messages_count != 1) {
        refuse_call(call, IO_GRPC_INTERNAL, "a unary call needs exactly one message");
    } else {
        call->is_told = true;
        handler->unary(handler->ctx, call, slice_from(call->message.data, call->message.len));
    }
}

void grpc_gone(struct io_grpc_call *call, enum io_grpc_status status)
{
    const struct io_grpc_handler *handler = handler_of(call);
    call->is_done = true;
    if (call->kind == CALL_HTTP) {
        h2_http_gone(call);
    } else if (call->is_told) {
        call->is_told = false;
        handler->canceled(handler->ctx, call, status);
    }
}

void grpc_stop(struct io_grpc_call *call)
{
    const struct io_grpc_handler *handler = handler_of(call);
    if (call->kind == CALL_STREAM && !call->is_done) {
        if (call->is_told) {
            call->is_told = false;
            handler->canceled(handler->ctx, call, IO_GRPC_UNAVAILABLE);
        }
        refuse_call(call, IO_GRPC_UNAVAILABLE, "server stopped");
    }
}

void grpc_writable(struct io_grpc_call *call)
{
    const struct io_server *server = call->h2->conn->server;
    if (call->kind == CALL_HTTP) {
        if (call->exchange.is_begun && server->http.writable != NULL) {
            server->http.writable(server->http.ctx, &call->exchange);
        }
    } else if (call->is_told && server->grpc.writable != NULL) {
        server->grpc.writable(server->grpc.ctx, call);
    }
}
