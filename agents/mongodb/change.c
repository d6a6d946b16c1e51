/* SPDX-License-Identifier: Apache-2.0 */
/* See change.h. */
#include "agents/mongodb/change.h"

#include <stdio.h>
#include <string.h>

#include "agents/mongodb/bson.h"
#include "agents/mongodb/read.h"

#define APPEND(status, call) ((status) != 0 ? (status) : (call) ? 0 : BASE_E_TOOBIG)

static const struct msg_mongodb_peer *find(const struct db_mongodb_config *config,
                                           const struct msg_mongodb_host *host)
{
    for (size_t i = 0; i < config->peers_count; i++) {
        if (memcmp(&config->peers[i].host, host, sizeof(*host)) == 0) {
            return &config->peers[i];
        }
    }
    return NULL;
}

static bool is_as_wished(const struct msg_mongodb_peer *peer, const struct db_mongodb_order *order)
{
    return peer != NULL && peer->votes == order->votes && peer->priority_x10 == order->priority_x10;
}

static bool is_survivor(const struct db_mongodb_order *order, const struct msg_mongodb_host *host)
{
    for (size_t i = 0; i < order->hosts_count; i++) {
        if (memcmp(&order->hosts[i], host, sizeof(*host)) == 0) {
            return true;
        }
    }
    return false;
}

/* Raised, never lowered: a set of survivors without priority would have nobody to be primary. */
static bool is_raised(const struct msg_mongodb_peer *peer, const struct db_mongodb_order *order)
{
    return peer->votes >= order->votes && peer->priority_x10 >= order->priority_x10;
}

static bool are_survivors(const struct db_mongodb_config *config,
                          const struct db_mongodb_order *order)
{
    for (size_t i = 0; i < config->peers_count; i++) {
        if (!is_survivor(order, &config->peers[i].host)) {
            return false;
        }
    }
    const struct msg_mongodb_peer *peer = find(config, &order->host);
    return config->peers_count == order->hosts_count && (peer == NULL || is_raised(peer, order));
}

bool mdb_change_is_done(const struct db_mongodb_config *config,
                        const struct db_mongodb_order *order)
{
    const struct msg_mongodb_peer *peer = find(config, &order->host);
    switch (order->change) {
    case DB_MONGODB_ADD:
        return is_as_wished(peer, order) && peer->is_arbiter == order->is_arbiter;
    case DB_MONGODB_MEMBER:
        return is_as_wished(peer, order);
    case DB_MONGODB_REMOVE:
        return peer == NULL;
    case DB_MONGODB_TIMEOUTS:
        return config->election_timeout_ms == order->election_timeout_ms;
    case DB_MONGODB_SURVIVORS:
        return are_survivors(config, order);
    case DB_MONGODB_CHANGE_NONE:
    default:
        return false;
    }
}

/* --- is it possible --- */

static int check(const struct db_mongodb_config *config, const struct db_mongodb_order *order)
{
    const struct msg_mongodb_version *expected = &order->expected_config;
    bool is_any = expected->version == 0 && expected->term == 0;
    if (!is_any &&
        (config->version.version != expected->version || config->version.term != expected->term)) {
        return BASE_E_CONFLICT;
    }
    const struct msg_mongodb_peer *peer = find(config, &order->host);
    switch (order->change) {
    case DB_MONGODB_ADD:
        return peer != NULL                                   ? BASE_E_EXISTS
               : config->peers_count == MSG_MONGODB_PEERS_MAX ? BASE_E_NOSPACE
                                                              : 0;
    case DB_MONGODB_MEMBER:
    case DB_MONGODB_REMOVE:
        return peer == NULL ? BASE_E_NOTFOUND : 0;
    case DB_MONGODB_SURVIVORS:
        for (size_t i = 0; i < order->hosts_count; i++) {
            if (find(config, &order->hosts[i]) == NULL) {
                return BASE_E_NOTFOUND;
            }
        }
        return order->hosts_count == 0 ? BASE_E_INVALID : 0;
    case DB_MONGODB_TIMEOUTS:
        return order->election_timeout_ms == 0 ? BASE_E_INVALID : 0;
    case DB_MONGODB_CHANGE_NONE:
    default:
        return BASE_E_INVALID;
    }
}

/* --- the new document --- */

/* Whole tenths as MongoDB writes whole numbers, else as a fraction. */
static int put_priority(bson_t *doc, uint16_t priority_x10)
{
    return priority_x10 % 10 == 0
               ? APPEND(0, bson_append_int32(doc, "priority", -1, priority_x10 / 10))
               : APPEND(0, bson_append_double(doc, "priority", -1, priority_x10 / 10.0));
}

struct rights {
    uint8_t votes;
    uint16_t priority_x10;
};

static int put_rights(bson_t *doc, struct rights rights)
{
    int status = put_priority(doc, rights.priority_x10);
    return APPEND(status, bson_append_int32(doc, "votes", -1, rights.votes));
}

/* False: this member stays as it is. */
static bool changes_rights(const struct db_mongodb_config *config,
                           const struct db_mongodb_order *order,
                           const struct msg_mongodb_host *host, struct rights *ret)
{
    const struct msg_mongodb_peer *peer = find(config, host);
    if (peer == NULL || memcmp(host, &order->host, sizeof(*host)) != 0) {
        return false;
    }
    *ret = (struct rights){order->votes, order->priority_x10};
    if (order->change == DB_MONGODB_SURVIVORS) {
        ret->votes = peer->votes > ret->votes ? peer->votes : ret->votes;
        ret->priority_x10 =
            peer->priority_x10 > ret->priority_x10 ? peer->priority_x10 : ret->priority_x10;
        return !is_raised(peer, order);
    }
    return order->change == DB_MONGODB_MEMBER;
}

/* A member as it stands, with other rights where `rights` says so. newlyAdded is the server's own:
 * it refuses it from others. */
static int put_member(const bson_t *member, const struct rights *rights, bson_t *ret)
{
    bson_iter_t it;
    int status = bson_iter_init(&it, member) ? 0 : BASE_E_PROTO;
    while (status == 0 && bson_iter_next(&it)) {
        const char *key = bson_iter_key(&it);
        bool is_right = strcmp(key, "votes") == 0 || strcmp(key, "priority") == 0;
        if (strcmp(key, "newlyAdded") != 0 && !(rights != NULL && is_right)) {
            status = APPEND(status, bson_append_iter(ret, key, -1, &it));
        }
    }
    return status != 0 || rights == NULL ? status : put_rights(ret, *rights);
}

static int put_new_member(const struct db_mongodb_config *config,
                          const struct db_mongodb_order *order, bson_t *ret)
{
    uint32_t id = config->peers[config->peers_count - 1].id + 1; /* sorted; ids are never reused */
    int status = APPEND(0, bson_append_int32(ret, "_id", -1, (int32_t)id));
    status = APPEND(status, bson_append_utf8(ret, "host", -1, order->host.text, -1));
    if (order->is_arbiter) {
        status = APPEND(status, bson_append_bool(ret, "arbiterOnly", -1, true));
    }
    return status != 0 ? status
                       : put_rights(ret, (struct rights){order->votes, order->priority_x10});
}

static bool stays(const struct db_mongodb_order *order, const struct msg_mongodb_host *host)
{
    bool is_host = memcmp(host, &order->host, sizeof(*host)) == 0;
    return order->change == DB_MONGODB_REMOVE      ? !is_host
           : order->change == DB_MONGODB_SURVIVORS ? is_survivor(order, host)
                                                   : true;
}

struct members {
    const struct db_mongodb_config *config;
    const struct db_mongodb_order *order;
    bson_t *array;
    uint32_t count;
};

static int put_one(struct members *m, const bson_t *member)
{
    bson_t doc;
    char number[16];
    const char *key = NULL;
    bool is_new = member == NULL;
    struct msg_mongodb_host host = is_new ? m->order->host : mdb_bson_host(member, "host");
    if (!is_new && !stays(m->order, &host)) {
        return 0;
    }
    (void)bson_uint32_to_string(m->count++, &key, number, sizeof(number));
    if (!bson_append_document_begin(m->array, key, -1, &doc)) {
        return BASE_E_TOOBIG;
    }
    struct rights rights;
    bool is_changed = !is_new && changes_rights(m->config, m->order, &host, &rights);
    int status = is_new ? put_new_member(m->config, m->order, &doc)
                        : put_member(member, is_changed ? &rights : NULL, &doc);
    return APPEND(status, bson_append_document_end(m->array, &doc));
}

static int put_members(const bson_t *old, const struct db_mongodb_config *config,
                       const struct db_mongodb_order *order, bson_t *ret)
{
    bson_t array;
    bson_t member;
    bson_iter_t it;
    struct members m = {.config = config, .order = order, .array = &array};
    if (!bson_iter_init(&it, old) || !bson_append_array_begin(ret, "members", -1, &array)) {
        return BASE_E_PROTO;
    }
    int status = 0;
    while (status == 0 && bson_iter_next(&it)) {
        status = mdb_iter_part(&it, &member) ? put_one(&m, &member) : BASE_E_PROTO;
    }
    if (status == 0 && order->change == DB_MONGODB_ADD) {
        status = put_one(&m, NULL);
    }
    return APPEND(status, bson_append_array_end(ret, &array));
}

static int put_settings(const bson_t *old, const struct db_mongodb_order *order, bson_t *ret)
{
    bson_t doc;
    bson_iter_t it;
    if (!bson_append_document_begin(ret, "settings", -1, &doc)) {
        return BASE_E_TOOBIG;
    }
    int status = 0;
    bool has_old = old != NULL && bson_iter_init(&it, old);
    while (has_old && status == 0 && bson_iter_next(&it)) {
        const char *key = bson_iter_key(&it);
        if (strcmp(key, "electionTimeoutMillis") != 0) {
            status = APPEND(status, bson_append_iter(&doc, key, -1, &it));
        }
    }
    status = APPEND(status, bson_append_int64(&doc, "electionTimeoutMillis", -1,
                                              (int64_t)order->election_timeout_ms));
    return APPEND(status, bson_append_document_end(ret, &doc));
}

static int put_field(const bson_iter_t *it, const struct db_mongodb_config *config,
                     const struct db_mongodb_order *order, bson_t *ret)
{
    const char *key = bson_iter_key(it);
    bson_t part;
    if (strcmp(key, "version") == 0) {
        return APPEND(0, bson_append_int64(ret, key, -1, (int64_t)config->version.version + 1));
    }
    if (strcmp(key, "members") == 0) {
        const uint8_t *data = NULL;
        uint32_t len = 0;
        if (BSON_ITER_HOLDS_ARRAY(it)) {
            bson_iter_array(it, &len, &data);
        }
        return data != NULL && bson_init_static(&part, data, len)
                   ? put_members(&part, config, order, ret)
                   : BASE_E_PROTO;
    }
    if (strcmp(key, "settings") == 0 && order->change == DB_MONGODB_TIMEOUTS) {
        return mdb_iter_part(it, &part) ? put_settings(&part, order, ret) : BASE_E_PROTO;
    }
    return APPEND(0, bson_append_iter(ret, key, -1, it));
}

static int put_document(const bson_t *old, const struct db_mongodb_config *config,
                        const struct db_mongodb_order *order, bson_t *ret)
{
    bson_iter_t it;
    bson_t settings;
    int status = bson_iter_init(&it, old) ? 0 : BASE_E_PROTO;
    while (status == 0 && bson_iter_next(&it)) {
        status = put_field(&it, config, order, ret);
    }
    if (status == 0 && order->change == DB_MONGODB_TIMEOUTS &&
        !mdb_bson_part(old, "settings", &settings)) {
        status = put_settings(NULL, order, ret);
    }
    return status;
}

static int put_command(const bson_t *old, const struct db_mongodb_config *config,
                       const struct db_mongodb_order *order, uint32_t max_ms, bson_t *command)
{
    bson_t doc;
    if (!bson_append_document_begin(command, "replSetReconfig", -1, &doc)) {
        return BASE_E_TOOBIG;
    }
    int status = put_document(old, config, order, &doc);
    status = APPEND(status, bson_append_document_end(command, &doc));
    if (order->change == DB_MONGODB_SURVIVORS) {
        status = APPEND(status, bson_append_bool(command, "force", -1, true));
    }
    return APPEND(status, bson_append_int64(command, "maxTimeMS", -1, (int64_t)max_ms));
}

int mdb_change_put(struct slice bson, const struct db_mongodb_order *order, uint32_t max_ms,
                   struct buf *b)
{
    bson_t reply;
    bson_t old;
    bson_t command;
    struct db_mongodb_config config = {0};
    int status = mdb_read_config(bson, &config);
    status = status != 0 ? status : check(&config, order);
    if (status != 0) {
        return status;
    }
    if (!mdb_bson_open(bson, &reply) || !mdb_bson_part(&reply, "config", &old)) {
        return BASE_E_PROTO;
    }
    bson_init(&command);
    status = put_command(&old, &config, order, max_ms, &command);
    if (status == 0) {
        buf_put(b, slice_from(bson_get_data(&command), command.len));
        status = b->is_full ? BASE_E_TOOBIG : 0;
    }
    bson_destroy(&command);
    return status;
}
