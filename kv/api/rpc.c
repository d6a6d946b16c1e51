/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of methods and the calls under way; see rpc.h.
 *
 * A unary call is one block of memory: the call, the service's call, the copied message and what
 * was decoded from it. The block lives until both the client has its answer (or is gone) and the
 * service has answered. Room for decoded lists is guessed small first; only a message that needs
 * more gets more.
 */
#include "kv/api/rpc.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "kv/api/rpc_internal.h"

/* --- methods --- */

int rpc_registry_new(const struct rpc_registry_options *options, struct rpc_registry **ret)
{
    struct rpc_registry *registry = calloc(1, sizeof(*registry));
    if (registry == NULL) {
        return BASE_E_NOMEM;
    }
    registry->options = *options;
    *ret = registry;
    return 0;
}

struct rpc_registry *rpc_registry_free(struct rpc_registry *registry)
{
    for (size_t i = 0; registry != NULL && i < RPC_CALL_BUCKETS; i++) {
        while (registry->calls[i] != NULL) {
            struct rpc_call *call = registry->calls[i];
            registry->calls[i] = call->next;
            free(rpc_block_of(call));
        }
    }
    free(registry);
    return NULL;
}

int rpc_register(struct rpc_registry *registry, const struct rpc_method *methods, size_t count,
                 void *ctx)
{
    if (count > RPC_METHODS_MAX - registry->routes_count) {
        return BASE_E_NOSPACE;
    }
    for (size_t i = 0; i < count; i++) {
        struct rpc_route *route = &registry->routes[registry->routes_count++];
        *route = (struct rpc_route){.method = &methods[i], .ctx = ctx};
        rpc_paths_add(&registry->methods, methods[i].path, route);
        rpc_paths_add(&registry->gateway, methods[i].gateway, route);
        rpc_paths_add(&registry->gateway, methods[i].gateway_2, route);
    }
    return 0;
}

struct rpc_route *rpc_find_method(const struct rpc_registry *registry, struct slice path)
{
    return rpc_paths_find(&registry->methods, path);
}

struct rpc_route *rpc_find_gateway(const struct rpc_registry *registry, struct slice path)
{
    return rpc_paths_find(&registry->gateway, path);
}

const struct rpc_route *rpc_route_at(const struct rpc_registry *registry, size_t index)
{
    return index < registry->routes_count ? &registry->routes[index] : NULL;
}

const char *rpc_status_name(enum io_grpc_status status)
{
    static const char *const names[] = {
        "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
        "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
        "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
        "DataLoss", "Unauthenticated"};
    return (size_t)status < BASE_COUNT_OF(names) ? names[status] : "Unknown";
}

uint32_t rpc_streams(const struct rpc_registry *registry)
{
    return registry->streams_count;
}

/* --- calls --- */

struct rpc_block *rpc_block_new(struct rpc_registry *registry, struct rpc_route *route,
                                const struct rpc_open *open, size_t memory)
{
    struct rpc_block *block = malloc(sizeof(*block) + memory);
    if (block == NULL) {
        return NULL;
    }
    memset(block, 0, sizeof(*block));
    block->call = (struct rpc_call){
        .id = ++registry->last_id,
        .route = route,
        .method = route->method,
        .ctx = route->ctx,
        .registry = registry,
        .transport = open->transport,
        .transport_call = open->transport_call,
        .who = open->who,
        .token = open->token,
        .is_gateway = open->is_gateway,
        .wants_leader = open->wants_leader,
        .deadline =
            base_mono_min(base_mono_add_us(io_now(), KV_TIMEOUT_DEFAULT_US), open->deadline),
    };
    return block;
}

void rpc_block_open(struct rpc_block *block)
{
    struct rpc_registry *registry = block->call.registry;
    struct rpc_call **bucket = &registry->calls[block->call.id % RPC_CALL_BUCKETS];
    block->is_open = true;
    block->call.next = *bucket;
    *bucket = &block->call;
    block->call.route->started++;
    registry->streams_count += block->call.method->kind == RPC_STREAM;
    block->call.transport->bind(&block->call);
}

/* Requests that wait for the walker, in order. */
void rpc_wait(struct rpc_block *block)
{
    struct rpc_block **link = &block->call.registry->waiting;
    while (*link != NULL) {
        link = &(*link)->waiting_next;
    }
    block->is_waiting = true;
    block->waiting_next = NULL;
    *link = block;
    block->call.registry->waiting_count++;
}

void rpc_wait_end(struct rpc_block *block)
{
    struct rpc_block **link = &block->call.registry->waiting;
    while (*link != block) {
        link = &(*link)->waiting_next;
    }
    *link = block->waiting_next;
    block->call.registry->waiting_count--;
    block->call.registry->held_count -= block->is_held;
    block->is_waiting = block->is_held = false;
}

/* The transport is done with the call; frees it unless the service still has it. */
void rpc_block_close(struct rpc_block *block, enum io_grpc_status status)
{
    struct rpc_registry *registry = block->call.registry;
    struct rpc_call **link = &registry->calls[block->call.id % RPC_CALL_BUCKETS];
    BASE_ASSERT(block->is_open);
    if (block->is_waiting) {
        rpc_wait_end(block);
    }
    while (*link != &block->call) {
        link = &(*link)->next;
    }
    *link = block->call.next;
    hold_clear(&block->hold);
    block->is_open = false;
    block->call.route->handled[status]++;
    if (registry->options.ended != NULL) {
        registry->options.ended(registry->options.ctx, &block->call, block->message, status);
    }
    registry->streams_count -= block->call.method->kind == RPC_STREAM;
    block->kv.is_given_up = true; /* a read that nobody waits for is not worth its time */
    if (!block->is_busy) {
        free(block);
    }
}

struct rpc_call *rpc_find(struct rpc_registry *registry, uint64_t id)
{
    struct rpc_call *call = registry->calls[id % RPC_CALL_BUCKETS];
    while (call != NULL && call->id != id) {
        call = call->next;
    }
    return call;
}

/* --- answers --- */

void rpc_reply(struct rpc_call *call, struct slice message)
{
    call->transport->reply(call, IO_GRPC_OK, NULL, message);
    rpc_block_close(rpc_block_of(call), IO_GRPC_OK);
}

void rpc_reply_status(struct rpc_call *call, enum io_grpc_status status, const char *text)
{
    call->transport->reply(call, status, text, SLICE_EMPTY);
    rpc_block_close(rpc_block_of(call), status);
}

void rpc_reply_error(struct rpc_call *call, enum kv_error error)
{
    rpc_reply_status(call, (enum io_grpc_status)kv_error_grpc(error), kv_error_text(error));
}

int rpc_send(struct rpc_call *call, struct slice message)
{
    return call->transport->send(call, message);
}

size_t rpc_queued(const struct rpc_call *call)
{
    return call->transport->queued(call);
}

void rpc_finish_status(struct rpc_call *call, enum io_grpc_status status, const char *text)
{
    call->transport->finish(call, status, text);
    rpc_block_close(rpc_block_of(call), status);
}

void rpc_finish(struct rpc_call *call, enum kv_error error)
{
    rpc_finish_status(call, (enum io_grpc_status)kv_error_grpc(error),
                      error == KV_OK ? NULL : kv_error_text(error));
}

/* --- who may --- */

void rpc_set_walker(struct rpc_registry *registry, rpc_walk_fn *walk, void *ctx)
{
    registry->walk = walk;
    registry->walk_ctx = ctx;
}

void rpc_set_ahead(struct rpc_registry *registry, rpc_ahead_fn *is_ahead)
{
    registry->is_ahead = is_ahead;
}

enum kv_error rpc_allow(struct rpc_call *call, const struct kv_request *request)
{
    const struct rpc_registry *registry = call->registry;
    return registry->walk == NULL ? KV_OK : registry->walk(registry->walk_ctx, call, request);
}

static bool role_may(const struct rpc_registry *registry, const struct rpc_call *call)
{
    enum net_role role = call->who == NULL ? NET_ROLE_NONE : call->who->net.role;
    switch (call->method->access) {
    case RPC_OPEN:
        return true;
    case RPC_READ:
        return registry->options.is_insecure || role == NET_ROLE_ADMIN || role == NET_ROLE_VIEWER;
    case RPC_WRITE:
    case RPC_ADMIN:
        break;
    }
    return registry->options.is_insecure || role == NET_ROLE_ADMIN;
}

bool rpc_has_leader(const struct rpc_registry *registry)
{
    return registry->options.is_healthy == NULL ||
           registry->options.is_healthy(registry->options.ctx);
}

/* What every call must pass, whatever it asks. */
enum kv_error rpc_admit(struct rpc_call *call)
{
    const struct rpc_registry *registry = call->registry;
    if (!role_may(registry, call)) {
        return KV_E_PERMISSION_DENIED;
    }
    if (!call->method->is_for_learner && registry->options.is_learner != NULL &&
        registry->options.is_learner(registry->options.ctx)) {
        return KV_E_LEARNER_UNSUPPORTED;
    }
    if (registry->options.may_begin != NULL &&
        !registry->options.may_begin(registry->options.ctx, call)) {
        return KV_E_TOO_MANY_REQUESTS;
    }
    return call->wants_leader && !rpc_has_leader(registry) ? KV_E_NO_LEADER : KV_OK;
}

struct slice rpc_token(struct slice token, struct slice authorization)
{
    struct slice bearer = SLICE_LIT("Bearer ");
    struct slice given = token.len > 0 ? token : authorization;
    return slice_has_prefix(given, bearer) ? slice_skip(given, bearer.len) : given;
}
