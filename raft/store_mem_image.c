/* SPDX-License-Identifier: Apache-2.0 */
/* The snapshot port of the store in memory, one step at a time; see store_mem.h. */
#include "raft/store_mem_image.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "raft/log_store.h"
#include "raft/snapshot_format.h"

enum call { CALL_EXPORT = 1, CALL_READ, CALL_IMPORT, CALL_WRITE, CALL_INSTALL, CALL_INSTALL_SWAP };

struct bytes {
    uint8_t *data;
    size_t len;
    size_t cap;
};

struct calls {
    struct snapshot_job *head, *tail;
    size_t count;
};

struct store_mem_images {
    struct store_mem *mem;
    struct calls waiting;
    struct calls ready;
    struct bytes out;
    struct bytes in;
    uint8_t *block; /* SNAPSHOT_BLOCK_MAX bytes, from the first use on */
    bool is_exporting;
    bool is_importing;
    bool is_installing;
};

static void push(struct calls *calls, struct snapshot_job *job)
{
    job->next = NULL;
    if (calls->tail == NULL) {
        calls->head = job;
    } else {
        calls->tail->next = job;
    }
    calls->tail = job;
    calls->count++;
}

static struct snapshot_job *pop(struct calls *calls)
{
    struct snapshot_job *job = calls->head;
    if (job != NULL) {
        calls->head = job->next;
        calls->tail = calls->head == NULL ? NULL : calls->tail;
        calls->count--;
    }
    return job;
}

static int append(struct bytes *bytes, struct slice more)
{
    size_t cap = bytes->cap == 0 ? 4096 : bytes->cap;
    while (cap < bytes->len + more.len) {
        cap *= 2;
    }
    if (cap != bytes->cap) {
        uint8_t *data = realloc(bytes->data, cap);
        if (data == NULL) {
            return BASE_E_NOMEM;
        }
        bytes->data = data;
        bytes->cap = cap;
    }
    if (more.len > 0) {
        memcpy(bytes->data + bytes->len, more.data, more.len);
        bytes->len += more.len;
    }
    return 0;
}

static void forget(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){0};
}

static bool has_block(struct store_mem_images *images)
{
    if (images->block == NULL) {
        images->block = malloc(SNAPSHOT_BLOCK_MAX);
    }
    return images->block != NULL;
}

/* --- export --- */

struct export
{
    struct store_mem_images *images;
    struct snapshot_writer writer;
    enum store_table table;
};

static int export_row(void *ctx, struct slice key, struct slice value)
{
    struct export *export = ctx;
    struct slice bytes = SLICE_EMPTY;
    if (!snapshot_has_row(export->table, key)) {
        return 0;
    }
    int rc = snapshot_writer_row(&export->writer, export->table, key, value, &bytes);
    return rc != 0 ? rc : append(&export->images->out, bytes);
}

static int export_rows(struct export *export, struct store_txn *txn)
{
    int rc = 0;
    for (size_t i = 0; i < STORE_TABLE_COUNT && rc == 0; i++) {
        export->table = (enum store_table)i;
        rc = i == STORE_LOG ? 0 : store_scan(txn, export->table, SLICE_EMPTY, export_row, export);
    }
    if (rc == 0) {
        rc = append(&export->images->out, snapshot_writer_flush(&export->writer));
    }
    return rc != 0 ? rc : append(&export->images->out, snapshot_writer_end(&export->writer));
}

static int do_export(struct store_mem_images *images, struct snapshot_job *job)
{
    struct store_txn *txn = store_mem_txn(images->mem);
    struct snapshot_head head = {0};
    store_mem_commit(images->mem);
    int rc = has_block(images) ? store_mem_failed(images->mem) : BASE_E_NOMEM;
    if (rc == 0) {
        rc = log_store_load_info(txn, &job->info);
    }
    if (rc != 0) {
        return rc;
    }
    struct export export = {.images = images, .writer = snapshot_writer_over(images->block)};
    head.cluster_id = job->info.cluster_id;
    head.index = job->info.index;
    head.term = job->info.term;
    rc = store_get(txn, STORE_META, SLICE_LIT("raft.members"), &head.configuration);
    rc = rc == BASE_E_NOTFOUND ? 0 : rc;
    images->out.len = 0;
    if (rc == 0) {
        rc = append(&images->out, snapshot_writer_head(&export.writer, &head));
    }
    if (rc == 0) {
        rc = export_rows(&export, txn);
    }
    job->info.bytes = images->out.len;
    return rc;
}

static void do_read(struct store_mem_images *images, struct snapshot_job *job)
{
    size_t rest = job->offset < images->out.len ? images->out.len - (size_t)job->offset : 0;
    size_t len = rest > SNAPSHOT_CHUNK_MAX ? SNAPSHOT_CHUNK_MAX : rest;
    job->data = len == 0 ? SLICE_EMPTY : slice_from(images->out.data + job->offset, len);
}

/* --- import --- */

struct import {
    struct store_mem_images *images;
    struct snapshot_head head;
    bool is_check; /* nothing is changed yet */
};

static int import_head(void *ctx, const struct snapshot_head *head)
{
    struct import *import = ctx;
    uint64_t cluster = 0;
    uint64_t node = 0;
    int rc = log_store_load_ids(store_mem_txn(import->images->mem), &cluster, &node);
    import->head = *head;
    if (rc != 0) {
        return rc == BASE_E_NOTFOUND ? 0 : rc;
    }
    return cluster != head->cluster_id ? BASE_E_CONFLICT : 0;
}

static int import_row(void *ctx, enum store_table table, struct slice key, struct slice value)
{
    struct import *import = ctx;
    if (import->is_check || !snapshot_has_row(table, key)) {
        return 0;
    }
    return store_put(store_mem_txn(import->images->mem), table, key, value);
}

static int read_image(struct import *import)
{
    struct store_mem_images *images = import->images;
    struct snapshot_visitor visitor = {.ctx = import, .head = import_head, .row = import_row};
    if (!has_block(images)) {
        return BASE_E_NOMEM;
    }
    struct snapshot_reader reader = snapshot_reader_over(images->block, visitor);
    int rc = snapshot_reader_take(&reader, slice_from(images->in.data, images->in.len));
    return rc != 0 ? rc : snapshot_reader_end(&reader);
}

/* All rows go but the node's own. */
static int clear(struct store_txn *txn)
{
    struct slice own = SLICE_LIT("raft.ids");
    struct slice behind = SLICE_LIT("raft.ids\0");
    int rc = store_del_range(txn, STORE_META, SLICE_EMPTY, own, 0, NULL);
    if (rc == 0) {
        rc = store_del_range(txn, STORE_META, behind, SLICE_EMPTY, 0, NULL);
    }
    for (size_t i = 0; i < STORE_TABLE_COUNT && rc == 0; i++) {
        if (i != STORE_META) {
            rc = store_del_range(txn, (enum store_table)i, SLICE_EMPTY, SLICE_EMPTY, 0, NULL);
        }
    }
    return rc;
}

static int do_swap(struct store_mem_images *images, struct snapshot_job *job)
{
    struct store_mem *mem = images->mem;
    struct store_txn *txn = store_mem_txn(mem);
    struct import import = {.images = images};
    while (store_mem_run_one(mem)) {
    }
    store_mem_commit(mem);
    int rc = store_mem_failed(mem);
    if (rc != 0) {
        return rc;
    }
    rc = clear(txn);
    if (rc == 0) {
        rc = read_image(&import);
    }
    if (rc == 0) {
        rc = log_store_load_info(txn, &job->info);
    }
    if (rc == 0 && (job->info.index != import.head.index || job->info.term != import.head.term)) {
        rc = BASE_E_CORRUPT;
    }
    if (rc != 0) {
        store_mem_break(mem, rc);
        return rc;
    }
    store_mem_commit(mem);
    job->info.bytes = images->in.len;
    return store_mem_failed(mem);
}

/* --- steps --- */

static int step(struct store_mem_images *images, struct snapshot_job *job)
{
    struct import check = {.images = images, .is_check = true};
    switch ((enum call)job->what) {
    case CALL_EXPORT:
        return do_export(images, job);
    case CALL_READ:
        do_read(images, job);
        return 0;
    case CALL_IMPORT:
    case CALL_WRITE:
        return 0; /* taken already */
    case CALL_INSTALL:
        return images->is_importing ? read_image(&check) : BASE_E_STATE;
    case CALL_INSTALL_SWAP:
    default:
        return do_swap(images, job);
    }
}

bool store_mem_snapshot_step(struct store_mem *mem)
{
    struct store_mem_images *images = store_mem_images_of(mem);
    struct snapshot_job *job = images->waiting.head;
    if (job == NULL) {
        return false;
    }
    int rc = store_mem_failed(mem);
    rc = rc != 0 ? rc : step(images, job);
    if (rc == 0 && job->what == CALL_INSTALL) {
        job->what = CALL_INSTALL_SWAP;
        return true;
    }
    if (job->what == CALL_INSTALL || job->what == CALL_INSTALL_SWAP) {
        images->is_importing = false;
        images->is_installing = false;
        forget(&images->in);
    }
    if (rc != 0 && job->what == CALL_EXPORT) {
        images->is_exporting = false;
    }
    job->status = rc;
    push(&images->ready, pop(&images->waiting));
    return true;
}

size_t store_mem_images_complete(struct store_mem_images *images)
{
    size_t count = images->ready.count;
    for (size_t i = 0; i < count; i++) {
        struct snapshot_job *job = pop(&images->ready);
        if (job == NULL) {
            return i; /* a completion crashed the store */
        }
        job->done(job, job->status);
    }
    return count;
}

size_t store_mem_snapshot_pending(const struct store_mem *mem)
{
    union {
        const struct store_mem *constant;
        struct store_mem *plain;
    } both = {.constant = mem};
    const struct store_mem_images *images = store_mem_images_of(both.plain);
    return images->waiting.count + images->ready.count;
}

/* --- the port --- */

static int call(struct store_mem_images *images, enum call what, struct snapshot_job *job)
{
    job->what = (int)what;
    job->status = 0;
    push(&images->waiting, job);
    return 0;
}

static int export_begin(void *ctx, struct snapshot_job *job)
{
    struct store_mem_images *images = ctx;
    if (images->is_exporting || images->is_installing) {
        return BASE_E_BUSY;
    }
    images->is_exporting = true;
    return call(images, CALL_EXPORT, job);
}

static int export_read(void *ctx, struct snapshot_job *job, uint64_t offset)
{
    struct store_mem_images *images = ctx;
    job->offset = offset;
    return images->is_exporting ? call(images, CALL_READ, job) : BASE_E_STATE;
}

static void export_end(void *ctx)
{
    struct store_mem_images *images = ctx;
    images->is_exporting = false;
    forget(&images->out);
}

static int import_begin(void *ctx, struct snapshot_job *job)
{
    struct store_mem_images *images = ctx;
    if (images->is_installing) {
        return BASE_E_BUSY;
    }
    images->in.len = 0;
    images->is_importing = true;
    return call(images, CALL_IMPORT, job);
}

static int import_write(void *ctx, struct snapshot_job *job, struct slice data)
{
    struct store_mem_images *images = ctx;
    if (images->is_installing || !images->is_importing || data.len > SNAPSHOT_CHUNK_MAX) {
        return images->is_installing ? BASE_E_BUSY : BASE_E_STATE;
    }
    int rc = append(&images->in, data);
    return rc != 0 ? rc : call(images, CALL_WRITE, job);
}

static int import_install(void *ctx, struct snapshot_job *job)
{
    struct store_mem_images *images = ctx;
    if (images->is_installing) {
        return BASE_E_BUSY;
    }
    images->is_installing = true;
    return call(images, CALL_INSTALL, job);
}

static void import_discard(void *ctx)
{
    struct store_mem_images *images = ctx;
    if (!images->is_installing) {
        images->is_importing = false;
        forget(&images->in);
    }
}

struct snapshot_port store_mem_snapshot_port(struct store_mem *mem)
{
    return (struct snapshot_port){.ctx = store_mem_images_of(mem),
                                  .export_begin = export_begin,
                                  .export_read = export_read,
                                  .export_end = export_end,
                                  .import_begin = import_begin,
                                  .import_write = import_write,
                                  .import_install = import_install,
                                  .import_discard = import_discard};
}

/* --- life --- */

struct store_mem_images *store_mem_images_create(struct store_mem *mem)
{
    struct store_mem_images *images = calloc(1, sizeof(*images));
    if (images != NULL) {
        images->mem = mem;
    }
    return images;
}

void store_mem_images_crash(struct store_mem_images *images)
{
    forget(&images->out);
    forget(&images->in);
    images->waiting = (struct calls){0};
    images->ready = (struct calls){0};
    images->is_exporting = false;
    images->is_importing = false;
    images->is_installing = false;
}

struct store_mem_images *store_mem_images_destroy(struct store_mem_images *images)
{
    if (images != NULL) {
        store_mem_images_crash(images);
        free(images->block);
        free(images);
    }
    return NULL;
}
