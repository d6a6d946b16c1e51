/* SPDX-License-Identifier: Apache-2.0 */
/* How calls run; see rpc.h. A call whose token is newer than what this node has applied is held
 * before anything of it begins; a request that meets permissions which are being read again waits
 * and is decided anew. Both wait in one list, which rpc_walk_again goes through.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "kv/api/rpc_internal.h"
#include "proto/wire/kv.h"

#define HELD_MAX 1024u /* calls that wait for a token to be known */
#define PARTS_FIRST_BYTES 1024u
#define PARTS_MAX_BYTES (192u * 1024u)
#define AUTH_RETRIES_MAX 8u /* times that a request is decided anew under changed permissions */

/* A token that is newer than what this node has applied: the call begins when it is known here, as
 * if it had come then. KV_OK: it waits, or need not (block->is_held). */
static enum kv_error hold_for_token(struct rpc_block *block)
{
    struct rpc_registry *registry = block->call.registry;
    if (block->call.token.len == 0 || registry->is_ahead == NULL ||
        !registry->is_ahead(registry->walk_ctx, &block->call)) {
        return KV_OK;
    }
    if (registry->held_count >= HELD_MAX) {
        return KV_E_TOO_MANY_REQUESTS;
    }
    registry->held_count++;
    rpc_wait(block);
    block->is_held = true;
    return KV_OK;
}

/* --- unary calls --- */

/* KV_OK: the service has it, or it waits to be decided anew. */
static enum kv_error submit(struct rpc_block *block)
{
    struct rpc_registry *registry = block->call.registry;
    enum kv_error error = rpc_allow(&block->call, &block->request);
    if (error == KV_E_AUTH_OLD_REVISION && block->retries++ < AUTH_RETRIES_MAX) {
        rpc_wait(block);
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
    struct rpc_block *block = kv->user;
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

/* A block with the message in it, decoded for kv_kind methods. */
static struct rpc_block *block_decode(struct rpc_registry *registry, struct rpc_route *route,
                                      const struct rpc_open *open, struct slice message,
                                      size_t parts, int *ret_status)
{
    enum kv_kind kind = route->method->unary != NULL ? KV_KIND_NONE : route->method->kv_kind;
    struct rpc_block *block =
        rpc_block_new(registry, route, open, message.len + parts + BASE_ARENA_ALIGN);
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

static enum kv_error run_unary(struct rpc_block *block)
{
    const struct rpc_method *method = block->call.method;
    int status = block->decode_status;
    enum kv_error error = rpc_admit(&block->call);
    error = error == KV_OK ? hold_for_token(block) : error;
    if (error == KV_OK && block->is_held) {
        return KV_OK;
    }
    if (error == KV_OK && status != 0) {
        error = status == BASE_E_TOOBIG ? KV_E_TOO_MANY_OPS : KV_E_MALFORMED;
    }
    if (error != KV_OK) {
        return error;
    }
    if (method->unary != NULL) {
        error = method->is_by_role ? KV_OK : rpc_allow(&block->call, NULL);
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

static void unary_begin(struct rpc_block *block)
{
    int status = block->decode_status;
    enum kv_error error = run_unary(block);
    if (error == KV_E_MALFORMED && status == BASE_E_PROTO) { /* what Go's server answers */
        rpc_reply_status(&block->call, IO_GRPC_INTERNAL,
                         "grpc: error unmarshalling request: malformed message");
    } else if (error != KV_OK) {
        rpc_reply_error(&block->call, error);
    }
}

void rpc_unary(struct rpc_registry *registry, struct rpc_route *route, const struct rpc_open *open,
               struct slice message)
{
    int status = 0;
    bool has_lists = route->method->unary == NULL && route->method->kv_kind != KV_KIND_RANGE &&
                     route->method->kv_kind != KV_KIND_PUT;
    size_t parts = has_lists ? PARTS_FIRST_BYTES : 0;
    struct rpc_block *block = block_decode(registry, route, open, message, parts, &status);
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
    rpc_block_open(block);
    block->decode_status = status;
    block->held_until = block->call.deadline;
    unary_begin(block);
}

/* --- streams --- */

/* Also what came while it waited. Anything may end it. */
static void stream_begin(struct rpc_block *block)
{
    struct rpc_call *call = &block->call;
    struct rpc_registry *registry = call->registry;
    struct hold_message *message = NULL;
    uint64_t id = call->id;
    enum kv_error error = rpc_admit(call);
    error = error == KV_OK ? hold_for_token(block) : error;
    if (error != KV_OK) {
        rpc_finish(call, error);
        return;
    }
    if (block->is_held) {
        return;
    }
    if (call->method->opened != NULL) {
        call->method->opened(call->ctx, call);
    }
    while (rpc_find(registry, id) != NULL && (message = hold_take(&block->hold)) != NULL) {
        rpc_message(call, slice_from(message->bytes, message->len));
        free(message);
    }
    if (rpc_find(registry, id) != NULL && block->hold.is_half_closed) {
        rpc_half_closed(call);
    }
}

void rpc_stream(struct rpc_registry *registry, struct rpc_route *route, const struct rpc_open *open)
{
    struct rpc_block *block = rpc_block_new(registry, route, open, 0);
    if (block == NULL) {
        struct rpc_call refused = {.transport = open->transport,
                                   .transport_call = open->transport_call};
        open->transport->finish(&refused, IO_GRPC_RESOURCE_EXHAUSTED,
                                kv_error_text(KV_E_TOO_MANY_REQUESTS));
        return;
    }
    block->held_until = block->call.deadline;
    block->call.deadline = open->deadline; /* streams live as long as the client wants */
    rpc_block_open(block);
    stream_begin(block);
}

void rpc_walk_again(struct rpc_registry *registry)
{
    for (size_t left = registry->waiting_count; left > 0 && registry->waiting != NULL; left--) {
        struct rpc_block *block = registry->waiting;
        bool was_held = block->is_held;
        rpc_wait_end(block); /* it may wait again, at the end */
        if (was_held && block->call.method->kind == RPC_STREAM) {
            stream_begin(block);
        } else if (was_held) {
            unary_begin(block);
        } else {
            enum kv_error error = submit(block);
            if (error != KV_OK) {
                rpc_reply_error(&block->call, error);
            }
        }
    }
}

void rpc_message(struct rpc_call *call, struct slice message)
{
    struct rpc_block *block = rpc_block_of(call);
    if (block->is_held) {
        if (hold_add(&block->hold, message) != 0) {
            rpc_finish(call, KV_E_TOO_MANY_REQUESTS);
        }
    } else if (call->method->message != NULL) {
        call->method->message(call->ctx, call, message);
    }
}

void rpc_half_closed(struct rpc_call *call)
{
    if (rpc_block_of(call)->is_held) {
        rpc_block_of(call)->hold.is_half_closed = true;
    } else if (call->method->half_closed != NULL) {
        call->method->half_closed(call->ctx, call);
    }
}

void rpc_writable(struct rpc_call *call)
{
    if (call->method->writable != NULL && !rpc_block_of(call)->is_held) {
        call->method->writable(call->ctx, call);
    }
}

/* A handler that has not begun knows nothing of the call. */
static void tell_canceled(struct rpc_call *call)
{
    if (call->method->canceled != NULL && !rpc_block_of(call)->is_held) {
        call->method->canceled(call->ctx, call);
    }
}

void rpc_gone(struct rpc_call *call, enum io_grpc_status status)
{
    tell_canceled(call);
    rpc_block_close(rpc_block_of(call), status);
}

static void end_without_leader(struct rpc_call *call)
{
    tell_canceled(call);
    rpc_finish(call, KV_E_NO_LEADER);
}

static void held_expire(struct rpc_registry *registry, struct base_mono now)
{
    for (struct rpc_block *block = registry->waiting; block != NULL;) {
        struct rpc_block *next = block->waiting_next;
        if (block->is_held && !base_mono_before(now, block->held_until)) {
            if (block->call.method->kind == RPC_STREAM) {
                rpc_finish(&block->call, KV_E_TIMEOUT);
            } else {
                rpc_reply_error(&block->call, KV_E_TIMEOUT);
            }
        }
        block = next;
    }
}

void rpc_tick(struct rpc_registry *registry, struct base_mono now)
{
    held_expire(registry, now);
    if (rpc_has_leader(registry)) {
        registry->leader_seen = now;
        return;
    }
    if (registry->streams_count == 0 ||
        base_mono_add_us(registry->leader_seen, KV_NO_LEADER_AFTER_US).us > now.us) {
        return;
    }
    for (size_t i = 0; i < RPC_CALL_BUCKETS; i++) {
        for (struct rpc_call *call = registry->calls[i]; call != NULL;) {
            struct rpc_call *next = call->next;
            if (call->wants_leader && call->method->kind == RPC_STREAM) {
                end_without_leader(call);
            }
            call = next;
        }
    }
}
