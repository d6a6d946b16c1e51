/* SPDX-License-Identifier: Apache-2.0 */
/* The method etcdserverpb.Watch/Watch, also /v3/watch of the gateway; see watch.h. A client that
 * closes its side still gets its events: the stream ends with the connection, with an error, or
 * when a client that wants a leader has none (kv/api/rpc.c sees to that). */
#include "kv/api/watch.h"

#include "proto/wire/kv_tables.h"

#define WATCH_FILTERS 4096u /* bytes for filters of one create: there are two to choose from */

static int watch_send(void *ctx, struct slice message)
{
    return rpc_send(ctx, message);
}

static void watch_end(void *ctx, enum kv_error error)
{
    struct rpc_call *call = ctx;
    struct kv_watch_stream *stream = call->user;
    call->user = NULL;
    kv_watch_stream_close(stream);
    rpc_finish(call, error);
}

static void watch_opened(void *ctx, struct rpc_call *call)
{
    struct kv_watch_stream *stream = NULL;
    const struct kv_watch_sink sink = {.ctx = call, .send = watch_send, .end = watch_end};
    if (kv_watch_stream_open(ctx, &sink, &stream) != 0) {
        rpc_finish(call, KV_E_UNHEALTHY); /* the client tries another node */
        return;
    }
    call->user = stream;
}

/* Whether the client may read what it wants to watch. */
static enum kv_error watch_allow(struct rpc_call *call, const struct kv_watch_create *create)
{
    static const uint8_t zero = 0;
    struct kv_request request = {.kind = KV_KIND_RANGE};
    request.range.key = create->key.len > 0 ? create->key : slice_from(&zero, 1);
    request.range.range_end = create->range_end;
    return rpc_allow(call, &request);
}

static void watch_message(void *ctx, struct rpc_call *call, struct slice message)
{
    static _Alignas(BASE_ARENA_ALIGN) uint8_t memory[WATCH_FILTERS]; /* for the list of filters */
    struct kv_watch_request request;
    struct base_arena arena = base_arena_over(memory, sizeof(memory));
    struct kv_watch_stream *stream = call->user;
    (void)ctx;
    if (stream == NULL) {
        return;
    }
    if (wire_pb_decode(&wire_kv_watch_request_table, message, &arena, &request) != 0) {
        watch_end(call, KV_E_MALFORMED);
        return;
    }
    enum kv_error denied = request.which == 1 ? watch_allow(call, &request.create) : KV_OK;
    kv_watch_stream_request(stream, &request, denied);
}

static void watch_writable(void *ctx, struct rpc_call *call)
{
    (void)ctx;
    if (call->user != NULL) {
        kv_watch_writable(call->user);
    }
}

static void watch_canceled(void *ctx, struct rpc_call *call)
{
    struct kv_watch_stream *stream = call->user;
    (void)ctx;
    if (stream != NULL) {
        call->user = NULL;
        kv_watch_stream_close(stream);
    }
}

static const struct rpc_method watch_methods[] = {
    {
        .path = "/etcdserverpb.Watch/Watch",
        .kind = RPC_STREAM,
        .access = RPC_READ,
        .is_for_learner = true,
        .gateway = "/v3/watch",
        .opened = watch_opened,
        .message = watch_message,
        .writable = watch_writable,
        .canceled = watch_canceled,
    },
};

int api_watch_register(struct rpc_registry *registry, struct kv_watch_hub *hub)
{
    return rpc_register(registry, watch_methods, BASE_COUNT_OF(watch_methods), hub);
}
