/* SPDX-License-Identifier: Apache-2.0 */
/* The port itself: its life, its clock, and the views that go out. See db.h. */
#include "agents/galera/db_internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agents/galera/grastate.h"
#include "base/assert.h"
#include "base/name.h"

#define DB_MAGIC 0x67616c64u
#define SIZE_EVERY_US (600 * BASE_US_PER_S)
#define STOPPED_INTERVAL_US (500 * BASE_US_PER_MS)

bool gal_is_running(const struct gal_db *db)
{
    return db->has_guard && db->guard.tree == GUARD_TREE_RUNNING && db->guard.root_pid != 0;
}

/* --- views --- */

static void fill_stopped(const struct gal_db *db, struct db_galera_view *g)
{
    bool is_orderly = db->look.saved.seqno >= 0 && !gal_uuid_is_nil(db->look.saved.uuid) &&
                      !db->look.is_transfer_broken;
    g->saved = db->look.saved;
    g->is_safe_to_bootstrap = db->look.is_safe_to_bootstrap;
    g->is_position_recovered = is_orderly || db->is_recovered;
    g->position = db->is_recovered ? db->recovered : db->look.saved;
}

static void fill_running(const struct gal_db *db, struct db_view *v)
{
    struct db_galera_view *g = &v->galera;
    if (!db->has_answered) {
        return;
    }
    struct db_galera_view look = *g;
    *g = db->seen.view;
    g->saved = look.saved;
    g->is_safe_to_bootstrap = look.is_safe_to_bootstrap;
    g->data_bytes = look.data_bytes;
    g->is_sst_failed = look.is_sst_failed;
    g->is_transfer_broken = look.is_transfer_broken;
    g->asked_at = db->seen_at;
    g->causal_at = db->causal.proven_at;
    g->stuck_ms = gal_canary_stuck_ms(db);
    g->is_flow_paused = db->flow_since.us != BASE_MONO_NEVER.us &&
                        base_mono_diff_us(io_now(), db->flow_since) > GAL_FLOW_US;
    g->weight = db->weight;
    if (g->is_primary && db->members_conf_id == db->seen.conf_id && db->is_weight_known) {
        g->view = db->members;
        gal_view_weigh(&g->view, &db->settings->member, db->weight, db->seen.weight_total);
    }
    v->version = db->seen.version;
    v->connections = db->seen.connections;
    v->connections_max = db->seen.connections_max;
}

static void view_make(const struct gal_db *db, struct db_view *v)
{
    memset(v, 0, sizeof(*v));
    bool is_running = gal_is_running(db);
    v->orders_done = db->last_done_id;
    v->has_directory = db->look.has_directory || (is_running && db->has_answered);
    v->is_process = is_running || db->guard.tree != GUARD_TREE_GONE || db->look.is_locked;
    v->is_answering = is_running && db->is_answering;
    v->config_revision = db->config_revision;
    v->disk_free_bytes = db->look.disk_free_bytes;
    v->warning = db->warning;
    v->galera.position.seqno = -1;
    v->galera.saved.seqno = -1;
    v->galera.causal_at = BASE_MONO_LONG_AGO;
    v->galera.asked_at = BASE_MONO_LONG_AGO;
    v->galera.data_bytes = db->data_bytes;
    v->galera.is_sst_failed = db->is_sst_failed;
    v->galera.is_transfer_broken = db->look.is_transfer_broken;
    if (is_running) {
        fill_running(db, v);
    } else {
        fill_stopped(db, &v->galera);
    }
    if (db->is_login_refused) {
        v->note =
            base_text_from(SLICE_LIT("the server refuses the agent's login: make the accounts that "
                                     "'quorate-agent-galera --print-sql' prints"));
    }
}

static void notify(void *ctx)
{
    struct gal_db *db = ctx;
    struct db_done done[BASE_COUNT_OF(db->done)];
    unsigned count = db->done_count;
    memcpy(done, db->done, sizeof(done));
    db->done_count = 0;
    for (unsigned i = 0; i < count; i++) {
        db->options.events.done(db->options.events.ctx, &done[i]);
    }
    if (db->is_view_due && (db->has_look || gal_is_running(db))) {
        struct db_view view;
        db->is_view_due = false;
        view_make(db, &view);
        db->options.events.view(db->options.events.ctx, &view);
    }
}

void gal_view_soon(struct gal_db *db)
{
    db->is_view_due = true;
    io_timer_start_in_us(&db->notify, 0);
}

/* --- the directory --- */

static void work_run(struct io_work *work)
{
    struct gal_work *w = (struct gal_work *)(void *)work;
    if (w->is_look) {
        gal_dir_look(w->db->settings, w->with_size, &w->look);
    } else {
        gal_dir_run(&w->job);
    }
}

static void work_done(struct io_work *work)
{
    const struct gal_work *w = (const struct gal_work *)(const void *)work;
    struct gal_db *db = w->db;
    if (!w->is_look) {
        gal_order_job_done(db);
        return;
    }
    db->is_looking = false;
    db->look = w->look;
    db->has_look = true;
    if (w->with_size) {
        db->data_bytes = w->look.data_bytes;
    }
    if (gal_is_running(db) && !db->has_answered && db->look.is_transfer_broken) {
        db->was_transfer = true;
    }
    gal_view_soon(db);
}

void gal_look_start(struct gal_db *db)
{
    if (db->is_looking || db->is_job_running) {
        return; /* one worker: behind a job it would tell of what the job has left, but late */
    }
    struct base_mono now = io_now();
    db->looker.with_size = !base_mono_before(now, base_mono_add_us(db->sized_at, SIZE_EVERY_US));
    if (db->looker.with_size) {
        db->sized_at = io_now();
    }
    db->is_looking = true;
    io_work_submit(db->workers, &db->looker.work);
}

/* --- the clock --- */

static void tick(void *ctx)
{
    struct gal_db *db = ctx;
    int64_t interval_us = gal_is_running(db) ? db->interval_us : STOPPED_INTERVAL_US;
    io_timer_start_in_us(&db->tick, interval_us);
    if (!db->has_guard) {
        return;
    }
    if (!gal_is_running(db)) {
        gal_look_start(db);
        return;
    }
    if (db->canary.is_out || db->probe.is_running) {
        gal_view_soon(db); /* what hangs is told while it hangs */
    }
    gal_probe_start(db);
    gal_causal_start(db);
    gal_canary_start(db);
    if (base_mono_diff_us(io_now(), db->sized_at) > SIZE_EVERY_US) {
        gal_look_start(db);
    }
}

static void root_forget(struct gal_db *db)
{
    db->is_answering = false;
    db->has_answered = false;
    db->causal.proven_at = BASE_MONO_LONG_AGO;
    db->canary.is_out = false;
    db->flow_since = BASE_MONO_NEVER;
    db->members_conf_id = 0;
    db->is_weight_known = false;
    db->is_promoted = false;
    db->wants_read_only = false;
    db->sized_at = BASE_MONO_LONG_AGO;
    gal_status_reset(&db->seen);
    for (size_t i = 0; i < GAL_SESSION_COUNT; i++) {
        db->sql.cut(db->sql.ctx, (enum gal_session)i);
    }
}

static void port_guard_changed(void *ctx, const struct guard_status *status)
{
    struct gal_db *db = ctx;
    bool was_running = gal_is_running(db);
    bool is_other = db->has_guard &&
                    (db->guard.starts != status->starts || db->guard.instance != status->instance);
    db->guard = *status;
    db->has_guard = true;
    bool is_running = gal_is_running(db);
    if (is_other || was_running != is_running) {
        root_forget(db);
        if (was_running && !is_running && db->was_transfer) {
            db->is_sst_failed = true;
            db->was_transfer = false;
        }
        if (is_running) {
            db->is_recovered = false; /* of the run before */
        }
        db->has_look = false;
        gal_look_start(db);
        io_timer_start_in_us(&db->tick, 0);
    }
}

static void port_set_interval(void *ctx, int64_t interval_us)
{
    struct gal_db *db = ctx;
    db->interval_us = interval_us;
}

/* --- life --- */

static void port_order(void *ctx, const struct db_order *order)
{
    gal_order_take(ctx, order);
}

/* Nothing of the document is the server's: it is in force as soon as it is known. */
static void port_configure(void *ctx, uint64_t revision, struct slice text)
{
    struct gal_db *db = ctx;
    (void)text;
    db->config_revision = revision;
    gal_view_soon(db);
}

struct db_port gal_db_port(struct gal_db *db)
{
    return (struct db_port){.ctx = db,
                            .order = port_order,
                            .configure = port_configure,
                            .guard_changed = port_guard_changed,
                            .set_interval = port_set_interval};
}

static void work_init(struct gal_work *work, struct gal_db *db, bool is_look)
{
    work->work = (struct io_work){.run = work_run, .done = work_done};
    work->db = db;
    work->is_look = is_look;
}

static int open_files(struct gal_db *db)
{
    struct pg_path path;
    db->cancel_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (db->cancel_fd < 0 ||
        pg_path_join(db->settings->state_dir.text, "helper.lock", &path) != 0) {
        return BASE_E_IO;
    }
    db->lock_fd = open(path.text, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return db->lock_fd < 0 ? BASE_E_IO : 0;
}

int gal_db_open(const struct gal_db_options *options, struct gal_db **ret)
{
    struct gal_db *db = calloc(1, sizeof(*db));
    if (db == NULL) {
        return BASE_E_NOMEM;
    }
    db->magic = DB_MAGIC;
    db->options = *options;
    db->settings = options->settings;
    db->sql = options->sessions;
    db->interval_us = options->interval_us;
    db->cancel_fd = -1;
    db->lock_fd = -1;
    db->causal.proven_at = BASE_MONO_LONG_AGO;
    db->causal.sent_at = BASE_MONO_LONG_AGO;
    db->flow_since = BASE_MONO_NEVER;
    db->sized_at = BASE_MONO_LONG_AGO;
    db->advice_at = BASE_MONO_LONG_AGO;
    db->setup_at = BASE_MONO_LONG_AGO;
    gal_status_reset(&db->seen);
    io_timer_init(&db->tick, options->loop, tick, db);
    io_timer_init(&db->notify, options->loop, notify, db);
    work_init(&db->job, db, false);
    work_init(&db->looker, db, true);
    int rc = open_files(db);
    rc = rc != 0 ? rc : io_workers_new(options->loop, 1, &db->workers);
    if (rc != 0) {
        (void)gal_db_close(db);
        return rc;
    }
    io_timer_start_in_us(&db->tick, 0);
    *ret = db;
    return 0;
}

struct gal_db *gal_db_close(struct gal_db *db)
{
    uint64_t one = 1;
    if (db == NULL) {
        return NULL;
    }
    BASE_ASSERT(db->magic == DB_MAGIC);
    io_timer_stop(&db->tick);
    if (db->is_job_running) {
        (void)!write(db->cancel_fd, &one, sizeof(one));
    }
    db->workers = io_workers_free(db->workers, false);
    io_timer_stop(&db->notify);
    if (db->cancel_fd >= 0) {
        (void)close(db->cancel_fd);
    }
    if (db->lock_fd >= 0) {
        (void)close(db->lock_fd);
    }
    if (db->setup != NULL) {
        explicit_bzero(db->setup, strlen(db->setup));
        free(db->setup);
    }
    db->magic = 0;
    free(db);
    return NULL;
}
