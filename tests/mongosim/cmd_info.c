/* SPDX-License-Identifier: Apache-2.0 */
/* What clients and exporters ask of a server beside its set: versions, counters, databases. */
#include <stdio.h>
#include <unistd.h>

#include "tests/mongosim/command.h"

static void version_text(const struct hub *hub, char ret[16])
{
    snprintf(ret, 16, "%u.%u.9", hub->profile->release / 10, hub->profile->release % 10);
}

enum cmd_outcome cmd_build_info(struct cmd *c)
{
    char version[16];
    bson_t list;
    version_text(c->hub, version);
    BSON_APPEND_UTF8(&c->reply, "version", version);
    BSON_APPEND_UTF8(&c->reply, "gitVersion", "mongosim");
    BSON_APPEND_ARRAY_BEGIN(&c->reply, "modules", &list);
    bson_append_array_end(&c->reply, &list);
    BSON_APPEND_ARRAY_BEGIN(&c->reply, "versionArray", &list);
    BSON_APPEND_INT32(&list, "0", c->hub->profile->release / 10);
    BSON_APPEND_INT32(&list, "1", c->hub->profile->release % 10);
    BSON_APPEND_INT32(&list, "2", 9);
    BSON_APPEND_INT32(&list, "3", 0);
    bson_append_array_end(&c->reply, &list);
    BSON_APPEND_INT32(&c->reply, "bits", 64);
    BSON_APPEND_BOOL(&c->reply, "debug", false);
    BSON_APPEND_INT32(&c->reply, "maxBsonObjectSize", WIRE_DOCUMENT_MAX);
    return cmd_ok(c);
}

struct pair {
    const char *key;
    int64_t value;
};

static void put_pairs(bson_t *to, const char *key, const struct pair *pairs, size_t count)
{
    bson_t doc;
    BSON_APPEND_DOCUMENT_BEGIN(to, key, &doc);
    for (size_t i = 0; i < count; i++) {
        BSON_APPEND_INT64(&doc, pairs[i].key, pairs[i].value);
    }
    bson_append_document_end(to, &doc);
}
#define PUT(to, key, ...) \
    put_pairs(to, key, (const struct pair[]){__VA_ARGS__}, \
              sizeof((const struct pair[]){__VA_ARGS__}) / sizeof(struct pair))

static void put_engine(bson_t *to, const struct mset_server_status *s)
{
    bson_t tiger, engine;
    const int64_t most = INT64_C(256) << 20;
    BSON_APPEND_DOCUMENT_BEGIN(to, "storageEngine", &engine);
    BSON_APPEND_UTF8(&engine, "name", "wiredTiger");
    BSON_APPEND_BOOL(&engine, "persistent", true);
    bson_append_document_end(to, &engine);
    BSON_APPEND_DOCUMENT_BEGIN(to, "wiredTiger", &tiger);
    PUT(&tiger, "cache", {"bytes currently in the cache", most / 4},
        {"maximum bytes configured", most},
        {"tracked dirty bytes in the cache", most * s->cache_dirty_permille / 1000});
    bson_append_document_end(to, &tiger);
    PUT(to, "oplogTruncation", {"processingMethod", 0}, {"truncateCount", 0});
}

static void put_counters(struct cmd *c, bson_t *to, const struct mset_server_status *s)
{
    int64_t n = (int64_t)c->hub->commands;
    PUT(to, "asserts", {"regular", 0}, {"warning", 0}, {"msg", 0}, {"user", 0}, {"rollovers", 0});
    PUT(to, "connections", {"current", s->connections}, {"available", 1000},
        {"totalCreated", conn_session(c->conn)->number});
    PUT(to, "network", {"bytesIn", n * 100}, {"bytesOut", n * 400}, {"numRequests", n});
    PUT(to, "opcounters", {"insert", (int64_t)c->hub->writes_count}, {"query", n}, {"update", 0},
        {"delete", 0}, {"getmore", 0}, {"command", n});
    PUT(to, "opcountersRepl", {"insert", 0}, {"query", 0}, {"update", 0}, {"delete", 0},
        {"getmore", 0}, {"command", 0});
    PUT(to, "mem", {"bits", 64}, {"resident", 64}, {"virtual", 256});
}

enum cmd_outcome cmd_server_status(struct cmd *c)
{
    struct mset_server_status s;
    bson_t repl;
    char version[16];
    bson_t *to = &c->reply;
    mset_server_status(c->hub->set, c->node->index, &s);
    version_text(c->hub, version);
    BSON_APPEND_UTF8(to, "host", c->node->host);
    BSON_APPEND_UTF8(to, "version", version);
    BSON_APPEND_UTF8(to, "process", "mongod");
    BSON_APPEND_INT64(to, "pid", getpid());
    BSON_APPEND_DOUBLE(to, "uptime", (double)s.uptime_us / 1e6);
    BSON_APPEND_INT64(to, "uptimeMillis", s.uptime_us / 1000);
    BSON_APPEND_INT64(to, "uptimeEstimate", s.uptime_us / 1000000);
    put_date(to, "localTime", hub_wall_us(c->hub) - c->node->faults.back_us);
    put_counters(c, to, &s);
    BSON_APPEND_DOCUMENT_BEGIN(to, "repl", &repl);
    cmd_hello_fill(c, &repl, true);
    bson_append_document_end(to, &repl);
    put_engine(to, &s);
    return cmd_ok(c);
}

/* Databases or collections, each once. */
enum cmd_outcome cmd_list_databases(struct cmd *c)
{
    char names[64][128];
    bson_t list, item;
    size_t count = data_collections(c->hub, c->node->index, names, 62);
    snprintf(names[count++], sizeof names[0], "admin.");
    snprintf(names[count++], sizeof names[0], "local.");
    uint32_t n = 0;
    BSON_APPEND_ARRAY_BEGIN(&c->reply, "databases", &list);
    for (size_t i = 0; i < count; i++) {
        size_t len = strcspn(names[i], "."), before = 0;
        while (before < i && strncmp(names[before], names[i], len + 1) != 0) {
            before++;
        }
        if (before < i) {
            continue;
        }
        char memory[16];
        const char *index;
        bson_uint32_to_string(n++, &index, memory, sizeof memory);
        BSON_APPEND_DOCUMENT_BEGIN(&list, index, &item);
        bson_append_utf8(&item, "name", -1, names[i], (int)len);
        BSON_APPEND_INT64(&item, "sizeOnDisk", 4096);
        BSON_APPEND_BOOL(&item, "empty", false);
        bson_append_document_end(&list, &item);
    }
    bson_append_array_end(&c->reply, &list);
    BSON_APPEND_INT64(&c->reply, "totalSize", (int64_t)n * 4096);
    return cmd_ok(c);
}

enum cmd_outcome cmd_list_collections(struct cmd *c)
{
    char names[64][128];
    bson_t cursor, list, item;
    size_t count = data_collections(c->hub, c->node->index, names, 64);
    size_t len = strlen(c->request->db);
    uint32_t n = 0;
    BSON_APPEND_DOCUMENT_BEGIN(&c->reply, "cursor", &cursor);
    BSON_APPEND_INT64(&cursor, "id", 0);
    BSON_APPEND_UTF8(&cursor, "ns", c->request->db);
    BSON_APPEND_ARRAY_BEGIN(&cursor, "firstBatch", &list);
    for (size_t i = 0; i < count; i++) {
        if (strncmp(names[i], c->request->db, len) != 0 || names[i][len] != '.') {
            continue;
        }
        char memory[16];
        const char *index;
        bson_uint32_to_string(n++, &index, memory, sizeof memory);
        BSON_APPEND_DOCUMENT_BEGIN(&list, index, &item);
        BSON_APPEND_UTF8(&item, "name", names[i] + len + 1);
        BSON_APPEND_UTF8(&item, "type", "collection");
        bson_append_document_end(&list, &item);
    }
    bson_append_array_end(&cursor, &list);
    bson_append_document_end(&c->reply, &cursor);
    return cmd_ok(c);
}

enum cmd_outcome cmd_get_parameter(struct cmd *c)
{
    char version[8];
    bson_t item;
    snprintf(version, sizeof version, "%u.%u", c->hub->profile->release / 10,
             c->hub->profile->release % 10);
    BSON_APPEND_DOCUMENT_BEGIN(&c->reply, "featureCompatibilityVersion", &item);
    BSON_APPEND_UTF8(&item, "version", version);
    bson_append_document_end(&c->reply, &item);
    return cmd_ok(c);
}

enum cmd_outcome cmd_host_info(struct cmd *c)
{
    bson_t system;
    BSON_APPEND_DOCUMENT_BEGIN(&c->reply, "system", &system);
    put_date(&system, "currentTime", hub_wall_us(c->hub));
    BSON_APPEND_UTF8(&system, "hostname", c->node->host);
    bson_append_document_end(&c->reply, &system);
    return cmd_ok(c);
}

enum cmd_outcome cmd_stats(struct cmd *c)
{
    char names[64][128];
    size_t count = data_collections(c->hub, c->node->index, names, 64);
    BSON_APPEND_UTF8(&c->reply, "db", c->request->db);
    BSON_APPEND_INT64(&c->reply, "collections", (int64_t)count);
    BSON_APPEND_INT64(&c->reply, "objects", (int64_t)c->hub->writes_count);
    BSON_APPEND_INT64(&c->reply, "count", (int64_t)c->hub->writes_count);
    BSON_APPEND_INT64(&c->reply, "dataSize", 4096);
    BSON_APPEND_INT64(&c->reply, "size", 4096);
    BSON_APPEND_INT64(&c->reply, "storageSize", 4096);
    BSON_APPEND_INT64(&c->reply, "indexes", 1);
    BSON_APPEND_INT64(&c->reply, "indexSize", 4096);
    return cmd_ok(c);
}

enum cmd_outcome cmd_top(struct cmd *c)
{
    bson_t totals;
    BSON_APPEND_DOCUMENT_BEGIN(&c->reply, "totals", &totals);
    BSON_APPEND_UTF8(&totals, "note", "all times in microseconds");
    bson_append_document_end(&c->reply, &totals);
    return cmd_ok(c);
}

enum cmd_outcome cmd_options(struct cmd *c)
{
    bson_t list, parsed = BSON_INITIALIZER;
    BSON_APPEND_ARRAY_BEGIN(&c->reply, "argv", &list);
    BSON_APPEND_UTF8(&list, "0", "mongod");
    bson_append_array_end(&c->reply, &list);
    BSON_APPEND_DOCUMENT(&c->reply, "parsed", &parsed);
    return cmd_ok(c);
}

enum cmd_outcome cmd_log(struct cmd *c)
{
    bson_t list;
    BSON_APPEND_INT32(&c->reply, "totalLinesWritten", 0);
    BSON_APPEND_ARRAY_BEGIN(&c->reply, "log", &list);
    bson_append_array_end(&c->reply, &list);
    return cmd_ok(c);
}
