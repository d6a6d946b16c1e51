/* SPDX-License-Identifier: Apache-2.0 */
/* The snapshot port of the state store: calls become tasks of one worker thread, done in order.
 *
 * Locking: `lock` guards the two lists, is_stopping and is_swapping. `work` is the worker's; the
 * flags are the loop thread's. A call that needs the storage thread too (the commit before an
 * image, the change of environments) goes there by a store job whose completion goes on from the
 * loop thread.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "raft/env_lmdb_image.h"

#define TASKS_MAX 16u

enum task_type {
    TASK_EXPORT = 1,
    TASK_READ,
    TASK_EXPORT_END,
    TASK_IMPORT,
    TASK_WRITE,
    TASK_DISCARD,
    TASK_INSTALL,
};

struct task {
    struct task *next;
    enum task_type type;
    struct snapshot_job *job; /* NULL: nobody waits */
    size_t len;
    uint8_t bytes[];
};

struct task_list {
    struct task *head, *tail;
    size_t count;
};

struct env_lmdb_images {
    struct env_lmdb *env;
    struct image_work work;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct task_list tasks;
    struct task_list ended;
    bool is_stopping;
    bool is_swapping; /* the storage thread changes environments: the worker keeps off them */
    /* loop thread */
    bool is_exporting;
    bool is_installing;
    struct store_job commit; /* before an image is made */
    struct task *exporting;
    struct store_job swap; /* at the end of an installation; submitted by the worker */
    struct task *installing;
};

static void push(struct task_list *list, struct task *task)
{
    task->next = NULL;
    if (list->tail == NULL) {
        list->head = task;
    } else {
        list->tail->next = task;
    }
    list->tail = task;
    list->count++;
}

static struct task *pop(struct task_list *list)
{
    struct task *task = list->head;
    if (task != NULL) {
        list->head = task->next;
        list->tail = list->head == NULL ? NULL : list->tail;
        list->count--;
    }
    return task;
}

/* --- the worker --- */

static int do_task(struct env_lmdb_images *images, struct task *task)
{
    struct image_work *work = &images->work;
    struct snapshot_job *job = task->job;
    switch (task->type) {
    case TASK_EXPORT:
        return image_export(work, &job->info);
    case TASK_READ:
        return image_read(work, job->offset, &job->data);
    case TASK_EXPORT_END:
        image_export_end(work);
        return 0;
    case TASK_IMPORT:
        return image_import_begin(work);
    case TASK_WRITE:
        return image_import_write(work, slice_from(task->bytes, task->len));
    case TASK_DISCARD:
        image_import_end(work);
        return 0;
    case TASK_INSTALL:
        return image_build(work, &job->info);
    default:
        return BASE_E_INVALID;
    }
}

static void end_task(struct env_lmdb_images *images, struct task *task, int status)
{
    if (task->job != NULL) {
        task->job->status = status;
    }
    (void)pthread_mutex_lock(&images->lock);
    push(&images->ended, task);
    (void)pthread_mutex_unlock(&images->lock);
    store_thread_notify(images->env->thread);
}

/* What waits behind an installation would read the environment that is being closed. */
static void set_swapping(struct env_lmdb_images *images, bool is_swapping)
{
    (void)pthread_mutex_lock(&images->lock);
    images->is_swapping = is_swapping;
    (void)pthread_cond_signal(&images->wake);
    (void)pthread_mutex_unlock(&images->lock);
}

static void *worker_main(void *arg)
{
    struct env_lmdb_images *images = arg;
    for (;;) {
        (void)pthread_mutex_lock(&images->lock);
        while ((images->tasks.head == NULL || images->is_swapping) && !images->is_stopping) {
            (void)pthread_cond_wait(&images->wake, &images->lock);
        }
        struct task *task = pop(&images->tasks);
        bool is_stopping = images->is_stopping;
        (void)pthread_mutex_unlock(&images->lock);
        if (task == NULL) {
            return NULL;
        }
        int rc = is_stopping ? BASE_E_CANCELED : do_task(images, task);
        if (rc == 0 && task->type == TASK_INSTALL) {
            images->installing = task;
            set_swapping(images, true);
            store_thread_submit(images->env->thread, &images->swap);
        } else {
            end_task(images, task, rc);
        }
    }
}

/* --- the loop thread --- */

static int give(struct env_lmdb_images *images, struct task *task)
{
    (void)pthread_mutex_lock(&images->lock);
    bool is_over = images->is_stopping || !images->has_thread;
    if (!is_over) {
        push(&images->tasks, task);
        (void)pthread_cond_signal(&images->wake);
    }
    (void)pthread_mutex_unlock(&images->lock);
    return is_over ? BASE_E_CANCELED : 0;
}

static struct task *task_make(enum task_type type, struct snapshot_job *job, struct slice data)
{
    struct task *task = malloc(sizeof(*task) + data.len);
    if (task != NULL) {
        *task = (struct task){.type = type, .job = job, .len = data.len};
        if (data.len > 0) {
            memcpy(task->bytes, data.data, data.len);
        }
    }
    return task;
}

static int send_task(struct env_lmdb_images *images, enum task_type type, struct snapshot_job *job,
                     struct slice data)
{
    (void)pthread_mutex_lock(&images->lock);
    bool is_full = images->tasks.count >= TASKS_MAX && job != NULL;
    (void)pthread_mutex_unlock(&images->lock);
    struct task *task = is_full ? NULL : task_make(type, job, data);
    if (task == NULL) {
        return is_full ? BASE_E_BUSY : BASE_E_NOMEM;
    }
    int rc = give(images, task);
    if (rc != 0) {
        free(task);
    }
    return rc;
}

static int commit_run(struct store_job *job, struct store_txn *txn)
{
    (void)job;
    (void)txn;
    return 0;
}

static struct env_lmdb_images *images_of(struct store_job *job, size_t offset)
{
    return (struct env_lmdb_images *)(void *)((uint8_t *)job - offset);
}

static void commit_done(struct store_job *job, int status)
{
    struct env_lmdb_images *images = images_of(job, offsetof(struct env_lmdb_images, commit));
    struct task *task = images->exporting;
    images->exporting = NULL;
    status = status != 0 ? status : give(images, task);
    if (status != 0) {
        end_task(images, task, status);
    }
}

static int swap_run(struct store_job *job, struct store_txn *txn)
{
    struct env_lmdb_images *images = images_of(job, offsetof(struct env_lmdb_images, swap));
    (void)txn;
    return env_lmdb_swap(images->env);
}

static void swap_done(struct store_job *job, int status)
{
    struct env_lmdb_images *images = images_of(job, offsetof(struct env_lmdb_images, swap));
    struct task *task = images->installing;
    images->installing = NULL;
    set_swapping(images, false);
    end_task(images, task, status);
}

static int start_worker(struct env_lmdb *env)
{
    struct env_lmdb_images *images = env->images;
    if (images == NULL) {
        images = calloc(1, sizeof(*images));
        if (images == NULL) {
            return BASE_E_NOMEM;
        }
        images->env = env;
        images->work.env = env;
        images->work.out_fd = -1;
        images->work.in_fd = -1;
        images->commit = (struct store_job){
            .run = commit_run, .done = commit_done, .wants_durable = true, .is_read_only = true};
        images->swap =
            (struct store_job){.run = swap_run, .done = swap_done, .wants_durable = true};
        (void)pthread_mutex_init(&images->lock, NULL);
        (void)pthread_cond_init(&images->wake, NULL);
        env->images = images;
    }
    if (!images->has_thread && !images->is_stopping) {
        images->has_thread = pthread_create(&images->thread, NULL, worker_main, images) == 0;
    }
    return images->has_thread ? 0 : BASE_E_NOMEM;
}

static int export_begin(void *ctx, struct snapshot_job *job)
{
    struct env_lmdb *env = ctx;
    int rc = start_worker(env);
    if (rc != 0) {
        return rc;
    }
    struct env_lmdb_images *images = env->images;
    if (images->is_exporting || images->is_installing) {
        return BASE_E_BUSY;
    }
    images->exporting = task_make(TASK_EXPORT, job, SLICE_EMPTY);
    if (images->exporting == NULL) {
        return BASE_E_NOMEM;
    }
    images->is_exporting = true;
    atomic_store(&images->work.is_canceled, false);
    store_thread_submit(env->thread, &images->commit);
    return 0;
}

static int export_read(void *ctx, struct snapshot_job *job, uint64_t offset)
{
    struct env_lmdb_images *images = ((struct env_lmdb *)ctx)->images;
    if (images == NULL || !images->is_exporting) {
        return BASE_E_STATE;
    }
    job->offset = offset;
    return send_task(images, TASK_READ, job, SLICE_EMPTY);
}

static void export_end(void *ctx)
{
    struct env_lmdb_images *images = ((struct env_lmdb *)ctx)->images;
    if (images != NULL && images->is_exporting) {
        atomic_store(&images->work.is_canceled, true); /* one that is still being written */
        if (send_task(images, TASK_EXPORT_END, NULL, SLICE_EMPTY) != 0) {
            images->is_exporting = false; /* the next one frees what this one has */
        }
    }
}

static int import_begin(void *ctx, struct snapshot_job *job)
{
    struct env_lmdb *env = ctx;
    int rc = start_worker(env);
    if (rc == 0 && env->images->is_installing) {
        rc = BASE_E_BUSY;
    }
    return rc != 0 ? rc : send_task(env->images, TASK_IMPORT, job, SLICE_EMPTY);
}

static int import_write(void *ctx, struct snapshot_job *job, struct slice data)
{
    struct env_lmdb_images *images = ((struct env_lmdb *)ctx)->images;
    if (images == NULL || data.len > SNAPSHOT_CHUNK_MAX) {
        return images == NULL ? BASE_E_STATE : BASE_E_TOOBIG;
    }
    return images->is_installing ? BASE_E_BUSY : send_task(images, TASK_WRITE, job, data);
}

static int import_install(void *ctx, struct snapshot_job *job)
{
    struct env_lmdb_images *images = ((struct env_lmdb *)ctx)->images;
    if (images == NULL || images->is_installing) {
        return images == NULL ? BASE_E_STATE : BASE_E_BUSY;
    }
    int rc = send_task(images, TASK_INSTALL, job, SLICE_EMPTY);
    images->is_installing = rc == 0;
    return rc;
}

static void import_discard(void *ctx)
{
    struct env_lmdb_images *images = ((struct env_lmdb *)ctx)->images;
    if (images != NULL && !images->is_installing) {
        (void)send_task(images, TASK_DISCARD, NULL, SLICE_EMPTY);
    }
}

struct snapshot_port env_lmdb_snapshot_port(struct env_lmdb *env)
{
    return (struct snapshot_port){.ctx = env,
                                  .export_begin = export_begin,
                                  .export_read = export_read,
                                  .export_end = export_end,
                                  .import_begin = import_begin,
                                  .import_write = import_write,
                                  .import_install = import_install,
                                  .import_discard = import_discard};
}

/* What the end of a task means for the calls that are possible next. */
static void note_end(struct env_lmdb_images *images, const struct task *task)
{
    if (task->type == TASK_EXPORT_END) {
        images->is_exporting = false;
        atomic_store(&images->work.is_canceled, false);
    }
    if (task->type == TASK_EXPORT && task->job->status != 0 &&
        !atomic_load(&images->work.is_canceled)) {
        images->is_exporting = false;
    }
    if (task->type == TASK_INSTALL) {
        images->is_installing = false;
    }
}

size_t env_lmdb_images_complete(struct env_lmdb *env)
{
    struct env_lmdb_images *images = env->images;
    size_t count = 0;
    if (images == NULL) {
        return 0;
    }
    (void)pthread_mutex_lock(&images->lock);
    struct task_list ended = images->ended;
    images->ended = (struct task_list){0};
    (void)pthread_mutex_unlock(&images->lock);
    for (struct task *task = pop(&ended); task != NULL; task = pop(&ended)) {
        struct snapshot_job *job = task->job;
        note_end(images, task);
        free(task);
        count++;
        if (job != NULL) {
            job->done(job, job->status);
        }
    }
    return count;
}

void env_lmdb_images_stop(struct env_lmdb *env)
{
    struct env_lmdb_images *images = env->images;
    if (images == NULL || !images->has_thread) {
        return;
    }
    atomic_store(&images->work.is_stopping, true);
    (void)pthread_mutex_lock(&images->lock);
    images->is_stopping = true;
    (void)pthread_cond_signal(&images->wake);
    (void)pthread_mutex_unlock(&images->lock);
    (void)pthread_join(images->thread, NULL);
    (void)pthread_mutex_lock(&images->lock);
    images->has_thread = false;
    (void)pthread_mutex_unlock(&images->lock);
}

void env_lmdb_images_free(struct env_lmdb *env)
{
    struct env_lmdb_images *images = env->images;
    if (images == NULL) {
        return;
    }
    BASE_ASSERT(images->tasks.head == NULL && images->ended.head == NULL);
    image_export_end(&images->work);
    image_import_end(&images->work);
    (void)pthread_mutex_destroy(&images->lock);
    (void)pthread_cond_destroy(&images->wake);
    free(images);
    env->images = NULL;
}
