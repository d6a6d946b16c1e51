/* SPDX-License-Identifier: Apache-2.0 */
/* LMDB environment on a storage thread (store_thread.h); see env_lmdb.h. */
#include "raft/env_lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/canary.h"
#include "base/failpoint.h"
#include "raft/env_lmdb_internal.h"

#define QUIET_MS 1000u
#define FULL_DISK_BYTES ((uint64_t)256 << 10)

const char *const env_lmdb_table_names[STORE_TABLE_COUNT] = {
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

/* --- errors --- */

int env_lmdb_code(int native)
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

int env_lmdb_failure(struct env_lmdb *env, const char *where, int native)
{
    native = full_disk_of(env, native);
    int code = env_lmdb_code(native);
    if (code != 0 && code != BASE_E_NOTFOUND && env->failed_at == NULL) {
        env->native = native;
        env->failed_at = where;
    }
    return code;
}

/* --- the backend of the thread --- */

static void batch_abort(void *ctx)
{
    struct env_lmdb *env = ctx;
    if (env->open != NULL) {
        mdb_txn_abort(env->open);
        env->open = NULL;
    }
}

static int batch_begin(void *ctx)
{
    struct env_lmdb *env = ctx;
    if (env->open != NULL) {
        return 0;
    }
    env->batch_bytes = 0;
    env->batch_pages = 0;
    env->is_batch_written = false;
    memset(env->touched, 0, sizeof(env->touched));
    int native = mdb_txn_begin(env->env, NULL, 0, &env->open);
    return env_lmdb_failure(env, "begin", native);
}

/* A commit where something was written, else nothing touches the disk. */
static int batch_commit(void *ctx)
{
    struct env_lmdb *env = ctx;
    MDB_txn *txn = env->open;
    if (txn == NULL) {
        return 0;
    }
    if (!env->is_batch_written) {
        batch_abort(env);
        return 0;
    }
    env->open = NULL; /* a commit frees it, also when it fails */
    if (FAILPOINT(STATE_COMMIT) != 0) {
        mdb_txn_abort(txn);
        return BASE_E_IO;
    }
    int rc = env_lmdb_failure(env, "commit", mdb_txn_commit(txn));
    rc = rc == BASE_E_NOTFOUND ? BASE_E_IO : rc;
    return rc != 0 ? rc : FAILPOINT(STATE_COMMITTED);
}

static void batch_job_end(void *ctx)
{
    (void)ctx;
}

static bool batch_is_dirty(void *ctx)
{
    const struct env_lmdb *env = ctx;
    return env->open != NULL && env->is_batch_written;
}

static bool batch_is_large(void *ctx)
{
    const struct env_lmdb *env = ctx;
    return batch_is_dirty(ctx) && (env->batch_bytes >= env->options.commit_bytes ||
                                   env->batch_pages >= env->options.commit_pages);
}

/* Nothing was written for a while. */
static int batch_seal(void *ctx)
{
    struct env_lmdb *env = ctx;
    env_lmdb_map_drop(&env->map);
    return 0;
}

/* --- opening and closing --- */

static const char *next_step(int code, int native)
{
    if (code == BASE_E_CORRUPT) {
        return ". The state is damaged: on another node take this one out of the quorum with "
               "\"kv member remove\", add it anew with \"kv member add\", and start it with an "
               "empty data directory and quorum.state: existing";
    }
    return native == EMFILE || native == ENFILE ? " (raise the limit of open files)" : "";
}

static int fail_open(struct env_lmdb *env, char *ret_text, const char *what, int native)
{
    int code = env_lmdb_code(native);
    if (native == EWOULDBLOCK) {
        code = BASE_E_BUSY;
    }
    if (ret_text != NULL) {
        (void)snprintf(ret_text, ENV_LMDB_ERROR_MAX, "%s in %.300s: %s%s", what,
                       env->options.directory,
                       code == BASE_E_BUSY ? "another process uses it" : mdb_strerror(native),
                       next_step(code, native));
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

static int open_tables(MDB_env *env, MDB_dbi tables[STORE_TABLE_COUNT])
{
    MDB_txn *txn = NULL;
    int native = mdb_txn_begin(env, NULL, 0, &txn);
    for (size_t i = 0; i < STORE_TABLE_COUNT && native == 0; i++) {
        native = mdb_dbi_open(txn, env_lmdb_table_names[i], MDB_CREATE, &tables[i]);
    }
    if (native != 0) {
        if (txn != NULL) {
            mdb_txn_abort(txn);
        }
        return native;
    }
    return mdb_txn_commit(txn);
}

/* A file that something has cut off gets its pages back, empty: reading one is damage that is told,
 * and not a signal. LMDB itself may leave the last ones unwritten when nothing refers to them. */
static int cover_pages(MDB_env *env)
{
    MDB_envinfo used;
    MDB_stat pages;
    struct stat file;
    int fd = -1;
    int native = mdb_env_info(env, &used);
    native = native != 0 ? native : mdb_env_stat(env, &pages);
    native = native != 0 ? native : mdb_env_get_fd(env, &fd);
    if (native != 0) {
        return native;
    }
    off_t len = (off_t)((used.me_last_pgno + 1) * pages.ms_psize);
    bool is_bad = fstat(fd, &file) != 0 || (file.st_size < len && ftruncate(fd, len) != 0);
    return is_bad ? errno : 0;
}

/* LMDB aborts when a page contradicts itself, with words that name neither the file nor a way out.
 * Any thread; the caller ends the process. */
static void tell_contradiction(MDB_env *env, const char *what)
{
    const char *path = NULL;
    (void)mdb_env_get_path(env, &path);
    (void)fprintf(stderr,
                  "lvl=error mod=store ev=state_damaged file=\"%s\" why=\"LMDB: %s\" "
                  "next=\"the process stops; if it does so again at the next start, the state is "
                  "damaged: take this node out with kv member remove, add it anew with kv member "
                  "add, start it with an empty data directory and quorum.state: existing\"\n",
                  path != NULL ? path : "", what);
}

int env_lmdb_open_file(const struct env_lmdb *env, const char *name, unsigned flags, MDB_env **ret,
                       MDB_dbi ret_tables[STORE_TABLE_COUNT])
{
    char path[4096];
    MDB_env *opened = NULL;
    int len = snprintf(path, sizeof(path), "%s/%s", env->options.directory, name);
    if (len < 0 || (size_t)len >= sizeof(path)) {
        return ENAMETOOLONG;
    }
    int native = mdb_env_create(&opened);
    if (native == 0) {
        native = mdb_env_set_assert(opened, tell_contradiction);
    }
    if (native == 0) {
        native = mdb_env_set_maxdbs(opened, STORE_TABLE_COUNT + 4);
    }
    if (native == 0) {
        native = mdb_env_set_mapsize(opened, env->options.map_bytes);
    }
    if (native == 0) {
        flags |= MDB_NOSUBDIR | MDB_NOTLS;
        flags |= CANARY(NOMETASYNC_WHILE_ACKING) ? MDB_NOMETASYNC : 0;
        native = mdb_env_open(opened, path, flags, 0600);
    }
    if (native == 0) {
        native = cover_pages(opened);
    }
    if (native == 0) {
        native = open_tables(opened, ret_tables);
    }
    /* the names of the files are durable too */
    if (native == 0 && fsync(env->directory_fd) != 0) {
        native = errno;
    }
    if (native != 0 && opened != NULL) {
        mdb_env_close(opened);
    }
    if (native == 0) {
        *ret = opened;
    }
    return native;
}

static int open_own(struct env_lmdb *env)
{
    int native = env_lmdb_open_file(env, ENV_LMDB_FILE, 0, &env->env, env->tables);
    if (native == 0) {
        env_lmdb_map_find(env->env, env->options.resident_bytes, &env->map);
    }
    return native;
}

/* A new file comes under its name only when it is whole and durable: LMDB does not take one whose
 * first pages a power failure has kept back. */
static int make_file(const struct env_lmdb *env)
{
    MDB_env *made = NULL;
    MDB_dbi tables[STORE_TABLE_COUNT];
    struct stat info;
    if (fstatat(env->directory_fd, ENV_LMDB_FILE, &info, 0) == 0 && info.st_size > 0) {
        return 0;
    }
    int native = env_lmdb_open_file(env, ENV_LMDB_FILE_NEW, MDB_NOLOCK, &made, tables);
    if (native != 0) {
        return native;
    }
    mdb_env_close(made);
    bool is_named =
        renameat(env->directory_fd, ENV_LMDB_FILE_NEW, env->directory_fd, ENV_LMDB_FILE) == 0 &&
        fsync(env->directory_fd) == 0;
    return is_named ? 0 : errno;
}

static int open_env(struct env_lmdb *env, char *ret_text)
{
    env_lmdb_images_clean(env);
    int native = make_file(env);
    native = native != 0 ? native : open_own(env);
    return native == 0 ? 0 : fail_open(env, ret_text, "cannot open store.mdb", native);
}

int env_lmdb_swap(struct env_lmdb *env)
{
    int rc = batch_commit(env);
    if (rc != 0) {
        return rc;
    }
    mdb_env_close(env->env);
    env->env = NULL;
    int native = 0;
    if (renameat(env->directory_fd, ENV_LMDB_FILE_NEW, env->directory_fd, ENV_LMDB_FILE) != 0 ||
        fsync(env->directory_fd) != 0) {
        native = errno;
    }
    if (native == 0) {
        native = open_own(env);
    }
    rc = env_lmdb_failure(env, "installation of an image", native);
    rc = rc == BASE_E_NOTFOUND ? BASE_E_IO : rc;
    return rc != 0 ? rc : batch_begin(env);
}

static int start_thread(struct env_lmdb *env, char *ret_text)
{
    int native = 0;
    struct store_thread_options options = {.backend = {.ctx = env,
                                                       .txn = &env->txn,
                                                       .begin = batch_begin,
                                                       .commit = batch_commit,
                                                       .abort = batch_abort,
                                                       .job_end = batch_job_end,
                                                       .is_dirty = batch_is_dirty,
                                                       .is_large = batch_is_large,
                                                       .seal = batch_seal,
                                                       .seal_ms = QUIET_MS},
                                           .lazy_ms = env->options.commit_lazy_ms,
                                           .ctx = env->options.ctx,
                                           .notify = env->options.notify};
    int rc = store_thread_start(&options, &env->thread, &native);
    return rc == 0 ? 0 : fail_open(env, ret_text, "cannot start the storage thread", native);
}

static void set_defaults(struct env_lmdb_options *options)
{
    uint64_t map = options->map_bytes == 0 ? ENV_LMDB_MAP_DEFAULT : options->map_bytes;
    options->map_bytes = map < ENV_LMDB_MAP_MIN ? ENV_LMDB_MAP_MIN : map / 4096 * 4096;
    if (options->commit_bytes == 0) {
        options->commit_bytes = ENV_LMDB_COMMIT_BYTES_DEFAULT;
    }
    if (options->commit_pages == 0) {
        options->commit_pages = ENV_LMDB_COMMIT_PAGES_DEFAULT;
    }
    if (options->resident_bytes == 0) {
        options->resident_bytes = ENV_LMDB_RESIDENT_DEFAULT;
    }
    if (options->image_bytes_per_s == 0) {
        options->image_bytes_per_s = ENV_LMDB_IMAGE_RATE_DEFAULT;
    }
}

int env_lmdb_open(const struct env_lmdb_options *options, struct env_lmdb **ret, char *ret_text)
{
    struct env_lmdb *env = calloc(1, sizeof(*env));
    if (env == NULL) {
        return BASE_E_NOMEM;
    }
    env->options = *options;
    env->options.directory = strdup(options->directory);
    set_defaults(&env->options);
    env->txn.ops = &env_lmdb_ops;
    env->directory_fd = -1;
    env->lock_fd = -1;
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

struct env_lmdb *env_lmdb_close(struct env_lmdb *env)
{
    if (env == NULL) {
        return NULL;
    }
    env_lmdb_images_stop(env);
    if (env->thread != NULL) {
        store_thread_stop(env->thread);
        while (env_lmdb_complete(env) > 0) {
        }
    }
    env_lmdb_images_free(env);
    env->thread = store_thread_free(env->thread);
    if (env->env != NULL) {
        mdb_env_close(env->env);
    }
    if (env->lock_fd >= 0) {
        (void)close(env->lock_fd);
    }
    if (env->directory_fd >= 0) {
        (void)close(env->directory_fd);
    }
    union {
        const char *constant;
        void *plain;
    } directory = {.constant = env->options.directory};
    free(directory.plain);
    free(env);
    return NULL;
}

/* --- the loop thread's side --- */

struct store_port env_lmdb_port(struct env_lmdb *env)
{
    return (struct store_port){.ctx = env->thread, .submit = store_thread_submit};
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
    int failed = 0;
    size_t count = store_thread_complete(env->thread, &failed);
    count += env_lmdb_images_complete(env);
    tell_fatal(env, failed);
    return count;
}

void env_lmdb_stats(struct env_lmdb *env, struct env_lmdb_stats *ret)
{
    struct store_thread_stats stats = store_thread_stats(env->thread);
    *ret = (struct env_lmdb_stats){.commits = stats.commits,
                                   .jobs = stats.jobs,
                                   .commit_worst_us = stats.worst_us,
                                   .commit_last_us = stats.last_us,
                                   .thread = stats};
}
