/* SPDX-License-Identifier: Apache-2.0 */
/* What a running server is asked beside hello, one question after the other over one session: its
 * status every 2 s, its configuration when that has changed, the rest seldom. See db.h. */
#include <string.h>

#include "agents/mongodb/db_internal.h"

#define NOT_INITIALIZED 94
#define INVALID_CONFIG 93
#define UNAUTHORIZED 13
#define STATE_REMOVED 10
#define STATUS_US (2 * BASE_US_PER_S)
#define CONFIG_PRIMARY_US (3 * BASE_US_PER_S) /* commitmentStatus */
#define CONFIG_US (30 * BASE_US_PER_S)
#define SELDOM_US (60 * BASE_US_PER_S)
#define RIGHTS_US (600 * BASE_US_PER_S)
#define REFUSED_US (10 * BASE_US_PER_S)

static void reply_came(void *ctx, const struct mdb_reply *reply);

void mdb_watch_due(struct mdb_db *db, enum mdb_item item)
{
    db->watch.due[item] = BASE_MONO_LONG_AGO;
    mdb_watch_start(db);
}

void mdb_watch_forget(struct mdb_db *db)
{
    for (size_t i = 0; i < MDB_ITEM_COUNT; i++) {
        db->watch.due[i] = i == MDB_ITEM_HELLO ? BASE_MONO_NEVER : BASE_MONO_LONG_AGO;
    }
    db->watch.oplog_first = 0;
    memset(&db->advice.refused, 0, sizeof(db->advice.refused));
    memset(&db->advice.rights, 0, sizeof(db->advice.rights));
    memset(&db->advice.config, 0, sizeof(db->advice.config));
    db->advice.has_rights = false;
}

/* --- answers --- */

static int take_status(struct mdb_db *db, struct slice bson, int32_t code)
{
    struct db_mongodb_status status = {.at = db->watch.asked_at};
    int rc = 0;
    if (code == NOT_INITIALIZED) {
        status.at = BASE_MONO_LONG_AGO;
    } else if (code == INVALID_CONFIG) { /* it knows a configuration, and is not in it */
        status.state = STATE_REMOVED;
    } else {
        rc = mdb_read_status(bson, &status);
    }
    if (rc == 0) {
        db->seen.status = status;
    }
    return rc;
}

static int take_config(struct mdb_db *db, struct slice bson, int32_t code)
{
    struct db_mongodb_config config = {.at = db->watch.asked_at};
    int rc = 0;
    if (code == NOT_INITIALIZED) {
        config.at = BASE_MONO_LONG_AGO;
    } else {
        rc = mdb_read_config(bson, &config);
        rc = rc != 0 ? rc : mdb_read_config_advice(bson, &db->advice.config);
    }
    if (rc == 0) {
        db->seen.config = config;
    }
    return rc;
}

/* Releases before 4.4 have no such command, and take w:1. */
static int take_concern(struct mdb_db *db, struct slice bson, int32_t code)
{
    enum msg_mongodb_default_concern concern = MSG_MONGODB_CONCERN_IMPLICIT_ONE;
    bool is_old = code != 0 && mdb_code_status(code) == BASE_E_UNSUPPORTED;
    int rc = is_old ? 0 : mdb_read_concern(bson, &concern);
    if (rc == 0) {
        db->seen.concern = concern;
        db->seen.concern_at = db->watch.asked_at;
    }
    return rc;
}

static int take_oplog(struct mdb_db *db, struct slice bson, bool is_last)
{
    uint64_t ts = 0;
    int rc = mdb_read_oplog(bson, &ts);
    if (rc == 0 && !is_last) {
        db->watch.oplog_first = ts;
    } else if (rc == 0 && db->watch.oplog_first != 0 && ts >= db->watch.oplog_first) {
        db->seen.oplog_s = (uint32_t)((ts >> 32) - (db->watch.oplog_first >> 32));
    }
    return rc;
}

static int take_rights(struct mdb_db *db, struct slice bson)
{
    int rc = mdb_read_rights(bson, &db->advice.rights);
    db->advice.has_rights = rc == 0;
    return rc;
}

/* 0, or PROTO: an answer that cannot be read, of which nothing is taken. */
static int take(struct mdb_db *db, const struct mdb_reply *reply)
{
    struct mdb_topology ignored;
    switch (db->watch.item) {
    case MDB_ITEM_HELLO:
        return mdb_hello_take(db, reply->bson, db->watch.asked_at, &ignored);
    case MDB_ITEM_STATUS:
        return take_status(db, reply->bson, reply->code);
    case MDB_ITEM_CONFIG:
        return take_config(db, reply->bson, reply->code);
    case MDB_ITEM_CONCERN:
        return take_concern(db, reply->bson, reply->code);
    case MDB_ITEM_RIGHTS:
        return take_rights(db, reply->bson);
    case MDB_ITEM_DATABASES:
        return mdb_read_databases(reply->bson, &db->seen.has_databases);
    case MDB_ITEM_SERVER:
        return mdb_read_server(reply->bson, &db->server);
    case MDB_ITEM_OPLOG_FIRST:
        return take_oplog(db, reply->bson, false);
    case MDB_ITEM_OPLOG_LAST:
        return take_oplog(db, reply->bson, true);
    case MDB_ITEM_COUNT:
    default:
        return 0;
    }
}

/* --- what is next --- */

static int64_t period_us(const struct mdb_db *db, enum mdb_item item)
{
    static const int64_t periods[MDB_ITEM_COUNT] = {
        [MDB_ITEM_STATUS] = STATUS_US,      [MDB_ITEM_CONFIG] = CONFIG_US,
        [MDB_ITEM_CONCERN] = SELDOM_US,     [MDB_ITEM_RIGHTS] = RIGHTS_US,
        [MDB_ITEM_DATABASES] = REFUSED_US,  [MDB_ITEM_SERVER] = SELDOM_US / 4,
        [MDB_ITEM_OPLOG_FIRST] = SELDOM_US, [MDB_ITEM_OPLOG_LAST] = SELDOM_US,
    };
    return item == MDB_ITEM_CONFIG && db->seen.hello.is_writable ? CONFIG_PRIMARY_US
                                                                 : periods[item];
}

/* A configuration that a status or hello speaks of and that we have not read. */
static bool is_config_old(const struct mdb_db *db)
{
    return db->seen.config.at.us == BASE_MONO_LONG_AGO.us ||
           (db->seen.hello.version != 0 &&
            db->seen.hello.version != db->seen.config.version.version);
}

/* An arbiter has neither users nor an oplog of its own; before there is a set there is none. */
static bool is_asked(const struct mdb_db *db, enum mdb_item item)
{
    bool is_data = db->seen.hello.is_in_set && !db->seen.hello.is_arbiter;
    if (item == MDB_ITEM_OPLOG_FIRST || item == MDB_ITEM_OPLOG_LAST || item == MDB_ITEM_CONCERN) {
        return is_data;
    }
    if (item == MDB_ITEM_DATABASES) {
        return !db->seen.hello.is_in_set; /* a set is never founded over somebody's data */
    }
    return item != MDB_ITEM_RIGHTS || db->settings->login != MDB_LOGIN_NONE;
}

static bool is_due(const struct mdb_db *db, enum mdb_item item)
{
    if (!is_asked(db, item)) {
        return false;
    }
    return !base_mono_before(io_now(), db->watch.due[item]);
}

static const enum mdb_ask asks[MDB_ITEM_COUNT] = {
    [MDB_ITEM_HELLO] = MDB_ASK_HELLO,           [MDB_ITEM_STATUS] = MDB_ASK_STATUS,
    [MDB_ITEM_CONFIG] = MDB_ASK_CONFIG,         [MDB_ITEM_CONCERN] = MDB_ASK_CONCERN,
    [MDB_ITEM_RIGHTS] = MDB_ASK_RIGHTS,         [MDB_ITEM_DATABASES] = MDB_ASK_DATABASES,
    [MDB_ITEM_SERVER] = MDB_ASK_SERVER,         [MDB_ITEM_OPLOG_FIRST] = MDB_ASK_OPLOG_FIRST,
    [MDB_ITEM_OPLOG_LAST] = MDB_ASK_OPLOG_LAST,
};

static void ask(struct mdb_db *db, enum mdb_item item)
{
    const struct mdb_ask_args args = {.is_primary = db->seen.hello.is_writable};
    db->watch.item = item;
    db->watch.is_local = false;
    db->watch.root = db->root;
    db->watch.asked_at = io_now();
    db->watch.due[item] = item == MDB_ITEM_HELLO
                              ? BASE_MONO_NEVER
                              : base_mono_add_us(db->watch.asked_at, period_us(db, item));
    db->watch.is_running = mdb_send(db, MDB_SESSION_WATCH, asks[item], &args, reply_came) == 0;
}

void mdb_watch_start(struct mdb_db *db)
{
    if (db->watch.is_running || !db->is_answering ||
        db->sql.is_busy(db->sql.ctx, MDB_SESSION_WATCH)) {
        return;
    }
    for (size_t i = 0; i < MDB_ITEM_COUNT; i++) {
        if (is_due(db, (enum mdb_item)i)) {
            ask(db, (enum mdb_item)i);
            return;
        }
    }
}

/* Refused: without a login at all it may be an arbiter with access control: hello is enough then.
 */
static void refused(struct mdb_db *db)
{
    if (db->settings->login == MDB_LOGIN_NONE) {
        db->seen.is_login_used = false;
    } else {
        db->seen.is_login_refused = true;
    }
    struct base_mono again = base_mono_add_us(io_now(), REFUSED_US);
    for (size_t i = 0; i < MDB_ITEM_COUNT; i++) {
        db->watch.due[i] = base_mono_max(db->watch.due[i], again);
    }
}

/* Where a login is refused and nobody has made users yet, this host may ask without one: that
 * status is answered shows it, and that there is nothing yet that a set could be founded over. */
static bool ask_local(struct mdb_db *db)
{
    const struct mdb_ask_args args = {.is_primary = false};
    if (db->seen.hello.is_in_set || db->watch.is_local ||
        db->sql.is_busy(db->sql.ctx, MDB_SESSION_LOCAL)) {
        return false;
    }
    db->watch.item = MDB_ITEM_STATUS;
    db->watch.asked_at = io_now();
    db->watch.is_local = true;
    db->watch.is_running = mdb_send(db, MDB_SESSION_LOCAL, MDB_ASK_STATUS, &args, reply_came) == 0;
    return db->watch.is_running;
}

static void settled(struct mdb_db *db, const struct mdb_reply *reply)
{
    bool is_refused = reply->status == BASE_E_DENIED || reply->code == UNAUTHORIZED;
    bool is_main = db->watch.item == MDB_ITEM_STATUS || db->watch.item == MDB_ITEM_CONFIG;
    if (is_refused && (is_main || reply->status == BASE_E_DENIED)) {
        if (!ask_local(db)) {
            refused(db);
        }
        return;
    }
    bool is_answer = reply->status == 0 || reply->status == BASE_E_STATE;
    if (is_answer && is_main) {
        /* The one is told by the member's state. */
        mdb_advice_refused(db, MDB_SESSION_WATCH, reply->code == NOT_INITIALIZED ? 0 : reply->code);
        db->seen.is_login_refused = false;
        db->seen.is_login_used = true;
    }
    if (is_answer && take(db, reply) != 0 && reply->status == 0) {
        mdb_failed(db, reply);
    }
    if (db->watch.item == MDB_ITEM_STATUS && is_config_old(db) && reply->status == 0) {
        db->watch.due[MDB_ITEM_CONFIG] = BASE_MONO_LONG_AGO;
    }
}

/* The rest would be refused again. */
static void local_settled(struct mdb_db *db)
{
    struct base_mono again = base_mono_add_us(io_now(), REFUSED_US);
    for (size_t i = 0; i < MDB_ITEM_COUNT; i++) {
        db->watch.due[i] = base_mono_max(db->watch.due[i], again);
    }
    db->sql.reset(db->sql.ctx, MDB_SESSION_LOCAL);
}

static void reply_came(void *ctx, const struct mdb_reply *reply)
{
    struct mdb_db *db = ctx;
    db->watch.is_running = false;
    if (db->watch.root != db->root) {
        db->watch.is_local = false;
        mdb_watch_start(db);
        return;
    }
    if (reply->status != 0) {
        mdb_failed(db, reply);
    }
    bool was_local = db->watch.is_local;
    settled(db, reply);
    if (was_local) {
        db->watch.is_local = false;
        local_settled(db);
    }
    mdb_advice_make(db);
    mdb_view_soon(db);
    mdb_watch_start(db);
}
