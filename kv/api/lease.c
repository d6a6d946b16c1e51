/* SPDX-License-Identifier: Apache-2.0 */
/* etcdserverpb.Lease. All but LeaseKeepAlive is one request to kv/service each.
 *
 * A keep-alive stream asks the service for each request that comes and sends the answers in the
 * order in which they arrive; the client's half-close ends the stream when the last is answered. A
 * bounded number of requests of one stream is under way: more than that are refused by ending the
 * stream, since a client has no reason to send them faster than they are answered.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "kv/api/methods.h"
#include "proto/wire/kv_tables.h"

#define PENDING_MAX 4096u /* requests of one stream that are not answered */

struct api_lease {
    struct kv_service *service;
    struct rpc_registry *registry;
};

/* A keep-alive stream; lives until it has ended and every request was answered. */
struct alive {
    struct api_lease *lease;
    uint64_t call_id; /* 0: the stream is gone */
    uint32_t pending;
    bool is_half_closed;
};

struct ask {
    struct kv_call call;
    struct kv_request request;
    struct alive *alive;
};

static void alive_release(struct alive *alive)
{
    if (alive->call_id == 0 && alive->pending == 0) {
        free(alive);
    }
}

static void alive_finish(struct alive *alive, enum kv_error error)
{
    struct rpc_call *call = rpc_find(alive->lease->registry, alive->call_id);
    alive->call_id = 0;
    rpc_finish(call, error);
}

/* A lease that is not there is answered with a time of 0, never with an error: clients rely on it.
 */
static int send_gone(struct rpc_call *call, const struct ask *ask)
{
    uint8_t memory[64];
    struct buf out = buf_over(memory, sizeof(memory));
    struct kv_lease_keep_alive_response response = {
        .has_header = true,
        .id = ask->request.lease_id.id,
    };
    kv_service_header(ask->alive->lease->service, &response.header);
    int rc = wire_pb_encode(&wire_kv_lease_keep_alive_response_table, &response, &out);
    return rc != 0 ? rc : rpc_send(call, buf_slice(&out));
}

static void answered(struct kv_call *kv, enum kv_error error, struct slice response)
{
    struct ask *ask = kv->user;
    struct alive *alive = ask->alive;
    struct rpc_call *call =
        alive->call_id == 0 ? NULL : rpc_find(alive->lease->registry, alive->call_id);
    alive->pending--;
    if (call != NULL) {
        int rc = 0;
        if (error == KV_OK) {
            rc = rpc_send(call, response);
        } else if (error == KV_E_LEASE_NOT_FOUND) {
            rc = send_gone(call, ask);
        }
        if (error != KV_OK && error != KV_E_LEASE_NOT_FOUND) {
            alive_finish(alive, error);
        } else if (rc != 0) {
            alive_finish(alive, KV_E_TOO_MANY_REQUESTS); /* it does not read its answers */
        } else if (alive->is_half_closed && alive->pending == 0) {
            alive_finish(alive, KV_OK);
        }
    }
    free(ask);
    alive_release(alive);
}

static void opened(void *ctx, struct rpc_call *call)
{
    struct alive *alive = calloc(1, sizeof(*alive));
    if (alive == NULL) {
        rpc_finish(call, KV_E_TOO_MANY_REQUESTS);
        return;
    }
    alive->lease = ctx;
    alive->call_id = call->id;
    call->user = alive;
}

static enum kv_error ask_for(struct alive *alive, struct rpc_call *call, struct slice message)
{
    struct base_arena none = {0};
    struct ask *ask = calloc(1, sizeof(*ask));
    if (ask == NULL || alive->pending >= PENDING_MAX) {
        free(ask);
        return KV_E_TOO_MANY_REQUESTS;
    }
    ask->alive = alive;
    ask->request.kind = KV_KIND_LEASE_KEEP_ALIVE;
    ask->call.request = &ask->request;
    ask->call.deadline = base_mono_add_us(io_now(), KV_TIMEOUT_DEFAULT_US);
    ask->call.user = ask;
    ask->call.done = answered;
    enum kv_error error = KV_E_MALFORMED;
    if (wire_pb_decode(&wire_kv_lease_id_table, message, &none, &ask->request.lease_id) == 0) {
        error = rpc_allow(call, &ask->request);
        ask->call.asker.auth_revision = call->asker.auth_revision; /* the name may not outlive it */
    }
    if (error == KV_OK) {
        error = kv_service_submit(alive->lease->service, &ask->call);
    }
    if (error != KV_OK) {
        free(ask);
        return error;
    }
    alive->pending++;
    return KV_OK;
}

static void message(void *ctx, struct rpc_call *call, struct slice bytes)
{
    struct alive *alive = call->user;
    (void)ctx;
    enum kv_error error = ask_for(alive, call, bytes);
    if (error != KV_OK) {
        alive_finish(alive, error);
        alive_release(alive);
    }
}

static void half_closed(void *ctx, struct rpc_call *call)
{
    struct alive *alive = call->user;
    (void)ctx;
    alive->is_half_closed = true;
    if (alive->pending == 0) {
        alive_finish(alive, KV_OK);
        alive_release(alive);
    }
}

static void canceled(void *ctx, struct rpc_call *call)
{
    struct alive *alive = call->user;
    (void)ctx;
    if (alive != NULL) {
        alive->call_id = 0;
        alive_release(alive);
    }
}

static const struct rpc_method methods[] = {
    {.path = "/etcdserverpb.Lease/LeaseGrant",
     .access = RPC_WRITE,
     .kv_kind = KV_KIND_LEASE_GRANT,
     .gateway = "/v3/lease/grant"},
    {.path = "/etcdserverpb.Lease/LeaseRevoke",
     .access = RPC_WRITE,
     .kv_kind = KV_KIND_LEASE_REVOKE,
     .gateway = "/v3/lease/revoke",
     .gateway_2 = "/v3/kv/lease/revoke"},
    {.path = "/etcdserverpb.Lease/LeaseKeepAlive",
     .kind = RPC_STREAM,
     .access = RPC_WRITE,
     .gateway = "/v3/lease/keepalive",
     .opened = opened,
     .message = message,
     .half_closed = half_closed,
     .canceled = canceled},
    {.path = "/etcdserverpb.Lease/LeaseTimeToLive",
     .access = RPC_READ,
     .kv_kind = KV_KIND_LEASE_TTL,
     .gateway = "/v3/lease/timetolive",
     .gateway_2 = "/v3/kv/lease/timetolive"},
    {.path = "/etcdserverpb.Lease/LeaseLeases",
     .access = RPC_READ,
     .kv_kind = KV_KIND_LEASE_LEASES,
     .gateway = "/v3/lease/leases",
     .gateway_2 = "/v3/kv/lease/leases"},
};

int api_lease_new(struct rpc_registry *registry, struct kv_service *service, struct api_lease **ret)
{
    struct api_lease *lease = calloc(1, sizeof(*lease));
    if (lease == NULL) {
        return BASE_E_NOMEM;
    }
    lease->service = service;
    lease->registry = registry;
    int rc = rpc_register(registry, methods, BASE_COUNT_OF(methods), lease);
    if (rc != 0) {
        free(lease);
        return rc;
    }
    *ret = lease;
    return 0;
}

struct api_lease *api_lease_free(struct api_lease *lease)
{
    free(lease);
    return NULL;
}
