/* SPDX-License-Identifier: Apache-2.0 */
/* LMDB environment and storage thread; see env_lmdb.h.
 *
 * Locking: `lock` guards the incoming and the outgoing list, the flags and the statistics, and is
 * never held while a job runs or LMDB works. Everything else belongs to the storage thread between
 * open and close.
 */
#include "raft/env_lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "raft/job_list.h"

#define FULL_DISK_BYTES ((uint64_t)256 << 10)
#define BATCH_JOBS_MAX 512u               /* jobs in one commit */
#define BATCH_BYTES_MAX ((size_t)4 << 20) /* bytes written in one commit, about */

static const char *const table_names[STORE_TABLE_COUNT] = {
    [STORE_META] = "meta",
    [STORE_LOG] = "log",
    [STORE_KV_CURRENT] = "kv_current",
    [STORE_KV_REVS] = "kv_revs",
    [STORE_KV_INDEX] = "kv_index",
    [STORE_KV_LEASES] = "kv_leases",
    [STORE_ARBITER] = "arbiter",
    [STORE_KV_LEASE_KEYS] = "kv_lease_keys",
    [STORE_AUTH] = "auth",
};

struct env_lmdb {
    struct store_txn txn; /* first: the operations are handed a pointer to it */
    MDB_env *env;
    MDB_txn *open; /* the batch's; NULL between batches */
    MDB_dbi tables[STORE_TABLE_COUNT];
    int directory_fd;
    int lock_fd;
    size_t batch_bytes;
    size_t batch_jobs;
    bool is_batch_written;
    struct job_list waiting; /* run, for the commit */
    int native;              /* LMDB's or errno's number behind the failure */
    const char *failed_at;

    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct job_list incoming;
    struct job_list outgoing; /* the first outgoing_ok of them succeeded */
    size_t outgoing_ok;
    bool is_stopping;
    bool is_notified;
    bool is_stopped; /* the thread is gone */
    int failed;
    struct env_lmdb_stats stats;

    bool is_fatal_told; /* loop thread */
    struct env_lmdb_options options;
};

/* --- errors --- */

static int code_of(int native)
{
    switch (native) {
    case 0:
        return 0;
    case MDB_NOTFOUND:
        return BASE_E_NOTFOUND;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return BASE_E_NOSPACE;
    case MDB_BAD_VALSIZE:
        return BASE_E_TOOBIG;
    case MDB_VERSION_MISMATCH:
    case MDB_INVALID:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_PANIC:
        return BASE_E_CORRUPT;
    case ENOMEM:
        return BASE_E_NOMEM;
    case EACCES:
    case EPERM:
    case EROFS:
        return BASE_E_DENIED;
    case ENOENT:
    case ENOTDIR:
        return BASE_E_NOTFOUND;
    default:
        return BASE_E_IO;
    }
}

/* LMDB calls a short write EIO, and that is mostly a full disk. */
static int full_disk_of(const struct env_lmdb *env, int native)
{
    struct statvfs fs;
    bool is_full = native == EIO && fstatvfs(env->directory_fd, &fs) == 0 &&
                   fs.f_bavail * fs.f_frsize < FULL_DISK_BYTES;
    return is_full ? ENOSPC : native;
}

/* Notes where the first error came from, for the text of `fatal`. */
static int native_failure(struct env_lmdb *env, const char *where, int native)
{
    native = full_disk_of(env, native);
    int code = code_of(native);
    if (code != 0 && code != BASE_E_NOTFOUND && env->failed_at == NULL) {
        env->native = native;
        env->failed_at = where;
    }
    return code;
}

/* --- operations of the transaction --- */

static struct env_lmdb *env_of(struct store_txn *txn)
{
    return (struct env_lmdb *)txn;
}

static bool is_key(struct slice key)
{
    return key.len > 0 && key.len <= STORE_KEY_MAX;
}

/* LMDB takes pointers without const, and does not write through those of keys and values given to
 * it. */
static MDB_val val_of(struct slice bytes)
{
    union {
        const uint8_t *constant;
        void *plain;
    } pointer = {.constant = bytes.data};
    return (MDB_val){.mv_size = bytes.len, .mv_data = pointer.plain};
}

static struct slice slice_of(const MDB_val *val)
{
    return slice_from(val->mv_data, val->mv_size);
}

static int lmdb_get(struct store_txn *txn, enum store_table table, struct slice key,
                    struct slice *ret)
{
    struct env_lmdb *env = env_of(txn);
    MDB_val k = val_of(key);
    MDB_val v = {0};
    if (!is_key(key)) {
        return BASE_E_NOTFOUND;
    }
    int rc = native_failure(env, "read", mdb_get(env->open, env->tables[table], &k, &v));
    if (rc == 0) {
        *ret = slice_of(&v);
    }
    return rc;
}

static int lmdb_put(struct store_txn *txn, enum store_table table, struct slice key,
                    struct slice value)
{
    struct env_lmdb *env = env_of(txn);
    MDB_val k = val_of(key);
    MDB_val v = val_of(value);
    int native = MDB_KEYEXIST;
    if (!is_key(key)) {
        return BASE_E_TOOBIG;
    }
    env->is_batch_written = true;
    env->batch_bytes += key.len + value.len;
    /* These two grow at the end, where an append fills pages to the brim instead of splitting them
     * in half. */
    if (table == STORE_LOG || table == STORE_KV_REVS) {
        native = mdb_put(env->open, env->tables[table], &k, &v, MDB_APPEND);
    }
    if (native == MDB_KEYEXIST) {
        k = val_of(key);
        v = val_of(value);
        native = mdb_put(env->open, env->tables[table], &k, &v, 0);
    }
    return native_failure(env, "write", native);
}

static int lmdb_del(struct store_txn *txn, enum store_table table, struct slice key)
{
    struct env_lmdb *env = env_of(txn);
    MDB_val k = val_of(key);
    if (!is_key(key)) {
        return BASE_E_NOTFOUND;
    }
    int rc = native_failure(env, "delete", mdb_del(env->open, env->tables[table], &k, NULL));
    env->is_batch_written |= rc == 0;
    env->batch_bytes += key.len;
    return rc;
}

struct walk {
    struct env_lmdb *env;
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    store_visit_fn *visit;
    void *ctx;
};

/* Visits from where the cursor's first move (`native`) led, until the visitor stops or the rows
 * end. */
static int walk_run(struct walk *walk, int native, MDB_cursor_op step)
{
    while (native == 0) {
        int rc = walk->visit(walk->ctx, slice_of(&walk->key), slice_of(&walk->value));
        if (rc != 0) {
            return rc > 0 ? 0 : rc;
        }
        native = mdb_cursor_get(walk->cursor, &walk->key, &walk->value, step);
    }
    return native == MDB_NOTFOUND ? 0 : native_failure(walk->env, "scan", native);
}

static int lmdb_scan(struct store_txn *txn, enum store_table table, struct slice from,
                     store_visit_fn *visit, void *ctx)
{
    struct env_lmdb *env = env_of(txn);
    struct walk walk = {.env = env, .key = val_of(from), .visit = visit, .ctx = ctx};
    int native = mdb_cursor_open(env->open, env->tables[table], &walk.cursor);
    if (native != 0) {
        return native_failure(env, "scan", native);
    }
    native = mdb_cursor_get(walk.cursor, &walk.key, &walk.value,
                            from.len == 0 ? MDB_FIRST : MDB_SET_RANGE);
    int rc = walk_run(&walk, native, MDB_NEXT);
    mdb_cursor_close(walk.cursor);
    return rc;
}

static int lmdb_scan_back(struct store_txn *txn, enum store_table table, struct slice before,
                          store_visit_fn *visit, void *ctx)
{
    struct env_lmdb *env = env_of(txn);
    struct walk walk = {.env = env, .key = val_of(before), .visit = visit, .ctx = ctx};
    int native = mdb_cursor_open(env->open, env->tables[table], &walk.cursor);
    if (native != 0) {
        return native_failure(env, "scan", native);
    }
    MDB_cursor_op first = MDB_LAST;
    if (before.len > 0 && mdb_cursor_get(walk.cursor, &walk.key, &walk.value, MDB_SET_RANGE) == 0) {
        first = MDB_PREV; /* stands on the first key that is not below */
    }
    native = mdb_cursor_get(walk.cursor, &walk.key, &walk.value, first);
    int rc = walk_run(&walk, native, MDB_PREV);
    mdb_cursor_close(walk.cursor);
    return rc;
}

/* Deletes at the cursor until a key is not below `before`. */
static int del_run(struct env_lmdb *env, MDB_cursor *cursor, MDB_val *key, struct slice before,
                   uint64_t rows_max, uint64_t *rows)
{
    MDB_val value;
    int native = mdb_cursor_get(cursor, key, &value, key->mv_size == 0 ? MDB_FIRST : MDB_SET_RANGE);
    while (native == 0 && (rows_max == 0 || *rows < rows_max)) {
        if (before.len > 0 && slice_compare(slice_from(key->mv_data, key->mv_size), before) >= 0) {
            return 0;
        }
        native = mdb_cursor_del(cursor, 0);
        if (native == 0) {
            ++*rows;
            native = mdb_cursor_get(cursor, key, &value, MDB_NEXT);
        }
    }
    return native == 0 || native == MDB_NOTFOUND ? 0 : native_failure(env, "delete", native);
}

static int lmdb_del_range(struct store_txn *txn, enum store_table table, struct slice from,
                          struct slice before, uint64_t rows_max, uint64_t *ret_rows)
{
    struct env_lmdb *env = env_of(txn);
    MDB_val key = val_of(from);
    MDB_cursor *cursor = NULL;
    uint64_t rows = 0;
    int native = mdb_cursor_open(env->open, env->tables[table], &cursor);
    if (native != 0) {
        return native_failure(env, "delete", native);
    }
    int rc = del_run(env, cursor, &key, before, rows_max, &rows);
    mdb_cursor_close(cursor);
    if (rc == 0 && ret_rows != NULL) {
        *ret_rows = rows;
    }
    return rc;
}

static int lmdb_size(struct store_txn *txn, uint64_t *ret_bytes, uint64_t *ret_bytes_used)
{
    struct env_lmdb *env = env_of(txn);
    MDB_envinfo info;
    MDB_stat stat;
    uint64_t pages = 2; /* the meta pages */
    int native = mdb_env_info(env->env, &info);
    for (size_t i = 0; i < STORE_TABLE_COUNT && native == 0; i++) {
        native = mdb_stat(env->open, env->tables[i], &stat);
        if (native == 0) {
            pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
        }
    }
    if (native != 0) {
        return native_failure(env, "size", native);
    }
    *ret_bytes = (info.me_last_pgno + 1) * (uint64_t)stat.ms_psize;
    *ret_bytes_used = pages * stat.ms_psize;
    return 0;
}

static const struct store_txn_ops lmdb_ops = {
    .get = lmdb_get,
    .put = lmdb_put,
    .del = lmdb_del,
    .scan = lmdb_scan,
    .scan_back = lmdb_scan_back,
    .del_range = lmdb_del_range,
    .size = lmdb_size,
};

/* --- lists --- */

static struct job_list list_take(struct job_list *list)
{
    struct job_list all = *list;
    *list = (struct job_list){0};
    return all;
}

/* --- the storage thread --- */

/* Hands completions to the loop thread; `status` is the same for all of them. */
static void publish(struct env_lmdb *env, struct job_list *jobs, int status)
{
    bool notify = false;
    if (jobs->head == NULL && status == 0) {
        return;
    }
    (void)pthread_mutex_lock(&env->lock);
    if (status != 0 && env->failed == 0) {
        env->failed = status;
    }
    if (status == 0) {
        BASE_ASSERT(env->failed == 0);
        env->outgoing_ok += jobs->count;
    }
    env->stats.jobs += jobs->count;
    for (struct store_job *job = job_list_pop(jobs); job != NULL; job = job_list_pop(jobs)) {
        job_list_push(&env->outgoing, job);
    }
    notify = !env->is_notified;
    env->is_notified = true;
    (void)pthread_mutex_unlock(&env->lock);
    if (notify) {
        env->options.notify(env->options.ctx);
    }
}

static void batch_abort(struct env_lmdb *env)
{
    if (env->open != NULL) {
        mdb_txn_abort(env->open);
        env->open = NULL;
    }
}

static int batch_begin(struct env_lmdb *env)
{
    if (env->open != NULL) {
        return 0;
    }
    env->batch_bytes = 0;
    env->batch_jobs = 0;
    env->is_batch_written = false;
    return native_failure(env, "begin", mdb_txn_begin(env->env, NULL, 0, &env->open));
}

static int64_t monotonic_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void note_commit(struct env_lmdb *env, int64_t took_us)
{
    (void)pthread_mutex_lock(&env->lock);
    env->stats.commits++;
    env->stats.commit_last_us = took_us;
    if (took_us > env->stats.commit_worst_us) {
        env->stats.commit_worst_us = took_us;
    }
    (void)pthread_mutex_unlock(&env->lock);
}

/* Ends the open transaction: a commit where something was written, else nothing touches the disk.
 */
static int batch_end(struct env_lmdb *env)
{
    MDB_txn *txn = env->open;
    if (txn == NULL) {
        return 0;
    }
    if (!env->is_batch_written) {
        batch_abort(env);
        return 0;
    }
    int64_t start = monotonic_us();
    env->open = NULL; /* a commit frees it, also when it fails */
    int rc = native_failure(env, "commit", mdb_txn_commit(txn));
    note_commit(env, monotonic_us() - start);
    return rc == BASE_E_NOTFOUND ? BASE_E_IO : rc;
}

/* Runs jobs of one list; those that need not be durable go to `ended`. Stops at the first error;
 * the failing job and the rest of the list are left to the caller. */
static int run_jobs(struct env_lmdb *env, struct job_list *jobs, struct job_list *ended)
{
    while (jobs->head != NULL && env->batch_jobs < BATCH_JOBS_MAX &&
           env->batch_bytes < BATCH_BYTES_MAX) {
        int rc = jobs->head->run(jobs->head, &env->txn);
        if (rc < 0) {
            return rc;
        }
        struct store_job *job = job_list_pop(jobs);
        env->batch_jobs++;
        job_list_push(job->wants_durable ? &env->waiting : ended, job);
    }
    return 0;
}

/* One batch or a part of it; on failure everything not yet told fails. */
static int batch_step(struct env_lmdb *env, struct job_list *jobs, bool is_last)
{
    struct job_list ended = {0};
    int rc = batch_begin(env);
    if (rc == 0) {
        rc = run_jobs(env, jobs, &ended);
        /* These saw a transaction that is void when one of them failed, so they fail with it. */
        publish(env, &ended, rc);
    }
    bool is_large = env->batch_jobs >= BATCH_JOBS_MAX || env->batch_bytes >= BATCH_BYTES_MAX;
    if (rc == 0 && (is_large || (is_last && jobs->head == NULL))) {
        rc = batch_end(env);
        publish(env, &env->waiting, rc);
    }
    if (rc != 0) {
        batch_abort(env);
        publish(env, &env->waiting, rc);
        publish(env, jobs, rc);
    }
    return rc;
}

/* Waits for work. False: the thread shall end and nothing is left. */
static bool take_work(struct env_lmdb *env, struct job_list *ret_jobs)
{
    (void)pthread_mutex_lock(&env->lock);
    while (env->incoming.head == NULL && !env->is_stopping) {
        (void)pthread_cond_wait(&env->wake, &env->lock);
    }
    *ret_jobs = list_take(&env->incoming);
    (void)pthread_mutex_unlock(&env->lock);
    return ret_jobs->head != NULL;
}

static bool is_queue_empty(struct env_lmdb *env)
{
    (void)pthread_mutex_lock(&env->lock);
    bool is_empty = env->incoming.head == NULL;
    (void)pthread_mutex_unlock(&env->lock);
    return is_empty;
}

static void *thread_main(void *arg)
{
    struct env_lmdb *env = arg;
    struct job_list jobs = {0};
    int failed = 0;
    while (take_work(env, &jobs)) {
        while (failed == 0 && jobs.head != NULL) {
            /* more may have come in meanwhile: then they share this batch's flush */
            failed = batch_step(env, &jobs, is_queue_empty(env));
        }
        if (failed != 0) {
            publish(env, &jobs, failed);
        }
    }
    BASE_ASSERT(env->open == NULL);
    return NULL;
}

/* --- opening and closing --- */

static int fail_open(struct env_lmdb *env, char *ret_text, const char *what, int native)
{
    int code = code_of(native);
    if (native == EWOULDBLOCK) {
        code = BASE_E_BUSY;
    }
    if (ret_text != NULL) {
        (void)snprintf(ret_text, ENV_LMDB_ERROR_MAX, "%s in %s: %s", what, env->options.directory,
                       code == BASE_E_BUSY ? "another process uses it" : mdb_strerror(native));
    }
    return code;
}

static int open_lock(struct env_lmdb *env, char *ret_text)
{
    env->directory_fd = open(env->options.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (env->directory_fd < 0) {
        return fail_open(env, ret_text, "cannot open the data directory", errno);
    }
    env->lock_fd = openat(env->directory_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (env->lock_fd < 0 || flock(env->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return fail_open(env, ret_text, "cannot lock the data directory", errno);
    }
    return 0;
}

static int open_tables(struct env_lmdb *env)
{
    MDB_txn *txn = NULL;
    int native = mdb_txn_begin(env->env, NULL, 0, &txn);
    for (size_t i = 0; i < STORE_TABLE_COUNT && native == 0; i++) {
        native = mdb_dbi_open(txn, table_names[i], MDB_CREATE, &env->tables[i]);
    }
    if (native != 0) {
        if (txn != NULL) {
            mdb_txn_abort(txn);
        }
        return native;
    }
    return mdb_txn_commit(txn);
}

static int open_env(struct env_lmdb *env, char *ret_text)
{
    char path[4096];
    uint64_t map = env->options.map_bytes == 0 ? ENV_LMDB_MAP_DEFAULT : env->options.map_bytes;
    map = map < ENV_LMDB_MAP_MIN ? ENV_LMDB_MAP_MIN : map / 4096 * 4096;
    int len = snprintf(path, sizeof(path), "%s/store.mdb", env->options.directory);
    if (len < 0 || (size_t)len >= sizeof(path)) {
        return fail_open(env, ret_text, "path is too long", ENAMETOOLONG);
    }
    int native = mdb_env_create(&env->env);
    if (native == 0) {
        native = mdb_env_set_maxdbs(env->env, STORE_TABLE_COUNT + 4);
    }
    if (native == 0) {
        native = mdb_env_set_mapsize(env->env, map);
    }
    if (native == 0) {
        native = mdb_env_open(env->env, path, MDB_NOSUBDIR | MDB_NOTLS, 0600);
    }
    if (native == 0) {
        native = open_tables(env);
    }
    /* the names of the files are durable too */
    if (native == 0 && fsync(env->directory_fd) != 0) {
        native = errno;
    }
    return native == 0 ? 0 : fail_open(env, ret_text, "cannot open store.mdb", native);
}

static int start_thread(struct env_lmdb *env, char *ret_text)
{
    int native = pthread_create(&env->thread, NULL, thread_main, env);
    env->has_thread = native == 0;
    return native == 0 ? 0 : fail_open(env, ret_text, "cannot start the storage thread", native);
}

int env_lmdb_open(const struct env_lmdb_options *options, struct env_lmdb **ret, char *ret_text)
{
    struct env_lmdb *env = calloc(1, sizeof(*env));
    if (env == NULL) {
        return BASE_E_NOMEM;
    }
    env->options = *options;
    env->options.directory = strdup(options->directory);
    env->txn.ops = &lmdb_ops;
    env->directory_fd = -1;
    env->lock_fd = -1;
    (void)pthread_mutex_init(&env->lock, NULL);
    (void)pthread_cond_init(&env->wake, NULL);
    int rc = env->options.directory == NULL ? BASE_E_NOMEM : open_lock(env, ret_text);
    if (rc == 0) {
        rc = open_env(env, ret_text);
    }
    if (rc == 0) {
        rc = start_thread(env, ret_text);
    }
    if (rc != 0) {
        (void)env_lmdb_close(env);
        return rc;
    }
    *ret = env;
    return 0;
}

static void stop_thread(struct env_lmdb *env)
{
    if (env->has_thread) {
        (void)pthread_mutex_lock(&env->lock);
        env->is_stopping = true;
        (void)pthread_cond_signal(&env->wake);
        (void)pthread_mutex_unlock(&env->lock);
        (void)pthread_join(env->thread, NULL);
        env->has_thread = false;
    }
    env->is_stopped = true;
}

struct env_lmdb *env_lmdb_close(struct env_lmdb *env)
{
    if (env == NULL) {
        return NULL;
    }
    stop_thread(env);
    while (env_lmdb_complete(env) > 0) {
    }
    if (env->env != NULL) {
        mdb_env_close(env->env);
    }
    if (env->lock_fd >= 0) {
        (void)close(env->lock_fd);
    }
    if (env->directory_fd >= 0) {
        (void)close(env->directory_fd);
    }
    (void)pthread_mutex_destroy(&env->lock);
    (void)pthread_cond_destroy(&env->wake);
    union {
        const char *constant;
        void *plain;
    } directory = {.constant = env->options.directory};
    free(directory.plain);
    free(env);
    return NULL;
}

/* --- the loop thread's side --- */

static void lmdb_submit(void *ctx, struct store_job *job)
{
    struct env_lmdb *env = ctx;
    (void)pthread_mutex_lock(&env->lock);
    if (env->is_stopped) {
        env->failed = env->failed != 0 ? env->failed : BASE_E_CANCELED;
        job_list_push(&env->outgoing, job);
    } else {
        job_list_push(&env->incoming, job);
        (void)pthread_cond_signal(&env->wake);
    }
    (void)pthread_mutex_unlock(&env->lock);
}

struct store_port env_lmdb_port(struct env_lmdb *env)
{
    return (struct store_port){.ctx = env, .submit = lmdb_submit};
}

static void tell_fatal(struct env_lmdb *env, int failed)
{
    char text[ENV_LMDB_ERROR_MAX];
    if (failed == 0 || failed == BASE_E_CANCELED || env->is_fatal_told) {
        return;
    }
    env->is_fatal_told = true;
    (void)snprintf(text, sizeof(text), "%s in %s/store.mdb: %s",
                   env->failed_at != NULL ? env->failed_at : "a job", env->options.directory,
                   env->failed_at != NULL ? mdb_strerror(env->native) : base_error_text(failed));
    if (env->options.fatal != NULL) {
        env->options.fatal(env->options.ctx, failed, text);
    }
}

size_t env_lmdb_complete(struct env_lmdb *env)
{
    (void)pthread_mutex_lock(&env->lock);
    struct job_list jobs = list_take(&env->outgoing);
    size_t good = env->outgoing_ok;
    int failed = env->failed;
    env->outgoing_ok = 0;
    env->is_notified = false;
    (void)pthread_mutex_unlock(&env->lock);
    size_t count = jobs.count;
    for (struct store_job *job = job_list_pop(&jobs); job != NULL; job = job_list_pop(&jobs)) {
        bool is_ok = good > 0;
        good -= is_ok;
        job->done(job, is_ok ? 0 : failed);
    }
    tell_fatal(env, failed);
    return count;
}

void env_lmdb_stats(struct env_lmdb *env, struct env_lmdb_stats *ret)
{
    (void)pthread_mutex_lock(&env->lock);
    *ret = env->stats;
    env->stats.commit_worst_us = 0;
    (void)pthread_mutex_unlock(&env->lock);
}
