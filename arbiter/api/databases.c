/* SPDX-License-Identifier: Apache-2.0 */
/* The methods of quorate.v1.Databases as the registry knows them, and questions about the present;
 * see databases.h. */
#include "arbiter/api/api_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "arbiter/api/show.h"
#include "base/name.h"

#define ARB_EVENT_MAX 512 /* bytes of one sentence */

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

static bool is_shown(const struct arb_api *api, const struct arb_cluster *cluster)
{
    uint64_t revision = 0;
    struct slice text;
    return cluster->record.epoch != 0 || cluster->views_count > 0 ||
           arb_driver_document(api->options.driver, &cluster->name, &revision, &text);
}

const struct arb_cluster *arb_api_find(const struct arb_api *api, struct rpc_call *call,
                                       const char *name)
{
    struct base_name wanted;
    char text[ARB_ANSWER_MAX];
    const struct arb_cluster *cluster = base_name_from_text(name, &wanted) == 0
                                            ? arb_driver_find(api->options.driver, &wanted)
                                            : NULL;
    if (cluster != NULL && is_shown(api, cluster)) {
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

static void show_fill(const struct arb_api *api, struct arb_show *show,
                      const struct arb_cluster *cluster)
{
    struct arb_show_from from = {
        .cluster = cluster, .now = io_now(), .wall = io_wall_now(), .seen_count = 0};
    struct slice text;
    from.seen_count = arb_driver_seen(api->options.driver, cluster, from.seen);
    if (!arb_driver_document(api->options.driver, &cluster->name, &from.config_newest, &text)) {
        from.config_newest = 0;
    }
    arb_show_fill(show, &from);
}

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
        if (is_shown(api, cluster)) {
            show_fill(api, &shows[i], cluster);
            clusters[response.n_clusters++] = &shows[i].cluster;
        }
    }
    response.clusters = clusters;
    arb_api_reply(call, &response.base);
    free(shows);
}

/* What this node has said about a cluster, as the message has it. */
struct events {
    Quorate__V1__DatabaseEvent messages[ARB_STORY_MAX];
    Quorate__V1__DatabaseEvent *list[ARB_STORY_MAX];
    char texts[ARB_STORY_MAX][ARB_EVENT_MAX];
    struct arb_note story[ARB_STORY_MAX];
};

static void events_fill(const struct arb_api *api, const struct arb_cluster *cluster,
                        struct events *events, Quorate__V1__DatabaseShowResponse *response)
{
    size_t count = arb_driver_story(api->options.driver, cluster, events->story);
    struct base_mono now = io_now();
    int64_t wall_us = io_wall_now().us;
    for (size_t i = 0; i < count; i++) {
        const struct arb_note *note = &events->story[i];
        Quorate__V1__DatabaseEvent *m = &events->messages[i];
        struct buf b = buf_over((uint8_t *)events->texts[i], ARB_EVENT_MAX - 1);
        union {
            const char *in;
            char *out;
        } name = {.in = arb_note_name(note->kind)}; /* only read when it is packed */
        quorate__v1__database_event__init(m);
        arb_note_put(note, &b);
        events->texts[i][b.len] = '\0';
        m->wall_us = wall_us - base_mono_diff_us(now, note->at);
        m->event = name.out;
        m->text = events->texts[i];
        events->list[i] = m;
    }
    response->n_events = count;
    response->events = events->list;
}

void arb_api_show(struct arb_api *api, struct rpc_call *call, const ProtobufCMessage *message)
{
    const Quorate__V1__DatabaseShowRequest *request = (const void *)message;
    Quorate__V1__DatabaseShowResponse response;
    const struct arb_cluster *cluster = arb_api_find(api, call, request->cluster);
    struct arb_show *filled = cluster == NULL ? NULL : calloc(1, sizeof(*filled));
    struct events *events = filled == NULL ? NULL : calloc(1, sizeof(*events));
    if (events != NULL) {
        quorate__v1__database_show_response__init(&response);
        show_fill(api, filled, cluster);
        response.cluster = &filled->cluster;
        if (request->events) {
            events_fill(api, cluster, events, &response);
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
