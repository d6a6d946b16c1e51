/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC as a transport of rpc.h. The user pointer of a gRPC call is its rpc_call; calls of the next
 * handler are recognised by their path and keep their own. */
#include "kv/api/rpc_grpc.h"

/* --- answers --- */

static void bind_call(struct rpc_call *call)
{
    io_grpc_set_user(call->transport_call, call);
}

static void reply(struct rpc_call *call, enum io_grpc_status status, const char *text,
                  struct slice message)
{
    io_grpc_reply(call->transport_call, status, text, message);
}

static int send_message(struct rpc_call *call, struct slice message)
{
    return io_grpc_send(call->transport_call, message);
}

static size_t queued(const struct rpc_call *call)
{
    return io_grpc_queued(call->transport_call);
}

static void finish(struct rpc_call *call, enum io_grpc_status status, const char *text)
{
    io_grpc_finish(call->transport_call, status, text);
}

static const struct rpc_transport transport = {reply, send_message, queued, finish, bind_call};

/* --- what comes --- */

static struct rpc_route *route_of(const struct rpc_grpc *grpc, const struct io_grpc_call *call)
{
    return rpc_find_method(grpc->registry, io_grpc_path(call));
}

static struct rpc_open open_of(struct io_grpc_call *call)
{
    return (struct rpc_open){
        .transport = &transport,
        .transport_call = call,
        .who = io_grpc_identity(call),
        .token =
            rpc_token(io_grpc_metadata(call, "token"), io_grpc_metadata(call, "authorization")),
        .wants_leader = slice_equal(io_grpc_metadata(call, "hasleader"), SLICE_LIT("true")),
        .deadline = io_grpc_deadline(call),
    };
}

static enum io_grpc_kind lookup(void *ctx, struct slice path)
{
    const struct rpc_grpc *grpc = ctx;
    const struct rpc_route *route = rpc_find_method(grpc->registry, path);
    if (route != NULL) {
        return route->method->kind == RPC_UNARY ? IO_GRPC_UNARY : IO_GRPC_STREAM;
    }
    return grpc->next.lookup == NULL ? IO_GRPC_NONE : grpc->next.lookup(grpc->next.ctx, path);
}

static bool has_service(void *ctx, struct slice service)
{
    const struct rpc_grpc *grpc = ctx;
    const struct rpc_route *route = NULL;
    for (size_t i = 0; (route = rpc_route_at(grpc->registry, i)) != NULL; i++) {
        struct slice path = slice_skip(slice_from_text(route->method->path), 1);
        if (slice_has_prefix(path, service) && path.len > service.len &&
            path.data[service.len] == '/') {
            return true;
        }
    }
    return false;
}

static void unary(void *ctx, struct io_grpc_call *call, struct slice message)
{
    struct rpc_grpc *grpc = ctx;
    struct rpc_route *route = route_of(grpc, call);
    if (route == NULL) {
        grpc->next.unary(grpc->next.ctx, call, message);
        return;
    }
    const struct rpc_open open = open_of(call);
    rpc_unary(grpc->registry, route, &open, message);
}

static void opened(void *ctx, struct io_grpc_call *call)
{
    struct rpc_grpc *grpc = ctx;
    struct rpc_route *route = route_of(grpc, call);
    if (route == NULL) {
        grpc->next.opened(grpc->next.ctx, call);
        return;
    }
    const struct rpc_open open = open_of(call);
    rpc_stream(grpc->registry, route, &open);
}

static void message(void *ctx, struct io_grpc_call *call, struct slice bytes)
{
    struct rpc_grpc *grpc = ctx;
    if (route_of(grpc, call) != NULL) {
        rpc_message(io_grpc_user(call), bytes);
    } else if (grpc->next.message != NULL) {
        grpc->next.message(grpc->next.ctx, call, bytes);
    }
}

static void half_closed(void *ctx, struct io_grpc_call *call)
{
    struct rpc_grpc *grpc = ctx;
    if (route_of(grpc, call) != NULL) {
        rpc_half_closed(io_grpc_user(call));
    } else if (grpc->next.half_closed != NULL) {
        grpc->next.half_closed(grpc->next.ctx, call);
    }
}

static void writable(void *ctx, struct io_grpc_call *call)
{
    struct rpc_grpc *grpc = ctx;
    if (route_of(grpc, call) != NULL) {
        rpc_writable(io_grpc_user(call));
    } else if (grpc->next.writable != NULL) {
        grpc->next.writable(grpc->next.ctx, call);
    }
}

static void canceled(void *ctx, struct io_grpc_call *call, enum io_grpc_status status)
{
    struct rpc_grpc *grpc = ctx;
    if (route_of(grpc, call) != NULL) {
        rpc_gone(io_grpc_user(call), status);
    } else if (grpc->next.canceled != NULL) {
        grpc->next.canceled(grpc->next.ctx, call, status);
    }
}

struct io_grpc_handler rpc_grpc_handler(struct rpc_grpc *grpc)
{
    return (struct io_grpc_handler){
        .ctx = grpc,
        .lookup = lookup,
        .has_service = has_service,
        .unary = unary,
        .opened = opened,
        .message = message,
        .half_closed = half_closed,
        .writable = writable,
        .canceled = canceled,
    };
}
