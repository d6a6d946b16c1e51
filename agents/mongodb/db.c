/* SPDX-License-Identifier: Apache-2.0 */
/* The port itself: its life, its clock, and the views that go out. See db.h. */
#include "agents/mongodb/db_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/name.h"

#define DB_MAGIC 0x6d6f6e67u
#define LOOK_EVERY_US (15 * BASE_US_PER_S)
#define STOPPED_INTERVAL_US (500 * BASE_US_PER_MS)

bool mdb_is_running(const struct mdb_db *db)
{
    if (db->settings->is_watched) {
        return true; /* nobody tells us: asking does */
    }
    return db->has_guard && db->guard.tree == GUARD_TREE_RUNNING && db->guard.root_pid != 0;
}

int mdb_send(struct mdb_db *db, enum mdb_session session, enum mdb_ask ask,
             const struct mdb_ask_args *args, mdb_reply_fn *done)
{
    const struct mdb_ask_row *row = mdb_ask_row(ask);
    buf_reset(&db->command);
    int rc = mdb_ask_put(ask, args, &db->command);
    if (rc != 0) {
        return rc;
    }
    const struct mdb_command command = {.db = row->db,
                                        .bson = buf_slice(&db->command),
                                        .timeout_us = row->wait_ms * BASE_US_PER_MS};
    db->sql.run(db->sql.ctx, session, &command, done, db);
    return 0;
}

/* --- views --- */

static bool is_process(const struct mdb_db *db)
{
    if (db->settings->is_watched) {
        return db->is_port_open || db->look.is_held;
    }
    return mdb_is_running(db) || db->guard.tree != GUARD_TREE_GONE || db->look.is_held;
}

/* A canary that is under way for longer than it may be has not come through, either. */
static void fill_canary(const struct mdb_db *db, struct db_mongodb_view *m)
{
    bool is_late = db->canary.is_out && db->canary.root == db->root &&
                   base_mono_diff_us(io_now(), db->canary.sent_at) > db->options.canary_us;
    if (is_late && m->hello.is_writable) {
        m->canary_since = base_mono_min(m->canary_since, db->canary.sent_at);
        m->canary_misses++;
    }
}

static void view_make(const struct mdb_db *db, struct db_view *v)
{
    memset(v, 0, sizeof(*v));
    v->orders_done = db->last_done_id;
    v->has_directory = db->look.has_data;
    v->is_process = is_process(db);
    v->is_answering = mdb_is_running(db) && db->is_answering;
    v->config_revision = db->config_revision;
    v->disk_free_bytes = db->look.disk_free_bytes;
    v->warning = db->warning;
    v->note = db->note;
    v->version = db->server.version;
    v->connections = db->server.connections;
    v->connections_max = db->server.connections_max;
    v->mongodb = db->seen;
    v->mongodb.cache_dirty_permille = db->server.dirty_permille;
    v->mongodb.rollback_files = db->look.rollback_files;
    v->mongodb.data_bytes = db->look.data_bytes;
    v->mongodb.certificate_end_us = db->look.certificate_end_us;
    fill_canary(db, &v->mongodb);
}

static void notify(void *ctx)
{
    struct mdb_db *db = ctx;
    struct db_done done[BASE_COUNT_OF(db->done)];
    unsigned count = db->done_count;
    memcpy(done, db->done, sizeof(done));
    db->done_count = 0;
    for (unsigned i = 0; i < count; i++) {
        db->options.events.done(db->options.events.ctx, &done[i]);
    }
    if (db->is_view_due && db->has_look) {
        struct db_view view;
        db->is_view_due = false;
        view_make(db, &view);
        db->options.events.view(db->options.events.ctx, &view);
    }
}

void mdb_view_soon(struct mdb_db *db)
{
    db->is_view_due = true;
    io_timer_start_in_us(&db->notify, 0);
}

int mdb_status_of(const struct mdb_reply *reply)
{
    return reply->code != 0 ? mdb_code_status(reply->code) : reply->status;
}

void mdb_failed(struct mdb_db *db, const struct mdb_reply *reply)
{
    db->seen.commands_failed++;
    db->seen.code = reply->code;
}

/* --- the directory --- */

static void work_run(struct io_work *work)
{
    struct mdb_work *w = (struct mdb_work *)(void *)work;
    if (w->is_look) {
        mdb_dir_look(w->db->settings, &w->look);
    } else {
        w->status = mdb_dir_wipe(w->db->settings, &w->text);
    }
}

static void work_done(struct io_work *work)
{
    const struct mdb_work *w = (const struct mdb_work *)(const void *)work;
    struct mdb_db *db = w->db;
    if (!w->is_look) {
        mdb_order_job_done(db);
        return;
    }
    db->is_looking = false;
    db->look = w->look;
    db->has_look = true;
    mdb_view_soon(db);
}

void mdb_look_start(struct mdb_db *db)
{
    if (db->is_looking || db->order.is_job) {
        return;
    }
    db->look_at = io_now();
    db->is_looking = true;
    io_work_submit(db->workers, &db->looker.work);
}

void mdb_job_start(struct mdb_db *db)
{
    io_work_submit(db->workers, &db->job.work);
}

/* --- the clock --- */

static void tick(void *ctx)
{
    struct mdb_db *db = ctx;
    bool is_running = mdb_is_running(db);
    io_timer_start_in_us(&db->tick, is_running ? db->interval_us : STOPPED_INTERVAL_US);
    if (!db->has_guard) {
        return;
    }
    if (!is_running || base_mono_diff_us(io_now(), db->look_at) > LOOK_EVERY_US) {
        mdb_look_start(db);
    }
    if (is_running) {
        mdb_hello_start(db);
        mdb_watch_start(db);
        mdb_canary_start(db);
        mdb_view_soon(db);
    }
}

/* Another server, or none: nothing of what was seen holds. */
static void root_forget(struct mdb_db *db)
{
    uint32_t commands_failed = db->seen.commands_failed;
    db->root++;
    db->is_answering = false;
    db->is_port_open = false;
    memset(&db->seen, 0, sizeof(db->seen));
    memset(&db->server, 0, sizeof(db->server));
    memset(&db->note, 0, sizeof(db->note));
    db->seen.commands_failed = commands_failed;
    db->seen.is_login_used = db->settings->login != MDB_LOGIN_NONE;
    db->seen.silent_since = BASE_MONO_NEVER;
    db->seen.canary_since = BASE_MONO_NEVER;
    db->seen.canary_at = BASE_MONO_LONG_AGO;
    db->seen.hello.at = BASE_MONO_LONG_AGO;
    db->seen.status.at = BASE_MONO_LONG_AGO;
    db->seen.config.at = BASE_MONO_LONG_AGO;
    db->seen.concern_at = BASE_MONO_LONG_AGO;
    mdb_hello_forget(db);
    mdb_watch_forget(db);
    db->canary.next_at = BASE_MONO_LONG_AGO;
    for (size_t i = 0; i < MDB_SESSION_COUNT; i++) {
        if (i != MDB_SESSION_ACT && i != MDB_SESSION_LOCAL) {
            db->sql.reset(db->sql.ctx, (enum mdb_session)i);
        }
    }
}

static void port_guard_changed(void *ctx, const struct guard_status *status)
{
    struct mdb_db *db = ctx;
    bool was_running = mdb_is_running(db);
    bool is_other = db->has_guard &&
                    (db->guard.starts != status->starts || db->guard.instance != status->instance);
    bool is_first = !db->has_guard;
    db->guard = *status;
    db->has_guard = true;
    if (db->settings->is_watched) {
        is_other = false;
    }
    if (is_other || was_running != mdb_is_running(db)) {
        root_forget(db);
        db->has_look = false;
        mdb_look_start(db);
    }
    if (is_first || is_other || was_running != mdb_is_running(db)) {
        io_timer_start_in_us(&db->tick, 0);
    }
}

static void port_set_interval(void *ctx, int64_t interval_us)
{
    struct mdb_db *db = ctx;
    db->interval_us = interval_us < BASE_US_PER_S ? interval_us : BASE_US_PER_S;
}

/* --- life --- */

static void port_order(void *ctx, const struct db_order *order)
{
    mdb_order_take(ctx, order);
}

/* Nothing of the document is the server's: it is in force as soon as it is known. */
static void port_configure(void *ctx, uint64_t revision, struct slice text)
{
    struct mdb_db *db = ctx;
    (void)text;
    db->config_revision = revision;
    mdb_view_soon(db);
}

struct db_port mdb_db_port(struct mdb_db *db)
{
    return (struct db_port){.ctx = db,
                            .order = port_order,
                            .configure = port_configure,
                            .guard_changed = port_guard_changed,
                            .set_interval = port_set_interval};
}

static void work_init(struct mdb_work *work, struct mdb_db *db, bool is_look)
{
    work->work = (struct io_work){.run = work_run, .done = work_done};
    work->db = db;
    work->is_look = is_look;
}

int mdb_db_open(const struct mdb_db_options *options, struct mdb_db **ret)
{
    struct mdb_db *db = calloc(1, sizeof(*db));
    if (db == NULL) {
        return BASE_E_NOMEM;
    }
    db->magic = DB_MAGIC;
    db->options = *options;
    db->settings = options->settings;
    if (db->options.canary_us == 0) {
        db->options.canary_us = MDB_CANARY_US;
    }
    db->sql = options->sessions;
    db->command = buf_over(db->memory, sizeof(db->memory));
    db->look_at = BASE_MONO_LONG_AGO;
    port_set_interval(db, options->interval_us);
    io_timer_init(&db->tick, options->loop, tick, db);
    io_timer_init(&db->notify, options->loop, notify, db);
    mdb_hello_init(db);
    mdb_order_init(db);
    work_init(&db->job, db, false);
    work_init(&db->looker, db, true);
    root_forget(db);
    int rc = io_workers_new(options->loop, 1, &db->workers);
    if (rc != 0) {
        (void)mdb_db_close(db);
        return rc;
    }
    io_timer_start_in_us(&db->tick, 0);
    *ret = db;
    return 0;
}

struct mdb_db *mdb_db_close(struct mdb_db *db)
{
    if (db == NULL) {
        return NULL;
    }
    BASE_ASSERT(db->magic == DB_MAGIC);
    io_timer_stop(&db->tick);
    io_timer_stop(&db->hello.timer);
    io_timer_stop(&db->order.timer);
    db->workers = io_workers_free(db->workers, false);
    io_timer_stop(&db->notify);
    db->magic = 0;
    free(db);
    return NULL;
}
