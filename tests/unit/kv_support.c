/* SPDX-License-Identifier: Apache-2.0 */
/* See kv_support.h. */
#include "tests/unit/kv_support.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kv/core/rows.h"
#include "tests/support/cm.h"

/* Directories to be removed at exit when a test ended early. */
#define DIRECTORIES_MAX 32u
static char directories[DIRECTORIES_MAX][64];
static size_t directories_count;

static void remove_directories(void)
{
    for (size_t i = 0; i < directories_count && i < DIRECTORIES_MAX; i++) {
        test_remove_directory(directories[i]);
    }
}

void test_make_directory(char *ret, size_t size)
{
    char directory[] = "/var/tmp/quorate-test-XXXXXX";
    assert_non_null(mkdtemp(directory));
    if (directories_count == 0) {
        assert_int_equal(atexit(remove_directories), 0);
    }
    (void)snprintf(directories[directories_count++ % DIRECTORIES_MAX], sizeof(directories[0]), "%s",
                   directory);
    (void)snprintf(ret, size, "%s", directory);
}

#define ARENA_BYTES ((size_t)8 << 20)

static void notify(void *ctx)
{
    struct test_store *store = ctx;
    (void)pthread_mutex_lock(&store->lock);
    store->is_notified = true;
    (void)pthread_cond_signal(&store->wake);
    (void)pthread_mutex_unlock(&store->lock);
}

static void fatal_lmdb(void *ctx, int status, const char *text)
{
    struct test_store *store = ctx;
    store->fatal_calls++;
    store->fatal_status = status;
    (void)snprintf(store->fatal_text, sizeof(store->fatal_text), "%s", text);
}

static void fatal_mem(void *ctx, int status)
{
    fatal_lmdb(ctx, status, "memory");
}

int test_store_open_at(struct test_store *store, const char *directory, uint64_t map_bytes)
{
    struct env_lmdb_options options = {.directory = directory,
                                       .map_bytes = map_bytes,
                                       .ctx = store,
                                       .notify = notify,
                                       .fatal = fatal_lmdb};
    *store = (struct test_store){.kind = TEST_STORE_LMDB};
    (void)pthread_mutex_init(&store->lock, NULL);
    (void)pthread_cond_init(&store->wake, NULL);
    return env_lmdb_open(&options, &store->env, store->fatal_text);
}

int test_store_open_wal(struct test_store *store, const char *directory, uint64_t segment_bytes)
{
    return test_store_open_wal_io(store, directory, segment_bytes, NULL);
}

int test_store_open_wal_io(struct test_store *store, const char *directory, uint64_t segment_bytes,
                           const struct wal_io *io)
{
    struct wal_store_options options = {.directory = directory,
                                        .segment_bytes = segment_bytes,
                                        .io = io,
                                        .ctx = store,
                                        .notify = notify,
                                        .fatal = fatal_lmdb};
    *store = (struct test_store){.kind = TEST_STORE_WAL};
    (void)pthread_mutex_init(&store->lock, NULL);
    (void)pthread_cond_init(&store->wake, NULL);
    return wal_store_open(&options, &store->wal, store->fatal_text);
}

void test_store_open(struct test_store *store, enum test_store_kind kind, uint64_t map_bytes)
{
    if (kind != TEST_STORE_MEM) {
        char directory[64];
        test_make_directory(directory, sizeof(directory));
        assert_int_equal(kind == TEST_STORE_LMDB ? test_store_open_at(store, directory, map_bytes)
                                                 : test_store_open_wal(store, directory, map_bytes),
                         0);
        memcpy(store->directory, directory, sizeof(directory));
        return;
    }
    *store = (struct test_store){.kind = TEST_STORE_MEM, .mem = store_mem_create()};
    assert_non_null(store->mem);
    store_mem_on_fatal(store->mem, fatal_mem, store);
}

void test_remove_directory(const char *directory)
{
    char path[512];
    DIR *files = opendir(directory);
    for (const struct dirent *file = files == NULL ? NULL : readdir(files); file != NULL;
         file = readdir(files)) {
        (void)snprintf(path, sizeof(path), "%s/%.200s", directory, file->d_name);
        (void)unlink(path);
    }
    if (files != NULL) {
        (void)closedir(files);
    }
    (void)rmdir(directory);
}

void test_store_close(struct test_store *store)
{
    store->mem = store_mem_destroy(store->mem);
    store->env = env_lmdb_close(store->env);
    store->wal = wal_store_close(store->wal);
    if (store->directory[0] != 0) {
        test_remove_directory(store->directory);
    }
}

struct store_port test_store_port(struct test_store *store)
{
    if (store->kind == TEST_STORE_WAL) {
        return wal_store_port(store->wal);
    }
    return store->kind == TEST_STORE_MEM ? store_mem_port(store->mem) : env_lmdb_port(store->env);
}

void test_store_wait(struct test_store *store)
{
    struct timespec deadline;
    if (store->kind == TEST_STORE_MEM) {
        store_mem_step(store->mem);
        return;
    }
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &deadline), 0);
    deadline.tv_sec += 30;
    (void)pthread_mutex_lock(&store->lock);
    int rc = 0;
    while (!store->is_notified && rc == 0) {
        rc = pthread_cond_timedwait(&store->wake, &store->lock, &deadline);
    }
    store->is_notified = false;
    (void)pthread_mutex_unlock(&store->lock);
    assert_int_equal(rc, 0);
    (void)(store->kind == TEST_STORE_WAL ? wal_store_complete(store->wal)
                                         : env_lmdb_complete(store->env));
}

struct fn_job {
    struct store_job job;
    test_store_fn *fn;
    void *ctx;
    bool is_done;
    int status;
};

static int fn_run(struct store_job *job, struct store_txn *txn)
{
    struct fn_job *fn = (struct fn_job *)job;
    return fn->fn(fn->ctx, txn);
}

static void fn_done(struct store_job *job, int status)
{
    struct fn_job *fn = (struct fn_job *)job;
    fn->is_done = true;
    fn->status = status;
}

int test_store_run(struct test_store *store, test_store_fn *fn, void *ctx, bool is_read_only)
{
    struct fn_job job = {.job = {.run = fn_run,
                                 .done = fn_done,
                                 .wants_durable = true,
                                 .is_read_only = is_read_only},
                         .fn = fn,
                         .ctx = ctx};
    struct store_port port = test_store_port(store);
    port.submit(port.ctx, &job.job);
    while (!job.is_done) {
        test_store_wait(store);
    }
    return job.status;
}

/* --- kv/core --- */

static struct kv_scratch scratch;

struct kv_scratch *test_scratch(void)
{
    if (scratch.arena.memory == NULL) {
        scratch.arena = base_arena_over(malloc(ARENA_BYTES), ARENA_BYTES);
        scratch.row = buf_over(malloc(KV_ROW_MAX), KV_ROW_MAX);
        assert_non_null(scratch.arena.memory);
        assert_non_null(scratch.row.data);
    }
    base_arena_reset(&scratch.arena);
    return &scratch;
}

void test_scratch_free(void)
{
    free(scratch.arena.memory);
    free(scratch.row.data);
    scratch = (struct kv_scratch){0};
}

struct core_call {
    const struct kv_request *request;
    uint64_t term;
    struct kv_outcome *ret;
};

static int core_apply(void *ctx, struct store_txn *txn)
{
    struct core_call *call = ctx;
    struct kv_command command = {.request = *call->request};
    return kv_core_apply(txn, test_scratch(), &command, call->term, call->ret);
}

static int core_read(void *ctx, struct store_txn *txn)
{
    struct core_call *call = ctx;
    return kv_core_read(txn, test_scratch(), call->request, call->ret);
}

int test_apply(struct test_store *store, const struct kv_request *request, uint64_t term,
               struct kv_outcome *ret)
{
    struct core_call call = {request, term, ret};
    return test_store_run(store, core_apply, &call, false);
}

int test_read(struct test_store *store, const struct kv_request *request, struct kv_outcome *ret)
{
    struct core_call call = {request, 0, ret};
    return test_store_run(store, core_read, &call, true);
}

int test_rows_add(void *ctx, struct slice key, struct slice value)
{
    struct test_rows *rows = ctx;
    for (size_t i = 0; i < key.len; i++) {
        rows->sum = rows->sum * 31 + key.data[i];
    }
    for (size_t i = 0; i < value.len; i++) {
        rows->sum = rows->sum * 37 + value.data[i];
    }
    rows->sum = rows->sum * 41 + key.len * 43 + value.len;
    rows->rows++;
    return rows->rows == rows->stop_after;
}

struct slice sl(const char *text)
{
    return slice_from_text(text);
}

struct kv_request put_request(const char *key, const char *value)
{
    return (struct kv_request){.kind = KV_KIND_PUT, .put = {.key = sl(key), .value = sl(value)}};
}

/* An end of "*" stands for etcd's single zero byte. */
static struct slice end_of(const char *end)
{
    return end != NULL && strcmp(end, "*") == 0 ? slice_from("", 1) : sl(end);
}

struct kv_request range_request(const char *key, const char *end)
{
    return (struct kv_request){.kind = KV_KIND_RANGE,
                               .range = {.key = sl(key), .range_end = end_of(end)}};
}

struct kv_request delete_request(const char *key, const char *end)
{
    return (struct kv_request){.kind = KV_KIND_DELETE,
                               .delete_range = {.key = sl(key), .range_end = end_of(end)}};
}
