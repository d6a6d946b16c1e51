/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.health.v1: Check and Watch. The node is SERVING when it knows a leader and applies; the
 * empty name, for all services together, is the only one known, as with etcd. */
#include <stdlib.h>

#include "base/assert.h"
#include "kv/api/methods.h"
#include "proto/wire/kv.h"

#define WATCHES_MAX 1024u
#define SERVICE_UNKNOWN 3 /* of a watch for a name that we do not know (health.proto) */

struct api_health {
    bool (*is_healthy)(void *ctx);
    void *ctx;
    struct rpc_registry *registry;
    bool was_healthy;
    size_t watches_count;
    uint64_t watches[WATCHES_MAX]; /* ids of streams whose service is known */
};

static bool is_known(struct slice service)
{
    return service.len == 0;
}

static struct slice encode(int32_t status, uint8_t memory[16])
{
    struct buf out = buf_over(memory, 16);
    const struct kv_health_response response = {.status = status};
    int rc = kv_wire_encode_health_response(&response, &out);
    BASE_ASSERT(rc == 0);
    return buf_slice(&out);
}

static int32_t status_of(const struct api_health *health)
{
    return health->is_healthy(health->ctx) ? KV_HEALTH_SERVING : KV_HEALTH_NOT_SERVING;
}

static void check(void *ctx, struct rpc_call *call, struct slice message)
{
    const struct api_health *health = ctx;
    struct kv_health_request request;
    uint8_t memory[16];
    if (kv_wire_decode_health_request(message, &request) != 0) {
        rpc_reply_error(call, KV_E_MALFORMED);
    } else if (!is_known(request.service)) {
        rpc_reply_status(call, IO_GRPC_NOT_FOUND, "unknown service");
    } else {
        rpc_reply(call, encode(status_of(health), memory));
    }
}

static void forget(struct api_health *health, uint64_t id)
{
    for (size_t i = 0; i < health->watches_count; i++) {
        if (health->watches[i] == id) {
            health->watches[i] = health->watches[--health->watches_count];
            return;
        }
    }
}

static void watch_message(void *ctx, struct rpc_call *call, struct slice message)
{
    struct api_health *health = ctx;
    struct kv_health_request request;
    uint8_t memory[16];
    forget(health, call->id);
    if (kv_wire_decode_health_request(message, &request) != 0) {
        rpc_finish(call, KV_E_MALFORMED);
        return;
    }
    bool is_ours = is_known(request.service);
    if (is_ours && health->watches_count == WATCHES_MAX) {
        rpc_finish(call, KV_E_TOO_MANY_REQUESTS);
        return;
    }
    if (is_ours) {
        health->watches[health->watches_count++] = call->id;
    }
    (void)!rpc_send(call, encode(is_ours ? status_of(health) : SERVICE_UNKNOWN, memory));
}

static void watch_canceled(void *ctx, struct rpc_call *call)
{
    forget(ctx, call->id);
}

void api_health_changed(struct api_health *health)
{
    uint8_t memory[16];
    bool is_healthy = health->is_healthy(health->ctx);
    if (is_healthy == health->was_healthy) {
        return;
    }
    health->was_healthy = is_healthy;
    for (size_t i = health->watches_count; i > 0; i--) {
        struct rpc_call *call = rpc_find(health->registry, health->watches[i - 1]);
        if (call != NULL && rpc_send(call, encode(status_of(health), memory)) != 0) {
            forget(health, call->id); /* it asks again when it has caught up */
            rpc_finish(call, KV_E_TOO_MANY_REQUESTS);
        }
    }
}

static const struct rpc_method methods[] = {
    {.path = "/grpc.health.v1.Health/Check",
     .access = RPC_OPEN,
     .is_for_learner = true,
     .unary = check},
    {.path = "/grpc.health.v1.Health/Watch",
     .kind = RPC_STREAM,
     .access = RPC_OPEN,
     .is_for_learner = true,
     .message = watch_message,
     .canceled = watch_canceled},
};

int api_health_new(struct rpc_registry *registry, bool (*is_healthy)(void *ctx), void *ctx,
                   struct api_health **ret)
{
    struct api_health *health = calloc(1, sizeof(*health));
    if (health == NULL) {
        return BASE_E_NOMEM;
    }
    health->is_healthy = is_healthy;
    health->ctx = ctx;
    health->registry = registry;
    int rc = rpc_register(registry, methods, BASE_COUNT_OF(methods), health);
    if (rc != 0) {
        free(health);
        return rc;
    }
    *ret = health;
    return 0;
}

struct api_health *api_health_free(struct api_health *health)
{
    free(health);
    return NULL;
}
