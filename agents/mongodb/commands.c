/* SPDX-License-Identifier: Apache-2.0 */
/* See commands.h. */
#include "agents/mongodb/commands.h"

#include <string.h>

#include "agents/mongodb/bson.h"
#include "agents/mongodb/change.h"
#include "base/assert.h"

#define ROW(id_, name_, db_, right_, max_, wait_) \
    {.name = (name_), .db = (db_), .right = (right_), .max_ms = (max_), .wait_ms = (wait_)},
static const struct mdb_ask_row rows[] = {MDB_ASKS(ROW)};
_Static_assert(BASE_COUNT_OF(rows) == MDB_ASK_COUNT, "a row for each command");

const struct mdb_ask_row *mdb_ask_row(enum mdb_ask ask)
{
    BASE_ASSERT(ask < MDB_ASK_COUNT);
    return &rows[ask];
}

static bool put_hello(bson_t *d, const struct mdb_ask_args *args)
{
    bson_t part;
    bson_oid_t oid;
    if (args->topology == NULL || !args->topology->is_known) {
        return true;
    }
    memcpy(oid.bytes, args->topology->process_id, sizeof(oid.bytes));
    return bson_append_document_begin(d, "topologyVersion", -1, &part) &&
           bson_append_oid(&part, "processId", -1, &oid) &&
           bson_append_int64(&part, "counter", -1, args->topology->counter) &&
           bson_append_document_end(d, &part) &&
           bson_append_int64(d, "maxAwaitTimeMS", -1, (int64_t)args->await_ms);
}

/* What is large and not looked at stays away. */
static bool put_server(bson_t *d)
{
    static const char *const without[] = {"metrics",
                                          "locks",
                                          "tcmalloc",
                                          "mirroredReads",
                                          "opLatencies",
                                          "globalLock",
                                          "logicalSessionRecordCache",
                                          "transactions",
                                          "network",
                                          "security",
                                          "opcounters",
                                          "opcountersRepl",
                                          "twoPhaseCommitCoordinator"};
    bool is_good = true;
    for (size_t i = 0; i < BASE_COUNT_OF(without) && is_good; i++) {
        is_good = bson_append_int32(d, without[i], -1, 0);
    }
    return is_good;
}

static bool put_oplog(bson_t *d, int32_t direction)
{
    bson_t part;
    return bson_append_document_begin(d, "projection", -1, &part) &&
           bson_append_int32(&part, "ts", -1, 1) && bson_append_document_end(d, &part) &&
           bson_append_document_begin(d, "sort", -1, &part) &&
           bson_append_int32(&part, "$natural", -1, direction) &&
           bson_append_document_end(d, &part) && bson_append_int32(d, "limit", -1, 1) &&
           bson_append_bool(d, "singleBatch", -1, true);
}

/* One document, of this member, over and over. w:1: whether others have it is not the question. */
static bool put_canary(bson_t *d, const struct mdb_ask_args *args)
{
    bson_t updates;
    bson_t update;
    bson_t part;
    bson_t inner;
    return bson_append_array_begin(d, "updates", -1, &updates) &&
           bson_append_document_begin(&updates, "0", -1, &update) &&
           bson_append_document_begin(&update, "q", -1, &part) &&
           bson_append_utf8(&part, "_id", -1, "canary", -1) &&
           bson_append_document_end(&update, &part) &&
           bson_append_document_begin(&update, "u", -1, &part) &&
           bson_append_document_begin(&part, "$set", -1, &inner) &&
           bson_append_int64(&inner, "n", -1, (int64_t)args->number) &&
           bson_append_document_end(&part, &inner) && bson_append_document_end(&update, &part) &&
           bson_append_bool(&update, "upsert", -1, true) &&
           bson_append_document_end(&updates, &update) && bson_append_array_end(d, &updates) &&
           bson_append_document_begin(d, "writeConcern", -1, &part) &&
           bson_append_int32(&part, "w", -1, 1) && bson_append_document_end(d, &part);
}

static bool put_initiate(bson_t *d, const struct mdb_ask_args *args)
{
    bson_t config;
    bson_t members;
    bson_t member;
    bson_t settings;
    bool is_good = bson_append_document_begin(d, "replSetInitiate", -1, &config) &&
                   bson_append_utf8(&config, "_id", -1, args->set_name->text, -1) &&
                   bson_append_int32(&config, "version", -1, 1) &&
                   bson_append_array_begin(&config, "members", -1, &members) &&
                   bson_append_document_begin(&members, "0", -1, &member) &&
                   bson_append_int32(&member, "_id", -1, 0) &&
                   bson_append_utf8(&member, "host", -1, args->order->host.text, -1) &&
                   bson_append_document_end(&members, &member) &&
                   bson_append_array_end(&config, &members);
    if (is_good && args->order->election_timeout_ms > 0) {
        is_good = bson_append_document_begin(&config, "settings", -1, &settings) &&
                  bson_append_int64(&settings, "electionTimeoutMillis", -1,
                                    (int64_t)args->order->election_timeout_ms) &&
                  bson_append_document_end(&config, &settings);
    }
    return is_good && bson_append_document_end(d, &config);
}

static bool put_concern(bson_t *d, bool is_majority)
{
    bson_t part;
    return bson_append_document_begin(d, "defaultWriteConcern", -1, &part) &&
           (is_majority ? bson_append_utf8(&part, "w", -1, "majority", -1)
                        : bson_append_int32(&part, "w", -1, 1)) &&
           bson_append_int32(&part, "wtimeout", -1, 0) && bson_append_document_end(d, &part);
}

/* The period must be longer than the wait for a secondary. */
static bool put_step_down(bson_t *d, const struct db_mongodb_order *order)
{
    int64_t seconds = order->seconds > 0 ? order->seconds : 60;
    int64_t wait = order->is_forced ? 0 : order->catch_up_s;
    return bson_append_int64(d, "replSetStepDown", -1, seconds > wait ? seconds : wait + 1) &&
           bson_append_int64(d, "secondaryCatchUpPeriodSecs", -1, wait) &&
           bson_append_bool(d, "force", -1, order->is_forced);
}

static bool put_shutdown(bson_t *d, const struct db_mongodb_order *order)
{
    return bson_append_bool(d, "force", -1, order->is_forced) &&
           bson_append_int64(d, "timeoutSecs", -1, order->is_forced ? 0 : order->catch_up_s);
}

/* Those whose first element is not simply 1. */
static bool put_first(bson_t *d, enum mdb_ask ask, const struct mdb_ask_args *args)
{
    const char *name = rows[ask].name;
    switch ((int)ask) {
    case MDB_ASK_OPLOG_FIRST:
    case MDB_ASK_OPLOG_LAST:
        return bson_append_utf8(d, name, -1, "oplog.rs", -1);
    case MDB_ASK_CANARY:
        return bson_append_utf8(d, name, -1, MDB_CANARY_COLLECTION, -1);
    case MDB_ASK_FREEZE:
        return bson_append_int64(d, name, -1, (int64_t)args->order->seconds);
    case MDB_ASK_INITIATE:
        return put_initiate(d, args);
    case MDB_ASK_STEP_DOWN:
        return put_step_down(d, args->order);
    default:
        return bson_append_int32(d, name, -1, 1);
    }
}

static bool put_rest(bson_t *d, enum mdb_ask ask, const struct mdb_ask_args *args)
{
    switch ((int)ask) {
    case MDB_ASK_HELLO:
        return put_hello(d, args);
    case MDB_ASK_CONFIG:
        return !args->is_primary || bson_append_bool(d, "commitmentStatus", -1, true);
    case MDB_ASK_SERVER:
        return put_server(d);
    case MDB_ASK_OPLOG_FIRST:
        return put_oplog(d, 1);
    case MDB_ASK_OPLOG_LAST:
        return put_oplog(d, -1);
    case MDB_ASK_DATABASES:
        return bson_append_bool(d, "nameOnly", -1, true);
    case MDB_ASK_RIGHTS:
        return bson_append_bool(d, "showPrivileges", -1, true);
    case MDB_ASK_CANARY:
        return put_canary(d, args);
    case MDB_ASK_SET_CONCERN:
        return put_concern(d, args->order->is_majority);
    case MDB_ASK_SHUTDOWN:
        return put_shutdown(d, args->order);
    default:
        return true;
    }
}

int mdb_ask_put(enum mdb_ask ask, const struct mdb_ask_args *args, struct buf *b)
{
    bson_t doc;
    BASE_ASSERT(ask < MDB_ASK_COUNT);
    const struct mdb_ask_row *row = &rows[ask];
    if (ask == MDB_ASK_RECONFIG) {
        return mdb_change_put(args->config, args->order, row->max_ms, b);
    }
    bson_init(&doc);
    bool is_good = put_first(&doc, ask, args) && put_rest(&doc, ask, args);
    if (is_good && row->max_ms > 0) {
        is_good = bson_append_int64(&doc, "maxTimeMS", -1, (int64_t)row->max_ms);
    }
    if (is_good) {
        buf_put(b, slice_from(bson_get_data(&doc), doc.len));
    }
    bson_destroy(&doc);
    return is_good && !b->is_full ? 0 : BASE_E_TOOBIG;
}
