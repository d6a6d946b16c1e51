/* SPDX-License-Identifier: Apache-2.0 */
/* See read.h. */
#include "agents/mongodb/read.h"

#include <string.h>

#include "agents/mongodb/bson.h"
#include "base/name.h"

#define RANGE(value, max) ((value) < 0 ? 0 : (value) > (max) ? (max) : (value))

static bool has_text(struct slice where, const char *what)
{
    size_t len = strlen(what);
    for (size_t i = 0; i + len <= where.len; i++) {
        if (memcmp(where.data + i, what, len) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_text(struct slice text, const char *what)
{
    return slice_equal(text, slice_from_text(what));
}

/* --- hello --- */

/* An electionId is 7fffffff and the term, eight bytes, most significant first. Drivers order two
 * that claim to be primary by it. */
static uint64_t term_of(const bson_t *doc)
{
    uint8_t id[12];
    uint64_t term = 0;
    if (!mdb_bson_oid(doc, "electionId", id) || id[0] != 0x7f) {
        return 0;
    }
    for (size_t i = 4; i < sizeof(id); i++) {
        term = term << 8 | id[i];
    }
    return term;
}

static void read_topology(const bson_t *doc, struct mdb_topology *ret)
{
    bson_t part;
    memset(ret, 0, sizeof(*ret));
    if (mdb_bson_part(doc, "topologyVersion", &part) &&
        mdb_bson_oid(&part, "processId", ret->process_id)) {
        ret->counter = mdb_bson_number(&part, "counter", -1);
        ret->is_known = ret->counter >= 0;
    }
}

static void read_last_write(const bson_t *doc, struct db_mongodb_hello *h)
{
    bson_t part;
    if (mdb_bson_part(doc, "lastWrite", &part)) {
        h->applied = mdb_bson_optime(&part, "opTime");
        h->committed = mdb_bson_optime(&part, "majorityOpTime");
        h->applied_ms = mdb_bson_date(&part, "lastWriteDate");
        h->committed_ms = mdb_bson_date(&part, "majorityWriteDate");
    }
}

int mdb_read_hello(struct slice bson, const struct base_name *set_name,
                   struct db_mongodb_hello *ret, struct mdb_topology *ret_topology)
{
    bson_t doc;
    struct db_mongodb_hello h = {.at = ret->at};
    bson_iter_t it;
    if (!mdb_bson_open(bson, &doc) || !mdb_bson_find(&doc, "maxWireVersion", &it)) {
        return BASE_E_PROTO;
    }
    struct slice name = mdb_bson_text(&doc, "setName");
    h.is_writable =
        mdb_bson_bool(&doc, "isWritablePrimary", false) || mdb_bson_bool(&doc, "ismaster", false);
    h.is_secondary = mdb_bson_bool(&doc, "secondary", false);
    h.is_arbiter = mdb_bson_bool(&doc, "arbiterOnly", false);
    h.self = mdb_bson_host(&doc, "me");
    h.primary = mdb_bson_host(&doc, "primary");
    h.is_in_set = name.len > 0 && h.self.text[0] != '\0';
    h.is_set_name_wrong = name.len > 0 && !is_text(name, set_name->text);
    /* Alone, outside of any set, a mongod says ismaster: not what we mean by primary. */
    h.is_writable = h.is_writable && h.is_in_set;
    h.term = h.is_writable ? term_of(&doc) : 0;
    h.version = (uint64_t)RANGE(mdb_bson_number(&doc, "setVersion", 0), INT64_MAX);
    h.wire_version = (uint16_t)RANGE(mdb_bson_number(&doc, "maxWireVersion", 0), UINT16_MAX);
    read_last_write(&doc, &h);
    read_topology(&doc, ret_topology);
    memcpy(h.process_id, ret_topology->process_id, sizeof(h.process_id));
    *ret = h;
    return 0;
}

/* --- status --- */

static uint32_t heard_ms(const bson_t *member, int64_t now_ms)
{
    int64_t at = mdb_bson_date(member, "lastHeartbeatRecv");
    return at <= 0 || now_ms <= 0 ? UINT32_MAX
                                  : (uint32_t)RANGE(now_ms - at, (int64_t)UINT32_MAX - 1);
}

static void read_self(const bson_t *member, struct db_mongodb_status *st)
{
    static const char *const places[] = {"infoMessage", "errmsg", "lastHeartbeatMessage"};
    for (size_t i = 0; i < BASE_COUNT_OF(places); i++) {
        struct slice text = mdb_bson_text(member, places[i]);
        st->is_too_stale = st->is_too_stale || has_text(text, "too stale") ||
                           has_text(text, "Too stale") || has_text(text, "RS102");
    }
    if (st->sync_source.text[0] == '\0') {
        st->sync_source = mdb_bson_host(member, "syncSourceHost");
    }
}

static int read_peer(const bson_iter_t *it, int64_t now_ms, struct db_mongodb_status *st)
{
    bson_t member;
    if (!mdb_iter_part(it, &member)) {
        return 0;
    }
    if (st->peers_count == MSG_MONGODB_PEERS_MAX) {
        return BASE_E_PROTO;
    }
    struct msg_mongodb_peer *peer = &st->peers[st->peers_count];
    *peer = (struct msg_mongodb_peer){
        .id = (uint32_t)RANGE(mdb_bson_number(&member, "_id", 0), (int64_t)UINT32_MAX),
        .host = mdb_bson_host(&member, "name"),
        .is_self = mdb_bson_bool(&member, "self", false),
        .is_healthy = mdb_bson_number(&member, "health", 0) == 1,
        .state = (uint8_t)RANGE(mdb_bson_number(&member, "state", 6), UINT8_MAX),
        .ping_ms = (uint32_t)RANGE(mdb_bson_number(&member, "pingMs", 0), (int64_t)UINT32_MAX),
        .optime = mdb_bson_optime(&member, "optime"),
        .heard_ms = heard_ms(&member, now_ms),
    };
    if (peer->host.text[0] == '\0') {
        return 0;
    }
    if (peer->is_self) {
        peer->heard_ms = 0;
        read_self(&member, st);
    }
    st->peers_count++;
    return 0;
}

/* From 4.4 by bytes; before that by databases. */
static uint16_t sync_permille(const bson_t *doc)
{
    bson_t sync;
    bson_t databases;
    if (!mdb_bson_part(doc, "initialSyncStatus", &sync)) {
        return 0;
    }
    int64_t total = mdb_bson_number(&sync, "approxTotalDataSize", 0);
    int64_t done = mdb_bson_number(&sync, "approxTotalBytesCopied", 0);
    if (total <= 0 && mdb_bson_part(&sync, "databases", &databases)) {
        done = mdb_bson_number(&databases, "databasesCloned", 0);
        total = done + RANGE(mdb_bson_number(&databases, "databasesToClone", 0), INT64_MAX / 4);
    }
    if (total <= 0 || done <= 0) {
        return 0;
    }
    return done >= total ? 1000 : (uint16_t)((double)done * 1000.0 / (double)total);
}

int mdb_read_status(struct slice bson, struct db_mongodb_status *ret)
{
    bson_t doc;
    bson_t part;
    bson_iter_t it;
    struct db_mongodb_status st = {.at = ret->at};
    if (!mdb_bson_open(bson, &doc) || !mdb_bson_part(&doc, "members", &part)) {
        return BASE_E_PROTO;
    }
    int64_t now_ms = mdb_bson_date(&doc, "date");
    st.state = (uint8_t)RANGE(mdb_bson_number(&doc, "myState", 6), UINT8_MAX);
    st.term = (uint64_t)RANGE(mdb_bson_number(&doc, "term", 0), INT64_MAX);
    st.majority = (uint8_t)RANGE(mdb_bson_number(&doc, "majorityVoteCount", 0), UINT8_MAX);
    st.sync_source = mdb_bson_host(&doc, "syncSourceHost");
    st.sync_permille = sync_permille(&doc);
    st.is_too_stale = mdb_bson_bool(&doc, "tooStale", false);
    if (!bson_iter_init(&it, &part)) {
        return BASE_E_PROTO;
    }
    while (bson_iter_next(&it)) {
        int rc = read_peer(&it, now_ms, &st);
        if (rc != 0) {
            return rc;
        }
    }
    st.is_maintenance = !st.is_too_stale && mdb_bson_number(&doc, "maintenanceMode", 0) > 0;
    if (mdb_bson_part(&doc, "optimes", &part)) {
        st.applied = mdb_bson_optime(&part, "appliedOpTime");
        st.committed = mdb_bson_optime(&part, "lastCommittedOpTime");
    }
    *ret = st;
    return 0;
}

/* --- configuration --- */

/* Tenths, rounded up, so that 0 means 0: 0.01 may be elected. */
static uint16_t read_priority(const bson_t *member)
{
    bson_iter_t it;
    if (!mdb_bson_find(member, "priority", &it)) {
        return 10;
    }
    if (!BSON_ITER_HOLDS_DOUBLE(&it)) {
        return (uint16_t)(RANGE(mdb_iter_number(&it, 1), 1000) * 10);
    }
    double value = bson_iter_double(&it);
    if (!(value > 0)) {
        return 0;
    }
    if (value >= 1000) {
        return 10000;
    }
    double tenths = value * 10;
    uint16_t whole = (uint16_t)tenths;
    return (double)whole < tenths ? (uint16_t)(whole + 1) : whole;
}

static int read_member(const bson_iter_t *it, struct db_mongodb_config *config)
{
    bson_t member;
    if (!mdb_iter_part(it, &member) || config->peers_count == MSG_MONGODB_PEERS_MAX) {
        return BASE_E_PROTO;
    }
    struct msg_mongodb_peer *peer = &config->peers[config->peers_count];
    *peer = (struct msg_mongodb_peer){
        .id = (uint32_t)RANGE(mdb_bson_number(&member, "_id", 0), (int64_t)UINT32_MAX),
        .host = mdb_bson_host(&member, "host"),
        .votes = mdb_bson_number(&member, "votes", 1) != 0,
        .priority_x10 = read_priority(&member),
        .is_arbiter = mdb_bson_bool(&member, "arbiterOnly", false),
        .is_hidden = mdb_bson_bool(&member, "hidden", false),
        .is_newly_added = mdb_bson_bool(&member, "newlyAdded", false),
        .heard_ms = UINT32_MAX,
    };
    if (peer->host.text[0] == '\0') {
        return BASE_E_PROTO;
    }
    config->peers_count++;
    return 0;
}

static void sort_by_id(struct db_mongodb_config *config)
{
    for (size_t i = 1; i < config->peers_count; i++) {
        for (size_t j = i; j > 0 && config->peers[j].id < config->peers[j - 1].id; j--) {
            struct msg_mongodb_peer swap = config->peers[j];
            config->peers[j] = config->peers[j - 1];
            config->peers[j - 1] = swap;
        }
    }
}

static void read_settings(const bson_t *doc, struct db_mongodb_config *config)
{
    bson_t part;
    config->election_timeout_ms = 10000;
    config->heartbeat_ms = 2000;
    if (mdb_bson_part(doc, "settings", &part)) {
        (void)mdb_bson_oid(&part, "replicaSetId", config->set_id);
        config->election_timeout_ms = (uint32_t)RANGE(
            mdb_bson_number(&part, "electionTimeoutMillis", 10000), (int64_t)UINT32_MAX);
        config->heartbeat_ms = (uint32_t)RANGE(
            mdb_bson_number(&part, "heartbeatIntervalMillis", 2000), (int64_t)UINT32_MAX);
    }
}

int mdb_read_config(struct slice bson, struct db_mongodb_config *ret)
{
    bson_t reply;
    bson_t doc;
    bson_t members;
    bson_iter_t it;
    struct db_mongodb_config config = {.at = ret->at};
    if (!mdb_bson_open(bson, &reply) || !mdb_bson_part(&reply, "config", &doc) ||
        !mdb_bson_part(&doc, "members", &members) || !bson_iter_init(&it, &members)) {
        return BASE_E_PROTO;
    }
    config.version.version = (uint64_t)RANGE(mdb_bson_number(&doc, "version", 0), INT64_MAX);
    config.version.term = (uint64_t)RANGE(mdb_bson_number(&doc, "term", 0), INT64_MAX);
    config.is_committed = mdb_bson_bool(&reply, "commitmentStatus", false);
    while (bson_iter_next(&it)) {
        int rc = read_member(&it, &config);
        if (rc != 0) {
            return rc;
        }
    }
    if (config.version.version == 0 || config.peers_count == 0) {
        return BASE_E_PROTO;
    }
    sort_by_id(&config);
    read_settings(&doc, &config);
    *ret = config;
    return 0;
}

int mdb_read_config_advice(struct slice bson, struct mdb_config_advice *ret)
{
    bson_t reply;
    bson_t doc;
    bson_t members;
    bson_t member;
    bson_iter_t it;
    struct mdb_config_advice advice = {0};
    if (!mdb_bson_open(bson, &reply) || !mdb_bson_part(&reply, "config", &doc) ||
        !mdb_bson_part(&doc, "members", &members) || !bson_iter_init(&it, &members)) {
        return BASE_E_PROTO;
    }
    advice.is_majority_memory = !mdb_bson_bool(&doc, "writeConcernMajorityJournalDefault", true);
    while (bson_iter_next(&it)) {
        struct slice host =
            mdb_iter_part(&it, &member) ? mdb_bson_text(&member, "host") : SLICE_EMPTY;
        advice.has_localhost =
            advice.has_localhost || slice_has_prefix(host, SLICE_LIT("localhost")) ||
            slice_has_prefix(host, SLICE_LIT("127.")) || slice_has_prefix(host, SLICE_LIT("[::1]"));
    }
    *ret = advice;
    return 0;
}

/* --- the rest --- */

/* "7.0.5" is 70005. */
static uint32_t read_version(struct slice text)
{
    uint32_t parts[3] = {0};
    size_t part = 0;
    for (size_t i = 0; i < text.len && part < BASE_COUNT_OF(parts); i++) {
        bool is_digit = text.data[i] >= '0' && text.data[i] <= '9';
        if (is_digit && parts[part] < 1000) {
            parts[part] = parts[part] * 10 + (uint32_t)(text.data[i] - '0');
        } else if (text.data[i] == '.') {
            part++;
        } else {
            break; /* 8.0.0-rc1 */
        }
    }
    return parts[0] * 10000 + parts[1] * 100 + parts[2];
}

int mdb_read_server(struct slice bson, struct mdb_server *ret)
{
    bson_t doc;
    bson_t part;
    bson_t cache;
    struct mdb_server server = {0};
    if (!mdb_bson_open(bson, &doc)) {
        return BASE_E_PROTO;
    }
    if (mdb_bson_part(&doc, "wiredTiger", &part) && mdb_bson_part(&part, "cache", &cache)) {
        int64_t size = mdb_bson_number(&cache, "maximum bytes configured", 0);
        int64_t dirty = mdb_bson_number(&cache, "tracked dirty bytes in the cache", 0);
        if (size > 0 && dirty > 0) {
            server.dirty_permille =
                dirty >= size ? 1000 : (uint16_t)((double)dirty * 1000.0 / (double)size);
        }
    }
    server.version = read_version(mdb_bson_text(&doc, "version"));
    if (mdb_bson_part(&doc, "connections", &part)) {
        int64_t used = RANGE(mdb_bson_number(&part, "current", 0), (int64_t)INT32_MAX);
        int64_t left = RANGE(mdb_bson_number(&part, "available", 0), (int64_t)INT32_MAX);
        server.connections = (uint32_t)used;
        server.connections_max = (uint32_t)(used + left);
    }
    *ret = server;
    return 0;
}

int mdb_read_write(struct slice bson, int32_t *ret_code)
{
    bson_t doc;
    bson_t errors;
    bson_t error;
    bson_iter_t it;
    if (!mdb_bson_open(bson, &doc)) {
        return BASE_E_PROTO;
    }
    int64_t code = 0;
    if (mdb_bson_part(&doc, "writeErrors", &errors) && bson_iter_init(&it, &errors) &&
        bson_iter_next(&it) && mdb_iter_part(&it, &error)) {
        code = mdb_bson_number(&error, "code", 8);
    } else if (mdb_bson_part(&doc, "writeConcernError", &error)) {
        code = mdb_bson_number(&error, "code", 8);
    }
    *ret_code = (int32_t)RANGE(code, (int64_t)INT32_MAX);
    return 0;
}

int mdb_read_oplog(struct slice bson, uint64_t *ret_ts)
{
    bson_t doc;
    bson_t cursor;
    bson_t batch;
    bson_t entry;
    bson_iter_t it;
    if (!mdb_bson_open(bson, &doc) || !mdb_bson_part(&doc, "cursor", &cursor) ||
        !mdb_bson_part(&cursor, "firstBatch", &batch) || !bson_iter_init(&it, &batch)) {
        return BASE_E_PROTO;
    }
    *ret_ts =
        bson_iter_next(&it) && mdb_iter_part(&it, &entry) ? mdb_bson_timestamp(&entry, "ts") : 0;
    return 0;
}

int mdb_read_databases(struct slice bson, bool *ret_has_others)
{
    static const char *const own[] = {"admin", "config", "local"};
    bson_t doc;
    bson_t list;
    bson_t entry;
    bson_iter_t it;
    bool has_others = false;
    if (!mdb_bson_open(bson, &doc) || !mdb_bson_part(&doc, "databases", &list) ||
        !bson_iter_init(&it, &list)) {
        return BASE_E_PROTO;
    }
    while (bson_iter_next(&it)) {
        bool is_own = !mdb_iter_part(&it, &entry);
        for (size_t i = 0; i < BASE_COUNT_OF(own) && !is_own; i++) {
            is_own = is_text(mdb_bson_text(&entry, "name"), own[i]);
        }
        has_others = has_others || !is_own;
    }
    *ret_has_others = has_others;
    return 0;
}

/* 4.4 tells nothing where none is set, and means w:1 then; 5.0 tells its source. */
int mdb_read_concern(struct slice bson, enum msg_mongodb_default_concern *ret)
{
    bson_t doc;
    bson_t concern;
    bson_iter_t it;
    if (!mdb_bson_open(bson, &doc)) {
        return BASE_E_PROTO;
    }
    bool is_set = !is_text(mdb_bson_text(&doc, "defaultWriteConcernSource"), "implicit");
    if (!mdb_bson_part(&doc, "defaultWriteConcern", &concern) ||
        !mdb_bson_find(&concern, "w", &it)) {
        *ret = MSG_MONGODB_CONCERN_IMPLICIT_ONE;
        return 0;
    }
    bool is_majority = is_text(mdb_bson_text(&concern, "w"), "majority");
    bool is_one = mdb_iter_number(&it, 0) == 1 || !mdb_bson_bool(&concern, "j", true);
    if (!is_set) {
        *ret =
            is_majority ? MSG_MONGODB_CONCERN_IMPLICIT_MAJORITY : MSG_MONGODB_CONCERN_IMPLICIT_ONE;
    } else if (is_one) {
        *ret = MSG_MONGODB_CONCERN_SET_ONE;
    } else {
        *ret = is_majority ? MSG_MONGODB_CONCERN_SET_MAJORITY : MSG_MONGODB_CONCERN_SET_OTHER;
    }
    return 0;
}
