/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC methods of the etcd v3 API; see etcd_grpc.h. One allocation per call holds the copied
 * message, what was decoded from it and the service's call, and lives until the service has
 * answered, whether or not the client is still there. */
#include "kv/api/etcd_grpc.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "proto/wire/kv.h"

#define PARTS_SMALL_BYTES 4096u
#define PARTS_TXN_BYTES (192u * 1024u)

struct kv_api {
    struct kv_api_options options;
    struct io_server *server;
};

struct api_method {
    const char *path;
    enum kv_kind kind;
    bool is_read;
};

static const struct api_method methods[] = {
    {"/etcdserverpb.KV/Range", KV_KIND_RANGE, true},
    {"/etcdserverpb.KV/Put", KV_KIND_PUT, false},
    {"/etcdserverpb.KV/DeleteRange", KV_KIND_DELETE, false},
    {"/etcdserverpb.KV/Txn", KV_KIND_TXN, false},
    {"/etcdserverpb.Maintenance/Status", KV_KIND_STATUS, true},
    {"/etcdserverpb.Cluster/MemberList", KV_KIND_MEMBER_LIST, true},
};
static const char health_path[] = "/grpc.health.v1.Health/Check";

struct api_call {
    struct kv_call call;
    struct kv_request request;
    struct kv_api *api;
    uint64_t id; /* of the gRPC call */
    _Alignas(BASE_ARENA_ALIGN) uint8_t memory[];
};

static const struct api_method *find_method(struct slice path)
{
    for (size_t i = 0; i < BASE_COUNT_OF(methods); i++) {
        if (slice_equal(path, slice_from_text(methods[i].path))) {
            return &methods[i];
        }
    }
    return NULL;
}

static bool is_health(struct slice path)
{
    return slice_equal(path, slice_from_text(health_path));
}

static enum io_grpc_kind lookup(void *ctx, struct slice path)
{
    const struct kv_api *api = ctx;
    if (find_method(path) != NULL || is_health(path)) {
        return IO_GRPC_UNARY;
    }
    const struct io_grpc_handler *next = &api->options.next;
    return next->lookup == NULL ? IO_GRPC_NONE : next->lookup(next->ctx, path);
}

static void reply_error(struct io_grpc_call *call, enum kv_error error)
{
    io_grpc_reply(call, (enum io_grpc_status)kv_error_grpc(error), kv_error_text(error),
                  SLICE_EMPTY);
}

static bool may_call(const struct kv_api *api, const struct io_identity *who, bool is_read)
{
    return api->options.is_insecure || who->net.role == NET_ROLE_ADMIN ||
           (is_read && who->net.role == NET_ROLE_VIEWER);
}

static void service_done(struct kv_call *call, enum kv_error error, struct slice response)
{
    struct api_call *own = call->user;
    struct io_grpc_call *grpc =
        own->api->server == NULL ? NULL : io_grpc_find(own->api->server, own->id);
    if (grpc != NULL && error == KV_OK) {
        io_grpc_reply(grpc, IO_GRPC_OK, NULL, response);
    } else if (grpc != NULL) {
        reply_error(grpc, error);
    }
    free(own);
}

static struct base_mono deadline_of(const struct io_grpc_call *call)
{
    struct base_mono ours = base_mono_add_us(io_now(), KV_TIMEOUT_DEFAULT_US);
    return base_mono_min(ours, io_grpc_deadline(call));
}

static enum kv_error start_call(struct api_call *own, const struct api_method *method,
                                struct slice message, size_t parts)
{
    uint8_t *copy = own->memory + parts;
    if (message.len > 0) {
        memcpy(copy, message.data, message.len);
    }
    struct base_arena arena = base_arena_over(own->memory, parts);
    int rc =
        kv_wire_decode_request(method->kind, slice_from(copy, message.len), &arena, &own->request);
    if (rc != 0) {
        return rc == BASE_E_TOOBIG ? KV_E_TOO_MANY_OPS : KV_E_MALFORMED;
    }
    own->call.request = &own->request;
    own->call.user = own;
    own->call.done = service_done;
    return kv_service_submit(own->api->options.service, &own->call);
}

static void call_method(struct kv_api *api, struct io_grpc_call *call,
                        const struct api_method *method, struct slice message)
{
    size_t parts = method->kind == KV_KIND_TXN ? PARTS_TXN_BYTES : PARTS_SMALL_BYTES;
    struct api_call *own = calloc(1, sizeof(*own) + parts + message.len);
    if (own == NULL) {
        reply_error(call, KV_E_TOO_MANY_REQUESTS);
        return;
    }
    own->api = api;
    own->id = io_grpc_call_id(call);
    own->call.deadline = deadline_of(call);
    enum kv_error error = start_call(own, method, message, parts);
    if (error != KV_OK) {
        free(own);
        reply_error(call, error);
    }
}

static void check_health(const struct kv_api *api, struct io_grpc_call *call, struct slice message)
{
    struct kv_health_request request;
    uint8_t memory[16];
    struct buf out = buf_over(memory, sizeof(memory));
    if (kv_wire_decode_health_request(message, &request) != 0) {
        reply_error(call, KV_E_MALFORMED);
        return;
    }
    if (request.service.len != 0) {
        io_grpc_reply(call, IO_GRPC_NOT_FOUND, "unknown service", SLICE_EMPTY);
        return;
    }
    bool is_healthy = api->options.is_healthy == NULL || api->options.is_healthy(api->options.ctx);
    const struct kv_health_response response = {.status = is_healthy ? KV_HEALTH_SERVING
                                                                     : KV_HEALTH_NOT_SERVING};
    if (kv_wire_encode_health_response(&response, &out) != 0) {
        io_grpc_reply(call, IO_GRPC_INTERNAL, "answer does not fit", SLICE_EMPTY);
        return;
    }
    io_grpc_reply(call, IO_GRPC_OK, NULL, buf_slice(&out));
}

static void unary(void *ctx, struct io_grpc_call *call, struct slice message)
{
    struct kv_api *api = ctx;
    struct slice path = io_grpc_path(call);
    const struct api_method *method = find_method(path);
    if (method != NULL && !may_call(api, io_grpc_identity(call), method->is_read)) {
        reply_error(call, KV_E_PERMISSION_DENIED);
    } else if (method != NULL) {
        call_method(api, call, method, message);
    } else if (is_health(path)) {
        check_health(api, call, message);
    } else {
        api->options.next.unary(api->options.next.ctx, call, message);
    }
}

static void canceled(void *ctx, struct io_grpc_call *call, enum io_grpc_status status)
{
    const struct kv_api *api = ctx;
    const struct io_grpc_handler *next = &api->options.next;
    if (next->canceled != NULL && find_method(io_grpc_path(call)) == NULL) {
        next->canceled(next->ctx, call, status);
    }
}

int kv_api_new(const struct kv_api_options *options, struct kv_api **ret)
{
    struct kv_api *api = calloc(1, sizeof(*api));
    if (api == NULL) {
        return BASE_E_NOMEM;
    }
    api->options = *options;
    *ret = api;
    return 0;
}

struct io_grpc_handler kv_api_handler(struct kv_api *api)
{
    return (struct io_grpc_handler){
        .ctx = api, .lookup = lookup, .unary = unary, .canceled = canceled};
}

void kv_api_set_server(struct kv_api *api, struct io_server *server)
{
    api->server = server;
}

struct kv_api *kv_api_free(struct kv_api *api)
{
    free(api);
    return NULL;
}
