/* SPDX-License-Identifier: Apache-2.0 */
/* The methods of quorate.v1.Databases as the registry knows them, and questions about the present;
 * see databases.h. */
#include "arbiter/api/api_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "arbiter/api/present.h"
#include "base/name.h"

/* --- answers --- */

void arb_api_refuse(struct rpc_call *call, enum io_grpc_status status, const char *text)
{
    rpc_reply_status(call, status, text);
}

void arb_api_reply(struct rpc_call *call, const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(len + 1);
    if (bytes == NULL) {
        arb_api_refuse(call, IO_GRPC_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    (void)protobuf_c_message_pack(message, bytes);
    rpc_reply(call, slice_from(bytes, len));
    free(bytes);
}

const struct arb_cluster *arb_api_find(const struct arb_api *api, struct rpc_call *call,
                                       const char *name)
{
    struct base_name wanted;
    char text[ARB_ANSWER_MAX];
    const struct arb_cluster *cluster = base_name_from_text(name, &wanted) == 0
                                            ? arb_driver_find(api->options.driver, &wanted)
                                            : NULL;
    if (cluster != NULL && arb_present_is_shown(api->options.driver, cluster)) {
        return cluster;
    }
    (void)snprintf(text, sizeof(text), "no database cluster '%.63s'; kv db list shows all", name);
    arb_api_refuse(call, IO_GRPC_NOT_FOUND, text);
    return NULL;
}

enum io_grpc_status arb_api_status(int rc)
{
    switch (rc) {
    case BASE_E_NOTLEADER:
        return IO_GRPC_UNAVAILABLE;
    case BASE_E_INVALID:
    case BASE_E_TOOBIG:
        return IO_GRPC_INVALID_ARGUMENT;
    case BASE_E_BUSY:
        return IO_GRPC_ABORTED; /* the same call may be made again at once */
    case BASE_E_NOTFOUND:
        return IO_GRPC_NOT_FOUND;
    default:
        return IO_GRPC_FAILED_PRECONDITION;
    }
}

/* --- the present --- */

void arb_api_list(struct arb_api *api, struct rpc_call *call, const ProtobufCMessage *request)
{
    Quorate__V1__DatabaseListResponse response;
    const struct arb_cluster *cluster = NULL;
    struct arb_show *shows = calloc(ARB_CLUSTERS_MAX, sizeof(*shows));
    Quorate__V1__DatabaseCluster *clusters[ARB_CLUSTERS_MAX];
    (void)request;
    if (shows == NULL) {
        arb_api_refuse(call, IO_GRPC_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    quorate__v1__database_list_response__init(&response);
    for (size_t i = 0; (cluster = arb_driver_cluster(api->options.driver, i)) != NULL; i++) {
        if (arb_present_is_shown(api->options.driver, cluster)) {
            arb_present_show(api->options.driver, cluster, &shows[i]);
            clusters[response.n_clusters++] = &shows[i].cluster;
        }
    }
    response.clusters = clusters;
    arb_api_reply(call, &response.base);
    free(shows);
}

void arb_api_show(struct arb_api *api, struct rpc_call *call, const ProtobufCMessage *message)
{
    const Quorate__V1__DatabaseShowRequest *request = (const void *)message;
    Quorate__V1__DatabaseShowResponse response;
    const struct arb_cluster *cluster = arb_api_find(api, call, request->cluster);
    struct arb_show *filled = cluster == NULL ? NULL : calloc(1, sizeof(*filled));
    struct arb_present_events *events = filled == NULL ? NULL : calloc(1, sizeof(*events));
    if (events != NULL) {
        quorate__v1__database_show_response__init(&response);
        arb_present_show(api->options.driver, cluster, filled);
        response.cluster = &filled->cluster;
        if (request->events) {
            arb_present_events(api->options.driver, cluster, events);
            response.n_events = events->count;
            response.events = events->list;
        }
        arb_api_reply(call, &response.base);
    } else if (cluster != NULL) {
        arb_api_refuse(call, IO_GRPC_RESOURCE_EXHAUSTED, "out of memory");
    }
    free(events);
    free(filled);
}

/* --- the table --- */

struct method {
    bool needs_leader;
    arb_method_fn *run;
};

static void dispatch(void *ctx, struct rpc_call *call, struct slice bytes);

#define METHOD_ROW(name, path, is_read, needs_leader, run) {needs_leader, run},
static const struct method methods[] = {ARB_METHODS(METHOD_ROW)};
#undef METHOD_ROW

#define RPC_ROW(name, small, is_read, needs_leader, run) \
    {.path = "/quorate.v1.Databases/" #name, \
     .kind = RPC_UNARY, \
     .access = (is_read) ? RPC_READ : RPC_ADMIN, \
     .is_by_role = true, \
     .gateway = "/quorate/v1/databases/" #small, \
     .unary = dispatch},
static const struct rpc_method rpc_methods[] = {ARB_METHODS(RPC_ROW)};
#undef RPC_ROW

static const ProtobufCMessageDescriptor *input_of(const struct rpc_method *method)
{
    const char *name = method->path + sizeof("/quorate.v1.Databases/") - 1;
    const ProtobufCMethodDescriptor *found =
        protobuf_c_service_descriptor_get_method_by_name(&quorate__v1__databases__descriptor, name);
    return found == NULL ? NULL : found->input;
}

static void dispatch(void *ctx, struct rpc_call *call, struct slice bytes)
{
    struct arb_api *api = ctx;
    const struct method *method = &methods[call->method - rpc_methods];
    const ProtobufCMessageDescriptor *input = input_of(call->method);
    if (method->needs_leader && !arb_driver_is_leader(api->options.driver)) {
        arb_api_refuse(call, IO_GRPC_UNAVAILABLE,
                       "this node does not lead; give kv all quorum nodes with --endpoints");
        return;
    }
    ProtobufCMessage *request =
        input == NULL ? NULL : protobuf_c_message_unpack(input, NULL, bytes.len, bytes.data);
    if (request == NULL) {
        arb_api_refuse(call, IO_GRPC_INVALID_ARGUMENT, "malformed request");
        return;
    }
    method->run(api, call, request);
    protobuf_c_message_free_unpacked(request, NULL);
}

int arb_api_new(const struct arb_api_options *options, struct arb_api **ret)
{
    struct arb_api *api = calloc(1, sizeof(*api));
    if (api == NULL) {
        return BASE_E_NOMEM;
    }
    api->options = *options;
    int rc = rpc_register(options->registry, rpc_methods, BASE_COUNT_OF(rpc_methods), api);
    if (rc != 0) {
        free(api);
        return rc;
    }
    *ret = api;
    return 0;
}

struct arb_api *arb_api_free(struct arb_api *api)
{
    free(api);
    return NULL;
}
