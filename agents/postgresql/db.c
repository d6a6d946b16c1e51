/* SPDX-License-Identifier: Apache-2.0 */
/* The port itself: hand-over between the loop thread and the two workers, and what all orders need.
 * The order functions are in order_*.c, the prober in probe.c. Nothing here blocks while it holds
 * the lock. */
#include "agents/postgresql/db_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "agents/postgresql/config.h"
#include "agents/postgresql/process.h"
#include "base/assert.h"
#include "base/name.h"

#define DB_MAGIC 0x71706764u
#define STACK_BYTES (256u * 1024u)
#define IDLE_US (1 * BASE_US_PER_S)
#define SESSION_OPEN_US (1 * BASE_US_PER_S)

/* --- time and locking --- */

void pg_db_wait(struct pg_db *db, pthread_cond_t *condition, struct base_mono until)
{
    int64_t left = base_mono_diff_us(until, pg_now());
    struct timespec ts;
    if (left <= 0) {
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &ts);
    int64_t ns = ts.tv_nsec + left % BASE_US_PER_S * 1000;
    ts.tv_sec += left / BASE_US_PER_S + ns / 1000000000;
    ts.tv_nsec = ns % 1000000000;
    (void)pthread_cond_timedwait(condition, &db->lock, &ts);
}

/* --- for orders --- */

int pg_run_fail(struct pg_run *run, int status, const char *format, ...)
{
    char text[BASE_TEXT_MAX + 1];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    run->text = base_text_from(slice_from_text(text));
    return status;
}

void pg_run_log(struct pg_run *run, const char *format, ...)
{
    char text[2 * BASE_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    const struct db_events *events = &run->db->options.events;
    if (events->log != NULL) {
        events->log(events->ctx, text);
    }
}

void pg_run_note(struct pg_run *run, const char *text)
{
    pthread_mutex_lock(&run->db->lock);
    run->db->note = base_text_from(slice_from_text(text));
    pthread_mutex_unlock(&run->db->lock);
}

struct guard_status pg_run_guard(struct pg_run *run)
{
    pthread_mutex_lock(&run->db->lock);
    struct guard_status status = run->db->guard;
    pthread_mutex_unlock(&run->db->lock);
    return status;
}

void pg_run_signal(struct pg_run *run, int signal_number)
{
    struct pg_db *db = run->db;
    pthread_mutex_lock(&db->lock);
    if (db->signals_count < PG_DB_SIGNALS_MAX) {
        db->signals[db->signals_count++] = signal_number;
    }
    pthread_mutex_unlock(&db->lock);
    db->options.wake(db->options.wake_ctx);
}

int pg_run_sleep_us(struct pg_run *run, int64_t us)
{
    int64_t left = base_mono_diff_us(run->deadline, pg_now());
    if (left <= 0) {
        return pg_run_fail(run, BASE_E_TIMEOUT, "not done in time");
    }
    us = us < left ? us : left;
    struct timespec ts = {.tv_sec = us / BASE_US_PER_S, .tv_nsec = us % BASE_US_PER_S * 1000};
    struct pollfd fd = {.fd = run->db->cancel_fd, .events = POLLIN};
    if (ppoll(&fd, 1, &ts, NULL) > 0) {
        return pg_run_fail(run, BASE_E_CANCELED, "canceled");
    }
    return 0;
}

static int session_open(struct pg_run *run)
{
    struct base_mono limit = base_mono_add_us(pg_now(), SESSION_OPEN_US);
    return pg_sql_open_local(run->session, run->settings, PG_ROLE_MONITOR, "quorate_agent",
                             base_mono_min(run->deadline, limit), &run->text);
}

int pg_run_query(struct pg_run *run, const char *text, struct pg_sql_rows *ret_rows)
{
    bool is_fresh = !pg_sql_is_open(run->session);
    int status = is_fresh ? session_open(run) : 0;
    if (status == 0) {
        status = pg_sql_run(run->session, text, run->deadline, ret_rows, &run->text);
    }
    if (status == BASE_E_CLOSED && !is_fresh) {
        status = session_open(run);
        if (status == 0) {
            status = pg_sql_run(run->session, text, run->deadline, ret_rows, &run->text);
        }
    }
    if (status == 0 && ret_rows->count == 0) {
        return pg_run_fail(run, BASE_E_PROTO, "the server answered without rows");
    }
    return status;
}

int pg_making_path(const struct pg_settings *settings, struct pg_path *ret)
{
    return pg_path_join(settings->state_dir.text, "making", ret);
}

static int check_no_process(struct pg_run *run)
{
    struct pg_processes *found = malloc(sizeof(*found));
    int status = found == NULL ? BASE_E_NOMEM : pg_processes_find(run->data_dir, found);
    if (status != 0) {
        status = pg_run_fail(run, status, "cannot list processes: %s", base_error_text(status));
    } else if (found->postmaster > 0) {
        status = pg_run_fail(
            run, BASE_E_STATE,
            "PostgreSQL (pid %d) runs in %s and was not started by quorate: stop it first",
            found->postmaster, run->data_dir);
    } else if (found->count > 0) {
        status = pg_run_fail(run, BASE_E_STATE, "process %d of an older PostgreSQL is still in %s",
                             found->pids[0], run->data_dir);
    }
    free(found);
    return status;
}

int pg_run_check_stopped(struct pg_run *run)
{
    struct guard_status guard = pg_run_guard(run);
    struct pg_path pid_file;
    if (guard.tree != GUARD_TREE_GONE) {
        return pg_run_fail(run, BASE_E_STATE, "the server still runs (pid %d)", guard.root_pid);
    }
    int status = check_no_process(run);
    if (status != 0) {
        return status;
    }
    if (flock(run->db->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return pg_run_fail(run, BASE_E_BUSY,
                           "a helper program of an earlier agent still works in %s", run->data_dir);
    }
    /* A stale one whose number another process of ours has by now would keep the server from
     * starting. */
    status = pg_path_join(run->data_dir, "postmaster.pid", &pid_file);
    return status != 0 ? status : pg_file_remove(pid_file.text);
}

/* --- the worker --- */

static int dispatch(struct pg_run *run)
{
    switch (run->order.kind) {
    case DB_ORDER_INIT:
        return pg_order_init(run);
    case DB_ORDER_CLONE:
        return pg_order_clone(run);
    case DB_ORDER_REWIND:
        return pg_order_rewind(run);
    case DB_ORDER_PREPARE_STANDBY:
        return pg_order_prepare_standby(run);
    case DB_ORDER_PREPARE_PRIMARY:
        return pg_order_prepare_primary(run);
    case DB_ORDER_FOLLOW:
        return pg_order_follow(run);
    case DB_ORDER_DETACH:
        return pg_order_detach(run);
    case DB_ORDER_PROMOTE:
        return pg_order_promote(run);
    case DB_ORDER_SET_SYNC:
        return pg_order_set_sync(run);
    case DB_ORDER_BARRIER:
        return pg_order_barrier(run);
    case DB_ORDER_CHECKPOINT:
        return pg_order_checkpoint(run);
    case DB_ORDER_CLIENTS_OUT:
        return 0; /* a frozen server takes no setting; cutting connections is the host's */
    case DB_ORDER_CONFIGURE:
        return pg_order_configure(run);
    case DB_ORDER_NONE:
    case DB_ORDER_CANCEL:
    case DB_ORDER_GALERA_RECOVER:
    case DB_ORDER_GALERA_PREPARE:
    case DB_ORDER_GALERA_CLEAR:
    case DB_ORDER_GALERA_FENCE:
    case DB_ORDER_GALERA_UNFENCE:
    case DB_ORDER_GALERA_DEMOTE:
    case DB_ORDER_GALERA_BOOTSTRAP:
    case DB_ORDER_GALERA_WEIGHT:
    DB_CASES_OF_MONGODB:
        break;
    }
    return pg_run_fail(run, BASE_E_UNSUPPORTED, "unknown order %d", (int)run->order.kind);
}

static void push_done(struct pg_db *db, const struct db_done *done)
{
    BASE_ASSERT(db->done_count < PG_DB_DONE_MAX);
    db->done[db->done_count++] = *done;
    db->last_done_id = done->id;
}

/* Lock held. */
static void finish_order(struct pg_db *db, const struct db_done *done)
{
    uint64_t ignored = 0;
    push_done(db, done);
    if (db->cancel_id != 0) {
        struct db_done cancel = {.id = db->cancel_id, .kind = DB_ORDER_CANCEL};
        push_done(db, &cancel);
    }
    db->cancel_id = 0;
    db->has_order = false;
    (void)!read(db->cancel_fd, &ignored, sizeof(ignored)); /* non-blocking */
    memset(&db->note, 0, sizeof(db->note));
    db->work_done_bytes = 0;
    db->work_total_bytes = 0;
    db->wants_probe = true;
    pthread_cond_signal(&db->probe_changed);
}

/* Lock held; leaves it while the order runs. */
static void run_order(struct pg_db *db, struct pg_sql *session)
{
    struct pg_run run = {.db = db,
                         .settings = db->settings,
                         .data_dir = db->settings->data_dir.text,
                         .order = db->order,
                         .session = session};
    struct db_done done = {.id = db->order.id, .kind = db->order.kind};
    pthread_mutex_unlock(&db->lock);
    run.deadline =
        base_mono_add_us(pg_now(), run.order.timeout_us > 0 ? run.order.timeout_us : BASE_US_PER_S);
    done.status = dispatch(&run);
    if (done.status != 0 && run.text.text[0] == '\0') {
        (void)pg_run_fail(&run, done.status, "%s", base_error_text(done.status));
    }
    done.text = run.text;
    pthread_mutex_lock(&db->lock);
    finish_order(db, &done);
    db->options.wake(db->options.wake_ctx);
}

/* Between orders: a session stands ready, so that a promotion need not open one. */
static void keep_session(struct pg_db *db, struct pg_sql *session, bool is_answering,
                         int32_t root_pid, int32_t *opened)
{
    struct base_text why;
    if (!is_answering || root_pid == 0) {
        pg_sql_close(session);
    } else if (!pg_sql_is_open(session) || *opened != root_pid) {
        struct base_mono deadline = base_mono_add_us(pg_now(), SESSION_OPEN_US);
        *opened = root_pid;
        /* One that cannot be opened now is tried again by the order that needs it. */
        (void)!pg_sql_open_local(session, db->settings, PG_ROLE_MONITOR, "quorate_agent", deadline,
                                 &why);
    }
}

/* Lock held; leaves it meanwhile. What is done here is given up when an order comes. */
static void idle(struct pg_db *db, struct pg_sql *session, int32_t *opened_for)
{
    uint64_t ignored = 0;
    bool is_answering = db->is_answering && db->guard.tree == GUARD_TREE_RUNNING;
    int32_t root_pid = db->guard.root_pid;
    db->is_idle_busy = true;
    pthread_mutex_unlock(&db->lock);
    keep_session(db, session, is_answering, root_pid, opened_for);
    pg_slot_keep(db);
    pg_watch_keep(db);
    pg_archive_keep(db, session);
    pthread_mutex_lock(&db->lock);
    db->is_idle_busy = false;
    if (db->cancel_id == 0 && !db->is_stopping) {
        (void)!read(db->cancel_fd, &ignored, sizeof(ignored)); /* non-blocking */
    }
}

static void *worker_thread(void *ctx)
{
    struct pg_db *db = ctx;
    struct pg_sql session = {.connection = NULL, .cancel_fd = db->cancel_fd};
    int32_t opened_for = 0;
    pthread_mutex_lock(&db->lock);
    while (!db->is_stopping) {
        if (db->has_order) {
            run_order(db, &session);
            continue;
        }
        idle(db, &session, &opened_for);
        if (!db->has_order && !db->is_stopping) {
            pg_db_wait(db, &db->order_changed, base_mono_add_us(pg_now(), IDLE_US));
        }
    }
    pthread_mutex_unlock(&db->lock);
    pg_sql_close(&session);
    return NULL;
}

/* --- the loop thread's side --- */

static void take_order(struct pg_db *db, const struct db_order *order)
{
    uint64_t one = 1;
    if (order->kind != DB_ORDER_CANCEL) {
        BASE_ASSERT(!db->has_order);
        db->order = *order;
        db->has_order = true;
        pthread_cond_signal(&db->order_changed);
        if (db->is_idle_busy) {
            (void)!write(db->cancel_fd, &one, sizeof(one));
        }
    } else if (db->has_order) {
        db->cancel_id = order->id;
        (void)!write(db->cancel_fd, &one, sizeof(one));
    } else {
        struct db_done done = {.id = order->id, .kind = order->kind};
        push_done(db, &done);
        db->options.wake(db->options.wake_ctx);
    }
}

static void port_order(void *ctx, const struct db_order *order)
{
    struct pg_db *db = ctx;
    BASE_ASSERT(db->magic == DB_MAGIC);
    pthread_mutex_lock(&db->lock);
    take_order(db, order);
    pthread_mutex_unlock(&db->lock);
}

static void port_configure(void *ctx, uint64_t revision, struct slice text)
{
    pg_config_offer(ctx, revision, text);
}

static void port_guard_changed(void *ctx, const struct guard_status *status)
{
    struct pg_db *db = ctx;
    BASE_ASSERT(db->magic == DB_MAGIC);
    pthread_mutex_lock(&db->lock);
    bool is_news = status->tree != db->guard.tree || status->root_pid != db->guard.root_pid;
    db->guard = *status;
    if (is_news) {
        db->has_view = false; /* of before: it must not pass for a look at what is now */
        db->is_answering = false;
        db->wants_probe = true;
        pthread_cond_signal(&db->probe_changed);
    }
    pthread_mutex_unlock(&db->lock);
}

static void port_set_interval(void *ctx, int64_t interval_us)
{
    struct pg_db *db = ctx;
    pthread_mutex_lock(&db->lock);
    db->wants_probe = db->wants_probe || interval_us < db->interval_us;
    db->interval_us = interval_us;
    pthread_cond_signal(&db->probe_changed);
    pthread_mutex_unlock(&db->lock);
}

struct db_port pg_db_port(struct pg_db *db)
{
    return (struct db_port){.ctx = db,
                            .order = port_order,
                            .configure = port_configure,
                            .guard_changed = port_guard_changed,
                            .set_interval = port_set_interval};
}

void pg_db_poll(struct pg_db *db)
{
    int signals[PG_DB_SIGNALS_MAX];
    struct db_done done[PG_DB_DONE_MAX];
    struct db_view view;
    BASE_ASSERT(db->magic == DB_MAGIC);
    pthread_mutex_lock(&db->lock);
    unsigned signals_count = db->signals_count;
    unsigned done_count = db->done_count;
    bool has_view = db->has_view;
    memcpy(signals, db->signals, sizeof(signals));
    memcpy(done, db->done, sizeof(done));
    view = db->view;
    db->signals_count = 0;
    db->done_count = 0;
    db->has_view = false;
    pthread_mutex_unlock(&db->lock);
    for (unsigned i = 0; i < signals_count; i++) {
        db->options.guard.signal(db->options.guard.ctx, signals[i]);
    }
    for (unsigned i = 0; i < done_count; i++) {
        db->options.events.done(db->options.events.ctx, &done[i]);
    }
    if (has_view) {
        db->options.events.view(db->options.events.ctx, &view);
    }
}

/* --- life --- */

static int open_descriptors(struct pg_db *db)
{
    struct pg_path path;
    db->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (db->cancel_fd < 0) {
        return pg_errno_code(errno);
    }
    int status = pg_path_join(db->settings->state_dir.text, "helper.lock", &path);
    if (status == 0) {
        db->lock_fd = open(path.text, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        status = db->lock_fd < 0 ? pg_errno_code(errno) : 0;
    }
    return status;
}

static void init_conditions(struct pg_db *db)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&db->order_changed, &attributes);
    pthread_cond_init(&db->probe_changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&db->lock, NULL);
}

int pg_db_start_thread(pthread_t *thread, void *(*run)(void *), struct pg_db *db)
{
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t old;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int number = pthread_create(thread, &attributes, run, db);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attributes);
    return number == 0 ? 0 : BASE_E_NOMEM;
}

static void stop_threads(struct pg_db *db, bool has_worker, bool has_prober)
{
    uint64_t one = 1;
    pthread_mutex_lock(&db->lock);
    db->is_stopping = true;
    (void)!write(db->cancel_fd, &one, sizeof(one));
    pthread_cond_signal(&db->order_changed);
    pthread_cond_signal(&db->probe_changed);
    pthread_mutex_unlock(&db->lock);
    if (has_worker) {
        pthread_join(db->worker, NULL);
    }
    if (has_prober) {
        pthread_join(db->prober, NULL);
    }
    pg_trier_close(db);
}

static struct pg_db *db_free(struct pg_db *db)
{
    if (db->cancel_fd >= 0) {
        close(db->cancel_fd);
    }
    if (db->lock_fd >= 0) {
        close(db->lock_fd);
    }
    pthread_cond_destroy(&db->order_changed);
    pthread_cond_destroy(&db->probe_changed);
    pthread_mutex_destroy(&db->lock);
    memset(db, 0, sizeof(*db));
    free(db);
    return NULL;
}

int pg_db_open(const struct pg_db_options *options, struct pg_db **ret)
{
    struct pg_db *db = calloc(1, sizeof(*db));
    if (db == NULL) {
        return BASE_E_NOMEM;
    }
    db->magic = DB_MAGIC;
    db->options = *options;
    db->settings = options->settings;
    db->interval_us = options->interval_us;
    db->cancel_fd = -1;
    db->lock_fd = -1;
    db->watch.stop_fd = -1;
    db->watch.config_revision = db->settings->config == NULL ? 0 : db->settings->config->revision;
    init_conditions(db);
    int status = open_descriptors(db);
    bool has_worker = false;
    if (status == 0) {
        status = pg_db_start_thread(&db->worker, worker_thread, db);
        has_worker = status == 0;
    }
    bool has_prober = false;
    if (status == 0) {
        status = pg_db_start_thread(&db->prober, pg_probe_thread, db);
        has_prober = status == 0;
    }
    if (status == 0) {
        status = pg_trier_open(db);
    }
    if (status != 0) {
        stop_threads(db, has_worker, has_prober);
        db_free(db);
        return status;
    }
    *ret = db;
    return 0;
}

struct pg_db *pg_db_close(struct pg_db *db)
{
    if (db == NULL) {
        return NULL;
    }
    BASE_ASSERT(db->magic == DB_MAGIC);
    stop_threads(db, true, true);
    return db_free(db);
}
