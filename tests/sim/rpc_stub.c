/* SPDX-License-Identifier: Apache-2.0 */
/* See the header. A call is in the registry's list from its beginning to its answer. */
#include "tests/sim/rpc_stub.h"

#include <string.h>

#include "base/assert.h"
#include "proto/io/loop.h"

static const struct world *world;
static const struct host_clock *clock_of_node;

void stub_clock(const struct world *w, const struct host_clock *clock)
{
    world = w;
    clock_of_node = clock;
}

struct base_mono io_now(void)
{
    bool is_node = world->running != NULL && world->running->clock != NULL;
    return clock_now(is_node ? world->running->clock : clock_of_node);
}

/* --- a loop, which the recipes of a simulated node have none of --- */

int io_wake_new(struct io_loop *loop, io_wake_fn *fire, void *ctx, struct io_wake **ret)
{
    (void)loop;
    (void)fire;
    (void)ctx;
    (void)ret;
    return BASE_E_INVALID;
}

void io_wake_send(struct io_wake *wake)
{
    (void)wake;
}

struct io_wake *io_wake_free(struct io_wake *wake)
{
    (void)wake;
    return NULL;
}

/* --- calls --- */

int rpc_register(struct rpc_registry *registry, const struct rpc_method *methods, size_t count,
                 void *ctx)
{
    for (size_t i = 0; i < count; i++) {
        BASE_ASSERT(registry->methods_count < STUB_METHODS_MAX);
        registry->methods[registry->methods_count].method = &methods[i];
        registry->methods[registry->methods_count++].ctx = ctx;
    }
    return 0;
}

void stub_begin(struct rpc_registry *registry, struct rpc_call *call, uint64_t id, const char *path,
                struct slice message)
{
    for (size_t i = 0; i < registry->methods_count; i++) {
        const struct rpc_method *method = registry->methods[i].method;
        if (strcmp(method->path, path) == 0) {
            *call = (struct rpc_call){.id = id,
                                      .method = method,
                                      .ctx = registry->methods[i].ctx,
                                      .registry = registry,
                                      .asker.auth_revision = KV_ASKER_INTERNAL,
                                      .next = registry->calls};
            registry->calls = call;
            method->unary(call->ctx, call, message);
            return;
        }
    }
    BASE_ASSERT(false); /* nobody has registered it */
}

static void take_out(struct rpc_call *call)
{
    struct rpc_call **link = &call->registry->calls;
    while (*link != call) {
        BASE_ASSERT(*link != NULL);
        link = &(*link)->next;
    }
    *link = call->next;
}

void stub_cancel(struct rpc_call *call)
{
    take_out(call);
    call->method->canceled(call->ctx, call);
}

static void answer(struct rpc_call *call, bool is_ok, struct slice message)
{
    take_out(call);
    call->registry->answered(call->registry->user, call, is_ok, message);
}

struct rpc_call *rpc_find(struct rpc_registry *registry, uint64_t id)
{
    struct rpc_call *call = registry->calls;
    while (call != NULL && call->id != id) {
        call = call->next;
    }
    return call;
}

void rpc_reply(struct rpc_call *call, struct slice message)
{
    answer(call, true, message);
}

void rpc_reply_error(struct rpc_call *call, enum kv_error error)
{
    answer(call, false, slice_from_text(kv_error_text(error)));
}

void rpc_reply_status(struct rpc_call *call, enum io_grpc_status status, const char *text)
{
    (void)status;
    answer(call, false, slice_from_text(text));
}

/* Nobody observes here. */
int rpc_send(struct rpc_call *call, struct slice message)
{
    (void)call;
    (void)message;
    return BASE_E_CLOSED;
}

void rpc_finish(struct rpc_call *call, enum kv_error error)
{
    rpc_reply_error(call, error);
}

void rpc_finish_status(struct rpc_call *call, enum io_grpc_status status, const char *text)
{
    rpc_reply_status(call, status, text);
}

/* Users and roles are people.c's. */
enum kv_error rpc_allow(struct rpc_call *call, const struct kv_request *request)
{
    (void)call;
    (void)request;
    return KV_OK;
}
