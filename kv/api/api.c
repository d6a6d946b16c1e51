/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the API's parts in order and frees them in reverse; see api.h. */
#include "kv/api/api.h"

#include <stdlib.h>

#include "kv/api/gateway.h"
#include "kv/api/rpc_grpc.h"

struct api {
    struct api_options options;
    struct rpc_registry *registry;
    struct rpc_grpc grpc;
    struct gateway gateway;
    struct api_lease *lease;
    struct api_maintenance *maintenance;
    struct api_health *health;
};

static bool is_healthy(void *ctx)
{
    const struct api *api = ctx;
    return api->options.is_healthy(api->options.ctx);
}

static bool is_learner(void *ctx)
{
    const struct api *api = ctx;
    return api->options.is_learner != NULL && api->options.is_learner(api->options.ctx);
}

static bool may_begin(void *ctx, const struct rpc_call *call)
{
    const struct api *api = ctx;
    return api->options.may_begin == NULL || api->options.may_begin(api->options.ctx, call);
}

static void ended(void *ctx, const struct rpc_call *call, struct slice message,
                  enum io_grpc_status status)
{
    const struct api *api = ctx;
    if (api->options.ended != NULL) {
        api->options.ended(api->options.ctx, call, message, status);
    }
}

static int open_services(struct api *api)
{
    const struct api_options *o = &api->options;
    const struct rpc_registry_options registry = {.service = o->service,
                                                  .is_insecure = o->is_insecure,
                                                  .ctx = api,
                                                  .is_healthy = is_healthy,
                                                  .is_learner = is_learner,
                                                  .may_begin = may_begin,
                                                  .ended = ended};
    const struct api_maintenance_options maintenance = {.service = o->service,
                                                        .snapshot = o->snapshot,
                                                        .cluster_id = o->cluster_id,
                                                        .member_id = o->member_id};
    int rc = rpc_registry_new(&registry, &api->registry);
    if (rc == 0) {
        rc = api_kv_register(api->registry);
    }
    if (rc == 0) {
        rc = api_cluster_register(api->registry);
    }
    if (rc == 0) {
        rc = api_lease_new(api->registry, o->service, &api->lease);
    }
    if (rc == 0) {
        rc = api_maintenance_new(api->registry, &maintenance, &api->maintenance);
    }
    if (rc == 0) {
        rc = api_health_new(api->registry, is_healthy, api, &api->health);
    }
    return rc;
}

int api_open(const struct api_options *options, struct api **ret)
{
    struct api *api = calloc(1, sizeof(*api));
    if (api == NULL) {
        return BASE_E_NOMEM;
    }
    api->options = *options;
    int rc = open_services(api);
    if (rc != 0) {
        (void)api_close(api);
        return rc;
    }
    api->grpc = (struct rpc_grpc){.registry = api->registry, .next = options->next};
    api->gateway = (struct gateway){.registry = api->registry, .next = options->pages};
    *ret = api;
    return 0;
}

struct rpc_registry *api_registry(struct api *api)
{
    return api->registry;
}

struct io_grpc_handler api_grpc(struct api *api)
{
    return rpc_grpc_handler(&api->grpc);
}

struct io_http_handler api_http(struct api *api)
{
    return gateway_handler(&api->gateway);
}

uint64_t api_snapshots(const struct api *api)
{
    return api_maintenance_snapshots(api->maintenance);
}

void api_tick(struct api *api, struct base_mono now)
{
    rpc_tick(api->registry, now);
    api_maintenance_tick(api->maintenance, now);
    api_health_changed(api->health);
}

struct api *api_close(struct api *api)
{
    if (api == NULL) {
        return NULL;
    }
    api->registry = rpc_registry_free(api->registry);
    api->lease = api_lease_free(api->lease);
    api->maintenance = api_maintenance_free(api->maintenance);
    api->health = api_health_free(api->health);
    free(api);
    return NULL;
}
