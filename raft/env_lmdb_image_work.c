/* SPDX-License-Identifier: Apache-2.0 */
/* Image files: written from a read transaction, read back in chunks, received, and made into a new
 * environment beside the old one. See env_lmdb_image.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "raft/env_lmdb_image.h"
#include "raft/log_store.h"
#include "raft/snapshot_format.h"

#define BUILD_BYTES ((size_t)2 << 20) /* in one transaction */
#define PAUSE_MAX_NS 20000000L

/* Memory that does not come from the heap, which would keep it. */
static uint8_t *memory_take(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static void memory_give(uint8_t *memory, size_t bytes)
{
    if (memory != NULL) {
        (void)munmap(memory, bytes);
    }
}

static int write_all(int file, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t put = write(file, bytes.data, bytes.len);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return put < 0 ? env_lmdb_code(errno) : BASE_E_NOSPACE;
        }
        bytes = slice_skip(bytes, (size_t)put);
    }
    return 0;
}

/* A file that nobody else sees and that is gone when it is closed, or after a crash. */
static int temporary_file(const struct env_lmdb *env, const char *name, int *ret)
{
    int file = openat(env->directory_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) {
        return env_lmdb_code(errno);
    }
    (void)unlinkat(env->directory_fd, name, 0);
    *ret = file;
    return 0;
}

/* A second way to read or write tables beside the storage thread: its own transaction. */
struct side {
    struct env_lmdb env;
};

static int side_begin(struct side *side, MDB_env *env, const MDB_dbi *tables, unsigned flags)
{
    *side = (struct side){.env = {.txn = {.ops = &env_lmdb_ops}, .env = env, .directory_fd = -1}};
    memcpy(side->env.tables, tables, sizeof(side->env.tables));
    env_lmdb_map_find(env, ENV_LMDB_RESIDENT_DEFAULT, &side->env.map);
    return env_lmdb_code(mdb_txn_begin(env, NULL, flags, &side->env.open));
}

static void side_end(struct side *side)
{
    if (side->env.open != NULL) {
        mdb_txn_abort(side->env.open);
        side->env.open = NULL;
    }
}

/* --- export --- */

struct export
{
    struct image_work *work;
    struct snapshot_writer writer;
    enum store_table table;
    struct timespec start;
    int file;
};

static bool is_over(struct image_work *work)
{
    return atomic_load(&work->is_canceled) || atomic_load(&work->is_stopping);
}

/* Waits while more bytes were written than the rate allows since the start. */
static void throttle(const struct export *export)
{
    uint64_t rate = export->work->env->options.image_bytes_per_s;
    for (;;) {
        struct timespec now;
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        double took = (double)(now.tv_sec - export->start.tv_sec) +
                      (double)(now.tv_nsec - export->start.tv_nsec) / 1e9;
        double due = (double)export->writer.bytes / (double)rate;
        if (took >= due || is_over(export->work)) {
            return;
        }
        double ns = (due - took) * 1e9;
        struct timespec pause = {.tv_nsec =
                                     ns > (double)PAUSE_MAX_NS ? PAUSE_MAX_NS : (long)ns + 1};
        (void)nanosleep(&pause, NULL);
    }
}

static int export_bytes(struct export *export, struct slice bytes)
{
    if (bytes.len == 0) {
        return 0;
    }
    if (is_over(export->work)) {
        return BASE_E_CANCELED;
    }
    int rc = write_all(export->file, bytes);
    throttle(export);
    return rc;
}

static int export_row(void *ctx, struct slice key, struct slice value)
{
    struct export *export = ctx;
    struct slice bytes = SLICE_EMPTY;
    if (!snapshot_has_row(export->table, key)) {
        return 0;
    }
    int rc = snapshot_writer_row(&export->writer, export->table, key, value, &bytes);
    return rc != 0 ? rc : export_bytes(export, bytes);
}

static int export_all(struct export *export, struct store_txn *txn,
                      const struct snapshot_info *info)
{
    struct snapshot_head head = {
        .cluster_id = info->cluster_id, .index = info->index, .term = info->term};
    int rc = store_get(txn, STORE_META, SLICE_LIT("raft.members"), &head.configuration);
    rc = rc == BASE_E_NOTFOUND ? 0 : rc;
    if (rc == 0) {
        rc = export_bytes(export, snapshot_writer_head(&export->writer, &head));
    }
    for (size_t i = 0; i < STORE_TABLE_COUNT && rc == 0; i++) {
        export->table = (enum store_table)i;
        rc = i == STORE_LOG ? 0 : store_scan(txn, export->table, SLICE_EMPTY, export_row, export);
    }
    if (rc == 0) {
        rc = export_bytes(export, snapshot_writer_flush(&export->writer));
    }
    return rc != 0 ? rc : export_bytes(export, snapshot_writer_end(&export->writer));
}

static int export_into(struct image_work *work, int file, uint8_t *memory,
                       struct snapshot_info *ret)
{
    struct side side;
    struct snapshot_info info;
    struct export export = {.work = work, .writer = snapshot_writer_over(memory), .file = file};
    (void)clock_gettime(CLOCK_MONOTONIC, &export.start);
    int rc = side_begin(&side, work->env->env, work->env->tables, MDB_RDONLY);
    if (rc == 0) {
        rc = log_store_load_info(&side.env.txn, &info);
    }
    if (rc == 0) {
        rc = export_all(&export, &side.env.txn, &info);
    }
    side_end(&side);
    if (rc == 0) {
        info.bytes = export.writer.bytes;
        *ret = info;
    }
    return rc;
}

int image_export(struct image_work *work, struct snapshot_info *ret)
{
    int file = -1;
    image_export_end(work);
    if (work->env->env == NULL) { /* an installation has failed, and with it the store */
        return BASE_E_STATE;
    }
    uint8_t *memory = memory_take(SNAPSHOT_BLOCK_MAX);
    int rc = memory == NULL ? BASE_E_NOMEM : temporary_file(work->env, "image-out.tmp", &file);
    if (rc == 0) {
        rc = export_into(work, file, memory, ret);
    }
    memory_give(memory, SNAPSHOT_BLOCK_MAX);
    work->out_chunk = rc == 0 ? memory_take(SNAPSHOT_CHUNK_MAX) : NULL;
    if (rc == 0 && work->out_chunk == NULL) {
        rc = BASE_E_NOMEM;
    }
    if (rc != 0) {
        if (file >= 0) {
            (void)close(file);
        }
        return rc;
    }
    work->out_fd = file;
    work->out_bytes = ret->bytes;
    return 0;
}

int image_read(struct image_work *work, uint64_t offset, struct slice *ret)
{
    if (work->out_fd < 0) {
        return BASE_E_STATE;
    }
    uint64_t rest = offset < work->out_bytes ? work->out_bytes - offset : 0;
    size_t len = rest > SNAPSHOT_CHUNK_MAX ? SNAPSHOT_CHUNK_MAX : (size_t)rest;
    for (size_t at = 0; at < len;) {
        ssize_t got = pread(work->out_fd, work->out_chunk + at, len - at, (off_t)(offset + at));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return BASE_E_IO;
        }
        at += (size_t)got;
    }
    *ret = slice_from(work->out_chunk, len);
    return 0;
}

void image_export_end(struct image_work *work)
{
    if (work->out_fd >= 0) {
        (void)close(work->out_fd);
        work->out_fd = -1;
    }
    memory_give(work->out_chunk, SNAPSHOT_CHUNK_MAX);
    work->out_chunk = NULL;
}

/* --- import --- */

int image_import_begin(struct image_work *work)
{
    image_import_end(work);
    work->in_bytes = 0;
    return temporary_file(work->env, "image-in.tmp", &work->in_fd);
}

int image_import_write(struct image_work *work, struct slice data)
{
    if (work->in_fd < 0) {
        return BASE_E_STATE;
    }
    int rc = write_all(work->in_fd, data);
    work->in_bytes += data.len;
    if (rc != 0) {
        image_import_end(work);
    }
    return rc;
}

void image_import_end(struct image_work *work)
{
    if (work->in_fd >= 0) {
        (void)close(work->in_fd);
        work->in_fd = -1;
    }
}

struct build {
    struct image_work *work;
    struct side side;     /* on the new environment */
    uint64_t own_cluster; /* 0: not known yet */
    struct slice own_ids; /* "raft.ids" of the old state; empty: none */
    uint8_t ids_memory[64];
    uint64_t index; /* of the head */
    uint64_t term;
};

static int build_head(void *ctx, const struct snapshot_head *head)
{
    struct build *build = ctx;
    build->index = head->index;
    build->term = head->term;
    bool is_foreign = build->own_cluster != 0 && head->cluster_id != build->own_cluster;
    return is_foreign ? BASE_E_CONFLICT : 0;
}

static int build_commit(struct build *build)
{
    MDB_txn *txn = build->side.env.open;
    build->side.env.open = NULL;
    return txn == NULL ? 0 : env_lmdb_code(mdb_txn_commit(txn));
}

static int build_row(void *ctx, enum store_table table, struct slice key, struct slice value)
{
    struct build *build = ctx;
    struct env_lmdb *env = &build->side.env;
    int rc = atomic_load(&build->work->is_stopping) ? BASE_E_CANCELED : 0;
    if (!snapshot_has_row(table, key)) {
        return rc;
    }
    if (rc == 0 && env->open == NULL) {
        rc = env_lmdb_code(mdb_txn_begin(env->env, NULL, 0, &env->open));
    }
    if (rc == 0) {
        rc = store_put(&env->txn, table, key, value);
    }
    if (rc == 0 && env->batch_bytes >= BUILD_BYTES) {
        env->batch_bytes = 0;
        rc = build_commit(build);
    }
    return rc;
}

static int build_rows(struct build *build, uint8_t *memory, uint8_t *chunk)
{
    struct image_work *work = build->work;
    struct snapshot_visitor visitor = {.ctx = build, .head = build_head, .row = build_row};
    struct snapshot_reader reader = snapshot_reader_over(memory, visitor);
    uint64_t offset = 0;
    int rc = 0;
    while (rc == 0 && offset < work->in_bytes) {
        ssize_t got = pread(work->in_fd, chunk, SNAPSHOT_CHUNK_MAX, (off_t)offset);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        rc = got <= 0 ? BASE_E_IO : snapshot_reader_take(&reader, slice_from(chunk, (size_t)got));
        offset += got > 0 ? (uint64_t)got : 0;
    }
    return rc != 0 ? rc : snapshot_reader_end(&reader);
}

/* What this node keeps: its own ids. */
static int load_own(struct build *build)
{
    struct env_lmdb *env = build->work->env;
    struct side side;
    struct slice ids = SLICE_EMPTY;
    uint64_t node = 0;
    int rc = side_begin(&side, env->env, env->tables, MDB_RDONLY);
    if (rc == 0) {
        rc = log_store_load_ids(&side.env.txn, &build->own_cluster, &node);
    }
    if (rc == 0) {
        rc = store_get(&side.env.txn, STORE_META, SLICE_LIT("raft.ids"), &ids);
    }
    if (rc == 0) {
        struct buf out = buf_over(build->ids_memory, sizeof(build->ids_memory));
        buf_put(&out, ids);
        rc = out.is_full ? BASE_E_CORRUPT : 0;
        build->own_ids = buf_slice(&out);
    }
    side_end(&side);
    return rc == BASE_E_NOTFOUND ? 0 : rc;
}

/* The last transaction: the ids; and what it says of itself has to be what the head said. */
static int build_finish(struct build *build, struct snapshot_info *ret)
{
    struct env_lmdb *env = &build->side.env;
    struct snapshot_info info;
    int rc = 0;
    if (env->open == NULL) {
        rc = env_lmdb_code(mdb_txn_begin(env->env, NULL, 0, &env->open));
    }
    if (rc == 0 && build->own_ids.len > 0) {
        rc = store_put(&env->txn, STORE_META, SLICE_LIT("raft.ids"), build->own_ids);
    }
    if (rc == 0) {
        rc = log_store_load_info(&env->txn, &info);
    }
    if (rc == 0 && (info.index != build->index || info.term != build->term)) {
        rc = BASE_E_CORRUPT;
    }
    if (rc == 0) {
        rc = build_commit(build);
    }
    if (rc == 0) {
        info.bytes = build->work->in_bytes;
        *ret = info;
    }
    return rc;
}

static int build_env(struct build *build, struct snapshot_info *ret)
{
    struct env_lmdb *own = build->work->env;
    MDB_env *env = NULL;
    MDB_dbi tables[STORE_TABLE_COUNT];
    uint8_t *memory = memory_take(SNAPSHOT_BLOCK_MAX);
    uint8_t *chunk = memory_take(SNAPSHOT_CHUNK_MAX);
    int rc = memory == NULL || chunk == NULL ? BASE_E_NOMEM : load_own(build);
    if (rc == 0) {
        rc = env_lmdb_code(env_lmdb_open_file(own, ENV_LMDB_FILE_NEW, MDB_NOLOCK, &env, tables));
    }
    if (rc == 0) {
        rc = side_begin(&build->side, env, tables, 0);
    }
    if (rc == 0) {
        rc = build_rows(build, memory, chunk);
    }
    if (rc == 0) {
        rc = build_finish(build, ret);
    }
    side_end(&build->side);
    if (env != NULL) {
        mdb_env_close(env);
    }
    memory_give(memory, SNAPSHOT_BLOCK_MAX);
    memory_give(chunk, SNAPSHOT_CHUNK_MAX);
    return rc;
}

int image_build(struct image_work *work, struct snapshot_info *ret)
{
    struct build build = {.work = work};
    if (work->in_fd < 0) {
        return BASE_E_STATE;
    }
    (void)unlinkat(work->env->directory_fd, ENV_LMDB_FILE_NEW, 0);
    int rc = build_env(&build, ret);
    if (rc != 0) {
        (void)unlinkat(work->env->directory_fd, ENV_LMDB_FILE_NEW, 0);
    }
    image_import_end(work);
    return rc;
}

void env_lmdb_images_clean(struct env_lmdb *env)
{
    static const char *const names[] = {"image-out.tmp", "image-in.tmp", ENV_LMDB_FILE_NEW};
    for (size_t i = 0; i < BASE_COUNT_OF(names); i++) {
        (void)unlinkat(env->directory_fd, names[i], 0);
    }
}
