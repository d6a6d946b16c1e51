/* SPDX-License-Identifier: Apache-2.0 */
/* What was: history of the holders, reasons, and former configuration documents, each by one read
 * of the store. Answered on any node. */
#include "arbiter/api/api_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "arbiter/api/entry.h"
#include "base/arena.h"
#include "proto/wire/kv.h"

#define PREFIX_MAX 192
#define ENTRIES_MAX 256
#define ARENA_BYTES (256u * 1024u)

struct entries;

/* A read under way; answers call `id` when it comes back. */
struct api_read {
    struct kv_call call;
    struct kv_request request;
    struct arb_api *api;
    uint64_t id;
    uint64_t in_force, newest; /* CONFIG; WHY: newest is the epoch asked for, 0: the last one */
    void (*answer)(struct rpc_call *call, const struct api_read *read,
                   const struct entries *entries);
    char from[PREFIX_MAX];
    char to[PREFIX_MAX];
};

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

static void reply_history(struct rpc_call *call, const struct api_read *read,
                          const struct entries *entries)
{
    Quorate__V1__DatabaseHistoryEntry *messages = calloc(ENTRIES_MAX, sizeof(*messages));
    Quorate__V1__DatabaseHistoryEntry *pointers[ENTRIES_MAX];
    Quorate__V1__DatabaseHistoryResponse response;
    (void)read;
    if (messages == NULL) {
        arb_api_refuse(call, IO_GRPC_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    quorate__v1__database_history_response__init(&response);
    for (size_t i = 0; i < entries->count; i++) {
        fill_entry(&messages[i], entries->list[i], entries->texts[i]);
        pointers[i] = &messages[i];
    }
    response.n_entries = entries->count;
    response.entries = pointers;
    arb_api_reply(call, &response.base);
    free(messages);
}

static void reply_why(struct rpc_call *call, const struct api_read *read,
                      const struct entries *entries)
{
    Quorate__V1__DatabaseWhyResponse response;
    struct arb_why_lines lines = {0};
    if (entries->count == 0 && read->newest != 0) {
        arb_api_refuse(call, IO_GRPC_NOT_FOUND, "no such event is kept; kv db history shows all");
        return;
    }
    quorate__v1__database_why_response__init(&response);
    if (entries->count == 0) { /* nothing was decided yet: what is waited for is told by Show */
        arb_api_reply(call, &response.base);
        return;
    }
    arb_why_fill(&lines, entries->list[0]);
    response.epoch = arb_entry_number(entries->list[0], "epoch");
    response.n_lines = lines.count;
    response.lines = lines.list;
    response.json = entries->texts[0];
    arb_api_reply(call, &response.base);
    arb_why_free(&lines);
}

/* A document of the history as it stands there: {"revision", "wall_us", "document"}. */
static void fill_revision(Quorate__V1__DatabaseConfigRevision *m, json_t *entry, char **ret_text)
{
    quorate__v1__database_config_revision__init(m);
    *ret_text = json_dumps(json_object_get(entry, "document"), JSON_COMPACT);
    m->revision = arb_entry_number(entry, "revision");
    m->wall_us = (int64_t)arb_entry_number(entry, "wall_us");
    if (*ret_text != NULL) {
        m->json = *ret_text;
    }
}

static void reply_revisions(struct rpc_call *call, const struct api_read *read,
                            const struct entries *entries)
{
    Quorate__V1__DatabaseConfigHistoryResponse response;
    Quorate__V1__DatabaseConfigRevision *messages = calloc(ENTRIES_MAX, sizeof(*messages));
    Quorate__V1__DatabaseConfigRevision *pointers[ENTRIES_MAX];
    char *texts[ENTRIES_MAX] = {0};
    (void)read;
    if (messages == NULL) {
        arb_api_refuse(call, IO_GRPC_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    quorate__v1__database_config_history_response__init(&response);
    for (size_t i = 0; i < entries->count; i++) {
        fill_revision(&messages[i], entries->list[i], &texts[i]);
        pointers[i] = &messages[i];
    }
    response.n_revisions = entries->count;
    response.revisions = pointers;
    arb_api_reply(call, &response.base);
    for (size_t i = 0; i < entries->count; i++) {
        free(texts[i]);
    }
    free(messages);
}

static void reply_revision(struct rpc_call *call, const struct api_read *read,
                           const struct entries *entries)
{
    Quorate__V1__DatabaseConfigResponse response;
    Quorate__V1__DatabaseConfigRevision one;
    char *text = NULL;
    if (entries->count == 0) {
        arb_api_refuse(call, IO_GRPC_NOT_FOUND,
                       "no such revision is kept; kv db config history shows all");
        return;
    }
    fill_revision(&one, entries->list[0], &text);
    quorate__v1__database_config_response__init(&response);
    response.revision = one.revision;
    response.json = one.json;
    response.in_force = read->in_force;
    response.newest = read->newest;
    arb_api_reply(call, &response.base);
    free(text);
}

/* --- reading --- */

static void reply_read(struct rpc_call *call, const struct api_read *read, struct slice bytes)
{
    struct entries *entries = calloc(1, sizeof(*entries));
    void *memory = malloc(ARENA_BYTES);
    struct kv_response response;
    if (entries == NULL || memory == NULL) {
        arb_api_refuse(call, IO_GRPC_RESOURCE_EXHAUSTED, "out of memory");
    } else {
        struct base_arena arena = base_arena_over(memory, ARENA_BYTES);
        if (kv_wire_decode_response(KV_KIND_RANGE, bytes, &arena, &response) != 0) {
            arb_api_refuse(call, IO_GRPC_INTERNAL, "what is kept cannot be read");
        } else {
            entries_read(entries, &response.range.kvs);
            read->answer(call, read, entries);
            entries_free(entries);
        }
    }
    free(memory);
    free(entries);
}

static void read_done(struct kv_call *kv, enum kv_error error, struct slice response)
{
    struct api_read *read = kv->user;
    struct rpc_call *call = rpc_find(read->api->options.registry, read->id);
    if (call != NULL && error == KV_OK) {
        reply_read(call, read, response);
    } else if (call != NULL) {
        rpc_reply_error(call, error);
    }
    free(read);
}

/* Keys are .../WHAT/NUMBER; the order of their making is that of the numbers. number 0: all, the
 * newest first. */
static void set_range(struct api_read *read, const struct arb_cluster *cluster, const char *what,
                      uint64_t number, uint32_t limit)
{
    struct kv_range *range = &read->request.range;
    (void)snprintf(read->from, sizeof(read->from), "/quorate/v1/clusters/%s/%s/",
                   cluster->name.text, what);
    (void)snprintf(read->to, sizeof(read->to), "/quorate/v1/clusters/%s/%s0", cluster->name.text,
                   what);
    if (number != 0) {
        size_t at = strlen(read->from);
        (void)snprintf(read->from + at, sizeof(read->from) - at, "%llu",
                       (unsigned long long)number);
        read->to[0] = '\0';
    }
    range->key = slice_from_text(read->from);
    range->range_end = slice_from_text(read->to);
    range->sort_order = KV_SORT_DESCEND;
    range->sort_target = KV_SORT_CREATE;
    range->limit = limit == 0 || limit > ENTRIES_MAX ? ENTRIES_MAX : limit;
}

/* NULL: answered already. */
static struct api_read *read_begin(struct arb_api *api, struct rpc_call *call)
{
    struct api_read *read = calloc(1, sizeof(*read));
    if (read == NULL) {
        arb_api_refuse(call, IO_GRPC_RESOURCE_EXHAUSTED, "out of memory");
        return NULL;
    }
    read->api = api;
    read->id = call->id;
    read->request.kind = KV_KIND_RANGE;
    read->call = (struct kv_call){
        .request = &read->request,
        .deadline = call->deadline,
        .user = read,
        .asker.auth_revision = KV_ASKER_INTERNAL, /* the certificate's role has decided */
        .done = read_done,
    };
    return read;
}

static void read_send(struct api_read *read, struct rpc_call *call)
{
    enum kv_error error = kv_service_submit(read->api->options.service, &read->call);
    if (error != KV_OK) {
        rpc_reply_error(call, error);
        free(read);
    }
}

/* --- methods --- */

void arb_api_history(struct arb_api *api, struct rpc_call *call, const ProtobufCMessage *message)
{
    const Quorate__V1__DatabaseHistoryRequest *request = (const void *)message;
    const struct arb_cluster *cluster = arb_api_find(api, call, request->cluster);
    struct api_read *read = cluster == NULL ? NULL : read_begin(api, call);
    if (read != NULL) {
        read->answer = reply_history;
        set_range(read, cluster, "history", 0, request->limit);
        read_send(read, call);
    }
}

void arb_api_why(struct arb_api *api, struct rpc_call *call, const ProtobufCMessage *message)
{
    const Quorate__V1__DatabaseWhyRequest *request = (const void *)message;
    const struct arb_cluster *cluster = arb_api_find(api, call, request->cluster);
    struct api_read *read = cluster == NULL ? NULL : read_begin(api, call);
    if (read != NULL) {
        read->answer = reply_why;
        read->newest = request->epoch;
        set_range(read, cluster, "history", request->epoch, 1);
        read_send(read, call);
    }
}

void arb_api_config_history(struct arb_api *api, struct rpc_call *call,
                            const ProtobufCMessage *message)
{
    const Quorate__V1__DatabaseConfigHistoryRequest *request = (const void *)message;
    const struct arb_cluster *cluster = arb_api_find(api, call, request->cluster);
    struct api_read *read = cluster == NULL ? NULL : read_begin(api, call);
    if (read != NULL) {
        read->answer = reply_revisions;
        set_range(read, cluster, "config-history", 0, 0);
        read_send(read, call);
    }
}

/* The document that stands; with the defaults of what it does not say where that is asked for. */
static void reply_document(struct rpc_call *call, struct slice text, bool is_effective,
                           Quorate__V1__DatabaseConfigResponse *response)
{
    uint8_t *memory = malloc(2u * MSG_CONFIG_MAX + 1);
    struct arb_settings_why why = {""};
    if (memory == NULL) {
        arb_api_refuse(call, IO_GRPC_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    struct buf b = buf_over(memory, 2u * MSG_CONFIG_MAX);
    if (arb_settings_write(text, is_effective, &b, &why) != 0) {
        arb_api_refuse(call, IO_GRPC_INTERNAL, why.text);
    } else {
        memory[b.len] = '\0';
        response->json = (char *)memory;
        arb_api_reply(call, &response->base);
    }
    free(memory);
}

void arb_api_config(struct arb_api *api, struct rpc_call *call, const ProtobufCMessage *message)
{
    const Quorate__V1__DatabaseConfigRequest *request = (const void *)message;
    const struct arb_cluster *cluster = arb_api_find(api, call, request->cluster);
    Quorate__V1__DatabaseConfigResponse response;
    uint64_t newest = 0;
    struct slice text = SLICE_LIT("{}");
    if (cluster == NULL) {
        return;
    }
    uint8_t seed[4096];
    struct buf b = buf_over(seed, sizeof(seed));
    bool has_one = arb_driver_document(api->options.driver, &cluster->name, &newest, &text);
    if (!has_one && cluster->record.epoch != 0 && arb_settings_of(&cluster->record, &b) == 0) {
        text = buf_slice(&b); /* what the first document must say to change nothing */
    }
    if (request->revision != 0 && request->revision != newest) {
        struct api_read *read = read_begin(api, call);
        if (read != NULL) {
            read->answer = reply_revision;
            read->in_force = cluster->record.config_revision;
            read->newest = newest;
            set_range(read, cluster, "config-history", request->revision, 1);
            read_send(read, call);
        }
        return;
    }
    quorate__v1__database_config_response__init(&response);
    response.revision = response.newest = has_one ? newest : 0;
    response.in_force = cluster->record.config_revision;
    reply_document(call, text, request->effective != 0, &response);
}
