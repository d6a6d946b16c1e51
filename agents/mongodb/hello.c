/* SPDX-License-Identifier: Apache-2.0 */
/* hello without end, and the canary: what a running server says of itself, and whether a write of
 * ours comes through. See db.h. */
#include <string.h>

#include "agents/mongodb/db_internal.h"

#define COMMAND_NOT_FOUND 59

static void timer_fired(void *ctx)
{
    mdb_hello_start(ctx);
}

void mdb_hello_init(struct mdb_db *db)
{
    io_timer_init(&db->hello.timer, db->options.loop, timer_fired, db);
}

void mdb_hello_forget(struct mdb_db *db)
{
    memset(&db->hello.topology, 0, sizeof(db->hello.topology));
    memset(&db->hello.seen, 0, sizeof(db->hello.seen));
    db->hello.is_legacy = false;
    io_timer_start_in_us(&db->hello.timer, 0);
}

/* --- hello --- */

/* Is there something new that the rest should be asked about? */
static bool is_change(const struct db_mongodb_hello *a, const struct db_mongodb_hello *b)
{
    return a->at.us == BASE_MONO_LONG_AGO.us || a->is_writable != b->is_writable ||
           a->is_secondary != b->is_secondary || a->is_arbiter != b->is_arbiter ||
           a->is_in_set != b->is_in_set || a->version != b->version || a->term != b->term ||
           memcmp(&a->primary, &b->primary, sizeof(a->primary)) != 0 ||
           memcmp(a->process_id, b->process_id, sizeof(a->process_id)) != 0;
}

static void take_hello(struct mdb_db *db, const struct db_mongodb_hello *hello)
{
    bool is_new = is_change(&db->seen.hello, hello);
    bool was_writable = db->seen.hello.is_writable;
    db->seen.hello = *hello;
    db->is_answering = true;
    db->is_port_open = true;
    db->seen.misses = 0;
    db->seen.silent_since = BASE_MONO_NEVER;
    db->advice.is_tls_refused = false;
    db->advice.cuts = 0;
    db->advice.refused[MDB_SESSION_HELLO] = 0;
    if (hello->is_writable != was_writable) {
        db->advice.refused[MDB_SESSION_CANARY] = 0;
        db->seen.canary_since = BASE_MONO_NEVER;
        db->seen.canary_misses = 0;
        db->canary.next_at = BASE_MONO_LONG_AGO;
    }
    if (is_new) {
        mdb_watch_due(db, MDB_ITEM_STATUS);
        mdb_watch_due(db, MDB_ITEM_CONFIG);
    }
    mdb_canary_start(db);
    mdb_view_soon(db);
}

/* Two sessions may ask: what was asked later counts, and so does what the server itself counts as
 * later. */
static bool is_news(const struct mdb_db *db, const struct db_mongodb_hello *hello,
                    const struct mdb_topology *topology)
{
    const struct mdb_topology *seen = &db->hello.seen;
    bool is_same = topology->is_known && seen->is_known &&
                   memcmp(topology->process_id, seen->process_id, sizeof(seen->process_id)) == 0;
    if (is_same && topology->counter != seen->counter) {
        return topology->counter > seen->counter;
    }
    return !base_mono_before(hello->at, db->seen.hello.at);
}

int mdb_hello_take(struct mdb_db *db, struct slice bson, struct base_mono asked_at,
                   struct mdb_topology *ret_topology)
{
    struct db_mongodb_hello hello = {.at = asked_at};
    int rc = mdb_read_hello(bson, &db->settings->set_name, &hello, ret_topology);
    if (rc == 0 && is_news(db, &hello, ret_topology)) {
        db->hello.seen = *ret_topology;
        take_hello(db, &hello);
    }
    return rc;
}

/* Nobody listens: no process, or not yet. Anything else is a server that owes an answer. */
static void missed(struct mdb_db *db, const struct mdb_reply *reply)
{
    bool is_owed = reply->status != BASE_E_UNREACHABLE && reply->status != BASE_E_TLS &&
                   reply->status != BASE_E_INVALID && reply->status != BASE_E_NOMEM;
    db->is_port_open = reply->status != BASE_E_UNREACHABLE;
    db->advice.is_tls_refused = reply->status == BASE_E_TLS;
    bool is_cut = reply->status == BASE_E_CLOSED && !db->settings->is_tls;
    db->advice.cuts = is_cut ? db->advice.cuts + 1 : 0;
    if (is_owed) {
        db->seen.misses++;
        db->seen.silent_since = base_mono_min(db->seen.silent_since, db->hello.asked_at);
    } else {
        db->seen.misses = 0;
        db->seen.silent_since = BASE_MONO_NEVER;
    }
    db->is_answering = false;
    mdb_failed(db, reply);
    mdb_advice_refused(db, MDB_SESSION_HELLO, reply->code);
    mdb_advice_make(db);
    mdb_view_soon(db);
}

/* A server that promised to wait and answers at once is asked as one that cannot wait. */
static void next_in(struct mdb_db *db, const struct mdb_topology *topology)
{
    int64_t took_us = base_mono_diff_us(io_now(), db->hello.asked_at);
    bool is_same = topology->is_known && topology->counter == db->hello.topology.counter;
    bool is_hasty = db->hello.was_waited && is_same && took_us < MDB_AWAIT_MS * BASE_US_PER_MS / 2;
    int64_t wait_us = MDB_HELLO_PAUSE_US;
    if (!topology->is_known || is_hasty) {
        wait_us = took_us < MDB_HELLO_US ? MDB_HELLO_US - took_us : MDB_HELLO_PAUSE_US;
    }
    db->hello.topology = *topology;
    io_timer_start_in_us(&db->hello.timer, wait_us);
}

static void hello_came(void *ctx, const struct mdb_reply *reply)
{
    struct mdb_db *db = ctx;
    struct mdb_topology topology = {0};
    db->hello.is_running = false;
    if (db->hello.root != db->root || !mdb_is_running(db)) {
        io_timer_start_in_us(&db->hello.timer, 0);
        return;
    }
    if (reply->status == BASE_E_STATE && reply->code == COMMAND_NOT_FOUND && !db->hello.is_legacy) {
        db->hello.is_legacy = true;
        io_timer_start_in_us(&db->hello.timer, 0);
        return;
    }
    int rc = reply->status != 0 ? reply->status
                                : mdb_hello_take(db, reply->bson, db->hello.asked_at, &topology);
    if (rc != 0) {
        struct mdb_reply why = *reply;
        why.status = rc;
        memset(&db->hello.topology, 0, sizeof(db->hello.topology));
        missed(db, &why);
        io_timer_start_in_us(&db->hello.timer, MDB_HELLO_AGAIN_US);
        return;
    }
    next_in(db, &topology);
}

void mdb_hello_start(struct mdb_db *db)
{
    struct mdb_hello_state *h = &db->hello;
    if (h->is_running || h->timer.is_active || !mdb_is_running(db) ||
        db->sql.is_busy(db->sql.ctx, MDB_SESSION_HELLO)) {
        return;
    }
    const struct mdb_ask_args args = {.topology = h->is_legacy ? NULL : &h->topology,
                                      .await_ms = MDB_AWAIT_MS};
    h->is_running = true;
    h->was_waited = !h->is_legacy && h->topology.is_known;
    h->root = db->root;
    h->asked_at = io_now();
    if (mdb_send(db, MDB_SESSION_HELLO, h->is_legacy ? MDB_ASK_IS_MASTER : MDB_ASK_HELLO, &args,
                 hello_came) != 0) {
        h->is_running = false;
    }
}

/* --- the canary --- */

/* Not a write that failed, but nobody to write: of these nothing follows for the disk. */
static bool is_elsewhere(const struct mdb_reply *reply)
{
    int status = mdb_status_of(reply);
    return status == BASE_E_DENIED || status == BASE_E_CLOSED || status == BASE_E_UNREACHABLE ||
           status == BASE_E_TLS || status == BASE_E_CANCELED || reply->code == 10107 ||
           reply->code == 13435 || reply->code == 13436;
}

static void canary_came(void *ctx, const struct mdb_reply *reply)
{
    struct mdb_db *db = ctx;
    struct mdb_reply answer = *reply;
    db->canary.is_out = false;
    if (db->canary.root != db->root || !db->seen.hello.is_writable) {
        return;
    }
    if (answer.status == 0 && mdb_read_write(answer.bson, &answer.code) != 0) {
        answer.status = BASE_E_PROTO;
    }
    if (answer.status == 0 && answer.code == 0) {
        db->seen.canary_at = base_mono_max(db->seen.canary_at, db->canary.sent_at);
        db->seen.canary_since = BASE_MONO_NEVER;
        db->seen.canary_misses = 0;
        mdb_advice_refused(db, MDB_SESSION_CANARY, 0);
    } else {
        mdb_failed(db, &answer);
        mdb_advice_refused(db, MDB_SESSION_CANARY, answer.code);
        if (!is_elsewhere(&answer)) {
            db->seen.canary_misses++;
            db->seen.canary_since = base_mono_min(db->seen.canary_since, db->canary.sent_at);
        }
    }
    mdb_view_soon(db);
}

void mdb_canary_start(struct mdb_db *db)
{
    struct base_mono now = io_now();
    if (!db->settings->has_canary || !db->is_answering || !db->seen.hello.is_writable ||
        db->canary.is_out || base_mono_before(now, db->canary.next_at) ||
        db->sql.is_busy(db->sql.ctx, MDB_SESSION_CANARY)) {
        return;
    }
    const struct mdb_ask_args args = {.number = ++db->canary.number};
    db->canary.root = db->root;
    db->canary.sent_at = now;
    db->canary.next_at = base_mono_add_us(now, db->options.canary_us);
    db->canary.is_out = mdb_send(db, MDB_SESSION_CANARY, MDB_ASK_CANARY, &args, canary_came) == 0;
}
