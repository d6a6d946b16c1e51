/* SPDX-License-Identifier: Apache-2.0 */
/* Workers: blocking calls on a few threads, their completions back on the loop thread.
 *
 * One mutex guards the two queues of a pool; nobody holds it while running work or callbacks.
 * Threads start when work waits and none is idle, and stay until the pool is freed.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "proto/io/loop_internal.h"

#define THREADS_MAX 16
#define STACK_BYTES ((size_t)512 << 10)

struct queue {
    struct io_work *first, *last;
};

struct io_workers {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct queue waiting; /* submitted, not yet begun */
    struct queue ready;   /* run, `done` not yet called */
    unsigned threads_max, threads_count, idle_count, waiting_count;
    pthread_t threads[THREADS_MAX];
    bool is_stopping;
    struct io_wake *wake;
    struct io_workers *next; /* of the abandoned ones */
};

static struct io_workers *abandoned; /* loops end on one thread; leak checkers see them here */

static void queue_put(struct queue *queue, struct io_work *work)
{
    work->next = NULL;
    if (queue->last != NULL) {
        queue->last->next = work;
    } else {
        queue->first = work;
    }
    queue->last = work;
}

static struct io_work *queue_take(struct queue *queue)
{
    struct io_work *work = queue->first;
    if (work != NULL) {
        queue->first = work->next;
        if (queue->first == NULL) {
            queue->last = NULL;
        }
    }
    return work;
}

static void *worker_main(void *argument)
{
    struct io_workers *pool = argument;
    (void)pthread_mutex_lock(&pool->mutex);
    for (;;) {
        struct io_work *work = pool->is_stopping ? NULL : queue_take(&pool->waiting);
        if (work != NULL) {
            pool->waiting_count--;
            (void)pthread_mutex_unlock(&pool->mutex);
            work->run(work);
            (void)pthread_mutex_lock(&pool->mutex);
            queue_put(&pool->ready, work);
            if (pool->wake != NULL) { /* not abandoned meanwhile */
                io_wake_send(pool->wake);
            }
        } else if (pool->is_stopping) {
            break;
        } else {
            pool->idle_count++;
            (void)pthread_cond_wait(&pool->cond, &pool->mutex);
            pool->idle_count--;
        }
    }
    (void)pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

static void call_done(void *ctx)
{
    struct io_workers *pool = ctx;
    for (;;) {
        (void)pthread_mutex_lock(&pool->mutex);
        struct io_work *work = queue_take(&pool->ready);
        (void)pthread_mutex_unlock(&pool->mutex);
        if (work == NULL) {
            return;
        }
        work->done(work);
    }
}

int io_workers_new(struct io_loop *loop, unsigned threads, struct io_workers **ret)
{
    BASE_ASSERT(threads >= 1 && threads <= THREADS_MAX);
    struct io_workers *pool = calloc(1, sizeof(*pool));
    if (pool == NULL) {
        return BASE_E_NOMEM;
    }
    pool->threads_max = threads;
    int status = io_wake_new(loop, call_done, pool, &pool->wake);
    if (status != 0) {
        free(pool);
        return status;
    }
    (void)pthread_mutex_init(&pool->mutex, NULL);
    (void)pthread_cond_init(&pool->cond, NULL);
    *ret = pool;
    return 0;
}

/* With the mutex held. Failure is fine while other threads are there: the work waits for them. */
static void start_thread(struct io_workers *pool)
{
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t old;
    (void)sigfillset(&all);
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    if (pthread_create(&pool->threads[pool->threads_count], &attributes, worker_main, pool) == 0) {
        pool->threads_count++;
    }
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attributes);
}

void io_work_submit(struct io_workers *pool, struct io_work *work)
{
    (void)pthread_mutex_lock(&pool->mutex);
    queue_put(&pool->waiting, work);
    pool->waiting_count++;
    if (pool->waiting_count > pool->idle_count && pool->threads_count < pool->threads_max) {
        start_thread(pool);
    }
    (void)pthread_cond_signal(&pool->cond);
    (void)pthread_mutex_unlock(&pool->mutex);
}

static void pool_release(struct io_workers *pool)
{
    (void)pthread_cond_destroy(&pool->cond);
    (void)pthread_mutex_destroy(&pool->mutex);
    pool->wake = io_wake_free(pool->wake);
    free(pool);
}

struct io_workers *io_workers_free(struct io_workers *pool, bool calls_done)
{
    if (pool == NULL) {
        return NULL;
    }
    (void)pthread_mutex_lock(&pool->mutex);
    pool->is_stopping = true;
    (void)pthread_cond_broadcast(&pool->cond);
    (void)pthread_mutex_unlock(&pool->mutex);
    for (unsigned i = 0; i < pool->threads_count; i++) {
        (void)pthread_join(pool->threads[i], NULL);
    }
    call_done(pool);
    for (struct io_work *work = queue_take(&pool->waiting); work != NULL && calls_done;
         work = queue_take(&pool->waiting)) {
        work->done(work);
    }
    pool_release(pool);
    return NULL;
}

struct io_workers *io_workers_abandon(struct io_workers *pool)
{
    if (pool == NULL) {
        return NULL;
    }
    (void)pthread_mutex_lock(&pool->mutex);
    bool is_busy = pool->idle_count < pool->threads_count;
    (void)pthread_mutex_unlock(&pool->mutex);
    if (is_busy) { /* a name server does not answer; the process is about to end anyway */
        (void)pthread_mutex_lock(&pool->mutex);
        pool->is_stopping = true;
        pool->wake = io_wake_free(pool->wake);
        (void)pthread_mutex_unlock(&pool->mutex);
        pool->next = abandoned;
        abandoned = pool;
        return NULL;
    }
    return io_workers_free(pool, true);
}
