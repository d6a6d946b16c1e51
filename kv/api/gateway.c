/* SPDX-License-Identifier: Apache-2.0 */
/* JSON over HTTP as a transport of rpc.h; see gateway.h.
 *
 * A unary call is answered whole. A stream's answer begins with its first message or its end; until
 * then an error is a status code, later it is a line. The body of a stream's request is a sequence
 * of objects; its end is the client's half-close. The user pointer of an exchange is its struct
 * exchange_call; pages of the next handler have none.
 */
#include "kv/api/gateway.h"

#include <stdlib.h>
#include <string.h>

#include "kv/api/json.h"

#include "databases.pb-c.h"
#include "election.pb-c.h"
#include "kv.pb-c.h"
#include "lock.pb-c.h"

#define JSON_TYPE "application/json"

struct exchange_call {
    struct gateway *gateway;
    struct io_http_exchange *exchange;
    struct rpc_call *call;
    const ProtobufCMessageDescriptor *output;
    bool is_stream;
    bool is_begun;
};

/* --- methods --- */

const ProtobufCMethodDescriptor *gateway_method(const char *path)
{
    static const ProtobufCServiceDescriptor *const services[] = {
        &etcdserverpb__kv__descriptor,
        &etcdserverpb__watch__descriptor,
        &etcdserverpb__lease__descriptor,
        &etcdserverpb__cluster__descriptor,
        &etcdserverpb__maintenance__descriptor,
        &etcdserverpb__auth__descriptor,
        &v3lockpb__lock__descriptor,
        &v3electionpb__election__descriptor,
        &quorate__v1__databases__descriptor,
    };
    const char *slash = strrchr(path, '/');
    struct slice service = slice_from(path + 1, (size_t)(slash - path - 1));
    for (size_t i = 0; i < BASE_COUNT_OF(services); i++) {
        if (slice_equal(service, slice_from_text(services[i]->name))) {
            return protobuf_c_service_descriptor_get_method_by_name(services[i], slash + 1);
        }
    }
    return NULL;
}

/* --- answers --- */

/* As etcd 3.4's gateway maps them. */
static int http_status(enum io_grpc_status status)
{
    static const int codes[] = {200, 408, 500, 400, 504, 404, 409, 403, 429,
                                412, 409, 400, 501, 500, 503, 500, 401};
    return (size_t)status < BASE_COUNT_OF(codes) ? codes[status] : 500;
}

static void put(struct io_bytes *out, const char *text)
{
    (void)!io_bytes_append(out, slice_from_text(text));
}

static void put_number(struct io_bytes *out, unsigned number)
{
    uint8_t memory[12];
    struct buf b = buf_over(memory, sizeof(memory));
    buf_put_dec(&b, number);
    (void)!io_bytes_append(out, buf_slice(&b));
}

static void put_text(struct io_bytes *out, const char *text)
{
    (void)!json_write_text(slice_from_text(text), out);
}

static void release(struct exchange_call *call)
{
    io_http_set_user(call->exchange, NULL);
    free(call);
}

static void reply_error(struct io_http_exchange *exchange, enum io_grpc_status status,
                        const char *text)
{
    struct io_bytes out = {0};
    put(&out, "{\"error\":");
    put_text(&out, text);
    put(&out, ",\"message\":");
    put_text(&out, text);
    put(&out, ",\"code\":");
    put_number(&out, status);
    put(&out, "}");
    io_http_reply(exchange, http_status(status), JSON_TYPE, slice_from(out.data, out.len));
    io_bytes_free(&out);
}

/* The last line of a stream that ends with an error. */
static void send_error_line(struct io_http_exchange *exchange, enum io_grpc_status status,
                            const char *text)
{
    struct io_bytes out = {0};
    put(&out, "{\"error\":{\"grpc_code\":");
    put_number(&out, status);
    put(&out, ",\"http_code\":");
    put_number(&out, (unsigned)http_status(status));
    put(&out, ",\"message\":");
    put_text(&out, text);
    put(&out, ",\"http_status\":");
    put_text(&out, io_http_reason(http_status(status)));
    put(&out, "}}");
    (void)!io_http_reply_chunk(exchange, slice_from(out.data, out.len));
    io_bytes_free(&out);
}

static void bind_call(struct rpc_call *call)
{
    struct exchange_call *own = call->transport_call;
    own->call = call;
}

static void reply(struct rpc_call *call, enum io_grpc_status status, const char *text,
                  struct slice message)
{
    struct exchange_call *own = call->transport_call;
    struct io_http_exchange *exchange = own->exchange;
    struct io_bytes out = {0};
    int rc = status == IO_GRPC_OK ? json_write(own->output, message, &out) : 0;
    release(own);
    if (rc != 0) {
        reply_error(exchange, IO_GRPC_RESOURCE_EXHAUSTED, "quorate: out of memory");
    } else if (status == IO_GRPC_OK) {
        io_http_reply(exchange, 200, JSON_TYPE, slice_from(out.data, out.len));
    } else {
        reply_error(exchange, status, text != NULL ? text : "");
    }
    io_bytes_free(&out);
}

static void begin(struct exchange_call *own)
{
    if (!own->is_begun) {
        own->is_begun = true;
        io_http_reply_begin(own->exchange, 200, JSON_TYPE);
    }
}

static int send_message(struct rpc_call *call, struct slice message)
{
    struct exchange_call *own = call->transport_call;
    struct io_bytes out = {0};
    put(&out, "{\"result\":");
    int rc = json_write(own->output, message, &out);
    put(&out, "}\n");
    if (rc == 0) {
        begin(own);
        rc = io_http_reply_chunk(own->exchange, slice_from(out.data, out.len));
    }
    io_bytes_free(&out);
    return rc;
}

static size_t queued(const struct rpc_call *call)
{
    const struct exchange_call *own = call->transport_call;
    return io_http_queued(own->exchange);
}

static void finish(struct rpc_call *call, enum io_grpc_status status, const char *text)
{
    struct exchange_call *own = call->transport_call;
    struct io_http_exchange *exchange = own->exchange;
    if (status != IO_GRPC_OK && !own->is_begun) {
        release(own);
        reply_error(exchange, status, text != NULL ? text : "");
        return;
    }
    begin(own);
    release(own);
    if (status != IO_GRPC_OK) {
        send_error_line(exchange, status, text != NULL ? text : "");
    }
    io_http_reply_end(exchange);
}

static const struct rpc_transport transport = {reply, send_message, queued, finish, bind_call};

/* --- requests --- */

static struct rpc_open open_of(struct exchange_call *own, const struct io_http_request *request)
{
    return (struct rpc_open){
        .transport = &transport,
        .transport_call = own,
        .who = request->identity,
        .token = rpc_token(SLICE_EMPTY, io_http_header(own->exchange, "authorization")),
        .is_gateway = true,
        .deadline = BASE_MONO_NEVER,
    };
}

static void start_unary(struct exchange_call *own, struct rpc_route *route,
                        const ProtobufCMethodDescriptor *descriptor,
                        const struct io_http_request *request)
{
    struct io_bytes message = {0};
    struct json_error error;
    struct slice body = request->body;
    int rc = json_read(descriptor->input, &body, &message, &error);
    if (rc == 0 || rc == BASE_E_NOTFOUND) { /* an empty body is an empty message */
        const struct rpc_open open = open_of(own, request);
        rpc_unary(own->gateway->registry, route, &open, slice_from(message.data, message.len));
    } else {
        struct io_http_exchange *exchange = own->exchange;
        release(own);
        reply_error(exchange,
                    rc == BASE_E_INVALID ? IO_GRPC_INVALID_ARGUMENT : IO_GRPC_RESOURCE_EXHAUSTED,
                    rc == BASE_E_INVALID ? error.text : "quorate: out of memory");
    }
    io_bytes_free(&message);
}

/* The stream may end, and `own` be gone, with every message. */
static void feed(struct gateway *gateway, uint64_t id, const ProtobufCMessageDescriptor *type,
                 struct slice body, struct io_bytes *first)
{
    struct json_error error;
    int rc = 0;
    while (rc == 0) {
        struct rpc_call *call = rpc_find(gateway->registry, id);
        if (call == NULL) {
            return;
        }
        rpc_message(call, slice_from(first->data, first->len));
        first->len = 0;
        rc = json_read(type, &body, first, &error);
    }
    struct rpc_call *call = rpc_find(gateway->registry, id);
    if (call != NULL) {
        rpc_half_closed(call); /* also behind what cannot be read, as with etcd */
    }
}

static void start_stream(struct exchange_call *own, struct rpc_route *route,
                         const ProtobufCMethodDescriptor *descriptor,
                         const struct io_http_request *request)
{
    struct gateway *gateway = own->gateway;
    struct io_http_exchange *exchange = own->exchange;
    struct io_bytes message = {0};
    struct json_error error;
    struct slice body = request->body;
    int rc = json_read(descriptor->input, &body, &message, &error);
    if (rc == BASE_E_INVALID || rc == BASE_E_NOMEM) {
        release(own);
        reply_error(exchange, IO_GRPC_UNKNOWN,
                    rc == BASE_E_INVALID ? error.text : "quorate: out of memory");
        io_bytes_free(&message);
        return;
    }
    const struct rpc_open open = open_of(own, request);
    rpc_stream(gateway->registry, route, &open);
    if (io_http_user(exchange) == own) { /* else refused */
        uint64_t id = own->call->id;
        if (rc == 0) {
            feed(gateway, id, descriptor->input, body, &message);
        } else {
            rpc_half_closed(own->call);
        }
    }
    io_bytes_free(&message);
}

static void start(struct gateway *gateway, struct io_http_exchange *exchange,
                  const struct io_http_request *request, struct rpc_route *route,
                  const ProtobufCMethodDescriptor *descriptor)
{
    struct exchange_call *own = calloc(1, sizeof(*own));
    if (own == NULL) {
        reply_error(exchange, IO_GRPC_RESOURCE_EXHAUSTED, "quorate: out of memory");
        return;
    }
    own->gateway = gateway;
    own->exchange = exchange;
    own->output = descriptor->output;
    own->is_stream = route->method->kind == RPC_STREAM;
    io_http_set_user(exchange, own);
    if (own->is_stream) {
        start_stream(own, route, descriptor, request);
    } else {
        start_unary(own, route, descriptor, request);
    }
}

/* "/v3beta/x" is "/v3/x"; memory is for the path in question. */
static struct slice plain_path(struct slice path, struct buf *memory)
{
    struct slice beta = SLICE_LIT("/v3beta/");
    if (!slice_has_prefix(path, beta)) {
        return path;
    }
    buf_put_text(memory, "/v3/");
    buf_put(memory, slice_skip(path, beta.len));
    return buf_slice(memory);
}

static void request(void *ctx, struct io_http_exchange *exchange,
                    const struct io_http_request *request)
{
    struct gateway *gateway = ctx;
    uint8_t memory[128];
    struct buf b = buf_over(memory, sizeof(memory));
    struct slice path = plain_path(request->path, &b);
    if (!slice_has_prefix(path, SLICE_LIT("/v3/")) &&
        !slice_has_prefix(path, SLICE_LIT("/quorate/v1/"))) {
        if (gateway->next.request != NULL) {
            gateway->next.request(gateway->next.ctx, exchange, request);
        } else {
            io_http_reply(exchange, 404, "text/plain; charset=utf-8",
                          SLICE_LIT("404 page not found\n"));
        }
        return;
    }
    struct rpc_route *route = rpc_find_gateway(gateway->registry, path);
    const ProtobufCMethodDescriptor *descriptor =
        route == NULL ? NULL : gateway_method(route->method->path);
    if (descriptor == NULL) {
        io_http_reply(exchange, 404, "text/plain; charset=utf-8", SLICE_LIT("Not Found\n"));
    } else if (!slice_equal(request->method, SLICE_LIT("POST"))) {
        io_http_reply(exchange, 405, "text/plain; charset=utf-8",
                      SLICE_LIT("Method Not Allowed\n"));
    } else {
        start(gateway, exchange, request, route, descriptor);
    }
}

static void gone(void *ctx, struct io_http_exchange *exchange)
{
    const struct gateway *gateway = ctx;
    struct exchange_call *own = io_http_user(exchange);
    if (own != NULL) {
        rpc_gone(own->call, IO_GRPC_CANCELLED);
        release(own);
    } else if (gateway->next.gone != NULL) {
        gateway->next.gone(gateway->next.ctx, exchange);
    }
}

static void writable(void *ctx, struct io_http_exchange *exchange)
{
    const struct gateway *gateway = ctx;
    struct exchange_call *own = io_http_user(exchange);
    if (own != NULL) {
        rpc_writable(own->call);
    } else if (gateway->next.writable != NULL) {
        gateway->next.writable(gateway->next.ctx, exchange);
    }
}

struct io_http_handler gateway_handler(struct gateway *gateway)
{
    return (struct io_http_handler){
        .ctx = gateway, .request = request, .gone = gone, .writable = writable};
}
