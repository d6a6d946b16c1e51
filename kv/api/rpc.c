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

#include "base/arena.h"
#include "base/assert.h"
#include "proto/wire/kv.h"

#define CALL_BUCKETS 1024u
#define ROUTE_BUCKETS 256u /* of paths; a power of two, well above 3 times RPC_METHODS_MAX / 2 */
#define PARTS_FIRST_BYTES 1024u
#define PARTS_MAX_BYTES (192u * 1024u)
#define AUTH_RETRIES_MAX 8u /* times that a request is decided anew under changed permissions */

struct path_row {
    const char *path;
    struct rpc_route *route;
};

struct paths {
    struct path_row rows[ROUTE_BUCKETS];
};

struct rpc_registry {
    struct rpc_registry_options options;
    struct rpc_route routes[RPC_METHODS_MAX];
    size_t routes_count;
    struct paths methods;
    struct paths gateway;
    rpc_walk_fn *walk;
    void *walk_ctx;
    uint64_t last_id;
    uint32_t streams_count;
    struct block *waiting;
    size_t waiting_count;
    struct base_mono leader_seen;
    struct rpc_call *calls[CALL_BUCKETS];
};

/* A call and, for requests to the service, what the service needs. */
struct block {
    struct rpc_call call;
    bool is_open;    /* the transport waits for an answer */
    bool is_busy;    /* the service has it */
    bool is_waiting; /* for rpc_walk_again */
    unsigned retries;
    struct block *waiting_next;
    struct kv_call kv;
    struct kv_request request;
    size_t parts;
    struct slice message;
    _Alignas(BASE_ARENA_ALIGN) uint8_t memory[];
};

static struct block *block_of(struct rpc_call *call)
{
    return (struct block *)(void *)call; /* its first member */
}

/* --- methods --- */

static size_t path_hash(struct slice path)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < path.len; i++) {
        hash = (hash ^ path.data[i]) * 16777619u;
    }
    return hash % ROUTE_BUCKETS;
}

static struct rpc_route *path_find(const struct paths *paths, struct slice path)
{
    size_t at = path_hash(path);
    while (paths->rows[at].path != NULL) {
        if (slice_equal(path, slice_from_text(paths->rows[at].path))) {
            return paths->rows[at].route;
        }
        at = (at + 1) % ROUTE_BUCKETS;
    }
    return NULL;
}

static void path_add(struct paths *paths, const char *path, struct rpc_route *route)
{
    if (path == NULL) {
        return;
    }
    size_t at = path_hash(slice_from_text(path));
    while (paths->rows[at].path != NULL) {
        BASE_ASSERT(strcmp(paths->rows[at].path, path) != 0);
        at = (at + 1) % ROUTE_BUCKETS;
    }
    paths->rows[at] = (struct path_row){path, route};
}

int rpc_registry_new(const struct rpc_registry_options *options, struct rpc_registry **ret)
{
    _Static_assert(ROUTE_BUCKETS > 2 * RPC_METHODS_MAX, "aliases fit too");
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
    for (size_t i = 0; registry != NULL && i < CALL_BUCKETS; i++) {
        while (registry->calls[i] != NULL) {
            struct rpc_call *call = registry->calls[i];
            registry->calls[i] = call->next;
            free(block_of(call));
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
        path_add(&registry->methods, methods[i].path, route);
        path_add(&registry->gateway, methods[i].gateway, route);
        path_add(&registry->gateway, methods[i].gateway_2, route);
    }
    return 0;
}

struct rpc_route *rpc_find_method(const struct rpc_registry *registry, struct slice path)
{
    return path_find(&registry->methods, path);
}

struct rpc_route *rpc_find_gateway(const struct rpc_registry *registry, struct slice path)
{
    return path_find(&registry->gateway, path);
}

const struct rpc_route *rpc_route_at(const struct rpc_registry *registry, size_t index)
{
    return index < registry->routes_count ? &registry->routes[index] : NULL;
}

uint32_t rpc_streams(const struct rpc_registry *registry)
{
    return registry->streams_count;
}

/* --- calls --- */

static struct block *block_new(struct rpc_registry *registry, struct rpc_route *route,
                               const struct rpc_open *open, size_t memory)
{
    struct block *block = malloc(sizeof(*block) + memory);
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

static void block_open(struct block *block)
{
    struct rpc_registry *registry = block->call.registry;
    struct rpc_call **bucket = &registry->calls[block->call.id % CALL_BUCKETS];
    block->is_open = true;
    block->call.next = *bucket;
    *bucket = &block->call;
    block->call.route->started++;
    registry->streams_count += block->call.method->kind == RPC_STREAM;
    block->call.transport->bind(&block->call);
}

/* Requests that wait for the walker, in order. */
static void wait_for_walker(struct block *block)
{
    struct block **link = &block->call.registry->waiting;
    while (*link != NULL) {
        link = &(*link)->waiting_next;
    }
    block->is_waiting = true;
    block->waiting_next = NULL;
    *link = block;
    block->call.registry->waiting_count++;
}

static void wait_end(struct block *block)
{
    struct block **link = &block->call.registry->waiting;
    while (*link != block) {
        link = &(*link)->waiting_next;
    }
    *link = block->waiting_next;
    block->is_waiting = false;
    block->call.registry->waiting_count--;
}

/* The transport is done with the call; frees it unless the service still has it. */
static void block_close(struct block *block, enum io_grpc_status status)
{
    struct rpc_registry *registry = block->call.registry;
    struct rpc_call **link = &registry->calls[block->call.id % CALL_BUCKETS];
    BASE_ASSERT(block->is_open);
    if (block->is_waiting) {
        wait_end(block);
    }
    while (*link != &block->call) {
        link = &(*link)->next;
    }
    *link = block->call.next;
    block->is_open = false;
    block->call.route->handled[status]++;
    registry->streams_count -= block->call.method->kind == RPC_STREAM;
    block->kv.is_given_up = true; /* a read that nobody waits for is not worth its time */
    if (!block->is_busy) {
        free(block);
    }
}

struct rpc_call *rpc_find(struct rpc_registry *registry, uint64_t id)
{
    struct rpc_call *call = registry->calls[id % CALL_BUCKETS];
    while (call != NULL && call->id != id) {
        call = call->next;
    }
    return call;
}

/* --- answers --- */

void rpc_reply(struct rpc_call *call, struct slice message)
{
    call->transport->reply(call, IO_GRPC_OK, NULL, message);
    block_close(block_of(call), IO_GRPC_OK);
}

void rpc_reply_status(struct rpc_call *call, enum io_grpc_status status, const char *text)
{
    call->transport->reply(call, status, text, SLICE_EMPTY);
    block_close(block_of(call), status);
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
    block_close(block_of(call), status);
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

static bool has_leader(const struct rpc_registry *registry)
{
    return registry->options.is_healthy == NULL ||
           registry->options.is_healthy(registry->options.ctx);
}

/* What every call must pass, whatever it asks. */
static enum kv_error rpc_admit(struct rpc_call *call)
{
    const struct rpc_registry *registry = call->registry;
    if (!role_may(registry, call)) {
        return KV_E_PERMISSION_DENIED;
    }
    if (!call->method->is_for_learner && registry->options.is_learner != NULL &&
        registry->options.is_learner(registry->options.ctx)) {
        return KV_E_LEARNER_UNSUPPORTED;
    }
    return call->wants_leader && !has_leader(registry) ? KV_E_NO_LEADER : KV_OK;
}

/* --- unary calls --- */

/* KV_OK: the service has it, or it waits to be decided anew. */
static enum kv_error submit(struct block *block)
{
    struct rpc_registry *registry = block->call.registry;
    enum kv_error error = rpc_allow(&block->call, &block->request);
    if (error == KV_E_AUTH_OLD_REVISION && block->retries++ < AUTH_RETRIES_MAX) {
        wait_for_walker(block);
        return KV_OK;
    }
    if (error != KV_OK) {
        return error;
    }
    block->kv.asker = block->call.asker;
    error = kv_service_submit(registry->options.service, &block->kv);
    block->is_busy = error == KV_OK;
    return error;
}

static void service_done(struct kv_call *kv, enum kv_error error, struct slice response)
{
    struct block *block = kv->user;
    block->is_busy = false;
    if (!block->is_open) {
        free(block);
        return;
    }
    if (error == KV_E_AUTH_OLD_REVISION && block->retries++ < AUTH_RETRIES_MAX) {
        error = submit(block); /* nothing was done; permissions have changed under way */
        if (error == KV_OK) {
            return;
        }
    }
    if (error == KV_OK) {
        rpc_reply(&block->call, response);
    } else {
        rpc_reply_error(&block->call, error);
    }
}

void rpc_walk_again(struct rpc_registry *registry)
{
    for (size_t left = registry->waiting_count; left > 0 && registry->waiting != NULL; left--) {
        struct block *block = registry->waiting;
        wait_end(block);
        enum kv_error error = submit(block); /* may wait again, at the end */
        if (error != KV_OK) {
            rpc_reply_error(&block->call, error);
        }
    }
}

/* A block with the message in it, decoded for kv_kind methods. */
static struct block *block_decode(struct rpc_registry *registry, struct rpc_route *route,
                                  const struct rpc_open *open, struct slice message, size_t parts,
                                  int *ret_status)
{
    enum kv_kind kind = route->method->unary != NULL ? KV_KIND_NONE : route->method->kv_kind;
    struct block *block = block_new(registry, route, open, message.len + parts + BASE_ARENA_ALIGN);
    if (block == NULL) {
        return NULL;
    }
    uint8_t *copy = block->memory + parts;
    if (message.len > 0) {
        memcpy(copy, message.data, message.len);
    }
    struct base_arena arena = base_arena_over(block->memory, parts);
    block->message = slice_from(copy, message.len);
    *ret_status = 0;
    if (kind != KV_KIND_NONE) {
        *ret_status = kv_wire_decode_request(kind, block->message, &arena, &block->request);
    }
    return block;
}

static enum kv_error run_unary(struct block *block, int status)
{
    const struct rpc_method *method = block->call.method;
    enum kv_error error = rpc_admit(&block->call);
    if (error == KV_OK && status != 0) {
        error = status == BASE_E_TOOBIG ? KV_E_TOO_MANY_OPS : KV_E_MALFORMED;
    }
    if (error != KV_OK) {
        return error;
    }
    if (method->unary != NULL) {
        error = rpc_allow(&block->call, NULL);
        if (error == KV_OK) {
            method->unary(block->call.ctx, &block->call, block->message);
        }
        return error;
    }
    if (method->kv_kind == KV_KIND_RANGE && !block->request.range.is_serializable &&
        block->call.registry->options.is_learner != NULL &&
        block->call.registry->options.is_learner(block->call.registry->options.ctx)) {
        return KV_E_LEARNER_UNSUPPORTED;
    }
    block->kv.request = &block->request;
    block->kv.deadline = block->call.deadline;
    block->kv.user = block;
    block->kv.done = service_done;
    return submit(block);
}

void rpc_unary(struct rpc_registry *registry, struct rpc_route *route, const struct rpc_open *open,
               struct slice message)
{
    int status = 0;
    bool has_lists = route->method->unary == NULL && route->method->kv_kind != KV_KIND_RANGE &&
                     route->method->kv_kind != KV_KIND_PUT;
    size_t parts = has_lists ? PARTS_FIRST_BYTES : 0;
    struct block *block = block_decode(registry, route, open, message, parts, &status);
    if (block != NULL && status == BASE_E_TOOBIG) {
        free(block);
        block = block_decode(registry, route, open, message, PARTS_MAX_BYTES, &status);
    }
    if (block == NULL) {
        struct rpc_call refused = {.transport = open->transport,
                                   .transport_call = open->transport_call};
        open->transport->reply(&refused, IO_GRPC_RESOURCE_EXHAUSTED,
                               kv_error_text(KV_E_TOO_MANY_REQUESTS), SLICE_EMPTY);
        return;
    }
    block_open(block);
    enum kv_error error = run_unary(block, status);
    if (error == KV_E_MALFORMED && status == BASE_E_PROTO) { /* what Go's server answers */
        rpc_reply_status(&block->call, IO_GRPC_INTERNAL,
                         "grpc: error unmarshalling request: malformed message");
    } else if (error != KV_OK) {
        rpc_reply_error(&block->call, error);
    }
}

/* --- streams --- */

void rpc_stream(struct rpc_registry *registry, struct rpc_route *route, const struct rpc_open *open)
{
    struct block *block = block_new(registry, route, open, 0);
    if (block == NULL) {
        struct rpc_call refused = {.transport = open->transport,
                                   .transport_call = open->transport_call};
        open->transport->finish(&refused, IO_GRPC_RESOURCE_EXHAUSTED,
                                kv_error_text(KV_E_TOO_MANY_REQUESTS));
        return;
    }
    block->call.deadline = open->deadline; /* streams live as long as the client wants */
    block_open(block);
    enum kv_error error = rpc_admit(&block->call);
    if (error != KV_OK) {
        rpc_finish(&block->call, error);
    } else if (route->method->opened != NULL) {
        route->method->opened(route->ctx, &block->call);
    }
}

void rpc_message(struct rpc_call *call, struct slice message)
{
    if (call->method->message != NULL) {
        call->method->message(call->ctx, call, message);
    }
}

void rpc_half_closed(struct rpc_call *call)
{
    if (call->method->half_closed != NULL) {
        call->method->half_closed(call->ctx, call);
    }
}

void rpc_writable(struct rpc_call *call)
{
    if (call->method->writable != NULL) {
        call->method->writable(call->ctx, call);
    }
}

void rpc_gone(struct rpc_call *call, enum io_grpc_status status)
{
    if (call->method->canceled != NULL) {
        call->method->canceled(call->ctx, call);
    }
    block_close(block_of(call), status);
}

static void end_without_leader(struct rpc_call *call)
{
    if (call->method->canceled != NULL) {
        call->method->canceled(call->ctx, call);
    }
    rpc_finish(call, KV_E_NO_LEADER);
}

void rpc_tick(struct rpc_registry *registry, struct base_mono now)
{
    if (has_leader(registry)) {
        registry->leader_seen = now;
        return;
    }
    if (registry->streams_count == 0 ||
        base_mono_add_us(registry->leader_seen, KV_NO_LEADER_AFTER_US).us > now.us) {
        return;
    }
    for (size_t i = 0; i < CALL_BUCKETS; i++) {
        for (struct rpc_call *call = registry->calls[i]; call != NULL;) {
            struct rpc_call *next = call->next;
            if (call->wants_leader && call->method->kind == RPC_STREAM) {
                end_without_leader(call);
            }
            call = next;
        }
    }
}

struct slice rpc_token(struct slice token, struct slice authorization)
{
    struct slice bearer = SLICE_LIT("Bearer ");
    struct slice given = token.len > 0 ? token : authorization;
    return slice_has_prefix(given, bearer) ? slice_skip(given, bearer.len) : given;
}
