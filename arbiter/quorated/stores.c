/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, waking and closing of the two stores; see stores.h. */
#include "arbiter/quorated/stores.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/assert.h"
#include "proto/io/log.h"
#include "raft/env_lmdb.h"
#include "raft/log_store.h"
#include "raft/wal_store.h"

#define PATH_BYTES 4096

/* --- wake-ups --- */

static void told(struct quorated_stores *s, struct io_wake *wake)
{
    if (atomic_load(&s->is_waiting)) {
        (void)sem_post(&s->told);
    }
    io_wake_send(wake);
}

static void log_notify(void *ctx)
{
    struct quorated_stores *s = ctx;
    told(s, s->log_wake);
}

static void state_notify(void *ctx)
{
    struct quorated_stores *s = ctx;
    told(s, s->state_wake);
}

static void log_completions(void *ctx)
{
    const struct quorated_stores *s = ctx;
    if (s->log != NULL) {
        (void)wal_store_complete(s->log);
    }
}

static void state_completions(void *ctx)
{
    const struct quorated_stores *s = ctx;
    if (s->state != NULL && env_lmdb_complete(s->state) > 0) {
        io_loop_trim_later(s->loop); /* of what answers and pages have left in the heap */
    }
}

/* What is damaged is not mended: the node has promised things that it does not know any more. */
#define REJOIN \
    "; on another node take it out of the quorum with \"kv member remove\", add it anew with " \
    "\"kv member add\", and start it with an empty data directory and quorum.state: existing"

static void failed(struct quorated_stores *s, const char *which, int status, const char *text)
{
    IO_LOG_ERROR(
        "store", "store_failed", io_text("store", which), io_err(status), io_text("text", text),
        io_text("next", status == BASE_E_CORRUPT
                            ? "this node stops" REJOIN
                            : "this node stops; mend the disk or make room, then start it"));
    s->failed(s->ctx);
}

static void log_failed(void *ctx, int status, const char *text)
{
    failed(ctx, "log", status, text);
}

static void state_failed(void *ctx, int status, const char *text)
{
    failed(ctx, "state", status, text);
}

/* --- ports --- */

static void submit_log(void *ctx, struct store_job *job)
{
    const struct quorated_stores *s = ctx;
    if (!s->is_closing) {
        s->log_port.submit(s->log_port.ctx, job);
    }
}

static void submit_state(void *ctx, struct store_job *job)
{
    const struct quorated_stores *s = ctx;
    if (!s->is_closing) {
        s->state_port.submit(s->state_port.ctx, job);
    }
}

static int export_begin(void *ctx, struct snapshot_job *job)
{
    const struct quorated_stores *s = ctx;
    return s->is_closing ? BASE_E_CLOSED : s->images.export_begin(s->images.ctx, job);
}

static int export_read(void *ctx, struct snapshot_job *job, uint64_t offset)
{
    const struct quorated_stores *s = ctx;
    return s->is_closing ? BASE_E_CLOSED : s->images.export_read(s->images.ctx, job, offset);
}

static void export_end(void *ctx)
{
    const struct quorated_stores *s = ctx;
    if (!s->is_closing) {
        s->images.export_end(s->images.ctx);
    }
}

static int import_begin(void *ctx, struct snapshot_job *job)
{
    const struct quorated_stores *s = ctx;
    return s->is_closing ? BASE_E_CLOSED : s->images.import_begin(s->images.ctx, job);
}

static int import_write(void *ctx, struct snapshot_job *job, struct slice data)
{
    const struct quorated_stores *s = ctx;
    return s->is_closing ? BASE_E_CLOSED : s->images.import_write(s->images.ctx, job, data);
}

static int import_install(void *ctx, struct snapshot_job *job)
{
    const struct quorated_stores *s = ctx;
    return s->is_closing ? BASE_E_CLOSED : s->images.import_install(s->images.ctx, job);
}

static void import_discard(void *ctx)
{
    const struct quorated_stores *s = ctx;
    if (!s->is_closing) {
        s->images.import_discard(s->images.ctx);
    }
}

struct store_port quorated_stores_log(struct quorated_stores *stores)
{
    return (struct store_port){.ctx = stores, .submit = submit_log};
}

struct store_port quorated_stores_state(struct quorated_stores *stores)
{
    return (struct store_port){.ctx = stores, .submit = submit_state};
}

struct snapshot_port quorated_stores_snapshot(struct quorated_stores *stores)
{
    return (struct snapshot_port){.ctx = stores,
                                  .export_begin = export_begin,
                                  .export_read = export_read,
                                  .export_end = export_end,
                                  .import_begin = import_begin,
                                  .import_write = import_write,
                                  .import_install = import_install,
                                  .import_discard = import_discard};
}

/* --- opening --- */

static int make_directory(const char *path, struct io_why *why)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        io_why_set(why, "data directory %s: %s", path, strerror(errno));
        return BASE_E_IO;
    }
    return 0;
}

static int open_log(struct quorated_stores *s, const struct quorated_settings *settings,
                    struct io_why *why)
{
    char path[PATH_BYTES];
    char text[WAL_STORE_ERROR_MAX] = "";
    (void)snprintf(path, sizeof(path), "%s/wal", settings->data_dir);
    const struct wal_store_options options = {
        .directory = path, .ctx = s, .notify = log_notify, .fatal = log_failed};
    int rc = make_directory(path, why);
    if (rc == 0) {
        rc = wal_store_open(&options, &s->log, text);
        if (rc != 0) {
            io_why_set(why, "%s", text[0] == '\0' ? base_error_text(rc) : text);
        }
    }
    return rc;
}

static int open_state(struct quorated_stores *s, const struct quorated_settings *settings,
                      struct io_why *why)
{
    char text[ENV_LMDB_ERROR_MAX] = "";
    const struct env_lmdb_options options = {.directory = settings->data_dir,
                                             .map_bytes = settings->map_bytes,
                                             .commit_lazy_ms = ENV_LMDB_COMMIT_LAZY_MS,
                                             .ctx = s,
                                             .notify = state_notify,
                                             .fatal = state_failed};
    int rc = env_lmdb_open(&options, &s->state, text);
    if (rc != 0) {
        io_why_set(why, "%s", text[0] == '\0' ? base_error_text(rc) : text);
    }
    return rc;
}

/* --- whose it is --- */

struct look {
    struct store_job job;
    bool is_done;
    int status;
    struct quorated_ids ids;
    bool has_log; /* state store: rows that belong into the log */
};

static void look_done(struct store_job *job, int status)
{
    struct look *look = (struct look *)(void *)job;
    look->is_done = true;
    look->status = status;
}

static int look_ids(struct store_job *job, struct store_txn *txn)
{
    struct look *look = (struct look *)(void *)job;
    int rc = log_store_load_ids(txn, &look->ids.cluster_id, &look->ids.node_id);
    look->ids.are_known = rc == 0;
    return rc == BASE_E_NOTFOUND ? 0 : rc;
}

static int see_row(void *ctx, struct slice key, struct slice value)
{
    struct look *look = ctx;
    (void)key;
    (void)value;
    look->has_log = true;
    return 1;
}

static int look_for_log(struct store_job *job, struct store_txn *txn)
{
    struct look *look = (struct look *)(void *)job;
    struct raft_configuration members;
    int rc = log_store_load_members(txn, &members);
    look->ids.has_members = rc == 0;
    rc = rc == BASE_E_NOTFOUND ? 0 : rc;
    rc = rc != 0 ? rc : store_scan(txn, STORE_LOG, SLICE_EMPTY, see_row, look);
    return rc == BASE_E_UNSUPPORTED ? 0 : rc;
}

/* Before the loop runs: waits for one job. */
static int run_now(struct quorated_stores *s, struct store_port port, struct look *look)
{
    look->job.done = look_done;
    look->job.is_read_only = true;
    atomic_store(&s->is_waiting, true);
    port.submit(port.ctx, &look->job);
    while (!look->is_done) {
        (void)sem_wait(&s->told);
        log_completions(s);
        state_completions(s);
    }
    atomic_store(&s->is_waiting, false);
    return look->status;
}

static int look_into(struct quorated_stores *s, const struct quorated_settings *settings,
                     struct quorated_ids *ret, struct io_why *why)
{
    struct look old = {.job.run = look_for_log};
    struct look ids = {.job.run = look_ids};
    int rc = run_now(s, quorated_stores_state(s), &old);
    if (rc == 0 && old.has_log) {
        io_why_set(
            why,
            "data directory %s is of an older format, with the log inside of store.mdb; this "
            "version cannot use it: let the node take part anew with an empty directory "
            "('kv member remove', 'kv member add', quorum.state: existing)",
            settings->data_dir);
        return BASE_E_UNSUPPORTED;
    }
    rc = rc != 0 ? rc : run_now(s, quorated_stores_log(s), &ids);
    if (rc != 0) {
        io_why_set(why, "the stores in %s cannot be read: %s%s", settings->data_dir,
                   base_error_text(rc), rc == BASE_E_CORRUPT ? REJOIN : "");
        return rc;
    }
    *ret = ids.ids;
    ret->has_members = old.ids.has_members;
    return 0;
}

int quorated_stores_open(struct quorated_stores *stores, struct io_loop *loop,
                         const struct quorated_settings *settings, struct quorated_ids *ret,
                         struct io_why *why)
{
    BASE_ASSERT(stores->failed != NULL);
    if (sem_init(&stores->told, 0, 0) != 0) {
        io_why_set(why, "no semaphore: %s", strerror(errno));
        return BASE_E_NOMEM;
    }
    stores->is_open = true;
    stores->loop = loop;
    int rc = make_directory(settings->data_dir, why);
    if (rc == 0 && (io_wake_new(loop, log_completions, stores, &stores->log_wake) != 0 ||
                    io_wake_new(loop, state_completions, stores, &stores->state_wake) != 0)) {
        io_why_set(why, "no wake-up for the storage threads");
        rc = BASE_E_NOMEM;
    }
    rc = rc != 0 ? rc : open_log(stores, settings, why);
    rc = rc != 0 ? rc : open_state(stores, settings, why);
    if (rc == 0) {
        stores->log_port = wal_store_port(stores->log);
        stores->state_port = env_lmdb_port(stores->state);
        stores->images = env_lmdb_snapshot_port(stores->state);
    }
    return rc != 0 ? rc : look_into(stores, settings, ret, why);
}

void quorated_stores_close(struct quorated_stores *stores)
{
    stores->is_closing = true;
    stores->state = env_lmdb_close(stores->state);
    stores->log = wal_store_close(stores->log);
}

void quorated_stores_free_wakes(struct quorated_stores *stores)
{
    stores->log_wake = io_wake_free(stores->log_wake);
    stores->state_wake = io_wake_free(stores->state_wake);
    if (stores->is_open) {
        (void)sem_destroy(&stores->told);
        stores->is_open = false;
    }
}
