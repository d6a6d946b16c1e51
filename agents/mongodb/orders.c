/* SPDX-License-Identifier: Apache-2.0 */
/* Orders: what is there is read right before, the deed is sent once, and what came of it is read
 * back. See db.h.
 *
 * A connection that the deed itself cuts (a step-down, a shutdown, a change of the configuration)
 * is no failure: what is read afterwards counts. Only a server that says "not now" (its last change
 * is not on a majority yet) is asked again; a forced reconfiguration is sent once. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agents/mongodb/change.h"
#include "agents/mongodb/db_internal.h"
#include "base/assert.h"
#include "base/name.h"

#define NOT_INITIALIZED 94
#define INCOMPATIBLE 103
#define BUSY_US (50 * BASE_US_PER_MS)
#define AGAIN_US (500 * BASE_US_PER_MS)
#define READ_BACK_US (5 * BASE_US_PER_S)

static const struct deed {
    enum db_order_kind kind;
    enum mdb_ask ask;
    bool may_cut; /* the connection */
    bool is_read_back;
} deeds[] = {
    {DB_ORDER_MONGODB_INITIATE, MDB_ASK_INITIATE, true, true},
    {DB_ORDER_MONGODB_RECONFIG, MDB_ASK_RECONFIG, true, true},
    {DB_ORDER_MONGODB_CONCERN, MDB_ASK_SET_CONCERN, false, false},
    {DB_ORDER_MONGODB_STEP_DOWN, MDB_ASK_STEP_DOWN, true, false},
    {DB_ORDER_MONGODB_STEP_UP, MDB_ASK_STEP_UP, false, false},
    {DB_ORDER_MONGODB_FREEZE, MDB_ASK_FREEZE, false, false},
    {DB_ORDER_MONGODB_ABORT_CATCHUP, MDB_ASK_ABORT_CATCHUP, false, false},
    {DB_ORDER_MONGODB_SHUTDOWN, MDB_ASK_SHUTDOWN, true, false},
};

/* NULL: no order of ours. */
static const struct deed *deed_find(enum db_order_kind kind)
{
    for (size_t i = 0; i < BASE_COUNT_OF(deeds); i++) {
        if (deeds[i].kind == kind) {
            return &deeds[i];
        }
    }
    return NULL;
}

static const struct deed *deed_of(const struct mdb_db *db)
{
    const struct deed *deed = deed_find(db->order.order.kind);
    BASE_ASSERT(deed != NULL);
    return deed;
}

static void step_run(struct mdb_db *db);
static void reply_came(void *ctx, const struct mdb_reply *reply);

/* --- the end of an order --- */

static void push_done(struct mdb_db *db, const struct db_done *done)
{
    BASE_ASSERT(db->done_count < BASE_COUNT_OF(db->done));
    db->done[db->done_count++] = *done;
    io_timer_start_in_us(&db->notify, 0);
}

static void finish(struct mdb_db *db, int status, int32_t code, const char *text)
{
    struct mdb_order_state *o = &db->order;
    struct db_done done = {
        .id = o->order.id, .kind = o->order.kind, .status = status, .code = code};
    done.text = base_text_from(slice_from_text(text));
    io_timer_stop(&o->timer);
    o->is_there = false;
    o->is_sent = false;
    db->last_done_id = done.id;
    push_done(db, &done);
    if (!o->is_job) {
        db->sql.reset(db->sql.ctx, o->is_local ? MDB_SESSION_LOCAL : MDB_SESSION_ACT);
    }
    o->is_job = false;
    /* What a probe under way has seen may be older than this: another one follows. */
    mdb_watch_due(db, MDB_ITEM_HELLO);
    mdb_watch_due(db, MDB_ITEM_STATUS);
    mdb_watch_due(db, MDB_ITEM_CONFIG);
    if (done.kind == DB_ORDER_MONGODB_CONCERN) {
        mdb_watch_due(db, MDB_ITEM_CONCERN);
    }
    if (!mdb_is_running(db)) {
        mdb_look_start(db);
    }
}

/* What was refused, the server's word for it, and what to do. */
static void say_reply(const char *name, const struct mdb_reply *reply,
                      char ret[static BASE_TEXT_MAX + 1])
{
    const struct mdb_code *known = mdb_code_find(reply->code);
    const char *text = reply->text[0] != '\0' ? reply->text : base_error_text(mdb_status_of(reply));
    if (known != NULL) {
        (void)snprintf(ret, BASE_TEXT_MAX + 1, "%s: %s (%" PRId32 "): %.90s; %s", name, known->name,
                       known->code, text, known->next);
    } else if (reply->code != 0) {
        (void)snprintf(ret, BASE_TEXT_MAX + 1, "%s: error %" PRId32 ": %.160s", name, reply->code,
                       text);
    } else {
        (void)snprintf(ret, BASE_TEXT_MAX + 1, "%s: %.200s", name, text);
    }
}

static void finish_reply(struct mdb_db *db, const char *name, const struct mdb_reply *reply)
{
    char text[BASE_TEXT_MAX + 1];
    say_reply(name, reply, text);
    finish(db, mdb_status_of(reply), reply->code, text);
}

static void again_in(struct mdb_db *db, int64_t us)
{
    db->order.is_again = true;
    io_timer_start(&db->order.timer,
                   base_mono_min(base_mono_add_us(io_now(), us), db->order.until));
}

static void timer_fired(void *ctx)
{
    struct mdb_db *db = ctx;
    struct mdb_order_state *o = &db->order;
    if (!o->is_there) {
        return;
    }
    if (o->is_again && base_mono_before(io_now(), o->until)) {
        o->is_again = false;
        step_run(db);
        return;
    }
    if (o->act_status != 0) {
        finish(db, o->act_status, o->act_code, o->act_text);
    } else {
        finish(db, BASE_E_TIMEOUT, 0, "mongod has not answered in time");
    }
}

void mdb_order_init(struct mdb_db *db)
{
    io_timer_init(&db->order.timer, db->options.loop, timer_fired, db);
}

/* --- steps --- */

static enum mdb_session session_of(const struct mdb_db *db)
{
    return db->order.is_local ? MDB_SESSION_LOCAL : MDB_SESSION_ACT;
}

static bool is_any(const struct msg_mongodb_version *v)
{
    return v->version == 0 && v->term == 0;
}

/* Steps that this order does not need are passed over. */
static bool is_needed(const struct mdb_db *db, enum mdb_step step)
{
    const struct db_mongodb_order *m = &db->order.order.mongodb;
    enum db_order_kind kind = db->order.order.kind;
    switch (step) {
    case MDB_STEP_STATUS:
        return m->expected_term != 0 || kind == DB_ORDER_MONGODB_INITIATE;
    case MDB_STEP_CONFIG:
        return kind == DB_ORDER_MONGODB_RECONFIG ||
               (kind != DB_ORDER_MONGODB_INITIATE && !is_any(&m->expected_config));
    case MDB_STEP_ACT:
        return true;
    case MDB_STEP_READ:
    default:
        return deed_of(db)->is_read_back && !db->order.is_local;
    }
}

static void act(struct mdb_db *db, struct slice config)
{
    struct mdb_order_state *o = &db->order;
    const struct deed *deed = deed_of(db);
    const struct mdb_ask_args args = {
        .order = &o->order.mongodb, .set_name = &db->settings->set_name, .config = config};
    o->step = MDB_STEP_ACT;
    int rc = mdb_send(db, session_of(db), deed->ask, &args, reply_came);
    o->is_sent = rc == 0;
    if (rc != 0) {
        char text[128];
        (void)snprintf(text, sizeof(text), "the configuration cannot be changed so: %s",
                       rc == BASE_E_CONFLICT ? "it is another one by now" : base_error_text(rc));
        finish(db, rc, 0, text);
    }
}

static void step_run(struct mdb_db *db)
{
    struct mdb_order_state *o = &db->order;
    if (db->sql.is_busy(db->sql.ctx, session_of(db))) {
        again_in(db, BUSY_US);
        return;
    }
    o->is_again = false;
    io_timer_start(&o->timer, o->until);
    while (o->step < MDB_STEP_ACT && !is_needed(db, o->step)) {
        o->step++;
    }
    const struct mdb_ask_args args = {0};
    if (o->step == MDB_STEP_ACT) {
        act(db, SLICE_EMPTY);
        return;
    }
    enum mdb_ask ask = o->step == MDB_STEP_STATUS ? MDB_ASK_STATUS : MDB_ASK_CONFIG;
    o->is_sent = mdb_send(db, session_of(db), ask, &args, reply_came) == 0;
    if (!o->is_sent) {
        finish(db, BASE_E_TOOBIG, 0, "the question does not fit");
    }
}

static void begin_again(struct mdb_db *db, int64_t us)
{
    db->order.step = MDB_STEP_STATUS;
    again_in(db, us);
}

/* --- what was there before --- */

/* Where no users are there yet nobody can log in: what is allowed then is allowed from this host.
 */
static bool goes_local(struct mdb_db *db, const struct mdb_reply *reply)
{
    bool is_refused = mdb_status_of(reply) == BASE_E_DENIED;
    if (!is_refused || db->order.is_local || db->order.order.kind != DB_ORDER_MONGODB_INITIATE) {
        return false;
    }
    db->sql.reset(db->sql.ctx, MDB_SESSION_ACT);
    db->order.is_local = true;
    db->order.step = MDB_STEP_ACT; /* nobody may look, either: replSetInitiate refuses by itself */
    again_in(db, 0);
    return true;
}

static void status_came(struct mdb_db *db, const struct mdb_reply *reply)
{
    const struct db_order *order = &db->order.order;
    struct db_mongodb_status status = {.state = 0};
    if (goes_local(db, reply)) {
        return;
    }
    if (order->kind == DB_ORDER_MONGODB_INITIATE) {
        if (reply->code == NOT_INITIALIZED) {
            act(db, SLICE_EMPTY);
        } else if (reply->status == 0) {
            finish(db, BASE_E_STATE, 0, "it has a configuration: never initiated again");
        } else {
            finish_reply(db, "replSetGetStatus", reply);
        }
        return;
    }
    if (reply->status != 0) {
        finish_reply(db, "replSetGetStatus", reply);
    } else if (mdb_read_status(reply->bson, &status) != 0) {
        finish(db, BASE_E_PROTO, 0, "replSetGetStatus: an answer that cannot be read");
    } else if (status.term != order->mongodb.expected_term) {
        finish(db, BASE_E_CONFLICT, 0, "the set's term is another one by now");
    } else {
        db->order.step = MDB_STEP_CONFIG;
        step_run(db);
    }
}

static void config_came(struct mdb_db *db, const struct mdb_reply *reply)
{
    const struct db_order *order = &db->order.order;
    const struct msg_mongodb_version *expected = &order->mongodb.expected_config;
    struct db_mongodb_config config = {.peers_count = 0};
    if (reply->status != 0) {
        finish_reply(db, "replSetGetConfig", reply);
    } else if (mdb_read_config(reply->bson, &config) != 0) {
        finish(db, BASE_E_PROTO, 0, "replSetGetConfig: an answer that cannot be read");
    } else if (order->kind == DB_ORDER_MONGODB_RECONFIG &&
               mdb_change_is_done(&config, &order->mongodb)) {
        finish(db, 0, 0, "in force already");
    } else if (!is_any(expected) && (config.version.version != expected->version ||
                                     config.version.term != expected->term)) {
        finish(db, BASE_E_CONFLICT, 0, "the set's configuration is another one by now");
    } else {
        act(db, reply->bson);
    }
}

/* --- what came of it --- */

static void keep_failure(struct mdb_db *db, const char *name, const struct mdb_reply *reply)
{
    struct mdb_order_state *o = &db->order;
    o->act_status = mdb_status_of(reply);
    o->act_code = reply->code;
    say_reply(name, reply, o->act_text);
}

static void read_back(struct mdb_db *db)
{
    db->order.step = MDB_STEP_READ;
    db->order.act_again_until = base_mono_add_us(io_now(), READ_BACK_US);
    again_in(db, 0);
}

/* Somebody else was first, after we had looked; a change that is refused for what it is, is refused
 * again. */
static bool is_lost_race(struct mdb_order_state *o, const struct mdb_reply *reply)
{
    bool is_first = reply->code == INCOMPATIBLE && !o->was_incompatible;
    o->was_incompatible = o->was_incompatible || is_first;
    return is_first;
}

static void act_came(struct mdb_db *db, const struct mdb_reply *reply)
{
    struct mdb_order_state *o = &db->order;
    const struct deed *deed = deed_of(db);
    const char *name = mdb_ask_row(deed->ask)->name;
    int status = mdb_status_of(reply);
    bool is_cut = deed->may_cut && status == BASE_E_CLOSED;
    bool is_forced = o->order.mongodb.change == DB_MONGODB_SURVIVORS;
    o->act_status = 0;
    if (status == 0 || (is_cut && !deed->is_read_back)) {
        if (is_needed(db, MDB_STEP_READ)) {
            read_back(db);
        } else {
            finish(db, 0, reply->code,
                   is_cut ? "done; the connection was cut, as is usual" : "done");
        }
    } else if (deed->is_read_back && (is_cut || status == BASE_E_TIMEOUT)) {
        keep_failure(db, name, reply);
        read_back(db);
    } else if (!is_forced && (status == BASE_E_BUSY || is_lost_race(o, reply))) {
        keep_failure(db, name, reply);
        begin_again(db, AGAIN_US);
    } else {
        finish_reply(db, name, reply);
    }
}

static bool is_in_force(const struct mdb_db *db, const struct mdb_reply *reply)
{
    struct db_mongodb_config config = {.peers_count = 0};
    const struct db_order *order = &db->order.order;
    if (reply->status != 0 || mdb_read_config(reply->bson, &config) != 0) {
        return false;
    }
    return order->kind == DB_ORDER_MONGODB_INITIATE || mdb_change_is_done(&config, &order->mongodb);
}

static void read_came(struct mdb_db *db, const struct mdb_reply *reply)
{
    struct mdb_order_state *o = &db->order;
    if (is_in_force(db, reply)) {
        finish(db, 0, 0, "done");
    } else if (base_mono_before(io_now(), o->act_again_until)) {
        again_in(db, AGAIN_US);
    } else if (o->act_status != 0) {
        finish(db, o->act_status, o->act_code, o->act_text);
    } else {
        finish(db, BASE_E_CONFLICT, 0, "accepted, but the configuration read back is another one");
    }
}

static void reply_came(void *ctx, const struct mdb_reply *reply)
{
    struct mdb_db *db = ctx;
    if (!db->order.is_sent) {
        return; /* of an order that has ended */
    }
    db->order.is_sent = false;
    if (reply->status != 0) {
        mdb_failed(db, reply);
    }
    switch (db->order.step) {
    case MDB_STEP_STATUS:
        status_came(db, reply);
        break;
    case MDB_STEP_CONFIG:
        config_came(db, reply);
        break;
    case MDB_STEP_ACT:
        act_came(db, reply);
        break;
    case MDB_STEP_READ:
    default:
        read_came(db, reply);
        break;
    }
}

/* --- orders --- */

void mdb_order_job_done(struct mdb_db *db)
{
    struct base_text text = db->job.text;
    if (db->order.is_there && db->order.is_job) {
        finish(db, db->job.status, 0, text.text);
    }
    db->order.is_job = false;
    mdb_look_start(db);
}

/* Completes at once; what was sent may still happen. A wipe is seen to its end: it is short. */
static void cancel(struct mdb_db *db)
{
    if (db->order.is_there && !db->order.is_job) {
        finish(db, BASE_E_CANCELED, 0, "canceled");
    }
}

static void take_job(struct mdb_db *db)
{
    if (mdb_is_running(db)) {
        finish(db, BASE_E_STATE, 0, "mongod runs: nothing is moved under it");
        return;
    }
    db->order.is_job = true;
    mdb_job_start(db);
}

void mdb_order_take(struct mdb_db *db, const struct db_order *order)
{
    struct mdb_order_state *o = &db->order;
    if (order->kind == DB_ORDER_CANCEL) {
        cancel(db);
        return;
    }
    BASE_ASSERT(!o->is_there);
    o->is_there = true;
    o->is_local = false;
    o->is_job = false;
    o->is_again = false;
    o->was_incompatible = false;
    o->act_status = 0;
    o->act_code = 0;
    o->step = MDB_STEP_STATUS;
    o->order = *order;
    o->until = base_mono_add_us(io_now(), order->timeout_us);
    if (order->kind == DB_ORDER_MONGODB_INITIATE && o->order.mongodb.host.text[0] == '\0') {
        o->order.mongodb.host = db->settings->self;
    }
    if (order->kind == DB_ORDER_MONGODB_WIPE) {
        take_job(db);
    } else if (order->kind == DB_ORDER_CHECKPOINT || order->kind == DB_ORDER_CONFIGURE ||
               order->kind == DB_ORDER_CLIENTS_OUT) {
        finish(db, 0, 0, "");
    } else if (deed_find(order->kind) == NULL) {
        finish(db, BASE_E_UNSUPPORTED, 0, "no such order for MongoDB");
    } else if (!mdb_is_running(db)) {
        finish(db, BASE_E_STATE, 0, "mongod does not run");
    } else {
        step_run(db);
    }
}
