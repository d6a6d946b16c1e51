/* SPDX-License-Identifier: Apache-2.0 */
/* See store_thread.h.
 *
 * Locking: `lock` guards the incoming and the outgoing list, the flags and the statistics, and is
 * never held while a job runs or the backend works. Everything else belongs to the storage thread
 * between start and stop.
 */
#include "raft/store_thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/assert.h"
#include "raft/job_list.h"

#define BATCH_JOBS_MAX 512u /* jobs in one batch */

struct store_thread {
    struct store_thread_options options;
    struct job_list waiting; /* run, for the commit */
    size_t batch_jobs;
    int64_t dirty_since_us; /* 0: nothing has changed since the last commit */
    int64_t seal_at_us;     /* 0: nothing to seal */
    bool has_more;          /* the backend has work of its own */
    int broken;             /* the storage thread's copy of `failed` */

    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct job_list incoming;
    struct job_list outgoing; /* the first outgoing_ok of them succeeded */
    size_t outgoing_ok;
    bool is_stopping;
    bool is_asleep; /* and nobody has woken it yet */
    bool is_notified;
    bool is_stopped; /* the thread is gone */
    int failed;
    struct store_thread_stats stats;
};

static int64_t monotonic_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static struct job_list list_take(struct job_list *list)
{
    struct job_list all = *list;
    *list = (struct job_list){0};
    return all;
}

/* --- completions --- */

/* With the lock: the loop thread is to be told. False: it has been, and has not looked yet. */
static bool take_notice(struct store_thread *t)
{
    bool is_first = !t->is_notified;
    t->is_notified = true;
    return is_first;
}

/* Hands completions to the loop thread; `status` is the same for all of them. */
static void publish(struct store_thread *t, struct job_list *jobs, int status)
{
    if (jobs->head == NULL && status == 0) {
        return;
    }
    (void)pthread_mutex_lock(&t->lock);
    if (status != 0 && t->failed == 0) {
        t->failed = status;
    }
    if (status == 0) {
        BASE_ASSERT(t->failed == 0);
        t->outgoing_ok += jobs->count;
    }
    t->stats.jobs += jobs->count;
    for (struct store_job *job = job_list_pop(jobs); job != NULL; job = job_list_pop(jobs)) {
        job_list_push(&t->outgoing, job);
    }
    bool notify = take_notice(t);
    (void)pthread_mutex_unlock(&t->lock);
    if (notify) {
        t->options.notify(t->options.ctx);
    }
}

void store_thread_notify(struct store_thread *t)
{
    (void)pthread_mutex_lock(&t->lock);
    bool notify = take_notice(t);
    (void)pthread_mutex_unlock(&t->lock);
    if (notify) {
        t->options.notify(t->options.ctx);
    }
}

/* --- the storage thread --- */

static void note_commit(struct store_thread *t, int64_t took_us)
{
    (void)pthread_mutex_lock(&t->lock);
    t->stats.commits++;
    t->stats.last_us = took_us;
    t->stats.sum_us += took_us;
    size_t bucket = 0;
    for (int64_t upto_us = 1000; took_us > upto_us && bucket + 1 < STORE_BUCKETS; upto_us *= 2) {
        bucket++;
    }
    t->stats.buckets[bucket]++;
    if (took_us > t->stats.worst_us) {
        t->stats.worst_us = took_us;
    }
    (void)pthread_mutex_unlock(&t->lock);
}

static int commit(struct store_thread *t)
{
    const struct store_thread_backend *backend = &t->options.backend;
    bool is_dirty = backend->is_dirty(backend->ctx);
    int64_t start = is_dirty ? monotonic_us() : 0;
    int rc = backend->commit(backend->ctx);
    if (is_dirty) {
        int64_t now = monotonic_us();
        note_commit(t, now - start);
        t->seal_at_us = backend->seal != NULL ? now + (int64_t)backend->seal_ms * 1000 : 0;
    }
    t->batch_jobs = 0;
    t->dirty_since_us = 0;
    return rc;
}

/* The first error: nothing of the open batch is kept, whoever waits for it fails, and the loop
 * hears of it even when nobody waits. */
static void fail(struct store_thread *t, int status)
{
    t->broken = status;
    t->options.backend.abort(t->options.backend.ctx);
    t->dirty_since_us = 0;
    publish(t, &t->waiting, status);
}

/* Runs jobs of one list; those that need not be durable go to `ended`. Stops at the first error;
 * the failing job and the rest of the list are left to the caller. */
static int run_jobs(struct store_thread *t, struct job_list *jobs, struct job_list *ended)
{
    const struct store_thread_backend *backend = &t->options.backend;
    while (jobs->head != NULL && t->batch_jobs < BATCH_JOBS_MAX &&
           !backend->is_large(backend->ctx)) {
        int rc = jobs->head->run(jobs->head, backend->txn);
        backend->job_end(backend->ctx);
        if (rc < 0) {
            return rc;
        }
        struct store_job *job = job_list_pop(jobs);
        t->batch_jobs++;
        job_list_push(job->wants_durable ? &t->waiting : ended, job);
    }
    return 0;
}

static bool is_lazy_over(const struct store_thread *t)
{
    return t->dirty_since_us != 0 && t->options.lazy_ms > 0 &&
           monotonic_us() - t->dirty_since_us >= (int64_t)t->options.lazy_ms * 1000;
}

/* Whether the batch ends here; `is_last`: no other job is in the queue. */
static bool is_due(const struct store_thread *t, bool is_last)
{
    const struct store_thread_backend *backend = &t->options.backend;
    if (backend->is_large(backend->ctx) || is_lazy_over(t)) {
        return true;
    }
    if (!is_last) {
        return t->batch_jobs >= BATCH_JOBS_MAX &&
               (t->waiting.head != NULL || t->options.lazy_ms == 0);
    }
    return t->waiting.head != NULL || t->options.lazy_ms == 0 || !backend->is_dirty(backend->ctx);
}

static bool is_queue_empty(struct store_thread *t)
{
    (void)pthread_mutex_lock(&t->lock);
    bool is_empty = t->incoming.head == NULL;
    (void)pthread_mutex_unlock(&t->lock);
    return is_empty;
}

/* One batch or a part of it. */
static int batch_step(struct store_thread *t, struct job_list *jobs)
{
    const struct store_thread_backend *backend = &t->options.backend;
    struct job_list ended = {0};
    int rc = backend->begin(backend->ctx);
    if (rc == 0) {
        rc = run_jobs(t, jobs, &ended);
        /* These saw a transaction that is void when one of them failed, so they fail with it. */
        publish(t, &ended, rc);
    }
    if (rc == 0 && t->dirty_since_us == 0 && backend->is_dirty(backend->ctx)) {
        t->dirty_since_us = monotonic_us();
    }
    /* more may have come in meanwhile: then they share this batch's flush */
    if (rc == 0 && is_due(t, jobs->head == NULL && is_queue_empty(t))) {
        rc = commit(t);
        publish(t, &t->waiting, rc);
        t->has_more = true;
    } else if (rc == 0 && t->batch_jobs >= BATCH_JOBS_MAX) {
        t->batch_jobs = 0; /* the batch stays open, a lazy one may have any number of jobs */
    }
    return rc;
}

static int prepare(struct store_thread *t, bool is_busy)
{
    const struct store_thread_backend *backend = &t->options.backend;
    bool has_more = false;
    if (backend->prepare == NULL || !t->has_more || backend->is_dirty(backend->ctx)) {
        t->has_more = t->has_more && backend->prepare != NULL;
        return 0;
    }
    int rc = backend->prepare(backend->ctx, is_busy, &has_more);
    t->has_more = has_more || is_busy;
    return rc;
}

static void run_all(struct store_thread *t, struct job_list *jobs)
{
    int rc = t->broken;
    while (rc == 0 && jobs->head != NULL) {
        rc = batch_step(t, jobs);
        if (rc == 0 && jobs->head != NULL) {
            rc = prepare(t, true);
        }
        if (rc != 0) {
            fail(t, rc);
        }
    }
    if (rc != 0) {
        publish(t, jobs, rc);
    }
}

/* When the open batch has to be committed or the last one sealed; 0: never. */
static int64_t wake_at_us(const struct store_thread *t)
{
    if (t->broken != 0) {
        return 0;
    }
    return t->dirty_since_us == 0 ? t->seal_at_us
                                  : t->dirty_since_us + (int64_t)t->options.lazy_ms * 1000;
}

/* Sleeps until there is work or something is due. Call with the lock. */
static void sleep_for_work(struct store_thread *t)
{
    int64_t at = wake_at_us(t);
    t->is_asleep = true;
    if (at == 0) {
        (void)pthread_cond_wait(&t->wake, &t->lock);
        t->is_asleep = false;
        return;
    }
    struct timespec until = {.tv_sec = (time_t)(at / 1000000),
                             .tv_nsec = (long)(at % 1000000) * 1000};
    (void)pthread_cond_timedwait(&t->wake, &t->lock, &until);
    t->is_asleep = false;
}

static int seal(struct store_thread *t)
{
    t->seal_at_us = 0;
    return t->options.backend.seal(t->options.backend.ctx);
}

/* Between batches: what nobody waits for. True: call again rather than sleep. */
static bool idle_step(struct store_thread *t)
{
    int rc = 0;
    if (t->broken != 0) {
        return false;
    }
    if (is_lazy_over(t)) {
        rc = commit(t);
        publish(t, &t->waiting, rc);
        t->has_more = true;
    } else if (t->seal_at_us != 0 && t->dirty_since_us == 0 && monotonic_us() >= t->seal_at_us) {
        rc = seal(t);
    } else {
        rc = prepare(t, false);
    }
    if (rc != 0) {
        fail(t, rc);
    }
    return rc == 0 && t->has_more && t->options.backend.prepare != NULL && t->dirty_since_us == 0;
}

/* Waits for work. False: the thread shall end and nothing is left. */
static bool take_work(struct store_thread *t, struct job_list *ret_jobs)
{
    bool is_awake = false;
    (void)pthread_mutex_lock(&t->lock);
    while (t->incoming.head == NULL && !t->is_stopping) {
        (void)pthread_mutex_unlock(&t->lock);
        is_awake = idle_step(t);
        (void)pthread_mutex_lock(&t->lock);
        if (!is_awake && t->incoming.head == NULL && !t->is_stopping) {
            sleep_for_work(t);
        }
    }
    *ret_jobs = list_take(&t->incoming);
    (void)pthread_mutex_unlock(&t->lock);
    return ret_jobs->head != NULL;
}

static void *thread_main(void *arg)
{
    struct store_thread *t = arg;
    const struct store_thread_backend *backend = &t->options.backend;
    struct job_list jobs = {0};
    if (backend->seal != NULL) { /* whoever wrote last may have had no time for it */
        t->seal_at_us = monotonic_us() + (int64_t)backend->seal_ms * 1000;
    }
    while (take_work(t, &jobs)) {
        run_all(t, &jobs);
    }
    if (t->broken == 0) {
        int rc = commit(t);
        rc = rc == 0 && t->seal_at_us != 0 ? seal(t) : rc;
        if (rc != 0) {
            fail(t, rc);
        }
    }
    return NULL;
}

/* --- the loop thread's side --- */

void store_thread_submit(void *thread, struct store_job *job)
{
    struct store_thread *t = thread;
    bool wake = false;
    (void)pthread_mutex_lock(&t->lock);
    if (t->is_stopped) {
        t->failed = t->failed != 0 ? t->failed : BASE_E_CANCELED;
        job_list_push(&t->outgoing, job);
    } else {
        wake = t->is_asleep;
        t->is_asleep = false;
        job_list_push(&t->incoming, job);
    }
    (void)pthread_mutex_unlock(&t->lock);
    if (wake) { /* without the lock: else the thread that wakes up has to wait for it at once */
        (void)pthread_cond_signal(&t->wake);
    }
}

size_t store_thread_complete(struct store_thread *t, int *ret_failed)
{
    (void)pthread_mutex_lock(&t->lock);
    struct job_list jobs = list_take(&t->outgoing);
    size_t good = t->outgoing_ok;
    int failed = t->failed;
    t->outgoing_ok = 0;
    t->is_notified = false;
    (void)pthread_mutex_unlock(&t->lock);
    size_t count = jobs.count;
    for (struct store_job *job = job_list_pop(&jobs); job != NULL; job = job_list_pop(&jobs)) {
        bool is_ok = good > 0;
        good -= is_ok;
        job->done(job, is_ok ? 0 : failed);
    }
    *ret_failed = failed;
    return count;
}

struct store_thread_stats store_thread_stats(struct store_thread *t)
{
    (void)pthread_mutex_lock(&t->lock);
    struct store_thread_stats stats = t->stats;
    t->stats.worst_us = 0;
    (void)pthread_mutex_unlock(&t->lock);
    return stats;
}

int store_thread_start(const struct store_thread_options *options, struct store_thread **ret,
                       int *ret_native)
{
    pthread_condattr_t attributes;
    struct store_thread *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        *ret_native = ENOMEM;
        return BASE_E_NOMEM;
    }
    t->options = *options;
    t->has_more = true;
    (void)pthread_mutex_init(&t->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&t->wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    int native = pthread_create(&t->thread, NULL, thread_main, t);
    t->has_thread = native == 0;
    if (native != 0) {
        *ret_native = native;
        (void)store_thread_free(t);
        return BASE_E_NOMEM;
    }
    *ret = t;
    return 0;
}

void store_thread_stop(struct store_thread *t)
{
    if (t->has_thread) {
        (void)pthread_mutex_lock(&t->lock);
        t->is_stopping = true;
        (void)pthread_cond_signal(&t->wake);
        (void)pthread_mutex_unlock(&t->lock);
        (void)pthread_join(t->thread, NULL);
        t->has_thread = false;
    }
    (void)pthread_mutex_lock(&t->lock);
    t->is_stopped = true;
    (void)pthread_mutex_unlock(&t->lock);
}

struct store_thread *store_thread_free(struct store_thread *t)
{
    if (t == NULL) {
        return NULL;
    }
    store_thread_stop(t);
    (void)pthread_mutex_destroy(&t->lock);
    (void)pthread_cond_destroy(&t->wake);
    free(t);
    return NULL;
}
