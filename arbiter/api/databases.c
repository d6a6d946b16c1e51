/* SPDX-License-Identifier: Apache-2.0 */
/* Methods of quorate.v1.Databases; see databases.h. Questions about the present are answered at
 * once from the driver's clusters; history and reasons by one read of the store. */
#include "arbiter/api/databases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "arbiter/api/entry.h"
#include "arbiter/api/show.h"
#include "base/arena.h"
#include "base/name.h"
#include "proto/wire/kv.h"

#define PREFIX_MAX 192
#define ENTRIES_MAX 256
#define ARENA_BYTES (256u * 1024u)
#define ANSWER_MAX 1024

struct arb_api {
    struct arb_api_options options;
    struct io_server *server;
};

/* A read of history entries under way; answers `id` when it comes back. */
struct api_read {
    struct kv_call call;
    struct kv_request request;
    struct arb_api *api;
    uint64_t id;
    bool is_why;
    uint64_t epoch; /* WHY: 0 the newest */
    uint32_t limit;
    char from[PREFIX_MAX];
    char to[PREFIX_MAX];
};

static void reply_message(struct io_grpc_call *call, const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(len + 1);
    if (bytes == NULL) {
        io_grpc_reply(call, IO_GRPC_RESOURCE_EXHAUSTED, "out of memory", SLICE_EMPTY);
        return;
    }
    (void)protobuf_c_message_pack(message, bytes);
    io_grpc_reply(call, IO_GRPC_OK, NULL, slice_from(bytes, len));
    free(bytes);
}

static void refuse(struct io_grpc_call *call, enum io_grpc_status status, const char *text)
{
    io_grpc_reply(call, status, text, SLICE_EMPTY);
}

static ProtobufCMessage *unpack(struct io_grpc_call *call, const ProtobufCMessageDescriptor *type,
                                struct slice message)
{
    ProtobufCMessage *request = protobuf_c_message_unpack(type, NULL, message.len, message.data);
    if (request == NULL) {
        refuse(call, IO_GRPC_INVALID_ARGUMENT, "malformed request");
    }
    return request;
}

/* Looks a cluster up; answers the call when there is none. */
static const struct arb_cluster *find(const struct arb_api *api, struct io_grpc_call *call,
                                      const char *name)
{
    struct base_name wanted;
    char text[ANSWER_MAX];
    const struct arb_cluster *cluster = base_name_from_text(name, &wanted) == 0
                                            ? arb_driver_find(api->options.driver, &wanted)
                                            : NULL;
    if (cluster == NULL) {
        (void)snprintf(text, sizeof(text), "no database cluster '%.63s'; kv db list shows all",
                       name);
        refuse(call, IO_GRPC_NOT_FOUND, text);
    }
    return cluster;
}

static void list(struct arb_api *api, struct io_grpc_call *call, struct slice message)
{
    Quorate__V1__DatabaseListResponse response;
    (void)message;
    quorate__v1__database_list_response__init(&response);
    size_t count = 0;
    while (arb_driver_cluster(api->options.driver, count) != NULL) {
        count++;
    }
    struct arb_show *shows = calloc(count + 1, sizeof(*shows));
    Quorate__V1__DatabaseCluster **clusters = calloc(count + 1, sizeof(struct arb_show *));
    if (shows == NULL || clusters == NULL) {
        refuse(call, IO_GRPC_RESOURCE_EXHAUSTED, "out of memory");
    } else {
        for (size_t i = 0; i < count; i++) {
            arb_show_fill(&shows[i], arb_driver_cluster(api->options.driver, i), io_now(),
                          io_wall_now());
            clusters[i] = &shows[i].cluster;
        }
        response.n_clusters = count;
        response.clusters = clusters;
        reply_message(call, &response.base);
    }
    free(shows);
    free(clusters);
}

static void show(struct arb_api *api, struct io_grpc_call *call, struct slice message)
{
    ProtobufCMessage *m = unpack(call, &quorate__v1__database_show_request__descriptor, message);
    if (m == NULL) {
        return;
    }
    const Quorate__V1__DatabaseShowRequest *request = (const void *)m;
    const struct arb_cluster *cluster = find(api, call, request->cluster);
    struct arb_show *filled = cluster == NULL ? NULL : calloc(1, sizeof(*filled));
    if (filled != NULL) {
        Quorate__V1__DatabaseShowResponse response;
        quorate__v1__database_show_response__init(&response);
        arb_show_fill(filled, cluster, io_now(), io_wall_now());
        response.cluster = &filled->cluster;
        reply_message(call, &response.base);
    } else if (cluster != NULL) {
        refuse(call, IO_GRPC_RESOURCE_EXHAUSTED, "out of memory");
    }
    free(filled);
    protobuf_c_message_free_unpacked(m, NULL);
}

/* A wish that needs no arbiter to be refused; answers the call then. */
static bool check_candidate(struct io_grpc_call *call, const struct arb_cluster *cluster,
                            const struct arb_request *request)
{
    const struct base_name *candidate = &request->candidate;
    char text[ANSWER_MAX];
    if (candidate->text[0] == '\0') {
        return true;
    }
    if (arb_view_find(cluster, candidate) == ARB_NOBODY) {
        (void)snprintf(text, sizeof(text), "%s has no member '%s'; kv db show %s lists them",
                       cluster->name.text, candidate->text, cluster->name.text);
        refuse(call, IO_GRPC_NOT_FOUND, text);
        return false;
    }
    if (request->kind == ARB_REQUEST_SWITCHOVER &&
        base_name_equal(&cluster->record.holder, candidate)) {
        (void)snprintf(text, sizeof(text), "%s is the primary of %s already", candidate->text,
                       cluster->name.text);
        refuse(call, IO_GRPC_FAILED_PRECONDITION, text);
        return false;
    }
    return true;
}

static void order(struct arb_api *api, struct io_grpc_call *call, const char *name,
                  struct arb_request *request, const char *candidate)
{
    struct base_text text = {{0}};
    struct base_name cluster_name;
    const struct arb_cluster *cluster = find(api, call, name);
    if (cluster == NULL) {
        return;
    }
    if (candidate[0] != '\0' && base_name_from_text(candidate, &request->candidate) != 0) {
        refuse(call, IO_GRPC_INVALID_ARGUMENT, "no member can have such a name");
        return;
    }
    if (!check_candidate(call, cluster, request)) {
        return;
    }
    uint64_t epoch = cluster->record.epoch;
    cluster_name = cluster->name;
    int rc = arb_driver_request(api->options.driver, &cluster_name, request, &text);
    if (rc != 0) {
        refuse(call, rc == BASE_E_NOTLEADER ? IO_GRPC_UNAVAILABLE : IO_GRPC_FAILED_PRECONDITION,
               text.text[0] == '\0' ? base_error_text(rc) : text.text);
        return;
    }
    Quorate__V1__DatabaseOrderResponse response;
    quorate__v1__database_order_response__init(&response);
    response.message = text.text;
    response.epoch = epoch;
    reply_message(call, &response.base);
}

static void switchover(struct arb_api *api, struct io_grpc_call *call, struct slice message)
{
    ProtobufCMessage *m =
        unpack(call, &quorate__v1__database_switchover_request__descriptor, message);
    if (m != NULL) {
        const Quorate__V1__DatabaseSwitchoverRequest *request = (const void *)m;
        struct arb_request wanted = {.kind = ARB_REQUEST_SWITCHOVER};
        order(api, call, request->cluster, &wanted, request->to);
        protobuf_c_message_free_unpacked(m, NULL);
    }
}

static void failover(struct arb_api *api, struct io_grpc_call *call, struct slice message)
{
    ProtobufCMessage *m =
        unpack(call, &quorate__v1__database_failover_request__descriptor, message);
    if (m != NULL) {
        const Quorate__V1__DatabaseFailoverRequest *request = (const void *)m;
        struct arb_request wanted = {.kind = ARB_REQUEST_FAILOVER,
                                     .is_forced = request->force != 0};
        order(api, call, request->cluster, &wanted, request->to);
        protobuf_c_message_free_unpacked(m, NULL);
    }
}

static void confirm(struct arb_api *api, struct io_grpc_call *call, struct slice message)
{
    ProtobufCMessage *m = unpack(call, &quorate__v1__database_confirm_request__descriptor, message);
    if (m != NULL) {
        const Quorate__V1__DatabaseConfirmRequest *request = (const void *)m;
        struct arb_request wanted = {.kind = ARB_REQUEST_CONFIRM, .is_forced = request->force != 0};
        order(api, call, request->cluster, &wanted, request->primary);
        protobuf_c_message_free_unpacked(m, NULL);
    }
}

/* --- history --- */

static void fill_entry(Quorate__V1__DatabaseHistoryEntry *m, json_t *entry, char *json)
{
    quorate__v1__database_history_entry__init(m);
    m->epoch = arb_entry_number(entry, "epoch");
    m->holder = arb_entry_text(entry, "to");
    m->former = arb_entry_text(entry, "from");
    m->timeline = (uint32_t)arb_entry_number(entry, "timeline");
    m->floor_lsn = arb_entry_lsn(json_object_get(entry, "floor"), "lsn");
    m->wall_us = (int64_t)arb_entry_number(entry, "since_wall_us");
    m->kind = arb_entry_text(entry, "kind");
    m->reason = arb_entry_text(entry, "reason");
    m->json = json;
}

/* Parsed entries, newest first. */
struct entries {
    size_t count;
    json_t *list[ENTRIES_MAX];
    char *texts[ENTRIES_MAX];
};

static void entries_read(struct entries *entries, const struct kv_pairs *pairs)
{
    for (size_t i = 0; i < pairs->count && entries->count < ENTRIES_MAX; i++) {
        struct slice value = pairs->items[i].value;
        json_t *entry = json_loadb((const char *)value.data, value.len, 0, NULL);
        char *text = entry == NULL ? NULL : json_dumps(entry, JSON_COMPACT | JSON_PRESERVE_ORDER);
        if (text == NULL) {
            json_decref(entry);
            continue;
        }
        entries->list[entries->count] = entry;
        entries->texts[entries->count++] = text;
    }
}

static void entries_free(struct entries *entries)
{
    for (size_t i = 0; i < entries->count; i++) {
        json_decref(entries->list[i]);
        free(entries->texts[i]);
    }
}

static void reply_history(struct io_grpc_call *call, const struct entries *entries)
{
    Quorate__V1__DatabaseHistoryEntry *messages = calloc(ENTRIES_MAX, sizeof(*messages));
    Quorate__V1__DatabaseHistoryEntry *pointers[ENTRIES_MAX];
    Quorate__V1__DatabaseHistoryResponse response;
    if (messages == NULL) {
        refuse(call, IO_GRPC_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    quorate__v1__database_history_response__init(&response);
    for (size_t i = 0; i < entries->count; i++) {
        fill_entry(&messages[i], entries->list[i], entries->texts[i]);
        pointers[i] = &messages[i];
    }
    response.n_entries = entries->count;
    response.entries = pointers;
    reply_message(call, &response.base);
    free(messages);
}

static void reply_why(struct io_grpc_call *call, const struct entries *entries)
{
    Quorate__V1__DatabaseWhyResponse response;
    struct arb_why_lines lines = {0};
    if (entries->count == 0) {
        refuse(call, IO_GRPC_NOT_FOUND, "no such event is kept; kv db history shows all");
        return;
    }
    quorate__v1__database_why_response__init(&response);
    arb_why_fill(&lines, entries->list[0]);
    response.epoch = arb_entry_number(entries->list[0], "epoch");
    response.n_lines = lines.count;
    response.lines = lines.list;
    response.json = entries->texts[0];
    reply_message(call, &response.base);
    arb_why_free(&lines);
}

static void reply_read(struct io_grpc_call *call, const struct api_read *read, struct slice bytes)
{
    struct entries *entries = calloc(1, sizeof(*entries));
    void *memory = malloc(ARENA_BYTES);
    struct kv_response response;
    if (entries == NULL || memory == NULL) {
        refuse(call, IO_GRPC_RESOURCE_EXHAUSTED, "out of memory");
    } else {
        struct base_arena arena = base_arena_over(memory, ARENA_BYTES);
        if (kv_wire_decode_response(KV_KIND_RANGE, bytes, &arena, &response) != 0) {
            refuse(call, IO_GRPC_INTERNAL, "history cannot be read");
        } else {
            entries_read(entries, &response.range.kvs);
            if (read->is_why) {
                reply_why(call, entries);
            } else {
                reply_history(call, entries);
            }
            entries_free(entries);
        }
    }
    free(memory);
    free(entries);
}

static void read_done(struct kv_call *kv, enum kv_error error, struct slice response)
{
    struct api_read *read = kv->user;
    struct io_grpc_call *call =
        read->api->server == NULL ? NULL : io_grpc_find(read->api->server, read->id);
    if (call != NULL && error == KV_OK) {
        reply_read(call, read, response);
    } else if (call != NULL) {
        refuse(call, (enum io_grpc_status)kv_error_grpc(error), kv_error_text(error));
    }
    free(read);
}

/* Keys are .../history/EPOCH; the order of their making is that of the epochs. */
static void set_range(struct api_read *read, const struct arb_cluster *cluster)
{
    struct kv_range *range = &read->request.range;
    (void)snprintf(read->from, sizeof(read->from), "/quorate/v1/clusters/%s/history/",
                   cluster->name.text);
    (void)snprintf(read->to, sizeof(read->to), "/quorate/v1/clusters/%s/history0",
                   cluster->name.text);
    if (read->epoch != 0) {
        size_t at = strlen(read->from);
        (void)snprintf(read->from + at, sizeof(read->from) - at, "%llu",
                       (unsigned long long)read->epoch);
        read->to[0] = '\0';
    }
    range->key = slice_from_text(read->from);
    range->range_end = slice_from_text(read->to);
    range->sort_order = KV_SORT_DESCEND;
    range->sort_target = KV_SORT_CREATE;
    range->limit = read->is_why ? 1 : read->limit;
    if (range->limit == 0 || range->limit > ENTRIES_MAX) {
        range->limit = ENTRIES_MAX;
    }
}

static void start_read(struct arb_api *api, struct io_grpc_call *call, const char *name,
                       const struct api_read *wanted)
{
    const struct arb_cluster *cluster = find(api, call, name);
    struct api_read *read = cluster == NULL ? NULL : calloc(1, sizeof(*read));
    if (cluster == NULL || read == NULL) {
        if (cluster != NULL) {
            refuse(call, IO_GRPC_RESOURCE_EXHAUSTED, "out of memory");
        }
        return;
    }
    *read = *wanted;
    read->api = api;
    read->id = io_grpc_call_id(call);
    read->request.kind = KV_KIND_RANGE;
    set_range(read, cluster);
    read->call = (struct kv_call){
        .request = &read->request,
        .deadline = base_mono_add_us(io_now(), KV_TIMEOUT_DEFAULT_US),
        .user = read,
        .asker.auth_revision = KV_ASKER_INTERNAL, /* the certificate's role has decided */
        .done = read_done,
    };
    enum kv_error error = kv_service_submit(api->options.service, &read->call);
    if (error != KV_OK) {
        refuse(call, (enum io_grpc_status)kv_error_grpc(error), kv_error_text(error));
        free(read);
    }
}

static void history(struct arb_api *api, struct io_grpc_call *call, struct slice message)
{
    ProtobufCMessage *m = unpack(call, &quorate__v1__database_history_request__descriptor, message);
    if (m != NULL) {
        const Quorate__V1__DatabaseHistoryRequest *request = (const void *)m;
        const struct api_read wanted = {.limit = request->limit};
        start_read(api, call, request->cluster, &wanted);
        protobuf_c_message_free_unpacked(m, NULL);
    }
}

static void why(struct arb_api *api, struct io_grpc_call *call, struct slice message)
{
    ProtobufCMessage *m = unpack(call, &quorate__v1__database_why_request__descriptor, message);
    if (m != NULL) {
        const Quorate__V1__DatabaseWhyRequest *request = (const void *)m;
        const struct api_read wanted = {.is_why = true, .epoch = request->epoch};
        start_read(api, call, request->cluster, &wanted);
        protobuf_c_message_free_unpacked(m, NULL);
    }
}

/* --- the table --- */

struct method {
    const char *path;
    bool is_read;
    bool needs_leader;
    void (*run)(struct arb_api *api, struct io_grpc_call *call, struct slice message);
};

static const struct method methods[] = {
    {"/quorate.v1.Databases/List", true, true, list},
    {"/quorate.v1.Databases/Show", true, true, show},
    {"/quorate.v1.Databases/Switchover", false, true, switchover},
    {"/quorate.v1.Databases/Failover", false, true, failover},
    {"/quorate.v1.Databases/Confirm", false, true, confirm},
    {"/quorate.v1.Databases/History", true, false, history},
    {"/quorate.v1.Databases/Why", true, false, why},
};

static const struct method *find_method(struct slice path)
{
    for (size_t i = 0; i < BASE_COUNT_OF(methods); i++) {
        if (slice_equal(path, slice_from_text(methods[i].path))) {
            return &methods[i];
        }
    }
    return NULL;
}

static enum io_grpc_kind lookup(void *ctx, struct slice path)
{
    (void)ctx;
    return find_method(path) == NULL ? IO_GRPC_NONE : IO_GRPC_UNARY;
}

static bool may_call(const struct arb_api *api, const struct io_identity *who, bool is_read)
{
    return api->options.is_insecure || who->net.role == NET_ROLE_ADMIN ||
           (is_read && who->net.role == NET_ROLE_VIEWER);
}

static void unary(void *ctx, struct io_grpc_call *call, struct slice message)
{
    struct arb_api *api = ctx;
    const struct method *method = find_method(io_grpc_path(call));
    if (method == NULL) {
        refuse(call, IO_GRPC_UNIMPLEMENTED, "unknown method");
    } else if (!may_call(api, io_grpc_identity(call), method->is_read)) {
        refuse(call, IO_GRPC_PERMISSION_DENIED,
               method->is_read ? "needs a viewer's or an admin's certificate"
                               : "needs an admin's certificate");
    } else if (method->needs_leader && !arb_driver_is_leader(api->options.driver)) {
        refuse(call, IO_GRPC_UNAVAILABLE,
               "this node does not lead; give kv all quorum nodes with --endpoints");
    } else {
        method->run(api, call, message);
    }
}

int arb_api_new(const struct arb_api_options *options, struct arb_api **ret)
{
    struct arb_api *api = calloc(1, sizeof(*api));
    if (api == NULL) {
        return BASE_E_NOMEM;
    }
    api->options = *options;
    *ret = api;
    return 0;
}

struct io_grpc_handler arb_api_handler(struct arb_api *api)
{
    return (struct io_grpc_handler){.ctx = api, .lookup = lookup, .unary = unary};
}

void arb_api_set_server(struct arb_api *api, struct io_server *server)
{
    api->server = server;
}

struct arb_api *arb_api_free(struct arb_api *api)
{
    free(api);
    return NULL;
}
