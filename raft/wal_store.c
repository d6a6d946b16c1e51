/* SPDX-License-Identifier: Apache-2.0 */
/* The log store's port: wal_log.h on a thread of its own (store_thread.h). See wal_store.h. */
#include "raft/wal_store.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/assert.h"
#include "raft/store_thread.h"
#include "raft/wal_log.h"

#define BATCH_BYTES_MAX ((size_t)1 << 20)
#define SEAL_MS 100u

_Static_assert(WAL_STORE_ERROR_MAX >= WAL_LOG_TEXT_MAX, "texts fit");

struct wal_store {
    struct wal_log *log; /* the storage thread's, between start and stop */
    struct store_thread *thread;
    char *directory;
    int directory_fd;
    int lock_fd;
    pthread_mutex_t lock; /* guards `seen` */
    struct wal_log_stats seen;
    bool is_fatal_told;
    struct wal_store_options options;
};

/* --- the backend of the thread --- */

static int backend_begin(void *ctx)
{
    (void)ctx;
    return 0;
}

static void note_stats(struct wal_store *store)
{
    struct wal_log_stats stats = wal_log_stats(store->log);
    (void)pthread_mutex_lock(&store->lock);
    store->seen = stats;
    (void)pthread_mutex_unlock(&store->lock);
}

static int backend_commit(void *ctx)
{
    struct wal_store *store = ctx;
    if (wal_log_batch_bytes(store->log) == 0) {
        return 0;
    }
    int rc = wal_log_commit(store->log);
    note_stats(store);
    return rc;
}

static void backend_abort(void *ctx)
{
    struct wal_store *store = ctx;
    wal_log_job_end(store->log);
}

static void backend_job_end(void *ctx)
{
    struct wal_store *store = ctx;
    wal_log_job_end(store->log);
}

static bool backend_is_dirty(void *ctx)
{
    const struct wal_store *store = ctx;
    return wal_log_batch_bytes(store->log) > 0;
}

static bool backend_is_large(void *ctx)
{
    const struct wal_store *store = ctx;
    return wal_log_batch_bytes(store->log) >= BATCH_BYTES_MAX;
}

static int backend_prepare(void *ctx, bool is_busy, bool *ret_more)
{
    struct wal_store *store = ctx;
    int rc = wal_log_prepare(store->log, is_busy, ret_more);
    note_stats(store);
    return rc;
}

static int backend_seal(void *ctx)
{
    struct wal_store *store = ctx;
    int rc = wal_log_seal(store->log);
    note_stats(store);
    return rc;
}

/* --- opening and closing --- */

static int fail_open(const struct wal_store *store, char *ret_text, const char *what, int native)
{
    int code = BASE_E_IO;
    if (native == EWOULDBLOCK) {
        code = BASE_E_BUSY;
    } else if (native == ENOENT || native == ENOTDIR) {
        code = BASE_E_NOTFOUND;
    } else if (native == EACCES || native == EROFS || native == EPERM) {
        code = BASE_E_DENIED;
    } else if (native == ENOSPC || native == EDQUOT) {
        code = BASE_E_NOSPACE;
    }
    if (ret_text != NULL) {
        (void)snprintf(ret_text, WAL_STORE_ERROR_MAX, "%s %s: %s%s", what, store->directory,
                       native == EWOULDBLOCK ? "another process uses it" : strerror(native),
                       native == EMFILE || native == ENFILE ? " (raise the limit of open files)"
                                                            : "");
    }
    return code;
}

static int open_directory(struct wal_store *store, char *ret_text)
{
    store->directory_fd = open(store->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->directory_fd < 0) {
        return fail_open(store, ret_text, "cannot open the data directory", errno);
    }
    store->lock_fd = openat(store->directory_fd, "wal.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (store->lock_fd < 0 || flock(store->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return fail_open(store, ret_text, "cannot lock the log in", errno);
    }
    return 0;
}

static int open_log(struct wal_store *store, char *ret_text)
{
    char text[WAL_LOG_TEXT_MAX] = "";
    struct wal_log_options options = {
        .io = store->options.io != NULL ? *store->options.io : wal_io_system(&store->directory_fd)};
    uint64_t bytes = store->options.segment_bytes == 0 ? WAL_SEGMENT_BYTES_DEFAULT
                                                       : store->options.segment_bytes;
    bytes = bytes < WAL_SEGMENT_BYTES_MIN ? WAL_SEGMENT_BYTES_MIN : bytes;
    options.segment_bytes = bytes / 4096 * 4096;
    if (getrandom(&options.fresh_id, sizeof(options.fresh_id), 0) !=
        (ssize_t)sizeof(options.fresh_id)) {
        return fail_open(store, ret_text, "cannot get random bytes for", errno);
    }
    int rc = wal_log_open(&options, &store->log, text);
    if (rc != 0 && ret_text != NULL) {
        (void)snprintf(ret_text, WAL_STORE_ERROR_MAX, "%.200s: %.500s", store->directory,
                       text[0] != 0 ? text : base_error_text(rc));
    }
    return rc;
}

static int start(struct wal_store *store, char *ret_text)
{
    int native = 0;
    struct store_thread_options options = {.backend = {.ctx = store,
                                                       .txn = wal_log_txn(store->log),
                                                       .begin = backend_begin,
                                                       .commit = backend_commit,
                                                       .abort = backend_abort,
                                                       .job_end = backend_job_end,
                                                       .is_dirty = backend_is_dirty,
                                                       .is_large = backend_is_large,
                                                       .prepare = backend_prepare,
                                                       .seal = backend_seal,
                                                       .seal_ms = SEAL_MS},
                                           .ctx = store->options.ctx,
                                           .notify = store->options.notify};
    note_stats(store);
    int rc = store_thread_start(&options, &store->thread, &native);
    return rc == 0 ? 0 : fail_open(store, ret_text, "cannot start the thread of", native);
}

int wal_store_open(const struct wal_store_options *options, struct wal_store **ret, char *ret_text)
{
    struct wal_store *store = calloc(1, sizeof(*store));
    if (store == NULL) {
        return BASE_E_NOMEM;
    }
    store->options = *options;
    store->directory = strdup(options->directory);
    store->directory_fd = -1;
    store->lock_fd = -1;
    (void)pthread_mutex_init(&store->lock, NULL);
    int rc = store->directory == NULL ? BASE_E_NOMEM : open_directory(store, ret_text);
    if (rc == 0) {
        rc = open_log(store, ret_text);
    }
    if (rc == 0) {
        rc = start(store, ret_text);
    }
    if (rc != 0) {
        (void)wal_store_close(store);
        return rc;
    }
    *ret = store;
    return 0;
}

struct wal_store *wal_store_close(struct wal_store *store)
{
    if (store == NULL) {
        return NULL;
    }
    if (store->thread != NULL) {
        store_thread_stop(store->thread);
        while (wal_store_complete(store) > 0) {
        }
    }
    store->thread = store_thread_free(store->thread);
    store->log = wal_log_free(store->log);
    if (store->lock_fd >= 0) {
        (void)close(store->lock_fd);
    }
    if (store->directory_fd >= 0) {
        (void)close(store->directory_fd);
    }
    (void)pthread_mutex_destroy(&store->lock);
    free(store->directory);
    free(store);
    return NULL;
}

/* --- the loop thread's side --- */

struct store_port wal_store_port(struct wal_store *store)
{
    return (struct store_port){.ctx = store->thread, .submit = store_thread_submit};
}

/* The text is the storage thread's, which does not touch it any more once it has failed. */
static void tell_fatal(struct wal_store *store, int failed)
{
    char text[WAL_STORE_ERROR_MAX];
    if (failed == 0 || failed == BASE_E_CANCELED || store->is_fatal_told) {
        return;
    }
    store->is_fatal_told = true;
    const char *why = wal_log_text(store->log);
    (void)snprintf(text, sizeof(text), "%.500s in %.200s",
                   why[0] != 0 ? why : base_error_text(failed), store->directory);
    if (store->options.fatal != NULL) {
        store->options.fatal(store->options.ctx, failed, text);
    }
}

size_t wal_store_complete(struct wal_store *store)
{
    int failed = 0;
    size_t count = store_thread_complete(store->thread, &failed);
    tell_fatal(store, failed);
    return count;
}

void wal_store_stats(struct wal_store *store, struct wal_store_stats *ret)
{
    struct store_thread_stats thread = store_thread_stats(store->thread);
    (void)pthread_mutex_lock(&store->lock);
    struct wal_log_stats log = store->seen;
    (void)pthread_mutex_unlock(&store->lock);
    *ret = (struct wal_store_stats){.batches = log.batches,
                                    .flushes = log.flushes,
                                    .jobs = thread.jobs,
                                    .bytes = log.bytes,
                                    .segments = log.segments,
                                    .flush_worst_us = thread.worst_us,
                                    .flush_last_us = thread.last_us,
                                    .thread = thread};
}
